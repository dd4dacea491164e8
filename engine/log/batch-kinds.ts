/**
 * The two kinds of batches behind one set of questions, for code that moves batches without caring what is in them.
 * Positions are those of a batch's first byte; bytes were checked before.
 */
import { batchBaseOffset, batchEpoch, batchLastOffset, batchMaxTimestamp, batchSize, fillCrc } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import {
  fillStoreBatchChecksum,
  storeBatchBaseOffset,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchSize,
  storeBatchTimestamp,
} from '../batch/store-batch.ts'
import type { LogKind } from './log.ts'

/** As the directory of a segment names kinds of logs. */
export const kindNumbers: { readonly [kind in LogKind]: number } = { topic: 1, store: 2 }

export function kindOfNumber(number: number): LogKind | undefined {
  return number === 1 ? 'topic' : number === 2 ? 'store' : undefined
}

export function batchLength(kind: LogKind, bytes: Uint8Array, position: number): number {
  return kind === 'topic' ? batchSize(bytes, position) : storeBatchSize(bytes, position)
}

export function batchBase(kind: LogKind, bytes: Uint8Array, position: number): number {
  return kind === 'topic' ? batchBaseOffset(bytes, position) : storeBatchBaseOffset(bytes, position)
}

/** Offset after the last record. */
export function batchEnd(kind: LogKind, bytes: Uint8Array, position: number): number {
  return kind === 'topic' ? batchLastOffset(bytes, position) + 1 : storeBatchBaseOffset(bytes, position) + storeBatchCount(bytes, position)
}

export function batchNewest(kind: LogKind, bytes: Uint8Array, position: number): number {
  return kind === 'topic' ? batchMaxTimestamp(bytes, position) : storeBatchTimestamp(bytes, position)
}

export function batchLeaderEpoch(kind: LogKind, bytes: Uint8Array, position: number): number {
  return kind === 'topic' ? batchEpoch(bytes, position) : storeBatchEpoch(bytes, position)
}

export function fillBatchChecksum(kind: LogKind, bytes: Uint8Array, position: number): void {
  if (kind === 'topic') fillCrc(bytes, position)
  else fillStoreBatchChecksum(bytes, position)
}

const cursor = new RecordCursor()

/** Offset of the first record at or after `offsetMin` with a timestamp >= `timestamp`; undefined when the batch has none. */
export function offsetForTimeInBatch(
  kind: LogKind,
  bytes: Uint8Array,
  position: number,
  timestamp: number,
  offsetMin: number,
): number | undefined {
  if (batchNewest(kind, bytes, position) < timestamp) return undefined
  if (kind === 'store') return Math.max(offsetMin, storeBatchBaseOffset(bytes, position))
  try {
    cursor.open(bytes, position, position + batchSize(bytes, position))
    while (cursor.next()) if (cursor.timestamp >= timestamp && cursor.offset >= offsetMin) return cursor.offset
    return undefined
  } finally {
    cursor.close()
  }
}
