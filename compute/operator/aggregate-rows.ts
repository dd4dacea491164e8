/**
 * Aggregates by key: numbers the groups of each chunk (`GroupTable`), lets the aggregators add it, and gives the results when the input ends.
 *
 * 'whole' takes rows and gives results. Where several tasks share the work, each is 'partial' for its rows and gives keys and states, and a 'final' one takes those of its
 * share of the keys. Columns of partial states are named by number, keys first.
 */
import { type AggregateNode, makeAggregator } from '../aggregate/aggregate.ts'
import type { Aggregator } from '../aggregate/aggregator.ts'
import { evaluate, selectRows } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import type { NamedAggregate, NamedExpression } from '../plan/node.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import { BUCKETS } from '../shuffle/exchange.ts'
import { ExchangeReader } from '../shuffle/exchange-reader.ts'
import { ExchangeWriter } from '../shuffle/exchange-writer.ts'
import { allRows, CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import type { Vector } from '../vector/vector.ts'
import type { OperatorContext } from './context.ts'
import { type Receiver, sendAll } from './receiver.ts'

export type AggregateStep = 'whole' | 'partial' | 'final'

const oneGroup = new Int32Array(0)

/** How many columns partial states have, keys included. */
export function partialWidth(keys: number, aggregates: readonly NamedAggregate[]): number {
  return aggregates.reduce((sum, { aggregate }) => sum + makeAggregator(aggregate).states(0, 0).length, keys)
}

export class AggregateRows implements Receiver {
  readonly isSated = false
  readonly #keys: readonly NamedExpression[]
  readonly #nodes: readonly AggregateNode[]
  readonly #names: readonly string[]
  readonly #step: AggregateStep
  readonly #context: OperatorContext
  readonly #next: Receiver
  /** Undefined without keys: all rows are one group. */
  #table: GroupTable | undefined
  #aggregators: readonly Aggregator[]
  /** Of each aggregator, how many vectors a state has. */
  readonly #widths: readonly number[]
  #groups: Int32Array = oneGroup
  /** Partial states that did not fit into memory. */
  #spilled: ExchangeWriter | undefined

  constructor(
    keys: readonly NamedExpression[],
    aggregates: readonly NamedAggregate[],
    step: AggregateStep,
    context: OperatorContext,
    next: Receiver,
  ) {
    this.#context = context
    this.#keys = keys
    this.#nodes = aggregates.map(({ aggregate }) => aggregate)
    this.#names = [...keys, ...aggregates].map(({ name }) => name)
    this.#step = step
    this.#next = next
    this.#aggregators = []
    this.#begin()
    this.#widths = this.#aggregators.map(aggregator => aggregator.states(0, 0).length)
  }

  /** Bytes held, about. */
  get bytes(): number {
    return this.#aggregators.reduce((bytes, aggregator) => bytes + aggregator.bytes, this.#table?.bytes ?? 0)
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(Math.max(count, CHUNK_ROWS))
    const groups = this.#groups
    const isFinal = this.#step === 'final'
    if (this.#table !== undefined) {
      const keys = this.#keys.map(({ expression }, i) => (isFinal ? chunk.field(String(i)) : evaluate(expression, chunk)))
      this.#table.assign(keys, rows, count, groups)
      for (const aggregator of this.#aggregators) aggregator.reserve(this.#table.size)
    }
    let column = this.#keys.length
    for (let i = 0; i < this.#aggregators.length; i++) {
      const aggregator = this.#aggregators[i] as Aggregator
      if (isFinal) {
        const states: Vector[] = []
        for (let w = 0; w < (this.#widths[i] as number); w++) states.push(chunk.field(String(column++)))
        aggregator.merge(states, rows, count, groups)
      } else {
        const { inputs, filter } = this.#nodes[i] as AggregateNode
        if (filter === undefined) aggregator.add(this.#inputs(inputs, chunk), rows, count, groups)
        else this.#addFiltered(aggregator, inputs, filter, chunk)
      }
    }
    if (this.#table !== undefined && this.bytes > this.#context.memoryBytesMax) return this.#makeRoom()
    return undefined
  }

  #inputs(inputs: readonly ExpressionNode[], chunk: Chunk): Vector[] {
    return inputs.map(input => evaluate(input, chunk))
  }

  #addFiltered(aggregator: Aggregator, inputs: readonly ExpressionNode[], filter: ExpressionNode, chunk: Chunk): void {
    const kept = selectRows(chunk, filter)
    const groups = new Int32Array(kept.count)
    // Both lists of rows ascend.
    for (let k = 0, all = 0; k < kept.count; all++) if (chunk.rows[all] === kept.rows[k]) groups[k++] = this.#groups[all] as number
    aggregator.add(this.#inputs(inputs, kept), kept.rows, kept.count, groups)
  }

  finish(): void | Promise<void> {
    const sent = this.#spilled === undefined ? sendAll(this.#results(), this.#next) : this.#finishSpilled(this.#spilled)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  /** No groups yet. */
  #begin(): void {
    this.#table = this.#keys.length === 0 ? undefined : new GroupTable(this.#keys.length)
    this.#aggregators = this.#nodes.map(makeAggregator)
    if (this.#table === undefined) for (const aggregator of this.#aggregators) aggregator.reserve(1)
  }

  /** Gives away the states at hand: to the next stage, or to a file. A 'final' one has its share of the keys, which fits. */
  #makeRoom(): void | Promise<void> {
    if (this.#step === 'final') return undefined
    if (this.#step === 'partial') {
      const sent = sendAll(this.#results(), this.#next)
      this.#begin()
      return sent
    }
    this.#spill()
    return undefined
  }

  #spill(): void {
    const { files, memoryBytesMax } = this.#context
    const isFirst = this.#spilled === undefined
    this.#spilled ??= new ExchangeWriter({
      columns: this.#stateColumns(),
      keyWidth: this.#keys.length,
      files,
      path: this.#context.spillPath(),
      memoryBytesMax: memoryBytesMax >> 2,
    })
    if (isFirst) this.#context.onEnd(() => this.#spilled?.finish())
    for (const chunk of this.#results('partial')) this.#spilled.receive(chunk)
    this.#begin()
  }

  /** One bucket of keys after the other. */
  async #finishSpilled(spilled: ExchangeWriter): Promise<void> {
    this.#spill()
    spilled.finish()
    const outputs = [spilled.output()]
    const columns = this.#stateColumns()
    for (let bucket = 0; bucket < BUCKETS && !this.#next.isSated; bucket++) {
      const final = new AggregateRows(this.#keys, this.#named(), 'final', this.#context, new Unfinished(this.#next))
      const buckets = { from: bucket, to: bucket + 1 }
      const reader = new ExchangeReader({ outputs, buckets, columns, keyWidth: this.#keys.length, files: this.#context.files })
      try {
        for (let chunk = reader.next(); chunk !== undefined; chunk = reader.next()) await final.receive(chunk)
      } finally {
        reader.close()
      }
      await final.finish()
    }
  }

  #named(): NamedAggregate[] {
    return this.#nodes.map((aggregate, i) => ({ name: this.#names[this.#keys.length + i] as string, aggregate }))
  }

  #stateColumns(): string[] {
    return Array.from({ length: this.#widths.reduce((sum, width) => sum + width, this.#keys.length) }, (_, i) => String(i))
  }

  *#results(step: AggregateStep = this.#step): Generator<Chunk> {
    const size = this.#table?.size ?? 1
    // States are divided among buckets: more rows at a time make larger blocks.
    const rows = step === 'partial' ? 16 * CHUNK_ROWS : CHUNK_ROWS
    for (let from = 0; from < size; from += rows) yield this.#chunk(from, Math.min(size, from + rows), step)
  }

  #chunk(from: number, to: number, step: AggregateStep): Chunk {
    const keys = this.#table?.keys(from, to) ?? []
    const isPartial = step === 'partial'
    const values = this.#aggregators.flatMap(aggregator => (isPartial ? aggregator.states(from, to) : [aggregator.results(from, to)]))
    const vectors = [...keys, ...values]
    const names = isPartial ? this.#stateColumns() : this.#names
    return new Chunk(new ColumnRows(to - from, names, vectors), allRows(to - from), to - from)
  }
}

/** Hands on rows; the end is somebody else's to tell. */
class Unfinished implements Receiver {
  readonly #next: Receiver

  constructor(next: Receiver) {
    this.#next = next
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    return this.#next.receive(chunk)
  }

  finish(): void {}
}
