/**
 * Goal: a field taken out of encoded rows is what decoding the row and following the path gives, for every value that the codecs write; rows that are cut off are
 * CORRUPT, and what stands behind a row never changes what is read of it.
 */
import { expect, test } from 'vitest'
import { EncodedReader } from '../../../../compute/rows/encoded-rows.ts'
import type { RowCodec } from '../../../../compute/vector/row-codec.ts'
import { isVarveError, valueAtPath, valueCodecOf } from '../../../../engine/index.ts'
import { MsgpackValues } from '../../../../engine/store/msgpack-values.ts'
import { randomObject, randomPaths, randomValue } from '../../../support/random-values.ts'
import { makeRandom, type Random, seeded } from '../../engine/codec/random.ts'

function codeOf(error: unknown): string {
  return isVarveError(error) ? error.code : String(error)
}

interface Codec extends RowCodec {
  encode(value: unknown): Uint8Array
}

const codecs: Record<string, () => Codec> = {
  msgpack: () => valueCodecOf('msgpack'),
  'msgpack-structures': () => new MsgpackValues({ structures: [] }),
  json: () => valueCodecOf('json'),
}

const kindsOf = (name: string): { rich: boolean } => ({ rich: name !== 'json' })

/** Rows one after the other, with bytes between them that belong to none. */
function layOut(random: Random, rows: readonly Uint8Array[]): { bytes: Uint8Array; starts: Int32Array; ends: Int32Array; size: number } {
  const [starts, ends] = [new Int32Array(rows.length), new Int32Array(rows.length)]
  const parts: Uint8Array[] = []
  let at = 0
  for (const [i, row] of rows.entries()) {
    const gap = random.bytes(random.below(4))
    starts[i] = at + gap.length
    at += gap.length + row.length
    ends[i] = at
    parts.push(gap, row)
  }
  // Near the end of the bytes rows are read another way.
  parts.push(random.bytes(random.pick([0, 3, 300])))
  return { bytes: new Uint8Array(Buffer.concat(parts)), starts, ends, size: rows.length }
}

/** Few shapes, so that structures come about, and some that are of no shape. */
function randomRows(random: Random, name: string): unknown[] {
  const shapes = Array.from({ length: 5 }, () => Object.keys(randomObject(random, kindsOf(name), 1)))
  return Array.from({ length: 60 }, () => {
    if (random.below(4) === 0) return randomValue(random, kindsOf(name), 3) ?? null
    return Object.fromEntries(random.pick(shapes).map(key => [key, randomValue(random, kindsOf(name), 2)]))
  })
}

test.each(Object.keys(codecs))('fields of %s are what decoding gives', async name => {
  await seeded(random => {
    for (let round = 0; round < 40; round++) {
      const codec = (codecs[name] as () => Codec)()
      const rows = randomRows(random, name)
      const range = layOut(
        random,
        rows.map(row => new Uint8Array(codec.encode(row))),
      )
      const paths = randomPaths(random)
      const unforeseen = randomPaths(random)
      const chunk = new EncodedReader(codec, paths).rows(range)
      const decoded = rows.map((_, i) => codec.decode(range.bytes, range.starts[i] as number, range.ends[i] as number))
      for (const path of [...paths, ...unforeseen]) {
        const vector = chunk.field(path)
        const found = decoded.map((_, i) => vector.get(i))
        expect(found, path).toEqual(decoded.map(row => valueAtPath(row, path.split('.')) ?? null))
        expect(found.map((_, i) => vector.isNull(i))).toEqual(found.map(value => value === null))
      }
    }
  })
})

test.each(Object.keys(codecs))('%s that is cut off is CORRUPT, or was not needed', async name => {
  await seeded(random => {
    let refused = 0
    for (let round = 0; round < 60; round++) {
      const codec = (codecs[name] as () => Codec)()
      const rows = randomRows(random, name).slice(0, 12)
      const encoded = rows.map(row => new Uint8Array(codec.encode(row)))
      const paths = randomPaths(random)
      const i = random.below(rows.length)
      const bytes = encoded[i] as Uint8Array
      const cut = 1 + random.below(Math.max(1, bytes.length - 1))
      // Alone, and behind a whole row of its shape.
      const outcomeOf = (behind: Uint8Array, before: Uint8Array = new Uint8Array(0)): unknown => {
        const laid = new Uint8Array([...before, ...bytes.subarray(0, cut), ...behind])
        const size = before.length === 0 ? 1 : 2
        const range = {
          bytes: laid,
          starts: Int32Array.of(0, before.length).slice(-size),
          ends: Int32Array.of(before.length, before.length + cut).slice(-size),
          size,
        }
        try {
          const chunk = new EncodedReader(codec, paths).rows(range)
          return paths.map(path => chunk.field(path).get(size - 1))
        } catch (error) {
          refused++
          return codeOf(error)
        }
      }
      const whole = codec.decode(bytes, 0, bytes.length)
      const right = paths.map(path => valueAtPath(whole, path.split('.')) ?? null)
      const behind = [new Uint8Array(0), random.bytes(40), random.bytes(300), bytes.subarray(cut), new Uint8Array(9).fill(0xff)]
      const isShorter = isShorterNumber(bytes, name)
      for (const before of [undefined, bytes]) {
        const outcomes = behind.map(after => outcomeOf(after, before))
        for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0])
        if (outcomes[0] !== 'CORRUPT' && !isShorter) expect(outcomes[0]).toEqual(right)
      }
    }
    expect(refused).toBeGreaterThan(0)
  })
})

/** JSON's numbers end where the text does. */
function isShorterNumber(bytes: Uint8Array, name: string): boolean {
  return name === 'json' && !['{', '['].includes(String.fromCharCode(bytes[0] as number))
}

test.each(Object.keys(codecs))('random bytes as %s give values or CORRUPT, nothing else', async name => {
  await seeded(random => {
    const codec = (codecs[name] as () => Codec)()
    for (let i = 0; i < 3; i++) codec.encode({ a: 1, b: { c: 2 } })
    for (let round = 0; round < 2000; round++) {
      const bytes = random.bytes(1 + random.below(30))
      bytes[0] = random.pick([0x7b, 0x5b, 0x80 + random.below(32), 0xde, 0x40, 0x41])
      if (random.below(2) === 0 && bytes.length > 3) bytes.set([0xa1, 0x61], 1)
      const reader = new EncodedReader(codec, ['a', 'b.c', '0'])
      const range = { bytes, starts: Int32Array.of(0), ends: Int32Array.of(bytes.length), size: 1 }
      let outcome = 'values'
      try {
        const chunk = reader.rows(range)
        for (const path of ['a', 'b.c', '0']) chunk.field(path).get(0)
      } catch (error) {
        outcome = codeOf(error)
      }
      expect(['values', 'CORRUPT']).toContain(outcome)
    }
  })
})

test('a key that a map has twice counts once, and rows behind it stay where they belong', () => {
  const json = new TextEncoder().encode('{"a":1,"a":2,"b":3}{"a":4,"b":5}')
  const msgpack = Uint8Array.of(0x83, 0xa1, 0x61, 1, 0xa1, 0x61, 2, 0xa1, 0x62, 3, 0x82, 0xa1, 0x61, 4, 0xa1, 0x62, 5)
  for (const [name, bytes, border] of [
    ['json', json, 19],
    ['msgpack', msgpack, 10],
  ] as const) {
    const range = { bytes, starts: Int32Array.of(0, border), ends: Int32Array.of(border, bytes.length), size: 2 }
    const chunk = new EncodedReader((codecs[name] as () => Codec)(), ['a', 'b']).rows(range)
    expect([0, 1].map(i => [chunk.field('a').get(i), chunk.field('b').get(i)])).toEqual([
      [1, 3],
      [4, 5],
    ])
  }
})

test('rows alike in the sizes of their keys alone give each its own fields', async () => {
  await seeded(random => {
    const names = ['kind', 'want', 'rest', 'id', 'no', 'amount', 'counts', 'a name of some length', 'a name that is as long'] as const
    const codec = valueCodecOf('msgpack')
    for (let round = 0; round < 60; round++) {
      // Keys of one row have the sizes of another's, in the same places.
      const sizes = Array.from({ length: 1 + random.below(4) }, () => random.pick(names).length)
      const rows = Array.from({ length: 40 }, (_, row) =>
        Object.fromEntries(sizes.map((size, i) => [random.pick(names.filter(name => name.length === size)), 100 * row + i])),
      )
      const range = layOut(
        random,
        rows.map(row => new Uint8Array(codec.encode(row))),
      )
      const paths = names.filter(() => random.below(3) === 0)
      const read = new EncodedReader(codec, paths).rows(range)
      for (const path of paths) {
        const vector = read.field(path)
        expect(rows.map((_, row) => vector.get(row))).toEqual(rows.map(row => row[path] ?? null))
      }
    }
  })
})

test('structures that come up while rows are read are asked for, and one that nobody knows is CORRUPT', () => {
  const codec = new MsgpackValues({ structures: [] })
  const reader = new EncodedReader(codec, ['n'])
  const read = (bytes: Uint8Array): unknown =>
    reader
      .rows({ bytes, starts: Int32Array.of(0), ends: Int32Array.of(bytes.length), size: 1 })
      .field('n')
      .get(0)
  const random = makeRandom(1)
  for (let i = 0; i < 200; i++) {
    const value = { [`k${random.below(40)}`]: 1, n: i }
    expect(read(new Uint8Array(codec.encode(value)))).toBe(i)
  }
  expect(codec.structures.length).toBeGreaterThan(32)
  const unknown = [Uint8Array.of(0x7f, 0, 1, 2), Uint8Array.of(0x60, 1, 1, 2), Uint8Array.of(0x7f)]
  for (const bytes of unknown) expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})
