/**
 * What a transaction iterates: a store at the transaction's moment, merged with what the transaction had written when the iterator was made.
 *
 * Made by `transaction-store.ts`; ends with its transaction. It reads no further than it gives: the range it has walked over is exactly what the
 * transaction has read. A record of the store that was looked at and not given yet holds for one version of the table only (`StoreCursor` pins
 * nothing), so it is looked up anew when the version has changed.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { VarveError } from '../errors.ts'
import type { StoreKey } from './key-codec.ts'
import { bytesOfText, coveringRange, type OverlayEntry, type OverlayRange, textOfBytes } from './overlay.ts'
import type { ScannedRange } from './read-set.ts'
import { type KeyBounds, successor } from './store-core.ts'
import type { StoreCursor } from './store-cursor.ts'
import type { IteratorShape } from './store-iterator.ts'
import type { TransactionPart } from './transaction-part.ts'

export interface TransactionRange {
  readonly bounds: KeyBounds
  readonly reverse: boolean
  readonly limit: number
}

export class TransactionIterator<T> implements IterableIterator<T>, Disposable {
  readonly #part: TransactionPart
  readonly #range: TransactionRange
  readonly #shape: IteratorShape
  /** Own entries of the range, in the order of the walk. */
  readonly #own: readonly OverlayEntry[]
  readonly #deleted: readonly OverlayRange[]
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

  constructor(part: TransactionPart, range: TransactionRange, shape: IteratorShape) {
    this.#part = part
    this.#range = range
    this.#shape = shape
    const { bounds, reverse, limit } = range
    const { start, end, isEmpty } = bounds
    this.#start = start
    this.#end = end
    this.#left = limit
    this.#isDone = isEmpty || limit === 0
    this.#own = this.#isDone ? [] : part.overlay.slice(textOrNone(start), textOrNone(end))
    if (reverse) (this.#own as OverlayEntry[]).reverse()
    this.#deleted = part.overlay.ranges
    // The moment of a transaction is that of its first read.
    void part.moment
    this.#scan = part.reads.addScan(start, end, reverse)
  }

  next(): IteratorResult<T, undefined> {
    if (this.#isClosed) return { done: true, value: undefined }
    if (this.step()) return { done: false, value: this.#value() }
    this.close()
    return { done: true, value: undefined }
  }

  /** Up to `count` (default 1000) entries; fewer only at the end, empty when there are no more. */
  nextBatch(count: number = 1000): T[] {
    if (!Number.isSafeInteger(count) || count < 1) throw new RangeError(`count must be a positive integer, got ${count}`)
    if (this.#isClosed) throw new VarveError('CLOSED', 'the iterator was closed')
    const found: T[] = []
    while (found.length < count && this.step()) found.push(this.#value())
    return found
  }

  /** The next entry will be the first one at or behind the key (backwards: at or before it), within the range. */
  seek(key: StoreKey): void {
    this.#part.assertUsable()
    if (this.#isClosed) throw new VarveError('CLOSED', 'the iterator was closed')
    const { bounds, reverse } = this.#range
    const target = this.#part.core.keyBytes(key)
    if (bounds.isEmpty || this.#left === 0) return
    let { start, end } = bounds
    if (reverse) {
      const behind = successor(target)
      if (end === undefined || compare(behind, end) < 0) end = behind
    } else if (start === undefined || compare(target, start) > 0) start = target
    this.#isDone = start !== undefined && end !== undefined && compare(start, end) >= 0
    this.#jump(start, end)
    const order = reverse ? -1 : 1
    let [from, to] = [0, this.#own.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      if (compare((this.#own[middle] as OverlayEntry).bytes, target) * order < 0) from = middle + 1
      else to = middle
    }
    this.#ownAt = from
    this.#scan = this.#part.reads.addScan(start, end, reverse)
  }

  /** Idempotent; `for … of` calls it. What was read until now stays read. */
  close(): void {
    this.#isClosed = true
    this.#cursor = undefined
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
    const part = this.#part
    part.assertUsable()
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
        this.#scan.reached(buffer, keyStart, keyBytes)
      } else {
        this.#ownAt++
        if (!part.isAlive(own)) continue
        this.#current = own
        this.#scan.reached(own.bytes, 0, own.bytes.length)
      }
      if (--this.#left === 0) this.#isDone = true
      return true
    }
    return false
  }

  #value(): T {
    const shape = this.#shape
    const value = shape === 'key' ? undefined : this.#currentValue()
    if (shape === 'value') return value as T
    const key = this.#currentKey()
    return (shape === 'key' ? key : [key, value]) as T
  }

  #currentKey(): StoreKey {
    const { keys } = this.#part.core
    const own = this.#current
    if (own !== undefined) return keys.decode(own.bytes, 0, own.bytes.length)
    const { buffer, keyStart, keyBytes } = (this.#cursor as StoreCursor).record
    return keys.decode(buffer, keyStart, keyStart + keyBytes)
  }

  #currentValue(): unknown {
    const own = this.#current
    return own === undefined ? this.#part.core.decode((this.#cursor as StoreCursor).record) : this.#part.decodeOwn(own)
  }

  #compareWithStored(own: OverlayEntry): number {
    const { buffer, keyStart, keyBytes } = (this.#cursor as StoreCursor).record
    return compareKeys(own.bytes, 0, own.bytes.length, buffer, keyStart, keyBytes)
  }

  /** Whether the store has another entry; if so, the cursor stands on it. */
  #peek(): boolean {
    const { version } = this.#part.core.table
    if (this.#stands === false || (this.#stands === true && this.#version === version)) return this.#stands
    if (this.#stands === true) {
      // Looked at before the table changed: its bytes may be gone.
      const last = this.#scan.lastKey()
      if (last === undefined) this.#jump(this.#start, this.#end)
      else if (this.#range.reverse) this.#jump(this.#start, last)
      else this.#jump(successor(last), this.#end)
    }
    this.#stands = this.#move()
    this.#version = version
    return this.#stands
  }

  /** Moves the cursor to the next entry that the transaction has not deleted. */
  #move(): boolean {
    const deleted = this.#deleted
    for (;;) {
      this.#cursor ??= this.#open()
      if (!this.#cursor.next()) return false
      if (deleted.length === 0) return true
      const { buffer, keyStart, keyBytes } = this.#cursor.record
      const covering = coveringRange(deleted, textOfBytes(buffer, keyStart, keyBytes))
      if (covering === undefined) return true
      // On at the other side of what is deleted.
      if (this.#range.reverse) this.#jump(this.#start, bytesOfText(covering.start))
      else if (covering.end === undefined) return false
      else this.#jump(bytesOfText(covering.end), this.#end)
      if (this.#start !== undefined && this.#end !== undefined && compare(this.#start, this.#end) >= 0) return false
    }
  }

  #jump(start: Uint8Array | undefined, end: Uint8Array | undefined): void {
    this.#start = start
    this.#end = end
    this.#cursor = undefined
    this.#stands = undefined
  }

  #open(): StoreCursor {
    const { core, moment } = this.#part
    return core.cursor({
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
