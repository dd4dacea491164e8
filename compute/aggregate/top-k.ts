/**
 * The values of the rows that are largest in the order of another expression, as a list, largest first; of rows that are equal there those that came first, parts in the order
 * in which they are merged. Rows without the value or without what they are ordered by are passed over.
 */
import { compareValues } from '../vector/value-order.ts'
import { AnyVector, type Vector } from '../vector/vector.ts'
import type { Aggregator } from './aggregator.ts'

interface Top {
  readonly orders: unknown[]
  readonly values: unknown[]
}

export class TopK implements Aggregator {
  readonly #count: number
  readonly #tops: Top[] = []
  #values = 0

  constructor(count: number) {
    this.#count = count
  }

  get bytes(): number {
    return 128 * this.#tops.length + 64 * this.#values
  }

  reserve(groups: number): void {
    while (this.#tops.length < groups) this.#tops.push({ orders: [], values: [] })
  }

  /** Inputs: what rows are ordered by, and the value. */
  add([by, input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (by === undefined || input === undefined) return
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const order = by.get(row)
      if (order === null || input.isNull(row)) continue
      const top = this.#tops[groups[k] as number] as Top
      if (this.#fits(top, order)) this.#insert(top, order, input.get(row))
    }
  }

  states(from: number, to: number): Vector[] {
    const tops = this.#tops.slice(from, to)
    return [new AnyVector(tops.map(top => top.orders)), new AnyVector(tops.map(top => top.values))]
  }

  merge([orders, values]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    for (let k = 0; k < count; k++) {
      const top = this.#tops[groups[k] as number] as Top
      const added = (orders as Vector).get(rows[k] as number) as readonly unknown[]
      const addedValues = (values as Vector).get(rows[k] as number) as readonly unknown[]
      for (let i = 0; i < added.length && this.#fits(top, added[i]); i++) this.#insert(top, added[i], addedValues[i])
    }
  }

  results(from: number, to: number): Vector {
    return new AnyVector(this.#tops.slice(from, to).map(({ values }) => [...values]))
  }

  #fits({ orders }: Top, order: unknown): boolean {
    return orders.length < this.#count || (this.#count > 0 && compareValues(order, orders.at(-1)) > 0)
  }

  #insert({ orders, values }: Top, order: unknown, value: unknown): void {
    let [low, high] = [0, orders.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareValues(orders[middle], order) >= 0) low = middle + 1
      else high = middle
    }
    orders.splice(low, 0, order)
    values.splice(low, 0, value)
    if (orders.length > this.#count) {
      orders.pop()
      values.pop()
    } else this.#values++
  }
}
