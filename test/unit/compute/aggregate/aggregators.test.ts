/**
 * Goal: every aggregate gives what its definition gives over the rows of each group, and the same when rows are shared out over several parts whose states are merged;
 * approximate ones within the errors that they state.
 */
import { describe, expect, test } from 'vitest'
import type { Aggregate } from '../../../../compute/aggregate/aggregate.ts'
import * as aggregates from '../../../../compute/aggregate/aggregate.ts'
import { aggregateText, makeAggregator } from '../../../../compute/aggregate/aggregate.ts'
import type { Aggregator } from '../../../../compute/aggregate/aggregator.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { AnyVector, BooleanVector, NumberVector, TextVector, type Vector } from '../../../../compute/vector/vector.ts'
import { randomVector, vectorKinds } from '../../../support/random-chunks.ts'
import { makeRandom, type Random, seeded } from '../../engine/codec/random.ts'

/** A row's inputs that are not null, and all of them. */
type Row = readonly unknown[]
type Definition = (rows: readonly Row[]) => unknown

const isNothing = (value: unknown): boolean => value === null || value === undefined
const present = (rows: readonly Row[], at = 0): unknown[] => rows.map(row => row[at]).filter(value => !isNothing(value))
const numbers = (rows: readonly Row[]): number[] =>
  present(rows)
    .filter(value => typeof value === 'number' || typeof value === 'bigint')
    .map(Number)
const whole = (rows: readonly Row[]): Row[] => rows.filter(row => !row.some(isNothing))
const distinct = (values: readonly unknown[]): unknown[] =>
  values.filter((value, i) => values.findIndex(other => compareValues(value, other) === 0) === i)

function best(rows: readonly Row[], sign: number, lastOfEqual: boolean): unknown {
  let found: Row | undefined
  for (const row of whole(rows)) {
    const order = found === undefined ? -1 : sign * compareValues(row[1] ?? 0, found[1] ?? 0)
    if (order < 0 || (order === 0 && lastOfEqual)) found = row
  }
  return found?.[0] ?? null
}

function varianceOf(values: readonly number[]): number | null {
  if (values.length < 2) return null
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
}

function quantileOf(values: readonly number[], fraction: number): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort(compareValues)
  const rank = fraction * (sorted.length - 1)
  const [below, above] = [sorted[Math.floor(rank)] as number, sorted[Math.ceil(rank)] as number]
  return Object.is(below, above) ? below : below + (above - below) * (rank - Math.floor(rank))
}

function sumOf(rows: readonly Row[]): unknown {
  const values = present(rows).filter(value => typeof value === 'number' || typeof value === 'bigint') as (number | bigint)[]
  if (values.length === 0) return null
  if (values.every(value => typeof value === 'bigint')) return values.reduce((a, b) => a + b)
  const plain = values.filter(value => typeof value === 'number').reduce((a, b) => a + b, 0)
  return plain + Number(values.filter(value => typeof value === 'bigint').reduce((a, b) => a + b, 0n))
}

const { count, sum, avg, min, max, variance, stddev, first, last, minBy, maxBy, collect, countDistinct } = aggregates
const { approxCountDistinct, quantile, quantiles, median, topK, some, every } = aggregates

const topOf = (rows: readonly Row[], howMany: number): unknown[] => {
  const order = whole(rows).map((row, i) => ({ row, i }))
  order.sort((a, b) => compareValues(b.row[0], a.row[0]) || a.i - b.i)
  return order.slice(0, howMany).map(({ row }) => row[1])
}

/** What is tested: the aggregate, its definition over rows of its inputs, and which inputs it is given. */
const cases: readonly (readonly [Aggregate, Definition, ('numbers' | 'any')?])[] = [
  [count(), rows => rows.length],
  [count('x'), rows => present(rows).length],
  [sum('x'), sumOf, 'numbers'],
  [avg('x'), rows => (numbers(rows).length === 0 ? null : numbers(rows).reduce((a, b) => a + b, 0) / numbers(rows).length), 'numbers'],
  [min('x'), rows => present(rows).sort(compareValues)[0] ?? null],
  [max('x'), rows => present(rows).sort(compareValues).at(-1) ?? null],
  [variance('x'), rows => varianceOf(numbers(rows)), 'numbers'],
  [stddev('x'), rows => (numbers(rows).length < 2 ? null : Math.sqrt(varianceOf(numbers(rows)) as number)), 'numbers'],
  [first('x', 'y'), rows => best(rows, 1, false)],
  [last('x', 'y'), rows => best(rows, -1, true)],
  [first('x'), rows => present(rows)[0] ?? null],
  [last('x'), rows => present(rows).at(-1) ?? null],
  [minBy('x', 'y'), rows => best(rows, 1, false)],
  [maxBy('x', 'y'), rows => best(rows, -1, false)],
  [collect('x'), rows => present(rows)],
  [collect('x', { limit: 3 }), rows => present(rows).slice(0, 3)],
  [countDistinct('x'), rows => distinct(present(rows)).length],
  [approxCountDistinct('x'), rows => distinct(present(rows)).length],
  [quantile('x', 0.9), rows => quantileOf(numbers(rows), 0.9), 'numbers'],
  [median('x'), rows => quantileOf(numbers(rows), 0.5), 'numbers'],
  [
    quantiles('x', [0, 0.25, 1]),
    rows => (numbers(rows).length === 0 ? null : [0, 0.25, 1].map(fraction => quantileOf(numbers(rows), fraction))),
    'numbers',
  ],
  [topK(3, 'y', 'x'), rows => topOf(rows, 3)],
  [topK(0, 'y', 'x'), () => []],
  [some('x'), rows => truthOf(rows, values => values.includes(true))],
  [every('x'), rows => truthOf(rows, values => !values.includes(false))],
]

function truthOf(rows: readonly Row[], decide: (values: readonly unknown[]) => boolean): boolean | null {
  const values = present(rows).filter(value => typeof value === 'boolean')
  return values.length === 0 ? null : decide(values)
}

/** Numbers that differ by rounding alone, -0 and 0, and equal values of different kinds are alike. */
function areAlike(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return compareValues(a, b) === 0 || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b), 1e-300)
  }
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((value, i) => areAlike(value, b[i]))
  return compareValues(a, b) === 0
}

/** A copy, as another thread would have it. */
function copyOf(vector: Vector): Vector {
  switch (vector.kind) {
    case 'number':
      return new NumberVector(structuredClone(vector.values), structuredClone(vector.nulls))
    case 'boolean':
      return new BooleanVector(structuredClone(vector.values))
    case 'text':
      return new TextVector(structuredClone(vector.bytes), vector.starts, vector.ends)
    default:
      return new AnyVector(structuredClone((vector as AnyVector).values))
  }
}

interface Batch {
  readonly inputs: readonly Vector[]
  readonly rows: Int32Array
  readonly groups: Int32Array
}

/** Kinds whose numbers have a variance and a mean that does not depend on the order of rounding much. */
function randomInput(random: Random, isNumbers: boolean, size: number): Vector {
  if (!isNumbers) return randomVector(random, random.pick(vectorKinds), size)
  const values = Array.from({ length: size }, () => {
    const kind = random.below(12)
    return kind === 0 ? null : kind === 1 ? BigInt(random.below(1000)) : kind === 2 ? 'text' : random.below(1000) / 8 + 1
  })
  if (random.below(2) === 0) return new AnyVector(values)
  const nulls = Uint8Array.from(values, value => (typeof value === 'number' ? 0 : 1))
  return new NumberVector(
    Float64Array.from(values, value => Number(typeof value === 'number' ? value : 0)),
    nulls,
  )
}

function randomBatches(random: Random, node: { readonly inputs: readonly unknown[] }, isNumbers: boolean, groups: number): Batch[] {
  return Array.from({ length: 1 + random.below(6) }, () => {
    const size = 1 + random.below(60)
    const rows = Int32Array.from(Array.from({ length: size }, (_, i) => i).filter(() => random.below(4) > 0))
    return {
      inputs: node.inputs.map(() => randomInput(random, isNumbers, size)),
      rows,
      groups: Int32Array.from(rows, () => random.below(groups)),
    }
  })
}

function resultsOf(aggregator: Aggregator, groups: number): unknown[] {
  const border = groups >> 1
  const halves = [aggregator.results(0, border), aggregator.results(border, groups)] as const
  return Array.from({ length: groups }, (_, i) => (i < border ? halves[0].get(i) : halves[1].get(i - border)))
}

describe.each(cases.map(([aggregate, definition, inputs]) => [aggregateText(aggregate.node), aggregate, definition, inputs] as const))(
  '%s',
  (_name, { node }, definition, inputs) => {
    test('is as defined, in one part and in several', async () => {
      await seeded(random => {
        for (let round = 0; round < 25; round++) {
          const groups = random.pick([1, 1, 2, 5, 20])
          const batches = randomBatches(random, node, inputs === 'numbers', groups)
          const expected = Array.from({ length: groups }, (_, group) =>
            definition(
              batches.flatMap(batch =>
                Array.from(batch.rows)
                  .filter((_row, k) => batch.groups[k] === group)
                  .map(row => batch.inputs.map(input => input.get(row))),
              ),
            ),
          )
          const one = makeAggregator(node)
          one.reserve(Math.ceil(groups / 2))
          one.reserve(groups)
          for (const batch of batches) one.add(batch.inputs, batch.rows, batch.rows.length, batch.groups)
          expect(resultsOf(one, groups)).toSatisfy((found: unknown[]) => areAlike(found, expected), `${String(expected)}`)

          const joined = makeAggregator(node)
          joined.reserve(groups)
          for (let from = 0; from < batches.length; ) {
            const to = from + 1 + random.below(batches.length - from)
            mergePart(random, node, batches.slice(from, to), groups, joined)
            from = to
          }
          expect(resultsOf(joined, groups)).toSatisfy((found: unknown[]) => areAlike(found, expected), `${String(expected)}`)
          expect(joined.bytes).toBeGreaterThanOrEqual(0)
        }
      })
    })
  },
)

/** A part that numbers its groups in its own way. */
function mergePart(random: Random, node: aggregates.AggregateNode, batches: readonly Batch[], groups: number, into: Aggregator): void {
  const part = makeAggregator(node)
  const numbering = Array.from({ length: groups }, (_, i) => i).sort(() => random.below(3) - 1)
  part.reserve(groups)
  for (const batch of batches) {
    part.add(
      batch.inputs,
      batch.rows,
      batch.rows.length,
      batch.groups.map(group => numbering.indexOf(group)),
    )
  }
  const border = random.below(groups + 1)
  for (const [from, to] of [
    [0, border],
    [border, groups],
  ] as const) {
    const states = part.states(from, to).map(copyOf)
    const rows = Int32Array.from({ length: to - from }, (_, i) => i)
    into.merge(states, rows, rows.length, Int32Array.from(numbering.slice(from, to)))
  }
}

const oneGroup = (size: number): Int32Array => new Int32Array(size)
const rowsOf = (size: number): Int32Array => Int32Array.from({ length: size }, (_, i) => i)

function addNumbers(aggregator: Aggregator, values: Float64Array): void {
  aggregator.reserve(1)
  for (let from = 0; from < values.length; from += 4096) {
    const part = values.subarray(from, from + 4096)
    aggregator.add([new NumberVector(part)], rowsOf(part.length), part.length, oneGroup(part.length))
  }
}

/** Shares values out over parts and merges these. */
function addInParts(node: aggregates.AggregateNode, values: Float64Array, parts: number): Aggregator {
  const joined = makeAggregator(node)
  joined.reserve(1)
  for (let i = 0; i < parts; i++) {
    const part = makeAggregator(node)
    addNumbers(
      part,
      values.filter((_, at) => at % parts === i),
    )
    joined.merge(part.states(0, 1).map(copyOf), rowsOf(1), 1, oneGroup(1))
  }
  return joined
}

test('approxCountDistinct is off by less than four standard errors from few to many values, merged or not', () => {
  const { node } = approxCountDistinct('x')
  for (const size of [384, 385, 1000, 5000, 20_000, 100_000, 1_000_000]) {
    for (const stretch of [1, 1.000_001_7, 1e9]) {
      const values = Float64Array.from({ length: size }, (_, i) => i * stretch)
      const one = makeAggregator(node)
      addNumbers(one, values)
      const estimate = one.results(0, 1).get(0) as number
      expect(Math.abs(estimate / size - 1), `${size}`).toBeLessThanOrEqual(size <= 384 ? 0 : 0.065)
      if (size <= 100_000) expect(addInParts(node, values, 3).results(0, 1).get(0)).toBe(estimate)
      expect(one.bytes).toBeLessThan(5000)
    }
  }
})

test('quantiles of many numbers have a rank that is off by less than half a percent, merged or not', () => {
  const fractions = [0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1]
  const { node } = quantiles('x', fractions)
  const random = makeRandom(7)
  const uniform = (): number => random.below(2 ** 30) / 2 ** 30
  const shapes: Record<string, (i: number) => number> = {
    uniform,
    ascending: i => i,
    descending: i => -i,
    exponential: () => -Math.log(1 - uniform()),
    squares: () => uniform() ** 8 * 1e6,
    few: () => random.below(5),
  }
  for (const [name, shape] of Object.entries(shapes)) {
    const values = Float64Array.from({ length: 60_000 }, (_, i) => shape(i))
    const sorted = values.slice().sort()
    const one = makeAggregator(node)
    addNumbers(one, values)
    for (const aggregator of [one, addInParts(node, values, 5)]) {
      const found = aggregator.results(0, 1).get(0) as number[]
      for (const [i, fraction] of fractions.entries()) {
        const value = found[i] as number
        const below = sorted.findIndex(one => one >= value)
        const upTo = sorted.findLastIndex(one => one <= value) + 1
        const rank = fraction * (sorted.length - 1)
        const off = name === 'few' && below === upTo ? 0 : Math.max(0, (below < 0 ? sorted.length : below) - rank, rank - upTo)
        const isEnd = fraction === 0 || fraction === 1
        const allowed = isEnd ? 1 : (fraction <= 0.01 || fraction >= 0.99 ? 0.002 : 0.005) * sorted.length
        expect(off, `${name} ${fraction}: ${value}`).toBeLessThanOrEqual(allowed)
      }
      expect(aggregator.bytes).toBeLessThan(20_000)
    }
  }
})

test('quantiles count infinities and NaN at the ends of the order', () => {
  const { node } = quantiles('x', [0, 0.5, 0.75, 1])
  const some = makeAggregator(node)
  addNumbers(some, Float64Array.of(Number.NaN, 1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 2))
  expect(some.results(0, 1).get(0)).toEqual([Number.NEGATIVE_INFINITY, 2, Number.POSITIVE_INFINITY, Number.NaN])
})

test('bad parameters are refused by name', () => {
  expect(() => quantile('x', 1.5)).toThrow('fraction must be from 0 to 1')
  expect(() => quantiles('x', [-1])).toThrow('fractions must be from 0 to 1')
  expect(() => quantiles('x', 1 as never)).toThrow('fractions must be an array')
  expect(() => topK(-1, 'x')).toThrow('howMany must be a whole number')
  expect(() => collect('x', { limit: 0.5 })).toThrow('limit must be a whole number')
  expect(() => count().where('x' as never)).toThrow('predicate must be an expression')
})
