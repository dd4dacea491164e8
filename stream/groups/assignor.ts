/**
 * What every assignor is: a pure function from members and partition counts to who gets what, named and meant as Kafka's.
 *
 * Invariants of each: the result depends on nothing but the arguments, not even on the order of members; every partition of a topic that
 * somebody subscribes to is assigned exactly once, to a subscriber; every member has an entry, empty perhaps.
 */
import type { PartitionCounts, TopicPartitions } from './partitions.ts'

/** What an assignor knows of one member. */
export interface AssignorMember {
  /** Unique in the group. */
  readonly memberId: string
  /** Set for static members, which come first in every order: their id stays when the member id changes. */
  readonly instanceId: string | undefined
  readonly topics: ReadonlySet<string>
  /** What the last assignment gave it; partitions that are gone or no longer subscribed may be among them. Only the sticky ones look. */
  readonly owned: TopicPartitions
}

/** What each member shall hold, by member id. */
export type GroupAssignment = ReadonlyMap<string, TopicPartitions>

export type Assign = (members: readonly AssignorMember[], counts: PartitionCounts) => GroupAssignment

/** Kafka's order of members: static ones by instance id, then the others by member id. */
export function compareMembers(left: AssignorMember, right: AssignorMember): number {
  if (left.instanceId !== undefined && right.instanceId !== undefined) return compareText(left.instanceId, right.instanceId)
  if (left.instanceId !== undefined) return -1
  if (right.instanceId !== undefined) return 1
  return compareText(left.memberId, right.memberId)
}

/** By UTF-16 code units, as Java compares strings. */
export function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/** Topics that somebody subscribes to and that have partitions, in order. */
export function subscribedTopics(members: readonly AssignorMember[], counts: PartitionCounts): string[] {
  const topics = new Set<string>()
  for (const member of members) for (const topic of member.topics) if ((counts.get(topic) ?? 0) > 0) topics.add(topic)
  return [...topics].sort()
}
