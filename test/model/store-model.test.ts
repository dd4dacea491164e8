/**
 * Goal: every verb of a store answers as a sorted array would, at the newest moment and at snapshots, with indexes, expiry, transactions and a change
 * feed, over flushes, compactions, reopenings, kills and power loss at any disk operation. See store-model.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model/store-model runs that seed alone. `npm run soak:store` runs as many as asked.
 */
import { describe, expect, it } from 'vitest'
import { runStoreModel } from './store-model.ts'

const only = process.env.VARVE_SEED
const groups = 4
const seedsPerGroup = 6

describe('stores against sorted arrays', () => {
  if (only !== undefined) {
    it(`seed ${only}`, async () => {
      expect((await runStoreModel(Number(only))).seed).toBe(Number(only))
    }, 120_000)
    return
  }
  for (let group = 0; group < groups; group++) {
    const first = 1 + group * seedsPerGroup
    it(`seeds ${first} to ${first + seedsPerGroup - 1}`, async () => {
      for (let seed = first; seed < first + seedsPerGroup; seed++) {
        const report = await runStoreModel(seed)
        expect(report.opens).toBeGreaterThan(1)
      }
    }, 120_000)
  }
})
