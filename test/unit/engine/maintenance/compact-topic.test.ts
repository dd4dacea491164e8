/** Goal: compaction keeps what Kafka's cleaner keeps: the newest committed record of each key, offsets, markers and horizons, producers' last batches. */
import { beforeAll, describe, expect, test } from 'vitest'
import { TRANSACTION_MARKER_BYTES, writeTransactionMarker } from '../../../../engine/batch/control-batch.ts'
import {
  batchBaseOffset,
  batchBaseSequence,
  batchCodec,
  batchDeleteHorizon,
  batchLastOffset,
  batchProducerId,
  batchRecordCount,
  isControlBatch,
} from '../../../../engine/batch/record-batch.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { OffsetMap } from '../../../../engine/maintenance/compact-offset-map.ts'
import { type ScanResult, TopicCompaction, type TopicCompactionOptions } from '../../../../engine/maintenance/compact-topic.ts'
import { PART_TOPIC } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { fromText, seeded } from '../codec/random.ts'
import { topicBatch, writeSegment } from '../segment/fixtures.ts'
import { MemoryFiles } from '../segment/memory-files.ts'
import { type RandomLog, randomLog, readLog, readRecords, type SeenRecord, writeLog } from './random-log.ts'

beforeAll(loadChecksums)

type Options = Partial<TopicCompactionOptions> & { readonly groups?: number; readonly out?: string }

/** Compacts the parts into one output part per group, checks the outputs, returns their paths. */
function compact(files: MemoryFiles, paths: readonly string[], options: Options): { paths: string[]; scan: ScanResult } {
  const readers = paths.map(path => SegmentReader.open(files, path))
  const sources = readers.map(reader => ({ reader, part: 0 }))
  const end = options.end ?? readers[readers.length - 1]!.directory.endOffset(0)
  const compaction = new TopicCompaction({ dirtyStart: 0, now: 1_000_000, deleteRetentionMs: 500, ...options, end })
  const scan = compaction.scan(sources)
  const outputs: string[] = []
  const per = Math.ceil(sources.length / (options.groups ?? 1))
  for (let i = 0; i < sources.length; i += per) {
    const group = sources.slice(i, i + per)
    const path = `${options.out ?? 'out'}-${outputs.length}`
    const [firstOffset, endOffset] = [group[0]!.reader.directory.firstOffset(0), group[group.length - 1]!.reader.directory.endOffset(0)]
    writeSegment(files, path, writer => {
      writer.beginPart({ logId: 1, name: 'topic', kind: 1, type: PART_TOPIC, firstOffset, endOffset })
      compaction.clean(group, writer)
      writer.endPart()
    })
    expect(verifySegment(files, path).findings).toEqual([])
    outputs.push(path)
  }
  for (const reader of readers) reader.close()
  return { paths: outputs, scan }
}

/** What must be readable after compaction of `[0, end)`: committed records that no later committed one in the range supersedes. */
function survivors(log: RandomLog, end: number, tombstones: boolean): SeenRecord[] {
  const committed = readRecords(log, 'committed')
  const last = new Map<string, number>()
  for (const { key, offset } of committed) if (key !== null && offset < end) last.set(key, offset)
  return committed.filter(
    ({ key, value, offset }) => key === null || offset >= end || (offset >= (last.get(key) ?? 0) && (tombstones || value !== null)),
  )
}

describe('random logs', () => {
  test.each([false, true])('the survivors are readable and nothing else is, transactions %s', async transactions => {
    await seeded(random => {
      for (let round = 0; round < 25; round++) {
        const log = randomLog(random, { batches: 5 + random.below(60), keys: 1 + random.below(30), transactions })
        const files = new MemoryFiles()
        const paths = writeLog(files, log, 1 + random.below(4))
        const first = compact(files, paths, { groups: 1 + random.below(3) })
        const cleaned = readLog(files, first.paths)
        expect(first.scan).toMatchObject({ end: log.endOffset, full: false })
        expect(readRecords(cleaned, 'committed')).toEqual(survivors(log, log.endOffset, true))
        expect(readRecords(cleaned, 'uncommitted')).toEqual(survivors(log, log.endOffset, true))
        checkBatches(log, cleaned)
        const second = compact(files, first.paths, { now: 1_000_499, out: 'second' })
        expect(readRecords(readLog(files, second.paths), 'committed')).toEqual(survivors(log, log.endOffset, true))
        const third = compact(files, second.paths, { now: 1_001_000, out: 'third' })
        expect(readRecords(readLog(files, third.paths), 'committed')).toEqual(survivors(log, log.endOffset, false))
        checkBatches(log, readLog(files, third.paths))
      }
    })
  })

  /** Batches keep their ranges and order; the last one and every producer's last one are still there. */
  function checkBatches(before: RandomLog, after: RandomLog): void {
    const ranges = new Map(before.batches.map(batch => [batchBaseOffset(batch, 0), batch]))
    const lastOf = new Map<number, number>()
    for (const batch of before.batches) if (!isControlBatch(batch, 0)) lastOf.set(batchProducerId(batch, 0), batchLastOffset(batch, 0))
    for (const batch of after.batches) {
      const original = ranges.get(batchBaseOffset(batch, 0))!
      expect(batchLastOffset(batch, 0)).toBe(batchLastOffset(original, 0))
      expect(batchProducerId(batch, 0)).toBe(batchProducerId(original, 0))
      expect(batchBaseSequence(batch, 0)).toBe(batchBaseSequence(original, 0))
      if (batchRecordCount(batch, 0) > 0) expect(batchCodec(batch, 0)).toBe(batchCodec(original, 0))
    }
    const ends = after.batches.map(batch => batchLastOffset(batch, 0))
    expect(ends).toContain(before.endOffset - 1)
    lastOf.delete(-1)
    for (const offset of lastOf.values()) expect(ends).toContain(offset)
  }

  test('a small map compacts in several rounds to the same records', async () => {
    await seeded(random => {
      for (let round = 0; round < 20; round++) {
        const log = randomLog(random, { batches: 60, keys: 30, transactions: true })
        const files = new MemoryFiles()
        let paths = writeLog(files, log, 3)
        let dirtyStart = 0
        for (let pass = 0; dirtyStart < log.endOffset; pass++) {
          expect(pass).toBeLessThan(60)
          const result = compact(files, paths, { dirtyStart, mapBytes: 24 * 12, out: `pass-${pass}` })
          expect(result.scan.end).toBeGreaterThan(dirtyStart)
          dirtyStart = result.scan.end
          paths = result.paths
        }
        expect(readRecords(readLog(files, paths), 'committed')).toEqual(survivors(log, log.endOffset, true))
      }
    })
  })

  test('what lies at or above the end stays byte for byte, and is not looked at', async () => {
    await seeded(random => {
      for (let round = 0; round < 20; round++) {
        const log = randomLog(random, { batches: 40, keys: 10, transactions: false })
        const files = new MemoryFiles()
        const cut = batchBaseOffset(log.batches[random.below(log.batches.length)]!, 0)
        const { paths } = compact(files, writeLog(files, log, 2), { end: cut })
        const after = readLog(files, paths)
        const above = (batches: Uint8Array[]): Uint8Array[] => batches.filter(batch => batchBaseOffset(batch, 0) >= cut)
        expect(above(after.batches)).toEqual(above(log.batches))
        expect(readRecords(after, 'committed')).toEqual(survivors(log, cut, true))
      }
    })
  })
})

describe('rules', () => {
  const markerAt = (offset: number, type: 'abort' | 'commit', producerId: number): Uint8Array => {
    const bytes = new Uint8Array(TRANSACTION_MARKER_BYTES)
    writeTransactionMarker(bytes, 0, offset, 0, { type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 })
    return bytes
  }
  const run = (log: Omit<RandomLog, 'endOffset'>, passes: readonly Options[]): RandomLog[] => {
    const endOffset = batchLastOffset(log.batches[log.batches.length - 1]!, 0) + 1
    const files = new MemoryFiles()
    let paths = writeLog(files, { ...log, endOffset }, 1)
    return passes.map((options, i) => {
      paths = compact(files, paths, { producers: new Map(), out: `pass${i}`, ...options }).paths
      return readLog(files, paths)
    })
  }
  const last = topicBatch(50, [{ key: 'last', value: 'x' }])

  test('the first cleaning stamps the horizon on tombstones once, and a pass at the horizon drops them', () => {
    const batches = [
      topicBatch(0, [
        { key: 'a', value: null, timestamp: 77 },
        { key: 'b', value: 'x', timestamp: 99 },
      ]),
      last,
    ]
    const [first, second, third] = run({ batches, aborted: [] }, [{ now: 1000 }, { now: 1400 }, { now: 1500 }])
    expect(batchDeleteHorizon(first!.batches[0]!, 0)).toBe(1500)
    expect(readRecords(first!, 'committed').map(({ timestamp }) => timestamp)).toEqual([77, 99, 1000])
    expect(second!.batches).toEqual(first!.batches)
    expect(readRecords(third!, 'committed').map(({ key }) => key)).toEqual(['b', 'last'])
    expect(batchDeleteHorizon(third!.batches[0]!, 0)).toBe(1500)
  })

  test('a marker outlives its data by the retention', () => {
    const data = topicBatch(0, [{ key: 'a', value: '1' }], { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional: true })
    const batches = [data, markerAt(1, 'commit', 5), topicBatch(2, [{ key: 'a', value: '2' }]), last]
    const [first, second, third, fourth] = run({ batches, aborted: [] }, [{ now: 1000 }, { now: 2000 }, { now: 2400 }, { now: 2500 }])
    expect(first!.batches.map(batch => [batchBaseOffset(batch, 0), batchDeleteHorizon(batch, 0)])).toEqual([
      [1, -1],
      [2, -1],
      [50, -1],
    ])
    expect(batchDeleteHorizon(second!.batches[0]!, 0)).toBe(2500)
    expect(third!.batches).toEqual(second!.batches)
    expect(fourth!.batches.map(batch => batchBaseOffset(batch, 0))).toEqual([2, 50])
  })

  test('aborted data goes at once, its entry stays while the first pass may be read, its marker until the horizon', () => {
    const data = topicBatch(0, [{ key: 'a', value: '1' }], { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional: true })
    const aborted = [{ producerId: 5, firstOffset: 0, lastOffset: 1, lastStableOffset: 1 }]
    const [first, second, third] = run({ batches: [data, markerAt(1, 'abort', 5), last], aborted }, [
      { now: 1000 },
      { now: 2000 },
      { now: 2500 },
    ])
    expect(first!.batches.map(batch => batchBaseOffset(batch, 0))).toEqual([1, 50])
    expect(first!.aborted).toEqual(aborted)
    expect(second!.aborted).toEqual([])
    expect(batchDeleteHorizon(second!.batches[0]!, 0)).toBe(2500)
    expect(third!.batches.map(batch => batchBaseOffset(batch, 0))).toEqual([50])
  })

  test('an active producer keeps the header of its last batch, or its last marker', () => {
    const data = topicBatch(
      3,
      [
        { key: 'a', value: '1' },
        { key: 'a', value: '2' },
      ],
      { producerId: 5, producerEpoch: 0, baseSequence: 8, compression: 'gzip' },
    )
    const batches = [data, topicBatch(9, [{ key: 'a', value: '3' }]), last]
    const [kept] = run({ batches, aborted: [] }, [{ producers: new Map([[5, { epoch: 0, lastDataOffset: 4 }]]) }])
    const empty = kept!.batches[0]!
    expect([empty.length, batchRecordCount(empty, 0), batchBaseOffset(empty, 0), batchLastOffset(empty, 0)]).toEqual([61, 0, 3, 4])
    expect([batchProducerId(empty, 0), batchBaseSequence(empty, 0), batchCodec(empty, 0)]).toEqual([5, 8, 0])
    const [, again] = run({ batches, aborted: [] }, [{ producers: new Map([[5, { epoch: 0, lastDataOffset: 4 }]]) }, {}])
    expect(again!.batches.map(batch => batchBaseOffset(batch, 0))).toEqual([9, 50])
    const marked = { batches: [markerAt(0, 'commit', 6), last], aborted: [] }
    const passes = [{ now: 1000 }, { now: 9000 }].map(options => ({
      ...options,
      producers: new Map([[6, { epoch: 0, lastDataOffset: -1 }]]),
    }))
    expect(run(marked, passes)[1]!.batches.map(batch => batchBaseOffset(batch, 0))).toEqual([0, 50])
  })

  test('keys of one batch that do not fit the map are refused by name', () => {
    const batches = [
      topicBatch(
        0,
        Array.from({ length: 30 }, (_, i) => ({ key: `k${i}`, value: 'v' })),
      ),
    ]
    expect(() => run({ batches, aborted: [] }, [{ mapBytes: 24 * 10 }])).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  })
})

test.each([500, 20_000])('the offset map agrees with a Map up to its capacity of %i slots', async slots => {
  await seeded(random => {
    const map = new OffsetMap(24 * slots, random.below(2 ** 32))
    const model = new Map<string, number>()
    const keys = slots * 1.4
    for (let offset = 0; offset < slots * 4; offset++) {
      const key = `key-${random.below(keys)}`
      const bytes = fromText(key)
      const at = offset * 2 ** 33
      const fits = map.put(bytes, 0, bytes.length, at)
      if (fits !== (model.has(key) || model.size < map.capacity)) throw new Error(`put of ${key} at size ${map.size}: ${fits}`)
      if (fits) model.set(key, at)
    }
    expect(map.size).toBe(model.size)
    for (let i = 0; i < keys; i++) {
      const bytes = fromText(`xkey-${i}`)
      if (map.get(bytes, 1, bytes.length - 1) !== (model.get(`key-${i}`) ?? -1)) throw new Error(`key-${i} differs`)
    }
  })
})
