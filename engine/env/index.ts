/** The folder's door: the interfaces, the environment of production, the one in memory, and the simulated one. */

export { Breath } from './breath.ts'
export type {
  CatalogChange,
  CatalogRow,
  Catalogs,
  CatalogView,
  Clock,
  Environment,
  Executor,
  File,
  FileStat,
  Files,
  FolderLock,
  LockOwner,
  Locks,
  OpenMode,
  Random,
  RunOptions,
  Task,
  TaskPlace,
  TaskRunner,
  Timers,
} from './environment.ts'
export { createMemoryEnvironment, type MemoryEnvironmentOptions } from './memory/environment.ts'
export { nodeClock } from './node/clock.ts'
export { createNodeEnvironment, type NodeEnvironmentOptions } from './node/environment.ts'
export { nodeFiles } from './node/files.ts'
export { nodeRandom } from './node/random.ts'
export { makeScratchFolder, sweepScratchFolders } from './node/scratch.ts'
export { serveTasks } from './node/serve-tasks.ts'
export { nodeTimers } from './node/timers.ts'
export { resolveWorkerUrl } from './node/worker-url.ts'
export type { CrashOptions, CrashReport } from './sim/crash.ts'
export { describeOperation, type OperationHook, SimDisk, type SimDiskOptions } from './sim/disk.ts'
export { createSimEnvironment, type SimEnvironment, type SimEnvironmentOptions } from './sim/environment.ts'
export type { Fault, FaultRule } from './sim/faults.ts'
export type { DiskOperation, OperationKind } from './sim/operation.ts'
export { SimRandom } from './sim/random.ts'
export { SimScheduler, SimStopped } from './sim/scheduler.ts'
export { packError, type TransportedError, unpackError } from './task-error.ts'
