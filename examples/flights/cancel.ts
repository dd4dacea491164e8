/**
 * Cancels flights by transactions: a flight goes, and the totals of its airport in another store change with it. Many run at once, and those that
 * meet at an airport are run again by the database, so the totals stay right.
 */

import type { Database } from '../../index.ts'
import { compareTotals } from './queries.ts'
import { airportStore, flightStore, plus, type StoreModel } from './store.ts'

const atOnce = 16

/** Cancels `count` rows, evenly spread; returns how often a body was run again. */
export async function cancelFlights(
  database: Database,
  model: StoreModel,
  count: number,
  advance: (records: number) => void,
): Promise<number> {
  let runs = 0
  const cancel = async (row: number): Promise<void> => {
    await database.transaction(
      async tx => {
        runs++
        const flights = tx.store(flightStore(database))
        const airports = tx.store(airportStore(database))
        const key = model.key(row)
        const flight = flights.get(key)
        if (flight === undefined) throw new Error(`row ${row} is not there`)
        const origin = model.origin(row)
        const totals = plus(airports.get(origin), -1, -flight.delay)
        await Promise.resolve() // others run meanwhile
        flights.del(key)
        if (totals.flights === 0) airports.del(origin)
        else airports.put(origin, totals)
      },
      { retries: 100 },
    )
    model.cancelled.add(row)
    advance(1)
  }
  const step = Math.floor(model.rows / count)
  for (let first = 0; first < count; first += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, count - first) }, (_, i) => cancel((first + i) * step)))
  }
  compareTotals('totals after the cancellations', new Map(airportStore(database).entries()), model.totals('origins'))
  return runs - count
}
