/**
 * Field expressions: what a job computes from fields, said so that the engine can see it. `col('delay').gt(15)` is data: it tells which field is read, runs over
 * vectors without making an object for a row, crosses to worker threads, and can skip what statistics rule out. A closure does none of this.
 *
 * Null as in SQL: a comparison or arithmetic with null is null, `and` and `or` have three values, and a filter keeps what is true. Values are compared as
 * `value-order.ts` says, NaN above all numbers; between kinds that have no common order the answer is null, and `eq` is false.
 */
import type { ExpressionNode, FunctionName, Literal } from './node.ts'

/** An operand: an expression, or a constant. */
export type Operand<Fields extends string = string> = Expression<unknown, Fields> | Literal

/** A computed value of type `Value` over rows that have `Fields`. Immutable; every verb makes a new one. */
export class Expression<out Value = unknown, out Fields extends string = string> {
  readonly node: ExpressionNode
  /** Only for the compiler: what the expression gives and reads. */
  declare readonly types: { readonly value: Value; readonly fields: Fields }

  /** Use `col`, `lit` and the verbs. */
  constructor(node: ExpressionNode) {
    this.node = node
  }

  /** Equal. */
  eq<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('eq', this, other)
  }
  /** Not equal. */
  ne<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('ne', this, other)
  }
  /** Greater. */
  gt<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('gt', this, other)
  }
  /** Greater or equal. */
  gte<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('gte', this, other)
  }
  /** Less. */
  lt<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('lt', this, other)
  }
  /** Less or equal. */
  lte<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('lte', this, other)
  }
  /** From `low` to `high`, both included. */
  between<F extends string = never, G extends string = never>(low: Operand<F>, high: Operand<G>): Expression<boolean, Fields | F | G> {
    return this.gte(low).and(this.lte(high))
  }
  /** One of these constants. */
  in(values: readonly Literal[]): Expression<boolean, Fields> {
    if (!Array.isArray(values)) throw new TypeError(`values must be an array, got ${String(values)}`)
    return new Expression({ kind: 'call', name: 'in', arguments: [this.node, { kind: 'list', values: values.map(checkLiteral) }] })
  }
  /** Null or missing. */
  isNull(): Expression<boolean, Fields> {
    return call('isNull', this)
  }
  /** Neither null nor missing. */
  isNotNull(): Expression<boolean, Fields> {
    return this.isNull().not()
  }

  /** True when both are. */
  and<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('and', this, other)
  }
  /** True when either is. */
  or<F extends string = never>(other: Operand<F>): Expression<boolean, Fields | F> {
    return call('or', this, other)
  }
  /** The contrary; of null null. */
  not(): Expression<boolean, Fields> {
    return call('not', this)
  }

  /** Sum of numbers or of bigints; of both, as numbers. */
  add<F extends string = never>(other: Operand<F>): Expression<number, Fields | F> {
    return call('add', this, other)
  }
  /** Difference, as `add`. */
  sub<F extends string = never>(other: Operand<F>): Expression<number, Fields | F> {
    return call('sub', this, other)
  }
  /** Product, as `add`. */
  mul<F extends string = never>(other: Operand<F>): Expression<number, Fields | F> {
    return call('mul', this, other)
  }
  /** Quotient as a number, by IEEE: x / 0 is an infinity. */
  div<F extends string = never>(other: Operand<F>): Expression<number, Fields | F> {
    return call('div', this, other)
  }
  /** Remainder with the sign of the dividend. */
  mod<F extends string = never>(other: Operand<F>): Expression<number, Fields | F> {
    return call('mod', this, other)
  }
  /** Minus the number. */
  neg(): Expression<number, Fields> {
    return call('neg', this)
  }
  /** Distance from 0. */
  abs(): Expression<number, Fields> {
    return call('abs', this)
  }
  /** The whole number below. */
  floor(): Expression<number, Fields> {
    return call('floor', this)
  }
  /** The whole number above. */
  ceil(): Expression<number, Fields> {
    return call('ceil', this)
  }
  /** The nearest whole number; halves go up. */
  round(): Expression<number, Fields> {
    return call('round', this)
  }
  /** Square root. */
  sqrt(): Expression<number, Fields> {
    return call('sqrt', this)
  }

  /** In lower case. */
  lower(): Expression<string, Fields> {
    return call('lower', this)
  }
  /** In upper case. */
  upper(): Expression<string, Fields> {
    return call('upper', this)
  }
  /** Without white space at both ends. */
  trim(): Expression<string, Fields> {
    return call('trim', this)
  }
  /** UTF-16 units of a text, elements of a list, bytes of bytes. */
  length(): Expression<number, Fields> {
    return call('length', this)
  }
  /** Whether the text begins so. */
  startsWith<F extends string = never>(text: Operand<F>): Expression<boolean, Fields | F> {
    return call('startsWith', this, text)
  }
  /** Whether the text ends so. */
  endsWith<F extends string = never>(text: Operand<F>): Expression<boolean, Fields | F> {
    return call('endsWith', this, text)
  }
  /** Whether the text contains it, or a list has it as an element. */
  includes<F extends string = never>(part: Operand<F>): Expression<boolean, Fields | F> {
    return call('includes', this, part)
  }
  /** Units `[start, end)` of a text, as `String.prototype.substring`. */
  substring(start: number, end: number = Number.MAX_SAFE_INTEGER): Expression<string, Fields> {
    return call('substring', this, start, end)
  }
  /** Bytes `[start, end)` of bytes, or as many of them as there are; null of anything else. */
  slice(start: number, end: number = Number.MAX_SAFE_INTEGER): Expression<Uint8Array, Fields> {
    for (const [option, given] of Object.entries({ start, end })) {
      if (!Number.isSafeInteger(given) || given < 0)
        throw new RangeError(`${option} must be a whole number from 0 on, got ${String(given)}`)
    }
    return call('slice', this, start, end)
  }
  /** The texts one after the other; numbers and the like as JavaScript writes them. */
  concat<F extends string = never>(...others: readonly Operand<F>[]): Expression<string, Fields | F> {
    return call('concat', this, ...others)
  }

  /** The first that is not null. */
  coalesce<F extends string = never>(...others: readonly Operand<F>[]): Expression<Value, Fields | F> {
    return call('coalesce', this, ...others)
  }
  /** A number from text, a truth value, a bigint or a date (ms); null where there is none. */
  toNumber(): Expression<number, Fields> {
    return call('toNumber', this)
  }
  /** Text as JavaScript writes the value; a date in ISO 8601. */
  toText(): Expression<string, Fields> {
    return call('toText', this)
  }

  /** Year of a date, of ms since 1970, or of text that `Date` understands; all of these in UTC. */
  year(): Expression<number, Fields> {
    return call('year', this)
  }
  /** Month from 1 to 12; as `year`. */
  month(): Expression<number, Fields> {
    return call('month', this)
  }
  /** Day of the month from 1; as `year`. */
  day(): Expression<number, Fields> {
    return call('day', this)
  }
  /** Day of the week: 1 Monday to 7 Sunday (ISO 8601); as `year`. */
  weekday(): Expression<number, Fields> {
    return call('weekday', this)
  }
  /** Hour from 0 to 23; as `year`. */
  hour(): Expression<number, Fields> {
    return call('hour', this)
  }
  /** Minute from 0 to 59; as `year`. */
  minute(): Expression<number, Fields> {
    return call('minute', this)
  }
}

/** A field of the row: names joined by dots, elements of a list by their number (`address.city`, `lines.0.sku`). */
export function col<const Path extends string>(path: Path): Expression<unknown, Path> {
  if (typeof path !== 'string' || path === '' || path.split('.').includes('')) {
    throw new TypeError(`path must be names joined by dots, got ${String(path)}`)
  }
  return new Expression({ kind: 'field', path })
}

/** The row itself, where rows are numbers, text and the like. */
export function row<Value = unknown>(): Expression<Value, never> {
  return new Expression({ kind: 'field', path: '' })
}

/** What a record has beside its value: its key, its timestamp (ms since 1970), of topics its offset and partition. Null where the input has none. */
export const record: {
  readonly key: Expression<unknown, never>
  readonly time: Expression<number, never>
  readonly offset: Expression<number, never>
  readonly partition: Expression<number, never>
} = {
  key: new Expression({ kind: 'field', path: '@key' }),
  time: new Expression({ kind: 'field', path: '@time' }),
  offset: new Expression({ kind: 'field', path: '@offset' }),
  partition: new Expression({ kind: 'field', path: '@partition' }),
}

/** A constant. */
export function lit<const Value extends Literal>(value: Value): Expression<Value, never> {
  return new Expression({ kind: 'literal', value: checkLiteral(value) })
}

/** `yes` where the test is true, else `no`. */
export function when<F extends string = never, G extends string = never, H extends string = never>(
  test: Operand<F>,
  yes: Operand<G>,
  no: Operand<H>,
): Expression<unknown, F | G | H> {
  return call('if', test, yes, no)
}

/** The expression of an operand, a field path or an expression. TypeError naming `option`. */
export function expressionOf(given: string | Expression<unknown>, option: string): ExpressionNode {
  if (given instanceof Expression) return given.node
  if (typeof given === 'string') return col(given).node
  throw new TypeError(`${option} must be a field path or an expression, got ${String(given)}`)
}

function call<Value, Fields extends string>(name: FunctionName, ...operands: readonly Operand[]): Expression<Value, Fields> {
  const nodes = operands.map((operand): ExpressionNode => {
    return operand instanceof Expression ? operand.node : { kind: 'literal', value: checkLiteral(operand) }
  })
  return new Expression<Value, Fields>({ kind: 'call', name, arguments: nodes })
}

function checkLiteral(value: unknown): Literal {
  const isLiteral = value === null || value instanceof Date || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
  if (!isLiteral) {
    throw new TypeError(`an operand must be an expression, a string, number, bigint, boolean, Date or null, got ${String(value)}`)
  }
  return value as Literal
}
