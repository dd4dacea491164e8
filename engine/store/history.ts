/**
 * The history of stores that keep superseded versions (option `history`): which moments can be read, and what compaction may leave out.
 *
 *   moments   0 …… gone …… horizon ……………… now - retention ……………… now
 *                          └ every moment from here on can be read: `Store.asOf`
 *
 * The horizon moves up when a merge begins that may drop versions, never by the clock alone. It is a metadata slot of the store's log, written before the
 * merge's edit in the same commit log, so that whoever finds the edit finds the horizon too. Times lie in a second slot (`TimeMap`), which each flush
 * stores with the batches that it takes out of the tail; what is in the tail says its time itself.
 *
 * Owned by `Stores`; works on logs alone, since flushes and merges also meet stores that nobody has opened. Invariant: the horizon never falls.
 */
import { storeBatchBaseSequence, storeBatchCount } from '../batch/store-batch.ts'
import { VarveError } from '../errors.ts'
import type { LocalCommit } from '../log/committer.ts'
import type { Committed, Durability } from '../log/log.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { StoredStoreOptions } from './store-options.ts'
import { TimeMap } from './time-map.ts'

const horizonSlot = 'history.horizon'
const timesSlot = 'history.times'

/** What histories need of their database. */
export interface HistoryHost {
  readonly visibleSequence: number
  /** Clock, ms since 1970. */
  now(): number
  commit(write: (commit: LocalCommit) => void, durability: Durability | undefined): Committed
}

/** A moment of one store. */
export interface HistoryMoment {
  /** Commits before it are seen. */
  readonly sequence: number
  /** Clock for expiry, ms since 1970. */
  readonly time: number
}

export class Histories {
  readonly #host: HistoryHost
  readonly #known = new WeakMap<LogicalLog, History>()

  constructor(host: HistoryHost) {
    this.#host = host
  }

  /** The history of a store's log; undefined when the store keeps none. */
  of(log: LogicalLog): History | undefined {
    if (retentionOf(log) === undefined) return undefined
    let history = this.#known.get(log)
    if (history === undefined) this.#known.set(log, (history = new History(this.#host, log)))
    return history
  }

  /** The store is about to keep a history and has none: it begins here. */
  begin(log: LogicalLog): void {
    this.#known.delete(log)
    const { visibleSequence } = this.#host
    const times = new TimeMap()
    times.add(this.#host.now(), visibleSequence - 1, visibleSequence)
    this.#host.commit(commit => {
      commit.setMetadata(log, horizonSlot, textBytes(visibleSequence))
      commit.setMetadata(log, timesSlot, times.encode(this.#host.now()))
    }, 'none')
  }
}

export class History {
  readonly #host: HistoryHost
  readonly #log: LogicalLog
  readonly #times: TimeMap
  /** The first moment that can be read. */
  #horizon: number
  /** Batches of the log below this offset are in `#times`. */
  #seenOffset = 0

  constructor(host: HistoryHost, log: LogicalLog) {
    this.#host = host
    this.#log = log
    const times = log.metadata.get(timesSlot)
    this.#times = times === undefined ? new TimeMap() : TimeMap.decode(times)
    const horizon = log.metadata.get(horizonSlot)
    this.#horizon = horizon === undefined ? 0 : Number(new TextDecoder().decode(horizon))
  }

  get horizon(): number {
    return this.#horizon
  }

  /** What a caller of `asOf` means. HISTORY_GONE below the horizon; RangeError for the future. */
  momentOf(asked: number | { readonly time: number }): HistoryMoment {
    this.#catchUp()
    const { visibleSequence } = this.#host
    if (typeof asked === 'number') {
      if (asked > visibleSequence) throw new RangeError(`sequence ${asked} has not been reached, the newest is ${visibleSequence}`)
      if (asked < this.#horizon) throw this.#gone({ sequence: asked })
      return { sequence: asked, time: this.#times.timeAt(asked) ?? 0 }
    }
    const { time } = asked
    const now = this.#host.now()
    if (time > now) throw new RangeError(`time ${time} lies in the future, it is ${now}`)
    const sequence = this.#times.momentAt(time) ?? 0
    if (sequence < this.#horizon) throw this.#gone({ time })
    return { sequence: Math.min(sequence, visibleSequence), time }
  }

  /** Compaction keeps what a moment that sees this record sequence, or any later one, shows. A pure question. */
  keepSince(): number {
    this.#catchUp()
    const retentionMs = retentionOf(this.#log) ?? 0
    const oldest = this.#times.momentAt(this.#host.now() - retentionMs) ?? 0
    return Math.max(oldest, this.#horizon) - 1
  }

  /** A merge that keeps what is asked for from `keepSince` on is begun in this turn: earlier moments are gone. */
  dropBefore(keepSince: number): void {
    const horizon = keepSince + 1
    if (horizon <= this.#horizon) return
    // Whatever its word: the merge's edit comes after it, and is synced.
    this.#host.commit(commit => commit.setMetadata(this.#log, horizonSlot, textBytes(horizon)), 'none')
    this.#horizon = horizon
    this.#times.dropBelow(horizon)
  }

  /** The row that a flush stores with what it takes out of the tail. */
  takeTimes(): { readonly slot: string; readonly value: Uint8Array } {
    this.#catchUp()
    const now = this.#host.now()
    this.#times.thin(now)
    return { slot: timesSlot, value: this.#times.encode(now) }
  }

  /** Batches are looked at here instead of at each commit; none leaves the tail before a flush has asked for the times. */
  #catchUp(): void {
    const { tail } = this.#log
    for (let i = tail.find(this.#seenOffset); i < tail.length; i++) {
      const { bytes } = tail.arena(i)
      const position = tail.position(i)
      const base = storeBatchBaseSequence(bytes, position)
      this.#times.add(tail.maxTimestamp(i), base, base + storeBatchCount(bytes, position))
      this.#seenOffset = tail.endOffset(i)
    }
  }

  #gone(asked: { readonly sequence?: number; readonly time?: number }): VarveError {
    const log = this.#log.name
    const time = this.#times.timeAt(this.#horizon)
    const since = time === undefined ? '' : `, ${new Date(time).toISOString()}`
    return new VarveError('HISTORY_GONE', `${log}: its history begins with sequence ${this.#horizon}${since}`, {
      details: { log, actual: asked.sequence ?? asked.time, sequence: this.#horizon, ...(time === undefined ? {} : { time }) },
    })
  }
}

/** How long superseded versions are kept, ms; undefined: they are not. */
function retentionOf(log: LogicalLog): number | undefined {
  return (log.definition.options?.store as StoredStoreOptions | undefined)?.history?.retentionMs
}

function textBytes(number: number): Uint8Array {
  return new TextEncoder().encode(String(number))
}
