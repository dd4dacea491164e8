/** Goal: records that are encoded ahead become the bytes that encoding them in place gives, wherever they are placed, as often as they are, and they keep none of the caller's memory. */
import { expect, test } from 'vitest'
import { ATTRIBUTE_TRANSACTIONAL } from '../../../../engine/batch/format.ts'
import { batchAttributes, fillCrc } from '../../../../engine/batch/record-batch.ts'
import { decodeRecords, encodeRecordBatch, type RecordInput } from '../../../../engine/batch/record-batch-codec.ts'
import { TopicBatch } from '../../../../engine/batch/topic-batch.ts'
import { hex, seeded } from '../codec/random.ts'

test('random records, placed at every alignment of private and shared memory, are the batch that is encoded at once', () =>
  seeded(random => {
    const batch = new TopicBatch()
    for (let round = 0; round < 30; round++) {
      const records: RecordInput[] = Array.from({ length: 1 + random.below(40) }, () => ({
        key: random.pick([null, 'key', 'é', random.bytes(random.below(30))]),
        value: random.pick([null, '', 'value'.repeat(random.below(30)), random.bytes(random.below(3000))]),
        timestamp: 1_700_000_000_000 + random.below(1000) - 500,
        ...(random.below(4) === 0 ? { headers: [{ key: 'h', value: random.bytes(random.below(20)) }] } : {}),
      }))
      batch.clear()
      expect(batch.count).toBe(0)
      for (const { key = null, value = null, timestamp = 0, headers } of records) batch.add(key, value, timestamp, headers)
      expect(batch.count).toBe(records.length)
      const options = { baseOffset: random.below(2 ** 40), epoch: random.below(100) }
      const identity = { id: random.below(1000), epoch: random.below(100), sequence: random.below(2 ** 31) }
      const producer = random.below(2) === 0 ? undefined : identity
      const expected = encodeRecordBatch(records, {
        ...options,
        ...(producer === undefined
          ? {}
          : { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: producer.sequence, transactional: true }),
      })
      expect(batch.size).toBe(expected.length)
      for (let position = 0; position < 9; position++) {
        const target = new Uint8Array(position % 2 === 0 ? new SharedArrayBuffer(batch.size + 20) : new ArrayBuffer(batch.size + 20)).fill(
          0xee,
        )
        const end = batch.place(target, position, { ...options, producer, transactional: producer !== undefined })
        expect(end).toBe(position + batch.size)
        fillCrc(target, position)
        expect(hex(target.slice(position, end)) === hex(expected)).toBe(true)
        expect([target[end], target[position - 1] ?? 0xee]).toEqual([0xee, 0xee])
        expect((batchAttributes(target, position) & ATTRIBUTE_TRANSACTIONAL) !== 0).toBe(producer !== undefined)
      }
    }
  }))

test('a batch that was placed goes on, and what it was given may be written again', () => {
  const batch = new TopicBatch()
  const bytes = Uint8Array.of(1, 2, 3)
  batch.add(bytes, bytes, 5)
  bytes.fill(9)
  const target = new Uint8Array(1000)
  batch.place(target, 3, { baseOffset: 0, epoch: 0 })
  batch.add(null, bytes, 6)
  const end = batch.place(target, 8, { baseOffset: 7, epoch: 0 })
  expect(decodeRecords(target, 8, end).map(({ offset, timestamp, key, value }) => [offset, timestamp, key, value])).toEqual([
    [7, 5, Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3)],
    [8, 6, null, Uint8Array.of(9, 9, 9)],
  ])
  batch.clear()
  expect(() => batch.place(target, 0, { baseOffset: 0, epoch: 0 })).toThrow('begun ahead')
})

test('some of its records, copied to another batch, are the batch that is made of these alone', () => {
  const records: RecordInput[] = [
    { key: 'a', value: 'one', timestamp: 5 },
    { key: null, value: Uint8Array.of(1, 2), timestamp: 9, headers: [{ key: 'h', value: Uint8Array.of(7) }] },
    { key: 'é', value: null, timestamp: 3 },
    { key: Uint8Array.of(0), value: '', timestamp: 7, headers: [{ key: 'n', value: null }] },
  ]
  const batch = new TopicBatch()
  for (const { key = null, value = null, timestamp = 0, headers } of records) batch.add(key, value, timestamp, headers)
  const bytesOf = (placed: TopicBatch): string => {
    const bytes = new Uint8Array(placed.size)
    placed.place(bytes, 0, { baseOffset: 12, epoch: 1 })
    fillCrc(bytes, 0)
    return hex(bytes)
  }
  for (let mask = 1; mask < 16; mask++) {
    const copy = new TopicBatch()
    batch.copyTo(copy, index => (mask & (1 << index)) !== 0)
    const kept = records.filter((_, index) => (mask & (1 << index)) !== 0)
    expect(bytesOf(copy)).toBe(hex(encodeRecordBatch(kept, { baseOffset: 12, epoch: 1 })))
  }
})

test('a batch that was placed and has filled its memory since is placed whole, at each alignment', () => {
  for (let size = 930; size < 960; size++) {
    const batch = new TopicBatch()
    batch.add(null, 'first', 1)
    batch.place(new Uint8Array(4096), 0, { baseOffset: 0, epoch: 0 })
    const text = 'x'.repeat(size)
    batch.add(null, text, 1)
    const target = new Uint8Array(4096)
    const end = batch.place(target, 7, { baseOffset: 0, epoch: 0 })
    fillCrc(target, 7)
    expect(decodeRecords(target, 7, end).map(({ value }) => Buffer.from(value as Uint8Array).toString())).toEqual(['first', text])
  }
})
