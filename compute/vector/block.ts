/**
 * Blocks: rows of some vectors as bytes, how they go from one task to another, in memory or through a file. Only tasks of one run, of one version of this package, exchange them, so
 * the layout is nobody's format. Numbers lie at multiples of eight, so that a reader's vectors are views of the bytes.
 *
 *   block  := count:u32 columns:u32 size:u32 0:u32 column*
 *   column := kind:u32 extra:u32 data, padded to 8
 *   number  extra 1 with nulls   f64 × count, nulls u8 × count
 *   whole   extra 2 × width, + 1 with nulls   least f64, what is above it u8, u16 or u32 × count, nulls u8 × count: whole numbers, -0 is none
 *   single  extra 1 with nulls   f32 × count, nulls u8 × count: numbers that are such
 *   boolean extra 0              u8 × count
 *           extra 1 + value      no data: all rows have it
 *   text    extra bytes          starts i32 × count, ends i32 × count, bytes
 *   encoded extra bytes          starts i32 × count, ends i32 × count, size:u32 the codec as text, bytes
 *   any     extra bytes          a MessagePack list of the values
 *   nothing                      no data: all rows are null
 */
import { assert, readText, valueCodecOf } from '../../engine/index.ts'
import { areAdjacent, gatherBytes } from './gather-bytes.ts'
import { codecOf, describeCodec } from './row-codec.ts'
import {
  AnyVector,
  BOOLEAN_NULL,
  BooleanVector,
  EncodedVector,
  NumberVector,
  nullVector,
  sameVector,
  TextVector,
  type Vector,
} from './vector.ts'

const HEADER_BYTES = 16
const COLUMN_HEADER_BYTES = 8
const KIND_NUMBER = 1
const KIND_BOOLEAN = 2
const KIND_TEXT = 3
const KIND_ANY = 4
const KIND_ENCODED = 5
const KIND_NOTHING = 6
const KIND_WHOLE = 7
const KIND_SINGLE = 8

const values = valueCodecOf('msgpack')
const utf8 = new TextEncoder()
const padded = (size: number): number => (size + 7) & ~7

interface Column {
  readonly kind: number
  readonly extra: number
  readonly bytes: number
  /** Of any values, what they are encoded to. */
  readonly encoded: Uint8Array | undefined
  /** Of whole numbers. */
  readonly least?: number
}

function textBytes({ starts, ends }: TextVector | EncodedVector, rows: Int32Array, from: number, to: number): number {
  let size = 0
  for (let k = from; k < to; k++) {
    const row = rows[k] as number
    const start = starts[row] as number
    if (start >= 0) size += (ends[row] as number) - start
  }
  return size
}

function measure(vector: Vector, rows: Int32Array, from: number, to: number): Column {
  const count = to - from
  switch (vector.kind) {
    case 'number':
      return measureNumbers(vector, rows, from, to)
    case 'boolean': {
      if (vector.isNothing) return { kind: KIND_NOTHING, extra: 0, bytes: 0, encoded: undefined }
      const { values, same } = vector
      const first = values[rows[from] as number] as number
      let k = same === undefined ? from : to
      while (k < to && values[rows[k] as number] === first) k++
      const isOne = k === to && count > 0
      return { kind: KIND_BOOLEAN, extra: isOne ? 1 + first : 0, bytes: isOne ? 0 : count, encoded: undefined }
    }
    case 'text': {
      const size = textBytes(vector, rows, from, to)
      return { kind: KIND_TEXT, extra: size, bytes: 8 * count + size, encoded: undefined }
    }
    default: {
      const codec = vector.kind === 'encoded' ? describeCodec(vector.codec) : undefined
      if (vector.kind === 'encoded' && codec !== undefined) {
        const encoded = utf8.encode(codec)
        const size = textBytes(vector, rows, from, to) + 4 + encoded.length
        return { kind: KIND_ENCODED, extra: size, bytes: 8 * count + size, encoded }
      }
      const list = new Array<unknown>(count)
      for (let k = from; k < to; k++) list[k - from] = vector.get(rows[k] as number)
      // A Buffer, whose `slice` copies nothing.
      const encoded = new Uint8Array(values.encode(list))
      return { kind: KIND_ANY, extra: encoded.length, bytes: encoded.length, encoded }
    }
  }
}

/** The narrowest kind that holds all of the numbers. */
function measureNumbers({ values, nulls }: NumberVector, rows: Int32Array, from: number, to: number): Column {
  const count = to - from
  const withNulls = nulls === undefined ? 0 : 1
  const nullBytes = withNulls * count
  const first = count === 0 ? 0 : (values[rows[from] as number] as number)
  let [least, most] = [first, first]
  let k = from
  for (; k < to; k++) {
    const value = values[rows[k] as number] as number
    if (Math.trunc(value) !== value || (value === 0 && 1 / value < 0)) break
    if (value < least) least = value
    else if (value > most) most = value
  }
  const range = most - least
  if (k === to && range < 2 ** 32 && Number.isSafeInteger(least)) {
    const width = range < 0x100 ? 1 : range < 0x10000 ? 2 : 4
    return { kind: KIND_WHOLE, extra: 2 * width + withNulls, bytes: 8 + width * count + nullBytes, encoded: undefined, least }
  }
  for (k = from; k < to; k++) {
    const value = values[rows[k] as number] as number
    if (Math.fround(value) !== value && !Number.isNaN(value)) break
  }
  if (k === to) return { kind: KIND_SINGLE, extra: withNulls, bytes: 4 * count + nullBytes, encoded: undefined }
  return { kind: KIND_NUMBER, extra: withNulls, bytes: 8 * count + nullBytes, encoded: undefined }
}

const newBlock = (size: number): Uint8Array => new Uint8Array(size)

/** Rows `rows[from, to)` of the vectors. `allocate` gives the memory, from a multiple of eight of its buffer; what it held does not matter. */
export function encodeBlock(
  vectors: readonly Vector[],
  rows: Int32Array,
  from: number,
  to: number,
  allocate: (size: number) => Uint8Array = newBlock,
): Uint8Array {
  const count = to - from
  const columns = vectors.map(vector => measure(vector, rows, from, to))
  const size = columns.reduce((sum, column) => sum + COLUMN_HEADER_BYTES + padded(column.bytes), HEADER_BYTES)
  const block = allocate(size)
  assert(block.byteOffset % 8 === 0 && block.length === size, 'a block is aligned, and of its size', block.byteOffset, block.length)
  const { buffer, byteOffset } = block
  const header = new Uint32Array(buffer, byteOffset, HEADER_BYTES / 4)
  header[0] = count
  header[1] = vectors.length
  header[2] = size
  let at = HEADER_BYTES
  for (let i = 0; i < vectors.length; i++) {
    const column = columns[i] as Column
    const head = new Uint32Array(buffer, byteOffset + at, 2)
    head[0] = column.kind
    head[1] = column.extra
    fill(block, at + COLUMN_HEADER_BYTES, vectors[i] as Vector, column, rows, from, count)
    at += COLUMN_HEADER_BYTES + padded(column.bytes)
  }
  return block
}

/** Numbers of a column as they may lie in a block: whole ones counted from `least`, or as they are. */
export type PackedNumbers = Uint16Array | Uint32Array | Float32Array | Float64Array

/** A column in the form that a block has it in: numbers none of which is null, or one truth value for all rows; `BOOLEAN_NULL`: nothing. */
export type PackedColumn = { readonly numbers: PackedNumbers; readonly least: number } | { readonly truth: number }

/** As `encodeBlock`, of columns that are packed already; numbers are copied. */
export function encodePacked(
  columns: readonly PackedColumn[],
  count: number,
  allocate: (size: number) => Uint8Array = newBlock,
): Uint8Array {
  let size = HEADER_BYTES
  for (const column of columns) size += COLUMN_HEADER_BYTES + ('truth' in column ? 0 : padded(packedBytes(column.numbers)))
  const block = allocate(size)
  assert(block.byteOffset % 8 === 0 && block.length === size, 'a block is aligned, and of its size', block.byteOffset, block.length)
  const words = new Uint32Array(block.buffer, block.byteOffset, size / 4)
  words[0] = count
  words[1] = columns.length
  words[2] = size
  let at = HEADER_BYTES
  for (const column of columns) {
    const data = at + COLUMN_HEADER_BYTES
    if ('truth' in column) {
      words[at / 4] = column.truth === BOOLEAN_NULL ? KIND_NOTHING : KIND_BOOLEAN
      words[at / 4 + 1] = column.truth === BOOLEAN_NULL ? 0 : 1 + column.truth
      at = data
      continue
    }
    const { numbers, least } = column
    const isWhole = isWholeForm(numbers)
    words[at / 4] = isWhole ? KIND_WHOLE : numbers instanceof Float32Array ? KIND_SINGLE : KIND_NUMBER
    words[at / 4 + 1] = isWhole ? 2 * numbers.BYTES_PER_ELEMENT : 0
    if (isWhole) new Float64Array(block.buffer, block.byteOffset + data, 1)[0] = least
    block.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), isWhole ? data + 8 : data)
    at = data + padded(packedBytes(numbers))
  }
  return block
}

const isWholeForm = (numbers: PackedNumbers): boolean => numbers instanceof Uint16Array || numbers instanceof Uint32Array
const packedBytes = (numbers: PackedNumbers): number => numbers.byteLength + (isWholeForm(numbers) ? 8 : 0)

function fill(block: Uint8Array, at: number, vector: Vector, column: Column, rows: Int32Array, from: number, count: number): void {
  switch (vector.kind) {
    case 'number': {
      const place = block.byteOffset + at
      const { values, nulls } = vector
      if (column.kind === KIND_NUMBER) fillNumbers(new Float64Array(block.buffer, place, count), values, rows, from, count)
      else if (column.kind === KIND_SINGLE) fillSingle(new Float32Array(block.buffer, place, count), values, rows, from, count)
      else {
        const least = column.least as number
        new Float64Array(block.buffer, place, 1)[0] = least
        fillWhole(wholesAt(block.buffer, place + 8, count, column.extra >> 1), least, values, rows, from, count)
      }
      const nullsAt = at + column.bytes - count
      if (nulls !== undefined) for (let k = 0; k < count; k++) block[nullsAt + k] = nulls[rows[from + k] as number] as number
      break
    }
    case 'boolean':
      if (column.kind === KIND_NOTHING || column.extra > 0) break
      for (let k = 0; k < count; k++) block[at + k] = vector.values[rows[from + k] as number] as number
      break
    case 'text':
      fillText(block, at, at + 8 * count, vector, rows, from, count)
      break
    case 'encoded':
      if (column.kind === KIND_ANY) block.set(column.encoded as Uint8Array, at)
      else {
        const codec = column.encoded as Uint8Array
        const base = at + 8 * count
        new DataView(block.buffer).setUint32(block.byteOffset + base, codec.length)
        block.set(codec, base + 4)
        fillText(block, at, base + 4 + codec.length, vector, rows, from, count)
      }
      break
    default:
      block.set(column.encoded as Uint8Array, at)
  }
}

function fillNumbers(target: Float64Array, values: Float64Array, rows: Int32Array, from: number, count: number): void {
  const first = rows[from] as number
  if (isRange(rows, from, count)) target.set(values.subarray(first, first + count))
  else for (let k = 0; k < count; k++) target[k] = values[rows[from + k] as number] as number
}

type Wholes = Uint8Array | Uint16Array | Uint32Array

function wholesAt(buffer: ArrayBufferLike, at: number, count: number, width: number): Wholes {
  if (width === 1) return new Uint8Array(buffer, at, count)
  return width === 2 ? new Uint16Array(buffer, at, count) : new Uint32Array(buffer, at, count)
}

function fillWhole(target: Wholes, least: number, values: Float64Array, rows: Int32Array, from: number, count: number): void {
  for (let k = 0; k < count; k++) target[k] = (values[rows[from + k] as number] as number) - least
}

function fillSingle(target: Float32Array, values: Float64Array, rows: Int32Array, from: number, count: number): void {
  for (let k = 0; k < count; k++) target[k] = values[rows[from + k] as number] as number
}

/** Whether rows are consecutive. */
function isRange(rows: Int32Array, from: number, count: number): boolean {
  const first = rows[from] as number
  if ((rows[from + count - 1] as number) !== first + count - 1) return false
  for (let k = 1; k < count; k++) if ((rows[from + k] as number) !== first + k) return false
  return true
}

/** Starts and ends from `at` on, which count from `base`, and the bytes from there. */
function fillText(
  block: Uint8Array,
  at: number,
  base: number,
  vector: TextVector | EncodedVector,
  rows: Int32Array,
  from: number,
  count: number,
): void {
  const starts = new Int32Array(block.buffer, block.byteOffset + at, count)
  const ends = new Int32Array(block.buffer, block.byteOffset + at + 4 * count, count)
  if (areAdjacent(vector.starts, vector.ends, rows, from, from + count)) {
    const first = vector.starts[rows[from] as number] as number
    for (let k = 0; k < count; k++) {
      const row = rows[from + k] as number
      starts[k] = (vector.starts[row] as number) - first
      ends[k] = (vector.ends[row] as number) - first
    }
    block.set(vector.bytes.subarray(first, first + (ends[count - 1] as number)), base)
  } else gatherBytes(vector.bytes, vector.starts, vector.ends, rows, from, from + count, block, base, starts, ends)
}

export interface DecodedBlock {
  readonly count: number
  readonly vectors: readonly Vector[]
}

/** Memory of numbers that are wider than they lie in blocks, used again from block to block: column by column, what was read before is no longer valid. */
export class WideNumbers {
  readonly #columns: Float64Array[] = []

  column(number: number, count: number): Float64Array {
    let column = this.#columns[number]
    if (column === undefined || column.length < count) this.#columns[number] = column = new Float64Array(count)
    return column
  }
}

function widen(narrow: Wholes, least: number, values: Float64Array): Float64Array {
  const { length } = narrow
  for (let i = 0; i < length; i++) values[i] = least + (narrow[i] as number)
  return values
}

function widenSingle(narrow: Float32Array, values: Float64Array): Float64Array {
  const { length } = narrow
  for (let i = 0; i < length; i++) values[i] = narrow[i] as number
  return values
}

/** The vectors of a block; they keep its memory, and that of `wide` if it is given. It begins at a multiple of eight of its buffer. */
export function decodeBlock(block: Uint8Array, wide: WideNumbers = new WideNumbers()): DecodedBlock {
  assert(block.byteOffset % 8 === 0, 'a block is aligned', block.byteOffset)
  const { buffer, byteOffset } = block
  const [count = 0, columns = 0, size = 0] = new Uint32Array(buffer, byteOffset, HEADER_BYTES / 4)
  assert(size === block.length, 'a block is whole', size, block.length)
  const vectors: Vector[] = []
  let at = HEADER_BYTES
  for (let i = 0; i < columns; i++) {
    const [kind, extra = 0] = new Uint32Array(buffer, byteOffset + at, 2)
    at += COLUMN_HEADER_BYTES
    const place = byteOffset + at
    let bytes: number
    switch (kind) {
      case KIND_NUMBER:
        bytes = 8 * count + extra * count
        vectors.push(
          new NumberVector(
            new Float64Array(buffer, place, count),
            extra === 0 ? undefined : new Uint8Array(buffer, place + 8 * count, count),
          ),
        )
        break
      case KIND_WHOLE: {
        const width = extra >> 1
        bytes = 8 + width * count + (extra & 1) * count
        const least = new Float64Array(buffer, place, 1)[0] as number
        const nulls = (extra & 1) === 0 ? undefined : new Uint8Array(buffer, place + 8 + width * count, count)
        vectors.push(new NumberVector(widen(wholesAt(buffer, place + 8, count, width), least, wide.column(i, count)), nulls))
        break
      }
      case KIND_SINGLE: {
        bytes = 4 * count + extra * count
        const nulls = extra === 0 ? undefined : new Uint8Array(buffer, place + 4 * count, count)
        vectors.push(new NumberVector(widenSingle(new Float32Array(buffer, place, count), wide.column(i, count)), nulls))
        break
      }
      case KIND_BOOLEAN:
        bytes = extra === 0 ? count : 0
        vectors.push(extra === 0 ? new BooleanVector(new Uint8Array(buffer, place, count)) : sameVector(extra - 1, count))
        break
      case KIND_TEXT:
        bytes = 8 * count + extra
        vectors.push(
          new TextVector(
            new Uint8Array(buffer, place + 8 * count, extra),
            new Int32Array(buffer, place, count),
            new Int32Array(buffer, place + 4 * count, count),
          ),
        )
        break
      case KIND_ENCODED: {
        bytes = 8 * count + extra
        const size = new DataView(buffer, place + 8 * count).getUint32(0)
        const codec = readText(new Uint8Array(buffer, place + 8 * count + 4, size), 0, size)
        vectors.push(
          new EncodedVector(
            new Uint8Array(buffer, place + 8 * count + 4 + size, extra - 4 - size),
            new Int32Array(buffer, place, count),
            new Int32Array(buffer, place + 4 * count, count),
            codecOf(codec),
          ),
        )
        break
      }
      case KIND_NOTHING:
        bytes = 0
        vectors.push(nullVector(count))
        break
      default:
        assert(kind === KIND_ANY, 'a column has a kind', kind)
        bytes = extra
        vectors.push(new AnyVector(values.decode(block, at, at + extra) as unknown[]))
    }
    at += padded(bytes)
  }
  assert(at === size, 'columns fill the block', at, size)
  return { count, vectors }
}
