/**
 * Step 3 of a commit: operations become entries, encoded straight into the arena. Anything that throws here takes the whole commit back: the commit log
 * forgets the bytes, and no log has heard of them.
 */

import { ATTRIBUTE_TRANSACTIONAL } from '../batch/format.ts'
import { batchBaseOffset, setBatchBaseOffset, setBatchEpoch } from '../batch/record-batch.ts'
import { compressRecordBatch, encodeRecordBatch } from '../batch/record-batch-codec.ts'
import { RecordBatchWriter } from '../batch/record-batch-writer.ts'
import {
  isStoreBatchChecksumFilled,
  type StoreBatchFacts,
  StoreBatchWriter,
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchEpoch,
} from '../batch/store-batch.ts'
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { rebaseStoreBatch } from '../batch/store-rewrite.ts'
import type { StoreWrites } from '../batch/store-writes.ts'
import type { TopicBatch } from '../batch/topic-batch.ts'
import { CODEC_NONE, codecIdOf } from '../codec/compression.ts'
import { STATE_CHECKSUM_OPEN, STATE_STORE, STATE_WORD_SHIFT } from '../commit-log/arena.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import {
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_HEADER_BYTES,
  ENTRY_RESET,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
  ENTRY_TRUNCATE,
} from '../commit-log/format.ts'
import { writeU64 } from '../commit-log/frame.ts'
import type { GatheringBatch } from '../commit-log/gathering-batch.ts'
import type { CommitSpace } from '../commit-log/tail-file.ts'
import type { FrameTicket } from '../commit-log/ticket.ts'
import type { Clock } from '../env/environment.ts'
import { assert, VarveError } from '../errors.ts'
import { batchEnd, batchNewest } from './batch-kinds.ts'
import { readyEpoch } from './commit-check.ts'
import type { AppendOptions, Durability, StoreRecord, TopicRecord } from './log.ts'
import type { LogicalLog } from './logical-log.ts'
import type { AppendOperation, CatalogRowChange, ResetOperation, TruncateOperation } from './operations.ts'

const wordNumbers: { readonly [word in Durability]: number } = { sync: 0, buffered: 1, none: 2 }
const topicWriter = new RecordBatchWriter()
const storeWriter = new StoreBatchWriter()
const emptyBytes: Uint8Array = new Uint8Array(0)
/** Where writes of stores are encoded; one commit at a time. */
let stage: Uint8Array = emptyBytes
/** A stage that grew beyond this for one commit is let go after it, bytes. */
const stageBytesKept = 8 * 1024 * 1024

/** A gathering batch with the records of an append; told to its log once the commit stands. */
export interface Gathered {
  readonly log: LogicalLog
  readonly gathering: GatheringBatch
  readonly endOffset: number
}

/** A batch that was encoded; told to its log once the commit stands. */
export interface Encoded {
  readonly log: LogicalLog
  readonly row: number
  readonly endOffset: number
  readonly epoch: number
}

export class CommitEncoder {
  readonly #commitLog: CommitLog
  readonly #clock: Clock
  readonly #space: CommitSpace
  /** Durability word of the commit, as the index rows keep it. */
  readonly #word: number
  /** Position of the next entry header. */
  #at: number
  /** Commit sequence of the next store record. */
  #sequence: number
  readonly encoded: Encoded[] = []
  readonly gathered: Gathered[] = []

  constructor(commitLog: CommitLog, clock: Clock, space: CommitSpace, durability: Durability) {
    this.#commitLog = commitLog
    this.#clock = clock
    this.#space = space
    this.#word = wordNumbers[durability] << STATE_WORD_SHIFT
    this.#at = space.position
    this.#sequence = commitLog.sequence
  }

  /** Position after the last entry. */
  get position(): number {
    return this.#at
  }
  /** Commit sequences that the records encoded so far take. */
  get sequence(): number {
    return this.#sequence
  }

  append(operation: AppendOperation): void {
    if (operation.duplicate) return
    if (operation.topicBatch !== undefined) this.#topicBatch(operation, operation.topicBatch)
    else if (operation.topicRecords !== undefined) this.#topicRecords(operation, operation.topicRecords)
    else if (operation.storeRecords !== undefined) this.#storeRecords(operation, operation.storeRecords)
    else if (operation.storeWrites !== undefined) this.#storeWrites(operation, operation.storeWrites)
    else this.#readyBatch(operation, operation.bytes as Uint8Array)
    if (operation.log.kind === 'store') this.#sequence += operation.endOffset - operation.baseOffset
  }

  /** Behind all entries: records go to batches that gather. Nothing of the commit can be taken back after the first. */
  gather(operation: AppendOperation): void {
    const { log, topicBatch, baseOffset, endOffset, epoch } = operation
    assert(topicBatch !== undefined, 'encoded records gather')
    const known = log.gathering?.takes(topicBatch, epoch) === true ? log.gathering : undefined
    const gathering = this.#commitLog.gather(known, log.id, topicBatch, baseOffset, epoch, this.#word | STATE_CHECKSUM_OPEN)
    this.gathered.push({ log, gathering, endOffset })
  }

  /** The suffix goes; what the cut leaves of a batch is appended again. */
  truncate(operation: TruncateOperation): void {
    this.#offsetEntry(ENTRY_TRUNCATE, operation.log.id, operation.boundary)
    if (operation.head !== undefined) this.#ready(operation.log, operation.head)
  }

  reset(operation: ResetOperation): void {
    this.#offsetEntry(ENTRY_RESET, operation.log.id, operation.offset)
  }

  /** Rows of the catalog, as one batch of the system log. */
  rows(systemLog: LogicalLog, rows: readonly CatalogRowChange[]): void {
    const { arena } = this.#space
    const body = this.#at + ENTRY_HEADER_BYTES
    const baseOffset = systemLog.endOffset
    const now = this.#clock.now()
    topicWriter.begin(arena.bytes, body, arena.bytes.byteLength, baseOffset, 0)
    for (const { key, value } of rows) assert(topicWriter.add(key, value, now), 'room for the rows was reserved', rows.length)
    const end = topicWriter.end()
    this.#batch(systemLog, end, { baseOffset, endOffset: baseOffset + rows.length, epoch: 0 }, true)
  }

  /** Forgets a batch that was begun when something threw. */
  static abandon(): void {
    topicWriter.abandon()
    storeWriter.abandon()
  }

  #offsetEntry(kind: number, logId: number, offset: number): void {
    const body = this.#at + ENTRY_HEADER_BYTES
    writeU64(this.#space.arena.view, body, offset)
    this.#commitLog.addEntry(kind, 0, logId, this.#at, body + 8)
    this.#at = body + 8
  }

  #topicRecords(operation: AppendOperation, records: readonly TopicRecord[]): void {
    const { log, options } = operation
    const now = this.#clock.now()
    if (codecIdOf(options.compression ?? 'none') !== CODEC_NONE) {
      const { baseOffset, epoch } = operation
      const packed = encodeRecordBatch(records, {
        baseOffset,
        epoch,
        timestamp: now,
        compression: options.compression,
        ...producerFields(options),
      })
      this.#admitted(log, this.#ready(log, packed))
      return
    }
    const body = this.#at + ENTRY_HEADER_BYTES
    const attributes = options.transactional === true ? ATTRIBUTE_TRANSACTIONAL : 0
    topicWriter.begin(this.#space.arena.bytes, body, this.#at + operation.bytesMax, operation.baseOffset, operation.epoch, attributes)
    const { producer } = options
    if (producer !== undefined) topicWriter.producer(producer.id, producer.epoch, producer.sequence)
    for (const record of records) {
      const added = topicWriter.add(record.key ?? null, record.value ?? null, record.timestamp ?? now, record.headers)
      assert(added, 'the estimated size of a batch is an upper bound', operation.bytesMax)
    }
    this.#admitted(log, this.#batch(log, topicWriter.end(), operation, true))
  }

  /** Records that were encoded ahead. */
  #topicBatch(operation: AppendOperation, batch: TopicBatch): void {
    const { log, options, baseOffset, epoch } = operation
    const { producer, transactional } = options
    const place = { baseOffset, epoch, producer, transactional }
    const codec = codecIdOf(options.compression ?? 'none')
    if (codec === CODEC_NONE) {
      const end = batch.place(this.#space.arena.bytes, this.#at + ENTRY_HEADER_BYTES, place)
      this.#admitted(log, this.#batch(log, end, operation, true))
      return
    }
    const plain = new Uint8Array(batch.size)
    batch.place(plain, 0, place)
    this.#admitted(log, this.#ready(log, compressRecordBatch(plain, 0, codec)))
  }

  #storeRecords(operation: AppendOperation, records: readonly StoreRecord[]): void {
    const { log, baseOffset, epoch } = operation
    const body = this.#at + ENTRY_HEADER_BYTES
    storeWriter.begin(this.#space.arena.bytes, body, {
      baseOffset,
      baseSequence: this.#sequenceOf(operation),
      timestamp: this.#clock.now(),
      epoch,
    })
    for (const record of records) {
      const kind = record.kind === 'put' ? STORE_PUT : record.kind === 'delete' ? STORE_DELETE : STORE_RANGE_DELETE
      const value = record.value ?? emptyBytes
      storeWriter.add(kind, record.key, 0, record.key.byteLength, value, 0, value.byteLength, record.expiry ?? 0, record.version)
    }
    this.#admitted(log, this.#batch(log, storeWriter.finish(), operation, true))
  }

  #storeWrites(operation: AppendOperation, writes: StoreWrites): void {
    const { log, baseOffset, epoch } = operation
    const facts = { baseOffset, baseSequence: this.#sequenceOf(operation), timestamp: this.#clock.now(), epoch }
    const end = encodeWrites(this.#space.arena.bytes, this.#at + ENTRY_HEADER_BYTES, writes, facts)
    this.#admitted(log, this.#batch(log, end, operation, true))
  }

  /** A replicated store's sequence is the offset in its log, so that bytes agree on all replicas. */
  #sequenceOf(operation: AppendOperation): number {
    return operation.log.ownsHighWatermark ? operation.baseOffset : this.#sequence
  }

  /** A batch that came ready: copied; then base offset and epoch are set unless they are to be kept. */
  #readyBatch(operation: AppendOperation, ready: Uint8Array): void {
    const { log, baseOffset, endOffset, epoch } = operation
    if (operation.options.keepOffsets === true) {
      // Its leader has admitted it; a follower, whose state may lag behind, has no say.
      this.#ready(log, ready)
      return
    }
    if (log.kind === 'store') {
      const sequence = this.#sequenceOf(operation)
      const fits =
        storeBatchBaseOffset(ready, 0) === baseOffset &&
        storeBatchBaseSequence(ready, 0) === sequence &&
        storeBatchEpoch(ready, 0) === epoch
      this.#admitted(log, this.#ready(log, fits ? ready : rebaseStoreBatch(ready, baseOffset, sequence, epoch)))
      return
    }
    const body = this.#ready(log, ready)
    const { arena } = this.#space
    setBatchBaseOffset(arena.bytes, body, baseOffset)
    setBatchEpoch(arena.bytes, body, epoch)
    const last = this.encoded.pop() as Encoded
    arena.setOffsets(last.row, baseOffset, endOffset, epoch)
    this.encoded.push({ ...last, endOffset, epoch })
    this.#admitted(log, body)
  }

  /** Copies a batch as it is; returns where it lies. */
  #ready(log: LogicalLog, ready: Uint8Array): number {
    const { bytes } = this.#space.arena
    const body = this.#at + ENTRY_HEADER_BYTES
    bytes.set(ready, body)
    const store = log.kind === 'store'
    const baseOffset = store ? storeBatchBaseOffset(ready, 0) : batchBaseOffset(ready, 0)
    const isOpen = store && !isStoreBatchChecksumFilled(ready, 0)
    return this.#batch(
      log,
      body + ready.byteLength,
      { baseOffset, endOffset: batchEnd(log.kind, ready, 0), epoch: readyEpoch(log, ready) },
      isOpen,
    )
  }

  /** Records the batch that ends at `end` as an entry and an index row; returns where it begins. */
  #batch(
    log: LogicalLog,
    end: number,
    place: { readonly baseOffset: number; readonly endOffset: number; readonly epoch: number },
    isOpen: boolean,
  ): number {
    const { arena } = this.#space
    const body = this.#at + ENTRY_HEADER_BYTES
    const store = log.kind === 'store'
    const state = this.#word | (isOpen ? STATE_CHECKSUM_OPEN : 0) | (store ? STATE_STORE : 0)
    const { baseOffset, endOffset, epoch } = place
    const row = arena.addIndexRow(log.id, body, end - body, baseOffset, endOffset, batchNewest(log.kind, arena.bytes, body), epoch, state)
    this.#commitLog.addEntry(store ? ENTRY_STORE_BATCH : ENTRY_TOPIC_BATCH, isOpen ? ENTRY_FLAG_CHECKSUM_OPEN : 0, log.id, this.#at, end)
    this.encoded.push({ log, row, endOffset, epoch })
    this.#at = end
    return body
  }

  /** Asks the log's state machine about the batch that was encoded last. */
  #admitted(log: LogicalLog, body: number): void {
    const { machine } = log
    if (machine?.admit === undefined) return
    try {
      machine.admit(this.#space.arena.bytes.slice(body, this.#at))
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new VarveError('REFUSED', `log ${log.name}: its state machine refused the batch: ${reason}`, {
        cause,
        details: { log: log.name },
      })
    }
  }
}

/**
 * Writes rows as one batch at `bytes[position]` and returns the position after it. Encoded in private memory and copied as a whole: shared memory is slow to write
 * byte by byte, and fast from the same alignment.
 */
function encodeWrites(bytes: Uint8Array, position: number, writes: StoreWrites, facts: StoreBatchFacts): number {
  const start = (bytes.byteOffset + position) & 7
  if (stage.length < start + writes.bytesMax) {
    // One that will be let go again needs no room for more.
    stage = new Uint8Array(start + (writes.bytesMax > stageBytesKept ? 1 : 2) * writes.bytesMax)
  }
  const end = writes.encode(stage, start, facts)
  bytes.set(stage.subarray(start, end), position)
  if (stage.length > stageBytesKept) stage = emptyBytes
  return position + end - start
}

/**
 * A commit of one store's rows and nothing else, which is most of them: as `LocalCommit` with one `appendWrites`, without what serves several operations. For logs
 * that no owner and no state machine confirm. Throws without any effect.
 */
export function commitWrites(
  commitLog: CommitLog,
  clock: Clock,
  log: LogicalLog,
  writes: StoreWrites,
  durability: Durability,
): FrameTicket {
  assert(
    log.kind === 'store' && writes.count > 0 && !log.ownsHighWatermark && log.machine === undefined,
    'writes of a plain store log',
    writes.count,
  )
  const bytesMax = ENTRY_HEADER_BYTES + writes.bytesMax
  const { arena, position } = commitLog.begin(bytesMax)
  const { endOffset: baseOffset, epoch } = log
  const timestamp = clock.now()
  const endOffset = baseOffset + writes.count
  let row: number
  try {
    if (!Number.isSafeInteger(endOffset)) throw new RangeError(`log ${log.name}: offsets end at 2^53`)
    const body = position + ENTRY_HEADER_BYTES
    const end = encodeWrites(arena.bytes, body, writes, { baseOffset, baseSequence: commitLog.sequence, timestamp, epoch })
    assert(end - position <= bytesMax, 'a commit is no larger than was estimated', end - position, bytesMax)
    const state = (wordNumbers[durability] << STATE_WORD_SHIFT) | STATE_CHECKSUM_OPEN | STATE_STORE
    row = arena.addIndexRow(log.id, body, end - body, baseOffset, endOffset, timestamp, epoch, state)
    commitLog.addEntry(ENTRY_STORE_BATCH, ENTRY_FLAG_CHECKSUM_OPEN, log.id, position, end)
  } catch (error) {
    commitLog.abort()
    throw error
  }
  const ticket = commitLog.end(durability, writes.count)
  log.accept(arena, row, endOffset, epoch)
  return ticket
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
