/** Goal: sorted rows are in the order of their values, whether they fit into memory or not; aggregates that do not fit give what those that do give. */
import { expect, test } from 'vitest'
import { col, count, flow, row, sum } from '../../../../compute/index.ts'
import { compareSortKeys, rangeKeyBytesMax, rangesOf, SortKeyEncoder, writeRangeKey } from '../../../../compute/sort/sort-key.ts'
import { sortOrder } from '../../../../compute/sort/sort-order.ts'
import { codecOf } from '../../../../compute/vector/row-codec.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { EncodedVector } from '../../../../compute/vector/vector.ts'
import { vectorOf } from '../../../../compute/vector/vector-builder.ts'
import { textVector } from '../../../support/random-chunks.ts'
import { randomValue } from '../../../support/random-values.ts'
import { ownTemporaryFolder } from '../../../support/temporary-folder.ts'
import { makeRandom, seeded } from '../../engine/codec/random.ts'

const edges: unknown[] = [
  ...[
    0,
    -0,
    1,
    -1,
    0.5,
    2 ** 53,
    2 ** 53 + 2,
    -(2 ** 53),
    1e308,
    -1e308,
    5e-324,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ],
  ...[0n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 2000n, -(2n ** 2000n), -(2n ** 2000n) - 1n, 2n ** 64n, 10n ** 20n + 1n],
  ...['', 'a', 'a\u0000', 'a\u0000b', 'ab', 'é', '\uffff', '😀', true, false, new Date(0), new Date(-5), new Date(Number.NaN)],
  ...[new Uint8Array([0]), new Uint8Array([0, 0]), new Uint8Array(), [], [1], [1, 'a'], [[]], {}, { a: 1 }, { a: 1, b: 2 }, { b: 1 }],
]

function keyOf(value: unknown, descending: boolean): Uint8Array {
  const encoder = new SortKeyEncoder()
  const size = encoder.encode([vectorOf([value])], [{ descending, nullsFirst: false }], 0)
  return encoder.bytes.slice(0, size)
}

test('keys are in the order of the values, both ways', () =>
  seeded(random => {
    const drawn = Array.from({ length: 150 }, () => randomValue(random, { rich: true }, 2))
    const values = [...edges, ...drawn].filter(value => value !== null && value !== undefined)
    for (const descending of [false, true]) {
      const keys = values.map(value => keyOf(value, descending))
      for (const [i, a] of values.entries()) {
        for (const [j, b] of values.entries()) {
          const [x, y] = [keys[i] as Uint8Array, keys[j] as Uint8Array]
          const order = Math.sign(compareSortKeys(x, 0, x.length, y, 0, y.length))
          const expected = Math.sign(compareValues(a, b)) * (descending ? -1 : 1)
          if (order !== expected + 0) expect([a, b, order]).toEqual([a, b, expected])
        }
      }
    }
    expect(values.length).toBeGreaterThan(100)
  }))

test('keys of texts and of bytes that are written where they shall lie are the same', () =>
  seeded(random => {
    const texts = ['', 'a', 'a\u0000', '\u0000\u0000b', 'é'.repeat(40), null]
    const bytes = texts.map(text => (text === null ? null : random.bytes(random.below(30)).map(byte => random.pick([0, 0xff, byte]))))
    const codec = codecOf('["bytes",[]]')
    const all = Buffer.concat(bytes.map(value => value ?? new Uint8Array(0)))
    const ends = Int32Array.from(bytes, (_, i) => bytes.slice(0, i + 1).reduce((sum, value) => sum + (value?.length ?? 0), 0))
    const starts = ends.map((end, i) => (bytes[i] === null ? -1 : end - (bytes[i] as Uint8Array).length))
    for (const vector of [vectorOf([1]), textVector(texts), new EncodedVector(all, starts, ends, codec)]) {
      const ranges = rangesOf(vector)
      expect(ranges === undefined).toBe(vector.kind === 'number')
      if (ranges === undefined) continue
      for (const descending of [false, true]) {
        for (const nullsFirst of [false, true]) {
          for (const row of texts.keys()) {
            const encoder = new SortKeyEncoder()
            const size = encoder.encode([vector], [{ descending, nullsFirst }], row)
            const target = new Uint8Array(5 + rangeKeyBytesMax(200))
            const end = writeRangeKey(ranges, { descending, nullsFirst }, row, target, 5)
            expect(target.slice(5, end)).toEqual(encoder.bytes.slice(0, size))
            const length = Math.max(0, (ranges.ends[row] as number) - (ranges.starts[row] as number))
            expect(end - 5).toBeLessThanOrEqual(rangeKeyBytesMax(length))
          }
        }
      }
    }
  }))

test('orders of packed keys are those of a stable sort', () => {
  const random = makeRandom(7)
  for (const [count, size] of [
    [0, 3],
    [1, 3],
    [2000, 1],
    [2000, 6],
    [500, 40],
  ] as const) {
    const keys = Array.from({ length: count }, () =>
      Buffer.concat([Buffer.from('same'), Buffer.from(Array.from({ length: random.below(size + 1) }, () => random.below(3)))]),
    )
    const bytes = Buffer.concat(keys)
    const starts = new Int32Array(count + 1)
    for (const [i, key] of keys.entries()) starts[i + 1] = (starts[i] as number) + key.length
    const expected = Array.from(keys.keys()).sort((a, b) => Buffer.compare(keys[a] as Buffer, keys[b] as Buffer) || a - b)
    expect([...sortOrder(bytes, starts, count)]).toEqual(expected)
  }
})

const rows = Array.from({ length: 40_000 }, (_, id) => ({ id, group: (id * 7919) % 1000, text: `row ${(id * 31) % 977}` }))
const leftovers = ownTemporaryFolder('sort')

test('sorts beyond memory, stable, and leaves no file', async () => {
  const before = leftovers()
  const sorted = await flow('f', rows)
    .sort('group', { by: 'text', descending: true })
    .toArray({ memoryBytesMax: 1 << 20 })
  const expected = [...rows].sort((a, b) => a.group - b.group || Buffer.compare(Buffer.from(b.text), Buffer.from(a.text)) || a.id - b.id)
  expect(sorted).toEqual(expected)
  expect(leftovers()).toEqual(before)
})

test('keeps rows as they are while they fit', async () => {
  const objects = [{ n: 2 }, { n: 1 }]
  const sorted = await flow('f', objects).sort('n').toArray()
  expect(sorted[0]).toBe(objects[1])
})

test('aggregates beyond memory, and leaves no file when a row ends it', async () => {
  const before = leftovers()
  const many = flow('f', rows)
    .keyBy({ id: col('id').mod(30_000), text: 'text' })
    .aggregate({ n: count(), sum: sum('group') })
    .sort('id', 'text')
  expect(await many.toArray({ memoryBytesMax: 1 << 20 })).toEqual(await many.toArray())
  const failing = flow('f', rows)
    .map(row => {
      if (row.id === 39_999) throw new Error('mine')
      return row
    })
    .sort('text')
  await expect(failing.toArray({ memoryBytesMax: 1 << 20 })).rejects.toThrow('mine')
  expect(await flow('n', [2, null, 1]).sort({ by: row(), nulls: 'first' }).toArray()).toEqual([null, 1, 2])
  expect(leftovers()).toEqual(before)
})

test('the first rows of a sort are those of the whole, whatever comes when, and little is kept for them', async () => {
  await seeded(async random => {
    const rows = Array.from({ length: 20_000 }, (_, id) => ({
      id,
      k: random.below(500),
      text: `text ${random.below(40)}`,
      none: id % 3 === 0 ? null : id,
    }))
    const orders: Record<string, typeof rows> = {
      drawn: rows,
      falling: [...rows].sort((a, b) => b.k - a.k),
      rising: [...rows].sort((a, b) => a.k - b.k),
    }
    for (const given of Object.values(orders)) {
      const sorted = flow('f', given).sort('k', { by: 'text', descending: true })
      const all = await sorted.toArray()
      for (const [n, offset] of [
        [1, 0],
        [10, 0],
        [10, 25],
        [1000, 0],
        [7000, 7],
        [30_000, 0],
        [0, 5],
      ] as const) {
        const expected = all.slice(offset, offset + n)
        expect(await sorted.limit(n, offset).toArray()).toEqual(expected)
        expect(await sorted.limit(n, offset).toArray({ memoryBytesMax: 1 << 20 })).toEqual(expected)
      }
      const mapped = sorted.withColumns({ twice: col('id').mul(2) }).map(({ twice }) => twice)
      expect(await mapped.limit(40, 5).limit(9, 1).toArray()).toEqual(all.slice(6, 15).map(({ id }) => 2 * id))
    }
    expect(
      await flow('f', rows)
        .sort({ by: 'none', nulls: 'first' })
        .limit(3)
        .map(({ id }) => id)
        .toArray(),
    ).toEqual([0, 3, 6])
  })
  const top = flow('f', [{ k: 1 }])
    .sort('k')
    .limit(10, 5)
  expect(top.explain()).toBe('limit 10 after 5\n  sort by k, only the first 15\n    iterable iterable')
  expect(
    flow('f', [{ k: 1 }])
      .sort('k')
      .limit(1e6)
      .explain(),
  ).toContain('sort by k, in ranges of keys')
  expect(
    flow('f', [{ k: 1 }])
      .sort('k')
      .filter(col('k').gt(0))
      .limit(3)
      .explain(),
  ).toContain('sort by k, in ranges of keys')
})
