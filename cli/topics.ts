/** What the verbs on topics share: finding a topic without defining it by accident, places in it, and records on the command line. */
import { type ConsumedRecord, type Database, type Topic, VarveError } from '../index.ts'
import { toJson } from './json-values.ts'
import { formatValue, parseKey, parseValue, type ValueNotation } from './stores.ts'

export type AnyTopic = Topic<unknown, unknown>

/** NOT_FOUND when there is no such topic. */
export function findTopic(db: Database, name: string): AnyTopic {
  if (!db.topicNames({ internal: true }).includes(name)) {
    throw new VarveError('NOT_FOUND', `no topic is named ${name}; \`varve topics ${db.path}\` lists the topics`, {
      details: { topic: name },
    })
  }
  const topic = db.topic<unknown, unknown>(name)
  topic.describe()
  return topic
}

/** Milliseconds since 1970 from what a person writes: such a number, or a date that JavaScript reads. RangeError naming the option. */
export function timeOf(text: string, option: string): number {
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (!Number.isSafeInteger(time) || time < 0) throw new RangeError(`${option} must be a date or milliseconds since 1970, got ${text}`)
  return time
}

/** A key for the topic's codec of keys. */
export function topicKey(topic: AnyTopic, text: string): unknown {
  const { keyCodec } = topic.describe().options
  if (keyCodec === 'string') return text
  return keyCodec === 'bytes' ? parseKey(text, 'hex', 'bytes') : parseKey(text, 'auto', 'tuple')
}

/** A value for the topic's codec of values. */
export function topicValue(topic: AnyTopic, text: string, notation: ValueNotation): unknown {
  const value = parseValue(text, notation)
  return typeof value === 'string' && topic.describe().options.value === 'bytes' ? new TextEncoder().encode(value) : value
}

/** A record as an object of JSON. */
export function recordJson({ partition, offset, timestamp, key, value, headers }: ConsumedRecord): object {
  const named = headers.map(({ key: name, value: bytes }) => [name, bytes === null ? null : Buffer.from(bytes).toString()])
  return {
    partition,
    offset,
    timestamp,
    key: toJson(key),
    value: toJson(value),
    ...(named.length === 0 ? {} : { headers: Object.fromEntries(named) }),
  }
}

/** A line a record: its place, key and value. */
export function recordLine(record: ConsumedRecord, notation: ValueNotation): string {
  const { partition, offset, key, value } = record
  const shownKey = key === null ? '-' : formatValue(key, 'text')
  return `${partition}:${offset}\t${shownKey}\t${value === null ? '-' : formatValue(value, notation)}\n`
}
