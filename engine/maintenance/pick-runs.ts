/**
 * Picking runs: what is worth merging next among the runs of one store log. A pure function of the runs, so that tests enumerate cases and
 * simulation replays them.
 *
 *   newest   0 0 0 | 1 1 | 2 | bottom, in pieces   oldest
 *
 * 1. *Bottom*: the one leveled level, cut into regions of keys (`bottom-level.ts`). While what lies above weighs half as much (`bottomRatio`), regions are
 *    merged with it, the one that was merged least recently first; in a steady stream of writes this goes round and round. A run above goes when all
 *    regions have it, so space is about 1.5 times what is live and one region, and every byte of the bottom is rewritten once per half its size of news.
 *    A run's weight is its bytes plus what its deletes hide: a run of mostly deletes counts each as an average record of the bottom, range deletes
 *    count the bytes they cover. While hardly anything is written over, the bottom waits for `fanout - 1` runs: there is no space to win. A flush makes the
 *    bottom of a new store (`flush.ts`); where it was too small for that, the first `fanout` runs make one.
 * 2. *Tier*: `fanout` adjacent runs of one level above the bottom become one run of the next level. Each level is rewritten once. Never more than a share
 *    of the bottom at once (`tierRatio`): the result lies beside its sources until it is live.
 * 3. *Count*: more than `runsAim` runs: those are merged whose merge costs the fewest bytes per run that it saves. It comes first when writes outrun
 *    the bottom: reads ask every run.
 * Merges below `ownBytes` are left to segment consolidation, except by rule 3, and share an output with others: a store of a few kilobytes is not worth
 * a file. Above the bottom only runs adjacent in age are merged, so they stay disjoint in offsets and sequences.
 *
 * There are no trivial moves: a run's level lies in the directory of its immutable file, and nothing is gained by changing it. A run that is not
 * merged stays where it is, whatever its level. Empty runs (what is left of runs that were dropped unread) cost nothing and count for nothing but rule 3.
 */
import { assert } from '../errors.ts'
import { LEVEL_BOTTOM } from '../segment/format.ts'

/** The level of a run that was merged with everything older. */
export const levelBottom: number = LEVEL_BOTTOM

/** The most runs that a store should have before its writes slow down; the picker aims lower. */
export const runsMax = 12

export interface RunFacts {
  readonly level: number
  readonly bytes: number
  readonly records: number
  /** Deletes of one key; 0 when unknown. */
  readonly deletes: number
  /** Bytes of the bottom run that the run's range deletes hide, estimated; 0 when unknown. */
  readonly coveredBytes: number
  /** Records that a merge could drop because they expired, estimated; 0 when unknown, or when they must stay. */
  readonly expired: number
  /** Share of its records that write over older ones or delete them, estimated; 1 when unknown. */
  readonly overwrites: number
  readonly firstOffset: number
  /** Exclusive. */
  readonly endOffset: number
}

/** A region of the bottom level. */
export interface RegionFacts {
  readonly bytes: number
  readonly records: number
  /** As `RunFacts.expired`. */
  readonly expired: number
  /** Everything of the log below this offset was merged into it. */
  readonly endOffset: number
}

export interface RunPickOptions {
  /** Runs of one level that become one of the next. */
  readonly fanout: number
  /** The bottom is rewritten while what lies above weighs this share of it. */
  readonly bottomRatio: number
  /** A tier of more than this share of the bottom is left to rule 3. */
  readonly tierRatio: number
  /** Runs of a log that are left alone. */
  readonly runsAim: number
  /** A merge of fewer bytes is none for a file of its own. */
  readonly ownBytes: number
  /** The bottom of a small store is cut into pieces of this size; see `pieceBytesOf`. */
  readonly pieceBytesMin: number
}

export const runPickDefaults: RunPickOptions = {
  fanout: 4,
  bottomRatio: 0.5,
  tierRatio: 0.25,
  runsAim: 10,
  ownBytes: 1024 * 1024,
  pieceBytesMin: 8 * 1024 * 1024,
}

export interface RunPick {
  /** Runs `[first, end)` above the bottom, newest first; all of them when regions are merged. */
  readonly first: number
  readonly end: number
  /** Regions `[first, end)` of the bottom, in key order; undefined: none. The result replaces them, and the runs that no region needs any more. */
  readonly regions?: { readonly first: number; readonly end: number }
  /** Level of the result. */
  readonly level: number
  /** Bytes of the runs and of the regions. */
  readonly bytes: number
  readonly reason: 'bottom' | 'deletes' | 'expired' | 'tier' | 'count' | 'overlap'
}

/** `RunPickOptions.pieceBytesMin` of a database. */
export function pieceBytesMinOf(ownBytes: number): number {
  return Math.max(ownBytes * 8, 1024)
}

/**
 * How large pieces are made in a bottom of so many bytes: a sixteenth, within limits, and never more than some hundred pieces. A bottom of a few of the smallest
 * ones is cut into smaller ones: the result of a step lies beside what it replaces, which must not be half of the store.
 */
export function pieceBytesOf(bottomBytes: number, pieceBytesMin: number): number {
  const least = Math.min(pieceBytesMin, Math.max(bottomBytes / 6, pieceBytesMin / 4))
  return Math.max(Math.min(bottomBytes / 16, pieceBytesMin * 8), least, bottomBytes / 256)
}

/** At which size to cut `bytes` of a bottom: into pieces of about the size that suits it, never a small one behind a large one; undefined: not at all. */
export function cutBytesOf(bytes: number, bottomBytes: number, ownBytes: number, pieceBytesMin: number): number | undefined {
  const aim = pieceBytesOf(bottomBytes, pieceBytesMin)
  return bytes < ownBytes || bytes <= aim * 1.5 ? undefined : Math.ceil(bytes / Math.ceil(bytes / aim))
}

/**
 * What to merge next in one log; `runs` above the bottom, newest first. Undefined when nothing is worth it. `isUrgent`: space is short, so that regions are merged
 * with whatever lies above them.
 */
export function pickRuns(
  runs: readonly RunFacts[],
  bottom: readonly RegionFacts[],
  options: RunPickOptions = runPickDefaults,
  isUrgent: boolean = false,
): RunPick | undefined {
  assert(options.fanout >= 2 && options.runsAim >= 1, 'a merge saves runs', options.fanout, options.runsAim)
  if (overlap(runs)) return wholeOf(runs, bottom, 'overlap')
  const oldest = runs.findLastIndex(run => run.records > 0)
  if (bottom.every(region => region.records === 0)) {
    return (
      pickFirstBottom(runs, bottom, oldest, options) ??
      pickTier(runs, oldest, Number.POSITIVE_INFINITY, options) ??
      pickByCount(runs, bottom, options)
    )
  }
  if (isUrgent) return pickRegions(runs, bottom, { ...options, bottomRatio: 0 })
  const bytes = sumBytes(bottom, 0, bottom.length)
  const tier = (): RunPick | undefined =>
    pickTier(runs, runs.length, bytes * options.tierRatio, options) ?? pickByCount(runs, bottom, options)
  const isCrowded = runs.length >= options.runsAim && sumBytes(runs, 0, runs.length) < bytes
  return isCrowded ? (tier() ?? pickRegions(runs, bottom, options)) : (pickRegions(runs, bottom, options) ?? tier())
}

/** Whether ages are not told by offsets: only after a repair that found both a merge's result and its sources. All runs are merged then. */
export function overlap(runs: readonly { readonly firstOffset: number; readonly endOffset: number }[]): boolean {
  return runs.some((run, i) => i > 0 && run.endOffset > (runs[i - 1] as RunFacts).firstOffset)
}

/** Everything as one. */
function wholeOf(runs: readonly RunFacts[], bottom: readonly RegionFacts[], reason: RunPick['reason']): RunPick {
  const bytes = sumBytes(runs, 0, runs.length) + sumBytes(bottom, 0, bottom.length)
  const regions = bottom.length === 0 ? {} : { regions: { first: 0, end: bottom.length } }
  return { first: 0, end: runs.length, ...regions, level: levelBottom, bytes, reason }
}

/** While there is no bottom, the oldest run stands for it. */
function pickFirstBottom(
  runs: readonly RunFacts[],
  regions: readonly RegionFacts[],
  oldestIndex: number,
  options: RunPickOptions,
): RunPick | undefined {
  const oldest = runs[oldestIndex]
  if (oldest === undefined || sumBytes(runs, 0, runs.length) < options.ownBytes) return undefined
  // What a merge may drop, it drops: the result has none of it, so this happens once.
  if (oldest.expired * 2 >= oldest.records) return wholeOf(runs, regions, 'expired')
  if (isMostlyDeletes(oldest)) return wholeOf(runs, regions, 'deletes')
  const { count, weight, hidden } = weigh(runs.slice(0, oldestIndex), oldest)
  if (count === 0) return undefined
  const limit = oldest.bytes * options.bottomRatio
  if (hidden >= limit) return wholeOf(runs, regions, 'deletes')
  return count + 1 >= options.fanout && weight + hidden >= limit ? wholeOf(runs, regions, 'bottom') : undefined
}

function pickRegions(runs: readonly RunFacts[], bottom: readonly RegionFacts[], options: RunPickOptions): RunPick | undefined {
  const bytes = sumBytes(bottom, 0, bottom.length)
  if (bytes + sumBytes(runs, 0, runs.length) < options.ownBytes) return undefined
  const pick = (first: number, end: number, reason: RunPick['reason']): RunPick => {
    const taken = sumBytes(bottom, first, end) + sumBytes(runs, 0, runs.length)
    return { first: 0, end: runs.length, regions: { first, end }, level: levelBottom, bytes: taken, reason }
  }
  const expired = bottom.findIndex(region => region.records > 0 && region.expired * 2 >= region.records)
  if (expired >= 0) return pick(expired, expired + 1, 'expired')
  const { count, weight, hidden, overwritten } = weigh(runs, { bytes, records: bottom.reduce((sum, { records }) => sum + records, 0) })
  const limit = bytes * options.bottomRatio
  const isFresh = count + 1 < options.fanout && overwritten + hidden < limit / 2
  if ((weight + hidden < limit || isFresh) && !isNearlyMerged(runs, bottom, options)) return undefined
  const newest = runs.find(run => run.records > 0)?.endOffset ?? 0
  let first = -1
  for (const [i, { endOffset }] of bottom.entries()) {
    if (endOffset < newest && endOffset < (bottom[first]?.endOffset ?? newest)) first = i
  }
  if (first < 0) return undefined
  const stepBytes = pieceBytesOf(bytes, options.pieceBytesMin)
  let end = first + 1
  for (let sum = bottom[first]!.bytes; end < bottom.length && sum < stepBytes && bottom[end]!.endOffset < newest; end++)
    sum += bottom[end]!.bytes
  return pick(first, end, hidden >= limit ? 'deletes' : 'bottom')
}

/**
 * Whether the oldest runs, so many of them as one likes, weigh their share of the regions that still need them: a round that has begun is brought to its end
 * where that frees as much for its cost as a whole round does.
 */
function isNearlyMerged(runs: readonly RunFacts[], bottom: readonly RegionFacts[], options: RunPickOptions): boolean {
  const bytes = sumBytes(bottom, 0, bottom.length)
  let weight = 0
  for (let i = runs.length - 1; i >= 0; i--) {
    const run = runs[i] as RunFacts
    weight += run.bytes
    let cost = 0
    for (const region of bottom) if (region.endOffset < run.endOffset) cost += region.bytes
    if (cost > 0 && cost < bytes && weight >= cost * options.bottomRatio) return true
  }
  return false
}

/** How many runs there are, what they weigh, how much of that writes over what is older, and what their deletes hide of the bottom. */
function weigh(
  runs: readonly RunFacts[],
  bottom: { readonly bytes: number; readonly records: number },
): { readonly count: number; readonly weight: number; readonly hidden: number; readonly overwritten: number } {
  let weight = 0
  let hidden = 0
  let overwritten = 0
  let count = 0
  for (const run of runs) {
    if (run.records === 0) continue
    count++
    weight += run.bytes
    overwritten += run.bytes * run.overwrites
    hidden += run.coveredBytes
    if (isMostlyDeletes(run)) hidden += run.deletes * (bottom.bytes / bottom.records)
  }
  return { count, weight, hidden, overwritten }
}

function pickTier(runs: readonly RunFacts[], limit: number, bytesMax: number, options: RunPickOptions): RunPick | undefined {
  for (let first = 0; first < limit; ) {
    const { level } = runs[first] as RunFacts
    let end = first
    let count = 0
    for (; end < limit; end++) {
      const run = runs[end] as RunFacts
      if (run.records === 0) continue
      if (run.level !== level) break
      count++
    }
    const bytes = sumBytes(runs, first, end)
    if (count >= options.fanout && bytes >= options.ownBytes && bytes <= bytesMax) {
      return { first, end, level: Math.min(level + 1, levelBottom - 1), bytes, reason: 'tier' }
    }
    first = Math.max(end, first + 1)
  }
  return undefined
}

function pickByCount(runs: readonly RunFacts[], bottom: readonly RegionFacts[], options: RunPickOptions): RunPick | undefined {
  const bottomBytes = sumBytes(bottom, 0, bottom.length)
  const excess = runs.length + bottom.length - options.runsAim
  if (bottomBytes < options.ownBytes && excess > 0 && sumBytes(runs, 0, runs.length) < options.ownBytes)
    return wholeOf(runs, bottom, 'count')
  const excessAbove = runs.length + Math.min(1, bottom.length) - options.runsAim
  if (excessAbove <= 0) return undefined
  // Not just as many as are too many: the next flush would bring the next merge.
  const countMin = Math.min(runs.length, Math.max(options.fanout, excessAbove + 1))
  let best: RunPick | undefined
  let bestCost = Number.POSITIVE_INFINITY
  for (let first = 0; first + countMin <= runs.length; first++) {
    let bytes = sumBytes(runs, first, first + countMin - 1)
    for (let end = first + countMin; end <= runs.length; end++) {
      bytes += (runs[end - 1] as RunFacts).bytes
      const cost = bytes / (end - first - 1)
      if (cost > bestCost) continue
      bestCost = cost
      const level = end === runs.length && bottom.length === 0 ? levelBottom : levelOf(runs.slice(first, end))
      best = { first, end, level, bytes, reason: 'count' }
    }
  }
  return best
}

/** The level of what becomes of adjacent runs that are merged for another reason than their level: that of the oldest, so levels keep their order. */
export function levelOf(runs: readonly { readonly level: number }[]): number {
  return runs.reduce((level, run) => Math.max(level, run.level), 0)
}

function isMostlyDeletes(run: RunFacts): boolean {
  return run.records > 0 && run.deletes * 2 >= run.records
}

function sumBytes(runs: readonly { readonly bytes: number }[], first: number, end: number): number {
  let bytes = 0
  for (let i = first; i < end; i++) bytes += (runs[i] as RunFacts).bytes
  return bytes
}
