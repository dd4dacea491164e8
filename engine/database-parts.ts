/**
 * The parts of an open database, and the hosts by which they reach each other: commit log, catalog, manifest, logs, flusher, consolidator, stores, leases. Made and
 * owned by `Database`, which has the verbs for users; nothing here decides anything of a part's own.
 *
 * Its life: the constructor wires what `Opening` has found, `start` finishes what the process before had begun, `close` flushes a large tail, brings the view up to
 * date, writes the closing frame and frees the lock. Invariant: after `close` was called nothing new begins.
 */
import type { Catalog } from './catalog/catalog.ts'
import { LogDefinitions } from './catalog/definitions.ts'
import type { LogTable } from './catalog/log-table.ts'
import type { Manifest } from './catalog/manifest.ts'
import { packRow, type RowChange, rowKeys, type StateRow, SYSTEM_LOG_ID } from './catalog/rows.ts'
import { CommitLog } from './commit-log/commit-log.ts'
import { FilePool } from './commit-log/file-pool.ts'
import type { TailFile } from './commit-log/tail-file.ts'
import type { Environment, Executor, FolderLock } from './env/environment.ts'
import { isVarveError, typedError, VarveError } from './errors.ts'
import { Leases } from './lease/leases.ts'
import { carryBatches } from './log/carry.ts'
import { checkString } from './log/check-arguments.ts'
import { commitWrites } from './log/commit-encode.ts'
import { LocalCommit } from './log/committer.ts'
import type { Committed, Durability } from './log/log.ts'
import type { LogHost, LogicalLog } from './log/logical-log.ts'
import { resolveDurability } from './log/operations.ts'
import { Consolidator } from './maintenance/consolidator.ts'
import { Flusher } from './maintenance/flusher.ts'
import type { Opening } from './opening.ts'
import type { ResolvedOptions } from './options.ts'
import type { OpenGroupFeed } from './store/group-feed.ts'
import { Snapshots } from './store/snapshots.ts'
import { Stores } from './store/stores.ts'
import { Transactions } from './store/transaction.ts'

export class DatabaseParts {
  readonly #folder: string
  readonly #options: ResolvedOptions
  readonly #environment: Environment
  readonly #lock: FolderLock
  readonly #logHost: LogHost
  readonly executor: Executor
  readonly catalog: Catalog
  readonly manifest: Manifest
  readonly logs: LogTable
  readonly commitLog: CommitLog
  readonly flusher: Flusher
  readonly consolidator: Consolidator
  readonly definitions: LogDefinitions
  readonly leases: Leases
  readonly snapshots: Snapshots = new Snapshots()
  readonly stores: Stores
  readonly transactions: Transactions
  /** Of the layer above that has consumer groups; undefined without one. */
  openGroupFeed: OpenGroupFeed | undefined
  #nextSegmentId: number
  #nextEditId = 0
  #closing: Promise<void> | undefined
  #closed = false

  constructor(folder: string, options: ResolvedOptions, environment: Environment, lock: FolderLock, opening: Opening) {
    this.#folder = folder
    this.#options = options
    this.#environment = environment
    this.#lock = lock
    this.executor = environment.createExecutor()
    this.catalog = opening.catalog
    this.manifest = opening.manifest
    this.logs = opening.logs
    this.#logHost = opening.logHost
    this.#nextSegmentId = opening.nextSegmentId
    const { recovered } = opening
    const pool = new FilePool(environment, folder, {
      fileBytesFirst: options.commitLogFileBytesFirst,
      fileBytesMax: options.commitLogFileBytes,
      nextNumber: recovered.nextFileNumber,
      spares: recovered.spares,
    })
    this.commitLog = new CommitLog(environment, folder, pool, options, this.#observer(), recovered.start)
    opening.bind(
      this.commitLog,
      (write, { durability } = {}) => {
        this.assertOpen()
        return this.#commit(write, resolveDurability(durability, options.durability))
      },
      this.#resetLog,
      () => this.flusher.wake(),
    )
    const parts = this
    const shared = {
      environment,
      folder,
      catalogFolder: opening.catalogFolder,
      executor: this.executor,
      commitLog: this.commitLog,
      catalog: this.catalog,
      manifest: this.manifest,
      logs: this.logs,
      ownSegmentBytes: options.ownSegmentBytes,
      get closing(): boolean {
        return parts.#closing !== undefined
      },
      edit: (rows: readonly RowChange[]) => this.#edit(rows),
      takeSegmentIds: (count: number) => this.#takeSegmentIds(count),
      takeEditId: () => this.#takeEditId(),
    }
    this.flusher = new Flusher({
      ...shared,
      commitLogFileBytes: options.commitLogFileBytes,
      get closing(): boolean {
        return parts.#closing !== undefined
      },
      carry: (log, from, arenas) => carryBatches(this.commitLog, log, from, arenas),
      segmentsChanged: () => {
        void this.deleteDoomed()
        if (!options.autoConsolidate || this.#closing !== undefined) return
        this.commitLog.sealAt(this.consolidator.runs.room.flushBytesAim())
        this.consolidator.wake()
      },
      untilRoom: async (bytesOf, onStep) => {
        if (options.autoConsolidate) await this.consolidator.untilRoom(bytesOf, onStep)
      },
      hasRoom: bytesOf => !options.autoConsolidate || this.consolidator.runs.room.hasRoom(bytesOf),
      snapshots: () => this.snapshots.sequences(),
      keepSinceOf: log => this.stores.histories.of(log)?.keepSince(),
      checkLock: () => this.#checkLock(),
      slotOf: log => this.stores.histories.of(log)?.takeTimes(),
    })
    this.consolidator = new Consolidator({
      ...shared,
      get closing(): boolean {
        return parts.#closing !== undefined
      },
      updateView: () => this.flusher.updateView(),
      deleteDoomed: () => this.deleteDoomed(),
      snapshotsOf: () => this.snapshots.sequences(),
      keepSinceOf: log => this.stores.histories.of(log)?.keepSince(),
      dropsBefore: (log, keepSince) => this.stores.histories.of(log)?.dropBefore(keepSince),
      expiryClock: () => environment.clock.now(),
      // A snapshot's clock stands still: what it shows may have expired since.
      mayDropExpired: logId => {
        const log = this.logs.get(logId)
        if (log === undefined || log.definition.body === true || this.stores.histories.of(log) !== undefined) return false
        return this.snapshots.count === 0 && this.stores.mayDropExpired(logId)
      },
    })
    this.definitions = new LogDefinitions(
      this.catalog,
      this.manifest,
      rows => this.#edit(rows),
      rows => this.#editNow(rows),
    )
    this.leases = new Leases(this.manifest, () => void this.deleteDoomed())
    const storesHost = this.#storesHost()
    this.stores = new Stores(storesHost)
    this.transactions = new Transactions(storesHost)
  }

  /** False from the call of `close` on. */
  get isOpen(): boolean {
    return !this.#closed && this.#closing === undefined
  }
  /** True once everything is released. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** Throws CLOSED once `close` was called. */
  assertOpen(): void {
    if (this.#closed || this.#closing !== undefined) throw new VarveError('CLOSED', 'the database is closed')
  }

  /** See `Database.close`. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** A commit to be filled and run. */
  newCommit(): LocalCommit {
    return new LocalCommit(this.#committerHost)
  }

  /** The log of that name, with the verbs that are the engine's own. NOT_FOUND. */
  log(name: string): LogicalLog {
    this.assertOpen()
    checkString(name, 'name')
    const definition = this.catalog.definitionByName(name)
    if (definition === undefined) throw new VarveError('NOT_FOUND', `no log is named ${name}`, { details: { log: name } })
    return this.logs.get(definition.id) as LogicalLog
  }

  /** See `Database.drop`. */
  async drop(names: readonly string[]): Promise<void> {
    this.assertOpen()
    await this.definitions.drop(names)
    this.stores.forgetDropped()
    this.manifest.sync(this.catalog.segments())
    await this.flusher.updateView()
    void this.deleteDoomed()
  }

  /** Moves all tails into segments. */
  async seal(): Promise<void> {
    this.assertOpen()
    await this.commitLog.syncAll()
    this.commitLog.sealArena()
    await this.flusher.drain()
  }

  #commit(write: (commit: LocalCommit) => void, durability: Durability): Committed {
    const commit = this.newCommit()
    write(commit)
    return commit.run(durability)
  }

  // --- life --------------------------------------------------------------------------------------------------------------------------

  /** Finishes what the process before had begun. */
  async start(opening: Opening): Promise<void> {
    if (this.catalog.database === undefined) await this.#edit(opening.firstRows())
    // Arenas whose content an edit in the tail already made segments of.
    const flushed = this.commitLog.tails.filter(tail => tail.endLsn <= this.catalog.flush.lsn)
    if (flushed.length > 0) {
      for (const tail of flushed) tail.sealed = true
      await this.flusher.updateView()
      for (const tail of flushed) await this.commitLog.release(tail)
    }
    for (const path of opening.orphans) await this.#environment.files.remove(path)
    if (opening.orphans.length > 0) await this.#environment.files.syncDirectory(this.#folder)
    void this.deleteDoomed()
    this.flusher.wake()
  }

  /** Opening failed behind the constructor: ends what the database had begun. */
  async abandon(): Promise<void> {
    this.#closing = Promise.resolve()
    await this.flusher.stop().catch(() => undefined) // the opening's own error is the one to report
    await this.executor.close().catch(() => undefined)
  }

  async #close(): Promise<void> {
    const errors: unknown[] = []
    const attempt = async (run: () => Promise<unknown> | unknown): Promise<void> => {
      try {
        await run()
      } catch (error) {
        errors.push(typedError(error, this.#folder, 'closing the database'))
      }
    }
    const ended = new VarveError('CLOSED', 'the database was closed')
    for (const log of this.logs.values()) log.endWaits(ended)
    this.stores.stop()
    // Before merges end: the last flush waits for room as every other one.
    if (this.commitLog.poison === undefined && this.commitLog.unflushedBytes > this.#options.closeTailBytesMax) {
      await attempt(async () => {
        this.commitLog.sealArena()
        await this.flusher.drain()
      })
    }
    await attempt(() => this.consolidator.stop())
    const poisoned = this.commitLog.poison !== undefined
    // What a crash left replaced is still named by the view, so its files stay until somebody brings that up to date.
    if (!poisoned && this.manifest.doomed().length > 0) await attempt(() => this.flusher.updateView())
    await attempt(() => this.flusher.stop())
    await attempt(() => this.leases.close())
    await attempt(() => this.deleteDoomed())
    await attempt(() => this.#environment.files.syncDirectory(this.#folder))
    await attempt(() => this.commitLog.close())
    this.#closed = true
    // Those who began to wait while it closed.
    for (const log of this.logs.values()) log.endWaits(ended)
    await attempt(() => this.manifest.close())
    await attempt(() => this.executor.close())
    await attempt(() => this.#lock.release())
    // Whoever still holds this object must not hold the data.
    if (this.#options.storage === 'memory') await attempt(() => this.#environment.files.removeDirectory(this.#folder))
    if (errors.length > 0 && !poisoned) throw errors[0]
  }

  /** Commit sequence up to which reads see: after a poison only what is durable. */
  get visibleSequence(): number {
    return this.commitLog.poison === undefined ? this.commitLog.sequence : this.commitLog.durableSequence
  }

  // --- wiring ------------------------------------------------------------------------------------------------------------------------

  #observer(): ConstructorParameters<typeof CommitLog>[4] {
    return {
      advanced: () => {
        const { watched } = this.logs
        for (const log of watched) {
          log.advanced()
          if (!log.watched) watched.delete(log)
        }
      },
      sealed: (_tail: TailFile) => this.flusher.wake(),
      isFlushing: () => this.flusher.isRunning,
      poisoned: error => {
        for (const log of this.logs.values()) log.endWaits(error)
      },
    }
  }

  #storesHost(): ConstructorParameters<typeof Stores>[0] {
    const parts = this
    return {
      snapshots: this.snapshots,
      cacheBytesMax: this.#options.cacheBytesMax,
      expirySweepMs: this.#options.expirySweepMs,
      timers: this.#environment.timers,
      get visibleSequence() {
        return parts.visibleSequence
      },
      now: () => this.#environment.clock.now(),
      assertOpen: () => this.assertOpen(),
      commit: (write, durability) => this.#commit(write, durability ?? this.#options.durability),
      openGroupFeed: (store, options) => {
        if (this.openGroupFeed === undefined)
          throw new TypeError('group is of databases with topics: this one was opened by varve/engine alone')
        return this.openGroupFeed(store, options)
      },
      commitWrites: (log, writes, durability) => {
        const word = durability ?? this.#options.durability
        return commitWrites(this.commitLog, this.#environment.clock, log, writes, word).acknowledged(word)
      },
      compact: async log => {
        await this.seal()
        await this.consolidator.compact(log, undefined)
      },
      writtenOf: logId => {
        const compacted = this.consolidator.runs.bytesByLog.get(logId)
        const flushed = this.flusher.runBytesByLog.get(logId) ?? 0
        return { flushed, compactedIn: compacted?.in ?? 0, compactedOut: compacted?.out ?? 0 }
      },
      pin: segmentIds => {
        for (const id of segmentIds) this.manifest.pin(id)
        return () => {
          // The manifest is closed and knows no pins any more.
          if (this.#closed) return
          for (const id of segmentIds) this.manifest.unpin(id)
          void this.deleteDoomed()
        }
      },
      definition: name => this.catalog.definitionByName(name),
      definitions: () => this.catalog.definitions(),
      define: definition => this.definitions.defineNow(definition),
      redefine: (name, options) => {
        this.assertOpen()
        return this.definitions.redefine(name, options)
      },
      rename: (from, to) => {
        this.assertOpen()
        return this.definitions.rename(from, to)
      },
      drop: names => this.drop(names),
      log: name => this.log(name),
      wakeUpkeep: () => {
        if (this.#options.autoConsolidate && this.#closing === undefined) this.consolidator.wake()
      },
      storeOpened: log => {
        if (!this.#options.autoConsolidate) return
        this.commitLog.sealAt(Math.min(this.commitLog.sealBytes, this.consolidator.runs.room.flushBytesAimOf(log)))
      },
    }
  }

  readonly #committerHost: ConstructorParameters<typeof LocalCommit>[0] = (() => {
    const parts = this
    return {
      get commitLog() {
        return parts.commitLog
      },
      get clock() {
        return parts.#environment.clock
      },
      get logHost() {
        return parts.#logHost
      },
      get systemLog() {
        return parts.logs.get(SYSTEM_LOG_ID) as LogicalLog
      },
      metadataRow: (log: LogicalLog, slot: string, value: Uint8Array | undefined) => ({
        key: rowKeys.meta(log.id, slot),
        value: value ?? null,
      }),
      stateRow: (log: LogicalLog, change: Partial<StateRow>) => {
        const before = parts.catalog.state(log.id) ?? { startOffset: 0, resetLsn: 0, endOffset: 0, epoch: 0 }
        return { key: rowKeys.state(log.id), value: packRow({ ...before, ...change }) }
      },
      dropPartsRows: (log: LogicalLog) => parts.definitions.dropPartsRows([log.id]),
      applyRows: (rows: readonly RowChange[]) => parts.#applyRows(rows),
    }
  })()

  #applyRows(rows: readonly RowChange[]): void {
    this.catalog.apply(rows)
    this.logs.redefined(rows)
  }

  readonly #resetLog = (log: LogicalLog, offset: number, durability: Durability | undefined): Committed => {
    this.assertOpen()
    const commit = new LocalCommit(this.#committerHost)
    commit.resetTo(log, offset)
    const committed = commit.run(resolveDurability(durability, this.#options.durability))
    this.manifest.sync(this.catalog.segments())
    return committed
  }

  /** Commits rows as one edit of the system log; without rows, waits until the edits so far are durable. */
  async #edit(rows: readonly RowChange[]): Promise<void> {
    if (rows.length === 0) {
      const systemLog = this.logs.get(SYSTEM_LOG_ID) as LogicalLog
      if (systemLog.durableOffset < systemLog.endOffset) await this.commitLog.syncAll()
      return
    }
    await this.#editNow(rows)
  }

  /** As `#edit`, but throws in this turn when the commit is refused. */
  #editNow(rows: readonly RowChange[]): Promise<void> {
    const commit = new LocalCommit(this.#committerHost, true)
    commit.addRows(rows)
    commit.run('sync')
    return this.commitLog.whenDurable(this.commitLog.endLsn)
  }

  /** A folder that somebody else opened meanwhile must not be written any more: two writers would destroy each other's files. */
  async #checkLock(): Promise<void> {
    try {
      await this.#lock.check()
    } catch (error) {
      if (isVarveError(error, 'LOCKED')) this.commitLog.fail(error)
      throw error
    }
  }

  /** Drawn before an edit's files are written, so that two edits under way cannot share one. */
  #takeEditId(): number {
    this.#nextEditId = Math.max(this.#nextEditId, this.catalog.ids.edit)
    return this.#nextEditId++
  }

  #takeSegmentIds(count: number): number[] {
    const first = this.#nextSegmentId
    this.#nextSegmentId += count
    return Array.from({ length: count }, (_, index) => first + index)
  }

  #deletions: Promise<void> = Promise.resolve()

  /** Deletes files of segments that nobody needs; resolves when they are gone. A file that cannot be deleted now is an orphan at the next opening. */
  deleteDoomed(): Promise<void> {
    this.leases.collect()
    const paths = this.manifest.takeDoomed()
    if (paths.length === 0) return this.#deletions
    // Without a sync of the folder: names come back at worst, and are swept at the next opening.
    this.#deletions = this.#deletions.then(async () => {
      for (const path of paths) await this.#environment.files.remove(path).catch(() => undefined) // as above
    })
    return this.#deletions
  }
}
