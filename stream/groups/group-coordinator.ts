/**
 * The coordinator of one consumer group: who is a member, who has which partition, and how it changes hands. A state machine without I/O, timers or
 * randomness of its own: requests and the clock's readings go in, answers, nudges and events come out. Owned by `Groups`.
 *
 * A rebalance:
 * 1. Something changes (join, leave, silence, subscription, partitions): *PreparingRebalance*, and the join window opens. Under the eager protocol
 *    everybody is told at once to hold nothing.
 * 2. The window closes and, if eager, everybody holds nothing: the generation grows by one, the assignor is asked: *CompletingRebalance*.
 * 3. A member is granted those partitions of its target that nobody holds. Who holds something beyond its target is told to stop, and when its
 *    heartbeat no longer lists a partition, that is free (as in KIP-848). All hold their targets: *Stable*.
 * A change meanwhile leads back to 1; hand-overs that are under way just go on.
 *
 * Invariants: a partition is granted to one member at most; the generation never falls and grows with each assignment; whoever does not follow (no
 * heartbeat, no poll, no hand-over in time) is removed, so that every rebalance ends.
 */
import { assert, type Random, VarveError } from '../../engine/index.ts'
import type { GroupAssignment } from './assignor.ts'
import { chooseAssignor, type NamedAssignor } from './assignors.ts'
import type { ForwardTime } from './forward-time.ts'
import { GroupMember } from './group-member.ts'
import type {
  CommitCheck,
  FenceReason,
  GroupDescription,
  GroupOutput,
  GroupState,
  HeartbeatRequest,
  JoinRequest,
  LeaveRequest,
  MembershipReply,
  RebalanceReason,
} from './group-messages.ts'
import type { ResolvedGroupOptions } from './group-options.ts'
import { Holders } from './holders.ts'
import { countPartitions, noPartitions, type PartitionCounts, partitionSet, samePartitions } from './partitions.ts'

/** What a coordinator needs of its owner. */
export interface CoordinatorPlace {
  readonly options: ResolvedGroupOptions
  /** Shared by all coordinators of one owner, so that their deadlines can be compared. */
  readonly time: ForwardTime
  /** For member ids. */
  readonly random: Random
  /** Changed by the owner, which then calls `topicsChanged`. */
  readonly counts: PartitionCounts
  /** Which topic has a name now. */
  readonly topicIds: ReadonlyMap<string, number>
  readonly output: GroupOutput
}

/** How many fenced members a group remembers, to tell them why. */
const REMEMBERED_MAX = 100

/** How many join windows one rebalance waits at most. */
const WINDOWS_MAX = 10

export class GroupCoordinator {
  readonly group: string
  readonly #place: CoordinatorPlace
  readonly #members = new Map<string, GroupMember>()
  /** Static members by instance id. */
  readonly #instances = new Map<string, GroupMember>()
  readonly #fenced = new Map<string, FenceReason>()
  readonly #holders = new Holders()
  #assignor: NamedAssignor | undefined
  /** Grows by one with each assignment, and when the group becomes empty. */
  #generation: number
  /** Set from the first cause of a rebalance to the assignment. Times are forward time, ms. */
  #preparing: { readonly reason: RebalanceReason; readonly since: number; closesAt: number } | undefined
  /** When the join window was looked at last; forward time, ms. */
  #gathersAt = 0
  /** When the rebalance began that is not complete yet; forward time, ms. */
  #unstableSince: number | undefined
  /** All members have confirmed the newest assignment. */
  #stable = false
  #dead = false
  /** `tick` has nothing to do before, forward time in ms. Invariant: no deadline is earlier. */
  #dueAt = Number.POSITIVE_INFINITY

  /** `generation`: the newest that the group has had, perhaps with another coordinator. */
  constructor(group: string, place: CoordinatorPlace, generation: number = 0) {
    this.group = group
    this.#place = place
    this.#generation = generation
  }

  /** Nothing falls due before, forward time in ms; Infinity when nothing will. May be too early, never too late. */
  get dueAt(): number {
    return this.#dueAt
  }

  get state(): GroupState {
    if (this.#dead) return 'Dead'
    if (this.#members.size === 0) return 'Empty'
    if (this.#preparing !== undefined) return 'PreparingRebalance'
    return this.#stable ? 'Stable' : 'CompletingRebalance'
  }

  get generation(): number {
    return this.#generation
  }

  /** The join window is open: the group waits for time to pass, and for nothing else. */
  get isGathering(): boolean {
    return this.#preparing !== undefined && this.#gathersAt < this.#preparing.closesAt
  }

  /** How many members there are, those that are away included. */
  get size(): number {
    return this.#members.size
  }

  /** Adds a member. TOO_LARGE when the group is full, INCONSISTENT_GROUP when it shares no assignor with the others. */
  join(request: JoinRequest, now: number): MembershipReply {
    const time = this.#advance(now)
    const before = request.instanceId === undefined ? undefined : this.#instances.get(request.instanceId)
    this.#checkJoin(request, before)
    const member = new GroupMember(this.#newMemberId(request.clientId), request)
    member.sessionDeadline = this.#due(time + member.sessionTimeoutMs)
    member.pollDeadline = this.#due(time + member.maxPollIntervalMs)
    if (before === undefined) this.#members.set(member.memberId, member)
    else this.#replace(before, member, time)
    if (member.instanceId !== undefined) this.#instances.set(member.instanceId, member)
    this.#place.output.events.push({ type: 'joined', group: this.group, memberId: member.memberId, replaced: before?.memberId })
    if (before === undefined) this.#begin('join', time)
    else if (!sameTopics(before.topics, request.topics) || this.#choose() !== this.#assignor) this.#begin('subscription', time)
    this.#maybeAssign(time)
    return this.#answer(member)
  }

  /** UNKNOWN_MEMBER or FENCED_MEMBER when it is not a member (any more), ILLEGAL_GENERATION when it names one that never was. */
  heartbeat(request: HeartbeatRequest, now: number): MembershipReply {
    const time = this.#advance(now)
    const member = this.#member(request.memberId)
    if (request.generation > this.#generation) throw illegalGeneration(this.group, request.generation, this.#generation)
    if (request.sequence <= member.sequence) return this.#answer(member)
    member.sequence = request.sequence
    member.nudged = false
    member.sessionDeadline = this.#due(time + member.sessionTimeoutMs)
    if (request.polled) member.pollDeadline = this.#due(time + member.maxPollIntervalMs)
    member.generation = Math.max(member.generation, request.generation)
    if (request.topics !== undefined && !sameTopics(member.topics, request.topics)) {
      member.topics = new Set(request.topics)
      this.#begin('subscription', time)
    }
    this.#takeHoldings(member, request)
    this.#maybeAssign(time)
    this.#maybeStable(time)
    return this.#answer(member)
  }

  /** Removes the member; one that is not there is fine. */
  leave(request: LeaveRequest, now: number): void {
    const time = this.#advance(now)
    const member = this.#members.get(request.memberId)
    if (member === undefined || member.away) return
    this.#place.output.events.push({ type: 'left', group: this.group, memberId: member.memberId })
    if (request.temporary === true && member.instanceId !== undefined) {
      member.away = true
      member.followDeadline = undefined
      member.sessionDeadline = this.#due(time + member.sessionTimeoutMs)
      this.#releaseAll(member)
    } else {
      this.#remove(member)
      this.#begin('leave', time)
    }
    this.#maybeAssign(time)
    this.#maybeStable(time)
  }

  /** Throws unless the member may commit offsets of these partitions: NOT_ASSIGNED, ILLEGAL_GENERATION, and as `heartbeat`. */
  checkCommit(check: CommitCheck): void {
    const member = this.#member(check.memberId)
    if (check.generation > this.#generation || check.generation < member.generation)
      throw illegalGeneration(this.group, check.generation, this.#generation)
    for (const { topic, partition, renamedTo } of check.offsets) {
      // Who has been given the partition by its new name has read on from what was committed then.
      const heir = renamedTo === undefined ? undefined : this.#holders.holderOf(renamedTo, partition)
      if (!member.granted.has(topic, partition) || (heir !== undefined && heir !== member))
        throw new VarveError(
          'NOT_ASSIGNED',
          `group '${this.group}': partition ${partition} of '${topic}' is not this member's (any more)`,
          {
            details: { group: this.group, memberId: check.memberId, topic, partition },
          },
        )
    }
  }

  /** These topics have other counts, or ids, than before. */
  topicsChanged(topics: ReadonlySet<string>, now: number): void {
    const time = this.#advance(now)
    for (const member of this.#members.values())
      for (const topic of topics)
        if (member.topics.has(topic)) {
          this.#begin('topics', time)
          this.#maybeAssign(time)
          return
        }
  }

  /** Removes who is overdue, and closes the join window. */
  tick(now: number): void {
    const time = this.#advance(now)
    if (time < this.#dueAt) return
    const overdue = [...this.#members.values()].filter(member => member.deadline <= time)
    for (const member of overdue) this.#fence(member, overdueBy(member, time))
    if (overdue.length > 0) this.#begin('fenced', time)
    this.#maybeAssign(time)
    this.#maybeStable(time)
    this.#dueAt = this.#preparing !== undefined && this.#preparing.closesAt > time ? this.#preparing.closesAt : Number.POSITIVE_INFINITY
    for (const member of this.#members.values()) this.#due(member.deadline)
  }

  /** Ends the group. GROUP_NOT_EMPTY while it has members. */
  delete(): void {
    if (this.#members.size > 0)
      throw new VarveError('GROUP_NOT_EMPTY', `group '${this.group}' has ${this.#members.size} members`, { details: { group: this.group } })
    this.#dead = true
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  describe(): GroupDescription {
    return {
      group: this.group,
      state: this.state,
      generation: this.#generation,
      assignor: this.#assignor?.name,
      members: [...this.#members.values()].map(member => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        clientId: member.clientId,
        topics: [...member.topics],
        assignment: member.target,
        holds: member.granted.toTopicPartitions(),
        generation: member.generation,
        away: member.away,
      })),
    }
  }

  #advance(now: number): number {
    assert(!this.#dead, 'a deleted group is not asked', this.group)
    return this.#place.time.advance(now)
  }

  #due(at: number): number {
    if (at < this.#dueAt) this.#dueAt = at
    return at
  }

  #newMemberId(clientId: string): string {
    let id = clientId
    for (let word = 0; word < 4; word++) id += `${word === 0 ? '-' : ''}${this.#place.random.uint32().toString(16).padStart(8, '0')}`
    return id
  }

  #member(memberId: string): GroupMember {
    const member = this.#members.get(memberId)
    if (member !== undefined && !member.away) return member
    const reason = this.#fenced.get(memberId)
    const details = { group: this.group, memberId, reason }
    if (reason === undefined) throw new VarveError('UNKNOWN_MEMBER', `group '${this.group}' has no member '${memberId}'`, { details })
    throw new VarveError('FENCED_MEMBER', `group '${this.group}' has removed member '${memberId}': ${reason}`, { details })
  }

  #checkJoin(request: JoinRequest, before: GroupMember | undefined): void {
    const { membersMax } = this.#place.options
    if (before === undefined && this.#members.size >= membersMax)
      throw new VarveError('TOO_LARGE', `group '${this.group}' has ${membersMax} members`, {
        details: { limit: 'membersMax', expected: membersMax, group: this.group },
      })
    const others = [...this.#members.values()].filter(member => member !== before)
    if (chooseAssignor([...others.map(member => member.assignors), request.assignors]) === undefined)
      throw new VarveError('INCONSISTENT_GROUP', `group '${this.group}': no assignor is named by all members`, {
        details: { group: this.group, expected: this.#assignor?.name, actual: request.assignors },
      })
  }

  /** A static member is back: it takes the place of the one before, which is fenced unless it left. */
  #replace(before: GroupMember, member: GroupMember, time: number): void {
    if (before.away) this.#members.delete(before.memberId)
    else this.#fence(before, 'replaced')
    member.target = before.target
    this.#members.set(member.memberId, member)
    this.#holders.setTarget(member)
    member.followDeadline = this.#due(time + member.maxPollIntervalMs)
  }

  #fence(member: GroupMember, reason: FenceReason): void {
    this.#remove(member)
    this.#fenced.set(member.memberId, reason)
    for (const oldest of this.#fenced.keys()) if (this.#fenced.size > REMEMBERED_MAX) this.#fenced.delete(oldest)
    this.#place.output.events.push({ type: 'fenced', group: this.group, memberId: member.memberId, reason })
  }

  #remove(member: GroupMember): void {
    this.#members.delete(member.memberId)
    if (member.instanceId !== undefined) this.#instances.delete(member.instanceId)
    this.#releaseAll(member)
  }

  #releaseAll(member: GroupMember): void {
    member.granted.each((topic, partition) => this.#release(topic, partition, member))
  }

  #release(topic: string, partition: number, member: GroupMember): void {
    this.#holders.release(topic, partition, member)
    const next = this.#holders.targetOf(topic, partition)
    if (next !== undefined && next !== member && !this.#revokesAll()) this.#nudge(next)
  }

  #nudge(member: GroupMember): void {
    if (member.nudged || member.away || this.#members.get(member.memberId) !== member) return
    member.nudged = true
    this.#place.output.nudges.push({ group: this.group, memberId: member.memberId })
  }

  #choose(): NamedAssignor | undefined {
    return chooseAssignor([...this.#members.values()].map(member => member.assignors))
  }

  /** Step 1. */
  #begin(reason: RebalanceReason, time: number): void {
    if (this.#members.size === 0) {
      this.#becomeEmpty()
      return
    }
    this.#assignor = this.#choose()
    assert(this.#assignor !== undefined, 'joins keep an assignor common to all', this.group)
    const window = this.#place.options.joinWindowMs
    this.#unstableSince ??= time
    this.#stable = false
    if (this.#preparing === undefined) this.#preparing = { reason, since: time, closesAt: time + window }
    else
      this.#preparing.closesAt = Math.max(this.#preparing.closesAt, Math.min(time + window, this.#preparing.since + WINDOWS_MAX * window))
    this.#due(this.#preparing.closesAt)
    if (!this.#revokesAll()) return
    for (const member of this.#members.values()) {
      if (member.granted.size === 0) continue
      member.followDeadline ??= this.#due(time + member.maxPollIntervalMs)
      this.#nudge(member)
    }
  }

  #becomeEmpty(): void {
    assert(this.#holders.held === 0, 'nobody is left to hold a partition', this.#holders.held)
    this.#generation++
    this.#preparing = undefined
    this.#unstableSince = undefined
    this.#stable = false
    this.#assignor = undefined
    this.#holders.setTargets([])
    this.#place.output.events.push({ type: 'empty', group: this.group, generation: this.#generation })
  }

  /** Nobody may hold anything now. */
  #revokesAll(): boolean {
    return this.#preparing !== undefined && this.#assignor?.protocol === 'eager'
  }

  #shallHold(member: GroupMember, topic: string, partition: number): boolean {
    return !this.#revokesAll() && this.#holders.targetOf(topic, partition) === member
  }

  /** Takes note of what the member still works on, and frees what it has given up. */
  #takeHoldings(member: GroupMember, { holds, generation }: HeartbeatRequest): void {
    const held = partitionSet(holds)
    let surplus = 0
    member.granted.each((topic, partition) => {
      if (this.#shallHold(member, topic, partition)) return
      if (held.has(topic, partition)) surplus++
      else this.#release(topic, partition, member)
    })
    if (surplus === 0 && (generation === this.#generation || this.#revokesAll())) member.followDeadline = undefined
    member.settled = this.#preparing === undefined && generation === this.#generation && samePartitions(holds, member.target)
  }

  /** Step 2, when it is time. */
  #maybeAssign(time: number): void {
    const preparing = this.#preparing
    this.#gathersAt = time
    if (preparing === undefined || time < preparing.closesAt) return
    if (this.#assignor?.protocol === 'eager' && this.#holders.held > 0) return
    assert(this.#assignor !== undefined, 'a group with members has an assignor', this.group)
    const members = [...this.#members.values()]
    const assignment = this.#assignor.assign(members, this.#place.counts)
    this.#preparing = undefined
    this.#generation++
    const { moved, partitions } = this.#compare(assignment)
    for (const member of members) {
      const target = assignment.get(member.memberId)
      assert(target !== undefined, 'an assignor names every member', member.memberId)
      member.target = target
      member.settled = false
      if (!member.away) member.followDeadline ??= this.#due(time + member.maxPollIntervalMs)
    }
    this.#holders.setTargets(members)
    for (const member of members) this.#nudge(member)
    const { reason } = preparing
    this.#place.output.events.push({
      ...{ type: 'rebalance', group: this.group, generation: this.#generation, reason },
      ...{ members: members.length, partitions, moved },
    })
  }

  /** How many partitions an assignment has, and how many of them go from one member to another. */
  #compare(assignment: GroupAssignment): { moved: number; partitions: number } {
    let moved = 0
    let partitions = 0
    for (const [memberId, target] of assignment)
      for (const [topic, list] of target)
        for (const partition of list) {
          partitions++
          const before = this.#holders.targetOf(topic, partition)
          if (before !== undefined && before.memberId !== memberId) moved++
        }
    return { moved, partitions }
  }

  #maybeStable(time: number): void {
    if (this.#stable || this.#preparing !== undefined || this.#members.size === 0) return
    for (const member of this.#members.values()) if (!member.settled && !member.away) return
    const ms = time - (this.#unstableSince ?? time)
    this.#stable = true
    this.#unstableSince = undefined
    this.#place.output.events.push({ type: 'stable', group: this.group, generation: this.#generation, ms })
  }

  /** Step 3 for one member: grants what is free, tells what it may hold. */
  #answer(member: GroupMember): MembershipReply {
    const target = this.#revokesAll() ? noPartitions : member.target
    const assignment = new Map<string, readonly number[]>()
    const topicIds = new Map<string, number>()
    for (const [topic, list] of target) {
      const own = list.filter(
        partition => this.#holders.grant(topic, partition, member) || this.#holders.holderOf(topic, partition) === member,
      )
      if (own.length === 0) continue
      assignment.set(topic, own)
      const id = this.#place.topicIds.get(topic)
      if (id !== undefined) topicIds.set(topic, id)
    }
    const complete = this.#preparing === undefined && countPartitions(assignment) === countPartitions(member.target)
    return { memberId: member.memberId, generation: this.#generation, assignment, topicIds, complete }
  }
}

function overdueBy(member: GroupMember, time: number): FenceReason {
  if (member.sessionDeadline <= time) return 'session-timeout'
  return member.pollDeadline <= time ? 'max-poll-interval' : 'rebalance-timeout'
}

function sameTopics(left: ReadonlySet<string>, right: Iterable<string>): boolean {
  const others = new Set(right)
  return others.size === left.size && [...left].every(topic => others.has(topic))
}

function illegalGeneration(group: string, actual: number, expected: number): VarveError {
  return new VarveError('ILLEGAL_GENERATION', `group '${group}' is at generation ${expected}, the member at ${actual}`, {
    details: { group, expected, actual },
  })
}
