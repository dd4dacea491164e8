/**
 * Picking: which segments are worth rewriting. A pure function of the live segments, so that tests enumerate cases and simulation replays them.
 *
 * Two reasons: *dead* segments, less than half of whose part bytes still count (rewritten to give the space back), and *small* segments, of
 * which at least `smallCountMin` lie in one size class (powers of four, below `mergedBytesMax`): merging them by classes keeps the number of
 * segments logarithmic and rewrites each byte a few times at most (size-tiered compaction, as in Bigtable and Cassandra). From
 * `largeBytesMin` on, about what one flush of a busy log makes, a merge only saves open files, so it waits for `largeCountMin` of them:
 * rewriting every byte of a stream once more halves the rate that it can be appended at (measured).
 */

export interface SegmentFacts {
  readonly id: number
  /** Bytes of the file. */
  readonly bytes: number
  /** Bytes of parts that count. */
  readonly liveBytes: number
  /** Bytes of all parts. */
  readonly partBytes: number
}

export interface PickOptions {
  readonly smallCountMin: number
  /** Segments of at least this size are merged only when a class has `largeCountMin` of them. */
  readonly largeBytesMin: number
  readonly largeCountMin: number
  /** Segments of at least this size are never merged for being small. */
  readonly mergedBytesMax: number
}

const MiB = 1024 * 1024

export const pickDefaults: PickOptions = {
  smallCountMin: 8,
  largeBytesMin: 16 * MiB,
  largeCountMin: 128,
  mergedBytesMax: 256 * MiB,
}

/** Ids of the segments to merge together next, ascending; empty when nothing is worth it. */
export function pickSegments(segments: readonly SegmentFacts[], options: PickOptions = pickDefaults): number[] {
  const dead = segments.filter(segment => segment.liveBytes > 0 && segment.liveBytes * 2 < segment.partBytes)
  const first = dead[0]
  if (first !== undefined) return withinBytes(dead, options.mergedBytesMax)
  const classes = new Map<number, SegmentFacts[]>()
  for (const segment of segments) {
    if (segment.bytes >= options.mergedBytesMax) continue
    const sizeClass = Math.floor(Math.log2(Math.max(1, segment.bytes)) / 2)
    const members = classes.get(sizeClass)
    if (members === undefined) classes.set(sizeClass, [segment])
    else members.push(segment)
  }
  for (const sizeClass of [...classes.keys()].sort((a, b) => a - b)) {
    const members = classes.get(sizeClass) as SegmentFacts[]
    const isLarge = 4 ** sizeClass >= options.largeBytesMin
    if (members.length >= (isLarge ? options.largeCountMin : options.smallCountMin)) return withinBytes(members, options.mergedBytesMax * 2)
  }
  return []
}

/** Oldest first, as many as stay below `bytesMax` live bytes, at least one. */
function withinBytes(segments: readonly SegmentFacts[], bytesMax: number): number[] {
  const picked: number[] = []
  let bytes = 0
  for (const segment of [...segments].sort((a, b) => a.id - b.id)) {
    if (picked.length > 0 && bytes + segment.liveBytes > bytesMax) break
    picked.push(segment.id)
    bytes += segment.liveBytes
  }
  return picked
}
