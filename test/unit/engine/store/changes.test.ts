/** Goal: what a change feed tells and when, where it can be resumed, what its retention takes, and what it refuses, each rule by name. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { expirySweepMsDefault as sweepIntervalMs } from '../../../../engine/options.ts'
import { PART_BODY, PART_RUN } from '../../../../engine/segment/format.ts'
import { trimIntervalMs } from '../../../../engine/store/change-retention.ts'
import type { Change, ChangesReadOptions } from '../../../../engine/store/changes.ts'
import type { Store } from '../../../../engine/store/store.ts'
import type { StoreOptions } from '../../../../engine/store/store-options.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

type Environment = ReturnType<typeof newEnvironment>
type TextStore = Store<string, string>

const text = { keys: 'string', value: 'string', changes: true } as const

async function withDatabase(seed: number, program: (db: Database, environment: Environment) => Promise<void>): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await program(db, environment)
    await db.close()
  })
}

function sleep(environment: Environment, ms: number): Promise<void> {
  return new Promise(resolve => {
    environment.timers.after(ms, resolve)
  })
}

const short = (changes: readonly Change<string, string>[]): string[] =>
  changes.map(change =>
    change.type === 'put' ? `${change.key}=${change.value}` : change.type === 'del' ? `-${change.key}` : JSON.stringify(change.range),
  )

/** Bodies and runs of a store's log. */
function partsOf(db: Database, name: string): { bodies: number; runs: number } {
  const parts = (db.log(`store/${name}`) as unknown as { parts: readonly { type: number }[] }).parts
  return { bodies: parts.filter(part => part.type === PART_BODY).length, runs: parts.filter(part => part.type === PART_RUN).length }
}

describe('what is told', () => {
  test('puts, deletes and range deletes in commit order, with sequence and expiry', async () => {
    await withDatabase(1, async (db, environment) => {
      const store: TextStore = db.store('s', text)
      const expiresAt = environment.clock.now() + 5000
      await store.put('a', '1', { expiresAt })
      await store.batch([
        { type: 'put', key: 'b', value: '2' },
        { type: 'del', key: 'a' },
        { type: 'delRange', range: { gt: 'a', lte: 'c' } },
      ])
      await store.clear()
      const { changes, position } = store.readChanges(0)
      const first = changes[0]?.sequence as number
      const second = changes[1]?.sequence as number
      expect(second).toBeGreaterThan(first)
      expect(changes.slice(1).map(({ sequence }) => sequence - second)).toEqual([0, 1, 2])
      expect(changes[0]).toEqual({ type: 'put', key: 'a', value: '1', sequence: first, expiresAt })
      expect(short(changes)).toEqual(['a=1', 'b=2', '-a', '{"gte":"a\\u0000","lt":"c\\u0000"}'])
      expect(position).toBe(4)
      expect(store.readChanges('start')).toEqual({ changes, position })
      await store.trimChanges(2)
      expect(store.readChanges('start')).toEqual({ changes: changes.slice(2), position })
      expect(() => store.readChanges('end' as never)).toThrow(/position/)
      expect(store.readChanges(4)).toEqual({ changes: [], position: 4 })
    })
  })

  test('only what is acknowledged by its word, while reads see it already', async () => {
    await withDatabase(2, async db => {
      const store: TextStore = db.store('s', text)
      await store.ready()
      const written = store.put('a', '1')
      expect([store.get('a'), store.readChanges(0).changes.length]).toEqual(['1', 0])
      await written
      expect(store.readChanges(0).changes.length).toBe(1)
      void store.put('b', '2', { durability: 'none' })
      expect(store.readChanges(0).changes.length).toBe(2)
    })
  })

  test('the deletes of what has expired say so', async () => {
    await withDatabase(3, async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.put('a', '1', { ttlMs: 100 })
      await store.put('b', '2')
      await store.del('b')
      await sleep(environment, 2 * sweepIntervalMs)
      const { changes } = store.readChanges(0)
      expect(changes.slice(2).map(({ type, ...rest }) => [type, 'key' in rest && rest.key, 'expired' in rest])).toEqual([
        ['del', 'b', false],
        ['del', 'a', true],
      ])
      expect(changes[3]).toMatchObject({ expired: true })
    })
  })

  test('keys and values by the codecs of the store; prefixes come back as such', async () => {
    await withDatabase(4, async db => {
      const store = db.store<{ n: number }, readonly [string, number]>('s', { changes: true })
      await store.put(['a', 1], { n: 1 })
      await store.delRange({ prefix: ['a'] as unknown as readonly [string, number] })
      await db.seal()
      const { changes } = store.readChanges(0)
      expect(changes).toMatchObject([
        { type: 'put', key: ['a', 1], value: { n: 1 } },
        { type: 'delRange', range: { prefix: ['a'] } },
      ])
      const [, deleted] = changes
      expect(deleted?.type === 'delRange' && Buffer.compare(deleted.start, deleted.end)).toBe(-1)
    })
  })
})

describe('where it goes on', () => {
  test('limits cut between commits, and within one only when it alone is larger', async () => {
    await withDatabase(5, async db => {
      const store: TextStore = db.store('s', text)
      const keys = (n: number): { type: 'put'; key: string; value: string }[] =>
        Array.from({ length: n }, (_, i) => ({ type: 'put', key: `${n}${i}`, value: '' }))
      for (const n of [2, 2, 5]) await store.batch(keys(n))
      const sizes: number[] = []
      for (let position = 0; position < 9; ) {
        const batch = store.readChanges(position, { limit: 3 })
        sizes.push(batch.changes.length)
        position = batch.position
      }
      expect(sizes).toEqual([2, 2, 3, 2])
    })
  })

  test('from the start, from now, from a position, from a time', async () => {
    await withDatabase(6, async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.put('a', '1')
      await sleep(environment, 1000)
      const time = environment.clock.now()
      await store.put('b', '2')
      const first = async (options: ChangesReadOptions): Promise<string[]> => {
        for await (const { changes } of store.changes(options)) return short(changes)
        return []
      }
      expect(await first({ from: 'start' })).toEqual(['a=1', 'b=2'])
      expect(await first({ from: 1 })).toEqual(['b=2'])
      expect(await first({ from: { time } })).toEqual(['b=2'])
      expect(await first({ from: { time: 0 }, batchRecordsMax: 1 })).toEqual(['a=1'])
      const later = first({})
      const far = first({ from: { time: time + 1_000_000 } })
      await store.put('c', '3')
      expect(await Promise.all([later, far])).toEqual([['c=3'], ['c=3']])
    })
  })

  test('a feed waits for more, tells each change once, and knows its position', async () => {
    await withDatabase(7, async db => {
      const store: TextStore = db.store('s', text)
      await store.ready()
      const feed = store.changes()
      const next = feed.next()
      await store.put('a', '1')
      expect((await next).value?.changes).toHaveLength(1)
      const both = [feed.next(), feed.next()]
      await store.put('b', '2')
      await store.put('c', '3')
      expect((await Promise.all(both)).map(({ value }) => short(value?.changes ?? []))).toEqual([['b=2'], ['c=3']])
      expect(feed.position).toBe(3)
    })
  })

  test('return ends it, also where it waits', async () => {
    await withDatabase(8, async db => {
      const feed = db.store('s', text).changes({ signal: new AbortController().signal })
      const waiting = feed.next()
      expect(await feed.return()).toEqual({ done: true, value: undefined })
      expect(await waiting).toEqual({ done: true, value: undefined })
      expect(await feed.next()).toEqual({ done: true, value: undefined })
    })
  })

  test('a signal ends it with its reason, also where it waits and before it begins', async () => {
    await withDatabase(9, async db => {
      const store: TextStore = db.store('s', text)
      const controller = new AbortController()
      const waiting = store.changes({ signal: controller.signal }).next()
      controller.abort()
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
      await expect(store.changes({ signal: AbortSignal.abort(new Error('enough')) }).next()).rejects.toThrow('enough')
    })
  })

  test('closing ends it with CLOSED, dropping with NOT_FOUND', async () => {
    const environment = newEnvironment(10)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const dropped = db.store('d', text).changes().next()
      dropped.catch(() => undefined)
      await db.dropStore('d')
      await expect(dropped).rejects.toMatchObject({ code: 'NOT_FOUND' })
      const store: TextStore = db.store('s', text)
      await store.ready()
      const feed = store.changes()
      const waiting = feed.next()
      waiting.catch(() => undefined)
      await db.close()
      await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(feed.next()).rejects.toMatchObject({ code: 'CLOSED' })
      expect(() => store.readChanges(0)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    })
  })

  test('a position survives a crash: what was told is not told again, and nothing is left out', async () => {
    const environment = newEnvironment(11)
    let position = 0
    await environment.drive(async () => {
      const db = await openSim(environment)
      const store: TextStore = db.store('s', text)
      for (let i = 0; i < 20; i++) await store.put(`k${i}`, String(i))
      await db.seal()
      ;({ position } = store.readChanges(0, { limit: 13 }))
      await store.put('last', '20')
    })
    environment.disk.crash()
    const again = newEnvironment(12, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      const { changes } = db.store<string, string>('s').readChanges(position)
      expect(changes.map(change => change.type === 'put' && change.value)).toEqual(['13', '14', '15', '16', '17', '18', '19', '20'])
      await db.close()
    })
  })
})

describe('retention', () => {
  test('trimmed changes are out of range, with the range that is there; the content stays, bodies go, runs do not', async () => {
    await withDatabase(20, async db => {
      const store: TextStore = db.store('s', text)
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 30; i++) await store.put(`k${round}-${i}`, 'x'.repeat(50))
        await db.seal()
      }
      const before = partsOf(db, 's')
      await store.trimChanges(45)
      expect(() => store.readChanges(44)).toThrow(
        expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE', details: expect.objectContaining({ startOffset: 45, endOffset: 90 }) }),
      )
      expect(store.readChanges(45).changes[0]).toMatchObject({ key: 'k1-15' })
      await db.consolidate()
      expect(store.count()).toBe(90)
      expect(partsOf(db, 's').runs).toBeGreaterThan(0)
      expect(before.bodies).toBeGreaterThan(0)
      await store.trimChanges(90)
      await db.consolidate()
      expect(partsOf(db, 's').bodies).toBe(0)
      expect(store.count()).toBe(90)
      await store.put('more', 'y')
      expect(store.readChanges(90).changes).toHaveLength(1)
      expect((await store.changes({ from: 'start' }).next()).value?.changes).toHaveLength(1)
    })
  })

  test('after a reopening the feed begins where it was trimmed, though runs say nothing of it', async () => {
    const environment = newEnvironment(21)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const store: TextStore = db.store('s', text)
      for (let i = 0; i < 30; i++) await store.put(`k${i}`, 'x'.repeat(50))
      await db.seal()
      await store.trimChanges(30)
      await db.consolidate()
    })
    environment.disk.crash()
    const again = newEnvironment(22, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      const store: TextStore = db.store('s', text)
      expect(store.count()).toBe(30)
      expect(() => store.readChanges(29)).toThrow(expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }))
      await store.put('more', 'y')
      expect(store.readChanges(30).changes).toMatchObject([{ key: 'more' }])
      await db.close()
    })
  })

  const startOf = (store: TextStore): number => {
    try {
      store.readChanges(0)
      return 0
    } catch (error) {
      return (error as { details: { startOffset: number } }).details.startOffset
    }
  }

  test('by time: what is older goes in the background, also out of the tail', async () => {
    await withDatabase(23, async (db, environment) => {
      const store: TextStore = db.store('s', { ...text, changes: { retentionMs: 60_000 } })
      for (let i = 0; i < 10; i++) await store.put(`k${i}`, 'x')
      await db.seal()
      await sleep(environment, 50_000)
      for (let i = 0; i < 10; i++) await store.put(`l${i}`, 'x')
      expect(startOf(store)).toBe(0)
      await sleep(environment, 15_000 + trimIntervalMs)
      expect([startOf(store), partsOf(db, 's').bodies]).toEqual([10, 0])
      await sleep(environment, 50_000)
      expect([startOf(store), store.count()]).toEqual([20, 20])
    })
  })

  test('by size: about the newest bytes stay, at least as many as asked for', async () => {
    await withDatabase(24, async (db, environment) => {
      const store: TextStore = db.store('s', { ...text, changes: { retentionBytes: 10_000 } })
      const put = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) await store.put(`k${i}`, 'x'.repeat(100), { durability: 'buffered' })
      }
      await put(400)
      await sleep(environment, trimIntervalMs)
      const first = startOf(store)
      expect(first).toBeGreaterThan(0)
      expect((400 - first) * 120).toBeGreaterThan(5000)
      await put(400)
      await db.seal()
      await sleep(environment, trimIntervalMs)
      const second = startOf(store)
      expect(second).toBeGreaterThan(first)
      expect(800 - second).toBeGreaterThanOrEqual(Math.floor(10_000 / 200))
      expect(store.count()).toBe(400)
    })
  })

  test('a retention that is changed holds from then on, and is stored', async () => {
    await withDatabase(25, async (db, environment) => {
      const store: TextStore = db.store('s', text)
      await store.put('a', '1')
      await sleep(environment, 30_000)
      expect(startOf(store)).toBe(0)
      await db.store('s', { ...text, changes: { retentionMs: 1000 } }).ready()
      expect(db.get('store/s')?.options?.store).toMatchObject({ changes: { retentionMs: 1000 } })
      await sleep(environment, trimIntervalMs)
      expect(startOf(store)).toBe(1)
      await db.store('s', text).ready()
      await store.put('b', '1')
      await sleep(environment, 60_000)
      expect(startOf(store)).toBe(1)
    })
  })
})

describe('what is refused', () => {
  test('a feed for a store that was defined without one, and none for one that has it', async () => {
    await withDatabase(30, async db => {
      await db.store('plain').ready()
      await db.store('fed', { changes: true }).ready()
      const mismatch = { code: 'DEFINITION_MISMATCH', details: { option: 'changes' } }
      await expect(db.store('plain', { changes: true }).ready()).rejects.toMatchObject(mismatch)
      await expect(db.store('fed', { changes: false }).ready()).rejects.toMatchObject(mismatch)
      await db.store('plain', { changes: false }).ready()
      await db.store('fed', { changes: undefined }).ready()
      const plain = db.store('plain')
      const message = 'store plain was not defined with the option changes'
      expect(() => plain.changes()).toThrow(message)
      expect(() => plain.readChanges(0)).toThrow(message)
      await expect(plain.trimChanges(0)).rejects.toThrow(message)
    })
  })

  test('positions that never were', async () => {
    await withDatabase(31, async db => {
      const store: TextStore = db.store('s', text)
      await store.put('a', '1')
      const range = { code: 'OFFSET_OUT_OF_RANGE', details: { startOffset: 0, endOffset: 1, actual: 2 } }
      expect(() => store.readChanges(2)).toThrow(expect.objectContaining({ code: range.code }))
      expect(() => store.changes({ from: 2 })).toThrow(expect.objectContaining({ code: range.code }))
      await expect(store.trimChanges(2)).rejects.toThrow(RangeError)
    })
  })

  test.each([
    [{ changes: 1 }, 'changes'],
    [{ changes: { retention: 1 } }, 'retention'],
    [{ changes: { retentionMs: 0 } }, 'changes.retentionMs'],
    [{ changes: { retentionBytes: Number.NaN } }, 'changes.retentionBytes'],
  ])('options %o', async (options, named) => {
    await withDatabase(32, async db => {
      expect(() => db.store('s', options as unknown as StoreOptions<unknown>)).toThrow(named)
    })
  })

  test.each([
    [{ from: 'begin' }, 'from'],
    [{ from: -1 }, 'from'],
    [{ from: { time: Number.NaN } }, 'time'],
    [{ from: { at: 1 } }, 'at'],
    [{ from: null }, 'from'],
    [{ signal: {} }, 'signal'],
    [{ batchRecordsMax: 0 }, 'batchRecordsMax'],
    [{ limit: 1 }, 'limit'],
    [7, 'options'],
  ])('arguments of changes %o', async (options, named) => {
    await withDatabase(33, async db => {
      const store = db.store('s', text)
      expect(() => store.changes(options as unknown as ChangesReadOptions)).toThrow(named)
    })
  })

  test.each([
    [-1, {}, 'position'],
    ['0', {}, 'position'],
    [0, { limit: 1.5 }, 'limit'],
    [0, { max: 1 }, 'max'],
  ])('arguments of readChanges %o %o', async (position, options, named) => {
    await withDatabase(34, async db => {
      const store = db.store('s', text)
      expect(() => store.readChanges(position as number, options as { limit?: number })).toThrow(named)
    })
  })
})

test('a loop that waits for changes is what a process lives for; closing the database ends it', () => {
  const entry = new URL('../../../../dist/index.js', import.meta.url).href
  const program = `
    import { open } from ${JSON.stringify(entry)}
    const db = await open({ storage: 'memory' })
    const store = db.store('s', { changes: true })
    await store.ready()
    // Nothing else keeps the process: an unreferenced timer fires only as long as something does.
    setTimeout(() => void store.put('a', 1), 200).unref()
    setTimeout(() => void db.close(), 400).unref()
    try {
      for await (const { changes } of store.changes()) console.log(changes[0].key)
    } catch (error) {
      console.log(error.code)
    }`
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 20_000 })
  expect([stdout, status]).toEqual(['a\nCLOSED\n', 0])
})
