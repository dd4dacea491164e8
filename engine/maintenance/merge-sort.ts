/**
 * Sorts store records that lie in arenas by (key, newest first) without moving or copying them: what a flush does before it writes a run.
 *
 * 1. The common prefix of all keys is skipped; the next eight bytes of each key become two 32-bit numbers.
 * 2. Record numbers are sorted by these numbers, stably, by least significant digits.
 * 3. Groups that are still equal are sorted by the following eight bytes in the same way; small ones, and those whose keys have ended, by
 *    comparing whole keys, then versions and sequences.
 * Input in commit order, the usual case, keeps rewritten keys newest first for nothing, because numbers start in reverse order.
 *
 * An address is one number: buffer * 2^32 + position. Memory: 28 bytes a record beside the result, in arrays that are used again.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { compareNewestFirst, StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import { giveNumbers, takeFloat64, takeUint32 } from '../segment/scratch-memory.ts'
import type { MergeSource } from './merge-runs.ts'

const positionsPerBuffer = 0x1_0000_0000
/** At most this many records are sorted by comparison. */
const insertionMax = 24
const digitBits = 11
const digits = 1 << digitBits
/** From least significant: bits of (high, low) taken by each pass. */
const passes = 6

/** The address of a record at `position` of `buffers[buffer]`. */
export function storeRecordAddress(buffer: number, position: number): number {
  return buffer * positionsPerBuffer + position
}

export interface SortOptions {
  /** Versions decide before sequences. Default false. */
  readonly versioned?: boolean
}

/** The addresses in order of (key, newest first), as another array; `giveNumbers` takes it back. */
export function sortStoreRecords(buffers: readonly Uint8Array[], addresses: Float64Array, options: SortOptions = {}): Float64Array {
  const sorter = new Sorter(buffers, addresses, options.versioned ?? false)
  return sorter.sort()
}

class Sorter {
  readonly #buffers: readonly Uint8Array[]
  readonly #addresses: Float64Array
  readonly #versioned: boolean
  readonly #count: number
  /** By record number: where its key lies. */
  readonly #bufferOf: Uint16Array
  readonly #keyStart: Uint32Array
  readonly #keyBytes: Uint32Array
  /** By record number: eight key bytes from the current depth. */
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  /** Record numbers; sorted in ranges. */
  #order: Uint32Array
  #spare: Uint32Array
  readonly #left = new StoreRecordCursor()
  readonly #right = new StoreRecordCursor()
  readonly #histogram = new Uint32Array(digits)

  constructor(buffers: readonly Uint8Array[], addresses: Float64Array, versioned: boolean) {
    const count = addresses.length
    assert(buffers.length <= 0x1_0000, 'buffers to sort', buffers.length)
    this.#buffers = buffers
    this.#addresses = addresses
    this.#versioned = versioned
    this.#count = count
    this.#bufferOf = new Uint16Array(count)
    this.#keyStart = takeUint32(count)
    this.#keyBytes = takeUint32(count)
    this.#high = takeUint32(count)
    this.#low = takeUint32(count)
    this.#order = takeUint32(count)
    this.#spare = takeUint32(count)
  }

  sort(): Float64Array {
    const count = this.#count
    const addresses = this.#addresses
    for (let i = 0; i < count; i++) {
      const cursor = this.#read(this.#left, i)
      this.#bufferOf[i] = Math.floor(addresses[i]! / positionsPerBuffer)
      this.#keyStart[i] = cursor.keyStart
      this.#keyBytes[i] = cursor.keyBytes
      this.#order[count - 1 - i] = i
    }
    this.#sortRange(0, count, 0)
    const sorted = takeFloat64(count)
    for (let i = 0; i < count; i++) sorted[i] = addresses[this.#order[i]!]!
    for (const numbers of [this.#keyStart, this.#keyBytes, this.#high, this.#low, this.#order, this.#spare]) giveNumbers(numbers)
    return sorted
  }

  /** Sorts `order[from, to)`, whose keys agree in their first `depth` bytes (missing ones counting as zero). */
  #sortRange(from: number, to: number, depth: number): void {
    const ranges: number[] = [from, to, depth]
    while (ranges.length > 0) {
      const rangeDepth = ranges.pop()!
      const rangeTo = ranges.pop()!
      const rangeFrom = ranges.pop()!
      if (rangeTo - rangeFrom <= insertionMax) {
        this.#insertionSort(rangeFrom, rangeTo)
        continue
      }
      const common = this.#commonPrefix(rangeFrom, rangeTo, rangeDepth)
      if (common < 0) {
        this.#sortByComparing(rangeFrom, rangeTo)
        continue
      }
      this.#takePrefixes(rangeFrom, rangeTo, common)
      this.#sortByPrefix(rangeFrom, rangeTo)
      this.#pushGroups(ranges, rangeFrom, rangeTo, common + 8)
    }
  }

  /** Length of the prefix that all keys share, at least `depth`; -1 when no key is longer than `depth`. */
  #commonPrefix(from: number, to: number, depth: number): number {
    const order = this.#order
    const first = order[from]!
    const firstBuffer = this.#buffers[this.#bufferOf[first]!]!
    const firstStart = this.#keyStart[first]!
    let common = this.#keyBytes[first]!
    let longest = common
    for (let i = from + 1; i < to; i++) {
      const record = order[i]!
      const size = this.#keyBytes[record]!
      if (size > longest) longest = size
      if (size < common) common = size
      const buffer = this.#buffers[this.#bufferOf[record]!]!
      const start = this.#keyStart[record]!
      let at = depth
      while (at < common && buffer[start + at] === firstBuffer[firstStart + at]) at++
      if (at < common) common = at
      if (common <= depth && longest > depth) return depth
    }
    return longest <= depth ? -1 : Math.max(common, depth)
  }

  #takePrefixes(from: number, to: number, depth: number): void {
    const order = this.#order
    for (let i = from; i < to; i++) {
      const record = order[i]!
      const buffer = this.#buffers[this.#bufferOf[record]!]!
      const at = this.#keyStart[record]! + depth
      const left = this.#keyBytes[record]! - depth
      if (left >= 8) {
        this.#high[record] = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
        this.#low[record] = (buffer[at + 4]! << 24) | (buffer[at + 5]! << 16) | (buffer[at + 6]! << 8) | buffer[at + 7]!
      } else {
        let high = 0
        let low = 0
        for (let k = 0; k < 4; k++) high = (high << 8) | (k < left ? buffer[at + k]! : 0)
        for (let k = 4; k < 8; k++) low = (low << 8) | (k < left ? buffer[at + k]! : 0)
        this.#high[record] = high
        this.#low[record] = low
      }
    }
  }

  /** Least significant digit first; a pass over a digit that all share is skipped. */
  #sortByPrefix(from: number, to: number): void {
    const histogram = this.#histogram
    for (let pass = 0; pass < passes; pass++) {
      const numbers = pass < 3 ? this.#low : this.#high
      const shift = (pass % 3) * digitBits
      const source = this.#order
      const target = this.#spare
      histogram.fill(0)
      for (let i = from; i < to; i++) histogram[(numbers[source[i]!]! >>> shift) & (digits - 1)]!++
      if (histogram[(numbers[source[from]!]! >>> shift) & (digits - 1)] === to - from) continue
      let position = from
      for (let digit = 0; digit < digits; digit++) {
        const size = histogram[digit]!
        histogram[digit] = position
        position += size
      }
      for (let i = from; i < to; i++) {
        const record = source[i]!
        const digit = (numbers[record]! >>> shift) & (digits - 1)
        target[histogram[digit]!++] = record
      }
      if (to - from === this.#count) {
        this.#order = target
        this.#spare = source
      } else for (let i = from; i < to; i++) source[i] = target[i]!
    }
  }

  #pushGroups(ranges: number[], from: number, to: number, depth: number): void {
    const order = this.#order
    let start = from
    while (start < to) {
      const high = this.#high[order[start]!]!
      const low = this.#low[order[start]!]!
      let end = start + 1
      while (end < to && this.#high[order[end]!] === high && this.#low[order[end]!] === low) end++
      if (end - start > insertionMax) ranges.push(start, end, depth)
      else if (end - start > 1) this.#insertionSort(start, end)
      start = end
    }
  }

  #insertionSort(from: number, to: number): void {
    const order = this.#order
    for (let i = from + 1; i < to; i++) {
      const record = order[i]!
      let at = i
      while (at > from && this.#compare(order[at - 1]!, record) > 0) {
        order[at] = order[at - 1]!
        at--
      }
      order[at] = record
    }
  }

  #sortByComparing(from: number, to: number): void {
    const order = this.#order
    let sorted = true
    for (let i = from + 1; i < to && sorted; i++) sorted = this.#compare(order[i - 1]!, order[i]!) <= 0
    if (sorted) return
    const records = Array.from(order.subarray(from, to))
    records.sort((left, right) => this.#compare(left, right))
    order.set(records, from)
  }

  #compare(left: number, right: number): number {
    const order = compareKeys(
      this.#buffers[this.#bufferOf[left]!]!,
      this.#keyStart[left]!,
      this.#keyBytes[left]!,
      this.#buffers[this.#bufferOf[right]!]!,
      this.#keyStart[right]!,
      this.#keyBytes[right]!,
    )
    return order !== 0 ? order : compareNewestFirst(this.#read(this.#left, left), this.#read(this.#right, right), this.#versioned)
  }

  #read(cursor: StoreRecordCursor, record: number): StoreRecordCursor {
    const address = this.#addresses[record]!
    const number = Math.floor(address / positionsPerBuffer)
    const buffer = this.#buffers[number]
    assert(buffer !== undefined, 'an address names one of the buffers', address)
    cursor.readAt(buffer, address - number * positionsPerBuffer, buffer.length)
    return cursor
  }
}

/** Sorted records of arenas as an input of a merge. */
export class MemorySource implements MergeSource {
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  readonly #buffers: readonly Uint8Array[]
  readonly #addresses: Float64Array
  /** Records taken. */
  #taken = 0

  /** `addresses` as `sortStoreRecords` returned them. */
  constructor(buffers: readonly Uint8Array[], addresses: Float64Array) {
    this.#buffers = buffers
    this.#addresses = addresses
  }

  next(): boolean {
    if (this.#taken === this.#addresses.length) return false
    const address = this.#addresses[this.#taken++]!
    const number = Math.floor(address / positionsPerBuffer)
    const buffer = this.#buffers[number]
    assert(buffer !== undefined, 'an address names one of the buffers', address)
    this.record.readAt(buffer, address - number * positionsPerBuffer, buffer.length)
    return true
  }
}
