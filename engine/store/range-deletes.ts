/**
 * All range deletes that a moment sees, cut into ranges that do not overlap, so that one binary search tells by which sequence a key is covered
 * (the fragments of RocksDB's range tombstones). Built for a cursor when there are any.
 */
import { compareKeys } from '../batch/store-keys.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'

interface RangeDelete {
  readonly start: Uint8Array
  /** Exclusive. */
  readonly end: Uint8Array
  readonly sequence: number
}

const compare = (left: Uint8Array, right: Uint8Array): number => compareKeys(left, 0, left.length, right, 0, right.length)

export class RangeDeletes {
  readonly #collected: RangeDelete[] = []
  /** Fragment i is `[starts[i], starts[i + 1])`, deleted by `sequences[i]` (-1: not at all). */
  #starts: Uint8Array[] | undefined
  #sequences: number[] = []

  get isEmpty(): boolean {
    return this.#collected.length === 0
  }

  add(record: StoreRecordCursor): void {
    const { buffer, keyStart, keyBytes, valueStart, valueBytes, sequence } = record
    const start = buffer.slice(keyStart, keyStart + keyBytes)
    const end = buffer.slice(valueStart, valueStart + valueBytes)
    if (compare(start, end) < 0) this.#collected.push({ start, end, sequence })
    this.#starts = undefined
  }

  /** The newest range delete over the key; -1 when there is none. */
  covering(key: Uint8Array, keyStart: number, keyBytes: number): number {
    const starts = this.#starts ?? this.#cut()
    let from = 0
    let to = starts.length
    while (from < to) {
      const middle = (from + to) >>> 1
      const start = starts[middle] as Uint8Array
      if (compareKeys(start, 0, start.length, key, keyStart, keyBytes) <= 0) from = middle + 1
      else to = middle
    }
    return from === 0 ? -1 : (this.#sequences[from - 1] as number)
  }

  #cut(): Uint8Array[] {
    const bounds = this.#collected.flatMap(({ start, end }) => [start, end]).sort(compare)
    const starts = bounds.filter((bound, i) => i === 0 || compare(bounds[i - 1] as Uint8Array, bound) !== 0)
    const byStart = [...this.#collected].sort((left, right) => compare(left.start, right.start))
    // Sweep: what is open at a bound, newest wins. The number of range deletes open at once is small.
    let open: RangeDelete[] = []
    let next = 0
    this.#sequences = starts.map(bound => {
      open = open.filter(({ end }) => compare(end, bound) > 0)
      for (; next < byStart.length; next++) {
        const candidate = byStart[next] as RangeDelete
        if (compare(candidate.start, bound) > 0) break
        if (compare(candidate.end, bound) > 0) open.push(candidate)
      }
      return open.reduce((newest, { sequence }) => Math.max(newest, sequence), -1)
    })
    this.#starts = starts
    return starts
  }
}
