/**
 * The stores of the main job, and how flights get into them.
 *
 *   flights   [origin, departure, row number] -> { to, delay, miles }     indexes by destination and by delay; change feed; history
 *   airports  code -> { flights, late }                                    totals of the departures, kept by transactions
 *
 * `StoreModel` is what the stores must hold, computed from the source alone.
 */

import type { BatchOperation, Database, Store } from '../../index.ts'
import type { Flights } from './data.ts'

/** Airport, departure, number of the row. Shorter ones are bounds and prefixes. */
export type FlightKey = readonly (string | Date | number)[]

export interface StoredFlight {
  readonly to: string
  /** Minutes late on arrival; negative is early. */
  readonly delay: number
  readonly miles: number
}

/** Of the departures of an airport. */
export interface Totals {
  readonly flights: number
  /** Sum of the delays, minutes. */
  readonly late: number
}

const hourMs = 3_600_000
const batchRecords = 1000

export function flightStore(database: Database): Store<StoredFlight, FlightKey> {
  return database.store<StoredFlight, FlightKey>('flights', {
    indexes: { to: 'to', delay: 'delay' },
    changes: true,
    history: { retentionMs: 24 * hourMs },
  })
}

export function airportStore(database: Database): Store<Totals, string> {
  return database.store<Totals, string>('airports', { keys: 'string' })
}

export class StoreModel {
  readonly #flights: Flights
  /** Rows that were cancelled. */
  readonly cancelled: Set<number> = new Set()

  constructor(flights: Flights) {
    this.#flights = flights
  }

  /** Rows of the source, cancelled ones included. */
  get rows(): number {
    return this.#flights.times.length
  }

  get count(): number {
    return this.rows - this.cancelled.size
  }

  origin(row: number): string {
    return this.#flights.origins[row] as string
  }

  key(row: number): FlightKey {
    return [this.origin(row), new Date(this.#flights.times[row] as number), row]
  }

  value(row: number): StoredFlight {
    const { destinations, delays, miles } = this.#flights
    return { to: destinations[row] as string, delay: delays[row] as number, miles: miles[row] as number }
  }

  /** Totals by airport of departure or of arrival, of the flights that are not cancelled. */
  totals(by: 'origins' | 'destinations'): Map<string, Totals> {
    const totals = new Map<string, Totals>()
    for (let row = 0; row < this.rows; row++) {
      if (this.cancelled.has(row)) continue
      const airport = this.#flights[by][row] as string
      totals.set(airport, plus(totals.get(airport), 1, this.#flights.delays[row] as number))
    }
    return totals
  }

  /** How many flights that are not cancelled were at least so late. */
  lateCount(delayMin: number): number {
    let count = 0
    for (let row = 0; row < this.rows; row++) if ((this.#flights.delays[row] as number) >= delayMin && !this.cancelled.has(row)) count++
    return count
  }
}

export function plus(totals: Totals | undefined, flights: number, late: number): Totals {
  return { flights: (totals?.flights ?? 0) + flights, late: (totals?.late ?? 0) + late }
}

/** The first `limit` flights of the chunks. */
export async function firstFlights(chunks: AsyncIterable<Flights>, limit: number): Promise<Flights> {
  let found: Flights = { times: [], delays: [], miles: [], origins: [], destinations: [] }
  for await (const chunk of chunks) {
    const count = limit - found.times.length
    found = {
      times: found.times.concat(chunk.times.slice(0, count)),
      delays: found.delays.concat(chunk.delays.slice(0, count)),
      miles: found.miles.concat(chunk.miles.slice(0, count)),
      origins: found.origins.concat(chunk.origins.slice(0, count)),
      destinations: found.destinations.concat(chunk.destinations.slice(0, count)),
    }
    if (found.times.length === limit) break
  }
  return found
}

/** Puts all flights, a batch of 1000 a commit with the entries of its indexes. Resolves when everything is durable. */
export async function loadStore(database: Database, model: StoreModel, advance: (records: number) => void): Promise<void> {
  const store = flightStore(database)
  await store.ready()
  let acknowledged: Promise<void>[] = []
  for (let row = 0; row < model.rows; ) {
    const end = Math.min(row + batchRecords, model.rows)
    const operations: BatchOperation<StoredFlight, FlightKey>[] = []
    while (row < end) operations.push({ type: 'put', key: model.key(row), value: model.value(row++) })
    await database.drain() // never more in memory than the database wants
    acknowledged.push(store.batch(operations))
    advance(operations.length)
    if (acknowledged.length < 32) continue
    await Promise.all(acknowledged)
    acknowledged = []
  }
  await Promise.all(acknowledged)
}
