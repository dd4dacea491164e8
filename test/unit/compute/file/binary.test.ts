/**
 * Goal: records of a fixed length are read, sorted by a part of them and written back byte for byte, in one thread and in several, into one file or into parts that are in order one after the
 * other; what a run that fails has written goes; files and rows that are not what they should be are named.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { col, flow, readBinary, readCsv, readJsonl, row, type Sink, writeBinary, writeCsv, writeJsonl } from '../../../../compute/index.ts'
import { makeRandom } from '../../engine/codec/random.ts'

const recordBytes = 20
const count = 40_000
let folder: string
let input: string
/** In the order of the first six bytes, equal ones as they are in the file. */
let sorted: Buffer

const path = (name: string): string => join(folder, name)
const key = row<Uint8Array>().slice(1, 7)
const leftovers = (): string[] => readdirSync(folder).filter(name => name.startsWith('.varve-'))
const partsOf = (name: string): string[] => readdirSync(path(name)).map(part => join(path(name), part))

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-binary-'))
  input = path('input.dat')
  const random = makeRandom(11)
  const records = Array.from({ length: count }, (_, i) => {
    const record = Buffer.alloc(recordBytes, 7)
    // Few first bytes, so that some keys are equal; zeros among them.
    for (let b = 1; b < 7; b++) record[b] = b < 3 ? random.below(200) : random.below(2)
    record.writeUInt32BE(i, 8)
    return record
  })
  writeFileSync(input, Buffer.concat(records))
  sorted = Buffer.concat(records.sort((a, b) => a.compare(b, 1, 7, 1, 7) || a.readUInt32BE(8) - b.readUInt32BE(8)))
})

afterAll(() => rmSync(folder, { recursive: true }))

it.each([
  [0, 1 << 20],
  [2, 256 << 20],
  [2, 1 << 20],
])('sorts files with %i workers and %i bytes of memory', async (workers, memoryBytesMax) => {
  const flowOf = flow('f', readBinary(input, { recordBytes })).sort(key)
  const one = path(`one-${workers}-${memoryBytesMax}`)
  expect(await flowOf.to(writeBinary(one), { workers, memoryBytesMax })).toMatchObject({ rows: count })
  expect(readFileSync(one).equals(sorted)).toBe(true)
  const parts = path(`parts-${workers}-${memoryBytesMax}`)
  expect(await flowOf.to(writeBinary(parts, { parts: true }), { workers, memoryBytesMax })).toMatchObject({ rows: count })
  const files = readdirSync(parts)
  expect(files.length).toBeGreaterThan(workers === 0 ? 0 : 2)
  expect(files).toEqual(files.map((_, i) => `part-0000${i}.binary`))
  expect(Buffer.concat(files.map(file => readFileSync(join(parts, file)))).equals(sorted)).toBe(true)
  // A folder of parts is an input as a file is.
  const again = await flow('again', readBinary(parts, { recordBytes })).count({ workers: 0 })
  expect(again).toBe(count)
  expect(leftovers()).toEqual([])
})

it('takes parts out of bytes wherever they are', async () => {
  const first = await flow('f', readBinary(input, { recordBytes }))
    .select({
      all: row<Uint8Array>(),
      part: row<Uint8Array>().slice(8, 12),
      rest: row<Uint8Array>().slice(18),
      none: row<Uint8Array>().slice(30),
    })
    .first()
  const record = readFileSync(input).subarray(0, recordBytes)
  expect(first?.all).toEqual(new Uint8Array(record))
  expect(first?.part).toEqual(new Uint8Array(4))
  expect(first?.rest).toEqual(new Uint8Array([7, 7]))
  expect(first?.none).toEqual(new Uint8Array(0))
  const values = await flow('v', [{ a: new Uint8Array([1, 2, 3]) }, { a: 'text' }, { a: null }])
    .select({ part: col('a').slice(1, 9) })
    .toArray()
  expect(values).toEqual([{ part: new Uint8Array([2, 3]) }, { part: null }, { part: null }])
  expect(() => row<Uint8Array>().slice(-1)).toThrow('start must be a whole number')
})

it('writes text in parts, too, and replaces what is there only when told so', async () => {
  const lines = path('lines.jsonl')
  // Above a MiB, so that there are several splits.
  writeFileSync(
    lines,
    Array.from({ length: 30_000 }, (_, id) => `${JSON.stringify({ id, text: `line ${id % 777} ${'x'.repeat(20)}` })}\n`).join(''),
  )
  const rows = flow('f', readJsonl<{ id: number; text: string }>(lines)).sort('text', 'id')
  const expected = await rows.toArray({ workers: 0 })
  for (const [name, sink] of Object.entries({
    jsonl: (options: object): Sink<unknown> => writeJsonl(path('jsonl'), { parts: true, ...options }),
    csv: (options: object): Sink<unknown> => writeCsv(path('csv'), { parts: true, ...options }),
  })) {
    await rows.to(sink({}), { workers: 2 })
    expect(partsOf(name).length).toBeGreaterThan(2)
    const read = name === 'csv' ? readCsv(path(name)) : readJsonl(path(name))
    expect(JSON.stringify(await flow('again', read).toArray())).toBe(JSON.stringify(expected))
    await expect(rows.to(sink({}))).rejects.toMatchObject({ code: 'EXISTS' })
    await rows.limit(1).to(sink({ overwrite: true }), { workers: 2 })
    expect(partsOf(name).length).toBe(1)
  }
  await rows.filter(col('id').lt(0)).to(writeJsonl(path('nothing'), { parts: true }), { workers: 2 })
  expect(partsOf('nothing').map(file => readFileSync(file).length)).toEqual([0])
})

it('names files that end within a record, and rows that are no bytes; leaves nothing then', async () => {
  const cut = path('cut.dat')
  writeFileSync(cut, Buffer.alloc(3 * recordBytes + 5))
  await expect(flow('f', readBinary(cut, { recordBytes })).count()).rejects.toMatchObject({
    code: 'CORRUPT',
    message: `${cut} ends within a record of 20 bytes, at byte 60 of 65`,
    details: { file: cut, position: 60 },
  })
  const text = flow('f', readBinary(input, { recordBytes })).select({ n: row<Uint8Array>().length() })
  for (const workers of [0, 2]) {
    await expect(text.to(writeBinary(path('bad'), { parts: true }) as Sink<unknown>, { workers })).rejects.toMatchObject({
      code: 'INVALID_RECORD',
    })
  }
  expect(leftovers()).toEqual([])
  for (const bad of [0, 1.5, 2 ** 24 + 1])
    expect(() => readBinary(input, { recordBytes: bad })).toThrow('recordBytes must be a whole number')
  expect(() => writeBinary(path('x'), { parts: 1 as never })).toThrow('parts must be true or false')
  expect(() => writeBinary(path('x'), { parts: true, partitionBy: ['a'] })).toThrow('parts and partitionBy must not be given together')
})
