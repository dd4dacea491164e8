/** Reads of a topic by key, over its index: `Topic.version`, `latest` and `readKey`. Synchronous; they see what was appended, durable or not. */
import type { Environment } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import { checkExpired, type ExpiredRecords, isExpired } from '../fetch/expiry.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { keyBytesOf, keyIndexOf } from './expected-version.ts'
import { offsetOfEntry } from './key-rows.ts'
import { RecordReader } from './record-reader.ts'

/** Of reads by key. */
export interface KeyOptions {
  /** Where to look. Default: where the key's records go; needed with a partitioner of your own on several partitions, and for records sent past it. */
  readonly partition?: number | undefined
}

/** Of `Topic.readKey`. */
export interface ReadKeyOptions extends KeyOptions {
  /** Only records at or above this offset. Default: all that there are. */
  readonly from?: number | undefined
  /** Newest first. Default false. */
  readonly reverse?: boolean | undefined
  /** At most so many, expired ones included. Default: all. */
  readonly limit?: number | undefined
  /** Records whose `ttlMs` or `expiresAt` is over: 'skip' (default) or 'include'. */
  readonly expired?: ExpiredRecords | undefined
}

const entriesAtOnce = 256

/** Offset of the newest record of a key, -1 when it has none. */
export function versionOf<V, K>(core: TopicCore<V, K>, key: K, options: KeyOptions | undefined): number {
  const index = keyIndexOf(core)
  checkNames(options, ['partition'])
  return index.version(partitionFor(core, key, options), keyBytesOf(core.keys.encode(key)))
}

/** The newest record of a key. */
export function latestOf<V, K>(core: TopicCore<V, K>, key: K, options: KeyOptions | undefined): ConsumedRecord<V, K> | undefined {
  checkNames(options, ['partition'])
  keyIndexOf(core)
  const partition = partitionFor(core, key, options)
  const { value } = walk(core, partition, keyBytesOf(core.keys.encode(key)), { reverse: true, limit: 1 }).next()
  return value === undefined || isExpired(value.headers, core.host.environment.clock.now()) ? undefined : value
}

/** Records of a key in order. Offsets are looked up some at a time, so that the iterator may rest between turns. */
export function readKey<V, K>(core: TopicCore<V, K>, key: K, options: ReadKeyOptions = {}): IterableIterator<ConsumedRecord<V, K>> {
  checkReadKey(options)
  keyIndexOf(core)
  const { clock } = core.host.environment
  const records = walk(core, partitionFor(core, key, options), keyBytesOf(core.keys.encode(key)), options)
  return options.expired === 'include' ? records : unexpired(records, clock)
}

function* unexpired<V, K>(
  records: Iterable<ConsumedRecord<V, K>>,
  clock: Pick<Environment['clock'], 'now'>,
): IterableIterator<ConsumedRecord<V, K>> {
  for (const record of records) if (!isExpired(record.headers, clock.now())) yield record
}

function* walk<V, K>(
  core: TopicCore<V, K>,
  partition: number,
  key: Uint8Array,
  { from = 0, reverse = false, limit = Number.POSITIVE_INFINITY }: ReadKeyOptions,
): IterableIterator<ConsumedRecord<V, K>> {
  const log = core.partition(partition)
  const reader = new RecordReader<V, K>(log, { topic: core.name, partition, keys: core.keys, values: core.values })
  let left = limit
  /** Backwards: offsets at or above it were told. */
  let before = Number.MAX_SAFE_INTEGER
  let next = from
  while (left > 0) {
    const offsets: number[] = []
    const most = Math.min(left, entriesAtOnce)
    let seen = 0
    for (const entry of keyIndexOf(core).entries(partition, key, { from: next, reverse, before })) {
      const offset = offsetOfEntry(entry)
      if (reverse && offset < log.startOffset) break
      offsets.push(offset)
      if (++seen === most) break
    }
    for (const offset of offsets) {
      const record = reader.read(offset)
      if (record === undefined) continue
      yield record
      if (--left === 0) return
    }
    const last = offsets.at(-1)
    if (last === undefined || seen < most) return
    if (reverse) before = last
    else next = last + 1
  }
}

function partitionFor<V, K>(core: TopicCore<V, K>, key: K, options: KeyOptions | undefined): number {
  const asked = options?.partition
  if (asked !== undefined) {
    core.partition(asked)
    return asked
  }
  const partition = core.partitionCount === 1 ? 0 : core.partitionOfKey(key)
  if (partition === undefined) throw new TypeError(`partition must be given, since topic ${core.name} has a partitioner of its own`)
  return partition
}

function checkNames(options: unknown, names: readonly string[]): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!names.includes(name)) throw new TypeError(`unknown option of a read by key: ${name}`)
}

function checkReadKey(options: ReadKeyOptions): void {
  checkNames(options, ['partition', 'from', 'reverse', 'limit', 'expired'])
  checkExpired(options.expired)
  const { from, limit, reverse } = options
  if (from !== undefined && !(Number.isSafeInteger(from) && from >= 0))
    throw new RangeError(`from must be a non-negative integer, got ${String(from)}`)
  if (limit !== undefined && limit !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(limit) && limit >= 0))
    throw new RangeError(`limit must be a non-negative integer, got ${String(limit)}`)
  if (reverse !== undefined && typeof reverse !== 'boolean') throw new TypeError(`reverse must be true or false, got ${String(reverse)}`)
}
