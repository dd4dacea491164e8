/**
 * Files of lines as sources: text, JSON lines and CSV, and files of records of a fixed length. A path, a pattern or a folder names the files; large ones are read in ranges, by as many readers as there are. What readers have to know
 * is plain data, so any thread reads them.
 */

import { checkOptions, type Files, isVarveError, nodeFiles, VarveError, valueCodecOf } from '../../engine/index.ts'
import type { TypedSource } from '../flow/input.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import type { Needs, OpenReader, Split, SplitOptions, SplitReader, SplitSet } from '../source/source.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { type CsvFormat, type CsvOptions, csvFormatOf } from './csv-format.ts'
import { CsvReader } from './csv-rows.ts'
import { type FoundFile, findFiles } from './find-files.ts'
import { LineReader, lineNumberAt } from './line-reader.ts'
import { cutOff, RecordReader } from './record-reader.ts'

/** What to do with a record that is none. */
export type BadRecords = 'fail' | 'skip'

/** Options of `readJsonl`. */
export interface JsonlOptions {
  /** A line that is not JSON: 'fail' (default), which names file and line, or 'skip'. With 'skip' each line is parsed whole. */
  readonly badRecords?: BadRecords
}

/** Options of `readBinary`. */
export interface BinaryOptions {
  /** Length of a record, from 1 to 2^24. */
  readonly recordBytes: number
}

/** How the bytes of files become rows; structured-clonable. */
type FileFormat = LineFormat | { readonly kind: 'binary'; readonly recordBytes: number }

type LineFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'jsonl'; readonly badRecords: BadRecords }
  | { readonly kind: 'csv'; readonly csv: CsvFormat }

/** Input of a split. */
interface FileRange {
  readonly path: string
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

const csvOptionNames: (keyof CsvOptions)[] = ['delimiter', 'columns', 'types', 'badRecords', 'lineEndsInValues']

const splitBytesMin = 1 << 20
const recordBytesMax = 2 ** 24

/** Lines of text files, as strings. `path`: a file, a folder, a pattern (`logs/*.txt`), or several. */
export function readText(path: string | readonly string[]): TypedSource<string> {
  return new FileSource<string>('text', path, () => Promise.resolve({ kind: 'text' }))
}

/** Rows of files of JSON lines; see `readText` for the path. Fields are taken from the text where they lie. */
export function readJsonl<T = unknown>(path: string | readonly string[], options: JsonlOptions = {}): TypedSource<T> {
  checkOptions(options, 'readJsonl', ['badRecords'])
  const { badRecords = 'fail' } = options
  checkBadRecords(badRecords)
  return new FileSource<T>('jsonl', path, () => Promise.resolve({ kind: 'jsonl', badRecords }))
}

/** Rows of CSV files, as objects; see `readText` for the path and `CsvOptions` for types. */
export function readCsv<T = Readonly<Record<string, unknown>>>(path: string | readonly string[], options: CsvOptions = {}): TypedSource<T> {
  checkOptions(options, 'readCsv', csvOptionNames)
  if (options.badRecords !== undefined) checkBadRecords(options.badRecords)
  return new FileSource<T>('csv', path, async (found, files) => ({ kind: 'csv', csv: csvFormatOf(options, found, files) }))
}

/** Records of a fixed length, as bytes; see `readText` for the path. `row<Uint8Array>().slice(0, 10)` is a key of them. A file that is not made of whole records is CORRUPT. */
export function readBinary(path: string | readonly string[], options: BinaryOptions): TypedSource<Uint8Array> {
  checkOptions(options, 'readBinary', ['recordBytes'])
  const { recordBytes } = options
  if (!Number.isSafeInteger(recordBytes) || recordBytes < 1 || recordBytes > recordBytesMax) {
    throw new RangeError(`recordBytes must be a whole number from 1 to ${recordBytesMax}, got ${String(recordBytes)}`)
  }
  return new FileSource<Uint8Array>('binary', path, () => Promise.resolve({ kind: 'binary', recordBytes }))
}

function checkBadRecords(value: unknown): void {
  if (value !== 'fail' && value !== 'skip') throw new TypeError(`badRecords must be 'fail' or 'skip', got ${String(value)}`)
}

class FileSource<T> implements TypedSource<T> {
  readonly kind: string
  readonly name: string
  readonly isPortable = true
  readonly #paths: readonly string[]
  readonly #formatOf: (found: readonly FoundFile[], files: Files) => Promise<FileFormat>
  /** Of the run that was split last. */
  #format: FileFormat | undefined

  constructor(
    kind: string,
    path: string | readonly string[],
    formatOf: (found: readonly FoundFile[], files: Files) => Promise<FileFormat>,
  ) {
    const paths = typeof path === 'string' ? [path] : path
    if (!Array.isArray(paths) || paths.length === 0 || paths.some(one => typeof one !== 'string' || one === '')) {
      throw new TypeError(`path must be a path or a list of paths, got ${String(path)}`)
    }
    this.kind = kind
    this.name = paths.join(', ')
    this.#paths = paths
    this.#formatOf = formatOf
  }

  /** Of files; folders and patterns are gone through when the run begins. */
  get bytes(): number | undefined {
    let bytes = 0
    for (const path of this.#paths) {
      const stat = nodeFiles.statSync(path)
      if (stat === undefined || stat.isDirectory) return undefined
      bytes += stat.size
    }
    return bytes
  }

  async split({ parallelism }: SplitOptions): Promise<SplitSet> {
    const found = await findFiles(this.#paths, nodeFiles)
    const format = await this.#formatOf(found, nodeFiles)
    this.#format = format
    const total = found.reduce((sum, { size }) => sum + size, 0)
    const bytesMax = isDivisible(format) ? Math.max(splitBytesMin, Math.ceil(total / parallelism)) : Number.POSITIVE_INFINITY
    const splits = found.flatMap(({ path, size }) => {
      const unit = format.kind === 'binary' ? format.recordBytes : 1
      if (size % unit !== 0) throw cutOff(path, size, unit)
      const count = Math.max(1, Math.ceil(size / bytesMax))
      const bound = (i: number): number => Math.floor((size * i) / count / unit) * unit
      return Array.from({ length: count }, (_, i): Split => {
        const range: FileRange = { path, start: bound(i), end: bound(i + 1) }
        const name = count === 1 ? path : `${path}, bytes ${range.start} to ${range.end}`
        return { name, bytes: range.end - range.start, input: range }
      })
    })
    return { splits, share: () => ({ reader: 'lines', input: format }), release: () => undefined }
  }

  open(split: Split, needs: Needs): SplitReader {
    return openRange(split.input as FileRange, this.#format as FileFormat, needs, nodeFiles)
  }

  /** Of JSON lines: those of the others are taken apart where they are read. */
  async *checkRecords(): AsyncGenerator<void, void, undefined> {
    if (this.kind !== 'jsonl') return
    const { splits } = await this.split({ parallelism: 1, portable: false })
    for (const split of splits) {
      const reader = this.open(split, { paths: [], values: true }) as TextReader
      try {
        for (let chunk = reader.next(); chunk !== undefined; chunk = reader.next()) {
          const { data, rows, count } = chunk
          for (let k = 0; k < count; k++) data.value(rows[k] as number)
          yield
        }
      } catch (error) {
        throw reader.locate(error)
      } finally {
        reader.close()
      }
    }
  }
}

/** Whether a range of a file may begin anywhere: not where values may have line ends. */
function isDivisible(format: FileFormat): boolean {
  return format.kind !== 'csv' || !format.csv.lineEndsInValues
}

/** Reads ranges of files of lines. */
export const openLinesReader: OpenReader = (input, files) => ({
  open: (split, needs) => openRange(split.input as FileRange, input as FileFormat, needs, files),
  close: () => undefined,
})

function openRange(range: FileRange, format: FileFormat, needs: Needs, files: Files): SplitReader {
  if (format.kind === 'binary') return new RecordReader(files, range, format.recordBytes, needs)
  return format.kind === 'csv' ? new CsvReader(range, format.csv, needs, files) : new TextReader(range, format, needs, files)
}

class TextReader implements SplitReader {
  bytesRead = 0
  badRecords = 0
  readonly #range: FileRange
  readonly #files: Files
  readonly #lines: LineReader
  readonly #reader: EncodedReader
  readonly #isJson: boolean
  readonly #skipsBad: boolean
  /** Lines of the chunk at hand. */
  #size = 0

  constructor(range: FileRange, format: Exclude<LineFormat, { kind: 'csv' }>, needs: Needs, files: Files) {
    this.#range = range
    this.#files = files
    this.#lines = new LineReader(files, range.path, range.start, range.end, CHUNK_ROWS)
    this.#isJson = format.kind === 'jsonl'
    this.#skipsBad = format.kind === 'jsonl' && format.badRecords === 'skip'
    this.#reader = new EncodedReader(valueCodecOf(this.#isJson ? 'json' : 'string'), needs.paths)
  }

  next(): Chunk | undefined {
    const { starts, ends } = this.#lines
    for (;;) {
      const size = this.#lines.next()
      this.#size = size
      if (size === 0) return undefined
      const { bytes, base } = this.#lines
      this.bytesRead = Math.max(this.bytesRead, base + (ends[size - 1] as number) - this.#range.start)
      const rows = this.#reader.rows({ size, bytes, starts, ends })
      if (!this.#isJson) return new Chunk(rows)
      const kept = new Int32Array(size)
      let count = 0
      for (let row = 0; row < size; row++) {
        kept[count] = row
        if (isBlank(bytes, starts[row] as number, ends[row] as number)) continue
        if (this.#skipsBad && !this.#isGood(bytes, starts[row] as number, ends[row] as number)) {
          this.badRecords++
          continue
        }
        count++
      }
      if (count > 0) return new Chunk(rows, kept, count)
    }
  }

  close(): void {
    this.#lines.close()
  }

  /** The error with the file and the line that it is about, if it is about one of the chunk at hand: its position is one of the chunk's bytes. */
  locate(error: unknown): unknown {
    return this.#isOfChunk(error) ? located(error, this.#files, this.#range.path, this.#lines.base) : error
  }

  /** Whether a line of the chunk at hand is no record, where the error says so. What reads rows on may fail for a row of another file, or of this one before. */
  #isOfChunk(error: unknown): boolean {
    if (!isVarveError(error, 'CORRUPT') || typeof error.details.position !== 'number') return false
    const { bytes, starts, ends } = this.#lines
    for (let row = 0; row < this.#size; row++) {
      const start = starts[row] as number
      const end = ends[row] as number
      if (start <= error.details.position && error.details.position <= end) return !this.#isGood(bytes, start, end)
    }
    return false
  }

  #isGood(bytes: Uint8Array, start: number, end: number): boolean {
    try {
      this.#reader.codec.decode(bytes, start, end)
      return true
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      return false
    }
  }
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if ((bytes[i] as number) > 0x20) return false
  return true
}

/** A CORRUPT whose position counts from `base` of a file, with file, position in it, and line. */
export function located(error: unknown, files: Files, path: string, base: number): unknown {
  if (!isVarveError(error, 'CORRUPT') || typeof error.details.position !== 'number' || error.details.file !== undefined) return error
  const position = base + error.details.position
  const line = lineNumberAt(files, path, position)
  return new VarveError('CORRUPT', `${path}, line ${line}: ${error.message}`, {
    cause: error,
    details: { ...error.details, file: path, position, line },
  })
}
