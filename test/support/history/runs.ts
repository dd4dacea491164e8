/**
 * What each reader saw of each partition between two moments at which its position was set: a *run*. Within a run offsets grow and nothing is skipped.
 *
 * A run ends at a seek, at an assignment that drops the partition or names an offset, at a rebalance that moves it, at a subscription, at a crash, and at
 * a poll of which nobody knows what it returned. A poll moves its reader whatever becomes of the poll's transaction; a consumer that goes back after an
 * abort seeks.
 */
import type { Analysis } from './analysis.ts'
import type { Operation, Partition, PollCall, Value } from './history.ts'

export interface Step {
  readonly offset: number
  readonly value: Value
  readonly poll: Operation<PollCall>
}

export interface Run {
  readonly process: string
  readonly partition: Partition
  readonly isolation: 'committed' | 'uncommitted'
  /** Offset at which the run began, if it is known. */
  readonly from: number | undefined
  readonly steps: readonly Step[]
  /** Polls after which the reader stood at the end, with the number of steps until then. */
  readonly ends: readonly { readonly poll: Operation<PollCall>; readonly steps: number }[]
}

interface OpenRun extends Run {
  readonly steps: Step[]
  readonly ends: { poll: Operation<PollCall>; steps: number }[]
}

/** All runs that have a step or reached an end. */
export function runsOf({ operations }: Analysis): Run[] {
  const runs: Run[] = []
  for (const [process, mine] of perProcess(operations)) runs.push(...runsOfProcess(process, mine))
  return runs
}

/** Operations of each process in its order, crashes that reach it among them. */
function perProcess(operations: readonly Operation[]): Map<string, Operation[]> {
  const found = new Map<string, Operation[]>()
  for (const { process, call } of operations) if (call.kind === 'poll') found.set(process, [])
  for (const operation of operations) {
    const { call } = operation
    if (call.kind !== 'crash') found.get(operation.process)?.push(operation)
    else for (const process of call.processes ?? found.keys()) found.get(process)?.push(operation)
  }
  for (const mine of found.values()) mine.sort((a, b) => momentOf(a) - momentOf(b))
  return found
}

/** A poll counts when it is answered: what the group gave and took during the call came before its records. */
function momentOf({ call, invokedAt, completedAt }: Operation): number {
  return call.kind === 'poll' && Number.isFinite(completedAt) ? completedAt : invokedAt
}

function runsOfProcess(process: string, operations: readonly Operation[]): Run[] {
  const runs: OpenRun[] = []
  const open = new Map<Partition, OpenRun>()
  const starts = new Map<Partition, number>()
  const leave = (partition: Partition): void => {
    open.delete(partition)
    starts.delete(partition)
  }
  const leaveAll = (): void => {
    open.clear()
    starts.clear()
  }
  const runIn = (partition: Partition, isolation: Run['isolation']): OpenRun => {
    let run = open.get(partition)
    if (run === undefined || run.isolation !== isolation) {
      run = { process, partition, isolation, from: starts.get(partition), steps: [], ends: [] }
      open.set(partition, run)
      runs.push(run)
    }
    return run
  }
  for (const operation of operations) {
    const { call, outcome, polled } = operation
    if (call.kind === 'crash') leaveAll()
    else if (call.kind === 'poll') {
      if (polled === undefined) {
        if (outcome !== 'fail') leaveAll()
        continue
      }
      const poll = operation as Operation<PollCall>
      for (const [partition, records] of Object.entries(polled.records))
        for (const [offset, value] of records) runIn(partition, call.isolation).steps.push({ offset, value, poll })
      for (const partition of polled.reachedEnd ?? []) {
        const run = runIn(partition, call.isolation)
        run.ends.push({ poll, steps: run.steps.length })
      }
    } else if (outcome === 'fail') continue
    else if (call.kind === 'subscribe') leaveAll()
    else if (call.kind === 'rebalance') for (const partition of [...call.revoked, ...call.assigned]) leave(partition)
    else if (call.kind === 'seek') {
      leave(call.partition)
      if (call.offset !== undefined && outcome === 'ok') starts.set(call.partition, call.offset)
    } else if (call.kind === 'assign') {
      for (const partition of [...open.keys(), ...starts.keys()])
        if (outcome !== 'ok' || !call.partitions.includes(partition)) leave(partition)
      if (outcome !== 'ok') continue
      for (const [partition, offset] of Object.entries(call.from ?? {})) {
        leave(partition)
        starts.set(partition, offset)
      }
    }
  }
  return runs
}
