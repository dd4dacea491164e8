/** Goal: batches have exactly Kafka's bytes, every field can be read and rewritten, and the writer keeps its promises at the edges. */
import { describe, expect, it } from 'vitest'
import {
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_DELETE_HORIZON,
  ATTRIBUTE_TRANSACTIONAL,
  NONE,
  RECORD_BATCH_HEADER_BYTES,
} from '../../../../engine/batch/format.ts'
import * as header from '../../../../engine/batch/record-batch.ts'
import {
  compressRecordBatch,
  decodeRecords,
  encodeRecordBatch,
  estimateRecordBatchSize,
  type RecordInput,
} from '../../../../engine/batch/record-batch-codec.ts'
import { RecordBatchWriter } from '../../../../engine/batch/record-batch-writer.ts'
import { RecordCursor } from '../../../../engine/batch/record-cursor.ts'
import { fromHex, fromText, hex, seeded } from '../codec/random.ts'

/** Two records, field by field, as the protocol's grammar has them. */
const golden = [
  '0000000000000064', // base offset 100
  '0000004b', // length 75
  '00000007', // leader epoch
  '02', // magic
  '31ab2304', // CRC-32C
  '0010', // attributes: transactional
  '00000001', // last offset delta
  '000001870f1a8c00', // base timestamp
  '000001870f1a8c2c', // max timestamp, 44 later
  '00000000000003e8', // producer id 1000
  '0005', // producer epoch
  '00000009', // base sequence
  '00000002', // count
  '10 00 00 00 02 6b 02 76 00', // key k, value v
  '20 00 58 02 01 04 c3a9 04 02 68 04 7879 02 6e 01', // no key, value e acute, headers h = xy and n = null
].join('')

const baseTimestamp = 0x01870f1a8c00
const goldenRecords: readonly RecordInput[] = [
  { key: 'k', value: fromText('v'), timestamp: baseTimestamp },
  {
    value: '\u00e9',
    timestamp: baseTimestamp + 44,
    headers: [
      { key: 'h', value: 'xy' },
      { key: 'n', value: null },
    ],
  },
]

function encodeGolden(): Uint8Array {
  return encodeRecordBatch(goldenRecords, {
    baseOffset: 100,
    epoch: 7,
    producerId: 1000,
    producerEpoch: 5,
    baseSequence: 9,
    transactional: true,
  })
}

describe('record batch', () => {
  it('has exactly these bytes', () => {
    expect(hex(encodeGolden())).toBe(golden.replaceAll(' ', ''))
  })

  it('tells every field of its header', () => {
    const bytes = new Uint8Array(200)
    bytes.set(encodeGolden(), 3)
    const size = encodeGolden().length
    expect(header.validateRecordBatch(bytes, 3, 3 + size, true)).toBe(size)
    expect({
      size: header.batchSize(bytes, 3),
      base: header.batchBaseOffset(bytes, 3),
      last: header.batchLastOffset(bytes, 3),
      epoch: header.batchEpoch(bytes, 3),
      attributes: header.batchAttributes(bytes, 3),
      codec: header.batchCodec(bytes, 3),
      control: header.isControlBatch(bytes, 3),
      transactional: header.isTransactionalBatch(bytes, 3),
      appendTime: header.batchHasAppendTime(bytes, 3),
      horizon: header.batchDeleteHorizon(bytes, 3),
      baseTimestamp: header.batchBaseTimestamp(bytes, 3),
      maxTimestamp: header.batchMaxTimestamp(bytes, 3),
      producer: [header.batchProducerId(bytes, 3), header.batchProducerEpoch(bytes, 3)],
      sequences: [header.batchBaseSequence(bytes, 3), header.batchLastSequence(bytes, 3)],
      count: header.batchRecordCount(bytes, 3),
    }).toEqual({
      size,
      base: 100,
      last: 101,
      epoch: 7,
      attributes: 0x10,
      codec: 0,
      control: false,
      transactional: true,
      appendTime: false,
      horizon: NONE,
      baseTimestamp,
      maxTimestamp: baseTimestamp + 44,
      producer: [1000, 5],
      sequences: [9, 10],
      count: 2,
    })
  })

  it('decodes to the records that went in, as views', () => {
    const bytes = fromHex(golden)
    const records = decodeRecords(bytes, 0)
    expect(records).toEqual([
      { offset: 100, timestamp: baseTimestamp, key: fromText('k'), value: fromText('v'), headers: [] },
      {
        offset: 101,
        timestamp: baseTimestamp + 44,
        key: null,
        value: fromText('\u00e9'),
        headers: [
          { key: 'h', value: fromText('xy') },
          { key: 'n', value: null },
        ],
      },
    ])
    expect(records[0]?.value?.buffer).toBe(bytes.buffer)
  })

  it('may be given another base offset and epoch without touching its checksum; append time needs a new one', () => {
    const bytes = encodeGolden()
    header.setBatchBaseOffset(bytes, 0, 2 ** 40)
    header.setBatchEpoch(bytes, 0, 8)
    expect(header.crcMatches(bytes, 0)).toBe(true)
    expect([header.batchLastOffset(bytes, 0), header.batchEpoch(bytes, 0)]).toEqual([2 ** 40 + 1, 8])
    header.setBatchAppendTime(bytes, 0, baseTimestamp + 5000)
    expect(header.crcMatches(bytes, 0)).toBe(false)
    header.fillCrc(bytes, 0)
    expect(header.validateRecordBatch(bytes, 0, bytes.length, true)).toBe(bytes.length)
    expect(decodeRecords(bytes, 0).map(record => record.timestamp)).toEqual([baseTimestamp + 5000, baseTimestamp + 5000])
    expect(() => header.setBatchBaseOffset(bytes, 0, -1)).toThrow('offset')
    expect(() => header.setBatchEpoch(bytes, 0, 2 ** 31)).toThrow('epoch')
  })

  it('wraps sequences at 2^31', () => {
    const bytes = encodeRecordBatch([{ value: 'a' }, { value: 'b' }, { value: 'c' }], {
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 2 ** 31 - 2,
    })
    expect(header.batchLastSequence(bytes, 0)).toBe(0)
    const cursor = new RecordCursor()
    cursor.open(bytes, 0)
    const sequences: number[] = []
    while (cursor.next()) sequences.push(cursor.sequence)
    expect(sequences).toEqual([2 ** 31 - 2, 2 ** 31 - 1, 0])
    expect(header.sequenceAfter(NONE, 5)).toBe(NONE)
  })

  it('keeps everything but its records when it is compressed', () => {
    for (const [codec, name] of ['none', 'gzip', 'snappy', 'lz4', 'zstd'].entries()) {
      const plain = encodeGolden()
      const packed = compressRecordBatch(plain, 0, codec)
      expect(header.validateRecordBatch(packed, 0, packed.length, true)).toBe(packed.length)
      expect(header.batchCodec(packed, 0)).toBe(codec)
      expect(hex(packed.subarray(23, RECORD_BATCH_HEADER_BYTES))).toBe(hex(plain.subarray(23, RECORD_BATCH_HEADER_BYTES)))
      expect(decodeRecords(packed, 0)).toEqual(decodeRecords(plain, 0))
      const whole = encodeRecordBatch(goldenRecords, { compression: name as 'none' })
      expect(decodeRecords(whole, 0).map(record => record.value)).toEqual(decodeRecords(plain, 0).map(record => record.value))
    }
    const gzip = compressRecordBatch(encodeGolden(), 0, 1)
    expect(() => compressRecordBatch(gzip, 0, 2)).toThrow('once')
    const cursor = new RecordCursor()
    expect(() => cursor.open(gzip, 0, gzip.length, 10)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  })
})

describe('record batch writer', () => {
  const value = new Uint8Array(100).fill(1)

  it('says no when a record does not fit, and the batch stays as it was', () => {
    for (const target of [new Uint8Array(300), new Uint8Array(new SharedArrayBuffer(300))]) {
      target.fill(0xee)
      const writer = new RecordBatchWriter()
      writer.begin(target, 5, 250, 0)
      expect(writer.add(null, value, 1)).toBe(true)
      expect(writer.position).toBe(5 + 61 + 109)
      expect(writer.add(null, value, 2)).toBe(false)
      expect(writer.add(null, value.subarray(0, 40), 3)).toBe(true)
      const end = writer.endWithCrc()
      expect(header.validateRecordBatch(target, 5, end, true)).toBe(end - 5)
      expect(decodeRecords(target, 5, end).map(record => [record.offset, record.timestamp, record.value?.length])).toEqual([
        [0, 1, 100],
        [1, 3, 40],
      ])
      expect([target[4], target[end]]).toEqual([0xee, 0xee])
    }
  })

  it('fills a limit to the last byte', () => {
    const bytes = encodeRecordBatch([{ key: 'a', value, timestamp: 1 }])
    for (const room of [bytes.length - 1, bytes.length]) {
      const writer = new RecordBatchWriter()
      writer.begin(new Uint8Array(1000), 0, room, 0)
      expect(writer.add('a', value, 1)).toBe(room === bytes.length)
      writer.abandon()
    }
  })

  it('encodes the same into private and shared memory, larger than its stage too', async () => {
    await seeded(random => {
      const writer = new RecordBatchWriter()
      for (const size of [10, 5000, 70_000, 5_000_000]) {
        const big = new Uint8Array(size).fill(7)
        const start = random.below(30)
        const targets = [new Uint8Array(size * 2 + 1000), new Uint8Array(new SharedArrayBuffer(size * 2 + 1000))]
        const encoded = targets.map(target => {
          writer.begin(target, start, target.length, 10, 1)
          writer.producer(4, 2, 3)
          for (const part of [fromText('a'), big, big.subarray(0, size >> 1)]) expect(writer.add(part.subarray(0, 10), part, 99)).toBe(true)
          const end = writer.endWithCrc()
          return hex(target.slice(start, end))
        })
        expect(encoded[0] === encoded[1]).toBe(true)
      }
    })
  })

  it('leaves gaps, keeps its last offset, and may be empty: what compaction needs', () => {
    const target = new Uint8Array(1000)
    const writer = new RecordBatchWriter()
    writer.begin(target, 0, 1000, 50, 3, ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_DELETE_HORIZON, 1_000_000)
    writer.producer(9, 1, 20)
    writer.skipTo(53)
    writer.add('a', null, 900)
    writer.skipTo(57)
    writer.add('b', value, 2_000_000)
    let end = writer.endWithCrc(60)
    expect(header.validateRecordBatch(target, 0, end, true)).toBe(end)
    expect([header.batchLastOffset(target, 0), header.batchLastSequence(target, 0), header.batchRecordCount(target, 0)]).toEqual([
      60, 30, 2,
    ])
    expect([header.batchDeleteHorizon(target, 0), header.batchMaxTimestamp(target, 0)]).toEqual([1_000_000, 2_000_000])
    expect(decodeRecords(target, 0, end).map(record => [record.offset, record.timestamp])).toEqual([
      [53, 900],
      [57, 2_000_000],
    ])
    writer.begin(target, 0, 1000, 50)
    end = writer.endWithCrc(60)
    expect(end).toBe(RECORD_BATCH_HEADER_BYTES)
    expect(header.validateRecordBatch(target, 0, end, true)).toBe(end)
    expect(decodeRecords(target, 0, end)).toEqual([])
    expect(decodeRecords(compressRecordBatch(target, 0, 1), 0)).toEqual([])
  })

  it('asserts how it is used', () => {
    const target = new Uint8Array(200)
    const writer = new RecordBatchWriter()
    expect(() => writer.add('a', 'b')).toThrow('begun')
    expect(() => writer.begin(target, 0, 60, 0)).toThrow('room')
    expect(() => writer.begin(target, 0, 201, 0)).toThrow('lies')
    expect(() => writer.begin(target, 0, 200, -1)).toThrow('offset')
    expect(() => writer.begin(target, 0, 200, 0, 0, 3)).toThrow('compressed')
    expect(() => writer.begin(target, 0, 200, 0, 0, ATTRIBUTE_DELETE_HORIZON)).toThrow('horizon')
    writer.begin(target, 0, 200, 10, 0, ATTRIBUTE_CONTROL)
    expect(() => writer.begin(target, 0, 200, 0)).toThrow('ends')
    expect(() => writer.producer(1, 2 ** 15, 0)).toThrow('epoch')
    expect(() => writer.producer(1, 0, 2 ** 31)).toThrow('sequence')
    expect(() => writer.skipTo(9)).toThrow('ascend')
    expect(() => writer.add('a', 'b', 0.5)).toThrow('timestamp')
    expect(() => writer.end()).toThrow('spans')
    writer.abandon()
    expect(() => encodeRecordBatch([])).toThrow('record')
  })
})

describe('record batches at random', () => {
  it('come back from every codec, and their size was foretold', async () => {
    await seeded(random => {
      const text = (): string =>
        Array.from({ length: random.below(80) }, () => random.pick(['a', 'Z', '\u00e9', '\u20ac', '\u{1f600}', ' '])).join('')
      const bytes = (): Uint8Array => random.bytes(random.below(random.pick([3, 20, 200])))
      const some = (): Uint8Array | string | null => random.pick([bytes, text, () => null])()
      for (let round = 0; round < 120; round++) {
        const records = Array.from({ length: 1 + random.below(40) }, () => ({
          key: some(),
          value: some(),
          timestamp: random.integer(52, false),
          headers: Array.from({ length: random.below(4) }, () => ({ key: text(), value: some() })),
        }))
        const compression = random.pick(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)
        const baseOffset = random.integer(52, false)
        const encoded = encodeRecordBatch(records, { baseOffset, compression })
        expect(header.validateRecordBatch(encoded, 0, encoded.length, true)).toBe(encoded.length)
        expect(compression !== 'none' || encoded.length <= estimateRecordBatchSize(records)).toBe(true)
        const asBytes = (part: Uint8Array | string | null): Uint8Array | null => (typeof part === 'string' ? fromText(part) : part)
        expect(decodeRecords(encoded, 0)).toEqual(
          records.map((record, index) => ({
            offset: baseOffset + index,
            timestamp: record.timestamp,
            key: asBytes(record.key),
            value: asBytes(record.value),
            headers: record.headers.map(({ key, value }) => ({ key, value: asBytes(value) })),
          })),
        )
      }
    })
  })
})
