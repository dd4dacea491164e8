/**
 * Groups over the topics of a database: joins `Topics` with the coordinators, the committed offsets and consumers in this process. Owned by `Topics`, made at
 * the first use of a group, so that a program without groups pays nothing.
 */
import {
  type Environment,
  type GroupChangeFeed,
  type GroupChangesOptions,
  type LocalLog,
  type Store,
  type StoreKey,
  storeLogPrefix,
  type Transaction,
  VarveError,
} from '../../engine/index.ts'
import { topicCodecOf } from '../codec/topic-codec.ts'
import { ChangesFetcher, GroupChanges, resolveGroupChanges } from '../consume/group-changes.ts'
import { assertNoPartitions, type GroupConsumeOptions, resolveGroupConsume } from '../consume/group-consume-options.ts'
import { type ConsumerPartition, type ConsumerPlace, GroupConsumer } from '../consume/group-consumer.ts'
import type { RecordSource } from '../fetch/consumed-record.ts'
import { GroupHost, type GroupTopic } from '../groups/group-host.ts'
import type { GroupOptions } from '../groups/group-options.ts'
import type { OffsetCommit } from '../groups/group-transport.ts'
import type { PortLike } from '../groups/port-messages.ts'
import { servePort } from '../groups/port-server.ts'
import type { StreamHost } from '../host.ts'
import { isInternalTopic, isStoreLog } from '../names.ts'
import { GroupOffsets, offsetsTopic } from '../offsets/group-offsets.ts'
import { internalPlace } from './internal-place.ts'
import type { TopicCore } from './topic-core.ts'
import type { Topics } from './topics.ts'

export interface TopicGroupsOptions extends GroupOptions {
  /** How long offsets of a group without members are kept, ms. Default: a week. */
  readonly offsetsRetentionMs?: number | undefined
}

export class TopicGroups implements ConsumerPlace {
  readonly #topics: Topics
  readonly #ports = new Set<() => void>()
  readonly #consumers = new Set<GroupConsumer<never, never>>()
  readonly #offsets: GroupOffsets
  readonly transport: GroupHost
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly database: string

  constructor(topics: Topics, options: TopicGroupsOptions = {}) {
    this.#topics = topics
    this.environment = topics.host.environment
    this.database = topics.host.path
    const { offsetsRetentionMs: retentionMs, ...groupOptions } = options
    this.#offsets = new GroupOffsets(internalPlace(topics, offsetsTopic, 'bytes'), retentionMs)
    this.transport = new GroupHost({
      host: topics.host,
      offsets: this.#offsets,
      topic: name => {
        if (isStoreLog(name)) return groupFeedOf(topics.host, name)
        const core = topics.core(name)
        return core === undefined || core.isInternal ? undefined : new CoreGroupTopic(core)
      },
      topicName: id => topics.coreById(id)?.name ?? topics.host.list().find(log => log.id === id && isStoreLog(log.name))?.name,
      topicNames: () => topics.names(),
      flushSends: () => {
        const { accumulator } = topics
        accumulator.flush()
        return accumulator.isBlocked ? accumulator.drained() : undefined
      },
      options: groupOptions,
    })
  }

  /** A consumer of these topics (handles follow a rename), or of all whose names match. TypeError, RangeError; NOT_FOUND for a name that is none. */
  consumer<V, K>(topics: readonly (string | { readonly name: string })[] | RegExp, options: GroupConsumeOptions): GroupConsumer<V, K> {
    const resolved = resolveGroupConsume(options)
    const { partitions = [] } = resolved
    // A copy: the caller's array may change.
    const handles = Array.isArray(topics) ? [...topics] : topics
    const subscribed = handles instanceof RegExp ? handles : (): string[] => topicNamesOf(handles)
    if (subscribed instanceof RegExp) assertNoPartitions(resolved)
    else for (const name of subscribed()) for (const partition of [undefined, ...partitions]) this.#assertUsable(name, partition)
    return this.#keep(new GroupConsumer<V, K>(this, subscribed, resolved))
  }

  /** A store's change feed as a member of a group reads it. TypeError, RangeError. */
  changes<V, K extends StoreKey>(store: Store<V, K>, options: GroupChangesOptions): GroupChangeFeed<V, K> {
    const name = `${storeLogPrefix}${store.name}`
    const log = this.#topics.host.log(name)
    const nothing = topicCodecOf('bytes', 'value')
    const source = { topic: name, partition: 0, keys: nothing, values: nothing }
    const fetcher = (position: number): ChangesFetcher => new ChangesFetcher(store as unknown as Store, log, source, position)
    const { transport, environment, database, commitWith } = this
    const topicId = this.#topics.host.get(name)?.id as number
    const partition = (): ConsumerPartition => {
      if (log.dropped) throw new VarveError('NOT_FOUND', `store ${store.name} was dropped`, { details: { store: store.name } })
      return { log, topicId, source, fetcher }
    }
    const place: ConsumerPlace = { transport, environment, database, commitWith, partition }
    return new GroupChanges<V, K>(this.#keep(new GroupConsumer(place, [name], resolveGroupChanges(options))))
  }

  /** Notes a consumer, to be closed with the database. */
  #keep<V, K>(consumer: GroupConsumer<V, K>): GroupConsumer<V, K> {
    const known = consumer as unknown as GroupConsumer<never, never>
    this.#consumers.add(known)
    consumer.closed.then(() => this.#consumers.delete(known))
    return consumer
  }

  /** Lets consumers in another thread take part through a port. Ends when the port closes, or the returned function is called. */
  serve(port: PortLike): () => void {
    const end = servePort(port, {
      transport: this.transport,
      partition: (topic, partition, topicId) => this.partition(topic, partition, topicId),
      codecs: topic => this.#topics.existing(topic).options,
    })
    this.#ports.add(end)
    return () => {
      this.#ports.delete(end)
      end()
    }
  }

  /** A topic was deleted: what groups have committed of it goes too. */
  async forgetTopic(id: number): Promise<void> {
    await this.#offsets.forgetTopic(id)
  }

  /** Closes all consumers: they leave their groups. What a listener throws is told by the consumer's own loop. undefined when there are none. */
  close(): Promise<void> | undefined {
    const closing = [...this.#consumers].map(consumer => consumer.close())
    for (const end of this.#ports) end()
    this.transport.close()
    return closing.length === 0 ? undefined : Promise.allSettled(closing).then(() => undefined)
  }

  partition(
    topic: string,
    partition: number,
    topicId?: number,
  ): { readonly log: LocalLog; readonly topicId: number; readonly source: RecordSource } {
    const core = topicId === undefined ? this.#topics.existing(topic) : this.#topics.coreById(topicId)
    if (core === undefined) throw new VarveError('NOT_FOUND', `topic ${topic} was deleted`, { details: { topic } })
    // An assignment may speak of a topic that had the name, and more partitions.
    if (partition >= core.partitionCount)
      throw new VarveError('NOT_FOUND', `topic ${topic} has no partition ${partition}`, { details: { topic, partition } })
    return { log: core.partition(partition), topicId: core.id, source: { topic, partition, keys: core.keys, values: core.values } }
  }

  readonly commitWith = (tx: Transaction, commit: OffsetCommit): void => this.transport.commitWith(tx, commit)

  #assertUsable(name: string, partition: number | undefined): void {
    if (isInternalTopic(name)) throw new TypeError(`internal topics are not consumed by groups, got ${name}`)
    const core = this.#topics.existing(name)
    if (partition !== undefined) core.partition(partition)
  }
}

/** A topic as groups see it. */
class CoreGroupTopic implements GroupTopic {
  readonly #core: TopicCore

  constructor(core: TopicCore) {
    this.#core = core
  }

  get id(): number {
    return this.#core.id
  }
  get partitionCount(): number {
    return this.#core.partitionCount
  }
  startOffset(partition: number): number {
    return this.#core.partition(partition).startOffset
  }
  endOffset(partition: number): number {
    return this.#core.partition(partition).lastStableOffset
  }
  offsetForTime(partition: number, time: number): number | undefined {
    return this.#core.partition(partition).offsetForTime(time)
  }
}

/** A feed is a topic of one partition; undefined for a store without one. */
function groupFeedOf(host: StreamHost, name: string): GroupTopic | undefined {
  const definition = host.get(name)
  if (definition?.body !== true) return undefined
  const log = host.log(name)
  return {
    id: definition.id,
    partitionCount: 1,
    startOffset: () => log.startOffset,
    endOffset: () => log.highWatermark,
    offsetForTime: (_, time) => log.offsetForTime(time),
  }
}

/** Names, as they are now, of topics that are given as names or as handles. */
function topicNamesOf(topics: readonly (string | { readonly name: string })[]): string[] {
  if (!Array.isArray(topics) || topics.length === 0) throw new TypeError('topics must be a non-empty array of topics or their names')
  return topics.map(topic => {
    const name = typeof topic === 'string' ? topic : topic?.name
    if (typeof name !== 'string') throw new TypeError(`topics must hold topics or their names, got ${String(topic)}`)
    return name
  })
}
