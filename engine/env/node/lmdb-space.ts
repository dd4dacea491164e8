/**
 * Disk space for the next change of a catalog, taken before LMDB needs it.
 *
 * When LMDB cannot write a page, lmdb-js (3.5.6 and before) prints the failure into a buffer that is too small for it, which damages the
 * heap and sooner or later ends the process. A full disk must not do that. So before each change the file is lengthened with written
 * zeros to more than the change can need, by calls of our own, whose ENOSPC is an ordinary error; then LMDB only overwrites. On file
 * systems that do not overwrite in place (btrfs, ZFS) the free space is asked for too. A failing device (EIO) is not covered.
 *
 * How much: pages of the trees that the change can copy, pages that its rows can add, its large values, the lists of free pages, and
 * some. It is an upper bound for ordinary changes, not a proof; falling short costs only the protection.
 */
import fs from 'node:fs'
import { dirname } from 'node:path'
import type { CatalogChange, File } from '../environment.ts'
import { headerBytes, type LmdbMeta } from './lmdb-meta.ts'

const spareBytes = 128 * 1024
const zeros = new Uint8Array(64 * 1024)

/** Makes sure that the file reaches far enough for `change`. Throws the system's error; the file is then as good as before. */
export function reserveSpace(file: File, meta: LmdbMeta, change: CatalogChange): void {
  const needed = (meta.lastPage + 1) * meta.pageSize + changeBytesMax(meta, change)
  const size = file.sizeSync()
  if (needed <= size) return
  const target = Math.max(needed, Math.ceil(size * 1.25)) + spareBytes
  const end = Math.ceil(target / meta.pageSize) * meta.pageSize
  assertFree(file.path, end - size)
  try {
    for (let at = size; at < end; at += zeros.length) file.writeSync(zeros.subarray(0, Math.min(zeros.length, end - at)), at)
    file.syncSync()
  } catch (error) {
    fs.truncateSync(file.path, size)
    throw error
  }
}

function changeBytesMax(meta: LmdbMeta, { puts, deletes }: CatalogChange): number {
  const { pageSize, main, free } = meta
  const rows = puts.length + deletes.length
  let smallBytes = 0
  let largePages = 0
  for (const { key, value } of puts) {
    // LMDB moves a row of more than about half a page out of the tree.
    if (key.length + value.length + 32 > pageSize / 2 - headerBytes) largePages += Math.ceil((value.length + 2 * headerBytes) / pageSize)
    smallBytes += key.length + Math.min(value.length, pageSize / 2) + 32
  }
  const copied = Math.min(rows * main.depth, main.branchPages + main.leafPages)
  const added = 2 * Math.min(puts.length, Math.ceil((4 * smallBytes) / pageSize) + 1)
  const freeLists =
    2 * (free.branchPages + free.leafPages + free.overflowPages) + Math.ceil((32 * (copied + added + largePages)) / pageSize)
  return (copied + added + largePages + freeLists) * pageSize + spareBytes
}

function assertFree(path: string, bytes: number): void {
  const { bavail, bsize } = fs.statfsSync(dirname(path))
  if (bavail * bsize >= bytes) return
  throw Object.assign(new Error(`ENOSPC: ${bytes} bytes are needed and ${bavail * bsize} are free, '${path}'`), { code: 'ENOSPC', path })
}
