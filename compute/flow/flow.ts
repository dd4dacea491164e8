/**
 * Flows: what a job does with rows, built step by step. A flow is immutable and does nothing until it is run; each verb gives a new flow, so that several may begin alike.
 *
 * Verbs take closures, which see each row as a value, or field expressions (`col`), which the engine sees through. Rows come from stores, topics, files and
 * iterables (`flow`), and go where the ending verb says.
 */

import { checkOptions, type Store, type StoreKey, type StoreView } from '../../engine/index.ts'
import type { Topic } from '../../stream/index.ts'
import { type Aggregate, count } from '../aggregate/aggregate.ts'
import { type RunOptions, runFlow } from '../execute/run-flow.ts'
import type { Counters } from '../execute/run-inline.ts'
import type { StagedEnd } from '../execute/run-staged.ts'
import { Expression, expressionOf } from '../expression/expression.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { Collect, ForEach } from '../operator/collect.ts'
import { PullQueue } from '../operator/pull-queue.ts'
import { GROUP_FIELD } from '../operator/row-operators.ts'
import { describePlan, type FlowDescription } from '../plan/describe.ts'
import { explainPlan } from '../plan/explain.ts'
import type { JoinHint, JoinKind, PlanNode } from '../plan/node.ts'
import type { RunStats } from '../plan/run-stats.ts'
import { type RunReport, runTo } from '../sink/run-to.ts'
import type { Sink } from '../sink/sink.ts'
import {
  checkCount,
  checkFunction,
  checkJoin,
  joinSides,
  namedAggregates,
  namedExpressions,
  namedPaths,
  type SortOptions,
  sortCriteria,
} from './arguments.ts'
import { sourceNode, sourceOf, type TopicInputOptions, type TypedSource } from './input.ts'
import { KeyedFlow } from './keyed-flow.ts'
import type { AggregateValues, Extended, FieldOf, FieldValues, Flat, Joined, JoinOn, LeftOf, PathOf, RightOf, ValueAt } from './types.ts'

/** Options of `Flow.mapAsync`. */
export interface MapAsyncOptions {
  /** Calls under way at a time. Default 16. */
  readonly concurrency?: number
}

/** Options of `Flow.join`, beside what must be equal. */
export interface JoinOptions<How extends JoinKind> {
  /** Default 'inner'. */
  readonly how?: How | undefined
  /** How rows come together where several tasks share the work: all right rows to each ('broadcast'), or both sides divided by key ('shuffle'). Default: by size. */
  readonly hint?: JoinHint | undefined
}

/** Rows of type `T` to be; see `flow`. */
export class Flow<T> implements AsyncIterable<T> {
  /** Of the job, as errors and progress name it. */
  readonly name: string
  /** What was built so far. */
  readonly plan: PlanNode
  #stats: RunStats | undefined

  /** Use `flow`. */
  constructor(name: string, plan: PlanNode) {
    this.name = name
    this.plan = plan
  }

  // --- row by row ------------------------------------------------------------------------------------------------------------------------

  /** Keeps the rows for which the predicate is true. */
  filter<S extends T>(predicate: (row: T) => row is S): Flow<S>
  /** Keeps the rows for which the predicate is true; an expression that is null is not. */
  filter(predicate: ((row: T) => unknown) | Expression<boolean, PathOf<T>>): Flow<T>
  filter(predicate: ((row: T) => unknown) | Expression<boolean, PathOf<T>>): Flow<T> {
    if (predicate instanceof Expression) return this.#with({ op: 'filter', input: this.plan, predicate: predicate.node })
    checkFunction(predicate, 'predicate')
    return this.#with({ op: 'filterBy', input: this.plan, test: predicate as (row: unknown) => unknown })
  }

  /** One row for each row. */
  map<U>(map: (row: T) => U): Flow<U> {
    checkFunction(map, 'map')
    return this.#with({ op: 'map', input: this.plan, map: map as (row: unknown) => unknown })
  }

  /** Any number of rows for each row: what the list or generator gives. */
  flatMap<U>(map: (row: T) => Iterable<U>): Flow<U> {
    checkFunction(map, 'map')
    return this.#with({ op: 'flatMap', input: this.plan, map: map as (row: unknown) => Iterable<unknown> })
  }

  /**
   * The words of the row, or of a text in it: what stands between white space (the six ASCII characters that C's `isspace` knows), each a row. As
   * `flatMap(text => text.split(/\s+/))`, but no string is made of a word that is only counted. Rows that are no text have no words.
   */
  words(text?: FieldOf<T>): Flow<string> {
    const node: ExpressionNode = text === undefined ? { kind: 'field', path: '' } : expressionOf(text, 'words')
    return this.#with({ op: 'words', input: this.plan, text: node })
  }

  /** As `flatMap`, of some thousand rows at a time: for functions with a cost a call. How rows are divided is not defined. */
  mapBatch<U>(map: (rows: T[]) => Iterable<U>): Flow<U> {
    checkFunction(map, 'map')
    return this.#with({ op: 'mapBatch', input: this.plan, map: map as (rows: unknown[]) => Iterable<unknown> })
  }

  /** One row for each row, by a function that waits for something; results keep the order of the rows. */
  mapAsync<U>(map: (row: T) => PromiseLike<U>, options: MapAsyncOptions = {}): Flow<U> {
    checkFunction(map, 'map')
    checkOptions(options, 'mapAsync', ['concurrency'])
    const { concurrency = 16 } = options
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new RangeError(`concurrency must be a whole number from 1 on, got ${String(concurrency)}`)
    }
    return this.#with({ op: 'mapAsync', input: this.plan, map: map as (row: unknown) => PromiseLike<unknown>, concurrency })
  }

  /** Rows of these fields: paths, or expressions by their new names. */
  select<const P extends PathOf<T>>(...paths: readonly P[]): Flow<Flat<{ [Path in P]: ValueAt<T, Path> }>>
  select<const F extends Readonly<Record<string, FieldOf<T>>>>(fields: F): Flow<Flat<FieldValues<T, F>>>
  select(...given: readonly unknown[]): unknown {
    const [first] = given
    const columns = typeof first === 'object' ? namedExpressions(first, 'select') : namedPaths(given, 'select')
    if (columns.length === 0) throw new TypeError('select must name a field')
    return this.#with({ op: 'select', input: this.plan, columns })
  }

  /** Each row with computed fields beside its own, or in place of those of the same name. */
  withColumns<const F extends Readonly<Record<string, FieldOf<T>>>>(fields: F): Flow<Extended<T, FieldValues<T, F>>> {
    const columns = namedExpressions(fields, 'withColumns')
    if (columns.length === 0) throw new TypeError('withColumns must name a field')
    return this.#with({ op: 'withColumns', input: this.plan, columns })
  }

  /**
   * The rows in several flows: each row goes to the first branch whose predicate is true, and to `rest` when none is. Run together (`runTogether`), branches read their input once.
   */
  branch<const B extends Readonly<Record<string, ((row: T) => unknown) | Expression<boolean, PathOf<T>>>>>(
    branches: B,
  ): { readonly [Name in keyof B | 'rest']: Flow<T> } {
    if (typeof branches !== 'object' || branches === null) throw new TypeError(`branches must be an object, got ${String(branches)}`)
    const flows: Record<string, Flow<T>> = {}
    let rest: Flow<T> = this
    for (const [name, predicate] of Object.entries(branches)) {
      if (name === 'rest') throw new TypeError('branches must not have one called rest')
      flows[name] = rest.filter(predicate)
      rest =
        predicate instanceof Expression
          ? rest.filter(predicate.coalesce(false).eq(true).not() as Expression<boolean, PathOf<T>>)
          : rest.filter(row => !predicate(row))
    }
    return { ...flows, rest } as { readonly [Name in keyof B | 'rest']: Flow<T> }
  }

  /** Keeps the rows in memory when a run has read all of them, for later runs of this flow and of flows that begin with it; as long as such a flow is there. */
  cache(): Flow<T> {
    return this.#with({ op: 'cache', input: this.plan, cell: { rows: undefined } })
  }

  /** Says that rows should be divided anew among tasks, by fields or evenly, as when a few splits have most of the rows. Changes no result, and is nothing in one thread. */
  repartition(...by: readonly FieldOf<T>[]): Flow<T> {
    return this.#with({ op: 'repartition', input: this.plan, by: by.map(field => expressionOf(field, 'repartition')) })
  }

  // --- with another flow -----------------------------------------------------------------------------------------------------------------

  /**
   * Rows of both flows whose keys are equal, as one row each pair; by `how` also rows without a partner, or left rows by whether they have one. Null, also as a part of a key, equals
   * nothing. Of a field that both rows have the left one's value counts, unless it is null. The right rows, or of 'semi' and 'anti' their keys, are kept in memory.
   */
  join<U, const How extends JoinKind = 'inner'>(other: Flow<U>, options: JoinOn<T, U> & JoinOptions<How>): Flow<Joined<T, U, How>>
  /** As above; a pair becomes what `combine` returns of its rows, of which one may be null. */
  join<U, V, const How extends Exclude<JoinKind, 'semi' | 'anti'> = 'inner'>(
    other: Flow<U>,
    options: JoinOn<T, U> & JoinOptions<How>,
    combine: (left: LeftOf<T, How>, right: RightOf<U, How>) => V,
  ): Flow<V>
  join(other: Flow<unknown>, options: JoinOptions<JoinKind>, combine?: (left: never, right: never) => unknown): unknown {
    if (!(other instanceof Flow)) throw new TypeError(`join must be given a flow, got ${String(other)}`)
    const { left, right } = joinSides('join', this.plan, other.plan, options)
    const { how = 'inner', hint } = options
    checkJoin(how, hint)
    if (combine !== undefined) {
      checkFunction(combine, 'combine')
      if (how === 'semi' || how === 'anti') throw new TypeError(`combine must not be given to a join of the kind ${how}`)
    }
    return this.#with({
      op: 'join',
      left: left.plan,
      right: right.plan,
      leftKeys: left.keys,
      rightKeys: right.keys,
      how,
      hint,
      combine: combine as ((a: unknown, b: unknown) => unknown) | undefined,
    })
  }

  /** For each key that either flow has, null included, the rows of both as lists, `left` and `right`; the key has the names of the left fields, of a function `key`. The lists of one key are in memory together: TOO_LARGE beyond `memoryBytesMax`. */
  cogroup<U, const P extends PathOf<T> & PathOf<U>>(
    other: Flow<U>,
    options: { readonly on: P | readonly P[] },
  ): Flow<Flat<{ [Path in P]: ValueAt<T, Path> } & { left: T[]; right: U[] }>>
  cogroup<U>(other: Flow<U>, options: JoinOn<T, U>): Flow<{ key: unknown; left: T[]; right: U[] }>
  cogroup(other: Flow<unknown>, options: unknown): unknown {
    if (!(other instanceof Flow)) throw new TypeError(`cogroup must be given a flow, got ${String(other)}`)
    const { left, right, names } = joinSides('cogroup', this.plan, other.plan, options)
    if (names.includes('left') || names.includes('right')) throw new TypeError('cogroup must not have a key called left or right')
    const keys = left.keys.map((expression, i) => ({ name: names[i] as string, expression }))
    return this.#with({ op: 'cogroup', left: left.plan, right: right.plan, keys, rightKeys: right.keys })
  }

  // --- by key ----------------------------------------------------------------------------------------------------------------------------

  /** Groups rows by fields: paths, expressions by their names, or what a function returns, which results have as `key`. */
  keyBy<const P extends PathOf<T>>(...paths: readonly [P, ...P[]]): KeyedFlow<T, Flat<{ [Path in P]: ValueAt<T, Path> }>>
  keyBy<K>(key: (row: T) => K): KeyedFlow<T, { key: K }>
  keyBy<const F extends Readonly<Record<string, FieldOf<T>>>>(fields: F): KeyedFlow<T, Flat<FieldValues<T, F>>>
  keyBy(...given: readonly unknown[]): unknown {
    const [first] = given
    if (typeof first === 'function') {
      const plan: PlanNode = { op: 'keyBy', input: this.plan, key: first as (row: unknown) => unknown }
      return new KeyedFlow(this.name, plan, [{ name: 'key', expression: { kind: 'field', path: GROUP_FIELD } }])
    }
    const keys = typeof first === 'object' ? namedExpressions(first, 'keyBy') : namedPaths(given, 'keyBy')
    if (keys.length === 0) throw new TypeError('keyBy must name a field')
    return new KeyedFlow(this.name, this.plan, keys)
  }

  /** One row of aggregates over all rows, also when there are none. */
  aggregate<const A extends Readonly<Record<string, Aggregate<unknown, PathOf<T>>>>>(aggregates: A): Flow<Flat<AggregateValues<A>>> {
    return this.#with({ op: 'aggregate', input: this.plan, keys: [], aggregates: namedAggregates(aggregates, []) })
  }

  /** The first row of each that are equal; with paths, of each that are equal in these fields. */
  distinct(...by: readonly FieldOf<T>[]): Flow<T> {
    return this.#with({ op: 'distinct', input: this.plan, by: by.map(field => expressionOf(field, 'distinct')) })
  }

  // --- the whole of it -------------------------------------------------------------------------------------------------------------------

  /** In the order of fields: paths, expressions, or objects that say `descending` and where nulls go. Stable. */
  sort(...by: readonly (FieldOf<T> | SortOptions<FieldOf<T>>)[]): Flow<T> {
    return this.#with({ op: 'sort', input: this.plan, by: sortCriteria(by) })
  }

  /** The first `count` rows after the first `offset`; which these are is defined behind a `sort` only. */
  limit(count: number, offset: number = 0): Flow<T> {
    checkCount(count, 'count')
    checkCount(offset, 'offset')
    return this.#with({ op: 'limit', input: this.plan, count, offset })
  }

  /** Each row with the chance `fraction`, the same rows for the same seed and input. */
  sample(fraction: number, seed: number = 1): Flow<T> {
    if (!(fraction >= 0 && fraction <= 1)) throw new RangeError(`fraction must be from 0 to 1, got ${String(fraction)}`)
    if (!Number.isSafeInteger(seed)) throw new RangeError(`seed must be an integer, got ${String(seed)}`)
    return this.#with({ op: 'sample', input: this.plan, fraction, seed })
  }

  /** The rows of this flow and of the others, in no order. */
  union<U>(...others: readonly Flow<U>[]): Flow<T | U> {
    for (const other of others) if (!(other instanceof Flow)) throw new TypeError(`union must be given flows, got ${String(other)}`)
    return this.#with({ op: 'union', inputs: [this.plan, ...others.map(other => other.plan)] })
  }

  // --- endings ---------------------------------------------------------------------------------------------------------------------------

  /** Runs the flow; resolves with all its rows. */
  async toArray(options: RunOptions = {}): Promise<T[]> {
    const end = new Collect()
    await this.#run(end, options)
    return end.values as T[]
  }

  /** Runs the flow until it has given a row; undefined when there is none. */
  async first(options: RunOptions = {}): Promise<T | undefined> {
    const one = this.limit(1)
    const [row] = await one.toArray(options)
    this.#stats = one.stats()
    return row
  }

  /** Runs the flow; resolves with the number of its rows. */
  async count(options: RunOptions = {}): Promise<number> {
    const counting = this.aggregate({ count: count() })
    const [counted] = await counting.toArray(options)
    this.#stats = counting.stats()
    return (counted as unknown as { count: number }).count
  }

  /** Runs the flow; calls `call` for each row and waits for the promise that it may return. */
  async forEach(call: (row: T) => unknown, options: RunOptions = {}): Promise<void> {
    checkFunction(call, 'call')
    await this.#run(new ForEach(call as (row: unknown) => unknown), options)
  }

  /** Runs the flow into a sink (`toStore`, `toTopic`, `writeJsonl`, …), which counts when all rows are in it. */
  async to(sink: Sink<T>, options: RunOptions = {}): Promise<RunReport> {
    return await runTo(sink, end => this.#run(end, options))
  }

  /** Runs the flow as its rows are taken; leaving the loop ends the run. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const queue = new PullQueue()
    const run = this.#run(queue, {}).then(
      () => queue.end(),
      error => queue.end(error),
    )
    try {
      for (;;) {
        const values = await queue.take()
        if (values === undefined) return
        yield* values as T[]
      }
    } finally {
      queue.leave()
      await run
    }
  }

  /** The plan as data, and as a flow chart in Mermaid. */
  describe(): FlowDescription {
    return describePlan(this.name, this.plan)
  }

  /** The plan as text: operators from the end to the sources, what is read, what users' functions hide. */
  explain(): string {
    return explainPlan(this.plan)
  }

  /** What the last run of this flow that succeeded did, operator by operator: rows, bytes, time; undefined before there was one, and not told of `runTogether`. */
  stats(): RunStats | undefined {
    return this.#stats
  }

  #with<U>(plan: PlanNode): Flow<U> {
    return new Flow<U>(this.name, plan)
  }

  async #run(end: StagedEnd, options: RunOptions): Promise<Counters> {
    const { counters, stats } = await runFlow(this.name, this.plan, end, options)
    this.#stats = stats
    return counters
  }
}

/** A flow over the values of a store, in key order, or of a moment of it. `name` is for messages and progress. */
export function flow<V, K extends StoreKey>(name: string, input: Store<V, K> | StoreView<V, K>): Flow<V>
/** A flow over the values of a topic, up to the last stable offset when it runs; tombstones are null. */
export function flow<V, K>(name: string, input: Topic<V, K>, options?: TopicInputOptions): Flow<V>
/** A flow over a source of `varve/compute`, or what an iterable gives. */
export function flow<T>(name: string, input: TypedSource<T> | Iterable<T> | AsyncIterable<T>): Flow<T>
export function flow(name: string, input: unknown, options?: TopicInputOptions): Flow<unknown> {
  if (typeof name !== 'string' || name === '') throw new TypeError(`name must be a non-empty string, got ${String(name)}`)
  return new Flow(name, sourceNode(sourceOf(input), options))
}
