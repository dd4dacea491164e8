/**
 * The order of many keys, as their numbers. Four bytes of each key (those after what all have in common) and its number are packed into one double, and the platform sorts
 * doubles without asking back; keys that agree in these bytes are then sorted by comparing all of them. Stable.
 */
import { compareSortKeys } from './sort-key.ts'

/** Numbers of keys take so many bits beside 32 of the key. */
const NUMBER_BITS = 21
/** Keys that can be sorted at a time. */
export const SORT_ROWS_MAX: number = 2 ** NUMBER_BITS

/** Keys back to back: key i is `bytes[starts[i], starts[i + 1])`. */
export function sortOrder(bytes: Uint8Array, starts: Int32Array, count: number): Int32Array {
  const order = new Int32Array(count)
  if (count === 0) return order
  const common = commonPrefix(bytes, starts, count)
  const packed = new Float64Array(count)
  for (let i = 0; i < count; i++) packed[i] = wordAt(bytes, (starts[i] as number) + common, starts[i + 1] as number) * SORT_ROWS_MAX + i
  packed.sort()
  let from = 0
  let word = -1
  for (let i = 0; i < count; i++) {
    const value = packed[i] as number
    const ofThis = Math.floor(value / SORT_ROWS_MAX)
    order[i] = value - ofThis * SORT_ROWS_MAX
    if (ofThis === word) continue
    if (i - from > 1) sortEqual(order, from, i, bytes, starts)
    from = i
    word = ofThis
  }
  if (count - from > 1) sortEqual(order, from, count, bytes, starts)
  return order
}

function sortEqual(order: Int32Array, from: number, to: number, bytes: Uint8Array, starts: Int32Array): void {
  order.subarray(from, to).sort((a, b) => {
    const difference = compareSortKeys(
      bytes,
      starts[a] as number,
      starts[a + 1] as number,
      bytes,
      starts[b] as number,
      starts[b + 1] as number,
    )
    return difference !== 0 ? difference : a - b
  })
}

/** Four bytes from `at` on as a number; what lies behind the key is 0. */
function wordAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0
  for (let i = 0; i < 4; i++) word = word * 256 + (at + i < end ? (bytes[at + i] as number) : 0)
  return word
}

/** Bytes with which all keys begin. */
function commonPrefix(bytes: Uint8Array, starts: Int32Array, count: number): number {
  const first = starts[0] as number
  let common = (starts[1] as number) - first
  for (let i = 1; i < count && common > 0; i++) {
    const start = starts[i] as number
    const size = Math.min(common, (starts[i + 1] as number) - start)
    let same = 0
    while (same < size && bytes[start + same] === bytes[first + same]) same++
    common = same
  }
  return common
}
