/**
 * Picking runs: which adjacent runs of one store log are worth merging next. A pure function of the runs, so that tests enumerate cases and
 * simulation replays them.
 *
 *   newest   0 0 0 | 1 1 | 2 | bottom   oldest
 *
 * 1. *Bottom*: the oldest run that holds records is the one leveled level. When the runs above it weigh half as much (`bottomRatio`), all of them are
 *    merged into it, so that space is at most 1.5 times what is live and every byte of the bottom is rewritten once per half its size of news. A run's
 *    weight is its bytes plus what its deletes hide: a run of mostly deletes counts each as an average record of the bottom, range deletes count the
 *    bytes they cover. Until there is a bottom (`levelBottom`), the first `fanout` runs make one.
 * 2. *Tier*: `fanout` adjacent runs of one level above the bottom become one run of the next level. Each level is rewritten once.
 * 3. *Count*: more than `runsAim` runs: those are merged whose merge costs the fewest bytes per run that it saves.
 * Merges below `ownBytes` are left to segment consolidation, except by rule 3, and share an output with others: a store of a few kilobytes is not worth
 * a file. Only runs adjacent in age are merged, so the runs of a log stay disjoint in offsets and sequences.
 *
 * There are no trivial moves: a run's level lies in the directory of its immutable file, and nothing is gained by changing it. A run that is not
 * merged stays where it is, whatever its level. Empty runs (what is left of runs that were dropped unread) cost nothing and count for nothing but rule 3.
 */
import { assert } from '../errors.ts'

/** The level of a run that was merged with everything older. */
export const levelBottom = 7

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
  readonly firstOffset: number
  /** Exclusive. */
  readonly endOffset: number
}

export interface RunPickOptions {
  /** Runs of one level that become one of the next. */
  readonly fanout: number
  /** The bottom is rewritten when what lies above weighs this share of it. */
  readonly bottomRatio: number
  /** Runs of a log that are left alone. */
  readonly runsAim: number
  /** A merge of fewer bytes is none for a file of its own. */
  readonly ownBytes: number
}

export const runPickDefaults: RunPickOptions = { fanout: 4, bottomRatio: 0.5, runsAim: 10, ownBytes: 1024 * 1024 }

export interface RunPick {
  /** Runs `[first, end)`, newest first. The merge contains the oldest data when `end` is the number of runs: deletes may go. */
  readonly first: number
  readonly end: number
  /** Level of the result. */
  readonly level: number
  /** Bytes that go in. */
  readonly bytes: number
  readonly reason: 'bottom' | 'deletes' | 'expired' | 'tier' | 'count' | 'overlap'
}

/** What to merge next in one log; `runs` newest first. Undefined when nothing is worth it. */
export function pickRuns(runs: readonly RunFacts[], options: RunPickOptions = runPickDefaults): RunPick | undefined {
  assert(options.fanout >= 2 && options.runsAim >= 1, 'a merge saves runs', options.fanout, options.runsAim)
  if (overlap(runs)) return { first: 0, end: runs.length, level: levelBottom, bytes: sumBytes(runs, 0, runs.length), reason: 'overlap' }
  const bottom = runs.findLastIndex(run => run.records > 0)
  return pickBottom(runs, bottom, options) ?? pickTier(runs, bottom, options) ?? pickByCount(runs, options)
}

/** Whether ages are not told by offsets: only after a repair that found both a merge's result and its sources. All runs are merged then. */
export function overlap(runs: readonly { readonly firstOffset: number; readonly endOffset: number }[]): boolean {
  return runs.some((run, i) => i > 0 && run.endOffset > (runs[i - 1] as RunFacts).firstOffset)
}

function pickBottom(runs: readonly RunFacts[], bottomIndex: number, options: RunPickOptions): RunPick | undefined {
  const bottom = runs[bottomIndex]
  const bytes = sumBytes(runs, 0, runs.length)
  if (bottom === undefined || bytes < options.ownBytes) return undefined
  const all = (reason: RunPick['reason']): RunPick => ({ first: 0, end: runs.length, level: levelBottom, bytes, reason })
  // What a merge may drop, it drops: the result has none of it, so this happens once.
  if (bottom.expired * 2 >= bottom.records) return all('expired')
  if (bottom.level < levelBottom && isMostlyDeletes(bottom)) return all('deletes')
  let weight = 0
  let hidden = 0
  let count = 0
  for (let i = 0; i < bottomIndex; i++) {
    const run = runs[i] as RunFacts
    if (run.records === 0) continue
    count++
    weight += run.bytes
    hidden += run.coveredBytes
    if (isMostlyDeletes(run)) hidden += run.deletes * (bottom.bytes / bottom.records)
  }
  if (count === 0) return undefined
  const limit = bottom.bytes * options.bottomRatio
  if (hidden >= limit) return all('deletes')
  const hasBottom = bottom.level === levelBottom || count + 1 >= options.fanout
  return hasBottom && weight + hidden >= limit ? all('bottom') : undefined
}

function pickTier(runs: readonly RunFacts[], bottomIndex: number, options: RunPickOptions): RunPick | undefined {
  for (let first = 0; first < bottomIndex; ) {
    const { level } = runs[first] as RunFacts
    let end = first
    let count = 0
    for (; end < bottomIndex; end++) {
      const run = runs[end] as RunFacts
      if (run.records === 0) continue
      if (run.level !== level) break
      count++
    }
    const bytes = sumBytes(runs, first, end)
    if (count >= options.fanout && bytes >= options.ownBytes) {
      return { first, end, level: Math.min(level + 1, levelBottom - 1), bytes, reason: 'tier' }
    }
    first = Math.max(end, first + 1)
  }
  return undefined
}

function pickByCount(runs: readonly RunFacts[], options: RunPickOptions): RunPick | undefined {
  const excess = runs.length - options.runsAim
  if (excess <= 0) return undefined
  // Not just as many as are too many: the next flush would bring the next merge.
  const countMin = Math.min(runs.length, Math.max(options.fanout, excess + 1))
  let best: RunPick | undefined
  let bestCost = Number.POSITIVE_INFINITY
  for (let first = 0; first + countMin <= runs.length; first++) {
    let bytes = sumBytes(runs, first, first + countMin - 1)
    for (let end = first + countMin; end <= runs.length; end++) {
      bytes += (runs[end - 1] as RunFacts).bytes
      const cost = bytes / (end - first - 1)
      if (cost > bestCost) continue
      bestCost = cost
      const level = end === runs.length ? levelBottom : levelOf(runs.slice(first, end))
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

function sumBytes(runs: readonly RunFacts[], first: number, end: number): number {
  let bytes = 0
  for (let i = first; i < end; i++) bytes += (runs[i] as RunFacts).bytes
  return bytes
}
