/**
 * The queues of one group over one topic in this process: reads records, hands them to whoever has waited longest, keeps the times, and makes durable what was
 * decided. The decisions are `QueuePartition`'s, one a partition. Owned by `TopicQueues`.
 *
 * What messages are told is in memory at once and becomes durable in the same turn, all of a turn as one commit (`QueueWriter`); counts of deliveries alone
 * follow within `countsDelayMs`. Invariant: whatever a settled promise has told survives a crash; what was not settled is delivered again.
 */
import { assert, queueChannel, type Transaction, VarveError } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import { isExpired } from '../fetch/expiry.ts'
import { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import { ForwardTime } from '../groups/forward-time.ts'
import type { StreamHost } from '../host.ts'
import type { InternalTopic } from '../internal/internal-topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { deliverAtOf } from './queue-headers.ts'
import { type MessagePlace, QueueMessage, type Settlement } from './queue-message.ts'
import type { QueueSettings } from './queue-options.ts'
import { type Acquired, QueuePartition, type QueueRow } from './queue-partition.ts'
import { changeOf, type QueuedPartition, QueueWriter } from './queue-writer.ts'

/** Records looked at, at a time. */
const lookAheadRecords = 500
const lookAheadBytes = 1024 * 1024
/** How long counts of deliveries may wait for something to be durable with, ms. */
const countsDelayMs = 50
/** Why a record dies whose time was over. */
const expiredError = 'expired'
/** The longest timer, ms. */
const timerMsMax = 0x7fff_ffff

/** What a queue holds, over all partitions. */
export interface QueueStats {
  /** Records that can be delivered now; those that were not looked at yet count, whatever they turn out to be. */
  readonly available: number
  /** Records that are locked to a consumer. */
  readonly inFlight: number
  /** Records whose time (`delayMs`, `deliverAt`, a release with a delay) has not come. */
  readonly delayed: number
  /** Records that were given up since the group began. */
  readonly dead: number
}

interface Waiter {
  readonly holder: number
  readonly recordsMax: number
  resolve(messages: QueueMessage<never, never>[] | undefined): void
  reject(error: unknown): void
}

export interface QueueGroupPlace {
  readonly host: StreamHost
  readonly core: TopicCore
  readonly group: string
  readonly state: InternalTopic<QueueRow>
}

export class QueueGroup implements MessagePlace {
  readonly #place: QueueGroupPlace
  readonly #writer: QueueWriter
  readonly #time = new ForwardTime()
  readonly #partitions: QueuedPartition[] = []
  /** Who waits for records, longest first. */
  #waiters: Waiter[] = []
  /** Index of the partition to ask next. */
  #nextPartition = 0
  #holders = 0
  /** By number of the queue: called when it is left. */
  readonly #open = new Map<number, () => void>()
  readonly #acks = new WeakMap<Transaction, QueueMessage<never, never>[]>()
  #cancelTimer: (() => void) | undefined
  #timerAt = Number.POSITIVE_INFINITY
  /** Keeps the process alive while somebody waits. */
  #letGo: (() => void) | undefined
  #failed: unknown
  settings: QueueSettings

  constructor(place: QueueGroupPlace, settings: QueueSettings) {
    this.#place = place
    this.settings = settings
    this.#writer = new QueueWriter(place, () => this.settings)
    this.#addPartitions()
  }

  /** Whether a queue of the group is open. */
  get isOpen(): boolean {
    return this.#open.size > 0
  }

  /** A queue was opened: its number. */
  enter(onLeft: () => void): number {
    this.#open.set(++this.#holders, onLeft)
    return this.#holders
  }

  /** A queue was closed: what it has locked is free, and its waits end. */
  leave(holder: number): void {
    const onLeft = this.#open.get(holder)
    if (onLeft === undefined) return
    this.#open.delete(holder)
    onLeft()
    this.#endWaits(waiter => waiter.holder === holder)
    const { time } = this.#now()
    for (const partition of this.#partitions) partition.machine.releaseAll(holder, time, this.settings.deliveriesMax)
    this.serve()
  }

  /** Messages of one partition, at least one and at most `recordsMax`; undefined when the queue was closed, the signal fired or the time is over. */
  poll(holder: number, recordsMax: number, maxWaitMs: number | undefined): Promise<QueueMessage<never, never>[] | undefined> {
    if (!this.#open.has(holder)) return Promise.resolve(undefined)
    return new Promise((resolve, reject) => {
      let cancel: (() => void) | undefined
      const waiter: Waiter = {
        holder,
        recordsMax,
        resolve: messages => {
          cancel?.()
          resolve(messages)
        },
        reject: error => {
          cancel?.()
          reject(error)
        },
      }
      this.#waiters.push(waiter)
      this.serve()
      if (maxWaitMs === undefined || !this.#waiters.includes(waiter)) return
      cancel = this.#place.host.environment.timers.after(maxWaitMs, () => this.#endWaits(other => other === waiter), true)
    })
  }

  stats(): QueueStats {
    this.#assertUsable()
    this.#advance()
    let [available, inFlight, delayed, dead] = [0, 0, 0, 0]
    for (const { machine, log } of this.#partitions) {
      available += machine.available + Math.max(0, log.lastStableOffset - machine.next)
      inFlight += machine.inFlight
      delayed += machine.delayed
      dead += machine.dead
    }
    return { available, inFlight, delayed, dead }
  }

  /** Does what can be done now: frees what is due, hands out, looks for more when somebody waits. */
  serve(): void {
    try {
      this.#assertUsable()
      this.#advance()
      while (this.#waiters.length > 0) {
        const waiter = this.#waiters[0] as Waiter
        const messages = this.#take(waiter)
        if (messages === undefined) break
        this.#waiters.shift()
        waiter.resolve(messages)
      }
      if (this.#waiters.length > 0) for (const partition of this.#partitions) this.#watch(partition)
    } catch (error) {
      const waiters = this.#waiters
      this.#waiters = []
      for (const waiter of waiters) waiter.reject(error)
    }
    this.#setTimers()
  }

  /** Partitions were added, or records were hidden: what held others back may be gone. */
  partitionsChanged(): void {
    this.#addPartitions()
    this.serve()
  }

  /** Ends everything: the topic was deleted, or (without an error) the database is being closed. Resolves when what was told is durable. */
  async end(error?: unknown): Promise<void> {
    this.#failed = error ?? new VarveError('CLOSED', 'the database was closed')
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    for (const partition of this.#partitions) partition.stopWatching?.abort()
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (error === undefined) waiter.resolve(undefined)
      else waiter.reject(error)
    }
    this.#setTimers()
    await this.#writer.end(error)
    for (const onLeft of this.#open.values()) onLeft()
    this.#open.clear()
  }

  // --- for messages --------------------------------------------------------------------------------------------------------------------

  settle({ partition, offset, deliveries }: QueueMessage<never, never>, how: Settlement, delayMs: number, error?: string): Promise<void> {
    try {
      this.#assertUsable()
      const queued = this.#partitions[partition] as QueuedPartition
      const { machine } = queued
      const { deliveriesMax, deadLetter } = this.settings
      if (how === 'reject' && deadLetter !== undefined) this.#writer.deadLetterCore()
      const { time } = this.#now()
      const held =
        how === 'ack'
          ? machine.ack(offset, deliveries)
          : how === 'release'
            ? machine.release(offset, deliveries, time, delayMs, deliveriesMax, error)
            : machine.reject(offset, deliveries, error)
      if (!held) throw this.#lockLost(partition, offset, deliveries)
      const settled = this.#writer.changed(queued)
      if (this.#waiters.length > 0) queueMicrotask(() => this.serve())
      this.#setTimers()
      return settled
    } catch (error) {
      return Promise.reject(error)
    }
  }

  ackWith(tx: Transaction, message: QueueMessage<never, never>): void {
    this.#assertUsable()
    const known = this.#acks.get(tx)
    if (known !== undefined) {
      known.push(message)
      return
    }
    const messages = [message]
    this.#acks.set(tx, messages)
    const { state } = this.#place
    let changes: ReturnType<typeof changeOf>[] = []
    tx.beforeCommit(() => {
      this.#assertUsable()
      const done = new Map<number, Set<number>>()
      for (const { partition, offset, deliveries, settled } of messages) {
        const { machine } = this.#partitions[partition] as QueuedPartition
        if (settled !== undefined || !machine.holds(offset, deliveries)) throw this.#lockLost(partition, offset, deliveries)
        const offsets = done.get(partition)
        if (offsets === undefined) done.set(partition, new Set([offset]))
        else offsets.add(offset)
      }
      changes = [...done].map(([partition, offsets]) => changeOf(this.#partitions[partition] as QueuedPartition, offsets, 0))
      tx.log(state.log).appendRecords(state.records(changes))
    })
    tx.afterCommit(() => {
      for (const message of messages) {
        this.#partitions[message.partition]?.machine.ack(message.offset, message.deliveries)
        message.markAcked()
      }
      state.apply(changes)
      queueMicrotask(() => this.serve())
    })
  }

  extend({ partition, offset, deliveries }: QueueMessage<never, never>, lockMs: number): void {
    this.#assertUsable()
    const { machine } = this.#partitions[partition] as QueuedPartition
    if (!machine.extend(offset, deliveries, this.#now().time, lockMs)) throw this.#lockLost(partition, offset, deliveries)
    this.#setTimers()
  }

  // --- records -------------------------------------------------------------------------------------------------------------------------

  #now(): { readonly time: number; readonly now: number } {
    const now = this.#place.host.environment.clock.now()
    return { time: this.#time.advance(now), now }
  }

  #assertUsable(): void {
    if (this.#failed !== undefined) throw this.#failed
    this.#place.core.assertUsable()
  }

  #addPartitions(): void {
    const { core, state, group } = this.#place
    const source = (partition: number): QueuedPartition['source'] => ({
      get topic() {
        return core.name
      },
      partition,
      get keys() {
        return core.keys
      },
      get values() {
        return core.values
      },
    })
    for (let index = this.#partitions.length; index < core.partitionCount; index++) {
      const log = core.partition(index)
      const key = `${core.id}/${index}/${group}`
      const machine = new QueuePartition(state.get(key) ?? { start: log.startOffset })
      const queued = source(index)
      const fetcher = new PartitionFetcher(log, queued, machine.next, 'read_committed')
      this.#partitions.push({ index, key, log, source: queued, machine, fetcher, ahead: new Map(), stopWatching: undefined })
    }
  }

  /** Frees what is due, and what retention has dropped. */
  #advance(): void {
    const { time, now } = this.#now()
    for (const partition of this.#partitions) {
      const { machine, log } = partition
      machine.trim(log.startOffset)
      const over = queueChannel.hasSubscribers ? (record: Acquired): void => this.#publish('lock-over', partition.index, record) : undefined
      machine.expire(time, now, this.settings.deliveriesMax, over)
      if (machine.dying > 0 && this.#writer.canBury) this.#writer.changedLater(partition)
    }
  }

  /** Messages for the waiter, from the partition whose turn it is among those that have some. */
  #take({ recordsMax, holder }: Waiter): QueueMessage<never, never>[] | undefined {
    const { lockMs, inFlightMax } = this.settings
    const count = this.#partitions.length
    for (let i = 0; i < count; i++) {
      const index = (this.#nextPartition + i) % count
      const partition = this.#partitions[index] as QueuedPartition
      const { machine } = partition
      const room = inFlightMax - machine.inFlight
      if (room <= 0) continue
      if (machine.available === 0) this.#lookAhead(partition)
      // Whoever waits too gets a share.
      const share = Math.ceil(machine.available / this.#waiters.length)
      const most = Math.min(recordsMax, room, Math.max(1, share))
      const messages: QueueMessage<never, never>[] = []
      let hasExpired = false
      while (messages.length < most) {
        const acquired = machine.acquire(this.#now().time, lockMs, holder)
        if (acquired === undefined) break
        const { offset, deliveries } = acquired
        const record = this.#recordOf(partition, offset)
        if (record === undefined) machine.drop(offset)
        else if (isExpired(record.headers, this.#now().now)) {
          if (this.settings.expired === 'drop') machine.drop(offset)
          else machine.reject(offset, deliveries, expiredError)
          hasExpired = true
        } else messages.push(new QueueMessage(this, record as ConsumedRecord<never, never>, deliveries))
      }
      if (machine.dying > 0 && this.#writer.canBury) this.#writer.changedLater(partition)
      if (messages.length === 0) {
        // There may be others behind those that are gone.
        if (hasExpired) i--
        continue
      }
      this.#nextPartition = index + 1
      this.#writer.counted(partition, countsDelayMs)
      return messages
    }
    return undefined
  }

  /** Looks at records of the log until one is available, there are no more, or too many are not done. */
  #lookAhead(partition: QueuedPartition): void {
    const { machine, fetcher, ahead, log } = partition
    const { now } = this.#now()
    ahead.clear() // what is in it is not available: it is read again when it is
    if (fetcher.position < log.startOffset) fetcher.seek(log.startOffset)
    while (machine.available === 0 && !machine.isFull && fetcher.isReady) {
      const records = fetcher.next(lookAheadRecords, lookAheadBytes)
      assert(Array.isArray(records), 'queue: logs of this database are read in the turn of the call')
      for (const record of records) {
        const { offset } = record
        const expired = isExpired(record.headers, now) ? this.settings.expired : undefined
        machine.track(offset, deliverAtOf(record), now, this.settings.deliveriesMax, expired === 'dead-letter' ? expiredError : undefined)
        if (expired === 'drop') machine.drop(offset)
        else ahead.set(offset, record)
      }
      machine.passTo(fetcher.position)
      if (machine.dying > 0 && this.#writer.canBury) this.#writer.changedLater(partition)
      if (records.length === 0) break
      if (machine.available === 0) ahead.clear()
    }
  }

  /** The record; undefined when the log does not have it any more. */
  #recordOf(partition: QueuedPartition, offset: number): ConsumedRecord | undefined {
    const known = partition.ahead.get(offset)
    partition.ahead.delete(offset)
    return known ?? this.#writer.read(partition, offset)
  }

  #watch(partition: QueuedPartition): void {
    const { log, fetcher, machine } = partition
    if (partition.stopWatching !== undefined || machine.isFull || fetcher.isReady) return
    const controller = new AbortController()
    partition.stopWatching = controller
    log.waitFor(Math.max(fetcher.position, log.highWatermark), { signal: controller.signal }).then(
      () => this.#seen(partition, controller),
      error => {
        if (!controller.signal.aborted) this.#failed ??= error
        this.#seen(partition, controller)
      },
    )
  }

  #seen(partition: QueuedPartition, controller: AbortController): void {
    if (partition.stopWatching === controller) partition.stopWatching = undefined
    if (!controller.signal.aborted) this.serve()
  }

  #endWaits(ends: (waiter: Waiter) => boolean): void {
    const ended = this.#waiters.filter(ends)
    this.#waiters = this.#waiters.filter(waiter => !ends(waiter))
    for (const waiter of ended) waiter.resolve(undefined)
    this.#setTimers()
  }

  #setTimers(): void {
    const { timers } = this.#place.host.environment
    if (this.#waiters.length === 0) {
      this.#letGo?.()
      this.#letGo = undefined
    } else this.#letGo ??= timers.after(timerMsMax, () => undefined, true)
    if (this.#failed !== undefined) return
    const { time, now } = this.#now()
    let delay = Number.POSITIVE_INFINITY
    for (const { machine } of this.#partitions) delay = Math.min(delay, machine.locksDueAt - time, machine.scheduledDueAt - now)
    if (delay === Number.POSITIVE_INFINITY) return
    const at = time + Math.max(0, delay)
    if (this.#cancelTimer !== undefined && this.#timerAt <= at && this.#timerAt >= time) return
    this.#cancelTimer?.()
    this.#timerAt = at
    this.#cancelTimer = timers.after(Math.min(Math.max(1, delay), timerMsMax), () => {
      this.#cancelTimer = undefined
      this.serve()
    })
  }

  #publish(type: 'lock-over' | 'lock-lost', partition: number, { offset, deliveries }: Acquired): void {
    const { host, core, group } = this.#place
    queueChannel.publish({ database: host.path, type, group, topic: core.name, partition, offset, deliveries })
  }

  #lockLost(partition: number, offset: number, deliveries: number): VarveError {
    const { core, group } = this.#place
    if (queueChannel.hasSubscribers) this.#publish('lock-lost', partition, { offset, deliveries })
    const message = `group ${group}: the record at ${core.name}/${partition}, offset ${offset}, was delivered to another, or settled, since delivery ${deliveries}`
    return new VarveError('LOCK_LOST', message, { details: { group, topic: core.name, partition, offset, deliveries } })
  }
}
