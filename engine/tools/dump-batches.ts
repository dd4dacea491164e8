/**
 * Batches and records as plain objects, for `dump`. Whatever the bytes hold, nothing here throws: a place that cannot be read becomes a `damage`
 * item, and reading goes on at the next bytes that look like a batch and check.
 */
import { ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL } from '../batch/format.ts'
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchCodec,
  batchEpoch,
  batchLastOffset,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  crcMatches,
  validateRecordBatch,
} from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import {
  checkStoreBatchHeader,
  isStoreBatchChecksumFilled,
  openStoreBatch,
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchCodec,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchTimestamp,
} from '../batch/store-batch.ts'
import { STORE_DELETE, STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { parseRowKey, unpackRow } from '../catalog/rows.ts'
import { codecNameOf } from '../codec/compression.ts'
import { VarveError } from '../errors.ts'

/** One thing in a file: a frame, a part, a record, … `type` says which; `position` is its first byte in the file. */
export interface DumpItem {
  /** What it is: 'frame', 'part', 'batch', 'record', 'damage', … */
  readonly type: string
  /** First byte in the file; absent for what is no place of it. */
  readonly position?: number
  readonly [field: string]: unknown
}

/** Bytes as text when they are printable UTF-8, as `{ hex }` otherwise. */
export type Readable = string | { readonly hex: string } | null

/** What every dumper is told. */
export interface DumpDetails {
  /** Show values of records. */
  readonly values: boolean
  /** Records below this offset are left out. */
  readonly from: number
}

export interface BatchPlace {
  readonly kind: 'topic' | 'store'
  /** Where `bytes[0]` lies in the file. */
  readonly filePosition: number
  /** Log 0: values are rows of the catalog. */
  readonly system: boolean
  /** The checksum was not filled yet when the batch was written. */
  readonly checksumOpen: boolean
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true })
/** Anything but control characters; line feeds and tabs are fine. */
const unprintable = /[\p{Cc}\p{Cn}\p{Co}]/u

export function readable(bytes: Uint8Array): Readable {
  try {
    const text = strictDecoder.decode(bytes.slice())
    if (!unprintable.test(text.replaceAll(/[\n\t]/g, ''))) return text
  } catch {
    // Not UTF-8: shown as hex.
  }
  return { hex: hex(bytes) }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** What a decoder threw, as an item. Everything but a `VarveError` is a bug and goes on. */
export function damage(error: unknown, position: number, bytes?: number): DumpItem {
  if (!(error instanceof VarveError)) throw error
  return { type: 'damage', position, ...(bytes === undefined ? {} : { bytes }), code: error.code, message: error.message }
}

/** The batches in `bytes[start, end)`, back to back, with their records. */
export function* dumpBatches(bytes: Uint8Array, start: number, end: number, place: BatchPlace, details: DumpDetails): Generator<DumpItem> {
  for (let at = start; at < end; ) {
    let size: number
    try {
      size = place.kind === 'topic' ? validateRecordBatch(bytes, at, end, false) : checkStoreBatchHeader(bytes, at, end) - at
    } catch (error) {
      const next = findBatch(bytes, at + 1, end, place.kind)
      yield damage(error, place.filePosition + at, (next ?? end) - at)
      if (next === undefined) return
      at = next
      continue
    }
    yield* dumpBatch(bytes, at, size, place, details)
    at += size
  }
}

/** The next position at which a whole batch with a right checksum stands. */
export function findBatch(bytes: Uint8Array, start: number, end: number, kind: 'topic' | 'store'): number | undefined {
  for (let at = start; at < end; at++) {
    try {
      if (kind === 'topic') {
        if (bytes[at + 16] !== 2 || bytes[at] !== 0) continue
        validateRecordBatch(bytes, at, end, true)
        return at
      }
      if (bytes[at + 4] !== 1 || bytes[at + 50] !== 0) continue
      checkStoreBatchHeader(bytes, at, end)
      if (isStoreBatchChecksumFilled(bytes, at)) return at
    } catch {
      // Not here.
    }
  }
  return undefined
}

function* dumpBatch(bytes: Uint8Array, at: number, size: number, place: BatchPlace, details: DumpDetails): Generator<DumpItem> {
  const position = place.filePosition + at
  if (place.kind === 'topic') {
    if (batchLastOffset(bytes, at) < details.from) return
    yield { type: 'batch', position, bytes: size, ...topicBatchFacts(bytes, at, place) }
    yield* dumpTopicRecords(bytes, at, size, place, details)
  } else {
    const count = storeBatchCount(bytes, at)
    const baseOffset = storeBatchBaseOffset(bytes, at)
    if (baseOffset + count <= details.from) return
    yield {
      type: 'batch',
      position,
      bytes: size,
      kind: 'store',
      baseOffset,
      records: count,
      sequence: storeBatchBaseSequence(bytes, at),
      timestamp: storeBatchTimestamp(bytes, at),
      epoch: storeBatchEpoch(bytes, at),
      codec: codecNameOf(storeBatchCodec(bytes, at)) ?? 'unknown',
      checksum: isStoreBatchChecksumFilled(bytes, at) ? 'right' : 'open',
    }
    yield* dumpStoreRecords(bytes, at, baseOffset, place, details)
  }
}

function topicBatchFacts(bytes: Uint8Array, at: number, place: BatchPlace): object {
  const attributes = batchAttributes(bytes, at)
  const producerId = batchProducerId(bytes, at)
  return {
    kind: 'topic',
    baseOffset: batchBaseOffset(bytes, at),
    lastOffset: batchLastOffset(bytes, at),
    records: batchRecordCount(bytes, at),
    timestamp: batchMaxTimestamp(bytes, at),
    epoch: batchEpoch(bytes, at),
    codec: codecNameOf(batchCodec(bytes, at)) ?? 'unknown',
    checksum: place.checksumOpen ? 'open' : crcMatches(bytes, at) ? 'right' : 'wrong',
    ...(producerId < 0 ? {} : { producerId, producerEpoch: batchProducerEpoch(bytes, at), producerSequence: batchBaseSequence(bytes, at) }),
    ...((attributes & ATTRIBUTE_TRANSACTIONAL) === 0 ? {} : { transactional: true }),
    ...((attributes & ATTRIBUTE_CONTROL) === 0 ? {} : { control: true }),
  }
}

function* dumpTopicRecords(bytes: Uint8Array, at: number, size: number, place: BatchPlace, details: DumpDetails): Generator<DumpItem> {
  const cursor = new RecordCursor()
  const position = place.filePosition + at
  try {
    cursor.open(bytes, at, at + size)
    while (cursor.next()) {
      if (cursor.offset < details.from) continue
      const { data, keySize, keyStart, valueSize, valueStart } = cursor
      const key = keySize < 0 ? null : data.subarray(keyStart, keyStart + keySize)
      const value = valueSize < 0 ? null : data.subarray(valueStart, valueStart + valueSize)
      const headers: { key: Readable; value: Readable }[] = []
      while (cursor.nextHeader()) {
        const { headerKeyStart, headerKeySize, headerValueStart, headerValueSize } = cursor
        const headerKey = readable(data.subarray(headerKeyStart, headerKeyStart + headerKeySize))
        headers.push({
          key: headerKey,
          value: headerValueSize < 0 ? null : readable(data.subarray(headerValueStart, headerValueStart + headerValueSize)),
        })
      }
      yield {
        type: 'record',
        position: data === bytes ? place.filePosition + cursor.recordStart : position,
        offset: cursor.offset,
        timestamp: cursor.timestamp,
        key: key === null ? null : readable(key),
        valueBytes: valueSize,
        ...(details.values ? { value: place.system ? rowOf(key, value) : value === null ? null : readable(value) } : {}),
        ...(headers.length > 0 && details.values ? { headers } : {}),
      }
    }
  } catch (error) {
    yield damage(error, position, size)
  } finally {
    cursor.close()
  }
}

/** A row of the catalog, decoded where that works. */
export function rowOf(key: Uint8Array | null, value: Uint8Array | null): unknown {
  if (key === null || value === null) return null
  try {
    const name = strictDecoder.decode(key.slice())
    const kind = parseRowKey(name)?.kind
    return kind === undefined || kind === 'meta' ? readable(value) : plain(unpackRow<unknown>(name, value.slice()))
  } catch {
    return readable(value)
  }
}

/** The value with its bytes as hex, so that it can be printed as JSON. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: hex(value) }
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
}

function* dumpStoreRecords(
  bytes: Uint8Array,
  at: number,
  baseOffset: number,
  place: BatchPlace,
  details: DumpDetails,
): Generator<DumpItem> {
  const cursor = new StoreRecordCursor()
  const position = place.filePosition + at
  try {
    openStoreBatch(cursor, bytes, at)
    const inPlace = cursor.buffer === bytes
    for (let offset = baseOffset; cursor.next(); offset++) {
      if (offset < details.from) continue
      yield storeRecordItem(cursor, inPlace ? place.filePosition + cursor.start : position, details, { offset })
    }
  } catch (error) {
    yield damage(error, position)
  }
}

const kindNames: { readonly [kind: number]: string } = {
  [STORE_PUT]: 'put',
  [STORE_DELETE]: 'delete',
  [STORE_RANGE_DELETE]: 'range-delete',
  [STORE_POINTER]: 'pointer',
}

export function storeRecordItem(record: StoreRecordCursor, position: number, details: DumpDetails, more: object): DumpItem {
  const { buffer, keyStart, keyBytes, valueStart, valueBytes } = record
  return {
    type: 'record',
    position,
    ...more,
    kind: kindNames[record.kind] ?? String(record.kind),
    sequence: record.sequence,
    ...(record.expiry > 0 ? { expiry: record.expiry } : {}),
    ...(record.hasVersion ? { version: { ms: record.versionMs, counter: record.versionCounter, node: record.versionNode } } : {}),
    key: readable(buffer.subarray(keyStart, keyStart + keyBytes)),
    valueBytes,
    ...(details.values ? { value: readable(buffer.subarray(valueStart, valueStart + valueBytes)) } : {}),
  }
}
