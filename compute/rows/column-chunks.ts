/**
 * Rows out of the columns of a segment: vectors that are views of the bytes as they were read, where the machine's arrays can be, and chunks of them. Nothing is decoded but whole
 * numbers, which are stored narrower than a double, and the places of texts in a dictionary.
 *
 * Invariant: vectors are valid until the same column is read again; a scan reads the columns of the next group when it has given away the last one's chunks.
 */
import { COLUMN_HEADER_BYTES, columnLayout, type SealedColumns, VarveError } from '../../engine/index.ts'
import type { ChunkData } from '../vector/chunk.ts'
import { META } from '../vector/chunk.ts'
import { BooleanVector, type Dictionary, DictionaryVector, NumberVector, nullVector, TextVector, type Vector } from '../vector/vector.ts'

/** Reads one field, group after group, into memory that is used again. */
export class ColumnReader {
  readonly path: string
  #bytes: Uint8Array = new Uint8Array(0)
  #numbers: Float64Array = new Float64Array(0)
  #starts: Int32Array = new Int32Array(0)
  #ends: Int32Array = new Int32Array(0)

  constructor(path: string) {
    this.path = path
  }

  /** The field of all rows of a group that has it. CORRUPT when the column is damaged. */
  read(group: Pick<SealedColumns, 'columnBytes' | 'read'>): Vector {
    const size = group.columnBytes(this.path)
    if (this.#bytes.length < size) this.#bytes = new Uint8Array(size + (size >> 2))
    const column = group.read(this.path, this.#bytes)
    const layout = columnLayout(column)
    const { kind, rows, nullsAt } = layout
    const { buffer } = column
    const at = column.byteOffset + COLUMN_HEADER_BYTES
    const nulls = nullsAt < 0 ? undefined : column.subarray(nullsAt, nullsAt + rows)
    switch (kind) {
      case 'nothing':
        return nullVector(rows)
      case 'doubles':
        return new NumberVector(new Float64Array(buffer, at, rows), nulls)
      case 'booleans':
        return new BooleanVector(column.subarray(COLUMN_HEADER_BYTES, COLUMN_HEADER_BYTES + rows))
      case 'integers': {
        if (this.#numbers.length < rows) this.#numbers = new Float64Array(rows)
        fillIntegers(
          this.#numbers,
          layout.base,
          layout.isSequence,
          layout.width === 0 ? undefined : codesOf(buffer, at, rows, layout.width),
          rows,
        )
        return new NumberVector(this.#numbers, nulls)
      }
      case 'texts':
        return this.#texts(column, rows, layout.textAt, layout.textBytes, nulls)
      default: {
        const ends = new Int32Array(buffer, column.byteOffset + layout.endsAt, layout.entries)
        const text = column.subarray(layout.textAt, layout.textAt + layout.textBytes)
        return this.#dictionary(text, ends, codesOf(buffer, at, rows, layout.width), rows)
      }
    }
  }

  #texts(column: Uint8Array, rows: number, textAt: number, textBytes: number, nulls: Uint8Array | undefined): Vector {
    const at = column.byteOffset + COLUMN_HEADER_BYTES
    const text = column.subarray(textAt, textAt + textBytes)
    const ends = new Int32Array(column.buffer, at + 4, rows)
    const borders = new Int32Array(column.buffer, at, rows)
    if (nulls === undefined) return new TextVector(text, borders, ends)
    const starts = this.#startsFor(rows)
    for (let row = 0; row < rows; row++) starts[row] = nulls[row] === 1 ? -1 : (borders[row] as number)
    return new TextVector(text, starts, ends)
  }

  #dictionary(text: Uint8Array, ends: Int32Array, codes: Uint8Array | Uint16Array | Uint32Array, rows: number): Vector {
    const entries = ends.length
    const dictionary: Dictionary = { size: entries }
    // The last entry is null.
    const [entryStarts, entryEnds] = [new Int32Array(entries + 1).fill(-1), new Int32Array(entries + 1)]
    for (let entry = 0; entry < entries; entry++) {
      entryStarts[entry] = entry === 0 ? 0 : (ends[entry - 1] as number)
      entryEnds[entry] = ends[entry] as number
    }
    const starts = this.#startsFor(rows)
    if (this.#ends.length < rows) this.#ends = new Int32Array(rows)
    const rowEnds = this.#ends
    for (let row = 0; row < rows; row++) {
      const code = codes[row] as number
      starts[row] = entryStarts[code] as number
      rowEnds[row] = entryEnds[code] as number
    }
    return new DictionaryVector(text, starts, rowEnds, codes, dictionary)
  }

  #startsFor(rows: number): Int32Array {
    if (this.#starts.length < rows) this.#starts = new Int32Array(rows)
    return this.#starts
  }
}

function codesOf(buffer: ArrayBufferLike, at: number, rows: number, width: number): Uint8Array | Uint16Array | Uint32Array {
  if (width === 1) return new Uint8Array(buffer, at, rows)
  return width === 2 ? new Uint16Array(buffer, at, rows) : new Uint32Array(buffer, at, rows)
}

function fillIntegers(
  target: Float64Array,
  base: number,
  isSequence: boolean,
  deltas: Uint8Array | Uint16Array | Uint32Array | undefined,
  rows: number,
): void {
  if (deltas !== undefined) for (let row = 0; row < rows; row++) target[row] = base + (deltas[row] as number)
  else if (isSequence) for (let row = 0; row < rows; row++) target[row] = base + row
  else target.fill(base, 0, rows)
}

/** Rows `[from, to)` of a vector, in its memory. */
function part(vector: Vector, from: number, to: number): Vector {
  switch (vector.kind) {
    case 'number':
      return new NumberVector(vector.values.subarray(from, to), vector.nulls?.subarray(from, to))
    case 'boolean':
      return new BooleanVector(vector.values.subarray(from, to), vector.same)
    case 'text': {
      const [starts, ends] = [vector.starts.subarray(from, to), vector.ends.subarray(from, to)]
      if (!(vector instanceof DictionaryVector)) return new TextVector(vector.bytes, starts, ends)
      return new DictionaryVector(vector.bytes, starts, ends, vector.codes.subarray(from, to), vector.dictionary)
    }
    default:
      throw new VarveError('INVARIANT', `columns hold no vectors of kind ${vector.kind}`)
  }
}

/** Some rows of a group; they have the fields that were read and no other, and are no values. */
export class ColumnChunk implements ChunkData {
  readonly size: number
  readonly #columns: ReadonlyMap<string, Vector>
  readonly #from: number
  readonly #partition: number
  readonly #vectors = new Map<string, Vector>()

  /** `columns`: whole ones, by path. */
  constructor(columns: ReadonlyMap<string, Vector>, from: number, to: number, partition: number) {
    this.size = to - from
    this.#columns = columns
    this.#from = from
    this.#partition = partition
  }

  field(path: string): Vector {
    let vector = this.#vectors.get(path)
    if (vector === undefined) {
      vector = this.#make(path)
      this.#vectors.set(path, vector)
    }
    return vector
  }

  value(): unknown {
    throw new VarveError('INVARIANT', 'rows of columns have no values')
  }

  #make(path: string): Vector {
    if (path === META.partition) return new NumberVector(new Float64Array(this.size).fill(this.#partition))
    const column = this.#columns.get(path)
    if (column === undefined) throw new VarveError('INVARIANT', `field ${path} was not asked for`)
    return part(column, this.#from, this.#from + this.size)
  }
}
