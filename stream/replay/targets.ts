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
  return {
    write: (records, save) =>
      host.transaction(tx => {
        const batches = new Map<number, TopicRecord[]>()
        for (const { keyBytes, valueBytes, timestamp, headers, partition: from } of records) {
          const partition = keyBytes === null ? from % target.partitionCount : partitionOfKey(keyBytes, target.partitionCount)
          const batch = batches.get(partition)
          const record = { key: keyBytes, value: valueBytes, timestamp, headers }
          if (batch === undefined) batches.set(partition, [record])
          else batch.push(record)
        }
        for (const [partition, batch] of batches) tx.log(target.partition(partition)).appendRecords(batch)
        save?.(tx)
      }),
  }
}

/** The newest value of each key; a tombstone deletes. */
function storeTarget<V, K>(host: StreamHost, store: Store<V, StoreKey>): Target<V, K> {
  return {
    write: (records, save) =>
      host.transaction(tx => {
        const part = tx.store(store)
        for (const record of records) {
          const { key, value } = record
          if (key === null) {
            const message = `topic ${record.topic}: the record at offset ${record.offset} of partition ${record.partition} has no key to be put into a store by`
            throw new VarveError('INVALID_RECORD', message, { details: { topic: record.topic } })
          }
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
      if (save !== undefined) await host.transaction(save)
    },
  }
}
