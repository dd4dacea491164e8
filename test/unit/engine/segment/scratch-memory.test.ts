/** Goal: arrays that are given back are used again, never by two at a time, and only those that the pool made. */
import { expect, test } from 'vitest'
import { giveBytes, giveNumbers, TurningMemory, takeBytes, takeFloat64, takeUint32 } from '../../../../engine/segment/scratch-memory.ts'

const size = 64 * 1024

test('what was given back comes again, once', () => {
  const first = takeBytes(size - 1)
  expect(first.length).toBe(size)
  giveBytes(first)
  const second = takeBytes(size)
  const third = takeBytes(size)
  expect(second.buffer).toBe(first.buffer)
  expect(third.buffer).not.toBe(first.buffer)
})

test('giving an array back twice is a broken invariant', () => {
  const bytes = takeBytes(size)
  giveBytes(bytes)
  expect(() => giveBytes(new Uint8Array(bytes.buffer))).toThrow('an array is given back once')
  expect(takeBytes(size).buffer).toBe(bytes.buffer)
})

test('views, small arrays and those of other sizes are left alone', () => {
  for (const bytes of [takeBytes(size).subarray(1), new Uint8Array(100), new Uint8Array(size + 1)]) {
    giveBytes(bytes)
    expect(takeBytes(bytes.length).buffer).not.toBe(bytes.buffer)
  }
})

test('numbers come from the same memory', () => {
  const doubles = takeFloat64(size / 8 - 1)
  expect(doubles.length).toBe(size / 8 - 1)
  giveNumbers(doubles)
  const words = takeUint32(size / 4)
  expect(words.buffer).toBe(doubles.buffer)
})

test('the pool keeps no more than 16 MiB', () => {
  const arrays = Array.from({ length: 20 }, () => takeBytes(1 << 20))
  for (const bytes of arrays) giveBytes(bytes)
  const buffers = new Set(arrays.map(({ buffer }) => buffer))
  const again = Array.from({ length: 20 }, () => takeBytes(1 << 20)).filter(({ buffer }) => buffers.has(buffer))
  expect(again.length).toBeLessThanOrEqual(16)
  expect(again.length).toBeGreaterThanOrEqual(14)
})

test('memory of a walk: what was read holds until the read after the next', () => {
  const memory = new TurningMemory()
  const first = memory.turn(size)
  const second = memory.turn(size)
  expect(second.buffer).not.toBe(first.buffer)
  expect(memory.turn(size / 2).buffer).toBe(first.buffer)
  const larger = memory.turn(size * 2)
  expect(larger.length).toBe(size * 2)
  expect(larger.buffer).not.toBe(first.buffer)
  memory.release()
  memory.release()
  expect(takeBytes(size * 2).buffer).toBe(larger.buffer)
})

test('memory of a walk that cannot be had leaves two arrays that are two', () => {
  const memory = new TurningMemory()
  memory.turn(size)
  const second = memory.turn(size)
  expect(() => memory.turn(2 ** 52)).toThrow(RangeError)
  expect(memory.turn(size).buffer).not.toBe(second.buffer)
  expect(memory.turn(size).buffer).toBe(second.buffer)
  memory.release()
})
