/**
 * Keeps the records of a memtable in order: sorted chunks of record positions, made little by little so that no step takes long.
 *
 * Owned by one memtable, from its first cursor on. Records are numbered as they were added; the list of chunks covers them without gaps:
 * 1. *Chunks* have 4,096 records when they are made. Four neighbours of one size are merged into one of four times the size, up to 65,536.
 *    A merge goes on a slice at a time; its inputs count until it is finished.
 * 2. The *rest*, less than 4,096 records, is sorted when a cursor is opened: only what came since the last one, merged with what is sorted
 *    already while that is less than twice as large. A full rest becomes a chunk.
 * 3. When order is asked for late, what is there is sorted in pieces of the largest size that fits, which need no merging.
 * `step` is called every `stepRecords` records: it makes a chunk, or merges a slice of `sliceRecords`. Merging makes two records of output for each that
 * comes; three slices for four steps keep ahead of that.
 *
 * Invariant: a chunk never changes after it is in the list; cursors and leases keep it as it is. Chunks are shared memory, the rest is not.
 */
import { StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import { sortStoreRecords } from '../maintenance/merge-sort.ts'
import { giveNumbers } from '../segment/scratch-memory.ts'
import { MemtableCursor } from './memtable-cursor.ts'

const chunkRecords = 4096
const chunkRecordsMax = 65_536
const fanIn = 4
/** A memtable calls `step` each time that this many records have come. */
export const stepRecords = 1024
const sliceRecords = 4096

/** Where a memtable has its records: `entries[2 * i]` is the position of record i in `bytes`, below `limit`. */
export interface MemtableEntries {
  readonly bytes: Uint8Array
  readonly entries: Int32Array
  readonly count: number
  readonly limit: number
}

export class MemtableOrder {
  /** Each with the records that follow those of the one before. */
  #chunks: readonly Uint32Array[]
  /** Records in `#chunks`. */
  #chunked = 0
  /** The sorted part of the rest: each at least twice as large as the next. */
  #rest: Uint32Array[] = []
  /** Records in `#chunks` and `#rest`. */
  #sorted = 0
  /** Chunks and rest as one list, until one of them changes. */
  #all: readonly Uint32Array[] | undefined
  /** All keys in `#chunks` and `#rest` agree in this many first bytes; -1 when that is not known yet. */
  #prefix = -1
  readonly #left = new StoreRecordCursor()
  readonly #right = new StoreRecordCursor()
  /** The merge under way: of `fanIn` chunks from `#mergeFirst`, `#merged` records of `#mergeOutput` are written. */
  #merge: MemtableCursor | undefined
  #mergeFirst = 0
  #mergeOutput: Uint32Array = new Uint32Array(0)
  #merged = 0

  /** `chunks` as `chunks` of another order gave them, for the same records. */
  constructor(chunks: readonly Uint32Array[] = []) {
    this.#chunks = chunks
    for (const chunk of chunks) this.#chunked += chunk.length
    this.#sorted = this.#chunked
  }

  /** The chunks alone: what another thread can go on from. */
  get chunks(): readonly Uint32Array[] {
    return this.#chunks
  }

  /** Memory of all positions, those of a merge under way included. */
  get bytes(): number {
    let total = this.#mergeOutput.byteLength
    for (const chunk of this.#chunks) total += chunk.byteLength
    for (const chunk of this.#rest) total += chunk.byteLength
    return total
  }

  /** Does one bounded piece of work: sorts a chunk that has become full, or goes on merging. */
  step(source: MemtableEntries): void {
    if (source.count - this.#chunked >= chunkRecords) this.#addChunk(source, chunkRecords)
    else this.#mergeSlice(source)
  }

  /** Over exactly the first `source.count` records. `former`: one to be used again if it does the same. */
  cursor(source: MemtableEntries, former?: MemtableCursor): MemtableCursor {
    const { bytes, count, limit } = source
    assert(count >= this.#sorted, 'records are only added', count, this.#sorted)
    if (this.#prefix < 0) for (const chunk of this.#chunks) this.#narrowPrefix(source, chunk)
    while (count - this.#chunked >= chunkRecords) {
      let size = chunkRecordsMax
      while (size > count - this.#chunked) size /= fanIn
      this.#addChunk(source, size)
    }
    if (count > this.#sorted) this.#sortRest(source)
    this.#all ??= this.#rest.length === 0 ? this.#chunks : [...this.#chunks, ...this.#rest]
    const prefix = Math.max(0, this.#prefix)
    return former?.walks(bytes, limit, this.#all, prefix) === true ? former : new MemtableCursor(bytes, limit, this.#all, prefix)
  }

  #addChunk(source: MemtableEntries, size: number): void {
    const chunk = sharedPositions(size)
    sortEntries(source, this.#chunked, chunk)
    this.#narrowPrefix(source, chunk)
    this.#chunks = [...this.#chunks, chunk]
    this.#chunked += size
    this.#sorted = this.#chunked
    this.#rest = []
    this.#all = undefined
  }

  #sortRest(source: MemtableEntries): void {
    const rest = this.#rest
    const added = new Uint32Array(source.count - this.#sorted)
    sortEntries(source, this.#sorted, added)
    this.#narrowPrefix(source, added)
    rest.push(added)
    while (rest.length > 1 && rest.at(-2)!.length < 2 * rest.at(-1)!.length) {
      const newer = rest.pop()!
      const older = rest.pop()!
      const merged = new Uint32Array(older.length + newer.length)
      mergeInto(new MemtableCursor(source.bytes, source.limit, [older, newer], this.#prefix), merged, 0, merged.length)
      rest.push(merged)
    }
    this.#sorted = source.count
    this.#all = undefined
  }

  #mergeSlice(source: MemtableEntries): void {
    if (this.#merge === undefined && !this.#beginMerge(source)) return
    const output = this.#mergeOutput
    const end = Math.min(output.length, this.#merged + sliceRecords)
    mergeInto(this.#merge!, output, this.#merged, end)
    this.#merged = end
    if (end < output.length) return
    const first = this.#mergeFirst
    this.#chunks = [...this.#chunks.slice(0, first), output, ...this.#chunks.slice(first + fanIn)]
    this.#all = undefined
    this.#merge = undefined
    this.#mergeOutput = new Uint32Array(0)
  }

  /** The first and the last key of a sorted list differ where any of its keys do. */
  #narrowPrefix({ bytes, entries, limit }: MemtableEntries, sorted: Uint32Array): void {
    const left = this.#left
    const right = this.#right
    left.readAt(bytes, entries[0]!, limit)
    if (this.#prefix < 0) this.#prefix = left.keyBytes
    for (const position of [sorted[0]!, sorted.at(-1)!]) {
      right.readAt(bytes, position, limit)
      const common = Math.min(this.#prefix, right.keyBytes)
      let at = 0
      while (at < common && bytes[left.keyStart + at] === bytes[right.keyStart + at]) at++
      this.#prefix = at
    }
  }

  /** The oldest neighbours first: they are the largest. False when there is nothing to merge. */
  #beginMerge(source: MemtableEntries): boolean {
    const chunks = this.#chunks
    let same = 0
    for (let i = 0; i < chunks.length; i++) {
      const size = chunks[i]!.length
      same = i > 0 && chunks[i - 1]!.length === size ? same + 1 : 1
      if (same < fanIn || size >= chunkRecordsMax) continue
      this.#mergeFirst = i + 1 - fanIn
      this.#mergeOutput = sharedPositions(size * fanIn)
      this.#merged = 0
      this.#merge = new MemtableCursor(source.bytes, source.limit, chunks.slice(this.#mergeFirst, i + 1), this.#prefix)
      return true
    }
    return false
  }
}

function sharedPositions(count: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(count * 4))
}

/** Fills `out` with the positions of as many records from number `first` on, sorted. */
function sortEntries({ bytes, entries }: MemtableEntries, first: number, out: Uint32Array): void {
  if (out.length === 1) {
    out[0] = entries[first * 2]!
    return
  }
  const addresses = new Float64Array(out.length)
  for (let i = 0; i < addresses.length; i++) addresses[i] = entries[(first + i) * 2]!
  const sorted = sortStoreRecords([bytes], addresses)
  out.set(sorted)
  giveNumbers(sorted)
}

/** Writes the positions of the next records of `merge` to `out[from, to)`. */
function mergeInto(merge: MemtableCursor, out: Uint32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    assert(merge.next(), 'a merge has as many records as its inputs', i, out.length)
    out[i] = merge.record.start
  }
}
