/**
 * Tasks: what one place does for a job at a time, said by numbers and plain data, so that a thread, and later another node, can do it. And how a task is run, whoever runs it.
 *
 * A task of a stage reads either one split of one source or some buckets of all exchanges, through the stage's operators, into an output of its own. It may be run again, by
 * another place too; the first output that is taken counts, and files of others go with the job's folder.
 */
import { assert, type Files } from '../../engine/index.ts'
import type { OperatorContext } from '../operator/context.ts'
import { BAD_RECORDS_COUNTER } from '../operator/emit-rows.ts'
import { Meter } from '../operator/meter.ts'
import { isPromise, type Receiver } from '../operator/receiver.ts'
import { buildPlan, type PlanInput } from '../plan/build.ts'
import type { Stage, StagedPlan, StageInput } from '../plan/stages.ts'
import type { ExchangeOutput } from '../shuffle/exchange.ts'
import { allBuckets, type BucketRange, ExchangeReader } from '../shuffle/exchange-reader.ts'
import { ExchangeWriter } from '../shuffle/exchange-writer.ts'
import type { MergeInput } from '../shuffle/key-ranges.ts'
import { MergeReader } from '../shuffle/merge-reader.ts'
import { RunWriter } from '../shuffle/run-writer.ts'
import { type PartWriter, partWriters } from '../sink/part-writers.ts'
import type { Needs, Split, SplitReader } from '../source/source.ts'
import type { Chunk } from '../vector/chunk.ts'
import type { SinkData } from './job-data.ts'
import { TaskFailure } from './task-failure.ts'

/** One of a job's tasks; structured-clonable. */
export interface Task {
  readonly stage: number
  /** Names its file; unique within the job, another for each attempt. */
  readonly file: string
  readonly work: SplitWork | BucketWork
  /** Bytes that operators may keep in memory. */
  readonly memoryBytesMax: number
  /** Bytes that rows of one key may take which must be together. */
  readonly keyBytesMax: number
  /** Rows and keys that are sorted at a time, where the output is kept in an order. */
  readonly runBytesMax: number
  /** Of a block of what was sorted at a time, about. */
  readonly runBlockBytes: number
  /** Bytes that blocks of the output may keep in memory. */
  readonly outputBytesMax: number
  /** Name of the part of the sink that it writes, if it does; as `file` of this attempt alone. */
  readonly part: string | undefined
}

/** Read one split of a source. */
export interface SplitWork {
  readonly kind: 'split'
  /** Number of the stage's input. */
  readonly input: number
  readonly split: Split
  /** As of `BucketWork`, of exchanges that every task reads. */
  readonly outputs: Readonly<Record<number, readonly ExchangeOutput[]>>
}

/** Read some buckets of the stage's exchanges. */
export interface BucketWork {
  readonly kind: 'buckets'
  readonly buckets: BucketRange
  /** Outputs of the stages that wrote, by the number of the input. */
  readonly outputs: Readonly<Record<number, readonly ExchangeOutput[]>>
  /** What to read of sorted outputs, by the number of the input. */
  readonly merges: Readonly<Record<number, MergeInput>>
}

/** What a place needs to run the tasks of a job. */
export interface TaskPlace {
  readonly plan: Pick<StagedPlan, 'stages'> & { readonly inputs: readonly TaskInput[] }
  readonly files: Files
  monotonic(): number
  /** Of tasks that write parts of it. */
  readonly sink?: SinkData | undefined
  /** Opens a split of an input that is a source. */
  open(input: number, split: Split, needs: Needs): SplitReader | Promise<SplitReader>
  /** Bytes of input that were read since the last call; what is thrown ends the task. */
  progress(bytes: number): void
}

/** An input as a task sees it: sources are read through `TaskPlace.open`. */
export type TaskInput = Exclude<StageInput, { kind: 'source' }> | { readonly kind: 'source'; readonly name: string }

/** Runs a task to its end. Rejects with a `TaskFailure` that says where it was. */
export async function runTask(task: Task, place: TaskPlace): Promise<ExchangeOutput> {
  const stage = place.plan.stages[task.stage]
  assert(stage !== undefined, 'a task names a stage', task.stage)
  const end = openEnd(task, stage, place)
  let spills = 0
  const counters: Record<string, number> = {}
  const endings: (() => void)[] = [() => end.close()]
  const meter = new Meter(stage.plan, () => place.monotonic())
  const context: OperatorContext = {
    meter,
    memoryBytesMax: task.memoryBytesMax,
    keyBytesMax: task.keyBytesMax,
    rowsExpected: task.work.kind === 'split' ? undefined : rowsIn(task.work),
    files: place.files,
    spillPath: () => `${task.file}-${spills++}`,
    onEnd: close => void endings.push(close),
    count: (name, by) => {
      counters[name] = (counters[name] ?? 0) + by
    },
  }
  try {
    for (const input of buildPlan(stage.plan, end, context)) {
      const reader = input.receiver.isSated ? undefined : await openInput(task, input, place)
      if (reader !== undefined) await readAll(reader, input, meter, place)
      if (reader?.badRecords !== undefined && reader.badRecords > 0) context.count(BAD_RECORDS_COUNTER, reader.badRecords)
      await input.receiver.finish()
    }
  } catch (error) {
    throw new TaskFailure(error, task.work.kind === 'split' ? task.work.split.name : `stage ${task.stage}`)
  } finally {
    for (const close of endings) close()
  }
  return end.output(counters, meter.measures)
}

/** Of its buckets. */
function rowsIn({ outputs }: BucketWork): number {
  let rows = 0
  for (const { buckets } of Object.values(outputs).flat()) for (const bucket of buckets) rows += bucket.rows
  return rows
}

interface TaskEnd extends Receiver {
  /** After `finish`. */
  output(counters: ExchangeOutput['counters'], measures: ExchangeOutput['measures']): ExchangeOutput
  /** Idempotent. */
  close(): void
}

function openEnd(
  { file: path, memoryBytesMax, runBytesMax, runBlockBytes, outputBytesMax, part, work }: Task,
  { output }: Stage,
  { files, sink }: TaskPlace,
): TaskEnd {
  if (part !== undefined) {
    const open = sink === undefined ? undefined : partWriters[sink.writer]
    assert(sink !== undefined && open !== undefined, 'a task that writes a part knows of what', part)
    return new PartEnd(open(sink.input, part, files))
  }
  const { columns, keyWidth, order } = output
  if (order === undefined) return new ExchangeWriter({ columns, keyWidth, files, path, memoryBytesMax, outputBytesMax, isShared: true })
  const expectedBytes = work.kind === 'split' ? work.split.bytes : 0
  return new RunWriter({ ...order, files, path, memoryBytesMax: runBytesMax, blockBytes: runBlockBytes, outputBytesMax, expectedBytes })
}

/** The end of a task that gives nothing to others, but writes a part of a sink. */
class PartEnd implements TaskEnd {
  readonly #writer: PartWriter

  constructor(writer: PartWriter) {
    this.#writer = writer
  }

  get isSated(): boolean {
    return this.#writer.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    return this.#writer.receive(chunk)
  }

  finish(): void | Promise<void> {
    return this.#writer.finish()
  }

  output(counters: ExchangeOutput['counters'], measures: ExchangeOutput['measures']): ExchangeOutput {
    const { file, rows } = this.#writer.part
    return { file, rows, bytes: 0, buckets: [], runs: [], counters, measures }
  }

  close(): void {
    this.#writer.close()
  }
}

function openInput({ work }: Task, { leaf, needs }: PlanInput, place: TaskPlace): SplitReader | Promise<SplitReader> | undefined {
  assert(leaf.op === 'input', 'stages have inputs')
  const input = place.plan.inputs[leaf.index] as TaskInput
  if (input.kind === 'source') {
    return work.kind === 'split' && work.input === leaf.index ? place.open(leaf.index, work.split, needs) : undefined
  }
  if (work.kind === 'split' && !input.isBroadcast) return undefined
  if (work.kind === 'buckets' && input.isSorted) {
    const merge = work.merges[leaf.index]
    assert(merge !== undefined, 'a task knows what it merges', leaf.index)
    return new MergeReader({ input: merge, needs, files: place.files })
  }
  return new ExchangeReader({
    outputs: work.outputs[leaf.index] ?? [],
    buckets: input.isBroadcast || work.kind === 'split' ? allBuckets : work.buckets,
    columns: input.columns,
    keyWidth: input.keyWidth,
    files: place.files,
  })
}

async function readAll(reader: SplitReader, { leaf, receiver }: PlanInput, meter: Meter, place: TaskPlace): Promise<void> {
  let reported = 0
  meter.enter(leaf)
  try {
    while (!receiver.isSated) {
      const next = reader.next()
      const chunk = next instanceof Promise ? await next : next
      if (chunk === undefined) break
      const waits = receiver.receive(chunk)
      if (isPromise(waits)) await waits
      if (reader.bytesRead - reported > progressBytes) {
        place.progress(reader.bytesRead - reported)
        reported = reader.bytesRead
      }
    }
  } catch (error) {
    throw reader.locate?.(error) ?? error
  } finally {
    meter.read(leaf, reader.bytesRead)
    await reader.close()
    meter.enter(undefined)
  }
}

const progressBytes = 4 << 20
