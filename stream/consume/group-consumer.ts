/**
 * A consumer that shares topics with the others of its group: by batch (`for await (const batch of consumer)`), by record (`records()`), as stored bytes
 * (`raw()`), or one `poll()` at a time.
 *
 * It joins when it is first read. Each time it is asked for records it first does what the group wants: gives up partitions (`onRevoked`, and only then says
 * so), takes new ones (`onAssigned`). In between, while the application is busy with a batch, its partitions stay its own, whatever the group plans; only
 * silence or too long a pause (`maxPollIntervalMs`) takes them away (`onLost`), and then commits are refused. Leaving a loop closes the consumer.
 *
 * One file, although long: joining, reading and committing are one state, of which each step asks what the last one left.
 *
 * Invariant: a partition is read exactly while `Membership.holds` has it; a batch can be committed as long as its partition was not given up since.
 */
import {
  type Awaitable,
  checkOptions,
  type Environment,
  groupChannel,
  isVarveError,
  type Transaction,
  VarveError,
} from '../../engine/index.ts'
import type { ConsumedRecord, RecordSource } from '../fetch/consumed-record.ts'
import { FetchSession, type Polled } from '../fetch/fetch-session.ts'
import { gatheringOf } from '../fetch/gathering.ts'
import { type Fetcher, type FetchLog, PartitionFetcher } from '../fetch/partition-fetcher.ts'
import type {
  CommittedPosition,
  GroupTransport,
  OffsetCommit,
  OffsetOfTopic,
  OffsetToCommit,
  TopicPartition,
} from '../groups/group-transport.ts'
import { type Assignment, ManualAssignment } from '../groups/manual-assignment.ts'
import { Membership, mayRejoin, type Subscription } from '../groups/membership.ts'
import type { TopicPartitions } from '../groups/partitions.ts'
import { Assigned, gather, nameOf, sameShape } from './assigned.ts'
import { type BatchCommitter, type CommitOptions, ConsumedBatch } from './consumed-batch.ts'
import type { RawBatch } from './consumer.ts'
import type { ResolvedGroupConsume } from './group-consume-options.ts'

/** What a consumer reads. */
export interface ConsumerPartition {
  readonly log: FetchLog
  /** Unique, never reused. */
  readonly topicId: number
  readonly source: RecordSource
  /** Reads it from a position on, where it is no partition of a topic. */
  readonly fetcher?: (position: number) => Fetcher
}

/** Where a consumer lives: in the process of the database, or in a worker thread. */
export interface ConsumerPlace {
  readonly transport: GroupTransport
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  /** For messages to observers; undefined where nobody listens. */
  readonly database: string | undefined
  /** The log of a partition and its codecs. NOT_FOUND when the topic is gone. */
  partition(topic: string, partition: number): Awaitable<ConsumerPartition>
  /** Makes a commit part of a transaction; undefined where there are none. */
  readonly commitWith: ((tx: Transaction, commit: OffsetCommit) => void) | undefined
}

/** A stored slice that can be committed. */
export interface GroupRawBatch extends RawBatch {
  /** Stores `nextOffset` as the group's; see `ConsumedBatch.commit`. */
  commit(options?: CommitOptions): Promise<void>
}

/** A consumer that shares the partitions of its topics with the other members of its group. */
export class GroupConsumer<V = unknown, K = unknown> implements AsyncIterable<ConsumedBatch<V, K>> {
  readonly #place: ConsumerPlace
  readonly #options: ResolvedGroupConsume
  readonly #session: FetchSession
  readonly #membership: Assignment
  readonly #assigned = new Map<string, Assigned>()
  readonly #ended = new AbortController()
  readonly #byFetcher = new Map<Fetcher, Assigned>()
  #isJoined = false
  #isReading = false
  #closing: Promise<void> | undefined
  #resolveClosed: () => void = () => undefined
  /** Resolves when it is closed, and so not in its group any more. */
  readonly closed: Promise<void> = new Promise(resolve => {
    this.#resolveClosed = resolve
  })
  /** Why the newest partitions were lost; told by commits of them. */
  #lostBy: unknown
  /** What an automatic commit has failed with; thrown to whoever asks for records next. */
  #commitFailure: unknown
  /** When the next automatic commit is due, monotonic ms. */
  #autoCommitAt = 0

  /** For `Topic`, `Topics` and worker threads. */
  constructor(place: ConsumerPlace, topics: Subscription, options: ResolvedGroupConsume) {
    this.#place = place
    this.#options = options
    this.#session = new FetchSession(place.environment, gatheringOf(options, place.environment.clock))
    const { partitions } = options
    this.#membership =
      partitions === undefined
        ? new Membership(place.transport, place.environment, { ...options, topics }, () => this.#session.wake())
        : new ManualAssignment(new Map(namesOf(topics).map(topic => [topic, partitions])))
    const { signal } = options
    if (signal?.aborted === true) this.#ended.abort()
    else {
      const close = (): void => void this.close().catch(() => undefined) // a loop that is under way tells it
      signal?.addEventListener('abort', close, { once: true, signal: this.#ended.signal })
    }
  }

  /** Name of the group. */
  get group(): string {
    return this.#options.group
  }
  /** undefined before it has joined. */
  get memberId(): string | undefined {
    return this.#membership.memberId
  }
  /** The newest generation it knows of; -1 before it has joined. */
  get generation(): number {
    return this.#membership.generation
  }
  /** The partitions it has now. */
  get assignment(): readonly TopicPartition[] {
    return [...this.#assigned.values()].map(({ place }) => place)
  }
  /** Records that can be read now and were not handed out, over all its partitions. */
  get lag(): number {
    let lag = 0
    for (const { bound, position } of this.#session.fetchers) lag += Math.max(0, bound - position)
    return lag
  }

  /** Offset of the next record to be handed out. RangeError for a partition it does not have. */
  position(place: TopicPartition): number {
    return this.#find(place).fetcher.position
  }
  /** Goes on at `offset`, also back. */
  seek(place: TopicPartition, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset must be a non-negative integer, got ${String(offset)}`)
    const assigned = this.#find(place)
    assigned.fetcher.seek(offset)
    assigned.handed = offset
    assigned.processed = offset
    assigned.committed = -1
    this.#session.wake()
  }
  /** Goes on at the first record at or after a time, ms since 1970, or behind the newest. */
  async seekToTime(place: TopicPartition, time: number): Promise<void> {
    const { log } = this.#find(place).fetcher
    this.seek(place, (await log.offsetForTime(time)) ?? log.highWatermark)
  }
  /** Hands out nothing of these partitions until `resume`; they stay this consumer's. */
  pause(places: readonly TopicPartition[]): void {
    for (const place of places) this.#find(place).fetcher.paused = true
  }
  /** Ends a pause. */
  resume(places: readonly TopicPartition[]): void {
    for (const place of places) this.#find(place).fetcher.paused = false
    this.#session.wake()
  }
  /** What the group has committed of these partitions, its own by default. */
  async committed(places: readonly TopicPartition[] = this.assignment): Promise<readonly CommittedPosition[]> {
    return await this.#place.transport.committed(this.group, gather(places))
  }
  /** Subscribes to other topics; partitions come and go with the next batches. */
  subscribe(topics: readonly string[] | RegExp): void {
    this.#membership.subscribe(topics)
  }

  /**
   * Commits all that was handed out, the newest batch or record included; or these offsets. Resolves when durable. FENCED_MEMBER, UNKNOWN_MEMBER,
   * NOT_ASSIGNED, CLOSED.
   */
  async commit(offsets?: readonly OffsetToCommit[]): Promise<void> {
    if (offsets !== undefined) return await this.#commit(offsets.map(each => this.#ofTopic(each)))
    await this.#commitUpTo([...this.#assigned.values()], assigned => assigned.handedTo)
  }

  /** Makes the commit of all that was handed out part of a transaction. Errors as `commit`; TypeError in a worker thread. */
  commitWith(tx: Transaction, { metadata }: CommitOptions = {}): void {
    const there = [...this.#assigned.values()].filter(({ isGone }) => !isGone)
    this.#commitOffsetsWith(
      tx,
      there.map(({ place, topicId, handedTo }) => ({ ...place, topicId, offset: handedTo, metadata })),
    )
  }

  #commitOffsetsWith(tx: Transaction, chosen: readonly OffsetOfTopic[]): void {
    this.#assertMember()
    const { commitWith } = this.#place
    if (commitWith === undefined) throw new TypeError('transactions belong to the thread of the database: commit there, or without one')
    commitWith(tx, this.#commitOf(chosen))
    tx.afterCommit(() => this.#noteCommitted(chosen))
  }

  // --- reading -------------------------------------------------------------------------------------------------------------------------

  /** The next batch; undefined when none has come within `maxWaitMs` (default: waits for ever), or the consumer was closed. RangeError. */
  async poll(options: { readonly maxWaitMs?: number | undefined } = {}): Promise<ConsumedBatch<V, K> | undefined> {
    checkOptions(options, 'poll', ['maxWaitMs'])
    const { maxWaitMs } = options
    if (maxWaitMs !== undefined && !(typeof maxWaitMs === 'number' && maxWaitMs >= 0))
      throw new RangeError(`maxWaitMs must be a number from 0 on, got ${String(maxWaitMs)}`)
    this.#begin()
    try {
      return await this.#nextBatch(maxWaitMs)
    } finally {
      this.#isReading = false
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumedBatch<V, K>, void, undefined> {
    this.#begin()
    try {
      for (;;) {
        const batch = this.#readBatch() ?? (await this.#nextBatch())
        if (batch === undefined) return
        yield batch
      }
    } finally {
      this.#isReading = false
      await this.close()
    }
  }

  /** One record at a time; slower than by batch. `commit()` includes the newest record. A seek and a pause count from the next record on. */
  async *records(): AsyncGenerator<ConsumedRecord<V, K>, void, undefined> {
    this.#begin()
    try {
      for (let batch = await this.#nextBatch(); batch !== undefined; batch = await this.#nextBatch()) {
        const assigned = this.#assigned.get(nameOf(batch))
        if (assigned !== undefined) yield* this.#recordsOf(batch, assigned)
      }
    } finally {
      this.#isReading = false
      await this.close()
    }
  }

  *#recordsOf({ records, nextOffset }: ConsumedBatch<V, K>, assigned: Assigned): Generator<ConsumedRecord<V, K>, void, undefined> {
    const { fetcher } = assigned
    const { seeks } = fetcher
    for (const record of records) {
      assigned.processed = record.offset
      assigned.handed = record.offset + 1
      yield record
      // It was given up, or goes on elsewhere.
      if (!assigned.isHeld || fetcher.seeks !== seeks) return
      if (!fetcher.paused) continue
      // The rest comes again when the pause ends.
      fetcher.seek(assigned.handed)
      return
    }
    assigned.handed = nextOffset
  }

  /** Stored batches as they lie, without decoding. The bytes hold until the next turn of the loop. */
  async *raw(): AsyncGenerator<GroupRawBatch, void, undefined> {
    const { maxBytes } = this.#options
    const into = new Uint8Array(maxBytes)
    this.#begin()
    try {
      for (;;) {
        const taken = await this.#next(async () => {
          await this.#session.gather()
          const fetcher = this.#session.ready()
          const slice = await fetcher?.nextRaw(maxBytes, into)
          return fetcher === undefined || slice === undefined ? undefined : { fetcher, slice }
        })
        if (taken === undefined) return
        const assigned = this.#byFetcher.get(taken.fetcher)
        if (assigned === undefined) continue
        assigned.handed = taken.slice.nextOffset
        const { nextOffset } = taken.slice
        const commit = ({ metadata }: CommitOptions = {}): Promise<void> => this.#commitOne(assigned, nextOffset, metadata)
        yield { ...assigned.place, ...taken.slice, commit }
      }
    } finally {
      this.#isReading = false
      await this.close()
    }
  }

  /** Ends the loop, commits what was processed when that is automatic, gives up all partitions (`onRevoked`), leaves the group. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#ended.abort()
    try {
      if (this.#isJoined && this.#membership.failure === undefined) await this.#giveUp([...this.#assigned.values()])
      else await this.#lose()
    } finally {
      for (const assigned of this.#assigned.values()) this.#drop(assigned)
      this.#session.close()
      if (this.#isJoined) await this.#membership.leave().catch(ignoreClosed)
      this.#resolveClosed()
    }
  }

  // --- the loop ------------------------------------------------------------------------------------------------------------------------

  #begin(): void {
    if (this.#isReading) throw new TypeError('a consumer is read by one loop at a time')
    this.#isReading = true
  }

  /** As `#nextBatch` of what was read already, as long as the group wants nothing: most batches of a consumer that is behind. */
  #readBatch(): ConsumedBatch<V, K> | undefined {
    const { maxRecords, autoCommitMs } = this.#options
    const membership = this.#membership
    if (!this.#isJoined || autoCommitMs !== undefined || membership.isPending || this.#ended.signal.aborted) return undefined
    let polled: Polled | undefined
    try {
      polled = this.#session.pollRead(maxRecords)
    } catch {
      return undefined // `#nextBatch` meets it again
    }
    if (polled === undefined) return undefined
    for (const assigned of this.#assigned.values()) assigned.processed = assigned.handed
    membership.polled(false)
    return this.#batchOf(polled)
  }

  async #nextBatch(maxWaitMs?: number): Promise<ConsumedBatch<V, K> | undefined> {
    const { maxRecords: recordsMax, maxBytes: bytesMax } = this.#options
    const { signal } = this.#ended
    for (;;) {
      const polled = await this.#next(() => this.#session.poll({ recordsMax, bytesMax, signal }), maxWaitMs)
      if (polled === undefined) return undefined
      const batch = this.#batchOf(polled)
      if (batch !== undefined) return batch
    }
  }

  /** undefined when the partition was given up meanwhile. */
  #batchOf({ fetcher, records }: Polled): ConsumedBatch<V, K> | undefined {
    const assigned = this.#byFetcher.get(fetcher)
    if (assigned === undefined) return undefined
    const nextOffset = fetcher.position
    assigned.handed = nextOffset
    return new ConsumedBatch<V, K>(records as ConsumedRecord<V, K>[], nextOffset, fetcher.log.highWatermark, assigned.committer)
  }

  /** What `take` finds, as soon as it finds something; undefined when the consumer ended, or `maxWaitMs` passed. */
  async #next<T>(take: () => Promise<T | undefined>, maxWaitMs?: number): Promise<T | undefined> {
    const { signal } = this.#ended
    const { environment } = this.#place
    let isLate = maxWaitMs === 0
    const cancel =
      maxWaitMs === undefined || isLate
        ? undefined
        : environment.timers.after(
            maxWaitMs,
            () => {
              isLate = true
              this.#session.wake()
            },
            true,
          )
    for (const assigned of this.#assigned.values()) assigned.processed = assigned.handed
    this.#join()
    this.#membership.polled(true)
    try {
      await this.#session.breath()
      while (!signal.aborted) {
        if (this.#membership.isPending) await this.#followGroup()
        if (this.#options.autoCommitMs !== undefined) this.#commitWhenDue(this.#options.autoCommitMs)
        if (signal.aborted) return undefined
        if (this.#commitFailure !== undefined) throw this.#commitFailure
        const taken = await this.#tolerate(take)
        if (taken !== undefined) return taken
        if (isLate) return undefined
        const isTold = this.#membership.isPending || this.#commitFailure !== undefined
        if (!isTold && !signal.aborted) await this.#tolerate(() => this.#session.wait(signal))
      }
      return undefined
    } catch (error) {
      // It was closed meanwhile, and with it the port that it asked.
      if (signal.aborted && isVarveError(error, 'CLOSED')) return undefined
      throw error
    } finally {
      cancel?.()
      this.#membership.polled(false)
    }
  }

  #join(): void {
    if (this.#isJoined || this.#ended.signal.aborted) return
    this.#isJoined = true
    this.#membership.start()
  }

  /** Runs a read; a partition that was deleted is left alone until the group says so, and a position that is gone is reset. */
  async #tolerate<T>(read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (isVarveError(error, 'OFFSET_OUT_OF_RANGE') && (await this.#resetPositions(error))) return undefined
      if (!isVarveError(error, 'NOT_FOUND')) throw error
      let gone = 0
      for (const { fetcher, isGone } of this.#assigned.values()) {
        if (!isGone) continue
        this.#session.remove(fetcher)
        gone++
      }
      // What was taken by hand is given up by hand.
      if (gone === 0 || this.#options.partitions !== undefined) throw error
      return undefined
    }
  }

  // --- partitions that come and go -------------------------------------------------------------------------------------------------------

  async #followGroup(): Promise<void> {
    const membership = this.#membership
    while (membership.isPending && !this.#ended.signal.aborted) {
      const { failure, toStop } = membership
      if (failure !== undefined) {
        await this.#lose()
        if (!mayRejoin(failure)) throw failure
        membership.start()
        return
      }
      if (toStop.size > 0) {
        await this.#giveUp(this.#of(toStop))
        // It may have lost its membership meanwhile.
        if (membership.failure === undefined) membership.stopped(toStop)
      } else await this.#takeUp(membership.toStart)
    }
  }

  async #giveUp(all: readonly Assigned[]): Promise<void> {
    const gone = all.filter(({ isGone }) => isGone)
    if (gone.length > 0) await this.#tellLost(gone)
    const leaving = all.filter(({ isHeld }) => isHeld)
    if (leaving.length === 0) return
    const { autoCommitMs, onRevoked } = this.#options
    const places = leaving.map(({ place }) => place)
    try {
      if (autoCommitMs !== undefined) await this.#commitUpTo(leaving, assigned => Math.max(assigned.processedTo, assigned.committed))
      await onRevoked?.(places)
    } catch (error) {
      // What it commits there may be of a topic that was deleted.
      if (!isFenced(error) && !isVarveError(error, 'NOT_FOUND')) throw error
    } finally {
      for (const assigned of leaving) this.#drop(assigned)
    }
    this.#publish('revoked', places)
  }

  async #lose(): Promise<void> {
    this.#lostBy = this.#membership.failure
    await this.#tellLost([...this.#assigned.values()])
  }

  async #tellLost(lost: readonly Assigned[]): Promise<void> {
    for (const assigned of lost) this.#drop(assigned)
    if (lost.length === 0) return
    const places = lost.map(({ place }) => place)
    this.#publish('lost', places)
    await this.#options.onLost?.(places)
  }

  async #takeUp(partitions: TopicPartitions): Promise<void> {
    const { generation, topicIds: told } = this.#membership
    const topicIds = new Map(told)
    const isByHand = this.#options.partitions !== undefined
    const committed = await this.#place.transport.committed(this.group, partitions, told)
    const fresh: Assigned[] = []
    const missing: TopicPartition[] = []
    for (const [topic, list] of partitions)
      for (const partition of list) {
        const found = committed.find(each => each.topic === topic && each.partition === partition)
        const assigned = await this.#opened(topic, partition, found?.offset)
        // Or another topic than the coordinator spoke of, which had none of the name perhaps: its next answer says so, and then it is taken up.
        const id = topicIds.get(topic)
        if (assigned === undefined || (isByHand && id === undefined ? assigned.topicId : id) !== assigned.topicId) {
          missing.push({ topic, partition })
          continue
        }
        fresh.push(assigned)
        topicIds.set(topic, assigned.topicId)
      }
    // The group may have changed its mind while that was looked up, or this consumer is being closed.
    const { toStart, toStop, failure } = this.#membership
    if (failure !== undefined || toStop.size > 0 || !sameShape(toStart, partitions) || this.#ended.signal.aborted) return
    for (const assigned of fresh) {
      this.#assigned.set(nameOf(assigned.place), assigned)
      this.#byFetcher.set(assigned.fetcher, assigned)
    }
    const places = fresh.map(({ place }) => place)
    if (places.length > 0) this.#publish('assigned', places)
    this.#membership.started(gather(places), topicIds, gather(missing), { generation, topicIds: told })
    try {
      if (places.length > 0) await this.#options.onAssigned?.(places)
    } finally {
      // They are held, whatever the listener says: who goes on after its error reads them.
      for (const { fetcher, isHeld } of fresh) if (isHeld) this.#session.add(fetcher)
    }
  }

  /** undefined for a partition that is not there: of a topic that was deleted, or replaced. The group takes it away, or it comes. */
  async #opened(topic: string, partition: number, committed: number | undefined): Promise<Assigned | undefined> {
    const { isolation, expired } = this.#options
    const clock = expired === 'include' ? undefined : this.#place.environment.clock
    try {
      const { log, topicId, source, fetcher } = await this.#place.partition(topic, partition)
      const position = await this.#startOf(log, source, committed)
      const reader = fetcher?.(position) ?? new PartitionFetcher(log, source, position, isolation, clock)
      return new Assigned(reader, topicId, position === committed ? position : -1, this.#committerOf)
    } catch (error) {
      if (!isVarveError(error, 'NOT_FOUND')) throw error
      return undefined
    }
  }

  #drop(assigned: Assigned): void {
    assigned.isHeld = false
    this.#session.remove(assigned.fetcher)
    this.#byFetcher.delete(assigned.fetcher)
    if (this.#assigned.get(nameOf(assigned.place)) === assigned) this.#assigned.delete(nameOf(assigned.place))
  }

  /** Where to begin: at the committed offset, or where `autoOffsetReset` says when there is none or it is gone. NO_OFFSET. */
  async #startOf(log: FetchLog, { topic, partition }: RecordSource, committed: number | undefined): Promise<number> {
    if (committed !== undefined && committed >= log.startOffset && committed <= log.endOffset) return committed
    const { autoOffsetReset, group, isolation, neverSkips } = this.#options
    if (committed !== undefined && neverSkips) throw this.#outOfRange(log, { topic, partition }, committed)
    if (autoOffsetReset === 'earliest') return log.startOffset
    // What an open transaction has written already is still to come for those who wait for its end (Kafka's `seekToEnd`).
    if (autoOffsetReset === 'latest') return isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark
    if (autoOffsetReset !== 'none') return (await log.offsetForTime(autoOffsetReset.time)) ?? log.highWatermark
    const details = { group, topic, partition, startOffset: log.startOffset, endOffset: log.endOffset, actual: committed }
    if (committed === undefined)
      throw new VarveError('NO_OFFSET', `group '${group}' has committed nothing for partition ${partition} of '${topic}'`, { details })
    throw this.#outOfRange(log, { topic, partition }, committed)
  }

  #outOfRange(log: FetchLog, { topic, partition }: TopicPartition, committed: number): VarveError {
    const details = {
      group: this.group,
      log: log.name,
      topic,
      partition,
      startOffset: log.startOffset,
      endOffset: log.endOffset,
      actual: committed,
    }
    return new VarveError('OFFSET_OUT_OF_RANGE', `partition ${partition} of '${topic}' does not hold offset ${committed} any more`, {
      details,
    })
  }

  /** Positions that are not there any more, by retention or truncation, go where `autoOffsetReset` says. False when there is none to move. */
  async #resetPositions(error: VarveError): Promise<boolean> {
    if (this.#options.autoOffsetReset === 'none' || this.#options.neverSkips) return false
    let moved = 0
    for (const assigned of this.#assigned.values()) {
      const { log, position, source } = assigned.fetcher
      if (position >= log.startOffset && position <= log.endOffset) continue
      this.seek(assigned.place, await this.#startOf(log, source, undefined))
      moved++
    }
    if (moved === 0) throw error
    return true
  }

  #of(partitions: TopicPartitions): Assigned[] {
    const found: Assigned[] = []
    for (const [topic, list] of partitions)
      for (const partition of list) {
        const assigned = this.#assigned.get(nameOf({ topic, partition }))
        if (assigned !== undefined) found.push(assigned)
      }
    return found
  }

  #find(place: TopicPartition): Assigned {
    const assigned = this.#assigned.get(nameOf(place))
    if (assigned === undefined) throw new RangeError(`partition ${place.partition} of '${place.topic}' is not this consumer's now`)
    return assigned
  }

  // --- committing ------------------------------------------------------------------------------------------------------------------------

  readonly #committerOf = (assigned: Assigned): BatchCommitter => ({
    commit: (offset, metadata) => this.#commitOne(assigned, offset, metadata),
    commitWith: (tx, offset, metadata) => {
      this.#assertHeld(assigned)
      const { place, topicId } = assigned
      this.#commitOffsetsWith(tx, [{ topic: place.topic, partition: place.partition, offset, metadata, topicId }])
    },
  })

  #commitOne(assigned: Assigned, offset: number, metadata: string | undefined): Promise<void> {
    try {
      this.#assertHeld(assigned)
      const { place, topicId } = assigned
      return this.#commit([{ topic: place.topic, partition: place.partition, offset, metadata, topicId }])
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** CLOSED, why it was lost, or NOT_ASSIGNED. */
  #assertHeld(assigned: Assigned): void {
    this.#assertMember()
    if (assigned.isHeld) return
    const { topic, partition } = assigned.place
    if (isFenced(this.#lostBy)) throw this.#lostBy
    throw new VarveError('NOT_ASSIGNED', `partition ${partition} of '${topic}' went to another member of group '${this.group}'`, {
      details: { group: this.group, topic, partition },
    })
  }

  #assertMember(): void {
    if (this.#ended.signal.aborted && this.#assigned.size === 0) throw new VarveError('CLOSED', 'the consumer is closed')
    const { failure } = this.#membership
    if (failure !== undefined) throw failure
  }

  /** Of a member that has not joined yet; or of partitions that were taken by hand, which may be committed while there are no members. */
  get #nobody(): string | undefined {
    return this.#options.partitions === undefined ? '' : undefined
  }

  /** What the user names is what this consumer has under the name. */
  #ofTopic(offset: OffsetToCommit): OffsetOfTopic {
    const topicId = this.#assigned.get(nameOf(offset))?.topicId
    return topicId === undefined ? offset : { ...offset, topicId }
  }

  #commitOf(offsets: readonly OffsetOfTopic[]): OffsetCommit {
    return { group: this.group, memberId: this.#membership.memberId ?? this.#nobody, generation: this.#membership.generation, offsets }
  }

  #commit(offsets: readonly OffsetOfTopic[]): Promise<void> {
    try {
      this.#assertMember()
    } catch (error) {
      return Promise.reject(error)
    }
    const committed = this.#place.transport.commit(this.#commitOf(offsets))
    return committed.then(() => this.#noteCommitted(offsets))
  }

  async #commitUpTo(partitions: readonly Assigned[], upTo: (assigned: Assigned) => number): Promise<void> {
    const offsets = partitions
      .filter(assigned => upTo(assigned) !== assigned.committed && !assigned.isGone)
      .map(each => ({ ...each.place, topicId: each.topicId, offset: upTo(each) }))
    if (offsets.length === 0) return
    try {
      await this.#commit(offsets)
    } catch (error) {
      if (!isVarveError(error, 'NOT_FOUND')) throw error
      // Behind a port a topic that was deleted is known by its commit alone: the others are committed without it.
      await Promise.all(
        offsets.map(offset =>
          this.#commit([offset]).catch(one => {
            if (!isVarveError(one, 'NOT_FOUND')) throw one
          }),
        ),
      )
    }
  }

  #noteCommitted(offsets: readonly OffsetOfTopic[]): void {
    for (const offset of offsets) {
      const assigned = this.#assigned.get(nameOf(offset))
      if (assigned !== undefined && assigned.topicId === (offset.topicId ?? assigned.topicId)) assigned.committed = offset.offset
    }
  }

  /** Not awaited: processing goes on while it becomes durable. A refused one is told by the group itself. */
  #commitWhenDue(intervalMs: number): void {
    const now = this.#place.environment.clock.monotonic()
    if (now < this.#autoCommitAt) return
    const isFirst = this.#autoCommitAt === 0
    this.#autoCommitAt = now + intervalMs
    if (isFirst) return
    this.#commitUpTo([...this.#assigned.values()], assigned => Math.max(assigned.processedTo, assigned.committed)).catch(error => {
      if (!isFenced(error) && !isVarveError(error, 'NOT_FOUND')) this.#commitFailure = error
      this.#session.wake()
    })
  }

  #publish(type: 'assigned' | 'revoked' | 'lost', places: readonly TopicPartition[]): void {
    const { database } = this.#place
    if (database === undefined || !groupChannel.hasSubscribers) return
    groupChannel.publish({ database, type, group: this.group, memberId: this.memberId, places })
  }
}

/** Names that are known when a consumer is made. */
function namesOf(topics: Subscription): readonly string[] {
  return typeof topics === 'function' ? topics() : (topics as readonly string[])
}

/** The group goes on without this member, or this partition. */
function isFenced(error: unknown): boolean {
  return (
    isVarveError(error, 'FENCED_MEMBER') ||
    isVarveError(error, 'UNKNOWN_MEMBER') ||
    isVarveError(error, 'ILLEGAL_GENERATION') ||
    isVarveError(error, 'NOT_ASSIGNED')
  )
}

function ignoreClosed(error: unknown): void {
  if (!isVarveError(error, 'CLOSED') && !isVarveError(error, 'POISONED')) throw error
}
