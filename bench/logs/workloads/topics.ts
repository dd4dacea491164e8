/** Topics: durable sends in batches and one by one, reading decoded and raw, end to end, transactions over topics and a store, opening after a kill. */

import { type Database, open, type Topic } from 'varve'
import type { Measurement } from '../../measurement.ts'
import { ended, firstMessage, startScript } from '../../scripts.ts'
import { expectEqual } from '../../workload.ts'
import { type BenchRecord, keyBytes, RecordSource } from '../records.ts'
import { writeWithin } from './database.ts'

export type BytesTopic = Topic<Uint8Array, Uint8Array>

/** The topic of most workloads; compacted when it has so many `keys`. */
export async function openTopic(
  folder: string,
  partitions: number,
  keys: number = 0,
): Promise<{ readonly db: Database; readonly topic: BytesTopic }> {
  const db = await open(folder)
  const cleanup = keys > 0 ? 'compact' : 'delete'
  const topic = db.topic<Uint8Array, Uint8Array>('events', { partitions, keyCodec: 'bytes', value: 'bytes', cleanup })
  await topic.ready()
  return { db, topic }
}

export interface FillOptions {
  readonly valueBytes: number
  /** Batches under way. */
  readonly limit: number
  /** Different keys; 0: all. */
  readonly keys?: number
  /** Called when a batch begins; what it returns when that is durable. */
  readonly onBatch?: () => () => void
}

/** Sends in batches. */
export async function fillTopic(
  topic: BytesTopic,
  records: number,
  batch: number,
  { valueBytes, limit, keys = 0, onBatch }: FillOptions,
): Promise<void> {
  const source = new RecordSource(batch, valueBytes, keys)
  await writeWithin(limit, Math.ceil(records / batch), () => {
    const done = onBatch?.()
    return topic.sendBatch(source.next()).then(() => done?.())
  })
}

/** The same in a process that ends before this one opens the topic. */
export async function fillElsewhere(
  folder: string,
  records: number,
  batch: number,
  { valueBytes = 100, keys = 0 }: { readonly valueBytes?: number; readonly keys?: number } = {},
): Promise<void> {
  const filler = startScript('logs/workloads/topic-filler', [folder, records, batch, valueBytes, keys].map(String))
  await firstMessage(filler)
  await ended(filler)
}

export function expectSent(topic: BytesTopic, records: number): void {
  const { partitions } = topic.describe()
  expectEqual(
    'records in the topic',
    partitions.reduce((sum, { highWatermark }) => sum + highWatermark, 0),
    records,
  )
}

export interface SendBatchParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
  readonly partitions: number
  readonly valueBytes: number
  readonly window: number
}

export async function sendBatches(
  measurement: Measurement,
  { records, batch, partitions, valueBytes, window }: SendBatchParameters,
): Promise<void> {
  const { db, topic } = await openTopic(measurement.folder, partitions)
  await measurement.measure(async () => {
    const onBatch = (): (() => void) => {
      const begun = measurement.begin()
      return () => measurement.end(begun)
    }
    await fillTopic(topic, records, batch, { valueBytes, limit: window, onBatch })
    return { operations: records, payloadBytes: records * (keyBytes + valueBytes) }
  })
  expectSent(topic, records)
  await db.close()
}

export interface SendParameters {
  readonly [name: string]: number
  readonly appends: number
  readonly callers: number
}

/** Each caller awaits one send after the other. */
export async function sendSingly(measurement: Measurement, { appends, callers }: SendParameters): Promise<void> {
  const { db, topic } = await openTopic(measurement.folder, 8)
  const caller = async (): Promise<void> => {
    const source = new RecordSource(1, 100)
    for (let i = 0; i < appends / callers; i++) {
      const begun = measurement.begin()
      await topic.send(source.next()[0] as BenchRecord)
      measurement.end(begun)
    }
  }
  await measurement.measure(async () => {
    await Promise.all(Array.from({ length: callers }, caller))
    return { operations: appends, payloadBytes: appends * (keyBytes + 100) }
  })
  expectSent(topic, appends)
  await db.close()
}

export interface ConsumeParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
}

/** Everything of 8 partitions; key and value of each record are looked at. */
export async function consumeDecoded(measurement: Measurement, { records, batch }: ConsumeParameters): Promise<void> {
  await fillElsewhere(measurement.folder, records, batch)
  const { db, topic } = await openTopic(measurement.folder, 8)
  let count = 0
  let bytes = 0
  await measurement.measure(async () => {
    for await (const { records: consumed } of topic.consume({ until: 'end' })) {
      for (const { key, value } of consumed) {
        count++
        bytes += (key?.length ?? 0) + (value?.length ?? 0)
      }
    }
    return { operations: count, payloadBytes: bytes }
  })
  expectEqual('records consumed', count, records)
  expectEqual('bytes consumed', bytes, records * (keyBytes + 100))
  await db.close()
}

/** As stored batches; records are counted by their headers. */
export async function consumeRaw(measurement: Measurement, { records, batch }: ConsumeParameters): Promise<void> {
  await fillElsewhere(measurement.folder, records, batch)
  const { db, topic } = await openTopic(measurement.folder, 8)
  let count = 0
  await measurement.measure(async () => {
    for await (const { bytes, positions } of topic.consume({ until: 'end' }).raw()) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      for (const position of positions) count += view.getInt32(position + 57) // record count of the header
    }
    return { operations: count, payloadBytes: count * (keyBytes + 100) }
  })
  expectEqual('records consumed', count, records)
  await db.close()
}

export interface EndToEndParameters {
  readonly [name: string]: number
  readonly appends: number
  /** Sends a second; 0: one in flight. */
  readonly perSecond: number
}

/** From `send` to the consumer's loop, durable in between. */
export async function endToEnd(measurement: Measurement, { appends, perSecond }: EndToEndParameters): Promise<void> {
  const { db, topic } = await openTopic(measurement.folder, 1)
  const consumer = topic.consume({ from: 'latest' })
  const begun: number[] = []
  let seen = 0
  let arrived: () => void = () => undefined
  const loop = (async () => {
    for await (const { records } of consumer) {
      for (const { offset } of records) measurement.end(begun[offset] as number)
      seen += records.length
      arrived()
      if (seen === appends) return
    }
  })()
  const source = new RecordSource(1, 100)
  await measurement.measure(async () => {
    if (perSecond === 0) {
      for (let i = 0; i < appends; i++) {
        const one = new Promise<void>(resolve => {
          arrived = resolve
        })
        begun.push(measurement.begin())
        await Promise.all([topic.send(source.next()[0] as BenchRecord), one])
      }
    } else {
      const start = measurement.begin()
      // Promises that were kept would measure the garbage collector of the benchmark.
      let failure: unknown
      const failed = (error: unknown): void => {
        failure = error
      }
      while (begun.length < appends) {
        const due = Math.min(appends, Math.floor(((performance.now() - start) / 1000) * perSecond))
        while (begun.length < due) {
          begun.push(measurement.begin())
          topic.send(source.next()[0] as BenchRecord).catch(failed)
        }
        await new Promise(resolve => setTimeout(resolve, 1))
        if (failure !== undefined) throw failure
      }
    }
    await loop
    return { operations: appends, payloadBytes: appends * (keyBytes + 100) }
  })
  expectEqual('records seen', seen, appends)
  await consumer.close()
  await db.close()
}

export interface TopicOpenParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
}

/** Opening after kill -9, up to the first record read and the first send. */
export async function openTopicAfterKill(measurement: Measurement, { records, batch }: TopicOpenParameters): Promise<void> {
  const victim = startScript('logs/workloads/topic-victim', [measurement.folder, String(records), String(batch)])
  const message = await firstMessage<{ readonly records: number }>(victim)
  expectEqual('records of the victim', message.records, records)
  victim.kill('SIGKILL')
  await ended(victim)
  let opened: Awaited<ReturnType<typeof openTopic>> | undefined
  await measurement.measure(async () => {
    const begun = measurement.begin()
    opened = await openTopic(measurement.folder, 8)
    measurement.end(begun)
    return { operations: 1, payloadBytes: records * (keyBytes + 100) }
  })
  if (opened === undefined) throw new Error('not open')
  expectSent(opened.topic, records)
  await opened.db.close()
}
