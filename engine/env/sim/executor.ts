/**
 * Background work in simulation: runners run inline, one at a time, in virtual time. The worker has a mount of its own, as a thread has
 * file handles of its own, so that it can die alone. Input and output are structured clones, so that what cannot cross a thread fails
 * here too.
 *
 * Invariants: at most one task runs; tasks of an executor run in the order of `run`; a task of a dead worker has been rejected, and what
 * its runner still does ends at its next call to the dead mount.
 */
import { VarveError } from '../../errors.ts'
import type { Executor, RunOptions, Task, TaskPlace, TaskRunner } from '../environment.ts'
import { runTask } from '../run-task.ts'
import { packError, toTaskError, unpackError } from '../task-error.ts'
import type { SimFiles } from './files.ts'
import type { SimScheduler } from './scheduler.ts'

/** Least distance between two arrivals. */
const hopStepMs = 0.001

/** A worker's world; `files` dies with it. */
export interface SimWorker extends Omit<TaskPlace, 'report'> {
  readonly files: SimFiles
}

export interface SimExecutorOptions {
  readonly runners: Readonly<Record<string, TaskRunner>>
  readonly scheduler: SimScheduler
  /** Starts a worker: called for the first task, and again after a worker died. */
  readonly startWorker: () => SimWorker
  /** False once the process is dead: nothing is answered any more. */
  readonly isAlive: () => boolean
  /** Virtual duration of the way to the worker and back, each. */
  readonly hopMs: () => number
}

interface Job {
  readonly task: Task
  readonly input: unknown
  readonly onProgress: RunOptions['onProgress']
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

export class SimExecutor implements Executor {
  readonly #options: SimExecutorOptions
  readonly #waiting: Job[] = []
  #running: Job | undefined
  #worker: SimWorker | undefined
  #isClosed = false
  /** Virtual time at which the newest message arrives. */
  #lastArrivalMs = 0
  readonly #idleWaiters: (() => void)[] = []

  constructor(options: SimExecutorOptions) {
    this.#options = options
  }

  /** The worker's files, while one lives. */
  get workerFiles(): SimFiles | undefined {
    return this.#worker?.files
  }

  run<T>(task: Task, options: RunOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new VarveError('CLOSED', 'the executor is closed')
      const input = cloneOrFail(task.input, task.kind)
      this.#waiting.push({ task, input, onProgress: options.onProgress, resolve: resolve as (value: unknown) => void, reject })
      this.#startNext()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const job of this.#waiting.splice(0)) job.reject(new VarveError('CLOSED', 'the executor was closed before the task began'))
    if (this.#running !== undefined) await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
    this.#worker?.files.die()
    this.#worker = undefined
  }

  /** To be called when the worker's mount has died: rejects its task. */
  workerDied(): void {
    this.#worker = undefined
    const job = this.#running
    if (job === undefined) return
    this.#finish(job, () =>
      job.reject(new VarveError('TASK_FAILED', `the worker died while it ran task ${job.task.kind}`, { details: { task: job.task.kind } })),
    )
  }

  #startNext(): void {
    if (this.#running !== undefined) return
    const job = this.#waiting.shift()
    if (job === undefined) {
      for (const resolve of this.#idleWaiters.splice(0)) resolve()
      return
    }
    this.#running = job
    const worker = (this.#worker ??= this.#options.startWorker())
    this.#hop(() => {
      if (this.#running === job) void this.#execute(job, worker)
    })
  }

  async #execute(job: Job, worker: SimWorker): Promise<void> {
    const { kind } = job.task
    const place: TaskPlace = {
      ...worker,
      report: (done, total) => this.#hop(() => (this.#running === job ? job.onProgress?.(done, total) : undefined)),
    }
    let settle: () => void
    try {
      const value = cloneOrFail(await runTask(this.#options.runners, kind, job.input, place), kind)
      settle = () => job.resolve(value)
    } catch (error) {
      const failure = unpackError(packError(toTaskError(error, kind)))
      settle = () => job.reject(failure)
    }
    if (!worker.files.isAlive) return
    this.#hop(() => this.#finish(job, settle))
  }

  #finish(job: Job, settle: () => void): void {
    if (this.#running !== job) return
    this.#running = undefined
    settle()
    this.#startNext()
  }

  /** Messages take their time and never overtake each other. */
  #hop(arrive: () => void): void {
    const { scheduler, hopMs } = this.#options
    this.#lastArrivalMs = Math.max(scheduler.nowMs + hopMs(), this.#lastArrivalMs + hopStepMs)
    scheduler.after(this.#lastArrivalMs - scheduler.nowMs, () => {
      if (this.#options.isAlive()) arrive()
    })
  }
}

function cloneOrFail(value: unknown, kind: string): unknown {
  try {
    return structuredClone(value)
  } catch (error) {
    throw toTaskError(error, kind)
  }
}
