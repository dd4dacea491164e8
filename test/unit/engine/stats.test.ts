/**
 * Goal: each number of `stats()` counts what its name says: compactions, written bytes, amplification, cache, filters, indexes, and how long writers waited.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { StallClock } from '../../../engine/commit-log/stall-clock.ts'
import { LEVEL_BOTTOM } from '../../../engine/segment/format.ts'
import { newEnvironment, openSim } from '../../probes/support.ts'

test('compactions, amplification, cache and filters, of the database and of a store', async () => {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    const db = await openSim(environment, { ownSegmentBytes: 1024, autoConsolidate: false })
    const fresh = db.stats()
    expect(fresh).toMatchObject({ filters: { lookups: 0, filtered: 0, missed: 0 }, cache: { bytes: 0, hits: 0, misses: 0 } })
    expect(fresh.stall).toEqual({ state: 'none', count: 0, hard: 0, refused: 0, totalMs: 0, longestMs: 0, delayed: 0, delayedMs: 0 })
    const store = db.store<{ v: string; n: number }, string>('s', { indexes: { n: 'n' } })
    expect(store.stats()).toMatchObject({ writeAmplification: 1, spaceAmplification: 1, levels: [] })
    for (let round = 0; round < 4; round++) {
      await store.batch(
        Array.from({ length: 50 }, (_, i) => ({ type: 'put', key: `k${i}`, value: { v: 'v'.repeat(100), n: round } }) as const),
      )
      await db.seal()
    }
    const before = store.stats()
    // The first flush made the bottom.
    expect(before.levels.map(({ level, records }) => [level, records])).toEqual([
      [0, 150],
      [LEVEL_BOTTOM, 50],
    ])
    expect(before.levels[0]?.runs).toBe(3)
    expect(before.levels.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(before.bytes)
    expect(before).toMatchObject({ readAmplification: 4, written: { compactedIn: 0, compactedOut: 0 } })
    expect(before.spaceAmplification).toBeCloseTo(4, 1)
    expect(before.written.flushed).toBe(before.bytes)
    expect(before.written.appended).toBeGreaterThan(4 * 50 * 100)
    expect(before.writeAmplification).toBeCloseTo(1 + before.written.flushed / before.written.appended)
    expect(before.indexes).toMatchObject([{ name: 'n', isReady: true }])
    expect(before.indexes[0]?.records).toBeGreaterThanOrEqual(50)

    await store.compact()
    const after = store.stats()
    expect(after).toMatchObject({ readAmplification: 1, spaceAmplification: 1, records: 50 })
    expect(after.written).toMatchObject({ compactedIn: before.bytes, compactedOut: after.bytes })
    const { merge, flush, commitLog, writeAmplification } = db.stats()
    expect(merge).toMatchObject({ runCompactions: 1, runBytesIn: before.bytes, runBytesOut: after.bytes, runsDropped: 0, failures: 0 })
    expect(merge.levels).toEqual([{ level: after.levels[0]?.level, bytesIn: before.bytes, bytesOut: after.bytes }])
    expect(writeAmplification).toBeCloseTo((commitLog.frameBytes + flush.flushedBytes + merge.bytesOut) / commitLog.frameBytes)

    for (let i = 0; i < 50; i++) expect(store.has(`k${i}`)).toBe(true)
    for (let i = 0; i < 200; i++) expect(store.has(`missing ${i}`)).toBe(false)
    const { filters } = store.stats()
    expect(filters.lookups - after.filters.lookups).toBe(250)
    expect(filters.filtered - after.filters.filtered + filters.missed - after.filters.missed).toBe(200)
    expect(filters.missed - after.filters.missed).toBeLessThan(20)
    expect(db.stats().filters.lookups).toBeGreaterThanOrEqual(filters.lookups)
    const { cache } = db.stats()
    expect(cache.misses).toBeGreaterThan(0)
    expect(cache.hits).toBeGreaterThan(cache.misses)
    expect(cache.bytes).toBeLessThanOrEqual(cache.bytesMax)
    // Lookups in runs that are gone still count.
    await store.put('k', { v: '', n: 0 })
    await db.seal()
    await store.compact()
    expect(store.stats().filters.lookups).toBeGreaterThanOrEqual(filters.lookups)
    await db.close()
  })
})

test('stalls: state, count, total and longest time', async () => {
  const environment = newEnvironment(4)
  await environment.drive(async () => {
    const db = await openSim(environment, { pendingBytesMax: 16 * 1024 })
    await db.define([{ name: 'log', kind: 'topic' }])
    const log = db.log('log')
    expect(() => {
      for (let i = 0; i < 100; i++) log.appendRecords([{ value: 'x'.repeat(1024) }])
    }).toThrow(expect.objectContaining({ code: 'BUSY' }))
    expect(db.stats().stall).toMatchObject({ state: 'hard', count: 1, hard: 1, refused: 1 })
    await db.drain()
    const { stall } = db.stats()
    expect(stall).toMatchObject({ state: 'none', count: 1, hard: 1, refused: 1 })
    expect(stall.totalMs).toBeGreaterThan(0)
    expect(stall.longestMs).toBe(stall.totalMs)
    await db.close()
  })
})

test('held acknowledgements are a soft stall until they go out', async () => {
  const environment = newEnvironment(5)
  await environment.drive(async () => {
    const db = await openSim(environment, { tailBytesMax: 64 * 1024 })
    environment.disk.addFault({ path: 'segment-', kinds: ['write', 'sync', 'create'], delayMs: 200, times: Number.POSITIVE_INFINITY })
    await db.define([{ name: 'log', kind: 'topic' }])
    const log = db.log('log')
    for (let i = 0; i < 150; i++) {
      try {
        const appended = log.appendRecords([{ value: 'x'.repeat(1024) }])
        await appended.durable
      } catch {
        await db.drain()
      }
    }
    const { stall, commitLog } = db.stats()
    expect(stall.count).toBeLessThanOrEqual(commitLog.stalls)
    expect(commitLog.stalls).toBeGreaterThan(0)
    expect(stall.count).toBeGreaterThan(0)
    expect(stall.longestMs).toBeGreaterThan(0)
    expect(stall.totalMs).toBeGreaterThanOrEqual(stall.longestMs)
    await db.close()
  })
})

test('a stall ends once: what is held and refused meanwhile belongs to it', () => {
  let now = 100
  const stalls = new StallClock({ now: () => 0, monotonic: () => now })
  stalls.held()
  stalls.held()
  expect(stalls.stats()).toMatchObject({ state: 'soft', count: 1, hard: 0 })
  now = 130
  stalls.refused()
  stalls.refused()
  expect(stalls.stats()).toEqual({ state: 'hard', count: 1, hard: 1, refused: 2, totalMs: 30, longestMs: 30, delayed: 0, delayedMs: 0 })
  now = 150
  stalls.ended()
  stalls.ended()
  now = 500
  stalls.refused()
  now = 510
  stalls.ended()
  expect(stalls.stats()).toEqual({ state: 'none', count: 2, hard: 2, refused: 3, totalMs: 60, longestMs: 50, delayed: 0, delayedMs: 0 })
})

test('docs/API.md names every field', async () => {
  const environment = newEnvironment(6)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const document = readFileSync(new URL('../../../docs/API.md', import.meta.url), 'utf8')
    const part = document.slice(document.indexOf('## Statistics'))
    const store = db.store('s')
    await store.ready()
    const missing: string[] = []
    for (const [name, value] of [...Object.entries(db.stats()), ...Object.entries(store.stats())]) {
      if (!part.includes(name)) missing.push(name)
      if (name === 'recovery' || typeof value !== 'object' || value === null || Array.isArray(value)) continue
      for (const field of Object.keys(value)) if (!part.includes(field)) missing.push(`${name}.${field}`)
    }
    expect(missing).toEqual([])
    await db.close()
  })
})
