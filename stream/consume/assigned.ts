/** A partition as a consumer of a group reads it, and how partitions are named and gathered. Owned by `group-consumer.ts`. */
import type { Fetcher } from '../fetch/partition-fetcher.ts'
import type { TopicPartition } from '../groups/group-transport.ts'
import type { TopicPartitions } from '../groups/partitions.ts'
import type { BatchCommitter } from './consumed-batch.ts'

/** A partition that is read. */
export class Assigned {
  readonly fetcher: Fetcher
  readonly place: TopicPartition
  /** Commits its batches. */
  readonly committer: BatchCommitter
  /** Of which topic; its name may be another's later. */
  readonly topicId: number
  /** All below was handed out. */
  handed: number
  /** All below was handed out, and then more was asked for. Invariant: processed <= handed. */
  processed: number
  /** All below is known to be committed; -1 unknown. */
  committed: number
  /** False once it was given up. */
  isHeld = true

  constructor(fetcher: Fetcher, topicId: number, committed: number, committerOf: (assigned: Assigned) => BatchCommitter) {
    this.fetcher = fetcher
    this.topicId = topicId
    const { topic, partition } = fetcher.source
    this.place = { topic, partition }
    this.committer = committerOf(this)
    this.handed = fetcher.position
    this.processed = fetcher.position
    this.committed = committed
  }

  /** All below may be committed as handed out: behind the newest record also what is not for readers, as an aborted transaction at the end. */
  get handedTo(): number {
    return this.#past(this.handed)
  }
  /** As `handedTo`, of what was processed. */
  get processedTo(): number {
    return this.#past(this.processed)
  }
  #past(offset: number): number {
    const { taken, position } = this.fetcher
    return offset >= taken ? Math.max(offset, position) : offset
  }

  /** Its topic was deleted: nothing of it can be committed. */
  get isGone(): boolean {
    return this.fetcher.log.dropped === true
  }
}

export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

export function gather(places: readonly TopicPartition[]): TopicPartitions {
  const partitions = new Map<string, number[]>()
  for (const { topic, partition } of places) {
    const list = partitions.get(topic)
    if (list === undefined) partitions.set(topic, [partition])
    else list.push(partition)
  }
  return partitions
}

export function sameShape(left: TopicPartitions, right: TopicPartitions): boolean {
  return left.size === right.size && [...left].every(([topic, list]) => String(right.get(topic)) === String(list))
}
