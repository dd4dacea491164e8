/**
 * One block of a run in a slab of the cache, and the hash index by which a key is found in it: a lookup touches one line of the index and the record,
 * where a search by halves touches one for each step.
 *
 *   frame  := contentBytes:u32 buckets:u32 state:u32 recordsEnd:u32 bucket:u32{buckets} block
 *   bucket := 0 | (position of a record in the block + 1) << 8 | low 8 bits of lane 1 of its key's hash
 *
 * A key's bucket is floor(lane 1 * buckets / 2^32), or the next one that is free; of several records of one key the first, the newest, is in the index. It is
 * made when a block is used a second time, since blocks that are read once are many. Numbers are in the machine's order: no frame leaves the process.
 * The block's checksum was checked when it came, so positions in it are trusted as far as `StoreRecordCursor` trusts them. Blocks of a run whose keys are all
 * in one index (`run-hash-index.ts`) have no buckets.
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey, type KeyHash, sameKey } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { lowerBound } from '../segment/run-blocks.ts'
import type { Slab } from './block-cache.ts'

/** Words of a frame. */
const frameContentBytes = 0
const frameBuckets = 1
const frameState = 2
const frameRecordsEnd = 3
const headWords = 4
/** Where the block of a frame without buckets begins. */
export const frameHeadBytes: number = headWords * 4

/** No index was made yet. */
const stateNew = 0
const stateIndexed = 1
/** No index can be made. */
const stateBare = 2

/** Fewer records are found by halves as fast. */
const indexedRecordsMin = 4
/** Positions are below it. */
const indexedBytesMax = (1 << 23) - 1

/** What looking for a key in a block comes to. */
export const FRAME_FOUND = 0
/** Neither here nor in the next block. */
export const FRAME_ABSENT = 1
/** Not here: in the next block, if that begins with the key. */
export const FRAME_BEHIND = 2

const cursor = new StoreRecordCursor()
const ownHash: KeyHash = createKeyHash()

/** Bytes of a frame before its block. */
export function headBytes(buckets: number): number {
  return (headWords + buckets) * 4
}

/** Buckets for the keys of a block; 0: it gets no index. */
export function bucketsOf(contentBytes: number, recordCount: number): number {
  if (recordCount < indexedRecordsMin || contentBytes > indexedBytesMax) return 0
  return recordCount + (recordCount >>> 1)
}

/** The head of a frame at `offset`, whose block is in place; false when the block has an impossible offset table. */
export function writeHead({ bytes, words }: Slab, offset: number, buckets: number, contentBytes: number, recordCount: number): boolean {
  const head = offset >>> 2
  const end = offset + headBytes(buckets) + contentBytes
  const stored = bytes[end - 4]! | (bytes[end - 3]! << 8) | (bytes[end - 2]! << 16) | (bytes[end - 1]! << 24)
  const recordsEnd = contentBytes - 4 - recordCount * 4
  if (stored !== recordCount || recordsEnd <= 0) return false
  words[head + frameContentBytes] = contentBytes
  words[head + frameBuckets] = buckets
  words[head + frameState] = buckets === 0 ? stateBare : stateNew
  words[head + frameRecordsEnd] = recordsEnd
  return true
}

/** Where the block begins in the slab. */
export function blockStart({ words }: Slab, offset: number): number {
  return offset + (headWords + words[(offset >>> 2) + frameBuckets]!) * 4
}

export function contentBytesOf({ words }: Slab, offset: number): number {
  return words[(offset >>> 2) + frameContentBytes]!
}

/**
 * Finds the newest put, delete or pointer of the key with a sequence <= `sequenceMax` in the block, and puts it under `record`. `isHit`: the block was in
 * the cache.
 */
export function findInFrame(
  slab: Slab,
  offset: number,
  isHit: boolean,
  key: Uint8Array,
  start: number,
  size: number,
  hash: KeyHash,
  sequenceMax: number,
  record: StoreRecordCursor,
): number {
  const { bytes, words } = slab
  const head = offset >>> 2
  const buckets = words[head + frameBuckets]!
  const block = offset + (headWords + buckets) * 4
  const recordsEnd = block + words[head + frameRecordsEnd]!
  if (isHit && words[head + frameState] === stateNew) makeIndex(slab, offset)
  if (words[head + frameState] !== stateIndexed) {
    const count = (block + words[head + frameContentBytes]! - 4 - recordsEnd) >>> 2
    const at = lowerBound(bytes, block, recordsEnd, count, key, start, size)
    if (at === count) return FRAME_BEHIND
    const entry = recordsEnd + at * 4
    record.readAt(
      bytes,
      block + (bytes[entry]! | (bytes[entry + 1]! << 8) | (bytes[entry + 2]! << 16) | (bytes[entry + 3]! << 24)),
      recordsEnd,
    )
    if (compareKeys(bytes, record.keyStart, record.keyBytes, key, start, size) !== 0) return FRAME_ABSENT
    return visible(record, key, start, size, sequenceMax)
  }
  const lane = hash[1]!
  const tag = lane & 0xff
  const first = head + headWords
  let bucket = bucketOf(lane, buckets)
  for (;;) {
    const entry = words[first + bucket]!
    if (entry === 0) return FRAME_BEHIND
    if ((entry & 0xff) === tag) {
      record.readAt(bytes, block + (entry >>> 8) - 1, recordsEnd)
      if (record.keyBytes === size && sameKey(bytes, record.keyStart, key, start, size))
        return visible(record, key, start, size, sequenceMax)
    }
    if (++bucket === buckets) bucket = 0
  }
}

/** From the key's first record on, which `record` stands on: the first one that is no range delete and that the moment sees. */
function visible(record: StoreRecordCursor, key: Uint8Array, start: number, size: number, sequenceMax: number): number {
  for (;;) {
    if (record.sequence <= sequenceMax && record.kind !== STORE_RANGE_DELETE) return FRAME_FOUND
    if (!record.next()) return FRAME_BEHIND
    if (record.keyBytes !== size || !sameKey(record.buffer, record.keyStart, key, start, size)) return FRAME_ABSENT
  }
}

function makeIndex(slab: Slab, offset: number): void {
  const { words } = slab
  const head = offset >>> 2
  const buckets = words[head + frameBuckets]!
  const first = head + headWords
  for (let i = 0; i < buckets; i++) words[first + i] = 0
  eachKey(slab, offset, (position, _kind, lane) => {
    let bucket = bucketOf(lane, buckets)
    while (words[first + bucket] !== 0) if (++bucket === buckets) bucket = 0
    words[first + bucket] = ((position + 1) << 8) | (lane & 0xff)
  })
  words[head + frameState] = stateIndexed
}

/** Visits the first record of each key of a frame's block, the newest one: its position in the block, its kind, and lane 1 of its key's hash. */
export function eachKey(slab: Slab, offset: number, visit: (position: number, kind: number, lane: number) => void): void {
  const { bytes, words } = slab
  const block = blockStart(slab, offset)
  let keyStart = 0
  let keyBytes = -1
  cursor.reset(bytes, block, block + words[(offset >>> 2) + frameRecordsEnd]!)
  while (cursor.next()) {
    const isSame = cursor.keyBytes === keyBytes && sameKey(bytes, cursor.keyStart, bytes, keyStart, keyBytes)
    keyStart = cursor.keyStart
    keyBytes = cursor.keyBytes
    if (isSame) continue
    hashKey(bytes, keyStart, keyBytes, ownHash)
    visit(cursor.start - block, cursor.kind, ownHash[1]!)
  }
}

/** Where a key is looked for first. */
export function bucketOf(lane: number, buckets: number): number {
  return Math.floor(((lane >>> 0) * buckets) / 0x1_0000_0000)
}
