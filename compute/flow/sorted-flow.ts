/** A flow whose rows are grouped by a key and ordered within it. */
import type { NamedExpression, PlanNode, SortCriterion } from '../plan/node.ts'
import type { WindowFunction } from '../window/window-function.ts'
import { checkCount, namedWindows } from './arguments.ts'
import { Flow } from './flow.ts'
import type { Extended, PathOf, WindowValues } from './types.ts'

/** Rows of type `T` of each key in an order; see `KeyedFlow.sort`. */
export class SortedFlow<T> {
  /** Of the job. */
  readonly name: string
  readonly #plan: PlanNode
  readonly #keys: readonly NamedExpression[]
  readonly #by: readonly SortCriterion[]

  /** Use `KeyedFlow.sort`. */
  constructor(name: string, plan: PlanNode, keys: readonly NamedExpression[], by: readonly SortCriterion[]) {
    this.name = name
    this.#plan = plan
    this.#keys = keys
    this.#by = by
  }

  /** Each row with what functions over the rows of its key give (`rank`, `lag`, `running`, …), by their names, beside its fields or in place of those of the same name. */
  window<const W extends Readonly<Record<string, WindowFunction<unknown, PathOf<T>>>>>(functions: W): Flow<Extended<T, WindowValues<W>>> {
    const columns = namedWindows(functions)
    return new Flow(this.name, { op: 'window', input: this.#plan, keys: this.#keys, by: this.#by, columns, limit: undefined })
  }

  /** The first `count` rows of each key. */
  limit(count: number): Flow<T> {
    checkCount(count, 'count')
    return new Flow(this.name, { op: 'window', input: this.#plan, keys: this.#keys, by: this.#by, columns: [], limit: count })
  }
}
