/**
 * Who waits for the commit log: for an LSN to be durable (internal, never held back), for room after BUSY (`drain`), and the acknowledgements that
 * are held back while a flush is behind. Owned by the commit log.
 */
import type { VarveError } from '../errors.ts'
import { Deferred } from './ticket.ts'

export class Waits {
  #lsns: { readonly lsn: number; readonly deferred: Deferred }[] = []
  #drains: Deferred[] = []
  #idles: Deferred[] = []
  /** Settled but held back, in order. */
  #held: (() => void)[] = []

  forLsn(lsn: number): Promise<void> {
    const deferred = new Deferred()
    this.#lsns.push({ lsn, deferred })
    return deferred.promise
  }

  forRoom(): Promise<void> {
    const deferred = new Deferred()
    this.#drains.push(deferred)
    return deferred.promise
  }

  forIdle(): Promise<void> {
    const deferred = new Deferred()
    this.#idles.push(deferred)
    return deferred.promise
  }

  durable(lsn: number): void {
    if (this.#lsns.length === 0) return
    const waiting = this.#lsns
    this.#lsns = waiting.filter(waiter => waiter.lsn > lsn)
    for (const waiter of waiting) if (waiter.lsn <= lsn) waiter.deferred.resolve()
  }

  roomy(): void {
    const waiting = this.#drains
    this.#drains = []
    for (const waiter of waiting) waiter.resolve()
  }

  idle(): void {
    const waiting = this.#idles
    this.#idles = []
    for (const waiter of waiting) waiter.resolve()
  }

  /** Runs `settle` now, or later when acknowledgements are held back; order is kept. True when it is the first to be held. */
  acknowledge(settle: () => void, hold: boolean): boolean {
    if (!hold && this.#held.length === 0) {
      settle()
      return false
    }
    this.#held.push(settle)
    return this.#held.length === 1
  }

  /** Acknowledgements are held back. */
  get isHolding(): boolean {
    return this.#held.length > 0
  }

  letGo(): void {
    const held = this.#held
    this.#held = []
    for (const settle of held) settle()
  }

  /** The writer is poisoned: what was held is true all the same, everything else ends. */
  fail(error: VarveError): void {
    this.letGo()
    const ended = [...this.#lsns.map(waiter => waiter.deferred), ...this.#drains]
    this.#lsns = []
    this.#drains = []
    for (const deferred of ended) deferred.reject(error)
  }
}
