/**
 * The value of the row that is first or last in the order of another expression: `first`, `last`, `minBy`, `maxBy`. Rows without the value or without what they are ordered by
 * are passed over. Of rows that are equal there the first that came wins, or the last; parts come in the order in which they are merged.
 */
import { compareValues } from '../vector/value-order.ts'
import { AnyVector, type Vector } from '../vector/vector.ts'
import type { Aggregator } from './aggregator.ts'

export class BestBy implements Aggregator {
  /** 1: the smallest; -1: the largest. */
  readonly #sign: 1 | -1
  readonly #lastOfEqual: boolean
  /** Null: there was none. */
  readonly #values: unknown[] = []
  readonly #orders: unknown[] = []

  constructor(sign: 1 | -1, lastOfEqual: boolean) {
    this.#sign = sign
    this.#lastOfEqual = lastOfEqual
  }

  get bytes(): number {
    return 96 * this.#values.length
  }

  reserve(groups: number): void {
    while (this.#values.length < groups) {
      this.#values.push(null)
      this.#orders.push(null)
    }
  }

  /** Inputs: the value, and what rows are ordered by; without that all are equal. */
  add([input, by]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      if (input.isNull(row)) continue
      const order = by === undefined ? 0 : by.get(row)
      if (order === null) continue
      const group = groups[k] as number
      const current = this.#orders[group]
      if (current !== null) {
        const difference = this.#sign * compareValues(order, current)
        if (difference > 0 || (difference === 0 && !this.#lastOfEqual)) continue
      }
      this.#orders[group] = order
      this.#values[group] = input.get(row)
    }
  }

  states(from: number, to: number): Vector[] {
    return [new AnyVector(this.#values.slice(from, to)), new AnyVector(this.#orders.slice(from, to))]
  }

  merge(states: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    this.add(states, rows, count, groups)
  }

  results(from: number, to: number): Vector {
    return new AnyVector(this.#values.slice(from, to))
  }
}
