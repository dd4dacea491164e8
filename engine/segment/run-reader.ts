/**
 * Reading runs: `RunReader` looks up one key, `RunCursor` walks records in order, both ways.
 *
 * Neither makes an object per record: both put the record they found under `record`, a `StoreRecordCursor` whose fields and buffer hold until
 * the next call. `RunReader` takes whole blocks from a source that may cache them; `RunCursor` reads several at once, into an array that it
 * reuses unless there is a source, and reads further ahead the longer it goes one way. What expiry, deletes and range deletes mean is decided above.
 */
import { RecordsText } from '../batch/records-text.ts'
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey, type KeyHash } from '../batch/store-keys.ts'
import { compareRecordKey, StoreRecordCursor } from '../batch/store-record.ts'
import { readU32LE } from '../codec/fixed-width.ts'
import { assert, corrupt } from '../errors.ts'
import type { BlockKeys } from './block-keys.ts'
import type { RunIndex } from './part-index.ts'
import type { SegmentReader } from './reader.ts'

/** Gives whole checked blocks, each as an array of its own that begins with the block. */
export interface RunBlockSource {
  block(block: number): Uint8Array
  /** The block if it is at hand, without reading or keeping it. */
  peek?(block: number): Uint8Array | undefined
  /** A block that a walk has read, in memory that stays as it is: to be kept if that costs nothing. */
  offer?(block: number, bytes: Uint8Array): void
  /** Numbers for the keys of a block that `block` gave just now, if it is worth having them. */
  keys?(block: number): BlockKeys | undefined
}

/** Where the records of a block end and its offset table begins: `[start, end)` is the block in `buffer`. */
export function runBlockTable(buffer: Uint8Array, start: number, end: number): number {
  const count = readU32LE(buffer, end - 4)
  return Math.max(start - 1, end - 4 - count * 4)
}

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
      else at = at < 0 ? lowerBound(record, bytes, 0, table, count, key, start, size) : 0
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

const noBytes = new Uint8Array(0)

/** A short range is likely to be read again: so many blocks are taken from the source, one by one, before a cursor reads ahead. */
const nearBlocks = 8

export interface RunCursorOptions {
  /** How many bytes are read ahead at most; the first read takes one block. Default 256 KiB. */
  readonly bytesMax?: number
  /**
   * The blocks that a jump leads to and the first ones behind it come from here, and later ones that are at hand; the others are read ahead and
   * not kept. With a source, the bytes under `record` stay as they are for ever, and `record.text` is set.
   */
  readonly source?: RunBlockSource
}

export class RunCursor {
  /** The current record. Without a source its buffer is reused by the next move: copy what is kept. */
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  readonly index: RunIndex
  readonly #reader: SegmentReader
  readonly #part: number
  readonly #bytesMax: number
  readonly #source: RunBlockSource | undefined
  /** Blocks `[first, end)` lie in `#bytes`, from its beginning. */
  #first = 0
  #end = 0
  #bytes: Uint8Array = noBytes
  #into: Uint8Array = noBytes
  /** How many bytes the next read in the same direction takes. */
  #ahead = 0
  /** Blocks taken from the source since the last jump. */
  #near = 0
  /** Current block and record in it; -1 and `blockCount` when before the first and behind the last. */
  #block = -1
  #at = 0
  #count = 0
  #table = 0

  constructor(reader: SegmentReader, part: number, options: RunCursorOptions = {}) {
    this.index = reader.runIndex(part)
    this.#reader = reader
    this.#part = part
    this.#bytesMax = options.bytesMax ?? 256 * 1024
    this.#source = options.source
  }

  /** Moves to the first record with a key >= the given one; false when there is none. */
  seek(key: Uint8Array, start: number = 0, size: number = key.length): boolean {
    const { index } = this
    if (index.blockCount === 0) return this.#leave(0)
    let block = Math.max(0, index.findFence(key, start, size) - 1)
    for (; block < index.blockCount; block++) {
      this.#enter(block, 0)
      if (this.#lowerBound(key, start, size)) return true
    }
    return this.#leave(index.blockCount)
  }

  /** Stands on the first record of the block whose key is >= the key; false when all are smaller. */
  #lowerBound(key: Uint8Array, start: number, size: number): boolean {
    const { record } = this
    // A block of the source begins its array, and may have its keys as numbers; by these the search may stop a little early.
    const keys = this.#first === this.#block && this.#end === this.#block + 1 ? this.#source?.keys?.(this.#block) : undefined
    if (keys === undefined) {
      this.#at = lowerBound(record, this.#bytes, this.#start(this.#block), this.#table, this.#count, key, start, size)
      if (this.#at === this.#count) return false
      this.#readCurrent()
      return true
    }
    for (let at = keys.find(this.#bytes, key, start, size); at < this.#count; at++) {
      record.readAt(this.#bytes, keys.position(at), this.#table)
      if (compareKeys(record.buffer, record.keyStart, record.keyBytes, key, start, size) < 0) continue
      this.#at = at
      return true
    }
    return false
  }

  first(): boolean {
    if (this.index.blockCount === 0) return this.#leave(0)
    this.#enter(0, 0)
    this.#at = 0
    this.#readCurrent()
    return true
  }

  last(): boolean {
    const { blockCount } = this.index
    if (blockCount === 0) return this.#leave(0)
    this.#enter(blockCount - 1, 0)
    this.#at = this.#count - 1
    this.#readCurrent()
    return true
  }

  /** To the next record; from before the first one, to the first. False behind the last. */
  next(): boolean {
    if (this.#block >= 0 && this.#block < this.index.blockCount) {
      this.#at++
      if (this.#at < this.#count) return this.record.next()
    }
    const block = this.#block + 1
    if (block >= this.index.blockCount) return this.#leave(this.index.blockCount)
    this.#enter(block, 1)
    this.#at = 0
    this.#readCurrent()
    return true
  }

  /** To the record before; from behind the last one, to the last. False before the first. */
  previous(): boolean {
    if (this.#block >= 0 && this.#block < this.index.blockCount) {
      this.#at--
      if (this.#at >= 0) {
        this.#readCurrent()
        return true
      }
    }
    const block = this.#block - 1
    if (block < 0) return this.#leave(-1)
    this.#enter(block, -1)
    this.#at = this.#count - 1
    this.#readCurrent()
    return true
  }

  #leave(block: number): false {
    this.#block = block
    this.#count = 0
    return false
  }

  #start(block: number): number {
    return this.index.contentPosition(block) - this.index.contentPosition(this.#first)
  }

  #readCurrent(): void {
    const start = this.#start(this.#block)
    const position = start + readU32LE(this.#bytes, this.#table + this.#at * 4)
    if (position >= this.#table) throw this.#damaged()
    this.record.readAt(this.#bytes, position, this.#table)
  }

  /** Makes `block` the current one; `direction` says where the reader is going, 0 when it jumped. */
  #enter(block: number, direction: number): void {
    assert(block >= 0 && block < this.index.blockCount, 'a block of this run', block, this.index.blockCount)
    if (block < this.#first || block >= this.#end) this.#load(block, direction)
    this.#block = block
    const start = this.#start(block)
    const end = start + this.index.contentBytes(block)
    this.#table = runBlockTable(this.#bytes, start, end)
    this.#count = (end - 4 - this.#table) >>> 2
    if (this.#table <= start || this.#count === 0) throw this.#damaged()
    if (this.#source !== undefined) this.record.text = new RecordsText(this.#bytes, start, this.#table)
  }

  #load(block: number, direction: number): void {
    if (direction === 0) this.#near = 0
    const near = this.#near < nearBlocks ? this.#source?.block(block) : this.#source?.peek?.(block)
    if (near !== undefined) {
      this.#near++
      if (direction === 0) this.#ahead = 0
      this.#bytes = near
      this.#first = block
      this.#end = block + 1
      return
    }
    this.#ahead = direction === 0 ? 0 : Math.min(this.#bytesMax, Math.max(this.#ahead * 2, 32 * 1024))
    let from = block
    let bytesMax = this.#ahead
    if (direction < 0) {
      const end = this.index.contentPosition(block + 1)
      while (from > 0 && end - this.index.contentPosition(from - 1) <= this.#ahead) from--
      bytesMax = end - this.index.contentPosition(from)
    }
    const need = Math.max(bytesMax, this.index.contentBytes(block))
    if (this.#source !== undefined || this.#into.length < need) this.#into = new Uint8Array(need)
    const range = this.#reader.readBlocks(this.#part, from, bytesMax, { into: this.#into })
    this.#bytes = range.bytes
    this.#first = range.first
    this.#end = range.end
    if (this.#source?.offer !== undefined) this.#offer(this.#source.offer)
  }

  #offer(offer: (block: number, bytes: Uint8Array) => void): void {
    for (let block = this.#first; block < this.#end; block++) {
      const start = this.#start(block)
      offer(block, this.#bytes.subarray(start, start + this.index.contentBytes(block)))
    }
  }

  #damaged(): Error {
    return corrupt('run block has an impossible offset table', this.#reader.path, this.index.position(this.#block), { block: this.#block })
  }
}

/** First record of the block at `blockStart` whose key is >= the key; `count` when all are smaller. */
function lowerBound(
  record: StoreRecordCursor,
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
    if (compareRecordKey(record, bytes, position, table, key, start, size) < 0) from = middle + 1
    else to = middle
  }
  return from
}
