/**
 * Goal: producers over many lives of a machine that dies at any disk operation: each transaction is seen whole or not at all, as its end was answered; offsets go
 * with it; nothing is left open after an opening; and a named producer that resumes from `lastSequence` delivers each record of its source once, in order.
 *
 * Markers are two to a commit, so that ends of several commits are common, and the machine dies between them.
 */
import { expect, test } from 'vitest'
import type { SimEnvironment } from '../../engine/env/index.ts'
import type { Producer, Topic } from '../../index.ts'
import { TopicProducers } from '../../stream/topic/topic-producers.ts'
import { Topics } from '../../stream/topic/topics.ts'
import { newEnvironment, openSim, runUntilCrash } from '../probes/support.ts'

type Fate = 'open' | 'aborted' | 'committing' | 'committed'

interface Transaction {
  readonly values: string[]
  /** What it commits for the group; undefined: nothing. */
  offset: number | undefined
  fate: Fate
}

/** What the outside world knows. */
class World {
  readonly transactions: Transaction[] = []
  /** The newest line of the source whose send was acknowledged. */
  lineAcked = -1
  crashes = 0
  ends = 0
  resolved = { committed: 0, aborted: 0 }
}

class Life {
  readonly topics: Topics
  readonly producers: TopicProducers
  readonly t: Topic<string>
  readonly u: Topic<string>
  readonly lines: Topic<string>
  readonly #world: World
  readonly #random: () => number

  constructor(db: Awaited<ReturnType<typeof openSim>>, world: World, random: () => number) {
    this.#world = world
    this.#random = random
    this.topics = new Topics(db)
    this.producers = new TopicProducers(this.topics, { markersPerCommit: 2 })
    this.t = this.topics.topic<string, string>('t', { value: 'string', partitions: 4 })
    this.u = this.topics.topic<string, string>('u', { value: 'string', partitions: 2 })
    this.lines = this.topics.topic<string, string>('lines', { value: 'string', partitions: 3 })
  }

  async valuesOf(topic: Topic<string>, isolation: 'read_committed' | 'read_uncommitted'): Promise<{ partition: number; value: string }[]> {
    const all = []
    for await (const { records } of topic.consume({ until: 'end', isolation }))
      for (const { partition, value } of records) all.push({ partition, value: value as string })
    return all
  }

  /** After an opening: nothing is open, and every transaction has the fate that it was told. */
  async check(): Promise<void> {
    for (const topic of [this.t, this.u])
      for (const { highWatermark, lastStableOffset } of topic.describe().partitions) expect(lastStableOffset).toBe(highWatermark)
    const seen = new Map<string, number>()
    for (const topic of [this.t, this.u])
      for (const { value } of await this.valuesOf(topic, 'read_committed')) seen.set(value, (seen.get(value) ?? 0) + 1)
    let offset: number | undefined
    for (const transaction of this.#world.transactions) {
      const counts = transaction.values.map(value => seen.get(value) ?? 0)
      if (transaction.fate === 'committing') {
        // Nobody was told: all or nothing, and for good.
        transaction.fate = counts.some(count => count > 0) ? 'committed' : 'aborted'
        this.#world.resolved[transaction.fate]++
      } else if (transaction.fate === 'open') transaction.fate = 'aborted'
      const expected = transaction.fate === 'committed' ? 1 : 0
      expect(counts, transaction.fate).toEqual(counts.map(() => expected))
      for (const value of transaction.values) seen.delete(value)
      if (transaction.fate === 'committed') offset = transaction.offset ?? offset
    }
    expect([...seen.keys()]).toEqual([])
    const committed = await this.topics.groups.transport.committed('g', new Map([['t', [0]]]))
    expect(committed[0]?.offset).toBe(offset)
    // A life's first opening of the name.
    const loader = this.producers.producer({ id: 'loader' })
    const last = loader.lastSequence(this.lines) ?? -1
    expect(last).toBeGreaterThanOrEqual(this.#world.lineAcked)
    const stored = await this.valuesOf(this.lines, 'read_committed')
    for (let partition = 0; partition < 3; partition++) {
      const expected = []
      for (let n = partition; n <= last; n += 3) expected.push(`line ${n}`)
      expect(stored.filter(record => record.partition === partition).map(({ value }) => value)).toEqual(expected)
    }
    await loader.close()
  }

  async run(): Promise<void> {
    const random = this.#random
    const world = this.#world
    const loader = this.producers.producer({ id: 'loader', lingerMs: random() < 0.5 ? 1 : 0 })
    // The source is read again from a little before.
    let line = Math.max(0, (loader.lastSequence(this.lines) ?? -1) - 2)
    let producer = this.producers.producer({ transactionalId: 'x' })
    for (let step = 0; step < 12; step++) {
      if (random() < 0.5) {
        const sends: Promise<unknown>[] = []
        for (let i = 0; i < 4; i++, line++) {
          const n = line
          const sent = loader.send(this.lines, { value: `line ${n}`, partition: n % 3 }, { sequence: n })
          sends.push(sent.then(() => (world.lineAcked = Math.max(world.lineAcked, n))))
        }
        await Promise.all(sends)
      } else {
        producer = await this.#transact(producer)
        if (random() < 0.2) producer = this.producers.producer({ transactionalId: 'x' })
      }
    }
    await loader.close()
  }

  /** Returns the producer to go on with. */
  async #transact(producer: Producer): Promise<Producer> {
    const random = this.#random
    const tx = await producer.begin()
    const transaction: Transaction = { values: [], offset: undefined, fate: 'open' }
    const number = this.#world.transactions.push(transaction)
    const count = 1 + Math.floor(random() * 7)
    for (let i = 0; i < count; i++) {
      const value = `tx ${number} record ${i}`
      transaction.values.push(value)
      const topic = random() < 0.7 ? this.t : this.u
      const sent = tx.send(topic, { value, partition: Math.floor(random() * topic.partitionCount) })
      if (random() < 0.3) await sent
    }
    if (random() < 0.4) {
      transaction.offset = number
      tx.addOffsets('g', [{ topic: 't', partition: 0, offset: number }])
    }
    const choice = random()
    if (choice < 0.6) {
      transaction.fate = 'committing'
      await tx.commit()
      transaction.fate = 'committed'
      this.#world.ends++
    } else if (choice < 0.85) {
      transaction.fate = 'aborted'
      await tx.abort()
    } else {
      // Its owner forgets it: whoever comes next aborts it.
      transaction.fate = 'aborted'
      const next = this.producers.producer({ transactionalId: 'x' })
      await expect(tx.commit()).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
      return next
    }
    return producer
  }
}

function randomOf(seed: number): () => number {
  let state = seed * 2654435761 + 1
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

const seeds = 25

test('transactions and named producers over many lives', { timeout: 600_000 }, async () => {
  const world: World[] = []
  for (let seed = 1; seed <= seeds; seed++) {
    const random = randomOf(seed)
    const facts = new World()
    world.push(facts)
    let environment: SimEnvironment = newEnvironment(seed)
    for (let life = 0; life < 9; life++) {
      const point = life === 8 ? Number.POSITIVE_INFINITY : Math.floor(random() * 90)
      let failure: unknown
      const { crashed } = await runUntilCrash(environment, point, async () => {
        const db = await openSim(environment)
        try {
          const now = new Life(db, facts, random)
          if (db.get('topic/__transaction_state') !== undefined) await now.producers.coordinator.recover()
          await now.check()
          await now.run()
          await db.seal()
        } catch (error) {
          if (environment.isAlive) failure = error
          throw error
        }
        await db.close()
      })
      if (failure !== undefined) throw new Error(`seed ${seed}, life ${life}`, { cause: failure })
      if (crashed) facts.crashes++
      environment = newEnvironment(seed * 1000 + life, environment.disk)
    }
    await environment.drive(async () => {
      const db = await openSim(environment)
      const now = new Life(db, facts, random)
      await now.producers.coordinator.recover()
      await now.check()
      await db.close()
    })
  }
  const sum = (of: (facts: World) => number): number => world.reduce((total, facts) => total + of(facts), 0)
  // The runs must have met what they are for.
  expect(sum(({ crashes }) => crashes)).toBeGreaterThan(seeds)
  expect(sum(({ ends }) => ends)).toBeGreaterThan(seeds)
  expect(sum(({ resolved }) => resolved.committed)).toBeGreaterThan(0)
  expect(sum(({ resolved }) => resolved.aborted)).toBeGreaterThan(0)
})
