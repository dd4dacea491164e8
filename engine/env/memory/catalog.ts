/**
 * The catalog view in memory: a map of rows for each folder, shared by all views of that folder, as threads of a process share LMDB's. The folder
 * itself is made in the environment's files; the rows are in no file.
 *
 * Invariant: a change is checked wholly before its first row is touched, so it is made wholly or not at all.
 */
import { VarveError } from '../../errors.ts'
import { checkCatalogChange, checkCatalogKey, keyName } from '../catalog-rules.ts'
import type { CatalogChange, CatalogRow, Catalogs, CatalogView, Files } from '../environment.ts'

/** Rows by `keyName`, which orders as the keys' bytes do. */
type Rows = Map<string, CatalogRow>

export class MemoryCatalogs implements Catalogs {
  readonly #files: Files
  readonly #rows = new Map<string, Rows>()

  constructor(files: Files) {
    this.#files = files
  }

  async open(folder: string, options: { readonly readOnly?: boolean } = {}): Promise<CatalogView> {
    const readOnly = options.readOnly === true
    let rows = this.#rows.get(folder)
    if (rows === undefined) {
      if (readOnly) throw new VarveError('NOT_FOUND', `${folder}: no catalog to read`, { details: { file: folder } })
      await this.#files.makeDirectory(folder)
      rows = new Map()
      this.#rows.set(folder, rows)
    }
    return new MemoryCatalogView(folder, rows, readOnly)
  }

  async remove(folder: string): Promise<void> {
    this.#rows.delete(folder)
    if (this.#files.statSync(folder)?.isDirectory !== true) return
    if (this.#files.listSync(folder).length === 0) await this.#files.removeDirectory(folder)
  }
}

class MemoryCatalogView implements CatalogView {
  readonly #folder: string
  readonly #readOnly: boolean
  /** undefined once closed. */
  #rows: Rows | undefined

  constructor(folder: string, rows: Rows, readOnly: boolean) {
    this.#folder = folder
    this.#rows = rows
    this.#readOnly = readOnly
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkCatalogKey(key)
    const row = this.#open().get(keyName(key))
    return row === undefined ? undefined : copyOf(row.value)
  }

  rows(): CatalogRow[] {
    const sorted = [...this.#open()].sort(([left], [right]) => (left < right ? -1 : 1))
    return sorted.map(([, { key, value }]) => ({ key: copyOf(key), value: copyOf(value) }))
  }

  change(change: CatalogChange): void {
    checkCatalogChange(change)
    const rows = this.#open()
    if (this.#readOnly) throw new VarveError('READ_ONLY', `${this.#folder}: the catalog was opened for reading`)
    for (const key of change.deletes) rows.delete(keyName(key))
    for (const { key, value } of change.puts) rows.set(keyName(key), { key: copyOf(key), value: copyOf(value) })
  }

  async close(): Promise<void> {
    this.#rows = undefined
  }

  #open(): Rows {
    if (this.#rows === undefined) throw new VarveError('CLOSED', `${this.#folder}: the catalog is closed`)
    return this.#rows
  }
}

/** A plain Uint8Array, whatever view it is a copy of. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length)
  copy.set(bytes)
  return copy
}
