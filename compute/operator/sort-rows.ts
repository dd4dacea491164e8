/** Rows in an order, all of them in memory. Stable: rows that are equal in every criterion stay as they came. */
import { evaluate } from '../expression/evaluate.ts'
import type { SortCriterion } from '../plan/node.ts'
import { ValueRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { compareValues } from '../vector/value-order.ts'
import { type Receiver, sendAll } from './receiver.ts'

export class SortRows implements Receiver {
  readonly isSated = false
  readonly #by: readonly SortCriterion[]
  readonly #next: Receiver
  readonly #rows: unknown[] = []
  /** Values of each criterion, by row. */
  readonly #keys: unknown[][]

  constructor(by: readonly SortCriterion[], next: Receiver) {
    this.#by = by
    this.#next = next
    this.#keys = by.map(() => [])
  }

  receive(chunk: Chunk): void {
    const { data, rows, count } = chunk
    for (let i = 0; i < this.#by.length; i++) {
      const vector = evaluate((this.#by[i] as SortCriterion).expression, chunk)
      const keys = this.#keys[i] as unknown[]
      for (let k = 0; k < count; k++) keys.push(vector.get(rows[k] as number))
    }
    for (let k = 0; k < count; k++) this.#rows.push(data.value(rows[k] as number))
  }

  finish(): void | Promise<void> {
    const order = Array.from(this.#rows.keys()).sort((a, b) => this.#compare(a, b))
    const sent = sendAll(this.#results(order), this.#next)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  *#results(order: readonly number[]): Generator<Chunk> {
    for (let from = 0; from < order.length; from += CHUNK_ROWS) {
      yield new Chunk(new ValueRows(order.slice(from, from + CHUNK_ROWS).map(row => this.#rows[row])))
    }
  }

  #compare(a: number, b: number): number {
    for (let i = 0; i < this.#by.length; i++) {
      const { descending, nullsFirst } = this.#by[i] as SortCriterion
      const keys = this.#keys[i] as unknown[]
      const [x, y] = [keys[a], keys[b]]
      if (x === null || y === null) {
        if (x === y) continue
        return (x === null) === nullsFirst ? -1 : 1
      }
      const order = compareValues(x, y)
      if (order !== 0) return descending ? -order : order
    }
    return a - b
  }
}
