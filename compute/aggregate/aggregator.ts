/**
 * What every aggregate is made of: states by group number, kept in arrays, added to chunk by chunk, mergeable across workers.
 *
 * 1. `reserve(n)`: groups `[0, n)` exist from now on; new ones have the state of "no rows".
 * 2. `add`: each selected row changes the state of its group. Null inputs are passed over, as in SQL.
 * 3. `states` gives partial states as vectors, for another worker or a spill file; `merge` takes them in there. Which part comes first is not known, so a result that
 *    depends on order carries what it is ordered by.
 * 4. `results` gives what the user sees.
 * Invariant: `merge` of the states of two halves and `add` of all rows give the same results (for sums of doubles: within rounding).
 */
import type { Vector } from '../vector/vector.ts'

export interface Aggregator {
  /** Bytes held, about: what a memory bound counts. */
  readonly bytes: number
  reserve(groups: number): void
  /** Row `rows[k]` of `inputs` belongs to group `groups[k]`. */
  add(inputs: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void
  /** Partial states of groups `[from, to)`; as many vectors for each call, in one order. */
  states(from: number, to: number): Vector[]
  /** As `add`, of what `states` gave. */
  merge(states: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void
  /** A vector of `to - from` rows. */
  results(from: number, to: number): Vector
}

/** How large an array for `groups` groups is made. */
export function capacityFor(groups: number, current: number): number {
  return Math.max(groups, 2 * current, 64)
}

export function grownDoubles(array: Float64Array, groups: number): Float64Array {
  if (groups <= array.length) return array
  const grown = new Float64Array(capacityFor(groups, array.length))
  grown.set(array)
  return grown
}

export function grownBytes(array: Uint8Array, groups: number): Uint8Array {
  if (groups <= array.length) return array
  const grown = new Uint8Array(capacityFor(groups, array.length))
  grown.set(array)
  return grown
}

/** The number in a row, of a bigint its double; undefined: there is none. */
export function numberAt(input: Vector, row: number): number | undefined {
  if (input.kind === 'number') return input.nulls !== undefined && input.nulls[row] === 1 ? undefined : input.values[row]
  if (input.kind !== 'any') return undefined
  const value = input.values[row]
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined
}
