/** Random topic logs with producers, transactions, tombstones and codecs, and what a reader of one sees. */
import { CONTROL_ABORT, controlTypeOf, TRANSACTION_MARKER_BYTES, writeTransactionMarker } from '../../../../engine/batch/control-batch.ts'
import { batchLastOffset, batchProducerId, batchSize, isControlBatch, isTransactionalBatch } from '../../../../engine/batch/record-batch.ts'
import { decodeRecords, type RecordInput } from '../../../../engine/batch/record-batch-codec.ts'
import { PART_TOPIC } from '../../../../engine/segment/format.ts'
import type { AbortedTransactionEntry } from '../../../../engine/segment/part.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import type { Random } from '../codec/random.ts'
import { concat, textOf, topicBatch, writeSegment } from '../segment/fixtures.ts'
import type { MemoryFiles } from '../segment/memory-files.ts'

export interface SeenRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: number
}

export interface RandomLog {
  readonly batches: Uint8Array[]
  readonly aborted: AbortedTransactionEntry[]
  readonly endOffset: number
}

export interface RandomLogOptions {
  readonly batches: number
  readonly keys: number
  readonly transactions: boolean
}

/** All transactions are decided at the end. */
export function randomLog(random: Random, options: RandomLogOptions): RandomLog {
  const batches: Uint8Array[] = []
  const aborted: AbortedTransactionEntry[] = []
  /** By producer id: first offset of its open transaction. */
  const open = new Map<number, number>()
  const sequences = new Map<number, number>()
  let offset = 0
  const marker = (producerId: number): void => {
    const type = random.below(2) === 0 ? 'abort' : 'commit'
    const bytes = new Uint8Array(TRANSACTION_MARKER_BYTES)
    writeTransactionMarker(bytes, 0, offset, 0, { type, producerId, producerEpoch: 0, coordinatorEpoch: 1, timestamp: 1000 + offset })
    batches.push(bytes)
    if (type === 'abort') aborted.push({ producerId, firstOffset: open.get(producerId)!, lastOffset: offset, lastStableOffset: offset })
    open.delete(producerId)
    offset++
  }
  for (let i = 0; i < options.batches; i++) {
    const producerId = options.transactions ? random.below(4) - 1 : -1
    if (open.has(producerId) && random.below(3) === 0) {
      marker(producerId)
      continue
    }
    const transactional = producerId >= 0 && (open.has(producerId) || random.below(2) === 0)
    if (transactional && !open.has(producerId)) open.set(producerId, offset)
    const records: RecordInput[] = Array.from({ length: 1 + random.below(5) }, (_, k) => ({
      key: random.below(12) === 0 ? null : `key-${random.below(options.keys)}`,
      value: random.below(4) === 0 ? null : `value-${offset + k}`,
      timestamp: 1000 + offset + random.below(20),
      ...(random.below(5) === 0 ? { headers: [{ key: 'h', value: 'x' }] } : {}),
    }))
    const baseSequence = sequences.get(producerId) ?? 0
    sequences.set(producerId, baseSequence + records.length)
    const producer = producerId < 0 ? {} : { producerId, producerEpoch: 0, baseSequence }
    batches.push(topicBatch(offset, records, { ...producer, transactional, compression: random.below(4) === 0 ? 'gzip' : 'none' }))
    offset += records.length
  }
  for (const producerId of [...open.keys()]) marker(producerId)
  return { batches, aborted, endOffset: offset }
}

/** Writes the log as several segments of one part each. */
export function writeLog(files: MemoryFiles, log: RandomLog, parts: number, prefix = 'part'): string[] {
  const paths: string[] = []
  const per = Math.ceil(log.batches.length / parts)
  let firstOffset = 0
  for (let i = 0; i < log.batches.length; i += per) {
    const some = log.batches.slice(i, i + per)
    const bytes = concat(...some)
    const endOffset = batchLastOffset(some[some.length - 1]!, 0) + 1
    const path = `${prefix}-${paths.length}`
    writeSegment(files, path, writer => {
      writer.beginPart({ logId: 1, name: 'topic', kind: 1, type: PART_TOPIC, firstOffset, endOffset })
      writer.addBatches(bytes, 0, bytes.length)
      writer.setPartTables({ aborted: log.aborted.filter(({ lastOffset }) => lastOffset >= firstOffset && lastOffset < endOffset) })
      writer.endPart()
    })
    paths.push(path)
    firstOffset = endOffset
  }
  return paths
}

/** The batches and aborted transactions that lie in the parts. */
export function readLog(files: MemoryFiles, paths: readonly string[]): RandomLog {
  const batches: Uint8Array[] = []
  const aborted: AbortedTransactionEntry[] = []
  let endOffset = 0
  for (const path of paths) {
    const reader = SegmentReader.open(files, path)
    const index = reader.batchIndex(0)
    aborted.push(...index.aborted())
    endOffset = reader.directory.endOffset(0)
    for (let block = 0; block < index.blockCount; block++) {
      const { bytes } = reader.readBlocks(0, block, 1)
      for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) batches.push(bytes.slice(at, at + batchSize(bytes, at)))
    }
    reader.close()
  }
  return { batches, aborted, endOffset }
}

/** Data records as a reader sees them: all of them, or without those of aborted transactions, as a Kafka consumer leaves them out. */
export function readRecords(log: RandomLog, isolation: 'uncommitted' | 'committed'): SeenRecord[] {
  const waiting = [...log.aborted].sort((left, right) => left.firstOffset - right.firstOffset)
  const aborting = new Set<number>()
  const seen: SeenRecord[] = []
  for (const batch of log.batches) {
    const producerId = batchProducerId(batch, 0)
    while (waiting.length > 0 && waiting[0]!.firstOffset <= batchLastOffset(batch, 0)) aborting.add(waiting.shift()!.producerId)
    if (isControlBatch(batch, 0)) {
      if (controlTypeOf(batch, 0) === CONTROL_ABORT) aborting.delete(producerId)
      continue
    }
    if (isolation === 'committed' && isTransactionalBatch(batch, 0) && aborting.has(producerId)) continue
    for (const { offset, timestamp, key, value, headers } of decodeRecords(batch, 0)) {
      seen.push({
        offset,
        timestamp,
        key: key === null ? null : textOf(key.slice()),
        value: value === null ? null : textOf(value.slice()),
        headers: headers.length,
      })
    }
  }
  return seen
}
