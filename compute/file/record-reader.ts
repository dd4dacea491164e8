/** Records of a fixed length in a range of a file, as bytes, read over again with each chunk. */
import { type File, type Files, VarveError, valueCodecOf } from '../../engine/index.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import type { Needs, SplitReader } from '../source/source.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'

const chunkBytes = 512 << 10

export interface RecordRange {
  readonly path: string
  /** At a multiple of the length, as `end`. */
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

export class RecordReader implements SplitReader {
  bytesRead = 0
  readonly #range: RecordRange
  readonly #file: File
  readonly #bytes: Uint8Array
  readonly #starts: Int32Array
  readonly #ends: Int32Array
  readonly #recordBytes: number
  readonly #reader: EncodedReader

  constructor(files: Files, range: RecordRange, recordBytes: number, needs: Needs) {
    this.#range = range
    this.#recordBytes = recordBytes
    const rows = Math.max(1, Math.min(CHUNK_ROWS, Math.floor(chunkBytes / recordBytes)))
    this.#bytes = new Uint8Array(rows * recordBytes)
    this.#starts = Int32Array.from({ length: rows }, (_, i) => i * recordBytes)
    this.#ends = Int32Array.from({ length: rows }, (_, i) => (i + 1) * recordBytes)
    this.#reader = new EncodedReader(valueCodecOf('bytes'), needs.paths)
    this.#file = files.openSync(range.path, 'read')
  }

  next(): Chunk | undefined {
    const { path, start, end } = this.#range
    const at = start + this.bytesRead
    const size = Math.min(this.#bytes.length, end - at)
    if (size === 0) return undefined
    const bytes = this.#bytes
    const got = this.#file.readSync(bytes.subarray(0, size), at)
    if (got < size) throw cutOff(path, at + got, this.#recordBytes)
    this.bytesRead += size
    return new Chunk(this.#reader.rows({ size: size / this.#recordBytes, bytes, starts: this.#starts, ends: this.#ends }))
  }

  close(): void {
    this.#file.closeSync()
  }
}

/** A file that is not made of whole records. */
export function cutOff(path: string, size: number, recordBytes: number): VarveError {
  const position = size - (size % recordBytes)
  return new VarveError('CORRUPT', `${path} ends within a record of ${recordBytes} bytes, at byte ${position} of ${size}`, {
    details: { file: path, position },
  })
}
