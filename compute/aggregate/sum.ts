/**
 * Sum and mean. Doubles are summed with Neumaier's compensation (A. Neumaier, 1974), so that the order of rows, which differs between runs and numbers of workers, shows only in
 * the last digits. Bigints are summed exactly, and a sum of bigints alone is a bigint; with numbers among them it is a number. Other values are passed over as null is.
 */
import { AnyVector, NumberVector, nullVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { type Aggregator, grownDoubles } from './aggregator.ts'

/** Numbers of a group's state: the sum, what it lost by rounding, and how many numbers were added. */
const WIDTH = 3

export class Sum implements Aggregator {
  readonly #isMean: boolean
  /** The states, one behind the other, so that one is in one place: of many groups few are in the processor's cache. */
  #states: Float64Array = new Float64Array(0)
  /** Sums of bigints by group, and how many; undefined: there was none. */
  #bigints: Map<number, { sum: bigint; count: number }> | undefined

  constructor(isMean: boolean) {
    this.#isMean = isMean
  }

  get bytes(): number {
    return this.#states.byteLength + 64 * (this.#bigints?.size ?? 0)
  }

  reserve(groups: number): void {
    this.#states = grownDoubles(this.#states, WIDTH * groups)
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input?.kind === 'number') {
      if (input.nulls === undefined) addNumbers(this.#states, input.values, rows, count, groups)
      else
        for (let k = 0; k < count; k++)
          if (!input.isNull(rows[k] as number)) this.#addNumber(groups[k] as number, input.values[rows[k] as number] as number, 0, 1)
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
    const states = this.#states
    const columns = Array.from({ length: WIDTH }, () => new Float64Array(to - from))
    for (const [c, column] of columns.entries()) for (let i = 0; i < to - from; i++) column[i] = states[WIDTH * (from + i) + c] as number
    return [
      ...columns.map(column => new NumberVector(column)),
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
      const at = WIDTH * (from + i)
      const count = this.#states[at + 2] as number
      const sum = this.#states[at] as number
      // Of infinities the compensation is NaN.
      const total = Number.isFinite(sum) ? sum + (this.#states[at + 1] as number) : sum
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
      const count = this.#states[WIDTH * group + 2] as number
      if (bigint === undefined) results.push(number)
      else if (this.#isMean) results.push(((number ?? 0) * count + Number(bigint.sum)) / (count + bigint.count))
      else results.push(number === null ? bigint.sum : number + Number(bigint.sum))
    }
    return new AnyVector(results)
  }

  #addNumber(group: number, value: number, lost: number, count: number): void {
    if (count === 0) return
    const states = this.#states
    const at = WIDTH * group
    const sum = states[at] as number
    const next = sum + value
    states[at] = next
    states[at + 1] = (states[at + 1] as number) + lost + (Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum)
    states[at + 2] = (states[at + 2] as number) + count
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

/** Numbers, none of which is null. */
function addNumbers(states: Float64Array, values: Float64Array, rows: Int32Array, count: number, groups: Int32Array): void {
  for (let k = 0; k < count; k++) {
    const at = WIDTH * (groups[k] as number)
    const value = values[rows[k] as number] as number
    const sum = states[at] as number
    const next = sum + value
    states[at] = next
    states[at + 1] = (states[at + 1] as number) + (Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum)
    states[at + 2] = (states[at + 2] as number) + 1
  }
}
