/**
 * Writes the body of one run part: a store's records in order of (key, newest first), byte for byte, cut into blocks of about 4 KB that end
 * with an offset table. With a codec blocks are larger, and each is compressed by itself if that makes it an eighth smaller.
 *
 * Made and driven by `SegmentWriter`. Invariants: records arrive in order (asserted); a block holds at least one record and never cuts one;
 * the filter knows every key that has a point record.
 */
import { STORE_DELETE, STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE, STORE_RECORD_VERSION_BYTES } from '../batch/store-format.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { compareNewestFirst, StoreRecordCursor } from '../batch/store-record.ts'
import { CODEC_NONE, compress } from '../codec/compression.ts'
import { write32LE, writeI64LE, writeU16LE, writeU48LE } from '../codec/fixed-width.ts'
import { assert, isVarveError } from '../errors.ts'
import { ColumnWriter } from './column-writer.ts'
import { FilterBuilder } from './filter.ts'
import {
  BLOCK_CODEC_CONTENT_BYTES,
  BLOCK_CODEC_ENTRY_BYTES,
  BLOCK_CODEC_ID,
  INDEX_HEADER_BYTES,
  RUN_BLOCK_BYTES,
  RUN_BLOCK_BYTES_AIM,
  RUN_BLOCK_BYTES_AIM_COMPRESSED,
  RUN_BLOCK_CHECKSUM,
  RUN_BLOCK_ENTRY_BYTES,
  RUN_BLOCK_KEY_BYTES,
  RUN_BLOCK_KEY_POSITION,
  RUN_BLOCK_POSITION,
  RUN_BLOCK_RECORD_COUNT,
  STATISTICS_BYTES,
  STATISTICS_DELETES,
  STATISTICS_EXPIRING,
  STATISTICS_MAX_EXPIRY,
  STATISTICS_MAX_VERSION,
  STATISTICS_MIN_EXPIRY,
  STATISTICS_MIN_VERSION,
  STATISTICS_POINTERS,
  STATISTICS_PUTS,
  STATISTICS_RANGE_DELETES,
  STATISTICS_VERSIONED,
  TABLE_BLOCK_CODECS,
  TABLE_FILTER,
  TABLE_KEY_FROM,
  TABLE_KEY_TO,
  TABLE_LARGEST_KEY,
  TABLE_RANGE_DELETES,
  TABLE_STATISTICS,
} from './format.ts'
import type { KeyRange } from './key-range.ts'
import { ByteBuilder, type SegmentOutput } from './output.ts'
import type { PartFacts, PartStart } from './part.ts'
import type { RunSummary } from './run-summary.ts'

/** Counts and bounds of a run while it is written or verified. */
export class RunStatistics {
  /** By record kind. */
  readonly counts: [puts: number, deletes: number, rangeDeletes: number, pointers: number] = [0, 0, 0, 0]
  expiring = 0
  versioned = 0
  minExpiry = 0
  maxExpiry = 0
  minSequence = 0
  maxSequence = 0
  readonly minVersion: [ms: number, counter: number, node: number] = [0, 0, 0]
  readonly maxVersion: [ms: number, counter: number, node: number] = [0, 0, 0]
  #records = 0

  get records(): number {
    return this.#records
  }

  add(record: StoreRecordCursor): void {
    const { sequence, expiry } = record
    this.counts[record.kind as 0 | 1 | 2 | 3]++
    if (this.#records === 0) {
      this.minSequence = sequence
      this.maxSequence = sequence
    } else if (sequence < this.minSequence) this.minSequence = sequence
    else if (sequence > this.maxSequence) this.maxSequence = sequence
    this.#records++
    if (expiry > 0) {
      if (this.expiring === 0 || expiry < this.minExpiry) this.minExpiry = expiry
      if (expiry > this.maxExpiry) this.maxExpiry = expiry
      this.expiring++
    }
    if (record.hasVersion) {
      if (this.versioned === 0 || versionBefore(record, this.minVersion)) setVersion(this.minVersion, record)
      if (this.versioned === 0 || !versionBefore(record, this.maxVersion)) setVersion(this.maxVersion, record)
      this.versioned++
    }
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(STATISTICS_BYTES)
    writeI64LE(bytes, STATISTICS_PUTS, this.counts[STORE_PUT])
    writeI64LE(bytes, STATISTICS_DELETES, this.counts[STORE_DELETE])
    writeI64LE(bytes, STATISTICS_RANGE_DELETES, this.counts[STORE_RANGE_DELETE])
    writeI64LE(bytes, STATISTICS_POINTERS, this.counts[STORE_POINTER])
    writeI64LE(bytes, STATISTICS_MIN_EXPIRY, this.minExpiry)
    writeI64LE(bytes, STATISTICS_MAX_EXPIRY, this.maxExpiry)
    writeVersion(bytes, STATISTICS_MIN_VERSION, this.minVersion)
    writeVersion(bytes, STATISTICS_MAX_VERSION, this.maxVersion)
    writeI64LE(bytes, STATISTICS_EXPIRING, this.expiring)
    writeI64LE(bytes, STATISTICS_VERSIONED, this.versioned)
    return bytes
  }
}

function versionBefore(record: StoreRecordCursor, version: readonly [number, number, number]): boolean {
  if (record.versionMs !== version[0]) return record.versionMs < version[0]
  if (record.versionCounter !== version[1]) return record.versionCounter < version[1]
  return record.versionNode < version[2]
}

function setVersion(version: [number, number, number], record: StoreRecordCursor): void {
  version[0] = record.versionMs
  version[1] = record.versionCounter
  version[2] = record.versionNode
}

function writeVersion(bytes: Uint8Array, at: number, version: readonly [number, number, number]): void {
  writeU48LE(bytes, at, version[0])
  writeU16LE(bytes, at + 6, version[1])
  write32LE(bytes, at + STORE_RECORD_VERSION_BYTES - 4, version[2])
}

export class RunPartWriter {
  readonly #output: SegmentOutput
  readonly #start: PartStart
  readonly #versioned: boolean
  readonly #bodyPosition: number
  readonly #entries: ByteBuilder = new ByteBuilder(INDEX_HEADER_BYTES + 16 * RUN_BLOCK_ENTRY_BYTES)
  readonly #keys: ByteBuilder = new ByteBuilder()
  readonly #rangeDeletes: ByteBuilder = new ByteBuilder(0)
  readonly #filter: FilterBuilder = new FilterBuilder()
  readonly #statistics: RunStatistics = new RunStatistics()
  readonly #columns: ColumnWriter | undefined
  readonly #parsed: StoreRecordCursor = new StoreRecordCursor()
  /** A copy of the record before, and a cursor on it; `#previous.end` is 0 before the first record. */
  #previousBytes: Uint8Array = new Uint8Array(256)
  readonly #previous: StoreRecordCursor = new StoreRecordCursor()
  /** The last key given to the filter is that of the record before. */
  #previousInFilter = false
  #keyRange: KeyRange = {}
  #blockCount = 0
  /** Records in the open block, each with its position in it; a block is open when it has one. */
  #blockRecords = 0
  #positions: Uint32Array = new Uint32Array(1024)
  #blockBytes = 0
  #blockPosition = 0
  /** By block: how it is stored; undefined without a codec. */
  readonly #codecs: ByteBuilder | undefined
  /** CODEC_NONE as soon as the codec turns out not to be installed. */
  #codec: number
  /** Where blocks are cut. */
  readonly #blockBytesAim: number

  constructor(output: SegmentOutput, start: PartStart) {
    this.#output = output
    this.#start = start
    this.#versioned = start.versioned ?? false
    this.#bodyPosition = output.position
    this.#columns = ColumnWriter.canWrite(start.columns) ? new ColumnWriter(start.columns, false) : undefined
    this.#codec = start.codec ?? CODEC_NONE
    this.#codecs = this.#codec === CODEC_NONE ? undefined : new ByteBuilder()
    this.#blockBytesAim = this.#codec === CODEC_NONE ? RUN_BLOCK_BYTES_AIM : RUN_BLOCK_BYTES_AIM_COMPRESSED
    this.#entries.reserve(INDEX_HEADER_BYTES)
  }

  /** Bytes of the body so far. */
  get bytes(): number {
    return this.#output.position - this.#bodyPosition
  }

  get recordCount(): number {
    return this.#statistics.records
  }

  /** Takes the record in `buffer[start, end)`. */
  add(buffer: Uint8Array, start: number, end: number): void {
    this.#parsed.readAt(buffer, start, end)
    assert(this.#parsed.end === end, 'one whole record', this.#parsed.end, end)
    this.addParsed(this.#parsed)
  }

  /** Takes the record that the cursor is on. */
  addParsed(record: StoreRecordCursor): void {
    const { buffer, start, end } = record
    const size = end - start
    const sameKey = this.#checkOrder(record)
    if (this.#blockRecords > 0 && this.#blockBytes + size + 4 * (this.#blockRecords + 2) > this.#blockBytesAim) this.#closeBlock()
    if (this.#blockRecords === 0) this.#openBlock(record)
    if (this.#blockRecords === this.#positions.length) {
      const larger = new Uint32Array(this.#positions.length * 2)
      larger.set(this.#positions)
      this.#positions = larger
    }
    this.#positions[this.#blockRecords++] = this.#blockBytes
    this.#blockBytes += size
    this.#output.append(buffer, start, end)
    if (this.#columns !== undefined) {
      const isPut = record.kind === STORE_PUT
      const valueStart = isPut ? this.#blockBytes - size + record.valueStart - start : -1
      this.#columns.addRecord(valueStart, valueStart < 0 ? -1 : valueStart + record.valueBytes, isPut && record.expiry === 0, sameKey)
    }
    this.#statistics.add(record)
    if (record.kind === STORE_RANGE_DELETE) {
      this.#rangeDeletes.append(buffer, start, end)
      if (!sameKey) this.#previousInFilter = false
    } else if (!sameKey || !this.#previousInFilter) {
      this.#filter.add(buffer, record.keyStart, record.keyBytes)
      this.#previousInFilter = true
    }
    this.#remember(record)
  }

  /** As `BatchPartWriter.endColumns`. */
  endColumns(): Uint8Array | undefined {
    return this.#blockCount === 0 ? undefined : this.#columns?.finish(this.#blockCount, this.#output)
  }

  /** A piece of the bottom level says which keys it stands for; where it ends is often known only when it is written. */
  setKeyRange(range: KeyRange): void {
    this.#keyRange = range
  }

  end(): PartFacts {
    if (this.#blockRecords > 0) this.#closeBlock()
    const { firstOffset, endOffset } = this.#start
    assert(
      firstOffset !== undefined && endOffset !== undefined && firstOffset <= endOffset,
      'a run names its offsets',
      firstOffset,
      endOffset,
    )
    const tables = [{ tag: TABLE_STATISTICS, bytes: this.#statistics.encode() }]
    const previous = this.#previous
    if (this.recordCount > 0) {
      tables.push({ tag: TABLE_LARGEST_KEY, bytes: previous.buffer.slice(previous.keyStart, previous.keyStart + previous.keyBytes) })
    }
    if (this.#filter.keyCount > 0) tables.push({ tag: TABLE_FILTER, bytes: this.#filter.finish() })
    if (this.#rangeDeletes.used > 0) tables.push({ tag: TABLE_RANGE_DELETES, bytes: this.#rangeDeletes.view() })
    if (this.#codecs !== undefined) tables.push({ tag: TABLE_BLOCK_CODECS, bytes: this.#codecs.view() })
    const { from, to } = this.#keyRange
    if (from !== undefined) tables.push({ tag: TABLE_KEY_FROM, bytes: from })
    if (to !== undefined) tables.push({ tag: TABLE_KEY_TO, bytes: to })
    write32LE(this.#entries.bytes, 0, this.#blockCount)
    write32LE(this.#entries.bytes, 4, this.#keys.used)
    this.#entries.append(this.#keys.bytes, 0, this.#keys.used)
    return {
      firstOffset,
      endOffset,
      recordCount: this.recordCount,
      batchCount: 0,
      minTimestamp: this.#start.minTimestamp ?? -1,
      maxTimestamp: this.#start.maxTimestamp ?? -1,
      minSequence: this.#statistics.minSequence,
      maxSequence: this.#statistics.maxSequence,
      blockCount: this.#blockCount,
      index: this.#entries.view(),
      tables,
    }
  }

  /** What `end` gave is not valid any more. */
  release(): void {
    this.#entries.release()
    this.#keys.release()
    this.#rangeDeletes.release()
    this.#codecs?.release()
    this.#filter.release()
  }

  /** Of what was written; the arrays are its own. */
  summary(): RunSummary {
    const codecs = new Set<number>()
    const entries = this.#codecs
    for (let at = BLOCK_CODEC_ID; entries !== undefined && at < entries.used; at += BLOCK_CODEC_ENTRY_BYTES) codecs.add(entries.bytes[at]!)
    codecs.delete(CODEC_NONE)
    const { from, to } = this.#keyRange
    return {
      hasRangeDeletes: this.#rangeDeletes.used > 0,
      range: { from: from?.slice(), to: to?.slice() },
      codecs: [...codecs].sort((left, right) => left - right),
    }
  }

  /** Asserts the order against the record before; true when it has the same key. */
  #checkOrder(record: StoreRecordCursor): boolean {
    const previous = this.#previous
    if (previous.end === 0) return false
    const order = compareKeys(previous.buffer, previous.keyStart, previous.keyBytes, record.buffer, record.keyStart, record.keyBytes)
    if (order < 0) return false
    assert(order === 0, 'records come in key order', order)
    const newest = compareNewestFirst(previous, record, this.#versioned)
    assert(newest < 0, 'records of one key come newest first', previous.sequence, record.sequence)
    return true
  }

  #remember(record: StoreRecordCursor): void {
    const head = record.valueStart - record.start
    if (head > this.#previousBytes.length) this.#previousBytes = new Uint8Array(head * 2)
    const bytes = this.#previousBytes
    const { buffer, start } = record
    if (head > 64) bytes.set(buffer.subarray(start, start + head))
    else for (let i = 0; i < head; i++) bytes[i] = buffer[start + i]!
    const previous = this.#previous
    previous.buffer = bytes
    previous.end = head
    previous.sequence = record.sequence
    previous.hasVersion = record.hasVersion
    previous.versionMs = record.versionMs
    previous.versionCounter = record.versionCounter
    previous.versionNode = record.versionNode
    previous.keyStart = record.keyStart - start
    previous.keyBytes = record.keyBytes
  }

  #openBlock(record: StoreRecordCursor): void {
    this.#blockPosition = this.#output.position
    this.#blockBytes = 0
    this.#output.hold()
    const entry = this.#entries.reserve(RUN_BLOCK_ENTRY_BYTES)
    write32LE(this.#entries.bytes, entry + RUN_BLOCK_KEY_POSITION, this.#keys.used)
    write32LE(this.#entries.bytes, entry + RUN_BLOCK_KEY_BYTES, record.keyBytes)
    this.#keys.append(record.buffer, record.keyStart, record.keyStart + record.keyBytes)
  }

  #closeBlock(): void {
    this.#columns?.addBlock(this.#output.held())
    const count = this.#blockRecords
    const tableBytes = 4 * (count + 1)
    const table = new Uint8Array(tableBytes)
    for (let i = 0; i < count; i++) write32LE(table, i * 4, this.#positions[i]!)
    write32LE(table, count * 4, count)
    this.#output.append(table)
    const stored = this.#codecs === undefined ? this.#blockBytes + tableBytes : this.#compressBlock(this.#codecs)
    const entry = this.#entries.used - RUN_BLOCK_ENTRY_BYTES
    const { bytes } = this.#entries
    writeI64LE(bytes, entry + RUN_BLOCK_POSITION, this.#blockPosition - this.#bodyPosition)
    write32LE(bytes, entry + RUN_BLOCK_BYTES, stored)
    write32LE(bytes, entry + RUN_BLOCK_RECORD_COUNT, count)
    this.#output.release(bytes, entry + RUN_BLOCK_CHECKSUM)
    this.#columns?.endBlock(this.#blockCount)
    this.#blockCount++
    this.#blockRecords = 0
  }

  /** Compresses the block that is held, if that is worth it, and notes how it is stored; the bytes that it takes. */
  #compressBlock(codecs: ByteBuilder): number {
    const content = this.#output.held()
    const size = content.length
    const packed = this.#pack(content)
    const entry = codecs.reserve(BLOCK_CODEC_ENTRY_BYTES)
    codecs.bytes.fill(0, entry, entry + BLOCK_CODEC_ENTRY_BYTES)
    write32LE(codecs.bytes, entry + BLOCK_CODEC_CONTENT_BYTES, size)
    if (packed === undefined) return size
    codecs.bytes[entry + BLOCK_CODEC_ID] = this.#codec
    this.#output.replaceHeld(packed)
    return packed.length
  }

  /** Undefined for a block that would not become an eighth smaller: reading it would cost more than it saves. */
  #pack(content: Uint8Array): Uint8Array | undefined {
    if (this.#codec === CODEC_NONE) return undefined
    try {
      const packed = compress(this.#codec, content)
      return packed.length <= content.length - (content.length >>> 3) ? packed : undefined
    } catch (error) {
      // The store cannot be opened here, but what was committed to it must still come to the disk.
      if (!isVarveError(error, 'CODEC_MISSING')) throw error
      this.#codec = CODEC_NONE
      return undefined
    }
  }
}
