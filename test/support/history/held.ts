/** Runs a program with a history and holds it to the rules: the frame of the tests of histories. */
import { describeFailures, type HistoryReport } from './check.ts'
import type { HistoryEvent, Partition } from './history.ts'
import type { SimulatedLives } from './simulated-lives.ts'

/** What a program did, and what the checker says of it. */
export interface JudgedHistory {
  readonly seed: number
  readonly events: readonly HistoryEvent[]
  readonly report: HistoryReport
  readonly lives: SimulatedLives['counters']
}

/** The history of the seed; throws an Error with the seed and what was found, or that a partition was not read to its end. */
export async function heldHistory(
  seed: number,
  run: (seed: number) => Promise<JudgedHistory>,
  partitions: readonly Partition[],
): Promise<JudgedHistory> {
  let history: JudgedHistory
  try {
    history = await run(seed)
  } catch (error) {
    throw new Error(`seed ${seed} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }
  const text = describeFailures(history.report)
  if (text !== '') throw new Error(`seed ${seed} failed:\n${text}`)
  for (const partition of partitions)
    if (!history.report.fullyRead.has(partition)) throw new Error(`seed ${seed} failed: ${partition} was not read to its end`)
  return history
}

/** How often machines died in these histories, and how many writes were committed. */
export function sumsOf(histories: readonly JudgedHistory[]): { readonly deaths: number; readonly committed: number } {
  return {
    deaths: histories.reduce((sum, { lives }) => sum + lives.kills + lives.powerLosses, 0),
    committed: histories.reduce((sum, { report }) => sum + report.committed, 0),
  }
}
