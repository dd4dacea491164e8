/**
 * Goal: after any puts, deletes, batches, range deletes, expiries, snapshots, flushes, compactions, sweeps, reopenings and crashes, every index answers as
 * one that is computed anew from the store.
 */
import { test } from 'vitest'
import { createSimEnvironment } from '../../../../engine/env/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { declared, expectNoStrayEntries, open, Program, type Value } from './index-model.ts'

test.each(Array.from({ length: 3 }, (_, i) => i + 1))('seed %i', async seed => {
  const program = new Program(seed)
  let environment = newEnvironment(seed)
  for (let life = 0; life < 3; life++) {
    await environment.drive(async () => {
      const db = await open(environment)
      const store = db.store<Value, string>('s', life === 0 ? { indexes: declared } : undefined)
      await store.ready()
      program.snapshots = []
      program.compare(store, program.content, environment.clock.now())
      for (let step = 0; step < 50; step++) await program.step(environment, db, store)
      for (const { snapshot, content } of program.snapshots) program.compare(store, content, snapshot.time, snapshot)
      expectNoStrayEntries(store)
      await db.flush()
      if (life === 1) await db.close()
    })
    if (life !== 1) environment.disk.crash()
    const { disk, scheduler } = environment
    environment = createSimEnvironment({ seed: seed * 100 + life, disk, scheduler, runners: taskRunners })
  }
})
