/**
 * Blocks of runs in memory, bounded in bytes, shared by all stores of a database. CLOCK: a hit sets a bit, the hand clears bits until it finds
 * a block that was not used since it last came by. A hit is two array accesses and allocates nothing.
 *
 * Owned by the database's stores; each run has its own `CachedBlocks`. Invariant: `bytes` is the sum of the cached blocks' sizes, and at most
 * `bytesMax` between calls (numbers of keys may exceed it a little until the next block comes).
 */
import { BlockKeys } from '../segment/block-keys.ts'
import { runBlockTable } from '../segment/run-blocks.ts'

/** The blocks of one run that are in the cache. */
export class CachedBlocks {
  readonly #cache: BlockCache
  readonly #blocks: (Uint8Array | undefined)[]
  /** By block: 1 when it was used since the hand came by. */
  readonly #used: Uint8Array
  readonly #keys: (BlockKeys | undefined)[]

  constructor(cache: BlockCache, blockCount: number) {
    this.#cache = cache
    this.#blocks = new Array<Uint8Array | undefined>(blockCount).fill(undefined)
    this.#used = new Uint8Array(blockCount)
    this.#keys = new Array<BlockKeys | undefined>(blockCount).fill(undefined)
  }

  /** Numbers of the block's keys, made when it is used a second time; undefined for a block that is not in the cache. */
  keys(block: number): BlockKeys | undefined {
    const known = this.#keys[block]
    if (known !== undefined || this.#used[block] === 0) return known
    const bytes = this.#blocks[block]
    if (bytes === undefined) return undefined
    const keys = new BlockKeys(bytes, runBlockTable(bytes, 0, bytes.length))
    this.#keys[block] = keys
    this.#cache.bytes += keys.byteLength
    return keys
  }

  /** Counts as a use. */
  get(block: number): Uint8Array | undefined {
    const bytes = this.#blocks[block]
    if (bytes === undefined) {
      this.#cache.misses++
      return undefined
    }
    this.#cache.hits++
    this.#used[block] = 1
    return bytes
  }

  /** Without counting as a use: a scan must not keep what it passes. */
  peek(block: number): Uint8Array | undefined {
    return this.#blocks[block]
  }

  put(block: number, bytes: Uint8Array): void {
    if (this.#blocks[block] !== undefined || !this.#cache.admit(this, block, bytes.byteLength)) return
    this.#blocks[block] = bytes
    // Not used yet: what is read once goes first.
    this.#used[block] = 0
  }

  /**
   * As `put` of a block that a scan passes: only where there is room, in the place of nothing. It is copied, since it would keep the memory of all
   * that was read with it.
   */
  offer(block: number, bytes: Uint8Array): void {
    if (this.#blocks[block] === undefined && this.#cache.hasRoom(bytes.byteLength)) this.put(block, bytes.slice())
  }

  /** The run is gone. */
  clear(): void {
    for (let block = 0; block < this.#blocks.length; block++) this.drop(block)
  }

  /** For the hand: true when the block was not used since, and is dropped. Gone blocks count as dropped. */
  sweep(block: number): boolean {
    if (this.#used[block] === 1) {
      this.#used[block] = 0
      return false
    }
    this.drop(block)
    return true
  }

  drop(block: number): void {
    const bytes = this.#blocks[block]
    if (bytes === undefined) return
    this.#blocks[block] = undefined
    this.#cache.bytes -= bytes.byteLength + (this.#keys[block]?.byteLength ?? 0)
    this.#keys[block] = undefined
  }
}

export class BlockCache {
  /** May be lowered and raised; takes effect with the next block. */
  bytesMax: number
  /** Of all blocks in the cache. */
  bytes = 0
  hits = 0
  misses = 0
  /** The clock's ring: run and block by place; a place whose block is gone is taken again when the hand comes by. */
  readonly #runs: (CachedBlocks | undefined)[] = []
  readonly #blocks: number[] = []
  readonly #free: number[] = []
  #hand = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  blocksOf(blockCount: number): CachedBlocks {
    return new CachedBlocks(this, blockCount)
  }

  hasRoom(size: number): boolean {
    return this.bytes + size <= this.bytesMax
  }

  /** Makes room for a block and gives it a place in the ring; false when it alone is larger than an eighth of the cache. */
  admit(run: CachedBlocks, block: number, size: number): boolean {
    if (size > this.bytesMax / 8) return false
    while (this.bytes + size > this.bytesMax && this.#sweep());
    const place = this.#free.pop() ?? this.#runs.length
    this.#runs[place] = run
    this.#blocks[place] = block
    this.bytes += size
    return true
  }

  /** Moves the hand until a block is dropped; false when the ring is empty. */
  #sweep(): boolean {
    for (let steps = this.#runs.length * 2; steps > 0; steps--) {
      if (this.#hand >= this.#runs.length) this.#hand = 0
      const place = this.#hand++
      const run = this.#runs[place]
      if (run === undefined || !run.sweep(this.#blocks[place] as number)) continue
      this.#runs[place] = undefined
      this.#free.push(place)
      return true
    }
    return false
  }
}
