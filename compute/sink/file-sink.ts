/**
 * Rows into files, which appear when the run commits: they are written under a temporary name beside their place, made durable, and renamed. With `partitionBy` the place is a folder that
 * has one for each value of these fields (`origin=OSL/part-0.jsonl`), as Hive, Spark and DuckDB name them.
 */

import { dirname, join } from 'node:path'
import { checkOptions, nodeFiles, nodeRandom, VarveError } from '../../engine/index.ts'
import { fieldOfValue } from '../rows/value-field.ts'
import type { Chunk } from '../vector/chunk.ts'
import { checkFormat, openRowsFile, type RowsFile, type RowsFormat } from './rows-file.ts'
import type { Sink, SinkPart, SinkParts, SinkWriter } from './sink.ts'

/** Options of the file sinks. */
export interface FileSinkOptions {
  /** What is there is replaced. Default false: EXISTS. */
  readonly overwrite?: boolean
  /** Fields whose values name folders; the rows in the files have them too. Default: one file. */
  readonly partitionBy?: readonly string[]
  /**
   * The output is a folder of files, `part-00000.jsonl` and so on, which one after the other have the rows in their order; worker threads write a file each, and no row passes the calling thread.
   * Not together with `partitionBy`. Default false: one file.
   */
  readonly parts?: boolean
}

/** Options of `writeCsv`. */
export interface CsvSinkOptions extends FileSinkOptions {
  /** Columns, in order. Default: the fields of the first row. */
  readonly columns?: readonly string[]
}

const fileOptionNames: (keyof FileSinkOptions)[] = ['overwrite', 'partitionBy', 'parts']

/** JSON, a row a line. Bigints are written as numbers where they are exact, else as text. */
export function writeJsonl(path: string, options: FileSinkOptions = {}): Sink<unknown> {
  checkOptions(options, 'writeJsonl', fileOptionNames)
  return fileSink({ kind: 'jsonl', columns: undefined }, path, options)
}

/** CSV with a line of names (RFC 4180). Needs the package csv-stringify. */
export function writeCsv(path: string, options: CsvSinkOptions = {}): Sink<unknown> {
  checkOptions(options, 'writeCsv', [...fileOptionNames, 'columns'])
  const { columns } = options
  if (columns !== undefined && !Array.isArray(columns)) throw new TypeError(`columns must be an array of names, got ${String(columns)}`)
  return fileSink({ kind: 'csv', columns }, path, options)
}

/** Parquet, snappy-compressed; the rows of a file are gathered in memory. Needs the package hyparquet-writer. */
export function writeParquet(path: string, options: FileSinkOptions = {}): Sink<unknown> {
  checkOptions(options, 'writeParquet', fileOptionNames)
  return fileSink({ kind: 'parquet', columns: undefined }, path, options)
}

/** Rows that are bytes, back to back. INVALID_RECORD for others. */
export function writeBinary(path: string, options: FileSinkOptions = {}): Sink<Uint8Array> {
  checkOptions(options, 'writeBinary', fileOptionNames)
  return fileSink({ kind: 'binary', columns: undefined }, path, options)
}

function fileSink(format: RowsFormat, path: string, options: FileSinkOptions): Sink<unknown> {
  if (typeof path !== 'string' || path === '') throw new TypeError(`path must be a non-empty string, got ${String(path)}`)
  const { overwrite = false, partitionBy = [], parts = false } = options
  for (const [option, given] of Object.entries({ overwrite, parts })) {
    if (typeof given !== 'boolean') throw new TypeError(`${option} must be true or false, got ${String(given)}`)
  }
  if (!Array.isArray(partitionBy) || partitionBy.some(name => typeof name !== 'string' || name === '')) {
    throw new TypeError(`partitionBy must be an array of field paths, got ${String(partitionBy)}`)
  }
  if (parts && partitionBy.length > 0) throw new TypeError('parts and partitionBy must not be given together')
  return {
    kind: format.kind,
    name: path,
    guarantee: 'once',
    async open() {
      if (!overwrite && (await nodeFiles.stat(path)) !== undefined) {
        throw new VarveError('EXISTS', `${path} is there already; the option overwrite replaces it`, { details: { file: path } })
      }
      await nodeFiles.makeDirectory(dirname(path))
      checkFormat(format)
      const temporary = join(dirname(path), `.varve-${nodeRandom.uint32().toString(36)}${nodeRandom.uint32().toString(36)}`)
      if (parts) await nodeFiles.makeDirectory(temporary)
      return new FileWriter(path, temporary, format, partitionBy, parts)
    },
  }
}

class FileWriter implements SinkWriter {
  rows = 0
  readonly isSated = false
  readonly parts: SinkParts | undefined
  readonly #path: string
  readonly #temporary: string
  readonly #format: RowsFormat
  readonly #partitionBy: readonly (readonly string[])[]
  readonly #names: readonly string[]
  readonly #files = new Map<string, RowsFile>()
  readonly #folders = new Set<string>()
  /** Written by tasks; undefined: by this thread. */
  #accepted: readonly SinkPart[] | undefined

  constructor(path: string, temporary: string, format: RowsFormat, partitionBy: readonly string[], parts: boolean) {
    this.#path = path
    this.#temporary = temporary
    this.#format = format
    this.#names = partitionBy
    this.#partitionBy = partitionBy.map(field => field.split('.'))
    this.parts = parts ? { writer: 'file', input: { folder: temporary, format }, accept: accepted => this.#accept(accepted) } : undefined
  }

  async receive(chunk: Chunk): Promise<void> {
    this.rows += chunk.count
    if (this.#partitionBy.length === 0) {
      this.#fileAt(this.#only).write(chunk)
      return
    }
    const byFolder = new Map<string, unknown[]>()
    for (const row of chunk.values()) {
      const folder = this.#partitionBy
        .map((names, i) => `${this.#names[i]}=${folderName(fieldOfValue(row, this.#names[i] as string, names))}`)
        .join('/')
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
      this.#fileAt(join(path, `part-0.${this.#format.kind}`)).writeValues(rows)
    }
  }

  finish(): void {}

  async commit(): Promise<void> {
    const isFolder = this.parts !== undefined || this.#partitionBy.length > 0
    if (this.#accepted !== undefined) await this.#nameParts(this.#accepted)
    // No rows are a file too.
    else if (this.#partitionBy.length === 0) this.#fileAt(this.#only)
    else await nodeFiles.makeDirectory(this.#temporary)
    for (const file of this.#files.values()) await file.finish()
    for (const folder of this.#folders) await nodeFiles.syncDirectory(folder)
    if (isFolder) await nodeFiles.syncDirectory(this.#temporary)
    const old = await nodeFiles.stat(this.#path)
    // A folder cannot be replaced by a rename, nor a file by a folder.
    const isInTheWay = old !== undefined && (old.isDirectory || isFolder)
    if (isInTheWay) await nodeFiles.rename(this.#path, `${this.#temporary}-old`)
    await nodeFiles.rename(this.#temporary, this.#path)
    await nodeFiles.syncDirectory(dirname(this.#path))
    if (isInTheWay) await nodeFiles.removeDirectory(`${this.#temporary}-old`)
  }

  async abort(): Promise<void> {
    for (const file of this.#files.values()) file.close()
    await nodeFiles.removeDirectory(this.#temporary)
  }

  /** The file of all rows that come to this thread. */
  get #only(): string {
    return this.parts === undefined ? this.#temporary : join(this.#temporary, partName(0, this.#format))
  }

  #accept(parts: readonly SinkPart[]): void {
    this.#accepted = parts
    for (const { rows } of parts) this.rows += rows
  }

  /** In the order of their rows; what other attempts wrote goes. */
  async #nameParts(parts: readonly SinkPart[]): Promise<void> {
    const filled = parts.filter(({ rows }) => rows > 0)
    const kept = filled.length > 0 ? filled : parts.slice(0, 1)
    for (const [i, { file }] of kept.entries()) await nodeFiles.rename(file, join(this.#temporary, partName(i, this.#format)))
    const names = new Set(kept.map((_, i) => partName(i, this.#format)))
    for (const name of await nodeFiles.list(this.#temporary)) {
      if (!names.has(name)) await nodeFiles.remove(join(this.#temporary, name))
    }
    if (kept.length === 0) this.#fileAt(this.#only)
  }

  #fileAt(path: string): RowsFile {
    let file = this.#files.get(path)
    if (file === undefined) this.#files.set(path, (file = openRowsFile(this.#format, path, nodeFiles)))
    return file
  }
}

function partName(number: number, { kind }: RowsFormat): string {
  return `part-${String(number).padStart(5, '0')}.${kind}`
}

/** A value as part of a path, by Hive's rules: what has a meaning there is escaped, null has a name of its own. */
function folderName(value: unknown): string {
  if (value === null || value === undefined || value === '') return '__HIVE_DEFAULT_PARTITION__'
  const text = value instanceof Date ? value.toISOString() : String(value)
  return encodeURIComponent(text).replaceAll('.', '%2E')
}
