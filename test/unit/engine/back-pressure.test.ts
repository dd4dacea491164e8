/**
 * Goal: a writer that is faster than the disk meets named bounds and gets out of them; it is told BUSY before anything changes, slowed down before
 * that, and never waits for ever. And what a poisoned database still does: reads of the durable state, rejected promises, a close that works.
 */
import { expect, test } from 'vitest'
import { createSimEnvironment, type SimDisk, type SimEnvironment } from '../../../engine/env/index.ts'
import { type Appended, type Database, isVarveError, type LocalLog, type OpenOptions, openDatabase } from '../../../engine/index.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'
import { observeLog } from '../../fault/observe.ts'

const KiB = 1024
const small: OpenOptions = {
  commitLogFileBytesFirst: 16 * KiB,
  commitLogFileBytes: 16 * KiB,
  frameBytesMax: 4 * KiB,
  tailBytesMax: 96 * KiB,
  autoConsolidate: false,
}

interface World {
  readonly environment: SimEnvironment
  readonly database: Database
  readonly log: LocalLog
}

/** Opens a database with one log and runs `body` in virtual time; a promise that nothing settles fails the test. */
async function world(options: OpenOptions, body: (world: World) => Promise<void>, disk?: SimDisk): Promise<void> {
  const environment = createSimEnvironment({ seed: 5, runners: taskRunners, ...(disk === undefined ? {} : { disk }) })
  await environment.drive(async () => {
    const database = await openDatabase('/data', { ...options, environment })
    await database.define([{ name: 'log', kind: 'topic' }])
    await body({ environment, database, log: database.log('log') })
    await database.close()
  })
}

const value = (bytes: number): string => 'v'.repeat(bytes)

/** Appends until it throws; returns what was accepted and the error. */
function fill(log: LocalLog, bytes: number, durability: 'sync' | 'none'): { accepted: Appended[]; error: unknown } {
  const accepted: Appended[] = []
  for (let i = 0; i < 10_000; i++) {
    try {
      accepted.push(log.appendRecords([{ value: value(bytes) }], { durability }))
    } catch (error) {
      return { accepted, error }
    }
  }
  return { accepted, error: undefined }
}

const pause = (environment: SimEnvironment, ms: number): Promise<void> => new Promise(resolve => environment.timers.after(ms, resolve))

/** 'waits' unless the promise is settled by now. */
async function stateOf(promise: Promise<unknown>): Promise<'waits' | 'resolved' | 'rejected'> {
  const settled = promise.then(
    () => 'resolved' as const,
    () => 'rejected' as const,
  )
  return await Promise.race([settled, Promise.resolve().then(() => Promise.resolve().then(() => 'waits' as const))])
}

const pendingOptions: OpenOptions = { pendingBytesMax: 64 * KiB }

test.each(['sync', 'none'] as const)("pendingBytesMax: BUSY in one turn with '%s', and drain() gets out of it", async durability => {
  await world(pendingOptions, async ({ database, log }) => {
    const { accepted, error } = fill(log, KiB, durability)
    expect(error).toMatchObject({ code: 'BUSY', details: { limit: 'pendingBytesMax' } })
    expect(accepted.length).toBeGreaterThan(30)
    expect(log.endOffset).toBe(accepted.length)
    await database.drain()
    expect(database.stats().commitLog.pendingBytes).toBeLessThanOrEqual(32 * KiB)
    await log.appendRecords([{ value: 'after' }]).durable
    expect(log.durableOffset).toBe(accepted.length + 1)
  })
})

test('tailBytesMax: BUSY while nothing can be flushed, readable all the while, and on again when the disk is well', async () => {
  await world(small, async ({ environment, database, log }) => {
    const fault = environment.disk.addFault({ path: 'segment-', kinds: ['create'], code: 'EIO', times: Number.POSITIVE_INFINITY })
    let error: unknown
    let accepted = 0
    while (error === undefined && accepted < 1000) {
      try {
        await log.appendRecords([{ value: value(KiB) }]).durable
        accepted++
      } catch (caught) {
        error = caught
      }
    }
    expect(error).toMatchObject({ code: 'BUSY', details: { limit: 'tailBytesMax' } })
    expect(database.stats().flush.failures).toBeGreaterThan(0)
    expect(observeLog(log).records.length).toBe(accepted)
    const drained = database.drain()
    await pause(environment, 3000)
    expect(await stateOf(drained)).toBe('waits')
    fault.remove()
    await drained
    await log.appendRecords([{ value: 'after' }]).durable
    expect(log.endOffset).toBe(accepted + 1)
    expect(database.poison).toBeUndefined()
  })
})

test('from half of tailBytesMax on, acknowledgements wait for the flush that is under way', async () => {
  await world({ ...small, tailBytesMax: 64 * KiB }, async ({ environment, database, log }) => {
    environment.disk.addFault({ path: 'segment-', kinds: ['create'], code: 'EIO', times: 1 })
    // A flush that takes long: the folder's names are slow to sync.
    environment.disk.addFault({ path: '/data', kinds: ['syncDirectory'], delayMs: 200, times: Number.POSITIVE_INFINITY })
    let held = 0
    for (let i = 0; i < 60; i++) {
      let appended: Appended
      try {
        appended = log.appendRecords([{ value: value(KiB) }])
      } catch (error) {
        expect(error).toMatchObject({ code: 'BUSY' })
        await database.drain()
        continue
      }
      const { durable } = appended
      while (log.durableOffset < appended.endOffset) await pause(environment, 1)
      await pause(environment, 1)
      if ((await stateOf(durable)) === 'waits') held++
      await durable
    }
    expect(held).toBeGreaterThan(0)
    expect(database.stats().commitLog.stalls).toBeGreaterThan(0)
  })
})

test('staged commits count: their memory is bounded and given back', async () => {
  await world(small, async ({ database, log }) => {
    let most = 0
    let busy = 0
    for (let i = 0; i < 100; i++) {
      try {
        await log.appendRecords([{ value: value(12 * KiB) }]).durable
      } catch (error) {
        if (!isVarveError(error, 'BUSY')) throw error
        busy++
        await database.drain()
      }
      most = Math.max(most, database.stats().commitLog.tailBytes)
    }
    expect(most).toBeLessThanOrEqual(96 * KiB + 16 * KiB)
    expect(busy).toBeLessThan(90)
    await database.seal()
    expect(database.stats().commitLog.tailBytes).toBeLessThanOrEqual(32 * KiB)
  })
})

test('a commit of more than tailBytesMax is possible when nothing else waits, and TOO_LARGE above commitBytesMax', async () => {
  await world({ ...small, commitBytesMax: 256 * KiB }, async ({ log }) => {
    await log.appendRecords([{ value: value(200 * KiB) }]).durable
    expect(() => log.appendRecords([{ value: value(300 * KiB) }])).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE', details: expect.objectContaining({ limit: 'commitBytesMax' }) }),
    )
    expect(log.endOffset).toBe(1)
  })
})

test('a full disk refuses with a typed error, keeps what was acknowledged, and is forgiven', async () => {
  await world({ ...small, tailBytesMax: 1024 * KiB }, async ({ environment, database, log }) => {
    const { disk } = environment
    await log.appendRecords([{ value: 'first' }]).durable
    disk.capacityBytes = disk.usedBytes + 24 * KiB
    let error: unknown
    let accepted = 1
    while (error === undefined && accepted < 1000) {
      try {
        await log.appendRecords([{ value: value(KiB) }]).durable
        accepted++
      } catch (caught) {
        error = caught
      }
    }
    expect(['NO_SPACE', 'POISONED']).toContain((error as { code: string }).code)
    expect(observeLog(log).records.length).toBe(accepted)
    disk.capacityBytes = Number.POSITIVE_INFINITY
    if (database.poison === undefined) {
      await pause(environment, 2000)
      try {
        log.appendRecords([{ value: 'x' }], { durability: 'none' })
      } catch {
        await pause(environment, 100) // the refusal itself tries to prepare a file again
      }
      await log.appendRecords([{ value: 'after' }]).durable
    }
    expect(log.durableOffset).toBeGreaterThanOrEqual(accepted)
  })
})

test.each(['write', 'sync'] as const)(
  'poison by a failed %s: durable reads, rejected promises, a close that works, and a reopen',
  async kind => {
    let disk: SimDisk | undefined
    await world(small, async ({ environment, database, log }) => {
      disk = environment.disk
      await database.define([{ name: 'owned', kind: 'topic', highWatermark: 'owner' }])
      await log.appendRecords([{ value: 'durable' }]).durable
      // Un-synced bytes before the 'sync' append force a full sync.
      await log.appendRecords([{ value: 'buffered' }], { durability: 'buffered' }).acknowledged
      environment.disk.addFault({ path: 'commit-', kinds: [kind], code: 'EIO', times: 1 })
      const waits = [log.waitFor(9), log.waitFor(9, { bound: 'durable' }), database.log('owned').waitFor(0)]
      const first = log.appendRecords([{ value: 'fails' }])
      const promises = [first.durable, first.written, first.acknowledged, ...waits, database.flush()]
      const second = log.appendRecords([{ value: 'behind it' }], { durability: 'buffered' })
      promises.push(second.acknowledged, second.durable)
      for (const promise of promises) await expect(promise).rejects.toMatchObject({ code: 'POISONED' })
      expect(database.poison).toMatchObject({ code: 'IO' })
      expect(database.stats().poison).toContain('EIO')
      expect([log.endOffset, log.highWatermark, log.durableOffset]).toEqual([1, 1, 1])
      expect(log.read(0, { bound: 'end' })).toMatchObject({ positions: [0], nextOffset: 1 })
      const refused: (() => unknown)[] = [
        () => log.appendRecords([{ value: 'x' }]),
        () => log.metadata.set('a', Uint8Array.of(1)),
        () => log.trimPrefix(1),
        () => log.resetTo(0),
        () => database.define([{ name: 'other', kind: 'topic' }]),
        () => database.drop(['log']),
        () => database.flush(),
        () => database.drain(),
        () => database.seal(),
        () => log.waitFor(5),
      ]
      for (const call of refused) await expect((async () => call())(), call.toString()).rejects.toMatchObject({ code: 'POISONED' })
    })
    await world(
      small,
      async ({ log }) => {
        expect(log.endOffset).toBeGreaterThanOrEqual(2)
        const { baseOffset, durable } = log.appendRecords([{ value: 'after' }])
        await durable
        expect(log.durableOffset).toBe(baseOffset + 1)
      },
      disk,
    )
  },
)

test('close settles what waits: drains, acknowledgements, and appends that cannot be written any more', async () => {
  const environment = createSimEnvironment({ seed: 5, runners: taskRunners })
  await environment.drive(async () => {
    const database = await openDatabase('/data', { ...small, pendingBytesMax: 16 * KiB, environment })
    await database.define([{ name: 'log', kind: 'topic' }])
    const log = database.log('log')
    // No further file can be made, and no segment: the tail stays, and its acknowledgements with it.
    environment.disk.capacityBytes = environment.disk.usedBytes
    const accepted: Appended[] = []
    for (let round = 0; round < 5; round++) {
      accepted.push(...fill(log, KiB, round % 2 === 0 ? 'none' : 'sync').accepted)
      await pause(environment, 20)
    }
    const promises = [database.drain(), log.waitFor(1000), ...accepted.map(each => each.durable)]
    const [closed, ...settled] = await Promise.allSettled([database.close(), ...promises])
    for (const each of [closed, ...settled])
      if (each.status === 'rejected') expect(isVarveError(each.reason), String(each.reason)).toBe(true)
    expect(accepted.length).toBeGreaterThan(5)
    expect(settled.length).toBe(promises.length)
  })
})

test('close ends a drain that waits for a flush, and an acknowledgement that no space is left to sync', async () => {
  const environment = createSimEnvironment({ seed: 5, runners: taskRunners })
  const { disk } = environment
  await environment.drive(async () => {
    const database = await openDatabase('/data', { ...small, environment })
    await database.define([{ name: 'log', kind: 'topic' }])
    const log = database.log('log')
    disk.addFault({ path: 'segment-', kinds: ['create'], code: 'EIO', times: Number.POSITIVE_INFINITY })
    let refused: unknown
    const waiting: Promise<void>[] = []
    for (let i = 0; refused === undefined; i++) {
      if (i === 30) disk.capacityBytes = disk.usedBytes
      try {
        const { written, durable } = log.appendRecords([{ value: value(KiB) }], { durability: 'buffered' })
        await written
        waiting.push(durable)
      } catch (error) {
        refused = error
      }
    }
    expect(['NO_SPACE', 'BUSY', 'POISONED']).toContain((refused as { code?: string }).code)
    waiting.push(database.drain())
    const settled = await Promise.allSettled([database.close(), ...waiting])
    for (const each of settled) if (each.status === 'rejected') expect(isVarveError(each.reason), String(each.reason)).toBe(true)
    expect(settled.length).toBe(waiting.length + 1)
  })
})

test("the process's event loop turns while much is written", async () => {
  const { mkdtemp, rm } = await import('node:fs/promises')
  const folder = await mkdtemp(`${(await import('node:os')).tmpdir()}/varve-busy-`)
  const database = await openDatabase(folder, { commitLogFileBytes: 1024 * KiB, pendingBytesMax: 2048 * KiB })
  try {
    await database.define([{ name: 'log', kind: 'topic' }])
    const log = database.log('log')
    let turns = 0
    let running = true
    const turn = (): void => {
      turns++
      if (running) setImmediate(turn)
    }
    setImmediate(turn)
    for (let i = 0; i < 200; i++) {
      try {
        log.appendRecords([{ value: value(64 * KiB) }], { durability: 'buffered' })
      } catch (error) {
        if (!isVarveError(error, 'BUSY')) throw error
        await database.drain()
      }
    }
    await database.flush()
    running = false
    // Six times the bound of waiting bytes were written, so the writer had to wait at least a few times, each time with turns for others.
    expect(turns).toBeGreaterThan(5)
  } finally {
    await database.close()
    await rm(folder, { recursive: true, force: true })
  }
})
