/**
 * From samples to statements: medians over the rounds, ratios within a round, targets met or not. Pure functions over the results as they are stored, so that JOBS.md can be made
 * again from its JSON.
 */
import type { Machine } from '../../report/machine.ts'
import { bestOf, isMet, largest, middle, ratioToBest, type SampleValue } from '../../report/statistics.ts'
import type { JobMetric, JobSample, JobSize, JobTarget, JobWorkloadResults, Product } from '../workload.ts'

/** The contestant that targets and ratios are about. */
export const subject = 'varve'

/** What is stored. */
export interface JobResults {
  readonly machine: Machine
  /** ISO 8601, when the run began. */
  readonly date: string
  readonly size: JobSize
  readonly rounds: number
  readonly products: readonly { readonly name: Product; readonly version: string }[]
  readonly missing: readonly { readonly name: Product; readonly reason: string }[]
  readonly workloads: readonly JobWorkloadResults[]
}

type Run = JobWorkloadResults['runs'][number]

/** Medians over the rounds. undefined where no round had the number. */
export interface JobRow {
  readonly workload: JobWorkloadResults
  readonly run: Run
  readonly rate: number | undefined
  /** Only where bytes are what a job is about. */
  readonly megabytesPerSecond: number | undefined
  readonly elapsedMs: number | undefined
  /** Of the run that does not count. */
  readonly firstMs: number | undefined
  readonly cpuMs: number | undefined
  /** The largest of all rounds. */
  readonly rssBytes: number | undefined
  /** How many times as fast Varve is. */
  readonly varveTimes: number | undefined
}

export interface JobVerdict {
  readonly name: string
  readonly target: JobTarget
  readonly measured: number | undefined
  /** undefined when nothing was measured. */
  readonly met: boolean | undefined
}

export function metricOf(sample: JobSample, metric: JobMetric): number | undefined {
  switch (metric) {
    case 'rate':
      return (sample.operations / sample.elapsedMs) * 1000
    case 'megabytesPerSecond':
      return sample.payloadBytes === 0 ? undefined : sample.payloadBytes / sample.elapsedMs / 1000
    default:
      return sample[metric]
  }
}

const rate: SampleValue<JobSample> = sample => metricOf(sample, 'rate')

export function summarizeJobs({ workloads }: JobResults): JobRow[] {
  return workloads.flatMap(workload => {
    const own = runOf(workload, subject)
    return workload.runs.map(run => ({
      workload,
      run,
      rate: middle(run.samples, rate),
      megabytesPerSecond: middle(run.samples, sample => metricOf(sample, 'megabytesPerSecond')),
      elapsedMs: middle(run.samples, sample => sample.elapsedMs),
      firstMs: middle(run.samples, sample => sample.firstMs),
      cpuMs: middle(run.samples, sample => sample.cpuMs),
      rssBytes: largest(run.samples, sample => sample.rssBytes),
      varveTimes: own === undefined || run === own ? undefined : ratioToBest(own.samples, [run.samples], rate),
    }))
  })
}

/** Of a product the contestant that is fastest, by the median over the rounds. */
export function fastestOf({ runs }: JobWorkloadResults, product: Product): Run | undefined {
  return bestOf(
    runs.filter(run => run.product === product),
    rate,
  )
}

export function judgeJobs({ workloads }: JobResults): JobVerdict[] {
  return workloads.flatMap(workload => {
    return workload.targets.flatMap(target => {
      const own = runOf(workload, target.by ?? subject)
      if (own === undefined) return []
      const value: SampleValue<JobSample> = sample => metricOf(sample, target.metric)
      const other = target.of === undefined ? undefined : runOf(workload, target.of)
      const measured =
        target.of !== undefined
          ? ratioToBest(own.samples, other === undefined ? [] : [other.samples], value)
          : target.metric === 'rssBytes'
            ? largest(own.samples, value)
            : middle(own.samples, value)
      return [{ name: workload.name, target, measured, met: isMet(target, measured) }]
    })
  })
}

function runOf({ runs }: JobWorkloadResults, name: string): Run | undefined {
  return runs.find(run => run.name === name)
}
