/**
 * Goal: a group table numbers keys as a map by their group keys would, of every kind of vector, through changes of its form and when it is sealed, and gives the keys back; texts are packed by it without
 * changing one.
 */
import { expect, test } from 'vitest'
import { encodeGroupKey, groupKeyBytes } from '../../../../compute/group/group-key.ts'
import { GroupTable } from '../../../../compute/group/group-table.ts'
import { hashBytes } from '../../../../compute/group/hash.ts'
import { PackedTexts } from '../../../../compute/group/packed-texts.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { AnyVector, NumberVector } from '../../../../compute/vector/vector.ts'
import { randomChunk, randomVector, textVector, type VectorKind, vectorKinds } from '../../../support/random-chunks.ts'
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

test.each([0, 6])('whole numbers, close together and far apart, with and without room from the beginning, shifted by %i', async shift => {
  await seeded(random => {
    const keysOf: readonly (() => number)[] = [
      () => random.below(3000),
      () => 64 * random.below(9000) + 5,
      () => random.below(2 ** 31) - 2 ** 30,
      () => (random.below(9) - 4) / 2,
      () => random.pick([-0, 0, Number.NaN, 2 ** 32, 2 ** 40, -1]),
    ]
    for (let round = 0; round < 8; round++) {
      const table = new GroupTable(1, shift, random.pick([0, 100, 5000]))
      const groupOf = new Map<number | null, number>()
      const tries = random.below(2) === 0 ? keysOf.slice(0, 2) : keysOf
      for (let chunk = 0; chunk < 30; chunk++) {
        const size = 1 + random.below(2000)
        const next = random.pick(tries)
        const values = Float64Array.from({ length: size }, next)
        const nulls = random.below(5) === 0 ? Uint8Array.from({ length: size }, () => random.below(2)) : undefined
        const vector = new NumberVector(values, nulls)
        const { rows, count } = randomChunk(random, {}, size)
        const known = new Map(groupOf)
        const found = new Int32Array(count)
        table.find([vector], rows, count, found)
        const groups = new Int32Array(count)
        table.assign([vector], rows, count, groups)
        for (let k = 0; k < count; k++) {
          const value = vector.get(rows[k] as number)
          const key = value === 0 ? 0 : value
          if (!groupOf.has(key)) groupOf.set(key, groupOf.size)
          if (groups[k] !== groupOf.get(key) || found[k] !== (known.get(key) ?? -1))
            expect.fail(`${key} is ${groups[k]}, found as ${found[k]}`)
        }
        expect(table.size).toBe(groupOf.size)
      }
    }
  })
})

test('texts of every size, more than the processor holds, alike in what comes first and last', async () => {
  await seeded(random => {
    const table = new GroupTable(1)
    const groupOf = new Map<string | null, number>()
    const textOf = (): string | null => {
      const number = random.below(90_000)
      if (number % 997 === 0) return null
      const digits = String(number)
      // In the middle, at the end, at the beginning; within eight bytes, twelve, and beyond.
      return [`${digits}`, `text-${digits}`, `long text ${digits} of one size`, `${digits}${'x'.repeat(number % 30)}`, `é${digits}`][
        number % 5
      ] as string
    }
    for (let chunk = 0; chunk < 110; chunk++) {
      const size = 1 + random.below(4096)
      const values = Array.from({ length: size }, textOf)
      const vector = textVector(values)
      const { rows, count } = randomChunk(random, {}, size)
      const known = groupOf.size
      const found = new Int32Array(count)
      table.find([vector], rows, count, found)
      const groups = new Int32Array(count)
      table.assign([vector], rows, count, groups)
      for (let k = 0; k < count; k++) {
        const value = values[rows[k] as number] as string | null
        if (!groupOf.has(value)) groupOf.set(value, groupOf.size)
        const group = groupOf.get(value) as number
        if (groups[k] !== group || found[k] !== (group < known ? group : -1)) expect.fail(`${value} is ${groups[k]}, found as ${found[k]}`)
      }
    }
    expect(table.size).toBe(groupOf.size)
    expect(table.size).toBeGreaterThan(68_000)
    const [keys] = table.keys()
    for (const [value, group] of groupOf) if (keys?.get(group) !== value) expect.fail(`${group} is ${keys?.get(group)}`)
  })
})

test.each([8, 12, 20])('texts of %d bytes that have one hash are told apart', async size => {
  await seeded(random => {
    const texts = new Set<string>()
    while (texts.size < 150_000) texts.add(`${random.below(2 ** 30)}`.padStart(10, 'x').repeat(2).slice(0, size))
    const values = [...texts]
    const hashes = new Set(values.map(value => hashBytes(Buffer.from(value), 0, size)))
    expect(hashes.size, 'some have the hash of another').toBeLessThan(values.length)
    const vector = textVector(values)
    const rows = Int32Array.from(values.keys())
    const table = new GroupTable(1)
    const groups = new Int32Array(values.length)
    table.assign([vector], rows, values.length, groups)
    expect(groups).toEqual(rows)
    table.find([vector], rows, values.length, groups)
    expect(groups).toEqual(rows)
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

test('a table that will get no more keys finds the same, by an array where keys are whole numbers close together', async () => {
  await seeded(random => {
    for (let round = 0; round < 60; round++) {
      const [base, range] = [random.pick([0, -50, 1e6, -(2 ** 31), 2 ** 31 - 2000, 0.5, 2 ** 40]), random.pick([50, 1500, 1e6])]
      const keys = new NumberVector(Float64Array.from({ length: 400 }, () => base + random.below(range)))
      const all = Int32Array.from({ length: 400 }, (_, i) => i)
      const table = new GroupTable(1)
      table.assign([keys], all, 400, new Int32Array(400))
      const asked = Float64Array.from({ length: 400 }, () =>
        random.pick([base + random.below(range), base - 1, -0, 0.5, Number.NaN, 2 ** 32]),
      )
      const nulls = random.below(2) === 0 ? undefined : Uint8Array.from({ length: 400 }, () => random.below(2))
      const kinds = [new NumberVector(asked, nulls), keys, randomVector(random, 'any', 400), randomVector(random, 'text', 400)]
      const before = kinds.map(vector => {
        const groups = new Int32Array(400)
        table.find([vector], all, 400, groups)
        return groups
      })
      // What is not a number may have changed how keys are kept.
      const sealed = new GroupTable(1)
      sealed.assign([keys], all, 400, new Int32Array(400))
      sealed.seal()
      for (const turn of [0, 1]) {
        for (const [i, vector] of kinds.entries()) {
          const groups = new Int32Array(400)
          sealed.find([vector], all, 400, groups)
          expect(groups, `turn ${turn}`).toEqual(before[i])
        }
      }
    }
  })
})

test('texts of which few are different are packed, each with its rows and null; many are not', async () => {
  await seeded(random => {
    for (let round = 0; round < 30; round++) {
      const size = 100 + random.below(9000)
      const different = random.pick([1, 5, 4096, 1e9])
      const values = Array.from({ length: size }, () => random.pick([null, `text ${random.below(different)} \u00e9`, '']))
      const packed = PackedTexts.of(textVector(values), size)
      const isFew = new Set(values).size <= Math.min(4096, size / 4)
      expect(packed !== undefined).toBe(isFew)
      if (packed === undefined) continue
      const rows = Int32Array.from({ length: 500 }, () => random.below(size + 1) - 1)
      const gathered = packed.gather(rows, 500)
      const wanted = Array.from(rows, row => (row < 0 ? null : values[row]))
      expect(wanted.map((_, i) => gathered.get(i))).toEqual(wanted)
      // Who works by code finds the same groups as who works by text.
      const [byCode, byText] = [new Int32Array(500), new Int32Array(500)]
      const all = Int32Array.from({ length: 500 }, (_, i) => i)
      new GroupTable(1).assign([gathered], all, 500, byCode)
      new GroupTable(1).assign([textVector(wanted as string[])], all, 500, byText)
      expect(byCode).toEqual(byText)
    }
  })
})

function randomNumbers(): { any: AnyVector; numbers: NumberVector; rows: Int32Array } {
  return { any: new AnyVector([1n, 'a']), numbers: new NumberVector(Float64Array.of(1, 2)), rows: Int32Array.of(0, 1) }
}
