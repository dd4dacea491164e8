/**
 * A column: values of one field that outlive the chunks they came in, for operators that keep rows (a join's table) and for what is gathered before it becomes a block. Vectors are
 * appended, and rows are gathered by number into vectors again. As a `VectorBuilder` it begins narrow, with the kind of the first vector that has something, and becomes values when
 * others come.
 */
import type { RowCodec } from './row-codec.ts'
import {
  AnyVector,
  BOOLEAN_NULL,
  BooleanVector,
  EncodedVector,
  isNothing,
  NumberVector,
  nullVector,
  TextVector,
  type Vector,
} from './vector.ts'

/** What a value costs that is kept as one, about. */
export const VALUE_BYTES = 160

export class Column {
  /** Rows so far. */
  size = 0
  /** 'none': all rows are null so far. */
  #form: Vector['kind'] | 'none' = 'none'
  #numbers: Float64Array = new Float64Array(0)
  /** Of numbers, 1: null; truth values. */
  #flags: Uint8Array = new Uint8Array(0)
  #hasNulls = false
  #arena: Uint8Array = new Uint8Array(0)
  #used = 0
  #starts: Int32Array = new Int32Array(0)
  #ends: Int32Array = new Int32Array(0)
  /** Of encoded rows. */
  #codec: RowCodec | undefined
  #values: unknown[] = []

  /** Bytes that the rows take, about; what was reserved for more is not counted. */
  get bytes(): number {
    switch (this.#form) {
      case 'number':
        return 9 * this.size
      case 'text':
      case 'encoded':
        return this.#used + 8 * this.size
      case 'any':
        return VALUE_BYTES * this.size
      default:
        return this.size
    }
  }

  /** Appends rows `rows[from, to)` of a vector. */
  append(vector: Vector, rows: Int32Array, from: number, to: number): void {
    if (isNothing(vector)) this.#appendNulls(to - from)
    else {
      if (this.#form === 'none') this.#become(vector)
      if (this.#form === 'number' && vector.kind === 'number') this.#appendNumbers(vector, rows, from, to)
      else if (this.#form === 'boolean' && vector.kind === 'boolean') this.#appendBooleans(vector, rows, from, to)
      else if (this.#form === 'text' && vector.kind === 'text') this.#appendTexts(vector, rows, from, to)
      else if (this.#form === 'encoded' && vector.kind === 'encoded' && vector.codec === this.#codec)
        this.#appendTexts(vector, rows, from, to)
      else {
        if (this.#form !== 'any') this.#widen()
        for (let k = from; k < to; k++) this.#values.push(vector.get(rows[k] as number))
      }
    }
    this.size += to - from
  }

  /** The rows of these numbers, null for -1. */
  gather(rows: Int32Array, count: number): Vector {
    return gatherVector(this.vector(), rows, count)
  }

  /** All rows; valid until more are appended. */
  vector(): Vector {
    switch (this.#form) {
      case 'number':
        return new NumberVector(this.#numbers, this.#hasNulls ? this.#flags : undefined)
      case 'boolean':
        return new BooleanVector(this.#flags)
      case 'text':
        return new TextVector(this.#arena, this.#starts, this.#ends)
      case 'encoded':
        return new EncodedVector(this.#arena, this.#starts, this.#ends, this.#codec as RowCodec)
      case 'any':
        return new AnyVector(this.#values)
      default:
        return nullVector(this.size)
    }
  }

  /** Forgets all rows, but not the memory they lay in. */
  clear(): void {
    this.size = 0
    this.#form = 'none'
    this.#hasNulls = false
    this.#used = 0
    this.#values = []
  }

  /** Forgets all rows and their memory. */
  release(): void {
    this.clear()
    this.#numbers = new Float64Array(0)
    this.#flags = new Uint8Array(0)
    this.#arena = new Uint8Array(0)
    this.#starts = new Int32Array(0)
    this.#ends = new Int32Array(0)
  }

  /** The first vector that has something tells the form; rows before it are null. */
  #become(vector: Vector): void {
    const before = this.size
    this.#form = vector.kind
    if (vector.kind === 'encoded') this.#codec = vector.codec
    this.size = 0
    this.#appendNulls(before)
    this.size = before
  }

  /** Does not count them. */
  #appendNulls(count: number): void {
    const { size } = this
    switch (this.#form) {
      case 'number':
        if (count === 0) return
        this.#reserveNumbers(size + count)
        this.#markNulls()
        this.#flags.fill(1, size, size + count)
        break
      case 'boolean':
        this.#reserveFlags(size + count)
        this.#flags.fill(BOOLEAN_NULL, size, size + count)
        break
      case 'text':
      case 'encoded':
        this.#reserveTexts(size + count)
        this.#starts.fill(-1, size, size + count)
        break
      case 'any':
        for (let i = 0; i < count; i++) this.#values.push(null)
        break
      default:
    }
  }

  /** From now on rows may be null; those so far are not. */
  #markNulls(): void {
    if (this.#hasNulls) return
    this.#hasNulls = true
    this.#reserveFlags(this.#numbers.length)
    this.#flags.fill(0, 0, this.size)
  }

  #appendNumbers({ values, nulls }: NumberVector, rows: Int32Array, from: number, to: number): void {
    const base = this.size - from
    this.#reserveNumbers(base + to)
    const numbers = this.#numbers
    for (let k = from; k < to; k++) numbers[base + k] = values[rows[k] as number] as number
    if (nulls !== undefined) {
      this.#markNulls()
      const flags = this.#flags
      for (let k = from; k < to; k++) flags[base + k] = nulls[rows[k] as number] as number
    } else if (this.#hasNulls) this.#flags.fill(0, this.size, base + to)
  }

  #appendBooleans({ values }: BooleanVector, rows: Int32Array, from: number, to: number): void {
    const base = this.size - from
    this.#reserveFlags(base + to)
    const flags = this.#flags
    for (let k = from; k < to; k++) flags[base + k] = values[rows[k] as number] as number
  }

  #appendTexts({ bytes, starts, ends }: TextVector | EncodedVector, rows: Int32Array, from: number, to: number): void {
    let need = this.#used
    for (let k = from; k < to; k++) {
      const row = rows[k] as number
      if ((starts[row] as number) >= 0) need += (ends[row] as number) - (starts[row] as number)
    }
    if (need > this.#arena.length) {
      const arena = new Uint8Array(Math.max(need, 2 * this.#arena.length, 4096))
      arena.set(this.#arena.subarray(0, this.#used))
      this.#arena = arena
    }
    const base = this.size - from
    this.#reserveTexts(base + to)
    const [arena, ownStarts, ownEnds] = [this.#arena, this.#starts, this.#ends]
    let used = this.#used
    for (let k = from; k < to; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      if (start < 0) {
        ownStarts[base + k] = -1
        continue
      }
      const end = ends[row] as number
      const length = end - start
      ownStarts[base + k] = used
      if (length <= 24) for (let i = 0; i < length; i++) arena[used + i] = bytes[start + i] as number
      else arena.set(bytes.subarray(start, end), used)
      used += length
      ownEnds[base + k] = used
    }
    this.#used = used
  }

  #reserveNumbers(size: number): void {
    if (size > this.#numbers.length) {
      const grown = new Float64Array(Math.max(size, 2 * this.#numbers.length, 256))
      grown.set(this.#numbers.subarray(0, this.size))
      this.#numbers = grown
    }
    if (this.#hasNulls) this.#reserveFlags(this.#numbers.length)
  }

  #reserveFlags(size: number): void {
    if (size <= this.#flags.length) return
    const grown = new Uint8Array(Math.max(size, 2 * this.#flags.length, 256))
    grown.set(this.#flags.subarray(0, this.size))
    this.#flags = grown
  }

  #reserveTexts(size: number): void {
    if (size <= this.#starts.length) return
    const length = Math.max(size, 2 * this.#starts.length, 256)
    const [starts, ends] = [new Int32Array(length), new Int32Array(length)]
    starts.set(this.#starts.subarray(0, this.size))
    ends.set(this.#ends.subarray(0, this.size))
    this.#starts = starts
    this.#ends = ends
  }

  #widen(): void {
    const vector = this.vector()
    this.#values = Array.from({ length: this.size }, (_, row) => vector.get(row))
    this.#form = 'any'
  }
}

/** A vector of these rows of another, null for -1. Texts stay where they are. */
export function gatherVector(vector: Vector, rows: Int32Array, count: number): Vector {
  switch (vector.kind) {
    case 'number': {
      const values = new Float64Array(count)
      let nulls: Uint8Array | undefined
      for (let k = 0; k < count; k++) {
        const row = rows[k] as number
        if (row < 0 || (vector.nulls !== undefined && vector.nulls[row] === 1)) {
          nulls ??= new Uint8Array(count)
          nulls[k] = 1
        } else values[k] = vector.values[row] as number
      }
      return new NumberVector(values, nulls)
    }
    case 'boolean': {
      if (vector.isNothing) return nullVector(count)
      const values = new Uint8Array(count)
      for (let k = 0; k < count; k++) values[k] = (rows[k] as number) < 0 ? BOOLEAN_NULL : (vector.values[rows[k] as number] as number)
      return new BooleanVector(values)
    }
    case 'text': {
      const [starts, ends] = [new Int32Array(count), new Int32Array(count)]
      for (let k = 0; k < count; k++) {
        const row = rows[k] as number
        starts[k] = row < 0 ? -1 : (vector.starts[row] as number)
        ends[k] = row < 0 ? -1 : (vector.ends[row] as number)
      }
      return new TextVector(vector.bytes, starts, ends)
    }
    default: {
      const values = new Array<unknown>(count)
      for (let k = 0; k < count; k++) values[k] = (rows[k] as number) < 0 ? null : vector.get(rows[k] as number)
      return new AnyVector(values)
    }
  }
}
