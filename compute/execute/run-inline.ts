/**
 * Runs a plan in the calling thread: reads the sources one after the other, split by split, and gives other work of the thread a turn now and then.
 */
import { join } from 'node:path'
import { assert, type Files, loadChecksums } from '../../engine/index.ts'
import type { OperatorContext } from '../operator/context.ts'
import { BAD_RECORDS_COUNTER } from '../operator/emit-rows.ts'
import { Meter } from '../operator/meter.ts'
import { isPromise, type Receiver } from '../operator/receiver.ts'
import { buildPlan, type PlanInput } from '../plan/build.ts'
import { buildTogether, type PlanEnd } from '../plan/build-together.ts'
import type { PlanNode } from '../plan/node.ts'
import { pushDown, pushDownTogether } from '../plan/push-down.ts'
import { type OperatorStats, stageStats } from '../plan/run-stats.ts'
import type { SplitReader } from '../source/source.ts'

/** Sums by name: of `count` in MapReduce functions, and `badRecords` of records that were left out. */
export type Counters = Readonly<Record<string, number>>

/** What a run was. */
export interface RunOutcome {
  readonly counters: Counters
  readonly operators: readonly OperatorStats[]
}

/** Time, turns of the thread and files, from the environment. */
export interface InlinePlace {
  readonly files: Files
  monotonic(): number
  /** Calls `run` in a later turn. */
  soon(run: () => void): void
  /** Makes a folder of the run's own. */
  makeFolder(): string
}

/** So long a run holds the thread at most, a chunk's own time aside. */
const sliceMs = 5

/** Resolves with what was counted and measured when all rows have gone through; rejects with what an operator, a source or a user's function threw, or the signal's reason. */
export async function runInline(
  plan: PlanNode,
  end: Receiver,
  place: InlinePlace,
  memoryBytesMax: number,
  signal: AbortSignal | undefined,
): Promise<RunOutcome> {
  const pushed = pushDown(plan)
  const meter = new Meter(pushed, () => place.monotonic())
  const counters = await runInputs(context => buildPlan(pushed, end, context), place, memoryBytesMax, signal, meter)
  return { counters, operators: stageStats(pushed, [], 0, [meter.measures]) }
}

/** As `runInline` of several plans, which share what they begin with. */
export async function runInlineTogether(
  plans: readonly PlanEnd[],
  place: InlinePlace,
  memoryBytesMax: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pushed = pushDownTogether(plans.map(({ plan }) => plan))
  const ends = plans.map(({ end }, i): PlanEnd => ({ plan: pushed[i] as PlanNode, end }))
  await runInputs(context => buildTogether(ends, context), place, memoryBytesMax, signal)
}

async function runInputs(
  build: (context: OperatorContext) => readonly PlanInput[],
  place: InlinePlace,
  memoryBytesMax: number,
  signal: AbortSignal | undefined,
  meter?: Meter,
): Promise<Counters> {
  const turn = new Turn(place)
  const { files } = place
  /** For files; made with the first. */
  let folder: string | undefined
  let spills = 0
  const endings: (() => void)[] = []
  const spillPath = (): string => {
    folder ??= place.makeFolder()
    return join(folder, `${spills++}.blocks`)
  }
  const counters: Record<string, number> = {}
  const count = (name: string, by: number): void => {
    counters[name] = (counters[name] ?? 0) + by
  }
  const context: OperatorContext = {
    memoryBytesMax,
    keyBytesMax: memoryBytesMax,
    files,
    meter,
    spillPath,
    count,
    onEnd: close => void endings.push(close),
  }
  await loadChecksums()
  try {
    for (const input of build(context)) {
      if (!input.receiver.isSated) await readSource(input, context, turn, signal)
      await input.receiver.finish()
    }
    return counters
  } finally {
    for (const close of endings) close()
    if (folder !== undefined) await files.removeDirectory(folder)
  }
}

async function readSource(
  { leaf, needs, receiver }: PlanInput,
  context: OperatorContext,
  turn: Turn,
  signal: AbortSignal | undefined,
): Promise<void> {
  assert(leaf.op === 'source', 'a plan that is run in one thread was not cut')
  const { source } = leaf
  const set = await source.split({ parallelism: 1, portable: false, range: leaf.range })
  const { meter } = context
  try {
    for (const split of set.splits) {
      if (receiver.isSated) return
      const reader = await source.open(split, needs)
      meter?.enter(leaf)
      try {
        await readSplit(reader, receiver, turn, signal, meter)
        if (reader.badRecords !== undefined && reader.badRecords > 0) context.count(BAD_RECORDS_COUNTER, reader.badRecords)
      } catch (error) {
        throw reader.locate?.(error) ?? error
      } finally {
        meter?.read(leaf, reader.bytesRead)
        meter?.enter(undefined)
        await reader.close()
      }
    }
  } finally {
    set.release()
  }
}

async function readSplit(
  reader: SplitReader,
  receiver: Receiver,
  turn: Turn,
  signal: AbortSignal | undefined,
  meter: Meter | undefined,
): Promise<void> {
  while (!receiver.isSated) {
    signal?.throwIfAborted()
    const next = reader.next()
    const chunk = next instanceof Promise ? await next : next
    if (chunk === undefined) return
    const waits = receiver.receive(chunk)
    if (isPromise(waits)) await waits
    if (!turn.isOver) continue
    const measure = meter?.enter(undefined)
    await turn.end()
    meter?.enterMeasure(measure)
  }
}

class Turn {
  readonly #place: InlinePlace
  #began: number

  constructor(place: InlinePlace) {
    this.#place = place
    this.#began = place.monotonic()
  }

  get isOver(): boolean {
    return this.#place.monotonic() - this.#began > sliceMs
  }

  async end(): Promise<void> {
    await new Promise<void>(resolve => this.#place.soon(resolve))
    this.#began = this.#place.monotonic()
  }
}
