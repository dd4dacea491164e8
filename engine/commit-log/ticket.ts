/**
 * What the writers of one frame wait for. All commits of a frame share one ticket, so a commit costs no promise until somebody asks for one.
 * Owned by the commit log, which alone moves it: open -> written -> durable, or open/written -> failed.
 */
import type { VarveError } from '../errors.ts'
import type { Durability } from '../log/log.ts'

export class FrameTicket {
  #state: 'open' | 'written' | 'durable' | 'failed' = 'open'
  #error: VarveError | undefined
  #written: Deferred | undefined
  #durable: Deferred | undefined

  /** See `Appended.written`. */
  get written(): Promise<void> {
    if (this.#state === 'written' || this.#state === 'durable') return Promise.resolve()
    if (this.#state === 'failed') return Promise.reject(this.#error)
    this.#written ??= new Deferred()
    return this.#written.promise
  }

  /** See `Appended.durable`. */
  get durable(): Promise<void> {
    if (this.#state === 'durable') return Promise.resolve()
    if (this.#state === 'failed') return Promise.reject(this.#error)
    this.#durable ??= new Deferred()
    return this.#durable.promise
  }

  /** What a commit with this word waits for. */
  acknowledged(durability: Durability): Promise<void> {
    if (durability === 'sync') return this.durable
    return durability === 'buffered' ? this.written : Promise.resolve()
  }

  markWritten(): void {
    if (this.#state !== 'open') return
    this.#state = 'written'
    this.#written?.resolve()
  }

  markDurable(): void {
    if (this.#state === 'durable' || this.#state === 'failed') return
    this.#state = 'durable'
    this.#written?.resolve()
    this.#durable?.resolve()
  }

  fail(error: VarveError): void {
    if (this.#state === 'durable' || this.#state === 'failed') return
    const wasWritten = this.#state === 'written'
    this.#state = 'failed'
    this.#error = error
    if (!wasWritten) this.#written?.reject(error)
    this.#durable?.reject(error)
  }
}

/** A promise with its ends in hand. */
export class Deferred<T = void> {
  readonly promise: Promise<T>
  resolve!: (value: T) => void
  reject!: (error: unknown) => void

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

/** The ticket of something that needs no disk. */
export const settledTicket: FrameTicket = new FrameTicket()
settledTicket.markDurable()
