/**
 * How far stores are from their space bound: what lies above a bottom is garbage as soon as it is merged, if it writes over what is there, and live data if
 * it is new. Which of both it is nobody knows before, so each step over the bottom tells what share of its news went.
 *
 * Owned by run compaction. When the debt is too large, the next flush waits for a step (`Consolidator.untilRoom`), and behind it, by the bounds of the tails,
 * the writers: this is the only place where merges slow down writes.
 */
import { LEVEL_BOTTOM, PART_RUN } from '../segment/format.ts'
import type { SegmentReader } from '../segment/reader.ts'

/** Bytes of runs by bytes that would be left if all were merged, above which flushes wait. A flush, a step and a tier come on top. */
const amplificationMax = 1.5
/** How much of what was learned before counts beside a new step. */
const memory = 0.3

export interface DebtSegment {
  readonly reader: Pick<SegmentReader, 'directory'>
  readonly row: { readonly dropped: readonly number[] }
}

export class SpaceDebt {
  readonly #ownBytes: number
  /** By log: the share of news that went (or that hid what went), 0 to 1; older steps count less. */
  readonly #learned = new Map<number, number>()

  /** Stores of a few times `ownBytes` have no debt: their merges are too small to matter. */
  constructor(ownBytes: number) {
    this.#ownBytes = ownBytes
  }

  /** A step merged `news` bytes, and its result is by `gone` bytes smaller than all that went in. */
  learn(logId: number, news: number, gone: number): void {
    if (news <= 0) return
    const share = Math.min(1, Math.max(0, gone / news))
    const before = this.#learned.get(logId)
    this.#learned.set(logId, before === undefined ? share : before * memory + share * (1 - memory))
  }

  /** Whether a flush should wait for merges. From directories alone. */
  isTooLarge(segments: Iterable<DebtSegment>): boolean {
    if (this.#learned.size === 0) return false
    return this.#isAbove(segments, 0, 0)
  }

  /** Whether a flush of so many bytes would be too large, as far as one knows: if nothing was learned yet, all of it is garbage. */
  wouldBeTooLarge(segments: Iterable<DebtSegment>, flushBytes: number): boolean {
    return this.#isAbove(segments, flushBytes, 1)
  }

  /** `garbage`: the share of news that goes, for logs of which nothing was learned. */
  #isAbove(segments: Iterable<DebtSegment>, flushBytes: number, garbage: number): boolean {
    const bytes = new Map<number, { above: number; bottom: number }>()
    for (const { reader, row } of segments) {
      const { directory } = reader
      for (let part = 0; part < directory.partCount; part++) {
        if (directory.type(part) !== PART_RUN) continue
        const logId = directory.logId(part)
        if ((garbage === 0 && !this.#learned.has(logId)) || row.dropped.includes(part)) continue
        const sum = bytes.get(logId) ?? { above: flushBytes, bottom: 0 }
        if (directory.level(part) === LEVEL_BOTTOM) sum.bottom += directory.byteCount(part)
        else sum.above += directory.byteCount(part)
        bytes.set(logId, sum)
      }
    }
    for (const [logId, { above, bottom }] of bytes) {
      if (bottom < this.#ownBytes * 16) continue
      const share = this.#learned.get(logId) ?? garbage
      if (above + bottom > amplificationMax * (bottom + above * (1 - share))) return true
    }
    return false
  }
}
