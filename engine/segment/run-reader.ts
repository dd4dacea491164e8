/**
 * Reading runs: `RunReader` looks up one key, `RunCursor` walks records in order, both ways.
 *
 * Neither makes an object per record: both put the record they found under `record`, a `StoreRecordCursor` whose fields and buffer hold until
 * the next call. `RunReader` takes whole blocks from a source that may cache them; `RunCursor` goes from block to block by `RunBlocks`. What expiry,
 * deletes and range deletes mean is decided above.
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey, type KeyHash } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { readU32LE } from '../codec/fixed-width.ts'
import { corrupt } from '../errors.ts'
import type { RunIndex } from './part-index.ts'
import type { SegmentReader } from './reader.ts'
import { lowerBound, type RunBlockSource, RunBlocks, type RunBlocksOptions, runBlockTable } from './run-blocks.ts'

export class RunReader {
  readonly index: RunIndex
  /** What `get` found. */
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  /** Calls of `get` that the filter answered. */
  filtered = 0
  readonly #reader: SegmentReader
  readonly #part: number
  readonly #source: RunBlockSource | undefined
  readonly #hash: KeyHash = createKeyHash()
  /** Without a source: the block read last. */
  #block = -1
  #blockBytes: Uint8Array = new Uint8Array(0)

  constructor(reader: SegmentReader, part: number, source?: RunBlockSource) {
    this.#reader = reader
    this.#part = part
    this.#source = source
    this.index = reader.runIndex(part)
  }

  /**
   * Finds the newest put, delete or pointer of the key with a sequence of at most `sequenceMax`; false when there is none. Range deletes are
   * not looked at: see `index.rangeDeletes`. `hash` is the key hash with seed 0, if the caller has it.
   */
  get(key: Uint8Array, start: number, size: number, hash?: KeyHash, sequenceMax: number = Number.MAX_SAFE_INTEGER): boolean {
    const { filter } = this.index
    if (filter === undefined) return false
    if (hash === undefined) {
      hashKey(key, start, size, this.#hash)
      hash = this.#hash
    }
    if (!filter.mayContain(hash)) {
      this.filtered++
      return false
    }
    const { index, record } = this
    let block = Math.max(0, index.findFence(key, start, size) - 1)
    let at = -1
    for (; block < index.blockCount; block++) {
      const bytes = this.#load(block)
      const table = this.#table(bytes, block)
      const count = (bytes.length - 4 - table) >>> 2
      const keys = at < 0 ? this.#source?.keys?.(block) : undefined
      if (keys !== undefined) at = keys.find(bytes, key, start, size)
      else at = at < 0 ? lowerBound(bytes, 0, table, count, key, start, size) : 0
      for (; at < count; at++) {
        record.readAt(bytes, keys === undefined ? readU32LE(bytes, table + at * 4) : keys.position(at), table)
        const order = compareKeys(record.buffer, record.keyStart, record.keyBytes, key, start, size)
        // By number alone the search may have stopped a little early.
        if (order < 0) continue
        if (order > 0) return false
        if (record.kind !== STORE_RANGE_DELETE && record.sequence <= sequenceMax) return true
      }
    }
    return false
  }

  #load(block: number): Uint8Array {
    if (this.#source !== undefined) return this.#source.block(block)
    if (this.#block !== block) {
      this.#blockBytes = this.#reader.readBlocks(this.#part, block, 0).bytes
      this.#block = block
    }
    return this.#blockBytes
  }

  #table(bytes: Uint8Array, block: number): number {
    const table = runBlockTable(bytes, 0, bytes.length)
    if (table <= 0) throw corrupt('run block has an impossible offset table', this.#reader.path, this.index.position(block), { block })
    return table
  }
}

/** Walks a run both ways, one record at a time. */
export class RunCursor {
  /** The current record. Without a source its buffer is reused by the next move: copy what is kept. */
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  readonly #blocks: RunBlocks
  /** Current record of the current block. */
  #at = 0

  constructor(reader: SegmentReader, part: number, options: RunBlocksOptions = {}) {
    this.#blocks = new RunBlocks(reader, part, options)
  }

  get index(): RunIndex {
    return this.#blocks.index
  }

  /** Moves to the first record with a key >= the given one; false when there is none. */
  seek(key: Uint8Array, start: number = 0, size: number = key.length): boolean {
    const blocks = this.#blocks
    const { index } = blocks
    const first = Math.max(0, index.findFence(key, start, size) - 1)
    for (let block = first; block < index.blockCount; block++) {
      blocks.enter(block, 1, true)
      this.#at = blocks.lowerBound(key, start, size)
      if (this.#at < blocks.count) return this.#readCurrent()
    }
    return this.#leave(index.blockCount)
  }

  first(): boolean {
    return this.#enter(0, 1, true)
  }

  last(): boolean {
    return this.#enter(this.index.blockCount - 1, -1, true)
  }

  /** To the next record; from before the first one, to the first. False behind the last. */
  next(): boolean {
    const blocks = this.#blocks
    if (++this.#at < blocks.count) return this.record.next()
    return this.#enter(blocks.block + 1, 1, false)
  }

  /** To the record before; from behind the last one, to the last. False before the first. */
  previous(): boolean {
    const blocks = this.#blocks
    if (--this.#at >= 0 && blocks.count > 0) return this.#readCurrent()
    return this.#enter(blocks.block - 1, -1, false)
  }

  /** To the first record of a block, or the last one when the walk goes back. */
  #enter(block: number, direction: number, isJump: boolean): boolean {
    const blocks = this.#blocks
    if (block < 0) return this.#leave(-1)
    if (block >= this.index.blockCount) return this.#leave(this.index.blockCount)
    blocks.enter(block, direction, isJump)
    this.#at = direction > 0 ? 0 : blocks.count - 1
    return this.#readCurrent()
  }

  #leave(block: number): false {
    this.#blocks.leave(block)
    this.#at = 0
    return false
  }

  #readCurrent(): true {
    const blocks = this.#blocks
    this.record.readAt(blocks.bytes, blocks.position(this.#at), blocks.table)
    return true
  }
}
