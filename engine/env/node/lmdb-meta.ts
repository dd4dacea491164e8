/**
 * The two meta pages of an LMDB data file: where its trees begin and how far it reaches. Read by the check before LMDB opens the file,
 * and before each change by the reservation of disk space. Layout: see `lmdb-check.ts`.
 */
import { corrupt } from '../../errors.ts'
import type { File } from '../environment.ts'

/** Bytes before the contents of each page. */
export const headerBytes: number = 24
const metaBytes = 168
const metaFlag = 8
const magic = 0xbeef_c0de
const dataVersion = 2
const noRoot = 0xffff_ffff_ffff_ffffn
const pageNumberMax = 2 ** 40

export interface LmdbTree {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** undefined for an empty tree. */
  readonly root: number | undefined
}

export interface LmdbMeta {
  readonly pageSize: number
  readonly free: LmdbTree
  readonly main: LmdbTree
  readonly lastPage: number
  readonly transaction: bigint
}

/** The newer meta page. Throws CORRUPT when either cannot be one. */
export function readNewestMeta(file: File): LmdbMeta {
  const first = readMeta(file, 0)
  const second = readMeta(file, first.pageSize)
  if (second.pageSize !== first.pageSize) throw corrupt('the meta pages disagree about the page size', file.path, first.pageSize)
  return second.transaction > first.transaction ? second : first
}

function readMeta(file: File, position: number): LmdbMeta {
  const { path } = file
  const bytes = Buffer.alloc(metaBytes)
  if (file.readSync(bytes, position) < metaBytes) throw corrupt('the catalog ends inside a meta page', path, position)
  if ((bytes.readUInt16LE(18) & metaFlag) === 0) throw corrupt('not a meta page', path, position)
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

function readTree(bytes: Buffer, at: number): LmdbTree {
  const root = bytes.readBigUInt64LE(at + 40)
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: Number(bytes.readBigUInt64LE(at + 8)),
    leafPages: Number(bytes.readBigUInt64LE(at + 16)),
    overflowPages: Number(bytes.readBigUInt64LE(at + 24)),
    entries: Number(bytes.readBigUInt64LE(at + 32)),
    root: root === noRoot ? undefined : Number(root),
  }
}
