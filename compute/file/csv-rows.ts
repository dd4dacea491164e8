/** Reads a range of a CSV file: values are found by their delimiters, line by line, and become numbers, text and the like when their column is asked for. See `csv-format.ts`. */
import { type Files, readText, VarveError } from '../../engine/index.ts'
import type { Needs, SplitReader } from '../source/source.ts'
import { CHUNK_ROWS, Chunk, type ChunkData } from '../vector/chunk.ts'
import { AnyVector, nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import { type CsvFormat, type CsvType, isBeyondDoubles, valuesOf } from './csv-format.ts'
import { LineReader, lineNumberAt } from './line-reader.ts'

const QUOTE = 0x22
const PLAIN = 0
const QUOTED = 1
/** In quotes, with two quotes in it for one. */
const ESCAPED = 2

export class CsvReader implements SplitReader {
  bytesRead = 0
  badRecords = 0
  readonly #range: { readonly path: string; readonly start: number; readonly end: number }
  readonly #format: CsvFormat
  readonly #files: Files
  readonly #lines: LineReader
  readonly #needs: Needs
  #isFirst: boolean

  constructor(
    range: { readonly path: string; readonly start: number; readonly end: number },
    format: CsvFormat,
    needs: Needs,
    files: Files,
  ) {
    this.#range = range
    this.#format = format
    this.#files = files
    this.#needs = needs
    this.#lines = new LineReader(files, range.path, range.start, range.end, CHUNK_ROWS, format.lineEndsInValues)
    this.#isFirst = range.start === 0
  }

  next(): Chunk | undefined {
    for (;;) {
      const size = this.#lines.next()
      if (size === 0) return undefined
      const { base, ends } = this.#lines
      this.bytesRead = Math.max(this.bytesRead, base + (ends[size - 1] as number) - this.#range.start)
      const from = this.#isFirst && this.#format.hasHeader ? 1 : 0
      if (from === 1) this.#checkHeader()
      this.#isFirst = false
      const chunk = this.#chunk(from, size)
      if (chunk.count > 0) return chunk
    }
  }

  close(): void {
    this.#lines.close()
  }

  /** A file whose columns are others than those of the first, or stand in another order, would give wrong values. */
  #checkHeader(): void {
    const { bytes, starts, ends } = this.#lines
    const { names, delimiter } = this.#format
    const found = valuesOf(readText(bytes, starts[0] as number, ends[0] as number), String.fromCharCode(delimiter))
    if (found.length === names.length && found.every((name, i) => name === names[i])) return
    throw this.#bad(`the columns are ${found.join(', ')}, and not ${names.join(', ')}, as in the first file`, starts[0] as number)
  }

  #chunk(from: number, size: number): Chunk {
    const { bytes, starts, ends } = this.#lines
    const rows = new CsvRows(this.#format, bytes, size)
    const kept = new Int32Array(size)
    let count = 0
    for (let line = from; line < size; line++) {
      const [start, end] = [starts[line] as number, ends[line] as number]
      if (start === end) continue
      const problem = rows.split(line, start, end)
      if (problem === undefined) kept[count++] = line
      else if (this.#format.badRecords === 'skip') this.badRecords++
      else throw this.#bad(problem, start)
    }
    return new Chunk(rows, kept, this.#checkValues(rows, kept, count))
  }

  /** Values that are none of their type are found as their column is read, so the columns that are needed are read here. */
  #checkValues(rows: CsvRows, kept: Int32Array, count: number): number {
    const { names, badRecords } = this.#format
    const columns = this.#needs.values ? names : this.#needs.paths.filter(path => names.includes(path))
    let left = count
    for (const column of columns) {
      const bad = rows.read(column, kept, left)
      if (bad.length === 0) continue
      const [first] = bad as [number]
      if (badRecords === 'fail') throw this.#bad(`${column} is no ${rows.typeOf(column)}`, rows.startOf(first))
      const isBad = new Set(bad)
      let found = 0
      for (let k = 0; k < left; k++) if (!isBad.has(kept[k] as number)) kept[found++] = kept[k] as number
      this.badRecords += left - found
      left = found
    }
    return left
  }

  #bad(problem: string, at: number): VarveError {
    const { path } = this.#range
    const position = this.#lines.base + at
    const line = lineNumberAt(this.#files, path, position)
    return new VarveError('CORRUPT', `${path}, line ${line}: ${problem}`, { details: { file: path, position, line } })
  }
}

class CsvRows implements ChunkData {
  readonly size: number
  readonly #format: CsvFormat
  readonly #bytes: Uint8Array
  /** Of each row and column, where its value begins and ends, and how it is written. */
  readonly #starts: Int32Array
  readonly #ends: Int32Array
  readonly #forms: Uint8Array
  readonly #vectors = new Map<string, Vector>()

  constructor(format: CsvFormat, bytes: Uint8Array, size: number) {
    const { length } = format.names
    this.size = size
    this.#format = format
    this.#bytes = bytes
    this.#starts = new Int32Array(size * length)
    this.#ends = new Int32Array(size * length)
    this.#forms = new Uint8Array(size * length)
  }

  /** Finds the values of a line; what is wrong with it, if something is. */
  split(row: number, start: number, end: number): string | undefined {
    const bytes = this.#bytes
    const { delimiter, names } = this.#format
    const columns = names.length
    const base = row * columns
    let at = start
    for (let column = 0; ; column++) {
      if (column === columns) return `there are more than ${columns} values`
      let form = PLAIN
      let from = at
      let to = at
      if (at < end && bytes[at] === QUOTE) {
        form = QUOTED
        from = ++at
        for (; ; at++) {
          if (at >= end) return 'a quote is not closed; values with line ends need the option lineEndsInValues'
          if (bytes[at] !== QUOTE) continue
          if (at + 1 === end || bytes[at + 1] !== QUOTE) break
          form = ESCAPED
          at++
        }
        to = at++
        if (at < end && bytes[at] !== delimiter) return 'something follows a closing quote'
      } else {
        while (at < end && bytes[at] !== delimiter) at++
        to = at
      }
      this.#starts[base + column] = from
      this.#ends[base + column] = to
      this.#forms[base + column] = form
      // Behind a delimiter there is one more value, be it empty.
      if (at === end) return column + 1 === columns ? undefined : `there are ${column + 1} values, not ${columns}`
      at++
    }
  }

  typeOf(column: string): CsvType {
    return this.#format.types[this.#format.names.indexOf(column)] as CsvType
  }

  startOf(row: number): number {
    return this.#starts[row * this.#format.names.length] as number
  }

  /** Makes the vector of a column for these rows, and tells those whose value is none of its type. */
  read(name: string, rows: Int32Array, count: number): number[] {
    const { names } = this.#format
    const column = names.indexOf(name)
    const isFound = this.#format.isFound[column] as boolean
    const type = this.typeOf(name)
    const bad: number[] = []
    const builder = new VectorBuilder()
    builder.begin(this.size, this.#bytes)
    let k = 0
    for (let row = 0; row < this.size; row++) {
      if (k === count || rows[k] !== row) {
        builder.null()
        continue
      }
      k++
      if (!this.#add(builder, row * names.length + column, type, isFound)) bad.push(row)
    }
    this.#vectors.set(name, builder.finish())
    return bad
  }

  field(path: string): Vector {
    if (path === '') return new AnyVector(Array.from({ length: this.size }, (_, row) => this.value(row)))
    return this.#vectors.get(path) ?? nullVector(this.size)
  }

  value(row: number): unknown {
    const value: Record<string, unknown> = {}
    for (const name of this.#format.names) value[name] = this.#vectors.get(name)?.get(row) ?? null
    return value
  }

  #add(builder: VectorBuilder, at: number, type: CsvType, isFound: boolean): boolean {
    const start = this.#starts[at] as number
    const end = this.#ends[at] as number
    const form = this.#forms[at] as number
    if (start === end && (form === PLAIN || type !== 'string')) {
      builder.null()
      return true
    }
    if (type === 'string' && form !== ESCAPED) {
      builder.text(start, end)
      return true
    }
    if (type === 'number' && this.#addDigits(builder, start, end)) return true
    const text = readText(this.#bytes, start, end).replaceAll('""', '"')
    const value = type === 'number' && isFound && isBeyondDoubles(text) ? BigInt(text) : typedValue(text, type)
    builder.any(value)
    return value !== null
  }

  /** The number of a text of up to 15 digits and a point, which are exact as digits divided by a power of ten; false for any other. */
  #addDigits(builder: VectorBuilder, start: number, end: number): boolean {
    const bytes = this.#bytes
    const isNegative = bytes[start] === 0x2d
    let value = 0
    let scale = -1
    const from = isNegative ? start + 1 : start
    if (end - from > 15 || end === from) return false
    for (let at = from; at < end; at++) {
      const byte = bytes[at] as number
      if (byte >= 0x30 && byte <= 0x39) {
        value = value * 10 + (byte - 0x30)
        if (scale >= 0) scale++
      } else if (byte === 0x2e && scale < 0 && at > from) scale = 0
      else return false
    }
    if (scale === 0) return false
    const magnitude = scale > 0 ? value / 10 ** scale : value
    builder.number(isNegative ? -magnitude : magnitude)
    return true
  }
}

/** Null: the text is none of the type. */
function typedValue(text: string, type: CsvType): unknown {
  switch (type) {
    case 'string':
      return text
    case 'number': {
      const number = text.trim() === '' ? Number.NaN : Number(text)
      return Number.isNaN(number) && text !== 'NaN' ? null : number
    }
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : null
    case 'bigint':
      return /^-?\d+$/.test(text) ? BigInt(text) : null
    default: {
      const date = new Date(text)
      return Number.isNaN(date.getTime()) ? null : date
    }
  }
}
