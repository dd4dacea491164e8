/**
 * Which segments a repair keeps, and which of their parts. A segment is set aside when what it says about itself is damaged or when nothing of it
 * counts any more; otherwise it stays where it is, and its damaged parts are dropped from its row. A copy of every damaged file goes aside.
 */

import { segmentFileName } from '../catalog/manifest.ts'
import { type DefinitionRow, packRow, parseRowKey, type RowChange, rowKeys, type SegmentRow, unpackRow } from '../catalog/rows.ts'
import { PART_BODY, PART_RUN } from '../segment/format.ts'
import { sameBytes } from './catalog-check.ts'
import type { Base } from './repair-base.ts'
import { type Evidence, isUsable } from './repair-evidence.ts'
import { uncoveredSegments } from './repair-orphans.ts'
import type { RepairLoss } from './repair-report.ts'
import type { CheckedSegment, SegmentFacts } from './segment-check.ts'

export interface SegmentJudgement {
  readonly changes: readonly RowChange[]
  readonly losses: readonly RepairLoss[]
  /** Up to where logs reached in parts that are lost. */
  readonly ends: ReadonlyMap<number, number>
  /** Files to keep a copy of; `remove` when they leave the folder. */
  readonly aside: readonly { readonly path: string; readonly remove: boolean; readonly reason: string }[]
  /** Files whose header is written anew. */
  readonly headers: readonly (CheckedSegment & { readonly facts: SegmentFacts })[]
}

export function judgeSegments(evidence: Evidence, base: Base, rows: ReadonlyMap<string, Uint8Array>): SegmentJudgement {
  return new SegmentJudge(evidence, rows).judge(base)
}

class SegmentJudge implements SegmentJudgement {
  readonly changes: RowChange[] = []
  readonly losses: RepairLoss[] = []
  readonly ends: Map<number, number> = new Map()
  readonly aside: { path: string; remove: boolean; reason: string }[] = []
  readonly headers: (CheckedSegment & { readonly facts: SegmentFacts })[] = []
  readonly #evidence: Evidence
  readonly #rows: ReadonlyMap<string, Uint8Array>

  constructor(evidence: Evidence, rows: ReadonlyMap<string, Uint8Array>) {
    this.#evidence = evidence
    this.#rows = rows
  }

  judge(base: Base): SegmentJudgement {
    const named = new Set<number>()
    const databaseId = this.#databaseId()
    for (const [key, value] of this.#rows) {
      const parsed = parseRowKey(key)
      if (parsed?.kind !== 'segment') continue
      named.add(parsed.id)
      this.#judgeNamed(parsed.id, unpackRow<SegmentRow>(key, value), databaseId)
    }
    const uncovered = uncoveredSegments(this.#evidence, this.#rows, base.kept)
    for (const segment of this.#evidence.segments.values()) {
      if (!named.has(segment.id)) this.#judgeUnnamed(segment, base, uncovered.includes(segment.id))
    }
    return this
  }

  #databaseId(): Uint8Array | undefined {
    const row = this.#rows.get(rowKeys.database)
    return row === undefined ? undefined : unpackRow<{ id: Uint8Array }>(rowKeys.database, row).id
  }

  #judgeNamed(id: number, row: SegmentRow, databaseId: Uint8Array | undefined): void {
    const path = `${this.#evidence.folder.path}/${segmentFileName(id)}`
    const segment = this.#evidence.segments.get(id)
    if (segment === undefined) {
      this.#loseSegment(id, row, path, 'is missing', undefined)
      return
    }
    if (!isUsable(segment)) {
      this.#loseSegment(id, row, path, `is damaged: ${segment.findings[0]?.message.replace(`${path}: `, '') ?? 'unreadable'}`, segment)
      return
    }
    const { facts } = segment
    const foreign = facts.databaseId !== undefined && databaseId !== undefined && !sameBytes(facts.databaseId, databaseId)
    if (foreign || segment.bytes !== row.bytes || !sameBytes(facts.footerChecksum, row.footer)) {
      this.#loseSegment(id, row, path, foreign ? 'is one of another database' : 'is another one than the catalog names', segment)
      return
    }
    const damaged = [...segment.damagedParts].filter(part => !row.dropped.includes(part)).sort((a, b) => a - b)
    if (segment.headerDamaged) this.headers.push(segment)
    const dropped = [...row.dropped, ...damaged].sort((a, b) => a - b)
    const nothingLeft = damaged.length > 0 && dropped.length === row.parts
    if (damaged.length > 0) {
      for (const part of damaged) this.#losePart(segment, part)
      this.changes.push({ key: rowKeys.segment(id), value: nothingLeft ? null : packRow({ ...row, dropped }) })
    }
    if (!segment.headerDamaged && damaged.length === 0) return
    const reasons = [
      ...(segment.headerDamaged ? ['its header is damaged'] : []),
      ...(damaged.length > 0 ? [`parts ${damaged.join(', ')} are damaged`] : []),
    ]
    this.aside.push({ path, remove: nothingLeft, reason: reasons.join('; ') })
  }

  #loseSegment(id: number, row: SegmentRow, path: string, what: string, segment: CheckedSegment | undefined): void {
    this.changes.push({ key: rowKeys.segment(id), value: null })
    const parts = row.parts - row.dropped.length
    const message = `segment ${id} ${what}; the records of its ${parts} parts are lost where no other file holds them`
    const place = segment?.findings[0]?.position
    this.losses.push({ kind: 'segment', file: path, ...(place === undefined ? {} : { position: place }), bytes: row.bytes, message })
    if (segment !== undefined) this.aside.push({ path, remove: true, reason: what })
  }

  #losePart(segment: CheckedSegment & { readonly facts: SegmentFacts }, part: number): void {
    const { directory, names } = segment.facts
    const logId = directory.logId(part)
    const stored = this.#rows.get(rowKeys.log(logId))
    const defined = stored === undefined ? undefined : unpackRow<DefinitionRow>(rowKeys.log(logId), stored)
    const log = defined?.name ?? names.find(entry => entry.logId === logId)?.name ?? `of id ${logId}`
    const from = directory.firstOffset(part)
    const to = directory.endOffset(part)
    const finding = segment.findings.find(found => found.part === part)
    const type = directory.type(part)
    const what = type === PART_RUN ? 'records by key' : type === PART_BODY ? 'records by offset' : 'records'
    if (logId === 0 || defined !== undefined) this.ends.set(logId, Math.max(this.ends.get(logId) ?? 0, to))
    this.losses.push({
      kind: 'part',
      log,
      logId,
      from,
      to,
      file: segment.path,
      position: finding?.position ?? directory.position(part),
      bytes: directory.byteCount(part),
      message: `log ${log} (${logId}): ${what} of offsets ${from} to ${to - 1} are lost with part ${part}`,
    })
  }

  /**
   * Leftovers of unfinished edits are left to the next opening, which sweeps them, unless edits were lost: then one of those may have named the
   * file, and it goes aside. Records that no other file holds are lost with it.
   */
  #judgeUnnamed(segment: CheckedSegment, base: Base, uncovered: boolean): void {
    const lostEdits = base.kept.damage !== undefined || base.source === 'footers'
    if (!lostEdits && !uncovered) return
    this.aside.push({ path: segment.path, remove: true, reason: 'no edit that is left names it' })
    const isDamaged = base.source === 'footers' && !isUsable(segment)
    if (!uncovered && !isDamaged) return
    const finding = segment.findings[0]
    const what = isDamaged
      ? `is damaged: ${finding?.message.replace(`${segment.path}: `, '') ?? 'unreadable'}`
      : 'was named by an edit that is lost'
    const message = `segment ${segment.id} ${what}; it holds records that no other file has`
    this.losses.push({ kind: 'segment', file: segment.path, position: finding?.position ?? 0, bytes: segment.bytes, message })
  }
}
