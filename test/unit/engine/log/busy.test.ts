/**
 * Goal: a writer that is told BUSY and waits for `drain()` gets through, also when what stands in its way is a few bytes that nobody asked to write,
 * and its own commit is larger than the bound.
 */
import { expect, test } from 'vitest'
import { isVarveError } from '../../../../engine/errors.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

test.each([4, 20, 28])('an append of %i KiB behind a small one of the word none', async kib => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment, { pendingBytesMax: 24 * 1024, frameBytesMax: 32 * 1024 })
    await db.define([{ name: 'a', kind: 'topic' }])
    const log = db.log('a')
    log.appendRecords([{ value: 'v'.repeat(6000) }], { durability: 'none' })
    let tries = 0
    for (; tries < 10; tries++) {
      try {
        await log.appendRecords([{ value: 'v'.repeat(kib * 1024) }]).durable
        break
      } catch (error) {
        if (!isVarveError(error, 'BUSY')) throw error
        await db.drain()
      }
    }
    expect([log.endOffset, tries]).toEqual([2, kib > 17 ? 1 : 0])
    await db.close()
  })
})
