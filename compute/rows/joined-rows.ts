/**
 * Rows of a join: the fields of a left and of a right row, either of which may be missing. A field that both have is the left row's unless that is null, then the right row's, so that
 * keys of one name are there on both sides of an outer join; what lies deeper goes with its outermost field.
 */
import type { ChunkData } from '../vector/chunk.ts'
import { gatherVector } from '../vector/column.ts'
import { AnyVector, isNothing, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { fieldOfValue } from './value-field.ts'

/** The right rows of a join, all of them. */
export interface KeptRows {
  /** The field of these rows, null for -1; undefined where it is not known to be wanted. */
  gather(path: string, rows: Int32Array, count: number): Vector | undefined
  /** The rows as values; empty when nobody wants them. */
  readonly values: readonly unknown[]
}

export class JoinedRows implements ChunkData {
  readonly size: number
  readonly #left: ChunkData
  readonly #right: KeptRows
  /** Numbers of the left rows, -1: none; undefined: all of them. */
  readonly #leftRows: Int32Array | undefined
  readonly #rightRows: Int32Array
  readonly #fields = new Map<string, Vector>()

  constructor(size: number, left: ChunkData, leftRows: Int32Array | undefined, right: KeptRows, rightRows: Int32Array) {
    this.size = size
    this.#left = left
    this.#leftRows = leftRows
    this.#right = right
    this.#rightRows = rightRows
  }

  field(path: string): Vector {
    let vector = this.#fields.get(path)
    if (vector === undefined) {
      vector = path === '' ? new AnyVector(Array.from({ length: this.size }, (_, row) => this.value(row))) : this.#make(path)
      this.#fields.set(path, vector)
    }
    return vector
  }

  value(row: number): unknown {
    const left = this.#leftRows === undefined ? row : (this.#leftRows[row] as number)
    const right = this.#rightRows[row] as number
    const leftValue = left < 0 ? undefined : this.#left.value(left)
    return mergedRow(leftValue, right < 0 ? undefined : this.#right.values[right])
  }

  #make(path: string): Vector {
    const left = this.#ofLeft(path)
    if (path.startsWith('@')) return left
    const point = path.indexOf('.')
    const outer = point < 0 ? left : this.#ofLeft(path.slice(0, point))
    // Of a name with points in it there is nothing further out.
    if (outer !== left && isNothing(outer) && !isNothing(left)) return this.#either(left, left, path)
    return this.#either(left, outer, path)
  }

  /** The left field, or where `outer` is null the right one. */
  #either(left: Vector, outer: Vector, path: string): Vector {
    const nulls = nullsOf(outer, this.size)
    // Most fields are of one side alone.
    if (nulls === 0) return left
    const right = this.#ofRight(path)
    if (nulls === this.size) return right
    return vectorOf(Array.from({ length: this.size }, (_, row) => (outer.isNull(row) ? right : left).get(row)))
  }

  #ofLeft(path: string): Vector {
    const vector = this.#left.field(path)
    return this.#leftRows === undefined ? vector : gatherVector(vector, this.#leftRows, this.size)
  }

  #ofRight(path: string): Vector {
    const known = this.#right.gather(path, this.#rightRows, this.size)
    if (known !== undefined) return known
    const names = path.split('.')
    const { values } = this.#right
    return vectorOf(Array.from(this.#rightRows.subarray(0, this.size), row => (row < 0 ? null : fieldOfValue(values[row], path, names))))
  }
}

/** How many of the rows are null. */
function nullsOf(vector: Vector, size: number): number {
  if (isNothing(vector)) return size
  if (vector.kind === 'number' && vector.nulls === undefined) return 0
  let nulls = 0
  for (let row = 0; row < size; row++) if (vector.isNull(row)) nulls++
  return nulls
}

/** Both rows as one, by the rule above. TypeError for two rows that are not both objects. */
function mergedRow(left: unknown, right: unknown): unknown {
  if (left === undefined) return right
  if (right === undefined) return left
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    throw new TypeError('rows that are joined must be objects: give the join a function that combines others')
  }
  const merged: Record<string, unknown> = { ...left }
  for (const [name, value] of Object.entries(right)) merged[name] ??= value
  return merged
}
