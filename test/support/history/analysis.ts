/**
 * What the detectors share: the units of a history (transactions, and each send or poll outside of one), every write with its fate, every read, and the
 * log of each partition as far as it is known.
 *
 * A write is *committed* when its unit was, or when that is unknown and a reader proves it: any reader for a plain send, a committed one for a transaction,
 * and then all that this transaction was acknowledged is committed. A write whose word was weaker than a later crash is *volatile*: its acknowledgement
 * counts for nothing then, and unless it is read after that crash it has no place in the log.
 */
import {
  type EndCall,
  type HistoryEvent,
  isPoll,
  isSend,
  type Operation,
  type Partition,
  type PollCall,
  pairEvents,
  type SendCall,
  type TrimCall,
  type Value,
} from './history.ts'

/** What happens as a whole: a transaction, or a send or poll alone. */
export interface Unit {
  readonly id: string
  readonly process: string
  readonly isTransaction: boolean
  readonly sends: Operation<SendCall>[]
  readonly polls: Operation<PollCall>[]
  /** Position of the event by which it was asked to take effect; Infinity when it never was. */
  readonly requestedAt: number
  /** Position of the event by which it was known to have taken effect, its completion or a read; Infinity when it never was. */
  doneAt: number
  /** Whether somebody was told that it took effect. */
  readonly isAcknowledged: boolean
  /** Fate of the unit. `unknown` only when nothing proves that it took effect. */
  fate: Fate
}

export type Fate = 'committed' | 'aborted' | 'unknown'

export interface Write {
  readonly value: Value
  readonly send: Operation<SendCall>
  readonly unit: Unit
  /** Partition by the acknowledgement, else by the call, else by the first read. */
  readonly partition: Partition | undefined
  /** Offset by the acknowledgement, else by the first read. */
  readonly offset: number | undefined
  readonly fate: Fate
  /** Committed by what its sender was told; else it takes a read to prove it. */
  readonly isAcknowledged: boolean
  /** A crash may have taken it, and no later reader saw it. */
  readonly isGone: boolean
}

export interface Read {
  readonly partition: Partition
  readonly offset: number
  readonly value: Value
  readonly poll: Operation<PollCall>
  readonly unit: Unit
}

/** What is known of a partition's log: at which offset which values are said to lie (more than one: a contradiction). */
export interface Version {
  readonly offset: number
  readonly values: readonly Value[]
}

export interface Analysis {
  readonly operations: readonly Operation[]
  readonly units: readonly Unit[]
  readonly writes: ReadonlyMap<Value, Write>
  /** In the order of the polls' completions. */
  readonly reads: readonly Read[]
  readonly readsOf: ReadonlyMap<Value, readonly Read[]>
  /** By ascending offset. */
  readonly logs: ReadonlyMap<Partition, readonly Version[]>
  readonly unitOf: ReadonlyMap<Operation, Unit>
  readonly trims: ReadonlyMap<Partition, readonly Operation<TrimCall>[]>
}

export function analyse(events: readonly HistoryEvent[]): Analysis {
  const operations = pairEvents(events)
  const { units, unitOf } = unitsOf(operations)
  const reads = readsOf(operations, unitOf)
  const byValue = grouped(reads, read => read.value)
  const gone = volatileSince(operations, units)
  const sends = operations.filter(isSend)
  for (const send of sends) {
    const unit = unitOf.get(send)!
    if (unit.fate === 'aborted') continue
    const proof = (byValue.get(send.call.value) ?? []).find(read => proves(read, unit))
    if (proof === undefined) continue
    unit.fate = 'committed'
    unit.doneAt = Math.min(unit.doneAt, proof.poll.completedAt)
  }
  const writes = new Map<Value, Write>()
  for (const send of sends) {
    if (writes.has(send.call.value)) throw new Error(`value ${send.call.value} is sent twice: values of a history are unique`)
    writes.set(send.call.value, writeOf(send, unitOf.get(send)!, byValue.get(send.call.value) ?? [], gone.get(send)))
  }
  return {
    operations,
    units,
    writes,
    reads,
    readsOf: byValue,
    logs: logsOf(reads, writes),
    unitOf,
    trims: grouped(
      operations.filter((operation): operation is Operation<TrimCall> => operation.call.kind === 'trim' && operation.outcome !== 'fail'),
      ({ call }) => call.partition,
    ),
  }
}

function transactionOf(operation: Operation): string | undefined {
  const { call, polled } = operation
  if (call.kind === 'poll') return polled?.transaction ?? call.transaction
  return call.kind === 'send' || call.kind === 'commit' || call.kind === 'abort' ? call.transaction : undefined
}

function unitsOf(operations: readonly Operation[]): { units: Unit[]; unitOf: Map<Operation, Unit> } {
  const units: Unit[] = []
  const unitOf = new Map<Operation, Unit>()
  const ends = grouped(
    operations.filter((operation): operation is Operation<EndCall> => operation.call.kind === 'commit' || operation.call.kind === 'abort'),
    ({ call }) => call.transaction,
  )
  const transactions = new Map<string, Unit>()
  for (const operation of operations) {
    if (!isSend(operation) && !isPoll(operation)) continue
    const name = transactionOf(operation)
    let unit = name === undefined ? undefined : transactions.get(name)
    if (unit === undefined) {
      unit = name === undefined ? loneUnit(operation) : transactionUnit(name, operation.process, ends.get(name) ?? [])
      units.push(unit)
      if (name !== undefined) transactions.set(name, unit)
    }
    if (isSend(operation)) unit.sends.push(operation)
    else unit.polls.push(operation)
    unitOf.set(operation, unit)
  }
  return { units, unitOf }
}

function loneUnit(operation: Operation): Unit {
  const fates = { ok: 'committed', fail: 'aborted', info: 'unknown' } as const
  return {
    id: `#${operation.id}`,
    process: operation.process,
    isTransaction: false,
    sends: [],
    polls: [],
    requestedAt: operation.invokedAt,
    doneAt: operation.outcome === 'ok' ? operation.completedAt : Number.POSITIVE_INFINITY,
    isAcknowledged: operation.outcome === 'ok',
    fate: fates[operation.outcome],
  }
}

function transactionUnit(name: string, process: string, ends: readonly Operation<EndCall>[]): Unit {
  const commits = ends.filter(({ call, outcome }) => call.kind === 'commit' && outcome !== 'fail')
  const done = commits.find(({ outcome }) => outcome === 'ok')
  const isAborted = ends.some(({ call, outcome }) => call.kind === 'abort' && outcome === 'ok')
  return {
    id: name,
    process,
    isTransaction: true,
    sends: [],
    polls: [],
    requestedAt: Math.min(Number.POSITIVE_INFINITY, ...commits.map(({ invokedAt }) => invokedAt)),
    doneAt: done?.completedAt ?? Number.POSITIVE_INFINITY,
    isAcknowledged: done !== undefined,
    fate: done !== undefined ? 'committed' : isAborted || commits.length === 0 ? 'aborted' : 'unknown',
  }
}

function readsOf(operations: readonly Operation[], unitOf: ReadonlyMap<Operation, Unit>): Read[] {
  const polls = operations.filter(isPoll).sort((a, b) => a.completedAt - b.completedAt || a.id - b.id)
  return polls.flatMap(poll =>
    Object.entries(poll.polled?.records ?? {}).flatMap(([partition, records]) =>
      records.map(([offset, value]) => ({ partition, offset, value, poll, unit: unitOf.get(poll)! })),
    ),
  )
}

/** Sends whose acknowledgement was outlived by a crash, with the position of the last such crash. A known commit lends its word to its sends. */
function volatileSince(operations: readonly Operation[], units: readonly Unit[]): Map<Operation, number> {
  const found = new Map<Operation, number>()
  const words = new Map<string, EndCall['durability']>()
  for (const { call, outcome } of operations)
    if (call.kind === 'commit' && outcome === 'ok') words.set(call.transaction, call.durability ?? 'sync')
  const weak = units.flatMap(unit => {
    const wordOfUnit = unit.isTransaction ? words.get(unit.id) : undefined
    return unit.sends.map(send => ({ send, word: wordOfUnit ?? send.call.durability ?? 'sync' })).filter(({ word }) => word !== 'sync')
  })
  for (const { call, invokedAt } of operations)
    if (call.kind === 'crash')
      for (const { send, word } of weak) if ((call.machine || word === 'none') && send.invokedAt < invokedAt) found.set(send, invokedAt)
  return found
}

function proves(read: Read, unit: Unit): boolean {
  return read.unit !== unit && (!unit.isTransaction || read.poll.call.isolation === 'committed')
}

function writeOf(send: Operation<SendCall>, unit: Unit, reads: readonly Read[], volatileAt: number | undefined): Write {
  const { call, sent, outcome } = send
  const isRead = reads.some(read => proves(read, unit) && (volatileAt === undefined || read.poll.invokedAt > volatileAt))
  const isGone = volatileAt !== undefined && !isRead
  let { fate } = unit
  if (outcome === 'fail') fate = 'aborted'
  else if (fate === 'committed' && !isRead && (isGone || outcome === 'info')) fate = 'unknown'
  return {
    value: call.value,
    send,
    unit,
    partition: sent?.partition ?? call.partition ?? reads[0]?.partition,
    offset: sent?.offset ?? reads[0]?.offset,
    fate,
    isAcknowledged: fate === 'committed' && unit.isAcknowledged && outcome === 'ok' && volatileAt === undefined,
    isGone,
  }
}

/** Offsets come from every poll, and from the acknowledgements of what is committed: what an aborted transaction was told need not be kept. */
function logsOf(reads: readonly Read[], writes: ReadonlyMap<Value, Write>): Map<Partition, Version[]> {
  const logs = new Map<Partition, Map<number, Set<Value>>>()
  const add = (partition: Partition, offset: number, value: Value): void => {
    const log = logs.get(partition) ?? new Map<number, Set<Value>>()
    logs.set(partition, log)
    const values = log.get(offset) ?? new Set<Value>()
    log.set(offset, values.add(value))
  }
  for (const { partition, offset, value } of reads) if (writes.get(value)?.isGone !== true) add(partition, offset, value)
  for (const { value, fate, send, isGone } of writes.values())
    if (fate === 'committed' && !isGone && send.sent?.offset !== undefined) add(send.sent.partition, send.sent.offset, value)
  const sorted = new Map<Partition, Version[]>()
  for (const [partition, log] of logs)
    sorted.set(
      partition,
      [...log].sort(([a], [b]) => a - b).map(([offset, values]) => ({ offset, values: [...values] })),
    )
  return sorted
}

export function grouped<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

/** The versions at offsets in [from, to). */
export function versionsBetween(log: readonly Version[], from: number, to: number): readonly Version[] {
  return log.slice(positionOf(log, from), positionOf(log, to))
}

function positionOf(log: readonly Version[], offset: number): number {
  let low = 0
  for (let high = log.length; low < high; ) {
    const middle = (low + high) >>> 1
    if (log[middle]!.offset < offset) low = middle + 1
    else high = middle
  }
  return low
}
