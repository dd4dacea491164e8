/**
 * Goal: queues deliver each record to one consumer at a time until it is acknowledged, given up or gone, with locks, delays, dead letters, transactions and
 * fairness; and what was acknowledged survives any crash, while what was not comes again.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { type Database, isVarveError, type Queue, type QueueEventMessage, type QueueMessage, type Topic } from '../../../../index.ts'
import { newEnvironment, runUntilCrash } from '../../../probes/support.ts'
import { openTopics, readAll, sleep, withTopics } from '../support.ts'

type Message = QueueMessage<string, string>

function jobs(db: Database, partitions = 1): Topic<string> {
  return db.topic<string>('jobs', { value: 'string', partitions })
}

async function next(queue: Queue<string, string>, maxWaitMs = 0): Promise<Message | undefined> {
  return (await queue.poll({ maxRecords: 1, maxWaitMs }))?.messages[0]
}

async function must(queue: Queue<string, string>, maxWaitMs = 0): Promise<Message> {
  const message = await next(queue, maxWaitMs)
  if (message === undefined) throw new Error('nothing was delivered')
  return message
}

describe('delivery', () => {
  test('each record goes to one of many consumers of one partition, waiting ones are served in turn, and acknowledged ones do not come again', () =>
    withTopics(1, async db => {
      const topic = jobs(db)
      const queues = ['a', 'b', 'c'].map(() => topic.queue({ group: 'g' }))
      const seen: string[] = []
      const loops = queues.map(async (queue, index) => {
        for await (const message of queue) {
          seen.push(`${index}${message.value}`)
          await message.ack()
        }
      })
      for (let i = 0; i < 6; i++) await topic.send(`${i}`)
      await topic.sendBatch(['6', '7', '8'])
      while (seen.length < 9) await new Promise(resolve => setImmediate(resolve))
      for (const queue of queues) await queue.close()
      await Promise.all(loops)
      expect(
        seen
          .map(text => text[1])
          .sort()
          .join(''),
      ).toBe('012345678')
      expect([0, 1, 2].map(index => seen.filter(text => text.startsWith(`${index}`)).length)).toEqual([3, 3, 3])
      const again = topic.queue({ group: 'g' })
      expect(await next(again)).toBeUndefined()
      expect(again.stats()).toEqual({ available: 0, inFlight: 0, delayed: 0, dead: 0 })
      expect((await must(topic.queue({ group: 'other' }))).value).toBe('0')
    }))

  test('batches share what there is among those who wait; the bound in flight holds; a batch is settled as one', () =>
    withTopics(2, async db => {
      const topic = jobs(db)
      await topic.sendBatch(Array.from({ length: 10 }, (_, i) => `${i}`))
      const queue = topic.queue({ group: 'g', inFlightMax: 4 })
      const batch = await queue.poll({ maxRecords: 3 })
      expect(batch?.messages.map(({ value }) => value)).toEqual(['0', '1', '2'])
      expect((await queue.poll({ maxRecords: 3 }))?.messages.map(({ value }) => value)).toEqual(['3'])
      expect(await queue.poll({ maxWaitMs: 10 })).toBeUndefined()
      expect(queue.stats()).toMatchObject({ available: 6, inFlight: 4 })
      await batch?.messages[1]?.release()
      await batch?.ack()
      expect((await queue.poll())?.messages.map(({ value, deliveries }) => [value, deliveries])).toEqual([
        ['1', 2],
        ['4', 1],
        ['5', 1],
      ])
      const [first, second] = [queue.poll(), queue.poll()]
      await db.seal()
      expect(await Promise.race([first, second, Promise.resolve('none')])).toBe('none')
      await queue.close()
      expect([await first, await second]).toEqual([undefined, undefined])
    }))

  test('partitions that are added are delivered from, also to who waits already', () =>
    withTopics(3, async db => {
      const topic = jobs(db)
      const queue = topic.queue({ group: 'g' })
      const waiting = queue.poll()
      await topic.addPartitions(2)
      await topic.send({ value: 'x', partition: 1 })
      expect((await waiting)?.messages[0]).toMatchObject({ partition: 1, value: 'x' })
    }))
})

describe('locks', () => {
  test('a lock that is over frees the record; the old holder may settle it until it is delivered again, and is refused then', () =>
    withTopics(10, async (db, environment) => {
      const topic = jobs(db)
      await topic.send('a')
      const queue = topic.queue({ group: 'g', lockMs: 1000 })
      const first = await must(queue)
      await sleep(environment, 900)
      expect(await next(queue)).toBeUndefined()
      first.extend(1000)
      await sleep(environment, 900)
      expect(await next(queue)).toBeUndefined()
      const second = await must(queue, 5000)
      expect(second.deliveries).toBe(2)
      const details = { group: 'g', topic: 'jobs', partition: 0, offset: 0, deliveries: 1 }
      await expect(first.ack()).rejects.toMatchObject({ code: 'LOCK_LOST', details })
      expect(() => first.extend(5)).toThrow(TypeError)
      await sleep(environment, 2000)
      await second.ack()
      await second.ack()
      await expect(second.release()).rejects.toThrow(TypeError)
      expect(await next(queue, 5000)).toBeUndefined()
    }))

  test('a release comes again at once or after its delay; a clock that is set back changes nothing but the wait', () =>
    withTopics(11, async (db, environment) => {
      const topic = jobs(db)
      await topic.sendBatch(['a', 'b'])
      const queue = topic.queue({ group: 'g' })
      await (await must(queue)).release({ delayMs: 500 })
      expect(queue.stats()).toEqual({ available: 1, inFlight: 0, delayed: 1, dead: 0 })
      const b = await must(queue)
      expect(b.value).toBe('b')
      await b.release()
      expect(await must(queue)).toMatchObject({ value: 'b', deliveries: 2 })
      environment.clock.jump(-60_000)
      expect(await next(queue)).toBeUndefined()
      expect(await must(queue, 1000)).toMatchObject({ value: 'a', deliveries: 2 })
    }))

  test('closing gives back what is locked', () =>
    withTopics(12, async db => {
      const topic = jobs(db)
      await topic.send('a')
      const [one, two] = [topic.queue({ group: 'g' }), topic.queue({ group: 'g' })]
      await must(one)
      const waiting = two.poll()
      await one.close()
      expect((await waiting)?.messages[0]?.deliveries).toBe(2)
      expect(await one.poll()).toBeUndefined()
    }))
})

describe('delays', () => {
  test('a record with delayMs or deliverAt waits for its time, others pass it, and consumers see it at once', () =>
    withTopics(20, async (db, environment) => {
      const topic = jobs(db)
      const now = environment.clock.now()
      await topic.send({ value: 'later', delayMs: 1000 })
      await topic.send({ value: 'latest', deliverAt: now + 2000 })
      await topic.send('now')
      const queue = topic.queue({ group: 'g' })
      expect((await must(queue)).value).toBe('now')
      expect(await next(queue)).toBeUndefined()
      expect(queue.stats()).toMatchObject({ delayed: 2 })
      const later = await must(queue, 5000)
      expect(later.value).toBe('later')
      expect(environment.clock.now()).toBeGreaterThanOrEqual(now + 1000)
      expect(later.header('varve.deliver-at')).toMatch(/^\d+$/)
      expect((await must(queue, 5000)).value).toBe('latest')
      expect(environment.clock.now()).toBeGreaterThanOrEqual(now + 2000)
      expect((await readAll(topic.consume({ until: 'end' }))).length).toBe(3)
      await expect(topic.send({ value: 'x', delayMs: -1 })).rejects.toThrow(/delayMs/)
      await expect(topic.send({ value: 'x', delayMs: 1, deliverAt: 1 })).rejects.toThrow(TypeError)
    }))
})

describe('giving up', () => {
  test('rejected records and those delivered too often go to the dead-letter topic, whence and why in headers', () =>
    withTopics(30, async (db, environment) => {
      const topic = jobs(db, 2)
      const dead = db.topic<string>('dead', { value: 'string' })
      await topic.send({ key: 'k', value: 'bad', partition: 1, headers: { mine: 'yes' } })
      const queue = topic.queue({ group: 'g', deliveriesMax: 2, lockMs: 100, deadLetter: dead })
      await (await must(queue)).reject(new Error('cannot read'))
      await topic.send({ value: 'slow', partition: 0 })
      expect((await must(queue)).deliveries).toBe(1)
      expect((await must(queue, 1000)).deliveries).toBe(2)
      await sleep(environment, 1000)
      await topic.send({ value: 'back', partition: 0 })
      await (await must(queue)).release({ error: 'once' })
      await (await must(queue)).release({ error: 'twice' })
      expect(await next(queue)).toBeUndefined()
      expect(queue.stats()).toEqual({ available: 0, inFlight: 0, delayed: 0, dead: 3 })
      const letters = []
      for await (const { records } of dead.consume({ until: 'end' })) {
        for (const record of records) {
          const of = (name: string): string | undefined => record.header(`varve.dead-letter.${name}`)
          letters.push([record.key, record.value, of('topic'), of('partition'), of('offset'), of('group'), of('deliveries'), of('error')])
        }
        expect(records[0]?.header('mine')).toBe(records[0]?.value === 'bad' ? 'yes' : undefined)
      }
      expect(letters).toEqual([
        ['k', 'bad', 'jobs', '1', '0', 'g', '1', 'Error: cannot read'],
        [null, 'slow', 'jobs', '0', '0', 'g', '2', 'the lock was over before the record was settled'],
        [null, 'back', 'jobs', '0', '1', 'g', '2', 'twice'],
      ])
    }))

  test('without a dead-letter topic they are dropped; records that retention drops are passed over, also locked ones', () =>
    withTopics(31, async db => {
      const topic = jobs(db)
      await topic.sendBatch(['a', 'b', 'c', 'd'])
      const queue = topic.queue({ group: 'g' })
      await (await must(queue)).reject()
      const b = await must(queue)
      await topic.deleteRecords(0, 3)
      expect((await must(queue)).value).toBe('d')
      await b.ack()
      expect(queue.stats()).toEqual({ available: 0, inFlight: 1, delayed: 0, dead: 1 })
    }))
})

test('observers are told on varve:queue of locks that are over, settlements that come too late, and dead records', () =>
  withTopics(32, async (db, environment) => {
    const messages: QueueEventMessage[] = []
    const listener = (message: unknown): void => void messages.push(message as QueueEventMessage)
    subscribe('varve:queue', listener)
    try {
      const topic = jobs(db)
      await topic.sendBatch(['slow', 'bad'])
      const deadLetter = db.topic<string>('dead', { value: 'string' })
      const queue = topic.queue({ group: 'g', lockMs: 100, deliveriesMax: 2, deadLetter })
      const slow = await must(queue)
      const bad = await must(queue)
      await bad.reject(new Error('cannot read'))
      await sleep(environment, 101)
      await must(queue)
      await expect(slow.ack()).rejects.toMatchObject({ code: 'LOCK_LOST' })
      await sleep(environment, 101)
      expect(await next(queue)).toBeUndefined()
      await db.flush()
    } finally {
      unsubscribe('varve:queue', listener)
    }
    const of = (offset: number, deliveries: number) => ({
      ...{ database: db.path, group: 'g', topic: 'jobs', partition: 0 },
      ...{ offset, deliveries },
    })
    expect(messages).toEqual([
      { type: 'dead', ...of(1, 1), error: 'Error: cannot read', deadLetter: 'dead' },
      { type: 'lock-over', ...of(0, 1) },
      { type: 'lock-lost', ...of(0, 1) },
      { type: 'lock-over', ...of(0, 2) },
      { type: 'dead', ...of(0, 2), error: 'the lock was over before the record was settled', deadLetter: 'dead' },
    ])
  }))

describe('transactions', () => {
  test('an acknowledgement and what the body writes are one commit; one whose lock went to another is refused', () =>
    withTopics(40, async (db, environment) => {
      const topic = jobs(db)
      const [store, out] = [db.store<number, string>('done'), db.topic<string>('out')]
      await topic.sendBatch(['a', 'b'])
      const queue = topic.queue({ group: 'g', lockMs: 1000 })
      const batch = await queue.poll()
      await expect(
        db.transaction(tx => {
          batch?.ack(tx)
          tx.store(store).put('x', 1)
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      await db.transaction(async tx => {
        const message = batch?.messages[0] as Message
        tx.store(store).put(message.value as string, 1)
        tx.topic(out).send('did')
        message.ack(tx)
        await Promise.resolve()
      })
      expect(batch?.messages.map(({ settled }) => settled)).toEqual(['ack', undefined])
      await sleep(environment, 2000)
      const again = await must(queue)
      expect(again).toMatchObject({ value: 'b', deliveries: 2 })
      const late = db.transaction(tx => {
        tx.store(store).put('b', 1)
        batch?.messages[1]?.ack(tx)
      })
      await expect(late).rejects.toMatchObject({ code: 'LOCK_LOST' })
      expect([store.get('a'), store.get('b'), store.get('x')]).toEqual([1, undefined, undefined])
      await again.ack()
      expect(await next(queue)).toBeUndefined()
    }))
})

describe('options and ends', () => {
  test('bad options are named; open queues of a group agree; forgetting and deleting end them', () =>
    withTopics(50, async db => {
      const topic = jobs(db)
      const bad: [object, RegExp][] = [
        [{}, /group/],
        [{ group: 'g', lockMs: 0 }, /lockMs/],
        [{ group: 'g', deliveriesMax: 1.5 }, /deliveriesMax/],
        [{ group: 'g', inFlightMax: -1 }, /inFlightMax/],
        [{ group: 'g', other: 1 }, /other/],
        [{ group: 'g', deadLetter: topic }, /deadLetter/],
      ]
      for (const [options, message] of bad) expect(() => topic.queue(options as never)).toThrow(message)
      const queue = topic.queue({ group: 'g', lockMs: 5 })
      expect(() => topic.queue({ group: 'g', lockMs: 6 })).toThrow(/lockMs/)
      await expect(queue.poll({ maxWait: 1 } as never)).rejects.toThrow('unknown option of poll: maxWait')
      await expect(queue.poll({ maxWaitMs: -1 })).rejects.toThrow(/maxWaitMs/)
      await topic.send('a')
      await (await must(queue)).ack()
      await expect(topic.forgetQueue('g')).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
      await expect(topic.forgetQueue('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await queue.close()
      await topic.forgetQueue('g')
      const fresh = topic.queue({ group: 'g', lockMs: 6 })
      expect((await must(fresh)).value).toBe('a')
      const waiting = fresh.poll()
      const failed = expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await db.deleteTopic('jobs')
      await failed
    }))
})

/** One life: takes, settles at random, and notes what it was told. */
async function work(db: Database, random: SimRandom, acked: Set<string>, asked: Set<string>, finish: boolean): Promise<void> {
  const topic = jobs(db, 2)
  const dead = db.topic<string>('dead', { value: 'string' })
  const queue = topic.queue({ group: 'g', lockMs: 50, deliveriesMax: 1000, deadLetter: dead })
  for (let step = 0; finish || step < 60; step++) {
    const batch = await queue.poll({ maxRecords: 1 + random.below(4), maxWaitMs: 200 })
    if (batch === undefined) break
    for (const message of batch.messages) {
      const value = message.value as string
      if (acked.has(value)) throw new Error(`${value} was acknowledged and came again`)
      const choice = finish ? 0 : random.below(6)
      if (choice <= 2 || choice === 4) asked.add(value)
      if (choice <= 1) message.ack().then(() => acked.add(value), ignore)
      else if (choice === 2) db.transaction(tx => message.ack(tx)).then(() => acked.add(value), ignore)
      else if (choice === 3) message.release({ delayMs: random.below(2) * 20 }).catch(ignore)
      else if (choice === 4) message.reject('no').then(() => acked.add(value), ignore)
    }
    if (random.below(10) === 0) await db.seal()
  }
  await db.close()
}

function ignore(error: unknown): void {
  if (!isVarveError(error)) throw error
}

test('after crashes at any point nothing acknowledged comes again, everything else does, and dead letters are there once', async () => {
  let crashes = 0
  for (let seed = 1; seed <= 12; seed++) {
    const random = new SimRandom(seed)
    const acked = new Set<string>()
    // What may be done: a crash can take the answer, and not the deed.
    const asked = new Set<string>()
    const all = Array.from({ length: 40 }, (_, i) => `job ${i}`)
    let environment = newEnvironment(seed)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await jobs(db, 2).sendBatch(all.map((value, i) => ({ value, partition: i % 2 })))
      await db.topic('dead', { value: 'string' }).ready()
      await db.close()
    })
    for (let life = 0; life < 4; life++) {
      environment = newEnvironment(seed * 100 + life, environment.disk)
      const { crashed } = await runUntilCrash(environment, random.below(120), async () =>
        work(await openTopics(environment), random, acked, asked, false),
      )
      if (crashed) crashes++
    }
    environment = newEnvironment(seed * 100 + 99, environment.disk)
    await environment.drive(async () => {
      await work(await openTopics(environment), random, acked, asked, true)
      const db = await openTopics(environment)
      const letters = (await readAll(db.topic<string>('dead').consume({ until: 'end' }))).map(({ value }) => value as string)
      expect(new Set(letters).size, `seed ${seed}: dead letters twice`).toBe(letters.length)
      const queue = jobs(db, 2).queue({ group: 'g' })
      expect(queue.stats()).toMatchObject({ available: 0, inFlight: 0, delayed: 0, dead: letters.length })
      expect(all.filter(value => !acked.has(value) && !asked.has(value))).toEqual([])
      expect(acked.size).toBeGreaterThan(all.length / 2)
      await db.close()
    })
  }
  expect(crashes).toBeGreaterThan(12)
})
