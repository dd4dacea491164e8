/**
 * Queues over the topics of a database: joins `Topics` with the groups that are in use and their durable state. Owned by `Topics`, made at the first use, so
 * that a program without queues pays nothing. Invariant: one `QueueGroup` a topic and group, however many queues are open.
 */
import { VarveError } from '../../engine/index.ts'
import { InternalTopic } from '../internal/internal-topic.ts'
import { internalPlace } from '../topic/internal-place.ts'
import { coreOfTopic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { isCompacted } from '../topic/topic-options.ts'
import type { Topics } from '../topic/topics.ts'
import { Queue } from './queue.ts'
import { QueueGroup } from './queue-group.ts'
import { checkQueueOptions, type QueueOptions, resolveQueueSettings } from './queue-options.ts'
import type { QueueRow } from './queue-partition.ts'

/** The internal topic with the state of all queues. */
export const queueStateTopic = '__queue_state'

export class TopicQueues {
  readonly #topics: Topics
  readonly #state: InternalTopic<QueueRow>
  /** By topic id, then by name of the group. */
  readonly #groups = new Map<number, Map<string, QueueGroup>>()

  constructor(topics: Topics) {
    this.#topics = topics
    this.#state = new InternalTopic<QueueRow>(internalPlace(topics, queueStateTopic, 'json'), topicIdOfKey)
  }

  /** See `Topic.queue`. */
  open<V, K>(core: TopicCore<V, K>, options: QueueOptions<V, K>): Queue<V, K> {
    checkQueueOptions(options)
    if (core.isInternal) throw new TypeError(`internal topics have no queues, got ${core.name}`)
    const { deadLetter, group: name, signal } = options
    if (deadLetter !== undefined) {
      const target = coreOfTopic(deadLetter)
      target.assertUsable()
      if (target.id === core.id) throw new TypeError('deadLetter must be another topic')
      if (isCompacted(target.options)) throw new TypeError('deadLetter must not be a compacted topic')
    }
    let groups = this.#groups.get(core.id)
    if (groups === undefined) {
      groups = new Map()
      this.#groups.set(core.id, groups)
    }
    const known = groups.get(name)
    const settings = resolveQueueSettings(options as QueueOptions, known?.isOpen === true ? known.settings : undefined)
    const group =
      known ?? new QueueGroup({ host: this.#topics.host, core: core as unknown as TopicCore, group: name, state: this.#state }, settings)
    group.settings = settings
    groups.set(name, group)
    return new Queue<V, K>(group, name, signal)
  }

  /** Forgets a group of a topic with all that it has acknowledged. GROUP_NOT_EMPTY while a queue of it is open, NOT_FOUND. Resolves when durable. */
  async forget(core: TopicCore, name: string): Promise<void> {
    const groups = this.#groups.get(core.id)
    const group = groups?.get(name)
    const details = { group: name, topic: core.name }
    if (group?.isOpen === true) throw new VarveError('GROUP_NOT_EMPTY', `group ${name} has open queues`, { details })
    const matches = (key: string): boolean => topicIdOfKey(key) === core.id && groupOfKey(key) === name
    if (group === undefined && ![...this.#state.entries()].some(([key]) => matches(key)))
      throw new VarveError('NOT_FOUND', `topic ${core.name} has no queue ${name}`, { details })
    groups?.delete(name)
    // In this turn: who opens the queue again begins anew.
    const ended = group?.end(new VarveError('NOT_FOUND', `the queue ${name} was forgotten`, { details }))
    await this.#state.forget(matches)
    await ended
  }

  /** A topic was deleted. */
  async forgetTopic(core: TopicCore): Promise<void> {
    const groups = this.#groups.get(core.id)
    this.#groups.delete(core.id)
    const gone = new VarveError('NOT_FOUND', 'the topic was deleted', { details: { topic: core.name } })
    for (const group of groups?.values() ?? []) await group.end(gone)
    await this.#state.forgetTopic(core.id)
  }

  /** A topic has more partitions, or fewer records. */
  partitionsChanged(topicId: number): void {
    for (const group of this.#groups.get(topicId)?.values() ?? []) group.partitionsChanged()
  }

  /** Ends all loops, and resolves when what was settled is durable. undefined when there is no queue. */
  close(): Promise<void> | undefined {
    const groups = [...this.#groups.values()].flatMap(known => [...known.values()])
    if (groups.length === 0) return undefined
    return Promise.allSettled(groups.map(group => group.end())).then(() => undefined)
  }
}

/** Keys are topic id, partition and group, joined by slashes; only the group may have any. */
function groupOfKey(key: string): string {
  return key.split('/').slice(2).join('/')
}

function topicIdOfKey(key: string): number {
  return Number(key.split('/', 1)[0])
}
