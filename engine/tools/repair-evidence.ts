/**
 * What `repair` finds in a folder before it decides anything: the catalog view, every segment checked to the last byte, the files of the commit
 * log, and the edits of the system log in the segments. Nothing is judged here but whether bytes are whole.
 *
 * A file of a newer format ends the repair (NEWER_FORMAT): what this version does not understand it must not call damaged.
 */
import type { Environment } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import { SegmentReader } from '../segment/reader.ts'
import { type ReadView, readView } from './catalog-check.ts'
import { type LogFile, loadLogFiles } from './commit-log-files.ts'
import { breathe, type Folder, type Progress } from './folder.ts'
import { type CheckedSegment, checkSegment, type SegmentFacts } from './segment-check.ts'
import { editsOfSegments, type SystemBatch } from './system-log.ts'

export interface Evidence {
  readonly environment: Environment
  readonly folder: Folder
  readonly view: ReadView
  /** The view can be read and no row of it is bad. */
  readonly viewUsable: boolean
  readonly segments: ReadonlyMap<number, CheckedSegment>
  /** Open readers of the segments that can be used, at least in part. */
  readonly readers: ReadonlyMap<number, SegmentReader>
  readonly logFiles: readonly LogFile[]
  /** Edits in undamaged parts of log 0, in no order. */
  readonly partEdits: readonly SystemBatch[]
}

export async function gatherEvidence(environment: Environment, folder: Folder, progress: Progress): Promise<Evidence> {
  const { files } = environment
  const view = await readView(environment, folder)
  const newer = view.problems.find(problem => problem.code === 'NEWER_FORMAT')
  if (newer !== undefined) throw newerFormat(view.path, newer.message)
  progress.add(folder.catalogBytes ?? 0, view.path)
  const logFiles = await loadLogFiles(files, folder.commits, progress)
  for (const file of logFiles) {
    const error = file.newerAt(0)
    if (error?.code === 'NEWER_FORMAT') throw newerFormat(file.path, error.message)
  }
  const segments = new Map<number, CheckedSegment>()
  const readers = new Map<number, SegmentReader>()
  try {
    for (const { number, path, bytes } of folder.segments) {
      await breathe(environment)
      const checked = checkSegment(files, number, path, bytes)
      const unknown = checked.findings.find(finding => finding.message.includes('not known to this version'))
      if (unknown !== undefined) throw newerFormat(path, unknown.message)
      segments.set(number, checked)
      if (isUsable(checked)) readers.set(number, SegmentReader.open(files, path))
      progress.add(bytes, path)
    }
    const partEdits = editsOfSegments(
      [...readers].map(([id, reader]) => ({ reader, isLive: (part: number) => segments.get(id)?.damagedParts.has(part) === false })),
    )
    return { environment, folder, view, viewUsable: view.readable && view.problems.length === 0, segments, readers, logFiles, partEdits }
  } catch (error) {
    for (const reader of readers.values()) reader.close()
    throw error
  }
}

/** Parts of it may be damaged, but what it says about itself is whole. */
export function isUsable(segment: CheckedSegment | undefined): segment is CheckedSegment & { readonly facts: SegmentFacts } {
  return segment?.facts !== undefined && !segment.damagedOutside
}

function newerFormat(file: string, message: string): VarveError {
  return new VarveError('NEWER_FORMAT', `${file}: ${message}; repair it with a newer version`, { details: { file } })
}
