/**
 * Goal: a replay writes exactly the range that was asked for, filtered, in order, into topics, stores and functions; at a pace it keeps the distances of the
 * records; with a name it goes on after a crash at any point without loss or duplicate.
 */
import { describe, expect, test } from 'vitest'
import type { ReplayOptions, ReplayProgress, Topic } from '../../../../index.ts'
import { newEnvironment, runUntilCrash } from '../../../probes/support.ts'
import { openTopics, readAll, withTopics } from '../support.ts'

interface Reading {
  readonly sensor: string
  readonly n: number
}

describe('a replay', () => {
  test('copies a range by offset and by time into a topic, with times and headers', () =>
    withTopics(1, async db => {
      const source = db.topic<string>('source', { partitions: 2, value: 'string' })
      for (let i = 0; i < 40; i++) {
        await source.send({ key: `k${i % 4}`, value: `v${i}`, timestamp: 1000 + i, headers: { n: String(i) } })
        if (i === 20) await db.seal()
      }
      const copy = db.topic<string>('copy', { partitions: 3, value: 'string' })
      const progress: ReplayProgress[] = []
      const report = await source.replay({
        to: copy,
        from: { time: 1010 },
        until: { time: 1030 },
        batch: 3,
        onProgress: step => progress.push(step),
      })
      const values = (await readAll(copy.consume({ until: 'end' }))).map(({ value }) => Number(value?.slice(1))).sort((a, b) => a - b)
      expect(values).toEqual(Array.from({ length: 20 }, (_, i) => 10 + i))
      expect(report).toMatchObject({ read: 20, written: 20, resumed: false, dryRun: false })
      expect([db.storeNames(), db.topicNames()]).toEqual([[], ['copy', 'source']])
      expect(progress.at(-1)).toMatchObject({ done: progress.at(-1)?.total, read: 20, written: 20 })
      for await (const record of copy.consume({ until: 'end' }).records()) expect(record.timestamp - 1000).toBe(Number(record.header('n')))
      const rest = await source.replay({
        to: copy,
        partitions: [0],
        from: { offset: 2 },
        until: { offset: 5 },
        dryRun: true,
        filter: ({ offset }) => offset !== 3,
      })
      expect(rest).toMatchObject({ read: 3, written: 2, dryRun: true, ranges: [{ partition: 0, from: 2, to: 5 }] })
      expect((await readAll(copy.consume({ until: 'end' }))).length).toBe(20)
    }))

  test('writes as its target wants it: compressed, with keys where it is compacted, and when there is room', () =>
    withTopics(
      7,
      async db => {
        const source = db.topic<string>('source', { value: 'string' })
        const value = 'x'.repeat(500)
        for (let i = 0; i < 10; i++) await source.sendBatch(Array.from({ length: 10 }, (_, n) => ({ key: `${n}`, value })))
        const packed = db.topic<string>('packed', { value: 'string', compression: 'zstd' })
        const filler = db.topic<string>('filler', { value: 'string' })
        const sent: Promise<unknown>[] = []
        const replayed = source.replay({
          to: packed,
          batch: 7,
          onProgress: () => void sent.push(filler.sendBatch(Array.from({ length: 60 }, () => value))),
        })
        expect(await replayed).toMatchObject({ written: 100 })
        await Promise.all(sent)
        expect(await readAll(packed.consume({ until: 'end' }))).toHaveLength(100)
        const bytesOf = async (topic: Topic<string>): Promise<number> => {
          let bytes = 0
          for await (const slice of topic.consume({ until: 'end' }).raw()) bytes += slice.bytes.length
          return bytes
        }
        expect(await bytesOf(packed)).toBeLessThan((await bytesOf(source)) / 3)
        await source.send({ key: null, value: 'keyless' })
        const compacted = db.topic<string>('compacted', { value: 'string', cleanup: 'compact' })
        await expect(source.replay({ to: compacted })).rejects.toMatchObject({ code: 'INVALID_RECORD', details: { topic: 'source' } })
        expect(await readAll(compacted.consume({ until: 'end' }))).toHaveLength(100)
      },
      { tailBytesMax: 96 * 1024 },
    ))

  test('builds a store: the newest value of each key, without those that were deleted', () =>
    withTopics(2, async db => {
      const source = db.topic<Reading>('source', { partitions: 3, key: 'sensor' })
      for (let n = 0; n < 30; n++) await source.send({ sensor: `s${n % 5}`, n })
      await source.send({ key: 's3', value: null })
      const store = db.store<Reading>('readings')
      await source.replay({ to: store })
      expect([...store.entries()].map(([key, { n }]) => [key, n])).toEqual([
        ['s0', 25],
        ['s1', 26],
        ['s2', 27],
        ['s4', 29],
      ])
      await source.send({ value: { sensor: 'x', n: 1 }, key: null })
      await expect(source.replay({ to: store })).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    }))

  test('gives a function the records in order, and ends by its signal', () =>
    withTopics(3, async db => {
      const source = db.topic<number>('source')
      await source.sendBatch(Array.from({ length: 10 }, (_, i) => i))
      const seen: number[] = []
      await source.replay({
        to: records => void seen.push(...records.map(({ value }) => value as number)),
        batch: 4,
        filter: ({ value }) => (value as number) % 2 === 0,
      })
      expect(seen).toEqual([0, 2, 4, 6, 8])
      const stop = new AbortController()
      const stopped = source.replay({ to: () => stop.abort(new Error('enough')), batch: 2, signal: stop.signal })
      await expect(stopped).rejects.toThrow('enough')
    }))

  test('at a pace, keeps the distances divided by the factor, in the order of times over partitions', () =>
    withTopics(4, async (db, environment) => {
      const source = db.topic<number>('source', { partitions: 2 })
      const times = [0, 1000, 1010, 4000, 10_000]
      for (const [n, time] of times.entries()) await source.send({ value: n, partition: n % 2, timestamp: 50_000 + time })
      const seen: [number, number][] = []
      const begun = environment.clock.monotonic()
      await source.replay({
        to: records =>
          void seen.push(...records.map(({ value }): [number, number] => [value as number, environment.clock.monotonic() - begun])),
        pace: 10,
      })
      expect(seen.map(([n]) => n)).toEqual([0, 1, 2, 3, 4])
      for (const [n, at] of seen) expect(Math.abs(at - (times[n] as number) / 10)).toBeLessThan(20)
    }))

  test('refuses what cannot be, by name', () =>
    withTopics(5, async db => {
      const source = db.topic<number>('source')
      await source.send(1)
      const bad: [Partial<ReplayOptions<number, string>> & { readonly [name: string]: unknown }, RegExp][] = [
        [{ to: 5 as never }, /^to must/],
        [{ to: source as never }, /^to must not be the topic/],
        [{ partitions: [] }, /^partitions must/],
        [{ from: 5 as never }, /^from must/],
        [{ pace: 0 }, /^pace must/],
        [{ resume: '' }, /^resume must/],
        [{ batch: 0 }, /^batch must/],
        [{ fliter: 1 }, /unknown option of replay: fliter/],
      ]
      for (const [options, message] of bad) await expect(source.replay({ to: () => undefined, ...options })).rejects.toThrow(message)
      await expect(source.replay({ to: db.topic('other', { value: 'string' }) as never })).rejects.toMatchObject({
        code: 'DEFINITION_MISMATCH',
        details: { option: 'value' },
      })
      await expect(source.replay({ to: () => undefined, from: { offset: 7 } })).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    }))
})

test('a named replay that dies at any point goes on without loss or duplicate', async () => {
  let crashes = 0
  let resumed = 0
  for (let point = 3; point < 60; point += 4) {
    const environment = newEnvironment(100 + point)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const source = db.topic<number>('source', { partitions: 2 })
      await source.sendBatch(Array.from({ length: 60 }, (_, i) => ({ key: `k${i % 7}`, value: i })))
      await db.topic('copy', { partitions: 2 }).ready()
      await db.close()
    })
    let finished = false
    const { crashed } = await runUntilCrash(environment, point, async () => {
      const db = await openTopics(environment)
      await db.topic<number>('source').replay({ to: db.topic<number>('copy'), resume: 'copying', batch: 4 })
      finished = true
      await db.close()
    })
    if (!finished) {
      expect(crashed).toBe(true)
      crashes++
    }
    const second = newEnvironment(500 + point, environment.disk)
    await second.drive(async () => {
      const db = await openTopics(second)
      const report = await db.topic<number>('source').replay({ to: db.topic<number>('copy'), resume: 'copying', batch: 4 })
      const all = (await readAll(db.topic<number>('copy').consume({ until: 'end' }))).map(({ value }) => value as number)
      expect([...all].sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i))
      if (report.resumed) resumed++
      // After its end, told or not, it goes on with what has come since.
      await db.topic<number>('source').send({ key: 'k', value: 60 })
      const more = await db.topic<number>('source').replay({ to: db.topic<number>('copy'), resume: 'copying', batch: 4 })
      expect(more).toMatchObject({ resumed: true, written: 1 })
      await db.close()
    })
  }
  expect(crashes).toBeGreaterThan(3)
  expect(resumed).toBeGreaterThan(1)
})
