/** Rows that are JavaScript values or columns already; `encoded-rows.ts` has those that are still bytes. */
import { valueAtPath } from '../../engine/index.ts'
import type { ChunkData } from '../vector/chunk.ts'
import { AnyVector, nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import { fieldOfValue } from './value-field.ts'

const noBytes = new Uint8Array(0)

/** What user functions return, and what iterables give. The path '' is the row itself. */
export class ValueRows implements ChunkData {
  readonly size: number
  readonly #values: readonly unknown[]
  readonly #meta: ((path: string) => Vector) | undefined
  readonly #fields = new Map<string, Vector>()

  /** `meta` gives what the rows' records have beside their values (`META`). */
  constructor(values: readonly unknown[], meta?: (path: string) => Vector) {
    this.#values = values
    this.size = values.length
    this.#meta = meta
  }

  field(path: string): Vector {
    let vector = this.#fields.get(path)
    if (vector === undefined) {
      vector = path.startsWith('@') ? (this.#meta?.(path) ?? nullVector(this.size)) : this.#make(path)
      this.#fields.set(path, vector)
    }
    return vector
  }

  value(row: number): unknown {
    return this.#values[row]
  }

  #make(path: string): Vector {
    const values = this.#values
    const builder = new VectorBuilder()
    builder.begin(values.length, noBytes)
    if (path === '') for (let i = 0; i < values.length; i++) builder.any(values[i])
    else {
      const names = path.split('.')
      for (let i = 0; i < values.length; i++) builder.any(fieldOfValue(values[i], path, names))
    }
    return builder.finish()
  }
}

/** Rows of named columns: what aggregates and selections give. One called '' is the row itself, and others are what was taken of it. */
export class ColumnRows implements ChunkData {
  readonly size: number
  readonly names: readonly string[]
  readonly vectors: readonly Vector[]
  readonly #deep = new Map<string, Vector>()
  readonly #whole: Vector | undefined

  constructor(size: number, names: readonly string[], vectors: readonly Vector[]) {
    this.size = size
    this.names = names
    this.vectors = vectors
    this.#whole = vectors[names.indexOf('')]
  }

  field(path: string): Vector {
    const at = this.names.indexOf(path)
    if (at >= 0) return this.vectors[at] as Vector
    let vector = this.#deep.get(path)
    if (vector === undefined) {
      vector = this.#inside(path)
      this.#deep.set(path, vector)
    }
    return vector
  }

  value(row: number): unknown {
    const { names, vectors } = this
    if (this.#whole !== undefined) return this.#whole.get(row)
    const value: Record<string, unknown> = {}
    for (let i = 0; i < names.length; i++) value[names[i] as string] = (vectors[i] as Vector).get(row)
    return value
  }

  #inside(path: string): Vector {
    if (path === '') return new AnyVector(Array.from({ length: this.size }, (_, row) => this.value(row)))
    const names = path.split('.')
    const [first = '', ...rest] = names
    const own = this.#whole === undefined ? this.vectors[this.names.indexOf(first)] : undefined
    const outer = this.#whole ?? (rest.length === 0 ? undefined : own)
    if (outer === undefined || path.startsWith('@')) return nullVector(this.size)
    const inside = this.#whole === undefined ? rest : names
    const builder = new VectorBuilder()
    builder.begin(this.size, noBytes)
    const isWhole = this.#whole !== undefined
    for (let row = 0; row < this.size; row++) {
      const value = outer.get(row)
      builder.any(isWhole ? fieldOfValue(value, path, inside) : valueAtPath(value, inside))
    }
    return builder.finish()
  }
}
