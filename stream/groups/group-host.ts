/**
 * The coordinators of a database's groups with what they need of the world: timers, the topics' partition counts, the committed offsets, channels for
 * observers. Owned by `Topics`; the in-process `GroupTransport`.
 */
import { groupChannel, isVarveError, type Transaction, VarveError } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import { isInternalTopic } from '../names.ts'
import type { GroupCommit, GroupOffsets } from '../offsets/group-offsets.ts'
import type { CheckedPartition, GroupDescription, GroupEvent, GroupRequest, MembershipReply } from './group-messages.ts'
import type { GroupOptions } from './group-options.ts'
import type { CommittedPosition, GroupTransport, OffsetCommit, OffsetOfTopic, TopicPartition } from './group-transport.ts'
import { Groups } from './groups.ts'
import type { TopicPartitions } from './partitions.ts'

/** What a topic is to groups. */
export interface GroupTopic {
  readonly id: number
  readonly partitionCount: number
  /** Of a partition: offset after the newest record that consumers may read. */
  endOffset(partition: number): number
  /** Of a partition: first offset that can be read. */
  startOffset(partition: number): number
  /** Of a partition: the first record at or after a time, ms; undefined when there is none. */
  offsetForTime(partition: number, time: number): number | undefined
}

/** What it needs of its owner. */
export interface GroupHostPlace {
  readonly host: StreamHost
  readonly offsets: GroupOffsets
  /** undefined when there is no such topic. */
  topic(name: string): GroupTopic | undefined
  topicName(id: number): string | undefined
  topicNames(): string[]
  /** Appends what was sent before, so that an offset never becomes durable before it. Resolves when that is done; undefined when it is already. */
  flushSends(): Promise<void> | undefined
  readonly options?: GroupOptions | undefined
}

/** Counters of one group since the database was opened. */
export interface GroupStats {
  /** Generations made. */
  readonly rebalances: number
  /** Partitions that went from one member to another. */
  readonly moved: number
  /** From the cause of the newest rebalance until all held their partitions, ms. */
  readonly rebalanceMs: number
  /** Members removed because they did not follow. */
  readonly fenced: number
  /** Commits of offsets that were made. */
  readonly commits: number
  /** Commits of offsets that were refused. */
  readonly commitsRefused: number
}

/** A partition as a group sees it. */
export interface GroupPartition extends TopicPartition {
  /** Committed; undefined when nothing was. */
  readonly offset: number | undefined
  /** What was committed beside the offset. */
  readonly metadata: string | undefined
  /** Where the partition ends for readers, exclusive. */
  readonly endOffset: number
  /** Records between the committed offset, or the start, and the end. */
  readonly lag: number
  /** Of the member that holds it. */
  readonly memberId: string | undefined
}

/** A group with its offsets. */
export interface GroupReport extends GroupDescription {
  /** With a committed offset or an assignment; of a topic that members have read all, since they share it. */
  readonly partitions: readonly GroupPartition[]
  /** Records behind, all partitions together. */
  readonly lag: number
  /** Counts since the opening. */
  readonly stats: GroupStats
}

/** Where to set a group's offsets: Kafka's `--reset-offsets`. */
export type ResetTo =
  | 'earliest'
  | 'latest'
  | { readonly time: number }
  | { readonly offset: number }
  /** Relative to what is committed, or to the start. */
  | { readonly shift: number }

type Counters = { -readonly [Name in keyof GroupStats]: GroupStats[Name] }

/** When expired offsets are looked for: so long after the first use, and then so often. */
const EXPIRY_FIRST_MS = 60 * 1000
const EXPIRY_CHECK_MS = 60 * 60 * 1000

export class GroupHost implements GroupTransport {
  readonly #place: GroupHostPlace
  readonly #groups: Groups
  readonly #listeners = new Map<string, () => void>()
  readonly #stats = new Map<string, Counters>()
  /** Ends the timer; set while one is under way. */
  #cancel: (() => void) | undefined
  /** When the timer fires, monotonic ms. */
  #timerAt = Number.POSITIVE_INFINITY
  /** A consumer waits for the end of a join window, and perhaps nothing else keeps the process alive. */
  #timerKeepsAlive = false
  #cancelExpiry: (() => void) | undefined

  constructor(place: GroupHostPlace) {
    this.#place = place
    this.#groups = new Groups(place.host.environment.random, place.options, group => place.offsets.generation(group))
    this.#armExpiry(EXPIRY_FIRST_MS)
  }

  // --- for members ---------------------------------------------------------------------------------------------------------------------

  request(request: GroupRequest): MembershipReply | undefined {
    this.#assertOpen()
    if (request.type !== 'leave' && request.topics !== undefined) this.topicsChanged(request.topics)
    try {
      return this.#groups.step(request, this.#now())
    } finally {
      this.#afterStep()
    }
  }

  listen(memberId: string, nudge: () => void): () => void {
    this.#listeners.set(memberId, nudge)
    return () => {
      if (this.#listeners.get(memberId) === nudge) this.#listeners.delete(memberId)
    }
  }

  commit(commit: OffsetCommit): Promise<void> {
    try {
      const waiting = this.#place.flushSends()
      if (waiting !== undefined) return waiting.then(() => this.commit(commit))
      const committed = this.#place.offsets.commit(commit.group, this.#admit(commit))
      this.#counters(commit.group).commits++
      return committed
    } catch (error) {
      return isVarveError(error, 'BUSY') ? this.#place.host.drain().then(() => this.commit(commit)) : Promise.reject(error)
    }
  }

  /** As `commit`, as part of a transaction: fenced in the turn of its commit. */
  commitWith(tx: Transaction, commit: OffsetCommit): void {
    // At once what can be told.
    this.#assertOpen()
    for (const { topic, topicId } of commit.offsets) this.#topicId(topic, commit.group, topicId)
    this.#checkMember(commit)
    this.#place.offsets.commitWith(tx, commit.group, () => this.#admit(commit))
    tx.afterCommit(() => void this.#counters(commit.group).commits++)
  }

  committed(group: string, partitions: TopicPartitions, topicIds?: ReadonlyMap<string, number>): CommittedPosition[] {
    this.#assertOpen()
    const found: CommittedPosition[] = []
    for (const [name, list] of partitions) {
      const topic = this.#topicOf(name, topicIds?.get(name))
      if (topic === undefined) continue
      for (const partition of list) {
        const committed = this.#place.offsets.get(group, topic.id, partition)
        if (committed !== undefined) found.push({ topic: name, partition, ...committed })
      }
    }
    return found
  }

  matching(pattern: RegExp): string[] {
    return this.#place.topicNames().filter(name => {
      pattern.lastIndex = 0
      return !isInternalTopic(name) && pattern.test(name)
    })
  }

  // --- for the owner of the topics -----------------------------------------------------------------------------------------------------

  /** These topics were created, have grown, or are gone. */
  topicsChanged(names: Iterable<string>): void {
    const counts = [...names].map(name => {
      const topic = this.#place.topic(name)
      return [name, topic?.partitionCount ?? 0, topic?.id] as const
    })
    this.#groups.topicsChanged(counts, this.#now())
    this.#afterStep()
  }

  /** A topic came or went: whoever subscribes by a pattern looks again. */
  namesChanged(): void {
    for (const nudge of this.#listeners.values()) queueMicrotask(nudge)
  }

  // --- for people ----------------------------------------------------------------------------------------------------------------------

  /** Names of all groups with members or offsets, sorted. */
  names(): string[] {
    this.#assertOpen()
    return [...new Set([...this.#groups.names, ...this.#place.offsets.groups])].sort()
  }

  /** NOT_FOUND when there is no such group. */
  describe(group: string): GroupReport {
    this.#assertOpen()
    const known = this.#groups.describe(group)
    const rows = this.#place.offsets.rows(group)
    if (known === undefined && rows.length === 0) throw notFound(group)
    const description = known ?? {
      ...{ group, state: 'Empty' as const, generation: this.#place.offsets.generation(group) },
      ...{ assignor: undefined, members: [] },
    }
    const holders = new Map<string, string>()
    for (const { memberId, holds } of description.members)
      for (const [topic, list] of holds) for (const partition of list) holders.set(`${topic}/${partition}`, memberId)
    const places = new Map<string, TopicPartition>()
    const hadMembers = description.generation > 0
    for (const { topicId, partition } of rows) {
      const topic = this.#place.topicName(topicId)
      if (topic === undefined) continue
      places.set(`${topic}/${partition}`, { topic, partition })
      // Its members share all of the topic: nobody may have come to a partition before they ended, and its records are left too.
      const count = hadMembers ? (this.#place.topic(topic)?.partitionCount ?? 0) : 0
      for (let other = 0; other < count; other++) places.set(`${topic}/${other}`, { topic, partition: other })
    }
    for (const { assignment } of description.members)
      for (const [topic, list] of assignment) for (const partition of list) places.set(`${topic}/${partition}`, { topic, partition })
    const partitions: GroupPartition[] = []
    for (const [place, { topic: name, partition }] of places) {
      const topic = this.#place.topic(name)
      if (topic === undefined || partition >= topic.partitionCount) continue
      const committed = this.#place.offsets.get(group, topic.id, partition)
      const endOffset = topic.endOffset(partition)
      const from = Math.max(committed?.offset ?? 0, topic.startOffset(partition))
      partitions.push({
        ...{ topic: name, partition, offset: committed?.offset, metadata: committed?.metadata },
        ...{ endOffset, lag: Math.max(0, endOffset - from), memberId: holders.get(place) },
      })
    }
    partitions.sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition))
    const lag = partitions.reduce((sum, each) => sum + each.lag, 0)
    return { ...description, partitions, lag, stats: { ...this.#counters(group) } }
  }

  /**
   * Sets the offsets of a group for a topic, of all partitions or of these. GROUP_NOT_EMPTY while it has members, NOT_FOUND. Resolves, when durable,
   * with what they are now.
   */
  async reset(group: string, topicName: string, to: ResetTo, partitions?: readonly number[]): Promise<CommittedPosition[]> {
    this.#assertOpen()
    checkResetTo(to)
    this.#assertEmpty(group)
    const topic = this.#place.topic(topicName)
    if (topic === undefined) throw new VarveError('NOT_FOUND', `no topic is named ${topicName}`, { details: { topic: topicName } })
    const chosen = partitions ?? Array.from({ length: topic.partitionCount }, (_, partition) => partition)
    const offsets = chosen.map(partition => {
      if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitionCount)
        throw new RangeError(`partition must be an integer from 0 to ${topic.partitionCount - 1}, got ${String(partition)}`)
      const committed = this.#place.offsets.get(group, topic.id, partition)?.offset
      return { topic: topicName, partition, offset: offsetOf(topic, partition, to, committed) }
    })
    await this.commit({ group, memberId: undefined, generation: -1, offsets })
    return this.committed(group, new Map([[topicName, chosen]]))
  }

  /** Forgets a group with its offsets. GROUP_NOT_EMPTY while it has members, NOT_FOUND. Resolves when durable. */
  async delete(group: string): Promise<void> {
    if (!this.names().includes(group)) throw notFound(group)
    this.#groups.delete(group)
    this.#stats.delete(group)
    await this.#place.offsets.forget(group)
  }

  /** Ends the timers. */
  close(): void {
    this.#cancelExpiry?.()
    this.#cancel?.()
    this.#cancel = undefined
    this.#listeners.clear()
  }

  // --- inside --------------------------------------------------------------------------------------------------------------------------

  #assertOpen(): void {
    if (!this.#place.host.isOpen) throw new VarveError('CLOSED', 'the database is closed')
  }

  #now(): number {
    return this.#place.host.environment.clock.monotonic()
  }

  #assertEmpty(group: string): void {
    const members = this.#groups.size(group)
    if (members > 0) throw new VarveError('GROUP_NOT_EMPTY', `group '${group}' has ${members} members`, { details: { group } })
  }

  /** Throws unless the commit may be made now. Returns what is to be written. */
  #admit(commit: OffsetCommit): GroupCommit {
    this.#assertOpen()
    const { group, memberId } = commit
    const offsets = commit.offsets.map(({ topic, partition, offset, metadata, topicId }) => ({
      topicId: this.#topicId(topic, group, topicId),
      partition,
      offset,
      metadata,
    }))
    this.#checkMember(commit)
    return { offsets, generation: memberId === undefined ? undefined : this.#groups.generation(group) }
  }

  #checkMember({ group, memberId, generation, offsets }: OffsetCommit): void {
    try {
      if (memberId !== undefined)
        this.#groups.checkCommit({ group, memberId, generation, offsets: offsets.map(each => this.#asNamedNow(each)) })
      else this.#assertEmpty(group)
    } catch (error) {
      this.#counters(group).commitsRefused++
      throw error
    }
  }

  #asNamedNow(offset: OffsetOfTopic): CheckedPartition {
    const { topic, partition, topicId } = offset
    if (topicId === undefined || this.#place.topic(topic)?.id === topicId) return offset
    return { topic, partition, renamedTo: this.#place.topicName(topicId) }
  }

  #topicId(name: string, group: string, id: number | undefined): number {
    const topic = this.#topicOf(name, id)
    if (topic === undefined) throw new VarveError('NOT_FOUND', `no topic is named ${name}`, { details: { topic: name, group } })
    return topic.id
  }

  /** Of a name, or, once that is another's, of an id: a topic that was renamed keeps its offsets, one that was deleted leaves none to its heir. */
  #topicOf(name: string, id: number | undefined): GroupTopic | undefined {
    const topic = this.#place.topic(name)
    if (id === undefined || topic?.id === id) return topic
    const renamed = this.#place.topicName(id)
    return renamed === undefined ? undefined : this.#place.topic(renamed)
  }

  #counters(group: string): Counters {
    let counters = this.#stats.get(group)
    if (counters === undefined) {
      counters = { rebalances: 0, moved: 0, rebalanceMs: 0, fenced: 0, commits: 0, commitsRefused: 0 }
      this.#stats.set(group, counters)
    }
    return counters
  }

  /** Delivers what a step has put out, and sets the timer anew. */
  #afterStep(): void {
    const { nudges, events } = this.#groups.drain()
    for (const event of events) this.#observe(event)
    for (const { memberId } of nudges) this.#nudge(memberId)
    this.#schedule()
  }

  #nudge(memberId: string): void {
    const listener = this.#listeners.get(memberId)
    if (listener !== undefined) queueMicrotask(listener)
  }

  #observe(event: GroupEvent): void {
    const counters = this.#counters(event.group)
    if (event.type === 'fenced') {
      counters.fenced++
      // If it is there at all, it hears of it now, and not with its next heartbeat.
      this.#nudge(event.memberId)
    }
    if (event.type === 'rebalance') {
      counters.rebalances++
      counters.moved += event.moved
    }
    if (event.type === 'stable') counters.rebalanceMs = event.ms
    if (event.type === 'joined') this.#place.offsets.setUse(event.group, true)
    if (event.type === 'rebalance') this.#place.offsets.setUse(event.group, true, event.generation)
    if (event.type === 'empty') this.#place.offsets.setUse(event.group, false, event.generation)
    if (groupChannel.hasSubscribers) groupChannel.publish({ database: this.#place.host.path, ...event })
  }

  #schedule(): void {
    const delay = this.#groups.delay(this.#now())
    const at = delay === undefined ? Number.POSITIVE_INFINITY : this.#now() + delay
    const keepsAlive = this.#groups.isGathering
    if (at >= this.#timerAt && (!keepsAlive || this.#timerKeepsAlive)) return
    this.#cancel?.()
    this.#timerAt = at
    this.#timerKeepsAlive = keepsAlive
    const { timers } = this.#place.host.environment
    const fire = (): void => {
      this.#cancel = undefined
      this.#timerAt = Number.POSITIVE_INFINITY
      // Heartbeats that have arrived while the thread was busy come first.
      timers.soon(() => this.#tick())
    }
    this.#cancel = timers.after(delay ?? 0, fire, keepsAlive)
  }

  #tick(): void {
    if (!this.#place.host.isOpen) return
    this.#groups.tick(this.#now())
    this.#afterStep()
  }

  #armExpiry(delayMs: number): void {
    this.#cancelExpiry = this.#place.host.environment.timers.after(delayMs, () => {
      if (!this.#place.host.isOpen) return
      this.expireOffsets().catch(() => undefined) // tried again
      this.#armExpiry(EXPIRY_CHECK_MS)
    })
  }

  /** Forgets groups without members that were not used for the retention time, or have no offsets at all. Returns the names of the former. */
  async expireOffsets(): Promise<string[]> {
    const expired = await this.#place.offsets.expire(group => this.#groups.size(group) > 0)
    const kept = new Set(this.#place.offsets.groups)
    for (const group of this.#groups.names) {
      if (kept.has(group) || this.#groups.size(group) > 0) continue
      this.#groups.delete(group)
      this.#stats.delete(group)
    }
    return expired
  }
}

function notFound(group: string): VarveError {
  return new VarveError('NOT_FOUND', `no group is named ${group}`, { details: { group } })
}

function checkResetTo(to: unknown): void {
  if (to === 'earliest' || to === 'latest') return
  const [name, ...others] = typeof to === 'object' && to !== null ? Object.keys(to) : []
  const isPlace = (name === 'time' || name === 'offset' || name === 'shift') && others.length === 0
  if (!isPlace) {
    throw new TypeError(`to must be 'earliest', 'latest', { offset }, { time } or { shift }, got ${JSON.stringify(to) ?? String(to)}`)
  }
}

function offsetOf(topic: GroupTopic, partition: number, to: ResetTo, committed: number | undefined): number {
  const start = topic.startOffset(partition)
  const end = topic.endOffset(partition)
  if (to === 'earliest') return start
  if (to === 'latest') return end
  if ('time' in to) return topic.offsetForTime(partition, to.time) ?? end
  const wanted = 'offset' in to ? to.offset : (committed ?? start) + to.shift
  if (!Number.isSafeInteger(wanted)) throw new RangeError(`offset must be an integer, got ${String(wanted)}`)
  return Math.min(Math.max(wanted, start), end)
}
