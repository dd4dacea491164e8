/**
 * Goal: kafkajs, which others wrote, reads what we encode, and we read what it encodes, for every codec.
 *
 * kafkajs brings gzip itself; for the other codecs it is given ours, so that its framing around them is tested, while `compression.test.ts` holds the
 * codecs against other implementations.
 */
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { validateRecordBatch } from '../../../../engine/batch/record-batch.ts'
import { decodeRecords, encodeRecordBatch, type RecordInput } from '../../../../engine/batch/record-batch-codec.ts'
import { compress, compressionNames, decompress } from '../../../../engine/codec/compression.ts'
import { type Random, seeded } from '../codec/random.ts'

interface KafkaRecord {
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer>
}
interface KafkaBatch {
  firstOffset: string
  producerId: string
  producerEpoch: number
  firstSequence: number
  inTransaction: boolean
  isControlBatch: boolean
  partitionLeaderEpoch: number
  lastOffsetDelta: number
  records: KafkaRecord[]
}
type Encoded = { buffer: Buffer }
type LongNumber = object

const load = createRequire(import.meta.url)
const { RecordBatch } = load('kafkajs/src/protocol/recordBatch/v0') as { RecordBatch: (batch: object) => Promise<Encoded> }
const decodeBatch = load('kafkajs/src/protocol/recordBatch/v0/decoder') as (decoder: object) => Promise<KafkaBatch>
const encodeRecord = load('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => object
const Decoder = load('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
const Long = load('kafkajs/src/utils/long') as { fromValue(value: number): LongNumber }
const { Codecs } = load('kafkajs/src/protocol/message/compression') as { Codecs: Record<number, () => object> }

for (const id of [2, 3, 4]) {
  Codecs[id] = () => ({
    compress: async (encoder: Encoded) => Buffer.from(compress(id, encoder.buffer)),
    decompress: async (bytes: Buffer) => Buffer.from(decompress(id, bytes, 10_000_000)),
  })
}

function makeRecords(random: Random): { key: Buffer | null; value: Buffer | null; timestamp: number; headers: Record<string, Buffer> }[] {
  const part = (): Buffer | null => (random.below(5) === 0 ? null : Buffer.from(random.bytes(random.below(random.pick([5, 70, 300])))))
  return Array.from({ length: 1 + random.below(50) }, () => ({
    key: part(),
    value: part(),
    timestamp: 1_700_000_000_000 + random.below(1e9),
    headers: Object.fromEntries(
      Array.from({ length: random.below(3) }, (_, i) => [`header-\u00e9-${i}`, Buffer.from(random.bytes(random.below(40)))]),
    ),
  }))
}

function plain(part: Buffer | null): Uint8Array | null {
  return part === null ? null : new Uint8Array(part)
}

describe('kafkajs', () => {
  for (const [codec, compression] of compressionNames.entries()) {
    it(`reads our batches (${compression})`, async () => {
      await seeded(async random => {
        for (let round = 0; round < 15; round++) {
          const records = makeRecords(random)
          const inputs: RecordInput[] = records.map(record => ({
            ...record,
            headers: Object.entries(record.headers).map(([key, value]) => ({ key, value })),
          }))
          const baseOffset = random.integer(50, false)
          const bytes = encodeRecordBatch(inputs, {
            baseOffset,
            compression,
            epoch: 4,
            producerId: 77,
            producerEpoch: 6,
            baseSequence: 5,
            transactional: true,
          })
          const batch = await decodeBatch(new Decoder(Buffer.from(bytes)))
          expect(batch).toMatchObject({
            firstOffset: String(baseOffset),
            producerId: '77',
            producerEpoch: 6,
            firstSequence: 5,
            inTransaction: true,
            isControlBatch: false,
            partitionLeaderEpoch: 4,
            lastOffsetDelta: records.length - 1,
          })
          expect(batch.records.map(({ offset, timestamp, key, value, headers }) => ({ offset, timestamp, key, value, headers }))).toEqual(
            records.map((record, index) => ({ ...record, offset: String(baseOffset + index), timestamp: String(record.timestamp) })),
          )
        }
      })
    })

    it(`writes batches that we read (${compression})`, async () => {
      await seeded(async random => {
        for (let round = 0; round < 15; round++) {
          const records = makeRecords(random)
          const first = (records[0] as (typeof records)[0]).timestamp
          const encoded = await RecordBatch({
            compression: codec,
            firstOffset: Long.fromValue(123),
            firstTimestamp: first,
            maxTimestamp: Math.max(...records.map(record => record.timestamp)),
            lastOffsetDelta: records.length - 1,
            records: records.map((record, index) =>
              encodeRecord({ ...record, offsetDelta: index, timestampDelta: record.timestamp - first }),
            ),
          })
          const bytes = new Uint8Array(encoded.buffer)
          expect(validateRecordBatch(bytes, 0, bytes.length, true)).toBe(bytes.length)
          expect(decodeRecords(bytes, 0)).toEqual(
            records.map((record, index) => ({
              offset: 123 + index,
              timestamp: record.timestamp,
              key: plain(record.key),
              value: plain(record.value),
              headers: Object.entries(record.headers).map(([key, value]) => ({ key, value: plain(value) })),
            })),
          )
        }
      })
    })
  }
})
