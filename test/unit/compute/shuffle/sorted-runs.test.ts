/**
 * Goal: what several tasks wrote in runs, merged range by range, is what one stable sort of all rows gives: with ties, nulls, rows of any kind and codec, in memory and in files, however the keys
 * are spread; ranges have about equally many rows, and what must stay together does.
 */
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SortCriterion } from '../../../../compute/plan/node.ts'
import { ColumnRows } from '../../../../compute/rows/chunk-data.ts'
import type { ExchangeOutput } from '../../../../compute/shuffle/exchange.ts'
import { keyRanges, mergeInput } from '../../../../compute/shuffle/key-ranges.ts'
import { MergeReader } from '../../../../compute/shuffle/merge-reader.ts'
import { RunWriter } from '../../../../compute/shuffle/run-writer.ts'
import { allRows, Chunk } from '../../../../compute/vector/chunk.ts'
import { codecOf } from '../../../../compute/vector/row-codec.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { EncodedVector, type Vector } from '../../../../compute/vector/vector.ts'
import { vectorOf } from '../../../../compute/vector/vector-builder.ts'
import { type Files, valueCodecOf } from '../../../../engine/index.ts'
import { makeRandom, type Random, seeded } from '../../engine/codec/random.ts'
import { jobFiles } from './support.ts'

interface Row {
  readonly key: unknown
  readonly second: number
  readonly id: number
}

const criterion = (descending = false, nullsFirst = false): Pick<SortCriterion, 'descending' | 'nullsFirst'> => ({ descending, nullsFirst })
const whole = { paths: [], values: true }

let files: Files
let count = 0
beforeAll(async () => {
  files = await jobFiles()
})

interface Shape {
  readonly by: readonly Pick<SortCriterion, 'descending' | 'nullsFirst'>[]
  readonly together: number
  readonly first?: number
  readonly memoryBytesMax: number
  readonly outputBytesMax: number
  /** Rows of a chunk as a vector. */
  readonly rowsOf: (rows: readonly Row[]) => Vector
}

/** Several tasks' rows through writers, in chunks that have other rows between those that count. */
function write(tasks: readonly (readonly Row[])[], { rowsOf, ...order }: Shape): ExchangeOutput[] {
  return tasks.map(rows => {
    const writer = new RunWriter({ ...order, expectedBytes: 0, blockBytes: 128 << 10, files, path: join('/job', `${count++}.blocks`) })
    for (let from = 0; from < rows.length; from += 700) {
      const part = rows.slice(from, from + 700).flatMap(row => [row, { key: 'no', second: 0, id: -1 }])
      const vectors = [vectorOf(part.map(({ key }) => key)), vectorOf(part.map(({ second }) => second)), rowsOf(part)]
      const selected = Int32Array.from({ length: part.length / 2 }, (_, i) => 2 * i)
      writer.receive(new Chunk(new ColumnRows(part.length, ['#0', '#1', ''], vectors), selected, selected.length))
    }
    writer.finish()
    return writer.output()
  })
}

/** Rows of each range. */
function read(outputs: readonly ExchangeOutput[], ranges: number): Row[][] {
  return keyRanges(outputs, ranges).map(range => {
    const reader = new MergeReader({ input: mergeInput(outputs, range), needs: whole, files })
    const rows: unknown[] = []
    for (let chunk = reader.next(); chunk !== undefined; chunk = reader.next()) rows.push(...chunk.values())
    reader.close()
    return rows as Row[]
  })
}

function sorted(tasks: readonly (readonly Row[])[], { by }: Pick<Shape, 'by'>): Row[] {
  const compare = (a: unknown, b: unknown, { descending, nullsFirst } = criterion()): number => {
    if (a === null || b === null) return a === b ? 0 : (a === null) === nullsFirst ? -1 : 1
    return compareValues(a, b) * (descending ? -1 : 1)
  }
  return tasks.flat().sort((a, b) => compare(a.key, b.key, by[0]) || (by.length > 1 ? compare(a.second, b.second, by[1]) : 0))
}

const msgpack = valueCodecOf('msgpack')
const json = valueCodecOf('json')

function encoded(rows: readonly unknown[], codec: 'msgpack' | 'json'): Vector {
  const parts = rows.map(row => new Uint8Array((codec === 'json' ? json : msgpack).encode(row)))
  const starts = new Int32Array(rows.length)
  const ends = new Int32Array(rows.length)
  let at = 0
  for (const [i, part] of parts.entries()) {
    starts[i] = at
    at += part.length
    ends[i] = at
  }
  return new EncodedVector(Buffer.concat(parts), starts, ends, codecOf(`["${codec}",[]]`))
}

const kinds: Record<string, (rows: readonly Row[]) => Vector> = {
  values: rows => vectorOf(rows),
  'encoded rows': rows => encoded(rows, 'msgpack'),
  'rows of two codecs': rows => encoded(rows, (rows[0]?.id ?? 0) % 1400 === 0 ? 'json' : 'msgpack'),
}

const keyKinds: Record<string, (random: Random, i: number) => unknown> = {
  'random numbers': random => random.below(1e9),
  'few keys and nulls': random => random.pick([null, 'a', 'b', 'a longer one than these', '']),
  'mostly one key': random => (random.below(20) === 0 ? random.below(1000) : 500),
  'keys that come in order': (_random, i) => i,
  'keys that come in the other order': (_random, i) => -i,
  'texts with much in common': random => `https://example.org/${'x'.repeat(40)}/${random.below(3000)}`,
}

const tasksOf = (random: Random, sizes: readonly number[], keyOf: (random: Random, i: number) => unknown): Row[][] => {
  let id = 0
  return sizes.map(size => Array.from({ length: size }, () => ({ key: keyOf(random, id), second: random.below(5), id: id++ })))
}

describe.each(Object.entries(kinds))('%s', (_name, rowsOf) => {
  it.each(Object.entries(keyKinds))('by %s are sorted as one stable sort does', (_keys, keyOf) =>
    seeded(random => {
      const tasks = tasksOf(random, [1700, 0, 1, 800], keyOf)
      for (const [memoryBytesMax, outputBytesMax] of [
        [8000, 0],
        [30_000, 40_000],
        [1 << 20, 1 << 20],
      ] as const) {
        const by = random.pick([[criterion(random.below(2) === 0, random.below(2) === 0)], [criterion(), criterion(true)]])
        const outputs = write(tasks, { by, together: by.length, memoryBytesMax, outputBytesMax, rowsOf })
        const expected = sorted(tasks, { by })
        const ranges = read(outputs, 1 + random.below(6))
        if (JSON.stringify(ranges.flat()) !== JSON.stringify(expected)) expect(ranges.flat()).toEqual(expected)
        const first = random.pick([1, 7, 300])
        const some = write(tasks, { by, together: by.length, first, memoryBytesMax, outputBytesMax, rowsOf })
        const found = read(some, 1 + random.below(6))
          .flat()
          .slice(0, first)
        if (JSON.stringify(found) !== JSON.stringify(expected.slice(0, first))) expect(found).toEqual(expected.slice(0, first))
      }
      expect(tasks.flat().length).toBe(2501)
    }),
  )
})

it.each(Object.entries(keyKinds))('where the first rows are wanted, tasks give few of %s', (_keys, keyOf) =>
  seeded(random => {
    const tasks = tasksOf(random, [50_000], keyOf)
    const by = [criterion()]
    const shape = {
      by,
      together: 1,
      memoryBytesMax: 1 << 20,
      outputBytesMax: 1 << 20,
      rowsOf: (rows: readonly Row[]) => encoded(rows, 'msgpack'),
    }
    const outputs = write(tasks, { ...shape, first: 20 })
    // A run every 8192 rows at the most, also of keys that come in the worst order.
    expect(outputs[0]?.rows).toBeGreaterThanOrEqual(20)
    expect(outputs[0]?.rows).toBeLessThanOrEqual(7 * 20)
    expect(read(outputs, 1).flat().slice(0, 20)).toEqual(sorted(tasks, { by }).slice(0, 20))
  }),
)

describe('ranges', () => {
  const shape: Shape = {
    by: [criterion()],
    together: 1,
    memoryBytesMax: 20_000,
    outputBytesMax: 0,
    rowsOf: rows => vectorOf(rows),
  }

  it('have about equally many rows', () => {
    const tasks = tasksOf(makeRandom(3), [9000, 9000, 2000], random => random.below(1e9) ** 3)
    const sizes = read(write(tasks, shape), 4).map(rows => rows.length)
    expect(sizes.length).toBe(4)
    // They are chosen by samples.
    for (const size of sizes) expect(Math.abs(size - 5000)).toBeLessThan(500)
  })

  it('keep equal keys together, and are fewer when there is little to divide by', () => {
    const tasks = tasksOf(makeRandom(4), [5000, 5000], random => random.pick([1, 1, 1, 1, 2]))
    const ranges = read(write(tasks, shape), 8)
    expect(ranges.length).toBeLessThanOrEqual(2)
    const seen = ranges.flatMap(rows => [...new Set(rows.map(({ key }) => key))])
    expect(seen).toEqual([1, 2])
    const same = tasksOf(makeRandom(5), [3000], () => 'same')
    expect(read(write(same, shape), 8).map(rows => rows.map(({ id }) => id))).toEqual([same.flat().map(({ id }) => id)])
  })

  it('keep together what agrees in the first criteria, whatever the others', () => {
    const tasks = tasksOf(makeRandom(6), [6000, 6000], random => `group ${random.below(12)}`)
    const outputs = write(tasks, { ...shape, by: [criterion(true), criterion()], together: 1 })
    // Not as many ranges as would part the groups evenly.
    const ranges = read(outputs, 5)
    expect(ranges.length).toBeGreaterThan(3)
    const seen = ranges.flatMap(rows => [...new Set(rows.map(({ key }) => key))])
    expect(seen.length).toBe(12)
    expect(ranges.flat()).toEqual(sorted(tasks, { by: [criterion(true), criterion()] }))
  })

  it('of nothing is one with no rows', () => {
    expect(read(write([[], []], shape), 4)).toEqual([[]])
    expect(read([], 4)).toEqual([[]])
  })

  it('name the file of a damaged block', () => {
    const outputs = write(
      tasksOf(makeRandom(7), [3000], random => random.below(100)),
      shape,
    )
    const path = outputs[0]?.file as string
    const file = files.openSync(path, 'write')
    file.writeSync(new Uint8Array([1, 2, 3]), 200)
    file.closeSync()
    expect(() => read(outputs, 1)).toThrow(`a block of the job's file ${path} is damaged`)
  })

  it('of rows that are large have whole rows in their blocks', () => {
    const large = 'y'.repeat(300_000)
    const tasks = [Array.from({ length: 9 }, (_, id) => ({ key: `${large}${8 - id}`, second: 0, id }))]
    const ranges = read(write(tasks, shape), 3)
    expect(ranges.flat().map(({ id }) => id)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0])
    expect(allRows(1)[0]).toBe(0)
  })
})
