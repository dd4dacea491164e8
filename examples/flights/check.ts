/**
 * Reads the logs back and compares them with what was loaded: every record by offset, and by time the first record of each day. Throws at the
 * first difference.
 */

import { unpack } from 'msgpackr'
import { type LocalLog, RecordCursor } from '../../engine/index.ts'
import { LogModel, moments } from './model.ts'

/** Decodes all records of a log in order of their offsets, and returns how many bytes were read. */
export function checkByOffset(log: LocalLog, expected: LogModel, advance: (records: number) => void): number {
  const cursor = new RecordCursor()
  const found = new LogModel()
  let bytesRead = 0
  for (let offset = log.startOffset; offset < log.endOffset; ) {
    const { bytes, positions, nextOffset } = log.read(offset)
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const position of positions) {
      cursor.open(buffer, position)
      while (cursor.next()) {
        const origin = buffer.toString('latin1', cursor.keyStart, cursor.keyStart + cursor.keySize)
        const value = buffer.subarray(cursor.valueStart, cursor.valueStart + cursor.valueSize)
        const [destination, delay, miles] = unpack(value) as [string, number, number]
        found.add({ time: cursor.timestamp, origin, destination, delay, miles })
      }
    }
    advance(nextOffset - offset)
    bytesRead += bytes.length
    offset = nextOffset
  }
  compare(`${log.name}: records`, found.count, expected.count)
  compare(`${log.name}: checksum of the records`, found.checksum, expected.checksum)
  return bytesRead
}

/** Looks each moment up; returns how many look-ups were made. */
export function checkByTime(log: LocalLog, expected: LogModel): number {
  for (const [i, moment] of moments.entries()) {
    compare(`${log.name}: first offset at ${new Date(moment).toISOString()}`, log.offsetForTime(moment), expected.firstAt[i])
  }
  return moments.length
}

export function compare(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, expected ${String(expected)}`)
}
