/**
 * Sets of partitions of several topics: what a member holds, what it shall hold, what a topic has.
 *
 * `TopicPartitions` is the plain form that messages carry (it survives structured clone); `PartitionSet` the one that grows and shrinks.
 * A topic is an opaque string here: name or id, as the caller likes.
 */

/** Partitions by topic. Each list ascending, without repeats; a topic without partitions has no entry. */
export type TopicPartitions = ReadonlyMap<string, readonly number[]>

/** How many partitions each topic has; a topic that is not there has none. */
export type PartitionCounts = ReadonlyMap<string, number>

/** No partition at all. */
export const noPartitions: TopicPartitions = new Map()

/** A mutable set of partitions. Used by: coordinator (what a member was granted), assignors. */
export class PartitionSet {
  readonly #byTopic = new Map<string, Set<number>>()
  #size = 0

  /** How many partitions are in the set. */
  get size(): number {
    return this.#size
  }

  has(topic: string, partition: number): boolean {
    return this.#byTopic.get(topic)?.has(partition) ?? false
  }

  /** False when it was in the set already. */
  add(topic: string, partition: number): boolean {
    let partitions = this.#byTopic.get(topic)
    if (partitions === undefined) this.#byTopic.set(topic, (partitions = new Set()))
    if (partitions.has(partition)) return false
    partitions.add(partition)
    this.#size++
    return true
  }

  /** False when it was not in the set. */
  delete(topic: string, partition: number): boolean {
    const partitions = this.#byTopic.get(topic)
    if (partitions === undefined || !partitions.delete(partition)) return false
    if (partitions.size === 0) this.#byTopic.delete(topic)
    this.#size--
    return true
  }

  /** Calls `visit` for each partition; the one that is visited may be deleted meanwhile. */
  each(visit: (topic: string, partition: number) => void): void {
    for (const [topic, partitions] of this.#byTopic) for (const partition of partitions) visit(topic, partition)
  }

  /** The plain form: topics in order of their names, partitions ascending. A copy. */
  toTopicPartitions(): TopicPartitions {
    const topics = [...this.#byTopic.keys()].sort()
    return new Map(topics.map(topic => [topic, [...(this.#byTopic.get(topic) as Set<number>)].sort((a, b) => a - b)]))
  }
}

/** The set with these partitions. */
export function partitionSet(partitions: TopicPartitions): PartitionSet {
  const set = new PartitionSet()
  for (const [topic, list] of partitions) for (const partition of list) set.add(topic, partition)
  return set
}

/** How many partitions there are over all topics. */
export function countPartitions(partitions: TopicPartitions): number {
  let count = 0
  for (const list of partitions.values()) count += list.length
  return count
}

/** Partitions of `left` that are not in `right`. */
export function withoutPartitions(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  const result = new Map<string, readonly number[]>()
  for (const [topic, list] of left) {
    const others = new Set(right.get(topic))
    const rest = list.filter(partition => !others.has(partition))
    if (rest.length > 0) result.set(topic, rest)
  }
  return result
}

/** The same partitions in both, whatever the order of topics. */
export function samePartitions(left: TopicPartitions, right: TopicPartitions): boolean {
  if (left.size !== right.size) return false
  for (const [topic, list] of left) {
    const others = right.get(topic)
    if (others === undefined || others.length !== list.length || list.some((partition, at) => partition !== others[at])) return false
  }
  return true
}
