/**
 * The model test of one seed over stores: a random program of every verb, transactions, an index built again, expiry and a change feed, over a simulated
 * machine that is closed, killed or loses power at rest or at any disk operation. After each opening both stores, all indexes and the whole feed
 * must be those of one moment of the history that no acknowledged commit is later than. See model.ts for the lives, store-steps.ts for the steps.
 */
import { verify } from '../../engine/tools/verify.ts'
import { check } from '../support/compare.ts'
import { folder } from '../support/machine.ts'
import { storeStep } from '../support/store-steps.ts'
import { StoreWorld } from '../support/store-world.ts'
import { failureOf, runMachine, type SeedReport } from './model.ts'

/** Runs one seed; throws an Error with the seed and the end of the trace. */
export async function runStoreModel(seed: number, steps = 120): Promise<SeedReport> {
  const world = new StoreWorld(seed)
  const report = await runMachine(world, () => storeStep(world), steps)
  try {
    // It was closed last: every byte is as it should be.
    world.restart()
    await world.environment.drive(async () => {
      const { findings } = await verify(folder, { environment: world.environment })
      check(findings.length === 0, 'nothing is wrong with the files', findings)
    })
  } catch (error) {
    throw failureOf(world, error)
  }
  return report
}
