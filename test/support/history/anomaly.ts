/** The names of everything that can be wrong with a history, and what a detector says of one case. */
import type { Operation, Partition, Value } from './history.ts'

/** Names follow Adya, Jepsen's Kafka workload, and Elle where they have one; `int` is for "within one transaction, or one poll". */
export const anomalyKinds = [
  /** Two values at one offset, or an acknowledgement that names another offset than all readers found. */
  'inconsistent-offsets',
  /** One value read at several offsets. */
  'duplicate',
  /** A value was read that nobody sent. */
  'phantom',
  /** Aborted read: a committed reader saw a value whose transaction or send failed. */
  'G1a',
  /** A committed reader saw a value before its transaction was asked to commit, its own values included. */
  'precommitted-read',
  /** Acknowledged; some reader read over its offset; no reader ever saw it. */
  'lost-write',
  /** Acknowledged before a reader asked, who had read everything from below it to the end, and not found. */
  'unseen',
  /** A reader goes on behind values that it ought to have seen next. */
  'poll-skip',
  'int-poll-skip',
  /** A reader goes back, or stays, without having been told to. */
  'nonmonotonic-poll',
  'int-nonmonotonic-poll',
  /** A producer's later send has the lower offset. */
  'nonmonotonic-send',
  'int-nonmonotonic-send',
  /** Other values lie between those of one transaction. */
  'int-send-skip',
  /** Cycle of writes before writes. */
  'G0',
  /** Cycle of writes before reads: each transaction saw what the other wrote. */
  'G1c',
  /** Cycle of writes before reads and writes before writes. */
  'G1c-ww',
  /** Cycle with at least one read of the end before a write. */
  'G2',
  /** No member of a group that promises it processed the value, although the group is past it. */
  'group-lost',
  /** Members of a group that promises otherwise processed a value more than once. */
  'group-duplicate',
] as const

export type AnomalyKind = (typeof anomalyKinds)[number]

export interface Anomaly {
  readonly kind: AnomalyKind
  /** One sentence with everything that is needed to find it in the history. */
  readonly evidence: string
  readonly partition?: Partition
  readonly values: readonly Value[]
  /** Operations that show it, the decisive one last. */
  readonly operations: readonly Operation[]
}

/** An operation in a sentence. */
export function nameOf({ id, process, call, outcome }: Operation): string {
  return `${call.kind} #${id} of ${process} (${outcome})`
}

/** A list of values in a sentence; long ones are cut. */
export function listOf(values: readonly Value[]): string {
  const shown = values.slice(0, 8).join(', ')
  return values.length > 8 ? `${shown}, … (${values.length})` : shown
}
