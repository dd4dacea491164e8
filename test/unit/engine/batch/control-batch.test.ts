import { describe, expect, it } from 'vitest'
import {
  CONTROL_ABORT,
  CONTROL_COMMIT,
  controlTypeOf,
  coordinatorEpochOf,
  TRANSACTION_MARKER_BYTES,
  type TransactionMarker,
  writeTransactionMarker,
} from '../../../../engine/batch/control-batch.ts'
import { ATTRIBUTE_CONTROL, NONE } from '../../../../engine/batch/format.ts'
import * as header from '../../../../engine/batch/record-batch.ts'
import { encodeRecordBatch } from '../../../../engine/batch/record-batch-codec.ts'
import { RecordBatchWriter } from '../../../../engine/batch/record-batch-writer.ts'
import { fromHex, hex } from '../codec/random.ts'

const marker: TransactionMarker = {
  type: 'commit',
  producerId: 4000,
  producerEpoch: 3,
  coordinatorEpoch: 258,
  timestamp: 1_700_000_000_000,
}

describe('transaction markers', () => {
  it("have Kafka's key and value, take one offset, and name their producer without a sequence", () => {
    for (const [type, number] of [['abort', CONTROL_ABORT] as const, ['commit', CONTROL_COMMIT] as const]) {
      const bytes = new Uint8Array(100)
      expect(writeTransactionMarker(bytes, 7, 55, 2, { ...marker, type })).toBe(7 + TRANSACTION_MARKER_BYTES)
      expect(header.validateRecordBatch(bytes, 7, 100, true)).toBe(TRANSACTION_MARKER_BYTES)
      expect(hex(bytes.subarray(7 + 61, 7 + TRANSACTION_MARKER_BYTES))).toBe(`200000000800000${`00${number}`}0c00000000010200`)
      expect(controlTypeOf(bytes, 7)).toBe(number)
      expect(coordinatorEpochOf(bytes, 7)).toBe(258)
      expect([header.batchBaseOffset(bytes, 7), header.batchLastOffset(bytes, 7), header.batchEpoch(bytes, 7)]).toEqual([55, 55, 2])
      expect([header.isControlBatch(bytes, 7), header.isTransactionalBatch(bytes, 7)]).toEqual([true, true])
      expect([header.batchProducerId(bytes, 7), header.batchProducerEpoch(bytes, 7), header.batchBaseSequence(bytes, 7)]).toEqual([
        4000,
        3,
        NONE,
      ])
      expect(header.batchMaxTimestamp(bytes, 7)).toBe(marker.timestamp)
    }
  })

  it('tell other control records apart, and damaged ones', () => {
    const leaderChange = encodeRecordBatch([{ key: fromHex('00000002'), value: 'x' }], { control: true })
    expect(controlTypeOf(leaderChange, 0)).toBe(2)
    expect(() => coordinatorEpochOf(leaderChange, 0)).toThrow('cut off')
    expect(() => controlTypeOf(encodeRecordBatch([{ key: fromHex('0000'), value: 'x' }], { control: true }), 0)).toThrow('cut off')
    expect(() => controlTypeOf(encodeRecordBatch([{ key: fromHex('ffff0000'), value: 'x' }], { control: true }), 0)).toThrow('version')
    expect(() => controlTypeOf(encodeRecordBatch([{ key: 'k' }]), 0)).toThrow('control batch')
    const emptied = new Uint8Array(61)
    const writer = new RecordBatchWriter()
    writer.begin(emptied, 0, 61, 5, 0, ATTRIBUTE_CONTROL)
    writer.end(5)
    expect(controlTypeOf(emptied, 0)).toBe(NONE)
    expect(() => writeTransactionMarker(new Uint8Array(TRANSACTION_MARKER_BYTES), 1, 0, 0, marker)).toThrow('fits')
  })
})
