/**
 * Reads a range for one of abstract-level's iterators: from the store's batches, converted to the format that was asked for.
 *
 * Owned by the iterator, which makes sure that calls do not overlap. Reads that ask for one item are served from batches that grow while they are
 * small; large ones give the event loop a turn between batches and look at the signal there. The moment is the one of the construction.
 */
import { setImmediate } from 'node:timers/promises'
import type { Snapshot, StoreIterator } from '../engine/index.ts'
import { abortError } from './level-error.ts'
import { type Bounds, isInside } from './range.ts'

/** Most entries that are read in one go. */
const batchMax = 1000
/** Single reads take ahead about as many bytes. */
const readAheadBytes = 64 * 1024

export interface RangeSource<T> {
  readonly iterator: StoreIterator<T>
  readonly bounds: Bounds
  /** The iterator's moment, when it is nobody else's: abstract-level's iterators seek back from the end, so it is kept until they are closed. */
  readonly moment: Snapshot | undefined
  readonly signal: AbortSignal | undefined
  /** Bytes of an item as the store gives it. */
  sizeOf(item: T): number
  /** The same item as the user's encoding wants it. */
  convert(item: T): T
}

export class RangeReader<T> {
  readonly #source: RangeSource<T>
  /** Read ahead; `[#at, length)` was not given out. */
  #buffer: T[] = []
  #at = 0
  /** How many entries the next reading ahead takes. */
  #ahead = 2
  /** Where to go before the next reading. */
  #target: Uint8Array | undefined
  #isOutside = false

  constructor(source: RangeSource<T>) {
    this.#source = source
  }

  /** The next item, of at most `left` that may follow; undefined at the end. */
  async one(left: number): Promise<T | undefined> {
    if (this.#source.signal !== undefined) await this.#checkSignal()
    if (this.#at === this.#buffer.length) {
      this.#at = 0
      this.#buffer = []
      const count = Math.min(this.#ahead, left)
      let bytes = 0
      this.#buffer = this.#read(count, item => {
        bytes += this.#source.sizeOf(item)
      })
      this.#ahead = bytes < readAheadBytes / 2 ? Math.min(batchMax, this.#ahead * 2) : Math.max(1, Math.ceil(this.#ahead / 2))
    }
    return this.#buffer[this.#at++]
  }

  /** The next items, `count` unless the end comes before. */
  async many(count: number): Promise<T[]> {
    if (this.#source.signal !== undefined) await this.#checkSignal()
    const items = this.#buffer.slice(this.#at, this.#at + count)
    this.#at = Math.min(this.#buffer.length, this.#at + count)
    while (items.length < count) {
      const wanted = Math.min(batchMax, count - items.length)
      const found = this.#read(wanted)
      for (const item of found) items.push(item)
      if (found.length < wanted || items.length === count) break
      await setImmediate()
      this.#assertNotAborted()
    }
    return items
  }

  /** The next item is the first one at or behind the key (backwards: at or before); none when the key lies outside of the range. */
  seek(target: Uint8Array): void {
    this.#buffer = []
    this.#at = 0
    this.#isOutside = !isInside(target, this.#source.bounds)
    this.#target = this.#isOutside ? undefined : target.slice()
  }

  close(): void {
    this.#buffer = []
    this.#at = 0
    this.#source.iterator.close()
    this.#source.moment?.close()
  }

  /** A signal that is aborted in the turn of the call counts. */
  async #checkSignal(): Promise<void> {
    await undefined
    this.#assertNotAborted()
  }

  #assertNotAborted(): void {
    if (this.#source.signal?.aborted === true) throw abortError()
  }

  #read(count: number, look?: (item: T) => void): T[] {
    if (this.#isOutside || count < 1) return []
    const { iterator } = this.#source
    if (this.#target !== undefined) {
      iterator.seek(this.#target)
      this.#target = undefined
    }
    const items = iterator.nextBatch(count)
    for (let i = 0; i < items.length; i++) {
      const item = items[i] as T
      look?.(item)
      items[i] = this.#source.convert(item)
    }
    return items
  }
}
