/** What the workloads of all areas have in common: their sizes, what one run of one yields, and checks that the work was really done. */

export type Size = 'small' | 'large'

/** Sizes and counts, by name; all of them numbers, so that they can be printed with the results. */
export type Parameters = { readonly [name: string]: number }

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
