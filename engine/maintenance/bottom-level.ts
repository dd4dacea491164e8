/**
 * The bottom level of a store log: regions of keys, and what merging some of them with all that lies above takes and replaces.
 *
 * 1. The bottom is made of *pieces*, parts with ranges of keys of their own. A piece with the offsets `[first, end)` says: of the keys in its range,
 *    everything that the log had up to `end` is here, or nobody sees it. *Regions* are the pieces and the gaps between them (what a repair lost);
 *    together they are all keys. A gap says nothing: its end is 0.
 * 2. A *step* merges neighbouring regions with what the runs above say about them, and makes pieces that end where the log is flushed. The runs above
 *    stay: an answer that is asked of them first is the same. Runs that end at or below a region's end need not be read for it again.
 * 3. A run above goes with the step after which no region needs it any more, oldest first: a delete goes after what it hides.
 * All of it follows from the parts, so a crash between two steps loses nothing, and steps may take regions in any order.
 *
 * Pure over the runs' directories and indexes; used by run compaction.
 */
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { PartRef } from '../log/parts.ts'
import { LEVEL_BOTTOM, PART_RUN } from '../segment/format.ts'
import { areDisjoint, compareBytes, compareRanges, type KeyRange, meets } from '../segment/key-range.ts'
import type { RunIndex } from '../segment/part-index.ts'

export interface Region {
  readonly range: KeyRange
  /** Undefined: a gap. */
  readonly piece: PartRef | undefined
  /** What the log had below this offset was merged into the region. */
  readonly endOffset: number
  readonly bytes: number
}

export interface Step {
  readonly range: KeyRange
  /** Pieces and runs that are read. */
  readonly read: readonly PartRef[]
  /** Pieces and runs that the result replaces. */
  readonly replaced: readonly PartRef[]
  /** Bytes of the pieces. */
  readonly pieceBytes: number
  /** Bytes that the runs above have in the range, by their fence keys. */
  readonly newsBytes: number
  readonly firstOffset: number
  readonly endOffset: number
}

export const isPiece = (part: PartRef): boolean => part.level === LEVEL_BOTTOM

export function indexOf({ reader, part }: PartRef): RunIndex {
  return reader.runIndex(part)
}

export function rangeOf({ reader, part }: PartRef): KeyRange {
  return reader.summary(part).range
}

/** All keys in order, by the pieces among the runs; empty without any, undefined when pieces overlap (a repair found a result and its sources). */
export function regionsOf(runs: readonly PartRef[]): Region[] | undefined {
  const pieces = runs.filter(isPiece).map(piece => ({ piece, range: rangeOf(piece) }))
  if (pieces.length === 0) return []
  pieces.sort((left, right) => compareRanges(left.range, right.range))
  if (!areDisjoint(pieces.map(({ range }) => range))) return undefined
  const regions: Region[] = []
  let covered: Uint8Array | undefined
  for (const { piece, range } of pieces) {
    const hasGap = range.from !== undefined && (covered === undefined || compareBytes(covered, range.from) < 0)
    if (hasGap) regions.push({ range: { from: covered, to: range.from }, piece: undefined, endOffset: 0, bytes: 0 })
    regions.push({ range, piece, endOffset: piece.endOffset, bytes: piece.bytes })
    covered = range.to
  }
  if (covered !== undefined) regions.push({ range: { from: covered }, piece: undefined, endOffset: 0, bytes: 0 })
  return regions
}

/** Whether a run above holds something for the region that was not merged into it. */
export function isNeeded(run: PartRef, region: Region): boolean {
  return run.recordCount > 0 && run.endOffset > region.endOffset && meets(region.range, indexOf(run).smallestKey, reachOf(indexOf(run)))
}

/** The step over regions `[first, end)`; `runs` are all of the log, oldest first. */
export function stepOver(regions: readonly Region[], first: number, end: number, runs: readonly PartRef[]): Step {
  const taken = regions.slice(first, end)
  const others = regions.filter((_, i) => i < first || i >= end)
  const range = { from: taken[0]?.range.from, to: taken.at(-1)?.range.to }
  const pieces = taken.flatMap(({ piece }) => (piece === undefined ? [] : [piece]))
  const above = runs.filter(run => !isPiece(run))
  const news = above.filter(run => taken.some(region => isNeeded(run, region)))
  const stays = above.findIndex(run => others.some(region => isNeeded(run, region)))
  return {
    range,
    read: [...pieces, ...news],
    replaced: [...pieces, ...(stays < 0 ? above : above.slice(0, stays))],
    pieceBytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0),
    newsBytes: news.reduce((sum, run) => sum + bytesInRange(run, range), 0),
    firstOffset: runs.reduce((offset, run) => Math.min(offset, run.firstOffset), Number.POSITIVE_INFINITY),
    endOffset: runs.reduce((offset, run) => Math.max(offset, run.endOffset), 0),
  }
}

/** Bytes of the run's blocks that may have records of the range. */
export function bytesInRange(run: PartRef, { from, to }: KeyRange): number {
  const index = indexOf(run)
  const { blockCount } = index
  const first = from === undefined ? 0 : Math.max(0, index.findFence(from, 0, from.length) - 1)
  const end = to === undefined ? blockCount : index.findFence(to, 0, to.length)
  if (end <= first) return 0
  return index.position(end - 1) + index.byteCount(end - 1) - index.position(first)
}

const reaches = new WeakMap<RunIndex, Uint8Array>()

/** The last key that the run says anything about, or one behind it. */
function reachOf(index: RunIndex): Uint8Array {
  const { rangeDeletes, largestKey } = index
  if (rangeDeletes.length === 0) return largestKey
  const known = reaches.get(index)
  if (known !== undefined) return known
  const cursor = new StoreRecordCursor()
  cursor.reset(rangeDeletes, 0, rangeDeletes.length)
  let reach = largestKey
  while (cursor.next()) {
    const end = cursor.buffer.subarray(cursor.valueStart, cursor.valueStart + cursor.valueBytes)
    if (compareBytes(end, reach) > 0) reach = end
  }
  reaches.set(index, reach)
  return reach
}

/** Runs of a log, oldest first. */
export function runsOf(log: LogicalLog): PartRef[] {
  return log.parts.filter(part => part.type === PART_RUN)
}

/** Their bytes together. */
export function sumOf(parts: readonly { readonly bytes: number }[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0)
}
