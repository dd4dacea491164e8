/**
 * Tells senders that what they sent is durable, no more of them in one turn of the event loop than a few milliseconds' worth: one write to the disk may acknowledge
 * ten thousand records, and whoever waited for one usually sends the next at once. What is left over waits for the next turn, in order.
 *
 * One for the whole database, since its senders share a thread. How long a sender goes on is not known before it does, so work is counted in records. Invariant:
 * acknowledgements are told in the order of `tell`, and those of a batch in the order of its records.
 */
import type { StreamHost } from '../host.ts'

/** What one turn may cost. */
const costMax = 4000
/** A turn is over when so much time has passed, ms, though nobody has said so: what may be told in one takes less. */
const turnMs = 2
/** Of a record of a batch, whose sender waits for all of it. */
export const COST_IN_BATCH = 1
/** Of a record that has a promise of its own. */
export const COST_ALONE = 6

/** Records of a batch that are told at a time: their senders have sent to other partitions in between, and wait for these too before they go on. */
export const TOLD_AT_ONCE = 64

interface Told {
  /** Records of each batch. */
  readonly counts: readonly number[]
  readonly countMax: number
  readonly cost: number
  /** Settles those of `[from, to)` of a batch. */
  readonly settle: (batch: number, from: number, to: number) => void
  /** The next piece: of which batch, and its first record. */
  batch: number
  from: number
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

  /**
   * Calls `settle` for pieces of the records of some batches, from each batch in order and from all in turn, now as far as this turn goes; `cost` is that of each
   * record.
   */
  tell(counts: readonly number[], cost: number, settle: (batch: number, from: number, to: number) => void): void {
    if (counts.length === 0) return
    this.#queue.push({ counts, countMax: Math.max(...counts), cost, settle, batch: 0, from: 0 })
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
      const { counts, cost, batch, from } = told
      const to = Math.min(counts[batch] as number, from + TOLD_AT_ONCE)
      const costs = Math.max(0, to - from) * cost
      // What costs more than a turn may has one for itself.
      if (this.#used > 0 && this.#used + costs > costMax) {
        this.#isWaiting = true
        this.#place.timers.soon(this.#nextTurn)
        return
      }
      this.#used += costs
      told.batch = batch + 1 === counts.length ? 0 : batch + 1
      if (told.batch === 0) told.from += TOLD_AT_ONCE
      if (told.from >= told.countMax) this.#queue.shift()
      if (to > from) told.settle(batch, from, to)
    }
  }

  readonly #nextTurn = (): void => {
    this.#isWaiting = false
    this.#begunMs = this.#place.clock.monotonic()
    this.#used = 0
    this.#go()
  }
}
