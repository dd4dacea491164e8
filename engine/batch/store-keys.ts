/**
 * Keys as bytes: their order, and the hash by which filters find them.
 *
 * The order is that of memcmp: byte by byte, unsigned, a prefix before what it begins. The hash is part of the file format (docs/FORMAT.md,
 * "Key hash"): two 32-bit lanes over the key's bytes as little-endian 32-bit words, the last one filled up with zeros. It places keys in
 * tables and filters; it protects nothing.
 */

/** Less than 0, 0, or more than 0, as the left key is before, at or behind the right one. */
export function compareKeys(
  left: Uint8Array,
  leftStart: number,
  leftBytes: number,
  right: Uint8Array,
  rightStart: number,
  rightBytes: number,
): number {
  const common = leftBytes < rightBytes ? leftBytes : rightBytes
  for (let i = 0; i < common; i++) {
    const difference = left[leftStart + i]! - right[rightStart + i]!
    if (difference !== 0) return difference
  }
  return leftBytes - rightBytes
}

/** Whether keys of the same size are the same. */
export function sameKey(left: Uint8Array, leftStart: number, right: Uint8Array, rightStart: number, size: number): boolean {
  for (let i = 0; i < size; i++) if (left[leftStart + i] !== right[rightStart + i]) return false
  return true
}

/** The two lanes of the key hash, as signed 32-bit integers; index 0 picks a filter's block, index 1 the bits in it. */
export type KeyHash = Int32Array

export function createKeyHash(): KeyHash {
  return new Int32Array(2)
}

/**
 * Writes the hash of `source[start, start + size)` into `out`. `seed` changes both lanes; filters use 0.
 *
 *   a = seed ^ 0x9e3779b9, b = size ^ 0x85ebca6b
 *   for each word w:   a = rotl(a ^ w, 13) * 0x9e3779b1 + b      b = rotl(b + w, 17) * 0x85ebca77 ^ a
 *   a ^= b             a = mix(a), b = mix(b + a), a = a + b
 *   mix(x):            x ^= x >>> 16, x *= 0x85ebca6b, x ^= x >>> 13, x *= 0xc2b2ae35, x ^= x >>> 16
 */
export function hashKey(source: Uint8Array, start: number, size: number, out: KeyHash, seed: number = 0): void {
  let a = seed ^ 0x9e3779b9
  let b = size ^ 0x85ebca6b
  let at = start
  const end = start + size
  for (; at + 4 <= end; at += 4) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)
    a ^= word
    a = (Math.imul((a << 13) | (a >>> 19), 0x9e3779b1) + b) | 0
    b = (b + word) | 0
    b = Math.imul((b << 17) | (b >>> 15), 0x85ebca77) ^ a
  }
  if (at < end) {
    let word = source[at]!
    if (at + 1 < end) word |= source[at + 1]! << 8
    if (at + 2 < end) word |= source[at + 2]! << 16
    a ^= word
    a = (Math.imul((a << 13) | (a >>> 19), 0x9e3779b1) + b) | 0
    b = (b + word) | 0
    b = Math.imul((b << 17) | (b >>> 15), 0x85ebca77) ^ a
  }
  a = mix(a ^ b)
  b = mix((b + a) | 0)
  out[0] = a + b
  out[1] = b
}

function mix(value: number): number {
  let x = value
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
