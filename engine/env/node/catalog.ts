/**
 * The catalog view on LMDB: one environment per folder, one table, raw bytes as keys and values.
 *
 * - Every change is one synchronous transaction that returns after both of LMDB's flushes (`overlappingSync: false`; lmdb-js's default
 *   would acknowledge before the disk has it).
 * - A stored value is the xxh64 (seed 0, little-endian) of key and value, 8 bytes, then the value. A row that fails it is CORRUPT.
 * - Disk space for a change is reserved before it (`lmdb-space.ts`), since a failed page write inside lmdb-js damages the heap.
 * - The file is checked before LMDB maps it (`lmdb-check.ts`), since LMDB ends the process on pages that it does not expect.
 * - Options are the same at every open, also for reading: all threads of a process share one native environment per file, which keeps
 *   the options of the first open. `readOnly` is therefore refused here, in JavaScript; only a folder that cannot be written is opened
 *   read-only by LMDB itself.
 * - LMDB does not sync the folder of a new environment: we sync the file, the folder and the folder's parent.
 * - Reads renew the read transaction first, so that a change made by another thread is seen, and no old pages stay pinned.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import { getSystemErrorName } from 'node:util'
import type { RootDatabase } from 'lmdb'
import xxhash from 'xxhash-wasm'
import { corrupt, ioError, isVarveError, VarveError } from '../../errors.ts'
import { checkCatalogChange, checkCatalogKey } from '../catalog-rules.ts'
import type { CatalogChange, CatalogRow, Catalogs, CatalogView, File } from '../environment.ts'
import { isErrno, nodeFiles } from './files.ts'
import { checkLmdbFile } from './lmdb-check.ts'
import { readNewestMeta } from './lmdb-meta.ts'
import { reserveSpace } from './lmdb-space.ts'

type Table = RootDatabase<Uint8Array, Uint8Array>
type Hash = (bytes: Uint8Array) => bigint

const checksumBytes = 8
/** LMDB's names inside the folder. */
const dataName = 'data.mdb'
const lockName = 'lock.mdb'
/** LMDB's codes for a file whose contents it cannot use: PAGE_NOTFOUND, CORRUPTED, VERSION_MISMATCH, INVALID, BAD_TXN. */
const damageCodes: readonly number[] = [-30797, -30796, -30794, -30793, -30782]

let hashing: Promise<Hash> | undefined

function loadHash(): Promise<Hash> {
  hashing ??= xxhash().then(api => bytes => api.h64Raw(bytes))
  return hashing
}

class LmdbCatalogs implements Catalogs {
  async open(folder: string, options: { readonly readOnly?: boolean } = {}): Promise<CatalogView> {
    const readOnly = options.readOnly === true
    const dataPath = `${folder}/${dataName}`
    const [{ open }, hash] = await Promise.all([import('lmdb'), loadHash()])
    let table: Table
    try {
      const isNew = !fs.existsSync(dataPath)
      if (isNew && readOnly) throw new VarveError('NOT_FOUND', `${folder}: no catalog to read`, { details: { file: dataPath } })
      if (isNew) fs.mkdirSync(folder, { recursive: true })
      else checkLmdbFile(dataPath)
      const nativeReadOnly = readOnly && !isWritable(folder, dataPath)
      table = open<Uint8Array, Uint8Array>({
        path: folder,
        noSubdir: false,
        keyEncoding: 'binary',
        encoding: 'binary',
        overlappingSync: false,
        maxDbs: 1,
        ...(nativeReadOnly ? { readOnly: true } : {}),
      })
      if (isNew) await makeDurable(folder, dataPath)
    } catch (error) {
      throw catalogError(error, dataPath, 'opening the catalog')
    }
    return new LmdbView(table, dataPath, readOnly, hash)
  }

  async remove(folder: string): Promise<void> {
    await ignoring('ENOENT', nodeFiles.remove(`${folder}/${dataName}`))
    await ignoring('ENOENT', nodeFiles.remove(`${folder}/${lockName}`))
    try {
      fs.rmdirSync(folder)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error
      return nodeFiles.syncDirectory(folder)
    }
    await nodeFiles.syncDirectory(dirname(folder))
  }
}

export const nodeCatalogs: Catalogs = new LmdbCatalogs()

class LmdbView implements CatalogView {
  readonly #dataPath: string
  readonly #readOnly: boolean
  readonly #hash: Hash
  /** undefined once closed. */
  #table: Table | undefined
  /** The data file, for reserving space; opened by the first change. */
  #file: File | undefined

  constructor(table: Table, dataPath: string, readOnly: boolean, hash: Hash) {
    this.#table = table
    this.#dataPath = dataPath
    this.#readOnly = readOnly
    this.#hash = hash
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkCatalogKey(key)
    const table = this.#openTable()
    const stored = this.#guarded('reading the catalog', () => {
      table.resetReadTxn()
      return table.getBinary(key)
    })
    return stored === undefined ? undefined : this.#unwrap(key, stored)
  }

  rows(): CatalogRow[] {
    const table = this.#openTable()
    return this.#guarded('reading the catalog', () => {
      table.resetReadTxn()
      const rows: CatalogRow[] = []
      for (const { key, value } of table.getRange({ snapshot: true })) rows.push({ key: copyOf(key), value: this.#unwrap(key, value) })
      return rows
    })
  }

  change(change: CatalogChange): void {
    checkCatalogChange(change)
    const table = this.#openTable()
    if (this.#readOnly) throw new VarveError('READ_ONLY', `${this.#dataPath}: the catalog was opened for reading`)
    const puts = change.puts.map(({ key, value }) => ({ key, stored: this.#wrap(key, value) }))
    this.#guarded('changing the catalog', () => {
      this.#file ??= nodeFiles.openSync(this.#dataPath, 'write')
      reserveSpace(this.#file, readNewestMeta(this.#file), change)
      table.transactionSync(() => {
        for (const key of change.deletes) table.removeSync(key)
        for (const { key, stored } of puts) table.putSync(key, stored)
      })
    })
  }

  async close(): Promise<void> {
    const table = this.#table
    this.#table = undefined
    this.#file?.closeSync()
    this.#file = undefined
    await table?.close()
  }

  #openTable(): Table {
    if (this.#table === undefined) throw new VarveError('CLOSED', `${this.#dataPath}: the catalog is closed`)
    return this.#table
  }

  #guarded<T>(doing: string, run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw catalogError(error, this.#dataPath, doing)
    }
  }

  #checksum(key: Uint8Array, value: Uint8Array): bigint {
    const joined = new Uint8Array(key.length + value.length)
    joined.set(key)
    joined.set(value, key.length)
    return this.#hash(joined)
  }

  #wrap(key: Uint8Array, value: Uint8Array): Uint8Array {
    const stored = Buffer.allocUnsafeSlow(checksumBytes + value.length)
    stored.writeBigUInt64LE(this.#checksum(key, value))
    stored.set(value, checksumBytes)
    return stored
  }

  #unwrap(key: Uint8Array, stored: Uint8Array): Uint8Array {
    const name = Buffer.from(key).toString('hex')
    if (stored.length < checksumBytes) throw corrupt(`row ${name} is too short`, this.#dataPath, 0, { row: name })
    const value = copyOf(stored.subarray(checksumBytes))
    const expected = Buffer.from(stored.buffer, stored.byteOffset, checksumBytes).readBigUInt64LE()
    const actual = this.#checksum(key, value)
    if (actual !== expected) throw corrupt(`row ${name} is damaged`, this.#dataPath, 0, { row: name, expected, actual })
    return value
  }
}

/** A plain Uint8Array of the caller's own; LMDB's buffers are reused or lie in its map. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length)
  copy.set(bytes)
  return copy
}

async function makeDurable(folder: string, dataPath: string): Promise<void> {
  const file = nodeFiles.openSync(dataPath, 'write')
  try {
    file.syncSync()
  } finally {
    file.closeSync()
  }
  await nodeFiles.syncDirectory(folder)
  await nodeFiles.syncDirectory(dirname(folder))
}

function isWritable(...paths: readonly string[]): boolean {
  try {
    for (const path of paths) fs.accessSync(path, fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

function catalogError(error: unknown, file: string, doing: string): VarveError {
  if (isVarveError(error)) return error
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'number') return ioError(error, file, doing)
  const message = error instanceof Error ? error.message : String(error)
  if (damageCodes.includes(code)) return new VarveError('CORRUPT', `${file}: ${doing}: ${message}`, { cause: error, details: { file } })
  const name = code > 0 ? getSystemErrorName(-code) : 'EIO'
  return ioError(Object.assign(new Error(message, { cause: error }), { code: name }), file, doing)
}

async function ignoring(code: string, done: Promise<void>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (!isErrno(error, code)) throw error
  }
}
