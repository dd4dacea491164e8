/**
 * Smallest and largest value that is not null, in the order of `value-order.ts`. Numbers alone are kept as doubles; with the first other value all become values. Texts are compared
 * with the current one where they lie, and become a string only when they take its place.
 */
import { compareNumbers, compareText, compareValues } from '../vector/value-order.ts'
import { AnyVector, NumberVector, type TextVector, type Vector } from '../vector/vector.ts'
import { type Aggregator, grownBytes, grownDoubles } from './aggregator.ts'

export class Extreme implements Aggregator {
  /** 1: the smallest; -1: the largest. */
  readonly #sign: 1 | -1
  #groups = 0
  #numbers: Float64Array = new Float64Array(0)
  /** 1: there was none yet. */
  #empty: Uint8Array = new Uint8Array(0)
  /** In place of the numbers, once there were other values; null: there was none. */
  #values: unknown[] | undefined

  constructor(which: 'min' | 'max') {
    this.#sign = which === 'min' ? 1 : -1
  }

  get bytes(): number {
    return this.#numbers.byteLength + this.#empty.byteLength + 48 * (this.#values?.length ?? 0)
  }

  reserve(groups: number): void {
    if (this.#values !== undefined) while (this.#values.length < groups) this.#values.push(null)
    else {
      this.#numbers = grownDoubles(this.#numbers, groups)
      this.#empty = grownBytes(this.#empty, groups)
      this.#empty.fill(1, this.#groups, groups)
    }
    this.#groups = groups
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    if (input.kind === 'number' && this.#values === undefined) this.#addNumbers(input, rows, count, groups)
    else if (input.kind === 'text') this.#addTexts(input, rows, count, groups)
    else for (let k = 0; k < count; k++) this.#addValue(groups[k] as number, input.get(rows[k] as number))
  }

  states(from: number, to: number): Vector[] {
    return [this.results(from, to)]
  }

  merge(states: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    this.add(states, rows, count, groups)
  }

  results(from: number, to: number): Vector {
    if (this.#values !== undefined) return new AnyVector(this.#values.slice(from, to))
    const nulls = this.#empty.slice(from, to)
    return new NumberVector(this.#numbers.slice(from, to), nulls.includes(1) ? nulls : undefined)
  }

  #addNumbers({ values, nulls }: NumberVector, rows: Int32Array, count: number, groups: Int32Array): void {
    const [numbers, empty] = [this.#numbers, this.#empty]
    const sign = this.#sign
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      if (nulls !== undefined && nulls[row] === 1) continue
      const group = groups[k] as number
      const value = values[row] as number
      if (empty[group] === 1 || sign * compareNumbers(value, numbers[group] as number) < 0) {
        numbers[group] = value
        empty[group] = 0
      }
    }
  }

  #addTexts(input: TextVector, rows: Int32Array, count: number, groups: Int32Array): void {
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      if (input.isNull(row)) continue
      const group = groups[k] as number
      const current = this.#values?.[group]
      if (typeof current === 'string' && this.#sign * compareTextAt(input, row, current) >= 0) continue
      this.#addValue(group, input.get(row))
    }
  }

  #addValue(group: number, value: unknown): void {
    if (value === null) return
    if (this.#values === undefined) {
      const numbers = this.results(0, this.#groups)
      this.#values = Array.from({ length: this.#groups }, (_, i) => numbers.get(i))
      this.#numbers = new Float64Array(0)
      this.#empty = new Uint8Array(0)
    }
    const current = this.#values[group]
    if (current === null || this.#sign * compareValues(value, current) < 0) this.#values[group] = value
  }
}

/** The text of a row, not null, against another. As long as both are ASCII, units are bytes. */
function compareTextAt(vector: TextVector, row: number, other: string): number {
  const { bytes } = vector
  const start = vector.starts[row] as number
  const size = (vector.ends[row] as number) - start
  const common = Math.min(size, other.length)
  for (let i = 0; i < common; i++) {
    const byte = bytes[start + i] as number
    const unit = other.charCodeAt(i)
    if (byte >= 0x80 || unit >= 0x80) return compareText(vector.get(row) as string, other)
    if (byte !== unit) return byte - unit
  }
  return size - other.length
}
