/**
 * Goal: whatever moment the power fails or the process dies, also while recovering from such an end, the database opens again, holds every
 * acknowledged commit and exactly one moment of its history, and works on. See crash-points.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/crash runs that seed alone. `npm run soak:crash` runs as many as asked.
 */
import { describe, expect, it } from 'vitest'
import { onlySeed, testSeeds } from '../support/seeds.ts'
import { runCrashPoints } from './crash-points.ts'

describe('crash points', () => {
  testSeeds({
    groups: 8,
    run: seed => runCrashPoints(seed, { pointsMax: onlySeed === undefined ? 75 : 200 }),
    check: ([report]) => expect(report?.points).toBeGreaterThan(0),
  })

  // Opening, the first commits, closing: the moments with the most kinds of file operations are tried one by one.
  it.skipIf(onlySeed !== undefined)(
    'every operation of a short life',
    async () => {
      const { points, operations } = await runCrashPoints(1001, { pointsMax: 1000, steps: 6, density: 1 })
      expect(points).toBe(operations)
    },
    120_000,
  )
})
