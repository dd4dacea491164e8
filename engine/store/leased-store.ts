/**
 * A store in a lease: the reading verbs over runs and memtables as they were when the lease was taken, in whatever thread opened it.
 *
 * Made by `openLease`, one `LeasedTable` for each store of the lease and a `LeasedStore` for each caller. Files are opened with the first read that needs
 * them and closed with the lease. Invariant: nothing of a table changes, so cursors never have to find their place anew. Every verb throws CLOSED
 * once the lease was released.
 */
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { checkNames, checkObject } from '../log/check-arguments.ts'
import type { PartRef } from '../log/parts.ts'
import { BlockCache } from './block-cache.ts'
import { type KeyCodec, KeyEncoder, keyCodecOf, type StoreKey } from './key-codec.ts'
import { KeyFinder } from './key-finder.ts'
import type { Memtable } from './memtable.ts'
import { newestRunFirst, Run } from './run.ts'
import type { Snapshot } from './snapshots.ts'
import { boundsOf } from './store-core.ts'
import { type CursorTable, StoreCursor } from './store-cursor.ts'
import { type IteratorShape, StoreIterator } from './store-iterator.ts'
import { checkRange, checkSameStore, type StoredStoreOptions } from './store-options.ts'
import type { ViewRangeOptions } from './store-view.ts'
import { type CustomValueCodec, storedCodec, type ValueCodec, type ValueCodecName, valueCodecOf } from './value-codec.ts'

const cacheBytesDefault = 16 * 1024 * 1024
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

/** What all handles of one store in an opened lease read. */
export class LeasedTable implements CursorTable {
  readonly version = 0
  readonly options: StoredStoreOptions
  /** Oldest first. */
  readonly memtables: readonly Memtable[]
  readonly cache: BlockCache = new BlockCache(cacheBytesDefault)
  readonly finder: KeyFinder = new KeyFinder(this)
  readonly #openParts: () => readonly PartRef[]
  /** Newest first; undefined until they are asked for. */
  #runs: readonly Run[] | undefined

  constructor(options: StoredStoreOptions, memtables: readonly Memtable[], openParts: () => readonly PartRef[]) {
    this.options = options
    this.memtables = memtables
    this.#openParts = openParts
  }

  /** Newest first. */
  get runs(): readonly Run[] {
    this.#runs ??= this.#openParts()
      .map(part => new Run(part, this.cache))
      .sort(newestRunFirst)
    return this.#runs
  }
}

/** A store as it was at the moment of a lease, read-only; see `OpenedLease.store`. */
export class LeasedStore<V = unknown, K extends StoreKey = StoreKey> {
  readonly name: string
  readonly #table: LeasedTable
  readonly #keys: KeyCodec
  readonly #values: ValueCodec<unknown>
  readonly #encoder = new KeyEncoder()
  readonly #moment: Snapshot
  readonly #assertOpen: () => void

  constructor(name: string, table: LeasedTable, options: LeasedStoreOptions<V>, moment: Snapshot, assertOpen: () => void) {
    checkOptions(options)
    const stored = table.options
    this.name = name
    this.#table = table
    this.#keys = keyCodecOf(stored.keys)
    this.#values = valueCodecOf((options as LeasedStoreOptions).value ?? storedCodec(stored.value))
    checkSameStore(name, stored, { ...stored, value: this.#values.name })
    this.#moment = moment
    this.#assertOpen = assertOpen
    if (options.cacheBytes !== undefined) table.cache.bytesMax = options.cacheBytes
  }

  /** The value that the key had; undefined when it had none. Reads files synchronously where it must. */
  get(key: K): V | undefined {
    const record = this.#find(key)
    if (record === undefined) return undefined
    return this.#values.decode(record.buffer, record.valueStart, record.valueStart + record.valueBytes) as V
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
    checkViewRange(range)
    const { start, end, isEmpty } = boundsOf(range, this.#keys, this.#encoder)
    if (isEmpty) return 0
    const { limit = Number.POSITIVE_INFINITY } = range
    const { sequence, time } = this.#moment
    const cursor = new StoreCursor(this.#table, { start, end, sequenceMax: sequence - 1, now: time })
    let count = 0
    while (count < limit && cursor.next()) count++
    return count
  }

  [Symbol.iterator](): StoreIterator<[K, V]> {
    return this.entries()
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
    checkViewRange(range)
    const { start, end, isEmpty } = boundsOf(range, this.#keys, this.#encoder)
    return new StoreIterator<T>({
      table: this.#table,
      keys: this.#keys,
      values: this.#values,
      snapshot: this.#moment,
      ownsSnapshot: false,
      bounds: { start, end, reverse: range.reverse },
      limit: range.limit ?? Number.POSITIVE_INFINITY,
      shape,
      isEmpty,
      assertOpen: this.#assertOpen,
      encodeKey: key => this.#encoder.bytes.slice(0, this.#keys.encodeInto(this.#encoder, key)),
    })
  }
}

function checkViewRange(range: ViewRangeOptions<unknown>): void {
  checkObject(range, 'options')
  if ('snapshot' in range) throw new TypeError('snapshot has no meaning in a lease, which is of one moment')
  checkRange(range)
}

function checkOptions(options: Pick<LeasedStoreOptions, 'cacheBytes'>): void {
  checkObject(options, 'options')
  checkNames(options, optionNames)
  const { cacheBytes } = options
  if (cacheBytes !== undefined && !(Number.isSafeInteger(cacheBytes) && cacheBytes >= 0)) {
    throw new RangeError(`cacheBytes must be a non-negative integer, got ${String(cacheBytes)}`)
  }
}
