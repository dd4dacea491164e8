/**
 * Goal: the lists of keys that values refer to are wherever the values are, after power loss at any moment, in leases, backups, feeds, indexes, histories and other
 * openings, however a commit went; and a store without them stays as it is.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { createSimEnvironment, type SimEnvironment } from '../../../../engine/env/index.ts'
import { openDatabase, openLease, repair, restore, stats, verify } from '../../../../engine/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { folder, newEnvironment, openSim, runUntilCrash, smallOptions } from '../../../probes/support.ts'

interface User {
  readonly name: string
  readonly age: number
  readonly home?: { readonly city: string; readonly zip: number }
}

const user = (i: number): User =>
  i % 3 === 0 ? { name: `user ${i}`, age: i } : { name: `user ${i}`, age: i, home: { city: `city ${i % 7}`, zip: i } }

async function withDatabase(program: (db: Database, environment: SimEnvironment) => Promise<void>): Promise<void> {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await program(db, environment)
    await db.close()
  })
}

/** The same folder, opened again. */
async function again<T>(environment: SimEnvironment, db: Database, look: (db: Database) => Promise<T> | T): Promise<T> {
  await db.close()
  const reopened = await openSim(environment)
  try {
    return await look(reopened)
  } finally {
    await reopened.close()
  }
}

async function fill(db: Database, name: string, count: number = 12): Promise<void> {
  const store = db.store<User, number>(name)
  for (let i = 0; i < count; i++) await store.put(i, user(i))
}

function content(db: Database, name: string): User[] {
  return [...db.store<User, number>(name).values()]
}

const users = (count: number = 12): User[] => Array.from({ length: count }, (_, i) => user(i))

const bytesIn = (db: Database, name: string): number => {
  const { bytes, ends, count } = db.store(name).iterator().nextRaw(1000)
  return bytes.subarray(0, ends[2 * count - 1]).length
}

describe('values that share the lists of their keys', () => {
  test('are smaller, and read by every later opening', async () => {
    await withDatabase(async (db, environment) => {
      await fill(db, 's')
      const plain = db.store<User, number>('plain', { structures: false })
      for (let i = 0; i < 12; i++) await plain.put(i, user(i))
      expect(db.store('s').stats().sharedStructures).toBe(3)
      expect(plain.stats().sharedStructures).toBe(0)
      expect(bytesIn(db, 's')).toBeLessThan(bytesIn(db, 'plain') * 0.75)
      await again(environment, db, async reopened => {
        expect(content(reopened, 's')).toEqual(users())
        expect(content(reopened, 'plain')).toEqual(users())
        // Nothing new to store: the same lists go on.
        await fill(reopened, 's')
        expect(reopened.store('s').stats().sharedStructures).toBe(3)
      })
    })
  })

  test('survive flushes, range deletes and merges, and show in stats of the folder', async () => {
    await withDatabase(async (db, environment) => {
      const store = db.store<User, number>('s')
      for (let round = 0; round < 4; round++) {
        await fill(db, 's', 60)
        await store.clear()
        await fill(db, 's')
        await db.seal()
        await store.compact()
      }
      expect(content(db, 's')).toEqual(users())
      await db.close()
      const report = await verify(folder, { environment })
      expect(report.findings.filter(({ severity }) => severity !== 'info')).toEqual([])
      expect((await stats(folder, { environment })).stores).toMatchObject([{ name: 's', value: 'msgpack', sharedStructures: 3 }])
      const reopened = await openSim(environment)
      expect(content(reopened, 's')).toEqual(users())
      await reopened.close()
    })
  })

  test('go with their store when it is renamed, and are gone when it is dropped', async () => {
    await withDatabase(async (db, environment) => {
      await fill(db, 'a')
      await db.renameStore('a', 'b')
      expect(content(db, 'b')).toEqual(users())
      await fill(db, 'c')
      await db.dropStore('c')
      const fresh = db.store<{ readonly other: number }, number>('c')
      expect(fresh.stats().sharedStructures).toBe(0)
      for (let i = 0; i < 3; i++) await fresh.put(i, { other: i })
      await again(environment, db, reopened => {
        expect(content(reopened, 'b')).toEqual(users())
        expect([...reopened.store('c').values()]).toEqual([{ other: 0 }, { other: 1 }, { other: 2 }])
        expect(reopened.store('c').stats().sharedStructures).toBe(1)
      })
    })
  })

  test('are read in leases, by backups and by what is restored from them', async () => {
    await withDatabase(async (db, environment) => {
      await fill(db, 's')
      const lease = db.lease({ stores: ['s'] })
      const opened = await openLease(structuredClone(lease.share()), environment.files)
      // Later lists are none of the lease's.
      for (let i = 0; i < 3; i++) await db.store('s').put(100 + i, { later: i })
      const leased = opened.store<User, number>('s')
      expect([...leased.values()]).toEqual(users())
      expect(leased.get(4)).toEqual(user(4))
      expect([...opened.store<User, number>('s', { value: 'msgpack' }).values()]).toEqual(users())
      expect(() => opened.store('s', { value: 'json' })).toThrow(expect.objectContaining({ code: 'DEFINITION_MISMATCH' }))
      opened.release()
      lease.release()
      await db.backup('/backups/one')
      await restore('/backups/one', '/restored', { environment })
      for (const path of ['/backups/one', '/restored']) {
        const copy = await openDatabase(path, { ...smallOptions, environment })
        expect(content(copy, 's')).toEqual([...users(), { later: 0 }, { later: 1 }, { later: 2 }])
        await copy.close()
      }
    })
  })

  test('are read by a lease of a store that nobody has opened', async () => {
    await withDatabase(async (db, environment) => {
      await fill(db, 's')
      await again(environment, db, async reopened => {
        const opened = await openLease(structuredClone(reopened.lease({ stores: ['s'] }).share()), environment.files)
        expect([...opened.store<User, number>('s').values()]).toEqual(users())
        opened.release()
      })
    })
  })

  test('are found by indexes, change feeds, snapshots and histories', async () => {
    await withDatabase(async (db, environment) => {
      const options = {
        indexes: { city: 'home.city', age: { path: 'age', unique: true } },
        changes: true,
        history: { retentionMs: 60_000 },
      }
      const store = db.store<User, number>('s', options)
      await store.ready()
      for (let i = 0; i < 12; i++) await store.put(i, user(i))
      const moment = db.snapshot()
      for (let i = 0; i < 12; i++) await store.put(i, { ...user(i), age: 100 + i })
      const check = (opened: Database): void => {
        const found = opened.store<User, number>('s')
        expect(
          found
            .index('city')
            .getAll('city 1')
            .map(({ name }) => name),
        ).toEqual(['user 1', 'user 8'])
        expect(found.index('age').get(107)?.name).toBe('user 7')
        expect(found.readChanges('start').changes.map(change => (change.type === 'put' ? change.value : undefined))).toEqual([
          ...users(),
          ...users().map((each, i) => ({ ...each, age: 100 + i })),
        ])
        using past = found.asOf(moment.sequence)
        expect([...past.values()]).toEqual(users())
      }
      check(db)
      expect([...store.values({ snapshot: moment })]).toEqual(users())
      await db.seal()
      await store.compact()
      check(db)
      moment.close()
      await again(environment, db, check)
    })
  })
})

describe('commits', () => {
  test('one that was refused leaves its lists to the next', async () => {
    await withDatabase(async (db, environment) => {
      const store = db.store<User, number>('s', { indexes: { name: { path: 'name', unique: true } } })
      await store.ready()
      await store.put(1, { name: 'ada', age: 1 })
      await expect(store.put(2, { name: 'ada', age: 2 })).rejects.toMatchObject({ code: 'UNIQUE' })
      expect(store.stats().sharedStructures).toBe(0)
      await store.put(3, { name: 'bob', age: 3 })
      expect(store.stats().sharedStructures).toBe(1)
      await again(environment, db, reopened => {
        expect([...reopened.store('s').values()]).toEqual([
          { name: 'ada', age: 1 },
          { name: 'bob', age: 3 },
        ])
      })
    })
  })

  test('a transaction that was aborted leaves its lists to the next commit; one over two stores carries those of both', async () => {
    await withDatabase(async (db, environment) => {
      const left = db.store<object, number>('left')
      const right = db.store<object, number>('right')
      await db.transaction(tx => {
        for (let i = 0; i < 3; i++) tx.store(left).put(i, { a: i })
        tx.abort()
      })
      expect(left.stats().sharedStructures).toBe(0)
      await db.transaction(async tx => {
        for (let i = 0; i < 3; i++) {
          tx.store(left).put(i, { a: i })
          tx.store(right).put(i, { b: i, c: { d: i } })
          // Another commit takes them first.
          await right.put(100 + i, { b: 0, c: { d: i } })
        }
        expect(tx.store(right).get(2)).toEqual({ b: 2, c: { d: 2 } })
      })
      await again(environment, db, reopened => {
        expect([...reopened.store('left').values()]).toEqual([{ a: 0 }, { a: 1 }, { a: 2 }])
        expect(reopened.store('right').count()).toBe(6)
        expect(reopened.store('right').get(2)).toEqual({ b: 2, c: { d: 2 } })
      })
    })
  })

  test('larger than a frame brings its lists along', async () => {
    await withDatabase(async (db, environment) => {
      const store = db.store<object, number>('s')
      const value = (i: number): object => ({ text: 'x'.repeat(500), number: i })
      await store.batch(Array.from({ length: 60 }, (_, i) => ({ type: 'put' as const, key: i, value: value(i) })))
      await again(environment, db, reopened => {
        expect(reopened.store('s').stats().sharedStructures).toBe(1)
        expect([...reopened.store('s').values()]).toEqual(Array.from({ length: 60 }, (_, i) => value(i)))
      })
    })
  })

  test('compare-and-set finds a value that was written before its list was known, also within a transaction', async () => {
    await withDatabase(async db => {
      const store = db.store<User, number>('s')
      await store.put(1, user(1))
      await store.put(2, user(2))
      await store.put(3, user(2))
      expect(await store.compareAndSet(1, user(1), user(7))).toBe(true)
      expect(await store.compareAndSet(2, user(3), user(7))).toBe(false)
      expect(await store.compareAndSet(2, { ...user(2), age: 64 }, user(7))).toBe(false)
      expect(await store.compareAndSet(2, user(2), user(8))).toBe(true)
      await db.transaction(tx => {
        const inside = tx.store(store)
        expect(inside.compareAndSet(3, user(2), user(9))).toBe(true)
        expect(inside.compareAndSet(3, user(9), user(10))).toBe(true)
        expect(inside.compareAndSet(3, user(9), user(11))).toBe(false)
      })
      expect([...store.values()]).toEqual([user(7), user(8), user(10)])
    })
  })
})

describe('power loss', () => {
  test('at every operation of the disk: every value that is there can be read, and what was acknowledged is', async () => {
    let crashes = 0
    for (let point = 0; ; point += 3) {
      const environment = newEnvironment(point + 1)
      let acknowledged = 0
      const { crashed } = await runUntilCrash(environment, point, async () => {
        const db = await openSim(environment)
        const store = db.store<object, number>('s')
        for (let i = 0; i < 24; i++) {
          // New lists again and again, each second one within a staged commit; some commits are of words that may be lost.
          const value = { [`field${i >> 2}`]: i, at: { [`inner${i >> 2}`]: i % 2 === 0 ? 'small' : 'x'.repeat(3000) } }
          if (i % 5 === 0) void store.put(1000 + i, value, { durability: 'none' }).catch(() => undefined)
          await store.put(i, value)
          acknowledged = i + 1
          if (i === 11) await db.seal()
          if (i === 17) await store.compact()
        }
        await db.close()
      })
      if (environment.isAlive) environment.disk.crash()
      const { disk, scheduler } = environment
      const next = createSimEnvironment({ seed: point, disk, scheduler, runners: taskRunners })
      await next.drive(async () => {
        const db = await openSim(next)
        const store = db.store<Record<string, unknown>, number>('s')
        let last = -1
        for (const [key, value] of store.entries({ lt: 1000 })) {
          expect(Object.keys(value)).toEqual([`field${key >> 2}`, 'at'])
          expect(value[`field${key >> 2}`]).toBe(key)
          last = key
        }
        expect(last + 1).toBeGreaterThanOrEqual(acknowledged)
        // And they are shared from here on as before.
        for (let i = 0; i < 3; i++) await store.put(2000 + i, { fresh: i })
        await db.close()
        const third = await openSim(next)
        expect(third.store('s').get(2002)).toEqual({ fresh: 2 })
        await third.close()
      })
      if (!crashed) break
      crashes++
    }
    expect(crashes).toBeGreaterThan(20)
  })
})

describe('the option structures', () => {
  test('is fixed when the store is defined, and a store of before stays as it is', async () => {
    await withDatabase(async db => {
      const mismatch = expect.objectContaining({ code: 'DEFINITION_MISMATCH' })
      await db.store('on').ready()
      await db.store('on', { value: 'msgpack', structures: true }).ready()
      await expect(db.store('on', { structures: false }).ready()).rejects.toMatchObject({
        details: { option: 'structures', expected: true, actual: false },
      })
      await expect(db.store('on', { value: 'json' }).ready()).rejects.toMatchObject({
        details: { option: 'value', expected: 'msgpack', actual: 'json' },
      })
      await db.store('off', { structures: false }).ready()
      await db.store('off').ready()
      await db.store('off', { value: 'msgpack' }).ready()
      await expect(db.store('off', { structures: true }).ready()).rejects.toEqual(mismatch)
      await db.store('json', { value: 'json', structures: false }).ready()
      await db.store('json', { structures: false }).ready()
      await expect(db.store('json', { structures: true }).ready()).rejects.toEqual(mismatch)
      // As versions before wrote it.
      await db.define([{ name: 'store/old', kind: 'store', options: { store: { keys: 'tuple', value: 'msgpack' } } }])
      const old = db.store<object, number>('old')
      for (let i = 0; i < 3; i++) await old.put(i, { a: 64, b: { c: i } })
      expect([...old.values()]).toEqual([0, 1, 2].map(c => ({ a: 64, b: { c } })))
      expect(old.stats().sharedStructures).toBe(0)
    })
  })

  test('is refused where it makes no sense', async () => {
    await withDatabase(async db => {
      expect(() => db.store('s', { structures: 1 as unknown as boolean })).toThrow(new TypeError('structures must be true or false, got 1'))
      expect(() => db.store('s', { value: 'json', structures: true })).toThrow(TypeError)
      expect(() => db.store('s', { value: { name: 'msgpack-structures', encode: () => new Uint8Array(), decode: () => 1 } })).toThrow(
        TypeError,
      )
    })
  })

  test('a list that is damaged is told with the log, before a value is read by it', async () => {
    await withDatabase(async (db, environment) => {
      await fill(db, 's')
      await db.log('store/s').metadata.set('fields/1', new TextEncoder().encode('{}'))
      await db.close()
      const reopened = await openSim(environment)
      await expect(reopened.store('s').ready()).rejects.toMatchObject({ code: 'CORRUPT', details: { log: 'store/s' } })
      await reopened.close()
      expect((await verify(folder, { environment })).findings.filter(({ severity }) => severity === 'error')).toEqual([
        expect.objectContaining({ message: expect.stringContaining('log store/s: structure 1 of its values is not a list of keys') }),
      ])
    })
  })

  test('a list that is missing is found by verify', async () => {
    await withDatabase(async (db, environment) => {
      await fill(db, 's')
      await db.log('store/s').metadata.set('fields/1', undefined)
      await db.close()
      expect((await verify(folder, { environment })).findings.filter(({ severity }) => severity === 'error')).toEqual([
        expect.objectContaining({ message: 'log store/s: structure 1 of its values is missing, 2 are there' }),
      ])
    })
  })

  test('repair brings the lists back from the system log alone, and from the view alone', async () => {
    for (const lost of ['view', 'system log'] as const) {
      await withDatabase(async (db, environment) => {
        await fill(db, 's')
        await db.seal()
        await fill(db, 's')
        await db.close()
        const { files } = environment
        if (lost === 'view') await environment.catalogs.remove(`${folder}/catalog`)
        else for (const name of await files.list(folder)) if (name.startsWith('commit-')) await files.remove(`${folder}/${name}`)
        await repair(folder, { environment })
        const reopened = await openSim(environment)
        expect(content(reopened, 's')).toEqual(users())
        await reopened.close()
      })
    }
  })
})
