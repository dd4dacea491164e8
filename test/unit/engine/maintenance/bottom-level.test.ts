/**
 * Goal: a store whose bottom is merged piece by piece reads as the model at every moment, in between steps and after reopening too; runs above go when
 * every region has them; and the disk never holds twice what is live. A simulated database with pieces of a kilobyte.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { SimEnvironment, SimRandom } from '../../../../engine/env/index.ts'
import type { PartRef } from '../../../../engine/log/parts.ts'
import { isNeeded, isPiece, regionsOf } from '../../../../engine/maintenance/bottom-level.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import type { Snapshot } from '../../../../engine/store/snapshots.ts'
import { coreOf, type Store } from '../../../../engine/store/store.ts'
import { verify } from '../../../../engine/tools/verify.ts'
import { folder, newEnvironment, openSim, runUntilCrash } from '../../../probes/support.ts'

const options = {
  ownSegmentBytes: 128,
  commitLogFileBytes: 32 * 1024,
  commitLogFileBytesFirst: 16 * 1024,
  frameBytesMax: 8 * 1024,
  autoConsolidate: false,
}

const keyCount = 400
const keyOf = (n: number): string => `k${String(n).padStart(4, '0')}`

interface World {
  readonly db: Database
  readonly store: Store<string, string>
  readonly model: Map<string, string>
  readonly held: { readonly snapshot: Snapshot; readonly state: ReadonlyMap<string, string> }[]
}

async function write({ store, model }: World, random: SimRandom, count: number, keys: number): Promise<void> {
  let last: Promise<unknown> = Promise.resolve()
  for (let i = 0; i < count; i++) {
    const n = random.below(keys)
    const key = keyOf(n)
    if (random.chance(0.02)) {
      const end = keyOf(n + random.below(keys / 4))
      last = store.delRange({ gte: key, lt: end })
      for (const other of [...model.keys()]) if (other >= key && other < end) model.delete(other)
    } else if (random.chance(0.15)) {
      last = store.del(key)
      model.delete(key)
    } else {
      const value = `${random.below(1e6)} ${'v'.repeat(random.below(60))}`
      last = store.put(key, value)
      model.set(key, value)
    }
  }
  await last
}

const sorted = (model: ReadonlyMap<string, string>): [string, string][] => [...model].sort((a, b) => (a[0] < b[0] ? -1 : 1))

function check({ store, model, held }: World, random: SimRandom): void {
  const entries = sorted(model)
  expect([...store.entries()]).toEqual(entries)
  expect([...store.entries({ reverse: true })]).toEqual([...entries].reverse())
  for (let i = 0; i < 40; i++) {
    const key = keyOf(random.below(keyCount))
    expect(store.get(key), key).toBe(model.get(key))
  }
  const [gte, lt] = [keyOf(random.below(keyCount)), keyOf(random.below(keyCount))].sort() as [string, string]
  expect([...store.keys({ gte, lt })]).toEqual(entries.map(([key]) => key).filter(key => key >= gte && key < lt))
  for (const { snapshot, state } of held) expect([...store.entries({ snapshot })]).toEqual(sorted(state))
}

/** Oldest first. */
const runsOf = ({ store }: World): PartRef[] => coreOf(store).table.log.parts.filter(part => part.type === PART_RUN)

/** What the design promises of the parts, whatever was merged. */
function checkParts(world: World): { pieces: number; isPartlyMerged: boolean } {
  const runs = runsOf(world)
  const regions = regionsOf(runs) ?? []
  const above = runs.filter(run => !isPiece(run))
  if (regions.length > 0) {
    expect(regions[0]?.range.from).toBe(undefined)
    expect(regions.at(-1)?.range.to).toBe(undefined)
    expect(regions.every(({ piece }) => piece !== undefined)).toBe(true)
    // The oldest run above is there for some region.
    const oldest = above.find(({ recordCount }) => recordCount > 0)
    if (oldest !== undefined) expect(regions.some(region => isNeeded(oldest, region))).toBe(true)
  }
  for (let i = 1; i < above.length; i++) expect(above[i - 1]!.endOffset).toBe(above[i]!.firstOffset)
  return { pieces: regions.length, isPartlyMerged: above.length > 0 && new Set(regions.map(({ endOffset }) => endOffset)).size > 1 }
}

async function closeSound(db: Database): Promise<void> {
  await db.close()
  expect((await verify(folder, { environment: db.environment })).findings).toEqual([])
}

describe.each([1, 2])('seed %i', seed => {
  test('reads as the model between steps, with snapshots, and after reopening', async () => {
    const environment = newEnvironment(seed)
    const random = environment.random as SimRandom
    const seen = { pieces: 0, partly: 0 }
    await environment.drive(async () => {
      const open = async (): Promise<Pick<World, 'db' | 'store'>> => {
        const db = await openSim(environment, options)
        return { db, store: db.store<string, string>('s', { keys: 'string', value: 'string' }) }
      }
      let world: World = { ...(await open()), model: new Map(), held: [] }
      for (let round = 0; round < 60; round++) {
        // Now and then only a part of the keys, so that pieces are merged at different times.
        await write(world, random, 20 + random.below(80), random.chance(0.3) ? 40 : keyCount)
        await world.db.seal()
        if (random.chance(0.2)) world.held.push({ snapshot: world.db.snapshot(), state: new Map(world.model) })
        if (random.chance(0.15)) world.held.shift()?.snapshot.close()
        if (random.chance(0.3)) await world.store.compact()
        else if (random.chance(0.7)) await world.db.consolidate()
        check(world, random)
        const { pieces, isPartlyMerged } = checkParts(world)
        seen.pieces = Math.max(seen.pieces, pieces)
        if (isPartlyMerged) seen.partly++
        if (!random.chance(0.1)) continue
        await closeSound(world.db)
        world = { ...(await open()), model: world.model, held: [] }
        check(world, random)
      }
      for (const { snapshot } of world.held.splice(0)) snapshot.close()
      await world.store.compact()
      check(world, random)
      const runs = runsOf(world)
      expect(runs.every(isPiece)).toBe(true)
      // Nothing but what is seen.
      expect(runs.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(world.model.size)
      await closeSound(world.db)
    })
    expect(seen.pieces).toBeGreaterThan(6)
    expect(seen.partly).toBeGreaterThan(0)
  })
})

/** Bytes of all segments, live or not deleted yet. */
function segmentBytes(environment: SimEnvironment): number {
  let bytes = 0
  for (const name of environment.files.listSync(folder)) {
    if (name.endsWith('.seg')) bytes += environment.files.statSync(`${folder}/${name}`)?.size ?? 0
  }
  return bytes
}

test('while a store is written over again and again, the disk holds less than twice what is live, and one flush', async () => {
  const environment = newEnvironment(5)
  const random = environment.random as SimRandom
  await environment.drive(async () => {
    const db = await openSim(environment, { ...options, commitLogFileBytesFirst: 32 * 1024, autoConsolidate: true })
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const keys = 1500
    for (let n = 0; n < keys; n++) store.put(keyOf(n), 'v'.repeat(200)).catch(() => undefined)
    await db.seal()
    await store.compact()
    const live = segmentBytes(environment)
    let peak = 0
    let operations = 0
    const unhook = environment.disk.onOperation(() => {
      if (operations++ % 8 === 0) peak = Math.max(peak, segmentBytes(environment))
    })
    for (let i = 0; i < keys * 3; i++) {
      const written = store.put(keyOf(random.below(keys)), 'w'.repeat(200))
      if (i % 20 === 0) await written
    }
    unhook()
    const { merge } = db.stats()
    expect(merge.runCompactions).toBeGreaterThan(20)
    // A flush takes what has gathered: at most four files.
    expect(peak).toBeLessThan(2 * live + 32 * 1024)
    await db.seal()
    await store.compact()
    expect(store.stats().bytes).toBeLessThan(1.2 * keys * 205)
    await closeSound(db)
  })
})

test('a store that dies in the middle of its steps goes on with them', async () => {
  let crashes = 0
  for (let point = 0; point < 400; point += 11) {
    const environment = newEnvironment(6)
    const model = new Map<string, string>()
    await environment.drive(async () => {
      const db = await openSim(environment, options)
      const world: World = { db, store: db.store<string, string>('s', { keys: 'string', value: 'string' }), model, held: [] }
      for (let i = 0; i < 6; i++) {
        await write(world, environment.random as SimRandom, 150, keyCount)
        await db.seal()
        if (i === 2) await world.store.compact()
      }
      await db.close()
    })
    const { crashed } = await runUntilCrash(environment, point, async () => {
      const db = await openSim(environment, options)
      await db.consolidate()
      await db.close()
    })
    if (!crashed) break
    crashes++
    const after = newEnvironment(7, environment.disk)
    await after.drive(async () => {
      const db = await openSim(after, options)
      const world: World = { db, store: db.store<string, string>('s', { keys: 'string', value: 'string' }), model, held: [] }
      check(world, after.random as SimRandom)
      await db.consolidate()
      check(world, after.random as SimRandom)
      checkParts(world)
      await closeSound(db)
    })
  }
  expect(crashes).toBeGreaterThan(8)
})
