/**
 * The checker: a history in, everything that is wrong with it out. In the manner of Jepsen's Kafka workload (jepsen.tests.kafka), with the promises of groups
 * and the words of durability added.
 *
 * What makes it sound: it never infers from offsets that a record must exist, only from acknowledgements and reads; it takes as lost only what
 * nothing excuses (an unknown fate, retention, compaction, a crash beyond the durability word).
 */
import { type Analysis, analyse } from './analysis.ts'
import { type Anomaly, type AnomalyKind, anomalyKinds } from './anomaly.ts'
import { detectCycles } from './cycles.ts'
import { detectPollOrder, detectSendOrder } from './detect-order.ts'
import { detectGroups, detectLostWrites, detectPlaces, detectUnseen, detectWrongReads } from './detect-values.ts'
import { ExpectedValues } from './expected.ts'
import type { HistoryEvent, Partition } from './history.ts'
import { type HistoryRules, kafkaAllows } from './rules.ts'
import { runsOf } from './runs.ts'

export interface HistoryReport {
  readonly anomalies: readonly Anomaly[]
  /** Those that the rules do not allow. */
  readonly failures: readonly Anomaly[]
  readonly counts: Readonly<Partial<Record<AnomalyKind, number>>>
  /** Partitions that some committed reader read from offset 0 to the end; the rest was not searched for what nobody saw. */
  readonly fullyRead: ReadonlySet<Partition>
  readonly committed: number
  readonly aborted: number
  readonly unknown: number
  readonly reads: number
}

/** Checks a history. Throws an Error on events that are no history: completions without calls, values that are not unique. */
export function checkHistory(events: readonly HistoryEvent[], rules: HistoryRules = {}): HistoryReport {
  const analysis = analyse(events)
  const runs = runsOf(analysis)
  const expected = new ExpectedValues(analysis, rules)
  const anomalies = [
    ...detectWrongReads(analysis),
    ...detectPlaces(analysis),
    ...detectLostWrites(analysis, runs, expected),
    ...detectUnseen(analysis, runs, expected),
    ...detectPollOrder(analysis, runs, expected),
    ...detectSendOrder(analysis),
    ...detectGroups(analysis, expected),
    ...detectCycles(analysis, runs),
  ]
  const allowed = rules.allowed ?? kafkaAllows
  const counts: Partial<Record<AnomalyKind, number>> = {}
  for (const kind of anomalyKinds) {
    const count = anomalies.filter(anomaly => anomaly.kind === kind).length
    if (count > 0) counts[kind] = count
  }
  return {
    anomalies,
    failures: anomalies.filter(({ kind }) => !allowed.has(kind)),
    counts,
    fullyRead: new Set(
      runs.filter(run => run.from === 0 && run.ends.length > 0 && run.isolation === 'committed').map(({ partition }) => partition),
    ),
    ...fates(analysis),
    reads: analysis.reads.length,
  }
}

function fates({ writes }: Analysis): { committed: number; aborted: number; unknown: number } {
  const counts = { committed: 0, aborted: 0, unknown: 0 }
  for (const { fate } of writes.values()) counts[fate]++
  return counts
}

/** The failures of a report as text, the first few of each kind; empty when there is none. */
export function describeFailures({ failures }: HistoryReport, perKind = 3): string {
  const lines: string[] = []
  for (const kind of anomalyKinds) {
    const cases = failures.filter(failure => failure.kind === kind)
    for (const { evidence } of cases.slice(0, perKind)) lines.push(`${kind}: ${evidence}`)
    if (cases.length > perKind) lines.push(`${kind}: … ${cases.length} in all`)
  }
  return lines.join('\n')
}
