/**
 * Probe: a RecordBatch made by a Kafka client library, compressed, is stored and served byte for byte, from the tail and from a segment; only
 * base offset and leader epoch are the log's own, as with a Kafka broker.
 */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { crcMatches } from '../../engine/batch/record-batch.ts'
import { decodeRecords } from '../../engine/batch/record-batch-codec.ts'
import { internals } from '../support/internals.ts'
import { newEnvironment, openSim, textOf } from './support.ts'

const require = createRequire(import.meta.url)
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0/index.js')
const KafkaRecord = require('kafkajs/src/protocol/recordBatch/record/v0/index.js')
const { Types } = require('kafkajs/src/protocol/message/compression/index.js')

async function kafkaBatch(values: readonly string[], compression: number): Promise<Uint8Array> {
  const encoder = await RecordBatch({
    compression,
    firstTimestamp: 1_700_000_000_000,
    maxTimestamp: 1_700_000_000_000 + values.length,
    partitionLeaderEpoch: 0,
    lastOffsetDelta: values.length - 1,
    records: values.map((value, offsetDelta) =>
      KafkaRecord({ offsetDelta, timestampDelta: offsetDelta, key: `k${offsetDelta}`, value, headers: { h: 'v' } }),
    ),
  })
  return new Uint8Array(encoder.buffer)
}

test.each([
  ['none', Types.None as number],
  ['gzip', Types.GZIP as number],
])('a %s batch of kafkajs is stored and served byte for byte', async (_name, compression) => {
  const values = Array.from({ length: 50 }, (_, i) => `value ${i} `.repeat(5))
  const first = await kafkaBatch(values, compression)
  const second = await kafkaBatch(values.slice(0, 7), compression)
  const environment = newEnvironment(31)
  await environment.drive(async () => {
    const db = await openSim(environment, { frameBytesMax: 16 * 1024 })
    await db.define([{ name: 'wire', kind: 'topic' }])
    const log = db.log('wire')
    await log.appendBatches(first).durable
    const two = log.appendBatches(second, { epoch: 5 })
    expect([two.baseOffset, two.endOffset]).toEqual([50, 57])
    await two.durable
    const check = (): void => {
      const slice = log.read(0)
      expect(slice.positions).toEqual([0, first.byteLength])
      expect(Buffer.compare(slice.bytes.subarray(0, first.byteLength), first)).toBe(0)
      const served = slice.bytes.subarray(first.byteLength)
      const expected = second.slice()
      new DataView(expected.buffer).setBigInt64(0, 50n)
      new DataView(expected.buffer).setInt32(12, 5)
      expect(Buffer.compare(served, expected)).toBe(0)
      expect(crcMatches(slice.bytes, first.byteLength)).toBe(true)
      expect(decodeRecords(slice.bytes, first.byteLength).map(record => [record.offset, textOf(record.value)])).toEqual(
        values.slice(0, 7).map((value, i) => [50 + i, value]),
      )
    }
    check()
    const into = new Uint8Array(1 << 16)
    const fromTail = log.read(0, { into })
    expect(fromTail.bytes.buffer).toBe(into.buffer)
    const copy = fromTail.bytes.slice()
    await db.seal()
    expect(internals(log).tail.length).toBe(0)
    check()
    const fromPart = log.read(0, { into })
    expect(fromPart.bytes.buffer).toBe(into.buffer)
    expect(fromPart.nextOffset).toBe(fromTail.nextOffset)
    expect(Buffer.compare(fromPart.bytes, copy)).toBe(0)
    expect(log.read(0, { into: new Uint8Array(10) }).bytes.byteLength).toBe(copy.byteLength)
    expect(() => log.appendBatches(damaged(first))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    await db.close()
  })
})

function damaged(batch: Uint8Array): Uint8Array {
  const copy = batch.slice()
  copy[70] = (copy[70] as number) ^ 1
  return copy
}
