/**
 * Goal: the sweeper removes what has expired from stores and indexes by real deletes, in bounded steps, also after a restart, and nothing else; the queue
 * does not outlive its entries; records of indexed stores survive compaction until they are swept.
 */
import { expect, test } from 'vitest'
import { type Database, openDatabase } from '../../../../engine/database.ts'
import { createSimEnvironment, type SimEnvironment } from '../../../../engine/env/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { expirySweepMsDefault as sweepIntervalMs } from '../../../../engine/options.ts'
import { expiryLogName, sweepEntriesMax } from '../../../../engine/store/expiry.ts'
import { coreOf, type Store } from '../../../../engine/store/store.ts'
import { folder, newEnvironment, smallOptions } from '../../../probes/support.ts'

const open = (environment: SimEnvironment): Promise<Database> => openDatabase(folder, { ...smallOptions, environment })

const sleep = (environment: SimEnvironment, ms: number): Promise<void> => new Promise(resolve => environment.timers.after(ms, resolve))

/** The same machine after its process has ended; time goes on. */
function restarted(environment: SimEnvironment, seed: number): SimEnvironment {
  return createSimEnvironment({ seed, disk: environment.disk, scheduler: environment.scheduler, runners: taskRunners })
}

/** Keys whose newest record is a put, expired or not. */
function storedKeys(store: Store): unknown[] {
  const core = coreOf(store)
  const cursor = core.cursor({ sequenceMax: core.sequenceMax(undefined), now: 0 })
  const keys: unknown[] = []
  while (cursor.next()) {
    const { buffer, keyStart, keyBytes } = cursor.record
    keys.push(core.keys.decode(buffer, keyStart, keyStart + keyBytes))
  }
  return keys
}

test('the ttlMs of a store: kept when left out, changed for all handles, ended by false, passed over by a put for ever', async () => {
  const environment = newEnvironment(8)
  await environment.drive(async () => {
    const db = await open(environment)
    const first = db.store<number, string>('s', { ttlMs: 1000 })
    await first.put('for ever', 1, { ttlMs: Number.POSITIVE_INFINITY })
    await first.batch([{ type: 'put', key: 'for ever in a batch', value: 1, ttlMs: Number.POSITIVE_INFINITY }])
    await db.transaction(tx => tx.store(first).put('for ever in a transaction', 1, { ttlMs: Number.POSITIVE_INFINITY }))
    await first.put('short', 1)
    await db.store('s', {}).ready()
    await db.store('s', { ttlMs: undefined }).ready()
    await first.put('short too', 1)
    await db.store('s', { ttlMs: 50_000 }).ready()
    await first.put('longer', 1)
    await sleep(environment, 1000)
    expect([...first.keys()]).toEqual(['for ever', 'for ever in a batch', 'for ever in a transaction', 'longer'])
    await db.store('s', { ttlMs: false }).ready()
    await first.put('after the end', 1)
    await db.close()
    const again = await open(restarted(environment, 9))
    const second = again.store<number, string>('s')
    await second.put('after a restart', 1)
    await sleep(environment, 50_000)
    expect([...second.keys()]).toEqual(['after a restart', 'after the end', 'for ever', 'for ever in a batch', 'for ever in a transaction'])
    expect(again.get('store/s')?.options?.store).toEqual({ keys: 'tuple', value: 'msgpack-structures' })
    await again.store('new', { ttlMs: false }).ready()
    expect(again.get('store/new')?.options?.store).toEqual({ keys: 'tuple', value: 'msgpack-structures' })
    expect(() => again.store('s', { ttlMs: Number.POSITIVE_INFINITY })).toThrow(/ttlMs of a store must be finite/)
    expect(() => again.store('s', { ttlMs: 0 })).toThrow(/ttlMs must be positive, got 0/)
    await again.close()
  })
})

test.each([false, true])('what has expired is deleted, what was overwritten stays (indexed: %s)', async isIndexed => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await open(environment)
    const store = db.store<{ v: number }, string>('s', isIndexed ? { indexes: { v: 'v' } } : {})
    await store.put('gone', { v: 1 }, { ttlMs: 1000 })
    await store.put('longer', { v: 1 }, { ttlMs: 1000 })
    await store.put('longer', { v: 1 }, { ttlMs: 60_000 })
    await store.put('for ever', { v: 1 }, { ttlMs: 1000 })
    await store.put('for ever', { v: 1 })
    await store.put('deleted', { v: 1 }, { ttlMs: 1000 })
    await store.del('deleted')
    await store.put('plain', { v: 1 })
    await store.put('past', { v: 1 }, { expiresAt: 1 })
    await sleep(environment, 1000)
    expect([...store.keys()]).toEqual(['for ever', 'longer', 'plain'])
    if (isIndexed) expect([...store.index('v').keys()]).toEqual(['for ever', 'longer', 'plain'])
    expect(storedKeys(store)).toEqual(['for ever', 'gone', 'longer', 'past', 'plain'])
    const old = db.snapshot()
    await sleep(environment, sweepIntervalMs)
    expect(storedKeys(store)).toEqual(['for ever', 'longer', 'plain'])
    expect([...store.keys({ snapshot: old })]).toEqual(['for ever', 'longer', 'plain'])
    await sleep(environment, 7 * sweepIntervalMs)
    expect(storedKeys(store)).toEqual(['for ever', 'plain'])
    if (isIndexed) expect([...store.index('v').entries()].map(([, key]) => key)).toEqual(['for ever', 'plain'])
    await db.close()
  })
})

test('a snapshot from before still shows what was swept', async () => {
  const environment = newEnvironment(2)
  await environment.drive(async () => {
    const db = await open(environment)
    const store = db.store<{ v: number }, string>('s', { indexes: { v: 'v' }, ttlMs: 1000 })
    await store.put('a', { v: 1 })
    const snapshot = db.snapshot()
    await sleep(environment, 2 * sweepIntervalMs)
    expect(storedKeys(store)).toEqual([])
    await db.seal()
    await db.compactLog('store/s')
    expect(store.get('a', { snapshot })).toEqual({ v: 1 })
    expect(store.index('v').get(1, { snapshot })).toEqual({ v: 1 })
    snapshot.close()
    await db.close()
  })
})

test('a large backlog goes in bounded steps, over several stores', async () => {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    const db = await open(environment)
    const stores = ['a', 'b', 'c'].map(name => db.store<number, number>(name, { ttlMs: 500 }))
    for (const store of stores) {
      for (let i = 0; i < 800; i += 100) {
        await store.batch(Array.from({ length: 100 }, (_, j) => ({ type: 'put', key: i + j, value: 1 }) as const))
      }
    }
    // Each delete is one record of a store's log.
    const written = (): number => stores.reduce((sum, store) => sum + coreOf(store).log.endOffset, 0)
    await sleep(environment, 0.9 * sweepIntervalMs)
    let before = written()
    expect(before).toBe(2400)
    let steps = 0
    for (let polls = 0; before < 4800 && polls < 10_000; polls++) {
      await sleep(environment, 0.5)
      const now = written()
      expect(now - before).toBeLessThanOrEqual(sweepEntriesMax)
      if (now > before) steps++
      before = now
    }
    expect(steps).toBe(3)
    expect(stores.map(store => storedKeys(store).length)).toEqual([0, 0, 0])
    await db.close()
  })
})

test.each(['close', 'kill', 'crash'] as const)(
  'the queue survives a %s; records of indexed stores survive compaction until they are swept',
  async how => {
    let environment = newEnvironment(4)
    await environment.drive(async () => {
      const db = await open(environment)
      const store = db.store<{ v: number }, string>('s', { indexes: { v: 'v' } })
      await store.ready()
      for (let i = 0; i < 50; i++) await store.put(`k${i}`, { v: i }, { ttlMs: 1000 })
      await store.put('stays', { v: 99 })
      await sleep(environment, 1000)
      await db.seal()
      await db.compactLog('store/s')
      expect(storedKeys(store)).toHaveLength(51)
      if (how === 'close') await db.close()
    })
    if (how === 'kill') environment.disk.processKill()
    if (how === 'crash') environment.disk.crash()
    environment = restarted(environment, 40)
    await environment.drive(async () => {
      const db = await open(environment)
      const store = db.store<{ v: number }, string>('s')
      expect(storedKeys(store)).toHaveLength(51)
      await sleep(environment, 2 * sweepIntervalMs)
      expect(storedKeys(store)).toEqual(['stays'])
      await store.put('k1', { v: 5 })
      expect([...store.index('v').entries()].map(([v, key]) => [v, key])).toEqual([
        [5, 'k1'],
        [99, 'stays'],
      ])
      await db.close()
    })
  },
)

test('stores without expiring entries have no queue', async () => {
  const environment = newEnvironment(5)
  await environment.drive(async () => {
    const db = await open(environment)
    const store = db.store<{ v: number }, string>('s', { indexes: { v: 'v' } })
    await store.put('a', { v: 1 })
    expect(db.get(expiryLogName(coreOf(store).log.id))).toBeUndefined()
    await store.put('a', { v: 1 }, { ttlMs: 5 })
    expect(db.get(expiryLogName(coreOf(store).log.id))).toBeDefined()
    expect(db.storeNames()).toEqual(['s'])
    await db.dropStore('s')
    expect(db.list()).toEqual([])
    await sleep(environment, 2 * sweepIntervalMs)
    await db.close()
  })
})
