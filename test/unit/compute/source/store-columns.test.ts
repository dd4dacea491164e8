/**
 * Goal: a job over columns of a store gives what the same job over its records gives, whatever was put, deleted, expired and compacted since, at every moment that can be read; where
 * columns have all entries of a range they are read, and else not, which bytes tell.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { avg, col, count, type Flow, flow, max, record, sum } from '../../../../compute/index.ts'
import { storeSource } from '../../../../compute/source/store-source.ts'
import { type Database, open, type Store, verify } from '../../../../index.ts'

interface Entry {
  readonly id: number
  readonly city: string | null
  readonly price?: number
  readonly deep?: { readonly code: number | string }
  readonly pad: string
}

const cities = ['OSL', 'Zürich', null, '東京', '']
const entry = (id: number, round: number): Entry => ({
  id,
  city: cities[(id + round) % 5] as string | null,
  ...(id % 7 === 0 ? {} : { price: ((id * 31 + round) % 1000) / 8 }),
  // A text now and then: no column in its group.
  ...(id % 3 === 0 ? {} : { deep: { code: id % 90_001 === 1 ? 'text' : (id + round) % 4 } }),
  pad: 'x'.repeat(40),
})

let folder: string
let db: Database

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-store-columns-'))
  db = await open(folder, { autoConsolidate: false })
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

const fields = ['id', 'city', 'price', 'deep.code']

async function put(store: Store<Entry, number>, ids: readonly number[], round: number): Promise<void> {
  for (let at = 0; at < ids.length; at += 10_000) {
    await store.batch(ids.slice(at, at + 10_000).map(id => ({ type: 'put' as const, key: id, value: entry(id, round) })))
  }
}

const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step)

const flows: Record<string, (input: Flow<Entry>) => Pick<Flow<unknown>, 'toArray'>> = {
  'one row of all': input => input.aggregate({ n: count(), ids: sum('id'), mean: avg('price'), most: max('city') }),
  groups: input =>
    input
      .keyBy('city')
      .aggregate({ n: count(), ids: sum('id') })
      .sort('city'),
  'groups by a path': input => input.keyBy('deep.code').count().sort('deep.code'),
  'a range of keys': input =>
    input
      .filter(record.key.gte(1000).and(record.key.lt(70_000)))
      .keyBy('city')
      .count()
      .sort('city'),
  filtered: input => input.filter(col('price').gt(100)).aggregate({ n: count(), ids: sum('id') }),
}

/** Bytes that a reader of all of the store reads for some fields. */
async function bytesRead(store: Store<Entry, number>, paths: readonly string[]): Promise<number> {
  const source = storeSource(store)
  const { splits, release } = await source.split({ parallelism: 1, portable: false })
  let read = 0
  for (const split of splits) {
    const reader = await source.open(split, { paths, values: false })
    while ((await reader.next()) !== undefined);
    read += reader.bytesRead
    await reader.close()
  }
  release()
  return read
}

async function same(typed: Store<Entry, number>, plain: Store<Entry, number>, names: readonly string[] = ['groups']): Promise<void> {
  for (const name of names) {
    const build = flows[name] as (typeof flows)[string]
    const expected = await build(flow('f', plain)).toArray({ workers: 0 })
    expect(await build(flow('f', typed)).toArray({ workers: 0 }), name).toEqual(expected)
    if (name === 'groups') expect(await build(flow('f', typed)).toArray({ workers: 2 }), name).toEqual(expected)
  }
  expect(await flow('f', typed).count()).toBe(plain.count())
}

describe('jobs over columns of a store', () => {
  it('give what jobs over its records give, as it is written, compacted, written over and emptied', async () => {
    const typed = db.store<Entry, number>('typed', { columns: fields })
    const plain = db.store<Entry, number>('plain')
    const both = async (change: (store: Store<Entry, number>) => Promise<unknown>): Promise<void> => {
      await change(typed)
      await change(plain)
    }
    await both(store => put(store, range(0, 150_000), 0))
    await same(typed, plain)
    await both(async store => {
      await db.seal()
      await store.compact()
    })
    await same(typed, plain, Object.keys(flows))
    const whole = await bytesRead(plain, ['id'])
    expect(await bytesRead(typed, ['id', 'city'])).toBeLessThan(whole / 5)
    expect(await bytesRead(typed, [])).toBe(0)
    // The group with a text reads records for this field.
    expect(await bytesRead(typed, ['deep.code'])).toBeGreaterThan(whole / 4)
    expect(await bytesRead(typed, ['pad'])).toBe(await bytesRead(plain, ['pad']))

    // New values of a few keys: only the groups that they touch are read as records.
    await both(store => put(store, range(80_000, 80_100), 1))
    await same(typed, plain)
    expect(await bytesRead(typed, ['id', 'city'])).toBeGreaterThan(whole / 5)
    expect(await bytesRead(typed, ['id', 'city'])).toBeLessThan(whole / 1.5)
    // A delete alone hides what a column has.
    await both(store => store.del(10))
    await same(typed, plain)
    await both(() => db.seal())
    await same(typed, plain)
    // Some expire, in the group that they are in.
    await both(store => store.put(20, entry(20, 2), { expiresAt: Date.now() + 3_600_000 }))
    await both(store => store.put(21, entry(21, 2), { expiresAt: 1 + Date.now() }))
    await new Promise(resolve => setTimeout(resolve, 5))
    await same(typed, plain)
    await both(async store => {
      await db.seal()
      await store.compact()
    })
    await same(typed, plain)
    // A range delete hides everything below it.
    await both(store => store.delRange({ gte: 100_000, lt: 110_000 }))
    await same(typed, plain)
    await both(() => db.seal())
    await same(typed, plain)
    await both(store => store.compact())
    await same(typed, plain, Object.keys(flows))
    expect(await bytesRead(typed, ['id', 'city'])).toBeLessThan(whole)
  }, 120_000)

  it('keep to the moment that is read', async () => {
    const store = db.store<Entry, number>('moments', { columns: fields, history: { retentionMs: 1e9 } })
    await put(store, range(0, 70_000), 0)
    const at = db.stats().sequence
    await put(store, range(0, 70_000, 3), 1)
    await db.seal()
    await store.compact()
    const past = store.asOf(at)
    const summed = (input: Flow<Entry>): Promise<unknown> => input.aggregate({ n: count(), price: sum('price') }).toArray()
    const prices = (values: Iterable<Entry>): number => [...values].reduce((all, { price }) => all + (price ?? 0), 0)
    expect(await summed(flow('f', past))).toEqual([{ n: 70_000, price: prices(range(0, 70_000).map(id => entry(id, 0))) }])
    expect(await summed(flow('f', store))).toEqual([{ n: 70_000, price: prices(store.values()) }])
  })

  it('begin and end with the option, which compaction brings to what is there', async () => {
    const store = db.store<Entry, number>('later')
    await put(store, range(0, 20_000), 0)
    await db.seal()
    await store.compact()
    const before = await bytesRead(store, ['id'])
    await db.store<Entry, number>('later', { columns: ['id'] }).ready()
    expect(await bytesRead(store, ['id'])).toBe(before)
    await put(store, [3], 1)
    await db.seal()
    await store.compact()
    expect(await bytesRead(store, ['id'])).toBeLessThan(before / 10)
    expect(
      flow('f', store)
        .aggregate({ n: sum('id') })
        .explain(),
    ).toContain('store later: columns id')
    // Left out, it stays.
    await db.store<Entry, number>('later', { value: 'msgpack' }).ready()
    expect(db.get('store/later')?.options?.columns).toEqual({ fields: ['id'], codec: 'msgpack-structures' })
    await db.store<Entry, number>('later', { columns: [] }).ready()
    expect(db.get('store/later')?.options?.columns).toBeUndefined()
    expect(
      await flow('f', store)
        .aggregate({ ids: sum('id') })
        .toArray(),
    ).toEqual([{ ids: (20_000 * 19_999) / 2 }])
    expect(() => db.store('refused', { columns: ['a..b'] })).toThrow(/^columns must be/)
    expect(() => db.store('refused', { value: 'bytes', columns: ['a'] })).toThrow(/columns are of values/)
  })

  it('leave a folder that is whole', async () => {
    await db.close()
    const { ok, findings } = await verify(folder)
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([])
    expect(ok).toBe(true)
    db = await open(folder)
    expect(await flow('f', db.store<Entry, number>('typed')).count()).toBe(db.store<Entry, number>('plain').count())
  })
})
