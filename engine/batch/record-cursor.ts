/**
 * Walks the records of one batch without making an object for each.
 *
 * `open` looks at the header and decompresses if it must; `next` moves to a record and fills the fields, which stay valid until the next call. Keys and
 * values are ranges of `data`: the given buffer, or the decompressed records. A cursor may be used for any number of batches, one after the other.
 *
 * Safe on bytes that nobody has checked: it throws CORRUPT (or TOO_LARGE), never reads outside the batch, and ends after as many records as the header
 * counts. Offsets ascend and stay within the batch's range, and the records fill the batch exactly: both are checked.
 */

import { CODEC_NONE, decompress } from '../codec/compression.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readI32BE } from '../codec/fixed-width.ts'
import { readZigzag32, readZigzag53, shortVarint, varintEnd } from '../codec/varint.ts'
import { VarveError } from '../errors.ts'
import {
  ATTRIBUTE_APPEND_TIME,
  ATTRIBUTES_CODEC_MASK,
  LAST_OFFSET_DELTA_AT,
  NONE,
  RECORD_BATCH_HEADER_BYTES,
  RECORDS_BYTES_MAX,
} from './format.ts'
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchBaseTimestamp,
  batchMaxTimestamp,
  batchRecordCount,
  sequenceAfter,
  validateRecordBatch,
} from './record-batch.ts'

const noBytes: Uint8Array = new Uint8Array(0)
/** Length field, attributes, and one byte each for two deltas, two sizes and the header count, less the length field itself. */
const recordBodyBytesMin = 6

/** Bytes that the sizes and deltas before a record's key have at most where `take` reads them fast, and as many behind the key. */
const fastHeadBytes = 20

/** Where `RecordCursor.take` puts what it finds, by index. */
export interface RecordColumns {
  /** Where a value begins; -1: there is none. */
  readonly starts: Int32Array
  /** Where it ends; -1: there is none. */
  readonly ends: Int32Array
  /** Where a key begins. */
  readonly keyStarts: Int32Array
  /** -1: no key. */
  readonly keySizes: Int32Array
  /** Milliseconds, as `timestamp`. */
  readonly times: Float64Array
  /** Ascending. */
  readonly offsets: Float64Array
}

/** Walks the records of one batch without making objects; fields hold until the next step. */
export class RecordCursor {
  /** What the positions below count in. */
  data: Uint8Array = noBytes
  /** Records not yet visited. */
  remaining: number = 0
  offset: number = NONE
  /** Milliseconds; the batch's append time where the batch has one. */
  timestamp: number = NONE
  /** The producer's sequence of this record; -1 without a producer. */
  sequence: number = NONE
  /** Position of the record's first byte, its length field. */
  recordStart: number = 0
  /** Position after the record. */
  recordEnd: number = 0
  keyStart: number = 0
  /** -1: no key. */
  keySize: number = -1
  valueStart: number = 0
  /** -1: no value. */
  valueSize: number = -1
  headerCount: number = 0
  /** Of the header that `nextHeader` moved to. */
  headerKeyStart: number = 0
  headerKeySize: number = 0
  headerValueStart: number = 0
  /** -1: no value. */
  headerValueSize: number = -1

  /** Position of the next record. */
  #at: number = 0
  /** Position after the last record. */
  #end: number = 0
  #baseOffset: number = 0
  #baseTimestamp: number = 0
  #baseSequence: number = NONE
  /** `NONE` unless it overrules the records' own. */
  #appendTime: number = NONE
  #lastOffsetDelta: number = 0
  #offsetDelta: number = -1
  /** Position of the next header, and headers not yet visited. */
  #headerAt: number = 0
  #headersLeft: number = 0

  /**
   * Goes before the first record of the batch at `position`, whose checksum is not checked. `end` is where the buffer's valid bytes end,
   * `recordsBytesMax` how many bytes compressed records may make (TOO_LARGE above). Returns the position after the batch.
   */
  open(buffer: Uint8Array, position: number, end: number = buffer.length, recordsBytesMax: number = RECORDS_BYTES_MAX): number {
    const size = validateRecordBatch(buffer, position, end, false)
    const attributes = batchAttributes(buffer, position)
    const codec = attributes & ATTRIBUTES_CODEC_MASK
    this.remaining = batchRecordCount(buffer, position)
    this.#baseOffset = batchBaseOffset(buffer, position)
    this.#baseTimestamp = batchBaseTimestamp(buffer, position)
    this.#baseSequence = batchBaseSequence(buffer, position)
    this.#appendTime = (attributes & ATTRIBUTE_APPEND_TIME) === 0 ? NONE : batchMaxTimestamp(buffer, position)
    this.#lastOffsetDelta = readI32BE(buffer, position + LAST_OFFSET_DELTA_AT)
    this.#offsetDelta = -1
    this.#headersLeft = 0
    if (codec === CODEC_NONE || this.remaining === 0) {
      this.data = buffer
      this.#at = position + RECORD_BATCH_HEADER_BYTES
      this.#end = position + size
    } else {
      this.data = decompressRecords(codec, buffer, position, size, recordsBytesMax)
      this.#at = 0
      this.#end = this.data.length
    }
    return position + size
  }

  /** False after the last record. */
  next(): boolean {
    const { data } = this
    const end = this.#end
    const start = this.#at
    if (this.remaining === 0) {
      if (start !== end) throw damagedBytes('bytes after the last record', start)
      return false
    }
    const bodySize = readZigzag32(data, start, end)
    let at = varintEnd
    const recordEnd = at + bodySize
    if (bodySize < recordBodyBytesMin || recordEnd > end) throw damagedBytes('record is cut off', start, { actual: bodySize })
    const timestampDelta = readZigzag53(data, at + 1, recordEnd)
    const offsetDelta = readZigzag32(data, varintEnd, recordEnd)
    if (offsetDelta <= this.#offsetDelta || offsetDelta > this.#lastOffsetDelta) throw damagedBytes('record offset is impossible', start)
    const keySize = readZigzag32(data, varintEnd, recordEnd)
    at = varintEnd
    this.keyStart = at
    this.keySize = keySize
    if (keySize > 0) at += keySize
    const valueSize = readZigzag32(data, at, recordEnd)
    at = varintEnd
    this.valueStart = at
    this.valueSize = valueSize
    if (valueSize > 0) at += valueSize
    const headerCount = readZigzag32(data, at, recordEnd)
    at = varintEnd
    if (keySize < -1 || valueSize < -1 || headerCount < 0) throw damagedBytes('record has a negative size', start)
    if (headerCount === 0 && at !== recordEnd) throw damagedBytes('record has bytes after its headers', start)
    this.headerCount = headerCount
    this.#headersLeft = headerCount
    this.#headerAt = at
    this.recordStart = start
    this.recordEnd = recordEnd
    this.offset = this.#baseOffset + offsetDelta
    this.timestamp = this.#appendTime === NONE ? this.#timestamp(timestampDelta, start) : this.#appendTime
    this.sequence = this.#baseSequence < 0 ? NONE : sequenceAfter(this.#baseSequence, offsetDelta)
    this.#offsetDelta = offsetDelta
    this.#at = recordEnd
    this.remaining--
    return true
  }

  /**
   * As `next` for at most `countMax` records, of which the first goes to index `at`; returns how many there were. Headers are passed over. Afterwards the fields of the cursor are of no record.
   *
   * Records as they mostly are (short numbers, no headers) are read here, in a loop over local variables; what is anything else is left to `next`, which also says what is wrong.
   */
  take(into: RecordColumns, at: number, countMax: number): number {
    const { starts, ends, keyStarts, keySizes, times, offsets } = into
    const { data } = this
    const baseOffset = this.#baseOffset
    const baseTimestamp = this.#baseTimestamp
    const appendTime = this.#appendTime
    const lastOffsetDelta = this.#lastOffsetDelta
    const end = this.#end
    const count = Math.min(countMax, this.remaining)
    // Sums of what is read here are safe integers.
    const isNear = Math.abs(baseTimestamp) < 2 ** 52
    let position = this.#at
    let lastDelta = this.#offsetDelta
    for (let taken = 0; taken < count; taken++) {
      const i = at + taken
      if (isNear && position + fastHeadBytes <= end) {
        const size = shortVarint(data, position)
        const body = position + (size & 7)
        const recordEnd = body + (size >>> 4)
        const time = shortVarint(data, body + 1)
        const afterTime = body + 1 + (time & 7)
        const delta = shortVarint(data, afterTime)
        const afterDelta = afterTime + (delta & 7)
        const key = shortVarint(data, afterDelta)
        const keyStart = afterDelta + (key & 7)
        const keySize = (key >>> 4) ^ -((key >>> 3) & 1)
        const offsetDelta = delta >>> 4
        const keyEnd = keySize > 0 ? keyStart + keySize : keyStart
        // Of sizes and offsets the lowest bit is a sign.
        const isUsual = size !== 0 && time !== 0 && delta !== 0 && key !== 0 && ((size | delta) & 8) === 0
        if (
          isUsual &&
          recordEnd <= end &&
          keyEnd + 4 <= end &&
          keySize >= -1 &&
          offsetDelta > lastDelta &&
          offsetDelta <= lastOffsetDelta
        ) {
          const value = shortVarint(data, keyEnd)
          const valueStart = keyEnd + (value & 7)
          const valueSize = (value >>> 4) ^ -((value >>> 3) & 1)
          const valueEnd = valueSize > 0 ? valueStart + valueSize : valueStart
          // Behind the value is nothing but the number of headers, none.
          if (value !== 0 && valueSize >= -1 && valueEnd + 1 === recordEnd && data[valueEnd] === 0) {
            starts[i] = valueSize < 0 ? -1 : valueStart
            ends[i] = valueSize < 0 ? -1 : valueEnd
            keyStarts[i] = keyStart
            keySizes[i] = keySize
            times[i] = appendTime === NONE ? baseTimestamp + ((time >>> 4) ^ -((time >>> 3) & 1)) : appendTime
            offsets[i] = baseOffset + offsetDelta
            lastDelta = offsetDelta
            position = recordEnd
            continue
          }
        }
      }
      this.#at = position
      this.#offsetDelta = lastDelta
      this.next()
      starts[i] = this.valueSize < 0 ? -1 : this.valueStart
      ends[i] = this.valueSize < 0 ? -1 : this.valueStart + this.valueSize
      keyStarts[i] = this.keyStart
      keySizes[i] = this.keySize
      times[i] = this.timestamp
      offsets[i] = this.offset
      lastDelta = this.#offsetDelta
      position = this.#at
      this.remaining++
    }
    this.#at = position
    this.#offsetDelta = lastDelta
    this.remaining -= count
    this.#headersLeft = 0
    // As `next` behind the last record.
    if (this.remaining === 0 && position !== end) throw damagedBytes('bytes after the last record', position)
    return count
  }

  /** Moves to the record's next header; false after the last. May be left at any point. */
  nextHeader(): boolean {
    const { data, recordEnd } = this
    if (this.#headersLeft === 0) return false
    const keySize = readZigzag32(data, this.#headerAt, recordEnd)
    this.headerKeyStart = varintEnd
    this.headerKeySize = keySize
    if (keySize < 0) throw damagedBytes('record header has no key', this.#headerAt)
    const valueSize = readZigzag32(data, this.headerKeyStart + keySize, recordEnd)
    this.headerValueStart = varintEnd
    this.headerValueSize = valueSize
    const headerEnd = varintEnd + Math.max(0, valueSize)
    if (valueSize < -1 || headerEnd > recordEnd) throw damagedBytes('record header is cut off', this.#headerAt)
    this.#headersLeft--
    if (this.#headersLeft === 0 && headerEnd !== recordEnd) throw damagedBytes('record has bytes after its headers', headerEnd)
    this.#headerAt = headerEnd
    return true
  }

  /** Lets go of the buffer. */
  close(): void {
    this.data = noBytes
    this.remaining = 0
    this.#at = 0
    this.#end = 0
    this.#headersLeft = 0
  }

  #timestamp(delta: number, start: number): number {
    const timestamp = this.#baseTimestamp + delta
    if (!Number.isSafeInteger(timestamp)) throw damagedBytes('record timestamp is impossible', start)
    return timestamp
  }
}

function decompressRecords(codec: number, buffer: Uint8Array, position: number, size: number, sizeMax: number): Uint8Array {
  const block = buffer.subarray(position + RECORD_BATCH_HEADER_BYTES, position + size)
  try {
    return decompress(codec, block, sizeMax)
  } catch (error) {
    if (!(error instanceof VarveError) || error.code !== 'CORRUPT') throw error
    throw damagedBytes(`compressed records are damaged: ${error.message}`, position, {}, error)
  }
}

/** Walks the whole batch, headers too, and throws CORRUPT at the first thing that is wrong; for batches that come from outside. */
export function validateRecords(cursor: RecordCursor, buffer: Uint8Array, position: number, end: number = buffer.length): void {
  cursor.open(buffer, position, end)
  while (cursor.next()) while (cursor.nextHeader());
}
