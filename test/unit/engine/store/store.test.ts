/** Goal: what a store's verbs promise and refuse, each rule by name; definitions compared at reopen; reads after a poison fall back to what is durable. */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { Store } from '../../../../engine/store/store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

async function withDatabase(
  seed: number,
  program: (db: Database, environment: ReturnType<typeof newEnvironment>) => Promise<void>,
): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await program(db, environment)
    await db.close()
  })
}

describe('verbs', () => {
  test('a read sees a put, a delete and a batch as soon as they were called', async () => {
    await withDatabase(1, async db => {
      const users = db.store<{ n: number }, string>('users')
      const written = users.put('ada', { n: 1 })
      expect(users.get('ada')).toEqual({ n: 1 })
      void users.del('ada')
      expect([users.get('ada'), users.has('ada')]).toEqual([undefined, false])
      const batch = users.batch([
        { type: 'put', key: 'ada', value: { n: 2 } },
        { type: 'del', key: 'ada' },
        { type: 'put', key: 'bob', value: { n: 3 } },
      ])
      expect(users.getMany(['ada', 'bob'])).toEqual([undefined, { n: 3 }])
      await Promise.all([written, batch])
      expect(await users.getAsync('bob')).toEqual({ n: 3 })
      expect([await users.hasAsync('bob'), await users.hasAsync('nobody')]).toEqual([true, false])
    })
  })

  test('a batch over two stores is one commit', async () => {
    const environment = newEnvironment(2)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const left = db.store<number, string>('left')
      const right = db.store<number, string>('right')
      await Promise.all([left.ready(), right.ready()])
      const { commits } = db.stats().commitLog
      const written = left.batch([
        { type: 'put', key: 'a', value: 1 },
        { type: 'put', key: 'a', value: 2, store: right },
      ])
      expect(db.stats().commitLog.commits).toBe(commits + 1)
      await written
    })
    environment.disk.crash()
    const again = newEnvironment(3, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      expect([db.store('left').get('a'), db.store('right').get('a')]).toEqual([1, 2])
      await db.close()
    })
  })

  test('delRange without an end also takes what the same batch put before it', async () => {
    await withDatabase(4, async db => {
      const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
      await store.put('b', '1')
      await store.batch([
        { type: 'put', key: 'z', value: '2' },
        { type: 'delRange', range: { gte: 'a' } },
        { type: 'put', key: 'c', value: '3' },
      ])
      expect([...store]).toEqual([['c', '3']])
      await store.clear()
      expect(store.count()).toBe(0)
    })
  })

  test('entries expire by the clock; a snapshot keeps its own', async () => {
    await withDatabase(5, async (db, environment) => {
      const store = db.store<string, string>('s', { ttlMs: 100 })
      await store.put('short', 'x')
      await store.put('long', 'y', { ttlMs: 10_000 })
      await store.put('fixed', 'z', { expiresAt: environment.clock.now() + 50 })
      const snapshot = db.snapshot()
      expect([...store.keys()]).toEqual(['fixed', 'long', 'short'])
      await new Promise<void>(resolve => void environment.scheduler.after(200, resolve))
      expect([...store.keys()]).toEqual(['long'])
      expect(store.get('short')).toBeUndefined()
      expect([...store.keys({ snapshot })]).toEqual(['fixed', 'long', 'short'])
      snapshot.close()
      expect(() => store.get('short', { snapshot })).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    })
  })

  test('text of every kind comes back; a lone surrogate is refused and nothing of its batch is written', async () => {
    await withDatabase(9, async db => {
      const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
      const texts = ['', 'ascii', 'é', '\u{1f600}'.repeat(3000), 'mixed ü and ascii'.repeat(400), '\0', 'x'.repeat(100_000)]
      await store.batch(texts.map((value, i) => ({ type: 'put', key: `k${i}`, value }) as const))
      expect([...store.values()]).toEqual(texts)
      const put = (key: string, value: string) => ({ type: 'put', key, value }) as const
      await expect(store.batch([put('new', 'x'), put('bad', 'a\ud800b')])).rejects.toThrow(/value must not contain a lone surrogate/)
      expect(store.count()).toBe(texts.length)
    })
  })

  test('compareAndSet writes only over the expected value', async () => {
    await withDatabase(6, async db => {
      const store = db.store<string, string>('s')
      expect(await store.compareAndSet('a', undefined, '1')).toBe(true)
      expect(await store.compareAndSet('a', undefined, '2')).toBe(false)
      expect(await store.compareAndSet('a', '1', '2')).toBe(true)
      expect(await store.compareAndSet('a', '2', undefined)).toBe(true)
      expect(store.has('a')).toBe(false)
    })
  })

  test('an iterator keeps its moment over writes, flushes and compactions', async () => {
    await withDatabase(7, async db => {
      const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
      for (let i = 0; i < 50; i++) void store.put(`k${String(i).padStart(2, '0')}`, 'old')
      const iterator = store.iterator()
      expect(iterator.nextBatch(10)).toHaveLength(10)
      await store.clear()
      await db.seal()
      await store.put('k45', 'new')
      await db.seal()
      await db.compactLog('store/s')
      const rest = iterator.nextBatch(1000)
      expect([rest.length, rest.every(([, value]) => value === 'old')]).toEqual([40, true])
      iterator.close()
      expect(() => iterator.nextBatch()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
      expect([...store]).toEqual([['k45', 'new']])
    })
  })

  test('stats and estimates say where records lie', async () => {
    await withDatabase(8, async db => {
      const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
      for (let i = 0; i < 100; i++) void store.put(`k${String(i).padStart(2, '0')}`, 'v'.repeat(200))
      expect(store.stats()).toMatchObject({ records: 100, memtables: { records: 100 }, levels: [] })
      expect(store.estimate({ gte: 'k10', lt: 'k20' })).toBe(10)
      await db.seal()
      expect(store.stats()).toMatchObject({ records: 100, memtables: { count: 0 } })
      expect(store.stats().levels.reduce((sum, level) => sum + level.records, 0)).toBe(100)
      expect(store.estimate()).toBe(100)
      expect(store.estimate({ lt: 'a' })).toBe(0)
    })
  })
})

describe('definitions', () => {
  test('a conflict with the stored definition is told by ready and by every verb, and names option and values', async () => {
    await withDatabase(10, async db => {
      await db.store('s', { value: 'json' }).put('a', 1)
      const wrong = db.store('s', { value: 'msgpack' })
      const mismatch = expect.objectContaining({
        code: 'DEFINITION_MISMATCH',
        details: { option: 'value', expected: 'json', actual: 'msgpack' },
      })
      await expect(wrong.ready()).rejects.toEqual(mismatch)
      expect(() => wrong.get('a')).toThrow(mismatch)
      await expect(wrong.put('a', 2)).rejects.toEqual(mismatch)
      expect(db.store('s').get('a')).toBe(1)
    })
  })

  test("a codec of the user's own must be given again", async () => {
    await withDatabase(11, async db => {
      const codec = {
        name: 'upper',
        encode: (value: string) => Buffer.from(value.toUpperCase()),
        decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
      }
      await db.store<string>('s', { value: codec }).put('a', 'text')
      await db.close()
    })
    const environment = newEnvironment(12)
    await environment.drive(async () => {
      const codec = {
        name: 'upper',
        encode: (value: string) => Buffer.from(value.toUpperCase()),
        decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
      }
      const db = await openSim(environment)
      await db.store<string>('s', { value: codec }).put('a', 'text')
      await db.close()
      const again = await openSim(environment)
      expect(() => again.store('s').get('a')).toThrow(expect.objectContaining({ code: 'CODEC_MISSING' }))
      expect(again.store<string>('s', { value: codec }).get('a')).toBe('TEXT')
      await again.close()
    })
  })

  test('stores are listed, renamed and dropped; handles follow or end', async () => {
    await withDatabase(13, async db => {
      const store = db.store<number, string>('b')
      await store.put('x', 1)
      await db.store('a').ready()
      expect(db.storeNames()).toEqual(['a', 'b'])
      await db.renameStore('b', 'c')
      expect([db.storeNames(), db.store('c').get('x'), store.get('x')]).toEqual([['a', 'c'], 1, 1])
      await expect(db.renameStore('c', 'a')).rejects.toMatchObject({ code: 'EXISTS' })
      await db.dropStore('c')
      expect(() => store.get('x')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
      await expect(db.dropStore('c')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(db.store('c').get('x')).toBeUndefined()
    })
  })
})

describe('bad input', () => {
  const wrongReads: [string, (store: Store<unknown>) => unknown, RegExp][] = [
    ['NaN key', store => store.get(Number.NaN), /key must not be NaN/],
    ['undefined key', store => store.get(undefined as never), /key/],
    ['unknown option', store => store.get('a', { snapsot: 1 } as never), /unknown option: snapsot/],
    ['gt and gte', store => store.entries({ gt: 'a', gte: 'b' }), /gt and gte exclude each other/],
    ['lt and lte', store => store.keys({ lt: 'a', lte: 'b' }), /lt and lte exclude each other/],
    ['prefix and gt', store => store.keys({ prefix: 'a', gt: 'b' }), /prefix and gt/],
    ['negative limit', store => store.values({ limit: -1 }), /limit must be a non-negative integer, got -1/],
    ['reverse', store => store.values({ reverse: 1 as never }), /reverse must be true or false/],
    ['snapshot', store => store.get('a', { snapshot: {} as never }), /snapshot must be a snapshot/],
    ['keys of getMany', store => store.getMany('a' as never), /keys must be an array/],
    ['count of nextBatch', store => store.iterator().nextBatch(0), /count must be a positive integer/],
  ]
  test.each(wrongReads)('%s', async (_name, call, message) => {
    await withDatabase(20, async db => {
      expect(() => call(db.store('s'))).toThrow(message)
    })
  })

  const wrongWrites: [string, (store: Store<unknown>) => Promise<unknown>, RegExp][] = [
    ['undefined value', store => store.put('a', undefined), /value must not be undefined/],
    ['durability', store => store.put('a', 1, { durability: 'fsync' as never }), /durability must be/],
    ['ttlMs', store => store.put('a', 1, { ttlMs: -5 }), /ttlMs must be positive, got -5/],
    ['ttlMs that is no number', store => store.put('a', 1, { ttlMs: Number.NaN }), /ttlMs must be positive, got NaN/],
    ['ttlMs that is false', store => store.put('a', 1, { ttlMs: false as never }), /ttlMs must be positive, got false/],
    ['ttlMs and expiresAt', store => store.put('a', 1, { ttlMs: 5, expiresAt: 5 }), /exclude each other/],
    ['operations', store => store.batch({} as never), /operations must be an array/],
    ['type of an operation', store => store.batch([{ type: 'set' } as never]), /type must be 'put', 'del' or 'delRange', got set/],
    ['store of an operation', store => store.batch([{ type: 'del', key: 'a', store: {} as never }]), /store must be a store/],
    ['limit of delRange', store => store.delRange({ limit: 1 }), /limit has no meaning for delRange/],
  ]
  test.each(wrongWrites)('%s writes nothing', async (_name, call, message) => {
    await withDatabase(21, async db => {
      const store = db.store<unknown>('s')
      await expect(call(store)).rejects.toThrow(message)
      await expect(
        store.batch([
          { type: 'put', key: 'a', value: 1 },
          { type: 'put', key: 'b', value: undefined },
        ]),
      ).rejects.toThrow(TypeError)
      expect(store.count()).toBe(0)
    })
  })

  test('names and options of stores', async () => {
    await withDatabase(22, async db => {
      expect(() => db.store('')).toThrow(/name must not be empty/)
      expect(() => db.store(5 as never)).toThrow(/name must be a string/)
      expect(() => db.store('s', { kyes: 'string' } as never)).toThrow(/unknown option: kyes/)
      expect(() => db.store('s', { keys: 'text' as never })).toThrow(/keys must be 'tuple' or 'string' or 'bytes', got text/)
      expect(() => db.store('s', { value: 'xml' as never })).toThrow(/value must be/)
      await db.close()
      expect(() => db.store('s')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    })
  })
})

test('after a poison reads fall back to what is durable', async () => {
  await withDatabase(30, async (db, environment) => {
    const store = db.store<string, string>('s')
    await store.put('a', 'durable')
    void store.put('a', 'lost', { durability: 'none' })
    expect(store.get('a')).toBe('lost')
    environment.disk.addFault({ path: 'commit-', kinds: ['write'], code: 'EIO', times: 1 })
    await expect(store.put('b', 'x')).rejects.toMatchObject({ code: 'POISONED' })
    expect([store.get('a'), store.get('b'), [...store]]).toEqual(['durable', undefined, [['a', 'durable']]])
  })
})
