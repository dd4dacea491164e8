/**
 * **Executor**: who runs the tasks of jobs. Threads of this process by default (`threads.ts`); nodes of a cluster later, by the same interface.
 *
 * A session is one job on one executor. `run` may be called while other tasks run, at most `slots` at a time; a place that dies fails its task with a `TaskFailure` whose
 * `isLoss` is true, and the session goes on with another.
 */
import type { EndingThread } from '../../engine/index.ts'
import type { ExchangeOutput } from '../shuffle/exchange.ts'
import type { PortableSource } from '../source/source.ts'
import type { JobPlan, SinkData } from './job-data.ts'
import type { Task } from './task.ts'

export interface ExecutorJob {
  readonly plan: JobPlan
  /** How many inputs the plan has. */
  readonly inputs: number
  /** What a place needs to read the input of this number; asked once for each place. Undefined for exchanges. */
  share(input: number, thread: EndingThread | undefined): PortableSource | undefined
  readonly sink: SinkData | undefined
  /** A task has read so many bytes more. */
  progress(bytes: number): void
}

export interface ExecutorSession {
  /** When `cancel` fires, whoever runs the task stops, and the promise rejects. */
  run(task: Task, cancel: AbortSignal): Promise<ExchangeOutput>
  /** Memory of outputs that nobody reads any more: places may use it for others. */
  reuse(pieces: readonly SharedArrayBuffer[]): void
  /** Ends the job's tasks and lets its places forget it. */
  close(): Promise<void>
}

export interface Executor {
  /** Tasks that run at a time. */
  readonly slots: number
  open(job: ExecutorJob): ExecutorSession
  /** Ends all places. Idempotent. */
  close(): Promise<void>
}
