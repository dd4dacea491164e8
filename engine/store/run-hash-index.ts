/**
 * Where each key of a run lies, as far as its blocks were used twice: a lookup touches one line of the index and the record, where filter, fence keys and
 * the search in the block touch a line each, or several.
 *
 *   slot := 0 | (block * 2^positionBits + position of the record in the block + 1) << tagBits | low bits of lane 1 of the key's hash
 *
 * A key's slot is floor(lane 1 * slots / 2^32), or the next one that is free. Runs never change, so what is in the index stays true whatever the cache does
 * with a block. Of several records of one key the newest is in the index; a key that might begin in the block before is not, nor one whose newest record is a
 * range delete. What it does not know must be looked for in the run's filter and blocks.
 *
 * Owned by the `CachedBlocks` of its run. It takes six bytes a key once the first block is added; blocks of a run that has one have no index of their own in the
 * cache (`block-frame.ts`).
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { type KeyHash, sameKey } from '../batch/store-keys.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import type { RunIndex } from '../segment/part-index.ts'
import { type BlockCache, offsetAt, slabAt } from './block-cache.ts'
import { bucketOf, eachKey, frameHeadBytes } from './block-frame.ts'

/** With fewer, more than one of sixteen other keys that are met on the way would be looked at. */
const tagBitsMin = 4
const noSlots = new Int32Array(1)

/** Bytes of the index of a run with so many keys. */
export function hashIndexBytes(keyCount: number): number {
  return (keyCount + (keyCount >>> 1) + 1) * 4
}

export class RunHashIndex {
  readonly #cache: BlockCache
  /** Of the run's blocks in the cache, by block. */
  readonly #places: Uint32Array
  /** Which of them were used, by block. */
  readonly #used: Uint8Array
  readonly #keyCount: number
  readonly #positionBits: number
  readonly #tagBits: number
  /** By block: whether its keys are in the index. */
  readonly #isAdded: Uint8Array
  /** No key has records in two blocks. */
  readonly #isDistinct: boolean
  /** Keys that were added. */
  #count = 0
  /** Made for the first block; never full. */
  #slots: Int32Array = noSlots

  /**
   * Of the blocks at `places`, whose uses are `used`. Undefined for a run whose positions need more bits than there are, or without keys.
   */
  static of(index: RunIndex, cache: BlockCache, places: Uint32Array, used: Uint8Array): RunHashIndex | undefined {
    let contentBytesMax = 1
    for (let block = 0; block < index.blockCount; block++) contentBytesMax = Math.max(contentBytesMax, index.contentBytes(block))
    const positionBits = Math.ceil(Math.log2(contentBytesMax))
    const tagBits = 32 - positionBits - Math.ceil(Math.log2(index.blockCount + 1))
    if (tagBits < tagBitsMin || index.filter === undefined) return undefined
    return new RunHashIndex(index, cache, { places, used, keyCount: index.filter.keyCount, positionBits, tagBits })
  }

  private constructor(
    index: RunIndex,
    cache: BlockCache,
    parts: {
      readonly places: Uint32Array
      readonly used: Uint8Array
      readonly keyCount: number
      readonly positionBits: number
      readonly tagBits: number
    },
  ) {
    const { puts, deletes, pointers } = index.facts()
    this.#cache = cache
    this.#places = parts.places
    this.#used = parts.used
    this.#keyCount = parts.keyCount
    this.#positionBits = parts.positionBits
    this.#tagBits = parts.tagBits
    this.#isAdded = new Uint8Array(index.blockCount)
    this.#isDistinct = puts + deletes + pointers === parts.keyCount
  }

  /** Of the slots, once they are there. */
  get byteLength(): number {
    return this.#slots === noSlots ? 0 : this.#slots.byteLength
  }

  /**
   * Puts the key's newest record under `record` if it is known, its block is in the cache, and the moment sees it. False says nothing: the key may be in the
   * run all the same.
   */
  find(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): boolean {
    const slots = this.#slots
    const tagBits = this.#tagBits
    const lane = hash[1]!
    // What differs in these bits only is another tag.
    const tagMask = (1 << tagBits) - 1
    for (let slot = bucketOf(lane, slots.length); ; ) {
      const entry = slots[slot]!
      if (entry === 0) return false
      if (((entry ^ lane) & tagMask) === 0) {
        const location = (entry >>> tagBits) - 1
        const block = location >>> this.#positionBits
        const place = this.#places[block]!
        if (place !== 0) {
          const { bytes } = slabAt(this.#cache, place)
          record.readAt(bytes, offsetAt(place) + frameHeadBytes + (location & ((1 << this.#positionBits) - 1)), bytes.length)
          if (record.keyBytes === size && sameKey(bytes, record.keyStart, key, start, size)) {
            if (record.sequence > sequenceMax) return false
            this.#used[block] = 1
            return true
          }
        }
      }
      if (++slot === slots.length) slot = 0
    }
  }

  /** Adds the keys of a block that is in the cache, unless they were added before. */
  add(block: number): void {
    if (this.#isAdded[block] !== 0) return
    this.#isAdded[block] = 1
    if (this.#slots === noSlots) {
      this.#slots = new Int32Array(hashIndexBytes(this.#keyCount) / 4)
      this.#cache.countKeys(this.byteLength)
    }
    const slots = this.#slots
    const tagBits = this.#tagBits
    const first = block * 2 ** this.#positionBits + 1
    let mayBegin = this.#isDistinct || block === 0
    const place = this.#places[block]!
    assert(place !== 0, 'a block that is added is in the cache', block)
    eachKey(slabAt(this.#cache, place), offsetAt(place), (position, kind, lane) => {
      if (mayBegin && kind !== STORE_RANGE_DELETE) {
        this.#count++
        assert(this.#count <= this.#keyCount, 'a run has as many keys as its filter', this.#count, this.#keyCount)
        let slot = bucketOf(lane, slots.length)
        while (slots[slot] !== 0) if (++slot === slots.length) slot = 0
        slots[slot] = ((first + position) << tagBits) | (lane & ((1 << tagBits) - 1))
      }
      mayBegin = true
    })
  }

  /** The run is gone: it knows nothing any more. */
  clear(): void {
    this.#cache.countKeys(-this.byteLength)
    this.#slots = noSlots
    this.#isAdded.fill(1)
  }
}
