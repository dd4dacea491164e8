/** Rows picked from several vectors of whole rows, in any order: what sorts and joins give. Nothing is decoded before somebody asks. */
import type { ChunkData } from '../vector/chunk.ts'
import { AnyVector, EncodedVector, nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import { EncodedReader } from './encoded-rows.ts'
import { fieldOfValue } from './value-field.ts'

export class GatheredRows implements ChunkData {
  readonly size: number
  /** Of each row, the vector that it is in, and where. */
  readonly #vectors: readonly Vector[]
  readonly #rows: Int32Array
  readonly #fields = new Map<string, Vector>()

  /** Row i is row `rows[i]` of `vectors[i]`. */
  constructor(vectors: readonly Vector[], rows: Int32Array) {
    this.size = vectors.length
    this.#vectors = vectors
    this.#rows = rows
  }

  value(row: number): unknown {
    return (this.#vectors[row] as Vector).get(this.#rows[row] as number)
  }

  field(path: string): Vector {
    let vector = this.#fields.get(path)
    if (vector === undefined) {
      vector = path.startsWith('@') ? nullVector(this.size) : path === '' ? this.#whole() : this.#inside(path)
      this.#fields.set(path, vector)
    }
    return vector
  }

  /** Encoded, where all of them are by one codec. */
  #whole(): Vector {
    const [first] = this.#vectors
    if (first?.kind !== 'encoded' || this.#vectors.some(vector => vector.kind !== 'encoded' || vector.codec !== first.codec)) {
      return new AnyVector(Array.from({ length: this.size }, (_, row) => this.value(row)))
    }
    const vectors = this.#vectors as readonly EncodedVector[]
    const starts = new Int32Array(this.size)
    const ends = new Int32Array(this.size)
    let used = 0
    for (let i = 0; i < this.size; i++) {
      const { starts: from, ends: to } = vectors[i] as EncodedVector
      const row = this.#rows[i] as number
      const start = from[row] as number
      starts[i] = start < 0 ? -1 : used
      if (start >= 0) used += (to[row] as number) - start
      ends[i] = used
    }
    const bytes = new Uint8Array(used)
    for (let i = 0; i < this.size; i++) {
      const { bytes: source, starts: from, ends: to } = vectors[i] as EncodedVector
      const row = this.#rows[i] as number
      const start = from[row] as number
      if (start >= 0) bytes.set(source.subarray(start, to[row] as number), starts[i] as number)
    }
    return new EncodedVector(bytes, starts, ends, first.codec)
  }

  #inside(path: string): Vector {
    const whole = this.field('')
    if (whole.kind === 'encoded') {
      const { bytes, starts, ends, codec } = whole
      const reader = new EncodedReader(codec, [path])
      if (reader.readsFields) return reader.rows({ size: this.size, bytes, starts, ends }).field(path)
    }
    const builder = new VectorBuilder()
    builder.begin(this.size, new Uint8Array(0))
    const names = path.split('.')
    for (let row = 0; row < this.size; row++) builder.any(fieldOfValue(whole.get(row), path, names))
    return builder.finish()
  }
}
