/**
 * Compaction of store logs: decides what the consolidator merges next among their runs, and what such a merge may leave out.
 *
 * Owned by the consolidator, which writes the merges and makes them live. Stores take turns (`next` goes on behind the log it served last), so that a
 * busy store cannot starve others; merges too small for a file of their own go together into one. Runs that nobody can see are dropped without being
 * read: an empty run takes their place, so that the log's parts still cover its offsets and the file says which parts it replaced.
 * The bottom of a store is merged in steps over regions of its keys (`bottom-level.ts`), each an edit of its own, so that neither the disk nor a waiting
 * task ever sees a store written twice.
 *
 * What may be left out is asked when the merge is begun. A snapshot that is taken while it runs sees everything in it: all records merged are older
 * than the database's sequence at the beginning (asserted), and a snapshot sees no less than what was committed when it was taken.
 */

import { StoreRecordCursor } from '../batch/store-record.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { LogTable } from '../catalog/log-table.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { CODEC_NONE, codecNameOf, isCodecInstalled } from '../codec/compression.ts'
import { assert } from '../errors.ts'
import { kindNumbers } from '../log/batch-kinds.ts'
import { blockCodecOf } from '../log/block-codec.ts'
import { columnOptionsOf } from '../log/column-options.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { PartRef } from '../log/parts.ts'
import { SegmentDirectory } from '../segment/directory.ts'
import { PART_RUN } from '../segment/format.ts'
import { compareBytes } from '../segment/key-range.ts'
import type { RunIndex } from '../segment/part-index.ts'
import { indexOf, isNeeded, isPiece, type Region, rangeOf, regionsOf, runsOf, stepOver, sumOf } from './bottom-level.ts'
import { type DroppableRun, pickDrops } from './drop-runs.ts'
import { type FlushBytes, FlushRoom } from './flush-room.ts'
import type { RunMergeOptions } from './merge-runs.ts'
import type { MergeGroup, MergeOutput, MergePart } from './merge-task.ts'
import {
  cutBytesOf,
  levelBottom,
  levelOf,
  overlap,
  pickRuns,
  pieceBytesMinOf,
  pieceBytesOf,
  type RegionFacts,
  type RunFacts,
  type RunPickOptions,
  runPickDefaults,
} from './pick-runs.ts'
import { overwrittenShare } from './space-debt.ts'

/** What merges of store logs need to know of those who read them. */
export interface RunViews {
  /** Sequences that must stay readable in a log, ascending; a moment `s` sees the records with a sequence <= s. */
  snapshotsOf(logId: number): readonly number[]
  /** Every moment of a log that sees this sequence or a later one must stay readable; undefined: the snapshots alone. */
  keepSinceOf(log: LogicalLog): number | undefined
  /** A merge is begun in this turn that keeps of the log what it must since `keepSince`: earlier moments, snapshots aside, are gone. */
  dropsBefore(log: LogicalLog, keepSince: number): void
  /** The earliest clock, ms, by which a view may judge what has expired. */
  expiryClock(): number
  /** Whether expired records of the log are dropped by merges; false for one with a history, whose earlier moments have earlier clocks. */
  mayDropExpired(logId: number): boolean
}

export interface RunCompactionHost extends RunViews {
  readonly catalog: Catalog
  readonly manifest: Manifest
  readonly logs: LogTable
  readonly ownSegmentBytes: number
  readonly commitLog: { readonly sequence: number }
}

/** Small merges that go together into one output. */
const sharedGroupsMax = 4096
const sharedBytesMax = 64 * 1024 * 1024
/** Range deletes of one run whose reach is estimated. */
const estimatedMax = 64
/** A compaction of a whole log takes the bytes of so many pieces at once. */
const wholeLogPieces = 4

export class RunCompaction {
  readonly counters = { runCompactions: 0, runBytesIn: 0, runBytesOut: 0, runsDropped: 0 }
  /** By level of the result, bytes. */
  readonly bytesInByLevel: number[] = new Array(levelBottom + 1).fill(0)
  readonly bytesOutByLevel: number[] = new Array(levelBottom + 1).fill(0)
  /** Bytes of compactions by log. */
  readonly bytesByLog: Map<number, { in: number; out: number }> = new Map()
  /** What merges leave to flushes. */
  readonly room: FlushRoom
  readonly #host: RunCompactionHost
  readonly #options: RunPickOptions
  /** Logs whose parts were looked at, with the parts there were: nothing to do until they change. */
  readonly #settled = new WeakMap<LogicalLog, readonly PartRef[]>()
  /** Parts when the log was first looked at. Indexes are read only of logs that changed since: others may be many, and nobody uses them. */
  readonly #first = new WeakMap<LogicalLog, readonly PartRef[]>()
  /** Codecs that were asked for since `next` or `heldBack` began: looking for one that is missing takes time. */
  readonly #isInstalled = new Map<number, boolean>()
  /** Missing codecs of runs that were to be merged, by id of the log. */
  readonly #held = new Map<number, number>()
  /** The log that got the last merge of its own. */
  #served = -1

  constructor(host: RunCompactionHost) {
    this.#host = host
    const ownBytes = host.ownSegmentBytes
    this.#options = { ...runPickDefaults, ownBytes, pieceBytesMin: pieceBytesMinOf(ownBytes) }
    this.room = new FlushRoom(host, this.#options, log => this.#isInUse(log))
  }

  /** The next merge: at most one of its own file, and small ones; empty when there is nothing to do. It is to be begun in this turn. */
  next(): MergeGroup[] {
    this.#isInstalled.clear()
    const candidates = this.#candidates()
    const pivot = candidates.findIndex(id => id > this.#served)
    const ordered = pivot <= 0 ? candidates : [...candidates.slice(pivot), ...candidates.slice(0, pivot)]
    const groups: MergeGroup[] = []
    let hasOwn = false
    let sharedBytes = 0
    for (const id of ordered) {
      const log = this.#host.logs.get(id)
      if (log === undefined || this.#settled.get(log) === log.parts || !this.canRead(log)) continue
      const dropped = this.#dropsOf(log)
      if (dropped.length > 0) {
        groups.push(...dropped)
        continue
      }
      const group = this.#pick(log)
      if (group === undefined) {
        // What expires or is released later is seen when the parts change.
        this.#settled.set(log, log.parts)
        continue
      }
      const missing = this.#missingCodec(log)
      if (missing !== undefined) {
        this.#held.set(id, missing)
        continue
      }
      this.#held.delete(id)
      const isOwn = group.bytes >= this.#options.ownBytes
      if (isOwn ? hasOwn : groups.length >= sharedGroupsMax || sharedBytes + group.bytes > sharedBytesMax) continue
      if (isOwn) {
        hasOwn = true
        this.#served = id
      } else sharedBytes += group.bytes
      groups.push(group)
    }
    return groups.sort((a, b) => a.logId - b.logId || a.firstOffset - b.firstOffset)
  }

  /** False for a log whose codec is not installed: its runs stay as they are, and those of other logs are merged. */
  canRead(log: LogicalLog): boolean {
    return this.#hasCodec(blockCodecOf(log.definition))
  }

  /** Logs that are not merged because a codec is not installed, with the codec. From definitions, and from indexes of what was to be merged. */
  heldBack(): { readonly log: string; readonly codec: string }[] {
    this.#isInstalled.clear()
    const found: { log: string; codec: string }[] = []
    for (const definition of this.#host.catalog.definitions()) {
      if (definition.kind !== 'store') continue
      const codec = this.#hasCodec(blockCodecOf(definition)) ? this.#held.get(definition.id) : blockCodecOf(definition)
      if (codec !== undefined) found.push({ log: definition.name, codec: codecNameOf(codec) ?? String(codec) })
    }
    return found
  }

  /** A codec that is not installed, in which blocks of the log's runs are: from before its option was changed. */
  #missingCodec(log: LogicalLog): number | undefined {
    for (const run of runsOf(log)) for (const codec of indexOf(run).codecs) if (!this.#hasCodec(codec)) return codec
    return undefined
  }

  #hasCodec(codec: number): boolean {
    if (codec === CODEC_NONE) return true
    let isInstalled = this.#isInstalled.get(codec)
    if (isInstalled === undefined) this.#isInstalled.set(codec, (isInstalled = isCodecInstalled(codec)))
    return isInstalled
  }

  /**
   * Brings everything that the log holds now to the bottom, without garbage: gives one group after the other, each to be begun in the turn in which it is
   * asked for, when the one before is live.
   */
  wholeLog(log: LogicalLog): () => MergeGroup | undefined {
    const end = runsOf(log).reduce((offset, run) => Math.max(offset, run.endOffset), 0)
    /** Keys below were gone over; undefined: none. */
    let done: Uint8Array | undefined
    let isDone = false
    return () => {
      if (isDone) return undefined
      const runs = runsOf(log)
      const regions = regionsOf(runs)
      if (regions === undefined || regions.length === 0) {
        isDone = true
        const only = runs[0]
        const isClean = only === undefined || (runs.length === 1 && !this.#hasGarbage(log, only))
        return isClean ? undefined : this.#bottomOf(log, runs)
      }
      const above = runs.filter(run => !isPiece(run))
      const mustMerge = (region: Region | undefined): boolean => {
        if (region === undefined || (done !== undefined && (region.range.from === undefined || compareBytes(region.range.from, done) < 0)))
          return false
        if (region.piece !== undefined && this.#hasGarbage(log, region.piece)) return true
        return region.endOffset < end && above.some(run => isNeeded(run, region))
      }
      const first = regions.findIndex(mustMerge)
      isDone = first < 0
      if (isDone) return undefined
      const stepBytes = wholeLogPieces * this.#pieceBytesOf(regions)
      let last = first
      for (let bytes = regions[first]!.bytes; bytes < stepBytes && mustMerge(regions[last + 1]); bytes += regions[last]!.bytes) last++
      done = regions[last]?.range.to
      isDone = done === undefined
      return this.#stepOf(log, regions, first, last + 1)
    }
  }

  /** Parts of a log that lie in segments which are rewritten, as groups. The merge is to be begun in this turn. */
  groupsOf(log: LogicalLog, parts: readonly PartRef[]): MergeGroup[] {
    const runs = runsOf(log)
    if (parts.length === runs.length && runs.some(isPiece)) return [this.#bottomOf(log, runs)]
    const groups: MergeGroup[] = []
    let adjacent: PartRef[] = []
    const close = (): void => {
      if (adjacent.length > 0) groups.push(this.#groupOf(log, adjacent))
      adjacent = []
    }
    for (const run of runs) {
      if (isPiece(run)) {
        if (parts.includes(run)) groups.push({ ...this.#groupOf(log, [run]), range: rangeOf(run) })
      } else if (parts.includes(run)) adjacent.push(run)
      else close()
    }
    close()
    return groups
  }

  /** Adjacent runs above the bottom, oldest first, or one piece, as they are. */
  #groupOf(log: LogicalLog, runs: readonly PartRef[]): MergeGroup {
    const first = runs[0] as PartRef
    const last = runs.at(-1) as PartRef
    const bytes = runs.reduce((sum, part) => sum + part.bytes, 0)
    const all = runsOf(log)
    // Pieces have nothing below them; without pieces the oldest run has not.
    const holdsOldest = isPiece(first) || (isSame(first, all[0]) && !all.some(isPiece))
    return this.#group(log, runs, { level: levelOf(runs), firstOffset: first.firstOffset, endOffset: last.endOffset, bytes, holdsOldest })
  }

  /** These runs, the oldest data among them, as a bottom: all keys in one step. */
  #bottomOf(log: LogicalLog, runs: readonly PartRef[]): MergeGroup {
    const bytes = runs.reduce((sum, part) => sum + part.bytes, 0)
    const firstOffset = runs.reduce((offset, run) => Math.min(offset, run.firstOffset), Number.POSITIVE_INFINITY)
    const endOffset = runs.reduce((offset, run) => Math.max(offset, run.endOffset), 0)
    const group = this.#group(log, runs, { level: levelBottom, firstOffset, endOffset, bytes, holdsOldest: true })
    return { ...group, range: {}, ...this.#cut(bytes, bytes), isCompaction: true }
  }

  #stepOf(log: LogicalLog, regions: readonly Region[], first: number, end: number): MergeGroup {
    const { range, read, replaced, pieceBytes, newsBytes, firstOffset, endOffset } = stepOver(regions, first, end, runsOf(log))
    const bytes = pieceBytes + newsBytes
    const group = this.#group(log, read, { level: levelBottom, firstOffset, endOffset, bytes, holdsOldest: true })
    const cut = this.#cut(bytes, Math.max(bytes, sumOf(regions)))
    return { ...group, replaced: replaced.map(mergePartOf), range, newsBytes, ...cut, isCompaction: true }
  }

  /** In pieces of about the size that suits the bottom: never a small one behind a large one. */
  #cut(bytes: number, bottomBytes: number): { readonly pieceBytes?: number } {
    const { ownBytes, pieceBytesMin } = this.#options
    const pieceBytes = cutBytesOf(bytes, bottomBytes, ownBytes, pieceBytesMin)
    return pieceBytes === undefined ? {} : { pieceBytes }
  }

  #pieceBytesOf(regions: readonly Region[]): number {
    return pieceBytesOf(sumOf(regions), this.#options.pieceBytesMin)
  }

  #group(
    log: LogicalLog,
    runs: readonly PartRef[],
    result: Pick<MergeGroup, 'firstOffset' | 'endOffset' | 'bytes'> & { readonly level: number; readonly holdsOldest: boolean },
  ): MergeGroup {
    const { level, firstOffset, endOffset, bytes, holdsOldest } = result
    return {
      logId: log.id,
      name: log.name,
      kind: kindNumbers[log.kind],
      type: PART_RUN,
      level,
      codec: blockCodecOf(log.definition),
      columns: columnOptionsOf(log),
      versioned: log.definition.versioned === true,
      firstOffset,
      endOffset,
      parts: runs.map(mergePartOf),
      startOffset: 0,
      bytes,
      runs: this.#mergeOptions(log, runs, holdsOldest),
    }
  }

  /** Counts a merge that was made live. */
  done(groups: readonly MergeGroup[], output: MergeOutput): void {
    const { counters } = this
    const outputs = output.segments.map(segment => new SegmentDirectory(segment.directory))
    for (const group of groups) {
      if (group.isEmpty === true) counters.runsDropped += group.parts.length
      if (group.isCompaction !== true) continue
      const level = group.level ?? 0
      let bytes = 0
      for (const directory of outputs) {
        const end = directory.find(group.logId + 1)
        for (let part = directory.find(group.logId); part < end; part++) {
          if (directory.type(part) === PART_RUN && directory.endOffset(part) === group.endOffset) bytes += directory.byteCount(part)
        }
      }
      counters.runCompactions++
      const ofLog = this.bytesByLog.get(group.logId) ?? { in: 0, out: 0 }
      ofLog.in += group.bytes
      ofLog.out += bytes
      this.bytesByLog.set(group.logId, ofLog)
      counters.runBytesIn += group.bytes
      counters.runBytesOut += bytes
      this.bytesInByLevel[level] = (this.bytesInByLevel[level] ?? 0) + group.bytes
      this.bytesOutByLevel[level] = (this.bytesOutByLevel[level] ?? 0) + bytes
    }
  }

  /**
   * The next merge of a store that would take too much space if so much were flushed to it (see `space-debt.ts`), whether or not it is worth its cost otherwise;
   * empty when no store would, or when no merge helps. It is to be begun in this turn.
   */
  relief(flushBytesOf: FlushBytes): MergeGroup[] {
    for (const log of this.room.crowded(flushBytesOf)) {
      const group = this.canRead(log) ? this.#pick(log, true) : undefined
      if (group !== undefined) return [group]
    }
    return []
  }

  /** Ids of store logs that have enough in runs for a file of their own, or too many runs; ascending. From directories alone. */
  #candidates(): number[] {
    const { catalog, manifest } = this.#host
    const counts = new Uint32Array(catalog.ids.log)
    const bytes = new Float64Array(catalog.ids.log)
    for (const { reader, row } of manifest.live()) {
      const dropped = new Set(row.dropped)
      const { directory } = reader
      for (let part = 0; part < directory.partCount; part++) {
        if (directory.type(part) !== PART_RUN || dropped.has(part)) continue
        const id = directory.logId(part)
        counts[id]!++
        bytes[id]! += directory.byteCount(part)
      }
    }
    const found: number[] = []
    for (let id = 0; id < counts.length; id++) {
      if (counts[id]! > this.#options.runsAim || bytes[id]! >= this.#options.ownBytes) found.push(id)
    }
    return found
  }

  #mergeOptions(log: LogicalLog, runs: readonly PartRef[], holdsOldest: boolean): RunMergeOptions {
    const snapshots = this.#host.snapshotsOf(log.id)
    let newest = -1
    for (const { reader, part, recordCount } of runs) if (recordCount > 0) newest = Math.max(newest, reader.directory.maxSequence(part))
    // A replicated log's sequences are its offsets.
    const sequence = log.ownsHighWatermark ? log.endOffset : this.#host.commitLog.sequence
    assert(newest < sequence, 'what is merged is older than every snapshot to come', newest, sequence)
    const keepSince = this.#host.keepSinceOf(log)
    if (keepSince !== undefined) this.#host.dropsBefore(log, keepSince)
    const kept = keepSince === undefined ? { snapshots } : { snapshots, keepSince }
    // In a versioned store something newer may arrive that is older by its version, and must stay hidden.
    if (!holdsOldest || log.definition.versioned === true) return kept
    const dropDeletes = { sequence: newest }
    if (!this.#host.mayDropExpired(log.id)) return { ...kept, dropDeletes }
    return { ...kept, dropDeletes, dropExpired: true, now: this.#host.expiryClock() }
  }

  /** What `pickRuns` says, as a group. `isUrgent`: for space, whatever it costs. */
  #pick(log: LogicalLog, isUrgent: boolean = false): MergeGroup | undefined {
    const runs = runsOf(log)
    const above = runs.filter(run => !isPiece(run)).reverse()
    const pieces = runs.filter(isPiece)
    // Whoever reads no index yet does not have to for a store that nothing is to be done for.
    if (!this.#isInUse(log) && pickRuns(this.#factsOf(log, above, pieces), [roughly(pieces)], this.#options) === undefined) return undefined
    const regions = regionsOf(runs)
    if (regions === undefined) return this.#bottomOf(log, runs)
    const pick = pickRuns(this.#factsOf(log, above, pieces), this.#regionFactsOf(log, regions), this.#options, isUrgent)
    if (pick === undefined) return undefined
    if (pick.reason === 'overlap') return this.#bottomOf(log, runs)
    if (pick.regions !== undefined) return this.#stepOf(log, regions, pick.regions.first, pick.regions.end)
    const picked = above.slice(pick.first, pick.end).reverse()
    if (pick.level === levelBottom) return this.#bottomOf(log, picked)
    return { ...this.#groupOf(log, picked), level: pick.level, isCompaction: true }
  }

  /** Groups that put an empty run in the place of adjacent ones that nobody sees. */
  #dropsOf(log: LogicalLog): MergeGroup[] {
    const runs = runsOf(log).reverse()
    if (log.definition.versioned === true || !this.#isInUse(log)) return []
    const ordered = [...runs.filter(run => !isPiece(run)), ...runs.filter(isPiece)]
    if (overlap(runs.filter(run => !isPiece(run))) || regionsOf(runs) === undefined) return []
    const indexes = ordered.map(indexOf)
    const mayExpire = this.#host.mayDropExpired(log.id) && indexes.some(index => index.facts().expiring > 0)
    if (!mayExpire && indexes.every(index => index.rangeDeletes.length === 0)) return []
    const droppable = ordered.map(({ reader, part, recordCount }, i): DroppableRun => {
      const { smallestKey, largestKey, rangeDeletes } = indexes[i] as RunIndex
      const { pointers, expiring, maxExpiry } = (indexes[i] as RunIndex).facts()
      const minSequence = reader.directory.minSequence(part)
      const maxSequence = reader.directory.maxSequence(part)
      return { records: recordCount, pointers, expiring, maxExpiry, minSequence, maxSequence, smallestKey, largestKey, rangeDeletes }
    })
    const expiryClock = mayExpire ? this.#host.expiryClock() : undefined
    const groups: MergeGroup[] = []
    let adjacent: PartRef[] = []
    const close = (): void => {
      if (adjacent.length > 0) groups.push({ ...this.#groupOf(log, adjacent.reverse()), isEmpty: true, bytes: 0 })
      adjacent = []
    }
    const keepSince = this.#host.keepSinceOf(log)
    const drops = new Set(pickDrops(droppable, { snapshots: this.#host.snapshotsOf(log.id), keepSince, expiryClock }))
    for (const [i, run] of ordered.entries()) {
      if (isPiece(run)) {
        close()
        if (drops.has(i)) groups.push({ ...this.#groupOf(log, [run]), range: rangeOf(run), isEmpty: true, bytes: 0 })
      } else if (drops.has(i)) adjacent.push(run)
      else close()
    }
    close()
    return groups
  }

  /** `above` newest first. Without pieces the oldest run stands for the bottom. */
  #factsOf(log: LogicalLog, above: readonly PartRef[], pieces: readonly PartRef[]): RunFacts[] {
    const isKnown = this.#isInUse(log)
    const oldest = above.findLast(run => run.recordCount > 0)
    const bottom = pieces.some(piece => piece.recordCount > 0) ? pieces : oldest === undefined ? [] : [oldest]
    return above.map((run, i) => {
      const { level, bytes, recordCount: records, firstOffset, endOffset } = run
      const facts = { level, bytes, records, firstOffset, endOffset }
      if (!isKnown || records === 0) return { ...facts, deletes: 0, coveredBytes: 0, expired: 0, overwrites: 1 }
      const index = indexOf(run)
      const coveredBytes = bottom.includes(run) ? 0 : coveredBytesOf(index, bottom)
      const older = above.slice(i + 1).filter(({ recordCount }) => recordCount > 0)
      const overwrites = overwrittenShare(run, index, pieces, older.map(indexOf))
      return { ...facts, deletes: index.facts().deletes, coveredBytes, expired: this.#expiredOf(log, run, index), overwrites }
    })
  }

  #regionFactsOf(log: LogicalLog, regions: readonly Region[]): RegionFacts[] {
    return regions.map(({ piece, bytes, endOffset }) => {
      const records = piece?.recordCount ?? 0
      const expired = piece === undefined || records === 0 || !this.#isInUse(log) ? 0 : this.#expiredOf(log, piece, indexOf(piece))
      return { bytes, records, expired, endOffset }
    })
  }

  /** How many records of a run a merge could drop because they expired: as if expiries were spread evenly. */
  #expiredOf(log: LogicalLog, run: PartRef, index: RunIndex): number {
    const { expiring, minExpiry, maxExpiry } = index.facts()
    if (expiring === 0 || log.definition.versioned === true || !this.#host.mayDropExpired(log.id)) return 0
    const oldestView = this.#host.snapshotsOf(log.id)[0]
    if (oldestView !== undefined && oldestView < run.reader.directory.maxSequence(run.part)) return 0
    const clock = this.#host.expiryClock()
    if (clock < minExpiry) return 0
    return clock >= maxExpiry ? expiring : (expiring * (clock - minExpiry)) / (maxExpiry - minExpiry)
  }

  /** A store is open over the log, or it was flushed since this database was opened: its indexes are in memory or soon will be. */
  #isInUse(log: LogicalLog): boolean {
    const first = this.#first.get(log)
    if (first === undefined) this.#first.set(log, log.parts)
    return log.listener !== undefined || (first !== undefined && first !== log.parts)
  }

  /** Whether merging the log's only run could make it smaller. */
  #hasGarbage(log: LogicalLog, run: PartRef): boolean {
    const index = indexOf(run)
    const { puts, deletes, rangeDeletes, pointers } = index.facts()
    const keys = index.filter?.keyCount ?? 0
    if (keys < puts + deletes + pointers || deletes > 0 || rangeDeletes > 0 || this.#expiredOf(log, run, index) > 0) return true
    return isOtherwiseCompressed(index, blockCodecOf(log.definition))
  }
}

function mergePartOf({ segmentId, part }: PartRef): MergePart {
  return { segmentId, part }
}

/** The bottom by its directories alone. */
function roughly(pieces: readonly PartRef[]): RegionFacts {
  return { bytes: sumOf(pieces), records: pieces.reduce((sum, { recordCount }) => sum + recordCount, 0), expired: 0, endOffset: 0 }
}

/** Whether the run was written with another codec than its log has now. */
function isOtherwiseCompressed(index: RunIndex, codec: number): boolean {
  if (index.codecs.some(id => id !== codec)) return true
  return codec !== CODEC_NONE && !index.isCompressed && index.blockCount > 0
}

function isSame(left: PartRef | undefined, right: PartRef | undefined): boolean {
  return left !== undefined && right !== undefined && left.segmentId === right.segmentId && left.part === right.part
}

/** Bytes of the bottom's blocks that lie in range deletes of another run, by the fence keys. */
function coveredBytesOf(index: RunIndex, bottom: readonly PartRef[]): number {
  if (index.rangeDeletes.length === 0) return 0
  const cursor = new StoreRecordCursor()
  cursor.reset(index.rangeDeletes, 0, index.rangeDeletes.length)
  const most = sumOf(bottom)
  let bytes = 0
  for (let i = 0; i < estimatedMax && bytes < most && cursor.next(); i++) {
    for (const piece of bottom) {
      const below = indexOf(piece)
      const from = below.findFence(cursor.buffer, cursor.keyStart, cursor.keyBytes)
      const to = below.findFence(cursor.buffer, cursor.valueStart, cursor.valueBytes)
      // The last block may be covered in part only.
      if (to - 1 > from) bytes += below.position(to - 1) - below.position(from)
    }
  }
  return Math.min(bytes, most)
}
