/**
 * Where retention moves a partition's start: a pure function of what is sealed, so that tests enumerate cases.
 *
 * Whole parts go, oldest first, as Kafka's segments do: by time those without a record younger than the limit, by size those without which the limit is
 * still reached. A part goes when no older one stays, so that a record of the future keeps everything behind it. The tail is never looked at.
 */
import type { SealedPart } from '../../engine/index.ts'

/** What a topic keeps; see `TopicRetention`. */
export interface RetentionLimits {
  readonly timeMs?: number | undefined
  readonly bytes?: number | undefined
}

export interface RetentionPoint {
  /** First offset that stays. */
  readonly offset: number
  /** Of the parts that go. */
  readonly bytes: number
  /** Limit that reached the furthest. */
  readonly reason: 'time' | 'bytes'
}

/** undefined when everything stays. `parts` in offset order; none is divided. Nothing at or behind `offsetMax` goes. */
export function retentionPoint(
  parts: readonly SealedPart[],
  { timeMs, bytes }: RetentionLimits,
  now: number,
  offsetMax: number,
): RetentionPoint | undefined {
  const byTime = timeMs === undefined ? 0 : countWhile(parts, part => part.maxTimestamp >= 0 && part.maxTimestamp < now - timeMs)
  let left = parts.reduce((sum, part) => sum + part.bytes, 0)
  const bySize = bytes === undefined ? 0 : countWhile(parts, part => (left -= part.bytes) >= bytes)
  const reason = bySize > byTime ? 'bytes' : 'time'
  const going = parts.slice(0, Math.max(byTime, bySize)).filter(part => part.endOffset <= offsetMax)
  const last = going.at(-1)
  if (last === undefined) return undefined
  return { offset: last.endOffset, bytes: going.reduce((sum, part) => sum + part.bytes, 0), reason }
}

function countWhile<T>(items: readonly T[], test: (item: T) => boolean): number {
  const end = items.findIndex(item => !test(item))
  return end < 0 ? items.length : end
}
