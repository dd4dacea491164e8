/** Rows as text or bytes of files; by packages where the format is theirs. */
import { createRequire } from 'node:module'
import { VarveError } from '../../engine/index.ts'

const requirePackage = createRequire(import.meta.url)

function load<T>(name: string, from: string, purpose: string): T {
  try {
    return requirePackage(from) as T
  } catch (cause) {
    throw new VarveError(
      'CODEC_MISSING',
      `${purpose} needs the package ${name}, which could not be loaded; install it with: npm install ${name}`,
      {
        cause,
        details: { package: name },
      },
    )
  }
}

export function jsonlText(rows: readonly unknown[]): string {
  let text = ''
  for (const row of rows) text += `${JSON.stringify(row, writable) ?? 'null'}\n`
  return text
}

/** JSON has no bigints. */
function writable(_name: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
}

type Stringify = (rows: readonly unknown[], options: object) => string

/** A function that gives the rows of one file as text, with the names before the first. */
export function csvText(columns: readonly string[] | undefined): (rows: readonly unknown[], isFirst: boolean) => string {
  let names = columns
  return (rows, isFirst) => {
    const { stringify } = load<{ stringify: Stringify }>('csv-stringify', 'csv-stringify/sync', 'writing CSV')
    const [first] = rows
    names ??= typeof first === 'object' && first !== null ? Object.keys(first) : ['value']
    const values = rows.map(row => (typeof row === 'object' && row !== null ? row : { value: row }))
    return stringify(values, {
      columns: names,
      header: isFirst,
      record_delimiter: 'unix',
      // An empty text has quotes, which null has not.
      cast: { boolean: String, date: isoText, bigint: String, string: (text: string) => (text === '' ? emptyText : text) },
    })
  }
}

const emptyText = { value: '', quoted_empty: true }

function isoText(date: Date): string {
  return isNoTime(date) ? '' : date.toISOString()
}

/** A date that is none is written as null, as in JSON. */
function isNoTime(value: unknown): boolean {
  return value instanceof Date && Number.isNaN(value.getTime())
}

interface ColumnData {
  readonly name: string
  readonly data: readonly unknown[]
  readonly type: string
}

/** A function that makes the bytes of a Parquet file of rows: a column for each field of any row, of the narrowest type that holds its values. */
export function loadParquetWriter(): (rows: readonly unknown[]) => Uint8Array {
  const { parquetWriteBuffer } = load<{ parquetWriteBuffer(options: { columnData: readonly ColumnData[] }): ArrayBuffer }>(
    'hyparquet-writer',
    'hyparquet-writer',
    'writing Parquet',
  )
  return rows => {
    const objects = rows.map(row => (typeof row === 'object' && row !== null ? row : { value: row }) as Readonly<Record<string, unknown>>)
    const names = new Set(objects.flatMap(row => Object.keys(row)))
    const columnData = [...names].map(name => {
      const data = objects.map(row => row[name] ?? null)
      return { name, ...typedColumn(data) }
    })
    return new Uint8Array(parquetWriteBuffer({ columnData }))
  }
}

function typedColumn(data: readonly unknown[]): Omit<ColumnData, 'name'> {
  const present = data.filter(value => value !== null)
  const all = (test: (value: unknown) => boolean): boolean => present.every(test)
  if (all(value => typeof value === 'boolean')) return { data, type: 'BOOLEAN' }
  if (all(value => typeof value === 'number')) return { data, type: 'DOUBLE' }
  if (all(value => typeof value === 'bigint' && BigInt.asIntN(64, value) === value)) return { data, type: 'INT64' }
  if (all(value => value instanceof Date)) return { data: data.map(value => (isNoTime(value) ? null : value)), type: 'TIMESTAMP' }
  if (all(value => typeof value === 'string')) return { data, type: 'STRING' }
  if (all(value => value instanceof Uint8Array)) return { data, type: 'BYTE_ARRAY' }
  return { data: data.map(value => (value === null ? null : (JSON.stringify(value, writable) ?? null))), type: 'STRING' }
}
