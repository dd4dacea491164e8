/**
 * Runs workloads of jobs, in lanes (`../lanes.ts`): each contestant in a fresh process over inputs that other processes made before. An answer that differs from the one that
 * another contestant gave first is a failure.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type LaneFailure, type Ran, runLanes } from '../lanes.ts'
import { runScript } from '../scripts.ts'
import type { JobChildMessage, JobTask } from './child.ts'
import { formsToMake } from './inputs.ts'
import type { Contestant, JobSample, JobSize, JobWorkload, JobWorkloadResults } from './workload.ts'

/** A process that takes longer hangs: it is killed, and is an error. */
const runMsMax = 30 * 60_000

/** A workload with those of its contestants that take part. */
export interface SelectedJob {
  readonly workload: JobWorkload
  readonly contestants: readonly Contestant[]
}

export interface JobRunOptions {
  readonly selected: readonly SelectedJob[]
  readonly rounds: number
  readonly size: JobSize
  /** Where inputs are made, those that are not there. */
  readonly data: string
  /** Where each run gets a folder, which is removed after it. */
  readonly folder: string
  /** Called before each run with what begins and how many runs are done. */
  readonly onProgress?: (what: string, done: number) => void
}

export async function runAllJobs(options: JobRunOptions): Promise<{ results: JobWorkloadResults[]; failures: LaneFailure[] }> {
  const { selected, rounds, size, data, folder, onProgress } = options
  let done = 0
  await makeInputs(options, form => onProgress?.(form, done))
  const { ran, failures } = await runLanes(
    selected.map(({ workload, contestants }) => {
      const check = answerCheck()
      return {
        name: workload.name,
        rounds,
        lanes: contestants.map(({ name }) => ({
          engine: name,
          run: async (round: number) => {
            const own = join(folder, `${workload.name}-${name.replaceAll(/\W/g, '-')}-${round}`)
            try {
              const sample = await runTask({ workload: workload.name, size, data, work: { kind: 'run', contestant: name, own } })
              if (sample === undefined) throw new Error('the process sent no sample')
              check(sample, name)
              return sample
            } finally {
              rmSync(own, { recursive: true, force: true })
            }
          },
        })),
      }
    }),
    what => onProgress?.(what, done++),
  )
  return { results: ran.map((one, i) => asResults(selected[i] as SelectedJob, one, size)), failures }
}

/** Throws at an answer that is not the first. */
export function answerCheck(): (sample: Pick<JobSample, 'answer'>, by: string) => void {
  let first: { readonly answer: string; readonly by: string } | undefined
  return ({ answer }, by) => {
    const text = JSON.stringify(answer)
    first ??= { answer: text, by }
    if (text !== first.answer) throw new Error(`answers ${text.slice(0, 500)}, but ${first.by} ${first.answer.slice(0, 500)}`)
  }
}

/** Makes the inputs that the contestants read and that are not there, each in a process of its own. */
export async function makeInputs(
  { selected, size, data }: Pick<JobRunOptions, 'selected' | 'size' | 'data'>,
  onProgress?: (what: string) => void,
): Promise<void> {
  for (const { workload, contestants } of selected) {
    for (const form of new Set(contestants.flatMap(({ forms }) => forms))) {
      for (const one of formsToMake(data, workload.input, workload.parameters[size], form)) {
        onProgress?.(`input ${workload.input} as ${one}`)
        await runTask({ workload: workload.name, size, data, work: { kind: 'make', form: one } })
      }
    }
  }
}

/** Number of runs that `runAllJobs` reports progress of. */
export function countJobRuns(selected: readonly SelectedJob[], rounds: number): number {
  return rounds * selected.reduce((sum, { contestants }) => sum + contestants.length, 0)
}

async function runTask(task: JobTask): Promise<JobSample | undefined> {
  const { sample } = await runScript<JobChildMessage>('jobs/child', [JSON.stringify(task)], runMsMax)
  return sample
}

function asResults({ workload, contestants }: SelectedJob, { date, rounds, lanes }: Ran<JobSample>, size: JobSize): JobWorkloadResults {
  const { name, what, mode, sink, unit, targets, parameters } = workload
  return {
    name,
    what,
    mode,
    sink,
    unit,
    targets,
    date,
    rounds,
    used: parameters[size],
    runs: lanes.map(({ samples }, i) => {
      const { name: contestant, product, threads, reads } = contestants[i] as Contestant
      return { name: contestant, product, threads, reads, samples }
    }),
  }
}
