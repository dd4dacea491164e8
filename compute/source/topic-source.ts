/**
 * Values of a topic's records, a split a partition: what is committed and not hidden by an aborted transaction, from the first record that is there up to the last stable offset of
 * the moment when the run begins. Tombstones are rows of null. What a record has beside its value is `record.key`, `record.time`, `record.offset`, `record.partition`.
 */
import {
  type AbortedTransaction,
  batchBaseOffset,
  batchMaxTimestamp,
  batchProducerId,
  isControlBatch,
  isTransactionalBatch,
  isVarveError,
  type LeaseDescription,
  type LeasedLog,
  type LocalLog,
  type LogSlice,
  openLease,
  type RecordColumns,
  RecordCursor,
  type SealedBlock,
  type SealedColumns,
} from '../../engine/index.ts'
import { type Topic, type TopicCodecName, type TopicReading, topicCodecOf, topicReading } from '../../stream/index.ts'
import { ColumnChunk, ColumnReader } from '../rows/column-chunks.ts'
import { CountedRows } from '../rows/counted-rows.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import { CHUNK_ROWS, Chunk, META } from '../vector/chunk.ts'
import { NumberVector, nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import type { Needs, OpenReader, Source, Split, SplitOptions, SplitReader, SplitSet } from './source.ts'
import type { TimeRange } from './source-range.ts'

export function topicSource<V, K>(topic: Topic<V, K>): Source {
  return new TopicSource(topic)
}

/** Input of a split. */
interface PartitionRange {
  readonly partition: number
  readonly from: number
  /** Exclusive. */
  readonly to: number
  readonly aborted: readonly AbortedTransaction[]
  /** Records of other times are left out. Undefined: of all. */
  readonly time: TimeRange | undefined
}

/** What other threads have to know. */
interface SharedTopic {
  readonly lease: LeaseDescription
  /** Names of the logs, by partition. */
  readonly logs: readonly string[]
  readonly keys: TopicCodecName
  readonly values: TopicCodecName
}

type Reading = Pick<TopicReading, 'keys' | 'values'> & { partition(index: number): Pick<LeasedLog, 'read' | 'blockAt' | 'columnsAt'> }

/** Read at a time: what is gone through several times is found in the processor's second-level cache. */
const sliceBytes = 256 << 10
const splitBytesMin = 1 << 20
const builtInCodecs: ReadonlySet<string> = new Set(['msgpack', 'json', 'string', 'bytes'])

class TopicSource<V, K> implements Source {
  readonly kind = 'topic'
  readonly #topic: Topic<V, K>

  constructor(topic: Topic<V, K>) {
    this.#topic = topic
  }

  get name(): string {
    return this.#topic.name
  }

  get columns(): readonly string[] {
    return topicReading(this.#topic).columns
  }

  get isPortable(): boolean {
    const { host, keys, values } = topicReading(this.#topic)
    return host.options.storage === 'disk' && builtInCodecs.has(keys.name) && builtInCodecs.has(values.name)
  }

  get bytes(): number {
    const topic = topicReading(this.#topic)
    let bytes = 0
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      const log = topic.partition(partition)
      bytes += log.sealedBytes(log.startOffset)
      // Of the tail only the number of records is known.
      bytes += tailRecordBytes * (log.endOffset - Math.max(log.startOffset, log.flushedEnd))
    }
    return bytes
  }

  split({ parallelism, portable, range }: SplitOptions): Promise<SplitSet> {
    const topic = topicReading(this.#topic)
    const logs = Array.from({ length: topic.partitionCount }, (_, partition) => topic.partition(partition))
    const bytesMax = portable ? Math.max(splitBytesMin, Math.ceil(this.bytes / parallelism)) : Number.MAX_SAFE_INTEGER
    const splits = logs.flatMap((log, partition) => this.#rangesOf(log, partition, bytesMax, range?.time))
    if (!portable) return Promise.resolve({ splits, release: () => undefined })
    const lease = topic.host.lease({ logs: logs.map(log => log.name) })
    return Promise.resolve({
      splits,
      share: thread => {
        const input: SharedTopic = {
          lease: lease.share(thread),
          logs: logs.map(log => log.name),
          keys: topic.keys.name as TopicCodecName,
          values: topic.values.name as TopicCodecName,
        }
        return { reader: 'topic', input }
      },
      release: () => lease.release(),
    })
  }

  open(split: Split, needs: Needs): SplitReader {
    return new PartitionReader(topicReading(this.#topic), split.input as PartitionRange, needs)
  }

  /** What of a partition can be read now, in pieces of about `bytesMax`. */
  #rangesOf(log: LocalLog, partition: number, bytesMax: number, time: TimeRange | undefined): Split[] {
    const { startOffset, lastStableOffset } = log
    const splits: Split[] = []
    const add = (from: number, to: number, bytes: number): void => {
      if (to <= from) return
      const range: PartitionRange = { partition, from, to, aborted: log.abortedTransactions(from, to), time }
      splits.push({ name: `topic ${this.name}, partition ${partition}, offsets ${from} to ${to}`, bytes, input: range })
    }
    let [from, to, bytes] = [startOffset, startOffset, 0]
    const tailBytes = tailRecordBytes * Math.max(0, lastStableOffset - log.flushedEnd)
    const parts = [
      ...(time === undefined ? log.sealedParts(bytesMax) : wantedPieces(log, time)),
      { endOffset: lastStableOffset, bytes: tailBytes },
    ]
    for (const part of parts) {
      if (bytes > 0 && bytes + part.bytes > bytesMax) {
        add(from, to, bytes)
        from = to
        bytes = 0
      }
      to = Math.min(Math.max(to, part.endOffset), lastStableOffset)
      bytes += part.bytes
      // What nobody wants at the beginning of a split is left out of it.
      if (time !== undefined && bytes === 0) from = to
    }
    add(from, to, bytes)
    return splits
  }
}

/** Blocks of a log, those of other times as nothing. */
function wantedPieces(log: LocalLog, time: TimeRange): { readonly endOffset: number; readonly bytes: number }[] {
  const pieces: { endOffset: number; bytes: number }[] = []
  for (let block = log.blockAt(log.startOffset); block !== undefined; block = log.blockAt(block.nextOffset)) {
    pieces.push({ endOffset: block.nextOffset, bytes: isOutside(block, time) ? 0 : block.bytes })
  }
  return pieces
}

function isOutside({ minTimestamp, maxTimestamp }: SealedBlock, { from, to }: TimeRange): boolean {
  return (maxTimestamp >= 0 && maxTimestamp < from) || (minTimestamp >= 0 && minTimestamp >= to)
}

function isInside({ minTimestamp, maxTimestamp }: SealedBlock, { from, to }: TimeRange): boolean {
  return minTimestamp >= 0 && minTimestamp >= from && maxTimestamp < to
}

/** Assumed of records that are not in a segment yet. */
const tailRecordBytes = 100

/** Reads ranges of partitions of a leased topic. */
export const openTopicReader: OpenReader = async input => {
  const { lease, logs, keys, values } = input as SharedTopic
  const opened = await openLease(lease)
  const reading: Reading = {
    keys: topicCodecOf(keys, 'keyCodec'),
    values: topicCodecOf(values, 'value'),
    partition: index => opened.log(logs[index] as string),
  }
  return {
    open: (split, needs) => new PartitionReader(reading, split.input as PartitionRange, needs),
    close: () => opened.release(),
  }
}

/** Rows of one chunk, as they are gathered. */
class Gathered implements RecordColumns {
  size = 0
  bytes: Uint8Array = new Uint8Array(0)
  readonly starts = new Int32Array(CHUNK_ROWS)
  readonly ends = new Int32Array(CHUNK_ROWS)
  readonly keyStarts = new Int32Array(CHUNK_ROWS)
  /** -1: no key. */
  readonly keySizes = new Int32Array(CHUNK_ROWS)
  readonly times = new Float64Array(CHUNK_ROWS)
  readonly offsets = new Float64Array(CHUNK_ROWS)
}

/** The first of the ascending `numbers[0, size)` that is at least `bound`; `size` when none is. */
function lowerBound(numbers: Float64Array, size: number, bound: number): number {
  let from = 0
  let to = size
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((numbers[middle] as number) < bound) from = middle + 1
    else to = middle
  }
  return from
}

/** Rows of one chunk that are only counted, at most. */
const countedMax = 16 * CHUNK_ROWS

class PartitionReader implements SplitReader {
  bytesRead = 0
  readonly #topic: Reading
  readonly #range: PartitionRange
  readonly #reader: EncodedReader
  readonly #cursor = new RecordCursor()
  readonly #into = new Uint8Array(sliceBytes)
  readonly #rows = new Gathered()
  /** One for each field that is wanted, where columns could have all that is. */
  readonly #columns: readonly ColumnReader[] | undefined
  readonly #times = new ColumnReader(META.time)
  readonly #offsets = new ColumnReader(META.offset)
  /** Below it rows are read, whatever columns there are. */
  #rowsUntil = 0
  /** The columns at hand, and the rows of them that were not given away yet. */
  #group: { readonly vectors: ReadonlyMap<string, Vector>; from: number; readonly to: number } | undefined
  /** Nobody looks into the rows. */
  readonly #isCounted: boolean
  #position: number
  #slice: LogSlice | undefined
  /** Index in `#slice.positions` of the next batch. */
  #batch = 0
  /** Whether `#cursor` is in a batch. */
  #inBatch = false

  constructor(topic: Reading, range: PartitionRange, needs: Needs) {
    this.#topic = topic
    this.#range = range
    this.#position = range.from
    const isWhole = needs.values || needs.paths.includes('') || needs.paths.includes(META.key)
    this.#columns = isWhole ? undefined : needs.paths.filter(path => path !== META.partition).map(path => new ColumnReader(path))
    this.#isCounted = needs.paths.length === 0 && !needs.values
    const { values } = topic
    // A job's rows outlive their chunk: bytes must be copies here, which consumers' need not be.
    const codec =
      values.name === 'bytes' ? { name: 'bytes', decode: (bytes: Uint8Array, from: number, to: number) => bytes.slice(from, to) } : values
    this.#reader = new EncodedReader(codec, needs.paths)
  }

  next(): Chunk | undefined {
    const rows = this.#rows
    rows.size = 0
    for (;;) {
      const ofColumns = this.#columnChunk()
      if (ofColumns !== undefined) return ofColumns
      if (this.#inBatch && !this.#gather(rows)) return this.#chunk(rows)
      if (this.#nextBatch()) {
        if (rows.size > 0 && rows.bytes !== this.#cursor.data) return this.#chunk(rows)
        continue
      }
      // Memory is read into again: what was gathered from it goes first.
      if (rows.size > 0) return this.#chunk(rows)
      const counted = this.#passBlocks()
      if (counted > 0) return new Chunk(new CountedRows(counted))
      if (this.#position >= this.#range.to) return undefined
      if (!this.#openColumns() && !this.#read()) return undefined
    }
  }

  close(): void {
    this.#cursor.close()
    this.#slice = undefined
  }

  /** Takes records of the open batch; false when the chunk is full first. */
  #gather(rows: Gathered): boolean {
    const cursor = this.#cursor
    rows.bytes = cursor.data
    const first = rows.size
    rows.size = first + cursor.take(rows, first, CHUNK_ROWS - first)
    this.#leaveOut(rows, first)
    this.#inBatch = cursor.remaining > 0
    return !this.#inBatch
  }

  /** Those of the rows from `first` on stay that are in the range. */
  #leaveOut(rows: Gathered, first: number): void {
    const { from, to, time } = this.#range
    const { size, starts, ends, keyStarts, keySizes, times, offsets } = rows
    // Offsets ascend.
    if (size === first || (time === undefined && (offsets[first] as number) >= from && (offsets[size - 1] as number) < to)) return
    let kept = first
    for (let row = first; row < size; row++) {
      const offset = offsets[row] as number
      const at = times[row] as number
      if (offset < from || offset >= to) continue
      if (time !== undefined && (at < time.from || at >= time.to)) continue
      starts[kept] = starts[row] as number
      ends[kept] = ends[row] as number
      keyStarts[kept] = keyStarts[row] as number
      keySizes[kept] = keySizes[row] as number
      times[kept] = at
      offsets[kept++] = offset
    }
    rows.size = kept
  }

  /** Opens the next batch of the slice that counts; false when there is none. */
  #nextBatch(): boolean {
    const slice = this.#slice
    if (slice === undefined) return false
    const { to, time } = this.#range
    while (this.#batch < slice.positions.length) {
      const at = slice.positions[this.#batch++] as number
      if (batchBaseOffset(slice.bytes, at) >= to) {
        this.#position = to
        break
      }
      if (this.#isHidden(slice.bytes, at)) continue
      if (time !== undefined && batchMaxTimestamp(slice.bytes, at) < time.from) continue
      this.#cursor.open(slice.bytes, at)
      this.#inBatch = true
      return true
    }
    this.#slice = undefined
    return false
  }

  /** Goes on over blocks of which nothing is wanted, or nothing but the number of records, which is returned; stops at the first that is to be read. */
  #passBlocks(): number {
    const { to, time } = this.#range
    if (time === undefined && !this.#isCounted) return 0
    const log = this.#topic.partition(this.#range.partition)
    let counted = 0
    while (this.#position < to && counted < countedMax) {
      const block = log.blockAt(this.#position)
      if (block === undefined) break
      if (time === undefined || !isOutside(block, time)) {
        if (!this.#countsWhole(block)) break
        counted += block.records as number
      }
      this.#position = Math.min(to, block.nextOffset)
    }
    return counted
  }

  /** Whether the block's records are wanted, all of them, as a number. */
  #countsWhole(block: SealedBlock): boolean {
    const { to, time, aborted } = this.#range
    if (!this.#isCounted || block.records === undefined || block.baseOffset < this.#position || block.nextOffset > to) return false
    if (time !== undefined && !isInside(block, time)) return false
    return !aborted.some(({ firstOffset, lastOffset }) => firstOffset < block.nextOffset && lastOffset >= block.baseOffset)
  }

  /** Turns to the columns that have what is at the position; false where there are none, or not all that is wanted, or they are damaged. */
  #openColumns(): boolean {
    if (this.#columns === undefined || this.#position < this.#rowsUntil) return false
    const { partition, to, time, aborted } = this.#range
    const log = this.#topic.partition(partition)
    const columns = log.columnsAt(this.#position)
    if (columns === undefined) return false
    const { baseOffset, nextOffset, rows } = columns
    this.#rowsUntil = nextOffset
    const isWhole = baseOffset >= this.#position && nextOffset <= to
    const wanted = [...this.#columns, ...(time === undefined ? [] : [this.#times]), ...(isWhole ? [] : [this.#offsets])]
    if (wanted.some(({ path }) => columns.columnBytes(path) === 0)) return false
    if (aborted.some(({ firstOffset, lastOffset }) => firstOffset < nextOffset && lastOffset >= baseOffset)) return false
    const vectors = new Map<string, Vector>()
    try {
      for (const reader of wanted) if (!vectors.has(reader.path)) vectors.set(reader.path, this.#readColumn(reader, columns))
    } catch (error) {
      // Columns repeat what the records say.
      if (isVarveError(error, 'CORRUPT')) return false
      throw error
    }
    const offsets = isWhole ? undefined : (vectors.get(META.offset) as NumberVector).values
    const from = offsets === undefined ? 0 : lowerBound(offsets, rows, this.#position)
    this.#group = { vectors, from, to: offsets === undefined ? rows : lowerBound(offsets, rows, to) }
    this.#position = Math.min(to, nextOffset)
    return true
  }

  #readColumn(reader: ColumnReader, columns: SealedColumns): Vector {
    const vector = reader.read(columns)
    this.bytesRead += columns.columnBytes(reader.path)
    return vector
  }

  /** The next rows of the columns at hand. */
  #columnChunk(): Chunk | undefined {
    const group = this.#group
    if (group === undefined) return undefined
    const { partition, time } = this.#range
    while (group.from < group.to) {
      const from = group.from
      const to = Math.min(group.to, from + CHUNK_ROWS)
      group.from = to
      const data = new ColumnChunk(group.vectors, from, to, partition)
      if (time === undefined) return new Chunk(data)
      const { values } = group.vectors.get(META.time) as NumberVector
      const selected = new Int32Array(to - from)
      let count = 0
      for (let row = from; row < to; row++) {
        const at = values[row] as number
        if (at >= time.from && at < time.to) selected[count++] = row - from
      }
      if (count > 0) return new Chunk(data, selected, count)
    }
    this.#group = undefined
    return undefined
  }

  /** Bytes from the position on that are wanted as they lie there. */
  #wantedBytes(): number {
    const { to, time } = this.#range
    if (time === undefined && !this.#isCounted) return sliceBytes
    const log = this.#topic.partition(this.#range.partition)
    let bytes = 0
    for (let at = this.#position; at < to && bytes < sliceBytes; ) {
      const block = log.blockAt(at)
      if (block === undefined) return sliceBytes
      if (bytes > 0 && ((time !== undefined && isOutside(block, time)) || this.#countsWhole(block))) break
      bytes += block.bytes
      at = block.nextOffset
    }
    return Math.min(bytes, sliceBytes)
  }

  /** False when there is nothing more. */
  #read(): boolean {
    const before = this.#position
    const slice = this.#topic.partition(this.#range.partition).read(before, { bytesMax: this.#wantedBytes(), into: this.#into })
    this.#slice = slice
    this.#batch = 0
    this.#position = slice.nextOffset
    this.bytesRead += slice.bytes.length
    return slice.positions.length > 0 || this.#position > before
  }

  #isHidden(bytes: Uint8Array, at: number): boolean {
    if (isControlBatch(bytes, at)) return true
    const { aborted } = this.#range
    if (aborted.length === 0 || !isTransactionalBatch(bytes, at)) return false
    const producerId = batchProducerId(bytes, at)
    const offset = batchBaseOffset(bytes, at)
    return aborted.some(entry => entry.producerId === producerId && entry.firstOffset <= offset && offset < entry.lastOffset)
  }

  #chunk(rows: Gathered): Chunk {
    const { size, bytes, starts, ends } = rows
    return new Chunk(this.#reader.rows({ size, bytes, starts, ends }, path => this.#meta(path)))
  }

  #meta(path: string): Vector {
    const { size, bytes, keyStarts, keySizes, times, offsets } = this.#rows
    switch (path) {
      case META.time:
        return new NumberVector(times)
      case META.offset:
        return new NumberVector(offsets)
      case META.partition:
        return new NumberVector(new Float64Array(size).fill(this.#range.partition))
      case META.key: {
        const builder = new VectorBuilder()
        builder.begin(size, bytes)
        for (let i = 0; i < size; i++) {
          const keySize = keySizes[i] as number
          const start = keyStarts[i] as number
          builder.any(keySize < 0 ? null : this.#topic.keys.decode(bytes, start, start + keySize))
        }
        return builder.finish()
      }
      default:
        return nullVector(size)
    }
  }
}
