/**
 * The catalog from the footers of the segments, for what the system log does not say any more.
 *
 * What is still readable of the system log comes first and outranks footers; they fill the gap:
 *   - a segment that no readable edit names counts when its edit came at or after the gap, no readable edit removed it, and its edit is complete
 *   - an edit is complete when all its outputs ("i of n") are there, or a later one exists (work is done in turn, and leftovers of a crash
 *     are swept at the next opening, so only the newest edit can be incomplete); an incomplete one is void where its sources or the commit log
 *     still hold the same records
 *   - parts that a counting edit replaced are out
 *   - logs that were defined in the gap get name and kind from the footers; other options cannot be known
 */
import {
  CATALOG_FORMAT,
  type DatabaseRow,
  type DefinitionRow,
  type IdsRow,
  packRow,
  parseRowKey,
  rowKeys,
  type SegmentRow,
  unpackRow,
} from '../catalog/rows.ts'
import { kindOfNumber } from '../log/batch-kinds.ts'
import { PART_BODY } from '../segment/format.ts'
import { type Evidence, isUsable } from './repair-evidence.ts'
import type { CheckedSegment, SegmentFacts } from './segment-check.ts'
import type { SystemLog } from './system-log.ts'
import { foldEdits } from './system-log.ts'

type UsableSegment = CheckedSegment & { readonly facts: SegmentFacts }

export interface FooterResult {
  readonly rows: Map<string, Uint8Array>
  /** Segments whose edit is void, for setting aside. */
  readonly voided: readonly UsableSegment[]
  readonly notes: readonly string[]
  /** Logs whose options are not known. */
  readonly guessed: readonly { readonly id: number; readonly name: string }[]
}

/** `inTail`: whether the commit log holds the log's records from this offset on. */
export function rowsFromFooters(
  evidence: Evidence,
  system: SystemLog,
  inTail: (logId: number, firstOffset: number) => boolean,
): FooterResult {
  const usable = [...evidence.segments.values()].filter(isUsable)
  const rows = foldEdits(system.all)
  const hole = system.holes[0]?.[0] ?? system.end
  const prefix = foldEdits(system.all.filter(batch => batch.endOffset <= hole))
  const idsBefore = readIds(prefix)
  const removed = removedAfter(system, hole)
  const notes: string[] = []

  const groups = new Map<number, UsableSegment[]>()
  for (const segment of usable) {
    const base = segment.id - segment.facts.outputIndex
    groups.set(base, [...(groups.get(base) ?? []), segment])
  }
  const newest = Math.max(0, ...groups.keys())
  const counting: UsableSegment[] = []
  const voided: UsableSegment[] = []
  for (const [base, members] of [...groups].sort((a, b) => a[0] - b[0])) {
    const named = members.filter(segment => rowMatches(rows, segment))
    const gap = members.filter(
      segment => !named.includes(segment) && !removed.has(rowKeys.segment(segment.id)) && segment.facts.editId >= (idsBefore?.edit ?? 0),
    )
    counting.push(...named)
    if (gap.length === 0) continue
    const first = gap[0] as UsableSegment
    const complete = members.length === first.facts.outputCount || named.length > 0 || base !== newest
    if (complete || !gap.every(segment => isHeldElsewhere(segment, evidence, inTail))) {
      counting.push(...gap)
      if (!complete) notes.push(`edit ${first.facts.editId} is incomplete, but what is there of it lies nowhere else: it is kept`)
    } else {
      voided.push(...gap)
      notes.push(`edit ${first.facts.editId} is incomplete and void: its records lie elsewhere`)
    }
  }
  setSegmentRows(rows, counting)
  const guessed = setDefinitions(rows, counting, idsBefore?.log ?? 1, notes)
  setDatabase(rows, usable, guessed)
  return { rows, voided, notes, guessed }
}

function readIds(rows: ReadonlyMap<string, Uint8Array>): IdsRow | undefined {
  const row = rows.get(rowKeys.ids)
  return row === undefined ? undefined : unpackRow<IdsRow>(rowKeys.ids, row)
}

/** Rows that a readable edit behind the hole took away. */
function removedAfter(system: SystemLog, hole: number): ReadonlySet<string> {
  const removed = new Set<string>()
  for (const batch of system.all) {
    if (batch.baseOffset < hole) continue
    for (const { key, value } of batch.changes) {
      if (value === null) removed.add(key)
      else removed.delete(key)
    }
  }
  return removed
}

function rowMatches(rows: ReadonlyMap<string, Uint8Array>, segment: UsableSegment): boolean {
  const key = rowKeys.segment(segment.id)
  const value = rows.get(key)
  if (value === undefined) return false
  const row = unpackRow<SegmentRow>(key, value)
  return row.bytes === segment.bytes && row.footer.every((byte, i) => byte === segment.facts.footerChecksum[i])
}

function isHeldElsewhere(segment: UsableSegment, evidence: Evidence, inTail: (logId: number, firstOffset: number) => boolean): boolean {
  const { replaced, directory } = segment.facts
  if (replaced.length > 0) return replaced.every(part => isUsable(evidence.segments.get(part.segmentId)))
  for (let part = 0; part < directory.partCount; part++) {
    if (!inTail(directory.logId(part), directory.firstOffset(part))) return false
  }
  return true
}

/** One row for each counting segment, without the parts that others replaced; a segment of which nothing is left gets none. */
function setSegmentRows(rows: Map<string, Uint8Array>, counting: readonly UsableSegment[]): void {
  const dropped = new Map<number, Set<number>>()
  for (const { id } of counting) {
    const known = rows.get(rowKeys.segment(id))
    dropped.set(id, new Set(known === undefined ? [] : unpackRow<SegmentRow>(rowKeys.segment(id), known).dropped))
  }
  for (const { facts } of counting) for (const { segmentId, part } of facts.replaced) dropped.get(segmentId)?.add(part)
  for (const key of [...rows.keys()]) {
    const parsed = parseRowKey(key)
    if (parsed?.kind !== 'segment' || dropped.has(parsed.id)) continue
    // A segment that was merged away in the gap is no loss.
    if (counting.some(({ facts }) => facts.replaced.some(({ segmentId }) => segmentId === parsed.id))) rows.delete(key)
  }
  for (const { id, bytes, facts } of counting) {
    const gone = dropped.get(id) ?? new Set<number>()
    const parts = facts.directory.partCount
    if (gone.size >= parts && parts > 0) rows.delete(rowKeys.segment(id))
    else {
      const row: SegmentRow = {
        bytes,
        footer: facts.footerChecksum,
        parts,
        dropped: [...gone].filter(part => part < parts).sort((a, b) => a - b),
      }
      rows.set(rowKeys.segment(id), packRow(row))
    }
  }
}

/** Definitions of logs that were made in the gap. */
function setDefinitions(
  rows: Map<string, Uint8Array>,
  counting: readonly UsableSegment[],
  firstId: number,
  notes: string[],
): { id: number; name: string }[] {
  const guessed = new Map<number, DefinitionRow>()
  const names = new Set<string>()
  for (const [key, value] of rows) if (parseRowKey(key)?.kind === 'log') names.add(unpackRow<DefinitionRow>(key, value).name)
  for (const { facts } of counting.toSorted((a, b) => b.facts.editId - a.facts.editId || b.id - a.id)) {
    const { directory } = facts
    for (const { logId, kind, name } of facts.names) {
      const logKind = kindOfNumber(kind)
      if (logId === 0 || logId < firstId || guessed.has(logId) || rows.has(rowKeys.log(logId)) || logKind === undefined) continue
      let versioned = false
      let body = false
      for (let part = directory.find(logId); part < directory.find(logId + 1); part++) {
        versioned ||= directory.isVersioned(part)
        body ||= directory.type(part) === PART_BODY
      }
      let free = name
      while (names.has(free)) free = `${free}~${logId}`
      if (free !== name) notes.push(`log ${logId} was named ${name}, as another one is; it is named ${free} now`)
      names.add(free)
      guessed.set(logId, { name: free, kind: logKind, ...(versioned ? { versioned } : {}), ...(body ? { body } : {}) })
    }
  }
  for (const [id, row] of guessed) rows.set(rowKeys.log(id), packRow(row))
  return [...guessed].map(([id, { name }]) => ({ id, name })).sort((a, b) => a.id - b.id)
}

/** The rows `database` and `ids`. */
function setDatabase(rows: Map<string, Uint8Array>, usable: readonly UsableSegment[], guessed: readonly { id: number }[]): void {
  const ids = readIds(rows) ?? { log: 1, edit: 1 }
  const log = Math.max(ids.log, ...guessed.map(({ id }) => id + 1))
  const edit = Math.max(ids.edit, ...usable.map(({ facts }) => facts.editId + 1))
  rows.set(rowKeys.ids, packRow({ log, edit }))
  if (rows.has(rowKeys.database)) return
  const id = usable.find(({ facts }) => facts.databaseId !== undefined)?.facts.databaseId
  if (id === undefined) return
  const row: DatabaseRow = { format: CATALOG_FORMAT, id, createdMs: 0 }
  rows.set(rowKeys.database, packRow(row))
}
