/**
 * What a transaction has written to one store so far: the last put or delete of each key, and the ranges it deleted.
 *
 * Owned by a transaction's part (`transaction-part.ts`), which reads through it and turns it into rows when it commits. Keys are kept as texts of
 * the characters 0 to 255, one a byte: strings compare as their bytes do, and a `Map` finds them.
 *
 * Invariants: an entry never changes (a later write replaces it), and no entry is older than a deleted range that covers it: such entries are
 * taken out. So the ranges first and then the entries, in any order, are the transaction's writes; and a slice that was handed out stays as it is.
 */
import type { RangeOptions } from './store-options.ts'

/** The last write of a key. */
export interface OverlayEntry {
  readonly text: string
  /** The key. */
  readonly bytes: Uint8Array
  /** The value as it is stored; undefined: a delete. */
  readonly value: Uint8Array | undefined
  /** Absolute ms; 0: never. */
  readonly expiry: number
}

/** Deleted keys, half open. */
export interface OverlayRange {
  readonly start: string
  /** undefined: to the end. */
  readonly end: string | undefined
}

/** More unsorted entries than this are sorted together with the others instead of being put in their places one by one. */
const pendingMax = 32

export class Overlay {
  readonly #entries = new Map<string, OverlayEntry>()
  /** Everything in `#entries` but what is pending; undefined until a range is read. */
  #sorted: OverlayEntry[] | undefined
  #pending: OverlayEntry[] = []
  /** Disjoint, ascending; replaced, never changed. */
  #ranges: readonly OverlayRange[] = []
  /** As they were asked for, in their order. */
  readonly #deleted: RangeOptions[] = []

  get isEmpty(): boolean {
    return this.#entries.size === 0 && this.#deleted.length === 0
  }

  get entries(): Iterable<OverlayEntry> {
    return this.#entries.values()
  }

  /** The arguments of the range deletes. */
  get deleted(): readonly RangeOptions[] {
    return this.#deleted
  }

  /** Deleted ranges, disjoint and ascending. The array stays as it is. */
  get ranges(): readonly OverlayRange[] {
    return this.#ranges
  }

  find(text: string): OverlayEntry | undefined {
    return this.#entries.get(text)
  }

  set(entry: OverlayEntry): void {
    this.#entries.set(entry.text, entry)
    if (this.#sorted !== undefined) this.#pending.push(entry)
  }

  /** `options` are kept for the commit; the bounds are theirs. */
  deleteRange(options: RangeOptions, start: string, end: string | undefined): void {
    this.#deleted.push(options)
    for (const text of this.#entries.keys()) {
      if (text >= start && (end === undefined || text < end)) this.#entries.delete(text)
    }
    this.#sorted = undefined
    this.#pending = []
    this.#addRange(start, end)
  }

  /** Entries from `start`, inclusive, to `end`, exclusive, in order. The caller's own array. */
  slice(start: string | undefined, end: string | undefined): OverlayEntry[] {
    if (this.#entries.size === 0) return []
    const sorted = this.#sort()
    return sorted.slice(start === undefined ? 0 : lowerBound(sorted, start), end === undefined ? sorted.length : lowerBound(sorted, end))
  }

  #sort(): OverlayEntry[] {
    const sorted = this.#sorted
    if (sorted === undefined || this.#pending.length > pendingMax) {
      this.#pending = []
      this.#sorted = [...this.#entries.values()].sort((left, right) => (left.text < right.text ? -1 : 1))
      return this.#sorted
    }
    for (const entry of this.#pending) {
      const at = lowerBound(sorted, entry.text)
      sorted.splice(at, sorted[at]?.text === entry.text ? 1 : 0, entry)
    }
    if (this.#pending.length > 0) this.#pending = []
    return sorted
  }

  #addRange(start: string, end: string | undefined): void {
    let from = start
    let to = end
    const before: OverlayRange[] = []
    const behind: OverlayRange[] = []
    for (const range of this.#ranges) {
      if (range.end !== undefined && range.end < from) before.push(range)
      else if (to !== undefined && range.start > to) behind.push(range)
      else {
        if (range.start < from) from = range.start
        if (range.end === undefined || (to !== undefined && range.end > to)) to = range.end
      }
    }
    this.#ranges = [...before, { start: from, end: to }, ...behind]
  }
}

/** The deleted range that covers the key. */
export function coveringRange(ranges: readonly OverlayRange[], text: string): OverlayRange | undefined {
  let from = 0
  let to = ranges.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((ranges[middle] as OverlayRange).start <= text) from = middle + 1
    else to = middle
  }
  const range = ranges[from - 1]
  return range === undefined || (range.end !== undefined && range.end <= text) ? undefined : range
}

/** A view made for each short key would cost more than the text. */
const scratch = Buffer.alloc(64)

/** Bytes as characters 0 to 255. */
export function textOfBytes(bytes: Uint8Array, start: number, size: number): string {
  if (size <= scratch.length) {
    for (let i = 0; i < size; i++) scratch[i] = bytes[start + i] as number
    return scratch.toString('latin1', 0, size)
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, size).toString('latin1')
}

export function bytesOfText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

function lowerBound(sorted: readonly OverlayEntry[], text: string): number {
  let from = 0
  let to = sorted.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((sorted[middle] as OverlayEntry).text < text) from = middle + 1
    else to = middle
  }
  return from
}
