import { describe, expect, it } from 'vitest'
import * as fixed from '../../../../engine/codec/fixed-width.ts'
import { VarveError } from '../../../../engine/errors.ts'
import { hex, seeded } from './random.ts'

type Read = (source: Uint8Array, position: number) => number
type Write = (target: Uint8Array, position: number, value: number) => number

const kinds: readonly [name: string, size: number, bits: number, signed: boolean, read: Read, write: Write, example: string][] = [
  ['u16 BE', 2, 16, false, fixed.readU16BE, fixed.writeU16BE, '0203'],
  ['u16 LE', 2, 16, false, fixed.readU16LE, fixed.writeU16LE, '0302'],
  ['i16 BE', 2, 15, true, fixed.readI16BE, fixed.writeU16BE, '0203'],
  ['u32 BE', 4, 32, false, fixed.readU32BE, fixed.write32BE, '00000203'],
  ['u32 LE', 4, 32, false, fixed.readU32LE, fixed.write32LE, '03020000'],
  ['i32 BE', 4, 31, true, fixed.readI32BE, fixed.write32BE, '00000203'],
  ['i32 LE', 4, 31, true, fixed.readI32LE, fixed.write32LE, '03020000'],
  ['u48 BE', 6, 48, false, fixed.readU48BE, fixed.writeU48BE, '000000000203'],
  ['u48 LE', 6, 48, false, fixed.readU48LE, fixed.writeU48LE, '030200000000'],
  ['i64 BE', 8, 53, true, fixed.readI64BE, fixed.writeI64BE, '0000000000000203'],
  ['i64 LE', 8, 53, true, fixed.readI64LE, fixed.writeI64LE, '0302000000000000'],
]

describe('fixed-width integers', () => {
  for (const [name, size, bits, signed, read, write, example] of kinds) {
    it(`${name}: limits and random values come back, in this byte order`, async () => {
      const target = new Uint8Array(size + 2).fill(0xee)
      const largest = Math.min(2 ** bits - 1, Number.MAX_SAFE_INTEGER)
      const values = [0, 1, 255, 256, largest, ...(signed ? [-1, -256, -largest] : [])]
      await seeded(random => {
        for (let i = 0; i < 300; i++) values.push(random.integer(Math.min(bits, 53), signed))
      })
      for (const value of values) {
        expect(write(target, 1, value)).toBe(1 + size)
        expect(read(target, 1)).toBe(value)
      }
      expect([target[0], target[size + 1]]).toEqual([0xee, 0xee])
      write(target, 1, 0x0203)
      expect(hex(target.subarray(1, 1 + size))).toBe(example)
    })

    it(`${name}: outside the bytes is an error, never zero`, () => {
      const bytes = new Uint8Array(size)
      for (const position of [-1, 1, size, Number.NaN]) {
        expect(() => read(bytes, position)).toThrow(VarveError)
        expect(() => write(bytes, position, 1)).toThrow(VarveError)
      }
    })
  }

  it('a 64-bit number that is not a safe integer is CORRUPT', () => {
    expect(() => fixed.readI64BE(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0), 0)).toThrow('safe')
    expect(() => fixed.readI64LE(new Uint8Array(8).fill(0x7f), 0)).toThrow('safe')
    expect(() => fixed.writeI64BE(new Uint8Array(8), 0, 2 ** 53)).toThrow('safe')
    expect(() => fixed.writeU48LE(new Uint8Array(8), 0, 2 ** 48)).toThrow('u48')
  })
})
