/**
 * What a transaction iterates: a store or an index at the transaction's moment, merged with what the transaction had written when the iterator was made.
 *
 * Made by `transaction-store.ts` and `transaction-index.ts`; ends with its transaction. It reads no further than it gives: the range it has walked over
 * is exactly what the transaction has read. A record of the store that was looked at and not given yet holds for one version of the table only
 * (`StoreCursor` pins nothing), so it is looked up anew when the version has changed. An entry that cannot be decoded is tried again by the next call.
 */

import { compareKeys } from '../batch/store-keys.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { VarveError } from '../errors.ts'
import type { StoreKey } from './key-codec.ts'
import { coveringRange, type OverlayRange } from './key-ranges.ts'
import { bytesOfText, type Overlay, type OverlayEntry, textOfBytes } from './overlay.ts'
import type { ReadSet, ScannedRange } from './read-set.ts'
import type { Snapshot } from './snapshots.ts'
import { type KeyBounds, successor } from './store-core.ts'
import { type CursorTable, StoreCursor } from './store-cursor.ts'

/** What is iterated: the stored records, the transaction's own entries over them, and how both become what the iterator gives. */
export interface TransactionSource<T> {
  readonly table: CursorTable
  readonly moment: Snapshot
  /** Own entries, keyed as the table's records. */
  readonly overlay: Overlay
  /** Of the table. */
  readonly reads: ReadSet
  /** Ranges of the table that the transaction has deleted. */
  readonly deleted: readonly OverlayRange[]
  /** Whether own writes take the place of this stored record; undefined when only `deleted` and equal keys do. */
  readonly hides: ((record: StoreRecordCursor) => boolean) | undefined
  assertUsable(): void
  isAlive(entry: OverlayEntry): boolean
  /** What `seek` means: the first key (inclusive) of a walk upwards, or the end (exclusive) of one downwards. */
  seekTo(key: StoreKey, reverse: boolean): Uint8Array
  decodeStored(record: StoreRecordCursor): T
  decodeOwn(entry: OverlayEntry): T
}

export interface TransactionRange {
  readonly bounds: KeyBounds
  readonly reverse: boolean
  readonly limit: number
}

/** One pass over a range within a transaction. What it has walked over counts as read. */
export class TransactionIterator<T> implements IterableIterator<T>, Disposable {
  readonly #source: TransactionSource<T>
  readonly #range: TransactionRange
  /** Own entries of the range, in the order of the walk. */
  readonly #own: readonly OverlayEntry[]
  #ownAt = 0
  #left: number
  #scan: ScannedRange
  /** Of the store; made when it is first needed, and anew where the walk jumps. */
  #cursor: StoreCursor | undefined
  /** Whether the cursor stands on a record that was not given yet; undefined: to be moved first. */
  #stands: boolean | undefined
  /** The version of the table when it was moved. */
  #version = -1
  /** The bounds of the walk since the last jump. */
  #start: Uint8Array | undefined
  #end: Uint8Array | undefined
  #isDone: boolean
  #isClosed = false
  /** The current entry, when it is an own one; else it is the cursor's. */
  #current: OverlayEntry | undefined
  /** Decoded before an entry that could not be, and not given yet. */
  #kept: T[] = []
  /** Key of the stored entry that could not be decoded: the next one to give. */
  #again: Uint8Array | undefined

  constructor(source: TransactionSource<T>, range: TransactionRange) {
    this.#source = source
    this.#range = range
    const { bounds, reverse, limit } = range
    const { start, end, isEmpty } = bounds
    this.#start = start
    this.#end = end
    this.#left = limit
    this.#isDone = isEmpty || limit === 0
    this.#own = this.#isDone ? [] : source.overlay.slice(textOrNone(start), textOrNone(end))
    if (reverse) (this.#own as OverlayEntry[]).reverse()
    // The moment of a transaction is that of its first read.
    void source.moment
    this.#scan = source.reads.addScan(start, end, reverse)
  }

  next(): IteratorResult<T, undefined> {
    if (this.#isClosed) return { done: true, value: undefined }
    if (this.#kept.length > 0) {
      this.#source.assertUsable()
      return { done: false, value: this.#kept.shift() as T }
    }
    if (this.step()) return { done: false, value: this.#value() }
    this.close()
    return { done: true, value: undefined }
  }

  /** Up to `count` (default 1000) entries; fewer only at the end, empty when there are no more. */
  nextBatch(count: number = 1000): T[] {
    if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`count must be a positive integer, got ${count}`)
    if (this.#isClosed) throw new VarveError('CLOSED', 'the iterator was closed')
    const found = this.#kept.splice(0, count)
    try {
      while (found.length < count && this.step()) found.push(this.#value())
    } catch (error) {
      this.#kept = found
      throw error
    }
    return found
  }

  /** The next entry will be the first one at or behind the key (backwards: at or before it), within the range. */
  seek(key: StoreKey): void {
    this.#source.assertUsable()
    if (this.#isClosed) throw new VarveError('CLOSED', 'the iterator was closed')
    const { bounds, reverse } = this.#range
    const target = this.#source.seekTo(key, reverse)
    // What was decoded and is given up does not count.
    this.#left += this.#kept.length
    this.#kept = []
    this.#again = undefined
    if (bounds.isEmpty || this.#left === 0) return
    let { start, end } = bounds
    if (reverse) {
      if (end === undefined || compare(target, end) < 0) end = target
    } else if (start === undefined || compare(target, start) > 0) start = target
    this.#isDone = start !== undefined && end !== undefined && compare(start, end) >= 0
    this.#jump(start, end)
    let [from, to] = [0, this.#own.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      const order = compare((this.#own[middle] as OverlayEntry).bytes, target)
      if (reverse ? order >= 0 : order < 0) from = middle + 1
      else to = middle
    }
    this.#ownAt = from
    this.#scan = this.#source.reads.addScan(start, end, reverse)
  }

  /** Idempotent; `for … of` calls it. What was read until now stays read. */
  close(): void {
    this.#isClosed = true
    this.#cursor = undefined
    this.#kept = []
  }

  return(): IteratorResult<T, undefined> {
    this.close()
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): this {
    return this
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Moves to the next entry without decoding it; false at the end, or when the limit is reached. */
  step(): boolean {
    const source = this.#source
    source.assertUsable()
    const order = this.#range.reverse ? -1 : 1
    while (!this.#isDone) {
      const own = this.#own[this.#ownAt]
      const stands = this.#peek()
      if (own === undefined && !stands) {
        this.#scan.finish()
        this.#isDone = true
        return false
      }
      const before = own === undefined ? 1 : stands ? this.#compareWithStored(own) * order : -1
      if (before >= 0) this.#stands = undefined
      if (own === undefined || before > 0) {
        const { buffer, keyStart, keyBytes } = (this.#cursor as StoreCursor).record
        this.#current = undefined
        this.#again = undefined
        this.#scan.reached(buffer, keyStart, keyBytes)
      } else {
        this.#ownAt++
        if (!source.isAlive(own)) continue
        this.#current = own
        this.#scan.reached(own.bytes, 0, own.bytes.length)
      }
      if (--this.#left === 0) this.#isDone = true
      return true
    }
    return false
  }

  /** The current entry; when it cannot be decoded it is the next one again. */
  #value(): T {
    const own = this.#current
    try {
      return own === undefined ? this.#source.decodeStored((this.#cursor as StoreCursor).record) : this.#source.decodeOwn(own)
    } catch (error) {
      this.#left++
      this.#isDone = false
      if (own !== undefined) this.#ownAt--
      else {
        const { buffer, keyStart, keyBytes } = (this.#cursor as StoreCursor).record
        this.#again = buffer.slice(keyStart, keyStart + keyBytes)
        this.#returnTo(this.#again, true)
      }
      throw error
    }
  }

  #compareWithStored(own: OverlayEntry): number {
    const { buffer, keyStart, keyBytes } = (this.#cursor as StoreCursor).record
    return compareKeys(own.bytes, 0, own.bytes.length, buffer, keyStart, keyBytes)
  }

  /** Whether the store has another entry; if so, the cursor stands on it. */
  #peek(): boolean {
    const { version } = this.#source.table
    if (this.#stands === false || (this.#stands === true && this.#version === version)) return this.#stands
    if (this.#stands === true) {
      // Looked at before the table changed: its bytes may be gone.
      const last = this.#again ?? this.#scan.lastKey()
      if (last === undefined) this.#jump(this.#start, this.#end)
      else this.#returnTo(last, this.#again !== undefined)
    }
    this.#stands = this.#move()
    this.#version = version
    return this.#stands
  }

  /** Moves the cursor to the next entry that the transaction has not deleted. */
  #move(): boolean {
    const { deleted, hides } = this.#source
    for (;;) {
      this.#cursor ??= this.#open()
      if (!this.#cursor.next()) return false
      const { record } = this.#cursor
      if (hides?.(record) === true) continue
      if (deleted.length === 0) return true
      const { buffer, keyStart, keyBytes } = record
      const covering = coveringRange(deleted, textOfBytes(buffer, keyStart, keyBytes))
      if (covering === undefined) return true
      // On at the other side of what is deleted.
      if (this.#range.reverse) this.#jump(this.#start, bytesOfText(covering.start))
      else if (covering.end === undefined) return false
      else this.#jump(bytesOfText(covering.end), this.#end)
      if (this.#start !== undefined && this.#end !== undefined && compare(this.#start, this.#end) >= 0) return false
    }
  }

  /** The walk goes on behind the key, or with it. */
  #returnTo(key: Uint8Array, inclusive: boolean): void {
    if (this.#range.reverse) this.#jump(this.#start, inclusive ? successor(key) : key)
    else this.#jump(inclusive ? key : successor(key), this.#end)
  }

  #jump(start: Uint8Array | undefined, end: Uint8Array | undefined): void {
    this.#start = start
    this.#end = end
    this.#cursor = undefined
    this.#stands = undefined
  }

  #open(): StoreCursor {
    const { table, moment } = this.#source
    return new StoreCursor(table, {
      start: this.#start,
      end: this.#end,
      reverse: this.#range.reverse,
      sequenceMax: moment.sequence - 1,
      now: moment.time,
    })
  }
}

function textOrNone(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : textOfBytes(bytes, 0, bytes.length)
}

function compare(left: Uint8Array, right: Uint8Array): number {
  return compareKeys(left, 0, left.length, right, 0, right.length)
}
