/** Functions over the rows of a key in their order, as data: `rank()`, `lag('price')`, `running(sum('total'))`. See `SortedFlow.window`. */
import { Aggregate, type AggregateNode, aggregateFields, aggregateText } from '../aggregate/aggregate.ts'
import { type Expression, expressionOf } from '../expression/expression.ts'
import { type ExpressionNode, expressionText, fieldsRead } from '../expression/node.ts'

/** Structured-clonable. */
export type WindowNode =
  | { readonly name: 'rank' | 'denseRank' | 'rowNumber' }
  | {
      /** The value so many rows before (`lag`) or after (`lead`). */
      readonly name: 'lag' | 'lead'
      readonly input: ExpressionNode
      readonly offset: number
    }
  | { readonly name: 'running'; readonly aggregate: AggregateNode }

/** A function that gives a `Result` for each of the ordered rows of a key, which have `Fields`. */
export class WindowFunction<out Result = unknown, out Fields extends string = string> {
  readonly node: WindowNode
  /** Only for the compiler. */
  declare readonly types: { readonly result: Result; readonly fields: Fields }

  /** Use `rank`, `lag` and the others. */
  constructor(node: WindowNode) {
    this.node = node
  }
}

/** One more than the rows of the key that come before; equal rows have the same, and the next one skips as many. */
export function rank(): WindowFunction<number, never> {
  return new WindowFunction({ name: 'rank' })
}

/** As `rank`, without gaps behind equal rows. */
export function denseRank(): WindowFunction<number, never> {
  return new WindowFunction({ name: 'denseRank' })
}

/** 1, 2, 3, …; equal rows in the order in which they came. */
export function rowNumber(): WindowFunction<number, never> {
  return new WindowFunction({ name: 'rowNumber' })
}

/** What the row of the key has that comes so many rows before, by default one; null where there is none. */
export function lag<Value = unknown, const Fields extends string = string>(
  input: Fields | Expression<Value, Fields>,
  offset: number = 1,
): WindowFunction<Value | null, Fields> {
  return new WindowFunction({ name: 'lag', input: expressionOf(input, 'lag'), offset: checkOffset(offset) })
}

/** What the row of the key has that comes so many rows after, by default one; null where there is none. */
export function lead<Value = unknown, const Fields extends string = string>(
  input: Fields | Expression<Value, Fields>,
  offset: number = 1,
): WindowFunction<Value | null, Fields> {
  return new WindowFunction({ name: 'lead', input: expressionOf(input, 'lead'), offset: checkOffset(offset) })
}

/** The aggregate of the rows of the key from the first up to this one (in SQL: rows between unbounded preceding and current row). */
export function running<Result, Fields extends string>(aggregate: Aggregate<Result, Fields>): WindowFunction<Result, Fields> {
  if (!(aggregate instanceof Aggregate)) throw new TypeError(`running must be given an aggregate, got ${String(aggregate)}`)
  return new WindowFunction({ name: 'running', aggregate: aggregate.node })
}

function checkOffset(offset: number): number {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset must be a whole number from 0 on, got ${String(offset)}`)
  return offset
}

/** Adds the paths that a function reads. */
export function windowFields(node: WindowNode, into: Set<string>): void {
  if (node.name === 'running') aggregateFields(node.aggregate, into)
  else if ('input' in node) fieldsRead(node.input, into)
}

/** As `explain()` shows it. */
export function windowText(node: WindowNode): string {
  if (node.name === 'running') return `running ${aggregateText(node.aggregate)}`
  return 'input' in node ? `${node.name}(${expressionText(node.input)}, ${node.offset})` : `${node.name}()`
}
