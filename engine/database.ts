/**
 * The engine's database: one folder with its commit log, segments, catalog and lock, and the logical logs in it.
 *
 * Opening: lock the folder, read the catalog view, open the segments it names, recover the commit log from the flush point, sweep what nothing
 * names. Closing: flush a large tail, bring the view up to date, write the closing frame, free the lock. In between everything here runs on the
 * owner's thread; segments and the view are written in the executor's worker.
 *
 * Who decides what: commits are built by `log/committer.ts`, written by `commit-log/commit-log.ts`, moved to segments by
 * `maintenance/flusher.ts`, merged by `maintenance/consolidator.ts`; `database-parts.ts` wires them. This file is the list of everything that a user may
 * ask of a database.
 */
import { type BackupOptions, type BackupReport, backUp } from './backup/backup.ts'
import { checkOutside } from './backup/new-folder.ts'
import { SYSTEM_LOG_ID } from './catalog/rows.ts'
import { loadChecksums } from './codec/xxh64.ts'
import type { RecoveryReport } from './commit-log/recovery.ts'
import { DatabaseParts } from './database-parts.ts'
import { recoveryChannel } from './diagnostics.ts'
import type { Environment, FolderLock } from './env/environment.ts'
import { createMemoryEnvironment, createNodeEnvironment, resolveWorkerUrl } from './env/index.ts'
import { ioError, typedError, VarveError } from './errors.ts'
import type { LeaseOptions, OwnedLease } from './lease/leases.ts'
import { checkBound, checkNames, checkObject, checkString } from './log/check-arguments.ts'
import type { Commit, Committed, Committer, DefinedLog, Definitions, Durability, LocalLog, LogDefinition, Redefinition } from './log/log.ts'
import type { LogicalLog } from './log/logical-log.ts'
import { resolveDurability } from './log/operations.ts'
import { lockFileName, Opening, prepareFolder } from './opening.ts'
import { type OpenOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { collectStats, type DatabaseStats } from './stats.ts'
import type { OpenGroupFeed } from './store/group-feed.ts'
import type { StoreKey } from './store/key-codec.ts'
import type { Snapshot } from './store/snapshots.ts'
import type { Store } from './store/store.ts'
import type { StoreOptions } from './store/store-options.ts'
import type { Transaction, TransactionOptions } from './store/transaction.ts'

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
  if (storage === 'disk') return createNodeEnvironment({ worker: resolveWorkerUrl(import.meta.url, 'engine/worker') })
  // What a worker thread runs otherwise: loaded by those who need it in this one.
  const { taskRunners } = await import('./maintenance/tasks.ts')
  return createMemoryEnvironment({ runners: taskRunners })
}

const commitOptionNames: ReadonlySet<string> = new Set(['durability'])
const backupOptionNames: ReadonlySet<string> = new Set(['signal', 'onProgress'])
const leaseOptionNames: ReadonlySet<string> = new Set(['logs', 'stores', 'bound', 'snapshot'])

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
  readonly #parts: DatabaseParts

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
      await database.#parts.start(opening)
      if (recoveryChannel.hasSubscribers) recoveryChannel.publish({ database: folder, report: database.recovery })
      return database
    } catch (error) {
      if (database !== undefined) await database.#parts.abandon()
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
    this.#parts = new DatabaseParts(folder, options, environment, lock, opening)
  }

  // --- life --------------------------------------------------------------------------------------------------------------------------

  /** False from the call of `close` on. */
  get isOpen(): boolean {
    return this.#parts.isOpen
  }

  /** The error that poisoned the database; undefined while all is well. Reads still work, everything else needs a reopen. */
  get poison(): VarveError | undefined {
    return this.#parts.commitLog.poison
  }

  /** Idempotent. Ends waits, flushes and closes; rejects when the last data could not be made durable, with everything released all the same. */
  close(): Promise<void> {
    return this.#parts.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Throws CLOSED once `close` was called. */
  assertOpen(): void {
    this.#parts.assertOpen()
  }

  /** Other threads and folders cannot reach what this process has in memory. */
  #assertOnDisk(verb: string): void {
    if (this.options.storage === 'memory') throw new TypeError(`${verb} needs a database with storage 'disk', this one has 'memory'`)
  }

  // --- definitions and logs ----------------------------------------------------------------------------------------------------------

  /** Defines logs, all or none; those that are there must be the same (DEFINITION_MISMATCH). Resolves when durable. */
  define(definitions: readonly LogDefinition[]): Promise<DefinedLog[]> {
    this.assertOpen()
    return this.#parts.definitions.define(definitions)
  }
  /** Replaces the options of a log’s definition. NOT_FOUND. Resolves when durable. */
  redefine(name: string, options: { readonly [name: string]: unknown }): Promise<DefinedLog> {
    this.assertOpen()
    return this.#parts.definitions.redefine(name, options)
  }
  /** Replaces options, and what is given beside them, of several logs as one commit. NOT_FOUND. Resolves when durable. */
  redefineAll(changes: readonly Redefinition[]): Promise<DefinedLog[]> {
    this.assertOpen()
    return this.#parts.definitions.redefineAll(changes)
  }
  /** Gives a log another name. NOT_FOUND, EXISTS. Resolves when durable. */
  rename(from: string, to: string): Promise<DefinedLog> {
    this.assertOpen()
    return this.#parts.definitions.rename(from, to)
  }
  /** Several renames as one commit. */
  renameAll(pairs: readonly (readonly [from: string, to: string])[]): Promise<DefinedLog[]> {
    this.assertOpen()
    return this.#parts.definitions.renameAll(pairs)
  }
  /** Drops logs with all they hold, all or none. NOT_FOUND. Resolves when durable. */
  async drop(names: readonly string[]): Promise<void> {
    await this.#parts.drop(names)
  }
  /** The definition of this name; undefined when there is none. */
  get(name: string): DefinedLog | undefined {
    this.assertOpen()
    checkString(name, 'name')
    return this.#parts.catalog.definitionByName(name)
  }
  /** All definitions, those of the system aside. */
  list(): DefinedLog[] {
    this.assertOpen()
    return this.#parts.catalog.definitions()
  }

  /** The log of that name; NOT_FOUND when none is defined. The same object each time. */
  log(name: string): LocalLog {
    return this.#parts.log(name)
  }

  // --- stores --------------------------------------------------------------------------------------------------------------------------

  /**
   * The store of that name, defined if there is none. A handle at once; a conflict with the stored definition (DEFINITION_MISMATCH), or a refused
   * one, is told by `ready()` and by every verb. TypeError for bad options.
   */
  store<V = unknown, K extends StoreKey = StoreKey>(name: string, options?: StoreOptions<V>): Store<V, K> {
    this.assertOpen()
    const store = this.#parts.stores.store<V, K>(name, options)
    databases.set(store, this)
    return store
  }

  /** Names of all stores, sorted. */
  storeNames(): string[] {
    this.assertOpen()
    return this.#parts.stores.names()
  }

  /** Renames a store; handles go on. NOT_FOUND, EXISTS. Resolves when durable. */
  async renameStore(from: string, to: string): Promise<void> {
    this.assertOpen()
    await this.#parts.stores.rename(from, to)
  }

  /** Removes a store with everything in it. NOT_FOUND. Resolves when durable. */
  async dropStore(name: string): Promise<void> {
    this.assertOpen()
    await this.#parts.stores.drop(name)
  }

  /** For the layer above that has consumer groups: what `store.changes({ group })` opens. */
  provideGroupFeeds(open: OpenGroupFeed): void {
    this.#parts.openGroupFeed = open
  }

  /** This moment of all stores, for reads with the option `snapshot`. Compaction keeps what it sees until it is closed. */
  snapshot(): Snapshot {
    this.assertOpen()
    return this.#parts.snapshots.take(this.#parts.visibleSequence, this.environment.clock.now())
  }

  // --- writing -----------------------------------------------------------------------------------------------------------------------

  /** Runs the callback, which collects writes over any number of logs, and commits them: all or nothing. */
  commit(write: (commit: Commit) => void, options: { readonly durability?: Durability } = {}): Committed {
    this.assertOpen()
    if (typeof write !== 'function') throw new TypeError('write must be a function')
    checkObject(options, 'options')
    checkNames(options, commitOptionNames)
    const durability = resolveDurability(options.durability, this.options.durability)
    const commit = this.#parts.newCommit()
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
    return this.#parts.transactions.run(body, options)
  }

  /** Makes everything appended so far durable, whatever its word. */
  async flush(): Promise<void> {
    this.assertOpen()
    await this.#parts.commitLog.syncAll()
  }

  /** Resolves when less than half of every bound is in use: a good moment to go on after BUSY, or to pace a writer that does not await. */
  drain(): Promise<void> {
    this.assertOpen()
    return this.#parts.commitLog.drain()
  }

  /** Moves all tails into segments now. */
  async seal(): Promise<void> {
    this.assertOpen()
    await this.#parts.seal()
  }

  /** Merges small and mostly dead segments now, until there is nothing worth merging. */
  async consolidate(): Promise<void> {
    this.assertOpen()
    await this.#parts.consolidator.run()
  }

  /**
   * Compacts a topic log by key now: keeps the newest record of each key in its sealed part, tombstones and markers for `deleteRetentionMs`
   * (default 24 h) from their first cleaning. Offsets and order stay. `endOffset`: records at and above it, and not cleaned before, stay as they are.
   * Store logs: merges their runs.
   */
  async compactLog(name: string, options: { readonly deleteRetentionMs?: number; readonly endOffset?: number } = {}): Promise<void> {
    const log = this.#parts.log(name)
    checkObject(options, 'options')
    await this.#parts.consolidator.compact(log, options.deleteRetentionMs, options.endOffset)
  }

  /** Frees the space of what was trimmed now: parts that lie wholly below their log's start go; mostly hidden segments are merged in the background. */
  async reclaim(): Promise<void> {
    this.assertOpen()
    await this.#parts.consolidator.reclaim()
    if (this.options.autoConsolidate && this.#parts.isOpen) this.#parts.consolidator.wake()
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
        executor: this.#parts.executor,
        folder: this.path,
        commitLog: this.#parts.commitLog,
        catalog: this.#parts.catalog,
        manifest: this.#parts.manifest,
        get systemEnd() {
          return (database.#parts.logs.get(SYSTEM_LOG_ID) as LogicalLog).endOffset
        },
        get isOpen() {
          return database.isOpen
        },
        get isClosed() {
          return database.#parts.isClosed
        },
        seal: () => this.seal(),
        unpinned: () => void this.#parts.deleteDoomed(),
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
    const { snapshot } = options
    if (snapshot !== undefined) {
      checkObject(snapshot, 'snapshot')
      if (options.logs !== undefined) throw new TypeError('snapshot must not be given with logs: it is a moment of stores')
      if (snapshot.isClosed) throw new VarveError('CLOSED', 'the snapshot was closed')
    }
    const isAll = options.logs === undefined && options.stores === undefined
    const logs = snapshot !== undefined ? [] : isAll ? this.list().map(({ name }) => name) : (options.logs ?? [])
    return this.#parts.leases.take({
      sequence: snapshot?.sequence ?? this.#parts.visibleSequence,
      time: snapshot?.time ?? this.environment.clock.now(),
      logs: logs.map(name => this.#parts.log(name)),
      bound: options.bound ?? 'highWatermark',
      stores: this.#parts.stores.leased(isAll ? undefined : (options.stores ?? [])),
    })
  }

  /** Numbers of this moment; docs/API.md describes each. */
  stats(): DatabaseStats {
    this.assertOpen()
    return collectStats({
      commitLog: this.#parts.commitLog,
      catalog: this.#parts.catalog,
      manifest: this.#parts.manifest,
      flusher: this.#parts.flusher,
      consolidator: this.#parts.consolidator,
      leases: this.#parts.leases,
      recovery: this.recovery,
      stores: this.#parts.stores,
    })
  }

  /** Commit sequence up to which reads see: after a poison only what is durable. */
  get #visibleSequence(): number {
    return this.#parts.commitLog.poison === undefined ? this.#parts.commitLog.sequence : this.#parts.commitLog.durableSequence
  }
}
