/**
 * The catalog view in simulation: a file on the simulated disk, so that crashes, faults, bit flips and a full disk reach it.
 *
 * File `data.mdb` (the name of the real one): one sector that says how much is committed, then change records, appended. Changing:
 * 1. append the record behind the committed length and sync; 2. write the new length and sync. A sector is written wholly or not at all,
 * so a crash leaves the old or the new length.
 *   meta   = magic u32, checksum u32, length f64
 *   record = length u32, checksum u32, changes u32, each: key length u16, value length u32 (0xffffffff: delete), key, value
 *
 * Views of one folder in one environment share their rows (`SharedCatalogs`), as threads of a process share LMDB's. When step 2 fails the
 * file may hold either, and further changes are refused until the next open.
 */
import { corrupt, ioError, VarveError } from '../../errors.ts'
import { checkCatalogChange, checkCatalogKey, keyName } from '../catalog-rules.ts'
import type { CatalogChange, CatalogRow, Catalogs, CatalogView, File } from '../environment.ts'
import { sectorBytes } from './file-state.ts'
import type { SimFiles } from './files.ts'

const dataName = 'data.mdb'
const magic = 0x5645_4341
const firstRecord: number = sectorBytes
const recordHeaderBytes = 8
const deletedMark = 0xffff_ffff

/** What all open views of one folder have in common. */
interface SharedRows {
  readonly rows: Map<string, CatalogRow>
  /** Position behind the last committed record. */
  length: number
  views: number
  isPoisoned: boolean
}

/** The catalogs that are open in one simulated process, by folder. */
export type SharedCatalogs = Map<string, SharedRows>

export class SimCatalogs implements Catalogs {
  readonly #files: SimFiles
  readonly #shared: SharedCatalogs

  constructor(files: SimFiles, shared: SharedCatalogs) {
    this.#files = files
    this.#shared = shared
  }

  async open(folder: string, options: { readonly readOnly?: boolean } = {}): Promise<CatalogView> {
    const path = `${folder}/${dataName}`
    const readOnly = options.readOnly === true
    try {
      if (this.#files.statSync(path) === undefined) {
        if (readOnly) throw new VarveError('NOT_FOUND', `${folder}: no catalog to read`, { details: { file: path } })
        this.#create(folder, path)
      }
      const file = this.#files.openSync(path, readOnly ? 'read' : 'write')
      let shared = this.#shared.get(folder)
      if (shared === undefined || shared.views === 0) {
        shared = load(file)
        this.#shared.set(folder, shared)
      }
      shared.views++
      return new SimCatalogView(file, shared, readOnly)
    } catch (error) {
      throw ioError(error, path, 'opening the catalog')
    }
  }

  async remove(folder: string): Promise<void> {
    this.#shared.delete(folder)
    const path = `${folder}/${dataName}`
    if (this.#files.statSync(path) !== undefined) this.#files.changeNow('remove', path)
    if (this.#files.statSync(folder) === undefined) return
    const isEmpty = this.#files.listSync(folder).length === 0
    if (isEmpty) this.#files.changeNow('removeDirectory', folder)
    this.#files.changeNow('syncDirectory', isEmpty ? parentOf(folder) : folder)
  }

  #create(folder: string, path: string): void {
    if (this.#files.statSync(folder) === undefined) this.#files.changeNow('makeDirectory', folder)
    const file = this.#files.openSync(path, 'create')
    file.writeSync(metaSector(firstRecord), 0)
    file.syncSync()
    file.closeSync()
    this.#files.changeNow('syncDirectory', folder)
    this.#files.changeNow('syncDirectory', parentOf(folder))
  }
}

class SimCatalogView implements CatalogView {
  readonly #file: File
  readonly #shared: SharedRows
  readonly #readOnly: boolean
  #isOpen = true

  constructor(file: File, shared: SharedRows, readOnly: boolean) {
    this.#file = file
    this.#shared = shared
    this.#readOnly = readOnly
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkCatalogKey(key)
    this.#checkOpen()
    return this.#shared.rows.get(keyName(key))?.value.slice()
  }

  rows(): CatalogRow[] {
    this.#checkOpen()
    const sorted = [...this.#shared.rows].sort(([left], [right]) => (left < right ? -1 : 1))
    return sorted.map(([, { key, value }]) => ({ key: key.slice(), value: value.slice() }))
  }

  change(change: CatalogChange): void {
    checkCatalogChange(change)
    this.#checkOpen()
    const { path } = this.#file
    if (this.#readOnly) throw new VarveError('READ_ONLY', `${path}: the catalog was opened for reading`)
    const shared = this.#shared
    if (shared.isPoisoned) throw new VarveError('POISONED', `${path}: an earlier change failed`)
    const record = encodeRecord(change)
    try {
      this.#file.writeSync(record, shared.length)
      this.#file.syncSync()
      shared.isPoisoned = true
      this.#file.writeSync(metaSector(shared.length + record.length), 0)
      this.#file.syncSync()
      shared.isPoisoned = false
    } catch (error) {
      throw ioError(error, path, 'changing the catalog')
    }
    shared.length += record.length
    applyRecord(record, 0, shared.rows)
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#shared.views--
    this.#file.closeSync()
  }

  #checkOpen(): void {
    if (!this.#isOpen) throw new VarveError('CLOSED', `${this.#file.path}: the catalog is closed`)
  }
}

function metaSector(length: number): Uint8Array {
  const bytes = new Uint8Array(sectorBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic, true)
  view.setFloat64(8, length, true)
  view.setUint32(4, checksum(bytes.subarray(8)), true)
  return bytes
}

function load(file: File): SharedRows {
  const meta = new Uint8Array(sectorBytes)
  if (file.readSync(meta, 0) < sectorBytes) throw corrupt('the catalog ends inside its first sector', file.path, 0)
  const metaView = new DataView(meta.buffer)
  const isValid = metaView.getUint32(0, true) === magic && metaView.getUint32(4, true) === checksum(meta.subarray(8))
  if (!isValid) throw corrupt('damaged first sector', file.path, 0)
  const committed = metaView.getFloat64(8, true)
  const rows = new Map<string, CatalogRow>()
  const bytes = new Uint8Array(committed)
  if (file.readSync(bytes, 0) < committed) throw corrupt('the catalog is too short', file.path, committed)
  for (let at = firstRecord; at < committed; ) {
    const view = new DataView(bytes.buffer, at)
    const length = view.getUint32(0, true)
    if (length < recordHeaderBytes || at + length > committed) throw corrupt('impossible length of a change', file.path, at)
    if (view.getUint32(4, true) !== checksum(bytes.subarray(at + recordHeaderBytes, at + length)))
      throw corrupt('damaged change', file.path, at)
    applyRecord(bytes, at, rows)
    at += length
  }
  return { rows, length: committed, views: 0, isPoisoned: false }
}

function encodeRecord({ puts, deletes }: CatalogChange): Uint8Array {
  const items = [...puts, ...deletes.map(key => ({ key, value: undefined }))]
  let size = recordHeaderBytes + 4
  for (const { key, value } of items) size += 6 + key.length + (value?.length ?? 0)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, size, true)
  view.setUint32(8, items.length, true)
  let at = recordHeaderBytes + 4
  for (const { key, value } of items) {
    view.setUint16(at, key.length, true)
    view.setUint32(at + 2, value?.length ?? deletedMark, true)
    bytes.set(key, at + 6)
    at += 6 + key.length
    if (value === undefined) continue
    bytes.set(value, at)
    at += value.length
  }
  view.setUint32(4, checksum(bytes.subarray(recordHeaderBytes)), true)
  return bytes
}

function applyRecord(bytes: Uint8Array, start: number, rows: Map<string, CatalogRow>): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let at = start + recordHeaderBytes + 4
  for (let left = view.getUint32(start + recordHeaderBytes, true); left > 0; left--) {
    const valueLength = view.getUint32(at + 2, true)
    const keyEnd = at + 6 + view.getUint16(at, true)
    const key = bytes.slice(at + 6, keyEnd)
    at = keyEnd
    if (valueLength === deletedMark) rows.delete(keyName(key))
    else {
      rows.set(keyName(key), { key, value: bytes.slice(at, at + valueLength) })
      at += valueLength
    }
  }
}

/** FNV-1a: enough against flipped bits, and needs nothing loaded. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c_9dc5
  for (let index = 0; index < bytes.length; index++) hash = Math.imul(hash ^ bytes[index]!, 0x0100_0193)
  return hash >>> 0
}

function parentOf(folder: string): string {
  return folder.slice(0, Math.max(0, folder.replace(/\/+$/, '').lastIndexOf('/'))) || '/'
}
