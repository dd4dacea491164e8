/**
 * Names: which logs a topic is made of.
 *
 *   topic/<name>        the topic's definition; its log never has a record
 *   topic/<name>/<n>    partition n
 *
 * Topic names follow Kafka's rule, so that a topic can move to a broker and back. Names that begin with two underscores are Varve's own.
 */
import { storeLogPrefix } from '../engine/index.ts'

const topicPrefix = 'topic/'
const internalPrefix = '__'
const topicName = /^[A-Za-z0-9._-]{1,249}$/

/** Name of the log that carries a topic's definition. */
export function topicLogName(topic: string): string {
  return topicPrefix + topic
}

/** Name of a partition's log. */
export function partitionLogName(topic: string, partition: number): string {
  return `${topicPrefix}${topic}/${partition}`
}

/** The topic that a definition's log name stands for; undefined for every other log, partitions included. */
export function topicOfLogName(logName: string): string | undefined {
  if (!logName.startsWith(topicPrefix)) return undefined
  const name = logName.slice(topicPrefix.length)
  return name.includes('/') ? undefined : name
}

export function isInternalTopic(name: string): boolean {
  return name.startsWith(internalPrefix)
}

/** TypeError naming `option` for what cannot be a topic's name. */
export function checkTopicName(name: unknown, option: string = 'name'): asserts name is string {
  if (typeof name !== 'string' || !topicName.test(name) || name === '.' || name === '..') {
    throw new TypeError(
      `${option} must be 1 to 249 letters, digits, dots, underscores or hyphens, got ${JSON.stringify(name) ?? String(name)}`,
    )
  }
}

/** Whether a name that groups know a topic by is that of a store's log: its change feed. No topic's name has a slash. */
export function isStoreLog(name: string): boolean {
  return name.startsWith(storeLogPrefix)
}
