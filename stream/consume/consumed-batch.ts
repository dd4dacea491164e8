/** Records of one partition in order, as a consumer hands them out. */
import { checkOptions, type Transaction } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'

/** What stores a batch's `nextOffset` for a group: one for all batches of a partition. */
export interface BatchCommitter {
  commit(nextOffset: number, metadata: string | undefined): Promise<void>
  commitWith(tx: Transaction, nextOffset: number, metadata: string | undefined): void
}

/** Of `ConsumedBatch.commit`. */
export interface CommitOptions {
  /** Anything of the application's, at most 4 KiB, that `committed` gives back. */
  readonly metadata?: string | undefined
}

/** Records of one partition, as a consumer gets them. */
export class ConsumedBatch<V = unknown, K = unknown> {
  readonly topic: string
  readonly partition: number
  /** At least one; keys and values are decoded when asked for. */
  readonly records: readonly ConsumedRecord<V, K>[]
  /** Offset to read on from: what `commit` stores. */
  readonly nextOffset: number
  /** Of the partition when the batch was read; `highWatermark - nextOffset` is the lag. */
  readonly highWatermark: number
  readonly #committer: BatchCommitter | undefined

  constructor(records: readonly ConsumedRecord<V, K>[], nextOffset: number, highWatermark: number, committer?: BatchCommitter) {
    const first = records[0] as ConsumedRecord<V, K>
    this.topic = first.topic
    this.partition = first.partition
    this.records = records
    this.nextOffset = nextOffset
    this.highWatermark = highWatermark
    this.#committer = committer
  }

  /**
   * Stores `nextOffset` as the group's: whoever has the partition next goes on there. Resolves when durable. FENCED_MEMBER, UNKNOWN_MEMBER or NOT_ASSIGNED when
   * the partition is not this consumer's any more, TypeError without a group.
   */
  commit(options: CommitOptions = {}): Promise<void> {
    // Not an async function: it would keep the records until the disk has the offset.
    try {
      checkOptions(options, 'commit', ['metadata'])
      return this.#withGroup().commit(this.nextOffset, options.metadata)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** As `commit`, as part of a transaction, fenced in the turn of its commit: `db.transaction(tx => { …; batch.commitWith(tx) })` is exactly-once. */
  commitWith(tx: Transaction, options: CommitOptions = {}): void {
    this.#withGroup().commitWith(tx, this.nextOffset, options.metadata)
  }

  #withGroup(): BatchCommitter {
    if (this.#committer === undefined) throw new TypeError('commit needs a group: consume({ group })')
    return this.#committer
  }
}
