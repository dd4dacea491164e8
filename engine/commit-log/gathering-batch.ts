/**
 * A batch of the open frame that still takes records: small appends of several commits to one log become one batch of it, so that sixty transactions over eight
 * partitions are eight entries and not five hundred. An entry, an index row, a checksum, a batch to flush and to read cost more than the few records in it.
 *
 * The records lie in private memory until `CommitLog.place` writes them behind the frame's entries: when the frame takes no more, or before anybody looks at the bytes,
 * or before something else is appended to the log. Everything else is as if they were there: the frame has room for them, the log ends behind them, its index row says
 * where they begin and end. Owned by the commit log; the log that it belongs to keeps it while it gathers.
 *
 * Invariants: a gathering batch belongs to the open frame, and all its commits have the word 'sync'; its row has the frame's own position until it is placed, so that it
 * counts as no more durable than that.
 */
import type { TopicBatch } from '../batch/topic-batch.ts'

/** A batch is not made longer than this by gathering, bytes: whoever reads takes whole batches. */
const gatheredBytesMax = 64 * 1024
/** Larger appends are entries of their own: copying them costs more than they gain. */
export const gatheredAppendBytesMax: number = 1024

export class GatheringBatch {
  /** Empty for the next log once it is placed. */
  readonly records: TopicBatch
  readonly logId: number
  /** In the index of the frame's arena. */
  readonly row: number
  readonly baseOffset: number
  readonly epoch: number
  isPlaced = false

  constructor(records: TopicBatch, logId: number, row: number, baseOffset: number, epoch: number) {
    this.records = records
    this.logId = logId
    this.row = row
    this.baseOffset = baseOffset
    this.epoch = epoch
  }

  /** Whether it goes on with this batch. */
  takes(batch: TopicBatch, epoch: number): boolean {
    return !this.isPlaced && epoch === this.epoch && this.records.size + batch.size <= gatheredBytesMax && this.records.takes(batch)
  }
}
