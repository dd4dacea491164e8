/** Hand-written histories: each line is an operation that completes before the next begins, unless it says otherwise. */
import type { Call, HistoryEvent, Partition, Polled, PollResult, Value } from './history.ts'
import { HistoryRecorder, type PendingOperation } from './recorder.ts'

interface SendOptions {
  readonly transaction?: string
  readonly partition?: Partition
  readonly key?: string
  readonly isTombstone?: boolean
  readonly durability?: 'sync' | 'buffered' | 'none'
}

interface PollOptions {
  readonly transaction?: string
  readonly group?: string
  readonly isolation?: 'committed' | 'uncommitted'
  readonly isAtEnd?: boolean
}

export class HistoryScript {
  #time = 0
  readonly #recorder = new HistoryRecorder(() => ++this.#time)

  get events(): readonly HistoryEvent[] {
    return this.#recorder.events
  }

  invoke(process: string, call: Call): PendingOperation {
    return this.#recorder.invoke(process, call)
  }

  note(process: string, call: Call): this {
    this.#recorder.note(process, call)
    return this
  }

  /** A send to `p/0`, acknowledged at the offset, or failed, or of unknown fate. */
  send(process: string, value: Value, result: number | 'fail' | 'info', options: SendOptions = {}): this {
    const { partition = 'p/0', ...rest } = options
    const pending = this.invoke(process, { kind: 'send', value, partition, ...rest })
    if (typeof result === 'number') pending.ok({ partition, offset: result })
    else if (result === 'fail') pending.fail()
    else pending.info()
    return this
  }

  /** A poll of `p/0` (or of several partitions). */
  poll(process: string, records: readonly Polled[] | Readonly<Record<Partition, readonly Polled[]>>, options: PollOptions = {}): this {
    const { isolation = 'committed', isAtEnd, ...rest } = options
    const byPartition: Readonly<Record<Partition, readonly Polled[]>> = Array.isArray(records)
      ? { 'p/0': records }
      : (records as Readonly<Record<Partition, readonly Polled[]>>)
    const result: PollResult = isAtEnd === true ? { records: byPartition, reachedEnd: Object.keys(byPartition) } : { records: byPartition }
    this.invoke(process, { kind: 'poll', isolation, ...rest }).ok(result)
    return this
  }

  commit(process: string, transaction: string, outcome: 'ok' | 'fail' | 'info' = 'ok'): this {
    this.invoke(process, { kind: 'commit', transaction })[outcome]()
    return this
  }

  abort(process: string, transaction: string): this {
    return this.note(process, { kind: 'abort', transaction })
  }

  assign(process: string, from: Readonly<Record<Partition, number>>): this {
    return this.note(process, { kind: 'assign', partitions: Object.keys(from), from })
  }
}
