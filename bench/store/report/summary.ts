/**
 * From samples to statements: medians over the rounds, ratios to the best peer within a round, targets met or not. Pure functions over the results
 * as they are stored, so that STORE.md can be made again from its JSON.
 */

import type { Machine } from '../../report/machine.ts'
import { median } from '../../report/summary.ts'
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
      const middle = (value: (sample: StoreSample) => number | undefined): number | undefined =>
        median(samples.map(sample => (sample === null ? undefined : value(sample))))
      const most = (value: (sample: StoreSample) => number | undefined): number | undefined => largest(samples, value)
      return {
        workload,
        engine,
        durability,
        rate: middle(sample => metricOf(sample, 'rate')),
        microsPerOperation: middle(sample => (sample.elapsedMs / sample.operations) * 1000),
        megabytesPerSecond: middle(sample => sample.payloadBytes / sample.elapsedMs / 1000),
        p50Us: middle(sample => sample.p50Us),
        p99Us: middle(sample => sample.p99Us),
        maxUs: most(sample => sample.maxUs),
        putsPerSecond: middle(sample => sample.putsPerSecond),
        putP99Us: middle(sample => sample.putP99Us),
        putMaxUs: most(sample => sample.putMaxUs),
        diskToRaw: middle(sample => metricOf(sample, 'diskToRaw')),
        diskAllToRaw: middle(sample => (sample.diskBytes + sample.diskLogBytes) / sample.rawBytes),
        diskPeakToRaw: most(sample => metricOf(sample, 'diskPeakToRaw')),
        diskPeakAllToRaw: most(sample => (sample.diskPeakAllBytes === undefined ? undefined : sample.diskPeakAllBytes / sample.rawBytes)),
        rssBytes: middle(sample => sample.rssBytes),
        loopP999Ms: middle(sample => sample.loopP999Ms),
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
      const { metric, toBestPeer: relative, atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = target
      const measured = relative === true ? toBestPeer(workload, subject, metric) : overRounds(own.samples, metric)
      return {
        name: workload.name,
        target,
        measured,
        peer: relative === true ? bestPeer(workload, metric) : undefined,
        met: measured === undefined ? undefined : measured >= atLeast && measured <= atMost,
      }
    })
  })
}

/** Bounds that hold at any time hold for the worst round; others for the median. */
function overRounds(samples: readonly (StoreSample | null)[], metric: StoreMetric): number | undefined {
  const value = (sample: StoreSample): number | undefined => metricOf(sample, metric)
  if (metric === 'putMaxUs' || metric === 'loopMaxMs' || metric === 'diskPeakToRaw' || metric === 'rssBytes') return largest(samples, value)
  return median(samples.map(sample => (sample === null ? undefined : value(sample))))
}

/** Median over the rounds of the ratio to whichever other engine was best in that round. */
function toBestPeer({ runs }: StoreWorkloadResults, engine: string, metric: StoreMetric): number | undefined {
  const own = runs.find(run => run.engine === engine)
  const peers = runs.filter(run => run.engine !== engine && run.engine !== subject)
  if (own === undefined || peers.length === 0) return undefined
  return median(
    own.samples.map((sample, round) => {
      if (sample === null) return undefined
      const best = largest(
        peers.map(peer => peer.samples[round] ?? null),
        other => metricOf(other, metric),
      )
      const value = metricOf(sample, metric)
      return best === undefined || value === undefined ? undefined : value / best
    }),
  )
}

/** By the median over the rounds. */
function bestPeer({ runs }: StoreWorkloadResults, metric: StoreMetric): string | undefined {
  let best: { name: string; value: number } | undefined
  for (const { engine, samples } of runs) {
    if (engine === subject) continue
    const value = median(samples.map(sample => (sample === null ? undefined : metricOf(sample, metric))))
    if (value !== undefined && (best === undefined || value > best.value)) best = { name: engine, value }
  }
  return best?.name
}

function largest(samples: readonly (StoreSample | null)[], value: (sample: StoreSample) => number | undefined): number | undefined {
  const present = samples.flatMap(sample => (sample === null ? [] : [value(sample)])).filter(found => found !== undefined)
  return present.length === 0 ? undefined : Math.max(...present)
}
