/** Goal: a record whose time is over is not handed out by anybody, moves everybody on, and stays in the log for those who ask for it. */
import { expect, test } from 'vitest'
import type { ConsumedRecord } from '../../../../index.ts'
import { readAll, sleep, withTopics } from '../support.ts'

test('consumers, groups, replays and reads by key leave expired records out, unless they ask for them', () =>
  withTopics(1, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string', keyIndex: true })
    const expiresAt = environment.clock.now() + 5000
    await topic.sendBatch([
      { key: 'a', value: 'stays' },
      { key: 'a', value: 'short', ttlMs: 1000 },
      { key: 'a', value: 'long', expiresAt },
      { key: 'b', value: 'delayed too', expiresAt, headers: { x: 'y' } },
    ])
    const values = async (options = {}) => (await readAll(topic.consume({ until: 'end', ...options }))).map(({ value }) => value)
    expect(await values()).toEqual(['stays', 'short', 'long', 'delayed too'])
    for await (const record of topic.consume({ until: 'end', from: { offset: 2 } }).records()) {
      expect(record.expiresAt).toBe(expiresAt)
      expect(record.header('varve.expires-at')).toBe(String(expiresAt))
    }
    expect(topic.latest('a')?.value).toBe('long')
    await sleep(environment, 1000)
    expect(await values()).toEqual(['stays', 'long', 'delayed too'])
    await sleep(environment, 4000)
    expect(await values()).toEqual(['stays'])
    expect(await values({ expired: 'include' })).toEqual(['stays', 'short', 'long', 'delayed too'])
    expect(topic.latest('a')).toBeUndefined()
    expect(topic.version('a')).toBe(2)
    expect([...topic.readKey('a')].map(({ value }) => value)).toEqual(['stays'])
    expect([...topic.readKey('a', { expired: 'include' })].map(({ value }) => value)).toEqual(['stays', 'short', 'long'])

    const consumer = topic.consume({ group: 'g' })
    const batch = await consumer.poll()
    expect(batch?.records.map(({ value }) => value)).toEqual(['stays'])
    expect(batch?.nextOffset).toBe(4)
    await batch?.commit()
    expect(db.describeGroup('g').lag).toBe(0)
    await consumer.close()
    const all = topic.consume({ group: 'h', expired: 'include' })
    expect((await all.poll())?.records).toHaveLength(4)
    await all.close()

    const seen: (string | null)[] = []
    const to = (records: readonly ConsumedRecord<string, string>[]): void => void seen.push(...records.map(({ value }) => value))
    expect(await topic.replay({ to })).toMatchObject({ written: 1 })
    expect(await topic.replay({ to, expired: 'include' })).toMatchObject({ written: 4 })
    expect(seen).toEqual(['stays', 'stays', 'short', 'long', 'delayed too'])
    for (const bad of [{ ttlMs: -1 }, { expiresAt: 1.5 }]) await expect(topic.send({ value: 'x', ...bad })).rejects.toThrow(RangeError)
    await expect(topic.send({ value: 'x', ttlMs: 1, expiresAt: 1 })).rejects.toThrow('ttlMs and expiresAt')
    expect(() => topic.consume({ expired: 'no' as never })).toThrow('expired')
    expect(() => topic.consume({ group: 'g', expired: 'no' as never })).toThrow('expired')
  }))

test('a table forgets a key when its newest record expires, and does not go back to the one before', () =>
  withTopics(2, async (db, environment) => {
    const topic = db.topic<number>('t')
    await topic.sendBatch([
      { key: 'a', value: 1 },
      { key: 'a', value: 2, ttlMs: 1000 },
      { key: 'b', value: 3, ttlMs: 0 },
    ])
    const table = topic.table()
    await table.caughtUp()
    expect([...table]).toEqual([['a', 2]])
    await sleep(environment, 1000)
    expect([...table]).toEqual([])
  }))

test('queues drop what has expired, before its delivery or while it waits; or send it to the dead letters', () =>
  withTopics(3, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string' })
    const dead = db.topic<string>('dead', { value: 'string' })
    await topic.sendBatch(Array.from({ length: 1200 }, (_, n) => ({ value: `${n}`, ttlMs: n < 600 ? 0 : 1000 })))
    await topic.send('last')
    const dropping = topic.queue({ group: 'drop' })
    const burying = topic.queue({ group: 'bury', deadLetter: dead, expired: 'dead-letter' })
    const first = await dropping.poll({ maxRecords: 1, maxWaitMs: 0 })
    expect(first?.messages[0]?.value).toBe('600')
    await first?.ack()
    await sleep(environment, 1000)
    for (const queue of [dropping, burying]) {
      const batch = await queue.poll({ maxWaitMs: 10_000 })
      expect(batch?.messages.map(({ value }) => value)).toEqual(['last'])
      await batch?.ack()
      expect(await queue.poll({ maxWaitMs: 0 })).toBeUndefined()
    }
    await sleep(environment, 1000)
    const letters = await readAll(dead.consume({ until: 'end' }))
    expect(new Set(letters.map(({ value }) => value)).size).toBe(1200)
    for await (const record of dead.consume({ until: 'end' }).records()) expect(record.header('varve.dead-letter.error')).toBe('expired')
    expect([dropping.stats().dead, burying.stats().dead]).toEqual([0, 1200])
    expect(() => topic.queue({ group: 'x', expired: 'dead-letter' })).toThrow('deadLetter')
  }))

test('compaction takes what has expired for a tombstone: it stays for deleteRetentionMs from its first cleaning, then it is gone', () =>
  withTopics(4, async (db, environment) => {
    const topic = db.topic<string>('t', { value: 'string', cleanup: 'compact', deleteRetentionMs: 10_000, keyIndex: true })
    await topic.sendBatch([
      { key: 'a', value: 'old' },
      { key: 'a', value: 'new', ttlMs: 1000 },
      { key: 'b', value: 'other', ttlMs: 1e9 },
      { key: 'c', value: 'no time', headers: { 'varve.expires-at': 'soon', 'varve.expires-a': '0' } },
    ])
    const offsets = async () => (await readAll(topic.consume({ until: 'end', expired: 'include' }))).map(({ offset }) => offset)
    await topic.compact()
    expect(await offsets()).toEqual([1, 2, 3])
    await sleep(environment, 1000)
    await topic.send({ key: 'd', value: 'x' })
    await topic.compact()
    expect(await offsets()).toEqual([1, 2, 3, 4])
    expect(topic.version('a')).toBe(1)
    await sleep(environment, 10_000)
    await topic.send({ key: 'd', value: 'y' })
    await topic.compact()
    expect(await offsets()).toEqual([2, 3, 5])
    expect([topic.version('a'), topic.version('b'), topic.version('c')]).toEqual([-1, 2, 3])
  }))
