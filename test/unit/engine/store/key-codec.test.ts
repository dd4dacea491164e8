/** Goal: encoded keys sort by memcmp exactly as documented, come back as they were, have bytes that never change, and never mislead when they are damaged. */
import { describe, expect, test } from 'vitest'
import { isVarveError } from '../../../../engine/errors.ts'
import {
  compareStoreKeys,
  decodeKey,
  encodeKey,
  KEY_SIZE_MAX,
  KeyEncoder,
  keyCodecOf,
  type StoreKey,
} from '../../../../engine/store/key-codec.ts'
import { fromHex, hex, type Random, seeded } from '../codec/random.ts'
import { decodedForm, naiveOrder, randomKey, randomText } from './random-keys.ts'

const decoded = (bytes: Uint8Array): StoreKey => decodeKey(bytes, 0, bytes.length)

/** What a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

/** These lie on disk: a change of any is a new format. Ascending. */
const golden: readonly (readonly [StoreKey, string])[] = [
  [null, '01'],
  [false, '02'],
  [true, '03'],
  [Number.NEGATIVE_INFINITY, '10'],
  [-(2n ** 64n), '11 f6 fe ff ff ff ff ff ff ff ff'],
  [-(2n ** 64n) + 1n, '12 00 00 00 00 00 00 00 00'],
  [-256, '18 fe ff'],
  [-2.5, '19 fc ff c0 1f ff ff ff ff ff ff'],
  [-2, '19 fd'],
  [-1, '19 fe'],
  [-5e-324, '19 fe ff ff ff ff ff ff ff ff fe'],
  [0, '1a'],
  [5e-324, '1a ff 00 00 00 00 00 00 00 01'],
  [0.5, '1a ff 3f e0 00 00 00 00 00 00'],
  [1, '1b 01'],
  [255, '1b ff'],
  [255.5, '1b ff ff 3f e0 00 00 00 00 00 00'],
  [256, '1c 01 00'],
  [2 ** 32, '1f 01 00 00 00 00'],
  [Number.MAX_SAFE_INTEGER, '21 1f ff ff ff ff ff ff'],
  [2n ** 53n + 1n, '21 20 00 00 00 00 00 01'],
  [2n ** 64n - 1n, '22 ff ff ff ff ff ff ff ff'],
  [2n ** 64n, '23 09 01 00 00 00 00 00 00 00 00'],
  [Number.POSITIVE_INFINITY, '24'],
  [new Date(-1), '30 7f ff ff ff ff ff ff ff'],
  [new Date(0), '30 80 00 00 00 00 00 00 00'],
  [new Date(1700000000000), '30 80 00 01 8b cf e5 68 00'],
  ['', '40'],
  ['\0', '40 00'],
  ['ada', '40 61 64 61'],
  ['é', '40 c3 a9'],
  ['\uffee', '40 ef bf ae'],
  ['😀', '40 f0 9f 98 80'],
  [new Uint8Array(), '50'],
  [Uint8Array.of(0, 255), '50 00 ff'],
  [[], '60'],
  [
    [null, true, 'a\0b', Uint8Array.of(0), [[], 2.5], -1],
    '60 01 03 40 61 00 ff 62 00 50 00 ff 00 60 60 00 1b 02 ff 3f e0 00 00 00 00 00 00 00 19 fe',
  ],
  [[1], '60 1b 01'],
  [['eu', 7], '60 40 65 75 00 1b 07'],
  [[[]], '60 60 00'],
]

describe('bytes', () => {
  test.each(golden.map(([key, bytes]) => ({ name: show(key), key, bytes })))('$name has its bytes and comes back', ({ key, bytes }) => {
    expect(hex(encodeKey(key))).toBe(bytes.replaceAll(' ', ''))
    expect(decoded(fromHex(bytes))).toStrictEqual(decodedForm(key))
  })

  test('the table above is in order', () => {
    const encoded = golden.map(([key]) => encodeKey(key))
    expect(encoded.toSorted(Buffer.compare)).toStrictEqual(encoded)
  })

  test('one value has one encoding, as number or bigint', () => {
    for (const value of [0, 1, -1, 255, -256, 2 ** 31, -(2 ** 32), 2 ** 53, 2 ** 63, -(2 ** 64), 2 ** 64, 1e300, -1e300]) {
      expect(hex(encodeKey(value))).toBe(hex(encodeKey(BigInt(value))))
    }
    expect(hex(encodeKey(-0))).toBe(hex(encodeKey(0)))
  })
})

describe('random keys', () => {
  test('sort by memcmp as they sort by value', async () => {
    await seeded(random => {
      for (let round = 0; round < 60; round++) {
        const keys = Array.from({ length: 40 }, () => randomKey(random))
        // Neighbours: the same tuple with another end, which is where encodings go wrong.
        const tuples = keys.slice(0, 15).flatMap(key => [[key], [key, randomKey(random)], [[key], 1], [randomKey(random), key]])
        const all = [...keys, ...tuples].map(key => ({ key, bytes: encodeKey(key) }))
        for (const a of all) {
          for (const b of all) {
            const expected = naiveOrder(a.key, b.key)
            if (Math.sign(Buffer.compare(a.bytes, b.bytes)) !== expected) throw new Error(`bytes of ${show(a.key)} and ${show(b.key)}`)
            if (Math.sign(compareStoreKeys(a.key, b.key)) !== expected) throw new Error(`compare ${show(a.key)} and ${show(b.key)}`)
          }
        }
      }
    })
    expect(compareStoreKeys('\uffee', '😀')).toBeLessThan(0)
  })

  test('come back, from the middle of other bytes and through one encoder', async () => {
    expect.assertions(4000)
    const encoder = new KeyEncoder()
    await seeded(random => {
      for (let round = 0; round < 2000; round++) {
        const key = randomKey(random)
        const size = encoder.encode(key)
        const around = random.bytes(size + 20)
        around.set(encoder.bytes.subarray(0, size), 10)
        const back = decodeKey(around, 10, 10 + size)
        around.fill(0)
        expect(back).toStrictEqual(decodedForm(key))
        expect(Object.is(back, -0)).toBe(false)
      }
    })
  })
})

function show(key: StoreKey): string {
  return JSON.stringify(key, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
}

describe('prefixes', () => {
  /** Whether the range holds exactly the keys that begin with the prefix. */
  function checkRange(
    name: 'tuple' | 'string' | 'bytes',
    prefix: StoreKey,
    keys: readonly StoreKey[],
    begins: (key: StoreKey) => boolean,
  ): void {
    const codec = keyCodecOf(name)
    const { start, end } = codec.prefixRange(prefix)
    const encoder = new KeyEncoder()
    for (const key of keys) {
      const size = codec.encodeInto(encoder, key)
      const bytes = encoder.bytes.slice(0, size)
      const inside = Buffer.compare(bytes, start) >= 0 && (end === undefined || Buffer.compare(bytes, end) < 0)
      if (inside !== begins(key)) throw new Error(`${name}: ${show(key)} with prefix ${show(prefix)} is ${inside ? 'inside' : 'outside'}`)
    }
  }

  const textBegins = (prefix: string) => (key: StoreKey) => typeof key === 'string' && key.startsWith(prefix)
  const bytesBegin = (prefix: Uint8Array) => (key: StoreKey) =>
    key instanceof Uint8Array && key.length >= prefix.length && naiveOrder(key.slice(0, prefix.length), prefix) === 0
  const tupleBegins = (prefix: readonly StoreKey[]) => (key: StoreKey) =>
    Array.isArray(key) && key.length >= prefix.length && naiveOrder(key.slice(0, prefix.length), prefix) === 0

  const shortBytes = (random: Random): Uint8Array => Uint8Array.from({ length: random.below(4) }, () => random.pick([0, 1, 254, 255]))
  const small = (random: Random): StoreKey =>
    random.pick<StoreKey>([2, 2.5, 3, -3, -2.5, 'a', 'a\0', 'ab', '', null, [], [2], [2.5], Uint8Array.of(0), true])
  const tuple = (random: Random): StoreKey[] => Array.from({ length: random.below(4) }, () => small(random))

  test('ranges hold exactly the keys that begin with the prefix', async () => {
    await seeded(random => {
      for (let round = 0; round < 60; round++) {
        const texts = Array.from({ length: 60 }, () => randomText(random))
        const keys = [...texts, ...Array.from({ length: 60 }, () => shortBytes(random)), ...Array.from({ length: 60 }, () => tuple(random))]
        for (let i = 0; i < 8; i++) keys.push(randomKey(random) as Uint8Array)
        const text = [...random.pick(texts)].slice(0, random.below(3)).join('')
        const raw = shortBytes(random)
        const elements = tuple(random)
        checkRange('tuple', text, keys, textBegins(text))
        checkRange('tuple', raw, keys, bytesBegin(raw))
        checkRange('tuple', elements, keys, tupleBegins(elements))
        checkRange('string', text, texts, textBegins(text))
        checkRange(
          'bytes',
          raw,
          keys.filter(key => key instanceof Uint8Array),
          bytesBegin(raw),
        )
      }
    })
    expect(hex(keyCodecOf('tuple').prefixRange([2]).start)).toBe('601b02')
    expect(hex(keyCodecOf('tuple').prefixRange([2]).end ?? fromHex(''))).toBe('601b02ff')
  })

  test('a range without end has none', () => {
    expect(keyCodecOf('bytes').prefixRange(Uint8Array.of(255, 255)).end).toBeUndefined()
    expect(keyCodecOf('string').prefixRange('').end).toBeUndefined()
    expect(keyCodecOf('tuple').prefixRange('').end).toStrictEqual(Uint8Array.of(0x41))
  })

  test('what is no prefix is refused by name', () => {
    for (const prefix of [1, null, true, new Date(0)]) expect(() => keyCodecOf('tuple').prefixRange(prefix)).toThrow(/^prefix must be/)
    expect(() => keyCodecOf('string').prefixRange([])).toThrow(/^prefix must be a string/)
    expect(() => keyCodecOf('bytes').prefixRange('a')).toThrow(/^prefix must be a Uint8Array/)
  })
})

describe('raw keys', () => {
  test('are the bytes alone and come back', () => {
    const encoder = new KeyEncoder()
    for (const text of ['', 'ada', 'a\0b', 'é😀', 'x'.repeat(500), 'é'.repeat(500)]) {
      const size = keyCodecOf('string').encodeInto(encoder, text)
      expect(Buffer.from(encoder.bytes.subarray(0, size)).toString()).toBe(text)
      expect(keyCodecOf('string').decode(encoder.bytes, 0, size)).toBe(text)
    }
    const raw = Uint8Array.of(0, 255, 7)
    const size = keyCodecOf('bytes').encodeInto(encoder, raw)
    const back = keyCodecOf('bytes').decode(encoder.bytes, 0, size)
    encoder.bytes.fill(9)
    expect(back).toStrictEqual(raw)
  })

  test('take their own type only', () => {
    const encoder = new KeyEncoder()
    expect(() => keyCodecOf('string').encodeInto(encoder, 1)).toThrow(/^key must be a string/)
    expect(() => keyCodecOf('bytes').encodeInto(encoder, 'a')).toThrow(/^key must be a Uint8Array/)
    expect(() => keyCodecOf('toString' as 'tuple')).toThrow(/^keys must be/)
  })
})

describe('what is no key', () => {
  const cyclic: StoreKey[] = []
  cyclic.push(cyclic)
  test.each([
    ['NaN', Number.NaN, /^key must not be NaN/],
    ['undefined', undefined, /^key must not be undefined/],
    ['an invalid date', new Date(Number.NaN), /^key must not be an invalid Date/],
    ['a lone high surrogate', 'a\ud800', /^key must not contain a lone surrogate/],
    ['a lone low surrogate', '\udc00b', /^key must not contain a lone surrogate/],
    ['two high surrogates', '\ud800\ud800\udc00', /^key must not contain a lone surrogate/],
    ['a lone surrogate in long text', `${'x'.repeat(100)}\ud800`, /^key must not contain a lone surrogate/],
    ['an object', {}, /^key must be a string.*not another object/],
    ['a symbol', Symbol('key'), /^key must be a string.*not a symbol/],
    ['a function', () => 1, /^key must be a string.*not a function/],
    ['a tuple that contains itself', cyclic, /^key must not nest/],
  ])('%s is refused by name, alone and in a tuple', (_, key, message) => {
    for (const refused of [key, [1, key]] as StoreKey[]) {
      const error = thrown(() => encodeKey(refused)) as Error
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
      expect(error.message).toMatch(message)
    }
    expect(hex(encodeKey(1))).toBe('1b01')
  })

  test('too large a key is refused with its limit, the largest one is not', () => {
    const encoder = new KeyEncoder()
    const raw = new Uint8Array(KEY_SIZE_MAX - 1)
    expect(encoder.encode(raw)).toBe(KEY_SIZE_MAX)
    expect(decodeKey(encoder.bytes, 0, KEY_SIZE_MAX)).toStrictEqual(raw)
    const tooLarge: StoreKey[] = [
      new Uint8Array(KEY_SIZE_MAX),
      'x'.repeat(KEY_SIZE_MAX),
      'é'.repeat(KEY_SIZE_MAX / 2),
      [raw],
      new Array(100_000).fill(1),
      2n ** 2040n,
      -(2n ** 2040n),
    ]
    for (const key of tooLarge) {
      const error = thrown(() => encoder.encode(key))
      expect(isVarveError(error, 'TOO_LARGE') && error.details.limit).toBe('key')
    }
    expect(decoded(encodeKey(-(2n ** 2040n) + 1n))).toBe(-(2n ** 2040n) + 1n)
  })

  test('tuples nest so deep and no deeper', () => {
    const nested = (depth: number): StoreKey => (depth === 1 ? [] : [nested(depth - 1)])
    expect(decoded(encodeKey(nested(64)))).toStrictEqual(nested(64))
    expect(() => encodeKey(nested(65))).toThrow(RangeError)
    expect(
      isVarveError(
        thrown(() => decoded(new Uint8Array(65).fill(0x60))),
        'CORRUPT',
      ),
    ).toBe(true)
  })
})

describe('damage', () => {
  test.each([
    ['no bytes', ''],
    ['an unknown tag', '04'],
    ['bytes after the end', '1b 01 00'],
    ['an integer cut off', '1c 01'],
    ['a leading zero', '1c 00 01'],
    ['a leading zero, complemented', '18 ff fe'],
    ['a large integer that is small', '23 08 01 00 00 00 00 00 00 00'],
    ['a fraction of one', '1a ff 3f f0 00 00 00 00 00 00'],
    ['a fraction of zero', '1a ff 00 00 00 00 00 00 00 00'],
    ['a fraction that is NaN', '1a ff 7f f8 00 00 00 00 00 00'],
    ['a fraction too fine for its integer', '1b 01 ff 00 00 00 00 00 00 00 01'],
    ['a date out of range', '30 ff ff ff ff ff ff ff ff'],
    ['text that is not UTF-8', '40 ff'],
    ['a surrogate in UTF-8', '40 ed a0 80'],
    ['overlong UTF-8', '40 c0 80'],
    ['text without end in a tuple', '60 40 61'],
    ['an escape and no end', '60 40 61 00 ff'],
    ['escaped text that is not UTF-8', '60 40 00 ff c0 00'],
    ['a tuple without end in a tuple', '60 60 01'],
  ])('%s is CORRUPT', (_, bytes) => {
    const error = thrown(() => decoded(fromHex(bytes)))
    expect(isVarveError(error, 'CORRUPT') && error.details.position).toBeTypeOf('number')
  })

  test('any bytes are CORRUPT or the one encoding of a key', async () => {
    let keys = 0
    await seeded(random => {
      const tags = [0, 1, 2, 3, 0x10, 0x11, 0x12, 0x19, 0x1a, 0x1b, 0x1c, 0x23, 0x24, 0x30, 0x40, 0x50, 0x60, 0x61, 0xff]
      for (let round = 0; round < 20_000; round++) {
        let bytes: Uint8Array
        if (round % 2 === 0)
          bytes = Uint8Array.from({ length: random.below(24) }, () => (random.below(2) === 0 ? random.pick(tags) : random.below(256)))
        else {
          bytes = encodeKey(randomKey(random))
          bytes[random.below(bytes.length)] = random.below(256)
          if (random.below(3) === 0) bytes = bytes.subarray(0, random.below(bytes.length + 1))
        }
        let key: StoreKey
        try {
          key = decoded(bytes)
        } catch (error) {
          if (!isVarveError(error, 'CORRUPT')) throw error
          continue
        }
        keys++
        if (hex(encodeKey(key)) !== hex(bytes)) throw new Error(`${hex(bytes)} is read as ${show(key)}`)
      }
    })
    expect(keys).toBeGreaterThan(500)
  })
})
