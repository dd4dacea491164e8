/**
 * Goal: a run that is written with a codec holds what a plain one holds, in fewer bytes; blocks that would not shrink stay plain; damage to stored bytes and
 * lies about them are found with file and position, and no block can make its reader produce more bytes than its entry says.
 */
import zlib from 'node:zlib'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { STORE_PUT } from '../../../../engine/batch/store-format.ts'
import { storeRecordSize, writeStoreRecord } from '../../../../engine/batch/store-record.ts'
import { CODEC_GZIP, CODEC_LZ4, CODEC_NONE, CODEC_SNAPPY } from '../../../../engine/codec/compression.ts'
import { loadPackage } from '../../../../engine/codec/optional-package.ts'
import { loadChecksums, xxh64Into } from '../../../../engine/codec/xxh64.ts'
import { PART_RUN, TABLE_BLOCK_CODECS } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { RunCursor } from '../../../../engine/segment/run-reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { dumpSegment } from '../../../../engine/tools/dump-segment.ts'
import { seeded } from '../codec/random.ts'
import { utf8, withReader, writeSegment } from './fixtures.ts'
import { MemoryFiles } from './memory-files.ts'
import { RunLookup } from './run-lookup.ts'

beforeAll(loadChecksums)

vi.mock(import('../../../../engine/codec/optional-package.ts'), { spy: true })

const codecs = [CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4]

/** Records as bytes; of 600 the second 200 are noise. */
function records(count = 600): Uint8Array[] {
  let x = 1
  const noise = (): number => {
    x = (x * 48_271) % 2_147_483_647
    return x >>> 8
  }
  return Array.from({ length: count }, (_, i) => {
    const value = Math.floor(i / 200) % 3 === 1 ? Uint8Array.from({ length: 200 }, noise) : utf8(`${i} `.repeat(50))
    const key = utf8(`key-${String(i).padStart(5, '0')}`)
    const bytes = new Uint8Array(storeRecordSize(i + 1, key.length, value.length, 0, false))
    writeStoreRecord(bytes, 0, STORE_PUT, i + 1, key, 0, key.length, value, 0, value.length, 0, undefined)
    return bytes
  })
}

function write(given: readonly Uint8Array[], codec: number): MemoryFiles {
  const files = new MemoryFiles()
  writeSegment(files, 's', writer => {
    writer.beginPart({ logId: 1, name: 'run', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: 10, codec })
    for (const bytes of given) writer.addRecord(bytes, 0, bytes.length)
    writer.endPart()
  })
  return files
}

function allOf(files: MemoryFiles): Uint8Array[] {
  return withReader(files, 's', reader => {
    const cursor = new RunCursor(reader, 0)
    const found: Uint8Array[] = []
    while (cursor.next()) found.push(cursor.record.buffer.slice(cursor.record.start, cursor.record.end))
    return found
  })
}

test('a walk offers the blocks that it decompressed to its source, and no others', () => {
  const given = records(1800)
  const offeredOf = (codec: number): { offered: number[]; blockCount: number } =>
    withReader(write(given, codec), 's', reader => {
      const offered: number[] = []
      const source = {
        block: (block: number) => reader.readBlocks(0, block, 0).bytes,
        offer: (block: number, bytes: Uint8Array) => {
          expect(Buffer.compare(bytes, reader.readBlocks(0, block, 0).bytes)).toBe(0)
          offered.push(block)
        },
      }
      const cursor = new RunCursor(reader, 0, { source })
      let count = 0
      while (cursor.next()) expect(cursor.record.end - cursor.record.start).toBe(given[count++]?.length)
      expect(count).toBe(given.length)
      return { offered, blockCount: reader.runIndex(0).blockCount }
    })
  expect(offeredOf(CODEC_NONE).offered).toEqual([])
  const { offered, blockCount } = offeredOf(CODEC_GZIP)
  expect(offered.length).toBeGreaterThan(10)
  // All but the first ones, which came from the source.
  expect(offered).toEqual(Array.from({ length: offered.length }, (_, i) => blockCount - offered.length + i))
})

test.each(codecs)('codec %i: the same records in fewer bytes, and noise stays as it is', async codec => {
  const given = records()
  const files = write(given, codec)
  expect(allOf(files)).toEqual(given)
  expect(verifySegment(files, 's')).toMatchObject({ findings: [], records: given.length, unchecked: 0 })
  const raw = withReader(write(given, CODEC_NONE), 's', ({ directory }) => directory.byteCount(0))
  const reader = SegmentReader.open(files, 's')
  try {
    const index = reader.runIndex(0)
    const used = new Set(Array.from({ length: index.blockCount }, (_, block) => index.codec(block)))
    expect(used).toEqual(new Set([CODEC_NONE, codec]))
    expect(index.codecs).toEqual([codec])
    expect(reader.directory.byteCount(0)).toBeLessThan(0.6 * raw)
    expect(index.contentPosition(index.blockCount)).toBeGreaterThan(0.9 * raw)
    // What is read is content, in memory of its own that is no larger, however it is read.
    const whole = reader.readBlocks(0, 0, 1 << 30)
    expect(whole.end).toBe(index.blockCount)
    const again = await reader.readBlocksAsync(0, 0, 1 << 30, { into: new Uint8Array(200_000) })
    expect(Buffer.compare(again.bytes, whole.bytes)).toBe(0)
    for (let block = 0; block < index.blockCount; block++) {
      const { bytes, end } = reader.readBlocks(0, block, 0)
      expect(end).toBe(block + 1)
      const held = index.codec(block) === CODEC_NONE ? bytes.byteLength : bytes.buffer.byteLength
      expect([bytes.byteLength, held]).toEqual([index.contentBytes(block), index.contentBytes(block)])
      expect(Buffer.compare(bytes, whole.bytes.subarray(index.contentPosition(block), index.contentPosition(block + 1)))).toBe(0)
    }
  } finally {
    reader.close()
  }
})

test('a run of noise is marked as written with the codec, all of its blocks plain', () => {
  const files = write(records(400).slice(200), CODEC_SNAPPY)
  withReader(files, 's', reader => expect([reader.runIndex(0).isCompressed, reader.runIndex(0).codecs]).toEqual([true, []]))
  withReader(write(records(10), CODEC_NONE), 's', reader => expect(reader.runIndex(0).isCompressed).toBe(false))
})

test('dump shows codec and content of each block, and all records', () => {
  const given = records()
  const files = write(given, CODEC_GZIP)
  const bytes = files.contents.get('s')!
  const items = [...dumpSegment(files, 's', bytes, bytes.length, { records: true, from: 0, bytesMax: 100 } as never)]
  expect(items.filter(item => item.type === 'damage')).toEqual([])
  const blocks = items.filter(item => item.type === 'block')
  expect(blocks.some(({ codec, contentBytes, bytes: size }) => codec === 'gzip' && Number(contentBytes) > Number(size))).toBe(true)
  expect(blocks.some(({ codec }) => codec === undefined)).toBe(true)
  expect(items.filter(item => item.type === 'record')).toHaveLength(given.length)
})

describe('damage', () => {
  test('every flipped byte of a body is found, with file and position of its block, by verify and by a read', async () => {
    const good = write(records(250), CODEC_SNAPPY).contents.get('s')!
    const files = new MemoryFiles()
    files.contents.set('s', good)
    const places = withReader(files, 's', reader => {
      const index = reader.runIndex(0)
      const body = reader.directory.position(0)
      return Array.from({ length: index.blockCount }, (_, block) => [body + index.position(block), index.byteCount(block)] as const)
    })
    await seeded(random => {
      for (const [position, size] of places) {
        for (let i = 0; i < 20; i++) {
          const bytes = good.slice()
          bytes[position + random.below(size)]! ^= 1 << random.below(8)
          files.contents.set('s', bytes)
          expect(verifySegment(files, 's').findings).toEqual([expect.objectContaining({ file: 's', position })])
          const error = expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ file: 's', position }) })
          expect(() => allOf(files)).toThrow(error)
        }
      }
    })
  })

  /** Changes a file whose only block is compressed with gzip, and makes all checksums right again. */
  function lie(change: (bytes: Uint8Array, table: number, body: number, size: number) => void): MemoryFiles {
    const files = write(records(20), CODEC_GZIP)
    const bytes = files.contents.get('s')!
    withReader(files, 's', reader => {
      const { directory, directoryPosition, footerPosition } = reader
      const index = reader.runIndex(0)
      expect(index.blockCount).toBe(1)
      const start = directory.indexPosition(0)
      const body = directory.position(0)
      const end = start + directory.indexByteCount(0)
      const table = Buffer.from(bytes.buffer).lastIndexOf(Buffer.of(TABLE_BLOCK_CODECS, 8), end) + 2
      expect(table).toBe(end - 8)
      change(bytes, table, body, index.byteCount(0))
      xxh64Into(bytes, body, body + index.byteCount(0), bytes, start + index.checksumAt(0))
      xxh64Into(bytes, start, end, bytes, directoryPosition + 96)
      xxh64Into(bytes, directoryPosition, footerPosition, bytes, footerPosition + 40)
      xxh64Into(bytes, footerPosition, bytes.length - 40, bytes, bytes.length - 24)
      xxh64Into(bytes, bytes.length - 40, bytes.length - 16, bytes, bytes.length - 16)
    })
    return files
  }

  const messages = (files: MemoryFiles): string =>
    verifySegment(files, 's')
      .findings.map(({ message }) => message)
      .join()
  const setSize = (bytes: Uint8Array, table: number, size: number): void => new DataView(bytes.buffer).setUint32(table, size, true)

  test('without a lie there are no findings', () => {
    expect(messages(lie(() => {}))).toBe('')
  })

  test.each([
    ['a block that is not what its codec makes', (b: Uint8Array, _: number, body: number) => b.fill(7, body, body + 10), 'not gzip data'],
    ['less content than is said', (b: Uint8Array, table: number) => setSize(b, table, 100_000), 'holds less'],
    ['more content than is said', (b: Uint8Array, table: number) => setSize(b, table, 1000), 'holds more'],
    ['content that is no larger than the block', (b: Uint8Array, table: number) => setSize(b, table, 5), 'impossible size'],
    ['content beyond all bounds', (b: Uint8Array, table: number) => setSize(b, table, 0xffff_ffff), 'impossible size'],
    ['a codec that is none', (b: Uint8Array, table: number) => b.fill(9, table + 4, table + 5), 'codec 9 is not known'],
    ['a plain block of another size', (b: Uint8Array, table: number) => b.fill(0, table + 4, table + 5), 'impossible size'],
    ['zeros that are not', (b: Uint8Array, table: number) => b.fill(1, table + 7, table + 8), 'not zero'],
  ])('%s is noticed', (_, change, message) => {
    const files = lie(change as (bytes: Uint8Array, table: number, body: number) => void)
    expect(messages(files)).toContain(message)
    expect(() => allOf(files)).toThrow(message)
  })

  test('a block that unpacks to much more than its entry says is stopped at that size', () => {
    const files = lie((bytes, _, body, size) => {
      const bomb = zlib.gzipSync(new Uint8Array(size * 500), { level: 9 })
      expect(bomb.length).toBeLessThan(size)
      // A second gzip member fills the block up to its size; its comment may hold anything.
      const rest = size - bomb.length
      bytes.set(bomb, body)
      bytes.set(zlib.gzipSync('').subarray(0, 10), body + bomb.length)
      expect(rest).toBeGreaterThan(10)
    })
    expect(messages(files)).toContain('holds more')
    withReader(files, 's', reader => {
      const key = utf8('key-00000')
      expect(() => new RunLookup(reader, 0).get(key, 0, key.length)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    })
  })
})

test('where the codec is not installed blocks are written plain, and compressed ones count as not checked', async () => {
  const compressed = write(records(), CODEC_LZ4)
  // Modules that have loaded no codec yet.
  vi.resetModules()
  const { VarveError } = await import('../../../../engine/errors.ts')
  vi.mocked(loadPackage).mockImplementation(name => {
    throw new VarveError('CODEC_MISSING', `no ${name}`, { details: { package: name } })
  })
  try {
    await (await import('../../../../engine/codec/xxh64.ts')).loadChecksums()
    const fresh = await import('../../../../engine/segment/verify.ts')
    const report = fresh.verifySegment(compressed, 's')
    expect(report.findings).toEqual([])
    expect(report.unchecked).toBeGreaterThan(1)
    const { SegmentWriter } = await import('../../../../engine/segment/writer.ts')
    const given = records()
    const files = new MemoryFiles()
    const file = files.openSync('s', 'create')
    const writer = new SegmentWriter(file, { segmentId: 1, databaseId: new Uint8Array(8), editId: 1, createdMs: 0 })
    writer.beginPart({ logId: 1, name: 'run', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: 10, codec: CODEC_SNAPPY })
    for (const bytes of given) writer.addRecord(bytes, 0, bytes.length)
    writer.endPart()
    writer.finish()
    file.closeSync()
    expect(allOf(files)).toEqual(given)
    withReader(files, 's', reader => expect([reader.runIndex(0).isCompressed, reader.runIndex(0).codecs]).toEqual([true, []]))
  } finally {
    vi.mocked(loadPackage).mockRestore()
  }
})
