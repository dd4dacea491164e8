/**
 * The local committer: turns what a `commit` callback asked for into entries of one frame (or one staged frame).
 *
 *   1. collect   the callback runs; arguments are checked; nothing has changed yet
 *   2. check     offsets, epochs and producers, in call order, each log as the earlier calls of this commit leave it
 *   3. encode    straight into the arena; anything that throws takes the whole commit back
 *   4. accept    the commit log closes the commit, then the logs learn their batches, and the catalog its rows
 * All four happen in one turn, so a commit is atomic in memory as well.
 *
 * Changes of the catalog (metadata, trims, resets, definitions) become one batch of the system log in the same frame.
 */
import { ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL } from '../batch/format.ts'
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchProducerEpoch,
  batchProducerId,
  setBatchBaseOffset,
  setBatchEpoch,
  validateRecordBatch,
} from '../batch/record-batch.ts'
import { decodeRecords, encodeRecordBatch, estimateRecordBatchSize } from '../batch/record-batch-codec.ts'
import { RecordBatchWriter } from '../batch/record-batch-writer.ts'
import {
  checkStoreBatch,
  StoreBatchWriter,
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchHeaderSize,
} from '../batch/store-batch.ts'
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { storeRecordSize } from '../batch/store-record.ts'
import { cutStoreBatch, rebaseStoreBatch } from '../batch/store-rewrite.ts'
import { CODEC_NONE, codecIdOf } from '../codec/compression.ts'
import { STATE_CHECKSUM_OPEN, STATE_STORE, STATE_WORD_SHIFT } from '../commit-log/arena.ts'
import type { CommitLog, CommitSpace } from '../commit-log/commit-log.ts'
import {
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_HEADER_BYTES,
  ENTRY_RESET,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
  ENTRY_TRUNCATE,
} from '../commit-log/format.ts'
import { writeU64 } from '../commit-log/frame.ts'
import { settledTicket } from '../commit-log/ticket.ts'
import type { Clock } from '../env/environment.ts'
import { assert, VarveError } from '../errors.ts'
import { batchEnd, batchLength, batchNewest } from './batch-kinds.ts'
import type { AppendOptions, Commit, Committed, Durability, Log, StoreRecord, TopicRecord } from './log.ts'
import { LogicalLog } from './logical-log.ts'

/** A changed row of the catalog; see catalog/rows.ts. */
export interface CatalogRowChange {
  readonly key: string
  readonly value: Uint8Array | null
}

/** What the committer needs of its database. */
export interface CommitterHost {
  readonly commitLog: CommitLog
  readonly clock: Clock
  readonly systemLog: LogicalLog
  /** Rows that a metadata change, a trim or a reset stand for. */
  metadataRow(log: LogicalLog, slot: string, value: Uint8Array | undefined): CatalogRowChange
  stateRow(
    log: LogicalLog,
    change: {
      readonly startOffset?: number
      readonly endOffset?: number
      readonly resetLsn?: number
      readonly epoch?: number
      readonly cleanedTo?: number
    },
  ): CatalogRowChange
  /** Rows of the segments in which the log's parts are dropped. */
  dropPartsRows(log: LogicalLog): CatalogRowChange[]
  /** The commit is in the log: apply its rows. */
  applyRows(rows: readonly CatalogRowChange[]): void
}

interface AppendOperation {
  readonly type: 'append'
  readonly log: LogicalLog
  readonly options: AppendOptions & { readonly keepOffsets?: boolean }
  /** One of the three. */
  readonly topicRecords?: readonly TopicRecord[]
  readonly storeRecords?: readonly StoreRecord[]
  readonly bytes?: Uint8Array
  bytesMax: number
  /** Filled by check. */
  baseOffset: number
  endOffset: number
  epoch: number
  duplicate: boolean
}

interface TruncateOperation {
  readonly type: 'truncate'
  readonly log: LogicalLog
  readonly offset: number
  /** Start of the batch that contains `offset`; its records below `offset` are appended again. */
  boundary: number
  head: Uint8Array | undefined
}

interface ResetOperation {
  readonly type: 'reset'
  readonly log: LogicalLog
  readonly offset: number
}

type Operation = AppendOperation | TruncateOperation | ResetOperation

/** A batch that was encoded; told to its log once the commit stands. */
interface Encoded {
  readonly log: LogicalLog
  readonly row: number
  readonly endOffset: number
  readonly epoch: number
}

const wordNumbers: { readonly [word in Durability]: number } = { sync: 0, buffered: 1, none: 2 }
const durabilities: readonly string[] = ['sync', 'buffered', 'none']
const recordsMax = 2 ** 24
const topicWriter = new RecordBatchWriter()
const storeWriter = new StoreBatchWriter()
const emptyBytes = new Uint8Array(0)

export function resolveDurability(durability: unknown, fallback: Durability): Durability {
  if (durability === undefined) return fallback
  if (typeof durability !== 'string' || !durabilities.includes(durability)) {
    throw new TypeError(`durability must be 'sync', 'buffered' or 'none', got ${String(durability)}`)
  }
  return durability as Durability
}

export class LocalCommit implements Commit {
  readonly #host: CommitterHost
  readonly #operations: Operation[] = []
  readonly #rows: CatalogRowChange[] = []
  readonly #appends: AppendOperation[] = []
  /** Where each log ends as far as this commit has been checked. */
  readonly #ends = new Map<LogicalLog, { offset: number; epoch: number; producers: Map<number, { epoch: number; nextSequence: number }> }>()
  #closed = false
  readonly #internal: boolean

  constructor(host: CommitterHost, internal = false) {
    this.#host = host
    this.#internal = internal
  }

  // --- collect -----------------------------------------------------------------------------------------------------------------------

  appendRecords(log: Log, records: readonly TopicRecord[] | readonly StoreRecord[], options: AppendOptions = {}): void {
    const local = this.#own(log)
    if (!Array.isArray(records) || records.length === 0) throw new TypeError('records must be a non-empty array')
    if (records.length > recordsMax) {
      throw new VarveError('TOO_LARGE', `a batch of ${records.length} records exceeds ${recordsMax}`, { details: { limit: 'records' } })
    }
    checkOptions(options)
    const operation: AppendOperation =
      local.kind === 'topic'
        ? newAppend(local, options, { topicRecords: records as readonly TopicRecord[] })
        : newAppend(local, options, { storeRecords: records as readonly StoreRecord[] })
    operation.bytesMax = ENTRY_HEADER_BYTES + (local.kind === 'topic' ? topicBytesMax(operation) : storeBytesMax(operation))
    this.#operations.push(operation)
    this.#appends.push(operation)
  }

  appendBatches(log: Log, bytes: Uint8Array, options: AppendOptions & { readonly keepOffsets?: boolean } = {}): void {
    const local = this.#own(log)
    if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0)
      throw new TypeError('bytes must be a non-empty Uint8Array of whole batches')
    checkOptions(options)
    // One operation a batch, so that each gets its own entry; together they answer as one append if there is one.
    let expectedOffset = options.expectedOffset
    for (let at = 0; at < bytes.byteLength; ) {
      const size =
        local.kind === 'topic' ? validateRecordBatch(bytes, at, bytes.byteLength, true) : checkStoreBatch(bytes, at, bytes.byteLength) - at
      const { expectedOffset: _none, ...rest } = options
      const operation = newAppend(local, expectedOffset === undefined ? rest : { ...rest, expectedOffset }, {
        bytes: bytes.subarray(at, at + size),
      })
      expectedOffset = undefined
      operation.bytesMax = ENTRY_HEADER_BYTES + size + (local.kind === 'store' ? storeBatchCount(bytes, at) * 8 : 0)
      this.#operations.push(operation)
      this.#appends.push(operation)
      at += size
    }
  }

  truncateSuffix(log: Log, offset: number): void {
    const local = this.#own(log)
    checkOffset(offset)
    this.#operations.push({ type: 'truncate', log: local, offset, boundary: offset, head: undefined })
  }

  trimPrefix(log: Log, offset: number): void {
    const local = this.#own(log)
    checkOffset(offset)
    if (offset > local.highWatermark) {
      throw new RangeError(`log ${local.name}: cannot trim to ${offset}, above the high watermark ${local.highWatermark}`)
    }
    if (offset > local.trimmedTo) this.#rows.push(this.#host.stateRow(local, { startOffset: offset }))
  }

  setMetadata(log: Log, slot: string, value: Uint8Array | undefined): void {
    const local = this.#own(log)
    if (typeof slot !== 'string' || slot.length === 0 || slot.length > 200)
      throw new TypeError('slot must be a string of 1 to 200 characters')
    if (value !== undefined && !(value instanceof Uint8Array)) throw new TypeError('value must be a Uint8Array or undefined')
    if (value !== undefined && value.byteLength > 0x10000) {
      throw new VarveError('TOO_LARGE', `metadata ${slot} has ${value.byteLength} bytes, the limit is 65536`, {
        details: { limit: 'metadata' },
      })
    }
    this.#rows.push(this.#host.metadataRow(local, slot, value === undefined ? undefined : value.slice()))
  }

  /** Not part of `Commit`: a reset is a commit of its own. */
  resetTo(log: LogicalLog, offset: number): void {
    checkOffset(offset)
    this.#operations.push({ type: 'reset', log, offset })
  }

  /** Rows of the catalog, for the database itself. */
  addRows(rows: readonly CatalogRowChange[]): void {
    this.#rows.push(...rows)
  }

  #own(log: Log): LogicalLog {
    if (this.#closed) throw new VarveError('CLOSED', 'a commit ends with its callback')
    if (!(log instanceof LogicalLog)) throw new TypeError('log must be a log of this database')
    if (log.dropped) throw new VarveError('NOT_FOUND', `log ${log.name} was dropped`, { details: { log: log.name } })
    return log
  }

  // --- check, encode, accept ---------------------------------------------------------------------------------------------------------

  /** Steps 2 to 4. Throws without any effect. */
  run(durability: Durability): Committed {
    this.#closed = true
    const { commitLog } = this.#host
    for (const operation of this.#operations) this.#check(operation)
    const rowsLater = this.#operations.filter(operation => operation.type === 'reset')
    let bytesMax = rowsLater.length * (ENTRY_HEADER_BYTES + 8)
    for (const operation of this.#operations) {
      if (operation.type === 'append') bytesMax += operation.duplicate ? 0 : operation.bytesMax
      else if (operation.type === 'truncate') bytesMax += 2 * ENTRY_HEADER_BYTES + 8 + (operation.head?.byteLength ?? 0)
    }
    for (const reset of rowsLater) this.#rows.push(...this.#host.dropPartsRows(reset.log))
    const stateRowBytes = rowsLater.length * 256
    if (this.#rows.length > 0 || rowsLater.length > 0) bytesMax += ENTRY_HEADER_BYTES + stateRowBytes + estimateRecordBatchSize(this.#rows)
    if (bytesMax === 0) return this.#nothing(durability)

    const space = commitLog.begin(bytesMax, this.#internal)
    const encoded: Encoded[] = []
    let sequences = 1
    try {
      let at = space.position
      const word = wordNumbers[durability] << STATE_WORD_SHIFT
      const baseSequence = commitLog.sequence
      let storeSequence = baseSequence
      for (const operation of this.#operations) {
        if (operation.type === 'append') {
          if (operation.duplicate) continue
          at = this.#encodeAppend(operation, space, at, word, storeSequence, encoded)
          if (operation.log.kind === 'store') storeSequence += operation.endOffset - operation.baseOffset
        } else if (operation.type === 'truncate') {
          at = this.#encodeOffset(space, at, ENTRY_TRUNCATE, operation.log.id, operation.boundary)
          if (operation.head !== undefined) at = this.#encodeReady(operation.log, operation.head, space, at, word, encoded, true)
        } else {
          at = this.#encodeOffset(space, at, ENTRY_RESET, operation.log.id, operation.offset)
          const resetLsn = commitLog.buildingLsn
          this.#rows.push(
            this.#host.stateRow(operation.log, {
              startOffset: operation.offset,
              endOffset: operation.offset,
              resetLsn,
              epoch: 0,
              cleanedTo: 0,
            }),
          )
        }
      }
      if (this.#rows.length > 0) at = this.#encodeRows(space, at, word, encoded)
      assert(at - space.position <= bytesMax, 'a commit is no larger than was estimated', at - space.position, bytesMax)
      sequences = Math.max(1, storeSequence - baseSequence)
    } catch (error) {
      commitLog.abort()
      topicWriter.abandon()
      storeWriter.abandon()
      throw error
    }
    const { arena } = space
    const ticket = commitLog.end(durability, sequences)
    for (const operation of this.#operations) {
      if (operation.type === 'truncate') operation.log.cut(operation.boundary)
      else if (operation.type === 'reset') operation.log.resetState(operation.offset)
    }
    for (const batch of encoded) batch.log.accept(arena, batch.row, batch.endOffset, batch.epoch)
    if (this.#rows.length > 0) this.#host.applyRows(this.#rows)
    return this.#committed(ticket, durability)
  }

  #nothing(durability: Durability): Committed {
    return this.#committed(settledTicket, durability)
  }

  #committed(ticket: { readonly written: Promise<void>; readonly durable: Promise<void> }, durability: Durability): Committed {
    const sequence = this.#host.commitLog.sequence
    return {
      sequence,
      appends: this.#appends.map(({ log, baseOffset, endOffset, duplicate }) => ({ log, baseOffset, endOffset, duplicate })),
      get written() {
        return ticket.written
      },
      get durable() {
        return ticket.durable
      },
      get acknowledged() {
        return durability === 'sync' ? ticket.durable : durability === 'buffered' ? ticket.written : Promise.resolve()
      },
    }
  }

  #endOf(log: LogicalLog): { offset: number; epoch: number; producers: Map<number, { epoch: number; nextSequence: number }> } {
    let end = this.#ends.get(log)
    if (end === undefined) {
      end = { offset: log.endOffset, epoch: log.epoch, producers: new Map() }
      this.#ends.set(log, end)
    }
    return end
  }

  #check(operation: Operation): void {
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
    const count = operation.topicRecords?.length ?? operation.storeRecords?.length ?? readyCount(log, bytes as Uint8Array)
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
    if (log.kind === 'topic' && this.#checkProducer(operation, end.producers, count)) return
    operation.baseOffset = end.offset
    operation.endOffset = end.offset + count
    if (!Number.isSafeInteger(operation.endOffset)) throw new RangeError(`log ${log.name}: offsets end at 2^53`)
    end.offset = operation.endOffset
    end.epoch = epoch
  }

  /** True when the batch is a resend: its old offsets are the answer. */
  #checkProducer(operation: AppendOperation, seen: Map<number, { epoch: number; nextSequence: number }>, count: number): boolean {
    const { log, bytes } = operation
    let producer = operation.options.producer
    if (bytes !== undefined) {
      const id = batchProducerId(bytes, 0)
      const control = (batchAttributes(bytes, 0) & ATTRIBUTE_CONTROL) !== 0
      if (id < 0 || control || operation.options.keepOffsets === true) return false
      producer = { id, epoch: batchProducerEpoch(bytes, 0), sequence: batchBaseSequence(bytes, 0) }
    }
    if (producer === undefined) return false
    const before = seen.get(producer.id)
    if (before === undefined) {
      const duplicate = log.producers.check(producer, count)
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
    seen.set(producer.id, { epoch: producer.epoch, nextSequence: (producer.sequence + count) % 2 ** 31 })
    return false
  }

  #checkTruncate(operation: TruncateOperation, end: { offset: number; epoch: number }): void {
    const { log, offset } = operation
    if (offset < log.highWatermark || offset > end.offset) {
      throw new RangeError(
        `log ${log.name}: cannot truncate to ${offset}, not between the high watermark ${log.highWatermark} and the end ${end.offset}`,
      )
    }
    if (end.offset !== log.endOffset) throw new TypeError(`log ${log.name}: truncate before appending in one commit`)
    end.offset = offset
    const index = log.tail.find(offset)
    if (index < log.tail.length && log.tail.baseOffset(index) < offset) {
      operation.boundary = log.tail.baseOffset(index)
      operation.head = headOfBatch(log, index, offset)
    }
    // The epoch may fall with the suffix that carried it.
    const last = operation.boundary < offset ? index : index - 1
    end.epoch = last >= 0 ? Math.max(0, log.tail.epoch(last)) : log.epochOfParts()
  }

  #encodeOffset(space: CommitSpace, at: number, kind: number, logId: number, offset: number): number {
    const body = at + ENTRY_HEADER_BYTES
    writeU64(space.arena.view, body, offset)
    this.#host.commitLog.addEntry(kind, 0, logId, at, body + 8)
    return body + 8
  }

  #encodeAppend(operation: AppendOperation, space: CommitSpace, at: number, word: number, sequence: number, encoded: Encoded[]): number {
    if (operation.topicRecords !== undefined) return this.#encodeTopicRecords(operation, space, at, word, encoded)
    if (operation.storeRecords !== undefined) return this.#encodeStoreRecords(operation, space, at, word, sequence, encoded)
    return this.#encodeReadyBatch(operation, space, at, word, sequence, encoded)
  }

  #encodeTopicRecords(operation: AppendOperation, space: CommitSpace, at: number, word: number, encoded: Encoded[]): number {
    const { log, options } = operation
    const records = operation.topicRecords as readonly TopicRecord[]
    const { bytes } = space.arena
    const body = at + ENTRY_HEADER_BYTES
    const now = this.#host.clock.now()
    const codec = codecIdOf(options.compression ?? 'none')
    if (codec !== CODEC_NONE) {
      const packed = encodeRecordBatch(records, {
        baseOffset: operation.baseOffset,
        epoch: operation.epoch,
        timestamp: now,
        compression: options.compression,
        ...producerFields(options),
      })
      return this.#encodeReady(log, packed, space, at, word, encoded, false)
    }
    topicWriter.begin(
      bytes,
      body,
      at + operation.bytesMax,
      operation.baseOffset,
      operation.epoch,
      options.transactional === true ? ATTRIBUTE_TRANSACTIONAL : 0,
    )
    const { producer } = options
    if (producer !== undefined) topicWriter.producer(producer.id, producer.epoch, producer.sequence)
    for (const record of records) {
      const added = topicWriter.add(record.key ?? null, record.value ?? null, record.timestamp ?? now, record.headers)
      assert(added, 'the estimated size of a batch is an upper bound', operation.bytesMax)
    }
    const end = topicWriter.end()
    this.#admit(log, bytes, body, end)
    const row = this.#addBatch(
      operation,
      space,
      at,
      end,
      word | STATE_CHECKSUM_OPEN,
      batchNewest('topic', bytes, body),
      ENTRY_TOPIC_BATCH,
      ENTRY_FLAG_CHECKSUM_OPEN,
    )
    encoded.push({ log, row, endOffset: operation.endOffset, epoch: operation.epoch })
    return end
  }

  #encodeStoreRecords(
    operation: AppendOperation,
    space: CommitSpace,
    at: number,
    word: number,
    sequence: number,
    encoded: Encoded[],
  ): number {
    const { log } = operation
    const records = operation.storeRecords as readonly StoreRecord[]
    const { bytes } = space.arena
    const body = at + ENTRY_HEADER_BYTES
    // A replicated store's sequence is the offset in its log, so that bytes agree on all replicas.
    const baseSequence = log.ownsHighWatermark ? operation.baseOffset : sequence
    storeWriter.begin(bytes, body, {
      baseOffset: operation.baseOffset,
      baseSequence,
      timestamp: this.#host.clock.now(),
      epoch: operation.epoch,
    })
    for (const record of records) {
      const kind = record.kind === 'put' ? STORE_PUT : record.kind === 'delete' ? STORE_DELETE : STORE_RANGE_DELETE
      const value = record.value ?? emptyBytes
      storeWriter.add(kind, record.key, 0, record.key.byteLength, value, 0, value.byteLength, record.expiry ?? 0, record.version)
    }
    const end = storeWriter.finish()
    this.#admit(log, bytes, body, end)
    const row = this.#addBatch(
      operation,
      space,
      at,
      end,
      word | STATE_CHECKSUM_OPEN | STATE_STORE,
      batchNewest('store', bytes, body),
      ENTRY_STORE_BATCH,
      ENTRY_FLAG_CHECKSUM_OPEN,
    )
    encoded.push({ log, row, endOffset: operation.endOffset, epoch: operation.epoch })
    return end
  }

  /** A batch that came ready: copied, then base offset and epoch are set unless they are to be kept. */
  #encodeReadyBatch(
    operation: AppendOperation,
    space: CommitSpace,
    at: number,
    word: number,
    sequence: number,
    encoded: Encoded[],
  ): number {
    const { log } = operation
    const ready = operation.bytes as Uint8Array
    if (log.kind === 'store' && operation.options.keepOffsets !== true) {
      const baseSequence = log.ownsHighWatermark ? operation.baseOffset : sequence
      if (
        storeBatchBaseOffset(ready, 0) !== operation.baseOffset ||
        storeBatchBaseSequence(ready, 0) !== baseSequence ||
        storeBatchEpoch(ready, 0) !== operation.epoch
      ) {
        return this.#encodeReady(
          log,
          rebaseStoreBatch(ready, operation.baseOffset, baseSequence, operation.epoch),
          space,
          at,
          word,
          encoded,
          false,
        )
      }
    }
    const end = this.#encodeReady(log, ready, space, at, word, encoded, false)
    if (log.kind === 'topic' && operation.options.keepOffsets !== true) {
      const body = at + ENTRY_HEADER_BYTES
      setBatchBaseOffset(space.arena.bytes, body, operation.baseOffset)
      setBatchEpoch(space.arena.bytes, body, operation.epoch)
      const last = encoded.pop() as Encoded
      space.arena.setOffsets(last.row, operation.baseOffset, operation.endOffset, operation.epoch)
      encoded.push({ ...last, endOffset: operation.endOffset, epoch: operation.epoch })
    }
    return end
  }

  #encodeReady(
    log: LogicalLog,
    ready: Uint8Array,
    space: CommitSpace,
    at: number,
    word: number,
    encoded: Encoded[],
    isHead: boolean,
  ): number {
    const { bytes } = space.arena
    const body = at + ENTRY_HEADER_BYTES
    const end = body + ready.byteLength
    bytes.set(ready, body)
    if (!isHead) this.#admit(log, bytes, body, end)
    const store = log.kind === 'store'
    const base = store ? storeBatchBaseOffset(ready, 0) : batchBaseOffset(ready, 0)
    const endOffset = batchEnd(log.kind, ready, 0)
    const epoch = readyEpoch(log, ready)
    const row = space.arena.addIndexRow(
      log.id,
      body,
      ready.byteLength,
      base,
      endOffset,
      batchNewest(log.kind, ready, 0),
      epoch,
      word | (store ? STATE_STORE : 0),
    )
    this.#host.commitLog.addEntry(store ? ENTRY_STORE_BATCH : ENTRY_TOPIC_BATCH, 0, log.id, at, end)
    encoded.push({ log, row, endOffset, epoch })
    return end
  }

  #encodeRows(space: CommitSpace, at: number, word: number, encoded: Encoded[]): number {
    const { systemLog, clock } = this.#host
    const { bytes } = space.arena
    const body = at + ENTRY_HEADER_BYTES
    const baseOffset = systemLog.endOffset
    const now = clock.now()
    topicWriter.begin(bytes, body, bytes.byteLength, baseOffset, 0)
    for (const { key, value } of this.#rows) assert(topicWriter.add(key, value, now), 'room for the rows was reserved', this.#rows.length)
    const end = topicWriter.end()
    const endOffset = baseOffset + this.#rows.length
    const row = space.arena.addIndexRow(systemLog.id, body, end - body, baseOffset, endOffset, now, 0, word | STATE_CHECKSUM_OPEN)
    this.#host.commitLog.addEntry(ENTRY_TOPIC_BATCH, ENTRY_FLAG_CHECKSUM_OPEN, systemLog.id, at, end)
    encoded.push({ log: systemLog, row, endOffset, epoch: 0 })
    return end
  }

  #addBatch(
    operation: AppendOperation,
    space: CommitSpace,
    at: number,
    end: number,
    state: number,
    maxTimestamp: number,
    kind: number,
    flags: number,
  ): number {
    const { log } = operation
    const body = at + ENTRY_HEADER_BYTES
    const row = space.arena.addIndexRow(
      log.id,
      body,
      end - body,
      operation.baseOffset,
      operation.endOffset,
      maxTimestamp,
      operation.epoch,
      state,
    )
    this.#host.commitLog.addEntry(kind, flags, log.id, at, end)
    return row
  }

  #admit(log: LogicalLog, bytes: Uint8Array, start: number, end: number): void {
    const { machine } = log
    if (machine?.admit === undefined) return
    try {
      machine.admit(bytes.slice(start, end))
    } catch (cause) {
      throw new VarveError(
        'REFUSED',
        `log ${log.name}: its state machine refused the batch: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          cause,
          details: { log: log.name },
        },
      )
    }
  }
}

function newAppend(
  log: LogicalLog,
  options: AppendOperation['options'],
  what: Pick<AppendOperation, 'topicRecords' | 'storeRecords' | 'bytes'>,
): AppendOperation {
  return { type: 'append', log, options, ...what, bytesMax: 0, baseOffset: 0, endOffset: 0, epoch: 0, duplicate: false }
}

function producerFields(options: AppendOptions): {
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
  transactional?: boolean
} {
  const { producer, transactional } = options
  return {
    ...(producer === undefined ? {} : { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: producer.sequence }),
    ...(transactional === undefined ? {} : { transactional }),
  }
}

function topicBytesMax(operation: AppendOperation): number {
  const records = operation.topicRecords as readonly TopicRecord[]
  for (const record of records) {
    if (record === null || typeof record !== 'object') throw new TypeError('a record must be an object with key and value')
    checkBytes(record.key, 'key')
    checkBytes(record.value, 'value')
    const { timestamp } = record
    if (timestamp !== undefined && (!Number.isSafeInteger(timestamp) || timestamp < 0)) {
      throw new RangeError(`timestamp must be a non-negative integer of milliseconds, got ${timestamp}`)
    }
  }
  const plain = estimateRecordBatchSize(records)
  // An incompressible block grows a little in every codec.
  return operation.options.compression === undefined || operation.options.compression === 'none' ? plain : plain + (plain >>> 5) + 1024
}

function storeBytesMax(operation: AppendOperation): number {
  let size = storeBatchHeaderSize()
  for (const record of operation.storeRecords as readonly StoreRecord[]) {
    if (record === null || typeof record !== 'object' || !(record.key instanceof Uint8Array))
      throw new TypeError('a store record needs a key of bytes')
    if (record.kind !== 'put' && record.kind !== 'delete' && record.kind !== 'range-delete') {
      throw new TypeError(`kind must be 'put', 'delete' or 'range-delete', got ${String(record.kind)}`)
    }
    if (record.value !== undefined && !(record.value instanceof Uint8Array)) throw new TypeError('value must be a Uint8Array')
    if (record.kind !== 'delete' && record.value === undefined) throw new TypeError(`a ${record.kind} needs a value`)
    if (record.expiry !== undefined && (!Number.isSafeInteger(record.expiry) || record.expiry <= 0))
      throw new RangeError(`expiry must be a positive integer of milliseconds, got ${record.expiry}`)
    size += storeRecordSize(
      Number.MAX_SAFE_INTEGER,
      record.key.byteLength,
      record.value?.byteLength ?? 0,
      record.expiry ?? 0,
      record.version !== undefined,
    )
  }
  return size
}

function checkBytes(value: Uint8Array | string | null | undefined, option: string): void {
  if (value === undefined || value === null || typeof value === 'string' || value instanceof Uint8Array) return
  throw new TypeError(`${option} must be a Uint8Array, a string or null`)
}

function checkOffset(offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset must be a non-negative integer, got ${offset}`)
}

function checkOptions(options: AppendOptions): void {
  const { epoch, producer, expectedOffset } = options
  if (expectedOffset !== undefined) checkOffset(expectedOffset)
  if (epoch !== undefined && (!Number.isInteger(epoch) || epoch < 0 || epoch >= 2 ** 31))
    throw new RangeError(`epoch must be an integer from 0 to 2^31 - 1, got ${epoch}`)
  if (producer !== undefined) {
    const valid =
      Number.isSafeInteger(producer.id) &&
      producer.id >= 0 &&
      Number.isInteger(producer.epoch) &&
      producer.epoch >= 0 &&
      producer.epoch < 0x8000 &&
      Number.isInteger(producer.sequence) &&
      producer.sequence >= 0 &&
      producer.sequence < 2 ** 31
    if (!valid) throw new RangeError(`producer must have an id >= 0, an epoch from 0 to 32767 and a sequence from 0 to 2^31 - 1`)
  }
  codecIdOf(options.compression ?? 'none')
}

function readyCount(log: LogicalLog, bytes: Uint8Array): number {
  return batchEnd(log.kind, bytes, 0) - (log.kind === 'topic' ? batchBaseOffset(bytes, 0) : storeBatchBaseOffset(bytes, 0))
}

function readyEpoch(log: LogicalLog, bytes: Uint8Array): number {
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
