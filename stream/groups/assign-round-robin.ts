/**
 * Kafka's RoundRobinAssignor: all partitions of all topics in order are dealt to the members in order, skipping who does not subscribe.
 * With equal subscriptions nobody has more than one partition more than another.
 */
import { type AssignorMember, compareMembers, type GroupAssignment, subscribedTopics } from './assignor.ts'
import type { PartitionCounts } from './partitions.ts'

export function assignRoundRobin(members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const sorted = [...members].sort(compareMembers)
  const result = new Map<string, Map<string, number[]>>(sorted.map(member => [member.memberId, new Map()]))
  let turn = 0
  for (const topic of subscribedTopics(sorted, counts)) {
    const count = counts.get(topic) ?? 0
    for (let partition = 0; partition < count; partition++) {
      while (!sorted[turn % sorted.length]?.topics.has(topic)) turn++
      const member = sorted[turn++ % sorted.length] as AssignorMember
      const own = result.get(member.memberId) as Map<string, number[]>
      const list = own.get(topic)
      if (list === undefined) own.set(topic, [partition])
      else list.push(partition)
    }
  }
  return result
}
