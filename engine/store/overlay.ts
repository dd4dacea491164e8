/**
 * What a transaction has written to one store so far: the last put or delete of each key, and the ranges it deleted.
 *
 * Owned by a transaction's part (`transaction-part.ts`), which reads through it and turns it into rows when it commits. Keys are kept as texts of
 * the characters 0 to 255, one a byte: strings compare as their bytes do, and a `Map` finds them.
 *
 * Invariants: an entry never changes (a later write replaces it), and no entry is older than a deleted range that covers it: such entries are
 * taken out. So the ranges first and then the entries, in any order, are the transaction's writes; and a slice that was handed out stays as it is.
 */
import { KeyRanges, type OverlayRange } from './key-ranges.ts'
import { SortedEntries } from './sorted-entries.ts'
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

export class Overlay {
  readonly #entries = new Map<string, OverlayEntry>()
  /** The same in order; undefined until a range is read or deleted. */
  #sorted: SortedEntries<OverlayEntry> | undefined
  readonly #ranges = new KeyRanges()
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
    return this.#ranges.list
  }

  /** The deleted range that covers the key. */
  coveringRange(text: string): OverlayRange | undefined {
    return this.#ranges.covering(text)
  }

  find(text: string): OverlayEntry | undefined {
    return this.#entries.get(text)
  }

  set(entry: OverlayEntry): void {
    this.#entries.set(entry.text, entry)
    this.#sorted?.set(entry)
  }

  /** `options` are kept for the commit; the bounds are theirs. */
  deleteRange(options: RangeOptions, start: string, end: string | undefined): void {
    this.#deleted.push(options)
    if (end !== undefined && start >= end) return
    if (this.#entries.size > 0) for (const { text } of this.#sort().remove(start, end)) this.#entries.delete(text)
    this.#ranges.add(start, end)
  }

  /** Entries from `start`, inclusive, to `end`, exclusive, in order. The caller's own array. */
  slice(start: string | undefined, end: string | undefined): OverlayEntry[] {
    if (this.#entries.size === 0) return []
    return this.#sort().slice(start, end)
  }

  #sort(): SortedEntries<OverlayEntry> {
    this.#sorted ??= new SortedEntries(this.#entries.values())
    return this.#sorted
  }
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
