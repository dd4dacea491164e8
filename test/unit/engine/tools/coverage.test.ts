/** Goal: parts of a log that claim the same offset are told, and parts below its start that are still there are not taken for such. */
import { expect, test } from 'vitest'
import type { PartRef } from '../../../../engine/log/parts.ts'
import { PART_BODY } from '../../../../engine/segment/format.ts'
import { coverageOf } from '../../../../engine/tools/coverage.ts'

function parts(...ranges: readonly (readonly [number, number])[]): PartRef[] {
  return ranges.map(([firstOffset, endOffset], part) => {
    const ref: Partial<PartRef> = { type: PART_BODY, firstOffset, endOffset, part, reader: { path: 'segment' } as PartRef['reader'] }
    return ref as PartRef
  })
}

test('trimmed in the middle of the second part, while the first one is still there', () => {
  expect(coverageOf(parts([0, 17], [17, 41]), PART_BODY, 25, 41)).toMatchObject({ holes: [], overlaps: [] })
})

test('an overlap is told, also when only one of both is above the start', () => {
  expect(coverageOf(parts([0, 17], [16, 41]), PART_BODY, 0, 41).overlaps).toHaveLength(1)
  expect(coverageOf(parts([0, 17], [16, 41]), PART_BODY, 25, 41).overlaps).toHaveLength(1)
  expect(coverageOf(parts([0, 17], [16, 41]), PART_BODY, 50, 50).overlaps).toEqual([])
})

test('a hole is told, from the start on', () => {
  expect(coverageOf(parts([0, 17], [30, 41]), PART_BODY, 25, 50).holes).toEqual([
    [25, 30],
    [41, 50],
  ])
})
