/**
 * Aggregates by key: numbers the groups of each chunk (`GroupTable`), lets the aggregators add it, and gives the results when the input ends.
 *
 * 'whole' takes rows and gives results. Where several tasks share the work, each is 'partial' for its rows and gives keys and states, and a 'final' one takes those of its
 * share of the keys. What goes from one to the other has columns by number: keys; states of all aggregates; inputs of all aggregates; and `isRow`.
 *
 * While a table of groups fits the processor's cache, adding rows to it costs little and makes fewer of them. Where it does not and most rows are groups of their own, it costs much and makes
 * no fewer: then rows go on as they are, keys and inputs, divided by key, and are added once, by whoever has a share of the keys, whose table is small. 'whole' does the same by way of an exchange of its
 * own, in memory or in a file, which is also what it and 'final' do when states do not fit into memory; each bucket is then a 'final' one's, which may divide it again.
 */
import { assert } from '../../engine/index.ts'
import { type AggregateNode, makeAggregator } from '../aggregate/aggregate.ts'
import type { Aggregator } from '../aggregate/aggregator.ts'
import { evaluate, selectRows } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import { WHOLE_SHIFT } from '../group/hash.ts'
import type { NamedAggregate, NamedExpression } from '../plan/node.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import { BUCKETS } from '../shuffle/exchange.ts'
import { ExchangeReader } from '../shuffle/exchange-reader.ts'
import { ExchangeWriter } from '../shuffle/exchange-writer.ts'
import { allRows, CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { nullVector, sameVector, type Vector } from '../vector/vector.ts'
import type { OperatorContext } from './context.ts'
import { deeper, SPILL_LEVEL_MAX, Unfinished } from './key-spill.ts'
import { type Receiver, sendAll } from './receiver.ts'

export type AggregateStep = 'whole' | 'partial' | 'final'

const oneGroup = new Int32Array(0)

/** Groups that about fit the processor's cache with their states. */
const groupsOfCache = 32 * 1024
/** Fewer rows a group than this: adding them before they are divided by key is not worth while. */
const rowsOfGroupMin = 3
/** Rows of a group, rather, where nothing is known. */
const rowsOfGroupGuess = 8
/** So many rows go on as they are before it is tried again whether there are fewer groups now. */
const rowsAsTheyAre = 1 << 20
const rowsAsTheyAreMax = 1 << 24

/** Where the last task of a stage in this thread was, by its keys: the next one goes on there, rather than find out by itself how many groups there are. */
const passing = new WeakMap<readonly NamedExpression[], { readonly rowsToPass: number; readonly rowsOfPass: number }>()

/** Columns of partial states and rows. */
export function partialWidth(keys: number, aggregates: readonly NamedAggregate[]): number {
  const states = aggregates.reduce((sum, { aggregate }) => sum + makeAggregator(aggregate).states(0, 0).length, keys)
  return states + inputsOf(aggregates.map(({ aggregate }) => aggregate)).expressions.length + 1
}

/** What aggregates read, each field once, and of each aggregate which of them it reads; its filter is one of them. */
interface AggregateInputs {
  readonly expressions: readonly ExpressionNode[]
  readonly places: readonly { readonly inputs: readonly number[]; readonly filter: number }[]
}

function inputsOf(nodes: readonly AggregateNode[]): AggregateInputs {
  const expressions: ExpressionNode[] = []
  const numberOf = (expression: ExpressionNode): number => {
    const same = expressions.findIndex(other => other.kind === 'field' && expression.kind === 'field' && other.path === expression.path)
    return same >= 0 ? same : expressions.push(expression) - 1
  }
  const places = nodes.map(({ inputs, filter }) => ({ inputs: inputs.map(numberOf), filter: filter === undefined ? -1 : numberOf(filter) }))
  return { expressions, places }
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
  /** Of all aggregators together. */
  readonly #stateWidth: number
  readonly #inputs: AggregateInputs
  #groups: Int32Array = oneGroup
  /** Rows that were added to the table at hand. */
  #rowsOfTable = 0
  /** Whether the table at hand goes on although it is larger than the cache. */
  #isKept = false
  /** So many rows go on as they are before the next are added to a table. */
  #rowsToPass = 0
  /** So many do the next time: more from time to time, since what was tried in vain costs. */
  #rowsOfPass = rowsAsTheyAre
  /** States and rows that were given away, of 'whole' and 'final'. */
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
    this.#stateWidth = this.#widths.reduce((sum, width) => sum + width, 0)
    this.#inputs = inputsOf(this.#nodes)
    const before = step === 'partial' ? passing.get(keys) : undefined
    if (before === undefined) return
    this.#rowsToPass = before.rowsToPass
    this.#rowsOfPass = before.rowsOfPass
  }

  /** Bytes held, about. */
  get bytes(): number {
    return this.#aggregators.reduce((bytes, aggregator) => bytes + aggregator.bytes, this.#table?.bytes ?? 0)
  }

  receive(chunk: Chunk): void | Promise<void> {
    if (this.#step === 'final') {
      this.#receiveParts(chunk)
      const { memoryBytesMax, spillLevel = 0 } = this.#context
      const isDivisible = this.#table !== undefined && this.#table.size > 1 && spillLevel < SPILL_LEVEL_MAX
      return isDivisible && this.bytes > memoryBytesMax ? this.#giveStates() : undefined
    }
    if (this.#rowsToPass > 0) {
      this.#rowsToPass -= chunk.count
      return this.#give([this.#asTheyAre(chunk)])
    }
    const keys = this.#keys.map(({ expression }) => evaluate(expression, chunk))
    this.#number(keys, chunk)
    for (let i = 0; i < this.#aggregators.length; i++) {
      const { inputs, filter } = this.#nodes[i] as AggregateNode
      const kept = filter === undefined ? chunk : selectRows(chunk, filter)
      const vectors = inputs.map(input => evaluate(input, kept))
      this.#add(this.#aggregators[i] as Aggregator, vectors, chunk, kept)
    }
    this.#rowsOfTable += chunk.count
    if (this.#table === undefined) return undefined
    const { size } = this.#table
    // Asked once, when the table is about as large as the cache.
    if (size >= groupsOfCache && !this.#isKept) {
      this.#isKept = this.#rowsOfTable >= rowsOfGroupMin * size
      if (this.#isKept) this.#rowsOfPass = rowsAsTheyAre
      if (!this.#isKept) {
        this.#rowsToPass = this.#rowsOfPass
        this.#rowsOfPass = Math.min(2 * this.#rowsOfPass, rowsAsTheyAreMax)
        return this.#giveStates()
      }
    }
    const bytesMax = this.#step === 'whole' ? this.#context.memoryBytesMax / 2 : this.#context.memoryBytesMax
    return this.bytes > bytesMax ? this.#giveStates() : undefined
  }

  /** Rows of partial states and rows as they are, in the order in which they came. */
  #receiveParts(chunk: Chunk): void {
    const flags = chunk.field(String(this.#keys.length + this.#stateWidth + this.#inputs.expressions.length))
    assert(flags.kind === 'boolean', 'parts say whether they are rows')
    const { values, same } = flags
    const { rows, count } = chunk
    for (let from = 0; from < count; ) {
      const flag = values[rows[from] as number]
      let to = same === undefined ? from + 1 : count
      while (to < count && values[rows[to] as number] === flag) to++
      const isRow = flag === 1
      const part = new Chunk(chunk.data, rows.subarray(from, to), to - from)
      this.#number(
        this.#keys.map((_, i) => chunk.field(String(i))),
        part,
      )
      if (isRow) this.#addRows(part)
      else this.#mergeStates(part)
      from = to
    }
  }

  #mergeStates(part: Chunk): void {
    let column = this.#keys.length
    for (let i = 0; i < this.#aggregators.length; i++) {
      const states: Vector[] = []
      for (let w = 0; w < (this.#widths[i] as number); w++) states.push(part.field(String(column++)))
      ;(this.#aggregators[i] as Aggregator).merge(states, part.rows, part.count, this.#groups)
    }
  }

  #addRows(part: Chunk): void {
    const first = this.#keys.length + this.#stateWidth
    for (let i = 0; i < this.#aggregators.length; i++) {
      const { inputs, filter } = this.#inputs.places[i] as AggregateInputs['places'][number]
      const vectors = inputs.map(input => part.field(String(first + input)))
      const kept = filter < 0 ? part : selectRows(part, { kind: 'field', path: String(first + filter) })
      this.#add(this.#aggregators[i] as Aggregator, vectors, part, kept)
    }
  }

  /** Adds the rows of `kept`, some of those of `chunk`, whose groups are at hand. */
  #add(aggregator: Aggregator, inputs: readonly Vector[], chunk: Chunk, kept: Chunk): void {
    if (kept === chunk) {
      aggregator.add(inputs, chunk.rows, chunk.count, this.#groups)
      return
    }
    const groups = new Int32Array(kept.count)
    // Both lists of rows ascend.
    for (let k = 0, all = 0; k < kept.count; all++) if (chunk.rows[all] === kept.rows[k]) groups[k++] = this.#groups[all] as number
    aggregator.add(inputs, kept.rows, kept.count, groups)
  }

  /** Numbers the groups of the rows. */
  #number(keys: readonly Vector[], { rows, count }: Chunk): void {
    if (this.#groups.length < count) this.#groups = new Int32Array(Math.max(count, CHUNK_ROWS))
    if (this.#table === undefined) return
    this.#table.assign(keys, rows, count, this.#groups)
    for (const aggregator of this.#aggregators) aggregator.reserve(this.#table.size)
  }

  finish(): void | Promise<void> {
    if (this.#step === 'partial') passing.set(this.#keys, { rowsToPass: this.#rowsToPass, rowsOfPass: this.#rowsOfPass })
    const sent = this.#spilled === undefined ? sendAll(this.#results(), this.#next) : this.#finishSpilled(this.#spilled)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  /** No groups yet. */
  #begin(): void {
    const { spillLevel = 0 } = this.#context
    // What comes is of one bucket, rather.
    const isOfBucket = this.#step === 'final' && spillLevel === 0
    const shift = isOfBucket ? WHOLE_SHIFT : 0
    const { rowsExpected = 0, memoryBytesMax } = this.#context
    const expected = isOfBucket ? Math.floor(Math.min(groupsOfCache, rowsExpected / rowsOfGroupGuess, memoryBytesMax / 256)) : 0
    this.#table = this.#keys.length === 0 ? undefined : new GroupTable(this.#keys.length, shift, expected)
    this.#aggregators = this.#nodes.map(makeAggregator)
    this.#rowsOfTable = 0
    this.#isKept = false
    if (this.#table === undefined) for (const aggregator of this.#aggregators) aggregator.reserve(1)
  }

  /** Gives away the states at hand. */
  #giveStates(): void | Promise<void> {
    const sent = this.#give(this.#results('partial'))
    this.#begin()
    return sent
  }

  /** To the next stage, or to an exchange of its own. */
  #give(parts: Iterable<Chunk>): void | Promise<void> {
    if (this.#step === 'partial') return sendAll(parts, this.#next)
    const { files, memoryBytesMax, spillLevel = 0 } = this.#context
    const isFirst = this.#spilled === undefined
    this.#spilled ??= new ExchangeWriter({
      columns: this.#partialColumns(),
      keyWidth: this.#keys.length,
      level: spillLevel + 1,
      files,
      path: this.#context.spillPath(),
      memoryBytesMax: memoryBytesMax / 8,
      outputBytesMax: memoryBytesMax / 4,
      isShared: false,
    })
    if (isFirst) this.#context.onEnd(() => this.#spilled?.close())
    for (const part of parts) this.#spilled.receive(part)
    return undefined
  }

  /** The rows as parts. */
  #asTheyAre(chunk: Chunk): Chunk {
    const { data, rows, count } = chunk
    const keys = this.#keys.map(({ expression }) => evaluate(expression, chunk))
    const states = Array.from({ length: this.#stateWidth }, () => nullVector(data.size))
    const inputs = this.#inputs.expressions.map(expression => evaluate(expression, chunk))
    const vectors = [...keys, ...states, ...inputs, sameVector(1, data.size)]
    return new Chunk(new ColumnRows(data.size, this.#partialColumns(), vectors), rows, count)
  }

  /** One bucket of keys after the other. */
  async #finishSpilled(spilled: ExchangeWriter): Promise<void> {
    this.#giveStates()
    spilled.finish()
    const outputs = [spilled.output()]
    const columns = this.#partialColumns()
    const context = deeper(this.#context)
    for (let bucket = 0; bucket < BUCKETS && !this.#next.isSated; bucket++) {
      const final = new AggregateRows(this.#keys, this.#named(), 'final', context, new Unfinished(this.#next))
      const buckets = { from: bucket, to: bucket + 1 }
      const reader = new ExchangeReader({
        outputs,
        buckets,
        columns,
        keyWidth: this.#keys.length,
        level: context.spillLevel,
        files: this.#context.files,
      })
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

  #partialColumns(): string[] {
    return Array.from({ length: this.#keys.length + this.#stateWidth + this.#inputs.expressions.length + 1 }, (_, i) => String(i))
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
    const noRow = Array.from({ length: isPartial ? this.#inputs.expressions.length + 1 : 0 }, () => nullVector(to - from))
    const vectors = [...keys, ...values, ...noRow]
    const names = isPartial ? this.#partialColumns() : this.#names
    return new Chunk(new ColumnRows(to - from, names, vectors), allRows(to - from), to - from)
  }
}
