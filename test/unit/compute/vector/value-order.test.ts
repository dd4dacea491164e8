/**
 * Goal: `compareValues` is a total order, of texts that of their UTF-8; values are equal by it exactly when their group keys are, and equal values have one hash in whatever
 * vector they come.
 */
import { expect, test } from 'vitest'
import { decodeGroupKey, encodeGroupKey, groupKeyBytes } from '../../../../compute/group/group-key.ts'
import { hashVector } from '../../../../compute/group/hash.ts'
import { compareText, compareValues } from '../../../../compute/vector/value-order.ts'
import { AnyVector, BooleanVector, NumberVector, TextVector, type Vector } from '../../../../compute/vector/vector.ts'
import { textVector } from '../../../support/random-chunks.ts'
import { randomText, randomValue } from '../../../support/random-values.ts'
import { hex, type Random, seeded } from '../../engine/codec/random.ts'

const anyValue = (random: Random): unknown => randomValue(random, { rich: true }, 2)

function keyOf(value: unknown): Uint8Array {
  const size = encodeGroupKey(value, 0)
  return groupKeyBytes().slice(0, size)
}

function hashOf(vector: Vector): number {
  const hashes = new Int32Array(1)
  hashVector(vector, Int32Array.of(0), 1, hashes, false)
  return hashes[0] as number
}

test('the order is total', async () => {
  await seeded(random => {
    for (let round = 0; round < 3000; round++) {
      const [a, b, c] = [anyValue(random), anyValue(random), anyValue(random)]
      expect(Math.sign(compareValues(a, b))).toBe(-Math.sign(compareValues(b, a)) + 0)
      expect(compareValues(a, a)).toBe(0)
      if (compareValues(a, b) <= 0 && compareValues(b, c) <= 0) expect(compareValues(a, c)).toBeLessThanOrEqual(0)
    }
  })
})

test('kinds follow each other as the documentation says', () => {
  const ascending = [
    ...[false, true, Number.NEGATIVE_INFINITY, -1, 0, 0.5, 1n, 1.5, 2n ** 53n + 1n, 2n ** 1100n, Number.POSITIVE_INFINITY, Number.NaN],
    ...[new Date(Number.NaN), new Date(-1), new Date(0), '', 'a', 'ab', 'é', '\u{ff5e}', '😀', Uint8Array.of(), Uint8Array.of(0)],
    ...[[], [1], [1, 2], [2], [null], {}, { a: 1 }, { a: 1, b: 1 }, { a: 2 }, { b: 0 }, null],
  ]
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) expect(Math.sign(compareValues(a, b)), `${i} ${j}`).toBe(Math.sign(i - j))
  }
  expect([compareValues(-0, 0), compareValues(1n, 1), compareValues(undefined, null), compareValues({ a: null }, {})]).toEqual([0, 0, 0, 0])
})

test('texts are in the order of their UTF-8', async () => {
  await seeded(random => {
    for (let round = 0; round < 1500; round++) {
      const [a, b] = [randomText(random), randomText(random)]
      expect(Math.sign(compareText(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))))
    }
  })
})

test('group keys are equal exactly for equal values, and give these back', async () => {
  await seeded(random => {
    for (let round = 0; round < 3000; round++) {
      const a = anyValue(random)
      const b = random.below(4) === 0 ? structuredClone(a) : anyValue(random)
      expect(hex(keyOf(a)) === hex(keyOf(b))).toBe(compareValues(a, b) === 0)
      expect(compareValues(decodeGroupKey(keyOf(a), 0), a)).toBe(0)
    }
    for (const large of [2n ** 1100n, -(2n ** 1100n)]) expect(decodeGroupKey(keyOf(large), 0)).toBe(large)
  })
})

test('equal values have one hash, whatever vector they are in', async () => {
  await seeded(random => {
    for (let round = 0; round < 1500; round++) {
      const value = anyValue(random)
      const hash = hashOf(new AnyVector([value]))
      const vectors: Vector[] = [new AnyVector([structuredClone(value)])]
      if (typeof value === 'number') {
        vectors.push(new NumberVector(Float64Array.of(value)), new AnyVector([Number.isInteger(value) ? BigInt(value) : value]))
        if (value === 0) vectors.push(new NumberVector(Float64Array.of(-0)))
      } else if (typeof value === 'boolean') vectors.push(new BooleanVector(Uint8Array.of(Number(value))))
      else if (typeof value === 'string') vectors.push(textVector([value]))
      else if (value === null || value === undefined) {
        vectors.push(textVector([null]), new NumberVector(Float64Array.of(5), Uint8Array.of(1)), new BooleanVector(Uint8Array.of(2)))
      }
      for (const vector of vectors) expect(hashOf(vector), vector.kind).toBe(hash)
    }
    expect(hashOf(new AnyVector([2n ** 1100n]))).toBe(hashOf(new AnyVector([2n ** 1100n])))
  })
})

test('the hash of a text is the same wherever it lies, also where its memory ends', async () => {
  await seeded(random => {
    for (let size = 0; size < 40; size++) {
      const text = Uint8Array.from({ length: size }, () => random.below(256))
      const hashes = new Set<number>()
      for (const before of [0, 1, 2, 3, 7]) {
        for (const after of [0, 1, 2, 3, 4, 7, 8]) {
          const bytes = Uint8Array.from([...new Array(before).fill(0xff), ...text, ...new Array(after).fill(0xff)])
          hashes.add(hashOf(new TextVector(bytes, Int32Array.of(before), Int32Array.of(before + size))))
        }
      }
      expect(hashes.size, `${size} bytes`).toBe(1)
    }
  })
})

test('hashes of neighbouring numbers and texts spread over few buckets evenly', () => {
  const size = 64_000
  const numbers = new NumberVector(Float64Array.from({ length: size }, (_, i) => i))
  const fractions = new NumberVector(Float64Array.from({ length: size }, (_, i) => i / 8 + 1e6))
  const texts = textVector(Array.from({ length: size }, (_, i) => `key ${i}`))
  for (const vector of [numbers, fractions, texts]) {
    const hashes = new Int32Array(size)
    hashVector(
      vector,
      Int32Array.from({ length: size }, (_, i) => i),
      size,
      hashes,
      false,
    )
    const buckets = new Array<number>(64).fill(0)
    for (const hash of hashes) (buckets[hash & 63] as number)++
    // A thousand each on average; by chance alone hardly any is beyond five deviations.
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(160)
    expect(new Set(hashes).size).toBeGreaterThan(size - 30)
  }
})
