/**
 * Variable-length integers: seven bits a byte, lowest first, the high bit of a byte says that more follow (LEB128, as in Protocol Buffers and Kafka).
 *
 *   varint     0 .. 2^53-1               1-8 bytes
 *   zigzag32   -2^31 .. 2^31-1           1-5 bytes   Kafka's "varint"
 *   zigzag53   -(2^53-1) .. 2^53-1       1-8 bytes   Kafka's "varlong", within safe integers
 *
 * `write…(target, position, value)` returns the next position; the caller has made room, `…Size(value)` says how much. `read…(source, position, end)`
 * returns the value and leaves the next position in `varintEnd`, which is valid until the next read by anybody: take it at once. A number that is cut
 * off, too long or not a safe integer throws `CORRUPT`. No call allocates.
 *
 * Loops over many records read with `shortVarint`, which keeps everything in registers and leaves what it does not know to the others.
 */

import { assert } from '../errors.ts'
import { damagedBytes } from './damage.ts'

/** The position after the number that was read last, by any `read…` of this file. */
export let varintEnd: number = 0

const power31 = 2 ** 31

export function varintSize(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  if (value < 0x10000000) return 4
  let size = 5
  for (let rest = Math.floor(value / 0x800000000); rest > 0; rest = Math.floor(rest / 0x80)) size++
  return size
}

export function writeVarint(target: Uint8Array, position: number, value: number): number {
  if (value >= 0 && value < 0x80) {
    target[position] = value
    return position + 1
  }
  let at = position
  let rest = value
  if (!(value >= 0 && value < power31)) {
    assert(value >= 0 && Number.isSafeInteger(value), 'a varint is a safe integer, not negative', value)
    for (; rest >= power31; rest = Math.floor(rest / 0x80)) target[at++] = (rest % 0x80) | 0x80
  }
  for (; rest >= 0x80; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80
  assert(at < target.length, 'a varint fits its target', position, target.length)
  target[at] = rest
  return at + 1
}

export function readVarint(source: Uint8Array, position: number, end: number = source.length): number {
  if (position + 1 < end) {
    const first = source[position] as number
    if (first < 0x80) {
      varintEnd = position + 1
      return first
    }
    const second = source[position + 1] as number
    if (second < 0x80 && first >= 0x80) {
      varintEnd = position + 2
      return (first & 0x7f) | (second << 7)
    }
    if (position + 2 < end && first >= 0x80) {
      const third = source[position + 2] as number
      if (third < 0x80) {
        varintEnd = position + 3
        return (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14)
      }
    }
  }
  return readLongVarint(source, position, end)
}

/** The number, of at most four bytes, as `value << 3 | bytes`; 0: it is longer. The caller knows that four bytes are there. */
export function shortVarint(source: Uint8Array, position: number): number {
  const first = source[position] as number
  if (first < 0x80) return (first << 3) | 1
  const second = source[position + 1] as number
  if (second < 0x80) return (((first & 0x7f) | (second << 7)) << 3) | 2
  const third = source[position + 2] as number
  if (third < 0x80) return (((first & 0x7f) | ((second & 0x7f) << 7) | (third << 14)) << 3) | 3
  const fourth = source[position + 3] as number
  if (fourth >= 0x80) return 0
  return (((first & 0x7f) | ((second & 0x7f) << 7) | ((third & 0x7f) << 14) | (fourth << 21)) << 3) | 4
}

function readLongVarint(source: Uint8Array, position: number, end: number): number {
  const limit = Math.min(end, source.length, position + 8)
  if (!(position >= 0)) throw damagedBytes('position is not in the bytes', position)
  let value = 0
  let scale = 1
  for (let at = position; at < limit; at++) {
    const byte = source[at] as number
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      if (value > Number.MAX_SAFE_INTEGER) throw damagedBytes('number is too large', position)
      varintEnd = at + 1
      return value
    }
    scale *= 0x80
  }
  throw damagedBytes(limit === position + 8 ? 'number is too long' : 'number is cut off', position)
}

export function zigzag32Size(value: number): number {
  return varintSize(((value << 1) ^ (value >> 31)) >>> 0)
}

export function writeZigzag32(target: Uint8Array, position: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  if (rest < 0x80) {
    target[position] = rest
    return position + 1
  }
  assert((value | 0) === value, 'a zigzag32 is a 32-bit integer', value)
  let at = position
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at] = rest
  return at + 1
}

export function readZigzag32(source: Uint8Array, position: number, end: number = source.length): number {
  if (position + 1 < end) {
    const first = source[position] as number
    if (first < 0x80) {
      varintEnd = position + 1
      return (first >>> 1) ^ -(first & 1)
    }
    const second = source[position + 1] as number
    if (second < 0x80 && first >= 0x80) {
      varintEnd = position + 2
      const both = (first & 0x7f) | (second << 7)
      return (both >>> 1) ^ -(both & 1)
    }
  }
  return readLongZigzag32(source, position, end)
}

function readLongZigzag32(source: Uint8Array, position: number, end: number): number {
  const coded = readVarint(source, position, end)
  if (coded > 0xffffffff) throw damagedBytes('number is too large', position)
  return (coded >>> 1) ^ -(coded & 1)
}

export function zigzag53Size(value: number): number {
  if (value >= -0x40000000 && value < 0x40000000) return varintSize(((value << 1) ^ (value >> 31)) >>> 0)
  return 1 + varintSize(Math.floor((value < 0 ? -value - 1 : value) / 0x40))
}

export function writeZigzag53(target: Uint8Array, position: number, value: number): number {
  if (value >= -0x40000000 && value < 0x40000000) return writeVarint(target, position, ((value << 1) ^ (value >> 31)) >>> 0)
  assert(Number.isSafeInteger(value), 'a zigzag53 is a safe integer', value)
  const magnitude = value < 0 ? -value - 1 : value
  target[position] = ((magnitude % 0x40) * 2 + (value < 0 ? 1 : 0)) | 0x80
  return writeVarint(target, position + 1, Math.floor(magnitude / 0x40))
}

export function readZigzag53(source: Uint8Array, position: number, end: number = source.length): number {
  if (position + 1 < end) {
    const first = source[position] as number
    if (first < 0x80) {
      varintEnd = position + 1
      return (first >>> 1) ^ -(first & 1)
    }
    const second = source[position + 1] as number
    if (second < 0x80 && first >= 0x80) {
      varintEnd = position + 2
      const both = (first & 0x7f) | (second << 7)
      return (both >>> 1) ^ -(both & 1)
    }
  }
  return readLongZigzag53(source, position, end)
}

/** The sign bit is taken from the first byte and the rest read as a varint of its own, so that 54 coded bits stay exact in a double. */
function readLongZigzag53(source: Uint8Array, position: number, end: number): number {
  if (!(position >= 0 && position < end && position < source.length)) throw damagedBytes('number is cut off', position)
  const first = source[position] as number
  let magnitude = (first & 0x7f) >>> 1
  if (first >= 0x80) magnitude += readVarint(source, position + 1, Math.min(end, position + 8)) * 0x40
  else varintEnd = position + 1
  const value = (first & 1) === 0 ? magnitude : -magnitude - 1
  if (!Number.isSafeInteger(value)) throw damagedBytes('number is too large', position)
  return value
}
