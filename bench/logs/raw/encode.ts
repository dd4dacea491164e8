/**
 * The least that a log of Kafka's format has to do for a record on the main thread: a batch header and, per record, its length, attributes,
 * deltas, key, value and header count. Neither checksums nor indexes: this is the yardstick, not an engine.
 */

import type { BenchRecord } from '../records.ts'

const headerBytes = 61
const countAt = 57
const offsetDeltaAt = 23
const sizeAt = 8

/** Room that a batch of these records needs at most. */
export function batchBytesMax(count: number, recordBytes: number): number {
  return headerBytes + count * (recordBytes + 24)
}

/** Writes one batch and returns the position after it. */
export function encodeBatch(
  target: Uint8Array,
  view: DataView,
  start: number,
  baseOffset: number,
  records: readonly BenchRecord[],
): number {
  let at = start + headerBytes
  for (let i = 0; i < records.length; i++) {
    const { key, value } = records[i] as BenchRecord
    const body = 1 + 1 + zigzagSize(i) + zigzagSize(key.length) + key.length + zigzagSize(value.length) + value.length + 1
    at = writeZigzag(target, at, body)
    target[at++] = 0 // attributes
    target[at++] = 0 // timestamp delta
    at = writeZigzag(target, at, i)
    at = writeZigzag(target, at, key.length)
    target.set(key, at)
    at = writeZigzag(target, at + key.length, value.length)
    target.set(value, at)
    at += value.length
    target[at++] = 0 // headers
  }
  target.fill(0, start, start + headerBytes)
  view.setUint32(start + 4, baseOffset)
  view.setUint32(start + sizeAt, at - start - 12)
  view.setUint8(start + 16, 2)
  view.setUint32(start + offsetDeltaAt, records.length - 1)
  view.setUint32(start + countAt, records.length)
  return at
}

/** Records in a file of such batches that ends at `end`; stops at the first position that is none. */
export function countRecords(view: DataView, end: number): number {
  let count = 0
  for (let at = 0; at + headerBytes <= end && view.getUint8(at + 16) === 2; at += 12 + view.getUint32(at + sizeAt)) {
    count += view.getUint32(at + countAt)
  }
  return count
}

function zigzagSize(value: number): number {
  return value < 64 ? 1 : value < 8192 ? 2 : 3
}

/** Non-negative values below 2^20. */
function writeZigzag(target: Uint8Array, position: number, value: number): number {
  let rest = value << 1
  let at = position
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at] = rest
  return at + 1
}
