/** The environment of production: Node's clock, randomness, timers and files, LMDB, lock files, worker threads. */
import type { Environment } from '../environment.ts'
import { nodeCatalogs } from './catalog.ts'
import { nodeClock } from './clock.ts'
import { NodeExecutor } from './executor.ts'
import { nodeFiles } from './files.ts'
import { nodeLocks } from './lock.ts'
import { nodeRandom } from './random.ts'
import { nodeTimers } from './timers.ts'

export interface NodeEnvironmentOptions {
  /** Entry file of the worker thread, which calls `serveTasks`; see `resolveWorkerUrl`. */
  readonly worker: { readonly href: string }
}

export function createNodeEnvironment(options: NodeEnvironmentOptions): Environment {
  return {
    clock: nodeClock,
    random: nodeRandom,
    timers: nodeTimers,
    files: nodeFiles,
    catalogs: nodeCatalogs,
    locks: nodeLocks,
    createExecutor: () => new NodeExecutor(new URL(options.worker.href)),
  }
}
