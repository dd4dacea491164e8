/** Goal: a producer gathers by its bounds and loses, doubles and reorders nothing; identities recognise what is sent again, across flush, compaction and restart. */
import { channel } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import type { ProducerMessage, ProducerOptions, Sent } from '../../../../index.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, readAll, sleep, withTopics } from '../support.ts'

const line = (n: number): string => `line ${n}`

describe('bounds', () => {
  test('linger 0 appends at the end of the turn as one batch, a linger gathers turns, flush and close do not wait for it', () =>
    withTopics(1, async (db, environment) => {
      const topic = db.topic<string>('t', { value: 'string' })
      const log = topic.partition(0)
      const prompt = topic.producer()
      void prompt.send('a')
      void prompt.send('b')
      expect(log.endOffset).toBe(0)
      await Promise.resolve()
      expect(log.endOffset).toBe(2)
      expect(log.read(0, { bound: 'end' }).positions).toHaveLength(1)

      const lazy = topic.producer({ lingerMs: 50 })
      const first = lazy.send('c')
      await sleep(environment, 20)
      const second = lazy.send('d')
      expect([log.endOffset, lazy.bufferedBytes]).toEqual([2, 2])
      expect([await first, await second].map(({ offset }) => offset)).toEqual([2, 3])
      expect(log.read(2).positions).toHaveLength(1)

      const third = lazy.send('e')
      await lazy.flush()
      expect((await third).offset).toBe(4)
      const fourth = lazy.send('f')
      await lazy.close()
      expect((await fourth).offset).toBe(5)
      await expect(lazy.send('g')).rejects.toMatchObject({ code: 'CLOSED' })
      await lazy.close()
    }))

  test('a full batch is appended at once; commits in flight are bounded and what comes meanwhile gathers', () =>
    withTopics(2, async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const log = topic.partition(0)
      const full = topic.producer({ lingerMs: 10_000, batchBytes: 10 })
      const sent = [full.send('12345'), full.send('67890')]
      expect(log.endOffset).toBe(2)
      await Promise.all(sent)

      const bounded = topic.producer({ inFlightMax: 1, batchBytes: 1 })
      const all = ['a', 'b', 'c', 'd'].map(value => bounded.send(value))
      expect(log.endOffset).toBe(3)
      expect((await Promise.all(all)).map(({ offset }) => offset)).toEqual([2, 3, 4, 5])
    }))

  test('BUSY only above bufferedBytesMax, and what was taken arrives', () =>
    withTopics(3, async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const producer = topic.producer({ bufferedBytesMax: 10, lingerMs: 5 })
      const taken = ['12345', '67890'].map(value => producer.send(value))
      await expect(producer.send('x')).rejects.toMatchObject({ code: 'BUSY', details: { limit: 'bufferedBytesMax' } })
      await Promise.all(taken)
      expect(producer.bufferedBytes).toBe(0)
      expect((await producer.send('x')).offset).toBe(2)
    }))

  test('back-pressure of the engine delays, keeps the order, and refuses nothing', () =>
    withTopics(
      4,
      async db => {
        const topic = db.topic<string>('t', { value: 'string' })
        const producer = topic.producer({ batchBytes: 1000 })
        const sent: Promise<Sent>[] = []
        for (let i = 0; i < 300; i++) sent.push(producer.send(`${i}`.padEnd(500, '.')))
        expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual(Array.from({ length: 300 }, (_, i) => i))
        const read = await readAll(topic.consume({ until: 'end' }))
        expect(read.map(({ value }) => Number.parseInt(value as string, 10))).toEqual(Array.from({ length: 300 }, (_, i) => i))
      },
      { tailBytesMax: 64 * 1024 },
    ))

  test('a topic deleted meanwhile refuses its own records only; close of the database flushes producers', async () => {
    const environment = newEnvironment(5)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const producer = db.producer({ lingerMs: 1000 })
      const gone = db.topic<string>('gone', { value: 'string' })
      const kept = db.topic<string>('kept', { value: 'string' })
      const refused = producer.send(gone, 'a')
      const taken = producer.send(kept, 'b')
      refused.catch(() => undefined)
      await db.deleteTopic('gone')
      const last = producer.send(kept, 'c')
      await db.close()
      await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect([(await taken).offset, (await last).offset]).toEqual([0, 1])
      db = await openTopics(environment)
      expect(await readAll(db.topic('kept').consume({ until: 'end' }))).toHaveLength(2)
      await db.close()
    })
  })

  test('bad options and bad calls are named', () =>
    withTopics(6, async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const bad: [ProducerOptions, RegExp][] = [
        [{ lingerMs: -1 }, /lingerMs/],
        [{ batchBytes: 0 }, /batchBytes/],
        [{ inFlightMax: 0 }, /inFlightMax/],
        [{ bufferedBytesMax: Number.NaN }, /bufferedBytesMax/],
        [{ id: '' }, /id must/],
        [{ id: 'a', transactionalId: 'b' }, /exclude each other/],
        [{ id: 'a', idempotent: false }, /idempotent/],
        [{ id: 'a', identity: { id: 0, epoch: 0 } }, /identity excludes/],
        [{ identity: { id: -1, epoch: 0 } }, /identity must/],
        [{ transactionTimeoutMs: 15 * 60 * 1000 + 1 }, /transactionTimeoutMs/],
        [{ linger: 1 } as unknown as ProducerOptions, /unknown option of a producer: linger/],
      ]
      for (const [options, message] of bad) expect(() => db.producer(options)).toThrow(message)
      const plain = topic.producer()
      expect(plain.identity).toBeUndefined()
      await expect(plain.send('a', { sequence: 1 })).rejects.toThrow(/sequence needs a producer with an id/)
      expect(() => plain.lastSequence()).toThrow(/an id/)
      await expect(plain.begin()).rejects.toThrow(/transactionalId/)
      await expect(plain.appendBatch(0, ['a'])).rejects.toThrow(/idempotent/)
      const named = topic.producer({ id: 'n' })
      await expect(named.send('a', { sequence: -1 })).rejects.toThrow(/sequence must/)
      await expect(named.appendBatch(0, ['a'])).rejects.toThrow(/without a name/)
      await expect(topic.producer({ transactionalId: 'x' }).send('a')).rejects.toThrow(/begin\(\)/)
    }))
})

describe('idempotent', () => {
  test('one of the last five batches sent again is answered with its old offsets, after flush and restart too; others are refused', async () => {
    const environment = newEnvironment(10)
    const batch = (n: number): string[] => [line(n), line(n + 1)]
    await environment.drive(async () => {
      let db = await openTopics(environment)
      let topic = db.topic<string>('t', { value: 'string' })
      const producer = topic.producer({ idempotent: true })
      const appended = []
      for (let n = 0; n < 14; n += 2) appended.push(await producer.appendBatch(0, batch(n)))
      expect(appended.map(({ sequence, baseOffset, duplicate }) => [sequence, baseOffset, duplicate])).toEqual(
        [0, 2, 4, 6, 8, 10, 12].map(n => [n, n, false]),
      )
      const { identity } = producer
      await db.seal()
      await db.close()

      db = await openTopics(environment)
      topic = db.topic<string>('t', { value: 'string' })
      const again = topic.producer({ identity })
      for (const sequence of [4, 6, 8, 10, 12]) {
        expect(await again.appendBatch(0, batch(sequence), { sequence })).toEqual({
          partition: 0,
          baseOffset: sequence,
          endOffset: sequence + 2,
          sequence,
          duplicate: true,
        })
      }
      await expect(again.appendBatch(0, batch(2), { sequence: 2 })).rejects.toMatchObject({
        code: 'OUT_OF_ORDER_SEQUENCE',
        details: { expected: 14, actual: 2 },
      })
      await expect(again.appendBatch(0, batch(16), { sequence: 16 })).rejects.toMatchObject({ code: 'OUT_OF_ORDER_SEQUENCE' })
      expect(await again.appendBatch(0, batch(14), { sequence: 14 })).toMatchObject({ baseOffset: 14, duplicate: false })
      expect(await again.send('next')).toMatchObject({ offset: 16, duplicate: false })
      // Another epoch of the same id: older ones are fenced.
      const id = identity?.id as number
      await topic.producer({ identity: { id, epoch: 1 } }).send('newer')
      await expect(again.send('late')).rejects.toMatchObject({ code: 'PRODUCER_FENCED', details: { expected: 1, actual: 0 } })
      expect(topic.producer({ idempotent: true }).identity?.id).not.toBe(id)
      expect(topic.partition(0).endOffset).toBe(18)
      await db.close()
    })
  })

  test('a batch is still recognised when retention has taken all records, at hardly any space, until a day is over', async () => {
    const environment = newEnvironment(13)
    await environment.drive(async () => {
      let db = await openTopics(environment, { autoConsolidate: false, ownSegmentBytes: 1024 })
      let topic = db.topic<string>('t', { value: 'string', retention: { timeMs: 1000 } })
      const producer = topic.producer({ idempotent: true })
      for (let n = 0; n < 3; n++) await producer.appendBatch(0, [line(n).padEnd(3000)])
      const { identity } = producer
      await db.seal()
      await sleep(environment, 2000)
      expect(await topic.applyRetention()).toHaveLength(1)
      await db.consolidate()
      expect(db.stats().segments.liveBytes).toBeLessThan(2000)
      await db.close()

      db = await openTopics(environment, { autoConsolidate: false })
      topic = db.topic<string>('t', { value: 'string' })
      expect(topic.partition(0)).toMatchObject({ startOffset: 3, endOffset: 3 })
      const again = topic.producer({ identity })
      for (let sequence = 0; sequence < 3; sequence++)
        expect(await again.appendBatch(0, [line(sequence).padEnd(3000)], { sequence })).toMatchObject({
          duplicate: true,
          baseOffset: sequence,
        })
      await expect(again.appendBatch(0, ['gap'], { sequence: 4 })).rejects.toMatchObject({ code: 'OUT_OF_ORDER_SEQUENCE' })
      const { parts } = db.stats().segments
      await sleep(environment, 24 * 60 * 60 * 1000)
      await db.reclaim()
      expect(db.stats().segments.parts).toBe(parts - 1)
      await db.close()
      db = await openTopics(environment, { autoConsolidate: false })
      topic = db.topic<string>('t', { value: 'string' })
      // Forgotten: it may begin anywhere.
      expect(await topic.producer({ identity }).appendBatch(0, ['x'], { sequence: 7 })).toMatchObject({ duplicate: false, baseOffset: 3 })
      await db.close()
    })
  })

  test('a batch whose records compaction has taken is still recognised', () =>
    withTopics(12, async db => {
      const topic = db.topic<string>('t', { value: 'string', cleanup: 'compact' })
      const producer = topic.producer({ idempotent: true })
      for (let n = 0; n < 3; n++) await producer.appendBatch(0, [{ key: 'k', value: line(n) }])
      await topic.send({ key: 'k', value: 'newest' })
      await db.seal()
      await topic.send({ key: 'k', value: 'in the tail' })
      await db.compactLog('topic/t/0')
      expect((await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['newest', 'in the tail'])
      for (let sequence = 0; sequence < 3; sequence++) {
        const again = await producer.appendBatch(0, [{ key: 'k', value: line(sequence) }], { sequence })
        expect(again).toMatchObject({ duplicate: true, baseOffset: sequence })
      }
      expect(topic.partition(0).endOffset).toBe(5)
    }))

  test('state outlives ten idle minutes, and old timestamps, but not a day without a sign of life', async () => {
    const environment = newEnvironment(11)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const topic = db.topic<string>('t', { value: 'string' })
      const producer = topic.producer({ idempotent: true })
      const other = topic.producer()
      const record = { value: 'old', timestamp: 1 }
      await producer.appendBatch(0, [record], { sequence: 0 })
      await db.seal()
      await sleep(environment, 11 * 60 * 1000)
      await other.send('x')
      await db.seal()
      expect(await producer.appendBatch(0, [record], { sequence: 0 })).toMatchObject({ duplicate: true, baseOffset: 0 })
      await sleep(environment, 24 * 60 * 60 * 1000 + 1)
      await other.send('y')
      await db.seal()
      // Forgotten: it may begin anywhere.
      expect(await producer.appendBatch(0, ['again'], { sequence: 7 })).toMatchObject({ duplicate: false, baseOffset: 3 })
      await db.close()
    })
  })
})

describe('named', () => {
  test('lines without a key that are read again from far back are duplicates, whatever partition they would go to now', async () => {
    const environment = newEnvironment(22)
    await environment.drive(async () => {
      const all = Array.from({ length: 40 }, (_, n) => line(n))
      for (let life = 0; life < 4; life++) {
        const db = await openTopics(environment)
        const topic = db.topic<string>('t', { value: 'string', partitions: 4 })
        const loader = topic.producer({ id: 'loader' })
        // Ten lines more in each life, from the first one on.
        for (let n = 0; n < 10 * (life + 1); n++) {
          const sent = await loader.send(all[n] as string, { sequence: n })
          expect(sent.duplicate).toBe(n < 10 * life)
        }
        const values = (await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)
        expect(values.sort()).toEqual(all.slice(0, 10 * (life + 1)).sort())
        await db.close()
      }
    })
  })

  test('no sequence is taken above one that was refused for want of room, so that nothing is missing below the last', () =>
    withTopics(24, async db => {
      const topic = db.topic<string>('t', { value: 'string', partitions: 2 })
      const loader = topic.producer({ id: 'loader', bufferedBytesMax: 8, lingerMs: 10 })
      const sent = [0, 1].map(n => loader.send('1234', { sequence: n }))
      await expect(loader.send('5', { sequence: 2 })).rejects.toMatchObject({ code: 'BUSY' })
      await Promise.all(sent)
      await expect(loader.send('6', { sequence: 3 })).rejects.toMatchObject({
        code: 'OUT_OF_ORDER_SEQUENCE',
        details: { id: 'loader', topic: 't', expected: 2, actual: 3 },
      })
      expect(loader.lastSequence()).toBe(1)
      await loader.sendBatch(['5', '6'], { sequence: 2 })
      expect(loader.lastSequence()).toBe(3)
      // Whoever counts nothing has nothing to send again in order.
      const more = [loader.send('1234'), loader.send('1234')]
      await expect(loader.send('x')).rejects.toMatchObject({ code: 'BUSY' })
      await Promise.all(more)
      await loader.send('y')
      expect(loader.lastSequence()).toBe(6)
    }))

  test('what is gathered for a topic is one commit, also when another topic of it was deleted', () =>
    withTopics(23, async db => {
      const kept = db.topic<string>('kept', { value: 'string', partitions: 2 })
      const gone = db.topic<string>('gone', { value: 'string' })
      const producer = db.producer({ id: 'loader', lingerMs: 100 })
      const sent = [0, 1].map(partition => producer.send(kept, { value: line(partition), partition }, { sequence: partition }))
      const refused = producer.send(gone, 'x')
      refused.catch(() => undefined)
      await db.deleteTopic('gone')
      const before = db.stats().commitLog.commits
      void producer.flush()
      expect(db.stats().commitLog.commits).toBe(before + 1)
      expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([0, 0])
      await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }))

  test('opening the name again, here or after a restart, fences the one before', async () => {
    const environment = newEnvironment(20)
    const fenced: ProducerMessage[] = []
    const listener = (message: unknown): void => void fenced.push(message as ProducerMessage)
    channel('varve:producer').subscribe(listener)
    try {
      await environment.drive(async () => {
        let db = await openTopics(environment)
        let topic = db.topic<string>('t', { value: 'string' })
        const first = topic.producer({ id: 'loader' })
        await first.send('a')
        const second = topic.producer({ id: 'loader' })
        expect(second.identity).toEqual({ id: first.identity?.id, epoch: 1 })
        await expect(first.send('b')).rejects.toMatchObject({
          code: 'PRODUCER_FENCED',
          details: { id: 'loader', reason: 'replaced', expected: 1, actual: 0 },
        })
        await second.send('c')
        expect(fenced).toEqual([{ database: db.path, type: 'fenced', id: 'loader', producerId: first.identity?.id, epoch: 0 }])
        await db.close()
        db = await openTopics(environment)
        topic = db.topic<string>('t', { value: 'string' })
        const third = topic.producer({ id: 'loader' })
        expect(third.identity).toEqual({ id: first.identity?.id, epoch: 2 })
        await third.send('d')
        expect((await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['a', 'c', 'd'])
        expect(db.producerNames()).toEqual(['loader'])
        await db.forgetProducer('loader')
        await expect(third.send('e')).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
        await expect(db.forgetProducer('loader')).rejects.toMatchObject({ code: 'NOT_FOUND' })
        expect(topic.producer({ id: 'loader' }).lastSequence()).toBeUndefined()
        await db.close()
      })
    } finally {
      channel('varve:producer').unsubscribe(listener)
    }
  })

  test('sequences survive flush, compaction, reopening and renaming; what is at or below is a duplicate', async () => {
    const environment = newEnvironment(21)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      let topic = db.topic<string>('t', { value: 'string', partitions: 2 })
      let loader = topic.producer({ id: 'loader' })
      expect(loader.lastSequence()).toBeUndefined()
      for (let n = 10; n < 20; n++) await loader.send({ value: line(n), partition: n % 2 }, { sequence: n })
      expect([loader.lastSequence(), loader.lastSequence(0), loader.lastSequence(1)]).toEqual([19, 18, 19])
      await db.seal()
      await db.compactLog('topic/__producer_state/0')
      await db.renameTopic('t', 'renamed')
      await db.close()

      db = await openTopics(environment)
      topic = db.topic<string>('renamed', { value: 'string' })
      loader = topic.producer({ id: 'loader' })
      expect(loader.lastSequence()).toBe(19)
      // The source is read again from a little before.
      const sent = await Promise.all(
        Array.from({ length: 6 }, (_, i) => 16 + i).map(n => loader.send({ value: line(n), partition: n % 2 }, { sequence: n })),
      )
      expect(sent.map(({ duplicate, offset }) => [duplicate, offset])).toEqual([
        [true, -1],
        [true, -1],
        [true, 4],
        [true, 4],
        [false, 5],
        [false, 5],
      ])
      // Without a sequence: one above the last.
      await loader.send({ value: 'auto', partition: 0 })
      expect(loader.lastSequence()).toBe(22)
      expect((await loader.sendBatch([{ value: 'again', partition: 0 }], { sequence: 22 })).map(({ duplicate }) => duplicate)).toEqual([
        true,
      ])
      const values = (await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)
      expect(values.sort()).toEqual([...Array.from({ length: 12 }, (_, i) => line(10 + i)), 'auto'].sort())
      // A new topic of the name begins without sequences.
      await db.deleteTopic('renamed')
      const fresh = db.topic<string>('renamed', { value: 'string' })
      expect(fresh.producer({ id: 'other' }).lastSequence()).toBeUndefined()
      await db.close()
    })
  })
})
