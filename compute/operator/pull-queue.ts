/** The end of a flow that is read by a loop: one chunk's rows at a time wait to be taken, and the flow waits with them. */
import type { Chunk } from '../vector/chunk.ts'
import type { Receiver } from './receiver.ts'

export class PullQueue implements Receiver {
  #left = false
  #ended = false
  #error: unknown
  #failed = false
  #values: unknown[] | undefined
  /** Wakes who waits for rows. */
  #filled: (() => void) | undefined
  /** Wakes the flow. */
  #emptied: (() => void) | undefined

  get isSated(): boolean {
    return this.#left
  }

  async receive(chunk: Chunk): Promise<void> {
    if (this.#left) return
    this.#values = chunk.values()
    this.#filled?.()
    await new Promise<void>(resolve => {
      this.#emptied = resolve
    })
  }

  finish(): void {}

  /** The run is over, by an error if one is given. */
  end(...error: readonly [unknown?]): void {
    this.#ended = true
    this.#failed = error.length > 0
    ;[this.#error] = error
    this.#filled?.()
  }

  /** Rows; undefined after the last. Throws what ended the run. */
  async take(): Promise<unknown[] | undefined> {
    if (this.#values === undefined && !this.#ended) {
      // What was taken before has been used by now.
      this.#emptied?.()
      await new Promise<void>(resolve => {
        this.#filled = resolve
      })
    }
    const values = this.#values
    this.#values = undefined
    if (values === undefined && this.#failed) throw this.#error
    return values
  }

  /** Nobody takes rows any more. */
  leave(): void {
    this.#left = true
    this.#emptied?.()
  }
}
