/**
 * Parquet files as sources, by the optional package hyparquet: a split a row group, and only the columns that the job reads. What is compressed other than by snappy
 * needs hyparquet-compressors too.
 */
import { type Files, nodeFiles, VarveError } from '../../engine/index.ts'
import type { TypedSource } from '../flow/input.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import type { Needs, OpenReader, Split, SplitReader, SplitSet } from '../source/source.ts'
import { Chunk } from '../vector/chunk.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { findFiles } from './find-files.ts'

/** Input of a split: rows of a file. */
interface RowRange {
  readonly path: string
  readonly start: number
  readonly end: number
}

type Hyparquet = typeof import('hyparquet')
type Compressors = typeof import('hyparquet-compressors')['compressors']

/** Rows that are decoded at a time. */
const rowsMax = 65536

/**
 * Rows of Parquet files, as objects; see `readText` for the path. Needs the package hyparquet, and hyparquet-compressors for files that are compressed by gzip, brotli, lz4
 * or zstd.
 */
export function readParquet<T = Readonly<Record<string, unknown>>>(path: string | readonly string[]): TypedSource<T> {
  const paths = typeof path === 'string' ? [path] : path
  if (!Array.isArray(paths) || paths.length === 0 || paths.some(one => typeof one !== 'string' || one === '')) {
    throw new TypeError(`path must be a path or a list of paths, got ${String(path)}`)
  }
  return {
    kind: 'parquet',
    name: paths.join(', '),
    isPortable: true,
    bytes: undefined,
    split: () => split(paths),
    open: (one, needs) => openRange(one.input as RowRange, needs, nodeFiles),
  }
}

async function split(paths: readonly string[]): Promise<SplitSet> {
  const { parquetMetadataAsync } = await loadHyparquet()
  const splits: Split[] = []
  for (const { path, size } of await findFiles(paths, nodeFiles)) {
    const { row_groups: groups } = await reading(path, async () => await parquetMetadataAsync(await bufferOf(path, size, nodeFiles)))
    let start = 0
    for (const group of groups) {
      const end = start + Number(group.num_rows)
      const range: RowRange = { path, start, end }
      splits.push({ name: `${path}, rows ${start} to ${end}`, bytes: Number(group.total_byte_size), input: range })
      start = end
    }
  }
  return { splits, share: () => ({ reader: 'parquet', input: undefined }), release: () => undefined }
}

/** Reads row groups of Parquet files. */
export const openParquetReader: OpenReader = (_input, files) => ({
  open: (one, needs) => openRange(one.input as RowRange, needs, files),
  close: () => undefined,
})

async function openRange({ path, start, end }: RowRange, needs: Needs, files: Files): Promise<SplitReader> {
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await loadHyparquet()
  const size = (await files.stat(path))?.size ?? 0
  const file = await bufferOf(path, size, files)
  const metadata = await reading(path, () => parquetMetadataAsync(file))
  const compressors = await compressorsFor(metadata.row_groups)
  const all = parquetSchema(metadata).children.map(child => child.element.name)
  const wanted = new Set(needs.paths.map(name => (all.includes(name) ? name : (name.split('.')[0] as string))))
  const columns = needs.values ? all : all.filter(name => wanted.has(name))
  let at = start
  const reader: SplitReader & { bytesRead: number } = {
    bytesRead: 0,
    async next() {
      if (at >= end) return undefined
      const [rowStart, rowEnd] = [at, Math.min(end, at + rowsMax)]
      at = rowEnd
      if (columns.length === 0) return new Chunk(new ColumnRows(rowEnd - rowStart, [], []))
      const rows = await reading(path, () => parquetReadObjects({ file, metadata, columns, rowStart, rowEnd, utf8: false, ...compressors }))
      reader.bytesRead += rows.length * columns.length * 8
      const vectors = columns.map(name => vectorOf(rows.map(row => (row as Readonly<Record<string, unknown>>)[name])))
      return new Chunk(new ColumnRows(rows.length, columns, vectors))
    },
    close: () => undefined,
  }
  return reader
}

/** What hyparquet throws is about the file. */
async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw new VarveError('CORRUPT', `${path} cannot be read as Parquet: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      details: { file: path },
    })
  }
}

/** A file as hyparquet reads it. */
async function bufferOf(
  path: string,
  size: number,
  files: Files,
): Promise<{ byteLength: number; slice(start: number, end?: number): Promise<ArrayBuffer> }> {
  const file = await files.open(path, 'read')
  await file.close()
  return {
    byteLength: size,
    async slice(start, end = size) {
      const opened = await files.open(path, 'read')
      try {
        const bytes = new Uint8Array(end - start)
        await opened.read(bytes, start)
        return bytes.buffer
      } finally {
        await opened.close()
      }
    },
  }
}

type RowGroups = readonly { readonly columns: readonly { readonly meta_data?: { readonly codec: string } }[] }[]

/** hyparquet itself has snappy. */
async function compressorsFor(groups: RowGroups): Promise<{ readonly compressors?: Compressors }> {
  const isPlain = (codec: string | undefined): boolean => codec === undefined || codec === 'UNCOMPRESSED' || codec === 'SNAPPY'
  if (groups.every(({ columns }) => columns.every(column => isPlain(column.meta_data?.codec)))) return {}
  const { compressors } = await loadPackage('hyparquet-compressors', () => import('hyparquet-compressors'))
  return { compressors }
}

function loadHyparquet(): Promise<Hyparquet> {
  return loadPackage('hyparquet', () => import('hyparquet'))
}

async function loadPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new VarveError('CODEC_MISSING', `Parquet files are read by the package ${name}, which is not installed`, {
      cause,
      details: { package: name },
    })
  }
}
