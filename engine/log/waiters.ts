/** Who waits for a bound of a log to pass an offset. Owned by the logical log, which tells it of progress and of the end. */
import { Deferred } from '../commit-log/ticket.ts'
import type { VarveError } from '../errors.ts'
import type { ReadBound } from './log.ts'

interface Waiter {
  readonly offset: number
  readonly bound: ReadBound
  readonly deferred: Deferred
  readonly stop: () => void
}

export class Waiters {
  #waiting: Waiter[] = []

  get count(): number {
    return this.#waiting.length
  }

  /** Resolves at `settle` when the bound has passed the offset; rejects with the signal's reason, or with what `end` is given. */
  wait(offset: number, bound: ReadBound, signal: AbortSignal | undefined): Promise<void> {
    const deferred = new Deferred()
    const onAbort = (): void => {
      this.#waiting = this.#waiting.filter(waiter => waiter.deferred !== deferred)
      deferred.reject(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#waiting.push({ offset, bound, deferred, stop: () => signal?.removeEventListener('abort', onAbort) })
    return deferred.promise
  }

  settle(offsetOf: (bound: ReadBound) => number): void {
    if (this.#waiting.length === 0) return
    const still: Waiter[] = []
    for (const waiter of this.#waiting) {
      if (offsetOf(waiter.bound) > waiter.offset) {
        waiter.stop()
        waiter.deferred.resolve()
      } else {
        still.push(waiter)
      }
    }
    this.#waiting = still
  }

  end(error: VarveError): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const waiter of waiting) {
      waiter.stop()
      waiter.deferred.reject(error)
    }
  }
}
