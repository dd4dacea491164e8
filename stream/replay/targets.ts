/**
 * Where a replay writes: another topic, a store, or a function. A target takes the records of one batch and writes them, with the replay's progress, as one
 * commit where it can.
 */
import { type Store, type StoreKey, type TopicRecord, type Transaction, VarveError } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import type { StreamHost } from '../host.ts'
import { partitionOfKey } from '../partition/partitioner.ts'
import { coreOfTopic, type Topic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { isCompacted } from '../topic/topic-options.ts'
import { whenThereIsRoom } from '../when-there-is-room.ts'

/** Called with the records of one partition, in order; a promise is awaited before the next call. */
export type ReplayFunction<V, K> = (records: readonly ConsumedRecord<V, K>[]) => void | PromiseLike<void>

/** Where a replay writes. */
export type ReplayTarget<V, K> = Topic<V, K> | Store<V, StoreKey> | ReplayFunction<V, K>

export interface Target<V, K> {
  /** Writes the records; with `save`, which adds the progress to the same transaction where the target has one. */
  write(records: readonly ConsumedRecord<V, K>[], save: ((tx: Transaction) => void) | undefined): Promise<void>
}

export function targetOf<V, K>(
  host: StreamHost,
  source: TopicCore<V, K>,
  to: ReplayTarget<V, K>,
  isTopic: (to: unknown) => to is Topic<V, K>,
): Target<V, K> {
  if (typeof to === 'function') return functionTarget(host, to)
  if (isTopic(to)) return topicTarget(host, source, coreOfTopic(to))
  if (typeof to === 'object' && to !== null && typeof (to as { put?: unknown }).put === 'function') return storeTarget(host, to)
  throw new TypeError(`to must be a topic, a store or a function, got ${String(to)}`)
}

/** Bytes as they are, with their times and headers; keys go where the target's partitioner of keys says, the others keep their partition's number as far as it goes. */
function topicTarget<V, K>(host: StreamHost, source: TopicCore<V, K>, target: TopicCore<V, K>): Target<V, K> {
  if (source.id === target.id) throw new TypeError('to must not be the topic that is replayed')
  for (const option of ['keyCodec', 'value'] as const) {
    if (source.options[option] === target.options[option]) continue
    throw new VarveError(
      'DEFINITION_MISMATCH',
      `topic ${target.name}: ${option} is ${target.options[option]}, that of the replayed topic ${source.options[option]}`,
      { details: { topic: target.name, option, expected: source.options[option], actual: target.options[option] } },
    )
  }
  const { compression } = target.options
  return {
    write: (records, save) =>
      transaction(host, tx => {
        const batches = new Map<number, TopicRecord[]>()
        for (const record of records) {
          const { keyBytes, valueBytes, timestamp, headers, partition: from } = record
          if (keyBytes === null && isCompacted(target.options)) throw withoutKey(`a record of the compacted topic ${target.name}`, record)
          const partition = keyBytes === null ? from % target.partitionCount : partitionOfKey(keyBytes, target.partitionCount)
          const batch = batches.get(partition)
          const copy = { key: keyBytes, value: valueBytes, timestamp, headers }
          if (batch === undefined) batches.set(partition, [copy])
          else batch.push(copy)
        }
        for (const [partition, batch] of batches)
          tx.log(target.partition(partition)).appendRecords(batch, compression === undefined ? {} : { compression })
        save?.(tx)
      }),
  }
}

/** The newest value of each key; a tombstone deletes. */
function storeTarget<V, K>(host: StreamHost, store: Store<V, StoreKey>): Target<V, K> {
  return {
    write: (records, save) =>
      transaction(host, tx => {
        const part = tx.store(store)
        for (const record of records) {
          const { key, value } = record
          if (key === null) throw withoutKey('what is put into a store', record)
          if (value === null) part.del(key as StoreKey)
          else part.put(key as StoreKey, value)
        }
        save?.(tx)
      }),
  }
}

function functionTarget<V, K>(host: StreamHost, write: ReplayFunction<V, K>): Target<V, K> {
  return {
    async write(records, save) {
      await write(records)
      if (save !== undefined) await transaction(host, save)
    },
  }
}

/** All or nothing; waits for room. */
function transaction(host: StreamHost, body: (tx: Transaction) => void): Promise<void> {
  return whenThereIsRoom(host, () => host.transaction(body))
}

function withoutKey<V, K>(what: string, { topic, partition, offset }: ConsumedRecord<V, K>): VarveError {
  const message = `topic ${topic}: the record at offset ${offset} of partition ${partition} has no key, and ${what} must have one`
  return new VarveError('INVALID_RECORD', message, { details: { topic } })
}
