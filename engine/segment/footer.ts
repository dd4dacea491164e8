/**
 * Header, footer and trailer of a segment: writing them, and reading them from bytes that nobody has checked. Layout: `format.ts`.
 *
 * The footer names the edit that made the file ("output i of n"), the parts that the edit replaced, and the logs by name, so that `repair`
 * can rebuild the catalog from the files alone. Readers throw CORRUPT with the position in the bytes they were given, or NEWER_FORMAT.
 */
import { type Extension, extensionsSize, readExtensions, writeExtensions } from '../batch/extension.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readI64LE, readU16LE, readU32LE, write32LE, writeI64LE, writeU16LE } from '../codec/fixed-width.ts'
import { XXH64_BYTES, xxh64Equals, xxh64Into } from '../codec/xxh64.ts'
import { assert, VarveError } from '../errors.ts'
import {
  DIRECTORY_ENTRY_BYTES,
  FOOTER_DIRECTORY_CHECKSUM,
  FOOTER_DIRECTORY_POSITION,
  FOOTER_EDIT_ID,
  FOOTER_FIXED_BYTES,
  FOOTER_NAME_COUNT,
  FOOTER_OUTPUT_COUNT,
  FOOTER_OUTPUT_INDEX,
  FOOTER_PART_COUNT,
  FOOTER_REPLACED_COUNT,
  FOOTER_SEGMENT_ID,
  FOOTER_ZEROS,
  HEADER_CHECKSUM,
  HEADER_CREATED,
  HEADER_DATABASE_ID,
  HEADER_EDIT_ID,
  HEADER_FLAGS,
  HEADER_MAGIC,
  HEADER_SEGMENT_ID,
  HEADER_SIZE,
  HEADER_VERSION,
  HEADER_ZEROS,
  NAME_ENTRY_BYTES,
  REPLACED_ENTRY_BYTES,
  SEGMENT_END_MAGIC,
  SEGMENT_HEADER_BYTES,
  SEGMENT_MAGIC,
  SEGMENT_VERSION,
  TRAILER_BYTES,
  TRAILER_CHECKSUM,
  TRAILER_FLAGS,
  TRAILER_FOOTER_BYTES,
  TRAILER_FOOTER_CHECKSUM,
  TRAILER_FOOTER_POSITION,
  TRAILER_MAGIC,
  TRAILER_VERSION,
} from './format.ts'

/** Who made a segment. */
export interface SegmentMeta {
  readonly segmentId: number
  /** 8 bytes, drawn when the database was created. */
  readonly databaseId: Uint8Array
  /** The edit of the system log that made the file. */
  readonly editId: number
  /** Ms since 1970. */
  readonly createdMs: number
}

/** A part of another segment that the edit replaced. */
export interface ReplacedPart {
  readonly segmentId: number
  readonly part: number
}

export interface SegmentName {
  readonly logId: number
  /** u8, as the catalog numbers kinds of logs. */
  readonly kind: number
  readonly name: string
}

export interface Footer {
  readonly segmentId: number
  readonly editId: number
  readonly outputIndex: number
  readonly outputCount: number
  readonly directoryPosition: number
  readonly partCount: number
  readonly directoryChecksum: Uint8Array
  readonly replaced: readonly ReplacedPart[]
  readonly names: readonly SegmentName[]
  readonly extensions: readonly Extension[]
}

export interface Trailer {
  readonly footerPosition: number
  readonly footerBytes: number
  readonly footerChecksum: Uint8Array
}

export function encodeHeader(meta: SegmentMeta): Uint8Array {
  assert(meta.databaseId.length === 8, 'a database id is 8 bytes', meta.databaseId.length)
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
  bytes.set(SEGMENT_MAGIC, HEADER_MAGIC)
  writeU16LE(bytes, HEADER_VERSION, SEGMENT_VERSION)
  write32LE(bytes, HEADER_SIZE, SEGMENT_HEADER_BYTES)
  writeI64LE(bytes, HEADER_SEGMENT_ID, meta.segmentId)
  bytes.set(meta.databaseId, HEADER_DATABASE_ID)
  writeI64LE(bytes, HEADER_EDIT_ID, meta.editId)
  writeI64LE(bytes, HEADER_CREATED, meta.createdMs)
  xxh64Into(bytes, 0, HEADER_CHECKSUM, bytes, HEADER_CHECKSUM)
  return bytes
}

export function decodeHeader(bytes: Uint8Array): SegmentMeta {
  if (bytes.length < SEGMENT_HEADER_BYTES) throw damagedBytes('segment header is cut off', bytes.length)
  if (!startsWith(bytes, HEADER_MAGIC, SEGMENT_MAGIC)) throw damagedBytes('not a segment: the first bytes differ', 0)
  if (!xxh64Equals(bytes, 0, HEADER_CHECKSUM, bytes, HEADER_CHECKSUM)) throw damagedBytes('segment header checksum differs', 0)
  checkVersion(readU16LE(bytes, HEADER_VERSION), readU16LE(bytes, HEADER_FLAGS), 0)
  const segmentId = readI64LE(bytes, HEADER_SEGMENT_ID)
  const editId = readI64LE(bytes, HEADER_EDIT_ID)
  const createdMs = readI64LE(bytes, HEADER_CREATED)
  if (readU32LE(bytes, HEADER_SIZE) !== SEGMENT_HEADER_BYTES || readI64LE(bytes, HEADER_ZEROS) !== 0 || segmentId < 0 || editId < 0) {
    throw damagedBytes('segment header has impossible fields', 0)
  }
  return { segmentId, databaseId: bytes.slice(HEADER_DATABASE_ID, HEADER_DATABASE_ID + 8), editId, createdMs }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export function encodeFooter(footer: Footer): Uint8Array {
  const { replaced, extensions } = footer
  const names = footer.names.map(entry => ({ entry, bytes: encoder.encode(entry.name) }))
  let size = FOOTER_FIXED_BYTES + replaced.length * REPLACED_ENTRY_BYTES + extensionsSize(extensions)
  for (const { bytes } of names) size += NAME_ENTRY_BYTES + bytes.length
  const bytes = new Uint8Array(size)
  writeI64LE(bytes, FOOTER_SEGMENT_ID, footer.segmentId)
  writeI64LE(bytes, FOOTER_EDIT_ID, footer.editId)
  write32LE(bytes, FOOTER_OUTPUT_INDEX, footer.outputIndex)
  write32LE(bytes, FOOTER_OUTPUT_COUNT, footer.outputCount)
  writeI64LE(bytes, FOOTER_DIRECTORY_POSITION, footer.directoryPosition)
  write32LE(bytes, FOOTER_PART_COUNT, footer.partCount)
  write32LE(bytes, FOOTER_REPLACED_COUNT, replaced.length)
  bytes.set(footer.directoryChecksum, FOOTER_DIRECTORY_CHECKSUM)
  write32LE(bytes, FOOTER_NAME_COUNT, names.length)
  let at = FOOTER_FIXED_BYTES
  for (const { segmentId, part } of replaced) {
    writeI64LE(bytes, at, segmentId)
    write32LE(bytes, at + 8, part)
    at += REPLACED_ENTRY_BYTES
  }
  for (const { entry, bytes: name } of names) {
    assert(name.length <= 0xffff, 'a log name is below 64 KiB', name.length)
    write32LE(bytes, at, entry.logId)
    bytes[at + 4] = entry.kind
    writeU16LE(bytes, at + 6, name.length)
    bytes.set(name, at + NAME_ENTRY_BYTES)
    at += NAME_ENTRY_BYTES + name.length
  }
  at = writeExtensions(bytes, at, extensions)
  assert(at === size, 'the footer has the size that was counted', at, size)
  return bytes
}

export function decodeFooter(bytes: Uint8Array): Footer {
  const size = bytes.length
  if (size < FOOTER_FIXED_BYTES) throw damagedBytes('segment footer is cut off', 0, { actual: size })
  const replacedCount = readU32LE(bytes, FOOTER_REPLACED_COUNT)
  const nameCount = readU32LE(bytes, FOOTER_NAME_COUNT)
  if (replacedCount * REPLACED_ENTRY_BYTES + nameCount * NAME_ENTRY_BYTES > size) throw damagedBytes('segment footer lists are cut off', 0)
  let at = FOOTER_FIXED_BYTES
  const replaced: ReplacedPart[] = []
  for (let i = 0; i < replacedCount; i++) {
    replaced.push({ segmentId: readI64LE(bytes, at), part: readU32LE(bytes, at + 8) })
    at += REPLACED_ENTRY_BYTES
  }
  const names: SegmentName[] = []
  for (let i = 0; i < nameCount; i++) {
    const nameBytes = readU16LE(bytes, at + 6)
    const end = at + NAME_ENTRY_BYTES + nameBytes
    if (end > size || bytes[at + 5] !== 0) throw damagedBytes('segment footer name is impossible', at)
    names.push({ logId: readU32LE(bytes, at), kind: bytes[at + 4]!, name: decodeName(bytes, at + NAME_ENTRY_BYTES, end) })
    at = end
  }
  if (at > size || readU32LE(bytes, FOOTER_ZEROS) !== 0) throw damagedBytes('segment footer lists do not fit', 0)
  const footer: Footer = {
    segmentId: readI64LE(bytes, FOOTER_SEGMENT_ID),
    editId: readI64LE(bytes, FOOTER_EDIT_ID),
    outputIndex: readU32LE(bytes, FOOTER_OUTPUT_INDEX),
    outputCount: readU32LE(bytes, FOOTER_OUTPUT_COUNT),
    directoryPosition: readI64LE(bytes, FOOTER_DIRECTORY_POSITION),
    partCount: readU32LE(bytes, FOOTER_PART_COUNT),
    directoryChecksum: bytes.slice(FOOTER_DIRECTORY_CHECKSUM, FOOTER_DIRECTORY_CHECKSUM + XXH64_BYTES),
    replaced,
    names,
    extensions: readExtensions(bytes, at, size),
  }
  if (
    footer.segmentId < 0 ||
    footer.editId < 0 ||
    footer.outputIndex >= footer.outputCount ||
    footer.directoryPosition < SEGMENT_HEADER_BYTES
  ) {
    throw damagedBytes('segment footer has impossible fields', 0)
  }
  return footer
}

function decodeName(bytes: Uint8Array, start: number, end: number): string {
  try {
    return decoder.decode(bytes.slice(start, end))
  } catch (error) {
    throw damagedBytes('log name is not UTF-8', start, {}, error)
  }
}

export function encodeTrailer(footerPosition: number, footer: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(TRAILER_BYTES)
  writeI64LE(bytes, TRAILER_FOOTER_POSITION, footerPosition)
  write32LE(bytes, TRAILER_FOOTER_BYTES, footer.length)
  writeU16LE(bytes, TRAILER_VERSION, SEGMENT_VERSION)
  xxh64Into(footer, 0, footer.length, bytes, TRAILER_FOOTER_CHECKSUM)
  xxh64Into(bytes, 0, TRAILER_CHECKSUM, bytes, TRAILER_CHECKSUM)
  bytes.set(SEGMENT_END_MAGIC, TRAILER_MAGIC)
  return bytes
}

/** The trailer at `bytes[at]`, where `fileBytes` is the size of the file that ends with it. */
export function decodeTrailer(bytes: Uint8Array, at: number, fileBytes: number): Trailer {
  if (at < 0 || bytes.length - at < TRAILER_BYTES) throw damagedBytes('segment trailer is cut off', Math.max(0, at))
  if (!startsWith(bytes, at + TRAILER_MAGIC, SEGMENT_END_MAGIC)) throw damagedBytes('not a whole segment: the last bytes differ', at)
  if (!xxh64Equals(bytes, at, at + TRAILER_CHECKSUM, bytes, at + TRAILER_CHECKSUM))
    throw damagedBytes('segment trailer checksum differs', at)
  checkVersion(readU16LE(bytes, at + TRAILER_VERSION), readU16LE(bytes, at + TRAILER_FLAGS), at)
  const footerPosition = readI64LE(bytes, at + TRAILER_FOOTER_POSITION)
  const footerBytes = readU32LE(bytes, at + TRAILER_FOOTER_BYTES)
  if (footerPosition < SEGMENT_HEADER_BYTES || footerPosition + footerBytes + TRAILER_BYTES !== fileBytes) {
    throw damagedBytes('segment trailer does not fit the file', at, { expected: fileBytes, actual: footerPosition + footerBytes })
  }
  return {
    footerPosition,
    footerBytes,
    footerChecksum: bytes.slice(at + TRAILER_FOOTER_CHECKSUM, at + TRAILER_FOOTER_CHECKSUM + XXH64_BYTES),
  }
}

/** Bytes of the directory, which ends where the footer begins. */
export function directoryBytes(footer: Footer): number {
  return footer.partCount * DIRECTORY_ENTRY_BYTES
}

function startsWith(bytes: Uint8Array, at: number, magic: Uint8Array): boolean {
  for (let i = 0; i < magic.length; i++) if (bytes[at + i] !== magic[i]) return false
  return true
}

function checkVersion(version: number, flags: number, position: number): void {
  if (version > SEGMENT_VERSION || flags !== 0) {
    throw new VarveError('NEWER_FORMAT', `segment version ${version}, flags ${flags} are not known to this version`, {
      details: { position, expected: SEGMENT_VERSION, actual: version },
    })
  }
  if (version === 0) throw damagedBytes('segment version is zero', position)
}
