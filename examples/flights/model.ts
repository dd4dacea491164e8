/**
 * What a log must hold, computed from the source while it is loaded and compared when it is read back: how many records, a checksum over their
 * contents in order, and for some moments the first offset that is not earlier.
 */

/** Midnights from January to July 2001: the moments that are looked up. */
export const moments: readonly number[] = Array.from({ length: 182 }, (_, day) => Date.UTC(2001, 0, 1 + day))

export interface Flight {
  readonly time: number
  readonly origin: string
  readonly destination: string
  readonly delay: number
  readonly miles: number
}

export class LogModel {
  count = 0
  checksum = 0
  /** Offset of the first record at or after `moments[i]`; undefined while there is none. */
  readonly firstAt: (number | undefined)[] = moments.map(() => undefined)
  /** Moments below this index are found. */
  #found = 0

  add({ time, origin, destination, delay, miles }: Flight): void {
    while (this.#found < moments.length && (moments[this.#found] as number) <= time) this.firstAt[this.#found++] = this.count
    this.count++
    let sum = mix(this.checksum, time / 60_000)
    sum = mix(mix(sum, delay), miles)
    for (let i = 0; i < origin.length; i++) sum = mix(sum, origin.charCodeAt(i))
    for (let i = 0; i < destination.length; i++) sum = mix(sum, destination.charCodeAt(i))
    this.checksum = sum
  }
}

function mix(sum: number, value: number): number {
  return Math.imul(sum ^ value, 0x01000193) >>> 0
}
