/**
 * Checks one run of a segment: blocks and offset tables, order and structure of records, fence keys, filter, statistics, range deletes.
 * Called by `verifyPart`; all trouble becomes findings.
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey } from '../batch/store-keys.ts'
import { compareNewestFirst, StoreRecordCursor } from '../batch/store-record.ts'
import { CODEC_NONE } from '../codec/compression.ts'
import { readU32LE } from '../codec/fixed-width.ts'
import { compareBytes } from './key-range.ts'
import { ByteBuilder } from './output.ts'
import type { RunIndex } from './part-index.ts'
import type { SegmentReader } from './reader.ts'
import { runBlockTable } from './run-blocks.ts'
import { RunStatistics } from './run-writer.ts'
import type { VerifyContext } from './verify.ts'
import { partColumns, verifyColumns } from './verify-columns.ts'
import { checkedBlock } from './verify-part.ts'

export function verifyRun(reader: SegmentReader, part: number, context: VerifyContext): void {
  new RunVerifier(reader, part, context).verify()
}

class RunVerifier {
  readonly #reader: SegmentReader
  readonly #part: number
  readonly #context: VerifyContext
  readonly #index: RunIndex
  readonly #versioned: boolean
  readonly #record = new StoreRecordCursor()
  /** The record before; it lies in its own block's bytes, which stay alive with it. */
  readonly #previous = new StoreRecordCursor()
  readonly #statistics = new RunStatistics()
  readonly #rangeDeletes = new ByteBuilder()
  readonly #hash = createKeyHash()
  #points = 0
  #complete = true

  constructor(reader: SegmentReader, part: number, context: VerifyContext) {
    this.#reader = reader
    this.#part = part
    this.#context = context
    this.#index = reader.runIndex(part)
    this.#versioned = reader.directory.isVersioned(part)
  }

  verify(): void {
    const { blockCount } = this.#index
    for (let block = 0; block < blockCount && !this.#context.full; block++) this.#verifyBlock(block)
    const columns = partColumns(this.#reader, this.#part, this.#context)
    if (columns !== undefined) verifyColumns(this.#reader, this.#part, columns, block => this.#index.recordCount(block), this.#context)
    if (this.#complete && !this.#context.full) this.#verifySums()
  }

  #verifyBlock(block: number): void {
    const read = checkedBlock(this.#reader, this.#part, this.#index, block, this.#context)
    if (read === undefined) {
      this.#complete = false
      return
    }
    const { bytes, filePosition } = read
    this.#context.positionMax = this.#index.codec(block) === CODEC_NONE ? Number.POSITIVE_INFINITY : filePosition
    this.#verifyContent(block, bytes, filePosition)
    this.#context.positionMax = Number.POSITIVE_INFINITY
  }

  #verifyContent(block: number, bytes: Uint8Array, filePosition: number): void {
    const table = bytes.length < 8 ? -1 : runBlockTable(bytes, 0, bytes.length)
    const count = table <= 0 ? 0 : readU32LE(bytes, bytes.length - 4)
    if (count === 0 || table + (count + 1) * 4 !== bytes.length) {
      this.#context.add(filePosition, `block ${block} has an impossible offset table`)
      this.#complete = false
      return
    }
    if (count !== this.#index.recordCount(block))
      this.#context.add(filePosition, `block ${block} has another number of records than its entry`)
    const good = this.#context.try(filePosition, () => this.#verifyRecords(bytes, table, count, block, filePosition))
    if (good !== true) this.#complete = false
  }

  /** True when the records fill the block up to its offset table. Throws CORRUPT. */
  #verifyRecords(bytes: Uint8Array, table: number, count: number, block: number, filePosition: number): boolean {
    const record = this.#record
    record.reset(bytes, 0, table)
    for (let i = 0; i < count; i++) {
      if (!record.next() || readU32LE(bytes, table + i * 4) !== record.start) {
        this.#context.add(filePosition + record.end, `offset table of block ${block} does not lead to its records`)
        return false
      }
      if (i === 0) this.#verifyFence(block, filePosition)
      this.#verifyRecord(filePosition)
      this.#previous.readAt(bytes, record.start, table)
    }
    if (record.end === table) return true
    this.#context.add(filePosition + record.end, `block ${block} has bytes behind its last record`)
    return false
  }

  #verifyFence(block: number, filePosition: number): void {
    const index = this.#index
    const { buffer, keyStart, keyBytes } = this.#record
    if (compareKeys(buffer, keyStart, keyBytes, index.bytes, index.keyStart(block), index.keyBytes(block)) !== 0) {
      this.#context.add(filePosition, `entry of block ${block} has another first key`)
    }
  }

  #verifyRecord(filePosition: number): void {
    const record = this.#record
    const previous = this.#previous
    this.#context.records++
    if (this.#statistics.records > 0) {
      const order = compareKeys(previous.buffer, previous.keyStart, previous.keyBytes, record.buffer, record.keyStart, record.keyBytes)
      if (order > 0 || (order === 0 && compareNewestFirst(previous, record, this.#versioned) >= 0)) {
        this.#context.add(filePosition + record.start, 'records are not in order')
      }
    }
    this.#statistics.add(record)
    if (record.kind === STORE_RANGE_DELETE) {
      this.#rangeDeletes.append(record.buffer, record.start, record.end)
      return
    }
    this.#points++
    hashKey(record.buffer, record.keyStart, record.keyBytes, this.#hash)
    if (this.#index.filter?.mayContain(this.#hash) !== true) {
      this.#context.add(filePosition + record.start, 'the filter does not know a key of its run')
    }
  }

  #verifySums(): void {
    const { directory, directoryPosition } = this.#reader
    const part = this.#part
    const index = this.#index
    const statistics = this.#statistics
    const indexPosition = directory.indexPosition(part)
    if (!equalBytes(statistics.encode(), index.statisticsBytes)) this.#context.add(indexPosition, `statistics of part ${part} differ`)
    if (!equalBytes(this.#rangeDeletes.view(), index.rangeDeletes)) this.#context.add(indexPosition, `range deletes of part ${part} differ`)
    const { buffer, keyStart, keyBytes } = this.#previous
    if (!equalBytes(buffer.subarray(keyStart, keyStart + keyBytes), index.largestKey)) {
      this.#context.add(indexPosition, `largest key of part ${part} differs`)
    }
    if (!this.#isWithinRange()) this.#context.add(indexPosition, `part ${part} has keys outside the range that it stands for`)
    if (index.filter !== undefined && this.#points === 0) this.#context.add(indexPosition, `part ${part} has a filter and no keys for it`)
    if (statistics.records !== directory.recordCount(part)) this.#wrong(directoryPosition, 'the number of records')
    if (statistics.minSequence !== directory.minSequence(part)) this.#wrong(directoryPosition, 'the smallest sequence')
    if (statistics.maxSequence !== directory.maxSequence(part)) this.#wrong(directoryPosition, 'the largest sequence')
  }

  /** A piece of the bottom level holds nothing outside its range; only a range delete may reach further. */
  #isWithinRange(): boolean {
    const { keyFrom, keyTo, smallestKey, largestKey } = this.#index
    if (keyFrom !== undefined && keyTo !== undefined && compareBytes(keyFrom, keyTo) >= 0) return false
    if (this.#statistics.records === 0) return true
    if (keyFrom !== undefined && compareBytes(smallestKey, keyFrom) < 0) return false
    if (keyTo === undefined) return true
    return compareBytes(largestKey, keyTo) < 0
  }

  #wrong(position: number, what: string): void {
    this.#context.add(position, `directory has ${what} of part ${this.#part} wrong`)
  }
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return compareBytes(left, right) === 0
}
