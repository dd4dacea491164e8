/** What readers of whole partitions (jobs) need of a topic, beside its public verbs. */
import type { LocalLog } from '../../engine/index.ts'
import type { TopicCodec } from '../codec/topic-codec.ts'
import type { StreamHost } from '../host.ts'
import { coreOfTopic, type Topic } from './topic.ts'

/** A topic as jobs read it. */
export interface TopicReading<V = unknown, K = unknown> {
  /** The database. */
  readonly host: StreamHost
  /** How keys are encoded. */
  readonly keys: Pick<TopicCodec<K>, 'name' | 'decode'>
  /** How values are encoded. */
  readonly values: Pick<TopicCodec<V>, 'name' | 'decode'>
  /** Fields that segments also hold as columns. */
  readonly columns: readonly string[]
  /** Partitions are numbered from 0. */
  readonly partitionCount: number
  /** The log of a partition. RangeError for one that is not there, NOT_FOUND once the topic was deleted. */
  partition(index: number): LocalLog
}

/** Throws what every verb of the topic would throw. */
export function topicReading<V, K>(topic: Topic<V, K>): TopicReading<V, K> {
  const core = coreOfTopic(topic)
  return {
    host: core.host,
    keys: core.keys,
    values: core.values,
    columns: core.options.columns ?? [],
    partitionCount: core.partitionCount,
    partition: index => core.partition(index),
  }
}
