/**
 * Bytes to store keys: the reverse of key-encoder.ts, for the grammar in tuple-format.ts.
 *
 * Called for each key that a reader hands out. Bytes that the encoder could not have written are `CORRUPT`, so a key that decodes encodes to the same bytes again.
 * Invariants: a decoded integer within ±(2^53 - 1) is a number, any other a bigint, a fraction a number; nothing returned refers to the bytes given.
 */

import { damagedBytes } from '../codec/damage.ts'
import { copyOf, readText } from '../codec/text.ts'
import { assert, type VarveError } from '../errors.ts'
import {
  KEY_BYTES,
  KEY_DATE,
  KEY_DATE_MS_MAX,
  KEY_DEPTH_MAX,
  KEY_END,
  KEY_FALSE,
  KEY_INFINITY,
  KEY_MINUS_INFINITY,
  KEY_MORE,
  KEY_NEGATIVE_LARGE,
  KEY_NULL,
  KEY_POSITIVE_LARGE,
  KEY_SIZE_MAX,
  KEY_STRING,
  KEY_TRUE,
  KEY_TUPLE,
  KEY_ZERO,
  type StoreKey,
} from './tuple-format.ts'

const power32 = 2 ** 32
const float = new DataView(new ArrayBuffer(8))

/** The position after the element that `readElement` or `readNumber` read last; taken at once by its caller. */
let next = 0

/** The key whose tuple encoding is `bytes[start, end)`; `CORRUPT` when there is none. */
export function decodeKey(bytes: Uint8Array, start: number, end: number): StoreKey {
  assert(start >= 0 && start <= end && end <= bytes.length, 'a key lies inside its bytes', start, end)
  if (end - start > KEY_SIZE_MAX) throw damagedBytes('key is too large', start)
  if (start === end) throw damagedBytes('key is empty', start)
  const tag = bytes[start] as number
  if (tag === KEY_STRING) return readText(bytes, start + 1, end)
  if (tag === KEY_BYTES) return copyOf(bytes, start + 1, end)
  if (tag === KEY_TUPLE) {
    const elements: StoreKey[] = []
    for (let at = start + 1; at < end; at = next) elements.push(readElement(bytes, at, end, 1))
    return elements
  }
  const key = readScalar(bytes, start, end)
  if (next !== end) throw damagedBytes('key has bytes after its end', next)
  return key
}

/** An element of a tuple that lies `depth` tuples deep. */
function readElement(bytes: Uint8Array, start: number, end: number, depth: number): StoreKey {
  const tag = bytes[start] as number
  if (tag === KEY_STRING || tag === KEY_BYTES) return readEscaped(bytes, start + 1, end, tag === KEY_STRING)
  if (tag !== KEY_TUPLE) return readScalar(bytes, start, end)
  if (depth === KEY_DEPTH_MAX) throw damagedBytes('key nests tuples too deep', start)
  const elements: StoreKey[] = []
  let at = start + 1
  while (at < end && bytes[at] !== KEY_END) {
    elements.push(readElement(bytes, at, end, depth + 1))
    at = next
  }
  if (at >= end) throw cutOff(start)
  next = at + 1
  return elements
}

function readEscaped(bytes: Uint8Array, start: number, end: number, text: boolean): string | Uint8Array {
  let escapes = 0
  let at = start
  for (; ; at++) {
    if (at >= end) throw cutOff(start)
    if (bytes[at] !== KEY_END) continue
    if (at + 1 >= end || bytes[at + 1] !== KEY_MORE) break
    escapes++
    at++
  }
  next = at + 1
  if (escapes === 0) return text ? readText(bytes, start, at) : copyOf(bytes, start, at)
  const plain = new Uint8Array(at - start - escapes)
  for (let from = start, to = 0; from < at; from++) {
    const byte = (plain[to++] = bytes[from] as number)
    if (byte === KEY_END) from++
  }
  if (!text) return plain
  // A reason of its own, so that the position is one of the bytes given and not of the copy.
  try {
    return readText(plain, 0, plain.length)
  } catch (cause) {
    throw damagedBytes('text is not UTF-8', start, {}, cause)
  }
}

function readScalar(bytes: Uint8Array, start: number, end: number): number | bigint | boolean | null | Date {
  const tag = bytes[start] as number
  next = start + 1
  if (tag >= KEY_NEGATIVE_LARGE && tag <= KEY_POSITIVE_LARGE) return readNumber(bytes, tag, start, end)
  switch (tag) {
    case KEY_NULL:
      return null
    case KEY_FALSE:
      return false
    case KEY_TRUE:
      return true
    case KEY_MINUS_INFINITY:
      return Number.NEGATIVE_INFINITY
    case KEY_INFINITY:
      return Number.POSITIVE_INFINITY
    case KEY_DATE:
      return readDate(bytes, start, end)
    default:
      throw damagedBytes('no key begins with this byte', start, { actual: tag })
  }
}

function readDate(bytes: Uint8Array, start: number, end: number): Date {
  if (end - start < 9) throw cutOff(start)
  const ms = ((word(bytes, start + 1, 4, 0) ^ 0x8000_0000) | 0) * power32 + word(bytes, start + 5, 4, 0)
  if (!(ms >= -KEY_DATE_MS_MAX && ms <= KEY_DATE_MS_MAX)) throw damagedBytes('key holds a date out of range', start)
  next = start + 9
  return new Date(ms)
}

function readNumber(bytes: Uint8Array, tag: number, start: number, end: number): number | bigint {
  const negative = tag < KEY_ZERO
  const flip = negative ? 0xff : 0
  if (tag === KEY_NEGATIVE_LARGE || tag === KEY_POSITIVE_LARGE) return readLarge(bytes, negative, start, end)
  const size = negative ? KEY_ZERO - tag : tag - KEY_ZERO
  const from = start + 1
  if (end - from < size) throw cutOff(start)
  if (size > 0 && bytes[from] === flip) throw damagedBytes('key holds an integer with a leading zero', from)
  const high = size > 4 ? word(bytes, from, size - 4, flip) : 0
  const low = size > 4 ? word(bytes, from + size - 4, 4, flip) : word(bytes, from, size, flip)
  const magnitude = high * power32 + low
  next = from + size
  if (next < end && bytes[next] === KEY_MORE) return readFraction(bytes, negative, magnitude, next, end)
  if (magnitude <= Number.MAX_SAFE_INTEGER) return negative ? 0 - magnitude : magnitude
  const exact = (BigInt(high) << 32n) | BigInt(low)
  return negative ? -exact : exact
}

function readFraction(bytes: Uint8Array, negative: boolean, integer: number, start: number, end: number): number {
  if (end - start < 9) throw cutOff(start)
  const flip = negative ? 0xff : 0
  for (let i = 0; i < 8; i++) float.setUint8(i, (bytes[start + 1 + i] as number) ^ flip)
  const fraction = float.getFloat64(0)
  const whole = negative ? integer - 1 : integer
  const magnitude = whole + fraction
  // Holds for what the encoder wrote and for nothing else: the sum is exact and the fraction below 1.
  if (!(fraction > 0 && fraction < 1) || Math.floor(magnitude) !== whole || magnitude - whole !== fraction) {
    throw damagedBytes('key holds a fraction that is none', start)
  }
  next = start + 9
  return negative ? 0 - magnitude : magnitude
}

function readLarge(bytes: Uint8Array, negative: boolean, start: number, end: number): bigint {
  const flip = negative ? 0xff : 0
  if (end - start < 2) throw cutOff(start)
  const size = (bytes[start + 1] as number) ^ flip
  const from = start + 2
  if (end - from < size) throw cutOff(start)
  if (size <= 8 || bytes[from] === flip) throw damagedBytes('key holds a large integer that is not large', start)
  let digits = '0x'
  for (let i = from; i < from + size; i++) digits += ((bytes[i] as number) ^ flip).toString(16).padStart(2, '0')
  next = from + size
  return negative ? -BigInt(digits) : BigInt(digits)
}

/** Up to four bytes, big-endian. */
function word(bytes: Uint8Array, start: number, size: number, flip: number): number {
  let value = 0
  for (let i = start; i < start + size; i++) value = value * 256 + ((bytes[i] as number) ^ flip)
  return value
}

function cutOff(position: number): VarveError {
  return damagedBytes('key is cut off', position)
}
