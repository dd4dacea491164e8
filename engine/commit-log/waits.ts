/**
 * Who waits for the commit log: for an LSN to be durable (internal, never held back), for room after BUSY (`drain`), and the acknowledgements that
 * are delayed, or held back until a flush has ended. Owned by the commit log.
 */
import type { VarveError } from '../errors.ts'
import { Deferred } from './ticket.ts'

export class Waits {
  #lsns: { readonly lsn: number; readonly deferred: Deferred }[] = []
  #drains: Deferred[] = []
  #idles: Deferred[] = []
  /** Settled but held back, in order; `dueMs` ascends, Infinity: until they are let go. */
  #held: { readonly settle: () => void; readonly dueMs: number }[] = []

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

  /** Runs `settle` now (0), or when it is due; order is kept. True when it is the first to be held without an end. */
  acknowledge(settle: () => void, dueMs: number): boolean {
    if (dueMs === 0 && this.#held.length === 0) {
      settle()
      return false
    }
    const last = this.#held.at(-1)?.dueMs ?? 0
    this.#held.push({ settle, dueMs: Math.max(last, dueMs) })
    return dueMs === Number.POSITIVE_INFINITY && last < dueMs
  }

  /** Acknowledgements are held back without an end. */
  get isHolding(): boolean {
    return this.#held.at(-1)?.dueMs === Number.POSITIVE_INFINITY
  }

  /** When the next one is due; undefined: none has a time. */
  get nextDueMs(): number | undefined {
    const first = this.#held[0]?.dueMs
    return first === Number.POSITIVE_INFINITY ? undefined : first
  }

  /** Lets go what is due. */
  letGoDue(nowMs: number): void {
    let count = 0
    while (count < this.#held.length && this.#held[count]!.dueMs <= nowMs) count++
    for (const { settle } of this.#held.splice(0, count)) settle()
  }

  /** Lets go what is held without an end, behind those that have a time. */
  letGo(nowMs: number): void {
    if (!this.isHolding) return
    let last = nowMs
    this.#held = this.#held.map(held => {
      if (held.dueMs === Number.POSITIVE_INFINITY) return { settle: held.settle, dueMs: last }
      last = held.dueMs
      return held
    })
    this.letGoDue(nowMs)
  }

  letGoAll(): void {
    const held = this.#held
    this.#held = []
    for (const { settle } of held) settle()
  }

  /** The writer is poisoned: what was held is true all the same, everything else ends. */
  fail(error: VarveError): void {
    this.letGoAll()
    const ended = [...this.#lsns.map(waiter => waiter.deferred), ...this.#drains]
    this.#lsns = []
    this.#drains = []
    for (const deferred of ended) deferred.reject(error)
  }
}
