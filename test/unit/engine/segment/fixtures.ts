/** Small segments for tests: records, batches and whole files from plain values. */
import { encodeRecordBatch, type RecordBatchOptions, type RecordInput } from '../../../../engine/batch/record-batch-codec.ts'
import { StoreBatchWriter, storeBatchHeaderSize } from '../../../../engine/batch/store-batch.ts'
import { type RecordVersion, type StoreRecordCursor, storeRecordSize, writeStoreRecord } from '../../../../engine/batch/store-record.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { type FinishOptions, type SegmentSummary, SegmentWriter } from '../../../../engine/segment/writer.ts'
import type { MemoryFiles } from './memory-files.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const utf8 = (text: string): Uint8Array => encoder.encode(text)
export const textOf = (bytes: Uint8Array): string => decoder.decode(bytes)

/** A store record as values. `value` of a range delete is its exclusive end. */
export interface PlainRecord {
  readonly kind: number
  readonly key: string
  readonly sequence: number
  readonly value?: string
  readonly expiry?: number
  readonly version?: RecordVersion
}

export function storeRecord(record: PlainRecord): Uint8Array {
  const key = utf8(record.key)
  const value = utf8(record.value ?? '')
  const { kind, sequence, expiry = 0, version } = record
  const bytes = new Uint8Array(storeRecordSize(sequence, key.length, value.length, expiry, version !== undefined))
  writeStoreRecord(bytes, 0, kind, sequence, key, 0, key.length, value, 0, value.length, expiry, version)
  return bytes
}

/** The cursor's record as values. */
export function plain(cursor: StoreRecordCursor): PlainRecord {
  const { buffer, keyStart, keyBytes, valueStart, valueBytes, versionMs: ms, versionCounter: counter, versionNode: node } = cursor
  return {
    kind: cursor.kind,
    key: textOf(buffer.slice(keyStart, keyStart + keyBytes)),
    sequence: cursor.sequence,
    ...(valueBytes > 0 ? { value: textOf(buffer.slice(valueStart, valueStart + valueBytes)) } : {}),
    ...(cursor.expiry > 0 ? { expiry: cursor.expiry } : {}),
    ...(cursor.hasVersion ? { version: { ms, counter, node } } : {}),
  }
}

export interface PlainBatch {
  readonly baseOffset: number
  readonly baseSequence: number
  readonly timestamp?: number
  readonly epoch?: number
  readonly codec?: number
  readonly checksum?: boolean
  readonly records: readonly Omit<PlainRecord, 'sequence'>[]
}

export function storeBatch(batch: PlainBatch): Uint8Array {
  let size = storeBatchHeaderSize()
  batch.records.forEach(({ key, value, expiry, version }, i) => {
    size += storeRecordSize(batch.baseSequence + i, utf8(key).length, utf8(value ?? '').length, expiry ?? 0, version !== undefined)
  })
  const bytes = new Uint8Array(size)
  const writer = new StoreBatchWriter()
  const { baseOffset, baseSequence, timestamp = 1000, epoch = 0 } = batch
  writer.begin(bytes, 0, { baseOffset, baseSequence, timestamp, epoch })
  for (const { kind, key, value, expiry, version } of batch.records) {
    const keyBytes = utf8(key)
    const valueBytes = utf8(value ?? '')
    writer.add(kind, keyBytes, 0, keyBytes.length, valueBytes, 0, valueBytes.length, expiry, version)
  }
  return bytes.subarray(0, writer.finish(batch.codec, batch.checksum))
}

export function topicBatch(baseOffset: number, records: readonly RecordInput[], options: RecordBatchOptions = {}): Uint8Array {
  return encodeRecordBatch(records, { epoch: 0, timestamp: 1000, ...options, baseOffset })
}

export function concat(...arrays: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(arrays))
}

export const databaseId: Uint8Array = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)

/** Writes a segment and returns what `finish` returned. */
export function writeSegment(
  files: MemoryFiles,
  path: string,
  write: (writer: SegmentWriter) => void,
  options: FinishOptions & { readonly segmentId?: number; readonly bufferBytes?: number; readonly durable?: boolean } = {},
): SegmentSummary {
  const file = files.openSync(path, 'create')
  const { segmentId = 7, bufferBytes, durable = false } = options
  const meta = { segmentId, databaseId, editId: 9, createdMs: 1_700_000_000_000 }
  const writer = new SegmentWriter(file, meta, bufferBytes === undefined ? { durable } : { bufferBytes, durable })
  write(writer)
  const summary = writer.finish(options)
  file.closeSync()
  return summary
}

/** Opens, uses and closes. */
export function withReader<T>(files: MemoryFiles, path: string, use: (reader: SegmentReader) => T): T {
  const reader = SegmentReader.open(files, path)
  try {
    return use(reader)
  } finally {
    reader.close()
  }
}
