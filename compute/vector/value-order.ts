/**
 * Which values are equal and which comes first, for groups, joins, sorts, minima and maxima. The order of store keys (docs/FORMAT.md, "Tuple keys"), with what keys do not
 * have put in its place:
 *
 *   false < true < numbers and bigints by value < NaN < Date < string by UTF-8 bytes < bytes < list, element by element < object, by its fields in order of their names
 *
 * Null comes last of all by default; who sorts may say otherwise, so `compareValues` is not asked about it. -0 is 0, NaN equals NaN, 1n equals 1, an invalid date
 * comes before all dates. Code points are compared, not UTF-16 units, as UTF-8 is.
 */

const RANK_BOOLEAN = 0
const RANK_NUMBER = 1
const RANK_DATE = 2
const RANK_STRING = 3
const RANK_BYTES = 4
const RANK_LIST = 5
const RANK_OBJECT = 6

function rankOf(value: unknown): number {
  switch (typeof value) {
    case 'number':
    case 'bigint':
      return RANK_NUMBER
    case 'string':
      return RANK_STRING
    case 'boolean':
      return RANK_BOOLEAN
    default:
      if (value instanceof Date) return RANK_DATE
      if (value instanceof Uint8Array) return RANK_BYTES
      return Array.isArray(value) ? RANK_LIST : RANK_OBJECT
  }
}

/** Negative when `a` comes first, 0 when they are equal. Nulls inside lists and objects come last. */
export function compareValues(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return compareNumbers(a, b)
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
  const aNull = a === null || a === undefined
  const bNull = b === null || b === undefined
  if (aNull || bNull) return aNull === bNull ? 0 : aNull ? 1 : -1
  const rank = rankOf(a)
  const difference = rank - rankOf(b)
  if (difference !== 0) return difference
  switch (rank) {
    case RANK_BOOLEAN:
      return Number(a) - Number(b)
    case RANK_NUMBER:
      return compareMixed(a as number | bigint, b as number | bigint)
    case RANK_DATE: {
      const [aMs, bMs] = [(a as Date).getTime(), (b as Date).getTime()]
      return Number.isNaN(aMs) || Number.isNaN(bMs) ? Number(Number.isNaN(bMs)) - Number(Number.isNaN(aMs)) : aMs - bMs
    }
    case RANK_BYTES:
      return Buffer.compare(a as Uint8Array, b as Uint8Array)
    case RANK_LIST:
      return compareLists(a as readonly unknown[], b as readonly unknown[])
    default:
      return compareLists(fieldsOf(a as object), fieldsOf(b as object))
  }
}

export function compareNumbers(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}

function compareMixed(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1
  if (a > b) return 1
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number of one value are equal
  if (a == b) return 0
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}

/** By code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const size = Math.min(a.length, b.length)
  for (let i = 0; i < size; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // Surrogates stand for what lies above all other units.
    const xHigh = x >= 0xd800 && x < 0xe000
    const yHigh = y >= 0xd800 && y < 0xe000
    return xHigh === yHigh ? x - y : xHigh ? 1 : -1
  }
  return a.length - b.length
}

function compareLists(a: readonly unknown[], b: readonly unknown[]): number {
  const size = Math.min(a.length, b.length)
  for (let i = 0; i < size; i++) {
    const order = compareValues(a[i], b[i])
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** Names and values in order of the names; fields that have nothing are left out, as if they were not there. */
function fieldsOf(value: object): unknown[] {
  const names = Object.keys(value).sort(compareText)
  return names.flatMap(name => {
    const field = (value as Readonly<Record<string, unknown>>)[name]
    return field === undefined || field === null ? [] : [name, field]
  })
}
