/**
 * Goal: every kind of anomaly is found wherever it is put into a valid history: each mutation strikes many random histories, at a random place of each, and the
 * anomaly that it is expected to make is reported every time.
 */
import { describe, expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { type AnomalyKind, anomalyKinds } from '../../../support/history/anomaly.ts'
import { checkHistory } from '../../../support/history/check.ts'
import type { HistoryEvent } from '../../../support/history/history.ts'
import { mutations, Victim } from '../../../support/history/mutations.ts'
import { validHistory, validHistoryRules } from '../../../support/history/valid-history.ts'

const seeds = 25
const histories = Array.from({ length: seeds }, (_, i) => validHistory(10_000 + i))

function evidence(events: readonly HistoryEvent[], kind: AnomalyKind): string[] {
  return checkHistory(events, validHistoryRules)
    .anomalies.filter(anomaly => anomaly.kind === kind)
    .map(anomaly => anomaly.evidence)
}

describe('mutations of valid histories', () => {
  test.each(mutations)('$name: $expected', ({ apply, expected }) => {
    let struck = 0
    for (const [i, events] of histories.entries()) {
      // A valid history may have some kinds too, which Kafka's model allows; another cycle may then be one with the first.
      const before = new Set(evidence(events, expected))
      if (expected === 'G0' && before.size > 0) continue
      const spoiled = apply(new Victim(events, validHistoryRules, new SimRandom(i)))
      if (spoiled === undefined) continue
      struck++
      expect(evidence(spoiled, expected).filter(text => !before.has(text)).length, `history ${i}`).toBeGreaterThan(0)
    }
    expect(struck).toBeGreaterThan(seeds / 5)
  })

  test('every kind of anomaly is made by some mutation', () => {
    const made = new Set<AnomalyKind>(mutations.map(({ expected }) => expected))
    expect(anomalyKinds.filter(kind => !made.has(kind))).toEqual([])
  })
})
