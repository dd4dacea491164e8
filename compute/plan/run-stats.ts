/** What a run did, operator by operator, for people and tools. */
import type { OperatorMeasure } from '../operator/meter.ts'
import { operatorsOf } from '../operator/meter.ts'
import { nodeText } from './explain.ts'
import type { PlanNode } from './node.ts'
import type { StageInput } from './stages.ts'

/** What one operator of a run did, in all tasks. */
export interface OperatorStats {
  /** Stages run one after the other; in the calling thread all is stage 0. */
  readonly stage: number
  /** The verb; 'source' and 'exchange' for where rows come from, 'output' for where those of a stage go, 'result' for who takes the rows of the run. */
  readonly operator: string
  /** As `explain()` shows it. */
  readonly text: string
  /** How many tasks of the stage there were. */
  readonly tasks: number
  /** Of a join those of both sides. */
  readonly rowsIn: number
  /** To the operators that take them, or the end of the stage. */
  readonly rowsOut: number
  /** Of sources and exchanges, about. */
  readonly bytesRead: number
  /** Time in the operator itself, summed over tasks. */
  readonly ms: number
}

/** What the last run of a flow did; see `Flow.stats`. */
export interface RunStats {
  /** Worker threads; 0: the calling one. */
  readonly workers: number
  /** From the beginning to the end of the run, without the commit of a sink. */
  readonly ms: number
  /** In the order of stages, each from its output to where its rows come from, as `explain()` shows them. */
  readonly operators: readonly OperatorStats[]
}

/** The operators of one stage, of which each task has measured all. */
export function stageStats(
  plan: PlanNode,
  inputs: readonly StageInput[],
  stage: number,
  tasks: readonly (readonly OperatorMeasure[])[],
): OperatorStats[] {
  const nodes = operatorsOf(plan)
  const isResult = inputs.length === 0
  const taker = isResult ? { operator: 'result', text: 'result' } : { operator: 'output', text: 'output' }
  const names = [...nodes.map(node => nameOf(node, inputs)), taker]
  const all = names.map((name, i) => ({ stage, ...name, tasks: tasks.length, ...sumOf(tasks, i) }))
  return [all.at(-1) as OperatorStats, ...all.slice(0, -1)]
}

function nameOf(node: PlanNode, inputs: readonly StageInput[]): { operator: string; text: string } {
  if (node.op !== 'input') return { operator: node.op, text: nodeText(node) }
  const input = inputs[node.index]
  if (input?.kind !== 'source') return { operator: 'exchange', text: `rows of stage ${input?.stage}` }
  const { source, range } = input
  return { operator: 'source', text: nodeText({ op: 'source', source, ...(range === undefined ? {} : { range }) }) }
}

function sumOf(tasks: readonly (readonly OperatorMeasure[])[], i: number): OperatorMeasure {
  const sum = { rowsIn: 0, rowsOut: 0, bytesRead: 0, ms: 0 }
  for (const measures of tasks) {
    const one = measures[i]
    if (one === undefined) continue
    sum.rowsIn += one.rowsIn
    sum.rowsOut += one.rowsOut
    sum.bytesRead += one.bytesRead
    sum.ms += one.ms
  }
  return sum
}
