/**
 * A column: values of one field that outlive the chunks they came in, for operators that keep rows (a join's table). Vectors are appended, and rows are gathered by number into
 * vectors again. As a `VectorBuilder` it begins narrow, with numbers or texts, and becomes values when others come.
 */
import { AnyVector, BOOLEAN_NULL, BooleanVector, NumberVector, TextVector, type Vector } from './vector.ts'

type Form = 'none' | 'number' | 'text' | 'any'

export class Column {
  /** Rows so far. */
  size = 0
  #form: Form = 'none'
  #numbers: Float64Array = new Float64Array(0)
  /** 1: null. Of numbers. */
  #nulls: Uint8Array = new Uint8Array(0)
  #hasNulls = false
  #arena: Uint8Array = new Uint8Array(0)
  #used = 0
  #starts: Int32Array = new Int32Array(0)
  #ends: Int32Array = new Int32Array(0)
  #values: unknown[] = []

  /** Bytes held, about. */
  get bytes(): number {
    const ofNumbers = this.#numbers.byteLength + this.#nulls.byteLength
    return ofNumbers + this.#arena.byteLength + 2 * this.#starts.byteLength + 48 * this.#values.length
  }

  append(vector: Vector, rows: Int32Array, count: number): void {
    if (this.#form === 'none') this.#form = vector.kind === 'number' || vector.kind === 'text' ? vector.kind : 'any'
    if (this.#form === 'number' && vector.kind === 'number') this.#appendNumbers(vector, rows, count)
    else if (this.#form === 'text' && vector.kind === 'text') this.#appendTexts(vector, rows, count)
    else {
      if (this.#form !== 'any') this.#widen()
      for (let k = 0; k < count; k++) this.#values.push(vector.get(rows[k] as number))
    }
    this.size += count
  }

  /** The rows of these numbers, null for -1. */
  gather(rows: Int32Array, count: number): Vector {
    switch (this.#form) {
      case 'number':
        return gatherVector(new NumberVector(this.#numbers, this.#hasNulls ? this.#nulls : undefined), rows, count)
      case 'text':
        return gatherVector(new TextVector(this.#arena, this.#starts, this.#ends), rows, count)
      default:
        return gatherVector(new AnyVector(this.#values), rows, count)
    }
  }

  #appendNumbers({ values, nulls }: NumberVector, rows: Int32Array, count: number): void {
    const size = this.size
    if (size + count > this.#numbers.length) {
      const length = Math.max(size + count, 2 * size, 1024)
      const [numbers, flags] = [new Float64Array(length), new Uint8Array(length)]
      numbers.set(this.#numbers.subarray(0, size))
      flags.set(this.#nulls.subarray(0, size))
      this.#numbers = numbers
      this.#nulls = flags
    }
    const numbers = this.#numbers
    for (let k = 0; k < count; k++) numbers[size + k] = values[rows[k] as number] as number
    if (nulls === undefined) return
    this.#hasNulls = true
    for (let k = 0; k < count; k++) this.#nulls[size + k] = nulls[rows[k] as number] as number
  }

  #appendTexts({ bytes, starts, ends }: TextVector, rows: Int32Array, count: number): void {
    const size = this.size
    let need = this.#used
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      if ((starts[row] as number) >= 0) need += (ends[row] as number) - (starts[row] as number)
    }
    if (need > this.#arena.length) {
      const arena = new Uint8Array(Math.max(need, 2 * this.#arena.length, 4096))
      arena.set(this.#arena.subarray(0, this.#used))
      this.#arena = arena
    }
    if (size + count > this.#starts.length) {
      const length = Math.max(size + count, 2 * size, 1024)
      const [grownStarts, grownEnds] = [new Int32Array(length), new Int32Array(length)]
      grownStarts.set(this.#starts.subarray(0, size))
      grownEnds.set(this.#ends.subarray(0, size))
      this.#starts = grownStarts
      this.#ends = grownEnds
    }
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      if (start < 0) {
        this.#starts[size + k] = -1
        continue
      }
      const length = (ends[row] as number) - start
      this.#arena.set(bytes.subarray(start, start + length), this.#used)
      this.#starts[size + k] = this.#used
      this.#used += length
      this.#ends[size + k] = this.#used
    }
  }

  #widen(): void {
    const all = Int32Array.from({ length: this.size }, (_, i) => i)
    const vector = this.gather(all, this.size)
    this.#values = Array.from(all, row => vector.get(row))
    this.#form = 'any'
    this.#numbers = new Float64Array(0)
    this.#nulls = new Uint8Array(0)
    this.#arena = new Uint8Array(0)
    this.#starts = new Int32Array(0)
    this.#ends = new Int32Array(0)
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
