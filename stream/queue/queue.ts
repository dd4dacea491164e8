/** A queue: one consumer of a group that delivers record by record, as `Topic.queue` returns it. Several loops may read one queue. */
import { checkOptions, type Transaction } from '../../engine/index.ts'
import type { QueueGroup, QueueStats } from './queue-group.ts'
import type { QueueMessage, ReleaseOptions } from './queue-message.ts'

/** Options of `Queue.poll` and `Queue.batches`. */
export interface QueuePollOptions {
  /** Most messages of a batch. Default 100. */
  readonly maxRecords?: number | undefined
  /** How long to wait for the first message, ms. Default: for ever. */
  readonly maxWaitMs?: number | undefined
}

const maxRecordsDefault = 100

/** Messages of one partition that were delivered together; each can be settled by itself. */
export class QueueBatch<V = unknown, K = unknown> {
  /** At least one, in order of offsets. */
  readonly messages: readonly QueueMessage<V, K>[]

  /** For queues. */
  constructor(messages: readonly QueueMessage<V, K>[]) {
    this.messages = messages
  }

  /** Acknowledges all messages that are not settled, as one commit. Resolves when durable. LOCK_LOST when one of them is lost; the others are done. */
  ack(): Promise<void>
  /** As part of a transaction; LOCK_LOST refuses it. */
  ack(tx: Transaction): void
  ack(tx?: Transaction): Promise<void> | void {
    if (tx === undefined) return all(this.#open.map(message => message.ack()))
    for (const message of this.#open) message.ack(tx)
  }

  /** Gives back all messages that are not settled. Errors as `QueueMessage.release`. */
  release(options?: ReleaseOptions): Promise<void> {
    return all(this.#open.map(message => message.release(options)))
  }

  get #open(): QueueMessage<V, K>[] {
    return this.messages.filter(({ settled }) => settled === undefined)
  }
}

/** Delivers the records of a topic one by one to whoever asks, and again until they are acknowledged. */
export class Queue<V = unknown, K = unknown> {
  readonly #group: QueueGroup
  readonly #holder: number
  /** Name of its group. */
  readonly group: string

  /** For `TopicQueues`. */
  constructor(group: QueueGroup, name: string, signal: AbortSignal | undefined) {
    this.#group = group
    this.group = name
    const onAbort = (): void => group.leave(this.#holder)
    this.#holder = group.enter(() => signal?.removeEventListener('abort', onAbort))
    if (signal?.aborted === true) group.leave(this.#holder)
    else signal?.addEventListener('abort', onAbort, { once: true })
  }

  /** Messages one at a time; ends when the queue is closed. Leaving the loop leaves the queue open, and what it has delivered locked. */
  async *[Symbol.asyncIterator](): AsyncGenerator<QueueMessage<V, K>, void, undefined> {
    for (;;) {
      const messages = await this.#poll(1, undefined)
      if (messages === undefined) return
      yield messages[0] as QueueMessage<V, K>
    }
  }

  /** Messages in batches of one partition; ends when the queue is closed. RangeError. */
  async *batches(options: Pick<QueuePollOptions, 'maxRecords'> = {}): AsyncGenerator<QueueBatch<V, K>, void, undefined> {
    for (;;) {
      const batch = await this.poll(options)
      if (batch === undefined) return
      yield batch
    }
  }

  /** The next batch; undefined when the time is over or the queue was closed. RangeError. */
  async poll(options: QueuePollOptions = {}): Promise<QueueBatch<V, K> | undefined> {
    checkOptions(options, 'poll', ['maxRecords', 'maxWaitMs'])
    const { maxRecords = maxRecordsDefault, maxWaitMs } = options
    if (!Number.isSafeInteger(maxRecords) || maxRecords <= 0)
      throw new RangeError(`maxRecords must be a positive integer, got ${String(maxRecords)}`)
    if (maxWaitMs !== undefined && !(Number.isSafeInteger(maxWaitMs) && maxWaitMs >= 0))
      throw new RangeError(`maxWaitMs must be a non-negative integer, got ${String(maxWaitMs)}`)
    const messages = await this.#poll(maxRecords, maxWaitMs)
    return messages === undefined ? undefined : new QueueBatch<V, K>(messages)
  }

  /** What the group's queue holds now, over all partitions. */
  stats(): QueueStats {
    return this.#group.stats()
  }

  /** Ends its loops; what it has delivered and is not settled is given back, and may still be settled until it is delivered again. Idempotent. */
  close(): Promise<void> {
    this.#group.leave(this.#holder)
    return Promise.resolve()
  }

  /** As `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #poll(recordsMax: number, maxWaitMs: number | undefined): Promise<QueueMessage<V, K>[] | undefined> {
    const messages = await this.#group.poll(this.#holder, recordsMax, maxWaitMs)
    return messages as unknown as QueueMessage<V, K>[] | undefined
  }
}

/** Resolves when all have; rejects with the first failure when all have ended. */
async function all(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason
}
