/**
 * The size of an LZ4 frame's content, found without decompressing it, so that no frame can make the decompressor allocate more than was allowed.
 *
 *   frame
 *     magic            u32 0x184D2204, little-endian
 *     FLG              u8    bits 7-6 version = 1, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary
 *     BD               u8
 *     content size     u64   if FLG bit 3
 *     header checksum  u8
 *     block*
 *       size           u32   highest bit: stored as it is; 0 ends the frame
 *       bytes
 *       checksum       u32   if FLG bit 4
 *     content checksum u32   if FLG bit 2
 *   a compressed block is a run of: token u8, (literal count, literals), (match distance u16, match length)
 */

import { damagedBytes } from './damage.ts'
import { readU32LE } from './fixed-width.ts'

const frameMagic = 0x184d2204

/** Bytes that the frame decompresses to; throws CORRUPT when its structure is not that of exactly one frame. Checksums are not looked at. */
export function lz4ContentSize(source: Uint8Array): number {
  if (source.length < 11 || readU32LE(source, 0) !== frameMagic) throw damagedBytes('not an LZ4 frame', 0)
  const flags = source[4] as number
  if (flags >>> 6 !== 1 || (flags & 1) === 1) throw damagedBytes('LZ4 frame of an unknown kind', 4, { actual: flags })
  const blockChecksumBytes = (flags & 0x10) === 0 ? 0 : 4
  const contentChecksumBytes = (flags & 0x04) === 0 ? 0 : 4
  let at = (flags & 0x08) === 0 ? 7 : 15
  let size = 0
  for (;;) {
    const header = readU32LE(source, at)
    at += 4
    if (header === 0) break
    const blockEnd = at + (header & 0x7fffffff)
    if (blockEnd > source.length) throw damagedBytes('LZ4 block is cut off', at)
    size += header >= 0x80000000 ? blockEnd - at : blockContentSize(source, at, blockEnd)
    at = blockEnd + blockChecksumBytes
  }
  if (at + contentChecksumBytes !== source.length) throw damagedBytes('LZ4 frame does not end with its bytes', at)
  return size
}

function blockContentSize(source: Uint8Array, start: number, end: number): number {
  let size = 0
  let at = start
  while (at < end) {
    const token = source[at++] as number
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255) {
        if (at >= end) throw damagedBytes('LZ4 literal count is cut off', at)
        more = source[at++] as number
        literals += more
      }
    }
    at += literals
    size += literals
    if (at === end) return size
    if (at + 2 > end) throw damagedBytes('LZ4 literals are cut off', at)
    at += 2
    let match = token & 15
    if (match === 15) {
      let more = 255
      while (more === 255) {
        if (at >= end) throw damagedBytes('LZ4 match length is cut off', at)
        more = source[at++] as number
        match += more
      }
    }
    size += match + 4
  }
  throw damagedBytes('LZ4 block does not end with literals', end)
}
