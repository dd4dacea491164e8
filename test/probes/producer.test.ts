/** Probe: an idempotent producer's resend is recognised after its batch was flushed to a segment, its file recycled, and the process killed. */
import { expect, test } from 'vitest'
import { internals } from '../support/internals.ts'
import { newEnvironment, openSim } from './support.ts'

test('a resend after flush and kill is answered with the old offsets', async () => {
  const environment = newEnvironment(21)
  const producer = { id: 77, epoch: 0 }
  const batch = (sequence: number) => [{ value: `record ${sequence}` }, { value: `record ${sequence + 1}` }]
  await environment.drive(async () => {
    const db = await openSim(environment)
    await db.define([{ name: 'orders', kind: 'topic' }])
    const log = db.log('orders')
    for (let sequence = 0; sequence < 12; sequence += 2)
      await log.appendRecords(batch(sequence), { producer: { ...producer, sequence } }).durable
    await db.seal()
    expect(internals(log).tail.length).toBe(0)
    await log.appendRecords(batch(12), { producer: { ...producer, sequence: 12 } }).durable
  })
  environment.disk.processKill()
  const again = newEnvironment(22, environment.disk)
  await again.drive(async () => {
    const db = await openSim(again)
    const log = db.log('orders')
    const end = log.endOffset
    expect(end).toBe(14)
    for (const sequence of [4, 6, 8, 10, 12]) {
      const resent = log.appendRecords(batch(sequence), { producer: { ...producer, sequence } })
      expect([resent.duplicate, resent.baseOffset, resent.endOffset]).toEqual([true, sequence, sequence + 2])
      await resent.durable
    }
    expect(log.endOffset).toBe(end)
    expect(() => log.appendRecords(batch(20), { producer: { ...producer, sequence: 20 } })).toThrow(
      expect.objectContaining({ code: 'OUT_OF_ORDER_SEQUENCE' }),
    )
    const next = log.appendRecords(batch(14), { producer: { id: 77, epoch: 1, sequence: 0 } })
    expect([next.duplicate, next.baseOffset]).toEqual([false, 14])
    expect(() => log.appendRecords(batch(14), { producer: { ...producer, sequence: 14 } })).toThrow(
      expect.objectContaining({ code: 'PRODUCER_FENCED' }),
    )
    await db.close()
  })
})
