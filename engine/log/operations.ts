import { estimateRecordBatchSize } from '../batch/record-batch-codec.ts'
import { storeBatchHeaderSize } from '../batch/store-batch.ts'
import { storeRecordSize } from '../batch/store-record.ts'
import type { StoreWrites } from '../batch/store-writes.ts'
import { TopicBatch } from '../batch/topic-batch.ts'
import { codecIdOf } from '../codec/compression.ts'
import { VarveError } from '../errors.ts'
import { checkBoolean, checkNames, checkObject, checkOffset } from './check-arguments.ts'
import type { AppendOptions, Durability, HybridVersion, RecordHeader, StoreRecord, TopicRecord } from './log.ts'
import type { LogicalLog } from './logical-log.ts'

/** A changed row of the catalog; see catalog/rows.ts. */
export interface CatalogRowChange {
  readonly key: string
  readonly value: Uint8Array | null
}

const recordsMax = 2 ** 24
const durabilities: readonly string[] = ['sync', 'buffered', 'none']

export interface AppendOperation {
  readonly type: 'append'
  readonly log: LogicalLog
  readonly options: AppendOptions & { readonly keepOffsets?: boolean }
  /** One of the five, until the commit was made: an answer that is kept must not keep the records. */
  topicRecords: readonly TopicRecord[] | undefined
  topicBatch: TopicBatch | undefined
  storeRecords: readonly StoreRecord[] | undefined
  storeWrites: StoreWrites | undefined
  bytes: Uint8Array | undefined
  bytesMax: number
  /** Filled by check. */
  baseOffset: number
  endOffset: number
  epoch: number
  duplicate: boolean
  /** Its records may go to a batch of the open frame that gathers; see commit-log/gathering-batch.ts. */
  gathers: boolean
  /** Of several batches that were appended by one call, the last one, told by the first. */
  last: AppendOperation | undefined
}

export interface TruncateOperation {
  readonly type: 'truncate'
  readonly log: LogicalLog
  readonly offset: number
  /** Start of the batch that contains `offset`; its records below `offset` are appended again. */
  boundary: number
  head: Uint8Array | undefined
}

export interface ResetOperation {
  readonly type: 'reset'
  readonly log: LogicalLog
  readonly offset: number
}

export type Operation = AppendOperation | TruncateOperation | ResetOperation

export function resolveDurability(durability: unknown, fallback: Durability): Durability {
  if (durability === undefined) return fallback
  if (typeof durability !== 'string' || !durabilities.includes(durability)) {
    throw new TypeError(`durability must be 'sync', 'buffered' or 'none', got ${String(durability)}`)
  }
  return durability as Durability
}

export function checkRecords(records: unknown): void {
  const count = records instanceof TopicBatch ? records.count : Array.isArray(records) ? records.length : 0
  if (count === 0) throw new TypeError('records must be a non-empty array, or a batch that has records')
  if (count > recordsMax) {
    throw new VarveError('TOO_LARGE', `a batch of ${count} records exceeds ${recordsMax}`, { details: { limit: 'records' } })
  }
}

/** Without what is appended: the caller sets that. One shape and no spreading: a transaction makes one for each partition that it sends to. */
export function newAppend(log: LogicalLog, options: AppendOperation['options']): AppendOperation {
  return {
    type: 'append',
    log,
    options,
    topicRecords: undefined,
    topicBatch: undefined,
    storeRecords: undefined,
    storeWrites: undefined,
    bytes: undefined,
    bytesMax: 0,
    baseOffset: 0,
    endOffset: 0,
    epoch: 0,
    duplicate: false,
    gathers: false,
    last: undefined,
  }
}

/** The commit was made: its records are not needed any more. */
export function forgetRecords(operation: AppendOperation): void {
  operation.topicRecords = undefined
  operation.topicBatch = undefined
  operation.storeRecords = undefined
  operation.storeWrites = undefined
  operation.bytes = undefined
}

export function topicBytesMax(operation: AppendOperation): number {
  const records = operation.topicRecords as readonly TopicRecord[]
  for (const record of records) {
    if (record === null || typeof record !== 'object') throw new TypeError('a record must be an object with key and value')
    if (record.value === undefined) throw new TypeError('a record must have a value (null for none)')
    checkBytes(record.key, 'key')
    checkBytes(record.value, 'value')
    const { timestamp, headers } = record
    if (headers !== undefined) checkHeaders(headers)
    if (timestamp !== undefined && (!Number.isSafeInteger(timestamp) || timestamp < 0)) {
      throw new RangeError(`timestamp must be a non-negative integer of milliseconds, got ${timestamp}`)
    }
  }
  return compressedBytesMax(operation, estimateRecordBatchSize(records))
}

/** An incompressible block grows a little in every codec. */
export function compressedBytesMax({ options: { compression } }: AppendOperation, plain: number): number {
  return compression === undefined || compression === 'none' ? plain : plain + (plain >>> 5) + 1024
}

export function storeBytesMax(operation: AppendOperation): number {
  let size = storeBatchHeaderSize()
  for (const record of operation.storeRecords as readonly StoreRecord[]) {
    if (record === null || typeof record !== 'object' || !(record.key instanceof Uint8Array))
      throw new TypeError('a store record needs a key of bytes')
    if (record.kind !== 'put' && record.kind !== 'delete' && record.kind !== 'range-delete') {
      throw new TypeError(`kind must be 'put', 'delete' or 'range-delete', got ${String(record.kind)}`)
    }
    if (record.value !== undefined && !(record.value instanceof Uint8Array)) throw new TypeError('value must be a Uint8Array')
    if (record.kind !== 'delete' && record.value === undefined) throw new TypeError(`a ${record.kind} needs a value`)
    if (record.expiry !== undefined && (!Number.isSafeInteger(record.expiry) || record.expiry <= 0))
      throw new RangeError(`expiry must be a positive integer of milliseconds, got ${record.expiry}`)
    if (record.version !== undefined) checkVersion(record.version)
    size += storeRecordSize(
      Number.MAX_SAFE_INTEGER,
      record.key.byteLength,
      record.value?.byteLength ?? 0,
      record.expiry ?? 0,
      record.version !== undefined,
    )
  }
  return size
}

function checkHeaders(headers: readonly RecordHeader[]): void {
  if (!Array.isArray(headers)) throw new TypeError(`headers must be an array, got ${String(headers)}`)
  for (const header of headers as readonly RecordHeader[]) {
    checkObject(header, 'each of headers')
    if (typeof header.key !== 'string') throw new TypeError(`key of a header must be a string, got ${String(header.key)}`)
    if (header.value !== null && !(header.value instanceof Uint8Array))
      throw new TypeError('value of a header must be a Uint8Array or null')
  }
}

function checkVersion(version: HybridVersion): void {
  checkObject(version, 'version')
  const { ms, counter, node } = version
  const valid = isUnsigned(ms, 2 ** 48) && isUnsigned(counter, 2 ** 16) && isUnsigned(node, 2 ** 32)
  if (!valid) throw new RangeError(`version must have ms, counter and node of 48, 16 and 32 bits, got ${ms}, ${counter}, ${node}`)
}

function isUnsigned(value: unknown, end: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < end
}

function checkBytes(value: Uint8Array | string | null | undefined, option: string): void {
  if (value === undefined || value === null || typeof value === 'string' || value instanceof Uint8Array) return
  throw new TypeError(`${option} must be a Uint8Array, a string or null`)
}

const appendOptionNames: ReadonlySet<string> = new Set([
  'durability',
  'expectedOffset',
  'epoch',
  'producer',
  'transactional',
  'compression',
  'keepOffsets',
])

/** What an append without options has. */
export const noAppendOptions: AppendOptions = Object.freeze({})

export function checkOptions(options: AppendOptions & { readonly keepOffsets?: boolean }): void {
  if (options === noAppendOptions) return
  checkObject(options, 'options')
  checkNames(options, appendOptionNames)
  const { epoch, producer, expectedOffset } = options
  if (expectedOffset !== undefined) checkOffset(expectedOffset, 'expectedOffset')
  checkBoolean(options.transactional, 'transactional')
  checkBoolean(options.keepOffsets, 'keepOffsets')
  if (epoch !== undefined && (!Number.isInteger(epoch) || epoch < 0 || epoch >= 2 ** 31))
    throw new RangeError(`epoch must be an integer from 0 to 2^31 - 1, got ${epoch}`)
  if (producer !== undefined) {
    checkObject(producer, 'producer')
    const valid =
      Number.isSafeInteger(producer.id) &&
      producer.id >= 0 &&
      Number.isInteger(producer.epoch) &&
      producer.epoch >= 0 &&
      producer.epoch < 0x8000 &&
      Number.isInteger(producer.sequence) &&
      producer.sequence >= 0 &&
      producer.sequence < 2 ** 31
    if (!valid) throw new RangeError(`producer must have an id >= 0, an epoch from 0 to 32767 and a sequence from 0 to 2^31 - 1`)
  }
  codecIdOf(options.compression ?? 'none')
}
