/**
 * Goal: a frame that power loss left behind the end of the log never becomes part of it, though a new frame of the same length ends just before it.
 *
 * The story: after a clean close writing goes on over the closing frame, in the same file. Two un-synced frames follow; the power fails, the
 * second survives and the first does not, so the log ends at the closing frame again. A third frame takes the first one's place. Its
 * successor, by place and LSN, is the stale one; only the checksum chain tells that it follows another frame.
 */
import { expect, it } from 'vitest'
import { decodeRecords } from '../../engine/batch/record-batch-codec.ts'
import { type Database, openDatabase } from '../../engine/database.ts'
import { createSimEnvironment, SimDisk, type SimEnvironment } from '../../engine/env/index.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'

const folder = '/data/db'

function open(environment: SimEnvironment): Promise<Database> {
  return openDatabase(folder, { environment, commitLogFileBytes: 16 * 1024, commitLogFileBytesFirst: 16 * 1024 })
}

function valuesOf(database: Database): string[] {
  const { bytes, positions } = database.log('log').read(0)
  return positions.flatMap(position => decodeRecords(bytes, position).map(({ value }) => Buffer.from(value ?? []).toString()))
}

it('a stale frame behind the end stays out', async () => {
  const disk = new SimDisk({ seed: 1 })
  const inNewProcess = async (seed: number, work: (database: Database) => Promise<void>): Promise<void> => {
    const environment = createSimEnvironment({ seed, disk, runners: taskRunners })
    await environment.drive(async () => work(await open(environment)))
  }
  await inNewProcess(1, async database => {
    await database.define([{ name: 'log', kind: 'topic' }])
    await database.close()
  })
  await inNewProcess(2, async database => {
    for (const value of ['one', 'two']) await database.log('log').appendRecords([{ value }], { durability: 'buffered' }).acknowledged
  })
  let unsynced = 0
  // Newest first: the second of the two survives.
  disk.crash({ writes: path => !path.includes('commit-') || ++unsynced === 1 })
  expect(unsynced).toBe(2)

  await inNewProcess(3, async database => {
    expect(valuesOf(database)).toEqual([])
    await database.log('log').appendRecords([{ value: 'new' }]).acknowledged
  })
  disk.crash({ writes: 'none' })
  await inNewProcess(4, async database => {
    expect(valuesOf(database)).toEqual(['new'])
  })
})
