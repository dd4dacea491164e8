/**
 * Computes expressions over chunks. `selectRows` narrows a chunk to the rows for which a predicate is true, one conjunct after the other, so that a later one sees fewer
 * rows; `evaluate` gives a vector. Comparisons of number and text fields with constants, the usual filters, and arithmetic of numbers are loops over typed arrays;
 * everything else goes row by row through `scalars.ts`, which defines what is right: a test holds both ways equal.
 */
import { assert } from '../../engine/index.ts'
import { Chunk } from '../vector/chunk.ts'
import { compareNumbers } from '../vector/value-order.ts'
import { AnyVector, BOOLEAN_NULL, BooleanVector, EncodedVector, NumberVector, type TextVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { datePart } from './date-parts.ts'
import type { ExpressionNode, FunctionName, Literal } from './node.ts'
import { scalars, takesNull } from './scalars.ts'

type Comparison = 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte'
const comparisons: ReadonlySet<string> = new Set(['eq', 'ne', 'gt', 'gte', 'lt', 'lte'])
const mirrored: Readonly<Record<Comparison, Comparison>> = { eq: 'eq', ne: 'ne', gt: 'lt', gte: 'lte', lt: 'gt', lte: 'gte' }

const sliceMax = 2 ** 30

/** The chunk with only those of its rows for which `predicate` is true. */
export function selectRows(chunk: Chunk, predicate: ExpressionNode): Chunk {
  if (predicate.kind === 'call' && predicate.name === 'and') {
    let narrowed = chunk
    for (const conjunct of predicate.arguments) narrowed = selectRows(narrowed, conjunct)
    return narrowed
  }
  const { rows, count } = chunk
  const selected = new Int32Array(count)
  const found = selectByComparison(chunk, predicate, selected) ?? selectByValue(evaluate(predicate, chunk), rows, count, selected)
  return found === count ? chunk : new Chunk(chunk.data, selected, found)
}

/** Values of the expression in all rows that count; other rows hold anything. */
export function evaluate(node: ExpressionNode, chunk: Chunk): Vector {
  switch (node.kind) {
    case 'field':
      return chunk.field(node.path)
    case 'literal':
      return constant(node.value, chunk.data.size)
    case 'list':
      return new AnyVector(new Array(chunk.data.size).fill(node.values))
    default:
      return callOf(node.name, node.arguments, chunk)
  }
}

function callOf(name: FunctionName, operands: readonly ExpressionNode[], chunk: Chunk): Vector {
  if (name === 'in') return isIn(operands, chunk)
  const vectors = operands.map(operand => evaluate(operand, chunk))
  if (name === 'slice') return sliceOf(vectors, operands, chunk)
  return numericOf(name, vectors, chunk) ?? rowByRow(name, vectors, chunk)
}

/** Bytes that lie in a buffer stay there. */
function sliceOf(vectors: readonly Vector[], operands: readonly ExpressionNode[], chunk: Chunk): Vector {
  const [vector, from, to] = [vectors[0] as Vector, operands[1], operands[2]]
  const isInPlace = vector.kind === 'encoded' && vector.codec.name === 'bytes' && from?.kind === 'literal' && to?.kind === 'literal'
  if (!isInPlace) return rowByRow('slice', vectors, chunk)
  // Whole numbers, which no buffer reaches beyond.
  const [first, last] = [Math.min(from.value as number, sliceMax) | 0, Math.min(to.value as number, sliceMax) | 0]
  const { size } = chunk.data
  const [starts, ends] = [new Int32Array(size), new Int32Array(size)]
  const { starts: rowStarts, ends: rowEnds } = vector
  for (let row = 0; row < size; row++) {
    const start = rowStarts[row] as number
    const end = rowEnds[row] as number
    const begin = start < 0 ? -1 : start + first < end ? start + first : end
    const stop = start + last < end ? start + last : end
    starts[row] = begin
    ends[row] = begin < stop ? stop : begin
  }
  return new EncodedVector(vector.bytes, starts, ends, vector.codec)
}

function constant(value: Literal, size: number): Vector {
  if (typeof value === 'number') return new NumberVector(new Float64Array(size).fill(value))
  return new AnyVector(new Array(size).fill(value))
}

function rowByRow(name: Exclude<FunctionName, 'in'>, vectors: readonly Vector[], chunk: Chunk): Vector {
  const scalar = scalars[name]
  const nulls = takesNull.has(name)
  const { rows, count } = chunk
  const results = new Array<unknown>(chunk.data.size).fill(null)
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const values = vectors.map(vector => vector.get(row))
    if (nulls || !values.includes(null)) results[row] = scalar(...values)
  }
  return vectorOf(results)
}

const binary: Partial<Record<FunctionName, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  mod: (a, b) => a % b,
}
const unary: Partial<Record<FunctionName, (a: number) => number>> = {
  neg: a => -a,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  round: Math.round,
  sqrt: Math.sqrt,
}

/** Arithmetic of number vectors, and parts of dates; undefined for anything else. */
function numericOf(name: FunctionName, [a, b]: readonly Vector[], chunk: Chunk): Vector | undefined {
  if (a?.kind !== 'number') return undefined
  const { rows, count } = chunk
  const { size } = chunk.data
  const of1 = unary[name]
  if (of1 !== undefined) {
    const results = new Float64Array(size)
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      results[row] = of1(a.values[row] as number)
    }
    return new NumberVector(results, a.nulls)
  }
  const of2 = binary[name]
  if (of2 === undefined) return datePart(name, a, rows, count, size)
  if (b?.kind !== 'number') return undefined
  const results = new Float64Array(size)
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    results[row] = of2(a.values[row] as number, b.values[row] as number)
  }
  return new NumberVector(results, unitedNulls(a.nulls, b.nulls))
}

function unitedNulls(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a.map((value, i) => value | (b[i] as number))
}

function isIn([operand, list]: readonly ExpressionNode[], chunk: Chunk): Vector {
  assert(operand !== undefined && list?.kind === 'list', 'in has a list')
  const vector = evaluate(operand, chunk)
  const { rows, count } = chunk
  const results = new Uint8Array(chunk.data.size)
  const hasNull = list.values.includes(null)
  const simple = new Set<unknown>(list.values)
  const others = list.values.filter(value => value instanceof Date || typeof value === 'bigint' || typeof value === 'number')
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const value = vector.get(row)
    if (value === null) results[row] = BOOLEAN_NULL
    else if (simple.has(value)) results[row] = 1
    else if (typeof value !== 'string' && others.some(other => scalars.eq(value, other) === true)) results[row] = 1
    else results[row] = hasNull ? BOOLEAN_NULL : 0
  }
  return new BooleanVector(results)
}

function selectByValue(vector: Vector, rows: Int32Array, count: number, into: Int32Array): number {
  let found = 0
  if (vector.kind === 'boolean') {
    const { values } = vector
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      into[found] = row
      if (values[row] === 1) found++
    }
    return found
  }
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    if (vector.get(row) === true) into[found++] = row
  }
  return found
}

/** A comparison of a number or text vector with a constant; undefined for anything else. */
function selectByComparison(chunk: Chunk, node: ExpressionNode, into: Int32Array): number | undefined {
  if (node.kind !== 'call' || !comparisons.has(node.name)) return undefined
  let name = node.name as Comparison
  let [operand, other] = node.arguments
  if (operand?.kind === 'literal' && other?.kind !== 'literal') {
    ;[operand, other] = [other, operand]
    name = mirrored[name]
  }
  if (operand === undefined || other?.kind !== 'literal') return undefined
  const vector = evaluate(operand, chunk)
  const { value } = other
  if (vector.kind === 'number' && typeof value === 'number') return selectNumbers(vector, name, value, chunk, into)
  if (vector.kind === 'text' && typeof value === 'string') return selectTexts(vector, name, Buffer.from(value), chunk, into)
  return undefined
}

function selectNumbers(vector: NumberVector, name: Comparison, constant: number, chunk: Chunk, into: Int32Array): number {
  const { values, nulls } = vector
  const { rows, count } = chunk
  let found = 0
  // NaN has a place in the order, but not for the machine's comparisons.
  if (nulls === undefined && !Number.isNaN(constant)) {
    switch (name) {
      case 'gt':
        for (let k = 0; k < count; k++) {
          const row = rows[k] as number
          into[found] = row
          if (!((values[row] as number) <= constant)) found++
        }
        return found
      case 'gte':
        for (let k = 0; k < count; k++) {
          const row = rows[k] as number
          into[found] = row
          if (!((values[row] as number) < constant)) found++
        }
        return found
      case 'lt':
        for (let k = 0; k < count; k++) {
          const row = rows[k] as number
          into[found] = row
          if ((values[row] as number) < constant) found++
        }
        return found
      case 'lte':
        for (let k = 0; k < count; k++) {
          const row = rows[k] as number
          into[found] = row
          if ((values[row] as number) <= constant) found++
        }
        return found
      case 'eq':
        for (let k = 0; k < count; k++) {
          const row = rows[k] as number
          into[found] = row
          if ((values[row] as number) === constant) found++
        }
        return found
      default:
        for (let k = 0; k < count; k++) {
          const row = rows[k] as number
          into[found] = row
          if ((values[row] as number) !== constant) found++
        }
        return found
    }
  }
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    if (nulls !== undefined && nulls[row] === 1) continue
    if (holds(name, compareNumbers(values[row] as number, constant))) into[found++] = row
  }
  return found
}

function selectTexts(vector: TextVector, name: Comparison, constant: Uint8Array, chunk: Chunk, into: Int32Array): number {
  const { bytes, starts, ends } = vector
  const { rows, count } = chunk
  let found = 0
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const start = starts[row] as number
    if (start < 0) continue
    if (holds(name, compareBytes(bytes, start, ends[row] as number, constant))) into[found++] = row
  }
  return found
}

function compareBytes(bytes: Uint8Array, start: number, end: number, other: Uint8Array): number {
  const size = end - start
  const common = Math.min(size, other.length)
  for (let i = 0; i < common; i++) {
    const difference = (bytes[start + i] as number) - (other[i] as number)
    if (difference !== 0) return difference
  }
  return size - other.length
}

function holds(name: Comparison, order: number): boolean {
  switch (name) {
    case 'eq':
      return order === 0
    case 'ne':
      return order !== 0
    case 'gt':
      return order > 0
    case 'gte':
      return order >= 0
    case 'lt':
      return order < 0
    default:
      return order <= 0
  }
}
