/** Rows as they are, with fields beside their own: what `withColumns` and the functions of windows give. A field that is added hides one of the same name. */
import { valueAtPath } from '../../engine/index.ts'
import type { ChunkData } from '../vector/chunk.ts'
import { AnyVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'

export class AddedColumns implements ChunkData {
  readonly size: number
  readonly #rows: ChunkData
  readonly #names: readonly string[]
  readonly #vectors: readonly Vector[]

  constructor(rows: ChunkData, names: readonly string[], vectors: readonly Vector[]) {
    this.size = rows.size
    this.#rows = rows
    this.#names = names
    this.#vectors = vectors
  }

  field(path: string): Vector {
    if (path === '') return new AnyVector(Array.from({ length: this.size }, (_, row) => this.value(row)))
    const own = this.#names.indexOf(path)
    if (own >= 0) return this.#vectors[own] as Vector
    const [first = '', ...rest] = path.split('.')
    const outer = this.#vectors[this.#names.indexOf(first)]
    if (outer === undefined) return this.#rows.field(path)
    return vectorOf(Array.from({ length: this.size }, (_, row) => valueAtPath(outer.get(row), rest)))
  }

  value(row: number): unknown {
    const own = this.#rows.value(row)
    const value: Record<string, unknown> = typeof own === 'object' ? { ...own } : {}
    for (let i = 0; i < this.#names.length; i++) value[this.#names[i] as string] = (this.#vectors[i] as Vector).get(row)
    return value
  }
}
