/** The values of a group as a list, in the order in which they came; up to a limit. Nulls are passed over. */
import { AnyVector, type Vector } from '../vector/vector.ts'
import type { Aggregator } from './aggregator.ts'

export class CollectValues implements Aggregator {
  readonly #limit: number
  readonly #lists: unknown[][] = []
  #values = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): number {
    return 64 * this.#lists.length + 48 * this.#values
  }

  reserve(groups: number): void {
    while (this.#lists.length < groups) this.#lists.push([])
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const list = this.#lists[groups[k] as number] as unknown[]
      if (list.length >= this.#limit || input.isNull(row)) continue
      list.push(input.get(row))
      this.#values++
    }
  }

  states(from: number, to: number): Vector[] {
    return [new AnyVector(this.#lists.slice(from, to))]
  }

  merge([state]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    for (let k = 0; k < count; k++) {
      const list = this.#lists[groups[k] as number] as unknown[]
      const added = (state as Vector).get(rows[k] as number) as readonly unknown[]
      for (let i = 0; i < added.length && list.length < this.#limit; i++) {
        list.push(added[i])
        this.#values++
      }
    }
  }

  results(from: number, to: number): Vector {
    return new AnyVector(this.#lists.slice(from, to).map(list => [...list]))
  }
}
