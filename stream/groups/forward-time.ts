/**
 * Time that only goes forward, made from a clock that may not: all deadlines of groups are kept in it.
 *
 * A clock that was set back stands still for this one step, and then goes on from where it was set to, so no deadline comes early, none is put off
 * by more than the step, and no waiting time is negative.
 */
export class ForwardTime {
  /** The clock's last reading, ms. */
  #reading: number | undefined
  /** Sum of the forward steps, ms. Invariant: never falls. */
  #elapsed = 0

  /** Takes a reading of the clock, ms, and returns the time. */
  advance(reading: number): number {
    if (this.#reading !== undefined && reading > this.#reading) this.#elapsed += reading - this.#reading
    this.#reading = reading
    return this.#elapsed
  }
}
