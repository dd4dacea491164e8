/**
 * How operators stand in a row: each receives chunks, does its part at once, and hands what comes of it to the next. Calls are synchronous unless something behind has to wait
 * (a sink, an asynchronous map): then `receive` returns a promise, and its caller waits for it before the next call. No operator is called again before that.
 */
import type { Chunk } from '../vector/chunk.ts'

export interface Receiver {
  /** Whatever comes is not needed any more; `finish` still is. */
  readonly isSated: boolean
  /** The chunk is the caller's again when the call, or its promise, is over. */
  receive(chunk: Chunk): void | Promise<void>
  /** There is no more. */
  finish(): void | Promise<void>
}

export function isPromise(value: void | Promise<void>): value is Promise<void> {
  return value !== undefined
}

/** An operator that has one behind it. */
export abstract class Stage implements Receiver {
  protected readonly next: Receiver

  constructor(next: Receiver) {
    this.next = next
  }

  get isSated(): boolean {
    return this.next.isSated
  }

  abstract receive(chunk: Chunk): void | Promise<void>

  finish(): void | Promise<void> {
    return this.next.finish()
  }
}

/** Hands over chunks one after the other, waiting where one must. */
export function sendAll(chunks: Iterable<Chunk>, next: Receiver): void | Promise<void> {
  const iterator = chunks[Symbol.iterator]()
  for (;;) {
    if (next.isSated) {
      iterator.return?.()
      return undefined
    }
    const step = iterator.next()
    if (step.done === true) return undefined
    const waits = next.receive(step.value)
    if (isPromise(waits)) return waits.then(() => sendRest(iterator, next))
  }
}

async function sendRest(iterator: Iterator<Chunk>, next: Receiver): Promise<void> {
  while (!next.isSated) {
    const step = iterator.next()
    if (step.done === true) return
    await next.receive(step.value)
  }
  iterator.return?.()
}
