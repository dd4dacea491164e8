/**
 * What a transaction has read of one store: keys, and the parts of ranges that were walked over. `conflict-check.ts` looks them up again.
 *
 * Owned by a transaction's part; iterators move the ranges on. Invariant: a range names exactly what its walk has shown: up to the last key that
 * was given when it was left early, the whole range when it came to the end, nothing before the first step.
 */
import { compareKeys } from '../batch/store-keys.ts'

/** Keys from `start`, inclusive (undefined: from the beginning), to `end`, exclusive (undefined: to the end). */
export interface ReadRange {
  readonly start: Uint8Array | undefined
  readonly end: Uint8Array | undefined
}

/** The walked part of a range. */
export class ScannedRange {
  readonly #start: Uint8Array | undefined
  readonly #end: Uint8Array | undefined
  readonly #reverse: boolean
  #last: Uint8Array = new Uint8Array(32)
  /** -1: no key yet. */
  #lastBytes = -1
  #isWhole = false

  constructor(start: Uint8Array | undefined, end: Uint8Array | undefined, reverse: boolean) {
    this.#start = start
    this.#end = end
    this.#reverse = reverse
  }

  /** The walk has given this key. */
  reached(buffer: Uint8Array, keyStart: number, keyBytes: number): void {
    if (keyBytes > this.#last.length) this.#last = new Uint8Array(keyBytes * 2)
    const last = this.#last
    for (let i = 0; i < keyBytes; i++) last[i] = buffer[keyStart + i]!
    this.#lastBytes = keyBytes
  }

  /** The walk came to the end. */
  finish(): void {
    this.#isWhole = true
  }

  /** The last key that was given; undefined before the first. */
  lastKey(): Uint8Array | undefined {
    return this.#lastBytes < 0 ? undefined : this.#last.slice(0, this.#lastBytes)
  }

  /** undefined while nothing was read. */
  read(): ReadRange | undefined {
    if (this.#isWhole) return { start: this.#start, end: this.#end }
    if (this.#lastBytes < 0) return undefined
    if (this.#reverse) return { start: this.#last.slice(0, this.#lastBytes), end: this.#end }
    // The first key above the last one: with one more byte, a zero.
    const end = new Uint8Array(this.#lastBytes + 1)
    end.set(this.#last.subarray(0, this.#lastBytes))
    return { start: this.#start, end }
  }
}

const noKeys: ReadonlySet<string> = new Set()

export class ReadSet {
  /** Made for the first: most transactions that write read nothing. */
  #keys: Set<string> | undefined
  readonly #scans: ScannedRange[] = []

  /** Keys that were read, as texts of the overlay. */
  get keys(): ReadonlySet<string> {
    return this.#keys ?? noKeys
  }

  addKey(text: string): void {
    this.#keys ??= new Set()
    this.#keys.add(text)
  }

  addScan(start: Uint8Array | undefined, end: Uint8Array | undefined, reverse: boolean): ScannedRange {
    const scan = new ScannedRange(start, end, reverse)
    this.#scans.push(scan)
    return scan
  }

  /** What was walked over: disjoint, ascending. */
  ranges(): ReadRange[] {
    const read: ReadRange[] = []
    for (const scan of this.#scans) {
      const range = scan.read()
      if (range !== undefined) read.push(range)
    }
    read.sort((left, right) => compare(left.start ?? nothing, right.start ?? nothing))
    const merged: ReadRange[] = []
    for (const range of read) {
      const last = merged.at(-1)
      if (last === undefined || (last.end !== undefined && range.start !== undefined && compare(range.start, last.end) > 0))
        merged.push(range)
      else if (last.end !== undefined && (range.end === undefined || compare(range.end, last.end) > 0)) {
        merged[merged.length - 1] = { start: last.start, end: range.end }
      }
    }
    return merged
  }
}

const nothing = new Uint8Array(0)

function compare(left: Uint8Array, right: Uint8Array): number {
  return compareKeys(left, 0, left.length, right, 0, right.length)
}
