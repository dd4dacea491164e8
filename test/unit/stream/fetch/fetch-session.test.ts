/** Goal: a loop that always finds records leaves turns to the rest of the process, every few milliseconds and not at every batch. */
import { expect, test } from 'vitest'
import { open } from '../../../../index.ts'

test('consumers and groups give way while there is always more', async () => {
  const db = await open('breath', { storage: 'memory' })
  const topic = db.topic<string>('t', { partitions: 2, value: 'string' })
  await topic.sendBatch(Array.from({ length: 400 }, (_, i) => ({ key: `${i}`, value: 'v' })))
  /** Turns of the event loop while batches of 10 records are worked on for 5 ms each. */
  const turnsOf = async (batches: AsyncIterable<unknown>, stop: number): Promise<number> => {
    let turns = 0
    let isDone = false
    const turn = (): void => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    let count = 0
    for await (const _ of batches) {
      const until = performance.now() + 5
      while (performance.now() < until);
      if (++count === stop) break
    }
    isDone = true
    return turns
  }
  expect(await turnsOf(topic.consume({ until: 'end', maxRecords: 10 }), 40)).toBeGreaterThanOrEqual(20)
  expect(await turnsOf(topic.consume({ until: 'end', maxBytes: 1 }).raw(), 2)).toBeGreaterThanOrEqual(1)
  expect(await turnsOf(topic.consume({ group: 'g', maxRecords: 10 }), 40)).toBeGreaterThanOrEqual(20)
  await db.close()
})
