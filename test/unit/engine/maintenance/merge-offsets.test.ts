/** Goal: joining parts gives the same batches in the same order, from the start offset on, with joined tables and good blocks. */
import { beforeAll, expect, test } from 'vitest'
import { batchLastOffset } from '../../../../engine/batch/record-batch.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { mergeOffsets } from '../../../../engine/maintenance/merge-offsets.ts'
import { PART_BODY, PART_TOPIC } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { type Random, seeded } from '../codec/random.ts'
import { concat, storeBatch, topicBatch, withReader, writeSegment } from '../segment/fixtures.ts'
import { MemoryFiles } from '../segment/memory-files.ts'

beforeAll(loadChecksums)

const start = { logId: 3, name: 'orders', kind: 1, type: PART_TOPIC }

/** Batches with gaps, some large; parts of random sizes. */
function randomParts(random: Random, files: MemoryFiles): { paths: string[]; batches: Uint8Array[] } {
  const batches: Uint8Array[] = []
  const paths: string[] = []
  let offset = random.below(5)
  let epoch = 0
  for (let part = 0; part < 4; part++) {
    const path = `part-${part}`
    paths.push(path)
    const first = batches.length
    for (let i = random.below(40); i >= 0; i--) {
      const count = 1 + random.below(4)
      const value = 'v'.repeat(random.pick([10, 100, 5000, 70_000]))
      if (random.below(30) === 0) epoch++
      batches.push(
        topicBatch(
          offset,
          Array.from({ length: count }, () => ({ value })),
          { epoch, timestamp: 1000 + random.below(100) },
        ),
      )
      offset += count + (random.below(5) === 0 ? 7 : 0)
    }
    const bytes = concat(...batches.slice(first))
    writeSegment(files, path, writer => {
      writer.beginPart(start)
      writer.addBatches(bytes, 0, bytes.length)
      writer.setPartTables({
        aborted: [{ producerId: part, firstOffset: offset - 2, lastOffset: offset - 1, lastStableOffset: offset }],
        ...(part === 2 ? { producerState: Uint8Array.of(part) } : {}),
      })
      writer.endPart()
    })
  }
  return { paths, batches }
}

test('the joined part holds the batches that end behind the start offset', async () => {
  await seeded(random => {
    for (let round = 0; round < 12; round++) {
      const files = new MemoryFiles()
      const { paths, batches } = randomParts(random, files)
      const end = batchLastOffset(batches[batches.length - 1]!, 0) + 1
      const startOffset = random.below(3) === 0 ? 0 : random.below(end)
      const readers = paths.map(path => SegmentReader.open(files, path))
      writeSegment(files, 'joined', writer => {
        writer.beginPart({ ...start, firstOffset: startOffset, endOffset: end })
        const sources = readers.map(reader => ({ reader, part: 0 }))
        mergeOffsets(sources, writer, { startOffset, readBytes: random.pick([1, 200_000, 1 << 20]) })
        writer.endPart()
      })
      for (const reader of readers) reader.close()
      const expected = concat(...batches.filter(batch => batchLastOffset(batch, 0) >= startOffset))
      withReader(files, 'joined', reader => {
        const index = reader.batchIndex(0)
        const bytes = index.blockCount === 0 ? new Uint8Array(0) : reader.readBlocks(0, 0, 1 << 30).bytes
        expect(Buffer.compare(bytes, expected)).toBe(0)
        const aborted = index.aborted()
        expect(aborted.every(({ lastOffset }) => lastOffset >= startOffset)).toBe(true)
        expect(aborted[aborted.length - 1]!.producerId).toBe(3)
        expect(index.producerState()).toEqual(Uint8Array.of(2))
      })
      expect(verifySegment(files, 'joined').findings).toEqual([])
    }
  })
})

test('many small tails become few blocks, large blocks keep their cut', () => {
  const files = new MemoryFiles()
  for (let i = 0; i < 50; i++) {
    const batch = topicBatch(i, [{ value: 'v'.repeat(i === 25 ? 60_000 : 1000) }])
    writeSegment(files, `tail-${i}`, writer => {
      writer.beginPart(start)
      writer.addBatches(batch, 0, batch.length)
      writer.endPart()
    })
  }
  const readers = Array.from({ length: 50 }, (_, i) => SegmentReader.open(files, `tail-${i}`))
  writeSegment(files, 'joined', writer => {
    writer.beginPart(start)
    const statistics = mergeOffsets(
      readers.map(reader => ({ reader, part: 0 })),
      writer,
    )
    expect(statistics.blocksCopied).toBe(1)
    expect(statistics.bytesOut).toBe(statistics.bytesIn)
    writer.endPart()
  })
  for (const reader of readers) reader.close()
  withReader(files, 'joined', reader => expect(reader.batchIndex(0).blockCount).toBe(3))
  expect(verifySegment(files, 'joined').findings).toEqual([])
})

test('body parts are joined by the same code', () => {
  const files = new MemoryFiles()
  const bodyStart = { ...start, type: PART_BODY }
  const batches = [0, 1, 2].map(i =>
    storeBatch({
      baseOffset: i * 2,
      baseSequence: i * 2,
      records: [
        { kind: 0, key: 'a' },
        { kind: 0, key: 'b' },
      ],
    }),
  )
  batches.forEach((batch, i) => {
    writeSegment(files, `body-${i}`, writer => {
      writer.beginPart(bodyStart)
      writer.addBatches(batch, 0, batch.length)
      writer.endPart()
    })
  })
  const readers = batches.map((_, i) => SegmentReader.open(files, `body-${i}`))
  writeSegment(files, 'joined', writer => {
    writer.beginPart(bodyStart)
    mergeOffsets(
      readers.map(reader => ({ reader, part: 0 })),
      writer,
      { startOffset: 3 },
    )
    writer.endPart()
  })
  for (const reader of readers) reader.close()
  withReader(files, 'joined', reader => {
    const { bytes } = reader.readBlocks(0, 0, 1 << 20)
    expect(bytes).toEqual(concat(batches[1]!, batches[2]!))
  })
  expect(verifySegment(files, 'joined').findings).toEqual([])
})
