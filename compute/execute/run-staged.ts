/**
 * Runs a plan by an executor: stage after stage, the tasks of a stage as many at a time as there are slots. A task that fails is run again, once by default; what fails each time fails
 * the job, which then says where. Rows of the result come to the calling thread at the end, task by task in order.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Files, isVarveError, loadChecksums, type Random, VarveError } from '../../engine/index.ts'
import { describeModule, type JobModule } from '../job/job-module.ts'
import type { Receiver } from '../operator/receiver.ts'
import type { PlanNode } from '../plan/node.ts'
import { inputsOf } from '../plan/node.ts'
import { cutStages, type Stage, type StagedPlan } from '../plan/stages.ts'
import { BUCKETS, type ExchangeOutput } from '../shuffle/exchange.ts'
import { allBuckets, type BucketRange, ExchangeReader } from '../shuffle/exchange-reader.ts'
import type { SplitSet } from '../source/source.ts'
import type { Executor, ExecutorSession } from './executor.ts'
import { type JobPlan, planData, withHints } from './job-data.ts'
import type { Counters } from './run-inline.ts'
import type { BucketWork, SplitWork, Task } from './task.ts'
import { TaskFailure } from './task-failure.ts'

export interface StagedRun {
  readonly name: string
  /** The module that builds the plan in other threads; undefined: the plan crosses as data. */
  readonly module: JobModule | undefined
  readonly executor: Executor
  readonly files: Files
  readonly random: Random
  readonly signal: AbortSignal | undefined
  /** How often a task is tried. */
  readonly attemptsMax: number
  /** Memory of all tasks together, bytes. */
  readonly memoryBytesMax: number
  /** Bytes of sources that were read, of how many. */
  readonly onProgress: ((done: number, total: number) => void) | undefined
}

/** Splits for each slot: enough that a slow one does not hold up the others. */
const splitsPerSlot = 4

export async function runStaged(plan: PlanNode, end: Receiver, run: StagedRun): Promise<Counters> {
  run.signal?.throwIfAborted()
  await loadChecksums()
  const staged = cutStages(run.module === undefined ? withHints(plan) : plan)
  const jobPlan: JobPlan =
    run.module === undefined ? { data: planData(staged) } : { module: await describeModule(run.module, plan, run.files) }
  const job = new StagedJob(staged, jobPlan, run)
  try {
    const outputs = await job.run()
    await deliver(outputs, staged, end, run)
    return job.counters()
  } finally {
    await job.close()
  }
}

/** Rows of the result to who wants them. */
async function deliver(
  outputs: readonly ExchangeOutput[],
  { stages }: StagedPlan,
  end: Receiver,
  { files, signal }: StagedRun,
): Promise<void> {
  const { columns } = (stages.at(-1) as Stage).output
  const reader = new ExchangeReader({ outputs, buckets: allBuckets, columns, keyWidth: 0, files })
  try {
    while (!end.isSated) {
      signal?.throwIfAborted()
      const chunk = reader.next()
      if (chunk === undefined) break
      await end.receive(chunk)
    }
  } finally {
    reader.close()
  }
  await end.finish()
}

class StagedJob {
  readonly #plan: StagedPlan
  readonly #jobPlan: JobPlan
  readonly #run: StagedRun
  readonly #folder: string
  readonly #sets = new Map<number, SplitSet>()
  /** Outputs by the number of the stage. */
  readonly #outputs: ExchangeOutput[][] = []
  #session: ExecutorSession | undefined
  #hasFolder = false
  #fileCount = 0
  #read = 0
  #total = 0

  constructor(plan: StagedPlan, jobPlan: JobPlan, run: StagedRun) {
    this.#plan = plan
    this.#jobPlan = jobPlan
    this.#run = run
    this.#folder = join(tmpdir(), `varve-job-${run.random.uint32().toString(36)}${run.random.uint32().toString(36)}`)
  }

  async run(): Promise<ExchangeOutput[]> {
    const { executor, files } = this.#run
    await files.makeDirectory(this.#folder)
    this.#hasFolder = true
    for (const [index, input] of this.#plan.inputs.entries()) {
      if (input.kind !== 'source') continue
      const set = await input.source.split({ parallelism: executor.slots * splitsPerSlot, portable: true })
      this.#sets.set(index, set)
      for (const split of set.splits) this.#total += split.bytes
    }
    this.#session = executor.open({
      plan: this.#jobPlan,
      inputs: this.#plan.inputs.length,
      share: (input, thread) => this.#sets.get(input)?.share?.(thread),
      progress: bytes => {
        this.#read += bytes
        this.#run.onProgress?.(Math.min(this.#read, this.#total), this.#total)
      },
    })
    for (let stage = 0; stage < this.#plan.stages.length; stage++) this.#outputs.push(await this.#runStage(stage))
    return this.#outputs.at(-1) as ExchangeOutput[]
  }

  /** Of all tasks whose output was taken. */
  counters(): Counters {
    const sums: Record<string, number> = {}
    for (const { counters } of this.#outputs.flat()) {
      for (const [name, count] of Object.entries(counters)) sums[name] = (sums[name] ?? 0) + count
    }
    return sums
  }

  async close(): Promise<void> {
    await this.#session?.close()
    for (const set of this.#sets.values()) set.release()
    if (this.#hasFolder) await this.#run.files.removeDirectory(this.#folder)
  }

  async #runStage(stage: number): Promise<ExchangeOutput[]> {
    const works = this.#worksOf(stage)
    const outputs = new Array<ExchangeOutput>(works.length)
    let next = 0
    let failed = false
    const slot = async (): Promise<void> => {
      for (let i = next++; i < works.length && !failed; i = next++) {
        try {
          outputs[i] = await this.#runTask(stage, works[i] as SplitWork | BucketWork)
        } catch (error) {
          failed = true
          throw error
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#run.executor.slots, works.length) }, slot))
    return outputs
  }

  async #runTask(stage: number, work: SplitWork | BucketWork): Promise<ExchangeOutput> {
    const { attemptsMax, signal, memoryBytesMax, executor, name } = this.#run
    const session = this.#session as ExecutorSession
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      const file = join(this.#folder, `${this.#fileCount++}.blocks`)
      const task: Task = { stage, file, work, memoryBytesMax: memoryBytesMax / executor.slots / 2 }
      try {
        return await abortable(session.run(task), signal)
      } catch (error) {
        if (!(error instanceof TaskFailure)) throw error
        if (attempt < attemptsMax) continue
        throw jobFailure(name, error, attempt)
      }
    }
  }

  /** The tasks of a stage, in the order in which their rows count. */
  #worksOf(stage: number): (SplitWork | BucketWork)[] {
    const inputs = inputNumbers((this.#plan.stages[stage] as Stage).plan)
    const works: (SplitWork | BucketWork)[] = []
    const outputs: Record<number, readonly ExchangeOutput[]> = {}
    /** Those that every task reads. */
    const broadcast: Record<number, readonly ExchangeOutput[]> = {}
    let isDivided = true
    for (const number of inputs) {
      const input = this.#plan.inputs[number]
      if (input?.kind === 'exchange' && input.isBroadcast) broadcast[number] = this.#outputs[input.stage] as ExchangeOutput[]
      else if (input?.kind === 'exchange') {
        outputs[number] = this.#outputs[input.stage] as ExchangeOutput[]
        isDivided &&= input.keyWidth > 0
      } else
        for (const split of this.#sets.get(number)?.splits ?? []) works.push({ kind: 'split', input: number, split, outputs: broadcast })
    }
    const all = Object.values(outputs).flat()
    if (Object.keys(outputs).length === 0) return works
    for (const buckets of this.#bucketRanges(all, isDivided))
      works.push({ kind: 'buckets', buckets, outputs: { ...outputs, ...broadcast } })
    return works
  }

  /** As many shares of the buckets as keep all slots busy and a share's state in memory; one for little. */
  #bucketRanges(outputs: readonly ExchangeOutput[], isDivided: boolean): BucketRange[] {
    if (!isDivided || outputs.every(output => output.buckets.every(({ bucket }) => bucket < 0))) return [allBuckets]
    const { executor, memoryBytesMax } = this.#run
    const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0)
    const bytesMax = memoryBytesMax / executor.slots / 4
    const shares = Math.min(BUCKETS, Math.max(2 * executor.slots, Math.ceil(bytes / bytesMax)))
    return Array.from({ length: shares }, (_, i) => ({
      from: Math.floor((BUCKETS * i) / shares),
      to: Math.floor((BUCKETS * (i + 1)) / shares),
    }))
  }
}

function inputNumbers(plan: PlanNode): number[] {
  return plan.op === 'input' ? [plan.index] : inputsOf(plan).flatMap(inputNumbers)
}

function jobFailure(job: string, failure: TaskFailure, attempts: number): unknown {
  const { cause } = failure
  if (isVarveError(cause) && !failure.isLoss) return cause
  return new VarveError('TASK_FAILED', `job ${job} failed at ${failure.message}, tried ${attempts} times`, {
    cause,
    details: { task: failure.place, attempts },
  })
}

/** The promise, or the signal's reason, whichever comes first. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  promise.catch(() => undefined)
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
  }
}
