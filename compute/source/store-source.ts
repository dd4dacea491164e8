/**
 * Values of a store, or of a moment of it, in key order; each row's key is `record.key`. Other threads read ranges of keys from a lease: segment files and shared memory, not by way
 * of the thread that owns the store.
 */
import {
  codecsOf,
  databaseOf,
  isVarveError,
  keyBytes,
  type LeaseDescription,
  type LeasedStore,
  openLease,
  type Store,
  type StoreCodecs,
  type StoreColumns,
  type StoreIterator,
  type StoreKey,
  type StoreStretch,
  StoreView,
  storeLogPrefix,
} from '../../engine/index.ts'
import { ColumnChunk, ColumnReader } from '../rows/column-chunks.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import { CHUNK_ROWS, Chunk, META } from '../vector/chunk.ts'
import { nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import type { Needs, OpenReader, Source, Split, SplitOptions, SplitReader, SplitSet } from './source.ts'
import type { KeyBound } from './source-range.ts'

/** Input of a split: encoded keys. */
interface KeyRange {
  readonly start: Uint8Array | undefined
  /** Exclusive; inclusive in the thread that made it, which reads by keys. */
  readonly end: Uint8Array | undefined
}

/** What other threads have to know. */
interface SharedStore {
  readonly name: string
  readonly lease: LeaseDescription
}

const builtInCodecs: ReadonlySet<string> = new Set(['msgpack', 'msgpack-structures', 'json', 'string', 'bytes'])

export function storeSource<V, K extends StoreKey>(input: Store<V, K> | StoreView<V, K>): Source {
  return new StoreSource<V, K>(input)
}

class StoreSource<V, K extends StoreKey> implements Source {
  readonly kind = 'store'
  readonly #input: Store<V, K> | StoreView<V, K>

  constructor(input: Store<V, K> | StoreView<V, K>) {
    this.#input = input
  }

  get name(): string {
    return this.#store.name
  }

  get isPortable(): boolean {
    if (databaseOf(this.#store).options.storage === 'memory') return false
    return builtInCodecs.has(codecsOf(this.#store).values.name)
  }

  get bytes(): number {
    return this.#store.stats().rawBytes
  }

  get #store(): Store<V, K> {
    return this.#input instanceof StoreView ? this.#input.store : this.#input
  }

  async split({ parallelism, portable, range }: SplitOptions): Promise<SplitSet> {
    const { name } = this
    const whole = keyRangeOf(codecsOf(this.#store).keys, range?.keys ?? [])
    if (!portable) {
      return { splits: [{ name: `store ${name}`, bytes: 0, input: whole }], release: () => undefined }
    }
    if (whole.start !== undefined && whole.end !== undefined && Buffer.compare(whole.start, whole.end) > 0) {
      return { splits: [], share: () => ({ reader: 'store', input: undefined }), release: () => undefined }
    }
    // The first bytes behind the last key.
    const last = whole.end === undefined ? undefined : behind(whole.end)
    const lease = databaseOf(this.#store).lease({
      stores: [name],
      ...(this.#input instanceof StoreView ? { snapshot: this.#input } : {}),
    })
    const opened = await openLease(lease.share())
    const isNarrow = whole.start !== undefined || whole.end !== undefined
    const all = opened.store(name).splitKeys(parallelism * (isNarrow ? narrowFactor : 1))
    opened.release()
    const share = this.bytes / (all.length + 1)
    const within = all.filter(key => isWithin(key, whole))
    const step = Math.max(1, Math.ceil(within.length / parallelism))
    const keys = within.filter((_, i) => (i + 1) % step === 0)
    const splits = [whole.start, ...keys].map((start, i): Split => {
      const input: KeyRange = { start, end: keys[i] ?? last }
      return { name: `store ${name}, range ${i + 1} of ${keys.length + 1}`, bytes: share * step, input }
    })
    return {
      splits,
      share: thread => {
        const input: SharedStore = { name, lease: lease.share(thread) }
        return { reader: 'store', input }
      },
      release: () => lease.release(),
    }
  }

  get columns(): readonly string[] {
    const options = databaseOf(this.#store).get(storeLogPrefix + this.name)?.options as
      | { columns?: { fields: readonly string[] } }
      | undefined
    return options?.columns?.fields ?? []
  }

  open(split: Split, needs: Needs): SplitReader | Promise<SplitReader> {
    const codecs = codecsOf(this.#store)
    const { start, end } = split.input as KeyRange
    const columns = columnsFor(needs)
    if (this.isPortable && columns !== undefined && this.columns.length > 0)
      return this.#openLeased(start, end === undefined ? undefined : behind(end), needs)
    const keyOf = (bytes: Uint8Array): K => codecs.keys.decode(bytes, 0, bytes.length) as K
    const range = { ...(start === undefined ? {} : { gte: keyOf(start) }), ...(end === undefined ? {} : { lte: keyOf(end) }) }
    return new StoreReader(this.#input.entries(range), codecs, needs)
  }

  /** As other threads read it: only what a lease names has columns. */
  async #openLeased(start: Uint8Array | undefined, end: Uint8Array | undefined, needs: Needs): Promise<SplitReader> {
    const { name } = this
    const lease = databaseOf(this.#store).lease({
      stores: [name],
      ...(this.#input instanceof StoreView ? { snapshot: this.#input } : {}),
    })
    const opened = await openLease(lease.share())
    const release = (): void => {
      opened.release()
      lease.release()
    }
    return readerOf(opened.store(name), { start, end }, needs, release)
  }
}

/** The first bytes behind a key. */
function behind(key: Uint8Array): Uint8Array {
  return Buffer.concat([key, Buffer.of(0)])
}

/** A reader for each field that is wanted, where columns could have all that is. */
function columnsFor({ paths, values }: Needs): ColumnReader[] | undefined {
  return values || paths.some(path => path === '' || path.startsWith('@')) ? undefined : paths.map(path => new ColumnReader(path))
}

function readerOf(store: LeasedStore, { start, end }: KeyRange, needs: Needs, release?: () => void): SplitReader {
  const columns = columnsFor(needs)
  if (columns === undefined) return new StoreReader(store.scan(start, end), store.codecs, needs, release)
  return new StretchReader(store, store.stretches(start, end, needs.paths), columns, needs, release)
}

/** So many times more cuts are asked for where only some of the keys are wanted. */
const narrowFactor = 16

/** The encoded keys among which are all that meet the conditions. The end may be a key that is wanted. */
function keyRangeOf(codec: StoreCodecs['keys'], bounds: readonly KeyBound[]): KeyRange {
  let [start, end]: (Uint8Array | undefined)[] = []
  for (const { is, key } of bounds) {
    let bytes: Uint8Array
    try {
      bytes = keyBytes(codec, key as StoreKey)
    } catch {
      continue // no key of this store: the filter, which stays, lets nothing through
    }
    if (is !== 'lt' && is !== 'lte' && (start === undefined || Buffer.compare(bytes, start) > 0)) start = bytes
    if (is !== 'gt' && is !== 'gte' && (end === undefined || Buffer.compare(bytes, end) < 0)) end = bytes
  }
  return { start, end }
}

function isWithin(key: Uint8Array, { start, end }: KeyRange): boolean {
  return (start === undefined || Buffer.compare(key, start) > 0) && (end === undefined || Buffer.compare(key, end) < 0)
}

/** Reads key ranges of a leased store. */
export const openStoreReader: OpenReader = async input => {
  const { name, lease } = input as SharedStore
  const opened = await openLease(lease)
  const store = opened.store(name)
  return {
    open: (split, needs) => readerOf(store, split.input as KeyRange, needs),
    close: () => opened.release(),
  }
}

/** Reads stretches of a store: columns where there are, else records. */
class StretchReader implements SplitReader {
  bytesRead = 0
  readonly #store: LeasedStore
  readonly #stretches: readonly StoreStretch[]
  readonly #columns: readonly ColumnReader[]
  readonly #needs: Needs
  readonly #release: (() => void) | undefined
  #at = 0
  /** The columns at hand, and the rows of them that were not given away yet. */
  #group: { readonly vectors: ReadonlyMap<string, Vector>; from: number; readonly to: number } | undefined
  #rows: StoreReader | undefined

  constructor(
    store: LeasedStore,
    stretches: readonly StoreStretch[],
    columns: readonly ColumnReader[],
    needs: Needs,
    release: (() => void) | undefined,
  ) {
    this.#store = store
    this.#stretches = stretches
    this.#columns = columns
    this.#needs = needs
    this.#release = release
  }

  next(): Chunk | undefined {
    for (;;) {
      const chunk = this.#columnChunk() ?? this.#rowChunk()
      if (chunk !== undefined) return chunk
      const stretch = this.#stretches[this.#at++]
      if (stretch === undefined) return undefined
      if (stretch.columns === undefined || !this.#open(stretch.columns)) {
        this.#rows = new StoreReader(this.#store.scan(stretch.start, stretch.end), this.#store.codecs, this.#needs)
      }
    }
  }

  close(): void {
    this.#rows?.close()
    this.#rows = undefined
    this.#release?.()
  }

  /** False when a column is damaged: it repeats what the records say. */
  #open(columns: StoreColumns): boolean {
    const vectors = new Map<string, Vector>()
    try {
      for (const reader of this.#columns) {
        vectors.set(reader.path, reader.read(columns))
        this.bytesRead += columns.columnBytes(reader.path)
      }
    } catch (error) {
      if (isVarveError(error, 'CORRUPT')) return false
      throw error
    }
    this.#group = { vectors, from: 0, to: columns.rows }
    return true
  }

  #columnChunk(): Chunk | undefined {
    const group = this.#group
    if (group === undefined) return undefined
    if (group.from === group.to) {
      this.#group = undefined
      return undefined
    }
    const { from } = group
    group.from = Math.min(group.to, from + CHUNK_ROWS)
    return new Chunk(new ColumnChunk(group.vectors, from, group.from, 0))
  }

  #rowChunk(): Chunk | undefined {
    const rows = this.#rows
    if (rows === undefined) return undefined
    const before = rows.bytesRead
    const chunk = rows.next()
    this.bytesRead += rows.bytesRead - before
    if (chunk === undefined) {
      rows.close()
      this.#rows = undefined
    }
    return chunk
  }
}

class StoreReader implements SplitReader {
  bytesRead = 0
  readonly #iterator: StoreIterator<unknown>
  readonly #release: (() => void) | undefined
  readonly #codecs: StoreCodecs
  readonly #reader: EncodedReader
  readonly #starts = new Int32Array(CHUNK_ROWS)
  readonly #ends = new Int32Array(CHUNK_ROWS)

  /** `release`: what ends with it. */
  constructor(iterator: StoreIterator<unknown>, codecs: StoreCodecs, needs: Needs, release: (() => void) | undefined = undefined) {
    this.#release = release
    this.#iterator = iterator
    this.#codecs = codecs
    this.#reader = new EncodedReader(codecs.values, needs.paths)
  }

  next(): Chunk | undefined {
    const { count, bytes, ends: borders } = this.#iterator.nextRaw(CHUNK_ROWS)
    if (count === 0) return undefined
    const [starts, ends] = [this.#starts, this.#ends]
    for (let i = 0; i < count; i++) {
      starts[i] = borders[2 * i] as number
      ends[i] = borders[2 * i + 1] as number
    }
    this.bytesRead += borders[2 * count - 1] as number
    const meta = (path: string): Vector => (path === META.key ? this.#keys(bytes, borders, count) : nullVector(count))
    return new Chunk(this.#reader.rows({ size: count, bytes, starts, ends }, meta))
  }

  close(): void {
    this.#iterator.close()
    this.#release?.()
  }

  #keys(bytes: Uint8Array, borders: Uint32Array, count: number): Vector {
    const builder = new VectorBuilder()
    builder.begin(count, bytes)
    for (let i = 0; i < count; i++) {
      const start = i === 0 ? 0 : (borders[2 * i - 1] as number)
      builder.any(this.#codecs.keys.decode(bytes, start, borders[2 * i] as number))
    }
    return builder.finish()
  }
}
