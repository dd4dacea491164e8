/**
 * Step 2 of a commit: each operation against its log, as the earlier operations of the same commit leave it. Fills in offsets and epochs; recognises
 * resends of idempotent producers. Nothing is changed but the operations themselves.
 */

import { ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL } from '../batch/format.ts'
import { batchAttributes, batchBaseOffset, batchBaseSequence, batchProducerEpoch, batchProducerId } from '../batch/record-batch.ts'
import { decodeRecords, encodeRecordBatch } from '../batch/record-batch-codec.ts'
import { storeBatchBaseOffset, storeBatchEpoch } from '../batch/store-batch.ts'
import { cutStoreBatch } from '../batch/store-rewrite.ts'
import { gatheredAppendBytesMax } from '../commit-log/gathering-batch.ts'
import { assert, VarveError } from '../errors.ts'
import { batchEnd, batchLength } from './batch-kinds.ts'
import type { LogicalLog } from './logical-log.ts'
import type { AppendOperation, Operation, TruncateOperation } from './operations.ts'
import type { ProducerState } from './producer-state.ts'

/** Where a log ends as far as a commit has been checked. */
class LogEnd {
  readonly log: LogicalLog
  offset: number
  epoch: number
  /** What this commit already has of each producer; made when there is one. */
  producers: Map<number, { epoch: number; nextSequence: number }> | undefined
  /** What this commit truncates, and the producers as that leaves them; made when a producer's batch follows. */
  truncated: TruncateOperation | undefined
  producersLeft: ProducerState | undefined
  appended = false
  /** The only append of the commit so far. */
  only: AppendOperation | undefined

  constructor(log: LogicalLog) {
    this.log = log
    this.offset = log.endOffset
    this.epoch = log.epoch
  }
}

/** So many logs are looked through; for more there is a map. */
const endsLookedThrough = 16

export class CommitChecker {
  readonly #ends: LogEnd[] = []
  #endByLog: Map<LogicalLog, LogEnd> | undefined

  #endOf(log: LogicalLog): LogEnd {
    const ends = this.#ends
    if (this.#endByLog === undefined) {
      for (const end of ends) if (end.log === log) return end
    } else {
      const known = this.#endByLog.get(log)
      if (known !== undefined) return known
    }
    const end = new LogEnd(log)
    ends.push(end)
    if (this.#endByLog !== undefined) this.#endByLog.set(log, end)
    else if (ends.length > endsLookedThrough) this.#endByLog = new Map(ends.map(each => [each.log, each]))
    return end
  }

  /** Throws OFFSET_MISMATCH, STALE_EPOCH, PRODUCER_FENCED, OUT_OF_ORDER_SEQUENCE, RangeError. */
  check(operation: Operation): void {
    const { log } = operation
    const end = this.#endOf(log)
    if (operation.type === 'reset') {
      end.offset = operation.offset
      return
    }
    if (operation.type === 'truncate') {
      this.#checkTruncate(operation, end)
      return
    }
    const { options } = operation
    if (options.expectedOffset !== undefined && options.expectedOffset !== end.offset) {
      throw new VarveError('OFFSET_MISMATCH', `log ${log.name} ends at ${end.offset}, expected ${options.expectedOffset}`, {
        details: { log: log.name, expected: options.expectedOffset, actual: end.offset },
      })
    }
    const keep = options.keepOffsets === true
    const bytes = operation.bytes
    const count =
      operation.topicBatch?.count ??
      operation.topicRecords?.length ??
      operation.storeRecords?.length ??
      operation.storeWrites?.count ??
      readyCount(log, bytes as Uint8Array)
    const ownEpoch = keep && bytes !== undefined ? readyEpoch(log, bytes) : undefined
    const epoch = ownEpoch ?? options.epoch ?? end.epoch
    if (epoch < end.epoch) {
      throw new VarveError('STALE_EPOCH', `log ${log.name} has epoch ${end.epoch}, this batch has ${epoch}`, {
        details: { log: log.name, expected: end.epoch, actual: epoch },
      })
    }
    if (keep && bytes !== undefined) {
      const base = log.kind === 'topic' ? batchBaseOffset(bytes, 0) : storeBatchBaseOffset(bytes, 0)
      if (base !== end.offset) {
        throw new VarveError('OFFSET_MISMATCH', `log ${log.name} ends at ${end.offset}, the batch begins at ${base}`, {
          details: { log: log.name, expected: end.offset, actual: base },
        })
      }
    }
    operation.epoch = epoch
    if (log.kind === 'topic' && this.#checkProducer(operation, end, count)) return
    operation.baseOffset = end.offset
    operation.endOffset = end.offset + count
    if (!Number.isSafeInteger(operation.endOffset)) throw new RangeError(`log ${log.name}: offsets end at 2^53`)
    end.offset = operation.endOffset
    end.epoch = epoch
    if (end.appended) {
      if (end.only !== undefined) end.only.gathers = false
      end.only = undefined
    } else {
      end.only = operation
      operation.gathers = mayGather(operation)
    }
    end.appended = true
  }

  /** True when the batch is a resend: its old offsets are the answer. */
  #checkProducer(operation: AppendOperation, end: LogEnd, count: number): boolean {
    const { log, bytes } = operation
    let producer = operation.options.producer
    if (bytes !== undefined) {
      const id = batchProducerId(bytes, 0)
      const control = (batchAttributes(bytes, 0) & ATTRIBUTE_CONTROL) !== 0
      if (id < 0 || control || operation.options.keepOffsets === true) return false
      producer = { id, epoch: batchProducerEpoch(bytes, 0), sequence: batchBaseSequence(bytes, 0) }
    }
    if (producer === undefined) return false
    const before = end.producers?.get(producer.id)
    if (before === undefined) {
      const { truncated } = end
      if (truncated !== undefined) end.producersLeft ??= log.producersBelow(truncated.boundary, truncated.head)
      const duplicate = (end.producersLeft ?? log.producers).check(producer, count)
      if (duplicate !== undefined) {
        operation.baseOffset = duplicate.baseOffset
        operation.endOffset = duplicate.endOffset
        operation.duplicate = true
        return true
      }
    } else if (producer.epoch < before.epoch || (producer.epoch === before.epoch && producer.sequence !== before.nextSequence)) {
      throw new VarveError(
        'OUT_OF_ORDER_SEQUENCE',
        `producer ${producer.id} sent sequence ${producer.sequence}, expected ${before.nextSequence}`,
        {
          details: { log: log.name, expected: before.nextSequence, actual: producer.sequence },
        },
      )
    }
    end.producers ??= new Map()
    end.producers.set(producer.id, { epoch: producer.epoch, nextSequence: (producer.sequence + count) % 2 ** 31 })
    return false
  }

  #checkTruncate(operation: TruncateOperation, end: LogEnd): void {
    const { log, offset } = operation
    if (offset < log.highWatermark || offset > end.offset) {
      throw new RangeError(
        `log ${log.name}: cannot truncate to ${offset}, not between the high watermark ${log.highWatermark} and the end ${end.offset}`,
      )
    }
    if (end.appended || end.truncated !== undefined) {
      throw new TypeError(`log ${log.name}: truncate once, and before appending, in one commit`)
    }
    end.offset = offset
    // What is cut off, and who has sent what stays, stands in the bytes.
    log.placeGathering()
    const index = log.tail.find(offset)
    if (index < log.tail.length && log.tail.baseOffset(index) < offset) {
      operation.boundary = log.tail.baseOffset(index)
      operation.head = headOfBatch(log, index, offset)
    }
    // The epoch may fall with the suffix that carried it.
    const last = operation.boundary < offset ? index : index - 1
    end.epoch = last >= 0 ? Math.max(0, log.tail.epoch(last)) : log.epochOfParts()
    end.truncated = operation
  }
}

/** Small plain records: of no producer, not compressed, asked of no state machine, and nobody's to confirm. */
function mayGather({ log, topicBatch, options }: AppendOperation): boolean {
  return (
    topicBatch !== undefined &&
    topicBatch.size <= gatheredAppendBytesMax &&
    options.producer === undefined &&
    options.transactional !== true &&
    (options.compression ?? 'none') === 'none' &&
    !log.ownsHighWatermark &&
    log.machine === undefined
  )
}

function readyCount(log: LogicalLog, bytes: Uint8Array): number {
  return batchEnd(log.kind, bytes, 0) - (log.kind === 'topic' ? batchBaseOffset(bytes, 0) : storeBatchBaseOffset(bytes, 0))
}

export function readyEpoch(log: LogicalLog, bytes: Uint8Array): number {
  return Math.max(0, log.kind === 'topic' ? readTopicEpoch(bytes) : storeBatchEpoch(bytes, 0))
}

function readTopicEpoch(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(12)
}

/** The records below `offset` of the tail batch at `index`, as a batch of their own with the same base offset, epoch and producer. */
function headOfBatch(log: LogicalLog, index: number, offset: number): Uint8Array {
  const { tail } = log
  const source = tail.arena(index).bytes
  const position = tail.position(index)
  if (log.kind === 'store') return cutStoreBatch(source, position, offset)
  const size = batchLength('topic', source, position)
  const records = decodeRecords(source, position, position + size).filter(record => record.offset < offset)
  const attributes = batchAttributes(source, position)
  assert((attributes & ATTRIBUTE_CONTROL) === 0 && records.length > 0, 'a control batch has one offset', attributes)
  return encodeRecordBatch(records, {
    baseOffset: batchBaseOffset(source, position),
    epoch: tail.epoch(index),
    producerId: batchProducerId(source, position),
    producerEpoch: batchProducerEpoch(source, position),
    baseSequence: batchBaseSequence(source, position),
    transactional: (attributes & ATTRIBUTE_TRANSACTIONAL) !== 0,
  })
}
