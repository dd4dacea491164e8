/** `reduce` and `fold` by users' functions: one state a key, rows in the order in which they come. Results are rows of the key's fields and `value`. */
import { evaluate } from '../expression/evaluate.ts'
import { GroupTable } from '../group/group-table.ts'
import type { NamedExpression } from '../plan/node.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { AnyVector } from '../vector/vector.ts'
import { type Receiver, sendAll } from './receiver.ts'

export interface FoldFunctions {
  /** Undefined: the first row is the first state. */
  readonly initial: (() => unknown) | undefined
  readonly fold: (state: unknown, row: unknown) => unknown
  readonly merge: ((a: unknown, b: unknown) => unknown) | undefined
  /** Rows have states of parts as `value`. */
  readonly isMerge?: boolean
}

export class FoldRows implements Receiver {
  readonly isSated = false
  readonly #keys: readonly NamedExpression[]
  readonly #functions: FoldFunctions
  readonly #next: Receiver
  readonly #table: GroupTable | undefined
  readonly #states: unknown[] = []
  #groups = new Int32Array(CHUNK_ROWS)

  constructor(keys: readonly NamedExpression[], functions: FoldFunctions, next: Receiver) {
    this.#keys = keys
    this.#functions = functions
    this.#next = next
    this.#table = keys.length === 0 ? undefined : new GroupTable(keys.length)
  }

  receive(chunk: Chunk): void {
    const { data, rows, count } = chunk
    const { initial, fold, merge, isMerge } = this.#functions
    if (isMerge === true && merge !== undefined) {
      this.#join(chunk, merge)
      return
    }
    const groups = this.#groupsOf(chunk)
    const states = this.#states
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      const value = data.value(rows[k] as number)
      if (group < states.length) states[group] = fold(states[group], value)
      else states.push(initial === undefined ? value : fold(initial(), value))
    }
  }

  #join(chunk: Chunk, merge: (a: unknown, b: unknown) => unknown): void {
    const groups = this.#groupsOf(chunk)
    const parts = chunk.field('value')
    const states = this.#states
    for (let k = 0; k < chunk.count; k++) {
      const group = groups[k] as number
      const part = parts.get(chunk.rows[k] as number)
      if (group < states.length) states[group] = merge(states[group], part)
      else states.push(part)
    }
  }

  #groupsOf(chunk: Chunk): Int32Array {
    const { rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    if (this.#table === undefined) return this.#groups.fill(0, 0, count)
    this.#table.assign(
      this.#keys.map(({ expression }) => evaluate(expression, chunk)),
      rows,
      count,
      this.#groups,
    )
    return this.#groups
  }

  finish(): void | Promise<void> {
    // As an aggregate of no rows, a fold without keys has a result: where it begins. A reduce has none.
    const { initial } = this.#functions
    if (this.#table === undefined && this.#states.length === 0 && initial !== undefined) this.#states.push(initial())
    const sent = sendAll(this.#results(), this.#next)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  *#results(): Generator<Chunk> {
    const names = [...this.#keys.map(({ name }) => name), 'value']
    for (let from = 0; from < this.#states.length; from += CHUNK_ROWS) {
      const to = Math.min(this.#states.length, from + CHUNK_ROWS)
      const vectors = [...(this.#table?.keys(from, to) ?? []), new AnyVector(this.#states.slice(from, to))]
      yield new Chunk(new ColumnRows(to - from, names, vectors))
    }
  }
}
