/** How many rows there are, or how many in which an input is not null. */
import { NumberVector, type Vector } from '../vector/vector.ts'
import { type Aggregator, grownDoubles } from './aggregator.ts'

export class Count implements Aggregator {
  #counts: Float64Array = new Float64Array(0)

  get bytes(): number {
    return this.#counts.byteLength
  }

  reserve(groups: number): void {
    this.#counts = grownDoubles(this.#counts, groups)
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    const counts = this.#counts
    if (input === undefined || (input.kind === 'number' && input.nulls === undefined)) {
      for (let k = 0; k < count; k++) (counts[groups[k] as number] as number)++
      return
    }
    for (let k = 0; k < count; k++) if (!input.isNull(rows[k] as number)) (counts[groups[k] as number] as number)++
  }

  states(from: number, to: number): Vector[] {
    return [new NumberVector(this.#counts.slice(from, to))]
  }

  merge([state]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    const counts = this.#counts
    const { values } = state as NumberVector
    for (let k = 0; k < count; k++) (counts[groups[k] as number] as number) += values[rows[k] as number] as number
  }

  results(from: number, to: number): Vector {
    return new NumberVector(this.#counts.slice(from, to))
  }
}
