/** Goal: flushes wait for merges of stores that are written over, and of no others: not of those that are filled, nor of small ones. */
import { expect, test } from 'vitest'
import { type DebtSegment, SpaceDebt } from '../../../../engine/maintenance/space-debt.ts'
import { LEVEL_BOTTOM, PART_RUN } from '../../../../engine/segment/format.ts'

/** A segment with one run of log 1. */
function segment(level: number, bytes: number, dropped: readonly number[] = []): DebtSegment {
  const directory = { partCount: 1, type: () => PART_RUN, logId: () => 1, level: () => level, byteCount: () => bytes }
  return { reader: { directory } as unknown as DebtSegment['reader'], row: { dropped } }
}

const bottom = segment(LEVEL_BOTTOM, 1000)

test('a store that is written over waits above half of its bottom', () => {
  const debt = new SpaceDebt(10)
  for (let i = 0; i < 3; i++) debt.learn(1, 100, 100)
  expect(debt.isTooLarge([bottom, segment(0, 490)])).toBe(false)
  expect(debt.isTooLarge([bottom, segment(0, 510)])).toBe(true)
  expect(debt.isTooLarge([bottom, segment(0, 510, [0])])).toBe(false)
})

test('one that is filled with new keys never does, and what is learned changes soon', () => {
  const debt = new SpaceDebt(10)
  debt.learn(1, 100, 0)
  expect(debt.isTooLarge([bottom, segment(0, 5000)])).toBe(false)
  expect(debt.wouldBeTooLarge([bottom], 5000)).toBe(false)
  for (let i = 0; i < 3; i++) debt.learn(1, 100, 100)
  expect(debt.isTooLarge([bottom, segment(0, 600)])).toBe(true)
  for (let i = 0; i < 3; i++) debt.learn(1, 100, -20)
  expect(debt.isTooLarge([bottom, segment(0, 600)])).toBe(false)
})

test('a flush is kept small while nothing is known, and stores of a few times a small segment do not count', () => {
  const debt = new SpaceDebt(10)
  expect(debt.isTooLarge([bottom, segment(0, 5000)])).toBe(false)
  expect(debt.wouldBeTooLarge([bottom, segment(0, 100)], 300)).toBe(false)
  expect(debt.wouldBeTooLarge([bottom, segment(0, 100)], 500)).toBe(true)
  expect(debt.wouldBeTooLarge([segment(LEVEL_BOTTOM, 100)], 5000)).toBe(false)
})
