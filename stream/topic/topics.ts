/**
 * The topics of a database: handles by name, over the logs that `names.ts` names.
 *
 * A handle is there at once: a new topic is defined in the turn of the call, all its logs by one edit; an existing one is compared with what was asked for,
 * and a conflict is told by `ready()` and by every verb. Owned by the facade's `Database`.
 *
 * Invariant: one `TopicCore` a topic, however many handles there are.
 */
import {
  columnsOption,
  type DefinedLog,
  isVarveError,
  type LocalLog,
  type LogDefinition,
  storeLogPrefix,
  VarveError,
} from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import { KeyIndex } from '../keys/key-index.ts'
import { keyIndexLogs } from '../keys/key-index-store.ts'
import { checkTopicName, isInternalTopic, partitionLogName, topicLogName, topicOfLogName } from '../names.ts'
import { offsetsTopic } from '../offsets/group-offsets.ts'
import { Accumulator } from '../produce/accumulator.ts'
import { producerStateTopic } from '../produce/producer-registry.ts'
import { queueStateTopic, TopicQueues } from '../queue/topic-queues.ts'
import { forgetReplays } from '../replay/replay.ts'
import { type RetentionResult, TopicUpkeep, type UpkeepTopic } from '../retention/upkeep.ts'
import { forgetTables, Table, tableStoreName } from '../table/table.ts'
import { assertKeyed } from './keyless-records.ts'
import { Topic } from './topic.ts'
import { TopicCore } from './topic-core.ts'
import { TopicGroups } from './topic-groups.ts'
import {
  alteredOptions,
  type ChangeableTopicOptions,
  checkChangeableOptions,
  checkPartitions,
  checkSameTopic,
  checkTopicColumns,
  checkTopicOptions,
  isCompacted,
  type StoredTopicOptions,
  storedTopicOptions,
  type TopicOptions,
} from './topic-options.ts'
import { hasTransactionState, TopicProducers } from './topic-producers.ts'

/** A topic as `describe` tells it. */
export interface TopicDescription {
  /** As it is named now. */
  readonly name: string
  /** Unique within the database, never reused. */
  readonly id: number
  /** Whether it is one that the database keeps for itself. */
  readonly internal: boolean
  /** As they are stored. */
  readonly options: StoredTopicOptions
  /** By number. */
  readonly partitions: readonly PartitionDescription[]
}

/** A partition of a topic, as `describe` tells of it. */
export interface PartitionDescription {
  /** Number of the partition. */
  readonly partition: number
  /** First offset that can be read. */
  readonly startOffset: number
  /** Offset after the newest record that consumers may read. */
  readonly highWatermark: number
  /** As far as `read_committed` consumers may read, exclusive. */
  readonly lastStableOffset: number
}

/** The topics of a database. */
export class Topics {
  readonly host: StreamHost
  readonly accumulator: Accumulator
  readonly upkeep: TopicUpkeep
  /** Open ones by topic id. */
  readonly #tables = new Map<number, Table<never, never>>()
  /** By topic id. */
  readonly #cores = new Map<number, TopicCore>()
  #hadTables = false
  #groups: TopicGroups | undefined
  #producers: TopicProducers | undefined
  #queues: TopicQueues | undefined

  constructor(host: StreamHost) {
    this.host = host
    this.accumulator = new Accumulator(host)
    host.provideGroupFeeds((store, options) => this.groups.changes(store, options))
    this.upkeep = new TopicUpkeep(
      host,
      () => this.#all(),
      name => this.#trimmed(name),
    )
    for (const { options } of this.#all()) this.upkeep.wake(options)
  }

  /** Consumer groups; made when they are first asked for. */
  get groups(): TopicGroups {
    this.#groups ??= new TopicGroups(this)
    return this.#groups
  }

  /** Ends what runs over the topics before the database is closed: consumers leave their groups and queues end, then producers are closed. undefined when nothing runs. */
  close(): Promise<void> | undefined {
    this.upkeep.stop()
    // What was sent before is to be there.
    this.accumulator.flush()
    const sent = this.accumulator.isBlocked ? this.accumulator.drained() : undefined
    const tables = [...this.#tables.values()].map(table => table.close())
    const indexes = [...this.#cores.values()].map(({ keyIndex }) => keyIndex?.close())
    const ends = [sent, this.#groups?.close(), this.#queues?.close(), ...tables, ...indexes].filter(left => left !== undefined)
    return ends.length === 0 ? this.#producers?.close() : Promise.all(ends).then(() => this.#producers?.close())
  }

  /** Queues; made when they are first asked for. */
  get queues(): TopicQueues {
    this.#queues ??= new TopicQueues(this)
    return this.#queues
  }

  /** Producers; made when they are first asked for. */
  get producers(): TopicProducers {
    this.#producers ??= new TopicProducers(this)
    return this.#producers
  }

  /** Ends transactions that an earlier process has left: what was decided is completed, the others are aborted. Resolves when durable. */
  async recover(): Promise<void> {
    if (hasTransactionState(this.host)) await this.producers.coordinator.recover()
  }

  /** See `Database.topic`. */
  topic<V, K>(name: string, options: TopicOptions<V, K> | undefined): Topic<V, K> {
    checkTopicName(name)
    if (options !== undefined) checkTopicOptions(options)
    if (isInternalTopic(name) && this.host.get(topicLogName(name)) === undefined)
      throw new TypeError(`name must not begin with two underscores, which are of internal topics, got ${name}`)
    return this.open(name, options)
  }

  /** As `topic`, for internal ones too. */
  open<V, K>(name: string, options: TopicOptions<V, K> | undefined): Topic<V, K> {
    try {
      const { core, ready } = this.#open(name, options as TopicOptions<never, never> | undefined)
      return new Topic<V, K>(name, core as unknown as TopicCore<V, K>, this, ready)
    } catch (error) {
      if (!isVarveError(error)) throw error
      const ready = Promise.reject(error)
      ready.catch(() => undefined) // whoever asks is told
      return new Topic<V, K>(name, error, this, ready)
    }
  }

  /** The table of a topic, the same until it is closed. Throws what the topic's opening threw. */
  table<V, K>(core: TopicCore<V, K>): Table<V, K> {
    const known = this.#tables.get(core.id)
    if (known !== undefined) return known as unknown as Table<V, K>
    if (!this.#hadTables) {
      this.#hadTables = true
      const ids = new Set(this.host.list().map(({ id }) => id))
      forgetTables(this.host, id => !ids.has(id)).catch(() => undefined) // tried again by the next process
    }
    const table = new Table<V, K>(this.host, core, () => this.#tables.delete(core.id))
    this.#tables.set(core.id, table as unknown as Table<never, never>)
    return table
  }

  /** As `table`, by the topic's name. NOT_FOUND; TypeError for an internal topic. */
  tableOf<V, K>(name: string): Table<V, K> {
    const core = this.existing(name)
    if (core.isInternal) throw new TypeError(`internal topics have no tables, got ${name}`)
    return this.table(core as unknown as TopicCore<V, K>)
  }

  /** Names of all topics, sorted; internal ones only when asked for. */
  names(options: { readonly internal?: boolean } = {}): string[] {
    const names: string[] = []
    for (const { name } of this.host.list()) {
      const topic = topicOfLogName(name)
      if (topic !== undefined && (options.internal === true || !isInternalTopic(topic))) names.push(topic)
    }
    return names.sort()
  }

  /** The shared part of a topic that is defined; undefined when there is none. */
  core(name: string): TopicCore | undefined {
    const definition = this.host.get(topicLogName(name))
    return definition?.options?.topic === undefined ? undefined : this.#coreOf(definition, undefined)
  }

  /** As `core`, by the topic's id. */
  coreById(id: number): TopicCore | undefined {
    const known = this.#cores.get(id)
    if (known !== undefined && !known.dropped) return known
    const definition = this.host.list().find(log => log.id === id)
    return definition?.options?.topic === undefined ? undefined : this.#coreOf(definition, undefined)
  }

  /** The shared part of a topic. NOT_FOUND. */
  existing(name: string): TopicCore {
    checkTopicName(name)
    const core = this.core(name)
    if (core === undefined) throw new VarveError('NOT_FOUND', `no topic is named ${name}`, { details: { topic: name } })
    return core
  }

  /** Options and partitions of a topic. NOT_FOUND. */
  describe(name: string): TopicDescription {
    const core = this.existing(name)
    const partitions = Array.from({ length: core.partitionCount }, (_, partition) => {
      const { startOffset, highWatermark, lastStableOffset } = core.partition(partition)
      return { partition, startOffset, highWatermark, lastStableOffset }
    })
    return { name, id: core.id, internal: core.isInternal, options: core.options, partitions }
  }

  /** Renames a topic with its partitions; handles go on, offsets of groups stay. NOT_FOUND, EXISTS. Resolves when durable. */
  async rename(from: string, to: string): Promise<void> {
    const core = this.existing(from)
    checkTopicName(to, 'to')
    if (isInternalTopic(from) || isInternalTopic(to)) throw new TypeError('internal topics cannot be renamed, and no topic can become one')
    const toName = (log: string): string => topicLogName(to) + log.slice(topicLogName(from).length)
    const renamed = this.host.renameAll(this.#logsOf(from).map((log): [string, string] => [log, toName(log)]))
    // In the turn of the call the definitions say the new names already, unless they were refused.
    const definition = this.host.get(topicLogName(to))
    if (definition?.id === core.id) core.redefined(definition)
    this.#namesChanged([from, to])
    await renamed
  }

  /** Removes a topic with all its records. NOT_FOUND. Resolves when durable. */
  async delete(name: string): Promise<void> {
    const core = this.existing(name)
    if (core.isInternal) throw new TypeError(`internal topics cannot be deleted, got ${name}`)
    const names = this.#logsOf(name)
    const table = storeLogPrefix + tableStoreName(core.id)
    if (this.host.get(table) !== undefined) names.push(table)
    void core.keyIndex?.close()
    names.push(...keyIndexLogs(this.host, core.id))
    const dropped = this.host.drop(names)
    if (this.host.get(topicLogName(name)) === undefined) {
      core.markDropped()
      this.#cores.delete(core.id)
      this.#namesChanged([name])
    }
    await dropped
    await this.#forget(core)
  }

  /** What was kept about a topic that is gone. Whoever has no time for it leaves it to the next process, which looks when it uses such a state first. */
  async #forget(core: TopicCore): Promise<void> {
    const { host } = this
    const has = (topic: string): boolean => host.get(topicLogName(topic)) !== undefined
    const isGone = (id: number): boolean => id === core.id
    await this.#tables.get(core.id)?.close()
    await Promise.all([
      has(offsetsTopic) ? this.groups.forgetTopic(core.id) : undefined,
      this.#queues !== undefined || has(queueStateTopic) ? this.queues.forgetTopic(core) : undefined,
      has(producerStateTopic) ? this.producers.registry.forgetTopic(core.id) : undefined,
      forgetTables(host, isGone),
      forgetReplays(host, isGone),
    ])
  }

  /** Names of the logs of a topic: its own, and those of all partitions, also of one that a process has defined and not counted before it ended. */
  #logsOf(topic: string): string[] {
    const own = topicLogName(topic)
    return this.host
      .list()
      .map(({ name }) => name)
      .filter(name => name === own || name.startsWith(`${own}/`))
  }

  /** A store was dropped, or has another name: groups that consume its changes are told, and of a dropped one its offsets are forgotten. */
  async storesChanged(names: readonly string[], droppedId?: number): Promise<void> {
    this.#groups?.transport.topicsChanged(names.map(name => storeLogPrefix + name))
    if (droppedId !== undefined && this.host.get(topicLogName(offsetsTopic)) !== undefined) await this.groups.forgetTopic(droppedId)
  }

  /** More partitions, behind those that are there. RangeError for fewer. Resolves when durable. */
  async addPartitions(core: TopicCore, partitions: number): Promise<void> {
    checkPartitions(partitions)
    core.assertUsable()
    if (partitions < core.partitionCount)
      throw new RangeError(`partitions must not be fewer than the ${core.partitionCount} that topic ${core.name} has, got ${partitions}`)
    if (partitions === core.partitionCount) return
    if (core.keyIndex !== undefined) {
      const message = `partitions cannot grow while topic ${core.name} keeps an index of keys: a version is an offset in the key's partition, and keys would move to others`
      throw new TypeError(`${message}; replay it into a topic with more partitions, or alter it with keyIndex: false first`)
    }
    const fresh: LogDefinition[] = []
    for (let i = core.partitionCount; i < partitions; i++) fresh.push(partitionDefinition(core.name, i, core.options))
    // Logs without a definition that counts them are taken up when it is tried again.
    await this.host.define(fresh)
    if (partitions <= core.partitionCount) return // another call was faster
    await this.#redefine(core, { ...core.options, partitions })
    this.#groups?.transport.topicsChanged([core.name])
    this.#queues?.partitionsChanged(core.id)
  }

  /** Changes options of a topic that may change. NOT_FOUND. */
  async alter(core: TopicCore, change: ChangeableTopicOptions): Promise<void> {
    checkChangeableOptions(change)
    core.assertUsable()
    checkTopicColumns(change.columns, core.options.value)
    if (change.cleanup !== undefined && core.isInternal) throw new TypeError(`cleanup of internal topics cannot change, got ${core.name}`)
    if (isCompacted(alteredOptions(core.options, change)) && !isCompacted(core.options)) {
      this.accumulator.flush()
      await assertKeyed(core)
      core.assertUsable()
    }
    // The logs of partitions have the columns and the cleanup in their definitions.
    const logs = change.columns === undefined && change.cleanup === undefined ? [] : this.#partitionLogsOf(core.name)
    const redefined = this.#redefine(core, alteredOptions(core.options, change), logs)
    this.upkeep.wake(core.options)
    const dropped = this.#keepKeyIndex(core)
    await redefined
    await dropped
  }

  /** Names of the logs of partitions, as `#logsOf`. */
  #partitionLogsOf(topic: string): string[] {
    return this.#logsOf(topic).filter(name => name !== topicLogName(topic))
  }

  /** Begins or ends the topic's index of keys, as its options say. */
  #keepKeyIndex(core: TopicCore): Promise<void> | undefined {
    const { keyIndex } = core
    if (core.options.keyIndex === true) {
      core.keyIndex ??= new KeyIndex(this.host, core)
      return undefined
    }
    core.keyIndex = undefined
    return keyIndex?.drop()
  }

  /** Hides the records of a partition below `offset`. Resolves when durable. */
  async deleteRecords(core: TopicCore, partition: number, offset: number): Promise<void> {
    const { acknowledged } = core.partition(partition).trimPrefix(offset)
    this.#trimmed(core.name)
    await acknowledged
  }

  #trimmed(name: string): void {
    const definition = this.#queues === undefined ? undefined : this.host.get(topicLogName(name))
    if (definition !== undefined) this.#queues?.partitionsChanged(definition.id)
  }

  /** Applies the retention of one topic, or of all, now. */
  applyRetention(core?: TopicCore): Promise<RetentionResult[]> {
    return this.upkeep.applyRetention(core === undefined ? [...this.#all()] : [core])
  }

  /** All topics that are defined. Nobody need have opened them, or know their codecs. */
  *#all(): Iterable<UpkeepTopic> {
    for (const definition of this.host.list()) {
      const options = topicOptionsOf(definition)
      if (options === undefined) continue
      const name = topicOfLogName(definition.name) as string
      const partition = (index: number): LocalLog => this.host.log(partitionLogName(name, index))
      yield { name, options, partitionCount: options.partitions, dropped: false, partition }
    }
  }

  /** `logs`: of partitions, which are told, too. */
  async #redefine(core: TopicCore, options: StoredTopicOptions, logs: readonly string[] = []): Promise<void> {
    const logName = topicLogName(core.name)
    const ofPartition = { options: columnsOption(options.columns, options.value), cleanup: cleanupOfLog(options) }
    const redefined = this.host.redefineAll([
      { name: logName, options: { topic: options } },
      ...logs.map(name => ({ name, ...ofPartition })),
    ])
    const definition = this.host.get(logName)
    if (definition !== undefined) core.redefined(definition)
    await redefined
  }

  /** Topics came, went or changed their names. */
  #namesChanged(names: readonly string[]): void {
    this.#groups?.transport.topicsChanged(names)
    this.#groups?.transport.namesChanged()
  }

  #open(name: string, options: TopicOptions<never, never> | undefined): { core: TopicCore; ready: Promise<void> } {
    const logName = topicLogName(name)
    let ready: Promise<void> = Promise.resolve()
    let definition = this.host.get(logName)
    if (definition === undefined) {
      const stored = storedTopicOptions(options ?? {})
      const logs: LogDefinition[] = [{ name: logName, kind: 'topic', options: { topic: stored } }]
      for (let i = 0; i < stored.partitions; i++) logs.push(partitionDefinition(name, i, stored))
      // The edit is made in this turn; the promise is for the disk.
      ready = this.host.define(logs).then(() => undefined)
      ready.catch(() => undefined) // told by `ready()`, and by every write
      definition = this.host.get(logName)
      if (definition === undefined) {
        const refused = new VarveError('NOT_FOUND', `topic ${name} could not be defined: ready() says why`, { details: { topic: name } })
        throw refused
      }
      this.#namesChanged([name])
    } else {
      const stored = definition.options?.topic as StoredTopicOptions | undefined
      if (stored === undefined) {
        const details = { option: 'name', log: logName }
        throw new VarveError('DEFINITION_MISMATCH', `log ${logName} was defined by hand, not as a topic`, { details })
      }
      if (options !== undefined) checkSameTopic(name, stored, options)
    }
    return { core: this.#coreOf(definition, options), ready }
  }

  #coreOf(definition: DefinedLog, options: TopicOptions<never, never> | undefined): TopicCore {
    const known = this.#cores.get(definition.id)
    if (known !== undefined && !known.dropped) {
      if (options !== undefined) known.adopt(options as unknown as TopicOptions)
      return known
    }
    const core = new TopicCore(this.host, definition, options as unknown as TopicOptions | undefined)
    this.upkeep.wake(core.options)
    this.#cores.set(definition.id, core)
    this.#keepKeyIndex(core)
    return core
  }
}

function cleanupOfLog(options: StoredTopicOptions): 'compact' | 'delete' {
  return isCompacted(options) ? 'compact' : 'delete'
}

function partitionDefinition(topic: string, partition: number, options: StoredTopicOptions): LogDefinition {
  return {
    name: partitionLogName(topic, partition),
    kind: 'topic',
    ...(isCompacted(options) ? { cleanup: 'compact' as const } : {}),
    ...(options.columns === undefined || options.columns.length === 0 ? {} : { options: columnsOption(options.columns, options.value) }),
  }
}

function topicOptionsOf({ name, options }: DefinedLog): StoredTopicOptions | undefined {
  return topicOfLogName(name) === undefined ? undefined : (options?.topic as StoredTopicOptions | undefined)
}
