/**
 * Goal: after power loss at any moment indexes and store agree, and an index whose build was cut off anywhere comes out complete.
 */
import { describe, expect, test } from 'vitest'
import { createSimEnvironment, type SimEnvironment } from '../../../../engine/env/index.ts'
import { isVarveError } from '../../../../engine/errors.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import { newEnvironment, runUntilCrash } from '../../../probes/support.ts'
import { contentOf, declared, expectNoStrayEntries, open, Program, type Value } from './index-model.ts'

/** Opens what a crash left and holds indexes against the store, before and after a sweep and more writes. */
async function checkAfterCrash(dead: SimEnvironment, seed: number): Promise<void> {
  const environment = createSimEnvironment({ seed, disk: dead.disk, scheduler: dead.scheduler, runners: taskRunners })
  await environment.drive(async () => {
    const db = await open(environment)
    if (db.storeNames().includes('s')) {
      const store = db.store<Value, string>('s')
      await store.ready()
      const program = new Program(seed)
      program.compare(store, contentOf(store), 0)
      expectNoStrayEntries(store)
      await new Promise<void>(resolve => environment.timers.after(25_000, resolve))
      program.compare(store, contentOf(store), 0)
      await store.clear()
      for (const name of store.indexNames()) expect(store.index(name).count(), name).toBe(0)
    }
    await db.close()
  })
}

describe('power loss', () => {
  test.each(Array.from({ length: 8 }, (_, i) => i + 1))('store and indexes agree, seed %i', async seed => {
    const environment = newEnvironment(seed)
    await runUntilCrash(environment, 20 + seed * 17, async () => {
      const db = await open(environment)
      const store = db.store<Value, string>('s', { indexes: declared })
      const program = new Program(seed)
      for (let step = 0; step < 400; step++) await program.step(environment, db, store)
    })
    environment.disk.crash()
    await checkAfterCrash(environment, seed + 1000)
  })

  test.each(Array.from({ length: 4 }, (_, i) => i * 3 + 1))('in the middle of a build, seed %i', async seed => {
    const environment = newEnvironment(seed)
    const program = new Program(seed)
    let operations = 0
    await environment.drive(async () => {
      const db = await open(environment)
      const store = db.store<Value, string>('s')
      for (let i = 0; i < 1200; i += 60) {
        await store.batch(
          Array.from({ length: 60 }, (_, j) => ({ type: 'put', key: `x${i + j}`, value: { u: 1000 + i + j, c: 'c' } }) as const),
        )
      }
      await db.close()
    })
    // A life with a build that is cut off; then a second one, with the rest of it cut off again.
    let alive = environment
    for (const life of [0, 1]) {
      const { disk, scheduler } = alive
      alive = createSimEnvironment({ seed: seed * 7 + life, disk, scheduler, runners: taskRunners })
      const current = alive
      const result = await runUntilCrash(current, 14 + seed * 5, async () => {
        const db = await open(current)
        const store = db.store<Value, string>('s', { indexes: declared })
        program.content = contentOf(store)
        for (let step = 0; step < 60; step++) {
          // Values that were there before the unique index may come twice meanwhile; the build would tell. These do not.
          await store.put(program.key(), { c: 'b', t: [step % 5] }, { durability: 'buffered' }).catch(error => {
            if (!isVarveError(error)) throw error
          })
        }
        await store.ready()
      })
      operations += result.operations
      if (current.isAlive) current.disk.crash()
    }
    expect(operations).toBeGreaterThan(0)
    await checkAfterCrash(alive, seed + 2000)
  })
})
