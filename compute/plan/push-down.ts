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
 * Of what several take the rows of nothing is left out. Depends on nothing but the plan, so that each thread of a job finds the same.
 */
import type { ExpressionNode, Literal } from '../expression/node.ts'
import { allTimes, type KeyBound, type SourceRange, type TimeRange } from '../source/source-range.ts'
import { META } from '../vector/chunk.ts'
import { inputsOf, type PlanNode } from './node.ts'

export function pushDown(plan: PlanNode): PlanNode {
  return new PushDown([]).of(plan)
}

/** Of plans that run as one: what several of them share stays one node, and gives no less than each of them wants. */
export function pushDownTogether(plans: readonly PlanNode[]): PlanNode[] {
  const together = new PushDown(plans)
  return plans.map(plan => together.of(plan))
}

/** A sort that is to give more rows than this gives all: so many are one task's work. */
const firstMax = 1 << 16

class PushDown {
  /** How many take a node's rows, of plans that share nodes. */
  readonly #takers = new Map<PlanNode, number>()
  readonly #pushed = new Map<PlanNode, PlanNode>()

  constructor(plans: readonly PlanNode[]) {
    for (const plan of plans) this.#count(plan)
  }

  of(plan: PlanNode): PlanNode {
    let pushed = this.#pushed.get(plan)
    if (pushed === undefined) this.#pushed.set(plan, (pushed = this.#push(plan)))
    return pushed
  }

  #count(node: PlanNode): void {
    const takers = this.#takers.get(node) ?? 0
    this.#takers.set(node, takers + 1)
    if (takers === 0) for (const input of inputsOf(node)) this.#count(input)
  }

  /** Whether nobody else takes the node's rows, who would miss what is left out. */
  #isOwn(node: PlanNode): boolean {
    return (this.#takers.get(node) ?? 1) === 1
  }

  #push(plan: PlanNode): PlanNode {
    switch (plan.op) {
      case 'source':
      case 'input':
        return plan
      case 'union':
        return { ...plan, inputs: plan.inputs.map(input => this.of(input)) }
      case 'join':
      case 'cogroup':
        return { ...plan, left: this.of(plan.left), right: this.of(plan.right) }
      case 'filter':
        return this.#pushFilters(plan)
      case 'limit':
        return { ...plan, input: this.of(this.#firstOf(plan.input, plan.count + plan.offset)) }
      default:
        return { ...plan, input: this.of(plan.input) }
    }
  }

  /** The plan for somebody who takes its first `count` rows: a sort that it has them from, by way of what changes no row's place. */
  #firstOf(plan: PlanNode, count: number): PlanNode {
    if (!this.#isOwn(plan)) return plan
    switch (plan.op) {
      case 'sort':
        return count === 0 || count > firstMax || plan.divideBy !== undefined
          ? plan
          : { ...plan, first: Math.min(count, plan.first ?? count) }
      case 'limit':
        return { ...plan, input: this.#firstOf(plan.input, Math.min(count, plan.count) + plan.offset) }
      case 'map':
      case 'mapAsync':
      case 'select':
      case 'withColumns':
        return { ...plan, input: this.#firstOf(plan.input, count) }
      default:
        return plan
    }
  }

  #pushFilters(plan: Extract<PlanNode, { op: 'filter' }>): PlanNode {
    const conditions: ExpressionNode[] = conjuncts(plan.predicate)
    let node = plan.input
    for (; node.op === 'filter' && this.#isOwn(node); node = node.input) conditions.unshift(...conjuncts(node.predicate))
    if (node.op !== 'source' || !this.#isOwn(node) || (node.source.kind !== 'topic' && node.source.kind !== 'store')) {
      return { ...plan, input: this.of(plan.input) }
    }
    return filteredSource(node, conditions)
  }
}

/** A source with the conditions that it takes, and behind it a filter with the others. */
function filteredSource(node: Extract<PlanNode, { op: 'source' }>, conditions: readonly ExpressionNode[]): PlanNode {
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
