/**
 * A random program of producers, transactions, readers and consumers over topic logs, on a simulated machine with many lives, and its history. What the
 * engine promises topics (idempotence, order, isolation, one commit over logs and stores, nothing acknowledged lost) is judged by the checker of
 * test/support/history alone.
 */
import { isVarveError } from '../../engine/errors.ts'
import type { Database } from '../../engine/index.ts'
import { checkHistory } from '../support/history/check.ts'
import { heldHistory, type JudgedHistory } from '../support/history/held.ts'
import type { Partition } from '../support/history/history.ts'
import {
  endTransaction,
  type Faults,
  LogReader,
  type LogSend,
  type Offsets,
  offsetKey,
  partitionLog,
  sendTo,
} from '../support/history/log-clients.ts'
import type { PendingOperation } from '../support/history/recorder.ts'
import type { HistoryRules } from '../support/history/rules.ts'
import { type Life, SimulatedLives } from '../support/history/simulated-lives.ts'

const inputs: readonly Partition[] = ['in/0', 'in/1']
const outputs: readonly Partition[] = ['out/0', 'out/1']
const table: Partition = 'table/0'
const partitions: readonly Partition[] = [...inputs, ...outputs, table]

const rules: HistoryRules = {
  isCompacted: partition => partition === table,
  groups: {
    least: { promise: 'at-least-once', from: 'earliest' },
    most: { promise: 'at-most-once', from: 'earliest' },
    exactly: { promise: 'exactly-once', from: 'earliest' },
  },
}

/** A send of which nobody knows yet whether it arrived. */
interface Unanswered {
  readonly send: LogSend
  readonly pending: PendingOperation
}

/** What an idempotent producer remembers over its lives. */
interface ProducerMemory {
  id: number
  readonly sequences: Map<Partition, number>
  readonly unanswered: Set<Unanswered>
}

class Program {
  readonly lives: SimulatedLives
  readonly #faults: Faults
  #values = 0
  #processes = 0
  #transactions = 0
  #producerIds = 0
  readonly #memories = new Map<string, ProducerMemory>()
  /** Transactional producers that died or gave up, whose transactions the next life aborts. */
  readonly #orphans = new Set<number>()

  constructor(seed: number, faults: Faults) {
    this.lives = new SimulatedLives(seed)
    this.#faults = faults
  }

  async open(database: Database): Promise<Offsets> {
    await database.define(
      partitions.map(name => ({ name, kind: 'topic' as const, ...(name === table ? { cleanup: 'compact' as const } : {}) })),
    )
    const offsets = database.store<number, string>('offsets', { keys: 'string' })
    await offsets.ready()
    for (const id of this.#orphans) await endTransaction(database, partitions, { id, epoch: 1 }, 'abort', {})
    this.#orphans.clear()
    return offsets
  }

  async life(): Promise<void> {
    const { random } = this.lives
    const diesAt = random.chance(0.8) ? 5 + random.below(140) : undefined
    await this.lives.live(async (database, life) => {
      const offsets = await this.open(database)
      const clients = [
        this.#idempotent(database, life, 'idempotent-1'),
        this.#idempotent(database, life, 'idempotent-2'),
        this.#plain(database, life),
        this.#transactional(database, life),
        this.#transactional(database, life),
        this.#reader(database, life),
        this.#reader(database, life),
        this.#storedOffsets(database, life, offsets, 'least'),
        this.#storedOffsets(database, life, offsets, 'most'),
        this.#exactly(database, life, offsets),
        this.#exactly(database, life, offsets),
        this.#upkeep(database, life),
      ]
      await Promise.all(clients)
    }, diesAt)
  }

  /** Nothing fails any more: all that is there is read. */
  async readAll(): Promise<void> {
    await this.lives.live(async (database, { recorder }) => {
      await this.open(database)
      for (const isolation of ['committed', 'uncommitted'] as const) {
        const reader = new LogReader(
          database,
          recorder,
          `final-${isolation}`,
          isolation,
          this.#faults.showsAborted === true ? this.#faults : {},
        )
        reader.assign(Object.fromEntries(partitions.map(partition => [partition, 0])))
        for (let isDone = false; !isDone; ) {
          const pending = reader.begin()
          const result = reader.fetch(50)
          isDone = result.reachedEnd?.length === partitions.length
          pending.ok(result)
        }
      }
    })
  }

  #value(): string {
    return `v${++this.#values}`
  }

  #process(kind: string): string {
    return `${kind}-${++this.#processes}`
  }

  /** Sends in sequence, several under way at once; what was not answered is sent again in the next life. */
  async #idempotent(database: Database, life: Life, process: string): Promise<void> {
    const { random, recorder } = life
    const memory = this.#memories.get(process) ?? { id: ++this.#producerIds, sequences: new Map(), unanswered: new Set() }
    this.#memories.set(process, memory)
    const put = (unanswered: Unanswered): void => {
      const answered: PendingOperation = {
        ...unanswered.pending,
        ok: result => {
          if (!life.environment.isAlive) return
          memory.unanswered.delete(unanswered)
          unanswered.pending.ok(result)
        },
        // Not sent: it will be sent again.
        fail: () => undefined,
        info: () => undefined,
      }
      sendTo(database, unanswered.send, answered, this.#faults)
    }
    if (this.#faults.forgetsIdentity === true) this.#forget(memory)
    // What nobody answered goes out again, in order, before anything new does.
    for (const unanswered of memory.unanswered) put(unanswered)
    for (let round = 5 + random.below(10); round > 0; round--) {
      const batch: Unanswered[] = []
      for (let count = 1 + random.below(3); count > 0 && memory.unanswered.size + batch.length < 4; count--) {
        const partition = inputs[random.below(inputs.length)]!
        const call = { value: this.#value() }
        batch.push({ send: { call, partition }, pending: recorder.invoke(process, { kind: 'send', partition, ...call }) })
      }
      for (const { send, pending } of this.#faults.reorders === true ? batch.reverse() : batch) {
        const producer = { id: memory.id, epoch: 0, sequence: this.#nextSequence(memory, send.partition) }
        const unanswered = { send: { ...send, producer }, pending }
        memory.unanswered.add(unanswered)
        put(unanswered)
      }
      await life.pause(4)
    }
    while (memory.unanswered.size > 0) await life.pause(4)
  }

  /** The producer takes itself for a new one, which has sent nothing yet. */
  #forget(memory: ProducerMemory): void {
    memory.id = ++this.#producerIds
    memory.sequences.clear()
    const unanswered = [...memory.unanswered]
    memory.unanswered.clear()
    for (const { send, pending } of unanswered) {
      const producer = { id: memory.id, epoch: 0, sequence: this.#nextSequence(memory, send.partition) }
      memory.unanswered.add({ pending, send: { ...send, producer } })
    }
  }

  #nextSequence(memory: ProducerMemory, partition: Partition): number {
    const sequence = memory.sequences.get(partition) ?? 0
    memory.sequences.set(partition, sequence + 1)
    return sequence
  }

  async #plain(database: Database, life: Life): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('plain')
    const durability = (['sync', 'buffered', 'none'] as const)[random.below(3)]!
    for (let round = 5 + random.below(10); round > 0; round--) {
      for (let count = 1 + random.below(3); count > 0; count--) {
        const partition = random.chance(0.5) ? table : inputs[random.below(inputs.length)]!
        const key = `k${random.below(6)}`
        const call = { value: this.#value(), durability, ...(partition === table ? { key } : {}) }
        sendTo(database, { call, partition }, recorder.invoke(process, { kind: 'send', partition, ...call }), this.#faults)
      }
      await life.pause(4)
    }
  }

  async #transactional(database: Database, life: Life): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('transactional')
    const id = 1000 + ++this.#producerIds
    const memory: ProducerMemory = { id, sequences: new Map(), unanswered: new Set() }
    this.#orphans.add(id)
    for (let round = 1 + random.below(5); round > 0; round--) {
      const transaction = `${process}:${++this.#transactions}`
      const touched = new Set<Partition>()
      for (let count = 1 + random.below(5); count > 0; count--) {
        const partition = [...inputs, ...outputs][random.below(4)]!
        const call = { value: this.#value(), transaction, durability: 'buffered' as const }
        const pending = recorder.invoke(process, { kind: 'send', partition, ...call })
        const producer = { id, epoch: 1, sequence: this.#nextSequence(memory, partition) }
        if (sendTo(database, { call, partition, producer }, pending, this.#faults) === undefined)
          memory.sequences.set(partition, producer.sequence)
        else touched.add(partition)
        if (random.chance(0.5)) await life.pause(4)
      }
      if (touched.size === 0) continue
      const kind = random.chance(0.7) ? 'commit' : 'abort'
      const pending = recorder.invoke(process, { kind, transaction })
      await endTransaction(database, [...touched], { id, epoch: 1 }, kind, this.#faults)
      pending.ok()
      await life.pause(4)
    }
  }

  async #reader(database: Database, life: Life): Promise<void> {
    const { random, recorder } = life
    const isolation = random.chance(0.6) ? 'committed' : 'uncommitted'
    const reader = new LogReader(database, recorder, this.#process('reader'), isolation, this.#faults)
    const place = (partition: Partition): number => {
      const { startOffset, highWatermark } = partitionLog(database, partition)
      return startOffset + random.below(highWatermark - startOffset + 1)
    }
    const mine = partitions.filter(() => random.chance(0.7))
    reader.assign(Object.fromEntries(mine.map(partition => [partition, random.chance(0.5) ? 0 : place(partition)])))
    for (let round = 10 + random.below(20); round > 0; round--) {
      const pending = reader.begin()
      const result = reader.fetch(1 + random.below(6))
      if (random.chance(0.3)) await life.pause(3)
      pending.ok(result)
      await life.pause(3)
      const partition = mine[random.below(Math.max(1, mine.length))]
      if (partition !== undefined && random.chance(0.1)) reader.seek(partition, place(partition))
    }
  }

  /** At least once: process, then store the offset. At most once: the other way round. */
  async #storedOffsets(database: Database, life: Life, offsets: Offsets, group: 'least' | 'most'): Promise<void> {
    const { random, recorder } = life
    const reader = new LogReader(database, recorder, this.#process(group), 'committed', this.#faults)
    reader.assign(Object.fromEntries(inputs.map(partition => [partition, offsets.get(offsetKey(group, partition)) ?? 0])))
    const commitsFirst = group === 'most' || this.#faults.commitsFirst === true
    const commit = (): Promise<unknown> =>
      offsets.batch([...reader.positions].map(([partition, offset]) => ({ type: 'put', key: offsetKey(group, partition), value: offset })))
    for (let round = 10 + random.below(20); round > 0; round--) {
      const pending = reader.begin(group)
      const result = reader.fetch(1 + random.below(6))
      if (commitsFirst) await commit()
      if (random.chance(0.5)) await life.pause(3)
      pending.ok(result)
      if (!commitsFirst) await commit()
      await life.pause(3)
    }
  }

  /** Exactly once: output and offset in one transaction; two such consumers work against each other on the same partitions. */
  async #exactly(database: Database, life: Life, offsets: Offsets): Promise<void> {
    const { random, recorder } = life
    const process = this.#process('exactly')
    const reader = new LogReader(database, recorder, process, 'committed', this.#faults)
    for (let round = 10 + random.below(20); round > 0; round--) {
      const partition = inputs[random.below(inputs.length)]!
      const from = offsets.get(offsetKey('exactly', partition)) ?? 0
      reader.assign({ [partition]: from })
      const poll = reader.begin('exactly')
      const transaction = `${process}:${++this.#transactions}`
      const result = reader.fetch(1 + random.below(6))
      poll.ok({ ...result, transaction })
      if (random.chance(0.5)) await life.pause(3)
      const target = outputs[random.below(outputs.length)]!
      const values = (result.records[partition] ?? []).map(() => this.#value())
      if (values.length === 0) continue
      const sends = values.map(value => recorder.invoke(process, { kind: 'send', value, partition: target, transaction }))
      for (const send of sends) send.ok()
      const end = recorder.invoke(process, { kind: 'commit', transaction })
      const next = reader.positions.get(partition)!
      const isFirst = await this.#consume(database, offsets, { partition, from, next, target, values })
      if (isFirst) end.ok()
      else end.fail()
    }
  }

  /** True when the transaction committed; false when another consumer was faster. */
  async #consume(
    database: Database,
    offsets: Offsets,
    work: {
      readonly partition: Partition
      readonly from: number
      readonly next: number
      readonly target: Partition
      readonly values: readonly string[]
    },
  ): Promise<boolean> {
    const { partition, from, next, target, values } = work
    const key = offsetKey('exactly', partition)
    const log = partitionLog(database, target)
    const records = values.map(value => ({ value }))
    if (this.#faults.splitsTransaction === true) {
      if ((offsets.get(key) ?? 0) !== from) return false
      await log.appendRecords(records).acknowledged
      await offsets.put(key, next)
      return true
    }
    try {
      return await database.transaction(tx => {
        if ((tx.store(offsets).get(key) ?? 0) !== from) {
          tx.abort()
          return false
        }
        tx.log(log).appendRecords(records)
        tx.store(offsets).put(key, next)
        return true
      })
    } catch (error) {
      if (isVarveError(error, 'BUSY') || isVarveError(error, 'CONFLICT')) return false
      throw error
    }
  }

  async #upkeep(database: Database, life: Life): Promise<void> {
    const { random, recorder } = life
    for (let round = 3 + random.below(6); round > 0; round--) {
      const drawn = random.below(6)
      if (drawn === 0) await database.seal()
      else if (drawn === 1) await database.consolidate()
      else if (drawn === 2) await database.flush()
      else if (drawn === 3) await database.compactLog(table)
      else if (drawn === 4) {
        const partition = partitions[random.below(partitions.length)]!
        const log = partitionLog(database, partition)
        // Not below what a group has still to read: retention does not ask, but then nothing is promised.
        const offset = log.startOffset + random.below(Math.max(1, (log.lastStableOffset - log.startOffset) >> 1))
        recorder.note('retention', { kind: 'trim', partition, offset })
        await log.trimPrefix(offset).durable
      }
      await life.pause(8)
    }
  }
}

/** Runs one seed; throws what the database threw. */
export async function runLogHistory(seed: number, faults: Faults = {}, livesMax = 5): Promise<JudgedHistory> {
  const program = new Program(seed, faults)
  const { lives } = program
  for (let life = 1 + lives.random.below(livesMax); life > 0; life--) await program.life()
  await program.readAll()
  return { seed, events: lives.events, report: checkHistory(lives.events, rules), lives: lives.counters }
}

/** Runs one seed and holds it to the rules; throws an Error with the seed and what was found. */
export function checkLogHistory(seed: number): Promise<JudgedHistory> {
  return heldHistory(seed, each => runLogHistory(each), partitions)
}
