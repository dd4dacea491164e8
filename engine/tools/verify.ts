/**
 * `verify`: checks everything in a database's folder, down to the last byte, and changes nothing.
 *
 *   1. the catalog view: rows known, decodable, in agreement with each other
 *   2. the commit log: the chain of frames from the flush point, their entries, batches and records, staged files; a torn tail is told apart
 *      from damage as recovery does it
 *   3. the segments that view and tail name: there, of the right size and footer, and whole (`verifySegment`)
 *   4. the logs: offsets without holes from the first part to the end of the tail, except where repair wrote down a loss
 *   5. the view against the system log, of which it is the fold
 * Files that nothing names are listed as information. The folder is locked meanwhile; LOCKED when somebody has it open.
 */
import type { Catalog } from '../catalog/catalog.ts'
import { Manifest, segmentFileName } from '../catalog/manifest.ts'
import type { SegmentRow } from '../catalog/rows.ts'
import type { Environment, Files } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import { SegmentReader } from '../segment/reader.ts'
import { catalogOf, contradictions, differingKeys, type ReadView, readView } from './catalog-check.ts'
import { type Chain, followChain, type LogFile, loadLogFiles, proofOfDamage, readWhole } from './commit-log-files.ts'
import { breathe, type Folder, Progress, type ProgressListener, type ToolOptions, withFolder } from './folder.ts'
import { checkEntry, plainMessage, type Replayed, replayChain } from './replay.ts'
import { checkSegment } from './segment-check.ts'
import { editsOfChain, editsOfSegments, foldEdits, orderSystemLog } from './system-log.ts'
import { findUnnamed } from './verify-files.ts'
import { verifyLogs } from './verify-logs.ts'

/** Something that `verify` did not find as it should be. */
export interface VerifyFinding {
  /** 'error': data or its description is damaged. 'warning': a known loss, or something that could not be checked. 'info': worth knowing. */
  readonly severity: 'error' | 'warning' | 'info'
  /** Where it is. */
  readonly file: string
  /** Byte in `file`; undefined when the trouble has no single place. */
  readonly position?: number
  /** For people. */
  readonly message: string
}

/** What `verify` read and found. */
export interface VerifyReport {
  /** Folder of the database. */
  readonly path: string
  /** True when no finding is an error. */
  readonly ok: boolean
  /** Files read. */
  readonly files: number
  /** Bytes read. */
  readonly bytes: number
  /** Live segments. */
  readonly segments: number
  /** Files of the commit log. */
  readonly commitLogFiles: number
  /** Frames of the commit log that count. */
  readonly frames: number
  /** Records in live segments and in the tail. */
  readonly records: number
  /** Defined logs. */
  readonly logs: number
  /** Errors first. */
  readonly findings: readonly VerifyFinding[]
}

/** How `verify` runs. */
export interface VerifyOptions extends ToolOptions {
  /** Called as bytes are checked. */
  readonly onProgress?: ProgressListener | undefined
}

/** Errors: LOCKED, NOT_A_DATABASE, IO, READ_ONLY; the signal's reason. What is wrong in the folder is in the report. */
export function verify(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  return withFolder(path, options, (folder, environment) => new Verification(folder, environment, options).run())
}

/** Where checks put what they find. */
export type AddFinding = (severity: VerifyFinding['severity'], file: string, position: number | undefined, message: string) => void

class Verification {
  readonly #folder: Folder
  readonly #environment: Environment
  readonly #files: Files
  readonly #progress: Progress
  readonly #findings: VerifyFinding[] = []
  #frames = 0
  #records = 0

  constructor(folder: Folder, environment: Environment, options: VerifyOptions) {
    this.#folder = folder
    this.#environment = environment
    this.#files = environment.files
    this.#progress = new Progress(folder.bytes, options.onProgress, options.signal)
  }

  readonly #add: AddFinding = (severity, file, position, message) => {
    this.#findings.push({ severity, file, ...(position === undefined ? {} : { position }), message })
  }

  async run(): Promise<VerifyReport> {
    const folder = this.#folder
    const view = await this.#readView()
    this.#progress.add(folder.catalogBytes ?? 0, view.path)
    const files = await loadLogFiles(this.#files, folder.commits, this.#progress)
    await this.#readSpares()
    const catalog = catalogOf(view.rows, view.applied)
    const { manifest, syncManifest } = this.#openManifest(catalog)
    try {
      const viewSegments = catalog.segments()
      syncManifest()
      const point = catalog.flush
      const chain = followChain(files, point, point.sequence)
      const damaged = this.#checkChainEnd(view, files, chain)
      const replayed = await replayChain(this.#files, folder.path, chain, catalog, manifest, syncManifest)
      // Segments before logs: a hole in a log is often what a damaged segment leaves.
      await this.#checkSegments(viewSegments, catalog)
      for (const { file, position, message } of replayed.problems) this.#add('error', file, position, message)
      await this.#checkFrames(chain, replayed)
      for (const message of contradictions(catalog)) this.#add('error', view.path, undefined, message)
      if (!view.readable) await this.#checkUnnamedSegments(catalog)
      findUnnamed(folder, catalog, chain, replayed.entries.stagedSeen, files, view.readable, this.#add)
      if (view.readable) {
        verifyLogs(catalog, replayed.logs, manifest, folder.path, this.#add)
        await this.#checkAgainstSystemLog(view, manifest, chain, replayed, damaged)
      }
      return this.#report(catalog)
    } finally {
      manifest.close()
    }
  }

  /** Step 1. Without a segment everything lies in the commit log; a view that cannot be read was being created then, and opening does it again. */
  async #readView(): Promise<ReadView> {
    const view = await readView(this.#environment, this.#folder)
    const unfinished = !view.readable && this.#folder.segments.length === 0
    const what = unfinished ? ', and there is no segment yet: the next opening makes it' : ''
    for (const { message } of view.problems) this.#add(unfinished ? 'info' : 'error', view.path, undefined, `${message}${what}`)
    return unfinished ? { ...view, readable: true } : view
  }

  #report(catalog: Catalog): VerifyReport {
    const rank = { error: 0, warning: 1, info: 2 } as const
    const findings = this.#findings
      .map((finding, order) => ({ finding, order }))
      .sort((a, b) => rank[a.finding.severity] - rank[b.finding.severity] || a.order - b.order)
      .map(({ finding }) => finding)
    return {
      path: this.#folder.path,
      ok: !findings.some(finding => finding.severity === 'error'),
      files: this.#folder.fileCount,
      bytes: this.#folder.bytes,
      segments: catalog.segmentCount,
      commitLogFiles: this.#folder.commits.length + this.#folder.staged.length + this.#folder.spares.length,
      frames: this.#frames,
      records: this.#records,
      logs: catalog.definitions().length,
      findings,
    }
  }

  /** Spare files hold nothing that counts; they are only read, so that a disk that cannot read them is noticed. */
  async #readSpares(): Promise<void> {
    for (const { path, bytes } of this.#folder.spares) {
      try {
        await readWhole(this.#files, path, bytes, this.#progress)
      } catch (error) {
        if (!(error instanceof VarveError)) throw error
        this.#add('error', path, undefined, plainMessage(error, path))
      }
    }
    for (const { path, bytes } of this.#folder.staged) this.#progress.add(bytes, path)
  }

  /** A manifest that takes only segments that can be opened; the others are reported by `#checkSegments`. */
  #openManifest(catalog: Catalog): { manifest: Manifest; syncManifest: () => void } {
    const manifest = new Manifest(this.#files, this.#folder.path)
    const known = new Map<number, boolean>()
    const syncManifest = (): void => {
      const good: [number, SegmentRow][] = []
      for (const [id, row] of catalog.segments()) {
        let opens = known.get(id)
        if (opens === undefined) {
          opens = this.#canOpen(id, row)
          known.set(id, opens)
        }
        if (opens) good.push([id, row])
      }
      manifest.sync(good)
    }
    return { manifest, syncManifest }
  }

  #canOpen(id: number, row: SegmentRow): boolean {
    const expected = { segmentId: id, bytes: row.bytes, footerChecksum: row.footer }
    try {
      SegmentReader.open(this.#files, `${this.#folder.path}/${segmentFileName(id)}`, { expected }).close()
      return true
    } catch (error) {
      if (error instanceof VarveError) return false
      throw error
    }
  }

  /** Step 2, the end of the chain. Returns whether the commit log is damaged. */
  #checkChainEnd(view: ReadView, files: readonly LogFile[], chain: Chain): boolean {
    const newer = chain.end?.file.newerAt(chain.end.position)
    if (newer !== undefined && chain.end !== undefined) this.#add('error', chain.end.file.path, chain.end.position, newer.message)
    const proof = proofOfDamage(files, chain)
    if (proof === undefined) {
      if (!chain.closed && chain.end !== undefined) {
        this.#add(
          'info',
          chain.end.file.path,
          chain.end.position,
          'the commit log ends here without a closing frame: a torn tail, or a crash',
        )
      }
      return false
    }
    if (!view.readable) {
      // Without a flush point nothing is known to be the beginning of the chain.
      this.#add(
        'warning',
        proof.file.path,
        undefined,
        'the commit log cannot be followed without the catalog; its frames were checked one by one',
      )
      for (const file of files) this.#frames += file.all.length
      return true
    }
    const place = chain.end ?? { file: proof.file, position: 0 }
    const message = `the commit log is damaged: the frame at byte ${proof.frame.start} of ${proof.file.path} proves that the bytes here were on the disk`
    this.#add('error', place.file.path, place.position, message)
    return true
  }

  async #checkFrames(chain: Chain, replayed: Replayed): Promise<void> {
    const reported = new Set(replayed.problems.map(problem => `${problem.file}:${problem.position}`))
    for (const chainFrame of chain.frames) {
      this.#frames++
      try {
        await replayed.entries.visit(chainFrame, entry => {
          try {
            this.#records += checkEntry(entry)
          } catch (error) {
            if (!(error instanceof VarveError)) throw error
            const position = error.details.position ?? entry.start
            if (!reported.has(`${entry.path}:${position}`)) this.#add('error', entry.path, position, plainMessage(error, entry.path))
          }
        })
      } catch (error) {
        // Staged files and entries that do not add up were reported by the replay.
        if (!(error instanceof VarveError)) throw error
      }
    }
  }

  /** Step 3. */
  async #checkSegments(viewSegments: readonly (readonly [number, SegmentRow])[], catalog: Catalog): Promise<void> {
    const rows = new Map<number, SegmentRow>([...viewSegments, ...catalog.segments()])
    const present = new Map(this.#folder.segments.map(file => [file.number, file]))
    for (const [id, row] of [...rows].sort((a, b) => a[0] - b[0])) {
      const path = `${this.#folder.path}/${segmentFileName(id)}`
      const file = present.get(id)
      if (file === undefined) {
        this.#add('error', path, undefined, `segment ${id}, which the catalog names, is missing`)
        continue
      }
      await breathe(this.#environment)
      const live = catalog.segment(id)
      const expected = { segmentId: id, bytes: row.bytes, footerChecksum: row.footer }
      const checked = checkSegment(this.#files, id, path, file.bytes, expected)
      this.#progress.add(file.bytes, path)
      if (live !== undefined) this.#records += checked.records
      for (const { position, message, part } of checked.findings) {
        const dropped = part !== undefined && (live === undefined || live.dropped.includes(part))
        const what = plainMessage(new VarveError('CORRUPT', message), path)
        this.#add(dropped ? 'info' : 'error', path, position, dropped ? `${what} (in a part that is no longer used)` : what)
      }
      for (const { position, message } of checked.columnFindings)
        this.#add('warning', path, position, `${message}; its rows are read instead`)
      if (checked.unchecked > 0) {
        this.#add('warning', path, undefined, `records of ${checked.unchecked} batches were not checked: their codec is not installed`)
      }
      const { facts } = checked
      if (facts === undefined) continue
      if (facts.directory.partCount !== row.parts) {
        this.#add('error', path, undefined, `segment has ${facts.directory.partCount} parts, the catalog says ${row.parts}`)
      }
      const databaseId = catalog.database?.id
      if (databaseId !== undefined && facts.databaseId?.every((byte, i) => byte === databaseId[i]) === false) {
        this.#add('error', path, 0, 'segment of another database')
      }
      if (facts.editId >= catalog.ids.edit) {
        this.#add('error', path, undefined, `segment of edit ${facts.editId}, which was not begun yet (next is ${catalog.ids.edit})`)
      }
    }
  }

  /** Without a view nothing names segments; they are checked by themselves. */
  async #checkUnnamedSegments(catalog: Catalog): Promise<void> {
    for (const { number, path, bytes } of this.#folder.segments) {
      if (catalog.segment(number) !== undefined) continue
      await breathe(this.#environment)
      const checked = checkSegment(this.#files, number, path, bytes)
      this.#progress.add(bytes, path)
      this.#records += checked.records
      for (const { position, message } of checked.findings) this.#add('error', path, position, message.replace(`${path}: `, ''))
    }
  }

  /** Step 5. */
  async #checkAgainstSystemLog(view: ReadView, manifest: Manifest, chain: Chain, replayed: Replayed, damaged: boolean): Promise<void> {
    const readers = [...manifest.live()].map(({ reader, row }) => ({ reader, isLive: (part: number) => !row.dropped.includes(part) }))
    const log = orderSystemLog([...editsOfSegments(readers), ...(await editsOfChain(chain, replayed.entries))])
    if (!log.whole || log.start > view.applied) return // its holes were reported with those of the other logs
    if (log.end < view.applied) {
      const severity = damaged ? 'warning' : 'error'
      this.#add(severity, view.path, undefined, `the catalog knows edits up to ${view.applied}, the system log ends at ${log.end}`)
      return
    }
    const expected = foldEdits(log.batches, view.applied)
    for (const key of differingKeys(view.rows, expected)) {
      const what = !expected.has(key) ? 'is not in the system log' : view.rows.has(key) ? 'differs from the system log' : 'is missing'
      this.#add('error', view.path, undefined, `row ${key} of the catalog ${what}`)
    }
  }
}
