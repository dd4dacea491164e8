/**
 * What a topic log remembers of its producers: Kafka's producer state manager, as a fold over batch headers.
 *
 * Per producer id: newest epoch, the last five batches (so that a resend is answered with its old offsets), and the first offset of its open
 * transaction. From the open transactions follow the last stable offset and, at an abort marker, the list of aborted transactions.
 * A snapshot of this state goes into the footer of every part, so that deduplication survives flush, recycling and reopening.
 *
 * Rules (Kafka's): sequences follow without gaps and wraps at 2^31; a repeat of one of the last five batches is a duplicate; an older epoch is
 * fenced; a newer epoch must begin at sequence 0; a producer id never seen may begin anywhere (its state may have expired).
 * Owned by one logical log, or by the flush task that continues from a snapshot.
 */
import { CONTROL_COMMIT, controlTypeOf } from '../batch/control-batch.ts'
import {
  batchBaseOffset,
  batchBaseSequence,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  isControlBatch,
  isTransactionalBatch,
} from '../batch/record-batch.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readI32LE as readI32, readI64LE as readU64, write32LE as writeI32, writeI64LE as writeU64 } from '../codec/fixed-width.ts'
import { VarveError } from '../errors.ts'
import type { AbortedTransaction, ProducerIdentity } from './log.ts'

const batchesKept = 5
const sequenceModulus = 2 ** 31
const snapshotVersion = 1
const producerHeaderBytes = 32
const batchBytes = 24

interface KeptBatch {
  readonly baseSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  readonly endOffset: number
}

interface Producer {
  epoch: number
  /** Newest last. */
  batches: KeptBatch[]
  /** Timestamp of the newest batch, or of the flush that took it if that is later; for expiry. */
  lastTimestamp: number
  /** First offset of the open transaction; -1 when none is open. */
  transactionOffset: number
}

/**
 * A producer of which no flush has seen anything for this long is forgotten with the next flush of its log, ms: Kafka's `producer.id.expiration.ms`. Counted
 * from the flush, not from the records' own times, which may lie far back.
 */
export const producerExpiryMs: number = 24 * 60 * 60 * 1000

/** An aborted transaction with the last stable offset at its marker, as the footer stores it. */
export interface AbortedEntry extends AbortedTransaction {
  readonly lastStableOffset: number
}

export class ProducerState {
  readonly #producers = new Map<number, Producer>()

  get isEmpty(): boolean {
    return this.#producers.size === 0
  }

  get size(): number {
    return this.#producers.size
  }

  /** The old offsets when this batch is a resend, undefined when it may be appended. Throws PRODUCER_FENCED, OUT_OF_ORDER_SEQUENCE. */
  check(identity: ProducerIdentity, count: number): { readonly baseOffset: number; readonly endOffset: number } | undefined {
    const producer = this.#producers.get(identity.id)
    if (producer === undefined) return undefined
    if (identity.epoch < producer.epoch) {
      throw new VarveError('PRODUCER_FENCED', `producer ${identity.id} has epoch ${producer.epoch}, this batch has ${identity.epoch}`, {
        details: { expected: producer.epoch, actual: identity.epoch },
      })
    }
    const last = producer.batches.at(-1)
    if (identity.epoch > producer.epoch || last === undefined) {
      // Without a batch of its epoch a producer is known by a marker that fenced its predecessor: it begins anew too.
      if (identity.sequence !== 0) throw outOfOrder(identity, 0)
      return undefined
    }
    const lastSequence = addSequence(identity.sequence, count - 1)
    for (const batch of producer.batches) {
      if (batch.baseSequence === identity.sequence && batch.lastSequence === lastSequence) return batch
    }
    const expected = addSequence(last.lastSequence, 1)
    if (identity.sequence !== expected) throw outOfOrder(identity, expected)
    return undefined
  }

  /** A data batch of a producer was appended. */
  appended(identity: ProducerIdentity, count: number, baseOffset: number, timestamp: number, transactional: boolean): void {
    let producer = this.#producers.get(identity.id)
    if (producer === undefined) {
      producer = { epoch: identity.epoch, batches: [], lastTimestamp: timestamp, transactionOffset: -1 }
      this.#producers.set(identity.id, producer)
    }
    if (identity.epoch > producer.epoch) {
      producer.epoch = identity.epoch
      producer.batches = []
    }
    producer.lastTimestamp = Math.max(producer.lastTimestamp, timestamp)
    if (transactional && producer.transactionOffset < 0) producer.transactionOffset = baseOffset
    if (identity.sequence < 0) return
    producer.batches.push({
      baseSequence: identity.sequence,
      lastSequence: addSequence(identity.sequence, count - 1),
      baseOffset,
      endOffset: baseOffset + count,
    })
    if (producer.batches.length > batchesKept) producer.batches.shift()
  }

  /** A transaction marker was appended at `offset`. Returns the aborted transaction when it ends one that way. */
  ended(producerId: number, epoch: number, commit: boolean, offset: number, timestamp: number): AbortedEntry | undefined {
    let producer = this.#producers.get(producerId)
    if (producer === undefined) {
      producer = { epoch, batches: [], lastTimestamp: timestamp, transactionOffset: -1 }
      this.#producers.set(producerId, producer)
    }
    if (epoch > producer.epoch) {
      producer.epoch = epoch
      producer.batches = []
    }
    producer.lastTimestamp = Math.max(producer.lastTimestamp, timestamp)
    const firstOffset = producer.transactionOffset
    producer.transactionOffset = -1
    if (firstOffset < 0 || commit) return undefined
    return { producerId, firstOffset, lastOffset: offset, lastStableOffset: this.firstOpenOffset() ?? offset + 1 }
  }

  /** Folds in the batch at `position`, whatever it is. Returns the transaction that it aborted, if it is an abort marker. */
  applyBatch(bytes: Uint8Array, position: number): AbortedEntry | undefined {
    const id = batchProducerId(bytes, position)
    if (id < 0) return undefined
    const epoch = batchProducerEpoch(bytes, position)
    const baseOffset = batchBaseOffset(bytes, position)
    const timestamp = Math.max(0, batchMaxTimestamp(bytes, position))
    if (isControlBatch(bytes, position)) {
      return this.ended(id, epoch, controlTypeOf(bytes, position) === CONTROL_COMMIT, baseOffset, timestamp)
    }
    const sequence = batchBaseSequence(bytes, position)
    this.appended({ id, epoch, sequence }, batchRecordCount(bytes, position), baseOffset, timestamp, isTransactionalBatch(bytes, position))
    return undefined
  }

  /** First offset of the producer's open transaction; undefined when it has none. */
  openSince(producerId: number): number | undefined {
    const offset = this.#producers.get(producerId)?.transactionOffset ?? -1
    return offset < 0 ? undefined : offset
  }

  /** First offset that an open transaction holds back; undefined when none is open. */
  firstOpenOffset(): number | undefined {
    let first: number | undefined
    for (const producer of this.#producers.values()) {
      if (producer.transactionOffset >= 0 && (first === undefined || producer.transactionOffset < first)) first = producer.transactionOffset
    }
    return first
  }

  /** A flush takes a batch of this producer at `now` (ms). */
  touch(producerId: number, now: number): void {
    const producer = this.#producers.get(producerId)
    if (producer !== undefined && producer.lastTimestamp < now) producer.lastTimestamp = now
  }

  /** Forgets producers without an open transaction that were silent since `before` (ms). */
  expire(before: number): void {
    for (const [id, producer] of this.#producers) {
      if (producer.lastTimestamp < before && producer.transactionOffset < 0) this.#producers.delete(id)
    }
  }

  /** Bytes as documented in docs/FORMAT.md, "Producer state". */
  toBytes(): Uint8Array {
    let size = 8
    for (const producer of this.#producers.values()) size += producerHeaderBytes + producer.batches.length * batchBytes
    const bytes = new Uint8Array(size)
    writeI32(bytes, 0, snapshotVersion)
    writeI32(bytes, 4, this.#producers.size)
    let at = 8
    for (const [id, producer] of [...this.#producers].sort((a, b) => a[0] - b[0])) {
      writeU64(bytes, at, id)
      writeI32(bytes, at + 8, producer.epoch)
      writeI32(bytes, at + 12, producer.batches.length)
      writeU64(bytes, at + 16, Math.max(0, producer.lastTimestamp))
      writeU64(bytes, at + 24, producer.transactionOffset + 1)
      at += producerHeaderBytes
      for (const batch of producer.batches) {
        writeI32(bytes, at, batch.baseSequence)
        writeI32(bytes, at + 4, batch.lastSequence)
        writeU64(bytes, at + 8, batch.baseOffset)
        writeU64(bytes, at + 16, batch.endOffset)
        at += batchBytes
      }
    }
    return bytes
  }

  /** The state that `toBytes` wrote. Throws CORRUPT without a file; the caller places it. */
  static fromBytes(bytes: Uint8Array): ProducerState {
    const state = new ProducerState()
    if (bytes.length < 8) throw damagedBytes('producer state is cut off', 0)
    const version = readI32(bytes, 0)
    if (version > snapshotVersion) {
      throw new VarveError('NEWER_FORMAT', `producer state has version ${version}, this version knows ${snapshotVersion}`, {
        details: { expected: snapshotVersion, actual: version },
      })
    }
    if (version !== snapshotVersion) throw damagedBytes('producer state has an impossible version', 0, { actual: version })
    const count = readI32(bytes, 4)
    let at = 8
    for (let i = 0; i < count; i++) {
      if (at + producerHeaderBytes > bytes.length) throw damagedBytes('producer state is cut off', at)
      const batchCount = readI32(bytes, at + 12)
      if (batchCount < 0 || batchCount > batchesKept) throw damagedBytes('producer state has too many batches', at)
      const producer: Producer = {
        epoch: readI32(bytes, at + 8),
        batches: [],
        lastTimestamp: readU64(bytes, at + 16),
        transactionOffset: readU64(bytes, at + 24) - 1,
      }
      state.#producers.set(readU64(bytes, at), producer)
      at += producerHeaderBytes
      for (let j = 0; j < batchCount; j++, at += batchBytes) {
        if (at + batchBytes > bytes.length) throw damagedBytes('producer state is cut off', at)
        producer.batches.push({
          baseSequence: readI32(bytes, at),
          lastSequence: readI32(bytes, at + 4),
          baseOffset: readU64(bytes, at + 8),
          endOffset: readU64(bytes, at + 16),
        })
      }
    }
    if (at !== bytes.length) throw damagedBytes('bytes behind the producer state', at)
    return state
  }
}

function addSequence(sequence: number, more: number): number {
  return (sequence + more) % sequenceModulus
}

function outOfOrder(identity: ProducerIdentity, expected: number): VarveError {
  return new VarveError('OUT_OF_ORDER_SEQUENCE', `producer ${identity.id} sent sequence ${identity.sequence}, expected ${expected}`, {
    details: { expected, actual: identity.sequence },
  })
}
