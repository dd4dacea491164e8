/**
 * Sum and mean. Doubles are summed with Neumaier's compensation (A. Neumaier, 1974), so that the order of rows, which differs between runs and numbers of workers, shows only in
 * the last digits. Bigints are summed exactly, and a sum of bigints alone is a bigint; with numbers among them it is a number. Other values are passed over as null is.
 */
import { AnyVector, NumberVector, nullVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { type Aggregator, grownDoubles } from './aggregator.ts'

export class Sum implements Aggregator {
  readonly #isMean: boolean
  #sums: Float64Array = new Float64Array(0)
  /** What the sums lost by rounding. */
  #lost: Float64Array = new Float64Array(0)
  /** Numbers added. */
  #counts: Float64Array = new Float64Array(0)
  /** Sums of bigints by group, and how many; undefined: there was none. */
  #bigints: Map<number, { sum: bigint; count: number }> | undefined

  constructor(isMean: boolean) {
    this.#isMean = isMean
  }

  get bytes(): number {
    return 3 * this.#sums.byteLength + 64 * (this.#bigints?.size ?? 0)
  }

  reserve(groups: number): void {
    this.#sums = grownDoubles(this.#sums, groups)
    this.#lost = grownDoubles(this.#lost, groups)
    this.#counts = grownDoubles(this.#counts, groups)
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input?.kind === 'number') {
      const { values, nulls } = input
      const [sums, lost, counts] = [this.#sums, this.#lost, this.#counts]
      for (let k = 0; k < count; k++) {
        const row = rows[k] as number
        if (nulls !== undefined && nulls[row] === 1) continue
        const group = groups[k] as number
        const value = values[row] as number
        const sum = sums[group] as number
        const next = sum + value
        sums[group] = next
        lost[group] = (lost[group] as number) + (Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum)
        counts[group] = (counts[group] as number) + 1
      }
      return
    }
    if (input?.kind !== 'any') return
    for (let k = 0; k < count; k++) {
      const value = input.values[rows[k] as number]
      const group = groups[k] as number
      if (typeof value === 'number') this.#addNumber(group, value, 0, 1)
      else if (typeof value === 'bigint') this.#addBigint(group, value, 1)
    }
  }

  states(from: number, to: number): Vector[] {
    const all = this.#bigints
    const bigintOf = (group: number): unknown => {
      const bigint = all?.get(group)
      return bigint === undefined ? null : [bigint.sum, bigint.count]
    }
    return [
      new NumberVector(this.#sums.slice(from, to)),
      new NumberVector(this.#lost.slice(from, to)),
      new NumberVector(this.#counts.slice(from, to)),
      all === undefined ? nullVector(to - from) : vectorOf(Array.from({ length: to - from }, (_, i) => bigintOf(from + i))),
    ]
  }

  merge([sums, lost, counts, bigints]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const group = groups[k] as number
      this.#addNumber(
        group,
        (sums as NumberVector).values[row] as number,
        (lost as NumberVector).values[row] as number,
        (counts as NumberVector).values[row] as number,
      )
      if (bigints?.kind !== 'any' || bigints.isNull(row)) continue
      const [sum, added] = bigints.values[row] as [bigint, number]
      this.#addBigint(group, BigInt(sum), added)
    }
  }

  results(from: number, to: number): Vector {
    const size = to - from
    const values = new Float64Array(size)
    let nulls: Uint8Array | undefined
    for (let i = 0; i < size; i++) {
      const count = this.#counts[from + i] as number
      const sum = this.#sums[from + i] as number
      // Of infinities the compensation is NaN.
      const total = Number.isFinite(sum) ? sum + (this.#lost[from + i] as number) : sum
      values[i] = this.#isMean ? total / count : total
      if (count === 0) {
        nulls ??= new Uint8Array(size)
        nulls[i] = 1
      }
    }
    const numbers = new NumberVector(values, nulls)
    return this.#bigints === undefined ? numbers : this.#withBigints(numbers, from, to)
  }

  #withBigints(numbers: NumberVector, from: number, to: number): Vector {
    const results: unknown[] = []
    for (let group = from; group < to; group++) {
      const bigint = this.#bigints?.get(group)
      const number = numbers.get(group - from)
      const count = this.#counts[group] as number
      if (bigint === undefined) results.push(number)
      else if (this.#isMean) results.push(((number ?? 0) * count + Number(bigint.sum)) / (count + bigint.count))
      else results.push(number === null ? bigint.sum : number + Number(bigint.sum))
    }
    return new AnyVector(results)
  }

  #addNumber(group: number, value: number, lost: number, count: number): void {
    if (count === 0) return
    const sum = this.#sums[group] as number
    const next = sum + value
    this.#sums[group] = next
    this.#lost[group] = (this.#lost[group] as number) + lost + (Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum)
    this.#counts[group] = (this.#counts[group] as number) + count
  }

  #addBigint(group: number, value: bigint, count: number): void {
    this.#bigints ??= new Map()
    const state = this.#bigints.get(group)
    if (state === undefined) this.#bigints.set(group, { sum: value, count })
    else {
      state.sum += value
      state.count += count
    }
  }
}
