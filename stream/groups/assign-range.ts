/**
 * Kafka's RangeAssignor: for each topic the partitions in order are cut into as many runs as there are subscribers, and the first subscribers
 * get one more when it does not come out even. Topics with equal partition counts and equal subscribers are cut alike, so that partition 3
 * of both goes to the same member: that is what joins of two topics by key need (co-partitioning).
 */
import { type AssignorMember, compareMembers, type GroupAssignment, subscribedTopics } from './assignor.ts'
import type { PartitionCounts } from './partitions.ts'

export function assignRange(members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const sorted = [...members].sort(compareMembers)
  const result = new Map<string, Map<string, number[]>>(sorted.map(member => [member.memberId, new Map()]))
  for (const topic of subscribedTopics(sorted, counts)) {
    const subscribers = sorted.filter(member => member.topics.has(topic))
    const count = counts.get(topic) ?? 0
    const each = Math.floor(count / subscribers.length)
    const longer = count % subscribers.length
    let next = 0
    subscribers.forEach((member, rank) => {
      const length = each + (rank < longer ? 1 : 0)
      if (length > 0)
        result.get(member.memberId)?.set(
          topic,
          Array.from({ length }, (_, at) => next + at),
        )
      next += length
    })
  }
  return result
}
