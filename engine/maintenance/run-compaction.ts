/**
 * Compaction of store logs: decides what the consolidator merges next among their runs, and what such a merge may leave out.
 *
 * Owned by the consolidator, which writes the merges and makes them live. Stores take turns (`next` goes on behind the log it served last), so that a
 * busy store cannot starve others; merges too small for a file of their own go together into one. Runs that nobody can see are dropped without being
 * read: an empty run takes their place, so that the log's parts still cover its offsets and the file says which parts it replaced.
 *
 * What may be left out is asked when the merge is begun. A snapshot that is taken while it runs sees everything in it: all records merged are older
 * than the database's sequence at the beginning (asserted), and a snapshot sees no less than what was committed when it was taken.
 */

import { StoreRecordCursor } from '../batch/store-record.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { LogTable } from '../catalog/log-table.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { assert } from '../errors.ts'
import { kindNumbers } from '../log/batch-kinds.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { PartRef } from '../log/parts.ts'
import { SegmentDirectory } from '../segment/directory.ts'
import { PART_RUN } from '../segment/format.ts'
import type { RunIndex } from '../segment/part-index.ts'
import { type DroppableRun, pickDrops } from './drop-runs.ts'
import type { RunMergeOptions } from './merge-runs.ts'
import type { MergeGroup, MergeOutput } from './merge-task.ts'
import { levelBottom, levelOf, overlap, pickRuns, type RunFacts, type RunPickOptions, runPickDefaults } from './pick-runs.ts'

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

export class RunCompaction {
  readonly counters = { runCompactions: 0, runBytesIn: 0, runBytesOut: 0, runsDropped: 0 }
  /** By level of the result, bytes. */
  readonly bytesInByLevel: number[] = new Array(levelBottom + 1).fill(0)
  readonly bytesOutByLevel: number[] = new Array(levelBottom + 1).fill(0)
  /** Bytes of compactions by log. */
  readonly bytesByLog: Map<number, { in: number; out: number }> = new Map()
  readonly #host: RunCompactionHost
  readonly #options: RunPickOptions
  /** Logs whose parts were looked at, with the parts there were: nothing to do until they change. */
  readonly #settled = new WeakMap<LogicalLog, readonly PartRef[]>()
  /** Parts when the log was first looked at. Indexes are read only of logs that changed since: others may be many, and nobody uses them. */
  readonly #first = new WeakMap<LogicalLog, readonly PartRef[]>()
  /** The log that got the last merge of its own. */
  #served = -1

  constructor(host: RunCompactionHost) {
    this.#host = host
    this.#options = { ...runPickDefaults, ownBytes: host.ownSegmentBytes }
  }

  /** The next merge: at most one of its own file, and small ones; empty when there is nothing to do. It is to be begun in this turn. */
  next(): MergeGroup[] {
    const candidates = this.#candidates()
    const pivot = candidates.findIndex(id => id > this.#served)
    const ordered = pivot <= 0 ? candidates : [...candidates.slice(pivot), ...candidates.slice(0, pivot)]
    const groups: MergeGroup[] = []
    let hasOwn = false
    let sharedBytes = 0
    for (const id of ordered) {
      const log = this.#host.logs.get(id)
      if (log === undefined || this.#settled.get(log) === log.parts) continue
      const runs = runsOf(log).reverse()
      const dropped = overlap(runs) ? [] : this.#dropsOf(log, runs)
      if (dropped.length > 0) {
        groups.push(...dropped)
        continue
      }
      const pick = pickRuns(this.#factsOf(log, runs), this.#options)
      if (pick === undefined) {
        // What expires or is released later is seen when the parts change.
        this.#settled.set(log, log.parts)
        continue
      }
      const isOwn = pick.bytes >= this.#options.ownBytes
      if (isOwn ? hasOwn : groups.length >= sharedGroupsMax || sharedBytes + pick.bytes > sharedBytesMax) continue
      if (isOwn) {
        hasOwn = true
        this.#served = id
      } else sharedBytes += pick.bytes
      groups.push({ ...this.groupOf(log, runs.slice(pick.first, pick.end).reverse()), level: pick.level, isCompaction: true })
    }
    return groups.sort((a, b) => a.logId - b.logId || a.firstOffset - b.firstOffset)
  }

  /** All runs of a log as one; undefined when that would change nothing. */
  wholeLog(log: LogicalLog): MergeGroup | undefined {
    const runs = runsOf(log)
    const only = runs[0]
    if (only === undefined || (runs.length === 1 && !this.#hasGarbage(log, only))) return undefined
    return { ...this.groupOf(log, runs), level: levelBottom, isCompaction: true }
  }

  /** A group of adjacent runs of a log, oldest first, with what merging them may leave out. The merge is to be begun in this turn. */
  groupOf(log: LogicalLog, runs: readonly PartRef[]): MergeGroup {
    const first = runs[0] as PartRef
    return {
      logId: log.id,
      name: log.name,
      kind: kindNumbers[log.kind],
      type: PART_RUN,
      level: levelOf(runs),
      versioned: log.definition.versioned === true,
      firstOffset: first.firstOffset,
      endOffset: (runs.at(-1) as PartRef).endOffset,
      parts: runs.map(({ segmentId, part }) => ({ segmentId, part })),
      startOffset: 0,
      bytes: runs.reduce((sum, part) => sum + part.bytes, 0),
      runs: this.#mergeOptions(log, runs),
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

  #mergeOptions(log: LogicalLog, runs: readonly PartRef[]): RunMergeOptions {
    const snapshots = this.#host.snapshotsOf(log.id)
    let newest = -1
    for (const { reader, part, recordCount } of runs) if (recordCount > 0) newest = Math.max(newest, reader.directory.maxSequence(part))
    // A replicated log's sequences are its offsets.
    const sequence = log.ownsHighWatermark ? log.endOffset : this.#host.commitLog.sequence
    assert(newest < sequence, 'what is merged is older than every snapshot to come', newest, sequence)
    // In a versioned store something newer may arrive that is older by its version, and must stay hidden.
    const holdsOldest = isSame(runs[0], runsOf(log)[0])
    const keepSince = this.#host.keepSinceOf(log)
    if (keepSince !== undefined) this.#host.dropsBefore(log, keepSince)
    const kept = keepSince === undefined ? { snapshots } : { snapshots, keepSince }
    if (!holdsOldest || log.definition.versioned === true) return kept
    const dropDeletes = { sequence: newest }
    if (!this.#host.mayDropExpired(log.id)) return { ...kept, dropDeletes }
    return { ...kept, dropDeletes, dropExpired: true, now: this.#host.expiryClock() }
  }

  /** Groups that put an empty run in the place of adjacent ones that nobody sees. */
  #dropsOf(log: LogicalLog, runs: readonly PartRef[]): MergeGroup[] {
    if (log.definition.versioned === true || !this.#isInUse(log)) return []
    const indexes = runs.map(indexOf)
    const mayExpire = this.#host.mayDropExpired(log.id) && indexes.some(index => index.facts().expiring > 0)
    if (!mayExpire && indexes.every(index => index.rangeDeletes.length === 0)) return []
    const droppable = runs.map(({ reader, part, recordCount }, i): DroppableRun => {
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
      if (adjacent.length > 0) groups.push({ ...this.groupOf(log, adjacent.reverse()), isEmpty: true, bytes: 0 })
      adjacent = []
    }
    const keepSince = this.#host.keepSinceOf(log)
    const drops = new Set(pickDrops(droppable, { snapshots: this.#host.snapshotsOf(log.id), keepSince, expiryClock }))
    for (const [i, run] of runs.entries()) {
      if (drops.has(i)) adjacent.push(run)
      else close()
    }
    close()
    return groups
  }

  #factsOf(log: LogicalLog, runs: readonly PartRef[]): RunFacts[] {
    const isKnown = this.#isInUse(log)
    const bottom = runs.findLast(run => run.recordCount > 0)
    return runs.map(run => {
      const { level, bytes, recordCount: records, firstOffset, endOffset } = run
      const facts = { level, bytes, records, firstOffset, endOffset }
      if (!isKnown || records === 0) return { ...facts, deletes: 0, coveredBytes: 0, expired: 0 }
      const index = indexOf(run)
      const coveredBytes = bottom === undefined || run === bottom ? 0 : coveredBytesOf(index, indexOf(bottom), bottom.bytes)
      return { ...facts, deletes: index.facts().deletes, coveredBytes, expired: this.#expiredOf(log, run, index) }
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
    return keys < puts + deletes + pointers || deletes > 0 || rangeDeletes > 0 || this.#expiredOf(log, run, index) > 0
  }
}

/** Runs of a log, oldest first. */
function runsOf(log: LogicalLog): PartRef[] {
  return log.parts.filter(part => part.type === PART_RUN)
}

function indexOf({ reader, part }: PartRef): RunIndex {
  return reader.runIndex(part)
}

function isSame(left: PartRef | undefined, right: PartRef | undefined): boolean {
  return left !== undefined && right !== undefined && left.segmentId === right.segmentId && left.part === right.part
}

/** Bytes of the bottom run's blocks that lie in range deletes of another run, by the fence keys. */
function coveredBytesOf(index: RunIndex, bottom: RunIndex, bottomBytes: number): number {
  if (index.rangeDeletes.length === 0) return 0
  const cursor = new StoreRecordCursor()
  cursor.reset(index.rangeDeletes, 0, index.rangeDeletes.length)
  let bytes = 0
  for (let i = 0; i < estimatedMax && bytes < bottomBytes && cursor.next(); i++) {
    const from = bottom.findFence(cursor.buffer, cursor.keyStart, cursor.keyBytes)
    const to = bottom.findFence(cursor.buffer, cursor.valueStart, cursor.valueBytes)
    // The last block may be covered in part only.
    if (to - 1 > from) bytes += bottom.position(to - 1) - bottom.position(from)
  }
  return Math.min(bytes, bottomBytes)
}
