/**
 * Copies of many byte ranges of one buffer, in any order, back to back. Ranges that lie anywhere in a large buffer are not in the processor's caches, and a copy at a time would wait for each: so
 * some of them are touched first, which the processor does side by side, and copied then.
 */

/** Ranges that are touched before the first of them is copied. */
const TOUCHED = 16
/** Shorter ranges are copied byte by byte: a call costs more. */
const LOOP_BYTES_MAX = 16

/** Gets what was touched, so that reading it is not left out. */
const seen = new Int32Array(1)

/**
 * Copies the ranges `[starts[row], ends[row])` of `source` for rows `rows[from, to)` to `target` from `at` on. Where each comes to lie, counted from `at`, goes to `newStarts` and `newEnds` from
 * index 0 on; a start of -1, null, stays. Returns the position behind the last byte.
 */
export function gatherBytes(
  source: Uint8Array,
  starts: Int32Array,
  ends: Int32Array,
  rows: Int32Array,
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
  newStarts: Int32Array,
  newEnds: Int32Array,
): number {
  const sourceWords = wordsOf(source)
  const targetWords = wordsOf(target)
  const areWords = sourceWords !== undefined && targetWords !== undefined
  let position = at
  for (let first = from; first < to; first += TOUCHED) {
    const end = Math.min(to, first + TOUCHED)
    let touched = 0
    for (let k = first; k < end; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      if (start >= 0) touched ^= (source[start] as number) ^ (source[(ends[row] as number) - 1] as number)
    }
    seen[0] = touched
    for (let k = first; k < end; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      newStarts[k - from] = start < 0 ? -1 : position - at
      if (start >= 0) {
        const size = (ends[row] as number) - start
        if (areWords && ((start | position | size) & 3) === 0) {
          const last = (start + size) >> 2
          let word = position >> 2
          for (let w = start >> 2; w < last; w++) targetWords[word++] = sourceWords[w] as number
        } else if (size <= LOOP_BYTES_MAX) for (let b = 0; b < size; b++) target[position + b] = source[start + b] as number
        else target.set(source.subarray(start, start + size), position)
        position += size
      }
      newEnds[k - from] = position - at
    }
  }
  return position
}

/** The bytes as words of four; undefined when they do not begin at a multiple of four of their buffer. */
export function wordsOf(bytes: Uint8Array): Int32Array | undefined {
  return (bytes.byteOffset & 3) === 0 ? new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2) : undefined
}

/** Whether the rows `rows[from, to)` lie one behind the other without a gap, so that all of them are one range. */
export function areAdjacent(starts: Int32Array, ends: Int32Array, rows: Int32Array, from: number, to: number): boolean {
  if (from >= to || (starts[rows[from] as number] as number) < 0) return false
  for (let k = from + 1; k < to; k++) {
    if ((starts[rows[k] as number] as number) !== (ends[rows[k - 1] as number] as number)) return false
  }
  return true
}
