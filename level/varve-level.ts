/**
 * `VarveLevel`: an abstract-level 3 database on one store, named 'level', of a Varve database of its own. What abstract-level's public verbs have
 * checked, encoded and prefixed arrives here in the underscored ones as strings, Buffers or Uint8Arrays; see `format.ts`.
 *
 * Invariants: a read sees the moment of its call, however long it takes. Writes reach the store in the order of their calls. abstract-level closes
 * iterators, snapshots and sublevels before `_close`.
 */
import { setImmediate } from 'node:timers/promises'
import {
  type AbstractBatchOperation,
  type AbstractBatchOptions,
  type AbstractChainedBatch,
  type AbstractClearOptions,
  type AbstractDelOptions,
  AbstractLevel,
  type AbstractPutOptions,
  type AbstractSnapshot,
} from 'abstract-level'
import {
  type BatchOperation,
  type Database,
  openDatabase,
  type RangeOptions,
  type ReadStoreOptions,
  type Snapshot,
  type Store,
} from '../engine/index.ts'
import { bytesOf, type Format, type Formatted, formatted } from './format.ts'
import { levelError, openingError } from './level-error.ts'
import { type AnyLevel, type IteratorOptions, LevelIterator, LevelKeyIterator, LevelValueIterator } from './level-iterators.ts'
import { LevelSnapshot, readOptionsOf } from './level-snapshot.ts'
import { durabilityOf, openOptionsOf, type VarveLevelOptions, type VarveLevelWriteOptions } from './options.ts'
import { boundsOf, type LevelRange } from './range.ts'
import type { RangeSource } from './range-reader.ts'
import { WriteQueue } from './write-queue.ts'

const storeName = 'level'
/** What a write costs beside its key and value, roughly, bytes. */
const writeOverhead = 64
/** Keys that `clear` deletes in one commit when it may not delete the range as such. */
const clearBatch = 1000
/** Keys that are looked up before the event loop gets a turn. */
const hasBatch = 64

/** What abstract-level and its suite are told. Its declarations do not know `getSync` yet. */
const manifest: ConstructorParameters<typeof AbstractLevel>[0] & { readonly getSync: boolean } = {
  encodings: { buffer: true, utf8: true, view: true },
  seek: true,
  has: true,
  getSync: true,
  implicitSnapshots: true,
  explicitSnapshots: true,
  permanence: true,
  createIfMissing: true,
  errorIfExists: true,
  signals: { iterators: true },
}

/** Options of private calls: formats in place of encodings. */
interface PrivateOptions extends VarveLevelWriteOptions {
  readonly keyEncoding: Format
  readonly valueEncoding: Format
  readonly snapshot?: AbstractSnapshot | undefined
}

interface RangeReadOptions extends LevelRange, PrivateOptions {
  readonly keys: boolean
  readonly values: boolean
  readonly signal?: AbortSignal | undefined
}

interface PrivateOperation {
  readonly type: 'put' | 'del'
  readonly key: Formatted
  readonly value?: Formatted
}

/** What is there while the database is open. */
interface Opened {
  readonly database: Database
  readonly store: Store<Uint8Array, Uint8Array>
  readonly writes: WriteQueue
}

/** `batch` of abstract-level, with the option `sync`. */
export interface BatchMethod<TDatabase, KDefault, VDefault> {
  (operations: AbstractBatchOperation<TDatabase, KDefault, VDefault>[]): Promise<void>
  <K = KDefault, V = VDefault>(
    operations: AbstractBatchOperation<TDatabase, K, V>[],
    options: AbstractBatchOptions<K, V> & VarveLevelWriteOptions,
  ): Promise<void>
  (): AbstractChainedBatch<TDatabase, KDefault, VDefault>
}

/**
 * A key-value database with the interface of abstract-level, in a folder of its own. Opens by itself. Options: encodings as usual, and everything
 * that Varve's `open` takes.
 */
export class VarveLevel<KDefault = string, VDefault = string> extends AbstractLevel<Formatted, KDefault, VDefault> {
  /** The folder. */
  readonly location: string
  #opened: Opened | undefined

  // As in abstract-level, with the option `sync`.
  declare put: {
    (key: KDefault, value: VDefault): Promise<void>
    <K = KDefault, V = VDefault>(key: K, value: V, options: AbstractPutOptions<K, V> & VarveLevelWriteOptions): Promise<void>
  }
  declare del: {
    (key: KDefault): Promise<void>
    <K = KDefault>(key: K, options: AbstractDelOptions<K> & VarveLevelWriteOptions): Promise<void>
  }
  declare batch: BatchMethod<this, KDefault, VDefault>
  declare clear: {
    (): Promise<void>
    <K = KDefault>(options: AbstractClearOptions<K> & VarveLevelWriteOptions): Promise<void>
  }

  /** TypeError for a location that is no folder name. */
  constructor(location: string, options?: VarveLevelOptions<KDefault, VDefault>) {
    if (typeof location !== 'string' || location === '') throw new TypeError("The first argument 'location' must be a non-empty string")
    super(manifest, options)
    this.location = location
  }

  /** The Varve database underneath, for its statistics and upkeep. Throws LEVEL_DATABASE_NOT_OPEN when it is not open. */
  get database(): Database {
    return this.#open.database
  }

  get #open(): Opened {
    if (this.#opened === undefined) throw levelError('LEVEL_DATABASE_NOT_OPEN', 'Database is not open')
    return this.#opened
  }

  async _open(options: object): Promise<void> {
    let database: Database | undefined
    try {
      database = await openDatabase(this.location, openOptionsOf(options))
      const store = database.store<Uint8Array, Uint8Array>(storeName, { keys: 'bytes', value: 'bytes' })
      await store.ready()
      const { pendingBytesMax, tailBytesMax } = database.options
      const opened = database
      this.#opened = { database, store, writes: new WriteQueue(Math.min(pendingBytesMax, tailBytesMax) / 4, () => opened.drain()) }
    } catch (error) {
      await database?.close().catch(() => undefined) // the first error is the one to report
      throw openingError(error)
    }
  }

  /** Waits for writes that were called before. */
  async _close(): Promise<void> {
    const { database, writes } = this.#open
    await writes.idle()
    await database.close()
    this.#opened = undefined
  }

  // --- reading -------------------------------------------------------------------------------------------------------------------------

  _getSync(key: Formatted, options: PrivateOptions): Formatted | undefined {
    const value = this.#open.store.get(bytesOf(key), this.#readOptions(options))
    return value === undefined ? undefined : formatted(value, options.valueEncoding)
  }

  _get(key: Formatted, options: PrivateOptions): Promise<Formatted | undefined> {
    return this.#atMoment(options, read => this.#getAt(key, options, read))
  }

  _getMany(keys: readonly Formatted[], options: PrivateOptions): Promise<(Formatted | undefined)[]> {
    return this.#atMoment(options, read => Promise.all(keys.map(key => this.#getAt(key, options, read))))
  }

  async _has(key: Formatted, options: PrivateOptions): Promise<boolean> {
    return this.#open.store.has(bytesOf(key), this.#readOptions(options))
  }

  _hasMany(keys: readonly Formatted[], options: PrivateOptions): Promise<boolean[]> {
    return this.#atMoment(options, async read => {
      const { store } = this.#open
      const found: boolean[] = []
      for (const key of keys) {
        if (found.length > 0 && found.length % hasBatch === 0) await setImmediate()
        found.push(store.has(bytesOf(key), read))
      }
      return found
    })
  }

  _iterator(options: IteratorOptions): LevelIterator {
    return new LevelIterator(this as unknown as AnyLevel, options, this.#entrySource(options as RangeReadOptions))
  }

  _keys(options: IteratorOptions): LevelKeyIterator {
    return new LevelKeyIterator(this as unknown as AnyLevel, options, this.#keySource(options as RangeReadOptions))
  }

  _values(options: IteratorOptions): LevelValueIterator {
    return new LevelValueIterator(this as unknown as AnyLevel, options, this.#valueSource(options as RangeReadOptions))
  }

  _snapshot(options: object): LevelSnapshot {
    return new LevelSnapshot(this.#open.database, options)
  }

  #readOptions(options: PrivateOptions): ReadStoreOptions | undefined {
    return readOptionsOf(options.snapshot, this.#open.database)
  }

  async #getAt(key: Formatted, options: PrivateOptions, read: ReadStoreOptions): Promise<Formatted | undefined> {
    const value = await this.#open.store.getAsync(bytesOf(key), read)
    return value === undefined ? undefined : formatted(value, options.valueEncoding)
  }

  /** Runs a reading of several turns at the moment of the call, or of its snapshot, which stays open meanwhile. */
  async #atMoment<T>(options: PrivateOptions, run: (read: ReadStoreOptions) => Promise<T>): Promise<T> {
    const given = this.#readOptions(options)
    if (given !== undefined) {
      // abstract-level does so too, but not for all verbs until they end.
      options.snapshot?.ref()
      try {
        return await run(given)
      } finally {
        options.snapshot?.unref()
      }
    }
    const snapshot = this.#open.database.snapshot()
    try {
      return await run({ snapshot })
    } finally {
      snapshot.close()
    }
  }

  #rangeOf(options: RangeReadOptions): RangeOptions<Uint8Array> {
    return { ...boundsOf(options), reverse: options.reverse, ...this.#readOptions(options) }
  }

  /** Range of an iterator, whose moment is its own unless the options name one. */
  #iteratorRange(options: RangeReadOptions): { readonly range: RangeOptions<Uint8Array>; readonly moment: Snapshot | undefined } {
    const range = this.#rangeOf(options)
    if (range.snapshot !== undefined) return { range, moment: undefined }
    const moment = this.#open.database.snapshot()
    return { range: { ...range, snapshot: moment }, moment }
  }

  #entrySource(options: RangeReadOptions): RangeSource<[unknown, unknown]> {
    const { keys, values, keyEncoding, valueEncoding, signal } = options
    const { store } = this.#open
    const { range, moment } = this.#iteratorRange(options)
    const bounds = boundsOf(options)
    if (keys && values) {
      return {
        iterator: store.entries(range),
        bounds,
        moment,
        signal,
        sizeOf: ([key, value]) => (key as Uint8Array).length + (value as Uint8Array).length,
        convert: entry => {
          entry[0] = formatted(entry[0] as Uint8Array, keyEncoding)
          entry[1] = formatted(entry[1] as Uint8Array, valueEncoding)
          return entry
        },
      }
    }
    // One of both is not wanted, or neither: items are bytes until they are converted.
    const iterator = (values ? store.values(range) : store.keys(range)) as unknown as RangeSource<[unknown, unknown]>['iterator']
    return {
      iterator,
      bounds,
      moment,
      signal,
      sizeOf: item => (item as unknown as Uint8Array).length,
      convert: item => {
        const bytes = item as unknown as Uint8Array
        if (values) return [undefined, formatted(bytes, valueEncoding)]
        return [keys ? formatted(bytes, keyEncoding) : undefined, undefined]
      },
    }
  }

  #keySource(options: RangeReadOptions): RangeSource<unknown> {
    const { range, moment } = this.#iteratorRange(options)
    return {
      iterator: this.#open.store.keys(range),
      bounds: boundsOf(options),
      moment,
      signal: options.signal,
      sizeOf: key => (key as Uint8Array).length,
      convert: key => formatted(key as Uint8Array, options.keyEncoding),
    }
  }

  #valueSource(options: RangeReadOptions): RangeSource<unknown> {
    const { range, moment } = this.#iteratorRange(options)
    return {
      iterator: this.#open.store.values(range),
      bounds: boundsOf(options),
      moment,
      signal: options.signal,
      sizeOf: value => (value as Uint8Array).length,
      convert: value => formatted(value as Uint8Array, options.valueEncoding),
    }
  }

  // --- writing -------------------------------------------------------------------------------------------------------------------------

  async _put(key: Formatted, value: Formatted, options: PrivateOptions): Promise<void> {
    const { store, writes } = this.#open
    const durability = durabilityOf(options)
    const keyBytes = bytesOf(key)
    const valueBytes = bytesOf(value)
    return writes.run(keyBytes.length + valueBytes.length + writeOverhead, () => store.put(keyBytes, valueBytes, durability))
  }

  async _del(key: Formatted, options: PrivateOptions): Promise<void> {
    const { store, writes } = this.#open
    const durability = durabilityOf(options)
    const keyBytes = bytesOf(key)
    return writes.run(keyBytes.length + writeOverhead, () => store.del(keyBytes, durability))
  }

  async _batch(operations: readonly PrivateOperation[], options: PrivateOptions): Promise<void> {
    const { store, writes } = this.#open
    const durability = durabilityOf(options)
    let bytes = 0
    const rows = operations.map(operation => {
      const row = rowOf(operation)
      bytes += row.key.length + (row.type === 'put' ? row.value.length : 0) + writeOverhead
      return row
    })
    return writes.run(bytes, () => store.batch(rows, durability))
  }

  async _clear(options: RangeReadOptions): Promise<void> {
    const { store, writes } = this.#open
    const durability = durabilityOf(options)
    if (options.limit < 0 && (options.snapshot === undefined || options.snapshot === null)) {
      return writes.run(writeOverhead, () => store.delRange(boundsOf(options), durability))
    }
    const limit = options.limit < 0 ? Number.POSITIVE_INFINITY : options.limit
    const keys = store.keys({ ...this.#rangeOf(options), limit })
    try {
      for (let batch = keys.nextBatch(clearBatch); batch.length > 0; batch = keys.nextBatch(clearBatch)) {
        let bytes = 0
        const rows = batch.map(key => {
          bytes += key.length + writeOverhead
          return { type: 'del', key } as const
        })
        await writes.run(bytes, () => store.batch(rows, durability))
      }
    } finally {
      keys.close()
    }
  }
}

function rowOf({ type, key, value }: PrivateOperation): Exclude<BatchOperation<Uint8Array, Uint8Array>, { type: 'delRange' }> {
  return type === 'put' ? { type, key: bytesOf(key), value: bytesOf(value as Formatted) } : { type: 'del', key: bytesOf(key) }
}
