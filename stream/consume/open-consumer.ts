/** Consumers in worker threads: members of a group whose coordinator, offsets and records are reached through a `MessagePort`. */
import { type CustomValueCodec, nodeClock, nodeTimers, VarveError } from '../../engine/index.ts'
import { type TopicCodec, type TopicCodecName, topicCodecOf } from '../codec/topic-codec.ts'
import type { PortLike } from '../groups/port-messages.ts'
import { PortTransport } from '../groups/port-transport.ts'
import { assertNoPartitions, type GroupConsumeOptions, resolveGroupConsume } from './group-consume-options.ts'
import { GroupConsumer } from './group-consumer.ts'

/** Options of `openConsumer`. */
export interface PortConsumerOptions<V = unknown, K = unknown> extends GroupConsumeOptions {
  /** Names of topics. */
  readonly topics?: readonly string[] | undefined
  /** All topics whose names match, those that are made later included. */
  readonly pattern?: RegExp | undefined
  /** The codec of the topics' values, when it is one of your own; functions do not cross threads. */
  readonly value?: CustomValueCodec<V> | undefined
  /** As `value`, for keys. */
  readonly keyCodec?: CustomValueCodec<K> | undefined
}

/**
 * A consumer in this thread, over a port whose other end was given to `Database.serveConsumers`. It takes part in its group like one in the thread of the
 * database, but has no transactions. Closing it closes the port. TypeError, RangeError.
 */
export function openConsumer<V = unknown, K = string>(port: PortLike, options: PortConsumerOptions<V, K>): GroupConsumer<V, K> {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  if (typeof (port as Partial<PortLike> | undefined)?.on !== 'function')
    throw new TypeError(`port must be a MessagePort, got ${String(port)}`)
  const { topics, pattern, value, keyCodec, ...rest } = options
  if ((topics === undefined) === (pattern === undefined)) throw new TypeError('topics or pattern must be given, and not both')
  const resolved = resolveGroupConsume(rest)
  if (pattern !== undefined) assertNoPartitions(resolved)
  const transport = new PortTransport(port)
  const place = {
    transport,
    environment: { clock: nodeClock, timers: nodeTimers },
    database: undefined,
    commitWith: undefined,
    async partition(topic: string, partition: number) {
      const opened = await transport.open({ topic, partition })
      const keys = codecOf(keyCodec, opened.keyCodec, 'keyCodec')
      const values = codecOf(value, opened.value, 'value')
      return { log: opened.log, topicId: opened.topicId, source: { topic, partition, keys, values } }
    },
  }
  const consumer = new GroupConsumer<V, K>(place, pattern ?? (topics as readonly string[]), resolved)
  consumer.closed.then(() => transport.close())
  return consumer
}

function codecOf<T>(given: CustomValueCodec<T> | undefined, stored: string, option: 'value' | 'keyCodec'): TopicCodec<unknown> {
  if (given !== undefined && given.name === stored) return topicCodecOf(given, option) as TopicCodec<unknown>
  if (stored === 'msgpack' || stored === 'json' || stored === 'string' || stored === 'bytes')
    return topicCodecOf(stored as TopicCodecName, option)
  throw new VarveError(
    'CODEC_MISSING',
    `the topic's ${option === 'value' ? 'values' : 'keys'} are encoded by '${stored}': give this codec as the option ${option}`,
    {
      details: { option, expected: stored },
    },
  )
}
