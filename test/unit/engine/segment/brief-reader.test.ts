/** Goal: a reader that is opened for a moment reads what every reader reads, and its indexes' memory is used again once it is closed, and not before; others keep theirs. */
import { beforeAll, expect, test } from 'vitest'
import { STORE_PUT } from '../../../../engine/batch/store-format.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { takeBytes } from '../../../../engine/segment/scratch-memory.ts'
import { storeRecord, writeSegment } from './fixtures.ts'
import { MemoryFiles } from './memory-files.ts'

beforeAll(loadChecksums)

const records = 4000

function write(files: MemoryFiles, path: string): void {
  writeSegment(files, path, writer => {
    writer.beginPart({ logId: 1, name: 's', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: records })
    for (let n = 0; n < records; n++) {
      const bytes = storeRecord({ kind: STORE_PUT, key: `key-${path}-${String(n).padStart(6, '0')}`, sequence: n, value: 'v'.repeat(300) })
      writer.addRecord(bytes, 0, bytes.length)
    }
    writer.endPart()
  })
}

test('the memory of its indexes is used again when it is closed', () => {
  const files = new MemoryFiles()
  write(files, 'a')
  const lasting = SegmentReader.open(files, 'a')
  const brief = SegmentReader.open(files, 'a', { isBrief: true })
  expect(brief.runIndex(0).bytes).toEqual(lasting.runIndex(0).bytes)
  const { buffer, length } = brief.runIndex(0).bytes
  expect(length).toBeGreaterThan(16 * 1024)
  expect(takeBytes(length).buffer).not.toBe(buffer)
  brief.close()
  brief.close()
  expect(takeBytes(length).buffer).toBe(buffer)
  const own = lasting.runIndex(0).bytes.buffer
  lasting.close()
  expect(takeBytes(length).buffer).not.toBe(own)
})

test('what one opening keeps is not touched by the next', () => {
  const files = new MemoryFiles()
  write(files, 'a')
  write(files, 'b')
  const first = SegmentReader.open(files, 'a')
  const before = [first.footerChecksum, first.directory.bytes, first.runIndex(0).largestKey].map(bytes => bytes.slice())
  const names = structuredClone(first.names)
  const second = SegmentReader.open(files, 'b')
  expect([first.footerChecksum, first.directory.bytes, first.runIndex(0).largestKey]).toEqual(before)
  expect(first.names).toEqual(names)
  expect(second.footerChecksum).not.toEqual(first.footerChecksum)
})
