/**
 * Rows of each key in an order, with functions over them beside their fields. Rows are sorted by key and criteria, in files where memory ends (`SortRows`), and then pass by in that order: what is
 * kept are the values that functions look back at, and for those that look ahead the chunks that still wait for them. Keys come in their order; equal rows of a key stay as they came.
 *
 * Rows are sorted as they are and read again behind the sort. What rows do not have themselves (their record's key or time, a key that a function computed) goes along beside them.
 */
import { makeAggregator } from '../aggregate/aggregate.ts'
import type { Aggregator } from '../aggregate/aggregator.ts'
import { evaluate } from '../expression/evaluate.ts'
import { type ExpressionNode, fieldsRead } from '../expression/node.ts'
import type { NamedExpression, NamedWindow, SortCriterion } from '../plan/node.ts'
import { AddedColumns } from '../rows/added-columns.ts'
import { ColumnRows, ValueRows } from '../rows/chunk-data.ts'
import { Chunk, type ChunkData } from '../vector/chunk.ts'
import { compareValues } from '../vector/value-order.ts'
import { AnyVector, NumberVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import type { WindowNode } from '../window/window-function.ts'
import type { OperatorContext } from './context.ts'
import { type Receiver, Stage, sendAll } from './receiver.ts'
import { SortRows } from './sort-rows.ts'

export interface WindowShape {
  readonly keys: readonly NamedExpression[]
  readonly by: readonly SortCriterion[]
  readonly columns: readonly NamedWindow[]
  /** Rows of each key that go on, the first; undefined: all. */
  readonly limit: number | undefined
}

/** Expressions over the sorted rows. */
interface SortedShape {
  readonly keys: readonly ExpressionNode[]
  readonly by: readonly ExpressionNode[]
  /** Of each function, what it reads; the filter of a running aggregate comes last. */
  readonly inputs: readonly (readonly ExpressionNode[])[]
}

export class WindowRows implements Receiver {
  readonly #sort: SortRows
  readonly #next: Receiver
  /** What goes along with the rows; undefined: nothing, rows have all that is read. */
  readonly #along: readonly ExpressionNode[] | undefined

  constructor(shape: WindowShape, context: OperatorContext, next: Receiver) {
    this.#next = next
    const given: SortedShape = {
      keys: shape.keys.map(({ expression }) => expression),
      by: shape.by.map(({ expression }) => expression),
      inputs: shape.columns.map(({ window }) => expressionsOf(window)),
    }
    const all = [...given.keys, ...given.by, ...given.inputs.flat()]
    const read = new Set<string>()
    for (const expression of all) fieldsRead(expression, read)
    const isAlong = [...read].some(path => path.startsWith('@'))
    this.#along = isAlong ? all : undefined
    const sorted = isAlong ? placesOf(given) : given
    const criteria: SortCriterion[] = sorted.keys.map(expression => ({ expression, descending: false, nullsFirst: false }))
    for (const [i, expression] of sorted.by.entries()) criteria.push({ ...(shape.by[i] as SortCriterion), expression })
    this.#sort = new SortRows(criteria, undefined, context, new SortedWindows(shape, sorted, isAlong, next))
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void {
    this.#sort.receive(this.#along === undefined ? chunk : rowsAlong(chunk, this.#along))
  }

  finish(): void | Promise<void> {
    return this.#sort.finish()
  }
}

/** Each row as a list: the row, then the values of the expressions. */
function rowsAlong({ data, rows, count }: Chunk, expressions: readonly ExpressionNode[]): Chunk {
  const chunk = new Chunk(data, rows, count)
  const vectors = expressions.map(expression => evaluate(expression, chunk))
  const lists = Array.from({ length: count }, (_, k) => {
    const row = rows[k] as number
    return [data.value(row) ?? null, ...vectors.map(vector => vector.get(row))]
  })
  return new Chunk(new ValueRows(lists))
}

/** The shape over such lists. */
function placesOf({ keys, by, inputs }: SortedShape): SortedShape {
  let place = 1
  const next = (): ExpressionNode => ({ kind: 'field', path: String(place++) })
  return { keys: keys.map(next), by: by.map(next), inputs: inputs.map(some => some.map(next)) }
}

function expressionsOf(window: WindowNode): ExpressionNode[] {
  if (window.name !== 'running') return 'input' in window ? [window.input] : []
  const { inputs, filter } = window.aggregate
  return filter === undefined ? [...inputs] : [...inputs, filter]
}

/** A chunk whose functions may still wait for later rows. */
interface Waiting {
  readonly chunk: Chunk
  /** Rows that have come since. */
  since: number
}

class SortedWindows extends Stage {
  readonly #shape: WindowShape
  readonly #expressions: SortedShape
  /** Whether rows are lists, of which the first is the row itself. */
  readonly #isList: boolean
  readonly #functions: readonly Computed[]
  /** How many rows ahead a function looks at most. */
  readonly #ahead: number
  #waiting: Waiting[] = []
  /** Values of keys and criteria of the last row of the chunk before; undefined: there was none. */
  #lastKey: readonly unknown[] | undefined
  #lastBy: readonly unknown[] = []
  /** Rows of the key so far. */
  #place = 0

  constructor(shape: WindowShape, expressions: SortedShape, isList: boolean, next: Receiver) {
    super(next)
    this.#shape = shape
    this.#expressions = expressions
    this.#isList = isList
    this.#functions = shape.columns.map(({ window }) => computedOf(window))
    this.#ahead = Math.max(0, ...shape.columns.map(({ window }) => (window.name === 'lead' ? window.offset : 0)))
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { count } = chunk
    const { limit } = this.#shape
    const keys = this.#expressions.keys.map(key => evaluate(key, chunk))
    const by = this.#expressions.by.map(key => evaluate(key, chunk))
    for (const [i, some] of this.#expressions.inputs.entries()) {
      this.#functions[i]?.begin(
        some.map(input => evaluate(input, chunk)),
        count,
      )
    }
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      const isNewKey = !this.#isAsLast(keys, k, this.#lastKey)
      const isTie = !isNewKey && this.#isAsLast(by, k, this.#lastBy)
      this.#place = isNewKey ? 0 : this.#place + 1
      if (limit === undefined || this.#place < limit) kept[found++] = k
      for (const computed of this.#functions) computed.row(k, isNewKey, isTie)
    }
    this.#lastKey = keys.map(vector => vector.get(count - 1))
    this.#lastBy = by.map(vector => vector.get(count - 1))
    const names = this.#shape.columns.map(({ name }) => name)
    const vectors = this.#functions.map(computed => computed.column())
    const rows = this.#isList ? listRows(chunk) : chunk.data
    const data = names.length === 0 ? rows : new WindowColumns(rows, names, vectors)
    for (const waiting of this.#waiting) waiting.since += count
    this.#waiting.push({ chunk: new Chunk(data, kept, found), since: 0 })
    return sendAll(this.#complete(this.#ahead), this.next)
  }

  override finish(): void | Promise<void> {
    const sent = sendAll(this.#complete(0), this.next)
    return sent === undefined ? this.next.finish() : sent.then(() => this.next.finish())
  }

  /** Whether the row's values are those of the row before, which are `last` for the first of a chunk. */
  #isAsLast(vectors: readonly Vector[], row: number, last: readonly unknown[] | undefined): boolean {
    if (row === 0 && last === undefined) return false
    for (let i = 0; i < vectors.length; i++) {
      const vector = vectors[i] as Vector
      if (row > 0 && vector.kind === 'number' && vector.nulls === undefined && vector.values[row] === vector.values[row - 1]) continue
      const before = row === 0 ? last?.[i] : vector.get(row - 1)
      const value = vector.get(row)
      if (value === before) continue
      if (value === null || before === null || compareValues(value, before) !== 0) return false
    }
    return true
  }

  /** Chunks that `rows` later rows have come for. */
  *#complete(rows: number): Generator<Chunk> {
    for (let first = this.#waiting[0]; first !== undefined && first.since >= rows; first = this.#waiting[0]) {
      this.#waiting.shift()
      if (first.chunk.count > 0) yield first.chunk
    }
  }
}

/** The rows out of lists that have them first. */
function listRows(chunk: Chunk): ChunkData {
  const whole = chunk.field('')
  const rows = Array.from({ length: chunk.data.size }, (_, row) => (whole.get(row) as readonly unknown[])[0])
  return new ColumnRows(rows.length, [''], [new AnyVector(rows)])
}

/** Columns that may be filled later: what they hold is looked at when somebody asks. */
class WindowColumns implements ChunkData {
  readonly size: number
  readonly #rows: ChunkData
  readonly #names: readonly string[]
  readonly #columns: readonly (Float64Array | unknown[])[]
  #data: AddedColumns | undefined

  constructor(rows: ChunkData, names: readonly string[], columns: readonly (Float64Array | unknown[])[]) {
    this.size = rows.size
    this.#rows = rows
    this.#names = names
    this.#columns = columns
  }

  field(path: string): Vector {
    return this.#added().field(path)
  }

  value(row: number): unknown {
    return this.#added().value(row)
  }

  #added(): AddedColumns {
    this.#data ??= new AddedColumns(
      this.#rows,
      this.#names,
      this.#columns.map(column => (column instanceof Float64Array ? new NumberVector(column) : vectorOf(column))),
    )
    return this.#data
  }
}

/** One function over the rows. */
interface Computed {
  /** A chunk of so many rows, and what the function reads of them. */
  begin(inputs: Vector[], count: number): void
  /** The next row: whether it is the first of a key, and whether it is equal to the row before by the criteria. */
  row(row: number, isNewKey: boolean, isTie: boolean): void
  /** Values for the rows of the chunk; those that look ahead are put there later. */
  column(): Float64Array | unknown[]
}

function computedOf(window: WindowNode): Computed {
  switch (window.name) {
    case 'lag':
      return new Lag(window.offset)
    case 'lead':
      return new Lead(window.offset)
    case 'running':
      return new Running(window)
    default:
      return new Rank(window.name)
  }
}

class Rank implements Computed {
  readonly #name: 'rank' | 'denseRank' | 'rowNumber'
  #column = new Float64Array(0)
  #number = 0
  #rank = 0

  constructor(name: 'rank' | 'denseRank' | 'rowNumber') {
    this.#name = name
  }

  begin(_inputs: Vector[], count: number): void {
    this.#column = new Float64Array(count)
  }

  row(row: number, isNewKey: boolean, isTie: boolean): void {
    if (isNewKey) {
      this.#number = 0
      this.#rank = 0
    }
    this.#number++
    if (this.#name === 'rowNumber') this.#rank = this.#number
    else if (!isTie) this.#rank = this.#name === 'rank' ? this.#number : this.#rank + 1
    this.#column[row] = this.#rank
  }

  column(): Float64Array {
    return this.#column
  }
}

/** A value of another row of the key, so many rows away; the last rows of the key are in a ring. */
abstract class Shifted implements Computed {
  readonly #offset: number
  #input: Vector | undefined
  #column: unknown[] = []
  /** Rows of the key so far. */
  #place = 0

  constructor(offset: number) {
    this.#offset = offset
  }

  begin([input]: Vector[], count: number): void {
    this.#input = input
    this.#column = new Array<unknown>(count).fill(null)
  }

  row(row: number, isNewKey: boolean): void {
    if (isNewKey) this.#place = 0
    const value = this.#input?.get(row)
    if (this.#offset === 0) {
      this.#column[row] = value
      return
    }
    this.meet(this.#column, row, value, this.#place % this.#offset, this.#place >= this.#offset)
    this.#place++
  }

  column(): unknown[] {
    return this.#column
  }

  /** The row takes the place `at` of the ring; whether the row that had it before is of the key. */
  protected abstract meet(column: unknown[], row: number, value: unknown, at: number, hasOther: boolean): void
}

class Lag extends Shifted {
  readonly #values: unknown[] = []

  protected meet(column: unknown[], row: number, value: unknown, at: number, hasOther: boolean): void {
    if (hasOther) column[row] = this.#values[at]
    this.#values[at] = value
  }
}

/** Rows in the ring wait for their values. */
class Lead extends Shifted {
  readonly #columns: unknown[][] = []
  readonly #rows: number[] = []

  protected meet(column: unknown[], row: number, value: unknown, at: number, hasOther: boolean): void {
    if (hasOther) (this.#columns[at] as unknown[])[this.#rows[at] as number] = value
    this.#columns[at] = column
    this.#rows[at] = row
  }
}

const firstGroup = new Int32Array(1)

class Running implements Computed {
  readonly #window: Extract<WindowNode, { name: 'running' }>
  #aggregator: Aggregator | undefined
  #inputs: readonly Vector[] = []
  #filter: Vector | undefined
  #column: unknown[] = []
  readonly #row = new Int32Array(1)

  constructor(window: Extract<WindowNode, { name: 'running' }>) {
    this.#window = window
  }

  begin(inputs: Vector[], count: number): void {
    this.#filter = this.#window.aggregate.filter === undefined ? undefined : inputs.at(-1)
    this.#inputs = this.#filter === undefined ? inputs : inputs.slice(0, -1)
    this.#column = new Array<unknown>(count)
  }

  row(row: number, isNewKey: boolean): void {
    if (isNewKey || this.#aggregator === undefined) {
      this.#aggregator = makeAggregator(this.#window.aggregate)
      this.#aggregator.reserve(1)
    }
    this.#row[0] = row
    if (this.#filter === undefined || this.#filter.get(row) === true) this.#aggregator.add(this.#inputs, this.#row, 1, firstGroup)
    this.#column[row] = this.#aggregator.results(0, 1).get(0)
  }

  column(): unknown[] {
    return this.#column
  }
}
