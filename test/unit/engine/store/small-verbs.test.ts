/**
 * Goal: small promises of stores, each by name: the positions of a feed, the time of the sweeper, long lists of range deletes on an indexed store, a `ttlMs`
 * that was refused, the moment of an iterator that has given everything.
 */
import { expect, test, vi } from 'vitest'
import { VarveError } from '../../../../engine/errors.ts'
import { resolveOptions } from '../../../../engine/options.ts'
import type { BatchOperation } from '../../../../engine/store/store.ts'
import { coreOf } from '../../../../engine/store/store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

type Environment = ReturnType<typeof newEnvironment>
type Db = Awaited<ReturnType<typeof openSim>>

function withDatabase(
  body: (db: Db, environment: Environment) => Promise<void>,
  options: Parameters<typeof openSim>[1] = {},
): Promise<void> {
  const environment = newEnvironment(1)
  return environment.drive(async () => {
    const db = await openSim(environment, options)
    await body(db, environment)
    await db.close()
  })
}

test('changePositions tells what is kept and how far a consumer is behind', () =>
  withDatabase(async db => {
    const store = db.store<number, string>('s', { changes: true })
    expect(store.changePositions()).toEqual({ earliest: 0, latest: 0 })
    for (let i = 0; i < 5; i++) await store.put(`k${i}`, i)
    const { position } = store.readChanges('start', { limit: 2 })
    const { earliest, latest } = store.changePositions()
    expect([earliest, latest - position]).toEqual([0, 3])
    await store.trimChanges(position)
    expect(store.changePositions()).toEqual({ earliest: position, latest })
    expect(store.readChanges(latest).changes).toEqual([])
    expect(() => db.store('plain').changePositions()).toThrow('changes')
  }))

test('expirySweepMs says how often expired entries are deleted', () =>
  withDatabase(
    async (db, environment) => {
      const store = db.store<number, string>('s')
      await store.put('a', 1, { ttlMs: 50 })
      await new Promise<void>(resolve => environment.timers.after(160, resolve))
      expect(coreOf(store).log.endOffset).toBe(2)
    },
    { expirySweepMs: 100 },
  ))

test.each([
  [0, RangeError],
  [1.5, RangeError],
  [2 ** 31, RangeError],
  ['1', TypeError],
])('expirySweepMs %s is refused', (expirySweepMs, kind) => {
  expect(() => resolveOptions({ expirySweepMs: expirySweepMs as number })).toThrow(kind)
})

test('a commit whose arena a memtable could not address is refused by the option', () => {
  expect(() => resolveOptions({ commitBytesMax: 2 ** 30 })).toThrow(/commitBytesMax/)
  expect(resolveOptions({}).commitBytesMax).toBeLessThan(2 ** 30 - 512)
})

test('ten thousand range deletes and puts in one batch of an indexed store take no longer than their number', () =>
  withDatabase(async db => {
    const store = db.store<{ c: number }, number>('s', { indexes: { c: 'c' } })
    await store.batch(Array.from({ length: 2000 }, (_, key) => ({ type: 'put', key: key * 10, value: { c: 1 } }) as const))
    const operations: BatchOperation<{ c: number }, number>[] = []
    for (let i = 0; i < 10_000; i++) {
      operations.push({ type: 'put', key: i * 2, value: { c: 2 } })
      // Each overlaps thousands of others; the last ones end before 15,000.
      operations.push({ type: 'delRange', range: { gte: i / 2, lt: 10_000 + i / 2 } })
    }
    await store.batch(operations)
    const expected = Array.from({ length: 10_000 }, (_, i) => i * 2).filter(key => {
      for (let i = key / 2; i < 10_000; i++) if (key >= i / 2 && key < 10_000 + i / 2) return false
      return true
    })
    expect([...store.keys()]).toEqual(expected)
    expect([...store.index('c').keys()]).toEqual(expected)
  }))

test('a redefinition that was refused changes no ttlMs', () =>
  withDatabase(async (db, environment) => {
    const store = db.store<number, string>('s', { ttlMs: 60_000 })
    await store.ready()
    const host = coreOf(store).host as unknown as { redefine(): Promise<unknown> }
    const refusal = new VarveError('NO_SPACE', 'no room for the edit')
    const spy = vi.spyOn(host, 'redefine').mockRejectedValue(refusal)
    await expect(db.store('s', { ttlMs: 5, history: { retentionMs: 10 } }).ready()).rejects.toBe(refusal)
    spy.mockRestore()
    await store.put('a', 1)
    await new Promise<void>(resolve => environment.timers.after(1000, resolve))
    expect(store.has('a')).toBe(true)
    expect(() => store.asOf(1)).toThrow('history')
    const again = db.store<number, string>('s', { ttlMs: 5 })
    await again.put('b', 1)
    await new Promise<void>(resolve => environment.timers.after(10, resolve))
    expect([again.has('b'), store.has('a')]).toEqual([false, true])
  }))

test('an iterator that nextBatch has emptied gives its moment back at once', () =>
  withDatabase(async db => {
    const store = db.store<number, string>('s')
    await store.batch(['a', 'b', 'c'].map((key, i) => ({ type: 'put', key, value: i }) as const))
    const { snapshots } = coreOf(store).host
    const closed = expect.objectContaining({ code: 'CLOSED' })
    const short = store.entries()
    expect([short.nextBatch(2).length, snapshots.count]).toEqual([2, 1])
    expect([short.nextBatch(2).length, snapshots.count]).toEqual([1, 0])
    expect([short.nextBatch(), short.next()]).toEqual([[], { done: true, value: undefined }])
    expect(() => short.seek('a')).toThrow(closed)
    short.close()
    expect(() => short.nextBatch()).toThrow(closed)
    const limited = store.keys({ limit: 2 })
    expect([limited.nextBatch(2), snapshots.count]).toEqual([['a', 'b'], 0])
    const mixed = store.keys()
    mixed.next()
    expect([mixed.nextBatch(5), snapshots.count]).toEqual([['b', 'c'], 0])
    // A moment of the caller's stays his, so the iterator may go back.
    using snapshot = db.snapshot()
    const given = store.keys({ snapshot })
    expect(given.nextBatch()).toEqual(['a', 'b', 'c'])
    given.seek('c')
    expect(given.nextBatch()).toEqual(['c'])
  }))
