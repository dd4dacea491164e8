/** One input for several flows: each chunk goes to all of them, one after the other. */
import type { Chunk } from '../vector/chunk.ts'
import { isPromise, type Receiver } from './receiver.ts'

export class Tee implements Receiver {
  readonly #all: readonly Receiver[]

  constructor(all: readonly Receiver[]) {
    this.#all = all
  }

  get isSated(): boolean {
    return this.#all.every(receiver => receiver.isSated)
  }

  receive(chunk: Chunk): void | Promise<void> {
    return this.#each(receiver => (receiver.isSated ? undefined : receiver.receive(chunk)))
  }

  finish(): void | Promise<void> {
    return this.#each(receiver => receiver.finish())
  }

  #each(call: (receiver: Receiver) => void | Promise<void>, from: number = 0): void | Promise<void> {
    for (let i = from; i < this.#all.length; i++) {
      const waits = call(this.#all[i] as Receiver)
      if (isPromise(waits)) return waits.then(() => this.#each(call, i + 1))
    }
    return undefined
  }
}
