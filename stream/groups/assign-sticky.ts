/**
 * The sticky assignment: first balanced, then with as few moves as that allows. `sticky` and `cooperative-sticky` share it; they differ in how the
 * group gets there.
 *
 * 1. Everybody keeps what it owned, subscribes to, and nobody before it claims.
 * 2. Equal subscriptions: members × floor, some one more. Those who own most keep the larger shares; who owns more than its share gives
 *    up its last partitions, and who has least gets the next free one. The moves are the fewest possible: the sum of what each owns beyond its share, and what nobody owned.
 * 3. Different subscriptions: free partitions, those with the fewest takers first, go to the taker with the least. Then loads are evened out along
 *    chains: as long as one can lead from a member to another with at least two partitions less (each hands a partition to the next, which
 *    subscribes to its topic), the shortest chain is taken. No chain left means: no assignment is more even (Harvey et al., Semi-Matchings,
 *    2003); Kafka stops already when no single move helps.
 */
import { type AssignorMember, compareMembers, type GroupAssignment, subscribedTopics } from './assignor.ts'
import { type PartitionCounts, PartitionSet } from './partitions.ts'

export function assignSticky(members: readonly AssignorMember[], counts: PartitionCounts): GroupAssignment {
  const sorted = [...members].sort(compareMembers)
  const topics = subscribedTopics(sorted, counts)
  const takers = new Map<string, number[]>(topics.map(topic => [topic, ranksOf(sorted, topic)]))
  const held = sorted.map(() => new PartitionSet())
  const free = keepOwned(sorted, topics, counts, held)
  const equal = topics.every(topic => takers.get(topic)?.length === sorted.length)
  if (equal) shareEqually(topics, counts, held, free)
  else {
    for (const [topic, partition] of fewestTakersFirst(free, takers))
      held[leastLoaded(takers.get(topic) ?? [], held)]?.add(topic, partition)
    while (evenOut(takers, held));
  }
  return new Map(sorted.map((member, rank) => [member.memberId, (held[rank] as PartitionSet).toTopicPartitions()]))
}

/** Places of the topic's subscribers in the order of members. */
function ranksOf(sorted: readonly AssignorMember[], topic: string): number[] {
  const ranks: number[] = []
  sorted.forEach((member, rank) => {
    if (member.topics.has(topic)) ranks.push(rank)
  })
  return ranks
}

type Partition = readonly [topic: string, partition: number]

/** Step 1. Returns what nobody keeps, in order. */
function keepOwned(
  sorted: readonly AssignorMember[],
  topics: readonly string[],
  counts: PartitionCounts,
  held: PartitionSet[],
): Partition[] {
  const kept = new PartitionSet()
  sorted.forEach((member, rank) => {
    for (const [topic, list] of member.owned) {
      if (!member.topics.has(topic)) continue
      const count = counts.get(topic) ?? 0
      for (const partition of list) if (partition < count && kept.add(topic, partition)) held[rank]?.add(topic, partition)
    }
  })
  return allOf(topics, counts).filter(([topic, partition]) => !kept.has(topic, partition))
}

function allOf(topics: readonly string[], counts: PartitionCounts): Partition[] {
  return topics.flatMap(topic => Array.from({ length: counts.get(topic) ?? 0 }, (_, partition): Partition => [topic, partition]))
}

/** Step 2. */
function shareEqually(topics: readonly string[], counts: PartitionCounts, held: readonly PartitionSet[], free: readonly Partition[]): void {
  const total = topics.reduce((sum, topic) => sum + (counts.get(topic) ?? 0), 0)
  if (total === 0) return
  const each = Math.floor(total / held.length)
  let larger = total % held.length
  const shares = held.map(() => each)
  const byLoad = held.map((_, rank) => rank).sort((a, b) => (held[b]?.size ?? 0) - (held[a]?.size ?? 0) || a - b)
  for (const rank of byLoad) if (larger-- > 0) shares[rank] = each + 1
  const given = [...free]
  held.forEach((set, rank) => {
    if (set.size <= (shares[rank] ?? 0)) return
    const own: Partition[] = []
    set.each((topic, partition) => {
      own.push([topic, partition])
    })
    own.sort(comparePartitions)
    for (const [topic, partition] of own.slice(shares[rank] ?? 0)) {
      set.delete(topic, partition)
      given.push([topic, partition])
    }
  })
  given.sort(comparePartitions)
  let next = 0
  for (let level = Math.min(...held.map(set => set.size)); next < given.length; level++)
    held.forEach((set, rank) => {
      if (set.size > level || set.size >= (shares[rank] ?? 0)) return
      const [topic, partition] = given[next++] as Partition
      set.add(topic, partition)
    })
}

function comparePartitions(left: Partition, right: Partition): number {
  return left[0] < right[0] ? -1 : left[0] > right[0] ? 1 : left[1] - right[1]
}

function fewestTakersFirst(free: readonly Partition[], takers: ReadonlyMap<string, readonly number[]>): Partition[] {
  const choices = (partition: Partition): number => takers.get(partition[0])?.length ?? 0
  return [...free].sort((a, b) => choices(a) - choices(b) || comparePartitions(a, b))
}

/** The first of the least loaded. */
function leastLoaded(ranks: readonly number[], held: readonly PartitionSet[]): number {
  let best = ranks[0] as number
  for (const rank of ranks) if ((held[rank]?.size ?? 0) < (held[best]?.size ?? 0)) best = rank
  return best
}

/** How a chain came to a member: from whom, with which partition. */
interface Link {
  readonly from: number
  readonly topic: string
  readonly partition: number
}

/** Step 3: the shortest chain from the most loaded member that has one. False when nobody has. */
function evenOut(takers: ReadonlyMap<string, readonly number[]>, held: readonly PartitionSet[]): boolean {
  const load = (rank: number): number => held[rank]?.size ?? 0
  const byLoad = held.map((_, rank) => rank).sort((a, b) => load(b) - load(a) || a - b)
  const hopeless = new Set<number>()
  for (const start of byLoad) {
    // Whatever a fruitless search of somebody with as much or more has reached leads nowhere for this one either.
    if (hopeless.has(start)) continue
    const links = new Map<number, Link | undefined>([[start, undefined]])
    for (const rank of links.keys()) {
      if (load(rank) <= load(start) - 2) {
        follow(links, rank, held)
        return true
      }
      for (const [topic, list] of (held[rank] as PartitionSet).toTopicPartitions())
        for (const taker of takers.get(topic) ?? [])
          if (!links.has(taker) && !hopeless.has(taker)) links.set(taker, { from: rank, topic, partition: list.at(-1) as number })
    }
    for (const rank of links.keys()) hopeless.add(rank)
  }
  return false
}

function follow(links: ReadonlyMap<number, Link | undefined>, end: number, held: readonly PartitionSet[]): void {
  for (let rank = end, link = links.get(rank); link !== undefined; rank = link.from, link = links.get(rank)) {
    held[link.from]?.delete(link.topic, link.partition)
    held[rank]?.add(link.topic, link.partition)
  }
}
