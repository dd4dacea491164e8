/** A flow whose rows are grouped by a key; what comes of the groups is a flow again, whose rows have the key's fields and the results. */
import { Aggregate, avg, type CollectOptions, collect, count, countDistinct, max, median, min, sum } from '../aggregate/aggregate.ts'
import { Expression, expressionOf } from '../expression/expression.ts'
import type { NamedExpression, PlanNode } from '../plan/node.ts'
import { checkFunction, namedAggregates, type SortOptions, sortCriteria } from './arguments.ts'
import { Flow } from './flow.ts'
import { SortedFlow } from './sorted-flow.ts'
import type { AggregateValues, FieldOf, Flat, PathOf } from './types.ts'

/** Rows of type `T` by keys of fields `Keys`; see `Flow.keyBy`. */
export class KeyedFlow<T, Keys> {
  /** Of the job. */
  readonly name: string
  readonly #plan: PlanNode
  readonly #keys: readonly NamedExpression[]

  /** Use `Flow.keyBy`. */
  constructor(name: string, plan: PlanNode, keys: readonly NamedExpression[]) {
    this.name = name
    this.#plan = plan
    this.#keys = keys
  }

  /** Aggregates of each group, by their names. */
  aggregate<const A extends Readonly<Record<string, Aggregate<unknown, PathOf<T>>>>>(aggregates: A): Flow<Flat<Keys & AggregateValues<A>>> {
    const named = namedAggregates(aggregates, this.#keys)
    return new Flow(this.name, { op: 'aggregate', input: this.#plan, keys: this.#keys, aggregates: named })
  }

  /** The rows of each group in an order, for functions over them, or for the first of them. */
  sort(...by: readonly (FieldOf<T> | SortOptions<FieldOf<T>>)[]): SortedFlow<T> {
    return new SortedFlow(this.name, this.#plan, this.#keys, sortCriteria(by))
  }

  /** An aggregate of each group for each of these values of a field, which become the names of the results. */
  pivot<const V extends string | number | boolean, Result>(
    field: FieldOf<T>,
    values: readonly V[],
    aggregate: Aggregate<Result, PathOf<T>>,
  ): Flow<Flat<Keys & { [Name in `${V}`]: Result }>> {
    if (!Array.isArray(values)) throw new TypeError(`values must be an array, got ${String(values)}`)
    if (!(aggregate instanceof Aggregate)) throw new TypeError(`aggregate must be an aggregate, got ${String(aggregate)}`)
    const by = new Expression<unknown, string>(expressionOf(field, 'field'))
    const each = Object.fromEntries(values.map(value => [String(value), aggregate.where(by.eq(value))]))
    return this.aggregate(each as never) as unknown as Flow<Flat<Keys & { [Name in `${V}`]: Result }>>
  }

  /** Rows of each group, as `count`. */
  count(): Flow<Flat<Keys & { count: number }>> {
    return this.aggregate({ count: count() }) as unknown as Flow<Flat<Keys & { count: number }>>
  }

  /** Sum of a field of each group, as `sum`. */
  sum<const P extends PathOf<T>>(field: P | Expression<unknown, P>): Flow<Flat<Keys & { sum: number | null }>> {
    return this.aggregate({ sum: sum(field) } as never) as unknown as Flow<Flat<Keys & { sum: number | null }>>
  }

  /** Mean of a field of each group, as `avg`. */
  avg<const P extends PathOf<T>>(field: P | Expression<unknown, P>): Flow<Flat<Keys & { avg: number | null }>> {
    return this.aggregate({ avg: avg(field) } as never) as unknown as Flow<Flat<Keys & { avg: number | null }>>
  }

  /** Smallest value of a field of each group, as `min`. */
  min<Value = number, const P extends PathOf<T> = PathOf<T>>(field: P | Expression<unknown, P>): Flow<Flat<Keys & { min: Value | null }>> {
    return this.aggregate({ min: min(field) } as never) as unknown as Flow<Flat<Keys & { min: Value | null }>>
  }

  /** Largest value of a field of each group, as `max`. */
  max<Value = number, const P extends PathOf<T> = PathOf<T>>(field: P | Expression<unknown, P>): Flow<Flat<Keys & { max: Value | null }>> {
    return this.aggregate({ max: max(field) } as never) as unknown as Flow<Flat<Keys & { max: Value | null }>>
  }

  /** How many different values a field has in each group, as `countDistinct`. */
  countDistinct<const P extends PathOf<T>>(field: P | Expression<unknown, P>): Flow<Flat<Keys & { countDistinct: number }>> {
    return this.aggregate({ countDistinct: countDistinct(field) } as never) as unknown as Flow<Flat<Keys & { countDistinct: number }>>
  }

  /** Median of a field of each group, as `median`; see the aggregate `quantile`. */
  median<const P extends PathOf<T>>(field: P | Expression<unknown, P>): Flow<Flat<Keys & { median: number | null }>> {
    return this.aggregate({ median: median(field) } as never) as unknown as Flow<Flat<Keys & { median: number | null }>>
  }

  /** Rows of each group as a list, `rows`, in the order in which they come. */
  collect(options: CollectOptions = {}): Flow<Flat<Keys & { rows: T[] }>> {
    return this.aggregate({ rows: collect(undefined, options) } as never) as unknown as Flow<Flat<Keys & { rows: T[] }>>
  }

  /** Joins the rows of each group into one, from the first on; results have it as `value`. The function must be associative: it may be given results of its own. */
  reduce(reduce: (a: T, b: T) => T): Flow<Flat<Keys & { value: T }>> {
    checkFunction(reduce, 'reduce')
    const fold = reduce as unknown as (state: unknown, row: unknown) => unknown
    return new Flow(this.name, { op: 'fold', input: this.#plan, keys: this.#keys, initial: undefined, fold, merge: fold })
  }

  /**
   * Folds the rows of each group into a state, which begins as what `initial` returns; results have it as `value`. With `merge`, which joins the states of two parts, a group
   * may be folded in several places.
   */
  fold<State>(
    initial: () => State,
    fold: (state: State, row: T) => State,
    merge?: (a: State, b: State) => State,
  ): Flow<Flat<Keys & { value: State }>> {
    checkFunction(initial, 'initial')
    checkFunction(fold, 'fold')
    if (merge !== undefined) checkFunction(merge, 'merge')
    return new Flow(this.name, {
      op: 'fold',
      input: this.#plan,
      keys: this.#keys,
      initial,
      fold: fold as (state: unknown, row: unknown) => unknown,
      merge: merge as ((a: unknown, b: unknown) => unknown) | undefined,
    })
  }
}
