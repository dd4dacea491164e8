/**
 * Goal: a committed reader sees a transaction only when its marker's word holds. Story: the last stable offset once moved when the marker was appended; a
 * reader could see records whose commit a power loss then took, so that they were aborted after they had been read.
 */
import { expect, test } from 'vitest'
import { TRANSACTION_MARKER_BYTES, writeTransactionMarker } from '../../../../engine/batch/control-batch.ts'
import type { Appended, LocalLog } from '../../../../engine/log/log.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

function end(log: LocalLog, producerId: number, type: 'abort' | 'commit', durability: 'sync' | 'buffered' | 'none'): Appended {
  const bytes = new Uint8Array(TRANSACTION_MARKER_BYTES)
  writeTransactionMarker(bytes, 0, 0, 0, { type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 0 })
  return log.appendBatches(bytes, { durability })
}

function send(log: LocalLog, id: number, sequence: number): Promise<void> {
  return log.appendRecords([{ value: 'x' }], { producer: { id, epoch: 0, sequence }, transactional: true }).durable
}

test.each(['commit', 'abort'] as const)('a %s holds readers back until it is durable', async type => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const database = await openSim(environment)
    await database.define([{ name: 'events', kind: 'topic' }])
    const log = database.log('events')
    await log.appendRecords([{ value: 'before' }]).durable
    await send(log, 7, 0)
    await send(log, 8, 0)
    const first = end(log, 7, type, 'sync')
    expect([log.lastStableOffset, log.highWatermark, log.endOffset]).toEqual([1, 3, 4])
    await first.durable
    expect([log.lastStableOffset, log.highWatermark]).toEqual([2, 4])
    await end(log, 8, type, 'sync').durable
    expect(log.lastStableOffset).toBe(5)
    await database.close()
  })
})

test('the word of the marker decides, and transactions that end while others do not are held back one by one', async () => {
  const environment = newEnvironment(2)
  await environment.drive(async () => {
    const database = await openSim(environment)
    await database.define([{ name: 'events', kind: 'topic' }])
    const log = database.log('events')
    await send(log, 7, 0)
    await send(log, 8, 0)
    end(log, 8, 'commit', 'none')
    expect(log.lastStableOffset).toBe(0)
    end(log, 7, 'commit', 'none')
    expect(log.lastStableOffset).toBe(4)
    await database.flush()
    await send(log, 8, 1)
    const marker = end(log, 8, 'commit', 'buffered')
    expect(log.lastStableOffset).toBe(4)
    await marker.written
    expect(log.lastStableOffset).toBe(6)
    await database.close()
  })
})
