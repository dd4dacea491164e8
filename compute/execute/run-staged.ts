/**
 * Runs a plan by an executor: stage after stage, the tasks of a stage as many at a time as there are slots. A task that fails is run again, once by default; what fails each time fails
 * the job, which then says where. Rows of the result come to the calling thread at the end, task by task in order.
 */
import { join } from 'node:path'
import { type Files, isVarveError, loadChecksums, nodeClock, VarveError } from '../../engine/index.ts'
import { describeModule, type JobModule } from '../job/job-module.ts'
import type { Receiver } from '../operator/receiver.ts'
import type { PlanNode } from '../plan/node.ts'
import { inputsOf } from '../plan/node.ts'
import { type OperatorStats, stageStats } from '../plan/run-stats.ts'
import { cutStages, type Stage, type StagedPlan, type StageInput } from '../plan/stages.ts'
import { BUCKETS, type ExchangeOutput, WHOLE_ROWS_MAX } from '../shuffle/exchange.ts'
import { allBuckets, type BucketRange, ExchangeReader } from '../shuffle/exchange-reader.ts'
import { keyRanges, type MergeInput, mergeInput } from '../shuffle/key-ranges.ts'
import { piecesOf } from '../shuffle/shared-memory.ts'
import type { SinkParts } from '../sink/sink.ts'
import type { SplitSet } from '../source/source.ts'
import type { Executor, ExecutorSession } from './executor.ts'
import { type JobPlan, planData, withHints } from './job-data.ts'
import type { Counters, RunOutcome } from './run-inline.ts'
import { runTasks, type Speculation } from './stage-tasks.ts'
import type { BucketWork, SplitWork, Task } from './task.ts'
import { TaskFailure } from './task-failure.ts'

export interface StagedRun {
  readonly name: string
  /** The module that builds the plan in other threads; undefined: the plan crosses as data. */
  readonly module: JobModule | undefined
  readonly executor: Executor
  readonly files: Files
  /** Makes a folder of the job's own. */
  readonly makeFolder: () => string
  readonly signal: AbortSignal | undefined
  /** How often a task is tried. */
  readonly attemptsMax: number
  /** Undefined: no task runs twice at a time. */
  readonly speculation: Speculation | undefined
  /** Memory of all tasks together, bytes. */
  readonly memoryBytesMax: number
  /** Bytes of sources that were read, of how many. */
  readonly onProgress: ((done: number, total: number) => void) | undefined
}

/** Bytes that a task reads of other tasks' outputs, rather: a table of their keys is about as large, and fast as long as the processor's cache holds it. */
const bytesOfShare = 2 << 20

/** The share of the memory that outputs may keep, and of it sorted ones: shared memory is free only when no thread's collector knows it any more. */
const outputShare = 2
const sortedShare = 32
const runBytesMin = 4 << 20
/** Of what operators of a task keep: below it a table of one key would be too much for some. */
const taskBytesMin = 256 << 10
const runBlockBytesMin = 8 << 10
const runBlockBytesMax = 128 << 10
/** Runs of a sort, about, unless memory asks for more. */
const runsMax = 64

/** Splits for each slot: enough that a slow one does not hold up the others. */
const splitsPerSlot = 4

/** Who gets the result: its rows, or parts that tasks have written. */
export type StagedEnd = Receiver & { readonly parts?: SinkParts | undefined }

export async function runStaged(plan: PlanNode, end: StagedEnd, run: StagedRun): Promise<RunOutcome> {
  run.signal?.throwIfAborted()
  await loadChecksums()
  const staged = cutStages(run.module === undefined ? withHints(plan) : plan)
  const jobPlan: JobPlan =
    run.module === undefined ? { data: planData(staged) } : { module: await describeModule(run.module, plan, run.files) }
  const job = new StagedJob(staged, jobPlan, run, end.parts)
  try {
    const outputs = await job.run()
    const began = nodeClock.monotonic()
    if (end.parts !== undefined) {
      end.parts.accept(outputs.map(({ file, rows }) => ({ file: file as string, rows })))
      await end.finish()
    } else await deliver(outputs, staged, end, run)
    const rows = outputs.reduce((sum, output) => sum + output.rows, 0)
    const ms = nodeClock.monotonic() - began
    const result: OperatorStats = {
      stage: staged.stages.length,
      operator: 'result',
      text: 'result',
      tasks: 1,
      rowsIn: rows,
      rowsOut: 0,
      bytesRead: 0,
      ms,
    }
    return { counters: job.counters(), operators: [...job.operators(), result] }
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
  /** Undefined: the result's rows are wanted. */
  readonly #parts: SinkParts | undefined
  #folder: string | undefined
  readonly #sets = new Map<number, SplitSet>()
  /** Outputs by the number of the stage. */
  readonly #outputs: ExchangeOutput[][] = []
  #session: ExecutorSession | undefined
  #fileCount = 0
  #read = 0
  #total = 0
  /** Bytes of outputs in memory. */
  #sharedBytes = 0

  constructor(plan: StagedPlan, jobPlan: JobPlan, run: StagedRun, parts: SinkParts | undefined) {
    this.#parts = parts
    this.#plan = plan
    this.#jobPlan = jobPlan
    this.#run = run
  }

  async run(): Promise<ExchangeOutput[]> {
    const { executor } = this.#run
    this.#folder = this.#run.makeFolder()
    for (const [index, input] of this.#plan.inputs.entries()) {
      if (input.kind !== 'source') continue
      const set = await input.source.split({ parallelism: executor.slots * splitsPerSlot, portable: true, range: input.range })
      this.#sets.set(index, set)
      for (const split of set.splits) this.#total += split.bytes
    }
    this.#session = executor.open({
      plan: this.#jobPlan,
      inputs: this.#plan.inputs.length,
      sink: this.#parts === undefined ? undefined : { writer: this.#parts.writer, input: this.#parts.input },
      share: (input, thread) => this.#sets.get(input)?.share?.(thread),
      progress: bytes => {
        this.#read += bytes
        this.#run.onProgress?.(Math.min(this.#read, this.#total), this.#total)
      },
    })
    for (let stage = 0; stage < this.#plan.stages.length; stage++) {
      this.#outputs.push(await this.#runStage(stage))
      await this.#letGo(stage)
    }
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

  /** What tasks whose output was taken have measured. */
  operators(): OperatorStats[] {
    const { stages, inputs } = this.#plan
    return stages.flatMap(({ plan }, stage) =>
      stageStats(
        plan,
        inputs,
        stage,
        (this.#outputs[stage] ?? []).map(({ measures }) => measures),
      ),
    )
  }

  async close(): Promise<void> {
    await this.#session?.close()
    for (const set of this.#sets.values()) set.release()
    if (this.#folder !== undefined) await this.#run.files.removeDirectory(this.#folder)
  }

  async #runStage(stage: number): Promise<ExchangeOutput[]> {
    const works = this.#worksOf(stage)
    return await runTasks({
      count: works.length,
      slots: this.#run.executor.slots,
      speculation: this.#run.speculation,
      run: (task, cancel) => this.#runTask(stage, works[task] as SplitWork | BucketWork, cancel),
      drop: output => void (this.#sharedBytes -= sharedBytes(output)),
    })
  }

  /** What the stage has read nobody reads again. */
  async #letGo(stage: number): Promise<void> {
    for (const number of inputNumbers((this.#plan.stages[stage] as Stage).plan)) {
      const input = this.#plan.inputs[number]
      if (input?.kind !== 'exchange') continue
      const outputs = this.#outputs[input.stage] as ExchangeOutput[]
      this.#sharedBytes -= outputs.reduce((sum, output) => sum + sharedBytes(output), 0)
      this.#session?.reuse(piecesOf(outputs.flatMap(({ buckets }) => buckets.flatMap(({ blocks }) => blocks))))
      this.#outputs[input.stage] = outputs.map(output => ({ ...output, buckets: [], runs: [] }))
      for (const { file } of outputs) if (file !== undefined) await this.#run.files.remove(file)
    }
  }

  async #runTask(stage: number, work: SplitWork | BucketWork, cancel: AbortSignal): Promise<ExchangeOutput> {
    const { attemptsMax, signal, memoryBytesMax, executor, name } = this.#run
    const session = this.#session as ExecutorSession
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      const number = this.#fileCount++
      const file = join(this.#folder as string, `${number}.blocks`)
      const isLast = stage === this.#plan.stages.length - 1
      const part = isLast && this.#parts !== undefined ? `attempt-${number}` : undefined
      const memoryOfTask = Math.max(taskBytesMin, memoryBytesMax / executor.slots / 2)
      // What outputs keep in memory, all of them have together.
      const share = this.#plan.stages[stage]?.output.order === undefined ? outputShare : sortedShare
      const outputBytesMax = Math.max(0, (memoryBytesMax / share - this.#sharedBytes) / executor.slots)
      const task: Task = {
        stage,
        file,
        work,
        memoryBytesMax: memoryOfTask,
        keyBytesMax: memoryBytesMax,
        ...this.#runSizes(memoryOfTask),
        outputBytesMax,
        part,
      }
      try {
        const output = await abortable(session.run(task, cancel), signal)
        this.#sharedBytes += sharedBytes(output)
        return output
      } catch (error) {
        if (!(error instanceof TaskFailure)) throw error
        if (attempt < attemptsMax && !cancel.aborted) continue
        throw jobFailure(name, error, attempt)
      }
    }
  }

  /**
   * Rows that are sorted at a time: few enough that they stay in the processor's caches, and so many that there are not too many runs to merge. And the size of their blocks, of which a task that
   * merges has one of each run in memory.
   */
  #runSizes(memoryOfTask: number): Pick<Task, 'runBytesMax' | 'runBlockBytes'> {
    const total = this.#total === 0 ? Number.POSITIVE_INFINITY : this.#total
    const runBytesMax = Math.min(memoryOfTask, Math.max(runBytesMin, total / runsMax))
    const runs = Math.max(1, total / runBytesMax)
    return { runBytesMax, runBlockBytes: Math.min(runBlockBytesMax, Math.max(runBlockBytesMin, memoryOfTask / 2 / runs)) }
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
        isDivided &&= input.keyWidth > 0 || input.isSorted
      } else
        for (const split of this.#sets.get(number)?.splits ?? []) works.push({ kind: 'split', input: number, split, outputs: broadcast })
    }
    if (Object.keys(outputs).length === 0) return works
    const merged = inputs.filter(number => isSorted(this.#plan.inputs[number]))
    const hashed = Object.fromEntries(Object.entries(outputs).filter(([number]) => !merged.includes(Number(number))))
    const shares = this.#shares(Object.values(outputs).flat(), isDivided)
    const ranges = new Map(merged.map(number => [number, keyRanges(outputs[number] as readonly ExchangeOutput[], shares)]))
    for (const [i, buckets] of bucketRanges(shares).entries()) {
      const merges: Record<number, MergeInput> = {}
      for (const [number, all] of ranges) {
        const range = all[i]
        merges[number] =
          range === undefined ? { runs: [], common: 0, from: undefined, to: undefined } : mergeInput(outputs[number] ?? [], range)
      }
      const hasRows = Object.keys(hashed).length > 0 || Object.values(merges).some(({ runs }) => runs.length > 0)
      // Without rows at all there is one task, for operators that give something of nothing.
      if (hasRows || i === 0) works.push({ kind: 'buckets', buckets, outputs: { ...ofBuckets(hashed, buckets), ...broadcast }, merges })
    }
    return works
  }

  /** How many tasks: as many as keep all slots busy, and a task's state in memory and about in the processor's cache; one for little. */
  #shares(outputs: readonly ExchangeOutput[], isDivided: boolean): number {
    const isLittle = outputs.every(
      ({ buckets, runs, rows }) => (runs.length > 0 ? rows : 0) <= WHOLE_ROWS_MAX && buckets.every(({ bucket }) => bucket < 0),
    )
    if (!isDivided || isLittle) return 1
    const { executor, memoryBytesMax } = this.#run
    // Whoever merges runs keeps little of them in memory.
    const bytes = outputs.reduce((sum, output) => sum + (output.runs.length > 0 ? 0 : output.bytes), 0)
    const bytesMax = Math.min(bytesOfShare, memoryBytesMax / executor.slots / 4)
    const shares = Math.max(2 * executor.slots, Math.ceil(bytes / bytesMax))
    // Beyond half of the buckets shares would be of one and of two.
    return shares > BUCKETS / 2 ? BUCKETS : shares
  }
}

/** Bytes of an output in memory. */
function sharedBytes({ runs, buckets }: ExchangeOutput): number {
  let bytes = 0
  for (const { blocks } of buckets) for (const block of blocks) bytes += block.length
  for (const { blocks } of runs) for (const block of blocks) if (block instanceof Uint8Array) bytes += block.length
  return bytes
}

/** Of these outputs, by number of the input, what a task with some buckets reads. */
function ofBuckets(
  outputs: Readonly<Record<string, readonly ExchangeOutput[]>>,
  { from, to }: BucketRange,
): Record<string, ExchangeOutput[]> {
  return Object.fromEntries(
    Object.entries(outputs).map(([number, all]) => {
      const some = all.map(output => ({
        ...output,
        buckets: output.buckets.filter(({ bucket }) => bucket < 0 || (bucket >= from && bucket < to)),
      }))
      return [number, some.filter(({ buckets }) => buckets.length > 0)]
    }),
  )
}

/** Equal shares of all buckets. */
function bucketRanges(shares: number): BucketRange[] {
  return Array.from({ length: shares }, (_, i) => ({
    from: Math.floor((BUCKETS * i) / shares),
    to: Math.floor((BUCKETS * (i + 1)) / shares),
  }))
}

function isSorted(input: StageInput | undefined): boolean {
  return input?.kind === 'exchange' && input.isSorted
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
