/**
 * Expiry: the queue of what expires in a store, and the sweeper that writes a delete for what has.
 *
 * Readers hide an expired record by the clock; the sweeper removes it, so that indexes and change feeds see it go. The queue of a store is a store log of
 * its own, `expiry/<id of the store's log>`, defined at the first put that expires; its keys are the tuples [time in ms, primary key], its values
 * empty, written in the same commit as the put. An entry is a hint: when its time has come, the record decides. So a put need not look for the
 * entry of the record before; where indexes have read that record anyway, its entry is removed at once.
 *
 * Owned by `Stores`: a queue a core, one sweeper a database. Invariant: each record with an expiry has an entry with its time in the queue.
 */
import { STORE_DELETE, STORE_PUT } from '../batch/store-format.ts'
import { StoreWrites } from '../batch/store-writes.ts'
import type { Timers } from '../env/environment.ts'
import { assert, isVarveError } from '../errors.ts'
import type { LocalCommit } from '../log/committer.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { entryKey, keyText, startOf } from './index-entries.ts'
import { decodeKey } from './key-codec.ts'
import type { StoreCore } from './store-core.ts'
import { StoreCursor } from './store-cursor.ts'
import type { StoreTable } from './store-table.ts'

/** Entries that one turn takes from queues at most. */
export const sweepEntriesMax = 1000
/** Pause between two turns while there is more to sweep, ms. */
const sweepPauseMs = 1

const noBytes = new Uint8Array(0)

export function expiryLogName(storeLogId: number): string {
  return `expiry/${storeLogId}`
}

/** The queue's log with its table. */
export interface OpenedQueue {
  readonly log: LogicalLog
  readonly table: StoreTable
}

export interface ExpiryQueueHost {
  /** The queue's log if it is defined. */
  find(): OpenedQueue | undefined
  /** Defines it in this turn. */
  define(): OpenedQueue
  /** Something expires where nothing did. */
  wake(): void
}

export class ExpiryQueue {
  readonly #host: ExpiryQueueHost
  #opened: OpenedQueue | undefined
  readonly #writes = new StoreWrites()
  /** Nothing in the queue expires before it, ms; Infinity: the queue is empty. */
  #next: number

  constructor(host: ExpiryQueueHost) {
    this.#host = host
    this.#opened = host.find()
    this.#next = this.#opened === undefined ? Number.POSITIVE_INFINITY : 0
  }

  get next(): number {
    return this.#next
  }

  // --- writing, with the rows of a commit --------------------------------------------------------------------------------------------------

  begin(): void {
    this.#writes.clear()
  }

  /** A record with the expiry `before` (0: none, or no record) becomes one with `after`. */
  change(key: Uint8Array, before: number, after: number): void {
    if (before === after) return
    if (before > 0) this.#add(STORE_DELETE, before, key)
    if (after > 0) this.#add(STORE_PUT, after, key)
  }

  append(commit: LocalCommit): void {
    if (this.#writes.count === 0) return
    commit.appendWrites(this.#open().log, this.#writes)
    const wasEmpty = this.#next === Number.POSITIVE_INFINITY
    for (let row = 0; row < this.#writes.count; row++) {
      if (this.#writes.kind(row) !== STORE_PUT) continue
      const key = this.#writes.key(row)
      this.#next = Math.min(this.#next, timeOf(key, 0, key.length))
    }
    if (wasEmpty && this.#next !== Number.POSITIVE_INFINITY) this.#host.wake()
  }

  /** Entries of all rows that expire, without a look at the records before. */
  appendAll(commit: LocalCommit, rows: StoreWrites): void {
    this.begin()
    for (let row = 0; row < rows.count; row++) {
      const expiry = rows.expiry(row)
      if (expiry > 0 && rows.kind(row) === STORE_PUT) this.#add(STORE_PUT, expiry, rows.key(row))
    }
    this.append(commit)
  }

  #add(kind: number, time: number, primaryKey: Uint8Array): void {
    const key = entryKey([time], primaryKey)
    this.#writes.add(kind, key, 0, key.length, noBytes, 0, 0, 0)
  }

  #open(): OpenedQueue {
    this.#opened ??= this.#host.find() ?? this.#host.define()
    return this.#opened
  }

  // --- sweeping ----------------------------------------------------------------------------------------------------------------------------

  /** Removes up to `max` entries whose time has come, with their records where those have expired, in one commit. Returns how many entries. */
  sweep(core: StoreCore, max: number): number {
    const opened = this.#opened
    if (opened === undefined) return 0
    const now = core.host.now()
    const cursor = new StoreCursor(opened.table, { start: startOf([this.#next]), sequenceMax: core.sequenceMax(undefined), now: 0 })
    const queue = new StoreWrites()
    const deletes = new StoreWrites()
    const seen = new Set<string>()
    let next = Number.POSITIVE_INFINITY
    while (cursor.next()) {
      const { buffer, keyStart, keyBytes } = cursor.record
      const [time, primaryKey] = decodeKey(buffer, keyStart, keyStart + keyBytes) as readonly [number, Uint8Array]
      if (time > now || queue.count === max) {
        next = time
        break
      }
      queue.add(STORE_DELETE, buffer, keyStart, keyBytes, noBytes, 0, 0, 0)
      const record = core.table.find(primaryKey, 0, primaryKey.length, Number.MAX_SAFE_INTEGER)
      if (record === undefined || record.expiry === 0 || record.expiry > now) continue
      const text = keyText(primaryKey)
      if (seen.has(text)) continue
      seen.add(text)
      // A change feed knows by the expiry that nobody asked for this delete.
      deletes.add(STORE_DELETE, primaryKey, 0, primaryKey.length, noBytes, 0, 0, record.expiry)
    }
    if (queue.count > 0) {
      core.host.commit(commit => {
        if (deletes.count > 0) core.append(commit, deletes)
        commit.appendWrites(opened.log, queue)
      }, 'buffered')
    }
    this.#next = next
    return queue.count
  }
}

function timeOf(bytes: Uint8Array, start: number, end: number): number {
  const [time] = decodeKey(bytes, start, end) as readonly [number]
  assert(typeof time === 'number', 'a queue entry begins with a time')
  return time
}

/** The background step of a database's open stores. */
export class ExpirySweeper {
  readonly #timers: Timers
  readonly #cores: () => Iterable<StoreCore>
  /** How often it looks. */
  readonly #intervalMs: number
  #cancel: (() => void) | undefined
  #stopped = false
  readonly counters = { sweeps: 0, failures: 0 }

  constructor(timers: Timers, cores: () => Iterable<StoreCore>, intervalMs: number) {
    this.#timers = timers
    this.#cores = cores
    this.#intervalMs = intervalMs
  }

  /** Something will expire: makes sure that somebody looks. */
  wake(): void {
    if (this.#cancel === undefined && !this.#stopped) this.#arm(this.#intervalMs)
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(delayMs: number): void {
    this.#cancel = this.#timers.after(delayMs, () => {
      this.#cancel = undefined
      if (!this.#stopped) this.#turn()
    })
  }

  #turn(): void {
    let left = sweepEntriesMax
    let isWaiting = false
    for (const core of this.#cores()) {
      const queue = core.indexes?.expiry
      if (queue === undefined || core.log.dropped || queue.next === Number.POSITIVE_INFINITY) continue
      isWaiting = true
      if (queue.next > core.host.now()) continue
      if (left <= 0) break
      try {
        left -= queue.sweep(core, left)
        this.counters.sweeps++
      } catch (error) {
        this.counters.failures++
        // A poisoned or closed database accepts no more deletes; anything else may pass.
        if (isVarveError(error, 'POISONED') || isVarveError(error, 'CLOSED')) return
      }
    }
    if (isWaiting) this.#arm(left <= 0 ? sweepPauseMs : this.#intervalMs)
  }
}
