/**
 * Where a replay writes: another topic, a store, or a function. A target takes the records of one batch and writes them, with the replay's progress, as one
 * commit where it can.
 */
import { type Store, type StoreKey, type TopicBatch, type Transaction, VarveError } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import type { StreamHost } from '../host.ts'
import { partitionOfKey } from '../partition/partitioner.ts'
import { giveBack, takeBatch } from '../produce/batch-pool.ts'
import { coreOfTopic, type Topic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { isCompacted } from '../topic/topic-options.ts'
import { whenThereIsRoom } from '../when-there-is-room.ts'

/** Called with the records of one partition, in order; a promise is awaited before the next call. */
export type ReplayFunction<V, K> = (records: readonly ConsumedRecord<V, K>[]) => void | PromiseLike<void>

/** Where a replay writes. */
export type ReplayTarget<V, K> = Topic<V, K> | Store<V, StoreKey> | ReplayFunction<V, K>

/** Records on their way into a target. */
export interface ReplayWrite {
  /** Resolves when they are committed, durable or not: what is written next lies behind them. */
  readonly committed: Promise<void>
  /** Resolves when they are durable. */
  readonly durable: Promise<void>
}

export interface Target<V, K> {
  /** Writes the records, which are not looked at any more once they are committed; with `save`, which adds the progress to the same transaction where the target has one. */
  write(records: readonly ConsumedRecord<V, K>[], save: ((tx: Transaction) => void) | undefined): ReplayWrite
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
  const options = compression === undefined ? undefined : { compression }
  return {
    write(records, save) {
      const batches = gather(target, records)
      const write = commit(host, tx => {
        for (const [partition, batch] of batches) tx.log(target.partition(partition)).appendRecords(batch, options)
        save?.(tx)
      })
      const release = (): void => {
        for (const batch of batches.values()) giveBack(batch)
      }
      write.committed.then(release, release)
      return write
    },
  }
}

/** The records by partition. INVALID_RECORD. */
function gather<V, K>(target: TopicCore<V, K>, records: readonly ConsumedRecord<V, K>[]): Map<number, TopicBatch> {
  const { partitionCount } = target
  const needsKeys = isCompacted(target.options)
  const batches = new Map<number, TopicBatch>()
  for (const record of records) {
    const { keyBytes, valueBytes, timestamp, headers, partition: from } = record
    if (keyBytes === null && needsKeys) throw withoutKey(`a record of the compacted topic ${target.name}`, record)
    const partition = keyBytes === null ? from % partitionCount : partitionOfKey(keyBytes, partitionCount)
    let batch = batches.get(partition)
    if (batch === undefined) {
      batch = takeBatch()
      batches.set(partition, batch)
    }
    batch.add(keyBytes, valueBytes, timestamp, headers)
  }
  return batches
}

/** The newest value of each key; a tombstone deletes. */
function storeTarget<V, K>(host: StreamHost, store: Store<V, StoreKey>): Target<V, K> {
  return {
    write: (records, save) =>
      commit(host, tx => {
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
    write(records, save) {
      const called = async (): Promise<void> => {
        await write(records)
        if (save !== undefined) await commit(host, save).durable
      }
      const durable = called()
      return { committed: durable, durable }
    },
  }
}

/** All or nothing; waits for room. */
function commit(host: StreamHost, body: (tx: Transaction) => void): ReplayWrite {
  let isCommitted: () => void = () => undefined
  const made = new Promise<void>(resolve => {
    isCommitted = resolve
  })
  const durable = whenThereIsRoom(host, () =>
    host.transaction(tx => {
      tx.afterCommit(isCommitted)
      body(tx)
    }),
  )
  return { committed: Promise.race([made, durable]), durable }
}

function withoutKey<V, K>(what: string, { topic, partition, offset }: ConsumedRecord<V, K>): VarveError {
  const message = `topic ${topic}: the record at offset ${offset} of partition ${partition} has no key, and ${what} must have one`
  return new VarveError('INVALID_RECORD', message, { details: { topic } })
}
