/**
 * A chunk: some thousand rows that go through a job together. Its data is as its source has it (encoded records, columns, JavaScript values) and gives a field of all rows
 * as a vector, made when first asked for and then kept, or one row as a value. Which rows still count is a list of row numbers beside it, so that a filter copies nothing.
 *
 * Invariants: `rows[0, count)` ascends and lies within `[0, data.size)`; a chunk is valid until its source is asked for the next one, and whoever keeps rows longer copies them.
 */
import type { Vector } from './vector.ts'

/** Rows in a chunk, usually: what of some ten columns fits the second-level cache. */
export const CHUNK_ROWS = 4096

/** Names of what a record has beside its value; no field of a value begins so. */
export const META = { key: '@key', time: '@time', offset: '@offset', partition: '@partition' } as const

/** The rows of a chunk, all of them. */
export interface ChunkData {
  readonly size: number
  /** A field by its path, or what a record has beside its value (`META`); of rows without it null. */
  field(path: string): Vector
  /** The row as a user's function gets it. */
  value(row: number): unknown
}

let identity = Int32Array.from({ length: CHUNK_ROWS }, (_, i) => i)

/** The numbers 0, 1, 2, …: at least `size` of them, shared. */
export function allRows(size: number): Int32Array {
  if (size > identity.length) identity = Int32Array.from({ length: 2 * size }, (_, i) => i)
  return identity
}

export class Chunk {
  readonly data: ChunkData
  /** Only the first `count`. */
  readonly rows: Int32Array
  readonly count: number

  constructor(data: ChunkData, rows: Int32Array = allRows(data.size), count: number = data.size) {
    this.data = data
    this.rows = rows
    this.count = count
  }

  field(path: string): Vector {
    return this.data.field(path)
  }

  /** The rows that count, as values. */
  values(): unknown[] {
    const { data, rows, count } = this
    const values = new Array<unknown>(count)
    for (let k = 0; k < count; k++) values[k] = data.value(rows[k] as number)
    return values
  }
}
