/** Goal: a job gives the same in worker threads as here, says what failed and where, and refuses to mix two versions of itself. Runs from lib, as worker threads do. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Job } from '../../../compute/index.ts'
import { job } from '../../../compute/index.ts'
import type { Database, Store } from '../../../index.ts'

interface Event {
  readonly id: number
  readonly city: string
  readonly price: number | null
}

interface Args {
  readonly factor: number
  readonly most: number
  readonly failAt: number
}

interface Result {
  readonly key: string
  readonly value: { readonly rows: number; readonly total: number }
}

const cities = ['OSL', 'Zürich', 'JFK', 'Oslo', '']
const events = Array.from(
  { length: 30_000 },
  (_, id): Event => ({ id, city: cities[id % 5] as string, price: id % 11 === 0 ? null : id % 1000 }),
)
const args: Args = { factor: 2, most: 1500, failAt: -1 }

const lib = (path: string): string => new URL(`../../../lib/${path}`, import.meta.url).href
const module = async <T, A>(name: string): Promise<Job<T, A>> => (await import(`./jobs/${name}.mjs`)).default as Job<T, A>

let folder: string
let db: Database
let store: Store<Event, number>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-job-test-'))
  const { open } = (await import(lib('index.js'))) as { open(path: string): Promise<Database> }
  db = await open(folder)
  store = db.store<Event, number>('events')
  await store.batch(events.map(value => ({ type: 'put' as const, key: value.id, value })))
  await db.seal()
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

function expected(): Result[] {
  const results = new Map<string, { rows: number; total: number }>()
  for (const { city, price } of events) {
    if (price === null || price * args.factor > args.most) continue
    const state = results.get(city.slice(0, 1)) ?? { rows: 0, total: 0 }
    results.set(city.slice(0, 1), { rows: state.rows + 1, total: state.total + price * args.factor })
  }
  const keys = [...results.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return keys.map(key => ({ key, value: results.get(key) as Result['value'] }))
}

it('gives the same in worker threads as in this one', async () => {
  const prices = await module<Result, Args>('prices')
  expect(await prices.toArray(db, { args, workers: 0 })).toEqual(expected())
  expect(await prices.toArray(db, { args, workers: 2 })).toEqual(expected())
  const seen: Result[] = []
  await prices.forEach(db, row => seen.push(row), { args, workers: 1 })
  expect(seen).toEqual(expected())
})

it('says which part of the input failed, with what the function threw', async () => {
  const prices = await module<Result, Args>('prices')
  const failing = prices.toArray(db, { args: { ...args, failAt: 12_345 }, workers: 2, attemptsMax: 2 })
  await expect(failing).rejects.toThrow(/^job prices failed at store events, range \d of \d: event 12345 is poisoned, tried 2 times$/)
  await expect(failing).rejects.toMatchObject({ code: 'TASK_FAILED', details: { attempts: 2 } })
  expect((await failing.catch((error: Error) => error)) as Error).toHaveProperty('cause.name', 'RangeError')
  // The threads go on.
  expect(await prices.toArray(db, { args, workers: 2 })).toEqual(expected())
})

it('refuses a module that builds another flow in other threads', async () => {
  const unsteady = await module<Event, undefined>('unsteady')
  await expect(unsteady.toArray(db, { workers: 1 })).rejects.toMatchObject({ code: 'DEFINITION_MISMATCH' })
  expect(await unsteady.toArray(db, { workers: 0 })).toEqual([events[0]])
})

it('refuses bad arguments by name, and stores that are not there', async () => {
  expect(() => job('nowhere', 'j', () => 0 as never)).toThrow('url must be import.meta.url')
  expect(() => job(import.meta.url, '', () => 0 as never)).toThrow('name must be a non-empty string')
  const bad = job(import.meta.url, 'bad', ({ store }) => store('missing'))
  await expect(bad.toArray(db as never)).rejects.toMatchObject({ code: 'NOT_FOUND', details: { store: 'missing' } })
  await expect(job(import.meta.url, 'bad', () => 5 as never).toArray(db as never)).rejects.toThrow('job bad must return a flow')
})
