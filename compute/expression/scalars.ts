/** What each function of expressions does with one row's values; the loops over vectors are in `evaluate.ts`. Null arguments come only to those that are asked about null. */
import { compareValues } from '../vector/value-order.ts'
import type { FunctionName } from './node.ts'

type Scalar = (...values: readonly unknown[]) => unknown

/** Functions that are asked about null, too. */
export const takesNull: ReadonlySet<FunctionName> = new Set(['isNull', 'coalesce', 'if', 'and', 'or', 'concat'])

const isNothing = (value: unknown): boolean => value === null || value === undefined

/** Whether the two have a common order; `eq` of two that have not is false. */
function areComparable(a: unknown, b: unknown): boolean {
  const [x, y] = [typeof a === 'bigint' ? 'number' : typeof a, typeof b === 'bigint' ? 'number' : typeof b]
  if (x !== y) return false
  return x !== 'object' || a instanceof Date === b instanceof Date
}

const ordered =
  (test: (order: number) => boolean): Scalar =>
  (a, b) =>
    areComparable(a, b) ? test(compareValues(a, b)) : null

function arithmetic(numbers: (a: number, b: number) => number, bigints: (a: bigint, b: bigint) => bigint | null): Scalar {
  return (a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return numbers(a, b)
    if (typeof a === 'bigint' && typeof b === 'bigint') return bigints(a, b)
    const isNumeric = (value: unknown): boolean => typeof value === 'number' || typeof value === 'bigint'
    return isNumeric(a) && isNumeric(b) ? numbers(Number(a), Number(b)) : null
  }
}

function ofNumber(numbers: (a: number) => number, bigints: (a: bigint) => unknown = a => numbers(Number(a))): Scalar {
  return a => (typeof a === 'number' ? numbers(a) : typeof a === 'bigint' ? bigints(a) : null)
}

const ofText =
  (compute: (text: string) => unknown): Scalar =>
  a =>
    typeof a === 'string' ? compute(a) : null

const ofTexts =
  (compute: (text: string, other: string) => boolean): Scalar =>
  (a, b) =>
    typeof a === 'string' && typeof b === 'string' ? compute(a, b) : null

const sameBigint = (a: bigint): bigint => a

function dateOf(value: unknown): Date | undefined {
  const date = value instanceof Date ? value : typeof value === 'number' || typeof value === 'string' ? new Date(value) : undefined
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date
}

const ofDate =
  (compute: (date: Date) => number): Scalar =>
  value => {
    const date = dateOf(value)
    return date === undefined ? null : compute(date)
  }

function toNumber(value: unknown): number | null {
  switch (typeof value) {
    case 'number':
      return value
    case 'boolean':
    case 'bigint':
      return Number(value)
    case 'string': {
      const number = value.trim() === '' ? Number.NaN : Number(value)
      return Number.isNaN(number) ? null : number
    }
    default:
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.getTime() : null
  }
}

function toText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? String(value) : value.toISOString()
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function includes(a: unknown, b: unknown): boolean | null {
  if (typeof a === 'string') return typeof b === 'string' ? a.includes(b) : null
  return Array.isArray(a) ? a.some(element => !isNothing(element) && areComparable(element, b) && compareValues(element, b) === 0) : null
}

/** By the name of the function. */
export const scalars: Readonly<Record<Exclude<FunctionName, 'in'>, Scalar>> = {
  eq: (a, b) => areComparable(a, b) && compareValues(a, b) === 0,
  ne: (a, b) => !areComparable(a, b) || compareValues(a, b) !== 0,
  gt: ordered(order => order > 0),
  gte: ordered(order => order >= 0),
  lt: ordered(order => order < 0),
  lte: ordered(order => order <= 0),
  isNull: a => isNothing(a),
  and: (a, b) => (a === false || b === false ? false : a === true && b === true ? true : null),
  or: (a, b) => (a === true || b === true ? true : a === false && b === false ? false : null),
  not: a => (typeof a === 'boolean' ? !a : null),
  add: arithmetic(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  sub: arithmetic(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  mul: arithmetic(
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  div: (a, b) =>
    arithmetic(
      (x, y) => x / y,
      () => null,
    )(typeof a === 'bigint' ? Number(a) : a, typeof b === 'bigint' ? Number(b) : b),
  mod: arithmetic(
    (a, b) => a % b,
    (a, b) => (b === 0n ? null : a % b),
  ),
  neg: ofNumber(
    a => -a,
    a => -a,
  ),
  abs: ofNumber(Math.abs, a => (a < 0n ? -a : a)),
  floor: ofNumber(Math.floor, sameBigint),
  ceil: ofNumber(Math.ceil, sameBigint),
  round: ofNumber(Math.round, sameBigint),
  sqrt: ofNumber(Math.sqrt),
  lower: ofText(text => text.toLowerCase()),
  upper: ofText(text => text.toUpperCase()),
  trim: ofText(text => text.trim()),
  length: a => (typeof a === 'string' || Array.isArray(a) || a instanceof Uint8Array ? a.length : null),
  startsWith: ofTexts((a, b) => a.startsWith(b)),
  endsWith: ofTexts((a, b) => a.endsWith(b)),
  includes,
  substring: (a, start, end) => (typeof a === 'string' ? a.substring(start as number, end as number) : null),
  slice: (a, start, end) => (a instanceof Uint8Array ? new Uint8Array(a.subarray(start as number, end as number)) : null),
  concat: (...values) => (values.some(isNothing) ? null : values.map(toText).join('')),
  coalesce: (...values) => values.find(value => !isNothing(value)) ?? null,
  if: (test, yes, no) => (test === true ? yes : no),
  toNumber,
  toText,
  year: ofDate(date => date.getUTCFullYear()),
  month: ofDate(date => date.getUTCMonth() + 1),
  day: ofDate(date => date.getUTCDate()),
  weekday: ofDate(date => date.getUTCDay() || 7),
  hour: ofDate(date => date.getUTCHours()),
  minute: ofDate(date => date.getUTCMinutes()),
}
