/** The catalog view without LMDB: docs/FORMAT.md, section 10. Yields the rows in key order, with their checksums checked. */
import { check, checksum, safe, sameBytes } from './bytes.ts'

const emptyTree = 2n ** 64n - 1n

export function readCatalogView(file: Buffer): Map<string, Buffer> {
  const rows = new Map<string, Buffer>()
  const pageSize = file.readUInt32LE(48)
  const metas = [readMeta(file, 0), readMeta(file, pageSize)]
  const newest = metas.reduce((left, right) => (right.transaction > left.transaction ? right : left))
  if (newest.root !== emptyTree) walk(file, pageSize, Number(newest.root), newest.depth, rows)
  return rows
}

function readMeta(file: Buffer, at: number): { transaction: bigint; depth: number; root: bigint } {
  check((file.readUInt16LE(at + 18) & 8) !== 0 && file.readUInt32LE(at + 24) === 0xbeefc0de, 'not a meta page')
  check((file.readUInt32LE(at + 28) & 0xffff) === 2, 'another LMDB data format')
  const mainTree = at + 96
  return {
    transaction: file.readBigUInt64LE(at + 152),
    depth: file.readUInt16LE(mainTree + 6),
    root: file.readBigUInt64LE(mainTree + 40),
  }
}

function walk(file: Buffer, pageSize: number, number: number, depth: number, rows: Map<string, Buffer>): void {
  const at = number * pageSize
  check(safe(file.readBigUInt64LE(at)) === number, 'a page with another number')
  check(file.readUInt16LE(at + 18) === (depth === 1 ? 2 : 1), 'a page of the wrong kind')
  const count = file.readUInt16LE(at + 20) / 2
  for (let i = 0; i < count; i++) {
    const node = at + 24 + file.readUInt16LE(at + 24 + i * 2)
    const low = file.readUInt32LE(node)
    const middle = file.readUInt16LE(node + 4)
    const keyEnd = node + 8 + file.readUInt16LE(node + 6)
    if (depth > 1) {
      walk(file, pageSize, low + middle * 2 ** 32, depth - 1, rows)
      continue
    }
    const key = file.subarray(node + 8, keyEnd)
    const start = middle === 1 ? Number(file.readBigUInt64LE(keyEnd)) * pageSize + 24 : keyEnd
    const stored = file.subarray(start, start + low)
    const value = stored.subarray(8)
    check(sameBytes(stored.subarray(0, 8), checksum(key, value)), `the checksum of row ${key}`)
    rows.set(key.toString(), value)
  }
}
