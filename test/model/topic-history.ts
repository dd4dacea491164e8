/**
 * A random program of producers, transactions and consumers over topics, on a simulated machine with many lives, and its history: the verbs of `stream/`
 * judged by the checker of test/support/history.
 */
import type { Database } from '../../index.ts'
import { checkHistory, describeFailures, type HistoryReport } from '../support/history/check.ts'
import type { HistoryEvent, Partition } from '../support/history/history.ts'
import { type Offsets, offsetKey } from '../support/history/log-clients.ts'
import { atomicAllows, type HistoryRules } from '../support/history/rules.ts'
import { type Life, SimulatedLives } from '../support/history/simulated-lives.ts'
import {
  partitionName,
  RecordedConsumer,
  type RecordedConsumerOptions,
  RecordedProducer,
  type RecordedSend,
  readWhole,
  type TextTopic,
} from '../support/history/topic-clients.ts'

/** Topics with their partitions: two plain ones, and one that is compacted. */
const topicPartitions = { in: 3, out: 2, table: 1 } as const
type TopicName = keyof typeof topicPartitions
const topicNames = Object.keys(topicPartitions) as TopicName[]
const partitions: readonly Partition[] = topicNames.flatMap(name =>
  Array.from({ length: topicPartitions[name] }, (_, i) => partitionName(name, i)),
)

const rules: HistoryRules = {
  // Whatever is sent here together is one commit.
  allowed: atomicAllows,
  isCompacted: partition => partition.startsWith('table/'),
  groups: {
    least: { promise: 'at-least-once', from: 'earliest' },
    most: { promise: 'at-most-once', from: 'earliest' },
    exactly: { promise: 'exactly-once', from: 'earliest' },
  },
}

/** What a process had under way when it died is awaited by nobody; while it lives, somebody does. */
const dies = (): void => undefined

type OpenTopics = Readonly<Record<TopicName, TextTopic>>

export interface TopicHistory {
  readonly seed: number
  readonly events: readonly HistoryEvent[]
  readonly report: HistoryReport
  readonly lives: SimulatedLives['counters']
}

class Program {
  readonly lives: SimulatedLives
  #values = 0
  #processes = 0
  #transactions = 0

  constructor(seed: number) {
    this.lives = new SimulatedLives(seed, ['sync', 'sync', 'sync', 'buffered'])
  }

  get #durability(): 'sync' | 'buffered' | 'none' {
    return this.lives.options.durability ?? 'sync'
  }

  async open(database: Database): Promise<{ readonly topics: OpenTopics; readonly offsets: Offsets }> {
    const open = (name: TopicName): TextTopic =>
      database.topic<string, string>(name, {
        partitions: topicPartitions[name],
        value: 'string',
        cleanup: name === 'table' ? 'compact' : 'delete',
        ...(this.lives.options.sync === 'inline' ? { compression: 'zstd' } : {}),
      })
    const topics = { in: open('in'), out: open('out'), table: open('table') }
    const offsets = database.store<number, string>('offsets', { keys: 'string' })
    await Promise.all([...topicNames.map(name => topics[name].ready()), offsets.ready()])
    return { topics, offsets }
  }

  async life(): Promise<void> {
    const { random } = this.lives
    const diesAt = random.chance(0.8) ? 5 + random.below(140) : undefined
    await this.lives.live(async (database, life) => {
      const { topics, offsets } = await this.open(database)
      let isOver = false
      const producers = [
        this.#producer(topics, life),
        this.#producer(topics, life),
        this.#batches(topics, life),
        this.#atomic(database, topics, life),
        this.#upkeep(database, topics, life),
      ]
      const consumers = [
        this.#reader(topics, life, () => isOver),
        this.#reader(topics, life, () => isOver),
        this.#stored(topics, life, offsets, 'least', () => isOver),
        this.#stored(topics, life, offsets, 'most', () => isOver),
        this.#exactly(database, topics, life, offsets, () => isOver),
        this.#exactly(database, topics, life, offsets, () => isOver),
      ]
      for (const client of [...producers, ...consumers]) client.catch(dies)
      await Promise.all(producers)
      isOver = true
      await Promise.all(consumers)
    }, diesAt)
  }

  /** Nothing fails any more: all that is there is read. */
  async readAll(): Promise<void> {
    await this.lives.live(async (database, { recorder }) => {
      const { topics } = await this.open(database)
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

  #ownConsumer(
    topic: TextTopic,
    life: Life,
    process: string,
    options: Pick<RecordedConsumerOptions, 'from' | 'partitions' | 'group'>,
  ): RecordedConsumer {
    return new RecordedConsumer(topic, life.recorder, process, { isolation: 'committed', maxRecords: 1 + life.random.below(8), ...options })
  }

  /** At least once: process, then store the offset. At most once: the other way round. One consumer a partition, offsets in a store. */
  async #stored(topics: OpenTopics, life: Life, offsets: Offsets, group: 'least' | 'most', isOver: () => boolean): Promise<void> {
    await Promise.all(
      Array.from({ length: topicPartitions.in }, async (_, partition) => {
        const process = this.#process(group)
        const key = offsetKey(group, partitionName('in', partition))
        while (!isOver()) {
          const start = Math.max(offsets.get(key) ?? 0, topics.in.partition(partition).startOffset)
          const consumer = this.#ownConsumer(topics.in, life, process, { from: { offset: start }, partitions: [partition], group })
          await this.#drain(consumer, life, isOver, async ({ pending, result, nextOffset }) => {
            if (group === 'most') await offsets.put(key, nextOffset)
            if (life.random.chance(0.5)) await life.pause(3)
            pending.ok(result)
            if (group === 'least') await offsets.put(key, nextOffset)
            return true
          })
        }
      }),
    )
  }

  /** Exactly once: output and offset in one commit; two such consumers work against each other on all partitions. */
  async #exactly(database: Database, topics: OpenTopics, life: Life, offsets: Offsets, isOver: () => boolean): Promise<void> {
    const process = this.#process('exactly')
    const producer = new RecordedProducer(life.recorder, process, this.#durability)
    while (!isOver()) {
      const partition = life.random.below(topicPartitions.in)
      const key = offsetKey('exactly', partitionName('in', partition))
      let from = offsets.get(key) ?? 0
      const start = Math.max(from, topics.in.partition(partition).startOffset)
      const consumer = this.#ownConsumer(topics.in, life, process, { from: { offset: start }, partitions: [partition], group: 'exactly' })
      await this.#drain(consumer, life, isOver, async ({ pending, result, nextOffset }) => {
        const transaction = `${process}:${++this.#transactions}`
        pending.ok({ ...result, transaction })
        if (life.random.chance(0.5)) await life.pause(3)
        const sends = Object.values(result.records).flatMap(records => records.map(() => [topics.out, this.#draw(life, 'out')] as const))
        const isFirst = await producer.transact(database, transaction, sends, tx => {
          const store = tx.store(offsets)
          if ((store.get(key) ?? 0) !== from) return false
          store.put(key, nextOffset)
          return true
        })
        from = nextOffset
        return isFirst && life.random.chance(0.8)
      })
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

export async function runTopicHistory(seed: number, livesMax = 5): Promise<TopicHistory> {
  const program = new Program(seed)
  const { lives } = program
  for (let life = 1 + lives.random.below(livesMax); life > 0; life--) await program.life()
  await program.readAll()
  // A weaker word than 'sync' promises groups nothing when power is lost: their offsets go too.
  const isPromised = lives.options.durability === 'sync' || lives.counters.powerLosses === 0
  const report = checkHistory(lives.events, isPromised ? rules : { ...rules, groups: {} })
  return { seed, events: lives.events, report, lives: lives.counters }
}

/** Runs one seed and holds it to the rules; throws an Error with the seed and what was found. */
export async function checkTopicHistory(seed: number): Promise<TopicHistory> {
  let history: TopicHistory
  try {
    history = await runTopicHistory(seed)
  } catch (error) {
    throw new Error(`seed ${seed} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }
  const text = describeFailures(history.report)
  if (text !== '') throw new Error(`seed ${seed} failed:\n${text}`)
  for (const partition of partitions)
    if (!history.report.fullyRead.has(partition)) throw new Error(`seed ${seed} failed: ${partition} was not read to its end`)
  return history
}
