/** The map side of MapReduce: a function emits any number of pairs for each row; a combiner joins the values of a key that one task has, as far as it has room. */
import { GroupTable } from '../group/group-table.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { AnyVector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import type { OperatorContext } from './context.ts'
import { type Receiver, Stage, sendAll } from './receiver.ts'

/** Makes the function of a task, which emits and counts there. */
export type EmitFunction = (emit: (key: unknown, value: unknown) => void, count: OperatorContext['count']) => (row: unknown) => void

/** As `EmitFunction`, of groups and their values. */
export type ReduceFunction = (emit: (row: unknown) => void, count: OperatorContext['count']) => (group: unknown, values: unknown[]) => void

/** Counter of rows that a map function threw at and that were left out. */
export const BAD_RECORDS_COUNTER = 'badRecords'

export interface EmitFunctions {
  readonly map: EmitFunction
  /** Part of the key by which rows meet in one reduce call; undefined: the key. */
  readonly group: ((key: unknown) => unknown) | undefined
  /** Number of the partition of a group; undefined: by its hash. */
  readonly partition: ((group: unknown) => number) | undefined
  /** Rows at which the function throws that may be left out, in one task. */
  readonly badRecordsMax: number
}

export class EmitRows extends Stage {
  readonly #functions: EmitFunctions
  readonly #context: OperatorContext
  readonly #map: (row: unknown) => void
  #keys: unknown[] = []
  #values: unknown[] = []
  #bad = 0
  readonly #emit = (key: unknown, value: unknown): void => {
    this.#keys.push(key)
    this.#values.push(value)
  }

  constructor(functions: EmitFunctions, context: OperatorContext, next: Receiver) {
    super(next)
    this.#functions = functions
    this.#context = context
    this.#map = functions.map(this.#emit, context.count)
  }

  receive(chunk: Chunk): void | Promise<void> {
    return sendAll(this.#chunks(chunk), this.next)
  }

  *#chunks({ data, rows, count }: Chunk): Generator<Chunk> {
    for (let k = 0; k < count; k++) {
      this.#mapOne(data.value(rows[k] as number))
      if (this.#keys.length >= CHUNK_ROWS) yield this.#take()
    }
    if (this.#keys.length > 0) yield this.#take()
  }

  #mapOne(row: unknown): void {
    const { badRecordsMax } = this.#functions
    const before = this.#keys.length
    try {
      this.#map(row)
    } catch (error) {
      if (this.#bad === badRecordsMax) throw error
      this.#bad++
      this.#context.count(BAD_RECORDS_COUNTER, 1)
      // What it has emitted of the row before goes with it.
      this.#keys.length = before
      this.#values.length = before
    }
  }

  #take(): Chunk {
    const [keys, values] = [this.#keys, this.#values]
    this.#keys = []
    this.#values = []
    return pairs(keys, values, this.#functions)
  }
}

/** Names of the columns of pairs. */
export const PAIR_COLUMNS = ['key', 'value', 'group', 'partition'] as const

function pairs(keys: unknown[], values: unknown[], { group, partition }: Pick<EmitFunctions, 'group' | 'partition'>): Chunk {
  const groups = group === undefined ? keys : keys.map(group)
  const ofKeys = vectorOf(keys)
  const ofGroups = group === undefined ? ofKeys : vectorOf(groups)
  const partitions = partition === undefined ? ofGroups : vectorOf(groups.map(partition))
  return new Chunk(new ColumnRows(keys.length, PAIR_COLUMNS, [ofKeys, vectorOf(values), ofGroups, partitions]))
}

export class CombineRows implements Receiver {
  readonly #combine: (key: unknown, values: unknown[]) => unknown
  readonly #functions: Pick<EmitFunctions, 'group' | 'partition'>
  readonly #context: OperatorContext
  readonly #next: Receiver
  #table = new GroupTable(1)
  #values: unknown[] = []
  #groups = new Int32Array(CHUNK_ROWS)

  constructor(
    combine: (key: unknown, values: unknown[]) => unknown,
    functions: Pick<EmitFunctions, 'group' | 'partition'>,
    context: OperatorContext,
    next: Receiver,
  ) {
    this.#combine = combine
    this.#functions = functions
    this.#context = context
    this.#next = next
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    const groups = this.#groups
    const keys = chunk.field('key')
    const values = chunk.field('value')
    this.#table.assign([keys], rows, count, groups)
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      const value = values.get(rows[k] as number)
      if (group < this.#values.length) {
        this.#values[group] = this.#combine(keys.get(rows[k] as number), [this.#values[group], value])
      } else this.#values.push(value)
    }
    if (this.#table.bytes + valueBytes * this.#values.length <= this.#context.memoryBytesMax) return undefined
    return this.#give()
  }

  finish(): void | Promise<void> {
    const sent = this.#give()
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  #give(): void | Promise<void> {
    const [table, values] = [this.#table, this.#values]
    this.#table = new GroupTable(1)
    this.#values = []
    return sendAll(this.#chunks(table, values), this.#next)
  }

  *#chunks(table: GroupTable, values: readonly unknown[]): Generator<Chunk> {
    for (let from = 0; from < values.length; from += CHUNK_ROWS) {
      const to = Math.min(values.length, from + CHUNK_ROWS)
      const [keys] = table.keys(from, to)
      const list = Array.from({ length: to - from }, (_, i) => keys?.get(i))
      yield pairs(list, values.slice(from, to), this.#functions)
    }
  }
}

/** What a combined value costs that is kept, about. */
const valueBytes = 100

/** The reduce side: pairs come in the order of their groups; a function gets those of one group and emits any number of rows. */
export class ReduceGroups extends Stage {
  readonly #reduce: (group: unknown, values: unknown[]) => void
  readonly #isSame: (a: unknown, b: unknown) => boolean
  #group: unknown
  #values: unknown[] | undefined
  #rows: unknown[] = []
  readonly #emit = (row: unknown): void => void this.#rows.push(row)

  constructor(reduce: ReduceFunction, isSame: (a: unknown, b: unknown) => boolean, context: OperatorContext, next: Receiver) {
    super(next)
    this.#isSame = isSame
    this.#reduce = reduce(this.#emit, context.count)
  }

  receive(chunk: Chunk): void | Promise<void> {
    return sendAll(this.#chunks(chunk), this.next)
  }

  override finish(): void | Promise<void> {
    this.#end()
    const sent = sendAll(this.#left(0), this.next)
    return sent === undefined ? this.next.finish() : sent.then(() => this.next.finish())
  }

  *#chunks(chunk: Chunk): Generator<Chunk> {
    const groups = chunk.field('group')
    const values = chunk.field('value')
    for (let k = 0; k < chunk.count; k++) {
      const row = chunk.rows[k] as number
      const group = groups.get(row)
      if (this.#values === undefined || !this.#isSame(group, this.#group)) {
        this.#end()
        this.#group = group
        this.#values = []
        yield* this.#left(CHUNK_ROWS)
      }
      this.#values.push(values.get(row))
    }
  }

  /** The group at hand is whole. */
  #end(): void {
    if (this.#values === undefined) return
    this.#reduce(this.#group, this.#values)
    this.#values = undefined
  }

  *#left(least: number): Generator<Chunk> {
    if (this.#rows.length === 0 || this.#rows.length < least) return
    const rows = this.#rows
    this.#rows = []
    yield new Chunk(new ColumnRows(rows.length, [''], [new AnyVector(rows)]))
  }
}
