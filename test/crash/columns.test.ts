/**
 * Goal: wherever power fails in writes, flushes, consolidations and compactions of topics and stores whose columns change now and then, what their columns say is what their records say: of every
 * group that a job would read, after each opening and between steps.
 */
import { expect, test } from 'vitest'
import type { SimRandom } from '../../engine/env/index.ts'
import { isVarveError, valueCodecOf } from '../../engine/index.ts'
import { verify } from '../../engine/tools/verify.ts'
import type { Database, Store, Topic } from '../../index.ts'
import { folder, newEnvironment, runUntilCrash } from '../probes/support.ts'
import { compareStoreColumns, compareTopicColumns } from '../support/column-reads.ts'
import { openTopics } from '../unit/stream/support.ts'

interface Row {
  readonly [field: string]: unknown
}

const fields = ['n', 't', 'b', 'mixed', 'deep.x']
const partitions = 2
const decode = (codec: 'json' | 'msgpack', bytes: Uint8Array): unknown => valueCodecOf(codec).decode(bytes, 0, bytes.length)

function drawRow(random: SimRandom): Row {
  const pick = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  return {
    ...(random.below(5) === 0 ? {} : { n: pick<unknown>(random.below(100), random.below(1e9), -0.5, null, 2 ** 52 + 1) }),
    ...(random.below(4) === 0 ? {} : { t: pick('', 'é', 'city', `text ${random.below(30)}`, 'x'.repeat(random.below(300))) }),
    ...(random.below(3) === 0 ? {} : { b: pick(true, false, null) }),
    ...(random.below(3) === 0 ? {} : { mixed: random.below(200) === 0 ? pick<unknown>('a', [1], { x: 1 }) : random.below(9) }),
    deep: pick<unknown>(null, { x: random.below(5) }, { x: null }, {}),
  }
}

async function runTopic(seed: number): Promise<number> {
  let environment = newEnvironment(seed)
  const { random } = environment
  const pick = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  const codec = pick('json' as const, 'msgpack' as const)
  const cleanup = pick('delete' as const, 'compact' as const)
  const compression = pick('none' as const, 'gzip' as const)
  const columnsOf = (): string[] => pick([], fields, ['n', 'deep.x'], ['t', 'b', 'mixed'])
  const rowOf = (): Row => drawRow(random)
  let compared = 0
  const compare = (topic: Topic<Row>): void => {
    for (let i = 0; i < partitions; i++) compared += compareTopicColumns(topic.partition(i), fields, bytes => decode(codec, bytes))
  }
  const step = async (db: Database, topic: Topic<Row>): Promise<void> => {
    const records = (count: number): { key: string; value: Row | null }[] =>
      Array.from({ length: count }, () => ({ key: `k${random.below(20)}`, value: random.below(12) === 0 ? null : rowOf() }))
    const what = random.below(13)
    if (what < 5) await topic.sendBatch(records(1 + random.below(60)) as { key: string; value: Row }[])
    else if (what < 7) await db.seal()
    else if (what === 7) await db.consolidate()
    else if (what === 8 && cleanup === 'compact') await topic.compact()
    else if (what === 9) await topic.alter({ columns: columnsOf() })
    else if (what === 10) {
      const producer = db.producer({ transactionalId: 'p' })
      const transaction = await producer.begin()
      for (const record of records(5)) void transaction.send(topic, record as { key: string; value: Row }).catch(() => undefined)
      await (random.below(2) === 0 ? transaction.commit() : transaction.abort())
      await producer.close()
    } else if (what === 11) {
      const { startOffset, highWatermark } = topic.partition(0)
      await topic.deleteRecords(0, startOffset + random.below(1 + highWatermark - startOffset))
    } else compare(topic)
  }
  for (let life = 0; life < 4; life++) {
    if (life > 0) environment = newEnvironment(seed * 100 + life, environment.disk)
    await runUntilCrash(environment, 20 + random.below(150), async () => {
      const db = await openTopics(environment)
      const topic = db.topic<Row>('t', { partitions, value: codec, cleanup, compression })
      await topic.ready()
      if (life === 0) await topic.alter({ columns: columnsOf() })
      compare(topic)
      for (let n = 0; n < 30; n++) await step(db, topic)
      compare(topic)
      await db.close()
    })
  }
  environment = newEnvironment(seed * 100 + 99, environment.disk)
  await environment.drive(async () => {
    const db = await openTopics(environment)
    if (db.topicNames().includes('t')) compare(db.topic<Row>('t', { value: codec }))
    await db.close()
  })
  return compared
}

test.each([0, 1])('columns of topics say what records say, group %i', async group => {
  let compared = 0
  for (let seed = 10 * group; seed < 10 * group + 10; seed++) compared += await runTopic(seed + 1)
  expect(compared).toBeGreaterThan(500)
})

async function runStore(seed: number): Promise<number> {
  let environment = newEnvironment(seed)
  const { random } = environment
  const pick = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  const value = pick('json' as const, 'msgpack' as const)
  const compression = pick('none' as const, 'gzip' as const)
  const keys = pick(30, 400)
  let compared = 0
  const step = async (db: Database, store: Store<Row, number>): Promise<void> => {
    const what = random.below(14)
    if (what < 5) {
      const batch = Array.from({ length: 1 + random.below(60) }, () =>
        random.below(6) === 0
          ? { type: 'del' as const, key: random.below(keys) }
          : { type: 'put' as const, key: random.below(keys), value: drawRow(random) },
      )
      await store.batch(batch)
    } else if (what === 5) await store.put(random.below(keys), drawRow(random), { expiresAt: environment.clock.now() + random.below(5000) })
    else if (what === 6) {
      const from = random.below(keys)
      await store.delRange({ gte: from, lt: from + 3 })
    } else if (what < 9) await db.seal()
    else if (what === 9) await db.consolidate()
    else if (what < 13) {
      await store.compact()
      compared += compareStoreColumns(store, fields, environment.clock.now())
    } else compared += compareStoreColumns(store, fields, environment.clock.now())
  }
  for (let life = 0; life < 4; life++) {
    if (life > 0) environment = newEnvironment(seed * 100 + life, environment.disk)
    await runUntilCrash(environment, 20 + random.below(250), async () => {
      const db = await openTopics(environment)
      const columns = pick<readonly string[]>([], fields, ['n', 'deep'], ['t', 'b', 'mixed'])
      const store = db.store<Row, number>('s', { value, compression, columns })
      await store.ready()
      compared += compareStoreColumns(store, fields, environment.clock.now())
      for (let n = 0; n < 30; n++) await step(db, store)
      await db.close()
    })
  }
  return compared
}

test.each([0, 1])('columns of stores say what records say, group %i', async group => {
  let compared = 0
  for (let seed = 10 * group; seed < 10 * group + 10; seed++) compared += await runStore(seed + 1)
  expect(compared).toBeGreaterThan(500)
})

/** Prime, so that the flipped bits lie at all places of what has a fixed size. */
const stride = 193

test('a flipped bit anywhere in segments with columns is found, and makes no column say anything else', async () => {
  const environment = newEnvironment(1)
  const { random } = environment
  const rows = Array.from({ length: 400 }, (_, key): [number, Row] => [key, drawRow(random)])
  await environment.drive(async () => {
    const db = await openTopics(environment)
    const store = db.store<Row, number>('s', { columns: fields })
    await store.batch(rows.map(([key, value]) => ({ type: 'put' as const, key, value })))
    await db.topic<Row>('t', { columns: fields }).sendBatch(rows.map(([, value]) => ({ value })))
    await db.seal()
    await store.compact()
    await db.close()
  })
  const paths = environment.files.listSync(folder).filter(name => name.endsWith('.seg'))
  const outcomes = { right: 0, refused: 0, warned: 0 }
  for (const name of paths) {
    const path = `${folder}/${name}`
    const { size } = environment.disk.file(path)
    for (let at = 0; at < size; at += stride) {
      const damaged = newEnvironment(at, environment.disk.fork(at))
      const file = damaged.files.openSync(path, 'write')
      const byte = new Uint8Array(1)
      file.readSync(byte, at)
      byte[0] = (byte[0] as number) ^ (1 << (at % 8))
      file.writeSync(byte, at)
      file.closeSync()
      const what = `bit ${at % 8} of byte ${at} of ${name}`
      await damaged.drive(async () => {
        const { ok, findings } = await verify(folder, { environment: damaged })
        expect(findings.length, what).toBeGreaterThan(0)
        if (ok) outcomes.warned++
        let db: Database | undefined
        try {
          db = await openTopics(damaged)
          // What is given is what was written, whether it is taken out of columns or of records.
          const store = db.store<Row, number>('s')
          expect([...store.entries()], what).toEqual(rows)
          compareStoreColumns(store, fields, damaged.clock.now(), rows)
          compareTopicColumns(db.topic('t').partition(0), fields, bytes => decode('msgpack', bytes))
          outcomes.right++
        } catch (error) {
          if (!isVarveError(error, 'CORRUPT')) throw error
          outcomes.refused++
        } finally {
          await db?.close().catch(() => undefined) // a damaged database may fail to close
        }
      })
    }
  }
  expect(outcomes.refused).toBeGreaterThan(20)
  // Damage of columns alone: nothing of records is lost.
  expect(outcomes.warned).toBeGreaterThan(20)
}, 120_000)
