/**
 * Makes batches from generated records and reads batches back into the model's form; both kinds of logs behind one set of verbs.
 */
import { batchBaseSequence, batchMaxTimestamp, batchProducerEpoch, batchProducerId } from '../../engine/batch/record-batch.ts'
import { decodeRecords } from '../../engine/batch/record-batch-codec.ts'
import {
  fillStoreBatchChecksum,
  openStoreBatch,
  StoreBatchWriter,
  storeBatchBaseSequence,
  storeBatchHeaderSize,
  storeBatchTimestamp,
} from '../../engine/batch/store-batch.ts'
import { STORE_DELETE, STORE_PUT } from '../../engine/batch/store-format.ts'
import { StoreRecordCursor, storeRecordSize } from '../../engine/batch/store-record.ts'
import type { SimRandom } from '../../engine/env/index.ts'
import { batchBase, batchEnd, batchLeaderEpoch, batchLength } from '../../engine/log/batch-kinds.ts'
import type { LocalLog, LogKind, LogSlice, StoreRecord, TopicRecord } from '../../engine/log/log.ts'
import { PART_RUN } from '../../engine/segment/format.ts'
import { RunCursor } from '../../engine/segment/run-reader.ts'
import { internals } from './internals.ts'
import type { ModelBatch, ModelRecord } from './log-model.ts'

const encoder = new TextEncoder()
const noBytes = new Uint8Array(0)

function textOf(bytes: Uint8Array | null): string {
  return bytes === null ? '-' : Buffer.from(bytes).toString('latin1')
}

/** Records with few keys, so that compaction and merging find something to drop. */
export function randomTopicRecords(random: SimRandom, count: number, bytesMax: number, nowMs: number): TopicRecord[] {
  return Array.from({ length: count }, () => {
    const key = random.chance(0.9) ? `k${random.below(12)}` : null
    return {
      key,
      value: key !== null && random.chance(0.1) ? null : randomText(random, bytesMax),
      timestamp: nowMs - (random.chance(0.2) ? random.below(5000) : 0),
      ...(random.chance(0.1) ? { headers: [{ key: 'h', value: encoder.encode(randomText(random, 8)) }] } : {}),
    }
  })
}

export function randomStoreRecords(random: SimRandom, count: number, bytesMax: number): StoreRecord[] {
  return Array.from({ length: count }, () => {
    const key = encoder.encode(`k${random.below(24)}`)
    return random.chance(0.2) ? { kind: 'delete', key } : { kind: 'put', key, value: encoder.encode(randomText(random, bytesMax)) }
  })
}

function randomText(random: SimRandom, bytesMax: number): string {
  return String.fromCharCode(97 + random.below(26)).repeat(random.below(bytesMax) + 1) + random.below(1000)
}

export function modelOfTopic({ key, value, timestamp, headers }: TopicRecord): ModelRecord {
  const names = (headers ?? []).map(header => `${header.key}=${textOf(header.value)}`).join()
  return {
    key: key === null || key === undefined ? undefined : (key as string),
    text: `${value ?? '-'}|${names}`,
    timestamp: timestamp as number,
    kind: 'put',
    isTombstone: (value ?? null) === null,
  }
}

export function modelOfStore({ kind, key, value }: StoreRecord): ModelRecord {
  return { key: textOf(key), text: textOf(value ?? noBytes), timestamp: 0, kind: kind === 'put' ? 'put' : 'delete', isTombstone: false }
}

/** A ready store batch, as another log or a client would hand it over. */
export function encodeStoreBatch(records: readonly StoreRecord[], baseOffset: number, timestamp: number, epoch: number): Uint8Array {
  const writer = new StoreBatchWriter()
  const size = records.reduce(
    (sum, { key, value }) => sum + storeRecordSize(Number.MAX_SAFE_INTEGER, key.length, value?.length ?? 0, 0, false),
    0,
  )
  const bytes = new Uint8Array(storeBatchHeaderSize() + size)
  writer.begin(bytes, 0, { baseOffset, baseSequence: baseOffset, timestamp, epoch })
  for (const { kind, key, value } of records) {
    writer.add(kind === 'put' ? STORE_PUT : STORE_DELETE, key, 0, key.length, value ?? noBytes, 0, value?.length ?? 0)
  }
  const end = writer.finish()
  fillStoreBatchChecksum(bytes, 0)
  return bytes.slice(0, end)
}

const cursor = new StoreRecordCursor()

/** The batches of a slice in the model's form. */
export function modelOfSlice(slice: LogSlice): ModelBatch[] {
  return slice.positions.map(position => modelOfBatch(slice.kind, slice.bytes, position))
}

function modelOfBatch(kind: LogKind, source: Uint8Array, position: number): ModelBatch {
  const size = batchLength(kind, source, position)
  const bytes = source.slice(position, position + size)
  const shared = { base: batchBase(kind, bytes, 0), end: batchEnd(kind, bytes, 0), epoch: batchLeaderEpoch(kind, bytes, 0), bytes }
  if (kind === 'store') return { ...shared, timestamp: storeBatchTimestamp(bytes, 0), records: storeRecordsOf(bytes), producer: undefined }
  const id = batchProducerId(bytes, 0)
  return {
    ...shared,
    timestamp: batchMaxTimestamp(bytes, 0),
    records: decodeRecords(bytes, 0).map(({ key, value, timestamp, headers }) => ({
      key: key === null ? undefined : textOf(key),
      text: `${textOf(value)}|${headers.map(header => `${header.key}=${textOf(header.value)}`).join()}`,
      timestamp,
      kind: 'put' as const,
      isTombstone: value === null,
    })),
    producer: id < 0 ? undefined : { id, epoch: batchProducerEpoch(bytes, 0), sequence: batchBaseSequence(bytes, 0) },
  }
}

function storeRecordsOf(bytes: Uint8Array): ModelRecord[] {
  const records: ModelRecord[] = []
  openStoreBatch(cursor, bytes, 0)
  while (cursor.next()) records.push(currentRecord(cursor))
  return records
}

function currentRecord({ buffer, keyStart, keyBytes, valueStart, valueBytes, kind }: StoreRecordCursor): ModelRecord {
  return {
    key: textOf(buffer.slice(keyStart, keyStart + keyBytes)),
    text: textOf(buffer.slice(valueStart, valueStart + valueBytes)),
    timestamp: 0,
    kind: kind === STORE_PUT ? 'put' : 'delete',
    isTombstone: false,
  }
}

/** Topic batches may come back with holes after compaction: their records by offset. */
export function recordsByOffset(slice: LogSlice): [number, ModelRecord][] {
  const found: [number, ModelRecord][] = []
  for (const position of slice.positions) {
    const end = position + batchLength(slice.kind, slice.bytes, position)
    for (const { offset, key, value, timestamp, headers } of decodeRecords(slice.bytes, position, end)) {
      const text = `${textOf(value)}|${headers.map(header => `${header.key}=${textOf(header.value)}`).join()}`
      found.push([offset, { key: key === null ? undefined : textOf(key), text, timestamp, kind: 'put', isTombstone: value === null }])
    }
  }
  return found
}

/** What a store log says about its keys, out of runs and tail. */
export function visibleInLog(log: LocalLog): Map<string, string> {
  const all: { sequence: number; record: ModelRecord }[] = []
  const { parts, tail } = internals(log)
  for (const part of parts) {
    if (part.type !== PART_RUN) continue
    const run = new RunCursor(part.reader, part.part)
    for (let more = run.first(); more; more = run.next()) all.push({ sequence: run.record.sequence, record: currentRecord(run.record) })
  }
  for (let i = 0; i < tail.length; i++) {
    const bytes = tail.arena(i).bytes.slice(tail.position(i), tail.position(i) + tail.bytes(i))
    const base = storeBatchBaseSequence(bytes, 0)
    for (const [at, record] of storeRecordsOf(bytes).entries()) all.push({ sequence: base + at, record })
  }
  const visible = new Map<string, string>()
  for (const { record } of all.sort((a, b) => a.sequence - b.sequence)) {
    if (record.kind === 'delete') visible.delete(record.key as string)
    else visible.set(record.key as string, record.text)
  }
  return visible
}
