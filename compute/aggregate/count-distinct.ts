/**
 * How many different values there are, exactly, in the sense of `value-order.ts`. One group table holds the values of all groups, by group and value; while there is one group only, by
 * value alone, which for numbers and texts is much less. Nulls are passed over. States are the values themselves, as lists.
 */
import { GroupTable } from '../group/group-table.ts'
import { allRows } from '../vector/chunk.ts'
import { AnyVector, NumberVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { type Aggregator, grownDoubles } from './aggregator.ts'

export class CountDistinct implements Aggregator {
  /** Of values, or of groups and values. */
  #table = new GroupTable(1)
  #groups = 0
  #counts: Float64Array = new Float64Array(0)
  /** Values by group, once states were asked for. */
  #lists: unknown[][] | undefined

  get bytes(): number {
    return this.#table.bytes + this.#counts.byteLength
  }

  reserve(groups: number): void {
    if (this.#groups <= 1 && groups > 1) this.#byGroup()
    this.#groups = groups
    this.#lists = undefined
    this.#counts = grownDoubles(this.#counts, groups)
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    const counted = new Int32Array(count)
    const groupOf = new Float64Array(this.#table.width === 1 || count === 0 ? 0 : (rows[count - 1] as number) + 1)
    let found = 0
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      if (input.isNull(row)) continue
      counted[found++] = row
      if (groupOf.length > 0) groupOf[row] = groups[k] as number
    }
    this.#count(groupOf, input, counted, found)
  }

  states(from: number, to: number): Vector[] {
    this.#lists ??= this.#valuesByGroup()
    return [new AnyVector(this.#lists.slice(from, to))]
  }

  merge([state]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    const values: unknown[] = []
    const groupOf: number[] = []
    for (let k = 0; k < count; k++) {
      for (const value of (state as Vector).get(rows[k] as number) as readonly unknown[]) {
        values.push(value)
        groupOf.push(groups[k] as number)
      }
    }
    this.#count(Float64Array.from(groupOf), vectorOf(values), allRows(values.length), values.length)
  }

  results(from: number, to: number): Vector {
    return new NumberVector(this.#counts.slice(from, to))
  }

  #count(groupOf: Float64Array, values: Vector, rows: Int32Array, count: number): void {
    this.#lists = undefined
    const isByGroup = this.#table.width === 2
    const numbers = new Int32Array(count)
    let known = this.#table.size
    this.#table.assign(isByGroup ? [new NumberVector(groupOf), values] : [values], rows, count, numbers)
    const counts = this.#counts
    for (let k = 0; k < count; k++) {
      // New entries are numbered in the order in which they appear.
      if (numbers[k] !== known) continue
      known++
      const group = isByGroup ? (groupOf[rows[k] as number] as number) : 0
      counts[group] = (counts[group] as number) + 1
    }
  }

  /** From one group to several: what was counted so far is of group 0. */
  #byGroup(): void {
    const before = this.#table
    this.#table = new GroupTable(2)
    this.#counts = grownDoubles(this.#counts, 1)
    this.#counts[0] = 0
    const [values] = before.keys()
    if (values !== undefined && before.size > 0) this.#count(new Float64Array(before.size), values, allRows(before.size), before.size)
  }

  #valuesByGroup(): unknown[][] {
    const lists: unknown[][] = Array.from({ length: this.#groups }, () => [])
    const vectors = this.#table.keys()
    const values = vectors.at(-1) as Vector
    const groups = vectors.length === 2 ? vectors[0] : undefined
    for (let i = 0; i < this.#table.size; i++) (lists[(groups?.get(i) as number | undefined) ?? 0] as unknown[]).push(values.get(i))
    return lists
  }
}
