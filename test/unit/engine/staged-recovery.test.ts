/**
 * Story: after a crash the arenas of recovered files were numbered before those of the staged commits in them. The flusher, which takes all
 * batches "up to the arena" that it flushes, then counted batches of the next file as flushed that were in no segment: they were lost.
 * Goal: a flush after a recovery with a staged commit in an older file takes what lies in that file, and nothing else.
 */
import { expect, test } from 'vitest'
import { createSimEnvironment } from '../../../engine/env/index.ts'
import { type Database, decodeRecords, openDatabase } from '../../../engine/index.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'

const path = '/data/db'
const options = { commitLogFileBytes: 16 * 1024, commitLogFileBytesFirst: 16 * 1024, frameBytesMax: 4096, autoConsolidate: false } as const

function valuesOf(database: Database): string[] {
  const log = database.log('orders')
  const values: string[] = []
  for (let offset = 0; offset < log.endOffset; ) {
    const slice = log.read(offset)
    for (const position of slice.positions) {
      for (const { value } of decodeRecords(slice.bytes, position)) values.push(new TextDecoder().decode(value ?? undefined).slice(0, 10))
    }
    if (slice.nextOffset === offset) break
    offset = slice.nextOffset
  }
  return values
}

test('batches behind a file with a staged commit survive the flush of that file', async () => {
  const first = createSimEnvironment({ seed: 4, runners: taskRunners })
  const expected: string[] = []
  await first.drive(async () => {
    const database = await openDatabase(path, { ...options, environment: first })
    await database.define([{ name: 'orders', kind: 'topic' }])
    // Nothing can be flushed, so that several files are left by the crash.
    first.disk.addFault({ path: 'segment-', kinds: ['create'], code: 'ENOSPC', times: Number.POSITIVE_INFINITY })
    const orders = database.log('orders')
    await orders.appendRecords([{ value: 'staged'.padEnd(9000, '.') }]).durable
    expected.push('staged....')
    for (let i = 0; i < 60; i++) {
      await orders.appendRecords([{ value: `order ${i}` }]).durable
      expected.push(`order ${i}`)
    }
  })
  first.disk.clearFaults()
  first.disk.crash()

  const second = createSimEnvironment({ seed: 5, disk: first.disk, runners: taskRunners })
  await second.drive(async () => {
    const database = await openDatabase(path, { ...options, environment: second })
    expect(valuesOf(database)).toEqual(expected)
    await database.seal()
    expect(valuesOf(database)).toEqual(expected)
    await database.close()
  })
  const third = createSimEnvironment({ seed: 6, disk: first.disk, runners: taskRunners })
  await third.drive(async () => {
    const database = await openDatabase(path, { ...options, environment: third })
    expect(valuesOf(database)).toEqual(expected)
    await database.close()
  })
})
