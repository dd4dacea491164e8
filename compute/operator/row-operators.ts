/** Operators that look at one row, or one chunk, at a time. */

import { evaluate, selectRows } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import type { NamedExpression } from '../plan/node.ts'
import { ColumnRows, ValueRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk, type ChunkData } from '../vector/chunk.ts'
import type { Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { type Receiver, Stage, sendAll } from './receiver.ts'

/** Keeps rows for which an expression is true. */
export class Filter extends Stage {
  readonly #predicate: ExpressionNode

  constructor(predicate: ExpressionNode, next: Receiver) {
    super(next)
    this.#predicate = predicate
  }

  receive(chunk: Chunk): void | Promise<void> {
    const kept = selectRows(chunk, this.#predicate)
    return kept.count === 0 ? undefined : this.next.receive(kept)
  }
}

/** Keeps rows for which a function returns something true. */
export class FilterBy extends Stage {
  readonly #test: (row: unknown) => unknown

  constructor(test: (row: unknown) => unknown, next: Receiver) {
    super(next)
    this.#test = test
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    const test = this.#test
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const answer = test(data.value(row))
      // A promise is true for every row: nobody means that.
      if (answer instanceof Promise) throw new TypeError('predicate must not return a promise; mapAsync waits for one')
      if (answer) kept[found++] = row
    }
    return found === 0 ? undefined : this.next.receive(new Chunk(data, kept, found))
  }
}

/** A function of each row. */
export class MapRows extends Stage {
  readonly #map: (row: unknown) => unknown

  constructor(map: (row: unknown) => unknown, next: Receiver) {
    super(next)
    this.#map = map
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    const map = this.#map
    const values = new Array<unknown>(count)
    for (let k = 0; k < count; k++) values[k] = map(data.value(rows[k] as number))
    return this.next.receive(new Chunk(new ValueRows(values)))
  }
}

/** Any number of rows for each row. */
export class FlatMapRows extends Stage {
  readonly #map: (row: unknown) => Iterable<unknown>

  constructor(map: (row: unknown) => Iterable<unknown>, next: Receiver) {
    super(next)
    this.#map = map
  }

  receive(chunk: Chunk): void | Promise<void> {
    return sendAll(this.#chunks(chunk), this.next)
  }

  *#chunks({ data, rows, count }: Chunk): Generator<Chunk> {
    let values: unknown[] = []
    for (let k = 0; k < count; k++) {
      const mapped = this.#map(data.value(rows[k] as number))
      // A list, the usual answer, needs no iterator.
      if (Array.isArray(mapped)) for (let i = 0; i < mapped.length; i++) values.push(mapped[i])
      else for (const value of mapped) values.push(value)
      if (values.length >= CHUNK_ROWS) {
        yield new Chunk(new ValueRows(values))
        values = []
      }
    }
    if (values.length > 0) yield new Chunk(new ValueRows(values))
  }
}

/** A function of the rows of a chunk. */
export class MapBatch extends Stage {
  readonly #map: (rows: unknown[]) => Iterable<unknown>

  constructor(map: (rows: unknown[]) => Iterable<unknown>, next: Receiver) {
    super(next)
    this.#map = map
  }

  receive(chunk: Chunk): void | Promise<void> {
    const values = Array.from(this.#map(chunk.values()))
    return values.length === 0 ? undefined : this.next.receive(new Chunk(new ValueRows(values)))
  }
}

/** A function that returns a promise, for so many rows at a time; results keep the order of the rows. */
export class MapAsync extends Stage {
  readonly #map: (row: unknown) => PromiseLike<unknown>
  readonly #concurrency: number

  constructor(map: (row: unknown) => PromiseLike<unknown>, concurrency: number, next: Receiver) {
    super(next)
    this.#map = map
    this.#concurrency = concurrency
  }

  async receive(chunk: Chunk): Promise<void> {
    const rows = chunk.values()
    const values = new Array<unknown>(rows.length)
    let at = 0
    const work = async (): Promise<void> => {
      for (let i = at++; i < rows.length; i = at++) values[i] = await this.#map(rows[i])
    }
    // All that have begun are waited for, so that none is left behind when one throws.
    const workers = await Promise.allSettled(Array.from({ length: Math.min(this.#concurrency, rows.length) }, work))
    const failed = workers.find(worker => worker.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    await this.next.receive(new Chunk(new ValueRows(values)))
  }
}

/** Rows of computed fields. */
export class Select extends Stage {
  readonly #columns: readonly NamedExpression[]

  constructor(columns: readonly NamedExpression[], next: Receiver) {
    super(next)
    this.#columns = columns
  }

  receive(chunk: Chunk): void | Promise<void> {
    const vectors = this.#columns.map(({ expression }) => evaluate(expression, chunk))
    const data = new ColumnRows(
      chunk.data.size,
      this.#columns.map(({ name }) => name),
      vectors,
    )
    return this.next.receive(new Chunk(data, chunk.rows, chunk.count))
  }
}

/** Name of the field with the key that a function computed. */
export const GROUP_FIELD = '@group'

/** Rows as they are, and a key beside each. */
export class KeyRows extends Stage {
  readonly #key: (row: unknown) => unknown

  constructor(key: (row: unknown) => unknown, next: Receiver) {
    super(next)
    this.#key = key
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    const key = this.#key
    const keys = new Array<unknown>(data.size)
    if (count < data.size) keys.fill(null)
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      keys[row] = key(data.value(row))
    }
    return this.next.receive(new Chunk(new KeyedRows(data, vectorOf(keys)), rows, count))
  }
}

class KeyedRows implements ChunkData {
  readonly size: number
  readonly #data: ChunkData
  readonly #keys: Vector

  constructor(data: ChunkData, keys: Vector) {
    this.size = data.size
    this.#data = data
    this.#keys = keys
  }

  field(path: string): Vector {
    return path === GROUP_FIELD ? this.#keys : this.#data.field(path)
  }

  value(row: number): unknown {
    return this.#data.value(row)
  }
}

/** Rows `[offset, offset + count)` of what comes. */
export class Limit extends Stage {
  #skip: number
  #left: number

  constructor(count: number, offset: number, next: Receiver) {
    super(next)
    this.#skip = offset
    this.#left = count
  }

  override get isSated(): boolean {
    return this.#left === 0 || this.next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    const skipped = Math.min(this.#skip, chunk.count)
    const taken = Math.min(this.#left, chunk.count - skipped)
    this.#skip -= skipped
    this.#left -= taken
    if (taken === 0) return undefined
    return this.next.receive(new Chunk(chunk.data, chunk.rows.subarray(skipped, skipped + taken), taken))
  }
}

/** Each row with the same chance, by random numbers from a seed (mulberry32). */
export class Sample extends Stage {
  readonly #fraction: number
  #state: number

  constructor(fraction: number, seed: number, next: Receiver) {
    super(next)
    this.#fraction = fraction
    this.#state = seed >>> 0
  }

  receive(chunk: Chunk): void | Promise<void> {
    const kept = new Int32Array(chunk.count)
    let found = 0
    for (let k = 0; k < chunk.count; k++) if (this.#random() < this.#fraction) kept[found++] = chunk.rows[k] as number
    return found === 0 ? undefined : this.next.receive(new Chunk(chunk.data, kept, found))
  }

  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Several inputs into one: the end is when all have ended. */
export class Union implements Receiver {
  readonly #next: Receiver
  #open: number

  constructor(inputs: number, next: Receiver) {
    this.#next = next
    this.#open = inputs
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    return this.#next.receive(chunk)
  }

  finish(): void | Promise<void> {
    return --this.#open === 0 ? this.#next.finish() : undefined
  }
}
