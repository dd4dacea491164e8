/**
 * Goal: power loss never looks like damage, and never hurts a repair. On the simulated disk a database is driven through everything that changes
 * files and the machine dies at every few operations: `verify` finds no error in what is left, `repair` finds nothing lost. Then a damaged
 * database is repaired, the machine dies at each operation of the repair, and a second repair comes to the same end.
 */
import { describe, expect, test } from 'vitest'
import { createSimEnvironment, type SimDisk, type SimEnvironment } from '../../../../engine/env/index.ts'
import { type Database, openDatabase, repair, verify } from '../../../../engine/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { appendRound, defineLogs, valuesOf } from './databases.ts'

const path = '/data/db'
const options = { commitLogFileBytes: 16 * 1024, commitLogFileBytesFirst: 8 * 1024, frameBytesMax: 4096, autoConsolidate: false } as const

function machine(disk: SimDisk | undefined, seed: number): SimEnvironment {
  return createSimEnvironment({ seed, runners: taskRunners, ...(disk === undefined ? {} : { disk }) })
}

async function work(database: Database): Promise<void> {
  await defineLogs(database)
  await database.define([{ name: 'passing', kind: 'topic' }])
  await appendRound(database, 0, 8)
  await database.log('passing').appendRecords([{ value: 'x'.repeat(6000) }]).durable
  await database.seal()
  await appendRound(database, 8, 8)
  await database.log('orders').trimPrefix(3).durable
  await database.drop(['passing'])
  await database.seal()
  await database.compactLog('prices', { deleteRetentionMs: 0 })
  await database.compactLog('users')
  await appendRound(database, 16, 4)
}

/** A closed database on a disk of its own. */
async function makeSimulated(close: boolean): Promise<SimDisk> {
  const environment = machine(undefined, 3)
  await environment.drive(async () => {
    const database = await openDatabase(path, { ...options, environment })
    await work(database)
    if (close) await database.close()
  })
  return environment.disk
}

describe('power loss', () => {
  test('at any moment leaves nothing that verify or repair would call damage', async () => {
    const environment = machine(undefined, 5)
    const forks: { disk: SimDisk; at: number }[] = []
    environment.disk.onOperation((_operation, index) => {
      if (index > 6) forks.push({ disk: environment.disk.fork(index), at: index })
    })
    await environment.drive(async () => {
      const database = await openDatabase(path, { ...options, environment })
      await work(database)
      await database.close()
    })
    expect(forks.length).toBeGreaterThan(20)
    for (const { disk, at } of forks) {
      disk.crash({ seed: at })
      const after = machine(disk, at)
      await after.drive(async () => {
        // Before the catalog has its name there is no database yet.
        if (!(await after.files.list(path)).includes('catalog')) return
        const report = await verify(path, { environment: after })
        expect(
          report.findings.filter(({ severity }) => severity === 'error'),
          `operation ${at}`,
        ).toEqual([])
        expect((await repair(path, { environment: after })).losses, `operation ${at}`).toEqual([])
        const database = await openDatabase(path, { ...options, environment: after })
        await database.close()
        const again = await verify(path, { environment: after })
        expect(
          again.findings.filter(({ severity }) => severity === 'error'),
          `operation ${at}`,
        ).toEqual([])
      })
    }
  })
})

/** What is done to the closed database, and which orders are left. */
const harms: readonly (readonly [name: string, harm: (disk: SimDisk, environment: SimEnvironment) => Promise<void>])[] = [
  [
    'a damaged frame and a missing view',
    async (disk, environment) => {
      const names = await environment.files.list(path)
      const commit = names.filter(name => name.startsWith('commit-')).at(-1) as string
      disk.flipBit(`${path}/${commit}`, 2048 + 90, 3)
      await environment.catalogs.remove(`${path}/catalog`)
      await environment.files.syncDirectory(path)
    },
  ],
  [
    'a damaged part and a damaged footer',
    async (disk, environment) => {
      const names = (await environment.files.list(path)).filter(name => name.startsWith('segment-'))
      const [first, last] = [names[0] as string, names.at(-1) as string]
      disk.flipBit(`${path}/${first}`, 1200, 3)
      const size = (await environment.files.stat(`${path}/${last}`))?.size ?? 0
      disk.flipBit(`${path}/${last}`, size - 20, 1)
    },
  ],
]

describe.each(harms)('%s', (_name, harm) => {
  test('repair may die at any operation and be repeated', async () => {
    const disk = await makeSimulated(true)
    const healthy = machine(disk, 11)
    await healthy.drive(() => harm(disk, healthy))
    disk.crash({ writes: 'all', names: 'all', sizes: 'all' })

    const forks: { disk: SimDisk; at: number }[] = []
    const environment = machine(disk.fork(1), 12)
    const stop = environment.disk.onOperation((_operation, index) => forks.push({ disk: environment.disk.fork(index), at: index }))
    const expected = await environment.drive(async () => {
      const report = await repair(path, { environment })
      stop()
      expect(report.changed).toBe(true)
      return await contents(environment)
    })
    expect(forks.length).toBeGreaterThan(10)
    for (const { disk: copy, at } of forks) {
      copy.crash({ seed: at })
      const after = machine(copy, at)
      await after.drive(async () => {
        await repair(path, { environment: after })
        expect(await repair(path, { environment: after }), `operation ${at}`).toMatchObject({ changed: false })
        expect(await contents(after), `operation ${at}`).toEqual(expected)
      })
    }
  })
})

/** All that can be read after a repair; `verify` must find no error before. */
async function contents(environment: SimEnvironment): Promise<unknown> {
  const report = await verify(path, { environment })
  expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([])
  const database = await openDatabase(path, { ...options, environment })
  try {
    return database.list().map(({ name, kind }) => [name, kind === 'topic' ? valuesOf(database, name) : database.log(name).endOffset])
  } finally {
    await database.close()
  }
}
