/**
 * Appends many records as one commit, in the turn of the call: the fast way in. Records of one partition become one batch (or several, at Kafka's
 * `max.message.bytes`), all of the call are durable together or not at all.
 */
import { isVarveError, type LocalLog, type ProducerIdentity, type TopicRecord } from '../../engine/index.ts'
import { type AppendCondition, versionCheck } from '../keys/expected-version.ts'
import type { StickyPartition } from '../partition/partitioner.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { Accumulator } from './accumulator.ts'
import type { Outgoing, Sent } from './outgoing.ts'

const batchBytesMax = 1024 * 1024

/** Records of one partition that become one batch. */
export interface PartitionBatch {
  readonly log: LocalLog
  readonly partition: number
  readonly records: TopicRecord[]
  /** Index of each record in what was sent. */
  readonly places: number[]
  bytes: number
  /** Of an idempotent producer. */
  producer?: ProducerIdentity
}

/** What was sent, by partition, in order. */
export function gatherByPartition<V, K>(
  core: TopicCore<V, K>,
  items: readonly (V | Outgoing<V, K>)[],
  sticky: StickyPartition,
  now: number,
): PartitionBatch[] {
  if (!Array.isArray(items)) throw new TypeError(`records must be an array, got ${String(items)}`)
  const batches: PartitionBatch[] = []
  const open: (PartitionBatch | undefined)[] = []
  for (let i = 0; i < items.length; i++) {
    const { partition, record } = core.outgoing(items[i] as V | Outgoing<V, K>, sticky, now)
    const bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0) + 16
    let batch = open[partition]
    if (batch === undefined || batch.bytes + bytes > batchBytesMax) {
      batch = { log: core.partition(partition), partition, records: [], places: [], bytes: 0 }
      open[partition] = batch
      batches.push(batch)
    }
    batch.records.push(record)
    batch.places.push(i)
    batch.bytes += bytes
  }
  return batches
}

/** Resolves, in the order of `items`, when all of them are durable by the database's word. */
export async function sendBatch<V, K>(
  core: TopicCore<V, K>,
  items: readonly (V | Outgoing<V, K>)[],
  sticky: StickyPartition,
  accumulator: Accumulator,
  condition?: AppendCondition,
): Promise<Sent[]> {
  const { host } = core
  const batches = gatherByPartition(core, items, sticky, host.environment.clock.now())
  if (batches.length === 0) return []
  const expected = versionCheck(core, batches, condition)
  await expected?.index.built
  const { compression } = core.options
  const options = compression === undefined ? {} : { compression }
  for (;;) {
    accumulator.flush()
    if (accumulator.isBlocked) {
      await accumulator.drained()
      continue
    }
    try {
      expected?.check()
      const committed = host.commit(commit => {
        for (const { log, records } of batches) commit.appendRecords(log, records, options)
      })
      await committed.acknowledged
      const sent = new Array<Sent>(items.length)
      for (const [index, { partition, records, places }] of batches.entries()) {
        const offset = committed.appends[index]?.baseOffset as number
        for (let i = 0; i < places.length; i++) {
          sent[places[i] as number] = { partition, offset: offset + i, timestamp: records[i]?.timestamp as number, duplicate: false }
        }
      }
      return sent
    } catch (error) {
      if (!isVarveError(error, 'BUSY')) throw error
      await host.drain()
    }
  }
}
