/**
 * How often and how long writers had to wait for the disk, for `stats()`.
 *
 * A stall begins with the first acknowledgement that is held back (soft) or the first write that is refused with BUSY (hard), and ends when
 * acknowledgements go out and there is room again. Owned by the commit log.
 */
import type { Clock } from '../env/environment.ts'

/** `'soft'`: acknowledgements are held back; `'hard'`: writes were refused with BUSY. */
export type StallState = 'none' | 'soft' | 'hard'

/** How often and how long writers waited since the opening. */
export interface StallStats {
  /** Now. */
  readonly state: StallState
  /** Stalls that began. */
  readonly count: number
  /** Of them, those in which a write was refused. */
  readonly hard: number
  /** Writes that were refused with BUSY. */
  readonly refused: number
  /** Time of all stalls together, the one under way included, ms. */
  readonly totalMs: number
  /** Of the longest one, ms. */
  readonly longestMs: number
  /** Acknowledgements that came later at the pace of flushes, no stalls. */
  readonly delayed: number
  /** By how much these came later, all together, ms. */
  readonly delayedMs: number
}

export class StallClock {
  readonly #clock: Clock
  #state: StallState = 'none'
  #startedMs = 0
  #count = 0
  #hard = 0
  #refused = 0
  #totalMs = 0
  #longestMs = 0
  #delayed = 0
  #delayedMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  held(): void {
    if (this.#state === 'none') this.#begin('soft')
  }

  delayed(ms: number): void {
    this.#delayed++
    this.#delayedMs += ms
  }

  refused(): void {
    this.#refused++
    if (this.#state === 'hard') return
    this.#hard++
    if (this.#state === 'none') this.#begin('hard')
    else this.#state = 'hard'
  }

  /** Acknowledgements go out and there is room. */
  ended(): void {
    if (this.#state === 'none') return
    const ms = this.#clock.monotonic() - this.#startedMs
    this.#state = 'none'
    this.#totalMs += ms
    this.#longestMs = Math.max(this.#longestMs, ms)
  }

  stats(): StallStats {
    const now = this.#state === 'none' ? 0 : this.#clock.monotonic() - this.#startedMs
    return {
      state: this.#state,
      count: this.#count,
      hard: this.#hard,
      refused: this.#refused,
      totalMs: this.#totalMs + now,
      longestMs: Math.max(this.#longestMs, now),
      delayed: this.#delayed,
      delayedMs: this.#delayedMs,
    }
  }

  #begin(state: StallState): void {
    this.#state = state
    this.#count++
    this.#startedMs = this.#clock.monotonic()
  }
}
