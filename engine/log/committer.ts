import { validateRecordBatch } from '../batch/record-batch.ts'
import { estimateRecordBatchSize } from '../batch/record-batch-codec.ts'
import { checkStoreBatch, storeBatchCount } from '../batch/store-batch.ts'
import type { StoreWrites } from '../batch/store-writes.ts'
import { TopicBatch } from '../batch/topic-batch.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { ENTRY_HEADER_BYTES } from '../commit-log/format.ts'
import type { FrameTicket } from '../commit-log/ticket.ts'
import type { Clock } from '../env/environment.ts'
import { assert, VarveError } from '../errors.ts'
import { CommitAnswer } from './appended.ts'
import { checkOffset } from './check-arguments.ts'
import { CommitChecker } from './commit-check.ts'
import { CommitEncoder } from './commit-encode.ts'
import type { AppendOptions, Commit, Committed, Durability, Log, StoreRecord, TopicRecord } from './log.ts'
import { type LogHost, LogicalLog } from './logical-log.ts'
import { resetSnapshot, snapshotSlot } from './machine-runner.ts'
import {
  type AppendOperation,
  type CatalogRowChange,
  checkOptions,
  checkRecords,
  compressedBytesMax,
  forgetRecords,
  newAppend,
  noAppendOptions,
  type Operation,
  storeBytesMax,
  topicBytesMax,
} from './operations.ts'

/** A state row and an empty snapshot. */
const stateRowBytesMax = 512
/** The key of its row must fit the catalog view. */
const slotBytesMax = 200

/** What the committer needs of its database. */
export interface CommitterHost {
  readonly commitLog: CommitLog
  readonly clock: Clock
  readonly systemLog: LogicalLog
  /** The host of this database's logs: a log of another one must not be written here. */
  readonly logHost: LogHost
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

export class LocalCommit implements Commit {
  readonly #host: CommitterHost
  readonly #operations: Operation[] = []
  readonly #rows: CatalogRowChange[] = []
  /** The first batch of each append. */
  readonly #appends: AppendOperation[] = []
  #trims: Map<LogicalLog, number> | undefined
  #closed = false
  /** Appends that gather do so; known when all are checked. */
  #mayGather = false
  readonly #internal: boolean

  constructor(host: CommitterHost, internal = false) {
    this.#host = host
    this.#internal = internal
  }

  // --- collect -----------------------------------------------------------------------------------------------------------------------

  appendRecords(
    log: Log,
    records: readonly TopicRecord[] | readonly StoreRecord[] | TopicBatch,
    options: AppendOptions = noAppendOptions,
  ): void {
    const local = this.#own(log)
    checkRecords(records)
    checkOptions(options)
    const operation = newAppend(local, options)
    if (records instanceof TopicBatch) {
      if (local.kind !== 'topic') throw new TypeError(`records must be an array: log ${local.name} is a store's`)
      operation.topicBatch = records
      operation.bytesMax = ENTRY_HEADER_BYTES + compressedBytesMax(operation, records.size)
    } else if (local.kind === 'topic') {
      operation.topicRecords = records as readonly TopicRecord[]
      operation.bytesMax = ENTRY_HEADER_BYTES + topicBytesMax(operation)
    } else {
      operation.storeRecords = records as readonly StoreRecord[]
      operation.bytesMax = ENTRY_HEADER_BYTES + storeBytesMax(operation)
    }
    this.#append(operation)
  }

  /** Not part of `Commit`: as `appendRecords` of a batch with options that were checked. */
  appendTopicBatch(log: LogicalLog, batch: TopicBatch, options: AppendOptions): void {
    const operation = newAppend(this.#own(log), options)
    operation.topicBatch = batch
    operation.bytesMax = ENTRY_HEADER_BYTES + compressedBytesMax(operation, batch.size)
    this.#append(operation)
  }

  #append(operation: AppendOperation): void {
    this.#operations.push(operation)
    this.#appends.push(operation)
  }

  /** Not part of `Commit`: what a store has collected. The writes must not change until `run` has returned. */
  appendWrites(log: Log, writes: StoreWrites): void {
    const local = this.#own(log)
    assert(local.kind === 'store' && writes.count > 0, 'writes are of a store log', writes.count)
    const operation = newAppend(local, noAppendOptions)
    operation.storeWrites = writes
    operation.bytesMax = ENTRY_HEADER_BYTES + writes.bytesMax
    this.#append(operation)
  }

  appendBatches(log: Log, bytes: Uint8Array, options: AppendOptions & { readonly keepOffsets?: boolean } = {}): void {
    const local = this.#own(log)
    if (!(bytes instanceof Uint8Array) || bytes.byteLength === 0)
      throw new TypeError('bytes must be a non-empty Uint8Array of whole batches')
    checkOptions(options)
    // One operation a batch, so that each gets its own entry; together they answer as one append.
    let expectedOffset = options.expectedOffset
    let first: AppendOperation | undefined
    for (let at = 0; at < bytes.byteLength; ) {
      const size =
        local.kind === 'topic' ? validateRecordBatch(bytes, at, bytes.byteLength, true) : checkStoreBatch(bytes, at, bytes.byteLength) - at
      const { expectedOffset: _none, ...rest } = options
      const operation = newAppend(local, expectedOffset === undefined ? rest : { ...rest, expectedOffset })
      operation.bytes = bytes.subarray(at, at + size)
      expectedOffset = undefined
      operation.bytesMax = ENTRY_HEADER_BYTES + size + (local.kind === 'store' ? storeBatchCount(bytes, at) * 8 : 0)
      this.#operations.push(operation)
      if (first === undefined) this.#appends.push((first = operation))
      else first.last = operation
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
    if (offset <= Math.max(local.trimmedTo, this.#trims?.get(local) ?? 0)) return
    this.#trims ??= new Map()
    this.#trims.set(local, offset)
    this.#rows.push(this.#host.stateRow(local, { startOffset: offset }))
  }

  setMetadata(log: Log, slot: string, value: Uint8Array | undefined): void {
    const local = this.#own(log)
    if (typeof slot !== 'string' || slot.length === 0 || Buffer.byteLength(slot) > slotBytesMax) {
      throw new TypeError(`slot must be a string of 1 to ${slotBytesMax} bytes of UTF-8`)
    }
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
    const local = this.#own(log)
    checkOffset(offset)
    this.#operations.push({ type: 'reset', log: local, offset })
  }

  /** Rows of the catalog, for the database itself. */
  addRows(rows: readonly CatalogRowChange[]): void {
    this.#rows.push(...rows)
  }

  #own(log: Log): LogicalLog {
    if (this.#closed) throw new VarveError('CLOSED', 'a commit ends with its callback')
    if (!(log instanceof LogicalLog) || !log.isOf(this.#host.logHost)) throw new TypeError('log must be a log of this database')
    if (log.dropped) throw new VarveError('NOT_FOUND', `log ${log.name} was dropped`, { details: { log: log.name } })
    return log
  }

  // --- check, encode, accept ---------------------------------------------------------------------------------------------------------

  /** Steps 2 to 4. Throws without any effect. */
  run(durability: Durability): Committed {
    this.#closed = true
    const { commitLog, clock } = this.#host
    const checker = new CommitChecker()
    for (const operation of this.#operations) checker.check(operation)
    const bytesMax = this.#bytesMax()
    // Nothing to write (a resend, a trim made before): what it repeats may not be on the disk yet.
    if (bytesMax === 0) return this.#committed(commitLog.endTicket(durability), durability)

    this.#place(durability)
    const space = commitLog.begin(bytesMax, this.#internal ? 'both' : this.#unblocks() ? 'tail' : 'none')
    const encoder = new CommitEncoder(commitLog, clock, space, durability)
    const baseSequence = commitLog.sequence
    const mayGather = this.#mayGather && !space.arena.staged
    try {
      this.#encode(encoder, mayGather)
      assert(
        encoder.position - space.position <= bytesMax,
        'a commit is no larger than was estimated',
        encoder.position - space.position,
        bytesMax,
      )
    } catch (error) {
      commitLog.abort()
      CommitEncoder.abandon()
      throw error
    }
    if (mayGather) this.#gather(encoder)
    const ticket = commitLog.end(durability, Math.max(1, encoder.sequence - baseSequence))
    for (const operation of this.#operations) {
      if (operation.type === 'truncate') operation.log.cut(operation.boundary)
      else if (operation.type === 'reset') operation.log.resetState(operation.offset)
    }
    for (const { log, row, endOffset, epoch } of encoder.encoded) log.accept(space.arena, row, endOffset, epoch)
    for (const { log, gathering, endOffset } of encoder.gathered) log.acceptGathered(space.arena, gathering, endOffset)
    if (this.#rows.length > 0) this.#host.applyRows(this.#rows)
    return this.#committed(ticket, durability)
  }

  /**
   * True for what an owner needs to move its high watermark when the tail is full of records above it: votes and other metadata, truncations and what
   * replaces the truncated, batches that a leader sends, and the first batch of a new leader.
   */
  #unblocks(): boolean {
    let appends = 0
    for (const operation of this.#operations) {
      if (operation.type === 'truncate') return true
      if (operation.type !== 'append') continue
      const { log, options, epoch } = operation
      if (!log.ownsHighWatermark || !(options.keepOffsets === true || epoch > log.epoch)) appends++
    }
    return appends === 0
  }

  /** Upper bound of what will be encoded; also drops the parts of logs that are reset. */
  #bytesMax(): number {
    let bytesMax = 0
    let stateRowBytes = 0
    for (const operation of this.#operations) {
      if (operation.type === 'append') {
        bytesMax += operation.duplicate ? 0 : operation.bytesMax
      } else if (operation.type === 'truncate') {
        bytesMax += 2 * ENTRY_HEADER_BYTES + 8 + (operation.head?.byteLength ?? 0)
      } else {
        bytesMax += ENTRY_HEADER_BYTES + 8
        stateRowBytes += stateRowBytesMax
        this.#rows.push(...this.#host.dropPartsRows(operation.log))
      }
    }
    if (this.#rows.length > 0 || stateRowBytes > 0) bytesMax += ENTRY_HEADER_BYTES + stateRowBytes + estimateRecordBatchSize(this.#rows)
    return bytesMax
  }

  /**
   * Batches that gather are placed where something else is to follow them: other batches of their logs, truncations, and whatever the catalog is told; and before a state
   * machine is asked, which may read any log up to its end, while nothing can be placed.
   */
  #place(durability: Durability): void {
    const { commitLog } = this.#host
    const isPlain =
      this.#rows.length === 0 && this.#operations.every(({ type, log }) => type === 'append' && log.machine?.admit === undefined)
    this.#mayGather = isPlain && durability === 'sync'
    if (!isPlain) {
      commitLog.placeAll()
      return
    }
    for (const operation of this.#operations as readonly AppendOperation[]) {
      const { log, topicBatch, epoch } = operation
      const { gathering } = log
      if (gathering === undefined || gathering.isPlaced || operation.duplicate) continue
      const goesOn = this.#mayGather && operation.gathers && topicBatch !== undefined && gathering.takes(topicBatch, epoch)
      if (!goesOn) commitLog.place(gathering)
    }
  }

  #gather(encoder: CommitEncoder): void {
    try {
      for (const operation of this.#operations) if (operation.type === 'append' && operation.gathers) encoder.gather(operation)
    } catch (error) {
      // Memory that cannot be had: half of the commit lies among those of others.
      this.#host.commitLog.fail(new VarveError('INVARIANT', 'a commit was gathered in part', { cause: error }))
      throw error
    }
  }

  #encode(encoder: CommitEncoder, mayGather: boolean): void {
    for (const operation of this.#operations) {
      if (operation.type === 'append') {
        if (!mayGather || !operation.gathers) encoder.append(operation)
      } else if (operation.type === 'truncate') encoder.truncate(operation)
      else {
        encoder.reset(operation)
        const { log, offset } = operation
        const resetLsn = this.#host.commitLog.buildingLsn
        this.#rows.push(this.#host.metadataRow(log, snapshotSlot, resetSnapshot(offset)))
        this.#rows.push(this.#host.stateRow(log, { startOffset: offset, endOffset: offset, resetLsn, epoch: 0, cleanedTo: 0 }))
      }
    }
    if (this.#rows.length > 0) encoder.rows(this.#host.systemLog, this.#rows)
  }

  #committed(ticket: FrameTicket, durability: Durability): Committed {
    for (const operation of this.#operations) if (operation.type === 'append') forgetRecords(operation)
    return new CommitAnswer(this.#host.commitLog.sequence, this.#appends, ticket, durability)
  }
}
