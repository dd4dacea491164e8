/** A folder whose topics are in use when its process is killed, again and again, and the history of it all, judged in the end. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { type Database, open } from '../../index.ts'
import { checkHistory, describeFailures, type HistoryReport } from '../support/history/check.ts'
import { type HistoryEvent, isPoll, pairEvents, type Value } from '../support/history/history.ts'
import { HistoryRecorder } from '../support/history/recorder.ts'
import { atomicAllows, type HistoryRules } from '../support/history/rules.ts'
import { isFenced, RecordedMember, RecordedProducer, readWhole, type TextTopic } from '../support/history/topic-clients.ts'

/** Tests and soaks run from the package's folder. */
const childPath = resolve('test/kill/topics-child.mjs')

const groups = ['least', 'most', 'exactly'] as const
type Group = (typeof groups)[number]

const rules: HistoryRules = {
  allowed: atomicAllows,
  groups: {
    least: { promise: 'at-least-once', from: 'earliest' },
    most: { promise: 'at-most-once', from: 'earliest' },
    exactly: { promise: 'exactly-once', from: 'earliest' },
  },
}

/** What became of the acknowledged records of `in` in one group; for exactly-once by what it wrote to `out`, which no killed process can misreport. */
export interface RecipeCounts {
  processed: number
  /** How often one was processed again. */
  duplicates: number
  /** Never processed. */
  losses: number
}

export interface TopicsVerdict {
  readonly report: HistoryReport
  /** Failures as text; empty when there are none. */
  readonly failures: string
  readonly recipes: Readonly<Record<Group, RecipeCounts>>
  readonly acknowledged: number
}

export class KilledTopics {
  readonly folder: string
  readonly events: HistoryEvent[] = []
  kills = 0

  readonly #fault: string

  /** `fault`: see topics-child.mjs. */
  constructor(folder: string, fault: 'broken' | '' = '') {
    this.folder = folder
    this.#fault = fault
  }

  /** Starts a child and kills it after `delayMs`: from its start, or from its first send with `fromReady`. Returns what it complained of. */
  async kill(seed: number, delayMs: number, fromReady: boolean): Promise<string[]> {
    const next = 1 + Math.max(-1, ...this.#operations())
    const child = spawn(process.execPath, [childPath, this.folder, String(seed), String(next), this.#fault], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const complaints: string[] = []
    let [rest, errorText] = ['', '']
    const shoot = (): void => {
      setTimeout(() => child.kill('SIGKILL'), delayMs)
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const said = JSON.parse(line) as HistoryEvent | { readonly ready: true } | { readonly complaint: string }
        if ('ready' in said) {
          if (fromReady) shoot()
        } else if ('complaint' in said) complaints.push(said.complaint)
        else this.events.push(said)
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errorText += text))
    if (!fromReady) shoot()
    await once(child, 'close')
    if (child.signalCode !== 'SIGKILL') complaints.push(`the child ended by itself: ${child.exitCode} ${child.signalCode} ${errorText}`)
    this.kills++
    this.#recorder().note('chaos', { kind: 'crash', machine: false })
    return complaints
  }

  *#operations(): Generator<number> {
    for (const { operation } of this.events) yield operation
  }

  #recorder(): HistoryRecorder {
    const first = this.events.reduce((most, { operation }) => Math.max(most, operation + 1), 0)
    return new HistoryRecorder(
      () => Date.now(),
      event => this.events.push(event),
      first,
    )
  }

  /** Opens the folder, lets the groups catch up, reads everything, and judges. */
  async judge(): Promise<TopicsVerdict> {
    const db = await open(this.folder)
    /** Records of `out` by the record of `in` that they were made of. */
    const outputs = new Map<string, number>()
    try {
      const input = db.topic<string>('in', { partitions: 4, value: 'string' })
      const output = db.topic<string>('out', { partitions: 2, value: 'string' })
      const recorder = this.#recorder()
      for (const group of groups) await catchUp(db, input, output, recorder, group)
      for (const isolation of ['committed', 'uncommitted'] as const)
        for (const topic of [input, output]) await readWhole(topic, recorder, `final-${isolation}-${topic.name}-${this.kills}`, isolation)
      for await (const { records } of output.consume({ until: 'end' }))
        for (const { key } of records) outputs.set(String(key), (outputs.get(String(key)) ?? 0) + 1)
      recorder.note('chaos', { kind: 'crash', machine: false })
    } finally {
      await db.close()
    }
    const report = checkHistory(this.events, rules)
    return { report, failures: describeFailures(report), ...countRecipes(this.events, outputs) }
  }
}

/** Alone in its group, a member processes what is left by the group's recipe. */
async function catchUp(db: Database, input: TextTopic, output: TextTopic, recorder: HistoryRecorder, group: Group): Promise<void> {
  const process = `${group}-last-${recorder.nextOperation}`
  const member = new RecordedMember(input, recorder, process, { group })
  const producer = new RecordedProducer(recorder, process, 'sync')
  const { consumer } = member
  for (;;) {
    const polled = await member.poll(50)
    if (polled === 'over') throw new Error(`${process} was fenced, alone in its group`)
    if (polled === 'nothing') {
      if (consumer.assignment.length === input.partitionCount && consumer.lag === 0) break
      continue
    }
    const { batch, pending, result } = polled
    if (group === 'exactly') {
      const transaction = `${process}:${pending.id}`
      pending.ok({ ...result, transaction })
      const sends = batch.records.map(
        ({ offset, value }) => [output, { value: `${process}.${batch.partition}.${offset}`, key: String(value) }] as const,
      )
      const isCommitted = await producer.transact(db, transaction, sends, tx => {
        batch.commitWith(tx)
        return true
      })
      if (!isCommitted) member.goBack(polled)
    } else {
      await batch.commit().catch(error => {
        if (!isFenced(error)) throw error
      })
      pending.ok(result)
    }
  }
  await member.close()
}

function countRecipes(
  events: readonly HistoryEvent[],
  outputs: ReadonlyMap<string, number>,
): Pick<TopicsVerdict, 'recipes' | 'acknowledged'> {
  const operations = pairEvents(events)
  const acknowledged = operations.flatMap(({ call, outcome }) =>
    call.kind === 'send' && call.transaction === undefined && outcome === 'ok' ? [call.value] : [],
  )
  const processedBy = (group: Group): Map<Value, number> => {
    const times = new Map<Value, number>()
    for (const operation of operations) {
      if (!isPoll(operation) || operation.call.group !== group || operation.outcome !== 'ok') continue
      for (const records of Object.values(operation.polled?.records ?? {}))
        for (const [, value] of records) times.set(value, (times.get(value) ?? 0) + 1)
    }
    return times
  }
  const countOf = (times: ReadonlyMap<Value, number>): RecipeCounts => {
    const processed = [...times.values()].reduce((sum, count) => sum + count, 0)
    return { processed, duplicates: processed - times.size, losses: acknowledged.filter(value => !times.has(value)).length }
  }
  return {
    acknowledged: acknowledged.length,
    recipes: { least: countOf(processedBy('least')), most: countOf(processedBy('most')), exactly: countOf(outputs) },
  }
}
