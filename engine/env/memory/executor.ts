/**
 * Background work of a database in memory: its files are in this thread, so its tasks run here too, one after the other, each in a turn of its own
 * and never within the call that asked for it. Input and output are structured clones, as with a worker thread: shared memory stays shared, and
 * what could not cross a thread fails here too.
 *
 * Invariants: at most one task runs; every job is settled once; nothing starts after `close`.
 */
import { VarveError } from '../../errors.ts'
import type { Executor, RunOptions, Task, TaskPlace, TaskRunner, Timers } from '../environment.ts'
import { runTask } from '../run-task.ts'
import { packError, toTaskError, unpackError } from '../task-error.ts'

interface Job {
  readonly kind: string
  readonly input: unknown
  readonly onProgress: RunOptions['onProgress']
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

export class MemoryExecutor implements Executor {
  readonly #runners: Readonly<Record<string, TaskRunner>>
  readonly #place: Omit<TaskPlace, 'report'>
  readonly #timers: Timers
  readonly #waiting: Job[] = []
  #isRunning = false
  #isClosed = false
  readonly #idleWaiters: (() => void)[] = []

  constructor(runners: Readonly<Record<string, TaskRunner>>, place: Omit<TaskPlace, 'report'>, timers: Timers) {
    this.#runners = runners
    this.#place = place
    this.#timers = timers
  }

  run<T>(task: Task, options: RunOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new VarveError('CLOSED', 'the executor is closed')
      const input = cloneOrFail(task.input, task.kind)
      const { onProgress } = options
      this.#waiting.push({ kind: task.kind, input, onProgress, resolve: resolve as (value: unknown) => void, reject })
      this.#startNext()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const job of this.#waiting.splice(0)) job.reject(new VarveError('CLOSED', 'the executor was closed before the task began'))
    if (this.#isRunning) await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
  }

  #startNext(): void {
    if (this.#isRunning) return
    const job = this.#waiting.shift()
    if (job === undefined) {
      for (const resolve of this.#idleWaiters.splice(0)) resolve()
      return
    }
    this.#isRunning = true
    this.#timers.soon(() => void this.#execute(job))
  }

  async #execute(job: Job): Promise<void> {
    const place: TaskPlace = { ...this.#place, report: (done, total) => job.onProgress?.(done, total) }
    try {
      job.resolve(cloneOrFail(await runTask(this.#runners, job.kind, job.input, place), job.kind))
    } catch (error) {
      job.reject(unpackError(packError(toTaskError(error, job.kind))))
    }
    this.#isRunning = false
    this.#startNext()
  }
}

function cloneOrFail(value: unknown, kind: string): unknown {
  try {
    return structuredClone(value)
  } catch (error) {
    throw toTaskError(error, kind)
  }
}
