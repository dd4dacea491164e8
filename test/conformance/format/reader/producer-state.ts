/** Producer state: docs/FORMAT.md, section 8; reading one, and the fold over batches that makes it. */
import { Cursor, check, Newer } from './bytes.ts'
import type { TopicBatch } from './topic-batch.ts'

export interface Producer {
  readonly id: number
  epoch: number
  newestTime: number
  /** First offset plus 1; 0 when none is open. */
  openTransaction: number
  batches: { baseSequence: number; lastSequence: number; baseOffset: number; endOffset: number }[]
}

export function readProducerState(bytes: Buffer): Producer[] {
  const cursor = new Cursor(bytes)
  const version = cursor.i32()
  if (version !== 1) throw new Newer(`producer state version ${version}`)
  const producers = Array.from({ length: cursor.i32() }, () => {
    const [id, epoch, batchCount] = [cursor.u64(), cursor.i32(), cursor.i32()]
    const producer: Producer = { id, epoch, newestTime: cursor.u64(), openTransaction: cursor.u64(), batches: [] }
    for (let i = 0; i < batchCount; i++) {
      const [baseSequence, lastSequence, baseOffset, endOffset] = [cursor.i32(), cursor.i32(), cursor.u64(), cursor.u64()]
      producer.batches.push({ baseSequence, lastSequence, baseOffset, endOffset })
    }
    return producer
  })
  check(cursor.done, 'bytes behind a producer state')
  return producers
}

/** Folds a batch in. Returns the row of the table of aborted transactions that it makes. */
export function foldProducers(producers: Map<number, Producer>, batch: TopicBatch): number[] | undefined {
  const { producerId: id, producerEpoch: epoch } = batch
  if (id < 0) return undefined
  const producer = producers.get(id) ?? { id, epoch, newestTime: 0, openTransaction: 0, batches: [] }
  producers.set(id, producer)
  if (epoch > producer.epoch) {
    producer.epoch = epoch
    producer.batches = []
  }
  producer.newestTime = Math.max(producer.newestTime, batch.maxTimestamp)
  if (!batch.control) {
    if (batch.transactional && producer.openTransaction === 0) producer.openTransaction = batch.baseOffset + 1
    if (batch.baseSequence < 0) return undefined
    const lastSequence = (batch.baseSequence + batch.count - 1) % 2 ** 31
    const { baseSequence, baseOffset } = batch
    producer.batches.push({ baseSequence, lastSequence, baseOffset, endOffset: baseOffset + batch.count })
    if (producer.batches.length > 5) producer.batches.shift()
    return undefined
  }
  const opened = producer.openTransaction
  producer.openTransaction = 0
  if (opened === 0 || batch.records[0]?.key?.readInt16BE(2) !== 0) return undefined
  const open = [...producers.values()].map(other => other.openTransaction).filter(first => first > 0)
  return [id, opened - 1, batch.baseOffset, open.length === 0 ? batch.baseOffset + 1 : Math.min(...open) - 1]
}
