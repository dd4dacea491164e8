/**
 * Writes one segment: header, bodies one after the other, each with its columns behind it, then all index sections, directory, footer, trailer.
 *
 * The caller creates the file, hands it over empty, drives `beginPart … endPart` for each part and `finish` once, and syncs the folder. Index
 * sections wait in memory (about 1 % of a run's bytes, 0.1 % of a topic's). After any throw the file is garbage: the caller deletes it.
 * It runs in the worker, or inline in simulation, and blocks; who can wait between two batches awaits `pace`, and `settled` before `finish`.
 */
import { type Extension, extensionsSize, writeExtensions } from '../batch/extension.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { XXH64_BYTES, xxh64Into } from '../codec/xxh64.ts'
import type { File } from '../env/environment.ts'
import { assert, ioError } from '../errors.ts'
import { BatchPartWriter } from './batch-part-writer.ts'
import { writeDirectoryEntry } from './directory.ts'
import { encodeFooter, encodeHeader, encodeTrailer, type ReplacedPart, type SegmentMeta, type SegmentName } from './footer.ts'
import {
  DIRECTORY_ENTRY_BYTES,
  DIRECTORY_INDEX_CHECKSUM,
  FOOTER_RUN_SUMMARIES,
  PART_BODY,
  PART_RUN,
  PART_TOPIC,
  SUMMARY_INDEX_BYTES_MIN,
  TABLE_COLUMNS,
  TRAILER_FOOTER_CHECKSUM,
} from './format.ts'
import type { KeyRange } from './key-range.ts'
import { ByteBuilder, SegmentOutput } from './output.ts'
import type { PartFacts, PartStart, PartTables } from './part.ts'
import { encodeRunSummaries, type RunSummary } from './run-summary.ts'
import { RunPartWriter } from './run-writer.ts'

export interface FinishOptions {
  /** This file is output `outputIndex` (from 0) of `outputCount` of its edit. Default: 0 of 1. */
  readonly outputIndex?: number
  readonly outputCount?: number
  /** Parts that the edit replaced. */
  readonly replaced?: readonly ReplacedPart[]
  /** Of the footer; beside run summaries. */
  readonly extensions?: readonly Extension[]
}

export interface SegmentSummary {
  readonly segmentId: number
  /** Size of the file. */
  readonly bytes: number
  readonly partCount: number
  /** 8 bytes; covers the footer, which covers the directory, which covers everything else. */
  readonly footerChecksum: Uint8Array
  /** Raw rows, as `SegmentDirectory` reads them. */
  readonly directory: Uint8Array
}

interface EndedPart {
  readonly start: PartStart
  readonly facts: Omit<PartFacts, 'index' | 'tables'>
  readonly position: number
  readonly bytes: number
  /** Range in `#indexes`. */
  readonly indexStart: number
  readonly indexEnd: number
  /** Of runs. */
  readonly summary: RunSummary | undefined
}

export class SegmentWriter {
  readonly #file: File
  readonly #meta: SegmentMeta
  readonly #output: SegmentOutput
  readonly #durable: boolean
  /** Index sections of the parts that ended, back to back. */
  readonly #indexes: ByteBuilder = new ByteBuilder(64 * 1024)
  readonly #ended: EndedPart[] = []
  readonly #names = new Map<number, SegmentName>()
  #start: PartStart | undefined
  #position = 0
  #batches: BatchPartWriter | undefined
  #run: RunPartWriter | undefined
  #finished = false

  /** `durable`: `finish` leaves the file's bytes on the disk, and they go there as they come. Default false: the caller syncs. */
  constructor(file: File, meta: SegmentMeta, options: { readonly bufferBytes?: number; readonly durable?: boolean } = {}) {
    this.#file = file
    this.#meta = meta
    this.#durable = options.durable === true
    this.#output = new SegmentOutput(file, options.bufferBytes, this.#durable)
    this.#output.append(encodeHeader(meta))
  }

  /** Bytes so far, without index sections, directory and footer. */
  get bytes(): number {
    return this.#output.position
  }

  get partCount(): number {
    return this.#ended.length + (this.#start === undefined ? 0 : 1)
  }

  beginPart(start: PartStart): void {
    assert(this.#start === undefined && !this.#finished, 'the part before was ended')
    assert(start.type === PART_TOPIC || start.type === PART_RUN || start.type === PART_BODY, 'part type', start.type)
    this.#start = start
    this.#position = this.#output.position
    if (start.type === PART_RUN) this.#run = new RunPartWriter(this.#output, start)
    else this.#batches = new BatchPartWriter(this.#output, start)
    if (!this.#names.has(start.logId)) this.#names.set(start.logId, { logId: start.logId, kind: start.kind, name: start.name })
  }

  /** Topic and body parts: takes whole batches, in offset order. */
  addBatches(buffer: Uint8Array, start: number, end: number): void {
    assert(this.#batches !== undefined, 'a topic or body part was begun')
    this.#batches.add(buffer, start, end)
  }

  /** Topic and body parts: takes one whole block of another segment with its checksum, without computing it again. */
  addBlock(buffer: Uint8Array, start: number, end: number, checksumSource: Uint8Array, checksumAt: number): void {
    assert(this.#batches !== undefined, 'a topic or body part was begun')
    this.#batches.addBlock(buffer, start, end, checksumSource, checksumAt)
  }

  /** Topic and body parts; replaces what was set before. */
  setPartTables(tables: PartTables): void {
    assert(this.#batches !== undefined, 'a topic or body part was begun')
    this.#batches.setTables(tables)
  }

  /** Runs: takes one whole record, in order of (key, newest first). */
  addRecord(buffer: Uint8Array, start: number, end: number): void {
    assert(this.#run !== undefined, 'a run was begun')
    this.#run.add(buffer, start, end)
  }

  /** Runs: takes the record that the cursor is on. */
  addParsedRecord(record: StoreRecordCursor): void {
    assert(this.#run !== undefined, 'a run was begun')
    this.#run.addParsed(record)
  }

  /** Pieces of the bottom level: which keys the open run stands for. Every record's key lies in the range. */
  setKeyRange(range: KeyRange): void {
    assert(this.#run !== undefined, 'a run was begun')
    this.#run.setKeyRange(range)
  }

  /** See `SegmentOutput.pace`. */
  pace(): Promise<void> | undefined {
    return this.#output.pace()
  }

  /** See `SegmentOutput.settled`. */
  settled(): Promise<void> {
    return this.#output.settled()
  }

  /** Bytes of the body of the part that is open. */
  get partBytes(): number {
    return this.#start === undefined ? 0 : this.#output.position - this.#position
  }

  endPart(): void {
    const start = this.#start
    assert(start !== undefined, 'a part was begun')
    const writer = this.#run ?? this.#batches
    assert(writer !== undefined, 'a part has a writer')
    const { index, tables: ofBody, ...facts } = writer.end()
    const bytes = this.#output.position - this.#position
    const columns = writer.endColumns()
    const tables = columns === undefined ? ofBody : [...ofBody, { tag: TABLE_COLUMNS, bytes: columns }]
    const summary = this.#run?.summary()
    const indexStart = this.#indexes.used
    this.#indexes.append(index)
    const tablesAt = this.#indexes.reserve(extensionsSize(tables))
    writeExtensions(this.#indexes.bytes, tablesAt, tables)
    this.#ended.push({
      start,
      facts,
      position: this.#position,
      bytes,
      indexStart,
      indexEnd: this.#indexes.used,
      summary,
    })
    writer.release()
    this.#start = undefined
    this.#run = undefined
    this.#batches = undefined
  }

  finish(options: FinishOptions = {}): SegmentSummary {
    assert(this.#start === undefined && !this.#finished, 'all parts were ended')
    this.#finished = true
    const output = this.#output
    this.#ended.sort(
      (left, right) =>
        left.start.logId - right.start.logId || left.start.type - right.start.type || left.facts.firstOffset - right.facts.firstOffset,
    )
    const directory = this.#encodeDirectory(output.position)
    output.append(this.#indexes.view())
    this.#indexes.release()
    const directoryPosition = output.position
    output.append(directory)
    const footerPosition = output.position
    const directoryChecksum = new Uint8Array(XXH64_BYTES)
    xxh64Into(directory, 0, directory.length, directoryChecksum, 0)
    const footer = encodeFooter({
      segmentId: this.#meta.segmentId,
      editId: this.#meta.editId,
      outputIndex: options.outputIndex ?? 0,
      outputCount: options.outputCount ?? 1,
      directoryPosition,
      partCount: this.#ended.length,
      directoryChecksum,
      replaced: options.replaced ?? [],
      names: [...this.#names.values()].sort((left, right) => left.logId - right.logId),
      extensions: [...this.#summaries(), ...(options.extensions ?? [])].sort((left, right) => left.tag - right.tag),
    })
    const trailer = encodeTrailer(footerPosition, footer)
    output.append(footer)
    output.append(trailer)
    output.finish()
    if (this.#durable) this.#sync()
    return {
      segmentId: this.#meta.segmentId,
      bytes: output.position,
      partCount: this.#ended.length,
      footerChecksum: trailer.slice(TRAILER_FOOTER_CHECKSUM, TRAILER_FOOTER_CHECKSUM + XXH64_BYTES),
      directory,
    }
  }

  /** Of large runs, in the order of the directory. */
  #summaries(): Extension[] {
    const summaries = new Map<number, RunSummary>()
    this.#ended.forEach(({ summary, indexStart, indexEnd }, part) => {
      if (summary !== undefined && indexEnd - indexStart > SUMMARY_INDEX_BYTES_MIN) summaries.set(part, summary)
    })
    return summaries.size === 0 ? [] : [{ tag: FOOTER_RUN_SUMMARIES, bytes: encodeRunSummaries(summaries) }]
  }

  #encodeDirectory(indexesPosition: number): Uint8Array {
    const bytes = new Uint8Array(this.#ended.length * DIRECTORY_ENTRY_BYTES)
    let at = 0
    for (const { start, facts, position, bytes: bodyBytes, indexStart, indexEnd } of this.#ended) {
      const place = { position, bytes: bodyBytes, indexPosition: indexesPosition + indexStart, indexBytes: indexEnd - indexStart }
      writeDirectoryEntry(bytes, at, start, facts, place)
      xxh64Into(this.#indexes.bytes, indexStart, indexEnd, bytes, at + DIRECTORY_INDEX_CHECKSUM)
      at += DIRECTORY_ENTRY_BYTES
    }
    return bytes
  }

  #sync(): void {
    try {
      this.#file.syncSync()
    } catch (error) {
      throw ioError(error, this.#file.path, 'sync')
    }
  }
}
