/**
 * An arena: byte ranges back to back in memory that is used again, rows or keys that are to be sorted.
 *
 * Invariant: without nulls, range i is `[starts[i], starts[i + 1])`, so that who goes through them in any order finds both in one place.
 */
import { areAdjacent, gatherBytes } from '../vector/gather-bytes.ts'
import type { RowCodec } from '../vector/row-codec.ts'
import { EncodedVector } from '../vector/vector.ts'
import type { PackedKeys } from './exchange.ts'

export class Arena {
  all: Uint8Array = new Uint8Array(4096)
  /** -1: null. Behind the last, where the next begins. */
  starts: Int32Array = new Int32Array(64)
  /** Bytes in use. */
  bytes = 0
  count = 0
  /** Size of the largest range. */
  largest = 0
  /** Only with nulls. */
  #ends: Int32Array | undefined

  /** Exclusive. */
  get ends(): Int32Array {
    return this.#ends ?? this.starts.subarray(1)
  }

  /** 0 of null. */
  size(i: number): number {
    const start = this.starts[i] as number
    return start < 0 ? 0 : ((this.#ends === undefined ? this.starts[i + 1] : this.#ends[i]) as number) - start
  }

  /** About so many bytes will be used. What is not used takes no memory. */
  expect(bytes: number): void {
    if (this.bytes === 0 && bytes > this.all.length) this.all = new Uint8Array(bytes)
  }

  /** For so many ranges more. */
  room(count: number): void {
    if (this.count + count < this.starts.length) return
    this.starts = grown(this.starts, this.count + count + 1)
    if (this.#ends !== undefined) this.#ends = grown(this.#ends, this.starts.length)
  }

  push(source: Uint8Array, size: number): void {
    const at = this.bytes
    if (at + size > this.all.length) this.#grow(at + size)
    const { all, starts } = this
    if (size <= 24) for (let b = 0; b < size; b++) all[at + b] = source[b] as number
    else all.set(size === source.length ? source : source.subarray(0, size), at)
    const i = this.count++
    starts[i] = at
    starts[i + 1] = this.bytes = at + size
    if (size > this.largest) this.largest = size
    if (this.#ends !== undefined) this.#ends[i] = at + size
  }

  /** For so many bytes more. */
  reserve(bytes: number): void {
    if (this.bytes + bytes > this.all.length) this.#grow(this.bytes + bytes)
  }

  /** What was written to `all` behind the last range, up to `end`, is one. */
  take(end: number): void {
    const size = end - this.bytes
    const i = this.count++
    this.starts[i + 1] = this.bytes = end
    this.starts[i] = end - size
    if (size > this.largest) this.largest = size
    if (this.#ends !== undefined) this.#ends[i] = end
  }

  pushNull(): void {
    const ends = this.#withEnds()
    const i = this.count++
    ends[i] = this.bytes
    this.starts[i] = -1
    this.starts[i + 1] = this.bytes
  }

  append({ bytes, starts, ends }: EncodedVector, rows: Int32Array, count: number): void {
    this.room(count)
    let size = 0
    let hasNulls = false
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      if (start < 0) hasNulls = true
      else {
        const of = (ends[row] as number) - start
        if (of > this.largest) this.largest = of
        size += of
      }
    }
    if (this.bytes + size > this.all.length) this.#grow(this.bytes + size)
    const own = hasNulls ? this.#withEnds() : this.#ends
    const [first, base, to] = [this.count, this.bytes, this.starts]
    if (areAdjacent(starts, ends, rows, 0, count)) {
      const from = starts[rows[0] as number] as number
      this.all.set(bytes.subarray(from, from + size), base)
      for (let k = 0; k < count; k++) to[first + k] = (starts[rows[k] as number] as number) - from + base
      if (own !== undefined) for (let k = 0; k < count; k++) own[first + k] = (ends[rows[k] as number] as number) - from + base
    } else {
      const newEnds = own === undefined ? new Int32Array(count) : own.subarray(first)
      const newStarts = to.subarray(first)
      gatherBytes(bytes, starts, ends, rows, 0, count, this.all, base, newStarts, newEnds)
      for (let k = 0; k < count; k++) {
        if ((newStarts[k] as number) >= 0) newStarts[k] = (newStarts[k] as number) + base
        newEnds[k] = (newEnds[k] as number) + base
      }
    }
    this.count += count
    this.bytes += size
    to[this.count] = this.bytes
  }

  vector(codec: RowCodec): EncodedVector {
    return new EncodedVector(this.all, this.starts, this.ends, codec)
  }

  packed(): PackedKeys {
    return { bytes: this.all.slice(0, this.bytes), starts: this.starts.slice(0, this.count + 1) }
  }

  clear(): void {
    this.bytes = 0
    this.count = 0
    this.largest = 0
    this.#ends = undefined
  }

  #withEnds(): Int32Array {
    if (this.#ends === undefined) {
      this.#ends = new Int32Array(this.starts.length)
      this.#ends.set(this.starts.subarray(1, this.count + 1))
    }
    return this.#ends
  }

  #grow(least: number): void {
    const all = new Uint8Array(Math.max(2 * this.all.length, least))
    all.set(this.all.subarray(0, this.bytes))
    this.all = all
  }
}

function grown(ints: Int32Array, least: number): Int32Array<ArrayBuffer> {
  const more = new Int32Array(Math.max(2 * ints.length, least))
  more.set(ints)
  return more
}
