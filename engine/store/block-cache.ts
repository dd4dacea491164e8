/**
 * Blocks of runs in memory, bounded in bytes, shared by all stores of a database. They lie one behind the other in *slabs*, which are used again: what a
 * miss costs is the read, not memory from the system and its return by the garbage collector.
 *
 *   slab  := frame*                                     each at a multiple of 64 bytes
 *   frame := contentBytes:u32 buckets:u32 state:u32 recordsEnd:u32 bucket:u32{buckets} block       see `block-frame.ts`
 *
 * 1. A block that was read goes behind the last one of the newest slab. When that is full, and no more memory may be had, the oldest slab becomes the newest.
 * 2. Of its blocks those stay that were used since they came or were last looked at; they move to its beginning (CLOCK, a slab at a time). At most half
 *    of it stays, so that a turn is short and always gives room.
 * 3. A slab of which a view was given out is not used again: what the view shows stays as it is for ever, and the memory goes when the view goes.
 *
 * 4. What stores keep in memory beside the cache (filters, fence keys, indexes of memtables) is told to it, and counts: blocks get what that leaves.
 *
 * Owned by the database's stores; each run has its own `CachedBlocks`, which knows where its blocks lie. Invariants: slabs, and what is beside them, are at most
 * `bytesMax` together (or the slabs a `slabShare` of it, if more is beside them), once the next block has come; frames of one slab ascend, and one whose run says that its block lies elsewhere is dead.
 */
import { assert } from '../errors.ts'
import type { CachedBlocks } from './cached-blocks.ts'

/** Frames begin at multiples of it: a place is the number of a slab and that of such a unit in it. */
const frameUnitBytes = 64
const slabUnitsBits = 12
const slabUnits = 1 << slabUnitsBits
const slabBytesMax = slabUnits * frameUnitBytes
/** Some blocks of usual size, so that one of them may stay when it turns. */
const slabBytesMin = 16 * 1024
/** A cache has about so many slabs while they are smaller than the largest. */
const slabsAimed = 64
/** A block may take this part of the cache. */
const blockShare = 8
/** Slabs may always take this part of `bytesMax`. */
const slabShare = 4
/** Hash indexes of runs may take this part of it: a key's six bytes must not cost the room of blocks where these are few. */
const indexShare = 16

/** Memory for frames. */
export interface Slab {
  readonly bytes: Uint8Array
  /** The same memory. */
  readonly words: Int32Array
  /** By which places name it; 0: it is in no cache. */
  readonly number: number
  /** Where the next frame goes. */
  end: number
  /** Frames that are not dead. */
  live: number
  /** Views of it were given out. */
  isShared: boolean
  /** By frame, in their order. */
  readonly runs: CachedBlocks[]
  readonly blocks: number[]
  readonly offsets: number[]
}

export class BlockCache {
  /** May be lowered and raised; takes effect with the next block. */
  bytesMax: number
  /** Of all blocks in the cache, with what helps to find keys in them. */
  bytes = 0
  hits = 0
  misses = 0
  /** By number; 0 is none. */
  readonly slabs: (Slab | undefined)[] = [undefined]
  readonly #free: number[] = []
  /** Oldest first. */
  readonly #queue: Slab[] = []
  #newest: Slab | undefined
  /** Sizes of all slabs. */
  #slabBytes = 0
  /** Memory of `BlockKeys` and hash indexes, which lies beside the slabs. */
  #keysBytes = 0
  /** See `takeIndexShare`. */
  #indexBytes = 0
  /** See `countBeside`. */
  #besideBytes = 0
  /** Since a slab turned none was given back: what comes takes the place of something. */
  #isFull = false

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Whether a frame of this size would take the place of nothing. */
  hasRoom(size: number): boolean {
    const newest = this.#newest
    if (newest !== undefined && !this.#isFull && fits(newest, size)) return true
    return size <= this.bytesMax / blockShare && this.#taken + Math.max(size, this.#sizeOfNext()) <= this.#slabsMax
  }

  /**
   * A slab with room for a frame of this size at its `end`; `keep` makes it count. A frame larger than an eighth of the cache gets a slab of its own,
   * which is not kept.
   */
  slabFor(size: number): Slab {
    const newest = this.#newest
    if (newest !== undefined && fits(newest, size)) return newest
    if (size > this.bytesMax / blockShare) return looseSlab(size)
    const slab = this.#nextSlab(alignedUp(Math.max(size, this.#sizeOfNext())))
    // One that turned may have kept too much for a frame that needs all of it.
    if (slab.end + size > slab.bytes.length) this.#clear(slab)
    return slab
  }

  /** Makes the frame of this size at the slab's `end` the block's; its place. */
  keep(slab: Slab, size: number, run: CachedBlocks, block: number): number {
    assert(slab.number > 0 && fits(slab, size), 'a frame lies in its slab', slab.end, size)
    const offset = slab.end
    slab.runs.push(run)
    slab.blocks.push(block)
    slab.offsets.push(offset)
    slab.end = alignedUp(offset + size)
    slab.live++
    this.bytes += alignedUp(size)
    return placeOf(slab, offset)
  }

  /** The frame of this size at a place is dead from now on. */
  drop(place: number, size: number): void {
    const slab = slabAt(this, place)
    slab.live--
    this.bytes -= alignedUp(size)
    if (slab.live > 0) return
    this.#queue.splice(this.#queue.indexOf(slab), 1)
    this.#giveBack(slab)
    this.#isFull = false
  }

  /** Whether a run may have a hash index that will take so many bytes; `giveIndexShare` lets others have them. It counts, by `countKeys`, once it is there. */
  takeIndexShare(bytes: number): boolean {
    if (this.#indexBytes + bytes > this.bytesMax / indexShare) return false
    this.#indexBytes += bytes
    return true
  }

  giveIndexShare(bytes: number): void {
    this.#indexBytes -= bytes
    assert(this.#indexBytes >= 0, 'what is given back was taken', this.#indexBytes, bytes)
  }

  /** Memory for `BlockKeys` or a hash index was taken, or given back. */
  countKeys(bytes: number): void {
    this.#keysBytes += bytes
    this.bytes += bytes
  }

  /** Memory of filters, fence keys and indexes of memtables was taken, or given back. */
  countBeside(bytes: number): void {
    this.#besideBytes += bytes
    assert(this.#besideBytes >= 0, 'what is given back was taken', this.#besideBytes, bytes)
  }

  /** What `countBeside` has counted. */
  get besideBytes(): number {
    return this.#besideBytes
  }

  get #slabsMax(): number {
    return Math.max(this.bytesMax - this.#besideBytes, this.bytesMax / slabShare)
  }

  get #taken(): number {
    return this.#slabBytes + this.#keysBytes
  }

  #sizeOfNext(): number {
    const { bytesMax } = this
    const aimed = 2 ** Math.floor(Math.log2(Math.max(1, bytesMax / slabsAimed)))
    const size = Math.min(slabBytesMax, Math.max(slabBytesMin, aimed))
    return size <= bytesMax ? size : Math.floor(bytesMax / frameUnitBytes) * frameUnitBytes
  }

  /** A slab of this size, or the next one that turns, becomes the newest. */
  #nextSlab(size: number): Slab {
    const bytesMax = this.#slabsMax
    while (this.#taken + size > bytesMax) {
      const oldest = this.#queue.shift()
      if (oldest === undefined) break
      this.#isFull = true
      if (oldest.bytes.length === size && this.#taken <= bytesMax) return this.#turn(oldest)
      this.#clear(oldest)
      this.#giveBack(oldest)
    }
    return this.#begin(this.#take(size))
  }

  #take(size: number): Slab {
    const number = this.#free.pop() ?? this.slabs.length
    const slab = makeSlab(size, number)
    this.slabs[number] = slab
    this.#slabBytes += size
    return slab
  }

  #giveBack(slab: Slab): void {
    this.slabs[slab.number] = undefined
    this.#free.push(slab.number)
    this.#slabBytes -= slab.bytes.length
    if (slab === this.#newest) this.#newest = undefined
  }

  #begin(slab: Slab): Slab {
    this.#queue.push(slab)
    this.#newest = slab
    return slab
  }

  /** The oldest slab, which has left the queue, becomes the newest, with those of its blocks that were used. */
  #turn(old: Slab): Slab {
    let slab = old
    if (old.isShared) {
      this.#giveBack(old)
      slab = this.#take(old.bytes.length)
    }
    const { runs, blocks, offsets } = old
    const half = old.bytes.length / 2
    let kept = 0
    let end = 0
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i] as CachedBlocks
      const block = blocks[i] as number
      const offset = offsets[i] as number
      if (run.placeOf(block) !== placeOf(old, offset)) continue
      const size = run.frameBytes(block)
      if (end + size > half || !run.takeUse(block)) {
        run.forgetPlace(block)
        this.bytes -= alignedUp(size)
        continue
      }
      if (slab === old) slab.bytes.copyWithin(end, offset, offset + size)
      else slab.bytes.set(old.bytes.subarray(offset, offset + size), end)
      run.move(block, placeOf(slab, end))
      slab.runs[kept] = run
      slab.blocks[kept] = block
      slab.offsets[kept++] = end
      end += alignedUp(size)
    }
    slab.runs.length = kept
    slab.blocks.length = kept
    slab.offsets.length = kept
    slab.live = kept
    slab.end = end
    return this.#begin(slab)
  }

  /** Drops all blocks of a slab. */
  #clear(slab: Slab): void {
    for (let i = 0; i < slab.runs.length; i++) {
      const run = slab.runs[i] as CachedBlocks
      const block = slab.blocks[i] as number
      if (run.placeOf(block) !== placeOf(slab, slab.offsets[i] as number)) continue
      this.bytes -= alignedUp(run.frameBytes(block))
      run.forgetPlace(block)
    }
    slab.runs.length = 0
    slab.blocks.length = 0
    slab.offsets.length = 0
    slab.live = 0
    slab.end = 0
  }
}

function makeSlab(size: number, number: number): Slab {
  const memory = new ArrayBuffer(size)
  return {
    bytes: new Uint8Array(memory),
    words: new Int32Array(memory),
    number,
    end: 0,
    live: 0,
    isShared: false,
    runs: [],
    blocks: [],
    offsets: [],
  }
}

/** For one block that no cache keeps. */
export function looseSlab(size: number): Slab {
  return makeSlab(alignedUp(size), 0)
}

/** Whether a frame may go to the slab's end. A slab of one large block, whose read failed, has more room than places can name. */
function fits({ end, bytes }: Slab, size: number): boolean {
  return end < slabBytesMax && end + size <= bytes.length
}

/** Where the frame lies; never 0. */
function placeOf(slab: Slab, offset: number): number {
  return slab.number * slabUnits + offset / frameUnitBytes
}

export function slabAt(cache: BlockCache, place: number): Slab {
  return cache.slabs[place >>> slabUnitsBits] as Slab
}

export function offsetAt(place: number): number {
  return (place & (slabUnits - 1)) * frameUnitBytes
}

function alignedUp(size: number): number {
  return Math.ceil(size / frameUnitBytes) * frameUnitBytes
}
