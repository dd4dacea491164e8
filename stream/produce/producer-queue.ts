/**
 * What a producer has been given and has not appended yet: by partition, appended together as one commit when the linger time is over, a batch is full, or
 * somebody asks (`flush`). Made by `producer.ts` and `transactions/producer-transaction.ts`, which say how batches are written.
 *
 * At most `inFlightMax` commits wait for the disk; what comes meanwhile gathers, and so does what the engine has no room for (BUSY). Nothing is refused below
 * `bufferedBytesMax`. Invariant: records of a topic are appended in the order of `add`, in commits that take all that was gathered; so what is durable is a
 * prefix of what was sent to it. A topic may be refused by itself, when it was deleted.
 */
import { isVarveError, type LocalLog, type TopicBatch, VarveError } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { PreparedRecord, TopicCore } from '../topic/topic-core.ts'
import { type Acknowledgements, COST_ALONE } from './acknowledgements.ts'
import { giveBack, takeBatch } from './batch-pool.ts'
import type { Sent } from './outgoing.ts'
import { Receipts } from './receipts.ts'

/** Records of one partition, to be appended as one batch: encoded as they come, so that what waits costs no objects. */
export interface QueuedBatch {
  readonly core: TopicCore
  readonly log: LocalLog
  readonly partition: number
  readonly batch: TopicBatch
  /** Of each record. */
  readonly timestamps: number[]
  /** Of each record; none but of named producers. */
  readonly sequences: number[]
  readonly receipts: Receipts
  bytes: number
}

/** A batch without records. */
export function newBatch(core: TopicCore, partition: number, sequences: number[] = []): QueuedBatch {
  const log = core.partition(partition)
  return { core, log, partition, batch: takeBatch(), timestamps: [], sequences, receipts: new Receipts(), bytes: 0 }
}

/** Encodes a record into the batch. */
export function addRecord(batch: QueuedBatch, prepared: PreparedRecord): void {
  const { key, value, timestamp, headers } = prepared
  batch.batch.add(key, value, timestamp, headers)
  batch.timestamps.push(timestamp)
  batch.bytes += bytesOf(prepared)
}

/** Bytes of key and value: what bounds count. */
export function bytesOf({ key, value }: PreparedRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0)
}

/** Batches that were committed: where each record went, and when that is durable. */
export interface WrittenBatches {
  /** Of record `record` of the batch at `index`; made when it is asked for, since what waits for the disk costs the garbage collector. */
  sentOf(index: number, record: number): Sent
  readonly acknowledged: Promise<void>
}

export interface QueueLimits {
  readonly lingerMs: number
  readonly batchBytes: number
  readonly inFlightMax: number
  readonly bufferedBytesMax: number
}

export class ProducerQueue {
  readonly #host: StreamHost
  readonly #acknowledgements: Acknowledgements
  readonly #limits: QueueLimits
  /** Commits the batches now, all or none; throws when they are refused. */
  readonly #write: (batches: readonly QueuedBatch[]) => WrittenBatches
  /** Newest batch of each partition, not yet appended. */
  readonly #open = new Map<LocalLog, QueuedBatch>()
  #queue: QueuedBatch[] = []
  /** Bytes gathered, and bytes that wait for the disk. */
  #bytes = 0
  /** Commits that wait for the disk. */
  #inFlight = 0
  /** Ends the wait for the linger time; undefined when none is under way. */
  #cancelLinger: (() => void) | undefined
  #isBlocked = false
  /** More was to be appended than may be in flight: it is when a commit has ended. */
  #isHeld = false
  /** Batches of which some record was neither durable nor refused yet. */
  readonly #outstanding = new Set<QueuedBatch>()
  /** Calls of `flush`, with what they wait for. */
  #flushes: { readonly batches: Set<QueuedBatch>; resolve(): void }[] = []

  constructor(
    host: StreamHost,
    acknowledgements: Acknowledgements,
    limits: QueueLimits,
    write: (batches: readonly QueuedBatch[]) => WrittenBatches,
  ) {
    this.#host = host
    this.#acknowledgements = acknowledgements
    this.#limits = limits
    this.#write = write
  }

  /** Bytes of keys and values that are gathered or wait for the disk. */
  get bufferedBytes(): number {
    return this.#bytes
  }

  /** BUSY when a record of so many bytes would exceed `bufferedBytesMax`. */
  assertRoom(bytes: number): void {
    const { bufferedBytesMax } = this.#limits
    if (this.#bytes === 0 || this.#bytes + bytes <= bufferedBytesMax) return
    const message = `the producer holds ${this.#bytes} bytes, and no more than ${bufferedBytesMax} may wait: await what was sent`
    throw new VarveError('BUSY', message, { details: { limit: 'bufferedBytesMax' } })
  }

  /** Takes a record, for which there must be room, and encodes it now; resolves when it is durable by the database's word. */
  add(core: TopicCore, prepared: PreparedRecord, sequence: number | undefined): Promise<Sent> {
    const { partition } = prepared
    const bytes = bytesOf(prepared)
    const { batchBytes } = this.#limits
    const log = core.partition(partition)
    let batch = this.#open.get(log)
    if (batch === undefined || batch.bytes + bytes > batchBytes) {
      batch = newBatch(core, partition)
      this.#open.set(log, batch)
      this.#queue.push(batch)
      this.#outstanding.add(batch)
    }
    addRecord(batch, prepared)
    if (sequence !== undefined) batch.sequences.push(sequence)
    this.#bytes += bytes
    const promise = batch.receipts.next()
    if (batch.bytes >= batchBytes) this.append()
    else this.#schedule()
    return promise
  }

  /** Appends what is gathered, as far as the bounds allow, and resolves when all that was given before is durable or was refused. */
  flush(): Promise<void> {
    this.append()
    if (this.#outstanding.size === 0) return Promise.resolve()
    const batches = new Set(this.#outstanding)
    return new Promise(resolve => void this.#flushes.push({ batches, resolve }))
  }

  /** As `flush`, but durable or not: for what is committed behind it, which no crash leaves without it. */
  appended(): Promise<void> {
    this.append()
    return this.#queue.length === 0 ? Promise.resolve() : this.flush()
  }

  /** Forgets what is gathered: it is not appended, and its promises reject. */
  discard(error: unknown): void {
    this.#refuse(this.#take(), error)
  }

  /** Appends what is gathered now, unless a bound holds it back. */
  append(): void {
    this.#cancelLinger?.()
    this.#cancelLinger = undefined
    if (this.#queue.length === 0 || this.#isBlocked) return
    this.#isHeld = this.#inFlight >= this.#limits.inFlightMax
    if (this.#isHeld) return
    const batches = this.#take()
    try {
      this.#written(batches, this.#write(batches))
    } catch (error) {
      if (isVarveError(error, 'BUSY')) this.#waitForRoom(batches)
      else if (batches.length === 1 || isEndOfAll(error)) this.#refuse(batches, error)
      else this.#appendByTopic(batches)
    }
  }

  /** One of the topics has refused its records: the others must not suffer. */
  #appendByTopic(batches: readonly QueuedBatch[]): void {
    const byTopic = new Map<TopicCore, QueuedBatch[]>()
    for (const batch of batches) {
      const known = byTopic.get(batch.core)
      if (known === undefined) byTopic.set(batch.core, [batch])
      else known.push(batch)
    }
    const topics = [...byTopic.values()]
    for (const [index, ofTopic] of topics.entries()) {
      try {
        this.#written(ofTopic, this.#write(ofTopic))
      } catch (error) {
        if (isVarveError(error, 'BUSY')) {
          this.#waitForRoom(topics.slice(index).flat())
          return
        }
        this.#refuse(ofTopic, error)
      }
    }
  }

  #take(): QueuedBatch[] {
    const batches = this.#queue
    this.#queue = []
    this.#open.clear()
    return batches
  }

  #written(batches: readonly QueuedBatch[], { sentOf, acknowledged }: WrittenBatches): void {
    this.#inFlight++
    for (const { batch } of batches) giveBack(batch)
    const ended = (settle: () => void): void => {
      this.#inFlight--
      for (const { bytes } of batches) this.#bytes -= bytes
      settle()
      if (this.#isHeld) this.append()
    }
    acknowledged.then(
      () => ended(() => this.#tell(batches, sentOf)),
      error => ended(() => this.#reject(batches, error)),
    )
  }

  #tell(batches: readonly QueuedBatch[], sentOf: WrittenBatches['sentOf']): void {
    const counts = batches.map(({ receipts }) => receipts.count)
    this.#acknowledgements.tell(counts, COST_ALONE, (index, from, to) => {
      const batch = batches[index] as QueuedBatch
      batch.receipts.resolve(from, to, record => sentOf(index, record))
      if (to === batch.receipts.count) this.#settled(batch)
    })
  }

  /** They were not appended. */
  #refuse(batches: readonly QueuedBatch[], error: unknown): void {
    for (const { bytes, batch } of batches) {
      this.#bytes -= bytes
      giveBack(batch)
    }
    this.#reject(batches, error)
  }

  #reject(batches: readonly QueuedBatch[], error: unknown): void {
    for (const batch of batches) {
      batch.receipts.reject(error)
      this.#settled(batch)
    }
  }

  #waitForRoom(batches: readonly QueuedBatch[]): void {
    // They are closed: what comes now goes behind them.
    this.#queue = [...batches, ...this.#queue]
    this.#isBlocked = true
    this.#host
      .drain()
      .catch(() => undefined) // the next attempt meets the same error and tells those who wait
      .then(() => {
        this.#isBlocked = false
        this.append()
      })
  }

  #schedule(): void {
    if (this.#cancelLinger !== undefined || this.#isBlocked) return
    const { lingerMs } = this.#limits
    if (lingerMs > 0) {
      this.#cancelLinger = this.#host.environment.timers.after(lingerMs, () => this.append(), true)
      return
    }
    let isCancelled = false
    this.#cancelLinger = () => {
      isCancelled = true
    }
    queueMicrotask(() => {
      if (!isCancelled) this.append()
    })
  }

  #settled(batch: QueuedBatch): void {
    this.#outstanding.delete(batch)
    if (this.#flushes.length === 0) return
    for (const { batches: left, resolve } of this.#flushes) {
      left.delete(batch)
      if (left.size === 0) resolve()
    }
    this.#flushes = this.#flushes.filter(({ batches: left }) => left.size > 0)
  }
}

/** Errors that would meet every other batch too. */
function isEndOfAll(error: unknown): boolean {
  return (
    isVarveError(error, 'POISONED') ||
    isVarveError(error, 'CLOSED') ||
    isVarveError(error, 'PRODUCER_FENCED') ||
    isVarveError(error, 'INVALID_TRANSACTION_STATE')
  )
}
