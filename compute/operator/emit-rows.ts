/** The map side of MapReduce: a function emits any number of pairs for each row; a combiner joins the values of a key that one task has, as far as it has room. */
import { GroupTable } from '../group/group-table.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { AnyVector, type Vector } from '../vector/vector.ts'
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
    return pairs(vectorOf(keys), values, this.#functions)
  }
}

/** Names of the columns of pairs. */
export const PAIR_COLUMNS = ['key', 'value', 'group', 'partition'] as const

function pairs(keys: Vector, values: unknown[], { group, partition }: Pick<EmitFunctions, 'group' | 'partition'>): Chunk {
  const size = values.length
  const groups = group === undefined ? keys : vectorOf(Array.from({ length: size }, (_, i) => group(keys.get(i))))
  const partitions = partition === undefined ? groups : vectorOf(Array.from({ length: size }, (_, i) => partition(groups.get(i))))
  return new Chunk(new ColumnRows(size, PAIR_COLUMNS, [keys, vectorOf(values), groups, partitions]))
}

/** Pairs are gathered before they are combined: the more there are, the more values of a key one call gets. */
const gatheredPairs = 16 * 1024

export class CombineRows implements Receiver {
  readonly #combine: (key: unknown, values: unknown[]) => unknown
  readonly #functions: Pick<EmitFunctions, 'group' | 'partition'>
  readonly #context: OperatorContext
  readonly #next: Receiver
  #table = new GroupTable(1)
  /** By group, what its values so far have become. */
  #combined: unknown[] = []
  /** Of the gathered pairs, groups and values. */
  #groups = new Int32Array(gatheredPairs + CHUNK_ROWS)
  #values: unknown[] = []
  /** Groups that gathered pairs have, in order of appearance, and a key of each. */
  #present: number[] = []
  #keys: unknown[] = []
  /** By group, how many gathered pairs are its. */
  #counts = new Int32Array(0)

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
    this.#gather(chunk)
    if (this.#values.length < gatheredPairs) return undefined
    this.#combineGathered()
    if (this.#table.bytes + valueBytes * this.#combined.length <= this.#context.memoryBytesMax) return undefined
    return this.#give()
  }

  finish(): void | Promise<void> {
    this.#combineGathered()
    const sent = this.#give()
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  #gather(chunk: Chunk): void {
    const { rows, count } = chunk
    const before = this.#values.length
    if (this.#groups.length < before + count) {
      const grown = new Int32Array(before + count)
      grown.set(this.#groups.subarray(0, before))
      this.#groups = grown
    }
    const groups = this.#groups.subarray(before, before + count)
    const keys = chunk.field('key')
    const values = chunk.field('value')
    this.#table.assign([keys], rows, count, groups)
    if (this.#counts.length < this.#table.size) {
      const grown = new Int32Array(Math.max(CHUNK_ROWS, 2 * this.#table.size))
      grown.set(this.#counts)
      this.#counts = grown
    }
    const counts = this.#counts
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const group = groups[k] as number
      if (counts[group] === 0) {
        this.#present.push(group)
        this.#keys.push(keys.get(row))
      }
      counts[group] = (counts[group] as number) + 1
      this.#values.push(values.get(row))
    }
  }

  /** What the gathered pairs of a group have goes to what it had before, in order, by one call. */
  #combineGathered(): void {
    const [groups, values, counts, combined] = [this.#groups, this.#values, this.#counts, this.#combined]
    const present = this.#present
    // Lists by the place of their group among those present, which the counts make room for now.
    const lists: unknown[][] = new Array<unknown[]>(present.length)
    for (let i = 0; i < present.length; i++) {
      const group = present[i] as number
      // A new group is the next: groups are numbered as they appear.
      lists[i] = group < combined.length ? [combined[group]] : []
      if (group >= combined.length) combined.push(undefined)
      counts[group] = i
    }
    for (let k = 0; k < values.length; k++) (lists[counts[groups[k] as number] as number] as unknown[]).push(values[k])
    for (let i = 0; i < present.length; i++) {
      const group = present[i] as number
      const list = lists[i] as unknown[]
      combined[group] = list.length === 1 ? list[0] : this.#combine(this.#keys[i], list)
      counts[group] = 0
    }
    this.#values = []
    this.#present = []
    this.#keys = []
  }

  #give(): void | Promise<void> {
    const [table, combined] = [this.#table, this.#combined]
    this.#table = new GroupTable(1)
    this.#combined = []
    return sendAll(this.#chunks(table, combined), this.#next)
  }

  *#chunks(table: GroupTable, combined: readonly unknown[]): Generator<Chunk> {
    for (let from = 0; from < combined.length; from += CHUNK_ROWS) {
      const to = Math.min(combined.length, from + CHUNK_ROWS)
      yield pairs(table.keys(from, to)[0] as Vector, combined.slice(from, to), this.#functions)
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
