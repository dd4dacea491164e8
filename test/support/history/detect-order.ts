/**
 * Detectors of order: a reader's next value must be the next one of the log, a producer's next value must lie behind its last.
 *
 * Gaps of offsets are never judged, only values: markers, aborted records and compaction leave gaps.
 */
import { type Analysis, grouped, versionsBetween } from './analysis.ts'
import { type Anomaly, listOf, nameOf } from './anomaly.ts'
import { type ExpectedValues, valuesOf } from './expected.ts'
import type { Run } from './runs.ts'

export function detectPollOrder({ unitOf, writes }: Analysis, runs: readonly Run[], expected: ExpectedValues): Anomaly[] {
  const found: Anomaly[] = []
  for (const { partition, from, steps } of runs)
    for (const [i, step] of steps.entries()) {
      const before = steps[i - 1]
      const isInternal = before !== undefined && unitOf.get(before.poll) === unitOf.get(step.poll)
      const operations = before === undefined || before.poll === step.poll ? [step.poll] : [before.poll, step.poll]
      const here = `${step.value} at ${partition}@${step.offset} in ${nameOf(step.poll)}`
      const there = before === undefined ? `the start at ${from}` : `${before.value} at ${before.offset} in ${nameOf(before.poll)}`
      const least = before === undefined ? from : before.offset + 1
      if (least === undefined) continue
      if (step.offset < least) {
        const values = before === undefined ? [step.value] : [before.value, step.value]
        const kind = isInternal ? 'int-nonmonotonic-poll' : 'nonmonotonic-poll'
        found.push({ kind, partition, values, operations, evidence: `${here} follows ${there}` })
        continue
      }
      // A crash has taken it since: what lies below its offset now may be younger than this poll.
      if (writes.get(step.value)?.isGone === true) continue
      const skipped = expected.between(partition, least, step.offset, step.poll.completedAt)
      if (skipped.length === 0) continue
      const values = valuesOf(skipped)
      const kind = isInternal ? 'int-poll-skip' : 'poll-skip'
      found.push({ kind, partition, values, operations, evidence: `${here} follows ${there} and skips ${listOf(values)}` })
    }
  return found
}

export function detectSendOrder({ writes, logs }: Analysis): Anomaly[] {
  const found: Anomaly[] = []
  const placed = [...writes.values()].filter(({ fate, isGone, offset }) => fate === 'committed' && !isGone && offset !== undefined)
  for (const [, sent] of grouped(placed, ({ partition, send }) => `${partition}\n${send.process}`)) {
    let last = sent[0]!
    for (const write of sent.slice(1)) {
      const isInternal = last.unit === write.unit
      const partition = write.partition as string
      const [low, high] = [last.offset as number, write.offset as number]
      const operations = [last.send, write.send]
      const places = `${last.value} at ${low} before ${write.value} at ${high}`
      if (high <= low) {
        const kind = isInternal ? 'int-nonmonotonic-send' : 'nonmonotonic-send'
        const values = [last.value, write.value]
        found.push({ kind, partition, values, operations, evidence: `${write.send.process} sent to ${partition} ${places}` })
        continue
      }
      last = write
      if (!isInternal) continue
      const between = versionsBetween(logs.get(partition) ?? [], low + 1, high).flatMap(({ values }) => values)
      if (between.length === 0) continue
      found.push({
        kind: 'int-send-skip',
        partition,
        values: between,
        operations,
        evidence: `${write.unit.id} sent to ${partition} ${places}; between them lie ${listOf(between)}`,
      })
    }
  }
  return found
}
