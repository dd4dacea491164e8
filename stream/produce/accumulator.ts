/**
 * Gathers what is sent within one turn and appends it as one commit, a batch for each partition: sixty-four sends that nobody awaits cost one frame.
 *
 * One for the whole database. A commit of somebody else in the same turn (a transaction) calls `flush` first, so that what was sent before it also lies before
 * it; one that can wait (a batch) takes its turn here (`inTurn`). At the engine's bound of back-pressure (BUSY) all of them wait here, in order, and go on when
 * there is room; at `bufferedBytesMax` new records are refused (Kafka's `buffer.memory`).
 *
 * Invariant: records of one partition are appended in the order of the calls of `add` and `inTurn`.
 */
import { type CompressionName, isVarveError, type LocalLog, type TopicBatch, VarveError } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { PreparedRecord } from '../topic/topic-core.ts'
import { Acknowledgements, COST_ALONE, COST_IN_BATCH } from './acknowledgements.ts'
import { giveBack, takeBatch } from './batch-pool.ts'
import type { Sent } from './outgoing.ts'

/** Bytes of keys and values that may wait for room in the engine. */
const bufferedBytesMax = 64 * 1024 * 1024
/** Of one batch, before the next begins: readers take whole batches. */
const batchBytesMax = 1024 * 1024

interface Waiter {
  readonly timestamp: number
  resolve(sent: Sent): void
  reject(error: unknown): void
}

interface Gathered {
  readonly log: LocalLog
  readonly partition: number
  readonly compression: CompressionName | undefined
  readonly batch: TopicBatch
  readonly waiters: Waiter[]
  bytes: number
}

/** A commit of somebody else. */
interface Turn {
  /** Throws BUSY when it has to be tried again, and nothing else. */
  take(): void
}

export class Accumulator {
  /** Of all senders of the database. */
  readonly acknowledgements: Acknowledgements
  readonly #host: StreamHost
  /** Newest batch of each partition, not yet appended. */
  readonly #open = new Map<LocalLog, Gathered>()
  /** All batches not yet appended, and commits of others that wait between them, oldest first. */
  #queue: (Gathered | Turn)[] = []
  #bytes = 0
  #scheduled = false
  /** The engine has no room: `flush` waits for it. */
  #blocked: Promise<void> | undefined

  constructor(host: StreamHost) {
    this.#host = host
    this.acknowledgements = new Acknowledgements(host.environment)
  }

  /** Adds a record, whose bytes are encoded now; resolves when the durability word holds. */
  add(
    log: LocalLog,
    { partition, key, value, timestamp, headers, size }: PreparedRecord,
    compression: CompressionName | undefined,
  ): Promise<Sent> {
    if (this.#bytes + size > bufferedBytesMax) {
      const message = `${this.#bytes} bytes wait for room in the commit log, and no more than ${bufferedBytesMax} may: await what was sent`
      return Promise.reject(new VarveError('BUSY', message, { details: { limit: 'bufferedBytesMax' } }))
    }
    let gathered = this.#open.get(log)
    if (gathered === undefined || gathered.bytes + size > batchBytesMax) {
      gathered = { log, partition, compression, batch: takeBatch(), waiters: [], bytes: 0 }
      this.#open.set(log, gathered)
      this.#queue.push(gathered)
    }
    gathered.batch.add(key, value, timestamp, headers)
    gathered.bytes += size
    this.#bytes += size
    const { waiters } = gathered
    const promise = new Promise<Sent>((resolve, reject) => {
      waiters.push({ timestamp, resolve, reject })
    })
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.flush()
      })
    }
    return promise
  }

  /**
   * Commits behind all that was added before it, and before all that is added later: now, or when there is room. Rejects with what `commit` throws, but for BUSY.
   */
  inTurn<T>(commit: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const take = (): void => {
        try {
          resolve(commit())
        } catch (error) {
          if (isVarveError(error, 'BUSY')) throw error
          reject(error)
        }
      }
      // Batches are closed: what comes later goes behind it.
      this.#open.clear()
      this.#queue.push({ take })
      this.flush()
    })
  }

  /** Resolves when it is the turn of a commit of so many records, which is durable, to be told. */
  told(records: number): Promise<void> {
    return new Promise(resolve => {
      this.acknowledgements.tell([1], records * COST_IN_BATCH, () => resolve())
    })
  }

  /** True while something waits for room: whoever commits past it must wait for `drained` first. */
  get isBlocked(): boolean {
    return this.#blocked !== undefined
  }

  /** Resolves when nothing waits for room any more. */
  async drained(): Promise<void> {
    while (this.#blocked !== undefined) await this.#blocked
  }

  /** Appends what was added, now. Errors go to the promises of the records. */
  flush(): void {
    if (this.#queue.length === 0 || this.#blocked !== undefined) return
    const queue = this.#queue
    this.#queue = []
    this.#open.clear()
    let at = 0
    while (at < queue.length && this.#blocked === undefined) {
      const item = queue[at] as Gathered | Turn
      if ('take' in item) {
        at++
        this.#take(item)
        continue
      }
      const from = at
      while (at < queue.length && !('take' in (queue[at] as Gathered | Turn))) at++
      this.#appendAll(queue.slice(from, at) as Gathered[])
    }
    // Behind what found no room.
    if (at < queue.length) this.#queue = [...this.#queue, ...queue.slice(at)]
  }

  #take(turn: Turn): void {
    try {
      turn.take()
    } catch {
      this.#waitForRoom([turn])
    }
  }

  #appendAll(batches: readonly Gathered[]): void {
    try {
      this.#append(batches)
      this.#release(batches)
    } catch (error) {
      if (isVarveError(error, 'BUSY')) this.#waitForRoom(batches)
      else if (batches.length === 1 || isVarveError(error, 'POISONED') || isVarveError(error, 'CLOSED')) {
        this.#release(batches)
        for (const { waiters } of batches) for (const waiter of waiters) waiter.reject(error)
      } else this.#appendEach(batches)
    }
  }

  /** One of the batches was refused: the others must not suffer. */
  #appendEach(batches: readonly Gathered[]): void {
    for (const [index, batch] of batches.entries()) {
      try {
        this.#append([batch])
      } catch (error) {
        if (isVarveError(error, 'BUSY')) {
          this.#waitForRoom(batches.slice(index))
          return
        }
        for (const waiter of batch.waiters) waiter.reject(error)
      }
      this.#release([batch])
    }
  }

  #append(batches: readonly Gathered[]): void {
    const committed = this.#host.commit(commit => {
      for (const { log, batch, compression } of batches)
        commit.appendRecords(log, batch, compression === undefined ? undefined : { compression })
    })
    const settle = (): void => {
      const counts = batches.map(({ waiters }) => waiters.length)
      this.acknowledgements.tell(counts, COST_ALONE, (index, from, to) => {
        const { partition, waiters } = batches[index] as Gathered
        const offset = committed.appends[index]?.baseOffset as number
        for (let i = from; i < to; i++) {
          const { timestamp, resolve } = waiters[i] as Waiter
          resolve({ partition, offset: offset + i, timestamp, duplicate: false })
        }
      })
    }
    const refuse = (error: unknown): void => {
      for (const { waiters } of batches) for (const waiter of waiters) waiter.reject(error)
    }
    committed.acknowledged.then(settle, refuse)
  }

  /** They are committed or refused. */
  #release(batches: readonly Gathered[]): void {
    for (const { bytes, batch } of batches) {
      this.#bytes -= bytes
      giveBack(batch)
    }
  }

  #waitForRoom(waiting: readonly (Gathered | Turn)[]): void {
    this.#queue = [...waiting, ...this.#queue]
    // Their batches are closed: what comes now goes behind them.
    this.#blocked = this.#host
      .drain()
      .catch(() => undefined) // the next flush meets the same error and tells those who wait
      .then(() => {
        this.#blocked = undefined
        this.flush()
      })
  }
}
