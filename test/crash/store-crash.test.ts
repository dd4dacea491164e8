/**
 * Goal: as crash.test.ts, for stores: wherever power fails in writes, flushes and compactions of runs, filters and indexes, the store opens again as it
 * was at one moment that no acknowledged commit is later than, its indexes and its change feed agree with it, and it works on.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/crash/store-crash runs that seed alone. `npm run soak:store-crash` runs many.
 */
import { describe, expect } from 'vitest'
import { onlySeed, testSeeds } from '../support/seeds.ts'
import { runStoreCrashPoints } from './store-crash-points.ts'

describe('crash points of stores', () => {
  testSeeds({
    groups: 5,
    run: seed => runStoreCrashPoints(seed, { pointsMax: onlySeed === undefined ? 40 : 200 }),
    check: ([report]) => expect(report?.points).toBeGreaterThan(0),
  })
})
