/**
 * What the range deletes of one commit cover together: disjoint pieces, each with the last row that deletes it. Made in the time of sorting the ranges,
 * however many there are and however they overlap.
 *
 * Called by `indexes.ts`, which must know of each key whether a range delete comes after its last write.
 */
import { compareKeys } from '../batch/store-keys.ts'

/** A range delete: keys from `start`, inclusive, to `end`, exclusive. */
export interface DeletedRange {
  readonly start: Uint8Array
  readonly end: Uint8Array
  readonly row: number
}

/** Disjoint, ascending; `row` is the largest of the ranges that cover the piece. Empty ranges cover nothing. */
export function coverOf(ranges: readonly DeletedRange[]): DeletedRange[] {
  const begins = ranges.filter(({ start, end }) => compare(start, end) < 0).sort((left, right) => compare(left.start, right.start))
  const pieces: DeletedRange[] = []
  /** Ranges that began, a heap with the largest row on top; those that have ended are taken out when they come up. */
  const heap: DeletedRange[] = []
  let next = 0
  let at: Uint8Array | undefined
  while (next < begins.length || heap.length > 0) {
    if (heap.length === 0) at = (begins[next] as DeletedRange).start
    const from = at as Uint8Array
    while (next < begins.length && compare((begins[next] as DeletedRange).start, from) <= 0) push(heap, begins[next++] as DeletedRange)
    while (heap.length > 0 && compare((heap[0] as DeletedRange).end, from) <= 0) pop(heap)
    const top = heap[0]
    if (top === undefined) continue
    const following = begins[next]?.start
    const end = following !== undefined && compare(following, top.end) < 0 ? following : top.end
    const last = pieces.at(-1)
    if (last !== undefined && last.row === top.row && compare(last.end, from) === 0) pieces[pieces.length - 1] = { ...last, end }
    else pieces.push({ start: from, end, row: top.row })
    at = end
  }
  return pieces
}

/** The row that deletes the key last; -1 when none does. */
export function rowOver(pieces: readonly DeletedRange[], key: Uint8Array): number {
  let from = 0
  let to = pieces.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (compare((pieces[middle] as DeletedRange).start, key) <= 0) from = middle + 1
    else to = middle
  }
  const piece = pieces[from - 1]
  return piece !== undefined && compare(key, piece.end) < 0 ? piece.row : -1
}

/** The pieces without their seams: as few ranges as cover the same. */
export function joined(pieces: readonly DeletedRange[]): { readonly start: Uint8Array; readonly end: Uint8Array }[] {
  const ranges: { start: Uint8Array; end: Uint8Array }[] = []
  for (const { start, end } of pieces) {
    const last = ranges.at(-1)
    if (last !== undefined && compare(last.end, start) === 0) last.end = end
    else ranges.push({ start, end })
  }
  return ranges
}

function push(heap: DeletedRange[], range: DeletedRange): void {
  let at = heap.length
  heap.push(range)
  while (at > 0) {
    const parent = (at - 1) >>> 1
    if ((heap[parent] as DeletedRange).row >= range.row) break
    heap[at] = heap[parent] as DeletedRange
    at = parent
  }
  heap[at] = range
}

function pop(heap: DeletedRange[]): void {
  const range = heap.pop() as DeletedRange
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let child = at * 2 + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && (heap[child + 1] as DeletedRange).row > (heap[child] as DeletedRange).row) child++
    if ((heap[child] as DeletedRange).row <= range.row) break
    heap[at] = heap[child] as DeletedRange
    at = child
  }
  heap[at] = range
}

function compare(left: Uint8Array, right: Uint8Array): number {
  return compareKeys(left, 0, left.length, right, 0, right.length)
}
