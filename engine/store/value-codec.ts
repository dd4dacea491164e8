/**
 * How a store's values become bytes: the built-in codecs by name, or the user's own, chosen by the store's option `value` and kept, by name, in its definition.
 *
 * The store encodes once per put and copies the result into its batch at once; it decodes whatever a reader asks for.
 * Invariants: `undefined` is never a value, since a reader says it for "absent"; a decoded value neither pins nor exposes the bytes it came from (texts of a scan pin the text of a block, `decodeAscii`); bytes that a built-in
 * codec could not have written are `CORRUPT` with the cause.
 */

import { damagedBytes } from '../codec/damage.ts'
import { copyOf, hasLoneSurrogate, readText } from '../codec/text.ts'
import { VarveError } from '../errors.ts'
import { MsgpackValues, type ValueStructures } from './msgpack-values.ts'

export { MsgpackValues, sharedStructuresMax, type ValueStructures } from './msgpack-values.ts'

/** Values of one type to bytes and back. */
export interface ValueCodec<V = unknown> {
  /** What the store's definition remembers. */
  readonly name: string
  /** May be a view of the codec's own memory, which holds until its next `encode`: copy it at once. TypeError naming `value` for what cannot be encoded. */
  encode(value: V): Uint8Array
  /** The value in `bytes[start, end)`, independent of them. */
  decode(bytes: Uint8Array, start: number, end: number): V
  /**
   * As `decode`, of ASCII bytes that are characters `[start, end)` of `text`; undefined for what `decode` must read. The value may keep the text in
   * memory. Missing: the codec is none of texts.
   */
  decodeAscii?(text: string, start: number, end: number): V | undefined
  /** Lists of keys that values refer to by number (docs/FORMAT.md, "Values"). Missing: values refer to none. */
  readonly structures?: ValueStructures | undefined
  /** A codec in which a value has one encoding, where this one may have several. Missing: it is this one. */
  readonly plain?: ValueCodec<V> | undefined
}

/** The codecs that the option `value` can name. */
export type ValueCodecName = 'msgpack' | 'json' | 'string' | 'bytes'

/** A codec of the user's. `decode` gets a copy of its own and may keep it; what either function throws reaches the caller as it is. */
export interface CustomValueCodec<V = unknown> {
  /** Not empty, not one of the built-in names; compared when the store is opened again. */
  readonly name: string
  /** The value as bytes; the store copies them at once. */
  encode(value: V): Uint8Array
  /** The value of these bytes, which are of the codec’s own. */
  decode(bytes: Uint8Array): V
}

/** Text is encoded here: the store copies it at once. Grows for a large value and is let go after it. */
let scratch: Buffer = Buffer.allocUnsafeSlow(16 * 1024)
const scratchBytesKept = 1 << 20

/** UTF-8 of the text, as a view that holds until the next call; refuses lone surrogates, which have none. */
function encodeText(text: string): Uint8Array {
  const need = text.length * 3
  if (need > scratch.length) scratch = Buffer.allocUnsafeSlow(2 * need)
  const { buffer } = scratch
  const size = scratch.write(text, 0)
  // ASCII alone has as many bytes as units, and no surrogates.
  if (size !== text.length && hasLoneSurrogate(text)) throw new TypeError('value must not contain a lone surrogate')
  if (need > scratchBytesKept) scratch = Buffer.allocUnsafeSlow(16 * 1024)
  return new Uint8Array(buffer, 0, size)
}

const json: ValueCodec = {
  name: 'json',
  encode(value) {
    refuseUndefined(value)
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (cause) {
      throw new TypeError(`value cannot be written as JSON: ${messageOf(cause)}`, { cause })
    }
    if (text === undefined) throw new TypeError(`value cannot be written as JSON: it is a ${typeof value}, or its toJSON returns undefined`)
    return encodeText(text)
  },
  decode(bytes, start, end) {
    const text = readText(bytes, start, end)
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw damagedBytes('value is not JSON', start, {}, cause)
    }
  },
  decodeAscii(text, start, end) {
    try {
      return JSON.parse(text.substring(start, end))
    } catch {
      return undefined // `decode` says where
    }
  },
}

const string: ValueCodec<string> = {
  name: 'string',
  encode(value) {
    refuseUndefined(value)
    if (typeof value !== 'string') throw new TypeError("value must be a string, since the store's values are 'string'")
    return encodeText(value)
  },
  decode: readText,
  decodeAscii: (text, start, end) => text.substring(start, end),
}

const bytes: ValueCodec<Uint8Array> = {
  name: 'bytes',
  encode(value) {
    refuseUndefined(value)
    if (!(value instanceof Uint8Array)) throw new TypeError("value must be a Uint8Array, since the store's values are 'bytes'")
    return value
  },
  decode: copyOf,
}

/** A codec for the option `value`, by default 'msgpack'; of its own for each caller where it has state. TypeError naming the option for anything else. */
export function valueCodecOf<V = unknown>(choice: ValueCodecName | CustomValueCodec<V> = 'msgpack'): ValueCodec<V> {
  if (typeof choice === 'object' && choice !== null) return customCodec(choice)
  const codec = builtIn(choice)
  if (codec === undefined) throw new TypeError(`value must be 'msgpack', 'json', 'string', 'bytes' or a codec, not ${String(choice)}`)
  return codec as unknown as ValueCodec<V>
}

/** What the definition of a store says of msgpack values that share structures. As the option `value` it is none. */
export const sharingCodecName = 'msgpack-structures'

/**
 * The codec for a store whose definition names `stored`: the caller's, if he gives one, which must be that one (`checkSameStore`), or the one that is named.
 * `structures` is asked when values share them. A codec of the user's own is not stored: CODEC_MISSING, it must be given at each opening.
 */
export function openCodec<V>(
  stored: string,
  choice: ValueCodecName | CustomValueCodec<V> | undefined,
  structures: () => ValueStructures,
): ValueCodec<V> {
  if (stored === sharingCodecName && (choice === undefined || choice === 'msgpack')) {
    return new MsgpackValues({ structures: structures() }) as ValueCodec<unknown> as ValueCodec<V>
  }
  return valueCodecOf(choice ?? storedCodec(stored))
}

function storedCodec(name: string): ValueCodecName {
  if (builtIn(name) !== undefined) return name as ValueCodecName
  throw new VarveError('CODEC_MISSING', `values are encoded by '${name}': give this codec as the option value`, {
    details: { option: 'value', expected: name },
  })
}

function builtIn(name: string): ValueCodec | ValueCodec<string> | ValueCodec<Uint8Array> | undefined {
  switch (name) {
    case 'msgpack':
      return new MsgpackValues()
    case 'json':
      return json
    case 'string':
      return string
    case 'bytes':
      return bytes
    default:
      return undefined
  }
}

function customCodec<V>(custom: CustomValueCodec<V>): ValueCodec<V> {
  const { name } = custom
  if (typeof name !== 'string' || name === '') throw new TypeError('value.name must be a non-empty string')
  if (builtIn(name) !== undefined || name === sharingCodecName)
    throw new TypeError(`value.name must not be that of a built-in codec, ${name}`)
  if (typeof custom.encode !== 'function') throw new TypeError('value.encode must be a function')
  if (typeof custom.decode !== 'function') throw new TypeError('value.decode must be a function')
  return {
    name,
    encode(value) {
      refuseUndefined(value)
      const encoded: unknown = custom.encode(value)
      if (!(encoded instanceof Uint8Array)) throw new TypeError(`value.encode of codec ${name} must return a Uint8Array`)
      return encoded
    },
    decode: (source, start, end) => custom.decode(copyOf(source, start, end)),
  }
}

function refuseUndefined(value: unknown): void {
  if (value === undefined) throw new TypeError('value must not be undefined')
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
