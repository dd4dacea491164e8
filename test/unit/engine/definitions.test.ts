/** Definitions: one edit for many logs, compared at reopen, renamed, dropped; and the lock that guards them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openDatabase } from '../../../engine/database.ts'
import { newEnvironment, openSim } from '../../probes/support.ts'

const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

describe('definitions', () => {
  test('a thousand logs cost one sync, and are there after a power loss', async () => {
    const environment = newEnvironment(51)
    await environment.drive(async () => {
      const db = await openSim(environment, {
        frameBytesMax: 256 * 1024,
        commitLogFileBytes: 512 * 1024,
        commitLogFileBytesFirst: 512 * 1024,
      })
      const before = db.stats().commitLog.syncs
      const defined = await db.define(Array.from({ length: 1000 }, (_, i) => ({ name: `log-${i}`, kind: 'topic' as const })))
      expect(db.stats().commitLog.syncs - before).toBe(1)
      expect(new Set(defined.map(log => log.id)).size).toBe(1000)
    })
    environment.disk.crash()
    const again = newEnvironment(52, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      expect(db.list().length).toBe(1000)
      expect(db.get('log-999')?.kind).toBe('topic')
      await db.close()
    })
  })

  test('a definition that disagrees names the option and both values, and defines nothing', async () => {
    const environment = newEnvironment(53)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'a', kind: 'topic', cleanup: 'compact' }])
      const before = db.list().length
      const mismatch = expect.objectContaining({
        code: 'DEFINITION_MISMATCH',
        details: expect.objectContaining({ log: 'a', option: 'cleanup', expected: 'compact', actual: 'delete' }),
      })
      await expect(
        db.define([
          { name: 'fresh', kind: 'topic' },
          { name: 'a', kind: 'topic' },
        ]),
      ).rejects.toEqual(mismatch)
      expect(db.list().length).toBe(before)
      await expect(db.define([{ name: 'a', kind: 'topic', cleanup: 'compact' }])).resolves.toHaveLength(1)
      await db.close()
    })
  })

  test('a second definition of the same log waits for the first to be durable', async () => {
    const environment = newEnvironment(55)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const before = db.stats().commitLog.durableLsn
      const first = db.define([{ name: 'a', kind: 'topic' }])
      await db.define([{ name: 'a', kind: 'topic' }])
      expect(db.stats().commitLog.durableLsn).toBeGreaterThan(before)
      await first
    })
    environment.disk.crash()
    const again = newEnvironment(56, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      expect(db.get('a')).toBeDefined()
      await db.close()
    })
  })

  test('ids are never used again, names are', async () => {
    const environment = newEnvironment(54)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const [first] = await db.define([{ name: 'a', kind: 'topic' }])
      await db.log('a').appendRecords([{ value: 'gone' }]).durable
      await db.rename('a', 'b')
      expect(db.get('a')).toBeUndefined()
      expect(db.log('b').endOffset).toBe(1)
      await db.drop(['b'])
      await db.close()
      const reopened = await openSim(environment)
      expect(reopened.list()).toEqual([])
      const [second] = await reopened.define([{ name: 'b', kind: 'store' }])
      expect(second?.id).toBeGreaterThan(first?.id as number)
      expect(reopened.log('b').endOffset).toBe(0)
      await reopened.close()
    })
  })
})

describe('the folder lock', () => {
  test('when another process took the folder after its lock was deleted, nothing more is written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-lock-'))
    folders.push(folder)
    const db = await openDatabase(folder)
    await db.define([{ name: 'a', kind: 'topic' }])
    await db.log('a').appendRecords([{ value: 'one' }]).durable
    const other = { pid: 1, host: 'elsewhere', bootId: 'x', processStart: '1', since: new Date(0).toISOString() }
    writeFileSync(join(folder, 'lock'), JSON.stringify(other))
    await expect(db.seal()).rejects.toMatchObject({ code: 'LOCKED' })
    expect(() => db.log('a').appendRecords([{ value: 'two' }])).toThrow(expect.objectContaining({ code: 'POISONED' }))
    expect(db.log('a').read(0).nextOffset).toBe(1)
    await db.close()
  })
})

describe('commits', () => {
  test('a log of another database is refused, and neither database changes', async () => {
    const environment = newEnvironment(57)
    await environment.drive(async () => {
      const a = await openSim(environment)
      const b = await openDatabase('/data/other', { environment })
      await a.define([{ name: 'one', kind: 'topic' }])
      await b.define([{ name: 'two', kind: 'topic' }])
      expect(() => a.commit(commit => commit.appendRecords(b.log('two'), [{ value: 'x' }]))).toThrow(TypeError)
      expect(() => a.commit(commit => commit.setMetadata(b.log('two'), 'slot', new Uint8Array(1)))).toThrow(TypeError)
      expect([a.log('one').endOffset, b.log('two').endOffset]).toEqual([0, 0])
      await a.close()
      await b.close()
    })
  })

  test('an asynchronous callback is refused and commits nothing', async () => {
    const environment = newEnvironment(58)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'a', kind: 'topic' }])
      const log = db.log('a')
      expect(() =>
        db.commit(async commit => {
          commit.appendRecords(log, [{ value: 'before' }])
          await Promise.resolve()
          commit.appendRecords(log, [{ value: 'after' }])
        }),
      ).toThrow('synchronous')
      expect(log.endOffset).toBe(0)
      await db.close()
    })
  })

  test('misspelt options and records without a value are refused by name', async () => {
    const environment = newEnvironment(59)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'a', kind: 'topic' }])
      const log = db.log('a')
      expect(() => log.appendRecords([{ value: 'x' }], { durabilty: 'none' } as object)).toThrow('durabilty')
      expect(() => log.appendRecords([{ key: 'k', vaule: 'x' } as unknown as { value: string }])).toThrow('value')
      expect(() => log.read(0, { maxBytes: 1 } as object)).toThrow('maxBytes')
      expect(() => db.lease({ log: ['a'] } as object)).toThrow('log')
      expect(() => db.commit(() => undefined, { durable: true } as object)).toThrow('durable')
      await expect(db.define([{ name: 's', kind: 'store', cleanup: 'compact' }])).rejects.toThrow('cleanup')
      await db.close()
    })
  })
})
