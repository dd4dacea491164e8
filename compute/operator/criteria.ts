/** How rows compare by several criteria whose values were computed before. */
import type { SortCriterion } from '../plan/node.ts'
import { compareValues } from '../vector/value-order.ts'

/** Negative when row `a` comes first; `keys[i]` are the values of criterion i, by row. */
export function compareByCriteria(by: readonly SortCriterion[], keys: readonly (readonly unknown[])[], a: number, b: number): number {
  for (let i = 0; i < by.length; i++) {
    const { descending, nullsFirst } = by[i] as SortCriterion
    const values = keys[i] as readonly unknown[]
    const [x, y] = [values[a], values[b]]
    if (x === null || y === null) {
      if (x === y) continue
      return (x === null) === nullsFirst ? -1 : 1
    }
    const order = compareValues(x, y)
    if (order !== 0) return descending ? -order : order
  }
  return 0
}
