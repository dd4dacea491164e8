/**
 * Ways to spoil a valid history, each with the anomaly that must then be found. A mutation draws where it strikes among the places where nothing can
 * excuse it (retention, compaction, a weak word); it gives undefined when this history has none.
 */
import type { SimRandom } from '../../../engine/env/index.ts'
import { type Analysis, analyse, type Read, type Unit, type Version, versionsBetween, type Write } from './analysis.ts'
import type { AnomalyKind } from './anomaly.ts'
import { ExpectedValues } from './expected.ts'
import type { Call, HistoryEvent, Partition, Polled, PollResult, Value } from './history.ts'
import type { HistoryRules } from './rules.ts'
import { type Run, runsOf } from './runs.ts'

export interface Mutation {
  readonly name: string
  readonly expected: AnomalyKind
  readonly apply: (victim: Victim) => HistoryEvent[] | undefined
}

type Owed = Write & { readonly partition: Partition; readonly offset: number }

/** A history to be spoiled, with what is known of it. */
export class Victim {
  readonly events: readonly HistoryEvent[]
  readonly analysis: Analysis
  readonly runs: readonly Run[]
  readonly #random: SimRandom
  readonly #expected: ExpectedValues

  constructor(events: readonly HistoryEvent[], rules: HistoryRules, random: SimRandom) {
    this.events = events
    this.#random = random
    this.analysis = analyse(events)
    this.runs = runsOf(this.analysis)
    this.#expected = new ExpectedValues(this.analysis, rules)
  }

  pick<T>(values: readonly T[]): T | undefined {
    return values.length === 0 ? undefined : values[this.#random.below(values.length)]
  }

  /** Writes that nothing excuses, with a known place. */
  owed(): Owed[] {
    return [...this.analysis.writes.values()].filter(
      (write): write is Owed =>
        write.offset !== undefined && write.isAcknowledged && !this.#expected.mayBeAbsent(write, Number.POSITIVE_INFINITY),
    )
  }

  isOwed(value: Value): boolean {
    return this.owed().some(write => write.value === value)
  }

  lastOffset(partition: Partition): number {
    return this.analysis.logs.get(partition)?.at(-1)?.offset ?? -1
  }

  /** What lies between two writes of a partition. */
  between(a: Owed, b: Owed): readonly Version[] {
    return versionsBetween(this.analysis.logs.get(a.partition) ?? [], a.offset + 1, b.offset)
  }

  transactions(): Unit[] {
    return this.analysis.units.filter(({ isTransaction, fate }) => isTransaction && fate === 'committed')
  }

  /** The history with every poll's records of a partition replaced. */
  withRecords(change: (records: readonly Polled[], partition: Partition, operation: number) => readonly Polled[]): HistoryEvent[] {
    return this.events.map(event => {
      if (event.type === 'invoke' || event.result === undefined || !('records' in event.result)) return event
      const records: Record<Partition, readonly Polled[]> = {}
      for (const [partition, old] of Object.entries(event.result.records)) {
        const changed = change(old, partition, event.operation)
        if (changed.length > 0) records[partition] = changed
      }
      return { ...event, result: { ...event.result, records } }
    })
  }

  without(value: Value, isSpared: (operation: number) => boolean = () => false): HistoryEvent[] {
    return this.withRecords((records, _, operation) => (isSpared(operation) ? records : records.filter(([, polled]) => polled !== value)))
  }

  /** The history in which these values have exchanged their places, in acknowledgements and reads. */
  exchange(order: readonly Write[], places: readonly Write[]): HistoryEvent[] {
    const goesTo = new Map(order.map((write, i) => [places[i]!.value, write.value]))
    const ackOf = new Map(order.map((write, i) => [write.send.id, places[i]!.offset]))
    return this.withRecords(records => records.map(([offset, value]) => [offset, goesTo.get(value) ?? value] as const)).map(event => {
      const offset = ackOf.get(event.operation)
      return event.type === 'invoke' || offset === undefined || event.result === undefined
        ? event
        : { ...event, result: { ...event.result, offset } }
    })
  }

  /** The history with calls and their results put in before the event at a position. */
  insert(at: number, process: string, calls: readonly (readonly [Call, PollResult?])[]): HistoryEvent[] {
    const next = 1 + Math.max(...this.events.map(event => event.operation))
    const added = calls.flatMap(([call, result], i): HistoryEvent[] => [
      { type: 'invoke', operation: next + i, process, time: 0, call },
      { type: 'ok', operation: next + i, time: 0, ...(result === undefined ? {} : { result }) },
    ])
    return [...this.events.slice(0, at), ...added, ...this.events.slice(at)]
  }
}

const poll: Call = { kind: 'poll', isolation: 'committed' }

function isFinal({ poll: { process } }: Read): boolean {
  return process.startsWith('final')
}

/** A write that is owed, has been read, and lies before others of its partition. */
function inner(victim: Victim): Owed | undefined {
  return victim.pick(
    victim.owed().filter(({ value, offset, partition }) => victim.analysis.readsOf.has(value) && offset < victim.lastOffset(partition)),
  )
}

/** Steps of runs that a reader owes, with the step before. */
function steps(
  victim: Victim,
  isInternal: boolean,
): { readonly before: Run['steps'][0]; readonly step: Run['steps'][0]; readonly run: Run }[] {
  const owed = new Set(victim.owed().map(({ value }) => value))
  return victim.runs.flatMap(run =>
    run.steps.slice(1, -1).flatMap((step, i) => {
      const before = run.steps[i]!
      const next = run.steps[i + 2]!
      const isWanted = isInternal
        ? before.poll === step.poll && next.poll === step.poll
        : before.poll !== step.poll &&
          next.poll === step.poll &&
          victim.analysis.unitOf.get(before.poll) !== victim.analysis.unitOf.get(step.poll)
      return isWanted && owed.has(step.value) ? [{ before, step, run }] : []
    }),
  )
}

function pairsOfSends(victim: Victim, isInternal: boolean): (readonly [Owed, Owed])[] {
  const owed = victim.owed()
  return owed.flatMap(a =>
    owed
      .filter(
        b => b.partition === a.partition && b.send.process === a.send.process && b.offset > a.offset && (b.unit === a.unit) === isInternal,
      )
      .map(b => [a, b] as const),
  )
}

function groupPolls(victim: Victim, group: string): Read[] {
  return victim.analysis.reads.filter(
    read => read.poll.call.group === group && read.unit.fate === 'committed' && read.poll.outcome === 'ok',
  )
}

export const mutations: readonly Mutation[] = [
  {
    name: 'drop an acknowledged value from all that was read',
    expected: 'lost-write',
    apply: victim => {
      const write = inner(victim)
      return write && victim.without(write.value)
    },
  },
  {
    name: 'drop the last value of a partition from all that was read',
    expected: 'unseen',
    apply: victim => {
      const write = victim.pick(victim.owed().filter(({ offset, partition }) => offset === victim.lastOffset(partition)))
      return write && victim.without(write.value)
    },
  },
  {
    name: 'lose a value after others read it',
    expected: 'unseen',
    apply: victim => {
      const read = victim.pick(victim.analysis.reads.filter(read => !isFinal(read) && victim.isOwed(read.value)))
      if (read === undefined) return undefined
      const spared = new Set(victim.analysis.reads.filter(other => !isFinal(other)).map(other => other.poll.id))
      return victim.without(read.value, operation => spared.has(operation))
    },
  },
  {
    name: 'write a value once more at the end',
    expected: 'duplicate',
    apply: victim => {
      const write = inner(victim)
      const last = victim.analysis.reads.filter(read => read.partition === write?.partition && isFinal(read)).at(-1)
      if (write === undefined || last === undefined) return undefined
      return victim.withRecords((records, partition, operation) =>
        partition === write.partition && operation === last.poll.id ? [...records, [last.offset + 1000, write.value]] : records,
      )
    },
  },
  {
    name: 'show one reader another value',
    expected: 'inconsistent-offsets',
    apply: victim => {
      const write = inner(victim)
      const read = write && victim.pick(victim.analysis.readsOf.get(write.value) ?? [])
      const other = inner(victim)
      if (read === undefined || other === undefined || other.value === read.value) return undefined
      if ((victim.analysis.readsOf.get(read.value)?.length ?? 0) < 2) return undefined
      return victim.withRecords((records, _, operation) =>
        operation === read.poll.id
          ? records.map(([offset, value]) => [offset, value === read.value ? other.value : value] as const)
          : records,
      )
    },
  },
  {
    name: 'acknowledge another offset',
    expected: 'inconsistent-offsets',
    apply: victim => {
      const write = inner(victim)
      if (write?.send.sent?.offset === undefined) return undefined
      const { id, sent } = write.send
      return victim.events.map(event =>
        event.type !== 'invoke' && event.operation === id ? { ...event, result: { ...sent, offset: sent.offset! + 1000 } } : event,
      )
    },
  },
  {
    name: 'invent a value',
    expected: 'phantom',
    apply: victim => {
      const read = victim.pick(victim.analysis.reads)
      if (read === undefined) return undefined
      return victim.withRecords((records, _, operation) =>
        operation === read.poll.id ? records.map(([offset, value]) => [offset, value === read.value ? 'ghost' : value] as const) : records,
      )
    },
  },
  {
    name: 'show an aborted value',
    expected: 'G1a',
    apply: victim => {
      const write = victim.pick(
        [...victim.analysis.writes.values()].filter(({ unit, send }) => unit.fate === 'aborted' && send.sent?.offset !== undefined),
      )
      const { partition, offset } = write?.send.sent ?? {}
      if (write === undefined || partition === undefined || offset === undefined) return undefined
      return victim.insert(victim.events.length, 'late', [[poll, { records: { [partition]: [[offset, write.value]] } }]])
    },
  },
  {
    name: 'show a value before its transaction is asked to commit',
    expected: 'precommitted-read',
    apply: victim => {
      const unit = victim.pick(victim.transactions().filter(({ sends, requestedAt }) => sends.length > 0 && Number.isFinite(requestedAt)))
      const write = victim.analysis.writes.get(unit?.sends[0]?.call.value ?? '')
      if (unit === undefined || write?.partition === undefined || write.offset === undefined) return undefined
      return victim.insert(unit.requestedAt, 'early', [[poll, { records: { [write.partition]: [[write.offset, write.value]] } }]])
    },
  },
  {
    name: 'let a transaction read what it wrote',
    expected: 'precommitted-read',
    apply: victim => {
      const write = victim.pick(victim.owed().filter(({ unit }) => unit.isTransaction))
      if (write === undefined) return undefined
      const call: Call = { ...poll, transaction: write.unit.id }
      return victim.insert(victim.events.length, 'self', [[call, { records: { [write.partition]: [[write.offset, write.value]] } }]])
    },
  },
  {
    name: 'skip a value at the head of a poll',
    expected: 'poll-skip',
    apply: victim => {
      const found = victim.pick(steps(victim, false))
      return found && victim.without(found.step.value, operation => operation !== found.step.poll.id)
    },
  },
  {
    name: 'skip a value within a poll',
    expected: 'int-poll-skip',
    apply: victim => {
      const found = victim.pick(steps(victim, true))
      return found && victim.without(found.step.value, operation => operation !== found.step.poll.id)
    },
  },
  {
    name: 'begin a poll with the last value of the one before',
    expected: 'nonmonotonic-poll',
    apply: victim => {
      const found = victim.pick(steps(victim, false))
      if (found === undefined) return undefined
      const { before, step, run } = found
      return victim.withRecords((records, partition, operation) =>
        partition === run.partition && operation === step.poll.id ? [[before.offset, before.value], ...records] : records,
      )
    },
  },
  {
    name: 'swap two values of a poll with their offsets',
    expected: 'int-nonmonotonic-poll',
    apply: victim => {
      const found = victim.pick(steps(victim, true))
      if (found === undefined) return undefined
      const { before, step, run } = found
      return victim.withRecords((records, partition, operation) => {
        if (partition !== run.partition || operation !== step.poll.id) return records
        return records.map(record =>
          record[0] === before.offset ? [step.offset, step.value] : record[0] === step.offset ? [before.offset, before.value] : record,
        )
      })
    },
  },
  {
    name: 'reorder two sends of a producer',
    expected: 'nonmonotonic-send',
    apply: victim => {
      const pair = victim.pick(pairsOfSends(victim, false))
      return pair && victim.exchange(pair, [pair[1], pair[0]])
    },
  },
  {
    name: 'reorder two sends of a transaction',
    expected: 'int-nonmonotonic-send',
    apply: victim => {
      const pair = victim.pick(pairsOfSends(victim, true))
      return pair && victim.exchange(pair, [pair[1], pair[0]])
    },
  },
  {
    name: 'move a value between two of a transaction',
    expected: 'int-send-skip',
    apply: victim => {
      const pair = victim.pick(pairsOfSends(victim, true).filter(([a, b]) => victim.between(a, b).length === 0))
      const other = victim
        .owed()
        .find(write => pair !== undefined && write.partition === pair[0].partition && write.offset > pair[1].offset!)
      return pair && other && other.unit !== pair[0].unit ? victim.exchange([other, pair[1]], [pair[1], other]) : undefined
    },
  },
  {
    name: 'let two transactions write in opposite orders',
    expected: 'G0',
    apply: victim => {
      const owed = victim.owed().filter(({ unit }) => unit.isTransaction)
      const pairs = owed.flatMap(a =>
        owed.filter(b => a.partition === b.partition && a.unit !== b.unit && a.offset < b.offset).map(b => [a, b] as const),
      )
      const crossed = pairs.filter(([a, b]) =>
        pairs.some(([c, d]) => c.partition !== a.partition && c.unit === a.unit && d.unit === b.unit),
      )
      const pair = victim.pick(crossed)
      return pair && victim.exchange(pair, [pair[1], pair[0]])
    },
  },
  {
    name: 'let two transactions read each other',
    expected: 'G1c',
    apply: (victim): HistoryEvent[] | undefined => {
      const a = victim.pick(victim.owed().filter(({ unit }) => unit.isTransaction))
      const b = victim.pick(victim.owed().filter(({ unit }) => unit.isTransaction && unit !== a?.unit))
      if (a === undefined || b === undefined) return undefined
      return victim.insert(victim.events.length, 'both', [
        [{ ...poll, transaction: a.unit.id }, { records: { [b.partition]: [[b.offset, b.value]] } }],
        [{ kind: 'subscribe', topics: [] }],
        [{ ...poll, transaction: b.unit.id }, { records: { [a.partition]: [[a.offset, a.value]] } }],
      ])
    },
  },
  {
    name: 'let a transaction read one that writes behind it',
    expected: 'G1c-ww',
    apply: victim => {
      const writes = victim.owed().filter(({ unit }) => unit.isTransaction)
      const pairs = writes.flatMap(a =>
        writes.filter(b => a.partition === b.partition && a.unit !== b.unit && a.offset < b.offset).map(b => [a, b]),
      )
      const [a, b] = victim.pick(pairs) ?? []
      if (a === undefined || b === undefined) return undefined
      const call: Call = { ...poll, transaction: a.unit.id }
      return victim.insert(victim.events.length, 'behind', [[call, { records: { [b.partition]: [[b.offset, b.value]] } }]])
    },
  },
  {
    name: 'let two transactions both read to the end before the other writes',
    expected: 'G2',
    apply: victim => {
      const a = victim.pick(victim.owed().filter(({ unit }) => unit.isTransaction))
      const b = victim.pick(
        victim.owed().filter(({ unit, partition }) => unit.isTransaction && unit !== a?.unit && partition !== a?.partition),
      )
      if (a === undefined || b === undefined) return undefined
      return victim.insert(0, 'ends', [
        [{ kind: 'assign', partitions: [a.partition, b.partition], from: { [a.partition]: a.offset, [b.partition]: b.offset } }],
        [
          { ...poll, transaction: a.unit.id },
          { records: {}, reachedEnd: [b.partition] },
        ],
        [
          { ...poll, transaction: b.unit.id },
          { records: {}, reachedEnd: [a.partition] },
        ],
      ])
    },
  },
  {
    name: 'let a group of at-least-once pass over a value',
    expected: 'group-lost',
    apply: victim => {
      const reads = groupPolls(victim, 'least')
      const read = victim.pick(
        reads.filter(
          ({ value, offset, partition }) =>
            victim.isOwed(value) && reads.some(other => other.partition === partition && other.offset > offset),
        ),
      )
      const mine = new Set(victim.analysis.reads.filter(({ poll: { call } }) => call.group === 'least').map(other => other.poll.id))
      return read && victim.without(read.value, operation => !mine.has(operation))
    },
  },
  ...['most', 'exactly'].map(
    (group): Mutation => ({
      name: `let a group of ${group === 'most' ? 'at-most-once' : 'exactly-once'} process a value again`,
      expected: 'group-duplicate',
      apply: victim => {
        const read = victim.pick(groupPolls(victim, group))
        if (read === undefined) return undefined
        const call: Call = { kind: 'poll', isolation: 'committed', group }
        return victim.insert(victim.events.length, 'again', [[call, { records: { [read.partition]: [[read.offset, read.value]] } }]])
      },
    }),
  ),
]
