/** Goal: a flow over a moment of a store gives the rows of that moment, in threads too, and one over its change feed the changes up to the moment when the run begins. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changesOf, col, count, flow, sum } from '../../../../compute/index.ts'
import { type Database, open, type Store } from '../../../../index.ts'

interface Item {
  readonly n: number
  readonly round: number
}

let folder: string
let db: Database
let items: Store<Item, number>
const size = 5000

const write = (round: number): Promise<unknown> =>
  items.batch(Array.from({ length: size }, (_, key) => ({ type: 'put' as const, key, value: { n: key, round } })))

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-moments-'))
  db = await open(folder)
  items = db.store<Item, number>('items', { changes: true, history: { retentionMs: 1e9 } })
  await write(1)
})
afterAll(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

test('threads read a moment of the past, which stays while the store is written, flushed and compacted', async () => {
  const moment = items.asOf(db.snapshot().sequence)
  await items.delRange({ gte: 0, lt: 100 })
  await write(2)
  await db.flush()
  await items.compact()
  const rounds = (workers: number): Promise<unknown> =>
    flow('rounds', moment)
      .keyBy('round')
      .aggregate({ n: count(), sum: sum('n') })
      .toArray({ workers })
  const expected = [{ round: 1, n: size, sum: (size * (size - 1)) / 2 }]
  expect(await rounds(0)).toEqual(expected)
  expect(await rounds(2)).toEqual(expected)
  expect(await flow('now', items).filter(col('round').eq(2)).count({ workers: 2 })).toBe(size)
  moment.close()
  await expect(rounds(2)).rejects.toMatchObject({ code: 'CLOSED' })
})

test('changes are rows up to when the run begins, or up to a position', async () => {
  const feed = flow('feed', changesOf(items))
  const { latest } = items.changePositions()
  const types = await feed.keyBy('type').aggregate({ n: count() }).sort('type').toArray()
  expect(types).toEqual([
    { type: 'delRange', n: 1 },
    { type: 'put', n: 2 * size },
  ])
  await items.del(4999)
  expect(await feed.count()).toBe(latest + 1)
  expect(await flow('new', changesOf(items, { from: latest })).toArray()).toEqual([expect.objectContaining({ type: 'del', key: 4999 })])
  expect(
    await flow('some', changesOf(items, { from: 10, to: 20 }))
      .map(change => (change.type === 'put' ? change.key : -1))
      .toArray(),
  ).toEqual(Array.from({ length: 10 }, (_, i) => 10 + i))
  expect(await flow('late', changesOf(items, { from: latest, to: 5 })).toArray()).toEqual([])
  // Rows that come while a run is under way are the next run's.
  let seen = 0
  await feed.forEach(async () => {
    if (seen++ === 0) await items.put(1, { n: 1, round: 3 })
  })
  expect(seen).toBe(latest + 1)
})

test('misuse has its errors', async () => {
  const plain = db.store<number, string>('plain')
  await plain.ready()
  expect(() => changesOf(plain)).toThrow('not defined with the option changes')
  expect(() => changesOf({} as never)).toThrow('must be given a store')
  expect(() => changesOf(items, { from: 'end' as never })).toThrow("from must not be 'end'")
  expect(() => changesOf(items, { to: -1 })).toThrow('to must be a position')
  expect(() => changesOf(items, { until: 1 } as never)).toThrow('unknown option of changesOf: until')
  await expect(flow('feed', changesOf(items)).toArray({ workers: 2 })).rejects.toThrow('workers must be 0 or auto')
  await items.trimChanges(items.changePositions().latest)
  await expect(flow('gone', changesOf(items, { from: 0 })).toArray()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
})
