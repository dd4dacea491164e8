/**
 * How a store's keys become bytes: one of three encodings, chosen by the store's option `keys` and kept in its definition. All of them order by memcmp.
 *
 *   'tuple'   every `StoreKey`: null < false < true < numbers and bigints by value < Date < string by UTF-8 bytes < bytes < tuple (docs/FORMAT.md, "Keys of stores")
 *   'string'  strings alone: their UTF-8 bytes
 *   'bytes'   Uint8Arrays alone, as they are
 *
 * Stores, iterators and indexes take a `KeyCodec` and a `KeyEncoder` of their own, and know nothing else about keys. The codecs have no state. The empty string and empty
 * bytes are keys; as raw keys they have no bytes at all.
 */

import { damagedBytes } from '../codec/damage.ts'
import { copyOf, readText } from '../codec/text.ts'
import { decodeKey } from './key-decoder.ts'
import { KeyEncoder } from './key-encoder.ts'
import { KEY_MORE, KEY_SIZE_MAX, KEY_STRING, type StoreKey } from './tuple-format.ts'

export { decodeKey } from './key-decoder.ts'
export { encodeKey, KeyEncoder } from './key-encoder.ts'
export { compareStoreKeys } from './key-order.ts'
export { KEY_SIZE_MAX, type StoreKey } from './tuple-format.ts'

/** The encodings that a store's option `keys` can name. */
export type KeyCodecName = 'tuple' | 'string' | 'bytes'

/** Encoded keys from `start`, inclusive, to `end`, exclusive; without `end`, all from `start` on. */
export interface KeyRange {
  readonly start: Uint8Array
  readonly end: Uint8Array | undefined
}

/** One encoding of keys; `compareStoreKeys` has the order of 'tuple', and so of the others, which hold one type only. */
export interface KeyCodec {
  /** As the store's option `keys` names it. */
  readonly name: KeyCodecName
  /** Encodes into `encoder.bytes` from position 0 and returns the size. TypeError or RangeError naming `key`; `TOO_LARGE` (limit `key`) beyond 64 KiB. */
  encodeInto(encoder: KeyEncoder, key: StoreKey): number
  /** The key in `bytes[start, end)`, referring to none of them; `CORRUPT` when they are no key of this encoding. */
  decode(bytes: Uint8Array, start: number, end: number): StoreKey
  /** As `decode`, of ASCII bytes that are characters `[start, end)` of `text`; undefined for a key that is no text, which `decode` reads. */
  decodeAscii?(text: string, start: number, end: number): StoreKey | undefined
  /**
   * Exactly the keys that begin with `prefix`. A tuple: all tuples whose first elements equal its own. A string or bytes: all strings or bytes that begin with it.
   * TypeError naming `prefix` for any other type.
   */
  prefixRange(prefix: StoreKey): KeyRange
}

/** For prefixes only, which are copied out of it at once. */
const prefixes = new KeyEncoder()

function prefixBytes(codec: KeyCodec, prefix: StoreKey): Uint8Array {
  const size = codec.encodeInto(prefixes, prefix)
  return copyOf(prefixes.bytes, 0, size)
}

/** A key encoded, in memory of its own. Throws what `encodeInto` throws. */
export function keyBytes(codec: KeyCodec, key: StoreKey): Uint8Array {
  return prefixBytes(codec, key)
}

/** The first bytes after all that begin with `start`: none when `start` is FF* . */
function afterAll(start: Uint8Array): Uint8Array | undefined {
  let size = start.length
  while (size > 0 && start[size - 1] === 0xff) size--
  if (size === 0) return undefined
  const end = start.slice(0, size)
  end[size - 1] = (end[size - 1] as number) + 1
  return end
}

function checkSize(start: number, end: number): void {
  if (end - start > KEY_SIZE_MAX) throw damagedBytes('key is too large', start)
}

const tuple: KeyCodec = {
  name: 'tuple',
  encodeInto: (encoder, key) => encoder.encode(key),
  decode: decodeKey,
  decodeAscii: (text, start, end) =>
    text.charCodeAt(start) === KEY_STRING && end - start <= KEY_SIZE_MAX ? text.substring(start + 1, end) : undefined,
  prefixRange(prefix) {
    if (Array.isArray(prefix)) {
      // The next byte of a tuple that goes on is a tag; FF would belong to the last element of the prefix and make it another one.
      const start = prefixBytes(tuple, prefix)
      const end = new Uint8Array(start.length + 1)
      end.set(start)
      end[start.length] = KEY_MORE
      return { start, end }
    }
    if (typeof prefix !== 'string' && !(prefix instanceof Uint8Array))
      throw new TypeError('prefix must be a string, a Uint8Array or a tuple')
    const start = prefixBytes(tuple, prefix)
    return { start, end: afterAll(start) }
  },
}

const string: KeyCodec = {
  name: 'string',
  encodeInto(encoder, key) {
    if (typeof key !== 'string') throw new TypeError("key must be a string, since the store's keys are 'string'")
    return encoder.encodeText(key)
  },
  decode(bytes, start, end) {
    checkSize(start, end)
    return readText(bytes, start, end)
  },
  decodeAscii: (text, start, end) => (end - start <= KEY_SIZE_MAX ? text.substring(start, end) : undefined),
  prefixRange(prefix) {
    if (typeof prefix !== 'string') throw new TypeError("prefix must be a string, since the store's keys are 'string'")
    const start = prefixBytes(string, prefix)
    return { start, end: afterAll(start) }
  },
}

const bytes: KeyCodec = {
  name: 'bytes',
  encodeInto(encoder, key) {
    if (!(key instanceof Uint8Array)) throw new TypeError("key must be a Uint8Array, since the store's keys are 'bytes'")
    return encoder.encodeBytes(key)
  },
  decode(source, start, end) {
    checkSize(start, end)
    return copyOf(source, start, end)
  },
  prefixRange(prefix) {
    if (!(prefix instanceof Uint8Array)) throw new TypeError("prefix must be a Uint8Array, since the store's keys are 'bytes'")
    const start = prefixBytes(bytes, prefix)
    return { start, end: afterAll(start) }
  },
}

const codecs: Readonly<Record<KeyCodecName, KeyCodec>> = { tuple, string, bytes }

/** The codec of a store's option `keys`; TypeError naming the option when there is no such codec. */
export function keyCodecOf(name: KeyCodecName): KeyCodec {
  if (!Object.hasOwn(codecs, name)) throw new TypeError(`keys must be 'tuple', 'string' or 'bytes', not ${String(name)}`)
  return codecs[name]
}
