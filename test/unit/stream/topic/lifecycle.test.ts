/**
 * Goal: what is under way when something is closed, ended or held back ends as it was told: sends before a close are there, commits under way are finished, order
 * holds under back-pressure, and nothing of a consumer or queue that ended stays with signals and logs that live longer.
 */
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, readAll, sleep, withTopics } from '../support.ts'

describe('close of the database', () => {
  test('sends of the same turn are there, awaited or not', async () => {
    const environment = newEnvironment(1)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const sent = db.topic<string>('t', { value: 'string' }).send('a')
      await db.close()
      expect((await sent).offset).toBe(0)
      db = await openTopics(environment)
      expect(await readAll(db.topic('t').consume({ until: 'end' }))).toHaveLength(1)
      await db.close()
    })
  })

  test('sends that wait for room are there', async () => {
    const environment = newEnvironment(2)
    await environment.drive(async () => {
      let db = await openTopics(environment, { tailBytesMax: 64 * 1024 })
      const topic = db.topic<string>('t', { value: 'string' })
      const sent: Promise<unknown>[] = []
      for (let turn = 0; turn < 40; turn++) {
        for (let i = 0; i < 5; i++) sent.push(topic.send(`${turn * 5 + i}`.padEnd(1000, '.')))
        await Promise.resolve()
      }
      await db.close()
      expect((await Promise.allSettled(sent)).filter(({ status }) => status === 'rejected')).toEqual([])
      db = await openTopics(environment)
      expect(await readAll(db.topic('t').consume({ until: 'end' }))).toHaveLength(200)
      await db.close()
    })
  })

  test('a commit of a producer that is under way is finished, not aborted', async () => {
    const environment = newEnvironment(3)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      const topic = db.topic<string>('t', { value: 'string' })
      const tx = await db.producer({ transactionalId: 'x', lingerMs: 50 }).begin()
      void tx.send(topic, 'a')
      const committed = tx.commit()
      await db.close()
      await committed
      db = await openTopics(environment)
      expect(await readAll(db.topic('t').consume({ until: 'end' }))).toHaveLength(1)
      await db.close()
    })
  })
})

test('send, sendBatch and transactions of one program keep the order of the calls when they wait for room', () =>
  withTopics(
    4,
    async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const under: Promise<unknown>[] = []
      const line = (n: number): string => `${n}`.padEnd(700, '.')
      let next = 0
      for (let turn = 0; turn < 60; turn++) {
        under.push(topic.send(line(next++)))
        under.push(topic.sendBatch([line(next++), line(next++)]))
        under.push(topic.send(line(next++)))
        await Promise.resolve()
      }
      await Promise.all(under)
      const found = (await readAll(topic.consume({ until: 'end' }))).map(({ value }) => Number.parseInt(value as string, 10))
      expect(found).toEqual(Array.from({ length: next }, (_, n) => n))
    },
    { tailBytesMax: 64 * 1024 },
  ))

describe('signals and logs that live longer', () => {
  test('have nothing left of consumers, groups, queues and tables that were closed', () =>
    withTopics(5, async (db, environment) => {
      const topic = db.topic<string>('t', { value: 'string', partitions: 2 })
      await topic.sendBatch(['a', 'b'])
      const { signal } = new AbortController()
      for (let i = 0; i < 5; i++) {
        const consumer = topic.consume({ signal })
        for await (const _ of consumer) break
        await consumer.close()
        const member = topic.consume({ group: 'g', signal })
        await member.poll({ maxWaitMs: 10 })
        await member.close()
        const queue = topic.queue({ group: 'q', signal })
        await queue.poll({ maxWaitMs: 10 })
        await queue.close()
      }
      await sleep(environment, 1)
      expect(getEventListeners(signal, 'abort')).toEqual([])
    }))

  test('a loop that was left waits for nothing, and the consumer can be read on', () =>
    withTopics(6, async (db, environment) => {
      const topic = db.topic<string>('t', { value: 'string', partitions: 2 })
      await topic.sendBatch([{ value: 'a', partition: 0 }])
      const consumer = topic.consume()
      for await (const { records } of consumer) if (records.length > 0) break
      const waiting = (async () => {
        for await (const { records } of consumer) return records.map(({ value }) => value)
        return []
      })()
      await sleep(environment, 10)
      await topic.send({ value: 'b', partition: 1 })
      expect(await waiting).toEqual(['b'])
      for (const partition of [0, 1]) expect((topic.partition(partition) as unknown as { watched: boolean }).watched).toBe(false)
      await consumer.close()
    }))
})
