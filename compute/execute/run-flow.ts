/** How a flow is run: in the calling thread, or by worker threads where all of it can go there and there is enough to do. */

import { availableParallelism } from 'node:os'
import { checkOptions, makeScratchFolder, nodeClock, nodeFiles, nodeTimers } from '../../engine/index.ts'
import type { JobModule } from '../job/job-module.ts'
import type { PlanEnd } from '../plan/build-together.ts'
import type { PlanNode } from '../plan/node.ts'
import type { RunStats } from '../plan/run-stats.ts'
import type { Executor } from './executor.ts'
import { inputBytes, isPortablePlan } from './job-data.ts'
import { withRecordPlace } from './locate-record.ts'
import { type RunOutcome, runInline, runInlineTogether } from './run-inline.ts'
import { runStaged, type StagedEnd } from './run-staged.ts'
import { resolveSpeculation, type SpeculationOptions } from './stage-tasks.ts'
import { ThreadExecutor } from './threads.ts'

/** How a flow is run. */
export interface RunOptions {
  /** Ends the run with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Called with bytes of input that were read, of how many; only where worker threads run it. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined

  // --- options that change speed -------------------------------------------------------------------------------------------------------

  /**
   * Worker threads. 0: the calling thread, which gives other work a turn every few ms. Default 'auto': as many as there are processors, for flows of 8 MiB and more without
   * users' functions (jobs may have some) over sources that other threads can read; else 0. TypeError for a number that is not 0 where the flow cannot go to other threads.
   */
  readonly workers?: number | 'auto' | undefined
  /** Memory for groups, joins, sorts and what goes between tasks, all together, bytes; beyond it they use files. Default 256 MiB. */
  readonly memoryBytesMax?: number | undefined
  /** How often a task is tried before its failure is the job's. Default 2. */
  readonly attemptsMax?: number | undefined
  /**
   * Whether a task that takes much longer than the others of its stage is run a second time by a worker thread that has nothing to do: the first attempt that ends counts, the thread of the
   * other is ended. It helps where a function waits for something, not where a part of the input is larger. Functions may run twice for a row at the same time. Default false.
   */
  readonly speculation?: boolean | SpeculationOptions | undefined
}

const runOptionNames: (keyof RunOptions)[] = ['signal', 'onProgress', 'workers', 'memoryBytesMax', 'attemptsMax', 'speculation']
/** What a job's functions are given comes with them. */
const jobOptionNames = [...runOptionNames, 'args']

const inlineBytesMax = 8 << 20
const memoryBytesDefault = 256 << 20

const place = {
  files: nodeFiles,
  monotonic: () => nodeClock.monotonic(),
  soon: (run: () => void) => nodeTimers.soon(run),
  makeFolder: () => makeScratchFolder('varve-job-'),
}
const executors = new Map<number, Executor>()

/** Threads are kept for the next run. */
function executorOf(slots: number): Executor {
  let executor = executors.get(slots)
  if (executor === undefined) executors.set(slots, (executor = new ThreadExecutor(slots)))
  return executor
}

/** What a run of one flow was. */
export interface FlowOutcome {
  readonly counters: RunOutcome['counters']
  readonly stats: RunStats
}

export async function runFlow(name: string, plan: PlanNode, end: StagedEnd, options: RunOptions, module?: JobModule): Promise<FlowOutcome> {
  checkOptions(options, 'a run', module === undefined ? runOptionNames : jobOptionNames)
  const { signal, onProgress, workers = 'auto', memoryBytesMax = memoryBytesDefault, attemptsMax = 2 } = options
  if (workers !== 'auto') checkWhole(workers, 'workers', 0)
  checkWhole(memoryBytesMax, 'memoryBytesMax', 1 << 20)
  checkWhole(attemptsMax, 'attemptsMax', 1)
  const speculation = resolveSpeculation(options.speculation)
  const slots = slotsFor(plan, workers, module !== undefined)
  const began = nodeClock.monotonic()
  try {
    const { counters, operators } =
      slots === 0
        ? await runInline(plan, end, place, memoryBytesMax, signal)
        : await runStaged(plan, end, {
            name,
            module,
            executor: executorOf(slots),
            files: nodeFiles,
            makeFolder: place.makeFolder,
            signal,
            attemptsMax,
            speculation,
            memoryBytesMax,
            onProgress,
          })
    return { counters, stats: { workers: slots, ms: nodeClock.monotonic() - began, operators } }
  } catch (error) {
    throw await withRecordPlace(error, [plan], place.soon, signal)
  }
}

function slotsFor(plan: PlanNode, workers: number | 'auto', hasModule: boolean): number {
  if (workers === 0) return 0
  const isPortable = isPortablePlan(plan, hasModule)
  if (workers === 'auto') return isPortable && (inputBytes(plan) ?? 0) >= inlineBytesMax ? availableParallelism() : 0
  if (!isPortable) throw new TypeError('workers must be 0 or auto: the flow has functions, or a source that other threads cannot read')
  return workers
}

function checkWhole(value: number, option: string, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) throw new RangeError(`${option} must be a whole number from ${least} on, got ${value}`)
}

/** Runs several plans in the calling thread, with what they share done once. */
export async function runFlowsTogether(
  plans: readonly PlanEnd[],
  { signal, memoryBytesMax = memoryBytesDefault }: Pick<RunOptions, 'signal' | 'memoryBytesMax'>,
): Promise<void> {
  checkWhole(memoryBytesMax, 'memoryBytesMax', 1 << 20)
  try {
    await runInlineTogether(plans, place, memoryBytesMax, signal)
  } catch (error) {
    const built = plans.map(({ plan }) => plan)
    throw await withRecordPlace(error, built, place.soon, signal)
  }
}
