/**
 * The bytes of one simulated file: what programs read (the cache) and what power loss leaves (the durable bytes), with everything that
 * lies between the two. Owned by `SimDisk`; handles and folders refer to it, so it outlives its names.
 *
 * Model, the weakest that POSIX and Linux file systems allow:
 * 1. A write goes into the cache and is remembered, with a copy of its bytes, until a sync covers it.
 * 2. A sync takes a mark when it is issued and makes durable what was written up to the mark, and the size of that moment.
 * 3. A durable write (O_DSYNC) makes its own range durable, and the size that this range needs; earlier writes elsewhere stay as they
 *    are; what they held of its range is superseded.
 * 4. A failed sync marks the pages clean (fsyncgate): what it should have made durable is read from the cache until power is lost and
 *    then is gone; later syncs do not bring it back. Sizes are journaled apart and are not lost that way.
 * 5. Power loss keeps, sector by sector of 512 bytes, the durable bytes plus some prefix of the un-synced writes that touch the sector;
 *    the size is the durable one or that of any later moment: data may be there without its size, and size without data (zeros).
 * 6. Shrinking a file drops cached data behind its new end.
 *
 * Invariants: `#cache` is zero from `#size` on, `#durable` from `#durableSize` on; `#writes` and `#sizes` are in order of `mark`.
 */
import { assert } from '../../errors.ts'

export const sectorBytes: number = 512

/** A write that no sync has covered. Offered to whoever decides what power loss keeps. */
export interface UnsyncedWrite {
  /** Number of the operation; earlier ones are smaller. */
  readonly mark: number
  readonly position: number
  readonly bytes: Uint8Array
}

interface UnsyncedSize {
  readonly mark: number
  readonly size: number
  readonly shrinks: boolean
}

/** Which sectors of a write survive: all, none, or those for which the function answers true (argument: absolute sector number). */
export type KeepWrite = boolean | ((sector: number) => boolean)

/** Decides what of a file survives power loss. */
export interface FileFate {
  /** Asked for each un-synced write, the last one first. */
  readonly keepWrite: (write: UnsyncedWrite) => KeepWrite
  /** Asked when sizes are un-synced: how many of the `count` changes survive, in order. */
  readonly keepSizes: (count: number) => number
}

export class FileState {
  /** Path of its first name; for messages and traces only. */
  readonly label: string
  /** Names in folders. */
  links = 0
  /** Open handles. */
  opens = 0
  #cache: Uint8Array = new Uint8Array(0)
  #size = 0
  #durable: Uint8Array = new Uint8Array(0)
  #durableSize = 0
  #writes: UnsyncedWrite[] = []
  #sizes: UnsyncedSize[] = []

  constructor(label: string) {
    this.label = label
  }

  get size(): number {
    return this.#size
  }

  get durableSize(): number {
    return this.#durableSize
  }

  get unsyncedWrites(): readonly UnsyncedWrite[] {
    return this.#writes
  }

  /** Copies cached bytes; returns how many, fewer than asked only at the end. */
  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.#size - position))
    target.set(this.#cache.subarray(position, position + count))
    return count
  }

  durableBytes(): Uint8Array {
    return this.#durable.slice(0, this.#durableSize)
  }

  cachedBytes(): Uint8Array {
    return this.#cache.slice(0, this.#size)
  }

  write(mark: number, source: Uint8Array, position: number): void {
    this.#writeCache(source, position)
    this.#writes.push({ mark, position, bytes: source.slice() })
    this.#extend(mark, position + source.length)
  }

  /** Rule 3. */
  writeDurable(source: Uint8Array, position: number): void {
    const end = position + source.length
    this.#writeCache(source, position)
    this.#supersede(position, end)
    this.#size = Math.max(this.#size, end)
    const lastShrink = this.#sizes.findLastIndex(change => change.shrinks && change.size < end)
    this.#settleSizes(lastShrink + 1)
    this.#durable = grown(this.#durable, end)
    this.#durable.set(source, position)
    this.#durableSize = Math.max(this.#durableSize, end)
  }

  /** A write whose bytes reach the cache and never the disk: a failed durable write. */
  writeLost(mark: number, source: Uint8Array, position: number): void {
    this.#writeCache(source, position)
    this.#supersede(position, position + source.length)
    this.#extend(mark, position + source.length)
  }

  truncate(mark: number, size: number): void {
    if (size === this.#size) return
    const shrinks = size < this.#size
    if (shrinks) {
      this.#cache.fill(0, size, this.#size)
      this.#supersede(size, this.#size)
    }
    this.#size = size
    this.#cache = grown(this.#cache, size)
    this.#sizes.push({ mark, size, shrinks })
  }

  /** Makes durable what is not newer than `mark`. */
  sync(mark: number): void {
    this.#settleSizes(countUpTo(this.#sizes, mark))
    const count = countUpTo(this.#writes, mark)
    for (let index = 0; index < count; index++) this.#applyWrite(this.#writes[index]!)
    this.#writes.splice(0, count)
  }

  /** Rule 4. */
  failSync(mark: number): void {
    this.#writes.splice(0, countUpTo(this.#writes, mark))
  }

  /** Rule 5. Afterwards the cache is what the disk holds. Returns how many un-synced bytes are gone. */
  losePower(fate: FileFate): number {
    if (this.#sizes.length > 0) {
      const kept = fate.keepSizes(this.#sizes.length)
      assert(kept >= 0 && kept <= this.#sizes.length, 'a number of kept sizes', kept, this.#sizes.length)
      this.#settleSizes(kept)
      this.#sizes = []
    }
    const lostBytes = this.#writes.length > 0 ? this.#settleWrites(fate.keepWrite) : 0
    this.#durable.fill(0, this.#durableSize)
    this.#size = this.#durableSize
    this.#cache = this.#durable.slice(0, this.#size)
    this.#writes = []
    return lostBytes
  }

  /** Flips one bit on the disk, and in the cache unless the byte was written anew since. */
  flipBit(position: number, bit: number): void {
    assert(position < this.#durableSize, 'a bit flips inside the durable bytes', position, this.#durableSize)
    this.#durable[position]! ^= 1 << bit
    const isNewer = this.#writes.some(write => position >= write.position && position < write.position + write.bytes.length)
    if (!isNewer && position < this.#size) this.#cache[position]! ^= 1 << bit
  }

  copy(): FileState {
    const copy = new FileState(this.label)
    copy.#cache = this.#cache.slice(0, this.#size)
    copy.#size = this.#size
    copy.#durable = this.#durable.slice(0, this.#durableSize)
    copy.#durableSize = this.#durableSize
    copy.#writes = this.#writes.slice()
    copy.#sizes = this.#sizes.slice()
    return copy
  }

  #writeCache(source: Uint8Array, position: number): void {
    this.#cache = grown(this.#cache, position + source.length)
    this.#cache.set(source, position)
  }

  #extend(mark: number, end: number): void {
    if (end <= this.#size) return
    this.#size = end
    this.#sizes.push({ mark, size: end, shrinks: false })
  }

  /** Forgets what un-synced writes hold of a range, since something newer is there. */
  #supersede(from: number, to: number): void {
    if (!this.#writes.some(({ position, bytes }) => position < to && position + bytes.length > from)) return
    const left: UnsyncedWrite[] = []
    for (const write of this.#writes) {
      const { mark, position, bytes } = write
      const end = position + bytes.length
      if (end <= from || position >= to) {
        left.push(write)
        continue
      }
      if (position < from) left.push({ mark, position, bytes: bytes.subarray(0, from - position) })
      if (end > to) left.push({ mark, position: to, bytes: bytes.subarray(to - position) })
    }
    this.#writes = left
  }

  /** Makes the first `count` size changes durable. */
  #settleSizes(count: number): void {
    for (const { size, shrinks } of this.#sizes.splice(0, count)) {
      if (shrinks && size < this.#durableSize) this.#durable.fill(0, size)
      this.#durableSize = shrinks ? size : Math.max(this.#durableSize, size)
    }
    this.#durable = grown(this.#durable, this.#durableSize)
  }

  #applyWrite({ position, bytes }: UnsyncedWrite): void {
    this.#durable = grown(this.#durable, position + bytes.length)
    this.#durable.set(bytes, position)
  }

  #settleWrites(keepWrite: FileFate['keepWrite']): number {
    /** Sectors that a later write keeps, and that therefore have the earlier ones too. */
    const keptSectors = new Set<number>()
    const pieces: UnsyncedWrite[] = []
    let lostBytes = 0
    for (let index = this.#writes.length - 1; index >= 0; index--) {
      const write = this.#writes[index]!
      const keep = keepWrite(write)
      const end = write.position + write.bytes.length
      for (let from = write.position; from < end; ) {
        const sector = Math.floor(from / sectorBytes)
        const to = Math.min(end, (sector + 1) * sectorBytes)
        if (keptSectors.has(sector) || (typeof keep === 'boolean' ? keep : keep(sector))) {
          keptSectors.add(sector)
          pieces.push({ mark: write.mark, position: from, bytes: write.bytes.subarray(from - write.position, to - write.position) })
        } else lostBytes += to - from
        from = to
      }
    }
    for (let index = pieces.length - 1; index >= 0; index--) this.#applyWrite(pieces[index]!)
    return lostBytes
  }
}

function countUpTo(list: readonly { readonly mark: number }[], mark: number): number {
  const later = list.findIndex(item => item.mark > mark)
  return later === -1 ? list.length : later
}

/** The same bytes with room for `size`, zeros behind them. */
function grown(bytes: Uint8Array, size: number): Uint8Array {
  if (size <= bytes.length) return bytes
  const larger = new Uint8Array(Math.max(size, bytes.length * 2))
  larger.set(bytes)
  return larger
}
