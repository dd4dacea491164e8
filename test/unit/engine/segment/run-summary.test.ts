/** Goal: a run's summary in the footer says what its index section says, for every kind of run; opening needs no index section; bad summaries are found. */
import { beforeAll, expect, test } from 'vitest'
import { STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { partRef } from '../../../../engine/log/parts.ts'
import { LEVEL_BOTTOM, PART_RUN } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { decodeRunSummaries, encodeRunSummaries, type RunSummary, summaryOf } from '../../../../engine/segment/run-summary.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { BlockCache } from '../../../../engine/store/block-cache.ts'
import { Run } from '../../../../engine/store/run.ts'
import { newestFirst } from '../../../../engine/store/run-level.ts'
import { storeRecord, utf8, writeSegment } from './fixtures.ts'
import { MemoryFiles } from './memory-files.ts'

beforeAll(loadChecksums)

const keyOf = (n: number): string => `key-${String(n).padStart(6, '0')}`

interface Shape {
  readonly from?: number
  readonly to?: number
  readonly deletes?: boolean
  readonly codec?: number
}

function write(files: MemoryFiles, path: string, shapes: readonly Shape[], extensions: { tag: number; bytes: Uint8Array }[] = []): void {
  writeSegment(
    files,
    path,
    writer => {
      shapes.forEach(({ from, to, deletes, codec }, i) => {
        writer.beginPart({
          logId: i + 1,
          name: `s${i}`,
          kind: 2,
          type: PART_RUN,
          level: LEVEL_BOTTOM,
          firstOffset: 0,
          endOffset: 10_000,
          ...(codec === undefined ? {} : { codec }),
        })
        for (let n = from ?? 0; n < (to ?? 3000); n++) {
          const bytes = storeRecord({ kind: STORE_PUT, key: keyOf(n), sequence: 2 * n, value: 'v'.repeat(200) })
          if (deletes === true && n % 100 === 0) {
            const range = storeRecord({ kind: STORE_RANGE_DELETE, key: keyOf(n), sequence: 2 * n + 1, value: keyOf(n + 1) })
            writer.addRecord(range, 0, range.length)
          }
          writer.addRecord(bytes, 0, bytes.length)
        }
        writer.setKeyRange({
          from: from === undefined ? undefined : utf8(keyOf(from)),
          to: to === undefined ? undefined : utf8(keyOf(to)),
        })
        writer.endPart()
      })
    },
    { extensions },
  )
}

const shapes: Shape[] = [
  {},
  { deletes: true },
  { from: 1000 },
  { to: 2000, codec: 2 },
  { from: 500, to: 2500, deletes: true, codec: 1 },
  { to: 4 },
]

test('summaries are those of the index sections; small runs have none', () => {
  const files = new MemoryFiles()
  write(files, 'a', shapes)
  const reader = SegmentReader.open(files, 'a')
  expect([...reader.summaries.keys()]).toEqual([0, 1, 2, 3, 4])
  for (let part = 0; part < shapes.length; part++) expect(reader.summary(part)).toEqual(summaryOf(reader.runIndex(part)))
  expect(reader.summary(4)).toEqual({ hasRangeDeletes: true, range: { from: utf8(keyOf(500)), to: utf8(keyOf(2500)) }, codecs: [1] })
  expect(verifySegment(files, 'a').findings).toEqual([])
})

test('runs are put in order without their index sections, and a lookup reads that of one piece', () => {
  const files = new MemoryFiles()
  const runs = [0, 1, 2, 3].map(i => {
    write(files, `piece-${i}`, [{ from: i * 1000, to: i * 1000 + 1000 }])
    return new Run(partRef(SegmentReader.open(files, `piece-${i}`), 0), new BlockCache(1 << 20))
  })
  const reads = files.reads
  const [level, ...rest] = newestFirst(runs)
  expect(rest).toEqual([])
  expect(level?.hasRangeDeletes).toBe(false)
  expect(files.reads).toBe(reads)
  expect(level?.indexBytes).toBe(0)
  expect(level?.pieceOf(utf8(keyOf(2500)), 0, keyOf(2500).length)).toBe(runs[2])
  expect(runs[2]?.index.blockCount).toBeGreaterThan(10)
  expect(level?.indexBytes).toBe(runs[2]?.index.bytes.length)
})

test('a summary that differs from its index section is found by verify, and one that makes no sense by the reader', () => {
  const summary: RunSummary = { hasRangeDeletes: true, range: { from: undefined, to: utf8('x') }, codecs: [1, 4] }
  const bytes = encodeRunSummaries(new Map([[0, summary]]))
  expect(decodeRunSummaries(bytes, 1)).toEqual(new Map([[0, summary]]))
  expect(() => decodeRunSummaries(bytes, 0)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  for (let size = 1; size < bytes.length; size++)
    expect(() => decodeRunSummaries(bytes.slice(0, size), 1)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  expect(() => decodeRunSummaries(Uint8Array.of(0, 16), 1)).toThrow(expect.objectContaining({ code: 'NEWER_FORMAT' }))
  expect(() => decodeRunSummaries(Uint8Array.of(0, 8, 2, 4, 1), 1)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  // A small run has no summary of its own: this one is another's.
  const files = new MemoryFiles()
  write(files, 'a', [{ to: 4 }], [{ tag: 2, bytes }])
  expect(verifySegment(files, 'a').findings).toEqual([
    expect.objectContaining({ message: expect.stringContaining('the summary of run 0 differs') }),
  ])
})
