/**
 * What must be found, computed from the source alone while it is read: of each key how many rows, the sum of their values and a checksum over them in their
 * order. Every step compares what it got with this.
 */

import { compare, compareNumbers } from './check.ts'
import type { Columns, DataRow, JobInput, KeyedRow } from './input.ts'

/** Rows of one key. */
export interface Totals {
  readonly rows: number
  /** Of the values. */
  readonly sum: number
}

/** Of some rows by their keys, each key's in their order. */
export class Tally {
  rows = 0
  readonly #columns: Columns
  readonly #keys: Map<string, { rows: number; sum: number; checksum: number }> = new Map()

  constructor(columns: Columns) {
    this.#columns = columns
  }

  get keys(): ReadonlyMap<string, Totals> {
    return this.#keys
  }

  /** `time` is checked only where it is given. */
  add(key: string, row: DataRow, time: number = 0): void {
    const { by, value } = this.#columns
    let entry = this.#keys.get(key)
    if (entry === undefined) this.#keys.set(key, (entry = { rows: 0, sum: 0, checksum: 0 }))
    this.rows++
    entry.rows++
    let sum = mix(entry.checksum, time / 1000)
    if (value !== undefined) {
      const number = row[value] as number | null
      entry.sum += number ?? 0
      sum = mix(sum, number ?? -1)
    }
    for (const column of by) {
      const text = String(row[column])
      for (let i = 0; i < text.length; i++) sum = mix(sum, text.charCodeAt(i))
    }
    entry.checksum = sum
  }

  /** Throws at the first difference. */
  compareTo(what: string, expected: Tally): void {
    compare(`${what}: keys`, this.#keys.size, expected.#keys.size)
    for (const [key, { rows, checksum }] of expected.#keys) {
      const found = this.#keys.get(key)
      compare(`${what}: rows of ${key}`, found?.rows, rows)
      compare(`${what}: checksum of the rows of ${key}`, found?.checksum, checksum)
    }
  }
}

function mix(sum: number, value: number): number {
  return Math.imul(sum ^ value, 0x01000193) >>> 0
}

const timesEvery = 20

export class Model {
  /** Of all rows. */
  readonly all: Tally
  /** Of the rows that the store keeps. */
  readonly kept: Tally
  /** Times of some records, evenly spread. */
  readonly times: number[] = []
  /** Of the rows that the store keeps, how many have a value for each index. */
  readonly indexed: Map<string, number> = new Map()
  /** Rows that were taken out of the store, by key. */
  readonly removed: Map<string, number> = new Map()
  readonly input: JobInput

  constructor(input: JobInput) {
    this.input = input
    this.all = new Tally(input.columns)
    this.kept = new Tally(input.columns)
  }

  /** Names of the indexes of the store of rows: all columns that have a meaning but the key and the time. */
  get indexes(): readonly string[] {
    const { by, value } = this.input.columns
    return value === undefined ? by : [...by, value]
  }

  add({ key, row, time }: KeyedRow): void {
    this.all.add(key, row, time)
    if (time !== undefined && this.all.rows % timesEvery === 1) this.times.push(time)
    if (!this.input.keeps(row)) return
    this.kept.add(key, row)
    for (const index of this.indexes) {
      if (isIndexed(row[index])) this.indexed.set(index, (this.indexed.get(index) ?? 0) + 1)
    }
  }

  compareTotals(what: string, found: ReadonlyMap<string, Totals>): void {
    compare(`${what}: keys`, found.size, this.all.keys.size)
    for (const [key, { rows, sum }] of this.all.keys) {
      compare(`${what}: rows of ${key}`, found.get(key)?.rows, rows)
      compareNumbers(`${what}: sum of ${key}`, found.get(key)?.sum, sum)
    }
  }
}

/** What an index has entries for. */
function isIndexed(value: unknown): boolean {
  return value === null || value instanceof Date || ['string', 'number', 'boolean', 'bigint'].includes(typeof value)
}
