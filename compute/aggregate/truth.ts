/** Whether some row, or every row, is true; of rows that are neither true nor false nothing is said. Null of none. */
import { BOOLEAN_NULL, BooleanVector, type Vector } from '../vector/vector.ts'
import { type Aggregator, grownBytes } from './aggregator.ts'

export class Truth implements Aggregator {
  /** What decides alone: 1 for 'some', 0 for 'every'. */
  readonly #decisive: 0 | 1
  #groups = 0
  /** 0, 1, or 2 for none yet. */
  #states: Uint8Array = new Uint8Array(0)

  constructor(which: 'some' | 'every') {
    this.#decisive = which === 'some' ? 1 : 0
  }

  get bytes(): number {
    return this.#states.byteLength
  }

  reserve(groups: number): void {
    this.#states = grownBytes(this.#states, groups)
    this.#states.fill(BOOLEAN_NULL, this.#groups, groups)
    this.#groups = groups
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    const states = this.#states
    for (let k = 0; k < count; k++) {
      const value = input.get(rows[k] as number)
      if (typeof value !== 'boolean') continue
      const group = groups[k] as number
      if (states[group] !== this.#decisive) states[group] = Number(value)
    }
  }

  states(from: number, to: number): Vector[] {
    return [this.results(from, to)]
  }

  merge(states: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    this.add(states, rows, count, groups)
  }

  results(from: number, to: number): Vector {
    return new BooleanVector(this.#states.slice(from, to))
  }
}
