/**
 * A record that a queue has delivered, locked to whoever has this object until it is settled: acknowledged, given back, or rejected.
 *
 * Invariant: a message is settled once; asking for the same again gives the same promise, asking for another is a TypeError.
 */
import type { RecordHeader, Transaction } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'

/** How a message is settled. */
export type Settlement = 'ack' | 'release' | 'reject'

/** Options of `QueueMessage.release`. */
export interface ReleaseOptions {
  /** Not delivered again before so many milliseconds. In memory: after a restart it may come earlier. Default 0. */
  readonly delayMs?: number | undefined
  /** Why, for the headers of the dead-letter record if this was the last delivery. */
  readonly error?: unknown
}

/** What a message needs of its queue. */
export interface MessagePlace {
  settle(message: QueueMessage<never, never>, how: Settlement, delayMs: number, error: string | undefined): Promise<void>
  ackWith(tx: Transaction, message: QueueMessage<never, never>): void
  extend(message: QueueMessage<never, never>, lockMs: number): void
}

/** One record as a queue delivers it. */
export class QueueMessage<V = unknown, K = unknown> {
  /** The record as consumers see it. */
  readonly record: ConsumedRecord<V, K>
  /** How often it was delivered, this time included: 1 for the first. */
  readonly deliveries: number
  readonly #place: MessagePlace
  #settled: { readonly how: Settlement; readonly done: Promise<void> } | undefined

  /** For queues. */
  constructor(place: MessagePlace, record: ConsumedRecord<V, K>, deliveries: number) {
    this.#place = place
    this.record = record
    this.deliveries = deliveries
  }

  /** Name of the topic. */
  get topic(): string {
    return this.record.topic
  }
  /** Number of the partition, from 0. */
  get partition(): number {
    return this.record.partition
  }
  /** Position in its partition. */
  get offset(): number {
    return this.record.offset
  }
  /** Milliseconds since 1970. */
  get timestamp(): number {
    return this.record.timestamp
  }
  /** null when the record has none. */
  get key(): K | null {
    return this.record.key
  }
  /** null for a tombstone. */
  get value(): V | null {
    return this.record.value
  }
  /** The headers as stored. */
  get headers(): readonly RecordHeader[] {
    return this.record.headers
  }
  /** The text of the first header of this name; undefined when there is none. */
  header(key: string): string | undefined {
    return this.record.header(key)
  }
  /** How it was settled; undefined while it is not. */
  get settled(): Settlement | undefined {
    return this.#settled?.how
  }

  /** The record is done: it does not come again. Resolves when durable. LOCK_LOST when it was delivered to another meanwhile. */
  ack(): Promise<void>
  /** As part of a transaction: what it writes and this are one commit. LOCK_LOST refuses the transaction in the turn of its commit. */
  ack(tx: Transaction): void
  ack(tx?: Transaction): Promise<void> | void {
    if (tx === undefined) return this.#settle('ack', 0, undefined)
    this.#place.ackWith(tx, this as unknown as QueueMessage<never, never>)
  }

  /** Gives the record back, to be delivered again now or later; or gives it up, when this was its last delivery. LOCK_LOST, RangeError. */
  release(options: ReleaseOptions = {}): Promise<void> {
    const { delayMs = 0, error } = options
    if (!Number.isSafeInteger(delayMs) || delayMs < 0)
      return Promise.reject(new RangeError(`delayMs must be a non-negative integer of milliseconds, got ${String(delayMs)}`))
    return this.#settle('release', delayMs, error)
  }

  /** Gives the record up: it goes to the dead-letter topic, with `error` in a header, in one commit with its end here. LOCK_LOST. */
  reject(error?: unknown): Promise<void> {
    return this.#settle('reject', 0, error)
  }

  /** The lock holds so many milliseconds from now on. LOCK_LOST, RangeError. */
  extend(lockMs: number): void {
    if (!Number.isSafeInteger(lockMs) || lockMs <= 0) throw new RangeError(`lockMs must be a positive integer, got ${String(lockMs)}`)
    if (this.#settled !== undefined) throw settledAlready(this.#settled.how)
    this.#place.extend(this as unknown as QueueMessage<never, never>, lockMs)
  }

  /** For queues: it was settled with a transaction. */
  markAcked(): void {
    this.#settled ??= { how: 'ack', done: Promise.resolve() }
  }

  #settle(how: Settlement, delayMs: number, error: unknown): Promise<void> {
    if (this.#settled !== undefined) {
      return this.#settled.how === how ? this.#settled.done : Promise.reject(settledAlready(this.#settled.how))
    }
    const done = this.#place.settle(this as unknown as QueueMessage<never, never>, how, delayMs, textOf(error))
    this.#settled = { how, done }
    return done
  }
}

function settledAlready(how: Settlement): TypeError {
  return new TypeError(`the message was settled already: ${how}`)
}

const errorCharactersMax = 1000

function textOf(error: unknown): string | undefined {
  if (error === undefined) return undefined
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.slice(0, errorCharactersMax)
}
