/**
 * One member as its coordinator knows it. Owned and changed by `GroupCoordinator` alone.
 *
 * Invariants: `granted` is what the member may be working on in the worst case, whatever messages are still under way; no partition is granted to two
 * members. `settled` implies that the member's last heartbeat named the group's generation and exactly the target.
 */
import type { AssignorMember } from './assignor.ts'
import type { AssignorName } from './assignors.ts'
import type { JoinRequest } from './group-messages.ts'
import { noPartitions, PartitionSet, type TopicPartitions } from './partitions.ts'

export class GroupMember implements AssignorMember {
  readonly memberId: string
  readonly instanceId: string | undefined
  readonly clientId: string
  readonly assignors: readonly AssignorName[]
  readonly sessionTimeoutMs: number
  readonly maxPollIntervalMs: number
  topics: ReadonlySet<string>

  /** Highest sequence of a heartbeat that was taken. */
  sequence = 0
  /** Newest generation that it has confirmed; -1 before the first. Never falls. */
  generation = -1
  /** What it shall hold, by the newest assignment that counted it in. */
  target: TopicPartitions = noPartitions
  granted: PartitionSet = new PartitionSet()
  /** Nothing of the newest assignment is still to do for it or for those before it. */
  settled = false
  /** A nudge was put out, and no request has come since. */
  nudged = false
  /** A static member that left for a while: its id is void, its target is kept until `sessionDeadline`. */
  away = false

  /** Removed when nothing was heard by then. In forward time, ms, as the other deadlines. */
  sessionDeadline = 0
  /** Removed when the application has not asked for records by then. */
  pollDeadline = 0
  /** Removed when it has not followed the rebalance by then; undefined when it is up to date. */
  followDeadline: number | undefined

  constructor(memberId: string, request: JoinRequest) {
    this.memberId = memberId
    this.instanceId = request.instanceId
    this.clientId = request.clientId
    this.assignors = [...request.assignors]
    this.sessionTimeoutMs = request.sessionTimeoutMs
    this.maxPollIntervalMs = request.maxPollIntervalMs
    this.topics = new Set(request.topics)
  }

  /** What the last assignment gave it. */
  get owned(): TopicPartitions {
    return this.target
  }

  /** The earliest deadline, ms. */
  get deadline(): number {
    if (this.away) return this.sessionDeadline
    return Math.min(this.sessionDeadline, this.pollDeadline, this.followDeadline ?? Number.POSITIVE_INFINITY)
  }
}
