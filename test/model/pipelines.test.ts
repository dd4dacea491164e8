/**
 * Goal: whatever verbs follow each other, a flow gives the rows that an interpreter gives which does each of them over arrays: in one thread and in several, in memory and spilled.
 * See pipelines.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model/pipelines runs that seed alone. `npm run soak:pipelines` runs as many as asked.
 */
import { describe, expect } from 'vitest'
import { testSeeds } from '../support/seeds.ts'
import { runPipelines } from './pipelines.ts'

describe('random pipelines', () => {
  testSeeds({
    groups: 1,
    perGroup: 8,
    run: runPipelines,
    check: reports => {
      const met = new Set(reports.flatMap(({ verbs }) => Object.keys(verbs)))
      expect(met.size).toBe(13)
      expect(reports.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThan(1000)
    },
  })
})
