/** Goal: topics are defined, grown, altered, renamed and deleted as promised; records come back as sent, in order, from tail and segments; bad input is named. */
import { describe, expect, test } from 'vitest'
import type { TopicOptions } from '../../../../index.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, readAll, withTopics } from '../support.ts'

interface Order {
  readonly customer: string
  readonly total: number
}

describe('definitions', () => {
  test('a handle works at once, and the topic is there after a reopen', async () => {
    const environment = newEnvironment(1)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const orders = db.topic<Order>('orders', { partitions: 3, key: 'customer' })
      await orders.send({ customer: 'ada', total: 1 })
      await db.close()
      db = await openTopics(environment)
      const again = db.topic<Order>('orders')
      expect(again.partitionCount).toBe(3)
      expect((await readAll(again.consume({ until: 'end' }))).map(({ key, value }) => [key, value])).toEqual([
        ['ada', { customer: 'ada', total: 1 }],
      ])
      expect(db.topicNames()).toEqual(['orders'])
      await db.close()
    })
  })

  test('an option that differs is refused by name, with the way to change it', () =>
    withTopics(2, async db => {
      await db.topic('t', { partitions: 2, value: 'json', retention: { timeMs: 1000 } }).ready()
      const refused: [TopicOptions, string, string][] = [
        [{ partitions: 3 }, 'partitions', 'addPartitions'],
        [{ value: 'string' }, 'value', 'cannot change'],
        [{ cleanup: 'compact' }, 'cleanup', 'alter'],
        [{ key: 'a.b' }, 'key', 'cannot change'],
        [{ retention: { timeMs: 5 } }, 'retention', 'alter'],
      ]
      for (const [options, option, hint] of refused) {
        const handle = db.topic('t', options)
        await expect(handle.ready()).rejects.toMatchObject({ code: 'DEFINITION_MISMATCH', details: { option } })
        await expect(handle.send(1)).rejects.toThrow(hint)
        expect(() => handle.consume()).toThrow(option)
      }
      await db.topic('t', { partitions: 2, value: 'json', retention: { timeMs: 1000 } }).ready()
    }))

  test('partitions grow, options are altered, and both survive', async () => {
    const environment = newEnvironment(3)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const topic = db.topic('t', { value: 'string' })
      await topic.send('a')
      await topic.addPartitions(4)
      await topic.alter({ retention: { bytes: 100 }, compression: 'gzip' })
      await topic.send({ value: 'b', partition: 3 })
      await expect(topic.addPartitions(3)).rejects.toThrow(/partitions must not be fewer/)
      await db.close()
      db = await openTopics(environment)
      const again = db.topic('t')
      expect(again.describe().options).toMatchObject({ partitions: 4, retention: { bytes: 100 }, compression: 'gzip' })
      expect((await readAll(again.consume({ until: 'end' }))).map(({ partition, value }) => [partition, value])).toEqual([
        [0, 'a'],
        [3, 'b'],
      ])
      await db.close()
    })
  })

  test('a rename moves all partitions at once, handles go on; a deleted topic is gone', () =>
    withTopics(4, async db => {
      const topic = db.topic('old', { partitions: 3, value: 'string' })
      const other = db.topic('other')
      await topic.send({ value: 'a', partition: 2 })
      await expect(db.renameTopic('old', 'other')).rejects.toMatchObject({ code: 'EXISTS' })
      await db.renameTopic('old', 'new')
      expect([topic.name, db.topicNames()]).toEqual(['new', ['new', 'other']])
      await topic.send({ value: 'b', partition: 2 })
      expect((await readAll(db.topic('new').consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['a', 'b'])
      await db.deleteTopic('new')
      await expect(topic.send('c')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(db.deleteTopic('new')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(await readAll(db.topic('new').consume({ until: 'end' }))).toEqual([])
      expect(other.name).toBe('other')
    }))

  test('names and options that cannot be are refused by name', () =>
    withTopics(5, async db => {
      for (const name of ['', '.', '..', 'a/b', 'ä', 'x'.repeat(250), '__mine']) expect(() => db.topic(name)).toThrow(/^name must/)
      const bad: [unknown, RegExp][] = [
        [{ partitions: 0 }, /^partitions must/],
        [{ partitions: 1.5 }, /^partitions must/],
        [{ key: 1 }, /^key must/],
        [{ key: '' }, /^key must/],
        [{ keyCodec: 'x' }, /^keyCodec must/],
        [{ value: 'x' }, /^value must/],
        [{ partitioner: 1 }, /^partitioner must/],
        [{ timestamps: 'x' }, /^timestamps must/],
        [{ cleanup: 'x' }, /^cleanup must/],
        [{ retention: 5 }, /^retention must/],
        [{ retention: { timeMs: -1 } }, /^retention.timeMs must/],
        [{ retention: { byte: 1 } }, /retention: byte/],
        [{ compression: 'x' }, /^compression must/],
        [{ recordBytesMax: 0 }, /^recordBytesMax must/],
        [{ dirtyRatioMin: 2 }, /^dirtyRatioMin must/],
        [{ deleteRetentionMs: Number.NaN }, /^deleteRetentionMs must/],
        [{ partition: 1 }, /unknown option of a topic: partition/],
        [5, /^options must/],
      ]
      for (const [options, message] of bad) expect(() => db.topic('t', options as TopicOptions)).toThrow(message)
      expect(db.topicNames()).toEqual([])
    }))
})

describe('records', () => {
  test('of one key stay in order in one partition; keyless ones are spread', () =>
    withTopics(6, async db => {
      const topic = db.topic<number>('t', { partitions: 4 })
      const sent = await Promise.all(Array.from({ length: 200 }, (_, i) => topic.send({ key: `k${i % 5}`, value: i })))
      for (let k = 0; k < 5; k++) expect(new Set(sent.filter((_, i) => i % 5 === k).map(({ partition }) => partition)).size).toBe(1)
      await db.seal()
      await topic.sendBatch(Array.from({ length: 100 }, (_, i) => ({ key: `k${i % 5}`, value: 200 + i })))
      const all = await readAll(topic.consume({ until: 'end', maxRecords: 7 }))
      expect(all.length).toBe(300)
      for (let k = 0; k < 5; k++) {
        const values = all.filter(({ key }) => key === `k${k}`).map(({ value }) => value as number)
        expect(values).toEqual([...values].sort((a, b) => a - b))
        expect(values.length).toBe(60)
      }
      const keyless = await topic.sendBatch(Array.from({ length: 3000 }, () => ({ value: 12345678, headers: { a: 'x'.repeat(50) } })))
      expect(new Set(keyless.map(({ partition }) => partition)).size).toBeGreaterThan(1)
    }))

  test('carry headers and times, and tombstones; bytes may be written again after send', () =>
    withTopics(7, async db => {
      const topic = db.topic<Uint8Array>('t', { value: 'bytes' })
      const bytes = Uint8Array.of(1, 2, 3)
      const sending = topic.send({ key: 'k', value: bytes, timestamp: 5, headers: { a: 'x', b: null, c: Uint8Array.of(9) } })
      bytes.fill(0)
      expect(await sending).toMatchObject({ partition: 0, offset: 0, timestamp: 5, duplicate: false })
      await topic.send({ key: 'k', value: null })
      const records = []
      for await (const record of topic.consume({ until: 'end' }).records()) records.push(record)
      expect(records.map(({ value }) => value)).toEqual([Uint8Array.of(1, 2, 3), null])
      expect(records[0]?.timestamp).toBe(5)
      expect([records[0]?.header('a'), records[0]?.header('b'), records[0]?.headers.length]).toEqual(['x', undefined, 3])
      expect(records[1]?.keyBytes).toEqual(new TextEncoder().encode('k'))
      // As a list a name may come twice, and text is taken as in an object; a producer keeps none of the caller's bytes either.
      const value = Uint8Array.of(4, 5)
      const headers = [
        { key: 'a', value },
        { key: 'a', value: 'é' as unknown as Uint8Array },
      ]
      const sent = topic.producer({ lingerMs: 1 }).send({ value: bytes, headers })
      value.fill(0)
      const { offset } = await sent
      for await (const record of topic.consume({ from: { offset }, until: 'end' }).records())
        expect(record.headers.map(header => [header.key, [...(header.value ?? [])]])).toEqual([
          ['a', [4, 5]],
          ['a', [0xc3, 0xa9]],
        ])
    }))

  test('what a topic does not take is refused, and nothing of its batch is appended', () =>
    withTopics(8, async db => {
      const topic = db.topic<string>('t', { partitions: 2, value: 'string', cleanup: 'compact', recordBytesMax: 100 })
      const bad: [unknown, object][] = [
        [{ value: 'x' }, { code: 'INVALID_RECORD' }],
        [{ key: 'k', value: 'x', timestamp: 1e15 }, { code: 'INVALID_RECORD' }],
        [
          { key: 'k', value: 'x'.repeat(100) },
          { code: 'TOO_LARGE', details: { limit: 'recordBytesMax' } },
        ],
        [{ key: 'k', value: 'é'.repeat(50) }, { code: 'TOO_LARGE' }],
        [{ key: 'k', value: 5 }, { message: expect.stringMatching(/^value must be a string/) }],
        [{ key: 5, value: 'x' }, { message: expect.stringMatching(/^key must be a string/) }],
        [{ key: 'k', value: '\ud800' }, { message: expect.stringMatching(/surrogate/) }],
        [{ key: 'k', value: 'x', partition: 2 }, { message: expect.stringMatching(/^partition must/) }],
        [{ key: 'k', value: 'x', timestamp: -1 }, { message: expect.stringMatching(/^timestamp must/) }],
        [{ key: 'k', value: 'x', headers: { a: 5 } }, { message: expect.stringMatching(/^headers.a must/) }],
        [{ key: 'k', value: 'x', headers: [{ key: 5, value: null }] }, { message: expect.stringMatching(/^headers must have a key/) }],
        [{ key: 'k', value: 'x', headers: [null] }, { message: expect.stringMatching(/^headers must have a key/) }],
        [{ key: 'k', value: 'x', headers: [{ key: 'a' }] }, { message: expect.stringMatching(/^headers.a must/) }],
        [undefined, { message: expect.stringMatching(/^value must not be undefined/) }],
      ]
      for (const [record, error] of bad) {
        await expect(topic.send(record as string)).rejects.toMatchObject(error)
        await expect(topic.sendBatch([{ key: 'good', value: 'x' }, record as string])).rejects.toMatchObject(error)
      }
      expect(await readAll(topic.consume({ until: 'end' }))).toEqual([])
    }))

  test('sent in a transaction are there with its writes, behind what was sent before it, or not at all', () =>
    withTopics(9, async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const store = db.store<number>('s')
      const before = topic.send('before')
      await db.transaction(tx => {
        tx.store(store).put('n', 1)
        tx.topic(topic).send('in')
        tx.topic(topic).sendBatch(['in too', { value: 'and this' }])
      })
      await before
      await db.transaction(tx => {
        tx.topic(topic).send('never')
        tx.abort()
      })
      await expect(
        db.transaction(tx => {
          tx.topic(topic).send('nor this')
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      expect((await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['before', 'in', 'in too', 'and this'])
      expect(store.get('n')).toBe(1)
    }))
})

describe('a consumer', () => {
  test('goes on with what comes, from where it was told, and ends by close and by signal', () =>
    withTopics(10, async db => {
      const topic = db.topic<number>('t', { partitions: 2 })
      await topic.sendBatch([
        { value: 1, partition: 0 },
        { value: 2, partition: 1 },
        { value: 3, partition: 0 },
      ])
      const seen: number[] = []
      const consumer = topic.consume({ from: 'latest' })
      const loop = (async () => {
        for await (const { records } of consumer)
          for (const { value } of records) if (seen.push(value as number) === 2) await consumer.close()
      })()
      await topic.send({ value: 4, partition: 1 })
      await topic.send({ value: 5, partition: 0 })
      await loop
      expect(seen).toEqual([4, 5])
      const end = new AbortController()
      const later: number[] = []
      const waiting = (async () => {
        for await (const record of topic.consume({ from: { offset: 2 }, partitions: [0], signal: end.signal }).records()) {
          if (later.push(record.value as number) === 2) end.abort()
        }
      })()
      await topic.send({ value: 6, partition: 0 })
      await waiting
      expect(later).toEqual([5, 6])
      expect((await readAll(topic.consume({ until: 'end', from: { time: 0 } }))).length).toBe(6)
      expect(() => topic.consume({ from: { offset: 99 } })).toThrow(expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }))
    }))

  test('pauses, resumes, seeks, and says its place', () =>
    withTopics(11, async db => {
      const topic = db.topic<number>('t', { partitions: 2 })
      for (let i = 0; i < 10; i++) await topic.send({ value: i, partition: i % 2 })
      const consumer = topic.consume({ maxRecords: 1 })
      expect(consumer.lag).toBe(10)
      consumer.pause([1])
      const seen: number[] = []
      for await (const { partition, records } of consumer) {
        seen.push(records[0]?.value as number)
        if (seen.length === 2) consumer.seek(0, 0)
        if (seen.length === 4) {
          consumer.pause([0])
          consumer.resume([1])
        }
        if (seen.length === 6) break
        expect(consumer.position(partition)).toBeLessThanOrEqual(5)
      }
      expect(seen).toEqual([0, 2, 0, 2, 1, 3])
      expect(() => consumer.position(7)).toThrow(RangeError)
    }))

  test('record by record, a seek, a pause and the end count from the next record on, not from the next batch', () =>
    withTopics(13, async db => {
      const topic = db.topic<number>('t', { partitions: 2 })
      for (const partition of [0, 1]) await topic.sendBatch(Array.from({ length: 5 }, (_, i) => ({ value: 10 * partition + i, partition })))
      const consumer = topic.consume()
      const seen: number[] = []
      for await (const { value } of consumer.records()) {
        seen.push(value as number)
        if (seen.length === 3) consumer.seek(0, 1)
        if (seen.length === 5) consumer.pause([0])
        if (seen.length === 7) {
          consumer.pause([1])
          consumer.resume([0])
        }
        if (seen.length === 9) consumer.resume([1])
        if (seen.length === 12)
          void topic.sendBatch([
            { value: 15, partition: 1 },
            { value: 16, partition: 1 },
          ])
        if (seen.length === 13) await consumer.close()
      }
      expect(seen).toEqual([0, 1, 2, 10, 11, 12, 13, 1, 2, 3, 4, 14, 15])
    }))

  test('reads transactions as its isolation says', () =>
    withTopics(12, async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const log = topic.partition(0)
      const producer = { id: 7, epoch: 0, sequence: 0 }
      await topic.send('a')
      await log.appendRecords([{ value: 'open' }], { producer, transactional: true }).acknowledged
      await topic.send('b')
      const values = async (isolation: 'read_committed' | 'read_uncommitted') =>
        (await readAll(topic.consume({ until: 'end', isolation }))).map(({ value }) => value)
      expect(await values('read_committed')).toEqual(['a'])
      expect(await values('read_uncommitted')).toEqual(['a', 'open', 'b'])
    }))
})
