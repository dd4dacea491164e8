/**
 * Raft's questions about terms of entries, asked with `endOffsetForEpoch` alone. They rest on the log matching property: batches of one epoch are
 * appended by one leader, in order, behind everything before them; so a log that holds a later record of an epoch holds all earlier ones of it.
 */
import type { LocalLog } from '../../../engine/log/log.ts'

/** Epoch of the record before `offset`; 0 at the start of the log. */
export function epochBefore(log: LocalLog, offset: number): number {
  if (offset <= 0) return 0
  let epoch = log.epoch
  for (;;) {
    const below = log.endOffsetForEpoch(epoch - 1)
    if (below === undefined || below.endOffset < offset) return epoch
    epoch = below.epoch
  }
}

/** True when the record before `end` is here with this epoch. */
export function holds(log: LocalLog, epoch: number, end: number): boolean {
  if (end > log.endOffset) return false
  const found = log.endOffsetForEpoch(epoch)
  return found !== undefined && found.epoch === epoch && found.endOffset >= end
}
