/** Turns a plan into operators that run in one thread: from the end of the flow to its sources, each operator made with the one behind it. */

import { type ExpressionNode, fieldsRead } from '../expression/node.ts'
import { AggregateRows } from '../operator/aggregate-rows.ts'
import { DistinctRows } from '../operator/distinct-rows.ts'
import { FoldRows } from '../operator/fold-rows.ts'
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
import { SortRows } from '../operator/sort-rows.ts'
import type { Needs, Source } from '../source/source.ts'
import type { PlanNode } from './node.ts'

/** A source of a plan, with the operator that receives its rows; to be read in the order of the list. */
export interface PlanInput {
  readonly source: Source
  readonly needs: Needs
  readonly receiver: Receiver
}

const wholeRows: Needs = { paths: [], values: true }

/** The inputs of a plan whose rows end in `end`, which takes them as `needs` says. */
export function buildPlan(node: PlanNode, end: Receiver, needs: Needs = wholeRows): PlanInput[] {
  switch (node.op) {
    case 'source':
      return [{ source: node.source, needs, receiver: end }]
    case 'filter':
      return buildPlan(node.input, new Filter(node.predicate, end), also(needs, fieldsRead(node.predicate)))
    case 'filterBy':
      return buildPlan(node.input, new FilterBy(node.test, end), { ...needs, values: true })
    case 'map':
      return buildPlan(node.input, new MapRows(node.map, end))
    case 'flatMap':
      return buildPlan(node.input, new FlatMapRows(node.map, end))
    case 'mapBatch':
      return buildPlan(node.input, new MapBatch(node.map, end))
    case 'mapAsync':
      return buildPlan(node.input, new MapAsync(node.map, node.concurrency, end))
    case 'keyBy':
      return buildPlan(node.input, new KeyRows(node.key, end), { ...needs, values: true })
    case 'select': {
      const read = new Set<string>()
      for (const { expression } of node.columns) fieldsRead(expression, read)
      return buildPlan(node.input, new Select(node.columns, end), fieldsOnly(read))
    }
    case 'aggregate': {
      const read = new Set<string>()
      for (const { expression } of node.keys) fieldsRead(expression, read)
      for (const { aggregate } of node.aggregates) for (const input of aggregate.inputs) fieldsRead(input, read)
      return buildPlan(node.input, new AggregateRows(node.keys, node.aggregates, 'whole', end), fieldsOnly(read))
    }
    case 'fold':
      return buildPlan(node.input, new FoldRows(node.keys, node, end), also(wholeRows, readBy(node.keys.map(key => key.expression))))
    case 'distinct':
      return buildPlan(node.input, new DistinctRows(node.by, end), node.by.length === 0 ? wholeRows : also(needs, readBy(node.by)))
    case 'sort':
      return buildPlan(node.input, new SortRows(node.by, end), also(wholeRows, readBy(node.by.map(by => by.expression))))
    case 'limit':
      return buildPlan(node.input, new Limit(node.count, node.offset, end), needs)
    case 'sample':
      return buildPlan(node.input, new Sample(node.fraction, node.seed, end), needs)
    case 'union': {
      const union = new Union(node.inputs.length, end)
      return node.inputs.flatMap(input => buildPlan(input, union, needs))
    }
    default:
      return node satisfies never
  }
}

function readBy(expressions: readonly ExpressionNode[]): Set<string> {
  const read = new Set<string>()
  for (const expression of expressions) fieldsRead(expression, read)
  return read
}

function fieldsOnly(read: ReadonlySet<string>): Needs {
  return { paths: [...read], values: read.has('') }
}

function also(needs: Needs, read: ReadonlySet<string>): Needs {
  return { paths: [...new Set([...needs.paths, ...read])], values: needs.values || read.has('') }
}
