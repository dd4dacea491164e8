/** Rows to a function, or to standard output: they are given away as they come, so a run that fails may have given some. */
import type { Chunk } from '../vector/chunk.ts'
import { jsonlText } from './row-text.ts'
import type { Sink, SinkWriter } from './sink.ts'

/** A sink that calls a function with some thousand rows at a time, and waits for what it returns. */
export function toCallback<T>(call: (rows: T[]) => unknown): Sink<T> {
  if (typeof call !== 'function') throw new TypeError(`call must be a function, got ${String(call)}`)
  return {
    kind: 'callback',
    name: 'callback',
    guarantee: 'at-least-once',
    open: () => new CallbackWriter(call as (rows: unknown[]) => unknown),
  }
}

/** A sink that prints rows as JSON, one a line. */
export function toConsole(): Sink<unknown> {
  const print = (rows: unknown[]): void => void process.stdout.write(jsonlText(rows))
  return { kind: 'console', name: 'console', guarantee: 'at-least-once', open: () => new CallbackWriter(print) }
}

class CallbackWriter implements SinkWriter {
  rows = 0
  readonly isSated = false
  readonly #call: (rows: unknown[]) => unknown

  constructor(call: (rows: unknown[]) => unknown) {
    this.#call = call
  }

  async receive(chunk: Chunk): Promise<void> {
    this.rows += chunk.count
    await this.#call(chunk.values())
  }

  finish(): void {}

  async commit(): Promise<void> {}

  async abort(): Promise<void> {}
}
