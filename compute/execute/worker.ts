/** Entry file of a thread that runs tasks of jobs, one after the other. */
import { parentPort } from 'node:worker_threads'
import { assert, loadChecksums, nodeClock, nodeFiles } from '../../engine/index.ts'
import { loadPlan } from '../job/job-module.ts'
import { cutStages } from '../plan/stages.ts'
import type { ExchangeOutput } from '../shuffle/exchange.ts'
import { reusePieces, settlePieces } from '../shuffle/shared-memory.ts'
import { readers } from '../source/readers.ts'
import type { SplitOpener } from '../source/source.ts'
import { type JobData, type JobPlan, planData } from './job-data.ts'
import { runTask, type Task, type TaskPlace } from './task.ts'
import { TaskFailure } from './task-failure.ts'
import { CELL_KIB, CELL_STOP, type FromThread, packFailure, type ToThread } from './thread-messages.ts'

/** A job as this thread knows it. */
class Job {
  readonly #data: JobData
  readonly #cells: Int32Array
  #plan: Promise<TaskPlace['plan']> | undefined
  readonly #openers = new Map<number, Promise<SplitOpener>>()

  constructor(data: JobData, cells: Int32Array) {
    this.#data = data
    this.#cells = cells
  }

  async run(task: Task): Promise<ExchangeOutput> {
    this.#plan ??= planOf(this.#data.plan)
    const plan = await this.#plan
    const place: TaskPlace = {
      plan,
      files: nodeFiles,
      monotonic: () => nodeClock.monotonic(),
      sink: this.#data.sink,
      open: async (input, split, needs) => (await this.#opener(input)).open(split, needs),
      progress: bytes => {
        Atomics.add(this.#cells, CELL_KIB, Math.round(bytes / 1024))
        if (Atomics.load(this.#cells, CELL_STOP) !== 0) throw new Error('the job was stopped')
      },
    }
    return await runTask(task, place)
  }

  async close(): Promise<void> {
    for (const opener of this.#openers.values()) (await opener.catch(() => undefined))?.close()
    this.#openers.clear()
  }

  #opener(input: number): Promise<SplitOpener> {
    let opener = this.#openers.get(input)
    if (opener === undefined) {
      const source = this.#data.sources[input]
      assert(source !== undefined, 'a split is of a source', input)
      const open = readers[source.reader]
      assert(open !== undefined, 'a source has a reader')
      opener = Promise.resolve(open(source.input, nodeFiles))
      this.#openers.set(input, opener)
    }
    return opener
  }
}

async function planOf(plan: JobPlan): Promise<TaskPlace['plan']> {
  return 'data' in plan ? plan.data : planData(cutStages(await loadPlan(plan.module, nodeFiles)))
}

const jobs = new Map<number, Job>()

function answer(message: FromThread): void {
  parentPort?.postMessage(message)
}

async function runOne(job: number, task: Task): Promise<void> {
  try {
    await loadChecksums()
    const known = jobs.get(job)
    assert(known !== undefined, 'a task is of a job', job)
    answer({ type: 'done', output: await known.run(task) })
  } catch (error) {
    const failure = error instanceof TaskFailure ? error : new TaskFailure(error, `stage ${task.stage}`)
    answer({ type: 'failed', place: failure.place, error: packFailure(failure) })
  }
}

parentPort?.on('message', (message: ToThread) => {
  if (message.type === 'job') jobs.set(message.job, new Job(message.data, message.cells))
  else if (message.type === 'task') void runOne(message.job, message.task)
  else if (message.type === 'reuse') reusePieces(message.pieces)
  else {
    void jobs.get(message.job)?.close()
    jobs.delete(message.job)
    settlePieces()
  }
})
