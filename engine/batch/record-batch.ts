/**
 * The header of a record batch: reading its fields, rewriting those that a broker may rewrite, checking the whole.
 *
 *   record batch
 *     base offset            i64
 *     length                 i32     bytes that follow this field
 *     leader epoch           i32
 *     magic                  i8      2
 *     crc                    u32     CRC-32C from here to the end
 *     attributes             i16     0-2 codec, 3 append time, 4 transactional, 5 control, 6 delete horizon
 *     last offset delta      i32
 *     base timestamp         i64
 *     max timestamp          i64
 *     producer id            i64
 *     producer epoch         i16
 *     base sequence          i32
 *     record count           i32
 *     record*                        compressed as one block; the grammar is in `record-batch-writer.ts`
 *
 * All functions take (buffer, position of the batch's first byte). Bytes that nobody has checked go through `validateRecordBatch` first; the accessors
 * only promise not to read outside the buffer (CORRUPT). Nothing here allocates.
 */

import { compressionNames } from '../codec/compression.ts'
import { crc32c } from '../codec/crc32c.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readI16BE, readI32BE, readI64BE, readU32BE, write32BE, writeI64BE, writeU16BE } from '../codec/fixed-width.ts'
import { assert } from '../errors.ts'
import {
  ATTRIBUTE_APPEND_TIME,
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_DELETE_HORIZON,
  ATTRIBUTE_TRANSACTIONAL,
  ATTRIBUTES_AT,
  ATTRIBUTES_CODEC_MASK,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BASE_TIMESTAMP_AT,
  CRC_AT,
  EPOCH_AT,
  LAST_OFFSET_DELTA_AT,
  LENGTH_AT,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  NONE,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_LENGTH_EXCLUDES,
  RECORD_BATCH_MAGIC,
  RECORD_COUNT_AT,
  SEQUENCE_LIMIT,
} from './format.ts'

/** Bytes of the whole batch, as its header says. */
export function batchSize(buffer: Uint8Array, position: number): number {
  return RECORD_BATCH_LENGTH_EXCLUDES + readI32BE(buffer, position + LENGTH_AT)
}

/** Offset of the first record of the batch at `position`. */
export function batchBaseOffset(buffer: Uint8Array, position: number): number {
  return readI64BE(buffer, position + BASE_OFFSET_AT)
}

/** Inclusive. */
export function batchLastOffset(buffer: Uint8Array, position: number): number {
  return readI64BE(buffer, position + BASE_OFFSET_AT) + readI32BE(buffer, position + LAST_OFFSET_DELTA_AT)
}

export function batchEpoch(buffer: Uint8Array, position: number): number {
  return readI32BE(buffer, position + EPOCH_AT)
}

export function batchCrc(buffer: Uint8Array, position: number): number {
  return readU32BE(buffer, position + CRC_AT)
}

export function batchAttributes(buffer: Uint8Array, position: number): number {
  return readI16BE(buffer, position + ATTRIBUTES_AT)
}

export function batchCodec(buffer: Uint8Array, position: number): number {
  return batchAttributes(buffer, position) & ATTRIBUTES_CODEC_MASK
}

/** Whether the batch at `position` is a marker of a transaction, without records of users. */
export function isControlBatch(buffer: Uint8Array, position: number): boolean {
  return (batchAttributes(buffer, position) & ATTRIBUTE_CONTROL) !== 0
}

/** Whether the batch at `position` belongs to a transaction. */
export function isTransactionalBatch(buffer: Uint8Array, position: number): boolean {
  return (batchAttributes(buffer, position) & ATTRIBUTE_TRANSACTIONAL) !== 0
}

export function batchHasAppendTime(buffer: Uint8Array, position: number): boolean {
  return (batchAttributes(buffer, position) & ATTRIBUTE_APPEND_TIME) !== 0
}

/** Milliseconds; `NONE` when the batch has no delete horizon. */
export function batchDeleteHorizon(buffer: Uint8Array, position: number): number {
  return (batchAttributes(buffer, position) & ATTRIBUTE_DELETE_HORIZON) === 0 ? NONE : batchBaseTimestamp(buffer, position)
}

export function batchBaseTimestamp(buffer: Uint8Array, position: number): number {
  return readI64BE(buffer, position + BASE_TIMESTAMP_AT)
}

/** The largest timestamp of the records of the batch at `position`, ms; NONE when none has one. */
export function batchMaxTimestamp(buffer: Uint8Array, position: number): number {
  return readI64BE(buffer, position + MAX_TIMESTAMP_AT)
}

/** Id of the producer of the batch at `position`; -1: none. */
export function batchProducerId(buffer: Uint8Array, position: number): number {
  return readI64BE(buffer, position + PRODUCER_ID_AT)
}

export function batchProducerEpoch(buffer: Uint8Array, position: number): number {
  return readI16BE(buffer, position + PRODUCER_EPOCH_AT)
}

export function batchBaseSequence(buffer: Uint8Array, position: number): number {
  return readI32BE(buffer, position + BASE_SEQUENCE_AT)
}

/** Sequence of the record at the last offset, which may have been compacted away; `NONE` without a producer. */
export function batchLastSequence(buffer: Uint8Array, position: number): number {
  return sequenceAfter(batchBaseSequence(buffer, position), readI32BE(buffer, position + LAST_OFFSET_DELTA_AT))
}

export function batchRecordCount(buffer: Uint8Array, position: number): number {
  return readI32BE(buffer, position + RECORD_COUNT_AT)
}

/** Sequences run from 0 to 2^31-1 and begin again at 0. */
export function sequenceAfter(sequence: number, count: number): number {
  return sequence < 0 ? NONE : (sequence + count) % SEQUENCE_LIMIT
}

export function setBatchBaseOffset(buffer: Uint8Array, position: number, offset: number): void {
  assert(offset >= 0, 'an offset is not negative', offset)
  writeI64BE(buffer, position + BASE_OFFSET_AT, offset)
}

export function setBatchEpoch(buffer: Uint8Array, position: number, epoch: number): void {
  assert(epoch >= NONE && (epoch | 0) === epoch, 'an epoch is a 32-bit integer', epoch)
  write32BE(buffer, position + EPOCH_AT, epoch)
}

/** Marks the batch as stamped when it was appended: all its records then have this timestamp. The checksum is wrong until `fillCrc`. */
export function setBatchAppendTime(buffer: Uint8Array, position: number, timestamp: number): void {
  writeU16BE(buffer, position + ATTRIBUTES_AT, batchAttributes(buffer, position) | ATTRIBUTE_APPEND_TIME)
  writeI64BE(buffer, position + MAX_TIMESTAMP_AT, timestamp)
}

export function fillCrc(buffer: Uint8Array, position: number): void {
  write32BE(buffer, position + CRC_AT, crcOf(buffer, position))
}

export function crcMatches(buffer: Uint8Array, position: number): boolean {
  return batchCrc(buffer, position) === crcOf(buffer, position)
}

function crcOf(buffer: Uint8Array, position: number): number {
  return crc32c(buffer, position + ATTRIBUTES_AT, position + batchSize(buffer, position))
}

/**
 * Checks the header of the batch at `position`, and its checksum if asked, and returns its bytes. Throws CORRUPT with the reason when it is not a whole
 * and plausible batch within `end` (exclusive). The records themselves are checked as a cursor walks them.
 */
export function validateRecordBatch(buffer: Uint8Array, position: number, end: number, checkCrc: boolean): number {
  assert(position >= 0 && end <= buffer.length, 'the batch lies in the buffer', position, end)
  if (end - position < RECORD_BATCH_HEADER_BYTES) throw damagedBytes('record batch header is cut off', position, { actual: end - position })
  const magic = buffer[position + MAGIC_AT] as number
  if (magic !== RECORD_BATCH_MAGIC) throw damagedBytes('record batch of another magic', position, { expected: 2, actual: magic })
  const size = batchSize(buffer, position)
  if (size < RECORD_BATCH_HEADER_BYTES) throw damagedBytes('record batch is shorter than its header', position, { actual: size })
  if (size > end - position) throw damagedBytes('record batch is cut off', position, { expected: size, actual: end - position })
  validateNumbers(buffer, position, size)
  if (checkCrc) {
    const expected = crcOf(buffer, position)
    const actual = batchCrc(buffer, position)
    if (actual !== expected) throw damagedBytes('record batch checksum differs', position, { expected, actual })
  }
  return size
}

function validateNumbers(buffer: Uint8Array, position: number, size: number): void {
  const baseOffset = batchBaseOffset(buffer, position)
  const lastOffsetDelta = readI32BE(buffer, position + LAST_OFFSET_DELTA_AT)
  const count = batchRecordCount(buffer, position)
  const codec = batchCodec(buffer, position)
  if (baseOffset < 0 || lastOffsetDelta < 0 || !Number.isSafeInteger(baseOffset + lastOffsetDelta)) {
    throw damagedBytes('record batch offsets are impossible', position, { baseOffset, lastOffsetDelta })
  }
  if (count < 0 || count > lastOffsetDelta + 1) throw damagedBytes('record batch count is impossible', position, { count, lastOffsetDelta })
  if (codec >= compressionNames.length) throw damagedBytes('record batch codec is unknown', position, { codec })
  if (count === 0 && size !== RECORD_BATCH_HEADER_BYTES) throw damagedBytes('empty record batch has records', position, { actual: size })
  if (batchMaxTimestamp(buffer, position) < NONE) throw damagedBytes('record batch timestamp is impossible', position)
  if (batchEpoch(buffer, position) < NONE) throw damagedBytes('record batch epoch is impossible', position)
  batchBaseTimestamp(buffer, position)
  batchProducerId(buffer, position)
}
