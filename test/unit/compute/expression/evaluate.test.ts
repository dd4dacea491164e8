/** Goal: expressions over vectors of every kind give, row by row, what the definitions of `scalars.ts` give; and filters keep the rows for which that is true. */
import { expect, test } from 'vitest'
import { evaluate, selectRows } from '../../../../compute/expression/evaluate.ts'
import type { ExpressionNode, FunctionName, Literal } from '../../../../compute/expression/node.ts'
import { scalars, takesNull } from '../../../../compute/expression/scalars.ts'
import type { Chunk } from '../../../../compute/vector/chunk.ts'
import { NumberVector } from '../../../../compute/vector/vector.ts'
import { randomChunk, randomVector, vectorKinds } from '../../../support/random-chunks.ts'
import { randomScalar } from '../../../support/random-values.ts'
import { type Random, seeded } from '../../engine/codec/random.ts'

/** By how many arguments they take. */
const functions: Readonly<Record<number, readonly FunctionName[]>> = {
  1: [
    ...(['isNull', 'not', 'neg', 'abs', 'floor', 'ceil', 'round', 'sqrt', 'lower', 'upper', 'trim', 'length'] as const),
    ...(['toNumber', 'toText', 'year', 'month', 'day', 'weekday', 'hour', 'minute'] as const),
  ],
  2: [
    ...(['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'and', 'or', 'add', 'sub', 'mul', 'div', 'mod'] as const),
    ...(['startsWith', 'endsWith', 'includes', 'concat', 'coalesce'] as const),
  ],
  3: ['if', 'substring', 'and', 'or', 'concat', 'coalesce'],
}

function randomLiteral(random: Random): Literal {
  const value = randomScalar(random, { rich: true })
  return value === undefined || value instanceof Uint8Array ? null : (value as Literal)
}

function randomExpression(random: Random, depth: number): ExpressionNode {
  const kind = depth === 0 ? random.below(4) : random.below(12)
  if (kind < 3) return { kind: 'field', path: random.pick(vectorKinds) }
  if (kind === 3) return { kind: 'literal', value: randomLiteral(random) }
  if (kind === 4) {
    const values = Array.from({ length: random.below(6) }, () => randomLiteral(random))
    return { kind: 'call', name: 'in', arguments: [randomExpression(random, depth - 1), { kind: 'list', values }] }
  }
  const count = random.pick([1, 2, 2, 2, 3])
  const name = random.pick(functions[count] as readonly FunctionName[])
  const operands = Array.from({ length: count }, () => randomExpression(random, depth - 1))
  // Its borders are numbers by its type.
  if (name === 'substring') return { kind: 'call', name, arguments: [operands[0] as ExpressionNode, number(random), number(random)] }
  return { kind: 'call', name, arguments: operands }
}

const number = (random: Random): ExpressionNode => ({ kind: 'literal', value: random.below(8) })

/** The definition, for one row. */
function definedValue(node: ExpressionNode, chunk: Chunk, row: number): unknown {
  if (node.kind === 'field') return chunk.field(node.path).get(row)
  if (node.kind === 'literal') return node.value
  if (node.kind === 'list') return node.values
  if (node.name === 'in') {
    const [operand, list] = node.arguments as [ExpressionNode, { values: readonly Literal[] } & ExpressionNode]
    const value = definedValue(operand, chunk, row)
    if (value === null) return null
    if (list.values.some(one => one !== null && scalars.eq(value, one) === true)) return true
    return list.values.includes(null) ? null : false
  }
  const values = node.arguments.map(argument => definedValue(argument, chunk, row))
  return values.includes(null) && !takesNull.has(node.name) ? null : (scalars[node.name](...values) ?? null)
}

/** Rounds of a test, each with an expression over a chunk of all kinds of vectors. */
function rounds(random: Random, count: number, check: (node: ExpressionNode, chunk: Chunk) => void): void {
  for (let round = 0; round < count; round++) {
    const size = 1 + random.below(50)
    const fields = Object.fromEntries(vectorKinds.map(kind => [kind, randomVector(random, kind, size)]))
    check(randomExpression(random, 3), randomChunk(random, fields, size))
  }
}

/** What a computation throws counts as its result: a bigint that is too large throws on both ways. */
function outcomeOf(compute: () => unknown): unknown {
  try {
    return compute()
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return error.constructor
    throw error
  }
}

test('evaluate gives what the scalar definitions give', async () => {
  await seeded(random => {
    rounds(random, 500, (node, chunk) => {
      const rows = Array.from(chunk.rows.subarray(0, chunk.count))
      const found = outcomeOf(() => {
        const vector = evaluate(node, chunk)
        return rows.map(row => vector.get(row))
      })
      expect(found, JSON.stringify(node, bigints)).toEqual(outcomeOf(() => rows.map(row => definedValue(node, chunk, row))))
    })
  })
})

test('selectRows keeps the rows for which the predicate is true', async () => {
  await seeded(random => {
    rounds(random, 500, (part, chunk) => {
      const name = random.pick(['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'and'] as const)
      const other: ExpressionNode = { kind: 'literal', value: randomLiteral(random) }
      const operands = random.below(2) === 0 ? [part, other] : [other, part]
      const node: ExpressionNode = { kind: 'call', name, arguments: operands }
      const rows = Array.from(chunk.rows.subarray(0, chunk.count))
      const expected = outcomeOf(() => rows.filter(row => definedValue(node, chunk, row) === true))
      const kept = outcomeOf(() => {
        const found = selectRows(chunk, node)
        return Array.from(found.rows.subarray(0, found.count))
      })
      // What one side of an `and` excludes is not computed for the other, so it need not throw.
      if (Array.isArray(expected)) expect(kept, JSON.stringify(node, bigints)).toEqual(expected)
    })
  })
})

test('comparisons of number and text fields with constants keep the right rows', async () => {
  await seeded(random => {
    for (let round = 0; round < 600; round++) {
      const size = 1 + random.below(60)
      const kind = random.pick(['number', 'numberNulls', 'text'] as const)
      const vector = randomVector(random, kind, size)
      const chunk = randomChunk(random, { [kind]: vector }, size)
      const constant = vector.get(random.below(size)) as Literal
      const name = random.pick(['eq', 'ne', 'gt', 'gte', 'lt', 'lte'] as const)
      const node: ExpressionNode = {
        kind: 'call',
        name,
        arguments: [
          { kind: 'field', path: kind },
          { kind: 'literal', value: constant },
        ],
      }
      const { rows, count } = selectRows(chunk, node)
      const expected = Array.from(chunk.rows.subarray(0, chunk.count)).filter(row => definedValue(node, chunk, row) === true)
      expect(Array.from(rows.subarray(0, count)), `${name} ${String(constant)}`).toEqual(expected)
    }
  })
})

test('parts of times as numbers are those of dates, from the first time that a date has to the last', async () => {
  await seeded(random => {
    const day = 86_400_000
    const last = 1e8 * day
    const times = [0, -0, -1, 1, -0.5, 0.5, last, -last, last + 1, -last - 1, 1e300, Number.NaN, Number.POSITIVE_INFINITY]
    // Ends of years and of February, of all kinds of years.
    for (const year of [-271_820, -400, -1, 0, 4, 100, 400, 1600, 1900, 1970, 2000, 2023, 2024, 2100, 275_759]) {
      const first = new Date(0).setUTCFullYear(year, 0, 1)
      const march = new Date(0).setUTCFullYear(year, 2, 1)
      times.push(first, first - 1, march, march - 1, march - day - 1)
    }
    for (let i = 0; i < 3000; i++) times.push((random.below(2 ** 30) / 2 ** 29 - 1) * random.pick([last, 1e13, 1e11]))
    const nulls = Uint8Array.from(times, () => (random.below(5) === 0 ? 1 : 0))
    for (const vector of [new NumberVector(Float64Array.from(times)), new NumberVector(Float64Array.from(times), nulls)]) {
      const chunk = randomChunk(random, { at: vector }, times.length)
      for (const name of ['year', 'month', 'day', 'weekday', 'hour', 'minute'] as const) {
        const node: ExpressionNode = { kind: 'call', name, arguments: [{ kind: 'field', path: 'at' }] }
        const part = evaluate(node, chunk)
        expect(part.kind).toBe('number')
        for (const row of chunk.rows.subarray(0, chunk.count)) {
          const expected = definedValue(node, chunk, row)
          if (part.get(row) !== expected) expect(part.get(row), `${name} of ${times[row]}`).toBe(expected)
        }
      }
    }
  })
})

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value)
