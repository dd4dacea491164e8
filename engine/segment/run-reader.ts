/**
 * Reading runs: `RunCursor` walks records in order, both ways. (One key is looked up through the cache of blocks, `store/run.ts`.)
 *
 * It makes no object per record: what it stands on is under `record`, a `StoreRecordCursor` whose fields and buffer hold until the next call. From block to
 * block it goes by `RunBlocks`. What expiry, deletes and range deletes mean is decided above.
 */
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { RunIndex } from './part-index.ts'
import type { SegmentReader } from './reader.ts'
import { RunBlocks, type RunBlocksOptions } from './run-blocks.ts'

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
    const first = index.findBlock(key, start, size)
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

  /** Ends a walk; the record is not valid any more. Another one may begin. */
  release(): void {
    this.#blocks.release()
    this.#at = 0
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
