/** Goal: verbs that shape a flow (withColumns, pivot, branch, cache, repartition, runs together) do what they say, read no more than they must, and are described as they are. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { col, count, type Flow, flow, lag, record, rowNumber, runTogether, sum } from '../../../../compute/index.ts'

interface Sale {
  readonly id: number
  readonly city: string
  readonly price: number | null
  readonly at: { readonly year: number }
}

const sales = Array.from({ length: 9000 }, (_, id): Sale => {
  return { id, city: ['OSL', 'JFK', 'Ü'][id % 3] as string, price: id % 10 === 0 ? null : id % 7, at: { year: 2020 + (id % 4) } }
})

/** A flow that counts how often its input is read. */
function counted(): { input: Flow<Sale>; readings: () => number } {
  let readings = 0
  const rows = {
    *[Symbol.iterator]() {
      readings++
      yield* sales
    },
  }
  return { input: flow('sales', rows), readings: () => readings }
}

describe('withColumns', () => {
  it('adds fields to rows, or takes the place of theirs', async () => {
    const extended = flow('s', sales).withColumns({ twice: col('price').mul(2), at: col('at.year'), first: 'city' })
    expectTypeOf(extended).toEqualTypeOf<
      Flow<{ readonly id: number; readonly city: string; readonly price: number | null; twice: number; at: unknown; first: string }>
    >()
    const expected = sales.map(sale => ({
      ...sale,
      twice: sale.price === null ? null : 2 * sale.price,
      at: sale.at.year,
      first: sale.city,
    }))
    expect(await extended.toArray()).toEqual(expected)
    const sums = await extended.filter(col('at').eq(2021)).keyBy('first').sum('twice').sort('first').toArray()
    const of = (city: string): number =>
      sales.filter(sale => sale.city === city && sale.at.year === 2021).reduce((total, { price }) => total + 2 * (price ?? 0), 0)
    expect(sums).toEqual(['JFK', 'OSL', 'Ü'].map(first => ({ first, sum: of(first) })))
    expect(
      await flow('s', [{ a: { b: 1 } }])
        .withColumns({ c: 'a' })
        .select({ d: col('c.b' as 'c'), e: 'a.b' })
        .toArray(),
    ).toEqual([{ d: 1, e: 1 }])
    expect(() => flow('s', sales).withColumns({})).toThrow('withColumns must name a field')
  })
})

describe('pivot', () => {
  it('gives an aggregate for each value of a field', async () => {
    const found = flow('s', sales).keyBy('city').pivot(col('at.year'), [2020, 2023, 1999], count('price'))
    expectTypeOf(found).toEqualTypeOf<Flow<{ city: string; '2020': number; '2023': number; '1999': number }>>()
    const of = (city: string, year: number): number =>
      sales.filter(sale => sale.city === city && sale.at.year === year && sale.price !== null).length
    const expected = ['JFK', 'OSL', 'Ü'].map(city => ({ city, '2020': of(city, 2020), '2023': of(city, 2023), '1999': 0 }))
    expect(await found.sort('city').toArray()).toEqual(expected)
    expect(() =>
      flow('s', sales)
        .keyBy('city')
        .pivot('id', 1 as never, count()),
    ).toThrow('values must be an array')
    expect(() =>
      flow('s', sales)
        .keyBy('city')
        .pivot('id', [1], 1 as never),
    ).toThrow('aggregate must be an aggregate')
    expect(() => flow('s', sales).keyBy('city').pivot('id', ['city'], count())).toThrow('aggregates.city has the name of a key')
  })
})

describe('branches that run together', () => {
  it('divide rows, each to the first branch that wants it, and read once', async () => {
    for (const predicates of [
      { cheap: col('price').lt(3), odd: col('id').mod(2).eq(1) },
      { cheap: ({ price }: Sale) => price !== null && price < 3, odd: ({ id }: Sale) => id % 2 === 1 },
    ]) {
      const { input, readings } = counted()
      const { cheap, odd, rest } = input.filter(col('city').ne('Ü')).branch(predicates)
      const found = await runTogether({ cheap, odd: odd.select('id'), rest: rest.aggregate({ n: count() }) })
      expectTypeOf(found).toEqualTypeOf<{ cheap: Sale[]; odd: { id: number }[]; rest: { n: number }[] }>()
      expect(readings()).toBe(1)
      const kept = sales.filter(({ city }) => city !== 'Ü')
      const isCheap = ({ price }: Sale): boolean => price !== null && price < 3
      expect(found.cheap).toEqual(kept.filter(isCheap))
      expect(found.odd).toEqual(kept.filter(sale => !isCheap(sale) && sale.id % 2 === 1).map(({ id }) => ({ id })))
      expect(found.rest).toEqual([{ n: kept.filter(sale => !isCheap(sale) && sale.id % 2 === 0).length }])
      expect(found.cheap.length * found.odd.length * (found.rest[0]?.n ?? 0)).toBeGreaterThan(0)
    }
    const { input } = counted()
    expect(() => input.branch({ rest: col('id').gt(1) })).toThrow('branches must not have one called rest')
    expect(() => input.branch(1 as never)).toThrow('branches must be an object')
  })

  it('share steps once, whatever stands behind them', async () => {
    const { input, readings } = counted()
    let calls = 0
    const stepped = input.map(sale => {
      calls++
      return { ...sale, price: sale.price ?? 0 }
    })
    const cities = stepped.keyBy('city').sum('price')
    const found = await runTogether({
      few: stepped.limit(3).select('id'),
      cities,
      again: cities,
      twice: stepped.union(stepped).aggregate({ n: count() }),
      joined: stepped.join(cities, { on: 'city' }).aggregate({ n: count(), sum: sum('sum') }),
    })
    // Once for all of them, and once for the right side of the join.
    expect(readings()).toBe(2)
    expect(calls).toBe(2 * sales.length)
    expect(found.few).toEqual([{ id: 0 }, { id: 1 }, { id: 2 }])
    expect(found.again).toEqual(found.cities)
    expect(found.twice).toEqual([{ n: 2 * sales.length }])
    const total = found.cities.reduce((all, row) => all + (row.sum ?? 0), 0)
    expect(found.joined).toEqual([{ n: sales.length, sum: (total * sales.length) / 3 }])
    expect(await runTogether({})).toEqual({})
    await expect(runTogether({ a: 1 as never })).rejects.toThrow('flows.a must be a flow')
    await expect(runTogether(1 as never)).rejects.toThrow('flows must be an object')
    await expect(runTogether({ cities }, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})

describe('cache', () => {
  it('keeps the rows of the first run that reads all of them', async () => {
    const { input, readings } = counted()
    const cached = input.filter(col('id').lt(5000)).cache()
    expect(await cached.first()).toEqual(sales[0])
    expect(await cached.count()).toBe(5000)
    expect(readings()).toBe(2)
    expect(await cached.toArray()).toEqual(sales.slice(0, 5000))
    expect(await cached.keyBy('city').count().sort('city').toArray()).toEqual(
      await flow('s', sales.slice(0, 5000)).keyBy('city').count().sort('city').toArray(),
    )
    const both = await runTogether({ n: cached.aggregate({ n: count() }), m: cached.filter(col('id').lt(2)) })
    expect([both.n, both.m.length]).toEqual([[{ n: 5000 }], 2])
    expect(readings()).toBe(2)
    expect(cached.explain()).toContain('cache of 5000 rows')
  })

  it('keeps nothing of a run that fails', async () => {
    let fails = true
    const cached = flow('s', sales)
      .map(sale => {
        if (fails && sale.id === 5000) throw new Error('mine')
        return sale.id
      })
      .cache()
    await expect(cached.toArray()).rejects.toThrow('mine')
    fails = false
    expect((await cached.toArray()).length).toBe(sales.length)
  })
})

describe('fields whose names have points', () => {
  const nested = Array.from({ length: 20 }, (_, id) => ({ id, at: id % 7 === 0 ? null : { year: 2000 + (id % 3) } }))
  const years = flow('n', nested).keyBy('at.year').count()
  const expected = [
    { 'at.year': null, count: 3 },
    { 'at.year': 2000, count: 6 },
    { 'at.year': 2001, count: 6 },
    { 'at.year': 2002, count: 5 },
  ]

  it('are found behind whatever keeps rows, by their names', async () => {
    const sorted = years.sort({ by: 'at.year', nulls: 'first' })
    expect(await sorted.toArray()).toEqual(expected)
    expect(await sorted.filter(col('at.year').gt(2000)).select('at.year', 'count').toArray()).toEqual(expected.slice(2))
    expect(
      await sorted
        .map(row => row)
        .sort('count', 'at.year')
        .select({ y: 'at.year' })
        .toArray(),
    ).toEqual([{ y: null }, { y: 2002 }, { y: 2000 }, { y: 2001 }])
    expect(
      await years
        .map(row => row)
        .keyBy('at.year')
        .aggregate({ n: sum('count') })
        .sort('at.year')
        .limit(1)
        .toArray(),
    ).toEqual([{ 'at.year': 2000, n: 6 }])
    const joined = years.join(flow('n', nested).select('id', 'at.year'), { on: 'at.year' }).sort('id').limit(2)
    expect(await joined.select('id', 'at.year', 'count').toArray()).toEqual([
      { id: 1, 'at.year': 2001, count: 6 },
      { id: 2, 'at.year': 2002, count: 5 },
    ])
    expect(
      await years
        .join(
          years.map(row => row),
          { on: 'at.year' },
          (a, b) => [a?.['at.year'], b?.['at.year']],
        )
        .count(),
    ).toBe(3)
    // What lies deeper is found as ever.
    expect(await flow('n', nested).sort({ by: 'id', descending: true }).select('at.year').limit(2).toArray()).toEqual([
      { 'at.year': 2001 },
      { 'at.year': 2000 },
    ])
  })
})

describe('plans', () => {
  const left = flow('mine', sales)
    .repartition('city')
    .withColumns({ p: col('price').add(1) })
  const built = left
    .join(flow('other', sales).select({ id: 'id', y: 'at.year' }), { on: 'id', how: 'left', hint: 'broadcast' })
    .keyBy('city')
    .sort('p')
    .window({ n: rowNumber(), before: lag('p') })
    .filter(col('n').lte(2))

  it('are explained', () => {
    expect(built.explain().split('\n')).toEqual([
      'filter (n <= 2)',
      '  window of each city by p: n = rowNumber(), before = lag(p, 1)',
      '    left join on id, broadcast',
      '      withColumns p = (price + 1)',
      '        repartition by city',
      '          iterable iterable',
      '      select id, y = at.year',
      '        iterable iterable',
    ])
    const grouped = left.cogroup(left, { left: row => row.id, right: 'p' })
    expect(grouped.explain().split('\n')[0]).toBe('cogroup by a function = p; order counts')
    const texts = left.keyBy('city').sort({ by: 'p', descending: true }).limit(3).cache().repartition()
    expect(texts.explain().split('\n').slice(0, 3)).toEqual(['repartition', '  cache', '    window first 3 of each city by p descending'])
    const counted = flow('s', sales).aggregate({ n: count().where(col('id').gt(2)) })
    expect(counted.explain().split('\n')[0]).toBe('aggregate n = count() where (id > 2)')
  })

  it('are described as data, shared parts once, and as a chart', () => {
    const { name, operators, mermaid } = built.describe()
    expect(name).toBe('mine')
    expect(operators.map(({ operator, inputs }) => [operator, inputs])).toEqual([
      ['source', []],
      ['repartition', [0]],
      ['withColumns', [1]],
      ['source', []],
      ['select', [3]],
      ['join', [2, 4]],
      ['window', [5]],
      ['filter', [6]],
    ])
    expect(operators.every(({ id }, i) => id === i)).toBe(true)
    expect(mermaid.split('\n')).toContain('  n2 -->|left| n5')
    expect(mermaid.split('\n')).toContain('  n7["filter (n #60;= 2)"]')
    expect(mermaid.startsWith('flowchart TD\n  n0[("iterable iterable")]')).toBe(true)
    expect(left.union(left).describe().operators.at(-1)?.inputs).toEqual([2, 2])
    expect(structuredClone(built.describe())).toEqual(built.describe())
  })

  it('do the same with a hint to divide rows anew', async () => {
    expect(await flow('s', sales).repartition('city', record.time).repartition().toArray()).toEqual(sales)
  })
})
