/** Groups and transactions over topics: consuming with commits, exactly-once processing, work queues, producers with a linger time. */

import { open } from 'varve'
import type { Measurement } from '../../measurement.ts'
import { expectEqual } from '../../workload.ts'
import { type BenchRecord, keyBytes, RecordSource } from '../records.ts'
import { Window, writeWithin } from './database.ts'
import { type BytesTopic, type ConsumeParameters, expectSent, fillElsewhere, fillTopic, openTopic } from './topics.ts'

const bytesCodecs = { keyCodec: 'bytes', value: 'bytes' } as const

/** Everything of 8 partitions through a group of one consumer; key and value of each record are looked at, every batch is committed. */
export async function consumeGroup(measurement: Measurement, { records, batch }: ConsumeParameters): Promise<void> {
  await fillElsewhere(measurement.folder, records, batch)
  const { db, topic } = await openTopic(measurement.folder, 8)
  let count = 0
  let bytes = 0
  await measurement.measure(async () => {
    const window = new Window(16)
    for await (const consumed of topic.consume({ group: 'bench' })) {
      for (const { key, value } of consumed.records) {
        count++
        bytes += (key?.length ?? 0) + (value?.length ?? 0)
      }
      await window.room()
      window.add(consumed.commit())
      if (count === records) break
    }
    await window.all()
    return { operations: count, payloadBytes: bytes }
  })
  expectEqual('records consumed', count, records)
  expectEqual('bytes consumed', bytes, records * (keyBytes + 100))
  const { partitions } = db.describeGroup('bench')
  expectEqual(
    'offsets committed',
    partitions.reduce((sum, { offset }) => sum + (offset ?? 0), 0),
    records,
  )
  await db.close()
}

export interface TransactionParameters {
  readonly [name: string]: number
  readonly transactions: number
  readonly callers: number
}

/** Consume, process, produce: a record of a group, ten records over two topics, one write to a store and the offset, as one commit. */
export async function transactions(
  measurement: Measurement,
  { transactions: count, callers }: TransactionParameters,
  sync: 'group' | 'inline',
): Promise<void> {
  const db = await open(measurement.folder, { sync })
  const input = db.topic<Uint8Array, Uint8Array>('input', { partitions: 4, ...bytesCodecs })
  const left = db.topic<Uint8Array, Uint8Array>('left', { partitions: 4, ...bytesCodecs })
  const right = db.topic<Uint8Array, Uint8Array>('right', { partitions: 4, ...bytesCodecs })
  const store = db.store<number, string>('progress')
  await Promise.all([input.ready(), left.ready(), right.ready(), store.ready()])
  await fillTopic(input, count, Math.min(count, 1000), { valueBytes: 100, limit: 16 })
  const source = new RecordSource(10, 100)
  let done = 0
  await measurement.measure(async () => {
    const window = new Window(callers)
    for await (const batch of input.consume({ group: 'bench', maxRecords: 1 })) {
      await window.room()
      const begun = measurement.begin()
      const number = done++
      const committed = db.transaction(tx => {
        const records = source.next()
        tx.topic(left).sendBatch(records.slice(0, 5))
        tx.topic(right).sendBatch(records.slice(5))
        tx.store(store).put(`caller-${number % 64}`, number)
        tx.offsets(batch)
      })
      window.add(committed.then(() => measurement.end(begun)))
      if (done === count) break
    }
    await window.all()
    return { operations: count, payloadBytes: count * 10 * (keyBytes + 100) }
  })
  expectSent(left, count * 5)
  expectSent(right, count * 5)
  expectEqual(
    'records whose offsets are committed',
    db.describeGroup('bench').partitions.reduce((sum, { offset }) => sum + (offset ?? 0), 0),
    count,
  )
  await db.close()
}

export interface QueueParameters {
  readonly [name: string]: number
  readonly records: number
  readonly consumers: number
}

/** Work queues: records one by one to several consumers of one group, each acknowledged. */
export async function workQueue(measurement: Measurement, { records, consumers }: QueueParameters): Promise<void> {
  const { db, topic } = await openTopic(measurement.folder, 8)
  await fillTopic(topic, records, Math.min(records, 1000), { valueBytes: 100, limit: 16 })
  let done = 0
  await measurement.measure(async () => {
    const queues = Array.from({ length: consumers }, () => topic.queue({ group: 'bench' }))
    const work = async (queue: (typeof queues)[number]): Promise<void> => {
      for await (const message of queue) {
        const begun = measurement.begin()
        await message.ack()
        measurement.end(begun)
        if (++done === records) await Promise.all(queues.map(each => each.close()))
      }
    }
    await Promise.all(queues.map(work))
    return { operations: records, payloadBytes: records * (keyBytes + 100) }
  })
  expectEqual('records acknowledged', done, records)
  await db.close()
}

export interface LingerParameters {
  readonly [name: string]: number
  readonly records: number
  readonly lingerMs: number
  readonly window: number
}

/** A producer that gathers for a while: single sends, at most `window` of them under way. */
export async function sendLingering(measurement: Measurement, { records, lingerMs, window: limit }: LingerParameters): Promise<void> {
  const { db, topic } = await openTopic(measurement.folder, 8)
  const producer = topic.producer({ lingerMs })
  const source = new RecordSource(1, 100)
  await measurement.measure(async () => {
    await writeWithin(limit, records, () => producer.send(source.next()[0] as BenchRecord))
    return { operations: records, payloadBytes: records * (keyBytes + 100) }
  })
  expectSent(topic as BytesTopic, records)
  await producer.close()
  await db.close()
}
