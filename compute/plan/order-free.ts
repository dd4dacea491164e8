/**
 * Which operators are *order-free*: the rows that they give, as a set, are the same in whatever order rows came. Only these give the same result in one thread and in several without a
 * `sort` before them. Of rows that an order leaves equal one may still come before another.
 */
import type { AggregateName } from '../aggregate/aggregate.ts'
import type { PlanNode } from './node.ts'

/** With one input they take what came first or last; by an order that inputs give they do not, equal ones aside. */
const byArrival: ReadonlySet<AggregateName> = new Set(['first', 'last', 'collect'])

export function isOrderFree(node: PlanNode): boolean {
  switch (node.op) {
    case 'limit':
      return node.input.op === 'sort'
    case 'sample':
    case 'mapBatch':
    case 'cogroup':
      return false
    case 'fold':
      return node.merge !== undefined
    case 'distinct':
      return node.by.length === 0
    case 'aggregate':
      return node.aggregates.every(({ aggregate: { name, inputs } }) => !byArrival.has(name) || inputs.length > 1)
    default:
      return true
  }
}
