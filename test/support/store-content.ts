/**
 * What two stores should hold, as plain maps, and the naive answers to ranges and index queries over them. States are never changed: a commit makes a
 * new one.
 */
import type { SimRandom } from '../../engine/env/index.ts'
import type { IndexOptions } from '../../engine/store/index-options.ts'
import { compareStoreKeys, type StoreKey } from '../../engine/store/key-codec.ts'

/** A value of the indexed store: each field may be absent. */
export interface Value {
  /** Indexed, unique. */
  readonly u?: number
  /** Indexed. */
  readonly c?: string
  /** Indexed, many values. */
  readonly t?: readonly number[]
  readonly pad: string
}

export interface Item {
  readonly value: Value
  /** Absolute ms; 0: never. */
  readonly expiresAt: number
}

export type Content = ReadonlyMap<string, Item>

export interface StoreState {
  /** The indexed store with a change feed. Expired items stay until something else takes their place: readers hide them. */
  readonly main: Content
  /** A second store, without anything, for commits over both. */
  readonly other: ReadonlyMap<string, string>
  /** End of the change feed after the commit; -1: the commit is on its way, see `transact`. */
  readonly feedEnd: number
  /** What the indexed store is named now. */
  readonly mainName: string
  /** Stores that come, are renamed and go. */
  readonly extras: ReadonlyMap<string, ReadonlyMap<string, Value>>
  /** Clock of the commit, ms. */
  readonly at: number
}

export const emptyStores: StoreState = { main: new Map(), other: new Map(), feedEnd: 0, mainName: 'main', extras: new Map(), at: 0 }

export type IndexName = 'u' | 'c' | 't' | 'cu'
export const indexNames: readonly IndexName[] = ['c', 'cu', 't', 'u']
export const declared: Readonly<Record<IndexName, IndexOptions>> = {
  u: { path: 'u', unique: true },
  c: 'c',
  t: { path: 't', multi: true },
  cu: ['c', 'u'],
}

export interface Range {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
}

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Value; readonly expiresAt?: number }
  | { readonly type: 'del'; readonly key: string }
  | { readonly type: 'delRange'; readonly range: Range }
  /** On the other store; undefined deletes. */
  | { readonly type: 'other'; readonly key: string; readonly value: string | undefined }

export function isIn(key: string, { gt, gte, lt, lte, prefix }: Range): boolean {
  return (
    (gt === undefined || key > gt) &&
    (gte === undefined || key >= gte) &&
    (lt === undefined || key < lt) &&
    (lte === undefined || key <= lte) &&
    (prefix === undefined || key.startsWith(prefix))
  )
}

export function isVisible({ expiresAt }: Item, now: number): boolean {
  return expiresAt === 0 || expiresAt > now
}

/** Keys and values in order of the keys. */
export function entriesIn(content: Content, range: Range, now: number): [string, Value][] {
  return [...content]
    .filter(([key, item]) => isVisible(item, now) && isIn(key, range))
    .map(([key, { value }]): [string, Value] => [key, value])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** All entries of an index: indexed value, key and value, in order. */
export function indexEntries(content: Content, name: IndexName, now: number): [StoreKey, string, Value][] {
  const entries: [StoreKey, string, Value][] = []
  for (const [key, item] of content) {
    if (!isVisible(item, now)) continue
    const { value } = item
    const { u, c, t } = value
    if (name === 'u' && u !== undefined) entries.push([u, key, value])
    if (name === 'c' && c !== undefined) entries.push([c, key, value])
    if (name === 't') for (const each of new Set(t)) entries.push([each, key, value])
    if (name === 'cu' && c !== undefined && u !== undefined) entries.push([[c, u], key, value])
  }
  return entries.sort(([a, k], [b, l]) => compareStoreKeys(a, b) || (k < l ? -1 : 1))
}

/** The state after the operations, in their order. */
export function applied(state: StoreState, operations: readonly Operation[]): StoreState {
  const main = new Map(state.main)
  const other = new Map(state.other)
  for (const operation of operations) {
    if (operation.type === 'put') main.set(operation.key, { value: operation.value, expiresAt: operation.expiresAt ?? 0 })
    else if (operation.type === 'del') main.delete(operation.key)
    else if (operation.type === 'delRange') {
      for (const key of main.keys()) if (isIn(key, operation.range)) main.delete(key)
    } else if (operation.value === undefined) other.delete(operation.key)
    else other.set(operation.key, operation.value)
  }
  return { ...state, main, other }
}

/** True when no two keys have the same unique value. */
export function isUnique(content: Content, now: number): boolean {
  const values = indexEntries(content, 'u', now).map(([u]) => u)
  return new Set(values).size === values.length
}

const letters = 'abcd'

/** What a seed writes: how many keys, how large values. */
export interface Drawing {
  readonly keys: number
  readonly padMax: number
  /** Part of the puts that expire, and within how many ms. */
  readonly expiring: number
  readonly lifeMsMax: number
}

export function drawKey(random: SimRandom, { keys }: Drawing): string {
  const number = random.below(keys)
  return `k${String(number).padStart(number % 7 === 0 ? 4 : 2, '0')}`
}

export function drawValue(random: SimRandom, { padMax }: Drawing, number: number): Value {
  return {
    ...(random.chance(0.6) ? { u: random.below(400) } : {}),
    ...(random.chance(0.7) ? { c: letters.slice(0, random.below(4)) } : {}),
    ...(random.chance(0.4) ? { t: Array.from({ length: random.below(4) }, () => random.below(6)) } : {}),
    pad: `${number}-`.padEnd(random.chance(0.02) ? 6000 : random.below(padMax), 'p'),
  }
}

export function drawRange(random: SimRandom, drawing: Drawing): Range {
  if (random.chance(0.15)) return { prefix: drawKey(random, drawing).slice(0, 2) }
  const [from, to] = [drawKey(random, drawing), drawKey(random, drawing)].sort() as [string, string]
  const lower = [{}, { gt: from }, { gte: from }][random.below(3)] ?? {}
  const upper = [{}, { lt: to }, { lte: to }][random.below(3)] ?? {}
  return { ...lower, ...upper }
}

/** Now and then a whole range; mostly a narrow one, so that something stays. */
export function drawDeletedRange(random: SimRandom, drawing: Drawing): Range {
  if (random.chance(0.1)) return drawRange(random, drawing)
  const from = drawKey(random, drawing)
  return { gte: from, lt: `${from.slice(0, -1)}${String.fromCharCode(from.charCodeAt(from.length - 1) + 2)}` }
}

export function drawOperation(random: SimRandom, drawing: Drawing, now: number, number: number): Operation {
  const what = random.below(20)
  const key = drawKey(random, drawing)
  if (what < 12) {
    const expiry = random.chance(drawing.expiring) ? { expiresAt: now + 1 + random.below(drawing.lifeMsMax) } : {}
    return { type: 'put', key, value: drawValue(random, drawing, number), ...expiry }
  }
  if (what < 15) return { type: 'del', key }
  if (what === 15) return { type: 'delRange', range: drawDeletedRange(random, drawing) }
  return { type: 'other', key, value: random.chance(0.2) ? undefined : `${number}` }
}
