/** Goal: which moments of a store can be read by `asOf`, what compaction keeps for them and drops after them, and what is refused, each rule by name. */
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { OpenOptions } from '../../../../engine/options.ts'
import { Snapshots } from '../../../../engine/store/snapshots.ts'
import type { Store } from '../../../../engine/store/store.ts'
import type { StoreOptions } from '../../../../engine/store/store-options.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

type Environment = ReturnType<typeof newEnvironment>
type TextStore = Store<string, string>

const minute = 60_000
const text = { keys: 'string', value: 'string', history: { retentionMs: minute } } as const
const manual: OpenOptions = { autoConsolidate: false }

async function withDatabase(
  environment: Environment,
  program: (db: Database, environment: Environment) => Promise<void>,
  options: OpenOptions = manual,
): Promise<void> {
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    await program(db, environment)
    await db.close()
  })
}

function sleep(environment: Environment, ms: number): Promise<void> {
  return new Promise(resolve => {
    environment.timers.after(ms, resolve)
  })
}

function now(db: Database): number {
  using snapshot = db.snapshot()
  return snapshot.sequence
}

async function compact(db: Database): Promise<void> {
  await db.seal()
  await db.compactLog('store/s')
}

/** What the key had at the moment; the view is closed, so that it keeps nothing. */
function at(store: TextStore, moment: number | { readonly time: number }, key: string = 'k'): string | undefined {
  using view = store.asOf(moment)
  return view.get(key)
}

const gone = expect.objectContaining({ code: 'HISTORY_GONE' })

describe('moments', () => {
  test('a store as it was, by sequence and by time, through all reading verbs', async () => {
    await withDatabase(newEnvironment(1), async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.batch(['a', 'b', 'c', 'd'].map(key => ({ type: 'put', key, value: `${key}1` }) as const))
      const [sequence, time] = [now(db), environment.clock.now()]
      await sleep(environment, 1000)
      await store.put('a', 'a2')
      await store.del('b')
      await store.delRange({ gte: 'c' })
      await compact(db)
      expect([...store]).toEqual([['a', 'a2']])
      for (const view of [store.asOf(sequence), store.asOf({ time })]) {
        expect([...view].map(([, value]) => value)).toEqual(['a1', 'b1', 'c1', 'd1'])
        expect([...view.entries({ gt: 'a', limit: 2 })].map(([key]) => key)).toEqual(['b', 'c'])
        expect([...view.keys({ reverse: true, limit: 1 })]).toEqual(['d'])
        expect([...view.values({ lte: 'b' })]).toEqual(['a1', 'b1'])
        expect([view.count(), view.count({ lt: 'c' }), view.get('b'), view.has('d'), view.get('x')]).toEqual([4, 2, 'b1', true, undefined])
        expect(view.getMany(['c', 'x'])).toEqual(['c1', undefined])
        expect(view.sequence).toBe(sequence)
        view.close()
        view.close()
        expect(() => view.get('a')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
        expect(() => view.entries()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
      }
      expect(store.asOf({ time: 0 }).count()).toBe(0)
      expect(store.asOf(0).count()).toBe(0)
      expect([...store.asOf(now(db))]).toEqual([['a', 'a2']])
    })
  })

  test('every commit is a moment, within a batch too, and the feed names them', async () => {
    await withDatabase(newEnvironment(2), async db => {
      const store: TextStore = db.store('s', { ...text, changes: true })
      for (let i = 0; i < 20; i++) await store.put('k', String(i))
      await compact(db)
      const { changes } = store.readChanges(0)
      expect(changes).toHaveLength(20)
      for (const change of changes) expect(at(store, change.sequence + 1)).toBe(change.type === 'put' ? change.value : '')
    })
  })

  test('what had expired by the clock of the moment is hidden, what had not is there', async () => {
    await withDatabase(newEnvironment(3), async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.put('short', 'x', { ttlMs: 2000 })
      const [sequence, time] = [now(db), environment.clock.now()]
      await sleep(environment, 5000)
      await store.put('other', 'y')
      await sleep(environment, 30_000) // the sweeper has written its delete
      await compact(db)
      expect([...store.keys()]).toEqual(['other'])
      expect([...store.asOf({ time: time + 1000 }).keys()]).toEqual(['short'])
      expect([...store.asOf({ time: time + 3000 }).keys()]).toEqual([])
      const view = store.asOf(sequence - 1) // the queue of what expires took the last sequence
      expect([[...view.keys()], view.time - time <= 0]).toEqual([['short'], true])
      expect([...store.asOf(now(db)).keys()]).toEqual(['other'])
    })
  })
})

describe('the horizon', () => {
  test('an entry that expired within the retention stays for the moments before, however old its put is', async () => {
    await withDatabase(newEnvironment(9), async (db, environment) => {
      const store: TextStore = db.store('s', text)
      const put = environment.clock.now()
      await store.put('k', 'x', { ttlMs: 30_000 })
      await store.put('other', 'y')
      await sleep(environment, 70_000)
      await compact(db)
      expect([store.get('k'), at(store, { time: put + 20_000 }), at(store, { time: put + 31_000 })]).toEqual([undefined, 'x', undefined])
    })
  })

  test('compaction keeps what the retention needs, and after it drops the rest: what is gone is said', async () => {
    await withDatabase(newEnvironment(10), async (db, environment) => {
      const store: TextStore = db.store('s', text)
      const moments: number[] = []
      for (let i = 0; i < 10; i++) {
        await store.put('k', String(i))
        moments.push(now(db))
        await sleep(environment, 1000)
      }
      await compact(db)
      expect(store.stats().records).toBe(10)
      await sleep(environment, minute - 5500)
      await store.put('other', 'x')
      await compact(db)
      // Moments 5 to 9 lie within the minute, and moment 4 is how the store was when it began.
      expect(moments.slice(4).map(moment => at(store, moment))).toEqual(['4', '5', '6', '7', '8', '9'])
      for (const moment of moments.slice(0, 4)) expect(() => store.asOf(moment)).toThrow(gone)
      expect(store.stats().records).toBe(7)
      expect(() => store.asOf({ time: environment.clock.now() - 2 * minute })).toThrow(gone)
      expect(() => store.asOf(0)).toThrow(
        expect.objectContaining({ details: expect.objectContaining({ sequence: moments[4], log: 'store/s' }) }),
      )
      await sleep(environment, 2 * minute)
      await compact(db)
      expect(store.stats().records).toBe(2)
      expect(at(store, { time: environment.clock.now() - minute })).toBe('9')
    })
  })

  test('an open view keeps its moment', async () => {
    await withDatabase(newEnvironment(11), async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.put('k', 'old')
      const moment = now(db)
      const view = store.asOf(moment)
      for (let i = 0; i < 5; i++) await store.put('k', String(i))
      await sleep(environment, 2 * minute)
      await compact(db)
      expect([view.get('k'), store.stats().records]).toEqual(['old', 2])
      expect(() => store.asOf(moment)).toThrow(gone)
      view.close()
      await store.put('k', 'new')
      await sleep(environment, 2 * minute)
      await compact(db)
      expect(store.stats().records).toBe(1)
    })
  })

  test('a moment that nobody refers to any more is given back; one that was closed, once', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const snapshots = new Snapshots()
    const kept = snapshots.take(1, 0)
    for (let i = 0; i < 10; i++) snapshots.takeCollectable(2 + (i % 2), 0)
    snapshots.takeCollectable(1, 0).close()
    for (let i = 0; i < 100 && snapshots.count > 1; i++) {
      collect()
      await setImmediate()
    }
    expect(snapshots.sequences()).toEqual([0])
    kept.close()
    expect(snapshots.count).toBe(0)
  })

  test('a range delete within the retention leaves whole runs readable', async () => {
    const small = { ownSegmentBytes: 512, commitLogFileBytes: 16384, commitLogFileBytesFirst: 4096 }
    await withDatabase(
      newEnvironment(12),
      async (db, environment) => {
        const store: TextStore = db.store('s', text)
        for (let i = 0; i < 50; i++) await store.put(`k${i}`, 'x'.repeat(50))
        await db.seal()
        const moment = now(db)
        await store.clear()
        await db.seal()
        await db.consolidate()
        const view = store.asOf(moment)
        expect([store.count(), view.count()]).toEqual([0, 50])
        view.close()
        await sleep(environment, 2 * minute)
        await store.put('more', 'x')
        await compact(db)
        expect(() => store.asOf(moment)).toThrow(gone)
        expect(store.stats().records).toBe(1)
      },
      small,
    )
  })

  test('horizon and times survive a crash, and a clock that was set back', async () => {
    const environment = newEnvironment(13)
    const moments: { readonly sequence: number; readonly time: number }[] = []
    await environment.drive(async () => {
      const db = await openSim(environment, manual)
      const store: TextStore = db.store('s', text)
      for (let i = 0; i < 6; i++) {
        const written = store.put('k', String(i))
        moments.push({ sequence: now(db), time: environment.clock.now() })
        await written
        await sleep(environment, 20_000)
        if (i === 4) await compact(db)
      }
    })
    environment.disk.crash()
    const again = newEnvironment(14, environment.disk)
    again.clock.jump(110_000)
    await withDatabase(again, async db => {
      const store: TextStore = db.store('s')
      for (const { sequence, time } of moments.slice(2)) {
        expect(store.asOf({ time }).sequence).toBe(sequence)
        expect(store.asOf(sequence).time).toBe(time)
      }
      for (const { sequence } of moments.slice(0, 1)) expect(() => store.asOf(sequence)).toThrow(gone)
      again.clock.jump(-100_000)
      await compact(db)
      expect(at(store, moments[2]?.sequence as number)).toBe('2')
      expect(() => store.asOf(moments[0]?.sequence as number)).toThrow(gone)
    })
  })

  test('merges honour the history of a store that nobody has opened', async () => {
    const environment = newEnvironment(15)
    let first = 0
    await withDatabase(environment, async db => {
      const store: TextStore = db.store('s', text)
      await store.put('k', '0')
      first = now(db)
      await store.put('k', '1')
    })
    const again = newEnvironment(16, environment.disk)
    again.clock.jump(1000)
    await withDatabase(again, async db => compact(db))
    const third = newEnvironment(17, environment.disk)
    third.clock.jump(2000)
    await withDatabase(third, async db => {
      const store: TextStore = db.store('s', text)
      expect([at(store, first), store.get('k')]).toEqual(['0', '1'])
      expect(store.asOf(first).time).toBeLessThan(third.clock.now() - 1000)
    })
  })
})

describe('the option', () => {
  test('switched on later, the history begins then; switched off, it ends; longer, it goes on', async () => {
    await withDatabase(newEnvironment(20), async (db, environment) => {
      const plain: TextStore = db.store('s', { keys: 'string', value: 'string' })
      await plain.put('k', '0')
      const before = now(db)
      expect(() => plain.asOf(before)).toThrow('store s was not opened with the option history')
      await plain.put('k', '1')
      const begun: TextStore = db.store('s', text)
      await begun.ready()
      expect(() => begun.asOf(before)).toThrow(gone)
      expect(() => begun.asOf({ time: environment.clock.now() - 5000 })).toThrow(gone)
      const after = now(db)
      await begun.put('k', '2')
      expect([at(begun, after), at(plain, after)]).toEqual(['1', '1'])
      await db.store('s', { history: { retentionMs: 10 * minute } }).ready()
      expect(db.get('store/s')?.options?.store).toMatchObject({ history: { retentionMs: 10 * minute }, keys: 'string' })
      await sleep(environment, 5 * minute)
      await compact(db)
      expect(at(begun, after)).toBe('1')
      await db.store('s', { history: undefined }).ready()
      expect(at(begun, after)).toBe('1')
      await db.store('s', { history: false }).ready()
      expect(() => begun.asOf(after)).toThrow(TypeError)
      await compact(db)
      expect(begun.stats().records).toBe(1)
      await db.store('s', text).ready()
      expect(() => begun.asOf(after)).toThrow(gone)
      expect(at(begun, now(db))).toBe('2')
    })
  })

  test('together with other options that change: one definition, nothing lost', async () => {
    await withDatabase(newEnvironment(21), async db => {
      await db.store('s', { changes: true }).ready()
      await db.store('s', { ttlMs: 5, history: { retentionMs: 7 }, changes: { retentionBytes: 9 } }).ready()
      const stored = { keys: 'tuple', value: 'msgpack-structures', ttlMs: 5, history: { retentionMs: 7 }, changes: { retentionBytes: 9 } }
      expect(db.get('store/s')?.options?.store).toEqual(stored)
      const { definitions } = { definitions: db.stats().commitLog.commits }
      await db.store('s', { ttlMs: 5, history: { retentionMs: 7 }, changes: { retentionBytes: 9 } }).ready()
      expect(db.stats().commitLog.commits).toBe(definitions)
    })
  })

  test.each([
    [{ history: true }, 'history'],
    [{ history: {} }, 'history.retentionMs'],
    [{ history: { retentionMs: 0 } }, 'history.retentionMs'],
    [{ history: { retentionMs: Number.POSITIVE_INFINITY } }, 'history.retentionMs'],
    [{ history: { retention: 1, retentionMs: 1 } }, 'retention'],
  ])('refused: %o', async (options, named) => {
    await withDatabase(newEnvironment(22), async db => {
      expect(() => db.store('s', options as unknown as StoreOptions<unknown>)).toThrow(named)
    })
  })

  test('moments that cannot be meant', async () => {
    await withDatabase(newEnvironment(23), async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.ready()
      const asOf = (moment: unknown) => () => store.asOf(moment as number)
      for (const moment of [-1, 1.5, Number.NaN]) expect(asOf(moment), String(moment)).toThrow('sequence')
      for (const moment of [undefined, null, 'now']) expect(asOf(moment), String(moment)).toThrow('moment')
      expect(asOf({ time: 'x' })).toThrow('time')
      expect(asOf({ at: 1 })).toThrow('at')
      expect(asOf(now(db) + 1)).toThrow(RangeError)
      expect(asOf({ time: environment.clock.now() + 1 })).toThrow(RangeError)
      using view = store.asOf(0)
      expect(() => view.entries({ snapshot: db.snapshot() } as object)).toThrow('snapshot has no meaning')
      expect(() => view.keys({ limit: -1 })).toThrow('limit')
      expect(() => view.count(null as unknown as object)).toThrow('options')
    })
  })
})
