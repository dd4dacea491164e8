/** What a reader of a log sees: all batches of a range, as one string to compare. Works for logs and for leased logs, here and in a worker. */
import { createHash } from 'node:crypto'
import type { LogSlice } from '../../../../engine/log/log.ts'

interface Readable {
  readonly startOffset: number
  readonly endOffset: number
  read(offset: number, options: { readonly bytesMax?: number; readonly fillChecksums?: boolean }): LogSlice
}

/** Reads `[start, end)` in pieces of `bytesMax`; throws when a read makes no progress. Checksums are filled, so that tail and segment agree. */
export function momentOf(log: Readable, end: number = log.endOffset, bytesMax: number = 1 << 20): string {
  const hash = createHash('sha1')
  let batches = 0
  for (let offset = log.startOffset; offset < end; ) {
    const slice = log.read(offset, { bytesMax, fillChecksums: true })
    if (slice.nextOffset <= offset) throw new Error(`no progress at offset ${offset} of ${end}`)
    hash.update(slice.bytes)
    batches += slice.positions.length
    offset = slice.nextOffset
  }
  return `${log.startOffset}..${end} ${batches} batches ${hash.digest('hex')}`
}
