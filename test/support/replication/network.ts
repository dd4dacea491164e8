/**
 * A simulated network: every message takes its own time (so that messages overtake each other), may be lost or come twice, and does not pass a link
 * that is cut. Links are cut per direction. Everything is drawn from the seed.
 */
import type { SimRandom, SimScheduler } from '../../../engine/env/index.ts'
import type { Message } from './messages.ts'

export interface NetworkFaults {
  readonly lossChance: number
  readonly duplicateChance: number
  /** Uniform between the two. */
  readonly delayMs: readonly [least: number, most: number]
}

export const calmNetwork: NetworkFaults = { lossChance: 0, duplicateChance: 0, delayMs: [0.2, 2] }

export class SimNetwork {
  readonly #scheduler: SimScheduler
  readonly #random: SimRandom
  readonly #deliver: (from: number, to: number, message: Message) => void
  readonly #cutLinks = new Set<string>()
  faults: NetworkFaults = calmNetwork
  readonly counters = { sent: 0, lost: 0, doubled: 0, cut: 0 }

  constructor(scheduler: SimScheduler, random: SimRandom, deliver: (from: number, to: number, message: Message) => void) {
    this.#scheduler = scheduler
    this.#random = random
    this.#deliver = deliver
  }

  send(from: number, to: number, message: Message): void {
    this.counters.sent++
    const { lossChance, duplicateChance } = this.faults
    if (this.#random.chance(lossChance)) {
      this.counters.lost++
      return
    }
    this.#carry(from, to, message)
    if (!this.#random.chance(duplicateChance)) return
    this.counters.doubled++
    this.#carry(from, to, message)
  }

  #carry(from: number, to: number, message: Message): void {
    const [least, most] = this.faults.delayMs
    this.#scheduler.after(least + (most - least) * this.#random.fraction(), () => {
      if (this.#cutLinks.has(`${from}>${to}`)) this.counters.cut++
      else this.#deliver(from, to, message)
    })
  }

  /** Cuts one direction. */
  cut(from: number, to: number): void {
    this.#cutLinks.add(`${from}>${to}`)
  }

  heal(): void {
    this.#cutLinks.clear()
  }
}
