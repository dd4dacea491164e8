/**
 * Segments that no edit names, and that hold records which nothing else holds: the edit that named them is lost. Other unnamed segments are
 * leftovers (of a flush whose records are still in the commit log, of a merge whose sources are still there), and opening sweeps them.
 */
import { type IdsRow, parseRowKey, rowKeys, unpackRow } from '../catalog/rows.ts'
import type { KeptChain } from './repair-chain.ts'
import { type Evidence, isUsable } from './repair-evidence.ts'

/** Ids of such segments, ascending. */
export function uncoveredSegments(evidence: Evidence, rows: ReadonlyMap<string, Uint8Array>, kept: KeptChain): number[] {
  const ids = rows.get(rowKeys.ids)
  const editFrom = ids === undefined ? 0 : unpackRow<IdsRow>(rowKeys.ids, ids).edit
  const unnamed = [...evidence.segments.values()]
    .filter(isUsable)
    .filter(({ id, facts }) => !rows.has(rowKeys.segment(id)) && facts.editId >= editFrom)
  if (unnamed.length === 0) return []
  const ends = new Map<string, number>()
  for (const key of rows.keys()) {
    const parsed = parseRowKey(key)
    const segment = parsed?.kind === 'segment' ? evidence.segments.get(parsed.id) : undefined
    if (!isUsable(segment)) continue
    const { directory } = segment.facts
    for (let part = 0; part < directory.partCount; part++) {
      const place = `${directory.logId(part)}/${directory.type(part)}`
      ends.set(place, Math.max(ends.get(place) ?? 0, directory.endOffset(part)))
    }
  }
  return unnamed
    .filter(({ facts: { directory } }) => {
      for (let part = 0; part < directory.partCount; part++) {
        const logId = directory.logId(part)
        const isDropped =
          logId !== 0 && !rows.has(rowKeys.log(logId)) && ids !== undefined && logId < unpackRow<IdsRow>(rowKeys.ids, ids).log
        const inParts = directory.endOffset(part) <= (ends.get(`${logId}/${directory.type(part)}`) ?? 0)
        const inTail = (kept.logs.get(logId)?.from ?? Number.POSITIVE_INFINITY) <= directory.firstOffset(part)
        if (!isDropped && !inParts && !inTail) return true
      }
      return false
    })
    .map(({ id }) => id)
    .sort((a, b) => a - b)
}
