/**
 * One segment file as `verify` and `repair` judge it: what `verifySegment` finds in it, which part each finding concerns, and what its header,
 * footer and directory say. Parts are the unit: damage in one part leaves the others as good as they were.
 */
import type { Files } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import type { SegmentDirectory } from '../segment/directory.ts'
import { decodeHeader, type ReplacedPart, type SegmentName } from '../segment/footer.ts'
import { SEGMENT_HEADER_BYTES } from '../segment/format.ts'
import { type SegmentExpectation, SegmentReader } from '../segment/reader.ts'
import { type Finding, verifySegment } from '../segment/verify.ts'

export interface SegmentFacts {
  readonly segmentId: number
  readonly editId: number
  readonly outputIndex: number
  readonly outputCount: number
  readonly replaced: readonly ReplacedPart[]
  readonly names: readonly SegmentName[]
  readonly directory: SegmentDirectory
  readonly footerChecksum: Uint8Array
  /** Undefined when the header is damaged. */
  readonly databaseId: Uint8Array | undefined
}

export interface CheckedSegment {
  readonly id: number
  readonly path: string
  readonly bytes: number
  readonly records: number
  readonly batches: number
  /** Batches whose codec is not installed here. */
  readonly unchecked: number
  readonly findings: readonly (Finding & { readonly part: number | undefined })[]
  /** Undefined when trailer, footer or directory are damaged: nothing in the file can be found then. */
  readonly facts: SegmentFacts | undefined
  readonly damagedParts: ReadonlySet<number>
  /** Only the header is damaged: all it says stands in the footer too. */
  readonly headerDamaged: boolean
  /** What is wrong with columns: no damage to records. */
  readonly columnFindings: readonly Finding[]
  /** There is trouble that no part explains. */
  readonly damagedOutside: boolean
}

/** Reads every byte of the file. Never throws for what is in it; IO errors become findings. */
export function checkSegment(files: Files, id: number, path: string, bytes: number, expected?: SegmentExpectation): CheckedSegment {
  const report = verifySegment(files, path, expected === undefined ? {} : { expected })
  const facts = report.segmentId === undefined ? undefined : readFacts(files, path)
  const findings = report.findings.map(finding => ({ ...finding, part: facts && partAt(facts.directory, finding.position) }))
  if (facts !== undefined && facts.segmentId !== id) {
    const message = `the file is segment ${facts.segmentId} under the name of segment ${id}`
    findings.push({ file: path, position: 0, message, part: undefined })
  }
  const outside = findings.filter(finding => finding.part === undefined)
  const headerDamaged = outside.length > 0 && outside.every(finding => finding.position < SEGMENT_HEADER_BYTES) && facts?.segmentId === id
  return {
    id,
    path,
    bytes,
    records: report.records,
    batches: report.batches,
    unchecked: report.unchecked,
    findings,
    columnFindings: report.columnFindings,
    facts,
    damagedParts: new Set(findings.map(finding => finding.part).filter(part => part !== undefined)),
    headerDamaged,
    damagedOutside: outside.length > 0 && !headerDamaged,
  }
}

function readFacts(files: Files, path: string): SegmentFacts | undefined {
  let reader: SegmentReader
  try {
    reader = SegmentReader.open(files, path)
  } catch (error) {
    if (error instanceof VarveError) return undefined
    throw error
  }
  try {
    const { segmentId, editId, outputIndex, outputCount, replaced, names, directory, footerChecksum } = reader
    return { segmentId, editId, outputIndex, outputCount, replaced, names, directory, footerChecksum, databaseId: databaseIdOf(reader) }
  } finally {
    reader.close()
  }
}

function databaseIdOf(reader: SegmentReader): Uint8Array | undefined {
  try {
    return decodeHeader(reader.readRaw(0, SEGMENT_HEADER_BYTES)).databaseId
  } catch (error) {
    if (error instanceof VarveError) return undefined
    throw error
  }
}

/** The part whose body or index section holds the byte; undefined for header, directory, footer and trailer. */
export function partAt(directory: SegmentDirectory, position: number): number | undefined {
  for (let part = 0; part < directory.partCount; part++) {
    const body = directory.position(part)
    if (position >= body && position < body + directory.byteCount(part)) return part
    const index = directory.indexPosition(part)
    if (position >= index && position < index + directory.indexByteCount(part)) return part
  }
  return undefined
}
