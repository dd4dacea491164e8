/**
 * Records of one topic partition, encoded before it is known where they will lie: what `Commit.appendRecords` takes instead of an array. A record costs
 * no object, and its bytes are copied at `add`, so they may be the caller's.
 *
 * Made, filled and cleared by whoever sends; a commit copies the bytes into the commit log and changes nothing here, so a batch whose commit was refused can be
 * committed again. Must not change between `appendRecords` and the end of the commit.
 */
import { assert } from '../errors.ts'
import { ATTRIBUTE_TRANSACTIONAL } from './format.ts'
import { decodeHeaders } from './record-batch-codec.ts'
import { RecordBatchWriter, type RecordBytes, type RecordHeaderInput } from './record-batch-writer.ts'
import { RecordCursor } from './record-cursor.ts'

/** Who appends, and how; see `AppendOptions`. */
export interface TopicBatchPlace {
  readonly baseOffset: number
  readonly epoch: number
  readonly producer?: { readonly id: number; readonly epoch: number; readonly sequence: number } | undefined
  readonly transactional?: boolean | undefined
}

/** Records of one partition, encoded ahead of their commit. */
export class TopicBatch {
  readonly #writer: RecordBatchWriter = new RecordBatchWriter()

  constructor() {
    this.#writer.beginAhead()
  }

  /** Records. */
  get count(): number {
    return this.#writer.count
  }
  /** Bytes, header included, before compression. */
  get size(): number {
    return this.#writer.size
  }

  /** Bytes of memory that it holds, filled or not. */
  get capacity(): number {
    return this.#writer.stageSize
  }

  /** Adds a record. Text is stored as UTF-8; the first timestamp is the batch's base. */
  add(key: RecordBytes, value: RecordBytes, timestamp: number, headers?: readonly RecordHeaderInput[]): void {
    const added = this.#writer.add(key, value, timestamp, headers)
    assert(added, 'a batch is below 2 GiB', this.size)
  }

  /** Not for users: whether `append` takes these records. */
  takes(other: TopicBatch): boolean {
    return this.#writer.takes(other.#writer)
  }

  /** Not for users: adds all records of another batch, if `takes` says so. */
  append(other: TopicBatch): void {
    this.#writer.append(other.#writer)
  }

  /** Of the newest record. */
  get maxTimestamp(): number {
    return this.#writer.maxTimestamp
  }

  /** Adds those records to another batch that `keep` says true for, by their place here. */
  copyTo(target: TopicBatch, keep: (index: number) => boolean): void {
    const bytes = new Uint8Array(this.size)
    this.place(bytes, 0, { baseOffset: 0, epoch: 0 })
    const cursor = new RecordCursor()
    cursor.open(bytes, 0)
    for (let index = 0; cursor.next(); index++) {
      if (!keep(index)) continue
      const { keyStart, keySize, valueStart, valueSize, timestamp } = cursor
      const key = keySize < 0 ? null : bytes.subarray(keyStart, keyStart + keySize)
      const value = valueSize < 0 ? null : bytes.subarray(valueStart, valueStart + valueSize)
      target.add(key, value, timestamp, decodeHeaders(cursor))
    }
  }

  /** Forgets all records. */
  clear(): void {
    this.#writer.abandon()
    this.#writer.beginAhead()
  }

  /** Not for users: writes the batch, without its checksum, to `target[position]` and returns the position after it. */
  place(target: Uint8Array, position: number, { baseOffset, epoch, producer, transactional }: TopicBatchPlace): number {
    const writer = this.#writer
    writer.producer(producer?.id ?? -1, producer?.epoch ?? -1, producer?.sequence ?? -1)
    return writer.place(target, position, baseOffset, epoch, transactional === true ? ATTRIBUTE_TRANSACTIONAL : 0)
  }
}
