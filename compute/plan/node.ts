/**
 * The plan of a job: what `Flow` builds, a tree of operators from the sources up, immutable and shared between flows that begin alike. Everything but sources and users'
 * functions is plain data. `build.ts` turns a plan into operators that run; `explain.ts` shows it.
 */
import type { AggregateNode } from '../aggregate/aggregate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import type { AggregateStep } from '../operator/aggregate-rows.ts'
import type { CacheCell } from '../operator/cache-rows.ts'
import type { EmitFunctions, ReduceFunction } from '../operator/emit-rows.ts'
import type { Needs, Source } from '../source/source.ts'
import type { SourceRange } from '../source/source-range.ts'
import type { WindowNode } from '../window/window-function.ts'

/** A field of a result and what it is computed from. */
export interface NamedExpression {
  readonly name: string
  readonly expression: ExpressionNode
}

export interface NamedAggregate {
  readonly name: string
  readonly aggregate: AggregateNode
}

export interface NamedWindow {
  readonly name: string
  readonly window: WindowNode
}

/** Which rows of two inputs a join gives: pairs, with those that have no partner of neither, either or both; or the left rows that have one, or have none. */
export type JoinKind = 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti'

/** How a join that runs as several tasks brings rows together: all right rows to every task, or both sides divided by key. */
export type JoinHint = 'broadcast' | 'shuffle'

/** One criterion of an order; rows equal in all keep no order. */
export interface SortCriterion {
  readonly expression: ExpressionNode
  readonly descending: boolean
  /** Where nulls go. Default last, in either direction. */
  readonly nullsFirst: boolean
}

export type PlanNode =
  | {
      readonly op: 'source'
      readonly source: Source
      /** What of it is wanted. Default: all. */
      readonly range?: SourceRange
    }
  | {
      /** An input of a stage, by number; in plans that were cut into stages (`stages.ts`). */
      readonly op: 'input'
      readonly index: number
    }
  | {
      /** Ends a stage whose rows go on as they are: keys to divide them by, and what the next stage needs of them. */
      readonly op: 'ship'
      readonly input: PlanNode
      readonly keys: readonly ExpressionNode[]
      readonly needs: Needs
    }
  | { readonly op: 'filter'; readonly input: PlanNode; readonly predicate: ExpressionNode }
  | { readonly op: 'filterBy'; readonly input: PlanNode; readonly test: (row: unknown) => unknown }
  | { readonly op: 'map'; readonly input: PlanNode; readonly map: (row: unknown) => unknown }
  | { readonly op: 'flatMap'; readonly input: PlanNode; readonly map: (row: unknown) => Iterable<unknown> }
  | {
      /** Words of a text, each a row. */
      readonly op: 'words'
      readonly input: PlanNode
      readonly text: ExpressionNode
    }
  | { readonly op: 'mapBatch'; readonly input: PlanNode; readonly map: (rows: unknown[]) => Iterable<unknown> }
  | {
      readonly op: 'mapAsync'
      readonly input: PlanNode
      readonly map: (row: unknown) => PromiseLike<unknown>
      readonly concurrency: number
    }
  | { readonly op: 'select'; readonly input: PlanNode; readonly columns: readonly NamedExpression[] }
  | {
      /** Gives each row a key that a function computes, as the field '@group'. */
      readonly op: 'keyBy'
      readonly input: PlanNode
      readonly key: (row: unknown) => unknown
    }
  | {
      readonly op: 'aggregate'
      readonly input: PlanNode
      /** None: one group of all rows, also when there are no rows. */
      readonly keys: readonly NamedExpression[]
      readonly aggregates: readonly NamedAggregate[]
      /** In a plan that was cut into stages: which part of the work. Default 'whole'. */
      readonly step?: AggregateStep
    }
  | {
      readonly op: 'fold'
      readonly input: PlanNode
      readonly keys: readonly NamedExpression[]
      /** Undefined: `reduce`, which begins with the first row. */
      readonly initial: (() => unknown) | undefined
      readonly fold: (state: unknown, row: unknown) => unknown
      /** Joins the states of two parts; undefined: rows of a key are folded in one place. */
      readonly merge: ((a: unknown, b: unknown) => unknown) | undefined
      /** In a plan that was cut into stages: states of parts, in the field `value`, are joined by `merge`. */
      readonly isMerge?: boolean
    }
  | { readonly op: 'distinct'; readonly input: PlanNode; readonly by: readonly ExpressionNode[] }
  | {
      readonly op: 'sort'
      readonly input: PlanNode
      readonly by: readonly SortCriterion[]
      /** Rows equal in these are sorted together, others may be elsewhere. Undefined: all rows are one order. */
      readonly divideBy?: readonly ExpressionNode[]
      /** Rows that agree in the first so many criteria are in one task. Undefined: in all. Without `divideBy` only. */
      readonly together?: number
      /** So many rows are wanted, the first; others may be left out. Undefined: all. Without `divideBy` only; set by `push-down.ts`. */
      readonly first?: number
    }
  | {
      /** The map side of a MapReduce. */
      readonly op: 'emit'
      readonly input: PlanNode
      readonly functions: EmitFunctions
    }
  | {
      readonly op: 'combine'
      readonly input: PlanNode
      readonly functions: Pick<EmitFunctions, 'group' | 'partition'>
      readonly combine: (key: unknown, values: unknown[]) => unknown
    }
  | {
      /** The reduce side, over pairs in the order of their groups. */
      readonly op: 'reduceGroups'
      readonly input: PlanNode
      readonly reduce: ReduceFunction
    }
  | { readonly op: 'limit'; readonly input: PlanNode; readonly count: number; readonly offset: number }
  | { readonly op: 'sample'; readonly input: PlanNode; readonly fraction: number; readonly seed: number }
  | { readonly op: 'union'; readonly inputs: readonly PlanNode[] }
  | { readonly op: 'withColumns'; readonly input: PlanNode; readonly columns: readonly NamedExpression[] }
  | {
      readonly op: 'join'
      readonly left: PlanNode
      readonly right: PlanNode
      /** As many as there are right ones. */
      readonly leftKeys: readonly ExpressionNode[]
      readonly rightKeys: readonly ExpressionNode[]
      readonly how: JoinKind
      readonly hint: JoinHint | undefined
      /** Null for a row that is missing; undefined: both rows as one (`joined-rows.ts`). */
      readonly combine: ((left: unknown, right: unknown) => unknown) | undefined
    }
  | {
      /** Rows of both inputs by key, as lists `left` and `right`. */
      readonly op: 'cogroup'
      readonly left: PlanNode
      readonly right: PlanNode
      /** Names of the key's fields, and what they are on the left. */
      readonly keys: readonly NamedExpression[]
      readonly rightKeys: readonly ExpressionNode[]
    }
  | {
      /** Rows of each key in an order, with functions over them. */
      readonly op: 'window'
      readonly input: PlanNode
      readonly keys: readonly NamedExpression[]
      readonly by: readonly SortCriterion[]
      readonly columns: readonly NamedWindow[]
      /** Rows of each key that go on, the first; undefined: all. */
      readonly limit: number | undefined
    }
  | { readonly op: 'cache'; readonly input: PlanNode; readonly cell: CacheCell }
  | {
      /** Rows divided anew among tasks: by keys, or evenly. In one thread it is nothing. */
      readonly op: 'repartition'
      readonly input: PlanNode
      readonly by: readonly ExpressionNode[]
    }

/** A node's inputs, in order. */
export function inputsOf(node: PlanNode): readonly PlanNode[] {
  if (node.op === 'source' || node.op === 'input') return []
  if (node.op === 'join' || node.op === 'cogroup') return [node.left, node.right]
  return node.op === 'union' ? node.inputs : [node.input]
}
