/**
 * Rows that are still bytes: values of a store's block or a topic's batch, lines of a file. Fields that the job is known to read are taken out together, in one pass over
 * the chunk when the first of them is asked for; a row is decoded only for a user's function.
 *
 * One `EncodedReader` a scan has the tree of fields; it makes an `EncodedRows` for each chunk. The vectors of text refer to the chunk's bytes.
 */
import { type EncodedRange, type FieldReader, fieldReader, readsFields } from '../../engine/index.ts'
import type { ChunkData } from '../vector/chunk.ts'
import type { RowCodec } from '../vector/row-codec.ts'
import { EncodedVector, nullVector, TextVector, type Vector } from '../vector/vector.ts'
import { ValueRows } from './chunk-data.ts'
import { hasField } from './value-field.ts'

export class EncodedReader {
  readonly codec: RowCodec
  /** Paths taken out together. */
  readonly paths: readonly string[]
  readonly #fields: FieldReader | undefined

  /** `paths`: what the job reads of each row, as far as it is known. */
  constructor(codec: RowCodec, paths: readonly string[]) {
    this.codec = codec
    this.paths = paths.filter(path => path !== '' && !path.startsWith('@'))
    this.#fields = this.paths.length === 0 ? undefined : this.#readerOf(this.paths)
  }

  /** `meta` gives what the rows' records have beside their values. */
  rows(range: EncodedRange, meta?: (path: string) => Vector): EncodedRows {
    return new EncodedRows(this, range, meta)
  }

  /** Vectors of `paths`. */
  take(range: EncodedRange): readonly Vector[] {
    return this.#fields?.read(range) ?? this.paths.map(() => nullVector(range.size))
  }

  /** A field that was not foreseen. */
  takeOne(range: EncodedRange, path: string): Vector {
    return this.#readerOf([path])?.read(range)[0] ?? nullVector(range.size)
  }

  /** Whether fields are taken out of the bytes; else rows are decoded first. */
  get readsFields(): boolean {
    return readsFields(this.codec.name)
  }

  #readerOf(paths: readonly string[]): FieldReader | undefined {
    return this.readsFields ? fieldReader(this.codec, paths) : undefined
  }
}

export class EncodedRows implements ChunkData {
  readonly size: number
  readonly range: EncodedRange
  readonly #reader: EncodedReader
  readonly #meta: ((path: string) => Vector) | undefined
  readonly #vectors = new Map<string, Vector>()
  /** Rows of a codec whose fields are not read from bytes, and where such a path is a name. */
  #decoded: ValueRows | undefined

  constructor(reader: EncodedReader, range: EncodedRange, meta: ((path: string) => Vector) | undefined) {
    this.#reader = reader
    this.range = range
    this.size = range.size
    this.#meta = meta
  }

  field(path: string): Vector {
    let vector = this.#vectors.get(path)
    if (vector !== undefined) return vector
    if (path.startsWith('@')) vector = this.#meta?.(path) ?? nullVector(this.size)
    else if (path !== '' && this.#reader.readsFields) {
      const { paths } = this.#reader
      if (paths.includes(path)) {
        const vectors = this.#reader.take(this.range)
        for (let i = 0; i < paths.length; i++) {
          const one = paths[i] as string
          this.#vectors.set(one, this.#orNamed(one, vectors[i] as Vector))
        }
        return this.#vectors.get(path) as Vector
      }
      vector = this.#orNamed(path, this.#reader.takeOne(this.range, path))
    } else if (path === '' && this.#reader.codec.name === 'string') {
      vector = new TextVector(this.range.bytes, this.range.starts, this.range.ends)
    } else if (path === '') {
      vector = new EncodedVector(this.range.bytes, this.range.starts, this.range.ends, this.#reader.codec)
    } else {
      vector = this.#values().field(path)
    }
    this.#vectors.set(path, vector)
    return vector
  }

  #values(): ValueRows {
    this.#decoded ??= new ValueRows(Array.from({ length: this.size }, (_, row) => this.value(row)))
    return this.#decoded
  }

  /** The field, or where the first row has one of the path's very name (`value-field.ts`), that. */
  #orNamed(path: string, vector: Vector): Vector {
    if (!path.includes('.')) return vector
    const { starts } = this.range
    let row = 0
    while (row < this.size && (starts[row] as number) < 0) row++
    if (row === this.size || !vector.isNull(row)) return vector
    try {
      if (!hasField(this.value(row), path)) return vector
    } catch {
      // What is not read is not checked: the row is damaged elsewhere.
      return vector
    }
    return this.#values().field(path)
  }

  value(row: number): unknown {
    const start = this.range.starts[row] as number
    return start < 0 ? null : this.#reader.codec.decode(this.range.bytes, start, this.range.ends[row] as number)
  }
}
