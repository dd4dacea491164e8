/**
 * What users iterate: entries, keys or values of a range at one moment, decoded in batches.
 *
 * One iterator is one pass: `nextBatch` for speed, `nextRaw` for more, `next` and `for … of` for comfort (they take from batches that grow from 16 to 1024). It keeps its
 * moment as a snapshot until it has given its last entry or is closed, and pins nothing else. An iterator that was forgotten gives its moment back when it is collected.
 */
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { VarveError } from '../errors.ts'
import type { KeyCodec, StoreKey } from './key-codec.ts'
import { type RawEntries, RawEntriesBuffer } from './raw-entries.ts'
import type { Snapshot } from './snapshots.ts'
import { type CursorTable, StoreCursor, type StoreCursorOptions } from './store-cursor.ts'
import type { ValueCodec } from './value-codec.ts'

const batchFirst = 16
const batchMax = 1024
/** So many entries at once are cut out of the texts of whole blocks; for fewer that would cost more than it saves. */
const textEntriesMin = 12

/** What an iterator gives for each entry. */
export type IteratorShape = 'entry' | 'key' | 'value'

const forgotten = new FinalizationRegistry<Snapshot>(snapshot => snapshot.close())

export interface IteratorSource {
  readonly table: CursorTable
  readonly keys: KeyCodec
  readonly values: ValueCodec<unknown>
  readonly snapshot: Snapshot
  /** The snapshot is the iterator's own, to be closed with it. */
  readonly ownsSnapshot: boolean
  readonly bounds: Pick<StoreCursorOptions, 'start' | 'end' | 'reverse'>
  /** Most entries in all. */
  readonly limit: number
  readonly shape: IteratorShape
  assertOpen(): void
  /** Whole key to bytes, for `seek`. */
  encodeKey(key: StoreKey): Uint8Array
  /** The entry that the cursor stands on; only for values that do not lie in the record. */
  readonly isEmpty: boolean
}

/** One pass over a range at one moment: `for … of`, or `nextBatch` for speed. Close it when it is left early. */
export class StoreIterator<T> implements IterableIterator<T>, Disposable {
  readonly #source: IteratorSource
  readonly #cursor: StoreCursor
  #left: number
  #buffer: T[] = []
  #at = 0
  #size = batchFirst
  #raw: RawEntriesBuffer | undefined
  #isClosed = false
  /** Its own moment was given back: everything was given. */
  #isEnded = false

  constructor(source: IteratorSource) {
    this.#source = source
    this.#left = source.isEmpty ? 0 : source.limit
    this.#cursor = new StoreCursor(source.table, {
      ...source.bounds,
      sequenceMax: source.snapshot.sequence - 1,
      now: source.snapshot.time,
    })
    if (source.ownsSnapshot) forgotten.register(this, source.snapshot, this)
  }

  /** Up to `count` (default 1000) entries; fewer only at the end, which gives the moment back; empty when there are no more. */
  nextBatch(count: number = 1000): T[] {
    if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`count must be a positive integer, got ${count}`)
    if (this.#isEnded) {
      this.#source.assertOpen()
      if (this.#isClosed) throw new VarveError('CLOSED', 'the iterator was closed')
      return []
    }
    this.#assertOpen()
    const batch = this.#batch(count)
    if (batch.length < count || (this.#left === 0 && this.#at === this.#buffer.length)) this.#end()
    return batch
  }

  /**
   * Up to `count` (default 1000) entries as bytes, keys and values whatever the iterator gives otherwise; fewer only at the end. They hold until the next
   * call. TypeError after single steps that have read ahead: use one way of reading an iterator.
   */
  nextRaw(count: number = 1000): RawEntries {
    if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`count must be a positive integer, got ${count}`)
    this.#raw ??= new RawEntriesBuffer(count)
    const raw = this.#raw
    raw.clear(count)
    if (this.#isEnded) {
      this.nextBatch(count) // its checks; it has nothing more
      return raw
    }
    this.#assertOpen()
    if (this.#at < this.#buffer.length) throw new TypeError('nextRaw cannot follow single steps: entries were read ahead already')
    const cursor = this.#cursor
    const wanted = Math.min(count, this.#left)
    while (raw.count < wanted && cursor.next()) {
      const { buffer, keyStart, keyBytes, valueStart, valueBytes } = cursor.record
      raw.add(buffer, keyStart, keyBytes, valueStart, valueBytes)
    }
    this.#left -= raw.count
    if (raw.count < count || this.#left === 0) this.#end()
    return raw
  }

  #batch(count: number): T[] {
    if (this.#at < this.#buffer.length) {
      const rest = this.#buffer.slice(this.#at, this.#at + count)
      const whole = rest.length === count ? rest : rest.concat(this.#read(count - rest.length, false))
      this.#at += rest.length
      return whole
    }
    return this.#read(count, false)
  }

  next(): IteratorResult<T, undefined> {
    if (this.#isClosed || this.#isEnded) return { done: true, value: undefined }
    if (this.#at === this.#buffer.length) {
      this.#assertOpen()
      this.#buffer = this.#read(this.#size, true)
      this.#at = 0
      this.#size = Math.min(batchMax, this.#size * 2)
      if (this.#buffer.length === 0) {
        this.close()
        return { done: true, value: undefined }
      }
    }
    return { done: false, value: this.#buffer[this.#at++] as T }
  }

  /**
   * The next entry will be the first one at or behind the key (backwards: at or before it), within the range. CLOSED once everything was given, unless the
   * moment is a snapshot of the caller's.
   */
  seek(key: StoreKey): void {
    if (this.#isEnded) throw new VarveError('CLOSED', 'the iterator came to its end and has given its moment back')
    this.#assertOpen()
    // What was read ahead and is given up does not count.
    this.#left += this.#buffer.length - this.#at
    this.#buffer = []
    this.#at = 0
    this.#cursor.seek(this.#source.encodeKey(key))
  }

  /** Gives the moment back. Idempotent; `for … of` calls it. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#buffer = []
    this.#at = 0
    this.#giveBack()
  }

  #end(): void {
    if (!this.#source.ownsSnapshot) return
    this.#isEnded = true
    this.#giveBack()
  }

  #giveBack(): void {
    if (!this.#source.ownsSnapshot) return
    forgotten.unregister(this)
    this.#source.snapshot.close()
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

  #assertOpen(): void {
    this.#source.assertOpen()
    if (this.#isClosed) throw new VarveError('CLOSED', 'the iterator was closed')
    if (this.#source.snapshot.isClosed) throw new VarveError('CLOSED', 'the snapshot was closed')
  }

  /** An entry that cannot be read ends it: what came before is given (`maybeFewer`) or kept for the next call, and then that entry is tried again. */
  #read(count: number, maybeFewer: boolean): T[] {
    const cursor = this.#cursor
    const found: T[] = []
    let left = Math.min(count, this.#left)
    const isLong = left >= textEntriesMin
    let isMoved = false
    try {
      while (left > 0 && cursor.next()) {
        isMoved = true
        found.push(this.#decode(cursor.record, isLong))
        isMoved = false
        left--
      }
      this.#left -= found.length
    } catch (error) {
      this.#left -= found.length
      const { buffer, keyStart, keyBytes } = cursor.record
      if (isMoved) cursor.seek(buffer.subarray(keyStart, keyStart + keyBytes))
      if (maybeFewer && found.length > 0) return found
      this.#buffer = this.#buffer.slice(this.#at).concat(found)
      this.#at = 0
      throw error
    }
    return found
  }

  #decode(record: StoreRecordCursor, isLong: boolean): T {
    const { shape } = this.#source
    const { keyStart, keyBytes } = record
    // Keys alone are not cut out: they would keep the values in memory.
    if (shape === 'key') return this.#source.keys.decode(record.buffer, keyStart, keyStart + keyBytes) as T
    const text = (isLong && record.text?.ascii) || false
    const value = this.#value(record, text)
    return (shape === 'value' ? value : [this.#key(record, text), value]) as T
  }

  #key({ buffer, keyStart, keyBytes, text: lines }: StoreRecordCursor, text: string | false): StoreKey {
    const { keys } = this.#source
    if (text !== false && lines !== undefined && keys.decodeAscii !== undefined) {
      const start = keyStart - lines.start
      const key = keys.decodeAscii(text, start, start + keyBytes)
      if (key !== undefined) return key
    }
    return keys.decode(buffer, keyStart, keyStart + keyBytes)
  }

  #value({ buffer, valueStart, valueBytes, text: lines }: StoreRecordCursor, text: string | false): unknown {
    const { values } = this.#source
    if (text !== false && lines !== undefined && values.decodeAscii !== undefined) {
      const start = valueStart - lines.start
      const value = values.decodeAscii(text, start, start + valueBytes)
      if (value !== undefined) return value
    }
    return values.decode(buffer, valueStart, valueStart + valueBytes)
  }
}
