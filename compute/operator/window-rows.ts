/**
 * Rows of each key in an order, with functions over them beside their fields: keeps all rows as values, with their criteria and what the functions read, and when the input ends sorts
 * them by key and criteria and computes key by key. Keys come in the order in which they came first; equal rows of a key stay as they came.
 */
import { makeAggregator } from '../aggregate/aggregate.ts'
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import type { NamedExpression, NamedWindow, SortCriterion } from '../plan/node.ts'
import { AddedColumns } from '../rows/added-columns.ts'
import { ValueRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import type { WindowNode } from '../window/window-function.ts'
import { compareByCriteria } from './criteria.ts'
import { type Receiver, sendAll } from './receiver.ts'

export interface WindowShape {
  readonly keys: readonly NamedExpression[]
  readonly by: readonly SortCriterion[]
  readonly columns: readonly NamedWindow[]
  /** Rows of each key that go on, the first; undefined: all. */
  readonly limit: number | undefined
}

/** Values of an expression, by row. */
interface Kept {
  readonly expression: ExpressionNode
  readonly values: unknown[]
}

export class WindowRows implements Receiver {
  readonly #shape: WindowShape
  readonly #next: Receiver
  readonly #table: GroupTable
  readonly #rows: unknown[] = []
  readonly #groups: number[] = []
  /** Of each criterion. */
  readonly #criteria: readonly Kept[]
  /** Of each function, what it reads; the filter of a running aggregate comes last. */
  readonly #inputs: readonly (readonly Kept[])[]

  constructor(shape: WindowShape, next: Receiver) {
    this.#shape = shape
    this.#next = next
    this.#table = new GroupTable(shape.keys.length)
    this.#criteria = shape.by.map(({ expression }) => ({ expression, values: [] }))
    this.#inputs = shape.columns.map(({ window }) => expressionsOf(window).map(expression => ({ expression, values: [] })))
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void {
    const { data, rows, count } = chunk
    const groups = new Int32Array(count)
    this.#table.assign(
      this.#shape.keys.map(({ expression }) => evaluate(expression, chunk)),
      rows,
      count,
      groups,
    )
    for (const { expression, values } of [...this.#criteria, ...this.#inputs.flat()]) {
      const vector = evaluate(expression, chunk)
      for (let k = 0; k < count; k++) values.push(vector.get(rows[k] as number))
    }
    for (let k = 0; k < count; k++) {
      this.#groups.push(groups[k] as number)
      this.#rows.push(data.value(rows[k] as number))
    }
  }

  finish(): void | Promise<void> {
    const sent = sendAll(this.#results(), this.#next)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  *#results(): Generator<Chunk> {
    const groups = this.#groups
    const criteria = this.#criteria.map(({ values }) => values)
    const { by } = this.#shape
    const order = Array.from(groups.keys()).sort(
      (a, b) => (groups[a] as number) - (groups[b] as number) || compareByCriteria(by, criteria, a, b) || a - b,
    )
    const columns = this.#inputs.map(() => new Array<unknown>(order.length))
    const kept: number[] = []
    for (let from = 0; from < order.length; ) {
      let to = from + 1
      while (to < order.length && groups[order[to] as number] === groups[order[from] as number]) to++
      this.#key(order, from, to, columns)
      const end = Math.min(to, from + (this.#shape.limit ?? to))
      for (let i = from; i < end; i++) kept.push(i)
      from = to
    }
    const names = this.#shape.columns.map(({ name }) => name)
    for (let from = 0; from < kept.length; from += CHUNK_ROWS) {
      const places = kept.slice(from, from + CHUNK_ROWS)
      const rows = new ValueRows(places.map(i => this.#rows[order[i] as number]))
      const vectors = columns.map(column => vectorOf(places.map(i => column[i])))
      yield new Chunk(names.length === 0 ? rows : new AddedColumns(rows, names, vectors))
    }
  }

  /** Computes all functions for the rows `order[from, to)`, which are those of one key. */
  #key(order: readonly number[], from: number, to: number, columns: readonly unknown[][]): void {
    for (const [c, { window }] of this.#shape.columns.entries()) {
      const column = columns[c] as unknown[]
      const inputs = this.#inputs[c] as readonly Kept[]
      if (window.name === 'running') runningOf(window, inputs, order, from, to, column)
      else if (window.name === 'lag' || window.name === 'lead') {
        const apart = window.name === 'lag' ? -window.offset : window.offset
        const { values } = inputs[0] as Kept
        for (let i = from; i < to; i++) column[i] = i + apart >= from && i + apart < to ? values[order[i + apart] as number] : null
      } else this.#rank(window.name, order, from, to, column)
    }
  }

  #rank(name: 'rank' | 'denseRank' | 'rowNumber', order: readonly number[], from: number, to: number, column: unknown[]): void {
    const criteria = this.#criteria.map(({ values }) => values)
    let rank = 0
    for (let i = from; i < to; i++) {
      const isEqual = i > from && compareByCriteria(this.#shape.by, criteria, order[i - 1] as number, order[i] as number) === 0
      if (name === 'rowNumber') rank = i - from + 1
      else if (!isEqual) rank = name === 'rank' ? i - from + 1 : rank + 1
      column[i] = rank
    }
  }
}

function expressionsOf(window: WindowNode): ExpressionNode[] {
  if (window.name !== 'running') return 'input' in window ? [window.input] : []
  const { inputs, filter } = window.aggregate
  return filter === undefined ? [...inputs] : [...inputs, filter]
}

const firstGroup = new Int32Array(1)

function runningOf(
  { aggregate }: Extract<WindowNode, { name: 'running' }>,
  kept: readonly Kept[],
  order: readonly number[],
  from: number,
  to: number,
  column: unknown[],
): void {
  const vectors = kept.map(({ values }) => vectorOf(order.slice(from, to).map(row => values[row])))
  const filter = aggregate.filter === undefined ? undefined : vectors.pop()
  const aggregator = makeAggregator(aggregate)
  aggregator.reserve(1)
  const row = new Int32Array(1)
  for (let i = from; i < to; i++) {
    row[0] = i - from
    if (filter === undefined || filter.get(i - from) === true) aggregator.add(vectors, row, 1, firstGroup)
    column[i] = aggregator.results(0, 1).get(0)
  }
}
