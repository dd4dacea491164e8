/**
 * Goal: Kafka's semantics that are easily got wrong, one by one, as readers of topics meet them: fetches within a stored batch, the last stable offset, markers,
 * gaps and batches without records that compaction leaves, and places by time. Those of producers, groups and transactions have tests beside their code.
 */
import { describe, expect, test } from 'vitest'
import { batchBaseOffset, batchLastOffset, batchRecordCount } from '../../../../engine/batch/record-batch.ts'
import type { Database, GroupConsumer, Topic } from '../../../../index.ts'
import { readAll, sleep, withTopics } from '../support.ts'

const textTopic = (db: Database, options: object = {}): Topic<string> => db.topic<string>('t', { value: 'string', ...options })

describe('a fetch within a stored batch', () => {
  test.each(['tail', 'segment'])('gives raw readers the whole batch, and records from its place on (%s)', where =>
    withTopics(1, async db => {
      const topic = textTopic(db)
      await topic.sendBatch(['a', 'b', 'c', 'd'])
      await topic.sendBatch(['e', 'f'])
      if (where === 'segment') await db.seal()
      for (let offset = 0; offset < 6; offset++) {
        const from = { offset }
        for await (const { bytes, positions, nextOffset } of topic.consume({ from, until: 'end' }).raw()) {
          const first = positions[0] as number
          expect([batchBaseOffset(bytes, first), batchLastOffset(bytes, first)]).toEqual(offset < 4 ? [0, 3] : [4, 5])
          expect(nextOffset).toBe(6)
        }
        expect((await readAll(topic.consume({ from, until: 'end' }))).map(({ value }) => value).join('')).toBe('abcdef'.slice(offset))
      }
    }),
  )

  test('a batch larger than maxBytes is given whole, so that no reader is stuck before it', () =>
    withTopics(2, async db => {
      const topic = textTopic(db)
      await topic.sendBatch(['x'.repeat(3000), 'y'.repeat(3000)])
      await topic.send('z')
      for (const isSealed of [false, true]) {
        if (isSealed) await db.seal()
        expect(await readAll(topic.consume({ until: 'end', maxBytes: 1 }))).toHaveLength(3)
        let batches = 0
        for await (const { positions } of topic.consume({ until: 'end', maxBytes: 1 }).raw()) batches += positions.length
        expect(batches).toBe(2)
      }
    }))
})

describe('transactions', () => {
  test('the last stable offset is exclusive, a marker takes exactly one offset, uncommitted readers see aborted records', () =>
    withTopics(3, async db => {
      const topic = textTopic(db)
      const log = topic.partition(0)
      await topic.send('before')
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      await tx.send(topic, 'aborted')
      await topic.send('behind')
      expect([log.lastStableOffset, log.highWatermark]).toEqual([1, 3])
      const read = async (isolation: 'read_committed' | 'read_uncommitted'): Promise<[number, string | null][]> =>
        (await readAll(topic.consume({ until: 'end', isolation }))).map(({ offset, value }) => [offset, value])
      expect(await read('read_committed')).toEqual([[0, 'before']])
      const all = [
        [0, 'before'],
        [1, 'aborted'],
        [2, 'behind'],
      ]
      expect(await read('read_uncommitted')).toEqual(all)
      await tx.abort()
      expect([log.lastStableOffset, log.endOffset]).toEqual([4, 4])
      expect(await topic.send('after')).toMatchObject({ offset: 4 })
      expect(await read('read_committed')).toEqual([
        [0, 'before'],
        [2, 'behind'],
        [4, 'after'],
      ])
      expect(await read('read_uncommitted')).toEqual([...all, [4, 'after']])
    }))

  test('a committed reader that starts within an aborted transaction, or at its marker, sees nothing of it', () =>
    withTopics(4, async db => {
      const topic = textTopic(db)
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      await tx.sendBatch(topic, ['aborted 0', 'aborted 1'])
      await tx.send(topic, 'aborted 2')
      await tx.abort()
      await topic.send('after')
      for (const isSealed of [false, true]) {
        if (isSealed) await db.seal()
        for (let offset = 0; offset <= 4; offset++) {
          const found = await readAll(topic.consume({ from: { offset }, until: 'end' }))
          expect(found.map(({ value }) => value)).toEqual(['after'])
        }
      }
    }))

  test('a commit that is late cannot hit the transaction after it: epochs grow with each', () =>
    withTopics(5, async db => {
      const topic = textTopic(db)
      const producer = db.producer({ transactionalId: 'x' })
      const epochs: number[] = []
      for (const value of ['a', 'b', 'c']) {
        const tx = await producer.begin()
        epochs.push(tx.identity.epoch)
        await tx.send(topic, value)
        await (value === 'b' ? tx.abort() : tx.commit())
        await expect(value === 'b' ? tx.commit() : tx.abort()).rejects.toMatchObject({ code: 'INVALID_TRANSACTION_STATE' })
      }
      expect(new Set(epochs).size).toBe(3)
      expect([...epochs].sort((a, b) => a - b)).toEqual(epochs)
      expect((await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['a', 'c'])
    }))
})

describe('what no reader gets', () => {
  test('a batch that is full ends behind the marker of its transaction, so that nothing is left', () =>
    withTopics(20, async db => {
      const topic = textTopic(db)
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      for (let i = 0; i < 4; i++) await tx.send(topic, `${i}`)
      await tx.commit()
      const consumer = topic.consume({ group: 'g', maxRecords: 4 })
      const batch = await consumer.poll()
      expect(batch?.records).toHaveLength(4)
      expect(batch?.nextOffset).toBe(5)
      await batch?.commit()
      expect(db.describeGroup('g').lag).toBe(0)
      await consumer.close()
    }))

  test.each(['commit', 'commitWith', 'autoCommit'] as const)(
    '%s of a consumer passes an aborted transaction and expired records at the end',
    how =>
      withTopics(21, async (db, environment) => {
        const topic = textTopic(db)
        await topic.sendBatch(['a', 'b'])
        const consumer = topic.consume({ group: 'g', ...(how === 'autoCommit' ? { autoCommit: { intervalMs: 1 } } : {}) })
        expect((await consumer.poll())?.records).toHaveLength(2)
        const tx = await db.producer({ transactionalId: 'x' }).begin()
        await tx.send(topic, 'aborted')
        await tx.abort()
        await topic.send({ value: 'expired', ttlMs: 1 })
        await sleep(environment, 10)
        expect(await consumer.poll({ maxWaitMs: 10 })).toBeUndefined()
        if (how === 'commit') await consumer.commit()
        if (how === 'commitWith') await db.transaction(tx => tx.offsets(consumer))
        await consumer.close()
        expect(db.describeGroup('g')).toMatchObject({ lag: 0, partitions: [{ offset: 5 }] })
      }),
  )

  test('... but never a record that was not handed out', () =>
    withTopics(22, async db => {
      const topic = textTopic(db)
      await topic.sendBatch(['a', 'b', 'c'])
      const consumer = topic.consume({ group: 'g' })
      const offsets: (number | undefined)[] = []
      for await (const { value } of consumer.records()) {
        await consumer.commit()
        offsets.push(db.describeGroup('g').partitions[0]?.offset)
        if (value === 'c') break
      }
      expect(offsets).toEqual([1, 2, 3])
    }))
})

describe('places', () => {
  test('the end is the last stable offset for those who wait for the end of transactions: they miss nothing that is committed later', () =>
    withTopics(23, async (db, environment) => {
      const topic = textTopic(db)
      await topic.send('before')
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      await tx.send(topic, 'within')
      const seen: string[] = []
      const consumers = (['read_committed', 'read_uncommitted'] as const).flatMap(isolation => [
        topic.consume({ from: 'latest', isolation }),
        topic.consume({ group: isolation, autoOffsetReset: 'latest', isolation }),
      ])
      const loops = consumers.map(async (consumer, i) => {
        for await (const { records } of consumer) {
          seen.push(...records.map(({ value }) => `${i} ${value}`))
          if (records.at(-1)?.value === 'behind') break
        }
      })
      await sleep(environment, 1000)
      await tx.commit()
      await topic.send('behind')
      await Promise.all(loops)
      for (const i of [0, 1]) expect(seen).toContain(`${i} within`)
      for (const i of [2, 3]) expect(seen).not.toContain(`${i} within`)
      for (const i of [0, 1, 2, 3]) expect(seen).toContain(`${i} behind`)
    }))

  test('behind the end is out of range: an error, or where autoOffsetReset says', () =>
    withTopics(24, async db => {
      const topic = textTopic(db)
      await topic.sendBatch(['a', 'b'])
      const place = { topic: 't', partition: 0 }
      const consumer = topic.consume({ group: 'g' })
      await consumer.poll()
      consumer.seek(place, 2)
      expect(await consumer.poll({ maxWaitMs: 10 })).toBeUndefined()
      consumer.seek(place, 3)
      expect((await consumer.poll())?.records.map(({ value }) => value)).toEqual(['a', 'b'])
      await consumer.close()
      await db.resetGroup('none', 't', 'latest')
      const onAssigned = (): void => strict.seek(place, 3)
      const strict: GroupConsumer<string> = topic.consume({ group: 'none', autoOffsetReset: 'none', onAssigned })
      await expect(strict.poll()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', details: { endOffset: 2 } })
      await strict.close().catch(() => undefined)
      const plain = topic.consume()
      plain.seek(0, 3)
      await expect(readAll(plain)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', details: { startOffset: 0, endOffset: 2 } })
    }))

  test('partitions that are added are taken up by readers of all that go on for ever, and by tables', () =>
    withTopics(25, async (db, environment) => {
      const topic = textTopic(db)
      const table = topic.table()
      await table.caughtUp()
      const seen: string[] = []
      const consumers = [topic.consume(), topic.consume({ from: 'latest' }), topic.consume({ from: { offset: 0 } })]
      const loops = consumers.map(async (consumer, i) => {
        for await (const { partition, value } of consumer.records()) seen.push(`${i}: ${partition} ${value}`)
      })
      const some = topic.consume({ partitions: [0] })
      const rest = (async () => {
        for await (const { partition } of some.records()) seen.push(`some: ${partition}`)
      })()
      await sleep(environment, 10)
      await topic.addPartitions(3)
      await topic.send({ key: 'k', value: 'new', partition: 2 })
      await sleep(environment, 100)
      expect(seen.sort()).toEqual(['0: 2 new', '1: 2 new', '2: 2 new'])
      expect(table.get('k')).toBe('new')
      for (const consumer of [...consumers, some]) await consumer.close()
      await Promise.all([...loops, rest])
    }))
})

describe('what compaction leaves', () => {
  /** Offsets 0 to 9 are superseded, the batch at the end of what is cleaned stays without records. */
  async function withGaps(db: Database): Promise<Topic<string>> {
    const topic = textTopic(db, { cleanup: 'compact', deleteRetentionMs: 0 })
    for (let i = 0; i < 10; i++) await topic.send({ key: 'k', value: `${i}` })
    await topic.sendBatch([
      { key: 'k', value: null },
      { key: 'l', value: null },
    ])
    await db.seal()
    for (let i = 0; i < 3; i++) await topic.compact()
    return topic
  }

  test('readers pass gaps and batches without records, stand at the end, and go on with what comes', () =>
    withTopics(6, async (db, environment) => {
      const topic = await withGaps(db)
      const log = topic.partition(0)
      const batches = log.read(0).positions.map(position => batchRecordCount(log.read(0).bytes, position))
      expect(batches).toEqual([0])
      expect(await readAll(topic.consume({ until: 'end' }))).toEqual([])
      for await (const _ of topic.consume({ until: 'end' }).raw()) expect(batches).toEqual([0])
      const group = topic.consume({ group: 'g' })
      const plain = topic.consume({ from: { offset: 3 } })
      const seen: string[] = []
      const loops = [group, plain].map(async consumer => {
        for await (const { records } of consumer) {
          seen.push(...records.map(({ offset, value }) => `${offset} ${value}`))
          await consumer.close()
        }
      })
      await sleep(environment, 1000)
      expect([group.lag, plain.lag]).toEqual([0, 0])
      expect(await topic.send({ key: 'k', value: 'new' })).toMatchObject({ offset: 12 })
      await Promise.all(loops)
      expect(seen).toEqual(['12 new', '12 new'])
      expect(log.startOffset).toBe(0)
    }))

  test('a committed offset within a gap is a place to go on from, and lag counts offsets', () =>
    withTopics(7, async db => {
      const topic = await withGaps(db)
      await db.resetGroup('g', 't', { offset: 4 })
      expect(db.describeGroup('g').lag).toBe(8)
      await topic.send({ key: 'k', value: 'new' })
      const consumer = topic.consume({ group: 'g', autoOffsetReset: 'none' })
      const batch = await consumer.poll()
      expect(batch?.records.map(({ offset }) => offset)).toEqual([12])
      await batch?.commit()
      expect(db.describeGroup('g').lag).toBe(0)
      await consumer.close()
    }))
})

describe('places by time', () => {
  test('the first record with at least the time, in the order of offsets, whatever the order of times', () =>
    withTopics(8, async db => {
      const topic = textTopic(db)
      const times = [1000, 3000, 2000, 2000, 5000, 4000]
      for (const timestamp of times) await topic.send({ value: `${timestamp}`, timestamp })
      const expected = (time: number): number | undefined => {
        const found = times.findIndex(each => each >= time)
        return found < 0 ? undefined : found
      }
      for (const isSealed of [false, true]) {
        if (isSealed) await db.seal()
        for (const time of [0, 1000, 1001, 2000, 3000, 3001, 4500, 5000, 5001])
          expect(topic.offsetForTime(0, time), `${time}`).toBe(expected(time))
      }
      await topic.deleteRecords(0, 2)
      expect(topic.offsetForTime(0, 0)).toBe(2)
      expect(await readAll(topic.consume({ from: { time: 9000 }, until: 'end' }))).toEqual([])
    }))

  test('of a record that compaction took: the next that is there', () =>
    withTopics(9, async db => {
      const topic = textTopic(db, { cleanup: 'compact' })
      for (const [key, timestamp] of [
        ['a', 1000],
        ['b', 2000],
        ['a', 3000],
      ] as const)
        await topic.send({ key, value: 'x', timestamp })
      await topic.compact()
      expect([0, 1000, 2000, 2001, 3001].map(time => topic.offsetForTime(0, time))).toEqual([1, 1, 1, 2, undefined])
    }))
})
