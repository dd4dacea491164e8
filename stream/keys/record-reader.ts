/**
 * Reads single records of a partition by their offsets, as the owner of the log sees them: durable or not, but nothing of transactions that are open or
 * aborted. Keeps the slice that was read last, so that records which lie together cost one read.
 */
import {
  batchBaseOffset,
  batchLastOffset,
  batchProducerId,
  decodeHeaders,
  isControlBatch,
  isTransactionalBatch,
  type LocalLog,
  type LogSlice,
  RecordCursor,
} from '../../engine/index.ts'
import { ConsumedRecord, noHeaders, type RecordSource } from '../fetch/consumed-record.ts'

/** 'open': of a transaction that has not ended. 'gone': compacted, trimmed, or of an aborted transaction. */
export type RecordState = 'there' | 'open' | 'gone'

/** Records of one key often lie near each other. From a segment a whole block is read in any case. */
const tailBytes = 4096
const sealedBytes = 65536

const cursor = new RecordCursor()

export class RecordReader<V = unknown, K = unknown> {
  readonly #log: LocalLog
  readonly #source: RecordSource<V, K>
  #slice: LogSlice | undefined

  constructor(log: LocalLog, source: RecordSource<V, K>) {
    this.#log = log
    this.#source = source
  }

  /** What became of the record. */
  state(offset: number): RecordState {
    const found = this.#open(offset)
    if (found !== undefined) cursor.close()
    return found ?? 'gone'
  }

  /** The record; undefined when it is gone, or its transaction open. */
  read(offset: number): ConsumedRecord<V, K> | undefined {
    const state = this.#open(offset)
    if (state === undefined) return undefined
    const { data, timestamp, keyStart, keySize, valueStart, valueSize, headerCount } = cursor
    const headers = headerCount === 0 ? noHeaders : decodeHeaders(cursor)
    cursor.close()
    if (state === 'open') return undefined
    return new ConsumedRecord(this.#source, data, offset, timestamp, keyStart, keySize, valueStart, valueSize, headers)
  }

  /** Moves the cursor to the record and says how it stands; undefined when it is gone, and the cursor is closed. */
  #open(offset: number): 'there' | 'open' | undefined {
    const log = this.#log
    if (offset < log.startOffset || offset >= log.endOffset) return undefined
    for (const isFresh of [false, true]) {
      if (isFresh) this.#slice = log.read(offset, { bound: 'end', bytesMax: offset < log.flushedEnd ? sealedBytes : tailBytes })
      const slice = this.#slice
      if (slice === undefined) continue
      const at = batchAt(slice, offset)
      if (at === undefined || batchBaseOffset(slice.bytes, at) > offset) continue
      if (isControlBatch(slice.bytes, at)) return undefined
      const state = isTransactionalBatch(slice.bytes, at) ? this.#stateOf(slice.bytes, at) : 'there'
      if (state === 'gone') return undefined
      cursor.open(slice.bytes, at)
      while (cursor.next()) {
        if (cursor.offset === offset) return state
        if (cursor.offset > offset) break
      }
      cursor.close()
      return undefined
    }
    return undefined
  }

  #stateOf(bytes: Uint8Array, at: number): RecordState {
    const offset = batchBaseOffset(bytes, at)
    const producerId = batchProducerId(bytes, at)
    const openFrom = this.#log.openTransaction(producerId)
    if (openFrom !== undefined && openFrom <= offset) return 'open'
    const isAborted = this.#log
      .abortedTransactions(offset, offset + 1)
      .some(entry => entry.producerId === producerId && entry.firstOffset <= offset && offset < entry.lastOffset)
    return isAborted ? 'gone' : 'there'
  }
}

/** The first batch whose last offset is at or above this one. */
function batchAt({ bytes, positions }: LogSlice, offset: number): number | undefined {
  let low = 0
  for (let high = positions.length; low < high; ) {
    const middle = (low + high) >>> 1
    if (batchLastOffset(bytes, positions[middle] as number) < offset) low = middle + 1
    else high = middle
  }
  return positions[low]
}
