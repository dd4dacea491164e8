/**
 * The system log read from its batches, wherever they lie (parts of log 0 in segments, frames of the commit log), and folded into the rows of
 * the catalog. This is what the catalog view must agree with, and what it is rebuilt from.
 *
 * A *snapshot* is an edit of the system log that holds every row: `repair` writes one when earlier edits are lost. It carries the row
 * `meta/0000000000/snapshot`; a fold begins anew with it, and edits before it are not needed.
 */
import { batchBaseOffset, batchLastOffset } from '../batch/record-batch.ts'
import { readEdit } from '../catalog/log-table.ts'
import { packRow, type RowChange, rowKeys, SYSTEM_LOG_ID, unpackRow } from '../catalog/rows.ts'
import { ENTRY_TOPIC_BATCH } from '../commit-log/format.ts'
import { VarveError } from '../errors.ts'
import { batchLength } from '../log/batch-kinds.ts'
import { PART_TOPIC } from '../segment/format.ts'
import type { SegmentReader } from '../segment/reader.ts'
import type { Chain } from './commit-log-files.ts'
import type { ChainEntries } from './replay.ts'

/** One edit. */
export interface SystemBatch {
  readonly baseOffset: number
  readonly endOffset: number
  readonly changes: readonly RowChange[]
  /** True when it holds all rows. */
  readonly snapshot: boolean
}

export const snapshotKey: string = rowKeys.meta(SYSTEM_LOG_ID, 'snapshot')
/** Slot of a log's metadata where repair keeps the offset ranges that were lost; see docs/CLI.md, "repair". */
export const lostSlot = 'lost'

/** Half-open. */
export type OffsetRange = readonly [from: number, to: number]

export function packRanges(ranges: readonly OffsetRange[]): Uint8Array {
  return packRow(ranges)
}

/** The ranges in a `lost` slot; none when it is something else. */
export function unpackRanges(value: Uint8Array | undefined): OffsetRange[] {
  if (value === undefined) return []
  try {
    const ranges = unpackRow<unknown>(lostSlot, value)
    return Array.isArray(ranges) ? (ranges.filter(range => Array.isArray(range) && range.length === 2) as unknown as OffsetRange[]) : []
  } catch {
    return []
  }
}

function toBatch(bytes: Uint8Array, start: number, end: number): SystemBatch {
  const changes = readEdit(bytes, start, end)
  return {
    baseOffset: batchBaseOffset(bytes, start),
    endOffset: batchLastOffset(bytes, start) + 1,
    changes,
    snapshot: changes.some(change => change.key === snapshotKey && change.value !== null),
  }
}

/** The edits in one part of log 0, as far as they can be read; `problem` says why they end early. */
export function editsOfPart(reader: SegmentReader, part: number): { readonly batches: SystemBatch[]; readonly problem?: VarveError } {
  const batches: SystemBatch[] = []
  try {
    const index = reader.batchIndex(part)
    for (let block = 0; block < index.blockCount; block++) {
      const { bytes } = reader.readBlocks(part, block, 1)
      for (let at = 0; at < bytes.byteLength; ) {
        const size = batchLength('topic', bytes, at)
        batches.push(toBatch(bytes, at, at + size))
        at += size
      }
    }
    return { batches }
  } catch (error) {
    if (error instanceof VarveError) return { batches, problem: error }
    throw error
  }
}

/** The edits in these segments' parts of log 0; damaged ones are left out. */
export function editsOfSegments(readers: Iterable<{ readonly reader: SegmentReader; isLive(part: number): boolean }>): SystemBatch[] {
  const found: SystemBatch[] = []
  for (const { reader, isLive } of readers) {
    const { directory } = reader
    const end = directory.find(SYSTEM_LOG_ID + 1)
    for (let part = directory.find(SYSTEM_LOG_ID); part < end; part++) {
      if (directory.type(part) === PART_TOPIC && isLive(part)) found.push(...editsOfPart(reader, part).batches)
    }
  }
  return found
}

/** The edits in the frames of a chain; what cannot be read is left out. */
export async function editsOfChain(chain: Chain, entries: ChainEntries): Promise<SystemBatch[]> {
  const found: SystemBatch[] = []
  for (const chainFrame of chain.frames) {
    try {
      await entries.visit(chainFrame, ({ kind, logId, arena, start, end }) => {
        if (logId === SYSTEM_LOG_ID && kind === ENTRY_TOPIC_BATCH) found.push(toBatch(arena.bytes, start, end))
      })
    } catch (error) {
      if (!(error instanceof VarveError)) throw error
    }
  }
  return found
}

export interface SystemLog {
  /** Contiguous edits: from 0, or from the newest snapshot behind a hole, or from the first one behind the last hole. */
  readonly batches: readonly SystemBatch[]
  /** All edits in order, those before a hole too. */
  readonly all: readonly SystemBatch[]
  /** Nothing that counts is missing. */
  readonly whole: boolean
  readonly start: number
  readonly end: number
  readonly holes: readonly OffsetRange[]
}

/** Puts edits in order, once each, and finds what is missing between them. */
export function orderSystemLog(batches: readonly SystemBatch[]): SystemLog {
  const sorted = [...batches].sort((a, b) => a.baseOffset - b.baseOffset || b.endOffset - a.endOffset)
  const all: SystemBatch[] = []
  const holes: OffsetRange[] = []
  let end = 0
  let from = 0
  let whole = true
  for (const batch of sorted) {
    if (batch.baseOffset < end) continue
    if (batch.baseOffset > end) {
      holes.push([end, batch.baseOffset])
      whole = false
      from = all.length
    }
    if (batch.snapshot) {
      from = all.length
      whole = true
    }
    all.push(batch)
    end = batch.endOffset
  }
  const counted = all.slice(from)
  return { batches: counted, all, whole, start: counted[0]?.baseOffset ?? end, end, holes }
}

/** The rows after all edits below `until`. */
export function foldEdits(batches: readonly SystemBatch[], until: number = Number.MAX_SAFE_INTEGER): Map<string, Uint8Array> {
  const rows = new Map<string, Uint8Array>()
  for (const batch of batches) {
    if (batch.baseOffset >= until) break
    if (batch.snapshot) rows.clear()
    for (const { key, value } of batch.changes) {
      if (value === null) rows.delete(key)
      else rows.set(key, value)
    }
  }
  return rows
}
