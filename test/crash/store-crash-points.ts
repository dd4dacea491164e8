/** The power-loss test (see crash-points.ts) of a random program over stores: see store-world.ts for what is compared after each crash. */
import { storeStep } from '../support/store-steps.ts'
import { StoreWorld } from '../support/store-world.ts'
import { type CrashOptions, type CrashProgram, type CrashRun, runCrashPoints } from './crash-points.ts'

const storeProgram: CrashProgram<StoreWorld> = {
  create: seed => new StoreWorld(seed),
  fork: (world, seed) => world.fork(seed),
  step: storeStep,
}

export function runStoreCrashPoints(seed: number, options: CrashOptions): Promise<CrashRun> {
  return runCrashPoints(seed, options, storeProgram)
}
