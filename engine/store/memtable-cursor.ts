/**
 * Walks the records of a memtable in order (key ascending, then newest first), both ways, over sorted chunks of record positions.
 *
 * Made by `Memtable.cursor()` for its callers and by `MemtableOrder` for merging chunks. With one chunk it is a plain walk. With several, a
 * heap of chunks has the chunk on top whose current record comes next in the direction of the walk:
 * 1. Going forward, a chunk stands on its first record at or behind the current one; going back, on its last one at or before it.
 * 2. So a change of direction moves every chunk by one and builds the heap again; nothing is searched.
 * 3. Chunks are compared by six bytes of their keys, as one number, from where keys begin to differ; by whole keys when these are equal.
 * Chunks hold records of ascending commit order, hence of two records with one key the one in the later chunk is newer.
 *
 * Invariant: chunks never change. The cursor is one moment; records that are added later are not seen. No object per record is made.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { compareRecordKey, StoreRecordCursor } from '../batch/store-record.ts'

const before = -1
const on = 0
const behind = 1

export class MemtableCursor {
  /** The current record, in the arena; its fields hold until the next move. */
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  readonly #bytes: Uint8Array
  readonly #limit: number
  readonly #prefix: number
  readonly #chunks: readonly Uint32Array[]
  /** By chunk: the record in it where it stands, -1 and its length when it has no more; that record's key, and six bytes of it. */
  readonly #at: Int32Array
  readonly #keyStart: Int32Array
  readonly #keyBytes: Int32Array
  readonly #keyNumber: Float64Array
  /** Chunks that have a record left in the direction of the walk. */
  readonly #heap: Int32Array
  #heapSize = 0
  /** 1 forward, -1 back. */
  #direction = 1
  /** Before the first record, on one, or behind the last one. */
  #place = before

  /** `chunks`: positions of records in `bytes`, below `limit`; each sorted, each with records that were added before those of the next. All keys agree in their first `prefix` bytes. */
  constructor(bytes: Uint8Array, limit: number, chunks: readonly Uint32Array[], prefix: number) {
    const count = chunks.length
    this.#bytes = bytes
    this.#limit = limit
    this.#prefix = prefix
    this.#chunks = chunks
    this.#at = new Int32Array(count)
    this.#keyStart = new Int32Array(count)
    this.#keyBytes = new Int32Array(count)
    this.#keyNumber = new Float64Array(count)
    this.#heap = new Int32Array(count)
  }

  /** Whether it was made of the same; chunks never change. */
  walks(bytes: Uint8Array, limit: number, chunks: readonly Uint32Array[], prefix: number): boolean {
    return this.#chunks === chunks && this.#bytes === bytes && this.#limit === limit && this.#prefix === prefix
  }

  /** Moves to the first record with a key >= the given one; false when there is none, which leaves the cursor behind the last record. */
  seek(key: Uint8Array, start: number = 0, size: number = key.length): boolean {
    for (let chunk = 0; chunk < this.#chunks.length; chunk++) this.#at[chunk] = this.#lowerBound(this.#chunks[chunk]!, key, start, size)
    return this.#gather(1)
  }

  /** Moves to the first record; false when there are none. */
  first(): boolean {
    this.#at.fill(0)
    return this.#gather(1)
  }

  /** Moves to the last record; false when there are none. */
  last(): boolean {
    for (let chunk = 0; chunk < this.#chunks.length; chunk++) this.#at[chunk] = this.#chunks[chunk]!.length - 1
    return this.#gather(-1)
  }

  /** To the next record; from before the first one, to the first. False behind the last. */
  next(): boolean {
    if (this.#place === on) return this.#move(1)
    return this.#place === before && this.first()
  }

  /** To the record before; from behind the last one, to the last. False before the first. */
  previous(): boolean {
    if (this.#place === on) return this.#move(-1)
    return this.#place === behind && this.last()
  }

  #move(direction: number): boolean {
    const at = this.#at
    if (at.length === 1) {
      const chunk = this.#chunks[0]!
      const next = at[0]! + direction
      at[0] = next
      if (next < 0 || next >= chunk.length) return this.#leave(direction)
      this.record.readAt(this.#bytes, chunk[next]!, this.#limit)
      return true
    }
    if (this.#direction !== direction) {
      for (let chunk = 0; chunk < at.length; chunk++) at[chunk]! += direction
      return this.#gather(direction)
    }
    const heap = this.#heap
    const top = heap[0]!
    const next = at[top]! + direction
    at[top] = next
    if (next >= 0 && next < this.#chunks[top]!.length) this.#readKey(top)
    else {
      if (--this.#heapSize === 0) return this.#leave(direction)
      heap[0] = heap[this.#heapSize]!
    }
    this.#siftDown(0)
    if (heap[0] !== top) this.#readCurrent()
    return true
  }

  /** Builds the heap of all chunks where they stand, and stands on the record on top. */
  #gather(direction: number): boolean {
    const at = this.#at
    const heap = this.#heap
    this.#direction = direction
    let size = 0
    for (let chunk = 0; chunk < at.length; chunk++) {
      if (at[chunk]! < 0 || at[chunk]! >= this.#chunks[chunk]!.length) continue
      this.#readKey(chunk)
      heap[size++] = chunk
    }
    this.#heapSize = size
    if (size === 0) return this.#leave(direction)
    for (let place = (size >>> 1) - 1; place >= 0; place--) this.#siftDown(place)
    this.#readCurrent()
    this.#place = on
    return true
  }

  #leave(place: number): false {
    this.#place = place
    return false
  }

  #readCurrent(): void {
    const top = this.#heap[0]!
    this.record.readAt(this.#bytes, this.#chunks[top]![this.#at[top]!]!, this.#limit)
  }

  /** Uses `record` to find the key, so that it already stands right when this chunk stays on top. */
  #readKey(chunk: number): void {
    const { record } = this
    record.readAt(this.#bytes, this.#chunks[chunk]![this.#at[chunk]!]!, this.#limit)
    this.#keyStart[chunk] = record.keyStart
    this.#keyBytes[chunk] = record.keyBytes
    this.#keyNumber[chunk] = sixBytes(this.#bytes, record.keyStart + this.#prefix, record.keyBytes - this.#prefix)
  }

  #siftDown(from: number): void {
    const heap = this.#heap
    const size = this.#heapSize
    const moved = heap[from]!
    let place = from
    for (let child = place * 2 + 1; child < size; child = place * 2 + 1) {
      if (child + 1 < size && this.#comesBefore(heap[child + 1]!, heap[child]!)) child++
      if (!this.#comesBefore(heap[child]!, moved)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = moved
  }

  /** Whether the record of `left` is walked before that of `right`; of equal keys the newer one, in the later chunk, is the first in order. */
  #comesBefore(left: number, right: number): boolean {
    const difference = this.#keyNumber[left]! - this.#keyNumber[right]!
    if (difference !== 0) return difference * this.#direction < 0
    const bytes = this.#bytes
    const keyStart = this.#keyStart
    const keyBytes = this.#keyBytes
    const order = compareKeys(bytes, keyStart[left]!, keyBytes[left]!, bytes, keyStart[right]!, keyBytes[right]!)
    return (order !== 0 ? order : right - left) * this.#direction < 0
  }

  #lowerBound(positions: Uint32Array, key: Uint8Array, start: number, size: number): number {
    const { record } = this
    const bytes = this.#bytes
    let from = 0
    let to = positions.length
    if (to >= sampledMin) {
      const window = this.#window(positions, key, start, size)
      from = window * sampleDistance
      to = Math.min(to, from + sampleDistance)
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      if (compareRecordKey(record, bytes, positions[middle]!, this.#limit, key, start, size) < 0) from = middle + 1
      else to = middle
    }
    return from
  }

  /** Number of the sampled stretch that the key's lower bound lies in, or at the end of. */
  #window(positions: Uint32Array, key: Uint8Array, start: number, size: number): number {
    let samples = samplesOf.get(positions)
    if (samples === undefined) {
      samples = this.#sample(positions)
      samplesOf.set(positions, samples)
    }
    const { record } = this
    const bytes = this.#bytes
    const { common, numbers } = samples
    record.readAt(bytes, positions[0]!, this.#limit)
    const order = compareKeys(bytes, record.keyStart, common, key, start, Math.min(size, common))
    if (order > 0) return 0
    if (order < 0) return numbers.length - 1
    const number = sixBytes(key, start + common, size - common)
    let low = 0
    let high = numbers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (numbers[middle]! < number) low = middle + 1
      else high = middle
    }
    // Samples from `low` on may be equal to the key's number: whole keys decide.
    let step = 1
    while (low + step < numbers.length && numbers[low + step] === number) step *= 2
    high = low < numbers.length && numbers[low] === number ? Math.min(numbers.length, low + step) : low
    while (low < high) {
      const middle = (low + high) >>> 1
      const at = positions[middle * sampleDistance]!
      if (compareRecordKey(record, bytes, at, this.#limit, key, start, size) < 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  #sample(positions: Uint32Array): Samples {
    const { record } = this
    const bytes = this.#bytes
    record.readAt(bytes, positions[0]!, this.#limit)
    const { keyStart, keyBytes } = record
    record.readAt(bytes, positions[positions.length - 1]!, this.#limit)
    const shorter = Math.min(keyBytes, record.keyBytes)
    let common = 0
    while (common < shorter && bytes[keyStart + common] === bytes[record.keyStart + common]) common++
    const numbers = new Float64Array(Math.ceil(positions.length / sampleDistance))
    for (let i = 0; i < numbers.length; i++) {
      record.readAt(bytes, positions[i * sampleDistance]!, this.#limit)
      numbers[i] = sixBytes(bytes, record.keyStart + common, record.keyBytes - common)
    }
    return { common, numbers }
  }
}

/**
 * Every `sampleDistance`-th key of a chunk as a number, from where its keys begin to differ: a search reads few records. Made when a chunk is
 * first searched; a chunk never changes.
 */
interface Samples {
  readonly common: number
  readonly numbers: Float64Array
}

const sampleDistance = 16
/** Shorter chunks are searched record by record. */
const sampledMin = 64
const samplesOf = new WeakMap<Uint32Array, Samples>()

/** Bytes at `start`, the first one counting most, as a number; those behind the first `size` count as zero, which leaves equality open. */
function sixBytes(bytes: Uint8Array, start: number, size: number): number {
  if (size >= 6) {
    const low = (bytes[start + 3]! << 16) | (bytes[start + 4]! << 8) | bytes[start + 5]!
    return ((bytes[start]! << 16) | (bytes[start + 1]! << 8) | bytes[start + 2]!) * 0x100_0000 + low
  }
  let number = 0
  for (let i = 0; i < 6; i++) number = number * 256 + (i < size ? bytes[start + i]! : 0)
  return number
}
