/**
 * Copies of a few bytes that nobody writes again, many in one array: an array of its own costs more than what it holds. A copy keeps its slab alive, so it is for what
 * is let go soon.
 */
const slabBytes = 64 * 1024
let slab = new Uint8Array(slabBytes)
let slabUsed = 0

/** A copy in memory that nobody writes again. */
export function keep(bytes: Uint8Array): Uint8Array {
  const { length } = bytes
  if (length > slabBytes >> 3) return bytes.slice()
  if (slabUsed + length > slabBytes) {
    slab = new Uint8Array(slabBytes)
    slabUsed = 0
  }
  const copy = slab.subarray(slabUsed, slabUsed + length)
  copy.set(bytes)
  slabUsed += length
  return copy
}
