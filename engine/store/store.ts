/**
 * A store: keys to values, in key order. The public face; what it does is in `store-core.ts`, `store-table.ts` and `store-iterator.ts`.
 *
 * Reads are synchronous and see a write as soon as it was called; promises of writes resolve when their durability word holds. Verbs check their
 * arguments by name (TypeError, RangeError); every verb throws CLOSED after the database was closed and NOT_FOUND after the store was dropped.
 */
import { StoreWrites } from '../batch/store-writes.ts'
import { assert, type VarveError } from '../errors.ts'
import { checkObject, checkString } from '../log/check-arguments.ts'
import type { Durability } from '../log/log.ts'
import { checkChangesReadOptions, checkMoment, checkReadChanges } from './change-options.ts'
import {
  assertHasChanges,
  batchRecordsMaxDefault,
  type ChangeBatch,
  ChangeFeed,
  type ChangesReadOptions,
  positionOf,
  readChanges,
  trimChanges,
} from './changes.ts'
import type { GroupChangeFeed, GroupChangesOptions } from './group-feed.ts'
import type { StoreIndexes } from './indexes.ts'
import type { StoreKey } from './key-codec.ts'
import { StoreCore } from './store-core.ts'
import { StoreIndex } from './store-index.ts'
import { type IteratorShape, StoreIterator } from './store-iterator.ts'
import {
  checkPutOptions,
  checkRange,
  checkReadStoreOptions,
  checkWriteOptions,
  type PutOptions,
  type RangeOptions,
  type ReadStoreOptions,
  type WriteStoreOptions,
} from './store-options.ts'
import { estimateRecords, type StoreStats, statsOf } from './store-stats.ts'
import { StoreView } from './store-view.ts'
import { storedStructures } from './value-structures.ts'

/** One write of `batch`. */
export type BatchOperation<V = unknown, K extends StoreKey = StoreKey> =
  | { readonly type: 'put'; readonly key: K; readonly value: V; readonly ttlMs?: number; readonly expiresAt?: number }
  | { readonly type: 'del'; readonly key: K }
  | { readonly type: 'delRange'; readonly range: RangeOptions<K> }

/** One write of `batch` to another store of the same database, with that store's keys and values. */
export type OtherStoreOperation = BatchOperation & { readonly store: Store }

const cores = new WeakMap<object, StoreCore>()

/** What lies behind a store; TypeError for anything that is none. */
export function coreOf(store: unknown): StoreCore {
  const core = typeof store === 'object' && store !== null ? cores.get(store) : undefined
  if (core === undefined) throw new TypeError('store must be a store of this database')
  return core
}

/** A store: keys to values, in key order; see `Database.store`. */
export class Store<V = unknown, K extends StoreKey = StoreKey> {
  readonly name: string
  readonly #opened: StoreCore | VarveError
  readonly #ready: Promise<void>
  /** Of the verb under way; verbs are synchronous up to their commit. */
  readonly #writes = new StoreWrites()

  /** `opened`: the error when the store could not be opened as it was asked for; every verb throws it. */
  constructor(name: string, opened: StoreCore | VarveError, ready: Promise<void>) {
    this.name = name
    this.#opened = opened
    this.#ready = ready
    if (opened instanceof StoreCore) cores.set(this, opened)
  }

  get #core(): StoreCore {
    if (this.#opened instanceof StoreCore) return this.#opened
    throw this.#opened
  }

  /** Resolves when the store's definition is durable and its indexes are built; rejects when one was refused. */
  ready(): Promise<void> {
    return this.#ready
  }

  // --- reading -------------------------------------------------------------------------------------------------------------------------

  /** The value of the key; undefined when there is none. Reads files synchronously where it must; see `getAsync`. */
  get(key: K, options?: ReadStoreOptions): V | undefined {
    const core = this.#core
    core.assertUsable()
    if (options !== undefined) checkReadStoreOptions(options)
    const size = core.encodeKey(key)
    const record = core.find(size, options?.snapshot)
    return record === undefined ? undefined : (core.decode(record) as V)
  }

  /** As `get`, without blocking the thread while the disk is read: for data that is probably not in memory. */
  async getAsync(key: K, options?: ReadStoreOptions): Promise<V | undefined> {
    await this.#warm(key, options)
    return this.get(key, options)
  }

  /** Values in the order of the keys; undefined where there is none. All of one moment. */
  getMany(keys: readonly K[], options?: ReadStoreOptions): (V | undefined)[] {
    if (!Array.isArray(keys)) throw new TypeError(`keys must be an array, got ${String(keys)}`)
    return keys.map(key => this.get(key, options))
  }

  /** Whether the key has a value, which is not decoded. */
  has(key: K, options?: ReadStoreOptions): boolean {
    const core = this.#core
    core.assertUsable()
    if (options !== undefined) checkReadStoreOptions(options)
    const size = core.encodeKey(key)
    return core.find(size, options?.snapshot) !== undefined
  }

  /** As `has`, without blocking the thread while the disk is read. */
  async hasAsync(key: K, options?: ReadStoreOptions): Promise<boolean> {
    await this.#warm(key, options)
    return this.has(key, options)
  }

  async #warm(key: K, options: ReadStoreOptions | undefined): Promise<void> {
    const core = this.#core
    core.assertUsable()
    if (options !== undefined) checkReadStoreOptions(options)
    const bytes = core.keyBytes(key)
    const unpin = core.host.pin(core.table.segmentsOf(bytes))
    try {
      await core.table.warm(bytes, 0, bytes.byteLength)
    } finally {
      unpin()
    }
  }

  /** Keys and values of a range at one moment. */
  entries(range: RangeOptions<K> = {}): StoreIterator<[K, V]> {
    return this.#iterate<[K, V]>(range, 'entry')
  }

  /** As `entries`: for its `nextBatch` and `seek`. */
  iterator(range: RangeOptions<K> = {}): StoreIterator<[K, V]> {
    return this.#iterate<[K, V]>(range, 'entry')
  }

  /** Keys alone; values are not decoded. */
  keys(range: RangeOptions<K> = {}): StoreIterator<K> {
    return this.#iterate<K>(range, 'key')
  }

  /** Values alone. */
  values(range: RangeOptions<K> = {}): StoreIterator<V> {
    return this.#iterate<V>(range, 'value')
  }

  /** An index of the store, for queries by indexed value. NOT_FOUND when there is none of this name. */
  index(name: string): StoreIndex<V, K> {
    const core = this.#core
    core.assertUsable()
    checkString(name, 'name')
    return new StoreIndex<V, K>(core, indexesOf(core).get(name))
  }

  /** Names of the store's indexes, sorted. */
  indexNames(): string[] {
    const core = this.#core
    core.assertUsable()
    return indexesOf(core)
      .live()
      .map(({ name }) => name)
      .sort()
  }

  /** Removes an index with all its entries. NOT_FOUND. Resolves when durable. */
  async dropIndex(name: string): Promise<void> {
    const core = this.#core
    core.assertUsable()
    checkString(name, 'name')
    await indexesOf(core).drop(name)
  }

  [Symbol.iterator](): StoreIterator<[K, V]> {
    return this.entries()
  }

  /**
   * The store as it was: at a commit sequence (`Change.sequence + 1`, `Snapshot.sequence`), or at a time, as far as the history is dense there (see
   * docs/STORES.md). What had expired by then is hidden. HISTORY_GONE before the horizon; TypeError for a store without the option `history`.
   */
  asOf(moment: number | { readonly time: number }): StoreView<V, K> {
    const core = this.#core
    core.assertUsable()
    checkMoment(moment)
    const history = core.histories.of(core.log)
    if (history === undefined) throw new TypeError(`store ${core.name} was not opened with the option history`)
    const { sequence, time } = history.momentOf(moment)
    return new StoreView<V, K>(this, core.host.snapshots.takeCollectable(sequence, time))
  }

  // --- change feed ---------------------------------------------------------------------------------------------------------------------

  /**
   * Batches of changes as a member of a consumer group, which keeps the position: of its consumers one has the feed, the others stand by. TypeError for a store
   * without the option `changes`, and in a database without groups (`varve/engine` alone).
   */
  changes(options: GroupChangesOptions): GroupChangeFeed<V, K>
  /** Batches of changes in commit order, once they are acknowledged, for ever: an async iterable that can be resumed by `position`. */
  changes(options?: ChangesReadOptions): ChangeFeed<V, K>
  changes(options: ChangesReadOptions | GroupChangesOptions = {}): ChangeFeed<V, K> | GroupChangeFeed<V, K> {
    const core = this.#core
    if (typeof options === 'object' && options !== null && 'group' in options) {
      assertHasChanges(core)
      return core.host.openGroupFeed(this as unknown as Store<never, never>, options) as unknown as GroupChangeFeed<V, K>
    }
    checkChangesReadOptions(options)
    const { from = 'end', signal, batchRecordsMax = batchRecordsMaxDefault } = options
    return new ChangeFeed<V, K>(core, positionOf(core, from), batchRecordsMax, signal)
  }

  /**
   * Changes that are there, from a position or the 'start' on: up to `limit` (default 1000), or fewer where they are large; none only at the end.
   * OFFSET_OUT_OF_RANGE, with the range there is, when they were trimmed.
   */
  readChanges(position: number | 'start', options: { readonly limit?: number | undefined } = {}): ChangeBatch<V, K> {
    const core = this.#core
    const from = position === 'start' ? positionOf(core, position) : position
    checkReadChanges(from, options)
    return readChanges<V, K>(core, from, options.limit ?? batchRecordsMaxDefault)
  }

  /**
   * Where the feed begins and ends now: `earliest` is the first position that is still kept, `latest` the one behind the last acknowledged change. A
   * consumer at position `p` is `latest - p` changes behind.
   */
  changePositions(): { readonly earliest: number; readonly latest: number } {
    const core = this.#core
    return { earliest: positionOf(core, 'start'), latest: positionOf(core, 'end') }
  }

  /** Forgets the changes below a position now. RangeError above what is acknowledged. Resolves when the database's durability word holds. */
  async trimChanges(position: number): Promise<void> {
    checkReadChanges(position, {})
    await trimChanges(this.#core, position)
  }

  /** How many entries lie in the range. Walks over all of them. */
  count(range: RangeOptions<K> = {}): number {
    const core = this.#core
    core.assertUsable()
    checkRange(range)
    const { start, end, isEmpty } = core.bounds(range)
    if (isEmpty) return 0
    const { snapshot, limit = Number.POSITIVE_INFINITY } = range
    const cursor = core.cursor({ start, end, sequenceMax: core.sequenceMax(snapshot), now: snapshot?.time ?? core.host.now() })
    return cursor.count(limit)
  }

  /** About how many entries lie in the range, without walking over them: by whole blocks; superseded versions and deletes count until compaction. */
  estimate(range: RangeOptions<K> = {}): number {
    const core = this.#core
    core.assertUsable()
    checkRange(range)
    return estimateRecords(core.table, core.bounds(range))
  }

  /** What lies where (memtables, runs by level, memory, indexes), and what writing and reading it cost. */
  stats(): StoreStats {
    const core = this.#core
    core.assertUsable()
    const indexes = indexesOf(core)
      .live()
      .map(({ name, builtSequence, table }) => ({ name, isReady: builtSequence !== undefined, table }))
    return statsOf({ table: core.table, sharedStructures: storedStructures(core.log).length, ...core.host.writtenOf(core.log.id), indexes })
  }

  #iterate<T>(range: RangeOptions<K>, shape: IteratorShape): StoreIterator<T> {
    const core = this.#core
    core.assertUsable()
    checkRange(range)
    const { start, end, isEmpty } = core.bounds(range)
    const { host } = core
    const snapshot = range.snapshot ?? host.snapshots.take(host.visibleSequence, host.now())
    return new StoreIterator<T>({
      table: core.table,
      keys: core.keys,
      values: core.values,
      snapshot,
      ownsSnapshot: range.snapshot === undefined,
      bounds: { start, end, reverse: range.reverse },
      limit: range.limit ?? Number.POSITIVE_INFINITY,
      shape,
      isEmpty,
      assertOpen: core.assertOpen,
      encodeKey: core.encodeSeek,
    })
  }

  // --- writing -------------------------------------------------------------------------------------------------------------------------

  /** Sets the value of the key. Resolves when the durability word holds; reads see it at once. */
  put(key: K, value: V, options?: PutOptions): Promise<void> {
    return this.#write(writes => {
      if (options !== undefined) checkPutOptions(options)
      this.#core.addPut(writes, key, value, this.#core.expiryOf(options))
    }, options?.durability)
  }

  /** Removes the key; nothing happens when there is none. */
  del(key: K, options?: WriteStoreOptions): Promise<void> {
    return this.#write(writes => {
      if (options !== undefined) checkWriteOptions(options)
      this.#core.addDelete(writes, key)
    }, options?.durability)
  }

  /** Removes all keys of a range in one record, however many there are. `limit` and `reverse` are refused. */
  delRange(range: RangeOptions<K>, options?: WriteStoreOptions): Promise<void> {
    return this.#write(writes => {
      if (options !== undefined) checkWriteOptions(options)
      checkDeleteRange(range)
      this.#core.addRangeDelete(writes, range)
    }, options?.durability)
  }

  /** Removes everything. */
  clear(options?: WriteStoreOptions): Promise<void> {
    return this.delRange({}, options)
  }

  /** Several writes, in one store or several of one database, as one commit: all or nothing, in their order. */
  batch(operations: readonly (BatchOperation<V, K> | OtherStoreOperation)[], options?: WriteStoreOptions): Promise<void> {
    const others = new Map<StoreCore, StoreWrites>()
    return this.#write(
      writes => {
        if (options !== undefined) checkWriteOptions(options)
        if (!Array.isArray(operations)) throw new TypeError(`operations must be an array, got ${String(operations)}`)
        for (const operation of operations as readonly (BatchOperation & { readonly store?: Store })[]) {
          checkObject(operation, 'each of operations')
          const core = operation.store === undefined ? this.#core : coreOf(operation.store)
          const target = core === this.#core ? writes : writesOf(others, core, this.#core)
          addOperation(core, target, operation)
        }
      },
      options?.durability,
      others,
    )
  }

  /**
   * Sets the value (undefined: removes the key) if the key has the `expected` value (undefined: none) now, compared by their encoding. Resolves to whether
   * it did, when durable.
   */
  compareAndSet(key: K, expected: V | undefined, value: V | undefined, options?: PutOptions): Promise<boolean> {
    let isSame = false
    const written = this.#write(writes => {
      const core = this.#core
      if (options !== undefined) checkPutOptions(options)
      const wanted = expected === undefined ? undefined : core.comparable(expected)
      const size = core.encodeKey(key)
      const record = core.find(size, undefined)
      isSame =
        record === undefined || wanted === undefined
          ? record === wanted
          : core.holds(record.buffer, record.valueStart, record.valueStart + record.valueBytes, wanted)
      if (!isSame) return
      if (value === undefined) core.addDelete(writes, key)
      else core.addPut(writes, key, value, core.expiryOf(options))
    }, options?.durability)
    return written.then(() => isSame)
  }

  /** Merges everything into one run: superseded versions and deletes that no snapshot needs give their space back. Resolves when done. */
  async compact(): Promise<void> {
    const core = this.#core
    core.assertUsable()
    await core.host.compact(core.log)
  }

  /** Collects rows and commits them, if there are any. What `collect` throws rejects, and nothing is written. */
  #write(
    collect: (writes: StoreWrites) => void,
    durability: Durability | undefined,
    others?: ReadonlyMap<StoreCore, StoreWrites>,
  ): Promise<void> {
    // A value codec that writes to the store itself must not get at the rows of the verb under way.
    const writes = this.#writes.count === 0 ? this.#writes : new StoreWrites()
    try {
      const core = this.#core
      core.assertUsable()
      collect(writes)
      const hasOthers = others !== undefined && others.size > 0
      if (writes.count === 0 && !hasOthers) return Promise.resolve()
      if (!hasOthers) return core.commitAlone(writes, durability)
      const committed = core.host.commit(commit => {
        if (writes.count > 0) core.append(commit, writes)
        for (const [other, rows] of others) if (rows.count > 0) other.append(commit, rows)
      }, durability)
      return committed.acknowledged
    } catch (error) {
      return Promise.reject(error)
    } finally {
      writes.clear()
    }
  }
}

function indexesOf(core: StoreCore): StoreIndexes {
  assert(core.indexes !== undefined, 'a store that users open has its indexes')
  return core.indexes
}

function writesOf(others: Map<StoreCore, StoreWrites>, core: StoreCore, own: StoreCore): StoreWrites {
  const known = others.get(core)
  if (known !== undefined) return known
  if (core.host !== own.host) throw new TypeError('store must be a store of this database')
  core.assertUsable()
  const writes = new StoreWrites()
  others.set(core, writes)
  return writes
}

function addOperation(core: StoreCore, writes: StoreWrites, operation: BatchOperation): void {
  switch (operation.type) {
    case 'put': {
      const { key, value, ttlMs, expiresAt } = operation
      if (ttlMs !== undefined || expiresAt !== undefined) checkPutOptions({ ttlMs, expiresAt })
      core.addPut(writes, key, value, core.expiryOf(ttlMs === undefined && expiresAt === undefined ? undefined : { ttlMs, expiresAt }))
      return
    }
    case 'del':
      core.addDelete(writes, operation.key)
      return
    case 'delRange':
      checkDeleteRange(operation.range)
      core.addRangeDelete(writes, operation.range)
      return
    default:
      throw new TypeError(`type must be 'put', 'del' or 'delRange', got ${String((operation as { type?: unknown }).type)}`)
  }
}

function checkDeleteRange(range: RangeOptions<unknown>): void {
  checkRange(range)
  for (const name of ['limit', 'reverse', 'snapshot'] as const) {
    if (range[name] !== undefined) throw new TypeError(`${name} has no meaning for delRange`)
  }
}
