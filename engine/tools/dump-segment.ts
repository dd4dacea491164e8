/**
 * A segment as plain objects, for `dump`: header, footer with names and replaced parts, then each part with its tables, blocks, batches and
 * records. Where the footer cannot be read, the file is searched for batches that check; runs cannot be found that way.
 */
import { StoreRecordCursor } from '../batch/store-record.ts'
import { CODEC_NONE, codecNameOf } from '../codec/compression.ts'
import { readU32LE } from '../codec/fixed-width.ts'
import { xxh64Equals } from '../codec/xxh64.ts'
import type { Files } from '../env/environment.ts'
import { blockContent } from '../segment/block-content.ts'
import { decodeHeader } from '../segment/footer.ts'
import { PART_BODY, PART_RUN, PART_TOPIC, SEGMENT_HEADER_BYTES } from '../segment/format.ts'
import type { BatchIndex, BlockIndex, RunIndex } from '../segment/part-index.ts'
import { SegmentReader } from '../segment/reader.ts'
import { runBlockTable } from '../segment/run-blocks.ts'
import { type DumpDetails, type DumpItem, damage, dumpBatches, findBatch, hex, readable, storeRecordItem } from './dump-batches.ts'

const typeNames: { readonly [type: number]: string } = { [PART_TOPIC]: 'topic', [PART_RUN]: 'run', [PART_BODY]: 'body' }

export function* dumpSegment(files: Files, path: string, bytes: Uint8Array, size: number, details: DumpDetails): Generator<DumpItem> {
  yield* dumpHeader(bytes)
  let reader: SegmentReader
  try {
    reader = SegmentReader.open(files, path)
  } catch (error) {
    yield damage(error, Math.max(0, size))
    yield* searchBatches(bytes, size, details)
    return
  }
  try {
    yield* dumpFooter(reader)
    for (let part = 0; part < reader.directory.partCount; part++) yield* dumpPart(reader, part, details)
  } finally {
    reader.close()
  }
}

function* dumpHeader(bytes: Uint8Array): Generator<DumpItem> {
  try {
    const { segmentId, databaseId, editId, createdMs } = decodeHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES))
    yield { type: 'header', position: 0, segmentId, databaseId: hex(databaseId), editId, createdMs }
  } catch (error) {
    yield damage(error, 0, SEGMENT_HEADER_BYTES)
  }
}

function* dumpFooter(reader: SegmentReader): Generator<DumpItem> {
  yield {
    type: 'footer',
    position: reader.footerPosition,
    segmentId: reader.segmentId,
    editId: reader.editId,
    output: reader.outputIndex,
    outputs: reader.outputCount,
    parts: reader.directory.partCount,
    directoryPosition: reader.directoryPosition,
    checksum: hex(reader.footerChecksum),
    names: reader.names.map(({ logId, kind, name }) => ({ log: logId, kind: kind === 1 ? 'topic' : 'store', name })),
    replaced: reader.replaced.map(({ segmentId, part }) => ({ segment: segmentId, part })),
    summarised: [...reader.summaries.keys()],
  }
}

function* dumpPart(reader: SegmentReader, part: number, details: DumpDetails): Generator<DumpItem> {
  const { directory } = reader
  const type = directory.type(part)
  if (type !== PART_RUN && directory.endOffset(part) <= details.from) return
  yield {
    type: 'part',
    position: directory.position(part),
    part,
    log: directory.logId(part),
    name: reader.names.find(({ logId }) => logId === directory.logId(part))?.name ?? null,
    kind: typeNames[type] ?? String(type),
    bytes: directory.byteCount(part),
    firstOffset: directory.firstOffset(part),
    endOffset: directory.endOffset(part),
    records: directory.recordCount(part),
    blocks: directory.blockCount(part),
    minTimestamp: directory.minTimestamp(part),
    maxTimestamp: directory.maxTimestamp(part),
    minSequence: directory.minSequence(part),
    maxSequence: directory.maxSequence(part),
    level: directory.level(part),
    versioned: directory.isVersioned(part),
  }
  const indexPosition = directory.indexPosition(part)
  let index: BatchIndex | RunIndex
  try {
    index = reader.index(part)
    yield type === PART_RUN ? runTables(index as RunIndex, indexPosition) : batchTables(index as BatchIndex, indexPosition)
  } catch (error) {
    yield damage(error, indexPosition, directory.indexByteCount(part))
    if (type !== PART_RUN) {
      const body = reader.readRaw(directory.position(part), directory.byteCount(part))
      yield* batchesOf(reader, part, body, directory.position(part), details)
    }
    return
  }
  for (let block = 0; block < index.blockCount; block++) yield* dumpBlock(reader, part, index, block, details)
}

function batchTables(index: BatchIndex, position: number): DumpItem {
  const state = index.producerState()
  return {
    type: 'tables',
    position,
    epochs: index.epochs(),
    aborted: index.aborted(),
    producerStateBytes: state === undefined ? 0 : state.byteLength,
  }
}

function runTables(index: RunIndex, position: number): DumpItem {
  return {
    type: 'tables',
    position,
    ...index.facts(),
    smallestKey: readable(index.smallestKey),
    largestKey: readable(index.largestKey),
    filterKeys: index.filter?.keyCount ?? 0,
    ...(index.keyFrom === undefined ? {} : { keyFrom: readable(index.keyFrom) }),
    ...(index.keyTo === undefined ? {} : { keyTo: readable(index.keyTo) }),
  }
}

function* dumpBlock(reader: SegmentReader, part: number, index: BlockIndex, block: number, details: DumpDetails): Generator<DumpItem> {
  const position = reader.directory.position(part) + index.position(block)
  const size = index.byteCount(block)
  try {
    const bytes = reader.readRaw(position, size)
    const right = xxh64Equals(bytes, 0, size, index.bytes, index.checksumAt(block))
    const codec = index.codec(block)
    const content = index.contentPosition(block + 1) - index.contentPosition(block)
    const packed = codec === CODEC_NONE ? {} : { codec: codecNameOf(codec), contentBytes: content }
    yield { type: 'block', position, block, bytes: size, ...packed, checksum: right ? 'right' : 'wrong' }
    if (!right)
      yield { type: 'damage', position, bytes: size, code: 'CORRUPT', message: `checksum of block ${block} of part ${part} differs` }
    if (reader.directory.type(part) === PART_RUN)
      yield* dumpRunBlock(blockContent(index, block, bytes), position, codec === CODEC_NONE, details)
    else yield* batchesOf(reader, part, bytes, position, details)
  } catch (error) {
    yield damage(error, position, size)
  }
}

function batchesOf(
  reader: SegmentReader,
  part: number,
  bytes: Uint8Array,
  filePosition: number,
  details: DumpDetails,
): Generator<DumpItem> {
  const kind = reader.directory.type(part) === PART_TOPIC ? 'topic' : 'store'
  const system = reader.directory.logId(part) === 0
  return dumpBatches(bytes, 0, bytes.byteLength, { kind, filePosition, system, checksumOpen: false }, details)
}

/** Records of a compressed block have no position of their own: they get the block's. */
function* dumpRunBlock(bytes: Uint8Array, filePosition: number, isPlain: boolean, details: DumpDetails): Generator<DumpItem> {
  const table = bytes.length < 8 ? -1 : runBlockTable(bytes, 0, bytes.length)
  if (table <= 0 || table > bytes.length) {
    yield { type: 'damage', position: filePosition, bytes: bytes.length, code: 'CORRUPT', message: 'block has an impossible offset table' }
    return
  }
  const record = new StoreRecordCursor()
  const count = readU32LE(bytes, bytes.length - 4)
  let failed = -1
  for (let i = 0; i < count; i++) {
    // Each record by its place in the table, so that one that cannot be read does not hide the others.
    const at = readU32LE(bytes, table + i * 4)
    const position = isPlain ? filePosition + at : filePosition
    try {
      record.readAt(bytes, at, table)
      if (record.sequence < details.from && details.from > 0) continue
    } catch (error) {
      if (failed < 0) yield damage(error, position)
      failed = at
      continue
    }
    yield storeRecordItem(record, position, details, {})
  }
}

/** Batches anywhere in a file whose footer is gone. */
function* searchBatches(bytes: Uint8Array, size: number, details: DumpDetails): Generator<DumpItem> {
  for (let at = SEGMENT_HEADER_BYTES; at < size; ) {
    const topic = findBatch(bytes, at, size, 'topic')
    const store = findBatch(bytes, at, size, 'store')
    if (topic === undefined && store === undefined) return
    const kind = store === undefined || (topic !== undefined && topic < store) ? 'topic' : 'store'
    const start = (kind === 'topic' ? topic : store) ?? size
    let end = start
    for (const item of dumpBatches(bytes, start, size, { kind, filePosition: 0, system: false, checksumOpen: false }, details)) {
      if (item.type === 'damage') break
      if (item.type === 'batch') end = (item.position ?? start) + (item.bytes as number)
      yield item
    }
    at = Math.max(end, start + 1)
  }
}
