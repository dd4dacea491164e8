/**
 * Goal: the failures that the scripted workload does not meet have tests of their own, so that every catch block of the engine runs in some test
 * (`scripts/catch-blocks.mjs` lists those that a program does not reach): inline syncs, staging files and cold reads that fail, refusing and failing
 * state machines, frames and rows that check and hold nonsense.
 */
import { expect, test } from 'vitest'
import { rowKeys } from '../../engine/catalog/rows.ts'
import { loadChecksums, xxh64Into } from '../../engine/codec/xxh64.ts'
import { ENTRY_HEADER_BYTES, FRAME_CHECKED_FROM, FRAME_CHECKSUM, FRAME_HEADER_BYTES, FRAME_SIZE } from '../../engine/commit-log/format.ts'
import { createSimEnvironment, type SimEnvironment } from '../../engine/env/index.ts'
import { type Database, type OpenOptions, openDatabase, type StateMachine } from '../../engine/index.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'
import { folder, smallOptions } from './program.ts'

/** The next process on the disk of `before`, or the first one on a new disk. */
function environmentAfter(before?: SimEnvironment): SimEnvironment {
  before?.disk.processKill()
  return createSimEnvironment({ seed: 9, runners: taskRunners, ...(before === undefined ? {} : { disk: before.disk }) })
}

async function openWithLog(environment: SimEnvironment, options: OpenOptions = smallOptions): Promise<Database> {
  const database = await openDatabase(folder, { ...options, environment })
  await database.define([{ name: 'log', kind: 'topic' }])
  return database
}

test.each(['write', 'sync'] as const)("sync: 'inline': a failed %s poisons as any other", async kind => {
  const environment = environmentAfter()
  await environment.drive(async () => {
    const database = await openWithLog(environment, { ...smallOptions, sync: 'inline' })
    const log = database.log('log')
    await log.appendRecords([{ value: 'a' }]).durable
    await log.appendRecords([{ value: 'b' }], { durability: 'buffered' }).written
    const fault = environment.disk.addFault({ kinds: [kind], path: 'commit-', code: 'EIO' })
    await expect(log.appendRecords([{ value: 'c' }]).durable).rejects.toMatchObject({ code: 'POISONED' })
    expect(fault.fired).toBe(1)
    expect(log.endOffset).toBe(1)
    await database.close()
  })
})

test('a staging file that cannot be read when the folder is opened', async () => {
  const first = environmentAfter()
  await first.drive(async () => {
    const database = await openWithLog(first)
    await database.log('log').appendRecords([{ value: 'x'.repeat(9000) }]).durable
  })
  const second = environmentAfter(first)
  const fault = second.disk.addFault({ kinds: ['read'], path: 'staged-', code: 'EIO' })
  const details = { file: expect.stringContaining('staged-') }
  await expect(second.drive(() => openDatabase(folder, { ...smallOptions, environment: second }))).rejects.toMatchObject({
    code: 'IO',
    details,
  })
  expect(fault.fired).toBe(1)
  const database = await second.drive(() => openDatabase(folder, { ...smallOptions, environment: second }))
  expect(database.log('log').endOffset).toBe(1)
  await second.drive(() => database.close())
})

test('a cold read that fails names the segment, and the next one succeeds', async () => {
  const environment = environmentAfter()
  await environment.drive(async () => {
    const database = await openWithLog(environment)
    const log = database.log('log')
    await log.appendRecords([{ value: 'a' }]).durable
    await database.seal()
    log.read(0) // so that the index is in memory
    environment.disk.addFault({ kinds: ['read'], path: 'segment-', code: 'EIO' })
    await expect(log.readAsync(0)).rejects.toMatchObject({ code: 'IO', details: { file: expect.stringContaining('segment-') } })
    expect((await log.readAsync(0)).nextOffset).toBe(1)
    expect(database.poison).toBeUndefined()
    await database.close()
  })
})

const quiet: StateMachine = { apply: () => undefined, snapshot: () => new Uint8Array(0), restore: () => undefined }

test('a state machine that refuses: REFUSED with its error, and nothing of the whole commit is there', async () => {
  const environment = environmentAfter()
  await environment.drive(async () => {
    const database = await openWithLog(environment)
    await database.define([{ name: 'other', kind: 'store' }])
    const log = database.log('log')
    const cause = new Error('not today')
    log.attach({
      ...quiet,
      admit: () => {
        throw cause
      },
    })
    const commit = (): unknown =>
      database.commit(write => {
        write.appendRecords(database.log('other'), [{ kind: 'put', key: Uint8Array.of(1), value: Uint8Array.of(1) }])
        write.appendRecords(log, [{ value: 'a' }])
      })
    expect(commit).toThrow(expect.objectContaining({ code: 'REFUSED', cause }))
    expect([log.endOffset, database.log('other').endOffset]).toEqual([0, 0])
    await database.log('other').appendRecords([{ kind: 'put', key: Uint8Array.of(2), value: Uint8Array.of(2) }]).durable
    await database.close()
  })
})

test('a state machine that fails stops its log, not the acknowledgement of what was durable', async () => {
  const environment = environmentAfter()
  await environment.drive(async () => {
    const database = await openWithLog(environment)
    const log = database.log('log')
    log.attach({
      ...quiet,
      apply: () => {
        throw new Error('cannot apply')
      },
    })
    await log.appendRecords([{ value: 'a' }]).durable
    expect(log.durableOffset).toBe(1)
    expect(log.appliedOffset).toBe(0)
    await database.close()
  })
})

test('a frame that checks and holds a batch that does not is CORRUPT', async () => {
  const first = environmentAfter()
  await loadChecksums()
  await first.drive(async () => {
    const database = await openWithLog(first)
    await database.close()
  })
  const { files } = first
  const path = `${folder}/${files.listSync(folder).find(name => name.startsWith('commit-'))}`
  const file = files.openSync(path, 'write')
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0)
  const magicAt = FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES + 16
  expect(bytes[magicAt]).toBe(2)
  bytes[magicAt] = 9
  xxh64Into(bytes, FRAME_CHECKED_FROM, new DataView(bytes.buffer).getUint32(FRAME_SIZE, true), bytes, FRAME_CHECKSUM)
  // The frames behind it name its old checksum, so only this one is left.
  file.writeSync(new Uint8Array(bytes.length), 0)
  file.writeSync(bytes.subarray(0, 512), 0)
  file.closeSync()
  const second = environmentAfter(first)
  const opening = second.drive(() => openDatabase(folder, { ...smallOptions, environment: second }))
  await expect(opening).rejects.toMatchObject({ code: 'CORRUPT', details: { file: expect.any(String), position: expect.any(Number) } })
})

test('a catalog row that is no row is CORRUPT and names the row', async () => {
  const first = environmentAfter()
  await first.drive(async () => {
    const database = await openWithLog(first)
    await database.log('log').appendRecords([{ value: 'a' }]).durable
    await database.seal()
    await database.close()
    const view = await first.catalogs.open(`${folder}/catalog`)
    view.change({ puts: [{ key: new TextEncoder().encode(rowKeys.log(1)), value: Uint8Array.of(0xc1, 1, 2) }], deletes: [] })
    await view.close()
  })
  const second = environmentAfter(first)
  const opening = second.drive(() => openDatabase(folder, { ...smallOptions, environment: second }))
  await expect(opening).rejects.toMatchObject({ code: 'CORRUPT', details: { row: rowKeys.log(1) } })
})
