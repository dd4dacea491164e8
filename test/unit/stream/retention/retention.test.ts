/**
 * Goal: retention runs by itself, frees space, keeps the tail and whatever is young enough, tells readers of a dropped range what can be read, and goes on
 * while others read and write.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import type { SimEnvironment } from '../../../../engine/env/index.ts'
import type { RetentionMessage, Topic } from '../../../../index.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, readAll, withTopics } from '../support.ts'

const sleep = (environment: SimEnvironment, ms: number) => new Promise<void>(resolve => void environment.timers.after(ms, resolve))
const text = (n: number): string => `${n} `.padEnd(200, '.')

async function fill(topic: Topic<string>, count: number, partition = 0): Promise<void> {
  await topic.sendBatch(Array.from({ length: count }, (_, n) => ({ value: text(n), partition })))
}

test('by time, in the background: only what is sealed and old goes, and the next round takes the rest', () =>
  withTopics(
    1,
    async (db, environment) => {
      const messages: RetentionMessage[] = []
      const listen = (message: unknown): void => void messages.push(message as RetentionMessage)
      subscribe('varve:retention', listen)
      try {
        const topic = db.topic<string>('t', { value: 'string', retention: { timeMs: 60_000 }, partitions: 2 })
        await fill(topic, 50)
        await db.seal()
        await fill(topic, 10) // the tail
        await sleep(environment, 30_000)
        expect(topic.stats().partitions[0]).toMatchObject({ startOffset: 0, endOffset: 60 })
        await sleep(environment, 60_000)
        expect(topic.stats().partitions[0]).toMatchObject({ startOffset: 50, endOffset: 60, sealedBytes: 0 })
        expect(messages).toMatchObject([{ topic: 't', partition: 0, from: 0, to: 50, reason: 'time' }])
        expect(messages[0]?.bytes).toBeGreaterThan(50 * 200)
        await db.seal()
        await sleep(environment, 20_000)
        expect(topic.stats().partitions[0]).toMatchObject({ startOffset: 60, endOffset: 60 })
        await fill(topic, 1)
        expect((await readAll(topic.consume({ until: 'end' }))).map(({ offset }) => offset)).toEqual([60])
      } finally {
        unsubscribe('varve:retention', listen)
      }
    },
    { retentionCheckMs: 10_000 },
  ))

test('by size: the limit stays reached, files become smaller, and readers of what went are told the range', () =>
  withTopics(2, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string', retention: { bytes: 40_000 } })
    const segmentBytes = async (): Promise<number> => {
      const names = (await environment.files.list(db.path)).filter(name => name.startsWith('segment-'))
      const stats = await Promise.all(names.map(name => environment.files.stat(`${db.path}/${name}`)))
      return stats.reduce((sum, stat) => sum + (stat?.size ?? 0), 0)
    }
    for (let i = 0; i < 8; i++) {
      await fill(topic, 100)
      await db.seal()
    }
    const before = await segmentBytes()
    const [result] = await topic.applyRetention()
    expect(result).toMatchObject({ topic: 't', partition: 0, from: 0 })
    const { startOffset, sealedBytes } = topic.stats().partitions[0] as { startOffset: number; sealedBytes: number }
    expect(startOffset).toBe(result?.to)
    expect(sealedBytes).toBeGreaterThanOrEqual(40_000)
    expect(sealedBytes).toBeLessThan(40_000 + 25_000)
    await db.consolidate() // waits for what retention has set going
    await sleep(environment, 1000) // files are deleted behind it
    expect(await segmentBytes()).toBeLessThan(before / 2)
    expect(() => topic.consume({ from: { offset: 0 } })).toThrow(
      expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE', details: expect.objectContaining({ startOffset, endOffset: 800 }) }),
    )
    expect(await topic.applyRetention()).toEqual([])
    const read = await readAll(topic.consume({ until: 'end' }))
    expect(read.map(({ offset }) => offset)).toEqual(Array.from({ length: 800 - startOffset }, (_, i) => startOffset + i))
    expect(read.every(({ offset, value }) => value === text(offset % 100))).toBe(true)
  }))

test('a part that is larger than the limit goes in pieces, and its hidden share is freed by merging', () =>
  withTopics(
    3,
    async db => {
      const topic = db.topic<string>('t', { value: 'string', retention: { bytes: 100_000 } })
      for (let i = 0; i < 40; i++) await fill(topic, 100)
      await db.seal()
      await db.consolidate()
      const before = topic.stats().partitions[0]
      expect(before?.sealedBytes).toBeGreaterThan(800_000)
      await topic.applyRetention()
      const after = topic.stats().partitions[0]
      expect(after?.sealedBytes).toBeGreaterThanOrEqual(100_000)
      expect(after?.sealedBytes).toBeLessThan(250_000)
      await db.consolidate()
      expect(db.stats().segments.bytes).toBeLessThan(400_000)
    },
    { commitLogFileBytes: 4 * 1024 * 1024, commitLogFileBytesFirst: 4 * 1024 * 1024, frameBytesMax: 64 * 1024 },
  ))

test('a clock that is set back deletes nothing early, and a record of the future keeps what lies behind it', () =>
  withTopics(4, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string', retention: { timeMs: 1000 } })
    await fill(topic, 10)
    await db.seal()
    environment.clock.jump(-3_600_000)
    await sleep(environment, 2000)
    expect(await topic.applyRetention()).toEqual([])
    environment.clock.jump(3_600_000)
    expect(await topic.applyRetention()).toMatchObject([{ from: 0, to: 10 }])
    await topic.send({ value: 'later', timestamp: environment.clock.now() + 3_000_000 })
    await db.seal()
    await topic.send('now')
    await db.seal()
    await sleep(environment, 2000)
    expect(await topic.applyRetention()).toEqual([])
    await sleep(environment, 3_010_000)
    expect(await topic.applyRetention()).toMatchObject([{ from: 10, to: 12 }])
  }))

test('a reader goes on while retention runs; one whose place was taken is told, with the range', () =>
  withTopics(5, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string', retention: { bytes: 30_000 } })
    await fill(topic, 400)
    await db.seal()
    const consumer = topic.consume({ maxRecords: 20, maxBytes: 4096 })
    const seen: number[] = []
    let stopped = false
    const writing = (async () => {
      while (!stopped) {
        await fill(topic, 20)
        await db.seal()
        await topic.applyRetention()
        await sleep(environment, 50)
      }
    })()
    for await (const { records } of consumer) {
      for (const { offset } of records) seen.push(offset)
      await sleep(environment, 20)
      if (seen.length >= 200) break
    }
    await sleep(environment, 3000)
    const { startOffset } = topic.stats().partitions[0] as { startOffset: number }
    expect(startOffset).toBeGreaterThan(consumer.position(0))
    await expect(
      (async () => {
        for await (const { records } of consumer) for (const { offset } of records) seen.push(offset) // what it had read ahead
      })(),
    ).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', details: { startOffset: expect.any(Number) } })
    stopped = true
    await writing
    // In order, without a gap: what was read before its place was taken.
    expect(seen).toEqual(seen.map((_, i) => (seen[0] as number) + i))
  }))

test('what is hidden stays hidden after a crash, and nobody need open a topic for its retention', async () => {
  const environment = newEnvironment(6)
  await environment.drive(async () => {
    let db = await openTopics(environment)
    const topic = db.topic<string>('t', { value: 'string', retention: { timeMs: 5000 } })
    await fill(topic, 50)
    await db.seal()
    await db.close()
    db = await openTopics(environment, { retentionCheckMs: 1000 })
    await sleep(environment, 8000)
    expect(db.log('topic/t/0').startOffset).toBe(50)
    await db.close()
    db = await openTopics(environment)
    expect(db.topic('t').stats().partitions[0]).toMatchObject({ startOffset: 50, endOffset: 50 })
    await db.close()
  })
})

test('without a topic that has retention or compaction there is no timer, with many there is one', async () => {
  const environment = newEnvironment(7)
  const { timers } = environment
  const after = timers.after.bind(timers)
  let long = 0
  timers.after = (ms, run) => {
    if (ms === 123_456) long++
    return after(ms, run)
  }
  await environment.drive(async () => {
    const db = await openTopics(environment, { retentionCheckMs: 123_456 })
    await db.topic('plain').ready()
    expect(long).toBe(0)
    for (let i = 0; i < 20; i++) db.topic(`t${i}`, { retention: { timeMs: 1 }, partitions: 10 })
    await db.topic('compacted', { cleanup: 'compact' }).ready()
    expect(long).toBe(1)
    await db.close()
  })
})
