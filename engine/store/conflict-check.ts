/**
 * Whether something that a transaction has read was written since its moment: the backward validation of optimistic transactions (Kung and
 * Robinson, "On optimistic methods for concurrency control", 1981), on sequences.
 *
 * Called once a commit. Only memtables and runs with a record newer than the moment are looked at. In a memtable the newest records are the last
 * ones added, so ranges are checked against those, backwards; when there are very many, the ranges are walked instead.
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { Memtable } from './memtable.ts'
import { bytesOfText } from './overlay.ts'
import type { ReadRange, ReadSet } from './read-set.ts'
import type { Run, SortedRun } from './run.ts'
import type { CursorTable } from './store-cursor.ts'

/** A read that no longer holds. */
export interface ReadConflict {
  /** The key that was written; undefined when a range delete hit a range that was walked over. */
  readonly key: Uint8Array | undefined
}

interface OrderedCursor {
  readonly record: StoreRecordCursor
  seek(key: Uint8Array): boolean
  first(): boolean
  next(): boolean
}

/** Newer records of a memtable that are compared one by one before its order is used. */
const newestMax = 4096
const latest = Number.MAX_SAFE_INTEGER

/** The first read that finds a record with a sequence above `sequenceMax`; undefined when all still hold. `walkMax`: for tests. */
export function findConflict(
  table: CursorTable,
  reads: ReadSet,
  sequenceMax: number,
  walkMax: number = newestMax,
): ReadConflict | undefined {
  const memtables = table.memtables.filter(memtable => memtable.lastSequence > sequenceMax)
  const runs = table.runs.filter(run => run.largestSequence > sequenceMax)
  if (memtables.length === 0 && runs.length === 0) return undefined
  const hash = createKeyHash()
  for (const text of reads.keys) {
    const key = bytesOfText(text)
    hashKey(key, 0, key.length, hash)
    for (const memtable of memtables) if (keyInMemtable(memtable, key, hash, sequenceMax)) return { key }
    for (const run of runs) if (keyInRun(run, key, hash, sequenceMax)) return { key }
  }
  const ranges = reads.ranges()
  if (ranges.length === 0) return undefined
  for (const memtable of memtables) {
    const conflict = rangesInMemtable(memtable, ranges, sequenceMax, walkMax)
    if (conflict !== undefined) return conflict
  }
  for (const run of runs.flatMap(({ pieces }) => pieces)) {
    if (run.largestSequence <= sequenceMax) continue
    const conflict = rangesInRun(run, ranges, sequenceMax)
    if (conflict !== undefined) return conflict
  }
  return undefined
}

const found = new StoreRecordCursor()

function keyInMemtable(memtable: Memtable, key: Uint8Array, hash: Int32Array, sequenceMax: number): boolean {
  if (memtable.find(key, 0, key.length, hash, latest, found) && found.sequence > sequenceMax) return true
  return memtable.rangeDeleteCount > 0 && memtable.coveringRangeDelete(key, 0, key.length, latest) > sequenceMax
}

function keyInRun(run: SortedRun, key: Uint8Array, hash: Int32Array, sequenceMax: number): boolean {
  if (run.find(key, 0, key.length, hash, latest, found) && found.sequence > sequenceMax) return true
  return run.hasRangeDeletes && run.coveringRangeDelete(key, 0, key.length, latest) > sequenceMax
}

function rangesInMemtable(
  memtable: Memtable,
  ranges: readonly ReadRange[],
  sequenceMax: number,
  walkMax: number,
): ReadConflict | undefined {
  const { bytes, entries, limit, count } = memtable
  // Range deletes lie in no order that would do: with any of them, all that is new is looked at.
  const oldest = memtable.rangeDeleteCount > 0 ? 0 : Math.max(0, count - walkMax)
  for (let entry = count - 1; entry >= oldest; entry--) {
    found.readAt(bytes, entries[entry * 2]!, limit)
    if (found.sequence <= sequenceMax) return undefined
    const conflict = inRanges(found, ranges)
    if (conflict !== undefined) return conflict
  }
  return oldest === 0 ? undefined : walkRanges(memtable.cursor(), ranges, sequenceMax)
}

function rangesInRun(run: Run, ranges: readonly ReadRange[], sequenceMax: number): ReadConflict | undefined {
  if (run.hasRangeDeletes) {
    const { rangeDeletes } = run.index
    const cursor = new StoreRecordCursor()
    cursor.reset(rangeDeletes, 0, rangeDeletes.length)
    while (cursor.next()) {
      if (cursor.sequence <= sequenceMax) continue
      const conflict = inRanges(cursor, ranges)
      if (conflict !== undefined) return conflict
    }
  }
  return walkRanges(run.cursor(), ranges, sequenceMax)
}

/** Puts and deletes of an ordered cursor that lie in the ranges. */
function walkRanges(cursor: OrderedCursor, ranges: readonly ReadRange[], sequenceMax: number): ReadConflict | undefined {
  for (const { start, end } of ranges) {
    let stands = start === undefined ? cursor.first() : cursor.seek(start)
    for (; stands; stands = cursor.next()) {
      const { record } = cursor
      const { buffer, keyStart, keyBytes } = record
      if (end !== undefined && compareKeys(buffer, keyStart, keyBytes, end, 0, end.length) >= 0) break
      if (record.sequence > sequenceMax && record.kind !== STORE_RANGE_DELETE) return { key: buffer.slice(keyStart, keyStart + keyBytes) }
    }
  }
  return undefined
}

function inRanges(record: StoreRecordCursor, ranges: readonly ReadRange[]): ReadConflict | undefined {
  const { buffer, keyStart, keyBytes } = record
  // The last range that begins at the key or before it.
  let from = 0
  let to = ranges.length
  while (from < to) {
    const middle = (from + to) >>> 1
    const { start } = ranges[middle] as ReadRange
    if (start === undefined || compareKeys(start, 0, start.length, buffer, keyStart, keyBytes) <= 0) from = middle + 1
    else to = middle
  }
  const { valueStart, valueBytes } = record
  const isDelete = record.kind === STORE_RANGE_DELETE
  if (isDelete && compareKeys(buffer, keyStart, keyBytes, buffer, valueStart, valueBytes) >= 0) return undefined // covers nothing
  const range = ranges[from - 1]
  if (range !== undefined && (range.end === undefined || compareKeys(range.end, 0, range.end.length, buffer, keyStart, keyBytes) > 0)) {
    return { key: isDelete ? undefined : buffer.slice(keyStart, keyStart + keyBytes) }
  }
  if (!isDelete) return undefined
  // It begins in no range, but may reach into the next one.
  const next = ranges[from]?.start
  return next !== undefined && compareKeys(buffer, valueStart, valueBytes, next, 0, next.length) > 0 ? { key: undefined } : undefined
}
