/**
 * Upkeep: applies the retention and the compaction of all topics, every so often and on demand.
 *
 * One timer for the whole database, armed only while some topic has either; a round walks the partitions of those topics alone, some at a turn. Deciding is
 * in `retention-point.ts` and `compaction-choice.ts`; compaction runs in the engine's worker, one partition after another. Owned by `Topics`.
 *
 * Invariant: one round at a time; what is asked for meanwhile waits for it.
 */
import { isVarveError, type LocalLog, retentionChannel } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import { isCompacted, type StoredTopicOptions } from '../topic/topic-options.ts'
import { type CompactionFacts, type CompactionLimits, chooseCompactions, isOverdue } from './compaction-choice.ts'
import { cleanableEnd, compactionFacts, compactionLimits, trimPartition } from './partition-upkeep.ts'

/** Partitions of one turn of the event loop. */
const partitionsPerTurn = 64

/** What upkeep needs of a topic; a `TopicCore` is one. */
export interface UpkeepTopic {
  readonly name: string
  readonly options: StoredTopicOptions
  readonly partitionCount: number
  readonly dropped: boolean
  /** NOT_FOUND when it was deleted or renamed meanwhile. */
  partition(index: number): LocalLog
}

/** What retention did to one partition. */
export interface RetentionResult {
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition. */
  readonly partition: number
  /** First offset that could be read before, and now. */
  readonly from: number
  /** First offset that is kept. */
  readonly to: number
  /** Of the sealed parts that were hidden. */
  readonly bytes: number
}

interface Candidate {
  readonly log: LocalLog
  readonly options: StoredTopicOptions
  readonly facts: CompactionFacts
  readonly limits: CompactionLimits
}

export class TopicUpkeep {
  readonly #host: StreamHost
  /** All topics of the database, whether or not somebody has a handle. */
  readonly #topics: () => Iterable<UpkeepTopic>
  /** Records of the topic of this name were hidden. */
  readonly #trimmed: (topic: string) => void
  #cancel: (() => void) | undefined
  #stopped = false
  #queue: Promise<unknown> = Promise.resolve()

  constructor(host: StreamHost, topics: () => Iterable<UpkeepTopic>, trimmed: (topic: string) => void) {
    this.#host = host
    this.#topics = topics
    this.#trimmed = trimmed
  }

  /** A topic may have got a retention or a compaction: arms the timer. */
  wake(options: StoredTopicOptions): void {
    const everyMs = this.#host.options.retentionCheckMs
    if (this.#cancel !== undefined || this.#stopped || !hasUpkeep(options) || everyMs === Number.POSITIVE_INFINITY) return
    this.#cancel = this.#host.environment.timers.after(everyMs, () => {
      this.#cancel = undefined
      this.#round()
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** Applies the retention of these topics now, and frees the space of sealed parts that are hidden. */
  applyRetention(topics: readonly UpkeepTopic[]): Promise<RetentionResult[]> {
    return this.#enqueue(() => this.#retain(topics))
  }

  /** Compacts all partitions of a topic now, whatever its ratio; the minimum lag holds. */
  compact(topic: UpkeepTopic): Promise<void> {
    return this.#enqueue(async () => {
      await this.#host.seal()
      for (let i = 0; i < topic.partitionCount; i++) await this.#compact(topic.partition(i), topic.options)
    })
  }

  #enqueue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(run)
    this.#queue = result.catch(() => undefined) // the caller has the rejection; the queue only orders
    return result
  }

  /** What fails is met again by the next round, and by whoever reads or writes there. */
  #round(): void {
    if (this.#stopped || !this.#host.isOpen) return
    const topics = [...this.#topics()].filter(topic => hasUpkeep(topic.options))
    const [first] = topics
    if (first === undefined) return
    const rounds = [this.#enqueue(() => this.#retain(topics)), this.#enqueue(() => this.#compactDue(topics))]
    void Promise.allSettled(rounds).then(() => this.wake(first.options))
  }

  async #retain(topics: readonly UpkeepTopic[]): Promise<RetentionResult[]> {
    const host = this.#host
    const now = host.environment.clock.now()
    const results: RetentionResult[] = []
    let failed: unknown
    for await (const { topic, partition, log } of this.#partitions(topics.filter(({ options }) => options.retention !== undefined))) {
      // One that is damaged must not keep the others.
      const trimmed = await trimPartition(log, topic.options, now).catch(error => void (failed ??= error))
      if (trimmed === undefined) continue
      this.#trimmed(topic.name)
      const { from, offset: to, bytes, reason } = trimmed
      results.push({ topic: topic.name, partition, from, to, bytes })
      if (retentionChannel.hasSubscribers)
        retentionChannel.publish({ database: host.path, topic: topic.name, partition, from, to, bytes, reason })
    }
    if (results.length > 0) await host.reclaim()
    if (failed !== undefined) throw failed
    return results
  }

  /** Compacts what is due, dirtiest first. */
  async #compactDue(topics: readonly UpkeepTopic[]): Promise<void> {
    const compacted = topics.filter(({ options }) => isCompacted(options))
    let { candidates, sealFirst } = await this.#candidates(compacted)
    if (sealFirst) {
      await this.#host.seal()
      candidates = (await this.#candidates(compacted)).candidates
    }
    for (const { log, options } of chooseCompactions(candidates, this.#host.environment.clock.now())) {
      if (this.#stopped) return
      if (!log.dropped) await this.#compact(log, options)
    }
  }

  /** `sealFirst`: a record that is overdue lies in the tail. */
  async #candidates(topics: readonly UpkeepTopic[]): Promise<{ candidates: Candidate[]; sealFirst: boolean }> {
    const now = this.#host.environment.clock.now()
    const candidates: Candidate[] = []
    let sealFirst = false
    for await (const { topic, log } of this.#partitions(topics)) {
      const { options } = topic
      const limits = compactionLimits(options)
      const facts = compactionFacts(log, options, now, limits.lagMsMax !== Number.POSITIVE_INFINITY)
      candidates.push({ log, options, facts, limits })
      if (isOverdue(facts, limits, now) && Math.max(log.cleanedTo, log.startOffset) >= log.flushedEnd) sealFirst = true
    }
    return { candidates, sealFirst }
  }

  #compact(log: LocalLog, options: StoredTopicOptions): Promise<void> {
    const { deleteRetentionMs } = options
    const endOffset = cleanableEnd(log, options, this.#host.environment.clock.now())
    return this.#host.compactLog(log.name, { endOffset, ...(deleteRetentionMs === undefined ? {} : { deleteRetentionMs }) })
  }

  /** Partitions of these topics, so many at a turn; those that are deleted meanwhile are left out. */
  async *#partitions(topics: readonly UpkeepTopic[]): AsyncGenerator<{ topic: UpkeepTopic; partition: number; log: LocalLog }> {
    let count = 0
    for (const topic of topics) {
      for (let partition = 0; partition < topic.partitionCount; partition++) {
        if (++count % partitionsPerTurn === 0) await new Promise<void>(resolve => this.#host.environment.timers.soon(resolve))
        if (this.#stopped || topic.dropped) break
        try {
          yield { topic, partition, log: topic.partition(partition) }
        } catch (error) {
          if (!isVarveError(error, 'NOT_FOUND')) throw error
        }
      }
    }
  }
}

function hasUpkeep(options: StoredTopicOptions): boolean {
  return isCompacted(options) || options.retention?.timeMs !== undefined || options.retention?.bytes !== undefined
}
