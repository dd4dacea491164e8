/**
 * The compression codecs of docs/FORMAT.md, section 5, for the second reader: gzip and zstd are Node's (zstd through `fzstd` before Node 22.15),
 * snappy and LZ4 are written out here.
 */
import zlib from 'node:zlib'
import { decompress as fzstdDecompress } from 'fzstd'
import { Cursor, check, Damage } from './bytes.ts'

const xerialMagic = Buffer.from('82534e4150505900', 'hex')

export function decompress(codec: number, block: Buffer): Buffer {
  if (codec === 0) return block
  if (codec === 1) return zlib.gunzipSync(block)
  if (codec === 2) return snappy(block)
  if (codec === 3) return lz4Frame(block)
  if (codec === 4) return zstd(block)
  throw new Damage(`codec ${codec}`)
}

function zstd(block: Buffer): Buffer {
  const native = (zlib as unknown as { zstdDecompressSync?: (bytes: Uint8Array) => Buffer }).zstdDecompressSync
  return native === undefined ? Buffer.from(fzstdDecompress(block)) : native(block)
}

function snappy(block: Buffer): Buffer {
  if (!block.subarray(0, 8).equals(xerialMagic)) return snappyBlock(block)
  check(block.readInt32BE(8) === 1 && block.readInt32BE(12) === 1, 'snappy framing of another version')
  const chunks: Buffer[] = []
  const cursor = new Cursor(block, 16)
  while (!cursor.done) chunks.push(snappyBlock(cursor.take(block.readInt32BE(cursor.skip(4)))))
  return Buffer.concat(chunks)
}

/** Copies `size` bytes that stand `distance` back; they may overlap what is being written. */
function copyBack(out: Buffer, at: number, distance: number, size: number): number {
  check(distance > 0 && distance <= at && at + size <= out.length, 'a match outside the content')
  for (let i = 0; i < size; i++) out[at + i] = out[at + i - distance] as number
  return at + size
}

function snappyBlock(block: Buffer): Buffer {
  const cursor = new Cursor(block)
  const out = Buffer.alloc(cursor.varint())
  let at = 0
  while (!cursor.done) {
    const tag = cursor.u8()
    const kind = tag & 3
    if (kind === 0) {
      let size = tag >> 2
      if (size >= 60) size = block.readUIntLE(cursor.skip(size - 59), size - 59)
      const literal = cursor.take(size + 1)
      check(at + literal.length <= out.length, 'snappy content is too long')
      literal.copy(out, at)
      at += literal.length
    } else if (kind === 1) at = copyBack(out, at, ((tag >> 5) << 8) | cursor.u8(), ((tag >> 2) & 7) + 4)
    else at = copyBack(out, at, kind === 2 ? cursor.u16() : cursor.u32(), (tag >> 2) + 1)
  }
  check(at === out.length, 'snappy content is too short')
  return out
}

/** Block checksums and the content checksum are passed over: the batch has its own. */
function lz4Frame(block: Buffer): Buffer {
  const cursor = new Cursor(block)
  check(cursor.u32() === 0x184d2204, 'not an LZ4 frame')
  const flags = cursor.u8()
  check(flags >> 6 === 1 && (flags & 1) === 0, 'an LZ4 frame of another kind')
  cursor.skip(1 + (flags & 8 ? 8 : 0) + 1)
  let out: Buffer = Buffer.alloc(0)
  for (;;) {
    const header = cursor.u32()
    if (header === 0) break
    const bytes = cursor.take(header & 0x7fffffff)
    out = header >= 0x80000000 ? Buffer.concat([out, bytes]) : lz4Block(bytes, out)
    if (flags & 0x10) cursor.skip(4)
  }
  if (flags & 4) cursor.skip(4)
  check(cursor.done, 'bytes behind an LZ4 frame')
  return out
}

function lz4Length(cursor: Cursor, nibble: number): number {
  let length = nibble
  if (nibble === 15)
    for (;;) {
      const more = cursor.u8()
      length += more
      if (more !== 255) break
    }
  return length
}

/** `before` is the content of the blocks before it, which matches may reach. */
function lz4Block(block: Buffer, before: Buffer): Buffer {
  const cursor = new Cursor(block)
  let out: Buffer = Buffer.alloc(before.length + block.length * 4)
  let at = before.copy(out)
  const room = (size: number): void => {
    if (at + size > out.length) out = Buffer.concat([out, Buffer.alloc(at + size)])
  }
  while (!cursor.done) {
    const token = cursor.u8()
    const literal = cursor.take(lz4Length(cursor, token >> 4))
    room(literal.length)
    at += literal.copy(out, at)
    if (cursor.done) break
    const distance = cursor.u16()
    const size = lz4Length(cursor, token & 15) + 4
    room(size)
    at = copyBack(out, at, distance, size)
  }
  return out.subarray(0, at)
}
