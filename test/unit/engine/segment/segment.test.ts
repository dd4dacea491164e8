/** Goal: a segment has exactly the documented bytes, and a reader finds every part, block, table and name that the writer was given. */
import { beforeAll, describe, expect, test } from 'vitest'
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { PART_BODY, PART_RUN, PART_TOPIC } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import type { SegmentWriter } from '../../../../engine/segment/writer.ts'
import { hex } from '../codec/random.ts'
import { concat, storeBatch, storeRecord, topicBatch, utf8, withReader, writeSegment } from './fixtures.ts'
import { MemoryFiles } from './memory-files.ts'

beforeAll(loadChecksums)

const topicStart = { logId: 3, name: 'orders', kind: 1, type: PART_TOPIC }
const runStart = { logId: 2, name: 'users', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: 4, level: 1 }

function tiny(writer: SegmentWriter): void {
  const batch = topicBatch(10, [{ key: 'k', value: 'v' }], { epoch: 1 })
  writer.beginPart(topicStart)
  writer.addBatches(batch, 0, batch.length)
  writer.endPart()
  writer.beginPart({ ...runStart, endOffset: 2 })
  for (const record of [
    storeRecord({ kind: STORE_PUT, key: 'a', value: '1', sequence: 5 }),
    storeRecord({ kind: STORE_DELETE, key: 'b', sequence: 4 }),
  ]) {
    writer.addRecord(record, 0, record.length)
  }
  writer.endPart()
}

describe('bytes', () => {
  test('a tiny segment of two parts is frozen', () => {
    const files = new MemoryFiles()
    const summary = writeSegment(files, 's', tiny, { replaced: [{ segmentId: 6, part: 0 }] })
    const bytes = files.contents.get('s')!
    const lines: string[] = []
    for (let at = 0; at < bytes.length; at += 32) lines.push(hex(bytes.subarray(at, at + 32)))
    expect(summary.bytes).toBe(bytes.length)
    expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
      "
      5641525645534547010000004000000007000000000000000102030405060708
      09000000000000000068e5cf8b01000000000000000000006263a7e4473f75ba
      000000000000000a0000003a0000000102716a61890000000000000000000000
      0003e800000000000003e8ffffffffffffffffffffffffffff00000001100000
      00026b0276000500050161310401040162000000000600000002000000010000
      00000000000a000000000000000b000000000000000000000000000000460000
      0001000000e8030000000000002fc7604048492870020c010000000a00000000
      0000001418e803000000000000e8030000000000000100000000000000010000
      000100000000000000000000001700000002000000375977c5a9857417000000
      0001000000610858010000000000000001000000000000000000000000000000
      0000000000000000000000000000000000000000000000000000000000000000
      0000000000000000000000000000000000000000000000000000000000000000
      0a01620c4c010600000100000002000000000000000100400000100000001000
      0000000000000000080000800004000000800200000000000000080000000000
      0000000000000000000000000204000000020000000201000086000000000000
      0017000000000000000000000000000000020000000000000002000000000000
      00ffffffffffffffffffffffffffffffff040000000000000005000000000000
      00fd00000000000000d400000001000000d26448a3489491ff00000000000000
      000300000001000000400000000000000046000000000000000a000000000000
      000b000000000000000100000000000000e803000000000000e8030000000000
      00000000000000000000000000000000009d0000000000000060000000010000
      00325ddd8c6ed5f3f20100000000000000070000000000000009000000000000
      000000000001000000d1010000000000000200000001000000c5be2106a72812
      7f02000000000000000600000000000000000000000200000002000500757365
      727303000000010006006f7264657273b1020000000000005f00000001000000
      ea27b7acbc2f3f1dc23ea2624ae56b8d5641525645454e44
      "
    `)
    expect(verifySegment(files, 's').findings).toEqual([])
  })

  test('the size of the output buffer changes nothing', () => {
    const files = new MemoryFiles()
    const write = (writer: SegmentWriter): void => {
      writer.beginPart(topicStart)
      for (let i = 0; i < 60; i++) {
        const batch = topicBatch(i * 3, [{ value: 'x'.repeat(i * 97) }, { value: 'y' }, { value: i === 40 ? 'z'.repeat(400_000) : '' }])
        writer.addBatches(batch, 0, batch.length)
      }
      writer.endPart()
      writer.beginPart(runStart)
      for (let i = 0; i < 3000; i++) {
        const record = storeRecord({
          kind: STORE_PUT,
          key: String(i).padStart(6, '0'),
          value: 'v'.repeat(i === 1500 ? 50_000 : 20),
          sequence: i,
        })
        writer.addRecord(record, 0, record.length)
      }
      writer.endPart()
    }
    const summaries = [4096, 70_000, 1 << 20].map(bufferBytes => writeSegment(files, `s${bufferBytes}`, write, { bufferBytes }))
    expect(summaries[0]).toEqual(summaries[2])
    for (const name of ['s4096', 's70000']) expect(Buffer.compare(files.contents.get(name)!, files.contents.get('s1048576')!)).toBe(0)
    expect(verifySegment(files, 's4096').findings).toEqual([])
  })
})

describe('parts', () => {
  test('the directory is sorted by log, type and offset, and found by log', () => {
    const files = new MemoryFiles()
    const batchAt = (offset: number): Uint8Array => topicBatch(offset, [{ value: 'v' }])
    writeSegment(files, 's', writer => {
      for (const [logId, offset] of [
        [9, 0],
        [4, 50],
        [4, 10],
        [700_000, 1],
      ] as const) {
        writer.beginPart({ ...topicStart, logId, name: `log-${logId}` })
        writer.addBatches(batchAt(offset), 0, batchAt(offset).length)
        writer.endPart()
      }
      writer.beginPart({ ...runStart, logId: 4 })
      writer.endPart()
    })
    withReader(files, 's', ({ directory, names }) => {
      expect(Array.from({ length: 5 }, (_, i) => [directory.logId(i), directory.type(i), directory.firstOffset(i)])).toEqual([
        [4, PART_TOPIC, 10],
        [4, PART_TOPIC, 50],
        [4, PART_RUN, 0],
        [9, PART_TOPIC, 0],
        [700_000, PART_TOPIC, 1],
      ])
      expect([0, 4, 5, 9, 10, 700_000, 700_001].map(id => directory.find(id))).toEqual([0, 0, 3, 3, 4, 4, 5])
      expect(names.map(({ logId }) => logId)).toEqual([4, 9, 700_000])
    })
    expect(verifySegment(files, 's').findings).toEqual([])
  })

  test('facts of the footer come back', () => {
    const files = new MemoryFiles()
    const replaced = [
      { segmentId: 2 ** 40, part: 3 },
      { segmentId: 5, part: 0 },
    ]
    const extensions = [{ tag: 2, bytes: utf8('later') }]
    const summary = writeSegment(files, 's', tiny, { outputIndex: 1, outputCount: 3, replaced, extensions, durable: true })
    expect(files.syncs).toBe(1)
    withReader(files, 's', reader => {
      expect([reader.segmentId, reader.editId, reader.outputIndex, reader.outputCount]).toEqual([7, 9, 1, 3])
      expect(reader.replaced).toEqual(replaced)
      expect(reader.names).toEqual([
        { logId: 2, kind: 2, name: 'users' },
        { logId: 3, kind: 1, name: 'orders' },
      ])
      expect(reader.extensions).toEqual(extensions)
      expect(reader.directory.bytes).toEqual(summary.directory)
      expect(reader.footerChecksum).toEqual(summary.footerChecksum)
      expect(reader.directory.level(0)).toBe(1)
    })
    expect(files.openCount).toBe(0)
  })

  test('a durable segment goes to the disk megabyte by megabyte, any other is left to its owner', () => {
    const files = new MemoryFiles()
    const batch = (number: number): Uint8Array => topicBatch(number, [{ value: new Uint8Array(100_000).fill(number) }])
    for (const durable of [true, false]) {
      const before = files.syncs
      const write = (writer: SegmentWriter): void => {
        writer.beginPart(topicStart)
        for (let i = 0; i < 50; i++) writer.addBatches(batch(i), 0, batch(i).length)
        writer.endPart()
      }
      writeSegment(files, `s${durable}`, write, { durable })
      const syncs = files.syncs - before
      if (durable) expect(syncs).toBeGreaterThanOrEqual(5)
      else expect(syncs).toBe(0)
    }
    expect(Buffer.compare(files.contents.get('strue')!, files.contents.get('sfalse')!)).toBe(0)
  })

  test('a segment of 10,000 tails opens and is looked up without reading it all', () => {
    const files = new MemoryFiles()
    writeSegment(files, 's', writer => {
      for (let i = 0; i < 10_000; i++) {
        const batch = topicBatch(i, [{ value: String(i) }])
        writer.beginPart({ ...topicStart, logId: i, name: `log-${i}` })
        writer.addBatches(batch, 0, batch.length)
        writer.endPart()
      }
    })
    files.reads = 0
    withReader(files, 's', reader => {
      expect(files.reads).toBeLessThanOrEqual(3)
      const part = reader.directory.find(7777)
      const { bytes } = reader.readBlocks(part, 0, 1 << 20)
      expect(bytes).toEqual(topicBatch(7777, [{ value: '7777' }]))
      expect(files.reads).toBeLessThanOrEqual(5)
    })
  })

  test('an empty part names its range, an empty segment has no parts', () => {
    const files = new MemoryFiles()
    writeSegment(files, 's', writer => {
      writer.beginPart({ ...topicStart, firstOffset: 5, endOffset: 90 })
      writer.endPart()
    })
    withReader(files, 's', ({ directory }) => {
      expect([directory.firstOffset(0), directory.endOffset(0), directory.blockCount(0), directory.minTimestamp(0)]).toEqual([5, 90, 0, -1])
    })
    writeSegment(files, 'empty', () => {})
    withReader(files, 'empty', ({ directory }) => expect(directory.partCount).toBe(0))
    expect(verifySegment(files, 's').findings).toEqual([])
    expect(verifySegment(files, 'empty').findings).toEqual([])
  })
})

describe('topic and body parts', () => {
  const batches = Array.from({ length: 200 }, (_, i) =>
    topicBatch(
      i * 10,
      Array.from({ length: 5 }, () => ({ value: 'v'.repeat(200) })),
      { epoch: i < 77 ? 1 : 4, timestamp: 1000 + ((i * 7) % 50) + i },
    ),
  )

  test('blocks hold whole batches of about 64 KB and are found by offset and time', () => {
    const files = new MemoryFiles()
    const all = concat(...batches)
    const aborted = [{ producerId: 8, firstOffset: 1, lastOffset: 9, lastStableOffset: 10 }]
    writeSegment(files, 's', writer => {
      writer.beginPart({ ...topicStart, minSequence: 3, maxSequence: 99 })
      writer.addBatches(all, 0, all.length)
      writer.setPartTables({ aborted, producerState: Uint8Array.of(1, 2, 3) })
      writer.endPart()
    })
    withReader(files, 's', reader => {
      const index = reader.batchIndex(0)
      const { directory } = reader
      expect(index.blockCount).toBeGreaterThan(3)
      expect([directory.firstOffset(0), directory.endOffset(0), directory.recordCount(0), directory.batchCount(0)]).toEqual([
        0, 1995, 1000, 200,
      ])
      expect([directory.minSequence(0), directory.maxSequence(0), directory.minTimestamp(0)]).toEqual([3, 99, 1000])
      for (let block = 0; block < index.blockCount; block++) {
        expect(index.byteCount(block)).toBeLessThanOrEqual(65_536)
        if (block + 1 < index.blockCount) expect(index.byteCount(block)).toBeGreaterThan(60_000)
        for (const offset of [index.baseOffset(block), index.endOffset(block) - 1]) expect(index.findByOffset(offset)).toBe(block)
        const time = index.maxTimestamp(block)
        expect(index.findByTime(time)).toBeLessThanOrEqual(block)
        if (index.findByTime(time + 1) < index.blockCount) expect(index.maxTimestamp(index.findByTime(time + 1))).toBeGreaterThan(time)
      }
      expect(index.findByOffset(1995)).toBe(index.blockCount)
      expect(index.findByTime(1e9)).toBe(index.blockCount)
      expect(index.epochs()).toEqual([
        { epoch: 1, startOffset: 0 },
        { epoch: 4, startOffset: 770 },
      ])
      expect(index.aborted()).toEqual(aborted)
      expect(index.producerState()).toEqual(Uint8Array.of(1, 2, 3))
      const range = reader.readBlocks(0, 1, 140_000)
      expect([range.first, range.end]).toEqual([1, 3])
      expect(Buffer.compare(range.bytes, all.subarray(index.position(1), index.position(3)))).toBe(0)
    })
    expect(verifySegment(files, 's')).toMatchObject({ findings: [], batches: 200, records: 1000 })
  })

  test('the asynchronous read gives the same bytes', async () => {
    const files = new MemoryFiles()
    writeSegment(files, 's', tiny)
    const reader = SegmentReader.open(files, 's')
    const into = new Uint8Array(1000)
    expect((await reader.readBlocksAsync(1, 0, 1000, { into })).bytes).toEqual(reader.readBlocks(1, 0, 1000).bytes)
    reader.close()
    reader.close()
    expect(files.openCount).toBe(0)
  })

  test('store batches give offsets, sequences and timestamps', () => {
    const files = new MemoryFiles()
    const put = { kind: STORE_PUT, key: 'k', value: 'v' }
    const all = concat(
      storeBatch({ baseOffset: 4, baseSequence: 100, timestamp: 50, records: [put, put] }),
      storeBatch({ baseOffset: 9, baseSequence: 300, timestamp: 40, epoch: 2, codec: 1, records: Array.from({ length: 90 }, () => put) }),
    )
    writeSegment(files, 's', writer => {
      writer.beginPart({ ...topicStart, type: PART_BODY, firstOffset: 2, endOffset: 200 })
      writer.addBatches(all, 0, all.length)
      writer.endPart()
    })
    withReader(files, 's', ({ directory: d }) => {
      expect([
        d.firstOffset(0),
        d.endOffset(0),
        d.minSequence(0),
        d.maxSequence(0),
        d.minTimestamp(0),
        d.maxTimestamp(0),
        d.recordCount(0),
      ]).toEqual([2, 200, 100, 389, 40, 50, 92])
    })
    expect(verifySegment(files, 's')).toMatchObject({ findings: [], batches: 2, records: 92 })
  })
})

describe('refusals', () => {
  const write = (run: (writer: SegmentWriter) => void) => () => writeSegment(new MemoryFiles(), 's', run)
  const record = storeRecord({ kind: STORE_PUT, key: 'b', sequence: 5 })
  const batch = topicBatch(10, [{ value: 'v' }])

  test('what is out of order is a broken invariant', () => {
    const runOf = (...records: Uint8Array[]) =>
      write(writer => {
        writer.beginPart(runStart)
        for (const bytes of records) writer.addRecord(bytes, 0, bytes.length)
      })
    expect(runOf(record, storeRecord({ kind: STORE_PUT, key: 'a', sequence: 9 }))).toThrow('key order')
    expect(runOf(record, storeRecord({ kind: STORE_PUT, key: 'b', sequence: 6 }))).toThrow('newest first')
    expect(runOf(record, storeRecord({ kind: STORE_RANGE_DELETE, key: 'b', value: 'c', sequence: 5 }))).toThrow('newest first')
    const topicOf = (...batches: Uint8Array[]) =>
      write(writer => {
        writer.beginPart(topicStart)
        for (const bytes of batches) writer.addBatches(bytes, 0, bytes.length)
      })
    expect(topicOf(batch, batch)).toThrow('offset order')
    expect(topicOf(topicBatch(0, [{ value: '' }], { epoch: 3 }), topicBatch(1, [{ value: '' }], { epoch: 2 }))).toThrow('epochs ascend')
    expect(topicOf(batch.slice(0, 65))).toThrow('whole batches')
  })

  test('another file than the catalog means is refused', () => {
    const files = new MemoryFiles()
    const summary = writeSegment(files, 's', tiny)
    const open = (change: object) => () => SegmentReader.open(files, 's', { expected: { ...summary, ...change } }).close()
    expect(open({})).not.toThrow()
    expect(open({ segmentId: 8 })).toThrow('another segment')
    expect(open({ bytes: 5 })).toThrow('another size')
    expect(open({ footerChecksum: new Uint8Array(8) })).toThrow('another footer')
    expect(() => SegmentReader.open(files, 'missing')).toThrow(expect.objectContaining({ code: 'IO' }))
    expect(files.openCount).toBe(0)
  })
})
