/**
 * What a queue decides for one partition and group: which record is delivered next, to whom it is locked until when, and what is done with. Pure: no reads, no
 * clock, no timers; whoever owns it (`queue-group.ts`) tells it the time, which falls never (`time`, of locks) or may do so (`now`, of `deliverAt`).
 *
 * Offsets fall into three classes. Below `start`, or within [start, next) without an entry: done (acknowledged, dead, or never a record). With an entry: not
 * done. From `next` on: not looked at. What an earlier process has left is a `QueueRow`, which is taken up as the records come by.
 *
 * An entry's token is its count of deliveries: whoever holds the newest one may settle it, also when the lock's time is over and nobody else has had the record
 * since; an older one is refused.
 */
import { assert } from '../../engine/index.ts'
import { DeadlineQueue } from '../groups/deadline-queue.ts'

/** Most records of a partition that are looked at and not done; what lies behind them waits. Bounds memory, and the row. */
export const TRACKED_MAX = 10_000

/** What is durable of a partition and group; see docs/TOPICS.md. */
export interface QueueRow {
  /** Every record below this offset is done. */
  readonly start: number
  /** Ranges above `start` that are done: first offset, end (exclusive), … in order. */
  readonly acked?: readonly number[]
  /** Records that were delivered and are not done: offset, deliveries, … in order. */
  readonly deliveries?: readonly number[]
  /** Records given up, since the group began. */
  readonly dead?: number
}

type State = 'available' | 'locked' | 'waiting' | 'scheduled' | 'dying'

interface Entry {
  readonly offset: number
  /** Times it was handed out, the current one included. */
  deliveries: number
  state: State
  /** When 'locked' or 'waiting' ends, in `time`; when 'scheduled' ends, in `now`. */
  until: number
  /** Who has it locked, or had it last. */
  holder: number
  /** Why it failed last, for the dead-letter record. */
  error: string | undefined
}

/** A record that is handed out. */
export interface Acquired {
  readonly offset: number
  readonly deliveries: number
}

/** A record that is to be given up. */
export interface Dying extends Acquired {
  readonly error: string | undefined
}

/** Queue of one partition and group: `acquire`, `ack`, `release`, `expire` and what stands between them. */
export class QueuePartition {
  /** Not done, in order of offsets. */
  readonly #entries = new Map<number, Entry>()
  /** Available ones by offset; one that is not available any more is void. */
  readonly #ready = new DeadlineQueue<Entry>()
  /** Locked and waiting ones by `until`; one with another `until` is void. */
  readonly #locks = new DeadlineQueue<Entry>()
  /** Scheduled ones by `until`. */
  readonly #scheduled = new DeadlineQueue<Entry>()
  /** Ranges of the row that were not looked at yet, as in the row. */
  #ackedAhead: readonly number[]
  /** Index in `#ackedAhead` of the first range that ends behind `next`. */
  #aheadAt = 0
  /** Deliveries of the row, of records that were not looked at yet. */
  readonly #deliveriesAhead = new Map<number, number>()
  /** Offset of the next record to look at. Grows. */
  #next: number
  /** Records below were dropped by retention: done, whoever held them. */
  #trimmed = 0
  #dead: number
  /** How many entries are in each state. */
  readonly #counts: Record<State, number> = { available: 0, locked: 0, waiting: 0, scheduled: 0, dying: 0 }

  constructor(row: QueueRow) {
    this.#next = row.start
    this.#ackedAhead = row.acked ?? []
    this.#dead = row.dead ?? 0
    const { deliveries = [] } = row
    for (let i = 0; i + 1 < deliveries.length; i += 2) this.#deliveriesAhead.set(deliveries[i] as number, deliveries[i + 1] as number)
  }

  /** Offset of the next record to look at. */
  get next(): number {
    return this.#next
  }
  get available(): number {
    return this.#counts.available
  }
  get inFlight(): number {
    return this.#counts.locked
  }
  /** Sent with a time that has not come, or given back with a delay. */
  get delayed(): number {
    return this.#counts.scheduled + this.#counts.waiting
  }
  get dying(): number {
    return this.#counts.dying
  }
  get dead(): number {
    return this.#dead
  }
  /** As many records are tracked as may be: none may be added until one is done. */
  get isFull(): boolean {
    return this.#entries.size >= TRACKED_MAX
  }
  /** When, in `time`, `expire` is to be called. It may be early. */
  get locksDueAt(): number {
    return this.#locks.earliest
  }
  /** When, in `now`, `expire` is to be called. It may be early. */
  get scheduledDueAt(): number {
    return this.#scheduled.earliest
  }

  /**
   * Looks at a record, which is the next one of the log; false when it is done. `deliverAt` (in `now`): not before; undefined: at once. One that was delivered
   * `deliveriesMax` times in an earlier life is dying, and so is one with `dyingOf`, the error it dies of.
   */
  track(offset: number, deliverAt: number | undefined, now: number, deliveriesMax: number, dyingOf?: string): boolean {
    assert(offset >= this.#next, 'queue: records are looked at in order')
    this.#next = offset + 1
    if (this.#isAckedAhead(offset)) return false
    const deliveries = this.#deliveriesAhead.get(offset) ?? 0
    this.#deliveriesAhead.delete(offset)
    const entry: Entry = { offset, deliveries, state: 'available', until: 0, holder: 0, error: dyingOf }
    this.#entries.set(offset, entry)
    this.#counts.available++
    if (deliveries >= deliveriesMax || dyingOf !== undefined) this.#become(entry, 'dying')
    else if (deliverAt !== undefined && deliverAt > now) {
      this.#become(entry, 'scheduled')
      entry.until = deliverAt
      this.#scheduled.push(deliverAt, entry)
    } else this.#ready.push(offset, entry)
    return true
  }

  /** The log was looked at up to here; between the last record and here is none. */
  passTo(next: number): void {
    if (next > this.#next) this.#next = next
  }

  /** Locks the available record with the lowest offset for `holder` until `time + lockMs`; undefined when there is none. */
  acquire(time: number, lockMs: number, holder: number): Acquired | undefined {
    for (;;) {
      const entry = this.#ready.popDue(Number.POSITIVE_INFINITY)?.owner
      if (entry === undefined) return undefined
      if (entry.state !== 'available' || this.#entries.get(entry.offset) !== entry) continue
      entry.deliveries++
      entry.holder = holder
      this.#lock(entry, time + lockMs)
      return entry
    }
  }

  /** Whether the holder of this delivery may settle the record. */
  holds(offset: number, deliveries: number): boolean {
    if (offset < this.#trimmed) return true
    const entry = this.#entries.get(offset)
    return entry !== undefined && entry.deliveries === deliveries && entry.state !== 'dying'
  }

  /** The record is done. False, and nothing happens, when the lock is lost. */
  ack(offset: number, deliveries: number): boolean {
    if (!this.holds(offset, deliveries)) return false
    this.drop(offset)
    return true
  }

  /** The record is done without anybody's word: it is not in the log any more. */
  drop(offset: number): void {
    const entry = this.#entries.get(offset)
    if (entry === undefined) return
    this.#counts[entry.state]--
    this.#entries.delete(offset)
    // Locks mostly end in the order in which they began: void ones go with the records, not only when their time is over.
    for (let first = this.#locks.first; first !== undefined && this.#isVoid(first); first = this.#locks.first) this.#locks.popDue(Infinity)
  }

  /** Gives the record back, to be delivered again after `delayMs`, or to die when it was delivered `deliveriesMax` times. False when the lock is lost. */
  release(offset: number, deliveries: number, time: number, delayMs: number, deliveriesMax: number, error: string | undefined): boolean {
    if (!this.holds(offset, deliveries)) return false
    const entry = this.#entries.get(offset)
    if (entry === undefined) return true
    entry.error = error
    this.#giveBack(entry, time, delayMs, deliveriesMax)
    return true
  }

  /** Gives back all that `holder` has locked. */
  releaseAll(holder: number, time: number, deliveriesMax: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.holder !== holder || entry.state !== 'locked') continue
      entry.error = 'the queue was closed before the record was settled'
      this.#giveBack(entry, time, 0, deliveriesMax)
    }
  }

  /** The record is to die now. False when the lock is lost. */
  reject(offset: number, deliveries: number, error: string | undefined): boolean {
    if (!this.holds(offset, deliveries)) return false
    const entry = this.#entries.get(offset)
    if (entry === undefined) return true
    entry.error = error
    this.#become(entry, 'dying')
    return true
  }

  /** Locks the record until `time + lockMs`, also when its lock was over. False when the lock is lost. */
  extend(offset: number, deliveries: number, time: number, lockMs: number): boolean {
    const entry = this.#entries.get(offset)
    if (entry === undefined || !this.holds(offset, deliveries)) return false
    this.#lock(entry, time + lockMs)
    return true
  }

  /** Frees what is due: locks that are over, which `over` is told, and delays that have passed. True when something became available or began to die. */
  expire(time: number, now: number, deliveriesMax: number, over?: (record: Acquired) => void): boolean {
    let changed = false
    for (let due = this.#locks.popDue(time); due !== undefined; due = this.#locks.popDue(time)) {
      const { owner: entry, at } = due
      if (this.#entries.get(entry.offset) !== entry || entry.until !== at) continue
      if (entry.state === 'locked') {
        entry.error = 'the lock was over before the record was settled'
        over?.(entry)
        this.#giveBack(entry, time, 0, deliveriesMax)
      } else if (entry.state === 'waiting') this.#makeAvailable(entry)
      else continue
      changed = true
    }
    for (let due = this.#scheduled.popDue(now); due !== undefined; due = this.#scheduled.popDue(now)) {
      const { owner: entry } = due
      if (entry.state !== 'scheduled' || this.#entries.get(entry.offset) !== entry) continue
      this.#makeAvailable(entry)
      changed = true
    }
    return changed
  }

  /** Retention has dropped all records below `offset`. True when there were any. */
  trim(offset: number): boolean {
    if (offset <= this.#trimmed) return false
    this.#trimmed = offset
    let found = false
    for (const key of this.#entries.keys()) {
      if (key >= offset) break
      this.drop(key)
      found = true
    }
    for (const key of this.#deliveriesAhead.keys()) if (key < offset) this.#deliveriesAhead.delete(key)
    if (this.#next < offset) this.#next = offset
    return found
  }

  /** What is to be given up, at most `max`. */
  dyingRecords(max: number): Dying[] {
    const found: Dying[] = []
    if (this.#counts.dying === 0) return found
    for (const entry of this.#entries.values()) {
      if (found.length >= max) break
      if (entry.state === 'dying') found.push(entry)
    }
    return found
  }

  /** These were given up, durably or about to be. */
  buried(dying: readonly Acquired[]): void {
    for (const { offset } of dying) {
      if (!this.#entries.has(offset)) continue
      this.drop(offset)
      this.#dead++
    }
  }

  /** What is to be durable, as if `done` were done and `buried` of them given up. */
  row(done: ReadonlySet<number> | undefined, buried: number): QueueRow {
    const acked: number[] = []
    const deliveries: number[] = []
    let start = -1
    let expected = -1
    for (const entry of this.#entries.values()) {
      const { offset } = entry
      if (done?.has(offset) === true) continue
      if (start < 0) start = offset
      else if (offset > expected) acked.push(expected, offset)
      expected = offset + 1
      if (entry.deliveries > 0) deliveries.push(offset, entry.deliveries)
    }
    if (start < 0) start = this.#next
    else if (this.#next > expected) acked.push(expected, this.#next)
    for (let i = this.#aheadAt; i < this.#ackedAhead.length; i += 2) {
      const from = Math.max(this.#next, this.#ackedAhead[i] as number)
      const end = this.#ackedAhead[i + 1] as number
      if (end <= from) continue
      if (acked.length > 0 && acked.at(-1) === from) acked[acked.length - 1] = end
      else if (acked.length === 0 && from === start) start = end
      else acked.push(from, end)
    }
    for (const [offset, count] of this.#deliveriesAhead) deliveries.push(offset, count)
    const dead = this.#dead + buried
    return {
      start,
      ...(acked.length > 0 ? { acked } : {}),
      ...(deliveries.length > 0 ? { deliveries } : {}),
      ...(dead > 0 ? { dead } : {}),
    }
  }

  // --- inside --------------------------------------------------------------------------------------------------------------------------

  /** Whether the earliest entry of the locks, which is this one's, says nothing any more. */
  #isVoid(entry: Entry): boolean {
    if (this.#entries.get(entry.offset) !== entry || entry.until !== this.#locks.earliest) return true
    return entry.state !== 'locked' && entry.state !== 'waiting'
  }

  #become(entry: Entry, state: State): void {
    this.#counts[entry.state]--
    this.#counts[state]++
    entry.state = state
  }

  #lock(entry: Entry, until: number): void {
    this.#become(entry, 'locked')
    entry.until = until
    this.#locks.push(until, entry)
  }

  #makeAvailable(entry: Entry): void {
    if (entry.state === 'available') return
    this.#become(entry, 'available')
    this.#ready.push(entry.offset, entry)
  }

  #giveBack(entry: Entry, time: number, delayMs: number, deliveriesMax: number): void {
    if (entry.deliveries >= deliveriesMax) this.#become(entry, 'dying')
    else if (delayMs > 0) {
      this.#become(entry, 'waiting')
      entry.until = time + delayMs
      this.#locks.push(entry.until, entry)
    } else this.#makeAvailable(entry)
  }

  #isAckedAhead(offset: number): boolean {
    const ranges = this.#ackedAhead
    while (this.#aheadAt < ranges.length && (ranges[this.#aheadAt + 1] as number) <= offset) this.#aheadAt += 2
    return this.#aheadAt < ranges.length && (ranges[this.#aheadAt] as number) <= offset
  }
}
