/**
 * Finds the entry of one key at a moment: memtables from the newest to the oldest, then runs, and the newest range delete over the key on the way.
 *
 * One for each table, of a store or of a lease. No object per call: what `find` gives holds until its next call.
 */
import { STORE_POINTER, STORE_PUT } from '../batch/store-format.ts'
import { createKeyHash, hashKey, type KeyHash } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { Memtable } from './memtable.ts'
import type { CursorTable } from './store-cursor.ts'

export class KeyFinder {
  readonly #table: CursorTable
  readonly #found = new StoreRecordCursor()
  readonly #hash: KeyHash = createKeyHash()

  constructor(table: CursorTable) {
    this.#table = table
  }

  /** The newest put of the key with a sequence <= `sequenceMax`, if nothing newer deletes it; expiry is the caller's. */
  find(key: Uint8Array, start: number, size: number, sequenceMax: number): StoreRecordCursor | undefined {
    const hash = this.#hash
    hashKey(key, start, size, hash)
    const record = this.#found
    let covering = -1
    const { memtables } = this.#table
    for (let i = memtables.length - 1; i >= 0; i--) {
      const memtable = memtables[i] as Memtable
      if (memtable.rangeDeleteCount > 0) covering = Math.max(covering, memtable.coveringRangeDelete(key, start, size, sequenceMax))
      if (memtable.find(key, start, size, hash, sequenceMax, record))
        return isPut(record) && record.sequence > covering ? record : undefined
    }
    for (const run of this.#table.runs) {
      if (run.hasRangeDeletes) covering = Math.max(covering, run.coveringRangeDelete(key, start, size, sequenceMax))
      if (run.find(key, start, size, hash, sequenceMax, record)) return isPut(record) && record.sequence > covering ? record : undefined
    }
    return undefined
  }

  /** Sequence of the newest record of the key, delete or not, or of a range delete over it; -1 when there is none. For conflict checks. */
  newestSequence(key: Uint8Array, start: number, size: number): number {
    const hash = this.#hash
    hashKey(key, start, size, hash)
    const record = this.#found
    const { memtables } = this.#table
    let newest = -1
    for (let i = memtables.length - 1; i >= 0; i--) {
      const memtable = memtables[i] as Memtable
      if (memtable.rangeDeleteCount > 0) newest = Math.max(newest, memtable.coveringRangeDelete(key, start, size, Number.MAX_SAFE_INTEGER))
      if (memtable.find(key, start, size, hash, Number.MAX_SAFE_INTEGER, record)) return Math.max(newest, record.sequence)
    }
    for (const run of this.#table.runs) {
      if (run.hasRangeDeletes) newest = Math.max(newest, run.coveringRangeDelete(key, start, size, Number.MAX_SAFE_INTEGER))
      if (run.find(key, start, size, hash, Number.MAX_SAFE_INTEGER, record)) return Math.max(newest, record.sequence)
    }
    return newest
  }
}

function isPut(record: StoreRecordCursor): boolean {
  return record.kind === STORE_PUT || record.kind === STORE_POINTER
}
