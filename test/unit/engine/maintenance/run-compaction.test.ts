/**
 * Goal: store logs that are flushed again and again keep few runs, and every moment that somebody holds reads as it did; what nobody can see goes.
 * A simulated database whose consolidator gets its views from the test.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { STORE_DELETE, STORE_PUT } from '../../../../engine/batch/store-format.ts'
import type { Database } from '../../../../engine/database.ts'
import type { SimRandom } from '../../../../engine/env/index.ts'
import type { StoreRecord } from '../../../../engine/log/log.ts'
import type { PartRef } from '../../../../engine/log/parts.ts'
import type { Consolidator, ConsolidatorHost } from '../../../../engine/maintenance/consolidator.ts'
import { levelBottom, runPickDefaults } from '../../../../engine/maintenance/pick-runs.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import { RunCursor } from '../../../../engine/segment/run-reader.ts'
import { verify } from '../../../../engine/tools/verify.ts'
import { bytesOf, folder, newEnvironment, openSim, runUntilCrash, textOf } from '../../../probes/support.ts'
import { internals } from '../../../support/internals.ts'

/** What the database under test asks its host. */
const views = { snapshots: [] as number[], clock: 0, mayDropExpired: false }
let consolidator: Consolidator

vi.mock('../../../../engine/maintenance/consolidator.ts', async importOriginal => {
  const original = await importOriginal<typeof import('../../../../engine/maintenance/consolidator.ts')>()
  class Watched extends original.Consolidator {
    constructor(host: ConsolidatorHost) {
      super(
        Object.assign(Object.create(host) as ConsolidatorHost, {
          snapshotsOf: () => views.snapshots,
          expiryClock: () => views.clock,
          mayDropExpired: () => views.mayDropExpired,
        }),
      )
      consolidator = this
    }
  }
  return { ...original, Consolidator: Watched }
})

beforeEach(() => {
  views.snapshots = []
  views.clock = 0
  views.mayDropExpired = false
})

const options = { ownSegmentBytes: 2048, commitLogFileBytes: 64 * 1024, commitLogFileBytesFirst: 64 * 1024 }
const manual = { ...options, autoConsolidate: false }

type Model = Map<string, string>

function put(key: string, value: string, expiry?: number): StoreRecord {
  return { kind: 'put', key: bytesOf(key), value: bytesOf(value), ...(expiry === undefined ? {} : { expiry }) }
}
const del = (key: string): StoreRecord => ({ kind: 'delete', key: bytesOf(key) })
const delRange = (from: string, to: string): StoreRecord => ({ kind: 'range-delete', key: bytesOf(from), value: bytesOf(to) })

function apply(model: Model, records: readonly StoreRecord[]): void {
  for (const { kind, key, value } of records) {
    const name = textOf(key) as string
    if (kind === 'put') model.set(name, textOf(value) as string)
    else if (kind === 'delete') model.delete(name)
    else for (const other of [...model.keys()]) if (other >= name && other < (textOf(value) as string)) model.delete(other)
  }
}

function randomRecords(random: SimRandom, count: number, keys: number): StoreRecord[] {
  const key = (n: number): string => `k${String(n).padStart(3, '0')}`
  return Array.from({ length: count }, () => {
    const n = random.below(keys)
    if (random.chance(0.02)) return delRange(key(n), key(n + random.below(8)))
    return random.chance(0.2) ? del(key(n)) : put(key(n), `${random.below(1000)}-${'v'.repeat(random.below(60))}`)
  })
}

/** Newest first. */
function runsOf(database: Database, name: string): PartRef[] {
  return internals(database.log(name))
    .parts.filter(part => part.type === PART_RUN)
    .reverse()
}

interface Found {
  readonly kind: number
  readonly key: string
  readonly value: string
  readonly sequence: number
}

function recordsOf(run: PartRef): Found[] {
  const found: Found[] = []
  const cursor = new RunCursor(run.reader, run.part)
  while (cursor.next()) {
    const { buffer, keyStart, keyBytes, valueStart, valueBytes, kind, sequence } = cursor.record
    const key = textOf(buffer.subarray(keyStart, keyStart + keyBytes)) as string
    found.push({ kind, key, value: textOf(buffer.subarray(valueStart, valueStart + valueBytes)) as string, sequence })
  }
  return found
}

/** What the runs say about the moment; everything was flushed. */
function visibleAt(runs: readonly PartRef[], sequence: number): Model {
  const model: Model = new Map()
  for (const record of runs.flatMap(recordsOf).sort((a, b) => a.sequence - b.sequence)) {
    if (record.sequence > sequence) continue
    const kind = record.kind === STORE_PUT ? 'put' : record.kind === STORE_DELETE ? 'delete' : 'range-delete'
    apply(model, [{ kind, key: bytesOf(record.key), value: bytesOf(record.value) }])
  }
  return model
}

const sorted = (model: Model): [string, string][] => [...model].sort((a, b) => (a[0] < b[0] ? -1 : 1))

/** Closes the database and checks every byte of its folder. */
async function closeSound(database: Database): Promise<void> {
  await database.close()
  const report = await verify(folder, { environment: database.environment })
  expect(report.findings).toEqual([])
}

async function flush(database: Database, name: string, records: readonly StoreRecord[]): Promise<void> {
  await database.log(name).appendRecords(records).durable
  await database.seal()
}

describe('a store that is written again and again', () => {
  test.each([1, 2, 3])('keeps few runs, reads as the model, and every snapshot as it was, seed %i', async seed => {
    const environment = newEnvironment(seed)
    await environment.drive(async () => {
      const database = await openSim(environment, options)
      await database.define([{ name: 'a', kind: 'store' }])
      const { random } = environment
      const model: Model = new Map()
      const held: { sequence: number; state: [string, string][] }[] = []
      for (let i = 0; i < 60; i++) {
        const records = randomRecords(environment.random as SimRandom, 20 + random.below(60), 300)
        apply(model, records)
        await flush(database, 'a', records)
        if (i % 12 === 5) held.push({ sequence: database.stats().sequence - 1, state: sorted(model) })
        if (i % 20 === 19) held.shift()
        views.snapshots = held.map(({ sequence }) => sequence)
        if (i % 10 !== 9) continue
        await database.consolidate()
        const runs = runsOf(database, 'a')
        expect(runs.filter(({ level }) => level !== levelBottom).length).toBeLessThan(runPickDefaults.runsAim)
        expect(sorted(visibleAt(runs, Number.MAX_SAFE_INTEGER))).toEqual(sorted(model))
        for (const { sequence, state } of held) expect(sorted(visibleAt(runs, sequence))).toEqual(state)
      }
      const { counters } = consolidator
      expect(counters.runCompactions).toBeGreaterThan(5)
      expect(counters.failures).toBe(0)
      expect(counters.runBytesOut).toBe(consolidator.runs.bytesOutByLevel.reduce((sum, bytes) => sum + bytes))
      expect(counters.runBytesIn).toBe(consolidator.runs.bytesInByLevel.reduce((sum, bytes) => sum + bytes))
      expect(consolidator.runs.bytesOutByLevel[levelBottom]).toBeGreaterThan(0)

      views.snapshots = []
      await database.compactLog('a')
      const runs = runsOf(database, 'a').reverse()
      expect(runs.every(({ level }) => level === levelBottom)).toBe(true)
      // Nothing but what is seen: one record a key, no deletes.
      expect(runs.flatMap(recordsOf).map(({ key, value, kind }) => [key, value, kind])).toEqual(
        sorted(model).map(([key, value]) => [key, value, STORE_PUT]),
      )
      await closeSound(database)
    })
  })

  test('compactLog of one run writes it again when a snapshot that held its garbage is gone', async () => {
    const environment = newEnvironment(4)
    await environment.drive(async () => {
      const database = await openSim(environment, manual)
      await database.define([{ name: 'a', kind: 'store' }])
      await flush(database, 'a', [put('x', 'old'), put('y', 'old')])
      views.snapshots = [database.stats().sequence - 1]
      await flush(database, 'a', [put('x', 'new'), del('y')])
      await database.compactLog('a')
      expect(recordsOf(runsOf(database, 'a')[0] as PartRef).length).toBe(4)
      views.snapshots = []
      await database.compactLog('a')
      expect(recordsOf(runsOf(database, 'a')[0] as PartRef).map(({ key, value }) => `${key} ${value}`)).toEqual(['x new'])
      const { merges } = consolidator.counters
      await database.compactLog('a')
      expect(consolidator.counters.merges).toBe(merges)
      await database.close()
    })
  })

  test('deletes stay while something older lies below them, and for good in a versioned store', async () => {
    const environment = newEnvironment(5)
    await environment.drive(async () => {
      const database = await openSim(environment, manual)
      await database.define([
        { name: 'a', kind: 'store' },
        { name: 'v', kind: 'store', versioned: true },
      ])
      const large = Array.from({ length: 100 }, (_, i) => put(`k${i + 100}`, 'v'.repeat(200)))
      await flush(database, 'a', large)
      await database.compactLog('a')
      for (let i = 0; i < 4; i++) await flush(database, 'a', [del(`k${i + 100}`), ...large.slice(10 + i * 6, 15 + i * 6)])
      await database.consolidate()
      const [upper, ...pieces] = runsOf(database, 'a') as [PartRef, ...PartRef[]]
      expect(upper.level).toBe(1)
      expect(pieces.every(({ level }) => level === levelBottom)).toBe(true)
      expect(recordsOf(upper).filter(({ kind }) => kind === STORE_DELETE).length).toBe(4)
      await database.compactLog('a')
      const merged = runsOf(database, 'a')
      expect(merged.every(({ level }) => level === levelBottom)).toBe(true)
      expect(merged.flatMap(recordsOf).filter(({ kind }) => kind === STORE_DELETE)).toEqual([])

      const version = { ms: 10, counter: 0, node: 1 }
      await flush(database, 'v', [{ ...del('gone'), version }])
      await flush(database, 'v', [{ ...put('gone', 'late'), version: { ...version, ms: 5 } }])
      await database.compactLog('v')
      expect(recordsOf(runsOf(database, 'v')[0] as PartRef).map(({ kind }) => kind)).toEqual([STORE_DELETE])
      await database.close()
    })
  })
})

describe('what nobody sees goes unread', () => {
  test('a run under a range delete, once no snapshot lies between them', async () => {
    const environment = newEnvironment(6)
    await environment.drive(async () => {
      const database = await openSim(environment, manual)
      await database.define([{ name: 'a', kind: 'store' }])
      const base = Array.from({ length: 100 }, (_, i) => put(`b${i}`, 'v'.repeat(100)))
      await flush(database, 'a', base)
      await database.consolidate()
      await flush(
        database,
        'a',
        Array.from({ length: 40 }, (_, i) => put(`k${i}`, 'v'.repeat(100))),
      )
      views.snapshots = [database.stats().sequence - 1]
      await flush(database, 'a', [put('z', 'stays'), delRange('k', 'l')])
      await database.consolidate()
      expect(consolidator.counters.merges).toBe(0)
      views.snapshots = []
      await flush(database, 'a', [put('zzz', 'stays')])
      await database.consolidate()
      expect(consolidator.counters).toMatchObject({ runsDropped: 1, bytesIn: 0, runCompactions: 0 })
      const runs = runsOf(database, 'a')
      expect(runs.flatMap(({ recordCount, level }) => (level === levelBottom ? [] : [recordCount]))).toEqual([1, 2, 0])
      const keys = [...base.map(({ key }) => textOf(key) as string), 'z', 'zzz'].sort()
      expect(sorted(visibleAt(runs, Number.MAX_SAFE_INTEGER)).map(([key]) => key)).toEqual(keys)
      await closeSound(database)
      const reopened = await openSim(environment, manual)
      expect(runsOf(reopened, 'a').length).toBe(runs.length)
      await reopened.compactLog('a')
      expect(
        runsOf(reopened, 'a')
          .flatMap(recordsOf)
          .map(({ key }) => key)
          .sort(),
      ).toEqual(keys)
      await closeSound(reopened)
    })
  })

  test('a run whose records all expired, and expired records at the bottom', async () => {
    const environment = newEnvironment(7)
    await environment.drive(async () => {
      const database = await openSim(environment, manual)
      await database.define([{ name: 'a', kind: 'store' }])
      const batch = (prefix: string, expiry: number | undefined, length = 40): StoreRecord[] =>
        Array.from({ length }, (_, i) => put(`${prefix}${i}`, 'v'.repeat(100), expiry))
      // So many that what follows is left above them.
      await flush(database, 'a', batch('a', undefined, 200))
      await flush(database, 'a', batch('m', 1000))
      await flush(database, 'a', [...batch('p', 2000), put('q', 'stays')])
      views.clock = 1500
      await database.consolidate()
      expect(consolidator.counters.runsDropped).toBe(0)
      views.mayDropExpired = true
      await flush(database, 'a', [put('b', 'stays')])
      const before = consolidator.counters
      await database.consolidate()
      expect(consolidator.counters.runsDropped).toBe(1)
      expect(
        runsOf(database, 'a')
          .flatMap(recordsOf)
          .some(({ key }) => key.startsWith('m')),
      ).toBe(false)
      expect(consolidator.counters.bytesIn - before.bytesIn).toBeLessThan(4000)
      views.clock = 2000
      views.snapshots = [1]
      await database.compactLog('a')
      expect(
        runsOf(database, 'a')
          .flatMap(recordsOf)
          .filter(({ key }) => key.startsWith('p')).length,
      ).toBe(40)
      views.snapshots = []
      await database.compactLog('a')
      expect(
        runsOf(database, 'a')
          .flatMap(recordsOf)
          .filter(({ key }) => key.startsWith('p')),
      ).toEqual([])
      await closeSound(database)
    })
  })
})

describe('many stores', () => {
  test('tiny ones are merged together, not one file each', async () => {
    const environment = newEnvironment(8)
    await environment.drive(async () => {
      const database = await openSim(environment, manual)
      const names = Array.from({ length: 40 }, (_, i) => `tiny${i}`)
      await database.define(names.map(name => ({ name, kind: 'store' as const })))
      const flushes = runPickDefaults.runsAim + 2
      for (let i = 0; i < flushes; i++) {
        for (const name of names) void database.log(name).appendRecords([put(`k${i % 3}`, `${name} ${i}`)])
        await database.seal()
      }
      const groups = consolidator.runs.next()
      expect(groups.map(group => [group.parts.length, group.level])).toEqual(names.map(() => [flushes, levelBottom]))
      await database.consolidate()
      expect(database.stats().segments.count).toBeLessThanOrEqual(3)
      for (const name of names) {
        const runs = runsOf(database, name)
        expect(runs.length).toBe(1)
        expect(sorted(visibleAt(runs, Number.MAX_SAFE_INTEGER))).toEqual([
          ['k0', `${name} 9`],
          ['k1', `${name} 10`],
          ['k2', `${name} 11`],
        ])
      }
      await closeSound(database)
    })
  })

  test('large ones take turns', async () => {
    const environment = newEnvironment(9)
    await environment.drive(async () => {
      const database = await openSim(environment, manual)
      const names = ['a', 'b', 'c']
      await database.define(names.map(name => ({ name, kind: 'store' as const })))
      for (let i = 0; i < 4; i++) {
        for (const name of names) void database.log(name).appendRecords(Array.from({ length: 30 }, (_, n) => put(`k${n}`, 'v'.repeat(80))))
        await database.seal()
      }
      const served = Array.from({ length: 5 }, () => consolidator.runs.next().map(({ name }) => name))
      expect(served).toEqual([['a'], ['b'], ['c'], ['a'], ['b']])
      await database.consolidate()
      for (const name of names) expect(runsOf(database, name).length).toBe(1)
      await database.close()
    })
  })
})

test('who asks for a compaction waits for one merge in the background, not for all', async () => {
  const environment = newEnvironment(12)
  await environment.drive(async () => {
    const database = await openSim(environment, manual)
    const names = ['a', 'b', 'c', 'd']
    await database.define(names.map(name => ({ name, kind: 'store' as const })))
    for (let i = 0; i < 4; i++) {
      for (const name of names) void database.log(name).appendRecords(Array.from({ length: 30 }, (_, n) => put(`k${n}`, 'v'.repeat(80))))
      await database.seal()
    }
    consolidator.wake()
    await database.compactLog('d')
    expect(names.map(name => runsOf(database, name).length)).toEqual([1, 4, 4, 1])
    await database.consolidate()
    expect(names.map(name => runsOf(database, name).length)).toEqual([1, 1, 1, 1])
    await database.close()
  })
})

describe('when the machine dies', () => {
  test('in the middle of a compaction, the old runs or the new ones are there, and nothing is lost', async () => {
    let crashes = 0
    for (let point = 0; ; point += 3) {
      const environment = newEnvironment(10)
      const model: Model = new Map()
      let held: { sequence: number; state: [string, string][] } = { sequence: 0, state: [] }
      await environment.drive(async () => {
        const database = await openSim(environment, manual)
        await database.define([{ name: 'a', kind: 'store' }])
        for (let i = 0; i < 5; i++) {
          const records = randomRecords(environment.random as SimRandom, 60, 100)
          apply(model, records)
          await flush(database, 'a', records)
          if (i === 2) held = { sequence: database.stats().sequence - 1, state: sorted(model) }
        }
        views.snapshots = [held.sequence]
        await database.close()
      })
      const { crashed } = await runUntilCrash(environment, point, async () => {
        const database = await openSim(environment, manual)
        await database.consolidate()
        await database.close()
      })
      if (!crashed) break
      crashes++
      const after = newEnvironment(11, environment.disk)
      await after.drive(async () => {
        const database = await openSim(after, manual)
        const runs = runsOf(database, 'a')
        const isMerged = runs.every(({ level }) => level === levelBottom)
        if (!isMerged) expect(runs.length).toBe(5)
        expect(sorted(visibleAt(runs, Number.MAX_SAFE_INTEGER))).toEqual(sorted(model))
        expect(sorted(visibleAt(runs, held.sequence))).toEqual(held.state)
        await database.consolidate()
        expect(runsOf(database, 'a').every(({ level }) => level === levelBottom)).toBe(true)
        await closeSound(database)
      })
    }
    expect(crashes).toBeGreaterThan(5)
  })
})
