/**
 * Goal: what a store would hold if all was merged is known from its keys, before the first merge: flushes wait for merges of stores that are written over, and
 * never of those that are filled; what regions have already counts as garbage.
 */
import { expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { PartRef } from '../../../../engine/log/parts.ts'
import { regionsOf } from '../../../../engine/maintenance/bottom-level.ts'
import { spaceOf, tailShare } from '../../../../engine/maintenance/space-debt.ts'
import { LEVEL_BOTTOM, PART_RUN } from '../../../../engine/segment/format.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'
import { internals } from '../../../support/internals.ts'

const options = {
  ownSegmentBytes: 128,
  commitLogFileBytes: 256 * 1024,
  commitLogFileBytesFirst: 256 * 1024,
  frameBytesMax: 8 * 1024,
  autoConsolidate: false,
}
const keys = 1000
const keyOf = (n: number): string => `k${String(n).padStart(5, '0')}`

/** `[bytes, mergedBytes]` by the bytes of the bottom, and the share of the newest run. */
function space(db: Database): { readonly total: number; readonly merged: number; readonly newest: number } {
  const runs = internals(db.log('store/s')).parts.filter(part => part.type === PART_RUN)
  const bottom = runs.filter(run => run.level === LEVEL_BOTTOM).reduce((sum: number, run: PartRef) => sum + run.bytes, 0)
  const { bytes, mergedBytes, newestShare } = spaceOf(runs, regionsOf(runs) ?? [])
  return { total: bytes / bottom, merged: mergedBytes / bottom, newest: newestShare }
}

/** A store with all keys at its bottom, in pieces. */
async function withStore(body: (db: Database, write: (from: number, to: number) => Promise<void>) => Promise<void>): Promise<void> {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const write = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) store.put(keyOf(n), 'v'.repeat(50)).catch(() => undefined)
      await db.seal()
    }
    // Of two runs: one alone would stay what it is.
    await write(0, keys / 2)
    await write(keys / 2, keys)
    await store.compact()
    await body(db, write)
    await db.close()
  })
}

test('keys that are there already are garbage, new ones are not', async () => {
  await withStore(async (db, write) => {
    expect(space(db)).toEqual({ total: 1, merged: 1, newest: 1 })
    await write(0, keys)
    const over = space(db)
    expect(over.total).toBeCloseTo(2, 1)
    expect(over.merged).toBeLessThan(1.05)
    expect(over.newest).toBe(1)
  })
  await withStore(async (db, write) => {
    await write(keys, keys * 2)
    const filled = space(db)
    expect(filled.newest).toBeLessThan(0.1)
    expect(filled.merged).toBeGreaterThan(1.9)
    // The same keys once more: the run below has them, the bottom has not.
    await write(keys, keys * 2)
    expect(space(db).newest).toBeGreaterThan(0.9)
  })
})

test('deletes are garbage, whatever they delete', async () => {
  await withStore(async (db, _write) => {
    const store = db.store<string, string>('s')
    for (let n = keys; n < keys * 2; n++) store.del(keyOf(n)).catch(() => undefined)
    await db.seal()
    expect(space(db).newest).toBe(1)
  })
})

test('what was merged into the regions counts as garbage though it was new', async () => {
  await withStore(async (db, write) => {
    await write(keys, keys * 2)
    const runs = internals(db.log('store/s')).parts.filter(part => part.type === PART_RUN)
    const regions = regionsOf(runs) ?? []
    const end = Math.max(...runs.map(run => run.endOffset))
    const all = spaceOf(
      runs,
      regions.map(region => ({ ...region, endOffset: end })),
    )
    const newBytes = runs.filter(run => run.level !== LEVEL_BOTTOM).reduce((sum, run) => sum + run.bytes, 0)
    expect(all.bytes - all.mergedBytes).toBe(newBytes)
  })
})

test('what the next flush writes over is known before it comes, and not of a few records', async () => {
  await withStore(async db => {
    const log = internals(db.log('store/s'))
    const share = (): number | undefined =>
      tailShare(
        log,
        log.parts.filter(part => part.type === PART_RUN),
      )
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    expect(share()).toBeUndefined()
    for (let n = 0; n < 10; n++) await store.put(keyOf(n), 'w')
    expect(share()).toBeUndefined()
    for (let n = 10; n < 300; n++) await store.put(keyOf(n), 'w')
    expect(share()).toBe(1)
    for (let n = 0; n < 2700; n++) store.put(`${keyOf(n % keys)}${n} new`, 'w').catch(() => undefined)
    expect(share()).toBeLessThan(0.25)
  })
})
