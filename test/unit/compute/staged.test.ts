/**
 * Goal: a flow that worker threads run gives what the calling thread gives, whatever is divided among how many tasks; tasks that fail are tried again, and the job says where it
 * failed; nothing is left behind.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Executor, ExecutorSession } from '../../../compute/execute/executor.ts'
import { runStaged } from '../../../compute/execute/run-staged.ts'
import { runTask, type Task } from '../../../compute/execute/task.ts'
import { TaskFailure } from '../../../compute/execute/task-failure.ts'
import {
  approxCountDistinct,
  avg,
  col,
  collect,
  count,
  countDistinct,
  every,
  type Flow,
  first,
  flow,
  lag,
  last,
  max,
  min,
  quantiles,
  record,
  rowNumber,
  running,
  some,
  stddev,
  sum,
  topK,
  toTopic,
  writeJsonl,
} from '../../../compute/index.ts'
import { Collect } from '../../../compute/operator/collect.ts'
import { reusePieces } from '../../../compute/shuffle/shared-memory.ts'
import { readers } from '../../../compute/source/readers.ts'
import { makeScratchFolder, nodeClock, nodeFiles } from '../../../engine/index.ts'
import { type Database, open, type Store, type Topic, VarveError } from '../../../index.ts'
import { ownTemporaryFolder } from '../../support/temporary-folder.ts'

interface Event {
  readonly id: number
  readonly city: string
  readonly price: number | null
  readonly tags: { readonly odd?: boolean }
}

const cities = ['OSL', 'Zürich', 'JFK', 'a\u0000b', '']
const events = Array.from({ length: 30_000 }, (_, id): Event => {
  return {
    id,
    city: cities[(id * 7) % 5] as string,
    price: id % 11 === 0 ? null : (id % 1000) / 8,
    tags: id % 2 === 1 ? { odd: true } : {},
  }
})

let folder: string
let db: Database
let topic: Topic<Event>
let store: Store<Event, number>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-staged-'))
  db = await open(folder)
  topic = db.topic<Event>('events', { partitions: 3, key: 'city' })
  store = db.store<Event, number>('events')
  await topic.sendBatch(events.slice(0, 20_000))
  await store.batch(events.slice(0, 20_000).map(value => ({ type: 'put' as const, key: value.id, value })))
  await db.seal()
  // The rest stays in memory: leases share it.
  await topic.sendBatch(events.slice(20_000))
  await store.batch(events.slice(20_000).map(value => ({ type: 'put' as const, key: value.id, value })))
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

/** Whatever the type of its rows. */
type AnyFlow = Pick<Flow<unknown>, 'plan' | 'toArray'>

const flows: Record<string, (input: Flow<Event>) => AnyFlow> = {
  'aggregates of few keys': input =>
    input
      .keyBy('city')
      .aggregate({ n: count(), sum: sum('price'), least: min('price'), most: max('id'), last: max('city') })
      .sort('city'),
  'aggregates of many keys': input =>
    input
      .keyBy('id')
      .aggregate({ n: count(), mean: avg('price') })
      .sort('id'),
  'aggregates of every kind': input =>
    input
      .keyBy({ id: col('id').mod(7) })
      .aggregate({
        first: first('id', 'price'),
        last: last('city', 'id'),
        middle: quantiles('price', [0, 0.5, 1]).where(col('id').lt(3000)),
        ids: collect('id', { limit: 5 }),
        cities: countDistinct('city'),
        about: approxCountDistinct('id'),
        top: topK(3, 'price', 'id'),
        odd: some('tags.odd'),
        even: every('tags.odd'),
      })
      .sort('id'),
  // Parts differ in the last digits.
  deviations: input =>
    input
      .keyBy('city')
      .aggregate({ deviation: stddev('price') })
      .select({ city: 'city', deviation: col('deviation').mul(1e6).round() })
      .sort('city'),
  'aggregates of aggregates': input =>
    input
      .keyBy({ id: col('id').mod(10_000) })
      .count()
      .keyBy('count')
      .aggregate({ n: count() }),
  'aggregates of all': input => input.filter(col('tags.odd').eq(true)).aggregate({ n: count(), sum: sum('id') }),
  'aggregates of nothing': input => input.filter(col('id').lt(0)).aggregate({ n: count(), sum: sum('id') }),
  'joined rows': input =>
    input
      .join(input.filter(col('id').mod(3).eq(0)).select({ id: col('id').add(1), other: 'city', deep: 'tags' }), { on: 'id', how: 'left' })
      .select('id', 'city', 'other', 'deep.odd')
      .sort('id'),
  'joined rows, both sides divided': input =>
    input
      .join(input.filter(col('id').mod(3).eq(0)).select({ id: col('id').add(1), other: 'city', deep: 'tags' }), {
        on: 'id',
        how: 'left',
        hint: 'shuffle',
      })
      .select('id', 'city', 'other', 'deep.odd')
      .sort('id'),
  'rows joined fully': input =>
    input
      .filter(col('id').lt(3000))
      .join(input.filter(col('id').gte(2500)).filter(col('id').lt(4000)).select('id', 'price'), { on: ['id', 'price'], how: 'full' })
      .sort('id', 'city', 'price'),
  'rows with a partner, both sides divided': input =>
    input.join(input.filter(col('price').gt(120)), { on: 'price', how: 'semi', hint: 'shuffle' }).sort('id'),
  'aggregates joined with rows': input =>
    input
      .keyBy({ k: col('id').mod(100) })
      .count()
      .join(input.filter(col('id').lt(1000)).select('id', 'city'), { left: 'k', right: 'id' })
      .keyBy('city')
      .sum('count')
      .sort('city'),
  'rows with a partner': input => input.join(input.filter(col('price').gt(120)), { on: 'price', how: 'semi' }).sort('id'),
  'rows without a partner': input => input.join(input.filter(col('price').gt(2)), { on: 'price', how: 'anti' }).sort('id'),
  'groups of two flows': input =>
    input
      .filter(col('id').lt(500))
      .cogroup(input.filter(col('id').lt(300)), { on: 'price' })
      .select({ price: 'price', left: col('left').length(), right: col('right').length(), first: col('left.0.id') })
      .sort('price'),
  windows: input =>
    input
      .keyBy({ k: col('id').mod(50) })
      .sort({ by: 'price', descending: true }, 'id')
      .window({ n: rowNumber(), before: lag('id'), total: running(sum('price')) })
      .filter(col('n').lte(20))
      .withColumns({ both: col('n').add(col('before')) })
      .repartition('n')
      .sort('id'),
  'distinct rows': input => input.select('city', 'tags.odd').distinct().sort('city', 'tags.odd'),
  'all rows sorted by few keys': input => input.sort({ by: 'city', descending: true }, 'tags.odd').select('id'),
  'rows sorted twice': input =>
    input
      .sort('price')
      .sort({ by: col('id').mod(3), descending: true })
      .select('id'),
  'keys sorted by how many rows they have': input =>
    input
      .keyBy({ k: col('id').mod(900) })
      .aggregate({ n: count(), least: min('price') })
      .sort('n', { by: 'k', descending: true }),
  'sorted rows united with others': input =>
    input
      .sort('price')
      .filter(col('id').lt(3000))
      .union(input.filter(col('id').gte(29_990)))
      .sort('id'),
  'first of rows sorted before': input =>
    input
      .sort({ by: 'price', descending: true }, 'id')
      .keyBy('city')
      .aggregate({ first: first('id') })
      .sort('city'),
  'sorted rows': input => input.filter(col('id').mod(97).eq(0)).sort({ by: 'price', descending: true, nulls: 'first' }, 'id'),
  'first rows': input => input.sort('id').limit(7, 5).select('id'),
  'rows united with an aggregate of all': input =>
    input
      .aggregate({ id: count(), price: sum('price') })
      .select('id', 'price')
      .union(input.filter(col('id').lt(5)).select('id', 'price'))
      .sort('id', 'price'),
  'united rows': input =>
    input
      .filter(col('id').lt(9))
      .union(input.filter(col('id').gte(29_990)))
      .sort('id'),
}

describe.each(Object.keys(flows))('%s', name => {
  const build = flows[name] as (input: Flow<Event>) => AnyFlow
  it.each(['store', 'topic'])('of a %s are the same by worker threads', async kind => {
    const built = build(kind === 'store' ? flow('f', store) : flow('f', topic))
    const expected = await built.toArray({ workers: 0 })
    expect(expected.length).toBeGreaterThan(0)
    expect(await built.toArray({ workers: 2 })).toEqual(expected)
    expect(await built.toArray({ workers: 1, memoryBytesMax: 1 << 20 })).toEqual(expected)
  })
})

it('gives the rows of a store in key order, and those of a topic by partition', async () => {
  const ids = (await flow('f', store).select({ key: record.key }).toArray({ workers: 2 })).map(({ key }) => key)
  expect(ids).toEqual(events.map(({ id }) => id))
  const places = await flow('f', topic).select({ p: record.partition, o: record.offset }).toArray({ workers: 2 })
  expect(places.length).toBe(events.length)
  expect(places).toEqual(await flow('f', topic).select({ p: record.partition, o: record.offset }).toArray({ workers: 0 }))
})

it('finds fields whose names have points in them behind sorts of several threads', async () => {
  const named = flow('f', store).select({ id: 'id', 'of.price': 'price' })
  const sorted = named.sort({ by: 'of.price', descending: true }, 'id').filter(col('of.price').gt(10)).select('of.price', 'id')
  const expected = await sorted.toArray({ workers: 0 })
  expect(expected.length).toBeGreaterThan(100)
  expect(expected[0]?.['of.price']).toBeGreaterThan(10)
  expect(await sorted.toArray({ workers: 2 })).toEqual(expected)
})

it('refuses to send functions to other threads', async () => {
  await expect(
    flow('f', store)
      .map(event => event.id)
      .toArray({ workers: 2 }),
  ).rejects.toThrow(TypeError)
  await expect(flow('f', [1]).toArray({ workers: 1 })).rejects.toThrow('workers must be 0 or auto')
  await expect(flow('f', store).toArray({ workers: -1 })).rejects.toThrow('workers must be a whole number')
})

/** Runs tasks in this thread; `before` may fail one. */
class LocalExecutor implements Executor {
  readonly slots = 2
  tasks = 0
  closed = 0
  readonly #before: (task: Task, number: number) => void

  constructor(before: (task: Task, number: number) => void) {
    this.#before = before
  }

  open(job: Parameters<Executor['open']>[0]): ExecutorSession {
    return {
      run: async task => {
        this.#before(task, ++this.tasks)
        const opened = new Map<number, { close(): void }>()
        try {
          return await runTask(task, {
            plan: 'data' in job.plan ? job.plan.data : expect.fail('a plan without functions crosses as data'),
            files: nodeFiles,
            monotonic: () => nodeClock.monotonic(),
            progress: job.progress,
            open: async (input, split, needs) => {
              const source = job.share(input, undefined)
              if (source === undefined) throw new Error('a split is of a source')
              const opener = await readers[source.reader]?.(source.input, nodeFiles)
              if (opener === undefined) throw new Error('a source has a reader')
              opened.set(input, opener)
              return await opener.open(split, needs)
            },
          })
        } finally {
          for (const opener of opened.values()) opener.close()
        }
      },
      reuse: reusePieces,
      close: async () => {
        this.closed++
      },
    }
  }

  async close(): Promise<void> {}
}

async function runWith(executor: Executor, built: AnyFlow, signal?: AbortSignal): Promise<unknown[]> {
  const end = new Collect()
  const run = {
    executor,
    files: nodeFiles,
    makeFolder: () => makeScratchFolder('varve-job-'),
    signal,
    attemptsMax: 2,
    speculation: undefined,
    module: undefined,
    memoryBytesMax: 1 << 20,
    onProgress: undefined,
  }
  await runStaged(built.plan, end, { ...run, name: 'mine' })
  return end.values
}

const jobFolders = ownTemporaryFolder('staged')

describe('a sort of all rows', () => {
  it('is shared by several tasks, whose rows are one order, also for a sink', async () => {
    const tasks: Task[] = []
    const executor = new LocalExecutor(task => void tasks.push(task))
    const sorted = flow('f', store).sort({ by: 'city', descending: true }, { by: 'price', nulls: 'first' })
    const expected = await sorted.toArray({ workers: 0 })
    expect(await runWith(executor, sorted)).toEqual(expected)
    expect(tasks.filter(({ work }) => work.kind === 'buckets').length).toBeGreaterThan(3)
    expect(sorted.explain()).toContain('sort by city descending, price, nulls first, in ranges of keys')

    // The first rows: tasks give no more than these.
    for (const [n, offset] of [
      [1, 0],
      [40, 3],
      [5000, 11],
    ] as const) {
      const top = sorted.limit(n, offset)
      expect(await runWith(new LocalExecutor(() => undefined), top)).toEqual(expected.slice(offset, offset + n))
      expect(await top.toArray({ workers: 2 })).toEqual(expected.slice(offset, offset + n))
    }

    const few = sorted.filter(col('id').mod(10).eq(0))
    const ofFew = expected.filter(({ id }) => id % 10 === 0)
    const out = db.topic<Event>('sorted', { partitions: 1 })
    await few.to(toTopic(out), { workers: 2 })
    const sent: unknown[] = []
    for await (const { records } of out.consume({ until: 'end' })) for (const { value } of records) sent.push(value)
    expect(sent).toEqual(ofFew)
    const file = join(folder, 'sorted.jsonl')
    await few.to(writeJsonl(file), { workers: 2 })
    expect(
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line)),
    ).toEqual(ofFew)
  })
})

describe('tasks that fail', () => {
  const build = (): AnyFlow =>
    flow('f', store)
      .keyBy('id')
      .aggregate({ n: count(), mean: avg('price') })
      .sort('id')

  it('are tried again, and count once', async () => {
    const seen = new Set<string>()
    const executor = new LocalExecutor(task => {
      const name = JSON.stringify([task.stage, task.work.kind === 'split' ? task.work.split.name : task.work.buckets])
      if (seen.has(name)) return
      seen.add(name)
      throw new TaskFailure(new Error('lost'), 'somewhere', true)
    })
    expect(await runWith(executor, build())).toEqual(await build().toArray({ workers: 0 }))
    expect(executor.tasks).toBe(2 * seen.size)
    expect(executor.closed).toBe(1)
  })

  it('fail the job the second time, which says where, and leaves no files', async () => {
    const before = jobFolders()
    const executor = new LocalExecutor(() => {
      throw new TaskFailure(new Error('lost'), 'store events, range 1 of 8', true)
    })
    const failure = runWith(executor, build())
    await expect(failure).rejects.toThrow('job mine failed at store events, range 1 of 8: lost, tried 2 times')
    await expect(failure).rejects.toMatchObject({ code: 'TASK_FAILED', details: { attempts: 2 } })
    expect(jobFolders()).toEqual(before)
  })

  it('reject with our own errors as they are', async () => {
    const executor = new LocalExecutor(() => {
      throw new TaskFailure(new VarveError('CORRUPT', 'damaged'), 'somewhere')
    })
    await expect(runWith(executor, build())).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  it('end with the signal', async () => {
    const stop = new AbortController()
    const executor = new LocalExecutor((_, number) => {
      if (number === 2) stop.abort(new Error('enough'))
    })
    await expect(runWith(executor, build(), stop.signal)).rejects.toThrow('enough')
    expect(existsSync(folder)).toBe(true)
  })
})
