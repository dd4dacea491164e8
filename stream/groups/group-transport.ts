/**
 * How a consumer reaches the coordinator of its group: in the same process (`GroupHost`), from a worker thread (`port-transport.ts`), later from another
 * node. Everything that crosses is plain data; topics go by their names.
 *
 * An implementation may answer in the same turn or later, and loses nothing: a call is answered or rejects (CLOSED when the other side is gone). Errors
 * arrive as the `VarveError`s that the coordinator threw.
 */
import type { Awaitable } from '../../engine/index.ts'
import type { GroupRequest, MembershipReply } from './group-messages.ts'
import type { TopicPartitions } from './partitions.ts'

/** One partition of a topic. */
export interface TopicPartition {
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition. */
  readonly partition: number
}

/** An offset to commit. */
export interface OffsetToCommit extends TopicPartition {
  /** Offset of the next record to process. */
  readonly offset: number
  /** Anything of the application's, at most 4 KiB. Default ''. */
  readonly metadata?: string | undefined
}

/** An offset of a topic that a consumer has read: the name may be another's by now. */
export interface OffsetOfTopic extends OffsetToCommit {
  /** Unique, never reused; undefined: whichever has the name. */
  readonly topicId?: number | undefined
}

export interface OffsetCommit {
  readonly group: string
  /** undefined: not a member; allowed only while the group has none. */
  readonly memberId: string | undefined
  readonly generation: number
  readonly offsets: readonly OffsetOfTopic[]
}

/** What a group has committed for one partition. */
export interface CommittedPosition extends TopicPartition {
  /** Next offset to read. */
  readonly offset: number
  /** What the consumer wrote beside it. */
  readonly metadata: string
  /** When it was committed, milliseconds since 1970. */
  readonly timestamp: number
}

export interface GroupTransport {
  /** Carries a request of a member; `leave` is answered with undefined. */
  request(request: GroupRequest): Awaitable<MembershipReply | undefined>
  /** Calls `nudge` when the coordinator has news for a member, or topics came or went. Ends when the returned function is called. */
  listen(memberId: string, nudge: () => void): () => void
  /**
   * Commits offsets. Fenced and visible to the next owner in the turn in which it arrives; resolves when durable. UNKNOWN_MEMBER, FENCED_MEMBER,
   * ILLEGAL_GENERATION, NOT_ASSIGNED, NOT_FOUND for a topic that is not there.
   */
  commit(commit: OffsetCommit): Promise<void>
  /** What the group has committed for these partitions, of the topics with these ids as far as there are some; those without are left out. */
  committed(group: string, partitions: TopicPartitions, topicIds?: ReadonlyMap<string, number>): Awaitable<readonly CommittedPosition[]>
  /** Names of topics that match, sorted; internal ones never do. */
  matching(pattern: RegExp): Awaitable<readonly string[]>
}
