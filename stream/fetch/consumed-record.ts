/**
 * A record as a consumer sees it. Key and value are decoded when they are asked for, from the bytes of the slice that was read, and then kept.
 *
 * A record keeps its slice alive (up to `maxBytes` of a fetch), and so does a key or value of the codec 'bytes', which is a view of it: copy what is kept
 * for long. Nobody writes to a slice again.
 */
import type { RecordHeader } from '../../engine/index.ts'
import type { TopicCodec } from '../codec/topic-codec.ts'
import { expiresAtOf } from './expiry.ts'

/** What the records of one slice share. */
export interface RecordSource<V = unknown, K = unknown> {
  readonly topic: string
  readonly partition: number
  readonly keys: TopicCodec<K>
  readonly values: TopicCodec<V>
}

const notDecoded: unique symbol = Symbol('not decoded')
export const noHeaders: readonly RecordHeader[] = Object.freeze([])

/** One record as a consumer gets it. */
export class ConsumedRecord<V = unknown, K = unknown> {
  /** Position in its partition. */
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
  readonly #source: RecordSource<V, K>
  readonly #bytes: Uint8Array
  readonly #keyStart: number
  readonly #keySize: number
  readonly #valueStart: number
  readonly #valueSize: number
  #value: V | null | typeof notDecoded = notDecoded

  constructor(
    source: RecordSource<V, K>,
    bytes: Uint8Array,
    offset: number,
    timestamp: number,
    keyStart: number,
    keySize: number,
    valueStart: number,
    valueSize: number,
    headers: readonly RecordHeader[],
  ) {
    this.offset = offset
    this.timestamp = timestamp
    this.headers = headers
    this.#source = source
    this.#bytes = bytes
    this.#keyStart = keyStart
    this.#keySize = keySize
    this.#valueStart = valueStart
    this.#valueSize = valueSize
  }

  /** Name of the topic. */
  get topic(): string {
    return this.#source.topic
  }
  /** Number of the partition, from 0. */
  get partition(): number {
    return this.#source.partition
  }
  /** null when the record has none. CORRUPT, or what the codec throws, when it cannot be decoded. */
  get key(): K | null {
    const size = this.#keySize
    return size < 0 ? null : this.#source.keys.decode(this.#bytes, this.#keyStart, this.#keyStart + size)
  }
  /** null for a tombstone. The same object each time. */
  get value(): V | null {
    if (this.#value === notDecoded) {
      const size = this.#valueSize
      this.#value = size < 0 ? null : this.#source.values.decode(this.#bytes, this.#valueStart, this.#valueStart + size)
    }
    return this.#value as V | null
  }
  /** The key's bytes; a view, see the head of this file. */
  get keyBytes(): Uint8Array | null {
    return this.#keySize < 0 ? null : this.#bytes.subarray(this.#keyStart, this.#keyStart + this.#keySize)
  }
  /** The value's bytes; a view, see the head of this file. */
  get valueBytes(): Uint8Array | null {
    return this.#valueSize < 0 ? null : this.#bytes.subarray(this.#valueStart, this.#valueStart + this.#valueSize)
  }
  /** Bytes of key and value as they are stored. */
  get size(): number {
    return Math.max(0, this.#keySize) + Math.max(0, this.#valueSize)
  }
  /** When it expires, milliseconds since 1970; undefined: never. */
  get expiresAt(): number | undefined {
    return expiresAtOf(this.headers)
  }
  /** The text of the first header of this name; undefined when there is none. */
  header(key: string): string | undefined {
    const found = this.headers.find(header => header.key === key)
    return found?.value == null ? undefined : decoder.decode(found.value)
  }
}

const decoder = new TextDecoder()
