/**
 * Goal: a cache of any size gives what the file has, whatever was turned out or moved meanwhile: newest versions by moment, also of keys whose records
 * go on over blocks, with and without the index of a block; views never change; and memory stays within the budget.
 */
import { beforeAll, expect, test } from 'vitest'
import { STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey } from '../../../../engine/batch/store-keys.ts'
import { StoreRecordCursor } from '../../../../engine/batch/store-record.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { partRef } from '../../../../engine/log/parts.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { BlockCache } from '../../../../engine/store/block-cache.ts'
import { CachedBlocks } from '../../../../engine/store/cached-blocks.ts'
import { Run } from '../../../../engine/store/run.ts'
import { type Random, seeded } from '../codec/random.ts'
import { type PlainRecord, plain, storeRecord, utf8, writeSegment } from '../segment/fixtures.ts'
import { MemoryFiles } from '../segment/memory-files.ts'

beforeAll(loadChecksums)

const keys = 600
const keyOf = (n: number): string => `key-${String(n).padStart(5, '0')}`

/** In order; some keys have many versions, some values are larger than a block, some range deletes lie in between. */
function randomRecords(random: Random): PlainRecord[] {
  const records: PlainRecord[] = []
  for (let n = 0; n < keys; n++) {
    if (random.below(4) === 0) continue
    const versions = random.below(40) === 0 ? 30 : 1 + random.below(2)
    for (let version = versions; version > 0; version--) {
      const sequence = n * 100 + version
      if (random.below(12) === 0) records.push({ kind: STORE_RANGE_DELETE, key: keyOf(n), sequence, value: keyOf(n + 1) })
      else {
        const size = random.below(60) === 0 ? 6000 : random.below(400)
        records.push({ kind: STORE_PUT, key: keyOf(n), sequence, value: String(sequence).padEnd(size, '.') })
      }
    }
  }
  return records
}

function segmentOf(records: readonly PlainRecord[], codec?: number): { reader: SegmentReader; files: MemoryFiles } {
  const files = new MemoryFiles()
  writeSegment(files, 'a', writer => {
    writer.beginPart({
      logId: 1,
      name: 's',
      kind: 2,
      type: PART_RUN,
      level: 0,
      firstOffset: 0,
      endOffset: 10_000,
      ...(codec === undefined ? {} : { codec }),
    })
    for (const record of records) {
      const bytes = storeRecord(record)
      writer.addRecord(bytes, 0, bytes.length)
    }
    writer.endPart()
  })
  return { reader: SegmentReader.open(files, 'a'), files }
}

/** What `Run.find` must give. */
function newest(records: readonly PlainRecord[], key: string, sequenceMax: number): PlainRecord | undefined {
  return records.find(record => record.key === key && record.kind !== STORE_RANGE_DELETE && record.sequence <= sequenceMax)
}

for (const [name, bytesMax, codec, isByBlock = false] of [
  ['that holds nothing', 0, undefined],
  ['of a few blocks', 40_000, undefined],
  ['of a part of the run', 130_000, undefined],
  ['that holds all', 1 << 24, undefined],
  ['of a part of a compressed run', 130_000, 2],
  ['of a part of runs with an index for each block', 130_000, undefined, true],
  ['that holds all of runs with an index for each block', 1 << 24, undefined, true],
] as const) {
  test(`lookups through a cache ${name}`, () =>
    seeded(random => {
      const records = randomRecords(random)
      const cache = new BlockCache(bytesMax)
      if (isByBlock) expect(cache.takeIndexShare(bytesMax / 16)).toBe(true)
      const part = partRef(segmentOf(records, codec).reader, 0)
      const other = new Run(partRef(segmentOf(records).reader, 0), cache)
      const run = new Run(part, cache)
      const hash = createKeyHash()
      const record = new StoreRecordCursor()
      const views: { bytes: Uint8Array; copy: Uint8Array }[] = []
      for (let i = 0; i < 4000; i++) {
        // Most are of few keys, so that blocks are used again.
        const n = random.below(3) === 0 ? random.below(keys) : 200 + random.below(30)
        const key = utf8(keyOf(n))
        const sequenceMax = random.below(2) === 0 ? Number.MAX_SAFE_INTEGER : n * 100 + random.below(4)
        hashKey(key, 0, key.length, hash)
        const asked = random.below(8) === 0 ? other : run
        const expected = newest(records, keyOf(n), sequenceMax)
        expect(asked.find(key, 0, key.length, hash, sequenceMax, record)).toBe(expected !== undefined)
        if (expected !== undefined) expect(plain(record)).toEqual(plain(storedRecord(expected)))
        if (random.below(50) === 0) {
          const cursor = run.cursor()
          if (cursor.seek(key)) views.push({ bytes: cursor.record.buffer, copy: cursor.record.buffer.slice() })
        }
        expect(cache.bytes).toBeLessThanOrEqual(bytesMax)
      }
      for (const { bytes, copy } of views) expect(compareKeys(bytes, 0, bytes.length, copy, 0, copy.length)).toBe(0)
      if (bytesMax > 0) expect(cache.hits).toBeGreaterThan(0)
      run.forget()
      other.forget()
      expect(cache.bytes).toBe(0)
    }))
}

function storedRecord(record: PlainRecord): StoreRecordCursor {
  const bytes = storeRecord(record)
  const cursor = new StoreRecordCursor()
  cursor.readAt(bytes, 0, bytes.length)
  return cursor
}

test('a block with a flipped bit is an error each time it is asked for, and nothing of it is kept', () =>
  seeded(random => {
    const records = randomRecords(random)
    const { reader, files } = segmentOf(records)
    const cache = new BlockCache(1 << 20)
    const blocks = new CachedBlocks(cache, reader, 0)
    const file = files.contents.get('a') as Uint8Array
    const index = reader.runIndex(0)
    const at = reader.directory.position(0) + index.position(3) + random.below(index.byteCount(3))
    file[at]! ^= 1 << random.below(8)
    for (let i = 0; i < 2; i++) {
      expect(() => blocks.block(3)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      expect(blocks.has(3)).toBe(false)
    }
    expect(cache.bytes).toBe(0)
    expect(blocks.block(2)).toHaveLength(index.contentBytes(2))
  }))

/** Old bug: the slab made for a block of 400 KB, whose read failed, took smaller ones where no place could name them, and reads found other bytes there. */
test('a damaged block that is larger than a slab leaves the others right', () => {
  const records = Array.from({ length: 40 }, (_, n) => ({
    kind: STORE_PUT,
    key: keyOf(n),
    sequence: n + 1,
    value: `${n} `.padEnd(n === 0 ? 400_000 : 20_000 + n, '.'),
  }))
  const { reader, files } = segmentOf(records)
  const run = new Run(partRef(reader, 0), new BlockCache(64 << 20))
  const file = files.contents.get('a') as Uint8Array
  file[reader.directory.position(0) + 200_000]! ^= 4
  const hash = createKeyHash()
  const record = new StoreRecordCursor()
  const find = (n: number): boolean => {
    const key = utf8(keyOf(n))
    hashKey(key, 0, key.length, hash)
    return run.find(key, 0, key.length, hash, Number.MAX_SAFE_INTEGER, record)
  }
  for (let i = 0; i < 3; i++) {
    expect(() => find(0)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    for (let n = 1; n < records.length; n++) {
      expect(find(n)).toBe(true) // without a look at the damaged block before the first
      expect(plain(record)).toEqual(plain(storedRecord(records[n] as PlainRecord)))
    }
  }
})

test('what is used stays when the cache turns, what is read once goes', () =>
  seeded(random => {
    const records = randomRecords(random)
    const { reader } = segmentOf(records)
    const cache = new BlockCache(100_000)
    const blocks = new CachedBlocks(cache, reader, 0)
    const { blockCount } = reader.runIndex(0)
    expect(blockCount).toBeGreaterThan(40)
    for (let round = 0; round < 5; round++) {
      for (let block = 2; block < blockCount; block++) {
        // Without views, so that slabs turn in place.
        blocks.keep(block, reader.readBlocks(0, block, 0).bytes)
        blocks.find(1, utf8(''), 0, 0, createKeyHash(), 0, new StoreRecordCursor())
      }
    }
    expect(blocks.has(1)).toBe(true)
    expect(cache.misses).toBe(1)
    expect(blocks.has(2)).toBe(false)
    expect(cache.bytes).toBeLessThanOrEqual(100_000)
    expect(cache.bytes).toBeGreaterThan(40_000)
    // Nobody made room for these.
    const before = cache.bytes
    for (let block = 2; block < blockCount; block++) blocks.offer(block, reader.readBlocks(0, block, 0).bytes)
    expect(cache.bytes).toBe(before)
  }))

test('what lies beside the cache counts: blocks give way to it, but for a quarter', () =>
  seeded(random => {
    const { reader } = segmentOf(randomRecords(random))
    const cache = new BlockCache(100_000)
    const blocks = new CachedBlocks(cache, reader, 0)
    const { blockCount } = reader.runIndex(0)
    const readAll = (): number => {
      for (let block = 0; block < blockCount; block++) blocks.block(block)
      return cache.bytes
    }
    expect(readAll()).toBeGreaterThan(60_000)
    cache.countBeside(50_000)
    const half = readAll()
    expect(half).toBeLessThanOrEqual(50_000)
    cache.countBeside(1_000_000)
    const quarter = readAll()
    expect(quarter).toBeLessThanOrEqual(25_000)
    expect(quarter).toBeGreaterThan(0)
    cache.countBeside(-1_050_000)
    expect(cache.besideBytes).toBe(0)
    expect(readAll()).toBeGreaterThan(half)
    expect(() => cache.countBeside(-1)).toThrow('what is given back was taken')
  }))

test('the index of a run is beside the cache from the first look into it until the run is gone', () =>
  seeded(random => {
    const { reader } = segmentOf(randomRecords(random))
    const cache = new BlockCache(1 << 20)
    const run = new Run(partRef(reader, 0), cache)
    expect(cache.besideBytes).toBe(0)
    expect(run.index.blockCount).toBeGreaterThan(0)
    expect(cache.besideBytes).toBeGreaterThan(run.indexBytes)
    run.forget()
    run.forget()
    expect(cache.besideBytes).toBe(0)
  }))

test('a run that is gone gives its room back, and what still reads it keeps nothing', () =>
  seeded(random => {
    const { reader } = segmentOf(randomRecords(random))
    const cache = new BlockCache(1 << 20)
    const blocks = new CachedBlocks(cache, reader, 0)
    const view = blocks.block(0)
    const copy = view.slice()
    expect(cache.bytes).toBeGreaterThan(0)
    blocks.clear()
    expect(cache.bytes).toBe(0)
    expect(blocks.block(0)).toEqual(copy)
    expect(view).toEqual(copy)
    expect(cache.bytes).toBe(0)
  }))
