/**
 * Goal: aggregates of more keys than a table in the processor's cache holds, whose rows go on as they are, and of few among many, give what a map of lists gives, in one thread and in two,
 * with and without room in memory; parts of both kinds may come mixed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { avg, col, collect, count, first, flow, max, sum } from '../../../../compute/index.ts'
import { type Database, open, type Topic } from '../../../../index.ts'

interface Visit {
  readonly id: number
  readonly user: number | string | null
  readonly price: number | null
  readonly page?: string
}

/** First some users that come often, then most of them once, then those that came often, and at last both. */
const visits = Array.from({ length: 56_000 }, (_, id): Visit => {
  const isOften = id < 6000 || (id >= 46_000 && id < 48_000) || (id >= 52_000 && id % 2 === 0)
  const number = isOften ? id % 500 : 1000 + id
  const user = number % 1000 === 7 ? null : number % 3 === 0 ? `user ${number} é` : number
  return { id, user, price: id % 13 === 0 ? null : (id % 4096) / 16, ...(id % 5 === 0 ? { page: `page ${id % 11}` } : {}) }
})

const expected = ((): unknown[] => {
  const groups = new Map<Visit['user'], Visit[]>()
  for (const visit of visits) {
    const group = groups.get(visit.user)
    if (group === undefined) groups.set(visit.user, [visit])
    else group.push(visit)
  }
  return Array.from(groups, ([user, all]) => {
    const prices = all.flatMap(({ price }) => price ?? [])
    const pages = all.flatMap(({ page }) => page ?? [])
    const total = prices.length === 0 ? null : prices.reduce((a, b) => a + b)
    return {
      user,
      visits: all.length,
      total,
      high: all.filter(({ price }) => price !== null && price > 200).length,
      mean: total === null ? null : total / prices.length,
      page: pages.length === 0 ? null : pages.reduce((a, b) => (a < b ? b : a)),
      earliest: all[0]?.id,
      ids: all.map(({ id }) => id),
    }
  }).sort((a, b) => (a.earliest as number) - (b.earliest as number))
})()

const aggregates = {
  visits: count(),
  total: sum('price'),
  high: count().where(col('price').gt(200)),
  mean: avg('price'),
  page: max('page'),
  earliest: first('id', 'id'),
  ids: collect('id'),
} as const

let folder: string
let db: Database
let topic: Topic<Visit>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-groups-'))
  db = await open(folder)
  topic = db.topic<Visit>('visits', { partitions: 1 })
  await topic.sendBatch(visits)
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

it.each([256, 1])('in one thread with %i MiB', async mib => {
  const built = flow('v', visits).keyBy('user').aggregate(aggregates).sort('earliest')
  expect(await built.toArray({ memoryBytesMax: mib << 20 })).toEqual(expected)
})

it.each([256, 1])('in two threads with %i MiB', async mib => {
  const built = flow('v', topic).keyBy('user').aggregate(aggregates).sort('earliest')
  expect(await built.toArray({ workers: 2, memoryBytesMax: mib << 20 })).toEqual(expected)
})
