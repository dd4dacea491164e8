/**
 * Goal: each rule of index queries within transactions holds: own writes are seen, what was walked over conflicts and nothing else, iterators show what
 * there was when they were made, errors are told.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { Store } from '../../../../engine/store/store.ts'
import type { TransactionStore } from '../../../../engine/store/transaction-store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'
import { code, passed } from './transaction-support.ts'

interface User {
  readonly city?: string
  readonly age?: number
  readonly name?: string
}
type Users = TransactionStore<User, string>

async function withUsers(
  body: (db: Database, users: Store<User, string>, environment: ReturnType<typeof newEnvironment>) => Promise<void>,
): Promise<void> {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const users = db.store<User, string>('users', { indexes: { city: 'city', age: 'age' } })
    await users.batch([
      { type: 'put', key: 'ada', value: { city: 'London', age: 36 } },
      { type: 'put', key: 'bob', value: { city: 'Ulm', age: 20 } },
      { type: 'put', key: 'eve', value: { city: 'Ulm', age: 50 } },
    ])
    await body(db, users, environment)
    await db.close()
  })
}

describe('own writes', () => {
  test('are seen as the commit will leave the index', () =>
    withUsers(async (db, users) => {
      const seen = await db.transaction(tx => {
        const own = tx.store(users)
        const cities = own.index('city')
        const shown = [[...cities.keys()]]
        own.put('ada', { city: 'Ulm', age: 37 }) // moves
        own.put('max', { city: 'Aachen' }) // is new
        own.del('bob')
        shown.push([...cities.keys()], [...cities.keys({ reverse: true, limit: 2 })])
        expect(cities.getAll('Ulm')).toEqual([
          { city: 'Ulm', age: 37 },
          { city: 'Ulm', age: 50 },
        ])
        expect([cities.get('London'), cities.get('Aachen'), cities.count({ gte: 'B' })]).toEqual([undefined, { city: 'Aachen' }, 2])
        own.delRange({ gte: 'a', lt: 'f' })
        own.put('eve', { city: 'Bonn' })
        shown.push([...cities.keys()])
        expect([...cities.entries({ prefix: 'B' })]).toEqual([['Bonn', 'eve', { city: 'Bonn' }]])
        own.put('eve', {})
        shown.push([...cities.keys()])
        return shown
      })
      expect(seen).toEqual([['ada', 'bob', 'eve'], ['max', 'ada', 'eve'], ['eve', 'ada'], ['max', 'eve'], ['max']])
      expect([...users.index('city').keys()]).toEqual(['max'])
    }))

  test('an iterator shows those made before it, and stored entries as they were then', () =>
    withUsers((db, users) =>
      db.transaction(tx => {
        const own = tx.store(users)
        const first = own.index('age').entries()
        own.put('bob', { age: 99 })
        const second = own.index('age').entries()
        own.del('bob')
        own.delRange({ gte: 'e' })
        expect(first.nextBatch().map(([age, key]) => [age, key])).toEqual([
          [20, 'bob'],
          [36, 'ada'],
          [50, 'eve'],
        ])
        expect(second.nextBatch().map(([age, key]) => [age, key])).toEqual([
          [36, 'ada'],
          [50, 'eve'],
          [99, 'bob'],
        ])
        expect([...own.index('age').keys()]).toEqual(['ada'])
      }),
    ))

  test('that expire before the moment make no entries', () =>
    withUsers((db, users, environment) =>
      db.transaction(async tx => {
        const own = tx.store(users)
        own.put('old', { age: 1 }, { expiresAt: 1 })
        own.put('new', { age: 2 }, { ttlMs: 5 })
        expect([...own.index('age').keys({ lt: 10 })]).toEqual(['new'])
        await passed(environment, 20)
        expect([...own.index('age').keys({ lt: 10 })]).toEqual(['new'])
      }),
    ))

  test('compareAndSet sees them, and says whether it wrote', () =>
    withUsers(async (db, users) => {
      await db.transaction(tx => {
        const own = tx.store(users)
        const bob = { city: 'Ulm', age: 20 }
        expect(own.compareAndSet('bob', undefined, {})).toBe(false)
        expect(own.compareAndSet('bob', bob, { age: 21 })).toBe(true)
        expect(own.compareAndSet('bob', bob, { age: 22 })).toBe(false)
        expect(own.compareAndSet('bob', { age: 21 }, undefined)).toBe(true)
        expect(own.compareAndSet('bob', { age: 21 }, {})).toBe(false)
        expect(own.compareAndSet('bob', undefined, { age: 23 }, { ttlMs: 5 })).toBe(true)
        expect(() => own.compareAndSet('bob', undefined, {}, { durability: 'none' } as never)).toThrow('durability')
      })
      expect(users.get('bob')).toEqual({ age: 23 })
    }))
})

describe('conflicts', () => {
  /** How often the body ran when `write` commits once in between. */
  async function runsOf(
    db: Database,
    users: Store<User, string>,
    read: (own: Users) => void,
    write: () => unknown,
    seal: boolean,
  ): Promise<number> {
    let runs = 0
    await db.transaction(async tx => {
      runs++
      const own = tx.store(users)
      read(own)
      if (runs === 1) {
        await null
        await write()
        if (seal) await db.seal()
      }
      own.put('result', {})
    })
    return runs
  }

  test.each([false, true])('exactly what was walked over, phantoms too (sealed: %s)', seal =>
    withUsers(async (db, users) => {
      const runs = (read: (own: Users) => void, write: () => unknown): Promise<number> => runsOf(db, users, read, write, seal)
      const ulm = (own: Users): unknown => own.index('city').count({ gte: 'Ulm', lte: 'Ulm' })
      const nobody = (own: Users): void => void own.index('city').get('Nowhere')
      expect(await runs(nobody, () => users.put('x', { city: 'Nowhere' }))).toBe(2) // a phantom
      await users.del('x')
      expect(await runs(ulm, () => users.put('zoe', { city: 'Ulm' }))).toBe(2)
      expect(await runs(ulm, () => users.put('zoe', { city: 'Ulm', name: 'Zoe' }))).toBe(1) // the entry stays; its value was not read
      expect(await runs(ulm, () => users.put('zoe', { city: 'Bonn' }))).toBe(2) // moves away
      expect(await runs(ulm, () => users.put('zoe', { city: 'Berlin' }))).toBe(1) // elsewhere
      expect(await runs(ulm, () => users.delRange({ gte: 'e', lt: 'f' }))).toBe(2)
      const first = (own: Users): unknown => own.index('age').entries().next()
      expect(await runs(first, () => users.put('bob', { city: 'Ulm', age: 20, name: 'Bob' }))).toBe(2) // its value was read
      expect(await runs(first, () => users.put('ann', { age: 36 }))).toBe(1) // behind what was walked over
      expect(await runs(first, () => users.put('ann', { age: 3 }))).toBe(2)
      const last = (own: Users): unknown => own.index('age').keys({ reverse: true }).next()
      expect(await runs(last, () => users.put('old', { age: 99 }))).toBe(2)
      expect(await runs(last, () => users.put('mid', { age: 40 }))).toBe(1)
      // A key that was only blindly written here.
      expect(
        await runs(
          own => own.put('ada', {}),
          () => users.put('ada', { age: 5 }),
        ),
      ).toBe(1)
    }),
  )

  test('CONFLICT names the index and the key; a synchronous body is not run again', () =>
    withUsers(async (db, users) => {
      const failed = db.transaction(tx => {
        const own = tx.store(users)
        own.put('count', { age: own.index('city').count({ prefix: 'U' }) })
        void users.put('new', { city: 'Unna' })
      })
      await expect(failed).rejects.toMatchObject({ code: 'CONFLICT', details: { store: 'users', index: 'city', key: 'new' } })
      expect(users.has('count')).toBe(false)
    }))

  test('compareAndSet reads its key', () =>
    withUsers(async (db, users) => {
      for (const seal of [false, true])
        expect(
          await runsOf(
            db,
            users,
            own => void own.compareAndSet('bob', undefined, {}),
            () => users.put('bob', {}),
            seal,
          ),
        ).toBe(2)
    }))
})

test('errors are those of the index, and an index that is dropped meanwhile is a conflict', () =>
  withUsers(async (db, users) => {
    let runs = 0
    const dropped = db.transaction(async tx => {
      runs++
      const own = tx.store(users)
      own.put('x', { age: own.index('city').count() })
      await users.dropIndex('city')
    })
    await expect(dropped).rejects.toEqual(code('NOT_FOUND'))
    expect([runs, users.has('x')]).toEqual([2, false])
    await db.transaction(tx => {
      const own = tx.store(users)
      expect(() => own.index('none')).toThrow(code('NOT_FOUND'))
      expect(() => own.index(7 as never)).toThrow(TypeError)
      const ages = own.index('age')
      expect(() => ages.get({} as never)).toThrow('value must hold what can be indexed')
      expect(() => ages.keys({ snapshot: db.snapshot() } as never)).toThrow('snapshot')
      own.put('large', { age: 1 })
      own.put('k'.repeat(60_000), { name: 'x' })
      expect(ages.count({ lt: 2 })).toBe(1)
      own.del('k'.repeat(60_000))
    })
    let leaked: Users | undefined
    await db.transaction(tx => {
      leaked = tx.store(users)
    })
    expect(() => leaked?.index('age')).toThrow(code('CLOSED'))
    expect(() => leaked?.compareAndSet('x', undefined, {})).toThrow(code('CLOSED'))
    // Not built at the moment.
    const building = db.store<User, string>('users', { indexes: { name: 'name' } })
    const early = db.transaction(tx => {
      tx.store(building).get('ada')
      return tx.store(building).index('name').count()
    })
    await expect(early).rejects.toEqual(code('NOT_READY'))
    await building.ready()
  }))

test('a value that cannot be decoded loses no entry before it and none behind it', async () => {
  const environment = newEnvironment(2)
  await environment.drive(async () => {
    const db = await openSim(environment)
    let isBroken = true
    const value = {
      name: 'picky',
      encode: (n: number): Uint8Array => Uint8Array.of(n),
      decode: (bytes: Uint8Array): number => {
        if (isBroken && bytes[0] === 3) throw new Error('three')
        return bytes[0] as number
      },
    }
    const store = db.store<number, string>('s', { value })
    for (const n of [1, 2, 3, 5]) await store.put(`k${n}`, n)
    for (const reverse of [false, true]) {
      for (const isOwn of [false, true]) {
        await db.transaction(async tx => {
          isBroken = true
          if (isOwn) tx.store(store).put('k3', 3)
          const iterator = tx.store(store).values({ reverse, limit: 3 })
          expect(() => iterator.nextBatch()).toThrow('three')
          expect(iterator.nextBatch(1)).toEqual([reverse ? 5 : 1])
          if (!reverse) expect(iterator.next()).toEqual({ done: false, value: 2 })
          expect(() => iterator.next()).toThrow('three')
          await db.seal() // the table changes while the entry waits
          isBroken = false
          expect(iterator.nextBatch()).toEqual(reverse ? [3, 2] : [3])
          tx.abort()
        })
      }
    }
    await db.close()
  })
})
