/**
 * The environment of `storage: 'memory'`: files, catalog and locks in the memory of this process; clock, randomness and timers of Node; background
 * work in this thread. One environment is one machine without a disk: two of them share nothing, and everything ends with it.
 */
import type { Environment, TaskRunner } from '../environment.ts'
import { nodeClock } from '../node/clock.ts'
import { nodeRandom } from '../node/random.ts'
import { nodeTimers } from '../node/timers.ts'
import { MemoryCatalogs } from './catalog.ts'
import { MemoryExecutor } from './executor.ts'
import { MemoryFiles } from './files.ts'
import { MemoryLocks } from './lock.ts'

export interface MemoryEnvironmentOptions {
  /** Runners of background tasks, by kind. */
  readonly runners: Readonly<Record<string, TaskRunner>>
}

export function createMemoryEnvironment(options: MemoryEnvironmentOptions): Environment {
  const files = new MemoryFiles(nodeTimers)
  const catalogs = new MemoryCatalogs(files)
  return {
    clock: nodeClock,
    random: nodeRandom,
    timers: nodeTimers,
    files,
    catalogs,
    locks: new MemoryLocks(files),
    createExecutor: () => new MemoryExecutor(options.runners, { files, catalogs, clock: nodeClock }, nodeTimers),
  }
}
