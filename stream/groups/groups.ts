/**
 * All consumer groups of one owner: one coordinator each, made at the first join. Decides nothing itself: it finds the coordinator, and knows which one
 * is the next to have something due, so that ten thousand idle groups cost a timer and a few kilobytes each.
 *
 * Owned by whoever has timers and channels to members: it calls `step` for each request, `tick` when `delay` says so, and after each of them
 * `drain` for nudges and events. `now` is a reading of one clock, ms; it may jump.
 */
import { type Random, VarveError } from '../../engine/index.ts'
import { isAssignorName } from './assignors.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { ForwardTime } from './forward-time.ts'
import { type CoordinatorPlace, GroupCoordinator } from './group-coordinator.ts'
import type { CommitCheck, GroupDescription, GroupOutput, GroupRequest, JoinRequest, MembershipReply } from './group-messages.ts'
import { checkInteger, type GroupOptions, resolveGroupOptions } from './group-options.ts'

export class Groups {
  readonly #groups = new Map<string, GroupCoordinator>()
  readonly #counts = new Map<string, number>()
  readonly #topicIds = new Map<string, number>()
  readonly #time = new ForwardTime()
  readonly #place: CoordinatorPlace
  readonly #generationOf: (group: string) => number
  #output: GroupOutput = { nudges: [], events: [] }
  readonly #queue = new DeadlineQueue<GroupCoordinator>()
  readonly #gathering = new Set<GroupCoordinator>()
  /** For each coordinator in the queue the time of its entry that counts: the earliest. */
  readonly #queued = new Map<GroupCoordinator, number>()

  /** `generationOf`: the newest generation that a group had before it was known here. */
  constructor(random: Random, options?: GroupOptions, generationOf: (group: string) => number = () => 0) {
    const groups = this
    this.#generationOf = generationOf
    this.#place = {
      options: resolveGroupOptions(options),
      time: this.#time,
      random,
      counts: this.#counts,
      topicIds: this.#topicIds,
      get output() {
        return groups.#output
      },
    }
  }

  /** Some group's join window is open: `tick` will be called soon, and somebody waits for it. */
  get isGathering(): boolean {
    return this.#gathering.size > 0
  }

  /** Names of all groups, empty ones too. */
  get names(): string[] {
    return [...this.#groups.keys()]
  }

  /**
   * Handles one request; `leave` has no answer. Throws the coordinator's errors: UNKNOWN_MEMBER, FENCED_MEMBER, ILLEGAL_GENERATION,
   * INCONSISTENT_GROUP, TOO_LARGE; TypeError or RangeError when a join makes no sense.
   */
  step(request: GroupRequest, now: number): MembershipReply | undefined {
    if (request.type === 'join') {
      checkJoin(request)
      const coordinator = this.#groups.get(request.group) ?? this.#create(request.group)
      return this.#after(coordinator, coordinator.join(request, now))
    }
    const coordinator = this.#groups.get(request.group)
    if (request.type === 'leave') {
      if (coordinator !== undefined) this.#after(coordinator, coordinator.leave(request, now))
      return undefined
    }
    if (coordinator === undefined) throw unknownGroup(request.group, request.memberId)
    return this.#after(coordinator, coordinator.heartbeat(request, now))
  }

  /** Throws unless the member may commit offsets of these partitions now. */
  checkCommit(check: CommitCheck): void {
    const coordinator = this.#groups.get(check.group)
    if (coordinator === undefined) throw unknownGroup(check.group, check.memberId)
    coordinator.checkCommit(check)
  }

  /**
   * Takes partition counts that may be new: of topics that were created, grew, or (0) are gone. Groups that subscribe to them rebalance. The id tells a topic from one
   * that has its name later.
   */
  topicsChanged(counts: Iterable<readonly [topic: string, count: number, id?: number | undefined]>, now: number): void {
    const changed = new Set<string>()
    for (const [topic, count, id] of counts) {
      if ((this.#counts.get(topic) ?? 0) === count && (count === 0 || this.#topicIds.get(topic) === id)) continue
      changed.add(topic)
      if (count === 0) this.#counts.delete(topic)
      else this.#counts.set(topic, count)
      if (count === 0 || id === undefined) this.#topicIds.delete(topic)
      else this.#topicIds.set(topic, id)
    }
    if (changed.size === 0) return
    for (const coordinator of this.#groups.values()) {
      coordinator.topicsChanged(changed, now)
      this.#enqueue(coordinator)
    }
  }

  /** Handles what is due. */
  tick(now: number): void {
    const time = this.#time.advance(now)
    for (;;) {
      const due = this.#queue.popDue(time)
      if (due === undefined) return
      if (this.#queued.get(due.owner) !== due.at) continue
      this.#queued.delete(due.owner)
      due.owner.tick(now)
      this.#enqueue(due.owner)
    }
  }

  /** In how many whole milliseconds `tick` should be called; undefined when nothing will be due. May be too early, never negative. */
  delay(now: number): number | undefined {
    const { earliest } = this.#queue
    return earliest === Number.POSITIVE_INFINITY ? undefined : Math.max(0, Math.ceil(earliest - this.#time.advance(now)))
  }

  /** Nudges and events since the last call. */
  drain(): GroupOutput {
    const output = this.#output
    if (output.nudges.length > 0 || output.events.length > 0) this.#output = { nudges: [], events: [] }
    return output
  }

  /** How many members a group has. */
  size(group: string): number {
    return this.#groups.get(group)?.size ?? 0
  }

  /** The newest generation of a group; undefined when there is no such group. */
  generation(group: string): number | undefined {
    return this.#groups.get(group)?.generation
  }

  /** undefined when there is no such group. */
  describe(group: string): GroupDescription | undefined {
    return this.#groups.get(group)?.describe()
  }

  /** Forgets the group. GROUP_NOT_EMPTY while it has members; one that is not there is fine. */
  delete(group: string): void {
    const coordinator = this.#groups.get(group)
    if (coordinator === undefined) return
    coordinator.delete()
    this.#groups.delete(group)
    this.#queued.delete(coordinator)
    this.#gathering.delete(coordinator)
  }

  #create(group: string): GroupCoordinator {
    const coordinator = new GroupCoordinator(group, this.#place, this.#generationOf(group))
    this.#groups.set(group, coordinator)
    return coordinator
  }

  #after<T>(coordinator: GroupCoordinator, answer: T): T {
    this.#enqueue(coordinator)
    return answer
  }

  /** Makes sure that the queue wakes the coordinator in time. */
  #enqueue(coordinator: GroupCoordinator): void {
    if (coordinator.isGathering) this.#gathering.add(coordinator)
    else this.#gathering.delete(coordinator)
    const at = coordinator.dueAt
    if (at >= (this.#queued.get(coordinator) ?? Number.POSITIVE_INFINITY)) return
    this.#queued.set(coordinator, at)
    this.#queue.push(at, coordinator)
  }
}

function checkJoin(request: JoinRequest): void {
  if (typeof request.group !== 'string' || request.group === '') throw new TypeError('group is a string that is not empty')
  if (request.assignors.length === 0 || !request.assignors.every(isAssignorName))
    throw new TypeError(`assignors are named 'range', 'round-robin', 'sticky' or 'cooperative-sticky', not ${String(request.assignors)}`)
  checkInteger('sessionTimeoutMs', request.sessionTimeoutMs, 1)
  checkInteger('maxPollIntervalMs', request.maxPollIntervalMs, 1)
}

function unknownGroup(group: string, memberId: string): VarveError {
  return new VarveError('UNKNOWN_MEMBER', `there is no group '${group}'`, { details: { group, memberId } })
}
