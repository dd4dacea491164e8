/** A user's own file as input of the main job: CSV, JSONL or Parquet. */

import { accessSync, constants, statSync } from 'node:fs'
import { basename } from 'node:path'
import { csvReader, InputError, type Row, type RowReader, readJsonl, readParquet } from '../../cli/index.ts'
import type { BadLine, Columns, DataRow, JobInput, KeyedRow } from './input.ts'

export type Format = 'csv' | 'jsonl' | 'parquet'

/** What the user gave cannot be worked on; the message is for the user. */
export class UsageError extends Error {}

const readers: Readonly<Record<Format, RowReader>> = { csv: csvReader('auto'), jsonl: readJsonl, parquet: readParquet }

/** By the file's ending. */
function formatOf(file: string): Format {
  const ending = /\.(\w+)$/.exec(file)?.[1]?.toLowerCase()
  if (ending === 'csv' || ending === 'jsonl' || ending === 'parquet') return ending
  if (ending === 'ndjson') return 'jsonl'
  throw new UsageError(`--format must say what ${file} is: csv, jsonl or parquet`)
}

export function fileInput(file: string, format: Format | undefined, columns: Columns): JobInput {
  const read = readers[format ?? formatOf(file)]
  return {
    what: 'rows',
    file,
    bytes: sizeOf(file),
    columns,
    keeps: () => true,
    kept: 'rows',
    read: added => readRows(read(file, added), file, columns),
  }
}

function sizeOf(file: string): number {
  try {
    accessSync(file, constants.R_OK)
    const stat = statSync(file)
    if (!stat.isFile()) throw new Error('it is no file')
    return stat.size
  } catch (error) {
    throw new UsageError(`--input ${file} cannot be read: ${(error as Error).message}`)
  }
}

/** The rows as they are sent, and what is wrong with the others. Throws for a column that none of the first rows has, before anything is done. */
async function* readRows(batches: AsyncGenerator<Row[]>, file: string, columns: Columns): AsyncGenerator<(KeyedRow | BadLine)[]> {
  let isFirst = true
  try {
    for await (const rows of batches) {
      if (isFirst) checkColumns(rows, file, columns)
      isFirst = false
      yield rows.map(row => ('problem' in row ? row : keyedRow(row.line, row.value, columns)))
    }
  } catch (error) {
    throw error instanceof InputError ? new UsageError(error.message) : error
  }
}

function checkColumns(rows: readonly Row[], file: string, { key, by, value, time }: Columns): void {
  const values = rows.flatMap(row => ('value' in row && isObject(row.value) ? [row.value] : []))
  if (values.length === 0) return
  const given: readonly (readonly [string, string | undefined])[] = [
    ['--key', key],
    ...by.map(column => ['--by', column] as const),
    ['--value', value],
    ['--time', time],
  ]
  for (const [option, column] of given) {
    if (column === undefined || values.some(row => Object.hasOwn(row, column))) continue
    const names = new Set(values.flatMap(row => Object.keys(row)))
    throw new UsageError(`${option}: ${basename(file)} has no column ${column}; it has ${[...names].join(', ')}`)
  }
}

/** The row as it is sent, or what is wrong with it. */
export function keyedRow(line: number, value: unknown, columns: Columns): KeyedRow | BadLine {
  const bad = (problem: string): BadLine => ({ line, problem })
  if (!isObject(value)) return bad('the row is no object')
  const key = value[columns.key]
  if (key === undefined || key === null || key === '' || typeof key === 'object') return bad(`there is no key in ${columns.key}`)
  const odd = columns.by.find(column => !isPlain(value[column]))
  if (odd !== undefined) return bad(`${odd} is no plain value: ${JSON.stringify(value[odd])}`)
  let row = value
  if (columns.value !== undefined) {
    const given = value[columns.value]
    const number = numberOf(given)
    if (Number.isNaN(number)) return bad(`${columns.value} is no number: ${JSON.stringify(given, bigintText)}`)
    if (number !== given) row = { ...row, [columns.value]: number }
  }
  if (columns.time === undefined) return { key: String(key), line, row }
  const time = timeOf(value[columns.time])
  if (!(time >= 0)) return bad(`${columns.time} is no time since 1970: ${JSON.stringify(value[columns.time], bigintText) ?? 'nothing'}`)
  return { key: String(key), line, row, time }
}

/** Null for nothing, NaN for what is no finite number. CSV has numbers as text where they are written otherwise than JavaScript does. */
function numberOf(value: unknown): number | null {
  if (value === undefined || value === null || value === '') return null
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : Number.NaN
}

/** Milliseconds since 1970; NaN for what is no time. */
function timeOf(value: unknown): number {
  if (value instanceof Date) return value.getTime()
  return Math.trunc(typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? value : Number.NaN)
}

function isObject(value: unknown): value is DataRow {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null || value instanceof Date
}

function bigintText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
