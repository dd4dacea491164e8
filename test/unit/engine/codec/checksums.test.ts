import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../../engine/codec/crc32c.ts'
import { loadChecksums, XXH64_BYTES, Xxh64Stream, xxh64Equals, xxh64Into, xxh64Low32 } from '../../../../engine/codec/xxh64.ts'
import { fromText, hex, makeRandom, seeded } from './random.ts'

function xxh64Hex(bytes: Uint8Array): string {
  const target = new Uint8Array(XXH64_BYTES)
  xxh64Into(bytes, 0, bytes.length, target, 0)
  return hex(target.reverse())
}

/** A bit at a time: too slow to use, too simple to be wrong. */
function slowCrc(bytes: Uint8Array): number {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

describe('xxh64', () => {
  it('asserts that it was loaded, and loads once', async () => {
    expect(() => xxh64Low32(new Uint8Array(1), 0, 1)).toThrow('loadChecksums')
    expect(() => new Xxh64Stream()).toThrow('loadChecksums')
    expect(loadChecksums()).toBe(loadChecksums())
    await loadChecksums()
  })

  it("gives the reference implementation's results", async () => {
    await loadChecksums()
    expect(xxh64Hex(fromText(''))).toBe('ef46db3751d8e999')
    expect(xxh64Hex(fromText('a'))).toBe('d24ec4f1a98c6e5b')
    expect(xxh64Hex(fromText('abc'))).toBe('44bc2cf5ad770999')
    expect(xxh64Hex(fromText('Nobody inspects the spammish repetition'))).toBe('fbcea83c8a378bf1')
    expect(xxh64Low32(fromText('abc'), 0, 3)).toBe(0xad770999)
  })

  it('is the same in shared memory, at any position, in pieces, and for inputs longer than a piece', async () => {
    await loadChecksums()
    await seeded(random => {
      for (const size of [0, 1, 31, 32, 33, 1000, 256 * 1024, 256 * 1024 + 1, 700_001]) {
        const start = random.below(16)
        const shared = new Uint8Array(new SharedArrayBuffer(start + size + 20))
        const noise = makeRandom(size)
        for (let i = 0; i < shared.length; i++) shared[i] = noise.below(256)
        const whole = xxh64Hex(shared.slice(start, start + size))
        const end = start + size
        xxh64Into(shared, start, end, shared, end)
        expect(hex(shared.slice(end, end + 8).reverse())).toBe(whole)
        expect(xxh64Equals(shared, start, end, shared, end)).toBe(true)
        const stream = new Xxh64Stream()
        for (let at = start; at < end; ) {
          const next = Math.min(end, at + 1 + random.below(size))
          stream.update(shared, at, next)
          at = next
        }
        const target = new Uint8Array(10)
        stream.digestInto(target, 2)
        expect(hex(target.subarray(2).reverse())).toBe(whole)
        shared[end + random.below(8)]! ^= 1 << random.below(8)
        expect(xxh64Equals(shared, start, end, shared, end)).toBe(false)
      }
    })
    expect(xxh64Equals(new Uint8Array(9), 0, 1, new Uint8Array(9), 4)).toBe(false)
    expect(() => xxh64Into(new Uint8Array(9), 0, 10, new Uint8Array(8), 0)).toThrow('range')
    expect(() => xxh64Into(new Uint8Array(9), 0, 9, new Uint8Array(8), 1)).toThrow('fits')
  })
})

describe('CRC-32C', () => {
  it('gives the results of RFC 3720, appendix B.4', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c)
    expect(crc32c(fromText('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(0))).toBe(0)
  })

  it('is the same for every length on both ways to compute it, in shared memory, and continued', async () => {
    await seeded(random => {
      for (let size = 0; size < 400; size++) {
        const bytes = new Uint8Array(new SharedArrayBuffer(size + 9))
        bytes.set(random.bytes(size + 9))
        const start = random.below(10)
        const expected = slowCrc(bytes.slice(start, start + size))
        expect(crc32c(bytes, start, start + size)).toBe(expected)
        const cut = start + random.below(size + 1)
        expect(crc32c(bytes, cut, start + size, crc32c(bytes, start, cut))).toBe(expected)
      }
      const long = random.bytes(200_003)
      expect(crc32c(long)).toBe(slowCrc(long))
    })
    expect(() => crc32c(new Uint8Array(3), 0, 4)).toThrow('range')
  })
})
