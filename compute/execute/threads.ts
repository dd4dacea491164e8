/**
 * The executor of one process: worker threads, as many as there are slots. They start with the first tasks, are kept for the next job, and end when they have had nothing to do for
 * some seconds. Idle threads do not keep the process alive.
 *
 * Invariants: a thread runs one task at a time; a thread that ends fails its task, which says so (`isLoss`), and is replaced by the next call of `run`.
 */
import { Worker } from 'node:worker_threads'
import { nodeTimers, resolveWorkerUrl, VarveError } from '../../engine/index.ts'
import type { ExchangeOutput } from '../shuffle/exchange.ts'
import type { Executor, ExecutorJob, ExecutorSession } from './executor.ts'
import type { JobData } from './job-data.ts'
import type { Task } from './task.ts'
import { TaskFailure } from './task-failure.ts'
import { CELL_KIB, CELL_STOP, type FromThread, type ToThread, unpackFailure } from './thread-messages.ts'

const idleMs = 10_000
/**
 * The collector looks at the young generation when it is full of objects. Of the arrays that rows go through it has only the heads there, and what they hold would pile up for long, until all of the
 * heap must be looked through.
 */
const maxYoungGenerationSizeMb = 6

interface Running {
  readonly task: Task
  resolve(output: ExchangeOutput): void
  reject(error: unknown): void
}

class Thread {
  readonly worker: Worker
  running: Running | undefined
  /** Numbers of jobs that the worker was told of. */
  readonly jobs = new Set<number>()
  cancelIdle: (() => void) | undefined
  readonly #waiting: (() => void)[] = []

  constructor(url: URL, onEnd: (thread: Thread) => void) {
    this.worker = new Worker(url, { name: 'varve job', execArgv: [], resourceLimits: { maxYoungGenerationSizeMb } })
    let failure: unknown
    this.worker.on('error', error => (failure = error))
    this.worker.on('messageerror', error => (failure = error))
    this.worker.on('message', (message: FromThread) => this.#onMessage(message))
    this.worker.on('exit', code => {
      onEnd(this)
      const running = this.#take()
      const reason = failure instanceof Error ? failure.message : `exit code ${code}`
      const error = new VarveError('TASK_FAILED', `a worker thread ended while it ran a task: ${reason}`, {
        cause: failure,
        details: { task: 'job', exitCode: code },
      })
      running?.reject(new TaskFailure(error, placeOf(running.task), true))
    })
    this.worker.unref()
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return new Promise(resolve => {
      if (this.running === undefined) resolve()
      else this.#waiting.push(resolve)
    })
  }

  send(message: ToThread): void {
    this.worker.postMessage(message)
  }

  /** The task is over. */
  #take(): Running | undefined {
    const { running } = this
    this.running = undefined
    for (const resolve of this.#waiting.splice(0)) resolve()
    return running
  }

  #onMessage(message: FromThread): void {
    const running = this.#take()
    this.worker.unref()
    if (message.type === 'done') running?.resolve(message.output)
    else running?.reject(unpackFailure(message.place, message.error))
  }
}

function placeOf({ work, stage }: Task): string {
  return work.kind === 'split' ? work.split.name : `stage ${stage}`
}

let jobCount = 0

export class ThreadExecutor implements Executor {
  readonly slots: number
  readonly #threads: Thread[] = []
  readonly #url = new URL(resolveWorkerUrl(import.meta.url, 'compute/execute/worker').href)
  #isClosed = false

  constructor(slots: number) {
    this.slots = slots
  }

  open(job: ExecutorJob): ExecutorSession {
    const number = ++jobCount
    const cells = new Int32Array(new SharedArrayBuffer(8))
    let seen = 0
    return {
      run: async (task, cancel) => {
        const output = await this.#run(number, job, cells, task, cancel)
        const kib = Atomics.load(cells, CELL_KIB)
        job.progress((kib - seen) * 1024)
        seen = kib
        return output
      },
      reuse: pieces => {
        const threads = this.#threads.filter(thread => thread.jobs.has(number))
        for (const [i, thread] of threads.entries()) {
          thread.send({ type: 'reuse', pieces: pieces.filter((_, piece) => piece % threads.length === i) })
        }
      },
      close: async () => {
        Atomics.store(cells, CELL_STOP, 1)
        // Whoever closes waits for nothing that still runs, so that files can be removed.
        const running = this.#threads.filter(thread => thread.jobs.has(number) && thread.running !== undefined)
        await Promise.all(running.map(thread => thread.idle()))
        for (const thread of this.#threads) {
          if (thread.jobs.delete(number)) thread.send({ type: 'forget', job: number })
          if (thread.running === undefined) this.#idle(thread)
        }
      },
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#threads.splice(0).map(thread => thread.worker.terminate()))
  }

  #run(number: number, job: ExecutorJob, cells: Int32Array, task: Task, cancel: AbortSignal): Promise<ExchangeOutput> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new VarveError('CLOSED', 'the executor is closed')
      const thread = this.#free(number)
      // A function of the user's that does not come back ends with its thread.
      const stop = (): void => void thread.worker.terminate()
      const over = (): void => cancel.removeEventListener('abort', stop)
      cancel.addEventListener('abort', stop, { once: true })
      thread.running = {
        task,
        resolve: output => {
          over()
          resolve(output)
        },
        reject: error => {
          over()
          reject(error)
        },
      }
      thread.worker.ref()
      if (!thread.jobs.has(number)) {
        thread.jobs.add(number)
        const sources = Array.from({ length: job.inputs }, (_, input) => job.share(input, thread.worker))
        const data: JobData = { plan: job.plan, sources, sink: job.sink }
        thread.send({ type: 'job', job: number, data, cells })
      }
      thread.send({ type: 'task', job: number, task })
    })
  }

  /** A thread with nothing to do, rather one that knows the job. */
  #free(number: number): Thread {
    const idle = this.#threads.filter(thread => thread.running === undefined)
    let thread = idle.find(({ jobs }) => jobs.has(number)) ?? idle[0]
    if (thread === undefined) {
      thread = new Thread(this.#url, ended => {
        const at = this.#threads.indexOf(ended)
        if (at >= 0) this.#threads.splice(at, 1)
      })
      this.#threads.push(thread)
    }
    thread.cancelIdle?.()
    thread.cancelIdle = undefined
    return thread
  }

  #idle(thread: Thread): void {
    thread.cancelIdle?.()
    thread.cancelIdle = nodeTimers.after(idleMs, () => {
      if (thread.running !== undefined || thread.jobs.size > 0) return
      const at = this.#threads.indexOf(thread)
      if (at >= 0) this.#threads.splice(at, 1)
      void thread.worker.terminate()
    })
  }
}
