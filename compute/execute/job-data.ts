/**
 * A staged plan as data for other threads. A plan of expressions alone crosses as it is; sources become names, since each thread opens them from what they share. A plan with users'
 * functions does not cross: those run where the flow was built.
 */
import { inputsOf, type PlanNode } from '../plan/node.ts'
import type { StagedPlan } from '../plan/stages.ts'
import type { PortableSource } from '../source/source.ts'
import type { TaskPlace } from './task.ts'

/** What a thread is told of a job; structured-clonable. */
export interface JobData {
  readonly plan: TaskPlace['plan']
  /** By number of the input; undefined for exchanges. */
  readonly sources: readonly (PortableSource | undefined)[]
}

const functionOps: ReadonlySet<PlanNode['op']> = new Set(['filterBy', 'map', 'flatMap', 'mapBatch', 'mapAsync', 'keyBy', 'fold'])

/** Whether a plan can be run by other threads: it has no functions, and all its sources can be read there. */
export function isPortablePlan(plan: PlanNode): boolean {
  if (functionOps.has(plan.op)) return false
  if (plan.op === 'source') return plan.source.isPortable
  return inputsOf(plan).every(isPortablePlan)
}

/** The plan without sources, which do not cross. */
export function planData({ stages, inputs }: StagedPlan): TaskPlace['plan'] {
  return {
    stages,
    inputs: inputs.map(input => (input.kind === 'source' ? { kind: 'source', name: input.source.name } : input)),
  }
}

/** Bytes of all sources of a plan; undefined when one does not know. */
export function inputBytes(plan: PlanNode): number | undefined {
  if (plan.op === 'source') return plan.source.bytes
  let sum = 0
  for (const input of inputsOf(plan)) {
    const bytes = inputBytes(input)
    if (bytes === undefined) return undefined
    sum += bytes
  }
  return sum
}
