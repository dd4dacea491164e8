/**
 * Blocks of runs in memory, bounded in bytes, shared by all stores of a database. CLOCK: a hit sets a bit, the hand clears bits until it finds
 * a block that was not used since it last came by. A hit allocates nothing.
 *
 * Owned by the database's stores. Invariant: `bytes` is the sum of the cached blocks' sizes, and <= `bytesMax` between calls.
 */

/** Runs are numbered as they are opened; a block's number lies below this. */
const blocksPerRun = 2 ** 26

export class BlockCache {
  /** May be lowered and raised; takes effect with the next `put`. */
  bytesMax: number
  /** Of all blocks in the cache. */
  bytes = 0
  hits = 0
  misses = 0
  readonly #slots = new Map<number, number>()
  readonly #blocks: (Uint8Array | undefined)[] = []
  readonly #ids: number[] = []
  readonly #used: number[] = []
  readonly #free: number[] = []
  #hand = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get(run: number, block: number): Uint8Array | undefined {
    const slot = this.#slots.get(run * blocksPerRun + block)
    if (slot === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    this.#used[slot] = 1
    return this.#blocks[slot]
  }

  /** Keeps the block, unless it alone is larger than an eighth of the cache. */
  put(run: number, block: number, bytes: Uint8Array): void {
    const size = bytes.byteLength
    if (size > this.bytesMax / 8) return
    const id = run * blocksPerRun + block
    if (this.#slots.has(id)) return
    while (this.bytes + size > this.bytesMax) this.#evict()
    const slot = this.#free.pop() ?? this.#blocks.length
    this.#blocks[slot] = bytes
    this.#ids[slot] = id
    // Not used yet: a scan's blocks go first.
    this.#used[slot] = 0
    this.#slots.set(id, slot)
    this.bytes += size
  }

  /** The run is gone: so are its blocks. */
  forget(run: number, blockCount: number): void {
    for (let block = 0; block < blockCount; block++) {
      const slot = this.#slots.get(run * blocksPerRun + block)
      if (slot !== undefined) this.#drop(slot)
    }
  }

  #evict(): void {
    for (;;) {
      if (this.#hand >= this.#blocks.length) this.#hand = 0
      const slot = this.#hand++
      if (this.#blocks[slot] === undefined) continue
      if (this.#used[slot] === 0) {
        this.#drop(slot)
        return
      }
      this.#used[slot] = 0
    }
  }

  #drop(slot: number): void {
    const block = this.#blocks[slot]
    if (block === undefined) return
    this.bytes -= block.byteLength
    this.#blocks[slot] = undefined
    this.#slots.delete(this.#ids[slot] as number)
    this.#free.push(slot)
  }
}
