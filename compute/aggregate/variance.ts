/**
 * Sample variance and standard deviation of numbers, in one pass: count, mean and sum of squared differences from the mean (B. P. Welford, 1962), which of two parts become one
 * by the formula of Chan, Golub and LeVeque (1979). Bigints count as doubles, other values are passed over. Null for fewer than two numbers.
 */
import { NumberVector, type Vector } from '../vector/vector.ts'
import { type Aggregator, grownDoubles, numberAt } from './aggregator.ts'

export class Variance implements Aggregator {
  /** Whether the result is the square root. */
  readonly #isDeviation: boolean
  #counts: Float64Array = new Float64Array(0)
  #means: Float64Array = new Float64Array(0)
  /** Sums of squared differences from the mean. */
  #squares: Float64Array = new Float64Array(0)

  constructor(isDeviation: boolean) {
    this.#isDeviation = isDeviation
  }

  get bytes(): number {
    return 3 * this.#counts.byteLength
  }

  reserve(groups: number): void {
    this.#counts = grownDoubles(this.#counts, groups)
    this.#means = grownDoubles(this.#means, groups)
    this.#squares = grownDoubles(this.#squares, groups)
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    const [counts, means, squares] = [this.#counts, this.#means, this.#squares]
    for (let k = 0; k < count; k++) {
      const value = numberAt(input, rows[k] as number)
      if (value === undefined) continue
      const group = groups[k] as number
      const n = (counts[group] as number) + 1
      const mean = means[group] as number
      const next = mean + (value - mean) / n
      counts[group] = n
      means[group] = next
      squares[group] = (squares[group] as number) + (value - mean) * (value - next)
    }
  }

  states(from: number, to: number): Vector[] {
    return [this.#counts, this.#means, this.#squares].map(array => new NumberVector(array.slice(from, to)))
  }

  merge(states: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    const [counts, means, squares] = states as readonly [NumberVector, NumberVector, NumberVector]
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const group = groups[k] as number
      const added = counts.values[row] as number
      if (added === 0) continue
      const before = this.#counts[group] as number
      const total = before + added
      const apart = (means.values[row] as number) - (this.#means[group] as number)
      this.#counts[group] = total
      this.#means[group] = (this.#means[group] as number) + (apart * added) / total
      this.#squares[group] = (this.#squares[group] as number) + (squares.values[row] as number) + (apart * apart * before * added) / total
    }
  }

  results(from: number, to: number): Vector {
    const values = new Float64Array(to - from)
    const nulls = new Uint8Array(to - from)
    for (let i = 0; i < values.length; i++) {
      const count = this.#counts[from + i] as number
      if (count < 2) nulls[i] = 1
      const variance = (this.#squares[from + i] as number) / (count - 1)
      values[i] = this.#isDeviation ? Math.sqrt(variance) : variance
    }
    return new NumberVector(values, nulls.includes(1) ? nulls : undefined)
  }
}
