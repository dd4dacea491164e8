/** Goal: pieces with disjoint ranges read as one run does: lookups, range deletes, walks both ways from anywhere; and runs are asked in the right order. */
import { beforeAll, describe, expect, test } from 'vitest'
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { createKeyHash, hashKey } from '../../../../engine/batch/store-keys.ts'
import { StoreRecordCursor } from '../../../../engine/batch/store-record.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { partRef } from '../../../../engine/log/parts.ts'
import { LEVEL_BOTTOM, PART_RUN } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { BlockCache } from '../../../../engine/store/block-cache.ts'
import { type OrderedCursor, Run, type SortedRun } from '../../../../engine/store/run.ts'
import { newestFirst, RunLevel } from '../../../../engine/store/run-level.ts'
import { type Random, seeded } from '../codec/random.ts'
import { type PlainRecord, plain, storeRecord, utf8, writeSegment } from '../segment/fixtures.ts'
import { MemoryFiles } from '../segment/memory-files.ts'

beforeAll(loadChecksums)

const keyOf = (n: number): string => `k${String(n).padStart(3, '0')}`
const keys = 120

interface Shape {
  readonly records: readonly PlainRecord[]
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly level?: number
  readonly offsets?: readonly [number, number]
}

function runOf(files: MemoryFiles, path: string, { records, from, to, level = LEVEL_BOTTOM, offsets = [0, 100] }: Shape): Run {
  writeSegment(files, path, writer => {
    const [firstOffset, endOffset] = offsets
    writer.beginPart({ logId: 1, name: 's', kind: 2, type: PART_RUN, level, firstOffset, endOffset })
    for (const record of records) {
      const bytes = storeRecord(record)
      writer.addRecord(bytes, 0, bytes.length)
    }
    writer.setKeyRange({ from: from === undefined ? undefined : utf8(from), to: to === undefined ? undefined : utf8(to) })
    writer.endPart()
  })
  expect(verifySegment(files, path).findings).toEqual([])
  return new Run(partRef(SegmentReader.open(files, path), 0), new BlockCache(1 << 20))
}

/** Records in order; range deletes stay within `[from, to)` of their piece. */
function randomRecords(random: Random, from: number, to: number): PlainRecord[] {
  const records: PlainRecord[] = []
  for (let n = from; n < to; n++) {
    if (random.below(3) === 0) continue
    const newer = 1000 + n * 4
    if (random.below(8) === 0)
      records.push({ kind: STORE_RANGE_DELETE, key: keyOf(n), sequence: newer + 2, value: keyOf(n + random.below(to - n + 1)) })
    records.push({
      kind: random.below(5) === 0 ? STORE_DELETE : STORE_PUT,
      key: keyOf(n),
      sequence: newer + 1,
      value: 'v'.repeat(random.below(400)),
    })
    if (random.below(3) === 0) records.push({ kind: STORE_PUT, key: keyOf(n), sequence: newer, value: 'old' })
  }
  return records.map(record => (record.kind === STORE_DELETE ? { kind: record.kind, key: record.key, sequence: record.sequence } : record))
}

describe('against one run with all records', () => {
  test('lookups, range deletes and walks', () =>
    seeded(random => {
      for (let round = 0; round < 20; round++) {
        const files = new MemoryFiles()
        const cuts = [...new Set(Array.from({ length: 1 + random.below(6) }, () => random.below(keys)))].sort((a, b) => a - b)
        const shapes = [...cuts, keys].map((to, i): Shape => {
          const from = cuts[i - 1]
          // Some pieces are empty.
          const records = random.below(5) === 0 ? [] : randomRecords(random, from ?? 0, to)
          return { records, from: from === undefined ? undefined : keyOf(from), to: i < cuts.length ? keyOf(to) : undefined }
        })
        const whole = runOf(files, 'whole', { records: shapes.flatMap(({ records }) => records) })
        const [level, ...rest] = newestFirst(shapes.map((shape, i) => runOf(files, `piece-${i}`, shape)).reverse())
        expect(rest).toEqual([])
        compareLookups(level as SortedRun, whole, random)
        compareWalks((level as SortedRun).cursor(), whole.cursor(), random)
        expect(level).toMatchObject({ hasRangeDeletes: whole.hasRangeDeletes, largestSequence: whole.largestSequence })
        expect(level?.rangeDeletes).toEqual(whole.rangeDeletes)
      }
    }))

  function compareLookups(level: SortedRun, whole: SortedRun, random: Random): void {
    const hash = createKeyHash()
    for (let n = -1; n < keys + 2; n++) {
      const key = utf8(keyOf(Math.max(0, n)))
      const size = n < 0 ? 1 : key.length
      hashKey(key, 0, size, hash)
      const sequenceMax = random.below(2) === 0 ? Number.MAX_SAFE_INTEGER : 1000 + random.below(keys * 4)
      const record = new StoreRecordCursor()
      const other = new StoreRecordCursor()
      const found = whole.find(key, 0, size, hash, sequenceMax, record)
      expect(level.find(key, 0, size, hash, sequenceMax, other)).toBe(found)
      if (found) expect(plain(other)).toEqual(plain(record))
      expect(level.coveringRangeDelete(key, 0, size, sequenceMax)).toBe(whole.coveringRangeDelete(key, 0, size, sequenceMax))
    }
  }

  function compareWalks(level: OrderedCursor, whole: OrderedCursor, random: Random): void {
    for (let step = 0; step < 400; step++) {
      const jump = random.below(12)
      const key = utf8(keyOf(random.below(keys + 3)))
      const move = (cursor: OrderedCursor): boolean => {
        if (jump === 0) return cursor.first()
        if (jump === 1) return cursor.last()
        if (jump === 2) return cursor.seek(key)
        // Long walks one way, then the other.
        return (step >> 6) % 2 === 0 ? cursor.next() : cursor.previous()
      }
      if (step === 0) {
        expect(level.first()).toBe(whole.first())
        continue
      }
      const stands = move(whole)
      expect(move(level)).toBe(stands)
      if (stands) expect(plain(level.record)).toEqual(plain(whole.record))
    }
  }
})

test('newest first, the bottom last; pieces that overlap are asked one by one, the one that holds more first', () => {
  const files = new MemoryFiles()
  const records = [{ kind: STORE_PUT, key: 'k5', sequence: 1, value: 'v' }]
  const make = (name: string, shape: Omit<Shape, 'records'>): Run => runOf(files, name, { records, ...shape })
  const old = make('old', { level: 0, offsets: [40, 50] })
  const fresh = make('fresh', { level: 0, offsets: [50, 60] })
  const left = make('left', { records: [], to: 'k3', offsets: [0, 50] } as Shape)
  const right = make('right', { from: 'k3', offsets: [0, 40] })
  const [first, second, level, ...rest] = newestFirst([right, old, left, fresh])
  expect([first, second, rest]).toEqual([fresh, old, []])
  expect(level).toBeInstanceOf(RunLevel)
  expect(level?.pieces).toEqual([left, right])
  const whole = make('whole', { offsets: [0, 60] })
  expect(newestFirst([right, whole, left, fresh])).toEqual([fresh, whole, left, right])
  expect(newestFirst([right])).toEqual([right])
})
