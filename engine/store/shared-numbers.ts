/**
 * Shared memory of memtables, used again: the garbage collector does not see how large it is, and lets tens of megabytes of it lie that nobody reads.
 *
 * One pool a thread. Who gives memory back is sure that no thread reads it any more. Invariant: what lies here is at most `keptBytesMax` together.
 */
import { assert } from '../errors.ts'

/** Smaller arrays are not worth keeping. */
const keptSizeMin = 4 * 1024
const keptBytesMax = 8 * 1024 * 1024

/** By size in bytes. */
const kept = new Map<number, Int32Array[]>()
let keptBytes = 0

/** So many zeros. */
export function takeSharedNumbers(count: number): Int32Array {
  const found = kept.get(count * 4)?.pop()
  if (found === undefined) return new Int32Array(new SharedArrayBuffer(count * 4))
  keptBytes -= found.byteLength
  return found.fill(0)
}

/** What `takeSharedNumbers` gave. */
export function giveSharedNumbers(numbers: Int32Array): void {
  const size = numbers.byteLength
  if (size < keptSizeMin || keptBytes + size > keptBytesMax) return
  const same = kept.get(size)
  assert(same === undefined || !same.includes(numbers), 'an array is given back once', size)
  if (same === undefined) kept.set(size, [numbers])
  else same.push(numbers)
  keptBytes += size
}
