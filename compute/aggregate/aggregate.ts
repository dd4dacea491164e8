/** Aggregates as data, what jobs are described with: `count()`, `sum('total')` and the others; `makeAggregator` makes what computes one. */

import { checkOptions, VarveError } from '../../engine/index.ts'
import { Expression, expressionOf, row } from '../expression/expression.ts'
import { type ExpressionNode, expressionText, fieldsRead } from '../expression/node.ts'
import type { Aggregator } from './aggregator.ts'
import { ApproxCountDistinct } from './approx-count-distinct.ts'
import { BestBy } from './best-by.ts'
import { CollectValues } from './collect-values.ts'
import { Count } from './count.ts'
import { CountDistinct } from './count-distinct.ts'
import { Extreme } from './extreme.ts'
import { Quantiles } from './quantiles.ts'
import { Sum } from './sum.ts'
import { TopK } from './top-k.ts'
import { Truth } from './truth.ts'
import { Variance } from './variance.ts'

export type AggregateName =
  | 'count'
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'variance'
  | 'stddev'
  | 'first'
  | 'last'
  | 'minBy'
  | 'maxBy'
  | 'collect'
  | 'countDistinct'
  | 'approxCountDistinct'
  | 'quantile'
  | 'quantiles'
  | 'topK'
  | 'some'
  | 'every'

/** Structured-clonable. */
export interface AggregateNode {
  readonly name: AggregateName
  readonly inputs: readonly ExpressionNode[]
  /** Only rows for which this is true count; undefined: all. */
  readonly filter?: ExpressionNode | undefined
  /** What is no expression: the fractions of quantiles, the number of values of `topK` and `collect`. */
  readonly parameters?: readonly number[] | undefined
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

  /** The same of only those rows for which the expression is true; of several calls, all of them. */
  where<const F extends string>(predicate: Expression<unknown, F>): Aggregate<Result, Fields | F> {
    if (!(predicate instanceof Expression)) throw new TypeError(`predicate must be an expression, got ${String(predicate)}`)
    const { filter } = this.node
    const both: ExpressionNode = filter === undefined ? predicate.node : { kind: 'call', name: 'and', arguments: [filter, predicate.node] }
    return new Aggregate({ ...this.node, filter: both })
  }
}

type Input<Fields extends string> = Fields | Expression<unknown, Fields>

/** Options of `collect`. */
export interface CollectOptions {
  /** So many values at most, the first. Default: all. */
  readonly limit?: number
}

/** Rows; with an input, rows in which it is not null. */
export function count<const Fields extends string = never>(input?: Input<Fields>): Aggregate<number, Fields> {
  return new Aggregate({ name: 'count', inputs: input === undefined ? [] : [expressionOf(input, 'count')] })
}

/** Rows for which the expression is true. */
export function countIf<const Fields extends string>(predicate: Expression<unknown, Fields>): Aggregate<number, Fields> {
  return count<Fields>().where(predicate)
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

/** Sample variance of numbers (divided by one less than their number); null of fewer than two. */
export function variance<const Fields extends string>(input: Input<Fields>): Aggregate<number | null, Fields> {
  return new Aggregate({ name: 'variance', inputs: [expressionOf(input, 'variance')] })
}

/** Sample standard deviation of numbers, the square root of `variance`. */
export function stddev<const Fields extends string>(input: Input<Fields>): Aggregate<number | null, Fields> {
  return new Aggregate({ name: 'stddev', inputs: [expressionOf(input, 'stddev')] })
}

/**
 * The value, not null, of the row that is first in the order of `by`; of equal ones, and without `by`, the row that comes first, which is defined where rows are read in one
 * place. Null of none.
 */
export function first<Value = unknown, const Fields extends string = string, const By extends string = never>(
  input: Input<Fields>,
  by?: Input<By>,
): Aggregate<Value | null, Fields | By> {
  return new Aggregate({ name: 'first', inputs: byInputs('first', input, by) })
}

/** As `first`, of the row that is last in the order of `by`; of equal ones the one that comes last. */
export function last<Value = unknown, const Fields extends string = string, const By extends string = never>(
  input: Input<Fields>,
  by?: Input<By>,
): Aggregate<Value | null, Fields | By> {
  return new Aggregate({ name: 'last', inputs: byInputs('last', input, by) })
}

/** The value, not null, of the row in which `by` is smallest; of equal ones the first. Null of none. */
export function minBy<Value = unknown, const Fields extends string = string, const By extends string = string>(
  input: Input<Fields>,
  by: Input<By>,
): Aggregate<Value | null, Fields | By> {
  return new Aggregate({ name: 'minBy', inputs: [expressionOf(input, 'minBy'), expressionOf(by, 'by')] })
}

/** As `minBy`, where `by` is largest. */
export function maxBy<Value = unknown, const Fields extends string = string, const By extends string = string>(
  input: Input<Fields>,
  by: Input<By>,
): Aggregate<Value | null, Fields | By> {
  return new Aggregate({ name: 'maxBy', inputs: [expressionOf(input, 'maxBy'), expressionOf(by, 'by')] })
}

/** Values that are not null as a list, in the order in which they come. All of a group are in memory. */
export function collect<Value = unknown, const Fields extends string = never>(
  input: Input<Fields> = row(),
  options: CollectOptions = {},
): Aggregate<Value[], Fields> {
  checkOptions(options, 'collect', ['limit'])
  const { limit = Number.MAX_SAFE_INTEGER } = options
  return new Aggregate({ name: 'collect', inputs: [expressionOf(input, 'collect')], parameters: [wholeNumber(limit, 'limit')] })
}

/** How many different values there are, nulls aside. All of them are in memory. */
export function countDistinct<const Fields extends string>(input: Input<Fields>): Aggregate<number, Fields> {
  return new Aggregate({ name: 'countDistinct', inputs: [expressionOf(input, 'countDistinct')] })
}

/** About how many: up to 384 exactly, beyond with a standard error of 1.6 % (HyperLogLog), in 4 KB a group. */
export function approxCountDistinct<const Fields extends string>(input: Input<Fields>): Aggregate<number, Fields> {
  return new Aggregate({ name: 'approxCountDistinct', inputs: [expressionOf(input, 'approxCountDistinct')] })
}

/**
 * The number below which this fraction of all numbers lies, linear between two. Of up to 1024 numbers of a group exact, beyond a t-digest: what is returned has a rank that is off by
 * less than 0.5 % of the numbers, below 1 % and above 99 % by less than 0.2 %. Null of none.
 */
export function quantile<const Fields extends string>(input: Input<Fields>, fraction: number): Aggregate<number | null, Fields> {
  return new Aggregate({ name: 'quantile', inputs: [expressionOf(input, 'quantile')], parameters: [fractionOf(fraction, 'fraction')] })
}

/** Several quantiles, as `quantile`, for the price of one. */
export function quantiles<const Fields extends string>(
  input: Input<Fields>,
  fractions: readonly number[],
): Aggregate<number[] | null, Fields> {
  if (!Array.isArray(fractions)) throw new TypeError(`fractions must be an array, got ${String(fractions)}`)
  const parameters = fractions.map(fraction => fractionOf(fraction, 'fractions'))
  return new Aggregate({ name: 'quantiles', inputs: [expressionOf(input, 'quantiles')], parameters })
}

/** The number in the middle, as `quantile` of 0.5. */
export function median<const Fields extends string>(input: Input<Fields>): Aggregate<number | null, Fields> {
  return quantile(input, 0.5)
}

/** Of the rows in which `by` is largest the values, by default the rows, largest first; of equal ones those that come first. */
export function topK<Value = unknown, const By extends string = string, const Fields extends string = never>(
  howMany: number,
  by: Input<By>,
  input: Input<Fields> = row(),
): Aggregate<Value[], By | Fields> {
  const inputs = [expressionOf(by, 'by'), expressionOf(input, 'topK')]
  return new Aggregate({ name: 'topK', inputs, parameters: [wholeNumber(howMany, 'howMany')] })
}

/** Whether the expression is true in some row; null where it is neither true nor false in any. */
export function some<const Fields extends string>(input: Input<Fields>): Aggregate<boolean | null, Fields> {
  return new Aggregate({ name: 'some', inputs: [expressionOf(input, 'some')] })
}

/** Whether the expression is true in every row in which it is true or false; null without such a row. */
export function every<const Fields extends string>(input: Input<Fields>): Aggregate<boolean | null, Fields> {
  return new Aggregate({ name: 'every', inputs: [expressionOf(input, 'every')] })
}

function byInputs(name: string, input: Input<string>, by: Input<string> | undefined): ExpressionNode[] {
  return by === undefined ? [expressionOf(input, name)] : [expressionOf(input, name), expressionOf(by, 'by')]
}

function wholeNumber(value: number, option: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${option} must be a whole number from 0 on, got ${String(value)}`)
  return value
}

function fractionOf(value: number, option: string): number {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${option} must be from 0 to 1, got ${String(value)}`)
  return value
}

export function makeAggregator({ name, parameters = [] }: AggregateNode): Aggregator {
  switch (name) {
    case 'count':
      return new Count()
    case 'sum':
    case 'avg':
      return new Sum(name === 'avg')
    case 'min':
    case 'max':
      return new Extreme(name)
    case 'variance':
    case 'stddev':
      return new Variance(name === 'stddev')
    case 'first':
    case 'minBy':
      return new BestBy(1, false)
    case 'maxBy':
      return new BestBy(-1, false)
    case 'last':
      return new BestBy(-1, true)
    case 'collect':
      return new CollectValues(parameters[0] as number)
    case 'countDistinct':
      return new CountDistinct()
    case 'approxCountDistinct':
      return new ApproxCountDistinct()
    case 'quantile':
    case 'quantiles':
      return new Quantiles(parameters, name === 'quantiles')
    case 'topK':
      return new TopK(parameters[0] as number)
    case 'some':
    case 'every':
      return new Truth(name)
    default:
      throw new VarveError('INVARIANT', `no aggregate is called ${String(name satisfies never)}`)
  }
}

/** Adds the paths that an aggregate reads. */
export function aggregateFields({ inputs, filter }: AggregateNode, into: Set<string>): void {
  for (const input of inputs) fieldsRead(input, into)
  if (filter !== undefined) fieldsRead(filter, into)
}

/** As `explain()` shows it. */
export function aggregateText({ name, inputs, filter, parameters = [] }: AggregateNode): string {
  const shown = parameters.filter(parameter => parameter !== Number.MAX_SAFE_INTEGER)
  const text = `${name}(${[...inputs.map(input => expressionText(input)), ...shown].join(', ')})`
  return filter === undefined ? text : `${text} where ${expressionText(filter)}`
}
