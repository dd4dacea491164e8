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
  /** All below was handed out. */
  handed: number
  /** All below was handed out, and then more was asked for. Invariant: processed <= handed. */
  processed: number
  /** All below is known to be committed; -1 unknown. */
  committed: number
  /** False once it was given up. */
  isHeld = true

  constructor(fetcher: Fetcher, committed: number, committerOf: (assigned: Assigned) => BatchCommitter) {
    this.fetcher = fetcher
    const { topic, partition } = fetcher.source
    this.place = { topic, partition }
    this.committer = committerOf(this)
    this.handed = fetcher.position
    this.processed = fetcher.position
    this.committed = committed
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
