/** Goal: `stats()` tells of the last run what each operator took, gave and read, in one thread and in several, and `describe()` where the order of rows counts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { avg, col, count, first, flow, minBy, type OperatorStats, record, some, sum } from '../../../compute/index.ts'
import { type Database, open, type Store } from '../../../index.ts'

interface Sale {
  readonly shop: string
  readonly price: number
}

let folder: string
let db: Database
let sales: Store<Sale, number>
const rowCount = 20_000

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-stats-'))
  db = await open(folder)
  sales = db.store<Sale, number>('sales')
  await sales.batch(
    Array.from({ length: rowCount }, (_, key) => ({ type: 'put' as const, key, value: { shop: `shop ${key % 7}`, price: key % 100 } })),
  )
})
afterAll(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

const named = (operators: readonly OperatorStats[], name: string): OperatorStats[] => operators.filter(({ operator }) => operator === name)

function dear() {
  return flow('dear', sales)
    .filter(col('price').gte(90))
    .keyBy('shop')
    .aggregate({ n: count(), price: sum('price') })
}

test('a run in one thread is told operator by operator', async () => {
  const shops = dear()
  expect(shops.stats()).toBe(undefined)
  expect(await shops.toArray({ workers: 0 })).toHaveLength(7)
  const stats = shops.stats()
  expect(stats?.workers).toBe(0)
  const { operators = [] } = stats ?? {}
  expect(operators.map(({ operator, stage, tasks, rowsIn, rowsOut }) => [operator, stage, tasks, rowsIn, rowsOut])).toEqual([
    ['result', 0, 1, 7, 0],
    ['aggregate', 0, 1, rowCount / 10, 7],
    ['filter', 0, 1, rowCount, rowCount / 10],
    ['source', 0, 1, 0, rowCount],
  ])
  expect(named(operators, 'source')[0]?.bytesRead).toBeGreaterThan(rowCount * 4)
  expect(named(operators, 'filter')[0]?.text).toBe('filter (price >= 90)')
  // Each millisecond is one operator's.
  const own = operators.reduce((all, { ms }) => all + ms, 0)
  expect(own).toBeGreaterThan(0)
  expect(own).toBeLessThanOrEqual(stats?.ms ?? 0)
})

test('time in which a function waits is of its operator', async () => {
  const slow = flow('slow', [1, 2, 3]).mapAsync(async n => {
    await new Promise(resolve => setTimeout(resolve, 30))
    return n
  })
  await slow.toArray()
  const operators = slow.stats()?.operators ?? []
  expect(named(operators, 'mapAsync')[0]?.ms).toBeGreaterThan(20)
  expect((named(operators, 'source')[0]?.ms ?? 0) + (named(operators, 'result')[0]?.ms ?? 0)).toBeLessThan(20)
})

test('a run in threads is told stage by stage, its tasks as one', async () => {
  const shops = dear()
  await shops.toArray({ workers: 2 })
  const { workers, operators = [] } = shops.stats() ?? {}
  expect(workers).toBe(2)
  const [source] = named(operators, 'source')
  expect(source).toMatchObject({ stage: 0, rowsOut: rowCount, text: 'store sales' })
  expect(source?.tasks).toBeGreaterThan(0)
  expect(source?.bytesRead).toBeGreaterThan(rowCount * 4)
  const [final, partial] = named(operators, 'aggregate').sort((a, b) => b.stage - a.stage)
  expect(partial).toMatchObject({ stage: 0, rowsIn: rowCount / 10 })
  expect(final).toMatchObject({ stage: 1, rowsIn: partial?.rowsOut, rowsOut: 7 })
  expect(named(operators, 'exchange')[0]).toMatchObject({ stage: 1, rowsOut: partial?.rowsOut, text: 'rows of stage 0' })
  expect(named(operators, 'result')).toEqual([expect.objectContaining({ stage: 2, rowsIn: 7 })])
})

test('count and first tell of the run that they made; one that failed tells nothing', async () => {
  const all = flow('all', sales)
  await all.count()
  expect(named(all.stats()?.operators ?? [], 'aggregate')[0]).toMatchObject({ rowsIn: rowCount, rowsOut: 1 })
  await all.first()
  expect(named(all.stats()?.operators ?? [], 'limit')[0]).toMatchObject({ rowsOut: 1 })
  const failing = all.map(() => {
    throw new Error('no')
  })
  await expect(failing.toArray()).rejects.toThrow('no')
  expect(failing.stats()).toBe(undefined)
})

test('operators that the order of rows counts for are marked', () => {
  const all = flow('all', sales)
  const marked = (plan: { describe(): { operators: readonly { isOrderFree: boolean; text: string }[] } }): boolean =>
    plan.describe().operators.at(-1)?.isOrderFree === false
  expect(marked(all.limit(3))).toBe(true)
  expect(marked(all.sort('price').limit(3))).toBe(false)
  expect(marked(all.distinct('shop'))).toBe(true)
  expect(marked(all.distinct())).toBe(false)
  expect(marked(all.aggregate({ one: first('price') }))).toBe(true)
  expect(marked(all.aggregate({ one: first('price', 'shop'), other: minBy('price', 'shop') }))).toBe(false)
  expect(all.limit(3).explain()).toBe('limit 3; order counts\n  store sales')
})

test('what is read of both sides of a join is told apart where it is known', () => {
  const shops = db.store<{ country: string; open: boolean }, string>('shops', { columns: ['country'] })
  const byCountry = flow('sales', sales)
    .filter(col('price').gt(2))
    .join(flow('shops', shops).withColumns({ shop: record.key }), { on: 'shop' })
    .keyBy('country')
    .aggregate({ n: count(), mean: avg('price'), open: some('open') })
  const lines = byCountry.explain().split('\n')
  expect(lines.filter(line => line.includes('store '))).toEqual([
    '      store sales: fields price, shop; if it has them country, open',
    '      store shops: fields country, @key; if it has them price, open',
  ])
  const semi = flow('sales', sales).join(flow('shops', shops).select({ shop: record.key }), { on: 'shop', how: 'semi' })
  expect(
    semi
      .keyBy('shop')
      .aggregate({ mean: avg('price') })
      .explain(),
  ).toContain('store sales: fields shop, price\n')
})
