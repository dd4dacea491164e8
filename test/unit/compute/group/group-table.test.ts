/** Goal: a group table numbers keys as a map by their group keys would, of every kind of vector, through changes of its form, and gives the keys back. */
import { expect, test } from 'vitest'
import { encodeGroupKey, groupKeyBytes } from '../../../../compute/group/group-key.ts'
import { GroupTable } from '../../../../compute/group/group-table.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { AnyVector, NumberVector } from '../../../../compute/vector/vector.ts'
import { randomChunk, randomVector, type VectorKind, vectorKinds } from '../../../support/random-chunks.ts'
import { hex, type Random, seeded } from '../../engine/codec/random.ts'

/** Chunk by chunk the same into a table and a map; kinds of vectors for each chunk are picked from `kindsOf`. */
function compare(random: Random, width: number, kindsOf: (chunk: number) => readonly VectorKind[], chunks: number): void {
  const table = new GroupTable(width)
  const numbers = new Map<string, number>()
  const keys: unknown[][] = []
  for (let round = 0; round < chunks; round++) {
    const size = 1 + random.below(200)
    const vectors = Array.from({ length: width }, () => randomVector(random, random.pick(kindsOf(round)), size))
    const { rows, count } = randomChunk(random, {}, size)
    const expected = new Int32Array(count)
    const before = new Int32Array(count)
    for (let k = 0; k < count; k++) {
      const values = vectors.map(vector => vector.get(rows[k] as number))
      let end = 0
      for (const value of values) end = encodeGroupKey(value, end)
      const key = hex(groupKeyBytes().slice(0, end))
      before[k] = -1
      expected[k] = numbers.get(key) ?? numbers.size
      if (!numbers.has(key)) {
        numbers.set(key, numbers.size)
        keys.push(values)
      }
    }
    const known = table.size
    for (let k = 0; k < count; k++) if ((expected[k] as number) < known) before[k] = expected[k] as number
    const groups = new Int32Array(count)
    if (random.below(3) === 0) {
      table.find(vectors, rows, count, groups)
      expect(groups).toEqual(before)
    }
    table.assign(vectors, rows, count, groups)
    expect(groups).toEqual(expected)
    expect(table.size).toBe(numbers.size)
    table.find(vectors, rows, count, groups)
    expect(groups).toEqual(expected)
  }
  const fields = table.keys()
  for (const [group, values] of keys.entries()) {
    for (const [i, value] of values.entries()) expect(compareValues(fields[i]?.get(group), value)).toBe(0)
  }
  const from = random.below(keys.length)
  expect(table.keys(from, keys.length)[0]?.get(0)).toEqual(fields[0]?.get(from))
  expect(table.bytes).toBeGreaterThan(0)
}

test.each(vectorKinds)('keys of vectors of %s', async kind => {
  await seeded(random => {
    for (let round = 0; round < 2; round++) compare(random, 1, () => [kind], 10)
  })
})

test('keys of several fields', async () => {
  await seeded(random => {
    for (let round = 0; round < 2; round++) compare(random, 2 + random.below(2), () => vectorKinds, 10)
  })
})

test('a table that begins with numbers or texts goes on when other keys come', async () => {
  await seeded(random => {
    for (const first of vectorKinds) {
      compare(random, 1, chunk => (chunk < 5 ? [first] : vectorKinds), 12)
    }
  })
})

test('looking in an empty table finds nothing and decides nothing about it', () => {
  const table = new GroupTable(1)
  const groups = new Int32Array(2)
  const vector = { ...randomNumbers() }
  table.find([vector.any], vector.rows, 2, groups)
  expect(Array.from(groups)).toEqual([-1, -1])
  table.assign([vector.numbers], vector.rows, 2, groups)
  expect(Array.from(groups)).toEqual([0, 1])
  expect(table.keys()[0]?.kind).toBe('number')
})

function randomNumbers(): { any: AnyVector; numbers: NumberVector; rows: Int32Array } {
  return { any: new AnyVector([1n, 'a']), numbers: new NumberVector(Float64Array.of(1, 2)), rows: Int32Array.of(0, 1) }
}
