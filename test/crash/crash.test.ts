/**
 * Goal: whatever moment the power fails or the process dies, also while recovering from such an end, the database opens again, holds every
 * acknowledged commit and exactly one moment of its history, and works on. See crash-points.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/crash runs that seed alone. `npm run soak:crash` runs as many as asked.
 */
import { describe, expect, it } from 'vitest'
import { runCrashPoints } from './crash-points.ts'

const only = process.env.VARVE_SEED
const seeds = 8
const pointsMax = 75

describe('crash points', () => {
  if (only !== undefined) {
    it(`seed ${only}`, async () => {
      expect((await runCrashPoints(Number(only), { pointsMax: 200 })).points).toBeGreaterThan(0)
    }, 120_000)
    return
  }
  for (let seed = 1; seed <= seeds; seed++) {
    it(`seed ${seed}`, async () => {
      const { points } = await runCrashPoints(seed, { pointsMax })
      expect(points).toBeGreaterThan(0)
    }, 120_000)
  }

  // Opening, the first commits, closing: the moments with the most kinds of file operations are tried one by one.
  it('every operation of a short life', async () => {
    const { points, operations } = await runCrashPoints(1001, { pointsMax: 1000, steps: 6, density: 1 })
    expect(points).toBe(operations)
  }, 120_000)
})
