/**
 * Goal: a store in a lease answers every reading verb as the store stood when the lease was taken, whatever happens to the store meanwhile; what it needs
 * stays until all copies are released, and not longer; every misuse has its own error. Simulated environment: one thread plays owner and workers.
 */
import { expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { LeaseDescription, OwnedLease } from '../../../../engine/lease/leases.ts'
import { type OpenedLease, openLease } from '../../../../engine/lease/open-lease.ts'
import { coreOf, type Store } from '../../../../engine/store/store.ts'
import { bytesOf, newEnvironment, openSim } from '../../../probes/support.ts'

type Environment = ReturnType<typeof newEnvironment>
type Entry = [string, string]
/** Value and expiry (0: none) by key. */
type Model = Map<string, { readonly value: string; readonly expiresAt: number }>

async function withDatabase(seed: number, program: (db: Database, environment: Environment) => Promise<void>): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment, { autoConsolidate: false, ownSegmentBytes: 1 })
    await program(db, environment)
    await db.close()
  })
}

const sleep = (environment: Environment, ms: number): Promise<void> => new Promise(resolve => environment.timers.after(ms, resolve))
const keyAt = (i: number): string => `k${String(i).padStart(3, '0')}`

/** What a moment shows, in key order. */
function visible(model: Model, time: number): Entry[] {
  return [...model]
    .filter(([, { expiresAt }]) => expiresAt === 0 || expiresAt > time)
    .map(([key, { value }]): Entry => [key, value])
    .sort(([left], [right]) => (left < right ? -1 : 1))
}

function open(description: LeaseDescription, environment: Environment): Promise<OpenedLease> {
  // As a thread would get it: nothing of the owner's objects.
  return openLease(structuredClone(description), environment.files)
}

const pathsOf = ({ stores }: LeaseDescription): string[] => [...new Set(stores.flatMap(({ runs }) => runs.map(({ path }) => path)))]

async function missing(environment: Environment, paths: readonly string[]): Promise<string[]> {
  const names = await environment.files.list('/data/db')
  return paths.filter(path => !names.includes(path.split('/').at(-1) as string))
}

class Writer {
  readonly random: SimRandom
  readonly model: Model = new Map()
  readonly db: Database
  readonly environment: Environment
  readonly store: Store<string, string>
  counter = 0

  constructor(db: Database, environment: Environment, seed: number) {
    this.random = new SimRandom(seed)
    this.db = db
    this.environment = environment
    this.store = db.store<string, string>('s', { keys: 'string', value: 'string' })
  }

  async step(): Promise<void> {
    const { db, model, random, store } = this
    const drawn = random.below(100)
    if (drawn < 60) await this.#put()
    else if (drawn < 74) {
      const key = keyAt(random.below(60))
      model.delete(key)
      await store.del(key)
    } else if (drawn < 80) {
      const [gte, lt] = [random.below(60), random.below(60)].sort((a, b) => a - b).map(keyAt) as [string, string]
      for (const key of [...model.keys()]) if (key >= gte && key < lt) model.delete(key)
      await store.delRange({ gte, lt })
    } else if (drawn < 84) this.#appendCompressed()
    else if (drawn < 86) await db.seal()
    else if (drawn < 88) await store.compact()
    else if (drawn < 90) await db.consolidate()
    else if (drawn < 92) this.#putMany()
    else await sleep(this.environment, random.below(400))
  }

  async #put(): Promise<void> {
    const { random } = this
    const key = keyAt(random.below(60))
    const value = this.#value()
    const expiresAt = random.chance(0.3) ? this.environment.clock.now() + random.below(1000) + 1 : 0
    this.model.set(key, { value, expiresAt })
    const written = this.store.put(key, value, expiresAt === 0 ? {} : { expiresAt })
    if (random.chance(0.3)) await written
    else written.catch(() => undefined) // the step that awaits tells
  }

  /** Records that lie unpacked in memory of their own. */
  #appendCompressed(): void {
    const key = keyAt(this.random.below(60))
    const value = this.#value()
    this.model.set(key, { value, expiresAt: 0 })
    this.db.log('store/s').appendRecords([{ kind: 'put', key: bytesOf(key), value: bytesOf(value) }], { compression: 'gzip' })
  }

  /** Larger than a frame: a staged commit with an arena of its own. */
  #putMany(): void {
    const operations = Array.from(
      { length: 12 },
      (_, i) => ({ type: 'put', key: keyAt(i * 5), value: this.#value().padEnd(500, 'y') }) as const,
    )
    for (const { key, value } of operations) this.model.set(key, { value, expiresAt: 0 })
    this.store.batch(operations).catch(() => undefined) // as above
  }

  #value(): string {
    return `${this.counter++}:`.padEnd(this.random.below(300) + 8, 'v')
  }
}

/** Every reading verb against what the moment shows. */
function judge(store: ReturnType<typeof leased>, expected: readonly Entry[], random: SimRandom): void {
  const byKey = new Map(expected)
  expect([...store.entries()]).toEqual(expected)
  expect([...store.entries({ reverse: true })]).toEqual([...expected].reverse())
  const keys = Array.from({ length: 61 }, (_, i) => keyAt(i))
  expect(store.getMany(keys)).toEqual(keys.map(key => byKey.get(key)))
  expect(store.estimate()).toBeGreaterThanOrEqual(expected.length) // versions and deletes count
  expect(keys.filter(key => store.has(key))).toEqual(expected.map(([key]) => key))
  const [gt, lte] = [random.below(60), random.below(60)].sort((a, b) => a - b).map(keyAt) as [string, string]
  const inRange = expected.filter(([key]) => key > gt && key <= lte)
  expect([...store.keys({ gt, lte })]).toEqual(inRange.map(([key]) => key))
  expect([...store.values({ gt, lte, reverse: true, limit: 3 })]).toEqual(
    inRange
      .map(([, value]) => value)
      .reverse()
      .slice(0, 3),
  )
  expect(store.count({ gt, lte })).toBe(inRange.length)
  expect(store.count({ prefix: 'k01' })).toBe(expected.filter(([key]) => key.startsWith('k01')).length)
  const iterator = store.iterator()
  iterator.seek(gt)
  expect(iterator.nextBatch(5)).toEqual(expected.filter(([key]) => key >= gt).slice(0, 5))
  iterator.close()
}

const leased = (lease: OpenedLease, cacheBytes?: number) => lease.store<string, string>('s', cacheBytes === undefined ? {} : { cacheBytes })

test.each([1, 2, 3])('seed %i: leases keep their moments while the store is written, flushed, compacted and dropped', async seed => {
  await withDatabase(seed, async (db, environment) => {
    const writer = new Writer(db, environment, seed)
    const { random } = writer
    const held: { owned: OwnedLease; copy: OpenedLease; expected: Entry[]; paths: string[] }[] = []
    let released = 0
    let withRuns = 0
    let withMemtables = 0
    const take = async (): Promise<void> => {
      const expected = visible(writer.model, environment.clock.now())
      const owned = db.lease(random.chance(0.3) ? {} : { stores: ['s'] })
      const description = owned.share()
      using now = db.snapshot()
      expect([description.sequence, description.time]).toEqual([now.sequence, now.time])
      const [store] = description.stores
      if ((store?.runs.length ?? 0) > 0) withRuns++
      if ((store?.memtables.length ?? 0) > 1) withMemtables++
      const copy = await open(description, environment)
      held.push({ owned, copy, expected, paths: pathsOf(description) })
    }
    for (let step = 0; step < 240; step++) {
      await writer.step()
      if (step % 12 === 10) await take()
      if (step % 7 === 0) for (const { copy, expected } of held) judge(leased(copy, random.below(3) * 4096), expected, random)
      if (held.length > 4) {
        const [{ owned, copy }] = held.splice(random.below(held.length), 1) as [(typeof held)[0]]
        if (random.chance(0.5)) owned.release()
        copy.release()
        owned.release()
        released++
      }
    }
    await db.seal()
    await take()
    await db.dropStore('s')
    await db.consolidate()
    for (const { copy, expected } of held) judge(leased(copy), expected, random)
    const paths = [...new Set(held.flatMap(lease => lease.paths))]
    expect(await missing(environment, paths)).toEqual([])
    for (const { copy, owned } of held) {
      copy.release()
      owned.release()
    }
    // The owner sees the cells when it next looks, and deletes in the background.
    for (let i = 0; i < 20 && (await missing(environment, paths)).length < paths.length; i++) {
      await db.store('other').put(i, 'x')
      await db.seal()
    }
    expect(await missing(environment, paths)).toEqual(paths)
    expect(db.stats().leases).toBe(0)
    expect(Math.min(withRuns, withMemtables, released)).toBeGreaterThan(1)
  })
})

test('what expires after the lease was taken stays in it; what is written later does not come', async () => {
  await withDatabase(11, async (db, environment) => {
    const store = db.store<number, string>('t', { ttlMs: 1000 })
    await store.put('a', 1)
    await sleep(environment, 600)
    await store.put('b', 2)
    await sleep(environment, 600)
    const owned = db.lease({ stores: ['t'] })
    await store.put('c', 3)
    await sleep(environment, 5000)
    const lease = await open(owned.share(), environment)
    expect([lease.time, lease.sequence]).toEqual([owned.time, owned.sequence])
    // Virtual time has fractions of a millisecond.
    expect(Math.abs(environment.clock.now() - 5000 - lease.time)).toBeLessThanOrEqual(1)
    expect([...lease.store<number, string>('t')]).toEqual([['b', 2]])
    expect([...store]).toEqual([])
    lease.release()
    owned.release()
  })
})

test('memory of the arenas of a leased store is not reused, and is again after the release', async () => {
  await withDatabase(12, async db => {
    const store = db.store<string, string>('m')
    await store.put('a', 'value')
    const owned = db.lease({ stores: ['m'] })
    const description = owned.share()
    const memory = description.stores[0]?.memtables[0]?.bytes.buffer
    expect(description.logs).toEqual([])
    expect(description.arenas.map(({ bytes }) => bytes.buffer)).toEqual([memory])
    /** Writes many arenas full; whether one of them has that memory. */
    const isReused = async (wanted: unknown): Promise<boolean> => {
      let found = false
      for (let i = 0; i < 120; i++) {
        await store.put(`k${i}`, 'w'.repeat(900))
        found ||= coreOf(store).table.memtables.some(({ bytes }) => bytes.buffer === wanted)
      }
      return found
    }
    await db.seal()
    expect(await isReused(memory)).toBe(false)
    owned.release()
    Atomics.store(description.cells, description.copy, 0)
    // An arena that was flushed while leased is not taken back; the next one that was leased and released in time is.
    const again = db.lease({ stores: ['m'] })
    const newest = coreOf(store).table.memtables.at(-1)?.bytes.buffer
    again.release()
    await db.seal()
    expect(await isReused(newest)).toBe(true)
  })
})

test('names: one list given means none of the other; without any, all logs and all stores', async () => {
  await withDatabase(13, async (db, environment) => {
    await db.define([
      { name: 'topic', kind: 'topic' },
      { name: 'store/raw', kind: 'store' },
    ])
    await db.store<number>('one').put('a', 1)
    await db.store<number>('two').put('a', 2)
    const names = ({ logs, stores }: LeaseDescription): [string[], string[]] => [
      logs.map(({ definition }) => definition.name).sort(),
      stores.map(({ name }) => name),
    ]
    expect(names(db.lease().share())).toEqual([
      ['store/one', 'store/raw', 'store/two', 'topic'],
      ['one', 'two'],
    ])
    expect(names(db.lease({ stores: ['two', 'two'] }).share())).toEqual([[], ['two']])
    expect(names(db.lease({ logs: ['topic'] }).share())).toEqual([['topic'], []])
    const both = db.lease({ logs: ['topic'], stores: ['one'] }).share()
    expect(names(both)).toEqual([['topic'], ['one']])
    const lease = await open(both, environment)
    expect(lease.storeNames).toEqual(['one'])
    expect(lease.store<number>('one').get('a')).toBe(1)
    lease.release()
  })
})

test('a store that nobody has opened since the database was is leased with its tail and its runs', async () => {
  const environment = newEnvironment(14)
  await environment.drive(async () => {
    const first = await openSim(environment)
    const users = first.store<number, string>('users')
    await users.put('a', 1)
    await users.put('b', 2)
    await first.seal()
    await users.put('b', 3)
    await users.put('c', 4)
    await first.close()
    const db = await openSim(environment)
    const owned = db.lease()
    const description = owned.share()
    expect(description.stores.map(({ runs, memtables }) => [runs.length, memtables.length])).toEqual([[1, 1]])
    const lease = await open(description, environment)
    const expected = [
      ['a', 1],
      ['b', 3],
      ['c', 4],
    ]
    expect([...lease.store('users')]).toEqual(expected)
    // Looking at it has not opened it in the owner: what is written then is seen by a store that is opened later.
    await db.store<number, string>('users').put('d', 5)
    expect([...db.store('users').keys()]).toEqual(['a', 'b', 'c', 'd'])
    expect([...lease.store('users')]).toEqual(expected)
    lease.release()
    owned.release()
    await db.close()
  })
})

test('codecs: a built-in one is found by its name, one of the user must be given, another one is refused', async () => {
  await withDatabase(15, async (db, environment) => {
    const doubled = {
      name: 'doubled',
      encode: (value: number) => bytesOf(String(value * 2)),
      decode: (bytes: Uint8Array) => Number(Buffer.from(bytes)) / 2,
    }
    await db.store<number>('custom', { value: doubled }).put(['a', 1], 21)
    await db.store<{ a: number }>('json', { value: 'json' }).put('k', { a: 1 })
    const owned = db.lease({ stores: ['custom', 'json'] })
    const lease = await open(owned.share(), environment)
    expect([...lease.store<number>('custom', { value: doubled })]).toEqual([[['a', 1], 21]])
    expect(lease.store('json').get('k')).toEqual({ a: 1 })
    expect(lease.store('json', { value: 'json' }).get('k')).toEqual({ a: 1 })
    expect(() => lease.store('custom')).toThrow(expect.objectContaining({ code: 'CODEC_MISSING' }))
    for (const [name, value] of [
      ['json', doubled],
      ['custom', 'json'],
      ['json', 'msgpack'],
    ] as const) {
      expect(() => lease.store(name, { value: value as 'json' })).toThrow(expect.objectContaining({ code: 'DEFINITION_MISMATCH' }))
    }
    lease.release()
    owned.release()
  })
})

test('misuse: closed, unknown and wrong uses have their errors', async () => {
  await withDatabase(16, async (db, environment) => {
    const users = db.store<number, string>('users', { keys: 'string' })
    await users.put('a', 1)
    await db.store('gone').ready()
    await db.dropStore('gone')
    for (const name of ['gone', 'none']) expect(() => db.lease({ stores: [name] })).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    expect(() => db.lease({ snapshot: db.snapshot(), logs: [] })).toThrow('snapshot must not be given with logs')
    expect(() => db.lease({ snapshot: 7 as never })).toThrow('snapshot')
    const over = db.snapshot()
    over.close()
    expect(() => db.lease({ stores: ['users'], snapshot: over })).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(() => db.lease({ stores: 'users' as never })).toThrow(/stores must be an array of names/)
    expect(() => db.lease({ stores: [7 as never] })).toThrow(/each of stores must be a string/)
    expect(db.stats().leases).toBe(0)
    const owned = db.lease({ stores: ['users'] })
    const lease = await open(owned.share(), environment)
    expect(() => lease.store('none')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    expect(() => lease.store(7 as never)).toThrow(/name must be a string/)
    expect(() => lease.store('users', { cacheBytes: -1 })).toThrow(/cacheBytes must be a non-negative integer/)
    expect(() => lease.store('users', { cache: 1 } as never)).toThrow(/unknown option: cache/)
    const store = lease.store<number, string>('users')
    expect(() => store.get(1 as never)).toThrow(/key must be a string/)
    expect(() => store.getMany('a' as never)).toThrow(/keys must be an array/)
    expect(() => store.entries({ gt: 'a', gte: 'a' })).toThrow(/gt and gte/)
    expect(() => store.count({ limit: -1 })).toThrow(/limit/)
    expect(() => store.keys({ snapshot: db.snapshot() } as never)).toThrow(/snapshot has no meaning in a lease/)
    const iterator = store.iterator()
    lease.release()
    const closed = expect.objectContaining({ code: 'CLOSED' })
    for (const verb of ['entries', 'iterator', 'keys', 'values', 'count', 'estimate', 'indexNames'] as const)
      expect(() => store[verb]()).toThrow(closed)
    expect(() => store.get('a')).toThrow(closed)
    expect(() => store.has('a')).toThrow(closed)
    expect(() => store.index('x')).toThrow(closed)
    await expect(store.getAsync('a')).rejects.toEqual(closed)
    await expect(store.hasAsync('a')).rejects.toEqual(closed)
    expect(() => store.getMany(['a'])).toThrow(closed)
    expect(() => iterator.nextBatch()).toThrow(closed)
    expect(() => iterator.seek('a')).toThrow(closed)
    expect(() => lease.store('users')).toThrow(closed)
    owned.release()
  })
})
