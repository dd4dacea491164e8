/**
 * Goal: a job over columns gives what the same job over rows gives, on random tables with nulls, missing fields, mixed types, NaN, -0, big integers and unicode, in this thread and in
 * others, behind compaction, retention, transactions and a change of the columns; damage of columns costs speed and nothing else. That columns were read is known by bytes.
 */
import { mkdtemp, open as openFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { avg, col, collect, count, countDistinct, type Flow, flow, max, min, record, sum } from '../../../../compute/index.ts'
import { topicSource } from '../../../../compute/source/topic-source.ts'
import { nodeFiles } from '../../../../engine/index.ts'
import { PART_TOPIC } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { type Database, open, type Topic, verify } from '../../../../index.ts'

type Row = { readonly [field: string]: unknown }

/** Random numbers from a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const words = ['', 'OSL', 'Zürich', '東京', '😀', 'a\u0000b', 'x'.repeat(40), 'é\u0301']

function tableOf(size: number, seed: number): Row[] {
  const next = random(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
  return Array.from({ length: size }, (_, id): Row => {
    const row: Record<string, unknown> = {
      id,
      city: pick(words),
      name: `name ${Math.floor(next() * 1e9)}`,
      small: Math.floor(next() * 50) - 25,
      wide: Math.floor((next() - 0.5) * 2 ** 53),
      real: pick([next() * 100, -0, 0, Number.NaN, Number.POSITIVE_INFINITY, 1e-300]),
      flag: next() < 0.5,
      deep: { code: pick([1, 2, null]), list: ['a', Math.floor(next() * 3)] },
      // Mostly numbers, and now and then something else: no column in its group.
      mixed: id % 1000 === 1 ? pick(['text', 12345678901234567890n, new Date(0), [1], { a: 1 }, true]) : Math.floor(next() * 10),
      // Of another type in each half.
      turned: id < size / 2 ? Math.floor(next() * 5) : pick(words),
      nothing: null,
    }
    if (next() < 0.2) row.city = null
    if (next() < 0.3) delete row.small
    if (next() < 0.1) delete row.flag
    if (next() < 0.1) row.real = null
    if (next() < 0.2) delete row.name
    if (next() < 0.05) delete row.deep
    return row
  })
}

const fields = ['id', 'city', 'name', 'small', 'wide', 'real', 'flag', 'deep.code', 'deep.list.1', 'mixed', 'turned', 'nothing', 'missing']
const base = Date.UTC(2026, 0, 1)

let folder: string
let db: Database
const rows = tableOf(150_000, 7)

async function send(topic: Topic<Row>, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 5000) {
    await topic.sendBatch(
      rows.slice(at, Math.min(to, at + 5000)).map((value, i) => ({ value, timestamp: base + (at + i) * 10 + ((i * 7) % 50) })),
    )
  }
}

async function fill(name: string, columns: readonly string[], options: object = {}): Promise<Topic<Row>> {
  const topic = db.topic<Row>(name, { ...options, ...(columns.length === 0 ? {} : { columns }) })
  await send(topic, 0, 140_000)
  return topic
}

let plain: Topic<Row>
let typed: Topic<Row>
let json: Topic<Row>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-columns-'))
  db = await open(folder, { autoConsolidate: false })
  plain = await fill('plain', [])
  typed = await fill('typed', fields)
  json = db.topic<Row>('json', { value: 'json', columns: fields, partitions: 2 })
  const texts = rows
    .slice(0, 20_000)
    .map((row, i) => ({ value: JSON.parse(JSON.stringify(row, (_, v) => (typeof v === 'bigint' ? null : v))), timestamp: base + i }))
  await json.sendBatch(texts)
  await db.seal()
  // What comes last lies in no segment.
  await send(plain, 140_000, 150_000)
  await send(typed, 140_000, 150_000)
}, 120_000)

afterAll(async () => {
  await db.close()
  await rm(folder, { recursive: true })
})

const flows: Record<string, (input: Flow<Row>) => Pick<Flow<unknown>, 'toArray'>> = {
  'one row of all': input =>
    input.aggregate({
      n: count(),
      small: sum('small'),
      ids: sum('id'),
      least: min('wide'),
      most: max('wide'),
      flags: count('flag'),
      none: count('nothing'),
      missing: max('missing'),
    }),
  'groups of texts': input =>
    input
      .keyBy('city')
      .aggregate({ n: count(), sum: sum('small'), most: max('id'), last: max('name') })
      .sort('city'),
  'groups of numbers with nulls': input =>
    input
      .keyBy('small')
      .aggregate({ n: count(), cities: countDistinct('city') })
      .sort('small'),
  'groups of many texts': input => input.keyBy('name').count().keyBy('count').aggregate({ n: count() }).sort('count'),
  'groups of doubles': input =>
    input
      .filter(col('real').lt(50).or(col('real').gt(99)))
      .keyBy({ real: col('real').round() })
      .count()
      .sort('real'),
  'groups of truth values and paths': input =>
    input
      .keyBy('flag', 'deep.code', 'deep.list.1')
      .aggregate({ n: count(), mean: avg('small') })
      .sort('flag', 'deep.code', 'deep.list.1'),
  'a field of several kinds': input => input.keyBy('mixed').count().filter(col('count').gt(10)).sort('mixed'),
  'a field that turns': input => input.keyBy('turned').count().sort('turned'),
  filtered: input => input.filter(col('city').eq('東京').and(col('small').gte(0))).aggregate({ n: count(), ids: sum('id') }),
  'fields themselves': input =>
    input.filter(col('id').mod(997).eq(0)).select('id', 'city', 'name', 'small', 'wide', 'real', 'flag', 'nothing').sort('id'),
  'times and offsets': input =>
    input
      .filter(record.time.gte(base + 400_005).and(record.time.lt(base + 1_100_003)))
      .keyBy({ hour: record.offset.div(10_000).floor(), p: record.partition })
      .aggregate({ n: count(), least: min(record.time), most: max(record.time), ids: sum('id') })
      .sort('hour'),
  'a range of times, counted': input =>
    input.filter(record.time.gte(base + 400_005).and(record.time.lt(base + 400_505))).aggregate({ n: count() }),
  'joined rows': input =>
    input
      .filter(col('id').lt(2000))
      .select('id', 'city')
      .join(input.filter(col('id').mod(5).eq(0)).select({ id: 'id', other: 'name' }), { on: 'id' })
      .sort('id'),
  'values, for which rows are read': input => input.filter(col('id').lt(10)).aggregate({ all: collect<Row>() }),
  'a field that is no column': input => input.keyBy('deep').count().sort({ by: 'count', descending: true }).select('count'),
}

describe('jobs over columns', () => {
  for (const [name, build] of Object.entries(flows)) {
    it(`give ${name} as jobs over rows`, async () => {
      const expected = await build(flow('f', plain)).toArray({ workers: 0 })
      expect(expected.length).toBeGreaterThan(0)
      expect(await build(flow('f', typed)).toArray({ workers: 0 })).toEqual(expected)
      expect(await build(flow('f', typed)).toArray({ workers: 2 })).toEqual(expected)
    })
  }

  it('read columns and not rows, but for groups with other values and what is in no segment', async () => {
    const all = await bytesRead(plain, ['id'])
    const tail = all / 15
    expect(await bytesRead(typed, ['id'])).toBeLessThan(tail + 5 * 150_000 + 100_000)
    expect(await bytesRead(typed, ['city', 'small'])).toBeLessThan(tail + 6 * 150_000 + 100_000)
    expect(await bytesRead(typed, ['mixed'])).toBeGreaterThan(all / 2)
    expect(await bytesRead(typed, ['deep'])).toBe(await bytesRead(plain, ['deep']))
  })

  it('are named by explain where they have all that is read', () => {
    const grouped = (topic: Topic<Row>): string =>
      flow('f', topic)
        .keyBy('city')
        .aggregate({ n: sum('small'), at: max(record.time) })
        .explain()
    expect(grouped(typed)).toContain('topic typed: columns city, small, @time')
    expect(grouped(plain)).toContain('topic plain: fields city, small, @time')
    expect(flow('f', typed).keyBy('deep').count().explain()).toContain('topic typed: fields deep')
  })

  it('are right for JSON', async () => {
    const n = await flow('f', json)
      .keyBy('city')
      .aggregate({ n: count(), wide: max('wide'), small: sum('small') })
      .sort('city')
      .toArray({ workers: 0 })
    const byRows = await flow('f', json)
      .filter(() => true)
      .keyBy('city')
      .aggregate({ n: count(), wide: max('wide'), small: sum('small') })
      .sort('city')
      .toArray({ workers: 0 })
    expect(n).toEqual(byRows)
    expect(n.reduce((all, { n: one }) => all + one, 0)).toBe(20_000)
  })

  it('leave out what aborted transactions wrote', async () => {
    const [a, b] = [db.topic<Row>('aborted', { columns: ['id'] }), db.topic<Row>('aborted-rows')]
    for (const topic of [a, b]) {
      await topic.sendBatch(rows.slice(0, 1000).map(value => ({ value })))
      const producer = db.producer({ transactionalId: `columns ${topic.name}` })
      for (const end of ['abort', 'commit'] as const) {
        const tx = await producer.begin()
        await tx.sendBatch(
          topic,
          rows.slice(0, 500).map(value => ({ value })),
        )
        await tx[end]()
      }
      await topic.sendBatch(rows.slice(1000, 1100).map(value => ({ value })))
    }
    await db.seal()
    const summed = (topic: Topic<Row>): Promise<unknown[]> =>
      flow('f', topic)
        .aggregate({ n: count(), ids: sum('id') })
        .toArray()
    expect(await summed(a)).toEqual(await summed(b))
    expect(await flow('f', a).count()).toBe(1600)
  })

  it('go on behind compaction, consolidation and retention', async () => {
    await within(async (database, path) => {
      const kept = database.topic<Row>('kept', { columns: ['id', 'city'], key: 'city', cleanup: 'compact' })
      const many = database.topic<Row>('many', { columns: ['id', 'city'] })
      for (let round = 0; round < 6; round++) {
        const part = rows
          .slice(round * 2000, round * 2000 + 2000)
          .map(({ id, city }) => ({ id, city: `${String(city)} ${Number(id) % 40}` }))
        await kept.sendBatch(part.map((value, i) => ({ value, timestamp: base + i })))
        await many.sendBatch(part.map((value, i) => ({ value, timestamp: base + round * 2000 + i })))
        await database.seal()
      }
      await kept.compact()
      await database.consolidate()
      await many.deleteRecords(0, 4321)
      await database.reclaim()
      for (const topic of [kept, many]) {
        const byRows = await flow('f', topic)
          .filter(() => true)
          .aggregate({ n: count(), ids: sum('id'), cities: countDistinct('city') })
          .toArray()
        expect(
          await flow('f', topic)
            .aggregate({ n: count(), ids: sum('id'), cities: countDistinct('city') })
            .toArray(),
        ).toEqual(byRows)
        expect(await bytesRead(topic, ['id'])).toBeLessThan((await bytesRead(topic, ['none'])) / 4)
      }
      expect(await flow('f', many).count()).toBe(12_000 - 4321)
      await database.close()
      const { findings, ok } = await verify(path)
      expect(ok, JSON.stringify(findings)).toBe(true)
      expect(findings.filter(({ severity }) => severity === 'warning')).toEqual([])
    })
  })

  it('come with the next segments when the option is given later, and go when it is taken away', async () => {
    await within(async database => {
      const topic = database.topic<Row>('later')
      const fillOne = async (from: number): Promise<void> => {
        await topic.sendBatch(rows.slice(from, from + 10_000).map(value => ({ value })))
        await database.seal()
      }
      await fillOne(0)
      const before = await bytesRead(topic, ['id'])
      await topic.alter({ columns: ['id'] })
      await fillOne(10_000)
      expect(await bytesRead(topic, ['id'])).toBeLessThan(before * 1.2)
      expect(
        await flow('f', topic)
          .aggregate({ n: count(), ids: sum('id') })
          .toArray(),
      ).toEqual([{ n: 20_000, ids: (20_000 * 19_999) / 2 }])
      await topic.alter({ columns: [] })
      await fillOne(20_000)
      expect(await bytesRead(topic, ['id'])).toBeGreaterThan(before * 1.8)
      expect(() => database.topic('later', { columns: ['city'] })).not.toThrow()
      await expect(database.topic('later', { columns: ['city'] }).ready()).rejects.toMatchObject({ code: 'DEFINITION_MISMATCH' })
      await topic.alter({ columns: ['city'] })
      await topic.addPartitions(2)
      await database.topic('later', { columns: ['city'], partitions: 2 }).ready()
      expect(database.get('topic/later/1')?.options).toEqual({ columns: { fields: ['city'], codec: 'msgpack' } })
    })
  })

  it('that are damaged are not used, and nothing is lost with them', async () => {
    const path = await mkdtemp(join(tmpdir(), 'varve-columns-'))
    const build = (topic: Topic<Row>): Flow<unknown> =>
      flow('f', topic)
        .keyBy('city')
        .aggregate({ n: count(), ids: sum('id') })
        .sort('city') as never
    let first = await open(path)
    await first.topic<Row>('t', { columns: ['id', 'city'] }).sendBatch(rows.slice(0, 5000).map(value => ({ value })))
    await first.seal()
    const expected = await build(first.topic<Row>('t')).toArray()
    const [undamaged, whole] = [await bytesRead(first.topic<Row>('t'), ['id', 'city']), await bytesRead(first.topic<Row>('t'), ['none'])]
    expect(undamaged).toBeLessThan(whole / 5)
    await first.close()
    let damaged = 0
    for (const name of (await readdir(path)).filter(file => file.endsWith('.seg'))) {
      const file = join(path, name)
      const reader = SegmentReader.open(nodeFiles, file)
      const handle = await openFile(file, 'r+')
      for (let part = 0; part < reader.directory.partCount; part++) {
        const columns = reader.directory.type(part) === PART_TOPIC ? reader.batchIndex(part).columns : undefined
        if (columns === undefined) continue
        const start = reader.directory.position(part) + reader.directory.byteCount(part)
        for (let at = start; at < start + columns.byteCount; at += 1000) await handle.write(Uint8Array.of(0xa5), 0, 1, at)
        damaged++
      }
      reader.close()
      await handle.close()
    }
    expect(damaged).toBe(1)
    const { ok, findings } = await verify(path)
    expect(ok).toBe(true)
    expect(
      findings.filter(({ severity, message }) => severity === 'warning' && message.includes('checksum of column')).length,
    ).toBeGreaterThan(1)
    first = await open(path)
    const topic = first.topic<Row>('t')
    expect(await build(topic).toArray({ workers: 0 })).toEqual(expected)
    expect(await build(topic).toArray({ workers: 2 })).toEqual(expected)
    expect(await bytesRead(topic, ['id', 'city'])).toBeGreaterThanOrEqual(whole)
    await first.close()
    await rm(path, { recursive: true })
  })

  it('refuse what is no field path, and values without fields', () => {
    for (const columns of ['id', [3], [''], ['a..b'], ['@time'], ['a', 'a']]) {
      expect(() => db.topic('refused', { columns } as never)).toThrow(TypeError)
    }
    expect(() => db.topic('refused', { columns: Array.from({ length: 101 }, (_, i) => `f${i}`) })).toThrow(RangeError)
    expect(() => db.topic('refused', { columns: ['x'.repeat(1001)] })).toThrow(RangeError)
    expect(() => db.topic<string>('refused', { value: 'string', columns: ['length'] })).toThrow(/columns are of values/)
    expect(db.topicNames()).not.toContain('refused')
  })
})

/** Bytes that a reader of all of the topic reads for some fields. */
async function bytesRead(topic: Topic<Row>, paths: readonly string[]): Promise<number> {
  const source = topicSource(topic)
  const { splits } = await source.split({ parallelism: 1, portable: false })
  let read = 0
  for (const split of splits) {
    const reader = await source.open(split, { paths, values: false })
    while ((await reader.next()) !== undefined);
    read += reader.bytesRead
  }
  return read
}

async function within(run: (database: Database, path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'varve-columns-'))
  const database = await open(path, { autoConsolidate: false })
  try {
    await run(database, path)
  } finally {
    await database.close()
    await rm(path, { recursive: true })
  }
}
