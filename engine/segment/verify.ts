/**
 * Checks every byte of a segment: what `verify` and `repair` run, and tests run after every write. Trailer, footer, header, directory, index
 * sections and blocks under their checksums; then that they agree with each other and that nothing in the file is unaccounted for; then, by
 * `verify-part.ts`, every batch and record.
 *
 * Collects findings and goes on wherever it still knows where things lie. Never throws for what is in the file, whatever it is.
 */
import { placeDamage } from '../codec/damage.ts'
import type { Files } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import { decodeHeader } from './footer.ts'
import { PART_RUN, SEGMENT_HEADER_BYTES } from './format.ts'
import { compareBytes } from './key-range.ts'
import { type SegmentExpectation, SegmentReader } from './reader.ts'
import { encodeRunSummaries, type RunSummary, summaryOf } from './run-summary.ts'
import { partColumns } from './verify-columns.ts'
import { verifyPart } from './verify-part.ts'

export interface Finding {
  readonly file: string
  /** Byte position in the file where the trouble is, or where the thing begins that is in trouble. */
  readonly position: number
  readonly message: string
}

export interface VerifyReport {
  /** Empty: the segment is whole. At most `findingsMax`. */
  readonly findings: readonly Finding[]
  /** What is wrong with columns, which nothing is lost with. At most `findingsMax`. */
  readonly columnFindings: readonly Finding[]
  readonly segmentId: number | undefined
  readonly bytes: number
  readonly parts: number
  readonly blocks: number
  readonly batches: number
  readonly records: number
  /** Batches and blocks of runs whose records were not looked at, because their codec is not installed here. */
  readonly unchecked: number
}

/** What the checks write into. */
export class VerifyContext {
  readonly findings: Finding[] = []
  readonly columnFindings: Finding[] = []
  readonly file: string
  blocks = 0
  batches = 0
  records = 0
  unchecked = 0
  /** Findings behind it are put there: what lies in a compressed block has no position of its own. */
  positionMax: number = Number.POSITIVE_INFINITY

  constructor(file: string) {
    this.file = file
  }

  /** No more findings are wanted. */
  get full(): boolean {
    return this.findings.length >= findingsMax
  }

  add(position: number, message: string): void {
    if (!this.full) this.findings.push({ file: this.file, position: Math.min(position, this.positionMax), message })
  }

  /** Something is wrong with a column. */
  addColumn(position: number, message: string): void {
    if (this.columnFindings.length < findingsMax) this.columnFindings.push({ file: this.file, position, message })
  }

  /** Turns what a decoder threw into a finding; CODEC_MISSING is none and is thrown on; `start` is where its bytes begin in the file. */
  addError(error: unknown, start: number): void {
    const placedError = placeDamage(error, this.file, start)
    if (!(placedError instanceof VarveError) || placedError.code === 'CODEC_MISSING') throw error
    this.add(placedError.details.position ?? start, placedError.message)
  }

  /** Runs a check whose errors become findings; undefined after one. */
  try<T>(start: number, check: () => T): T | undefined {
    try {
      return check()
    } catch (error) {
      this.addError(error, start)
      return undefined
    }
  }
}

const findingsMax = 1000

export function verifySegment(files: Files, path: string, options: { readonly expected?: SegmentExpectation } = {}): VerifyReport {
  const context = new VerifyContext(path)
  const reader = context.try(0, () => SegmentReader.open(files, path, options))
  if (reader === undefined) return report(context, undefined)
  try {
    verifyHeader(reader, context)
    verifyPlaces(reader, context)
    for (let part = 0; part < reader.directory.partCount && !context.full; part++) verifyPart(reader, part, context)
    verifyNames(reader, context)
    verifySummaries(reader, context)
    return report(context, reader)
  } finally {
    reader.close()
  }
}

function report(context: VerifyContext, reader: SegmentReader | undefined): VerifyReport {
  return {
    findings: context.findings,
    columnFindings: context.columnFindings,
    segmentId: reader?.segmentId,
    bytes: reader?.bytes ?? 0,
    parts: reader?.directory.partCount ?? 0,
    blocks: context.blocks,
    batches: context.batches,
    records: context.records,
    unchecked: context.unchecked,
  }
}

function verifyHeader(reader: SegmentReader, context: VerifyContext): void {
  const header = context.try(0, () => decodeHeader(reader.readRaw(0, SEGMENT_HEADER_BYTES)))
  if (header === undefined) return
  if (header.segmentId !== reader.segmentId || header.editId !== reader.editId) context.add(0, 'header and footer name different segments')
}

/** Header, bodies, columns, index sections and directory must follow each other without a gap. */
function verifyPlaces(reader: SegmentReader, context: VerifyContext): void {
  const { directory } = reader
  const places: { start: number; end: number; what: string }[] = []
  for (let part = 0; part < directory.partCount; part++) {
    const position = directory.position(part)
    const indexPosition = directory.indexPosition(part)
    places.push({ start: position, end: position + directory.byteCount(part), what: `body of part ${part}` })
    const columns = partColumns(reader, part)
    const end = position + directory.byteCount(part)
    if (columns !== undefined) places.push({ start: end, end: end + columns.byteCount, what: `columns of part ${part}` })
    places.push({ start: indexPosition, end: indexPosition + directory.indexByteCount(part), what: `index section of part ${part}` })
  }
  places.sort((left, right) => left.start - right.start || left.end - right.end)
  let at = SEGMENT_HEADER_BYTES
  for (const { start, end, what } of places) {
    if (start !== at) context.add(Math.min(at, start), `${what} ${start > at ? 'leaves a gap before it' : 'overlaps what is before it'}`)
    at = Math.max(at, end)
  }
  if (at !== reader.directoryPosition) context.add(at, 'bytes before the directory belong to no part')
}

/** Summaries in the footer say what the index sections say. */
function verifySummaries(reader: SegmentReader, context: VerifyContext): void {
  const summaries = context.try(reader.footerPosition, () => reader.summaries) ?? new Map<number, RunSummary>()
  for (const [part, summary] of summaries) {
    if (reader.directory.type(part) !== PART_RUN) context.add(reader.footerPosition, `part ${part} has the summary of a run`)
    else {
      const index = context.try(reader.directory.indexPosition(part), () => reader.runIndex(part))
      if (index === undefined) continue
      const one = encodeRunSummaries(new Map([[part, summary]]))
      const other = encodeRunSummaries(new Map([[part, summaryOf(index)]]))
      if (compareBytes(one, other) !== 0) context.add(reader.footerPosition, `the summary of run ${part} differs from its index section`)
    }
  }
}

function verifyNames(reader: SegmentReader, context: VerifyContext): void {
  const named = new Set<number>()
  for (const { logId } of reader.names) {
    if (named.has(logId)) context.add(reader.footerPosition, `log ${logId} is named twice`)
    named.add(logId)
  }
  for (let part = 0; part < reader.directory.partCount; part++) {
    if (!named.has(reader.directory.logId(part))) context.add(reader.footerPosition, `the log of part ${part} has no name`)
  }
}
