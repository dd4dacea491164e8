/**
 * The engine's database: one folder with its commit log, segments, catalog and lock, and the logical logs in it.
 *
 * Opening: lock the folder, read the catalog view, open the segments it names, recover the commit log from the flush point, sweep what nothing
 * names. Closing: flush a large tail, bring the view up to date, write the closing frame, free the lock. In between everything here runs on the
 * owner's thread; segments and the view are written in the executor's worker.
 *
 * Who decides what: commits are built by `log/committer.ts`, written by `commit-log/commit-log.ts`, moved to segments by
 * `maintenance/flusher.ts`, merged by `maintenance/consolidator.ts`. This file wires them and holds nothing of theirs.
 *
 * One file, although long: it is the list of everything that a user may ask of a database, and the hosts by which its parts reach each other.
 */
import { type BackupOptions, type BackupReport, backUp } from './backup/backup.ts'
import { checkOutside } from './backup/new-folder.ts'
import type { Catalog } from './catalog/catalog.ts'
import { LogDefinitions } from './catalog/definitions.ts'
import type { LogTable } from './catalog/log-table.ts'
import type { Manifest } from './catalog/manifest.ts'
import { packRow, type RowChange, rowKeys, type StateRow, SYSTEM_LOG_ID } from './catalog/rows.ts'
import { loadChecksums } from './codec/xxh64.ts'
import { CommitLog } from './commit-log/commit-log.ts'
import { FilePool } from './commit-log/file-pool.ts'
import type { RecoveryReport } from './commit-log/recovery.ts'
import type { TailFile } from './commit-log/tail-file.ts'
import { recoveryChannel } from './diagnostics.ts'
import type { Environment, Executor, FolderLock } from './env/environment.ts'
import { createMemoryEnvironment, createNodeEnvironment, resolveWorkerUrl } from './env/index.ts'
import { ioError, isVarveError, typedError, VarveError } from './errors.ts'
import { type LeaseOptions, Leases, type OwnedLease } from './lease/leases.ts'
import { carryBatches } from './log/carry.ts'
import { checkBound, checkNames, checkObject, checkString } from './log/check-arguments.ts'
import { LocalCommit } from './log/committer.ts'
import type { Commit, Committed, Committer, DefinedLog, Definitions, Durability, LocalLog, LogDefinition } from './log/log.ts'
import type { LogHost, LogicalLog } from './log/logical-log.ts'
import { resolveDurability } from './log/operations.ts'
import { Consolidator } from './maintenance/consolidator.ts'
import { Flusher } from './maintenance/flusher.ts'
import { lockFileName, Opening, prepareFolder } from './opening.ts'
import { type OpenOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { collectStats, type DatabaseStats } from './stats.ts'
import type { OpenGroupFeed } from './store/group-feed.ts'
import type { StoreKey } from './store/key-codec.ts'
import { type Snapshot, Snapshots } from './store/snapshots.ts'
import type { Store } from './store/store.ts'
import type { StoreOptions } from './store/store-options.ts'
import { Stores } from './store/stores.ts'
import { type Transaction, type TransactionOptions, Transactions } from './store/transaction.ts'

/**
 * Opens, or creates, the database in `folder`, without topics: transactions of their producers that an earlier process has left open stay so, and hold back the
 * last stable offset of their logs, until the folder is opened with topics (`varve`). Errors: LOCKED, CORRUPT, NEWER_FORMAT,
 * NOT_A_DATABASE, EXISTS, READ_ONLY, IO, NO_SPACE.
 */
export function openDatabase(folder: string, options?: OpenOptions): Promise<Database>
/** Opens a new database in memory. */
export function openDatabase(options: OpenOptions & { readonly storage: 'memory' }): Promise<Database>
export function openDatabase(path: string | OpenOptions, given: OpenOptions = {}): Promise<Database> {
  return openDatabaseAs(Database, path, given)
}

/** `openDatabase` for a class that adds layers to `Database`: the facade's. */
export async function openDatabaseAs<D extends Database>(
  kind: { open(folder: string, options: ResolvedOptions, environment: Environment): Promise<D> },
  path: string | OpenOptions,
  given: OpenOptions = {},
): Promise<D> {
  const isNamed = typeof path !== 'object' || path === null || path.storage !== 'memory'
  const [folder, options] = isNamed ? [path, given] : ['memory', path]
  if (typeof folder !== 'string' || folder.length === 0) throw new TypeError('path must be a non-empty string')
  const resolved = resolveOptions(options)
  return await kind.open(folder, resolved, options.environment ?? (await environmentOf(resolved)))
}

async function environmentOf({ storage }: ResolvedOptions): Promise<Environment> {
  if (storage === 'disk') return createNodeEnvironment({ worker: resolveWorkerUrl(import.meta.url, './worker') })
  // What a worker thread runs otherwise: loaded by those who need it in this one.
  const { taskRunners } = await import('./maintenance/tasks.ts')
  return createMemoryEnvironment({ runners: taskRunners })
}

const commitOptionNames: ReadonlySet<string> = new Set(['durability'])
const backupOptionNames: ReadonlySet<string> = new Set(['signal', 'onProgress'])
const leaseOptionNames: ReadonlySet<string> = new Set(['logs', 'stores', 'bound'])

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

const databases = new WeakMap<object, Database>()

/** The database that a store was opened by; TypeError for anything else. For what works on handles: jobs. */
export function databaseOf<V, K extends StoreKey>(store: Store<V, K>): Database {
  const database = databases.get(store)
  if (database === undefined) throw new TypeError('store must be a store of an open database')
  return database
}

/** An open database: logs, stores, and what is done with the folder as a whole. */
export class Database implements Committer, Definitions {
  readonly path: string
  readonly options: ResolvedOptions
  readonly environment: Environment
  /** What the last opening found in the commit log. */
  readonly recovery: RecoveryReport
  readonly #lock: FolderLock
  readonly #executor: Executor
  readonly #catalog: Catalog
  readonly #manifest: Manifest
  readonly #logs: LogTable
  readonly #logHost: LogHost
  readonly #commitLog: CommitLog
  readonly #flusher: Flusher
  readonly #consolidator: Consolidator
  readonly #definitions: LogDefinitions
  readonly #leases: Leases
  readonly #snapshots = new Snapshots()
  readonly #stores: Stores
  readonly #transactions: Transactions
  #nextSegmentId: number
  #nextEditId = 0
  #closing: Promise<void> | undefined
  #closed = false
  #openGroupFeed: OpenGroupFeed | undefined

  /** Opens the database in a folder; see `openDatabase`. */
  static async open(folder: string, options: ResolvedOptions, environment: Environment): Promise<Database> {
    await prepareFolder(folder, options, environment)
    let lock: FolderLock
    try {
      lock = await environment.locks.acquire(`${folder}/${lockFileName}`)
    } catch (error) {
      throw ioError(error, folder, 'locking the folder')
    }
    let opening: Opening | undefined
    let database: Database | undefined
    try {
      await loadChecksums()
      opening = new Opening(folder, options, environment)
      await opening.run()
      // `this`: a class that adds layers opens itself.
      database = new this(folder, options, environment, lock, opening)
      await database.#start(opening)
      if (recoveryChannel.hasSubscribers) recoveryChannel.publish({ database: folder, report: database.recovery })
      return database
    } catch (error) {
      if (database !== undefined) await database.#abandon()
      await opening?.giveUp()
      await lock.release().catch(() => undefined) // the opening's own error is the one to report
      throw typedError(error, folder, 'opening the database')
    }
  }

  protected constructor(folder: string, options: ResolvedOptions, environment: Environment, lock: FolderLock, opening: Opening) {
    this.path = folder
    this.options = options
    this.environment = environment
    this.recovery = opening.recovered.report
    this.#lock = lock
    this.#executor = environment.createExecutor()
    this.#catalog = opening.catalog
    this.#manifest = opening.manifest
    this.#logs = opening.logs
    this.#logHost = opening.logHost
    this.#nextSegmentId = opening.nextSegmentId
    const { recovered } = opening
    const pool = new FilePool(environment, folder, {
      fileBytesFirst: options.commitLogFileBytesFirst,
      fileBytesMax: options.commitLogFileBytes,
      nextNumber: recovered.nextFileNumber,
      spares: recovered.spares,
    })
    this.#commitLog = new CommitLog(environment, folder, pool, options, this.#observer(), recovered.start)
    opening.bind(
      this.#commitLog,
      (write, commitOptions) => this.commit(write, commitOptions),
      this.#resetLog,
      () => this.#flusher.wake(),
    )
    const database = this
    const shared = {
      environment,
      folder,
      catalogFolder: opening.catalogFolder,
      executor: this.#executor,
      commitLog: this.#commitLog,
      catalog: this.#catalog,
      manifest: this.#manifest,
      logs: this.#logs,
      ownSegmentBytes: options.ownSegmentBytes,
      get closing(): boolean {
        return database.#closing !== undefined
      },
      edit: (rows: readonly RowChange[]) => this.#edit(rows),
      takeSegmentIds: (count: number) => this.#takeSegmentIds(count),
      takeEditId: () => this.#takeEditId(),
    }
    this.#flusher = new Flusher({
      ...shared,
      get closing(): boolean {
        return database.#closing !== undefined
      },
      carry: (log, from, arenas) => carryBatches(this.#commitLog, log, from, arenas),
      segmentsChanged: () => {
        void this.#deleteDoomed()
        if (options.autoConsolidate && this.#closing === undefined) this.#consolidator.wake()
      },
      untilRoom: async (bytesOf, onStep) => {
        if (options.autoConsolidate && this.#closing === undefined) await this.#consolidator.untilRoom(bytesOf, onStep)
      },
      hasRoom: bytesOf => !options.autoConsolidate || this.#closing !== undefined || !this.#consolidator.runs.isBehind(bytesOf),
      checkLock: () => this.#checkLock(),
      slotOf: log => this.#stores.histories.of(log)?.takeTimes(),
    })
    this.#consolidator = new Consolidator({
      ...shared,
      get closing(): boolean {
        return database.#closing !== undefined
      },
      updateView: () => this.#flusher.updateView(),
      deleteDoomed: () => this.#deleteDoomed(),
      snapshotsOf: () => this.#snapshots.sequences(),
      keepSinceOf: log => this.#stores.histories.of(log)?.keepSince(),
      dropsBefore: (log, keepSince) => this.#stores.histories.of(log)?.dropBefore(keepSince),
      expiryClock: () => environment.clock.now(),
      // A snapshot's clock stands still: what it shows may have expired since.
      mayDropExpired: logId => {
        const log = this.#logs.get(logId)
        if (log === undefined || log.definition.body === true || this.#stores.histories.of(log) !== undefined) return false
        return this.#snapshots.count === 0 && this.#stores.mayDropExpired(logId)
      },
    })
    this.#definitions = new LogDefinitions(
      this.#catalog,
      this.#manifest,
      rows => this.#edit(rows),
      rows => this.#editNow(rows),
    )
    this.#leases = new Leases(this.#manifest, () => void this.#deleteDoomed())
    const storesHost = this.#storesHost()
    this.#stores = new Stores(storesHost)
    this.#transactions = new Transactions(storesHost)
  }

  // --- life --------------------------------------------------------------------------------------------------------------------------

  async #start(opening: Opening): Promise<void> {
    if (this.#catalog.database === undefined) await this.#edit(opening.firstRows())
    // Arenas whose content an edit in the tail already made segments of.
    const flushed = this.#commitLog.tails.filter(tail => tail.endLsn <= this.#catalog.flush.lsn)
    if (flushed.length > 0) {
      for (const tail of flushed) tail.sealed = true
      await this.#flusher.updateView()
      for (const tail of flushed) await this.#commitLog.release(tail)
    }
    for (const path of opening.orphans) await this.environment.files.remove(path)
    if (opening.orphans.length > 0) await this.environment.files.syncDirectory(this.path)
    void this.#deleteDoomed()
    this.#flusher.wake()
  }

  /** Opening failed behind the constructor: ends what the database had begun. */
  async #abandon(): Promise<void> {
    this.#closing = Promise.resolve()
    await this.#flusher.stop().catch(() => undefined) // the opening's own error is the one to report
    await this.#executor.close().catch(() => undefined)
  }

  /** False from the call of `close` on. */
  get isOpen(): boolean {
    return !this.#closed && this.#closing === undefined
  }

  /** The error that poisoned the database; undefined while all is well. Reads still work, everything else needs a reopen. */
  get poison(): VarveError | undefined {
    return this.#commitLog.poison
  }

  /** Idempotent. Ends waits, flushes and closes; rejects when the last data could not be made durable, with everything released all the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const errors: unknown[] = []
    const attempt = async (run: () => Promise<unknown> | unknown): Promise<void> => {
      try {
        await run()
      } catch (error) {
        errors.push(typedError(error, this.path, 'closing the database'))
      }
    }
    const ended = new VarveError('CLOSED', 'the database was closed')
    for (const log of this.#logs.values()) log.endWaits(ended)
    this.#stores.stop()
    await attempt(() => this.#consolidator.stop())
    const poisoned = this.poison !== undefined
    if (!poisoned) {
      await attempt(async () => {
        if (this.#commitLog.unflushedBytes > this.options.closeTailBytesMax) {
          this.#commitLog.sealArena()
          await this.#flusher.drain()
        }
      })
    }
    await attempt(() => this.#flusher.stop())
    await attempt(() => this.#leases.close())
    await attempt(() => this.#deletions)
    await attempt(() => this.environment.files.syncDirectory(this.path))
    if (poisoned) await attempt(() => this.#commitLog.close())
    else await attempt(() => this.#commitLog.close())
    this.#closed = true
    // Those who began to wait while it closed.
    for (const log of this.#logs.values()) log.endWaits(ended)
    await attempt(() => this.#manifest.close())
    await attempt(() => this.#executor.close())
    await attempt(() => this.#lock.release())
    // Whoever still holds this object must not hold the data.
    if (this.options.storage === 'memory') await attempt(() => this.environment.files.removeDirectory(this.path))
    if (errors.length > 0 && !poisoned) throw errors[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Throws CLOSED once `close` was called. */
  assertOpen(): void {
    if (this.#closed || this.#closing !== undefined) throw new VarveError('CLOSED', 'the database is closed')
  }

  /** Other threads and folders cannot reach what this process has in memory. */
  #assertOnDisk(verb: string): void {
    if (this.options.storage === 'memory') throw new TypeError(`${verb} needs a database with storage 'disk', this one has 'memory'`)
  }

  // --- definitions and logs ----------------------------------------------------------------------------------------------------------

  /** Defines logs, all or none; those that are there must be the same (DEFINITION_MISMATCH). Resolves when durable. */
  define(definitions: readonly LogDefinition[]): Promise<DefinedLog[]> {
    this.assertOpen()
    return this.#definitions.define(definitions)
  }
  /** Replaces the options of a log’s definition. NOT_FOUND. Resolves when durable. */
  redefine(name: string, options: { readonly [name: string]: unknown }): Promise<DefinedLog> {
    this.assertOpen()
    return this.#definitions.redefine(name, options)
  }
  /** Gives a log another name. NOT_FOUND, EXISTS. Resolves when durable. */
  rename(from: string, to: string): Promise<DefinedLog> {
    this.assertOpen()
    return this.#definitions.rename(from, to)
  }
  /** Several renames as one commit. */
  renameAll(pairs: readonly (readonly [from: string, to: string])[]): Promise<DefinedLog[]> {
    this.assertOpen()
    return this.#definitions.renameAll(pairs)
  }
  /** Drops logs with all they hold, all or none. NOT_FOUND. Resolves when durable. */
  async drop(names: readonly string[]): Promise<void> {
    this.assertOpen()
    await this.#definitions.drop(names)
    this.#stores.forgetDropped()
    this.#manifest.sync(this.#catalog.segments())
    await this.#flusher.updateView()
    void this.#deleteDoomed()
  }
  /** The definition of this name; undefined when there is none. */
  get(name: string): DefinedLog | undefined {
    this.assertOpen()
    checkString(name, 'name')
    return this.#catalog.definitionByName(name)
  }
  /** All definitions, those of the system aside. */
  list(): DefinedLog[] {
    this.assertOpen()
    return this.#catalog.definitions()
  }

  /** The log of that name; NOT_FOUND when none is defined. The same object each time. */
  log(name: string): LocalLog {
    return this.#log(name)
  }

  /** As `log`, with the verbs that are the engine's own. */
  #log(name: string): LogicalLog {
    this.assertOpen()
    checkString(name, 'name')
    const definition = this.#catalog.definitionByName(name)
    if (definition === undefined) throw new VarveError('NOT_FOUND', `no log is named ${name}`, { details: { log: name } })
    return this.#logs.get(definition.id) as LogicalLog
  }

  // --- stores --------------------------------------------------------------------------------------------------------------------------

  /**
   * The store of that name, defined if there is none. A handle at once; a conflict with the stored definition (DEFINITION_MISMATCH), or a refused
   * one, is told by `ready()` and by every verb. TypeError for bad options.
   */
  store<V = unknown, K extends StoreKey = StoreKey>(name: string, options?: StoreOptions<V>): Store<V, K> {
    this.assertOpen()
    const store = this.#stores.store<V, K>(name, options)
    databases.set(store, this)
    return store
  }

  /** Names of all stores, sorted. */
  storeNames(): string[] {
    this.assertOpen()
    return this.#stores.names()
  }

  /** Renames a store; handles go on. NOT_FOUND, EXISTS. Resolves when durable. */
  async renameStore(from: string, to: string): Promise<void> {
    this.assertOpen()
    await this.#stores.rename(from, to)
  }

  /** Removes a store with everything in it. NOT_FOUND. Resolves when durable. */
  async dropStore(name: string): Promise<void> {
    this.assertOpen()
    await this.#stores.drop(name)
  }

  /** For the layer above that has consumer groups: what `store.changes({ group })` opens. */
  provideGroupFeeds(open: OpenGroupFeed): void {
    this.#openGroupFeed = open
  }

  /** This moment of all stores, for reads with the option `snapshot`. Compaction keeps what it sees until it is closed. */
  snapshot(): Snapshot {
    this.assertOpen()
    return this.#snapshots.take(this.#visibleSequence, this.environment.clock.now())
  }

  // --- writing -----------------------------------------------------------------------------------------------------------------------

  /** Runs the callback, which collects writes over any number of logs, and commits them: all or nothing. */
  commit(write: (commit: Commit) => void, options: { readonly durability?: Durability } = {}): Committed {
    this.assertOpen()
    if (typeof write !== 'function') throw new TypeError('write must be a function')
    checkObject(options, 'options')
    checkNames(options, commitOptionNames)
    const durability = resolveDurability(options.durability, this.options.durability)
    const commit = new LocalCommit(this.#committerHost)
    const returned: unknown = write(commit)
    if (isThenable(returned)) {
      // What it does later fails with CLOSED; that is told here.
      returned.then(undefined, () => undefined)
      throw new TypeError('write must be synchronous: a commit ends with its callback, and this one returned a promise')
    }
    return commit.run(durability)
  }

  /**
   * Runs `body` as one serializable transaction over stores and topic logs: it reads one moment and its own writes, and all its writes are one commit.
   * Resolves with the body's result when the durability word holds. A body that returns no promise commits in this turn; one that does may be run
   * again, and CONFLICT is the end of that. What the body throws rejects, and nothing is written.
   */
  transaction<T>(body: (tx: Transaction) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T> {
    return this.#transactions.run(body, options)
  }

  /** Makes everything appended so far durable, whatever its word. */
  async flush(): Promise<void> {
    this.assertOpen()
    await this.#commitLog.syncAll()
  }

  /** Resolves when less than half of every bound is in use: a good moment to go on after BUSY, or to pace a writer that does not await. */
  drain(): Promise<void> {
    this.assertOpen()
    return this.#commitLog.drain()
  }

  /** Moves all tails into segments now. */
  async seal(): Promise<void> {
    this.assertOpen()
    await this.#commitLog.syncAll()
    this.#commitLog.sealArena()
    await this.#flusher.drain()
  }

  /** Merges small and mostly dead segments now, until there is nothing worth merging. */
  async consolidate(): Promise<void> {
    this.assertOpen()
    await this.#consolidator.run()
  }

  /**
   * Compacts a topic log by key now: keeps the newest record of each key in its sealed part, tombstones and markers for `deleteRetentionMs`
   * (default 24 h) from their first cleaning. Offsets and order stay. `endOffset`: records at and above it, and not cleaned before, stay as they are.
   * Store logs: merges their runs.
   */
  async compactLog(name: string, options: { readonly deleteRetentionMs?: number; readonly endOffset?: number } = {}): Promise<void> {
    const log = this.#log(name)
    checkObject(options, 'options')
    await this.#consolidator.compact(log, options.deleteRetentionMs, options.endOffset)
  }

  /** Frees the space of what was trimmed now: parts that lie wholly below their log's start go; mostly hidden segments are merged in the background. */
  async reclaim(): Promise<void> {
    this.assertOpen()
    await this.#consolidator.reclaim()
    if (this.options.autoConsolidate && this.#closing === undefined) this.#consolidator.wake()
  }

  /**
   * Copies one moment of the whole database into the new folder `path` while writing goes on: everything acknowledged before the call, and of later
   * commits a prefix in commit order. Sealed segments are shared by hard links where the file system has them. The folder opens like any other;
   * it has its name only when all of it is on the disk. RangeError for a path in the database's own folder, links followed. Errors: EXISTS, LOCKED, CLOSED,
   * POISONED, NO_SPACE, IO, READ_ONLY, the signal's reason.
   */
  async backup(path: string, options: BackupOptions = {}): Promise<BackupReport> {
    this.assertOpen()
    this.#assertOnDisk('backup')
    checkString(path, 'path')
    if (path === '') throw new TypeError('path must be a non-empty string')
    checkObject(options, 'options')
    checkNames(options, backupOptionNames)
    await checkOutside(this.environment.files, this.path, path, 'path')
    const database = this
    return await backUp(
      {
        environment: this.environment,
        executor: this.#executor,
        folder: this.path,
        commitLog: this.#commitLog,
        catalog: this.#catalog,
        manifest: this.#manifest,
        get systemEnd() {
          return (database.#logs.get(SYSTEM_LOG_ID) as LogicalLog).endOffset
        },
        get isOpen() {
          return database.isOpen
        },
        get isClosed() {
          return database.#closed
        },
        seal: () => this.seal(),
        unpinned: () => void this.#deleteDoomed(),
      },
      path,
      options,
    )
  }

  // --- reading beside the logs -------------------------------------------------------------------------------------------------------

  /** A moment of logs and stores that worker threads can read; see `lease/leases.ts`. NOT_FOUND for a name that is none. */
  lease(options: LeaseOptions = {}): OwnedLease {
    this.assertOpen()
    this.#assertOnDisk('lease')
    checkObject(options, 'options')
    checkNames(options, leaseOptionNames)
    checkBound(options.bound)
    for (const option of ['logs', 'stores'] as const) {
      const names = options[option]
      if (names !== undefined && !Array.isArray(names)) throw new TypeError(`${option} must be an array of names, got ${String(names)}`)
    }
    const isAll = options.logs === undefined && options.stores === undefined
    const logs = isAll ? this.list().map(({ name }) => name) : (options.logs ?? [])
    return this.#leases.take({
      sequence: this.#visibleSequence,
      time: this.environment.clock.now(),
      logs: logs.map(name => this.#log(name)),
      bound: options.bound ?? 'highWatermark',
      stores: this.#stores.leased(isAll ? undefined : (options.stores ?? [])),
    })
  }

  /** Numbers of this moment; docs/API.md describes each. */
  stats(): DatabaseStats {
    this.assertOpen()
    return collectStats({
      commitLog: this.#commitLog,
      catalog: this.#catalog,
      manifest: this.#manifest,
      flusher: this.#flusher,
      consolidator: this.#consolidator,
      leases: this.#leases,
      recovery: this.recovery,
      stores: this.#stores,
    })
  }

  /** Commit sequence up to which reads see: after a poison only what is durable. */
  get #visibleSequence(): number {
    return this.#commitLog.poison === undefined ? this.#commitLog.sequence : this.#commitLog.durableSequence
  }

  // --- wiring ------------------------------------------------------------------------------------------------------------------------

  #observer(): ConstructorParameters<typeof CommitLog>[4] {
    return {
      advanced: () => {
        const { watched } = this.#logs
        for (const log of watched) {
          log.advanced()
          if (!log.watched) watched.delete(log)
        }
      },
      sealed: (_tail: TailFile) => this.#flusher.wake(),
      isFlushing: () => this.#flusher.isRunning,
      poisoned: error => {
        for (const log of this.#logs.values()) log.endWaits(error)
      },
    }
  }

  #storesHost(): ConstructorParameters<typeof Stores>[0] {
    const database = this
    return {
      snapshots: this.#snapshots,
      cacheBytesMax: this.options.cacheBytesMax,
      expirySweepMs: this.options.expirySweepMs,
      timers: this.environment.timers,
      get visibleSequence() {
        return database.#visibleSequence
      },
      now: () => this.environment.clock.now(),
      assertOpen: () => this.assertOpen(),
      commit: (write, durability) => {
        const commit = new LocalCommit(this.#committerHost)
        write(commit)
        return commit.run(durability ?? this.options.durability)
      },
      openGroupFeed: (store, options) => {
        if (this.#openGroupFeed === undefined)
          throw new TypeError('group is of databases with topics: this one was opened by varve/engine alone')
        return this.#openGroupFeed(store, options)
      },
      compact: async log => {
        await this.seal()
        await this.#consolidator.compact(log, undefined)
      },
      writtenOf: logId => {
        const compacted = this.#consolidator.runs.bytesByLog.get(logId)
        const flushed = this.#flusher.runBytesByLog.get(logId) ?? 0
        return { flushed, compactedIn: compacted?.in ?? 0, compactedOut: compacted?.out ?? 0 }
      },
      pin: segmentIds => {
        for (const id of segmentIds) this.#manifest.pin(id)
        return () => {
          // The manifest is closed and knows no pins any more.
          if (this.#closed) return
          for (const id of segmentIds) this.#manifest.unpin(id)
          void this.#deleteDoomed()
        }
      },
      definition: name => this.#catalog.definitionByName(name),
      definitions: () => this.#catalog.definitions(),
      define: definition => this.#definitions.defineNow(definition),
      redefine: (name, options) => this.redefine(name, options),
      rename: (from, to) => this.rename(from, to),
      drop: names => this.drop(names),
      log: name => this.#log(name),
      wakeUpkeep: () => {
        if (this.options.autoConsolidate && this.#closing === undefined) this.#consolidator.wake()
      },
    }
  }

  readonly #committerHost: ConstructorParameters<typeof LocalCommit>[0] = (() => {
    const database = this
    return {
      get commitLog() {
        return database.#commitLog
      },
      get clock() {
        return database.environment.clock
      },
      get logHost() {
        return database.#logHost
      },
      get systemLog() {
        return database.#logs.get(SYSTEM_LOG_ID) as LogicalLog
      },
      metadataRow: (log: LogicalLog, slot: string, value: Uint8Array | undefined) => ({
        key: rowKeys.meta(log.id, slot),
        value: value ?? null,
      }),
      stateRow: (log: LogicalLog, change: Partial<StateRow>) => {
        const before = database.#catalog.state(log.id) ?? { startOffset: 0, resetLsn: 0, endOffset: 0, epoch: 0 }
        return { key: rowKeys.state(log.id), value: packRow({ ...before, ...change }) }
      },
      dropPartsRows: (log: LogicalLog) => database.#definitions.dropPartsRows([log.id]),
      applyRows: (rows: readonly RowChange[]) => database.#applyRows(rows),
    }
  })()

  #applyRows(rows: readonly RowChange[]): void {
    this.#catalog.apply(rows)
    this.#logs.redefined(rows)
  }

  readonly #resetLog = (log: LogicalLog, offset: number, durability: Durability | undefined): Committed => {
    this.assertOpen()
    const commit = new LocalCommit(this.#committerHost)
    commit.resetTo(log, offset)
    const committed = commit.run(resolveDurability(durability, this.options.durability))
    this.#manifest.sync(this.#catalog.segments())
    return committed
  }

  /** Commits rows as one edit of the system log; without rows, waits until the edits so far are durable. */
  async #edit(rows: readonly RowChange[]): Promise<void> {
    if (rows.length === 0) {
      const systemLog = this.#logs.get(SYSTEM_LOG_ID) as LogicalLog
      if (systemLog.durableOffset < systemLog.endOffset) await this.#commitLog.syncAll()
      return
    }
    await this.#editNow(rows)
  }

  /** As `#edit`, but throws in this turn when the commit is refused. */
  #editNow(rows: readonly RowChange[]): Promise<void> {
    const commit = new LocalCommit(this.#committerHost, true)
    commit.addRows(rows)
    commit.run('sync')
    return this.#commitLog.whenDurable(this.#commitLog.endLsn)
  }

  /** A folder that somebody else opened meanwhile must not be written any more: two writers would destroy each other's files. */
  async #checkLock(): Promise<void> {
    try {
      await this.#lock.check()
    } catch (error) {
      if (isVarveError(error, 'LOCKED')) this.#commitLog.fail(error)
      throw error
    }
  }

  /** Drawn before an edit's files are written, so that two edits under way cannot share one. */
  #takeEditId(): number {
    this.#nextEditId = Math.max(this.#nextEditId, this.#catalog.ids.edit)
    return this.#nextEditId++
  }

  #takeSegmentIds(count: number): number[] {
    const first = this.#nextSegmentId
    this.#nextSegmentId += count
    return Array.from({ length: count }, (_, index) => first + index)
  }

  #deletions: Promise<void> = Promise.resolve()

  /** Deletes files of segments that nobody needs; resolves when they are gone. A file that cannot be deleted now is an orphan at the next opening. */
  #deleteDoomed(): Promise<void> {
    this.#leases.collect()
    const paths = this.#manifest.takeDoomed()
    if (paths.length === 0) return this.#deletions
    // Without a sync of the folder: names come back at worst, and are swept at the next opening.
    this.#deletions = this.#deletions.then(async () => {
      for (const path of paths) await this.environment.files.remove(path).catch(() => undefined) // as above
    })
    return this.#deletions
  }
}
