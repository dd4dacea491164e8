/**
 * The blocks of one run, one after the other, for whoever walks over its records: which one is read when, and what is read with it.
 *
 * Used by `RunCursor` and by the windows of a store's scans. Without a source blocks are read ahead into an array that is used again; with one (a cache),
 * the first blocks behind a jump come from it or go into it. Later ones come from it where they are at hand, and go into it only if that takes the place of nothing and
 * they were decompressed: to read and check others again costs less than to copy them into fresh memory. Then bytes stay as they are for ever, or, where the walk gave
 * memory, until the read after the next.
 * Invariant: after `enter` the block's records are `bytes[start, table)`, and its offset table has `count` entries from `table` on.
 */
import { RecordsText } from '../batch/records-text.ts'
import { compareRecordKey, StoreRecordCursor } from '../batch/store-record.ts'
import { readU32LE } from '../codec/fixed-width.ts'
import { assert, corrupt } from '../errors.ts'
import type { BlockKeys } from './block-keys.ts'
import type { RunIndex } from './part-index.ts'
import type { SegmentReader } from './reader.ts'
import { giveBytes, type TurningMemory, takeBytes } from './scratch-memory.ts'

/** Gives whole checked blocks, each as an array of its own that begins with the block. */
export interface RunBlockSource {
  block(block: number): Uint8Array
  /** The block if it is at hand, without reading or keeping it. */
  peek?(block: number): Uint8Array | undefined
  /** A block that was read and is likely to be read again, in memory that stays as it is. */
  keep?(block: number, bytes: Uint8Array): void
  /** A block that a walk has read and decompressed: to be kept if that takes the place of nothing. */
  offer?(block: number, bytes: Uint8Array): void
  /** Numbers for the keys of a block that `block` gave just now, if it is worth having them. */
  keys?(block: number): BlockKeys | undefined
}

/** Where the records of a block end and its offset table begins: `[start, end)` is the block in `buffer`. */
export function runBlockTable(buffer: Uint8Array, start: number, end: number): number {
  const count = readU32LE(buffer, end - 4)
  return Math.max(start - 1, end - 4 - count * 4)
}

export interface RunBlocksOptions {
  /** How many bytes are read ahead at most; the first read takes one block, or what is wanted. Default 256 KiB. */
  readonly bytesMax?: number | undefined
  /** The blocks that a jump leads to and the first ones behind it come from here, and later ones that are at hand; the others are read ahead. */
  readonly source?: RunBlockSource | undefined
  /** With a source: where blocks are read to. Without it, what was read stays as it is for ever. Whoever gave it releases it. */
  readonly memory?: TurningMemory | undefined
}

const noBytes = new Uint8Array(0)
const probe = new StoreRecordCursor()

/** A short range is likely to be read again: so many blocks behind a jump are kept by the source. */
const nearBlocks = 8

export class RunBlocks {
  readonly index: RunIndex
  /** The current block: -1 and `blockCount` are before the first and behind the last. */
  block = -1
  bytes: Uint8Array = noBytes
  start = 0
  table = 0
  count = 0
  readonly #reader: SegmentReader
  readonly #part: number
  readonly #bytesMax: number
  readonly #source: RunBlockSource | undefined
  readonly #memory: TurningMemory | undefined
  /** Blocks `[first, end)` lie in `#chunk`, from its beginning. */
  #chunk: Uint8Array = noBytes
  #first = 0
  #end = 0
  #into: Uint8Array = noBytes
  /** How many bytes the next read in the same direction takes. */
  #ahead = 0
  /** Blocks taken from or given to the source since the last jump. */
  #near = 0
  #text: RecordsText | undefined

  constructor(reader: SegmentReader, part: number, options: RunBlocksOptions = {}) {
    this.index = reader.runIndex(part)
    this.#reader = reader
    this.#part = part
    this.#bytesMax = options.bytesMax ?? 256 * 1024
    this.#source = options.source
    this.#memory = options.memory
  }

  /** The current block as text; only with a source. */
  get text(): RecordsText | undefined {
    if (this.#source === undefined) return undefined
    this.#text ??= new RecordsText(this.bytes, this.start, this.table)
    return this.#text
  }

  /** Lets go of all bytes: without a source they are used for something else. The next `enter` reads anew. */
  release(): void {
    this.leave(-1)
    giveBytes(this.#into)
    this.#into = noBytes
    this.bytes = noBytes
    this.#chunk = noBytes
    this.#first = 0
    this.#end = 0
    this.#text = undefined
  }

  /** Stands before the first block, or behind the last. */
  leave(block: number): void {
    this.block = block
    this.count = 0
  }

  /**
   * Makes `block` the current one. `direction`: where the walk is going, 1 or -1. `isJump`: it does not come from the block beside it. `wanted`: about so
   * many records from here on are going to be read; 0 when that is not known.
   */
  enter(block: number, direction: number, isJump: boolean, wanted: number = 0): void {
    const { index } = this
    assert(block >= 0 && block < index.blockCount, 'a block of this run', block, index.blockCount)
    if (block < this.#first || block >= this.#end) this.#load(block, direction, isJump, wanted)
    const bytes = this.#chunk
    const start = block === this.#first ? 0 : index.contentPosition(block) - index.contentPosition(this.#first)
    const end = start + index.contentBytes(block)
    const table = runBlockTable(bytes, start, end)
    const count = (end - 4 - table) >>> 2
    this.block = block
    this.bytes = bytes
    this.start = start
    this.table = table
    this.count = count
    this.#text = undefined
    if (table <= start || count === 0) throw this.#damaged()
  }

  /** Where record `at` of the current block begins. */
  position(at: number): number {
    const position = this.start + readU32LE(this.bytes, this.table + at * 4)
    if (position >= this.table) throw this.#damaged()
    return position
  }

  /** First record of the current block whose key is >= the key; `count` when all are smaller. */
  lowerBound(key: Uint8Array, start: number, size: number): number {
    const { bytes, table, count } = this
    // A block of the source begins its array, and may have its keys as numbers; by these the search may stop a little early.
    const keys = this.#first === this.block && this.#end === this.block + 1 ? this.#source?.keys?.(this.block) : undefined
    if (keys === undefined) return lowerBound(bytes, this.start, table, count, key, start, size)
    let at = keys.find(bytes, key, start, size)
    while (at < count && compareRecordKey(probe, bytes, keys.position(at), table, key, start, size) < 0) at++
    return at
  }

  #load(block: number, direction: number, isJump: boolean, wanted: number): void {
    if (isJump) {
      this.#near = 0
      this.#ahead = 0
    }
    const near = this.#nearBlock(block, wanted)
    if (near !== undefined) {
      this.#near++
      this.#chunk = near
      this.#first = block
      this.#end = block + 1
      return
    }
    const isNear = this.#source !== undefined && this.#near < nearBlocks
    if (!isNear) this.#ahead = isJump ? 0 : Math.min(this.#bytesMax, Math.max(this.#ahead * 2, 32 * 1024))
    const bytesMax = isNear ? this.#nearBytes(block, wanted) : this.#ahead
    const from = direction < 0 ? this.#lowest(block, bytesMax) : block
    this.#read(from, direction < 0 ? this.index.contentPosition(block + 1) - this.index.contentPosition(from) : bytesMax)
    const { keep, offer } = this.#source ?? {}
    const take = isNear ? keep : this.index.isCompressed ? offer : undefined
    if (take !== undefined) this.#give(take)
    if (isNear) this.#near += this.#end - this.#first
  }

  /** A block that is at hand; near a jump, one that is wanted alone is read by the source. */
  #nearBlock(block: number, wanted: number): Uint8Array | undefined {
    const source = this.#source
    if (source === undefined) return undefined
    if (this.#near >= nearBlocks) return source.peek?.(block)
    const isAlone = source.keep === undefined || wanted <= this.index.recordCount(block) >>> 1
    return isAlone || source.peek?.(block) !== undefined ? source.block(block) : undefined
  }

  /** So many bytes hold what is wanted, about. */
  #nearBytes(block: number, wanted: number): number {
    const blocks = Math.min(nearBlocks - this.#near, 1 + Math.round(wanted / this.index.recordCount(block)))
    return this.index.contentBytes(block) * blocks
  }

  /** The first block of those up to `block` that `bytesMax` holds. */
  #lowest(block: number, bytesMax: number): number {
    const end = this.index.contentPosition(block + 1)
    let from = block
    while (from > 0 && end - this.index.contentPosition(from - 1) <= bytesMax) from--
    return from
  }

  #read(from: number, bytesMax: number): void {
    const { index } = this
    const rest = index.contentPosition(index.blockCount) - index.contentPosition(from)
    const need = Math.max(Math.min(bytesMax, rest), index.contentBytes(from))
    if (this.#source !== undefined) this.#into = this.#memory?.turn(need) ?? new Uint8Array(need)
    else if (this.#into.length < need) {
      giveBytes(this.#into)
      this.#into = takeBytes(need)
    }
    // If this fails, what lay there may be gone.
    this.#first = 0
    this.#end = 0
    const range = this.#reader.readBlocks(this.#part, from, bytesMax, { into: this.#into })
    this.#chunk = range.bytes
    this.#first = range.first
    this.#end = range.end
    if (this.#source !== undefined) this.#into = noBytes
  }

  #give(take: (block: number, bytes: Uint8Array) => void): void {
    let start = 0
    for (let block = this.#first; block < this.#end; block++) {
      const end = start + this.index.contentBytes(block)
      take(block, this.#chunk.subarray(start, end))
      start = end
    }
  }

  #damaged(): Error {
    return corrupt('run block has an impossible offset table', this.#reader.path, this.index.position(this.block), { block: this.block })
  }
}

/** First record of the block at `blockStart` whose key is >= the key; `count` when all are smaller. */
export function lowerBound(
  bytes: Uint8Array,
  blockStart: number,
  table: number,
  count: number,
  key: Uint8Array,
  start: number,
  size: number,
): number {
  let from = 0
  let to = count
  while (from < to) {
    const middle = (from + to) >>> 1
    const at = table + middle * 4
    const position = blockStart + (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    if (compareRecordKey(probe, bytes, position, table, key, start, size) < 0) from = middle + 1
    else to = middle
  }
  return from
}
