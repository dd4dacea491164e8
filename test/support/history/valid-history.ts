/**
 * Random valid histories: producers, transactions, readers, groups of three promises, retention, compaction, and crashes of processes and of the
 * machine, over the naive broker. Each client is a generator that stops between a call, its effect and its completion; which one goes on is drawn.
 */
import { SimRandom } from '../../../engine/env/index.ts'
import type { HistoryEvent, Partition, Polled, PollResult } from './history.ts'
import { NaiveBroker } from './naive-broker.ts'
import { HistoryRecorder, type PendingOperation } from './recorder.ts'
import type { HistoryRules } from './rules.ts'

/** Partitions of three topics: one plain, one for the output of transactions, one that is compacted. */
const plain: readonly Partition[] = ['in/0', 'in/1']
const output: readonly Partition[] = ['out/0', 'out/1']
const table: Partition = 'table/0'
const all: readonly Partition[] = [...plain, ...output, table]

/** The rules under which these histories are clean. */
export const validHistoryRules: HistoryRules = {
  isCompacted: partition => partition === table,
  groups: {
    least: { promise: 'at-least-once', from: 'earliest' },
    most: { promise: 'at-most-once', from: 'earliest' },
    exactly: { promise: 'exactly-once', from: 'earliest' },
  },
}

type Client = Generator<void, void, void>

interface Member {
  readonly process: string
  readonly group: string
  /** Generation of the assignment that the member has adopted. */
  generation: number
  readonly positions: Map<Partition, number>
}

class Program {
  readonly random: SimRandom
  readonly broker = new NaiveBroker()
  readonly recorder: HistoryRecorder
  clients = new Map<string, Client>()
  #time = 0
  #processes = 0
  #values = 0
  #transactions = 0
  readonly #generations = new Map<string, number>()
  readonly #members = new Map<string, string[]>()

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    this.recorder = new HistoryRecorder(() => ++this.#time)
  }

  pick<T>(values: readonly T[]): T {
    return values[this.random.below(values.length)] as T
  }

  start(kind: string): void {
    const process = `${kind}-${++this.#processes}`
    const clients: Record<string, () => Client> = {
      producer: () => this.#producer(process),
      transactional: () => this.#transactional(process),
      reader: () => this.#reader(process),
      least: () => this.#member(process, 'least'),
      most: () => this.#member(process, 'most'),
      exactly: () => this.#member(process, 'exactly'),
      upkeep: () => this.#upkeep(process),
    }
    this.clients.set(process, clients[kind]!())
  }

  /** Lets one client make one step; those that are done go. */
  step(): void {
    const process = this.pick([...this.clients.keys()])
    if (this.clients.get(process)?.next().done === true) this.clients.delete(process)
  }

  /** A process dies: it makes no further step, what it had open is given up. */
  crashOne(): void {
    const process = this.pick([...this.clients.keys()])
    this.recorder.note('chaos', { kind: 'crash', machine: false, processes: [process] })
    this.clients.delete(process)
    this.#leave(process)
    for (const transaction of this.broker.openTransactions)
      if (transaction.startsWith(`${process}:`)) this.broker.write({ type: 'end', transaction, isCommit: false })
  }

  crashAll(): void {
    const machine = this.random.chance(0.5)
    this.recorder.note('chaos', { kind: 'crash', machine })
    this.clients.clear()
    for (const group of this.#members.keys()) this.#members.set(group, [])
    this.broker.crash(unsynced => (machine ? this.random.below(unsynced + 1) : unsynced))
    this.abortOpen()
  }

  abortOpen(): void {
    for (const transaction of this.broker.openTransactions) this.broker.write({ type: 'end', transaction, isCommit: false })
  }

  /** Reads everything, by both isolations, until nothing more comes. */
  readAll(): void {
    for (const isolation of ['committed', 'uncommitted'] as const) {
      const process = `final-${isolation}`
      const from = Object.fromEntries(all.map(partition => [partition, 0]))
      this.recorder.note(process, { kind: 'assign', partitions: all, from })
      const positions = new Map(all.map(partition => [partition, 0]))
      for (let isDone = false; !isDone; ) {
        const pending = this.recorder.invoke(process, { kind: 'poll', isolation })
        const result = this.#poll(positions, isolation === 'committed', 20)
        isDone = result.reachedEnd?.length === all.length
        pending.ok(result)
      }
    }
  }

  *#producer(process: string): Client {
    const isWeak = this.random.chance(0.3)
    for (let round = this.random.below(8) + 1; round > 0; round--) {
      const inFlight: (() => void)[] = []
      for (let count = this.random.below(3) + 1; count > 0; count--) {
        const partition = this.pick([...plain, table])
        const { pending, append } = this.#send(process, partition, undefined, isWeak)
        yield
        const drawn = this.random.below(10)
        if (drawn === 0) pending.fail()
        else if (drawn === 1) append()
        else {
          const offset = append()
          inFlight.push(() => pending.ok({ partition, offset }))
        }
        yield
      }
      for (const complete of inFlight.sort(() => this.random.below(3) - 1)) {
        complete()
        yield
      }
    }
  }

  #send(process: string, partition: Partition, transaction?: string, isWeak = false): { pending: PendingOperation; append: () => number } {
    const value = `v${++this.#values}`
    const key = partition === table ? `k${this.random.below(5)}` : undefined
    const pending = this.recorder.invoke(process, {
      kind: 'send',
      value,
      ...(this.random.chance(0.5) ? { partition } : {}),
      ...(key === undefined ? {} : { key }),
      ...(transaction === undefined ? {} : { transaction }),
      ...(isWeak || transaction !== undefined ? { durability: 'buffered' } : {}),
    })
    const row = {
      type: 'append',
      partition,
      value,
      ...(key === undefined ? {} : { key }),
      ...(transaction === undefined ? {} : { transaction }),
    } as const
    return { pending, append: () => this.broker.write(row, !isWeak && transaction === undefined) }
  }

  *#transactional(process: string): Client {
    for (let round = this.random.below(4) + 1; round > 0; round--) {
      const transaction = `${process}:t${++this.#transactions}`
      for (let count = this.random.below(5) + 1; count > 0; count--) yield* this.#sendWithin(process, transaction)
      yield* this.#end(process, transaction, this.random.chance(0.7))
    }
  }

  *#sendWithin(process: string, transaction: string): Client {
    const partition = this.pick([...plain, ...output])
    const { pending, append } = this.#send(process, partition, transaction)
    yield
    const offset = append()
    yield
    pending.ok({ partition, offset })
    yield
  }

  *#end(process: string, transaction: string, isCommit: boolean): Client {
    const pending = this.recorder.invoke(process, { kind: isCommit ? 'commit' : 'abort', transaction })
    yield
    this.broker.write({ type: 'end', transaction, isCommit })
    yield
    if (this.random.chance(0.9)) pending.ok()
    else pending.info()
    yield
  }

  *#reader(process: string): Client {
    const isolation = this.pick(['committed', 'uncommitted'] as const)
    const partitions = all.filter(() => this.random.chance(0.6))
    if (partitions.length === 0) return
    const positions = new Map(
      partitions.map(partition => [partition, this.random.chance(0.5) ? 0 : this.random.below(this.broker.endOf(partition) + 1)]),
    )
    this.recorder.note(process, { kind: 'assign', partitions, from: Object.fromEntries(positions) })
    for (let round = this.random.below(10) + 1; round > 0; round--) {
      const pending = this.recorder.invoke(process, { kind: 'poll', isolation })
      yield
      const result = this.#poll(positions, isolation === 'committed', this.random.below(6) + 1)
      yield
      pending.ok(result)
      if (!this.random.chance(0.2)) continue
      const partition = this.pick(partitions)
      const offset = this.random.below(this.broker.endOf(partition) + 1)
      this.recorder.note(process, { kind: 'seek', partition, offset })
      positions.set(partition, offset)
      yield
    }
  }

  /** Reads and moves the positions. */
  #poll(positions: Map<Partition, number>, isCommitted: boolean, recordsMax: number): PollResult {
    const records: Record<Partition, readonly Polled[]> = {}
    const reachedEnd: Partition[] = []
    for (const [partition, position] of positions) {
      const read = this.broker.read(partition, position, isCommitted, recordsMax)
      if (read.records.length > 0) records[partition] = read.records
      positions.set(partition, read.next)
      if (read.next === this.broker.endOf(partition)) reachedEnd.push(partition)
    }
    return { records, reachedEnd }
  }

  #leave(process: string): void {
    for (const [group, members] of this.#members)
      if (members.includes(process))
        this.#setMembers(
          group,
          members.filter(member => member !== process),
        )
  }

  #setMembers(group: string, members: string[]): void {
    this.#members.set(group, members)
    this.#generations.set(group, (this.#generations.get(group) ?? 0) + 1)
  }

  /** Takes over the newest assignment: everything is given back, positions are the committed ones. */
  #adopt(member: Member): void {
    const { process, group, positions } = member
    const members = this.#members.get(group) ?? []
    const assigned = plain.filter((_, i) => members[i % members.length] === process)
    this.recorder.note(process, { kind: 'rebalance', revoked: [...positions.keys()], assigned })
    member.generation = this.#generations.get(group) ?? 0
    positions.clear()
    for (const partition of assigned) positions.set(partition, this.broker.committedOffset(group, partition))
  }

  *#member(process: string, group: string): Client {
    this.recorder.note(process, { kind: 'subscribe', topics: ['in'] })
    this.#setMembers(group, [...(this.#members.get(group) ?? []), process])
    const member: Member = { process, group, generation: -1, positions: new Map() }
    for (let round = this.random.below(15) + 5; round > 0; round--) {
      if (!this.#isCurrent(member)) this.#adopt(member)
      const pending = this.recorder.invoke(process, { kind: 'poll', isolation: 'committed', group })
      yield
      const result = this.#poll(member.positions, true, this.random.below(5) + 1)
      yield
      const positions = Object.fromEntries(member.positions)
      if (group === 'least') yield* this.#processThenCommit(member, pending, result, positions)
      else if (group === 'most') yield* this.#commitThenProcess(member, pending, result, positions)
      else yield* this.#processInTransaction(member, pending, result, positions)
      yield
    }
    this.#leave(process)
  }

  #isCurrent({ group, generation }: Member): boolean {
    return this.#generations.get(group) === generation
  }

  *#processThenCommit(member: Member, pending: PendingOperation, result: PollResult, positions: Record<Partition, number>): Client {
    pending.ok(result)
    yield
    if (this.#isCurrent(member)) this.broker.write({ type: 'offsets', group: member.group, positions }, false)
  }

  *#commitThenProcess(member: Member, pending: PendingOperation, result: PollResult, positions: Record<Partition, number>): Client {
    if (!this.#isCurrent(member)) return pending.fail(result)
    this.broker.write({ type: 'offsets', group: member.group, positions })
    yield
    pending.ok(result)
  }

  *#processInTransaction(member: Member, pending: PendingOperation, result: PollResult, positions: Record<Partition, number>): Client {
    const { process, group } = member
    const transaction = `${process}:t${++this.#transactions}`
    pending.ok({ ...result, transaction })
    for (const records of Object.values(result.records)) for (const _ of records) yield* this.#sendWithin(process, transaction)
    if (this.#isCurrent(member)) this.broker.write({ type: 'offsets', group, positions, transaction }, false)
    const canCommit = this.#isCurrent(member) && this.random.chance(0.8)
    // The check and the commit are one step: a rebalance between them would let two members commit the same records.
    const end = this.recorder.invoke(process, { kind: canCommit ? 'commit' : 'abort', transaction })
    this.broker.write({ type: 'end', transaction, isCommit: canCommit })
    yield
    if (this.random.chance(0.9)) end.ok()
    if (canCommit) return
    for (const partition of member.positions.keys()) {
      const offset = this.broker.committedOffset(group, partition)
      this.recorder.note(process, { kind: 'seek', partition, offset })
      member.positions.set(partition, offset)
    }
  }

  *#upkeep(process: string): Client {
    if (this.random.chance(0.5)) {
      const partition = this.pick(all)
      const offset = this.random.below(this.broker.lastStableOffset(partition) + 1)
      const pending = this.recorder.invoke(process, { kind: 'trim', partition, offset })
      yield
      this.broker.write({ type: 'trim', partition, offset })
      pending.ok()
    } else this.broker.write({ type: 'compact', partition: table })
    yield
  }
}

/** A valid history of about `steps` steps of its clients. */
export function validHistory(seed: number, steps = 600): HistoryEvent[] {
  const program = new Program(seed)
  const { random } = program
  const kinds = ['producer', 'producer', 'transactional', 'reader', 'least', 'most', 'exactly', 'upkeep'].filter(
    kind => kind === 'producer' || random.chance(0.8),
  )
  for (let i = 0; i < steps; i++) {
    if (program.clients.size < 6) program.start(program.pick(kinds))
    program.step()
    const drawn = random.below(400)
    if (drawn === 0) program.crashAll()
    else if (drawn < 4 && program.clients.size > 0) program.crashOne()
  }
  program.recorder.note('chaos', { kind: 'crash', machine: false })
  program.abortOpen()
  program.readAll()
  return [...program.recorder.events]
}
