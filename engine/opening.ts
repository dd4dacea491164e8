/**
 * Opening: everything that happens before there is a database object, and what only that needs.
 *
 *   1. `prepareFolder` refuses what is not a database and creates what is missing, with durable names
 *   2. the catalog view gives definitions, segments and the flush point
 *   3. the commit log is recovered from the flush point; its entries become tails, truncations and edits
 *   4. what lies in segments already is taken out of the tails; what nothing names is listed for removal
 * Nothing on disk is changed before the commit log was found to be sound.
 */
import { Catalog } from './catalog/catalog.ts'
import { LogTable } from './catalog/log-table.ts'
import { Manifest, parseSegmentName } from './catalog/manifest.ts'
import { CATALOG_FORMAT, packRow, type RowChange, rowKeys, SYSTEM_LOG_ID } from './catalog/rows.ts'
import type { Arena } from './commit-log/arena.ts'
import type { CommitLog } from './commit-log/commit-log.ts'
import { type RecoveredCommitLog, recoverCommitLog } from './commit-log/recovery.ts'
import type { Environment } from './env/environment.ts'
import { assert, corrupt, ioError, isVarveError, VarveError } from './errors.ts'
import type { Committed, Committer, Durability } from './log/log.ts'
import type { LogHost, LogicalLog } from './log/logical-log.ts'
import type { ResolvedOptions } from './options.ts'

export const catalogFolderName: string = 'catalog'
export const lockFileName: string = 'lock'
/** The file that a catalog view keeps its rows in, in every environment. */
const catalogFileName = 'data.mdb'

/** What happens before there is a database object: everything that only opening needs. */
export class Opening {
  readonly catalog: Catalog = new Catalog()
  readonly manifest: Manifest
  readonly logs: LogTable
  readonly logHost: LogHost
  readonly catalogFolder: string
  readonly #folder: string
  readonly #options: ResolvedOptions
  readonly #environment: Environment
  recovered!: RecoveredCommitLog
  orphans: string[] = []
  nextSegmentId = 1
  #arenas = new Map<number, Arena>()
  #commitLog: CommitLog | undefined
  #commit: Committer['commit'] | undefined
  #released: () => void = () => undefined
  #resetLog: ((log: LogicalLog, offset: number, durability: Durability | undefined) => Committed) | undefined

  constructor(folder: string, options: ResolvedOptions, environment: Environment) {
    this.#folder = folder
    this.#options = options
    this.#environment = environment
    this.catalogFolder = `${folder}/${catalogFolderName}`
    this.manifest = new Manifest(environment.files, folder)
    const opening = this
    this.logHost = {
      arenaOf: number => opening.#arenaOf(number),
      get durableLsn() {
        return opening.#commitLog?.durableLsn ?? Number.MAX_SAFE_INTEGER
      },
      get writtenLsn() {
        return opening.#commitLog?.writtenLsn ?? Number.MAX_SAFE_INTEGER
      },
      get poisoned() {
        return opening.#commitLog?.poison !== undefined
      },
      assertOpen: () => {
        if (opening.#commitLog?.isClosed === true) throw new VarveError('CLOSED', 'the database is closed')
      },
      commit: (write, commitOptions) => (opening.#commit as Committer['commit'])(write, commitOptions),
      metadataOf: logId => opening.catalog.metadata(logId),
      cleanedTo: logId => opening.catalog.state(logId)?.cleanedTo ?? 0,
      resetLog: (log, offset, durability) => {
        assert(opening.#resetLog !== undefined, 'the database is open')
        return opening.#resetLog(log, offset, durability)
      },
      partsOf: logId => opening.manifest.partsOf(logId),
      watch: log => {
        opening.logs.watched.add(log)
      },
      released: () => opening.#released(),
      fail: error => opening.#commitLog?.fail(error),
      place: gathering => opening.#commitLog?.place(gathering),
    }
    this.logs = new LogTable(this.logHost, this.catalog, this.manifest)
  }

  #arenaOf(number: number): Arena {
    const arena = this.#commitLog?.arena(number) ?? this.#arenas.get(number)
    assert(arena !== undefined, 'a slot names a living arena', number)
    return arena
  }

  bind(
    commitLog: CommitLog,
    commit: Committer['commit'],
    resetLog: (log: LogicalLog, offset: number, durability: Durability | undefined) => Committed,
    released: () => void,
  ): void {
    this.#released = released
    this.#commitLog = commitLog
    this.#commit = commit
    this.#resetLog = resetLog
    this.#arenas.clear()
  }

  async run(): Promise<void> {
    const { files } = this.#environment
    const names = await files.list(this.#folder)
    await this.#loadView(names)
    await this.#settle()
    this.manifest.sync(this.catalog.segments())
    const replay = this.logs.replay(arena => `${this.#folder} (commit log, arena ${arena.number})`)
    this.recovered = await recoverCommitLog(
      this.#environment,
      this.#folder,
      this.catalog.flush,
      this.catalog.flush.sequence,
      this.#options.commitLogFileBytesFirst,
      {
        frame: (frame, arena) => {
          this.#arenas.set(arena.number, arena)
          replay.frame(frame, arena)
        },
        entry: (kind, flags, logId, arena, start, end) => {
          this.#arenas.set(arena.number, arena)
          replay.entry(kind, flags, logId, arena, start, end)
        },
        finish: () => {
          replay.finish()
          this.#checkSystemLog()
        },
      },
    )
    this.manifest.sync(this.catalog.segments())
    this.#dropFlushed()
    if (this.catalog.database === undefined) await this.#settleFolder()
    const segmentIds = names.map(parseSegmentName).filter(id => id !== undefined)
    if (this.catalog.database === undefined && segmentIds.length > 0) {
      throw new VarveError('CORRUPT', `${this.#folder}: the catalog is missing, but there are segments; run \`varve repair\``, {
        details: { file: this.catalogFolder },
      })
    }
    this.orphans = segmentIds
      .filter(id => this.catalog.segment(id) === undefined && this.manifest.reader(id) === undefined)
      .map(id => this.#pathOf(names, id))
    this.nextSegmentId = Math.max(0, ...segmentIds, ...this.catalog.segments().map(([id]) => id)) + 1
    if (this.catalog.database !== undefined && this.#options.errorIfExists) {
      throw new VarveError('EXISTS', `${this.#folder}: a database exists here (errorIfExists)`, { details: { file: this.#folder } })
    }
    if (this.catalog.database === undefined && !this.#options.createIfMissing) {
      throw new VarveError('NOT_A_DATABASE', `${this.#folder}: the database does not exist (createIfMissing is false)`, {
        details: { file: this.#folder },
      })
    }
  }

  /**
   * The catalog view's rows. A view that cannot be read is made anew when there is no segment yet: then everything the database knows lies in the
   * commit log, and the view was being created when the machine died. Otherwise it is damage, for `varve repair`.
   */
  async #loadView(names: readonly string[]): Promise<void> {
    const { catalogs } = this.#environment
    if (!names.includes(catalogFolderName) && names.some(name => parseSegmentName(name) !== undefined)) {
      throw new VarveError(
        'CORRUPT',
        `${this.catalogFolder}: the catalog is missing, but there are segments; run \`varve repair ${this.#folder}\``,
        {
          details: { file: this.catalogFolder },
        },
      )
    }
    const load = async (): Promise<void> => {
      const view = await catalogs.open(this.catalogFolder)
      try {
        this.catalog.load(view.rows())
      } finally {
        await view.close()
      }
    }
    try {
      await load()
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT') || names.some(name => parseSegmentName(name) !== undefined)) throw error
      await catalogs.remove(this.catalogFolder)
      // An empty one takes its place at once: segments without a view are damage, and the first flush writes its segments before the view.
      await load()
    }
  }

  /**
   * A process that was killed may have left a view and names that the operating system shows and the disk does not have. What follows builds
   * on them (files of the past are recycled and deleted), so they are made durable first. A sync of the view would not do: where one has failed
   * before, the system holds the bytes for clean and does not write them again. So the view is copied.
   */
  async #settle(): Promise<void> {
    const { files } = this.#environment
    const path = `${this.catalogFolder}/${catalogFileName}`
    const copy = `${path}.tmp`
    try {
      const stat = await files.stat(path)
      if (stat !== undefined) {
        const bytes = new Uint8Array(stat.size)
        const file = await files.open(path, 'read')
        try {
          await file.read(bytes, 0)
        } finally {
          await file.close()
        }
        if ((await files.stat(copy)) !== undefined) await files.remove(copy)
        const fresh = await files.open(copy, 'create')
        try {
          await fresh.write(bytes, 0)
          await fresh.sync()
        } finally {
          await fresh.close()
        }
        await files.rename(copy, path)
        await files.syncDirectory(this.catalogFolder)
      }
      await files.syncDirectory(this.#folder)
    } catch (error) {
      throw ioError(error, path, 'making the catalog durable')
    }
  }

  /** Before the first commit: the folder may be older than its name on the disk, whoever made it. */
  async #settleFolder(): Promise<void> {
    for (let path = this.#folder; parentOf(path) !== path; path = parentOf(path)) {
      // A parent that may not be opened was not made by us; its names are the business of whoever made it.
      await this.#environment.files.syncDirectory(parentOf(path)).catch(() => undefined)
    }
  }

  /** Only durable edits enter the view. So a system log that ends below what the view has says that durable bytes of the commit log are gone. */
  #checkSystemLog(): void {
    const { viewApplied } = this.catalog
    const actual = this.logs.get(SYSTEM_LOG_ID)?.endOffset ?? 0
    if (actual < viewApplied) {
      const details = { expected: viewApplied, actual }
      throw corrupt(
        'the commit log ends before edits that the catalog has',
        `${this.#folder} (commit log)`,
        this.catalog.flush.lsn,
        details,
      )
    }
  }

  #pathOf(names: readonly string[], id: number): string {
    return `${this.#folder}/${names.find(name => parseSegmentName(name) === id)}`
  }

  /** Tail batches below the flush point lie in segments already: an edit in the tail said so after the view was written. */
  #dropFlushed(): void {
    const point = this.catalog.flush.lsn
    for (const log of this.logs.values()) {
      let count = 0
      while (count < log.tail.length && log.tail.lsn(count) < point) count++
      log.flushed(count, undefined)
    }
  }

  firstRows(): RowChange[] {
    const { random, clock } = this.#environment
    const id = new Uint8Array(8)
    new DataView(id.buffer).setUint32(0, random.uint32(), true)
    new DataView(id.buffer).setUint32(4, random.uint32(), true)
    return [
      { key: rowKeys.database, value: packRow({ format: CATALOG_FORMAT, id, createdMs: clock.now() }) },
      { key: rowKeys.ids, value: packRow(this.catalog.ids) },
    ]
  }

  /** Opening failed: closes what was opened. */
  async giveUp(): Promise<void> {
    this.manifest.close()
    const start = this.recovered as RecoveredCommitLog | undefined
    for (const tail of start?.start.tails ?? []) {
      await tail.file?.plain.close().catch(() => undefined) // the opening's own error is the one to report
      await tail.file?.dsync?.close().catch(() => undefined)
    }
  }
}

/** The folder that a path lies in. */
function parentOf(path: string): string {
  const trimmed = path.replace(/\/+$/, '')
  const slash = trimmed.lastIndexOf('/')
  if (slash < 0) return '.'
  return slash === 0 ? '/' : trimmed.slice(0, slash)
}

export async function prepareFolder(folder: string, options: ResolvedOptions, environment: Environment): Promise<void> {
  const { files } = environment
  let stat: Awaited<ReturnType<typeof files.stat>>
  try {
    stat = await files.stat(folder)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOTDIR')
      throw new VarveError('NOT_A_DATABASE', `${folder}: a part of the path is a file`, { cause: error, details: { file: folder } })
    throw ioError(error, folder, 'looking at the folder')
  }
  if (stat !== undefined && !stat.isDirectory)
    throw new VarveError('NOT_A_DATABASE', `${folder}: is a file, not a folder`, { details: { file: folder } })
  if (stat !== undefined) {
    const names = await files.list(folder).catch(error => Promise.reject(ioError(error, folder, 'listing the folder')))
    const known = (name: string): boolean =>
      name.startsWith(lockFileName) ||
      name === catalogFolderName ||
      name === 'damaged' ||
      /^(commit|staged|spare)-\d+\.log(\.tmp)?$/.test(name) ||
      /^segment-\d+\.seg(\.tmp)?$/.test(name)
    const foreign = names.find(name => !known(name))
    if (foreign !== undefined && !names.includes(catalogFolderName)) {
      throw new VarveError('NOT_A_DATABASE', `${folder}: holds files that are not of a database (${foreign})`, {
        details: { file: `${folder}/${foreign}` },
      })
    }
    if (names.length > 0) return
  }
  if (!options.createIfMissing)
    throw new VarveError('NOT_A_DATABASE', `${folder}: the database does not exist (createIfMissing is false)`, {
      details: { file: folder },
    })
  try {
    // Every folder that is created on the way must have a durable name, or power loss takes the database with it.
    const created: string[] = []
    for (let path = folder; (await files.stat(path)) === undefined; path = parentOf(path)) created.push(path)
    await files.makeDirectory(folder)
    for (const path of created.reverse()) await files.syncDirectory(parentOf(path))
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code === 'ENOTDIR' || code === 'EEXIST')
      throw new VarveError('NOT_A_DATABASE', `${folder}: a part of the path is a file`, { cause: error, details: { file: folder } })
    throw ioError(error, folder, 'creating the folder')
  }
}
