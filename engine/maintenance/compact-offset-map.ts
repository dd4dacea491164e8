/**
 * The last offset of each key, while a topic is compacted: Kafka's offset map. An open-addressing table off the heap, 24 bytes an entry:
 * a 128-bit hash of the key (two seeds of the key hash) and the offset plus one. Keys themselves are not kept, so two keys with one hash
 * would count as one; with a seed that nobody can guess that is as improbable as 128 bits make it. The table begins small and doubles, since
 * every look-up in a large one costs a cache miss; only at its full size is it filled beyond a half.
 *
 * Invariant: `size <= capacity`, so that a free slot always ends a search; entries are never removed.
 */
import { createKeyHash, hashKey, type KeyHash } from '../batch/store-keys.ts'
import { assert } from '../errors.ts'

export const OFFSET_MAP_ENTRY_BYTES = 24
const loadMax = 0.9
const slotsFirst = 16 * 1024
const words = OFFSET_MAP_ENTRY_BYTES / 4

export class OffsetMap {
  /** Keys that fit. */
  readonly capacity: number
  /** Keys in the map. */
  size = 0
  #table: Int32Array
  #slots: number
  readonly #slotsMax: number
  readonly #seedFirst: number
  readonly #seedSecond: number
  readonly #first: KeyHash = createKeyHash()
  readonly #second: KeyHash = createKeyHash()

  constructor(bytes: number, seed: number = 0) {
    this.#slotsMax = Math.floor(bytes / OFFSET_MAP_ENTRY_BYTES)
    assert(this.#slotsMax >= 2, 'an offset map has room', bytes)
    this.capacity = Math.floor(this.#slotsMax * loadMax)
    this.#slots = Math.min(slotsFirst, this.#slotsMax)
    this.#table = new Int32Array(this.#slots * words)
    this.#seedFirst = seed | 0
    this.#seedSecond = Math.imul(seed ^ 0x27d4eb2f, 0x165667b1)
  }

  /** Records that the key occurs at `offset`, which grows from call to call. False when the map is full and does not know the key. */
  put(buffer: Uint8Array, start: number, size: number, offset: number): boolean {
    if (this.size * 2 >= this.#slots && this.#slots < this.#slotsMax) this.#grow()
    const at = this.#find(buffer, start, size)
    const table = this.#table
    if (table[at + 4] === 0 && table[at + 5] === 0) {
      if (this.size === this.capacity) return false
      this.size++
      table[at] = this.#first[0]!
      table[at + 1] = this.#first[1]!
      table[at + 2] = this.#second[0]!
      table[at + 3] = this.#second[1]!
    }
    table[at + 4] = (offset + 1) | 0
    table[at + 5] = Math.floor((offset + 1) / 0x1_0000_0000)
    return true
  }

  /** The last offset of the key; -1 when it is not in the map. */
  get(buffer: Uint8Array, start: number, size: number): number {
    const at = this.#find(buffer, start, size)
    return this.#table[at + 5]! * 0x1_0000_0000 + (this.#table[at + 4]! >>> 0) - 1
  }

  #grow(): void {
    const old = this.#table
    this.#slots = Math.min(this.#slots * 2, this.#slotsMax)
    const table = new Int32Array(this.#slots * words)
    for (let from = 0; from < old.length; from += words) {
      if (old[from + 4] === 0 && old[from + 5] === 0) continue
      let at = this.#home(old[from]!)
      while (table[at + 4] !== 0 || table[at + 5] !== 0) at = at + words === table.length ? 0 : at + words
      for (let i = 0; i < words; i++) table[at + i] = old[from + i]!
    }
    this.#table = table
  }

  /** Where a search for a key with this first lane begins. */
  #home(lane: number): number {
    return Math.floor(((lane >>> 0) * this.#slots) / 0x1_0000_0000) * words
  }

  /** Where the key's entry lies, or the free slot where it would; leaves its hash in `#first` and `#second`. */
  #find(buffer: Uint8Array, start: number, size: number): number {
    hashKey(buffer, start, size, this.#first, this.#seedFirst)
    hashKey(buffer, start, size, this.#second, this.#seedSecond)
    const a = this.#first[0]!
    const b = this.#first[1]!
    const c = this.#second[0]!
    const d = this.#second[1]!
    const table = this.#table
    let at = this.#home(a)
    for (;;) {
      if (table[at + 4] === 0 && table[at + 5] === 0) return at
      if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d) return at
      at = at + words === table.length ? 0 : at + words
    }
  }
}
