/**
 * Store batches: header accessors, the writer, the checksum, and the check of bytes from anywhere. Layout: `store-format.ts`.
 *
 * Accessors take (buffer, position) of a batch that was checked, or written by this process, and return a number. Invariant of every batch:
 * record i has offset baseOffset + i and carries sequence baseSequence + i. The checksum covers all bytes but its own and is filled only when
 * asked for: a batch that was born here is protected by its frame until it leaves (to a segment, a replica, the wire).
 */
import { CODEC_NONE, codecNameOf, compress, decompress } from '../codec/compression.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readI32LE, readI64LE, readU16LE, readU32LE, write32LE, writeI64LE, writeU16LE } from '../codec/fixed-width.ts'
import { readVarint, varintEnd, varintSize, writeVarint } from '../codec/varint.ts'
import { XXH64_BYTES, Xxh64Stream, xxh64Into } from '../codec/xxh64.ts'
import { assert, VarveError } from '../errors.ts'
import { type Extension, extensionsSize, skipExtensions, writeExtensions } from './extension.ts'
import {
  STORE_BATCH_BASE_OFFSET,
  STORE_BATCH_BASE_SEQUENCE,
  STORE_BATCH_CHECKSUM,
  STORE_BATCH_CODEC,
  STORE_BATCH_COUNT,
  STORE_BATCH_EPOCH,
  STORE_BATCH_FLAG_CHECKSUM,
  STORE_BATCH_FLAGS,
  STORE_BATCH_FLAGS_KNOWN,
  STORE_BATCH_HEADER_BYTES,
  STORE_BATCH_HEADER_SIZE,
  STORE_BATCH_SIZE,
  STORE_BATCH_TIMESTAMP,
  STORE_BATCH_VERSION,
  STORE_BATCH_VERSION_AT,
  STORE_BATCH_ZEROS,
  STORE_BYTES_LIMIT,
} from './store-format.ts'
import { type RecordVersion, StoreRecordCursor, writeStoreRecord } from './store-record.ts'

export const storeBatchSize = (buffer: Uint8Array, position: number): number => readU32LE(buffer, position + STORE_BATCH_SIZE)
export const storeBatchCodec = (buffer: Uint8Array, position: number): number => buffer[position + STORE_BATCH_CODEC]!
export const storeBatchBaseOffset = (buffer: Uint8Array, position: number): number => readI64LE(buffer, position + STORE_BATCH_BASE_OFFSET)
export const storeBatchBaseSequence = (buffer: Uint8Array, position: number): number =>
  readI64LE(buffer, position + STORE_BATCH_BASE_SEQUENCE)
export const storeBatchTimestamp = (buffer: Uint8Array, position: number): number => readI64LE(buffer, position + STORE_BATCH_TIMESTAMP)
export const storeBatchEpoch = (buffer: Uint8Array, position: number): number => readI32LE(buffer, position + STORE_BATCH_EPOCH)
export const storeBatchCount = (buffer: Uint8Array, position: number): number => readU32LE(buffer, position + STORE_BATCH_COUNT)
/** Position of the records section. */
export const storeBatchRecords = (buffer: Uint8Array, position: number): number =>
  position + readU16LE(buffer, position + STORE_BATCH_HEADER_SIZE)
export const isStoreBatchChecksumFilled = (buffer: Uint8Array, position: number): boolean =>
  (readU16LE(buffer, position + STORE_BATCH_FLAGS) & STORE_BATCH_FLAG_CHECKSUM) !== 0

export interface StoreBatchFacts {
  readonly baseOffset: number
  readonly baseSequence: number
  /** Ms since 1970. */
  readonly timestamp: number
  readonly epoch: number
  readonly extensions?: readonly Extension[]
}

/** Bytes of a header with these extensions. */
export function storeBatchHeaderSize(extensions: readonly Extension[] = []): number {
  return STORE_BATCH_HEADER_BYTES + extensionsSize(extensions)
}

/**
 * Encodes batches straight into a buffer whose owner has made room (`storeBatchHeaderSize` and `storeRecordSize` say how much). One writer
 * serves any number of batches, one after the other: `begin`, `add`*, `finish`.
 */
export class StoreBatchWriter {
  #target: Uint8Array = new Uint8Array(0)
  #start = -1
  #at = 0
  #headerBytes = 0
  #sequence = 0
  #count = 0
  #facts: StoreBatchFacts | undefined

  begin(target: Uint8Array, position: number, facts: StoreBatchFacts): void {
    assert(this.#facts === undefined, 'the batch before was finished')
    this.#headerBytes = storeBatchHeaderSize(facts.extensions)
    assert(position >= 0 && position + this.#headerBytes <= target.length, 'a batch header fits its target', position, target.length)
    assert(this.#headerBytes <= 0xffff, 'a batch header is below 64 KiB', this.#headerBytes)
    this.#target = target
    this.#start = position
    this.#at = position + this.#headerBytes
    this.#sequence = facts.baseSequence
    this.#count = 0
    this.#facts = facts
  }

  /** Forgets a batch that was begun and not finished. */
  abandon(): void {
    this.#facts = undefined
  }

  /** Appends a record with the next sequence and returns its position. `expiry` 0: none. */
  add(
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyBytes: number,
    value: Uint8Array,
    valueStart: number,
    valueBytes: number,
    expiry: number = 0,
    version: RecordVersion | undefined = undefined,
  ): number {
    const position = this.#at
    const sequence = this.#sequence++
    this.#at = writeStoreRecord(
      this.#target,
      position,
      kind,
      sequence,
      key,
      keyStart,
      keyBytes,
      value,
      valueStart,
      valueBytes,
      expiry,
      version,
    )
    this.#count++
    return position
  }

  /** Fills the header and returns the position after the batch. With a `codec` the records are compressed if that makes them smaller. */
  finish(codec: number = CODEC_NONE, fillChecksum: boolean = false): number {
    const facts = this.#facts
    assert(facts !== undefined, 'a batch was begun')
    const target = this.#target
    const start = this.#start
    const usedCodec = codec === CODEC_NONE ? CODEC_NONE : this.#compress(codec)
    const size = this.#at - start
    assert(size <= STORE_BYTES_LIMIT, 'store batch size', size)
    target.fill(0, start, start + STORE_BATCH_HEADER_BYTES)
    write32LE(target, start + STORE_BATCH_SIZE, size)
    target[start + STORE_BATCH_VERSION_AT] = STORE_BATCH_VERSION
    target[start + STORE_BATCH_CODEC] = usedCodec
    writeI64LE(target, start + STORE_BATCH_BASE_OFFSET, facts.baseOffset)
    writeI64LE(target, start + STORE_BATCH_BASE_SEQUENCE, facts.baseSequence)
    writeI64LE(target, start + STORE_BATCH_TIMESTAMP, facts.timestamp)
    write32LE(target, start + STORE_BATCH_EPOCH, facts.epoch)
    write32LE(target, start + STORE_BATCH_COUNT, this.#count)
    writeU16LE(target, start + STORE_BATCH_HEADER_SIZE, this.#headerBytes)
    if (facts.extensions !== undefined) writeExtensions(target, start + STORE_BATCH_HEADER_BYTES, facts.extensions)
    if (fillChecksum) fillStoreBatchChecksum(target, start)
    this.#facts = undefined
    return this.#at
  }

  #compress(codec: number): number {
    const from = this.#start + this.#headerBytes
    const plainBytes = this.#at - from
    const packed = compress(codec, this.#target.subarray(from, this.#at))
    if (varintSize(plainBytes) + packed.length >= plainBytes) return CODEC_NONE
    const at = writeVarint(this.#target, from, plainBytes)
    this.#target.set(packed, at)
    this.#at = at + packed.length
    return codec
  }
}

/** Up to this size the two covered ranges are joined by copying, which is cheaper than a hash state. */
const scratchBytes = 64 * 1024
let scratch: Uint8Array | undefined

function checksumInto(buffer: Uint8Array, position: number, size: number, target: Uint8Array, at: number): void {
  const skipEnd = position + STORE_BATCH_CHECKSUM + XXH64_BYTES
  if (size <= scratchBytes) {
    scratch ??= new Uint8Array(scratchBytes)
    scratch.set(buffer.subarray(position, position + STORE_BATCH_CHECKSUM))
    scratch.set(buffer.subarray(skipEnd, position + size), STORE_BATCH_CHECKSUM)
    xxh64Into(scratch, 0, size - XXH64_BYTES, target, at)
    return
  }
  const stream = new Xxh64Stream()
  stream.update(buffer, position, position + STORE_BATCH_CHECKSUM)
  stream.update(buffer, skipEnd, position + size)
  stream.digestInto(target, at)
}

/** Fills the checksum of a finished batch in place; it stays the same when called again. */
export function fillStoreBatchChecksum(buffer: Uint8Array, position: number): void {
  const flags = readU16LE(buffer, position + STORE_BATCH_FLAGS)
  writeU16LE(buffer, position + STORE_BATCH_FLAGS, flags | STORE_BATCH_FLAG_CHECKSUM)
  checksumInto(buffer, position, storeBatchSize(buffer, position), buffer, position + STORE_BATCH_CHECKSUM)
}

/** Puts `cursor` before the first record of a checked batch, decompressing the records when they are compressed. */
export function openStoreBatch(cursor: StoreRecordCursor, buffer: Uint8Array, position: number): void {
  const codec = storeBatchCodec(buffer, position)
  const from = storeBatchRecords(buffer, position)
  const end = position + storeBatchSize(buffer, position)
  if (codec === CODEC_NONE) {
    cursor.reset(buffer, from, end)
    return
  }
  const plainBytes = readVarint(buffer, from, end)
  const packedStart = varintEnd
  if (plainBytes > STORE_BYTES_LIMIT) throw damagedBytes('compressed records name an impossible size', from, { actual: plainBytes })
  const plain = decompress(codec, buffer.subarray(packedStart, end), plainBytes)
  if (plain.length !== plainBytes) {
    throw damagedBytes('compressed records have another size than they name', from, { expected: plainBytes, actual: plain.length })
  }
  cursor.reset(plain, 0, plain.length)
}

/**
 * Checks the header of a batch at `position`: sizes, version, flags, numbers, and the checksum if it is filled. Never reads at or behind
 * `limit`. Returns the position after the batch. Throws CORRUPT or NEWER_FORMAT.
 */
export function checkStoreBatchHeader(buffer: Uint8Array, position: number, limit: number = buffer.length): number {
  assert(position >= 0 && limit <= buffer.length, 'the range lies in the buffer', position, limit)
  if (limit - position < STORE_BATCH_HEADER_BYTES)
    throw damagedBytes('store batch header is cut off', position, { actual: limit - position })
  const size = storeBatchSize(buffer, position)
  if (size < STORE_BATCH_HEADER_BYTES || size > limit - position || size > STORE_BYTES_LIMIT) {
    throw damagedBytes('store batch size is impossible', position, { expected: limit - position, actual: size })
  }
  const flags = readU16LE(buffer, position + STORE_BATCH_FLAGS)
  if ((flags & STORE_BATCH_FLAG_CHECKSUM) !== 0) {
    checksumInto(buffer, position, size, found, 0)
    for (let i = 0; i < XXH64_BYTES; i++) {
      if (found[i] !== buffer[position + STORE_BATCH_CHECKSUM + i]) throw damagedBytes('store batch checksum does not match', position)
    }
  }
  const version = buffer[position + STORE_BATCH_VERSION_AT]!
  if (version > STORE_BATCH_VERSION || (flags & ~STORE_BATCH_FLAGS_KNOWN) !== 0) {
    throw new VarveError(
      'NEWER_FORMAT',
      `store batch version ${version}, flags ${flags} are not known to this version (at byte ${position})`,
      {
        details: { position, expected: STORE_BATCH_VERSION, actual: version },
      },
    )
  }
  if (version === 0) throw damagedBytes('store batch version is zero', position)
  if (codecNameOf(storeBatchCodec(buffer, position)) === undefined) throw damagedBytes('store batch codec is unknown', position)
  const headerBytes = readU16LE(buffer, position + STORE_BATCH_HEADER_SIZE)
  if (headerBytes < STORE_BATCH_HEADER_BYTES || headerBytes > size) {
    throw damagedBytes('store batch header size is impossible', position, { actual: headerBytes })
  }
  for (let i = STORE_BATCH_ZEROS; i < STORE_BATCH_HEADER_BYTES; i++) {
    if (buffer[position + i] !== 0) throw damagedBytes('store batch header has bytes that must be zero', position + i)
  }
  skipExtensions(buffer, position + STORE_BATCH_HEADER_BYTES, position + headerBytes)
  const count = storeBatchCount(buffer, position)
  checkRange(storeBatchBaseOffset(buffer, position), count, position)
  checkRange(storeBatchBaseSequence(buffer, position), count, position)
  checkRange(storeBatchTimestamp(buffer, position), 0, position)
  return position + size
}

const found = new Uint8Array(XXH64_BYTES)
const checkCursor = new StoreRecordCursor()

function checkRange(base: number, count: number, position: number): void {
  if (base < 0 || !Number.isSafeInteger(base + count)) throw damagedBytes('store batch number is out of range', position, { actual: base })
}

/** As `checkStoreBatchHeader`, and every record: structure, consecutive sequences, their number, no byte left over. */
export function checkStoreBatch(buffer: Uint8Array, position: number, limit: number = buffer.length): number {
  const end = checkStoreBatchHeader(buffer, position, limit)
  const count = storeBatchCount(buffer, position)
  const baseSequence = storeBatchBaseSequence(buffer, position)
  openStoreBatch(checkCursor, buffer, position)
  let records = 0
  while (checkCursor.next()) {
    if (records >= count) throw damagedBytes('store batch has more records than it names', position, { expected: count })
    if (checkCursor.sequence !== baseSequence + records) {
      throw damagedBytes('store record has another sequence than its place gives', position, {
        expected: baseSequence + records,
        actual: checkCursor.sequence,
      })
    }
    records++
  }
  checkCursor.reset(found, 0, 0)
  if (records !== count) throw damagedBytes('store batch has fewer records than it names', position, { expected: count, actual: records })
  return end
}
