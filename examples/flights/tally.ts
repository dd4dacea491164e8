/**
 * A consumer of the change feed that may be killed at any moment: it counts departures and cancellations by airport in a store of its own, and keeps
 * the feed's position there in the same commit. Whoever goes on at that position loses nothing and counts nothing twice.
 */

import type { BatchOperation, Database, Store } from '../../index.ts'
import { compare } from './check.ts'
import { flightStore, type StoreModel } from './store.ts'

/** Where the feed is to be read on; all other keys are airports. */
const positionKey = ''

/** Puts and deletes seen. */
type Counts = readonly [puts: number, deletes: number]

function tallyStore(database: Database): Store<Counts | number, string> {
  return database.store<Counts | number, string>('tally', { keys: 'string' })
}

/** The position that is stored; 0 at first. */
export function tallyPosition(database: Database): number {
  return (tallyStore(database).get(positionKey) as number | undefined) ?? 0
}

/** Counts until `end`, a position of the feed; without it for ever. `told` hears of each commit. Returns how many changes it saw. */
export async function tally(database: Database, told: (position: number) => void, end: number = Number.POSITIVE_INFINITY): Promise<number> {
  const store = tallyStore(database)
  let seen = 0
  if (tallyPosition(database) >= end) return seen
  for await (const { changes, position } of flightStore(database).changes({ from: tallyPosition(database) })) {
    const counts = new Map<string, Counts>()
    for (const change of changes) {
      if (change.type === 'delRange') throw new Error('nobody deletes ranges here')
      const airport = change.key[0] as string
      const [puts, deletes] = counts.get(airport) ?? (store.get(airport) as Counts | undefined) ?? [0, 0]
      counts.set(airport, change.type === 'put' ? [puts + 1, deletes] : [puts, deletes + 1])
    }
    seen += changes.length
    const operations: BatchOperation<Counts | number, string>[] = [...counts].map(([key, value]) => ({ type: 'put', key, value }))
    await store.batch([...operations, { type: 'put', key: positionKey, value: position }])
    told(position)
    if (position >= end) break
  }
  return seen
}

/** Every put and every delete was counted once. */
export function checkTally(database: Database, model: StoreModel): void {
  const puts = new Map<string, number>()
  const deletes = new Map<string, number>()
  for (let row = 0; row < model.rows; row++) {
    const airport = model.origin(row)
    puts.set(airport, (puts.get(airport) ?? 0) + 1)
    if (model.cancelled.has(row)) deletes.set(airport, (deletes.get(airport) ?? 0) + 1)
  }
  let airports = 0
  for (const [airport, counts] of tallyStore(database).entries()) {
    if (airport === positionKey) continue
    const [put, del] = counts as Counts
    compare(`puts at ${airport}`, put, puts.get(airport))
    compare(`deletes at ${airport}`, del, deletes.get(airport) ?? 0)
    airports++
  }
  compare('airports counted', airports, puts.size)
}
