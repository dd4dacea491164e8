/** Asks the store of flights by key, by range and by index, and compares every answer with the source. Throws at the first difference. */

import type { Database, StoreView } from '../../index.ts'
import { compare } from './check.ts'
import { airportStore, type FlightKey, flightStore, plus, type StoredFlight, type StoreModel, type Totals } from './store.ts'

/** Flights at least so late are looked at one by one, minutes. */
const veryLate = 180

/** Looks flights up by key, `count` rows in an order without locality. */
export function checkByKey(database: Database, model: StoreModel, count: number, advance: (records: number) => void): void {
  const store = flightStore(database)
  const stride = 7919 * 104_729 // primes: all rows come before one comes twice
  for (let i = 0; i < count; i++) {
    const row = (i * stride) % model.rows
    const expected = model.cancelled.has(row) ? undefined : model.value(row)
    compareFlight('by key', row, store.get(model.key(row)), expected)
    if (i % 1000 === 999) advance(1000)
  }
}

/** Walks over the range of each airport and keeps its totals in a store of their own; returns them. */
export async function checkByRange(
  database: Database,
  model: StoreModel,
  advance: (records: number) => void,
): Promise<ReadonlyMap<string, Totals>> {
  const store = flightStore(database)
  const expected = model.totals('origins')
  const found = new Map<string, Totals>()
  for (const airport of expected.keys()) {
    let totals: Totals = { flights: 0, late: 0 }
    for (const { delay } of store.values({ prefix: [airport] })) totals = plus(totals, 1, delay)
    found.set(airport, totals)
    advance(totals.flights)
  }
  compareTotals('departures', found, expected)
  const airports = airportStore(database)
  await airports.batch([...found].map(([key, value]) => ({ type: 'put', key, value })))
  compare('entries of the store', store.count(), model.count)
  return found
}

/** Counts arrivals by the index of destinations and walks over very late flights by the index of delays; returns entries read and very late flights. */
export function checkByIndex(
  database: Database,
  model: StoreModel,
  advance: (records: number) => void,
): { readonly entries: number; readonly late: number } {
  const store = flightStore(database)
  const to = store.index('to')
  let entries = 0
  for (const [airport, { flights }] of model.totals('destinations')) {
    compare(`arrivals at ${airport}`, to.count({ gte: airport, lte: airport }), flights)
    entries += flights
    advance(flights)
  }
  compare('entries of the index to', to.count(), entries)
  let late = 0
  let before = veryLate
  for (const [delay, key, flight] of store.index('delay').entries({ gte: veryLate })) {
    if ((delay as number) < before) throw new Error(`index delay: ${String(delay)} after ${before}`)
    before = delay as number
    const row = key[2] as number
    compareFlight('by index', row, flight, model.value(row))
    compare(`indexed value of row ${row}`, delay, flight.delay)
    late++
  }
  compare(`flights at least ${veryLate} minutes late`, late, model.lateCount(veryLate))
  return { entries: entries + late, late }
}

/** Compares a moment from before the cancellations with all rows of the source. */
export function checkAsOf(
  view: StoreView<StoredFlight, FlightKey>,
  model: StoreModel,
  airports: Iterable<string>,
  advance: (records: number) => void,
): void {
  let count = 0
  for (const airport of airports) {
    const before = count
    for (const [key, flight] of view.entries({ prefix: [airport] })) {
      const row = key[2] as number
      compareFlight('as of then', row, flight, model.value(row))
      count++
    }
    advance(count - before)
  }
  compare('flights then', count, model.rows)
  for (const row of model.cancelled) compareFlight('as of then', row, view.get(model.key(row)), model.value(row))
}

function compareFlight(where: string, row: number, actual: StoredFlight | undefined, expected: StoredFlight | undefined): void {
  if (actual?.to === expected?.to && actual?.delay === expected?.delay && actual?.miles === expected?.miles) return
  compare(`${where}: flight of row ${row}`, JSON.stringify(actual), JSON.stringify(expected))
}

export function compareTotals(what: string, found: ReadonlyMap<string, Totals>, expected: ReadonlyMap<string, Totals>): void {
  compare(`${what}: airports`, found.size, expected.size)
  for (const [airport, { flights, late }] of expected) {
    compare(`${what}: flights of ${airport}`, found.get(airport)?.flights, flights)
    compare(`${what}: minutes of ${airport}`, found.get(airport)?.late, late)
  }
}
