/**
 * The topic of the main job: arrivals, four partitions by destination, and a consumer that counts them by airport exactly once: counts and the group's
 * offsets are one commit, so whoever goes on loses nothing and counts nothing twice.
 */

import type { Database, Store, Topic } from '../../index.ts'
import { compare } from './check.ts'
import type { Flights } from './data.ts'

export interface Arrival {
  readonly from: string
  readonly to: string
  /** Minutes late; negative is early. */
  readonly delay: number
}

/** Of the arrivals at an airport. */
export interface ArrivalCounts {
  readonly flights: number
  /** Sum of the delays, minutes. */
  readonly late: number
}

export const arrivalGroup = 'delays'
const batchRecords = 1000

export function arrivalTopic(database: Database): Topic<Arrival> {
  return database.topic<Arrival>('arrivals', { partitions: 4, key: 'to', cleanup: 'compact' })
}

export function countStore(database: Database): Store<ArrivalCounts, string> {
  return database.store<ArrivalCounts, string>('arrival-counts', { keys: 'string' })
}

/** Sends all flights, a commit for each thousand, eight under way. */
export async function sendArrivals(database: Database, flights: Flights, advance: (by: number) => void): Promise<void> {
  const topic = arrivalTopic(database)
  const under: Promise<unknown>[] = []
  for (let row = 0; row < flights.times.length; row += batchRecords) {
    const count = Math.min(batchRecords, flights.times.length - row)
    const records = Array.from({ length: count }, (_, i) => ({
      value: {
        from: flights.origins[row + i] as string,
        to: flights.destinations[row + i] as string,
        delay: flights.delays[row + i] as number,
      },
      timestamp: flights.times[row + i] as number,
    }))
    under.push(topic.sendBatch(records).then(() => advance(count)))
    if (under.length === 8) await under.shift()
  }
  await Promise.all(under)
}

/** One member of the group; counts until the signal fires. `told` hears how many each commit counted. */
export async function countArrivals(database: Database, signal: AbortSignal, told: (count: number) => void): Promise<void> {
  const counts = countStore(database)
  for await (const batch of arrivalTopic(database).consume({ group: arrivalGroup, maxRecords: batchRecords, signal })) {
    await database.transaction(tx => {
      const store = tx.store(counts)
      for (const { key, value } of batch.records) {
        const { flights, late } = store.get(key as string) ?? { flights: 0, late: 0 }
        store.put(key as string, { flights: flights + 1, late: late + (value as Arrival).delay })
      }
      tx.offsets(batch)
    })
    told(batch.records.length)
  }
}

/** Every arrival was counted once. */
export function checkArrivals(counts: Store<ArrivalCounts, string>, flights: Flights): number {
  const expected = new Map<string, ArrivalCounts>()
  for (const [row, to] of flights.destinations.entries()) {
    const { flights: count, late } = expected.get(to) ?? { flights: 0, late: 0 }
    expected.set(to, { flights: count + 1, late: late + (flights.delays[row] as number) })
  }
  let airports = 0
  for (const [airport, { flights: count, late }] of counts.entries()) {
    compare(`arrivals at ${airport}`, count, expected.get(airport)?.flights)
    compare(`minutes late at ${airport}`, late, expected.get(airport)?.late)
    airports++
  }
  compare('airports counted', airports, expected.size)
  return airports
}
