/**
 * When a store's commits were: a list of (time, moment) that answers which moment a time means, and which clock a moment had.
 *
 * Kept by `history.ts`, one a store with history, and stored with each flush. An entry says: from this time on (until the next entry) the store was as the
 * moment shows it. Recent commits have an entry each; older ones are thinned to an interval in proportion to their age, so that the list stays
 * small for any horizon. What is thinned away falls back to the entry before it: the answer is a moment that was, a little earlier.
 *
 * An entry also knows where the first commit began that it stands for (its base): commits of other stores in between are not its own.
 *
 * Invariants: times and moments ascend; moments[i - 1] <= bases[i] < moments[i]; the first entry is never thinned.
 */
import { damagedBytes } from '../codec/damage.ts'
import { readVarint, varintEnd, varintSize, writeVarint } from '../codec/varint.ts'
import { VarveError } from '../errors.ts'

const formatVersion = 1
/** Entries lie at most this fraction of their age apart, as far as there were commits. */
export const thinningFraction: number = 1 / 512
/** What is stored never exceeds it: metadata slots have 64 KiB. */
const bytesMax = 48 * 1024

export class TimeMap {
  #times: number[] = []
  #moments: number[] = []
  #bases: number[] = []

  get length(): number {
    return this.#times.length
  }

  /** The moment after the newest commit that it knows; 0 without any. */
  get lastMoment(): number {
    return this.#moments.at(-1) ?? 0
  }

  /** A commit at `time` took the sequences from `base` to `moment`, exclusive. Where the clock was set back, entries with later times than now give way. */
  add(time: number, base: number, moment: number): void {
    const times = this.#times
    const moments = this.#moments
    const bases = this.#bases
    if (moment <= this.lastMoment) return
    let first = base
    while (times.length > 1 && times.at(-1)! > time) {
      times.pop()
      moments.pop()
      first = bases.pop()!
    }
    if (times.length === 1 && times[0]! > time) times[0] = time
    if (times.at(-1) === time) moments[moments.length - 1] = moment
    else {
      times.push(time)
      moments.push(moment)
      bases.push(first)
    }
  }

  /** The moment at that time; undefined before the first entry. */
  momentAt(time: number): number | undefined {
    return this.#moments[lastAtMost(this.#times, time)]
  }

  /** The clock of a moment: when the last commit before it was, or a little later; undefined before the first one. */
  timeAt(moment: number): number | undefined {
    const i = lastAtMost(this.#moments, moment)
    const next = this.#bases[i + 1]
    return this.#times[next !== undefined && next < moment ? i + 1 : i]
  }

  /** Forgets entries that only moments below `horizon` need. */
  dropBelow(horizon: number): void {
    const first = lastAtMost(this.#moments, horizon)
    if (first <= 0) return
    this.#times.splice(0, first)
    this.#moments.splice(0, first)
    this.#bases.splice(0, first)
  }

  /** Leaves out entries that lie closer together than a fraction of their age. */
  thin(now: number, fraction: number = thinningFraction): void {
    const times = this.#times
    const moments = this.#moments
    const bases = this.#bases
    let kept = 0
    let base = -1
    for (let i = 1; i < times.length; i++) {
      const next = times[i + 1]
      if (base < 0) base = bases[i]!
      if (next !== undefined && next - times[kept]! <= (now - times[i]!) * fraction) continue
      kept++
      times[kept] = times[i]!
      moments[kept] = moments[i]!
      bases[kept] = base
      base = -1
    }
    if (times.length > 0) times.length = moments.length = bases.length = kept + 1
  }

  /** Thinned further until it fits. */
  encode(now: number): Uint8Array {
    for (let fraction = thinningFraction; this.#size() > bytesMax; fraction *= 2) this.thin(now, fraction)
    const bytes = new Uint8Array(this.#size())
    bytes[0] = formatVersion
    let at = writeVarint(bytes, 1, this.length)
    let time = 0
    let moment = 0
    for (let i = 0; i < this.length; i++) {
      at = writeVarint(bytes, at, this.#times[i]! - time)
      at = writeVarint(bytes, at, this.#bases[i]! - moment)
      at = writeVarint(bytes, at, this.#moments[i]! - this.#bases[i]!)
      time = this.#times[i]!
      moment = this.#moments[i]!
    }
    return bytes
  }

  /** CORRUPT for bytes that no `encode` has written, NEWER_FORMAT for those of a newer version. */
  static decode(bytes: Uint8Array): TimeMap {
    const version = bytes[0] ?? 0
    if (version > formatVersion)
      throw new VarveError('NEWER_FORMAT', `times of a history have version ${version}, which is not known to this version`)
    if (version === 0) throw damagedBytes('times of a history have no version', 0)
    const map = new TimeMap()
    const count = readVarint(bytes, 1)
    let at = varintEnd
    let time = 0
    let moment = 0
    for (let i = 0; i < count; i++) {
      time += readVarint(bytes, at)
      const base = moment + readVarint(bytes, varintEnd)
      moment = base + readVarint(bytes, varintEnd)
      at = varintEnd
      map.#bases.push(base)
      map.#times.push(time)
      map.#moments.push(moment)
    }
    if (at !== bytes.length) throw damagedBytes('times of a history have bytes left over', at)
    return map
  }

  #size(): number {
    let size = 1 + varintSize(this.length)
    for (let i = 0; i < this.length; i++) {
      const base = this.#bases[i]!
      size += varintSize(this.#times[i]! - (this.#times[i - 1] ?? 0))
      size += varintSize(base - (this.#moments[i - 1] ?? 0)) + varintSize(this.#moments[i]! - base)
    }
    return size
  }
}

/** Index of the last number that is not above `limit`; -1 when there is none. */
function lastAtMost(ascending: readonly number[], limit: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ascending[middle]! <= limit) low = middle + 1
    else high = middle
  }
  return low - 1
}
