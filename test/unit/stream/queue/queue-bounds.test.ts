/** Goal: a queue that holds as many records as it may goes on as soon as one of them is done or gone, whatever ended it; and no record is delivered for ever. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { Database, Queue, QueueMessage, QueueOptions, Topic } from '../../../../index.ts'
import { TRACKED_MAX } from '../../../../stream/queue/queue-partition.ts'
import { newEnvironment, runUntilCrash } from '../../../probes/support.ts'
import { openTopics, readAll, sleep, withTopics } from '../support.ts'

const far = 30 * 24 * 3600 * 1000

/** A queue whose bound is reached with one record behind it. */
async function full(
  db: Database,
  delayMs: number,
  options: Partial<QueueOptions<string, string>> = {},
): Promise<{ topic: Topic<string>; queue: Queue<string, string> }> {
  const topic = db.topic<string>('jobs', { value: 'string' })
  for (let sent = 0; sent < TRACKED_MAX; sent += 1000)
    await topic.sendBatch(Array.from({ length: 1000 }, (_, i) => ({ value: `${sent + i}`, ...(delayMs > 0 ? { delayMs } : {}) })))
  await topic.send('behind')
  const queue = topic.queue({ group: 'g', inFlightMax: 2 * TRACKED_MAX, lockMs: 1000, ...options })
  return { topic, queue }
}

async function takeAll(queue: Queue<string, string>): Promise<QueueMessage<string, string>[]> {
  const messages: QueueMessage<string, string>[] = []
  for (let batch = await queue.poll({ maxRecords: 5000, maxWaitMs: 0 }); batch !== undefined; ) {
    messages.push(...batch.messages)
    batch = await queue.poll({ maxRecords: 5000, maxWaitMs: 0 })
  }
  return messages
}

test('locked records: one that is acknowledged, and locks that are over, let it go on', () =>
  withTopics(1, async (db, environment) => {
    const { queue } = await full(db, 0)
    const messages = await takeAll(queue)
    expect([messages.length, messages.at(-1)?.value]).toEqual([TRACKED_MAX, `${TRACKED_MAX - 1}`])
    const waiting = queue.poll()
    await messages[17]?.ack()
    expect((await waiting)?.messages[0]?.value).toBe('behind')
    await sleep(environment, 1001)
    expect((await takeAll(queue)).length).toBeGreaterThanOrEqual(TRACKED_MAX - 1)
  }))

test('delayed records: deleting some lets it go on, long before the time of the others', () =>
  withTopics(2, async (db, environment) => {
    const { topic, queue } = await full(db, far)
    await topic.sendBatch(Array.from({ length: 2000 }, () => 'more'))
    const started = environment.clock.now()
    const waiting = queue.poll({ maxRecords: 1 })
    await sleep(environment, 1000)
    await topic.deleteRecords(0, 5000)
    expect((await waiting)?.messages[0]?.value).toBe('behind')
    expect(environment.clock.now() - started).toBeLessThan(10_000)
  }))

test('dead records: thousands die at once and are buried, and the queue goes on', () =>
  withTopics(3, async (db, environment) => {
    const deadLetter = db.topic<string>('dead', { value: 'string' })
    const { queue } = await full(db, 0, { deadLetter, deliveriesMax: 1 })
    const messages = await takeAll(queue)
    await sleep(environment, 1001)
    const rest = await takeAll(queue)
    for (const { value } of rest) expect(value).toBe('behind')
    await Promise.all(rest.map(message => message.ack()))
    await sleep(environment, 1001)
    const letters = await readAll(deadLetter.consume({ until: 'end' }))
    expect(letters.length).toBe(messages.length)
    expect(new Set(letters.map(({ value }) => value)).size).toBe(messages.length)
    expect(queue.stats()).toEqual({ available: 0, inFlight: 0, delayed: 0, dead: messages.length })
  }))

test('crashes add at most a delivery each to what a record may have, and it dies once', async () => {
  let crashes = 0
  for (let seed = 1; seed <= 8; seed++) {
    const random = new SimRandom(seed)
    const deliveries = new Map<string, number>()
    const all = Array.from({ length: 12 }, (_, i) => `job ${i}`)
    let environment = newEnvironment(seed)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await db.topic<string>('jobs', { value: 'string' }).sendBatch(all)
      await db.topic('dead', { value: 'string' }).ready()
      await db.close()
    })
    let mine = 0
    // Nobody settles anything: locks lapse, or records are given back.
    const life = async (polls: number): Promise<void> => {
      const db = await openTopics(environment)
      const queue = db.topic<string>('jobs').queue({ group: 'g', lockMs: 20, deliveriesMax: 3, deadLetter: db.topic<string>('dead') })
      for (let poll = 0; poll < polls; poll++) {
        const batch = await queue.poll({ maxRecords: 1 + random.below(5), maxWaitMs: 100 })
        if (batch === undefined) break
        for (const { value } of batch.messages) deliveries.set(value as string, (deliveries.get(value as string) ?? 0) + 1)
        if (random.below(3) === 0) await batch.release().catch(() => undefined)
        await sleep(environment, random.below(80))
      }
      await db.close()
    }
    for (let lives = 0; lives < 3; lives++) {
      environment = newEnvironment(seed * 100 + lives, environment.disk)
      const { crashed } = await runUntilCrash(environment, 5 + random.below(60), () => life(10))
      if (crashed) mine++
    }
    environment = newEnvironment(seed * 100 + 99, environment.disk)
    await environment.drive(async () => {
      await life(Number.POSITIVE_INFINITY)
      const db = await openTopics(environment)
      const letters = await readAll(db.topic<string>('dead').consume({ until: 'end' }))
      expect(letters.map(({ value }) => value).sort()).toEqual([...all].sort())
      for (const [value, count] of deliveries) {
        expect(count, `seed ${seed}, ${value}`).toBeGreaterThanOrEqual(3)
        expect(count, `seed ${seed}, ${value}`).toBeLessThanOrEqual(3 + mine)
      }
      await db.close()
    })
    crashes += mine
  }
  expect(crashes).toBeGreaterThan(8)
})
