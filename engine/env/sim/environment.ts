/**
 * A simulated machine's process: the environment for the engine, and handles for the test that drives it.
 *
 * Everything random comes from `seed` and the disk's seed; everything that waits goes through the scheduler. So the same seeds and the
 * same program give the same events in the same order. A process ends by `disk.crash()` (power), `disk.processKill()` (signal), or not
 * at all; afterwards make a new environment over the same disk, with the same scheduler if time shall go on.
 */
import type { Environment, TaskRunner } from '../environment.ts'
import { type SharedCatalogs, SimCatalogs } from './catalog.ts'
import { SimClock } from './clock.ts'
import { SimDisk } from './disk.ts'
import { SimExecutor } from './executor.ts'
import { SimFiles } from './files.ts'
import { SimLocks } from './lock.ts'
import type { Latencies } from './operation.ts'
import { SimRandom } from './random.ts'
import { SimScheduler, type SimSchedulerOptions } from './scheduler.ts'

export interface SimEnvironmentOptions {
  readonly seed: number
  /** A disk that exists already, as after a crash. Default: a new one, seeded from `seed`. */
  readonly disk?: SimDisk
  /** Virtual time that is shared with other environments or goes on after a crash. Default: a new one. */
  readonly scheduler?: SimScheduler
  /** Order of simultaneous events of a new scheduler. Default 'seeded'. */
  readonly ties?: SimSchedulerOptions['ties']
  /** Runners of background tasks, by kind. Default: none. */
  readonly runners?: Readonly<Record<string, TaskRunner>>
  /** Of a new disk. */
  readonly latenciesMs?: Partial<Latencies>
  /** Of a new disk. */
  readonly capacityBytes?: number
  /** Error of the wall clock. Default 0. */
  readonly skewMs?: number
}

export interface SimEnvironment extends Environment {
  readonly scheduler: SimScheduler
  readonly disk: SimDisk
  readonly random: SimRandom
  readonly clock: SimClock
  readonly files: SimFiles
  /** False after a crash or kill. */
  readonly isAlive: boolean
  /** Runs the simulation until `work` settles; throws `SimStopped` when the process dies before. */
  drive<T>(work: Promise<T> | (() => Promise<T>)): Promise<T>
  /** Kills the worker threads of all executors of this environment; running tasks fail with TASK_FAILED. */
  killWorkers(): void
}

/** Virtual ms from one thread to another: 0.02 .. 0.1. */
const hopLeastMs = 0.02
const hopSpreadMs = 0.08

export function createSimEnvironment(options: SimEnvironmentOptions): SimEnvironment {
  const random = new SimRandom(options.seed)
  const { latenciesMs, capacityBytes, ties } = options
  const schedulerRandom = random.fork()
  const hopRandom = random.fork()
  const diskSeed = random.uint32()
  const scheduler = options.scheduler ?? new SimScheduler(schedulerRandom, ties === undefined ? {} : { ties })
  const disk =
    options.disk ??
    new SimDisk({
      seed: diskSeed,
      ...(latenciesMs === undefined ? {} : { latenciesMs }),
      ...(capacityBytes === undefined ? {} : { capacityBytes }),
    })
  const files = new SimFiles(disk, scheduler)
  const clock = new SimClock(scheduler, options.skewMs)
  const shared: SharedCatalogs = new Map()
  const executors = new Set<SimExecutor>()
  const whenAlive = (run: () => void) => (): void => {
    if (files.isAlive) run()
  }
  return {
    scheduler,
    disk,
    random,
    clock,
    files,
    get isAlive() {
      return files.isAlive
    },
    timers: {
      after: (delayMs, run) => scheduler.after(delayMs, whenAlive(run)),
      soon: run => void scheduler.after(0, whenAlive(run)),
    },
    catalogs: new SimCatalogs(files, shared),
    locks: new SimLocks(disk, files, clock),
    createExecutor: () => {
      const executor = new SimExecutor({
        runners: options.runners ?? {},
        scheduler,
        isAlive: () => files.isAlive,
        hopMs: () => hopLeastMs + hopSpreadMs * hopRandom.fraction(),
        startWorker: () => {
          const workerFiles = new SimFiles(disk, scheduler)
          return { files: workerFiles, catalogs: new SimCatalogs(workerFiles, shared), clock }
        },
      })
      executors.add(executor)
      return executor
    },
    drive: work => scheduler.drive(work, () => !files.isAlive),
    killWorkers: () => {
      for (const executor of executors) {
        const { workerFiles } = executor
        if (workerFiles === undefined) continue
        disk.processKill(workerFiles)
        executor.workerDied()
      }
    },
  }
}
