/**
 * Joins topic or body parts of one log into one part, in offset order, byte for byte: consolidation of many small tails, and the rewrite of a
 * segment whose other parts are dead. Batches that end at or below `startOffset` are left out; a batch is never cut.
 *
 * Blocks that are large enough are copied with the checksum they were read under; small ones, and those at the start, are cut anew. Tables
 * are joined: epochs and aborted transactions of all parts, the producer state of the last one.
 */
import { batchLastOffset, batchSize } from '../batch/record-batch.ts'
import { storeBatchBaseOffset, storeBatchCount, storeBatchSize } from '../batch/store-batch.ts'
import { assert } from '../errors.ts'
import { BATCH_BLOCK_BYTES_AIM, PART_TOPIC } from '../segment/format.ts'
import type { AbortedTransactionEntry, EpochStart } from '../segment/part.ts'
import type { BatchIndex } from '../segment/part-index.ts'
import type { BlockRange, SegmentReader } from '../segment/reader.ts'
import { giveBytes, takeBytes } from '../segment/scratch-memory.ts'
import type { SegmentWriter } from '../segment/writer.ts'

/** A topic or body part as an input. */
export interface OffsetSource {
  readonly reader: SegmentReader
  readonly part: number
}

export interface OffsetMergeOptions {
  /** Whole batches below it are dropped. Default 0. */
  readonly startOffset?: number
  /** Bytes read at once. Default 1 MiB. */
  readonly readBytes?: number
}

export interface OffsetMergeStatistics {
  bytesIn: number
  bytesOut: number
  blocksCopied: number
}

/** Blocks of at least this many bytes keep their cut. */
const keepBlockBytesMin = BATCH_BLOCK_BYTES_AIM / 2

/** Writes all batches of the sources, which are in offset order and of one log and type, into the part that is open in `target`. */
export function mergeOffsets(
  sources: readonly OffsetSource[],
  target: SegmentWriter,
  options: OffsetMergeOptions = {},
): OffsetMergeStatistics {
  const statistics: OffsetMergeStatistics = { bytesIn: 0, bytesOut: 0, blocksCopied: 0 }
  const startOffset = options.startOffset ?? 0
  const readBytes = options.readBytes ?? 1024 * 1024
  const buffer = takeBytes(readBytes)
  const bytesBefore = target.partBytes
  const aborted: AbortedTransactionEntry[] = []
  let producerState: Uint8Array | undefined
  checkSources(sources)
  for (const { reader, part } of sources) {
    const index = reader.batchIndex(part)
    const topic = reader.directory.type(part) === PART_TOPIC
    let block = index.findByOffset(startOffset)
    while (block < index.blockCount) {
      const range = reader.readBlocks(part, block, readBytes, { into: buffer })
      statistics.bytesIn += range.bytes.length
      statistics.blocksCopied += copyRange(range, index, topic, startOffset, target)
      block = range.end
    }
    for (const entry of index.aborted()) if (entry.lastOffset >= startOffset) aborted.push(entry)
    producerState = index.producerState() ?? producerState
  }
  giveBytes(buffer)
  target.setPartTables({ epochs: joinEpochs(sources, startOffset), aborted, ...(producerState === undefined ? {} : { producerState }) })
  statistics.bytesOut = target.partBytes - bytesBefore
  return statistics
}

/** The epochs of all sources, each once with its first offset, without those that end at or below `startOffset`. */
export function joinEpochs(sources: readonly OffsetSource[], startOffset: number): EpochStart[] {
  const epochs: EpochStart[] = []
  for (const { reader, part } of sources) {
    for (const entry of reader.batchIndex(part).epochs()) {
      const last = epochs[epochs.length - 1]
      if (last !== undefined && entry.epoch <= last.epoch) continue
      if (last !== undefined && entry.startOffset <= startOffset) epochs.pop()
      epochs.push(entry)
    }
  }
  return epochs
}

function checkSources(sources: readonly OffsetSource[]): void {
  let end = 0
  for (let i = 0; i < sources.length; i++) {
    const { reader, part } = sources[i]!
    const first = sources[0]!
    const { directory } = reader
    assert(directory.type(part) === first.reader.directory.type(first.part), 'sources have one type', directory.type(part))
    assert(directory.logId(part) === first.reader.directory.logId(first.part), 'sources belong to one log', directory.logId(part))
    assert(directory.firstOffset(part) >= end, 'sources are in offset order', directory.firstOffset(part), end)
    end = directory.endOffset(part)
  }
}

/** Copies the blocks of one read; returns how many kept their cut. */
function copyRange(range: BlockRange, index: BatchIndex, topic: boolean, startOffset: number, target: SegmentWriter): number {
  const { bytes, first, end } = range
  const base = index.position(first)
  let kept = 0
  /** Blocks from here on wait to be cut anew. */
  let pending = -1
  for (let block = first; block < end; block++) {
    const at = index.position(block) - base
    const size = index.byteCount(block)
    if (size >= keepBlockBytesMin && index.baseOffset(block) >= startOffset) {
      if (pending >= 0) target.addBatches(bytes, pending, at)
      pending = -1
      target.addBlock(bytes, at, at + size, index.bytes, index.checksumAt(block))
      kept++
    } else if (pending < 0) pending = index.baseOffset(block) >= startOffset ? at : firstBatchAt(bytes, at, at + size, topic, startOffset)
  }
  if (pending >= 0) target.addBatches(bytes, pending, bytes.length)
  return kept
}

/** Position of the first batch that ends behind `startOffset`; `end` when none does. */
function firstBatchAt(bytes: Uint8Array, start: number, end: number, topic: boolean, startOffset: number): number {
  let at = start
  while (at < end) {
    const batchEnd = topic ? batchLastOffset(bytes, at) + 1 : storeBatchBaseOffset(bytes, at) + storeBatchCount(bytes, at)
    if (batchEnd > startOffset) break
    at += topic ? batchSize(bytes, at) : storeBatchSize(bytes, at)
  }
  return at
}
