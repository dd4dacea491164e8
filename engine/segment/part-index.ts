/**
 * Index sections as they lie in a segment, read in place: `BatchIndex` for topic and body parts, `RunIndex` for runs. Both find blocks by
 * binary search over fixed-width entries; nothing is parsed ahead but the list of tables.
 *
 * Made by `SegmentReader` after the section's checksum matched. Constructors check the structure and every entry against the body's size, so
 * that accessors never lead outside; they throw CORRUPT with the position in the section, or NEWER_FORMAT.
 */
import { type Extension, readExtensions } from '../batch/extension.ts'
import { compareKeys } from '../batch/store-keys.ts'
import { CODEC_NONE, codecNameOf } from '../codec/compression.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readI32LE, readI64LE, readU16LE, readU32LE, readU48LE } from '../codec/fixed-width.ts'
import { assert, VarveError } from '../errors.ts'
import { ColumnIndex } from './column-index.ts'
import { Filter } from './filter.ts'
import {
  ABORTED_ENTRY_BYTES,
  BATCH_BLOCK_BASE_OFFSET,
  BATCH_BLOCK_BATCH_COUNT,
  BATCH_BLOCK_BYTES,
  BATCH_BLOCK_CHECKSUM,
  BATCH_BLOCK_END_OFFSET,
  BATCH_BLOCK_ENTRY_BYTES,
  BATCH_BLOCK_MAX_TIMESTAMP,
  BATCH_BLOCK_POSITION,
  BLOCK_CODEC_CONTENT_BYTES,
  BLOCK_CODEC_ENTRY_BYTES,
  BLOCK_CODEC_ID,
  BLOCK_CODEC_ZEROS,
  BLOCK_CONTENT_LIMIT,
  BLOCK_STATISTICS_BYTES,
  BLOCK_STATISTICS_MAX_TIMESTAMP,
  BLOCK_STATISTICS_MIN_TIMESTAMP,
  BLOCK_STATISTICS_RECORDS,
  EPOCH_ENTRY_BYTES,
  INDEX_HEADER_BYTES,
  RUN_BLOCK_BYTES,
  RUN_BLOCK_CHECKSUM,
  RUN_BLOCK_ENTRY_BYTES,
  RUN_BLOCK_KEY_BYTES,
  RUN_BLOCK_KEY_POSITION,
  RUN_BLOCK_POSITION,
  RUN_BLOCK_RECORD_COUNT,
  STATISTICS_BYTES,
  STATISTICS_DELETES,
  STATISTICS_EXPIRING,
  STATISTICS_MAX_EXPIRY,
  STATISTICS_MAX_VERSION,
  STATISTICS_MIN_EXPIRY,
  STATISTICS_MIN_VERSION,
  STATISTICS_POINTERS,
  STATISTICS_PUTS,
  STATISTICS_RANGE_DELETES,
  STATISTICS_VERSIONED,
  TABLE_ABORTED,
  TABLE_BLOCK_CODECS,
  TABLE_BLOCK_STATISTICS,
  TABLE_COLUMNS,
  TABLE_EPOCHS,
  TABLE_FILTER,
  TABLE_KEY_FROM,
  TABLE_KEY_TO,
  TABLE_LARGEST_KEY,
  TABLE_PRODUCER_STATE,
  TABLE_RANGE_DELETES,
  TABLE_STATISTICS,
} from './format.ts'
import type { AbortedTransactionEntry, EpochStart } from './part.ts'

/** What reading and checking blocks needs to know, of either kind of part. */
export interface BlockIndex {
  /** The section's bytes; checksums of blocks lie in them. */
  readonly bytes: Uint8Array
  readonly blockCount: number
  /** Whether blocks may be compressed. If not, their content is what is stored. */
  readonly isCompressed: boolean
  /** As stored, from the beginning of the body. */
  position(block: number): number
  /** As stored. */
  byteCount(block: number): number
  /** Where the block would begin if no block were compressed; for `blockCount`, where the last one would end. */
  contentPosition(block: number): number
  /** Id of the block's codec; 0: stored as it is. */
  codec(block: number): number
  /** Where in `bytes` the block's checksum lies. */
  checksumAt(block: number): number
}

function columnsOf(tables: readonly Extension[], blockCount: number): ColumnIndex | undefined {
  const table = tableOf(tables, TABLE_COLUMNS)
  return table === undefined ? undefined : new ColumnIndex(table, blockCount)
}

/** Blocks must follow each other from 0 to the end of the body. */
function checkBlocks(index: BlockIndex, bodyBytes: number, entryBytes: number): void {
  let position = 0
  for (let block = 0; block < index.blockCount; block++) {
    if (index.position(block) !== position || index.byteCount(block) === 0) {
      throw damagedBytes('block does not follow the one before', INDEX_HEADER_BYTES + block * entryBytes, {
        expected: position,
        actual: index.position(block),
      })
    }
    position += index.byteCount(block)
  }
  if (position !== bodyBytes) throw damagedBytes('blocks do not fill the body', 0, { expected: bodyBytes, actual: position })
}

function tableOf(tables: readonly Extension[], tag: number): Uint8Array | undefined {
  for (const table of tables) if (table.tag === tag) return table.bytes
  return undefined
}

function checkCount(bytes: Uint8Array, blockCount: number, entryBytes: number): void {
  if (bytes.length < INDEX_HEADER_BYTES + blockCount * entryBytes)
    throw damagedBytes('index section is cut off', 0, { actual: bytes.length })
  const actual = readU32LE(bytes, 0)
  if (actual !== blockCount)
    throw damagedBytes('index section has another number of blocks than the directory', 0, { expected: blockCount, actual })
}

/** What is known of a block of a topic part without reading it. */
export interface BlockStatistics {
  /** No record of users is older, ms; -1: not known. */
  readonly minTimestamp: number
  /** None is newer; -1: not known. */
  readonly maxTimestamp: number
  /** Records of users: without markers of transactions, with those of aborted ones. */
  readonly records: number
}

export class BatchIndex implements BlockIndex {
  readonly bytes: Uint8Array
  readonly blockCount: number
  readonly isCompressed: boolean = false
  readonly #tables: readonly Extension[]
  readonly #bodyBytes: number
  readonly #statistics: Uint8Array | undefined
  #columns: ColumnIndex | undefined

  constructor(bytes: Uint8Array, blockCount: number, bodyBytes: number) {
    checkCount(bytes, blockCount, BATCH_BLOCK_ENTRY_BYTES)
    if (readU32LE(bytes, 4) !== 0) throw damagedBytes('batch index has keys', 4)
    this.bytes = bytes
    this.blockCount = blockCount
    this.#bodyBytes = bodyBytes
    this.#tables = readExtensions(bytes, INDEX_HEADER_BYTES + blockCount * BATCH_BLOCK_ENTRY_BYTES, bytes.length)
    checkBlocks(this, bodyBytes, BATCH_BLOCK_ENTRY_BYTES)
    this.#statistics = tableOf(this.#tables, TABLE_BLOCK_STATISTICS)
    if (this.#statistics !== undefined && this.#statistics.length !== blockCount * BLOCK_STATISTICS_BYTES) {
      throw damagedBytes('statistics of blocks have another size', 0, { expected: blockCount, actual: this.#statistics.length })
    }
    this.#checkOrder()
  }

  #checkOrder(): void {
    let offset = 0
    let timestamp = -1
    for (let block = 0; block < this.blockCount; block++) {
      if (this.baseOffset(block) < offset || this.endOffset(block) < this.baseOffset(block) || this.maxTimestamp(block) < timestamp) {
        throw damagedBytes('blocks are not in order', INDEX_HEADER_BYTES + block * BATCH_BLOCK_ENTRY_BYTES)
      }
      offset = this.endOffset(block)
      timestamp = this.maxTimestamp(block)
    }
  }

  baseOffset(block: number): number {
    return readI64LE(this.bytes, this.#at(block) + BATCH_BLOCK_BASE_OFFSET)
  }

  /** Exclusive. */
  endOffset(block: number): number {
    return readI64LE(this.bytes, this.#at(block) + BATCH_BLOCK_END_OFFSET)
  }

  position(block: number): number {
    return readI64LE(this.bytes, this.#at(block) + BATCH_BLOCK_POSITION)
  }

  byteCount(block: number): number {
    return readU32LE(this.bytes, this.#at(block) + BATCH_BLOCK_BYTES)
  }

  contentPosition(block: number): number {
    return block === this.blockCount ? this.#bodyBytes : this.position(block)
  }

  codec(): number {
    return CODEC_NONE
  }

  batchCount(block: number): number {
    return readU32LE(this.bytes, this.#at(block) + BATCH_BLOCK_BATCH_COUNT)
  }

  /** Largest timestamp up to the end of this block; -1 unknown. */
  maxTimestamp(block: number): number {
    return readI64LE(this.bytes, this.#at(block) + BATCH_BLOCK_MAX_TIMESTAMP)
  }

  /** Columns of the part; undefined: it has none. */
  get columns(): ColumnIndex | undefined {
    return (this.#columns ??= columnsOf(this.#tables, this.blockCount))
  }

  /** Of topics; undefined in files from before there were statistics. */
  statistics(block: number): BlockStatistics | undefined {
    const bytes = this.#statistics
    if (bytes === undefined) return undefined
    const at = block * BLOCK_STATISTICS_BYTES
    return {
      minTimestamp: readI64LE(bytes, at + BLOCK_STATISTICS_MIN_TIMESTAMP),
      maxTimestamp: readI64LE(bytes, at + BLOCK_STATISTICS_MAX_TIMESTAMP),
      records: readU32LE(bytes, at + BLOCK_STATISTICS_RECORDS),
    }
  }

  checksumAt(block: number): number {
    return this.#at(block) + BATCH_BLOCK_CHECKSUM
  }

  /** First block that has a record at or behind `offset`; `blockCount` when there is none. */
  findByOffset(offset: number): number {
    let from = 0
    let to = this.blockCount
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.endOffset(middle) <= offset) from = middle + 1
      else to = middle
    }
    return from
  }

  /** First block that has a batch with a largest timestamp >= `timestamp`; `blockCount` when there is none. */
  findByTime(timestamp: number): number {
    let from = 0
    let to = this.blockCount
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.maxTimestamp(middle) < timestamp) from = middle + 1
      else to = middle
    }
    return from
  }

  /** Leader epochs with the first offset of each in this part, ascending. */
  epochs(): EpochStart[] {
    const bytes = tableOf(this.#tables, TABLE_EPOCHS)
    const epochs: EpochStart[] = []
    if (bytes === undefined) return epochs
    if (bytes.length % EPOCH_ENTRY_BYTES !== 0) throw damagedBytes('epoch table is cut off', 0, { actual: bytes.length })
    for (let at = 0; at < bytes.length; at += EPOCH_ENTRY_BYTES) {
      epochs.push({ epoch: readI32LE(bytes, at), startOffset: readI64LE(bytes, at + 4) })
    }
    return epochs
  }

  /** Aborted transactions whose marker lies in this part, by the marker's offset. */
  aborted(): AbortedTransactionEntry[] {
    const bytes = tableOf(this.#tables, TABLE_ABORTED)
    const aborted: AbortedTransactionEntry[] = []
    if (bytes === undefined) return aborted
    if (bytes.length % ABORTED_ENTRY_BYTES !== 0)
      throw damagedBytes('table of aborted transactions is cut off', 0, { actual: bytes.length })
    for (let at = 0; at < bytes.length; at += ABORTED_ENTRY_BYTES) {
      aborted.push({
        producerId: readI64LE(bytes, at),
        firstOffset: readI64LE(bytes, at + 8),
        lastOffset: readI64LE(bytes, at + 16),
        lastStableOffset: readI64LE(bytes, at + 24),
      })
    }
    return aborted
  }

  /** As the writer was given it; a view. */
  producerState(): Uint8Array | undefined {
    return tableOf(this.#tables, TABLE_PRODUCER_STATE)
  }

  #at(block: number): number {
    assert(block >= 0 && block < this.blockCount, 'a block of this part', block, this.blockCount)
    return INDEX_HEADER_BYTES + block * BATCH_BLOCK_ENTRY_BYTES
  }
}

/** Counts and bounds of a run. Expiries are 0 and versions all zero when no record has one. */
export interface RunFacts {
  readonly puts: number
  readonly deletes: number
  readonly rangeDeletes: number
  readonly pointers: number
  /** Records with an expiry, records with a version. */
  readonly expiring: number
  readonly versioned: number
  readonly minExpiry: number
  readonly maxExpiry: number
  readonly minVersion: { readonly ms: number; readonly counter: number; readonly node: number }
  readonly maxVersion: { readonly ms: number; readonly counter: number; readonly node: number }
}

/** First keys of blocks as numbers: what follows the prefix that all of them share. Made when a run is first searched. */
interface Fences {
  /** Bytes that all first keys have in common. */
  readonly common: number
  /** Where the first of them begins. */
  readonly start: number
  readonly prefixes: Float64Array
  /** Some block has one record only. */
  readonly hasSingles: boolean
}

/** As many bytes as a double holds exactly. */
const prefixBytes = 6

/** The next six bytes of a key as a number; keys that end earlier are filled up with zeros, so equal numbers need a comparison of keys. */
export function prefixOf(bytes: Uint8Array, start: number, end: number): number {
  let high = 0
  let low = 0
  if (start + prefixBytes <= end) {
    high = (bytes[start]! << 16) | (bytes[start + 1]! << 8) | bytes[start + 2]!
    low = (bytes[start + 3]! << 16) | (bytes[start + 4]! << 8) | bytes[start + 5]!
  } else {
    for (let i = 0; i < 3; i++) high = (high << 8) | (start + i < end ? bytes[start + i]! : 0)
    for (let i = 3; i < 6; i++) low = (low << 8) | (start + i < end ? bytes[start + i]! : 0)
  }
  return high * 0x100_0000 + low
}

function makeFences(index: RunIndex): Fences {
  const { bytes, blockCount } = index
  const prefixes = new Float64Array(blockCount)
  if (blockCount === 0) return { common: 0, start: 0, prefixes, hasSingles: false }
  const first = index.keyStart(0)
  const last = index.keyStart(blockCount - 1)
  const shorter = Math.min(index.keyBytes(0), index.keyBytes(blockCount - 1))
  let common = 0
  while (common < shorter && bytes[first + common] === bytes[last + common]) common++
  let hasSingles = false
  for (let block = 0; block < blockCount; block++) {
    const start = index.keyStart(block)
    prefixes[block] = prefixOf(bytes, start + common, start + index.keyBytes(block))
    if (index.recordCount(block) === 1) hasSingles = true
  }
  return { common, start: first, prefixes, hasSingles }
}

/** Odd tags of a run's tables that this version understands. */
const runTables: ReadonlySet<number> = new Set([TABLE_BLOCK_CODECS])
const noCodecs: readonly number[] = []

/** How the blocks of a run are stored. */
class BlockCodecs {
  /** Where contents would begin if they lay back to back; one more than there are blocks. */
  readonly positions: Float64Array
  readonly used: readonly number[]
  readonly #table: Uint8Array

  constructor(table: Uint8Array, index: BlockIndex) {
    const { blockCount } = index
    if (table.length !== blockCount * BLOCK_CODEC_ENTRY_BYTES) {
      throw damagedBytes('table of block codecs has another size', 0, { expected: blockCount, actual: table.length })
    }
    this.#table = table
    this.positions = new Float64Array(blockCount + 1)
    const used = new Set<number>()
    for (let block = 0; block < blockCount; block++) {
      const at = block * BLOCK_CODEC_ENTRY_BYTES
      const id = this.id(block)
      const content = readU32LE(table, at + BLOCK_CODEC_CONTENT_BYTES)
      const stored = index.byteCount(block)
      for (let zero = BLOCK_CODEC_ZEROS; zero < BLOCK_CODEC_ENTRY_BYTES; zero++) {
        if (table[at + zero] !== 0) throw damagedBytes('entry of a block codec has bytes that are not zero', 0, { block })
      }
      if (codecNameOf(id) === undefined) {
        throw new VarveError('NEWER_FORMAT', `block codec ${id} is not known to this version`, { details: { block, actual: id } })
      }
      if (id === CODEC_NONE ? content !== stored : content <= stored || content > BLOCK_CONTENT_LIMIT) {
        throw damagedBytes('block has an impossible size of its content', 0, { block, expected: stored, actual: content })
      }
      if (id !== CODEC_NONE) used.add(id)
      this.positions[block + 1] = (this.positions[block] as number) + content
    }
    this.used = [...used]
  }

  id(block: number): number {
    return this.#table[block * BLOCK_CODEC_ENTRY_BYTES + BLOCK_CODEC_ID] as number
  }
}

export class RunIndex implements BlockIndex {
  readonly bytes: Uint8Array
  readonly blockCount: number
  /** Undefined when the run has no point records. */
  readonly filter: Filter | undefined
  /** The range delete records of the run, back to back, in their order; read them with a `StoreRecordCursor`. */
  readonly rangeDeletes: Uint8Array
  /** Key of the last record; empty when there is none. */
  readonly largestKey: Uint8Array
  /** A piece of the bottom level: the range of keys that it stands for, whether it holds any or not. Undefined: open. */
  readonly keyFrom: Uint8Array | undefined
  /** Exclusive. */
  readonly keyTo: Uint8Array | undefined
  readonly #statistics: Uint8Array
  /** Where the fence keys begin in `bytes`. */
  readonly #keys: number
  readonly #bodyBytes: number
  readonly #codecs: BlockCodecs | undefined
  #fences: Fences | undefined
  readonly #tables: readonly Extension[]
  #columns: ColumnIndex | undefined

  constructor(bytes: Uint8Array, blockCount: number, bodyBytes: number) {
    checkCount(bytes, blockCount, RUN_BLOCK_ENTRY_BYTES)
    const keysBytes = readU32LE(bytes, 4)
    this.bytes = bytes
    this.blockCount = blockCount
    this.#keys = INDEX_HEADER_BYTES + blockCount * RUN_BLOCK_ENTRY_BYTES
    if (this.#keys + keysBytes > bytes.length) throw damagedBytes('fence keys are cut off', 4, { actual: keysBytes })
    this.#bodyBytes = bodyBytes
    const tables = readExtensions(bytes, this.#keys + keysBytes, bytes.length, runTables)
    checkBlocks(this, bodyBytes, RUN_BLOCK_ENTRY_BYTES)
    this.#tables = tables
    const codecs = tableOf(tables, TABLE_BLOCK_CODECS)
    this.#codecs = codecs === undefined ? undefined : new BlockCodecs(codecs, this)
    for (let block = 0; block < blockCount; block++) {
      const end = this.keyStart(block) - this.#keys + this.keyBytes(block)
      if (end > keysBytes) throw damagedBytes('fence key lies outside', this.#at(block), { expected: keysBytes, actual: end })
    }
    const statistics = tableOf(tables, TABLE_STATISTICS)
    if (statistics?.length !== STATISTICS_BYTES) throw damagedBytes('run has no statistics', 0, { actual: statistics?.length })
    const filter = tableOf(tables, TABLE_FILTER)
    this.#statistics = statistics
    this.filter = filter === undefined ? undefined : new Filter(filter)
    this.rangeDeletes = tableOf(tables, TABLE_RANGE_DELETES) ?? new Uint8Array(0)
    this.largestKey = tableOf(tables, TABLE_LARGEST_KEY) ?? new Uint8Array(0)
    this.keyFrom = tableOf(tables, TABLE_KEY_FROM)
    this.keyTo = tableOf(tables, TABLE_KEY_TO)
  }

  position(block: number): number {
    return readI64LE(this.bytes, this.#at(block) + RUN_BLOCK_POSITION)
  }

  byteCount(block: number): number {
    return readU32LE(this.bytes, this.#at(block) + RUN_BLOCK_BYTES)
  }

  /** Columns of the run; undefined: it has none. */
  get columns(): ColumnIndex | undefined {
    return (this.#columns ??= columnsOf(this.#tables, this.blockCount))
  }

  /** The run was written with a codec, whether or not any block became smaller. */
  get isCompressed(): boolean {
    return this.#codecs !== undefined
  }

  /** Codecs of its blocks, each once, `none` left out. */
  get codecs(): readonly number[] {
    return this.#codecs?.used ?? noCodecs
  }

  codec(block: number): number {
    return this.#codecs === undefined ? CODEC_NONE : this.#codecs.id(block)
  }

  contentPosition(block: number): number {
    if (this.#codecs !== undefined) return this.#codecs.positions[block] as number
    return block === this.blockCount ? this.#bodyBytes : this.position(block)
  }

  /** Bytes of the block when it is not compressed. */
  contentBytes(block: number): number {
    const codecs = this.#codecs
    if (codecs === undefined) return this.byteCount(block)
    return (codecs.positions[block + 1] as number) - (codecs.positions[block] as number)
  }

  recordCount(block: number): number {
    return readU32LE(this.bytes, this.#at(block) + RUN_BLOCK_RECORD_COUNT)
  }

  checksumAt(block: number): number {
    return this.#at(block) + RUN_BLOCK_CHECKSUM
  }

  /** Where in `bytes` the block's first key lies. */
  keyStart(block: number): number {
    return this.#keys + readU32LE(this.bytes, this.#at(block) + RUN_BLOCK_KEY_POSITION)
  }

  keyBytes(block: number): number {
    return readU32LE(this.bytes, this.#at(block) + RUN_BLOCK_KEY_BYTES)
  }

  /** Key of the first record; empty when there is none. A view. */
  get smallestKey(): Uint8Array {
    if (this.blockCount === 0) return this.largestKey
    return this.bytes.subarray(this.keyStart(0), this.keyStart(0) + this.keyBytes(0))
  }

  /** Whether the block's first key is this one. */
  beginsWith(block: number, key: Uint8Array, start: number, size: number): boolean {
    return compareKeys(this.bytes, this.keyStart(block), this.keyBytes(block), key, start, size) === 0
  }

  /** First block whose first key is >= the key; `blockCount` when all are smaller. The key may also stand at the end of the block before. */
  findFence(key: Uint8Array, start: number, size: number): number {
    this.#fences ??= makeFences(this)
    const { common, start: first, prefixes } = this.#fences
    let from = 0
    let to = this.blockCount
    if (size >= common) {
      const order = common === 0 ? 0 : compareKeys(key, start, common, this.bytes, first, common)
      if (order < 0) return 0
      if (order > 0) return this.blockCount
      // By numbers first; whole keys only where these are equal.
      const prefix = prefixOf(key, start + common, start + size)
      let high = to
      while (from < high) {
        const middle = (from + high) >>> 1
        if ((prefixes[middle] as number) < prefix) from = middle + 1
        else high = middle
      }
      if (from === to || prefixes[from] !== prefix) return from
      // Equal numbers: whole keys decide. There are few of them, unless keys differ further behind.
      let step = 1
      while (from + step < to && prefixes[from + step] === prefix) step *= 2
      to = Math.min(to, from + step)
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      if (compareKeys(this.bytes, this.keyStart(middle), this.keyBytes(middle), key, start, size) < 0) from = middle + 1
      else to = middle
    }
    return from
  }

  /**
   * The block with the first record whose key is >= the key, or the one before it, since of a block only the first key is known. The last one when all are
   * smaller; 0 of a run without blocks.
   */
  findBlock(key: Uint8Array, start: number, size: number): number {
    const fence = this.findFence(key, start, size)
    if (fence === 0) return 0
    // All that a block of one record has is known, and smaller: large values are read once, not with what lies before them. Its entry is seldom in the
    // processor's caches, so it is looked at only where there are such blocks.
    const isKnown = this.#fences?.hasSingles === true && fence < this.blockCount && this.recordCount(fence - 1) === 1
    return isKnown ? fence : fence - 1
  }

  facts(): RunFacts {
    const bytes = this.#statistics
    return {
      puts: readI64LE(bytes, STATISTICS_PUTS),
      deletes: readI64LE(bytes, STATISTICS_DELETES),
      rangeDeletes: readI64LE(bytes, STATISTICS_RANGE_DELETES),
      pointers: readI64LE(bytes, STATISTICS_POINTERS),
      expiring: readI64LE(bytes, STATISTICS_EXPIRING),
      versioned: readI64LE(bytes, STATISTICS_VERSIONED),
      minExpiry: readI64LE(bytes, STATISTICS_MIN_EXPIRY),
      maxExpiry: readI64LE(bytes, STATISTICS_MAX_EXPIRY),
      minVersion: readVersion(bytes, STATISTICS_MIN_VERSION),
      maxVersion: readVersion(bytes, STATISTICS_MAX_VERSION),
    }
  }

  /** The statistics as they lie in the file. */
  get statisticsBytes(): Uint8Array {
    return this.#statistics
  }

  #at(block: number): number {
    assert(block >= 0 && block < this.blockCount, 'a block of this part', block, this.blockCount)
    return INDEX_HEADER_BYTES + block * RUN_BLOCK_ENTRY_BYTES
  }
}

function readVersion(bytes: Uint8Array, at: number): { ms: number; counter: number; node: number } {
  return { ms: readU48LE(bytes, at), counter: readU16LE(bytes, at + 6), node: readU32LE(bytes, at + 8) }
}
