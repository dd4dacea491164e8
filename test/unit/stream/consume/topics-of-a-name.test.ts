/**
 * Goal: a group's offsets belong to a topic, not to its name. A topic that is deleted and made anew, or renamed away and replaced, under the name that a consumer
 * has subscribed to is another topic: what was read of the old one is not committed for it, and the consumer reads it from where its group stands there, from its
 * first record on. Consumers of a handle follow a rename. Both in the thread of the database and behind a port.
 */
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import {
  type ConsumedBatch,
  type Database,
  type GroupConsumeOptions,
  type GroupConsumer,
  isVarveError,
  openConsumer,
} from '../../../../index.ts'
import { withMemoryDatabase } from '../support.ts'

/** The next values, all that come within the time when no count is given. */
async function take(consumer: GroupConsumer<string>, count: number, maxWaitMs: number = 5000): Promise<(string | null)[]> {
  const values: (string | null)[] = []
  while (values.length < count) {
    const batch = await consumer.poll({ maxWaitMs })
    if (batch === undefined) break
    values.push(...batch.records.map(({ value }) => value))
  }
  return values
}

async function fill(db: Database, topic: string, ...values: string[]): Promise<void> {
  await db.topic<string>(topic, { value: 'string' }).sendBatch(values)
}

const places = {
  'in the thread of the database': (db: Database, options: Partial<GroupConsumeOptions> = {}): GroupConsumer<string> =>
    db.consumer<string>({ group: 'g', topics: ['t'], ...options }),
  'behind a port': (db: Database, options: Partial<GroupConsumeOptions> = {}): GroupConsumer<string> => {
    const { port1, port2 } = new MessageChannel()
    db.serveConsumers(port1)
    return openConsumer<string>(port2, { group: 'g', topics: ['t'], ...options })
  },
}

describe.each(Object.entries(places))('%s', (_, consume) => {
  test.each(['deleted', 'renamed'] as const)(
    'a topic with the name of one that was %s is read from its start, and committed for itself',
    how =>
      withMemoryDatabase(async db => {
        await fill(db, 't', 'old 0', 'old 1', 'old 2')
        const told: string[] = []
        const consumer = consume(db, { onRevoked: () => void told.push('revoked'), onLost: () => void told.push('lost') })
        const batch = await consumer.poll()
        expect(batch?.records).toHaveLength(3)
        await (how === 'deleted' ? db.deleteTopic('t') : db.renameTopic('t', 'u'))
        await fill(db, 't', 'new 0', 'new 1', 'new 2', 'new 3')
        // The batch in hand is of the old topic: it counts there, if there is one, and never for the new.
        const refused = await batch?.commit().then(
          () => undefined,
          error => error,
        )
        expect(isVarveError(refused, 'NOT_FOUND'), String(refused)).toBe(how === 'deleted')
        expect(
          db.groupNames().includes('g') ? db.describeGroup('g').partitions.filter(({ offset }) => offset !== undefined) : [],
        ).toMatchObject(how === 'deleted' ? [] : [{ topic: 'u', offset: 3 }])
        expect(await take(consumer, 4)).toEqual(['new 0', 'new 1', 'new 2', 'new 3'])
        // Behind a port only a commit would tell.
        expect(told).toEqual([how === 'deleted' && consume !== places['behind a port'] ? 'lost' : 'revoked'])
        await consumer.commit()
        await fill(db, 't', 'new 4')
        expect(await take(consumer, 1)).toEqual(['new 4'])
        await consumer.close()
        expect(db.describeGroup('g').partitions.find(({ topic }) => topic === 't')).toMatchObject({ offset: 4, lag: 1 })
      }),
  )

  test('a consumer that waits when its topic is replaced goes on with the new one; automatic commits do not fail on the old', () =>
    withMemoryDatabase(async db => {
      await fill(db, 't', 'old 0', 'old 1')
      const consumer = consume(db, { autoCommit: { intervalMs: 0 } })
      expect(await take(consumer, 2)).toHaveLength(2)
      const next = take(consumer, 1)
      await new Promise(resolve => setTimeout(resolve, 20))
      await db.deleteTopic('t')
      await fill(db, 't', 'new 0')
      expect(await next).toEqual(['new 0'])
      await consumer.close()
    }))

  test('one with fewer partitions, with two members', () =>
    withMemoryDatabase(async db => {
      const fresh = (partitions: number): Promise<unknown> => {
        const topic = db.topic<string>('t', { value: 'string', partitions })
        return topic.sendBatch(Array.from({ length: partitions }, (_, partition) => ({ value: `${partitions}: ${partition}`, partition })))
      }
      await fresh(4)
      const consumers = [consume(db), consume(db)]
      const seen: (string | null)[] = []
      const loops = consumers.map(async consumer => {
        for await (const { value } of consumer.records()) seen.push(value)
      })
      const until = async (done: () => boolean): Promise<void> => {
        while (!done()) await new Promise(resolve => setTimeout(resolve, 5))
      }
      await until(() => seen.length >= 4 && consumers.every(({ assignment }) => assignment.length === 2))
      await db.deleteTopic('t')
      await fresh(3)
      await until(() => seen.length >= 7)
      await db.deleteTopic('t')
      await fresh(1)
      await until(() => seen.length >= 8)
      await Promise.all(consumers.map(consumer => consumer.close()))
      await Promise.all(loops)
      expect([...new Set(seen)].sort()).toEqual(['1: 0', '3: 0', '3: 1', '3: 2', '4: 0', '4: 1', '4: 2', '4: 3'])
    }))

  test('a topic that is gone leaves the others of a consumer as they are', () =>
    withMemoryDatabase(async db => {
      await fill(db, 't', 'gone')
      await fill(db, 'stays', 'a')
      const { port1, port2 } = new MessageChannel()
      db.serveConsumers(port1)
      const topics = ['t', 'stays']
      const consumer =
        consume === places['behind a port']
          ? openConsumer<string>(port2, { group: 'g', topics, autoCommit: true })
          : db.consumer<string>({ group: 'g', topics, autoCommit: true })
      expect((await take(consumer, 2)).sort()).toEqual(['a', 'gone'])
      await db.deleteTopic('t')
      await fill(db, 'stays', 'b')
      expect(await take(consumer, 1)).toEqual(['b'])
      await consumer.commit()
      await consumer.close()
      expect(db.describeGroup('g')).toMatchObject({ lag: 0, partitions: [{ topic: 'stays', offset: 2 }] })
      port2.close()
    }))
})

test('a transaction does not take the offset of a batch whose topic was replaced', () =>
  withMemoryDatabase(async db => {
    await fill(db, 't', 'old 0', 'old 1')
    const consumer = db.topic<string>('t').consume({ group: 'g' })
    const batch = await consumer.poll()
    if (batch === undefined) throw new Error('nothing came')
    await db.deleteTopic('t')
    await fill(db, 't', 'new 0', 'new 1', 'new 2')
    const out = db.topic<string>('out', { value: 'string' })
    const commit = db.transaction(tx => {
      tx.topic(out).send('of the old one')
      tx.offsets(batch)
    })
    await expect(commit).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(out.describe().partitions[0]?.highWatermark).toBe(0)
    expect(await take(consumer, 3)).toEqual(['new 0', 'new 1', 'new 2'])
  }))

test('a consumer of a handle follows a rename, with its offsets; one of the name waits for a topic of the name', () =>
  withMemoryDatabase(async db => {
    await fill(db, 't', '0', '1', '2', '3')
    const topic = db.topic<string>('t', { value: 'string' })
    const ofHandle = topic.consume({ group: 'handle', maxRecords: 2 })
    const ofName = db.consumer<string>({ group: 'name', topics: ['t'] })
    expect(await take(ofName, 4)).toHaveLength(4)
    const batch = await ofHandle.poll()
    await db.renameTopic('t', 'u')
    await batch?.commit()
    expect(await take(ofHandle, 2)).toEqual(['2', '3'])
    await topic.send('4')
    expect(await take(ofHandle, 1)).toEqual(['4'])
    await ofHandle.commit()
    const settled = async (consumer: GroupConsumer<string>, topics: string[]): Promise<void> => {
      while (String(consumer.assignment.map(({ topic }) => topic)) !== String(topics)) expect(await take(consumer, 1, 20)).toEqual([])
    }
    await settled(ofHandle, ['u'])
    expect(ofHandle.assignment).toEqual([{ topic: 'u', partition: 0 }])
    expect(db.describeGroup('handle')).toMatchObject({ lag: 0, partitions: [{ topic: 'u', offset: 5 }] })
    await settled(ofName, [])
    await fill(db, 't', 'another')
    expect(await take(ofName, 1)).toEqual(['another'])
  }))

test('a feed of a store that was dropped does not go on with another of its name', () =>
  withMemoryDatabase(async db => {
    const users = db.store<number>('users', { changes: true })
    await users.put('a', 1)
    const feed = users.changes({ group: 'g' })
    const batch = await feed.poll()
    await db.dropStore('users')
    await db.store<number>('users', { changes: true }).put('b', 2)
    await expect(batch?.commit()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await feed.poll({ maxWaitMs: 50 })).toBeUndefined()
    await feed.close()
    const again = db.store<number>('users').changes({ group: 'g' })
    expect((await again.poll({ maxWaitMs: 1000 }))?.changes).toMatchObject([{ key: 'b', value: 2 }])
    await again.close()
  }))

test('what the caller does with his array of topics later does not change what a consumer reads', () =>
  withMemoryDatabase(async db => {
    await fill(db, 't', 'a')
    for (const [group, consumeThese] of Object.entries(places)) {
      const topics = ['t']
      const consumer = consumeThese(db, { group, topics } as Partial<GroupConsumeOptions>)
      topics[0] = 'u'
      expect(await take(consumer, 1, 1000)).toEqual(['a'])
      topics.length = 0
      await consumer.close()
    }
  }))

test('topics that exchange their names are read by one member at a time: what another has begun with is not counted twice', () =>
  withMemoryDatabase(async db => {
    await fill(db, 't', 't0', 't1')
    await fill(db, 'u', 'u0', 'u1')
    const [first, second] = [1, 2].map(() => db.consumer<string>({ group: 'g', topics: ['t', 'u'] })) as [
      GroupConsumer<string>,
      GroupConsumer<string>,
    ]
    const held = (await Promise.all([first.poll(), second.poll()]))[0]
    if (held === undefined) throw new Error('nothing came')
    await db.renameTopic('t', 'between')
    await db.renameTopic('u', 't')
    await db.renameTopic('between', 'u')
    const counts = db.store<number>('counts')
    const count = (batch: ConsumedBatch<string>): Promise<void> =>
      db.transaction(tx => {
        const store = tx.store(counts)
        for (const { value } of batch.records) store.put(value as string, (store.get(value as string) ?? 0) + 1)
        tx.offsets(batch)
      })
    const next = async (consumer: GroupConsumer<string>): Promise<void> => {
      const batch = await consumer.poll({ maxWaitMs: 50 })
      if (batch !== undefined) await count(batch)
    }
    while (counts.count() < 2) await next(second)
    await expect(count(held)).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
    while (db.describeGroup('g').lag > 0) {
      await next(first)
      await next(second)
    }
    expect([...counts.entries()]).toEqual(['t0', 't1', 'u0', 'u1'].map(key => [key, 1]))
  }))

test('one member that reads while topics exchange their names, step by step, counts each record once', () =>
  withMemoryDatabase(async db => {
    const counts = db.store<number>('counts')
    const texts = (from: string): string[] => Array.from({ length: 60 }, (_, i) => `${from}${i}`)
    await fill(db, 't', ...texts('t'))
    await fill(db, 'u', ...texts('u'))
    const consumer = db.consumer<string>({ group: 'g', topics: ['t', 'u'], maxRecords: 1, heartbeatIntervalMs: 100 })
    const count = (batch: ConsumedBatch<string>): Promise<void> =>
      db.transaction(tx => {
        const store = tx.store(counts)
        for (const { value } of batch.records) store.put(value as string, (store.get(value as string) ?? 0) + 1)
        tx.offsets(batch)
      })
    let isDone = false
    const loop = (async () => {
      while (!isDone) {
        const batch = await consumer.poll({ maxWaitMs: 20 })
        // What goes to another name meanwhile is refused, and comes again.
        await (batch === undefined ? undefined : count(batch).catch(error => expect(error).toMatchObject({ code: 'NOT_ASSIGNED' })))
      }
    })()
    while (counts.count() === 0) await new Promise(resolve => setTimeout(resolve, 1))
    for (let round = 0; round < 6; round++) {
      for (const [from, to] of [
        ['t', 'between'],
        ['u', 't'],
        ['between', 'u'],
      ] as const) {
        await db.renameTopic(from, to)
        await new Promise(resolve => setTimeout(resolve, round % 3))
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    while (db.describeGroup('g').lag > 0 || counts.count() < 120) await new Promise(resolve => setTimeout(resolve, 5))
    isDone = true
    await loop
    expect([...counts.entries()].filter(([, times]) => times !== 1)).toEqual([])
    await consumer.close()
  }))
