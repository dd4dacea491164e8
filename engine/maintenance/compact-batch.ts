/**
 * Rewrites one record batch for compaction: drops records, stamps the delete horizon, or leaves nothing but the header.
 *
 * Offsets, sequences, epochs, codec and the batch's offset range never change; count, largest timestamp and checksum do. Records are copied
 * byte for byte unless the horizon is stamped, which moves the base that their timestamps count from. Decides nothing: `compact-topic.ts`
 * marks what stays.
 */
import {
  ATTRIBUTE_APPEND_TIME,
  ATTRIBUTE_DELETE_HORIZON,
  ATTRIBUTES_AT,
  ATTRIBUTES_CODEC_MASK,
  BASE_TIMESTAMP_AT,
  LENGTH_AT,
  MAX_TIMESTAMP_AT,
  NONE,
  RECORD_BATCH_HEADER_BYTES,
  RECORD_BATCH_LENGTH_EXCLUDES,
  RECORD_COUNT_AT,
} from '../batch/format.ts'
import { batchAttributes, batchCodec, batchMaxTimestamp, fillCrc } from '../batch/record-batch.ts'
import { CODEC_NONE, compress } from '../codec/compression.ts'
import { write32BE, writeI64BE, writeU16BE } from '../codec/fixed-width.ts'
import { readZigzag32, readZigzag53, varintEnd, writeZigzag32, writeZigzag53, zigzag32Size, zigzag53Size } from '../codec/varint.ts'
import { assert } from '../errors.ts'

/** The records of one batch that stay, in order. Reused from batch to batch. */
export class KeptRecords {
  /** What the positions count in: the batch's buffer, or its decompressed records. */
  data: Uint8Array = new Uint8Array(0)
  count = 0
  starts: Uint32Array = new Uint32Array(256)
  ends: Uint32Array = new Uint32Array(256)
  timestamps: Float64Array = new Float64Array(256)
  /** Largest timestamp of the kept ones; -1 none. */
  maxTimestamp: number = NONE

  clear(data: Uint8Array): void {
    this.data = data
    this.count = 0
    this.maxTimestamp = NONE
  }

  add(start: number, end: number, timestamp: number): void {
    const { count } = this
    if (count === this.starts.length) this.#grow()
    this.starts[count] = start
    this.ends[count] = end
    this.timestamps[count] = timestamp
    if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
    this.count = count + 1
  }

  #grow(): void {
    const starts = new Uint32Array(this.count * 2)
    const ends = new Uint32Array(this.count * 2)
    const timestamps = new Float64Array(this.count * 2)
    starts.set(this.starts)
    ends.set(this.ends)
    timestamps.set(this.timestamps)
    this.starts = starts
    this.ends = ends
    this.timestamps = timestamps
  }
}

/** The widest that a length and a timestamp delta may grow by when the base timestamp moves. */
const growthMax = 4 + 7

export class BatchRewriter {
  /** The batch written last, from position 0. */
  bytes: Uint8Array = new Uint8Array(64 * 1024)

  /** Writes the batch at `position` with the kept records only; a `horizon` >= 0 is stamped on it. Returns its size. */
  rewrite(buffer: Uint8Array, position: number, kept: KeptRecords, horizon: number): number {
    assert(kept.count > 0, 'a rewritten batch has records; an empty one is `writeEmpty`')
    const last = kept.count - 1
    this.#reserve(RECORD_BATCH_HEADER_BYTES + kept.ends[last]! - kept.starts[0]! + kept.count * growthMax)
    const codec = batchCodec(buffer, position)
    let end = horizon < 0 ? this.#copyRecords(kept) : this.#moveRecords(kept, horizon)
    if (codec !== CODEC_NONE) {
      const packed = compress(codec, this.bytes.subarray(RECORD_BATCH_HEADER_BYTES, end))
      this.#reserve(RECORD_BATCH_HEADER_BYTES + packed.length)
      this.bytes.set(packed, RECORD_BATCH_HEADER_BYTES)
      end = RECORD_BATCH_HEADER_BYTES + packed.length
    }
    const { bytes } = this
    bytes.set(buffer.subarray(position, position + RECORD_BATCH_HEADER_BYTES))
    const attributes = batchAttributes(buffer, position)
    if (horizon >= 0) {
      writeU16BE(bytes, ATTRIBUTES_AT, attributes | ATTRIBUTE_DELETE_HORIZON)
      writeI64BE(bytes, BASE_TIMESTAMP_AT, horizon)
    }
    if ((attributes & ATTRIBUTE_APPEND_TIME) === 0) writeI64BE(bytes, MAX_TIMESTAMP_AT, kept.maxTimestamp)
    return this.#seal(end, kept.count)
  }

  /** Writes the header of the batch at `position` without records, which keeps its place and its producer's sequence. Returns its size. */
  writeEmpty(buffer: Uint8Array, position: number): number {
    const { bytes } = this
    bytes.set(buffer.subarray(position, position + RECORD_BATCH_HEADER_BYTES))
    writeU16BE(bytes, ATTRIBUTES_AT, batchAttributes(buffer, position) & ~(ATTRIBUTES_CODEC_MASK | ATTRIBUTE_DELETE_HORIZON))
    writeI64BE(bytes, BASE_TIMESTAMP_AT, NONE)
    writeI64BE(bytes, MAX_TIMESTAMP_AT, batchMaxTimestamp(buffer, position))
    return this.#seal(RECORD_BATCH_HEADER_BYTES, 0)
  }

  #seal(size: number, count: number): number {
    write32BE(this.bytes, LENGTH_AT, size - RECORD_BATCH_LENGTH_EXCLUDES)
    write32BE(this.bytes, RECORD_COUNT_AT, count)
    fillCrc(this.bytes, 0)
    return size
  }

  #copyRecords(kept: KeptRecords): number {
    let at = RECORD_BATCH_HEADER_BYTES
    for (let i = 0; i < kept.count; ) {
      const start = kept.starts[i]!
      let end = kept.ends[i]!
      for (i++; i < kept.count && kept.starts[i] === end; i++) end = kept.ends[i]!
      this.bytes.set(kept.data.subarray(start, end), at)
      at += end - start
    }
    return at
  }

  #moveRecords(kept: KeptRecords, horizon: number): number {
    const { data } = kept
    const { bytes } = this
    let at = RECORD_BATCH_HEADER_BYTES
    for (let i = 0; i < kept.count; i++) {
      const start = kept.starts[i]!
      const end = kept.ends[i]!
      readZigzag32(data, start, end)
      const attributesAt = varintEnd
      readZigzag53(data, attributesAt + 1, end)
      const rest = varintEnd
      const delta = kept.timestamps[i]! - horizon
      const bodyBytes = 1 + zigzag53Size(delta) + end - rest
      assert(at + zigzag32Size(bodyBytes) + bodyBytes <= bytes.length, 'a moved record fits', at, bodyBytes)
      at = writeZigzag32(bytes, at, bodyBytes)
      bytes[at++] = data[attributesAt]!
      at = writeZigzag53(bytes, at, delta)
      bytes.set(data.subarray(rest, end), at)
      at += end - rest
    }
    return at
  }

  #reserve(size: number): void {
    if (size <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(size, this.bytes.length * 2))
    larger.set(this.bytes)
    this.bytes = larger
  }
}
