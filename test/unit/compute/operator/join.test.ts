/** Goal: joins and cogroups of random rows give what nested loops give, of every kind, as values and as fields, by paths, expressions and functions; with the types that they say. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { col, type Flow, flow, type JoinKind, sum } from '../../../../compute/index.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { open } from '../../../../index.ts'
import { randomScalar } from '../../../support/random-values.ts'
import { type Random, seeded } from '../../engine/codec/random.ts'

interface Row {
  readonly id?: unknown
  readonly part?: unknown
  readonly name?: unknown
  readonly deep?: { readonly x?: unknown } | null
  readonly [extra: string]: unknown
}

const kinds = ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const satisfies readonly JoinKind[]

const isNothing = (value: unknown): boolean => value === null || value === undefined
const areEqual = (a: unknown, b: unknown): boolean => !isNothing(a) && !isNothing(b) && compareValues(a, b) === 0

/** By the rule of joins: the left value unless it is null. */
function merged(left: Row | undefined, right: Row | undefined): Row {
  if (left === undefined || right === undefined) return (left ?? right) as Row
  const row: Record<string, unknown> = { ...left }
  for (const [name, value] of Object.entries(right)) row[name] ??= value
  return row
}

type Pair = readonly [Row | undefined, Row | undefined]

function pairsOf(lefts: readonly Row[], rights: readonly Row[], how: JoinKind, matches: (left: Row, right: Row) => boolean): Pair[] {
  const pairs: Pair[] = []
  for (const left of lefts) {
    const found = rights.filter(right => matches(left, right))
    if (how === 'semi' || how === 'anti') {
      if (found.length > 0 === (how === 'semi')) pairs.push([left, undefined])
      continue
    }
    for (const right of found) pairs.push([left, right])
    if (found.length === 0 && (how === 'left' || how === 'full')) pairs.push([left, undefined])
  }
  if (how === 'right' || how === 'full') {
    for (const right of rights) if (!lefts.some(left => matches(left, right))) pairs.push([undefined, right])
  }
  return pairs
}

/** Few different keys of many kinds, so that they meet. */
function randomRows(random: Random, side: string, pool: readonly unknown[], size: number): Row[] {
  return Array.from({ length: size }, (_, i) => {
    const row: Record<string, unknown> = { [side]: i }
    if (random.below(5) > 0) row.id = random.pick(pool)
    if (random.below(5) > 0) row.part = random.below(3)
    if (random.below(2) === 0) row.name = random.below(3) === 0 ? null : `${side} ${random.below(4)}`
    if (random.below(3) > 0) row.deep = random.below(4) === 0 ? null : { [random.below(2) === 0 ? 'x' : side]: `${side} ${i}` }
    return row
  })
}

const inOrder = (rows: readonly unknown[]): unknown[] => [...rows].sort(compareValues)

describe.each(kinds)('%s join', how => {
  it('gives the pairs of nested loops, right rows without a partner last', async () => {
    await seeded(async random => {
      for (let round = 0; round < 15; round++) {
        const pool = Array.from({ length: 1 + random.below(12) }, () => randomScalar(random, { rich: true }))
        const lefts = randomRows(random, 'l', pool, random.below(60))
        const rights = randomRows(random, 'r', pool, random.below(60))
        const [left, right] = [flow('l', lefts), flow('r', rights)]
        const rowOf = ([a, b]: Pair): Row => (how === 'semi' || how === 'anti' ? (a as Row) : merged(a, b))
        const byId = pairsOf(lefts, rights, how, (a, b) => areEqual(a.id, b.id))
        expect(inOrder(await left.join(right, { on: 'id', how }).toArray())).toEqual(inOrder(byId.map(rowOf)))

        const both = pairsOf(lefts, rights, how, (a, b) => areEqual(a.id, b.id) && areEqual(a.part, b.part))
        const fields = { l: 'l', r: 'r', name: 'name', x: 'deep.x', part: 'part' } as const
        const found = await left
          .join(right, { on: ['id', 'part'], how })
          .select(fields)
          .toArray()
        const selected = both.map(rowOf).map(({ l, r, name, deep, part }) => ({ l, r, name, x: deep?.x, part }))
        expect(inOrder(found)).toEqual(inOrder(selected.map(row => orNull(row))))

        const byFunctions = await left.join(right, { left: row => [row.id, row.part], right: row => [row.id, row.part], how }).toArray()
        const nullsMeet = pairsOf(lefts, rights, how, (a, b) => compareValues([a.id, a.part], [b.id, b.part]) === 0)
        expect(inOrder(byFunctions)).toEqual(inOrder(nullsMeet.map(rowOf)))

        if (how === 'semi' || how === 'anti') continue
        const combined = await left.join(right, { left: 'id', right: 'id', how }, (a, b) => [a?.l ?? null, b?.r ?? null]).toArray()
        const pairs = byId.map(([a, b]) => [a?.l ?? null, b?.r ?? null])
        expect(inOrder(combined)).toEqual(inOrder(pairs))
        // Left rows keep their order, and so do the right rows of each.
        const ofLeft = combined.filter(([l]) => l !== null)
        expect(ofLeft).toEqual(pairs.filter(([l]) => l !== null))
      }
    })
  })

  it('gives all pairs of a key with many rows on both sides', async () => {
    const many = Array.from({ length: 150 }, (_, i) => ({ k: i % 2, i }))
    const joined = await flow('a', many)
      .join(flow('b', many).select({ k: 'k', j: 'i' }), { on: 'k', how })
      .count()
    expect(joined).toBe(how === 'semi' ? 150 : how === 'anti' ? 0 : 2 * 75 * 75)
  })
})

function orNull(row: object): object {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value ?? null]))
}

describe('joins', () => {
  it('of stores take fields out of bytes, and kept rows outlive their blocks', async () => {
    await using db = await open({ storage: 'memory' })
    const sales = db.store<{ product: string; price: number }, number>('sales')
    const products = db.store<{ code: string; kind: { name: string } }, number>('products')
    const size = 10_000
    const keys = Array.from({ length: size }, (_, i) => i)
    await products.batch(keys.map(key => ({ type: 'put' as const, key, value: { code: `Ü${key}`, kind: { name: `kind ${key % 7}` } } })))
    await sales.batch(keys.map(key => ({ type: 'put' as const, key, value: { product: `Ü${(key * 3) % (2 * size)}`, price: key } })))
    const joined = flow('sales', sales).join(flow('products', products), { left: 'product', right: 'code' })
    const sums = await joined
      .keyBy({ kind: col('kind.name') })
      .sum('price')
      .sort('kind')
      .toArray()
    const expected = new Map<string, number>()
    for (const key of keys) {
      const product = (key * 3) % (2 * size)
      if (product < size) expected.set(`kind ${product % 7}`, (expected.get(`kind ${product % 7}`) ?? 0) + key)
    }
    expect(sums.map(({ kind, sum }) => [kind, sum])).toEqual([...expected].sort(([a], [b]) => compareValues(a, b)))
    const rows = await joined.toArray()
    expect(rows.length).toBe(keys.filter(key => (key * 3) % (2 * size) < size).length)
    expect(rows[1]).toEqual({ product: 'Ü3', price: 1, code: 'Ü3', kind: { name: 'kind 3' } })
  })

  it('refuse what they cannot do, by name', async () => {
    const numbers = flow('n', [1, 2])
    const objects = flow('o', [{ id: 1 }])
    expect(() => numbers.join([] as never, { on: 'id' } as never)).toThrow('join must be given a flow')
    expect(() => objects.join(objects, {} as never)).toThrow('join must be given on, or left and right')
    expect(() => objects.join(objects, { on: 'id', how: 'outer' as never })).toThrow('how must be one of inner')
    expect(() => objects.join(objects, { on: 'id', hint: 'fast' as never })).toThrow('hint must be one of broadcast')
    expect(() => objects.join(objects, { left: ['id'], right: ['id', 'id'] })).toThrow('left and right must name equally many')
    expect(() => objects.join(objects, { on: [] })).toThrow('on must name a field')
    expect(() => objects.join(objects, { on: 'id', how: 'semi' } as never, () => 1)).toThrow('combine must not be given')
    expect(() => objects.cogroup(1 as never, { on: 'id' })).toThrow('cogroup must be given a flow')
    const pairs = numbers.join(numbers, { left: n => n, right: n => n })
    await expect(pairs.toArray()).rejects.toThrow('rows that are joined must be objects')
    expect(await numbers.join(numbers, { left: n => n, right: n => n }, (a, b) => a + b).toArray()).toEqual([2, 4])
  })

  it('say the types of their rows', () => {
    const people = flow('p', [] as { id: number; name: string }[])
    const orders = flow('o', [] as { id: number; total?: number }[])
    expectTypeOf(people.join(orders, { on: 'id' })).toEqualTypeOf<Flow<{ id: number; name: string; total?: number }>>()
    expectTypeOf(people.join(orders, { on: 'id', how: 'right' })).toEqualTypeOf<Flow<{ id: number; name?: string; total?: number }>>()
    expectTypeOf(people.join(orders, { on: ['id'], how: 'semi' })).toEqualTypeOf<Flow<{ id: number; name: string }>>()
    expectTypeOf(people.join(orders, { left: 'name', right: row => row.total, how: 'full' }, (a, b) => [a, b] as const)).toEqualTypeOf<
      Flow<readonly [{ id: number; name: string } | null, { id: number; total?: number } | null]>
    >()
    expectTypeOf(people.join(orders, { on: 'id', how: 'left' }, (person, order) => order?.total ?? person.name)).toEqualTypeOf<
      Flow<string | number>
    >()
    expectTypeOf(people.cogroup(orders, { on: 'id' })).toEqualTypeOf<
      Flow<{ id: number; left: { id: number; name: string }[]; right: { id: number; total?: number }[] }>
    >()
    // @ts-expect-error only one side has it
    people.join(orders, { on: 'name' })
    // @ts-expect-error no such kind
    expect(() => people.join(orders, { on: 'id', how: 'outer' })).toThrow('how')
  })
})

describe('cogroup', () => {
  it('gives the rows of both sides by key, null included', async () => {
    await seeded(async random => {
      for (let round = 0; round < 20; round++) {
        const pool = Array.from({ length: 1 + random.below(8) }, () => randomScalar(random, { rich: true }))
        const lefts = randomRows(random, 'l', pool, random.below(40))
        const rights = randomRows(random, 'r', pool, random.below(40))
        const found = await flow('l', lefts).cogroup(flow('r', rights), { on: 'id' }).toArray()
        const keys: unknown[] = []
        for (const { id } of [...rights, ...lefts]) if (!keys.some(key => compareValues(key, id) === 0)) keys.push(id)
        const ofKey = (rows: readonly Row[], id: unknown): Row[] => rows.filter(row => compareValues(row.id, id) === 0)
        expect(found.map(({ left, right }) => [left, right])).toEqual(keys.map(id => [ofKey(lefts, id), ofKey(rights, id)]))
        for (const [i, { id }] of found.entries()) expect(compareValues(id, keys[i])).toBe(0)
      }
    })
    const byFunction = flow('a', ['x', 'yy']).cogroup(flow('b', ['zz']), { left: text => text.length, right: text => text.length })
    expect(inOrder(await byFunction.toArray())).toEqual([
      { key: 1, left: ['x'], right: [] },
      { key: 2, left: ['yy'], right: ['zz'] },
    ])
    const sums = flow('a', [{ k: 1, n: 2 }]).cogroup(flow('b', [{ k: 1, m: 3 }]), { on: 'k' })
    expect(
      await sums
        .select({ n: col('left.0.n'), m: col('right.0.m') })
        .aggregate({ n: sum('n'), m: sum('m') })
        .first(),
    ).toEqual({
      n: 2,
      m: 3,
    })
  })
})
