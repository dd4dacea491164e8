/**
 * Goal: what Kafka promises of compacted topics holds, in the background and on demand, with random lags, over crashes and reopenings: offsets and order
 * never change, a reader from the start sees at least the final value of each key, tombstones stay their time, young records stay as they are.
 */
import { describe, expect, test } from 'vitest'
import type { SimEnvironment } from '../../../../engine/env/index.ts'
import type { Database, Topic } from '../../../../index.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, readAll, withTopics } from '../support.ts'

const sleep = (environment: SimEnvironment, ms: number) => new Promise<void>(resolve => void environment.timers.after(ms, resolve))

interface Kept {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: string | null
  readonly time: number
}

/** What must hold of `found`, given everything that was sent, in order. */
function check(
  sent: readonly Kept[],
  found: readonly { partition: number; offset: number; key: string | null; value: string | null }[],
  now: number,
  { lagMsMin, deleteRetentionMs }: { lagMsMin: number; deleteRetentionMs: number },
): void {
  const at = (partition: number, offset: number): string => `${partition}:${offset}`
  const byPlace = new Map(sent.map(record => [at(record.partition, record.offset), record]))
  const foundPlaces = new Set(found.map(({ partition, offset }) => at(partition, offset)))
  const wrong: unknown[] = []
  if (foundPlaces.size !== found.length) wrong.push('a record was read twice')
  const last = new Map<number, number>()
  for (const record of found) {
    const { partition, offset, key, value } = record
    const original = byPlace.get(at(partition, offset))
    if (original?.key !== key || original.value !== value) wrong.push(['not what was sent', record, original])
    if (offset <= (last.get(partition) ?? -1)) wrong.push(['out of order', record])
    last.set(partition, offset)
  }
  const final = new Map(sent.map(record => [record.key, record]))
  for (const record of sent) {
    if (foundPlaces.has(at(record.partition, record.offset))) continue
    if (now - record.time < lagMsMin) wrong.push(['taken before its lag', record])
    if (final.get(record.key) === record && (record.value !== null || now - record.time < deleteRetentionMs))
      wrong.push(['a final record is gone', record])
  }
  expect(wrong).toEqual([])
}

test.each([1, 2, 3, 4, 5, 6])('random sends, lags, rounds, crashes and reopenings (seed %d)', async seed => {
  let environment = newEnvironment(seed)
  const { random } = environment
  const limits = { lagMsMin: random.below(2) * 20_000, deleteRetentionMs: random.below(3) * 30_000 }
  const options = {
    cleanup: 'compact' as const,
    value: 'string' as const,
    partitions: 2,
    dirtyRatioMin: random.below(3) / 4,
    compactionLagMsMin: limits.lagMsMin,
    deleteRetentionMs: limits.deleteRetentionMs,
    ...(random.below(2) === 0 ? {} : { compactionLagMsMax: 40_000 }),
  }
  const sent: Kept[] = []
  for (let life = 0; life < 3; life++) {
    const isKilled = random.below(2) === 0
    environment = life === 0 ? environment : newEnvironment(seed * 100 + life, environment.disk)
    await environment.drive(async () => {
      environment.clock.jump(life * 10_000_000)
      const db = await openTopics(environment, { retentionCheckMs: 5000 })
      const topic = db.topic<string | null>('t', options) as Topic<string>
      for (let step = 0; step < 25; step++) {
        const what = random.below(10)
        if (what < 5) {
          const records = Array.from({ length: 1 + random.below(30) }, () => {
            const isTombstone = random.below(5) === 0
            return { key: `k${random.below(12)}`, value: isTombstone ? null : `${random.uint32()}`.padEnd(60) }
          })
          const places = await topic.sendBatch(records)
          for (const [i, { partition, offset, timestamp }] of places.entries())
            sent.push({ partition, offset, ...(records[i] as { key: string; value: string | null }), time: timestamp })
        } else if (what === 5) await db.seal()
        else if (what === 6) await topic.compact()
        else if (what === 7) await db.consolidate()
        else await sleep(environment, random.below(30_000))
        check(sent, await readAll(topic.consume({ until: 'end' })), environment.clock.now(), limits)
      }
      if (isKilled) {
        topic.compact().catch(() => undefined)
        await sleep(environment, random.below(5))
        environment.disk.crash()
      } else await db.close()
    })
  }
})

describe('what makes a round compact', () => {
  const value = 'x'.padEnd(200)
  const fill = async (db: Database, topic: Topic<string>, count: number): Promise<void> => {
    await topic.sendBatch(Array.from({ length: count }, (_, n) => ({ key: `k${n % 4}`, value })))
    await db.seal()
  }
  const cleanedTo = (topic: Topic<string>): number => topic.stats().partitions[0]?.cleanedTo as number

  test('the dirty ratio', () =>
    withTopics(
      1,
      async (db, environment) => {
        const topic = db.topic<string>('t', { value: 'string', cleanup: 'compact', dirtyRatioMin: 0.6 })
        await fill(db, topic, 100)
        expect(topic.stats().partitions[0]).toMatchObject({ dirtyRatio: 1, cleanedTo: 0 })
        await sleep(environment, 2000)
        expect(topic.stats().partitions[0]).toMatchObject({ dirtyRatio: 0, cleanedTo: 100 })
        expect((await readAll(topic.consume({ until: 'end' }))).map(({ offset }) => offset)).toEqual([96, 97, 98, 99])
        await fill(db, topic, 4)
        const { dirtyRatio } = topic.stats().partitions[0] as { dirtyRatio: number }
        expect(dirtyRatio).toBeGreaterThan(0.3)
        expect(dirtyRatio).toBeLessThan(0.6)
        await sleep(environment, 5000)
        expect(cleanedTo(topic)).toBe(100)
        await fill(db, topic, 20)
        await sleep(environment, 2000)
        expect(cleanedTo(topic)).toBe(124)
      },
      { retentionCheckMs: 1000 },
    ))

  test('the maximum lag, for what lies in the tail too; the minimum lag holds it back', () =>
    withTopics(
      2,
      async (db, environment) => {
        const overdue = db.topic<string>('overdue', { value: 'string', cleanup: 'compact', dirtyRatioMin: 1, compactionLagMsMax: 10_000 })
        const young = db.topic<string>('young', { value: 'string', cleanup: 'compact', dirtyRatioMin: 0, compactionLagMsMin: 30_000 })
        await fill(db, overdue, 20)
        await overdue.compact()
        await overdue.sendBatch([1, 2, 3].map(n => ({ key: 'k', value: `${n}` })))
        await fill(db, young, 10)
        await sleep(environment, 8000)
        expect([cleanedTo(overdue), cleanedTo(young)]).toEqual([20, 0])
        await sleep(environment, 5000)
        expect([cleanedTo(overdue), cleanedTo(young)]).toEqual([23, 0])
        await young.compact()
        expect(cleanedTo(young)).toBe(0)
        await sleep(environment, 20_000)
        expect(cleanedTo(young)).toBe(10)
      },
      { retentionCheckMs: 1000 },
    ))

  test("'compact,delete' does both; 'compact' keeps what retention would delete", () =>
    withTopics(3, async (db, environment) => {
      const both = db.topic<string>('both', { value: 'string', cleanup: 'compact,delete', retention: { timeMs: 1000 } })
      const compacted = db.topic<string>('compacted', { value: 'string', cleanup: 'compact', retention: { timeMs: 1000 } })
      for (const topic of [both, compacted]) {
        await fill(db, topic, 20)
        await topic.compact()
        expect(await readAll(topic.consume({ until: 'end' }))).toHaveLength(4)
      }
      await sleep(environment, 2000)
      await db.applyRetention()
      expect(await readAll(both.consume({ until: 'end' }))).toHaveLength(0)
      expect(await readAll(compacted.consume({ until: 'end' }))).toHaveLength(4)
      await expect(db.topic('plain').compact()).rejects.toThrow(/is not compacted/)
    }))

  test('a topic becomes compacted by alter, and back, if all its records have keys', () =>
    withTopics(7, async (db, environment) => {
      const topic = db.topic<string>('t', { value: 'string', partitions: 2, columns: [] })
      await fill(db, topic, 20)
      await topic.addPartitions(3)
      await topic.alter({ cleanup: 'compact', deleteRetentionMs: 5 })
      expect(topic.describe().options).toMatchObject({ cleanup: 'compact', deleteRetentionMs: 5 })
      await topic.compact()
      const kept = await readAll(topic.consume({ until: 'end' }))
      expect(kept).toHaveLength(4)
      await expect(topic.send('no key')).rejects.toMatchObject({ code: 'INVALID_RECORD' })
      // What a restart finds is the same, and engine and topic agree.
      await db.close()
      const again = await openTopics(environment)
      const reopened = again.topic<string>('t', { cleanup: 'compact' })
      await reopened.ready()
      await reopened.send({ key: 'k1', value: 'newer' })
      await reopened.compact()
      expect(reopened.stats().partitions.some(({ cleanedTo }) => cleanedTo > 0)).toBe(true)
      await reopened.alter({ cleanup: 'delete' })
      await reopened.ready()
      expect('cleanup' in reopened.describe().options).toBe(false)
      await expect(reopened.compact()).rejects.toThrow('is not compacted')
      await reopened.send('without a key')
      await again.close()
    }))

  test('a topic with a record without a key does not become compacted, wherever that lies', () =>
    withTopics(8, async db => {
      for (const where of ['segments', 'tail', 'behind many'] as const) {
        const topic = db.topic<string>(`keyless-${where.replace(' ', '-')}`, { value: 'string', partitions: 2 })
        await topic.sendBatch(
          Array.from({ length: where === 'behind many' ? 30_000 : 20 }, (_, i) => ({ key: `k${i % 5}`, value: 'x', partition: 1 })),
        )
        const { offset } = await topic.send({ value: 'keyless', partition: 1 })
        if (where === 'segments') await db.seal()
        await topic.send({ key: 'k', value: 'x', partition: 1 })
        await expect(topic.alter({ cleanup: 'compact,delete' })).rejects.toMatchObject({
          code: 'INVALID_RECORD',
          details: { topic: topic.name, partition: 1, offset },
        })
        expect('cleanup' in topic.describe().options).toBe(false)
        await topic.send('still without a key')
        await topic.deleteRecords(0, topic.partition(0).highWatermark)
        await topic.deleteRecords(1, topic.partition(1).highWatermark)
        await topic.send({ key: 'k', value: 'x' })
        // A marker of a transaction has no key that counts.
        const producer = db.producer({ transactionalId: `p-${where}` })
        const transaction = await producer.begin()
        void transaction.send(topic, { key: 'k', value: 'y' })
        await transaction.commit()
        await topic.alter({ cleanup: 'compact,delete' })
        await topic.compact()
      }
      await expect(db.topic('t').alter({ cleanup: 'all' as never })).rejects.toThrow("cleanup must be 'delete'")
      expect(db.topicNames()).toHaveLength(4)
    }))

  test('reads and writes go on while a topic is compacted', () =>
    withTopics(4, async (db, environment) => {
      const topic = db.topic<string>('t', { value: 'string', cleanup: 'compact' })
      const sent: Kept[] = []
      const send = async (n: number): Promise<void> => {
        const records = Array.from({ length: 20 }, (_, i) => ({ key: `k${(n + i) % 7}`, value: `${n}.${i}`.padEnd(150) }))
        for (const [i, { partition, offset, timestamp }] of (await topic.sendBatch(records)).entries())
          sent.push({ partition, offset, ...(records[i] as { key: string; value: string }), time: timestamp })
      }
      for (let n = 0; n < 20; n++) await send(n)
      const compacting = Promise.all([topic.compact(), topic.compact()])
      for (let n = 20; n < 40; n++) {
        await send(n)
        check(sent, await readAll(topic.consume({ until: 'end' })), environment.clock.now(), { lagMsMin: 0, deleteRetentionMs: 0 })
      }
      await compacting
      await topic.compact()
      expect(await readAll(topic.consume({ until: 'end' }))).toHaveLength(7)
    }))
})
