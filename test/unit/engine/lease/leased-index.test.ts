/**
 * Goal: indexes of a store in a lease, and reads that do not block, answer as the store's own did when the lease was taken, whatever is written, flushed,
 * merged or dropped meanwhile; their files stay until the release. Simulated environment: one thread plays owner and workers.
 */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { type OpenedLease, openLease } from '../../../../engine/lease/open-lease.ts'
import type { StoreKey } from '../../../../engine/store/key-codec.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

interface Item {
  readonly c?: string
  readonly t?: readonly number[]
}

/** What both a store and a leased store can be asked. */
interface Indexed {
  index(name: string): {
    get(value: StoreKey): unknown
    getAll(value: StoreKey): unknown[]
    keys(range?: object): Iterable<unknown>
    entries(range?: object): Iterable<unknown> & { seek(value: StoreKey): void; nextBatch(count?: number): unknown[] }
    count(range?: object): number
  }
}

const indexes = { c: 'c', t: { path: 't', multi: true } } as const

/** Answers of all queries. */
function ask(store: Indexed): unknown[] {
  const answers: unknown[] = []
  for (const c of ['', 'a', 'b', 'c'])
    answers.push(store.index('c').get(c), store.index('c').getAll(c), [...store.index('c').keys({ prefix: c })])
  const walk = store.index('t').entries({ reverse: true })
  walk.seek(3)
  answers.push(walk.nextBatch(5), [...walk])
  answers.push([...store.index('t').entries()], [...store.index('t').entries({ gt: 1, lte: 3, reverse: true, limit: 4 })])
  answers.push(store.index('t').count({ gte: 2 }), store.index('c').count({ gt: 'b', lt: 'a' }))
  return structuredClone(answers)
}

test.each([1, 2])('seed %i', async seed => {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const random = new SimRandom(seed)
    const db = await openSim(environment, { ownSegmentBytes: 1 })
    const store = db.store<Item, string>('s', { indexes })
    const held: { readonly lease: OpenedLease; readonly answers: unknown[]; readonly byKey: unknown[] }[] = []
    const keys = Array.from({ length: 25 }, (_, i) => `k${i}`)
    for (let step = 0; step < 120; step++) {
      const what = random.below(20)
      const key = `k${random.below(25)}`
      if (what < 12) {
        const expiry = random.chance(0.2) ? { ttlMs: 1 + random.below(2000) } : {}
        const value = { c: 'abc'.slice(0, random.below(4)), t: Array.from({ length: random.below(4) }, () => random.below(5)) }
        await store.put(key, value, expiry)
      } else if (what < 14) await store.del(key)
      else if (what === 14) await store.delRange({ gte: key, lt: `${key}9` })
      else if (what === 15) await db.seal()
      else if (what === 16) await store.compact()
      else if (what === 17) await new Promise<void>(resolve => environment.timers.after(random.below(1000), resolve))
      if (step % 15 === 14) {
        const owned = db.lease({ stores: ['s'] })
        const answers = ask(store)
        const lease = await openLease(structuredClone(owned.share()), environment.files)
        owned.release()
        held.push({ lease, answers, byKey: store.getMany(keys) })
      }
    }
    await db.seal()
    await store.dropIndex('t')
    await db.dropStore('s')
    await db.flush()
    for (const { lease, answers, byKey } of held) {
      const leased = lease.store<Item, string>('s', { cacheBytes: 64 * 1024 })
      expect(leased.indexNames()).toEqual(['c', 't'])
      expect([leased.index('c').isReady, leased.index('c').name]).toEqual([true, 'c'])
      expect(ask(leased)).toEqual(answers)
      expect(await Promise.all(keys.map(each => leased.getAsync(each)))).toEqual(byKey)
      expect(await Promise.all(keys.map(each => leased.hasAsync(each)))).toEqual(byKey.map(value => value !== undefined))
      lease.release()
      expect(() => leased.index('c')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    }
    expect(held.length).toBe(8)
    await db.close()
  })
})

test('indexes of a store that nobody has opened since the database was are leased with their tails and runs', async () => {
  const environment = newEnvironment(8)
  await environment.drive(async () => {
    const first = await openSim(environment)
    const store = first.store<Item, string>('s', { indexes })
    await store.put('a', { c: 'x', t: [1, 3] })
    await first.seal()
    await store.put('b', { c: 'x', t: [2] })
    await first.close()
    const db = await openSim(environment)
    const owned = db.lease()
    const lease = await openLease(structuredClone(owned.share()), environment.files)
    // Looking at them has not opened them in the owner.
    const opened = db.store<Item, string>('s')
    const answers = ask(opened)
    expect(answers.flat()).toContain('b')
    await opened.put('c', { c: 'x', t: [4] })
    expect(ask(lease.store('s'))).toEqual(answers)
    expect(opened.index('c').count()).toBe(3)
    lease.release()
    owned.release()
    await db.close()
  })
})

test('an index that is being built is NOT_READY in the lease; unknown names and wrong ranges have their errors', async () => {
  const environment = newEnvironment(9)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await db.store<Item, string>('s').put('k', { c: 'x' })
    const store = db.store<Item, string>('s', { indexes })
    const owned = db.lease({ stores: ['s'] })
    const early = await openLease(owned.share(), environment.files)
    await store.ready()
    const late = await openLease(db.lease({ stores: ['s'] }).share(), environment.files)
    const index = early.store<Item, string>('s').index('c')
    expect(index.isReady).toBe(false)
    const notReady = expect.objectContaining({ code: 'NOT_READY' })
    expect(() => index.get('x')).toThrow(notReady)
    expect(() => index.keys()).toThrow(notReady)
    expect(() => index.count()).toThrow(notReady)
    expect(late.store<Item, string>('s').index('c').get('x')).toEqual({ c: 'x' })
    expect(() => late.store('s').index('none')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    expect(() => late.store('s').index(1 as never)).toThrow('name')
    expect(() =>
      late
        .store('s')
        .index('c')
        .get({} as never),
    ).toThrow('value must hold')
    expect(() =>
      late
        .store('s')
        .index('c')
        .keys({ snapshot: db.snapshot() } as never),
    ).toThrow('snapshot')
    const opened = late.store('s').index('c')
    const iterator = opened.keys()
    late.release()
    expect(() => iterator.nextBatch()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(() => opened.getAll('x')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    early.release()
    await db.close()
  })
})
