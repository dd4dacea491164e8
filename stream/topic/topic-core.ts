/**
 * What all handles of one topic share: its definition, its partitions' logs, its codecs, and the way from what a user sends to a record of the engine.
 *
 * Made by `topics.ts`, one a topic. Invariant: partitions are numbered from 0 without gaps and never fewer than the definition says.
 */
import { type DefinedLog, type LocalLog, parseFieldPath, type RecordHeader, VarveError, valueAtPath } from '../../engine/index.ts'
import { type TopicCodec, topicCodecOf } from '../codec/topic-codec.ts'
import { expiryHeader } from '../fetch/expiry.ts'
import type { StreamHost } from '../host.ts'
import type { KeyIndex } from '../keys/key-index.ts'
import { INDEXED_KEY_BYTES_MAX } from '../keys/key-rows.ts'
import { isInternalTopic, partitionLogName, topicOfLogName } from '../names.ts'
import { type Partitioner, partitionOfKey, type StickyPartition } from '../partition/partitioner.ts'
import type { Outgoing } from '../produce/outgoing.ts'
import { deliveryHeader } from '../queue/queue-headers.ts'
import {
  isCompacted,
  recordBytesMaxDefault,
  type StoredTopicOptions,
  type TopicOptions,
  timestampAheadMsMaxDefault,
} from './topic-options.ts'

/** Kafka's error for a record without a key in a compacted topic, and for one stamped too far in the future. */
function invalidRecord(topic: string, message: string): VarveError {
  return new VarveError('INVALID_RECORD', `topic ${topic}: ${message}`, { details: { topic } })
}

/** A record as `TopicCore.prepare` tells it. */
export interface PreparedRecord {
  partition: number
  /** Bytes may be the caller's, who may write them again. */
  key: string | Uint8Array | null
  value: string | Uint8Array | null
  timestamp: number
  headers: readonly RecordHeader[] | undefined
  /** Bytes of key, value and headers, or as many as the text has characters. */
  size: number
}

export class TopicCore<V = unknown, K = unknown> {
  readonly host: StreamHost
  /** Unique within the database, never reused; offsets of groups are kept by it. */
  readonly id: number
  /** Of this database's own; never changes. */
  readonly isInternal: boolean
  /** Kept by `Topics` while the topic has the option. */
  keyIndex: KeyIndex | undefined
  #definition: DefinedLog
  #partitions: LocalLog[] = []
  #keyNames: readonly string[] | undefined
  #keyOf: ((value: V) => K | null | undefined) | undefined
  #partitioner: Partitioner<V, K> | undefined
  #keys: TopicCodec<K>
  #values: TopicCodec<V>
  #options: StoredTopicOptions
  readonly #prepared: PreparedRecord = { partition: 0, key: null, value: null, timestamp: 0, headers: undefined, size: 0 }
  #dropped = false
  readonly #growing = new Set<() => void>()

  constructor(host: StreamHost, definition: DefinedLog, given: TopicOptions<V, K> | undefined) {
    this.host = host
    this.id = definition.id
    this.#definition = definition
    this.isInternal = isInternalTopic(this.name)
    this.#options = definition.options?.topic as StoredTopicOptions
    this.#keys = topicCodecOf<K>(codecFor<K>(given?.keyCodec, this.#options.keyCodec, 'keyCodec'), 'keyCodec')
    this.#values = topicCodecOf<V>(codecFor<V>(given?.value, this.#options.value, 'value'), 'value')
    this.#take(given)
  }

  get name(): string {
    return topicOfLogName(this.#definition.name) as string
  }
  get options(): StoredTopicOptions {
    return this.#options
  }
  get definition(): DefinedLog {
    return this.#definition
  }
  get keys(): TopicCodec<K> {
    return this.#keys
  }
  get values(): TopicCodec<V> {
    return this.#values
  }
  get partitionCount(): number {
    return this.#options.partitions
  }

  /** The log of a partition. RangeError for one that is not there, NOT_FOUND once the topic was dropped. */
  partition(index: number): LocalLog {
    this.assertUsable()
    const known = this.#partitions[index]
    if (known !== undefined) return known
    if (!Number.isInteger(index) || index < 0 || index >= this.partitionCount)
      throw new RangeError(`partition must be an integer from 0 to ${this.partitionCount - 1}, got ${String(index)}`)
    const log = this.host.log(partitionLogName(this.name, index))
    this.#partitions[index] = log
    return log
  }

  assertUsable(): void {
    if (this.#dropped) throw new VarveError('NOT_FOUND', 'the topic was deleted', { details: { topic: this.name } })
  }

  markDropped(): void {
    this.#dropped = true
    this.#partitions = []
  }
  get dropped(): boolean {
    return this.#dropped
  }

  /** The definition was changed: renamed, altered, or grown. */
  redefined(definition: DefinedLog): void {
    const before = this.partitionCount
    this.#definition = definition
    this.#options = definition.options?.topic as StoredTopicOptions
    if (this.partitionCount > before) for (const grown of [...this.#growing]) grown()
  }

  /** Calls `grown` when there are more partitions, until the returned function is called. */
  whenGrown(grown: () => void): () => void {
    this.#growing.add(grown)
    return () => void this.#growing.delete(grown)
  }

  /** A handle was opened with these options: closures are of the newest. */
  adopt(given: TopicOptions<V, K>): void {
    if (typeof given.keyCodec === 'object') this.#keys = topicCodecOf<K>(given.keyCodec, 'keyCodec')
    if (typeof given.value === 'object') this.#values = topicCodecOf<V>(given.value, 'value')
    this.#take(given)
  }

  #take(given: TopicOptions<V, K> | undefined): void {
    if (typeof given?.key === 'function') this.#keyOf = given.key
    if (given?.partitioner !== undefined) this.#partitioner = given.partitioner
    const path = this.#options.key
    this.#keyNames = path === undefined ? undefined : parseFieldPath(path, 'key')
  }

  // --- from what is sent to a record ---------------------------------------------------------------------------------------------------

  /**
   * Encodes what a user sends, and says where it goes. The answer is one object a topic, overwritten by the next call: whoever asks takes what it says before any
   * code of the user's runs again. TypeError, RangeError, INVALID_RECORD, TOO_LARGE.
   */
  prepare(item: V | Outgoing<V, K>, sticky: StickyPartition, now: number): PreparedRecord {
    this.assertUsable()
    if (this.isInternal) throw new TypeError(`internal topics are written by the database alone, got ${this.name}`)
    let value: V | null
    let key: K | null | undefined
    let asked: number | undefined
    let timestamp = now
    let headers: readonly RecordHeader[] | undefined
    if (isOutgoing<V, K>(item)) {
      value = item.value
      key = item.key
      asked = item.partition
      headers = item.headers === undefined ? undefined : headersOf(item.headers)
      const delivery = deliveryHeader(item, now)
      if (delivery !== undefined) headers = headers === undefined ? [delivery] : [...headers, delivery]
      const expiry = expiryHeader(item, now)
      if (expiry !== undefined) headers = headers === undefined ? [expiry] : [...headers, expiry]
      if (item.timestamp !== undefined && this.#options.timestamps !== 'append') timestamp = this.#checkTimestamp(item.timestamp, now)
    } else value = item as V
    if (value === undefined) throw new TypeError('value must not be undefined; null is a tombstone')
    if (key === undefined && value !== null) key = this.#keyIn(value)
    const keyBytes = key === undefined || key === null ? null : this.#keys.encode(key)
    const valueBytes = value === null ? null : this.#values.encode(value)
    if (keyBytes === null && isCompacted(this.#options)) throw invalidRecord(this.name, 'a record of a compacted topic must have a key')
    if (this.keyIndex !== undefined && keyBytes !== null) this.#checkIndexedKey(keyBytes)
    const size = this.#checkSize(keyBytes, valueBytes, headers)
    const partition = this.#partitionOf(asked, key ?? null, keyBytes, value, sticky, size)
    const prepared = this.#prepared
    prepared.partition = partition
    prepared.key = keyBytes
    prepared.value = valueBytes
    prepared.timestamp = timestamp
    prepared.headers = headers
    prepared.size = size
    return prepared
  }

  /** The partition of a key, as `send` would choose it; undefined with a partitioner of the user's, which may want the value. */
  partitionOfKey(key: K): number | undefined {
    if (this.#partitioner !== undefined) return undefined
    return partitionOfKey(this.#keys.encode(key), this.partitionCount)
  }

  #keyIn(value: V): K | null | undefined {
    if (this.#keyOf !== undefined) return this.#keyOf(value)
    if (this.#keyNames === undefined) return undefined
    return valueAtPath(value, this.#keyNames) as K | null | undefined
  }

  #partitionOf(
    asked: number | undefined,
    key: K | null,
    keyBytes: string | Uint8Array | null,
    value: V | null,
    sticky: StickyPartition,
    size: number,
  ): number {
    const count = this.partitionCount
    if (asked !== undefined) {
      if (!Number.isInteger(asked) || asked < 0 || asked >= count)
        throw new RangeError(`partition must be an integer from 0 to ${count - 1}, got ${String(asked)}`)
      return asked
    }
    if (this.#partitioner !== undefined) {
      const chosen = this.#partitioner(key, value, count)
      if (!Number.isInteger(chosen) || chosen < 0 || chosen >= count)
        throw new RangeError(`partitioner must return an integer from 0 to ${count - 1}, got ${String(chosen)}`)
      return chosen
    }
    return keyBytes === null ? sticky.next(count, size) : partitionOfKey(keyBytes, count)
  }

  #checkTimestamp(timestamp: number, now: number): number {
    if (!Number.isSafeInteger(timestamp) || timestamp < 0)
      throw new RangeError(`timestamp must be a non-negative integer of milliseconds, got ${String(timestamp)}`)
    const ahead = this.#options.timestampAheadMsMax ?? timestampAheadMsMaxDefault
    if (timestamp > now + ahead)
      throw invalidRecord(this.name, `timestamp ${timestamp} is more than timestampAheadMsMax (${ahead} ms) in the future`)
    return timestamp
  }

  #checkIndexedKey(key: string | Uint8Array): void {
    if (key.length * 3 <= INDEXED_KEY_BYTES_MAX || byteLength(key) <= INDEXED_KEY_BYTES_MAX) return
    throw new VarveError(
      'TOO_LARGE',
      `topic ${this.name}: keys of a topic with an index of keys have at most ${INDEXED_KEY_BYTES_MAX} bytes`,
      {
        details: { topic: this.name, limit: 'key', expected: INDEXED_KEY_BYTES_MAX, actual: byteLength(key) },
      },
    )
  }

  #checkSize(key: string | Uint8Array | null, value: string | Uint8Array | null, headers: readonly RecordHeader[] | undefined): number {
    const sizeMax = this.#options.recordBytesMax ?? recordBytesMaxDefault
    let size = (key?.length ?? 0) + (value?.length ?? 0)
    // A text's length is exact for ASCII, and a third of the bytes at worst.
    if (size * 3 > sizeMax) size = byteLength(key) + byteLength(value)
    if (headers !== undefined) for (const header of headers) size += header.key.length * 3 + (header.value?.length ?? 0)
    if (size > sizeMax) {
      throw new VarveError('TOO_LARGE', `topic ${this.name}: a record of ${size} bytes exceeds recordBytesMax, ${sizeMax}`, {
        details: { topic: this.name, limit: 'recordBytesMax', expected: sizeMax, actual: size },
      })
    }
    return size
  }
}

function byteLength(bytes: string | Uint8Array | null): number {
  if (bytes === null) return 0
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
}

/** An object with a `value` and nothing but what an outgoing record has. */
function isOutgoing<V, K>(item: V | Outgoing<V, K>): item is Outgoing<V, K> {
  if (typeof item !== 'object' || item === null || !('value' in item)) return false
  for (const name in item) {
    // A switch compares pointers, where a set computes with hashes: this runs for each record.
    switch (name) {
      case 'key':
      case 'value':
      case 'headers':
      case 'timestamp':
      case 'partition':
      case 'delayMs':
      case 'deliverAt':
      case 'ttlMs':
      case 'expiresAt':
        continue
      default:
        return false
    }
  }
  return true
}

const encoder = new TextEncoder()

function headersOf(headers: NonNullable<Outgoing['headers']>): readonly RecordHeader[] {
  if (typeof headers !== 'object' || headers === null) throw new TypeError(`headers must be an object or an array, got ${String(headers)}`)
  if (!Array.isArray(headers))
    return Object.entries(headers as { readonly [key: string]: unknown }).map(([key, value]) => headerOf(key, value))
  return headers.map((header: Partial<RecordHeader> | undefined | null) => {
    if (typeof header?.key !== 'string') throw new TypeError(`headers must have a key that is a string each, got ${String(header?.key)}`)
    return headerOf(header.key, header.value)
  })
}

function headerOf(key: string, value: unknown): RecordHeader {
  if (value !== null && typeof value !== 'string' && !(value instanceof Uint8Array))
    throw new TypeError(`headers.${key} must be a string, a Uint8Array or null, got ${String(value)}`)
  return { key, value: typeof value === 'string' ? encoder.encode(value) : value }
}

/** The codec that was given, or the built-in one that is stored. CODEC_MISSING for one of the user's that was not given. */
function codecFor<T>(
  given: TopicOptions<T, T>['value'],
  stored: string,
  option: 'value' | 'keyCodec',
): NonNullable<TopicOptions<T, T>['value']> {
  if (given !== undefined && typeof given !== 'string') return given
  if (stored === 'msgpack' || stored === 'json' || stored === 'string' || stored === 'bytes') return stored
  throw new VarveError(
    'CODEC_MISSING',
    `${option === 'value' ? 'values' : 'keys'} are encoded by '${stored}': give this codec as the option ${option}`,
    {
      details: { option, expected: stored },
    },
  )
}
