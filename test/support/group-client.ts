/**
 * A member of a consumer group as the rules of stream/groups/group-messages.ts want it, without I/O: for tests of coordinators. It stops at once what it
 * is told to stop, unless `stuck`.
 */
import type { AssignorName } from '../../stream/groups/assignors.ts'
import type { HeartbeatRequest, JoinRequest, MembershipReply } from '../../stream/groups/group-messages.ts'
import type { Groups } from '../../stream/groups/groups.ts'
import { noPartitions, samePartitions, type TopicPartitions, withoutPartitions } from '../../stream/groups/partitions.ts'

export interface ClientOptions {
  readonly group?: string
  readonly topics?: readonly string[]
  readonly assignors?: readonly AssignorName[]
  readonly instanceId?: string
  readonly sessionTimeoutMs?: number
  readonly maxPollIntervalMs?: number
}

export function joinRequest(clientId: string, options: ClientOptions = {}): JoinRequest {
  return {
    type: 'join',
    clientId,
    group: 'g',
    topics: ['t'],
    assignors: ['cooperative-sticky'],
    sessionTimeoutMs: 45_000,
    maxPollIntervalMs: 300_000,
    ...options,
  }
}

export class GroupClient {
  readonly group: string
  memberId = ''
  generation = -1
  sequence = 0
  holds: TopicPartitions = noPartitions
  /** Does not stop what it holds. */
  stuck = false

  constructor(clientId: string, options: ClientOptions, groups: Groups, now: number) {
    const request = joinRequest(clientId, options)
    this.group = request.group
    this.take(groups.step(request, now) as MembershipReply)
  }

  /** Takes an answer. True when it stopped something, and so should speak again at once. */
  take(reply: MembershipReply): boolean {
    this.memberId = reply.memberId
    this.generation = reply.generation
    const stops = withoutPartitions(this.holds, reply.assignment).size > 0
    const starts = !samePartitions(this.holds, reply.assignment)
    if (stops && this.stuck) return false
    // What is new starts after the stop was told; nothing was told yet when something stops.
    this.holds = stops ? withoutPartitions(this.holds, withoutPartitions(this.holds, reply.assignment)) : reply.assignment
    return stops || starts
  }

  request(more: Partial<HeartbeatRequest> = {}): HeartbeatRequest {
    const { group, memberId, generation, holds } = this
    return { type: 'heartbeat', group, memberId, generation, holds, sequence: ++this.sequence, polled: true, ...more }
  }

  /** Heartbeats until there is nothing to tell any more. */
  heartbeat(groups: Groups, now: number, more: Partial<HeartbeatRequest> = {}): void {
    while (this.take(groups.step(this.request(more), now) as MembershipReply));
  }

  leave(groups: Groups, now: number, temporary = false): void {
    groups.step({ type: 'leave', group: this.group, memberId: this.memberId, temporary }, now)
  }
}
