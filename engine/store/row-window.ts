/**
 * A stretch of one source of a scan, a memtable or a run, as rows: one for each key, with the newest record of it that the moment sees. What all
 * readers of ranges are made of (`store-cursor.ts`): rows are found in a tight loop over a block, merged by comparing few of them, and decoded in another.
 *
 * Owned by a source (`run-rows.ts`, `memtable-rows.ts`), which fills it anew when the rows were given. Invariants: rows are in the order of the walk, one
 * for each key; all lie in `bytes`; a row that shows nothing (a delete, or expired, or covered by a range delete) stays, since it hides what is older.
 */
import type { RecordsText } from '../batch/records-text.ts'
import { STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE, STORE_RECORD_KIND_MASK } from '../batch/store-format.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { readVarint, varintEnd } from '../codec/varint.ts'

/** Most rows of a window. */
export const windowRowsMax = 128

/** What a scan sees. */
export interface ScanMoment {
  /** Records with a larger sequence are not seen. */
  readonly sequenceMax: number
  /** Records that expire at or before this time (ms) show nothing. */
  readonly now: number
  /** Whether there are range deletes; then `covers` tells whether one hides the record. */
  readonly hasRangeDeletes: boolean
  covers(bytes: Uint8Array, keyStart: number, keyBytes: number, sequence: number): boolean
}

/** A key: `bytes[start, start + size)`; size -1 for none. */
export interface KeyPlace {
  bytes: Uint8Array
  start: number
  size: number
}

/** What a scan takes rows from: one memtable, one run, or the bottom level. Goes one way. `wanted`: about so many rows are going to be asked for. */
export interface RowSource {
  readonly rows: RowWindow
  /** Of two rows of one key the one of the source with the smaller rank counts. */
  rank: number
  /** Rows behind the range were left out of `rows`: there are no more. Of its cursor. */
  isClipped: boolean
  /** Fills `rows` from the first row at or behind the key on (`isBehind`: behind it); backwards, from the last one before it. False when there is none. */
  place(key: Uint8Array, start: number, size: number, isBehind: boolean, wanted: number): boolean
  /** Fills `rows` from the first row of all on; backwards, from the last. */
  placeFirst(wanted: number): boolean
  /** Fills `rows` with those that follow. */
  more(wanted: number): boolean
  /** Lets go of all bytes; `open` begins anew. */
  release(): void
}

const noBytes = new Uint8Array(0)
const cursor = new StoreRecordCursor()

export class RowWindow {
  bytes: Uint8Array = noBytes
  /** Where each row's record begins. */
  readonly starts: Int32Array = new Int32Array(windowRowsMax)
  readonly keyStarts: Int32Array = new Int32Array(windowRowsMax)
  /** Where the key ends and the value begins; less than 0 (`~`) for a row that shows nothing. */
  readonly valueStarts: Int32Array = new Int32Array(windowRowsMax)
  /** Where the value and the record end. */
  readonly ends: Int32Array = new Int32Array(windowRowsMax)
  count = 0
  /** The first row that was not given yet. */
  at = 0
  /** What the rows lie in, as text; undefined where there is none. */
  text: RecordsText | undefined = undefined

  /** Bytes that are not ASCII, of what precedes the keys of the records that `fill` went through; -1: not known. */
  othersBeforeKeys = -1

  /** Lets go of the bytes. */
  release(): void {
    this.bytes = noBytes
    this.count = 0
    this.at = 0
    this.text = undefined
  }

  keyBytes(row: number): number {
    const valueStart = this.valueStarts[row] as number
    return (valueStart < 0 ? ~valueStart : valueStart) - (this.keyStarts[row] as number)
  }

  /** Order of a row's key and another one, by bytes. */
  compare(row: number, key: Uint8Array, start: number, size: number): number {
    return compareKeys(this.bytes, this.keyStarts[row] as number, this.keyBytes(row), key, start, size)
  }

  /** Order of a row's key and that of another window's row, by bytes. */
  compareRow(row: number, other: RowWindow, otherRow: number): number {
    return this.compare(row, other.bytes, other.keyStarts[otherRow] as number, other.keyBytes(otherRow))
  }

  /** Neighbours differ at their ends, mostly. */
  isKey(row: number, key: Uint8Array, start: number, size: number): boolean {
    if (this.keyBytes(row) !== size) return false
    return isSameKey(this.bytes, this.keyStarts[row] as number, key, start, size)
  }

  put(row: number, record: StoreRecordCursor, isHidden: boolean): void {
    this.starts[row] = record.start
    this.keyStarts[row] = record.keyStart
    this.valueStarts[row] = isHidden ? ~record.valueStart : record.valueStart
    this.ends[row] = record.end
  }

  /**
   * Rows of the records in `bytes[position, limit)`, which ascend and were checked by a checksum: up to `max`, and all records of the last one. `last` is
   * the key that came before, if its records may go on here. `sequences`: records may have sequences that are not seen. Returns where it stopped.
   */
  fill(bytes: Uint8Array, position: number, limit: number, max: number, moment: ScanMoment, sequences: boolean, last: KeyPlace): number {
    const { starts, keyStarts, valueStarts, ends } = this
    const { sequenceMax, hasRangeDeletes } = moment
    let { bytes: other, start: otherStart, size } = last
    let count = 0
    let at = position
    let others = 0
    let hasOptions = false
    while (at < limit) {
      const start = at
      let end = bytes[at++]!
      if (end >= 0x80) {
        end = readVarint(bytes, start, limit)
        at = varintEnd
      }
      end += at
      let kind = bytes[at++]!
      let sequence = 0
      let keyStart: number
      let valueStart: number
      let isHidden = false
      if (kind > STORE_RECORD_KIND_MASK || sequences) {
        cursor.readAt(bytes, start, limit)
        ;({ kind, sequence, keyStart, valueStart } = cursor)
        isHidden = cursor.expiry > 0 && cursor.expiry <= moment.now
        hasOptions = true
      } else {
        // The usual record: without options, and its sequence is seen.
        while (bytes[at++]! >= 0x80);
        keyStart = at + 1
        valueStart = keyStart + bytes[at]!
        if (bytes[at]! >= 0x80) {
          valueStart = readVarint(bytes, at, limit)
          keyStart = varintEnd
          valueStart += keyStart
        }
        if (valueStart > end || end > limit) cursor.readAt(bytes, start, limit) // tells what is wrong
        // All bytes of a varint but its last: of three varints and a byte.
        others += keyStart - start - 4
      }
      if (valueStart - keyStart === size && isSameKey(bytes, keyStart, other, otherStart, size)) {
        at = end
        continue
      }
      if (count === max) {
        at = start
        break
      }
      at = end
      if (kind === STORE_RANGE_DELETE || sequence > sequenceMax) continue
      if (kind !== STORE_PUT && kind !== STORE_POINTER) isHidden = true
      else if (!isHidden && hasRangeDeletes) {
        if (!sequences) {
          cursor.readAt(bytes, start, limit)
          sequence = cursor.sequence
        }
        isHidden = moment.covers(bytes, keyStart, valueStart - keyStart, sequence)
      }
      starts[count] = start
      keyStarts[count] = keyStart
      valueStarts[count] = isHidden ? ~valueStart : valueStart
      ends[count] = end
      count++
      other = bytes
      otherStart = keyStart
      size = valueStart - keyStart
    }
    this.bytes = bytes
    this.count = count
    this.at = 0
    this.othersBeforeKeys = hasOptions ? -1 : others
    return at
  }

  /** For a walk back. */
  reverse(): void {
    const { starts, keyStarts, valueStarts, ends } = this
    for (let left = 0, right = this.count - 1; left < right; left++, right--) {
      swap(starts, left, right)
      swap(keyStarts, left, right)
      swap(valueStarts, left, right)
      swap(ends, left, right)
    }
  }
}

function swap(numbers: Int32Array, left: number, right: number): void {
  const moved = numbers[left]!
  numbers[left] = numbers[right]!
  numbers[right] = moved
}

/** Two keys of one size. */
function isSameKey(left: Uint8Array, leftStart: number, right: Uint8Array, rightStart: number, size: number): boolean {
  for (let i = size - 1; i >= 0; i--) if (left[leftStart + i] !== right[rightStart + i]) return false
  return true
}
