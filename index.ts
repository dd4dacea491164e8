/** The facade: what `import … from 'varve'` gives. `open` returns the engine's database with the layers above it: topics. */

import { Database as EngineDatabase, type OpenOptions, openDatabaseAs, type TransactionOptions } from './engine/index.ts'
import {
  type CommittedPosition,
  extendTransaction,
  type GroupConsumeOptions,
  type GroupConsumer,
  type GroupReport,
  type PortLike,
  type Producer,
  type ProducerOptions,
  type ResetTo,
  type RetentionResult,
  type Table,
  type Topic,
  type TopicOptions,
  Topics,
  type TopicTransaction,
} from './stream/index.ts'

export type {
  Appended,
  AppendOptions,
  BackupOptions,
  BackupReport,
  BatchOperation,
  Change,
  ChangeBatch,
  ChangeFeed,
  ChangesFrom,
  ChangesOptions,
  ChangesReadOptions,
  Commit,
  Committed,
  CompactionMessage,
  CompactOptions,
  CompactReport,
  CompressionName,
  CustomValueCodec,
  DatabaseStats,
  DefinedLog,
  DiagnosticMessages,
  DumpItem,
  DumpOptions,
  Durability,
  ErrorCode,
  ErrorDetails,
  FileStats,
  FilterStats,
  FlushMessage,
  GroupChangeBatch,
  GroupChangeFeed,
  GroupChangesOptions,
  GroupMessage,
  HistoryOptions,
  IndexDeclaration,
  IndexOptions,
  IndexStats,
  KeyCodecName,
  LeaseDescription,
  LeasedIndex,
  LeasedLog,
  LeasedStore,
  LeasedStoreOptions,
  LeaseOptions,
  LevelStats,
  LocalLog,
  Log,
  LogDefinition,
  LogMetadata,
  LogRecord,
  LogSlice,
  LogStats,
  OpenedLease,
  OpenOptions,
  OtherStoreOperation,
  OwnedLease,
  PoisonMessage,
  ProducerIdentity,
  ProducerMessage,
  ProgressListener,
  PutOptions,
  QueueEventMessage,
  RangeOptions,
  RawEntries,
  ReadBound,
  ReadOptions,
  ReadStoreOptions,
  RecoveryMessage,
  Redefinition,
  RepairAction,
  RepairLoss,
  RepairOptions,
  RepairReport,
  RestoreOptions,
  RestoreReport,
  RetentionMessage,
  Snapshot,
  StallMessage,
  StallState,
  StallStats,
  StateMachine,
  StatsReport,
  StoreFileStats,
  StoreIndex,
  StoreIterator,
  StoreKey,
  StoreOptions,
  StoreRecord,
  StoreStats,
  StoreView,
  ToolOptions,
  TopicRecord,
  Transaction as EngineTransaction,
  TransactionIndex,
  TransactionIterator,
  TransactionLog,
  TransactionOptions,
  TransactionPutOptions,
  TransactionRangeOptions,
  TransactionStore,
  ValueCodecName,
  VarveErrorOptions,
  VerifyFinding,
  VerifyOptions,
  VerifyReport,
  ViewRangeOptions,
  WaitOptions,
  WriteStoreOptions,
  WrittenBytes,
} from './engine/index.ts'
export {
  compact,
  decodeRecords,
  dump,
  errorCodes,
  isVarveError,
  openLease,
  repair,
  restore,
  Store,
  stats,
  VarveError,
  verify,
} from './engine/index.ts'
export {
  type AppendCondition,
  type AppendedBatch,
  type AssignorName,
  type AutoOffsetReset,
  type ChangeableTopicOptions,
  type CommitOptions,
  type CommittedPosition,
  ConsumedBatch,
  ConsumedRecord,
  type ConsumeFrom,
  type ConsumeOptions,
  Consumer,
  type ExpiredRecords,
  type FenceReason,
  type GroupConsumeOptions,
  GroupConsumer,
  type GroupDescription,
  type GroupPartition,
  type GroupRawBatch,
  type GroupReport,
  type GroupState,
  type GroupStats,
  type Isolation,
  type KeyOptions,
  type MemberDescription,
  murmur2,
  type OffsetSource,
  type OffsetToCommit,
  type Outgoing,
  openConsumer,
  type PartitionDescription,
  type Partitioner,
  type PartitionStats,
  type PartitionsListener,
  type PortConsumerOptions,
  type PortLike,
  Producer,
  type ProducerEpoch,
  type ProducerOptions,
  ProducerTransaction,
  Queue,
  QueueBatch,
  QueueMessage,
  type QueueOptions,
  type QueuePollOptions,
  type QueueStats,
  type RawBatch,
  type RawSlice,
  type ReadKeyOptions,
  type ReleaseOptions,
  type ReplayFunction,
  type ReplayOptions,
  type ReplayProgress,
  type ReplayReport,
  type ReplayTarget,
  type ResetTo,
  type RetentionResult,
  type SendOptions,
  type Sent,
  type Settlement,
  type StoredTopicOptions,
  Table,
  type TablePlace,
  type TableRange,
  Topic,
  type TopicCleanup,
  type TopicCodecName,
  type TopicDescription,
  type TopicOptions,
  type TopicPartition,
  type TopicPartitions,
  TopicProducer,
  type TopicRetention,
  type TopicStats,
  type TopicTransaction as Transaction,
  type TransactionTopic,
} from './stream/index.ts'

/** Opens, or creates, the database in `folder`. Errors: LOCKED, CORRUPT, NEWER_FORMAT, NOT_A_DATABASE, EXISTS, READ_ONLY, IO, NO_SPACE. */
export function open(folder: string, options?: OpenOptions): Promise<Database>
/** Opens a new database in memory. */
export function open(options: OpenOptions & { readonly storage: 'memory' }): Promise<Database>
export async function open(path: string | OpenOptions, options: OpenOptions = {}): Promise<Database> {
  const database = await openDatabaseAs(Database as unknown as Parameters<typeof openDatabaseAs<Database>>[0], path, options)
  try {
    await topicsOf(database).recover()
  } catch (error) {
    await database.close().catch(() => undefined) // the first error is the one to tell
    throw error
  }
  return database
}

/** Options of `Database.consumer`. */
export interface ConsumerOptions extends GroupConsumeOptions {
  /** Topics, or their names. */
  readonly topics?: readonly (string | { readonly name: string })[] | undefined
  /** All topics whose names match, those that are made later included. */
  readonly pattern?: RegExp | undefined
}
let topicsOf: (database: Database) => Topics

/** A folder of stores, topics and logs, as `open` returns it: the engine's database with topics. */
export class Database extends EngineDatabase {
  static {
    topicsOf = database => database.#topics
  }
  readonly #topics: Topics = new Topics(this)
  #closing: Promise<void> | undefined

  /**
   * The topic of that name, defined if there is none. A handle at once; a conflict with the stored definition (DEFINITION_MISMATCH) is told by `ready()` and by
   * every verb. TypeError and RangeError for bad options.
   */
  topic<V = unknown, K = string>(name: string, options?: TopicOptions<V, K>): Topic<V, K> {
    this.assertOpen()
    return this.#topics.topic<V, K>(name, options)
  }

  /** Names of all stores, sorted; those that topics keep beside their logs, which begin with two underscores, only when asked for. */
  override storeNames(options: { readonly internal?: boolean } = {}): string[] {
    const names = super.storeNames()
    return options.internal === true ? names : names.filter(name => !name.startsWith('__'))
  }

  /** As the engine's; groups that consume its changes go on under the new name when they ask for it. */
  override async renameStore(from: string, to: string): Promise<void> {
    await super.renameStore(from, to)
    await this.#topics.storesChanged([from, to])
  }

  /** As the engine's; what groups have committed of its changes is forgotten. */
  override async dropStore(name: string): Promise<void> {
    const id = this.get(`store/${name}`)?.id
    await super.dropStore(name)
    await this.#topics.storesChanged([name], id)
  }

  /** The table of a topic that is there: `topic.table()` by the topic's name. NOT_FOUND, CODEC_MISSING. */
  table<V = unknown, K = string>(name: string): Table<V, K> {
    this.assertOpen()
    return this.#topics.tableOf<V, K>(name)
  }

  /** Names of all topics, sorted. */
  topicNames(options: { readonly internal?: boolean } = {}): string[] {
    this.assertOpen()
    return this.#topics.names(options)
  }

  /** Renames a topic; handles and groups go on. NOT_FOUND, EXISTS. Resolves when durable. */
  async renameTopic(from: string, to: string): Promise<void> {
    this.assertOpen()
    await this.#topics.rename(from, to)
  }

  /** Removes a topic with all its records. NOT_FOUND. Resolves when durable. */
  async deleteTopic(name: string): Promise<void> {
    this.assertOpen()
    await this.#topics.delete(name)
  }

  // --- consumer groups -------------------------------------------------------------------------------------------------------------------

  /** A consumer of several topics with a group: these, or all whose names match, those that are made later included. */
  consumer<V = unknown, K = string>(options: ConsumerOptions): GroupConsumer<V, K> {
    this.assertOpen()
    if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
    const { topics, pattern, ...rest } = options
    if ((topics === undefined) === (pattern === undefined)) throw new TypeError('topics or pattern must be given, and not both')
    if (pattern !== undefined && !(pattern instanceof RegExp)) throw new TypeError(`pattern must be a RegExp, got ${String(pattern)}`)
    return this.#topics.groups.consumer<V, K>(pattern ?? (topics as NonNullable<typeof topics>), rest)
  }

  /**
   * Lets consumers in a worker thread take part in groups: one end of a `MessageChannel` here, the other to `openConsumer` there. When the thread ends, its
   * consumers have left. Ends by the returned function, too.
   */
  serveConsumers(port: PortLike): () => void {
    this.assertOpen()
    if (typeof port?.postMessage !== 'function') throw new TypeError(`port must be a MessagePort, got ${String(port)}`)
    return this.#topics.groups.serve(port)
  }

  /** Names of all consumer groups that have members or offsets, sorted. */
  groupNames(): string[] {
    this.assertOpen()
    return this.#topics.groups.transport.names()
  }

  /** State, members, and for each partition owner, committed offset and lag. NOT_FOUND. */
  describeGroup(group: string): GroupReport {
    this.assertOpen()
    return this.#topics.groups.transport.describe(group)
  }

  /**
   * Sets a group's offsets of a topic: to 'earliest', 'latest', `{ offset }`, `{ time }` or `{ shift }` from what is committed; of all partitions or of these.
   * GROUP_NOT_EMPTY while it has members, NOT_FOUND for the topic. Resolves, when durable, with the new offsets.
   */
  resetGroup(group: string, topic: string, to: ResetTo, partitions?: readonly number[]): Promise<CommittedPosition[]> {
    this.assertOpen()
    return this.#topics.groups.transport.reset(group, topic, to, partitions)
  }

  /** Forgets a group and its offsets. GROUP_NOT_EMPTY while it has members, NOT_FOUND. Resolves when durable. */
  async deleteGroup(group: string): Promise<void> {
    this.assertOpen()
    await this.#topics.groups.transport.delete(group)
  }

  // --- producers -------------------------------------------------------------------------------------------------------------------------

  /**
   * A producer with bounds of its own (linger, batch size, commits in flight) and, if asked for, an identity: idempotent, named (`id`), or of transactions
   * (`transactionalId`). Closed with the database. TypeError, RangeError; one with an identity writes: BUSY, POISONED and the like.
   */
  producer(options?: ProducerOptions): Producer {
    this.assertOpen()
    return this.#topics.producers.producer(options)
  }

  /** Names (`id`) of producers that were opened and not forgotten, sorted. */
  producerNames(): string[] {
    this.assertOpen()
    return this.#topics.producers.registry.names()
  }

  /** Forgets a named producer with its sequences, and fences whoever has it open. NOT_FOUND. Resolves when durable. */
  async forgetProducer(id: string): Promise<void> {
    this.assertOpen()
    await this.#topics.producers.registry.forgetName(id)
  }

  /** As the engine's; before it consumers leave their groups and their loops end, producers are flushed and their open transactions aborted. */
  override close(): Promise<void> {
    this.#closing ??= this.#topics.close()?.then(() => super.close()) ?? super.close()
    return this.#closing
  }

  /** Applies the retention of all topics now; see `Topic.applyRetention`. */
  async applyRetention(): Promise<RetentionResult[]> {
    this.assertOpen()
    return await this.#topics.applyRetention()
  }

  /**
   * Runs `body` as one serializable transaction over stores, topics and logs: it reads one moment and its own writes, and all its writes are one commit.
   * Resolves with the body's result when the durability word holds. A body that returns no promise commits in this turn; one that does may be run
   * again, and CONFLICT is the end of that. What the body throws rejects, and nothing is written.
   */
  override transaction<T>(body: (tx: TopicTransaction) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T> {
    if (typeof body !== 'function') return super.transaction(body as never, options)
    return super.transaction(tx => body(extendTransaction(tx, this.#topics)), options)
  }
}

/** This package's version; a test holds it equal to package.json. */
export const version: string = '0.1.0'
