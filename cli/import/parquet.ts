/**
 * Parquet, by the package `hyparquet`: one row group after the other, so that memory is bounded by the largest one. A row is an object of its
 * columns; 64-bit integers are numbers where they are safe, else bigints, and bytes that are not marked as text stay bytes.
 */
import { statSync } from 'node:fs'
import { InputError } from '../input-error.ts'
import { loadOptional } from '../optional-package.ts'
import type { Row } from './row.ts'

const rowsPerBatch = 1000

export async function* readParquet(path: string, added: (bytes: number) => void): AsyncGenerator<Row[]> {
  if (path === '-') throw new InputError('Parquet is read from a file, not from stdin: its index is at the end')
  const bytes = statSync(path).size
  const hyparquet = await loadOptional('hyparquet', 'reading Parquet', () => import('hyparquet'))
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = hyparquet
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
    throw new InputError(`${path}: is not Parquet: ${messageOf(error)}`)
  })
  const codecs = new Set(metadata.row_groups.flatMap(group => group.columns.map(({ meta_data }) => meta_data?.codec)))
  const isPlain = [...codecs].every(codec => codec === undefined || codec === 'UNCOMPRESSED' || codec === 'SNAPPY')
  const options = isPlain ? {} : { compressors: await loadCompressors() }
  const total = Number(metadata.num_rows)
  let line = 0
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = line + Number(num_rows)
    let objects: Record<string, unknown>[]
    try {
      objects = await parquetReadObjects({ file, metadata, rowStart: line, rowEnd, utf8: false, ...options })
    } catch (error) {
      throw new InputError(`${path}: rows ${line + 1} to ${rowEnd} cannot be read: ${messageOf(error)}`)
    }
    for (let from = 0; from < objects.length; from += rowsPerBatch) {
      const batch = objects.slice(from, from + rowsPerBatch)
      yield batch.map((value, index) => ({ line: line + from + index + 1, value: plain(value) }))
      added((bytes * batch.length) / total)
    }
    line = rowEnd
  }
}

async function loadCompressors(): Promise<typeof import('hyparquet-compressors')['compressors']> {
  const { compressors } = await loadOptional(
    'hyparquet-compressors',
    'reading Parquet compressed other than by snappy',
    () => import('hyparquet-compressors'),
  )
  return compressors
}

/** Values as JavaScript has them; an absent cell is null. */
function plain(value: unknown): unknown {
  if (value === undefined) return null
  if (typeof value === 'bigint') return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
  if (typeof value !== 'object' || value === null || value instanceof Date || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
