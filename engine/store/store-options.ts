/**
 * Options of a store: what is stored with its definition and compared when it is opened again, and the arguments of its verbs, checked by name.
 */
import { type CompressionName, compressionNames } from '../codec/compression.ts'
import { VarveError } from '../errors.ts'
import { checkNames, checkObject } from '../log/check-arguments.ts'
import type { Durability } from '../log/log.ts'
import { type ChangesOptions, checkFeatureOptions, type HistoryOptions, type StoredChanges, type StoredHistory } from './change-options.ts'
import { checkIndexable, type IndexOptions, resolveIndexes } from './index-options.ts'
import type { KeyCodecName, StoreKey } from './key-codec.ts'
import { assertSnapshotOpen, type Snapshot } from './snapshots.ts'
import { type CustomValueCodec, sharingCodecName, type ValueCodecName } from './value-codec.ts'

/** Options of `Database.store`. */
export interface StoreOptions<V> {
  // --- options that change meaning; stored, and compared at reopen (DEFINITION_MISMATCH) -------------------------------------------------

  /**
   * How keys become bytes. 'tuple' (default): strings, numbers, bigints, booleans, null, dates, bytes and arrays of them, in one order. 'string':
   * strings alone, by UTF-8 bytes. 'bytes': Uint8Arrays as they are.
   */
  readonly keys?: KeyCodecName | undefined
  /** How values become bytes: 'msgpack' (default), 'json', 'string', 'bytes', or a codec of your own. */
  readonly value?: ValueCodecName | CustomValueCodec<V> | undefined
  /**
   * Whether 'msgpack' values share the lists of their keys: of an object whose keys were seen before, only the values are written, which makes it smaller and
   * quicker to read. A store keeps up to 64 lists; objects with other keys are written with them. False for values whose bytes must be readable alone, as by
   * `StoreIterator.nextRaw`. Default for a new store: true for 'msgpack'; of no meaning for other values.
   */
  readonly structures?: boolean | undefined
  /**
   * Keep a change feed (`Store.changes`), for ever (true) or with a retention: each write is then kept once more, in commit order. Whether there is one
   * is fixed when the store is defined; its retention may change. Default: none.
   */
  readonly changes?: boolean | ChangesOptions | undefined

  // --- options that may change from one opening to the next ----------------------------------------------------------------------------

  /**
   * How long an entry lives from its put, ms, unless the put says otherwise. It is kept with the store and holds for all handles: left out, it stays as
   * it is; another one counts for the puts from then on; false ends it. Default for a new store: for ever.
   */
  readonly ttlMs?: number | false | undefined
  /**
   * Keep superseded and deleted versions for so long, for `Store.asOf`. Switched on for a store that exists, its history begins then; false ends it.
   * Default for a new store: none.
   */
  readonly history?: HistoryOptions | false | undefined
  /**
   * Codec of the blocks that the store's records are written to disk in: 'none', 'gzip', 'snappy', 'lz4' or 'zstd'. It is kept with the store: left out, it
   * stays as it is; another one counts for blocks that are written from then on, and compaction brings it to the older ones. CODEC_MISSING when its
   * package is not installed. Default for a new store: 'none'.
   */
  readonly compression?: CompressionName | undefined
  /**
   * Fields, as paths, that segments also hold as columns, for jobs that read these alone: they then need not read records. For values that are 'msgpack' or 'json'. It is kept with the store:
   * left out, it stays as it is; another list counts for segments that are written from then on, and compaction brings it to the older ones; an empty one ends it. Costs their
   * space, and time when segments are written. Default for a new store: none.
   */
  readonly columns?: readonly string[] | undefined
  /**
   * Secondary indexes by name. One that is new is built in the background (see `Store.ready`); one that is there must be declared as it was
   * (DEFINITION_MISMATCH); one that is not named stays until `Store.dropIndex`. Only for values with fields: msgpack, json or a codec of your own.
   */
  readonly indexes?: { readonly [name: string]: IndexOptions } | undefined
}

/** What the definition of a store's log carries. */
export interface StoredStoreOptions {
  readonly keys: KeyCodecName
  /** Name of the value codec. */
  readonly value: string
  readonly ttlMs?: number
  /** Retention of the change feed; present when the log keeps a body. */
  readonly changes?: StoredChanges
  readonly history?: StoredHistory
}

/** Which moment is read. */
export interface ReadStoreOptions {
  /** Read this moment instead of the newest. */
  readonly snapshot?: Snapshot | undefined
}

/** How a write is acknowledged. */
export interface WriteStoreOptions {
  /** Default: the database's. */
  readonly durability?: Durability | undefined
}

/** How one entry is put. */
export interface PutOptions extends WriteStoreOptions {
  /** How long this entry lives, ms; Infinity: for ever, whatever the store says. Default: the store's. */
  readonly ttlMs?: number | undefined
  /** When it expires, absolute ms since 1970. Not together with `ttlMs`. */
  readonly expiresAt?: number | undefined
}

/** A range of keys. `gt` and `gte` exclude each other, so do `lt` and `lte`, and `prefix` and all of them. Default: everything. */
export interface RangeOptions<K = StoreKey> extends ReadStoreOptions {
  /** Above this key. */
  readonly gt?: K | undefined
  /** From this key on. */
  readonly gte?: K | undefined
  /** Below this key. */
  readonly lt?: K | undefined
  /** Up to this key, inclusive. */
  readonly lte?: K | undefined
  /** Keys that begin with it: tuples with these elements, strings with this text. */
  readonly prefix?: K | undefined
  /** From the end to the beginning. Default false. */
  readonly reverse?: boolean | undefined
  /** Most entries. Default: all. */
  readonly limit?: number | undefined
}

const storeOptionNames: ReadonlySet<string> = new Set([
  'keys',
  'value',
  'structures',
  'changes',
  'ttlMs',
  'history',
  'compression',
  'columns',
  'indexes',
])
const putOptionNames: ReadonlySet<string> = new Set(['durability', 'ttlMs', 'expiresAt'])
const writeOptionNames: ReadonlySet<string> = new Set(['durability'])
const readOptionNames: ReadonlySet<string> = new Set(['snapshot'])
const rangeOptionNames: ReadonlySet<string> = new Set(['gt', 'gte', 'lt', 'lte', 'prefix', 'reverse', 'limit', 'snapshot'])
const keyCodecNames: readonly KeyCodecName[] = ['tuple', 'string', 'bytes']
const durabilities: readonly unknown[] = ['sync', 'buffered', 'none']

export function checkStoreOptions(options: StoreOptions<never>): void {
  checkObject(options, 'options')
  checkNames(options, storeOptionNames)
  const { keys, ttlMs, value, structures, compression, indexes } = options
  if (keys !== undefined && !keyCodecNames.includes(keys)) {
    throw new TypeError(`keys must be ${keyCodecNames.map(name => `'${name}'`).join(' or ')}, got ${String(keys)}`)
  }
  if (structures !== undefined && typeof structures !== 'boolean') {
    throw new TypeError(`structures must be true or false, got ${String(structures)}`)
  }
  if (structures === true && value !== undefined && value !== 'msgpack')
    throw new TypeError("structures is an option of values that are 'msgpack'")
  if (ttlMs !== false) {
    checkTtl(ttlMs)
    if (ttlMs === Number.POSITIVE_INFINITY) throw new RangeError('ttlMs of a store must be finite; false: entries live for ever')
  }
  checkFeatureOptions(options.changes, options.history)
  if (compression !== undefined && !compressionNames.includes(compression)) {
    throw new TypeError(`compression must be ${compressionNames.map(name => `'${name}'`).join(' or ')}, got ${String(compression)}`)
  }
  if (indexes === undefined) return
  resolveIndexes(indexes)
  if (typeof value === 'string') checkIndexable(value)
}

/** Throws DEFINITION_MISMATCH with the option and both values when a stored store was defined otherwise. */
export function checkSameStore(name: string, stored: StoredStoreOptions, wanted: StoredStoreOptions): void {
  for (const option of ['keys', 'value'] as const) {
    if (stored[option] === wanted[option]) continue
    if (option === 'value' && isMsgpack(stored.value) && isMsgpack(wanted.value)) {
      const details = { option: 'structures', expected: stored.value === sharingCodecName, actual: wanted.value === sharingCodecName }
      throw new VarveError('DEFINITION_MISMATCH', `store ${name}: structures is ${details.expected}, not ${details.actual}`, { details })
    }
    const details = { option, expected: namedByCaller(stored[option]), actual: namedByCaller(wanted[option]) }
    throw new VarveError('DEFINITION_MISMATCH', `store ${name}: ${option} is '${details.expected}', not '${details.actual}'`, { details })
  }
}

/** A codec as the option `value` names it. */
export function namedByCaller(name: string): string {
  return name === sharingCodecName ? 'msgpack' : name
}

function isMsgpack(name: string): boolean {
  return namedByCaller(name) === 'msgpack'
}

export function checkWriteOptions(options: WriteStoreOptions): void {
  checkObject(options, 'options')
  checkNames(options, writeOptionNames)
  checkDurability(options.durability)
}

export function checkPutOptions(options: PutOptions): void {
  checkObject(options, 'options')
  checkNames(options, putOptionNames)
  checkDurability(options.durability)
  checkTtl(options.ttlMs)
  const { expiresAt } = options
  if (expiresAt === undefined) return
  if (options.ttlMs !== undefined) throw new TypeError('ttlMs and expiresAt exclude each other')
  if (!Number.isSafeInteger(expiresAt) || expiresAt <= 0) {
    throw new RangeError(`expiresAt must be a positive integer of milliseconds, got ${String(expiresAt)}`)
  }
}

export function checkReadStoreOptions(options: ReadStoreOptions): void {
  checkObject(options, 'options')
  checkNames(options, readOptionNames)
  if (options.snapshot !== undefined) assertSnapshotOpen(options.snapshot)
}

export function checkRange(options: RangeOptions<unknown>): void {
  if (options === null || typeof options !== 'object')
    throw new TypeError(
      `a range must be an object, as { gte, lt } or { prefix } (of one key { gte: key, lte: key }), got ${String(options)}`,
    )
  checkNames(options, rangeOptionNames)
  const { gt, gte, lt, lte, prefix, reverse, limit, snapshot } = options
  if (gt !== undefined && gte !== undefined) throw new TypeError('gt and gte exclude each other')
  if (lt !== undefined && lte !== undefined) throw new TypeError('lt and lte exclude each other')
  if (prefix !== undefined && (gt !== undefined || gte !== undefined || lt !== undefined || lte !== undefined)) {
    throw new TypeError('prefix and gt, gte, lt, lte exclude each other')
  }
  if (reverse !== undefined && typeof reverse !== 'boolean') throw new TypeError(`reverse must be true or false, got ${String(reverse)}`)
  if (limit !== undefined && limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new RangeError(`limit must be a non-negative integer, got ${String(limit)}`)
  }
  if (snapshot !== undefined) assertSnapshotOpen(snapshot)
}

function checkDurability(durability: unknown): void {
  if (durability === undefined || durabilities.includes(durability)) return
  throw new TypeError(`durability must be 'sync', 'buffered' or 'none', got ${String(durability)}`)
}

function checkTtl(ttlMs: unknown): void {
  if (ttlMs === undefined) return
  if (typeof ttlMs !== 'number' || !(ttlMs > 0)) throw new RangeError(`ttlMs must be positive, got ${String(ttlMs)}`)
}
