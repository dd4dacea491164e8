/**
 * Ranges of keys, merged: disjoint and ascending, whatever was added in whatever order. Keys are texts, see `overlay.ts`.
 *
 * Owned by a transaction's overlays. Adding costs a search and what it moves; the list that was handed out stays as it is.
 */

/** Keys, half open. */
export interface OverlayRange {
  readonly start: string
  /** undefined: to the end. */
  readonly end: string | undefined
}

export class KeyRanges {
  #ranges: OverlayRange[] = []
  /** Somebody has the list: it is copied before it changes. */
  #isShared = false

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** Disjoint and ascending. The array stays as it is. */
  get list(): readonly OverlayRange[] {
    this.#isShared = true
    return this.#ranges
  }

  /** The range that covers the key. */
  covering(text: string): OverlayRange | undefined {
    return coveringRange(this.#ranges, text)
  }

  /** `start` is below `end`. Ranges that touch become one. */
  add(start: string, end: string | undefined): void {
    if (this.#isShared) this.#ranges = this.#ranges.slice()
    this.#isShared = false
    const ranges = this.#ranges
    // The first that may touch: the last one that begins below.
    let from = countBelow(ranges, start)
    const before = ranges[from - 1]
    if (before !== undefined && (before.end === undefined || before.end >= start)) from--
    let to = from
    let first = start
    let last = end
    for (; to < ranges.length; to++) {
      const range = ranges[to] as OverlayRange
      if (last !== undefined && range.start > last) break
      if (range.start < first) first = range.start
      if (range.end === undefined || (last !== undefined && range.end > last)) last = range.end
    }
    ranges.splice(from, to - from, { start: first, end: last })
  }

  clear(): void {
    this.#ranges = []
    this.#isShared = false
  }
}

/** The range that covers the key, of disjoint ascending ones. */
export function coveringRange(ranges: readonly OverlayRange[], text: string): OverlayRange | undefined {
  const range = ranges[countBelow(ranges, text, true) - 1]
  return range === undefined || (range.end !== undefined && range.end <= text) ? undefined : range
}

/** How many ranges begin below the key, or (`orAt`) at it. */
function countBelow(ranges: readonly OverlayRange[], text: string, orAt: boolean = false): number {
  let from = 0
  let to = ranges.length
  while (from < to) {
    const middle = (from + to) >>> 1
    const { start } = ranges[middle] as OverlayRange
    if (start < text || (orAt && start === text)) from = middle + 1
    else to = middle
  }
  return from
}
