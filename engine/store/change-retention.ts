/**
 * Retention of change feeds: trims the logs of open stores by time and size, every so often.
 *
 * Trimming hides a prefix at once; its bytes go as the consolidator drops body parts that lie wholly below the log's start, and leaves dead batches out
 * of bodies that it merges. Runs stay, so the store's content does not depend on its feed. Owned by `Stores`, one a database.
 */
import type { Timers } from '../env/environment.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { PART_BODY } from '../segment/format.ts'
import type { StoredChanges } from './change-options.ts'
import type { StoredStoreOptions } from './store-options.ts'

/** How often feeds are looked at, ms. */
export const trimIntervalMs = 10_000

/** What the retention needs of its database. */
export interface ChangeRetentionHost {
  readonly timers: Timers
  /** Clock, ms since 1970. */
  now(): number
  /** Parts became invisible: the consolidator should look. */
  wakeUpkeep(): void
}

export class ChangeRetention {
  readonly #host: ChangeRetentionHost
  readonly #logs: () => Iterable<LogicalLog>
  #cancel: (() => void) | undefined
  #stopped = false

  /** `logs`: of the stores that are open. */
  constructor(host: ChangeRetentionHost, logs: () => Iterable<LogicalLog>) {
    this.#host = host
    this.#logs = logs
  }

  /** A store with a feed was opened, or a retention was changed. */
  wake(): void {
    if (this.#cancel === undefined && !this.#stopped) this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    this.#cancel = this.#host.timers.after(trimIntervalMs, () => {
      this.#cancel = undefined
      if (!this.#stopped && this.run()) this.#arm()
    })
  }

  /** Trims all feeds now; false when no open store bounds its feed. */
  run(): boolean {
    let isBounded = false
    for (const log of this.#logs()) {
      const changes = changesOf(log)
      if (log.dropped || changes === undefined) continue
      isBounded ||= changes.retentionMs !== undefined || changes.retentionBytes !== undefined
      try {
        this.#trim(log, changes)
      } catch {
        // A database that is full, poisoned or closing refuses the trim, a damaged part cannot say where; the next turn tries again.
      }
    }
    return isBounded
  }

  #trim(log: LogicalLog, { retentionMs, retentionBytes }: StoredChanges): void {
    let offset = 0
    if (retentionMs !== undefined) offset = log.offsetForTime(this.#host.now() - retentionMs) ?? log.highWatermark
    if (retentionBytes !== undefined) offset = Math.max(offset, offsetBySize(log, retentionBytes))
    offset = Math.min(offset, log.highWatermark)
    if (offset <= log.trimmedTo) return
    log.trimPrefix(offset, { durability: 'buffered' }).acknowledged.catch(() => undefined) // repeated by the next turn
    if (log.parts.some(part => part.type === PART_BODY && part.endOffset <= offset)) this.#host.wakeUpkeep()
  }
}

/** The largest offset, at the borders of batches in the tail and blocks in parts, from which on the log has at least `bytesMin`. */
function offsetBySize(log: LogicalLog, bytesMin: number): number {
  const { tail, parts } = log
  let bytes = 0
  for (let i = tail.length - 1; i >= 0; i--) {
    bytes += tail.bytes(i)
    if (bytes >= bytesMin) return tail.baseOffset(i)
  }
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!
    if (part.type !== PART_BODY) continue
    if (part.endOffset <= log.trimmedTo) break
    if (bytes + part.bytes < bytesMin) {
      bytes += part.bytes
      continue
    }
    const index = part.reader.batchIndex(part.part)
    let block = index.blockCount - 1
    while (block > 0 && bytes + part.bytes - index.position(block) < bytesMin) block--
    return block < 0 ? part.firstOffset : index.baseOffset(block)
  }
  return 0
}

function changesOf(log: LogicalLog): StoredChanges | undefined {
  return (log.definition.options?.store as StoredStoreOptions | undefined)?.changes
}
