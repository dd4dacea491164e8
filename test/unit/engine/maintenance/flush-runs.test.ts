/**
 * Goal: a flush writes of a store what somebody sees and nothing else: what was written over within it goes, unless a snapshot or a history needs it; its run has a
 * file of its own, which goes as soon as a merge has replaced it; a young database gathers before it flushes, and a small store that is written over flushes less.
 */
import { expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { SimEnvironment } from '../../../../engine/env/index.ts'
import { regionsOf } from '../../../../engine/maintenance/bottom-level.ts'
import { LEVEL_BOTTOM, PART_RUN } from '../../../../engine/segment/format.ts'
import type { Store } from '../../../../engine/store/store.ts'
import { verify } from '../../../../engine/tools/verify.ts'
import { folder, newEnvironment, openSim } from '../../../probes/support.ts'
import { internals } from '../../../support/internals.ts'

const options = {
  ownSegmentBytes: 512,
  commitLogFileBytes: 64 * 1024,
  commitLogFileBytesFirst: 64 * 1024,
  frameBytesMax: 16 * 1024,
  autoConsolidate: false,
}
const keyOf = (n: number): string => `k${String(n).padStart(4, '0')}`

const runsOf = (db: Database): readonly { readonly recordCount: number; readonly level: number; readonly bytes: number }[] =>
  internals(db.log('store/s')).parts.filter(part => part.type === PART_RUN)

async function write(store: Store<string, string>, value: string, count = 20): Promise<void> {
  await store.batch(Array.from({ length: count }, (_, n) => ({ type: 'put', key: keyOf(n), value })))
}

test('what was written over goes, a delete stays, and a snapshot keeps what it sees', async () => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    await write(store, 'a')
    await write(store, 'b')
    const snapshot = db.snapshot()
    await write(store, 'c')
    await write(store, 'd')
    await store.del(keyOf(0))
    await db.seal()
    // Of each key 'b' and the newest.
    expect(runsOf(db).map(run => run.recordCount)).toEqual([40])
    expect(store.get(keyOf(3), { snapshot })).toBe('b')
    expect(store.get(keyOf(0), { snapshot })).toBe('b')
    expect(store.get(keyOf(0))).toBeUndefined()
    expect(store.get(keyOf(3))).toBe('d')
    snapshot.close()
    await write(store, 'e')
    await write(store, 'f')
    await db.seal()
    expect(runsOf(db).map(run => run.recordCount)).toEqual([40, 20])
    expect([...store.values()]).toEqual(new Array(20).fill('f'))
    await db.close()
  })
})

test('a store with a history keeps everything', async () => {
  const environment = newEnvironment(2)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string', history: { retentionMs: 1e9 } })
    await write(store, 'a')
    const between = db.stats().sequence
    await write(store, 'b')
    await db.seal()
    expect(runsOf(db).map(run => run.recordCount)).toEqual([40])
    expect(store.asOf(between).get(keyOf(5))).toBe('a')
    await db.close()
  })
})

test('files of runs hold nothing else: merges free them', async () => {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    for (const value of ['a', 'b', 'c']) {
      await write(store, value.repeat(200), 100)
      await db.seal()
    }
    await store.compact()
    const bytes = environment.files
      .listSync(folder)
      .filter(name => name.endsWith('.seg'))
      .reduce((sum, name) => sum + (environment.files.statSync(`${folder}/${name}`)?.size ?? 0), 0)
    const live = runsOf(db).reduce((sum, run) => sum + run.bytes, 0)
    expect(bytes).toBeLessThan(live + 8 * 1024)
    await db.close()
  })
})

test('small files are flushed together', async () => {
  const environment = newEnvironment(4)
  await environment.drive(async () => {
    const db = await openSim(environment, { ...options, commitLogFileBytesFirst: 4 * 1024, commitLogFileBytes: 128 * 1024 })
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    while (db.stats().commitLog.unflushedBytes < 22 * 1024) await store.put('k', 'v'.repeat(500))
    // 4 and 16 KiB are full.
    expect(db.stats().flush.flushes).toBe(0)
    await db.seal()
    expect(db.stats().flush.flushes).toBe(1)
    await db.close()
  })
})

test('a store that is written over is flushed in quarters of its size', async () => {
  const environment = newEnvironment(5)
  await environment.drive(async () => {
    const db = await openSim(environment, { ...options, autoConsolidate: true })
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    for (let n = 0; n < 1000; n += 100) {
      await store.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: keyOf(n + i), value: 'v'.repeat(100) })))
      if (n % 500 === 400) await db.seal()
    }
    await store.compact()
    const live = runsOf(db).reduce((sum, run) => sum + run.bytes, 0)
    expect(runsOf(db).every(run => run.level === LEVEL_BOTTOM)).toBe(true)
    await write(store, 'w'.repeat(100), 500)
    await db.seal()
    const before = db.stats().flush.flushes
    let written = 0
    while (written < live * 2) {
      await write(store, `x${written}`.padEnd(100, '-'), 100)
      written += 100 * 110
    }
    await new Promise<void>(resolve => environment.timers.after(1000, resolve))
    expect(db.stats().flush.flushes - before).toBeGreaterThanOrEqual(6)
    await db.close()
  })
})

/** Bytes of all segments, live or not deleted yet. */
function segmentBytes(environment: SimEnvironment): number {
  const names = environment.files.listSync(folder).filter(name => name.endsWith('.seg'))
  return names.reduce((sum, name) => sum + (environment.files.statSync(`${folder}/${name}`)?.size ?? 0), 0)
}

test('the first run of a store is its bottom, in pieces of all its keys, without what was deleted; the next one lies above it', async () => {
  const environment = newEnvironment(11)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    await write(store, 'v'.repeat(100), 200)
    await store.del(keyOf(7))
    await store.delRange({ gte: keyOf(50), lt: keyOf(60) })
    await store.put(keyOf(55), 'again')
    await db.seal()
    const parts = internals(db.log('store/s')).parts.filter(part => part.type === PART_RUN)
    expect(parts.length).toBeGreaterThan(4)
    expect(parts.every(({ level }) => level === LEVEL_BOTTOM)).toBe(true)
    expect(new Set(parts.map(({ segmentId }) => segmentId)).size).toBe(parts.length)
    expect(parts.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(200 - 1 - 9)
    const regions = regionsOf(parts) ?? []
    expect(regions.every(({ piece }) => piece !== undefined)).toBe(true)
    expect([...store.keys()].length).toBe(200 - 1 - 9)
    expect(store.get(keyOf(55))).toBe('again')
    await write(store, 'w'.repeat(100), 200)
    await db.seal()
    expect(runsOf(db).filter(({ level }) => level === 0).length).toBe(1)
    expect([...store.values()]).toEqual(new Array(200).fill('w'.repeat(100)))
    await db.close()
    expect((await verify(folder, { environment })).findings).toEqual([])
  })
})

test('a store with a history, one with a feed, and one too small for a file begin with a run above the bottom', async () => {
  const environment = newEnvironment(12)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const common = { keys: 'string', value: 'string' } as const
    const stores = [
      db.store<string, string>('history', { ...common, history: { retentionMs: 1e9 } }),
      db.store<string, string>('feed', { ...common, changes: true }),
      db.store<string, string>('small', common),
    ]
    for (const store of stores) await write(store, 'v', store === stores[2] ? 3 : 100)
    await db.seal()
    for (const name of ['history', 'feed', 'small']) {
      const levels = internals(db.log(`store/${name}`)).parts.flatMap(part => (part.type === PART_RUN ? [part.level] : []))
      expect(levels, name).toEqual([0])
    }
    await db.close()
  })
})

test('a store that is written over and closed at once holds twice what is live and a flush at most, and no spare files', async () => {
  const environment = newEnvironment(13)
  await environment.drive(async () => {
    const size = 32 * 1024
    const opened = { ...options, commitLogFileBytes: size, commitLogFileBytesFirst: size, autoConsolidate: true, closeTailBytesMax: 0 }
    const db = await openSim(environment, opened)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const putAll = async (): Promise<void> => {
      for (let n = 0; n < 1000; n += 20)
        await store.batch(Array.from({ length: 20 }, (_, i) => ({ type: 'put', key: keyOf(n + i), value: 'v'.repeat(200) })))
    }
    await putAll()
    await db.seal()
    await store.compact()
    const live = segmentBytes(environment)
    let peak = 0
    const unhook = environment.disk.onOperation(() => {
      peak = Math.max(peak, segmentBytes(environment))
    })
    for (let round = 0; round < 3; round++) await putAll()
    await db.close()
    unhook()
    expect(peak).toBeLessThan(2 * live + size)
    expect(environment.files.listSync(folder).filter(name => name.startsWith('spare-'))).toEqual([])
  })
})
