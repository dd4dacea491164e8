/**
 * From samples to statements: medians over the rounds, ratios to the best peer within a round, targets met or not. Pure functions over the results
 * as they are stored, so that STORE.md can be made again from its JSON.
 */

import type { Machine } from '../../report/machine.ts'
import { bestOf, isMet, largest, middle, ratioToBest, type SampleValue } from '../../report/statistics.ts'
import type { Size } from '../../workload.ts'
import { subject } from '../engines.ts'
import type { StoreParameters } from '../parameters.ts'
import type { StoreMetric, StoreSample, StoreTarget, StoreWorkloadResults } from '../workload.ts'

/** What is stored. */
export interface StoreResults {
  readonly machine: Machine
  /** ISO 8601, when the run began. */
  readonly date: string
  readonly size: Size
  readonly parameters: StoreParameters
  readonly engines: readonly { readonly name: string; readonly version: string; readonly settings: string }[]
  readonly missing: readonly { readonly name: string; readonly reason: string }[]
  readonly workloads: readonly StoreWorkloadResults[]
}

/** Medians over the rounds; the largest of all for maxima. undefined where no round had the number. */
export interface StoreRow {
  readonly workload: StoreWorkloadResults
  readonly engine: string
  readonly durability: string
  readonly rate: number | undefined
  readonly microsPerOperation: number | undefined
  readonly megabytesPerSecond: number | undefined
  readonly p50Us: number | undefined
  readonly p99Us: number | undefined
  readonly maxUs: number | undefined
  readonly putsPerSecond: number | undefined
  readonly putP99Us: number | undefined
  readonly putMaxUs: number | undefined
  /** Per byte of keys and values in the full database: data alone, with logs, and the same at the peak. */
  readonly diskToRaw: number | undefined
  readonly diskAllToRaw: number | undefined
  readonly diskPeakToRaw: number | undefined
  readonly diskPeakAllToRaw: number | undefined
  readonly rssBytes: number | undefined
  readonly loopP999Ms: number | undefined
  readonly loopMaxMs: number | undefined
  /** Rate divided by that of the best other engine, Varve not among them. */
  readonly toBestPeer: number | undefined
}

export interface StoreVerdict {
  readonly name: string
  readonly target: StoreTarget
  readonly measured: number | undefined
  /** The best peer, where the target compares with it. */
  readonly peer: string | undefined
  /** undefined when nothing was measured. */
  readonly met: boolean | undefined
}

export function metricOf(sample: StoreSample, metric: StoreMetric): number | undefined {
  switch (metric) {
    case 'rate':
      return (sample.operations / sample.elapsedMs) * 1000
    case 'diskToRaw':
      return sample.diskBytes / sample.rawBytes
    case 'diskPeakToRaw':
      return sample.diskPeakBytes === undefined ? undefined : sample.diskPeakBytes / sample.rawBytes
    default:
      return sample[metric]
  }
}

export function summarizeStore({ workloads }: StoreResults): StoreRow[] {
  return workloads.flatMap(workload =>
    workload.runs.map(({ engine, durability, samples }) => {
      const half = (value: SampleValue<StoreSample>): number | undefined => middle(samples, value)
      const most = (value: SampleValue<StoreSample>): number | undefined => largest(samples, value)
      return {
        workload,
        engine,
        durability,
        rate: half(sample => metricOf(sample, 'rate')),
        microsPerOperation: half(sample => (sample.elapsedMs / sample.operations) * 1000),
        megabytesPerSecond: half(sample => sample.payloadBytes / sample.elapsedMs / 1000),
        p50Us: half(sample => sample.p50Us),
        p99Us: half(sample => sample.p99Us),
        maxUs: most(sample => sample.maxUs),
        putsPerSecond: half(sample => sample.putsPerSecond),
        putP99Us: half(sample => sample.putP99Us),
        putMaxUs: most(sample => sample.putMaxUs),
        diskToRaw: half(sample => metricOf(sample, 'diskToRaw')),
        diskAllToRaw: half(sample => (sample.diskBytes + sample.diskLogBytes) / sample.rawBytes),
        diskPeakToRaw: most(sample => metricOf(sample, 'diskPeakToRaw')),
        diskPeakAllToRaw: most(sample => (sample.diskPeakAllBytes === undefined ? undefined : sample.diskPeakAllBytes / sample.rawBytes)),
        rssBytes: half(sample => sample.rssBytes),
        loopP999Ms: half(sample => sample.loopP999Ms),
        loopMaxMs: most(sample => sample.loopMaxMs),
        toBestPeer: toBestPeer(workload, engine, 'rate'),
      }
    }),
  )
}

export function judgeStore({ workloads }: StoreResults): StoreVerdict[] {
  return workloads.flatMap(workload => {
    const own = workload.runs.find(run => run.engine === subject)
    if (own === undefined) return []
    return workload.targets.map(target => {
      const { metric, toBestPeer: relative } = target
      const measured = relative === true ? toBestPeer(workload, subject, metric) : overRounds(own.samples, metric)
      return {
        name: workload.name,
        target,
        measured,
        peer: relative === true ? bestPeer(workload, metric) : undefined,
        met: isMet(target, measured),
      }
    })
  })
}

/** Bounds that hold at any time hold for the worst round; others for the median. */
function overRounds(samples: readonly (StoreSample | null)[], metric: StoreMetric): number | undefined {
  const value = (sample: StoreSample): number | undefined => metricOf(sample, metric)
  if (metric === 'putMaxUs' || metric === 'loopMaxMs' || metric === 'diskPeakToRaw' || metric === 'rssBytes') return largest(samples, value)
  return middle(samples, value)
}

/** As `ratioToBest`, of the engines that are no Varve. */
function toBestPeer(workload: StoreWorkloadResults, engine: string, metric: StoreMetric): number | undefined {
  const own = workload.runs.find(run => run.engine === engine)
  if (own === undefined) return undefined
  const peers = peersOf(workload).filter(run => run !== own)
  return ratioToBest(
    own.samples,
    peers.map(({ samples }) => samples),
    sample => metricOf(sample, metric),
  )
}

/** By the median over the rounds. */
function bestPeer(workload: StoreWorkloadResults, metric: StoreMetric): string | undefined {
  return bestOf(peersOf(workload), (sample: StoreSample) => metricOf(sample, metric))?.engine
}

function peersOf({ runs }: StoreWorkloadResults): StoreWorkloadResults['runs'] {
  return runs.filter(({ engine }) => engine !== subject)
}
