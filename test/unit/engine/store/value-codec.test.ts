/** Goal: values come back as they were and independent of the bytes, what has no bytes is refused by name, and damage is never read as a value of another size. */
import { addExtension } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { isVarveError } from '../../../../engine/errors.ts'
import {
  type CustomValueCodec,
  MsgpackValues,
  sharedStructuresMax,
  type ValueCodec,
  type ValueCodecName,
  valueCodecOf,
} from '../../../../engine/store/value-codec.ts'
import { fromHex, fromText, hex, type Random, seeded } from '../codec/random.ts'

/** Encodes, surrounds with other bytes, decodes, and then destroys the bytes. */
function roundTrip<V>(codec: ValueCodec<V>, value: V): V {
  const encoded = codec.encode(value)
  const around = new Uint8Array(encoded.length + 20).fill(0x93)
  around.set(encoded, 10)
  const back = codec.decode(around, 10, 10 + encoded.length)
  around.fill(0xee)
  return back
}

/** What a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

const names: readonly ValueCodecName[] = ['msgpack', 'json', 'string', 'bytes']
const msgpack = valueCodecOf('msgpack')

describe.each([
  ['without structures', () => new MsgpackValues()],
  ['with structures', () => new MsgpackValues({ structures: [] })],
])('msgpack %s', (_, make) => {
  const typed = {
    bigint: 7n,
    large: [2n ** 63n, 2n ** 64n, -(2n ** 70n), 2n ** 2000n],
    date: new Date(1_700_000_000_123),
    early: new Date(-1),
    map: new Map<unknown, unknown>([
      [1, 'one'],
      [{ a: 1 }, new Map([['inner', new Set([1n])]])],
    ]),
    set: new Set([1, new Map([[1, 2]]), 'a']),
    bytes: Uint8Array.of(1, 2, 3),
    buffer: Buffer.from('abc'),
    floats: Float64Array.of(1.5, 2.5),
    absent: undefined,
    list: [undefined, null, Number.NaN, Number.POSITIVE_INFINITY, 64, 127, 128, -33, 2 ** 40, 0.1, true],
    text: ['', 'é', '😀', 'x'.repeat(40), 'é'.repeat(300), 'x'.repeat(70_000)],
    object: { empty: {}, 'a b': 1, 7: 8 },
    pattern: /a+/g,
  }

  test('every type comes back, and again through the same codec', () => {
    const codec = make()
    for (let round = 0; round < 5; round++) expect(roundTrip<unknown>(codec, typed)).toStrictEqual(typed)
    for (const value of [null, 0, 64, 'a', 5n, true, new Map([[1, 2]]), new Date(Number.NaN), new Set(), [], {}, Uint8Array.of(7)]) {
      expect(roundTrip<unknown>(codec, value)).toStrictEqual(value)
    }
  })

  test('random records come back', async () => {
    expect.assertions(2000)
    await seeded(random => {
      const codec = make()
      for (let round = 0; round < 2000; round++) {
        const value = randomValue(random, 0)
        expect(roundTrip<unknown>(codec, value)).toStrictEqual(value)
      }
    })
  })

  test('a value larger than all buffers comes back, and small ones after it', () => {
    const codec = make()
    const large = { bytes: new Uint8Array(3_000_000).fill(7), rows: Array.from({ length: 70_000 }, (_, i) => ({ i })) }
    const back = roundTrip<unknown>(codec, large) as typeof large
    expect(Buffer.compare(back.bytes, large.bytes)).toBe(0)
    expect(JSON.stringify(back.rows)).toBe(JSON.stringify(large.rows))
    const wide = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i]))
    expect(JSON.stringify(roundTrip<unknown>(codec, wide))).toBe(JSON.stringify(wide))
    expect(roundTrip<unknown>(codec, { a: 1 })).toEqual({ a: 1 })
  })

  test('an object with a toJSON is what that returns, another its own properties', () => {
    const codec = make()
    class Point {
      x = 1
      readonly places = new Map([[1, 2]])
    }
    expect(roundTrip<unknown>(codec, [{ toJSON: () => new Map([[1, 2]]) }, new Point(), new URL('http://a/b')])).toStrictEqual([
      new Map([[1, 2]]),
      { x: 1, places: new Map([[1, 2]]) },
      'http://a/b',
    ])
  })

  test('what has no bytes is refused by name', () => {
    const codec = make()
    const cyclic: { self?: unknown } = {}
    cyclic.self = cyclic
    for (const value of [
      undefined,
      () => 1,
      Symbol('a'),
      { f: () => 1 },
      [new Map([[1, Symbol('a')]])],
      Promise.resolve(1),
      cyclic,
      { toJSON: () => undefined },
    ]) {
      const error = thrown(() => codec.encode(value))
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(/^value /)
    }
    expect(roundTrip<unknown>(codec, { a: 1 })).toEqual({ a: 1 })
  })

  test('any bytes are CORRUPT or a value', async () => {
    let damaged = 0
    await seeded(random => {
      const codec = make()
      const base = Uint8Array.from(codec.encode({ ...typed, text: ['a', 'é'] }))
      for (let round = 0; round < 4000; round++) {
        let bytes = round % 2 === 0 ? random.bytes(random.below(60)) : Uint8Array.from(base)
        if (round % 2 === 1) bytes[random.below(bytes.length)] = random.below(256)
        if (round % 4 === 3) bytes = bytes.subarray(0, random.below(bytes.length))
        try {
          if (codec.decode(bytes, 0, bytes.length) === undefined) throw new Error('undefined is no value')
        } catch (error) {
          if (!isVarveError(error, 'CORRUPT')) throw error
          damaged++
        }
      }
      // After all this the codec is as good as new.
      if (JSON.stringify(roundTrip<unknown>(codec, { a: [1] })) !== '{"a":[1]}') throw new Error('the codec is damaged')
    })
    expect(damaged).toBeGreaterThan(1000)
  })

  test('bytes cut off, continued, empty or nested without end are CORRUPT with the cause and the position', () => {
    const codec = make()
    const whole = Uint8Array.from(codec.encode({ a: 'text', b: [1, 2] }))
    for (let size = 0; size < whole.length; size++) {
      const error = thrown(() => codec.decode(whole, 0, size))
      expect(isVarveError(error, 'CORRUPT') && error.cause).toBeInstanceOf(Error)
    }
    const longer = new Uint8Array([9, ...whole, 0xc0])
    const error = thrown(() => codec.decode(longer, 1, longer.length))
    expect(isVarveError(error, 'CORRUPT') && error.details.position).toBe(1)
    for (const bytes of [
      new Uint8Array(50_000).fill(0x91),
      fromHex('d40000'),
      fromHex('dd ff ff ff ff'),
      fromHex('df ff ff ff ff'),
      fromHex('d46d00 91 01'),
    ]) {
      expect(
        isVarveError(
          thrown(() => codec.decode(bytes, 0, bytes.length)),
          'CORRUPT',
        ),
      ).toBe(true)
    }
  })

  test('reads shared memory and leaves the bytes as they were', () => {
    const codec = make()
    const encoded = codec.encode(typed)
    const shared = new Uint8Array(new SharedArrayBuffer(encoded.length))
    shared.set(encoded)
    expect(codec.decode(shared, 0, shared.length)).toStrictEqual(typed)
    expect(Object.keys(shared)).toHaveLength(shared.length)
    expect('dataView' in shared).toBe(false)
  })
})

function randomValue(random: Random, depth: number): unknown {
  switch (random.below(depth < 3 ? 12 : 8)) {
    case 0:
      return random.integer(53, true)
    case 1:
      return random.integer(8, true)
    case 2:
      return random.pick([null, true, false, Number.NaN, 0.1, 1e300])
    case 3:
      return BigInt(random.integer(53, true)) ** BigInt(random.below(4))
    case 4:
      return new Date(random.integer(45, true))
    case 5:
      return random.bytes(random.below(20))
    case 6:
    case 7:
      return Array.from({ length: random.below(random.pick([4, 40])) }, () => random.pick([...'abzé😀\0'])).join('')
    case 8:
      return Array.from({ length: random.below(4) }, () => randomValue(random, depth + 1))
    case 9:
      return new Map(Array.from({ length: random.below(4) }, (_, i) => [random.pick<unknown>([i, `${i}`]), randomValue(random, depth + 1)]))
    case 10:
      return new Set(Array.from({ length: random.below(3) }, () => randomValue(random, depth + 1)))
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(5) }, () => [random.pick([...'abcdefgh', 'long name']), randomValue(random, depth + 1)]),
      )
  }
}

describe('extensions of msgpackr', () => {
  /** Stands for a value that is kept elsewhere, as a reference to another key would. */
  class Reference {
    readonly to: number
    constructor(to: number) {
      this.to = to
    }
  }
  const codec = new MsgpackValues()
  const large = { inside: 'é'.repeat(500), list: Array.from({ length: 500 }, (_, i) => i) }
  const kept = [Uint8Array.from(codec.encode(large)), fromHex('91')]
  addExtension({
    Class: Reference,
    type: 41,
    write: (reference: Reference) => reference.to,
    read: (to: number) => codec.decode(kept[to] as Uint8Array, 0, kept[to]?.length ?? 0),
  })

  test('may decode a larger value by the same codec while one is being decoded', () => {
    const value = { before: 'text', boxed: new Reference(0), after: ['more text', 7n, 8, 9] }
    expect(roundTrip<unknown>(codec, value)).toStrictEqual({ ...value, boxed: large })
    const broken = Uint8Array.from(codec.encode([new Reference(1), 1]))
    expect(
      isVarveError(
        thrown(() => codec.decode(broken, 0, broken.length)),
        'CORRUPT',
      ),
    ).toBe(true)
    expect(roundTrip<unknown>(codec, value)).toStrictEqual({ ...value, boxed: large })
  })
})

describe('bytes of msgpack', () => {
  test('are pinned: plain records are standard MessagePack, and a Map is extension 6D', () => {
    expect(hex(msgpack.encode({ a: 1, b: 'x' }))).toBe('82a16101a162a178')
    expect(hex(msgpack.encode(new Map([['a', 1]])))).toBe('d46d0092a16101')
    const sharing = new MsgpackValues({ structures: [['a', 'b']] })
    expect(hex(sharing.encode({ a: 1, b: 64 }))).toBe('4001cc40')
  })
})

describe('shared structures', () => {
  const encodeTwice = (codec: MsgpackValues, value: unknown): Uint8Array => {
    codec.encode(value)
    return Uint8Array.from(codec.encode(value))
  }

  test('are lists of keys that came twice, and are read by another codec that is given them', () => {
    const writer = new MsgpackValues({ structures: [] })
    const values = [{ a: 1, b: { c: 2 } }, { a: 3, b: { c: 4 } }, { d: [{ c: 1 }, { e: 1 }] }, { d: [{ e: 2 }] }]
    const known = values.map(value => {
      const bytes = Uint8Array.from(writer.encode(value))
      return { bytes, structures: writer.structures }
    })
    expect(known.map(({ structures }) => structures)).toEqual([
      [],
      [['a', 'b'], ['c']],
      [['a', 'b'], ['c']],
      [['a', 'b'], ['c'], ['d'], ['e']],
    ])
    for (const [i, { bytes, structures }] of known.entries()) {
      // What is known when `encode` returns is enough.
      expect(new MsgpackValues({ structures }).decode(bytes, 0, bytes.length)).toEqual(values[i])
      expect(writer.decode(bytes, 0, bytes.length)).toEqual(values[i])
    }
  })

  test('are at most 64; other objects are written with their keys and still come back', () => {
    const writer = new MsgpackValues({ structures: [] })
    const values = Array.from({ length: 200 }, (_, i) => ({ [`key${i}`]: i, rest: { [`inner${i}`]: [i] } }))
    const encoded = values.map(value => encodeTwice(writer, value))
    const { structures } = writer
    expect(structures).toHaveLength(sharedStructuresMax)
    const reader = new MsgpackValues({ structures })
    expect(encoded.map(bytes => reader.decode(bytes, 0, bytes.length))).toEqual(values)
    const again = new MsgpackValues({ structures })
    expect(values.map(value => roundTrip<unknown>(again, value))).toEqual(values)
    for (const value of values) encodeTwice(again, value)
    expect(again.structures).toEqual(structures)
  })

  test('are not the keys of dictionaries: lists that come once, long ones, and many keys', () => {
    const writer = new MsgpackValues({ structures: [] })
    for (let i = 0; i < 5000; i++) writer.encode({ [`k${i}`]: i })
    expect(writer.structures).toEqual([])
    encodeTwice(writer, { ['x'.repeat(5000)]: 1 })
    encodeTwice(writer, Object.fromEntries(Array.from({ length: 65 }, (_, j) => [`k${j}`, j])))
    expect(writer.structures).toEqual([])
    encodeTwice(writer, { a: 1 })
    expect(writer.structures).toEqual([['a']])
  })

  test('endless other keys do not change what is shared', () => {
    const writer = new MsgpackValues({ structures: [] })
    for (let i = 0; i < 2100; i++) writer.encode(Object.fromEntries(Array.from({ length: 65 }, (_, j) => [`k${i}-${j}`, j])))
    expect(writer.structures).toEqual([])
    expect(hex(encodeTwice(writer, { a: 1 }))).toBe('4001')
    expect(roundTrip<unknown>(writer, { a: 2 })).toEqual({ a: 2 })
  })

  test('keys are kept as they are: numbers, lone surrogates, __proto__', () => {
    const writer = new MsgpackValues({ structures: [] })
    const plain = new MsgpackValues()
    for (const value of [{ 7: 1, a: 2 }, { 'a b"\\': 1 }, { é: 1, '': 2 }, JSON.parse('{"__proto__":{"a":1},"b":2}')]) {
      const bytes = encodeTwice(writer, value)
      const reader = new MsgpackValues({ structures: JSON.parse(JSON.stringify(writer.structures)) })
      expect(reader.decode(bytes, 0, bytes.length)).toEqual(roundTrip<unknown>(plain, value))
    }
  })

  test('a value that cannot be written leaves them as they were', () => {
    const writer = new MsgpackValues({ structures: [] })
    for (let i = 0; i < 3; i++) expect(thrown(() => writer.encode({ a: 1, big: { b: Symbol('x') } }))).toBeInstanceOf(TypeError)
    expect(writer.structures).toEqual([])
    expect(hex(encodeTwice(writer, { a: 1 }))).toBe('4001')
  })

  test('two encodings of a value are one in the plain codec', () => {
    const writer = new MsgpackValues({ structures: [] })
    const value = { a: 64, b: [{ c: 100 }] }
    const first = Uint8Array.from(writer.encode(value))
    const second = Uint8Array.from(writer.encode(value))
    expect(hex(first)).not.toBe(hex(second))
    const one = [first, second].map(bytes => hex(writer.plain?.encode(writer.decode(bytes, 0, bytes.length)) ?? bytes))
    expect(one[0]).toBe(one[1])
    expect(one[0]).toBe(hex(msgpack.encode(value)))
  })

  test('a structure that nobody wrote is damage, not a number', () => {
    for (const structures of [[], [['a']], Array.from({ length: 40 }, (_, i) => [`k${i}`])]) {
      const reader = new MsgpackValues({ structures })
      for (const bytes of [Uint8Array.of(0x40 + structures.length), fromHex('7f 05'), Uint8Array.of(0x5f)]) {
        if (structures.length > 0x1f && bytes[0] === 0x5f) continue
        const error = thrown(() => reader.decode(bytes, 0, bytes.length))
        expect(isVarveError(error, 'CORRUPT')).toBe(true)
      }
    }
  })
})

describe('json, string, bytes', () => {
  test('come back', () => {
    for (const value of [null, 0, 'é\0\ud800', [1, { a: 'x'.repeat(1000) }], { a: 'é'.repeat(1000) }]) {
      expect(roundTrip<unknown>(valueCodecOf('json'), value)).toEqual(value)
    }
    for (const value of ['', 'ada', 'a\0', 'é😀', '\ufeffx', 'x'.repeat(2000), 'é'.repeat(2000)]) {
      expect(roundTrip(valueCodecOf<string>('string'), value)).toBe(value)
    }
    for (const value of [new Uint8Array(), Uint8Array.of(0, 255)])
      expect(roundTrip(valueCodecOf<Uint8Array>('bytes'), value)).toStrictEqual(value)
  })

  test('bytes are a plain copy, also from a Buffer', () => {
    const source = Buffer.from('abcdef')
    const back = valueCodecOf<Uint8Array>('bytes').decode(source, 1, 3)
    expect(back).toStrictEqual(fromText('bc'))
    expect(back.buffer.byteLength).toBe(2)
  })

  test('damaged text is CORRUPT with the cause', () => {
    for (const [name, bytes] of [
      ['json', fromText('{"a":')],
      ['json', fromHex('22ff22')],
      ['json', fromHex('')],
      ['string', fromHex('61ff')],
    ] as const) {
      const error = thrown(() => valueCodecOf(name).decode(bytes, 0, bytes.length))
      expect(isVarveError(error, 'CORRUPT') && error.cause).toBeInstanceOf(Error)
    }
  })
})

describe('what is refused', () => {
  test.each(names)('undefined by %s', name => {
    expect(thrown(() => valueCodecOf(name).encode(undefined))).toEqual(new TypeError('value must not be undefined'))
  })

  test('values of another type', () => {
    for (const [name, value] of [
      ['string', 1],
      ['string', 'a\ud800'],
      ['bytes', 'a'],
      ['bytes', [1]],
      ['json', 1n],
      ['json', () => 1],
    ] as const) {
      const error = thrown(() => valueCodecOf(name).encode(value))
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(/^value /)
    }
  })

  test('codecs that are none', () => {
    const encode = (): Uint8Array => new Uint8Array()
    const decode = (): number => 1
    for (const codec of [
      'xml',
      'toString',
      null,
      7,
      {},
      { name: '', encode, decode },
      { name: 'json', encode, decode },
      { name: 'a', encode },
      { name: 'a', decode },
    ]) {
      const error = thrown(() => valueCodecOf(codec as ValueCodecName))
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(/^value/)
    }
    expect(valueCodecOf().name).toBe('msgpack')
  })
})

describe("a user's codec", () => {
  const failure = new Error('not mine')
  const custom: CustomValueCodec<{ n: number }> = {
    name: 'mine',
    encode: value => Uint8Array.of(value.n, 0),
    decode(bytes) {
      if (bytes[1] !== 0) throw failure
      return { n: bytes[0] as number }
    },
  }

  test('encodes and decodes, from a copy, and its errors arrive as they are', () => {
    const codec = valueCodecOf(custom)
    expect(codec.name).toBe('mine')
    expect(roundTrip(codec, { n: 5 })).toEqual({ n: 5 })
    expect(thrown(() => codec.decode(Uint8Array.of(1, 1), 0, 2))).toBe(failure)
    const keeping = valueCodecOf<Uint8Array>({ name: 'keeping', encode: value => value, decode: bytes => bytes })
    expect(roundTrip(keeping, Uint8Array.of(1, 2))).toStrictEqual(Uint8Array.of(1, 2))
    expect(thrown(() => codec.encode(undefined as never))).toEqual(new TypeError('value must not be undefined'))
  })

  test('that returns no bytes is refused by name', () => {
    const codec = valueCodecOf({ name: 'text', encode: (value: string) => value as unknown as Uint8Array, decode: () => '' })
    expect(() => codec.encode('a')).toThrow(/^value\.encode of codec text must return a Uint8Array/)
  })
})
