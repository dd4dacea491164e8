/** Reads a share of what the tasks of another stage wrote: rows of some buckets, output after output in the order of the tasks. See `exchange.ts`. */
import { damagedBytes, type File, type Files, xxh64Low32 } from '../../engine/index.ts'
import { hashVector } from '../group/hash.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import type { SplitReader } from '../source/source.ts'
import { decodeBlock, WideNumbers } from '../vector/block.ts'
import { allRows, Chunk } from '../vector/chunk.ts'
import type { Vector } from '../vector/vector.ts'
import { BUCKETS, type BucketOutput, bucketOf, type ExchangeOutput } from './exchange.ts'

/** Buckets `[from, to)`. */
export interface BucketRange {
  readonly from: number
  readonly to: number
}

export const allBuckets: BucketRange = { from: 0, to: BUCKETS }

export interface ExchangeReaderOptions {
  readonly outputs: readonly ExchangeOutput[]
  readonly buckets: BucketRange
  readonly columns: readonly string[]
  readonly keyWidth: number
  /** As of the writer. Default 0. */
  readonly level?: number | undefined
  readonly files: Files
}

export class ExchangeReader implements SplitReader {
  bytesRead = 0
  readonly #options: ExchangeReaderOptions
  readonly #chunks: Generator<Chunk, undefined>
  readonly #wide = new WideNumbers()
  #file: File | undefined

  constructor(options: ExchangeReaderOptions) {
    this.#options = options
    this.#chunks = this.#read()
  }

  next(): Chunk | undefined {
    const step = this.#chunks.next()
    return step.done === true ? undefined : step.value
  }

  close(): void {
    this.#chunks.return(undefined)
    this.#file?.closeSync()
    this.#file = undefined
  }

  *#read(): Generator<Chunk, undefined> {
    const { outputs, buckets } = this.#options
    for (const output of outputs) {
      for (const bucket of output.buckets) {
        if (bucket.bucket >= 0 && (bucket.bucket < buckets.from || bucket.bucket >= buckets.to)) continue
        for (const block of this.#blocks(output, bucket)) {
          this.bytesRead += block.length
          const chunk = this.#chunk(block, bucket)
          if (chunk.count > 0) yield chunk
        }
      }
      this.#file?.closeSync()
      this.#file = undefined
    }
    return undefined
  }

  *#blocks({ file: path }: ExchangeOutput, { stored, blocks }: BucketOutput): Generator<Uint8Array> {
    yield* blocks
    for (const { position, size, checksum } of stored) {
      this.#file ??= this.#options.files.openSync(path as string, 'read')
      const block = new Uint8Array(size)
      const got = this.#file.readSync(block, position)
      if (got < size || xxh64Low32(block, 0, size) !== checksum) {
        throw damagedBytes(`a block of the job's file ${path} is damaged`, position, { file: path as string })
      }
      yield block
    }
  }

  #chunk(block: Uint8Array, { bucket }: BucketOutput): Chunk {
    const { columns, keyWidth, buckets, level = 0 } = this.#options
    const { count, vectors } = decodeBlock(block, this.#wide)
    const data = new ColumnRows(count, columns, vectors)
    const isAll = buckets.from === 0 && buckets.to === BUCKETS
    if (bucket >= 0 || keyWidth === 0 || isAll) return new Chunk(data)
    const hashes = new Int32Array(count)
    const rows = allRows(count)
    for (let i = 0; i < keyWidth; i++) hashVector(vectors[i] as Vector, rows, count, hashes, i > 0)
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      const of = bucketOf(hashes[k] as number, level)
      kept[found] = k
      if (of >= buckets.from && of < buckets.to) found++
    }
    return new Chunk(data, kept, found)
  }
}
