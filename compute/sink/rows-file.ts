/** Files of rows as they are written, one after the other, by the thread that opens them. */
import { type File, type Files, VarveError } from '../../engine/index.ts'
import type { Chunk } from '../vector/chunk.ts'
import { areAdjacent, gatherBytes } from '../vector/gather-bytes.ts'
import { csvText, jsonlText, loadParquetWriter } from './row-text.ts'

/** Writes rows of one file. */
export interface RowsFile {
  write(chunk: Chunk): void
  /** Rows that are values already. */
  writeValues(rows: readonly unknown[]): void
  /** The last bytes; durable when it resolves. */
  finish(): Promise<void>
  /** Idempotent. */
  close(): void
}

/** How rows become bytes of a file; structured-clonable. */
export interface RowsFormat {
  readonly kind: 'jsonl' | 'csv' | 'parquet' | 'binary'
  /** Of CSV, in order; undefined: the fields of the first row. */
  readonly columns: readonly string[] | undefined
}

/** Throws when what the format needs is not installed. */
export function checkFormat({ kind }: RowsFormat): void {
  if (kind === 'parquet') loadParquetWriter()
}

export function openRowsFile({ kind, columns }: RowsFormat, path: string, files: Files): RowsFile {
  switch (kind) {
    case 'jsonl':
      return new TextFile(files, path, jsonlText)
    case 'csv':
      return new TextFile(files, path, csvText(columns))
    case 'parquet':
      return new ParquetFile(files, path)
    default:
      return new BinaryFile(files, path)
  }
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

  write(chunk: Chunk): void {
    this.writeValues(chunk.values())
  }

  writeValues(rows: readonly unknown[]): void {
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

  write(chunk: Chunk): void {
    this.writeValues(chunk.values())
  }

  writeValues(rows: readonly unknown[]): void {
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

/** Bytes back to back. */
class BinaryFile implements RowsFile {
  readonly #file: File
  readonly #path: string
  #size = 0
  #isClosed = false
  #scratch: Uint8Array = new Uint8Array(0)

  constructor(files: Files, path: string) {
    this.#file = files.openSync(path, 'create')
    this.#path = path
  }

  write(chunk: Chunk): void {
    const { rows, count } = chunk
    const vector = chunk.field('')
    if (vector.kind !== 'encoded' || vector.codec.name !== 'bytes') {
      this.writeValues(chunk.values())
      return
    }
    const { bytes, starts, ends } = vector
    if (areAdjacent(starts, ends, rows, 0, count)) {
      this.#append(bytes.subarray(starts[rows[0] as number] as number, ends[rows[count - 1] as number] as number))
      return
    }
    let size = 0
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      if ((starts[row] as number) < 0) throw this.#noBytes(null)
      size += (ends[row] as number) - (starts[row] as number)
    }
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(2 * size)
    gatherBytes(bytes, starts, ends, rows, 0, count, this.#scratch, 0, new Int32Array(count), new Int32Array(count))
    this.#append(this.#scratch.subarray(0, size))
  }

  writeValues(rows: readonly unknown[]): void {
    for (const row of rows) if (!(row instanceof Uint8Array)) throw this.#noBytes(row)
    this.#append(Buffer.concat(rows as readonly Uint8Array[]))
  }

  async finish(): Promise<void> {
    await this.#file.sync()
    this.close()
  }

  close(): void {
    if (!this.#isClosed) this.#file.closeSync()
    this.#isClosed = true
  }

  #append(bytes: Uint8Array): void {
    this.#file.writeSync(bytes, this.#size)
    this.#size += bytes.length
  }

  #noBytes(row: unknown): VarveError {
    return new VarveError('INVALID_RECORD', `a row for ${this.#path} is not bytes, but ${row === null ? 'null' : typeof row}`, {
      details: { file: this.#path },
    })
  }
}
