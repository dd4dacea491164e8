/**
 * The keys of one run block as numbers, side by side: a lookup in a block that is in memory touches two or three cache lines instead of one a probe.
 *
 * Made for blocks that are looked at again (`CachedBlocks`), from a block whose checksum was checked. `prefixes[i]` is the four key bytes of record
 * i behind what all keys of the block have in common; equal numbers leave it to whole keys.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { readU32LE } from '../codec/fixed-width.ts'

const cursor = new StoreRecordCursor()

export class BlockKeys {
  readonly count: number
  /** Bytes that all keys of the block have in common; they stand at `#first` of the block. */
  readonly #common: number
  readonly #first: number
  /** Prefixes, then positions. */
  readonly #numbers: Uint32Array

  /** `table`: where the block's records end and its offset table begins. */
  constructor(block: Uint8Array, table: number) {
    const count = (block.length - 4 - table) >>> 2
    const numbers = new Uint32Array(count * 2)
    const last = new StoreRecordCursor()
    cursor.readAt(block, readU32LE(block, table), table)
    last.readAt(block, readU32LE(block, table + (count - 1) * 4), table)
    const shorter = Math.min(cursor.keyBytes, last.keyBytes)
    let common = 0
    while (common < shorter && block[cursor.keyStart + common] === block[last.keyStart + common]) common++
    this.count = count
    this.#common = common
    this.#first = cursor.keyStart
    this.#numbers = numbers
    for (let i = 0; i < count; i++) {
      const position = readU32LE(block, table + i * 4)
      cursor.readAt(block, position, table)
      numbers[i] = prefixOf(block, cursor.keyStart + common, cursor.keyStart + cursor.keyBytes)
      numbers[count + i] = position
    }
  }

  get byteLength(): number {
    return this.#numbers.byteLength
  }

  position(index: number): number {
    return this.#numbers[this.count + index] as number
  }

  /** First record whose key may be >= the key by its number; the caller compares whole keys from there on. `count` when all are smaller. */
  find(block: Uint8Array, key: Uint8Array, start: number, size: number): number {
    const common = this.#common
    const order = compareKeys(key, start, size < common ? size : common, block, this.#first, common)
    if (order !== 0) return order < 0 ? 0 : this.count
    const prefix = prefixOf(key, start + common, start + size)
    const numbers = this.#numbers
    let from = 0
    let to = this.count
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((numbers[middle] as number) < prefix) from = middle + 1
      else to = middle
    }
    return from
  }
}

/** Four bytes as a number; zeros behind the end. */
function prefixOf(bytes: Uint8Array, start: number, end: number): number {
  if (start + 4 <= end) return ((bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!) >>> 0
  let prefix = 0
  for (let i = 0; i < 4; i++) prefix = (prefix << 8) | (start + i < end ? bytes[start + i]! : 0)
  return prefix >>> 0
}
