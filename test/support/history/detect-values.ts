/** Detectors that look at one value at a time: what was read that must not be, where values lie, and which are missing. */
import { type Analysis, grouped, type Write } from './analysis.ts'
import { type Anomaly, listOf, nameOf } from './anomaly.ts'
import type { ExpectedValues } from './expected.ts'
import type { Value } from './history.ts'
import type { Run } from './runs.ts'

/** Reads of values that failed, that were not committed yet, or that nobody sent. */
export function detectWrongReads({ reads, writes }: Analysis): Anomaly[] {
  const found: Anomaly[] = []
  for (const { partition, offset, value, poll, unit } of reads) {
    const write = writes.get(value)
    const where = `${value} at ${partition}@${offset} in ${nameOf(poll)}`
    if (write === undefined) {
      found.push({ kind: 'phantom', partition, values: [value], operations: [poll], evidence: `${where}: nobody sent it` })
      continue
    }
    const { send } = write
    const isCommittedOnly = poll.call.isolation === 'committed'
    const operations = [send, poll]
    if (write.unit === unit && isCommittedOnly)
      found.push({
        kind: 'precommitted-read',
        partition,
        values: [value],
        operations,
        evidence: `${where}: the transaction ${unit.id} reads what it wrote itself`,
      })
    else if (send.outcome === 'fail' || (write.unit.fate === 'aborted' && isCommittedOnly))
      found.push({
        kind: 'G1a',
        partition,
        values: [value],
        operations,
        evidence: `${where}: ${nameOf(send)} of ${write.unit.id} did not take effect`,
      })
    else if (write.unit.isTransaction && isCommittedOnly && poll.completedAt < write.unit.requestedAt)
      found.push({
        kind: 'precommitted-read',
        partition,
        values: [value],
        operations,
        evidence: `${where}: the transaction ${write.unit.id} was asked to commit only later`,
      })
  }
  return found
}

/** Values that lie at more places than one, and places with more values than one. */
export function detectPlaces({ logs, writes, readsOf }: Analysis): Anomaly[] {
  const found: Anomaly[] = []
  for (const [partition, log] of logs)
    for (const { offset, values } of log)
      if (values.length > 1)
        found.push({
          kind: 'inconsistent-offsets',
          partition,
          values,
          operations: values.flatMap(value => [
            ...sendsOf(writes.get(value)),
            ...(readsOf.get(value) ?? []).slice(0, 1).map(read => read.poll),
          ]),
          evidence: `${partition}@${offset} is said to hold ${listOf(values)}`,
        })
  for (const [value, reads] of readsOf) {
    const write = writes.get(value)
    const places = [...new Set(reads.map(({ partition, offset }) => `${partition}@${offset}`))]
    const operations = [...sendsOf(write), ...reads.map(read => read.poll)]
    const [{ partition }] = reads as [(typeof reads)[0]]
    if (places.length > 1)
      found.push({ kind: 'duplicate', partition, values: [value], operations, evidence: `${value} was read at ${places.join(', ')}` })
    const sent = write?.send.sent
    if (write?.fate !== 'committed' || write.isGone || sent?.offset === undefined || places.includes(`${sent.partition}@${sent.offset}`))
      continue
    found.push({
      kind: 'inconsistent-offsets',
      partition,
      values: [value],
      operations,
      evidence: `${value} was acknowledged at ${sent.partition}@${sent.offset} and read at ${places.join(', ')}`,
    })
  }
  return found
}

function sendsOf(write: Write | undefined): Write['send'][] {
  return write === undefined ? [] : [write.send]
}

/** Acknowledged values that no reader ever saw, although one read over their offset. */
export function detectLostWrites(analysis: Analysis, runs: readonly Run[], expected: ExpectedValues): Anomaly[] {
  const found: Anomaly[] = []
  const lost = new Set<Write>()
  for (const run of runs) {
    const { partition } = run
    const steps = run.steps.filter(({ value }) => analysis.writes.get(value)?.isGone !== true)
    const [first, last] = [steps[0], steps.at(-1)]
    if (first === undefined || last === undefined) continue
    for (const { offset, write } of expected.between(partition, run.from ?? first.offset, last.offset, last.poll.completedAt)) {
      if (lost.has(write) || analysis.readsOf.has(write.value)) continue
      lost.add(write)
      found.push({
        kind: 'lost-write',
        partition,
        values: [write.value],
        operations: [write.send, last.poll],
        evidence: `${write.value}, acknowledged at ${partition}@${offset} by ${nameOf(write.send)}, was never read; ${run.process} read over it up to ${last.offset}`,
      })
    }
  }
  return found
}

/** Values that were acknowledged before a reader asked, who then stood at the end and had not seen them. Also those that others saw once: they went. */
export function detectUnseen(analysis: Analysis, runs: readonly Run[], expected: ExpectedValues): Anomaly[] {
  const found: Anomaly[] = []
  const told = new Set<Write>()
  for (const { process, partition, from, steps, ends } of runs) {
    const start = from ?? steps[0]?.offset
    if (start === undefined) continue
    // Each write is judged at the first end after it was done; there it was seen, or it never will be in this run.
    const writes = expected.byTime(partition)
    const seen = new Set<Value>()
    let [judged, taken] = [0, 0]
    for (const end of ends) {
      for (; taken < end.steps; taken++) seen.add(steps[taken]!.value)
      for (; judged < writes.length && writes[judged]!.unit.doneAt < end.poll.invokedAt; judged++) {
        const write = writes[judged]!
        if (seen.has(write.value) || told.has(write) || expected.mayBeAbsent(write, end.poll.completedAt)) continue
        if (write.offset === undefined ? from !== 0 : write.offset < start) continue
        told.add(write)
        const others = (analysis.readsOf.get(write.value) ?? []).map(read => nameOf(read.poll))
        found.push({
          kind: 'unseen',
          partition,
          values: [write.value],
          operations: [write.send, end.poll],
          evidence:
            `${write.value} of ${write.unit.id}, done before ${nameOf(end.poll)}, is not in what ${process} read of ${partition} from ${start} to the end; ` +
            (others.length === 0 ? 'nobody saw it' : `it was seen by ${listOf(others)}`),
        })
      }
    }
  }
  return found
}

/** Promises of groups about processing: every value at least, or at most, once. */
export function detectGroups(analysis: Analysis, expected: ExpectedValues): Anomaly[] {
  const found: Anomaly[] = []
  for (const [group, rule] of Object.entries(expected.rules.groups ?? {})) {
    const mine = analysis.reads.filter(read => read.poll.call.group === group)
    const processed = mine.filter(({ unit, poll }) => unit.fate === 'committed' && poll.outcome === 'ok')
    const maybe = new Set(mine.filter(({ unit }) => unit.isTransaction && unit.fate === 'unknown').map(({ value }) => value))
    if (rule.promise !== 'at-least-once')
      for (const [value, reads] of grouped(processed, read => read.value)) {
        const [first] = reads as [(typeof reads)[0]]
        const polls = [...new Set(reads.map(read => read.poll))]
        if (polls.length > 1)
          found.push({
            kind: 'group-duplicate',
            partition: first.partition,
            values: [value],
            operations: polls,
            evidence: `group ${group}, ${rule.promise}: ${value} was processed by ${polls.map(nameOf).join(', ')}`,
          })
      }
    if (rule.promise === 'at-most-once') continue
    const seen = new Set(processed.map(({ value }) => value))
    for (const [partition, reads] of grouped(processed, read => read.partition)) {
      const last = reads.reduce((a, b) => (b.offset > a.offset ? b : a))
      const first = Math.min(...mine.filter(read => read.partition === partition).map(({ offset }) => offset))
      for (const { offset, write } of expected.between(partition, rule.from === 'earliest' ? 0 : first, last.offset, last.poll.completedAt))
        if (!seen.has(write.value) && !maybe.has(write.value))
          found.push({
            kind: 'group-lost',
            partition,
            values: [write.value],
            operations: [write.send, last.poll],
            evidence: `group ${group}, ${rule.promise}: ${write.value} at ${partition}@${offset} was processed by no member; ${nameOf(last.poll)} processed ${last.offset}`,
          })
    }
  }
  return found
}
