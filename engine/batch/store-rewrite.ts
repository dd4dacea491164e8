/**
 * Store batches written anew: with other offsets and sequences (a batch that was built before its place in the log was known), or cut before an
 * offset (a log truncated within a batch). Off the hot path; the result has its checksum open, as every batch that is born here.
 */
import { CODEC_NONE } from '../codec/compression.ts'
import { assert } from '../errors.ts'
import {
  openStoreBatch,
  StoreBatchWriter,
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchCodec,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchHeaderSize,
  storeBatchSize,
  storeBatchTimestamp,
} from './store-batch.ts'
import { StoreRecordCursor, storeRecordSize } from './store-record.ts'

/** The same records at another place in the log. */
export function rebaseStoreBatch(batch: Uint8Array, baseOffset: number, baseSequence: number, epoch: number): Uint8Array {
  return rewrite(batch, 0, storeBatchCount(batch, 0), baseOffset, baseSequence, epoch)
}

/** The records of the batch at `position` whose offsets are below `offset`. */
export function cutStoreBatch(bytes: Uint8Array, position: number, offset: number): Uint8Array {
  const count = offset - storeBatchBaseOffset(bytes, position)
  assert(count > 0 && count < storeBatchCount(bytes, position), 'the cut lies within the batch', count)
  const baseSequence = storeBatchBaseSequence(bytes, position)
  return rewrite(bytes, position, count, storeBatchBaseOffset(bytes, position), baseSequence, storeBatchEpoch(bytes, position))
}

function rewrite(bytes: Uint8Array, position: number, count: number, baseOffset: number, baseSequence: number, epoch: number): Uint8Array {
  const cursor = new StoreRecordCursor()
  let size = storeBatchHeaderSize()
  openStoreBatch(cursor, bytes, position)
  for (let i = 0; i < count && cursor.next(); i++) {
    size += storeRecordSize(Number.MAX_SAFE_INTEGER, cursor.keyBytes, cursor.valueBytes, cursor.expiry, cursor.hasVersion)
  }
  const target = new Uint8Array(Math.max(size, storeBatchSize(bytes, position)))
  const writer = new StoreBatchWriter()
  writer.begin(target, 0, { baseOffset, baseSequence, timestamp: storeBatchTimestamp(bytes, position), epoch })
  openStoreBatch(cursor, bytes, position)
  for (let i = 0; i < count && cursor.next(); i++) {
    const { buffer, keyStart, keyBytes, valueStart, valueBytes, expiry, hasVersion, versionMs, versionCounter, versionNode } = cursor
    const version = hasVersion ? { ms: versionMs, counter: versionCounter, node: versionNode } : undefined
    writer.add(cursor.kind, buffer, keyStart, keyBytes, buffer, valueStart, valueBytes, expiry, version)
  }
  const codec = storeBatchCodec(bytes, position)
  return target.slice(0, writer.finish(codec === CODEC_NONE ? CODEC_NONE : codec))
}
