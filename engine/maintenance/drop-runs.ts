/**
 * Dropping runs: which runs of one store log hold nothing that anyone can see, so that they are dropped without being read. A pure function of what
 * the runs' indexes say.
 *
 * A run goes when
 *   - one range delete of a newer run covers all its keys (and all that its own range deletes cover), and no view lies between its oldest
 *     record and that range delete: every view that sees anything of the run sees the range delete too, or
 *   - all its records expired before every view's clock, and no older run has keys in its range that would show again.
 * Not in versioned stores, where an older record may have the newer version. Not with pointers: the garbage in value segments is counted by merges.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'

export interface DroppableRun {
  readonly records: number
  readonly pointers: number
  /** Records with an expiry. */
  readonly expiring: number
  /** Ms. */
  readonly maxExpiry: number
  readonly minSequence: number
  readonly maxSequence: number
  readonly smallestKey: Uint8Array
  /** Inclusive. */
  readonly largestKey: Uint8Array
  /** Its range delete records, back to back. */
  readonly rangeDeletes: Uint8Array
}

export interface DropOptions {
  /** Sequences that must stay readable, ascending. */
  readonly snapshots: readonly number[]
  /** Every moment from this sequence on must stay readable; undefined: the snapshots alone. */
  readonly keepSince?: number | undefined
  /** The earliest clock, ms, that a view may use; undefined: expired records stay. */
  readonly expiryClock: number | undefined
}

/** Range deletes of one run that are looked at; more are left to merges. */
const rangeDeletesMax = 4096

/** Indexes of the runs to drop, ascending; `runs` newest first. */
export function pickDrops(runs: readonly DroppableRun[], options: DropOptions): number[] {
  const dropped: number[] = []
  // Oldest first: what goes below a run no longer counts for it.
  for (let i = runs.length - 1; i >= 0; i--) {
    const run = runs[i] as DroppableRun
    if (run.records === 0 || run.pointers > 0) continue
    if (isExpired(runs, i, dropped, options) || isCovered(runs, i, options)) dropped.push(i)
  }
  return dropped.reverse()
}

function isExpired(runs: readonly DroppableRun[], index: number, dropped: readonly number[], options: DropOptions): boolean {
  const { records, expiring, maxExpiry, smallestKey, largestKey } = runs[index] as DroppableRun
  if (options.expiryClock === undefined || expiring < records || maxExpiry > options.expiryClock) return false
  for (let i = index + 1; i < runs.length; i++) {
    const older = runs[i] as DroppableRun
    if (older.records === 0 || dropped.includes(i)) continue
    if (compare(older.smallestKey, largestKey) <= 0 && compare(smallestKey, older.largestKey) <= 0) return false
  }
  return true
}

function isCovered(runs: readonly DroppableRun[], index: number, { snapshots, keepSince }: DropOptions): boolean {
  const run = runs[index] as DroppableRun
  const cursor = new StoreRecordCursor()
  for (let i = 0; i < index; i++) {
    const { rangeDeletes } = runs[i] as DroppableRun
    cursor.reset(rangeDeletes, 0, rangeDeletes.length)
    for (let seen = 0; seen < rangeDeletesMax && cursor.next(); seen++) {
      const { buffer, keyStart, keyBytes, valueStart, valueBytes, sequence } = cursor
      // They come in order of their first keys.
      if (compareKeys(buffer, keyStart, keyBytes, run.smallestKey, 0, run.smallestKey.length) > 0) break
      if (compareKeys(buffer, valueStart, valueBytes, run.largestKey, 0, run.largestKey.length) <= 0) continue
      if (sequence <= run.maxSequence) continue
      if (keepSince !== undefined && sequence > keepSince) continue
      if (snapshots.some(snapshot => snapshot >= run.minSequence && snapshot < sequence)) continue
      if (endsWithin(run.rangeDeletes, buffer.subarray(valueStart, valueStart + valueBytes))) return true
    }
  }
  return false
}

/** All range deletes end at or before `end`: dropping them shows nothing that it does not hide. */
function endsWithin(rangeDeletes: Uint8Array, end: Uint8Array): boolean {
  const cursor = new StoreRecordCursor()
  cursor.reset(rangeDeletes, 0, rangeDeletes.length)
  while (cursor.next()) {
    if (compareKeys(cursor.buffer, cursor.valueStart, cursor.valueBytes, end, 0, end.length) > 0) return false
  }
  return true
}

function compare(left: Uint8Array, right: Uint8Array): number {
  return compareKeys(left, 0, left.length, right, 0, right.length)
}
