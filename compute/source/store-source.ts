/**
 * Values of a store, or of a moment of it, in key order; each row's key is `record.key`. Other threads read ranges of keys from a lease: segment files and shared memory, not by way
 * of the thread that owns the store.
 */
import {
  codecsOf,
  databaseOf,
  keyBytes,
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
    const last = whole.end === undefined ? undefined : Buffer.concat([whole.end, Buffer.of(0)])
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

  open(split: Split, needs: Needs): SplitReader {
    const codecs = codecsOf(this.#store)
    const { start, end } = split.input as KeyRange
    const keyOf = (bytes: Uint8Array): K => codecs.keys.decode(bytes, 0, bytes.length) as K
    const range = { ...(start === undefined ? {} : { gte: keyOf(start) }), ...(end === undefined ? {} : { lte: keyOf(end) }) }
    return new StoreReader(this.#input.entries(range), codecs, needs)
  }
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
