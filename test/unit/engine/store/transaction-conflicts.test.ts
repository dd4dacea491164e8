/**
 * Goal: a transaction conflicts exactly when something it has read was written since its moment, and is run again then.
 */
import { describe, expect, test } from 'vitest'
import { findConflict } from '../../../../engine/store/conflict-check.ts'
import { ReadSet } from '../../../../engine/store/read-set.ts'
import { coreOf } from '../../../../engine/store/store.ts'
import type { Transaction } from '../../../../engine/store/transaction.ts'
import type { TransactionStore } from '../../../../engine/store/transaction-store.ts'
import { code, type Given, passed, withStores } from './transaction-support.ts'

describe('conflicts', () => {
  /** Runs `read` in a transaction that also writes, lets `write` commit in between once, and says how often the body ran. */
  async function runsOf(
    { db, store }: Given,
    read: (numbers: TransactionStore<number, string>, tx: Transaction) => void,
    write: () => unknown,
    seal = false,
  ): Promise<number> {
    let runs = 0
    await db.transaction(async tx => {
      runs++
      read(tx.store(store), tx)
      if (runs === 1) {
        await null // behind this `write` may begin a transaction
        await write()
        if (seal) await db.seal()
      }
      tx.store(store).put('result', runs)
    })
    expect(store.get('result')).toBe(runs)
    return runs
  }

  test.each([false, true])('points: what was read and written meanwhile (sealed: %s)', seal =>
    withStores(async given => {
      const { store, other, db } = given
      const get = (numbers: TransactionStore<number, string>): unknown => numbers.get('b')
      expect(await runsOf(given, get, () => store.put('b', 1), seal)).toBe(2)
      expect(await runsOf(given, get, () => store.del('b'), seal)).toBe(2)
      expect(await runsOf(given, get, () => store.delRange({ gte: 'a', lt: 'c' }), seal)).toBe(2)
      expect(await runsOf(given, get, () => store.put('c', 1), seal)).toBe(1)
      expect(await runsOf(given, get, () => other.put(1, 'x'), seal)).toBe(1)
      expect(
        await runsOf(
          given,
          numbers => numbers.has('new'),
          () => store.put('new', 1),
          seal,
        ),
      ).toBe(2)
      const both = (numbers: TransactionStore<number, string>, tx: Transaction): unknown => [numbers.get('a'), tx.store(other).get(7)]
      expect(await runsOf(given, both, () => db.transaction(tx => tx.store(other).put(7, 'x')), seal)).toBe(2)
    }),
  )

  test.each([false, true])('ranges: exactly the part that was walked over (sealed: %s)', seal =>
    withStores(async given => {
      const { store } = given
      const take =
        (count: number, range = {}): ((numbers: TransactionStore<number, string>) => void) =>
        numbers => {
          const iterator = numbers.keys(range)
          for (let i = 0; i < count; i++) iterator.next()
        }
      const put = (key: string) => () => store.put(key, 1)
      expect(await runsOf(given, take(2), put('aa'), seal)).toBe(2)
      await store.del('aa')
      expect(await runsOf(given, take(2), put('b'), seal)).toBe(2)
      expect(await runsOf(given, take(2), put('bb'), seal)).toBe(1)
      expect(await runsOf(given, take(0), put('a'), seal)).toBe(1)
      expect(await runsOf(given, take(2, { limit: 2 }), put('bc'), seal)).toBe(1)
      expect(await runsOf(given, take(9, { lt: 'b' }), put('az'), seal)).toBe(2)
      expect(await runsOf(given, take(9, { lt: 'b' }), put('b'), seal)).toBe(1)
      expect(await runsOf(given, take(9, { prefix: 'nothing' }), put('nothing at all'), seal)).toBe(2)
      expect(await runsOf(given, take(1, { reverse: true, lte: 'f' }), put('ee'), seal)).toBe(1)
      expect(await runsOf(given, take(2, { reverse: true, lte: 'f' }), put('f'), seal)).toBe(2)
      expect(await runsOf(given, take(1, { reverse: true, lt: 'e' }), put('dz'), seal)).toBe(2)
      expect(
        await runsOf(
          given,
          numbers => numbers.count({ gte: 'c', lt: 'd' }),
          () => store.delRange({ gte: 'bx', lt: 'cx' }),
          seal,
        ),
      ).toBe(2)
      expect(
        await runsOf(
          given,
          numbers => numbers.count({ gte: 'c', lt: 'd' }),
          () => store.delRange({ gte: 'd' }),
          seal,
        ),
      ).toBe(1)
      const jump = (numbers: TransactionStore<number, string>): void => {
        const iterator = numbers.iterator()
        iterator.next()
        iterator.seek('e')
        iterator.next()
      }
      expect(await runsOf(given, jump, put('d'), seal)).toBe(1)
      expect(await runsOf(given, jump, put('e'), seal)).toBe(2)
    }),
  )

  test('what is new in a range is found newest first and in order alike', () =>
    withStores(async ({ db, store }) => {
      const core = coreOf(store)
      const before = core.host.visibleSequence - 1
      for (let i = 0; i < 20; i++) await store.put(`x${i}`, i)
      await store.put('cc', 1)
      for (let i = 0; i < 20; i++) await store.put(`y${i}`, i)
      const bytes = (key: string): Uint8Array => core.keyBytes(key)
      for (const isSealed of [false, true]) {
        for (const walkMax of [0, 1, 30, 100]) {
          const conflictIn = (from: string, to: string): string | undefined => {
            const reads = new ReadSet()
            reads.addScan(bytes('a'), bytes('b'), false).finish()
            reads.addScan(bytes(from), bytes(to), false).finish()
            const conflict = findConflict(core.table, reads, before, walkMax)
            return conflict?.key === undefined ? undefined : (core.keys.decode(conflict.key, 0, conflict.key.length) as string)
          }
          expect(conflictIn('c', 'd')).toBe('cc')
          expect(conflictIn('cc', 'ccc')).toBe('cc')
          expect(conflictIn('ccc', 'd')).toBeUndefined()
          expect(conflictIn('c', 'cc')).toBeUndefined()
          expect(conflictIn('y0', 'y1')).toBe('y0')
        }
        if (!isSealed) await db.seal()
      }
    }))

  test('blind writes, own writes and reads alone do not conflict', () =>
    withStores(async given => {
      const { db, store } = given
      const blind = (numbers: TransactionStore<number, string>): void => {
        numbers.put('a', 1)
        numbers.del('b')
        numbers.delRange({ gte: 'c', lt: 'e' })
        expect([numbers.get('a'), numbers.has('b'), numbers.get('c')]).toEqual([1, false, undefined])
      }
      const write = async (): Promise<void> => {
        for (const key of ['a', 'b', 'c', 'cc']) await store.put(key, 5)
      }
      expect(await runsOf(given, blind, write)).toBe(1)
      expect([...store.keys({ lt: 'g' })]).toEqual(['a', 'e', 'f'])
      let runs = 0
      const sum = await db.transaction(async tx => {
        runs++
        const before = tx.store(store).get('a')
        await store.put('a', 50)
        return [before, tx.store(store).get('a')]
      })
      expect([runs, sum]).toEqual([1, [1, 1]])
    }))

  test('an entry that expires while the body runs is no conflict, and is seen until the end', () =>
    withStores(async (given, environment) => {
      await given.store.put('x', 1, { ttlMs: 10 })
      const runs = await runsOf(
        given,
        numbers => expect(numbers.get('x')).toBe(1),
        () => passed(environment, 20),
      )
      expect([runs, given.store.has('x')]).toEqual([1, false])
    }))

  test('CONFLICT names store and key after `retries` more runs', () =>
    withStores(async ({ db, store }) => {
      for (const retries of [undefined, 2, 0]) {
        let runs = 0
        const failed = db.transaction(
          async tx => {
            tx.store(store).put('out', (tx.store(store).get('b') ?? 0) + 1)
            await store.put('b', runs++)
          },
          { retries },
        )
        await expect(failed).rejects.toMatchObject({ code: 'CONFLICT', details: { store: 'numbers', key: 'b' } })
        expect(runs).toBe((retries ?? 5) + 1)
        expect(store.has('out')).toBe(false)
      }
      const range = db.transaction(
        async tx => {
          tx.store(store).put('out', tx.store(store).count())
          await store.delRange({ gte: 'a' })
        },
        { retries: 0 },
      )
      await expect(range).rejects.toMatchObject({ code: 'CONFLICT', details: { store: 'numbers' } })
    }))

  test('a synchronous body conflicts with what it writes beside its transaction, and is not run again', () =>
    withStores(async ({ db, store }) => {
      let runs = 0
      const failed = db.transaction(tx => {
        runs++
        tx.store(store).put('out', tx.store(store).get('a') as number)
        void store.put('a', 7)
      })
      await expect(failed).rejects.toEqual(code('CONFLICT'))
      expect([runs, store.has('out'), store.get('a')]).toEqual([1, false, 7])
    }))
})
