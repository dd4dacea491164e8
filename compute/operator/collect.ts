/** The end of a flow in the calling thread: rows as values, for a list, a function or an iterator. */
import type { Chunk } from '../vector/chunk.ts'
import type { Receiver } from './receiver.ts'

export class Collect implements Receiver {
  readonly isSated = false
  readonly values: unknown[] = []

  receive(chunk: Chunk): void {
    const { data, rows, count } = chunk
    for (let k = 0; k < count; k++) this.values.push(data.value(rows[k] as number))
  }

  finish(): void {}
}

/** Calls a function for each row, and waits for what it returns. */
export class ForEach implements Receiver {
  readonly isSated = false
  readonly #call: (row: unknown) => unknown

  constructor(call: (row: unknown) => unknown) {
    this.#call = call
  }

  async receive(chunk: Chunk): Promise<void> {
    const { data, rows, count } = chunk
    for (let k = 0; k < count; k++) {
      const answer = this.#call(data.value(rows[k] as number))
      if (isThenable(answer)) await answer
    }
  }

  finish(): void {}
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
