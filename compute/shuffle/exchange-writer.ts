/**
 * The end of a task whose rows go on to another stage: blocks by bucket, in memory up to a bound, then in a file. See `exchange.ts`.
 *
 * Rows are columns; the first `keyWidth` of them are the key. Without a key nothing is cut up, and the order of rows is kept.
 * Invariant: while at most `WHOLE_ROWS_MAX` rows came and they are in memory, all blocks are of bucket -1; from then on, if there is a key, none is.
 */
import { type File, type Files, xxh64Low32 } from '../../engine/index.ts'
import { hashVector } from '../group/hash.ts'
import type { Receiver } from '../operator/receiver.ts'
import { decodeBlock, encodeBlock } from '../vector/block.ts'
import { allRows, type Chunk } from '../vector/chunk.ts'
import type { Vector } from '../vector/vector.ts'
import { BUCKETS, type BucketOutput, bucketOf, type ExchangeOutput, type StoredBlock, WHOLE_ROWS_MAX } from './exchange.ts'

export interface ExchangeWriterOptions {
  /** Names of the columns, in the order in which chunks have them as fields. */
  readonly columns: readonly string[]
  readonly keyWidth: number
  readonly files: Files
  /** Path of the file, if one is needed. */
  readonly path: string
  /** Bytes of blocks that are kept in memory. */
  readonly memoryBytesMax: number
}

interface Bucket {
  rows: number
  readonly stored: StoredBlock[]
  blocks: Uint8Array[]
}

const newBucket = (): Bucket => ({ rows: 0, stored: [], blocks: [] })

export class ExchangeWriter implements Receiver {
  readonly isSated = false
  readonly #options: ExchangeWriterOptions
  readonly #whole: Bucket = newBucket()
  #buckets: Bucket[] | undefined
  #memoryBytes = 0
  #bytes = 0
  #rows = 0
  #file: File | undefined
  #fileBytes = 0
  #isFinished = false
  #hashes = new Int32Array(0)
  #sorted = new Int32Array(0)

  constructor(options: ExchangeWriterOptions) {
    this.#options = options
  }

  receive(chunk: Chunk): void {
    const vectors = this.#options.columns.map(column => chunk.field(column))
    this.#rows += chunk.count
    if (this.#options.keyWidth > 0 && this.#buckets === undefined && this.#rows > WHOLE_ROWS_MAX) this.#cutUp()
    if (this.#buckets === undefined) this.#add(this.#whole, vectors, chunk.rows, 0, chunk.count)
    else this.#spread(this.#buckets, vectors, chunk.rows, chunk.count)
    if (this.#memoryBytes <= this.#options.memoryBytesMax) return
    // What is in the file stays as it is, so it goes there in buckets.
    if (this.#options.keyWidth > 0 && this.#buckets === undefined) this.#cutUp()
    this.#toFile()
  }

  /** Idempotent. */
  finish(): void {
    this.close()
  }

  /** Idempotent. */
  close(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#file?.closeSync()
  }

  /** What was written; after `finish`. */
  output(counters: Readonly<Record<string, number>> = {}): ExchangeOutput {
    const buckets: BucketOutput[] = []
    const all = this.#buckets ?? [this.#whole]
    for (let b = 0; b < all.length; b++) {
      const { rows, stored, blocks } = all[b] as Bucket
      if (rows > 0) buckets.push({ bucket: this.#buckets === undefined ? -1 : b, rows, stored, blocks })
    }
    return { file: this.#file?.path, rows: this.#rows, bytes: this.#bytes, buckets, runs: [], counters }
  }

  /** Too many rows for a whole: what is there goes into buckets. */
  #cutUp(): void {
    const { blocks } = this.#whole
    this.#buckets = Array.from({ length: BUCKETS }, newBucket)
    this.#memoryBytes = 0
    this.#bytes = 0
    for (const block of blocks) {
      const { count, vectors } = decodeBlock(block)
      this.#spread(this.#buckets, vectors, allRows(count), count)
    }
    this.#whole.blocks = []
    this.#whole.rows = 0
  }

  #spread(buckets: readonly Bucket[], vectors: readonly Vector[], rows: Int32Array, count: number): void {
    if (this.#hashes.length < count) {
      this.#hashes = new Int32Array(count)
      this.#sorted = new Int32Array(count)
    }
    const [hashes, sorted] = [this.#hashes, this.#sorted]
    for (let i = 0; i < this.#options.keyWidth; i++) hashVector(vectors[i] as Vector, rows, count, hashes, i > 0)
    // Sorted by bucket, by counting; rows of a bucket keep their order.
    const ends = new Int32Array(BUCKETS)
    for (let k = 0; k < count; k++) (ends[bucketOf(hashes[k] as number)] as number)++
    let at = 0
    for (let b = 0; b < BUCKETS; b++) {
      at += ends[b] as number
      ends[b] = at
    }
    const places = new Int32Array(BUCKETS)
    for (let b = 1; b < BUCKETS; b++) places[b] = ends[b - 1] as number
    for (let k = 0; k < count; k++) {
      const bucket = bucketOf(hashes[k] as number)
      sorted[places[bucket] as number] = rows[k] as number
      places[bucket] = (places[bucket] as number) + 1
    }
    for (let b = 0; b < BUCKETS; b++) {
      const from = b === 0 ? 0 : (ends[b - 1] as number)
      const to = ends[b] as number
      if (to > from) this.#add(buckets[b] as Bucket, vectors, sorted, from, to)
    }
  }

  #add(bucket: Bucket, vectors: readonly Vector[], rows: Int32Array, from: number, to: number): void {
    const block = encodeBlock(vectors, rows, from, to)
    bucket.blocks.push(block)
    bucket.rows += to - from
    this.#memoryBytes += block.length
    this.#bytes += block.length
  }

  #toFile(): void {
    const { files, path } = this.#options
    this.#file ??= files.openSync(path, 'create')
    for (const bucket of this.#buckets ?? [this.#whole]) {
      for (const block of bucket.blocks) {
        this.#file.writeSync(block, this.#fileBytes)
        bucket.stored.push({ position: this.#fileBytes, size: block.length, checksum: xxh64Low32(block, 0, block.length) })
        this.#fileBytes += block.length
      }
      bucket.blocks = []
    }
    this.#memoryBytes = 0
  }
}
