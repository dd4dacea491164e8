/**
 * Random numbers from the system's generator, drawn in blocks so that one number costs nanoseconds.
 *
 * Invariant: a number is handed out once (`#used` only grows until the block is refilled), and `below` is unbiased: it draws again when
 * the number falls into the incomplete last multiple of the bound.
 */
import { randomFillSync } from 'node:crypto'
import { assert } from '../../errors.ts'
import type { Random } from '../environment.ts'

const blockNumbers = 256

class NodeRandom implements Random {
  readonly #block = new Uint32Array(blockNumbers)
  /** How many numbers of the block are spent. */
  #used = blockNumbers

  uint32(): number {
    if (this.#used === blockNumbers) {
      randomFillSync(this.#block)
      this.#used = 0
    }
    return this.#block[this.#used++]!
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 0x1_0000_0000, 'a random bound is an integer in 1 .. 2^32', bound)
    const fair = 0x1_0000_0000 - (0x1_0000_0000 % bound)
    for (;;) {
      const drawn = this.uint32()
      if (drawn < fair) return drawn % bound
    }
  }
}

/** Random numbers of the system. */
export const nodeRandom: Random = new NodeRandom()
