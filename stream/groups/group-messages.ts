/**
 * What members and the coordinator of their group say to each other: plain data that structured clone and any wire can carry.
 *
 * A member speaks, the coordinator answers; besides, the coordinator may nudge a member: *ask soon, there is news*. Rules for a member:
 * 1. One request at a time. Who gives up waiting for an answer ignores it when it comes later, and gives its next heartbeat a higher `sequence`.
 * 2. `holds` names everything it accepted from an answer and has not completely stopped working on.
 * 3. An answer's `assignment` is all that it may hold. It stops what it holds beyond that, says so with a heartbeat at once, and only then starts what is
 *    new.
 * 4. Who hears nothing for its session timeout must assume that its partitions belong to others. Errors UNKNOWN_MEMBER and FENCED_MEMBER say so.
 * An assignment counts in full each time; nothing depends on having seen the one before.
 */
import type { AssignorName } from './assignors.ts'
import type { TopicPartitions } from './partitions.ts'

/** Makes a new member. Answered with its id, which all its later requests carry. */
export interface JoinRequest {
  readonly type: 'join'
  readonly group: string
  /** Any name that tells people who this is. */
  readonly clientId: string
  /**
   * Makes the member static: a later join with the same instance id takes over its partitions without a rebalance, and the member before it is fenced.
   */
  readonly instanceId?: string | undefined
  readonly topics: readonly string[]
  /** What this member can work with, preferred first. The group takes one that all members name. */
  readonly assignors: readonly AssignorName[]
  /** A member that is not heard of for so long, ms, is removed. */
  readonly sessionTimeoutMs: number
  /** A member that does not ask for records, or does not follow a rebalance, for so long, ms, is removed. */
  readonly maxPollIntervalMs: number
}

export interface HeartbeatRequest {
  readonly type: 'heartbeat'
  readonly group: string
  readonly memberId: string
  /** Grows with each heartbeat of the member, from 1: late and repeated ones are told by it. */
  readonly sequence: number
  /** The newest generation that an answer has told it. */
  readonly generation: number
  readonly holds: TopicPartitions
  /** The application has asked for records since the last heartbeat, or waits for some. */
  readonly polled: boolean
  /** The subscription, when it may have changed. */
  readonly topics?: readonly string[] | undefined
}

export interface LeaveRequest {
  readonly type: 'leave'
  readonly group: string
  readonly memberId: string
  /** Of a static member: it will be back within its session timeout, and nobody gets its partitions until then. Default false. */
  readonly temporary?: boolean | undefined
}

/** May this member commit offsets of these partitions now? Asked in the turn of the commit. */
export interface CheckedPartition {
  readonly topic: string
  readonly partition: number
  /** The name that the topic has by now, when it is another. */
  readonly renamedTo?: string | undefined
}

export interface CommitCheck {
  readonly group: string
  readonly memberId: string
  readonly generation: number
  /** Of these partitions; whatever else stands there. */
  readonly offsets: readonly CheckedPartition[]
}

export type GroupRequest = JoinRequest | HeartbeatRequest | LeaveRequest

export interface MembershipReply {
  readonly memberId: string
  readonly generation: number
  /** Everything that the member may hold. */
  readonly assignment: TopicPartitions
  /** Of its topics: which one has the name now. Who holds partitions of another that had it stops them first: that one was deleted or renamed. */
  readonly topicIds: ReadonlyMap<string, number>
  /** The newest assignment is complete for this member: it is told everything that it shall hold, and no rebalance has begun since. */
  readonly complete: boolean
}

/** - 'Dead': deleted. The others as in Kafka; 'CompletingRebalance' includes the hand-over of partitions one by one. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** Why the coordinator removed a member that did not leave. */
export type FenceReason = 'session-timeout' | 'max-poll-interval' | 'rebalance-timeout' | 'replaced'

/** Why a group rebalances; of several causes the first. */
export type RebalanceReason = 'join' | 'leave' | 'fenced' | 'subscription' | 'topics'

/** A member of a group, as `describe` tells of it. */
export interface MemberDescription {
  /** Drawn by the coordinator. */
  readonly memberId: string
  /** Of a static member; undefined: it is none. */
  readonly instanceId: string | undefined
  /** As the consumer was named. */
  readonly clientId: string
  /** That it is subscribed to. */
  readonly topics: readonly string[]
  /** What it shall hold by the newest assignment. */
  readonly assignment: TopicPartitions
  /** What it may hold now; others wait for what is here and not in `assignment`. */
  readonly holds: TopicPartitions
  /** The newest generation it has confirmed. */
  readonly generation: number
  /** A static member that left for a while. */
  readonly away: boolean
}

/** A group, as `describe` tells of it. */
export interface GroupDescription {
  /** Name of the group. */
  readonly group: string
  /** Of the coordinator. */
  readonly state: GroupState
  /** Grows with each rebalance. */
  readonly generation: number
  /** undefined while the group is empty. */
  readonly assignor: AssignorName | undefined
  /** In no order. */
  readonly members: readonly MemberDescription[]
}

/** What observers are told. */
export type GroupEvent =
  | { readonly type: 'joined'; readonly group: string; readonly memberId: string; readonly replaced: string | undefined }
  | { readonly type: 'left'; readonly group: string; readonly memberId: string }
  | { readonly type: 'fenced'; readonly group: string; readonly memberId: string; readonly reason: FenceReason }
  /** A new generation; `moved` counts partitions that go from one member to another. */
  | {
      readonly type: 'rebalance'
      readonly group: string
      readonly generation: number
      readonly reason: RebalanceReason
      readonly members: number
      readonly partitions: number
      readonly moved: number
    }
  /** All members hold what they shall hold; `ms` since the rebalance began. */
  | { readonly type: 'stable'; readonly group: string; readonly generation: number; readonly ms: number }
  | { readonly type: 'empty'; readonly group: string; readonly generation: number }

/** Where a coordinator puts what it wants to tell besides answers. Its owner empties both after each step. */
export interface GroupOutput {
  /** Members to nudge. */
  readonly nudges: { readonly group: string; readonly memberId: string }[]
  readonly events: GroupEvent[]
}
