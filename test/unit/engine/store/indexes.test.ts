/**
 * Goal: each rule of secondary indexes: which entries a value makes, queries and their bounds, unique values, several writes of one key in a batch,
 * range deletes, building over existing data, dropping, renaming, moments, and bad input refused by name.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { SimEnvironment } from '../../../../engine/env/index.ts'
import { VarveError } from '../../../../engine/errors.ts'
import type { StoreOptions } from '../../../../engine/store/store-options.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

interface User {
  readonly email?: unknown
  readonly tags?: unknown
  readonly age?: unknown
  readonly address?: { readonly city?: unknown }
}

const indexes = {
  email: { path: 'email', unique: true },
  tags: { path: 'tags', multi: true },
  city: 'address.city',
  byCityAge: ['address.city', 'age'],
} as const

/** Runs `body` over a database with the store 'users'. */
async function withDatabase(body: (db: Database, environment: SimEnvironment) => Promise<void>, seed = 1): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await body(db, environment)
    await db.close()
  })
}

const open = (db: Database, options: StoreOptions<User> = { indexes }) => db.store<User, string>('users', options)

/** The error's code, or its class and message. */
async function failure(run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    return error instanceof VarveError ? error.code : `${(error as Error).name}: ${(error as Error).message}`
  }
  return 'no error'
}

describe('entries', () => {
  test('values find their keys, through puts, overwrites and deletes', async () => {
    await withDatabase(async db => {
      const users = open(db)
      await users.ready()
      await users.put('ada', { email: 'ada@x', tags: ['a', 'b', 'a'], age: 36, address: { city: 'London' } })
      await users.put('bob', { email: 'bob@x', tags: ['b'], age: 7, address: { city: 'Ulm' } })
      await users.put('cid', { email: 'cid@x', age: 7.5, address: { city: 'Ulm' } })
      for (const isSealed of [false, true]) {
        if (isSealed) await db.seal()
        expect(users.index('email').get('ada@x')).toMatchObject({ age: 36 })
        expect(users.index('email').get('eve@x')).toBeUndefined()
        expect(
          users
            .index('city')
            .getAll('Ulm')
            .map(({ age }) => age),
        ).toEqual([7, 7.5])
        expect([...users.index('tags').keys()]).toEqual(['ada', 'ada', 'bob'])
        expect([...users.index('tags').entries({ gte: 'b' })].map(([value, key]) => [value, key])).toEqual([
          ['b', 'ada'],
          ['b', 'bob'],
        ])
        expect([...users.index('byCityAge').entries({ gte: ['Ulm'] })].map(([value, key]) => [value, key])).toEqual([
          [['Ulm', 7], 'bob'],
          [['Ulm', 7.5], 'cid'],
        ])
        expect(users.index('byCityAge').get(['Ulm', 7.5])).toMatchObject({ email: 'cid@x' })
        expect(users.index('byCityAge').count({ prefix: ['Ulm'] })).toBe(2)
        expect(users.index('byCityAge').count({ gte: ['Ulm', 7], lte: ['Ulm', 7] })).toBe(1)
        // Whoever takes it for `getAll` is told how.
        expect(() => users.index('city').count('Ulm' as never)).toThrow(/gte: key, lte: key.*got Ulm/)
      }
      await users.put('ada', { email: 'ada@y', tags: [], address: { city: 'Ulm' } })
      await users.del('bob')
      expect([...users.index('email').entries()].map(([value, key]) => [value, key])).toEqual([
        ['ada@y', 'ada'],
        ['cid@x', 'cid'],
      ])
      expect(users.index('tags').count()).toBe(0)
      expect([...users.index('city').keys()]).toEqual(['ada', 'cid'])
      expect([...users.index('byCityAge').keys()]).toEqual(['cid'])
      expect(users.indexNames()).toEqual(['byCityAge', 'city', 'email', 'tags'])
    })
  })

  test('every kind of key is a value; absent fields and other kinds make no entry', async () => {
    await withDatabase(async db => {
      const store = db.store<unknown, number>('s', { indexes: { v: 'v', m: { path: 'v', multi: true } } })
      const date = new Date(5)
      const kinds = [null, false, true, -1.5, 0, 7, 2n ** 70n, date, '', 'text', new Uint8Array([0, 1])]
      for (const [i, v] of kinds.entries()) void store.put(i, { v })
      const others = [undefined, Number.NaN, new Date(Number.NaN), { a: 1 }, ['a']]
      for (const [i, v] of others.entries()) void store.put(100 + i, v === undefined ? {} : { v })
      void store.put(200, 'no fields')
      void store.put(201, null)
      expect([...store.index('v').keys()]).toEqual(kinds.map((_, i) => i))
      expect([...store.index('v').entries()].map(([value]) => value)).toEqual(kinds)
      expect([...store.index('m').entries({ gte: 'a', lte: 'a' })].map(([, key]) => key)).toEqual([104])
      for (const [i, v] of kinds.entries()) expect(store.index('v').count({ gte: v, lte: v }), String(i)).toBe(1)
      await store.put(300, { v: 7 })
      expect([...store.index('v').keys({ gte: 7, lte: 7 })]).toEqual([5, 300])
    })
  })

  test('entries follow the stored bytes: a Date in JSON is text, also when it is removed', async () => {
    await withDatabase(async db => {
      const store = db.store<unknown, string>('s', { value: 'json', indexes: { at: 'at' } })
      await store.put('a', { at: new Date(0) })
      expect(store.index('at').get('1970-01-01T00:00:00.000Z')).toBeDefined()
      await store.put('a', {})
      expect(store.index('at').count()).toBe(0)
      await store.put('b', { at: new Date(0) })
      await store.del('b')
      await store.put('c', { at: '\ud800' })
      expect(store.index('at').count()).toBe(0)
    })
  })

  test('keys of every codec, also with zeros, and custom value codecs', async () => {
    await withDatabase(async db => {
      const value = {
        name: 'mine',
        encode: (v: { n: number }) => new Uint8Array([v.n]),
        decode: (bytes: Uint8Array) => ({ n: bytes[0] as number }),
      }
      const store = db.store<{ n: number }, Uint8Array>('s', { keys: 'bytes', value, indexes: { n: 'n' } })
      const keys = [new Uint8Array([]), new Uint8Array([0]), new Uint8Array([0, 255]), new Uint8Array([255])]
      for (const key of keys) await store.put(key, { n: 3 })
      expect([...store.index('n').keys({ gte: 3, lte: 3 })]).toEqual(keys)
      const tuples = db.store<{ n: number }, readonly [string, number]>('t', { indexes: { n: 'n' } })
      await tuples.put(['a', 1], { n: 1 })
      expect([...tuples.index('n').entries()]).toEqual([[1, ['a', 1], { n: 1 }]])
    })
  })
})

describe('ranges', () => {
  test('every bound, both ways, with limit, prefix and seek', async () => {
    await withDatabase(async db => {
      const store = db.store<{ v: unknown }, string>('s', { indexes: { v: 'v' } })
      const values = ['a', 'ab', 'ab\0', 'ab\0z', 'abc', 'b']
      for (const v of values) for (const n of [1, 2]) await store.put(`${v}${n}`, { v })
      const keys = (from: number, to: number): string[] => values.slice(from, to).flatMap(v => [`${v}1`, `${v}2`])
      const index = store.index('v')
      expect([...index.keys()]).toEqual(keys(0, 6))
      expect([...index.keys({ gt: 'ab' })]).toEqual(keys(2, 6))
      expect([...index.keys({ gte: 'ab', lt: 'abc' })]).toEqual(keys(1, 4))
      expect([...index.keys({ gt: 'a', lte: 'abc', reverse: true })]).toEqual(keys(1, 5).reverse())
      expect([...index.keys({ gt: 'b' })]).toEqual([])
      expect([...index.keys({ gt: 'b', lt: 'a' })]).toEqual([])
      expect(index.count({ gt: 'b', lt: 'a' })).toBe(0)
      expect([...index.keys({ prefix: 'ab' })]).toEqual(keys(1, 5))
      expect([...index.keys({ prefix: 'ab\0' })]).toEqual(keys(2, 4))
      expect([...index.keys({ prefix: '' })]).toEqual(keys(0, 6))
      expect([...index.keys({ prefix: 'ab', limit: 3 })]).toEqual(keys(1, 5).slice(0, 3))
      expect(index.count({ prefix: 'ab', limit: 3 })).toBe(3)
      expect([...index.keys({ limit: 0 })]).toEqual([])
      const forwards = index.keys()
      forwards.seek('ab\0')
      expect(forwards.nextBatch()).toEqual(keys(2, 6))
      const backwards = index.keys({ reverse: true })
      backwards.seek('ab\0')
      expect(backwards.nextBatch()).toEqual(keys(0, 3).reverse())
    })
  })

  test('bounds of a compound index stand for all that begin with them', async () => {
    await withDatabase(async db => {
      const store = db.store<{ a: number; b: string }, string>('s', { indexes: { ab: ['a', 'b'] } })
      for (const a of [1, 1.5, 2]) for (const b of ['x', 'y']) await store.put(`${a}${b}`, { a, b })
      const index = store.index('ab')
      expect([...index.keys({ gt: [1] })]).toEqual(['1.5x', '1.5y', '2x', '2y'])
      expect([...index.keys({ lte: [1] })]).toEqual(['1x', '1y'])
      expect([...index.keys({ gt: [1, 'x'], lt: [2] })]).toEqual(['1y', '1.5x', '1.5y'])
      expect([...index.keys({ prefix: [1.5] })]).toEqual(['1.5x', '1.5y'])
      expect(index.getAll([2])).toHaveLength(2)
    })
  })
})

describe('one commit', () => {
  test('several writes of one key in a batch count as the last one leaves it', async () => {
    await withDatabase(async db => {
      const users = open(db)
      await users.batch([
        { type: 'put', key: 'a', value: { email: '1', tags: ['x', 'y'] } },
        { type: 'put', key: 'a', value: { email: '2', tags: ['y'] } },
        { type: 'put', key: 'b', value: { email: '1' } },
        { type: 'put', key: 'c', value: { email: '3' } },
        { type: 'del', key: 'c' },
      ])
      expect([...users.index('email').entries()].map(([v, k]) => [v, k])).toEqual([
        ['1', 'b'],
        ['2', 'a'],
      ])
      expect([...users.index('tags').entries()].map(([v, k]) => [v, k])).toEqual([['y', 'a']])
      await users.batch([
        { type: 'put', key: 'd', value: { email: '4' } },
        { type: 'delRange', range: { gte: 'b' } },
        { type: 'put', key: 'e', value: { email: '1' } },
      ])
      expect([...users.index('email').entries()].map(([v, k]) => [v, k])).toEqual([
        ['1', 'e'],
        ['2', 'a'],
      ])
      await users.clear()
      for (const name of users.indexNames()) expect(users.index(name).count(), name).toBe(0)
    })
  })

  test('batches over several stores and transactions maintain the indexes', async () => {
    await withDatabase(async db => {
      const users = open(db)
      const others = db.store<{ n: number }, string>('others', { indexes: { n: 'n' } })
      await users.batch([
        { type: 'put', key: 'a', value: { email: 'a' } },
        { type: 'put', key: 'o', value: { n: 5 } as unknown as User, store: others as never },
      ])
      expect(others.index('n').get(5)).toEqual({ n: 5 })
      await db.transaction(async tx => {
        tx.store(users).put('b', { email: 'b' })
        await Promise.resolve()
        tx.store(others).del('o')
      })
      expect([...users.index('email').keys()]).toEqual(['a', 'b'])
      expect(others.index('n').count()).toBe(0)
      expect(await failure(() => db.transaction(tx => tx.store(users).put('c', { email: 'a' })))).toBe('UNIQUE')
      expect(users.has('c')).toBe(false)
      expect(await users.compareAndSet('b', { email: 'b' }, { email: 'bb' })).toBe(true)
      expect([...users.index('email').entries()].map(([v]) => v)).toEqual(['a', 'bb'])
    })
  })
})

describe('unique', () => {
  test('a value of another key is refused and nothing is written', async () => {
    await withDatabase(async db => {
      const users = open(db)
      await users.put('a', { email: 'x' })
      const error = await users.put('b', { email: 'x' }).catch((e: unknown) => e)
      expect(error).toMatchObject({ code: 'UNIQUE', details: { store: 'users', index: 'email', key: 'b', holder: 'a' } })
      expect(users.has('b')).toBe(false)
      await users.put('a', { email: 'x', age: 1 })
      await users.put('b', {})
      await users.put('c', {})
      expect(
        await failure(() =>
          users.batch([
            { type: 'put', key: 'd', value: { email: 'y' } },
            { type: 'put', key: 'e', value: { email: 'y' } },
          ]),
        ),
      ).toBe('UNIQUE')
      expect(users.has('d')).toBe(false)
      await users.batch([
        { type: 'put', key: 'b', value: { email: 'x' } },
        { type: 'put', key: 'a', value: { email: 'y' } },
      ])
      expect(users.index('email').get('y')).toEqual({ email: 'y' })
      await db.seal()
      expect(await failure(() => users.put('z', { email: 'x' }))).toBe('UNIQUE')
      await users.del('b')
      await users.put('z', { email: 'x' })
      expect([...users.index('email').keys()]).toEqual(['z', 'a'])
    })
  })

  test('an expired entry does not count, and its removal takes nothing from the new holder', async () => {
    await withDatabase(async (db, environment) => {
      const users = open(db)
      await users.put('a', { email: 'x' }, { ttlMs: 100 })
      expect(await failure(() => users.put('b', { email: 'x' }))).toBe('UNIQUE')
      await new Promise<void>(resolve => environment.timers.after(200, resolve))
      expect(users.index('email').count()).toBe(0)
      await users.put('b', { email: 'x' })
      await users.put('a', { email: 'other' })
      expect([...users.index('email').keys()]).toEqual(['a', 'b'])
    })
  })

  test('a unique compound and a unique multi index', async () => {
    await withDatabase(async db => {
      const store = db.store<unknown, string>('s', {
        indexes: { c: { path: ['a', 'b'], unique: true }, m: { path: 'm', multi: true, unique: true } },
      })
      await store.put('1', { a: 1, b: 1, m: ['x', 'x', 'y'] })
      await store.put('2', { a: 1, b: 2 })
      await store.put('3', { a: 1 })
      await store.put('4', { a: 1 })
      expect(await failure(() => store.put('5', { a: 1, b: 2 }))).toBe('UNIQUE')
      expect(await failure(() => store.put('5', { m: ['z', 'y'] }))).toBe('UNIQUE')
      await store.put('5', { m: 'z' })
    })
  })
})

describe('building', () => {
  const fill = async (db: Database, count: number): Promise<void> => {
    const plain = db.store<{ n: number; m: number }, number>('s')
    for (let i = 0; i < count; i += 100) {
      await plain.batch(Array.from({ length: 100 }, (_, j) => ({ type: 'put', key: i + j, value: { n: (i + j) % 7, m: i + j } }) as const))
    }
  }

  test('over existing data while writes go on; queries wait for it', async () => {
    await withDatabase(async db => {
      await fill(db, 3000)
      await db.seal()
      const old = db.snapshot()
      const store = db.store<{ n: number; m: number }, number>('s', { indexes: { n: 'n' } })
      expect(await failure(() => store.index('n').count())).toBe('NOT_READY')
      let isReady = false
      const ready = store.ready().then(() => (isReady = true))
      const content = new Map(Array.from({ length: 3000 }, (_, i) => [i, i % 7]))
      for (let i = 0; !isReady; i++) {
        const key = (i * 7919) % 3100
        if (i % 3 === 0) {
          content.delete(key)
          await store.del(key)
        } else {
          content.set(key, i % 5)
          await store.put(key, { n: i % 5, m: key })
        }
      }
      await ready
      expect(store.index('n').isReady).toBe(true)
      for (let n = 0; n < 7; n++) {
        const expected = [...content].filter(([, value]) => value === n).map(([key]) => key)
        expect([...store.index('n').keys({ gte: n, lte: n })]).toEqual(expected.sort((a, b) => a - b))
      }
      expect(await failure(() => store.index('n').count({ snapshot: old }))).toBe('NOT_READY')
      old.close()
      expect(store.index('n').count({ snapshot: db.snapshot() })).toBe(content.size)
    })
  })

  test('goes on at the next opening after a close in its middle, whoever opens the store', async () => {
    const environment = newEnvironment(9)
    await environment.drive(async () => {
      let db = await openSim(environment)
      await fill(db, 1500)
      const store = db.store<{ n: number; m: number }, number>('s', { indexes: { n: 'n', m: { path: 'm', unique: true } } })
      for (let i = 0; i < 3; i++) await store.put(i, { n: 100, m: i })
      expect(store.index('m').isReady).toBe(false)
      const ready = failure(() => store.ready())
      await db.close()
      expect(await ready).toBe('CLOSED')
      db = await openSim(environment)
      const again = db.store<{ n: number; m: number }, number>('s')
      await again.ready()
      expect([...again.index('n').keys({ gte: 100 })]).toEqual([0, 1, 2])
      expect([...again.index('m').keys()]).toEqual(Array.from({ length: 1500 }, (_, i) => i))
      await db.close()
    })
  })

  test('a duplicate ends the build of a unique index; it goes on when that is mended', async () => {
    await withDatabase(async db => {
      const plain = db.store<{ v: number }, string>('s')
      await plain.put('a', { v: 1 })
      await plain.put('b', { v: 1 })
      const options = { indexes: { v: { path: 'v', unique: true } } }
      const store = db.store<{ v: number }, string>('s', options)
      await expect(store.ready()).rejects.toMatchObject({ code: 'UNIQUE', details: { index: 'v' } })
      expect(() => store.index('v').get(1)).toThrow(/could not be built/)
      expect(await failure(() => db.store('s').ready())).toBe('UNIQUE')
      await store.put('b', { v: 2 })
      await db.store<{ v: number }, string>('s', options).ready()
      expect([...store.index('v').entries()]).toEqual([
        [1, 'a', { v: 1 }],
        [2, 'b', { v: 2 }],
      ])
    })
  })

  test('an entry too large for a key is refused before anything is written, and ends a build', async () => {
    await withDatabase(async db => {
      const v = 'x'.repeat(70_000)
      const plain = db.store<{ v: string }, string>('s')
      await plain.put('a', { v })
      const store = db.store<{ v: string }, string>('s', { indexes: { v: 'v' } })
      expect(await failure(() => store.ready())).toBe('TOO_LARGE')
      expect(await failure(() => store.put('b', { v }))).toBe('TOO_LARGE')
      expect(store.has('b')).toBe(false)
      await store.dropIndex('v')
      await store.put('b', { v })
    })
  })
})

describe('life', () => {
  test('indexes stay when a store is opened without naming them, over a rename and a reopening', async () => {
    const environment = newEnvironment(5)
    await environment.drive(async () => {
      let db = await openSim(environment)
      await open(db).put('a', { email: 'x', tags: ['t'] })
      await db.renameStore('users', 'people/of: all')
      const renamed = db.store<User, string>('people/of: all')
      await renamed.put('b', { email: 'y' })
      await db.close()
      db = await openSim(environment)
      const people = db.store<User, string>('people/of: all')
      await people.put('c', { email: 'z' })
      expect([...people.index('email').keys()]).toEqual(['a', 'b', 'c'])
      expect(db.storeNames()).toEqual(['people/of: all'])
      expect(await failure(() => db.store<User>('people/of: all', { indexes: { email: 'email' } }).ready())).toBe('DEFINITION_MISMATCH')
      expect(await failure(() => people.put('d', { email: 'x' }))).toBe('UNIQUE')
      await db.dropStore('people/of: all')
      expect(db.list()).toEqual([])
      await db.close()
    })
  })

  test('a dropped index is gone at once and can be declared anew', async () => {
    await withDatabase(async db => {
      const users = open(db)
      await users.put('a', { email: 'x' })
      const index = users.index('email')
      const iterator = index.keys()
      const dropped = users.dropIndex('email')
      expect(await failure(() => users.index('email'))).toBe('NOT_FOUND')
      expect(await failure(() => index.get('x'))).toBe('NOT_FOUND')
      expect(await failure(() => iterator.next())).toBe('NOT_FOUND')
      await users.put('b', { email: 'x' })
      await dropped
      expect(await failure(() => users.dropIndex('email'))).toBe('NOT_FOUND')
      const again = open(db, { indexes: { email: 'email' } })
      await again.ready()
      expect([...again.index('email').keys()]).toEqual(['a', 'b'])
      await db.dropStore('users')
      expect(db.list()).toEqual([])
      const fresh = open(db)
      await fresh.put('c', { email: 'x' })
      expect([...fresh.index('email').keys()]).toEqual(['c'])
    })
  })

  test('a snapshot and an iterator show their moment', async () => {
    await withDatabase(async db => {
      const users = open(db)
      await users.put('a', { email: 'x', age: 1 })
      const snapshot = db.snapshot()
      const iterator = users.index('email').entries()
      await users.put('a', { email: 'y', age: 2 })
      await users.put('b', { email: 'x', age: 3 })
      await db.seal()
      await db.compactLog('store/users')
      expect(users.index('email').get('x', { snapshot })).toEqual({ email: 'x', age: 1 })
      expect(users.index('email').get('y', { snapshot })).toBeUndefined()
      expect([...users.index('email').entries({ snapshot })]).toEqual([['x', 'a', { email: 'x', age: 1 }]])
      expect([...iterator]).toEqual([['x', 'a', { email: 'x', age: 1 }]])
      snapshot.close()
      expect(await failure(() => users.index('email').get('x', { snapshot }))).toBe('CLOSED')
    })
  })
})

test('bad input is refused by name', async () => {
  await withDatabase(async db => {
    const declare = (given: unknown, more: object = {}) => failure(() => db.store('s', { ...more, indexes: given } as never))
    expect(await declare(5)).toMatch(/^TypeError: indexes must be an object/)
    expect(await declare(['a'])).toMatch(/^TypeError: indexes must be an object/)
    expect(await declare({ '': 'a' })).toMatch(/^TypeError: indexes must not have an empty name/)
    expect(await declare({ ['n'.repeat(201)]: 'a' })).toMatch(/^RangeError: names of indexes/)
    expect(await declare({ 'a\0': 'a' })).toMatch(/^TypeError: names of indexes/)
    expect(await declare({ a: 5 })).toMatch(/^TypeError: indexes\.a must be an object/)
    expect(await declare({ a: '' })).toMatch(/^TypeError: indexes\.a\.path must be/)
    expect(await declare({ a: [] })).toMatch(/^TypeError: indexes\.a\.path must name/)
    expect(await declare({ a: Array.from({ length: 17 }, () => 'x') })).toMatch(/^RangeError: indexes\.a\.path/)
    expect(await declare({ a: {} })).toMatch(/^TypeError: indexes\.a\.path must be/)
    expect(await declare({ a: { path: 'x', uniqe: true } })).toMatch(/^TypeError: unknown option: uniqe/)
    expect(await declare({ a: { path: 'x', unique: 1 } })).toMatch(/^TypeError: indexes\.a\.unique/)
    expect(await declare({ a: { path: ['x', 'y'], multi: true } })).toMatch(/^TypeError: indexes\.a\.multi/)
    for (const value of ['string', 'bytes'])
      expect(await declare({ a: 'x' }, { value })).toMatch(/^TypeError: indexes need values with fields/)
    expect(db.storeNames()).toEqual([])
    db.store('texts', { value: 'string' })
    expect(await failure(() => db.store('texts', { indexes: { a: 'x' } }))).toMatch(/^TypeError: indexes need values with fields/)

    const users = open(db)
    expect(await failure(() => users.index('nope'))).toBe('NOT_FOUND')
    expect(await failure(() => users.index(5 as never))).toMatch(/^TypeError: name must be a string/)
    expect(await failure(() => users.dropIndex('nope'))).toBe('NOT_FOUND')
    const { email, byCityAge } = { email: users.index('email'), byCityAge: users.index('byCityAge') }
    expect(await failure(() => email.get(undefined as never))).toMatch(/^TypeError: value must hold/)
    expect(await failure(() => email.get(['x']))).toMatch(/^TypeError: value must hold/)
    expect(await failure(() => email.get(Number.NaN))).toMatch(/^TypeError: value must hold/)
    expect(await failure(() => email.get('x', { snap: 1 } as never))).toMatch(/^TypeError: unknown option: snap/)
    expect(await failure(() => email.keys({ gt: 'a', gte: 'a' }))).toMatch(/^TypeError: gt and gte/)
    expect(await failure(() => email.count({ limit: -1 }))).toMatch(/^RangeError: limit/)
    expect(await failure(() => email.keys({ prefix: 5 }))).toMatch(/^TypeError: prefix must be a string/)
    expect(await failure(() => email.entries({ lt: {} as never }))).toMatch(/^TypeError: lt must hold/)
    expect(await failure(() => byCityAge.get('Ulm'))).toMatch(/^TypeError: value must be an array of 1 to 2/)
    expect(await failure(() => byCityAge.getAll([]))).toMatch(/^TypeError: value must be an array/)
    expect(await failure(() => byCityAge.count({ gte: ['a', 1, 2] }))).toMatch(/^TypeError: gte must be an array/)
    await db.close()
    expect(await failure(() => email.get('x'))).toBe('CLOSED')
    expect(await failure(() => users.index('email'))).toBe('CLOSED')
  })
})
