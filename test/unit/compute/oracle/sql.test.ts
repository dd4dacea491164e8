/**
 * Goal: flows give what DuckDB gives for the same rows: aggregates, filtered and by every kind of key, joins of every kind, distinct, sort, windows and expressions, over random
 * tables with nulls, ties, NaN, infinities, large integers and texts beyond ASCII.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Aggregate,
  avg,
  col,
  collect,
  count,
  countDistinct,
  countIf,
  denseRank,
  type Expression,
  every,
  type Flow,
  first,
  flow,
  type JoinKind,
  lag,
  last,
  lead,
  lit,
  max,
  maxBy,
  median,
  min,
  minBy,
  quantile,
  rank,
  rowNumber,
  running,
  some,
  stddev,
  sum,
  topK,
  variance,
  type WindowFunction,
  when,
} from '../../../../compute/index.ts'
import { comparable, type OracleRow, oracleRows, SqlOracle, unordered } from '../../../support/sql-oracle.ts'
import { makeRandom, type Random, seeded } from '../../engine/codec/random.ts'

let oracle: SqlOracle
beforeAll(async () => {
  oracle = await SqlOracle.open()
})
afterAll(async () => {
  await oracle[Symbol.asyncDispose]()
})

/** Rounds of a test with tables `t` and `u` of random rows. */
async function withTables(
  rounds: number,
  size: number,
  check: (t: OracleRow[], u: OracleRow[], random: Random) => Promise<void>,
): Promise<void> {
  await seeded(async random => {
    for (let round = 0; round < rounds; round++) {
      const [t, u] = [oracleRows(random, 1 + random.below(size)), oracleRows(random, random.below(size / 4))]
      await oracle.table('t', t)
      await oracle.table('u', u)
      await check(t, u, random)
    }
  })
}

type Fields = keyof OracleRow

/** Aggregates and their SQL. Both sides pass nulls over; what depends on order has one that is total. */
const aggregates: Record<string, readonly [Aggregate<unknown, Fields>, string]> = {
  rows: [count(), 'count(*)'],
  texts: [count('k'), 'count(k)'],
  total: [sum('f'), 'sum(f)'],
  odd: [sum('n'), 'sum(n)'],
  large: [sum('i'), 'sum(i)'],
  mean: [avg('f'), 'avg(f)'],
  meanLarge: [avg('i'), 'avg(i)'],
  least: [min('n'), 'min(n)'],
  most: [max('n'), 'max(n)'],
  firstText: [min('k'), 'min(k)'],
  lastText: [max('k'), 'max(k)'],
  leastLarge: [min('i'), 'min(i)'],
  mostLarge: [max('i'), 'max(i)'],
  spread: [variance('f'), 'var_samp(f)'],
  deviation: [stddev('f'), 'stddev_samp(f)'],
  first: [first('k', 'id'), 'first(k order by id) filter (k is not null)'],
  last: [last('n', 'id'), 'last(n order by id) filter (n is not null)'],
  of: [minBy('k', 'f'), 'first(k order by f, id) filter (k is not null and f is not null)'],
  at: [maxBy('i', 'k'), 'first(i order by k desc, id) filter (k is not null and i is not null)'],
  list: [collect('f'), 'coalesce(list(f order by id) filter (f is not null), [])'],
  some: [collect('k', { limit: 3 }), 'coalesce(list(k order by id) filter (k is not null), [])[1:3]'],
  texts2: [countDistinct('k'), 'count(distinct k)'],
  numbers: [countDistinct('n'), 'count(distinct n)'],
  larges: [countDistinct('i'), 'count(distinct i)'],
  middle: [median('f'), 'median(f)'],
  ninth: [quantile('f', 0.9), 'quantile_cont(f, 0.9)'],
  top: [topK(3, 'n', 'id'), 'coalesce(list(id order by n desc, id) filter (n is not null), [])[1:3]'],
  any: [some('b'), 'bool_or(b)'],
  all: [every('b'), 'bool_and(b)'],
  high: [countIf(col('f').gt(3)), 'count(*) filter (f > 3)'],
  highText: [max('k').where(col('n').lte(1)), 'max(k) filter (n <= 1)'],
  truths: [countDistinct('g').where(col('b')), 'count(distinct g) filter (b)'],
}

const selected = Object.entries(aggregates)
  .map(([name, [, sql]]) => `${sql} as "${name}"`)
  .join(', ')
const built = Object.fromEntries(Object.entries(aggregates).map(([name, [aggregate]]) => [name, aggregate]))

describe('aggregates', () => {
  it.each([[['k']], [['n']], [['i']], [['b', 'g']], [['k', 'n', 'i']]] as [Fields[]][])('by %s', async keys => {
    await withTables(4, 300, async t => {
      const [key, ...more] = keys as [Fields, ...Fields[]]
      const found = await flow('t', t)
        .keyBy(key, ...more)
        .aggregate(built)
        .toArray()
      const names = keys.map(name => `"${name}"`).join(', ')
      expect(unordered(found)).toEqual(unordered(await oracle.query(`select ${names}, ${selected} from t group by ${names}`)))
    })
  })

  it('of all rows, and of none', async () => {
    await withTables(4, 400, async t => {
      const found = await flow('t', t).aggregate(built).toArray()
      expect(unordered(found)).toEqual(unordered(await oracle.query(`select ${selected} from t`)))
      const none = await flow('t', t).filter(col('id').lt(0)).aggregate(built).toArray()
      expect(unordered(none)).toEqual(unordered(await oracle.query(`select ${selected} from t where id < 0`)))
    })
  })

  it('by values of a field, as columns', async () => {
    await withTables(4, 300, async t => {
      const found = await flow('t', t).keyBy('k').pivot('g', [0, 1, 3], sum('f')).toArray()
      const columns = [0, 1, 3].map(g => `sum(f) filter (g = ${g}) as "${g}"`).join(', ')
      expect(unordered(found)).toEqual(unordered(await oracle.query(`select k, ${columns} from t group by k`)))
    })
  })
})

describe('joins', () => {
  const kinds: readonly JoinKind[] = ['inner', 'left', 'right', 'full', 'semi', 'anti']
  it.each(kinds)('%s', async how => {
    await withTables(6, 160, async (t, u, random) => {
      const keys = random.pick<readonly Fields[]>([['k'], ['n'], ['i'], ['b', 'g'], ['k', 'i'], ['g', 'n', 'f']])
      const on = keys.map(key => `t."${key}" = u."${key}"`).join(' and ')
      const right = flow('u', u).withColumns({ uid: 'id' })
      const joined = flow('t', t).withColumns({ tid: 'id' }).join(right, { on: keys, how })
      const sql = `select t.id as tid, ${how === 'semi' || how === 'anti' ? 'null' : 'u.id'} as uid from t ${how} join u on ${on}`
      const expected = unordered(await oracle.query(sql))
      expect(unordered(await joined.select({ tid: 'tid', uid: 'uid' as 'tid' }).toArray()), keys.join()).toEqual(expected)
      const values = (await joined.toArray()) as { readonly tid?: number; readonly uid?: number }[]
      expect(unordered(values.map(({ tid, uid }) => ({ tid, uid })))).toEqual(expected)
    })
  })
})

describe('orders', () => {
  it('sort', async () => {
    await withTables(10, 300, async (t, _, random) => {
      const criteria = Array.from({ length: 1 + random.below(3) }, () => {
        const by = random.pick<Fields>(['k', 'n', 'i', 'b', 'g', 'f'])
        return { by, descending: random.below(2) === 0, nulls: random.pick(['first', 'last'] as const) }
      })
      const found = await flow('t', t)
        .sort(...criteria, 'id')
        .select('id')
        .toArray()
      const order = criteria.map(({ by, descending, nulls }) => `"${by}" ${descending ? 'desc' : 'asc'} nulls ${nulls}`).join(', ')
      expect(found.map(comparable)).toEqual((await oracle.query(`select id from t order by ${order}, id`)).map(comparable))
      const [offset, limit] = [random.below(20), random.below(20)]
      const part = await flow('t', t)
        .sort(...criteria, 'id')
        .limit(limit, offset)
        .select('id')
        .toArray()
      expect(part).toEqual(found.slice(offset, offset + limit))
    })
  })

  it('tell rows apart', async () => {
    await withTables(8, 200, async (t, u) => {
      const all = flow('t', t).union(flow('u', u))
      const fields = ['k', 'g', 'b'] as const
      const sql = 'select distinct k, g, b from (select * from t union all select * from u)'
      expect(
        unordered(
          await all
            .select(...fields)
            .distinct()
            .toArray(),
        ),
      ).toEqual(unordered(await oracle.query(sql)))
      const firsts = await flow('t', t).sort('id').distinct('n', 'i').select('id').toArray()
      expect(unordered(firsts)).toEqual(unordered(await oracle.query('select min(id) as id from t group by n, i')))
    })
  })
})

describe('windows', () => {
  const functions: Record<string, readonly [WindowFunction<unknown, Fields>, string]> = {
    rank: [rank(), 'rank()'],
    dense: [denseRank(), 'dense_rank()'],
    total: [running(sum('f')), 'sum(f)'],
    least: [running(min('k')), 'min(k)'],
    most: [running(max('n')), 'max(n)'],
    rows: [running(count()), 'count(*)'],
    mean: [running(avg('f')), 'avg(f)'],
    high: [running(count().where(col('b'))), 'count(*) filter (b)'],
    before: [lag('k'), 'lag(k)'],
    twoBefore: [lag('n', 2), 'lag(n, 2)'],
    after: [lead('i'), 'lead(i)'],
  }

  it.each([['k'], ['g'], ['n']] as [Fields][])('of each %s', async key => {
    await withTables(6, 200, async (t, _, random) => {
      const by = random.pick<Fields>(['n', 'f', 'k', 'i'])
      const descending = random.below(2) === 0
      const order = `"${by}" ${descending ? 'desc' : 'asc'} nulls last`
      const whole = ['rank', 'dense']
      const columns = Object.entries(functions).map(([name, [, sql]]) => {
        const frame = ['total', 'least', 'most', 'rows', 'mean', 'high'].includes(name) ? ' rows unbounded preceding' : ''
        return `${sql} over (partition by "${key}" order by ${order}${whole.includes(name) ? '' : ', id'}${frame}) as "${name}"`
      })
      const sorted = flow('t', t).keyBy(key)
      const ranks = sorted.sort({ by, descending }).window({ rank: rank(), dense: denseRank(), number: rowNumber() })
      const others = Object.fromEntries(
        Object.entries(functions)
          .filter(([name]) => !whole.includes(name))
          .map(([name, [window]]) => [name, window]),
      )
      const found = await sorted
        .sort({ by, descending }, 'id')
        .window(others)
        .join(ranks.select('id', 'rank', 'dense', 'number'), { on: 'id' })
        .select({ id: 'id', number: 'number', ...Object.fromEntries(Object.keys(functions).map(name => [name, name as 'id'])) })
        .toArray()
      const number = `row_number() over (partition by "${key}" order by ${order}, id) as number`
      expect(unordered(found)).toEqual(unordered(await oracle.query(`select id, ${number}, ${columns.join(', ')} from t`)))
    })
  })
})

/** An expression and its SQL. */
type Both<Value = unknown> = readonly [Expression<Value, Fields>, string]

function randomNumber(random: Random, depth: number): Both<number> {
  const kind = depth === 0 ? random.below(2) : random.below(7)
  if (kind === 0) {
    const value = random.below(20) / 4 - 2
    return [lit(value), `${value}::double`]
  }
  if (kind < 3) {
    const field = random.pick<Fields>(['f', 'g', 'n'])
    return [col(field) as Expression<number, Fields>, `"${field}"`]
  }
  const [a, b] = [randomNumber(random, depth - 1), randomNumber(random, depth - 1)]
  if (kind === 3) return [a[0].add(b[0]), `(${a[1]} + ${b[1]})`]
  if (kind === 4) return [a[0].sub(b[0]), `(${a[1]} - ${b[1]})`]
  if (kind === 5) return [a[0].abs(), `abs(${a[1]})`]
  return [a[0].coalesce(b[0]), `coalesce(${a[1]}, ${b[1]})`]
}

function randomText(random: Random, depth: number): Both<string> {
  const kind = depth === 0 ? random.below(2) : random.below(4)
  if (kind === 0) return [lit('é') as Expression<string, Fields>, `'é'`]
  if (kind === 1) return [col('k') as Expression<string, Fields>, 'k']
  const [a, b] = [randomText(random, depth - 1), randomText(random, depth - 1)]
  return kind === 2 ? [a[0].concat(b[0]), `(${a[1]} || ${b[1]})`] : [a[0].coalesce(b[0]), `coalesce(${a[1]}, ${b[1]})`]
}

const comparisons = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function randomPredicate(random: Random, depth: number): Both<boolean> {
  const kind = random.below(depth === 0 ? 5 : 9)
  const name = random.pick(Object.keys(comparisons) as (keyof typeof comparisons)[])
  const sign = comparisons[name]
  if (kind < 2) {
    const [a, b] = [randomNumber(random, 2), randomNumber(random, 1)]
    return [a[0][name](b[0]), `(${a[1]} ${sign} ${b[1]})`]
  }
  if (kind === 2) {
    const [a, b] = [randomText(random, 2), randomText(random, 1)]
    return [a[0][name](b[0]), `(${a[1]} ${sign} ${b[1]})`]
  }
  if (kind === 3) {
    const value = random.pick([1n, 2n ** 53n + 1n, 10n ** 24n])
    return [col('i')[name](value), `(i ${sign} ${value}::hugeint)`]
  }
  if (kind === 4) {
    const field = random.pick<Fields>(['k', 'n', 'b', 'i'])
    return [col(field).isNull(), `("${field}" is null)`]
  }
  const [a, b] = [randomPredicate(random, depth - 1), randomPredicate(random, depth - 1)]
  if (kind === 5) return [a[0].and(b[0]), `(${a[1]} and ${b[1]})`]
  if (kind === 6) return [a[0].or(b[0]), `(${a[1]} or ${b[1]})`]
  if (kind === 7) return [a[0].not(), `(not ${a[1]})`]
  return [when(a[0], b[0], lit(false)) as Expression<boolean, Fields>, `(case when ${a[1]} then ${b[1]} else false end)`]
}

describe('expressions', () => {
  it('filter and compute', async () => {
    await withTables(40, 200, async (t, _, random) => {
      const predicate = randomPredicate(random, 3)
      const [number, text] = [randomNumber(random, 3), randomText(random, 3)]
      const found = await flow('t', t)
        .filter(predicate[0])
        .select({ id: 'id', number: number[0], text: text[0], truth: randomTruth(predicate[0]) })
        .toArray()
      const sql = `select id, ${number[1]} as number, ${text[1]} as text, (${predicate[1]}) as truth from t where ${predicate[1]}`
      expect(unordered(found), sql).toEqual(unordered(await oracle.query(sql)))
    })
  })
})

/** As it is; computed again, not by the filter's loops. */
function randomTruth(predicate: Expression<boolean, Fields>): Expression<boolean, Fields> {
  return predicate.not().not()
}

describe('pipelines', () => {
  it('of random steps give what the same steps over arrays give', async () => {
    await seeded(async random => {
      for (let round = 0; round < 60; round++) {
        const rows = oracleRows(random, random.below(200))
        let [built, naive]: [Flow<OracleRow>, OracleRow[]] = [flow('t', rows), rows]
        const texts: string[] = []
        for (let step = 0; step < 1 + random.below(6); step++) {
          const [name, next, values] = randomStep(random, built, naive)
          texts.push(name)
          ;[built, naive] = [next, values]
        }
        const found = await built.toArray()
        expect(unordered(found), texts.join(', ')).toEqual(unordered(naive))
        expect(await built.count()).toBe(naive.length)
        const sums = await built.aggregate({ f: sum('f'), n: count('k') }).first()
        const finite = naive.flatMap(({ f }) => f ?? [])
        const f = finite.length === 0 ? null : finite.reduce((a, b) => a + b, 0)
        expect(comparable(sums)).toEqual(comparable({ f, n: naive.filter(({ k }) => (k ?? null) !== null).length }))
      }
    })
  })
})

type Step = readonly [string, Flow<OracleRow>, OracleRow[]]

const keyOf = (row: OracleRow, fields: readonly Fields[]): string =>
  JSON.stringify(
    fields.map(field => (typeof row[field] === 'bigint' ? `${row[field]}n` : Object.is(row[field], -0) ? 0 : (row[field] ?? null))),
  )

/** One verb, and the same over an array. Fields that have NaN or infinities are no keys here. */
function randomStep(random: Random, built: Flow<OracleRow>, rows: OracleRow[]): Step {
  const limit = random.below(15)
  const other = oracleRows(makeRandom(random.below(1000)), 20)
  const fields = random.pick<readonly [Fields, ...Fields[]]>([['k'], ['g', 'b'], ['i'], ['k', 'g']])
  switch (random.below(12)) {
    case 0:
      return ['filter', built.filter(col('f').gt(limit - 5)), rows.filter(({ f }) => (f ?? null) !== null && (f as number) > limit - 5)]
    case 1:
      return ['filterBy', built.filter(({ g }) => g !== 1), rows.filter(({ g }) => g !== 1)]
    case 2:
      return ['map', built.map((row): OracleRow => ({ ...row, g: limit })), rows.map(row => ({ ...row, g: limit }))]
    case 3: {
      const twice = (row: OracleRow): OracleRow[] => (row.b === true ? [row, { ...row, id: row.id + 1000 }] : row.b === null ? [] : [row])
      return ['flatMap', built.flatMap(twice), rows.flatMap(twice)]
    }
    case 4: {
      const extended = built.withColumns({ f: col('f').add(1), k: col('k').concat('!') }) as unknown as Flow<OracleRow>
      const added = (f: number | null): number | null => ((f ?? null) === null ? null : (f as number) + 1)
      return ['withColumns', extended, rows.map(row => ({ ...row, f: added(row.f), k: (row.k ?? null) === null ? null : `${row.k}!` }))]
    }
    case 5:
      return ['union', built.union(flow('o', other)), [...rows, ...other]]
    case 6: {
      const seen = new Set<string>()
      const firsts = rows.filter(row => !seen.has(keyOf(row, fields)) && seen.add(keyOf(row, fields)))
      return [`distinct ${fields}`, built.distinct(...fields), firsts]
    }
    case 7: {
      const sorted = [...rows].sort((a, b) => a.id - b.id || Number(a.b ?? 2) - Number(b.b ?? 2))
      const prefix = sorted.slice(0, limit * 10)
      // Rows of equal criteria may differ in what they are: cut only between different ones.
      const whole = new Set(sorted.map(({ id }) => id)).size === sorted.length
      return whole ? ['sort, limit', built.sort('id', 'b').limit(limit * 10), prefix] : ['sort', built.sort('id', 'b'), sorted]
    }
    case 8: {
      const matches = (row: OracleRow): boolean => other.some(one => one.k !== null && one.k === row.k)
      return ['semi join', built.join(flow('o', other), { on: 'k', how: 'semi' }), rows.filter(matches)]
    }
    case 9: {
      const matches = (row: OracleRow): boolean => other.some(one => one.i !== null && one.i === row.i)
      return ['anti join', built.join(flow('o', other), { on: 'i', how: 'anti' }), rows.filter(row => !matches(row))]
    }
    case 10: {
      const joined = built.join(flow('o', other), { on: 'k' }, (a, b) => ({ ...a, f: b.f }))
      return ['join', joined, rows.flatMap(a => other.filter(b => b.k !== null && b.k === a.k).map(b => ({ ...a, f: b.f })))]
    }
    default:
      return ['mapBatch', built.mapBatch(batch => batch.filter(({ id }) => id % 3 > 0)), rows.filter(({ id }) => id % 3 > 0)]
  }
}
