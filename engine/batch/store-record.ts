/**
 * Store records: their size, writing one, and the cursor that reads them in place.
 *
 * The same bytes are the memtable's entry, the commit log's, a run's and what a replica receives, so a record says everything about itself:
 * kind, absolute sequence, expiry, version, key, value. Layout: `store-format.ts`.
 *
 * `StoreRecordCursor` makes no object per record: its fields describe the current record until the next `next` or `readAt`. Every read is
 * checked against the end it was given, so that damaged bytes throw CORRUPT (position in `buffer`) and never lead outside.
 */
import { damagedBytes } from '../codec/damage.ts'
import { readU16LE, readU32LE, readU48LE, write32LE, writeU16LE, writeU48LE } from '../codec/fixed-width.ts'
import { readVarint, varintEnd, varintSize, writeVarint } from '../codec/varint.ts'
import { assert, VarveError } from '../errors.ts'
import { skipSizedExtensions } from './extension.ts'
import {
  STORE_BYTES_LIMIT,
  STORE_PUT,
  STORE_RECORD_EXPIRY,
  STORE_RECORD_EXTENSIONS,
  STORE_RECORD_FLAGS_KNOWN,
  STORE_RECORD_KIND_MASK,
  STORE_RECORD_VERSION,
  STORE_RECORD_VERSION_BYTES,
} from './store-format.ts'
import { compareKeys } from './store-keys.ts'

/** Who decides between records of one key in a versioned store; `HybridVersion` of the Log interface fits. */
export interface RecordVersion {
  readonly ms: number
  readonly counter: number
  readonly node: number
}

/** Bytes of a record behind its length field. */
function bodySize(sequence: number, keyBytes: number, valueBytes: number, expiry: number, versioned: boolean): number {
  let size = 1 + varintSize(sequence) + varintSize(keyBytes) + keyBytes + valueBytes
  if (expiry > 0) size += varintSize(expiry)
  if (versioned) size += STORE_RECORD_VERSION_BYTES
  return size
}

/** How many bytes `writeStoreRecord` writes. `expiry` 0: none. */
export function storeRecordSize(sequence: number, keyBytes: number, valueBytes: number, expiry: number, versioned: boolean): number {
  const body = bodySize(sequence, keyBytes, valueBytes, expiry, versioned)
  return varintSize(body) + body
}

/** Writes one record at `position` and returns the position after it. `expiry` 0: none. A range delete's `value` is its exclusive end key. */
export function writeStoreRecord(
  target: Uint8Array,
  position: number,
  kind: number,
  sequence: number,
  key: Uint8Array,
  keyStart: number,
  keyBytes: number,
  value: Uint8Array,
  valueStart: number,
  valueBytes: number,
  expiry: number = 0,
  version: RecordVersion | undefined = undefined,
): number {
  const body = bodySize(sequence, keyBytes, valueBytes, expiry, version !== undefined)
  assert(kind >= STORE_PUT && kind <= STORE_RECORD_KIND_MASK && body <= STORE_BYTES_LIMIT, 'store record kind and size', kind, body)
  let at = writeVarint(target, position, body)
  assert(at + body <= target.length, 'a record fits its target', at + body, target.length)
  let flags = kind
  if (expiry > 0) flags |= STORE_RECORD_EXPIRY
  if (version !== undefined) flags |= STORE_RECORD_VERSION
  target[at++] = flags
  at = writeVarint(target, at, sequence)
  if (expiry > 0) at = writeVarint(target, at, expiry)
  if (version !== undefined) {
    writeU48LE(target, at, version.ms)
    writeU16LE(target, at + 6, version.counter)
    write32LE(target, at + 8, version.node)
    at += STORE_RECORD_VERSION_BYTES
  }
  at = writeVarint(target, at, keyBytes)
  copyBytes(key, keyStart, keyBytes, target, at)
  at += keyBytes
  copyBytes(value, valueStart, valueBytes, target, at)
  return at + valueBytes
}

/** Short copies byte by byte: a `subarray` and `set` cost more than 40 bytes in a loop. */
function copyBytes(source: Uint8Array, start: number, size: number, target: Uint8Array, at: number): void {
  if (size > 40) target.set(source.subarray(start, start + size), at)
  else for (let i = 0; i < size; i++) target[at + i] = source[start + i]!
}

const emptyBuffer = new Uint8Array(0)

/** Walks the records of one store batch without making objects; fields hold until the next step. */
export class StoreRecordCursor {
  /** Where the current record lies; all positions are in it. */
  buffer: Uint8Array = emptyBuffer
  /** Position of the current record's first byte. */
  start = 0
  /** Position after the current record: where `next` goes on. */
  end = 0
  /** Position at which `next` stops. */
  limit = 0
  /** One of STORE_PUT, STORE_DELETE, STORE_RANGE_DELETE, STORE_POINTER. */
  kind = 0
  sequence = 0
  /** Absolute ms; 0 when the record does not expire. */
  expiry = 0
  hasVersion = false
  versionMs = 0
  versionCounter = 0
  versionNode = 0
  /** Position of the record's extensions (their size varint); -1 when it has none. */
  extensionStart = -1
  keyStart = 0
  keyBytes = 0
  valueStart = 0
  valueBytes = 0

  /** Stands before the record at `start`; `next` reads it. */
  reset(buffer: Uint8Array, start: number, limit: number): void {
    assert(start >= 0 && start <= limit && limit <= buffer.length, 'the range lies in the buffer', start, limit)
    this.buffer = buffer
    this.start = start
    this.end = start
    this.limit = limit
  }

  /** Moves to the next record; false at `limit`. Throws CORRUPT, or NEWER_FORMAT for flags that this version does not know. */
  next(): boolean {
    if (this.end >= this.limit) return false
    this.#parse(this.end)
    return true
  }

  /** Moves to the record at `position` of `buffer`, which must end at or before `limit`. */
  readAt(buffer: Uint8Array, position: number, limit: number): void {
    assert(position >= 0 && limit <= buffer.length, 'the record lies in the buffer', position, limit)
    if (position >= limit) throw damagedBytes('record position lies behind the records', position, { expected: limit })
    this.buffer = buffer
    this.limit = limit
    this.#parse(position)
  }

  #parse(position: number): void {
    const { buffer, limit } = this
    const body = readVarint(buffer, position, limit)
    let at = varintEnd
    const end = at + body
    if (end > limit || body < 3) throw damagedBytes('store record is cut off', position, { expected: body, actual: limit - at })
    const flags = buffer[at++]!
    if (flags > STORE_RECORD_FLAGS_KNOWN) throw newerRecord(position, flags)
    this.start = position
    this.end = end
    this.kind = flags & STORE_RECORD_KIND_MASK
    this.sequence = readVarint(buffer, at, end)
    at = varintEnd
    if (flags > STORE_RECORD_KIND_MASK) at = this.#parseOptional(flags, at)
    else {
      this.expiry = 0
      this.hasVersion = false
      this.extensionStart = -1
    }
    const keyBytes = readVarint(buffer, at, end)
    at = varintEnd
    if (keyBytes > end - at) throw damagedBytes('store record key is cut off', position, { expected: keyBytes, actual: end - at })
    this.keyStart = at
    this.keyBytes = keyBytes
    this.valueStart = at + keyBytes
    this.valueBytes = end - at - keyBytes
  }

  #parseOptional(flags: number, position: number): number {
    const { buffer, end } = this
    let at = position
    this.expiry = 0
    if ((flags & STORE_RECORD_EXPIRY) !== 0) {
      this.expiry = readVarint(buffer, at, end)
      at = varintEnd
      if (this.expiry === 0) throw damagedBytes('store record expiry is zero', position)
    }
    this.hasVersion = (flags & STORE_RECORD_VERSION) !== 0
    if (this.hasVersion) {
      if (at + STORE_RECORD_VERSION_BYTES > end) throw damagedBytes('store record version is cut off', position)
      this.versionMs = readU48LE(buffer, at)
      this.versionCounter = readU16LE(buffer, at + 6)
      this.versionNode = readU32LE(buffer, at + 8)
      at += STORE_RECORD_VERSION_BYTES
    }
    this.extensionStart = -1
    if ((flags & STORE_RECORD_EXTENSIONS) !== 0) {
      this.extensionStart = at
      at = skipSizedExtensions(buffer, at, end)
    }
    return at
  }
}

function newerRecord(position: number, flags: number): VarveError {
  return new VarveError('NEWER_FORMAT', `store record flags ${flags} are not known to this version (at byte ${position})`, {
    details: { position, expected: STORE_RECORD_FLAGS_KNOWN, actual: flags },
  })
}

/**
 * Order of two records of one key, newest first: less than 0 when `left` is newer. Versioned stores decide by (ms, counter, node), a record
 * without a version being the oldest, then by sequence; others by sequence alone.
 */
export function compareNewestFirst(left: StoreRecordCursor, right: StoreRecordCursor, versioned: boolean): number {
  if (versioned) {
    if (left.hasVersion !== right.hasVersion) return left.hasVersion ? -1 : 1
    if (left.hasVersion) {
      if (left.versionMs !== right.versionMs) return right.versionMs - left.versionMs
      if (left.versionCounter !== right.versionCounter) return right.versionCounter - left.versionCounter
      if (left.versionNode !== right.versionNode) return right.versionNode - left.versionNode
    }
  }
  return right.sequence - left.sequence
}

/**
 * Compares the key of the record at `position` without reading the rest of it: a search asks this of many records and wants one. Records with
 * options are read whole with the cursor. For bytes that were checked, or written by this process.
 */
export function compareRecordKey(
  record: StoreRecordCursor,
  bytes: Uint8Array,
  position: number,
  limit: number,
  key: Uint8Array,
  start: number,
  size: number,
): number {
  let at = position
  while (bytes[at++]! >= 0x80); // length
  if (bytes[at++]! > STORE_RECORD_KIND_MASK) {
    record.readAt(bytes, position, limit)
    return compareKeys(bytes, record.keyStart, record.keyBytes, key, start, size)
  }
  while (bytes[at++]! >= 0x80); // sequence
  let keyBytes = bytes[at++]!
  if (keyBytes >= 0x80) {
    keyBytes &= 0x7f
    for (let shift = 7, byte = 0x80; byte >= 0x80; shift += 7) {
      byte = bytes[at++]!
      keyBytes |= (byte & 0x7f) << shift
    }
  }
  return compareKeys(bytes, at, keyBytes, key, start, size)
}
