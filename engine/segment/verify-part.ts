/**
 * Checks one part of a segment: its index section, every block, every batch and record, and that what the index and the directory say of
 * them is so. Called by `verifySegment`; all trouble becomes findings.
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
  isControlBatch,
  validateRecordBatch,
} from '../batch/record-batch.ts'
import { RecordCursor, validateRecords } from '../batch/record-cursor.ts'
import {
  checkStoreBatch,
  checkStoreBatchHeader,
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchTimestamp,
} from '../batch/store-batch.ts'
import { xxh64Equals } from '../codec/xxh64.ts'
import { isVarveError } from '../errors.ts'
import { blockContent } from './block-content.ts'
import { PART_RUN, PART_TOPIC } from './format.ts'
import type { EpochStart } from './part.ts'
import type { BatchIndex, BlockIndex } from './part-index.ts'
import type { SegmentReader } from './reader.ts'
import type { VerifyContext } from './verify.ts'
import { partColumns, verifyColumns } from './verify-columns.ts'
import { verifyRun } from './verify-run.ts'

export function verifyPart(reader: SegmentReader, part: number, context: VerifyContext): void {
  const index = context.try(reader.directory.indexPosition(part), () => reader.index(part))
  if (index === undefined) return
  if (reader.directory.type(part) === PART_RUN) verifyRun(reader, part, context)
  else new BatchPartVerifier(reader, part, context).verify()
}

/**
 * The content of a block and where it begins in the file; undefined after a finding, and for a compressed block whose codec is not installed here. In a
 * compressed block positions of findings are those of the block.
 */
export function checkedBlock(
  reader: SegmentReader,
  part: number,
  index: BlockIndex,
  block: number,
  context: VerifyContext,
): { bytes: Uint8Array; filePosition: number } | undefined {
  const filePosition = reader.directory.position(part) + index.position(block)
  const stored = context.try(filePosition, () => reader.readRaw(filePosition, index.byteCount(block)))
  if (stored === undefined) return undefined
  context.blocks++
  if (!xxh64Equals(stored, 0, stored.length, index.bytes, index.checksumAt(block))) {
    context.add(filePosition, `checksum of block ${block} of part ${part} differs`)
    return undefined
  }
  try {
    const bytes = context.try(filePosition, () => blockContent(index, block, stored))
    return bytes === undefined ? undefined : { bytes, filePosition }
  } catch (error) {
    if (!isVarveError(error, 'CODEC_MISSING')) throw error
    context.unchecked++
    return undefined
  }
}

class BatchPartVerifier {
  readonly #reader: SegmentReader
  readonly #part: number
  readonly #context: VerifyContext
  readonly #index: BatchIndex
  readonly #topic: boolean
  readonly #cursor: RecordCursor = new RecordCursor()
  #epochs: readonly EpochStart[] = []
  /** Facts of all batches so far, to compare with the directory. */
  #endOffset: number
  #records = 0
  #batches = 0
  #minTimestamp = Number.POSITIVE_INFINITY
  #maxTimestamp = -1
  #minSequence = Number.POSITIVE_INFINITY
  #maxSequence = 0
  /** Of users' records in the block at hand. */
  #block = { minTimestamp: Number.POSITIVE_INFINITY, maxTimestamp: NONE, records: 0 }
  /** False after a block that could not be read: sums mean nothing then. */
  #complete = true

  constructor(reader: SegmentReader, part: number, context: VerifyContext) {
    this.#reader = reader
    this.#part = part
    this.#context = context
    this.#index = reader.batchIndex(part)
    this.#topic = reader.directory.type(part) === PART_TOPIC
    this.#endOffset = reader.directory.firstOffset(part)
  }

  verify(): void {
    this.#verifyTables()
    const { blockCount } = this.#index
    for (let block = 0; block < blockCount && !this.#context.full; block++) this.#verifyBlock(block)
    const columns = partColumns(this.#reader, this.#part, this.#context)
    if (columns !== undefined) {
      verifyColumns(this.#reader, this.#part, columns, block => this.#index.statistics(block)?.records, this.#context)
    }
    this.#verifyDirectory()
  }

  #verifyTables(): void {
    const position = this.#reader.directory.indexPosition(this.#part)
    this.#context.try(position, () => {
      this.#epochs = this.#index.epochs()
      for (let i = 1; i < this.#epochs.length; i++) {
        const before = this.#epochs[i - 1]!
        const entry = this.#epochs[i]!
        if (entry.epoch <= before.epoch || entry.startOffset < before.startOffset) this.#context.add(position, 'epochs do not ascend')
      }
      let last = -1
      for (const { firstOffset, lastOffset } of this.#index.aborted()) {
        if (lastOffset < last || firstOffset > lastOffset) this.#context.add(position, 'aborted transactions are not in order')
        last = lastOffset
      }
    })
  }

  #verifyBlock(block: number): void {
    const index = this.#index
    const read = checkedBlock(this.#reader, this.#part, index, block, this.#context)
    if (read === undefined) {
      this.#complete = false
      this.#endOffset = Math.max(this.#endOffset, index.endOffset(block))
      return
    }
    const { bytes, filePosition } = read
    const batchesBefore = this.#batches
    this.#block = { minTimestamp: Number.POSITIVE_INFINITY, maxTimestamp: NONE, records: 0 }
    let base = -1
    for (let at = 0; at < bytes.length; ) {
      const size = this.#context.try(filePosition, () => this.#verifyBatch(bytes, at, filePosition))
      if (size === undefined) {
        this.#complete = false
        return
      }
      if (base < 0) base = this.#baseOffset(bytes, at)
      at += size
    }
    const entryPosition = this.#reader.directory.indexPosition(this.#part)
    if (base !== index.baseOffset(block) || this.#endOffset !== index.endOffset(block)) {
      this.#context.add(entryPosition, `entry of block ${block} has other offsets than its batches`)
    }
    if (this.#batches - batchesBefore !== index.batchCount(block)) {
      this.#context.add(entryPosition, `entry of block ${block} has another number of batches`)
    }
    if (this.#complete && this.#maxTimestamp !== index.maxTimestamp(block)) {
      this.#context.add(entryPosition, `entry of block ${block} has another largest timestamp`)
    }
    this.#verifyStatistics(block)
  }

  #verifyStatistics(block: number): void {
    const statistics = this.#index.statistics(block)
    if (statistics === undefined) return
    const { minTimestamp, maxTimestamp, records } = this.#block
    const least = minTimestamp === Number.POSITIVE_INFINITY ? NONE : minTimestamp
    if (statistics.minTimestamp === least && statistics.maxTimestamp === maxTimestamp && statistics.records === records) return
    this.#context.add(this.#reader.directory.indexPosition(this.#part), `statistics of block ${block} differ from its records`)
  }

  #baseOffset(bytes: Uint8Array, at: number): number {
    return this.#topic ? batchBaseOffset(bytes, at) : storeBatchBaseOffset(bytes, at)
  }

  /** Returns the size of a good batch; throws CORRUPT. */
  #verifyBatch(bytes: Uint8Array, at: number, filePosition: number): number {
    const size = this.#topic ? this.#verifyTopicBatch(bytes, at) : this.#verifyStoreBatch(bytes, at)
    const base = this.#baseOffset(bytes, at)
    if (base < this.#endOffset) this.#context.add(filePosition + at, 'batch begins before the one before it ends')
    this.#endOffset = this.#topic ? batchLastOffset(bytes, at) + 1 : base + storeBatchCount(bytes, at)
    const epoch = this.#topic ? batchEpoch(bytes, at) : storeBatchEpoch(bytes, at)
    if (epoch !== this.#epochAt(base)) this.#context.add(filePosition + at, 'batch has another epoch than the epoch table')
    this.#batches++
    this.#context.batches++
    return size
  }

  #epochAt(offset: number): number {
    let epoch = Number.NEGATIVE_INFINITY
    for (const entry of this.#epochs) if (entry.startOffset <= offset) epoch = entry.epoch
    return epoch
  }

  #verifyTopicBatch(bytes: Uint8Array, at: number): number {
    const size = validateRecordBatch(bytes, at, bytes.length, true)
    this.#whereCodecIs(() => validateRecords(this.#cursor, bytes, at, at + size))
    const count = batchRecordCount(bytes, at)
    this.#records += count
    this.#context.records += count
    const min = batchDeleteHorizon(bytes, at) >= 0 ? -1 : Math.max(-1, batchBaseTimestamp(bytes, at))
    this.#minTimestamp = Math.min(this.#minTimestamp, min)
    this.#maxTimestamp = Math.max(this.#maxTimestamp, batchMaxTimestamp(bytes, at))
    if (!isControlBatch(bytes, at)) {
      this.#block.records += count
      this.#block.minTimestamp = Math.min(this.#block.minTimestamp, smallestTimestamp(bytes, at, size))
      this.#block.maxTimestamp = Math.max(this.#block.maxTimestamp, batchMaxTimestamp(bytes, at))
    }
    return size
  }

  #verifyStoreBatch(bytes: Uint8Array, at: number): number {
    const end = checkStoreBatchHeader(bytes, at, bytes.length)
    this.#whereCodecIs(() => checkStoreBatch(bytes, at, end))
    const count = storeBatchCount(bytes, at)
    const sequence = storeBatchBaseSequence(bytes, at)
    this.#records += count
    this.#context.records += count
    this.#minTimestamp = Math.min(this.#minTimestamp, storeBatchTimestamp(bytes, at))
    this.#maxTimestamp = Math.max(this.#maxTimestamp, storeBatchTimestamp(bytes, at))
    if (count > 0) {
      this.#minSequence = Math.min(this.#minSequence, sequence)
      this.#maxSequence = Math.max(this.#maxSequence, sequence + count - 1)
    }
    return end - at
  }

  /** Runs a check that may need to decompress. */
  #whereCodecIs(check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!isVarveError(error, 'CODEC_MISSING')) throw error
      this.#context.unchecked++
    }
  }

  #verifyDirectory(): void {
    const { directory, directoryPosition } = this.#reader
    const part = this.#part
    const wrong = (what: string): void => this.#context.add(directoryPosition, `directory has ${what} of part ${part} wrong`)
    if (this.#endOffset > directory.endOffset(part)) wrong('the end offset')
    if (!this.#complete || this.#context.full) return
    if (this.#records !== directory.recordCount(part)) wrong('the number of records')
    if (this.#batches !== directory.batchCount(part)) wrong('the number of batches')
    if ((this.#batches === 0 ? -1 : this.#minTimestamp) !== directory.minTimestamp(part)) wrong('the smallest timestamp')
    if (this.#maxTimestamp !== directory.maxTimestamp(part)) wrong('the largest timestamp')
    if (this.#topic) return
    if ((this.#records === 0 ? 0 : this.#minSequence) !== directory.minSequence(part)) wrong('the smallest sequence')
    if (this.#maxSequence !== directory.maxSequence(part)) wrong('the largest sequence')
  }
}
