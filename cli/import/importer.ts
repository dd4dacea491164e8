/**
 * Rows to entries of a store: keys by field paths, batches of 1000, one being written while the next is gathered. Bad rows end the import or are
 * counted, in the order of the file.
 *
 * A batch that the store refuses for what is in it was refused as a whole; its entries are then put one by one, which tells the bad ones apart.
 */
import { type Database, isVarveError, type Store, type StoreKey } from '../../index.ts'
import { InputError } from '../input-error.ts'
import type { Row } from './row.ts'

const entriesPerBatch = 1000
const problemsKept = 1000

export interface BadRow {
  readonly file: string
  readonly line: number
  readonly problem: string
}

export interface ImporterOptions {
  /** Paths of the fields that make the key; several make a tuple. */
  readonly key: readonly string[]
  /** Path of the field that is the value; undefined: the whole row. */
  readonly value: string | undefined
  readonly skipBad: boolean
  /** Told of each bad row that is skipped. */
  readonly onBad: (bad: BadRow) => void
}

interface Entry {
  readonly type: 'put'
  readonly key: StoreKey
  readonly value: unknown
  readonly file: string
  readonly line: number
}

export class Importer {
  /** Entries that the store has taken. */
  imported = 0
  badCount = 0
  /** The first of the bad rows. */
  readonly bad: BadRow[] = []
  readonly #db: Database
  readonly #store: Store
  readonly #options: ImporterOptions
  #entries: Entry[] = []
  /** The batch under way. */
  #writing: Promise<void> = Promise.resolve()

  constructor(db: Database, store: Store, options: ImporterOptions) {
    this.#db = db
    this.#store = store
    this.#options = options
  }

  /** Resolves when the next rows may come. InputError for a bad row that is not skipped; rows before it are imported. */
  async add(file: string, rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      const entry = 'problem' in row ? row.problem : this.#entryOf(file, row)
      if (typeof entry === 'string') {
        if (!this.#options.skipBad) await this.finish()
        this.#refuse({ file, line: row.line, problem: entry })
      } else if (this.#entries.push(entry) === entriesPerBatch) await this.#flush()
    }
  }

  /** Resolves when everything given so far is durable. */
  async finish(): Promise<void> {
    await this.#flush()
    await this.#writing
    await this.#db.flush()
  }

  #entryOf(file: string, { line, value: row }: { line: number; value: unknown }): Entry | string {
    const { key: paths, value: valuePath } = this.#options
    const parts: unknown[] = []
    for (const path of paths) {
      const part = fieldOf(row, path)
      if (part === undefined) return `there is no field ${path} for the key`
      parts.push(part)
    }
    const value = valuePath === undefined ? row : fieldOf(row, valuePath)
    if (value === undefined) return `there is no field ${valuePath} for the value`
    return { type: 'put', key: (parts.length === 1 ? parts[0] : parts) as StoreKey, value, file, line }
  }

  async #flush(): Promise<void> {
    const entries = this.#entries
    this.#entries = []
    await this.#writing
    if (entries.length === 0) return
    this.#writing = this.#write(entries)
    this.#writing.catch(() => undefined) // whoever waits for it is told
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    try {
      await this.#patiently(() => this.#store.batch(entries.map(({ key, value }) => ({ type: 'put', key, value }))))
      this.imported += entries.length
    } catch (error) {
      if (!isRefusal(error)) throw error
      for (const entry of entries) await this.#put(entry)
    }
  }

  async #put({ key, value, file, line }: Entry): Promise<void> {
    try {
      await this.#patiently(() => this.#store.put(key, value, { durability: 'none' }))
      this.imported++
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#refuse({ file, line, problem: (error as Error).message })
    }
  }

  /** Waits for room when the database has too much to write. */
  async #patiently(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write()
      } catch (error) {
        if (!isVarveError(error, 'BUSY')) throw error
        await this.#db.drain()
      }
    }
  }

  #refuse(bad: BadRow): void {
    if (!this.#options.skipBad) {
      const before = this.imported === 1 ? '1 entry before it is' : `${this.imported} entries before it are`
      throw new InputError(`${bad.file}:${bad.line}: ${bad.problem}; ${before} imported`)
    }
    this.badCount++
    if (this.bad.length < problemsKept) this.bad.push(bad)
    this.#options.onBad(bad)
  }
}

/** The store does not take this entry, whenever it comes. */
function isRefusal(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || isVarveError(error, 'TOO_LARGE') || isVarveError(error, 'UNIQUE')
}

/** A field by its name, or by a path with dots when no field has this name. */
export function fieldOf(row: unknown, path: string): unknown {
  if (typeof row !== 'object' || row === null) return undefined
  if (Object.hasOwn(row, path)) return (row as Record<string, unknown>)[path]
  const dot = path.indexOf('.')
  if (dot < 0) return undefined
  const name = path.slice(0, dot)
  return Object.hasOwn(row, name) ? fieldOf((row as Record<string, unknown>)[name], path.slice(dot + 1)) : undefined
}
