/**
 * Decides a repair; writes nothing. Given the evidence and the base, it finds what the catalog must say instead, and what is lost by that:
 *
 *   1. segments that are missing or unreadable lose their row; damaged parts are dropped from theirs; the others stay as they are
 *   2. the commit log is replayed over the rest; where that fails, it is cut there and everything is decided anew
 *   3. holes in logs become known: the log's end is kept behind a hole (`state`), and the range is written into its metadata slot `lost`. The hole
 *      stays readable as a gap, as compaction leaves them; the log's start does not move, so that older records stay readable too
 *   4. all that differs from the base is one edit of the system log; when edits were lost, a snapshot of all rows
 */
import type { Catalog } from '../catalog/catalog.ts'
import { systemLogDefinition } from '../catalog/log-table.ts'
import { Manifest } from '../catalog/manifest.ts'
import { packRow, parseRowKey, type RowChange, rowKeys, type SegmentRow, SYSTEM_LOG_ID, unpackRow } from '../catalog/rows.ts'
import { VarveError } from '../errors.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { catalogOf, differingKeys, rowProblem, sameBytes } from './catalog-check.ts'
import { coverageOf, joinRanges, typesOf, withoutKnown } from './coverage.ts'
import { type Base, chooseBase } from './repair-base.ts'
import { type Cut, describeFrames, lostPieces } from './repair-chain.ts'
import { type Evidence, isUsable } from './repair-evidence.ts'
import type { RepairLoss } from './repair-report.ts'
import { judgeSegments, type SegmentJudgement } from './repair-segments.ts'
import { ChainEntries, type Replayed, replayChain } from './replay.ts'
import { lostSlot, type OffsetRange, packRanges, snapshotKey, unpackRanges } from './system-log.ts'

const cutsMax = 64

export interface RepairPlan {
  readonly base: Base
  /** All rows that the catalog is to have. */
  readonly rows: ReadonlyMap<string, Uint8Array>
  /** To be appended to the system log; undefined when nothing changes. */
  readonly edit: readonly RowChange[] | undefined
  /** Offset in the system log behind which the edit goes. */
  readonly systemEnd: number
  readonly writeView: boolean
  readonly segments: SegmentJudgement
  readonly losses: readonly RepairLoss[]
  readonly notes: readonly string[]
}

export async function planRepair(evidence: Evidence): Promise<RepairPlan> {
  let cut: Cut | undefined
  for (let round = 0; round < cutsMax; round++) {
    const planned = await tryPlan(evidence, cut)
    if ('plan' in planned) return planned.plan
    cut = planned.cut
  }
  // Every round cuts more; a log of damaged frames is cut at its beginning in the end.
  const planned = await tryPlan(evidence, { lsn: 0, file: evidence.folder.path, position: 0, message: 'the commit log cannot be replayed' })
  if ('plan' in planned) return planned.plan
  throw new VarveError('INVARIANT', `the repair cannot be planned: ${planned.cut.message}`)
}

async function tryPlan(evidence: Evidence, cut: Cut | undefined): Promise<{ readonly plan: RepairPlan } | { readonly cut: Cut }> {
  const base = await chooseBase(evidence, cut)
  const rows = knownRows(base.rows)
  const { point } = base.kept
  const flush = rows.get(rowKeys.flush)
  const flushLsn = flush === undefined ? -1 : unpackRow<{ lsn: number }>(rowKeys.flush, flush).lsn
  if (base.source === 'footers' || (flush !== undefined && flushLsn !== point.lsn)) rows.set(rowKeys.flush, packRow({ ...point }))
  const notes = [...(base.footers?.notes ?? [])]
  const losses: RepairLoss[] = []

  const segments = judgeSegments(evidence, base, rows)
  losses.push(...segments.losses)
  for (const { key, value } of segments.changes) {
    if (value === null) rows.delete(key)
    else rows.set(key, value)
  }
  defineTailLogs(evidence, base, rows, notes)
  raiseEnds(rows, segments.ends)

  // Twice: the first replay shows where tails begin, the second that all is well with it.
  let replay = await replayOver(evidence, base, rows)
  try {
    keepEndsBehindHoles(rows, replay)
    replay.manifest.close()
    replay = await replayOver(evidence, base, rows)
    const failed = cutOf(replay)
    if (failed !== undefined) return { cut: failed }
    losses.push(...writeHoles(rows, replay, segments))
    losses.push(...(await commitLogLosses(evidence, base, replay, rows)))
    const systemLog = replay.replayed.logs.get(SYSTEM_LOG_ID) as LogicalLog
    const { edit, snapshot } = editOf(base, rows)
    if (snapshot) losses.push(editsLoss(base))
    for (const { id, name } of base.footers?.guessed ?? []) {
      const message = `log ${name} (${id}) is known from segments only: cleanup, highWatermark and options have their defaults now`
      losses.push({ kind: 'definition', log: name, logId: id, message })
    }
    const plan: RepairPlan = {
      base,
      rows,
      edit,
      systemEnd: systemLog.endOffset,
      writeView: base.source !== 'sound' || edit !== undefined || viewNamesMissing(evidence, rows),
      segments,
      losses,
      notes,
    }
    return { plan }
  } finally {
    replay.manifest.close()
  }
}

/** The rows that can be decoded. Throws NEWER_FORMAT for one that only a newer version knows. */
function knownRows(rows: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  const known = new Map<string, Uint8Array>()
  for (const [key, value] of rows) {
    const problem = rowProblem(key, value)
    if (problem === undefined) known.set(key, value)
    else if (problem.code === 'NEWER_FORMAT') throw new VarveError('NEWER_FORMAT', `${problem.message}; repair it with a newer version`)
  }
  return known
}

interface ReplayState {
  readonly catalog: Catalog
  readonly manifest: Manifest
  readonly replayed: Replayed
}

async function replayOver(evidence: Evidence, base: Base, rows: ReadonlyMap<string, Uint8Array>): Promise<ReplayState> {
  const { files } = evidence.environment
  // The rows know all edits of the chain already.
  const catalog = catalogOf(rows, Number.MAX_SAFE_INTEGER)
  const manifest = new Manifest(files, evidence.folder.path)
  try {
    const sync = (): void => manifest.sync(catalog.segments())
    sync()
    return { catalog, manifest, replayed: await replayChain(files, evidence.folder.path, base.kept.chain, catalog, manifest, sync) }
  } catch (error) {
    manifest.close()
    throw error
  }
}

/** Step 2. */
function cutOf({ replayed }: ReplayState): Cut | undefined {
  for (const { file, position, message, frame, logId } of replayed.problems) {
    if (frame !== undefined) {
      return { lsn: frameLsn(replayed, frame), file, position: position ?? 0, message }
    }
    const log = logId === undefined ? undefined : replayed.logs.existing(logId)
    if (log === undefined) continue
    let expected = log.flushedEnd
    for (let i = 0; i < log.tail.length; i++) {
      if (log.tail.baseOffset(i) !== expected) return { lsn: log.tail.lsn(i), file, position: position ?? 0, message }
      expected = log.tail.endOffset(i)
    }
  }
  return undefined
}

function frameLsn(replayed: Replayed, frame: number): number {
  return replayed.chain.frames[frame]?.frame.lsn ?? 0
}

/** Logs whose batches lie in the commit log, and whose definition is lost altogether. */
function defineTailLogs(evidence: Evidence, base: Base, rows: Map<string, Uint8Array>, notes: string[]): void {
  if (base.source !== 'footers') return
  const ids = rows.get(rowKeys.ids)
  let next = ids === undefined ? 1 : unpackRow<{ log: number }>(rowKeys.ids, ids).log
  const firstUnknown = evidence.partEdits.length > 0 ? next : 1
  for (const [id, { kind }] of base.kept.logs) {
    if (id === SYSTEM_LOG_ID || id < firstUnknown || rows.has(rowKeys.log(id))) continue
    rows.set(rowKeys.log(id), packRow({ name: `recovered-${id}`, kind }))
    notes.push(`log ${id} is known from the commit log only: it is named recovered-${id}`)
    next = Math.max(next, id + 1)
  }
  const edit = ids === undefined ? 1 : unpackRow<{ edit: number }>(rowKeys.ids, ids).edit
  rows.set(rowKeys.ids, packRow({ log: next, edit }))
}

function stateOf(
  rows: ReadonlyMap<string, Uint8Array>,
  logId: number,
): { startOffset: number; resetLsn: number; endOffset: number; epoch: number } {
  const row = rows.get(rowKeys.state(logId))
  const none = { startOffset: 0, resetLsn: 0, endOffset: 0, epoch: 0 }
  return row === undefined ? none : { ...none, ...unpackRow<object>(rowKeys.state(logId), row) }
}

function raiseEnds(rows: Map<string, Uint8Array>, ends: ReadonlyMap<number, number>): void {
  for (const [logId, endOffset] of ends) {
    const state = stateOf(rows, logId)
    if (endOffset > state.endOffset) rows.set(rowKeys.state(logId), packRow({ ...state, endOffset }))
  }
}

/** Step 3: where a tail begins behind its log's parts, the log ends at the tail's beginning, whatever is between. */
function keepEndsBehindHoles(rows: Map<string, Uint8Array>, { replayed, catalog }: ReplayState): void {
  const ends = new Map<number, number>()
  for (const { id } of [systemLogDefinition, ...catalog.definitions()]) {
    const log = replayed.logs.existing(id)
    if (log === undefined || log.tail.length === 0) continue
    const begin = log.tail.baseOffset(0)
    if (begin > log.flushedEnd) ends.set(id, begin)
  }
  raiseEnds(rows, ends)
}

/** Step 3: writes down what is in no part and was not known to be lost. */
function writeHoles(rows: Map<string, Uint8Array>, { replayed, catalog, manifest }: ReplayState, segments: SegmentJudgement): RepairLoss[] {
  const losses: RepairLoss[] = []
  for (const definition of [systemLogDefinition, ...catalog.definitions()]) {
    const { id, name } = definition
    const log = replayed.logs.get(id)
    if (log === undefined) continue
    const known = unpackRanges(catalog.metadata(id).get(lostSlot))
    const parts = manifest.partsOf(id)
    const fresh: OffsetRange[] = []
    for (const type of typesOf(definition)) {
      fresh.push(...withoutKnown(coverageOf(parts, type, log.trimmedTo, log.flushedEnd).holes, known))
    }
    if (fresh.length === 0) continue
    rows.set(rowKeys.meta(id, lostSlot), packRanges(joinRanges([...known, ...fresh])))
    const named = segments.losses.filter(loss => loss.logId === id && loss.from !== undefined && loss.to !== undefined)
    const explained = named.map((loss): OffsetRange => [loss.from ?? 0, loss.to ?? 0])
    for (const [from, to] of withoutKnown(joinRanges(fresh), explained)) {
      losses.push({
        kind: 'offsets',
        log: name,
        logId: id,
        from,
        to,
        message: `log ${name} (${id}): offsets ${from} to ${to - 1} are in no file any more`,
      })
    }
  }
  return losses
}

async function commitLogLosses(
  evidence: Evidence,
  base: Base,
  { replayed, catalog }: ReplayState,
  rows: ReadonlyMap<string, Uint8Array>,
): Promise<RepairLoss[]> {
  const { damage, lost } = base.kept
  if (damage === undefined) return []
  const losses: RepairLoss[] = [
    { kind: 'commit-log', file: damage.file, position: damage.position, message: `the commit log ends here now: ${damage.message}` },
  ]
  for (const { file, position, bytes } of lostPieces(base.kept)) {
    losses.push({
      kind: 'commit-log',
      file,
      position,
      bytes,
      message: `${bytes} bytes of the commit log are cut off, ${lost.length} readable frames in all`,
    })
  }
  const entries = new ChainEntries(evidence.environment.files, evidence.folder.path)
  for (const [logId, { to, bytes }] of await describeFrames(lost, entries)) {
    const name = catalog.definition(logId)?.name ?? (logId === SYSTEM_LOG_ID ? '$system' : `of id ${logId}`)
    const from = (rows.has(rowKeys.log(logId)) || logId === SYSTEM_LOG_ID ? replayed.logs.get(logId)?.endOffset : undefined) ?? 0
    if (to <= from) continue
    const message = `log ${name} (${logId}): offsets ${from} to ${to - 1} are lost with the end of the commit log`
    losses.push({ kind: 'offsets', log: name, logId, from, to, bytes, message })
  }
  return losses
}

/** Step 4. */
function editOf(base: Base, rows: Map<string, Uint8Array>): { edit: RowChange[] | undefined; snapshot: boolean } {
  if (base.source === 'view' || base.source === 'footers') {
    rows.set(snapshotKey, packRow(true))
    return { edit: [...rows].map(([key, value]) => ({ key, value })), snapshot: true }
  }
  const changed = differingKeys(base.rows, rows)
  if (changed.length === 0) return { edit: undefined, snapshot: false }
  return { edit: changed.map(key => ({ key, value: rows.get(key) ?? null })), snapshot: false }
}

function editsLoss(base: Base): RepairLoss {
  const holes = base.system.holes.map(([from, to]) => `${from} to ${to - 1}`).join(', ')
  const which = holes === '' ? `behind ${base.system.end}` : holes
  const rest = base.source === 'view' ? 'the catalog knew them all' : 'the catalog is what footers say'
  return { kind: 'edits', log: '$system', logId: SYSTEM_LOG_ID, message: `edits of the system log are lost (offsets ${which}); ${rest}` }
}

/** An old view may name segments that an edit behind it took out, and that a repair before this one has moved away. */
function viewNamesMissing(evidence: Evidence, rows: ReadonlyMap<string, Uint8Array>): boolean {
  for (const [key, value] of evidence.view.rows) {
    const parsed = parseRowKey(key)
    if (parsed?.kind !== 'segment') continue
    const segment = evidence.segments.get(parsed.id)
    const row = unpackRow<SegmentRow>(key, value)
    if (!isUsable(segment) || segment.bytes !== row.bytes || !sameBytes(segment.facts.footerChecksum, row.footer)) return true
    if (!rows.has(key) && segment.damagedParts.size > 0) return true
  }
  return false
}
