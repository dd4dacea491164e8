/**
 * Walks what a moment of a store shows, in key order, one way: memtables and runs merged, the newest record of each key, without what is deleted or
 * expired.
 *
 * 1. Every memtable and run is a source of rows (`row-window.ts`): the newest record of each key that the moment sees. A heap has the source with the
 *    first key (backwards: the last) on top; of equal keys that of the newer source, and the others are passed over.
 * 2. All rows of the source on top that come before the next source's are one *stretch*, found by comparing a few of them. `nextStretch` gives it as
 *    it is, so that the cost of merging is one of stretches, not of records; `next` goes through it record by record.
 * 3. When memtables or runs went meanwhile (`StoreTable.version`), the cursor finds its place anew behind the last key. It pins nothing between
 *    two calls; who keeps it over turns registers its sequence as a snapshot, so that compaction leaves what it may still show. So the last key is
 *    a copy: arenas are used again, and so is the memory that blocks are read to.
 *
 * No object per record, and few per walk: a cursor that is opened again keeps the sources of the runs that are still there.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { Memtable } from './memtable.ts'
import { MemtableRows } from './memtable-rows.ts'
import { RangeDeletes } from './range-deletes.ts'
import { type RowSource, RowWindow, type ScanMoment, windowRowsMax } from './row-window.ts'
import type { SortedRun } from './run.ts'
import { RunRows } from './run-rows.ts'

/** What a cursor reads: a store's table, or the same from a lease. */
export interface CursorTable {
  readonly version: number
  /** Oldest first. */
  readonly memtables: readonly Memtable[]
  /** Newest first. */
  readonly runs: readonly SortedRun[]
  readonly idle: IdleCursors
}

/** Cursors of a table that nobody uses, one a direction; a short range costs more to make one for than to read. Forgotten when the table changes. */
export interface IdleCursors {
  forward: StoreCursor | undefined
  backward: StoreCursor | undefined
}

/** A cursor of the table, made or used again. */
export function takeCursor(table: CursorTable, options: StoreCursorOptions): StoreCursor {
  const { idle } = table
  const cursor = options.reverse === true ? idle.backward : idle.forward
  if (cursor === undefined) return new StoreCursor(table, options)
  if (options.reverse === true) idle.backward = undefined
  else idle.forward = undefined
  cursor.reopen(options)
  return cursor
}

/** Gives a cursor back; who did must not use it any more. */
export function giveBackCursor(cursor: StoreCursor): void {
  const { idle } = cursor.table
  cursor.release()
  if (!cursor.isCurrent) return
  if (cursor.reverse) idle.backward = cursor
  else idle.forward = cursor
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
}

const emptyKey = new Uint8Array(0)
/** Rows that `next` lets sources look for at first; twice as many each time. */
const wantedFirst = 4

export class StoreCursor implements ScanMoment {
  /** The current entry after `next`; its buffer and positions hold until the next call. */
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  /** After `nextStretch`: its rows are `[from, to)` of this window, until the next call. */
  rows: RowWindow = noRows
  from = 0
  to = 0
  sequenceMax: number
  now: number
  readonly table: CursorTable
  readonly reverse: boolean
  #start: Uint8Array | undefined
  #end: Uint8Array | undefined
  /** Binary heap of sources that have a row. */
  readonly #heap: RowSource[] = []
  /** Rows of the top source before this one come before those of all others; 0: not known. */
  #stretchEnd = 0
  #version = -1
  #runDeletes: RangeDeletes | undefined
  #memtablesWithDeletes: readonly Memtable[] = noMemtables
  /** For as many memtables as there were at most. */
  readonly #memtableSources: MemtableRows[] = []
  /** One for each of `#runs`. */
  #runSources: RunRows[] = []
  #runs: readonly SortedRun[] | undefined
  /** The last key that was given, in `#last[0, #lastBytes)`; `#lastBytes` -1 before any. */
  #last: Uint8Array = emptyKey
  #lastBytes = -1
  #done = false
  /** Where `seek` sent it; used when it opens before it has a last key. */
  #target: Uint8Array | undefined
  #wanted = wantedFirst

  constructor(table: CursorTable, options: StoreCursorOptions) {
    this.table = table
    this.sequenceMax = options.sequenceMax
    this.now = options.now
    this.#start = options.start
    this.#end = options.end
    this.reverse = options.reverse === true
  }

  /** Whether its sources are the table's. */
  get isCurrent(): boolean {
    return this.#version === this.table.version
  }

  /** For another walk the same way. */
  reopen({ sequenceMax, now, start, end }: StoreCursorOptions): void {
    this.sequenceMax = sequenceMax
    this.now = now
    this.#start = start
    this.#end = end
    this.#target = undefined
    this.#lastBytes = -1
    this.#done = false
    this.#version = -1
    this.#wanted = wantedFirst
  }

  /** Lets go of all bytes of memtables and blocks. It may be opened again. */
  release(): void {
    for (const source of this.#runSources) source.release()
    for (const source of this.#memtableSources) source.release()
    this.#heap.length = 0
    this.rows = noRows
    this.#memtablesWithDeletes = noMemtables
    this.#runDeletes = undefined
    this.#done = true
  }

  /** The next entry will be the first one at or behind the key (backwards: at or before it), within the bounds. */
  seek(key: Uint8Array): void {
    this.#target = key.slice()
    this.#lastBytes = -1
    this.#done = false
    this.#version = -1
  }

  /** Moves to the next entry; false at the end. */
  next(): boolean {
    for (;;) {
      if (!this.#nextRows(1, this.#wanted)) return false
      const { rows, from } = this
      if (rows.valueStarts[from]! < 0) continue
      this.record.readAt(rows.bytes, rows.starts[from]!, rows.ends[from]!)
      return true
    }
  }

  /** Moves past up to `max` rows that lie side by side: `[from, to)` of `rows`, in the order of the walk; those that show nothing too. False at the end. */
  nextStretch(max: number): boolean {
    return this.#nextRows(max, max)
  }

  /** Entries from here on, up to `limit`. */
  count(limit: number): number {
    let count = 0
    while (count < limit && this.#nextRows(Math.min(windowRowsMax, limit - count), windowRowsMax)) {
      const { valueStarts } = this.rows
      for (let row = this.from; row < this.to; row++) if (valueStarts[row]! >= 0) count++
    }
    return count
  }

  #nextRows(max: number, wanted: number): boolean {
    if (this.#done) return false
    try {
      if (this.#version !== this.table.version) this.#open(wanted)
      else if (this.#stretchEnd > 0 && this.#heap[0]!.rows.at === this.#stretchEnd) this.#endStretch(wanted)
    } catch (error) {
      // A source could not be read, and they stand anywhere: the next call finds its place anew, so that nothing is shown twice or left out.
      this.#version = -1
      throw error
    }
    const top = this.#heap[0]
    if (top === undefined) {
      this.#done = true
      return false
    }
    if (this.#stretchEnd === 0) this.#stretchEnd = this.#findStretch(top)
    const { rows } = top
    this.rows = rows
    this.from = rows.at
    this.to = Math.min(this.#stretchEnd, rows.at + max)
    rows.at = this.to
    this.#remember(rows, this.to - 1)
    return true
  }

  /** The rows of a stretch were given: the source on top goes on, and what the others have of the last key is passed over. */
  #endStretch(wanted: number): void {
    const heap = this.#heap
    this.#stretchEnd = 0
    this.#goOn(heap[0]!, wanted)
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      if (!top.rows.isKey(top.rows.at, this.#last, 0, this.#lastBytes)) return
      top.rows.at++
      this.#goOn(top, wanted)
    }
  }

  /** The top source went past rows: to its place in the heap, with more rows where it has none left. */
  #goOn(top: RowSource, wanted: number): void {
    const { rows } = top
    const heap = this.#heap
    if (rows.at === rows.count && !this.#more(top, wanted)) {
      const last = heap.pop()!
      if (heap.length > 0) this.#siftDown(last)
    } else if (heap.length > 1) this.#siftDown(top)
  }

  #more(source: RowSource, wanted: number): boolean {
    if (source.isClipped) return false
    this.#wanted = Math.min(windowRowsMax, this.#wanted * 2)
    return source.more(wanted) && this.#clip(source)
  }

  /** Leaves out rows behind the range; false when none is left. */
  #clip(source: RowSource): boolean {
    const bound = this.reverse ? this.#start : this.#end
    if (bound === undefined) return true
    const { rows } = source
    const { count } = rows
    if (this.#isWithin(rows, count - 1, bound)) return true
    let from = 0
    let to = count - 1
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#isWithin(rows, middle, bound)) from = middle + 1
      else to = middle
    }
    rows.count = from
    source.isClipped = true
    return from > 0
  }

  #isWithin(rows: RowWindow, row: number, bound: Uint8Array): boolean {
    const order = rows.compare(row, bound, 0, bound.length)
    return this.reverse ? order >= 0 : order < 0
  }

  covers(bytes: Uint8Array, keyStart: number, keyBytes: number, sequence: number): boolean {
    if ((this.#runDeletes?.covering(bytes, keyStart, keyBytes) ?? -1) > sequence) return true
    for (const memtable of this.#memtablesWithDeletes) {
      if (memtable.coveringRangeDelete(bytes, keyStart, keyBytes, this.sequenceMax) > sequence) return true
    }
    return false
  }

  get hasRangeDeletes(): boolean {
    return this.#runDeletes !== undefined || this.#memtablesWithDeletes.length > 0
  }

  #remember(rows: RowWindow, row: number): void {
    const { bytes } = rows
    const keyStart = rows.keyStarts[row]!
    const keyBytes = rows.keyBytes(row)
    if (keyBytes > this.#last.length) this.#last = new Uint8Array(Math.max(64, keyBytes * 2))
    const last = this.#last
    for (let i = 0; i < keyBytes; i++) last[i] = bytes[keyStart + i]!
    this.#lastBytes = keyBytes
  }

  // --- opening -------------------------------------------------------------------------------------------------------------------------

  #open(wanted: number): void {
    const { memtables, runs, version } = this.table
    this.#heap.length = 0
    this.#stretchEnd = 0
    this.#collectRangeDeletes(memtables, runs)
    if (this.#runs !== runs) {
      for (const source of this.#runSources) source.release()
      this.#runSources = runs.map(run => new RunRows(run, this.reverse))
      this.#runs = runs
    }
    if (this.#memtableSources.length > memtables.length) this.#memtableSources.length = memtables.length
    for (let i = 0; i < memtables.length; i++) {
      const memtable = memtables[i]!
      // What came after the moment shows nothing.
      if (memtable.count === 0 || memtable.firstSequence > this.sequenceMax) continue
      const source = (this.#memtableSources[i] ??= new MemtableRows(this.reverse))
      source.open(memtable, this)
      this.#place(source, -i, wanted)
    }
    for (let i = 0; i < runs.length; i++) {
      if (runs[i]!.smallestSequence > this.sequenceMax) continue
      const source = this.#runSources[i]!
      source.open(this)
      this.#place(source, i + 1, wanted)
    }
    this.#version = version
  }

  #collectRangeDeletes(memtables: readonly Memtable[], runs: readonly SortedRun[]): void {
    this.#memtablesWithDeletes = noMemtables
    for (const memtable of memtables) {
      if (memtable.rangeDeleteCount > 0) this.#memtablesWithDeletes = [...this.#memtablesWithDeletes, memtable]
    }
    this.#runDeletes = undefined
    for (const run of runs) {
      if (!run.hasRangeDeletes) continue
      const deletes: RangeDeletes = this.#runDeletes ?? new RangeDeletes()
      const cursor = new StoreRecordCursor()
      cursor.reset(run.rangeDeletes, 0, run.rangeDeletes.length)
      while (cursor.next()) if (cursor.sequence <= this.sequenceMax) deletes.add(cursor)
      if (!deletes.isEmpty) this.#runDeletes = deletes
    }
  }

  /** Puts a source where the walk goes on. */
  #place(source: RowSource, rank: number, wanted: number): void {
    source.rank = rank
    source.isClipped = false
    if ((this.reverse ? this.#placeBackward(source, wanted) : this.#placeForward(source, wanted)) && this.#clip(source)) this.#push(source)
  }

  #placeForward(source: RowSource, wanted: number): boolean {
    if (this.#lastBytes >= 0) return source.place(this.#last, 0, this.#lastBytes, true, wanted)
    const from = later(this.#start, this.#target)
    return from === undefined ? source.placeFirst(wanted) : source.place(from, 0, from.length, false, wanted)
  }

  #placeBackward(source: RowSource, wanted: number): boolean {
    if (this.#lastBytes >= 0) return source.place(this.#last, 0, this.#lastBytes, false, wanted)
    const target = this.#target
    const end = this.#end
    // At the target or before it, but before the end.
    if (target !== undefined && (end === undefined || compareKeys(target, 0, target.length, end, 0, end.length) < 0)) {
      const behind = new Uint8Array(target.length + 1)
      behind.set(target)
      return source.place(behind, 0, behind.length, false, wanted)
    }
    return end === undefined ? source.placeFirst(wanted) : source.place(end, 0, end.length, false, wanted)
  }

  // --- heap ----------------------------------------------------------------------------------------------------------------------------

  /** Whether a row of the left source is walked before the first one of the right source. */
  #precedes(left: RowSource, row: number, right: RowSource): boolean {
    const order = left.rows.compareRow(row, right.rows, right.rows.at)
    if (order === 0) return left.rank < right.rank
    return this.reverse ? order > 0 : order < 0
  }

  /** How far the rows of the top source come before those of all others. */
  #findStretch(top: RowSource): number {
    const heap = this.#heap
    const { rows } = top
    const { at, count } = rows
    if (heap.length === 1) return count
    let next = heap[1]!
    if (heap.length > 2 && this.#precedes(heap[2]!, heap[2]!.rows.at, next)) next = heap[2]!
    if (this.#precedes(top, count - 1, next)) return count
    // The first row that does not, by steps that double; the one at `at` does.
    let from = at + 1
    let to = count - 1
    for (let step = 1; from + step < to; step *= 2) {
      if (!this.#precedes(top, from + step - 1, next)) {
        to = from + step - 1
        break
      }
      from += step
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#precedes(top, middle, next)) from = middle + 1
      else to = middle
    }
    return from
  }

  #push(source: RowSource): void {
    const heap = this.#heap
    let at = heap.push(source) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#precedes(source, source.rows.at, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = source
  }

  /** Puts `source` into the hole at the top. */
  #siftDown(source: RowSource): void {
    const heap = this.#heap
    const { length } = heap
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= length) break
      if (child + 1 < length && this.#precedes(heap[child + 1]!, heap[child + 1]!.rows.at, heap[child]!)) child++
      if (!this.#precedes(heap[child]!, heap[child]!.rows.at, source)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = source
  }
}

const noMemtables: readonly Memtable[] = []
const noRows = new RowWindow()

function later(left: Uint8Array | undefined, right: Uint8Array | undefined): Uint8Array | undefined {
  if (left === undefined) return right
  if (right === undefined) return left
  return compareKeys(left, 0, left.length, right, 0, right.length) >= 0 ? left : right
}
