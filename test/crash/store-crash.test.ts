/**
 * Goal: as crash.test.ts, for stores: wherever power fails in writes, flushes and compactions of runs, filters and indexes, the store opens again as it
 * was at one moment that no acknowledged commit is later than, its indexes and its change feed agree with it, and it works on.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/crash/store-crash runs that seed alone. `npm run soak:store-crash` runs many.
 */
import { describe, expect, it } from 'vitest'
import { runStoreCrashPoints } from './store-crash-points.ts'

const only = process.env.VARVE_SEED
const seeds = 5
const pointsMax = 40

describe('crash points of stores', () => {
  if (only !== undefined) {
    it(`seed ${only}`, async () => {
      expect((await runStoreCrashPoints(Number(only), { pointsMax: 200 })).points).toBeGreaterThan(0)
    }, 120_000)
    return
  }
  for (let seed = 1; seed <= seeds; seed++) {
    it(`seed ${seed}`, async () => {
      expect((await runStoreCrashPoints(seed, { pointsMax })).points).toBeGreaterThan(0)
    }, 120_000)
  }
})
