/**
 * The manifest at run time: open readers of the live segments, and which of their parts count.
 *
 * Follows the catalog's segment rows: the database calls `sync` after rows changed. A segment that is no longer live is kept open while somebody
 * pins it (leases) or the view on disk names it, and its file is deleted after that; until then it is listed in `doomed`.
 *
 * Invariant: every live segment row has an open reader whose size and footer checksum are those of the row.
 */
import type { Files } from '../env/environment.ts'
import { assert, corrupt, VarveError } from '../errors.ts'
import { comparePartRefs, type PartRef, partRef } from '../log/parts.ts'
import { PART_RUN } from '../segment/format.ts'
import { SegmentReader } from '../segment/reader.ts'
import type { SegmentRow } from './rows.ts'

const segmentName = /^segment-(\d{10,})\.seg$/

export const segmentFileName = (id: number): string => `segment-${String(id).padStart(10, '0')}.seg`

/** Id of a segment file by its name; undefined for other files. */
export function parseSegmentName(name: string): number | undefined {
  const match = segmentName.exec(name)
  return match === null ? undefined : Number(match[1])
}

interface LiveSegment {
  readonly reader: SegmentReader
  row: SegmentRow
  dropped: ReadonlySet<number>
  pins: number
  doomed: boolean
  /** The view on disk names it no more. Until then its file must stay: the next opening starts from the view. */
  forgotten: boolean
}

/** A segment that was written and is not live yet. */
export interface WrittenSegment {
  readonly segmentId: number
  readonly bytes: number
  readonly footerChecksum: Uint8Array
}

export class Manifest {
  readonly #files: Files
  readonly #folder: string
  readonly #segments = new Map<number, LiveSegment>()
  /** Open readers of segments that the next edit makes live. */
  readonly #prepared = new Map<number, SegmentReader>()

  constructor(files: Files, folder: string) {
    this.#files = files
    this.#folder = folder
  }

  /** Brings the readers in line with the rows. Throws CORRUPT when a segment is missing or another than its row says. */
  sync(rows: readonly (readonly [number, SegmentRow])[]): void {
    const live = new Set<number>()
    for (const [id, row] of rows) {
      live.add(id)
      const known = this.#segments.get(id)
      if (known === undefined) {
        const reader = this.#prepared.get(id) ?? this.#open(id, row)
        this.#prepared.delete(id)
        this.#segments.set(id, { reader, row, dropped: new Set(row.dropped), pins: 0, doomed: false, forgotten: false })
      } else if (known.row !== row) {
        known.row = row
        known.dropped = new Set(row.dropped)
      }
    }
    for (const [id, segment] of this.#segments) if (!live.has(id)) segment.doomed = true
  }

  /**
   * Opens segments before the edit that makes them live, so that nothing can fail between the edit and `sync`. When one cannot be opened, all of
   * their files are removed: half an edit is no edit.
   */
  async prepare(segments: readonly WrittenSegment[]): Promise<void> {
    try {
      for (const { segmentId, bytes, footerChecksum } of segments)
        this.#prepared.set(segmentId, this.#open(segmentId, { bytes, footer: footerChecksum }))
    } catch (error) {
      await this.discard(segments)
      throw error
    }
  }

  /** Takes back what was prepared for an edit that did not come about: closes and removes the files. */
  async discard(segments: readonly WrittenSegment[]): Promise<void> {
    for (const { segmentId } of segments) {
      if (this.#segments.has(segmentId)) continue
      this.#prepared.get(segmentId)?.close()
      this.#prepared.delete(segmentId)
      await this.#files.remove(this.#pathOf(segmentId)).catch(() => undefined) // what stays is swept at the next opening
    }
  }

  #pathOf(id: number): string {
    return `${this.#folder}/${segmentFileName(id)}`
  }

  #open(id: number, row: Pick<SegmentRow, 'bytes' | 'footer'>): SegmentReader {
    const path = this.#pathOf(id)
    try {
      return SegmentReader.open(this.#files, path, { expected: { segmentId: id, bytes: row.bytes, footerChecksum: row.footer } })
    } catch (error) {
      const isMissing = error instanceof VarveError && (error.cause as { code?: unknown } | undefined)?.code === 'ENOENT'
      throw isMissing ? corrupt('a segment that the catalog names is missing', path, 0) : error
    }
  }

  /** Segments that are not live any more, whether the view on disk knows it or not. */
  doomed(): number[] {
    return [...this.#segments].filter(([, segment]) => segment.doomed).map(([id]) => id)
  }

  /** The view on disk names these segments no more. */
  forgotten(ids: readonly number[]): void {
    for (const id of ids) {
      const segment = this.#segments.get(id)
      if (segment !== undefined) segment.forgotten = true
    }
  }

  reader(id: number): SegmentReader | undefined {
    return this.#segments.get(id)?.reader
  }

  /** Reader of a segment that a row of the catalog names; it may not be live yet. */
  openReader(id: number): SegmentReader {
    const reader = this.reader(id) ?? this.#prepared.get(id)
    assert(reader !== undefined, 'a segment is opened before its row is made', id)
    return reader
  }

  /** Live parts of a log, in offset order. */
  partsOf(logId: number): PartRef[] {
    const found: PartRef[] = []
    for (const segment of this.#segments.values()) {
      if (segment.doomed) continue
      const { directory } = segment.reader
      const end = directory.find(logId + 1)
      for (let part = directory.find(logId); part < end; part++) if (!segment.dropped.has(part)) found.push(partRef(segment.reader, part))
    }
    return found.sort(comparePartRefs)
  }

  /** Live segments with the bytes of their parts that still count. */
  *live(): IterableIterator<{ readonly id: number; readonly reader: SegmentReader; readonly row: SegmentRow; readonly liveBytes: number }> {
    for (const [id, { reader, row, dropped, doomed }] of this.#segments) {
      if (doomed) continue
      let liveBytes = 0
      for (let part = 0; part < reader.directory.partCount; part++) if (!dropped.has(part)) liveBytes += reader.directory.byteCount(part)
      yield { id, reader, row, liveBytes }
    }
  }

  /** Bytes of runs by log in all files that are there: those count that are replaced, until their file is deleted. */
  runBytesByLog(): Map<number, number> {
    const found = new Map<number, number>()
    for (const { reader } of this.#segments.values()) {
      const { directory } = reader
      for (let part = 0; part < directory.partCount; part++) {
        if (directory.type(part) !== PART_RUN) continue
        const id = directory.logId(part)
        found.set(id, (found.get(id) ?? 0) + directory.byteCount(part))
      }
    }
    return found
  }

  pin(id: number): void {
    const segment = this.#segments.get(id)
    assert(segment !== undefined, 'a live segment is pinned', id)
    segment.pins++
  }

  unpin(id: number): void {
    const segment = this.#segments.get(id)
    assert(segment !== undefined && segment.pins > 0, 'a pinned segment is unpinned', id)
    segment.pins--
  }

  /** Closes and drops segments that are neither live, nor pinned, nor named by the view on disk; returns their paths for deletion. */
  takeDoomed(): string[] {
    const paths: string[] = []
    for (const [id, segment] of this.#segments) {
      if (!segment.doomed || !segment.forgotten || segment.pins > 0) continue
      segment.reader.close()
      this.#segments.delete(id)
      paths.push(segment.reader.path)
    }
    return paths
  }

  close(): void {
    for (const segment of this.#segments.values()) segment.reader.close()
    for (const reader of this.#prepared.values()) reader.close()
    this.#segments.clear()
    this.#prepared.clear()
  }
}
