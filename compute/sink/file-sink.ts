/**
 * Rows into files, which appear when the run commits: they are written under a temporary name beside their place, made durable, and renamed. With `partitionBy` the place is a folder that
 * has one for each value of these fields (`origin=OSL/part-0.jsonl`), as Hive, Spark and DuckDB name them.
 */
import { dirname, join } from 'node:path'
import { type File, type Files, nodeFiles, nodeRandom, VarveError, valueAtPath } from '../../engine/index.ts'
import type { Chunk } from '../vector/chunk.ts'
import { csvText, jsonlText, loadParquetWriter } from './row-text.ts'
import type { Sink, SinkWriter } from './sink.ts'

/** Options of the file sinks. */
export interface FileSinkOptions {
  /** What is there is replaced. Default false: EXISTS. */
  readonly overwrite?: boolean
  /** Fields whose values name folders; the rows in the files have them too. Default: one file. */
  readonly partitionBy?: readonly string[]
}

/** Options of `writeCsv`. */
export interface CsvSinkOptions extends FileSinkOptions {
  /** Columns, in order. Default: the fields of the first row. */
  readonly columns?: readonly string[]
}

/** Writes rows of one file. */
export interface RowsFile {
  write(rows: readonly unknown[]): void
  /** The last bytes; durable when it resolves. */
  finish(): Promise<void>
  close(): void
}

type OpenRowsFile = (path: string, files: Files) => RowsFile

/** JSON, a row a line. Bigints are written as numbers where they are exact, else as text. */
export function writeJsonl(path: string, options: FileSinkOptions = {}): Sink<unknown> {
  return fileSink('jsonl', path, options, (file, files) => new TextFile(files, file, jsonlText))
}

/** CSV with a line of names (RFC 4180). Needs the package csv-stringify. */
export function writeCsv(path: string, options: CsvSinkOptions = {}): Sink<unknown> {
  const { columns } = options
  if (columns !== undefined && !Array.isArray(columns)) throw new TypeError(`columns must be an array of names, got ${String(columns)}`)
  return fileSink('csv', path, options, (file, files) => new TextFile(files, file, csvText(columns)))
}

/** Parquet, snappy-compressed; the rows of a file are gathered in memory. Needs the package hyparquet-writer. */
export function writeParquet(path: string, options: FileSinkOptions = {}): Sink<unknown> {
  return fileSink('parquet', path, options, (file, files) => new ParquetFile(files, file))
}

function fileSink(kind: string, path: string, options: FileSinkOptions, openFile: OpenRowsFile): Sink<unknown> {
  if (typeof path !== 'string' || path === '') throw new TypeError(`path must be a non-empty string, got ${String(path)}`)
  const { overwrite = false, partitionBy = [] } = options
  if (typeof overwrite !== 'boolean') throw new TypeError(`overwrite must be true or false, got ${String(overwrite)}`)
  if (!Array.isArray(partitionBy) || partitionBy.some(name => typeof name !== 'string' || name === '')) {
    throw new TypeError(`partitionBy must be an array of field paths, got ${String(partitionBy)}`)
  }
  return {
    kind,
    name: path,
    guarantee: 'once',
    async open() {
      if (!overwrite && (await nodeFiles.stat(path)) !== undefined) {
        throw new VarveError('EXISTS', `${path} is there already; the option overwrite replaces it`, { details: { file: path } })
      }
      await nodeFiles.makeDirectory(dirname(path))
      if (kind === 'parquet') loadParquetWriter()
      return new FileWriter(path, `part-0.${kind}`, partitionBy, openFile)
    },
  }
}

class FileWriter implements SinkWriter {
  rows = 0
  readonly isSated = false
  readonly #path: string
  readonly #temporary: string
  readonly #name: string
  readonly #partitionBy: readonly (readonly string[])[]
  readonly #names: readonly string[]
  readonly #open: OpenRowsFile
  readonly #files = new Map<string, RowsFile>()
  readonly #folders = new Set<string>()

  constructor(path: string, name: string, partitionBy: readonly string[], open: OpenRowsFile) {
    this.#path = path
    this.#temporary = join(dirname(path), `.varve-${nodeRandom.uint32().toString(36)}${nodeRandom.uint32().toString(36)}`)
    this.#name = name
    this.#names = partitionBy
    this.#partitionBy = partitionBy.map(field => field.split('.'))
    this.#open = open
  }

  async receive(chunk: Chunk): Promise<void> {
    const values = chunk.values()
    this.rows += values.length
    if (this.#partitionBy.length === 0) {
      this.#fileAt(this.#temporary).write(values)
      return
    }
    const byFolder = new Map<string, unknown[]>()
    for (const row of values) {
      const folder = this.#partitionBy.map((names, i) => `${this.#names[i]}=${folderName(valueAtPath(row, names))}`).join('/')
      const rows = byFolder.get(folder)
      if (rows === undefined) byFolder.set(folder, [row])
      else rows.push(row)
    }
    for (const [folder, rows] of byFolder) {
      const path = join(this.#temporary, folder)
      if (!this.#folders.has(path)) {
        await nodeFiles.makeDirectory(path)
        this.#folders.add(path)
      }
      this.#fileAt(join(path, this.#name)).write(rows)
    }
  }

  finish(): void {}

  async commit(): Promise<void> {
    // No rows are a file too.
    if (this.#partitionBy.length === 0) this.#fileAt(this.#temporary)
    else await nodeFiles.makeDirectory(this.#temporary)
    for (const file of this.#files.values()) await file.finish()
    for (const folder of this.#folders) await nodeFiles.syncDirectory(folder)
    const old = await nodeFiles.stat(this.#path)
    // A folder cannot be replaced by a rename.
    if (old?.isDirectory === true) await nodeFiles.rename(this.#path, `${this.#temporary}-old`)
    await nodeFiles.rename(this.#temporary, this.#path)
    await nodeFiles.syncDirectory(dirname(this.#path))
    if (old?.isDirectory === true) await nodeFiles.removeDirectory(`${this.#temporary}-old`)
  }

  async abort(): Promise<void> {
    for (const file of this.#files.values()) file.close()
    await nodeFiles.removeDirectory(this.#temporary)
  }

  #fileAt(path: string): RowsFile {
    let file = this.#files.get(path)
    if (file === undefined) this.#files.set(path, (file = this.#open(path, nodeFiles)))
    return file
  }
}

/** A value as part of a path, by Hive's rules: what has a meaning there is escaped, null has a name of its own. */
function folderName(value: unknown): string {
  if (value === null || value === undefined || value === '') return '__HIVE_DEFAULT_PARTITION__'
  const text = value instanceof Date ? value.toISOString() : String(value)
  return encodeURIComponent(text).replaceAll('.', '%2E')
}

class TextFile implements RowsFile {
  readonly #file: File
  readonly #text: (rows: readonly unknown[], isFirst: boolean) => string
  #size = 0
  #isClosed = false

  constructor(files: Files, path: string, text: (rows: readonly unknown[], isFirst: boolean) => string) {
    this.#file = files.openSync(path, 'create')
    this.#text = text
  }

  write(rows: readonly unknown[]): void {
    const bytes = Buffer.from(this.#text(rows, this.#size === 0))
    this.#file.writeSync(bytes, this.#size)
    this.#size += bytes.length
  }

  async finish(): Promise<void> {
    await this.#file.sync()
    this.close()
  }

  close(): void {
    if (!this.#isClosed) this.#file.closeSync()
    this.#isClosed = true
  }
}

class ParquetFile implements RowsFile {
  readonly #files: Files
  readonly #path: string
  readonly #rows: unknown[] = []

  constructor(files: Files, path: string) {
    this.#files = files
    this.#path = path
  }

  write(rows: readonly unknown[]): void {
    for (const row of rows) this.#rows.push(row)
  }

  async finish(): Promise<void> {
    const bytes = loadParquetWriter()(this.#rows)
    const file = await this.#files.open(this.#path, 'create')
    try {
      await file.write(bytes, 0)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  close(): void {
    this.#rows.length = 0
  }
}
