/** Goal: what is dirty enough or too old is compacted, the dirtiest first, and nothing else. */
import { expect, test } from 'vitest'
import { chooseCompactions, dirtyRatio, isCompactionDue } from '../../../../stream/retention/compaction-choice.ts'

const limits = { dirtyRatioMin: 0.5, lagMsMax: 1000 }
const facts = (cleanBytes: number, dirtyBytes: number, dirtySince?: number) => ({ cleanBytes, dirtyBytes, dirtySince })

test('the ratio counts dirty bytes among all', () => {
  expect(dirtyRatio(facts(0, 0))).toBe(0)
  expect(dirtyRatio(facts(100, 0))).toBe(0)
  expect(dirtyRatio(facts(75, 25))).toBe(0.25)
  expect(dirtyRatio(facts(0, 1))).toBe(1)
})

test.each([
  ['at the ratio', facts(50, 50), 0, true],
  ['below it', facts(51, 50), 0, false],
  ['below it, and as old as the limit', facts(99, 1, 0), 1000, false],
  ['below it, and older than the limit', facts(99, 1, 0), 1001, true],
  ['nothing dirty, however old', facts(100, 0, 0), 1e9, false],
  ['a clock that was set back', facts(99, 1, 5000), 10, false],
] as const)('%s', (_, given, now, due) => {
  expect(isCompactionDue(given, limits, now)).toBe(due)
})

test('a ratio of 0 wants something dirty', () => {
  expect(isCompactionDue(facts(10, 0), { dirtyRatioMin: 0, lagMsMax: Number.POSITIVE_INFINITY }, 0)).toBe(false)
  expect(isCompactionDue(facts(10, 1), { dirtyRatioMin: 0, lagMsMax: Number.POSITIVE_INFINITY }, 0)).toBe(true)
})

test('the dirtiest comes first', () => {
  const candidates = [facts(50, 50), facts(90, 10), facts(0, 5), facts(20, 80)].map(given => ({ facts: given, limits }))
  expect(chooseCompactions(candidates, 0).map(({ facts: { dirtyBytes } }) => dirtyBytes)).toEqual([5, 80, 50])
})
