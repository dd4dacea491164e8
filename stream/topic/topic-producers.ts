/**
 * Producers over the topics of a database: joins `Topics` with the registry of identities, the coordinator of transactions, and the producers that are open.
 * Owned by `Topics`, made at the first use, or at opening when there is anything to recover: a program without producers pays nothing.
 */
import type { Transaction } from '../../engine/index.ts'
import type { OffsetCommit } from '../groups/group-transport.ts'
import type { StreamHost } from '../host.ts'
import { InternalTopic } from '../internal/internal-topic.ts'
import { topicLogName } from '../names.ts'
import type { Acknowledgements } from '../produce/acknowledgements.ts'
import { Producer, TopicProducer } from '../produce/producer.ts'
import { type ProducerOptions, resolveProducerOptions } from '../produce/producer-options.ts'
import { ProducerRegistry, type ProducerRow, producerStateTopic, topicIdOfProducerKey } from '../produce/producer-registry.ts'
import { TransactionCoordinator, type TransactionRow, transactionStateTopic } from '../transactions/coordinator.ts'
import { internalPlace } from './internal-place.ts'
import { coreOfTopic, type Topic } from './topic.ts'
import type { Topics } from './topics.ts'

/** True when an earlier process had transactions: some may have to be ended. */
export function hasTransactionState(host: StreamHost): boolean {
  return host.get(topicLogName(transactionStateTopic)) !== undefined
}

export class TopicProducers {
  readonly host: StreamHost
  readonly acknowledgements: Acknowledgements
  readonly registry: ProducerRegistry
  readonly coordinator: TransactionCoordinator
  /** Commits offsets of a group that has no members as part of a transaction. */
  readonly commitOffsets: (tx: Transaction, commit: OffsetCommit) => void
  readonly #open = new Set<Producer>()

  /** `markersPerCommit`: see `CoordinatorPlace`. */
  constructor(topics: Topics, options: { readonly markersPerCommit?: number } = {}) {
    this.host = topics.host
    this.acknowledgements = topics.accumulator.acknowledgements
    this.commitOffsets = (tx, commit) => topics.groups.transport.commitWith(tx, commit)
    this.registry = new ProducerRegistry(
      topics.host,
      new InternalTopic<ProducerRow>(internalPlace(topics, producerStateTopic, 'json'), topicIdOfProducerKey),
    )
    this.coordinator = new TransactionCoordinator({
      host: topics.host,
      state: new InternalTopic<TransactionRow>(internalPlace(topics, transactionStateTopic, 'json')),
      newId: () => this.registry.newId(),
      partition: (topicId, partition) => {
        const core = topics.coreById(topicId)
        return core === undefined || core.dropped ? undefined : core.partition(partition)
      },
      markersPerCommit: options.markersPerCommit,
    })
  }

  /** See `Database.producer`. */
  producer(options: ProducerOptions | undefined): Producer {
    const producer = new Producer(this, resolveProducerOptions(options))
    this.#open.add(producer)
    return producer
  }

  /** See `Topic.producer`. */
  topicProducer<V, K>(topic: Topic<V, K>, options: ProducerOptions | undefined): TopicProducer<V, K> {
    coreOfTopic(topic)
    return new TopicProducer<V, K>(this.producer(options), topic)
  }

  /** A producer was closed. */
  closed(producer: Producer): void {
    this.#open.delete(producer)
  }

  /** Closes all producers. undefined when there are none. */
  close(): Promise<void> | undefined {
    if (this.#open.size === 0) return undefined
    // What their closing meets is told by the promises of what was sent.
    return Promise.allSettled([...this.#open].map(producer => producer.close())).then(() => undefined)
  }
}
