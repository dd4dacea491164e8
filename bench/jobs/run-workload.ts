/**
 * Runs one contestant of one workload in this process: opens the input, runs the job once without counting it, and then until there is enough to take a median of. `child.ts` does it over
 * forms that other processes have made; a test calls `runJobWorkload` and gets all of it done.
 */
import { mkdirSync } from 'node:fs'
import { median } from '../report/statistics.ts'
import { formPath, formsToMake, makeForm } from './inputs.ts'
import type { JobSample, JobSize, JobWorkload, Stopwatch } from './workload.ts'
import { findContestant } from './workloads.ts'

/** Runs are repeated until they took so long together: a job of many seconds is measured once, one of milliseconds often. */
const measuredMsMin = 1500
const runsMax = 25

export interface JobRun {
  readonly workload: JobWorkload
  readonly contestant: string
  readonly size: JobSize
  /** Where inputs are. */
  readonly data: string
  /** Empty, and of this run alone. */
  readonly own: string
  /** Default: the contestant's. */
  readonly threads?: number
}

export async function runJobWorkload({ workload, contestant: name, size, data, own, threads }: JobRun): Promise<JobSample> {
  const contestant = findContestant(workload, name)
  const parameters = workload.parameters[size]
  mkdirSync(own, { recursive: true })
  for (const form of contestant.forms) {
    for (const one of formsToMake(data, workload.input, parameters, form)) await makeForm(data, workload.input, parameters, one)
  }
  const started = await contestant.start({
    path: form => formPath(data, workload.input, parameters, form),
    own,
    parameters,
    threads: threads ?? contestant.threads,
    size,
  })
  const once = async (): Promise<readonly [elapsedMs: number, result: unknown]> => {
    const watch = new Watch()
    const result = await started.run(watch)
    watch.pause()
    return [watch.elapsedMs, result]
  }
  const [firstMs, first] = await once()
  let result = first
  const times: number[] = []
  const cpu: number[] = []
  const enough = size === 'small' ? 1 : runsMax
  for (let total = 0; times.length < enough && total < measuredMsMin; ) {
    const before = process.cpuUsage()
    const [elapsedMs, again] = await once()
    const { user, system } = process.cpuUsage(before)
    cpu.push((user + system) / 1000)
    result = again
    times.push(elapsedMs)
    total += elapsedMs
  }
  const rssBytes = process.resourceUsage().maxRSS * 1024 // before what only looks at the answer
  const answer = await started.answer(result)
  await started.close()
  return {
    operations: workload.operations(parameters),
    payloadBytes: workload.bytes?.(parameters) ?? 0,
    elapsedMs: median(times) as number,
    rssBytes,
    firstMs,
    cpuMs: median(cpu) as number,
    runs: times.length,
    answer,
  }
}

class Watch implements Stopwatch {
  elapsedMs = 0
  #since: number | undefined = performance.now()

  pause(): void {
    if (this.#since !== undefined) this.elapsedMs += performance.now() - this.#since
    this.#since = undefined
  }

  resume(): void {
    this.#since ??= performance.now()
  }
}
