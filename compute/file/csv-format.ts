/**
 * What a CSV file is like: its columns and their types, from options and from its first lines. RFC 4180: values may stand in quotes, in which two quotes are one; the first line has
 * the names of the columns, unless they are given.
 */
import { type Files, VarveError } from '../../engine/index.ts'
import type { BadRecords } from './file-source.ts'
import type { FoundFile } from './find-files.ts'
import { LineReader } from './line-reader.ts'

/** What a column's text becomes. 'date': what `Date` understands. */
export type CsvType = 'string' | 'number' | 'boolean' | 'bigint' | 'date'

/** Options of `readCsv`. */
export interface CsvOptions {
  /** One ASCII character between values. Default ','. */
  readonly delimiter?: string
  /** Names of the columns; the files then have no line for them. Default: the first line of each file. */
  readonly columns?: readonly string[]
  /**
   * Types of columns by name. Others are found from the first 1,000 lines of the first file: 'number' or 'boolean' where all values are such, 'bigint' where all are whole numbers, and
   * some beyond what a double holds exactly, else 'string'. A value that is none of its type is a bad record; an empty one is null in all, but in quotes an empty 'string'. A whole number that a
   * double does not hold, in a column that was found to be of numbers, is a bigint.
   */
  readonly types?: Readonly<Record<string, CsvType>>
  /** A line with too few or too many values, or a value that is none of its type: 'fail' (default), which names file and line, or 'skip'. */
  readonly badRecords?: BadRecords
  /** Values in quotes may contain line ends; then a file is read by one reader. Default false: such a value is a bad record. */
  readonly lineEndsInValues?: boolean
}

/** Structured-clonable. */
export interface CsvFormat {
  readonly delimiter: number
  readonly names: readonly string[]
  readonly types: readonly CsvType[]
  /** Of each column, whether its type was found and not given. */
  readonly isFound: readonly boolean[]
  /** Whether the first line of a file is no row. */
  readonly hasHeader: boolean
  readonly badRecords: BadRecords
  readonly lineEndsInValues: boolean
}

const sniffedLines = 1000
const types: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'bigint', 'date'])
/** Decimals as JSON has them: with a leading zero a text is rather a number of something. */
const decimal = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/
const whole = /^-?(0|[1-9]\d*)$/

/** Whether a text is a whole number that a double does not hold, so that it would become another. */
export function isBeyondDoubles(text: string): boolean {
  return text.length > 15 && whole.test(text) && BigInt(Number(text)) !== BigInt(text)
}

export function csvFormatOf(options: CsvOptions, found: readonly FoundFile[], files: Files): CsvFormat {
  const { delimiter = ',', columns, badRecords = 'fail', lineEndsInValues = false } = options
  if (delimiter.length !== 1 || delimiter.charCodeAt(0) >= 0x80 || delimiter === '"' || delimiter === '\n' || delimiter === '\r') {
    throw new RangeError(`delimiter must be one ASCII character, got ${JSON.stringify(delimiter)}`)
  }
  // Empty files have no rows, and nothing to say of columns.
  const first = found.find(({ size }) => size > 0) ?? (found[0] as FoundFile)
  const lines = firstLines(files, first.path, delimiter, lineEndsInValues)
  const names = columns ?? lines.shift()
  if (names === undefined)
    throw new VarveError('CORRUPT', `${first.path} is empty: it has no names of columns`, { details: { file: first.path } })
  for (const [i, name] of names.entries()) {
    if (name === '' || name.startsWith('@') || names.indexOf(name) !== i) {
      throw new VarveError('CORRUPT', `${first.path}: column ${i + 1} is called '${name}', which is no name of its own`, {
        details: { file: first.path, column: name },
      })
    }
  }
  for (const [name, type] of Object.entries(options.types ?? {})) {
    if (!names.includes(name)) throw new TypeError(`types.${name} is no column of ${first.path}, which has ${names.join(', ')}`)
    if (!types.has(type))
      throw new TypeError(`types.${name} must be 'string', 'number', 'boolean', 'bigint' or 'date', got ${String(type)}`)
  }
  return {
    delimiter: delimiter.charCodeAt(0),
    names,
    types: names.map((name, i) => options.types?.[name] ?? typeOf(lines.map(line => line[i] ?? ''))),
    isFound: names.map(name => options.types?.[name] === undefined),
    hasHeader: columns === undefined,
    badRecords,
    lineEndsInValues,
  }
}

function typeOf(values: readonly string[]): CsvType {
  const present = values.filter(value => value !== '')
  if (present.length === 0) return 'string'
  if (present.every(value => decimal.test(value)))
    return present.every(value => whole.test(value)) && present.some(isBeyondDoubles) ? 'bigint' : 'number'
  return present.every(value => value === 'true' || value === 'false') ? 'boolean' : 'string'
}

function firstLines(files: Files, path: string, delimiter: string, quotes: boolean): string[][] {
  const reader = new LineReader(files, path, 0, Number.MAX_SAFE_INTEGER, sniffedLines + 1, quotes)
  try {
    const count = reader.next()
    return Array.from({ length: count }, (_, i) => {
      const text = Buffer.from(reader.bytes.subarray(reader.starts[i] as number, reader.ends[i] as number)).toString()
      return valuesOf(text, delimiter)
    })
  } finally {
    reader.close()
  }
}

/** Values of a line of text; for the few lines that are looked at. */
export function valuesOf(line: string, delimiter: string): string[] {
  const values: string[] = []
  let at = 0
  for (;;) {
    let value = ''
    if (line[at] === '"') {
      for (at++; at < line.length; at++) {
        if (line[at] !== '"') value += line[at]
        else if (line[at + 1] === '"') {
          value += '"'
          at++
        } else break
      }
      at++
    } else {
      const end = line.indexOf(delimiter, at)
      value = end < 0 ? line.slice(at) : line.slice(at, end)
      at += value.length
    }
    values.push(value)
    if (line[at] !== delimiter) return values
    at++
  }
}
