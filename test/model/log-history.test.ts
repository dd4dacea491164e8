/**
 * Goal: what topic logs promise those who build topics on them holds over many lives of a machine, as the checker of histories judges it; and the checker
 * finds each way of getting it wrong, so that its silence means something. See log-history.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model/log-history runs that seed alone. `npm run soak:stream` runs as many as asked.
 */
import { describe, expect, it } from 'vitest'
import type { AnomalyKind } from '../support/history/anomaly.ts'
import { sumsOf } from '../support/history/held.ts'
import type { Faults } from '../support/history/log-clients.ts'
import { onlySeed, testSeeds } from '../support/seeds.ts'
import { checkLogHistory, runLogHistory } from './log-history.ts'

describe('histories of topic logs', () => {
  testSeeds({
    perGroup: 6,
    run: checkLogHistory,
    check: histories => {
      const { deaths, committed } = sumsOf(histories)
      expect(deaths).toBeGreaterThan(histories.length)
      expect(committed).toBeGreaterThan(histories.length * 50)
    },
  })
})

const breaks: readonly (readonly [keyof Faults, AnomalyKind])[] = [
  ['lies', 'unseen'],
  ['forgetsIdentity', 'duplicate'],
  ['reorders', 'nonmonotonic-send'],
  ['showsAborted', 'G1a'],
  ['ignoresLastStable', 'precommitted-read'],
  ['lastStableOffByOne', 'precommitted-read'],
  ['skipsRecord', 'poll-skip'],
  ['rereads', 'nonmonotonic-poll'],
  ['commitsFirst', 'group-lost'],
  ['splitsTransaction', 'group-duplicate'],
  ['tears', 'unseen'],
]
const seedsMax = 40

describe.skipIf(onlySeed !== undefined)('what is broken is found', () => {
  it.each(breaks)('%s: %s', async (fault, kind) => {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const { report } = await runLogHistory(seed, { [fault]: true })
      if (report.failures.some(failure => failure.kind === kind)) {
        expect(report.counts[kind]).toBeGreaterThan(0)
        return
      }
    }
    expect.fail(`no seed up to ${seedsMax} shows ${kind}`)
  })
})
