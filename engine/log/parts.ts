/**
 * Reading a log's parts: the shares of it that lie in sealed segments.
 *
 * A `PartRef` names one part of an open segment. Lists of them are in offset order and belong to the logical log; a list never changes, a new
 * state of the log gets a new list, so that a read that is under way (or a lease) keeps what it has. Topic and body parts answer by offset, time
 * and epoch; runs are in key order and take no part here, except that they say up to which offset the log is flushed.
 */
import { isVarveError } from '../errors.ts'
import type { ColumnIndex } from '../segment/column-index.ts'
import { hasColumns } from '../segment/column-writer.ts'
import { PART_BODY, PART_RUN, PART_TOPIC } from '../segment/format.ts'
import type { BatchIndex } from '../segment/part-index.ts'
import type { BlockRange, SegmentReader } from '../segment/reader.ts'
import { batchEnd, batchLength, offsetForTimeInBatch } from './batch-kinds.ts'
import type { LogKind, LogSlice, SealedBlock, SealedColumns, SealedPart } from './log.ts'
import type { AbortedEntry } from './producer-state.ts'

export interface PartRef {
  readonly reader: SegmentReader
  readonly segmentId: number
  /** Number of the part in its segment. */
  readonly part: number
  /** PART_TOPIC, PART_RUN or PART_BODY. */
  readonly type: number
  readonly level: number
  readonly firstOffset: number
  /** Exclusive. */
  readonly endOffset: number
  /** Bytes of the body. */
  readonly bytes: number
  readonly recordCount: number
  /** Largest timestamp; -1 unknown. */
  readonly maxTimestamp: number
}

export function partRef(reader: SegmentReader, part: number): PartRef {
  const { directory } = reader
  return {
    reader,
    segmentId: reader.segmentId,
    part,
    type: directory.type(part),
    level: directory.level(part),
    firstOffset: directory.firstOffset(part),
    endOffset: directory.endOffset(part),
    bytes: directory.byteCount(part),
    recordCount: directory.recordCount(part),
    maxTimestamp: directory.maxTimestamp(part),
  }
}

const isReadable = (part: PartRef): boolean => part.type !== PART_RUN

/**
 * Order of a log's parts: topics and bodies first, by offset, so that their ends ascend; then runs, by offset. Bodies and runs are merged apart from
 * each other, so a list of both by offset would not be in the order of its ends.
 */
export function comparePartRefs(left: PartRef, right: PartRef): number {
  return (
    Number(isReadable(right)) - Number(isReadable(left)) ||
    left.firstOffset - right.firstOffset ||
    left.endOffset - right.endOffset ||
    left.segmentId - right.segmentId ||
    left.part - right.part
  )
}

/** First readable part that holds something at or behind `offset`. */
function findPart(parts: readonly PartRef[], offset: number): PartRef | undefined {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const part = parts[middle] as PartRef
    if (isReadable(part) && part.endOffset <= offset) low = middle + 1
    else high = middle
  }
  const part = parts[low]
  return part !== undefined && isReadable(part) ? part : undefined
}

/** Batches from `offset` on out of one part; undefined when no part reaches that far. Across a gap of compaction `nextOffset` still moves on. */
export function readParts(
  parts: readonly PartRef[],
  kind: LogKind,
  offset: number,
  bytesMax: number,
  into?: Uint8Array,
): LogSlice | undefined {
  const part = findPart(parts, offset)
  if (part === undefined) return undefined
  const index = part.reader.batchIndex(part.part)
  const block = index.findByOffset(offset)
  if (block === index.blockCount) return emptySlice(kind, part.endOffset)
  return sliceOf(kind, part, part.reader.readBlocks(part.part, block, bytesMax, into === undefined ? {} : { into }), offset, bytesMax)
}

export async function readPartsAsync(
  parts: readonly PartRef[],
  kind: LogKind,
  offset: number,
  bytesMax: number,
  into?: Uint8Array,
): Promise<LogSlice | undefined> {
  const part = findPart(parts, offset)
  if (part === undefined) return undefined
  const index = part.reader.batchIndex(part.part)
  const block = index.findByOffset(offset)
  if (block === index.blockCount) return emptySlice(kind, part.endOffset)
  return sliceOf(
    kind,
    part,
    await part.reader.readBlocksAsync(part.part, block, bytesMax, into === undefined ? {} : { into }),
    offset,
    bytesMax,
  )
}

function emptySlice(kind: LogKind, nextOffset: number): LogSlice {
  return { kind, bytes: new Uint8Array(0), positions: [], nextOffset }
}

/** Drops batches before `offset` and beyond `bytesMax` from whole blocks. */
function sliceOf(kind: LogKind, part: PartRef, range: BlockRange, offset: number, bytesMax: number): LogSlice {
  const { bytes } = range
  let start = 0
  while (start < bytes.byteLength && batchEnd(kind, bytes, start) <= offset) start += batchLength(kind, bytes, start)
  const positions: number[] = []
  let end = start
  let nextOffset = offset
  while (end < bytes.byteLength) {
    const size = batchLength(kind, bytes, end)
    if (end > start && end + size - start > bytesMax) break
    positions.push(end - start)
    nextOffset = batchEnd(kind, bytes, end)
    end += size
  }
  const index = part.reader.batchIndex(part.part)
  if (end === bytes.byteLength && range.end === index.blockCount) nextOffset = part.endOffset
  return { kind, bytes: start === 0 && end === bytes.byteLength ? bytes : bytes.subarray(start, end), positions, nextOffset }
}

/** Offset of the first record with a timestamp >= `timestamp`, at or behind `offsetMin`. */
export function offsetForTimeInParts(parts: readonly PartRef[], kind: LogKind, timestamp: number, offsetMin: number): number | undefined {
  for (const part of parts) {
    if (!isReadable(part) || part.maxTimestamp < timestamp || part.endOffset <= offsetMin) continue
    const index = part.reader.batchIndex(part.part)
    for (let block = index.findByTime(timestamp); block < index.blockCount; block++) {
      if (index.endOffset(block) <= offsetMin) continue
      const { bytes } = part.reader.readBlocks(part.part, block, 1)
      for (let at = 0; at < bytes.byteLength; at += batchLength(kind, bytes, at)) {
        if (batchEnd(kind, bytes, at) <= offsetMin) continue
        const found = offsetForTimeInBatch(kind, bytes, at, timestamp, offsetMin)
        if (found !== undefined) return found
      }
    }
  }
  return undefined
}

/** The largest epoch <= `epoch` and where it ends; `endOffset` undefined when it goes on behind the last part. */
export function epochEndInParts(
  parts: readonly PartRef[],
  epoch: number,
): { readonly epoch: number; readonly endOffset: number | undefined } | undefined {
  let endOffset: number | undefined
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i] as PartRef
    if (!isReadable(part)) continue
    const epochs = part.reader.batchIndex(part.part).epochs()
    for (let j = epochs.length - 1; j >= 0; j--) {
      const entry = epochs[j] as { epoch: number; startOffset: number }
      if (entry.epoch <= epoch) return { epoch: entry.epoch, endOffset }
      endOffset = entry.startOffset
    }
  }
  return undefined
}

/** Producer state at the end of the last topic part. */
export function producerStateOfParts(parts: readonly PartRef[]): Uint8Array | undefined {
  const last = parts.findLast(part => part.type === PART_TOPIC)
  return last?.reader.batchIndex(last.part).producerState()
}

export function abortedInParts(parts: readonly PartRef[], from: number, to: number): AbortedEntry[] {
  const found: AbortedEntry[] = []
  for (const part of parts) {
    if (part.type !== PART_TOPIC || part.endOffset <= from) continue
    for (const entry of part.reader.batchIndex(part.part).aborted()) {
      if (entry.lastOffset >= from && entry.firstOffset < to) found.push(entry)
    }
  }
  return found
}

/** Where the log is flushed up to, by its parts alone. */
export function flushedEndOf(parts: readonly PartRef[], kind: LogKind): number {
  let end = 0
  for (const part of parts)
    if (kind === 'topic' ? part.type === PART_TOPIC : part.type === PART_RUN || part.type === PART_BODY) end = Math.max(end, part.endOffset)
  return end
}

/** See `LocalLog.sealedParts`. */
export function sealedPartsOf(parts: readonly PartRef[], startOffset: number, bytesMax: number): SealedPart[] {
  const sealed: SealedPart[] = []
  for (const part of parts) {
    if (!isReadable(part) || part.endOffset <= startOffset) continue
    const { firstOffset, endOffset, bytes, maxTimestamp } = part
    if (bytes <= bytesMax && firstOffset >= startOffset) {
      sealed.push({ firstOffset, endOffset, bytes, maxTimestamp })
      continue
    }
    const index = part.reader.batchIndex(part.part)
    let from = index.findByOffset(startOffset)
    for (let block = from; block < index.blockCount; block++) {
      const isLast = block === index.blockCount - 1
      const size = index.position(block) + index.byteCount(block) - index.position(from)
      if (!isLast && size < bytesMax) continue
      sealed.push({
        firstOffset: Math.max(firstOffset, index.baseOffset(from)),
        endOffset: isLast ? endOffset : index.endOffset(block),
        bytes: size,
        maxTimestamp: index.maxTimestamp(block),
      })
      from = block + 1
    }
  }
  return sealed
}

/** See `LocalLog.blockAt`. */
export function blockInParts(parts: readonly PartRef[], offset: number): SealedBlock | undefined {
  const part = findPart(parts, offset)
  if (part === undefined) return undefined
  const index = part.reader.batchIndex(part.part)
  const block = index.findByOffset(offset)
  if (block === index.blockCount) return { ...noRecords, baseOffset: part.endOffset, nextOffset: part.endOffset }
  const isLast = block === index.blockCount - 1
  const statistics = part.type === PART_TOPIC ? index.statistics(block) : undefined
  return {
    baseOffset: index.baseOffset(block),
    nextOffset: isLast ? part.endOffset : index.endOffset(block),
    bytes: index.byteCount(block),
    minTimestamp: statistics?.minTimestamp ?? -1,
    maxTimestamp: statistics?.maxTimestamp ?? index.maxTimestamp(block),
    records: statistics?.records,
  }
}

/** The columns of a part; undefined also where their table says what cannot be: the records are still there. */
function usableColumns(index: BatchIndex): ColumnIndex | undefined {
  try {
    return index.columns
  } catch (error) {
    if (isVarveError(error, 'CORRUPT')) return undefined
    throw error
  }
}

/** See `LocalLog.columnsAt`. */
export function columnsInParts(parts: readonly PartRef[], offset: number): SealedColumns | undefined {
  const ref = findPart(parts, offset)
  if (ref === undefined || ref.type !== PART_TOPIC || !hasColumns) return undefined
  const { reader, part } = ref
  const index = reader.batchIndex(part)
  const columns = usableColumns(index)
  const block = index.findByOffset(offset)
  if (columns === undefined || block === index.blockCount) return undefined
  const group = columns.groupOf(block)
  const end = columns.endBlock(group)
  return {
    baseOffset: index.baseOffset(columns.firstBlock(group)),
    nextOffset: end === index.blockCount ? ref.endOffset : index.endOffset(end - 1),
    rows: columns.rows(group),
    columnBytes: path => {
      const field = columns.fields.indexOf(path)
      return field < 0 ? 0 : columns.columnBytes(group, field)
    },
    read: (path, into) => reader.readColumn(part, group, columns.fields.indexOf(path), into),
  }
}

const noRecords = { bytes: 0, minTimestamp: -1, maxTimestamp: -1, records: 0 }

/** See `LocalLog.sealedBytes`. */
export function sealedBytesOf(parts: readonly PartRef[], from: number, to: number): number {
  let bytes = 0
  for (const part of parts) if (isReadable(part)) bytes += bytesBefore(part, to) - bytesBefore(part, from)
  return bytes
}

/** Bytes of the part's blocks that lie wholly below `offset`. */
export function bytesBefore(part: PartRef, offset: number): number {
  if (offset <= part.firstOffset) return 0
  if (offset >= part.endOffset) return part.bytes
  const index = part.reader.batchIndex(part.part)
  const block = index.findByOffset(offset)
  return block === index.blockCount ? part.bytes : index.position(block)
}
