/** Goal: a queue that holds as many records as it may goes on as soon as one of them is done or gone, whatever ended it. */
import { expect, test } from 'vitest'
import type { Database, Queue, QueueMessage, QueueOptions, Topic } from '../../../../index.ts'
import { TRACKED_MAX } from '../../../../stream/queue/queue-partition.ts'
import { readAll, sleep, withTopics } from '../support.ts'

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
