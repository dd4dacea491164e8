/**
 * Reads an LMDB data file the way LMDB will, before LMDB does: LMDB trusts its pages, and a damaged one makes it assert or fault, which
 * ends the process. What passes here has valid meta pages, two well-formed trees (lists of free pages, and rows) inside the file, keys
 * in order, and no page that is used twice. Contents of rows are not judged; the catalog's own checksums do that.
 *
 * Algorithm: 1. take the newer of the two meta pages; 2. from its two roots visit every page once, checking number, kind, depth, age,
 * that the nodes fill their page without gaps, and that keys ascend; 3. compare what was counted with the meta page. Another thread may
 * commit meanwhile and reuse pages of the tree that is being walked: a failed walk counts only if the meta pages did not move.
 *
 * Layout (LMDB data format 2 with lmdb-js's page header), integers little-endian: page = number u64, transaction u64, pad u16, flags
 * u16, lower u16, upper u16, then 16-bit positions of nodes relative to byte 24; node = size or child u32, flags or child u16, key
 * size u16, key, value; meta = page header, magic u32, version u32, address u64, map size u64, free tree, main tree (48 bytes each:
 * page size u32, flags u16, depth u16, then u64: branch, leaf and overflow pages, entries, root), last page u64, transaction u64. A
 * list of free pages = count u64, then pages; 0 is a gap, -n says that n pages begin at the next number.
 *
 * The lock file is never opened here: closing any descriptor on it would drop LMDB's own locks.
 */
import { assert, corrupt } from '../../errors.ts'
import type { File } from '../environment.ts'
import { nodeFiles } from './files.ts'
import { headerBytes, type LmdbMeta, type LmdbTree, readNewestMeta } from './lmdb-meta.ts'

/** What a row holds instead of a large value: page, transaction, count of pages. */
const bigReferenceBytes = 24
const flag = { branch: 1, leaf: 2, overflow: 4 } as const
const nodeFlag = { big: 1 } as const
const depthMax = 32
const walksMax = 8
/** Flags of the two trees: free lists have integer keys, rows have none set. */
const freeTreeFlags = 8
const mainTreeFlags = 0

/** Throws `CORRUPT` when LMDB could not safely open the file. `path` names an existing data file. */
export function checkLmdbFile(path: string): void {
  const file = nodeFiles.openSync(path, 'read')
  try {
    for (let walk = 1; ; walk++) {
      const meta = readNewestMeta(file)
      try {
        new TreeWalk(file, meta).check()
        return
      } catch (error) {
        if (walk === walksMax || readNewestMeta(file).transaction === meta.transaction) throw error
      }
    }
  } finally {
    file.closeSync()
  }
}

/** One visit to all pages of one meta page's trees. */
class TreeWalk {
  readonly #file: File
  readonly #meta: LmdbMeta
  /** Bytes of a page behind its header; nodes lie here. */
  readonly #room: number
  /** Pages that lie wholly in the file. */
  readonly #pagesInFile: number
  /** Pages met in trees and in lists of free pages. Invariant: each once. */
  readonly #used = new Set<number>()
  /** Of the tree under way. */
  #isFree = false
  #counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
  /** The last key met, and the separator that the next one may not precede. */
  #lastKey: Buffer | undefined
  #floor: Buffer | undefined

  constructor(file: File, meta: LmdbMeta) {
    this.#file = file
    this.#meta = meta
    this.#room = meta.pageSize - headerBytes
    this.#pagesInFile = Math.floor(file.sizeSync() / meta.pageSize)
  }

  check(): void {
    this.#checkTree(this.#meta.free, true)
    this.#checkTree(this.#meta.main, false)
  }

  #checkTree(tree: LmdbTree, isFree: boolean): void {
    this.#isFree = isFree
    this.#counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 }
    this.#lastKey = undefined
    this.#floor = undefined
    if (tree.flags !== (isFree ? freeTreeFlags : mainTreeFlags)) throw this.#damage('a tree of an unknown kind', 0)
    if (tree.root !== undefined) {
      if (tree.depth < 1 || tree.depth > depthMax) throw this.#damage('impossible depth of a tree', tree.root)
      this.#checkPage(tree.root, tree.depth)
    }
    for (const name of ['branchPages', 'leafPages', 'overflowPages', 'entries'] as const) {
      if (this.#counts[name] !== tree[name]) throw this.#damage('the counts of a tree differ from the meta page', 0)
    }
  }

  #checkPage(page: number, levels: number): void {
    const bytes = this.#readPage(page, 1)
    const isLeaf = levels === 1
    if (bytes.readUInt16LE(18) !== (isLeaf ? flag.leaf : flag.branch)) throw this.#damage('a page of the wrong kind', page)
    this.#counts[isLeaf ? 'leafPages' : 'branchPages']++
    const lower = bytes.readUInt16LE(20)
    const upper = bytes.readUInt16LE(22)
    if (lower % 2 !== 0 || lower > upper || upper > this.#room) throw this.#damage('impossible bounds of a page', page)
    const count = lower / 2
    if (count < (isLeaf ? 1 : 2)) throw this.#damage('a page with too few nodes', page)
    const starts = new Set<number>()
    let nodeBytes = 0
    for (let index = 0; index < count; index++) {
      const start = bytes.readUInt16LE(headerBytes + index * 2)
      if (start < upper || start + 8 > this.#room || starts.has(start)) throw this.#damage('a node outside its page', page)
      starts.add(start)
      const at = headerBytes + start
      const size = isLeaf ? this.#checkRow(bytes, page, at) : this.#checkBranch(bytes, page, at, index, levels)
      nodeBytes += size + (size % 2)
    }
    if (nodeBytes !== this.#room - upper) throw this.#damage('nodes do not fill their page', page)
  }

  /** Checks what hangs below a node of a branch page; returns the node's size. */
  #checkBranch(bytes: Buffer, page: number, at: number, index: number, levels: number): number {
    const key = this.#key(bytes, page, at)
    if (index > 0) {
      if (this.#lastKey === undefined || this.#compare(key, this.#lastKey, page) <= 0) throw this.#damage('keys out of order', page)
      this.#floor = key
    }
    this.#checkPage(bytes.readUInt32LE(at) + bytes.readUInt16LE(at + 4) * 2 ** 32, levels - 1)
    return 8 + key.length
  }

  /** Checks a node of a leaf page; returns its size. */
  #checkRow(bytes: Buffer, page: number, at: number): number {
    const size = bytes.readUInt32LE(at)
    const nodeFlags = bytes.readUInt16LE(at + 4)
    const key = this.#key(bytes, page, at)
    const isBig = nodeFlags === nodeFlag.big
    if (nodeFlags !== 0 && !isBig) throw this.#damage('a row of an unknown kind', page)
    const valueAt = at + 8 + key.length
    const inPage = isBig ? bigReferenceBytes : size
    if (valueAt + inPage > this.#meta.pageSize) throw this.#damage('a row outside its page', page)
    if (this.#lastKey !== undefined && this.#compare(key, this.#lastKey, page) <= 0) throw this.#damage('keys out of order', page)
    if (this.#floor !== undefined && this.#compare(key, this.#floor, page) < 0) throw this.#damage('keys out of order', page)
    this.#lastKey = key
    this.#floor = undefined
    this.#counts.entries++
    const value = isBig ? this.#bigValue(bytes, page, valueAt, size) : bytes.subarray(valueAt, valueAt + size)
    if (this.#isFree) this.#checkFreeList(value, page)
    return 8 + key.length + inPage
  }

  #bigValue(bytes: Buffer, page: number, at: number, size: number): Buffer {
    const first = Number(bytes.readBigUInt64LE(at))
    const pages = Number(bytes.readBigUInt64LE(at + 16))
    if (pages !== Math.ceil((headerBytes + size) / this.#meta.pageSize)) throw this.#damage('a large value of another size', page)
    const value = this.#readPage(first, this.#isFree ? pages : 1, pages)
    if (value.readUInt16LE(18) !== flag.overflow || value.readUInt32LE(20) !== pages)
      throw this.#damage('a large value on a page of the wrong kind', first)
    this.#counts.overflowPages += pages
    return value.subarray(headerBytes, headerBytes + size)
  }

  #checkFreeList(list: Buffer, page: number): void {
    const count = list.length < 8 || list.length % 8 !== 0 ? -1 : Number(list.readBigUInt64LE(0))
    if (count < 0 || count > list.length / 8 - 1) throw this.#damage('a damaged list of free pages', page)
    for (let index = 1; index <= count; index++) {
      let pages = 1
      let first = Number(list.readBigInt64LE(index * 8))
      if (first === 0) continue
      if (first < 0) {
        pages = -first
        if (++index > count) throw this.#damage('a damaged list of free pages', page)
        first = Number(list.readBigInt64LE(index * 8))
      }
      if (first < 2 || first + pages - 1 > this.#meta.lastPage) throw this.#damage('a damaged list of free pages', page)
      this.#use(first, pages)
    }
  }

  #key(bytes: Buffer, page: number, at: number): Buffer {
    const end = at + 8 + bytes.readUInt16LE(at + 6)
    if (end > this.#meta.pageSize) throw this.#damage('a key outside its page', page)
    return bytes.subarray(at + 8, end)
  }

  #compare(left: Buffer, right: Buffer, page: number): number {
    if (!this.#isFree) return Buffer.compare(left, right)
    if (left.length !== 8 || right.length !== 8) throw this.#damage('a damaged key of a list of free pages', page)
    const difference = left.readBigUInt64LE() - right.readBigUInt64LE()
    return difference < 0n ? -1 : difference > 0n ? 1 : 0
  }

  /** The first `pagesRead` of `pages` that follow each other; all are checked to lie in the file and to be met once. */
  #readPage(page: number, pagesRead: number, pages: number = pagesRead): Buffer {
    const end = page + pages
    if (page < 2 || end > this.#pagesInFile || end - 1 > this.#meta.lastPage) throw this.#damage('a page outside the file', page)
    this.#use(page, pages)
    const bytes = Buffer.allocUnsafe(pagesRead * this.#meta.pageSize)
    const count = this.#file.readSync(bytes, page * this.#meta.pageSize)
    assert(count === bytes.length, 'a page inside the file can be read whole', count)
    if (Number(bytes.readBigUInt64LE(0)) !== page) throw this.#damage('a page with another number', page)
    const transaction = bytes.readBigUInt64LE(8)
    if (transaction > this.#meta.transaction) throw this.#damage('a page from the future', page)
    return bytes
  }

  #use(first: number, pages: number): void {
    for (let page = first; page < first + pages; page++) {
      if (this.#used.has(page)) throw this.#damage('a page that is used twice', page)
      this.#used.add(page)
    }
  }

  #damage(message: string, page: number): Error {
    const position = page * this.#meta.pageSize
    return corrupt(message, this.#file.path, Number.isSafeInteger(position) ? position : 0)
  }
}
