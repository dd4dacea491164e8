/** A handle of a topic: what `Database.topic` returns. Verbs of a topic that could not be opened throw, or reject with, the reason. */
import type { LocalLog, VarveError } from '../../engine/index.ts'
import { type ConsumeOptions, Consumer } from '../consume/consumer.ts'
import type { GroupConsumeOptions } from '../consume/group-consume-options.ts'
import type { GroupConsumer } from '../consume/group-consumer.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import type { AppendCondition } from '../keys/expected-version.ts'
import { type KeyOptions, latestOf, type ReadKeyOptions, readKey, versionOf } from '../keys/keyed-reads.ts'
import { StickyPartition } from '../partition/partitioner.ts'
import type { Outgoing, Sent } from '../produce/outgoing.ts'
import type { TopicProducer } from '../produce/producer.ts'
import type { ProducerOptions } from '../produce/producer-options.ts'
import { sendBatch } from '../produce/send-batch.ts'
import type { Queue } from '../queue/queue.ts'
import type { QueueOptions } from '../queue/queue-options.ts'
import { type ReplayOptions, type ReplayReport, replay } from '../replay/replay.ts'
import { type TopicStats, topicStats } from '../retention/topic-stats.ts'
import type { RetentionResult } from '../retention/upkeep.ts'
import type { Table } from '../table/table.ts'
import { TopicCore } from './topic-core.ts'
import { type ChangeableTopicOptions, isCompacted } from './topic-options.ts'
import type { TopicDescription, Topics } from './topics.ts'

const cores = new WeakMap<Topic<never, never>, TopicCore>()

/** The shared part behind a handle, for other files of this folder. Throws what the handle's opening threw. */
export function coreOfTopic<V, K>(topic: Topic<V, K>): TopicCore<V, K> {
  const core = cores.get(topic as unknown as Topic<never, never>)
  if (core !== undefined) return core as unknown as TopicCore<V, K>
  if (topic instanceof Topic) topic.assertOpened()
  throw new TypeError('topic must be a topic of this database')
}

/** A topic: partitions of records that are appended and read by offset. */
export class Topic<V = unknown, K = string> {
  readonly #name: string
  readonly #core: TopicCore<V, K> | undefined
  readonly #error: VarveError | undefined
  readonly #topics: Topics
  readonly #ready: Promise<void>
  readonly #sticky: StickyPartition

  /** For `Topics`. */
  constructor(name: string, core: TopicCore<V, K> | VarveError, topics: Topics, ready: Promise<void>) {
    this.#name = name
    this.#core = core instanceof TopicCore ? core : undefined
    this.#error = core instanceof TopicCore ? undefined : core
    this.#topics = topics
    this.#ready = ready
    this.#sticky = new StickyPartition(topics.host.environment.random)
    if (this.#core !== undefined) cores.set(this as unknown as Topic<never, never>, this.#core as unknown as TopicCore)
  }

  /** As it is now: a rename changes it. */
  get name(): string {
    return this.#core?.name ?? this.#name
  }
  /** How many partitions there are. */
  get partitionCount(): number {
    return this.#opened().partitionCount
  }

  /** Resolves when the topic's definition is durable and its index of keys, if it has one, is built; rejects with DEFINITION_MISMATCH and the like. */
  async ready(): Promise<void> {
    await this.#ready
    await this.#core?.keyIndex?.built
  }

  /**
   * Appends a record: a value, or `{ key, value, headers, timestamp, partition }`. Resolves when it is durable by the database's word. Sends of one turn become one
   * batch a partition; those of one partition keep their order. With `expectedVersion` only if that is its key's version, checked in the turn of the commit: CONFLICT.
   * TypeError, RangeError, TOO_LARGE, INVALID_RECORD, BUSY, POISONED, CLOSED, NOT_FOUND.
   */
  send(record: V | Outgoing<V, K>, condition?: AppendCondition): Promise<Sent> {
    if (condition !== undefined) return this.sendBatch([record], condition).then(([sent]) => sent as Sent)
    try {
      const core = this.#opened()
      const prepared = core.prepare(record, this.#sticky, this.#topics.host.environment.clock.now())
      return this.#topics.accumulator.add(core.partition(prepared.partition), prepared, core.options.compression)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Appends many records as one commit, in the turn of the call: all or nothing. Resolves in their order. Errors as `send`. */
  async sendBatch(records: readonly (V | Outgoing<V, K>)[], condition?: AppendCondition): Promise<Sent[]> {
    return await sendBatch(this.#opened(), records, this.#sticky, this.#topics.accumulator, condition)
  }

  // --- by key: topics with `keyIndex` ------------------------------------------------------------------------------------------------------

  /**
   * The version of a key: the offset of its newest record that the topic has, a tombstone included, or -1. What `expectedVersion` is compared with. TypeError
   * without `keyIndex`, NOT_READY while the index is built.
   */
  version(key: K, options?: KeyOptions): number {
    return versionOf(this.#opened(), key, options)
  }

  /** The newest record of a key, a tombstone (value null) included; undefined when there is none. Sees every append at once. Errors as `version`. */
  latest(key: K, options?: KeyOptions): ConsumedRecord<V, K> | undefined {
    return latestOf(this.#opened(), key, options)
  }

  /** The records of a key in order: the event stream of an aggregate. Synchronous, sees every append at once. Errors as `version`. */
  readKey(key: K, options?: ReadKeyOptions): IterableIterator<ConsumedRecord<V, K>> {
    return readKey(this.#opened(), key, options)
  }

  /** A producer of this topic with bounds of its own, and with an identity if asked for; see `ProducerOptions`. Closed with the database. */
  producer(options?: ProducerOptions): TopicProducer<V, K> {
    this.#opened()
    return this.#topics.producers.topicProducer(this, options)
  }

  /** Reads the topic together with the other consumers of a group; see `GroupConsumeOptions`. */
  consume(options: GroupConsumeOptions): GroupConsumer<V, K>
  /** Reads the topic; see `ConsumeOptions`. Iterate it by batch, or `records()`, or `raw()`. */
  consume(options?: ConsumeOptions): Consumer<V, K>
  consume(options: ConsumeOptions | GroupConsumeOptions = {}): Consumer<V, K> | GroupConsumer<V, K> {
    const core = this.#opened()
    if (isGroupOptions(options)) return this.#topics.groups.consumer<V, K>([core], options)
    return new Consumer<V, K>(this.#topics, core, options)
  }

  /**
   * Delivers the records of the topic one by one to all queues of a group, each until it is acknowledged: work queues, on any number of partitions; see
   * `QueueOptions`. TypeError, RangeError, NOT_FOUND for a dead-letter topic that was deleted.
   */
  queue(options: QueueOptions<V, K>): Queue<V, K> {
    return this.#topics.queues.open(this.#opened(), options)
  }

  /** Forgets a group of queues with all that it has acknowledged. GROUP_NOT_EMPTY while one is open, NOT_FOUND. Resolves when durable. */
  async forgetQueue(group: string): Promise<void> {
    await this.#topics.queues.forget(this.#opened() as unknown as TopicCore, group)
  }

  /** Reads a range again into another topic, a store or a function; see `ReplayOptions`. Resolves when all of it is written. */
  async replay(options: ReplayOptions<V, K>): Promise<ReplayReport> {
    return await replay(this.#topics.host, this.#opened(), options)
  }

  /** Options and partitions as they are now. */
  describe(): TopicDescription {
    return this.#topics.describe(this.#opened().name)
  }

  /**
   * Changes options that may change; the others are refused by name. Resolves when durable. INVALID_RECORD for `cleanup: 'compact'` while a record has no key: all of them are looked
   * at first.
   */
  async alter(options: ChangeableTopicOptions): Promise<void> {
    await this.#topics.alter(this.#opened() as unknown as TopicCore, options)
  }

  /**
   * Grows to this many partitions. New keys of old records may move to other partitions: order by key holds from then on. TypeError while the topic keeps an index of keys, whose versions
   * are offsets in the partition of a key: replay it into another topic instead.
   */
  async addPartitions(partitions: number): Promise<void> {
    await this.#topics.addPartitions(this.#opened() as unknown as TopicCore, partitions)
  }

  /** Hides the records of a partition below `offset` (Kafka's DeleteRecords); their space is freed later. RangeError above the high watermark. */
  async deleteRecords(partition: number, offset: number): Promise<void> {
    await this.#topics.deleteRecords(this.#opened() as unknown as TopicCore, partition, offset)
  }

  /**
   * Hides what the topic's retention does not keep, now, and frees the space of sealed parts; else it happens every `retentionCheckMs`. Only what is sealed
   * goes. Resolves with the partitions whose start moved.
   */
  async applyRetention(): Promise<RetentionResult[]> {
    return await this.#topics.applyRetention(this.#opened() as unknown as TopicCore)
  }

  /** Seals and compacts all partitions now, whatever their dirty ratio; `compactionLagMsMin` holds. TypeError for a topic that is not compacted. */
  async compact(): Promise<void> {
    const core = this.#opened()
    if (!isCompacted(core.options)) throw new TypeError(`topic ${core.name} is not compacted: define or alter it with cleanup: 'compact'`)
    await this.#topics.upkeep.compact(core as unknown as TopicCore)
  }

  /** The newest value of each key as a read-only store that is kept current. The same object until it is closed; it is closed with the database. */
  table(): Table<V, K> {
    return this.#topics.table<V, K>(this.#opened())
  }

  /** Offsets, bytes and how clean it is, by partition. */
  stats(): TopicStats {
    return topicStats(this.#opened() as unknown as TopicCore)
  }

  /** Offset of the first record with a timestamp of at least `timestamp`; undefined when there is none. */
  offsetForTime(partition: number, timestamp: number): number | undefined {
    return this.partition(partition).offsetForTime(timestamp)
  }

  /** The log of a partition. RangeError. */
  partition(partition: number): LocalLog {
    return this.#opened().partition(partition)
  }

  /** Throws why the topic could not be opened. */
  assertOpened(): void {
    this.#opened()
  }

  #opened(): TopicCore<V, K> {
    if (this.#error !== undefined) throw this.#error
    const core = this.#core as TopicCore<V, K>
    core.assertUsable()
    return core
  }
}

function isGroupOptions(options: ConsumeOptions | GroupConsumeOptions): options is GroupConsumeOptions {
  return typeof options === 'object' && options !== null && 'group' in options
}
