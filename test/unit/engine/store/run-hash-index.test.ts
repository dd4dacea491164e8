/**
 * Goal: the hash index of a run gives the newest record of a key that the moment sees, or nothing; it stays right when blocks go and come again, is made only where
 * its share of memory allows, and counts as long as it is there.
 */
import { beforeAll, expect, test } from 'vitest'
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { createKeyHash, hashKey } from '../../../../engine/batch/store-keys.ts'
import { StoreRecordCursor } from '../../../../engine/batch/store-record.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { BlockCache } from '../../../../engine/store/block-cache.ts'
import { CachedBlocks } from '../../../../engine/store/cached-blocks.ts'
import { hashIndexBytes, RunHashIndex } from '../../../../engine/store/run-hash-index.ts'
import { type PlainRecord, storeRecord, utf8, writeSegment } from '../segment/fixtures.ts'
import { MemoryFiles } from '../segment/memory-files.ts'

beforeAll(loadChecksums)

const keys = 400
const keyOf = (n: number): string => `key-${String(n).padStart(5, '0')}`

function readerOf(records: readonly PlainRecord[]): SegmentReader {
  const files = new MemoryFiles()
  writeSegment(files, 'a', writer => {
    writer.beginPart({ logId: 1, name: 's', kind: 2, type: PART_RUN, level: 0, firstOffset: 0, endOffset: 10_000 })
    for (const record of records) {
      const bytes = storeRecord(record)
      writer.addRecord(bytes, 0, bytes.length)
    }
    writer.endPart()
  })
  return SegmentReader.open(files, 'a')
}

/** Of each key one put, of every tenth a delete. */
function single(valueBytes: number): PlainRecord[] {
  return Array.from({ length: keys }, (_, n) => {
    if (n % 10 === 3) return { kind: STORE_DELETE, key: keyOf(n), sequence: n + 1 }
    return { kind: STORE_PUT, key: keyOf(n), sequence: n + 1, value: String(n).padEnd(valueBytes, '.') }
  })
}

const record = new StoreRecordCursor()
const hash = createKeyHash()

/** Sequence of what is found by the index alone; -1 when it finds nothing. */
function sequenceOf(blocks: CachedBlocks, key: string, sequenceMax = Number.MAX_SAFE_INTEGER): number {
  const bytes = utf8(key)
  hashKey(bytes, 0, bytes.length, hash)
  return blocks.findIndexed(bytes, 0, bytes.length, hash, sequenceMax, record) ? record.sequence : -1
}

/** Each block is used twice, without a view of it. */
function useAll(blocks: CachedBlocks, blockCount: number): void {
  for (let block = 0; block < blockCount; block++) for (let i = 0; i < 2; i++) use(blocks, block)
}

function use(blocks: CachedBlocks, block: number): void {
  blocks.find(block, utf8(''), 0, 0, createKeyHash(), 0, new StoreRecordCursor())
}

test('it knows all keys of blocks that were used twice, and no others', () => {
  const reader = readerOf(single(100))
  const cache = new BlockCache(1 << 20)
  const blocks = new CachedBlocks(cache, reader, 0)
  const { blockCount } = reader.runIndex(0)
  expect(blockCount).toBeGreaterThan(8)
  use(blocks, 0)
  expect(sequenceOf(blocks, keyOf(1))).toBe(-1)
  use(blocks, 0)
  expect(sequenceOf(blocks, keyOf(1))).toBe(2)
  expect(sequenceOf(blocks, keyOf(keys - 1))).toBe(-1)
  useAll(blocks, blockCount)
  for (let n = 0; n < keys; n++) {
    expect(sequenceOf(blocks, keyOf(n))).toBe(n + 1)
    expect(record.kind).toBe(n % 10 === 3 ? STORE_DELETE : STORE_PUT)
    expect(sequenceOf(blocks, keyOf(n), n)).toBe(-1) // the moment is older
    expect(sequenceOf(blocks, `${keyOf(n)}.`)).toBe(-1)
  }
})

test('it finds blocks again that have left the cache and come back elsewhere', () => {
  const reader = readerOf(single(400))
  const cache = new BlockCache(100_000)
  const blocks = new CachedBlocks(cache, reader, 0)
  const { blockCount } = reader.runIndex(0)
  const away = new Set<number>()
  for (let round = 0; round < 6; round++) {
    useAll(blocks, blockCount)
    for (let n = 0; n < keys; n++) {
      const found = sequenceOf(blocks, keyOf(n))
      if (found === -1) away.add(n)
      else expect(found).toBe(n + 1)
    }
  }
  expect(away.size).toBeGreaterThan(keys / 4)
  // One use is enough now.
  const n = [...away].find(key => sequenceOf(blocks, keyOf(key)) === -1) as number
  const block = reader.runIndex(0).findBlock(utf8(keyOf(n)), 0, keyOf(n).length)
  // A key that a block begins with is named by the one before.
  for (const each of [block, Math.min(block + 1, blockCount - 1)]) use(blocks, each)
  expect(sequenceOf(blocks, keyOf(n))).toBe(n + 1)
})

test('what it finds was used, and stays when the cache turns', () => {
  const reader = readerOf(single(400))
  const cache = new BlockCache(60_000)
  const blocks = new CachedBlocks(cache, reader, 0)
  const { blockCount } = reader.runIndex(0)
  use(blocks, 1)
  use(blocks, 1)
  const known = Array.from({ length: keys }, (_, n) => n).find(n => sequenceOf(blocks, keyOf(n)) > 0)
  expect(known).toBeGreaterThan(0)
  for (let round = 0; round < 5; round++) {
    for (let block = 2; block < blockCount; block++) {
      blocks.keep(block, reader.readBlocks(0, block, 0).bytes)
      expect(sequenceOf(blocks, keyOf(known as number))).toBe((known as number) + 1)
    }
  }
  expect(blocks.has(2)).toBe(false)
})

test('versions over several blocks: only the newest is in it; a key that a range delete begins with is not', () => {
  const many = Array.from({ length: 60 }, (_, i) => ({ kind: STORE_PUT, key: keyOf(5), sequence: 100 - i, value: 'v'.repeat(400) }))
  const reader = readerOf([
    { kind: STORE_PUT, key: keyOf(1), sequence: 101, value: 'v' },
    { kind: STORE_RANGE_DELETE, key: keyOf(2), sequence: 103, value: keyOf(3) },
    { kind: STORE_PUT, key: keyOf(2), sequence: 102, value: 'v' },
    ...many,
    { kind: STORE_PUT, key: keyOf(6), sequence: 104, value: 'v' },
  ])
  const blocks = new CachedBlocks(new BlockCache(1 << 20), reader, 0)
  const { blockCount } = reader.runIndex(0)
  expect(blockCount).toBeGreaterThan(3)
  for (let block = blockCount - 1; block >= 0; block--) for (let i = 0; i < 2; i++) use(blocks, block)
  expect(sequenceOf(blocks, keyOf(5))).toBe(100)
  expect(sequenceOf(blocks, keyOf(5), 70)).toBe(-1)
  expect([1, 2, 6].map(n => sequenceOf(blocks, keyOf(n)))).toEqual([101, -1, 104])
})

test('it takes memory when the first block is added, within its share, until the run is gone', () => {
  const reader = readerOf(single(100))
  const bytes = hashIndexBytes(keys)
  const cache = new BlockCache(1 << 20)
  expect(cache.takeIndexShare(cache.bytesMax / 16 - bytes)).toBe(true)
  const blocks = new CachedBlocks(cache, reader, 0)
  use(blocks, 0)
  const before = cache.bytes
  use(blocks, 0)
  expect(cache.bytes).toBe(before + bytes)
  // Another run has to do without.
  const other = new CachedBlocks(cache, reader, 0)
  use(other, 0)
  const both = cache.bytes
  use(other, 0)
  expect(cache.bytes).toBe(both)
  expect(sequenceOf(other, keyOf(1))).toBe(-1)
  other.clear()
  blocks.clear()
  expect(cache.bytes).toBe(0)
  use(blocks, 0)
  use(blocks, 0)
  expect(sequenceOf(blocks, keyOf(1))).toBe(-1)
  expect(cache.bytes).toBe(0)
  expect(cache.takeIndexShare(bytes)).toBe(true)
  cache.giveIndexShare(cache.bytesMax / 16)
  expect(() => cache.giveIndexShare(1)).toThrow('what is given back was taken')
})

test('none is made where positions need too many bits, or for a run without keys', () => {
  const cache = new BlockCache(1 << 20)
  const large = single(100)
  large[5] = { kind: STORE_PUT, key: keyOf(5), sequence: 6, value: '.'.repeat(40 << 20) }
  const index = readerOf(large).runIndex(0)
  expect(RunHashIndex.of(index, cache, new Uint32Array(index.blockCount), new Uint8Array(index.blockCount))).toBe(undefined)
  const deletes = readerOf([{ kind: STORE_RANGE_DELETE, key: 'a', sequence: 1, value: 'b' }]).runIndex(0)
  expect(RunHashIndex.of(deletes, cache, new Uint32Array(deletes.blockCount), new Uint8Array(deletes.blockCount))).toBe(undefined)
})
