/**
 * How far a store is from its space bound: what its files hold, against what they would hold if all was merged.
 *
 * 1. Of a run above the bottom, what was merged into the regions that know it lies twice: garbage until the run goes.
 * 2. The rest is garbage as far as its keys are older ones: a sample of its keys is looked up in the filters of everything older, once for each run, so
 *    that an overwritten store is known from its first flush on, and one that is filled with new keys is never held up. Deletes are garbage anyway.
 * 3. Files that are replaced and not yet deleted count, and so do the flush and the merge step that come next.
 *
 * Pure over directories and indexes. Owned by run compaction: while there is debt, a flush waits for steps (`Consolidator.untilRoom`), and writers go at
 * the pace of flushes (`commit-log/pacer.ts`).
 */
import { compareKeys, createKeyHash, hashKey } from '../batch/store-keys.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { PartRef } from '../log/parts.ts'
import { meets } from '../segment/key-range.ts'
import type { RunIndex } from '../segment/part-index.ts'
import { indexOf, isPiece, type Region } from './bottom-level.ts'

/** Bytes of files by bytes that would be left if all were merged, above which flushes wait: twice the keys and values, and their frame of a tenth. */
export const amplificationMax = 1.82
/** Keys of a run that are looked up. */
const sampleMax = 64

export interface Space {
  /** Of runs and pieces that count. */
  readonly bytes: number
  /** What they would be if all was merged, about. */
  readonly mergedBytes: number
  /** Share of the newest run above the bottom that is garbage when it is merged: what one may expect of the next. 1 without any. */
  readonly newestShare: number
}

/** By run: the share of its records that older ones have the keys of, when it was looked at first. */
const shares = new WeakMap<RunIndex, number>()
const hash = createKeyHash()

/** Space of a log with these regions; `runs` are all of it, oldest first. */
export function spaceOf(runs: readonly PartRef[], regions: readonly Region[]): Space {
  const pieces = runs.filter(isPiece)
  const older: RunIndex[] = []
  let bytes = 0
  let garbage = 0
  let newestShare = 1
  for (const run of runs) {
    bytes += run.bytes
    if (isPiece(run) || run.recordCount === 0) continue
    const index = indexOf(run)
    const merged = mergedShare(run, index, regions)
    newestShare = overwrittenShare(run, index, pieces, older)
    garbage += run.bytes * (merged + (1 - merged) * newestShare)
    older.push(index)
  }
  return { bytes, mergedBytes: bytes - garbage, newestShare }
}

/** How much of a run the regions have already, by their bytes. */
function mergedShare(run: PartRef, index: RunIndex, regions: readonly Region[]): number {
  let all = 0
  let merged = 0
  for (const { range, endOffset, bytes } of regions) {
    if (!meets(range, index.smallestKey, index.largestKey)) continue
    all += bytes
    if (endOffset >= run.endOffset) merged += bytes
  }
  return all === 0 ? 0 : merged / all
}

/** Which share of a run above the bottom writes over the pieces and the older runs above, or deletes; by a sample, which is taken once. */
export function overwrittenShare(run: PartRef, index: RunIndex, pieces: readonly PartRef[], older: readonly RunIndex[]): number {
  const known = shares.get(index)
  if (known !== undefined) return known
  const { blockCount, bytes } = index
  const before = pieces.filter(piece => piece.endOffset < run.endOffset).map(indexOf)
  const merged = pieces.filter(piece => piece.endOffset >= run.endOffset).map(indexOf)
  const step = Math.max(1, Math.floor(blockCount / sampleMax))
  let count = 0
  let found = 0
  for (let block = 0; block < blockCount; block += step) {
    const start = index.keyStart(block)
    const size = index.keyBytes(block)
    hashKey(bytes, start, size, hash)
    // A piece that has the run already says nothing.
    if (merged.some(piece => mayHold(piece, bytes, start, size))) continue
    count++
    if (older.some(mayContain) || before.some(piece => mayHold(piece, bytes, start, size))) found++
  }
  const overwritten = count === 0 ? 1 : found / count
  const deleted = Math.min(1, index.facts().deletes / run.recordCount)
  const share = deleted + (1 - deleted) * overwritten
  shares.set(index, share)
  return share
}

/** Which share of what is not flushed yet writes over what is, by a sample; undefined when too little is there to tell. */
export function tailShare(log: LogicalLog, runs: readonly PartRef[]): number | undefined {
  const indexes = runs.filter(({ recordCount }) => recordCount > 0).map(indexOf)
  let count = 0
  let found = 0
  log.listener?.sampleKeys(sampleMax, (bytes, start, size) => {
    hashKey(bytes, start, size, hash)
    count++
    if (indexes.some(index => mayHold(index, bytes, start, size))) found++
  })
  return count * 4 < sampleMax ? undefined : found / count
}

function mayContain({ filter }: RunIndex): boolean {
  return filter?.mayContain(hash) === true
}

/** Whether the key may be in the run; `hash` is the key's. There may be a hundred pieces, whose filters are wrong once in a hundred times. */
function mayHold(index: RunIndex, bytes: Uint8Array, start: number, size: number): boolean {
  const { smallestKey, largestKey } = index
  return (
    compareKeys(bytes, start, size, smallestKey, 0, smallestKey.length) >= 0 &&
    compareKeys(bytes, start, size, largestKey, 0, largestKey.length) <= 0 &&
    mayContain(index)
  )
}
