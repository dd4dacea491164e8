/**
 * Goal: every verb of a store answers as a sorted array would, at the newest moment and at snapshots, with indexes, expiry, transactions and a change
 * feed, over flushes, compactions, reopenings, kills and power loss at any disk operation. See store-model.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model/store-model runs that seed alone. `npm run soak:store` runs as many as asked.
 */
import { describe, expect } from 'vitest'
import { testSeeds } from '../support/seeds.ts'
import { runStoreModel } from './store-model.ts'

describe('stores against sorted arrays', () => {
  testSeeds({
    groups: 3,
    perGroup: 5,
    run: runStoreModel,
    check: reports => {
      for (const { opens } of reports) expect(opens).toBeGreaterThan(1)
    },
  })
})
