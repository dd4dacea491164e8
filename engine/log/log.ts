/**
 * The interfaces that everything above the engine stands on: **Log**, **LocalLog**, **Committer**, **Definitions**, **StateMachine**.
 *
 * Stores, topic partitions, group offsets, job state and Raft groups are logical logs. The engine implements these interfaces for one folder
 * (`logical-log.ts`, `committer` and `definitions` in `database.ts`); `cluster` implements them in replicated form. Users of the engine name
 * these types and never the classes: `Log` where a replicated log will do as well, `LocalLog` where they need what only a local one has.
 *
 * Offsets count records, start at 0, and grow by one per record (a control batch takes one too); ranges are half-open `[from, to)`.
 *
 *   startOffset <= highWatermark <= endOffset        startOffset <= durableOffset <= endOffset
 *
 * What a word promises:
 *   'sync'      the bytes survive power loss        (promise `durable` resolves when they are on the disk)
 *   'buffered'  the bytes survive the process       (resolves when the operating system has them)
 *   'none'      nothing; the next sync takes them   (resolves at once)
 */
import type { TopicBatch } from '../batch/topic-batch.ts'

/** Embedded implementations return the value, replicated ones a promise; `await` works on both. */
export type Awaitable<T> = T | Promise<T>

/** See the head of this file. Default: the database's `durability` option, itself 'sync' by default. */
export type Durability = 'sync' | 'buffered' | 'none'

/** What a log's batches are: Kafka RecordBatch v2 ('topic') or store batches ('store'). Fixed when the log is defined. */
export type LogKind = 'topic' | 'store'

/** One header of a topic record; names may repeat. */
export interface RecordHeader {
  /** May come more than once. */
  readonly key: string
  /** null: none. */
  readonly value: Uint8Array | null
}

/** A record to append to a topic log. Strings are stored as UTF-8. */
export interface TopicRecord {
  /** Default: none. */
  readonly key?: Uint8Array | string | null
  /** null: none; a tombstone where the log is compacted by key. */
  readonly value: Uint8Array | string | null
  /** Milliseconds since 1970. Default: the clock at append. */
  readonly timestamp?: number
  /** Default: none. */
  readonly headers?: readonly RecordHeader[]
}

/** Who decides between two records of one key in a quorum store: the larger (ms, counter, node) wins. */
export interface HybridVersion {
  /** Wall-clock milliseconds, 48 bits. */
  readonly ms: number
  /** 16 bits; grows while `ms` stands still. */
  readonly counter: number
  /** 32 bits; tells nodes apart. */
  readonly node: number
}

/** A record to append to a store log. */
export interface StoreRecord {
  /** A put has a value; the value of a range delete is its exclusive end. */
  readonly kind: 'put' | 'delete' | 'range-delete'
  /** For a range delete: the first key. */
  readonly key: Uint8Array
  /** For a put: the value; for a range delete: the first key after the range. */
  readonly value?: Uint8Array
  /** Absolute milliseconds after which the record no longer counts. */
  readonly expiry?: number
  /** Of a versioned log: decides which record of a key is the newest. */
  readonly version?: HybridVersion
}

/** Facts about the records of one append; each has a default that suits a plain local writer. */
export interface AppendOptions {
  /** What the acknowledgement says. Default: the database's. */
  readonly durability?: Durability
  /** Append only if the log ends here, else OFFSET_MISMATCH. Raft's consistency check, and compare-and-append for others. */
  readonly expectedOffset?: number
  /**
   * Leader epoch (Raft term) of the batch. Invariant: epochs never fall within a log; a smaller one is refused with STALE_EPOCH.
   * Default: the log's newest epoch.
   */
  readonly epoch?: number
  /** Topic logs: identity of an idempotent producer; all three together. A resend is answered with the old offsets and `duplicate: true`. */
  readonly producer?: ProducerIdentity
  /** Topic logs: the batch belongs to the producer's open transaction. Default false. */
  readonly transactional?: boolean
  /** Topic logs: compress the batch. Default: none. */
  readonly compression?: CompressionName
}

/** Who appends, so that a resend is answered with its old offsets. */
export interface ProducerIdentity {
  /** Drawn by the database, or by a coordinator. */
  readonly id: number
  /** Grows with each new owner of the id; older ones are fenced. */
  readonly epoch: number
  /** Sequence of the first record; grows by one a record, wraps at 2^31. */
  readonly sequence: number
}

/** How the records of a batch are compressed. */
export type CompressionName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** The answer to an append or commit: positions at once, promises for what the disk says. */
export interface Appended {
  /** Offset of the first record. */
  readonly baseOffset: number
  /** Offset after the last record. */
  readonly endOffset: number
  /** True when an idempotent producer sent this batch before; nothing was written, the offsets are the old ones. */
  readonly duplicate: boolean
  /** Resolves when the operating system has the bytes; rejects with POISONED and the like. */
  readonly written: Promise<void>
  /** Resolves when the bytes are on the disk. With 'buffered' and 'none' that may be much later: at the next sync, `flush()` or `close()`. */
  readonly durable: Promise<void>
  /** Resolves when the chosen durability word holds: `durable` for 'sync', `written` for 'buffered', at once for 'none'. */
  readonly acknowledged: Promise<void>
}

/** How far a read or a wait may see. */
export type ReadBound =
  /** All that was appended, durable or not. For the log's owner. */
  | 'end'
  /** What is on the disk. For replication. */
  | 'durable'
  /** What the owner released. For consumers, feeds and state machines. */
  | 'highWatermark'

/** How much is read, and how far. */
export interface ReadOptions {
  /** Default 'highWatermark'. */
  readonly bound?: ReadBound
  /** Upper limit of returned bytes, in whole batches; at least one batch is returned where there is one. Default 1 MiB. */
  readonly bytesMax?: number
  /**
   * Memory to read into: the slice's bytes are then a view of it, valid until the next read into it. Used when they fit, else they get memory of their
   * own. Reading a log from end to end into the same array is several times faster than making one a read.
   */
  readonly into?: Uint8Array
  /** Fill the checksums of batches that were born here and not sealed yet, as bytes that leave the process need it. Default false. */
  readonly fillChecksums?: boolean
}

/**
 * Whole batches in offset order, back to back, byte for byte as stored. The first batch may begin before the offset asked for (a batch is
 * never cut), and offsets may have gaps after compaction. The bytes are the reader's own copy.
 */
export interface LogSlice {
  /** What the batches are. */
  readonly kind: LogKind
  /** In which the batches lie. */
  readonly bytes: Uint8Array
  /** Where each batch starts in `bytes`. */
  readonly positions: readonly number[]
  /** Read on from here: after the last batch returned, or after a gap that compaction left. Equals the offset asked for when nothing was there. */
  readonly nextOffset: number
}

/** Small durable values of a log by slot name ('vote', 'snapshot', …); each survives recycling and repair. At most 64 KiB each. */
export interface LogMetadata {
  /** The value of a slot; undefined when there is none. */
  get(slot: string): Uint8Array | undefined
  /** undefined removes the slot. Commits alone; use `Commit.setMetadata` to commit together with appends. */
  set(slot: string, value: Uint8Array | undefined, options?: { readonly durability?: Durability }): Appended
}

/** Where a leader epoch ends: the offset after its last record here. */
export interface EpochEnd {
  /** The largest epoch <= the one asked for that this log has. */
  readonly epoch: number
  /** Where it ended, exclusive. */
  readonly endOffset: number
}

/** What is waited for, and what ends the wait. */
export interface WaitOptions {
  /** What has to be passed. Default 'highWatermark'. */
  readonly bound?: ReadBound
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** An aborted transaction that overlaps a range of a topic log, as Kafka's fetch answers it. */
export interface AbortedTransaction {
  /** Whose transaction it was. */
  readonly producerId: number
  /** Of its first record in the log. */
  readonly firstOffset: number
  /** Offset of the abort marker. */
  readonly lastOffset: number
}

/** What every log can do, of this process or of a cluster. */
export interface Log {
  /** Unique within the database, never reused. */
  readonly id: number
  /** As it is named now: renames change it. */
  readonly name: string
  /** What its batches are. */
  readonly kind: LogKind

  /** First offset that may be read. Moved up by `trimPrefix` and `resetTo`; for a store log, also by flushing (runs keep keys, not offsets). */
  readonly startOffset: number
  /** Offset of the next record. Moved up by appends, down by `truncateSuffix`, anywhere by `resetTo`. */
  readonly endOffset: number
  /** All below is on the disk. Moved by the commit log. Invariant: never falls except by `resetTo` and `truncateSuffix`. */
  readonly durableOffset: number
  /**
   * All below is released to consumers, may be applied and flushed, and is never truncated. Exclusive. Logs defined with
   * `highWatermark: 'auto'` follow the acknowledged end; 'owner' logs are advanced by `advanceHighWatermark` only, never beyond
   * `durableOffset`. It is not stored: after a reopen an 'owner' log starts at its flushed end.
   */
  readonly highWatermark: number
  /**
   * First offset that an open transaction still holds back, exclusive bound of read_committed; the high watermark when none is open.
   * Always the high watermark for store logs.
   */
  readonly lastStableOffset: number
  /** Newest leader epoch; 0 before any. */
  readonly epoch: number
  /** Small durable values beside the records. */
  readonly metadata: LogMetadata

  /** Encodes and appends records as one batch: offsets at once, atomic, in call order. */
  appendRecords(records: readonly TopicRecord[] | readonly StoreRecord[], options?: AppendOptions): Appended
  /**
   * Appends ready batches (one or more, back to back) byte for byte; only base offset and leader epoch are set (topic), or base offset,
   * epoch and sequences where the writer left them open (store). With `keepOffsets` (a follower) the batches must begin at the log's end and
   * nothing is changed. Checksums of batches from outside are checked: CORRUPT.
   */
  appendBatches(bytes: Uint8Array, options?: AppendOptions & { readonly keepOffsets?: boolean }): Appended

  /** Batches from `offset` on. OFFSET_OUT_OF_RANGE below `startOffset` or above `endOffset`; empty slice at the bound. */
  read(offset: number, options?: ReadOptions): Awaitable<LogSlice>
  /** Offset of the first record with timestamp >= `timestamp` (by batch maxima, then within the batch); undefined when there is none. */
  offsetForTime(timestamp: number): Awaitable<number | undefined>
  /** Kafka's OffsetForLeaderEpoch and Raft's term search: the end of the largest epoch <= `epoch`; undefined when all are larger. */
  endOffsetForEpoch(epoch: number): Awaitable<EpochEnd | undefined>
  /** Aborted transactions that overlap `[from, to)`, ordered by firstOffset. */
  abortedTransactions(from: number, to: number): Awaitable<AbortedTransaction[]>
  /** Resolves when the bound passes `offset` (there is a record to read at it); rejects with AbortError or CLOSED. */
  waitFor(offset: number, options?: WaitOptions): Promise<void>

  /** Moves the high watermark of an 'owner' log up to `offset`, then applies. RangeError below the current one or above `durableOffset`. */
  advanceHighWatermark(offset: number): void
  /**
   * Removes records at and above `offset` (>= highWatermark, else RangeError) for good: once `durable` resolves, no crash brings them back,
   * and neither does one before it together with records appended after the call.
   */
  truncateSuffix(offset: number, options?: { readonly durability?: Durability }): Appended
  /** Forgets all records and continues at `offset`: a follower about to install a snapshot. Metadata stays. */
  resetTo(offset: number, options?: { readonly durability?: Durability }): Appended
  /** Hides records below `offset` (<= highWatermark) at once; space is freed as whole parts become invisible. */
  trimPrefix(offset: number, options?: { readonly durability?: Durability }): Appended
}

/** A share of a log that lies in a segment: immutable, and deleted as a whole. */
export interface SealedPart {
  /** Inclusive. */
  readonly firstOffset: number
  /** Exclusive. */
  readonly endOffset: number
  /** As stored. */
  readonly bytes: number
  /** No record in it has a later timestamp, ms; -1 unknown. */
  readonly maxTimestamp: number
}

/** A block of a sealed part (about 64 KiB of batches), as its part's index tells of it. */
export interface SealedBlock {
  /** Of its first record. */
  readonly baseOffset: number
  /** Where what follows it begins; behind a gap of compaction if there is one. */
  readonly nextOffset: number
  /** As stored. */
  readonly bytes: number
  /** Topic logs: no record of it is older, ms; -1: not known. */
  readonly minTimestamp: number
  /** None is newer, ms; -1: not known. */
  readonly maxTimestamp: number
  /** Topic logs: records without markers of transactions, aborted ones included; undefined: not known. */
  readonly records: number | undefined
}

/** Columns of some blocks of a sealed part of a topic log: fields of all their records, without markers of transactions and with records of aborted ones. */
export interface SealedColumns {
  /** Of its first record. */
  readonly baseOffset: number
  /** Where what follows begins. */
  readonly nextOffset: number
  /** Records. */
  readonly rows: number
  /** Bytes of a field's column, `@time` and `@offset` among them; 0: it has none here. */
  columnBytes(path: string): number
  /** The column, in `into` where that is long enough and begins at a multiple of eight. CORRUPT when it is damaged: the records are not. */
  read(path: string, into?: Uint8Array): Uint8Array
}

/**
 * A log of this process, as `Database.log` gives it: its reads are synchronous, and a state machine can be attached to it. Reads, writes, waits and
 * `attach` fail with NOT_FOUND once the log is dropped, with CLOSED once its database is closed.
 */
export interface LocalLog extends Log {
  /** As it is now: `redefine` and `rename` replace it. */
  readonly definition: DefinedLog
  /**
   * Where the tail begins: all below lies in segments, all from here on in the commit log and in memory. Moved up by flushes, anywhere by
   * `resetTo`. Invariant: flushedEnd <= highWatermark.
   */
  readonly flushedEnd: number
  /** True once the log was dropped, for good: a log defined anew under its name has another id and another object. */
  readonly dropped: boolean
  /** Topic logs: all below was compacted by key at least once; 0 before the first time. Moved up by compaction, to 0 by `resetTo`. */
  readonly cleanedTo: number
  /**
   * What of the log lies in segments, in offset order, without what lies wholly below `startOffset`. Parts larger than `bytesMax` (default: any) are told in
   * pieces of about that size.
   */
  sealedParts(bytesMax?: number): SealedPart[]
  /** Bytes in segments of batches at or behind `from` and before `to`, to the border of a block (about 64 KiB). */
  sealedBytes(from: number, to?: number): number
  /** The block in which what is at or behind `offset` begins, without reading it; undefined when that is in the tail. */
  blockAt(offset: number): SealedBlock | undefined
  /** The columns that have what is at or behind `offset`; undefined where there are none. */
  columnsAt(offset: number): SealedColumns | undefined

  /** As `Log.read`, out of memory or with synchronous file reads, so it may wait for the disk. CORRUPT and IO from segments. */
  read(offset: number, options?: ReadOptions): LogSlice
  /** As `read`, with asynchronous file reads: for data that is probably not in the page cache. */
  readAsync(offset: number, options?: ReadOptions): Promise<LogSlice>
  /** As `Log.offsetForTime`, in this turn. */
  offsetForTime(timestamp: number): number | undefined
  /** As `Log.endOffsetForEpoch`, in this turn. */
  endOffsetForEpoch(epoch: number): EpochEnd | undefined
  /** As `Log.abortedTransactions`, in this turn. */
  abortedTransactions(from: number, to: number): AbortedTransaction[]
  /** First offset of the open transaction of a producer; undefined when it has none here. */
  openTransaction(producerId: number): number | undefined

  /**
   * Attaches the log's state machine: restores it, applies what is released and durable, and goes on with that until the database is closed. One
   * machine a log: INVARIANT for a second one. OFFSET_OUT_OF_RANGE when records that the machine's snapshot lacks were trimmed. TypeError when a
   * function of the machine is missing. A machine that throws from `apply` poisons the database.
   */
  attach(machine: StateMachine): void
  /** The attached machine; undefined before `attach`. */
  readonly machine: StateMachine | undefined
  /** Next offset that the state machine will see; 0 without one. Moved by the engine, anywhere by `resetTo`. */
  readonly appliedOffset: number
}

/** Collects writes to several logs; given to the callback of `Committer.commit` and dead after it. */
export interface Commit {
  /** Appends records as one batch; see `LocalLog.appendRecords`. Records of a topic may be encoded already; the batch must not change before the commit ends. */
  appendRecords(
    log: Log,
    records: readonly TopicRecord[] | readonly StoreRecord[] | TopicBatch,
    options?: Omit<AppendOptions, 'durability'>,
  ): void
  /** Appends ready record batches byte for byte; see `LocalLog.appendBatches`. */
  appendBatches(log: Log, bytes: Uint8Array, options?: Omit<AppendOptions, 'durability'> & { readonly keepOffsets?: boolean }): void
  /** Drops an unconfirmed suffix; see `LocalLog.truncateSuffix`. */
  truncateSuffix(log: Log, offset: number): void
  /** Hides everything below an offset; see `LocalLog.trimPrefix`. */
  trimPrefix(log: Log, offset: number): void
  /** Sets a small durable value beside the log; see `LogMetadata`. */
  setMetadata(log: Log, slot: string, value: Uint8Array | undefined): void
}

/** Promises of a commit, made when they are looked at. */
export interface Committed {
  /** Commit sequence after this commit: a snapshot at this number sees it. Larger than that of every earlier commit. */
  readonly sequence: number
  /** One entry per `appendRecords` / `appendBatches`, in call order. */
  readonly appends: readonly { readonly log: Log; readonly baseOffset: number; readonly endOffset: number; readonly duplicate: boolean }[]
  /** Resolves when the commit survives the end of the process. */
  readonly written: Promise<void>
  /** Resolves when it survives power loss; never by itself for a commit that nothing syncs. */
  readonly durable: Promise<void>
  /** Resolves when the commit's durability word holds; at once for 'none'. */
  readonly acknowledged: Promise<void>
}

/** Writes to several logs that become durable together or not at all. Locally one frame of the commit log; in a cluster two-phase commit. */
export interface Committer {
  /**
   * Runs `write` at once; when it throws, or any of its checks fails, nothing is appended. Larger commits than a frame are staged.
   * TOO_LARGE above `commitBytesMax`, BUSY at the hard bound of back-pressure, POISONED after a failed write.
   */
  commit(write: (commit: Commit) => void, options?: { readonly durability?: Durability }): Committed
}

/** A log's stored definition. `options` belong to the layer that defines the log (topic, store, …); the engine stores and compares them. */
export interface LogDefinition {
  /** 1 to 400 characters, unique; not beginning with '$'. */
  readonly name: string
  /** What its batches are: 'topic' (Kafka's, by offset) or 'store' (by key). */
  readonly kind: LogKind
  /** 'auto' (default): released as soon as acknowledged. 'owner': released by `advanceHighWatermark` (Raft). */
  readonly highWatermark?: 'auto' | 'owner'
  /** 'delete' (default): only `trimPrefix` removes records. 'compact': topic logs keep the newest record per key, see `compactLog`. */
  readonly cleanup?: 'delete' | 'compact'
  /** Store logs: records carry hybrid-clock versions, which decide instead of the sequence. Default false. */
  readonly versioned?: boolean
  /** Store logs: also keep the batches in offset order when they are flushed, so that the log stays readable (change feed, Raft body). Default false. */
  readonly body?: boolean
  /**
   * Anything msgpack can carry; compared on `define` by the layer that owns it. The engine itself reads one of them, of store logs: `compression`, the name
   * of the codec that blocks of runs are written with from now on.
   */
  readonly options?: { readonly [name: string]: unknown }
}

/** A log that is defined. */
export interface DefinedLog extends LogDefinition {
  /** Given once in the life of the database; files name the log by it. */
  readonly id: number
}

/** What `Definitions.redefineAll` makes of a log. */
export interface Redefinition {
  /** Of the log. */
  readonly name: string
  /** As `LogDefinition.options`; in place of those that it has. */
  readonly options: { readonly [name: string]: unknown }
  /** As `LogDefinition.cleanup`, of topic logs: what `compactLog` may do from now on. Default: as it is. */
  readonly cleanup?: 'delete' | 'compact' | undefined
}

/** The names of a database: which logs exist. All changes of one call are one edit of the system log: one sync, all or nothing. */
export interface Definitions {
  /**
   * Defines logs, or returns the existing ones when the definitions agree. DEFINITION_MISMATCH names the option and both values when a
   * fixed one (`kind`, `highWatermark`, `cleanup`, `versioned`, `body`) differs. Resolves when durable.
   */
  define(definitions: readonly LogDefinition[]): Promise<DefinedLog[]>
  /** Replaces the `options` of a defined log. */
  redefine(name: string, options: { readonly [name: string]: unknown }): Promise<DefinedLog>
  /** Replaces options, and what is given beside them, of several logs by one edit: all or none. NOT_FOUND. Resolves when durable. */
  redefineAll(changes: readonly Redefinition[]): Promise<DefinedLog[]>
  /** Gives a log another name. NOT_FOUND, EXISTS. Resolves when durable. */
  rename(from: string, to: string): Promise<DefinedLog>
  /** Renames several logs by one edit: all or none. NOT_FOUND, EXISTS. */
  renameAll(pairs: readonly (readonly [from: string, to: string])[]): Promise<DefinedLog[]>
  /** Removes logs with all their records. Unknown names are an error: NOT_FOUND, nothing is dropped. */
  drop(names: readonly string[]): Promise<void>
  /** The definition of this name; undefined when there is none. */
  get(name: string): DefinedLog | undefined
  /** All definitions, those of the system aside. */
  list(): DefinedLog[]
}

/**
 * A state that is a function of a log: the engine feeds it what the high watermark releases, in order, exactly once per instance.
 * `apply` must depend on nothing but its arguments and earlier calls (replicas must agree); it runs synchronously on the owner's thread.
 */
export interface StateMachine {
  /**
   * Before an offset is assigned: throw to refuse the batch (REFUSED with the cause). Absent: everything is admitted. Not asked for batches that
   * come with their offsets (`keepOffsets`): their leader has admitted them. It sees the state as applied, without batches that still wait.
   */
  admit?(batch: Uint8Array): void
  /** `bytes[start, end)` is one whole batch whose first record has `baseOffset`; valid during the call only. */
  apply(bytes: Uint8Array, start: number, end: number, baseOffset: number): void
  /** The state after everything applied so far; stored with the log at each flush, at most 64 KiB (large states keep their own parts). */
  snapshot(): Uint8Array
  /**
   * Called before the first `apply`: the newest stored snapshot and the offset from which `apply` goes on; undefined and 0 at first. After `resetTo`
   * it is called again with an empty snapshot (0 bytes) and the offset of the reset: the owner installs the state of that offset itself.
   */
  restore(snapshot: Uint8Array | undefined, appliedOffset: number): void
}
