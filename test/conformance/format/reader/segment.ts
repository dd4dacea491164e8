/** Segments: docs/FORMAT.md, section 7. Reads a whole file and checks every checksum, order and sum on the way. */
import { Cursor, check, checksum, extensions, Newer, sameBytes } from './bytes.ts'
import { decompress } from './codecs.ts'
import { checkColumns, columnsSize } from './columns.ts'
import { type Filter, readFilter } from './filter.ts'
import {
  newestFirst,
  readStoreBatch,
  readStoreRecord,
  readVersion,
  type StoreBatch,
  type StoreRecord,
  type Version,
} from './store-batch.ts'
import { readTopicBatch, type TopicBatch } from './topic-batch.ts'

export interface Part {
  readonly logId: number
  /** 1 topic, 2 run, 3 body. */
  readonly type: number
  readonly level: number
  readonly isVersioned: boolean
  readonly firstOffset: number
  readonly endOffset: number
  readonly recordCount: number
  readonly minTimestamp: number
  readonly maxTimestamp: number
  readonly minSequence: number
  readonly maxSequence: number
  readonly batchCount: number
  readonly topicBatches: readonly TopicBatch[]
  readonly storeBatches: readonly StoreBatch[]
  readonly run: readonly StoreRecord[]
  readonly filter: Filter | undefined
  readonly epochs: readonly { readonly epoch: number; readonly firstOffset: number }[]
  readonly aborted: readonly (readonly number[])[]
  readonly producerState: Buffer | undefined
}

export interface Segment {
  readonly id: number
  readonly databaseId: Buffer
  readonly editId: number
  readonly output: number
  readonly outputs: number
  readonly replaced: readonly { readonly segmentId: number; readonly part: number }[]
  readonly names: ReadonlyMap<number, { readonly kind: number; readonly name: string }>
  readonly footerChecksum: Buffer
  readonly parts: readonly Part[]
}

interface Entry {
  readonly part: Omit<Part, 'topicBatches' | 'storeBatches' | 'run' | 'filter' | 'epochs' | 'aborted' | 'producerState'>
  readonly position: number
  readonly size: number
  readonly indexPosition: number
  readonly indexSize: number
  readonly blockCount: number
}

export function readSegment(bytes: Buffer): Segment {
  const header = new Cursor(bytes)
  check(header.take(8).toString() === 'VARVESEG', 'not a segment')
  check(sameBytes(bytes.subarray(56, 64), checksum(bytes.subarray(0, 56))), 'the checksum of a segment header')
  known(header)
  check(header.u32() === 64, 'the size of a segment header')
  const id = header.u64()
  const databaseId = header.take(8)
  const editId = header.u64()
  header.skip(8)
  header.zeros(8)

  const trailerAt = bytes.length - 40
  const trailer = new Cursor(bytes, trailerAt)
  check(bytes.subarray(-8).toString() === 'VARVEEND', 'a segment without its end')
  check(sameBytes(bytes.subarray(-16, -8), checksum(bytes.subarray(trailerAt, trailerAt + 24))), 'the checksum of a trailer')
  const footerAt = trailer.u64()
  check(footerAt + trailer.u32() === trailerAt, 'the place of a footer')
  known(trailer)
  const footerChecksum = trailer.take(8)
  check(sameBytes(footerChecksum, checksum(bytes.subarray(footerAt, trailerAt))), 'the checksum of a footer')

  const footer = new Cursor(bytes, footerAt, trailerAt)
  check(footer.u64() === id && footer.u64() === editId, 'header and footer differ')
  const output = footer.u32()
  const outputs = footer.u32()
  const directoryAt = footer.u64()
  const partCount = footer.u32()
  const replacedCount = footer.u32()
  const directorySum = footer.take(8)
  const nameCount = footer.u32()
  footer.zeros(4)
  const replaced = Array.from({ length: replacedCount }, () => ({ segmentId: footer.u64(), part: footer.u32() }))
  const names = new Map<number, { kind: number; name: string }>()
  for (let i = 0; i < nameCount; i++) {
    const logId = footer.u32()
    const kind = footer.u8()
    footer.zeros(1)
    names.set(logId, { kind, name: footer.take(footer.u16()).toString() })
  }
  extensions(bytes, footer.at, trailerAt)
  check(directoryAt + partCount * 112 === footerAt, 'the place of a directory')
  check(sameBytes(directorySum, checksum(bytes.subarray(directoryAt, footerAt))), 'the checksum of a directory')
  const directory = new Cursor(bytes, directoryAt, footerAt)
  const entries = Array.from({ length: partCount }, () => readEntry(directory, bytes))
  checkPlaces(bytes, entries, directoryAt)
  for (const { part } of entries) check(names.has(part.logId), 'a part without a name')
  return { id, databaseId, editId, output, outputs, replaced, names, footerChecksum, parts: entries.map(entry => readPart(bytes, entry)) }
}

function known(cursor: Cursor): void {
  const version = cursor.u16()
  const flags = cursor.u16()
  check(version !== 0, 'segment version 0')
  if (version > 1 || flags !== 0) throw new Newer(`segment version ${version}, flags ${flags}`)
}

function readEntry(cursor: Cursor, bytes: Buffer): Entry {
  const logId = cursor.u32()
  const type = cursor.u8()
  const level = cursor.u8()
  const flags = cursor.u16()
  if (type < 1 || type > 3 || flags > 1) throw new Newer(`part type ${type}, flags ${flags}`)
  const position = cursor.u64()
  const size = cursor.u64()
  const firstOffset = cursor.u64()
  const endOffset = cursor.u64()
  const recordCount = cursor.u64()
  const minTimestamp = cursor.i64()
  const maxTimestamp = cursor.i64()
  const minSequence = cursor.u64()
  const maxSequence = cursor.u64()
  const indexPosition = cursor.u64()
  const indexSize = cursor.u32()
  const blockCount = cursor.u32()
  const sum = cursor.take(8)
  check(sameBytes(sum, checksum(bytes.subarray(indexPosition, indexPosition + indexSize))), 'the checksum of an index section')
  const batchCount = cursor.u32()
  cursor.zeros(4)
  const range = { firstOffset, endOffset, recordCount, minTimestamp, maxTimestamp, minSequence, maxSequence, batchCount }
  return { part: { logId, type, level, isVersioned: flags === 1, ...range }, position, size, indexPosition, indexSize, blockCount }
}

/** The tables of an index section. */
function tablesOf(bytes: Buffer, { part, indexPosition, indexSize, blockCount }: Entry): Map<number, Buffer> {
  const keysSize = bytes.readUInt32LE(indexPosition + 4)
  return extensions(bytes, indexPosition + 8 + blockCount * (part.type === 2 ? 32 : 48) + keysSize, indexPosition + indexSize, [15])
}

/** Header, bodies with their columns, index sections and directory follow each other without a gap. */
function checkPlaces(bytes: Buffer, entries: readonly Entry[], directoryAt: number): void {
  const places = [
    ...entries.map(entry => {
      const columns = tablesOf(bytes, entry).get(22)
      return [entry.position, entry.size + (columns === undefined ? 0 : columnsSize(columns))]
    }),
    ...entries.map(entry => [entry.indexPosition, entry.indexSize]),
  ]
  let at = 64
  for (const [position = 0, size = 0] of places.sort(
    (left, right) => (left[0] ?? 0) - (right[0] ?? 0) || (left[1] ?? 0) - (right[1] ?? 0),
  )) {
    check(position === at, 'a gap in a segment')
    at += size
  }
  check(at === directoryAt, 'bytes before the directory')
  const order = (entry: Entry): number[] => [entry.part.logId, entry.part.type, entry.part.firstOffset]
  for (let i = 1; i < entries.length; i++) {
    const [left, right] = [order(entries[i - 1] as Entry), order(entries[i] as Entry)]
    const differs = left.findIndex((value, place) => value !== right[place])
    check(differs < 0 || (left[differs] ?? 0) < (right[differs] ?? 0), 'the order of a directory')
  }
}

function readPart(bytes: Buffer, entry: Entry): Part {
  const body = bytes.subarray(entry.position, entry.position + entry.size)
  const cursor = new Cursor(bytes, entry.indexPosition, entry.indexPosition + entry.indexSize)
  check(cursor.u32() === entry.blockCount, 'the number of blocks')
  const keysSize = cursor.u32()
  const part =
    entry.part.type === 2
      ? readRun(body, cursor, entry, keysSize)
      : readBatches(body, bytes.subarray(entry.position + entry.size), cursor, entry, keysSize)
  check(part.recordCount === entry.part.recordCount, 'the number of records of a part')
  return part
}

/** `behind`: the file from the end of the body on. */
function readBatches(body: Buffer, behind: Buffer, cursor: Cursor, { part, blockCount }: Entry, keysSize: number): Part {
  check(keysSize === 0, 'keys in a batch index')
  const topicBatches: TopicBatch[] = []
  const storeBatches: StoreBatch[] = []
  let at = 0
  let offset = part.firstOffset
  let newest = -1
  const blocks: TopicBatch[][] = []
  for (let i = 0; i < blockCount; i++) {
    const [base, end, position, size, count] = [cursor.u64(), cursor.u64(), cursor.u64(), cursor.u32(), cursor.u32()]
    const maxTimestamp = cursor.i64()
    check(position === at, 'blocks do not follow each other')
    check(sameBytes(cursor.take(8), checksum(body.subarray(at, at + size))), 'the checksum of a block')
    for (let left = count; left > 0; left--) {
      const batch = part.type === 1 ? readTopicBatch(body, at, position + size, false) : readStoreBatch(body, at, position + size)
      if ('count' in batch) topicBatches.push(batch)
      else storeBatches.push(batch)
      check(batch.baseOffset >= offset && (left < count || batch.baseOffset === base), 'the offsets of a block')
      offset = batch.endOffset
      newest = Math.max(newest, 'count' in batch ? batch.maxTimestamp : batch.time)
      at += batch.size
    }
    check(at === position + size && offset === end && newest === maxTimestamp, 'a block differs from its entry')
    blocks.push(topicBatches.slice(-count))
  }
  check(at === body.length && offset <= part.endOffset, 'a body differs from its directory entry')
  check(newest === part.maxTimestamp && part.batchCount === topicBatches.length + storeBatches.length, 'the sums of a part')
  const oldest = topicBatches.map(batch => (batch.deleteHorizon ? -1 : Math.max(-1, batch.baseTimestamp)))
  const least = Math.min(...oldest, ...storeBatches.map(batch => batch.time))
  check(part.minTimestamp === (least === Number.POSITIVE_INFINITY ? -1 : least), 'the smallest timestamp of a part')
  const tables = extensions(cursor.bytes, cursor.at, cursor.end)
  if (part.type === 1 && tables.has(20)) checkBlockStatistics(rows(tables.get(20), 24, readBlockStatistics), blocks)
  const columns = tables.get(22)
  if (columns !== undefined) {
    const ofBlocks = blocks.map(batches =>
      batches.flatMap(batch =>
        batch.control ? [] : batch.records.map(({ value, timestamp, offset }) => ({ value, time: timestamp, offset })),
      ),
    )
    checkColumns(columns, behind, ofBlocks)
  }
  const epochs = rows(tables.get(2), 12, row => ({ epoch: row.i32(), firstOffset: row.u64() }))
  for (const batch of [...topicBatches, ...storeBatches])
    check(epochs.findLast(entry => entry.firstOffset <= batch.baseOffset)?.epoch === batch.epoch, 'the epoch of a batch')
  const aborted = rows(tables.get(4), 32, row => [row.u64(), row.u64(), row.u64(), row.u64()])
  const recordCount = [...topicBatches, ...storeBatches].reduce((sum, batch) => sum + batch.records.length, 0)
  return { ...part, recordCount, topicBatches, storeBatches, run: [], filter: undefined, epochs, aborted, producerState: tables.get(6) }
}

interface BlockStatistics {
  readonly oldest: number
  readonly newest: number
  readonly records: number
}

function readBlockStatistics(cursor: Cursor): BlockStatistics {
  const statistics = { oldest: cursor.i64(), newest: cursor.i64(), records: cursor.u32() }
  cursor.zeros(4)
  return statistics
}

function checkBlockStatistics(statistics: readonly BlockStatistics[], blocks: readonly (readonly TopicBatch[])[]): void {
  check(statistics.length === blocks.length, 'the number of statistics of blocks')
  for (const [i, batches] of blocks.entries()) {
    const { oldest, newest, records } = statistics[i] as BlockStatistics
    const data = batches.filter(batch => !batch.control)
    const times = data.flatMap(batch => batch.records.map(record => record.timestamp))
    const isUnknown = data.some(batch => batch.codec !== 0 && !batch.appendTime && batch.records.length > 0)
    check(oldest === (isUnknown || times.length === 0 ? -1 : Math.max(-1, Math.min(...times))), 'the smallest timestamp of a block')
    check(newest === Math.max(-1, ...data.map(batch => batch.maxTimestamp)), 'the largest timestamp of a block')
    check(records === data.reduce((sum, batch) => sum + batch.records.length, 0), 'the records of a block')
  }
}

function rows<T>(table: Buffer | undefined, size: number, read: (cursor: Cursor) => T): T[] {
  const cursor = new Cursor(table ?? Buffer.alloc(0))
  check(cursor.end % size === 0, 'a table of another size')
  return Array.from({ length: cursor.end / size }, () => read(cursor))
}

function readRun(body: Buffer, cursor: Cursor, { part, blockCount }: Entry, keysSize: number): Part {
  const run: StoreRecord[] = []
  const rangeDeletes: Buffer[] = []
  const keysAt = cursor.at + blockCount * 32
  const keys = cursor.bytes.subarray(keysAt, keysAt + keysSize)
  const tables = extensions(cursor.bytes, keysAt + keysSize, cursor.end, [15])
  const codecs = rows(tables.get(15), 8, readBlockCodec)
  check(tables.get(15) === undefined || codecs.length === blockCount, 'the number of block codecs')
  let at = 0
  for (let i = 0; i < blockCount; i++) {
    const [position, size, count] = [cursor.u64(), cursor.u32(), cursor.u32()]
    const sum = cursor.take(8)
    const keyAt = cursor.u32()
    const firstKey = keys.subarray(keyAt, keyAt + cursor.u32())
    check(position === at && sameBytes(sum, checksum(body.subarray(at, at + size))), 'the checksum of a run block')
    const content = blockContent(body.subarray(at, at + size), codecs[i])
    const tableAt = content.length - 4 - count * 4
    check(count > 0 && content.readUInt32LE(content.length - 4) === count, 'the count of a run block')
    const records = new Cursor(content, 0, tableAt)
    for (let j = 0; j < count; j++) {
      const start = records.at
      check(content.readUInt32LE(tableAt + j * 4) === start, 'the record positions of a run block')
      const record = readStoreRecord(records)
      if (j === 0) check(sameBytes(record.key, firstKey), 'the first key of a run block')
      const before = run.at(-1)
      const order = before === undefined ? -1 : Buffer.compare(before.key, record.key)
      check(before === undefined || order < 0 || (order === 0 && newestFirst(before, record, part.isVersioned) < 0), 'the order of a run')
      if (record.kind === 2) rangeDeletes.push(content.subarray(start, records.at))
      run.push(record)
    }
    check(records.done, 'bytes behind the records of a run block')
    at += size
  }
  check(at === body.length, 'a run differs from its directory entry')
  checkStatistics(tables.get(8), run, part)
  check(sameBytes(tables.get(10) ?? Buffer.alloc(0), run.at(-1)?.key ?? Buffer.alloc(0)), 'the largest key of a run')
  check(sameBytes(tables.get(14) ?? Buffer.alloc(0), Buffer.concat(rangeDeletes)), 'the range deletes of a run')
  const filter = readFilter(tables.get(12))
  const points = run.filter(record => record.kind !== 2)
  check((filter === undefined) === (points.length === 0), 'a run without a filter')
  check(
    filter === undefined || filter.keyCount === new Set(points.map(record => record.key.toString('latin1'))).size,
    'the keys of a filter',
  )
  for (const { key } of points) check(filter?.mayContain(key) === true, 'a key that the filter does not know')
  const none = { topicBatches: [], storeBatches: [], epochs: [], aborted: [], producerState: undefined }
  return { ...part, ...none, recordCount: run.length, run, filter }
}

interface BlockCodec {
  readonly size: number
  readonly codec: number
}

function readBlockCodec(cursor: Cursor): BlockCodec {
  const size = cursor.u32()
  const codec = cursor.u8()
  cursor.zeros(3)
  if (codec > 4) throw new Newer(`block codec ${codec}`)
  return { size, codec }
}

function blockContent(stored: Buffer, how: BlockCodec | undefined): Buffer {
  if (how === undefined) return stored
  check(how.codec === 0 ? how.size === stored.length : how.size > stored.length, 'the content size of a run block')
  const content = decompress(how.codec, stored)
  check(content.length === how.size, 'the size of a decompressed run block')
  return content
}

function checkStatistics(table: Buffer | undefined, run: readonly StoreRecord[], part: Entry['part']): void {
  check(table?.length === 88, 'the statistics of a run')
  const cursor = new Cursor(table)
  for (const kind of [0, 1, 2, 3]) check(cursor.u64() === run.filter(record => record.kind === kind).length, 'the counts of a run')
  const expiries = run.map(record => record.expiry).filter(expiry => expiry > 0)
  check(cursor.u64() === least(expiries) && cursor.u64() === Math.max(0, ...expiries), 'the expiries of a run')
  const versions = run.map(record => record.version).filter(version => version !== undefined)
  const weight = ({ ms, counter, node }: Version): bigint => (BigInt(ms) << 48n) | (BigInt(counter) << 32n) | BigInt(node)
  const sorted = versions.map(weight).sort((left, right) => (left < right ? -1 : left > right ? 1 : 0))
  check(weight(readVersion(cursor)) === (sorted[0] ?? 0n) && weight(readVersion(cursor)) === (sorted.at(-1) ?? 0n), 'the versions of a run')
  check(cursor.u64() === expiries.length && cursor.u64() === versions.length, 'the counts of a run')
  const sequences = run.map(record => record.sequence)
  check(part.minSequence === least(sequences) && part.maxSequence === Math.max(0, ...sequences), 'the sequences of a run')
}

const least = (values: readonly number[]): number => (values.length === 0 ? 0 : Math.min(...values))
