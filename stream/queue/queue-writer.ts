/**
 * Makes durable what a queue group has decided: rows of the internal topic `__queue_state`, and dead-letter records in the commit that ends their originals.
 *
 * Owned by `QueueGroup`. All changes of a turn are one commit; a commit that finds no room (BUSY) is tried again when there is some. Invariant: a row says what
 * memory says at the time of its commit, so the newest one is the whole truth, and rows are appended in the order of the decisions.
 */
import { assert, type Commit, isVarveError, type LocalLog, queueChannel, type TopicRecord } from '../../engine/index.ts'
import type { ConsumedRecord, RecordSource } from '../fetch/consumed-record.ts'
import { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import type { InternalChange } from '../internal/internal-topic.ts'
import { coreOfTopic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { QueueGroupPlace } from './queue-group.ts'
import { deadLetterHeaders } from './queue-headers.ts'
import type { QueueSettings } from './queue-options.ts'
import type { Dying, QueuePartition, QueueRow } from './queue-partition.ts'

/** Dead-letter records of a commit: bounds its bytes, with `recordBytesMax`. */
const deadLettersPerCommit = 16

/** A partition of the topic, as a group has it. */
export interface QueuedPartition {
  readonly index: number
  /** Key of its row. */
  readonly key: string
  readonly log: LocalLog
  readonly source: RecordSource
  readonly machine: QueuePartition
  readonly fetcher: PartitionFetcher
  /** Records that were looked at and can be delivered: read once. */
  readonly ahead: Map<number, ConsumedRecord>
  /** Ends the wait for more records; undefined when none is under way. */
  stopWatching: AbortController | undefined
}

interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

/** The row of a partition, as a change of the internal topic. */
export function changeOf(
  { key, machine }: QueuedPartition,
  done: ReadonlySet<number> | undefined,
  buried: number,
): InternalChange<QueueRow> {
  return { key, value: machine.row(done, buried) }
}

export class QueueWriter {
  readonly #place: QueueGroupPlace
  readonly #settings: () => QueueSettings
  /** Partitions whose newest row is not what memory says. */
  readonly #dirty = new Set<QueuedPartition>()
  /** Who waits for the next commit. */
  #waiters: Waiter[] = []
  #isScheduled = false
  /** Nothing is tried until there is room. */
  #isBlocked = false
  #cancelCounts: (() => void) | undefined
  #isEnded = false

  constructor(place: QueueGroupPlace, settings: () => QueueSettings) {
    this.#place = place
    this.#settings = settings
  }

  /** Whether records that die have somewhere to go. */
  get canBury(): boolean {
    const { deadLetter } = this.#settings()
    return deadLetter === undefined || isUsable(deadLetter)
  }

  /** The dead-letter topic. NOT_FOUND when it was deleted. */
  deadLetterCore(): TopicCore {
    const core = coreOfTopic(this.#settings().deadLetter as NonNullable<QueueSettings['deadLetter']>) as unknown as TopicCore
    core.assertUsable()
    return core
  }

  /** The partition's row is to be written in this turn; resolves when durable. */
  changed(partition: QueuedPartition): Promise<void> {
    const written = new Promise<void>((resolve, reject) => void this.#waiters.push({ resolve, reject }))
    this.changedLater(partition)
    return written
  }

  /** As `changed`, for what nobody waits for. */
  changedLater(partition: QueuedPartition): void {
    this.#dirty.add(partition)
    if (this.#isScheduled || this.#isBlocked || this.#isEnded) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#write()
    })
  }

  /** Deliveries of the partition were counted: its row is to be written with the next, or by itself when so much time has passed. */
  counted(partition: QueuedPartition, delayMs: number): void {
    this.#dirty.add(partition)
    this.#cancelCounts ??= this.#place.host.environment.timers.after(delayMs, () => {
      this.#cancelCounts = undefined
      this.#write()
    })
  }

  /** Writes what is left, unless the topic is gone (`error`), and resolves when all is durable or was refused. */
  async end(error: unknown): Promise<void> {
    this.#cancelCounts?.()
    this.#cancelCounts = undefined
    if (error === undefined) {
      if (this.#isBlocked) await this.#place.host.drain().catch(() => undefined) // the write tells it
      this.#isBlocked = false
      const last = new Promise<void>((resolve, reject) => void this.#waiters.push({ resolve, reject }))
      this.#isEnded = true
      this.#write()
      await last.catch(() => undefined) // told to whoever has settled something
      return
    }
    this.#isEnded = true
    this.#dirty.clear()
    this.#refuse(error)
  }

  /** The record at an offset, read by itself; undefined when the log does not have it any more. */
  read({ log, source }: QueuedPartition, offset: number): ConsumedRecord | undefined {
    if (offset < log.startOffset) return undefined
    const records = new PartitionFetcher(log, source, offset, 'read_committed').next(1, 1)
    assert(Array.isArray(records), 'queue: logs of this database are read in the turn of the call')
    return records[0]?.offset === offset ? records[0] : undefined
  }

  #write(): void {
    if (this.#isBlocked) return
    let acknowledged: Promise<void> = Promise.resolve()
    try {
      while (this.#dirty.size > 0) acknowledged = this.#commit()
    } catch (error) {
      if (isVarveError(error, 'BUSY') && !this.#isEnded) this.#waitForRoom()
      else this.#refuse(error)
      return
    }
    const waiters = this.#waiters
    this.#waiters = []
    acknowledged.then(
      () => {
        for (const { resolve } of waiters) resolve()
      },
      error => {
        for (const { reject } of waiters) reject(error)
      },
    )
  }

  /** Rows of all partitions that changed, and some of what is to die: what is left of that stays dirty. */
  #commit(): Promise<void> {
    const { host, state, core } = this.#place
    const { deadLetter } = this.#settings()
    const buries = this.canBury
    let room = deadLettersPerCommit
    const buried: { readonly partition: QueuedPartition; readonly dying: readonly Dying[] }[] = []
    const letters = new Map<LocalLog, TopicRecord[]>()
    const changes: InternalChange<QueueRow>[] = []
    for (const partition of this.#dirty) {
      const dying = buries ? partition.machine.dyingRecords(room) : []
      room -= dying.length
      buried.push({ partition, dying })
      if (deadLetter !== undefined) for (const letter of dying) this.#addLetter(letters, partition, letter)
      changes.push(changeOf(partition, new Set(dying.map(({ offset }) => offset)), dying.length))
    }
    if (core.dropped) {
      this.#dirty.clear()
      core.assertUsable()
    }
    void state.log // defined before the commit, if need be
    const committed = host.commit((commit: Commit) => {
      for (const [log, records] of letters) commit.appendRecords(log, records)
      state.write(commit, changes)
    })
    for (const { partition, dying } of buried) {
      partition.machine.buried(dying)
      if (queueChannel.hasSubscribers) for (const record of dying) this.#publish(partition, record)
      if (!buries || partition.machine.dying === 0) this.#dirty.delete(partition)
    }
    state.apply(changes)
    committed.acknowledged.catch(() => undefined) // told by the last one of the turn
    return committed.acknowledged
  }

  #publish({ index, source }: QueuedPartition, { offset, deliveries, error }: Dying): void {
    const { host, group } = this.#place
    const deadLetter = this.#settings().deadLetter?.name
    const place = { topic: source.topic, partition: index, offset }
    queueChannel.publish({ database: host.path, type: 'dead', group, ...place, deliveries, error, deadLetter })
  }

  #addLetter(letters: Map<LocalLog, TopicRecord[]>, partition: QueuedPartition, { offset, deliveries, error = '' }: Dying): void {
    const record = this.read(partition, offset)
    if (record === undefined) return
    const { environment } = this.#place.host
    const target = this.deadLetterCore()
    const log = target.partition(partition.index % target.partitionCount)
    const { topic } = partition.source
    const headers = deadLetterHeaders(record.headers, {
      topic,
      partition: partition.index,
      offset,
      group: this.#place.group,
      deliveries,
      error,
    })
    const letter: TopicRecord = { key: record.keyBytes, value: record.valueBytes, timestamp: environment.clock.now(), headers }
    const known = letters.get(log)
    if (known === undefined) letters.set(log, [letter])
    else known.push(letter)
  }

  #waitForRoom(): void {
    this.#isBlocked = true
    this.#place.host
      .drain()
      .catch(() => undefined) // the next attempt meets the same error and tells it
      .then(() => {
        this.#isBlocked = false
        this.#write()
      })
  }

  #refuse(error: unknown): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(error)
  }
}

function isUsable(topic: NonNullable<QueueSettings['deadLetter']>): boolean {
  try {
    topic.assertOpened()
    return true
  } catch (error) {
    if (isVarveError(error)) return false
    throw error
  }
}
