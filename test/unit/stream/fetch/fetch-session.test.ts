/** Goal: a loop that always finds records leaves turns to the rest of the process, every few milliseconds and not at every batch; partitions take turns, also while some are given up. */
import { expect, test } from 'vitest'
import { open } from '../../../../index.ts'
import type { ConsumedRecord } from '../../../../stream/fetch/consumed-record.ts'
import { FetchSession } from '../../../../stream/fetch/fetch-session.ts'
import type { Fetcher } from '../../../../stream/fetch/partition-fetcher.ts'

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

test('a partition that is given up while it is read does not disturb whose turn is next', async () => {
  const place = { clock: { monotonic: () => 0 }, timers: {} } as ConstructorParameters<typeof FetchSession>[0]
  const session = new FetchSession(place)
  const record = {} as ConsumedRecord
  const fetcherOf = (next: () => Promise<ConsumedRecord[]>): Fetcher => ({ paused: false, isReady: true, hasSlice: true, next }) as never
  const other = fetcherOf(async () => [record])
  const leaving = fetcherOf(async () => {
    session.remove(leaving)
    return [record]
  })
  const third = fetcherOf(async () => [record])
  for (const fetcher of [leaving, other, third]) session.add(fetcher)
  const found: (Fetcher | undefined)[] = []
  for (let i = 0; i < 2; i++)
    found.push((await session.poll({ recordsMax: 10, bytesMax: 10, signal: new AbortController().signal }))?.fetcher)
  expect(found[0]).toBe(leaving)
  expect([other, third]).toContain(found[1])
})
