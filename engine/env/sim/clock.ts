/**
 * The clock of one simulated machine. Monotonic time is the scheduler's; wall time is the same plus a start and a skew, which tests
 * change at will: machines disagree, and wall clocks jump.
 */
import type { Clock } from '../environment.ts'
import type { SimScheduler } from './scheduler.ts'

/** Wall time at virtual 0 without skew: 2020-01-01 UTC, so that traces are readable and nothing depends on today. */
const startWallMs = 1_577_836_800_000

export class SimClock implements Clock {
  readonly #scheduler: SimScheduler
  /** Added to wall time; set it to make the clock wrong, change it to make it jump. */
  skewMs: number

  constructor(scheduler: SimScheduler, skewMs = 0) {
    this.#scheduler = scheduler
    this.skewMs = skewMs
  }

  now(): number {
    return Math.floor(startWallMs + this.#scheduler.nowMs + this.skewMs)
  }

  monotonic(): number {
    return this.#scheduler.nowMs
  }

  /** Moves wall time by `byMs` (back when negative); monotonic time goes on. */
  jump(byMs: number): void {
    this.skewMs += byMs
  }
}
