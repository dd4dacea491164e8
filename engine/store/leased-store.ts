/**
 * A store in a lease: the reading verbs over runs and memtables as they were when the lease was taken, in whatever thread opened it.
 *
 * Made by `openLease`, one for each caller; all handles of a store share what `leased-table.ts` has. Every verb throws CLOSED once the lease was released.
 */
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { VarveError } from '../errors.ts'
import { checkNames, checkObject, checkString } from '../log/check-arguments.ts'
import { type StoreStretch, stretchesOf } from './column-stretches.ts'
import { type KeyCodec, KeyEncoder, keyCodecOf, type StoreKey } from './key-codec.ts'
import { LeasedIndex } from './leased-index.ts'
import { checkLeasedRange } from './leased-range.ts'
import type { LeasedSource, LeasedTable } from './leased-table.ts'
import type { Snapshot } from './snapshots.ts'
import { splitKeysOf } from './split-keys.ts'
import type { StoreCodecs } from './store-codecs.ts'
import { boundsOf } from './store-core.ts'
import { StoreCursor } from './store-cursor.ts'
import { type IteratorShape, type IteratorSource, StoreIterator } from './store-iterator.ts'
import { checkSameStore } from './store-options.ts'
import { estimateRecords } from './store-stats.ts'
import type { ViewRangeOptions } from './store-view.ts'
import { type CustomValueCodec, openCodec, type ValueCodec, type ValueCodecName } from './value-codec.ts'

const optionNames: ReadonlySet<string> = new Set(['value', 'cacheBytes'])

/** How `OpenedLease.store` reads a store. */
export interface LeasedStoreOptions<V = unknown> {
  // --- options that change meaning -----------------------------------------------------------------------------------------------------

  /** How bytes become values. Default: the store's codec; one of your own must be given, since threads share no functions. */
  readonly value?: ValueCodecName | CustomValueCodec<V> | undefined

  // --- options that change speed -------------------------------------------------------------------------------------------------------

  /**
   * Most bytes of the store's blocks that this thread keeps in memory. Default 16 MiB. All handles of one store in one opened lease share them; the last one that
   * names a number decides. Too small: reads by key go to the file each time.
   */
  readonly cacheBytes?: number | undefined
}

/** A store as it was at the moment of a lease, read-only; see `OpenedLease.store`. */
export class LeasedStore<V = unknown, K extends StoreKey = StoreKey> {
  /** As users know it. */
  readonly name: string
  readonly #source: LeasedSource
  readonly #table: LeasedTable
  readonly #keys: KeyCodec
  readonly #values: ValueCodec<unknown>
  readonly #encoder = new KeyEncoder()
  readonly #moment: Snapshot
  readonly #assertOpen: () => void

  constructor(name: string, source: LeasedSource, options: LeasedStoreOptions<V>, moment: Snapshot, assertOpen: () => void) {
    checkOptions(options)
    const stored = source.options
    this.name = name
    this.#source = source
    this.#table = source.table
    this.#keys = keyCodecOf(stored.keys)
    this.#values = openCodec(stored.value, (options as LeasedStoreOptions).value, () => source.structures)
    checkSameStore(name, stored, { ...stored, value: this.#values.name })
    this.#moment = moment
    this.#assertOpen = assertOpen
    if (options.cacheBytes !== undefined) source.cache.bytesMax = options.cacheBytes
  }

  /** The value that the key had; undefined when it had none. Reads files synchronously where it must. */
  get(key: K): V | undefined {
    const record = this.#find(key)
    if (record === undefined) return undefined
    return this.#values.decode(record.buffer, record.valueStart, record.valueStart + record.valueBytes) as V
  }

  /** As `get`, without blocking the thread while the disk is read: for data that is probably not in memory. */
  async getAsync(key: K): Promise<V | undefined> {
    await this.#warm(key)
    return this.get(key)
  }

  /** Values in the order of the keys; undefined where there was none. */
  getMany(keys: readonly K[]): (V | undefined)[] {
    if (!Array.isArray(keys)) throw new TypeError(`keys must be an array, got ${String(keys)}`)
    return keys.map(key => this.get(key))
  }

  /** Whether the key had a value. */
  has(key: K): boolean {
    return this.#find(key) !== undefined
  }

  /** As `has`, without blocking the thread while the disk is read. */
  async hasAsync(key: K): Promise<boolean> {
    await this.#warm(key)
    return this.has(key)
  }

  /** Keys and values of a range. */
  entries(range: ViewRangeOptions<K> = {}): StoreIterator<[K, V]> {
    return this.#iterate<[K, V]>(range, 'entry')
  }

  /** As `entries`: for its `nextBatch` and `seek`. */
  iterator(range: ViewRangeOptions<K> = {}): StoreIterator<[K, V]> {
    return this.#iterate<[K, V]>(range, 'entry')
  }

  /** Keys alone; values are not decoded. */
  keys(range: ViewRangeOptions<K> = {}): StoreIterator<K> {
    return this.#iterate<K>(range, 'key')
  }

  /** Values alone. */
  values(range: ViewRangeOptions<K> = {}): StoreIterator<V> {
    return this.#iterate<V>(range, 'value')
  }

  /** How many entries lay in the range. Walks over all of them. */
  count(range: ViewRangeOptions<K> = {}): number {
    this.#assertOpen()
    checkLeasedRange(range)
    const { start, end, isEmpty } = boundsOf(range, this.#keys, this.#encoder)
    if (isEmpty) return 0
    const { limit = Number.POSITIVE_INFINITY } = range
    const { sequence, time } = this.#moment
    const cursor = new StoreCursor(this.#table, { start, end, sequenceMax: sequence - 1, now: time })
    return cursor.count(limit)
  }

  /** About how many entries lay in the range, without walking over them; see `Store.estimate`. */
  estimate(range: ViewRangeOptions<K> = {}): number {
    this.#assertOpen()
    checkLeasedRange(range)
    return estimateRecords(this.#table, boundsOf(range, this.#keys, this.#encoder))
  }

  /** How keys and values are encoded. */
  get codecs(): StoreCodecs {
    return { keys: this.#keys, values: this.#values }
  }

  /** Encoded keys, at most `count - 1`, that cut the store into ranges of like size, for readers that share the work; found without reading a block. */
  splitKeys(count: number): Uint8Array[] {
    this.#assertOpen()
    return splitKeysOf(this.#table, count)
  }

  /** Entries from one encoded key on and before another, as `splitKeys` gives them, in key order: for `StoreIterator.nextRaw`. */
  scan(start: Uint8Array | undefined, end: Uint8Array | undefined): StoreIterator<[K, V]> {
    this.#assertOpen()
    return this.#iterator({ start, end, reverse: undefined }, Number.POSITIVE_INFINITY, 'entry', false)
  }

  /** The range from one encoded key on and before another in stretches, of some of which columns have all entries; the fields of `paths` at least. */
  stretches(start: Uint8Array | undefined, end: Uint8Array | undefined, paths: readonly string[]): StoreStretch[] {
    this.#assertOpen()
    const { sequence, time } = this.#moment
    return stretchesOf(this.#table, { start, end, sequenceMax: sequence - 1, now: time, paths })
  }

  /** An index of the store, for queries by indexed value. NOT_FOUND when there was none of this name. */
  index(name: string): LeasedIndex<V, K> {
    this.#assertOpen()
    checkString(name, 'name')
    const found = this.#source.indexes.find(index => index.name === name)
    if (found === undefined)
      throw new VarveError('NOT_FOUND', `store ${this.name} has no index ${name} in this lease`, {
        details: { store: this.name, index: name },
      })
    const store = {
      keys: this.#keys,
      values: this.#values,
      assertUsable: this.#assertOpen,
      find: (primaryKey: Uint8Array, sequenceMax: number) => this.#table.finder.find(primaryKey, 0, primaryKey.length, sequenceMax),
    }
    return new LeasedIndex<V, K>(this.name, found, store, this.#moment)
  }

  /** Names of the store's indexes, sorted. */
  indexNames(): string[] {
    this.#assertOpen()
    return this.#source.indexes.map(({ name }) => name).sort()
  }

  [Symbol.iterator](): StoreIterator<[K, V]> {
    return this.entries()
  }

  async #warm(key: K): Promise<void> {
    this.#assertOpen()
    const bytes = this.#encoder.bytes.slice(0, this.#keys.encodeInto(this.#encoder, key))
    await this.#table.warm(bytes, 0, bytes.byteLength)
  }

  #find(key: K): StoreRecordCursor | undefined {
    this.#assertOpen()
    const { sequence, time } = this.#moment
    const size = this.#keys.encodeInto(this.#encoder, key)
    const record = this.#table.finder.find(this.#encoder.bytes, 0, size, sequence - 1)
    return record === undefined || (record.expiry > 0 && record.expiry <= time) ? undefined : record
  }

  #iterate<T>(range: ViewRangeOptions<K>, shape: IteratorShape): StoreIterator<T> {
    this.#assertOpen()
    checkLeasedRange(range)
    const { start, end, isEmpty } = boundsOf(range, this.#keys, this.#encoder)
    return this.#iterator<T>({ start, end, reverse: range.reverse }, range.limit ?? Number.POSITIVE_INFINITY, shape, isEmpty)
  }

  #iterator<T>(bounds: IteratorSource['bounds'], limit: number, shape: IteratorShape, isEmpty: boolean): StoreIterator<T> {
    return new StoreIterator<T>({
      table: this.#table,
      keys: this.#keys,
      values: this.#values,
      snapshot: this.#moment,
      ownsSnapshot: false,
      bounds,
      limit,
      shape,
      isEmpty,
      assertOpen: this.#assertOpen,
      encodeKey: key => this.#encoder.bytes.slice(0, this.#keys.encodeInto(this.#encoder, key)),
    })
  }
}

function checkOptions(options: Pick<LeasedStoreOptions, 'cacheBytes'>): void {
  checkObject(options, 'options')
  checkNames(options, optionNames)
  const { cacheBytes } = options
  if (cacheBytes !== undefined && !(Number.isSafeInteger(cacheBytes) && cacheBytes >= 0)) {
    throw new RangeError(`cacheBytes must be a non-negative integer, got ${String(cacheBytes)}`)
  }
}
