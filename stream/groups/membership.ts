/**
 * One member's side of a group: joins, beats, follows the rules of `group-messages.ts`. Owned by a `GroupConsumer`, which asks it what to stop and what to
 * start, and tells it when that is done.
 *
 * Invariant: `holds` is what was started and not yet stopped. It speaks with one request at a time; when something changes meanwhile it speaks again. While
 * the owner is busy with records the heartbeats go on, but say that nobody has polled.
 */
import { type Awaitable, type Environment, isVarveError, VarveError } from '../../engine/index.ts'
import type { AssignorName } from './assignors.ts'
import type { MembershipReply } from './group-messages.ts'
import type { GroupTransport } from './group-transport.ts'
import { noPartitions, samePartitions, type TopicPartitions, withoutPartitions } from './partitions.ts'

/** What to join, and how. */
export interface MembershipOptions {
  readonly group: string
  readonly clientId: string
  readonly instanceId: string | undefined
  readonly assignors: readonly AssignorName[]
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly maxPollIntervalMs: number
  readonly topics: Subscription
}

/** What an answer said of topics. */
export type ToldBefore = Pick<MembershipReply, 'generation' | 'topicIds'>

/** In the place of the id of a topic that is to be stopped. */
const idStopping = -1

const noTopicIds: ReadonlyMap<string, number> = new Map()

/** Topics by name, or by what their names are when it is asked, or all that match. */
export type Subscription = readonly string[] | (() => readonly string[]) | RegExp

export class Membership {
  readonly #transport: GroupTransport
  readonly #environment: Pick<Environment, 'clock' | 'timers'>
  readonly #options: MembershipOptions
  /** Called when there is something to stop, to start or to throw. */
  readonly #changed: () => void
  #topics: Subscription
  #memberId: string | undefined
  #generation = -1
  #sequence = 0
  #holds: TopicPartitions = noPartitions
  /** Which topics those of `holds` are, by name. */
  readonly #heldIds = new Map<string, number>()
  /** The newest answer. */
  #reply: MembershipReply | undefined
  /** What it may hold by that, and can. */
  #assignment: TopicPartitions = noPartitions
  /** Partitions that were not there when the owner wanted to start them, with what the answer was then. */
  readonly #missing = new Set<string>()
  #failure: unknown
  #ended = false
  #isSpeaking = false
  /** Something has changed since the request that is under way. */
  #again = false
  /** The owner has asked for records since the last heartbeat, or waits for some. */
  #polled = true
  #isWaiting = false
  #cancelBeat: (() => void) | undefined
  #endListening: (() => void) | undefined
  /** When the last request that was answered was sent, monotonic ms. */
  #heardAt = 0

  constructor(
    transport: GroupTransport,
    environment: Pick<Environment, 'clock' | 'timers'>,
    options: MembershipOptions,
    changed: () => void,
  ) {
    this.#transport = transport
    this.#environment = environment
    this.#options = options
    this.#topics = copyOf(options.topics)
    this.#changed = changed
  }

  /** undefined before the coordinator has answered. */
  get memberId(): string | undefined {
    return this.#memberId
  }
  get generation(): number {
    return this.#generation
  }
  /** What was started and not stopped. */
  get holds(): TopicPartitions {
    return this.#holds
  }
  /** Why it is no member any more: FENCED_MEMBER, UNKNOWN_MEMBER, or what ended the transport. */
  get failure(): unknown {
    return this.#failure
  }
  /** What must be stopped before anything else is done. */
  get toStop(): TopicPartitions {
    return withoutPartitions(this.#holds, this.#assignment)
  }
  /** What may be started once nothing must be stopped. */
  get toStart(): TopicPartitions {
    return withoutPartitions(this.#assignment, this.#holds)
  }
  /** Whether there is something to do for the owner. */
  get isPending(): boolean {
    return this.#failure !== undefined || !samePartitions(this.#holds, this.#assignment)
  }

  /** Which topics have the names in `toStart`, as far as the coordinator said. */
  get topicIds(): ReadonlyMap<string, number> {
    return this.#reply?.topicIds ?? noTopicIds
  }

  /** Joins; after a failure it joins anew, as another member. */
  start(): void {
    this.#failure = undefined
    this.#memberId = undefined
    this.#generation = -1
    this.#sequence = 0
    this.#holds = noPartitions
    this.#heldIds.clear()
    this.#missing.clear()
    this.#reply = undefined
    this.#assignment = noPartitions
    this.#heardAt = this.#environment.clock.monotonic()
    this.#polled = true
    this.#speak()
  }

  /** The owner asks for records; with `isWaiting` it goes on asking until it says otherwise. */
  polled(isWaiting: boolean): void {
    this.#polled = true
    this.#isWaiting = isWaiting
  }

  /** These were stopped. */
  stopped(partitions: TopicPartitions): void {
    this.#holds = withoutPartitions(this.#holds, partitions)
    for (const topic of partitions.keys()) if (!this.#holds.has(topic)) this.#heldIds.delete(topic)
    this.#speak()
  }

  /**
   * These of `toStart` were started, of these topics, and the others were not there: `missing`. They are tried again when the coordinator says something else than it had
   * said `before`, or with the next heartbeat.
   */
  started(partitions: TopicPartitions, topicIds: ReadonlyMap<string, number>, missing: TopicPartitions, before: ToldBefore): void {
    const holds = new Map(this.#holds)
    for (const [topic, list] of partitions) {
      const id = topicIds.get(topic)
      if (id !== undefined) this.#heldIds.set(topic, id)
      holds.set(
        topic,
        [...(holds.get(topic) ?? []), ...list].sort((a, b) => a - b),
      )
    }
    this.#holds = holds
    for (const [topic, list] of missing) for (const partition of list) this.#missing.add(nameOfMissing(topic, partition, before))
    if (this.#reply !== undefined) this.#assignment = this.#startable(this.#reply)
    this.#speak()
  }

  /** Subscribes to other topics from now on. */
  subscribe(topics: Subscription): void {
    this.#topics = copyOf(topics)
    this.#speak()
  }

  /** Leaves; a static member keeps its place for its session timeout. Idempotent. */
  async leave(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#cancelBeat?.()
    this.#endListening?.()
    const memberId = this.#memberId
    this.#holds = noPartitions
    this.#assignment = noPartitions
    if (memberId === undefined || this.#failure !== undefined) return
    const { group, instanceId } = this.#options
    await this.#transport.request({ type: 'leave', group, memberId, temporary: instanceId !== undefined })
  }

  #speak(): void {
    if (this.#ended || this.#failure !== undefined) return
    if (this.#isSpeaking) {
      this.#again = true
      return
    }
    this.#isSpeaking = true
    this.#arm()
    this.#converse().then(
      () => this.#spoken(),
      error => {
        this.#spoken()
        this.#fail(error)
      },
    )
  }

  async #converse(): Promise<void> {
    do {
      this.#again = false
      const sentAt = this.#environment.clock.monotonic()
      const topics = this.#topics instanceof RegExp ? await this.#transport.matching(this.#topics) : this.#topics
      const asked = this.#ask(typeof topics === 'function' ? topics() : topics)
      const reply = isPromise(asked) ? await asked : asked
      if (this.#ended) {
        // It was made a member after it had left.
        if (this.#memberId === undefined && reply !== undefined)
          await this.#transport.request({ type: 'leave', group: this.#options.group, memberId: reply.memberId })
        return
      }
      if (reply === undefined) throw new VarveError('INVARIANT', 'a heartbeat is answered')
      this.#heardAt = sentAt
      this.#take(reply)
    } while (this.#again && !this.#ended && this.#failure === undefined)
  }

  #ask(topics: readonly string[]): Awaitable<MembershipReply | undefined> {
    const { group, clientId, instanceId, assignors, sessionTimeoutMs, maxPollIntervalMs } = this.#options
    const polled = this.#polled
    this.#polled = this.#isWaiting
    const memberId = this.#memberId
    if (memberId === undefined)
      return this.#transport.request({ type: 'join', group, clientId, instanceId, topics, assignors, sessionTimeoutMs, maxPollIntervalMs })
    return this.#transport.request({
      ...{ type: 'heartbeat', group, memberId, sequence: ++this.#sequence, generation: this.#generation },
      ...{ holds: this.#holds, polled, topics },
    })
  }

  #take(reply: MembershipReply): void {
    if (this.#memberId === undefined) {
      this.#memberId = reply.memberId
      this.#endListening?.()
      this.#endListening = this.#transport.listen(reply.memberId, () => this.#speak())
    }
    // A generation that the coordinator does not know yet as known here is told by the next heartbeat, at once.
    if (reply.generation !== this.#generation) this.#again = true
    this.#generation = reply.generation
    this.#reply = reply
    this.#assignment = this.#startable(reply)
    if (this.isPending) this.#changed()
  }

  /** The assignment without topics of which it holds partitions of another that had the name, or that has another name in it: those are stopped first. */
  #ofSameTopics({ assignment, topicIds }: MembershipReply): TopicPartitions {
    let same: Map<string, readonly number[]> | undefined
    for (const [topic, id] of this.#heldIds) {
      const now = topicIds.get(topic)
      if (id !== idStopping && (now === undefined ? ![...topicIds.values()].includes(id) : now === id)) continue
      // Also if the name comes back before that is done: others may have read on meanwhile.
      this.#heldIds.set(topic, idStopping)
      same ??= new Map(assignment)
      same.delete(topic)
    }
    return same ?? assignment
  }

  /** Of an answer what it may hold and can, as far as it knows. */
  #startable(reply: MembershipReply): TopicPartitions {
    const assignment = this.#ofSameTopics(reply)
    if (this.#missing.size === 0) return assignment
    const missing = new Map<string, number[]>()
    for (const [topic, list] of assignment)
      missing.set(
        topic,
        list.filter(partition => this.#missing.has(nameOfMissing(topic, partition, reply))),
      )
    return withoutPartitions(assignment, missing)
  }

  #spoken(): void {
    this.#isSpeaking = false
  }

  /** Sets the next heartbeat, counted from now. */
  #arm(): void {
    this.#cancelBeat?.()
    this.#cancelBeat = this.#environment.timers.after(this.#options.heartbeatIntervalMs, () => this.#beat())
  }

  #beat(): void {
    const { group, sessionTimeoutMs } = this.#options
    this.#arm()
    this.#missing.clear()
    if (this.#environment.clock.monotonic() - this.#heardAt > sessionTimeoutMs) {
      const message = `group '${group}': the coordinator was not heard of for ${sessionTimeoutMs} ms`
      this.#fail(new VarveError('FENCED_MEMBER', message, { details: { group, memberId: this.#memberId, reason: 'session-timeout' } }))
    } else this.#speak()
  }

  #fail(error: unknown): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#failure = error
    this.#cancelBeat?.()
    this.#endListening?.()
    this.#changed()
  }
}

function nameOfMissing(topic: string, partition: number, { generation, topicIds }: ToldBefore): string {
  return `${generation} ${topicIds.get(topic)} ${partition} ${topic}`
}

/** Out of reach of what the caller does with an array later. */
function copyOf(topics: Subscription): Subscription {
  return Array.isArray(topics) ? [...topics] : topics
}

/** Whether a consumer may join again after it was removed with this error. */
export function mayRejoin(error: unknown): boolean {
  if (isVarveError(error, 'UNKNOWN_MEMBER') || isVarveError(error, 'ILLEGAL_GENERATION')) return true
  return isVarveError(error, 'FENCED_MEMBER') && error.details.reason !== 'replaced'
}

function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function'
}
