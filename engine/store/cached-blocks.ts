/**
 * The blocks of one run in the cache: which are there, and reading those that are not.
 *
 * Owned by its `Run`. Lookups of one key (`find`) use a block where it lies, since its record is read before the next call; what walks over blocks is given
 * views that stay as they are for ever.
 */
import type { KeyHash } from '../batch/store-keys.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { corrupt } from '../errors.ts'
import { BlockKeys } from '../segment/block-keys.ts'
import type { RunIndex } from '../segment/part-index.ts'
import type { SegmentReader } from '../segment/reader.ts'
import { runBlockTable } from '../segment/run-blocks.ts'
import { type BlockCache, looseSlab, offsetAt, type Slab, slabAt } from './block-cache.ts'
import { blockStart, bucketsOf, contentBytesOf, findInFrame, headBytes, writeHead } from './block-frame.ts'
import { hashIndexBytes, RunHashIndex } from './run-hash-index.ts'

export class CachedBlocks {
  readonly #cache: BlockCache
  readonly #reader: SegmentReader
  readonly #part: number
  readonly #index: RunIndex
  /** By block: where its frame lies; 0: it is not in the cache. */
  readonly #places: Uint32Array
  /** By block: 1 when it was read from the cache since it came, or since the cache last looked. */
  readonly #used: Uint8Array
  /** Undefined: each block has an index of its own. */
  readonly #hashIndex: RunHashIndex | undefined
  /** By block; made for the first walk that asks. */
  #keys: (BlockKeys | undefined)[] | undefined
  /** The run is gone: nothing is kept any more. */
  #isGone = false
  /** Where the frame lies that was found or read last. */
  #offset = 0

  constructor(cache: BlockCache, reader: SegmentReader, part: number) {
    this.#cache = cache
    this.#reader = reader
    this.#part = part
    this.#index = reader.runIndex(part)
    this.#places = new Uint32Array(this.#index.blockCount)
    this.#used = new Uint8Array(this.#index.blockCount)
    if (cache.takeIndexShare(this.#indexShare)) {
      this.#hashIndex = RunHashIndex.of(this.#index, cache, this.#places, this.#used)
      if (this.#hashIndex === undefined) cache.giveIndexShare(this.#indexShare)
    }
  }

  /** What a hash index of the run would take. */
  get #indexShare(): number {
    return hashIndexBytes(this.#index.filter?.keyCount ?? 0)
  }

  /** As `RunHashIndex.find`: false says nothing. */
  findIndexed(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): boolean {
    if (this.#hashIndex?.find(key, start, size, hash, sequenceMax, record) !== true) return false
    this.#cache.hits++
    return true
  }

  /** As `findInFrame`, in the block, which is read where it must. */
  find(block: number, key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): number {
    const place = this.#places[block] as number
    if (place === 0) {
      const slab = this.#read(block)
      return findInFrame(slab, this.#offset, false, key, start, size, hash, sequenceMax, record)
    }
    this.#cache.hits++
    this.#used[block] = 1
    this.#hashIndex?.add(block)
    return findInFrame(slabAt(this.#cache, place), offsetAt(place), true, key, start, size, hash, sequenceMax, record)
  }

  has(block: number): boolean {
    return this.#places[block] !== 0
  }

  block(block: number): Uint8Array {
    const place = this.#places[block] as number
    if (place === 0) return this.#view(this.#read(block), this.#offset)
    this.#cache.hits++
    this.#used[block] = 1
    return this.#view(slabAt(this.#cache, place), offsetAt(place))
  }

  /** Without counting as a use: a scan must not keep what it passes. */
  peek(block: number): Uint8Array | undefined {
    const place = this.#places[block] as number
    return place === 0 ? undefined : this.#view(slabAt(this.#cache, place), offsetAt(place))
  }

  /** Numbers of the block's keys, made when it is used a second time; undefined for a block that is not in the cache. */
  keys(block: number): BlockKeys | undefined {
    const known = this.#keys?.[block]
    if (known !== undefined) return known
    const place = this.#places[block] as number
    if (place === 0 || this.#used[block] === 0) return undefined
    const slab = slabAt(this.#cache, place)
    const offset = offsetAt(place)
    const start = blockStart(slab, offset)
    const bytes = slab.bytes.subarray(start, start + contentBytesOf(slab, offset))
    const keys = new BlockKeys(bytes, runBlockTable(bytes, 0, bytes.length))
    this.#keys ??= new Array<BlockKeys | undefined>(this.#places.length).fill(undefined)
    this.#keys[block] = keys
    this.#cache.countKeys(keys.byteLength)
    return keys
  }

  /** Keeps a block that was read, and checked, elsewhere; the bytes are copied. */
  keep(block: number, bytes: Uint8Array): void {
    if (this.#isGone || this.#places[block] !== 0) return
    const size = this.frameBytes(block)
    const slab = this.#cache.slabFor(size)
    if (slab.number === 0) return
    const offset = slab.end
    slab.bytes.set(bytes, offset + size - bytes.length)
    this.#finish(block, slab, offset, size)
  }

  /** As `keep`, of a block that a scan passes and that was decompressed: only where there is room, in the place of nothing. */
  offer(block: number, bytes: Uint8Array): void {
    if (this.#places[block] === 0 && this.#cache.hasRoom(this.frameBytes(block))) this.keep(block, bytes)
  }

  /** The run is gone. */
  clear(): void {
    this.#isGone = true
    for (let block = 0; block < this.#places.length; block++) {
      const place = this.#places[block] as number
      if (place === 0) continue
      this.forgetPlace(block)
      this.#cache.drop(place, this.frameBytes(block))
    }
    if (this.#hashIndex === undefined) return
    this.#hashIndex.clear()
    this.#cache.giveIndexShare(this.#indexShare)
  }

  // --- for the cache -------------------------------------------------------------------------------------------------------------------

  placeOf(block: number): number {
    return this.#places[block] as number
  }

  /** Size of the block's frame. */
  frameBytes(block: number): number {
    return headBytes(this.#bucketsOf(block)) + this.#index.contentBytes(block)
  }

  #bucketsOf(block: number): number {
    return this.#hashIndex === undefined ? bucketsOf(this.#index.contentBytes(block), this.#index.recordCount(block)) : 0
  }

  move(block: number, place: number): void {
    this.#places[block] = place
  }

  /** Whether the block was used since it came, or since this was asked last. */
  takeUse(block: number): boolean {
    const wasUsed = this.#used[block] !== 0
    this.#used[block] = 0
    return wasUsed
  }

  /** The block is not in the cache any more. */
  forgetPlace(block: number): void {
    this.#places[block] = 0
    this.#used[block] = 0
    const keys = this.#keys?.[block]
    if (keys === undefined) return
    this.#cache.countKeys(-keys.byteLength)
    ;(this.#keys as (BlockKeys | undefined)[])[block] = undefined
  }

  // --- reading -------------------------------------------------------------------------------------------------------------------------

  /** Reads the block into a slab, and keeps it there where it may; `#offset` is the frame's. */
  #read(block: number): Slab {
    this.#cache.misses++
    const content = this.#index.contentBytes(block)
    const size = this.frameBytes(block)
    const slab = this.#isGone ? looseSlab(size) : this.#cache.slabFor(size)
    const offset = slab.end
    this.#reader.readBlockInto(this.#part, block, slab.bytes, offset + size - content)
    this.#finish(block, slab, offset, size)
    this.#offset = offset
    return slab
  }

  /** The block lies at the end of the frame: writes the frame's head and keeps it. */
  #finish(block: number, slab: Slab, offset: number, size: number): void {
    if (!writeHead(slab, offset, this.#bucketsOf(block), this.#index.contentBytes(block), this.#index.recordCount(block)))
      throw corrupt('run block has an impossible offset table', this.#reader.path, this.#index.position(block), { block })
    if (slab.number > 0) this.#places[block] = this.#cache.keep(slab, size, this, block)
  }

  #view(slab: Slab, offset: number): Uint8Array {
    slab.isShared = true
    const start = blockStart(slab, offset)
    return slab.bytes.subarray(start, start + contentBytesOf(slab, offset))
  }
}
