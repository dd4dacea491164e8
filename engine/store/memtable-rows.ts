/**
 * The rows of one memtable for a scan, one way: windows over what its cursor walks.
 *
 * Owned by a `StoreCursor`, which opens it anew for each walk, since a memtable's cursor is of one moment.
 */
import { STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'
import type { Memtable } from './memtable.ts'
import type { MemtableCursor } from './memtable-cursor.ts'
import { type RowSource, RowWindow, type ScanMoment, windowRowsMax } from './row-window.ts'

/** Each row costs a step of a heap of chunks: no more than this at once, since the range may end before them. */
const rowsMax = Math.min(64, windowRowsMax)

export class MemtableRows implements RowSource {
  readonly rows: RowWindow = new RowWindow()
  rank = 0
  isClipped = false
  readonly #reverse: boolean
  #moment: ScanMoment | undefined
  #cursor: MemtableCursor | undefined
  /** The cursor stands on a record that was not looked at. */
  #stands = false

  constructor(reverse: boolean) {
    this.#reverse = reverse
  }

  /** For a new walk: `place` or `placeFirst` comes next. */
  open(memtable: Memtable, moment: ScanMoment): void {
    this.#moment = moment
    this.#cursor = memtable.cursor(this.#cursor)
    this.rows.bytes = memtable.bytes
  }

  place(key: Uint8Array, start: number, size: number, isBehind: boolean, wanted: number): boolean {
    const cursor = this.#cursor!
    this.#stands = cursor.seek(key, start, size)
    if (this.#reverse) this.#stands = cursor.previous()
    else if (isBehind) while (this.#stands && hasKey(cursor.record, key, start, size)) this.#stands = cursor.next()
    return this.more(wanted)
  }

  placeFirst(wanted: number): boolean {
    this.#stands = this.#reverse ? this.#cursor!.last() : this.#cursor!.first()
    return this.more(wanted)
  }

  more(wanted: number): boolean {
    const { rows } = this
    const max = Math.min(wanted, rowsMax)
    const cursor = this.#cursor!
    const { record } = cursor
    const { sequenceMax } = this.#moment!
    rows.at = 0
    rows.count = 0
    /** The key whose records are being looked at, and whether it has a row. */
    let keyStart = 0
    let keyBytes = -1
    let hasRow = false
    for (; this.#stands; this.#stands = this.#reverse ? cursor.previous() : cursor.next()) {
      if (!hasKey(record, rows.bytes, keyStart, keyBytes)) {
        if (rows.count === max) break
        ;({ keyStart, keyBytes } = record)
        hasRow = false
      }
      // Forwards the newest record comes first, backwards last.
      if (record.kind === STORE_RANGE_DELETE || record.sequence > sequenceMax || (hasRow && !this.#reverse)) continue
      if (!hasRow) rows.count++
      hasRow = true
      rows.put(rows.count - 1, record, !this.#shows(record))
    }
    return rows.count > 0
  }

  release(): void {
    this.rows.release()
  }

  #shows({ kind, expiry, buffer, keyStart, keyBytes, sequence }: StoreRecordCursor): boolean {
    const moment = this.#moment!
    if (kind !== STORE_PUT && kind !== STORE_POINTER) return false
    if (expiry > 0 && expiry <= moment.now) return false
    return !moment.hasRangeDeletes || !moment.covers(buffer, keyStart, keyBytes, sequence)
  }
}

function hasKey(record: StoreRecordCursor, key: Uint8Array, start: number, size: number): boolean {
  if (record.keyBytes !== size) return false
  const { buffer, keyStart } = record
  for (let i = size - 1; i >= 0; i--) if (buffer[keyStart + i] !== key[start + i]) return false
  return true
}
