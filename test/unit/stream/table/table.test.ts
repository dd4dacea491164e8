/** Goal: a table has the newest value of each key, says where it stands, lets wait for one's own write, and goes on after a crash where it stood. */
import { expect, test } from 'vitest'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, withTopics } from '../support.ts'

test('newest values, tombstones, ranges, offsets, reading own writes', () =>
  withTopics(1, async db => {
    const topic = db.topic<{ n: number }>('t', { partitions: 3 })
    const table = topic.table()
    expect(topic.table()).toBe(table)
    expect(db.table('t')).toBe(table)
    expect(() => db.table('nobody')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    expect(db.topicNames()).toEqual(['t'])
    await topic.sendBatch(['a', 'b', 'c', 'd'].map((key, n) => ({ key, value: { n } })))
    await table.caughtUp()
    expect([...table]).toEqual([
      ['a', { n: 0 }],
      ['b', { n: 1 }],
      ['c', { n: 2 }],
      ['d', { n: 3 }],
    ])
    const sent = await topic.send({ key: 'b', value: { n: 10 } })
    await table.caughtUp(sent)
    expect(table.get('b')).toEqual({ n: 10 })
    expect(table.offsets()[sent.partition]).toBe(sent.offset + 1)
    await table.caughtUp([await topic.send({ key: 'c', value: null })])
    expect([table.has('c'), table.get('c'), table.count()]).toEqual([false, undefined, 3])
    expect(table.getMany(['a', 'c'])).toEqual([{ n: 0 }, undefined])
    expect([...table.keys({ gt: 'a' })]).toEqual(['b', 'd'])
    expect([...table.values({ lte: 'b', reverse: true, limit: 1 })]).toEqual([{ n: 10 }])
    await topic.addPartitions(5)
    await table.caughtUp(await topic.send({ value: { n: 99 }, key: 'z', partition: 4 }))
    expect(table.get('z')).toEqual({ n: 99 })
    const late = table.caughtUp({ partition: 0, offset: 1e6 })
    await table.close()
    await expect(late).rejects.toThrow('closed')
    expect(topic.table()).not.toBe(table)
  }))

test.each([1, 2, 3, 4])(
  'over crashes and reopenings it equals the fold of its topic, retention and compaction included (seed %d)',
  async seed => {
    let environment = newEnvironment(seed)
    const { random } = environment
    const newest = new Map<string, string>()
    for (let life = 0; life < 4; life++) {
      if (life > 0) environment = newEnvironment(seed * 100 + life, environment.disk)
      await environment.drive(async () => {
        const db = await openTopics(environment)
        const topic = db.topic<string>('t', { cleanup: 'compact,delete', retention: { bytes: 20_000 }, value: 'string', partitions: 2 })
        const table = topic.table()
        for (let step = 0; step < 12; step++) {
          const records = Array.from({ length: random.below(40) }, () => {
            const value = random.below(5) === 0 ? null : `${random.uint32()}`.padEnd(80)
            return { key: `k${random.below(30)}`, value }
          })
          await topic.sendBatch(records)
          for (const { key, value } of records) value === null ? newest.delete(key) : newest.set(key, value)
          if (random.below(3) > 0) continue
          await table.caughtUp()
          expect(new Map(table)).toEqual(newest)
          if (random.below(2) === 0) await topic.compact()
          else await topic.applyRetention()
        }
        if (random.below(2) === 0) await table.caughtUp()
        if (random.below(2) === 0) environment.disk.crash()
        else await db.close()
      })
    }
    environment = newEnvironment(seed * 1000, environment.disk)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const table = db.topic<string>('t').table()
      await table.caughtUp()
      expect(new Map(table)).toEqual(newest)
      await db.deleteTopic('t')
      await expect(table.caughtUp({ partition: 0, offset: 1e6 })).rejects.toThrow()
      await db.close()
    })
  },
)
