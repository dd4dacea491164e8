/**
 * The end of a task whose rows go on to another stage: blocks by bucket, the first in memory up to a bound, later ones in a file. See `exchange.ts`.
 *
 * Rows are columns; the first `keyWidth` of them are the key. Without a key nothing is cut up, and the order of rows is kept. Rows are gathered by bucket before they become a block, since
 * those of one chunk are few in each; rows of numbers alone by `number-buckets.ts`.
 * Invariant: while at most `WHOLE_ROWS_MAX` rows came and they are in memory, all blocks are of bucket -1; from then on, if there is a key, none is.
 */
import { type File, type Files, xxh64Low32 } from '../../engine/index.ts'
import { hashVector } from '../group/hash.ts'
import type { Receiver } from '../operator/receiver.ts'
import { decodeBlock, encodeBlock, encodePacked } from '../vector/block.ts'
import { allRows, CHUNK_ROWS, type Chunk } from '../vector/chunk.ts'
import { Column } from '../vector/column.ts'
import type { Vector } from '../vector/vector.ts'
import { BUCKETS, type BucketOutput, bucketOf, type ExchangeOutput, type StoredBlock, WHOLE_ROWS_MAX } from './exchange.ts'
import { giveBack, type NumberBuckets, type TakeBlock, takeNumberBuckets, truthsOf } from './number-buckets.ts'
import { SharedBlocks } from './shared-memory.ts'

export interface ExchangeWriterOptions {
  /** Names of the columns, in the order in which chunks have them as fields. */
  readonly columns: readonly string[]
  readonly keyWidth: number
  /** Of `bucketOf`. Default 0. */
  readonly level?: number | undefined
  readonly files: Files
  /** Path of the file, if one is needed. */
  readonly path: string
  /** Bytes that may be gathered before they become blocks. */
  readonly memoryBytesMax: number
  /** Bytes of blocks that are kept in memory; later ones go to the file. */
  readonly outputBytesMax: number
  /** Whether other threads will read the blocks. */
  readonly isShared: boolean
}

/** Gathered rows of this size become a block, bytes; or of so many rows as a chunk has. */
const blockBytesMax = 128 << 10

interface Bucket {
  rows: number
  blocks: Uint8Array[]
  readonly stored: StoredBlock[]
  /** Rows that are not in a block yet, the last ones. Invariant: there are none in any bucket, or there are none in `#numbers`. */
  readonly gathered: readonly Column[]
}

export class ExchangeWriter implements Receiver {
  readonly isSated = false
  readonly #options: ExchangeWriterOptions
  readonly #blockBytes: number
  readonly #whole: Bucket
  #buckets: Bucket[] | undefined
  /** Rows of numbers that are not in a block yet. */
  #numbers: NumberBuckets | undefined
  readonly #takeNumbers: TakeBlock
  /** Whether buckets have gathered rows. */
  #hasGathered = false
  /** So many chunks are not looked at for whether they are numbers alone, and after the next one that is not: going to and fro makes small blocks. */
  #chunksAsOthers = 0
  #chunksAsOthersNext = 16
  /** Where those of buckets lie that other threads read. */
  readonly #shared = new SharedBlocks()
  /** Of blocks in memory. */
  #memoryBytes = 0
  #bytes = 0
  #rows = 0
  #file: File | undefined
  #fileBytes = 0
  #isFinished = false
  #hashes = new Int32Array(0)
  #sorted = new Int32Array(0)
  /** Where blocks for the file are made. */
  #scratch = new Uint8Array(0)

  constructor(options: ExchangeWriterOptions) {
    this.#options = options
    this.#blockBytes = Math.min(blockBytesMax, Math.max(1024, options.memoryBytesMax / BUCKETS / 2))
    this.#whole = this.#newBucket()
    this.#takeNumbers = (number, columns, count) => {
      const bucket = (this.#buckets as Bucket[])[number] as Bucket
      bucket.rows += count
      this.#keep(bucket, allocate => encodePacked(columns, count, allocate))
    }
  }

  receive(chunk: Chunk): void {
    const vectors = this.#options.columns.map(column => chunk.field(column))
    this.#rows += chunk.count
    const isTooMuch = this.#rows > WHOLE_ROWS_MAX || this.#memoryBytes >= this.#options.outputBytesMax
    if (this.#options.keyWidth > 0 && this.#buckets === undefined && isTooMuch) this.#cutUp()
    if (this.#buckets === undefined) this.#add(this.#whole, vectors, chunk.rows, 0, chunk.count)
    else this.#spread(this.#buckets, vectors, chunk.rows, chunk.count)
  }

  /** All rows have come: what was gathered becomes blocks. */
  finish(): void {
    this.#numbers?.flush(this.#takeNumbers)
    for (const bucket of this.#buckets ?? [this.#whole]) this.#toBlock(bucket)
    this.close()
  }

  /** Idempotent. */
  close(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    if (this.#numbers !== undefined) giveBack(this.#numbers)
    this.#file?.closeSync()
  }

  /** What was written; after `finish`. */
  output(counters: ExchangeOutput['counters'] = {}, measures: ExchangeOutput['measures'] = []): ExchangeOutput {
    const buckets: BucketOutput[] = []
    const all = this.#buckets ?? [this.#whole]
    for (let b = 0; b < all.length; b++) {
      const { rows, stored, blocks } = all[b] as Bucket
      if (rows > 0) buckets.push({ bucket: this.#buckets === undefined ? -1 : b, rows, stored, blocks })
    }
    return { file: this.#file?.path, rows: this.#rows, bytes: this.#bytes, buckets, runs: [], counters, measures }
  }

  #newBucket(): Bucket {
    return { rows: 0, stored: [], blocks: [], gathered: this.#options.columns.map(() => new Column()) }
  }

  /** Too many rows for a whole: what is there goes into buckets. */
  #cutUp(): void {
    const { blocks, gathered } = this.#whole
    const buckets = Array.from({ length: BUCKETS }, () => this.#newBucket())
    this.#buckets = buckets
    this.#memoryBytes = 0
    this.#bytes = 0
    for (const block of blocks) {
      const { count, vectors } = decodeBlock(block)
      this.#spread(buckets, vectors, allRows(count), count)
    }
    const count = gathered[0]?.size ?? 0
    if (count > 0)
      this.#spread(
        buckets,
        gathered.map(column => column.vector()),
        allRows(count),
        count,
      )
  }

  #spread(buckets: readonly Bucket[], vectors: readonly Vector[], rows: Int32Array, count: number): void {
    if (this.#hashes.length < count) {
      this.#hashes = new Int32Array(count)
      this.#sorted = new Int32Array(count)
    }
    const [hashes, sorted] = [this.#hashes, this.#sorted]
    const { level = 0 } = this.#options
    if (this.#spreadNumbers(buckets, vectors, rows, count)) return
    this.#hash(vectors, rows, count)
    this.#numbers?.flush(this.#takeNumbers)
    this.#hasGathered = true
    // Sorted by bucket, by counting; rows of a bucket keep their order.
    const ends = new Int32Array(BUCKETS)
    for (let k = 0; k < count; k++) (ends[bucketOf(hashes[k] as number, level)] as number)++
    let at = 0
    for (let b = 0; b < BUCKETS; b++) {
      at += ends[b] as number
      ends[b] = at
    }
    const places = new Int32Array(BUCKETS)
    for (let b = 1; b < BUCKETS; b++) places[b] = ends[b - 1] as number
    for (let k = 0; k < count; k++) {
      const bucket = bucketOf(hashes[k] as number, level)
      sorted[places[bucket] as number] = rows[k] as number
      places[bucket] = (places[bucket] as number) + 1
    }
    for (let b = 0; b < BUCKETS; b++) {
      const from = b === 0 ? 0 : (ends[b - 1] as number)
      const to = ends[b] as number
      if (to > from) this.#add(buckets[b] as Bucket, vectors, sorted, from, to)
    }
  }

  /** Of the keys. */
  #hash(vectors: readonly Vector[], rows: Int32Array, count: number): void {
    if (this.#hashes.length < count) {
      this.#hashes = new Int32Array(count)
      this.#sorted = new Int32Array(count)
    }
    for (let i = 0; i < this.#options.keyWidth; i++) hashVector(vectors[i] as Vector, rows, count, this.#hashes, i > 0)
  }

  /** False for rows that are not numbers. */
  #spreadNumbers(buckets: readonly Bucket[], vectors: readonly Vector[], rows: Int32Array, count: number): boolean {
    if (this.#chunksAsOthers > 0) {
      this.#chunksAsOthers--
      return false
    }
    const truths = truthsOf(vectors, rows, count)
    if (truths === undefined) {
      this.#chunksAsOthers = this.#chunksAsOthersNext
      this.#chunksAsOthersNext *= 2
      return false
    }
    if (this.#hasGathered) for (const bucket of buckets) this.#toBlock(bucket)
    this.#hasGathered = false
    this.#numbers ??= takeNumberBuckets(vectors.length)
    const { keyWidth, level = 0 } = this.#options
    const isNumber = keyWidth === 1 && truths[0] === undefined
    if (!isNumber) this.#hash(vectors, rows, count)
    const numbers = { vectors, truths, rows, count, hashes: isNumber ? undefined : this.#hashes, level }
    this.#numbers.add(numbers, this.#blockBytes, this.#takeNumbers)
    return true
  }

  #add(bucket: Bucket, vectors: readonly Vector[], rows: Int32Array, from: number, to: number): void {
    const { gathered } = bucket
    bucket.rows += to - from
    // A chunk that fills a block is one.
    if (to - from >= CHUNK_ROWS / 2) {
      this.#toBlock(bucket)
      this.#keep(bucket, allocate => encodeBlock(vectors, rows, from, to, allocate))
      return
    }
    let bytes = 0
    for (let i = 0; i < gathered.length; i++) {
      const column = gathered[i] as Column
      column.append(vectors[i] as Vector, rows, from, to)
      bytes += column.bytes
    }
    if (bytes >= this.#blockBytes || (gathered[0]?.size ?? 0) >= CHUNK_ROWS) this.#toBlock(bucket)
  }

  /** Gathered rows become a block. */
  #toBlock(bucket: Bucket): void {
    const { gathered } = bucket
    const count = gathered[0]?.size ?? 0
    if (count === 0) return
    const vectors = gathered.map(column => column.vector())
    this.#keep(bucket, allocate => encodeBlock(vectors, allRows(count), 0, count, allocate))
    for (const column of gathered) column.clear()
  }

  /** `encode` makes the block in memory that it is given. */
  #keep(bucket: Bucket, encode: (allocate: (size: number) => Uint8Array) => Uint8Array): void {
    const { outputBytesMax, keyWidth, isShared } = this.#options
    // What is in the file stays as it is, so without buckets nothing goes there that has a key.
    if (this.#memoryBytes < outputBytesMax || (keyWidth > 0 && bucket === this.#whole)) {
      const block = encode(size => {
        if (!isShared) return new Uint8Array(size)
        // What is not cut up is little.
        return bucket === this.#whole ? new Uint8Array(new SharedArrayBuffer(size)) : this.#shared.allocate(size)
      })
      bucket.blocks.push(block)
      this.#memoryBytes += block.length
      this.#bytes += block.length
    } else {
      const block = encode(size => this.#scratchOf(size))
      this.#bytes += block.length
      bucket.stored.push(this.#store(block))
    }
  }

  /** A file's block is written at once, and its memory used again. */
  #scratchOf(size: number): Uint8Array {
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(Math.max(size, 2 * this.#scratch.length))
    return this.#scratch.subarray(0, size)
  }

  #store(block: Uint8Array): StoredBlock {
    const { files, path } = this.#options
    this.#file ??= files.openSync(path, 'create')
    const position = this.#fileBytes
    this.#file.writeSync(block, position)
    this.#fileBytes += block.length
    return { position, size: block.length, checksum: xxh64Low32(block, 0, block.length) }
  }
}
