import { describe, expect, it } from 'vitest'
import {
  type Extension,
  extensionsSize,
  readExtensions,
  skipExtensions,
  skipSizedExtensions,
  writeExtensions,
} from '../../../../engine/batch/extension.ts'
import { VarveError } from '../../../../engine/errors.ts'
import { fromHex, hex, seeded } from '../codec/random.ts'

function encode(extensions: readonly Extension[]): Uint8Array {
  const bytes = new Uint8Array(extensionsSize(extensions))
  expect(writeExtensions(bytes, 0, extensions)).toBe(bytes.length)
  return bytes
}

describe('extension fields', () => {
  it('have exactly these bytes, and come back with those that may be skipped', () => {
    const fields = [
      { tag: 2, bytes: fromHex('aabb') },
      { tag: 300, bytes: fromHex('') },
      { tag: 301, bytes: fromHex('cc') },
    ]
    const bytes = encode(fields)
    expect(hex(bytes)).toBe('0202aabbac0200ad0201cc')
    expect(readExtensions(bytes, 0, bytes.length, new Set([301]))).toEqual(fields)
    expect(readExtensions(bytes, 3, 3)).toEqual([])
  })

  it('that must be understood and are not known are NEWER_FORMAT, others are passed over', () => {
    const optional = encode([{ tag: 6, bytes: fromHex('01') }])
    const required = encode([{ tag: 7, bytes: fromHex('01') }])
    expect(() => skipExtensions(optional, 0, optional.length)).not.toThrow()
    expect(() => skipExtensions(required, 0, required.length)).toThrow(expect.objectContaining({ code: 'NEWER_FORMAT' }))
    const sized = Uint8Array.of(0xee, optional.length, ...optional, 0xee)
    expect(skipSizedExtensions(sized, 1)).toBe(sized.length - 1)
    expect(() => skipSizedExtensions(sized, 1, sized.length - 2)).toThrow('cut off')
  })

  it('are damaged when they do not fill their range or do not ascend', () => {
    for (const bytes of ['02', '0202aa', '0200 0200', '0400 0200', '82', '02ffffffffffffff0f']) {
      const source = fromHex(bytes)
      expect(() => readExtensions(source, 0, source.length)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
    expect(() =>
      writeExtensions(new Uint8Array(9), 0, [
        { tag: 2, bytes: fromHex('') },
        { tag: 2, bytes: fromHex('') },
      ]),
    ).toThrow('ascend')
    expect(() => writeExtensions(new Uint8Array(1), 0, [{ tag: 2, bytes: fromHex('') }])).toThrow('fit')
  })

  it('random fields come back, and random bytes give fields or a typed error', async () => {
    await seeded(random => {
      for (let round = 0; round < 300; round++) {
        const tags = new Set(Array.from({ length: random.below(6) }, () => random.integer(40, false)))
        const fields = [...tags].sort((a, b) => a - b).map(tag => ({ tag, bytes: random.bytes(random.below(200)) }))
        const bytes = encode(fields)
        expect(readExtensions(bytes, 0, bytes.length, tags)).toEqual(fields)
        if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256)
        try {
          readExtensions(bytes, 0, bytes.length, tags)
        } catch (error) {
          if (!(error instanceof VarveError)) throw error
        }
      }
    })
  })
})
