/** Goal: a thousand stores in one database are opened, written, flushed, merged and opened again, and the memory that grows with data stays within its budget. */
import { expect, test } from 'vitest'
import { createSimEnvironment } from '../../../../engine/env/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { coreOf } from '../../../../engine/store/store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

const count = 1000
const memoryBytesMax = 2 * 1024 * 1024
const options = { memoryBytesMax, commitLogFileBytes: 256 * 1024 } as const

test('a thousand stores at once', async () => {
  const environment = newEnvironment(1)
  const names = Array.from({ length: count }, (_, i) => `store ${i}`)
  await environment.drive(async () => {
    const db = await openSim(environment, options)
    const stores = names.map(name => db.store<string, number>(name))
    await Promise.all(stores.map(store => store.ready()))
    for (let round = 0; round < 2; round++) {
      await Promise.all(stores.map((store, i) => store.put(round, `${i}:${round}`.padEnd(100, 'x'))))
      await db.seal()
      const { commitLog, cache } = db.stats()
      expect(commitLog.tailBytes + cache.bytes).toBeLessThanOrEqual(memoryBytesMax)
    }
    await db.consolidate()
    // Many small stores share files.
    expect(db.stats().segments.count).toBeLessThan(20)
    expect(db.storeNames().length).toBe(count)
    await db.close()
  })
  const { disk, scheduler } = environment
  const again = createSimEnvironment({ seed: 2, disk, scheduler, runners: taskRunners })
  await again.drive(async () => {
    const db = await openSim(again, options)
    let indexBytes = 0
    for (const [i, name] of names.entries()) {
      const store = db.store<string, number>(name)
      expect([...store.keys()]).toEqual([0, 1])
      expect(store.get(i % 2)?.startsWith(`${i}:${i % 2}`)).toBe(true)
      indexBytes += coreOf(store).table.indexBytes
    }
    const { commitLog, cache } = db.stats()
    expect(commitLog.tailBytes + cache.bytes + indexBytes).toBeLessThanOrEqual(memoryBytesMax)
    await db.close()
  })
})
