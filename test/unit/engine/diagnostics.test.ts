/** Goal: each channel tells what happened, once, with numbers that agree with `stats()`; and a database that nobody listens to says nothing. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, expect, test } from 'vitest'
import { flushChannel } from '../../../engine/diagnostics.ts'
import { createSimEnvironment, type SimEnvironment } from '../../../engine/env/index.ts'
import { type Database, type DiagnosticMessages, type OpenOptions, openDatabase } from '../../../engine/index.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'

const KiB = 1024
const small: OpenOptions = {
  commitLogFileBytesFirst: 16 * KiB,
  commitLogFileBytes: 16 * KiB,
  frameBytesMax: 4 * KiB,
  ownSegmentBytes: 8 * KiB,
  tailBytesMax: 96 * KiB,
  autoConsolidate: false,
}

const undo: (() => void)[] = []
afterEach(() => {
  for (const run of undo.splice(0)) run()
})

/** Collects what is published until the test ends. */
function listen<Name extends keyof DiagnosticMessages>(name: Name): DiagnosticMessages[Name][] {
  const messages: DiagnosticMessages[Name][] = []
  const listener = (message: unknown): void => void messages.push(message as DiagnosticMessages[Name])
  subscribe(name, listener)
  undo.push(() => unsubscribe(name, listener))
  return messages
}

async function world(options: OpenOptions, body: (database: Database, environment: SimEnvironment) => Promise<void>): Promise<void> {
  const environment = createSimEnvironment({ seed: 3, runners: taskRunners })
  await environment.drive(async () => {
    const database = await openDatabase('/data', { ...small, ...options, environment })
    await database.define([{ name: 'log', kind: 'topic' }])
    await body(database, environment)
    await database.close()
  })
}

const record = (bytes: number): { value: string } => ({ value: 'v'.repeat(bytes) })

test('varve:flush tells start and end, with the segments written', async () => {
  await world({}, async database => {
    const messages = listen('varve:flush')
    await database.log('log').appendRecords([record(2 * KiB)]).durable
    await database.seal()
    expect(messages.map(({ phase }) => phase)).toEqual(['start', 'end'])
    const [start, end] = messages
    expect(start).toMatchObject({ database: '/data', segments: 0, segmentBytes: 0, ms: 0, error: undefined })
    expect(start!.tailBytes).toBeGreaterThan(2 * KiB)
    expect(end).toMatchObject({ database: '/data', tailBytes: start!.tailBytes, error: undefined })
    expect(end!.ms).toBeGreaterThan(0)
    const { segments, flush } = database.stats()
    expect([end!.segments, end!.segmentBytes]).toEqual([segments.count, flush.flushedBytes])
    expect(end!.segments).toBeGreaterThan(0)
  })
})

test('varve:flush tells a failure with its error, and the try that follows', async () => {
  await world({}, async (database, environment) => {
    const messages = listen('varve:flush')
    await database.log('log').appendRecords([record(KiB)]).durable
    environment.disk.addFault({ path: 'segment-', kinds: ['create'], code: 'EIO', times: 1 })
    await expect(database.seal()).rejects.toMatchObject({ code: 'TASK_FAILED', cause: { code: 'EIO' } })
    expect(messages.map(({ phase }) => phase)).toEqual(['start', 'failed'])
    expect(messages[1]!.error).toMatchObject({ code: 'TASK_FAILED', cause: { code: 'EIO' } })
    await database.seal()
    await new Promise<void>(resolve => environment.timers.after(2000, resolve))
    expect(messages.map(({ phase }) => phase)).toEqual(['start', 'failed', 'start', 'end'])
  })
})

test('varve:compaction tells runs with their level, segments, and topics', async () => {
  await world({}, async database => {
    const messages = listen('varve:compaction')
    await database.define([{ name: 'compacted', kind: 'topic', cleanup: 'compact' }])
    const store = database.store<string>('s')
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) await store.put(`key ${i}`, `${round}`.repeat(400))
      await database.log('compacted').appendRecords([{ key: 'k', value: `${round}` }]).durable
      await database.log('log').appendRecords([record(100)]).durable
      await database.seal()
    }
    await store.compact()
    const runs = messages.splice(0)
    expect(runs.length).toBeGreaterThan(0)
    for (const message of runs) expect(message).toMatchObject({ database: '/data', kind: 'runs', logs: ['store/s'] })
    const last = runs.at(-1)!
    expect(last.level).toBeGreaterThan(0)
    expect(last.bytesIn).toBeGreaterThan(last.bytesOut)
    expect(last.bytesOut).toBeGreaterThan(0)
    expect(last.ms).toBeGreaterThan(0)

    await database.compactLog('compacted')
    expect(messages.splice(0)).toEqual([expect.objectContaining({ kind: 'topic', logs: ['compacted'], level: undefined })])

    for (let round = 0; round < 8; round++) {
      await database.log('log').appendRecords([record(100)]).durable
      await database.seal()
    }
    await database.consolidate()
    const merged = messages.filter(({ kind }) => kind === 'segments')
    expect(merged.length).toBeGreaterThan(0)
    expect(merged.flatMap(({ logs }) => logs)).toContain('log')
    expect(merged[0]!.level).toBeUndefined()
    const { merge } = database.stats()
    const told = [...runs, ...messages]
    expect(told.reduce((sum, { bytesIn }) => sum + bytesIn, 0)).toBeLessThanOrEqual(merge.bytesIn)
    expect(told.length + 1).toBe(merge.merges)
  })
})

test('varve:stall tells a refused write, by the bound that refused it', async () => {
  await world({ pendingBytesMax: 16 * KiB }, async database => {
    const messages = listen('varve:stall')
    const log = database.log('log')
    expect(() => {
      for (let i = 0; i < 100; i++) log.appendRecords([record(KiB)])
    }).toThrow(expect.objectContaining({ code: 'BUSY' }))
    expect(messages).toEqual([
      {
        database: '/data',
        kind: 'refused',
        limit: 'pendingBytesMax',
        bytes: database.stats().commitLog.pendingBytes,
        limitBytes: 16 * KiB,
      },
    ])
    await database.drain()
  })
})

test('varve:stall tells held acknowledgements, and a tail that takes no more', async () => {
  await world({ tailBytesMax: 64 * KiB }, async (database, environment) => {
    const messages = listen('varve:stall')
    // The first flush fails, and all of them are slow: meanwhile the tail grows.
    environment.disk.addFault({ path: 'segment-', kinds: ['create'], code: 'EIO', times: 1 })
    environment.disk.addFault({ path: '/data', kinds: ['syncDirectory'], delayMs: 200, times: Number.POSITIVE_INFINITY })
    const log = database.log('log')
    for (let i = 0; i < 100; i++) {
      try {
        await log.appendRecords([record(KiB)]).durable
      } catch {
        await database.drain()
      }
    }
    const held = messages.filter(({ kind }) => kind === 'held')
    expect(held.length).toBeGreaterThan(0)
    for (const message of held) expect(message).toMatchObject({ database: '/data', limit: 'tailBytesMax', limitBytes: 64 * KiB })
    for (const { bytes } of held) expect(bytes).toBeGreaterThan(32 * KiB)
    expect(messages.length).toBe(database.stats().commitLog.stalls)

    environment.disk.addFault({ path: 'segment-', kinds: ['create'], code: 'EIO', times: 40 })
    messages.length = 0
    let error: unknown
    for (let i = 0; i < 1000 && error === undefined; i++) {
      try {
        log.appendRecords([record(KiB)], { durability: 'none' })
      } catch (caught) {
        error = caught
      }
    }
    expect(error).toMatchObject({ code: 'BUSY', details: { limit: 'tailBytesMax' } })
    expect(messages.at(-1)).toMatchObject({ kind: 'refused', limit: 'tailBytesMax', limitBytes: 64 * KiB })
    expect(messages.at(-1)!.bytes).toBe((error as { details: { actual: number } }).details.actual)
  })
})

test('varve:recovery tells what each opening found', async () => {
  const messages = listen('varve:recovery')
  const environment = createSimEnvironment({ seed: 3, runners: taskRunners })
  await environment.drive(async () => {
    const first = await openDatabase('/data', { ...small, environment })
    expect(messages).toEqual([{ database: '/data', report: first.recovery }])
    await first.close()
    const second = await openDatabase('/data', { ...small, environment })
    expect(messages).toEqual([expect.anything(), { database: '/data', report: second.recovery }])
    expect(messages[1]!.report.cleanClose).toBe(true)
    await second.close()
    await expect(openDatabase('/data', { ...small, environment, errorIfExists: true })).rejects.toMatchObject({ code: 'EXISTS' })
    expect(messages.length).toBe(2)
  })
})

test('varve:poison tells the error, once', async () => {
  await world({}, async (database, environment) => {
    const messages = listen('varve:poison')
    environment.disk.addFault({ path: 'commit-', kinds: ['write'], code: 'EIO', times: 1 })
    const log = database.log('log')
    await expect(log.appendRecords([record(10)]).durable).rejects.toMatchObject({ code: 'POISONED' })
    await expect(database.flush()).rejects.toMatchObject({ code: 'POISONED' })
    expect(messages).toEqual([{ database: '/data', error: database.poison }])
    expect(messages[0]!.error).toMatchObject({ code: 'IO' })
  })
})

test('nobody listens, nothing is built; a listener that leaves hears no more', async () => {
  await world({}, async database => {
    expect(flushChannel.hasSubscribers).toBe(false)
    const messages = listen('varve:flush')
    expect(flushChannel.hasSubscribers).toBe(true)
    for (const run of undo.splice(0)) run()
    await database.log('log').appendRecords([record(10)]).durable
    await database.seal()
    expect(database.stats().flush.flushes).toBe(1)
    expect(messages).toEqual([])
  })
})
