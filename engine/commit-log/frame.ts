/**
 * Frames: sealing one in an arena, and checking one that was read. Pure functions over bytes; who writes them is `commit-log.ts`, who decides
 * what a bad frame means is `recovery.ts`.
 *
 * A frame is all or nothing: its checksum covers everything but itself, so a torn write is a frame that does not check.
 */
import { skipExtensions } from '../batch/extension.ts'
import { xxh64Equals, xxh64Into } from '../codec/xxh64.ts'
import { assert, VarveError } from '../errors.ts'
import {
  ENTRY_BODY_SIZE,
  ENTRY_EXTENSION_SIZE,
  ENTRY_FLAGS,
  ENTRY_FLAGS_KNOWN,
  ENTRY_HEADER_BYTES,
  ENTRY_KIND,
  ENTRY_LOG_ID,
  FRAME_BYTES_LIMIT,
  FRAME_CHECKED_FROM,
  FRAME_CHECKSUM,
  FRAME_DURABLE_LSN,
  FRAME_ENTRY_COUNT,
  FRAME_FLAGS,
  FRAME_FLAGS_KNOWN,
  FRAME_HEADER_BYTES,
  FRAME_HEADER_SIZE,
  FRAME_LSN,
  FRAME_MAGIC,
  FRAME_MAGIC_AT,
  FRAME_PREVIOUS_CHECKSUM,
  FRAME_SEQUENCE,
  FRAME_SIZE,
  FRAME_TAG,
  FRAME_TIME,
  FRAME_VERSION,
  FRAME_VERSION_AT,
} from './format.ts'

/** Bytes with the two ways this code looks at them. */
export interface FrameBuffer {
  readonly bytes: Uint8Array
  readonly view: DataView
}

export interface FrameFacts {
  readonly flags: number
  readonly entryCount: number
  readonly tag: Uint8Array
  readonly lsn: number
  readonly durableLsn: number
  readonly previousChecksum: Uint8Array
  readonly sequence: number
  readonly time: number
}

/** Fills the header of the frame at `[start, end)` and its checksum. Entries and nothing else lie behind the header. */
export function sealFrame(buffer: FrameBuffer, start: number, end: number, facts: FrameFacts): void {
  const { bytes, view } = buffer
  const size = end - start
  assert(size >= FRAME_HEADER_BYTES && size <= FRAME_BYTES_LIMIT, 'frame size', size)
  view.setUint32(start + FRAME_MAGIC_AT, FRAME_MAGIC, true)
  view.setUint8(start + FRAME_VERSION_AT, FRAME_VERSION)
  view.setUint8(start + FRAME_FLAGS, facts.flags)
  view.setUint16(start + FRAME_HEADER_SIZE, FRAME_HEADER_BYTES, true)
  view.setUint32(start + FRAME_SIZE, size, true)
  view.setUint32(start + FRAME_ENTRY_COUNT, facts.entryCount, true)
  bytes.set(facts.tag, start + FRAME_TAG)
  writeU64(view, start + FRAME_LSN, facts.lsn)
  writeU64(view, start + FRAME_DURABLE_LSN, facts.durableLsn)
  bytes.set(facts.previousChecksum, start + FRAME_PREVIOUS_CHECKSUM)
  writeU64(view, start + FRAME_SEQUENCE, facts.sequence)
  writeU64(view, start + FRAME_TIME, facts.time)
  xxh64Into(bytes, start + FRAME_CHECKED_FROM, end, bytes, start + FRAME_CHECKSUM)
}

/** A frame that checked. Positions are in the buffer it was read from. */
export interface Frame extends FrameFacts {
  readonly start: number
  /** After the last entry, before padding. */
  readonly end: number
  readonly headerBytes: number
  readonly checksum: Uint8Array
}

/**
 * The frame at `start`, or undefined when what stands there is none: zeros, stale, torn, flipped. Never reads behind `limit`. Throws
 * NEWER_FORMAT for a frame that checks and was written by a newer version.
 */
export function readFrame(buffer: FrameBuffer, start: number, limit: number): Frame | undefined {
  const { bytes, view } = buffer
  if (start + FRAME_HEADER_BYTES > limit) return undefined
  if (view.getUint32(start + FRAME_MAGIC_AT, true) !== FRAME_MAGIC) return undefined
  const size = view.getUint32(start + FRAME_SIZE, true)
  const headerBytes = view.getUint16(start + FRAME_HEADER_SIZE, true)
  if (size < FRAME_HEADER_BYTES || size > FRAME_BYTES_LIMIT || start + size > limit) return undefined
  if (headerBytes < FRAME_HEADER_BYTES || headerBytes > size) return undefined
  if (!xxh64Equals(bytes, start + FRAME_CHECKED_FROM, start + size, bytes, start + FRAME_CHECKSUM)) return undefined
  const version = view.getUint8(start + FRAME_VERSION_AT)
  if (version === 0) return undefined
  const flags = view.getUint8(start + FRAME_FLAGS)
  if (version > FRAME_VERSION || (flags & ~FRAME_FLAGS_KNOWN) !== 0) {
    throw new VarveError(
      'NEWER_FORMAT',
      `frame at byte ${start} has format version ${version} and flags ${flags}, this version knows ${FRAME_VERSION}`,
      {
        details: { position: start, expected: FRAME_VERSION, actual: version },
      },
    )
  }
  const lsn = readU64(view, start + FRAME_LSN)
  const durableLsn = readU64(view, start + FRAME_DURABLE_LSN)
  const sequence = readU64(view, start + FRAME_SEQUENCE)
  const time = readU64(view, start + FRAME_TIME)
  if (lsn < 0 || durableLsn < 0 || sequence < 0 || time < 0) return undefined
  skipExtensions(bytes, start + FRAME_HEADER_BYTES, start + headerBytes)
  return {
    start,
    end: start + size,
    headerBytes,
    flags: view.getUint8(start + FRAME_FLAGS),
    entryCount: view.getUint32(start + FRAME_ENTRY_COUNT, true),
    tag: bytes.slice(start + FRAME_TAG, start + FRAME_TAG + 8),
    lsn,
    durableLsn,
    previousChecksum: bytes.slice(start + FRAME_PREVIOUS_CHECKSUM, start + FRAME_PREVIOUS_CHECKSUM + 8),
    sequence,
    time,
    checksum: bytes.slice(start + FRAME_CHECKSUM, start + FRAME_CHECKSUM + 8),
  }
}

/** Writes an entry header without extensions; the body follows it. */
export function writeEntryHeader(view: DataView, at: number, kind: number, flags: number, logId: number, bodyBytes: number): void {
  view.setUint8(at + ENTRY_KIND, kind)
  view.setUint8(at + ENTRY_FLAGS, flags)
  view.setUint16(at + ENTRY_EXTENSION_SIZE, 0, true)
  view.setUint32(at + ENTRY_LOG_ID, logId, true)
  view.setUint32(at + ENTRY_BODY_SIZE, bodyBytes, true)
}

/** Called for each entry of a frame: body is `[bodyStart, bodyEnd)`. */
export type EntryVisitor = (kind: number, flags: number, logId: number, bodyStart: number, bodyEnd: number) => void

/**
 * Walks the entries of a frame that checked. A frame whose checksum is right but whose entries do not add up was written wrong: the returned
 * text says how, and the caller turns it into CORRUPT with file and position; undefined means all is well.
 */
export function visitEntries(buffer: FrameBuffer, frame: Frame, visit: EntryVisitor): string | undefined {
  const { bytes, view } = buffer
  let at = frame.start + frame.headerBytes
  for (let i = 0; i < frame.entryCount; i++) {
    if (at + ENTRY_HEADER_BYTES > frame.end) return 'entry header crosses the end of its frame'
    const extensionBytes = view.getUint16(at + ENTRY_EXTENSION_SIZE, true)
    const bodyStart = at + ENTRY_HEADER_BYTES + extensionBytes
    const bodyEnd = bodyStart + view.getUint32(at + ENTRY_BODY_SIZE, true)
    if (bodyEnd > frame.end) return 'entry body crosses the end of its frame'
    skipExtensions(bytes, at + ENTRY_HEADER_BYTES, bodyStart)
    const flags = view.getUint8(at + ENTRY_FLAGS)
    if ((flags & ~ENTRY_FLAGS_KNOWN) !== 0) {
      throw new VarveError('NEWER_FORMAT', `entry flags ${flags} are not known to this version (at byte ${at})`, {
        details: { position: at, actual: flags },
      })
    }
    visit(view.getUint8(at + ENTRY_KIND), flags, view.getUint32(at + ENTRY_LOG_ID, true), bodyStart, bodyEnd)
    at = bodyEnd
  }
  return at === frame.end ? undefined : 'bytes behind the last entry of a frame'
}

/** u64 as a number; -1 when it is above 2^53 - 1. */
export function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true)
  return high > 0x1f_ffff ? -1 : high * 0x1_0000_0000 + view.getUint32(at, true)
}

export function writeU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'u64 value', value)
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.byteLength !== right.byteLength) return false
  for (let i = 0; i < left.byteLength; i++) if (left[i] !== right[i]) return false
  return true
}
