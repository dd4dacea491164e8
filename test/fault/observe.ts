/**
 * Reads everything a database holds, through the paths its users have, into plain data that can be compared.
 *
 * Topic logs and logs with a body give their values by offset. A store log without a body keeps keys and not offsets once it is flushed, so
 * all store logs also give their records as a sorted list `key=value`, out of runs and tail.
 */
import { decodeRecords } from '../../engine/batch/record-batch-codec.ts'
import { openStoreBatch, storeBatchBaseOffset } from '../../engine/batch/store-batch.ts'
import { StoreRecordCursor } from '../../engine/batch/store-record.ts'
import type { LocalLog } from '../../engine/log/log.ts'
import { PART_RUN } from '../../engine/segment/format.ts'
import { RunCursor } from '../../engine/segment/run-reader.ts'
import { internals } from '../support/internals.ts'

export interface ObservedRecord {
  readonly offset: number
  readonly key: string
  readonly value: string
}

export interface ObservedLog {
  readonly startOffset: number
  readonly endOffset: number
  /** What can be read by offset, in order. */
  readonly records: readonly ObservedRecord[]
  /** Store logs: every record of runs and tail as `key=value`, sorted. */
  readonly entries: readonly string[]
}

const decoder = new TextDecoder()

function text(bytes: Uint8Array | null | undefined): string {
  return bytes === null || bytes === undefined ? '' : decoder.decode(bytes.slice())
}

/** Everything in the log. Throws when the log breaks a rule that holds for every log: order, contiguity, progress of reads. */
export function observeLog(log: LocalLog, readBytesMax: number = 1 << 20): ObservedLog {
  const { startOffset, endOffset } = log
  const records: ObservedRecord[] = []
  for (let at = startOffset; at < endOffset; ) {
    const slice = log.read(at, { bound: 'end', bytesMax: readBytesMax })
    for (const position of slice.positions) for (const record of recordsOf(log, slice.bytes, position)) records.push(record)
    if (slice.nextOffset <= at) throw new Error(`log ${log.name}: a read at ${at} of ${endOffset} does not move on`)
    at = slice.nextOffset
  }
  for (let i = 1; i < records.length; i++) {
    const [before, here] = [records[i - 1] as ObservedRecord, records[i] as ObservedRecord]
    const isGap = log.definition.cleanup !== 'compact' && here.offset !== before.offset + 1
    if (here.offset <= before.offset || isGap) throw new Error(`log ${log.name}: offset ${here.offset} follows ${before.offset}`)
  }
  return {
    startOffset,
    endOffset,
    records: records.filter(record => record.offset >= startOffset),
    entries: log.kind === 'store' ? storeEntries(log) : [],
  }
}

function recordsOf(log: LocalLog, bytes: Uint8Array, position: number): ObservedRecord[] {
  if (log.kind === 'topic') {
    return decodeRecords(bytes, position).map(({ offset, key, value }) => ({ offset, key: text(key), value: text(value) }))
  }
  const cursor = new StoreRecordCursor()
  openStoreBatch(cursor, bytes, position)
  const baseOffset = storeBatchBaseOffset(bytes, position)
  const records: ObservedRecord[] = []
  while (cursor.next()) records.push({ offset: baseOffset + records.length, ...keyAndValue(cursor) })
  return records
}

function keyAndValue(cursor: StoreRecordCursor): { key: string; value: string } {
  const { buffer, keyStart, keyBytes, valueStart, valueBytes } = cursor
  return { key: text(buffer.subarray(keyStart, keyStart + keyBytes)), value: text(buffer.subarray(valueStart, valueStart + valueBytes)) }
}

function storeEntries(log: LocalLog): string[] {
  const entries: string[] = []
  for (const part of internals(log).parts) {
    if (part.type !== PART_RUN) continue
    const cursor = new RunCursor(part.reader, part.part)
    while (cursor.next()) {
      const { key, value } = keyAndValue(cursor.record)
      entries.push(`${key}=${value}`)
    }
  }
  for (let at = log.flushedEnd; at < log.endOffset; ) {
    const slice = log.read(at, { bound: 'end' })
    for (const position of slice.positions)
      for (const { key, value } of recordsOf(log, slice.bytes, position)) entries.push(`${key}=${value}`)
    if (slice.nextOffset <= at) throw new Error(`log ${log.name}: a read at ${at} does not move on`)
    at = slice.nextOffset
  }
  return entries.sort()
}
