/**
 * Seeded randomness: sfc32 (Chris Doty-Humphrey's small fast counting generator), 128 bits of state filled from the seed by splitmix32.
 *
 * Invariant: the same seed and the same calls give the same numbers, on every machine and in every version of Varve; a failed run is
 * replayed from its seed. Parts of a simulation take generators of their own (`fork`), so that one more draw here changes nothing there.
 */
import { assert } from '../../errors.ts'
import type { Random } from '../environment.ts'

export class SimRandom implements Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    let state = (seed ^ Math.floor(seed / 0x1_0000_0000)) | 0
    const fill = (): number => {
      state = (state + 0x9e37_79b9) | 0
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad)
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97)
      return mixed ^ (mixed >>> 15)
    }
    this.#a = fill()
    this.#b = fill()
    this.#c = fill()
    for (let round = 0; round < 12; round++) this.uint32()
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= 0x1_0000_0000, 'a random bound is an integer in 1 .. 2^32', bound)
    const fair = 0x1_0000_0000 - (0x1_0000_0000 % bound)
    for (;;) {
      const drawn = this.uint32()
      if (drawn < fair) return drawn % bound
    }
  }

  /** A number in [0, 1) with 32 random bits. */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000
  }

  /** True with this probability, 0 .. 1. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** A generator of its own, seeded from this one. */
  fork(): SimRandom {
    return new SimRandom(this.uint32())
  }
}
