/** Goal: the memory of a memtable that is gone comes again as zeros, unless a description may be read. */
import { expect, test } from 'vitest'
import { giveSharedNumbers, takeSharedNumbers } from '../../../../engine/store/shared-numbers.ts'

const count = 4096

test('what was given back comes again once, as zeros', () => {
  const first = takeSharedNumbers(count)
  first.fill(7)
  giveSharedNumbers(first)
  const second = takeSharedNumbers(count)
  expect(second).toBe(first)
  expect(second.every(value => value === 0)).toBe(true)
  expect(takeSharedNumbers(count)).not.toBe(first)
})

test('giving an array back twice is a broken invariant; small ones are left alone', () => {
  const numbers = takeSharedNumbers(count)
  giveSharedNumbers(numbers)
  expect(() => giveSharedNumbers(numbers)).toThrow('an array is given back once')
  expect(takeSharedNumbers(count)).toBe(numbers)
  const small = takeSharedNumbers(8)
  giveSharedNumbers(small)
  expect(takeSharedNumbers(8)).not.toBe(small)
})

test('no more than 8 MiB are kept', () => {
  const arrays = Array.from({ length: 12 }, () => takeSharedNumbers(1 << 18))
  for (const numbers of arrays) giveSharedNumbers(numbers)
  const again = Array.from({ length: 12 }, () => takeSharedNumbers(1 << 18)).filter(numbers => arrays.includes(numbers))
  expect(again.length).toBeLessThanOrEqual(8)
  expect(again.length).toBeGreaterThanOrEqual(6)
})
