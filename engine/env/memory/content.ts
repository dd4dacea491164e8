/**
 * The bytes of one file in memory: blocks of a fixed size that come as the file grows, so that growing copies nothing and a hole costs nothing.
 *
 * Owned by the names of `MemoryFiles` and by the open files that refer to it; freed when neither does.
 * Invariant: bytes of blocks beyond `size` are zero, so that growing again, by `truncate` or by a write behind the end, shows zeros.
 */
import { assert } from '../../errors.ts'

const blockBytes = 16 * 1024

export class MemoryContent {
  readonly #blocks: (Uint8Array | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Copies bytes from `position` on; returns how many there were. */
  read(target: Uint8Array, position: number): number {
    assert(Number.isSafeInteger(position) && position >= 0, 'a position in a file is a natural number', position)
    const count = Math.max(0, Math.min(target.length, this.#size - position))
    for (let done = 0; done < count; ) {
      const index = Math.floor((position + done) / blockBytes)
      const start = position + done - index * blockBytes
      const length = Math.min(count - done, blockBytes - start)
      const block = this.#blocks[index]
      if (block === undefined) target.fill(0, done, done + length)
      else target.set(block.subarray(start, start + length), done)
      done += length
    }
    return count
  }

  write(source: Uint8Array, position: number): void {
    assert(Number.isSafeInteger(position) && position >= 0, 'a position in a file is a natural number', position)
    if (source.length === 0) return
    for (let done = 0; done < source.length; ) {
      const index = Math.floor((position + done) / blockBytes)
      const start = position + done - index * blockBytes
      const length = Math.min(source.length - done, blockBytes - start)
      const block = (this.#blocks[index] ??= new Uint8Array(blockBytes))
      block.set(source.subarray(done, done + length), start)
      done += length
    }
    this.#size = Math.max(this.#size, position + source.length)
  }

  truncate(size: number): void {
    assert(Number.isSafeInteger(size) && size >= 0, 'the size of a file is a natural number', size)
    if (size < this.#size) {
      this.#blocks.length = Math.min(this.#blocks.length, Math.ceil(size / blockBytes))
      if (size % blockBytes > 0) this.#blocks[Math.floor(size / blockBytes)]?.fill(0, size % blockBytes)
    }
    this.#size = size
  }
}
