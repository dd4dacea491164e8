/**
 * The end of a task whose rows are sorted together with those of others: rows in order, in runs, which tasks of the next stage merge, each a range of keys (`key-ranges.ts`). So nothing has to be
 * known of the keys before, no row is looked at twice to learn it, and equal keys are no trouble: the runs' own blocks say where the keys lie.
 *
 * 1. The key of each row is encoded, and the row as bytes: as its source has it, where it has bytes, else as MessagePack.
 * 2. When there is more than the task's memory holds, what is there is sorted and becomes a run; the rest does at the end. Runs are kept in shared memory up to a bound, then in the task's file.
 *
 * Rows come as columns `#0`, `#1`, … for the criteria, and '' for the row. A run has rows of one codec.
 *
 * Where only so many rows are wanted (`first`), a run is cut off behind them, and what would come behind the last row of such a run is not kept from then on.
 */
import { type File, type Files, type ValueCodec, valueCodecOf, xxh64Low32 } from '../../engine/index.ts'
import type { Receiver } from '../operator/receiver.ts'
import type { SortCriterion } from '../plan/node.ts'
import { compareSortKeys, rangeKeyBytesMax, rangesOf, SortKeyEncoder, writeRangeKey } from '../sort/sort-key.ts'
import { sortOrder } from '../sort/sort-order.ts'
import { encodeBlock } from '../vector/block.ts'
import { allRows, Chunk } from '../vector/chunk.ts'
import { codecOf, describeCodec, type RowCodec } from '../vector/row-codec.ts'
import { EncodedVector, TextVector, type Vector } from '../vector/vector.ts'
import { Arena } from './arena.ts'
import type { ExchangeOutput, RunOutput, StoredBlock } from './exchange.ts'

/** What rows of an output are ordered by. */
export interface RunOrder {
  readonly by: readonly Pick<SortCriterion, 'descending' | 'nullsFirst'>[]
  /** Rows that agree in the first so many criteria go to one task. */
  readonly together: number
  /** So many rows of all are wanted, the first; undefined: all. */
  readonly first?: number | undefined
}

export interface RunWriterOptions extends RunOrder {
  readonly files: Files
  /** Path of the file, if one is needed. */
  readonly path: string
  /** Rows and keys that are sorted at a time, bytes. */
  readonly memoryBytesMax: number
  /** Blocks hold about so many bytes: each run that is merged has one in memory. */
  readonly blockBytes: number
  /** Blocks that are kept in memory, bytes. */
  readonly outputBytesMax: number
  /** Of rows to come, as far as is known. */
  readonly expectedBytes: number
}

/** Rows `rows` of the vector. */
interface EncodedRange {
  readonly vector: EncodedVector
  readonly rows: Int32Array
}

/** So much more is expected than what was said. */
const slackBytes = 64 << 10
const blockRowsMax = 4096
/** A sample stands for so many rows at most; a run has some 64 of them at least, if it has as many rows. */
const sampleRowsMax = 512
const samplesShift = 6
/** A key says where rows are divided by so many bytes at most. */
export const CUT_KEY_BYTES_MAX = 1024
/** Positions within the rows at hand are 32-bit. */
const arenaBytesMax = 1 << 30
/** Rows are sorted when there are so many times those that are wanted, and no less than this. */
const surplusFactor = 4
const surplusRowsMin = 8192

export class RunWriter implements Receiver {
  readonly isSated = false
  readonly #options: RunWriterOptions
  readonly #encoder = new SortKeyEncoder()
  readonly #values: ValueCodec = valueCodecOf('msgpack')
  readonly #columns: readonly string[]
  /** Of the rows at hand. */
  #codec: RowCodec | undefined
  #keys = new Arena()
  #rows = new Arena()
  /** Where what rows may be divided by ends within their keys; only if that is not the key. */
  #cuts = new Int32Array(0)
  readonly #runs: RunOutput[] = []
  /** Where only some rows are wanted: the least key of which so many lie before or at it in a run. */
  #bound: Uint8Array | undefined
  #file: File | undefined
  #fileBytes = 0
  #memoryBytes = 0
  #bytes = 0
  #count = 0
  #scratch: Uint8Array = new Uint8Array(0)
  #isFinished = false

  constructor(options: RunWriterOptions) {
    this.#options = options
    this.#columns = options.by.map((_, i) => `#${i}`)
  }

  receive(chunk: Chunk): void {
    const { by, together, memoryBytesMax, first } = this.#options
    const vectors = this.#columns.map(column => chunk.field(column))
    const { rows, count } = this.#bound === undefined ? chunk : this.#wanted(chunk, vectors, this.#bound)
    if (count === 0) return
    const whole = this.#encoded(chunk.field(''), rows, count)
    this.#use(whole.vector.codec)
    this.#rows.expect((first === undefined ? Math.min(this.#options.expectedBytes, memoryBytesMax) : 0) + slackBytes)
    this.#rows.append(whole.vector, whole.rows, count)
    const keys = this.#keys
    const divides = together < by.length
    keys.room(count)
    const ranges = by.length === 1 && !divides ? rangesOf(vectors[0] as Vector) : undefined
    if (ranges !== undefined) this.#pushRangeKeys(ranges, by[0] as RunOrder['by'][number], rows, count)
    else
      for (let k = 0; k < count; k++) {
        const row = rows[k] as number
        if (divides) {
          const cut = this.#encoder.encode(vectors.slice(0, together), by, row)
          if (keys.count >= this.#cuts.length) this.#cuts = grown(this.#cuts, keys.count + 1)
          this.#cuts[keys.count] = cut
        }
        const size = this.#encoder.encode(vectors, by, row)
        keys.push(this.#encoder.bytes, size)
      }
    const isSurplus = first !== undefined && keys.count >= Math.max(surplusFactor * first, surplusRowsMin)
    if (isSurplus || keys.bytes + this.#rows.bytes > Math.min(memoryBytesMax, arenaBytesMax)) this.#endRun()
  }

  #pushRangeKeys(vector: TextVector | EncodedVector, criterion: RunOrder['by'][number], rows: Int32Array, count: number): void {
    const { starts, ends } = vector
    let bytesMax = 0
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      bytesMax += (starts[row] as number) < 0 ? 1 : rangeKeyBytesMax((ends[row] as number) - (starts[row] as number))
    }
    const keys = this.#keys
    keys.reserve(bytesMax)
    const { all } = keys
    for (let k = 0; k < count; k++) keys.take(writeRangeKey(vector, criterion, rows[k] as number, all, keys.bytes))
  }

  /** Rows that come before those that are there and are enough. */
  #wanted({ data, rows, count }: Chunk, vectors: readonly Vector[], bound: Uint8Array): Chunk {
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      const size = this.#encoder.encode(vectors, this.#options.by, rows[k] as number)
      kept[found] = rows[k] as number
      if (compareSortKeys(this.#encoder.bytes, 0, size, bound, 0, bound.length) < 0) found++
    }
    return new Chunk(data, kept, found)
  }

  /** Idempotent. */
  finish(): void {
    if (this.#isFinished) return
    this.#endRun()
    this.close()
  }

  /** Lets go of the file; what was not written yet is not. Idempotent. */
  close(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#file?.closeSync()
  }

  /** What was written; after `finish`. */
  output(counters: ExchangeOutput['counters'] = {}, measures: ExchangeOutput['measures'] = []): ExchangeOutput {
    return { file: this.#file?.path, rows: this.#count, bytes: this.#bytes, buckets: [], runs: this.#runs, counters, measures }
  }

  /** Rows as bytes of one codec that other threads can open. */
  #encoded(vector: Vector, rows: Int32Array, count: number): EncodedRange {
    if (vector.kind === 'text') {
      const { bytes, starts, ends } = vector
      return { vector: new EncodedVector(bytes, starts, ends, textCodec), rows }
    }
    if (vector.kind === 'encoded' && describeCodec(vector.codec) !== undefined) return { vector, rows }
    const arena = new Arena()
    arena.room(count)
    for (let k = 0; k < count; k++) {
      const value = vector.get(rows[k] as number)
      if (value === null) arena.pushNull()
      else {
        const encoded = this.#values.encode(value)
        arena.push(encoded, encoded.length)
      }
    }
    return { vector: arena.vector(valueCodec), rows: allRows(count) }
  }

  /** Rows of another codec begin another run. */
  #use(codec: RowCodec): void {
    if (codec === this.#codec) return
    if (this.#codec !== undefined && describeCodec(codec) !== describeCodec(this.#codec)) this.#endRun()
    this.#codec = codec
  }

  /** What is in memory becomes a run. */
  #endRun(): void {
    const [keys, rows] = [this.#keys, this.#rows]
    if (rows.count === 0) return
    const { first } = this.#options
    const all = sortOrder(keys.all, keys.starts, rows.count)
    const order = first === undefined || first >= all.length ? all : all.subarray(0, first)
    const count = order.length
    if (count === first) this.#lowerBound(order[count - 1] as number)
    const keyVector = new TextVector(keys.all, keys.starts, keys.ends)
    const rowVector = rows.vector(this.#codec as RowCodec)
    const blocks: (StoredBlock | Uint8Array)[] = []
    const cuts = new Arena()
    for (let from = 0; from < count; ) {
      const to = this.#blockEnd(order, from)
      blocks.push(this.#write([keyVector, rowVector], order, from, to))
      this.#pushCut(cuts, order[from] as number)
      from = to
    }
    this.#pushCut(cuts, order[count - 1] as number)
    const samples = new Arena()
    const sampleRows = Math.min(sampleRowsMax, Math.max(1, count >> samplesShift))
    for (let at = sampleRows >> 1; at < count; at += sampleRows) this.#pushCut(samples, order[at] as number)
    this.#runs.push({ blocks, cuts: cuts.packed(), samples: samples.packed(), sampleRows })
    this.#count += count
    keys.clear()
    rows.clear()
  }

  /** The key of this row is the last that is wanted, of those here. */
  #lowerBound(row: number): void {
    const { all, starts } = this.#keys
    const key = all.slice(starts[row] as number, (starts[row] as number) + this.#keys.size(row))
    const bound = this.#bound
    if (bound === undefined || compareSortKeys(key, 0, key.length, bound, 0, bound.length) < 0) this.#bound = key
  }

  /** Rows `order[from, …)` that are a block. */
  #blockEnd(order: Int32Array, from: number): number {
    const [keys, rows] = [this.#keys, this.#rows]
    const count = order.length
    const { blockBytes } = this.#options
    const mean = (keys.bytes + rows.bytes) / rows.count
    // Where no row is large, how large each is need not be known.
    if (keys.largest + rows.largest < blockBytes / 16)
      return Math.min(count, from + Math.min(blockRowsMax, Math.max(1, Math.floor(blockBytes / mean))))
    let to = from
    let bytes = 0
    while (to < count && to - from < blockRowsMax && (to === from || bytes < blockBytes)) {
      const row = order[to++] as number
      bytes += keys.size(row) + rows.size(row)
    }
    return to
  }

  #pushCut(cuts: Arena, row: number): void {
    const keys = this.#keys
    const start = keys.starts[row] as number
    const cut = this.#options.together < this.#options.by.length ? (this.#cuts[row] as number) : keys.size(row)
    const key = keys.all.subarray(start, start + Math.min(cut, CUT_KEY_BYTES_MAX))
    cuts.room(1)
    cuts.push(key, key.length)
  }

  #write(vectors: readonly Vector[], order: Int32Array, from: number, to: number): StoredBlock | Uint8Array {
    if (this.#memoryBytes < this.#options.outputBytesMax) {
      const block = encodeBlock(vectors, order, from, to, size => new Uint8Array(new SharedArrayBuffer(size)))
      this.#memoryBytes += block.length
      this.#bytes += block.length
      return block
    }
    const block = encodeBlock(vectors, order, from, to, size => {
      if (this.#scratch.length < size) this.#scratch = new Uint8Array(2 * size)
      return new Uint8Array(this.#scratch.buffer, 0, size)
    })
    this.#file ??= this.#options.files.openSync(this.#options.path, 'create')
    this.#file.writeSync(block, this.#fileBytes)
    const stored: StoredBlock = { position: this.#fileBytes, size: block.length, checksum: xxh64Low32(block, 0, block.length) }
    this.#fileBytes += block.length
    this.#bytes += block.length
    return stored
  }
}

const textCodec = codecOf('["string",[]]')
const valueCodec = codecOf('["msgpack",[]]')

function grown(ints: Int32Array, least: number): Int32Array<ArrayBuffer> {
  const more = new Int32Array(Math.max(2 * ints.length, least))
  more.set(ints)
  return more
}
