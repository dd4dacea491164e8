/** Checks of what flows are given, by name. */

import { checkOptions } from '../../engine/index.ts'
import { Aggregate } from '../aggregate/aggregate.ts'
import { type Expression, expressionOf } from '../expression/expression.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GROUP_FIELD } from '../operator/row-operators.ts'
import type { JoinHint, JoinKind, NamedAggregate, NamedExpression, NamedWindow, PlanNode, SortCriterion } from '../plan/node.ts'
import { WindowFunction } from '../window/window-function.ts'

export function checkFunction(value: unknown, option: string): void {
  if (typeof value !== 'function') throw new TypeError(`${option} must be a function, got ${String(value)}`)
}

export function checkCount(value: unknown, option: string): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new RangeError(`${option} must be a whole number from 0 on, got ${String(value)}`)
  }
}

function checkName(name: string, option: string): void {
  if (name === '' || name.startsWith('@')) throw new TypeError(`${option} must not have a field called '${name}'`)
}

/** Fields of a result by their names. */
export function namedExpressions(fields: unknown, option: string): NamedExpression[] {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw new TypeError(`${option} must be an object of field paths and expressions, got ${String(fields)}`)
  }
  return Object.entries(fields).map(([name, given]) => {
    checkName(name, option)
    return { name, expression: expressionOf(given as string | Expression<unknown>, `${option}.${name}`) }
  })
}

export function namedPaths(paths: readonly unknown[], option: string): NamedExpression[] {
  if (new Set(paths).size !== paths.length) throw new TypeError(`${option} must not name a field twice`)
  return paths.map(path => {
    const expression = expressionOf(path as string, option)
    checkName(path as string, option)
    return { name: path as string, expression }
  })
}

/** Aggregates by their names, none of which may be one of `taken`. */
export function namedAggregates(aggregates: unknown, taken: readonly NamedExpression[]): NamedAggregate[] {
  if (typeof aggregates !== 'object' || aggregates === null || Array.isArray(aggregates)) {
    throw new TypeError(`aggregates must be an object of aggregates, got ${String(aggregates)}`)
  }
  return Object.entries(aggregates).map(([name, given]) => {
    checkName(name, 'aggregates')
    if (!(given instanceof Aggregate)) throw new TypeError(`aggregates.${name} must be an aggregate, got ${String(given)}`)
    if (taken.some(key => key.name === name)) throw new TypeError(`aggregates.${name} has the name of a key`)
    return { name, aggregate: given.node }
  })
}

/** How rows are ordered: a path or expression, ascending, or an object that says more. */
export interface SortOptions<Field> {
  /** Field that is sorted by. */
  readonly by: Field
  /** Largest first. Default false. */
  readonly descending?: boolean
  /** Where rows go that have nothing there. Default 'last', in either direction. */
  readonly nulls?: 'first' | 'last'
}

const sortOptionNames = ['by', 'descending', 'nulls']

export function sortCriteria(criteria: readonly unknown[]): SortCriterion[] {
  if (criteria.length === 0) throw new TypeError('sort must have something to sort by')
  return criteria.map(given => {
    const isOptions = typeof given === 'object' && given !== null && 'by' in given
    if (isOptions) checkOptions(given, 'sort', sortOptionNames)
    const { by, descending = false, nulls = 'last' } = isOptions ? (given as SortOptions<string>) : { by: given as string }
    if (typeof descending !== 'boolean') throw new TypeError(`descending must be true or false, got ${String(descending)}`)
    if (nulls !== 'first' && nulls !== 'last') throw new TypeError(`nulls must be 'first' or 'last', got ${String(nulls)}`)
    return { expression: expressionOf(by, 'sort'), descending, nullsFirst: nulls === 'first' }
  })
}

/** Functions over windows by their names. */
export function namedWindows(windows: unknown): NamedWindow[] {
  if (typeof windows !== 'object' || windows === null || Array.isArray(windows)) {
    throw new TypeError(`window must be given an object of functions, got ${String(windows)}`)
  }
  return Object.entries(windows).map(([name, given]) => {
    checkName(name, 'window')
    if (!(given instanceof WindowFunction)) throw new TypeError(`window.${name} must be a function over a window, got ${String(given)}`)
    return { name, window: given.node }
  })
}

/** One side of a join: its rows, with a key that a function computes if there is one, and its keys. */
export interface JoinSide {
  readonly plan: PlanNode
  readonly keys: readonly ExpressionNode[]
}

export interface JoinArguments {
  readonly left: JoinSide
  readonly right: JoinSide
  /** Names of the keys in results: the fields' own, or 'key'. */
  readonly names: readonly string[]
}

const joinKinds: readonly string[] = ['inner', 'left', 'right', 'full', 'semi', 'anti'] satisfies JoinKind[]
const joinHints: readonly string[] = ['broadcast', 'shuffle'] satisfies JoinHint[]

export function checkJoin(how: unknown, hint: unknown): void {
  if (!joinKinds.includes(how as string)) throw new TypeError(`how must be one of ${joinKinds.join(', ')}, got ${String(how)}`)
  if (hint !== undefined && !joinHints.includes(hint as string)) {
    throw new TypeError(`hint must be one of ${joinHints.join(', ')}, got ${String(hint)}`)
  }
}

const keyOptionNames = ['on', 'left', 'right']
const joinOptionNames = [...keyOptionNames, 'how', 'hint']

/** `on`, or `left` and `right`, of the options of a join or a cogroup. */
export function joinSides(of: 'join' | 'cogroup', leftPlan: PlanNode, rightPlan: PlanNode, options: unknown): JoinArguments {
  checkOptions(options, of, of === 'join' ? joinOptionNames : keyOptionNames)
  const { on, left = on, right = on } = options as { readonly on?: unknown; readonly left?: unknown; readonly right?: unknown }
  if (left === undefined || right === undefined) throw new TypeError(`${of} must be given on, or left and right`)
  const sides = [joinSide(leftPlan, left, on === undefined ? 'left' : 'on'), joinSide(rightPlan, right, on === undefined ? 'right' : 'on')]
  const [leftSide, rightSide] = sides as [JoinSide, JoinSide]
  if (leftSide.keys.length !== rightSide.keys.length) throw new TypeError('left and right must name equally many fields')
  const names = leftSide.keys.map((key, i) => (key.kind === 'field' && key.path !== GROUP_FIELD ? key.path : i === 0 ? 'key' : `key${i}`))
  return { left: leftSide, right: rightSide, names }
}

function joinSide(plan: PlanNode, given: unknown, option: string): JoinSide {
  if (typeof given === 'function') {
    const key = given as (row: unknown) => unknown
    return { plan: { op: 'keyBy', input: plan, key }, keys: [{ kind: 'field', path: GROUP_FIELD }] }
  }
  const fields = Array.isArray(given) ? given : [given]
  if (fields.length === 0) throw new TypeError(`${option} must name a field`)
  return { plan, keys: fields.map(field => expressionOf(field, option)) }
}
