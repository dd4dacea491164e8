/**
 * Writes the body of one topic or body part: whole batches, cut into blocks of about 64 KB, byte for byte as they came.
 *
 * Made and driven by `SegmentWriter`. Facts come from the batch headers; the bytes are trusted (their owner checked them). Invariants:
 * batches arrive in offset order, gaps allowed; a block never cuts a batch; `#endOffset` is the end of the last batch taken.
 */
import { smallestTimestamp } from '../batch/batch-times.ts'
import { NONE } from '../batch/format.ts'
import {
  batchBaseOffset,
  batchBaseTimestamp,
  batchDeleteHorizon,
  batchEpoch,
  batchLastOffset,
  batchMaxTimestamp,
  batchRecordCount,
  batchSize,
  isControlBatch,
} from '../batch/record-batch.ts'
import {
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchSize,
  storeBatchTimestamp,
} from '../batch/store-batch.ts'
import { write32LE, writeI64LE } from '../codec/fixed-width.ts'
import { XXH64_BYTES, xxh64Into } from '../codec/xxh64.ts'
import { assert } from '../errors.ts'
import { ColumnWriter } from './column-writer.ts'
import {
  ABORTED_ENTRY_BYTES,
  BATCH_BLOCK_BASE_OFFSET,
  BATCH_BLOCK_BATCH_COUNT,
  BATCH_BLOCK_BYTES,
  BATCH_BLOCK_BYTES_AIM,
  BATCH_BLOCK_CHECKSUM,
  BATCH_BLOCK_END_OFFSET,
  BATCH_BLOCK_ENTRY_BYTES,
  BATCH_BLOCK_MAX_TIMESTAMP,
  BATCH_BLOCK_POSITION,
  BLOCK_STATISTICS_BYTES,
  BLOCK_STATISTICS_MAX_TIMESTAMP,
  BLOCK_STATISTICS_MIN_TIMESTAMP,
  BLOCK_STATISTICS_RECORDS,
  EPOCH_ENTRY_BYTES,
  INDEX_HEADER_BYTES,
  PART_TOPIC,
  TABLE_ABORTED,
  TABLE_BLOCK_STATISTICS,
  TABLE_EPOCHS,
  TABLE_PRODUCER_STATE,
} from './format.ts'
import { ByteBuilder, type SegmentOutput } from './output.ts'
import type { AbortedTransactionEntry, EpochStart, PartFacts, PartStart, PartTables } from './part.ts'

/** A batch of more bytes does not go through the output's buffer. */
const directBytesMin = 4 * BATCH_BLOCK_BYTES_AIM
const scratch = new Uint8Array(XXH64_BYTES)

export class BatchPartWriter {
  readonly #output: SegmentOutput
  readonly #start: PartStart
  readonly #topic: boolean
  readonly #bodyPosition: number
  readonly #index: ByteBuilder = new ByteBuilder(INDEX_HEADER_BYTES + 4 * BATCH_BLOCK_ENTRY_BYTES)
  #tables: PartTables = {}
  #epochs: EpochStart[] = []
  #epoch = Number.NEGATIVE_INFINITY
  /** Offset of the first batch; -1 before it. */
  #firstOffset = -1
  /** Offset after the last batch; the smallest offset that the next one may have. */
  #endOffset = 0
  #recordCount = 0
  #batchCount = 0
  #minTimestamp = Number.POSITIVE_INFINITY
  #maxTimestamp = -1
  #minSequence = Number.POSITIVE_INFINITY
  #maxSequence = 0
  #blockCount = 0
  /** The open block: its first offset, its batches; a block is open when it has a batch. */
  #blockBaseOffset = 0
  #blockBatches = 0
  /** Bytes of the open block, of which the last ones may not be in the output yet. */
  #blockBytes = 0
  #blockPosition = 0
  /** Of topics, by block. */
  /** Of topics that declare some. */
  readonly #columns: ColumnWriter | undefined
  readonly #statistics: ByteBuilder = new ByteBuilder(16 * BLOCK_STATISTICS_BYTES)
  /** Of users' records in the open block. Infinity and -1 before the first. */
  #blockMinTimestamp = Number.POSITIVE_INFINITY
  #blockMaxTimestamp = NONE
  #blockRecords = 0

  constructor(output: SegmentOutput, start: PartStart) {
    this.#output = output
    this.#start = start
    this.#topic = start.type === PART_TOPIC
    this.#columns = this.#topic && ColumnWriter.canWrite(start.columns) ? new ColumnWriter(start.columns, true) : undefined
    this.#bodyPosition = output.position
    this.#index.reserve(INDEX_HEADER_BYTES)
  }

  /** Takes the whole batches in `buffer[start, end)`. */
  add(buffer: Uint8Array, start: number, end: number): void {
    assert(start >= 0 && start <= end && end <= buffer.length, 'the batches lie in the buffer', start, end)
    const output = this.#output
    let pending = start
    let at = start
    while (at < end) {
      const size = this.#topic ? batchSize(buffer, at) : storeBatchSize(buffer, at)
      assert(size > 0 && size <= end - at, 'whole batches', size, end - at)
      if (this.#blockBatches > 0 && this.#blockBytes + size > BATCH_BLOCK_BYTES_AIM) {
        output.append(buffer, pending, at)
        pending = at
        this.#closeBlock()
      }
      if (size > directBytesMin && this.#blockBatches === 0) {
        xxh64Into(buffer, at, at + size, scratch, 0)
        this.addBlock(buffer, at, at + size, scratch, 0)
        at += size
        pending = at
        continue
      }
      if (this.#blockBatches === 0) this.#openBlock()
      this.#take(buffer, at, size)
      at += size
    }
    output.append(buffer, pending, end)
    if (this.#blockBytes >= BATCH_BLOCK_BYTES_AIM) this.#closeBlock()
  }

  /** Takes one whole block of another segment as it is, with the checksum that it was read under at `checksumSource[checksumAt]`. */
  addBlock(buffer: Uint8Array, start: number, end: number, checksumSource: Uint8Array, checksumAt: number): void {
    if (this.#blockBatches > 0) this.#closeBlock()
    this.#blockPosition = this.#output.position
    this.#blockBytes = 0
    let at = start
    while (at < end) {
      const size = this.#topic ? batchSize(buffer, at) : storeBatchSize(buffer, at)
      assert(size > 0 && size <= end - at, 'whole batches', size, end - at)
      this.#take(buffer, at, size)
      at += size
    }
    this.#output.append(buffer, start, end)
    const entry = this.#writeEntry()
    this.#index.bytes.set(checksumSource.subarray(checksumAt, checksumAt + 8), entry + BATCH_BLOCK_CHECKSUM)
  }

  setTables(tables: PartTables): void {
    this.#tables = tables
  }

  /** What `end` gave is not valid any more. */
  release(): void {
    this.#index.release()
  }

  /** Completes the body. The index section's header is filled; its tables are still to be appended. */
  end(): PartFacts {
    if (this.#blockBatches > 0) this.#closeBlock()
    const empty = this.#batchCount === 0
    const { firstOffset = this.#firstOffset, endOffset = this.#endOffset } = this.#start
    assert(!empty || (this.#start.firstOffset !== undefined && this.#start.endOffset !== undefined), 'an empty part names its range')
    assert(firstOffset <= endOffset && endOffset >= this.#endOffset, 'a part ends at or behind its last batch', endOffset, this.#endOffset)
    write32LE(this.#index.bytes, 0, this.#blockCount)
    write32LE(this.#index.bytes, 4, 0)
    return {
      firstOffset: empty ? firstOffset : Math.min(firstOffset, this.#firstOffset),
      endOffset,
      recordCount: this.#recordCount,
      batchCount: this.#batchCount,
      minTimestamp: empty ? -1 : this.#minTimestamp,
      maxTimestamp: this.#maxTimestamp,
      minSequence: this.#topic ? (this.#start.minSequence ?? 0) : empty || this.#recordCount === 0 ? 0 : this.#minSequence,
      maxSequence: this.#topic ? (this.#start.maxSequence ?? 0) : this.#maxSequence,
      blockCount: this.#blockCount,
      index: this.#index.view(),
      tables: this.#encodeTables(),
    }
  }

  /** Writes the columns, behind the body; the table of them for the index section, undefined where there are none. */
  endColumns(): Uint8Array | undefined {
    return this.#blockCount === 0 ? undefined : this.#columns?.finish(this.#blockCount, this.#output)
  }

  #take(buffer: Uint8Array, at: number, size: number): void {
    let base: number
    let end: number
    let epoch: number
    if (this.#topic) {
      base = batchBaseOffset(buffer, at)
      end = batchLastOffset(buffer, at) + 1
      epoch = batchEpoch(buffer, at)
      this.#recordCount += batchRecordCount(buffer, at)
      const min = batchDeleteHorizon(buffer, at) >= 0 ? -1 : batchBaseTimestamp(buffer, at)
      if (min < this.#minTimestamp) this.#minTimestamp = min < 0 ? -1 : min
      const max = batchMaxTimestamp(buffer, at)
      if (max > this.#maxTimestamp) this.#maxTimestamp = max
      if (!isControlBatch(buffer, at)) {
        this.#blockRecords += batchRecordCount(buffer, at)
        this.#blockMinTimestamp = Math.min(this.#blockMinTimestamp, smallestTimestamp(buffer, at, size))
        if (max > this.#blockMaxTimestamp) this.#blockMaxTimestamp = max
        this.#columns?.addBatch(buffer, at)
      }
    } else {
      const count = storeBatchCount(buffer, at)
      base = storeBatchBaseOffset(buffer, at)
      end = base + count
      epoch = storeBatchEpoch(buffer, at)
      this.#recordCount += count
      const timestamp = storeBatchTimestamp(buffer, at)
      if (timestamp < this.#minTimestamp) this.#minTimestamp = timestamp
      if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp
      const sequence = storeBatchBaseSequence(buffer, at)
      if (count > 0 && sequence < this.#minSequence) this.#minSequence = sequence
      if (count > 0 && sequence + count - 1 > this.#maxSequence) this.#maxSequence = sequence + count - 1
    }
    assert(base >= this.#endOffset, 'batches come in offset order', base, this.#endOffset)
    if (epoch !== this.#epoch) {
      assert(epoch > this.#epoch, 'epochs ascend', epoch, this.#epoch)
      this.#epoch = epoch
      this.#epochs.push({ epoch, startOffset: base })
    }
    if (this.#batchCount === 0) this.#firstOffset = base
    if (this.#blockBatches === 0) this.#blockBaseOffset = base
    this.#endOffset = end
    this.#batchCount++
    this.#blockBatches++
    this.#blockBytes += size
  }

  #openBlock(): void {
    this.#blockPosition = this.#output.position
    this.#blockBytes = 0
    this.#output.hold()
  }

  #closeBlock(): void {
    const entry = this.#writeEntry()
    this.#output.release(this.#index.bytes, entry + BATCH_BLOCK_CHECKSUM)
  }

  #writeEntry(): number {
    const entry = this.#index.reserve(BATCH_BLOCK_ENTRY_BYTES)
    const { bytes } = this.#index
    writeI64LE(bytes, entry + BATCH_BLOCK_BASE_OFFSET, this.#blockBaseOffset)
    writeI64LE(bytes, entry + BATCH_BLOCK_END_OFFSET, this.#endOffset)
    writeI64LE(bytes, entry + BATCH_BLOCK_POSITION, this.#blockPosition - this.#bodyPosition)
    write32LE(bytes, entry + BATCH_BLOCK_BYTES, this.#blockBytes)
    write32LE(bytes, entry + BATCH_BLOCK_BATCH_COUNT, this.#blockBatches)
    writeI64LE(bytes, entry + BATCH_BLOCK_MAX_TIMESTAMP, this.#maxTimestamp)
    if (this.#topic) this.#writeStatistics()
    this.#columns?.endBlock(this.#blockCount)
    this.#blockCount++
    this.#blockBatches = 0
    this.#blockBytes = 0
    return entry
  }

  #writeStatistics(): void {
    const entry = this.#statistics.reserve(BLOCK_STATISTICS_BYTES)
    const { bytes } = this.#statistics
    const min = this.#blockMinTimestamp
    writeI64LE(bytes, entry + BLOCK_STATISTICS_MIN_TIMESTAMP, min === Number.POSITIVE_INFINITY ? NONE : min)
    writeI64LE(bytes, entry + BLOCK_STATISTICS_MAX_TIMESTAMP, this.#blockMaxTimestamp)
    write32LE(bytes, entry + BLOCK_STATISTICS_RECORDS, this.#blockRecords)
    this.#blockMinTimestamp = Number.POSITIVE_INFINITY
    this.#blockMaxTimestamp = NONE
    this.#blockRecords = 0
  }

  #encodeTables(): { tag: number; bytes: Uint8Array }[] {
    const { aborted, producerState } = this.#tables
    const tables: { tag: number; bytes: Uint8Array }[] = []
    const epochs = this.#tables.epochs ?? this.#epochs
    if (epochs.length > 0) tables.push({ tag: TABLE_EPOCHS, bytes: encodeEpochs(epochs) })
    if (aborted !== undefined && aborted.length > 0) tables.push({ tag: TABLE_ABORTED, bytes: encodeAborted(aborted) })
    if (producerState !== undefined) tables.push({ tag: TABLE_PRODUCER_STATE, bytes: producerState })
    if (this.#blockCount > 0 && this.#topic) tables.push({ tag: TABLE_BLOCK_STATISTICS, bytes: this.#statistics.view() })
    return tables
  }
}

function encodeEpochs(epochs: readonly EpochStart[]): Uint8Array {
  const bytes = new Uint8Array(epochs.length * EPOCH_ENTRY_BYTES)
  let at = 0
  let before = Number.NEGATIVE_INFINITY
  for (const { epoch, startOffset } of epochs) {
    assert(epoch > before, 'epochs ascend', epoch, before)
    before = epoch
    write32LE(bytes, at, epoch)
    writeI64LE(bytes, at + 4, startOffset)
    at += EPOCH_ENTRY_BYTES
  }
  return bytes
}

function encodeAborted(aborted: readonly AbortedTransactionEntry[]): Uint8Array {
  const bytes = new Uint8Array(aborted.length * ABORTED_ENTRY_BYTES)
  let at = 0
  let before = -1
  for (const { producerId, firstOffset, lastOffset, lastStableOffset } of aborted) {
    assert(lastOffset >= before && firstOffset <= lastOffset, 'aborted transactions are ordered by their markers', lastOffset, before)
    before = lastOffset
    writeI64LE(bytes, at, producerId)
    writeI64LE(bytes, at + 8, firstOffset)
    writeI64LE(bytes, at + 16, lastOffset)
    writeI64LE(bytes, at + 24, lastStableOffset)
    at += ABORTED_ENTRY_BYTES
  }
  return bytes
}
