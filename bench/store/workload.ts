/**
 * What a workload of the store benchmark is, and what one run of it yields. The table of all of them is `workloads.ts`; what they do is in
 * `workloads/`.
 */

import type { Parameters, Sample } from '../workload.ts'
import type { DurabilityName, WriteMode } from './engine.ts'
import type { StoreParameters } from './parameters.ts'
import type { StoreRun } from './store-run.ts'

/**
 * What is in the database before the clock starts: nothing; every key once, put in random order; in ascending order; or, after random order,
 * as many overwrites of random keys as there are keys. Images are at rest: nothing is left to flush or to merge by itself.
 */
export type Image = 'empty' | 'filled' | 'sequence' | 'overwritten'

/** Numbers that targets look at. */
export type StoreMetric = 'rate' | 'p50Us' | 'p99Us' | 'putMaxUs' | 'loopP999Ms' | 'loopMaxMs' | 'diskToRaw' | 'diskPeakToRaw' | 'rssBytes'

/** Exactly one of the bounds is given. */
export interface StoreTarget {
  readonly metric: StoreMetric
  /** The metric divided by that of the best peer in the same round. */
  readonly toBestPeer?: true
  readonly atLeast?: number
  readonly atMost?: number
}

export interface StoreWorkloadFacts {
  /** Unique; what `--only` takes. */
  readonly name: string
  /** One line for people. */
  readonly what: string
  /** What `rate` counts. */
  readonly unit: 'puts' | 'deletes' | 'gets' | 'entries' | 'ranges' | 'seeks' | 'opens' | 'keys'
  /** What p50, p99 and max are the time of. */
  readonly latencyOf: string
  /** What Varve is held to, at 1 M keys of 16 B with values of 100 B. */
  readonly targets: readonly StoreTarget[]
}

export interface StoreWorkload extends StoreWorkloadFacts {
  readonly image: Image
  /** undefined: it only reads. */
  readonly writes?: WriteMode
  /** Changes the size of the data where the workload is about another one. */
  readonly resize?: (parameters: StoreParameters) => StoreParameters
  /** A long workload runs in the first rounds only. Default: in all. */
  readonly roundsMax?: number
  readonly body: (run: StoreRun) => Promise<void>
}

export interface StoreSample extends Sample {
  /** Of the writes that went on while something else was the point. */
  readonly putsPerSecond?: number
  readonly putP50Us?: number
  readonly putP99Us?: number
  readonly putMaxUs?: number
  /** After the run, closed: without write-ahead logs, and these alone. */
  readonly diskBytes: number
  readonly diskLogBytes: number
  /** The largest seen while it ran (looked at 20 times a second): without write-ahead logs, and in all. */
  readonly diskPeakBytes?: number
  readonly diskPeakAllBytes?: number
  /** Bytes of keys and values in the database when it is full. */
  readonly rawBytes: number
}

/** All runs of one workload, as stored. */
export interface StoreWorkloadResults extends StoreWorkloadFacts {
  /** ISO 8601, when it began. */
  readonly date: string
  readonly rounds: number
  readonly used: Parameters
  readonly runs: readonly {
    readonly engine: string
    /** '–': nothing is written. */
    readonly durability: DurabilityName | '–'
    /** One a round; a failed run has none. */
    readonly samples: readonly (StoreSample | null)[]
  }[]
}
