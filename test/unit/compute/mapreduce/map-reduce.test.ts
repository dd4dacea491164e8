/** Goal: MapReduce gives what a loop gives, in one thread and in several, with combiners, grouping, secondary sort, counters and bad records. Runs from lib, as worker threads do. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Flow, type Job, type JobContext, mapReduce, type Sink } from '../../../../compute/index.ts'
import type { Database } from '../../../../index.ts'

interface Visit {
  readonly user: number
  readonly at: number
  readonly page: string
}

const visits = Array.from({ length: 20_000 }, (_, id): Visit => {
  return { user: (id * 7) % 500, at: (id * 7919) % 20_011, page: id % 6000 === 17 ? 'poisoned' : `page ${id % 13} of ${id % 3}` }
})
const good = visits.filter(({ page }) => page !== 'poisoned')

let folder: string
let db: Database
let toCallback: <T>(call: (rows: T[]) => unknown) => Sink<T>

beforeAll(async () => {
  const lib = async (path: string): Promise<unknown> => await import(new URL(`../../../../lib/${path}`, import.meta.url).href)
  ;({ toCallback } = (await lib('compute/index.js')) as { toCallback: typeof toCallback })
  folder = await mkdtemp(join(tmpdir(), 'varve-mapreduce-'))
  db = await ((await lib('index.js')) as { open(path: string): Promise<Database> }).open(folder)
  await db.store<Visit, number>('visits').batch(visits.map((value, key) => ({ type: 'put' as const, key, value })))
  await db.seal()
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

const jobOf = async <T, Args = undefined>(name: string): Promise<Job<T, Args>> =>
  (await import(`../jobs/${name}.mjs`)).default as Job<T, Args>

it.each([0, 2])('groups by part of a key and sorts by the rest, with %i workers', async workers => {
  interface Row {
    readonly user: number
    readonly pages: number
    readonly newest: string[]
  }
  const job = await jobOf<Row>('visits')
  const rows: Row[] = []
  const report = await job.to(
    db,
    toCallback<Row>(some => void rows.push(...some)),
    { workers, memoryBytesMax: 1 << 20 },
  )
  const users = [...new Set(good.map(({ user }) => user))].sort((a, b) => a - b)
  const expected = users.map(user => {
    const own = good.filter(visit => visit.user === user).sort((a, b) => b.at - a.at)
    return { user, pages: own.length, newest: own.slice(0, 3).map(({ page }) => page) }
  })
  expect(rows.sort((a, b) => a.user - b.user)).toEqual(expected)
  expect(report.counters).toEqual({ seen: good.length, users: users.length, badRecords: visits.length - good.length })
})

it.each([0, 2])('gives groups and pairs in one order over all tasks, with %i workers', async workers => {
  const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  const users = [...new Set(good.map(({ user }) => `user ${user}`))].sort(byText)
  const expected = users.map(user => {
    const own = good.filter(visit => `user ${visit.user}` === user).sort((a, b) => b.at - a.at)
    return { user, pages: own.length, newest: own[0]?.page }
  })
  expect(await (await jobOf('ordered')).toArray(db, { workers, memoryBytesMax: 2 << 20 })).toEqual(expected)
  const pairs = await (await jobOf<{ key: number; value: number }>('ordered-pairs')).toArray(db, { workers })
  const sorted = visits.map(({ user, at }) => ({ key: at % 1000, value: user })).sort((a, b) => a.key - b.key || a.value - b.value)
  expect(JSON.stringify(pairs)).toBe(JSON.stringify(sorted))
})

it.each([0, 2])('counts words with a combiner, with %i workers', async workers => {
  const counts = new Map<string, number>()
  for (const { page } of visits) for (const word of page.split(/\W+/)) counts.set(word, (counts.get(word) ?? 0) + 1)
  const rows = await (await jobOf<{ word: string; n: number }>('words')).toArray(db, { workers })
  expect(new Map(rows.map(({ word, n }) => [word, n]))).toEqual(counts)
  expect(rows.length).toBe(counts.size)
})

it.each([0, 2])('gives every function what the run was given, with %i workers', async workers => {
  interface Row {
    readonly user: number
    readonly n: number
  }
  const args = { from: 500, prefix: 'page 1', weight: 3, users: 7, adds: true, label: 'user' }
  const job = await jobOf<Row, typeof args>('chosen-visits')
  const rows = await job.toArray(db, { args, workers })
  const sums = new Map<number, number>()
  for (const { user, at, page } of visits) if (at >= 500 && page.startsWith('page 1')) sums.set(user % 7, (sums.get(user % 7) ?? 0) + 3)
  const expected = [...sums].map(([user, n]) => ({ user, n })).sort((a, b) => a.user - b.user)
  expect(rows.sort((a, b) => a.user - b.user)).toEqual(expected)
  expect(expected.length).toBe(7)
})

it('has no reducers if there is no reduce, and refuses bad options by name', async () => {
  const pairs = mapReduce<Visit, number, string>(import.meta.url, 'pairs', {
    input: ({ store }) => store('visits'),
    map: ({ user, page }, { emit }) => emit(user, page),
  })
  const memory = await (await import('../../../../index.ts')).open({ storage: 'memory' })
  await memory.store<Visit, number>('visits').batch(visits.slice(0, 5).map((value, key) => ({ type: 'put' as const, key, value })))
  expect(await pairs.toArray(memory as never)).toEqual(visits.slice(0, 5).map(({ user, page }) => ({ key: user, value: page })))
  await memory.close()
  const input = ({ store }: JobContext): Flow<Visit> => store('visits')
  expect(() => mapReduce(import.meta.url, 'bad', { input, map: 5 as never })).toThrow('map must be a function')
  expect(() => mapReduce(import.meta.url, 'bad', { input, map: () => undefined, sort: ['key'] })).toThrow('need a function reduce')
  const emitNothing = (): void => undefined
  expect(() => mapReduce(import.meta.url, 'bad', { input, map: emitNothing, partition: 'total-order', combine: () => 1 })).toThrow(
    'need a function reduce',
  )
  expect(() => mapReduce(import.meta.url, 'bad', { input, map: emitNothing, partition: 'hash' as never })).toThrow(
    'partition must be a function',
  )
  expect(() => mapReduce(import.meta.url, 'bad', { input, map: () => undefined, skipBadRecords: -1 })).toThrow('skipBadRecords must be')
})

it('says where it failed when there are more bad records than allowed', async () => {
  const job = await jobOf('visits')
  const poisoned = Array.from({ length: 50 }, (_, i) => ({
    type: 'put' as const,
    key: 30_000 + i,
    value: { user: 1, at: i, page: 'poisoned' },
  }))
  await db.store<Visit, number>('visits').batch(poisoned)
  await expect(job.toArray(db, { workers: 2 })).rejects.toThrow(
    /^job visits failed at store visits, range \d of \d: poisoned, tried 2 times$/,
  )
  await expect(job.toArray(db, { workers: 0 })).rejects.toThrow('poisoned')
})
