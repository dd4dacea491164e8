/**
 * What a transaction's own writes to a store mean for one of its indexes: entries that they make, and stored entries that they hide.
 *
 * Made by the transaction's part when an index is first queried, and told of every write after that. Writes are looked at when the next query begins
 * (`version`), so a key that is written many times is decoded once.
 *
 * Invariant: after `update`, `entries` holds the index entries of the live own puts, each with the record's value and expiry; what an own write has
 * made and a later one unmade is a delete in it.
 */
import { entriesOfValue, keyText, primaryKeyOf } from './index-entries.ts'
import type { Index } from './indexes.ts'
import { coveringRange, KeyRanges, type OverlayRange } from './key-ranges.ts'
import { Overlay, type OverlayEntry } from './overlay.ts'

export class IndexOverlay {
  readonly index: Index
  /** By the bytes of index entries; values and expiries are those of the records. */
  readonly entries: Overlay = new Overlay()
  /** How often writes were taken in: iterators see what was there when they were made. */
  version = 0
  readonly #store: Overlay
  readonly #decode: (entry: OverlayEntry) => unknown
  /** Text of each primary key that was written -> the version that took the first write in. Never forgotten. */
  readonly #written = new Map<string, number>()
  /** Text of a primary key -> its entries in `entries`. */
  readonly #made = new Map<string, readonly OverlayEntry[]>()
  /** Written since the last look. */
  readonly #dirty = new Set<string>()
  /** Deleted since the last look. */
  readonly #deleted = new KeyRanges()

  /** `store`: the own writes to the store, some of them made already. `decode`: the value of a put. */
  constructor(index: Index, store: Overlay, decode: (entry: OverlayEntry) => unknown) {
    this.index = index
    this.#store = store
    this.#decode = decode
    for (const { text } of store.entries) this.#dirty.add(text)
  }

  /** The key was put or deleted. */
  wrote(text: string): void {
    this.#dirty.add(text)
  }

  /** Keys from `start` (inclusive) to `end` (exclusive, undefined: to the end) were deleted. */
  deletedRange(start: string, end: string | undefined): void {
    if (this.#made.size > 0 && (end === undefined || start < end)) this.#deleted.add(start, end)
  }

  /** Takes in what was written. TOO_LARGE when a value and its key are too large for an entry: nothing of that key was taken in. */
  update(): void {
    if (!this.#deleted.isEmpty) {
      for (const text of this.#made.keys()) if (this.#deleted.covering(text) !== undefined) this.#dirty.add(text)
      this.#deleted.clear()
    }
    if (this.#dirty.size === 0) return
    this.version++
    for (const text of this.#dirty) {
      this.#take(text)
      this.#dirty.delete(text)
    }
  }

  /** Whether an own write takes the place of this stored entry. `version` and `deleted`: of the time of the query. */
  hides(buffer: Uint8Array, start: number, end: number, version: number, deleted: readonly OverlayRange[]): boolean {
    if (this.#written.size === 0 && deleted.length === 0) return false
    const text = keyText(primaryKeyOf(buffer, start, end))
    const written = this.#written.get(text)
    return (written !== undefined && written <= version) || coveringRange(deleted, text) !== undefined
  }

  #take(text: string): void {
    const own = this.#store.find(text)
    const fresh = own?.value === undefined ? undefined : entriesOfValue(this.index.rule, this.#decode(own), own.bytes)
    if (!this.#written.has(text)) this.#written.set(text, this.version)
    for (const old of this.#made.get(text) ?? []) {
      if (fresh === undefined || !fresh.has(old.text)) this.entries.set({ ...old, value: undefined })
    }
    const made: OverlayEntry[] = []
    for (const [entryText, bytes] of fresh ?? []) made.push({ text: entryText, bytes, value: own?.value, expiry: own?.expiry ?? 0 })
    for (const entry of made) this.entries.set(entry)
    if (made.length > 0) this.#made.set(text, made)
    else this.#made.delete(text)
  }
}
