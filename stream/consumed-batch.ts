/** Records of one partition in order, as a consumer hands them out. */
import type { ConsumedRecord } from './fetch/consumed-record.ts'

export class ConsumedBatch<V = unknown, K = unknown> {
  readonly topic: string
  readonly partition: number
  /** At least one; keys and values are decoded when asked for. */
  readonly records: readonly ConsumedRecord<V, K>[]
  /** Offset to read on from: what `commit` stores. */
  readonly nextOffset: number
  /** Of the partition when the batch was read; `highWatermark - nextOffset` is the lag. */
  readonly highWatermark: number
  readonly #commit: (batch: ConsumedBatch<V, K>, metadata: string | undefined) => Promise<void>

  constructor(
    records: readonly ConsumedRecord<V, K>[],
    nextOffset: number,
    highWatermark: number,
    commit: (batch: ConsumedBatch<V, K>, metadata: string | undefined) => Promise<void>,
  ) {
    const first = records[0] as ConsumedRecord<V, K>
    this.topic = first.topic
    this.partition = first.partition
    this.records = records
    this.nextOffset = nextOffset
    this.highWatermark = highWatermark
    this.#commit = commit
  }

  /** Stores `nextOffset` as the group's; resolves when durable. TypeError without a group. */
  commit(options: { readonly metadata?: string } = {}): Promise<void> {
    return this.#commit(this, options.metadata)
  }
}
