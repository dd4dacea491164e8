/** Goal: histories that are valid by construction are found clean, and they are rich enough that this says something. */
import { expect, test } from 'vitest'
import { checkHistory, describeFailures } from '../../../support/history/check.ts'
import { validHistory, validHistoryRules } from '../../../support/history/valid-history.ts'

const seeds = 150

test(`${seeds} random valid histories are clean`, () => {
  const totals = { committed: 0, aborted: 0, unknown: 0, reads: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const report = checkHistory(validHistory(seed), validHistoryRules)
    expect(describeFailures(report), `seed ${seed}`).toBe('')
    expect(report.fullyRead.size, `seed ${seed}`).toBe(5)
    totals.committed += report.committed
    totals.aborted += report.aborted
    totals.unknown += report.unknown
    totals.reads += report.reads
  }
  expect(totals.committed).toBeGreaterThan(seeds * 10)
  expect(totals.aborted).toBeGreaterThan(seeds)
  expect(totals.reads).toBeGreaterThan(seeds * 50)
})
