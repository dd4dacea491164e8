/**
 * Runs the same workloads on several engines: all engines of a workload one right after the other and in another order each round, so that a slow minute of the machine hits all of
 * them. A run that fails is reported and the others go on: one crash must not cost the hours of the rest.
 */

/** A workload with those that do it. */
export interface LaneTable<S> {
  readonly name: string
  /** How many rounds this workload takes part in. */
  readonly rounds: number
  readonly lanes: readonly Lane<S>[]
}

export interface Lane<S> {
  readonly engine: string
  /** Rounds count from 1. */
  run(round: number): Promise<S>
}

export interface Ran<S> {
  /** ISO 8601, when the run of all began. */
  readonly date: string
  readonly rounds: number
  /** One sample a round; a failed run has none. */
  readonly lanes: readonly { readonly engine: string; readonly samples: (S | null)[] }[]
}

export interface LaneFailure {
  readonly workload: string
  readonly engine: string
  readonly round: number
  readonly error: string
}

/** `onProgress` is called before each run with what begins and how many runs are done. */
export async function runLanes<S>(
  tables: readonly LaneTable<S>[],
  onProgress?: (what: string, done: number) => void,
): Promise<{ ran: Ran<S>[]; failures: LaneFailure[] }> {
  const failures: LaneFailure[] = []
  const date = new Date().toISOString()
  const ran = tables.map(({ rounds, lanes }): Ran<S> => ({ date, rounds, lanes: lanes.map(({ engine }) => ({ engine, samples: [] })) }))
  const rounds = Math.max(0, ...tables.map(table => table.rounds))
  let done = 0
  for (let round = 1; round <= rounds; round++) {
    for (const [i, { name, rounds: own, lanes }] of tables.entries()) {
      if (round > own) continue
      for (let j = 0; j < lanes.length; j++) {
        const at = (j + round - 1) % lanes.length
        const { engine, run } = lanes[at] as Lane<S>
        onProgress?.(`round ${round}: ${name} on ${engine}`, done++)
        const { samples } = (ran[i] as Ran<S>).lanes[at] as Ran<S>['lanes'][number]
        try {
          samples.push(await run(round))
        } catch (error) {
          samples.push(null)
          failures.push({ workload: name, engine, round, error: error instanceof Error ? error.message : String(error) })
        }
      }
    }
  }
  return { ran, failures }
}
