/**
 * Encodes records straight into a buffer, usually the arena of a commit-log file, as one record batch (`record-batch.ts` has the header's grammar).
 *
 *   record
 *     length             zigzag32   bytes that follow this field
 *     attributes         i8         0
 *     timestamp delta    zigzag53   to the batch's base timestamp
 *     offset delta       zigzag32   to the batch's base offset; ascending, with gaps after compaction
 *     key size           zigzag32   -1: no key
 *     key
 *     value size         zigzag32   -1: no value (a tombstone)
 *     value
 *     header count       zigzag32
 *     header*
 *       key size         zigzag32
 *       key                         UTF-8
 *       value size       zigzag32   -1: no value
 *       value
 *
 * Copying a key or value into shared memory costs 4 GB/s at most, because unaligned bytes are copied one by one; private memory takes 30. A batch for a
 * shared buffer is therefore encoded in memory of the writer, aligned as its target, and copied as a whole by `end`.
 *
 * Use: `begin`, `producer` if there is one, `add` until it returns false (no room: nothing was written) or the input ends, `end`. A writer may be used
 * again after `end`. It holds the buffer only between `begin` and `end`. `add` does not allocate for byte keys and values. Where the batch will lie need not be
 * known before it is full: `beginAhead`, `add`, then `place` as often as it must be tried, `abandon` (`topic-batch.ts`).
 */

import { write32BE, writeI64BE, writeU16BE } from '../codec/fixed-width.ts'
import { writeZigzag32, writeZigzag53, zigzag32Size, zigzag53Size } from '../codec/varint.ts'
import { assert } from '../errors.ts'
import { copyBytes, TextScratch } from './bytes.ts'
import {
  ATTRIBUTE_DELETE_HORIZON,
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
import { fillCrc } from './record-batch.ts'

export type RecordBytes = Uint8Array | string | null

export interface RecordHeaderInput {
  readonly key: string
  readonly value: RecordBytes
}

const noHeaders: readonly RecordHeaderInput[] = Object.freeze([])
const noBytes: Uint8Array = new Uint8Array(0)
const noHeaderBytes: Uint8Array = Uint8Array.of(0)
/** Of all writers: text holds only until it is copied, within `add`. */
const keyText: TextScratch = new TextScratch()
const valueText: TextScratch = new TextScratch()
const headerText: TextScratch = new TextScratch()
const stageBytes = 64 * 1024
/** A stage that grew beyond this for one batch is let go after it. */
const stageBytesKept = 4 * 1024 * 1024
/** Of a batch that is encoded ahead: most are small. */
const aheadBytes = 1024
/** Its header begins here at first: `place` moves it to the alignment of the target, down to 0. */
const aheadStart = 8
/** Deltas below it are single bytes. */
const deltasMax = 64
/** A position that no batch reaches: its length is an i32. */
const aheadLimit = 2 ** 31 - 1

export class RecordBatchWriter {
  /** Records added since `begin`. */
  count: number = 0
  #target: Uint8Array = noBytes
  /** Position of the batch's first byte in the target. */
  #targetStart: number = 0
  /** Where bytes are encoded: the target, or `#stage`. */
  #buffer: Uint8Array = noBytes
  #stage: Uint8Array = noBytes
  /** Position of the batch's first byte in `#buffer`; -1 between `end` and `begin`. */
  #start: number = -1
  /** Position in `#buffer` after the last record. Invariant: `#start + 61 <= #at <= #limit`. */
  #at: number = 0
  /** Position in `#buffer` that no record may pass; beyond the buffer's length while a stage may still grow. */
  #limit: number = 0
  #baseOffset: number = 0
  /** Meaningless until `#hasBaseTimestamp`. */
  #baseTimestamp: number = 0
  #hasBaseTimestamp: boolean = false
  #maxTimestamp: number = NONE
  /** Offset of the next record less the base offset. */
  #nextDelta: number = 0
  #headerBytes: Uint8Array = noHeaderBytes
  /** No offset was skipped and no record is older than the first: deltas are not negative. */
  #isPlain: boolean = true

  /**
   * Starts a batch at `target[position]` that must end at or before `limit`. `attributes` has no codec bits: what is to be compressed is encoded first
   * (`compressRecordBatch`). Without `baseTimestamp` the first record's timestamp is the base, as Kafka's producers do.
   */
  begin(
    target: Uint8Array,
    position: number,
    limit: number,
    baseOffset: number,
    epoch: number = NONE,
    attributes: number = 0,
    baseTimestamp?: number,
  ): void {
    assert(this.#start < 0, 'a batch ends before the next begins')
    assert(position >= 0 && limit <= target.length, 'the batch lies in the buffer', position, limit)
    assert(position + RECORD_BATCH_HEADER_BYTES <= limit, 'a batch has room for its header', position, limit)
    assert(baseOffset >= 0 && Number.isSafeInteger(baseOffset), 'an offset is a safe integer, not negative', baseOffset)
    assert((attributes & ATTRIBUTES_CODEC_MASK) === 0, 'a batch is compressed after it was encoded', attributes)
    assert((attributes & ATTRIBUTE_DELETE_HORIZON) === 0 || baseTimestamp !== undefined, 'a delete horizon is the base timestamp')
    this.#target = target
    this.#targetStart = position
    const staged = target.buffer instanceof SharedArrayBuffer
    if (staged && this.#stage.length === 0) this.#stage = new Uint8Array(stageBytes)
    const buffer = staged ? this.#stage : target
    const start = staged ? (target.byteOffset + position) & 7 : position
    this.#buffer = buffer
    this.#start = start
    this.#limit = start + limit - position
    this.#baseOffset = baseOffset
    this.#hasBaseTimestamp = baseTimestamp !== undefined
    this.#baseTimestamp = baseTimestamp ?? 0
    this.#maxTimestamp = NONE
    this.#nextDelta = 0
    this.#isPlain = true
    this.count = 0
    this.#at = start + RECORD_BATCH_HEADER_BYTES
    writeI64BE(buffer, start + BASE_OFFSET_AT, baseOffset)
    write32BE(buffer, start + EPOCH_AT, epoch)
    buffer[start + MAGIC_AT] = RECORD_BATCH_MAGIC
    write32BE(buffer, start + CRC_AT, 0)
    writeU16BE(buffer, start + ATTRIBUTES_AT, attributes)
    this.producer(NONE, NONE, NONE)
  }

  /** Starts a batch with the base offset 0 in memory of the writer, which grows; `place` says where it goes. */
  beginAhead(): void {
    if (this.#stage.length === 0) this.#stage = new Uint8Array(aheadBytes)
    this.begin(this.#stage, aheadStart, this.#stage.length, 0)
    this.#limit = aheadLimit
  }

  /** Bytes of the batch so far. */
  get size(): number {
    return this.#at - this.#start
  }

  /** Of the newest record, ms; `NONE` before the first. */
  get maxTimestamp(): number {
    return this.#maxTimestamp
  }

  /** Bytes of the memory that batches are encoded in ahead. */
  get stageSize(): number {
    return this.#stage.length
  }

  /**
   * Completes the header as `end` does and copies the batch, which was begun by `beginAhead` and has a record, to `target[position]`; returns the position after it. The writer keeps
   * the batch: it may be placed again, or go on. Bytes move in private memory, which is fast, to the alignment of the target, so that the copy is.
   */
  place(target: Uint8Array, position: number, baseOffset: number, epoch: number, attributes: number): number {
    assert(this.#target === this.#stage && this.#nextDelta > 0, 'a batch was begun ahead', this.#start, this.#nextDelta)
    const { size } = this
    const start = (target.byteOffset + position) & 7
    // It was placed before, further ahead, and has filled the memory since.
    if (start + size > this.#buffer.length) this.#growStage(start + size)
    const buffer = this.#buffer
    if (start !== this.#start) {
      buffer.copyWithin(start, this.#start, this.#at)
      this.#start = start
      this.#at = start + size
    }
    writeI64BE(buffer, start + BASE_OFFSET_AT, baseOffset)
    write32BE(buffer, start + EPOCH_AT, epoch)
    writeU16BE(buffer, start + ATTRIBUTES_AT, attributes)
    this.#completeHeader(this.#nextDelta - 1)
    target.set(buffer.subarray(start, start + size), position)
    return position + size
  }

  /** Position in the target after the last record. */
  get position(): number {
    return this.#targetStart + this.#at - this.#start
  }

  /** Between `begin` and `end`; `NONE` for each when there is no producer. */
  producer(id: number, epoch: number, baseSequence: number): void {
    const start = this.#start
    assert(start >= 0, 'a batch has begun')
    assert(baseSequence >= NONE && baseSequence < SEQUENCE_LIMIT, 'a sequence is below 2^31', baseSequence)
    assert(epoch >= NONE && epoch < 0x8000, 'a producer epoch is below 2^15', epoch)
    writeI64BE(this.#buffer, start + PRODUCER_ID_AT, id)
    writeU16BE(this.#buffer, start + PRODUCER_EPOCH_AT, epoch)
    write32BE(this.#buffer, start + BASE_SEQUENCE_AT, baseSequence)
  }

  /** Gives the next record this offset instead of the one after the last: compaction leaves gaps. */
  skipTo(offset: number): void {
    const delta = offset - this.#baseOffset
    assert(this.#start >= 0, 'a batch has begun')
    assert(delta >= this.#nextDelta && delta < SEQUENCE_LIMIT, 'offsets ascend within a batch', offset, this.#baseOffset)
    this.#nextDelta = delta
    this.#isPlain = false
  }

  /** Whether `append` takes these records: their deltas are single bytes and stay so, and need not be written anew. */
  takes(other: RecordBatchWriter): boolean {
    if (this.count === 0) return true
    const base = this.#baseTimestamp
    if (!this.#isPlain || !other.#isPlain || this.#nextDelta + other.#nextDelta > deltasMax) return false
    return other.#baseTimestamp >= base && other.#maxTimestamp - base < deltasMax
  }

  /** Adds the records of another writer, which both were begun by `beginAhead`, behind its own; `takes` has said that it can be. */
  append(other: RecordBatchWriter): void {
    const from = other.#start + RECORD_BATCH_HEADER_BYTES
    const end = this.#at + other.#at - from
    if (end > this.#buffer.length) this.#growStage(end)
    const buffer = this.#buffer
    buffer.set(other.#buffer.subarray(from, other.#at), this.#at)
    if (this.count === 0) {
      this.#baseTimestamp = other.#baseTimestamp
      this.#hasBaseTimestamp = other.#hasBaseTimestamp
      this.#isPlain = other.#isPlain
    } else {
      // Both deltas are single bytes of zigzag: a step of one is two.
      const time = 2 * (other.#baseTimestamp - this.#baseTimestamp)
      const offset = 2 * this.#nextDelta
      for (let at = this.#at; at < end; ) {
        let size = 0
        for (let shift = 0; ; shift += 7) {
          const byte = buffer[at++] as number
          size |= (byte & 0x7f) << shift
          if (byte < 0x80) break
        }
        buffer[at + 1] = (buffer[at + 1] as number) + time
        buffer[at + 2] = (buffer[at + 2] as number) + offset
        at += size >>> 1
      }
    }
    if (other.#maxTimestamp > this.#maxTimestamp) this.#maxTimestamp = other.#maxTimestamp
    this.#nextDelta += other.#nextDelta
    this.count += other.count
    this.#at = end
  }

  /** False, and nothing changed, when the record does not fit before the limit. */
  add(key: RecordBytes, value: RecordBytes, timestamp: number = NONE, headers: readonly RecordHeaderInput[] = noHeaders): boolean {
    let keyBytes = noBytes
    let keySize = -1
    if (typeof key === 'string') {
      keySize = keyText.encode(key)
      keyBytes = keyText.bytes
    } else if (key !== null) {
      keyBytes = key
      keySize = key.length
    }
    let valueBytes = noBytes
    let valueSize = -1
    if (typeof value === 'string') {
      valueSize = valueText.encode(value)
      valueBytes = valueText.bytes
    } else if (value !== null) {
      valueBytes = value
      valueSize = value.length
    }
    const headersSize = headers.length === 0 ? 1 : this.#encodeHeaders(headers)
    return this.#addBytes(keyBytes, keySize, valueBytes, valueSize, timestamp, headersSize, headers.length)
  }

  #addBytes(
    key: Uint8Array,
    keySize: number,
    value: Uint8Array,
    valueSize: number,
    timestamp: number,
    headersSize: number,
    headerCount: number,
  ): boolean {
    const start = this.#start
    assert(start >= 0, 'a batch has begun')
    const offsetDelta = this.#nextDelta
    const timestampDelta = this.#hasBaseTimestamp ? timestamp - this.#baseTimestamp : 0
    const bodySize =
      1 +
      zigzag53Size(timestampDelta) +
      zigzag32Size(offsetDelta) +
      (keySize < 0 ? 1 : zigzag32Size(keySize) + keySize) +
      (valueSize < 0 ? 1 : zigzag32Size(valueSize) + valueSize) +
      headersSize
    let at = this.#at
    const recordEnd = at + zigzag32Size(bodySize) + bodySize
    if (recordEnd > this.#limit || offsetDelta >= SEQUENCE_LIMIT) return false
    if (recordEnd > this.#buffer.length) this.#growStage(recordEnd)
    const target = this.#buffer
    at = writeZigzag32(target, at, bodySize)
    target[at] = 0
    at = writeZigzag53(target, at + 1, timestampDelta)
    at = writeZigzag32(target, at, offsetDelta)
    at = writeZigzag32(target, at, keySize)
    if (keySize > 0) at = copyBytes(key, keySize, target, at)
    at = writeZigzag32(target, at, valueSize)
    if (valueSize > 0) at = copyBytes(value, valueSize, target, at)
    if (headerCount === 0) target[at++] = 0
    else at = copyBytes(this.#headerBytes, headersSize, target, at)
    assert(at === recordEnd, 'a record has the size that was computed', at, recordEnd)
    if (!this.#hasBaseTimestamp) {
      assert(Number.isSafeInteger(timestamp), 'a timestamp is a safe integer', timestamp)
      this.#baseTimestamp = timestamp
      this.#hasBaseTimestamp = true
    }
    if (timestampDelta < 0) this.#isPlain = false
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
    this.#nextDelta = offsetDelta + 1
    this.count++
    this.#at = at
    return true
  }

  #growStage(sizeMin: number): void {
    const grown = new Uint8Array(sizeMin * 2)
    grown.set(this.#stage.subarray(0, this.#at))
    if (this.#target === this.#stage) this.#target = grown
    this.#stage = grown
    this.#buffer = grown
  }

  /** Encodes count and headers into `#headerBytes`; returns their size. */
  #encodeHeaders(headers: readonly RecordHeaderInput[]): number {
    const text = headerText
    let at = writeZigzag32(this.#headerRoom(0, 5), 0, headers.length)
    for (const header of headers) {
      const keySize = text.encode(header.key)
      const room = this.#headerRoom(at, keySize + 10)
      at = copyBytes(text.bytes, keySize, room, writeZigzag32(room, at, keySize))
      const { value } = header
      if (value === null) {
        at = writeZigzag32(room, at, -1)
        continue
      }
      const size = typeof value === 'string' ? text.encode(value) : value.length
      const grown = this.#headerRoom(at, size + 5)
      at = copyBytes(typeof value === 'string' ? text.bytes : value, size, grown, writeZigzag32(grown, at, size))
    }
    return at
  }

  #headerRoom(used: number, wanted: number): Uint8Array {
    if (used + wanted > this.#headerBytes.length) {
      const grown = new Uint8Array(Math.max(1024, 2 * (used + wanted)))
      grown.set(this.#headerBytes.subarray(0, used))
      this.#headerBytes = grown
    }
    return this.#headerBytes
  }

  /**
   * Completes the header, without the checksum (`fillCrc`), and returns the position after the batch. `lastOffset` is given when records at the end were
   * compacted away, or when the batch keeps its place without any record.
   */
  end(lastOffset?: number): number {
    const start = this.#start
    assert(start >= 0, 'a batch has begun')
    const lastDelta = lastOffset === undefined ? this.#nextDelta - 1 : lastOffset - this.#baseOffset
    assert(lastDelta >= 0 && lastDelta >= this.#nextDelta - 1 && lastDelta < SEQUENCE_LIMIT, 'a batch spans an offset', lastDelta)
    const buffer = this.#buffer
    const { size } = this
    this.#completeHeader(lastDelta)
    const end = this.#targetStart + size
    if (buffer !== this.#target) this.#target.set(buffer.subarray(start, start + size), this.#targetStart)
    this.abandon()
    return end
  }

  #completeHeader(lastDelta: number): void {
    const buffer = this.#buffer
    const start = this.#start
    write32BE(buffer, start + LENGTH_AT, this.size - RECORD_BATCH_LENGTH_EXCLUDES)
    write32BE(buffer, start + LAST_OFFSET_DELTA_AT, lastDelta)
    writeI64BE(buffer, start + BASE_TIMESTAMP_AT, this.#hasBaseTimestamp ? this.#baseTimestamp : NONE)
    writeI64BE(buffer, start + MAX_TIMESTAMP_AT, this.#maxTimestamp)
    write32BE(buffer, start + RECORD_COUNT_AT, this.count)
  }

  /** Drops a batch that was begun; its bytes in the target are whatever they are. */
  abandon(): void {
    this.#start = -1
    this.#target = noBytes
    this.#buffer = noBytes
    if (this.#stage.length > stageBytesKept) this.#stage = noBytes
  }

  /** `end` with the checksum. */
  endWithCrc(lastOffset?: number): number {
    const target = this.#target
    const start = this.#targetStart
    const end = this.end(lastOffset)
    fillCrc(target, start)
    return end
  }
}
