/** Values of a store, or of a moment of it, in key order; each row's key is `record.key`. */
import { codecsOf, type Store, type StoreCodecs, type StoreIterator, type StoreKey, StoreView } from '../../engine/index.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import { CHUNK_ROWS, Chunk, META } from '../vector/chunk.ts'
import { nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import type { Needs, Source, Split, SplitReader, SplitSet } from './source.ts'

export function storeSource<V, K extends StoreKey>(input: Store<V, K> | StoreView<V, K>): Source {
  return new StoreSource<V, K>(input)
}

class StoreSource<V, K extends StoreKey> implements Source {
  readonly kind = 'store'
  readonly isPortable = false
  readonly #input: Store<V, K> | StoreView<V, K>

  constructor(input: Store<V, K> | StoreView<V, K>) {
    this.#input = input
  }

  get name(): string {
    return (this.#input instanceof StoreView ? this.#input.store : this.#input).name
  }

  split(): Promise<SplitSet> {
    return Promise.resolve({ splits: [{ name: `store ${this.name}`, bytes: 0, input: undefined }], release: () => undefined })
  }

  open(_split: Split, needs: Needs): SplitReader {
    const input = this.#input
    const codecs = codecsOf(input instanceof StoreView ? input.store : input)
    return new StoreReader(input.entries(), codecs, needs)
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
