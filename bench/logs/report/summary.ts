/**
 * From samples to statements: medians over the rounds, ratios within a round, targets met or not. Pure functions over the results as they
 * are stored, so that RESULTS.md can be made again from its JSON.
 */

import type { Machine } from '../../report/machine.ts'
import { isMet, largest, median, middle, type SampleValue } from '../../report/statistics.ts'
import type { Parameters, Sample, Size } from '../../workload.ts'
import type { Samples } from '../run.ts'
import type { Metric, Quantity, Target, WorkloadFacts } from '../workload.ts'

/** One whole run of the benchmark, as stored. */
export interface LogResults {
  readonly machine: Machine
  /** ISO 8601, when the run began. */
  readonly date: string
  readonly size: Size
  readonly rounds: number
  readonly workloads: readonly (WorkloadFacts & { readonly used: Parameters; readonly samples: readonly Sample[] })[]
}

export interface Row {
  readonly facts: WorkloadFacts
  /** Medians over the rounds; undefined where no round had the number. */
  readonly rate: number | undefined
  readonly megabytesPerSecond: number | undefined
  readonly p50Us: number | undefined
  readonly p99Us: number | undefined
  /** The largest of all rounds. */
  readonly maxUs: number | undefined
  /** Bytes written to the disk per byte of keys and values. */
  readonly writtenPerByte: number | undefined
  readonly rssBytes: number | undefined
  readonly loopP999Ms: number | undefined
  readonly loopMaxMs: number | undefined
  /** See `WorkloadFacts.raw`. */
  readonly toRaw: number | undefined
}

export interface Verdict {
  readonly name: string
  readonly target: Target
  readonly measured: number | undefined
  /** undefined when nothing was measured. */
  readonly met: boolean | undefined
}

export function metricOf(sample: Sample, metric: Metric): number | undefined {
  switch (metric) {
    case 'rate':
      return (sample.operations / sample.elapsedMs) * 1000
    case 'megabytesPerSecond':
      return sample.payloadBytes / sample.elapsedMs / 1000
    case 'elapsedMs':
      return sample.elapsedMs
    case 'p50Us':
      return sample.p50Us
    case 'p99Us':
      return sample.p99Us
    case 'loopP999Ms':
      return sample.loopP999Ms
    case 'rssBytes':
      return sample.rssBytes
  }
}

export function summarizeLogs(results: LogResults): Row[] {
  const samples = samplesOf(results)
  return results.workloads.map(({ samples: own, used: _, ...facts }) => {
    const half = (value: SampleValue<Sample>): number | undefined => middle(own, value)
    const written = own.some(sample => sample.payloadBytes > 0 && facts.durability !== '–')
    return {
      facts,
      rate: half(sample => metricOf(sample, 'rate')),
      megabytesPerSecond: half(sample => metricOf(sample, 'megabytesPerSecond')),
      p50Us: half(sample => sample.p50Us),
      p99Us: half(sample => sample.p99Us),
      maxUs: largest(own, sample => sample.maxUs),
      writtenPerByte: written
        ? half(sample => (sample.writtenBytes === undefined ? undefined : sample.writtenBytes / sample.payloadBytes))
        : undefined,
      rssBytes: half(sample => sample.rssBytes),
      loopP999Ms: half(sample => sample.loopP999Ms),
      loopMaxMs: largest(own, sample => sample.loopMaxMs),
      toRaw: facts.raw === undefined ? undefined : quantityOf(samples, facts.name, facts.raw),
    }
  })
}

export function judgeLogs(results: LogResults): Verdict[] {
  const samples = samplesOf(results)
  return results.workloads.flatMap(({ name, targets }) =>
    targets.map(target => {
      const measured = quantityOf(samples, name, target)
      return { name, target, measured, met: isMet(target, measured) }
    }),
  )
}

/** What a workload is compared with: the bare disk, and what its targets name; each once. */
export function compared({ raw, targets }: Pick<WorkloadFacts, 'raw' | 'targets'>): Quantity[] {
  const all = [...(raw === undefined ? [] : [raw]), ...targets.filter(({ of }) => of !== undefined)]
  return all.filter(({ of }, i) => all.findIndex(one => one.of === of) === i)
}

/** Median over the rounds of a metric of one workload. */
export function middleOf({ workloads }: LogResults, name: string, metric: Metric): number | undefined {
  return middle(workloads.find(workload => workload.name === name)?.samples ?? [], sample => metricOf(sample, metric))
}

/** Median over the rounds of a ratio. */
export function ratioOf(results: LogResults, name: string, quantity: Quantity): number | undefined {
  return quantityOf(samplesOf(results), name, quantity)
}

/** Median over the rounds of a metric or a ratio of metrics. */
function quantityOf(samples: Samples, name: string, { metric, of }: Quantity): number | undefined {
  const own = samples[name] ?? []
  return median(
    own.map((sample, round) => {
      const value = metricOf(sample, metric)
      if (of === undefined || value === undefined) return value
      const other = samples[of]?.[round]
      const divisor = other === undefined ? undefined : metricOf(other, metric)
      return divisor === undefined ? undefined : value / divisor
    }),
  )
}

function samplesOf(results: LogResults): Samples {
  return Object.fromEntries(results.workloads.map(({ name, samples }) => [name, [...samples]]))
}
