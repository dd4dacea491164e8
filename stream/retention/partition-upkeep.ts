/**
 * What retention and compaction know of one partition: facts out of its log, and the one verb that hides a prefix. Called by `upkeep.ts`.
 */
import { type LocalLog, RecordCursor } from '../../engine/index.ts'
import type { StoredTopicOptions } from '../topic/topic-options.ts'
import type { CompactionFacts, CompactionLimits } from './compaction-choice.ts'
import { type RetentionPoint, retentionPoint } from './retention-point.ts'

/** Parts above this size go in pieces. */
const pieceBytes = 8 * 1024 * 1024
const dirtyRatioMinDefault = 0.5

/** Hides what the topic's retention does not keep. Nothing that an open transaction may still need goes. */
export async function trimPartition(
  log: LocalLog,
  { retention, cleanup }: StoredTopicOptions,
  now: number,
): Promise<(RetentionPoint & { readonly from: number }) | undefined> {
  if (retention === undefined || cleanup === 'compact') return undefined
  const { bytes } = retention
  const pieces = bytes === undefined ? pieceBytes : Math.max(1, Math.min(pieceBytes, Math.floor(bytes / 4)))
  const point = retentionPoint(log.sealedParts(pieces), retention, now, Math.min(log.flushedEnd, log.lastStableOffset))
  const from = log.startOffset
  if (point === undefined || point.offset <= from) return undefined
  await log.trimPrefix(point.offset, { durability: 'buffered' }).acknowledged
  return { ...point, from }
}

export function compactionLimits({ dirtyRatioMin, compactionLagMsMax }: StoredTopicOptions): CompactionLimits {
  return { dirtyRatioMin: dirtyRatioMin ?? dirtyRatioMinDefault, lagMsMax: compactionLagMsMax ?? Number.POSITIVE_INFINITY }
}

/** First offset that compaction must leave alone: younger than the minimum lag, of an open transaction, or not sealed. */
export function cleanableEnd(log: LocalLog, { compactionLagMsMin = 0 }: StoredTopicOptions, now: number): number {
  const end = Math.min(log.flushedEnd, log.lastStableOffset)
  if (compactionLagMsMin === 0) return end
  return Math.min(end, log.offsetForTime(now - compactionLagMsMin + 1) ?? end)
}

/** `asksSince`: whether `dirtySince` is wanted, which reads a batch. */
export function compactionFacts(log: LocalLog, options: StoredTopicOptions, now: number, asksSince: boolean): CompactionFacts {
  const { startOffset } = log
  const cleanedTo = Math.max(log.cleanedTo, startOffset)
  return {
    cleanBytes: log.sealedBytes(startOffset, cleanedTo),
    dirtyBytes: Math.max(0, log.sealedBytes(cleanedTo, cleanableEnd(log, options, now))),
    dirtySince: asksSince ? timestampAt(log, cleanedTo) : undefined,
  }
}

/** Of the first record at or behind `offset`; undefined when there is none. */
function timestampAt(log: LocalLog, offset: number): number | undefined {
  const cursor = new RecordCursor()
  for (let at = offset; at < log.highWatermark; ) {
    const { bytes, positions, nextOffset } = log.read(at, { bytesMax: 1 })
    for (const position of positions) {
      cursor.open(bytes, position)
      while (cursor.next()) if (cursor.offset >= offset) return cursor.timestamp
    }
    if (nextOffset <= at) return undefined
    at = nextOffset
  }
  return undefined
}
