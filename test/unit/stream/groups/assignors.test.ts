/**
 * Goal: each assignor gives what Kafka's documentation shows, and keeps its promises on random groups: every partition once, to a subscriber only;
 * balanced; the same whatever the order of members; the sticky ones move no more than they must.
 */
import { describe, expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { AssignorMember, GroupAssignment } from '../../../../stream/groups/assignor.ts'
import { type AssignorName, assignors, chooseAssignor } from '../../../../stream/groups/assignors.ts'
import {
  countPartitions,
  noPartitions,
  PartitionSet,
  type TopicPartitions,
  withoutPartitions,
} from '../../../../stream/groups/partitions.ts'

const names = Object.keys(assignors) as AssignorName[]

function member(memberId: string, topics: readonly string[], owned: TopicPartitions = noPartitions, instanceId?: string): AssignorMember {
  return { memberId, instanceId, topics: new Set(topics), owned }
}

function counts(table: Record<string, number>): Map<string, number> {
  return new Map(Object.entries(table))
}

/** `{ C0: 't0p0 t0p1' }`, in order of member ids. */
function shown(assignment: GroupAssignment): Record<string, string> {
  const line = (partitions: TopicPartitions): string =>
    [...partitions].flatMap(([topic, list]) => list.map(partition => `${topic}p${partition}`)).join(' ')
  return Object.fromEntries([...assignment].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, partitions]) => [id, line(partitions)]))
}

/** The members again, owning what they were assigned. */
function owningResult(members: readonly AssignorMember[], assignment: GroupAssignment): AssignorMember[] {
  return members.map(each => ({ ...each, owned: assignment.get(each.memberId) ?? noPartitions }))
}

function assign(name: AssignorName, members: readonly AssignorMember[], table: Record<string, number>): Record<string, string> {
  return shown(assignors[name].assign(members, counts(table)))
}

describe("what Kafka's documentation shows", () => {
  test('range: two members, two topics of three partitions', () => {
    const members = [member('C0', ['t0', 't1']), member('C1', ['t0', 't1'])]
    expect(assign('range', members, { t0: 3, t1: 3 })).toEqual({ C0: 't0p0 t0p1 t1p0 t1p1', C1: 't0p2 t1p2' })
  })

  test('range: static members are ordered by their instance id, not by the member id', () => {
    const members = [member('a', ['t'], noPartitions, '2'), member('b', ['t'], noPartitions, '1'), member('c', ['t'])]
    expect(assign('range', members, { t: 3 })).toEqual({ a: 'tp1', b: 'tp0', c: 'tp2' })
  })

  test('round-robin: equal subscriptions', () => {
    const members = [member('C0', ['t0', 't1']), member('C1', ['t0', 't1'])]
    expect(assign('round-robin', members, { t0: 3, t1: 3 })).toEqual({ C0: 't0p0 t0p2 t1p1', C1: 't0p1 t1p0 t1p2' })
  })

  const unequal = [member('C0', ['t0']), member('C1', ['t0', 't1']), member('C2', ['t0', 't1', 't2'])]
  test('round-robin: different subscriptions', () => {
    expect(assign('round-robin', unequal, { t0: 1, t1: 2, t2: 3 })).toEqual({ C0: 't0p0', C1: 't1p0', C2: 't1p1 t2p0 t2p1 t2p2' })
  })

  test('sticky: different subscriptions come out more even than round-robin', () => {
    expect(assign('sticky', unequal, { t0: 1, t1: 2, t2: 3 })).toEqual({ C0: 't0p0', C1: 't1p0 t1p1', C2: 't2p0 t2p1 t2p2' })
  })

  test.each(['sticky', 'cooperative-sticky'] as const)('%s: three members, four topics of two partitions, and then one leaves', name => {
    const members = ['C0', 'C1', 'C2'].map(id => member(id, ['t0', 't1', 't2', 't3']))
    const table = { t0: 2, t1: 2, t2: 2, t3: 2 }
    const first = assignors[name].assign(members, counts(table))
    expect(shown(first)).toEqual({ C0: 't0p0 t1p1 t3p0', C1: 't0p1 t2p0 t3p1', C2: 't1p0 t2p1' })
    const rest = owningResult(members, first).filter(each => each.memberId !== 'C1')
    expect(assign(name, rest, table)).toEqual({ C0: 't0p0 t1p1 t2p0 t3p0', C2: 't0p1 t1p0 t2p1 t3p1' })
  })

  test('sticky: different subscriptions, C0 leaves, everybody else keeps what it had', () => {
    const first = assignors.sticky.assign(unequal, counts({ t0: 1, t1: 2, t2: 3 }))
    const rest = owningResult(unequal, first).filter(each => each.memberId !== 'C0')
    expect(assign('sticky', rest, { t0: 1, t1: 2, t2: 3 })).toEqual({ C1: 't0p0 t1p0 t1p1', C2: 't2p0 t2p1 t2p2' })
  })
})

/** A random group: members with equal or different subscriptions, who own what an earlier assignment or nobody gave them. */
function draw(random: SimRandom, equal: boolean): { members: AssignorMember[]; table: Map<string, number> } {
  const topics = Array.from({ length: 1 + random.below(5) }, (_, at) => `t${at}`)
  const table = new Map(topics.map(topic => [topic, random.below(12)]))
  const members = Array.from({ length: 1 + random.below(9) }, (_, at) => {
    const own = equal ? topics : topics.filter(() => random.chance(0.5))
    return member(`m${random.below(1000)}-${at}`, own, noPartitions, random.chance(0.2) ? `i${at}` : undefined)
  })
  return { members, table }
}

const sizes = (assignment: GroupAssignment): number[] => [...assignment.values()].map(countPartitions)

describe.each(names)('%s on random groups', name => {
  const { assign } = assignors[name]

  test('assigns every partition of a subscribed topic once, to a subscriber, and names every member', () => {
    const random = new SimRandom(1)
    for (let round = 0; round < 300; round++) {
      const { members, table } = draw(random, random.chance(0.5))
      const assignment = assign(members, table)
      expect([...assignment.keys()].sort()).toEqual(members.map(each => each.memberId).sort())
      const seen: string[] = []
      for (const each of members)
        for (const [topic, list] of assignment.get(each.memberId) ?? noPartitions) {
          expect(each.topics.has(topic)).toBe(true)
          expect(list.length).toBeGreaterThan(0)
          for (const partition of list) seen.push(`${topic}/${partition}`)
        }
      const wanted = [...table].flatMap(([topic, count]) =>
        members.some(each => each.topics.has(topic)) ? Array.from({ length: count }, (_, partition) => `${topic}/${partition}`) : [],
      )
      expect(seen.sort()).toEqual(wanted.sort())
    }
  })

  test('gives the same whatever the order of the members', () => {
    const random = new SimRandom(2)
    for (let round = 0; round < 100; round++) {
      const { members, table } = draw(random, random.chance(0.5))
      const owning = owningResult(members, assign(members, table))
      expect(shown(assign([...owning].reverse(), table))).toEqual(shown(assign(owning, table)))
    }
  })

  test('is balanced for equal subscriptions: within one in all, or for range within one of each topic', () => {
    const random = new SimRandom(3)
    for (let round = 0; round < 200; round++) {
      const { members, table } = draw(random, true)
      const assignment = assign(members, table)
      const spread = (loads: number[]): number => Math.max(...loads) - Math.min(...loads)
      if (name !== 'range') expect(spread(sizes(assignment))).toBeLessThanOrEqual(1)
      else
        for (const topic of table.keys())
          expect(spread(members.map(each => assignment.get(each.memberId)?.get(topic)?.length ?? 0))).toBeLessThanOrEqual(1)
    }
  })
})

test('range gives partition n of topics with equal counts and subscribers to one member', () => {
  const members = ['a', 'b', 'c'].map(id => member(id, ['left', 'right']))
  const assignment = assignors.range.assign(members, counts({ left: 8, right: 8 }))
  for (const own of assignment.values()) expect(own.get('left')).toEqual(own.get('right'))
})

describe('sticky', () => {
  const { assign } = assignors.sticky

  /** How many partitions have another owner than before. */
  const movesOf = (before: readonly AssignorMember[], assignment: GroupAssignment): number => {
    let moves = 0
    for (const each of before) moves += countPartitions(withoutPartitions(each.owned, assignment.get(each.memberId) ?? noPartitions))
    return moves
  }

  /** Every partition to anybody. */
  const dealt = (random: SimRandom, members: readonly AssignorMember[], table: ReadonlyMap<string, number>): GroupAssignment => {
    const sets = members.map(() => new PartitionSet())
    for (const [topic, count] of table) for (let at = 0; at < count; at++) sets[random.below(members.length)]?.add(topic, at)
    return new Map(members.map((each, rank) => [each.memberId, sets[rank]?.toTopicPartitions() ?? noPartitions]))
  }

  test('with equal subscriptions moves the fewest that balance allows when members join and leave and partitions grow', () => {
    const random = new SimRandom(4)
    for (let round = 0; round < 300; round++) {
      const { members, table } = draw(random, true)
      const topics = [...table.keys()]
      const first = random.chance(0.5) ? assign(members, table) : dealt(random, members, table)
      const owning = owningResult(members, first).filter((_, at) => at === 0 || random.chance(0.8))
      const joined = Array.from({ length: random.below(4) }, (_, at) => member(`new${at}`, topics))
      for (const topic of topics) if (random.chance(0.2)) table.set(topic, (table.get(topic) ?? 0) + random.below(3))
      const group = [...owning, ...joined]
      // The fewest moves, by trying all ways to say who gets the larger share: what is owned beyond each share, largest owners first.
      const total = [...table.values()].reduce((sum, count) => sum + count, 0)
      const loads = group.map(each => countPartitions(each.owned)).sort((a, b) => b - a)
      const [each, larger] = [Math.floor(total / group.length), total % group.length]
      const fewest = loads.reduce((sum, load, rank) => sum + Math.max(0, load - each - (rank < larger ? 1 : 0)), 0)
      expect(movesOf(owning, assign(group, table))).toBe(fewest)
    }
  })

  test('moves nothing when nothing has changed, whatever the subscriptions', () => {
    const random = new SimRandom(5)
    for (let round = 0; round < 200; round++) {
      const { members, table } = draw(random, false)
      const owning = owningResult(members, assign(members, table))
      expect(movesOf(owning, assign(owning, table))).toBe(0)
    }
  })

  test('with different subscriptions no other assignment is more even (all are tried)', () => {
    const random = new SimRandom(6)
    for (let round = 0; round < 150; round++) {
      const topics = Array.from({ length: 1 + random.below(4) }, (_, at) => `t${at}`)
      const members = Array.from({ length: 2 + random.below(3) }, (_, at) =>
        member(
          `m${at}`,
          topics.filter(() => random.chance(0.5)),
        ),
      )
      const table = new Map(topics.map(topic => [topic, 1 + random.below(2)]))
      const loads = sizes(assign(members, table))
      const partitions = topics.flatMap(topic => Array.from({ length: table.get(topic) ?? 0 }, () => topic))
      const squares = (of: readonly number[]): number => of.reduce((sum, load) => sum + load * load, 0)
      const best = (at: number, own: number[]): number => {
        const topic = partitions[at]
        if (topic === undefined) return squares(own)
        const takers = members.flatMap((each, rank) => (each.topics.has(topic) ? [rank] : []))
        if (takers.length === 0) return best(at + 1, own)
        return Math.min(...takers.map(taker => best(at + 1, own.with(taker, (own[taker] ?? 0) + 1))))
      }
      expect(squares(loads)).toBe(
        best(
          0,
          members.map(() => 0),
        ),
      )
    }
  })

  test('drops what is gone, what is no longer subscribed and what two claim', () => {
    const owned = new Map([
      ['gone', [0]],
      ['t', [0, 1, 9]],
      ['u', [0]],
    ])
    const members = [member('a', ['t'], owned), member('b', ['t', 'u'], new Map([['t', [1]]]))]
    expect(shown(assign(members, counts({ t: 2, u: 1 })))).toEqual({ a: 'tp0 tp1', b: 'up0' })
  })
})

describe('the choice of an assignor', () => {
  test('takes one that all name, by their votes, and none when there is none', () => {
    expect(chooseAssignor([['range'], ['sticky']])).toBeUndefined()
    expect(chooseAssignor([])).toBeUndefined()
    expect(
      chooseAssignor([
        ['range', 'sticky'],
        ['sticky', 'range'],
        ['sticky', 'range'],
      ])?.name,
    ).toBe('sticky')
    expect(
      chooseAssignor([
        ['range', 'sticky'],
        ['sticky', 'range'],
      ])?.name,
    ).toBe('range')
    expect(
      chooseAssignor([
        ['round-robin', 'sticky'],
        ['sticky', 'range'],
      ])?.name,
    ).toBe('sticky')
  })
})
