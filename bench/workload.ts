/**
 * What a benchmark is, and what one run of it yields. The table of all of them is `workloads.ts`.
 *
 * A workload gets an empty folder and a `Measurement`: it prepares what it needs, calls `measure` once for the part that counts, checks that
 * the work was really done (`expectEqual`), and closes what it opened. One process runs one workload once (`child.ts`).
 */

import type { Measurement } from './measurement.ts'

export type Size = 'small' | 'large'

/** What the acknowledgement of a write means in this workload; '–' where nothing is written while measuring. */
export type DurabilityWord = 'sync' | 'buffered' | 'none' | '–'

/** Numbers that a `Sample` or a `Summary` has or implies; see `report/metrics.ts`. */
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

/** Sizes and counts, by name; all of them numbers, so that they can be printed with the results. */
export type Parameters = { readonly [name: string]: number }

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

/** One run of one workload in one process. */
export interface Sample {
  /** Units done while measuring; see `WorkloadFacts.unit`. */
  readonly operations: number
  /** Bytes of keys and values (raw workloads: bytes transferred) that the operations carried. */
  readonly payloadBytes: number
  readonly elapsedMs: number
  /** Missing when the workload recorded no latency. */
  readonly p50Us?: number
  readonly p99Us?: number
  readonly maxUs?: number
  /** What the process wrote from the start of the measurement to its end, closing included; missing where the system does not say. */
  readonly writtenBytes?: number
  /** Largest resident set of the process up to the end of the measurement. */
  readonly rssBytes: number
  /** How late the event loop served a 1 ms timer while measuring; missing when it was never served. */
  readonly loopP999Ms?: number
  readonly loopMaxMs?: number
}

/** Throws when a workload did not do what it says. */
export function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, expected ${String(expected)}`)
}

/** As `expectEqual`, for what need only be at least so much. */
export function expectAtLeast(what: string, actual: number, least: number): void {
  if (!(actual >= least)) throw new Error(`${what}: ${actual}, expected at least ${least}`)
}
