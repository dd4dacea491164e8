/**
 * Long work on the owner's thread that gives way once in a while, so that timers and I/O of the process come in between: loops that always find records, the
 * replay of a commit log. Whoever works asks at each step; most answers cost reading a clock.
 */
import type { Environment } from './environment.ts'

/** See the head of this file. */
export class Breath {
  readonly #place: Pick<Environment, 'clock' | 'timers'>
  readonly #everyMs: number
  /** When the thread last was somebody else's, as far as is known, monotonic ms. */
  #takenAt = 0

  constructor(place: Pick<Environment, 'clock' | 'timers'>, everyMs: number) {
    this.#place = place
    this.#everyMs = everyMs
  }

  /** The time is over: `due` gives something to await. */
  get isDue(): boolean {
    return this.#place.clock.monotonic() - this.#takenAt >= this.#everyMs
  }

  /** undefined, or when the time is over what to await. */
  due(): Promise<void> | undefined {
    const { timers } = this.#place
    if (!this.isDue) return undefined
    return new Promise(resolve => {
      timers.soon(() => {
        this.taken()
        resolve()
      })
    })
  }

  /** The caller has just waited for something else. */
  taken(): void {
    this.#takenAt = this.#place.clock.monotonic()
  }
}
