/**
 * A batch of the open frame that still takes records: small appends of several commits to one log become one batch of it, so that sixty transactions over eight
 * partitions are eight entries and not five hundred. An entry, an index row, a checksum, a batch to flush and to read cost more than the few records in it.
 *
 * The records lie in private memory until `place` writes them behind the frame's entries: when the frame takes no more, or before anybody looks at the bytes,
 * or before something else is appended to the log. Everything else is as if they were there: the frame has room for them, the log ends behind them, its index row says
 * where they begin and end. Owned by the commit log, which says when they are placed; the log that a batch belongs to keeps it while it gathers.
 *
 * Invariants: a gathering batch belongs to the open frame, and all its commits have the word 'sync'; its row has the frame's own position until it is placed, so that it
 * counts as no more durable than that.
 */
import { TopicBatch } from '../batch/topic-batch.ts'
import { assert } from '../errors.ts'
import type { Arena } from './arena.ts'
import { ENTRY_FLAG_CHECKSUM_OPEN, ENTRY_HEADER_BYTES, ENTRY_TOPIC_BATCH } from './format.ts'
import { writeEntryHeader } from './frame.ts'
import type { PendingFrame } from './tail-file.ts'

/** A batch is not made longer than this by gathering, bytes: whoever reads takes whole batches. */
const gatheredBytesMax = 64 * 1024
/** Larger appends are entries of their own: copying them costs more than they gain. */
export const gatheredAppendBytesMax: number = 1024
/** Memory of batches that were placed is kept for the next ones, bytes. */
const spareBytesMax = 4 * 1024 * 1024

export class GatheringBatch {
  readonly logId: number
  /** In the index of the frame's arena. */
  readonly row: number
  readonly baseOffset: number
  readonly epoch: number
  #records: TopicBatch | undefined

  constructor(records: TopicBatch, logId: number, row: number, baseOffset: number, epoch: number) {
    this.#records = records
    this.logId = logId
    this.row = row
    this.baseOffset = baseOffset
    this.epoch = epoch
  }

  get isPlaced(): boolean {
    return this.#records === undefined
  }

  /** Until it is placed. */
  get records(): TopicBatch {
    assert(this.#records !== undefined, 'a batch that was placed has its records in the arena', this.logId)
    return this.#records
  }

  /** Its records lie in the arena: the log that still names it must not keep their memory. */
  placed(): void {
    this.#records = undefined
  }

  /** Whether it goes on with this batch. */
  takes(batch: TopicBatch, epoch: number): boolean {
    const records = this.#records
    return records !== undefined && epoch === this.epoch && records.size + batch.size <= gatheredBytesMax && records.takes(batch)
  }
}

/** Those of the open frame. */
export class GatheringBatches {
  /** Oldest first. */
  readonly #batches: GatheringBatch[] = []
  #bytes = 0
  readonly #spares: TopicBatch[] = []
  /** Invariant: the capacities of `#spares`. */
  #spareBytes = 0

  /** What they will take behind the frame's entries, entry headers included. */
  get bytes(): number {
    return this.#bytes
  }
  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  /** See `CommitLog.gather`. The row's position is that of the frame until the batch is placed. */
  add(
    arena: Arena,
    framePosition: number,
    known: GatheringBatch | undefined,
    logId: number,
    batch: TopicBatch,
    baseOffset: number,
    epoch: number,
    state: number,
  ): GatheringBatch {
    // Nothing has changed when there is no memory.
    if (known !== undefined) {
      const { records, row } = known
      const before = records.size
      records.append(batch)
      this.#bytes += records.size - before
      arena.setBatch(row, framePosition, records.size, known.baseOffset + records.count, records.maxTimestamp)
      return known
    }
    const records = this.#takeSpare()
    records.append(batch)
    const { size, count, maxTimestamp } = records
    const row = arena.addIndexRow(logId, framePosition, size, baseOffset, baseOffset + count, maxTimestamp, epoch, state)
    const gathering = new GatheringBatch(records, logId, row, baseOffset, epoch)
    this.#batches.push(gathering)
    this.#bytes += ENTRY_HEADER_BYTES + size
    return gathering
  }

  /** Writes one of them behind the entries of the frame: it takes no more. */
  place(frame: PendingFrame, gathering: GatheringBatch): void {
    this.#batches.splice(this.#batches.indexOf(gathering), 1)
    this.#place(frame, gathering)
  }

  /** As `place`, of all. */
  placeAll(frame: PendingFrame): void {
    for (const gathering of this.#batches) this.#place(frame, gathering)
    this.#batches.length = 0
    assert(this.#bytes === 0, 'what gathers has the size that was counted', this.#bytes)
  }

  #place(frame: PendingFrame, gathering: GatheringBatch): void {
    const { arena } = frame.tail
    const { records, row, logId, baseOffset, epoch } = gathering
    const { size, count, maxTimestamp } = records
    const headerAt = frame.end
    const body = headerAt + ENTRY_HEADER_BYTES
    const end = records.place(arena.bytes, body, { baseOffset, epoch })
    writeEntryHeader(arena.view, headerAt, ENTRY_TOPIC_BATCH, ENTRY_FLAG_CHECKSUM_OPEN, logId, end - body)
    arena.setBatch(row, body, size, baseOffset + count, maxTimestamp)
    frame.entryCount++
    frame.end = end
    this.#bytes -= end - headerAt
    gathering.placed()
    if (this.#spareBytes + records.capacity > spareBytesMax) return
    records.clear()
    this.#spares.push(records)
    this.#spareBytes += records.capacity
  }

  #takeSpare(): TopicBatch {
    const spare = this.#spares.pop()
    if (spare === undefined) return new TopicBatch()
    this.#spareBytes -= spare.capacity
    return spare
  }
}
