/** Aggregates as data, what jobs are described with: `count()`, `sum('total')` and the others; `makeAggregator` makes what computes one. */
import { VarveError } from '../../engine/index.ts'
import { type Expression, expressionOf } from '../expression/expression.ts'
import { type ExpressionNode, expressionText } from '../expression/node.ts'
import type { Aggregator } from './aggregator.ts'
import { Count } from './count.ts'
import { Extreme } from './extreme.ts'
import { Sum } from './sum.ts'

export type AggregateName = 'count' | 'sum' | 'avg' | 'min' | 'max'

/** Structured-clonable. */
export interface AggregateNode {
  readonly name: AggregateName
  readonly inputs: readonly ExpressionNode[]
}

/** An aggregate that gives a `Result` of rows that have `Fields`. */
export class Aggregate<out Result = unknown, out Fields extends string = string> {
  readonly node: AggregateNode
  /** Only for the compiler. */
  declare readonly types: { readonly result: Result; readonly fields: Fields }

  /** Use `count`, `sum` and the others. */
  constructor(node: AggregateNode) {
    this.node = node
  }
}

type Input<Fields extends string> = Fields | Expression<unknown, Fields>

/** Rows; with an input, rows in which it is not null. */
export function count<const Fields extends string = never>(input?: Input<Fields>): Aggregate<number, Fields> {
  return new Aggregate({ name: 'count', inputs: input === undefined ? [] : [expressionOf(input, 'count')] })
}

/** Sum of numbers, or of bigints; null of none. */
export function sum<const Fields extends string>(input: Input<Fields>): Aggregate<number | null, Fields> {
  return new Aggregate({ name: 'sum', inputs: [expressionOf(input, 'sum')] })
}

/** Mean of numbers; null of none. */
export function avg<const Fields extends string>(input: Input<Fields>): Aggregate<number | null, Fields> {
  return new Aggregate({ name: 'avg', inputs: [expressionOf(input, 'avg')] })
}

/** The smallest value that is not null, of any kind; null of none. */
export function min<Value = number, const Fields extends string = string>(input: Input<Fields>): Aggregate<Value | null, Fields> {
  return new Aggregate({ name: 'min', inputs: [expressionOf(input, 'min')] })
}

/** The largest value that is not null, of any kind; null of none. */
export function max<Value = number, const Fields extends string = string>(input: Input<Fields>): Aggregate<Value | null, Fields> {
  return new Aggregate({ name: 'max', inputs: [expressionOf(input, 'max')] })
}

export function makeAggregator(node: AggregateNode): Aggregator {
  switch (node.name) {
    case 'count':
      return new Count()
    case 'sum':
      return new Sum(false)
    case 'avg':
      return new Sum(true)
    case 'min':
    case 'max':
      return new Extreme(node.name)
    default:
      throw new VarveError('INVARIANT', `no aggregate is called ${String(node.name)}`)
  }
}

/** As `explain()` shows it. */
export function aggregateText({ name, inputs }: AggregateNode): string {
  return `${name}(${inputs.map(input => expressionText(input)).join(', ')})`
}
