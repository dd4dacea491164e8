/**
 * Whether there is room for what is flushed next, and how large flushes should be for the sake of it: a store shall never hold more than about twice what is live
 * (`space-debt.ts`).
 *
 * Owned by run compaction, which makes room by its merges (`RunCompaction.relief`); asked by the flusher, and by the commit log for the size at which it seals.
 */
import type { LogTable } from '../catalog/log-table.ts'
import type { Manifest } from '../catalog/manifest.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { isPiece, regionsOf, runsOf, sumOf } from './bottom-level.ts'
import { pieceBytesOf, type RunPickOptions } from './pick-runs.ts'
import { amplificationMax, spaceOf, tailShare } from './space-debt.ts'

/** Bytes of a log that the next flush has. */
export type FlushBytes = (logId: number) => number

/** Stores of fewer bytes than so many times `ownBytes` are never held up: their merges are too small to matter. */
const crowdedFactor = 4
/** Smaller flushes cost more in files than they save in space. */
const flushBytesFloor = 16 * 1024

export class FlushRoom {
  readonly #files: { readonly manifest: Manifest; readonly logs: LogTable }
  readonly #pieceBytesMin: number
  readonly #crowdedBytesMin: number
  /** Whether indexes of the log are in memory: no other's are read for this. */
  readonly #isInUse: (log: LogicalLog) => boolean
  /** Which share of its newest run above the bottom a log has, or had, written over. */
  readonly #newestShares = new WeakMap<LogicalLog, number>()

  constructor(
    files: { readonly manifest: Manifest; readonly logs: LogTable },
    { ownBytes, pieceBytesMin }: Pick<RunPickOptions, 'ownBytes' | 'pieceBytesMin'>,
    isInUse: (log: LogicalLog) => boolean,
  ) {
    this.#files = files
    this.#pieceBytesMin = pieceBytesMin
    this.#crowdedBytesMin = ownBytes * crowdedFactor
    this.#isInUse = isInUse
  }

  /** Whether some store would take too much space if so much were flushed to it, and merges can help. */
  isBehind(flushBytesOf: FlushBytes): boolean {
    return this.crowded(flushBytesOf).length > 0
  }

  /** Whether no store would take too much space if so much were flushed to it. */
  hasRoom(flushBytesOf: FlushBytes): boolean {
    return this.crowded(flushBytesOf, false).length === 0
  }

  /**
   * How large flushes should be at most, for the sake of stores that are written over: a quarter of the smallest of them, as one flush comes on top of everything
   * else. Infinite where it does not matter.
   */
  flushBytesAim(): number {
    let aim = Number.POSITIVE_INFINITY
    for (const [id, fileBytes] of this.#files.manifest.runBytesByLog()) {
      const log = this.#files.logs.get(id)
      if (fileBytes < this.#crowdedBytesMin || log === undefined || !this.#isInUse(log)) continue
      const runs = runsOf(log)
      const regions = regionsOf(runs)
      if (regions === undefined || regions.length === 0) continue
      const { mergedBytes, newestShare } = spaceOf(runs, regions)
      if (runs.some(run => !isPiece(run) && run.recordCount > 0)) this.#newestShares.set(log, newestShare)
      // What comes next tells more than what came last.
      const share = tailShare(log, runs) ?? this.#newestShares.get(log) ?? 0
      if (share > 1 / 2) aim = Math.min(aim, mergedBytes / 4)
    }
    return Math.max(aim, this.#leastAim)
  }

  /** The same of a log that is opened, before anything of its indexes is read: its next flush may be all over its bottom. */
  flushBytesAimOf(log: LogicalLog): number {
    const bytes = sumOf(runsOf(log).filter(isPiece))
    return bytes < this.#leastAim ? Number.POSITIVE_INFINITY : Math.max(bytes / 4, this.#leastAim)
  }

  get #leastAim(): number {
    return Math.max(this.#crowdedBytesMin, flushBytesFloor)
  }

  /** Stores that would take too much space; `mergesHelp`: those of them that have something to merge. */
  crowded(flushBytesOf: FlushBytes, mergesHelp: boolean = true): LogicalLog[] {
    const found: LogicalLog[] = []
    const { manifest, logs } = this.#files
    for (const [id, fileBytes] of manifest.runBytesByLog()) {
      if (fileBytes < this.#crowdedBytesMin) continue
      const log = logs.get(id)
      if (log === undefined || !this.#isInUse(log)) continue
      const runs = runsOf(log)
      const bottomBytes = sumOf(runs.filter(isPiece))
      const flushBytes = flushBytesOf(id)
      if (bottomBytes === 0 || fileBytes + flushBytes + this.#stepBytesOf(bottomBytes) <= amplificationMax * bottomBytes) continue
      const regions = regionsOf(runs)
      const hasAbove = runs.some(run => !isPiece(run) && run.recordCount > 0)
      if (regions === undefined || (mergesHelp && !hasAbove)) continue
      const { mergedBytes, newestShare: lastShare } = spaceOf(runs, regions)
      const newestShare = hasAbove ? lastShare : (tailShare(log, runs) ?? lastShare)
      // What lies above stays until all of it is merged: new keys will lie there twice. Who is filling a store does not wait for that.
      const growth = newestShare > 1 / 2 ? Math.max(0, mergedBytes - bottomBytes) : 0
      const coming = flushBytes + growth + this.#stepBytesOf(bottomBytes + growth)
      if (fileBytes + coming > amplificationMax * (mergedBytes + flushBytes * (1 - newestShare))) found.push(log)
    }
    return found
  }

  /** One step's output, of nearly two pieces at most, lies beside what it replaces. */
  #stepBytesOf(bottomBytes: number): number {
    return 2 * pieceBytesOf(bottomBytes, this.#pieceBytesMin)
  }
}
