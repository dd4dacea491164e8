/**
 * What a workload of logs and topics is. The table of all of them is `workloads.ts`.
 *
 * A workload gets an empty folder and a `Measurement`: it prepares what it needs, calls `measure` once for the part that counts, checks that
 * the work was really done (`expectEqual`), and closes what it opened. One process runs one workload once (`child.ts`).
 */
import type { Measurement } from '../measurement.ts'
import type { Parameters, Size } from '../workload.ts'

/** What the acknowledgement of a write means in this workload; '–' where nothing is written while measuring. */
export type DurabilityWord = 'sync' | 'buffered' | 'none' | '–'

/** Numbers that a `Sample` or a `Summary` has or implies; see `report/summary.ts`. */
export type Metric = 'rate' | 'megabytesPerSecond' | 'elapsedMs' | 'p50Us' | 'p99Us' | 'loopP999Ms' | 'rssBytes'

/** A metric of this workload, divided by the same metric of workload `of` in the same round where that is given. */
export interface Quantity {
  readonly metric: Metric
  readonly of?: string
}

/** Exactly one of the bounds is given. */
export interface Target extends Quantity {
  readonly atLeast?: number
  readonly atMost?: number
}

export interface WorkloadFacts {
  /** Unique; what `--only` takes. */
  readonly name: string
  /** One line for people. */
  readonly what: string
  readonly durability: DurabilityWord
  /** What `rate` counts: 'records', 'appends', … */
  readonly unit: string
  /** What p50, p99 and max are the time of: 'batch', 'append', … */
  readonly latencyOf: string
  /** How it compares with what the bare disk does in the same round. */
  readonly raw?: Quantity
  readonly targets: readonly Target[]
  /** Runs only when it is named: it takes minutes, or fills the disk. */
  readonly onlyByName?: boolean
}

export interface Workload extends WorkloadFacts {
  readonly parameters: { readonly [size in Size]: Parameters }
  run(measurement: Measurement, size: Size): Promise<void>
}

interface WorkloadDefinition<P extends Parameters> extends WorkloadFacts {
  /** For the tests: well below a second. */
  readonly small: P
  /** For people: a few seconds. */
  readonly large: P
  readonly body: (measurement: Measurement, parameters: P) => Promise<void>
}

/** A row of the table; ties the two sizes to the parameters that the body takes. */
export function workload<P extends Parameters>(definition: WorkloadDefinition<P>): Workload {
  const { small, large, body, ...facts } = definition
  const parameters = { small, large }
  return { ...facts, parameters, run: (measurement, size) => body(measurement, parameters[size]) }
}
