/** Goal: a block gives back the rows that were put into it, whatever numbers, truth values and texts they have and wherever in shared memory it lies. */
import { expect, test } from 'vitest'
import { decodeBlock, encodeBlock } from '../../../../compute/vector/block.ts'
import { BooleanVector, NumberVector, nullVector, type Vector } from '../../../../compute/vector/vector.ts'
import { randomVector, vectorKinds } from '../../../support/random-chunks.ts'
import { type Random, seeded } from '../../engine/codec/random.ts'

/** Memory that has been used, from a multiple of eight on. */
function usedMemory(random: Random): (size: number) => Uint8Array {
  return size => {
    const buffer = new SharedArrayBuffer(size + 64)
    new Uint8Array(buffer).fill(0xa5)
    return new Uint8Array(buffer, 8 * random.below(8), size)
  }
}

function expectBack(random: Random, vectors: readonly Vector[], rows: Int32Array, from: number, to: number): Uint8Array {
  const block = encodeBlock(vectors, rows, from, to, usedMemory(random))
  const decoded = decodeBlock(block)
  expect(decoded.count).toBe(to - from)
  for (const [i, vector] of vectors.entries()) {
    const back = decoded.vectors[i] as Vector
    for (let k = from; k < to; k++) {
      expect(Object.is(back.get(k - from), vector.get(rows[k] as number)) || typeof back.get(k - from) === 'object').toBe(true)
      expect(back.get(k - from)).toEqual(vector.get(rows[k] as number))
      expect(back.isNull(k - from)).toBe(vector.isNull(rows[k] as number))
    }
  }
  return block
}

test('rows of every kind of vector, in any order', async () => {
  await seeded(random => {
    for (let round = 0; round < 200; round++) {
      const size = 1 + random.below(60)
      const vectors = Array.from({ length: 1 + random.below(4) }, () => randomVector(random, random.pick(vectorKinds), size))
      vectors.push(nullVector(size))
      const rows = Int32Array.from({ length: size }, (_, i) => (round % 2 === 0 ? i : random.below(size)))
      const from = random.below(size)
      expectBack(random, vectors, rows, from, from + random.below(size - from + 1))
    }
  })
})

test('numbers take as little room as holds all of them, and not one changes', async () => {
  const wholes = [0, 1, 7, 255, 256, 65_535, 65_536, 2 ** 32 - 1]
  const singles = [0.25, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 40, 1e10]
  const doubles = [0.1, 2 ** 53 - 1, 5e-324, Number.MAX_VALUE, 2 ** 31 + 1]
  await seeded(random => {
    for (let round = 0; round < 300; round++) {
      const largest = random.below(wholes.length)
      const least = random.pick([0, -1, 2 ** 40, -(2 ** 40)])
      const kinds = [wholes.slice(0, largest + 1).map(whole => least + whole), [0, 1, -1, ...singles], [...wholes, ...singles, ...doubles]]
      const kind = random.below(3)
      const size = 40 + random.below(40)
      const values = Float64Array.from({ length: size }, () => random.pick(kinds[kind] as number[]))
      const nulls = random.below(2) === 0 ? undefined : Uint8Array.from({ length: size }, () => random.below(2))
      const rows = Int32Array.from({ length: size }, (_, i) => i)
      const bytes = expectBack(random, [new NumberVector(values, nulls)], rows, 0, size).length - (nulls === undefined ? 0 : size)
      const width = kind === 0 && largest < 4 ? 1 : kind === 0 && largest < 6 ? 2 : 4
      if (kind < 2) expect(bytes).toBeLessThan(width * size + 48)
    }
  })
})

test('truth values that are all the same take no room', async () => {
  await seeded(random => {
    for (const value of [0, 1, 2]) {
      const vector = new BooleanVector(new Uint8Array(1000).fill(value))
      const rows = Int32Array.from({ length: 1000 }, (_, i) => i)
      expect(expectBack(random, [vector], rows, 0, 1000).length).toBeLessThan(40)
      vector.values[500] = (value + 1) % 3
      expect(expectBack(random, [vector], rows, 0, 1000).length).toBeGreaterThan(1000)
    }
  })
})
