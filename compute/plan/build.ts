/** Turns a plan into operators that run in one thread: from the end of the flow to its leaves, each operator made with the one behind it. */

import { AggregateRows } from '../operator/aggregate-rows.ts'
import { CacheRows } from '../operator/cache-rows.ts'
import { cogroup } from '../operator/cogroup-rows.ts'
import type { OperatorContext } from '../operator/context.ts'
import { DistinctRows } from '../operator/distinct-rows.ts'
import { CombineRows, EmitRows, ReduceGroups } from '../operator/emit-rows.ts'
import { FoldRows } from '../operator/fold-rows.ts'
import { hashJoin, type JoinReceivers } from '../operator/hash-join.ts'
import type { Receiver } from '../operator/receiver.ts'
import {
  Filter,
  FilterBy,
  FlatMapRows,
  KeyRows,
  Limit,
  MapAsync,
  MapBatch,
  MapRows,
  Sample,
  Select,
  Union,
} from '../operator/row-operators.ts'
import { ShipRows } from '../operator/ship-rows.ts'
import { SortRows } from '../operator/sort-rows.ts'
import { SplitWords } from '../operator/split-words.ts'
import { WindowRows } from '../operator/window-rows.ts'
import { WithColumns } from '../operator/with-columns.ts'
import { IterableSource } from '../source/iterable-source.ts'
import type { Needs } from '../source/source.ts'
import { compareValues } from '../vector/value-order.ts'
import { inputNeeds, wholeRows } from './needs.ts'
import { inputsOf, type PlanNode } from './node.ts'

/** Where rows come into a plan, with the operator that receives them. */
export interface PlanInput {
  readonly leaf: Extract<PlanNode, { op: 'source' | 'input' }>
  readonly needs: Needs
  readonly receiver: Receiver
}

/** The inputs of a plan whose rows end in `end`, which takes them as `needs` says, for `taker`, or whoever runs the plan; to be read in the order of the list. */
export function buildPlan(
  node: PlanNode,
  end: Receiver,
  context: OperatorContext,
  needs: Needs = wholeRows,
  taker?: PlanNode,
): PlanInput[] {
  const metered = context.meter === undefined ? end : context.meter.between(node, taker, end)
  if (node.op === 'source' || node.op === 'input') return [{ leaf: node, needs, receiver: metered }]
  return buildOperator(node, metered, context, needs).flatMap(({ input, receiver, needs: ofInput }) =>
    buildPlan(input, receiver, context, ofInput, node),
  )
}

/** An input of an operator. */
export interface OperatorInput {
  readonly input: PlanNode
  readonly receiver: Receiver
  readonly needs: Needs
  /** Whether it ends before rows of the others come. */
  readonly isBefore: boolean
}

/** The operator of a node, which sends to `end`, by its inputs, in the order in which they are read. */
export function buildOperator(
  node: Exclude<PlanNode, { op: 'source' | 'input' }>,
  end: Receiver,
  context: OperatorContext,
  needs: Needs,
): OperatorInput[] {
  if (node.op === 'join' || node.op === 'cogroup') {
    const { left, right } = pairOf(node, end, context, needs)
    return [
      { input: node.right, receiver: right, needs: inputNeeds(node, needs, 1), isBefore: true },
      { input: node.left, receiver: left, needs: inputNeeds(node, needs, 0), isBefore: false },
    ]
  }
  if (node.op === 'cache' && node.cell.rows !== undefined) {
    // Rows that are there take the place of what gave them.
    const input: PlanNode = { op: 'source', source: new IterableSource(node.cell.rows) }
    return [{ input, receiver: end, needs, isBefore: true }]
  }
  const ofInput = inputNeeds(node, needs)
  const receiver = operatorOf(node, end, context, ofInput)
  return inputsOf(node).map(input => ({ input, receiver, needs: ofInput, isBefore: false }))
}

/** Operators with two inputs. */
type PairNode = Extract<PlanNode, { op: 'join' | 'cogroup' }>

function pairOf(node: PairNode, end: Receiver, context: OperatorContext, needs: Needs): JoinReceivers {
  if (node.op === 'join') return hashJoin(node, needs, inputNeeds(node, needs, 0), context, end)
  const { keys, rightKeys } = node
  const names = keys.map(({ name }) => name)
  return cogroup({ names, leftKeys: keys.map(({ expression }) => expression), rightKeys }, context, end)
}

/** `needs`: what the operator needs of its input. */
function operatorOf(
  node: Exclude<PlanNode, { op: 'source' | 'input' } | PairNode>,
  end: Receiver,
  context: OperatorContext,
  needs: Needs,
): Receiver {
  switch (node.op) {
    case 'filter':
      return new Filter(node.predicate, end)
    case 'filterBy':
      return new FilterBy(node.test, end)
    case 'map':
      return new MapRows(node.map, end)
    case 'flatMap':
      return new FlatMapRows(node.map, end)
    case 'emit':
      return new EmitRows(node.functions, context, end)
    case 'combine':
      return new CombineRows(node.combine, node.functions, context, end)
    case 'reduceGroups':
      return new ReduceGroups(node.reduce, isSameValue, context, end)
    case 'words':
      return new SplitWords(node.text, end)
    case 'mapBatch':
      return new MapBatch(node.map, end)
    case 'mapAsync':
      return new MapAsync(node.map, node.concurrency, end)
    case 'keyBy':
      return new KeyRows(node.key, end)
    case 'select':
      return new Select(node.columns, end)
    case 'aggregate':
      return new AggregateRows(node.keys, node.aggregates, node.step ?? 'whole', context, end)
    case 'fold':
      return new FoldRows(node.keys, node, needs, context, end)
    case 'distinct':
      return new DistinctRows(node.by, needs, context, end)
    case 'sort':
      return new SortRows(node.by, node.first, context, end)
    case 'limit':
      return new Limit(node.count, node.offset, end)
    case 'sample':
      return new Sample(node.fraction, node.seed, end)
    case 'union':
      return new Union(node.inputs.length, end)
    case 'withColumns':
      return new WithColumns(node.columns, end)
    case 'window':
      return new WindowRows(node, context, end)
    case 'cache':
      return new CacheRows(node.cell, end)
    case 'repartition':
      return end
    case 'ship':
      return new ShipRows(node.keys, node.needs, end)
    default:
      return node satisfies never
  }
}

function isSameValue(a: unknown, b: unknown): boolean {
  return compareValues(a, b) === 0
}
