/** Ranges of keys that pieces of a store's bottom level stand for. Pure; bytes are compared as keys are ordered. */
import { compareKeys } from '../batch/store-keys.ts'

/** Keys `[from, to)`; an end that is missing is open. */
export interface KeyRange {
  readonly from?: Uint8Array | undefined
  /** Exclusive. */
  readonly to?: Uint8Array | undefined
}

/** Order of two keys. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  return compareKeys(left, 0, left.length, right, 0, right.length)
}

/** Order of ranges by their beginnings. */
export function compareRanges(left: KeyRange, right: KeyRange): number {
  if (left.from === undefined || right.from === undefined) return Number(left.from !== undefined) - Number(right.from !== undefined)
  return compareBytes(left.from, right.from)
}

/** Whether ranges that ascend by their beginnings have no key in common. */
export function areDisjoint(ranges: readonly KeyRange[]): boolean {
  return ranges.every(({ from }, i) => {
    const before = i === 0 ? undefined : ranges[i - 1]
    return before === undefined || (before.to !== undefined && from !== undefined && compareBytes(before.to, from) <= 0)
  })
}

/** Whether the range has a key in common with `[smallest, largest]`. */
export function meets({ from, to }: KeyRange, smallest: Uint8Array, largest: Uint8Array): boolean {
  return (from === undefined || compareBytes(from, largest) <= 0) && (to === undefined || compareBytes(to, smallest) > 0)
}
