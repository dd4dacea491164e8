/**
 * Record batches for callers that have, or want, records as objects: encode an array, decode into an array, compress a batch that is encoded.
 *
 * Hot paths use `RecordBatchWriter` and `RecordCursor`; these are built on them.
 */

import { CODEC_NONE, type CompressionName, codecIdOf, compress } from '../codec/compression.ts'
import { write32BE, writeU16BE } from '../codec/fixed-width.ts'
import { assert } from '../errors.ts'
import {
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_TRANSACTIONAL,
  ATTRIBUTES_AT,
  ATTRIBUTES_CODEC_MASK,
  LENGTH_AT,
  NONE,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_LENGTH_EXCLUDES,
} from './format.ts'
import { batchAttributes, batchRecordCount, batchSize, fillCrc } from './record-batch.ts'
import { RecordBatchWriter, type RecordBytes, type RecordHeaderInput } from './record-batch-writer.ts'
import { RecordCursor } from './record-cursor.ts'

/** A record to be encoded. */
export interface RecordInput {
  /** Default: none. */
  readonly key?: RecordBytes | undefined
  /** Default: none. */
  readonly value?: RecordBytes | undefined
  /** Milliseconds. Default: the batch's `timestamp`. */
  readonly timestamp?: number | undefined
  /** Default: none. */
  readonly headers?: readonly RecordHeaderInput[] | undefined
}

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** A record as read. Key, value and header values are views: holding one keeps the whole buffer it lies in; copy what is kept for long. */
export interface LogRecord {
  /** Place in the log. */
  readonly offset: number
  /** Milliseconds; -1 none. */
  readonly timestamp: number
  /** null: none. */
  readonly key: Uint8Array | null
  /** null: none, which deletes the key where a topic is compacted. */
  readonly value: Uint8Array | null
  /** In their order; empty: none. */
  readonly headers: readonly RecordHeader[]
}

/** What a batch says beside its records. */
export interface RecordBatchOptions {
  /** Default 0. */
  readonly baseOffset?: number | undefined
  /** Default -1: unknown. */
  readonly epoch?: number | undefined
  /** Milliseconds, for records without one of their own. Default -1: none. */
  readonly timestamp?: number | undefined
  /** Default -1, no producer. */
  readonly producerId?: number | undefined
  /** Of the producer. Default -1. */
  readonly producerEpoch?: number | undefined
  /** Of the first record. Default -1. */
  readonly baseSequence?: number | undefined
  /** Part of a transaction in Kafka's form. Default false. */
  readonly transactional?: boolean | undefined
  /** Holds a marker, no data. Default false. */
  readonly control?: boolean | undefined
  /** Default 'none'. */
  readonly compression?: CompressionName | undefined
}

const noHeaders: readonly RecordHeader[] = Object.freeze([])
/** Length, attributes, two deltas, two sizes and the header count at their longest. */
const recordOverheadMax = 5 + 1 + 8 + 5 + 5 + 5 + 5
const utf8 = new TextDecoder()
const writer = new RecordBatchWriter()
const cursor = new RecordCursor()

function bytesMax(bytes: RecordBytes | undefined): number {
  if (bytes === undefined || bytes === null) return 0
  if (typeof bytes !== 'string') return bytes.length
  // Counting costs about as much as a short text is worth; a long one must not triple the room that a batch asks for.
  return bytes.length <= 64 ? bytes.length * 3 : Buffer.byteLength(bytes)
}

/** An upper bound, before compression: exact but for the width of varints and for text that is not ASCII. */
export function estimateRecordBatchSize(records: readonly RecordInput[]): number {
  let size = RECORD_BATCH_HEADER_BYTES
  for (const { key, value, headers } of records) {
    size += recordOverheadMax + bytesMax(key) + bytesMax(value)
    if (headers !== undefined) for (const header of headers) size += 10 + header.key.length * 3 + bytesMax(header.value)
  }
  return size
}

/** One batch in memory of its own, with its checksum. */
export function encodeRecordBatch(records: readonly RecordInput[], options: RecordBatchOptions = {}): Uint8Array {
  assert(records.length > 0, 'a batch has a record')
  const target = new Uint8Array(estimateRecordBatchSize(records))
  const attributes = (options.transactional === true ? ATTRIBUTE_TRANSACTIONAL : 0) | (options.control === true ? ATTRIBUTE_CONTROL : 0)
  const codec = codecIdOf(options.compression ?? 'none')
  const defaultTimestamp = options.timestamp ?? NONE
  let end: number
  try {
    writer.begin(target, 0, target.length, options.baseOffset ?? 0, options.epoch ?? NONE, attributes)
    writer.producer(options.producerId ?? NONE, options.producerEpoch ?? NONE, options.baseSequence ?? NONE)
    for (const { key, value, timestamp, headers } of records) {
      const added = writer.add(key ?? null, value ?? null, timestamp ?? defaultTimestamp, headers)
      assert(added, 'the estimated size is an upper bound', target.length, writer.position)
    }
    end = codec === CODEC_NONE ? writer.endWithCrc() : writer.end()
  } finally {
    writer.abandon()
  }
  return codec === CODEC_NONE ? target.subarray(0, end) : compressRecordBatch(target, 0, codec)
}

/**
 * A copy of the uncompressed batch at `position` with its records compressed as one block, and a new checksum. Offsets, count and all other fields stay.
 * A batch without records is copied as it is.
 */
export function compressRecordBatch(buffer: Uint8Array, position: number, codec: number): Uint8Array {
  const size = batchSize(buffer, position)
  const attributes = batchAttributes(buffer, position)
  assert((attributes & ATTRIBUTES_CODEC_MASK) === CODEC_NONE, 'a batch is compressed once', attributes)
  assert(position + size <= buffer.length, 'the batch lies in the buffer', position, size)
  const codecUsed = batchRecordCount(buffer, position) === 0 ? CODEC_NONE : codec
  const block = compress(codecUsed, buffer.subarray(position + RECORD_BATCH_HEADER_BYTES, position + size))
  const batch = new Uint8Array(RECORD_BATCH_HEADER_BYTES + block.length)
  batch.set(buffer.subarray(position, position + RECORD_BATCH_HEADER_BYTES))
  batch.set(block, RECORD_BATCH_HEADER_BYTES)
  write32BE(batch, LENGTH_AT, batch.length - RECORD_BATCH_LENGTH_EXCLUDES)
  writeU16BE(batch, ATTRIBUTES_AT, attributes | codecUsed)
  fillCrc(batch, 0)
  return batch
}

/** The records of the batch at `position`, in offset order; throws CORRUPT. Checksums are not checked. */
export function decodeRecords(buffer: Uint8Array, position: number, end: number = buffer.length): LogRecord[] {
  try {
    cursor.open(buffer, position, end)
    const { data } = cursor
    const records: LogRecord[] = []
    while (cursor.next()) {
      const { keyStart, keySize, valueStart, valueSize } = cursor
      records.push({
        offset: cursor.offset,
        timestamp: cursor.timestamp,
        key: keySize < 0 ? null : data.subarray(keyStart, keyStart + keySize),
        value: valueSize < 0 ? null : data.subarray(valueStart, valueStart + valueSize),
        headers: cursor.headerCount === 0 ? noHeaders : decodeHeaders(cursor),
      })
    }
    return records
  } finally {
    cursor.close()
  }
}

/** The headers of the record that the cursor is on, from the first that it has not visited. */
export function decodeHeaders(at: RecordCursor): RecordHeader[] {
  const { data } = at
  const headers: RecordHeader[] = []
  while (at.nextHeader()) {
    const { headerKeyStart, headerKeySize, headerValueStart, headerValueSize } = at
    headers.push({
      key: utf8.decode(data.slice(headerKeyStart, headerKeyStart + headerKeySize)),
      value: headerValueSize < 0 ? null : data.subarray(headerValueStart, headerValueStart + headerValueSize),
    })
  }
  return headers
}
