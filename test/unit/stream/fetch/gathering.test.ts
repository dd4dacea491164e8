/** Goal: a consumer with `minBytes` gets nothing before so much is there or the time is over, then all there is, and what it missed meanwhile wakes it. */
import { expect, test } from 'vitest'
import { sleep, withTopics } from '../support.ts'

const small = { value: 'x'.repeat(1000) }

for (const group of [undefined, 'g']) {
  test(`waits for the bytes of all partitions together, and hands them out together (${group ?? 'no group'})`, () =>
    withTopics(1, async (db, environment) => {
      const topic = db.topic<string>('t', { value: 'string', partitions: 3 })
      const options = { minBytes: 5000, maxWaitMs: 60_000 }
      const consumer = group === undefined ? topic.consume(options) : topic.consume({ ...options, group })
      const got: number[] = []
      const loop = (async () => {
        for await (const { records, partition } of consumer) for (const _ of records) got.push(partition)
      })()
      await sleep(environment, 5000) // a group is joined
      for (const partition of [0, 1, 0, 2]) {
        await topic.send({ ...small, partition })
        await sleep(environment, 1000)
      }
      expect(got).toEqual([])
      await topic.send({ ...small, partition: 1 })
      await sleep(environment, 1000)
      expect([...got].sort()).toEqual([0, 0, 1, 1, 2])
      // A large batch is enough by itself.
      await topic.sendBatch(Array.from({ length: 20 }, () => ({ ...small, partition: 2 })))
      await sleep(environment, 1000)
      expect(got).toHaveLength(25)
      // Little is handed out when the time is over, counted from when it was there.
      await sleep(environment, 100_000)
      await topic.send({ ...small, partition: 0 })
      await sleep(environment, 59_000)
      expect(got).toHaveLength(25)
      await sleep(environment, 2000)
      expect(got).toHaveLength(26)
      await consumer.close()
      await loop
    }))
}

test('open transactions do not make it turn in circles, and their end counts', () =>
  withTopics(2, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string' })
    await topic.send(small)
    const producer = db.producer({ transactionalId: 'p' })
    const tx = await producer.begin()
    await tx.sendBatch(topic, Array(10).fill(small))
    const consumer = topic.consume({ minBytes: 3000, maxWaitMs: 600_000 })
    const batches = consumer[Symbol.asyncIterator]()
    const first = batches.next()
    await sleep(environment, 1000)
    await tx.commit()
    expect((await first).value?.records.length).toBe(11)
    // With an end in sight nothing is waited for.
    const all: number[] = []
    for await (const { records } of topic.consume({ minBytes: 1_000_000, until: 'end' })) all.push(records.length)
    expect(all).toEqual([11])
    await consumer.close()
    for (const bad of [{ minBytes: 0 }, { maxWaitMs: -1 }]) {
      expect(() => topic.consume(bad)).toThrow(RangeError)
      expect(() => topic.consume({ group: 'g', ...bad })).toThrow(RangeError)
    }
  }))

test('raw batches wait too', () =>
  withTopics(3, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string', partitions: 2 })
    const consumer = topic.consume({ minBytes: 1500, maxWaitMs: 60_000 })
    const raw = consumer.raw()
    const first = raw.next()
    let isThere = false
    first.then(() => {
      isThere = true
    })
    await topic.send({ ...small, partition: 0 })
    await sleep(environment, 1000)
    expect(isThere).toBe(false)
    await topic.send({ ...small, partition: 1 })
    expect((await first).value?.partition).toBe(0)
    expect((await raw.next()).value?.partition).toBe(1)
    await consumer.close()
  }))
