/**
 * Appends flights to sixteen logs, all flights of an airport to the same one, durably, in batches.
 *
 * Record: key = airport of departure, timestamp = departure, value = msgpack of [destination, delay, miles]. Batches of the next chunk are
 * encoded while the disk still writes those of the last one.
 */

import { pack } from 'msgpackr'
import type { Database, LocalLog, TopicRecord } from '../../engine/index.ts'
import type { Flights } from './data.ts'
import { type Flight, LogModel } from './model.ts'

/** An airport's flights all go to one of these. */
export const logNames: readonly string[] = Array.from({ length: 16 }, (_, i) => `flights-${String(i).padStart(2, '0')}`)
const batchRecords = 1000

export class Loader {
  readonly models: readonly LogModel[]
  /** Bytes of keys and values so far. */
  bytes = 0
  readonly #database: Database
  readonly #logs: readonly LocalLog[]
  readonly #batches: TopicRecord[][]
  #acknowledged: Promise<unknown> = Promise.resolve()

  constructor(database: Database) {
    this.#database = database
    this.#logs = logNames.map(name => database.log(name))
    this.models = logNames.map(() => new LogModel())
    this.#batches = logNames.map(() => [])
  }

  /** Resolves when the chunk before this one is durable. */
  async append(flights: Flights): Promise<void> {
    const acknowledged: Promise<void>[] = []
    for (let i = 0; i < flights.times.length; i++) {
      const flight = flightAt(flights, i)
      const number = logNumber(flight.origin)
      const batch = this.#batches[number] as TopicRecord[]
      const value = pack([flight.destination, flight.delay, flight.miles])
      batch.push({ key: flight.origin, value, timestamp: flight.time })
      this.models[number]?.add(flight)
      this.bytes += flight.origin.length + value.length
      if (batch.length === batchRecords) {
        await this.#database.drain() // never more in memory than the database wants
        acknowledged.push(this.#send(number))
      }
    }
    await this.#acknowledged
    this.#acknowledged = Promise.all(acknowledged)
  }

  /** Appends what is left over and resolves when everything is durable. */
  async finish(): Promise<void> {
    await Promise.all(this.#batches.map((batch, number) => (batch.length > 0 ? this.#send(number) : undefined)))
    await this.#acknowledged
  }

  #send(number: number): Promise<void> {
    const batch = this.#batches[number] as TopicRecord[]
    this.#batches[number] = []
    return (this.#logs[number] as LocalLog).appendRecords(batch).acknowledged
  }
}

function flightAt(flights: Flights, i: number): Flight {
  return {
    time: flights.times[i] as number,
    origin: flights.origins[i] as string,
    destination: flights.destinations[i] as string,
    delay: flights.delays[i] as number,
    miles: flights.miles[i] as number,
  }
}

function logNumber(airport: string): number {
  let hash = 0
  for (let i = 0; i < airport.length; i++) hash = (Math.imul(hash, 31) + airport.charCodeAt(i)) >>> 0
  return hash % logNames.length
}
