/**
 * What operators below can do better when they know what those above want.
 *
 * Filters that a source can do better than an operator: conditions on a record's time and key, which tell blocks and ranges that need not be read at all.
 *
 * Conditions on `record.time` of a topic become the source's, exactly, and leave the filter: what lies within can then be counted without looking at it. Conditions on `record.key` of
 * a store only narrow what is read, and stay. Only filters directly over a source are looked at.
 *
 * Limits of what is sorted: the sort then keeps no more rows than are wanted. The limit stays, and takes out its part.
 *
 * Depends on nothing but the plan, so that each thread of a job finds the same.
 */
import type { ExpressionNode, Literal } from '../expression/node.ts'
import { allTimes, type KeyBound, type SourceRange, type TimeRange } from '../source/source-range.ts'
import { META } from '../vector/chunk.ts'
import type { PlanNode } from './node.ts'

export function pushDown(plan: PlanNode): PlanNode {
  switch (plan.op) {
    case 'source':
    case 'input':
      return plan
    case 'union':
      return { ...plan, inputs: plan.inputs.map(pushDown) }
    case 'join':
    case 'cogroup':
      return { ...plan, left: pushDown(plan.left), right: pushDown(plan.right) }
    case 'filter':
      return pushFilters(plan)
    case 'limit':
      return { ...plan, input: pushDown(firstOf(plan.input, plan.count + plan.offset)) }
    default:
      return { ...plan, input: pushDown(plan.input) }
  }
}

/** A sort that is to give more rows than this gives all: so many are one task's work. */
const firstMax = 1 << 16

/** The plan for somebody who takes its first `count` rows: a sort that it has them from, by way of what changes no row's place. */
function firstOf(plan: PlanNode, count: number): PlanNode {
  switch (plan.op) {
    case 'sort':
      return count === 0 || count > firstMax || plan.divideBy !== undefined
        ? plan
        : { ...plan, first: Math.min(count, plan.first ?? count) }
    case 'limit':
      return { ...plan, input: firstOf(plan.input, Math.min(count, plan.count) + plan.offset) }
    case 'map':
    case 'mapAsync':
    case 'select':
    case 'withColumns':
      return { ...plan, input: firstOf(plan.input, count) }
    default:
      return plan
  }
}

function pushFilters(plan: Extract<PlanNode, { op: 'filter' }>): PlanNode {
  const conditions: ExpressionNode[] = []
  let node: PlanNode = plan
  for (; node.op === 'filter'; node = node.input) conditions.unshift(...conjuncts(node.predicate))
  if (node.op !== 'source' || (node.source.kind !== 'topic' && node.source.kind !== 'store')) {
    return { ...plan, input: pushDown(plan.input) }
  }
  let { time, keys = [] } = node.range ?? {}
  const left: ExpressionNode[] = []
  for (const condition of conditions) {
    const within = node.source.kind === 'topic' ? timesOf(condition) : undefined
    if (within === undefined) left.push(condition)
    else time = { from: Math.max(within.from, time?.from ?? allTimes.from), to: Math.min(within.to, time?.to ?? allTimes.to) }
    const key = node.source.kind === 'store' ? keyOf(condition) : undefined
    if (key !== undefined) keys = [...keys, key]
  }
  const range: SourceRange = { ...(time === undefined ? {} : { time }), ...(keys.length === 0 ? {} : { keys }) }
  const source: PlanNode = { ...node, range }
  const [first, ...others] = left
  if (first === undefined) return source
  const predicate: ExpressionNode = others.length === 0 ? first : { kind: 'call', name: 'and', arguments: left }
  return { op: 'filter', input: source, predicate }
}

function conjuncts(node: ExpressionNode): ExpressionNode[] {
  return node.kind === 'call' && node.name === 'and' ? node.arguments.flatMap(conjuncts) : [node]
}

const mirrored: Readonly<Record<string, KeyBound['is']>> = { gt: 'lt', gte: 'lte', lt: 'gt', lte: 'gte', eq: 'eq' }

/** What a comparison with a constant says of a field. */
function boundOf(node: ExpressionNode, path: string): { readonly is: KeyBound['is']; readonly value: Literal } | undefined {
  if (node.kind !== 'call' || !(node.name in mirrored)) return undefined
  const [left, right] = node.arguments
  const is = node.name as KeyBound['is']
  if (left?.kind === 'field' && left.path === path && right?.kind === 'literal') return { is, value: right.value }
  if (right?.kind === 'field' && right.path === path && left?.kind === 'literal')
    return { is: mirrored[is] as KeyBound['is'], value: left.value }
  return undefined
}

/** The times that a condition lets through, which are whole ms; undefined when it says something else. */
function timesOf(condition: ExpressionNode): TimeRange | undefined {
  const bound = boundOf(condition, META.time)
  if (bound === undefined || typeof bound.value !== 'number' || Number.isNaN(bound.value)) return undefined
  const { is, value } = bound
  const after = Math.floor(value) + 1
  switch (is) {
    case 'gt':
      return { from: after, to: allTimes.to }
    case 'gte':
      return { from: Math.ceil(value), to: allTimes.to }
    case 'lt':
      return { from: allTimes.from, to: Math.ceil(value) }
    case 'lte':
      return { from: allTimes.from, to: after }
    default:
      return { from: Math.ceil(value), to: after }
  }
}

function keyOf(condition: ExpressionNode): KeyBound | undefined {
  const bound = boundOf(condition, META.key)
  if (bound === undefined || bound.value === null || Number.isNaN(bound.value)) return undefined
  return { is: bound.is, key: bound.value }
}
