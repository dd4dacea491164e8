/** Goal: partitions taken by hand begin and commit for a group without being shared, and step back when the group has members, as with Kafka's `assign`. */
import { MessageChannel } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { open, openConsumer } from '../../../../index.ts'
import { sleep, withTopics } from '../support.ts'

test('begins where the group stands, commits for it, also within a transaction, and nothing moves', () =>
  withTopics(1, async db => {
    const topic = db.topic<number>('t', { partitions: 3 })
    const store = db.store<number, number>('s')
    for (const partition of [0, 1, 2]) await topic.sendBatch([0, 1, 2, 3].map(n => ({ value: partition * 10 + n, partition })))
    const options = { group: 'g', partitions: [2, 0, 2], maxRecords: 2 }
    const first = topic.consume(options)
    const one = await first.poll()
    expect(one?.records.map(({ value }) => value)).toEqual([0, 1])
    await one?.commit({ metadata: 'by hand' })
    const two = await first.poll()
    expect(first.assignment).toEqual([0, 2].map(partition => ({ topic: 't', partition })))
    expect([first.memberId, first.generation]).toEqual([undefined, -1])
    await db.transaction(tx => {
      for (const { value } of two?.records ?? []) tx.store(store).put(value as number, 1)
      tx.offsets(two as NonNullable<typeof two>)
    })
    expect(() => first.subscribe(['t'])).toThrow(TypeError)
    await first.close()
    expect(db.describeGroup('g')).toMatchObject({ state: 'Empty', members: [], lag: 4 })
    const second = topic.consume(options)
    const rest: number[] = []
    while (rest.length < 4) for (const { value } of (await second.poll())?.records ?? []) rest.push(value as number)
    expect(rest.sort((a, b) => a - b)).toEqual([2, 3, 22, 23])
    expect([...store.keys()]).toEqual([20, 21])
    await second.commit()
    await second.close()
    expect(db.describeGroup('g').partitions.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 4],
      [2, 4],
    ])
  }))

test('a group whose members have ended is behind by all of a topic, also where nobody came to; one that commits by hand by what it has committed', () =>
  withTopics(5, async db => {
    const topic = db.topic<number>('t', { partitions: 3 })
    for (const partition of [0, 1, 2]) await topic.sendBatch([0, 1, 2, 3].map(value => ({ value, partition })))
    const member = topic.consume({ group: 'shared', maxRecords: 2 })
    const batch = await member.poll()
    await batch?.commit()
    await member.close()
    const byHand = topic.consume({ group: 'by hand', partitions: [1], maxRecords: 2 })
    await (await byHand.poll())?.commit()
    await byHand.close()
    const shared = db.describeGroup('shared')
    expect(shared.lag).toBe(10)
    expect(shared.partitions.map(({ partition, offset, lag }) => [partition, offset, lag])).toEqual(
      [0, 1, 2].map(partition => (partition === batch?.partition ? [partition, 2, 2] : [partition, undefined, 4])),
    )
    expect(db.describeGroup('by hand')).toMatchObject({ lag: 2, partitions: [{ partition: 1, offset: 2 }] })
  }))

test('while the group has members, its commits are refused; afterwards they are taken again', () =>
  withTopics(2, async (db, environment) => {
    const topic = db.topic<number>('t', { partitions: 2 })
    await topic.sendBatch(Array.from({ length: 10 }, (_, n) => ({ value: n, partition: n % 2 })))
    const manual = topic.consume({ group: 'g', partitions: [0] })
    const batch = await manual.poll()
    const member = topic.consume({ group: 'g' })
    await member.poll()
    await expect(batch?.commit()).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY', details: { group: 'g' } })
    await expect(db.transaction(tx => tx.offsets(manual))).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
    expect(db.describeGroup('g').partitions.every(({ offset }) => offset === undefined)).toBe(true)
    await member.close()
    await sleep(environment, 1000)
    await batch?.commit()
    expect(db.describeGroup('g').partitions).toMatchObject([
      { partition: 0, offset: 5, lag: 0 },
      // The member shared it and committed nothing.
      { partition: 1, offset: undefined, lag: 5 },
    ])
    await manual.close()
  }))

test('automatic commits, no offset, a topic that is deleted, and options that do not go together', () =>
  withTopics(3, async (db, environment) => {
    const topic = db.topic<number>('t', { partitions: 2 })
    await topic.sendBatch([1, 2, 3].map(value => ({ value, partition: 1 })))
    const auto = topic.consume({ group: 'g', partitions: [1], autoCommit: { intervalMs: 100 } })
    await auto.poll()
    await sleep(environment, 200)
    await auto.poll({ maxWaitMs: 200 })
    await auto.close()
    expect(db.describeGroup('g').lag).toBe(0)
    await expect(topic.consume({ group: 'g', partitions: [0], autoOffsetReset: 'none' }).poll()).rejects.toMatchObject({
      code: 'NO_OFFSET',
    })
    const orphan = topic.consume({ group: 'g', partitions: [0] })
    const waiting = orphan.poll()
    await sleep(environment, 100)
    await db.deleteTopic('t')
    await expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const other = db.topic('u')
    expect(() => other.consume({ group: 'g', partitions: [1] })).toThrow(RangeError)
    expect(() => other.consume({ group: 'g', partitions: [] })).toThrow(TypeError)
    expect(() => other.consume({ group: 'g', partitions: [-1] })).toThrow(RangeError)
    expect(() => other.consume({ group: 'g', partitions: [0], instanceId: 'x' })).toThrow('instanceId')
    expect(() => other.consume({ group: 'g', partitions: [0], assignor: 'range' })).toThrow('assignor')
    expect(() => db.consumer({ group: 'g', pattern: /u/, partitions: [0] })).toThrow('pattern')
    await orphan.close()
  }))

test('over a port', async () => {
  const db = await open({ storage: 'memory' })
  const topic = db.topic<number>('t', { partitions: 2 })
  await topic.sendBatch([1, 2, 3].map(value => ({ value, partition: 1 })))
  const { port1, port2 } = new MessageChannel()
  db.serveConsumers(port1)
  const consumer = openConsumer<number>(port2, { group: 'g', topics: ['t'], partitions: [1] })
  const batch = await consumer.poll()
  expect(batch?.records.map(({ value }) => value)).toEqual([1, 2, 3])
  await batch?.commit()
  expect(db.describeGroup('g').lag).toBe(0)
  await consumer.close()
  await db.close()
})
