/**
 * Log compaction of a topic, after Kafka's cleaner: of each key the newest record stays, and offsets never change.
 *
 * 1. `scan` walks the dirty range [dirtyStart, end) and notes the last offset of every key, in bounded memory. When the map is full the scan
 *    ends early, at a batch: the caller compacts up to there and begins again.
 * 2. `clean` walks the log from its start, part by part, and writes what stays:
 *    - a record that no later one of its key supersedes; records without a key; everything at or above the scanned end;
 *    - tombstones (null values, and records that have expired) until their batch's delete horizon, which the first cleaning stamps as now + deleteRetentionMs;
 *    - markers likewise, from when all data of their transaction is gone; records of aborted transactions go at once;
 *    - an emptied batch's header, when it is the last batch of an active producer (fencing and dedupe need it) or the last one cleaned.
 *
 * Pure over readers and writers. Kafka's names of the rules: LogCleaner, CleanedTransactionMetadata, RecordFilter.BatchRetention.
 */
import { NONE } from '../batch/format.ts'
import {
  batchBaseOffset,
  batchDeleteHorizon,
  batchLastOffset,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  batchSize,
  isControlBatch,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import { recordExpiresAt } from '../batch/record-expiry.ts'
import { assert, VarveError } from '../errors.ts'
import type { AbortedTransactionEntry } from '../segment/part.ts'
import type { SegmentWriter } from '../segment/writer.ts'
import { BatchRewriter, KeptRecords } from './compact-batch.ts'
import { OffsetMap } from './compact-offset-map.ts'
import { CompactedTransactions } from './compact-transactions.ts'
import { joinEpochs, type OffsetSource } from './merge-offsets.ts'

/** The newest that is known of a producer. */
export interface ActiveProducer {
  readonly epoch: number
  /** Offset of the last record of its last data batch; -1 when it has none in this epoch. */
  readonly lastDataOffset: number
}

export interface TopicCompactionOptions {
  /** First offset that no earlier compaction scanned. */
  readonly dirtyStart: number
  /** Exclusive bound of what may be cleaned; at or below the last stable offset and the high watermark. */
  readonly end: number
  /** Ms. */
  readonly now: number
  /** How long tombstones and markers stay readable after their first cleaning, ms. */
  readonly deleteRetentionMs: number
  /** Aborted transactions that overlap the range and are not in the tables of the sources. */
  readonly aborted?: readonly AbortedTransactionEntry[]
  /** By producer id. Default: as the batches of the sources say, which keeps a few headers more. */
  readonly producers?: ReadonlyMap<number, ActiveProducer>
  /** Memory for the offset map, 24 bytes a key. Default 64 MiB. */
  readonly mapBytes?: number
  /** Random 32 bits for the key hash. Default 0. */
  readonly seed?: number
}

export interface ScanResult {
  /** The range up to here may be cleaned. */
  readonly end: number
  /** The map was full before `options.end`. */
  readonly full: boolean
  readonly keys: number
}

export interface CompactionStatistics {
  batchesIn: number
  batchesOut: number
  recordsIn: number
  recordsOut: number
  bytesIn: number
  bytesOut: number
  /** Batches that were encoded again. */
  rewritten: number
}

const readBytes = 1024 * 1024
const mapBytesDefault = 64 * 1024 * 1024

export class TopicCompaction {
  readonly statistics: CompactionStatistics = {
    batchesIn: 0,
    batchesOut: 0,
    recordsIn: 0,
    recordsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    rewritten: 0,
  }
  readonly #options: TopicCompactionOptions
  readonly #map: OffsetMap
  readonly #cursor: RecordCursor = new RecordCursor()
  readonly #kept: KeptRecords = new KeptRecords()
  readonly #rewriter: BatchRewriter = new BatchRewriter()
  readonly #buffer: Uint8Array = new Uint8Array(readBytes)
  #producers: ReadonlyMap<number, ActiveProducer>
  #transactions: CompactedTransactions | undefined
  /** Exclusive end of what the map covers; -1 before `scan`. */
  #end = -1
  /** Where the next part given to `clean` may begin. */
  #cleaned = 0
  /** Whether the record that `#keepRecord` kept last is a tombstone. */
  #tombstone = false

  constructor(options: TopicCompactionOptions) {
    assert(options.dirtyStart <= options.end && options.deleteRetentionMs >= 0, 'compaction range', options.dirtyStart, options.end)
    this.#options = options
    this.#map = new OffsetMap(options.mapBytes ?? mapBytesDefault, options.seed ?? 0)
    this.#producers = options.producers ?? new Map()
  }

  /**
   * Builds the map from all parts of the log, in offset order; once. TOO_LARGE when the keys of one batch do not fit the map.
   */
  scan(sources: readonly OffsetSource[]): ScanResult {
    assert(this.#end < 0, 'a compaction scans once')
    const options = this.#options
    const { dirtyStart } = options
    const aborted = [...(options.aborted ?? [])]
    for (const { reader, part } of sources) aborted.push(...reader.batchIndex(part).aborted())
    this.#transactions = new CompactedTransactions(aborted)
    const transactions = new CompactedTransactions(aborted.filter(entry => entry.lastOffset >= dirtyStart))
    const found = options.producers === undefined ? new Map<number, ActiveProducer>() : undefined
    let end = options.end
    walkBatches(sources, found === undefined ? dirtyStart : 0, this.#buffer, (buffer, at) => {
      const base = batchBaseOffset(buffer, at)
      if (batchLastOffset(buffer, at) >= end) return false
      if (found !== undefined) noteProducer(found, buffer, at)
      if (batchLastOffset(buffer, at) < dirtyStart) return true
      const control = isControlBatch(buffer, at)
      const aborts = control ? transactions.passControl(buffer, at) : transactions.passData(buffer, at)
      if (control || aborts || this.#noteKeys(buffer, at)) return true
      if (base <= dirtyStart) {
        throw new VarveError('TOO_LARGE', 'the keys of one batch do not fit the offset map', {
          details: { limit: 'mapBytes', keys: this.#map.size },
        })
      }
      end = base
      return false
    })
    if (found !== undefined) this.#producers = found
    this.#end = end
    return { end, full: end < options.end, keys: this.#map.size }
  }

  /** Writes what stays of the sources into the part that is open in `target`. Parts come in offset order from the start of the log. */
  clean(sources: readonly OffsetSource[], target: SegmentWriter): void {
    assert(this.#end >= 0 && this.#transactions !== undefined, 'a compaction scans before it cleans')
    const before = target.partBytes
    let producerState: Uint8Array | undefined
    let later: AbortedTransactionEntry[] = []
    for (const source of sources) {
      const { directory } = source.reader
      assert(directory.firstOffset(source.part) >= this.#cleaned, 'parts are cleaned in offset order', this.#cleaned)
      this.#cleaned = directory.endOffset(source.part)
      const index = source.reader.batchIndex(source.part)
      producerState = index.producerState() ?? producerState
      later = later.concat(index.aborted().filter(entry => entry.lastOffset >= this.#end))
      this.#cleanPart(source, target)
    }
    const aborted = this.#transactions.takeRetained().concat(later)
    target.setPartTables({ epochs: joinEpochs(sources, 0), aborted, ...(producerState === undefined ? {} : { producerState }) })
    this.statistics.bytesOut += target.partBytes - before
  }

  #noteKeys(buffer: Uint8Array, at: number): boolean {
    const cursor = this.#cursor
    const { dirtyStart } = this.#options
    cursor.open(buffer, at)
    while (cursor.next()) {
      if (cursor.keySize < 0 || cursor.offset < dirtyStart) continue
      if (!this.#map.put(cursor.data, cursor.keyStart, cursor.keySize, cursor.offset)) return false
    }
    return true
  }

  #cleanPart(source: OffsetSource, target: SegmentWriter): void {
    const { statistics } = this
    /** Batches that stay as they are and wait to be written: `[pending, at)` of the buffer; -1 none. */
    let pending = -1
    const flush = (buffer: Uint8Array, at: number): void => {
      if (pending >= 0 && pending < at) target.addBatches(buffer, pending, at)
      pending = -1
    }
    walkBatches(
      [source],
      0,
      this.#buffer,
      (buffer, at) => {
        const size = batchSize(buffer, at)
        statistics.batchesIn++
        statistics.bytesIn += size
        const written = this.#cleanBatch(buffer, at)
        if (written === asItIs) {
          if (pending < 0) pending = at
          statistics.batchesOut++
        } else {
          flush(buffer, at)
          if (written > 0) {
            target.addBatches(this.#rewriter.bytes, 0, written)
            statistics.batchesOut++
            statistics.rewritten++
          }
        }
        return true
      },
      flush,
    )
  }

  /** `asItIs`, `dropped`, or the size of the batch that stands in the rewriter. */
  #cleanBatch(buffer: Uint8Array, at: number): number {
    const { statistics } = this
    const count = batchRecordCount(buffer, at)
    statistics.recordsIn += count
    if (batchLastOffset(buffer, at) >= this.#end) {
      statistics.recordsOut += count
      return asItIs
    }
    const { now, deleteRetentionMs } = this.#options
    const transactions = this.#transactions!
    const control = isControlBatch(buffer, at)
    const horizon = batchDeleteHorizon(buffer, at)
    const discardable = control ? transactions.passControl(buffer, at) : transactions.passData(buffer, at)
    const discardRecords = discardable && (!control || (horizon >= 0 && horizon <= now))
    const keepEmpty = this.#isLastOfProducer(buffer, at, control) || batchLastOffset(buffer, at) + 1 === this.#end
    if (discardRecords) return keepEmpty ? this.#emptied(buffer, at, count) : dropped
    const tombstones = this.#markKept(buffer, at, control, horizon)
    const kept = this.#kept
    statistics.recordsOut += kept.count
    if (kept.count === 0) return keepEmpty ? this.#emptied(buffer, at, count) : dropped
    const stamp = horizon < 0 && (tombstones || (control && discardable))
    if (kept.count === count && !stamp) return asItIs
    return this.#rewriter.rewrite(buffer, at, kept, stamp ? now + deleteRetentionMs : NONE)
  }

  #emptied(buffer: Uint8Array, at: number, count: number): number {
    return count === 0 ? asItIs : this.#rewriter.writeEmpty(buffer, at)
  }

  /** Fills `#kept`; true when a tombstone is among the kept records. */
  #markKept(buffer: Uint8Array, at: number, control: boolean, horizon: number): boolean {
    const cursor = this.#cursor
    const kept = this.#kept
    let tombstones = false
    cursor.open(buffer, at)
    kept.clear(cursor.data)
    while (cursor.next()) {
      if (!control && !this.#keepRecord(cursor, horizon)) continue
      if (!control && this.#tombstone) tombstones = true
      kept.add(cursor.recordStart, cursor.recordEnd, cursor.timestamp)
    }
    return tombstones
  }

  #keepRecord(cursor: RecordCursor, horizon: number): boolean {
    this.#tombstone = false
    if (cursor.offset >= this.#end || cursor.keySize < 0) return true
    if (cursor.offset < this.#map.get(cursor.data, cursor.keyStart, cursor.keySize)) return false
    this.#tombstone = cursor.valueSize < 0 || (cursor.headerCount > 0 && this.#isExpired(cursor))
    return !this.#tombstone || horizon < 0 || this.#options.now < horizon
  }

  #isExpired(cursor: RecordCursor): boolean {
    const expiresAt = recordExpiresAt(cursor)
    return expiresAt >= 0 && expiresAt <= this.#options.now
  }

  #isLastOfProducer(buffer: Uint8Array, at: number, control: boolean): boolean {
    const producerId = batchProducerId(buffer, at)
    if (producerId < 0) return false
    const producer = this.#producers.get(producerId)
    if (producer === undefined) return false
    if (producer.lastDataOffset >= 0) return batchLastOffset(buffer, at) === producer.lastDataOffset
    return control && batchProducerEpoch(buffer, at) === producer.epoch
  }
}

/** Answers of `#cleanBatch`. */
const asItIs = -1
const dropped = 0

function noteProducer(producers: Map<number, ActiveProducer>, buffer: Uint8Array, at: number): void {
  const producerId = batchProducerId(buffer, at)
  if (producerId < 0) return
  const epoch = batchProducerEpoch(buffer, at)
  const known = producers.get(producerId)
  if (!isControlBatch(buffer, at)) producers.set(producerId, { epoch, lastDataOffset: batchLastOffset(buffer, at) })
  else if (known === undefined || known.epoch !== epoch) producers.set(producerId, { epoch, lastDataOffset: -1 })
}

/**
 * Calls `visit` for each batch of the sources that ends behind `from`'s block; it returns false to stop. `chunkEnd` is called when the bytes
 * of one read are about to be replaced.
 */
function walkBatches(
  sources: readonly OffsetSource[],
  from: number,
  into: Uint8Array,
  visit: (buffer: Uint8Array, at: number) => boolean,
  chunkEnd?: (buffer: Uint8Array, at: number) => void,
): void {
  for (const { reader, part } of sources) {
    const index = reader.batchIndex(part)
    for (let block = index.findByOffset(from); block < index.blockCount; ) {
      const { bytes, end } = reader.readBlocks(part, block, readBytes, { into })
      for (let at = 0; at < bytes.length; at += batchSize(bytes, at)) if (!visit(bytes, at)) return
      chunkEnd?.(bytes, bytes.length)
      block = end
    }
  }
}
