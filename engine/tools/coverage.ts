/**
 * Which offsets of a log its parts cover: the holes that no part and no trim explains, and overlaps. `verify` reports them, `repair` writes
 * them down as lost.
 *
 * Topic and body parts lie one behind the other; runs may overlap (they are sorted by key), and only their union has to be without holes.
 */
import type { DefinedLog } from '../log/log.ts'
import type { PartRef } from '../log/parts.ts'
import { PART_BODY, PART_RUN, PART_TOPIC } from '../segment/format.ts'
import type { OffsetRange } from './system-log.ts'

/** What the parts of one type have to cover. */
export interface Coverage {
  readonly type: number
  readonly holes: readonly OffsetRange[]
  readonly overlaps: readonly { readonly path: string; readonly message: string }[]
  /** After the last part; `start` when there is none. */
  readonly end: number
}

export function typesOf(definition: DefinedLog): number[] {
  if (definition.kind === 'topic') return [PART_TOPIC]
  return definition.body === true ? [PART_RUN, PART_BODY] : [PART_RUN]
}

/** `start`: nothing below it has to be there. `end`: the log is flushed up to here, by its state or its tail. */
export function coverageOf(parts: readonly PartRef[], type: number, start: number, end: number): Coverage {
  const holes: OffsetRange[] = []
  const overlaps: { path: string; message: string }[] = []
  let covered = start
  // Parts below the start may still be there: where the one before ends is not what is covered.
  let before = 0
  const sorted = parts.filter(part => part.type === type).sort((a, b) => a.firstOffset - b.firstOffset || a.endOffset - b.endOffset)
  for (const { firstOffset, endOffset, reader, part } of sorted) {
    if (firstOffset > covered) holes.push([covered, firstOffset])
    else if (firstOffset < before && type !== PART_RUN && endOffset > start) {
      overlaps.push({ path: reader.path, message: `part ${part} begins at offset ${firstOffset}, the part before it ends at ${before}` })
    }
    before = Math.max(before, endOffset)
    covered = Math.max(covered, endOffset)
  }
  if (end > covered) holes.push([covered, end])
  return { type, holes, overlaps, end: Math.max(covered, end) }
}

/** The holes less what is known to be lost. */
export function withoutKnown(holes: readonly OffsetRange[], known: readonly OffsetRange[]): OffsetRange[] {
  let left = holes.map(([from, to]): OffsetRange => [from, to])
  for (const [from, to] of known) {
    left = left.flatMap(([start, end]): OffsetRange[] => {
      if (to <= start || from >= end) return [[start, end]]
      const pieces: OffsetRange[] = []
      if (start < from) pieces.push([start, from])
      if (to < end) pieces.push([to, end])
      return pieces
    })
  }
  return left
}

/** Both lists as one, in order, neighbours joined. */
export function joinRanges(ranges: readonly OffsetRange[]): OffsetRange[] {
  const joined: [number, number][] = []
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else joined.push([from, to])
  }
  return joined
}
