/**
 * The directory of a segment: one fixed-width row per part, sorted by (logId, type, firstOffset). `SegmentDirectory` reads the raw bytes in
 * place, so that a segment of ten thousand tails costs no ten thousand objects. A part's number is its place in the directory.
 *
 * The catalog keeps these bytes too; what they mean is therefore the same there and in the file.
 */

import { damagedBytes } from '../codec/damage.ts'
import { readI64LE, readU16LE, readU32LE, write32LE, writeI64LE, writeU16LE } from '../codec/fixed-width.ts'
import { assert, VarveError } from '../errors.ts'
import {
  DIRECTORY_BATCH_COUNT,
  DIRECTORY_BLOCK_COUNT,
  DIRECTORY_BODY_BYTES,
  DIRECTORY_BODY_POSITION,
  DIRECTORY_END_OFFSET,
  DIRECTORY_ENTRY_BYTES,
  DIRECTORY_FIRST_OFFSET,
  DIRECTORY_FLAGS,
  DIRECTORY_INDEX_BYTES,
  DIRECTORY_INDEX_CHECKSUM,
  DIRECTORY_INDEX_POSITION,
  DIRECTORY_LEVEL,
  DIRECTORY_LOG_ID,
  DIRECTORY_MAX_SEQUENCE,
  DIRECTORY_MAX_TIMESTAMP,
  DIRECTORY_MIN_SEQUENCE,
  DIRECTORY_MIN_TIMESTAMP,
  DIRECTORY_RECORD_COUNT,
  DIRECTORY_TYPE,
  DIRECTORY_ZEROS,
  PART_BODY,
  PART_FLAG_VERSIONED,
  PART_FLAGS_KNOWN,
  PART_RUN,
  PART_TOPIC,
} from './format.ts'
import type { PartFacts, PartStart } from './part.ts'

export class SegmentDirectory {
  readonly bytes: Uint8Array
  readonly partCount: number

  constructor(bytes: Uint8Array) {
    assert(bytes.length % DIRECTORY_ENTRY_BYTES === 0, 'a directory is whole entries', bytes.length)
    this.bytes = bytes
    this.partCount = bytes.length / DIRECTORY_ENTRY_BYTES
  }

  logId(part: number): number {
    return readU32LE(this.bytes, this.#at(part) + DIRECTORY_LOG_ID)
  }

  /** PART_TOPIC, PART_RUN or PART_BODY. */
  type(part: number): number {
    return this.bytes[this.#at(part) + DIRECTORY_TYPE]!
  }

  level(part: number): number {
    return this.bytes[this.#at(part) + DIRECTORY_LEVEL]!
  }

  flags(part: number): number {
    return readU16LE(this.bytes, this.#at(part) + DIRECTORY_FLAGS)
  }

  isVersioned(part: number): boolean {
    return (this.flags(part) & PART_FLAG_VERSIONED) !== 0
  }

  /** File position of the body. */
  position(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_BODY_POSITION)
  }

  /** Bytes of the body. */
  byteCount(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_BODY_BYTES)
  }

  firstOffset(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_FIRST_OFFSET)
  }

  /** Exclusive. */
  endOffset(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_END_OFFSET)
  }

  recordCount(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_RECORD_COUNT)
  }

  /** Batches of a topic or body part; 0 for a run. */
  batchCount(part: number): number {
    return readU32LE(this.bytes, this.#at(part) + DIRECTORY_BATCH_COUNT)
  }

  /** Ms; -1 unknown. */
  minTimestamp(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_MIN_TIMESTAMP)
  }

  /** Ms; -1 unknown. */
  maxTimestamp(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_MAX_TIMESTAMP)
  }

  minSequence(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_MIN_SEQUENCE)
  }

  maxSequence(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_MAX_SEQUENCE)
  }

  indexPosition(part: number): number {
    return readI64LE(this.bytes, this.#at(part) + DIRECTORY_INDEX_POSITION)
  }

  indexByteCount(part: number): number {
    return readU32LE(this.bytes, this.#at(part) + DIRECTORY_INDEX_BYTES)
  }

  blockCount(part: number): number {
    return readU32LE(this.bytes, this.#at(part) + DIRECTORY_BLOCK_COUNT)
  }

  /** Where the index section's checksum lies in `bytes`. */
  indexChecksumAt(part: number): number {
    return this.#at(part) + DIRECTORY_INDEX_CHECKSUM
  }

  /** First part of the log, or where it would stand; parts of a log are `[find(id), find(id + 1))`. */
  find(logId: number): number {
    let from = 0
    let to = this.partCount
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.logId(middle) < logId) from = middle + 1
      else to = middle
    }
    return from
  }

  /**
   * Checks every row by itself and the order of rows; positions against `[bodiesStart, directoryPosition)`. Throws CORRUPT with the position
   * in `bytes`, or NEWER_FORMAT. After it all accessors return safe integers.
   */
  check(bodiesStart: number, directoryPosition: number): void {
    for (let part = 0; part < this.partCount; part++) {
      const at = this.#at(part)
      const type = this.type(part)
      if (type !== PART_TOPIC && type !== PART_RUN && type !== PART_BODY) throw newerPart('type', type, at)
      if ((this.flags(part) & ~PART_FLAGS_KNOWN) !== 0) throw newerPart('flags', this.flags(part), at)
      const position = this.position(part)
      const end = position + this.byteCount(part)
      const indexEnd = this.indexPosition(part) + this.indexByteCount(part)
      if (position < bodiesStart || end < position || end > this.indexPosition(part) || indexEnd > directoryPosition) {
        throw damagedBytes('directory entry names positions outside the file', at, { part, actual: end, expected: directoryPosition })
      }
      if (this.firstOffset(part) < 0 || this.endOffset(part) < this.firstOffset(part) || this.recordCount(part) < 0) {
        throw damagedBytes('directory entry has impossible offsets', at, { part })
      }
      if (this.minSequence(part) < 0 || this.maxSequence(part) < this.minSequence(part)) {
        throw damagedBytes('directory entry has impossible sequences', at, { part })
      }
      if (this.minTimestamp(part) < -1 || this.maxTimestamp(part) < -1 || readU32LE(this.bytes, at + DIRECTORY_ZEROS) !== 0) {
        throw damagedBytes('directory entry has impossible fields', at, { part })
      }
      if (part > 0 && this.#compare(part - 1, part) > 0) throw damagedBytes('directory entries are not in order', at, { part })
    }
  }

  #compare(left: number, right: number): number {
    return this.logId(left) - this.logId(right) || this.type(left) - this.type(right) || this.firstOffset(left) - this.firstOffset(right)
  }

  #at(part: number): number {
    assert(part >= 0 && part < this.partCount, 'a part of this segment', part, this.partCount)
    return part * DIRECTORY_ENTRY_BYTES
  }
}

function newerPart(field: string, actual: number, position: number): VarveError {
  return new VarveError('NEWER_FORMAT', `part with ${field} ${actual} is not known to this version`, { details: { position, actual } })
}

/** What a directory row holds beside what the writers of bodies know. */
export interface PartPlace {
  readonly position: number
  readonly bytes: number
  readonly indexPosition: number
  readonly indexBytes: number
}

/** Writes one row, without its index checksum. */
export function writeDirectoryEntry(
  bytes: Uint8Array,
  at: number,
  start: PartStart,
  facts: Omit<PartFacts, 'index' | 'tables'>,
  place: PartPlace,
): void {
  bytes.fill(0, at, at + DIRECTORY_ENTRY_BYTES)
  write32LE(bytes, at + DIRECTORY_LOG_ID, start.logId)
  bytes[at + DIRECTORY_TYPE] = start.type
  bytes[at + DIRECTORY_LEVEL] = start.level ?? 0
  writeU16LE(bytes, at + DIRECTORY_FLAGS, start.versioned === true ? PART_FLAG_VERSIONED : 0)
  writeI64LE(bytes, at + DIRECTORY_BODY_POSITION, place.position)
  writeI64LE(bytes, at + DIRECTORY_BODY_BYTES, place.bytes)
  writeI64LE(bytes, at + DIRECTORY_FIRST_OFFSET, facts.firstOffset)
  writeI64LE(bytes, at + DIRECTORY_END_OFFSET, facts.endOffset)
  writeI64LE(bytes, at + DIRECTORY_RECORD_COUNT, facts.recordCount)
  writeI64LE(bytes, at + DIRECTORY_MIN_TIMESTAMP, facts.minTimestamp)
  writeI64LE(bytes, at + DIRECTORY_MAX_TIMESTAMP, facts.maxTimestamp)
  writeI64LE(bytes, at + DIRECTORY_MIN_SEQUENCE, facts.minSequence)
  writeI64LE(bytes, at + DIRECTORY_MAX_SEQUENCE, facts.maxSequence)
  writeI64LE(bytes, at + DIRECTORY_INDEX_POSITION, place.indexPosition)
  write32LE(bytes, at + DIRECTORY_INDEX_BYTES, place.indexBytes)
  write32LE(bytes, at + DIRECTORY_BLOCK_COUNT, facts.blockCount)
  write32LE(bytes, at + DIRECTORY_BATCH_COUNT, facts.batchCount)
}
