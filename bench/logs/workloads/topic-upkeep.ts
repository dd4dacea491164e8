/** What happens to topics behind the senders: compaction, alone and beside appends, replay, and opening a large one. */

import type { Measurement } from '../../measurement.ts'
import { expectAtLeast, expectEqual } from '../../workload.ts'
import { keyBytes, RecordSource } from '../records.ts'
import { fillElsewhere, openTopic } from './topics.ts'

export interface CompactionParameters {
  readonly [name: string]: number
  readonly records: number
  readonly keys: number
  readonly batch: number
}

/** All of a compacted topic is cleaned once; the rate is of what is read. */
export async function compactTopic(measurement: Measurement, { records, keys, batch }: CompactionParameters): Promise<void> {
  await fillElsewhere(measurement.folder, records, batch, { keys })
  const { db, topic } = await openTopic(measurement.folder, 8, keys)
  await db.seal()
  await measurement.measure(async () => {
    const begun = measurement.begin()
    await topic.compact()
    measurement.end(begun)
    return { operations: records, payloadBytes: records * (keyBytes + 100) }
  })
  let left = 0
  for await (const { records: kept } of topic.consume({ until: 'end' })) left += kept.length
  expectAtLeast('records kept', left, keys)
  expectAtLeast('records compacted away', records - left, (records - keys) / 2)
  await db.close()
}

/** The same while batches go on coming, to another topic; the latencies are of these. */
export async function compactBesideAppends(measurement: Measurement, parameters: CompactionParameters): Promise<void> {
  const { records, keys, batch } = parameters
  await fillElsewhere(measurement.folder, records, batch, { keys })
  const { db, topic } = await openTopic(measurement.folder, 8, keys)
  await db.seal()
  const other = db.topic<Uint8Array, Uint8Array>('other', { partitions: 8, keyCodec: 'bytes', value: 'bytes' })
  await other.ready()
  const source = new RecordSource(batch, 100)
  let sent = 0
  let isCompacting = true
  const append = async (): Promise<void> => {
    while (isCompacting) {
      const begun = measurement.begin()
      await other.sendBatch(source.next())
      measurement.end(begun)
      sent += batch
    }
  }
  await measurement.measure(async () => {
    const appending = Promise.all(Array.from({ length: 16 }, append))
    await topic.compact()
    isCompacting = false
    await appending
    return { operations: sent, payloadBytes: records * (keyBytes + 100) }
  })
  await db.close()
}

export interface ReplayParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
}

/** A whole topic into another one with as many partitions, as fast as it goes. */
export async function replayTopic(measurement: Measurement, { records, batch }: ReplayParameters): Promise<void> {
  await fillElsewhere(measurement.folder, records, batch)
  const { db, topic } = await openTopic(measurement.folder, 8)
  const to = db.topic<Uint8Array, Uint8Array>('copy', { partitions: 8, keyCodec: 'bytes', value: 'bytes' })
  await to.ready()
  let written = 0
  await measurement.measure(async () => {
    written = (await topic.replay({ to })).written
    return { operations: written, payloadBytes: written * (keyBytes + 100) }
  })
  expectEqual('records replayed', written, records)
  await db.close()
}

export interface OpenLargeParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
  readonly valueBytes: number
}

/** Opening a topic that lies in segments. */
export async function openLarge(measurement: Measurement, { records, batch, valueBytes }: OpenLargeParameters): Promise<void> {
  await fillElsewhere(measurement.folder, records, batch, { valueBytes })
  let opened: Awaited<ReturnType<typeof openTopic>> | undefined
  await measurement.measure(async () => {
    const begun = measurement.begin()
    opened = await openTopic(measurement.folder, 8)
    measurement.end(begun)
    return { operations: 1, payloadBytes: records * (keyBytes + valueBytes) }
  })
  if (opened === undefined) throw new Error('not open')
  const { db, topic } = opened
  expectEqual(
    'records in the topic',
    topic.describe().partitions.reduce((sum, { highWatermark }) => sum + highWatermark, 0),
    records,
  )
  await db.close()
}
