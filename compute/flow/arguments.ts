/** Checks of what flows are given, by name. */
import { Aggregate } from '../aggregate/aggregate.ts'
import { type Expression, expressionOf } from '../expression/expression.ts'
import type { NamedAggregate, NamedExpression, SortCriterion } from '../plan/node.ts'

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

export function sortCriteria(criteria: readonly unknown[]): SortCriterion[] {
  if (criteria.length === 0) throw new TypeError('sort must have something to sort by')
  return criteria.map(given => {
    const isOptions = typeof given === 'object' && given !== null && 'by' in given
    const { by, descending = false, nulls = 'last' } = isOptions ? (given as SortOptions<string>) : { by: given as string }
    if (typeof descending !== 'boolean') throw new TypeError(`descending must be true or false, got ${String(descending)}`)
    if (nulls !== 'first' && nulls !== 'last') throw new TypeError(`nulls must be 'first' or 'last', got ${String(nulls)}`)
    return { expression: expressionOf(by, 'sort'), descending, nullsFirst: nulls === 'first' }
  })
}
