/**
 * The header by which a record of a topic expires. It is the only header that the engine reads: readers above leave expired records out, and compaction takes them
 * for tombstones.
 */
import type { RecordCursor } from './record-cursor.ts'

/** From when on the record is not handed out any more, milliseconds since 1970 in decimal digits. */
export const EXPIRES_AT_HEADER = 'varve.expires-at'

const nameBytes: Uint8Array = new TextEncoder().encode(EXPIRES_AT_HEADER)
const digitsMax = 15

/** When the cursor's record expires, ms; -1: never, as for a header that is not a time. Moves over the record's headers. */
export function recordExpiresAt(cursor: RecordCursor): number {
  while (cursor.nextHeader()) {
    if (cursor.headerKeySize !== nameBytes.length || !isName(cursor.data, cursor.headerKeyStart)) continue
    return timeIn(cursor.data, cursor.headerValueStart, cursor.headerValueSize)
  }
  return -1
}

function isName(data: Uint8Array, start: number): boolean {
  for (let i = 0; i < nameBytes.length; i++) if (data[start + i] !== nameBytes[i]) return false
  return true
}

function timeIn(data: Uint8Array, start: number, size: number): number {
  if (size < 1 || size > digitsMax) return -1
  let time = 0
  for (let i = start; i < start + size; i++) {
    const digit = (data[i] as number) - 48
    if (digit < 0 || digit > 9) return -1
    time = time * 10 + digit
  }
  return time
}
