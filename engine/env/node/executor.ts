/**
 * Background work in one worker thread.
 *
 * The worker starts with the first task, and again with the next task after it died. It keeps the process alive only while a task runs
 * (`ref` and `unref`). Tasks wait here, in order, and are given to the worker one by one, so that a dead worker takes one task with it.
 * `close` lets the running task finish, since stopping a thread inside LMDB would leave its write lock taken; waiting ones are rejected
 * with CLOSED.
 *
 * Invariants: at most one task runs; `#running` is defined exactly while the worker is referenced; every job is settled once.
 */
import { Worker } from 'node:worker_threads'
import { assert, VarveError } from '../../errors.ts'
import type { Executor, RunOptions, Task } from '../environment.ts'
import { toTaskError, unpackError } from '../task-error.ts'
import type { TaskAnswer, TaskProgress, TaskRequest } from './serve-tasks.ts'

/**
 * Of the worker. What its tasks make is in arrays outside of the heap, so that a small young generation costs no time, and the default one (48 MB) would hold
 * garbage alone.
 */
const maxYoungGenerationSizeMb = 6

interface Job {
  readonly id: number
  readonly task: Task
  readonly onProgress: ((done: number, total: number) => void) | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

export class NodeExecutor implements Executor {
  readonly #workerUrl: URL
  readonly #waiting: Job[] = []
  #running: Job | undefined
  #worker: Worker | undefined
  /** Jobs ever taken; the last one's id. */
  #jobCount = 0
  #closing: Promise<void> | undefined
  /** Called when nothing runs any more; set by `close`. */
  #onIdle: (() => void) | undefined

  constructor(workerUrl: URL) {
    this.#workerUrl = workerUrl
  }

  run<T>(task: Task, options: RunOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) throw new VarveError('CLOSED', 'the executor is closed')
      this.#waiting.push({
        id: ++this.#jobCount,
        task,
        onProgress: options.onProgress,
        resolve: resolve as (value: unknown) => void,
        reject,
      })
      this.#startNext()
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const job of this.#waiting.splice(0)) job.reject(new VarveError('CLOSED', 'the executor was closed before the task began'))
    if (this.#running !== undefined) await new Promise<void>(resolve => (this.#onIdle = resolve))
    const worker = this.#worker
    if (worker === undefined) return
    worker.ref()
    await new Promise<void>(resolve => {
      worker.once('exit', () => resolve())
      worker.postMessage(null)
    })
  }

  #startNext(): void {
    if (this.#running !== undefined) return
    const job = this.#waiting.shift()
    if (job === undefined) {
      this.#onIdle?.()
      return
    }
    this.#running = job
    try {
      this.#worker ??= this.#startWorker()
      this.#worker.ref()
      this.#worker.postMessage({ id: job.id, kind: job.task.kind, input: job.task.input } satisfies TaskRequest)
    } catch (error) {
      // The input cannot be cloned, or no thread could be started.
      this.#finish(() => job.reject(toTaskError(error, job.task.kind)))
    }
  }

  #finish(settle: () => void): void {
    assert(this.#running !== undefined, 'only a running task ends')
    this.#running = undefined
    this.#worker?.unref()
    settle()
    this.#startNext()
  }

  #startWorker(): Worker {
    const worker = new Worker(this.#workerUrl, { name: 'varve', execArgv: [], resourceLimits: { maxYoungGenerationSizeMb } })
    /** What killed the worker, when it said so. */
    let failure: unknown
    worker.on('message', (message: TaskProgress | TaskAnswer) => this.#onMessage(message))
    worker.on('error', error => (failure = error))
    worker.on('messageerror', error => (failure = error))
    worker.on('exit', exitCode => {
      if (this.#worker === worker) this.#worker = undefined
      const job = this.#running
      if (job === undefined) return
      const reason = failure instanceof Error ? failure.message : `exit code ${exitCode}`
      this.#finish(() =>
        job.reject(
          new VarveError('TASK_FAILED', `the worker died while it ran task ${job.task.kind}: ${reason}`, {
            cause: failure,
            details: { task: job.task.kind, exitCode },
          }),
        ),
      )
    })
    return worker
  }

  #onMessage(message: TaskProgress | TaskAnswer): void {
    const job = this.#running
    if (job === undefined || message.id !== job.id) return
    if ('total' in message) job.onProgress?.(message.done, message.total)
    else if ('error' in message) this.#finish(() => job.reject(unpackError(message.error)))
    else this.#finish(() => job.resolve(message.value))
  }
}
