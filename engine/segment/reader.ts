/**
 * Reads a segment: trailer, footer and directory when it is opened, index sections when they are first asked for, blocks on demand with
 * several adjacent ones in one system call. Every byte handed out was checked under its checksum (unless the caller declines).
 *
 * Owned by whoever opened it, who closes it; a segment never changes, so any number of readers may be open. Errors: CORRUPT with file and
 * byte position, NEWER_FORMAT, IO. The body's meaning is the business of `RunCursor`, of the cache of blocks and of the batch cursors.
 */

import type { Extension } from '../batch/extension.ts'
import { CODEC_NONE } from '../codec/compression.ts'
import { placeDamage } from '../codec/damage.ts'
import { xxh64Equals } from '../codec/xxh64.ts'
import type { File, Files } from '../env/environment.ts'
import { assert, corrupt, ioError, VarveError } from '../errors.ts'
import { blockContent } from './block-content.ts'
import { SegmentDirectory } from './directory.ts'
import { decodeFooter, decodeTrailer, directoryBytes, type Footer, type ReplacedPart, type SegmentName, type Trailer } from './footer.ts'
import { FOOTER_RUN_SUMMARIES, PART_RUN, SEGMENT_HEADER_BYTES, TRAILER_BYTES } from './format.ts'
import { BatchIndex, type BlockIndex, RunIndex } from './part-index.ts'
import { decodeRunSummaries, type RunSummary, summaryOf } from './run-summary.ts'
import { giveBytes, takeBytes } from './scratch-memory.ts'

/** What the catalog knows about the file. */
export interface SegmentExpectation {
  readonly segmentId: number
  readonly bytes: number
  readonly footerChecksum: Uint8Array
}

/** Adjacent blocks in one array, not compressed: block `first + i` starts at `index.contentPosition(first + i) - index.contentPosition(first)`. */
export interface BlockRange {
  readonly bytes: Uint8Array
  readonly first: number
  /** Exclusive. */
  readonly end: number
}

export interface ReadBlocksOptions {
  /** Check every block's checksum. Default true. */
  readonly verify?: boolean
  /** Read into this array if the blocks fit; the result is then a view of it. */
  readonly into?: Uint8Array
}

/** The end of the file that is read when it is opened; most footers and directories fit. */
const tailBytes = 64 * 1024
/** Of every opening, which keeps copies of what it needs: merges open files by the thousand, and such arrays would lie in pieces between what lasts. */
const tailScratch = new Uint8Array(tailBytes)

export interface OpenSegmentOptions {
  readonly expected?: SegmentExpectation
  /** Nothing of its indexes is used once it is closed: their memory is used again then. Default false. */
  readonly isBrief?: boolean
}

export class SegmentReader {
  readonly path: string
  /** Size of the file. */
  readonly bytes: number
  readonly directory: SegmentDirectory
  readonly footerChecksum: Uint8Array
  readonly #file: File
  readonly #footer: Footer
  readonly #indexes = new Map<number, BatchIndex | RunIndex>()
  #summaries: ReadonlyMap<number, RunSummary> | undefined
  /** Memory of indexes, to be given back; undefined: they last as long as somebody has them. */
  readonly #scratch: Uint8Array[] | undefined
  #closed = false
  /** Asynchronous reads under way: the file stays open until they end. */
  #reading = 0

  private constructor(file: File, bytes: number, trailer: Trailer, footer: Footer, directory: SegmentDirectory, isBrief: boolean) {
    this.path = file.path
    this.bytes = bytes
    this.directory = directory
    this.footerChecksum = trailer.footerChecksum
    this.#file = file
    this.#footer = footer
    this.#scratch = isBrief ? [] : undefined
  }

  /** Opens and checks trailer, footer and directory; with `expected`, that it is the file the catalog means. */
  static open(files: Files, path: string, options: OpenSegmentOptions = {}): SegmentReader {
    const file = openFile(files, path)
    try {
      return SegmentReader.#read(file, options)
    } catch (error) {
      file.closeSync()
      throw error
    }
  }

  static #read(file: File, { expected, isBrief = false }: OpenSegmentOptions): SegmentReader {
    const size = fileSize(file)
    if (size < SEGMENT_HEADER_BYTES + TRAILER_BYTES) throw corrupt('file is too short for a segment', file.path, size)
    if (expected !== undefined && expected.bytes !== size) {
      throw corrupt('segment has another size than the catalog says', file.path, size, { expected: expected.bytes, actual: size })
    }
    let tailStart = Math.max(0, size - tailBytes)
    let tail = readRange(file, tailStart, size - tailStart, tailScratch.subarray(0, size - tailStart))
    const trailer = placed(file.path, tailStart, () => decodeTrailer(tail, tail.length - TRAILER_BYTES, size))
    if (trailer.footerPosition < tailStart) {
      tailStart = trailer.footerPosition
      tail = readRange(file, tailStart, size - tailStart)
    }
    const footerAt = trailer.footerPosition - tailStart
    const footerBytes = tail.slice(footerAt, footerAt + trailer.footerBytes)
    if (!xxh64Equals(footerBytes, 0, footerBytes.length, trailer.footerChecksum, 0)) {
      throw corrupt('segment footer checksum differs', file.path, trailer.footerPosition)
    }
    const footer = placed(file.path, trailer.footerPosition, () => decodeFooter(footerBytes))
    if (expected !== undefined) checkExpected(file.path, footer, trailer, expected)
    const size2 = directoryBytes(footer)
    if (footer.directoryPosition + size2 !== trailer.footerPosition) {
      throw corrupt('directory does not end where the footer begins', file.path, footer.directoryPosition, { actual: size2 })
    }
    const inTail = footer.directoryPosition >= tailStart
    const at = footer.directoryPosition - tailStart
    const rows = inTail ? tail.slice(at, at + size2) : readRange(file, footer.directoryPosition, size2)
    if (!xxh64Equals(rows, 0, rows.length, footer.directoryChecksum, 0)) {
      throw corrupt('segment directory checksum differs', file.path, footer.directoryPosition)
    }
    const directory = new SegmentDirectory(rows)
    placed(file.path, footer.directoryPosition, () => directory.check(SEGMENT_HEADER_BYTES, footer.directoryPosition))
    return new SegmentReader(file, size, trailer, footer, directory, isBrief)
  }

  get segmentId(): number {
    return this.#footer.segmentId
  }

  get editId(): number {
    return this.#footer.editId
  }

  /** This file is output `outputIndex` (from 0) of `outputCount` of its edit. */
  get outputIndex(): number {
    return this.#footer.outputIndex
  }

  get outputCount(): number {
    return this.#footer.outputCount
  }

  get replaced(): readonly ReplacedPart[] {
    return this.#footer.replaced
  }

  get names(): readonly SegmentName[] {
    return this.#footer.names
  }

  get extensions(): readonly Extension[] {
    return this.#footer.extensions
  }

  get directoryPosition(): number {
    return this.#footer.directoryPosition
  }

  get footerPosition(): number {
    return this.#footer.directoryPosition + this.directory.bytes.length
  }

  /** Index of a topic or body part; read once. */
  batchIndex(part: number): BatchIndex {
    assert(this.directory.type(part) !== PART_RUN, 'a topic or body part', part)
    return this.index(part) as BatchIndex
  }

  /** Index of a run; read once. */
  runIndex(part: number): RunIndex {
    assert(this.directory.type(part) === PART_RUN, 'a run', part)
    return this.index(part) as RunIndex
  }

  /** What is known of a run without its index section, if the footer has it. */
  summary(part: number): RunSummary {
    assert(this.directory.type(part) === PART_RUN, 'a run', part)
    return this.summaries.get(part) ?? summaryOf(this.runIndex(part))
  }

  /** The summaries that the footer has, by part. */
  get summaries(): ReadonlyMap<number, RunSummary> {
    const bytes = this.#footer.extensions.find(({ tag }) => tag === FOOTER_RUN_SUMMARIES)?.bytes
    this.#summaries ??=
      bytes === undefined ? new Map() : placed(this.path, this.footerPosition, () => decodeRunSummaries(bytes, this.directory.partCount))
    return this.#summaries
  }

  index(part: number): BatchIndex | RunIndex {
    const known = this.#indexes.get(part)
    if (known !== undefined) return known
    const { directory } = this
    const position = directory.indexPosition(part)
    const size = directory.indexByteCount(part)
    const scratch = this.#scratch === undefined ? undefined : takeBytes(size)
    if (scratch !== undefined) this.#scratch?.push(scratch)
    const bytes = readRange(this.#file, position, size, scratch?.subarray(0, size))
    if (!xxh64Equals(bytes, 0, bytes.length, directory.bytes, directory.indexChecksumAt(part))) {
      throw corrupt('index section checksum differs', this.path, position, { part })
    }
    const index = placed(this.path, position, () =>
      directory.type(part) === PART_RUN
        ? new RunIndex(bytes, directory.blockCount(part), directory.byteCount(part))
        : new BatchIndex(bytes, directory.blockCount(part), directory.byteCount(part)),
    )
    this.#indexes.set(part, index)
    return index
  }

  /** Whole blocks from `from` on, not compressed, as many as `bytesMax` holds but at least one. CODEC_MISSING for a codec that is not installed. */
  readBlocks(part: number, from: number, bytesMax: number, options: ReadBlocksOptions = {}): BlockRange {
    const index = this.index(part)
    const end = blocksWithin(index, from, bytesMax)
    const start = index.position(from)
    const size = index.position(end - 1) + index.byteCount(end - 1) - start
    const filePosition = this.directory.position(part) + start
    const { into } = options
    const target = !index.isCompressed && into !== undefined && into.length >= size ? into.subarray(0, size) : undefined
    const bytes = readRange(this.#file, filePosition, size, target)
    if (options.verify !== false) this.#verify(index, from, end, bytes, filePosition)
    return { bytes: index.isCompressed ? this.#contents(index, from, end, bytes, filePosition, into) : bytes, first: from, end }
  }

  /** Reads one block, checked and not compressed, into `target` from `at` on, where it has room: what a miss of a cache costs, without an object. */
  readBlockInto(part: number, block: number, target: Uint8Array, at: number): void {
    const index = this.index(part)
    const size = index.byteCount(block)
    const filePosition = this.directory.position(part) + index.position(block)
    if (index.codec(block) !== CODEC_NONE) {
      const bytes = readRange(this.#file, filePosition, size)
      this.#verify(index, block, block + 1, bytes, filePosition)
      target.set(
        placed(this.path, filePosition, () => blockContent(index, block, bytes)),
        at,
      )
      return
    }
    let count: number
    try {
      count = this.#file.readSync(target, filePosition, at, at + size)
    } catch (error) {
      throw error instanceof VarveError ? error : ioError(error, this.path, 'read')
    }
    if (count !== size) throw corrupt('file ends early', this.path, filePosition + count, { expected: size, actual: count })
    if (!xxh64Equals(target, at, at + size, index.bytes, index.checksumAt(block))) {
      throw corrupt('block checksum differs', this.path, filePosition, { block })
    }
  }

  /** As `readBlocks`, without blocking the thread while the disk is read. */
  async readBlocksAsync(part: number, from: number, bytesMax: number, options: ReadBlocksOptions = {}): Promise<BlockRange> {
    const index = this.index(part)
    const end = blocksWithin(index, from, bytesMax)
    const start = index.position(from)
    const size = index.position(end - 1) + index.byteCount(end - 1) - start
    const filePosition = this.directory.position(part) + start
    const { into } = options
    const bytes = !index.isCompressed && into !== undefined && into.length >= size ? into.subarray(0, size) : new Uint8Array(size)
    let count: number
    if (this.#closed) throw new VarveError('CLOSED', `${this.path}: the segment was closed`)
    this.#reading++
    try {
      count = await this.#file.read(bytes, filePosition)
    } catch (error) {
      throw ioError(error, this.path, 'read')
    } finally {
      this.#reading--
      if (this.#closed && this.#reading === 0) this.#file.closeSync()
    }
    if (count !== size) throw corrupt('file ends early', this.path, filePosition + count, { expected: size, actual: count })
    if (options.verify !== false) this.#verify(index, from, end, bytes, filePosition)
    return { bytes: index.isCompressed ? this.#contents(index, from, end, bytes, filePosition, into) : bytes, first: from, end }
  }

  /**
   * A column of a part, into `into` from 0 on where it has room, else into memory of its own; begins at a multiple of eight of its buffer. CORRUPT, so that the caller can turn to
   * the rows.
   */
  readColumn(part: number, group: number, field: number, into?: Uint8Array): Uint8Array {
    const columns = this.index(part).columns
    assert(columns !== undefined, 'a part with columns', part)
    const size = columns.columnBytes(group, field)
    const position = this.directory.position(part) + this.directory.byteCount(part) + columns.columnPosition(group, field)
    const target = into !== undefined && into.length >= size && into.byteOffset % 8 === 0 ? into.subarray(0, size) : new Uint8Array(size)
    const bytes = readRange(this.#file, position, size, target)
    if (!xxh64Equals(bytes, 0, size, columns.bytes, columns.checksumAt(group, field))) {
      throw corrupt('column checksum differs', this.path, position, { part })
    }
    return bytes
  }

  /** Any bytes of the file, unchecked; for `verifySegment` and tools. */
  readRaw(position: number, size: number): Uint8Array {
    return readRange(this.#file, position, size)
  }

  /** Idempotent. Asynchronous reads under way end first. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#reading > 0) return
    this.#file.closeSync()
    for (const bytes of this.#scratch ?? []) giveBytes(bytes)
  }

  /** What the stored blocks `[from, end)` hold, back to back, in memory of exactly that size or in `into`. */
  #contents(
    index: BlockIndex,
    from: number,
    end: number,
    stored: Uint8Array,
    filePosition: number,
    into: Uint8Array | undefined,
  ): Uint8Array {
    const base = index.position(from)
    const contentBase = index.contentPosition(from)
    const size = index.contentPosition(end) - contentBase
    const bytes = into !== undefined && into.length >= size ? into.subarray(0, size) : new Uint8Array(size)
    for (let block = from; block < end; block++) {
      const at = index.position(block) - base
      const content = placed(this.path, filePosition + at, () =>
        blockContent(index, block, stored.subarray(at, at + index.byteCount(block))),
      )
      bytes.set(content, index.contentPosition(block) - contentBase)
    }
    return bytes
  }

  #verify(index: BlockIndex, from: number, end: number, bytes: Uint8Array, filePosition: number): void {
    const base = index.position(from)
    for (let block = from; block < end; block++) {
      const at = index.position(block) - base
      if (!xxh64Equals(bytes, at, at + index.byteCount(block), index.bytes, index.checksumAt(block))) {
        throw corrupt('block checksum differs', this.path, filePosition + at, { block })
      }
    }
  }
}

function blocksWithin(index: BlockIndex, from: number, bytesMax: number): number {
  assert(from >= 0 && from < index.blockCount, 'a block of this part', from, index.blockCount)
  const start = index.contentPosition(from)
  let end = from + 1
  while (end < index.blockCount && index.contentPosition(end + 1) - start <= bytesMax) end++
  return end
}

function checkExpected(path: string, footer: Footer, trailer: Trailer, expected: SegmentExpectation): void {
  if (footer.segmentId !== expected.segmentId) {
    throw corrupt('another segment than the catalog says', path, trailer.footerPosition, {
      expected: expected.segmentId,
      actual: footer.segmentId,
    })
  }
  for (let i = 0; i < expected.footerChecksum.length; i++) {
    if (expected.footerChecksum[i] !== trailer.footerChecksum[i]) {
      throw corrupt('another footer than the catalog says', path, trailer.footerPosition)
    }
  }
}

/** Runs a decoder of bytes that begin at `start` of the file, and names the file in its errors. */
function placed<T>(path: string, start: number, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw placeDamage(error, path, start)
  }
}

function openFile(files: Files, path: string): File {
  try {
    return files.openSync(path, 'read')
  } catch (error) {
    throw ioError(error, path, 'open')
  }
}

function fileSize(file: File): number {
  try {
    return file.sizeSync()
  } catch (error) {
    throw ioError(error, file.path, 'stat')
  }
}

function readRange(file: File, position: number, size: number, target: Uint8Array = new Uint8Array(size)): Uint8Array {
  let count: number
  try {
    count = file.readSync(target, position)
  } catch (error) {
    throw error instanceof VarveError ? error : ioError(error, file.path, 'read')
  }
  if (count !== size) throw corrupt('file ends early', file.path, position + count, { expected: size, actual: count })
  return target
}
