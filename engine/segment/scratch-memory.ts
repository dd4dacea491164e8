/**
 * Memory for work that comes again and again: the buffers of writers, sorts and merges. Arrays that are made and dropped instead stay for long, since the
 * garbage collector sees only their small heads, and what the system's allocator gets back lies in pieces between what it did not: a worker that merged grew by
 * 25 MB of such pieces, and by as much of arrays that nobody had.
 *
 * One pool a thread. Sizes are powers of two; what is taken holds anything. Who takes an array gives it back once nobody reads it any more; one that is
 * forgotten (a task failed) goes to the garbage collector. Invariant: what lies here is at most `keptBytesMax` together.
 */
import { assert } from '../errors.ts'

/** Smaller arrays are not worth keeping. */
const keptSizeMin = 16 * 1024
const keptBytesMax = 16 * 1024 * 1024

const noBytes = new Uint8Array(0)
/** By size. */
const kept = new Map<number, Uint8Array[]>()
let keptBytes = 0

/** An array of at least so many bytes, at the beginning of its buffer. */
export function takeBytes(bytesMin: number): Uint8Array {
  const size = bytesMin <= keptSizeMin ? bytesMin : 2 ** Math.ceil(Math.log2(bytesMin))
  const found = kept.get(size)?.pop()
  if (found === undefined) return new Uint8Array(size)
  keptBytes -= size
  return found
}

/** What `takeBytes` gave: nobody reads or writes it any more. Other arrays, and views of them, are left alone. */
export function giveBytes(bytes: Uint8Array): void {
  const size = bytes.buffer.byteLength
  if (size < keptSizeMin || size !== bytes.byteLength || keptBytes + size > keptBytesMax || (size & (size - 1)) !== 0) return
  const same = kept.get(size)
  assert(same === undefined || same.every(({ buffer }) => buffer !== bytes.buffer), 'an array is given back once', size)
  if (same === undefined) kept.set(size, [bytes])
  else same.push(bytes)
  keptBytes += size
}

/** Memory of one walk: two arrays in turn, so that what was read into one holds until the read after the next. */
export class TurningMemory {
  #now: Uint8Array = noBytes
  #before: Uint8Array = noBytes

  /** An array of at least so many bytes: that of the time before the last, if it is large enough. */
  turn(bytesMin: number): Uint8Array {
    let next = this.#before
    // Only once there is memory: both must never be the same array.
    if (next.length < bytesMin) {
      this.#before = noBytes
      giveBytes(next)
      next = takeBytes(bytesMin)
    }
    this.#before = this.#now
    this.#now = next
    return next
  }

  /** Nobody reads either any more. */
  release(): void {
    giveBytes(this.#now)
    giveBytes(this.#before)
    this.#now = noBytes
    this.#before = noBytes
  }
}

/** `count` numbers in memory of `takeBytes`; `giveNumbers` gives it back. */
export function takeUint32(count: number): Uint32Array {
  return new Uint32Array(takeBytes(count * 4).buffer as ArrayBuffer, 0, count)
}

export function takeFloat64(count: number): Float64Array {
  return new Float64Array(takeBytes(count * 8).buffer as ArrayBuffer, 0, count)
}

export function giveNumbers(numbers: Uint32Array | Float64Array): void {
  giveBytes(new Uint8Array(numbers.buffer))
}
