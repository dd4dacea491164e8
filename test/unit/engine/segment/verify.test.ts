/** Goal: no damage to a segment goes unnoticed, a finding says where it is, and no bytes whatever make verification or reading crash or hang. */
import { beforeAll, describe, expect, test } from 'vitest'
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { loadChecksums, xxh64Into } from '../../../../engine/codec/xxh64.ts'
import { isVarveError } from '../../../../engine/errors.ts'
import { PART_BODY, PART_RUN, PART_TOPIC } from '../../../../engine/segment/format.ts'
import type { SegmentReader } from '../../../../engine/segment/reader.ts'
import { RunCursor } from '../../../../engine/segment/run-reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { seeded } from '../codec/random.ts'
import { concat, storeBatch, storeRecord, topicBatch, withReader, writeSegment } from './fixtures.ts'
import { MemoryFiles } from './memory-files.ts'

beforeAll(loadChecksums)

/** Every kind of part, several blocks, compressed batches. */
function sample(): MemoryFiles {
  const files = new MemoryFiles()
  const put = { kind: STORE_PUT, key: 'k', value: 'v'.repeat(50) }
  writeSegment(files, 's', writer => {
    writer.beginPart({ logId: 3, name: 'topic', kind: 1, type: PART_TOPIC })
    for (let i = 0; i < 4; i++) {
      const records = Array.from({ length: 3 }, (_, k) => ({ key: `k${k}`, value: 'v'.repeat(i === 2 ? 70_000 : 100) }))
      const batch = topicBatch(i * 5, records, { epoch: i, compression: i === 3 ? 'gzip' : 'none' })
      writer.addBatches(batch, 0, batch.length)
    }
    writer.setPartTables({
      aborted: [{ producerId: 1, firstOffset: 0, lastOffset: 3, lastStableOffset: 4 }],
      producerState: Uint8Array.of(5),
    })
    writer.endPart()
    writer.beginPart({ logId: 2, name: 'body', kind: 2, type: PART_BODY })
    for (let i = 0; i < 3; i++) {
      const batch = storeBatch({
        baseOffset: i * 20,
        baseSequence: i * 20,
        codec: i === 1 ? 1 : 0,
        records: Array.from({ length: 20 }, () => put),
      })
      writer.addBatches(batch, 0, batch.length)
    }
    writer.endPart()
    writer.beginPart({ logId: 2, name: 'body', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: 60 })
    for (let i = 0; i < 900; i++) {
      const kind = i % 100 === 50 ? STORE_RANGE_DELETE : i % 7 === 0 ? STORE_DELETE : STORE_PUT
      const record = storeRecord({ kind, key: `key-${String(i).padStart(5, '0')}`, value: 'v'.repeat(30), sequence: i })
      writer.addRecord(record, 0, record.length)
    }
    writer.endPart()
  })
  return files
}

/** Reads everything as a database would: what it throws must be a VarveError. */
function readAll(files: MemoryFiles): void {
  try {
    withReader(files, 's', reader => {
      for (let part = 0; part < reader.directory.partCount; part++) {
        if (reader.directory.type(part) === PART_RUN) {
          const cursor = new RunCursor(reader, part)
          while (cursor.next());
        } else if (reader.batchIndex(part).blockCount > 0) reader.readBlocks(part, 0, 1 << 30)
      }
    })
  } catch (error) {
    if (!isVarveError(error) || error.code === 'INVARIANT') throw error
  }
}

test('a whole segment has no findings, and everything in it is counted', () => {
  expect(verifySegment(sample(), 's')).toMatchObject({
    findings: [],
    segmentId: 7,
    parts: 3,
    batches: 7,
    records: 12 + 60 + 900,
    unchecked: 0,
  })
})

describe('damage', () => {
  test('every flipped bit that a stride meets is found', async () => {
    const files = sample()
    const good = files.contents.get('s')!
    await seeded(random => {
      const start = random.below(151)
      const ends = Array.from({ length: 600 }, (_, i) => good.length - 1 - i)
      const places = Array.from({ length: Math.floor(good.length / 151) }, (_, i) => start + i * 151)
      for (const place of [...places, ...ends, ...Array.from({ length: 64 }, (_, i) => i)]) {
        if (place >= good.length) continue
        const bytes = good.slice()
        bytes[place]! ^= 1 << random.below(8)
        files.contents.set('s', bytes)
        expect(verifySegment(files, 's').findings.length, `byte ${place}`).toBeGreaterThan(0)
      }
      expect(files.openCount).toBe(0)
    })
  })

  test('truncations, additions and garbage are found and harmless', async () => {
    const files = sample()
    const good = files.contents.get('s')!
    await seeded(random => {
      for (let i = 0; i < 200; i++) {
        const bytes = damaged(good, random.below(6), random.below(good.length), random.below(200), size => random.bytes(size))
        files.contents.set('s', bytes)
        expect(verifySegment(files, 's').findings.length).toBeGreaterThan(0)
        readAll(files)
      }
    })
  })

  function damaged(good: Uint8Array, how: number, at: number, size: number, noise: (size: number) => Uint8Array): Uint8Array {
    const end = Math.min(good.length, at + size + 1)
    if (how === 0) return good.slice(0, at)
    if (how === 1) return concat(good, noise(size + 1))
    if (how === 2) return concat(good.slice(0, at), good.slice(end))
    if (how === 3) return noise(size)
    const bytes = good.slice()
    bytes.set(how === 4 ? bytes.slice(at, end).map(byte => byte ^ 0x55) : noise(end - at), at)
    if (Buffer.compare(bytes, good) === 0) bytes[at]! ^= 1
    return bytes
  }

  test('findings name file and byte, and checking goes on after the first', () => {
    const files = sample()
    const bytes = files.contents.get('s')!
    const [first, second] = withReader(files, 's', ({ directory }) => [directory.position(0), directory.position(2)])
    bytes[first! + 30]! ^= 1
    bytes[second! + 5]! ^= 1
    const { findings } = verifySegment(files, 's')
    expect(findings.map(({ position }) => position)).toEqual([first, second])
    expect(findings[0]).toMatchObject({ file: 's', message: expect.stringContaining('block 0') })
    expect(() => withReader(files, 's', reader => reader.readBlocks(0, 0, 1))).toThrow(
      expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ file: 's', position: first }) }),
    )
    expect(() => withReader(files, 's', reader => reader.readBlocks(0, 0, 1, { verify: false }))).not.toThrow()
  })
})

describe('lies under good checksums', () => {
  /** Changes bytes and makes the checksums right again, as a writer with a bug would. */
  function lie(change: (bytes: Uint8Array, reader: SegmentReader) => void): string[] {
    const files = sample()
    const bytes = files.contents.get('s')!
    withReader(files, 's', reader => {
      const { directory, directoryPosition, footerPosition } = reader
      for (let part = 0; part < directory.partCount; part++) reader.index(part)
      change(bytes, reader)
      for (let part = 0; part < directory.partCount; part++) {
        const index = reader.index(part)
        const at = directory.indexPosition(part)
        for (let block = 0; block < index.blockCount; block++) {
          const start = directory.position(part) + index.position(block)
          xxh64Into(bytes, start, start + index.byteCount(block), bytes, at + index.checksumAt(block))
        }
        xxh64Into(bytes, at, at + directory.indexByteCount(part), bytes, directoryPosition + part * 112 + 96)
      }
      xxh64Into(bytes, directoryPosition, footerPosition, bytes, footerPosition + 40)
      xxh64Into(bytes, footerPosition, bytes.length - 40, bytes, bytes.length - 24)
      xxh64Into(bytes, bytes.length - 40, bytes.length - 16, bytes, bytes.length - 16)
    })
    return verifySegment(files, 's').findings.map(({ message }) => message)
  }

  test('without a lie there are no findings', () => {
    expect(lie(() => {})).toEqual([])
  })

  test.each([
    ['a record count in the directory', (b: Uint8Array, r: SegmentReader) => b[r.directoryPosition + 2 * 112 + 40]!++, 'number of records'],
    ['a timestamp in the directory', (b: Uint8Array, r: SegmentReader) => b[r.directoryPosition + 2 * 112 + 56]!++, 'largest timestamp'],
    ['a sequence in the directory', (b: Uint8Array, r: SegmentReader) => b[r.directoryPosition + 112 * 1 + 72]!++, 'largest sequence'],
    ['a block entry offset', (b: Uint8Array, r: SegmentReader) => b[r.directory.indexPosition(2) + 8]!++, 'other offsets'],
    ['a filter bit', (b: Uint8Array, r: SegmentReader) => b.fill(0, filterAt(b, r), filterAt(b, r) + 64), 'filter does not know'],
    ['a statistic', (b: Uint8Array, r: SegmentReader) => b[statisticsAt(b, r)]!++, 'statistics'],
    ['a topic record', (b: Uint8Array, r: SegmentReader) => b[r.directory.position(2) + 90]!++, 'checksum differs'],
    ['a body record', (b: Uint8Array, r: SegmentReader) => b[r.directory.position(1) + 58]!++, 'sequence'],
    ['a key of a run', (b: Uint8Array, r: SegmentReader) => b[r.directory.position(0) + 4]!++, 'first key'],
    ['the epoch of a batch', (b: Uint8Array, r: SegmentReader) => b[r.directory.position(2) + 15]!++, 'epoch'],
    ['an offset table', (b: Uint8Array, r: SegmentReader) => b[blockEnd(r) - 8]!++, 'offset table'],
    ['the header', (b: Uint8Array) => b[20]!++, 'header'],
  ])('%s is noticed', (_, change, message) => {
    expect(lie(change as (bytes: Uint8Array, reader: SegmentReader) => void).join()).toContain(message)
  })

  const find = (bytes: Uint8Array, reader: SegmentReader, part: Uint8Array): number => {
    const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(part, reader.directory.indexPosition(0))
    expect(at).toBeGreaterThan(0)
    return at
  }
  const filterAt = (bytes: Uint8Array, reader: SegmentReader): number => find(bytes, reader, Uint8Array.of(1, 6, 0, 0)) + 12
  const statisticsAt = (bytes: Uint8Array, reader: SegmentReader): number => find(bytes, reader, reader.runIndex(0).statisticsBytes)
  const blockEnd = (reader: SegmentReader): number => reader.directory.position(0) + reader.runIndex(0).byteCount(0)
})
