/**
 * Values of a store, or of a moment of it, in key order; each row's key is `record.key`. Other threads read ranges of keys from a lease: segment files and shared memory, not by way
 * of the thread that owns the store.
 */
import {
  codecsOf,
  databaseOf,
  type LeaseDescription,
  openLease,
  type Store,
  type StoreCodecs,
  type StoreIterator,
  type StoreKey,
  StoreView,
} from '../../engine/index.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import { CHUNK_ROWS, Chunk, META } from '../vector/chunk.ts'
import { nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import type { Needs, OpenReader, Source, Split, SplitOptions, SplitReader, SplitSet } from './source.ts'

/** Input of a split: encoded keys. */
interface KeyRange {
  readonly start: Uint8Array | undefined
  /** Exclusive. */
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
    // A moment of the past is not what a lease has.
    if (this.#input instanceof StoreView || databaseOf(this.#store).options.storage === 'memory') return false
    return builtInCodecs.has(codecsOf(this.#store).values.name)
  }

  get bytes(): number {
    return this.#store.stats().rawBytes
  }

  get #store(): Store<V, K> {
    return this.#input instanceof StoreView ? this.#input.store : this.#input
  }

  async split({ parallelism, portable }: SplitOptions): Promise<SplitSet> {
    const { name } = this
    if (!portable) {
      return { splits: [{ name: `store ${name}`, bytes: 0, input: undefined }], release: () => undefined }
    }
    const lease = databaseOf(this.#store).lease({ stores: [name] })
    const opened = await openLease(lease.share())
    const keys = opened.store(name).splitKeys(parallelism)
    opened.release()
    const bytes = this.bytes / (keys.length + 1)
    const splits = [undefined, ...keys].map((start, i): Split => {
      const range: KeyRange = { start, end: keys[i] }
      return { name: `store ${name}, range ${i + 1} of ${keys.length + 1}`, bytes, input: range }
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

  open(_split: Split, needs: Needs): SplitReader {
    return new StoreReader(this.#input.entries(), codecsOf(this.#store), needs)
  }
}

/** Reads key ranges of a leased store. */
export const openStoreReader: OpenReader = async input => {
  const { name, lease } = input as SharedStore
  const opened = await openLease(lease)
  const store = opened.store(name)
  return {
    open(split, needs) {
      const { start, end } = split.input as KeyRange
      return new StoreReader(store.scan(start, end), store.codecs, needs)
    },
    close: () => opened.release(),
  }
}

class StoreReader implements SplitReader {
  bytesRead = 0
  readonly #iterator: StoreIterator<unknown>
  readonly #codecs: StoreCodecs
  readonly #reader: EncodedReader
  readonly #starts = new Int32Array(CHUNK_ROWS)
  readonly #ends = new Int32Array(CHUNK_ROWS)

  constructor(iterator: StoreIterator<unknown>, codecs: StoreCodecs, needs: Needs) {
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
