/**
 * Goal: a group behaves as Kafka's: states and generations, eager and cooperative hand-over, static members, every timeout, fencing at the commit; and its
 * clock may jump, a hundred members may join at once, ten thousand groups may idle.
 */
import { describe, expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { isVarveError } from '../../../../engine/errors.ts'
import type { AssignorName } from '../../../../stream/groups/assignors.ts'
import { DeadlineQueue } from '../../../../stream/groups/deadline-queue.ts'
import { ForwardTime } from '../../../../stream/groups/forward-time.ts'
import type { FenceReason, GroupEvent, GroupState } from '../../../../stream/groups/group-messages.ts'
import { Groups } from '../../../../stream/groups/groups.ts'
import { countPartitions, samePartitions } from '../../../../stream/groups/partitions.ts'
import { type ClientOptions, GroupClient, joinRequest } from '../../../support/group-client.ts'

/** Groups with topics `t` (4 partitions) and `u` (2), a clock set by hand, and clients that answer nudges. */
class World {
  readonly groups: Groups
  readonly clients: GroupClient[] = []
  readonly events: GroupEvent[] = []
  now = 1000

  constructor(joinWindowMs = 10) {
    this.groups = new Groups(new SimRandom(7), { joinWindowMs })
    this.groups.topicsChanged(
      [
        ['t', 4],
        ['u', 2],
      ],
      this.now,
    )
  }

  join(clientId: string, options: ClientOptions = {}): GroupClient {
    const client = new GroupClient(clientId, options, this.groups, this.now)
    this.clients.push(client)
    return client
  }

  /** Lets time pass; clients that are nudged speak at once. */
  pass(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const delay = this.groups.delay(this.now)
      if (this.deliver()) continue
      if (delay === undefined || this.now + delay > end) break
      this.now += delay
      this.groups.tick(this.now)
    }
    this.now = end
  }

  private deliver(): boolean {
    const { nudges, events } = this.groups.drain()
    this.events.push(...events)
    for (const { memberId } of nudges) this.clients.find(client => client.memberId === memberId)?.heartbeat(this.groups, this.now)
    return nudges.length > 0
  }

  beat(...clients: GroupClient[]): void {
    for (const client of clients) client.heartbeat(this.groups, this.now)
  }

  state(group = 'g'): GroupState | undefined {
    return this.groups.describe(group)?.state
  }

  fences(): FenceReason[] {
    return this.events.flatMap(event => (event.type === 'fenced' ? [event.reason] : []))
  }

  commit(client: GroupClient, partition: number, generation = client.generation): void {
    this.groups.checkCommit({ group: client.group, memberId: client.memberId, generation, offsets: [{ topic: 't', partition }] })
  }
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return isVarveError(error) ? error.code : String(error)
  }
  return undefined
}

const held = (client: GroupClient): number => countPartitions(client.holds)

describe('a life of a group', () => {
  test('Empty, PreparingRebalance, CompletingRebalance, Stable, Empty, Dead; the generation grows with each assignment and at the end', () => {
    const world = new World()
    const seen: (string | undefined)[] = [world.state()]
    const ada = world.join('ada')
    seen.push(world.state())
    expect(ada.generation).toBe(0)
    world.now += 10
    world.groups.tick(world.now)
    seen.push(world.state())
    world.beat(ada)
    seen.push(world.state())
    expect(ada.generation).toBe(1)
    expect(held(ada)).toBe(4)
    ada.leave(world.groups, world.now)
    seen.push(world.state())
    expect(world.groups.describe('g')?.generation).toBe(2)
    world.groups.delete('g')
    seen.push(world.state())
    expect(seen).toEqual([undefined, 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Empty', undefined])
  })

  test('describe names members, clients, assignor, assignment and what each holds', () => {
    const world = new World()
    const ada = world.join('ada', { instanceId: 'one', topics: ['u', 't'] })
    world.pass(20)
    const described = world.groups.describe('g')
    expect(described).toMatchObject({ group: 'g', state: 'Stable', generation: 1, assignor: 'cooperative-sticky' })
    expect(described?.members).toHaveLength(1)
    expect(described?.members[0]).toMatchObject({ memberId: ada.memberId, instanceId: 'one', clientId: 'ada', generation: 1, away: false })
    expect(samePartitions(described?.members[0]?.holds ?? new Map(), ada.holds)).toBe(true)
    expect(described?.members[0]?.topics).toEqual(['u', 't'])
    expect(world.groups.names).toEqual(['g'])
  })

  test('a group with members cannot be deleted; one that is not there can', () => {
    const world = new World()
    world.join('ada')
    expect(codeOf(() => world.groups.delete('g'))).toBe('GROUP_NOT_EMPTY')
    expect(codeOf(() => world.groups.delete('other'))).toBeUndefined()
  })
})

describe.each<AssignorName>(['range', 'round-robin', 'sticky', 'cooperative-sticky'])('with %s', assignor => {
  const options = { assignors: [assignor] }

  test('members that join and leave share all partitions each time', () => {
    const world = new World()
    const ada = world.join('ada', options)
    world.pass(100)
    const bob = world.join('bob', options)
    world.pass(100)
    expect([held(ada), held(bob)]).toEqual([2, 2])
    expect(world.state()).toBe('Stable')
    ada.leave(world.groups, world.now)
    world.pass(100)
    expect(held(bob)).toBe(4)
    expect(bob.generation).toBe(3)
  })

  test('partitions that are added and topics that go are a rebalance', () => {
    const world = new World()
    const ada = world.join('ada', { ...options, topics: ['t', 'u'] })
    world.pass(100)
    world.groups.topicsChanged([['t', 6]], world.now)
    world.pass(100)
    expect(held(ada)).toBe(8)
    world.groups.topicsChanged([['u', 0]], world.now)
    world.pass(100)
    expect(held(ada)).toBe(6)
    world.groups.topicsChanged([['t', 6]], world.now)
    world.groups.topicsChanged([['other', 3]], world.now)
    world.pass(100)
    expect(ada.generation).toBe(3)
  })

  test('a new subscription is a rebalance', () => {
    const world = new World()
    const ada = world.join('ada', options)
    world.pass(100)
    ada.heartbeat(world.groups, world.now, { topics: ['u'] })
    world.pass(100)
    expect([...ada.holds]).toEqual([['u', [0, 1]]])
    ada.heartbeat(world.groups, world.now, { topics: ['u'] })
    expect(world.state()).toBe('Stable')
  })
})

describe('handing over', () => {
  test('eager: everybody gives up everything before anybody is assigned anything', () => {
    const world = new World()
    const ada = world.join('ada', { assignors: ['sticky'] })
    world.pass(100)
    ada.stuck = true
    const bob = world.join('bob', { assignors: ['sticky'] })
    world.pass(1000)
    expect(world.state()).toBe('PreparingRebalance')
    expect([held(ada), held(bob)]).toEqual([4, 0])
    expect(codeOf(() => world.commit(ada, 3))).toBeUndefined()
    ada.stuck = false
    world.beat(ada)
    world.pass(0)
    expect(world.state()).toBe('Stable')
    expect([held(ada), held(bob)]).toEqual([2, 2])
  })

  test('cooperative: only what moves stops, and it is granted when its owner said that it stopped', () => {
    const world = new World()
    const ada = world.join('ada')
    world.pass(100)
    ada.stuck = true
    const bob = world.join('bob')
    world.pass(1000)
    expect(world.state()).toBe('CompletingRebalance')
    expect([held(ada), held(bob)]).toEqual([4, 0])
    // The old owner may commit what it has not given up, under the new generation and under the one it knows best.
    for (const partition of [0, 1, 2, 3]) expect(codeOf(() => world.commit(ada, partition))).toBeUndefined()
    expect(codeOf(() => world.commit(bob, 2))).toBe('NOT_ASSIGNED')
    ada.stuck = false
    world.beat(ada)
    world.pass(0)
    expect([...ada.holds]).toEqual([['t', [0, 1]]])
    expect([...bob.holds]).toEqual([['t', [2, 3]]])
    expect(codeOf(() => world.commit(ada, 2))).toBe('NOT_ASSIGNED')
    expect(codeOf(() => world.commit(bob, 2))).toBeUndefined()
  })

  test('an answer that never arrives grants its partitions again with the next', () => {
    const world = new World()
    const ada = world.join('ada')
    world.now += 10
    world.groups.tick(world.now)
    world.groups.step(ada.request(), world.now) // lost
    world.beat(ada)
    expect(held(ada)).toBe(4)
  })

  test('a heartbeat that comes late, after a newer one, does not give up partitions granted meanwhile', () => {
    const world = new World()
    const ada = world.join('ada')
    world.pass(0)
    const late = ada.request()
    world.pass(100)
    expect(held(ada)).toBe(4)
    ada.stuck = true
    const bob = world.join('bob')
    world.pass(100)
    world.groups.step(late, world.now)
    world.beat(bob)
    expect(held(bob)).toBe(0)
  })

  test('a group moves from one assignor to another member by member', () => {
    const world = new World()
    const both: AssignorName[] = ['range', 'cooperative-sticky']
    const ada = world.join('ada', { assignors: ['range'] })
    expect(codeOf(() => world.join('eve', { assignors: ['cooperative-sticky'] }))).toBe('INCONSISTENT_GROUP')
    const bob = world.join('bob', { assignors: both })
    world.pass(100)
    expect(world.groups.describe('g')?.assignor).toBe('range')
    ada.leave(world.groups, world.now)
    const cid = world.join('cid', { assignors: ['cooperative-sticky'] })
    world.pass(100)
    expect(world.groups.describe('g')?.assignor).toBe('cooperative-sticky')
    expect([held(bob), held(cid)]).toEqual([2, 2])
  })
})

describe('static members', () => {
  test('one that comes back has its partitions at once, without a rebalance, and the one before is fenced', () => {
    const world = new World()
    const first = world.join('ada', { instanceId: 'one' })
    const bob = world.join('bob', { instanceId: 'two' })
    world.pass(100)
    const { generation } = bob
    const again = world.join('ada', { instanceId: 'one' })
    expect(samePartitions(again.holds, first.holds)).toBe(true)
    expect(world.state()).toBe('Stable')
    world.pass(100)
    expect(world.groups.describe('g')?.generation).toBe(generation)
    expect(codeOf(() => world.commit(first, 0))).toBe('FENCED_MEMBER')
    expect(codeOf(() => world.beat(first))).toBe('FENCED_MEMBER')
    expect(codeOf(() => world.commit(again, 0))).toBeUndefined()
    expect(world.fences()).toEqual(['replaced'])
  })

  test('with another subscription it is a rebalance', () => {
    const world = new World()
    world.join('ada', { instanceId: 'one' })
    world.pass(100)
    const again = world.join('ada', { instanceId: 'one', topics: ['u'] })
    world.pass(100)
    expect([...again.holds.keys()]).toEqual(['u'])
    expect(again.generation).toBe(2)
  })

  test('one that left for a while finds its partitions free; after its session timeout they are given to others', () => {
    const world = new World()
    const ada = world.join('ada', { instanceId: 'one' })
    const bob = world.join('bob', { sessionTimeoutMs: 1_000_000, maxPollIntervalMs: 1_000_000 })
    world.pass(100)
    const mine = ada.holds
    ada.leave(world.groups, world.now, true)
    expect(codeOf(() => world.beat(ada))).toBe('UNKNOWN_MEMBER')
    world.pass(40_000)
    expect(held(bob)).toBe(2)
    const again = world.join('ada', { instanceId: 'one' })
    expect(samePartitions(again.holds, mine)).toBe(true)
    expect(again.generation).toBe(1)
    again.leave(world.groups, world.now, true)
    world.pass(50_000)
    expect(held(bob)).toBe(4)
  })

  test('one that is away takes part in a rebalance and holds nobody up', () => {
    const world = new World()
    const ada = world.join('ada', { instanceId: 'one', assignors: ['range'] })
    world.pass(100)
    ada.leave(world.groups, world.now, true)
    const bob = world.join('bob', { assignors: ['range'] })
    world.pass(100)
    expect(world.state()).toBe('Stable')
    expect([...bob.holds]).toEqual([['t', [2, 3]]])
    const again = world.join('ada', { instanceId: 'one', assignors: ['range'] })
    expect([...again.holds]).toEqual([['t', [0, 1]]])
  })
})

describe('whoever does not follow is removed', () => {
  const patient = { sessionTimeoutMs: 10_000_000, maxPollIntervalMs: 10_000_000 }

  test('silence: session timeout', () => {
    const world = new World()
    const ada = world.join('ada')
    const bob = world.join('bob', patient)
    world.pass(100)
    world.beat(ada)
    world.pass(44_999)
    expect(held(bob)).toBe(2)
    world.pass(200)
    expect(held(bob)).toBe(4)
    expect(world.fences()).toEqual(['session-timeout'])
    expect(codeOf(() => world.beat(ada))).toBe('FENCED_MEMBER')
  })

  test('heartbeats without polls: max poll interval', () => {
    const world = new World()
    const ada = world.join('ada', { ...patient, maxPollIntervalMs: 1000 })
    world.pass(100)
    for (let beat = 0; beat < 12; beat++) {
      if (codeOf(() => ada.heartbeat(world.groups, world.now, { polled: false })) !== undefined) break
      world.pass(100)
    }
    expect(world.fences()).toEqual(['max-poll-interval'])
    expect(world.state()).toBe('Empty')
  })

  test.each<AssignorName>(['range', 'cooperative-sticky'])('%s: partitions that are not handed over: rebalance timeout', assignor => {
    const world = new World()
    const ada = world.join('ada', { assignors: [assignor], maxPollIntervalMs: 5000 })
    world.pass(100)
    ada.stuck = true
    const bob = world.join('bob', { ...patient, assignors: [assignor] })
    for (let beat = 0; beat < 60; beat++) {
      if (codeOf(() => world.beat(ada)) !== undefined) break
      world.pass(100)
    }
    world.pass(100)
    expect(world.fences()).toEqual(['rebalance-timeout'])
    expect(held(bob)).toBe(4)
    expect(world.state()).toBe('Stable')
  })

  test('a member that joins and never says that it knows its assignment', () => {
    const world = new World()
    const bob = world.join('bob', patient)
    const { memberId } = world.groups.step(joinRequest('mute'), world.now) ?? {}
    world.pass(100)
    expect(world.state()).toBe('CompletingRebalance')
    world.pass(45_100)
    expect(world.state()).toBe('Stable')
    expect(held(bob)).toBe(4)
    expect(codeOf(() => world.groups.step({ ...bob.request(), memberId: memberId ?? '' }, world.now))).toBe('FENCED_MEMBER')
  })
})

describe('fencing', () => {
  test('strangers, generations that never were and generations left behind', () => {
    const world = new World()
    expect(codeOf(() => world.groups.checkCommit({ group: 'none', memberId: 'x', generation: 1, offsets: [] }))).toBe('UNKNOWN_MEMBER')
    const ada = world.join('ada')
    world.pass(100)
    expect(codeOf(() => world.groups.step({ ...ada.request(), group: 'none' }, world.now))).toBe('UNKNOWN_MEMBER')
    expect(codeOf(() => world.groups.step({ ...ada.request(), memberId: 'stranger' }, world.now))).toBe('UNKNOWN_MEMBER')
    expect(codeOf(() => world.groups.step(ada.request({ generation: 9 }), world.now))).toBe('ILLEGAL_GENERATION')
    expect(codeOf(() => world.commit(ada, 0, 2))).toBe('ILLEGAL_GENERATION')
    expect(codeOf(() => world.commit(ada, 0, 0))).toBe('ILLEGAL_GENERATION')
    expect(codeOf(() => world.commit(ada, 4))).toBe('NOT_ASSIGNED')
    expect(codeOf(() => world.commit(ada, 0))).toBeUndefined()
  })

  test('leaving twice, or a group that is not there, is fine', () => {
    const world = new World()
    const ada = world.join('ada')
    ada.leave(world.groups, world.now)
    ada.leave(world.groups, world.now)
    world.groups.step({ type: 'leave', group: 'none', memberId: 'x' }, world.now)
    expect(codeOf(() => world.beat(ada))).toBe('UNKNOWN_MEMBER')
  })

  test('joins that make no sense', () => {
    const world = new World()
    expect(() => world.join('ada', { group: '' })).toThrow(/group/)
    expect(() => world.join('ada', { assignors: [] })).toThrow(/assignors/)
    expect(() => world.join('ada', { sessionTimeoutMs: 0 })).toThrow(/sessionTimeoutMs/)
    expect(() => world.join('ada', { maxPollIntervalMs: 1.5 })).toThrow(/maxPollIntervalMs/)
    expect(() => new Groups(new SimRandom(1), { joinWindowMs: -1 })).toThrow(/joinWindowMs/)
    const small = new Groups(new SimRandom(1), { membersMax: 1 })
    small.step(joinRequest('ada'), 0)
    expect(codeOf(() => small.step(joinRequest('bob'), 0))).toBe('TOO_LARGE')
  })
})

describe('load', () => {
  test('a hundred members that join at once make one or two generations', () => {
    const world = new World()
    world.groups.topicsChanged([['t', 200]], world.now)
    for (let at = 0; at < 100; at++) {
      world.join(`m${at}`)
      world.pass(at % 5 === 0 ? 1 : 0)
    }
    world.pass(1000)
    expect(world.state()).toBe('Stable')
    expect(world.clients.every(client => held(client) === 2)).toBe(true)
    expect(world.groups.describe('g')?.generation).toBeLessThanOrEqual(2)
  })

  test('ten thousand groups: each works, and idling costs nothing between their deadlines', () => {
    const world = new World()
    for (let at = 0; at < 10_000; at++) world.join('ada', { group: `g${at}` })
    world.now += 10
    world.groups.tick(world.now)
    for (const client of world.clients) client.heartbeat(world.groups, world.now)
    expect(world.clients.every(client => held(client) === 4)).toBe(true)
    const before = process.hrtime.bigint()
    for (let tick = 0; tick < 10_000; tick++) world.groups.tick(world.now)
    expect(Number(process.hrtime.bigint() - before)).toBeLessThan(1e9) // looking at all of them each time would take far longer
    expect(world.groups.delay(world.now)).toBeGreaterThan(0)
  })
})

describe('time', () => {
  test('an open join window is a wait that a process must live through; nothing else is', () => {
    const world = new World()
    const ada = world.join('ada', { assignors: ['range'] })
    expect(world.groups.isGathering).toBe(true)
    world.pass(100)
    expect(world.groups.isGathering).toBe(false)
    ada.stuck = true
    world.join('bob', { assignors: ['range'] })
    expect(world.groups.isGathering).toBe(true)
    world.pass(100)
    expect([world.state(), world.groups.isGathering]).toEqual(['PreparingRebalance', false])
  })

  test('a clock that is set back expires nobody and asks for no negative timer; one that then goes on does', () => {
    const world = new World()
    const ada = world.join('ada')
    world.pass(100)
    world.now -= 3_600_000
    world.groups.tick(world.now)
    world.beat(ada)
    expect(world.groups.delay(world.now)).toBeGreaterThanOrEqual(0)
    world.pass(44_000)
    expect(world.fences()).toEqual([])
    world.pass(2000)
    expect(world.fences()).toEqual(['session-timeout'])
  })

  test('ForwardTime sums forward steps only', () => {
    const time = new ForwardTime()
    expect([100, 150, 20, 30, 30, 31].map(reading => time.advance(reading))).toEqual([0, 50, 50, 60, 60, 61])
  })

  test('DeadlineQueue gives what is due in order of time', () => {
    const random = new SimRandom(9)
    const queue = new DeadlineQueue<number>()
    const times = Array.from({ length: 500 }, () => random.below(200))
    for (const at of times) queue.push(at, at)
    const out: number[] = []
    for (let due = queue.popDue(99); due !== undefined; due = queue.popDue(99)) out.push(due.owner)
    expect(queue.earliest).toBe(Math.min(...times.filter(at => at > 99)))
    for (let due = queue.popDue(200); due !== undefined; due = queue.popDue(200)) out.push(due.owner)
    expect(out).toEqual([...times].sort((a, b) => a - b))
    expect(queue.earliest).toBe(Number.POSITIVE_INFINITY)
  })
})

test('observers are told of joins, leaves, rebalances with what moved, and stability', () => {
  const world = new World()
  const ada = world.join('ada')
  world.pass(100)
  const bob = world.join('bob')
  world.pass(100)
  bob.leave(world.groups, world.now)
  ada.leave(world.groups, world.now)
  world.pass(0)
  expect(world.events.map(event => event.type)).toEqual([
    'joined',
    'rebalance',
    'stable',
    'joined',
    'rebalance',
    'stable',
    'left',
    'left',
    'empty',
  ])
  expect(world.events[4]).toEqual({ type: 'rebalance', group: 'g', generation: 2, reason: 'join', members: 2, partitions: 4, moved: 2 })
  expect(world.events[2]).toEqual({ type: 'stable', group: 'g', generation: 1, ms: 10 })
})
