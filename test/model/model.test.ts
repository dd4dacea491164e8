/**
 * Goal: logs hold exactly what was put into them, through flushes, merges, compaction, leases, reopening, kills and power loss, in whatever
 * order and overlap. Random programs are compared with plain arrays, see model.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model runs that seed alone. `npm run soak:model` runs as many as asked.
 */
import { describe, expect, it } from 'vitest'
import { runModel } from './model.ts'

const only = process.env.VARVE_SEED
const groups = 8
const seedsPerGroup = 6

describe('logs against plain arrays', () => {
  if (only !== undefined) {
    it(`seed ${only}`, async () => {
      expect((await runModel(Number(only))).seed).toBe(Number(only))
    }, 120_000)
    return
  }
  for (let group = 0; group < groups; group++) {
    const first = 1 + group * seedsPerGroup
    it(`seeds ${first} to ${first + seedsPerGroup - 1}`, async () => {
      for (let seed = first; seed < first + seedsPerGroup; seed++) {
        const report = await runModel(seed)
        expect(report.opens).toBeGreaterThan(1)
      }
    }, 120_000)
  }
})
