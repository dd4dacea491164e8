/**
 * Options of a topic: what `db.topic(name, options)` takes, how it is stored with the definition, and what of it may change.
 *
 * Stored as plain data in the options of the definition's log. `partitions` grows by `addPartitions`, the changeable ones change by `alter`; both are calls,
 * so that two programs with different ideas of a topic do not change it back and forth: `db.topic` with an option that differs from what is stored is
 * refused with DEFINITION_MISMATCH. Options that are not given are not compared.
 */
import { type CompressionName, type CustomValueCodec, checkColumns, parseFieldPath, VarveError } from '../../engine/index.ts'
import { type TopicCodecName, topicCodecOf } from '../codec/topic-codec.ts'
import type { Partitioner } from '../partition/partitioner.ts'

/** How long and how much a topic keeps. Neither is given by default: then nothing is ever deleted. */
export interface TopicRetention {
  /** Milliseconds since a record's timestamp after which it may be deleted. Default: no limit. */
  readonly timeMs?: number | undefined
  /** Bytes of one partition above which its oldest records may be deleted. Default: no limit. */
  readonly bytes?: number | undefined
}

/** 'delete': by retention. 'compact': the newest record of each key stays. Both: compacted, and deleted by retention. */
export type TopicCleanup = 'delete' | 'compact' | 'compact,delete'

/** Options that `alter` changes. */
export interface ChangeableTopicOptions {
  /**
   * What goes, as `TopicCleanup` says. A topic becomes compacted only if all its records have keys: else `alter` rejects with INVALID_RECORD, which names the first that has none.
   * Default 'delete'.
   */
  readonly cleanup?: TopicCleanup | undefined
  /** See `TopicRetention`. Default: for ever. */
  readonly retention?: TopicRetention | undefined
  /** Of batches appended from now on. Default 'none'. */
  readonly compression?: CompressionName | undefined
  /** Largest record, key and value and headers, bytes. Default 1 MiB (Kafka's `max.message.bytes`). */
  readonly recordBytesMax?: number | undefined
  /** A record stamped further in the future than this is refused, milliseconds. Default 1 h (Kafka's `message.timestamp.after.max.ms`). */
  readonly timestampAheadMsMax?: number | undefined
  /**
   * Keep an index of keys: where the records of each lie, for `expectedVersion`, `version`, `latest` and `readKey`. Switched on for a topic with records, it is
   * built from them first (`ready()`); off removes it. Costs a row of a store for each record, written behind the appends. Default false.
   */
  readonly keyIndex?: boolean | undefined
  /**
   * Fields, as paths, that segments also hold as columns, for jobs that read these alone: they then need not read records. For values that are 'msgpack' or 'json'. Segments that are
   * written from now on have them, consolidation brings them to older ones. Costs their space and time when segments are written. Default: none.
   */
  readonly columns?: readonly string[] | undefined
  /** Compaction: how long tombstones and markers stay after their first cleaning, milliseconds. Default 24 h. */
  readonly deleteRetentionMs?: number | undefined
  /** Compaction runs when at least this share of a partition's sealed bytes was never cleaned, 0 to 1. Default 0.5. */
  readonly dirtyRatioMin?: number | undefined
  /** Compaction leaves records younger than this alone, milliseconds. Default 0. */
  readonly compactionLagMsMin?: number | undefined
  /** Compaction runs, whatever the ratio, when a record was not cleaned for this long, milliseconds. Default: no limit. */
  readonly compactionLagMsMax?: number | undefined
}

/** Options of `Database.topic`. */
export interface TopicOptions<V = unknown, K = unknown> extends ChangeableTopicOptions {
  // --- changes meaning -----------------------------------------------------------------------------------------------------------------
  /** How many partitions a new topic has; 1 to 100,000. Default 1. Grows by `addPartitions`; more of them moves keys to other partitions. */
  readonly partitions?: number | undefined
  /** Where a value's key is: a field path ('customer', 'address.city') or a function. Default: only `send({ key, value })` gives a key. */
  readonly key?: string | ((value: V) => K | null | undefined) | undefined
  /** Of keys: 'string' (default), 'bytes', 'json', 'msgpack' or a codec. */
  readonly keyCodec?: TopicCodecName | CustomValueCodec<K> | undefined
  /** Of values: 'msgpack' (default), 'json', 'string', 'bytes' or a codec. */
  readonly value?: TopicCodecName | CustomValueCodec<V> | undefined
  /** Default: murmur2 of the key as Kafka's clients, sticky without a key. */
  readonly partitioner?: Partitioner<V, K> | undefined
  /** 'create' (default): records keep the time that the sender gives, by default the time of `send`. 'append': all get the time of their append. */
  readonly timestamps?: 'create' | 'append' | undefined
}

/** As the definition carries it; everything but `partitions`, the codecs and the field path is there only when it differs from the default. */
export interface StoredTopicOptions {
  /** As `TopicOptions.partitions`. */
  readonly partitions: number
  /** As `TopicOptions.keyCodec`. */
  readonly keyCodec: string
  /** As `TopicOptions.value`. */
  readonly value: string
  /** As `TopicOptions.key`. */
  readonly key?: string
  /** As `TopicOptions.timestamps`. */
  readonly timestamps?: 'append'
  /** As `TopicOptions.cleanup`. */
  readonly cleanup?: TopicCleanup
  /** As `TopicOptions.retention`. */
  readonly retention?: { readonly timeMs?: number; readonly bytes?: number }
  /** As `TopicOptions.compression`. */
  readonly compression?: CompressionName
  /** As `TopicOptions.recordBytesMax`. */
  readonly recordBytesMax?: number
  /** As `TopicOptions.timestampAheadMsMax`. */
  readonly timestampAheadMsMax?: number
  /** As `TopicOptions.keyIndex`. */
  readonly keyIndex?: boolean
  /** As `TopicOptions.columns`. */
  readonly columns?: readonly string[]
  /** As `TopicOptions.deleteRetentionMs`. */
  readonly deleteRetentionMs?: number
  /** As `TopicOptions.dirtyRatioMin`. */
  readonly dirtyRatioMin?: number
  /** As `TopicOptions.compactionLagMsMin`. */
  readonly compactionLagMsMin?: number
  /** As `TopicOptions.compactionLagMsMax`. */
  readonly compactionLagMsMax?: number
}

export const recordBytesMaxDefault: number = 1024 * 1024
export const timestampAheadMsMaxDefault: number = 60 * 60 * 1000
export const partitionsMax: number = 100_000
const cleanups: readonly unknown[] = ['delete', 'compact', 'compact,delete']
const compressions: readonly unknown[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

const changeableNames = [
  'cleanup',
  'retention',
  'compression',
  'recordBytesMax',
  'timestampAheadMsMax',
  'keyIndex',
  'columns',
  'deleteRetentionMs',
  'dirtyRatioMin',
  'compactionLagMsMin',
  'compactionLagMsMax',
] as const
const optionNames: ReadonlySet<string> = new Set([
  ...changeableNames,
  'partitions',
  'key',
  'keyCodec',
  'value',
  'partitioner',
  'timestamps',
])

/** TypeError or RangeError naming the first option that is unusable. */
export function checkTopicOptions(options: unknown): asserts options is TopicOptions<never, never> {
  const given = checkNames(options, optionNames)
  const { partitions, key, keyCodec, value, partitioner, timestamps } = given
  if (partitions !== undefined) checkPartitions(partitions)
  if (key !== undefined && typeof key !== 'function') parseFieldPath(key, 'key')
  if (keyCodec !== undefined) topicCodecOf(keyCodec as TopicCodecName, 'keyCodec')
  if (value !== undefined) topicCodecOf(value as TopicCodecName, 'value')
  if (partitioner !== undefined && typeof partitioner !== 'function')
    throw new TypeError(`partitioner must be a function, got ${String(partitioner)}`)
  if (timestamps !== undefined && timestamps !== 'create' && timestamps !== 'append')
    throw new TypeError(`timestamps must be 'create' or 'append', got ${String(timestamps)}`)
  checkChangeable(given)
  checkTopicColumns(given.columns, value)
}

/** TypeError or RangeError for columns that topics with such values cannot have. */
export function checkTopicColumns(columns: unknown, value: unknown = 'msgpack'): void {
  if (columns !== undefined) checkColumns(columns, codecName(value as TopicCodecName))
}

/** As `checkTopicOptions`, for `alter`. */
export function checkChangeableOptions(options: unknown): asserts options is ChangeableTopicOptions {
  checkChangeable(checkNames(options, new Set<string>(changeableNames)))
}

export function checkPartitions(partitions: unknown): asserts partitions is number {
  if (!Number.isInteger(partitions) || (partitions as number) < 1 || (partitions as number) > partitionsMax)
    throw new RangeError(`partitions must be an integer from 1 to ${partitionsMax}, got ${String(partitions)}`)
}

function checkNames(options: unknown, names: ReadonlySet<string>): { readonly [name: string]: unknown } {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!names.has(name)) throw new TypeError(`unknown option of a topic: ${name}`)
  return options as { readonly [name: string]: unknown }
}

function checkChangeable(options: { readonly [name: string]: unknown }): void {
  const { cleanup, retention, compression, recordBytesMax, keyIndex, dirtyRatioMin } = options
  if (cleanup !== undefined && !cleanups.includes(cleanup))
    throw new TypeError(`cleanup must be 'delete', 'compact' or 'compact,delete', got ${String(cleanup)}`)
  if (retention !== undefined) {
    if (typeof retention !== 'object' || retention === null) throw new TypeError(`retention must be an object, got ${String(retention)}`)
    for (const name of Object.keys(retention))
      if (name !== 'timeMs' && name !== 'bytes') throw new TypeError(`unknown option of retention: ${name}`)
    const { timeMs, bytes } = retention as TopicRetention
    checkNumber(timeMs, 'retention.timeMs')
    checkNumber(bytes, 'retention.bytes')
  }
  if (compression !== undefined && !compressions.includes(compression))
    throw new TypeError(`compression must be one of ${compressions.join(', ')}, got ${String(compression)}`)
  if (recordBytesMax !== undefined && !(Number.isInteger(recordBytesMax) && (recordBytesMax as number) > 0))
    throw new RangeError(`recordBytesMax must be a positive integer, got ${String(recordBytesMax)}`)
  if (keyIndex !== undefined && typeof keyIndex !== 'boolean')
    throw new TypeError(`keyIndex must be true or false, got ${String(keyIndex)}`)
  if (dirtyRatioMin !== undefined && !((dirtyRatioMin as number) >= 0 && (dirtyRatioMin as number) <= 1))
    throw new RangeError(`dirtyRatioMin must be a number from 0 to 1, got ${String(dirtyRatioMin)}`)
  for (const name of ['timestampAheadMsMax', 'deleteRetentionMs', 'compactionLagMsMin', 'compactionLagMsMax'] as const)
    checkNumber(options[name], name)
}

function checkNumber(value: unknown, option: string): void {
  if (value !== undefined && !(typeof value === 'number' && value >= 0))
    throw new RangeError(`${option} must be a non-negative number, got ${String(value)}`)
}

/** The options of a new topic as they are stored. */
export function storedTopicOptions(options: TopicOptions<never, never>): StoredTopicOptions {
  return { partitions: 1, keyCodec: 'string', value: 'msgpack', ...explicitOptions(options) }
}

/** What is given, as it would be stored. */
function explicitOptions(options: TopicOptions<never, never>): Partial<StoredTopicOptions> {
  const { partitions, key, keyCodec, value, timestamps } = options
  return {
    ...(partitions === undefined ? {} : { partitions }),
    ...(typeof key === 'string' ? { key } : {}),
    ...(keyCodec === undefined ? {} : { keyCodec: codecName(keyCodec) }),
    ...(value === undefined ? {} : { value: codecName(value) }),
    ...(timestamps === 'append' ? { timestamps } : {}),
    ...explicitChangeable(options),
  }
}

function explicitChangeable(options: ChangeableTopicOptions): Partial<StoredTopicOptions> {
  const stored: { [name: string]: unknown } = {}
  for (const name of changeableNames) {
    const value = options[name]
    if (value === undefined || (name === 'cleanup' && value === 'delete')) continue
    stored[name] = name === 'retention' ? finite(value as TopicRetention) : value
  }
  return stored
}

/** Without limits that are none. */
function finite({ timeMs, bytes }: TopicRetention): TopicRetention {
  return {
    ...(timeMs === undefined || timeMs === Number.POSITIVE_INFINITY ? {} : { timeMs }),
    ...(bytes === undefined || bytes === Number.POSITIVE_INFINITY ? {} : { bytes }),
  }
}

function codecName(choice: TopicCodecName | CustomValueCodec<never>): string {
  return typeof choice === 'string' ? choice : choice.name
}

/** The stored options with those changed that `alter` was given. */
export function alteredOptions(stored: StoredTopicOptions, change: ChangeableTopicOptions): StoredTopicOptions {
  const { cleanup: _, ...others } = stored
  return { ...(change.cleanup === undefined ? stored : others), ...explicitChangeable(change) }
}

/** DEFINITION_MISMATCH when an option that is given differs from what is stored. */
export function checkSameTopic(topic: string, stored: StoredTopicOptions, options: TopicOptions<never, never>): void {
  const given = storedTopicOptions(options) as unknown as { readonly [name: string]: unknown }
  for (const name of Object.keys(options)) {
    const asked = (options as { readonly [name: string]: unknown })[name]
    if (asked === undefined || name === 'partitioner' || (name === 'key' && typeof asked === 'function')) continue
    const expected = (stored as unknown as { readonly [name: string]: unknown })[name] ?? defaultOf(name)
    const actual = given[name] ?? defaultOf(name)
    if (JSON.stringify(expected) === JSON.stringify(actual)) continue
    const hint =
      name === 'partitions'
        ? '; it grows by addPartitions'
        : (changeableNames as readonly string[]).includes(name)
          ? '; it changes by alter'
          : '; it cannot change'
    throw new VarveError(
      'DEFINITION_MISMATCH',
      `topic ${topic}: ${name} is ${JSON.stringify(expected)}, asked for ${JSON.stringify(actual)}${hint}`,
      {
        details: { topic, option: name, expected, actual },
      },
    )
  }
}

function defaultOf(name: string): unknown {
  switch (name) {
    case 'timestamps':
      return 'create'
    case 'cleanup':
      return 'delete'
    case 'retention':
      return {}
    case 'compression':
      return 'none'
    case 'recordBytesMax':
      return recordBytesMaxDefault
    case 'timestampAheadMsMax':
      return timestampAheadMsMaxDefault
    case 'deleteRetentionMs':
      return 24 * 60 * 60 * 1000
    case 'dirtyRatioMin':
      return 0.5
    case 'compactionLagMsMin':
      return 0
    case 'keyIndex':
      return false
    case 'columns':
      return []
    default:
      return undefined
  }
}

/** Whether old records of equal keys go. */
export function isCompacted({ cleanup }: StoredTopicOptions): boolean {
  return cleanup === 'compact' || cleanup === 'compact,delete'
}
