/**
 * A file of the commit log as plain objects, for `dump`: frames wherever they check, their entries, batches and records. A frame that does not
 * follow the one before it is marked `follows: false`: the old content of a recycled file looks like that, and what lies behind damage too.
 */
import {
  alignFrame,
  ENTRY_FLAG_CARRIED,
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_RESET,
  ENTRY_STAGED,
  ENTRY_STAGED_BODY_BYTES,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
  ENTRY_TRUNCATE,
  FRAME_ALIGNMENT,
  FRAME_FLAG_CLOSE,
  FRAME_FLAG_STAGED,
  FRAME_HEADER_BYTES,
  FRAME_LSN,
  FRAME_MAGIC,
  FRAME_MAGIC_AT,
  FRAME_SIZE,
} from '../commit-log/format.ts'
import { equalBytes, type Frame, readU64, visitEntries } from '../commit-log/frame.ts'
import type { LogFile } from './commit-log-files.ts'
import { type DumpDetails, type DumpItem, damage, dumpBatches, hex } from './dump-batches.ts'

const entryNames: { readonly [kind: number]: string } = {
  [ENTRY_TOPIC_BATCH]: 'topic-batch',
  [ENTRY_STORE_BATCH]: 'store-batch',
  [ENTRY_TRUNCATE]: 'truncate',
  [ENTRY_RESET]: 'reset',
  [ENTRY_STAGED]: 'staged-commit',
}

export function* dumpCommitLog(file: LogFile, size: number, details: DumpDetails): Generator<DumpItem> {
  let before: Frame | undefined
  let gapStart = -1
  for (let position = 0; position < size; ) {
    const frame = file.frameAt(position)
    if (frame === undefined) {
      if (gapStart < 0) gapStart = position
      position += FRAME_ALIGNMENT
      continue
    }
    if (gapStart >= 0) yield gap(file, gapStart, position)
    gapStart = -1
    yield frameItem(frame, before)
    yield* dumpEntries(file, frame, details)
    before = frame
    position = alignFrame(frame.end)
  }
  if (gapStart >= 0) yield gap(file, gapStart, size)
}

/** Bytes in which no frame checks: never written, or damaged. */
function gap(file: LogFile, start: number, end: number): DumpItem {
  const bytes = end - start
  let firstByte = start
  while (firstByte < end && file.bytes[firstByte] === 0) firstByte++
  if (firstByte === end) return { type: 'unused', position: start, bytes }
  const newer = file.newerAt(start)
  if (newer !== undefined) return damage(newer, start, bytes)
  const isFrame = start + FRAME_HEADER_BYTES <= end && file.view.getUint32(start + FRAME_MAGIC_AT, true) === FRAME_MAGIC
  if (!isFrame) return { type: 'damage', position: start, bytes, code: 'CORRUPT', message: 'no frame begins here' }
  const claimed = { lsn: readU64(file.view, start + FRAME_LSN), size: file.view.getUint32(start + FRAME_SIZE, true) }
  return { type: 'damage', position: start, bytes, code: 'CORRUPT', message: 'a frame whose checksum differs: torn, or damaged', claimed }
}

function frameItem(frame: Frame, before: Frame | undefined): DumpItem {
  const follows =
    before === undefined ||
    (frame.lsn === before.lsn + alignFrame(before.end) - before.start && equalBytes(frame.previousChecksum, before.checksum))
  return {
    type: 'frame',
    position: frame.start,
    bytes: frame.end - frame.start,
    lsn: frame.lsn,
    durableLsn: frame.durableLsn,
    sequence: frame.sequence,
    time: frame.time,
    entries: frame.entryCount,
    checksum: hex(frame.checksum),
    previousChecksum: hex(frame.previousChecksum),
    tag: hex(frame.tag),
    ...((frame.flags & FRAME_FLAG_CLOSE) === 0 ? {} : { closing: true }),
    ...((frame.flags & FRAME_FLAG_STAGED) === 0 ? {} : { staged: true }),
    ...(follows ? {} : { follows: false }),
  }
}

function* dumpEntries(file: LogFile, frame: Frame, details: DumpDetails): Generator<DumpItem> {
  const found: { kind: number; flags: number; logId: number; start: number; end: number }[] = []
  let problem: string | undefined
  try {
    problem = visitEntries(file, frame, (kind, flags, logId, start, end) => found.push({ kind, flags, logId, start, end }))
  } catch (error) {
    yield damage(error, frame.start)
  }
  for (const { kind, flags, logId, start, end } of found) {
    const open = (flags & ENTRY_FLAG_CHECKSUM_OPEN) !== 0
    yield {
      type: 'entry',
      position: start,
      kind: entryNames[kind] ?? `unknown (${kind})`,
      log: logId,
      bytes: end - start,
      ...((flags & ENTRY_FLAG_CARRIED) === 0 ? {} : { carried: true }),
      ...entryFacts(file, kind, start, end),
    }
    if (kind !== ENTRY_TOPIC_BATCH && kind !== ENTRY_STORE_BATCH) continue
    const place = {
      kind: kind === ENTRY_TOPIC_BATCH ? 'topic' : 'store',
      filePosition: 0,
      system: logId === 0,
      checksumOpen: open,
    } as const
    yield* dumpBatches(file.bytes, start, end, place, details)
  }
  if (problem !== undefined) yield { type: 'damage', position: frame.start, code: 'CORRUPT', message: problem }
}

function entryFacts(file: LogFile, kind: number, start: number, end: number): object {
  if ((kind === ENTRY_TRUNCATE || kind === ENTRY_RESET) && end - start === 8) return { offset: readU64(file.view, start) }
  if (kind !== ENTRY_STAGED || end - start !== ENTRY_STAGED_BODY_BYTES) return {}
  return {
    stagedFile: file.view.getUint32(start, true),
    stagedBytes: readU64(file.view, start + 8),
    stagedChecksum: hex(file.bytes.subarray(start + 16, start + 24)),
  }
}
