/**
 * Goal: a folder that cannot be opened says why, with the code that a program can act on: in use, a file, foreign files, newer formats, no
 * permission, other definitions. And what is used after its end (closed database, dropped log, ended commit) says so.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { packRow, rowKeys } from '../../../engine/catalog/rows.ts'
import { loadChecksums, xxh64Into } from '../../../engine/codec/xxh64.ts'
import { FRAME_CHECKED_FROM, FRAME_CHECKSUM, FRAME_SIZE, FRAME_VERSION_AT } from '../../../engine/commit-log/format.ts'
import {
  createNodeEnvironment,
  createSimEnvironment,
  resolveWorkerUrl,
  type SimDisk,
  type SimEnvironment,
} from '../../../engine/env/index.ts'
import { type Commit, type Database, openDatabase } from '../../../engine/index.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'
import { TRAILER_BYTES, TRAILER_CHECKSUM, TRAILER_VERSION } from '../../../engine/segment/format.ts'

const folder = '/data'

function simOn(disk?: SimDisk): SimEnvironment {
  return createSimEnvironment({ seed: 3, runners: taskRunners, ...(disk === undefined ? {} : { disk }) })
}

/** A closed database with one segment and a tail. */
async function makeClosed(environment: SimEnvironment): Promise<void> {
  await environment.drive(async () => {
    const database = await openDatabase(folder, { environment })
    await database.define([{ name: 'log', kind: 'topic' }])
    await database.log('log').appendRecords([{ value: 'a' }]).durable
    await database.seal()
    await database.log('log').appendRecords([{ value: 'b' }]).durable
    await database.close()
  })
}

const openOn = (environment: SimEnvironment): Promise<Database> => environment.drive(() => openDatabase(folder, { environment }))

describe('what is in the folder', () => {
  let root = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'varve-bad-'))
  })
  afterEach(async () => {
    await rm(root, { recursive: true, force: true })
  })

  test('a path that is a file, and one that leads through a file', async () => {
    await writeFile(join(root, 'file'), 'hello')
    await expect(openDatabase(join(root, 'file'))).rejects.toMatchObject({
      code: 'NOT_A_DATABASE',
      message: expect.stringContaining('file'),
    })
    await expect(openDatabase(join(root, 'file', 'inner'))).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
    await expect(openDatabase(join(root, 'file', 'inner', 'deeper'))).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
    expect(await readdir(root)).toEqual(['file'])
  })

  test('foreign files are named and left alone', async () => {
    await writeFile(join(root, 'notes.txt'), 'mine')
    await expect(openDatabase(root)).rejects.toMatchObject({ code: 'NOT_A_DATABASE', details: { file: `${root}/notes.txt` } })
    expect(await readdir(root)).toEqual(['notes.txt'])
  })

  test('no database with createIfMissing false: nothing is created', async () => {
    await expect(openDatabase(join(root, 'none'), { createIfMissing: false })).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
    await expect(openDatabase(root, { createIfMissing: false })).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
    expect(await readdir(root)).toEqual([])
  })

  test('a second open in this process is LOCKED and names it; after close the folder is free', async () => {
    const database = await openDatabase(root)
    await expect(openDatabase(root)).rejects.toMatchObject({ code: 'LOCKED', details: { owner: { pid: process.pid } } })
    await expect(openDatabase(`${root}/../${root.split('/').at(-1)}`)).rejects.toMatchObject({ code: 'LOCKED' })
    await database.close()
    await expect(openDatabase(root, { errorIfExists: true })).rejects.toMatchObject({ code: 'EXISTS' })
    await (await openDatabase(root)).close()
    expect(await readdir(root)).not.toContain('lock')
  })

  test('a folder without permissions is READ_ONLY', async () => {
    await chmod(root, 0o755)
    const existing = join(root, 'existing')
    await (await openDatabase(existing)).close()
    await mkdir(join(root, 'empty'))
    for (const name of ['existing', 'empty']) await chmod(join(root, name), 0o555)
    const paths = [existing, join(root, 'empty'), join(root, 'new')]
    await chmod(root, 0o555)
    try {
      const codes = await codesAsOrdinaryUser(paths)
      expect(codes).toEqual(paths.map(() => 'READ_ONLY'))
    } finally {
      for (const path of [root, existing, join(root, 'empty')]) await chmod(path, 0o755)
    }
  })
})

/** Opens each path in a process that is not root, since root may write anywhere; returns the error codes. */
async function codesAsOrdinaryUser(paths: readonly string[]): Promise<string[]> {
  const program = `
    import { openDatabase } from ${JSON.stringify(resolve('dist/engine/index.js'))}
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534) }
    for (const path of ${JSON.stringify(paths)})
      try { await (await openDatabase(path)).close(); console.log('opened') } catch (error) { console.log(error.code ?? String(error)) }`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (data: string) => (text += data))
  await once(child, 'close')
  return text.trim().split('\n')
}

describe('newer formats', () => {
  test('a frame of a newer version', async () => {
    const environment = simOn()
    await makeClosed(environment)
    await loadChecksums()
    const { files } = environment
    const name = files.listSync(folder).find(each => each.startsWith('commit-'))
    const file = files.openSync(`${folder}/${name}`, 'write')
    const bytes = new Uint8Array(file.sizeSync())
    file.readSync(bytes, 0)
    bytes[FRAME_VERSION_AT] = 2
    const end = new DataView(bytes.buffer).getUint32(FRAME_SIZE, true)
    xxh64Into(bytes, FRAME_CHECKED_FROM, end, bytes, FRAME_CHECKSUM)
    file.writeSync(bytes, 0)
    file.closeSync()
    const details = { file: `${folder}/${name}`, position: 0, expected: 1, actual: 2 }
    await expect(openOn(simOn(environment.disk))).rejects.toMatchObject({ code: 'NEWER_FORMAT', details })
  })

  test('a segment of a newer version', async () => {
    const environment = simOn()
    await makeClosed(environment)
    const name = environment.files.listSync(folder).find(each => each.startsWith('segment-'))
    const file = environment.files.openSync(`${folder}/${name}`, 'write')
    await loadChecksums()
    const trailer = new Uint8Array(TRAILER_BYTES)
    const at = file.sizeSync() - TRAILER_BYTES
    file.readSync(trailer, at)
    new DataView(trailer.buffer).setUint16(TRAILER_VERSION, 2, true)
    xxh64Into(trailer, 0, TRAILER_CHECKSUM, trailer, TRAILER_CHECKSUM)
    file.writeSync(trailer, at)
    file.closeSync()
    await expect(openOn(simOn(environment.disk))).rejects.toMatchObject({ code: 'NEWER_FORMAT', details: { file: `${folder}/${name}` } })
  })

  test.each([
    ['the database', rowKeys.database, packRow({ format: 2, id: new Uint8Array(8), createdMs: 0 })],
    ['a row of an unknown kind', 'index/0000000001', packRow({})],
  ])('a catalog of a newer version: %s', async (_what, key, value) => {
    const environment = simOn()
    await makeClosed(environment)
    await environment.drive(async () => {
      const view = await environment.catalogs.open(`${folder}/catalog`)
      view.change({ puts: [{ key: new TextEncoder().encode(key), value }], deletes: [] })
      await view.close()
    })
    await expect(openOn(simOn(environment.disk))).rejects.toMatchObject({ code: 'NEWER_FORMAT' })
  })
})

test('a definition that differs at reopen names the option and both values', async () => {
  const environment = simOn()
  await makeClosed(environment)
  const database = await openOn(simOn(environment.disk))
  for (const [option, other, stored] of [
    ['kind', 'store', 'topic'],
    ['highWatermark', 'owner', 'auto'],
    ['cleanup', 'compact', 'delete'],
  ] as const) {
    const definition = { name: 'log', kind: 'topic' as const, [option]: other }
    const details = { log: 'log', option, expected: stored, actual: other }
    await expect(database.define([definition])).rejects.toMatchObject({ code: 'DEFINITION_MISMATCH', details })
    await expect(database.define([definition])).rejects.toThrow(new RegExp(`${option} ${stored}.* ${other}`))
  }
  expect(database.get('log')).toMatchObject({ kind: 'topic' })
})

describe('after the end', () => {
  test('everything on a closed database is CLOSED, and close is idempotent', async () => {
    const environment = simOn()
    await environment.drive(async () => {
      const database = await openDatabase(folder, { environment })
      await database.define([{ name: 'log', kind: 'topic' }])
      const log = database.log('log')
      await log.appendRecords([{ value: 'a' }]).durable
      const waiting = log.waitFor(5)
      const lease = database.lease()
      const closing = database.close()
      await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
      expect(database.close()).toBe(closing)
      await closing
      const calls: (() => unknown)[] = [
        () => database.define([]),
        () => database.redefine('log', {}),
        () => database.rename('log', 'other'),
        () => database.drop(['log']),
        () => database.get('log'),
        () => database.list(),
        () => database.log('log'),
        () => database.commit(() => undefined),
        () => database.flush(),
        () => database.drain(),
        () => database.seal(),
        () => database.consolidate(),
        () => database.compactLog('log'),
        () => database.lease(),
        () => database.stats(),
        () => log.appendRecords([{ value: 'b' }]),
        () => log.appendBatches(Uint8Array.of(1)),
        () => log.truncateSuffix(0),
        () => log.trimPrefix(0),
        () => log.resetTo(0),
        () => log.metadata.set('a', undefined),
        () => log.read(0),
        () => log.readAsync(0),
        () => log.offsetForTime(0),
        () => log.endOffsetForEpoch(0),
        () => log.abortedTransactions(0, 1),
        () => log.waitFor(0),
        () => log.advanceHighWatermark(0),
        () => log.attach({ apply: () => undefined, snapshot: () => new Uint8Array(0), restore: () => undefined }),
        () => lease.share(),
      ]
      for (const call of calls) await expect((async () => call())(), call.toString()).rejects.toMatchObject({ code: 'CLOSED' })
      lease.release()
    })
  })

  test('a dropped log is NOT_FOUND for whoever still has it, and its waits end', async () => {
    const environment = simOn()
    await environment.drive(async () => {
      const database = await openDatabase(folder, { environment })
      await database.define([{ name: 'log', kind: 'topic' }])
      const log = database.log('log')
      await log.appendRecords([{ value: 'a' }]).durable
      const waiting = log.waitFor(5)
      waiting.catch(() => undefined) // looked at below
      await database.drop(['log'])
      await expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' })
      const calls: (() => unknown)[] = [
        () => database.log('log'),
        () => database.drop(['log']),
        () => database.redefine('log', {}),
        () => database.compactLog('log'),
        () => log.appendRecords([{ value: 'b' }]),
        () => log.trimPrefix(0),
        () => log.truncateSuffix(0),
        () => log.resetTo(0),
        () => log.metadata.set('a', undefined),
        () => log.read(0),
        () => log.readAsync(0),
        () => log.offsetForTime(0),
        () => log.endOffsetForEpoch(0),
        () => log.abortedTransactions(0, 1),
        () => log.waitFor(0),
        () => log.advanceHighWatermark(0),
      ]
      for (const call of calls) {
        await expect((async () => call())(), call.toString()).rejects.toMatchObject({ code: 'NOT_FOUND', details: { log: 'log' } })
      }
      await database.define([{ name: 'log', kind: 'store' }])
      expect(database.log('log').endOffset).toBe(0)
      await database.close()
    })
  })

  test('a commit is dead after its callback', async () => {
    const environment = simOn()
    await environment.drive(async () => {
      const database = await openDatabase(folder, { environment })
      await database.define([{ name: 'log', kind: 'topic' }])
      let kept: Commit | undefined
      database.commit(commit => {
        kept = commit
      })
      expect(() => kept?.appendRecords(database.log('log'), [{ value: 'late' }])).toThrow(expect.objectContaining({ code: 'CLOSED' }))
      const failing = (): unknown =>
        database.commit(commit => {
          commit.appendRecords(database.log('log'), [{ value: 'a' }])
          throw new Error('changed my mind')
        })
      expect(failing).toThrow('changed my mind')
      expect(database.log('log').endOffset).toBe(0)
      await database.close()
    })
  })
})

test('a worker that cannot start fails its task with a typed error, and the data stays', async () => {
  const root = await mkdtemp(join(tmpdir(), 'varve-bad-'))
  try {
    const environment = createNodeEnvironment({ worker: new URL('file:///nowhere/worker.js') })
    const database = await openDatabase(root, { environment })
    await database.define([{ name: 'log', kind: 'topic' }])
    await database.log('log').appendRecords([{ value: 'a' }]).durable
    await expect(database.seal()).rejects.toMatchObject({ code: 'TASK_FAILED' })
    expect(database.log('log').read(0).positions).toEqual([0])
    await database.close()
    const sound = createNodeEnvironment({
      worker: resolveWorkerUrl(new URL('../../../engine/database.ts', import.meta.url).href, 'engine/worker'),
    })
    const again = await openDatabase(root, { environment: sound })
    await again.seal()
    expect(again.log('log').endOffset).toBe(1)
    await again.close()
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
