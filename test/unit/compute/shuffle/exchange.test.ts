/**
 * Goal: rows that go through an exchange come out of the buckets of their keys, each once and those of a bucket in order, whatever numbers, nulls, truth values and texts they have and however these
 * change from chunk to chunk, from memory and from the file; and whole numbers without gaps fall into all buckets alike.
 */
import { beforeAll, expect, it } from 'vitest'
import { hashVector } from '../../../../compute/group/hash.ts'
import { ColumnRows } from '../../../../compute/rows/chunk-data.ts'
import { BUCKETS, bucketOf } from '../../../../compute/shuffle/exchange.ts'
import { ExchangeReader } from '../../../../compute/shuffle/exchange-reader.ts'
import { ExchangeWriter } from '../../../../compute/shuffle/exchange-writer.ts'
import { Chunk } from '../../../../compute/vector/chunk.ts'
import { NumberVector, nullVector, sameVector, type Vector } from '../../../../compute/vector/vector.ts'
import type { Files } from '../../../../engine/index.ts'
import { randomVector, vectorKinds } from '../../../support/random-chunks.ts'
import { type Random, seeded } from '../../engine/codec/random.ts'
import { jobFiles } from './support.ts'

let files: Files
let count = 0
beforeAll(async () => {
  files = await jobFiles()
})

/** What makes numbers of a column fit one form or another. */
const numbersOf: readonly ((random: Random) => number)[] = [
  random => random.below(1000),
  random => random.below(40_000) - 20_000,
  random => 1e12 + random.below(2 ** 30),
  random => random.below(4000) / 4,
  random => (random.below(50) === 0 ? -0 : random.below(9)),
  random => (random.below(50) === 0 ? Number.NaN : random.below(9) / 2),
  random => random.below(2 ** 30) / 7,
  random => (random.below(9) === 0 ? 1e-10 : random.below(9) - 2 ** 31),
]

/** Mostly numbers, rather of one kind for a while. */
function columnOf(random: Random, size: number, kind: number, isMixed: boolean): Vector {
  const other = random.below(40)
  if (other === 0) return nullVector(size)
  if (other === 1 && isMixed) return sameVector(random.below(2), size)
  if (other === 2) return randomVector(random, random.pick(vectorKinds.slice(0, isMixed ? 4 : 2)), size)
  return new NumberVector(Float64Array.from({ length: size }, () => (numbersOf[kind] as (random: Random) => number)(random)))
}

const columns = ['0', '1', '2']

/** Where numbers are beside other things they are values of a list, which knows one zero. */
const withoutSign = (rows: readonly unknown[][]): unknown[][] => rows.map(row => row.map(value => (value === 0 ? 0 : value)))

interface Written {
  readonly writer: ExchangeWriter
  /** By bucket, rows as they came. */
  readonly expected: unknown[][][]
}

function write(random: Random, level: number, outputBytesMax: number, keyWidth: number, isMixed: boolean): Written {
  const options = {
    columns,
    keyWidth,
    level,
    files,
    path: `/job/${count++}.blocks`,
    memoryBytesMax: 1 << 20,
    outputBytesMax,
    isShared: true,
  }
  const writer = new ExchangeWriter(options)
  const expected: unknown[][][] = Array.from({ length: BUCKETS }, () => [])
  let kinds = columns.map(() => random.below(numbersOf.length))
  const oneKey = random.below(5) === 0
  for (let round = 0; round < 12; round++) {
    if (random.below(4) === 0) kinds = columns.map(() => random.below(numbersOf.length))
    const size = 1 + random.below(round === 5 ? 9000 : 3000)
    const vectors = kinds.map((kind, i) =>
      i === 0 && oneKey ? new NumberVector(new Float64Array(size).fill(7)) : columnOf(random, size, kind, isMixed),
    )
    const rows = Int32Array.from({ length: size }, (_, i) => i).filter(() => random.below(5) > 0)
    const hashes = new Int32Array(rows.length)
    for (let i = 0; i < keyWidth; i++) hashVector(vectors[i] as Vector, rows, rows.length, hashes, i > 0)
    for (const [k, row] of rows.entries()) expected[bucketOf(hashes[k] as number, level)]?.push(vectors.map(vector => vector.get(row)))
    writer.receive(new Chunk(new ColumnRows(size, columns, vectors), rows, rows.length))
  }
  writer.finish()
  return { writer, expected }
}

function read({ writer }: Written, bucket: number, level: number, keyWidth: number): unknown[][] {
  const buckets = { from: bucket, to: bucket + 1 }
  const reader = new ExchangeReader({ outputs: [writer.output()], buckets, columns, keyWidth, level, files })
  const rows: unknown[][] = []
  for (let chunk = reader.next(); chunk !== undefined; chunk = reader.next()) {
    const vectors = columns.map(column => (chunk as Chunk).field(column))
    for (let k = 0; k < chunk.count; k++) rows.push(vectors.map(vector => vector.get(chunk?.rows[k] as number)))
  }
  reader.close()
  return rows
}

it.each([
  { where: 'in memory', outputBytesMax: 64 << 20, level: 0, keyWidth: 1 },
  { where: 'partly in a file', outputBytesMax: 100_000, level: 0, keyWidth: 1 },
  { where: 'by keys of two fields', outputBytesMax: 64 << 20, level: 0, keyWidth: 2 },
  { where: 'divided again', outputBytesMax: 100_000, level: 2, keyWidth: 1 },
])('rows come out of the buckets of their keys, $where', async ({ outputBytesMax, level, keyWidth }) => {
  await seeded(random => {
    for (let round = 0; round < 6; round++) {
      const isMixed = round % 2 === 1
      const written = write(random, level, outputBytesMax, keyWidth, isMixed)
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        const [got, expected] = [read(written, bucket, level, keyWidth), written.expected[bucket] as unknown[][]]
        if (isMixed) expect(withoutSign(got)).toEqual(withoutSign(expected))
        else expect(got).toEqual(expected)
      }
      expect(written.writer.output().rows).toBe(written.expected.flat().length)
    }
  })
})

it('64 neighbours of a multiple of 64 fall into 64 buckets', async () => {
  await seeded(random => {
    for (let round = 0; round < 100; round++) {
      const first = 64 * (random.below(2 ** 25) - 2 ** 24)
      const hashes = new Int32Array(64)
      const rows = Int32Array.from({ length: 64 }, (_, i) => i)
      hashVector(new NumberVector(Float64Array.from(rows, row => first + row)), rows, 64, hashes, false)
      expect(new Set(Array.from(hashes, hash => bucketOf(hash, 0))).size).toBe(BUCKETS)
      expect(new Set(Array.from(hashes, hash => hash & 0xffff)).size).toBeGreaterThan(60)
    }
  })
})
