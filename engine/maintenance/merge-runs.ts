/**
 * Merges runs by key: what flush, compaction and consolidation of stores do. Reads sources that are each in order of (key, newest first) and
 * writes the records that anyone may still see, in the same order, byte for byte.
 *
 * 1. Sources stand in a heap by (key, newest first): versions then sequences in a versioned store, else sequences.
 * 2. A *view* is a moment that must stay readable: each snapshot, every moment since `keepSince`, and now. A record is seen by the views at or above its sequence, unless a
 *    newer record of its key (or a newer range delete over it) is seen by them too. It is written when it is the newest that some view sees:
 *    when its smallest view lies below the smallest sequence of everything newer.
 * 3. A delete, range delete or expired record that every view sees hides nothing that is written, so it may go, if the caller says that
 *    nothing older lies outside this merge.
 *
 * Pure over sources and a writer; keeps one key and the open range deletes in memory. Invariant: output order is input order.
 */
import { STORE_DELETE, STORE_POINTER, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { compareNewestFirst, StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import { cutRangeDelete, rangeDeleteSource } from './merge-range.ts'

/** Records in order of (key, newest first); `record` holds the current one until the next `next`. `RunCursor` is one. */
export interface MergeSource {
  readonly record: StoreRecordCursor
  next(): boolean
}

/** Where merged records go; `SegmentWriter` with an open run is one. */
export interface MergeTarget {
  addParsedRecord(record: StoreRecordCursor): void
  /** Bytes written to the open run. */
  readonly partBytes: number
}

export interface RunMergeOptions {
  /** Versions decide before sequences. Default false. */
  readonly versioned?: boolean
  /** Sequences that must stay readable, ascending. Default: none but now. */
  readonly snapshots?: readonly number[]
  /**
   * Every moment from this sequence on must stay readable (a store's history): all newer records are kept, and of each key the newest one at or below
   * it. -1: all of them. Default: the snapshots alone.
   */
  readonly keepSince?: number
  /**
   * Drop deletes and range deletes up to this sequence (and, in a versioned store, up to this version time) that every view sees. Only when
   * no older record of their keys lies outside this merge. Default: keep all.
   */
  readonly dropDeletes?: { readonly sequence: number; readonly versionMs?: number }
  /** The earliest clock, ms, that a view may use. Needed with `dropExpired`. */
  readonly now?: number
  /** Drop records that expired at or before `now`, under the same condition as deletes. Default false. */
  readonly dropExpired?: boolean
}

export interface RunMergeStatistics {
  recordsIn: number
  recordsOut: number
  /** Dropped because no view sees them. */
  superseded: number
  /** Deletes and range deletes dropped because they hide nothing any more. */
  deletesDropped: number
  expiredDropped: number
  /** Of the dropped ones, how many were pointers: their values are garbage now. */
  pointersDropped: number
}

/** The view that sees everything. */
const latest = Number.MAX_SAFE_INTEGER

interface OpenRangeDelete {
  readonly end: Uint8Array
  /** A copy of it. */
  readonly record: StoreRecordCursor
  isWritten: boolean
}

/** A merge that may be written in several pieces, cut between keys. */
export class RunMerge {
  readonly statistics: RunMergeStatistics = {
    recordsIn: 0,
    recordsOut: 0,
    superseded: 0,
    deletesDropped: 0,
    expiredDropped: 0,
    pointersDropped: 0,
  }
  readonly #versioned: boolean
  readonly #snapshots: readonly number[]
  /** The earliest of the moments since `keepSince`. */
  readonly #keepSince: number
  /** The earliest view. */
  readonly #earliest: number
  /** Deletes with a larger sequence are kept. */
  readonly #deleteSequenceMax: number
  readonly #deleteVersionMax: number
  /** Records that expire later are kept; -1: all are. */
  readonly #expiryMax: number
  /** Binary heap: the source with the first record at 0. */
  readonly #heap: MergeSource[] = []
  /** The current key. */
  #key: Uint8Array = new Uint8Array(64)
  #keyBytes = -1
  /** Smallest sequence of the current key's records so far. */
  #sequenceMin = Number.POSITIVE_INFINITY
  #open: OpenRangeDelete[] = []
  #cutKey: Uint8Array = new Uint8Array(0)

  constructor(sources: readonly MergeSource[], options: RunMergeOptions = {}) {
    const snapshots = options.snapshots ?? []
    for (let i = 1; i < snapshots.length; i++)
      assert(snapshots[i - 1]! <= snapshots[i]!, 'snapshots ascend', snapshots[i - 1], snapshots[i])
    assert(options.dropExpired !== true || options.now !== undefined, 'dropping expired records needs a clock')
    this.#versioned = options.versioned ?? false
    this.#snapshots = snapshots
    this.#keepSince = options.keepSince ?? latest
    this.#earliest = Math.min(snapshots[0] ?? latest, this.#keepSince)
    this.#deleteSequenceMax = Math.min(options.dropDeletes?.sequence ?? -1, this.#earliest)
    this.#deleteVersionMax = options.dropDeletes?.versionMs ?? latest
    this.#expiryMax = options.dropExpired === true ? options.now! : -1
    for (const source of sources) if (source.next()) this.#push(source)
  }

  get done(): boolean {
    return this.#heap.length === 0
  }

  /** Where the last piece was cut: the first key of the next one. */
  get cutKey(): Uint8Array {
    return this.#cutKey
  }

  /**
   * Writes until everything is written (returns true), or the target's run has at least `bytesMax` bytes and a key ends (returns false: call
   * again with another run). Range deletes that reach into the next piece begin there anew, so that each piece holds all that hides anything in it.
   */
  write(target: MergeTarget, bytesMax: number = Number.POSITIVE_INFINITY): boolean {
    const heap = this.#heap
    while (heap.length > 0) {
      const source = heap[0]!
      const { record } = source
      const sameKey =
        this.#keyBytes >= 0 && compareKeys(record.buffer, record.keyStart, record.keyBytes, this.#key, 0, this.#keyBytes) === 0
      if (!sameKey) {
        if (target.partBytes >= bytesMax) {
          this.#cut(record)
          return false
        }
        this.#enterKey(record)
      }
      this.#take(record, target)
      if (source.next()) this.#siftDown(0)
      else this.#dropTop()
    }
    return true
  }

  /** The next piece begins with the key of this record. */
  #cut({ buffer, keyStart, keyBytes }: StoreRecordCursor): void {
    const key = buffer.slice(keyStart, keyStart + keyBytes)
    this.#cutKey = key
    this.#keyBytes = -1
    const reaching = this.#open.filter(({ end, isWritten }) => isWritten && compareKeys(end, 0, end.length, key, 0, keyBytes) > 0)
    if (reaching.length === 0) return
    this.#open = this.#open.filter(open => !reaching.includes(open))
    const source = rangeDeleteSource(
      reaching.map(open => cutRangeDelete(open.record, key, undefined)),
      this.#versioned,
    )
    if (source.next()) this.#push(source)
  }

  #enterKey(record: StoreRecordCursor): void {
    const { keyBytes, keyStart, buffer } = record
    if (keyBytes > this.#key.length) this.#key = new Uint8Array(keyBytes * 2)
    const key = this.#key
    for (let i = 0; i < keyBytes; i++) key[i] = buffer[keyStart + i]!
    this.#keyBytes = keyBytes
    this.#sequenceMin = Number.POSITIVE_INFINITY
    if (this.#open.length > 0) this.#open = this.#open.filter(({ end }) => compareKeys(end, 0, end.length, key, 0, keyBytes) > 0)
  }

  #take(record: StoreRecordCursor, target: MergeTarget): void {
    const { statistics } = this
    const { kind, sequence } = record
    statistics.recordsIn++
    let newer = this.#sequenceMin
    if (kind === STORE_RANGE_DELETE) newer = isEmptyRange(record) ? 0 : Number.POSITIVE_INFINITY
    else if (sequence < newer) this.#sequenceMin = sequence
    if (this.#open.length > 0) newer = this.#smallestNewer(record, newer)
    if (newer <= this.#smallestView(sequence)) {
      statistics.superseded++
      if (kind === STORE_POINTER) statistics.pointersDropped++
      return
    }
    const open = kind === STORE_RANGE_DELETE ? this.#openRangeDelete(record) : undefined
    if (kind === STORE_DELETE || kind === STORE_RANGE_DELETE) {
      if (sequence <= this.#deleteSequenceMax && (!record.hasVersion || record.versionMs <= this.#deleteVersionMax)) {
        statistics.deletesDropped++
        return
      }
    } else if (record.expiry > 0 && record.expiry <= this.#expiryMax && sequence <= this.#earliest) {
      statistics.expiredDropped++
      if (kind === STORE_POINTER) statistics.pointersDropped++
      return
    }
    statistics.recordsOut++
    if (open !== undefined) open.isWritten = true
    target.addParsedRecord(record)
  }

  /** The smallest view at or above the sequence. */
  #smallestView(sequence: number): number {
    const moment = Math.max(sequence, this.#keepSince)
    for (const snapshot of this.#snapshots) if (snapshot >= sequence) return Math.min(snapshot, moment)
    return moment
  }

  /** The smallest sequence among `smallest` and the open range deletes that are newer than the record and cover it whole. */
  #smallestNewer(record: StoreRecordCursor, smallest: number): number {
    let found = smallest
    for (const open of this.#open) {
      if (open.record.sequence >= found || compareNewestFirst(open.record, record, this.#versioned) > 0) continue
      if (record.kind === STORE_RANGE_DELETE) {
        if (compareKeys(open.end, 0, open.end.length, record.buffer, record.valueStart, record.valueBytes) < 0) continue
      }
      found = open.record.sequence
    }
    return found
  }

  #openRangeDelete({ start, end, valueStart, valueBytes, buffer }: StoreRecordCursor): OpenRangeDelete {
    const copy = new StoreRecordCursor()
    copy.readAt(buffer.slice(start, end), 0, end - start)
    const open = { end: buffer.slice(valueStart, valueStart + valueBytes), record: copy, isWritten: false }
    this.#open.push(open)
    return open
  }

  #before(left: MergeSource, right: MergeSource): boolean {
    const a = left.record
    const b = right.record
    const order = compareKeys(a.buffer, a.keyStart, a.keyBytes, b.buffer, b.keyStart, b.keyBytes)
    if (order !== 0) return order < 0
    const age = compareNewestFirst(a, b, this.#versioned)
    if (age !== 0 || a.kind !== STORE_RANGE_DELETE) return age < 0
    // One range delete, cut to ranges of different length: the longest comes first, and covers the others.
    return compareKeys(a.buffer, a.valueStart, a.valueBytes, b.buffer, b.valueStart, b.valueBytes) > 0
  }

  #push(source: MergeSource): void {
    const heap = this.#heap
    let at = heap.push(source) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(source, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = source
  }

  #dropTop(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#siftDown(0)
  }

  #siftDown(from: number): void {
    const heap = this.#heap
    const source = heap[from]!
    let at = from
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++
      if (!this.#before(heap[child]!, source)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = source
  }
}

/** A range delete that ends where it begins or before: it covers nothing, and is left out. */
function isEmptyRange(record: StoreRecordCursor): boolean {
  const { buffer, keyStart, keyBytes, valueStart, valueBytes } = record
  return compareKeys(buffer, keyStart, keyBytes, buffer, valueStart, valueBytes) >= 0
}

/** Merges all sources into the run that is open in `target`. */
export function mergeRuns(sources: readonly MergeSource[], target: MergeTarget, options: RunMergeOptions = {}): RunMergeStatistics {
  const merge = new RunMerge(sources, options)
  const done = merge.write(target)
  assert(done && merge.done, 'an unbounded merge writes everything')
  return merge.statistics
}
