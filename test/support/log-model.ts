/**
 * What a log should hold, as plain arrays: the judge of the model and crash tests. Every value is immutable and every change makes a new one, so
 * that a history of states costs little and any earlier state can be compared with what a crash left.
 *
 * Batches below the start and those that flushing or compaction moved elsewhere stay in the model: the state of producers, of keys and of
 * epochs follows from them. Bytes are what the log itself gave right after the append, when their content was checked against the input.
 */
import type { DefinedLog, ProducerIdentity } from '../../engine/log/log.ts'

/** One record, in a form that is compared as text. */
export interface ModelRecord {
  /** undefined: no key (topics only). */
  readonly key: string | undefined
  /** Everything about the record but its offset and sequence. */
  readonly text: string
  readonly timestamp: number
  /** Store logs: what the record does to its key. */
  readonly kind: 'put' | 'delete'
  /** Topic logs: the record removes its key when the log is compacted. */
  readonly isTombstone: boolean
}

export interface ModelBatch {
  readonly base: number
  /** Exclusive. */
  readonly end: number
  readonly epoch: number
  readonly bytes: Uint8Array
  /** Of the batch: the largest of its records (topic), or when it was made (store). */
  readonly timestamp: number
  readonly records: readonly ModelRecord[]
  readonly producer: ProducerIdentity | undefined
}

export interface LogModel {
  readonly definition: DefinedLog
  readonly start: number
  readonly end: number
  /** 'owner' logs: what was advanced to. */
  readonly highWatermark: number
  readonly batches: readonly ModelBatch[]
  readonly metadata: ReadonlyMap<string, string>
}

/** All logs of a database by id. */
export type ModelState = ReadonlyMap<number, LogModel>

export const emptyState: ModelState = new Map()

export function newLog(definition: DefinedLog): LogModel {
  return { definition, start: 0, end: 0, highWatermark: 0, batches: [], metadata: new Map() }
}

export function withLog(state: ModelState, log: LogModel): ModelState {
  return new Map(state).set(log.definition.id, log)
}

export function withoutLogs(state: ModelState, ids: readonly number[]): ModelState {
  const next = new Map(state)
  for (const id of ids) next.delete(id)
  return next
}

export function appended(log: LogModel, batches: readonly ModelBatch[]): LogModel {
  const last = batches.at(-1)
  return last === undefined ? log : { ...log, batches: [...log.batches, ...batches], end: last.end }
}

/** Without the records at and above `offset`; `cut` is the batch that loses only some of them. */
export function truncated(log: LogModel, offset: number): { readonly log: LogModel; readonly cut: ModelBatch | undefined } {
  const cut = log.batches.find(batch => batch.base < offset && batch.end > offset)
  const batches = log.batches.filter(batch => batch.end <= offset)
  return { log: { ...log, batches, end: cut?.base ?? Math.min(log.end, offset) }, cut }
}

export function reset(log: LogModel, offset: number): LogModel {
  return { ...log, batches: [], start: offset, end: offset, highWatermark: offset }
}

export function trimmed(log: LogModel, offset: number): LogModel {
  return { ...log, start: Math.max(log.start, offset) }
}

export function withMetadata(log: LogModel, slot: string, value: string | undefined): LogModel {
  const metadata = new Map(log.metadata)
  if (value === undefined) metadata.delete(slot)
  else metadata.set(slot, value)
  return { ...log, metadata }
}

export function newestEpoch(log: LogModel): number {
  return log.batches.at(-1)?.epoch ?? 0
}

export function isOwner(log: LogModel): boolean {
  return log.definition.highWatermark === 'owner'
}

/** True for logs whose offsets cannot be read once they are flushed. */
export function isBodiless(log: LogModel): boolean {
  return log.definition.kind === 'store' && log.definition.body !== true
}

export function isCompacted(log: LogModel): boolean {
  return log.definition.cleanup === 'compact'
}

/** Index of the first batch that ends behind `offset`. */
export function findBatch(batches: readonly ModelBatch[], offset: number): number {
  let low = 0
  let high = batches.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((batches[middle] as ModelBatch).end <= offset) low = middle + 1
    else high = middle
  }
  return low
}

/** As `Log.offsetForTime`; `start` is where the log can be read from. */
export function offsetForTime(log: LogModel, timestamp: number, start: number, bound: number): number | undefined {
  for (let index = findBatch(log.batches, start); index < log.batches.length; index++) {
    const batch = log.batches[index] as ModelBatch
    if (batch.end > bound) return undefined
    if (batch.timestamp < timestamp) continue
    if (log.definition.kind === 'store') return Math.max(start, batch.base)
    const at = batch.records.findIndex((record, i) => record.timestamp >= timestamp && batch.base + i >= start)
    if (at >= 0) return batch.base + at
  }
  return undefined
}

/** As `Log.endOffsetForEpoch`. */
export function epochEnd(log: LogModel, epoch: number): { epoch: number; endOffset: number } | undefined {
  let endOffset = log.end
  for (const batch of log.batches.toReversed()) {
    if (batch.epoch <= epoch) return { epoch: batch.epoch, endOffset }
    endOffset = batch.base
  }
  return undefined
}

export interface ModelProducer {
  epoch: number
  next: number
  /** The last five, oldest first. */
  kept: { readonly sequence: number; readonly count: number; readonly base: number; readonly end: number }[]
}

/** What the log remembers of its idempotent producers. */
export function producersOf(log: LogModel): Map<number, ModelProducer> {
  const producers = new Map<number, ModelProducer>()
  for (const { producer, base, end } of log.batches) {
    if (producer === undefined) continue
    const before = producers.get(producer.id)
    const known = before === undefined || before.epoch < producer.epoch ? { epoch: producer.epoch, next: 0, kept: [] } : before
    const count = end - base
    known.kept = [...known.kept, { sequence: producer.sequence, count, base, end }].slice(-5)
    known.next = (producer.sequence + count) % 2 ** 31
    producers.set(producer.id, known)
  }
  return producers
}

/** Store logs: the newest put of each key that no delete followed. */
export function visibleOf(log: LogModel): Map<string, string> {
  const visible = new Map<string, string>()
  for (const { records } of log.batches) {
    for (const { key, text, kind } of records) {
      if (kind === 'delete') visible.delete(key as string)
      else visible.set(key as string, text)
    }
  }
  return visible
}
