/**
 * Goal: each rule of transactions holds: what they read, what they write, when they commit, conflict, run again, and end.
 */
import { describe, expect, test } from 'vitest'
import type { Transaction } from '../../../../engine/store/transaction.ts'
import type { TransactionStore } from '../../../../engine/store/transaction-store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'
import { code, openMoments, passed, sequenceOf, withStores } from './transaction-support.ts'

describe('writing', () => {
  test('a synchronous body commits in the turn of the call, and resolves with its result', () =>
    withStores(async ({ db, store, other }) => {
      const done = db.transaction(tx => {
        const numbers = tx.store(store)
        numbers.put('a', (numbers.get('a') ?? 0) + 10)
        tx.store(other).put(1, 'one')
        numbers.del('b')
        expect(store.get('a')).toBe(0)
        return 'result'
      })
      expect([store.get('a'), store.has('b'), other.get(1)]).toEqual([10, false, 'one'])
      expect(await done).toBe('result')
    }))

  test('stores and logs are one commit, also after a crash', () =>
    withStores(async ({ db, store }, environment) => {
      await db.define([{ name: 'events', kind: 'topic' }])
      const log = db.log('events')
      await db.transaction(tx => {
        tx.store(store).put('x', 1)
        tx.log(log).appendRecords([{ value: 'x' }])
        tx.log(log).appendRecords([{ value: 'y' }, { value: 'z' }])
      })
      expect(log.endOffset).toBe(3)
      const before = sequenceOf(store)
      const failed = db.transaction(tx => {
        tx.store(store).put('x', 2)
        tx.log(log).appendRecords([{ value: 'w' }], { expectedOffset: 17 })
      })
      await expect(failed).rejects.toEqual(code('OFFSET_MISMATCH'))
      expect([store.get('x'), log.endOffset, sequenceOf(store)]).toEqual([1, 3, before])
      expect(environment.isAlive).toBe(true)
    }))

  test('writes in their order: a range delete takes what came before it and spares what came after it', () =>
    withStores(async ({ db, store }) => {
      await db.transaction(tx => {
        const numbers = tx.store(store)
        numbers.put('b1', 7)
        numbers.put('z', 8)
        numbers.delRange({ gte: 'b', lt: 'd' })
        numbers.put('c', 9)
        numbers.delRange({ gt: 'e' })
        expect([...numbers]).toEqual([
          ['a', 0],
          ['c', 9],
          ['d', 3],
          ['e', 4],
        ])
      })
      expect([...store.keys()]).toEqual(['a', 'c', 'd', 'e'])
      await db.transaction(tx => tx.store(store).delRange({}))
      expect(store.count()).toBe(0)
      await db.transaction(tx => tx.store(store).delRange({}))
    }))

  test('five thousand range deletes among ten thousand puts, with reads and an index in between', () =>
    withStores(async ({ db }) => {
      const store = db.store<{ n: number }, number>('many', { indexes: { n: 'n' } })
      await store.ready()
      const expected = new Map<number, number>()
      await db.transaction(tx => {
        const inside = tx.store(store)
        for (let i = 0; i < 10_000; i++) {
          inside.put(i, { n: i % 10 })
          expected.set(i, i % 10)
        }
        expect(inside.index('n').count({ gte: 3, lte: 3 })).toBe(1000)
        for (let i = 0; i < 5_000; i++) {
          const from = (i * 7919) % 10_000
          inside.delRange({ gte: from, lt: from + (i % 3) })
          for (let key = from; key < from + (i % 3); key++) expected.delete(key)
          if (i % 5 !== 0) continue
          inside.put(from, { n: 11 })
          expected.set(from, 11)
          if (inside.get(from)?.n !== 11 || inside.has(from + 1) !== expected.has(from + 1)) throw new Error(`key ${from} is wrong`)
        }
        expect(inside.index('n').count({ gte: 11, lte: 11 })).toBe([...expected.values()].filter(n => n === 11).length)
        expect([...inside.keys()]).toEqual([...expected.keys()].sort((a, b) => a - b))
      })
      expect([...store.entries()].map(([key, { n }]) => [key, n])).toEqual([...expected].sort(([a], [b]) => a - b))
      expect(store.index('n').count()).toBe(expected.size)
    }))

  test('keys, values and bounds are taken at the call', () =>
    withStores(async ({ db }) => {
      const objects = db.store<{ n: number }, (string | number)[]>('objects')
      await objects.batch([1, 2, 3].map(n => ({ type: 'put', key: ['k', n], value: { n } })))
      await db.transaction(tx => {
        const store = tx.store(objects)
        const key = ['x', 1]
        const value = { n: 1 }
        const from = ['k', 2]
        store.put(key, value)
        store.delRange({ gte: from })
        store.put(['x', 2], value)
        key[1] = 5
        value.n = 5
        from[1] = 0
        expect(store.get(['x', 2])).toEqual({ n: 1 })
      })
      expect([...objects.entries()]).toEqual([
        [['k', 1], { n: 1 }],
        [['x', 2], { n: 1 }],
      ])
    }))

  test('bytes are taken at the call, of keys, values and bounds', () =>
    withStores(async ({ db }) => {
      const blobs = db.store<Uint8Array, Uint8Array>('blobs', { keys: 'bytes', value: 'bytes' })
      await blobs.put(Buffer.of(1), Buffer.of(1))
      await db.transaction(tx => {
        const store = tx.store(blobs)
        const bytes = Buffer.of(1)
        store.delRange({ gte: bytes, lte: bytes })
        bytes[0] = 2
        store.put(bytes, bytes)
        bytes[0] = 3
        expect(store.get(Buffer.of(2))).toEqual(Uint8Array.of(2))
      })
      expect([...blobs]).toEqual([[Uint8Array.of(2), Uint8Array.of(2)]])
    }))

  test('what the body throws rejects, and nothing is written', () =>
    withStores(async ({ db, store }) => {
      const fail = (tx: Transaction): never => {
        tx.store(store).put('a', 99)
        throw new Error('mine')
      }
      await expect(db.transaction(fail)).rejects.toThrow('mine')
      await expect(db.transaction(async tx => fail(tx))).rejects.toThrow('mine')
      expect(store.get('a')).toBe(0)
    }))

  test('abort writes nothing, ends the transaction and resolves with what the body returns', () =>
    withStores(async ({ db, store }) => {
      for (const isAsync of [false, true]) {
        const before = sequenceOf(store)
        const answer = await db.transaction(tx => {
          const numbers = tx.store(store)
          numbers.put('a', 99)
          tx.abort()
          expect(() => numbers.get('a')).toThrow(code('CLOSED') as Error)
          return isAsync ? Promise.resolve('no') : 'no'
        })
        expect(answer).toBe('no')
        expect(await db.transaction(tx => tx.abort())).toBeUndefined()
        expect([store.get('a'), sequenceOf(store)]).toEqual([0, before])
      }
    }))

  test('entries expire: from the put on, by ttlMs, expiresAt or the option of the store', () =>
    withStores(async ({ db, store }, environment) => {
      const short = db.store<number, string>('short', { ttlMs: 50 })
      const now = environment.clock.now()
      await db.transaction(tx => {
        tx.store(store).put('x', 1, { ttlMs: 100 })
        tx.store(store).put('y', 1, { expiresAt: Math.ceil(now + 200) })
        tx.store(store).put('gone', 1, { expiresAt: 1 })
        tx.store(short).put('z', 1)
        expect([tx.store(store).get('x'), tx.store(store).has('gone'), tx.store(store).count({ gte: 'g' })]).toEqual([1, false, 2])
      })
      expect([store.has('x'), store.has('y'), short.has('z')]).toEqual([true, true, true])
      await passed(environment, 60)
      expect([store.has('x'), store.has('y'), short.has('z')]).toEqual([true, true, false])
      await passed(environment, 60)
      expect([store.has('x'), store.has('y')]).toEqual([false, true])
      await passed(environment, 100)
      expect(store.has('y')).toBe(false)
    }))
})

describe('reading', () => {
  test('ranges show own writes in both directions, with limits, prefixes, batches and seeks', () =>
    withStores(async ({ db, store }) => {
      await db.transaction(tx => {
        const numbers = tx.store(store)
        numbers.put('b', 10)
        numbers.put('bb', 11)
        numbers.del('d')
        numbers.put('g', 12)
        const all = ['a', 'b', 'bb', 'c', 'e', 'f', 'g']
        expect([...numbers.keys()]).toEqual(all)
        expect([...numbers.keys({ reverse: true })]).toEqual([...all].reverse())
        expect([...numbers.values({ gte: 'b', lt: 'd' })]).toEqual([10, 11, 2])
        expect([...numbers.keys({ limit: 3 })]).toEqual(['a', 'b', 'bb'])
        expect([...numbers.keys({ limit: 2, reverse: true, lte: 'f' })]).toEqual(['f', 'e'])
        expect([...numbers.keys({ prefix: 'b' })]).toEqual(['b', 'bb'])
        expect(numbers.count()).toBe(7)
        expect(numbers.count({ limit: 4 })).toBe(4)
        expect([...numbers.keys({ gt: 'c', lt: 'c' })]).toEqual([])
        expect(numbers.getMany(['b', 'd', 'e'])).toEqual([10, undefined, 4])
        const iterator = numbers.iterator()
        expect(iterator.nextBatch(2)).toEqual([
          ['a', 0],
          ['b', 10],
        ])
        iterator.seek('d')
        expect(iterator.next().value).toEqual(['e', 4])
        iterator.seek('a')
        expect(iterator.next().value).toEqual(['a', 0])
        iterator.close()
        const back = numbers.iterator({ reverse: true, lt: 'g' })
        back.seek('bz')
        expect(back.nextBatch(1)).toEqual([['bb', 11]])
        back.seek('zz')
        expect(back.nextBatch(1)).toEqual([['f', 5]])
        expect(() => iterator.nextBatch()).toThrow(code('CLOSED') as Error)
      })
    }))

  test('a walk shows the writes before it, not those made during it', () =>
    withStores(async ({ db, store }) => {
      await db.transaction(tx => {
        const numbers = tx.store(store)
        for (const [key, n] of numbers) {
          numbers.put(`${key}x`, n)
          numbers.put(key, n + 100)
          numbers.delRange({ gte: 'e', lt: 'ex' })
        }
      })
      expect([...store.keys()]).toEqual(['a', 'ax', 'b', 'bx', 'c', 'cx', 'd', 'dx', 'ex', 'f', 'fx'])
    }))

  test('one moment for all stores, that of the first read, over later commits and flushes', () =>
    withStores(async ({ db, store, other }) => {
      await db.transaction(async tx => {
        const [numbers, texts] = [tx.store(store), tx.store(other)]
        await store.put('a', 1)
        expect(numbers.get('a')).toBe(1)
        const early = numbers.iterator()
        expect(early.nextBatch(2)).toHaveLength(2)
        await db.transaction(inner => {
          inner.store(store).delRange({ gte: 'b' })
          inner.store(other).put(1, 'late')
        })
        await db.seal()
        await db.compactLog('store/numbers')
        expect(numbers.get('b')).toBe(1)
        expect(texts.get(1)).toBeUndefined()
        expect(numbers.count()).toBe(6)
        expect(early.nextBatch()).toEqual([
          ['c', 2],
          ['d', 3],
          ['e', 4],
          ['f', 5],
        ])
      })
    }))

  test('a peeked entry is looked up anew when the memory under it was used again, with own writes beside it', () =>
    withStores(async ({ db, store, other }) => {
      const fill = async (): Promise<void> => {
        for (let i = 0; i < 60; i++) {
          const rows = Array.from({ length: 8 }, (_, key) => ({ type: 'put', key, value: 'x'.repeat(200) }) as const)
          await other.batch(rows, { durability: 'buffered' })
        }
        await db.seal()
      }
      const all = ['a', 'ab', 'b', 'c', 'd', 'e', 'ez', 'f']
      for (const reverse of [false, true]) {
        // Until the files have their full size, from which on their memory is used again.
        await fill()
        await store.batch(['a', 'b', 'c', 'd', 'e', 'f'].map((key, i) => ({ type: 'put', key, value: i })))
        await db.transaction(async tx => {
          const numbers = tx.store(store)
          numbers.put('ab', 1)
          numbers.put('ez', 2)
          const iterator = numbers.keys({ reverse })
          const seen = [iterator.next().value, iterator.next().value]
          await fill()
          expect([...seen, ...iterator]).toEqual(reverse ? [...all].reverse() : all)
          tx.abort()
        })
      }
    }))
})

describe('ending', () => {
  test('everything of a transaction that has ended is CLOSED', () =>
    withStores(async ({ db, store }) => {
      await db.define([{ name: 'events', kind: 'topic' }])
      for (const isAsync of [false, true]) {
        let kept: [Transaction, TransactionStore<number, string>, Iterator<string>, { appendRecords(records: []): void }] | undefined
        await db.transaction(tx => {
          const numbers = tx.store(store)
          const keys = numbers.keys()
          keys.next()
          numbers.put('a', 1)
          kept = [tx, numbers, keys, tx.log(db.log('events')) as { appendRecords(records: []): void }]
          return isAsync ? Promise.resolve() : undefined
        })
        const [tx, numbers, keys, log] = kept as NonNullable<typeof kept>
        const uses = [
          () => tx.store(store),
          () => tx.log(db.log('events')),
          () => tx.abort(),
          () => log.appendRecords([]),
          () => numbers.get('a'),
          () => numbers.has('a'),
          () => numbers.getMany(['a']),
          () => numbers.put('a', 1),
          () => numbers.del('a'),
          () => numbers.delRange({}),
          () => numbers.entries(),
          () => numbers.count(),
          () => keys.next(),
        ]
        for (const use of uses) expect(use).toThrow(code('CLOSED') as Error)
      }
    }))

  test('the moment is given back, however a transaction ends', () =>
    withStores(async ({ db, store }) => {
      await db.transaction(tx => tx.store(store).put('a', tx.store(store).count()))
      await db.transaction(tx => tx.store(store).count())
      await db.transaction(tx => {
        tx.store(store).count()
        tx.abort()
      })
      await db.transaction(async tx => tx.store(store).count())
      await db
        .transaction(tx => {
          throw new Error(String(tx.store(store).count()))
        })
        .catch(() => undefined)
      await db
        .transaction(
          async tx => {
            tx.store(store).put('x', tx.store(store).count())
            await store.put('a', 1)
          },
          { retries: 3 },
        )
        .catch(() => undefined)
      expect(openMoments(store)).toBe(0)
    }))

  test('a signal ends an async body with its reason, and nothing is written', () =>
    withStores(async ({ db, store }, environment) => {
      const controller = new AbortController()
      const reason = new Error('enough')
      let late: unknown
      const body = async (tx: Transaction): Promise<void> => {
        tx.store(store).put('a', 99)
        await passed(environment, 10)
        try {
          tx.store(store).put('a', 100)
        } catch (error) {
          late = error
        }
      }
      const ended = db.transaction(body, { signal: controller.signal })
      controller.abort(reason)
      await expect(ended).rejects.toBe(reason)
      await passed(environment, 20)
      expect(late).toEqual(code('CLOSED'))
      await expect(db.transaction(() => 1, { signal: controller.signal })).rejects.toBe(reason)
      expect([store.get('a'), openMoments(store)]).toEqual([0, 0])
      const live = new AbortController()
      expect(await db.transaction(async () => 5, { signal: live.signal })).toBe(5)
      await expect(
        db.transaction(
          async () => {
            throw new Error('mine')
          },
          { signal: live.signal },
        ),
      ).rejects.toThrow('mine')
    }))

  test('a store dropped or a database closed meanwhile ends it', () =>
    withStores(async ({ db, store, other }) => {
      const dropped = db.transaction(async tx => {
        tx.store(other).put(1, 'x')
        await db.dropStore('texts')
      })
      await expect(dropped).rejects.toEqual(code('NOT_FOUND'))
      const closed = db.transaction(async tx => {
        tx.store(store).put('a', 1)
        await db.close()
      })
      await expect(closed).rejects.toEqual(code('CLOSED'))
      await expect(db.transaction(() => 1)).rejects.toEqual(code('CLOSED'))
    }))

  test('the durability word is that of the commit', () =>
    withStores(async ({ db, store }, environment) => {
      let syncs = 0
      environment.disk.onOperation(() => {
        syncs++
      })
      await db.transaction(tx => tx.store(store).put('a', 1), { durability: 'none' })
      expect(syncs).toBe(0)
      await db.transaction(tx => tx.store(store).put('a', 2), { durability: 'sync' })
      expect(syncs).toBeGreaterThan(0)
    }))
})

describe('bad input', () => {
  test('is refused by name', () =>
    withStores(async ({ db, store }) => {
      const refused = async (run: (tx: Transaction) => void, error: string | RegExp): Promise<void> => {
        await expect(db.transaction(run)).rejects.toThrow(error)
      }
      await expect(db.transaction(7 as never)).rejects.toThrow('body must be a function')
      await expect(db.transaction(() => 1, { retries: -1 })).rejects.toThrow('retries must be')
      await expect(db.transaction(() => 1, { retry: 1 } as never)).rejects.toThrow('unknown option: retry')
      await expect(db.transaction(() => 1, { durability: 'x' as never })).rejects.toThrow('durability must be')
      await expect(db.transaction(() => 1, { signal: {} as never })).rejects.toThrow('signal must be')
      await refused(tx => void tx.store({} as never), 'store must be a store of this database')
      await refused(tx => void tx.log({} as never), 'log must be a log of this database')
      await refused(tx => void tx.log(db.log('store/numbers')), 'log must be a topic log')
      await refused(tx => tx.store(store).put('a', undefined as never), 'value must not be undefined')
      await refused(tx => tx.store(store).put('a', 1, { ttlMs: -1 }), 'ttlMs must be positive')
      await refused(tx => tx.store(store).put('a', 1, { durability: 'sync' } as never), 'durability is an option of the transaction')
      await refused(tx => void tx.store(store).get(Number.NaN as never), 'key')
      await refused(tx => void tx.store(store).entries({ snapshot: db.snapshot() } as never), 'snapshot has no meaning')
      await refused(tx => void tx.store(store).entries({ gt: 'a', gte: 'b' }), 'gt and gte exclude each other')
      await refused(tx => tx.store(store).delRange({ limit: 1 }), 'limit has no meaning')
      await refused(tx => void tx.store(store).getMany('a' as never), 'keys must be an array')
      await refused(tx => void tx.store(store).iterator().nextBatch(0), 'count must be')
    }))

  test('transactions do not nest, and a later one in an async body is one of its own', () =>
    withStores(async ({ db, store }) => {
      await expect(db.transaction(() => db.transaction(() => 1))).rejects.toThrow(TypeError)
      await db.transaction(async tx => {
        await null
        await db.transaction(inner => inner.store(store).put('a', 5))
        tx.store(store).put('b', tx.store(store).get('a') as number)
      })
      expect(store.get('b')).toBe(5)
    }))

  test('a store of another database is refused', () =>
    withStores(async ({ db }) => {
      const environment = newEnvironment(2)
      const foreign = await environment.drive(async () => (await openSim(environment)).store('numbers'))
      await expect(db.transaction(tx => void tx.store(foreign))).rejects.toThrow('store must be a store of this database')
    }))
})
