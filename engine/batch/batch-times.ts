/**
 * The smallest timestamp of a batch. The header has the base timestamp, which is that of the first record: later ones may be older, so whoever wants to pass over batches by time has to
 * look at the records once. That costs two varints a record, and is done when a segment is written.
 */
import { CODEC_NONE } from '../codec/compression.ts'
import { readZigzag32, readZigzag53, varintEnd } from '../codec/varint.ts'
import { isVarveError } from '../errors.ts'
import { NONE, RECORD_BATCH_HEADER_BYTES } from './format.ts'
import { batchBaseTimestamp, batchCodec, batchHasAppendTime, batchMaxTimestamp, batchRecordCount } from './record-batch.ts'

/** Ms; NONE: a record has no timestamp, or it is not known without decompressing. Infinity: there are no records. */
export function smallestTimestamp(buffer: Uint8Array, position: number, size: number): number {
  const count = batchRecordCount(buffer, position)
  if (count === 0) return Number.POSITIVE_INFINITY
  if (batchHasAppendTime(buffer, position)) return batchMaxTimestamp(buffer, position)
  if (batchCodec(buffer, position) !== CODEC_NONE) return NONE
  const end = position + size
  let at = position + RECORD_BATCH_HEADER_BYTES
  let least = 0
  try {
    for (let i = 0; i < count; i++) {
      const body = readZigzag32(buffer, at, end)
      at = varintEnd
      const delta = readZigzag53(buffer, at + 1, end)
      if (i === 0 || delta < least) least = delta
      at += body
    }
  } catch (error) {
    // Of bytes that came ready made nobody has checked the records yet; readers will.
    if (isVarveError(error, 'CORRUPT')) return NONE
    throw error
  }
  return Math.max(NONE, batchBaseTimestamp(buffer, position) + least)
}
