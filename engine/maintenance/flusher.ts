/**
 * The flusher: moves full arenas into segments, in order, one batch of arenas at a time, and gives their files back.
 *
 *   1. everything in the arenas is made durable
 *   2. what must not be flushed (above an owner's high watermark) is *carried*: appended again at the head with its offsets and epochs
 *   3. a worker writes the segments
 *   4. one edit of the system log makes them live and moves the flush point; it is durable, and all carried batches before it with it
 *   5. the logs exchange tail for parts
 *   6. the catalog view follows; only then files are recycled and deleted, so that an older view never names what is gone
 * Steps 1 to 4 may fail (disk full): nothing has changed then, partial files are gone, and the flush is tried again later.
 *
 * Owned by the database; all decisions are on the owner's thread, all I/O of step 3 and 6 in the worker.
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { LogTable } from '../catalog/log-table.ts'
import { type Manifest, segmentFileName } from '../catalog/manifest.ts'
import { packRow, type RowChange, rowKeys } from '../catalog/rows.ts'
import { INDEX_BYTES, INDEX_COLUMNS, INDEX_LOG_ID } from '../commit-log/arena.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { TailFile } from '../commit-log/tail-file.ts'
import { Deferred } from '../commit-log/ticket.ts'
import { flushChannel } from '../diagnostics.ts'
import type { Environment, Executor } from '../env/environment.ts'
import { assert, typedError, VarveError } from '../errors.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { arenaNumberOf } from '../log/tail.ts'
import { SegmentDirectory } from '../segment/directory.ts'
import { PART_RUN } from '../segment/format.ts'
import type { SegmentSummary } from '../segment/writer.ts'
import type { FlushInput, FlushOutput } from './flush.ts'
import { FlushPlan, flushOutputsMax } from './flush-plan.ts'
import type { FlushBytes } from './flush-room.ts'
import type { ViewInput } from './view.ts'

const retryDelayMs = 1000
/** Arenas that one flush takes at most: bounds the memory of a segment's index and the time until the first file is free again. */
const arenasPerFlushMax = 4
/**
 * A flush of less than this share of a full commit-log file waits for more: the files of a young database are small, and each flush costs several syncs, which the
 * frames written meanwhile wait for.
 */
const flushShareMin = 1 / 5

/** What the flusher needs of its database. */
export interface FlusherHost {
  readonly environment: Environment
  readonly executor: Executor
  readonly folder: string
  readonly catalogFolder: string
  readonly commitLog: CommitLog
  readonly catalog: Catalog
  readonly manifest: Manifest
  readonly logs: LogTable
  readonly ownSegmentBytes: number
  /** Size of a full commit-log file. */
  readonly commitLogFileBytes: number
  readonly closing: boolean
  /** Appends an edit of the system log, applies it, resolves when durable. Passes the bounds of back-pressure. */
  edit(rows: readonly RowChange[]): Promise<void>
  /** Appends the tail batches from index `from` on that lie in these arenas again, at the head. Returns how many. */
  carry(log: LogicalLog, from: number, arenas: ReadonlySet<number>): number
  takeSegmentIds(count: number): number[]
  /** Never the same twice within one opening. */
  takeEditId(): number
  /** Segment rows changed: something may be worth merging, something may be deleted. */
  segmentsChanged(): void
  /** A metadata slot that is to be stored together with what is flushed of the log. */
  slotOf(log: LogicalLog): { readonly slot: string; readonly value: Uint8Array } | undefined
  /** Waits for merges where stores would take too much space with this flush, calling `onStep` as they go on. */
  untilRoom(flushBytesOf: FlushBytes, onStep: () => void): Promise<void>
  /** Sequences of stores that must stay readable, ascending. */
  snapshots(): readonly number[]
  /** See `RunViews.keepSinceOf`. */
  keepSinceOf(log: LogicalLog): number | undefined
  /** Whether the stores have room for a flush. */
  hasRoom(flushBytesOf: FlushBytes): boolean
  /** Throws LOCKED when somebody else took the folder (its lock file was deleted by hand). */
  checkLock(): Promise<void>
}

function asTaskFailure(error: unknown): VarveError {
  if (error instanceof VarveError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new VarveError('TASK_FAILED', `flushing failed: ${message}`, { cause: error })
}

export class Flusher {
  readonly #host: FlusherHost
  #running: Promise<void> | undefined
  /** Resolves when the flush under way has ended well; made when somebody waits for it. */
  #flushed: Deferred | undefined
  #view: Promise<void> = Promise.resolve()
  #cancelRetry: (() => void) | undefined
  /** Arenas up to this number are flushed even if most of their bytes have to be carried. */
  #forcedTo = 0
  #lastError: VarveError | undefined
  #stopped = false
  readonly counters = { flushes: 0, flushedBytes: 0, carriedBatches: 0, failures: 0 }
  /** Bytes of the runs that were written, by log. */
  readonly runBytesByLog: Map<number, number> = new Map()

  constructor(host: FlusherHost) {
    this.#host = host
  }

  get lastError(): VarveError | undefined {
    return this.#lastError
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** Flushes sealed arenas in the background until there are none. */
  wake(): void {
    const { commitLog } = this.#host
    if (this.#stopped || this.#running !== undefined || commitLog.poison !== undefined || commitLog.tails[0]?.sealed !== true) return
    // Not in this turn: the commit log calls from the middle of opening its next arena.
    this.#running = Promise.resolve()
      .then(() => this.#loop())
      .finally(() => {
        this.#running = undefined
        this.#host.commitLog.relieve()
      })
  }

  /** Resolves when the arenas that are sealed now are flushed; rejects with the error that prevents it. */
  async drain(): Promise<void> {
    const target = this.#host.commitLog.tails.findLast(tail => tail.sealed)?.arena.number
    if (target === undefined) return
    this.#forcedTo = Math.max(this.#forcedTo, target)
    while (this.#host.commitLog.tails.some(tail => tail.sealed && tail.arena.number <= target)) {
      if (this.#stopped) throw new VarveError('CLOSED', 'the database is closed')
      this.#cancelRetry?.()
      this.#cancelRetry = undefined
      this.#lastError = undefined
      this.wake()
      // Under steady writes there is always something more to flush: the loop may never end.
      this.#flushed ??= new Deferred()
      await Promise.race([this.#running, this.#flushed.promise])
      const error = this.#lastError as VarveError | undefined
      if (error !== undefined) throw error
      if (this.#host.commitLog.poison !== undefined) throw this.#host.commitLog.poison
    }
  }

  /** Waits for a flush under way; starts no other. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelRetry?.()
    await this.#running
  }

  async #loop(): Promise<void> {
    for (;;) {
      const { tails } = this.#host.commitLog
      let count = 0
      while (count < arenasPerFlushMax && tails[count]?.sealed === true) count++
      if (count === 0 || this.#isTooSmall(tails.slice(0, count))) return
      // Where space is short it is one arena at a time: what a flush writes comes on top of what lies there.
      await this.#host.untilRoom(bytesByLog(tails.slice(0, 1)), () => this.#host.commitLog.relieveHeld())
      if (count > 1 && !this.#host.hasRoom(bytesByLog(tails.slice(0, count)))) count = 1
      if (this.#stopped) return
      const batch = tails.slice(0, count)
      if (!this.#isWorthwhile(batch)) return
      try {
        await this.#flush(batch)
        this.#lastError = undefined
        this.#flushed?.resolve()
        this.#flushed = undefined
      } catch (error) {
        this.counters.failures++
        this.#lastError = asTaskFailure(typedError(error, this.#host.folder, 'flushing'))
        if (this.#host.commitLog.poison === undefined && !this.#host.closing) {
          this.#cancelRetry = this.#host.environment.timers.after(retryDelayMs, () => this.wake())
        }
        return
      }
    }
  }

  #isTooSmall(tails: readonly TailFile[]): boolean {
    const { commitLog, commitLogFileBytes } = this.#host
    if (commitLog.stalled || (tails[0]?.arena.number ?? 0) <= this.#forcedTo || tails.length === arenasPerFlushMax) return false
    return usedBytes(tails) < Math.min(commitLogFileBytes * flushShareMin, commitLog.sealBytes)
  }

  /**
   * False while most bytes of the arenas lie above their owners' high watermarks: flushing would only carry them to the head, which fills the next
   * arenas with the same bytes, for ever. They wait for the watermark then; a stall, `drain` and a small share to carry override it.
   */
  #isWorthwhile(tails: readonly TailFile[]): boolean {
    const first = tails[0]
    if (first === undefined || first.arena.number <= this.#forcedTo) return true
    const numbers = new Set(tails.flatMap(tail => [tail.arena.number, ...tail.staged.map(staged => staged.arena.number)]))
    let carried = 0
    for (const log of this.#touchedLogs(tails)) {
      if (!log.mayHoldBack) continue
      for (let i = log.flushable(); i < log.tail.length; i++) if (numbers.has(arenaNumberOf(log.tail.slot(i)))) carried += log.tail.bytes(i)
    }
    const used = usedBytes(tails)
    return carried * 2 < used || (this.#host.commitLog.stalled && carried * 8 < used * 7)
  }

  async #flush(tails: readonly TailFile[]): Promise<void> {
    const { commitLog, catalog } = this.#host
    // An earlier attempt may have come as far as the edit: what lies below the flush point is in segments.
    const unflushed = tails.filter(tail => tail.endLsn > catalog.flush.lsn)
    if (unflushed.length > 0) await this.#tellMove(unflushed)
    await this.updateView()
    for (const tail of tails) await commitLog.release(tail)
    this.#host.segmentsChanged()
  }

  /** Steps 1 to 5, told to whoever listens. */
  async #tellMove(tails: readonly TailFile[]): Promise<void> {
    const { environment, folder: database } = this.#host
    const tailBytes = usedBytes(tails)
    const startedMs = environment.clock.monotonic()
    const told = { database, tailBytes, segments: 0, segmentBytes: 0, error: undefined }
    if (flushChannel.hasSubscribers) flushChannel.publish({ ...told, phase: 'start', ms: 0 })
    try {
      const segments = await this.#moveToSegments(tails)
      if (!flushChannel.hasSubscribers) return
      const ms = environment.clock.monotonic() - startedMs
      flushChannel.publish({ ...told, phase: 'end', segments: segments.length, segmentBytes: bytesOfSegments(segments), ms })
    } catch (error) {
      if (flushChannel.hasSubscribers) {
        const ms = environment.clock.monotonic() - startedMs
        flushChannel.publish({ ...told, phase: 'failed', ms, error: asTaskFailure(typedError(error, database, 'flushing')) })
      }
      throw error
    }
  }

  /** Steps 1 to 5. Returns the segments written. */
  async #moveToSegments(tails: readonly TailFile[]): Promise<readonly SegmentSummary[]> {
    const { commitLog, catalog, executor } = this.#host
    await this.#host.checkLock()
    // An arena may have been sealed empty (a commit that needed it failed); it knows no checksum of its own.
    const last = tails.findLast(tail => tail.endLsn > tail.arena.baseLsn)
    assert(last !== undefined, 'what is not flushed holds frames', tails.length)
    const point = last.endLsn
    if (commitLog.durableLsn < point) await commitLog.syncAll()
    const arenas = tails.flatMap(tail => [tail.arena, ...tail.staged.map(staged => staged.arena)])
    const numbers = new Set(arenas.map(arena => arena.number))
    const touched = this.#touchedLogs(tails)

    const plan = new FlushPlan()
    const counts = new Map<LogicalLog, FlushedCount>()
    // Before anything is written: a machine that cannot be stored must not leave segments behind at each try.
    const snapshots: RowChange[] = []
    for (const log of touched) {
      const count = this.#countOf(log, numbers, last.endLsn)
      this.counters.carriedBatches += log.mayHoldBack ? this.#host.carry(log, count, numbers) : 0
      if (count === 0) continue
      counts.set(log, { count, generation: log.generation })
      const snapshot = log.takeSnapshot()
      if (snapshot !== undefined) snapshots.push({ key: rowKeys.meta(log.id, snapshot.slot), value: snapshot.value })
      const stored = this.#host.slotOf(log)
      if (stored !== undefined) snapshots.push({ key: rowKeys.meta(log.id, stored.slot), value: stored.value })
      plan.add(log, log.tail.endOffset(count - 1), this.#host.keepSinceOf(log) !== undefined)
    }

    let output: FlushOutput = { segments: [], producers: [] }
    const editId = this.#host.takeEditId()
    if (plan.size > 0) {
      const bytes = arenas.reduce((sum, arena) => sum + arena.used, 0)
      const segmentIds = this.#host.takeSegmentIds(flushOutputsMax(plan.size, bytes, plan.firstRuns, this.#host.ownSegmentBytes))
      const input: FlushInput = {
        folder: this.#host.folder,
        paths: segmentIds.map(id => `${this.#host.folder}/${segmentFileName(id)}`),
        segmentIds,
        editId,
        databaseId: catalog.database?.id ?? new Uint8Array(8),
        arenas: arenas.map(arena => arena.viewNow()),
        logs: plan.pack(),
        ownSegmentBytes: this.#host.ownSegmentBytes,
        // Of this turn: a later snapshot sees all that lies in sealed arenas.
        snapshots: this.#host.snapshots(),
      }
      output = await executor.run<FlushOutput>({ kind: 'flush', input })
      await this.#host.manifest.prepare(output.segments)
    }
    const durable = this.#host.edit([
      ...this.#rows(output.segments, last, editId, counts),
      ...snapshots.filter(row => this.#isLive(row, counts)),
    ])
    if (catalog.flush.lsn === last.endLsn) {
      // In the turn of the edit, so that nobody sees rows, parts and tails that do not agree. What the segments hold is durable either way.
      const producers = new Map(output.producers.map(entry => [entry.logId, entry.bytes]))
      this.#host.manifest.sync(catalog.segments())
      for (const [log, { count, generation }] of counts) {
        if (!log.dropped && log.generation === generation) log.flushed(count, producers.get(log.id) ?? null)
      }
    }
    try {
      await durable
    } finally {
      // The edit did not come about: its segments are nobody's.
      if (catalog.flush.lsn < last.endLsn) await this.#host.manifest.discard(output.segments)
    }
    this.counters.flushes++
    this.counters.flushedBytes += bytesOfSegments(output.segments)
    for (const segment of output.segments) this.#countParts(new SegmentDirectory(segment.directory))
    return output.segments
  }

  #countParts(directory: SegmentDirectory): void {
    for (let part = 0; part < directory.partCount; part++) {
      if (directory.type(part) !== PART_RUN) continue
      const logId = directory.logId(part)
      this.runBytesByLog.set(logId, (this.runBytesByLog.get(logId) ?? 0) + directory.byteCount(part))
    }
  }

  /**
   * Brings the catalog view on disk up to the catalog in memory. One change at a time: a change that was taken behind one that then fails would
   * record edits as applied that are not in the view.
   */
  updateView(): Promise<void> {
    const result = this.#view.then(() => this.#changeView())
    this.#view = result.catch(() => undefined) // the caller has the rejection; the chain only orders
    return result
  }

  async #changeView(): Promise<void> {
    const { catalog, executor, logs, manifest } = this.#host
    const systemLog = logs.get(0) as LogicalLog
    // Only durable edits may enter the view: a view that knows more than the log would survive what the log does not.
    while (systemLog.durableOffset < systemLog.endOffset) await this.#host.commitLog.syncAll()
    const doomed = manifest.doomed()
    const { change, rows } = catalog.takeViewChange(systemLog.endOffset)
    const input: ViewInput = { folder: this.#host.catalogFolder, change }
    try {
      await executor.run({ kind: 'view', input })
    } catch (error) {
      catalog.returnViewChange(rows)
      throw error
    }
    manifest.forgotten(doomed)
  }

  /** Logs with batches in these arenas, ascending by id. */
  #touchedLogs(tails: readonly TailFile[]): LogicalLog[] {
    const seen = new Uint8Array(this.#host.catalog.ids.log)
    for (const tail of tails) {
      for (const arena of [tail.arena, ...tail.staged.map(staged => staged.arena)]) {
        const { index, indexCount } = arena
        for (let at = INDEX_LOG_ID; at < indexCount * INDEX_COLUMNS; at += INDEX_COLUMNS) seen[index[at] as number] = 1
      }
    }
    const found: LogicalLog[] = []
    for (let id = 0; id < seen.length; id++) {
      const log = seen[id] === 1 ? this.#host.logs.existing(id) : undefined
      if (log !== undefined) found.push(log)
    }
    return found
  }

  /** How many batches from the head of the log's tail are flushed with these arenas. */
  #countOf(log: LogicalLog, numbers: ReadonlySet<number>, endLsn: number): number {
    const { tail } = log
    // Everything in these arenas is durable. Without an owner it is released too, and lies in order of commits (arenas of staged commits do not).
    if (!log.mayHoldBack) return tail.countBelow(endLsn)
    const flushable = log.flushable()
    let count = 0
    while (count < flushable && numbers.has(arenaNumberOf(tail.slot(count)))) count++
    return count
  }

  /** False for a snapshot of a log that was dropped or reset while the worker wrote. */
  #isLive(row: RowChange, counts: ReadonlyMap<LogicalLog, FlushedCount>): boolean {
    for (const [log, { generation }] of counts) {
      if (row.key.startsWith(rowKeys.meta(log.id, ''))) return !log.dropped && log.generation === generation
    }
    return false
  }

  #rows(segments: readonly SegmentSummary[], last: TailFile, editId: number, counts: ReadonlyMap<LogicalLog, FlushedCount>): RowChange[] {
    const { catalog } = this.#host
    // Logs that were dropped or reset while the worker wrote: their parts are void from the start.
    const isVoid = (log: LogicalLog, generation: number): boolean => log.dropped || log.generation !== generation
    const gone = new Set([...counts].filter(([log, { generation }]) => isVoid(log, generation)).map(([log]) => log.id))
    const rows: RowChange[] = segments.map(segment => ({
      key: rowKeys.segment(segment.segmentId),
      value: packRow({
        bytes: segment.bytes,
        footer: segment.footerChecksum,
        parts: segment.partCount,
        dropped: partsOfLogs(segment, gone),
      }),
    }))
    rows.push({ key: rowKeys.flush, value: packRow({ lsn: last.endLsn, checksum: last.lastChecksum, sequence: last.lastSequence }) })
    rows.push({ key: rowKeys.ids, value: packRow({ ...catalog.ids, edit: Math.max(catalog.ids.edit, editId + 1) }) })
    for (const [log, { count, generation }] of counts) {
      if (isVoid(log, generation)) continue
      const epoch = log.tail.epoch(count - 1)
      if (log.kind === 'store' && log.definition.body !== true && epoch > 0) {
        const state = catalog.state(log.id)
        rows.push({ key: rowKeys.state(log.id), value: packRow({ startOffset: 0, endOffset: 0, resetLsn: 0, ...state, epoch }) })
      }
    }
    return rows
  }
}

/** How many tail batches of a log a flush takes, and which incarnation of the log they are of. */
interface FlushedCount {
  readonly count: number
  readonly generation: number
}

/** Counted when it is asked for: most flushes are far from any bound. */
function bytesByLog(tails: readonly TailFile[]): FlushBytes {
  let sums: Float64Array | undefined
  return logId => {
    sums ??= sumByLog(tails)
    return sums[logId] ?? 0
  }
}

function sumByLog(tails: readonly TailFile[]): Float64Array {
  let sums = new Float64Array(64)
  for (const tail of tails) {
    for (const { index, indexCount } of [tail.arena, ...tail.staged.map(staged => staged.arena)]) {
      for (let at = 0; at < indexCount * INDEX_COLUMNS; at += INDEX_COLUMNS) {
        const logId = index[at + INDEX_LOG_ID]!
        if (logId >= sums.length) {
          const larger = new Float64Array(logId * 2)
          larger.set(sums)
          sums = larger
        }
        sums[logId]! += index[at + INDEX_BYTES]!
      }
    }
  }
  return sums
}

function usedBytes(tails: readonly TailFile[]): number {
  return tails.reduce((sum, tail) => tail.staged.reduce((part, staged) => part + staged.arena.used, sum + tail.arena.used), 0)
}

function bytesOfSegments(segments: readonly SegmentSummary[]): number {
  return segments.reduce((sum, segment) => sum + segment.bytes, 0)
}

function partsOfLogs(segment: SegmentSummary, logIds: ReadonlySet<number>): number[] {
  if (logIds.size === 0) return []
  const directory = new SegmentDirectory(segment.directory)
  const parts: number[] = []
  for (let part = 0; part < directory.partCount; part++) if (logIds.has(directory.logId(part))) parts.push(part)
  return parts
}
