/**
 * A random program of producers, transactions and consumers over topics, on a simulated machine with many lives, and its history: the verbs of `stream/`
 * judged by the checker of test/support/history.
 */
import { type Database, isVarveError, type Producer } from '../../index.ts'
import { checkHistory } from '../support/history/check.ts'
import { heldHistory, type JudgedHistory } from '../support/history/held.ts'
import type { Partition } from '../support/history/history.ts'
import { atomicAllows, type HistoryRules, kafkaAllows } from '../support/history/rules.ts'
import { type Life, SimulatedLives } from '../support/history/simulated-lives.ts'
import {
  isFenced,
  outgoingOf,
  partitionName,
  RecordedConsumer,
  type RecordedGroupBatch,
  RecordedMember,
  type RecordedMemberOptions,
  RecordedProducer,
  type RecordedSend,
  readWhole,
  type TextTopic,
} from '../support/history/topic-clients.ts'
import { Loader, Resender } from '../support/history/topic-producers.ts'

/** Topics with their partitions: two plain ones, and one that is compacted. */
const topicPartitions = { in: 3, out: 2, table: 1 } as const
type TopicName = keyof typeof topicPartitions
const topicNames = Object.keys(topicPartitions) as TopicName[]
const partitions: readonly Partition[] = topicNames.flatMap(name =>
  Array.from({ length: topicPartitions[name] }, (_, i) => partitionName(name, i)),
)

const rules: HistoryRules = {
  isCompacted: partition => partition.startsWith('table/'),
  groups: {
    least: { promise: 'at-least-once', from: 'earliest' },
    most: { promise: 'at-most-once', from: 'earliest' },
    auto: { promise: 'at-least-once', from: 'earliest' },
    exactly: { promise: 'exactly-once', from: 'earliest' },
    producer: { promise: 'exactly-once', from: 'earliest' },
  },
}

/** At least once by hand and by automatic commits, at most once, exactly once by a transaction of the database, and by one of a producer. */
const groupNames = ['least', 'auto', 'most', 'exactly', 'producer'] as const
type GroupName = (typeof groupNames)[number]

/** What a process had under way when it died is awaited by nobody; while it lives, somebody does. */
const dies = (): void => undefined

/** What a transaction's producer may be refused. */
function isRefused(error: unknown): boolean {
  return (['PRODUCER_FENCED', 'INVALID_TRANSACTION_STATE', 'BUSY'] as const).some(code => isVarveError(error, code))
}

/** undefined when it was refused. */
async function refusable<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (isRefused(error)) return undefined
    throw error
  }
}

type OpenTopics = Readonly<Record<TopicName, TextTopic>>

/** What a recipe needs beside its batch. */
interface RecipePlace {
  readonly database: Database
  readonly topics: OpenTopics
  readonly life: Life
  readonly producer: RecordedProducer
  /** Of the group 'producer': its producer of transactions. */
  readonly transactional: Producer | undefined
  readonly work: () => Promise<void>
}

class Program {
  readonly lives: SimulatedLives
  #values = 0
  #processes = 0
  #transactions = 0

  readonly hasLongTransactions: boolean
  readonly #groups: readonly GroupName[]
  readonly #loaders: readonly Loader[]
  readonly #resender: Resender

  constructor(seed: number) {
    this.hasLongTransactions = seed % 2 === 0
    this.#groups = groupNames.filter(group => group !== 'producer' || this.hasLongTransactions)
    this.#loaders = ['loader-1', 'loader-2'].map(name => new Loader(name, life => this.#draw(life, 'in')))
    this.#resender = new Resender('resender', (_, partition) => ({ value: `v${++this.#values}`, partition }))
    this.lives = new SimulatedLives(seed, ['sync', 'sync', 'sync', 'buffered'])
  }

  get #durability(): 'sync' | 'buffered' | 'none' {
    return this.lives.options.durability ?? 'sync'
  }

  async open(database: Database): Promise<OpenTopics> {
    const open = (name: TopicName): TextTopic =>
      database.topic<string, string>(name, {
        partitions: topicPartitions[name],
        value: 'string',
        cleanup: name === 'table' ? 'compact' : 'delete',
        ...(this.lives.options.sync === 'inline' ? { compression: 'zstd' } : {}),
      })
    const topics = { in: open('in'), out: open('out'), table: open('table') }
    await Promise.all(topicNames.map(name => topics[name].ready()))
    return topics
  }

  async life(): Promise<void> {
    const { random } = this.lives
    const diesAt = random.chance(0.8) ? 5 + random.below(140) : undefined
    await this.lives.live(async (database, life) => {
      const topics = await this.open(database)
      let isOver = false
      const producers = [
        this.#producer(topics, life),
        this.#producer(topics, life),
        this.#batches(topics, life),
        this.#atomic(database, topics, life),
        ...(this.hasLongTransactions ? [1, 2, 3].map(() => this.#transactional(database, topics, life)) : []),
        // What a weaker word loses is sent again under the same name: another history.
        ...(this.#durability === 'sync' ? this.#loaders.map(loader => loader.run(topics.in, life)) : []),
        ...(this.#durability === 'sync' ? [this.#resender.run(database, topics.in, life)] : []),
        this.#upkeep(database, topics, life),
      ]
      const consumers = [
        this.#reader(topics, life, () => isOver),
        this.#reader(topics, life, () => isOver),
        ...this.#groups.map(group => this.#members(database, topics, life, group, () => isOver)),
      ]
      for (const client of [...producers, ...consumers]) client.catch(dies)
      await Promise.all(producers)
      isOver = true
      await Promise.all(consumers)
    }, diesAt)
  }

  /** Nothing fails any more: all that is there is read. */
  async readAll(): Promise<void> {
    await this.lives.live(async (database, life) => {
      const { recorder } = life
      const topics = await this.open(database)
      // Groups catch up: what they have not processed then they have lost.
      for (const group of this.#groups) await this.#catchUp(database, topics, life, group)
      for (const isolation of ['committed', 'uncommitted'] as const)
        for (const name of topicNames) await readWhole(topics[name], recorder, `final-${isolation}-${name}`, isolation)
    })
  }

  #process(kind: string): string {
    return `${kind}-${++this.#processes}`
  }

  #draw(life: Life, name: TopicName): RecordedSend {
    const { random } = life
    const value = `v${++this.#values}`
    if (name === 'table') return { value, key: `k${random.below(6)}`, isTombstone: random.chance(0.2) }
    if (random.chance(0.4)) return { value, key: `k${random.below(20)}` }
    return random.chance(0.5) ? { value, partition: random.below(topicPartitions[name]) } : { value }
  }

  async #producer(topics: OpenTopics, life: Life): Promise<void> {
    const { random, recorder } = life
    const producer = new RecordedProducer(recorder, this.#process('producer'), this.#durability)
    const under: Promise<void>[] = []
    for (let round = 5 + random.below(12); round > 0; round--) {
      for (let count = 1 + random.below(4); count > 0; count--) {
        const name = random.chance(0.3) ? 'table' : 'in'
        const sent = producer.send(topics[name], this.#draw(life, name))
        sent.catch(dies)
        under.push(sent)
      }
      await life.pause(4)
    }
    await Promise.all(under)
  }

  async #batches(topics: OpenTopics, life: Life): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('batches')
    const producer = new RecordedProducer(recorder, process, this.#durability)
    for (let round = 3 + random.below(6); round > 0; round--) {
      const name = random.chance(0.3) ? 'table' : 'in'
      const all = Array.from({ length: 1 + random.below(6) }, () => this.#draw(life, name))
      await producer.sendBatch(topics[name], all, `${process}:${++this.#transactions}`)
      await life.pause(4)
    }
  }

  /** One commit over topics, now and then given up. */
  async #atomic(database: Database, topics: OpenTopics, life: Life): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('transactions')
    const producer = new RecordedProducer(recorder, process, this.#durability)
    for (let round = 3 + random.below(6); round > 0; round--) {
      const sends = Array.from({ length: 1 + random.below(5) }, () => {
        const name = (['in', 'out', 'in'] as const)[random.below(3)]!
        return [topics[name], this.#draw(life, name)] as const
      })
      await producer.transact(database, `${process}:${++this.#transactions}`, sends, () => random.chance(0.8))
      await life.pause(4)
    }
  }

  /** Transactions of producers, which lie open in their partitions; some run out of time, some are shut out by another producer of their name. */
  async #transactional(database: Database, topics: OpenTopics, life: Life): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('transactional')
    const recorded = new RecordedProducer(recorder, process, this.#durability)
    await life.pause(10)
    const producer = database.producer({ transactionalId: `id-${random.below(2)}`, transactionTimeoutMs: 30 })
    for (let round = 2 + random.below(5); round > 0; round--) {
      const begun = await refusable(producer.begin())
      if (begun === undefined) break
      const transaction = `${process}:${++this.#transactions}`
      for (let count = 1 + random.below(6); count > 0; count--) {
        const name = random.chance(0.5) ? 'in' : 'out'
        const sent = this.#draw(life, name)
        const pending = recorded.begin(name, sent, transaction)
        begun
          .send(topics[name], outgoingOf(sent))
          .then(({ partition, offset }) => pending.ok({ partition: partitionName(name, partition), offset }), dies)
        if (random.chance(0.4)) await life.pause(random.chance(0.05) ? 50 : 4)
      }
      const kind = random.chance(0.75) ? 'commit' : 'abort'
      const end = recorder.invoke(process, { kind, transaction, durability: this.#durability })
      if ((await refusable(begun[kind]().then(() => true))) === true) end.ok()
      else {
        end.fail()
        await refusable(begun.abort())
      }
      await life.pause(4)
    }
    await refusable(producer.close())
  }

  /** Reads here and there, goes back and forth, and pauses partitions. */
  async #reader(topics: OpenTopics, life: Life, isOver: () => boolean): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('reader')
    const name = topicNames[random.below(topicNames.length)]!
    const topic = topics[name]
    while (!isOver()) {
      const chosen = Array.from({ length: topicPartitions[name] }, (_, i) => i).filter(() => random.chance(0.7))
      if (chosen.length === 0) continue
      const consumer = new RecordedConsumer(topic, recorder, process, {
        isolation: random.chance(0.6) ? 'committed' : 'uncommitted',
        from: random.chance(0.6) ? 'earliest' : 'latest',
        partitions: chosen,
        maxRecords: 1 + random.below(8),
        by: (['batches', 'batches', 'records', 'raw'] as const)[random.below(4)]!,
      })
      await this.#drain(consumer, life, isOver, async batch => {
        if (random.chance(0.3)) await life.pause(3)
        batch.pending.ok(batch.result)
        if (consumer.isClosed) return false
        const partition = chosen[random.below(chosen.length)]!
        const { startOffset, highWatermark } = topic.partition(partition)
        if (random.chance(0.1)) consumer.seek(partition, startOffset + random.below(highWatermark - startOffset + 1))
        if (chosen.length > 1 && random.chance(0.1)) consumer.consumer.pause([partition])
        else consumer.consumer.resume(chosen)
        return random.chance(0.95)
      })
    }
  }

  /** Handles batches until the handler has enough, the consumer fails, or everything is over. */
  async #drain(
    consumer: RecordedConsumer,
    life: Life,
    isOver: () => boolean,
    handle: (batch: NonNullable<Awaited<ReturnType<RecordedConsumer['next']>>>) => Promise<boolean>,
  ): Promise<void> {
    const watch = async (): Promise<void> => {
      while (!isOver() && !isDone) await life.pause(5)
      await consumer.close()
    }
    let isDone = false
    const watching = watch()
    for (;;) {
      const batch = await consumer.next()
      if (batch === undefined || !(await handle(batch))) break
      await life.pause(2)
    }
    isDone = true
    await watching
  }

  /** Members of a group come and go, some too slow for it, until it is over. */
  async #members(database: Database, topics: OpenTopics, life: Life, group: GroupName, isOver: () => boolean): Promise<void> {
    const { random } = life
    const assignor = (['cooperative-sticky', 'range', 'round-robin', 'sticky'] as const)[random.below(4)]!
    const instances = random.chance(0.3)
    const live = async (seat: number): Promise<void> => {
      while (!isOver()) {
        await life.pause(20)
        await this.#member(database, topics, life, isOver, {
          group,
          assignor,
          maxRecords: 1 + random.below(8),
          sessionTimeoutMs: 60,
          maxPollIntervalMs: 30,
          ...(instances ? { instanceId: `${group}-${random.chance(0.9) ? seat : 0}` } : {}),
          ...(group === 'auto' ? { autoCommit: { intervalMs: 1 + random.below(20) } } : {}),
        })
      }
    }
    await Promise.all([live(0), live(1), live(2)])
  }

  async #member(database: Database, topics: OpenTopics, life: Life, isOver: () => boolean, options: RecordedMemberOptions): Promise<void> {
    const { random, recorder } = life
    const group = options.group as GroupName
    const process = this.#process(group)
    const member = new RecordedMember(topics.in, recorder, process, options)
    const producer = new RecordedProducer(recorder, process, this.#durability)
    const transactional = this.#transactionalOf(database, group, process)
    for (let rounds = 5 + random.below(30); rounds > 0 && !isOver(); rounds--) {
      const polled = await member.poll(1 + random.below(10))
      if (polled === 'over') break
      if (polled === 'nothing') continue
      // Now and then longer than the group waits.
      const work = (): Promise<void> => life.pause(random.chance(0.05) ? 80 : 4)
      await this.#handle(group, member, polled, { database, topics, life, producer, transactional, work })
    }
    await member.close()
    if (transactional !== undefined) await refusable(transactional.close())
  }

  #transactionalOf(database: Database, group: GroupName, process: string): Producer | undefined {
    return group === 'producer' ? database.producer({ transactionalId: process, transactionTimeoutMs: 60 }) : undefined
  }

  async #catchUp(database: Database, topics: OpenTopics, life: Life, group: GroupName): Promise<void> {
    const process = this.#process(group)
    const member = new RecordedMember(topics.in, life.recorder, process, { group, maxRecords: 50 })
    const producer = new RecordedProducer(life.recorder, process, this.#durability)
    const transactional = this.#transactionalOf(database, group, process)
    const work = (): Promise<void> => life.pause(2)
    const { consumer } = member
    for (;;) {
      const polled = await member.poll(20)
      if (polled === 'over') throw new Error(`${process} was fenced, alone in its group`)
      if (polled !== 'nothing') await this.#handle(group, member, polled, { database, topics, life, producer, transactional, work })
      else if (consumer.assignment.length === topicPartitions.in && consumer.lag === 0) break
    }
    await member.close()
  }

  /** One batch by the recipe of its group. */
  async #handle(group: GroupName, member: RecordedMember, polled: RecordedGroupBatch, place: RecipePlace): Promise<void> {
    const { database, topics, life, producer, work } = place
    const { pending, result, batch } = polled
    const commit = async (): Promise<boolean> => {
      try {
        await batch.commit()
        return true
      } catch (error) {
        if (!isFenced(error)) throw error
        return false
      }
    }
    if (group === 'most') {
      if (!(await commit())) return pending.fail(result)
      await work()
      pending.ok(result)
    } else if (group === 'exactly') {
      const transaction = `exactly:${++this.#transactions}`
      pending.ok({ ...result, transaction })
      await work()
      const sends = batch.records.map(() => [topics.out, this.#draw(life, 'out')] as const)
      const isCommitted = await producer.transact(database, transaction, sends, tx => {
        batch.commitWith(tx)
        return life.random.chance(0.9)
      })
      if (!isCommitted) member.goBack(polled)
    } else if (group === 'producer') {
      const transaction = `producer:${++this.#transactions}`
      pending.ok({ ...result, transaction })
      await work()
      if (!(await this.#produce(transaction, polled, place))) member.goBack(polled)
    } else {
      await work()
      pending.ok(result)
      if (group === 'least') await commit()
    }
  }

  /** What a batch makes, and its offsets, in one transaction of a producer. False when it was aborted. */
  async #produce(transaction: string, { batch }: RecordedGroupBatch, place: RecipePlace): Promise<boolean> {
    const { topics, life, producer, transactional } = place
    const { random } = life
    const begun = await transactional!.begin()
    const sends = batch.records.map(() => this.#draw(life, 'out'))
    for (const sent of sends) {
      const pending = producer.begin('out', sent, transaction)
      begun
        .send(topics.out, outgoingOf(sent))
        .then(({ partition, offset }) => pending.ok({ partition: partitionName('out', partition), offset }), dies)
      if (random.chance(0.2)) await life.pause(random.chance(0.03) ? 100 : 3)
    }
    const end = producer.end(transaction, random.chance(0.9) ? 'commit' : 'abort')
    try {
      begun.addOffsets(batch)
      await begun[end.kind]()
      end.pending.ok()
      return end.kind === 'commit'
    } catch (error) {
      if (!isFenced(error) && !isRefused(error)) throw error
      end.pending.fail()
      await refusable(begun.abort())
      return false
    }
  }

  async #upkeep(database: Database, topics: OpenTopics, life: Life): Promise<void> {
    const { random, recorder } = life
    for (let round = 3 + random.below(6); round > 0; round--) {
      const drawn = random.below(6)
      if (drawn === 0) await database.seal()
      else if (drawn === 1) await database.consolidate()
      else if (drawn === 2) await database.flush()
      else if (drawn === 3) await database.compactLog('topic/table/0')
      else if (drawn === 4) {
        const name = topicNames[random.below(topicNames.length)]!
        const partition = random.below(topicPartitions[name])
        const { startOffset, lastStableOffset } = topics[name].partition(partition)
        const offset = startOffset + random.below(Math.max(1, (lastStableOffset - startOffset) >> 1))
        recorder.note('retention', { kind: 'trim', partition: partitionName(name, partition), offset })
        await topics[name].deleteRecords(partition, offset)
      }
      await life.pause(8)
    }
  }
}

export async function runTopicHistory(seed: number, livesMax = 5): Promise<JudgedHistory> {
  const program = new Program(seed)
  const { lives } = program
  for (let life = 1 + lives.random.below(livesMax); life > 0; life--) await program.life()
  await program.readAll()
  // A weaker word than 'sync' promises groups nothing when power is lost: their offsets go too.
  const isPromised = lives.options.durability === 'sync' || lives.counters.powerLosses === 0
  // Without transactions that lie open, whatever is sent together is one commit.
  const allowed = program.hasLongTransactions ? kafkaAllows : atomicAllows
  const report = checkHistory(lives.events, { ...rules, allowed, ...(isPromised ? {} : { groups: {} }) })
  return { seed, events: lives.events, report, lives: lives.counters }
}

/** Runs one seed and holds it to the rules; throws an Error with the seed and what was found. */
export function checkTopicHistory(seed: number): Promise<JudgedHistory> {
  return heldHistory(seed, each => runTopicHistory(each), partitions)
}
