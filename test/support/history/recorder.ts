/** Writes a history: numbers operations, stamps events, and hands each one on as it happens. */
import type { Call, HistoryEvent, Outcome, PollResult, SendResult } from './history.ts'

export interface PendingOperation {
  readonly id: number
  /** It happened. */
  ok(result?: SendResult | PollResult): void
  /** It certainly did not happen. */
  fail(result?: PollResult): void
  /** Nobody knows. The same as never completing it, unless a poll's result is known all the same. */
  info(result?: PollResult): void
}

export class HistoryRecorder {
  /** All events so far; none when they are handed to `write`. */
  readonly events: HistoryEvent[] = []
  readonly #now: () => number
  readonly #write: (event: HistoryEvent) => void
  #operations: number

  /** @param firstOperation number of the first operation, for a history that other processes have begun */
  constructor(now: () => number, write?: (event: HistoryEvent) => void, firstOperation = 0) {
    this.#now = now
    this.#write = write ?? (event => this.events.push(event))
    this.#operations = firstOperation
  }

  /** Number of the next operation. */
  get nextOperation(): number {
    return this.#operations
  }

  invoke(process: string, call: Call): PendingOperation {
    const operation = this.#operations++
    this.#write({ type: 'invoke', operation, process, time: this.#now(), call })
    const complete = (type: Outcome, result?: SendResult | PollResult): void =>
      this.#write({ type, operation, time: this.#now(), ...(result === undefined ? {} : { result }) })
    return {
      id: operation,
      ok: result => complete('ok', result),
      fail: result => complete('fail', result),
      info: result => complete('info', result),
    }
  }

  /** What takes effect at once, such as a seek. */
  note(process: string, call: Call): void {
    this.invoke(process, call).ok()
  }
}
