/**
 * Reads one partition in order: slices of the log, without control batches, without what was read before, and with 'read_committed' without aborted
 * transactions and what open ones hold back.
 *
 * A slice is read whole and handed out in pieces of at most `recordsMax` records. Works over any `Log`, replicated ones too: reads may be promises.
 * Invariant: `position` is the offset of the next record to hand out; all records below it that count were handed out.
 */
import {
  type AbortedTransaction,
  batchBaseOffset,
  batchLastOffset,
  batchProducerId,
  decodeHeaders,
  type Environment,
  isControlBatch,
  isTransactionalBatch,
  type Log,
  type LogSlice,
  RecordCursor,
} from '../../engine/index.ts'
import { ConsumedRecord, noHeaders, type RecordSource } from './consumed-record.ts'
import { isExpired } from './expiry.ts'

/** What is needed of a log to read it; one in another thread has no more. */
export type FetchLog = Pick<
  Log,
  'name' | 'startOffset' | 'endOffset' | 'highWatermark' | 'lastStableOffset' | 'read' | 'abortedTransactions' | 'offsetForTime' | 'waitFor'
> & {
  /** True once it was deleted. */
  readonly dropped?: boolean
}

/** Kafka's `isolation.level`. */
export type Isolation = 'read_committed' | 'read_uncommitted'

/** Whole batches of a partition, as stored. */
export interface RawSlice {
  /** In which the batches lie. */
  readonly bytes: Uint8Array
  /** Where each batch starts in `bytes`; control batches and aborted ones are left out. */
  readonly positions: readonly number[]
  /** Read on from here. */
  readonly nextOffset: number
}

/** What reads a partition for a session; of the feed of a store something else does. */
export type Fetcher = Pick<PartitionFetcher, keyof PartitionFetcher>

/** Of the fetcher that is in no batch now; one that stops within a batch keeps its own. */
let spareCursor: RecordCursor | undefined

function takeCursor(): RecordCursor {
  const cursor = spareCursor ?? new RecordCursor()
  spareCursor = undefined
  return cursor
}

export class PartitionFetcher<V = unknown, K = unknown> {
  readonly log: FetchLog
  readonly source: RecordSource<V, K>
  readonly #isolation: Isolation
  #position: number
  #taken: number
  /** What was read and not handed out yet. */
  #slice: LogSlice | undefined
  /** Index in `#slice.positions` of the next batch. */
  #batch = 0
  /** Within that batch, when some of its records were handed out and there are more. */
  #cursor: RecordCursor | undefined
  #aborted: readonly AbortedTransaction[] = []
  /** Nothing is handed out while true; kept here for whoever asks for records. */
  paused = false
  /** Counts `seek`s: whoever hands out what was fetched one by one stops when it has changed. */
  seeks = 0

  readonly #clock: Pick<Environment['clock'], 'now'> | undefined

  /** `clock`: leaves out records that have expired by it. */
  constructor(
    log: FetchLog,
    source: RecordSource<V, K>,
    position: number,
    isolation: Isolation,
    clock?: Pick<Environment['clock'], 'now'>,
  ) {
    this.#clock = clock
    this.log = log
    this.source = source
    this.#position = position
    this.#taken = position
    this.#isolation = isolation
  }

  get position(): number {
    return this.#position
  }
  /** Offset behind the newest record that was handed out. Nothing between it and `position` is for readers: markers, aborted and expired records. */
  get taken(): number {
    return this.#taken
  }

  /** Reads on from `offset`, whatever was read ahead. */
  seek(offset: number): void {
    this.seeks++
    this.#position = offset
    this.#taken = offset
    this.#slice = undefined
    this.#leaveBatch()
  }

  /** Exclusive end of what may be handed out now. */
  get bound(): number {
    return this.#isolation === 'read_committed' ? this.log.lastStableOffset : this.log.highWatermark
  }

  /** Whether something was read and not handed out yet. */
  get hasSlice(): boolean {
    return this.#slice !== undefined
  }

  /** Whether `next` would find something: records, or that there are none at a position behind the end. */
  get isReady(): boolean {
    return this.#slice !== undefined || this.#position < this.bound || this.#position > this.log.endOffset
  }

  /** Records of what can be read now, at most `recordsMax`, in order; none when there is nothing. Throws OFFSET_OUT_OF_RANGE and the log's errors. */
  next(recordsMax: number, bytesMax: number): ConsumedRecord<V, K>[] | Promise<ConsumedRecord<V, K>[]> {
    if (this.#slice !== undefined) return this.#take(recordsMax, bytesMax)
    const loaded = this.#load(bytesMax)
    return loaded === undefined ? this.#take(recordsMax, bytesMax) : loaded.then(() => this.#take(recordsMax, bytesMax))
  }

  /** As `next` of the slice that was read; undefined when it has no more that count. */
  nextRead(recordsMax: number): ConsumedRecord<V, K>[] | undefined {
    const slice = this.#slice
    if (slice === undefined) return undefined
    const records: ConsumedRecord<V, K>[] = []
    this.#decode(slice, records, recordsMax)
    return records.length === 0 ? undefined : records
  }

  /** The next slice as it is stored; undefined when there is nothing. `into`: memory to read into, see `ReadOptions.into`. */
  async nextRaw(bytesMax: number, into?: Uint8Array): Promise<RawSlice | undefined> {
    for (;;) {
      if (this.#slice === undefined) await this.#load(bytesMax, into)
      const slice = this.#slice
      if (slice === undefined) return undefined
      const positions: number[] = []
      for (let i = this.#batch; i < slice.positions.length; i++) {
        const at = slice.positions[i] as number
        if (!this.#isHidden(slice.bytes, at)) positions.push(at)
      }
      this.#finish(slice)
      if (positions.length === 0) continue
      this.#taken = this.#position
      return { bytes: slice.bytes, positions, nextOffset: this.#position }
    }
  }

  #load(bytesMax: number, into?: Uint8Array): Promise<void> | undefined {
    const { bound } = this
    if (this.#position >= bound) {
      if (this.#position >= this.log.startOffset && this.#position <= this.log.endOffset) return undefined
      // The range check of a read. A log in another thread may know better by now: then what it knows is here, too.
      const checked = this.log.read(this.#position, { bytesMax: 1 })
      return isPromise(checked) ? checked.then(() => undefined) : undefined
    }
    const slice = this.log.read(this.#position, into === undefined ? { bytesMax } : { bytesMax, into })
    if (!isPromise(slice)) return this.#begin(slice, bound)
    const { seeks } = this
    // Of a seek meanwhile the next call reads.
    return slice.then(read => (this.seeks === seeks ? this.#begin(read, bound) : undefined))
  }

  #begin(slice: LogSlice, bound: number): Promise<void> | undefined {
    let { positions, nextOffset } = slice
    // Transactions that are open hold back what lies behind their first record, whoever wrote it.
    const held = positions.findIndex(at => batchBaseOffset(slice.bytes, at) >= bound)
    if (held >= 0) {
      positions = positions.slice(0, held)
      nextOffset = bound
    }
    const read: LogSlice = { kind: slice.kind, bytes: slice.bytes, positions, nextOffset }
    if (this.#isolation === 'read_uncommitted' || !positions.some(at => isTransactionalBatch(slice.bytes, at))) {
      this.#keep(read, [])
      return undefined
    }
    // Nothing is there to be handed out before it is known what of it was aborted.
    const aborted = this.log.abortedTransactions(this.#position, nextOffset)
    if (!isPromise(aborted)) {
      this.#keep(read, aborted)
      return undefined
    }
    const { seeks } = this
    return aborted.then(found => {
      if (this.seeks === seeks) this.#keep(read, found)
    })
  }

  #keep(slice: LogSlice, aborted: readonly AbortedTransaction[]): void {
    this.#batch = 0
    this.#slice = slice
    this.#aborted = aborted
  }

  #take(recordsMax: number, bytesMax: number): ConsumedRecord<V, K>[] | Promise<ConsumedRecord<V, K>[]> {
    const records: ConsumedRecord<V, K>[] = []
    for (;;) {
      const slice = this.#slice
      if (slice === undefined) return records
      this.#decode(slice, records, recordsMax)
      if (records.length > 0) return records
      // A slice without a record that counts: markers, aborted data, a batch that ends before the position.
      const loaded = this.#load(bytesMax)
      if (loaded !== undefined) return loaded.then(() => this.#take(recordsMax, bytesMax))
    }
  }

  #decode(slice: LogSlice, records: ConsumedRecord<V, K>[], recordsMax: number): void {
    const { bytes, positions } = slice
    for (; this.#batch < positions.length; this.#batch++) {
      let cursor = this.#cursor
      if (cursor === undefined) {
        const at = positions[this.#batch] as number
        // Also behind the last record that there is room for: who commits it has then passed the marker of its transaction.
        if (this.#isHidden(bytes, at)) continue
        if (records.length === recordsMax) return
        cursor = takeCursor()
        this.#cursor = cursor
        try {
          cursor.open(bytes, at)
        } catch (error) {
          this.#leaveBatch()
          throw error
        }
      }
      if (!this.#takeRecords(cursor, records, recordsMax)) return
      this.#leaveBatch()
    }
    this.#finish(slice)
  }

  /** False when there is no room for the next record: the batch goes on there with the next call. */
  #takeRecords(cursor: RecordCursor, records: ConsumedRecord<V, K>[], recordsMax: number): boolean {
    const source = this.source
    const { data } = cursor
    try {
      while (records.length < recordsMax || cursor.remaining === 0) {
        if (!cursor.next()) return true
        const { offset } = cursor
        if (offset < this.#position) continue
        const headers = cursor.headerCount === 0 ? noHeaders : decodeHeaders(cursor)
        this.#position = offset + 1
        if (headers !== noHeaders && this.#clock !== undefined && isExpired(headers, this.#clock.now())) continue
        this.#taken = this.#position
        const { timestamp, keyStart, keySize, valueStart, valueSize } = cursor
        records.push(new ConsumedRecord(source, data, offset, timestamp, keyStart, keySize, valueStart, valueSize, headers))
      }
      return false
    } catch (error) {
      // The next call meets it again.
      this.#leaveBatch()
      throw error
    }
  }

  #leaveBatch(): void {
    const cursor = this.#cursor
    if (cursor === undefined) return
    this.#cursor = undefined
    cursor.close()
    spareCursor = cursor
  }

  #finish(slice: LogSlice): void {
    this.#position = Math.max(this.#position, slice.nextOffset)
    this.#slice = undefined
    this.#leaveBatch()
  }

  #isHidden(bytes: Uint8Array, at: number): boolean {
    if (isControlBatch(bytes, at) || batchLastOffset(bytes, at) < this.#position) return true
    if (this.#aborted.length === 0 || !isTransactionalBatch(bytes, at)) return false
    const producerId = batchProducerId(bytes, at)
    const offset = batchBaseOffset(bytes, at)
    return this.#aborted.some(entry => entry.producerId === producerId && entry.firstOffset <= offset && offset < entry.lastOffset)
  }
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown }).then === 'function'
}
