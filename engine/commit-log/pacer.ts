/**
 * Slows writers to the pace of flushes, a little at each acknowledgement, before a bound stops them for long (as RocksDB's delayed write rate).
 *
 * 1. The *backlog* is what was appended and is not flushed. Below `startShare` of the tails' bound nothing is delayed.
 * 2. Above it each frame is acknowledged when its bytes have had their time at a *rate*: what flushes drain, merges that they wait for included, times a
 *    factor that falls with the backlog. It settles where writers and flushes go at one pace.
 * 3. What flushes drain is measured while there is something to drain, older flushes counting less; a flush that takes longer than the last ones lowers it
 *    while it is under way.
 * Writers that honour acknowledgements go slowly then instead of standing still; others meet the hard bounds.
 *
 * Owned by the commit log. Invariant: acknowledgement times never go back, so order is kept.
 */
import type { Clock } from '../env/environment.ts'

/** Of `tailBytesMax`: where the pace begins to fall, and where it has fallen to `factorMin`. */
const startShare = 3 / 16
const endShare = 7 / 16
/** Of what is drained: the pace at `startShare` and at `endShare`. */
const factorMax = 1.8
const factorMin = 0.3
/** How much of the flushes before counts beside a new one. */
const memory = 0.7
/** A delay of less is not worth a timer, ms. What was not delayed is delayed with the next frame. */
const delayMsMin = 1
/** No acknowledgement is delayed more, ms: a commit that large is rare, and the ones behind it pay. */
const delayMsMax = 50

export class Pacer {
  readonly #clock: Clock
  readonly #startBytes: number
  readonly #endBytes: number
  /** Bytes drained and the time it took, ms. */
  #drainedBytes = 0
  #drainedMs = 0
  /** When the flush under way began to count, ms; undefined: nothing is to be flushed. */
  #sinceMs: number | undefined
  /** Bytes of what is drained next. */
  #nextBytes = 0
  /** When the bytes acknowledged so far have had their time, ms. */
  #paidMs = 0

  constructor(clock: Clock, tailBytesMax: number) {
    this.#clock = clock
    this.#startBytes = tailBytesMax * startShare
    this.#endBytes = tailBytesMax * endShare
  }

  /** Something is to be flushed; `bytes`: the first of it. Called again when it changes. */
  waits(bytes: number): void {
    this.#sinceMs ??= this.#clock.monotonic()
    this.#nextBytes = bytes
  }

  /** So many bytes were flushed; `nextBytes` are to be flushed next, 0: nothing. */
  drained(bytes: number, nextBytes: number): void {
    const now = this.#clock.monotonic()
    this.#drainedBytes = this.#drainedBytes * memory + bytes
    this.#drainedMs = this.#drainedMs * memory + (now - (this.#sinceMs ?? now))
    this.#sinceMs = nextBytes > 0 ? now : undefined
    this.#nextBytes = nextBytes
  }

  /** How long the acknowledgement of a frame of so many bytes waits, ms, while so many are not flushed. */
  delayMs(frameBytes: number, backlogBytes: number): number {
    if (backlogBytes <= this.#startBytes || this.#sinceMs === undefined) return 0
    const now = this.#clock.monotonic()
    const rate = this.#drainRate(now)
    if (rate === Number.POSITIVE_INFINITY) return 0
    const place = Math.min(1, (backlogBytes - this.#startBytes) / (this.#endBytes - this.#startBytes))
    const factor = factorMax + (factorMin - factorMax) * place
    this.#paidMs = Math.min(Math.max(this.#paidMs, now) + frameBytes / (rate * factor), now + delayMsMax)
    const delay = this.#paidMs - now
    return delay < delayMsMin ? 0 : delay
  }

  /** Bytes per ms. */
  #drainRate(now: number): number {
    const elapsed = now - (this.#sinceMs ?? now)
    const known = this.#drainedMs > 0 ? this.#drainedBytes / this.#drainedMs : Number.POSITIVE_INFINITY
    if (elapsed <= 0 || this.#nextBytes <= elapsed * known) {
      // Overdue (or nothing known): it may end any moment, so that is the best it can be.
      const best = (this.#drainedBytes * memory + this.#nextBytes) / (this.#drainedMs * memory + elapsed)
      return elapsed <= 0 ? known : Math.min(known, best)
    }
    return known
  }
}
