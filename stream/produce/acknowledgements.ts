/**
 * Tells senders that what they sent is durable, no more of them in one turn of the event loop than a few milliseconds' worth: one write to the disk may acknowledge
 * ten thousand records, and whoever waited for one usually sends the next at once. What is left over waits for the next turn, in order.
 *
 * One for the whole database, since its senders share a thread. How long a sender goes on is not known before it does, so work is counted in records. Invariant:
 * acknowledgements are told in the order of `tell`.
 */
import type { StreamHost } from '../host.ts'

/** What one turn may cost. */
const costMax = 4000
/** A turn is over when so much time has passed, ms, though nobody has said so: a costs's worth is less. */
const turnMs = 2
/** Of a record of a batch, whose sender waits for all of it. */
export const COST_IN_BATCH = 1
/** Of a record that has a promise of its own. */
export const COST_ALONE = 6

interface Told {
  readonly count: number
  readonly cost: number
  /** Settles those of `[from, to)`. */
  readonly settle: (from: number, to: number) => void
  done: number
}

export class Acknowledgements {
  readonly #place: Pick<StreamHost['environment'], 'clock' | 'timers'>
  /** Not told yet, oldest first. */
  readonly #queue: Told[] = []
  /** What this turn has cost. */
  #used = 0
  /** When it began, monotonic ms. */
  #begunMs = Number.NEGATIVE_INFINITY
  /** The rest goes on in the next turn. */
  #isWaiting = false

  constructor(place: Pick<StreamHost['environment'], 'clock' | 'timers'>) {
    this.#place = place
  }

  /** Calls `settle` for pieces of `[0, count)` in order, now as far as this turn goes; `cost` is that of each. */
  tell(count: number, cost: number, settle: (from: number, to: number) => void): void {
    this.#queue.push({ count, cost, settle, done: 0 })
    if (this.#isWaiting) return
    const now = this.#place.clock.monotonic()
    if (now - this.#begunMs >= turnMs) {
      this.#begunMs = now
      this.#used = 0
    }
    this.#go()
  }

  #go(): void {
    for (let told = this.#queue[0]; told !== undefined; told = this.#queue[0]) {
      // What costs more than a turn may has one for itself.
      const room = this.#used === 0 ? Math.max(1, Math.floor(costMax / told.cost)) : Math.floor((costMax - this.#used) / told.cost)
      if (room <= 0) {
        this.#isWaiting = true
        this.#place.timers.soon(this.#nextTurn)
        return
      }
      const from = told.done
      const to = Math.min(told.count, from + room)
      told.done = to
      this.#used += (to - from) * told.cost
      if (to === told.count) this.#queue.shift()
      told.settle(from, to)
    }
  }

  readonly #nextTurn = (): void => {
    this.#isWaiting = false
    this.#begunMs = this.#place.clock.monotonic()
    this.#used = 0
    this.#go()
  }
}
