/**
 * A run as a store reads it: one part of a sealed segment, with its filter and fence keys in memory and its blocks through the cache.
 *
 * Made by the store's table when a part becomes live, forgotten when it is no longer. Invariant: everything in a run is older than
 * everything in a run with a larger `firstOffset`, since runs of one log have disjoint ranges of offsets.
 */
import type { KeyHash } from '../batch/store-keys.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { PartRef } from '../log/parts.ts'
import type { RunIndex } from '../segment/part-index.ts'
import { type RunBlockSource, RunCursor, RunReader } from '../segment/run-reader.ts'
import type { BlockCache, CachedBlocks } from './block-cache.ts'
import { RangeDeletes } from './range-deletes.ts'

export class Run {
  readonly part: PartRef
  readonly index: RunIndex
  readonly smallestSequence: number
  /** Of its newest record. */
  readonly largestSequence: number
  readonly hasRangeDeletes: boolean
  /** Lookups of one key, and those that found a record. */
  lookups = 0
  found = 0
  readonly #blocks: CachedBlocks
  readonly #source: RunBlockSource
  readonly #reader: RunReader
  #deletes: RangeDeletes | undefined

  constructor(part: PartRef, cache: BlockCache) {
    const { reader } = part
    this.part = part
    this.index = reader.runIndex(part.part)
    this.smallestSequence = reader.directory.minSequence(part.part)
    this.largestSequence = reader.directory.maxSequence(part.part)
    this.hasRangeDeletes = this.index.rangeDeletes.length > 0
    const blocks = cache.blocksOf(this.index.blockCount)
    this.#blocks = blocks
    this.#source = {
      block: block => {
        const cached = blocks.get(block)
        if (cached !== undefined) return cached
        const { bytes } = reader.readBlocks(part.part, block, 0)
        blocks.put(block, bytes)
        return bytes
      },
      peek: block => blocks.peek(block),
      keys: block => blocks.keys(block),
    }
    this.#reader = new RunReader(reader, part.part, this.#source)
  }

  /** What `find` found; holds until the next call. */
  get record(): StoreRecordCursor {
    return this.#reader.record
  }

  /** Lookups that the filter answered. */
  get filtered(): number {
    return this.#reader.filtered
  }

  /** Memory of index section and filter, bytes. */
  get indexBytes(): number {
    return this.index.bytes.byteLength
  }

  /** Newest put, delete or pointer of the key with a sequence <= `sequenceMax`: true, and `record` stands on it. */
  find(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number): boolean {
    this.lookups++
    if (!this.#reader.get(key, start, size, hash, sequenceMax)) return false
    this.found++
    return true
  }

  /** Makes sure that the block that may hold the key is in the cache, without blocking the thread. */
  async warm(key: Uint8Array, start: number, size: number, hash: KeyHash): Promise<void> {
    const { index, part } = this
    if (index.filter?.mayContain(hash) !== true) return
    const block = Math.max(0, index.findFence(key, start, size) - 1)
    if (block >= index.blockCount || this.#blocks.peek(block) !== undefined) return
    const { bytes } = await part.reader.readBlocksAsync(part.part, block, 0)
    this.#blocks.put(block, bytes)
  }

  /** Largest sequence <= `sequenceMax` of a range delete that covers the key; -1 when there is none. */
  coveringRangeDelete(key: Uint8Array, start: number, size: number, sequenceMax: number): number {
    if (sequenceMax >= this.largestSequence) return this.#allDeletes().covering(key, start, size)
    let found = -1
    const cursor = new StoreRecordCursor()
    const { rangeDeletes } = this.index
    cursor.reset(rangeDeletes, 0, rangeDeletes.length)
    while (cursor.next()) {
      const { buffer, keyStart, keyBytes, valueStart, valueBytes, sequence } = cursor
      if (sequence > sequenceMax || sequence <= found) continue
      if (compareKeys(buffer, keyStart, keyBytes, key, start, size) > 0) continue
      if (compareKeys(buffer, valueStart, valueBytes, key, start, size) > 0) found = sequence
    }
    return found
  }

  /** Cut when the first read asks that sees all of the run; others, of older snapshots, go through them one by one. */
  #allDeletes(): RangeDeletes {
    if (this.#deletes !== undefined) return this.#deletes
    const deletes = new RangeDeletes()
    const cursor = new StoreRecordCursor()
    const { rangeDeletes } = this.index
    cursor.reset(rangeDeletes, 0, rangeDeletes.length)
    while (cursor.next()) deletes.add(cursor)
    this.#deletes = deletes
    return deletes
  }

  cursor(bytesMax?: number): RunCursor {
    return new RunCursor(this.part.reader, this.part.part, { source: this.#source, ...(bytesMax === undefined ? {} : { bytesMax }) })
  }

  forget(): void {
    this.#blocks.clear()
  }
}

/** Order of a table's runs. */
export function newestRunFirst(left: Run, right: Run): number {
  return right.part.firstOffset - left.part.firstOffset
}
