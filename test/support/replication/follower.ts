/**
 * A follower's half of replication: checks that its log agrees with the leader's before the new batches, removes a suffix that does not, and appends
 * what it lacks, byte for byte with the leader's offsets and epochs.
 *
 *   1. the record before `offset` must be here with `previousEpoch`, else the answer names a conflict
 *   2. batches that are here already are skipped (a message may come twice, or late)
 *   3. the first one that is not ends the agreement: what lies at and behind it is truncated, and the rest is appended, in one commit
 */
import { batchEnd, batchLeaderEpoch, batchLength } from '../../../engine/log/batch-kinds.ts'
import type { Appended, Committed, Committer, LocalLog } from '../../../engine/log/log.ts'
import { holds } from './epochs.ts'
import type { AppendRequest } from './messages.ts'

export interface Stored {
  /** All below agrees with the leader's log. */
  readonly agreedEnd: number
  /** Set when something was appended. */
  readonly appended: Pick<Appended | Committed, 'durable'> | undefined
  /** Records that were removed. */
  readonly truncated: number
}

/** undefined: the logs part before `offset`. Throws what appends throw; then nothing has changed. */
export function storeBatches(committer: Committer, log: LocalLog, request: AppendRequest): Stored | undefined {
  const { bytes, previousEpoch } = request
  if (request.offset > 0 && !holds(log, previousEpoch, request.offset)) return undefined
  let agreedEnd = request.offset
  let at = 0
  while (at < bytes.length) {
    const end = batchEnd(log.kind, bytes, at)
    if (!holds(log, batchLeaderEpoch(log.kind, bytes, at), end)) break
    agreedEnd = end
    at += batchLength(log.kind, bytes, at)
  }
  if (at === bytes.length) return { agreedEnd, appended: undefined, truncated: 0 }
  const rest = bytes.subarray(at)
  const truncated = log.endOffset - agreedEnd
  const options = { keepOffsets: true, expectedOffset: agreedEnd } as const
  const appended =
    truncated === 0
      ? log.appendBatches(rest, options)
      : committer.commit(commit => {
          commit.truncateSuffix(log, agreedEnd)
          commit.appendBatches(log, rest, options)
        })
  return { agreedEnd: log.endOffset, appended, truncated }
}
