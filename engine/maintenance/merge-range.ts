/**
 * A range of keys out of a run, as inputs of a merge: the records that lie in it, and range deletes cut to it, those included that begin before it and
 * reach into it. So the pieces of a bottom level can be merged with what lies above them one by one, and each holds all that hides anything in it.
 *
 * Used by the merge task. Invariant: what the sources of a run give, for ranges that lie one behind the other, hides and shows what the run does.
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { compareNewestFirst, StoreRecordCursor, storeRecordSize, writeStoreRecord } from '../batch/store-record.ts'
import type { KeyRange } from '../segment/key-range.ts'
import type { SegmentReader } from '../segment/reader.ts'
import { RunCursor } from '../segment/run-reader.ts'
import type { MergeSource } from './merge-runs.ts'

/** Sources of one run that hold what it says about the range. */
export function sourcesInRange(reader: SegmentReader, part: number, range: KeyRange): MergeSource[] {
  const sources: MergeSource[] = [new RangeSource(new RunCursor(reader, part), range)]
  const { from, to } = range
  if (from === undefined) return sources
  const { rangeDeletes } = reader.runIndex(part)
  const cursor = new StoreRecordCursor()
  cursor.reset(rangeDeletes, 0, rangeDeletes.length)
  const reaching: Uint8Array[] = []
  while (cursor.next()) {
    if (compareKeys(cursor.buffer, cursor.keyStart, cursor.keyBytes, from, 0, from.length) >= 0) break
    if (endsBehind(cursor, from)) reaching.push(cutRangeDelete(cursor, from, to))
  }
  if (reaching.length > 0) sources.push(rangeDeleteSource(reaching, reader.directory.isVersioned(part)))
  return sources
}

/** Range deletes that begin with one key, as a source. */
export function rangeDeleteSource(records: readonly Uint8Array[], versioned: boolean): MergeSource {
  const parsed = records.map(bytes => {
    const record = new StoreRecordCursor()
    record.readAt(bytes, 0, bytes.length)
    return record
  })
  parsed.sort((left, right) => compareNewestFirst(left, right, versioned))
  const bytes = new Uint8Array(records.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const { buffer } of parsed) {
    bytes.set(buffer, at)
    at += buffer.length
  }
  const record = new StoreRecordCursor()
  record.reset(bytes, 0, bytes.length)
  return { record, next: () => record.next() }
}

/** The part of a range delete that lies in `[from, to)`, as a record. */
export function cutRangeDelete(record: StoreRecordCursor, from: Uint8Array | undefined, to: Uint8Array | undefined): Uint8Array {
  const { buffer, keyStart, keyBytes, valueStart, valueBytes, sequence, hasVersion } = record
  const key = from ?? buffer.subarray(keyStart, keyStart + keyBytes)
  const end = to !== undefined && endsBehind(record, to) ? to : buffer.subarray(valueStart, valueStart + valueBytes)
  const version = hasVersion ? { ms: record.versionMs, counter: record.versionCounter, node: record.versionNode } : undefined
  const bytes = new Uint8Array(storeRecordSize(sequence, key.length, end.length, 0, hasVersion))
  writeStoreRecord(bytes, 0, STORE_RANGE_DELETE, sequence, key, 0, key.length, end, 0, end.length, 0, version)
  return bytes
}

function endsBehind({ buffer, valueStart, valueBytes }: StoreRecordCursor, key: Uint8Array): boolean {
  return compareKeys(buffer, valueStart, valueBytes, key, 0, key.length) > 0
}

/** The records of a run whose keys lie in the range, each once. */
class RangeSource implements MergeSource {
  record: StoreRecordCursor
  readonly #cursor: RunCursor
  readonly #range: KeyRange
  readonly #cut = new StoreRecordCursor()
  #isOpen = false

  constructor(cursor: RunCursor, range: KeyRange) {
    this.#cursor = cursor
    this.#range = range
    this.record = cursor.record
  }

  next(): boolean {
    const cursor = this.#cursor
    const { from, to } = this.#range
    const stands = this.#isOpen ? cursor.next() : from === undefined ? cursor.first() : cursor.seek(from)
    this.#isOpen = true
    if (!stands) return this.#end()
    const { record } = cursor
    this.record = record
    if (to === undefined) return true
    if (compareKeys(record.buffer, record.keyStart, record.keyBytes, to, 0, to.length) >= 0) return this.#end()
    if (record.kind === STORE_RANGE_DELETE && endsBehind(record, to)) {
      const bytes = cutRangeDelete(record, undefined, to)
      this.#cut.readAt(bytes, 0, bytes.length)
      this.record = this.#cut
    }
    return true
  }

  #end(): false {
    this.#cursor.release()
    return false
  }
}
