/**
 * Sort keys: the values of a row's criteria as bytes whose memcmp order is the order asked for, so that a sort compares bytes and never values. Of one job only, so the layout is
 * nobody's format. The order of values is that of `value-order.ts`.
 *
 *   key     := criterion*               of a descending criterion every byte but that of null is complemented
 *   null    := 01 first, FF last
 *   other   := 02 false | 03 true | 10 number | 20 f64 (Date) | 30 escaped (string, UTF-8) | 40 escaped (bytes) | 50 other* 00 (list) | 60 (string other)* 00 (object)
 *   number  := f64 80                   a number, or a bigint that a double holds
 *            | f64 81 u16 byte*         a bigint above the double `f64`, by so much
 *   f64     := eight bytes, big-endian, of positives with the sign bit set, of negatives complemented; NaN as 7FF8… above all
 *   escaped := byte* 00 00              a 00 is written 00 01; so no key is where another begins
 */
import type { SortCriterion } from '../plan/node.ts'
import { compareText } from '../vector/value-order.ts'
import type { EncodedVector, TextVector, Vector } from '../vector/vector.ts'

const NULL_FIRST = 0x01
const NULL_LAST = 0xff
const TAG_FALSE = 0x02
const TAG_TRUE = 0x03
const TAG_NUMBER = 0x10
const TAG_DATE = 0x20
const TAG_STRING = 0x30
const TAG_BYTES = 0x40
const TAG_LIST = 0x50
const TAG_OBJECT = 0x60
const EXACT = 0x80
const ABOVE = 0x81
const depthMax = 500

const utf8 = new TextEncoder()

export class SortKeyEncoder {
  /** Holds the key encoded last, in `[0, size)`; another array after each call, perhaps. */
  bytes: Uint8Array = new Uint8Array(1024)
  #view = new DataView(this.bytes.buffer)
  #at = 0

  /** The key of a row, whose criteria are values of these vectors; returns its size. */
  encode(vectors: readonly Vector[], by: readonly Pick<SortCriterion, 'descending' | 'nullsFirst'>[], row: number): number {
    this.#at = 0
    for (let i = 0; i < vectors.length; i++) {
      const vector = vectors[i] as Vector
      const { descending, nullsFirst } = by[i] as SortCriterion
      const isBytes = vector.kind === 'encoded' && vector.codec.name === 'bytes'
      if (isBytes ? (vector.starts[row] as number) < 0 : vector.isNull(row)) {
        this.#byte(nullsFirst ? NULL_FIRST : NULL_LAST)
        continue
      }
      const from = this.#at
      if (isBytes) {
        this.#byte(TAG_BYTES)
        this.#escaped(vector.bytes, vector.starts[row] as number, vector.ends[row] as number)
      } else if (vector.kind === 'number') this.#number(vector.values[row] as number)
      else if (vector.kind === 'text') {
        this.#byte(TAG_STRING)
        this.#escaped(vector.bytes, vector.starts[row] as number, vector.ends[row] as number)
      } else this.#value(vector.get(row), 0)
      if (descending) for (let b = from; b < this.#at; b++) this.bytes[b] = 0xff ^ (this.bytes[b] as number)
    }
    return this.#at
  }

  #room(size: number): void {
    if (this.#at + size <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.bytes.length, this.#at + size))
    grown.set(this.bytes)
    this.bytes = grown
    this.#view = new DataView(grown.buffer)
  }

  #byte(value: number): void {
    this.#room(1)
    this.bytes[this.#at++] = value
  }

  #float(value: number): void {
    this.#room(8)
    const at = this.#at
    // -0 is 0, and there is one NaN.
    this.#view.setFloat64(at, value === 0 ? 0 : Number.isNaN(value) ? Number.NaN : value)
    const { bytes } = this
    const first = bytes[at] as number
    if (first < 0x80) bytes[at] = first | 0x80
    else for (let b = at; b < at + 8; b++) bytes[b] = 0xff ^ (bytes[b] as number)
    this.#at = at + 8
  }

  #number(value: number): void {
    this.#byte(TAG_NUMBER)
    this.#float(value)
    this.#byte(EXACT)
  }

  #bigint(value: bigint): void {
    const nearest = Number(value)
    const below = floorDouble(value, nearest)
    if (Number.isFinite(below) && BigInt(below) === value) {
      this.#number(below)
      return
    }
    this.#byte(TAG_NUMBER)
    this.#float(below)
    this.#byte(ABOVE)
    // Below all doubles there is nothing to count from but zero: what is further down comes first.
    const isBelowAll = !Number.isFinite(below)
    const digits = (isBelowAll ? -value : value - BigInt(below)).toString(16)
    const size = (digits.length + 1) >> 1
    const flip = isBelowAll ? 0xff : 0
    this.#room(size + 2)
    this.bytes[this.#at++] = (size >>> 8) ^ flip
    this.bytes[this.#at++] = (size & 0xff) ^ flip
    for (let i = digits.length - 2 * size; i < digits.length; i += 2) {
      this.bytes[this.#at++] = Number.parseInt(digits.slice(Math.max(i, 0), i + 2), 16) ^ flip
    }
  }

  #escaped(source: Uint8Array, start: number, end: number): void {
    this.#room(2 * (end - start) + 2)
    this.#at = writeEscaped(source, start, end, this.bytes, this.#at, 0)
  }

  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'number':
        this.#number(value)
        return
      case 'bigint':
        this.#bigint(value)
        return
      case 'boolean':
        this.#byte(value ? TAG_TRUE : TAG_FALSE)
        return
      case 'string': {
        const text = utf8.encode(value)
        this.#byte(TAG_STRING)
        this.#escaped(text, 0, text.length)
        return
      }
      case 'object':
        if (value !== null) this.#object(value, depth)
        else this.#byte(NULL_LAST)
        return
      case 'undefined':
        this.#byte(NULL_LAST)
        return
      default:
        throw new TypeError(`rows cannot be sorted by a ${typeof value}`)
    }
  }

  #object(value: object, depth: number): void {
    if (depth > depthMax) throw new TypeError('rows cannot be sorted by what contains itself')
    if (value instanceof Date) {
      this.#byte(TAG_DATE)
      const ms = value.getTime()
      this.#float(Number.isNaN(ms) ? Number.NEGATIVE_INFINITY : ms)
    } else if (value instanceof Uint8Array) {
      this.#byte(TAG_BYTES)
      this.#escaped(value, 0, value.length)
    } else if (Array.isArray(value)) {
      this.#byte(TAG_LIST)
      for (const element of value) this.#value(element, depth + 1)
      this.#byte(0)
    } else {
      this.#byte(TAG_OBJECT)
      const fields = value as Readonly<Record<string, unknown>>
      const names = Object.keys(fields).filter(name => (fields[name] ?? null) !== null)
      for (const name of names.sort(compareText)) {
        this.#value(name, depth)
        this.#value(fields[name], depth + 1)
      }
      this.#byte(0)
    }
  }
}

/** Writes the bytes escaped at `at`, complemented with a `flip` of FF; returns the position behind them. */
function writeEscaped(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number, flip: number): number {
  let to = at
  for (let i = start; i < end; i++) {
    const byte = source[i] as number
    target[to++] = byte ^ flip
    if (byte === 0) target[to++] = 1 ^ flip
  }
  target[to++] = flip
  target[to++] = flip
  return to
}

/** The vector if its rows' keys can be written by `writeRangeKey`. */
export function rangesOf(vector: Vector): TextVector | EncodedVector | undefined {
  return vector.kind === 'text' || (vector.kind === 'encoded' && vector.codec.name === 'bytes') ? vector : undefined
}

/** Bytes that the key of a range of `size` bytes has at most. */
export function rangeKeyBytesMax(size: number): number {
  return 2 * size + 3
}

/** As `encode` with this criterion alone, of texts or bytes, straight to where the key shall lie; returns the position behind it. */
export function writeRangeKey(
  vector: TextVector | EncodedVector,
  { descending, nullsFirst }: Pick<SortCriterion, 'descending' | 'nullsFirst'>,
  row: number,
  target: Uint8Array,
  at: number,
): number {
  const start = vector.starts[row] as number
  if (start < 0) {
    target[at] = nullsFirst ? NULL_FIRST : NULL_LAST
    return at + 1
  }
  const flip = descending ? 0xff : 0
  target[at] = (vector.kind === 'text' ? TAG_STRING : TAG_BYTES) ^ flip
  return writeEscaped(vector.bytes, start, vector.ends[row] as number, target, at + 1, flip)
}

const float = new Float64Array(1)
const bits = new BigInt64Array(float.buffer)

/** The largest double that is not above the bigint; -Infinity where all are. */
function floorDouble(value: bigint, nearest: number): number {
  if (nearest === Number.POSITIVE_INFINITY) return Number.MAX_VALUE
  if (nearest === Number.NEGATIVE_INFINITY || BigInt(nearest) <= value) return nearest
  float[0] = nearest
  // The next double towards minus infinity; `nearest` is not zero, which is exact.
  bits[0] = (bits[0] as bigint) + (nearest > 0 ? -1n : 1n)
  return float[0] as number
}

/** Negative when `a[aStart, aEnd)` comes first. */
export function compareSortKeys(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const size = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < size; i++) {
    const difference = (a[aStart + i] as number) - (b[bStart + i] as number)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}
