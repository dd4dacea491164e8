/**
 * Goal: a backup is one moment of all logs, at or behind the call, whatever is written, flushed and merged meanwhile; it opens like any database;
 * and where it fails or the machine dies, nothing lies under its name.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { SimEnvironment } from '../../../../engine/env/index.ts'
import { openDatabase, restore, verify } from '../../../../engine/index.ts'
import { folder, newEnvironment, openSim, runUntilCrash, smallOptions } from '../../../probes/support.ts'

const target = '/backups/one'

/** Writes numbered commits, each over two stores and a topic, and knows the state after each. */
class Writer {
  readonly db: Database
  /** Commits made. */
  count = 0
  /** Commits known to be durable. */
  acknowledged = 0
  isStopped = false

  constructor(db: Database) {
    this.db = db
  }

  static async begin(db: Database): Promise<Writer> {
    await db.define([{ name: 'events', kind: 'topic' }])
    await db.store('left').ready()
    await db.store('right').ready()
    return new Writer(db)
  }

  async write(rounds: number, durability?: 'none'): Promise<void> {
    for (let i = 0; i < rounds && !this.isStopped; i++) {
      const number = ++this.count
      const options = durability === undefined ? {} : { durability }
      const operations = [this.db.store('left'), this.db.store('right')].flatMap(store => [
        { type: 'put' as const, key: `key-${number % 40}`, value: `${number}`.padEnd(60, 'v'), store },
        { type: 'put' as const, key: 'last', value: number, store },
        ...(number % 10 === 0 ? [{ type: 'del' as const, key: `key-${(number + 5) % 40}`, store }] : []),
      ])
      const written = this.db.store('left').batch(operations, options)
      const event = this.db.commit(commit => commit.appendRecords(this.db.log('events'), [{ value: String(number) }]), options)
      await written
      await event.acknowledged
      if (durability === undefined) this.acknowledged = number
    }
  }

  static stateAfter(count: number): Map<string, unknown> {
    const state = new Map<string, unknown>()
    for (let number = 1; number <= count; number++) {
      state.set(`key-${number % 40}`, `${number}`.padEnd(60, 'v'))
      state.set('last', number)
      if (number % 10 === 0) state.delete(`key-${(number + 5) % 40}`)
    }
    return state
  }
}

function openAt(environment: SimEnvironment, path: string): Promise<Database> {
  return openDatabase(path, { ...smallOptions, environment, createIfMissing: false })
}

/** Opens the database, checks that it is the state after one commit, goes on writing, and returns that commit's number. */
async function stateOf(environment: SimEnvironment, path: string): Promise<number> {
  expect((await verify(path, { environment })).findings.filter(({ severity }) => severity !== 'info')).toEqual([])
  const db = await openAt(environment, path)
  const left = new Map(db.store('left').entries())
  const last = (left.get('last') as number | undefined) ?? 0
  expect(left).toEqual(Writer.stateAfter(last))
  expect(new Map(db.store('right').entries())).toEqual(left)
  // A commit's event is a commit of its own, right behind it.
  expect([last, last - 1]).toContain(db.log('events').endOffset)
  await db.store('left').put('more', 1)
  expect(db.store('left').get('more')).toBe(1)
  await db.store('left').del('more')
  await db.close()
  return last
}

describe('a backup', () => {
  test('under concurrent writes is the state after one commit at or behind the call', async () => {
    for (let seed = 0; seed < 3; seed++) {
      const environment = newEnvironment(seed)
      await environment.drive(async () => {
        const db = await openSim(environment)
        const writer = await Writer.begin(db)
        await writer.write(seed * 80)
        const writing = [writer.write(200), writer.write(200, 'none')]
        const before = writer.acknowledged
        const report = await db.backup(target)
        writer.isStopped = true
        await Promise.all(writing)
        const found = await stateOf(environment, target)
        expect(found).toBeGreaterThanOrEqual(before)
        expect(found).toBeLessThanOrEqual(writer.count)
        expect(report).toMatchObject({ path: target, linkedSegments: report.segments })
        expect(report.sequence).toBeLessThanOrEqual(db.stats().sequence)
        await db.close()
      })
    }
  })

  test('ends between two commits that share a frame', async () => {
    const environment = newEnvironment(9)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      // While one frame is being written, the next one is open and goes on filling.
      environment.disk.addFault({ kinds: ['write'], path: '/db/commit-', delayMs: 3, times: Number.POSITIVE_INFINITY })
      let isOver = false
      const write = async (): Promise<void> => {
        const written: Promise<void>[] = []
        while (!isOver && writer.count < 5000) {
          written.push(writer.write(1))
          await new Promise<void>(resolve => environment.timers.after(0.3, resolve))
        }
        await Promise.all(written)
      }
      const writing = write()
      for (const name of ['1', '2', '3']) await db.backup(`/backups/${name}`)
      isOver = true
      await writing
      for (const name of ['1', '2', '3']) expect(await stateOf(environment, `/backups/${name}`)).toBeLessThan(writer.count)
      await db.close()
    })
  })

  test('has what was written without a word before the call, and staged commits', async () => {
    const environment = newEnvironment(10)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      await writer.write(25, 'none')
      await db.store('big').put('large', 'x'.repeat(20_000), { durability: 'none' })
      await db.backup(target)
      await db.close()
      expect(await stateOf(environment, target)).toBe(25)
      const copy = await openAt(environment, target)
      expect(copy.store('big').get('large')).toBe('x'.repeat(20_000))
      await copy.close()
    })
  })

  test('of an empty database, of a backup, and of one that was reopened, opens', async () => {
    const environment = newEnvironment(11)
    await environment.drive(async () => {
      let db = await openSim(environment)
      await db.backup('/backups/empty')
      const writer = await Writer.begin(db)
      await writer.write(30)
      await db.close()
      db = await openSim(environment)
      await db.backup(target)
      await db.close()
      const copy = await openAt(environment, target)
      const onward = new Writer(copy)
      onward.count = 30
      await onward.write(20)
      await copy.backup('/backups/two')
      await copy.close()
      expect(await stateOf(environment, target)).toBe(50)
      expect(await stateOf(environment, '/backups/two')).toBe(50)
      const empty = await openAt(environment, '/backups/empty')
      expect(empty.list()).toEqual([])
      await empty.close()
    })
  })

  test('keeps what its source drops, merges and overwrites later', async () => {
    const environment = newEnvironment(12)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      await writer.write(100)
      await db.backup(target)
      await writer.write(100)
      await db.dropStore('right')
      await db.seal()
      await db.compactLog('store/left')
      await db.consolidate()
      await db.close()
      expect(await stateOf(environment, target)).toBe(100)
    })
  })

  test('holds a moment while the source flushes and merges, when its disk is slow', async () => {
    const environment = newEnvironment(13)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      await writer.write(60)
      environment.disk.addFault({ kinds: ['link'], delayMs: 50, times: 1000 })
      const backup = db.backup(target)
      await writer.write(150)
      await db.seal()
      await db.compactLog('store/left')
      await db.consolidate()
      await backup
      await db.close()
      expect(await stateOf(environment, target)).toBeGreaterThanOrEqual(60)
      const names = await environment.files.list(folder)
      const again = await openSim(environment)
      // What the backup had pinned is deleted once it ended.
      expect(names.filter(name => name.endsWith('.seg')).length).toBe(again.stats().segments.count)
      await again.close()
    })
  })

  test('copies where files cannot be linked, and fails for any other reason', async () => {
    const environment = newEnvironment(14)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      await writer.write(60)
      const refusal = environment.disk.addFault({ kinds: ['link'], code: 'EXDEV', times: Number.POSITIVE_INFINITY })
      const report = await db.backup(target)
      expect(refusal.fired).toBeGreaterThan(0)
      expect(report).toMatchObject({ linkedSegments: 0, segments: refusal.fired })
      refusal.remove()
      expect(await stateOf(environment, target)).toBe(60)
      const failure = environment.disk.addFault({ kinds: ['link'], code: 'EIO' })
      await expect(db.backup('/backups/two')).rejects.toMatchObject({ code: 'IO' })
      expect(failure.fired).toBe(1)
      expect(await environment.files.list('/backups')).toEqual(['one'])
      await writer.write(1)
      await db.close()
    })
  })
})

describe('nothing lies under the name of a backup that failed', () => {
  test('when there is no space, and the source goes on', async () => {
    const environment = newEnvironment(20)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      await writer.write(60)
      for (const skip of [0, 1, 2]) {
        const fault = environment.disk.addFault({ kinds: ['write'], path: '.incomplete/', code: 'ENOSPC', skip, partial: true })
        await expect(db.backup(target)).rejects.toMatchObject({ code: 'NO_SPACE' })
        expect(fault.fired).toBe(1)
        expect(await environment.files.list('/backups')).toEqual([])
      }
      await writer.write(10)
      await db.backup(target)
      await db.close()
      expect(await stateOf(environment, target)).toBe(70)
    })
  })

  test('when its signal is raised, or the source is closed meanwhile', async () => {
    const environment = newEnvironment(21)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const writer = await Writer.begin(db)
      await writer.write(60)
      const controller = new AbortController()
      const reason = new Error('enough')
      await expect(db.backup(target, { signal: controller.signal, onProgress: () => controller.abort(reason) })).rejects.toBe(reason)
      expect(await environment.files.list('/backups')).toEqual([])
      let closing: Promise<void> | undefined
      const backup = db.backup(target, { onProgress: () => (closing ??= db.close()) })
      await expect(backup).rejects.toMatchObject({ code: 'CLOSED' })
      await closing
      expect(await environment.files.list('/backups')).toEqual([])
      expect(await stateOf(environment, folder)).toBe(60)
    })
  })

  test('when the machine dies at any moment: either there is a whole backup or the next one succeeds', { timeout: 20_000 }, async () => {
    let whole = 0
    let crashes = 0
    for (let point = 0, isDone = false; !isDone; point++) {
      const environment = newEnvironment(30 + point)
      const db = await environment.drive(async () => {
        const opened = await openSim(environment)
        await (await Writer.begin(opened)).write(40)
        return opened
      })
      const { crashed } = await runUntilCrash(environment, point, async () => {
        await db.backup(target)
      })
      // The last one dies with the backup just done, which must be there then.
      if (crashed) crashes++
      else environment.disk.crash()
      isDone = !crashed
      const after = newEnvironment(30 + point, environment.disk)
      await after.drive(async () => {
        if (isDone) expect(await after.files.stat(target)).toBeDefined()
        if ((await after.files.stat(target)) !== undefined) {
          whole++
          expect(await stateOf(after, target)).toBe(40)
        }
        const incomplete = `${target}.incomplete`
        const names = (await after.files.stat(incomplete)) === undefined ? [] : await after.files.list(incomplete)
        if (!names.includes('catalog')) await expect(openAt(after, incomplete)).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
        const again = await openSim(after)
        const place = (await after.files.stat(target)) === undefined ? target : '/backups/two'
        await again.backup(place)
        await again.close()
        expect(await stateOf(after, place)).toBe(40)
        expect(await after.files.list('/backups')).not.toContain(`${place}.incomplete`)
      })
    }
    expect(crashes).toBeGreaterThan(20)
    expect(whole).toBeGreaterThan(0)
  })

  test('when something lies there: the error names it, and nothing is touched', async () => {
    const environment = newEnvironment(22)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await environment.files.makeDirectory('/backups/full')
      await (await environment.files.open('/backups/full/note', 'create')).close()
      await (await environment.files.open('/backups/file', 'create')).close()
      await environment.files.makeDirectory('/backups/free')
      await environment.files.makeDirectory('/backups/odd.incomplete')
      await (await environment.files.open('/backups/odd.incomplete/diary', 'create')).close()
      for (const name of ['full', 'file', 'odd']) {
        const error = await db.backup(`/backups/${name}`).catch((caught: unknown) => caught)
        expect(error).toMatchObject({ code: 'EXISTS', message: expect.stringContaining(`/backups/${name}`) })
      }
      await db.backup('/backups/free/')
      expect(await environment.files.list('/backups')).toEqual(['file', 'free', 'full', 'odd.incomplete'])
      expect(await environment.files.list('/backups/odd.incomplete')).toEqual(['diary'])
      await expect(db.backup('')).rejects.toThrow(TypeError)
      const before = await environment.files.list(folder)
      for (const path of [folder, `${folder}/`, `${folder}/backup`, `${folder}/a/../b`]) {
        await expect(db.backup(path)).rejects.toThrow(
          new RangeError(`path must lie outside the folder of the database, ${folder}, got ${path}`),
        )
      }
      expect(await environment.files.list(folder)).toEqual(before)
      await db.backup(`${folder}/../..beside`) // outside, though the names begin alike
      await db.backup(`${folder}-copy`)
      await expect(db.backup(target, { progress: 1 } as never)).rejects.toThrow(/progress/)
      await db.close()
      await expect(db.backup(target)).rejects.toMatchObject({ code: 'CLOSED' })
    })
  })
})

describe('restore', () => {
  test('checks a backup and copies it; the copy shares nothing with it', async () => {
    const environment = newEnvironment(40)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await (await Writer.begin(db)).write(60)
      await db.backup(target)
      await db.close()
      const seen: number[] = []
      const link = environment.disk.addFault({ kinds: ['link'], path: '/restored', code: 'EIO' })
      const report = await restore(target, '/restored/db', { environment, onProgress: ({ done, total }) => seen.push(done / total) })
      expect(link.matched).toBe(0)
      expect(report).toMatchObject({ path: '/restored/db', from: target })
      expect(seen.at(-1)).toBe(1)
      expect([...seen].sort((a, b) => a - b)).toEqual(seen)
      expect(await stateOf(environment, '/restored/db')).toBe(60)
      await expect(restore(target, '/restored/db', { environment })).rejects.toMatchObject({ code: 'EXISTS' })
    })
  })

  test('refuses a damaged backup and leaves nothing', async () => {
    const environment = newEnvironment(41)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await (await Writer.begin(db)).write(60)
      await db.backup(target)
      await db.close()
      const segment = (await environment.files.list(target)).find(name => name.endsWith('.seg')) as string
      const file = await environment.files.open(`${target}/${segment}`, 'write')
      const byte = new Uint8Array(1)
      await file.read(byte, 300)
      await file.write(
        byte.map(value => value ^ 4),
        300,
      )
      await file.close()
      await expect(restore(target, '/restored/db', { environment })).rejects.toMatchObject({
        code: 'CORRUPT',
        details: { file: expect.stringContaining(segment) },
      })
      expect(await environment.files.list('/restored')).toEqual([])
      await expect(restore('/nowhere', '/restored/db', { environment })).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
      await expect(restore(target, '', { environment })).rejects.toThrow(TypeError)
    })
  })
})
