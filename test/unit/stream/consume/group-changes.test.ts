/**
 * Goal: a group consumes a store's changes once, keeps its position over restarts and crashes, together with what is written for them; one member has the feed and
 * another takes over; what was trimmed is never skipped silently.
 */
import { expect, test } from 'vitest'
import { openDatabase } from '../../../../engine/index.ts'
import type { Database, GroupChangeFeed, GroupChangesOptions, Store } from '../../../../index.ts'
import { folder, newEnvironment } from '../../../probes/support.ts'
import { openTopics, sleep, withTopics } from '../support.ts'

const users = (db: Database): Store<number, string> => db.store<number, string>('users', { changes: true })

async function keysOf(feed: GroupChangeFeed<number, string>, count: number): Promise<string[]> {
  const keys: string[] = []
  while (keys.length < count) {
    const batch = await feed.poll({ maxWaitMs: 60_000 })
    if (batch === undefined) break
    for (const change of batch.changes) keys.push(change.type === 'delRange' ? '*' : `${change.type} ${change.key}`)
    await batch.commit({ metadata: 'm' })
  }
  return keys
}

test('reads from the start, commits, goes on after a restart, and is described, reset and deleted as any group', async () => {
  let environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openTopics(environment)
    const store = users(db)
    await store.put('ada', 1)
    await store.batch([
      { type: 'put', key: 'bob', value: 2 },
      { type: 'del', key: 'ada' },
    ])
    const feed = store.changes({ group: 'g', clientId: 'one' })
    expect([feed.isActive, feed.memberId, feed.lag]).toEqual([false, undefined, 0])
    expect(await keysOf(feed, 3)).toEqual(['put ada', 'put bob', 'del ada'])
    expect([feed.group, feed.isActive]).toEqual(['g', true])
    expect(db.describeGroup('g')).toMatchObject({
      state: 'Stable',
      lag: 0,
      partitions: [{ topic: 'store/users', partition: 0, offset: 3, endOffset: 3, metadata: 'm' }],
    })
    await store.put('carl', 3)
    expect(db.describeGroup('g').lag).toBe(1)
    await db.close()
  })
  environment = newEnvironment(2, environment.disk)
  await environment.drive(async () => {
    const db = await openTopics(environment)
    const store = users(db)
    const feed = store.changes({ group: 'g' })
    expect(await keysOf(feed, 1)).toEqual(['put carl'])
    const waiting = keysOf(feed, 1)
    await sleep(environment, 1000)
    await store.delRange({ gte: 'b', lt: 'd' })
    expect(await waiting).toEqual(['*'])
    await feed.close()
    await db.resetGroup('g', 'store/users', { offset: 1 })
    expect(await keysOf(store.changes({ group: 'g', batchRecordsMax: 1 }), 3)).toEqual(['put bob', 'del ada', 'put carl'])
    await db.renameStore('users', 'people')
    expect(db.describeGroup('g').partitions[0]).toMatchObject({ topic: 'store/people', offset: 4 })
    await expect(db.resetGroup('other', 'store/nobody', 'earliest')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await db.close()
  })
  environment = newEnvironment(3, environment.disk)
  await environment.drive(async () => {
    const db = await openTopics(environment)
    const feed = db.store<number, string>('people').changes({ group: 'g' })
    expect(await keysOf(feed, 1)).toEqual(['*'])
    await feed.close()
    await db.dropStore('people')
    expect(db.describeGroup('g').partitions).toEqual([])
    await users(db).put('new', 1)
    expect(await keysOf(users(db).changes({ group: 'g' }), 1)).toEqual(['put new'])
    await db.close()
  })
})

test.each([1, 2, 3, 4, 5])(
  'exactly once over crashes: what is written for changes and the position are one commit (seed %d)',
  async seed => {
    let environment = newEnvironment(seed)
    const { random } = environment
    for (let life = 0; life < 5; life++) {
      if (life > 0) environment = newEnvironment(seed * 100 + life, environment.disk)
      await environment.drive(async () => {
        const db = await openTopics(environment)
        const store = users(db)
        const copies = db.store<number, string>('copies')
        const feed = store.changes({ group: 'g', batchRecordsMax: 1 + random.below(5) })
        for (let step = 0; step < 10; step++) {
          await store.batch(
            Array.from({ length: 1 + random.below(4) }, () => ({ type: 'put' as const, key: `k${random.below(5)}`, value: 1 })),
          )
          const batch = await feed.poll({ maxWaitMs: 60_000 })
          if (batch === undefined) continue
          await db.transaction(tx => {
            for (const change of batch.changes)
              if (change.type === 'put') tx.store(copies).put(change.key, (tx.store(copies).get(change.key) ?? 0) + 1)
            tx.offsets(batch)
          })
          if (random.below(8) === 0) break
        }
        if (life < 4) {
          if (random.below(2) === 0) environment.disk.crash()
          else await db.close()
          return
        }
        while (db.describeGroup('g').lag > 0) {
          await db.transaction(async tx => {
            const batch = await feed.poll({ maxWaitMs: 60_000 })
            for (const change of batch?.changes ?? [])
              if (change.type === 'put') tx.store(copies).put(change.key, (tx.store(copies).get(change.key) ?? 0) + 1)
            tx.offsets(feed)
          })
        }
        const expected = new Map<string, number>()
        for (const change of store.readChanges('start', { limit: 10_000 }).changes)
          if (change.type === 'put') expected.set(change.key, (expected.get(change.key) ?? 0) + 1)
        expect(new Map(copies.entries())).toEqual(expected)
        await db.close()
      })
    }
  },
)

test('one member has the feed; when it leaves or falls silent another goes on, and the first can commit nothing more', () =>
  withTopics(7, async (db, environment) => {
    const store = users(db)
    const log: string[] = []
    const member = (name: string, options: Partial<GroupChangesOptions> = {}): GroupChangeFeed<number, string> =>
      store.changes({
        group: 'g',
        clientId: name,
        onAssigned: () => void log.push(`+${name}`),
        onRevoked: () => void log.push(`-${name}`),
        onLost: () => void log.push(`!${name}`),
        ...options,
      })
    const first = member('a', { maxPollIntervalMs: 20_000, sessionTimeoutMs: 10_000, heartbeatIntervalMs: 3000 })
    await store.put('1', 1)
    const held = await first.poll()
    const seen: string[] = []
    const second = member('b')
    const loop = (async () => {
      for await (const batch of second) {
        for (const change of batch.changes) if (change.type === 'put') seen.push(change.key)
        await batch.commit()
      }
    })()
    await sleep(environment, 10_000)
    expect([log, seen]).toEqual([['+a'], []])
    // It does not ask for more.
    await sleep(environment, 30_000)
    expect(seen).toEqual(['1'])
    await expect(held?.commit()).rejects.toMatchObject({ code: 'FENCED_MEMBER' })
    await store.put('2', 1)
    await sleep(environment, 1000)
    expect(seen).toEqual(['1', '2'])
    await second.close()
    await loop
    expect(log.at(-1)).toBe('-b')
    await first.close()
    expect(db.describeGroup('g').lag).toBe(0)
  }))

test('a position that was trimmed is an error with the range there is, not a jump; after a reset it goes on', () =>
  withTopics(8, async (db, environment) => {
    const store = users(db)
    for (let i = 0; i < 6; i++) await store.put(`k${i}`, i)
    const feed = store.changes({ group: 'g', batchRecordsMax: 2 })
    expect(await keysOf(feed, 2)).toHaveLength(2)
    await feed.close()
    await store.trimChanges(4)
    const gone = { code: 'OFFSET_OUT_OF_RANGE', details: { log: 'store/users', startOffset: 4, endOffset: 6, actual: 2 } }
    const again = store.changes({ group: 'g' })
    await expect(again.poll()).rejects.toMatchObject(gone)
    await again.close()
    // While it reads, too.
    const { latest } = store.changePositions()
    await db.resetGroup('g', 'store/users', { offset: 4 })
    const reading = store.changes({ group: 'g', batchRecordsMax: 1 })
    await reading.poll()
    await store.trimChanges(latest)
    await expect(reading.poll()).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    await reading.close()
    await db.resetGroup('g', 'store/users', 'latest')
    await store.put('new', 1)
    const auto = store.changes({ group: 'g', autoCommit: { intervalMs: 10 } })
    expect((await auto.poll())?.changes).toMatchObject([{ key: 'new' }])
    await sleep(environment, 100)
    await auto.poll({ maxWaitMs: 100 })
    await auto.close()
    expect(db.describeGroup('g').lag).toBe(0)
    await expect(store.changes({ group: 'h', autoOffsetReset: 'none' }).poll()).rejects.toMatchObject({ code: 'NO_OFFSET' })
    expect((await store.changes({ group: 'i', autoOffsetReset: 'latest' }).poll({ maxWaitMs: 1000 }))?.changes).toBeUndefined()
  }))

test('arguments', () =>
  withTopics(9, async db => {
    const store = users(db)
    expect(() => db.store('plain').changes({ group: 'g' })).toThrow('changes')
    expect(() => store.changes({ group: '' })).toThrow('group')
    expect(() => store.changes({ group: 'g', batchRecordsMax: 0 })).toThrow(RangeError)
    expect(() => store.changes({ group: 'g', from: 'start' } as never)).toThrow('from')
    await expect(db.transaction(tx => tx.offsets({} as never))).rejects.toThrow(TypeError)
    const feed = store.changes({ group: 'g', signal: AbortSignal.abort() })
    expect(await feed.poll()).toBeUndefined()
  }))

test('the engine alone has no groups', async () => {
  const environment = newEnvironment(10)
  await environment.drive(async () => {
    const db = await openDatabase(folder, { environment })
    expect(() => db.store('s', { changes: true }).changes({ group: 'g' })).toThrow('group')
    await db.close()
  })
})
