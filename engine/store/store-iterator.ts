/**
 * What users iterate: entries, keys or values of a range at one moment, decoded in batches.
 *
 * One iterator is one pass: `nextBatch` for speed, `nextRaw` for more, `next` and `for … of` for comfort (they take from batches that grow from 16 entries to 1024, or 64 KB). It keeps its
 * moment as a snapshot until it has given its last entry or is closed, and pins nothing else. An iterator that was forgotten gives its moment back when it is collected.
 */
import { VarveError } from '../errors.ts'
import type { KeyCodec, StoreKey } from './key-codec.ts'
import { type RawEntries, RawEntriesBuffer } from './raw-entries.ts'
import type { RowWindow } from './row-window.ts'
import type { Snapshot } from './snapshots.ts'
import { type CursorTable, giveBackCursor, type StoreCursor, type StoreCursorOptions, takeCursor } from './store-cursor.ts'
import type { ValueCodec } from './value-codec.ts'

const batchFirst = 16
const batchMax = 1024
/** Single steps read ahead about so many bytes at most: large values are given before the next ones are made, and can be forgotten as they come. */
const aheadBytesMax = 64 * 1024

/** What an iterator gives for each entry. */
export type IteratorShape = 'entry' | 'key' | 'value'

const forgotten = new FinalizationRegistry<Snapshot>(snapshot => snapshot.close())

/**
 * Iterators of this turn with a moment of their own: those that end in it, as short ranges do, need not be told to the registry, which costs more than
 * reading a few entries. The others are when the turn ends, or when there are many.
 */
let young: StoreIterator<unknown>[] = []
const youngMax = 64
const turn = Promise.resolve()
let isTurnAwaited = false

function endTurn(): void {
  isTurnAwaited = false
  registerYoung()
}

function registerYoung(): void {
  const iterators = young
  young = []
  for (const iterator of iterators) iterator.register()
}

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
  /** Of the store, to be given back; undefined once it was. */
  #cursor: StoreCursor | undefined
  #left: number
  #buffer: T[] = []
  #at = 0
  #size = batchFirst
  #raw: RawEntriesBuffer | undefined
  #isClosed = false
  /** Its own moment was given back: everything was given. */
  #isEnded = false
  /** A codec of the user's may call the iterator that calls it. */
  #isReading = false
  /** Its place among the young ones; -1: it is none. */
  #youngAt = -1

  constructor(source: IteratorSource) {
    this.#source = source
    this.#left = source.isEmpty ? 0 : source.limit
    const { bounds, snapshot } = source
    this.#cursor = takeCursor(source.table, {
      sequenceMax: snapshot.sequence - 1,
      now: snapshot.time,
      start: bounds.start,
      end: bounds.end,
      reverse: bounds.reverse,
    })
    if (!source.ownsSnapshot) return
    if (!isTurnAwaited) {
      isTurnAwaited = true
      void turn.then(endTurn)
    } else if (young.length >= youngMax) registerYoung()
    this.#youngAt = young.push(this) - 1
  }

  /** For `registerYoung`. */
  register(): void {
    this.#youngAt = -1
    forgotten.register(this, this.#source.snapshot, this)
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
    const cursor = this.#cursor!
    const wanted = Math.min(count, this.#left)
    while (raw.count < wanted && cursor.nextStretch(wanted - raw.count)) {
      const { rows, from, to } = cursor
      for (let row = from; row < to; row++) {
        const valueStart = rows.valueStarts[row]!
        if (valueStart >= 0) raw.add(rows.bytes, rows.keyStarts[row]!, rows.keyBytes(row), valueStart, rows.ends[row]! - valueStart)
      }
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
    this.#cursor!.seek(this.#source.encodeKey(key))
  }

  /** Gives the moment back. Idempotent; `for … of` calls it. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#buffer = []
    this.#at = 0
    this.#giveBack()
  }

  /** With a snapshot of the caller's it may be sent elsewhere still. */
  #end(): void {
    if (!this.#source.ownsSnapshot) return
    this.#isEnded = true
    this.#giveBack()
  }

  #giveBack(): void {
    const cursor = this.#cursor
    this.#cursor = undefined
    if (cursor !== undefined && !this.#isReading) giveBackCursor(cursor)
    if (!this.#source.ownsSnapshot) return
    if (this.#youngAt < 0) forgotten.unregister(this)
    else this.#leaveYoung(this.#youngAt)
    this.#source.snapshot.close()
  }

  #leaveYoung(at: number): void {
    const last = young.pop() as StoreIterator<unknown>
    this.#youngAt = -1
    if (last === (this as StoreIterator<unknown>)) return
    young[at] = last
    last.#youngAt = at
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
    const cursor = this.#cursor!
    const found: T[] = []
    const wanted = Math.min(count, this.#left)
    let bytesLeft = maybeFewer ? aheadBytesMax : Number.POSITIVE_INFINITY
    /** Entries before the stretch that is being decoded; -1 while the cursor moves. */
    let before = -1
    this.#isReading = true
    try {
      // At least one entry: what a stretch shows may be nothing.
      while (found.length < wanted && (bytesLeft > 0 || found.length === 0) && cursor.nextStretch(wanted - found.length)) {
        before = found.length
        this.#decode(cursor, found)
        before = -1
        bytesLeft -= stretchBytes(cursor)
      }
      this.#left -= found.length
    } catch (error) {
      this.#left -= found.length
      if (before >= 0) returnTo(cursor, found.length - before)
      if (maybeFewer && found.length > 0) return found
      this.#buffer = this.#buffer.slice(this.#at).concat(found)
      this.#at = 0
      throw error
    } finally {
      this.#isReading = false
    }
    return found
  }

  /** The rows of the cursor's stretch. */
  #decode({ rows, from, to }: StoreCursor, found: T[]): void {
    const { shape, keys, values } = this.#source
    // Keys alone are not cut out of a text: they would keep the values in memory.
    const lines = shape === 'key' || values.decodeAscii === undefined ? undefined : rows.text
    const text = lines?.ascii
    if (lines !== undefined && typeof text === 'string') {
      this.#decodeText(rows, from, to, text, lines.start, found)
      return
    }
    const { bytes, keyStarts, valueStarts, ends } = rows
    for (let row = from; row < to; row++) {
      const valueStart = valueStarts[row]!
      if (valueStart < 0) continue
      if (shape === 'value') found.push(values.decode(bytes, valueStart, ends[row]!) as T)
      else {
        const key = keys.decode(bytes, keyStarts[row]!, valueStart)
        found.push((shape === 'key' ? key : [key, values.decode(bytes, valueStart, ends[row]!)]) as T)
      }
    }
  }

  /** As `#decode`, of a text that begins with the byte at `start`. */
  #decodeText(rows: RowWindow, from: number, to: number, text: string, start: number, found: T[]): void {
    const { shape, keys, values } = this.#source
    const { bytes, keyStarts, valueStarts, ends } = rows
    for (let row = from; row < to; row++) {
      const valueStart = valueStarts[row]!
      if (valueStart < 0) continue
      const end = ends[row]!
      const value = values.decodeAscii!(text, valueStart - start, end - start) ?? values.decode(bytes, valueStart, end)
      if (shape === 'value') {
        found.push(value as T)
        continue
      }
      const keyStart = keyStarts[row]!
      const key = keys.decodeAscii?.(text, keyStart - start, valueStart - start) ?? keys.decode(bytes, keyStart, valueStart)
      found.push([key, value] as T)
    }
  }
}

/** About how many bytes the records of the cursor's stretch have. */
function stretchBytes({ rows: { starts, ends }, from, to }: StoreCursor): number {
  return Math.max(ends[from]!, ends[to - 1]!) - Math.min(starts[from]!, starts[to - 1]!)
}

/** Back to the entry of the cursor's stretch before which `given` were given: it is the next one again. */
function returnTo(cursor: StoreCursor, given: number): void {
  const { rows } = cursor
  let left = given
  let row = cursor.from
  while (rows.valueStarts[row]! < 0 || left-- > 0) row++
  const keyStart = rows.keyStarts[row]!
  cursor.seek(rows.bytes.subarray(keyStart, keyStart + rows.keyBytes(row)))
}
