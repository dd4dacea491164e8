/**
 * A vector: one field of many rows, in the narrowest form that holds it. Expressions, group-bys, joins and sorts loop over vectors, so that a number costs eight
 * bytes and no object, and text stays where it lies until somebody wants a string.
 *
 *   number   Float64Array, and a byte a row where some are null
 *   boolean  a byte a row: 0, 1, or 2 for null
 *   text     UTF-8 in one buffer, and where each begins and ends
 *   encoded  whole rows as their store or topic has them, and the codec that decodes them
 *   any      JavaScript values: bigints, dates, bytes, lists, objects, and fields whose type changes from row to row
 *
 * `null` and a missing field are one thing here, null. Vectors are filled once by whoever makes them (`VectorBuilder`, the evaluator of expressions) and do not change while
 * the chunk they came with is valid. Rows that a chunk does not select may hold anything.
 */
import { readText } from '../codec/text.ts'
import type { RowCodec } from './row-codec.ts'

/** A value as rows have it; null for "nothing there". */
export type Vector = NumberVector | BooleanVector | TextVector | EncodedVector | AnyVector

/** Numbers, as JavaScript has them. */
export class NumberVector {
  readonly kind = 'number'
  readonly values: Float64Array
  /** 1: null; undefined: no row is null. */
  readonly nulls: Uint8Array | undefined

  constructor(values: Float64Array, nulls: Uint8Array | undefined = undefined) {
    this.values = values
    this.nulls = nulls
  }

  /** The value; null: there is none. */
  get(row: number): number | null {
    return this.nulls !== undefined && this.nulls[row] === 1 ? null : (this.values[row] as number)
  }

  /** Whether there is no value. */
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1
  }
}

/** What `BooleanVector` has for null. */
export const BOOLEAN_NULL = 2

/** Truth values of three-valued logic. */
export class BooleanVector {
  readonly kind = 'boolean'
  /** 0 false, 1 true, 2 null. */
  readonly values: Uint8Array
  /** What all rows have, if it is known. */
  readonly same: number | undefined

  constructor(values: Uint8Array, same: number | undefined = undefined) {
    this.values = values
    this.same = same
  }

  /** Whether it is known that all rows are null; also what a field is that no row has. */
  get isNothing(): boolean {
    return this.same === BOOLEAN_NULL
  }

  /** The value; null: there is none. */
  get(row: number): boolean | null {
    const value = this.values[row] as number
    return value === BOOLEAN_NULL ? null : value === 1
  }

  /** Whether there is no value. */
  isNull(row: number): boolean {
    return this.values[row] === BOOLEAN_NULL
  }
}

/** Text as UTF-8 bytes in one buffer. */
export class TextVector {
  readonly kind = 'text'
  readonly bytes: Uint8Array
  /** Where the text of a row begins in `bytes`; -1: null. */
  readonly starts: Int32Array
  /** Exclusive. */
  readonly ends: Int32Array

  constructor(bytes: Uint8Array, starts: Int32Array, ends: Int32Array) {
    this.bytes = bytes
    this.starts = starts
    this.ends = ends
  }

  /** The value; null: there is none. */
  get(row: number): string | null {
    const start = this.starts[row] as number
    return start < 0 ? null : readText(this.bytes, start, this.ends[row] as number)
  }

  /** Whether there is no value. */
  isNull(row: number): boolean {
    return (this.starts[row] as number) < 0
  }
}

/** Texts of which each that is different is there once; compared by identity. */
export interface Dictionary {
  /** How many there are. */
  readonly size: number
}

/** Texts that lie in a dictionary: whoever works by text may work by code. */
export class DictionaryVector extends TextVector {
  /** Of each row its text's number; `dictionary.size` is null. */
  readonly codes: Uint8Array | Uint16Array | Uint32Array
  /** Vectors with one dictionary have the same text for a code. */
  readonly dictionary: Dictionary

  constructor(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    codes: Uint8Array | Uint16Array | Uint32Array,
    dictionary: Dictionary,
  ) {
    super(bytes, starts, ends)
    this.codes = codes
    this.dictionary = dictionary
  }
}

/** Whole rows in the bytes of a codec; each `get` decodes. */
export class EncodedVector {
  readonly kind = 'encoded'
  readonly bytes: Uint8Array
  /** Where a row begins in `bytes`; -1: null. */
  readonly starts: Int32Array
  /** Exclusive. */
  readonly ends: Int32Array
  readonly codec: RowCodec

  constructor(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, codec: RowCodec) {
    this.bytes = bytes
    this.starts = starts
    this.ends = ends
    this.codec = codec
  }

  /** The value; null: there is none. */
  get(row: number): unknown {
    const start = this.starts[row] as number
    return start < 0 ? null : (this.codec.decode(this.bytes, start, this.ends[row] as number) ?? null)
  }

  /** Whether there is no value. */
  isNull(row: number): boolean {
    return this.get(row) === null
  }
}

/** Values of any kind. */
export class AnyVector {
  readonly kind = 'any'
  /** undefined counts as null. */
  readonly values: readonly unknown[]

  constructor(values: readonly unknown[]) {
    this.values = values
  }

  /** The value; null: there is none. */
  get(row: number): unknown {
    return this.values[row] ?? null
  }

  /** Whether there is no value. */
  isNull(row: number): boolean {
    return this.values[row] === null || this.values[row] === undefined
  }
}

/** A vector of `size` rows that have nothing. */
export function nullVector(size: number): BooleanVector {
  return sameVector(BOOLEAN_NULL, size)
}

/** Whether it is known that the vector has nothing in any row. */
export function isNothing(vector: Vector): boolean {
  return vector.kind === 'boolean' && vector.isNothing
}

/** Shared values of rows that are all the same, by value. */
const sames: Uint8Array[] = []

/** A vector of `size` rows that all have one truth value, as `BooleanVector` has it. */
export function sameVector(value: number, size: number): BooleanVector {
  let values = sames[value]
  if (values === undefined || values.length < size) sames[value] = values = new Uint8Array(Math.max(4096, 2 * size)).fill(value)
  return new BooleanVector(values, value)
}
