/** How a producer's batches become one commit: plain, with sequences, or of a name that remembers its newest record of each partition. */
import type { Commit, Committed, LocalLog, TopicRecord } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { InternalChange } from '../internal/internal-topic.ts'
import type { Sent } from './outgoing.ts'
import type { QueuedBatch, WrittenBatches } from './producer-queue.ts'
import { lastKey, type NamedProducer, type ProducerEpoch, type ProducerRegistry, type ProducerRow } from './producer-registry.ts'

const sequenceModulus = 2 ** 31

/** Producer id and epoch, with the sequence that each partition expects next. */
export interface SequencedProducer extends ProducerEpoch {
  readonly next: Map<LocalLog, number>
}

export interface WriteOptions {
  /** Of an idempotent producer. */
  readonly producer?: SequencedProducer | undefined
  readonly transactional?: boolean | undefined
  /** Writes of its own, in the same commit. */
  readonly also?: ((commit: Commit) => void) | undefined
}

/** Appends the batches as one commit, in order. Sequences advance only when it was made. */
export function writeBatches(host: StreamHost, batches: readonly QueuedBatch[], options: WriteOptions): WrittenBatches {
  const { producer, transactional = false, also } = options
  const next = producer === undefined ? undefined : new Map<LocalLog, number>()
  const committed = host.commit(commit => {
    also?.(commit)
    for (const { core, log, records } of batches) {
      const { compression } = core.options
      const sequence = next?.get(log) ?? producer?.next.get(log) ?? 0
      next?.set(log, (sequence + records.length) % sequenceModulus)
      commit.appendRecords(log, records, {
        ...(compression === undefined ? {} : { compression }),
        ...(producer === undefined ? {} : { producer: { id: producer.id, epoch: producer.epoch, sequence } }),
        ...(transactional ? { transactional } : {}),
      })
    }
  })
  if (next !== undefined) for (const [log, sequence] of next) producer?.next.set(log, sequence)
  // What `also` has appended comes first.
  const first = committed.appends.length - batches.length
  return {
    sentOf: index => placesOf(batches[index] as QueuedBatch, committed, first + index),
    acknowledged: committed.acknowledged,
  }
}

function placesOf({ partition, records }: QueuedBatch, { appends }: Committed, index: number): Sent[] {
  const { baseOffset, duplicate } = appends[index] as Committed['appends'][number]
  return records.map(({ timestamp }, i) => ({ partition, offset: baseOffset + i, timestamp: timestamp as number, duplicate }))
}

/** As `writeBatches`, of a named producer: what it sent before is not sent again, and its newest record of each partition is kept in the same commit. */
export function writeNamed(
  host: StreamHost,
  registry: ProducerRegistry,
  holder: NamedProducer,
  producer: SequencedProducer,
  batches: readonly QueuedBatch[],
): WrittenBatches {
  registry.assertHolds(holder)
  const kept: QueuedBatch[] = []
  const sent: (Sent | undefined)[][] = []
  /** By partition: the newest record as this commit leaves it. */
  const newest = new Map<LocalLog, { sequence: number; offset: number; readonly key: string }>()
  for (const batch of batches) {
    const { core, log, partition, sequences } = batch
    const records: TopicRecord[] = []
    const places: (Sent | undefined)[] = []
    let last = newest.get(log)
    if (last === undefined) {
      const stored = registry.last(holder.name, core.id, partition)
      last = { sequence: stored?.sequence ?? -1, offset: stored?.offset ?? -1, key: lastKey(holder.name, core.id, partition) }
    }
    let end = newest.has(log) ? last.offset + 1 : log.endOffset
    for (const [index, record] of batch.records.entries()) {
      const sequence = sequences[index] as number
      if (sequence <= last.sequence) {
        const offset = sequence === last.sequence ? last.offset : -1
        places.push({ partition, offset, timestamp: record.timestamp as number, duplicate: true })
        continue
      }
      records.push(record)
      places.push(undefined)
      last.sequence = sequence
      last.offset = end++
      newest.set(log, last)
    }
    sent.push(places)
    if (records.length > 0) kept.push({ ...batch, records })
  }
  const rows: InternalChange<ProducerRow>[] = [...newest.values()].map(({ key, sequence, offset }) => ({
    key,
    value: { sequence, offset },
  }))
  const written = writeBatches(host, kept, { producer, also: commit => registry.writeLast(commit, rows) })
  registry.apply(rows)
  let count = 0
  /** Of each batch: which of those that were written; -1 for one of which nothing was new. */
  const writtenAs = sent.map(places => (places.every(place => place !== undefined) ? -1 : count++))
  return {
    sentOf(index) {
      const places = sent[index] as (Sent | undefined)[]
      const as = writtenAs[index] as number
      if (as < 0) return places as Sent[]
      const fresh = written.sentOf(as)
      let taken = 0
      return places.map(place => place ?? (fresh[taken++] as Sent))
    },
    acknowledged: written.acknowledged,
  }
}
