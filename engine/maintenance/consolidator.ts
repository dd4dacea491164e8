/**
 * The consolidator: keeps the number of segments small and gives space back.
 *
 *   1. parts that nobody can read any more (below their log's start) are dropped; a segment without parts goes at once
 *   2. small and mostly dead segments are merged, as `pick.ts` decides, by the merge task in the worker
 *   3. one edit replaces the parts: new segments in, old parts out; durable before anything is deleted
 *   4. the catalog view follows, then files that no lease pins are deleted
 * Compaction by key and merging of a store's runs (`run-compaction.ts`) take the same way with other groups. Runs that are worth a file of their own are
 * merged by run compaction alone; step 2 moves them only out of a mostly dead segment. Smaller ones share segments, and step 2 merges those that it
 * finds adjacent.
 *
 * Owned by the database. One merge at a time, of runs and of segments in turn; a merge whose sources changed meanwhile (dropped, reset, trimmed) keeps those changes: what was
 * dropped during the merge is dropped in its outputs too.
 */
import type { Catalog } from '../catalog/catalog.ts'
import { segmentFileName } from '../catalog/manifest.ts'
import { packRow, type RowChange, rowKeys, type SegmentRow } from '../catalog/rows.ts'
import { type CompactionMessage, compactionChannel } from '../diagnostics.ts'
import type { Environment, Executor } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import { kindNumbers } from '../log/batch-kinds.ts'
import { columnOptionsOf } from '../log/column-options.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { bytesBefore, type PartRef } from '../log/parts.ts'
import { ProducerState, producerExpiryMs } from '../log/producer-state.ts'
import { SegmentDirectory } from '../segment/directory.ts'
import { PART_RUN, PART_TOPIC } from '../segment/format.ts'
import type { SegmentReader } from '../segment/reader.ts'
import type { FlushBytes } from './flush-room.ts'
import { filesMax, isOwn, type MergeGroup, type MergeInput, type MergeOutput, type MergePart } from './merge-task.ts'
import { pickSegments, type SegmentFacts } from './pick.ts'
import { RunCompaction, type RunCompactionHost } from './run-compaction.ts'

const deleteRetentionMsDefault = 24 * 3600 * 1000
const compactionMapBytes = 64 * 1024 * 1024
/**
 * A merge of this many times `ownSegmentBytes` gets a second worker: flushes, which writers wait for, do not queue behind it. Steps over the bottom are smaller,
 * and take turns with flushes: a third busy thread would take its time from the one that writes and reads.
 */
const ownWorkerFactor = 128

export interface ConsolidatorHost extends RunCompactionHost {
  readonly environment: Environment
  readonly executor: Executor
  readonly folder: string
  readonly closing: boolean
  edit(rows: readonly RowChange[]): Promise<void>
  takeSegmentIds(count: number): number[]
  takeEditId(): number
  updateView(): Promise<void>
  /** Resolves when the files are gone. */
  deleteDoomed(): Promise<void>
}

export interface ConsolidatorCounters {
  readonly merges: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly failures: number
  readonly runCompactions: number
  readonly runBytesIn: number
  readonly runBytesOut: number
  /** Runs that were dropped without being read. */
  readonly runsDropped: number
}

export class Consolidator {
  readonly #host: ConsolidatorHost
  #queue: Promise<void> = Promise.resolve()
  /** Tasks behind the one that runs. */
  #waiting = 0
  #woken = false
  #stopped = false
  #lastError: VarveError | undefined
  /** The second worker, while there is something to merge. */
  #ownExecutor: Executor | undefined
  readonly #counters = { merges: 0, bytesIn: 0, bytesOut: 0, failures: 0 }
  /** What is merged in store logs, and how much it was. */
  readonly runs: RunCompaction

  constructor(host: ConsolidatorHost) {
    this.#host = host
    this.runs = new RunCompaction(host)
  }

  /** `merges`, `bytesIn`, `bytesOut` count all merges; `run…` those of run compaction, bodies only. */
  get counters(): ConsolidatorCounters {
    return { ...this.#counters, ...this.runs.counters }
  }

  get lastError(): VarveError | undefined {
    return this.#lastError
  }

  /** Looks for work in the background. Failures are counted and tried again at the next wake. */
  wake(): void {
    if (this.#woken || this.#stopped) return
    this.#woken = true
    this.#enqueue(async () => {
      this.#woken = false
      // Under steady writes there is always something to merge: who waits comes in between.
      try {
        await this.#untilQuiet(() => this.#waiting > 0)
      } finally {
        if (this.#waiting === 0) await this.#closeExecutor()
      }
      if (this.#waiting > 0) this.wake()
    }).catch(error => {
      this.#counters.failures++
      this.#lastError = error instanceof VarveError ? error : new VarveError('TASK_FAILED', 'consolidation failed', { cause: error })
    })
  }

  /**
   * Resolves when the stores have room on the disk for what is flushed next, or when merges cannot help. What waits is the flush, one small merge after the
   * other; `onStep` is called behind each.
   */
  async untilRoom(flushBytesOf: FlushBytes, onStep: () => void): Promise<void> {
    while (!this.#stopped && this.runs.room.isBehind(flushBytesOf)) {
      try {
        if (!(await this.#enqueue(() => this.#relieve(flushBytesOf)))) return
        onStep()
      } catch {
        return // counted where it is tried again; writes go on
      }
    }
  }

  async #relieve(flushBytesOf: FlushBytes): Promise<boolean> {
    const groups = this.runs.relief(flushBytesOf)
    if (groups.length > 0) await this.#merge(groups)
    return groups.length > 0
  }

  /** Merges until there is nothing worth merging. */
  run(): Promise<void> {
    return this.#enqueue(async () => {
      try {
        await this.#untilQuiet()
      } finally {
        if (this.#waiting === 0) await this.#closeExecutor()
      }
    })
  }

  /** Drops parts that nobody can read any more, now. */
  reclaim(): Promise<void> {
    return this.#enqueue(() => this.#dropInvisible())
  }

  /** Compacts a topic log by key, its records below `endOffset`, or brings all runs of a store log to its bottom, without garbage. */
  compact(log: LogicalLog, deleteRetentionMs: number | undefined, endOffset: number = Number.MAX_SAFE_INTEGER): Promise<void> {
    if (!(Number.isSafeInteger(endOffset) && endOffset >= 0)) {
      throw new RangeError(`endOffset must be a non-negative integer, got ${endOffset}`)
    }
    if (deleteRetentionMs !== undefined && !(Number.isFinite(deleteRetentionMs) && deleteRetentionMs >= 0)) {
      throw new RangeError(`deleteRetentionMs must be a non-negative number, got ${deleteRetentionMs}`)
    }
    if (log.kind === 'topic' && log.definition.cleanup !== 'compact') {
      throw new TypeError(`log ${log.name} was not defined with cleanup: 'compact'`)
    }
    return this.#enqueue(() =>
      log.kind === 'topic' ? this.#compactTopic(log, deleteRetentionMs ?? deleteRetentionMsDefault, endOffset) : this.#mergeRuns(log),
    )
  }

  /** Waits for what runs; nothing more begins. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#queue
    await this.#closeExecutor()
  }

  async #closeExecutor(): Promise<void> {
    const executor = this.#ownExecutor
    this.#ownExecutor = undefined
    await executor?.close()
  }

  #enqueue<T>(run: () => Promise<T>): Promise<T> {
    this.#waiting++
    const result = this.#queue.then(() => {
      this.#waiting--
      if (this.#stopped) throw new VarveError('CLOSED', 'the database is closed')
      return run()
    })
    this.#queue = result.then(
      () => undefined,
      () => undefined,
    ) // the caller has the rejection; the queue only orders
    return result
  }

  async #untilQuiet(isEnough: () => boolean = () => false): Promise<void> {
    await this.#dropInvisible()
    /** Segments that would come out of a merge as they went in. */
    const hopeless = new Set<number>()
    while (!this.#stopped) {
      const runs = this.runs.next()
      if (runs.length > 0) await this.#merge(runs)
      if (this.#stopped || isEnough()) return
      const facts = this.#factsOfSegments(hopeless)
      const picked = new Set(pickSegments(facts))
      if (picked.size === 0) {
        if (runs.length === 0) return
        continue
      }
      const groups = this.#groupsOf(picked)
      if (groups.length > 0 && this.#isWorthwhile(picked, facts, groups)) await this.#merge(groups)
      else for (const id of picked) hopeless.add(id)
    }
  }

  #factsOfSegments(hopeless: ReadonlySet<number>): SegmentFacts[] {
    const facts: SegmentFacts[] = []
    for (const { id, reader, row, liveBytes } of this.#host.manifest.live()) {
      if (hopeless.has(id)) continue
      const { directory } = reader
      let partBytes = 0
      let hiddenBytes = 0
      let hasLargeRun = false
      for (let part = 0; part < directory.partCount; part++) {
        const bytes = directory.byteCount(part)
        partBytes += bytes
        if (directory.type(part) === PART_TOPIC && !row.dropped.includes(part)) hiddenBytes += this.#hiddenBytes(reader, id, part)
        if (directory.type(part) === PART_RUN && bytes >= this.#host.ownSegmentBytes && !row.dropped.includes(part)) hasLargeRun = true
      }
      if (hasLargeRun && liveBytes * 2 >= partBytes) continue
      // Where nothing can be read any more a part is left for the state of its producers: a merge keeps that alone.
      const readableBytes = liveBytes > 0 ? Math.max(1, liveBytes - hiddenBytes) : 0
      facts.push({ id, bytes: reader.bytes, liveBytes: readableBytes, partBytes })
    }
    return facts
  }

  /** Of a part of a topic that begins below its log's start: bytes that a merge leaves out. */
  #hiddenBytes(reader: SegmentReader, segmentId: number, part: number): number {
    const log = this.#host.logs.existing(reader.directory.logId(part))
    if (log === undefined || log.trimmedTo <= reader.directory.firstOffset(part)) return 0
    const found = log.parts.find(ref => ref.segmentId === segmentId && ref.part === part)
    return found === undefined ? 0 : bytesBefore(found, log.trimmedTo)
  }

  /**
   * A merge gives space back or halves the number of segments. Large logs, and parts that are not adjacent, keep segments of their own, so that many
   * small segments may come out as many small segments, for ever.
   */
  #isWorthwhile(picked: ReadonlySet<number>, facts: readonly SegmentFacts[], groups: readonly MergeGroup[]): boolean {
    const sources = facts.filter(({ id }) => picked.has(id))
    if (sources.some(({ liveBytes, partBytes }) => liveBytes > 0 && liveBytes * 2 < partBytes)) return true
    const own = groups.filter(group => group.bytes >= this.#host.ownSegmentBytes).length
    const outputs = own + (own < groups.length ? 1 : 0)
    return outputs * 2 <= sources.length
  }

  /** Step 1. */
  async #dropInvisible(): Promise<void> {
    const { manifest, logs, catalog } = this.#host
    const rows: RowChange[] = []
    const ends = new Map<LogicalLog, number>()
    for (const { id, reader, row } of manifest.live()) {
      const dropped = new Set(row.dropped)
      const { directory } = reader
      for (let part = 0; part < directory.partCount; part++) {
        if (dropped.has(part)) continue
        const log = logs.get(directory.logId(part))
        if (log !== undefined && (directory.type(part) === PART_RUN || directory.endOffset(part) > log.trimmedTo)) continue
        // The last part carries the state of the producers: it goes when another one does, or when that has expired.
        const last = log?.parts.at(-1)
        if (last?.type === PART_TOPIC && last.segmentId === id && last.part === part && this.#hasProducers(last)) continue
        dropped.add(part)
        if (log !== undefined) ends.set(log, log.flushedEnd)
      }
      // A merge whose sources were all dropped meanwhile has left a segment without parts.
      if (dropped.size === row.dropped.length && dropped.size < directory.partCount) continue
      rows.push({ key: rowKeys.segment(id), value: dropped.size === directory.partCount ? null : packRow(withDropped(row, dropped)) })
    }
    if (rows.length === 0) return
    for (const log of ends.keys()) log.keepEpoch()
    for (const [log, end] of ends) rows.push(this.#stateRow(catalog, log, { endOffset: end }))
    await this.#replace(rows, [...ends.keys()])
  }

  #hasProducers({ reader, part }: PartRef): boolean {
    const bytes = reader.batchIndex(part).producerState()
    if (bytes === undefined) return false
    const state = ProducerState.fromBytes(bytes)
    state.expire(this.#host.environment.clock.now() - producerExpiryMs)
    return !state.isEmpty
  }

  #stateRow(catalog: Catalog, log: LogicalLog, change: { endOffset?: number; cleanedTo?: number }): RowChange {
    const before = catalog.state(log.id) ?? { startOffset: 0, resetLsn: 0, endOffset: 0, epoch: 0 }
    const epoch = Math.max(before.epoch, log.epochOfParts())
    return { key: rowKeys.state(log.id), value: packRow({ ...before, epoch, ...change }) }
  }

  /** One group per log, type and adjacent range of the live parts in these segments. */
  #groupsOf(picked: ReadonlySet<number>): MergeGroup[] {
    const ids = new Set<number>()
    for (const { id, reader } of this.#host.manifest.live()) {
      if (!picked.has(id)) continue
      for (let part = 0; part < reader.directory.partCount; part++) ids.add(reader.directory.logId(part))
    }
    const groups: MergeGroup[] = []
    for (const id of [...ids].sort((a, b) => a - b)) {
      const log = this.#host.logs.get(id)
      if (log === undefined || !this.runs.canRead(log)) continue
      for (const type of new Set(log.parts.map(part => part.type))) {
        if (type === PART_RUN) {
          groups.push(
            ...this.runs.groupsOf(
              log,
              log.parts.filter(part => part.type === type && picked.has(part.segmentId)),
            ),
          )
          continue
        }
        let run: PartRef[] = []
        const flush = (): void => {
          if (run.length > 0) groups.push(this.#group(log, type, run))
          run = []
        }
        // Adjacent among all parts of the log: a part outside the pick ends the run, so that no merged part spans a hole.
        for (const part of log.parts) {
          if (part.type !== type) continue
          if (picked.has(part.segmentId)) run.push(part)
          else flush()
        }
        flush()
      }
    }
    return groups
  }

  #group(log: LogicalLog, type: number, parts: readonly PartRef[]): MergeGroup {
    return {
      logId: log.id,
      name: log.name,
      kind: kindNumbers[log.kind],
      type,
      versioned: log.definition.versioned === true,
      firstOffset: Math.min(...parts.map(part => part.firstOffset)),
      endOffset: Math.max(...parts.map(part => part.endOffset)),
      parts: parts.map(({ segmentId, part }) => ({ segmentId, part })),
      startOffset: log.trimmedTo,
      columns: type === PART_TOPIC ? columnOptionsOf(log) : undefined,
      bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    }
  }

  async #compactTopic(log: LogicalLog, deleteRetentionMs: number, endOffset: number): Promise<void> {
    await this.#dropInvisible()
    for (;;) {
      const parts = log.parts.filter(part => part.type === PART_TOPIC)
      if (parts.length === 0) return
      // What was cleaned before may be cleaned again: its tombstones may go now.
      const end = Math.min(log.flushedEnd, log.lastStableOffset, Math.max(endOffset, log.cleanedTo))
      const dirtyStart = Math.min(log.cleanedTo, end)
      const group = {
        ...this.#group(log, PART_TOPIC, parts),
        compact: { dirtyStart, end, deleteRetentionMs, mapBytes: compactionMapBytes, aborted: log.abortedInTail() },
      }
      const output = await this.#merge([group])
      const cleanedTo = output?.cleaned[0]?.end ?? end
      if (cleanedTo >= end || this.#stopped) return
    }
  }

  async #mergeRuns(log: LogicalLog): Promise<void> {
    const next = this.runs.wholeLog(log)
    try {
      for (let group = next(); group !== undefined && !this.#stopped; group = next()) await this.#merge([group])
    } finally {
      if (this.#waiting === 0) await this.#closeExecutor()
    }
  }

  /** Steps 2 to 4. */
  async #merge(groups: readonly MergeGroup[]): Promise<MergeOutput | undefined> {
    const { catalog, manifest, folder, environment } = this.#host
    const startedMs = environment.clock.monotonic()
    const sourceIds = [...new Set(groups.flatMap(group => group.parts.map(part => part.segmentId)))]
    const own = groups.filter(group => isOwn(group, this.#host.ownSegmentBytes))
    const segmentIds = this.#host.takeSegmentIds(own.reduce((sum, group) => sum + filesMax(group), 1))
    const editId = this.#host.takeEditId()
    const input: MergeInput = {
      folder,
      databaseId: catalog.database?.id ?? new Uint8Array(8),
      editId,
      segmentIds,
      paths: segmentIds.map(id => `${folder}/${segmentFileName(id)}`),
      sources: sourceIds.map(id => ({ id, path: `${folder}/${segmentFileName(id)}` })),
      groups,
      ownSegmentBytes: this.#host.ownSegmentBytes,
      seed: environment.random.uint32(),
    }
    const generations = new Map(groups.map(({ logId }) => [logId, this.#host.logs.existing(logId)?.generation]))
    const bytes = groups.reduce((sum, group) => sum + group.bytes, 0)
    const isLarge = bytes >= this.#host.ownSegmentBytes * ownWorkerFactor
    if (isLarge) this.#ownExecutor ??= environment.createExecutor()
    const executor = (isLarge ? this.#ownExecutor : undefined) ?? this.#host.executor
    for (const id of sourceIds) manifest.pin(id)
    let output: MergeOutput
    try {
      output = await executor.run<MergeOutput>({ kind: 'merge', input })
      await manifest.prepare(output.segments)
    } finally {
      for (const id of sourceIds) manifest.unpin(id)
    }
    const rows = this.#mergedRows(groups, output)
    rows.push({ key: rowKeys.ids, value: packRow({ ...catalog.ids, edit: Math.max(catalog.ids.edit, editId + 1) }) })
    const logs = groups.map(group => this.#host.logs.existing(group.logId)).filter(log => log !== undefined)
    for (const { logId, end } of output.cleaned) {
      const log = this.#host.logs.existing(logId)
      // A log that was reset meanwhile begins anew: nothing of it is clean.
      if (log !== undefined && log.generation === generations.get(logId)) rows.push(this.#stateRow(catalog, log, { cleanedTo: end }))
    }
    this.#counters.merges++
    this.#counters.bytesIn += output.bytesIn
    const bytesOut = output.segments.reduce((sum, segment) => sum + segment.bytes, 0)
    this.#counters.bytesOut += bytesOut
    try {
      await this.#replace(rows, logs)
    } catch (error) {
      await manifest.discard(output.segments)
      throw error
    }
    this.runs.done(groups, output)
    if (compactionChannel.hasSubscribers) {
      const { bytesIn } = output
      compactionChannel.publish({ database: folder, ...describe(groups), bytesIn, bytesOut, ms: environment.clock.monotonic() - startedMs })
    }
    return output
  }

  /** Segment rows after the merge. What was dropped from the sources while the merge ran is dropped from the outputs. */
  #mergedRows(groups: readonly MergeGroup[], output: MergeOutput): RowChange[] {
    const { catalog } = this.#host
    const rows: RowChange[] = []
    const goneBySegment = new Map<number, Set<number>>()
    const voidGroups: MergeGroup[] = []
    for (const group of groups) {
      const replaced = group.replaced ?? group.parts
      const isLive = ({ segmentId, part }: MergePart): boolean => catalog.segment(segmentId)?.dropped.includes(part) === false
      if (![...group.parts, ...replaced].every(isLive)) voidGroups.push(group)
      for (const { segmentId, part } of replaced) {
        const gone = goneBySegment.get(segmentId) ?? new Set<number>()
        gone.add(part)
        goneBySegment.set(segmentId, gone)
      }
    }
    for (const [id, gone] of goneBySegment) {
      const row = catalog.segment(id)
      if (row === undefined) continue
      const dropped = new Set([...row.dropped, ...gone])
      rows.push({ key: rowKeys.segment(id), value: dropped.size === row.parts ? null : packRow(withDropped(row, dropped)) })
    }
    for (const segment of output.segments) {
      const directory = new SegmentDirectory(segment.directory)
      const dropped: number[] = []
      for (let part = 0; part < directory.partCount; part++) {
        const isVoid = voidGroups.some(
          group =>
            group.logId === directory.logId(part) && group.type === directory.type(part) && group.endOffset === directory.endOffset(part),
        )
        if (isVoid) dropped.push(part)
      }
      const row: SegmentRow = { bytes: segment.bytes, footer: segment.footerChecksum, parts: segment.partCount, dropped }
      rows.push({ key: rowKeys.segment(segment.segmentId), value: packRow(row) })
    }
    return rows
  }

  async #replace(rows: readonly RowChange[], logs: readonly LogicalLog[]): Promise<void> {
    const { manifest, catalog } = this.#host
    const durable = this.#host.edit(rows)
    // In the turn of the edit, so that nobody sees rows and parts that do not agree.
    manifest.sync(catalog.segments())
    for (const log of new Set(logs)) if (!log.dropped) log.partsChanged()
    await durable
    await this.#host.updateView()
    // The next merge's output must not come on top of what this one replaced.
    await this.#host.deleteDoomed()
  }
}

/** What kind of merge this is, for observers. */
function describe(groups: readonly MergeGroup[]): Pick<CompactionMessage, 'kind' | 'logs' | 'level'> {
  const logs = [...new Set(groups.map(group => group.name))]
  if (groups.some(group => group.compact !== undefined)) return { kind: 'topic', logs, level: undefined }
  const runs = groups.filter(group => group.isCompaction === true || group.isEmpty === true)
  if (runs.length === 0) return { kind: 'segments', logs, level: undefined }
  return { kind: 'runs', logs, level: Math.max(...runs.map(group => group.level ?? 0)) }
}

function withDropped(row: SegmentRow, dropped: ReadonlySet<number>): SegmentRow {
  return { ...row, dropped: [...dropped].sort((a, b) => a - b) }
}
