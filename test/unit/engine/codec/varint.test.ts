import { describe, expect, it } from 'vitest'
import { damagedBytes, placeDamage } from '../../../../engine/codec/damage.ts'
import {
  readVarint,
  readZigzag32,
  readZigzag53,
  varintEnd,
  varintSize,
  writeVarint,
  writeZigzag32,
  writeZigzag53,
  zigzag32Size,
  zigzag53Size,
} from '../../../../engine/codec/varint.ts'
import { VarveError } from '../../../../engine/errors.ts'
import { fromHex, hex, seeded } from './random.ts'

interface Coding {
  size(value: number): number
  write(target: Uint8Array, position: number, value: number): number
  read(source: Uint8Array, position: number, end?: number): number
}

const codings = {
  varint: { size: varintSize, write: writeVarint, read: readVarint, bits: 53, signed: false, min: 0, max: 2 ** 53 - 1 },
  zigzag32: { size: zigzag32Size, write: writeZigzag32, read: readZigzag32, bits: 31, signed: true, min: -(2 ** 31), max: 2 ** 31 - 1 },
  zigzag53: { size: zigzag53Size, write: writeZigzag53, read: readZigzag53, bits: 53, signed: true, min: 1 - 2 ** 53, max: 2 ** 53 - 1 },
}

function roundTrip(coding: Coding, value: number): string {
  const target = new Uint8Array(24).fill(0xee)
  const end = coding.write(target, 7, value)
  expect(end - 7).toBe(coding.size(value))
  expect([coding.read(target, 7), varintEnd]).toEqual([value, end])
  expect([coding.read(target, 7, end), varintEnd]).toEqual([value, end])
  expect(target[6]).toBe(0xee)
  expect(target[end]).toBe(0xee)
  for (let cut = 7; cut < end; cut++) expect(() => coding.read(target, 7, cut)).toThrow('cut off')
  expect(() => coding.read(target.subarray(0, end - 1), 7)).toThrow(VarveError)
  return hex(target.subarray(7, end))
}

describe('varints', () => {
  for (const [name, coding] of Object.entries(codings)) {
    it(`${name}: powers of two, one less and one more, come back, and their size is foretold`, () => {
      for (let bit = 0; bit <= coding.bits; bit++) {
        for (const near of [-1, 0, 1]) {
          for (const value of [2 ** bit + near, -(2 ** bit) + near]) {
            if (value >= coding.min && value <= coding.max) roundTrip(coding, value)
          }
        }
      }
      roundTrip(coding, coding.min)
      roundTrip(coding, coding.max)
    })

    it(`${name}: random numbers come back`, async () => {
      await seeded(random => {
        for (let i = 0; i < 500; i++) roundTrip(coding, random.integer(coding.bits, coding.signed))
      })
    })

    it(`${name}: random bytes are a number in range or CORRUPT`, async () => {
      await seeded(random => {
        for (let i = 0; i < 5000; i++) {
          const bytes = random.bytes(random.below(12))
          try {
            const value = coding.read(bytes, 0)
            if (!(Number.isSafeInteger(value) && value >= coding.min && value <= coding.max)) throw new Error(`${value} from ${hex(bytes)}`)
            if (varintEnd > bytes.length) throw new Error('read past the end')
          } catch (error) {
            if (!(error instanceof VarveError && error.code === 'CORRUPT')) throw error
          }
        }
      })
      expect(coding.read(Uint8Array.of(0), 0)).toBe(0)
    })
  }

  it('has exactly these bytes', () => {
    expect(roundTrip(codings.varint, 300)).toBe('ac02')
    expect(roundTrip(codings.varint, 2 ** 53 - 1)).toBe('ffffffffffffff0f')
    expect(roundTrip(codings.zigzag32, -1)).toBe('01')
    expect(roundTrip(codings.zigzag32, 64)).toBe('8001')
    expect(roundTrip(codings.zigzag32, -(2 ** 31))).toBe('ffffffff0f')
    expect(roundTrip(codings.zigzag53, 2 ** 53 - 1)).toBe('feffffffffffff1f')
    expect(roundTrip(codings.zigzag53, 1 - 2 ** 53)).toBe('fdffffffffffff1f')
  })

  it('refuses numbers that are too large to be exact, and writing them', () => {
    expect(() => readVarint(fromHex('8080808080808010'), 0)).toThrow('too large')
    expect(() => readVarint(fromHex('808080808080808001'), 0)).toThrow('too long')
    expect(() => readZigzag32(fromHex('8080808010'), 0)).toThrow('too large')
    expect(() => readZigzag53(fromHex('ffffffffffffff1f'), 0)).toThrow('too large')
    expect(() => readZigzag53(fromHex('ffffffffffffffffff01'), 0)).toThrow(VarveError)
    expect(() => readVarint(fromHex('00'), -1)).toThrow(VarveError)
    const target = new Uint8Array(10)
    expect(() => writeVarint(target, 0, -1)).toThrow('varint')
    expect(() => writeVarint(target, 0, 2 ** 53)).toThrow('varint')
    expect(() => writeVarint(target, 0, Number.NaN)).toThrow('varint')
    expect(() => writeZigzag32(target, 0, 2 ** 31)).toThrow('zigzag32')
    expect(() => writeZigzag53(target, 0, -(2 ** 53))).toThrow('zigzag53')
    expect(() => writeVarint(target, 9, 300)).toThrow('fits')
  })
})

describe('damage', () => {
  it('is placed in its file once, and other errors pass', () => {
    const placed = placeDamage(damagedBytes('bad', 5), 'a.seg', 100) as VarveError
    expect(placed.code).toBe('CORRUPT')
    expect(placed.details).toMatchObject({ file: 'a.seg', position: 105 })
    expect(placeDamage(placed, 'b.seg', 1)).toBe(placed)
    const other = new Error('other')
    expect(placeDamage(other, 'a.seg', 0)).toBe(other)
  })
})
