/**
 * Reads a store through the paths its users have, and holds them against each other: entries both ways, points (present and absent keys), the index,
 * the change feed, and the history after each read of the feed. What is returned is compared with the model.
 */
import { type Database, isVarveError, type Store } from '../../engine/index.ts'
import { isIn, type Range } from '../support/store-content.ts'

export const storeName = 'shop'
export const storePrefix = 'store/'
export const storeLog = 'store/shop'
export const storeOptions = { indexes: { n: 'n' }, changes: true, compression: 'snappy', history: { retentionMs: 1e12 } } as const

export interface Item {
  readonly n: number
  readonly pad: string
}

export type StoreContent = ReadonlyMap<string, Item>

export function textOfContent(content: StoreContent): string {
  return [...content]
    .map(([key, { n, pad }]) => `${key}=${n}.${pad}`)
    .sort()
    .join()
}

/** What the store holds; undefined when there is none. Throws an Error where two ways to read disagree. `isReady`: its index is built. */
export function observeStore(database: Database, isReady: boolean): string | undefined {
  if (database.get(storeLog) === undefined) return undefined
  const store = database.store<Item, string>(storeName)
  const content = new Map(store.entries())
  const keys = [...store.keys({ reverse: true })].reverse()
  if (keys.join() !== [...content.keys()].join()) throw new Error(`store: ${content.size} entries, ${keys.length} keys backwards`)
  for (const [key, { n, pad }] of content) {
    const found = store.get(key)
    if (found?.n !== n || found.pad !== pad) throw new Error(`store: get ${key} gives ${JSON.stringify(found)}, the entries say ${n}`)
    if (store.get(`${key}?`) !== undefined) throw new Error(`store: a key that is not there is found: ${key}?`)
  }
  observeIndex(store, content, isReady)
  observeFeed(store, content)
  return textOfContent(content)
}

function observeIndex(store: Store<Item, string>, content: StoreContent, isReady: boolean): void {
  // A store whose definition alone is there has no index yet.
  if (!isReady && !store.indexNames().includes('n')) return
  try {
    const found = [...store.index('n').entries()].map(([n, key, item]) => `${n} ${key} ${item.n}.${item.pad}`)
    const expected = [...content].map(([key, { n, pad }]) => `${n} ${key} ${n}.${pad}`)
    if (found.sort().join() !== expected.sort().join())
      throw new Error(`store: the index has ${found.length} of ${expected.length} entries`)
  } catch (error) {
    if (isReady || !isVarveError(error, 'NOT_READY')) throw error
  }
}

function observeFeed(store: Store<Item, string>, content: StoreContent): void {
  const replayed = new Map<string, Item>()
  for (let position = 0, reads = 1; ; reads++) {
    const batch = store.readChanges(position, { limit: 7 })
    if (batch.changes.length === 0) break
    position = batch.position
    for (const change of batch.changes) {
      if (change.type === 'put') replayed.set(change.key, change.value)
      else if (change.type === 'del') replayed.delete(change.key)
      else for (const key of replayed.keys()) if (isIn(key, change.range as Range)) replayed.delete(key)
    }
    if ((reads & (reads - 1)) !== 0) continue // each takes a walk over everything
    const { sequence } = batch.changes.at(-1) ?? { sequence: 0 }
    using past = store.asOf(sequence + 1)
    if (textOfContent(new Map(past.entries())) !== textOfContent(replayed))
      throw new Error(`store: as of ${sequence + 1} it is not what the feed gives`)
  }
  if (textOfContent(replayed) !== textOfContent(content)) throw new Error('store: the change feed does not give what the store holds')
}

/** What the stores beside this one hold, by names of their logs. */
export function observeExtras(database: Database): Map<string, string> {
  const names = database.storeNames().filter(name => name !== storeName)
  return new Map(names.map(name => [storePrefix + name, textOfContent(new Map(database.store<Item, string>(name).entries()))]))
}
