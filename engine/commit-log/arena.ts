/**
 * An arena: the memory of one commit-log file. Frames are encoded straight into it, at the positions where they lie in the file; the bytes
 * written to the disk, the tail that readers see, and what flush reads are these bytes.
 *
 * Owned by the commit log, which alone appends; leases and flush tasks hold the shared buffer and never write. Beside the bytes lies the
 * *index*: one fixed-width row per batch, append-only, so that a worker finds the batches of a log without parsing frames. Growing the index
 * makes a new buffer; a leased reader keeps the old one with its row count.
 *
 * Invariant: bytes below `used` and index rows below `indexCount` never change while anyone may read them, except for INDEX_STATE; a batch that gathers
 * (`gathering-batch.ts`) is placed before anyone does.
 */
import { assert } from '../errors.ts'

/** Columns of an index row, one double each. */
export const INDEX_LOG_ID = 0
/** Where the batch (not its entry header) starts in the arena. */
export const INDEX_POSITION = 1
export const INDEX_BYTES = 2
export const INDEX_BASE_OFFSET = 3
/** Exclusive. */
export const INDEX_END_OFFSET = 4
export const INDEX_MAX_TIMESTAMP = 5
export const INDEX_EPOCH = 6
/** Bits: see STATE_*. */
export const INDEX_STATE = 7
export const INDEX_COLUMNS = 8

/** The batch's checksum field is not filled. */
export const STATE_CHECKSUM_OPEN = 1
/** Truncated, reset or carried elsewhere: not part of the log any more. */
export const STATE_DEAD = 2
/** Durability word of the append: bits 2-3, 0 sync, 1 buffered, 2 none. */
export const STATE_WORD_SHIFT = 2
export const STATE_WORD_MASK = 3
/** The batch is a store batch, else a topic batch. */
export const STATE_STORE = 16

const indexRowsFirst = 256

/** What a task or a lease is given of an arena. Structured-clonable. */
export interface ArenaView {
  readonly number: number
  readonly bytes: Uint8Array
  readonly index: Float64Array
  readonly indexCount: number
}

export class Arena {
  /** Unique within one opening, grows; tail slots name arenas by it. */
  readonly number: number
  readonly bytes: Uint8Array
  readonly view: DataView
  /** A staged arena holds one staged frame; all of it has one LSN. */
  readonly staged: boolean
  /** LSN of the byte at position 0; for a staged arena: of the frame that commits it. */
  baseLsn: number
  /** First free byte. Advanced by the commit log only. */
  used = 0
  index: Float64Array
  indexCount = 0
  /** Leases that read from here. Advanced by the lease table. Not recycled while > 0. */
  leases = 0

  /** `index`: memory of an arena that is gone, see `addIndexRow`; what stands in it does not matter. */
  constructor(number: number, bytes: Uint8Array, baseLsn: number, staged: boolean, index: Float64Array = newIndex(indexRowsFirst)) {
    assert(bytes.buffer instanceof SharedArrayBuffer, 'arena is shared memory', bytes.byteLength)
    this.number = number
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.baseLsn = baseLsn
    this.staged = staged
    this.index = index
  }

  /** Bytes of memory, the index among them. */
  get memoryBytes(): number {
    return this.bytes.byteLength + this.index.byteLength
  }

  get capacity(): number {
    return this.bytes.byteLength
  }

  /** LSN at which the bytes at `position` became part of the log. */
  lsnAt(position: number): number {
    return this.staged ? this.baseLsn : this.baseLsn + position
  }

  /** Adds a row and returns its number. */
  addIndexRow(
    logId: number,
    position: number,
    bytes: number,
    baseOffset: number,
    endOffset: number,
    maxTimestamp: number,
    epoch: number,
    state: number,
  ): number {
    const row = this.indexCount
    let at = row * INDEX_COLUMNS
    if (at + INDEX_COLUMNS > this.index.length) {
      const larger = newIndex((this.index.length / INDEX_COLUMNS) * 2)
      larger.set(this.index)
      this.index = larger
    }
    const index = this.index
    index[at++] = logId
    index[at++] = position
    index[at++] = bytes
    index[at++] = baseOffset
    index[at++] = endOffset
    index[at++] = maxTimestamp
    index[at++] = epoch
    index[at] = state
    this.indexCount = row + 1
    return row
  }

  cell(row: number, column: number): number {
    return this.index[row * INDEX_COLUMNS + column] as number
  }

  /** The committer placed a ready batch: its offsets are known only after it was copied. */
  setOffsets(row: number, baseOffset: number, endOffset: number, epoch: number): void {
    const at = row * INDEX_COLUMNS
    this.index[at + INDEX_BASE_OFFSET] = baseOffset
    this.index[at + INDEX_END_OFFSET] = endOffset
    this.index[at + INDEX_EPOCH] = epoch
  }

  /** A batch that gathers has grown, or lies where it stays. */
  setBatch(row: number, position: number, bytes: number, endOffset: number, maxTimestamp: number): void {
    const at = row * INDEX_COLUMNS
    this.index[at + INDEX_POSITION] = position
    this.index[at + INDEX_BYTES] = bytes
    this.index[at + INDEX_END_OFFSET] = endOffset
    this.index[at + INDEX_MAX_TIMESTAMP] = maxTimestamp
  }

  addState(row: number, bits: number): void {
    const at = row * INDEX_COLUMNS + INDEX_STATE
    this.index[at] = (this.index[at] as number) | bits
  }

  viewNow(): ArenaView {
    return { number: this.number, bytes: this.bytes, index: this.index, indexCount: this.indexCount }
  }
}

function newIndex(rows: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(rows * INDEX_COLUMNS * 8))
}
