/**
 * Numbers the groups that rows fall into, 0, 1, 2, … in order of appearance, by the key of a row, one or several fields. Aggregates, joins and `distinct` keep their state by that number in arrays.
 *
 * 1. The values of each field are numbered by a table of its own (`value-table.ts`). Of a key with one field that number is the group's.
 * 2. The numbers of several fields are a tuple; an open-addressing hash table goes from tuples to groups. Fields that have few values, as most in keys of several have, are told apart in a table that fits
 *    the processor's cache, and a text that has a code is not looked at.
 *
 * Invariants: at most half of the slots are used; a group's tuple never changes.
 */
import { assert } from '../../engine/index.ts'
import type { Vector } from '../vector/vector.ts'
import { ValueTable } from './value-table.ts'

const slotsFirst = 1024

export class GroupTable {
  /** Fields of a key. */
  readonly width: number
  readonly #fields: readonly ValueTable[]
  /** Groups so far, of keys with several fields. */
  #tupleCount = 0
  /** Of each group, the numbers of its fields' values. */
  #tuples: Int32Array = new Int32Array(0)
  /** Group + 1 of a slot; 0: free. Length is a power of two. */
  #slots: Int32Array = new Int32Array(0)
  /** As `#tuples`, of the rows at hand. */
  #rowTuples: Int32Array = new Int32Array(0)

  /** `shift`, `expected`: of a `ValueTable`, where keys have one field. */
  constructor(width: number, shift: number = 0, expected: number = 0) {
    assert(width > 0, 'a key has fields', width)
    this.width = width
    this.#fields = Array.from({ length: width }, () => (width === 1 ? new ValueTable(shift, expected) : new ValueTable()))
    if (width > 1) this.#slots = new Int32Array(slotsFirst)
  }

  /** Groups so far. */
  get size(): number {
    return this.width === 1 ? (this.#fields[0] as ValueTable).size : this.#tupleCount
  }

  /** Bytes that the table holds. */
  get bytes(): number {
    let bytes = this.#slots.byteLength + this.#tuples.byteLength
    for (const field of this.#fields) bytes += field.bytes
    return bytes
  }

  /** `groups[k]` becomes the group of row `rows[k]`, new ones included. */
  assign(vectors: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    this.#look(vectors, rows, count, groups, true)
  }

  /** As `assign` for keys that are there; -1 for others. */
  find(vectors: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    this.#look(vectors, rows, count, groups, false)
  }

  /** Says that no key will be added any more; keys of one field may then be found faster. */
  seal(): void {
    if (this.width === 1) (this.#fields[0] as ValueTable).seal()
  }

  /** The key fields of groups `[from, to)`, each a vector of `to - from` rows. Texts refer to the table's memory. */
  keys(from: number = 0, to: number = this.size): Vector[] {
    const { width } = this
    if (width === 1) return [(this.#fields[0] as ValueTable).values(from, to)]
    const numbers = new Int32Array(to - from)
    return this.#fields.map((field, i) => {
      for (let group = from; group < to; group++) numbers[group - from] = this.#tuples[width * group + i] as number
      return field.valuesOf(numbers)
    })
  }

  #look(vectors: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    const { width } = this
    assert(vectors.length === width, 'a key has its fields', vectors.length, width)
    if (width > 1 && this.#rowTuples.length < width * count) this.#rowTuples = new Int32Array(width * count)
    const rowTuples = this.#rowTuples
    for (let i = 0; i < width; i++) {
      const [field, vector] = [this.#fields[i] as ValueTable, vectors[i] as Vector]
      if (adds) field.assign(vector, rows, count, groups)
      else field.find(vector, rows, count, groups)
      if (width > 1) for (let k = 0, at = i; k < count; k++, at += width) rowTuples[at] = groups[k] as number
    }
    if (width > 1) this.#lookTuples(count, groups, adds)
  }

  #lookTuples(count: number, groups: Int32Array, adds: boolean): void {
    const { width } = this
    const rowTuples = this.#rowTuples
    let slots = this.#slots
    let tuples = this.#tuples
    let mask = slots.length - 1
    for (let k = 0; k < count; k++) {
      const at = width * k
      let slot = hashOf(rowTuples, at, width) & mask
      let group = -1
      for (;;) {
        const candidate = (slots[slot] as number) - 1
        if (candidate < 0) break
        const tuple = width * candidate
        let i = 0
        while (i < width && tuples[tuple + i] === rowTuples[at + i]) i++
        if (i === width) {
          group = candidate
          break
        }
        slot = (slot + 1) & mask
      }
      if (group < 0 && adds) {
        group = this.#insert(slot, at)
        slots = this.#slots
        tuples = this.#tuples
        mask = slots.length - 1
      }
      groups[k] = group
    }
  }

  /** The tuple at `at` of the rows at hand becomes a group, with a free slot. */
  #insert(slot: number, at: number): number {
    const { width } = this
    const group = this.#tupleCount++
    const end = width * (group + 1)
    if (end > this.#tuples.length) {
      const grown = new Int32Array(Math.max(1024, 2 * end))
      grown.set(this.#tuples)
      this.#tuples = grown
    }
    for (let i = 0; i < width; i++) this.#tuples[width * group + i] = this.#rowTuples[at + i] as number
    this.#slots[slot] = group + 1
    if (2 * this.#tupleCount > this.#slots.length) this.#grow()
    return group
  }

  #grow(): void {
    const slots = new Int32Array(2 * this.#slots.length)
    const mask = slots.length - 1
    for (let group = 0; group < this.#tupleCount; group++) {
      let slot = hashOf(this.#tuples, this.width * group, this.width) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = group + 1
    }
    this.#slots = slots
  }
}

/** Of a tuple; a field that has no such value makes one that no group has. */
function hashOf(tuples: Int32Array, at: number, width: number): number {
  let h = 0
  for (let i = 0; i < width; i++) {
    h = Math.imul((h ^ (tuples[at + i] as number)) + 0x7f4a7c15, 0x9e3779b1)
    h ^= h >>> 15
  }
  return h
}
