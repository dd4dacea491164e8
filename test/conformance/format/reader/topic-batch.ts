/** Topic batches: docs/FORMAT.md, section 5. */
import { Cursor, check, crc32c, safe } from './bytes.ts'
import { decompress } from './codecs.ts'

export interface TopicRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer | null }[]
  readonly epoch: number
  /** A transaction marker, or another control record. */
  readonly control: boolean
}

export interface TopicBatch {
  readonly size: number
  readonly baseOffset: number
  /** Exclusive. */
  readonly endOffset: number
  readonly epoch: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly codec: number
  readonly appendTime: boolean
  readonly deleteHorizon: boolean
  readonly transactional: boolean
  readonly control: boolean
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly count: number
  readonly records: readonly TopicRecord[]
}

/** Reads the batch that begins at `at`, all of it. `crcIsOpen`: it lies in a frame with the flag. */
export function readTopicBatch(bytes: Buffer, at: number, end: number, crcIsOpen: boolean): TopicBatch {
  check(at + 61 <= end, 'a topic batch is cut off')
  const size = bytes.readInt32BE(at + 8) + 12
  check(size >= 61 && at + size <= end, 'a topic batch of an impossible size')
  check(bytes.readInt8(at + 16) === 2, 'a topic batch of another magic')
  if (!crcIsOpen) check(bytes.readUInt32BE(at + 17) === crc32c(bytes.subarray(at + 21, at + size)), 'the CRC of a topic batch')
  const attributes = bytes.readInt16BE(at + 21)
  const baseOffset = safe(bytes.readBigInt64BE(at))
  const lastDelta = bytes.readInt32BE(at + 23)
  const count = bytes.readInt32BE(at + 57)
  check(baseOffset >= 0 && lastDelta >= 0 && count >= 0 && count <= lastDelta + 1, 'impossible offsets of a topic batch')
  const header = {
    size,
    baseOffset,
    endOffset: baseOffset + lastDelta + 1,
    epoch: Math.max(0, bytes.readInt32BE(at + 12)),
    baseTimestamp: safe(bytes.readBigInt64BE(at + 27)),
    maxTimestamp: safe(bytes.readBigInt64BE(at + 35)),
    codec: attributes & 7,
    appendTime: (attributes & 8) !== 0,
    deleteHorizon: (attributes & 64) !== 0,
    transactional: (attributes & 16) !== 0,
    control: (attributes & 32) !== 0,
    producerId: safe(bytes.readBigInt64BE(at + 43)),
    producerEpoch: bytes.readInt16BE(at + 51),
    baseSequence: bytes.readInt32BE(at + 53),
    count,
  }
  const block = bytes.subarray(at + 61, at + size)
  const cursor = new Cursor(count === 0 ? block : decompress(attributes & 7, block))
  const records: TopicRecord[] = []
  let delta = -1
  for (let i = 0; i < count; i++) {
    const recordEnd = cursor.zigzag() + cursor.at
    cursor.skip(1)
    const timestamp = header.baseTimestamp + cursor.zigzag()
    const offsetDelta = cursor.zigzag()
    check(offsetDelta > delta && offsetDelta <= lastDelta, 'the offset of a record')
    delta = offsetDelta
    const key = nullable(cursor)
    const value = nullable(cursor)
    const headers: { key: string; value: Buffer | null }[] = []
    for (let left = cursor.zigzag(); left > 0; left--)
      headers.push({ key: cursor.take(cursor.zigzag()).toString(), value: nullable(cursor) })
    check(cursor.at === recordEnd, 'a record of another length')
    const { epoch, control } = header
    const time = (attributes & 8) !== 0 ? header.maxTimestamp : timestamp
    records.push({ offset: baseOffset + offsetDelta, timestamp: time, key, value, headers, epoch, control })
  }
  check(cursor.done, 'bytes behind the records of a topic batch')
  return { ...header, records }
}

function nullable(cursor: Cursor): Buffer | null {
  const size = cursor.zigzag()
  return size === -1 ? null : cursor.take(size)
}
