/**
 * Carries a repair out, in an order in which a crash at any point leaves a folder that opening refuses or accepts rightly, and that the next
 * repair completes:
 *
 *   1. copies (hard links) of all that will change or go lie in `damaged/<time>/`, with the report, before anything changes
 *   2. headers are written anew; the commit log's broken file is replaced by its readable beginning; the files behind it go. As long as one is
 *      left that proves the damage, opening refuses
 *   3. the edit is appended to the commit log, as a file of one frame that continues the chain
 *   4. the catalog view is changed, or made anew, in one transaction; only now the segments that it no longer names are removed
 * Nothing is ever deleted of which no copy lies in `damaged/`.
 */
import { encodeRecordBatch } from '../batch/record-batch-codec.ts'
import { type DatabaseRow, packRow, type RowChange, rowKeys, SYSTEM_LOG_ID, unpackRow } from '../catalog/rows.ts'
import {
  alignFrame,
  commitFileName,
  ENTRY_HEADER_BYTES,
  ENTRY_TOPIC_BATCH,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
  temporaryFileName,
} from '../commit-log/format.ts'
import { sealFrame, writeEntryHeader } from '../commit-log/frame.ts'
import type { CatalogRow, Environment } from '../env/environment.ts'
import { ioError } from '../errors.ts'
import { encodeHeader } from '../segment/footer.ts'
import { SEGMENT_HEADER_BYTES } from '../segment/format.ts'
import { readWhole } from './commit-log-files.ts'
import { catalogDataName, damagedFolderName, type Folder } from './folder.ts'
import type { Evidence } from './repair-evidence.ts'
import type { RepairPlan } from './repair-plan.ts'
import type { RepairAction, RepairReport } from './repair-report.ts'
import { ChainEntries } from './replay.ts'

/** A file of which a copy goes to `damaged/`; `remove` when it leaves its place. */
interface Aside {
  readonly path: string
  readonly remove: boolean
  readonly reason: string
}

/** What has to be done, as a list that a dry run shows and `performRepair` carries out. */
export interface RepairSteps {
  readonly logFiles: readonly Aside[]
  readonly segments: readonly Aside[]
  readonly catalog: readonly Aside[]
  readonly actions: readonly RepairAction[]
}

export async function listSteps(evidence: Evidence, plan: RepairPlan): Promise<RepairSteps> {
  const { folder, view, viewUsable } = evidence
  const logFiles = await logFilesAside(evidence, plan)
  const segments = plan.segments.aside
  const remakeView = plan.writeView && !viewUsable && folder.catalogBytes !== undefined
  const catalog: Aside[] = remakeView ? [{ path: view.path, remove: true, reason: 'the catalog cannot be read' }] : []
  const actions: RepairAction[] = [...logFiles, ...segments, ...catalog].map(({ path, remove, reason }) => ({
    action: 'set-aside',
    file: path,
    message: remove ? `moved aside: ${reason}` : `copied aside: ${reason}`,
  }))
  for (const { path } of plan.segments.headers)
    actions.push({ action: 'rewrite-header', file: path, message: 'header written anew from the footer' })
  const cut = cutPlace(plan)
  if (cut !== undefined) {
    actions.push({ action: 'cut', file: cut.path, message: `commit-log file cut at byte ${cut.position}; all before it is kept` })
  }
  if (plan.edit !== undefined) {
    const message = `an edit of ${plan.edit.length} rows appended to the system log at offset ${plan.systemEnd}`
    actions.push({ action: 'append', file: `${folder.path}/${commitFileName(nextNumber(folder))}`, message })
  }
  if (plan.writeView) actions.push({ action: 'write-catalog', file: view.path, message: `catalog written: ${plan.rows.size} rows` })
  return { logFiles, segments, catalog, actions }
}

/** The file in which the chain breaks, when part of it is kept. */
function cutPlace(plan: RepairPlan): { path: string; position: number } | undefined {
  const { chain, damage } = plan.base.kept
  if (damage === undefined || chain.end === undefined || chain.end.position === 0) return undefined
  return { path: chain.end.file.path, position: chain.end.position }
}

async function logFilesAside(evidence: Evidence, plan: RepairPlan): Promise<Aside[]> {
  const { chain, damage, lost } = plan.base.kept
  if (damage === undefined) return []
  const aside: Aside[] = []
  const counted = new Set(chain.frames.map(({ file }) => file))
  const withLost = new Set(lost.map(({ file }) => file))
  for (const file of evidence.logFiles) {
    const broken = file === chain.end?.file
    const behind = chain.end === undefined ? withLost.has(file) || file.path === damage.file : file.number > chain.end.file.number
    if (broken && counted.has(file)) aside.push({ path: file.path, remove: false, reason: damage.message })
    else if (!counted.has(file) && (broken || behind || withLost.has(file))) {
      aside.push({ path: file.path, remove: true, reason: 'it lies behind the damage' })
    }
  }
  // The file that is cut comes first: until the last of the others is gone, the damage is proven.
  aside.sort((a, b) => Number(a.remove) - Number(b.remove))
  const seen = new ChainEntries(evidence.environment.files, evidence.folder.path)
  for (const chainFrame of chain.frames) await seen.visit(chainFrame, () => undefined)
  for (const { number, path } of evidence.folder.staged) {
    if (!seen.stagedSeen.has(number)) aside.push({ path, remove: true, reason: 'no commit that is left names it' })
  }
  return aside
}

function nextNumber(folder: Folder): number {
  return Math.max(0, ...folder.commits.map(file => file.number), ...folder.spares.map(file => file.number)) + 1
}

/** Does it all. `report` is written beside the copies. */
export async function performRepair(evidence: Evidence, plan: RepairPlan, steps: RepairSteps, report: RepairReport): Promise<void> {
  const { environment, folder } = evidence
  const { files } = environment
  const aside = [...steps.logFiles, ...steps.segments, ...steps.catalog]
  if (report.damagedFolder !== undefined && aside.length > 0) await keepCopies(environment, folder, report.damagedFolder, aside, report)
  for (const segment of plan.segments.headers) {
    const row = plan.rows.get(rowKeys.database)
    const databaseId = row === undefined ? new Uint8Array(8) : unpackRow<DatabaseRow>(rowKeys.database, row).id
    const bytes = await readWhole(files, segment.path, segment.bytes)
    const { segmentId, editId } = segment.facts
    bytes.set(encodeHeader({ segmentId, editId, databaseId, createdMs: 0 }).subarray(0, SEGMENT_HEADER_BYTES), 0)
    await replaceFile(environment, folder.path, segment.path, bytes.subarray(0, segment.bytes))
  }
  const cut = cutPlace(plan)
  const broken = plan.base.kept.chain.end?.file
  if (cut !== undefined && broken !== undefined) {
    const bytes = new Uint8Array(broken.bytes.byteLength)
    bytes.set(broken.bytes.subarray(0, cut.position))
    await replaceFile(environment, folder.path, cut.path, bytes)
  }
  await removeAll(environment, folder.path, steps.logFiles)
  if (plan.edit !== undefined) await appendEdit(environment, folder, plan, plan.edit)
  if (plan.writeView) {
    await syncChain(environment, plan)
    await writeView(evidence, plan)
  }
  await removeAll(environment, folder.path, steps.segments)
}

async function keepCopies(
  environment: Environment,
  folder: Folder,
  target: string,
  aside: readonly Aside[],
  report: RepairReport,
): Promise<void> {
  const { files } = environment
  try {
    await files.makeDirectory(target)
    for (const { path } of aside) {
      const name = path.slice(folder.path.length + 1).replaceAll('/', '-')
      const copy = `${target}/${name}`
      try {
        await files.link(path, copy)
      } catch {
        // No hard links here: a copy of the bytes does as well.
        const size = (await files.stat(path))?.size ?? 0
        await writeNew(environment, copy, (await readWhole(files, path, size)).subarray(0, size))
      }
    }
    await writeNew(environment, `${target}/report.json`, new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`))
    await files.syncDirectory(target)
    await files.syncDirectory(`${folder.path}/${damagedFolderName}`)
    await files.syncDirectory(folder.path)
  } catch (error) {
    throw ioError(error, target, 'keeping copies of damaged files')
  }
}

async function writeNew(environment: Environment, path: string, bytes: Uint8Array): Promise<void> {
  const { files } = environment
  if ((await files.stat(path)) !== undefined) await files.remove(path)
  const file = await files.open(path, 'create')
  try {
    await file.write(bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Puts `bytes` in the place of the file, all at once. A hard link to the old file keeps the old bytes. */
async function replaceFile(environment: Environment, folder: string, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryFileName(path)
  try {
    await writeNew(environment, temporary, bytes)
    await environment.files.rename(temporary, path)
    await environment.files.syncDirectory(folder)
  } catch (error) {
    throw ioError(error, path, 'writing')
  }
}

async function removeAll(environment: Environment, folder: string, aside: readonly Aside[]): Promise<void> {
  const gone = aside.filter(({ remove }) => remove)
  try {
    for (const { path } of gone) await environment.files.remove(path)
    if (gone.length > 0) await environment.files.syncDirectory(folder)
  } catch (error) {
    throw ioError(error, folder, 'removing files that were moved aside')
  }
}

/** Step 3: a frame with one batch of the system log, alone in the newest file. */
async function appendEdit(environment: Environment, folder: Folder, plan: RepairPlan, edit: readonly RowChange[]): Promise<void> {
  const { chain, point } = plan.base.kept
  const now = environment.clock.now()
  const batch = encodeRecordBatch(edit, { baseOffset: plan.systemEnd, epoch: 0, timestamp: now })
  const bodyAt = FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES
  const end = bodyAt + batch.byteLength
  const bytes = new Uint8Array(alignFrame(end) + FRAME_ALIGNMENT)
  const buffer = { bytes, view: new DataView(bytes.buffer) }
  writeEntryHeader(buffer.view, FRAME_HEADER_BYTES, ENTRY_TOPIC_BATCH, 0, SYSTEM_LOG_ID, batch.byteLength)
  bytes.set(batch, bodyAt)
  const tag = new Uint8Array(8)
  new DataView(tag.buffer).setUint32(0, environment.random.uint32(), true)
  sealFrame(buffer, 0, end, {
    flags: 0,
    entryCount: 1,
    tag,
    lsn: chain.endLsn,
    durableLsn: chain.endLsn,
    previousChecksum: chain.checksum,
    sequence: Math.max(chain.sequence, point.sequence) + 1,
    time: now,
  })
  await replaceFile(environment, folder.path, `${folder.path}/${commitFileName(nextNumber(folder))}`, bytes)
}

/** The view may know only what the disk has; frames that recovery would still have to make durable are made so here. */
async function syncChain(environment: Environment, plan: RepairPlan): Promise<void> {
  for (const path of new Set(plan.base.kept.chain.frames.map(({ file }) => file.path))) {
    try {
      const file = await environment.files.open(path, 'write')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
    } catch (error) {
      throw ioError(error, path, 'making the commit log durable')
    }
  }
}

/** Step 4. */
async function writeView(evidence: Evidence, plan: RepairPlan): Promise<void> {
  const { environment, folder, view, viewUsable } = evidence
  const encoder = new TextEncoder()
  const applied = plan.systemEnd + (plan.edit?.length ?? 0)
  const puts: CatalogRow[] = [...plan.rows].map(([key, value]) => ({ key: encoder.encode(key), value }))
  puts.push({ key: encoder.encode(rowKeys.system), value: packRow({ applied }) })
  const deletes = viewUsable ? [...view.rows.keys()].filter(key => !plan.rows.has(key)).map(key => encoder.encode(key)) : []
  if (!viewUsable) {
    try {
      await environment.catalogs.remove(folder.catalogPath)
    } catch (error) {
      throw ioError(error, `${folder.catalogPath}/${catalogDataName}`, 'removing the damaged catalog')
    }
  }
  const opened = await environment.catalogs.open(folder.catalogPath)
  try {
    opened.change({ puts, deletes })
  } finally {
    await opened.close()
  }
}
