/** How a producer's batches become one commit: plain, with sequences, or of a name that remembers its newest record of each partition. */
import type { Commit, Committed, LocalLog, TopicBatch } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { InternalChange } from '../internal/internal-topic.ts'
import { giveBack, takeBatch } from './batch-pool.ts'
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
    for (const { core, log, batch } of batches) {
      const { compression } = core.options
      const sequence = next?.get(log) ?? producer?.next.get(log) ?? 0
      next?.set(log, (sequence + batch.count) % sequenceModulus)
      commit.appendRecords(log, batch, {
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
    sentOf(index, record) {
      const { partition, timestamps } = batches[index] as QueuedBatch
      const { baseOffset, duplicate } = committed.appends[first + index] as Committed['appends'][number]
      return { partition, offset: baseOffset + record, timestamp: timestamps[record] as number, duplicate }
    },
    acknowledged: committed.acknowledged,
  }
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
  /** Of each batch: its number among those that are kept, and of each record its place there; or, below -1, that of a duplicate. */
  const places: { readonly as: number; readonly places: Float64Array }[] = []
  /** By partition: the newest record as this commit leaves it. */
  const newest = new Map<LocalLog, { sequence: number; offset: number; readonly key: string }>()
  const copies: TopicBatch[] = []
  try {
    for (const queued of batches) {
      const { core, log, partition, batch, sequences } = queued
      let last = newest.get(log)
      if (last === undefined) {
        const stored = registry.last(holder.name, core.id, partition)
        last = { sequence: stored?.sequence ?? -1, offset: stored?.offset ?? -1, key: lastKey(holder.name, core.id, partition) }
      }
      let end = newest.has(log) ? last.offset + 1 : log.endOffset
      let fresh = 0
      const placesOf = new Float64Array(sequences.length)
      for (let i = 0; i < sequences.length; i++) {
        const sequence = sequences[i] as number
        if (sequence <= last.sequence) {
          placesOf[i] = sequence === last.sequence ? duplicateOf(last.offset) : duplicateOf(-1)
          continue
        }
        placesOf[i] = fresh++
        last.sequence = sequence
        last.offset = end++
        newest.set(log, last)
      }
      places.push({ as: kept.length, places: placesOf })
      if (fresh === sequences.length) kept.push(queued)
      else if (fresh > 0) {
        const copy = takeBatch()
        copies.push(copy)
        batch.copyTo(copy, index => (placesOf[index] as number) >= 0)
        kept.push({ ...queued, batch: copy })
      }
    }
    const rows: InternalChange<ProducerRow>[] = [...newest.values()].map(({ key, sequence, offset }) => ({
      key,
      value: { sequence, offset },
    }))
    const written = writeBatches(host, kept, { producer, also: commit => registry.writeLast(commit, rows) })
    registry.apply(rows)
    return {
      sentOf(index, record) {
        const { as, places: placesOf } = places[index] as (typeof places)[number]
        const { partition, timestamps } = batches[index] as QueuedBatch
        const place = placesOf[record] as number
        const timestamp = timestamps[record] as number
        if (place < 0) return { partition, offset: offsetOfDuplicate(place), timestamp, duplicate: true }
        return { ...written.sentOf(as, place), timestamp }
      },
      acknowledged: written.acknowledged,
    }
  } finally {
    for (const copy of copies) giveBack(copy)
  }
}

/** An offset, or -1 for one that is not known any more, as a negative number. */
const duplicateOf = (offset: number): number => -2 - offset
const offsetOfDuplicate = (place: number): number => -2 - place
