/**
 * How keys and values of a topic become bytes and back. The choices are those of stores, and keys of text by default, so that other Kafka clients read them.
 *
 * Text is handed to the engine as text, which encodes it where it will lie; other encodings are copied into a slab, since a codec's memory holds only until
 * its next use. A null value is a tombstone in every codec, a null key is no key.
 */
import { type CustomValueCodec, readText, type ValueCodec, type ValueCodecName, valueCodecOf } from '../../engine/index.ts'
import { keep } from './slab.ts'

/** The codecs that the options `value` and `keyCodec` can name. */
export type TopicCodecName = ValueCodecName

/** Keys or values of a topic to bytes and back. */
export interface TopicCodec<T = unknown> {
  /** What the topic's definition remembers. */
  readonly name: string
  /** What the engine stores; holds until the records were appended, and longer. TypeError for what cannot be encoded. */
  encode(value: T): string | Uint8Array
  /** The value in `bytes[start, end)`. */
  decode(bytes: Uint8Array, start: number, end: number): T
}

const isWellFormed = (text: string): boolean => (text as unknown as { isWellFormed(): boolean }).isWellFormed()

function textCodec(option: string): TopicCodec<string> {
  return {
    name: 'string',
    encode(value) {
      if (typeof value !== 'string')
        throw new TypeError(`${option} must be a string, since the topic's are 'string', got ${describe(value)}`)
      if (!isWellFormed(value)) throw new TypeError(`${option} must not contain a lone surrogate`)
      return value
    },
    decode: readText,
  }
}

function bytesCodec(option: string): TopicCodec<Uint8Array> {
  return {
    name: 'bytes',
    encode(value) {
      if (!(value instanceof Uint8Array))
        throw new TypeError(`${option} must be a Uint8Array, since the topic's are 'bytes', got ${describe(value)}`)
      return value
    },
    // A view: a copy costs five times what reading the record does, and the slice is the reader's own.
    decode: (bytes, start, end) => bytes.subarray(start, end),
  }
}

/** The codec for `option` ('value' or 'keyCodec'). TypeError naming it. */
export function topicCodecOf<T>(choice: TopicCodecName | CustomValueCodec<T>, option: 'value' | 'keyCodec'): TopicCodec<T> {
  const what = option === 'value' ? 'value' : 'key'
  if (choice === 'string') return textCodec(what) as unknown as TopicCodec<T>
  if (choice === 'bytes') return bytesCodec(what) as unknown as TopicCodec<T>
  if (typeof choice === 'string' && choice !== 'msgpack' && choice !== 'json') {
    throw new TypeError(`${option} must be 'msgpack', 'json', 'string', 'bytes' or a codec, not ${String(choice)}`)
  }
  const codec: ValueCodec<T> = valueCodecOf(choice)
  return {
    name: codec.name,
    encode: value => keep(codec.encode(value)),
    decode: (bytes, start, end) => codec.decode(bytes, start, end),
  }
}

function describe(value: unknown): string {
  return value === null ? 'null' : `${typeof value === 'object' || typeof value === 'undefined' ? 'an' : 'a'} ${typeof value}`
}
