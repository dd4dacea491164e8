/**
 * Expressions as data: what `Expression` builds, the planner looks through, workers receive and `evaluate.ts` computes. Structured-clonable.
 */

/** A constant: what a field may hold, and lists of it for `in`. */
export type Literal = string | number | bigint | boolean | null | Date

export type ExpressionNode =
  | { readonly kind: 'field'; readonly path: string }
  | { readonly kind: 'literal'; readonly value: Literal }
  | { readonly kind: 'list'; readonly values: readonly Literal[] }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly arguments: readonly ExpressionNode[] }

export type FunctionName =
  | 'eq'
  | 'ne'
  | 'gt'
  | 'gte'
  | 'lt'
  | 'lte'
  | 'in'
  | 'isNull'
  | 'and'
  | 'or'
  | 'not'
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'mod'
  | 'neg'
  | 'abs'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'sqrt'
  | 'lower'
  | 'upper'
  | 'trim'
  | 'length'
  | 'startsWith'
  | 'endsWith'
  | 'includes'
  | 'substring'
  | 'slice'
  | 'concat'
  | 'coalesce'
  | 'if'
  | 'toNumber'
  | 'toText'
  | 'year'
  | 'month'
  | 'day'
  | 'weekday'
  | 'hour'
  | 'minute'

/** Adds the paths that an expression reads. */
export function fieldsRead(node: ExpressionNode, into: Set<string> = new Set()): Set<string> {
  if (node.kind === 'field') into.add(node.path)
  else if (node.kind === 'call') for (const argument of node.arguments) fieldsRead(argument, into)
  return into
}

const signs: Partial<Record<FunctionName, string>> = {
  eq: '=',
  ne: '!=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  and: 'and',
  or: 'or',
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  mod: '%',
}

/** As `explain()` shows it. */
export function expressionText(node: ExpressionNode): string {
  switch (node.kind) {
    case 'field':
      return node.path === '' ? 'row' : node.path
    case 'literal':
      return literalText(node.value)
    case 'list':
      return `(${node.values.map(literalText).join(', ')})`
    default: {
      const sign = signs[node.name]
      const texts = node.arguments.map(argument => expressionText(argument))
      if (sign !== undefined) return `(${texts.join(` ${sign} `)})`
      return node.name === 'in' ? `(${texts.join(' in ')})` : `${node.name}(${texts.join(', ')})`
    }
  }
}

function literalText(value: Literal): string {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value)
}
