/**
 * Walks what a moment of a store shows, in key order, one way: memtables and runs merged in a heap, the newest record of each key, without
 * what is deleted or expired.
 *
 * 1. Every memtable and run gives an ordered cursor; a heap has the one with the first key (backwards: the last) on top.
 * 2. Forwards the newest record of a key comes first, so the first one that the moment sees decides; the others of the key are skipped.
 *    Backwards it comes last: the candidate is remembered by its positions while the sources move on.
 * 3. When memtables or runs went meanwhile (`StoreTable.version`), the cursor finds its place anew behind the last key. It pins nothing between
 *    two calls; who keeps it over turns registers its sequence as a snapshot, so that compaction leaves what it may still show. So the last key is
 *    copied where it lies in an arena, which may be used again; blocks of runs stay as they are (`RunCursor` with a source).
 *
 * No object per record: `record` stands on the entry until the next call.
 */
import { STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { Memtable } from './memtable.ts'
import { RangeDeletes } from './range-deletes.ts'
import type { SortedRun, OrderedCursor as Source } from './run.ts'

/** What a cursor reads: a store's table, or the same from a lease. */
export interface CursorTable {
  readonly version: number
  readonly memtables: readonly Memtable[]
  /** Newest first. */
  readonly runs: readonly SortedRun[]
}

export interface StoreCursorOptions {
  /** The moment: records with a larger sequence are not seen. */
  readonly sequenceMax: number
  /** Records that expire at or before this time (ms) are not seen. */
  readonly now: number
  /** First key, inclusive. Default: from the beginning. */
  readonly start?: Uint8Array | undefined
  /** Exclusive. Default: to the end. */
  readonly end?: Uint8Array | undefined
  /** From the end to the beginning. Default false. */
  readonly reverse?: boolean | undefined
  /** How far runs are read ahead, bytes. Default 256 KiB. */
  readonly readAheadBytesMax?: number | undefined
}

export class StoreCursor {
  /** The current entry; its buffer and positions hold until the next call. */
  record: StoreRecordCursor
  readonly #table: CursorTable
  readonly #sequenceMax: number
  readonly #now: number
  readonly #start: Uint8Array | undefined
  readonly #end: Uint8Array | undefined
  readonly #reverse: boolean
  readonly #readAhead: number | undefined
  /** Binary heap of sources that stand on a record. */
  readonly #heap: Source[] = []
  readonly #copy = new StoreRecordCursor()
  #version = -1
  #runDeletes: RangeDeletes | undefined
  #memtablesWithDeletes: Memtable[] = []
  /** The last key that was decided, in `#last[#lastStart, +#lastBytes)`; `#lastBytes` -1 before any. */
  #last: Uint8Array = emptyKey
  #lastStart = 0
  #lastBytes = -1
  /** Where the last key is copied to when it lies in an arena. */
  #lastCopy: Uint8Array = emptyKey
  /** Forwards: records of the last key may still lie on top. */
  #mustSkip = false
  /** Backwards: not all records of the last key were looked at. */
  #isUndecided = false
  #done = false
  /** Where `seek` sent it; used when it opens before it has a last key. */
  #target: Uint8Array | undefined

  constructor(table: CursorTable, options: StoreCursorOptions) {
    this.#table = table
    this.#sequenceMax = options.sequenceMax
    this.#now = options.now
    this.#start = options.start
    this.#end = options.end
    this.#reverse = options.reverse === true
    this.#readAhead = options.readAheadBytesMax
    this.record = this.#copy
  }

  /** The next entry will be the first one at or behind the key (backwards: at or before it), within the bounds. */
  seek(key: Uint8Array): void {
    this.#target = key.slice()
    this.#lastBytes = -1
    this.#mustSkip = false
    this.#done = false
    this.#version = -1
  }

  /** Moves to the next entry; false at the end. */
  next(): boolean {
    if (this.#done) return false
    let found = false
    try {
      if (this.#version !== this.#table.version) this.#open()
      found = this.#reverse ? this.#nextBackward() : this.#nextForward()
    } catch (error) {
      this.#failed()
      throw error
    }
    if (!found) {
      this.#done = true
      this.#heap.length = 0
    }
    return found
  }

  /** A source could not be read, and they stand anywhere: the next call finds its place anew, so that nothing is shown twice or left out. */
  #failed(): void {
    this.#version = -1
    if (!this.#isUndecided) return
    this.#target = this.#last.slice(this.#lastStart, this.#lastStart + this.#lastBytes)
    this.#lastBytes = -1
    this.#isUndecided = false
  }

  #nextForward(): boolean {
    const heap = this.#heap
    const end = this.#end
    for (;;) {
      if (this.#mustSkip) this.#skipLast()
      const top = heap[0]
      if (top === undefined) return false
      const { record } = top
      if (end !== undefined && compareKeys(record.buffer, record.keyStart, record.keyBytes, end, 0, end.length) >= 0) return false
      if (record.sequence > this.#sequenceMax || record.kind === STORE_RANGE_DELETE) {
        this.#advanceTop()
        continue
      }
      this.#remember(record)
      this.#mustSkip = true
      if (this.#isVisible(record)) {
        this.record = record
        return true
      }
    }
  }

  /** Takes the last key's other records off the top. */
  #skipLast(): void {
    const heap = this.#heap
    this.#mustSkip = false
    for (let top = heap[0]; top !== undefined && this.#isLast(top.record); top = heap[0]) this.#advanceTop()
  }

  /** Neighbours differ at their ends, mostly. */
  #isLast({ buffer, keyStart, keyBytes }: StoreRecordCursor): boolean {
    if (keyBytes !== this.#lastBytes) return false
    const last = this.#last
    const lastStart = this.#lastStart
    for (let i = keyBytes - 1; i >= 0; i--) if (buffer[keyStart + i] !== last[lastStart + i]) return false
    return true
  }

  #nextBackward(): boolean {
    const heap = this.#heap
    const start = this.#start
    for (;;) {
      const first = heap[0]
      if (first === undefined) return false
      const key = first.record
      if (start !== undefined && compareKeys(key.buffer, key.keyStart, key.keyBytes, start, 0, start.length) < 0) return false
      this.#remember(key)
      this.#isUndecided = true
      let found = false
      for (let top = heap[0]; top !== undefined; top = heap[0]) {
        const { record } = top
        if (!this.#isLast(record)) break
        // Oldest first: the last one that the moment sees is the newest.
        if (record.sequence <= this.#sequenceMax && record.kind !== STORE_RANGE_DELETE) {
          this.#copy.copyFrom(record)
          found = true
        }
        this.#advanceTop()
      }
      this.#isUndecided = false
      if (found && this.#isVisible(this.#copy)) {
        this.record = this.#copy
        return true
      }
    }
  }

  #isVisible(record: StoreRecordCursor): boolean {
    if (record.kind !== STORE_PUT && record.kind !== STORE_POINTER) return false
    if (record.expiry > 0 && record.expiry <= this.#now) return false
    if (this.#memtablesWithDeletes.length === 0 && this.#runDeletes === undefined) return true
    const { buffer, keyStart, keyBytes, sequence } = record
    if ((this.#runDeletes?.covering(buffer, keyStart, keyBytes) ?? -1) > sequence) return false
    for (const memtable of this.#memtablesWithDeletes) {
      if (memtable.coveringRangeDelete(buffer, keyStart, keyBytes, this.#sequenceMax) > sequence) return false
    }
    return true
  }

  #remember(record: StoreRecordCursor): void {
    const { buffer, keyStart, keyBytes } = record
    this.#lastBytes = keyBytes
    if (record.text !== undefined) {
      this.#last = buffer
      this.#lastStart = keyStart
      return
    }
    if (keyBytes > this.#lastCopy.length) this.#lastCopy = new Uint8Array(Math.max(64, keyBytes * 2))
    const copy = this.#lastCopy
    for (let i = 0; i < keyBytes; i++) copy[i] = buffer[keyStart + i]!
    this.#last = copy
    this.#lastStart = 0
  }

  // --- opening -------------------------------------------------------------------------------------------------------------------------

  #open(): void {
    const { memtables, runs, version } = this.#table
    this.#version = version
    this.#heap.length = 0
    this.#mustSkip = false
    this.#collectRangeDeletes()
    for (const memtable of memtables) {
      // What came after the moment shows nothing.
      if (memtable.count > 0 && memtable.firstSequence <= this.#sequenceMax) this.#place(memtable.cursor())
    }
    for (const run of runs) if (run.smallestSequence <= this.#sequenceMax) this.#place(run.cursor(this.#readAhead))
  }

  #collectRangeDeletes(): void {
    const { memtables, runs } = this.#table
    this.#memtablesWithDeletes = memtables.filter(memtable => memtable.rangeDeleteCount > 0)
    this.#runDeletes = undefined
    for (const run of runs) {
      if (!run.hasRangeDeletes) continue
      const deletes: RangeDeletes = this.#runDeletes ?? new RangeDeletes()
      const cursor = new StoreRecordCursor()
      cursor.reset(run.rangeDeletes, 0, run.rangeDeletes.length)
      while (cursor.next()) if (cursor.sequence <= this.#sequenceMax) deletes.add(cursor)
      if (!deletes.isEmpty) this.#runDeletes = deletes
    }
  }

  /** Puts a source where the walk goes on. */
  #place(source: Source): void {
    if (this.#reverse ? this.#placeBackward(source) : this.#placeForward(source)) this.#push(source)
  }

  #placeForward(source: Source): boolean {
    if (this.#lastBytes >= 0) {
      // Behind the last key: its own records may be there still.
      let stands = source.seek(this.#last, this.#lastStart, this.#lastBytes)
      while (stands && this.#isLast(source.record)) stands = source.next()
      return stands
    }
    const from = later(this.#start, this.#target)
    return from === undefined ? source.first() : source.seek(from)
  }

  #placeBackward(source: Source): boolean {
    if (this.#lastBytes >= 0) return this.#before(source, this.#last, this.#lastStart, this.#lastBytes)
    const { length } = this.#target ?? emptyKey
    if (this.#target !== undefined) {
      // At the target or before it, but before the end.
      if (this.#end === undefined || compareKeys(this.#target, 0, length, this.#end, 0, this.#end.length) < 0) {
        const behind = new Uint8Array(length + 1)
        behind.set(this.#target)
        return this.#before(source, behind, 0, length + 1)
      }
    }
    return this.#end === undefined ? source.last() : this.#before(source, this.#end, 0, this.#end.length)
  }

  /** The last record before the key. */
  #before(source: Source, key: Uint8Array, start: number, size: number): boolean {
    source.seek(key, start, size)
    return source.previous()
  }

  // --- heap ----------------------------------------------------------------------------------------------------------------------------

  #precedes(left: Source, right: Source): boolean {
    const a = left.record
    const b = right.record
    const order = compareKeys(a.buffer, a.keyStart, a.keyBytes, b.buffer, b.keyStart, b.keyBytes)
    if (this.#reverse) return order !== 0 ? order > 0 : a.sequence < b.sequence
    return order !== 0 ? order < 0 : a.sequence > b.sequence
  }

  #push(source: Source): void {
    const heap = this.#heap
    let at = heap.push(source) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#precedes(source, heap[parent] as Source)) break
      heap[at] = heap[parent] as Source
      at = parent
    }
    heap[at] = source
  }

  #advanceTop(): void {
    const heap = this.#heap
    const top = heap[0] as Source
    if (this.#reverse ? top.previous() : top.next()) {
      if (heap.length > 2) this.#siftDown(top)
      else if (heap.length === 2 && this.#precedes(heap[1] as Source, top)) {
        heap[0] = heap[1] as Source
        heap[1] = top
      }
      return
    }
    const last = heap.pop() as Source
    if (heap.length > 0) this.#siftDown(last)
  }

  /** Puts `source` into the hole at the top. */
  #siftDown(source: Source): void {
    const heap = this.#heap
    const { length } = heap
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= length) break
      if (child + 1 < length && this.#precedes(heap[child + 1] as Source, heap[child] as Source)) child++
      if (!this.#precedes(heap[child] as Source, source)) break
      heap[at] = heap[child] as Source
      at = child
    }
    heap[at] = source
  }
}

const emptyKey = new Uint8Array(0)

function later(left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array | undefined {
  if (left === undefined) return right
  if (right === undefined) return left
  return compareKeys(left, 0, left.length, right, 0, right.length) >= 0 ? left : right
}
