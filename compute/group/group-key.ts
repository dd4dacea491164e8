/**
 * Values to bytes such that equal values (`value-order.ts`) and only they have equal bytes, and back: how a group table keeps keys that are not just numbers or just text, and how
 * `distinct` tells rows apart. In memory and in spill files of one job only, so the layout is nobody's format.
 *
 *   value := 00                        null
 *          | 01 | 02                   false, true
 *          | 03 f64                    number, and a bigint that a double holds; -0 as 0, NaN as one NaN
 *          | 04 u32 text               any other bigint, in decimal
 *          | 05 u32 utf8               string
 *          | 06 f64                    Date
 *          | 07 u32 byte*              bytes
 *          | 08 u32 value*             list
 *          | 09 u32 (u32 utf8 value)*  object: fields that have something, in order of their names
 */
import { readText } from '../../engine/index.ts'
import { compareText } from '../vector/value-order.ts'
import type { Vector } from '../vector/vector.ts'

const TAG_NULL = 0
const TAG_FALSE = 1
const TAG_TRUE = 2
const TAG_NUMBER = 3
const TAG_BIGINT = 4
const TAG_STRING = 5
const TAG_DATE = 6
const TAG_BYTES = 7
const TAG_LIST = 8
const TAG_OBJECT = 9
const depthMax = 500

const encoder = new TextEncoder()
let bytes = new Uint8Array(1024)
let view = new DataView(bytes.buffer)

/** Where `encodeGroupKey` writes; another array after each call, perhaps. */
export function groupKeyBytes(): Uint8Array {
  return bytes
}

function room(at: number, size: number): void {
  if (at + size <= bytes.length) return
  const grown = new Uint8Array(Math.max(2 * bytes.length, at + size))
  grown.set(bytes)
  bytes = grown
  view = new DataView(bytes.buffer)
}

/** Whether a double holds the bigint. */
export function isDouble(value: bigint): boolean {
  const number = Number(value)
  return Number.isFinite(number) && BigInt(number) === value
}

/** Writes a value from `at` on and returns the position after it. TypeError for what cannot be compared: functions, symbols, cycles. */
export function encodeGroupKey(value: unknown, at: number, depth: number = 0): number {
  room(at, 16)
  switch (typeof value) {
    case 'undefined':
      bytes[at] = TAG_NULL
      return at + 1
    case 'boolean':
      bytes[at] = value ? TAG_TRUE : TAG_FALSE
      return at + 1
    case 'number':
      return writeNumber(value, at)
    case 'bigint':
      return isDouble(value) ? writeNumber(Number(value), at) : writeText(TAG_BIGINT, String(value), at)
    case 'string':
      return writeText(TAG_STRING, value, at)
    case 'object':
      return writeObject(value, at, depth)
    default:
      throw new TypeError(`a key must not contain a ${typeof value}`)
  }
}

/** As `encodeGroupKey`, of a row of a vector, without making a string of a text. */
export function encodeGroupKeyOf(vector: Vector, row: number, at: number): number {
  if (vector.kind === 'text') {
    const start = vector.starts[row] as number
    if (start < 0) return encodeGroupKey(null, at)
    const size = (vector.ends[row] as number) - start
    room(at, size + 5)
    bytes[at] = TAG_STRING
    view.setUint32(at + 1, size)
    if (size <= 16) for (let i = 0; i < size; i++) bytes[at + 5 + i] = vector.bytes[start + i] as number
    else bytes.set(vector.bytes.subarray(start, start + size), at + 5)
    return at + 5 + size
  }
  return encodeGroupKey(vector.get(row), at)
}

function writeNumber(value: number, at: number): number {
  bytes[at] = TAG_NUMBER
  view.setFloat64(at + 1, value === 0 ? 0 : Number.isNaN(value) ? Number.NaN : value)
  return at + 9
}

function writeText(tag: number, text: string, at: number): number {
  room(at, 5 + 3 * text.length)
  bytes[at] = tag
  const size = encoder.encodeInto(text, bytes.subarray(at + 5)).written
  view.setUint32(at + 1, size)
  return at + 5 + size
}

function writeObject(value: object | null, at: number, depth: number): number {
  if (value === null) {
    bytes[at] = TAG_NULL
    return at + 1
  }
  if (value instanceof Date) {
    bytes[at] = TAG_DATE
    view.setFloat64(at + 1, value.getTime())
    return at + 9
  }
  if (value instanceof Uint8Array) {
    room(at, 5 + value.length)
    bytes[at] = TAG_BYTES
    view.setUint32(at + 1, value.length)
    bytes.set(value, at + 5)
    return at + 5 + value.length
  }
  if (depth > depthMax) throw new TypeError('a key must not contain itself')
  if (Array.isArray(value)) {
    bytes[at] = TAG_LIST
    view.setUint32(at + 1, value.length)
    let position = at + 5
    for (const element of value) position = encodeGroupKey(element, position, depth + 1)
    return position
  }
  const names = Object.keys(value)
    .filter(name => ((value as Readonly<Record<string, unknown>>)[name] ?? null) !== null)
    .sort(compareText)
  bytes[at] = TAG_OBJECT
  view.setUint32(at + 1, names.length)
  let position = at + 5
  for (const name of names) {
    room(position, 16)
    position = writeText(TAG_STRING, name, position)
    position = encodeGroupKey((value as Readonly<Record<string, unknown>>)[name], position, depth + 1)
  }
  return position
}

/** Position after the value that `decodeGroupKey` read last. */
let groupKeyEnd = 0

/** The value at `at`; of a bigint that a double holds the number. */
export function decodeGroupKey(source: Uint8Array, at: number): unknown {
  const from = new DataView(source.buffer, source.byteOffset, source.byteLength)
  switch (source[at]) {
    case TAG_FALSE:
    case TAG_TRUE:
      groupKeyEnd = at + 1
      return source[at] === TAG_TRUE
    case TAG_NUMBER:
    case TAG_DATE: {
      groupKeyEnd = at + 9
      const number = from.getFloat64(at + 1)
      return source[at] === TAG_DATE ? new Date(number) : number
    }
    case TAG_BIGINT:
    case TAG_STRING: {
      groupKeyEnd = at + 5 + from.getUint32(at + 1)
      const text = readText(source, at + 5, groupKeyEnd)
      return source[at] === TAG_STRING ? text : BigInt(text)
    }
    case TAG_BYTES:
      groupKeyEnd = at + 5 + from.getUint32(at + 1)
      return source.slice(at + 5, groupKeyEnd)
    case TAG_LIST: {
      const count = from.getUint32(at + 1)
      const list: unknown[] = []
      groupKeyEnd = at + 5
      for (let i = 0; i < count; i++) list.push(decodeGroupKey(source, groupKeyEnd))
      return list
    }
    case TAG_OBJECT: {
      const count = from.getUint32(at + 1)
      const object: Record<string, unknown> = {}
      groupKeyEnd = at + 5
      for (let i = 0; i < count; i++) {
        const name = decodeGroupKey(source, groupKeyEnd) as string
        object[name] = decodeGroupKey(source, groupKeyEnd)
      }
      return object
    }
    default:
      groupKeyEnd = at + 1
      return null
  }
}
