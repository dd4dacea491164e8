/**
 * Reads an LMDB data file the way LMDB will, before LMDB does: LMDB trusts its pages, and a damaged one makes it assert or fault, which
 * ends the process. What passes here has valid meta pages and two well-formed trees (free pages and rows) inside the file, so that a
 * walk by LMDB cannot leave the mapping. Contents of rows are not judged; the catalog's own checksums do that.
 *
 * Algorithm: 1. take the newer of the two meta pages; 2. from its two roots visit every branch and leaf page once, checking number,
 * kind, depth, and that each node lies inside its page; 3. compare the number of rows with the meta page's. Another thread may commit
 * meanwhile, which frees pages of the tree that is being walked: a failed walk counts only if the meta pages did not move.
 *
 * Layout (LMDB data format 2 with lmdb-js's page header): page = number u64, transaction u64, pad u16, flags u16, lower u16, upper u16,
 * then 16-bit node positions relative to byte 24; meta = page header, magic u32, version u32, address u64, map size u64, free tree, main
 * tree (48 bytes each), last page u64, transaction u64; integers in the machine's order, which is little-endian wherever Node runs but
 * on s390x. The lock file is never opened here: closing any descriptor on it would drop LMDB's own locks.
 */
import fs from 'node:fs'
import { assert, corrupt } from '../../errors.ts'

const headerBytes = 24
const metaBytes = 168
const magic = 0xbeef_c0de
const dataVersion = 2
const flag = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const
const nodeFlag = { big: 1 } as const
const noRoot = 0xffff_ffff_ffff_ffffn
const pageNumberMax = 2 ** 40
const depthMax = 32
const walksMax = 8

interface Tree {
  readonly depth: number
  readonly entries: number
  /** undefined for an empty tree. */
  readonly root: number | undefined
}

interface Meta {
  readonly pageSize: number
  readonly free: Tree
  readonly main: Tree
  readonly lastPage: number
  readonly transaction: bigint
}

/** Throws `CORRUPT` when LMDB could not safely open the file. `path` names an existing data file. */
export function checkLmdbFile(path: string): void {
  const fd = fs.openSync(path, 'r')
  try {
    for (let walk = 1; ; walk++) {
      const meta = readNewestMeta(fd, path)
      try {
        new TreeWalk(fd, path, meta).check()
        return
      } catch (error) {
        if (walk === walksMax || readNewestMeta(fd, path).transaction === meta.transaction) throw error
      }
    }
  } finally {
    fs.closeSync(fd)
  }
}

function readNewestMeta(fd: number, path: string): Meta {
  const first = readMeta(fd, path, 0)
  const second = readMeta(fd, path, first.pageSize)
  if (second.pageSize !== first.pageSize) throw corrupt('the meta pages disagree about the page size', path, first.pageSize)
  return second.transaction > first.transaction ? second : first
}

function readMeta(fd: number, path: string, position: number): Meta {
  const bytes = Buffer.alloc(metaBytes)
  if (fs.readSync(fd, bytes, 0, metaBytes, position) < metaBytes) throw corrupt('the catalog ends inside a meta page', path, position)
  if ((bytes.readUInt16LE(18) & flag.meta) === 0) throw corrupt('not a meta page', path, position)
  if (bytes.readUInt32LE(24) !== magic) throw corrupt('not an LMDB meta page', path, position)
  if ((bytes.readUInt32LE(28) & 0xffff) !== dataVersion) throw corrupt('unknown LMDB data version', path, position)
  const pageSize = bytes.readUInt32LE(48)
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) throw corrupt('impossible page size', path, position)
  const mapSize = Number(bytes.readBigUInt64LE(40))
  const lastPage = Number(bytes.readBigUInt64LE(144))
  if (mapSize > pageNumberMax * pageSize || lastPage > pageNumberMax) throw corrupt('impossible size of the map', path, position)
  return {
    pageSize,
    free: readTree(bytes, 48),
    main: readTree(bytes, 96),
    lastPage,
    transaction: bytes.readBigUInt64LE(152),
  }
}

function readTree(bytes: Buffer, at: number): Tree {
  const root = bytes.readBigUInt64LE(at + 40)
  return {
    depth: bytes.readUInt16LE(at + 6),
    entries: Number(bytes.readBigUInt64LE(at + 32)),
    root: root === noRoot ? undefined : Number(root),
  }
}

/** One visit to all pages of one meta page's trees. */
class TreeWalk {
  readonly #fd: number
  readonly #path: string
  readonly #meta: Meta
  /** Pages that lie wholly in the file. */
  readonly #pagesInFile: number
  readonly #visited = new Set<number>()
  /** Rows met in the tree under way. */
  #rows = 0

  constructor(fd: number, path: string, meta: Meta) {
    this.#fd = fd
    this.#path = path
    this.#meta = meta
    this.#pagesInFile = Math.floor(fs.fstatSync(fd).size / meta.pageSize)
  }

  check(): void {
    this.#checkTree(this.#meta.free, true)
    this.#checkTree(this.#meta.main, false)
  }

  #checkTree(tree: Tree, isFree: boolean): void {
    this.#rows = 0
    if (tree.root !== undefined) {
      if (tree.depth < 1 || tree.depth > depthMax) throw this.#damage('impossible depth of a tree', tree.root)
      this.#checkPage(tree.root, tree.depth, isFree)
    }
    if (this.#rows !== tree.entries) throw this.#damage('the number of rows differs from the meta page', 0)
  }

  #checkPage(page: number, levels: number, isFree: boolean): void {
    const bytes = this.#readPage(page)
    const isLeaf = levels === 1
    const kind = bytes.readUInt16LE(18) & 0xf
    if (kind !== (isLeaf ? flag.leaf : flag.branch)) throw this.#damage('a page of the wrong kind', page)
    const lower = bytes.readUInt16LE(20)
    const upper = bytes.readUInt16LE(22)
    const room = this.#meta.pageSize - headerBytes
    if (lower % 2 !== 0 || lower > upper || upper > room) throw this.#damage('impossible bounds of a page', page)
    const count = lower / 2
    if (count < (isLeaf ? 1 : 2)) throw this.#damage('a page with too few nodes', page)
    for (let index = 0; index < count; index++) {
      const start = bytes.readUInt16LE(headerBytes + index * 2)
      if (start < upper || start + 8 > room) throw this.#damage('a node outside its page', page)
      if (isLeaf) this.#checkRow(bytes, page, headerBytes + start, isFree)
      else this.#checkBranch(bytes, page, headerBytes + start, levels, isFree)
    }
  }

  #checkBranch(bytes: Buffer, page: number, at: number, levels: number, isFree: boolean): void {
    if (at + 8 + bytes.readUInt16LE(at + 6) > this.#meta.pageSize) throw this.#damage('a node outside its page', page)
    this.#checkPage(bytes.readUInt32LE(at) + bytes.readUInt16LE(at + 4) * 2 ** 32, levels - 1, isFree)
  }

  #checkRow(bytes: Buffer, page: number, at: number, isFree: boolean): void {
    const size = bytes.readUInt32LE(at)
    const nodeFlags = bytes.readUInt16LE(at + 4)
    const keySize = bytes.readUInt16LE(at + 6)
    if ((nodeFlags & ~nodeFlag.big) !== 0) throw this.#damage('a row of an unknown kind', page)
    const isBig = nodeFlags === nodeFlag.big
    const valueAt = at + 8 + keySize
    if (valueAt + (isBig ? headerBytes : size) > this.#meta.pageSize) throw this.#damage('a row outside its page', page)
    this.#rows++
    let first = valueAt
    let value = bytes
    if (isBig) {
      const bigPage = Number(bytes.readBigUInt64LE(valueAt))
      const pages = Number(bytes.readBigUInt64LE(valueAt + 16))
      if (headerBytes + size > pages * this.#meta.pageSize) throw this.#damage('a large value outside its pages', page)
      value = this.#readPage(bigPage, pages)
      if ((value.readUInt16LE(18) & 0xf) !== flag.overflow) throw this.#damage('a large value on a page of the wrong kind', bigPage)
      first = headerBytes
    }
    if (!isFree) return
    if (keySize !== 8 || size < 8 || size % 8 !== 0) throw this.#damage('a damaged list of free pages', page)
    if (value.readBigUInt64LE(first) > BigInt(size / 8 - 1)) throw this.#damage('a damaged list of free pages', page)
  }

  /** The first page of `pages` that follow each other, all of them checked to lie in the file and to be met once. */
  #readPage(page: number, pages = 1): Buffer {
    const end = page + pages
    if (page < 2 || pages < 1 || end > this.#pagesInFile || end - 1 > this.#meta.lastPage)
      throw this.#damage('a page outside the file', page)
    if (this.#visited.has(page)) throw this.#damage('a page that is used twice', page)
    this.#visited.add(page)
    const bytes = Buffer.allocUnsafe(this.#meta.pageSize)
    const count = fs.readSync(this.#fd, bytes, 0, bytes.length, page * this.#meta.pageSize)
    assert(count === bytes.length, 'a page inside the file can be read whole', count)
    if (Number(bytes.readBigUInt64LE(0)) !== page) throw this.#damage('a page with another number', page)
    return bytes
  }

  #damage(message: string, page: number): Error {
    const position = page * this.#meta.pageSize
    return corrupt(message, this.#path, Number.isSafeInteger(position) ? position : 0)
  }
}
