/**
 * Rows into a topic, as one transaction in Kafka's form: records lie in their partitions from the start, and readers with 'read_committed' see all of them when the run commits, or none.
 * Runs that failed leave records that nobody reads, until retention takes them.
 */

import { checkOptions } from '../../engine/index.ts'
import { type Outgoing, type ProducerTransaction, Topic, type TopicProducer } from '../../stream/index.ts'
import type { Chunk } from '../vector/chunk.ts'
import { keyFunction, type SinkKey } from './key-of.ts'
import type { Sink, SinkWriter } from './sink.ts'

/** Options of `toTopic`. */
export interface TopicSinkOptions<T> {
  /** Key of a record: a field path, or a function. Default: the topic's own option `key`. */
  readonly key?: SinkKey<T>
  /** Its value. Default: the row. */
  readonly value?: (row: T) => unknown
  /** Milliseconds since 1970: a function of the row. Default: now. */
  readonly timestamp?: (row: T) => number
  /** Names the transaction; runs of one name exclude each other, the newest wins. Default: `job/` and the topic's name. */
  readonly transactionalId?: string
}

/** A sink that sends each row to a topic; the run's records are one transaction. */
export function toTopic<T, V, K>(topic: Topic<V, K>, options: TopicSinkOptions<T> = {}): Sink<T> {
  if (!(topic instanceof Topic)) throw new TypeError(`toTopic must be given a topic, got ${String(topic)}`)
  checkOptions(options, 'toTopic', ['key', 'value', 'timestamp', 'transactionalId'])
  const { value, timestamp, transactionalId = `job/${topic.name}` } = options
  for (const [option, given] of [
    ['value', value],
    ['timestamp', timestamp],
  ] as const) {
    if (given !== undefined && typeof given !== 'function') throw new TypeError(`${option} must be a function, got ${String(given)}`)
  }
  const keyOf = options.key === undefined ? undefined : keyFunction(options.key, 'key')
  const outgoing = (row: unknown): Outgoing => ({
    value: value === undefined ? row : value(row as T),
    ...(keyOf === undefined ? {} : { key: keyOf(row as T) }),
    ...(timestamp === undefined ? {} : { timestamp: timestamp(row as T) }),
  })
  return {
    kind: 'topic',
    name: topic.name,
    guarantee: 'once',
    async open() {
      await topic.ready()
      const producer = topic.producer({ transactionalId }) as unknown as TopicProducer
      return new TopicWriter(topic as unknown as Topic, producer, await producer.begin(), outgoing)
    },
  }
}

class TopicWriter implements SinkWriter {
  rows = 0
  readonly isSated = false
  readonly #topic: Topic
  readonly #producer: TopicProducer
  readonly #transaction: ProducerTransaction
  readonly #outgoing: (row: unknown) => Outgoing

  constructor(topic: Topic, producer: TopicProducer, transaction: ProducerTransaction, outgoing: (row: unknown) => Outgoing) {
    this.#topic = topic
    this.#producer = producer
    this.#transaction = transaction
    this.#outgoing = outgoing
  }

  async receive(chunk: Chunk): Promise<void> {
    const { data, rows, count } = chunk
    const records = Array.from({ length: count }, (_, k) => this.#outgoing(data.value(rows[k] as number)))
    await this.#transaction.sendBatch(this.#topic, records as never)
    this.rows += count
  }

  finish(): void {}

  async commit(): Promise<void> {
    await this.#transaction.commit()
    await this.#producer.close()
  }

  async abort(): Promise<void> {
    await this.#transaction.abort()
    await this.#producer.close()
  }
}
