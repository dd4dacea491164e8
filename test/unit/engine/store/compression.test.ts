/**
 * Goal: a store with a codec reads as one without, wherever it is read from, and takes less room; the option may change with any opening, and compaction
 * brings the change to what is there; a codec that is not installed is told by name of package and store when the store is defined or opened, and costs
 * neither what was committed nor the other stores anything.
 */
import { expect, test, vi } from 'vitest'
import { loadPackage } from '../../../../engine/codec/optional-package.ts'
import { type Database, openDatabase } from '../../../../engine/database.ts'
import { createSimEnvironment } from '../../../../engine/env/index.ts'
import { openLease } from '../../../../engine/lease/open-lease.ts'
import type { CompressionName } from '../../../../engine/log/log.ts'
import { BlockCache } from '../../../../engine/store/block-cache.ts'
import { Run } from '../../../../engine/store/run.ts'
import { coreOf, type Store } from '../../../../engine/store/store.ts'
import type { StoreOptions } from '../../../../engine/store/store-options.ts'
import { stats } from '../../../../engine/tools/stats.ts'
import { verify } from '../../../../engine/tools/verify.ts'
import { folder, newEnvironment, openSim, smallOptions } from '../../../probes/support.ts'

vi.mock(import('../../../../engine/codec/optional-package.ts'), { spy: true })

type Texts = Store<string, number>

const count = 1000
const textOf = (i: number, round = 0): string => `${round}:${i} `.repeat(20)

async function fill(store: Texts, round = 0, step = 1): Promise<void> {
  const operations = []
  for (let i = 0; i < count; i += step) operations.push({ type: 'put', key: i, value: textOf(i, round) } as const)
  await store.batch(operations)
}

const expected = (round = 0): [number, string][] => Array.from({ length: count }, (_, i) => [i, textOf(i, round)])

/** Codecs of the blocks of all runs. */
function codecsOf(store: Texts): number[] {
  return [
    ...new Set(coreOf(store).table.pieces.flatMap(({ index }) => Array.from({ length: index.blockCount }, (_, i) => index.codec(i)))),
  ].sort()
}

const open = (db: Database, compression?: CompressionName, options: StoreOptions<string> = {}): Texts =>
  db.store<string, number>('s', { value: 'string', ...options, ...(compression === undefined ? {} : { compression }) })

test.each(['gzip', 'snappy', 'lz4'] as const)('%s: all reads, after flush, compaction, power loss and in a lease', async name => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = open(db, name, { changes: true, history: { retentionMs: 1e9 } })
    await fill(store)
    await db.seal()
    const { sequence } = db.stats()
    await fill(store, 1)
    await db.seal()
    for (let i = 0; i < 2; i++) {
      const { bytes, rawBytes } = store.stats()
      expect(bytes * 2).toBeLessThan(rawBytes)
      expect(codecsOf(store).length).toBeLessThanOrEqual(2)
      expect([...store.entries()]).toEqual(expected(1))
      expect([...store.entries({ reverse: true })].reverse()).toEqual(expected(1))
      expect(store.getMany([5, 999, 1000])).toEqual([textOf(5, 1), textOf(999, 1), undefined])
      expect(await store.getAsync(17)).toBe(textOf(17, 1))
      const past = store.asOf(sequence)
      expect([...past.entries()]).toEqual(expected())
      past.close()
      expect(store.readChanges(0, { limit: 3000 }).changes).toHaveLength(2 * count)
      const lease = await openLease(structuredClone(db.lease({ stores: ['s'] }).share()), environment.files)
      const leased = lease.store<string, number>('s')
      await store.compact()
      expect([...leased.entries()]).toEqual(expected(1))
      expect(leased.get(40)).toBe(textOf(40, 1))
      lease.release()
    }
  })
  environment.disk.crash()
  const again = newEnvironment(2, environment.disk)
  await again.drive(async () => {
    const db = await openSim(again)
    const store = open(db)
    expect([...store.entries()]).toEqual(expected(1))
    await db.close()
    const report = await verify(folder, { environment: again })
    expect(report.findings).toEqual([])
    expect((await stats(folder, { environment: again })).stores).toMatchObject([{ name: 's', compression: name }])
  })
})

test('memory-only databases compress too, and the block cache counts what blocks hold', async () => {
  const db = await openDatabase('mem', { storage: 'memory' })
  const store = open(db, 'snappy')
  await fill(store)
  await store.compact()
  expect(store.get(3)).toBe(textOf(3))
  const { bytes, rawBytes } = store.stats()
  expect(rawBytes).toBeGreaterThan(2 * bytes)
  const cache = new BlockCache(1 << 24)
  const run = new Run(coreOf(store).table.pieces[0]!.part, cache)
  for (let block = 0; block < run.index.blockCount; block++) {
    const start = run.index.keyStart(block)
    run.cursor().seek(run.index.bytes.slice(start, start + run.index.keyBytes(block)))
  }
  expect(cache.misses).toBeGreaterThanOrEqual(run.index.blockCount)
  // Blocks as they are read, and the numbers of keys that seeks have looked for in them.
  expect(cache.bytes).toBeGreaterThanOrEqual(rawBytes)
  expect(cache.bytes).toBeLessThan(1.2 * rawBytes)
  run.forget()
  expect(cache.bytes).toBe(0)
  await db.close()
})

test('another codec counts for new blocks, and for old ones when they are compacted; left out it stays', async () => {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    let db = await openSim(environment, { autoConsolidate: false })
    await fill(open(db))
    await db.seal()
    expect(codecsOf(open(db))).toEqual([0])
    const store = open(db, 'gzip')
    await store.ready()
    await fill(store, 1, 2)
    await db.seal()
    expect(codecsOf(store)).toEqual([0, 1])
    await db.close()
    db = await openSim(environment, { autoConsolidate: false })
    const reopened = open(db)
    await fill(reopened, 1)
    await db.seal()
    expect(codecsOf(reopened)).toEqual([0, 1])
    for (const [name, id] of [
      [undefined, 1],
      ['lz4', 3],
      ['none', 0],
      ['snappy', 2],
    ] as const) {
      const handle = open(db, name)
      await handle.ready()
      await handle.compact()
      expect(codecsOf(handle)).toEqual([id])
      const { runs } = coreOf(handle).table
      await handle.compact()
      // There is nothing left to change.
      expect(coreOf(handle).table.runs).toEqual(runs)
      expect([...handle.entries()]).toEqual(expected(1))
    }
    expect(db.get('store/s')?.options).toEqual({ store: { keys: 'tuple', value: 'string' }, compression: 'snappy' })
    await db.renameStore('s', 'renamed')
    expect([...db.store<string, number>('renamed').entries()]).toEqual(expected(1))
    await db.close()
  })
})

test('an unknown codec is refused by name', async () => {
  const environment = newEnvironment(4)
  await environment.drive(async () => {
    const db = await openSim(environment)
    expect(() => open(db, 'brotli' as CompressionName)).toThrow("compression must be 'none' or 'gzip'")
    expect(() => open(db, null as unknown as CompressionName)).toThrow('compression must be')
    await db.close()
  })
})

test('a codec that is not installed: CODEC_MISSING at the definition and at the opening, with package and store; all else goes on', async () => {
  const environment = newEnvironment(5)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = open(db, 'lz4')
    await fill(store)
    await db.seal()
    await fill(store, 1)
    await db.flush()
  })
  environment.disk.crash()
  // A process in which no codec was loaded yet and none can be.
  vi.resetModules()
  const errors = await import('../../../../engine/errors.ts')
  vi.mocked(loadPackage).mockImplementation((name, purpose) => {
    throw new errors.VarveError('CODEC_MISSING', `${purpose} needs the package ${name}`, { details: { package: name } })
  })
  try {
    const fresh = await import('../../../../engine/database.ts')
    const { taskRunners } = await import('../../../../engine/maintenance/tasks.ts')
    const bare = createSimEnvironment({ seed: 6, runners: taskRunners, disk: environment.disk })
    await bare.drive(async () => {
      const db = await fresh.openDatabase(folder, { ...smallOptions, environment: bare })
      const missing = (name: string, packageName: string) =>
        expect.objectContaining({
          code: 'CODEC_MISSING',
          message: expect.stringMatching(new RegExp(`store ${name}: .*${packageName}`)),
          details: expect.objectContaining({ store: name, package: packageName }),
        })
      const store = db.store('s', { value: 'string' })
      await expect(store.ready()).rejects.toEqual(missing('s', 'lz4-napi'))
      expect(() => store.get(1)).toThrow(missing('s', 'lz4-napi'))
      await expect(db.store('new', { compression: 'snappy' }).ready()).rejects.toEqual(missing('new', 'snappy'))
      expect(db.storeNames()).toEqual(['s'])
      // What was committed to the store comes to segments all the same, and other stores are merged.
      const other = db.store<string, number>('other', { value: 'string', compression: 'gzip' })
      for (let round = 0; round < 12; round++) {
        await other.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: i, value: `${round}` }) as const))
        await db.seal()
      }
      await db.consolidate()
      expect(db.stats().flush.failures).toBe(0)
      expect(db.stats().merge.failures).toBe(0)
      expect(other.stats().readAmplification).toBeLessThan(12)
      // Who asks for a merge all the same is told, and the statistics say what does not go on.
      await expect(db.compactLog('store/s')).rejects.toThrow(/needs the package lz4-napi/)
      expect(db.stats().merge).toMatchObject({ heldBack: [{ log: 'store/s', codec: 'lz4' }], failures: 0 })
      // The package is there: what waited goes on, in the same process.
      vi.mocked(loadPackage).mockRestore()
      expect(db.stats().merge.heldBack).toEqual([])
      await db.compactLog('store/s')
      const found = db.store<string, number>('s')
      await found.ready()
      expect([...found.entries()]).toEqual(expected(1))
      await db.close()
    })
  } finally {
    vi.mocked(loadPackage).mockRestore()
  }
  const again = newEnvironment(7, environment.disk)
  await again.drive(async () => {
    const db = await openSim(again)
    const store = open(db)
    expect([...store.entries()]).toEqual(expected(1))
    await store.compact()
    expect(codecsOf(store)).toEqual([3])
    await db.close()
  })
})
