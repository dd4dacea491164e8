/**
 * MapReduce as Hadoop has it, on the same engine as flows: `map` emits pairs for each row, pairs of one key meet in one place in order, `reduce` emits rows for each key.
 *
 * 1. Each task maps one split. `combine` joins the values of a key that one task has; it may be called any number of times, so it must be associative and give what `reduce` takes.
 * 2. Pairs are divided by the hash of their group (the key, unless `group` says which part of it), or by `partition`; or into ranges of groups, so that the results of the tasks one after the
 *    other are in the order of their groups ('total-order', Hadoop's TotalOrderPartitioner; the keys that the ranges are chosen by are sampled while pairs are sorted).
 * 3. Each task of the second stage sorts its pairs, with files beyond its memory, and calls `reduce` group by group. Groups come in the order of values within a task; the order of
 *    the values of a group is that of `sort`, and without it none.
 * 4. Tasks that fail are tried again, and counters count once: only attempts whose output is taken.
 */

import { checkOptions } from '../../engine/index.ts'
import { fieldsRead } from '../expression/node.ts'
import { checkCount, checkFunction, type SortOptions, sortCriteria } from '../flow/arguments.ts'
import { Flow } from '../flow/flow.ts'
import type { JobContext } from '../job/job.ts'
import { Job } from '../job/job.ts'
import type { OperatorContext } from '../operator/context.ts'
import type { EmitFunctions } from '../operator/emit-rows.ts'
import type { NamedExpression, PlanNode, SortCriterion } from '../plan/node.ts'

/** What every function of a job may know. */
export interface ArgsContext<Args = undefined> {
  /** As given to the run; see `JobContext.args`. */
  readonly args: Args
}

/** What a map function may do beside emitting. */
export interface MapContext<K, V, Args = undefined> extends ArgsContext<Args> {
  /** Gives a pair to the reducers. Keys are what store keys may be, and lists and objects of them. */
  emit(key: K, value: V): void
  /** Adds to a counter of the job. */
  count(name: string, by?: number): void
}

/** What a reduce function may do. */
export interface ReduceContext<R, Args = undefined> extends ArgsContext<Args> {
  /** Gives a row of the result. */
  emit(row: R): void
  /** Adds to a counter of the job. */
  count(name: string, by?: number): void
}

/** A MapReduce job; see `mapReduce`. Its functions run in threads that load the module, so they cannot capture what a run is given: they get it as `args` of their context. */
export interface MapReduceOptions<T, K, V, R, G = K, Args = undefined> {
  /** Where rows come from: `({ store }) => store('flights')`. What stands between may be verbs of flows. */
  readonly input: (context: JobContext<Args>) => Flow<T>
  /** Emits any number of pairs for a row. */
  readonly map: (row: T, context: MapContext<K, V, Args>) => void
  /** Joins some values of a key into one, before they travel. Default: none. */
  readonly combine?: (key: K, values: readonly V[], context: ArgsContext<Args>) => V
  /** Emits any number of rows for the values of a group. Default, zero reducers: the result is the pairs, `{ key, value }`, unsorted, or with 'total-order' in the order of their groups. */
  readonly reduce?: (group: G, values: readonly V[], context: ReduceContext<R, Args>) => void
  /** The part of a key by which pairs meet (Hadoop's grouping comparator); the rest of the key may order them. Default: the key. */
  readonly group?: (key: K, context: ArgsContext<Args>) => G
  /** In which order the values of a group come (secondary sort): paths and expressions over `key` and `value`, as `'value.at'`. */
  readonly sort?: readonly (string | SortOptions<string>)[]
  /** Which pairs go to one task: a number for a group, or 'total-order': ranges of groups, so that all rows of the result are in their order. Default: by the group's hash. */
  readonly partition?: ((group: G, context: ArgsContext<Args>) => number) | 'total-order'
  /** Rows at which `map` throws that one task may leave out; counted as `badRecords`. Default 0: the first ends the job. */
  readonly skipBadRecords?: number
}

const optionNames = ['input', 'map', 'combine', 'reduce', 'group', 'sort', 'partition', 'skipBadRecords']

/**
 * A MapReduce job in a module of its own, its default export; `url` is `import.meta.url`. Run it as other jobs: `toArray(db)`, `to(db, sink)`. TypeError naming what is wrong.
 */
export function mapReduce<T, K, V, R = { key: K; value: V }, G = K, Args = undefined>(
  url: string,
  name: string,
  options: MapReduceOptions<T, K, V, R, G, Args>,
): Job<R, Args> {
  checkOptions(options, 'mapReduce', optionNames)
  const { input, map, combine, reduce, group, sort = [], partition, skipBadRecords = 0 } = options
  checkFunction(input, 'input')
  checkFunction(map, 'map')
  const isOrdered = partition === 'total-order'
  for (const [option, given] of Object.entries({ combine, reduce, group, partition: isOrdered ? undefined : partition })) {
    if (given !== undefined) checkFunction(given, option)
  }
  checkCount(skipBadRecords, 'skipBadRecords')
  const criteria = sort.length === 0 ? [] : sortCriteria(sort)
  const needsReduce = combine !== undefined || (!isOrdered && (group !== undefined || sort.length > 0 || partition !== undefined))
  if (reduce === undefined && needsReduce) {
    throw new TypeError(
      "combine, group, sort and partition need a function reduce; the last three do without it if partition is 'total-order'",
    )
  }
  return new Job<R, Args>(url, name, context => {
    const rows: unknown = input(context)
    if (!(rows instanceof Flow)) throw new TypeError(`input of ${name} must return a flow, got ${String(rows)}`)
    const given: ArgsContext<Args> = Object.freeze({ args: context.args })
    const functions: EmitFunctions = {
      map: (emit, count) => {
        const pairContext = { ...given, emit, count: countingBy(count) } as MapContext<K, V, Args>
        return row => map(row as T, pairContext)
      },
      group: group === undefined ? undefined : key => group(key as K, given),
      partition:
        isOrdered || partition === undefined ? undefined : key => (partition as Exclude<typeof partition, string>)(key as G, given),
      badRecordsMax: skipBadRecords,
    }
    const mapped: PlanNode = { op: 'emit', input: (rows as Flow<T>).plan, functions }
    if (reduce === undefined) {
      const pairs: PlanNode = { op: 'select', input: mapped, columns: columnsOf('key', 'value', ...(group === undefined ? [] : ['group'])) }
      const first = group === undefined ? byKey : byGroup
      const sorted: PlanNode = isOrdered ? { op: 'sort', input: pairs, by: [first, ...criteria], together: 1 } : mapped
      return new Flow<R>(name, { op: 'select', input: sorted, columns: columnsOf('key', 'value') })
    }
    const combined: PlanNode =
      combine === undefined
        ? mapped
        : { op: 'combine', input: mapped, functions, combine: (key, values) => combine(key as K, values as V[], given) }
    const by = [byGroup, ...criteria]
    const sorted: PlanNode = isOrdered
      ? { op: 'sort', input: { op: 'select', input: combined, columns: orderedColumns(criteria) }, by, together: 1 }
      : { op: 'sort', input: combined, by, divideBy: [{ kind: 'field', path: 'partition' }] }
    return new Flow<R>(name, {
      op: 'reduceGroups',
      input: sorted,
      reduce: (emit, count) => {
        const rowContext = { ...given, emit, count: countingBy(count) } as ReduceContext<R, Args>
        return (key, values) => reduce(key as G, values as V[], rowContext)
      },
    })
  })
}

const countingBy =
  (count: OperatorContext['count']): MapContext<never, never>['count'] =>
  (counter, by = 1) =>
    count(counter, by)

const columnsOf = (...names: readonly string[]): NamedExpression[] =>
  names.map(name => ({ name, expression: { kind: 'field', path: name } }))
const ascending = (path: string): SortCriterion => ({ expression: { kind: 'field', path }, descending: false, nullsFirst: false })
const byGroup = ascending('group')
const byKey = ascending('key')

/** What of a pair its reducer and its order need: whole rows are sorted. */
function orderedColumns(criteria: readonly SortCriterion[]): NamedExpression[] {
  const read = new Set<string>()
  for (const { expression } of criteria) fieldsRead(expression, read)
  const readsKey = [...read].some(path => path === '' || path === 'key' || path.startsWith('key.'))
  return columnsOf('group', 'value', ...(readsKey ? ['key'] : []))
}
