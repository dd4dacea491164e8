/**
 * Goal: conditions on time and key give what a filter of all rows gives, and are known to read less by the bytes that were read, not by how long it took: blocks outside are passed
 * over, blocks inside are counted without being read, in any thread, whatever the order of timestamps, with transactions, compaction and a tail in memory.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ExpressionNode } from '../../../../compute/expression/node.ts'
import { avg, col, count, type Flow, flow, lit, record } from '../../../../compute/index.ts'
import { namedSource } from '../../../../compute/job/job.ts'
import type { PlanNode } from '../../../../compute/plan/node.ts'
import { pushDown, pushDownTogether } from '../../../../compute/plan/push-down.ts'
import type { Needs } from '../../../../compute/source/source.ts'
import type { SourceRange } from '../../../../compute/source/source-range.ts'
import { storeSource } from '../../../../compute/source/store-source.ts'
import { topicSource } from '../../../../compute/source/topic-source.ts'
import { type Database, open, type Store, type Topic } from '../../../../index.ts'

interface Event {
  readonly id: number
  readonly at: number
  readonly pad: string
}

const base = Date.UTC(2026, 0, 1)
/** Mostly ascending, with neighbours out of order by up to 40 s, and a few that are a day late. */
const timeOf = (id: number): number => base + id * 1000 + ((id * 7919) % 80) * 500 - (id % 8000 === 77 ? 86_400_000 : 0)
/** Compresses badly. */
const padOf = (id: number): string => Array.from({ length: 8 }, (_, i) => Math.imul(id * 8 + i + 1, 0x9e3779b1).toString(36)).join('')
const events = Array.from({ length: 24_000 }, (_, id): Event => ({ id, at: timeOf(id), pad: padOf(id) }))

let folder: string
let db: Database
let topic: Topic<Event>
let packed: Topic<Event>
let store: Store<Event, number>

const send = async (to: Topic<Event>, some: readonly Event[]): Promise<void> => {
  for (let from = 0; from < some.length; from += 500) {
    await to.sendBatch(some.slice(from, from + 500).map(value => ({ value, timestamp: value.at })))
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-pruning-'))
  db = await open(folder, { autoConsolidate: false })
  topic = db.topic<Event>('events', { partitions: 2 })
  packed = db.topic<Event>('packed', { compression: 'gzip' })
  store = db.store<Event, number>('events')
  await send(topic, events.slice(0, 12_000))
  await send(packed, events.slice(0, 12_000))
  await store.batch(events.map(value => ({ type: 'put' as const, key: value.id, value })))
  await db.seal()
  await send(topic, events.slice(12_000, 20_000))
  const aborted = await db.producer({ transactionalId: 'pruning' }).begin()
  for (const value of events.slice(0, 200)) void aborted.send(topic, { value: { ...value, id: -1 }, timestamp: value.at })
  await aborted.abort()
  await db.seal()
  await send(topic, events.slice(20_000))
})

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

/** What a reader of all splits gives and how many bytes it read. */
async function read(source: ReturnType<typeof topicSource>, range: SourceRange | undefined, needs: Needs) {
  const { splits, release } = await source.split({ parallelism: 1, portable: false, range })
  let [rows, bytes] = [0, 0]
  for (const split of splits) {
    const reader = await source.open(split, needs)
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) rows += chunk.count
    bytes += reader.bytesRead
    await reader.close()
  }
  release()
  return { rows, bytes }
}

const counts: Needs = { paths: [], values: false }
const fields: Needs = { paths: ['id'], values: false }
const within = (from: number, to: number): number[] => events.filter(({ at }) => at >= from && at < to).map(({ id }) => id)

const ranges: readonly (readonly [name: string, from: number, to: number])[] = [
  ['an hour in a segment', base + 3_600_000, base + 7_200_000],
  ['what reaches into the tail', base + 19_000_000, base + 21_000_000],
  ['what is late alone', base - 86_400_000, base - 1_000_000],
  ['everything', Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  ['nothing', base + 1e9, base + 2e9],
  ['a range that ends before it begins', base + 2000, base + 1000],
]

it('leave out for flows that run together what all of them leave out, and nothing that one of them wants', () => {
  const memory = namedSource('topic', 'events')
  const source: PlanNode = { op: 'source', source: memory }
  const from = (ms: number): ExpressionNode => ({
    kind: 'call',
    name: 'gte',
    arguments: [
      { kind: 'field', path: '@time' },
      { kind: 'literal', value: ms },
    ],
  })
  const recent: PlanNode = { op: 'filter', input: source, predicate: from(1000) }
  const byTime: PlanNode = { op: 'sort', input: recent, by: [] }
  const limited: PlanNode = { op: 'limit', input: byTime, count: 3, offset: 0 }
  const [a, b] = pushDownTogether([
    { op: 'limit', input: { op: 'sort', input: recent, by: [] }, count: 5, offset: 1 },
    { op: 'cache', input: recent, cell: { rows: undefined } },
  ])
  // One source, narrowed once, for both.
  const sorted = a?.op === 'limit' ? a.input : undefined
  expect(sorted).toMatchObject({ op: 'sort', first: 6, input: { op: 'source', range: { time: { from: 1000 } } } })
  expect(b?.op === 'cache' && sorted?.op === 'sort' && b.input === sorted.input).toBe(true)
  const [whole, part] = pushDownTogether([{ op: 'sample', input: source, fraction: 1, seed: 1 }, recent])
  expect(whole).toMatchObject({ op: 'sample', input: { op: 'source' } })
  expect(part).toEqual(recent)
  expect(part?.op === 'filter' && part.input === source).toBe(true)
  // A sort that somebody else wants whole is one.
  expect(pushDownTogether([limited, byTime])[0]).toMatchObject({ op: 'limit', input: { op: 'sort' } })
  expect(JSON.stringify(pushDownTogether([limited, byTime])[0])).not.toContain('first')
})

describe('times of a topic', () => {
  for (const [name, from, to] of ranges) {
    for (const workers of [0, 2]) {
      it(`gives ${name}, with ${workers} workers`, async () => {
        const expected = within(from, to)
        const filtered = flow('f', topic).filter(record.time.gte(from).and(record.time.lt(to)))
        expect((await filtered.toArray({ workers })).map(({ id }) => id).sort((a, b) => a - b)).toEqual(expected)
        expect(await filtered.count({ workers })).toBe(expected.length)
        const even = filtered.filter(col('id').mod(2).eq(0))
        expect(await even.count({ workers })).toBe(expected.filter(id => id % 2 === 0).length)
      })
    }
  }

  it('takes every comparison, in both directions, as the filter of rows does', async () => {
    const at = (events[5000] as Event).at
    const conditions = [
      record.time.gt(at),
      record.time.gte(at + 0.5),
      record.time.lt(at),
      record.time.lte(at),
      record.time.lte(at - 0.5),
      record.time.eq(at),
      record.time.eq(at + 0.5),
      record.time.between(at, at + 10_000),
      record.time.gt(Number.NaN),
      lit(at).lt(record.time),
      record.time.ne(at),
      record.time.gt(at).or(col('id').eq(3)),
    ]
    for (const condition of conditions) {
      // A field of the row computed from the time is nothing that a source knows of.
      const slow = flow('f', topic).withColumns({ t: record.time }).filter(rewritten(condition))
      expect(await flow('f', topic).filter(condition).count()).toBe(await slow.count())
    }
  })

  it('reads only blocks that may have such records', async () => {
    const all = await read(topicSource(topic), undefined, fields)
    const hour = await read(topicSource(topic), { time: { from: base + 3_600_000, to: base + 7_200_000 } }, fields)
    expect(hour.rows).toBe(within(base + 3_600_000, base + 7_200_000).length)
    expect(hour.bytes).toBeLessThan(all.bytes / 2)
    // What is a day late makes blocks old at one end, never at the other.
    const late = await read(topicSource(topic), { time: { from: base + 23_000_000, to: base + 24_000_000 } }, fields)
    expect(late.bytes).toBeLessThan(all.bytes / 3)
  })

  it('counts blocks that lie inside without reading them', async () => {
    const all = await read(topicSource(topic), undefined, fields)
    const counted = await read(topicSource(topic), undefined, counts)
    expect(counted.rows).toBe(all.rows)
    // The tail, and blocks with records of the aborted transaction, are read.
    expect(counted.bytes).toBeLessThan(all.bytes / 2)
    const ranged = { time: { from: base, to: base + 11_000_000 } }
    const inside = await read(topicSource(topic), ranged, counts)
    expect(inside.rows).toBe(within(base, base + 11_000_000).length)
    expect(inside.bytes).toBeLessThan((await read(topicSource(topic), ranged, fields)).bytes)
  })

  it('passes over compressed blocks that are too old, and reads those that may be too new', async () => {
    const all = await read(topicSource(packed), undefined, fields)
    const young = await read(topicSource(packed), { time: { from: base + 10_000_000, to: base + 10_500_000 } }, fields)
    expect(young.rows).toBe(events.slice(0, 12_000).filter(({ at }) => at >= base + 10_000_000 && at < base + 10_500_000).length)
    expect(young.bytes).toBeLessThan(all.bytes)
    expect(await flow('f', packed).count()).toBe(12_000)
  })

  it('takes from and to as options', async () => {
    const [from, to] = [base + 3_600_000.5, new Date(base + 7_200_000)]
    const expected = within(from, to.getTime()).length
    expect(await flow('f', topic, { from, to }).count()).toBe(expected)
    expect(
      await flow('f', topic, { from, to })
        .filter(record.time.lt(base + 5_000_000))
        .count(),
    ).toBe(within(from, base + 5_000_000).length)
    expect(() => flow('f', topic, { from: Number.NaN })).toThrow(RangeError)
    expect(() => flow('f', topic, { to: 'tomorrow' as never })).toThrow(/^to must be/)
    expect(() => flow('f', topic, { until: 1 } as never)).toThrow(/until/)
    expect(() => flow('f', store as never, { from: 1 } as never)).toThrow(/options of topics/)
  })

  it('says in explain what the source does, and what is left to the filter', () => {
    const filtered = flow('f', topic)
      .filter(record.time.gte(base))
      .filter(record.time.lt(base + 1000).and(col('id').gt(3)))
    expect(filtered.explain()).toBe('filter (id > 3)\n  topic events, times from 2026-01-01T00:00:00.000Z to 2026-01-01T00:00:01.000Z')
    expect(filtered.keyBy('id').count().explain()).toContain('to 2026-01-01T00:00:01.000Z: fields id')
    expect(flow('f', topic, { to: base }).aggregate({ n: count() }).explain()).toBe(
      'aggregate n = count()\n  topic events, times to 2026-01-01T00:00:00.000Z: only counted',
    )
  })

  it('goes on behind what compaction has left out', async () => {
    const compacted = db.topic<Event>('compacted', { cleanup: 'compact', key: 'pad' })
    for (let round = 0; round < 3; round++) {
      await send(
        compacted,
        events.slice(round * 1000, round * 1000 + 1000).map(event => ({ ...event, pad: `k${event.id % 50}` })),
      )
      await db.seal()
    }
    await compacted.compact()
    const rows = await flow('f', compacted).toArray()
    expect(rows.length).toBeLessThan(3000)
    expect(await flow('f', compacted).count()).toBe(rows.length)
    const late = rows.filter(({ at }) => at >= base + 2_990_000)
    expect(late.length).toBeGreaterThan(0)
    expect(await flow('f', compacted, { from: base + 2_990_000 }).count()).toBe(late.length)
  })
})

/** The same condition on the field `t` in place of the record's time. */
function rewritten(condition: ReturnType<typeof record.time.gt>): never {
  const text = JSON.stringify(condition.node, (_, value) => (Number.isNaN(value) ? 'NaN' : value)).replaceAll('"@time"', '"t"')
  const node = JSON.parse(text, (_, value) => (value === 'NaN' ? Number.NaN : value))
  return Object.assign(Object.create(Object.getPrototypeOf(condition)), { node }) as never
}

describe('keys of a store', () => {
  const cases: readonly (readonly [name: string, flow: (input: Flow<Event>) => Flow<Event>, ids: (id: number) => boolean])[] = [
    ['a range', input => input.filter(record.key.gte(3000).and(record.key.lt(3500))), id => id >= 3000 && id < 3500],
    ['one key', input => input.filter(record.key.eq(17)), id => id === 17],
    ['open ends', input => input.filter(record.key.gt(23_000)), id => id > 23_000],
    ['up to a key', input => input.filter(record.key.lte(10)), id => id <= 10],
    ['nothing', input => input.filter(record.key.gt(10).and(record.key.lt(5))), () => false],
    ['keys of another kind', input => input.filter(record.key.gte('a')), () => false],
  ]
  for (const [name, filtered, has] of cases) {
    for (const workers of [0, 2]) {
      it(`gives ${name}, with ${workers} workers`, async () => {
        const rows = await filtered(flow('f', store)).toArray({ workers })
        expect(rows.map(({ id }) => id).sort((a, b) => a - b)).toEqual(events.map(({ id }) => id).filter(has))
      })
    }
  }

  it('reads only what lies in the range', async () => {
    const plan = pushDown(flow('f', store).filter(record.key.gte(3000).and(record.key.lt(3500))).plan)
    const source = plan.op === 'filter' && plan.input.op === 'source' ? plan.input : undefined
    const all = await read(storeSource(store), undefined, fields)
    const some = await read(storeSource(store), source?.range, fields)
    expect(some.rows).toBeLessThanOrEqual(501)
    expect(some.bytes).toBeLessThan(all.bytes / 20)
    expect(flow('f', store).filter(record.key.gte(3000)).explain()).toBe('filter (@key >= 3000)\n  store events, keys >= 3000')
  })

  it('keeps to the conditions under aggregates and joins', async () => {
    const half = flow('f', store).filter(record.key.lt(100))
    expect(
      await half
        .keyBy({ odd: col('id').mod(2) })
        .aggregate({ n: count(), mean: avg('id') })
        .sort('odd')
        .toArray(),
    ).toEqual([
      { odd: 0, n: 50, mean: 49 },
      { odd: 1, n: 50, mean: 50 },
    ])
    expect(await half.join(flow('g', topic).filter(record.time.lt(base + 50_000)), { on: 'id' }).count()).toBe(
      events.filter(({ id, at }) => id < 100 && at < base + 50_000).length,
    )
  })
})
