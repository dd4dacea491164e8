/**
 * Goal: a lease is exactly the moment at which it was taken, for as long as its owner or one of its copies holds it, and not longer; every misuse has
 * its own error. Simulated environment: one thread plays owner and workers.
 */
import { expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { openLease } from '../../../../engine/lease/open-lease.ts'
import { bytesOf, newEnvironment, openSim } from '../../../probes/support.ts'
import { momentOf } from './moment.ts'

const copiesMax = 1024

/** Runs `program` on a fresh simulated machine with a topic `a`, a store `s` with a body, and an owner's log `o`. */
async function withDatabase(
  seed: number,
  program: (db: Database, environment: ReturnType<typeof newEnvironment>) => Promise<void>,
): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment, { autoConsolidate: false })
    await db.define([
      { name: 'a', kind: 'topic' },
      { name: 's', kind: 'store', body: true },
      { name: 'o', kind: 'topic', highWatermark: 'owner' },
    ])
    await program(db, environment)
    await db.close()
  })
}

const value = (i: number, bytes = 400): string => `${i}:`.padEnd(bytes, 'v')

async function fill(db: Database, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    if (db.get('s') !== undefined) db.log('s').appendRecords([{ kind: 'put', key: bytesOf(`k${i % 7}`), value: bytesOf(value(i)) }])
    await db.log('a').appendRecords([{ key: `k${i % 5}`, value: value(i) }]).durable
  }
}

const segmentsOf = async (environment: ReturnType<typeof newEnvironment>): Promise<string[]> =>
  (await environment.files.list('/data/db')).filter(name => name.startsWith('segment-'))

test('a lease pins segments until the owner and all copies let go, and their files go then', async () => {
  await withDatabase(1, async (db, environment) => {
    await fill(db, 0, 10)
    await db.seal()
    await fill(db, 10, 3)
    const lease = db.lease({ logs: ['a', 's'] })
    const first = lease.share()
    const second = lease.share()
    const leased = first.logs.flatMap(log => log.parts.map(part => part.path.split('/').at(-1) as string))
    expect(leased.length).toBeGreaterThan(0)
    expect(first.logs.some(log => log.slots.length > 0)).toBe(true)
    const one = await openLease(first, environment.files)
    const two = await openLease(second, environment.files)
    const before = one.logs.map(log => momentOf(log))
    expect(two.logs.map(log => momentOf(log))).toEqual(before)

    await fill(db, 13, 60)
    await db.seal()
    await db.consolidate()
    await db.drop(['s'])
    db.log('a').trimPrefix(db.log('a').highWatermark)
    await db.consolidate()
    expect(one.logs.map(log => momentOf(log, log.endOffset, 700))).toEqual(before)
    expect(await segmentsOf(environment)).toEqual(expect.arrayContaining(leased))

    lease.release()
    one.release()
    lease.release()
    expect(db.stats().leases).toBe(1)
    expect(two.logs.map(log => momentOf(log))).toEqual(before)
    expect(await segmentsOf(environment)).toEqual(expect.arrayContaining(leased))

    two.release()
    two.release()
    // The copy's release is a store into shared memory; the owner notices when it next looks.
    await fill(db, 80, 40)
    await db.seal()
    expect(db.stats().leases).toBe(0)
    await db.consolidate()
    const left = await segmentsOf(environment)
    for (const name of leased) expect(left).not.toContain(name)
  })
})

test('memory of a leased arena is never reused; memory of others is', async () => {
  await withDatabase(2, async db => {
    await fill(db, 0, 5)
    const lease = db.lease()
    const held = new Set(lease.share().arenas.map(arena => arena.bytes.buffer))
    expect(held.size).toBeGreaterThan(0)
    const seen = new Map<ArrayBufferLike, number>()
    let reused = 0
    for (let i = 0; i < 200; i++) {
      await fill(db, 5 + i, 1)
      const probe = db.lease()
      for (const { bytes, number } of probe.share().arenas) {
        const before = seen.get(bytes.buffer)
        if (before !== undefined && before !== number) {
          reused++
          expect(held.has(bytes.buffer)).toBe(false)
        }
        seen.set(bytes.buffer, number)
      }
      // A probe that is let go before the arena is flushed does not keep its memory from being reused.
      const { cells, copy } = probe.share()
      Atomics.store(cells, copy, 0)
      Atomics.store(cells, copy - 1, 0)
      probe.release()
    }
    expect(reused).toBeGreaterThan(0)
    lease.release()
  })
})

test('bounds: a lease sees what its bound allows at the moment, and not what is released later', async () => {
  await withDatabase(3, async (db, environment) => {
    const log = db.log('o')
    await log.appendRecords([{ value: 'one' }], { epoch: 1 }).durable
    await log.appendRecords([{ value: 'two' }], { epoch: 1 }).durable
    log.advanceHighWatermark(1)
    log.appendRecords([{ value: 'three' }], { epoch: 1 })
    const ends = (['highWatermark', 'durable', 'end'] as const).map(bound => db.lease({ logs: ['o'], bound }).share().logs[0]?.endOffset)
    expect(ends).toEqual([1, 2, 3])
    const lease = await openLease(db.lease({ logs: ['o'], bound: 'end' }).share(), environment.files)
    const before = momentOf(lease.log('o'))
    await log.truncateSuffix(1).durable
    await log.appendRecords([{ value: 'other' }], { epoch: 2 }).durable
    log.advanceHighWatermark(2)
    expect(momentOf(lease.log('o'))).toBe(before)
    lease.release()
  })
})

test('misuse: closed, unknown and out-of-range uses have their errors', async () => {
  await withDatabase(4, async (db, environment) => {
    await fill(db, 0, 3)
    expect(() => db.lease({ logs: ['none'] })).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    const owned = db.lease({ logs: ['a'] })
    const description = owned.share()
    const lease = await openLease(description, environment.files)
    expect(() => lease.log('s')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    const log = lease.log('a')
    expect(() => log.read(4)).toThrow(expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }))
    expect(() => log.read(-1)).toThrow(expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }))
    expect(log.read(3).positions).toEqual([])
    lease.release()
    expect(() => log.read(0)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(() => log.offsetForTime(0)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await expect(openLease(description, environment.files)).rejects.toMatchObject({ code: 'CLOSED' })
    owned.release()
    expect(() => owned.share()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })
})

test('a lease has a bounded number of copies; one too many is refused and costs nothing', async () => {
  await withDatabase(5, async db => {
    const lease = db.lease({ logs: ['a'] })
    const copies = Array.from({ length: copiesMax }, () => lease.share())
    expect(() => lease.share()).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    expect(() => lease.share()).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    lease.release()
    expect(db.stats().leases).toBe(1)
    for (const { cells, copy } of copies) Atomics.store(cells, copy, 0)
    lease.release()
    expect(db.stats().leases).toBe(0)
  })
})

test('copies for a thread are released by its end; one that has ended gets none', async () => {
  await withDatabase(6, async db => {
    const threads = [1, 2].map(threadId => {
      const ends: (() => void)[] = []
      return { threadId, ends, once: (_event: 'exit', listener: () => void) => ends.push(listener) }
    }) as [{ threadId: number; ends: (() => void)[]; once(): number }, { threadId: number; ends: (() => void)[]; once(): number }]
    const lease = db.lease({ logs: ['a'] })
    lease.share(threads[0])
    lease.share(threads[0])
    lease.share(threads[1])
    // A thread that reads many leases in its life is listened to once: no listener keeps an old lease's memory.
    for (let i = 0; i < 20; i++) db.lease({ logs: ['a'] }).share(threads[0])
    expect(threads.map(thread => thread.ends.length)).toEqual([1, 1])
    lease.release()
    const others = db.stats().leases - 1
    threads[1].ends[0]?.()
    expect(db.stats().leases).toBe(others + 1)
    threads[0].ends[0]?.()
    threads[0].threadId = -1
    expect(db.stats().leases).toBe(others)
    expect(() => db.lease().share(threads[0])).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })
})

test('a thread is listened to as long as a lease is held in it, and the database is open', async () => {
  await withDatabase(8, async db => {
    const listeners = new Set<() => void>()
    const thread = {
      once: (_event: 'exit', listener: () => void) => listeners.add(listener),
      off: (_event: 'exit', listener: () => void) => listeners.delete(listener),
    }
    const [first, second] = [db.lease({ logs: ['a'] }), db.lease({ logs: ['a'] })]
    const copies = [first.share(thread), second.share(thread)]
    first.release()
    second.release()
    expect(listeners.size).toBe(1)
    const look = (): void => db.lease({ logs: ['a'] }).release()
    for (const [i, { cells, copy }] of copies.entries()) {
      Atomics.store(cells, copy, 0)
      look()
      expect(listeners.size).toBe(1 - i)
    }
    expect(listeners.size).toBe(0)
    db.lease({ logs: ['a'] }).share(thread)
    expect(listeners.size).toBe(1)
    await db.close()
    expect(listeners.size).toBe(0)
  })
})

test('closing the database ends leases for the owner; copies read on, and the files of released ones are gone', async () => {
  const environment = newEnvironment(7)
  await environment.drive(async () => {
    const db = await openSim(environment, { autoConsolidate: false, ownSegmentBytes: 1 })
    await db.define([
      { name: 'a', kind: 'topic' },
      { name: 's', kind: 'store', body: true },
    ])
    await fill(db, 0, 20)
    await db.seal()
    const kept = db.lease({ logs: ['a'] })
    const gone = db.lease({ logs: ['s'] })
    const ends: (() => void)[] = []
    const thread = { once: (_event: 'exit', listener: () => void) => ends.push(listener) }
    const descriptions = [kept.share(thread), gone.share()] as const
    const leased = descriptions.flatMap(({ logs }) => logs.flatMap(log => log.parts.map(part => part.path.split('/').at(-1) as string)))
    const copy = await openLease(descriptions[0], environment.files)
    const other = await openLease(descriptions[1], environment.files)
    const before = momentOf(copy.log('a'))
    expect(momentOf(other.log('s'))).toContain('20 batches')
    await db.drop(['a', 's'])
    expect(leased.length).toBeGreaterThan(1)
    await db.close()
    expect(await segmentsOf(environment)).toEqual(expect.arrayContaining(leased))
    expect(() => kept.share()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(momentOf(copy.log('a'))).toBe(before)
    // Neither the owner nor the end of a thread finds anything to give back any more.
    kept.release()
    ends[0]?.()
    copy.release()
    other.release()
    const again = await openSim(environment)
    const left = await segmentsOf(environment)
    for (const name of leased) expect(left).not.toContain(name)
    await again.close()
  })
})

test('times are answered as the log answered them at the moment', async () => {
  await withDatabase(8, async (db, environment) => {
    const log = db.log('a')
    for (let i = 0; i < 30; i++) {
      await log.appendRecords([{ value: value(i, 300), timestamp: 1000 + i * 10 }]).durable
      if (i === 15) await db.seal()
    }
    const lease = await openLease(db.lease({ logs: ['a'] }).share(), environment.files)
    const times = [0, 1000, 1005, 1140, 1150, 1155, 1160, 1290, 1291]
    const expected = times.map(time => log.offsetForTime(time))
    expect(expected.at(-1)).toBeUndefined()
    await log.appendRecords([{ value: 'late', timestamp: 5000 }]).durable
    await log.trimPrefix(20).durable
    await db.seal()
    expect(times.map(time => lease.log('a').offsetForTime(time))).toEqual(expected)
    lease.release()
  })
})

test('what is no description of a lease is refused by name', async () => {
  for (const given of [undefined, null, {}, 'lease'])
    await expect(openLease(given as never)).rejects.toThrow(/^description must be what `share` of a lease gave, got /)
})
