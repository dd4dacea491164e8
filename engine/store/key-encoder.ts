/**
 * Store keys to bytes whose memcmp order is the order of the keys. The grammar and the order stand in tuple-format.ts and docs/FORMAT.md, "Keys of stores".
 *
 * A `KeyEncoder` belongs to one store handle or table and is used again for each key: `encode` writes from position 0 of `bytes` and returns the size. A key costs no
 * object, except for bigints beyond 64 bits, numbers beyond 2^64 and long text that is not ASCII.
 * Invariant: after an exception the encoder is as usable as before; `bytes` is replaced, never detached, when it grows.
 */

import { copyBytes } from '../batch/bytes.ts'
import { copyOf, hasLoneSurrogate } from '../codec/text.ts'
import { VarveError } from '../errors.ts'
import {
  KEY_BYTES,
  KEY_DATE,
  KEY_DEPTH_MAX,
  KEY_END,
  KEY_FALSE,
  KEY_INFINITY,
  KEY_INTEGER_BYTES_MAX,
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

/** Text of so many characters is encoded by a loop; longer text by the platform. */
const loopCharactersMax = 64
/** Room for the longest text that the loop writes: the first allocation has it, so the loop for ASCII need not ask. */
const bytesMin = 256
const power32 = 2 ** 32
const power64 = 2 ** 64

const utf8 = new TextEncoder()
const float = new DataView(new ArrayBuffer(8))

/** Encodes keys one after another into memory of its own. */
export class KeyEncoder {
  /** Holds the key encoded last; only as many bytes as `encode` returned. Another array after each call, perhaps: read it after, not before. */
  bytes: Uint8Array = new Uint8Array(bytesMin)
  /** Where the next byte goes. */
  #position = 0

  /** Encodes a key in the tuple order and returns its size. TypeError or RangeError for what is no key, `TOO_LARGE` (limit `key`) beyond 64 KiB. */
  encode(key: StoreKey): number {
    if (typeof key === 'string') {
      const { length } = key
      if (length <= loopCharactersMax) {
        const { bytes } = this
        bytes[0] = KEY_STRING
        let i = 0
        for (; i < length; i++) {
          const unit = key.charCodeAt(i)
          if (unit >= 0x80) break
          bytes[i + 1] = unit
        }
        if (i === length) return length + 1
      }
      this.#position = 0
      this.#byte(KEY_STRING)
      this.#text(key, false)
    } else {
      this.#position = 0
      if (key instanceof Uint8Array) {
        this.#byte(KEY_BYTES)
        this.#raw(key, false)
      } else if (Array.isArray(key)) {
        this.#tuple(key, 1)
      } else {
        this.#scalar(key as number | bigint | boolean | null | Date)
      }
    }
    return this.#finish()
  }

  /** Encodes the UTF-8 of a text alone, without tag or end. TypeError for a lone surrogate. */
  encodeText(text: string): number {
    const { length } = text
    if (length <= loopCharactersMax) {
      const { bytes } = this
      let i = 0
      for (; i < length; i++) {
        const unit = text.charCodeAt(i)
        if (unit >= 0x80) break
        bytes[i] = unit
      }
      if (i === length) return length
    }
    this.#position = 0
    this.#text(text, false)
    return this.#finish()
  }

  /** Copies bytes as they are. */
  encodeBytes(source: Uint8Array): number {
    this.#position = 0
    this.#raw(source, false)
    return this.#finish()
  }

  /** Makes room for `size` more bytes; refuses only what cannot become a key, since callers ask for the worst case. */
  #room(size: number): void {
    const needed = this.#position + size
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes)
    this.bytes = grown
  }

  #finish(): number {
    const size = this.#position
    if (size > KEY_SIZE_MAX) throw tooLarge(size)
    return size
  }

  #byte(value: number): void {
    this.#room(1)
    this.bytes[this.#position++] = value
  }

  #tuple(elements: readonly StoreKey[], depth: number): void {
    if (depth > KEY_DEPTH_MAX) throw new RangeError(`key must not nest tuples more than ${KEY_DEPTH_MAX} deep`)
    this.#byte(KEY_TUPLE)
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i] as StoreKey
      if (typeof element === 'string') {
        this.#byte(KEY_STRING)
        this.#text(element, true)
        this.#byte(KEY_END)
      } else if (element instanceof Uint8Array) {
        this.#byte(KEY_BYTES)
        this.#raw(element, true)
        this.#byte(KEY_END)
      } else if (Array.isArray(element)) {
        this.#tuple(element, depth + 1)
        this.#byte(KEY_END)
      } else {
        this.#scalar(element as number | bigint | boolean | null | Date)
      }
      if (this.#position > KEY_SIZE_MAX) throw tooLarge(this.#position)
    }
  }

  #scalar(key: number | bigint | boolean | null | Date): void {
    if (typeof key === 'number') this.#number(key)
    else if (typeof key === 'bigint') this.#bigint(key)
    else if (key === null) this.#byte(KEY_NULL)
    else if (key === true) this.#byte(KEY_TRUE)
    else if (key === false) this.#byte(KEY_FALSE)
    else if (key instanceof Date) this.#date(key.getTime())
    else throw notAKey(key)
  }

  /** `escaped`: inside a tuple, where 00 is written 00 FF. */
  #text(text: string, escaped: boolean): void {
    const { length } = text
    if (length > KEY_SIZE_MAX) throw tooLarge(length)
    this.#room(length * 3)
    const { bytes } = this
    if (length > loopCharactersMax && !(escaped && text.includes('\0'))) {
      if (hasLoneSurrogate(text)) throw loneSurrogate()
      this.#position += utf8.encodeInto(text, this.#position === 0 ? bytes : bytes.subarray(this.#position)).written
      return
    }
    let at = this.#position
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit < 0x80) {
        bytes[at++] = unit
        if (unit === 0 && escaped) bytes[at++] = KEY_MORE
      } else if (unit < 0x800) {
        bytes[at++] = 0xc0 | (unit >> 6)
        bytes[at++] = 0x80 | (unit & 0x3f)
      } else if (unit < 0xd800 || unit > 0xdfff) {
        bytes[at++] = 0xe0 | (unit >> 12)
        bytes[at++] = 0x80 | ((unit >> 6) & 0x3f)
        bytes[at++] = 0x80 | (unit & 0x3f)
      } else {
        const low = unit < 0xdc00 && ++i < length ? text.charCodeAt(i) : 0
        if (low < 0xdc00 || low > 0xdfff) throw loneSurrogate()
        const point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
        bytes[at++] = 0xf0 | (point >> 18)
        bytes[at++] = 0x80 | ((point >> 12) & 0x3f)
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
        bytes[at++] = 0x80 | (point & 0x3f)
      }
    }
    this.#position = at
  }

  #raw(source: Uint8Array, escaped: boolean): void {
    const { length } = source
    if (length > KEY_SIZE_MAX) throw tooLarge(length)
    this.#room(escaped ? length * 2 : length)
    if (!escaped) {
      this.#position = copyBytes(source, length, this.bytes, this.#position)
      return
    }
    const { bytes } = this
    let at = this.#position
    for (let i = 0; i < length; i++) {
      const byte = source[i] as number
      bytes[at++] = byte
      if (byte === 0) bytes[at++] = KEY_MORE
    }
    this.#position = at
  }

  #number(value: number): void {
    if (Number.isNaN(value)) throw new TypeError('key must not be NaN')
    const magnitude = value < 0 ? 0 - value : value
    if (magnitude === Number.POSITIVE_INFINITY) this.#byte(value < 0 ? KEY_MINUS_INFINITY : KEY_INFINITY)
    else if (magnitude >= power64) this.#bigint(BigInt(value))
    else {
      const whole = Math.floor(magnitude)
      const fraction = magnitude - whole
      // The integer below or at the number is written, and how far above or, of negative ones, below the next it lies: so both ends of the axis sort alike.
      this.#integer(value < 0, fraction !== 0 && value < 0 ? whole + 1 : whole)
      if (fraction !== 0) this.#fraction(fraction, value < 0)
    }
  }

  /** `magnitude` is a whole number below 2^64. */
  #integer(negative: boolean, magnitude: number): void {
    const high = Math.floor(magnitude / power32)
    this.#words(negative, high, magnitude - high * power32)
  }

  #words(negative: boolean, high: number, low: number): void {
    this.#room(9)
    const size = high === 0 ? wordSize(low) : 4 + wordSize(high)
    const flip = negative ? 0xff : 0
    const { bytes } = this
    let at = this.#position
    bytes[at++] = negative ? KEY_ZERO - size : KEY_ZERO + size
    for (let i = size; i > 4; i--) bytes[at++] = (high >>> ((i - 5) * 8)) ^ flip
    for (let i = Math.min(size, 4); i > 0; i--) bytes[at++] = (low >>> ((i - 1) * 8)) ^ flip
    this.#position = at
  }

  #fraction(fraction: number, negative: boolean): void {
    this.#room(9)
    float.setFloat64(0, fraction)
    const flip = negative ? 0xff : 0
    this.bytes[this.#position++] = KEY_MORE
    for (let i = 0; i < 8; i++) this.bytes[this.#position++] = float.getUint8(i) ^ flip
  }

  #bigint(value: bigint): void {
    const negative = value < 0n
    const magnitude = negative ? -value : value
    if (magnitude < 0x1_0000_0000_0000_0000n) {
      this.#words(negative, Number(magnitude >> 32n), Number(magnitude & 0xffff_ffffn))
      return
    }
    const digits = magnitude.toString(16)
    const size = (digits.length + 1) >> 1
    if (size > KEY_INTEGER_BYTES_MAX) {
      throw new VarveError('TOO_LARGE', `key holds a bigint of ${size} bytes, more than ${KEY_INTEGER_BYTES_MAX}`, {
        details: { limit: 'key', actual: size, expected: KEY_INTEGER_BYTES_MAX },
      })
    }
    this.#room(2 + size)
    const flip = negative ? 0xff : 0
    const { bytes } = this
    bytes[this.#position++] = negative ? KEY_NEGATIVE_LARGE : KEY_POSITIVE_LARGE
    bytes[this.#position++] = size ^ flip
    for (let i = digits.length - 2 * size; i < digits.length; i += 2) {
      bytes[this.#position++] = Number.parseInt(digits.slice(Math.max(i, 0), i + 2), 16) ^ flip
    }
  }

  #date(ms: number): void {
    if (Number.isNaN(ms)) throw new TypeError('key must not be an invalid Date')
    this.#room(9)
    const { bytes } = this
    const high = Math.floor(ms / power32)
    const low = ms - high * power32
    let at = this.#position
    bytes[at++] = KEY_DATE
    for (let i = 24; i >= 0; i -= 8) bytes[at++] = (high ^ 0x8000_0000) >>> i
    for (let i = 24; i >= 0; i -= 8) bytes[at++] = low >>> i
    this.#position = at
  }
}

/** Bytes of a u32 without leading zeros; 0 has none. */
function wordSize(word: number): number {
  if (word < 0x1_0000) return word === 0 ? 0 : word < 0x100 ? 1 : 2
  return word < 0x100_0000 ? 3 : 4
}

function tooLarge(size: number): VarveError {
  return new VarveError('TOO_LARGE', `key has ${size} bytes, more than ${KEY_SIZE_MAX}`, {
    details: { limit: 'key', actual: size, expected: KEY_SIZE_MAX },
  })
}

function loneSurrogate(): TypeError {
  return new TypeError('key must not contain a lone surrogate')
}

/** What the caller hears about a value that is no key; shared with `compareStoreKeys`. */
export function notAKey(value: unknown): TypeError {
  if (value === undefined) return new TypeError('key must not be undefined')
  const actual = typeof value === 'object' ? 'another object' : `a ${typeof value}`
  return new TypeError(`key must be a string, number, bigint, boolean, null, Date, Uint8Array or an array of these, not ${actual}`)
}

const shared = new KeyEncoder()

/** The tuple encoding of a key, as a copy. */
export function encodeKey(key: StoreKey): Uint8Array {
  const size = shared.encode(key)
  return copyOf(shared.bytes, 0, size)
}
