/**
 * Goal: logs hold exactly what was put into them, through flushes, merges, compaction, leases, reopening, kills and power loss, in whatever
 * order and overlap. Random programs are compared with plain arrays, see model.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model runs that seed alone. `npm run soak:model` runs as many as asked.
 */
import { describe, expect } from 'vitest'
import { testSeeds } from '../support/seeds.ts'
import { runModel } from './model.ts'

describe('logs against plain arrays', () => {
  testSeeds({
    groups: 5,
    perGroup: 5,
    run: runModel,
    check: reports => {
      for (const { opens } of reports) expect(opens).toBeGreaterThan(1)
    },
  })
})
