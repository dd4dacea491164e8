/**
 * Goal: whatever members do and whatever the network loses, delays or repeats, no partition is ever worked on by two members who are both still allowed to
 * commit it; a group that is left alone becomes stable, with everything assigned; and a cooperative rebalance stops only partitions that
 * change their owner.
 *
 * Each seed is a program of joins, leaves, crashes, silences, slow hand-overs, new partitions and subscriptions and clock steps over one group, its members
 * following the rules of stream/groups/group-messages.ts over a network that delays and loses. `SEED=n npx vitest run test/model/groups` runs one,
 * `SEEDS=n` that many.
 */
import { expect, test } from 'vitest'
import { SimRandom } from '../../engine/env/index.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { AssignorName } from '../../stream/groups/assignors.ts'
import type { GroupRequest, MembershipReply } from '../../stream/groups/group-messages.ts'
import { Groups } from '../../stream/groups/groups.ts'
import { countPartitions, noPartitions, type TopicPartitions, withoutPartitions } from '../../stream/groups/partitions.ts'

const SESSION_MS = 1000
const POLL_MS = 4000
const BEAT_MS = 200

/** A member and its own view: what it was told, what it works on. */
interface Member {
  readonly name: string
  readonly instanceId: string | undefined
  topics: string[]
  memberId: string | undefined
  generation: number
  sequence: number
  holds: TopicPartitions
  /** Told, but not started before the stop of others was told. */
  wanted: TopicPartitions
  /** The request in flight: answers to others are ignored. */
  asked: number
  askedAt: number
  beatAt: number
  /** Until then it does not stop what it should. */
  busyUntil: number
  /** Until then it sends nothing. */
  silentUntil: number
  gone: boolean
}

class Simulation {
  readonly random: SimRandom
  readonly groups: Groups
  readonly counts = new Map([
    ['t', 5],
    ['u', 3],
  ])
  readonly assignors: AssignorName[]
  readonly members: Member[] = []
  readonly network: { at: number; run: () => void }[] = []
  now = 1_000_000_000
  lossRate = 0.05
  made = 0
  asks = 0
  rebalances = 0

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    const names: AssignorName[] = ['range', 'round-robin', 'sticky', 'cooperative-sticky', 'cooperative-sticky']
    this.assignors = [names[this.random.below(names.length)] as AssignorName]
    this.groups = new Groups(this.random.fork(), { joinWindowMs: this.random.below(3) * 20 })
    this.groups.topicsChanged(this.counts, this.now)
  }

  /** Carries a request there and the answer back; both may be late or lost, a request may come twice. */
  send(request: GroupRequest, take: (answer: MembershipReply | undefined | Error) => void): void {
    const arrive = (): void => {
      let answer: MembershipReply | undefined | Error
      try {
        answer = structuredClone(this.groups.step(request, this.now))
      } catch (error) {
        answer = error as Error
      }
      this.later(this.random.below(30), () => take(answer))
    }
    this.later(this.random.below(30), arrive)
    if (request.type === 'heartbeat' && this.random.chance(this.lossRate)) this.later(this.random.below(600), arrive)
  }

  later(ms: number, run: () => void): void {
    if (this.random.chance(this.lossRate)) return
    this.network.push({ at: this.now + ms, run })
  }

  join(instanceId?: string): void {
    const topics = this.random.chance(0.8) ? ['t', 'u'] : ['t']
    const member: Member = {
      ...{ name: `m${this.made++}`, instanceId, topics, memberId: undefined, generation: -1, sequence: 0, holds: noPartitions },
      ...{ wanted: noPartitions, asked: 0, askedAt: this.now, beatAt: this.now, busyUntil: 0, silentUntil: 0, gone: false },
    }
    this.members.push(member)
    this.ask(member)
  }

  ask(member: Member): void {
    const id = ++this.asks
    member.asked = id
    member.askedAt = this.now
    member.beatAt = this.now + BEAT_MS
    const group = 'g'
    const { memberId, generation, holds, topics } = member
    const request: GroupRequest =
      memberId === undefined
        ? {
            ...{ type: 'join', group, clientId: member.name, instanceId: member.instanceId, topics, assignors: this.assignors },
            ...{ sessionTimeoutMs: SESSION_MS, maxPollIntervalMs: POLL_MS },
          }
        : {
            type: 'heartbeat',
            group,
            memberId,
            generation,
            holds,
            topics,
            sequence: ++member.sequence,
            polled: member.busyUntil <= this.now,
          }
    this.send(request, answer => {
      if (member.gone || member.asked !== id) return
      member.asked = 0
      if (answer instanceof Error) {
        if (!isVarveError(answer, 'UNKNOWN_MEMBER') && !isVarveError(answer, 'FENCED_MEMBER')) throw answer
        Object.assign(member, { memberId: undefined, generation: -1, sequence: 0, holds: noPartitions, wanted: noPartitions, busyUntil: 0 })
        if (member.instanceId !== undefined && answer.details.reason === 'replaced') member.gone = true
        else this.ask(member)
        return
      }
      if (answer === undefined) return
      member.memberId = answer.memberId
      if (answer.generation > member.generation) this.rebalances++
      member.generation = answer.generation
      member.wanted = answer.assignment
      this.settle(member)
    })
  }

  /** Stops what it should when it is not busy, and says so; then starts what is new. */
  settle(member: Member): void {
    if (member.busyUntil > this.now) return
    const stop = withoutPartitions(member.holds, member.wanted)
    if (stop.size > 0) {
      member.holds = withoutPartitions(member.holds, stop)
      this.ask(member)
    } else if (countPartitions(member.holds) !== countPartitions(member.wanted)) {
      member.holds = member.wanted
      this.ask(member)
    }
  }

  step(quiet: boolean): void {
    this.now += 10
    if (!quiet) this.act()
    for (const message of this.network.splice(0))
      if (message.at <= this.now) message.run()
      else this.network.push(message)
    this.groups.tick(this.now)
    for (const { memberId } of this.groups.drain().nudges) {
      const member = this.members.find(each => each.memberId === memberId)
      if (member !== undefined && !member.gone && member.asked === 0 && member.silentUntil <= this.now) this.ask(member)
    }
    for (const member of this.members) {
      if (member.gone || member.silentUntil > this.now) continue
      const tired = member.asked !== 0 && this.now > member.askedAt + 2 * BEAT_MS
      if ((member.asked === 0 && this.now >= member.beatAt) || tired) this.ask(member)
      else if (member.asked === 0 && member.memberId !== undefined) this.settle(member)
    }
    this.check()
  }

  act(): void {
    const { random } = this
    const live = this.members.filter(member => !member.gone)
    const one = live[random.below(Math.max(1, live.length))]
    switch (random.below(60)) {
      case 0:
      case 1:
        if (live.length < 8) this.join(random.chance(0.3) ? `i${random.below(3)}` : undefined)
        break
      case 2:
        if (one?.memberId !== undefined) {
          one.gone = true
          this.send({ type: 'leave', group: 'g', memberId: one.memberId, temporary: random.chance(0.5) }, () => undefined)
        }
        break
      case 3:
        if (one !== undefined) one.gone = random.chance(0.3) // a crash
        break
      case 4:
        if (one !== undefined) one.silentUntil = this.now + random.below(3 * SESSION_MS)
        break
      case 5:
        if (one !== undefined) one.busyUntil = this.now + random.below(POLL_MS * 1.3)
        break
      case 6:
        if (random.chance(0.3)) {
          this.counts.set('t', (this.counts.get('t') ?? 0) + 1)
          this.groups.topicsChanged(this.counts, this.now)
        }
        break
      case 7:
        if (one !== undefined) one.topics = random.chance(0.5) ? ['t', 'u'] : ['u']
        break
      case 8:
        if (random.chance(0.1)) {
          const back = random.below(100_000)
          this.now -= back
          for (const message of this.network) message.at -= back
          for (const member of this.members) {
            for (const field of ['askedAt', 'beatAt', 'busyUntil', 'silentUntil'] as const) member[field] -= back
          }
        }
        break
      default:
    }
  }

  /** No partition is worked on by two who may both commit it. */
  check(): void {
    const owners = new Map<string, string>()
    for (const member of this.members) {
      if (member.gone || member.memberId === undefined) continue
      for (const [topic, list] of member.holds)
        for (const partition of list) {
          const { memberId, generation } = member
          if (!this.mayCommit(memberId, generation, topic, partition)) continue
          const place = `${topic}/${partition}`
          if (owners.has(place)) throw new Error(`${place} has two owners: ${owners.get(place)} and ${member.name}`)
          owners.set(place, member.name)
        }
    }
  }

  mayCommit(memberId: string, generation: number, topic: string, partition: number): boolean {
    try {
      this.groups.checkCommit({ group: 'g', memberId, generation, offsets: [{ topic, partition }] })
      return true
    } catch {
      return false
    }
  }

  /** After quiet times: stable, every partition of a subscribed topic held by exactly one member that may commit it. */
  checkSettled(): void {
    const live = this.members.filter(member => !member.gone)
    const state = this.groups.describe('g')?.state
    if (live.length === 0) {
      expect(['Empty', undefined]).toContain(state)
      return
    }
    expect(state).toBe('Stable')
    const held: string[] = []
    for (const member of live)
      for (const [topic, list] of member.holds)
        for (const partition of list) {
          expect(this.mayCommit(member.memberId ?? '', member.generation, topic, partition)).toBe(true)
          held.push(`${topic}/${partition}`)
        }
    const wanted = [...this.counts].flatMap(([topic, count]) =>
      live.some(member => member.topics.includes(topic)) ? Array.from({ length: count }, (_, at) => `${topic}/${at}`) : [],
    )
    expect(held.sort()).toEqual(wanted.sort())
  }
}

const only = process.env.SEED
const count = Number(process.env.SEEDS ?? 40)
const seeds = only === undefined ? Array.from({ length: count }, (_, seed) => seed + 1) : [Number(only)]

test('random programs: one owner at a time, and everything assigned when left alone', () => {
  let rebalances = 0
  for (const seed of seeds) {
    const simulation = new Simulation(seed)
    try {
      for (let phase = 0; phase < 3; phase++) {
        simulation.lossRate = 0.05
        for (let step = 0; step < 400; step++) simulation.step(false)
        simulation.lossRate = 0
        for (const member of simulation.members) Object.assign(member, { busyUntil: 0, silentUntil: 0 })
        for (let step = 0; step < 700; step++) simulation.step(true)
        simulation.checkSettled()
      }
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
    rebalances += simulation.rebalances
  }
  expect(rebalances).toBeGreaterThan(seeds.length * 3)
})

test('a cooperative rebalance stops only partitions that change their owner', () => {
  for (const seed of seeds) {
    const simulation = new Simulation(seed)
    simulation.assignors[0] = 'cooperative-sticky'
    simulation.lossRate = 0
    const stopped: string[] = []
    for (let round = 0; round < 8; round++) {
      if (round % 3 === 2) {
        const leaver = simulation.members.find(member => !member.gone) as Member
        leaver.gone = true
        simulation.send({ type: 'leave', group: 'g', memberId: leaver.memberId ?? '' }, () => undefined)
      } else simulation.join()
      for (const member of simulation.members) member.topics = ['t', 'u']
      const before = new Map(simulation.members.map(member => [member, member.holds]))
      let held = before
      for (let step = 0; step < 100; step++) {
        simulation.step(true)
        for (const [member, holds] of held)
          if (!member.gone)
            for (const [topic, list] of withoutPartitions(holds, member.holds))
              for (const partition of list) stopped.push(`${member.name} ${topic}/${partition}`)
        held = new Map(simulation.members.map(member => [member, member.holds]))
      }
      simulation.checkSettled()
      const changed: string[] = []
      for (const [member, holds] of before)
        if (!member.gone)
          for (const [topic, list] of withoutPartitions(holds, member.holds))
            for (const partition of list) changed.push(`${member.name} ${topic}/${partition}`)
      expect(stopped.splice(0).sort()).toEqual(changed.sort())
    }
  }
})
