/**
 * Goal: transactions of producers are Kafka's: markers, last stable offset, aborted data, epochs that grow, fencing, timeouts, offsets of groups; and what a dead
 * process left is ended at the next opening. Each point that foreign brokers got wrong has a test.
 */
import { channel } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import type { Database, Producer, ProducerMessage, Topic } from '../../../../index.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'
import { openTopics, readAll, sleep, withTopics } from '../support.ts'

async function valuesOf(
  topic: Topic<string>,
  isolation: 'read_committed' | 'read_uncommitted' = 'read_committed',
): Promise<(string | null)[]> {
  return (await readAll(topic.consume({ until: 'end', isolation }))).map(({ value }) => value)
}

function stringTopic(db: Database, name: string, partitions = 1): Topic<string> {
  return db.topic<string>(name, { value: 'string', partitions })
}

async function transactOne(producer: Producer, topic: Topic<string>, value: string, outcome: 'commit' | 'abort'): Promise<void> {
  const tx = await producer.begin()
  await tx.send(topic, value)
  await tx[outcome]()
}

describe('what readers see', () => {
  test('an open transaction holds committed readers back at its first record, exclusively; commit and abort let them go on', () =>
    withTopics(1, async db => {
      const t = stringTopic(db, 't')
      const producer = db.producer({ transactionalId: 'x' })
      await t.send('before')
      const tx = await producer.begin()
      await tx.send(t, 'a')
      await t.send('behind')
      expect(t.describe().partitions[0]).toMatchObject({ highWatermark: 3, lastStableOffset: 1 })
      // The last stable offset is exclusive: nothing of the open transaction, nothing behind it.
      expect(await valuesOf(t)).toEqual(['before'])
      expect(await valuesOf(t, 'read_uncommitted')).toEqual(['before', 'a', 'behind'])
      await tx.commit()
      expect(await valuesOf(t)).toEqual(['before', 'a', 'behind'])
      // A marker takes exactly one offset.
      expect(t.describe().partitions[0]).toMatchObject({ highWatermark: 4, lastStableOffset: 4 })

      await transactOne(producer, t, 'aborted', 'abort')
      expect(await valuesOf(t)).toEqual(['before', 'a', 'behind'])
      expect(await valuesOf(t, 'read_uncommitted')).toEqual(['before', 'a', 'behind', 'aborted'])
      expect(t.describe().partitions[0]).toMatchObject({ highWatermark: 6, lastStableOffset: 6 })
      await transactOne(producer, t, 'b', 'commit')
      const read = await readAll(t.consume({ until: 'end' }))
      expect(read.map(({ offset, value }) => [offset, value])).toEqual([
        [0, 'before'],
        [1, 'a'],
        [2, 'behind'],
        [6, 'b'],
      ])
    }))

  test('the list of aborted transactions is sorted by first offset, and two producers do not hide each other', () =>
    withTopics(2, async db => {
      const t = stringTopic(db, 't')
      const [x, y] = [db.producer({ transactionalId: 'x' }), db.producer({ transactionalId: 'y' })]
      const [first, second] = [await x.begin(), await y.begin()]
      await first.send(t, 'x0')
      await second.send(t, 'y1')
      await first.send(t, 'x2')
      await second.abort()
      expect(t.describe().partitions[0]?.lastStableOffset).toBe(0)
      await first.abort()
      await transactOne(y, t, 'y5', 'commit')
      expect(
        t
          .partition(0)
          .abortedTransactions(0, 10)
          .map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset]),
      ).toEqual([
        [0, 4],
        [1, 3],
      ])
      expect(await valuesOf(t)).toEqual(['y5'])
      await db.seal()
      expect(await valuesOf(t)).toEqual(['y5'])
      expect(await valuesOf(t, 'read_uncommitted')).toEqual(['x0', 'y1', 'x2', 'y5'])
    }))

  test('all partitions of all topics of a transaction end together', () =>
    withTopics(3, async db => {
      const [a, b] = [stringTopic(db, 'a', 3), stringTopic(db, 'b')]
      const producer = db.producer({ transactionalId: 'x' })
      const tx = await producer.begin()
      for (let partition = 0; partition < 3; partition++) void tx.send(a, { value: `a${partition}`, partition })
      void tx.sendBatch(b, ['b0', 'b1'])
      await tx.commit()
      expect((await valuesOf(a)).sort()).toEqual(['a0', 'a1', 'a2'])
      expect(await valuesOf(b)).toEqual(['b0', 'b1'])
      expect([0, 1, 2].map(partition => a.partition(partition).endOffset)).toEqual([2, 2, 2])
      expect(b.partition(0).endOffset).toBe(3)
    }))
})

describe('ends', () => {
  test('the same end again is answered alike, the other one is refused; nothing can be sent afterwards', () =>
    withTopics(10, async db => {
      const t = stringTopic(db, 't')
      const producer = db.producer({ transactionalId: 'x' })
      const tx = await producer.begin()
      await expect(producer.begin()).rejects.toMatchObject({ code: 'INVALID_TRANSACTION_STATE', details: { id: 'x', state: 'open' } })
      void tx.send(t, 'a')
      await Promise.all([tx.commit(), tx.commit()])
      await tx.commit()
      expect(t.partition(0).endOffset).toBe(2)
      await expect(tx.abort()).rejects.toMatchObject({ code: 'INVALID_TRANSACTION_STATE', details: { id: 'x', state: 'commit' } })
      await expect(tx.send(t, 'b')).rejects.toMatchObject({ code: 'INVALID_TRANSACTION_STATE' })
      const other = await producer.begin()
      const pending = other.send(t, 'c')
      await Promise.all([other.abort(), other.abort()])
      await expect(pending).rejects.toMatchObject({ code: 'INVALID_TRANSACTION_STATE', details: { state: 'abort' } })
      await expect(other.commit()).rejects.toMatchObject({ code: 'INVALID_TRANSACTION_STATE', details: { state: 'abort' } })
      // What was never appended leaves no marker.
      expect(t.partition(0).endOffset).toBe(2)
      await (await producer.begin()).commit()
      expect(t.partition(0).endOffset).toBe(2)
    }))

  test('every transaction has an epoch of its own; a late batch of an ended one is fenced by its partition', () =>
    withTopics(11, async db => {
      const t = stringTopic(db, 't')
      const producer = db.producer({ transactionalId: 'x' })
      const first = await producer.begin()
      await first.send(t, 'a')
      await first.commit()
      const second = await producer.begin()
      expect(second.identity).toEqual({ id: first.identity.id, epoch: first.identity.epoch + 1 })
      const late = { producer: { ...first.identity, sequence: 1 }, transactional: true }
      expect(() => t.partition(0).appendRecords([{ value: 'late' }], late)).toThrow(expect.objectContaining({ code: 'PRODUCER_FENCED' }))
      await second.abort()
    }))

  test('a record that is refused makes commit reject, and abort ends it', () =>
    withTopics(12, async db => {
      const t = db.topic<string>('t', { value: 'string', recordBytesMax: 10 })
      const producer = db.producer({ transactionalId: 'x' })
      const tx = await producer.begin()
      void tx.send(t, 'a')
      void tx.send(t, 'much too large')
      await expect(tx.commit()).rejects.toMatchObject({
        code: 'INVALID_TRANSACTION_STATE',
        details: { id: 'x', state: 'failed' },
        cause: { code: 'TOO_LARGE' },
      })
      await tx.abort()
      expect(await valuesOf(t)).toEqual([])
      await transactOne(producer, t, 'b', 'commit')
      expect(await valuesOf(t)).toEqual(['b'])
    }))

  test('when the epochs of a producer id run out, the next transaction takes a new id', async () => {
    const environment = newEnvironment(13)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const t = stringTopic(db, 't')
      const producer = db.producer({ transactionalId: 'x' })
      let tx = await producer.begin()
      const { id, epoch } = tx.identity
      await tx.abort()
      for (let i = epoch + 1; i < 0x7ffe; i++) {
        tx = await producer.begin()
        if (i >= 0x7ffc) await tx.send(t, `${i}`)
        await tx.commit()
      }
      expect(tx.identity).toEqual({ id, epoch: 0x7ffd })
      tx = await producer.begin()
      expect(tx.identity.epoch).toBe(0)
      expect(tx.identity.id).not.toBe(id)
      await tx.send(t, 'new id')
      await tx.commit()
      expect(await valuesOf(t)).toEqual([`${0x7ffc}`, `${0x7ffd}`, 'new id'])
      await db.close()
    })
  })

  test('a transaction that takes longer than its time is aborted; its late commit is refused, its producer goes on', () =>
    withTopics(14, async (db, environment) => {
      const messages: ProducerMessage[] = []
      const listener = (message: unknown): void => void messages.push(message as ProducerMessage)
      channel('varve:producer').subscribe(listener)
      const t = stringTopic(db, 't')
      const producer = db.producer({ transactionalId: 'x', transactionTimeoutMs: 1000 })
      const tx = await producer.begin()
      await tx.send(t, 'a')
      await sleep(environment, 1500)
      channel('varve:producer').unsubscribe(listener)
      expect(t.describe().partitions[0]).toMatchObject({ highWatermark: 2, lastStableOffset: 2 })
      const refused = { code: 'PRODUCER_FENCED', details: { id: 'x', reason: 'timeout' } }
      await expect(tx.send(t, 'b')).rejects.toMatchObject(refused)
      await expect(tx.commit()).rejects.toMatchObject(refused)
      await expect(tx.commit()).rejects.toMatchObject(refused)
      await tx.abort()
      expect(messages).toMatchObject([{ type: 'timeout', id: 'x', epoch: tx.identity.epoch }])
      await transactOne(producer, t, 'c', 'commit')
      expect(await valuesOf(t)).toEqual(['c'])
      // The default is a minute.
      const slow = await db.producer({ transactionalId: 'y' }).begin()
      await slow.send(t, 'd')
      await sleep(environment, 59_000)
      expect(slow.isOpen).toBe(true)
      await sleep(environment, 2000)
      expect(slow.isOpen).toBe(false)
    }))

  test('another producer with the id aborts the open transaction and fences the one before', () =>
    withTopics(15, async db => {
      const t = stringTopic(db, 't')
      const first = db.producer({ transactionalId: 'x' })
      const tx = await first.begin()
      await tx.send(t, 'a')
      const gathered = tx.send(t, 'never appended')
      const second = db.producer({ transactionalId: 'x' })
      const refused = { code: 'PRODUCER_FENCED', details: { id: 'x', reason: 'replaced' } }
      await expect(gathered).rejects.toMatchObject(refused)
      await expect(tx.commit()).rejects.toMatchObject(refused)
      await expect(tx.abort()).rejects.toMatchObject(refused)
      await expect(first.begin()).rejects.toMatchObject(refused)
      await transactOne(second, t, 'b', 'commit')
      expect(await valuesOf(t)).toEqual(['b'])
      expect(await valuesOf(t, 'read_uncommitted')).toEqual(['a', 'b'])
      await first.close()
      await second.close()
    }))

  test('a deleted topic does not keep the others from ending', () =>
    withTopics(16, async db => {
      const [t, gone] = [stringTopic(db, 't'), stringTopic(db, 'gone')]
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      await tx.send(t, 'a')
      await tx.send(gone, 'a')
      await db.deleteTopic('gone')
      await tx.commit()
      expect(await valuesOf(t)).toEqual(['a'])
    }))

  test('more partitions than one commit has markers for', async () => {
    const environment = newEnvironment(17)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const t = stringTopic(db, 't', 1100)
      const producer = db.producer({ transactionalId: 'x' })
      const tx = await producer.begin()
      for (let partition = 0; partition < 1100; partition++) void tx.send(t, { value: 'a', partition })
      await tx.commit()
      expect(t.describe().partitions.every(({ lastStableOffset }) => lastStableOffset === 2)).toBe(true)
      await db.close()
    })
  })
})

describe('under back-pressure', () => {
  test('many transactions at once wait for room, and each ends as it was told', () =>
    withTopics(
      18,
      async db => {
        const t = stringTopic(db, 't', 3)
        const value = '.'.repeat(800)
        const run = async (n: number): Promise<void> => {
          const producer = db.producer({ transactionalId: `x${n}` })
          for (let i = 0; i < 4; i++) {
            const tx = await producer.begin()
            for (let j = 0; j < 3; j++) void tx.send(t, { value: `${n} ${i} ${j} ${value}`, partition: j })
            await (i % 2 === 0 ? tx.commit() : tx.abort())
          }
        }
        await Promise.all(Array.from({ length: 30 }, (_, n) => run(n)))
        const seen = (await valuesOf(t)).map(text => text?.split(' ').slice(0, 3).join(' '))
        const expected = Array.from({ length: 30 }, (_, n) => [0, 2].flatMap(i => [0, 1, 2].map(j => `${n} ${i} ${j}`))).flat()
        expect(seen.sort()).toEqual(expected.sort())
        for (const { highWatermark, lastStableOffset } of t.describe().partitions) expect(lastStableOffset).toBe(highWatermark)
      },
      { tailBytesMax: 64 * 1024 },
    ))

  test('nobody but the database writes to the topics that hold its state', () =>
    withTopics(19, async db => {
      const t = stringTopic(db, 't')
      await transactOne(db.producer({ transactionalId: 'x' }), t, 'a', 'commit')
      await expect(db.topic('__transaction_state').send('nonsense')).rejects.toThrow(/internal topics are written by the database alone/)
      expect(db.topicNames()).toEqual(['t'])
      expect(db.topicNames({ internal: true })).toEqual(['__producer_state', '__transaction_state', 't'])
    }))
})

describe('offsets', () => {
  test('what commits offsets does so with the transaction, and its refusal leaves the transaction to be aborted', () =>
    withTopics(20, async db => {
      const t = stringTopic(db, 't')
      const offsets = stringTopic(db, 'offsets')
      const producer = db.producer({ transactionalId: 'x' })
      let fenced = false
      const batch = {
        commitWith: (tx: Parameters<Parameters<Database['transaction']>[0]>[0]) =>
          tx.beforeCommit(() => {
            if (fenced) throw new TypeError('fenced')
            tx.log(offsets.partition(0)).appendRecords([{ value: 'offset' }])
          }),
      }
      const tx = await producer.begin()
      await tx.send(t, 'a')
      tx.addOffsets(batch)
      expect(offsets.partition(0).endOffset).toBe(0)
      await tx.commit()
      expect(offsets.partition(0).endOffset).toBe(1)
      fenced = true
      const other = await producer.begin()
      await other.send(t, 'b')
      other.addOffsets(batch)
      await expect(other.commit()).rejects.toThrow('fenced')
      await other.abort()
      const aborted = await producer.begin()
      fenced = false
      aborted.addOffsets(batch)
      await aborted.abort()
      expect(offsets.partition(0).endOffset).toBe(1)
      expect(await valuesOf(t)).toEqual(['a'])
      expect(() => aborted.addOffsets(batch)).toThrow(expect.objectContaining({ code: 'INVALID_TRANSACTION_STATE' }))
    }))
})

describe('with groups', () => {
  test('consume, transform, produce: offsets are committed with the records or not at all', () =>
    withTopics(25, async db => {
      const [source, target] = [stringTopic(db, 'source'), stringTopic(db, 'target')]
      await source.sendBatch(['a', 'b'])
      const producer = db.producer({ transactionalId: 'x' })
      const committed = (): number | null | undefined => db.describeGroup('g').partitions[0]?.offset
      const consumer = source.consume({ group: 'g' })
      for await (const batch of consumer) {
        const aborted = await producer.begin()
        void aborted.sendBatch(target, ['wrong'])
        aborted.addOffsets(batch)
        await aborted.abort()
        expect(committed()).toBeUndefined()
        const tx = await producer.begin()
        for (const { value } of batch.records) void tx.send(target, `${value}!`)
        tx.addOffsets(batch)
        await tx.commit()
        expect(committed()).toBe(2)
        break
      }
      await consumer.close()
      expect(await valuesOf(target)).toEqual(['a!', 'b!'])
      const tx = await producer.begin()
      tx.addOffsets('g', [{ topic: 'source', partition: 0, offset: 1 }])
      expect(committed()).toBe(2)
      await tx.commit()
      expect(committed()).toBe(1)
      const member = source.consume({ group: 'g' })
      for await (const batch of member) {
        const fenced = await producer.begin()
        fenced.addOffsets('g', [{ topic: 'source', partition: 0, offset: 2 }])
        await expect(fenced.commit()).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
        await fenced.abort()
        void batch
        break
      }
      await member.close()
      expect(committed()).toBe(1)
    }))
})

describe('after the process', () => {
  test('an open transaction of a killed process is aborted at opening, before anybody asks for producers', async () => {
    const environment = newEnvironment(30)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const t = stringTopic(db, 't')
      const producer = db.producer({ transactionalId: 'x' })
      await transactOne(producer, t, 'a', 'commit')
      const tx = await producer.begin()
      await tx.send(t, 'b')
    })
    environment.disk.processKill()
    const again = newEnvironment(31, environment.disk)
    await again.drive(async () => {
      const db = await openTopics(again)
      const t = stringTopic(db, 't')
      expect(t.describe().partitions[0]).toMatchObject({ highWatermark: 4, lastStableOffset: 4 })
      expect(await valuesOf(t)).toEqual(['a'])
      await transactOne(db.producer({ transactionalId: 'x' }), t, 'c', 'commit')
      expect(await valuesOf(t)).toEqual(['a', 'c'])
      await db.close()
    })
  })

  test('an engine without topics leaves it open, and the next opening with topics aborts it', async () => {
    const environment = newEnvironment(34)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      await tx.send(stringTopic(db, 't'), 'a')
      await stringTopic(db, 't').send('behind')
    })
    environment.disk.processKill()
    const again = newEnvironment(35, environment.disk)
    await again.drive(async () => {
      const engine = await openSim(again)
      const log = engine.log('topic/t/0')
      expect([log.lastStableOffset, log.highWatermark]).toEqual([0, 2])
      await engine.seal()
      await engine.close()
      const db = await openTopics(again)
      expect(await valuesOf(stringTopic(db, 't'))).toEqual(['behind'])
      await db.close()
    })
  })

  test('close aborts what is open, and leaves nothing to the next opening', async () => {
    const environment = newEnvironment(32)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      await tx.send(stringTopic(db, 't'), 'a')
      await db.close()
      db = await openTopics(environment)
      const t = stringTopic(db, 't')
      expect(t.partition(0).endOffset).toBe(2)
      expect(await valuesOf(t)).toEqual([])
      await db.close()
    })
  })

  test('an id that was not used for a week is forgotten', async () => {
    const environment = newEnvironment(33)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const first = await db.producer({ transactionalId: 'x' }).begin()
      await db.close()
      await sleep(environment, 7 * 24 * 60 * 60 * 1000 + 1)
      db = await openTopics(environment)
      const tx = await db.producer({ transactionalId: 'x' }).begin()
      expect(tx.identity.id).not.toBe(first.identity.id)
      await tx.abort()
      // In one process too, once nobody has it open; one that is in use stays.
      const kept = await db.producer({ transactionalId: 'kept' }).begin()
      await kept.abort()
      const closing = db.producer({ transactionalId: 'closed' })
      const closed = await closing.begin()
      await closing.close()
      await sleep(environment, 7 * 24 * 60 * 60 * 1000 + 1)
      const reopened = [await db.producer({ transactionalId: 'kept' }).begin(), await db.producer({ transactionalId: 'closed' }).begin()]
      expect(reopened[0]?.identity.id).toBe(kept.identity.id)
      expect(reopened[1]?.identity.id).not.toBe(closed.identity.id)
      await db.close()
    })
  })
})
