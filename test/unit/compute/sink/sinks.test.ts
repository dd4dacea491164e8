/** Goal: rows of a flow arrive in stores, topics and files whole and once, or not at all. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  count,
  type Flow,
  flow,
  readCsv,
  readJsonl,
  readParquet,
  type Sink,
  sum,
  toCallback,
  toStore,
  toTopic,
  writeCsv,
  writeJsonl,
  writeParquet,
} from '../../../../compute/index.ts'
import { type Database, open } from '../../../../index.ts'

interface Sale {
  readonly id: number
  readonly city: string
  readonly price: number
}

const sales = Array.from({ length: 10_000 }, (_, id): Sale => ({ id, city: `c${id % 3}`, price: id / 4 }))
const byCity = (): Flow<{ city: string; n: number; total: number | null }> =>
  flow('sales', sales)
    .keyBy('city')
    .aggregate({ n: count(), total: sum('price') })
const expected = [0, 1, 2].map(c => {
  const own = sales.filter(({ city }) => city === `c${c}`)
  return { city: `c${c}`, n: own.length, total: own.reduce((total, { price }) => total + price, 0) }
})
/** Fails when most rows are through. */
const failing = (): Flow<Sale> =>
  flow('sales', sales).map(sale => {
    if (sale.id === 9000) throw new RangeError('mine')
    return sale
  })

let folder: string
let db: Database

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-sinks-'))
  db = await open({ storage: 'memory' })
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

describe('a store', () => {
  it('gets rows in one commit, beside what it has or in its place', async () => {
    const totals = db.store<object, string>('totals', { changes: true })
    await totals.put('c0', { old: true })
    await totals.put('other', { old: true })
    const before = totals.changePositions().latest
    const report = await byCity().to(toStore(totals, { key: 'city' }))
    expect(report).toMatchObject({ rows: 3 })
    expect([...totals.entries()]).toEqual([...expected.map(row => [row.city, row]), ['other', { old: true }]])
    expect(totals.readChanges(before).changes.length).toBe(3)
    await byCity().to(toStore(totals, { key: row => ['sum', row.city] as never, value: ({ total }) => ({ total }), mode: 'replace' }))
    expect([...totals.entries()]).toEqual(expected.map(({ city, total }) => [['sum', city], { total }]))
  })

  it('gets nothing of a run that fails', async () => {
    const copy = db.store<Sale, number>('copy')
    await expect(failing().to(toStore(copy, { key: 'id', mode: 'replace' }))).rejects.toThrow('mine')
    expect(copy.count()).toBe(0)
    await expect(flow('f', [{ a: 1 }]).to(toStore(copy as never, { key: 'b' }))).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    expect(() => toStore(copy, { key: '' })).toThrow('key must be a field path')
    expect(() => toStore(copy, { key: 'id', mode: 'add' as never })).toThrow("mode must be 'upsert' or 'replace'")
  })
})

describe('a topic', () => {
  it('gets rows in one transaction', async () => {
    const topic = db.topic<Sale>('copies', { partitions: 2 })
    await expect(failing().to(toTopic(topic, { key: 'city' }))).rejects.toThrow('mine')
    expect(await flow('f', topic).toArray()).toEqual([])
    const report = await flow('sales', sales).to(toTopic(topic, { key: 'city', timestamp: ({ id }) => 1000 + id }))
    expect(report.rows).toBe(sales.length)
    expect(await flow('f', topic).sort('id').toArray()).toEqual(sales)
    expect(await flow('f', topic).keyBy('city').count().sort('city').toArray()).toEqual(expected.map(({ city, n }) => ({ city, count: n })))
  })
})

describe('files', () => {
  type Read = (path: string) => Pick<Flow<unknown>, 'toArray'>
  const formats: readonly [string, (path: string, options?: object) => Sink<unknown>, Read][] = [
    ['jsonl', writeJsonl, path => flow('f', readJsonl(path))],
    ['csv', writeCsv, path => flow('f', readCsv(path))],
    ['parquet', writeParquet, path => flow('f', readParquet(path))],
  ]

  it.each(formats)('of %s appear whole, and are read again', async (kind, write, read) => {
    const path = join(folder, `out/sales.${kind}`)
    await expect(failing().to(write(path))).rejects.toThrow('mine')
    expect(await readdir(join(folder, 'out'))).toEqual([])
    expect(await flow('sales', sales).to(write(path))).toMatchObject({ rows: sales.length })
    expect(await readdir(join(folder, 'out'))).toEqual([`sales.${kind}`])
    expect(await read(path).toArray()).toEqual(sales)
    await expect(byCity().to(write(path))).rejects.toMatchObject({ code: 'EXISTS', details: { file: path } })
    await byCity()
      .sort('city')
      .to(write(path, { overwrite: true }))
    expect(await read(path).toArray()).toEqual(expected)
    await rm(path)
  })

  it('are divided by fields', async () => {
    const path = join(folder, 'parts')
    const rows = [...sales.slice(0, 6), { id: 7, city: 'a/b.c', price: 1 }, { id: 8, city: null, price: 2 }]
    for (let run = 0; run < 2; run++) await flow('sales', rows).to(writeJsonl(path, { partitionBy: ['city'], overwrite: run > 0 }))
    const folders = ['city=__HIVE_DEFAULT_PARTITION__', 'city=a%2Fb%2Ec', 'city=c0', 'city=c1', 'city=c2']
    expect((await readdir(path)).sort()).toEqual(folders)
    expect((await readdir(folder)).filter(name => name.startsWith('.varve'))).toEqual([])
    expect(await flow('f', readJsonl<Sale>(path)).sort('id').toArray()).toEqual(rows)
    const one = await readFile(join(path, 'city=c1/part-0.jsonl'), 'utf8')
    expect(
      one
        .trim()
        .split('\n')
        .map(line => JSON.parse(line).id),
    ).toEqual([1, 4])
  })

  it('refuse bad options by name', () => {
    expect(() => writeJsonl('')).toThrow('path must be a non-empty string')
    expect(() => writeJsonl('x', { partitionBy: 'city' as never })).toThrow('partitionBy must be an array')
    expect(() => writeCsv('x', { columns: 5 as never })).toThrow('columns must be an array')
    expect(() => toTopic(db.topic('t'), { value: 5 as never })).toThrow('value must be a function')
    expect(() => toCallback(5 as never)).toThrow('call must be a function')
  })
})

it('gives rows to a function as they come', async () => {
  const seen: Sale[] = []
  const report = await flow('sales', sales).to(toCallback<Sale>(rows => void seen.push(...rows)))
  expect(report.rows).toBe(sales.length)
  expect(seen).toEqual(sales)
})
