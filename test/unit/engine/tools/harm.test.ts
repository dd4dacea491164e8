/**
 * Goal: no harm to any file, wherever it hits, makes a tool fail or lie. From a seed, a file of a simulated database is flipped, zeroed, cut or
 * removed (sometimes two at once). Then: `verify` answers; `dump` of every file ends without an error; `repair` leads to a folder that verifies,
 * opens, and is not changed by a second repair; every record that is left is the one that was written at its offset, and every one that is
 * missing was named (except at the very end of the commit log, where a removed frame leaves no trace).
 */
import { expect, test } from 'vitest'
import { createSimEnvironment, type SimDisk, type SimEnvironment, SimRandom } from '../../../../engine/env/index.ts'
import { type Database, decodeRecords, dump, openDatabase, type RepairReport, repair, verify } from '../../../../engine/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { appendRound, defineLogs } from './databases.ts'

const path = '/data/db'
const cases = Number(process.env.VARVE_HARMS ?? 100)
const firstSeed = Number(process.env.VARVE_SEED ?? 1)
const options = { commitLogFileBytes: 16 * 1024, commitLogFileBytesFirst: 8 * 1024, frameBytesMax: 4096, autoConsolidate: false } as const

type Contents = Map<string, Map<number, string>>

function contentsOf(database: Database): Contents {
  const contents: Contents = new Map()
  for (const name of ['orders', 'prices']) {
    const values = new Map<number, string>()
    const log = database.get(name) === undefined ? undefined : database.log(name)
    for (let offset = log?.startOffset ?? 0; log !== undefined && offset < log.endOffset; ) {
      const slice = log.read(offset)
      for (const position of slice.positions) {
        for (const record of decodeRecords(slice.bytes, position))
          values.set(record.offset, new TextDecoder().decode(record.value ?? undefined))
      }
      if (slice.nextOffset === offset) break
      offset = slice.nextOffset
    }
    contents.set(name, values)
  }
  return contents
}

async function makeOriginal(): Promise<{ disk: SimDisk; contents: Contents }> {
  const environment = createSimEnvironment({ seed: 21, runners: taskRunners })
  const contents = await environment.drive(async () => {
    const database = await openDatabase(path, { ...options, environment })
    await defineLogs(database)
    for (let round = 0; round < 3; round++) {
      await appendRound(database, round * 6, 6)
      await database.seal()
      if (round === 1) await database.compactLog('users')
    }
    await database.log('orders').appendRecords([{ value: 'large '.repeat(1000) }]).durable
    await appendRound(database, 18, 4)
    const found = contentsOf(database)
    await database.close()
    return found
  })
  return { disk: environment.disk, contents }
}

/** Returns what was done, for the message of a failure. */
async function harm(environment: SimEnvironment, random: SimRandom): Promise<string[]> {
  const { disk, files } = environment
  const done: string[] = []
  for (let i = random.chance(0.3) ? 2 : 1; i > 0; i--) {
    const names = (await files.list(path)).filter(name => /\.(seg|log)$/.test(name)).map(name => `${path}/${name}`)
    const all = [...names, `${path}/catalog/data.mdb`]
    const file = all[random.below(all.length)] as string
    const size = (await files.stat(file))?.size ?? 0
    const kind = random.below(10)
    if (kind < 6 && size > 0) {
      // Commit-log files are mostly zeros behind their frames: the first half is where it hurts.
      const position = random.below(file.includes('commit-') ? Math.max(1, size >> 1) : size)
      disk.flipBit(file, position, random.below(8))
      done.push(`flip ${file} at ${position}`)
    } else if (kind === 6 && size > 0) {
      const opened = files.openSync(file, 'write')
      const position = random.below(size)
      opened.writeSync(new Uint8Array(Math.min(512, size - position)), position)
      opened.closeSync()
      done.push(`zeros ${file} at ${position}`)
    } else if (kind === 7 && size > 0) {
      const opened = await files.open(file, 'write')
      const left = random.below(size)
      await opened.truncate(left)
      await opened.close()
      done.push(`cut ${file} to ${left}`)
    } else if ((await files.stat(file)) !== undefined) {
      await files.remove(file)
      done.push(`remove ${file}`)
    }
  }
  await files.syncDirectory(path)
  return done
}

function isNamed(report: RepairReport, log: string, offset: number): boolean {
  return report.losses.some(loss => {
    if (loss.kind === 'segment' || (loss.kind === 'commit-log' && loss.bytes !== undefined)) return true
    return loss.log === log && offset >= (loss.from ?? Number.POSITIVE_INFINITY) && offset < (loss.to ?? 0)
  })
}

test(`${cases} harms from seed ${firstSeed}`, async () => {
  const original = await makeOriginal()
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new SimRandom(seed)
    const disk = original.disk.fork(seed)
    disk.crash({ writes: 'all', names: 'all', sizes: 'all' })
    const environment = createSimEnvironment({ seed, disk, runners: taskRunners })
    await environment.drive(async () => {
      const done = await harm(environment, random)
      const story = `seed ${seed}: ${done.join(', ')}`
      const first = await verify(path, { environment })
      for (const name of await environment.files.list(path)) {
        if (!/\.(seg|log)$/.test(name)) continue
        for await (const item of dump(`${path}/${name}`, { environment })) expect(item.type, story).not.toBe('')
      }
      const report = await repair(path, { environment })
      const after = await verify(path, { environment })
      expect(
        after.findings.filter(({ severity }) => severity === 'error'),
        story,
      ).toEqual([])
      expect(await repair(path, { environment }), story).toMatchObject({ changed: false })
      if (report.losses.length > 0) expect(first.ok, `${story}: a loss without an error`).toBe(false)
      const database = await openDatabase(path, { ...options, environment })
      const left = contentsOf(database)
      await database.define([{ name: 'new', kind: 'topic' }])
      await database.log('new').appendRecords([{ value: 'goes on' }]).durable
      await database.seal()
      await database.close()
      const last = await verify(path, { environment })
      expect(
        last.findings.filter(({ severity }) => severity === 'error'),
        `${story}, then written to`,
      ).toEqual([])
      const traceless = done.some(what => /^(cut|remove|zeros).*commit-/.test(what))
      for (const [log, values] of original.contents) {
        for (const [offset, value] of values) {
          const kept = left.get(log)?.get(offset)
          if (kept !== undefined) expect(kept, `${story}: ${log} ${offset}`).toBe(value)
          else if (!traceless) expect(isNamed(report, log, offset), `${story}: ${log} ${offset} is missing and not named`).toBe(true)
        }
      }
    })
  }
})
