/** Goal: retention by time and size keeps what it must, whole parts at a time, whatever the clock says. */
import { describe, expect, test } from 'vitest'
import { retentionPoint } from '../../../../stream/retention/retention-point.ts'

const parts = (...list: [endOffset: number, bytes: number, maxTimestamp: number][]) =>
  list.map(([endOffset, bytes, maxTimestamp], index) => {
    return { firstOffset: index === 0 ? 0 : (list[index - 1] as [number, number, number])[0], endOffset, bytes, maxTimestamp }
  })
const three = parts([10, 100, 1000], [20, 200, 2000], [30, 300, 3000])

describe('by time', () => {
  test.each([
    [1500, undefined],
    [2000, undefined], // exactly as old as the limit: stays
    [2001, 10],
    [3001, 20],
    [9000, 30],
  ])('at %d with 1 s', (now, offset) => {
    expect(retentionPoint(three, { timeMs: 1000 }, now, 30)?.offset).toBe(offset)
  })

  test('a younger part keeps the older ones behind it, and a clock set back deletes nothing', () => {
    const mixed = parts([10, 1, 1000], [20, 1, 9000], [30, 1, 1000])
    expect(retentionPoint(mixed, { timeMs: 100 }, 5000, 30)?.offset).toBe(10)
    expect(retentionPoint(mixed, { timeMs: 100 }, 900, 30)).toBeUndefined()
  })

  test('parts without timestamps stay', () => {
    expect(retentionPoint(parts([10, 1, -1]), { timeMs: 1 }, 1e15, 10)).toBeUndefined()
  })

  test('a limit of 0 ms takes all that is past', () => {
    expect(retentionPoint(three, { timeMs: 0 }, 3000, 30)?.offset).toBe(20)
  })
})

describe('by size', () => {
  test.each([
    [0, 30],
    [300, 20],
    [301, 10],
    [499, 10],
    [500, 10],
    [501, undefined],
    [600, undefined],
    [1e9, undefined],
  ])('%d bytes stay at least', (bytes, offset) => {
    expect(retentionPoint(three, { bytes }, 0, 30)?.offset).toBe(offset)
  })
})

test('the further of the two limits counts, and is named', () => {
  expect(retentionPoint(three, { timeMs: 1000, bytes: 300 }, 2500, 30)).toEqual({ offset: 20, bytes: 300, reason: 'bytes' })
  expect(retentionPoint(three, { timeMs: 0, bytes: 500 }, 2500, 30)).toEqual({ offset: 20, bytes: 300, reason: 'time' })
})

test('nothing that is held back goes, and nothing without limits', () => {
  expect(retentionPoint(three, { bytes: 0 }, 0, 19)?.offset).toBe(10)
  expect(retentionPoint(three, { bytes: 0 }, 0, 9)).toBeUndefined()
  expect(retentionPoint(three, {}, 1e15, 30)).toBeUndefined()
  expect(retentionPoint([], { timeMs: 0, bytes: 0 }, 1e15, 30)).toBeUndefined()
})
