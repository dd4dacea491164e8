/**
 * A run as a store reads it: one part of a sealed segment, with its filter and fence keys in memory and its blocks through the cache.
 *
 * Made by the store's table when a part becomes live, forgotten when it is no longer. Above the bottom level everything in a run is older than
 * everything in a run with a larger `firstOffset`; `run-level.ts` has the bottom and the order of all.
 */
import type { KeyHash } from '../batch/store-keys.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { PartRef } from '../log/parts.ts'
import type { KeyRange } from '../segment/key-range.ts'
import type { RunIndex } from '../segment/part-index.ts'
import { type RunBlockSource, RunBlocks } from '../segment/run-blocks.ts'
import { RunCursor } from '../segment/run-reader.ts'
import type { TurningMemory } from '../segment/scratch-memory.ts'
import type { BlockCache } from './block-cache.ts'
import { FRAME_BEHIND, FRAME_FOUND } from './block-frame.ts'
import { CachedBlocks } from './cached-blocks.ts'
import { RangeDeletes } from './range-deletes.ts'

/** What a store's reads go through: one run, or all pieces of the bottom level. */
export interface SortedRun {
  readonly smallestSequence: number
  /** Of the newest record. */
  readonly largestSequence: number
  readonly hasRangeDeletes: boolean
  /** Range delete records, back to back. */
  readonly rangeDeletes: Uint8Array
  /** Memory of index sections and filters, bytes; of those that were read. */
  readonly indexBytes: number
  /** In key order. */
  readonly pieces: readonly Run[]
  /**
   * Newest put, delete or pointer of the key with a sequence <= `sequenceMax`: true, and `record` stands on it, where its bytes hold until the next
   * lookup in any run.
   */
  find(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): boolean
  /** Makes sure that the block that may hold the key is in the cache, without blocking the thread. */
  warm(key: Uint8Array, start: number, size: number, hash: KeyHash): Promise<void>
  /** Number of the last piece that begins at the key or before it; -1 when all begin behind it. */
  pieceNumber(key: Uint8Array, start: number, size: number): number
  /** The piece that may hold the key. */
  pieceOf(key: Uint8Array, start: number, size: number): Run | undefined
  /** Largest sequence <= `sequenceMax` of a range delete that covers the key; -1 when there is none. */
  coveringRangeDelete(key: Uint8Array, start: number, size: number, sequenceMax: number): number
  cursor(): OrderedCursor
}

/** Walks records in order, both ways; see `RunCursor`. */
export interface OrderedCursor {
  readonly record: StoreRecordCursor
  seek(key: Uint8Array, start?: number, size?: number): boolean
  first(): boolean
  last(): boolean
  next(): boolean
  previous(): boolean
}

const noBytes = new Uint8Array(0)

export class Run implements SortedRun {
  readonly part: PartRef
  /** A piece of the bottom level: the range of keys that it stands for. */
  readonly range: KeyRange
  readonly smallestSequence: number
  readonly largestSequence: number
  readonly hasRangeDeletes: boolean
  /** Lookups of one key, those that the filter answered, and those that found a record. */
  lookups = 0
  filtered = 0
  found = 0
  readonly pieces: readonly Run[]
  readonly #cache: BlockCache
  /** Read when somebody looks into the run. */
  #index: RunIndex | undefined
  #blocks: CachedBlocks | undefined
  #isGone = false
  #source: RunBlockSource | undefined
  #deletes: RangeDeletes | undefined

  constructor(part: PartRef, cache: BlockCache) {
    const { reader } = part
    this.part = part
    this.smallestSequence = reader.directory.minSequence(part.part)
    this.largestSequence = reader.directory.maxSequence(part.part)
    const { range, hasRangeDeletes } = reader.summary(part.part)
    this.range = range
    this.hasRangeDeletes = hasRangeDeletes
    this.pieces = [this]
    this.#cache = cache
  }

  get index(): RunIndex {
    if (this.#index !== undefined) return this.#index
    this.#index = this.part.reader.runIndex(this.part.part)
    if (!this.#isGone) this.#cache.countBeside(this.#memoryBytes)
    return this.#index
  }

  get rangeDeletes(): Uint8Array {
    return this.hasRangeDeletes ? this.index.rangeDeletes : noBytes
  }

  get indexBytes(): number {
    return this.#index?.bytes.byteLength ?? 0
  }

  /** Of the index section, with the numbers made of its fence keys, and the places of blocks. */
  get #memoryBytes(): number {
    return this.#index === undefined ? 0 : this.#index.bytes.byteLength + 12 * this.#index.blockCount
  }

  get #cached(): CachedBlocks {
    if (this.#blocks !== undefined) return this.#blocks
    this.#blocks = new CachedBlocks(this.#cache, this.part.reader, this.part.part)
    if (this.#isGone) this.#blocks.clear()
    return this.#blocks
  }

  /** For walks. */
  get #walked(): RunBlockSource {
    if (this.#source !== undefined) return this.#source
    const blocks = this.#cached
    this.#source = {
      block: block => blocks.block(block),
      peek: block => blocks.peek(block),
      keep: (block, bytes) => blocks.keep(block, bytes),
      offer: (block, bytes) => blocks.offer(block, bytes),
      keys: block => blocks.keys(block),
    }
    return this.#source
  }

  pieceNumber(): number {
    return 0
  }

  pieceOf(): this {
    return this
  }

  find(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): boolean {
    this.lookups++
    const { index } = this
    const { filter } = index
    if (filter === undefined) return false
    const blocks = this.#cached
    // Where most keys are found the filter is asked only about those that the hash index does not know.
    const isLikely = this.found * 2 >= this.lookups
    if (isLikely && blocks.findIndexed(key, start, size, hash, sequenceMax, record)) {
      this.found++
      return true
    }
    if (!filter.mayContain(hash)) {
      this.filtered++
      return false
    }
    if (!isLikely && blocks.findIndexed(key, start, size, hash, sequenceMax, record)) {
      this.found++
      return true
    }
    for (let block = index.findBlock(key, start, size); ; block++) {
      const found = blocks.find(block, key, start, size, hash, sequenceMax, record)
      if (found === FRAME_FOUND) {
        this.found++
        return true
      }
      if (found !== FRAME_BEHIND || block + 1 === index.blockCount || !index.beginsWith(block + 1, key, start, size)) return false
    }
  }

  async warm(key: Uint8Array, start: number, size: number, hash: KeyHash): Promise<void> {
    const { index, part } = this
    if (index.filter?.mayContain(hash) !== true) return
    const block = index.findBlock(key, start, size)
    if (block >= index.blockCount || this.#cached.has(block)) return
    const { bytes } = await part.reader.readBlocksAsync(part.part, block, 0)
    this.#cached.keep(block, bytes)
  }

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

  cursor(): RunCursor {
    return new RunCursor(this.part.reader, this.part.part, { source: this.#walked })
  }

  /** For a walk over blocks; see `RunBlocks`. */
  blocks(memory: TurningMemory): RunBlocks {
    return new RunBlocks(this.part.reader, this.part.part, { source: this.#walked, memory })
  }

  forget(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#cache.countBeside(-this.#memoryBytes)
    this.#blocks?.clear()
  }
}
