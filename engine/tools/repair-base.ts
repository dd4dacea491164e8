/**
 * What `repair` builds the catalog on: the best description of the database that its files still hold, and the chain of frames that goes with it.
 *
 *   'sound'        the view is right: nothing to rebuild
 *   'system log'   every edit that counts can be read: the catalog is their fold
 *   'view'         edits are lost, but the view knew them
 *   'footers'      edits are lost and the view is too: what can be read of the system log, and the footers for the rest
 * A view that is older than the segments (a copy put back) is no better than none.
 */
import { type FlushRow, rowKeys, unpackRow } from '../catalog/rows.ts'
import { alignFrame } from '../commit-log/format.ts'
import { differingKeys } from './catalog-check.ts'
import { loadLogFiles, lostFrames } from './commit-log-files.ts'
import { bestChain, type Cut, chainFrom, type FlushState, indexOfPoint, type KeptChain, pointByCoverage } from './repair-chain.ts'
import { type Evidence, isUsable } from './repair-evidence.ts'
import { type FooterResult, rowsFromFooters } from './repair-footers.ts'
import { uncoveredSegments } from './repair-orphans.ts'
import { foldEdits, orderSystemLog, type SystemLog } from './system-log.ts'

export type CatalogSource = 'sound' | 'system log' | 'view' | 'footers'

export interface Base {
  readonly source: CatalogSource
  readonly rows: ReadonlyMap<string, Uint8Array>
  /** Begins at the flush point of `rows`. */
  readonly kept: KeptChain
  readonly system: SystemLog
  readonly footers: FooterResult | undefined
}

const origin: FlushState = { lsn: 0, checksum: new Uint8Array(8), sequence: 1 }

function flushOf(rows: ReadonlyMap<string, Uint8Array>): FlushState | undefined {
  const row = rows.get(rowKeys.flush)
  return row === undefined ? undefined : unpackRow<FlushRow>(rowKeys.flush, row)
}

export async function chooseBase(evidence: Evidence, cut: Cut | undefined): Promise<Base> {
  const { partEdits, view, viewUsable } = evidence
  const from = (point: FlushState): Promise<KeptChain> =>
    chainFrom(evidence.environment.files, evidence.folder.path, evidence.logFiles, point, cut)
  const together = (kept: KeptChain): SystemLog => orderSystemLog([...partEdits, ...kept.edits])
  /** The base with a chain that begins at the flush point of its rows; undefined when that point does not lie on the chain. */
  const settle = async (source: CatalogSource, rows: ReadonlyMap<string, Uint8Array>, kept: KeptChain, system: SystemLog) => {
    const point = flushOf(rows) ?? origin
    if (point.lsn !== kept.point.lsn && indexOfPoint(kept.chain, point) === undefined) return undefined
    const settled = point.lsn === kept.point.lsn ? kept : await from(point)
    // With a view its word stands; without one, a segment that only a lost edit can have named calls for the footers.
    if (source === 'system log' && uncoveredSegments(evidence, rows, settled).length > 0) return undefined
    return { source, rows, kept: settled, system, footers: undefined }
  }

  const parts = orderSystemLog(partEdits)
  const partsFlush = parts.whole ? flushOf(foldEdits(parts.batches)) : undefined
  if (viewUsable && view.rows.size > 0) {
    const point = flushOf(view.rows) ?? origin
    const kept = await from(point)
    const system = together(kept)
    const stale = partsFlush !== undefined && partsFlush.lsn > point.lsn && kept.chain.endLsn < partsFlush.lsn
    if (!stale && system.whole && system.end >= view.applied) {
      const isFold = system.start <= view.applied && differingKeys(view.rows, foldEdits(system.batches, view.applied)).length === 0
      const base = await settle(isFold ? 'sound' : 'system log', foldEdits(system.batches), kept, system)
      if (base !== undefined) return base
    } else if (!stale) {
      const rows = new Map(view.rows)
      const later = kept.edits.filter(batch => batch.baseOffset >= view.applied)
      for (const { changes } of later) {
        for (const { key, value } of changes) {
          if (value === null) rows.delete(key)
          else rows.set(key, value)
        }
      }
      const base = await settle('view', rows, kept, system)
      if (base !== undefined) return base
    }
  }
  if (parts.whole) {
    const kept = await from(partsFlush ?? origin)
    const system = together(kept)
    if (kept.begins && system.whole) {
      const rows = foldEdits(system.batches)
      // Nothing was ever flushed: the view has nothing to say yet.
      const isNew = viewUsable && view.rows.size === 0 && flushOf(rows) === undefined
      const base = await settle(isNew ? 'sound' : 'system log', foldEdits(system.batches), kept, system)
      if (base !== undefined) return base
    }
  }
  const { files } = evidence.environment
  const best = await bestChain(files, evidence.folder.path, evidence.logFiles, partsFlush?.lsn ?? -1, cut)
  if (best !== undefined) {
    const system = together(best)
    const base = system.whole ? await settle('system log', foldEdits(system.batches), best, system) : undefined
    if (base !== undefined) return base
  }
  return await fromFooters(evidence, best, from)
}

async function fromFooters(
  evidence: Evidence,
  best: KeptChain | undefined,
  from: (point: FlushState) => Promise<KeptChain>,
): Promise<Base> {
  const system = orderSystemLog([...evidence.partEdits, ...(best?.edits ?? [])])
  const footers = rowsFromFooters(evidence, system, (logId, first) => (best?.logs.get(logId)?.from ?? Number.POSITIVE_INFINITY) <= first)
  const ends = new Map<number, number>()
  let sequence = flushOf(footers.rows)?.sequence ?? 1
  for (const segment of evidence.segments.values()) {
    if (!isUsable(segment)) continue
    const { directory } = segment.facts
    for (let part = 0; part < directory.partCount; part++) {
      sequence = Math.max(sequence, directory.maxSequence(part) + 1)
      if (!footers.rows.has(rowKeys.segment(segment.id))) continue
      const logId = directory.logId(part)
      ends.set(logId, Math.max(ends.get(logId) ?? 0, directory.endOffset(part)))
    }
  }
  const point =
    best === undefined
      ? await freshPoint(evidence, flushOf(footers.rows)?.lsn ?? 0, sequence)
      : await pointByCoverage(best, id => ends.get(id) ?? 0, sequence)
  const kept = await from(point)
  return { source: 'footers', rows: footers.rows, kept: best === undefined ? withEverythingLost(evidence, kept) : kept, system, footers }
}

/** No frame can be followed: all that lies in the commit log is lost, unless segments hold it. */
function withEverythingLost(evidence: Evidence, kept: KeptChain): KeptChain {
  const written = evidence.logFiles.find(file => file.bytes.some(byte => byte !== 0))
  if (written === undefined) return kept
  const parts = orderSystemLog(evidence.partEdits)
  const flushed = parts.whole ? flushOf(foldEdits(parts.batches)) : undefined
  const nothing = { ...kept.chain, endLsn: flushed?.lsn ?? 0 }
  const damage = { file: written.path, position: 0, message: 'no frame here continues what the segments hold' }
  return { ...kept, damage, lost: lostFrames(evidence.logFiles, nothing) }
}

/** A place for the log to go on where nothing can be taken for its continuation: above every LSN seen, behind a checksum that nobody has. */
async function freshPoint(evidence: Evidence, lsnMin: number, sequence: number): Promise<FlushState> {
  let lsn = lsnMin
  let last = sequence
  // Frames in spare files too: when such a file is used again, they must lie below what is written.
  const spares = await loadLogFiles(evidence.environment.files, evidence.folder.spares)
  for (const file of [...evidence.logFiles, ...spares]) {
    for (const frame of file.all) {
      lsn = Math.max(lsn, frame.lsn + alignFrame(frame.end) - frame.start)
      last = Math.max(last, frame.sequence)
    }
  }
  const checksum = new Uint8Array(8)
  const view = new DataView(checksum.buffer)
  view.setUint32(0, evidence.environment.random.uint32(), true)
  view.setUint32(4, evidence.environment.random.uint32(), true)
  return { lsn, checksum, sequence: last }
}
