/**
 * Values of a topic's records, a split a partition: what is committed and not hidden by an aborted transaction, from the first record that is there up to the last stable offset of
 * the moment when the run begins. Tombstones are rows of null. What a record has beside its value is `record.key`, `record.time`, `record.offset`, `record.partition`.
 */
import {
  type AbortedTransaction,
  batchBaseOffset,
  batchProducerId,
  isControlBatch,
  isTransactionalBatch,
  type LogSlice,
  RecordCursor,
} from '../../engine/index.ts'
import { type Topic, type TopicReading, topicReading } from '../../stream/index.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import { CHUNK_ROWS, Chunk, META } from '../vector/chunk.ts'
import { NumberVector, nullVector, type Vector } from '../vector/vector.ts'
import { VectorBuilder } from '../vector/vector-builder.ts'
import type { Needs, Source, Split, SplitReader, SplitSet } from './source.ts'

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
}

const sliceBytes = 1 << 20

class TopicSource<V, K> implements Source {
  readonly kind = 'topic'
  readonly isPortable = false
  readonly #topic: Topic<V, K>

  constructor(topic: Topic<V, K>) {
    this.#topic = topic
  }

  get name(): string {
    return this.#topic.name
  }

  split(): Promise<SplitSet> {
    const topic = topicReading(this.#topic)
    const splits = Array.from({ length: topic.partitionCount }, (_, partition): Split => {
      const log = topic.partition(partition)
      const range: PartitionRange = {
        partition,
        from: log.startOffset,
        to: log.lastStableOffset,
        aborted: log.abortedTransactions(log.startOffset, log.lastStableOffset),
      }
      return { name: `topic ${this.name}, partition ${partition}, offsets ${range.from} to ${range.to}`, bytes: 0, input: range }
    })
    return Promise.resolve({ splits, release: () => undefined })
  }

  open(split: Split, needs: Needs): SplitReader {
    return new PartitionReader(topicReading(this.#topic), split.input as PartitionRange, needs)
  }
}

/** Rows of one chunk, as they are gathered. */
class Gathered {
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

class PartitionReader implements SplitReader {
  bytesRead = 0
  readonly #topic: TopicReading
  readonly #range: PartitionRange
  readonly #reader: EncodedReader
  readonly #cursor = new RecordCursor()
  readonly #into = new Uint8Array(sliceBytes)
  readonly #rows = new Gathered()
  #position: number
  #slice: LogSlice | undefined
  /** Index in `#slice.positions` of the next batch. */
  #batch = 0
  /** Whether `#cursor` is in a batch. */
  #inBatch = false

  constructor(topic: TopicReading, range: PartitionRange, needs: Needs) {
    this.#topic = topic
    this.#range = range
    this.#position = range.from
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
      if (this.#inBatch && !this.#gather(rows)) return this.#chunk(rows)
      if (!this.#nextBatch(rows)) return rows.size === 0 ? undefined : this.#chunk(rows)
      if (rows.size > 0 && rows.bytes !== this.#cursor.data) return this.#chunk(rows)
    }
  }

  close(): void {
    this.#cursor.close()
    this.#slice = undefined
  }

  /** Takes records of the open batch; false when the chunk is full first. */
  #gather(rows: Gathered): boolean {
    const cursor = this.#cursor
    const { from, to } = this.#range
    rows.bytes = cursor.data
    while (cursor.remaining > 0) {
      if (rows.size === CHUNK_ROWS) return false
      cursor.next()
      const { offset } = cursor
      if (offset < from || offset >= to) continue
      const i = rows.size++
      const { valueStart, valueSize } = cursor
      rows.starts[i] = valueSize < 0 ? -1 : valueStart
      rows.ends[i] = valueSize < 0 ? -1 : valueStart + valueSize
      rows.keyStarts[i] = cursor.keyStart
      rows.keySizes[i] = cursor.keySize
      rows.times[i] = cursor.timestamp
      rows.offsets[i] = offset
    }
    this.#inBatch = false
    return true
  }

  /** Opens the next batch that counts; false when there is none, or none before rows at hand must be given away. */
  #nextBatch(rows: Gathered): boolean {
    for (;;) {
      const slice = this.#slice
      if (slice === undefined || this.#batch === slice.positions.length) {
        // Memory is read into again: what was gathered from it goes first.
        if (rows.size > 0 || this.#position >= this.#range.to) return false
        this.#read()
        if (this.#slice?.positions.length === 0) return false
        continue
      }
      const at = slice.positions[this.#batch++] as number
      if (batchBaseOffset(slice.bytes, at) >= this.#range.to) {
        this.#position = this.#range.to
        this.#slice = undefined
        return false
      }
      if (this.#isHidden(slice.bytes, at)) continue
      this.#cursor.open(slice.bytes, at)
      this.#inBatch = true
      return true
    }
  }

  #read(): void {
    const slice = this.#topic.partition(this.#range.partition).read(this.#position, { bytesMax: sliceBytes, into: this.#into })
    this.#slice = slice
    this.#batch = 0
    this.#position = slice.nextOffset
    this.bytesRead += slice.bytes.length
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
