/**
 * Transaction markers: control batches of one record that end a producer's transaction in a log.
 *
 *   key
 *     version             i16   0
 *     type                i16   0 abort, 1 commit; Kafka has others, which a reader passes over
 *   value
 *     version             i16   0
 *     coordinator epoch   i32
 *
 * A marker takes exactly one offset.
 */

import { damagedBytes } from '../codec/damage.ts'
import { readI16BE, readI32BE, write32BE, writeU16BE } from '../codec/fixed-width.ts'
import { assert } from '../errors.ts'
import { ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL, NONE, RECORD_BATCH_HEADER_BYTES } from './format.ts'
import { isControlBatch } from './record-batch.ts'
import { RecordBatchWriter } from './record-batch-writer.ts'
import { RecordCursor } from './record-cursor.ts'

export const CONTROL_ABORT: number = 0
export const CONTROL_COMMIT: number = 1

/** What `writeTransactionMarker` writes for any timestamp: the header, and a record whose deltas are 0. */
export const TRANSACTION_MARKER_BYTES: number = RECORD_BATCH_HEADER_BYTES + 17

/** What a control batch says of a producer's transaction. */
export interface TransactionMarker {
  /** How the transaction ended. */
  readonly type: 'abort' | 'commit'
  /** Whose transaction it was. */
  readonly producerId: number
  /** Of the producer. */
  readonly producerEpoch: number
  /** Of the coordinator that wrote it. */
  readonly coordinatorEpoch: number
  /** Milliseconds. */
  readonly timestamp: number
}

const writer = new RecordBatchWriter()
const cursor = new RecordCursor()
const key = new Uint8Array(4)
const value = new Uint8Array(6)

/** Writes the marker's batch at `target[position]`, with its checksum, and returns the position after it. */
export function writeTransactionMarker(
  target: Uint8Array,
  position: number,
  offset: number,
  epoch: number,
  marker: TransactionMarker,
): number {
  assert(position + TRANSACTION_MARKER_BYTES <= target.length, 'a marker fits its target', position, target.length)
  writeU16BE(key, 0, 0)
  writeU16BE(key, 2, marker.type === 'commit' ? CONTROL_COMMIT : CONTROL_ABORT)
  writeU16BE(value, 0, 0)
  write32BE(value, 2, marker.coordinatorEpoch)
  try {
    const limit = position + TRANSACTION_MARKER_BYTES
    writer.begin(target, position, limit, offset, epoch, ATTRIBUTE_CONTROL | ATTRIBUTE_TRANSACTIONAL)
    writer.producer(marker.producerId, marker.producerEpoch, NONE)
    const added = writer.add(key, value, marker.timestamp)
    assert(added, 'a marker has a fixed size')
    return writer.endWithCrc()
  } finally {
    writer.abandon()
  }
}

/** The type of the control record in the batch at `position`, `NONE` when compaction has taken it; see `CONTROL_COMMIT` and `CONTROL_ABORT`. */
export function controlTypeOf(buffer: Uint8Array, position: number): number {
  assert(isControlBatch(buffer, position), 'the batch is a control batch')
  try {
    cursor.open(buffer, position)
    return cursor.next() ? controlType(cursor) : NONE
  } finally {
    cursor.close()
  }
}

function controlType(at: RecordCursor): number {
  if (at.keySize < 4) throw damagedBytes('control record key is cut off', at.recordStart, { actual: at.keySize })
  const version = readI16BE(at.data, at.keyStart)
  if (version < 0) throw damagedBytes('control record has an impossible version', at.recordStart, { actual: version })
  return readI16BE(at.data, at.keyStart + 2)
}

/** The epoch of the coordinator that wrote a transaction marker. */
export function coordinatorEpochOf(buffer: Uint8Array, position: number): number {
  assert(isControlBatch(buffer, position), 'the batch is a control batch')
  try {
    cursor.open(buffer, position)
    if (!cursor.next() || cursor.valueSize < 6) throw damagedBytes('transaction marker is cut off', position, { actual: cursor.valueSize })
    return readI32BE(cursor.data, cursor.valueStart + 2)
  } finally {
    cursor.close()
  }
}
