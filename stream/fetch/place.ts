/** Where reading a partition begins or ends, as a user names it: an offset, or the first record at or after a time. */
import { type LocalLog, VarveError } from '../../engine/index.ts'

/** A place in a partition. Times are milliseconds since 1970. */
export type Place = { readonly offset: number } | { readonly time: number }

/** The offset of a place; the high watermark for a time behind all records. OFFSET_OUT_OF_RANGE with the valid range. */
export function offsetOfPlace(log: LocalLog, place: Place): number {
  if ('time' in place) return log.offsetForTime(place.time) ?? log.highWatermark
  const { startOffset, endOffset } = log
  const { offset } = place
  if (offset >= startOffset && offset <= endOffset) return offset
  throw new VarveError('OFFSET_OUT_OF_RANGE', `log ${log.name} holds offsets ${startOffset} to ${endOffset}, asked for ${offset}`, {
    details: { log: log.name, startOffset, endOffset, actual: offset },
  })
}
