/** Goal: a run answers point lookups, seeks and walks both ways exactly as a sorted array of its records does. */
import { beforeAll, expect, test } from 'vitest'
import { STORE_DELETE, STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { StoreRecordCursor } from '../../../../engine/batch/store-record.ts'
import { CODEC_LZ4, CODEC_NONE, CODEC_SNAPPY } from '../../../../engine/codec/compression.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import { RunCursor } from '../../../../engine/segment/run-reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { type Random, seeded } from '../codec/random.ts'
import { type PlainRecord, plain, storeRecord, textOf, utf8, withReader, writeSegment } from './fixtures.ts'
import { MemoryFiles } from './memory-files.ts'
import { RunLookup } from './run-lookup.ts'

beforeAll(loadChecksums)

/** Half of the runs are plain. */
const codecs = [CODEC_NONE, CODEC_NONE, CODEC_SNAPPY, CODEC_LZ4]

/** Records in order of (key, newest first). */
function randomRun(random: Random, keys: number): PlainRecord[] {
  const records: PlainRecord[] = []
  let sequence = 1
  const valueBytes = random.pick([0, 20, 900])
  const names = new Set<string>()
  while (names.size < keys) names.add(`${'p'.repeat(random.below(3))}${random.below(keys * 3)}`)
  for (const key of [...names].sort()) {
    const versions: PlainRecord[] = []
    for (let i = random.below(random.below(20) === 0 ? 60 : 3); i >= 0; i--) {
      const kind = random.pick([STORE_PUT, STORE_PUT, STORE_DELETE, STORE_RANGE_DELETE, STORE_POINTER])
      const value = kind === STORE_DELETE ? undefined : kind === STORE_RANGE_DELETE ? `${key}~` : 'v'.repeat(random.below(valueBytes + 1))
      const expiry = random.below(4) === 0 ? 5000 + random.below(100) : undefined
      sequence += 1 + random.below(3)
      versions.push({ kind, key, sequence, ...(value ? { value } : {}), ...(expiry === undefined ? {} : { expiry }) })
    }
    records.push(...versions.reverse())
  }
  return records
}

function writeRun(files: MemoryFiles, records: readonly PlainRecord[], versioned = false, codec = CODEC_NONE): void {
  writeSegment(files, 's', writer => {
    writer.beginPart({ logId: 1, name: 'run', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: 10, versioned, codec })
    for (const record of records) {
      const bytes = storeRecord(record)
      writer.addRecord(bytes, 0, bytes.length)
    }
    writer.endPart()
  })
}

test('get finds what a search of the records finds, at every sequence', async () => {
  await seeded(random => {
    for (let round = 0; round < 6; round++) {
      const records = randomRun(random, 1 + random.below(400))
      const files = new MemoryFiles()
      writeRun(files, records, false, random.pick(codecs))
      expect(verifySegment(files, 's').findings).toEqual([])
      withReader(files, 's', reader => {
        const run = new RunLookup(reader, 0)
        const get = (key: string, sequenceMax?: number): PlainRecord | undefined => {
          const bytes = utf8(key)
          return run.get(bytes, 0, bytes.length, undefined, sequenceMax) ? plain(run.record) : undefined
        }
        const model = (key: string, sequenceMax = Number.MAX_SAFE_INTEGER): PlainRecord | undefined =>
          records.find(record => record.key === key && record.kind !== STORE_RANGE_DELETE && record.sequence <= sequenceMax)
        for (const { key, sequence } of records) {
          expect(get(key)).toEqual(model(key))
          expect(get(key, sequence)).toEqual(model(key, sequence))
          expect(get(key, sequence - 1)).toEqual(model(key, sequence - 1))
        }
        for (let i = 0; i < 200; i++) expect(get(`${i}x`)).toBeUndefined()
      })
    }
  })
})

test('a cursor walks both ways and seeks as an index into the array does', async () => {
  await seeded(random => {
    for (let round = 0; round < 6; round++) {
      const records = randomRun(random, 1 + random.below(300))
      const files = new MemoryFiles()
      writeRun(files, records, false, random.pick(codecs))
      withReader(files, 's', reader => {
        const cursor = new RunCursor(reader, 0, { bytesMax: random.pick([1, 40_000, 1_000_000]) })
        let at = -1
        const agree = (found: boolean): void => {
          expect(found).toBe(at >= 0 && at < records.length)
          if (found) expect(plain(cursor.record)).toEqual(records[at])
        }
        for (let step = 0; step < 3000; step++) {
          const action = random.below(40)
          if (action === 0) {
            const key = random.below(2) === 0 ? records[random.below(records.length)]!.key : `${random.below(500)}`
            const found = records.findIndex(record => record.key >= key)
            at = found < 0 ? records.length : found
            agree(cursor.seek(utf8(key)))
          } else if (action === 1) {
            at = 0
            agree(cursor.first())
          } else if (action === 2) {
            at = records.length - 1
            agree(cursor.last())
          } else if ((step >> 9) % 2 === 0) {
            at = Math.min(records.length, at + 1)
            agree(cursor.next())
          } else {
            at = Math.max(-1, at - 1)
            agree(cursor.previous())
          }
        }
      })
    }
  })
})

test('statistics, bounds and range deletes are those of the records', async () => {
  await seeded(random => {
    const records = randomRun(random, 150)
    const files = new MemoryFiles()
    writeRun(files, records)
    withReader(files, 's', reader => {
      const index = reader.runIndex(0)
      const count = (kind: number): number => records.filter(record => record.kind === kind).length
      const expiries = records.flatMap(({ expiry }) => (expiry === undefined ? [] : [expiry]))
      expect(index.facts()).toMatchObject({
        puts: count(STORE_PUT),
        deletes: count(STORE_DELETE),
        rangeDeletes: count(STORE_RANGE_DELETE),
        pointers: count(STORE_POINTER),
        expiring: expiries.length,
        minExpiry: Math.min(...expiries),
        maxExpiry: Math.max(...expiries),
        versioned: 0,
      })
      expect(textOf(index.smallestKey.slice())).toBe(records[0]!.key)
      expect(textOf(index.largestKey.slice())).toBe(records[records.length - 1]!.key)
      const sequences = records.map(({ sequence }) => sequence)
      expect([reader.directory.minSequence(0), reader.directory.maxSequence(0)]).toEqual([Math.min(...sequences), Math.max(...sequences)])
      const cursor = new StoreRecordCursor()
      cursor.reset(index.rangeDeletes, 0, index.rangeDeletes.length)
      const found: PlainRecord[] = []
      while (cursor.next()) found.push(plain(cursor))
      expect(found).toEqual(records.filter(({ kind }) => kind === STORE_RANGE_DELETE))
    })
  })
})

test('versions order the records of one key in a versioned run', () => {
  const at = (ms: number, counter: number, node: number, sequence: number): PlainRecord => ({
    kind: STORE_PUT,
    key: 'k',
    sequence,
    version: { ms, counter, node },
  })
  const records = [at(9, 0, 1, 1), at(8, 3, 1, 7), at(8, 2, 5, 3), at(8, 2, 4, 9)]
  const files = new MemoryFiles()
  writeRun(files, records, true)
  expect(verifySegment(files, 's').findings).toEqual([])
  withReader(files, 's', reader => {
    expect(reader.directory.isVersioned(0)).toBe(true)
    expect(reader.runIndex(0).facts()).toMatchObject({ minVersion: records[3]!.version, maxVersion: records[0]!.version, versioned: 4 })
    const run = new RunLookup(reader, 0)
    expect(run.get(utf8('k'), 0, 1)).toBe(true)
    expect(run.record.sequence).toBe(1)
    expect(run.get(utf8('k'), 0, 1, undefined, 8)).toBe(true)
    expect(run.record.sequence).toBe(1)
  })
  expect(() => writeRun(new MemoryFiles(), records, false)).toThrow('newest first')
})

test('the filter answers most misses without a read, and an empty run answers all', () => {
  const files = new MemoryFiles()
  writeRun(
    files,
    Array.from({ length: 5000 }, (_, i) => ({ kind: STORE_PUT, key: `key-${String(i).padStart(6, '0')}`, sequence: i })),
  )
  withReader(files, 's', reader => {
    const run = new RunLookup(reader, 0)
    files.reads = 0
    for (let i = 0; i < 5000; i++) expect(run.get(utf8(`key-${String(i).padStart(6, '0')}x`), 0, 11)).toBe(false)
    expect(files.reads).toBeLessThan(120)
  })
  writeRun(files, [])
  withReader(files, 's', reader => {
    expect(new RunLookup(reader, 0).get(utf8('a'), 0, 1)).toBe(false)
    const cursor = new RunCursor(reader, 0)
    expect([cursor.first(), cursor.last(), cursor.next(), cursor.previous(), cursor.seek(utf8('a'))]).toEqual([
      false,
      false,
      false,
      false,
      false,
    ])
    expect(reader.runIndex(0).smallestKey).toHaveLength(0)
  })
})
