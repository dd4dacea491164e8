/**
 * What clients of topics did, as a list of events, and its pairing into operations.
 *
 * An event is plain JSON and only ever appended, so that a process that is going to be killed can write it line by line: a call is *invoked*, and
 * completed later as `ok` (it happened), `fail` (it certainly did not happen) or `info` (nobody knows). A call without a completion is `info`. Positions in
 * the list are the clock: one call precedes another when it completed before the other was invoked. `time` is for the reader of a report.
 *
 * A process is one producer or one consumer: its sends are made in order, its polls one after the other. Values are unique in a history; that is how a
 * record is known again. Sends and polls may belong to a transaction, whose fate is that of its `commit` and `abort` calls.
 */

/** A partition as `topic/number`. */
export type Partition = string
/** The unique value of a record. */
export type Value = string

/** A record is sent. The partition may be known only by the result, when a partitioner chooses it. */
export interface SendCall {
  readonly kind: 'send'
  readonly value: Value
  readonly partition?: Partition
  /** The record's key, where the topic may be compacted. */
  readonly key?: string
  /** A null value, which compaction removes one day; `value` is then found in a header. */
  readonly isTombstone?: boolean
  readonly transaction?: string
  /** Its durability word; default 'sync'. From its commit on a transaction's word counts for its sends. */
  readonly durability?: 'sync' | 'buffered' | 'none'
}

/** Records are asked for. */
export interface PollCall {
  readonly kind: 'poll'
  readonly isolation: 'committed' | 'uncommitted'
  /** The consumer's group. */
  readonly group?: string
  readonly transaction?: string
}

/** A transaction is to take effect, or to be given up. One that is neither, or only aborted, never happened. */
export interface EndCall {
  readonly kind: 'commit' | 'abort'
  readonly transaction: string
  readonly durability?: 'sync' | 'buffered' | 'none'
}

/** The process reads these partitions from now on and no others; positions of partitions that stay are kept unless `from` has them. */
export interface AssignCall {
  readonly kind: 'assign'
  readonly partitions: readonly Partition[]
  /** Offsets at which reading begins; 0 is the beginning, whatever has been trimmed. */
  readonly from?: Readonly<Record<Partition, number>>
}

/** The process joins or leaves a group: where it reads next is not its own to say. */
export interface SubscribeCall {
  readonly kind: 'subscribe'
  readonly topics: readonly string[]
}

/** The group takes partitions from the process, or gives it some. Those that are in neither list it keeps with their positions. */
export interface RebalanceCall {
  readonly kind: 'rebalance'
  readonly revoked: readonly Partition[]
  readonly assigned: readonly Partition[]
}

/** The process goes on elsewhere in a partition; without an offset somewhere unknown. */
export interface SeekCall {
  readonly kind: 'seek'
  readonly partition: Partition
  readonly offset?: number
}

/** Records below an offset may go from now on: retention, or records deleted by hand. */
export interface TrimCall {
  readonly kind: 'trim'
  readonly partition: Partition
  readonly offset: number
}

/** Processes end without warning (all of them by default): positions are forgotten. With the machine, what was not synced goes too. */
export interface CrashCall {
  readonly kind: 'crash'
  readonly machine: boolean
  readonly processes?: readonly string[]
}

export type Call = SendCall | PollCall | EndCall | AssignCall | SubscribeCall | RebalanceCall | SeekCall | TrimCall | CrashCall

export interface SendResult {
  readonly partition: Partition
  /** Where the record lies; absent when the acknowledgement does not say. */
  readonly offset?: number
}

export type Polled = readonly [offset: number, value: Value]

export interface PollResult {
  readonly records: Readonly<Record<Partition, readonly Polled[]>>
  /** Partitions in which the reader then stood at the high watermark as it was during the call, with nothing hidden before it. */
  readonly reachedEnd?: readonly Partition[]
  /** The transaction that consumed these records, when it began after the poll. */
  readonly transaction?: string
}

export type Outcome = 'ok' | 'fail' | 'info'

export interface InvokeEvent {
  readonly type: 'invoke'
  /** Number of the operation, unique in the history. */
  readonly operation: number
  readonly process: string
  readonly time: number
  readonly call: Call
}

export interface CompletionEvent {
  readonly type: Outcome
  readonly operation: number
  readonly time: number
  readonly result?: SendResult | PollResult
}

export type HistoryEvent = InvokeEvent | CompletionEvent

/** An invocation with its completion. */
export interface Operation<C extends Call = Call> {
  readonly id: number
  readonly process: string
  readonly call: C
  readonly outcome: Outcome
  /** Position of the invocation in the list of events. */
  readonly invokedAt: number
  /** Position of the completion; Infinity when there is none. */
  readonly completedAt: number
  readonly sent?: SendResult
  readonly polled?: PollResult
}

/** Pairs events into operations, in the order of their invocations. Throws an Error on a list that is no history. */
export function pairEvents(events: readonly HistoryEvent[]): Operation[] {
  const completions = new Map<number, { readonly event: CompletionEvent; readonly at: number }>()
  const invoked = new Set<number>()
  for (const [at, event] of events.entries()) {
    const known = event.type === 'invoke' ? invoked.has(event.operation) : !invoked.has(event.operation) || completions.has(event.operation)
    if (known) throw new Error(`event ${at}: operation ${event.operation} is ${event.type} out of order`)
    if (event.type === 'invoke') invoked.add(event.operation)
    else completions.set(event.operation, { event, at })
  }
  const operations: Operation[] = []
  for (const [at, event] of events.entries()) {
    if (event.type !== 'invoke') continue
    const { operation: id, process, call } = event
    const completion = completions.get(id)
    const result = completion?.event.result
    operations.push({
      id,
      process,
      call,
      outcome: completion?.event.type ?? 'info',
      invokedAt: at,
      completedAt: completion?.at ?? Number.POSITIVE_INFINITY,
      ...(call.kind === 'send' && result !== undefined ? { sent: result as SendResult } : {}),
      ...(call.kind === 'poll' && result !== undefined ? { polled: result as PollResult } : {}),
    })
  }
  return operations
}

export function isSend(operation: Operation): operation is Operation<SendCall> {
  return operation.call.kind === 'send'
}

export function isPoll(operation: Operation): operation is Operation<PollCall> {
  return operation.call.kind === 'poll'
}
