/**
 * Rows in an order. Stable: rows that are equal in every criterion stay as they came.
 *
 * 1. Each row's key is encoded (`sort-key.ts`); rows are kept as they came, bytes as bytes.
 * 2. When that is more than the memory that the operator has, or more rows than are sorted at a time, they go in order to a file, as a run.
 * 3. At the end the rows at hand are given in order, or, when there are runs, all runs are merged.
 *
 * Where only so many rows are wanted, the first, the others are dropped now and then, and rows that would come behind the last of these are not kept from then on.
 */
import { evaluate } from '../expression/evaluate.ts'
import type { SortCriterion } from '../plan/node.ts'
import { GatheredRows } from '../rows/gathered-rows.ts'
import type { StoredBlock } from '../shuffle/exchange.ts'
import { compareSortKeys, SortKeyEncoder } from '../sort/sort-key.ts'
import { SORT_ROWS_MAX, sortOrder } from '../sort/sort-order.ts'
import { RunCursor, RunFile } from '../sort/sorted-run.ts'
import { allRows, CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { copyRows } from '../vector/copy-rows.ts'
import { TextVector, type Vector } from '../vector/vector.ts'
import type { OperatorContext } from './context.ts'
import { type Receiver, sendAll } from './receiver.ts'

/** Rows in a block of a run: each run has one in memory while all are merged. */
const runBlockRows = 512
/** Rows are dropped when there are so many times those that are wanted, and no fewer than this. */
const surplusFactor = 4
const surplusRowsMin = 8192

export class SortRows implements Receiver {
  readonly isSated = false
  readonly #by: readonly SortCriterion[]
  readonly #first: number
  readonly #context: OperatorContext
  readonly #next: Receiver
  readonly #encoder = new SortKeyEncoder()
  #keys: Uint8Array = new Uint8Array(64 * 1024)
  /** Where keys begin, and behind the last where it ends. */
  #starts: Int32Array = new Int32Array(1024)
  /** Of each row, the vector that it is in, and where. */
  #vectors: Vector[] = []
  #rows: Int32Array = new Int32Array(1024)
  #count = 0
  #rowBytes = 0
  readonly #runs: StoredBlock[][] = []
  #file: RunFile | undefined
  /** The least key of which as many rows as are wanted were at or before it. */
  #bound: Uint8Array | undefined

  /** `first`: so many rows are wanted; undefined: all. */
  constructor(by: readonly SortCriterion[], first: number | undefined, context: OperatorContext, next: Receiver) {
    this.#by = by
    this.#first = first ?? Number.POSITIVE_INFINITY
    this.#context = context
    this.#next = next
  }

  receive(chunk: Chunk): void {
    const criteria = this.#by.map(({ expression }) => evaluate(expression, chunk))
    const { rows, count } = this.#bound === undefined ? chunk : this.#wanted(chunk, criteria, this.#bound)
    if (count === 0) return
    const { vector, bytes } = copyRows(chunk.field(''), rows, count)
    this.#rowBytes += bytes
    for (let k = 0; k < count; k++) {
      const size = this.#encoder.encode(criteria, this.#by, rows[k] as number)
      this.#add(this.#encoder.bytes, size, vector, k)
      if (this.#count === SORT_ROWS_MAX) this.#spill()
    }
    if (this.#count >= Math.max(surplusFactor * this.#first, surplusRowsMin)) this.#dropSurplus()
    if (this.#rowBytes + this.#keys.length + 24 * this.#count > this.#context.memoryBytesMax) this.#spill()
  }

  /** Rows that come before those that are there and are enough. */
  #wanted({ data, rows, count }: Chunk, criteria: readonly Vector[], bound: Uint8Array): Chunk {
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      const size = this.#encoder.encode(criteria, this.#by, rows[k] as number)
      kept[found] = rows[k] as number
      if (compareSortKeys(this.#encoder.bytes, 0, size, bound, 0, bound.length) < 0) found++
    }
    return new Chunk(data, kept, found)
  }

  /** The numbers of the rows at hand in order, as far as they are wanted. */
  #order(): Int32Array {
    const order = sortOrder(this.#keys, this.#starts, this.#count)
    if (order.length < this.#first) return order
    const last = order[this.#first - 1] as number
    const key = this.#keys.slice(this.#starts[last] as number, this.#starts[last + 1] as number)
    const bound = this.#bound
    if (bound === undefined || compareSortKeys(key, 0, key.length, bound, 0, bound.length) < 0) this.#bound = key
    return order.subarray(0, this.#first)
  }

  /** Only what is wanted of the rows at hand stays. */
  #dropSurplus(): void {
    const order = this.#order()
    const { vector, bytes } = copyRows(this.#gather(order).field(''), allRows(order.length), order.length)
    const [keys, starts] = [this.#keys, this.#starts.slice(0, this.#count + 1)]
    const kept = Array.from(order, row => keys.slice(starts[row] as number, starts[row + 1] as number))
    this.#vectors = []
    this.#count = 0
    this.#rowBytes = bytes
    for (const [row, key] of kept.entries()) this.#add(key, key.length, vector, row)
  }

  finish(): void | Promise<void> {
    if (this.#runs.length > 0) this.#spill()
    const sent = sendAll(this.#runs.length > 0 ? this.#merged() : this.#sorted(), this.#next)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  #add(bytes: Uint8Array, size: number, vector: Vector, row: number): void {
    const i = this.#count++
    if (i + 1 >= this.#starts.length) {
      this.#starts = grown(this.#starts)
      this.#rows = grown(this.#rows)
    }
    const at = this.#starts[i] as number
    if (at + size > this.#keys.length) {
      const keys = new Uint8Array(Math.max(2 * this.#keys.length, at + size))
      keys.set(this.#keys.subarray(0, at))
      this.#keys = keys
    }
    const keys = this.#keys
    if (size <= 16) for (let b = 0; b < size; b++) keys[at + b] = bytes[b] as number
    else keys.set(bytes.subarray(0, size), at)
    this.#starts[i + 1] = at + size
    this.#vectors.push(vector)
    this.#rows[i] = row
  }

  *#sorted(): Generator<Chunk> {
    const order = this.#order()
    for (let from = 0; from < order.length; from += CHUNK_ROWS) {
      yield new Chunk(this.#gather(order.subarray(from, Math.min(order.length, from + CHUNK_ROWS))))
    }
  }

  #gather(order: Int32Array): GatheredRows {
    const vectors = new Array<Vector>(order.length)
    const rows = new Int32Array(order.length)
    for (let i = 0; i < order.length; i++) {
      vectors[i] = this.#vectors[order[i] as number] as Vector
      rows[i] = this.#rows[order[i] as number] as number
    }
    return new GatheredRows(vectors, rows)
  }

  /** What is in memory becomes a run. */
  #spill(): void {
    if (this.#count === 0) return
    if (this.#file === undefined) {
      const file = new RunFile(this.#context.files, this.#context.spillPath())
      this.#context.onEnd(() => file.close())
      this.#file = file
    }
    const order = this.#order()
    const blocks: StoredBlock[] = []
    for (let from = 0; from < order.length; from += runBlockRows) {
      const part = order.subarray(from, Math.min(order.length, from + runBlockRows))
      const starts = part.map(row => this.#starts[row] as number)
      const ends = part.map(row => this.#starts[row + 1] as number)
      blocks.push(this.#file.write(new TextVector(this.#keys, starts, ends), this.#gather(part).field(''), part.length))
    }
    this.#runs.push(blocks)
    this.#count = 0
    this.#rowBytes = 0
    this.#vectors = []
  }

  *#merged(): Generator<Chunk> {
    const file = this.#file as RunFile
    // A heap by the key at hand, then by the number of the run.
    const heap: { readonly cursor: RunCursor; readonly run: number }[] = []
    for (const [run, blocks] of this.#runs.entries()) {
      heap.push({ cursor: new RunCursor(file, blocks), run })
      siftUp(heap, heap.length - 1)
    }
    let vectors: Vector[] = []
    let rows = new Int32Array(CHUNK_ROWS)
    while (heap.length > 0) {
      const { cursor } = heap[0] as { cursor: RunCursor }
      rows[vectors.length] = cursor.at
      vectors.push(cursor.rows)
      cursor.step()
      if (cursor.isEnded) {
        const last = heap.pop()
        if (last !== undefined && heap.length > 0) heap[0] = last
      }
      siftDown(heap, 0)
      if (vectors.length < CHUNK_ROWS) continue
      yield new Chunk(new GatheredRows(vectors, rows))
      vectors = []
      rows = new Int32Array(CHUNK_ROWS)
    }
    if (vectors.length > 0) yield new Chunk(new GatheredRows(vectors, rows))
  }
}

interface Entry {
  readonly cursor: RunCursor
  readonly run: number
}

function isBefore(a: Entry, b: Entry): boolean {
  const [x, y] = [a.cursor, b.cursor]
  const order = compareSortKeys(
    x.keys.bytes,
    x.keys.starts[x.at] as number,
    x.keys.ends[x.at] as number,
    y.keys.bytes,
    y.keys.starts[y.at] as number,
    y.keys.ends[y.at] as number,
  )
  return order !== 0 ? order < 0 : a.run < b.run
}

function siftUp(heap: Entry[], from: number): void {
  for (let at = from; at > 0; ) {
    const parent = (at - 1) >> 1
    const [child, above] = [heap[at] as Entry, heap[parent] as Entry]
    if (!isBefore(child, above)) return
    heap[at] = above
    heap[parent] = child
    at = parent
  }
}

function siftDown(heap: Entry[], from: number): void {
  for (let at = from; ; ) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && isBefore(heap[child] as Entry, heap[least] as Entry)) least = child
    }
    if (least === at) return
    const entry = heap[at] as Entry
    heap[at] = heap[least] as Entry
    heap[least] = entry
    at = least
  }
}

function grown(ints: Int32Array): Int32Array {
  const more = new Int32Array(2 * ints.length)
  more.set(ints)
  return more
}
