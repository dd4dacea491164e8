/**
 * A producer: what `db.producer()` and `topic.producer()` return. It gathers records by its own bounds, and may have an identity:
 *
 *   none            order, batching, back-pressure
 *   idempotent      batches carry id, epoch and sequence: one that is sent again is answered with its old offsets
 *   named           (`id`) also across restarts; its records carry sequences of their own, and who opens the name again fences the one before
 *   transactional   (`transactionalId`) records are sent within `begin()` and `commit()`; see `transactions/`
 *
 * Owned by `topic-producers.ts`, which closes it with the database.
 */
import { type Committed, VarveError } from '../../engine/index.ts'
import { type VersionCheck, versionCheck } from '../keys/expected-version.ts'
import { StickyPartition } from '../partition/partitioner.ts'
import { coreOfTopic, type Topic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { TopicProducers } from '../topic/topic-producers.ts'
import type { TransactionOwner } from '../transactions/coordinator.ts'
import { ProducerTransaction } from '../transactions/producer-transaction.ts'
import { giveBack, takeBatch } from './batch-pool.ts'
import type { Outgoing, Sent } from './outgoing.ts'
import type { ResolvedProducerOptions } from './producer-options.ts'
import { addRecord, bytesOf, newBatch, ProducerQueue, type QueuedBatch, type WrittenBatches } from './producer-queue.ts'
import type { NamedProducer, ProducerEpoch } from './producer-registry.ts'
import { type SequencedProducer, writeBatches, writeNamed } from './write-batches.ts'

/** Of `send` of a named producer. */
export interface SendOptions {
  /** The record's place in the order of its source: a line, a byte position, a count. Must grow within a topic. Default: one above the last. */
  readonly sequence?: number | undefined
  /**
   * As `AppendCondition.expectedVersion`, of topics with `keyIndex`. The records of the call are then a commit of their own, made when all that this producer was given before is
   * appended; what it is given meanwhile may come before them. Of a named producer records that are there already are not sent again, whatever the version is by now.
   */
  readonly expectedVersion?: number | undefined
}

/** Of a named producer and a topic. */
interface Sequences {
  /** The largest that was there when this producer first sent to the topic; -1 none. */
  readonly before: number
  /** The largest given out. */
  last: number
  /** The smallest that was refused for want of room: none above it is taken before it, so that what is there has no gap. */
  missing: number | undefined
}

/** Of `appendBatch`. */
export interface AppendedBatch {
  /** Number of the partition. */
  readonly partition: number
  /** Offset of the first record. */
  readonly baseOffset: number
  /** Offset after the last one. */
  readonly endOffset: number
  /** Sequence of the first record: with it the batch can be sent again. */
  readonly sequence: number
  /** True when it was there already: nothing was written, the offsets are the old ones. */
  readonly duplicate: boolean
}

/** Sends records to topics, several as one batch; see `ProducerOptions` for what it promises. */
export class Producer {
  readonly #producers: TopicProducers
  readonly #options: ResolvedProducerOptions
  readonly #queue: ProducerQueue
  /** Commits batches now, all or none. */
  readonly #write: (batches: readonly QueuedBatch[]) => WrittenBatches
  readonly #stickies = new Map<TopicCore, StickyPartition>()
  /** Of named producers, by topic. */
  readonly #sequences = new Map<TopicCore, Sequences>()
  #identity: SequencedProducer | undefined
  #named: NamedProducer | undefined
  #owner: TransactionOwner | undefined
  #transaction: ProducerTransaction | undefined
  #closing: Promise<void> | undefined

  /** For `TopicProducers`. May throw BUSY, POISONED and the like: identities are taken in this turn. */
  constructor(producers: TopicProducers, options: ResolvedProducerOptions) {
    this.#producers = producers
    this.#options = options
    const { host, registry, acknowledgements } = producers
    if (options.transactionalId !== undefined) {
      this.#owner = producers.coordinator.open(options.transactionalId, options.transactionTimeoutMs)
    } else if (options.id !== undefined) {
      const named = registry.open(options.id)
      this.#named = named
      this.#identity = { id: named.id, epoch: named.epoch, next: new Map() }
    } else if (options.idempotent) {
      const { id, epoch } = options.identity ?? { id: registry.newId(), epoch: 0 }
      this.#identity = { id, epoch, next: new Map() }
    }
    const named = this.#named
    const producer = this.#identity
    this.#write = batches =>
      named === undefined || producer === undefined
        ? writeBatches(host, batches, { producer })
        : writeNamed(host, registry, named, producer, batches)
    this.#queue = new ProducerQueue(host, acknowledgements, options, this.#write)
  }

  /** Producer id and epoch; undefined for a producer that has none, or whose every transaction has its own. */
  get identity(): ProducerEpoch | undefined {
    return this.#identity === undefined ? undefined : { id: this.#identity.id, epoch: this.#identity.epoch }
  }
  /** Bytes of keys and values that are gathered or wait for the disk. */
  get bufferedBytes(): number {
    return this.#queue.bufferedBytes
  }

  /**
   * Sends a record: as `Topic.send`, gathered by this producer's bounds. Resolves when durable by the database's word. Besides the errors of `Topic.send`: BUSY above
   * `bufferedBytesMax`, PRODUCER_FENCED; of a named producer OUT_OF_ORDER_SEQUENCE when one below `sequence` was refused and not sent again. CONFLICT when the key does not have the
   * version that is expected.
   */
  send<V, K>(topic: Topic<V, K>, record: V | Outgoing<V, K>, options: SendOptions = {}): Promise<Sent> {
    if (options.expectedVersion !== undefined) return this.sendBatch(topic, [record], options).then(([sent]) => sent as Sent)
    try {
      this.#assertOutsideTransactions()
      const core = coreOfTopic(topic) as unknown as TopicCore
      const sticky = this.#stickyOf(core)
      const { chosen } = sticky
      const prepared = core.prepare(record, sticky, this.#now())
      const sequence = this.#sequenceOf(core, options.sequence, sticky.chosen > chosen)
      this.#assertRoom(core, bytesOf(prepared), options.sequence)
      return this.#queue.add(core, prepared, sequence)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sends records in order, without waiting for the linger time; they become one commit unless a bound cuts them. `sequence` is the first one's. */
  sendBatch<V, K>(topic: Topic<V, K>, records: readonly (V | Outgoing<V, K>)[], options: SendOptions = {}): Promise<Sent[]> {
    if (!Array.isArray(records)) return Promise.reject(new TypeError(`records must be an array, got ${String(records)}`))
    const { sequence, expectedVersion } = options
    if (expectedVersion !== undefined) return this.#sendExpecting(topic, records, expectedVersion, sequence)
    const sent = records.map((record, i) => this.send(topic, record, sequence === undefined ? {} : { sequence: sequence + i }))
    this.#queue.append()
    return Promise.all(sent)
  }

  /** Sends records of one key as one commit, if that is the key's version then. */
  async #sendExpecting<V, K>(
    topic: Topic<V, K>,
    items: readonly (V | Outgoing<V, K>)[],
    expectedVersion: number,
    first: number | undefined,
  ): Promise<Sent[]> {
    this.#assertOutsideTransactions()
    const core = coreOfTopic(topic) as unknown as TopicCore
    const expected = versionCheck(core, { expectedVersion }) as VersionCheck
    if (items.length === 0) return []
    const now = this.#now()
    const sticky = this.#stickyOf(core)
    const sequences: number[] = []
    let gathered: QueuedBatch | undefined
    try {
      for (const item of items) {
        const prepared = core.prepare(item, sticky, now)
        expected.take(prepared)
        gathered ??= newBatch(core, prepared.partition, sequences)
        addRecord(gathered, prepared)
      }
      const batch = gathered as QueuedBatch
      for (let i = 0; i < items.length; i++) {
        const sequence = this.#sequenceOf(core, first === undefined ? undefined : first + i, false)
        if (sequence !== undefined) sequences.push(sequence)
      }
      await this.#queue.appended()
      await expected.index.built
      this.#assertOutsideTransactions()
      if (!this.#hasSent(core, batch.partition, sequences.at(-1))) expected.check()
      const { sentOf, acknowledged } = this.#write([batch])
      await acknowledged
      return items.map((_, i) => sentOf(0, i))
    } catch (error) {
      // Numbers that the producer chose itself are for what comes next, unless that has come already.
      const known = this.#sequences.get(core)
      if (first === undefined && known !== undefined && known.last === sequences.at(-1)) known.last -= sequences.length
      throw error
    } finally {
      if (gathered !== undefined) giveBack(gathered.batch)
    }
  }

  /** Whether this name has sent a record of the sequence, or one above it, to the partition. */
  #hasSent(core: TopicCore, partition: number, sequence: number | undefined): boolean {
    if (this.#named === undefined || sequence === undefined) return false
    return sequence <= (this.#producers.registry.last(this.#named.name, core.id, partition)?.sequence ?? -1)
  }

  /**
   * Appends one batch to a partition, now: for callers that send it again when they do not know what became of it. The sequence is that of its first record; a
   * batch among the last five of its partition is answered with its old offsets. Only of idempotent producers without a name. OUT_OF_ORDER_SEQUENCE when one
   * before it is missing, PRODUCER_FENCED when a newer epoch has written to the partition.
   */
  async appendBatch<V, K>(
    topic: Topic<V, K>,
    partition: number,
    records: readonly (V | Outgoing<V, K>)[],
    options: SendOptions = {},
  ): Promise<AppendedBatch> {
    const identity = this.#identity
    if (identity === undefined || this.#named !== undefined) throw new TypeError('appendBatch needs an idempotent producer without a name')
    if (!Array.isArray(records) || records.length === 0) throw new TypeError('records must be a non-empty array')
    const core = coreOfTopic(topic) as unknown as TopicCore
    const log = core.partition(partition)
    const now = this.#now()
    const batch = takeBatch()
    try {
      for (const record of records) {
        const { key, value, timestamp, headers } = core.prepare(record, this.#stickyOf(core), now)
        batch.add(key, value, timestamp, headers)
      }
      await this.#queue.flush()
      this.#assertOpen()
      const sequence = options.sequence ?? identity.next.get(log) ?? 0
      const { compression } = core.options
      const producer = { id: identity.id, epoch: identity.epoch, sequence }
      const committed = this.#producers.host.commit(commit =>
        commit.appendRecords(log, batch, { producer, ...(compression === undefined ? {} : { compression }) }),
      )
      const { baseOffset, endOffset, duplicate } = committed.appends[0] as Committed['appends'][number]
      if (!duplicate) identity.next.set(log, (sequence + records.length) % 2 ** 31)
      await committed.acknowledged
      return { partition, baseOffset, endOffset, sequence, duplicate }
    } finally {
      giveBack(batch)
    }
  }

  /** The sequence of the newest record that this name has sent to the topic, or to one partition of it; undefined before any. Go on above it after a crash. */
  lastSequence<V, K>(topic: Topic<V, K>, partition?: number): number | undefined {
    const { name } = this.#assertNamed()
    const core = coreOfTopic(topic) as unknown as TopicCore
    if (partition !== undefined) {
      core.partition(partition)
      return this.#producers.registry.last(name, core.id, partition)?.sequence
    }
    return this.#producers.registry.lastOfTopic(name, core.id, core.partitionCount)
  }

  /**
   * Begins a transaction, once the one before has ended. Only of producers with a `transactionalId`. PRODUCER_FENCED when another was opened with it,
   * INVALID_TRANSACTION_STATE while one is open.
   */
  async begin(): Promise<ProducerTransaction> {
    this.#assertOpen()
    if (this.#owner === undefined) throw new TypeError('begin needs a producer with a transactionalId')
    const { coordinator } = this.#producers
    const transaction = new ProducerTransaction(this.#producers, this.#options, await coordinator.begin(this.#owner))
    this.#transaction = transaction
    return transaction
  }

  /** Appends what is gathered; resolves when all that was sent before is durable, or was refused. */
  async flush(): Promise<void> {
    await this.#queue.flush()
  }

  /** Flushes, aborts an open transaction, and gives the name back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    try {
      await this.#queue.flush()
      if (this.#transaction?.isOpen === true) await this.#transaction.abort()
    } finally {
      if (this.#named !== undefined) this.#producers.registry.release(this.#named)
      if (this.#owner !== undefined) this.#producers.coordinator.release(this.#owner)
      this.#producers.closed(this)
    }
  }

  #now(): number {
    return this.#producers.host.environment.clock.now()
  }

  #stickyOf(core: TopicCore): StickyPartition {
    let sticky = this.#stickies.get(core)
    if (sticky === undefined) {
      sticky = new StickyPartition(this.#producers.host.environment.random)
      this.#stickies.set(core, sticky)
    }
    return sticky
  }

  /** `isAnywhere`: the record may go to any partition, and so may have gone to another when it was sent before. */
  #sequenceOf(core: TopicCore, given: number | undefined, isAnywhere: boolean): number | undefined {
    if (this.#named === undefined) {
      if (given === undefined) return undefined
      throw new TypeError('sequence needs a producer with an id')
    }
    if (given !== undefined && !(Number.isSafeInteger(given) && given >= 0))
      throw new RangeError(`sequence must be a non-negative integer, got ${String(given)}`)
    let known = this.#sequences.get(core)
    if (known === undefined) {
      const before = this.#producers.registry.lastOfTopic(this.#named.name, core.id, core.partitionCount) ?? -1
      known = { before, last: before, missing: undefined }
      this.#sequences.set(core, known)
    }
    const sequence = given ?? known.last + 1
    const { missing } = known
    if (missing !== undefined && sequence > missing)
      throw new VarveError(
        'OUT_OF_ORDER_SEQUENCE',
        `producer ${this.#named.name}: sequence ${missing} was refused, and has to come first`,
        {
          details: { id: this.#named.name, topic: core.name, expected: missing, actual: sequence },
        },
      )
    known.missing = undefined
    known.last = Math.max(known.last, sequence)
    // What this name had sent by then is there up to the largest sequence: below all that a partition may have, so that it is a duplicate in any.
    return isAnywhere && sequence <= known.before ? -1 : sequence
  }

  /** BUSY above `bufferedBytesMax`. */
  #assertRoom(core: TopicCore, bytes: number, given: number | undefined): void {
    try {
      this.#queue.assertRoom(bytes)
    } catch (error) {
      const known = this.#sequences.get(core)
      if (known !== undefined && given !== undefined) known.missing = given
      else if (known !== undefined) known.last--
      throw error
    }
  }

  #assertNamed(): NamedProducer {
    if (this.#named === undefined) throw new TypeError('sequences need a producer with an id')
    return this.#named
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new VarveError('CLOSED', 'the producer is closed')
  }

  #assertOutsideTransactions(): void {
    this.#assertOpen()
    if (this.#owner !== undefined) throw new TypeError('a producer with a transactionalId sends within begin() and commit()')
  }
}

/** A producer of one topic. */
export class TopicProducer<V = unknown, K = unknown> {
  readonly #producer: Producer
  readonly #topic: Topic<V, K>

  /** For `Topic`. */
  constructor(producer: Producer, topic: Topic<V, K>) {
    this.#producer = producer
    this.#topic = topic
  }

  /** See `Producer.identity`. */
  get identity(): ProducerEpoch | undefined {
    return this.#producer.identity
  }
  /** See `Producer.bufferedBytes`. */
  get bufferedBytes(): number {
    return this.#producer.bufferedBytes
  }
  /** See `Producer.send`. */
  send(record: V | Outgoing<V, K>, options?: SendOptions): Promise<Sent> {
    return this.#producer.send(this.#topic, record, options)
  }
  /** See `Producer.sendBatch`. */
  sendBatch(records: readonly (V | Outgoing<V, K>)[], options?: SendOptions): Promise<Sent[]> {
    return this.#producer.sendBatch(this.#topic, records, options)
  }
  /** See `Producer.appendBatch`. */
  appendBatch(partition: number, records: readonly (V | Outgoing<V, K>)[], options?: SendOptions): Promise<AppendedBatch> {
    return this.#producer.appendBatch(this.#topic, partition, records, options)
  }
  /** See `Producer.lastSequence`. */
  lastSequence(partition?: number): number | undefined {
    return this.#producer.lastSequence(this.#topic, partition)
  }
  /** See `Producer.begin`. */
  begin(): Promise<ProducerTransaction> {
    return this.#producer.begin()
  }
  /** See `Producer.flush`. */
  flush(): Promise<void> {
    return this.#producer.flush()
  }
  /** See `Producer.close`. */
  close(): Promise<void> {
    return this.#producer.close()
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
