/**
 * A staged plan as data for other threads. A plan of expressions alone crosses as it is; sources become names, since each thread opens them from what they share. Users' functions do
 * not cross: a plan with some is built anew from the job's module, or runs where it was built.
 */
import type { JobModuleData } from '../job/job-module.ts'
import { inputsOf, type PlanNode } from '../plan/node.ts'
import type { StagedPlan } from '../plan/stages.ts'
import type { SinkParts } from '../sink/sink.ts'
import type { PortableSource } from '../source/source.ts'
import type { TaskPlace } from './task.ts'

/** A staged plan as data, or the module that builds it; structured-clonable. */
export type JobPlan = { readonly data: TaskPlace['plan'] } | { readonly module: JobModuleData }

/** What a thread is told of a job; structured-clonable. */
export interface JobData {
  readonly plan: JobPlan
  /** By number of the input; undefined for exchanges. */
  readonly sources: readonly (PortableSource | undefined)[]
  /** Undefined: the result comes to the calling thread. */
  readonly sink: SinkData | undefined
}

/** A sink whose parts tasks write; structured-clonable. */
export type SinkData = Pick<SinkParts, 'writer' | 'input'>

const functionOps: ReadonlySet<PlanNode['op']> = new Set([
  'filterBy',
  'map',
  'flatMap',
  'mapBatch',
  'mapAsync',
  'keyBy',
  'fold',
  'emit',
  'combine',
  'reduceGroups',
])

/** Whether a plan can be run by other threads: it has no functions, or a module that has them, and all its sources can be read there. */
export function isPortablePlan(plan: PlanNode, hasModule: boolean): boolean {
  // What is cached is of the thread that has it.
  if (plan.op === 'cache') return false
  const hasFunction = functionOps.has(plan.op) || (plan.op === 'join' && plan.combine !== undefined)
  if (hasFunction && !hasModule) return false
  if (plan.op === 'source') return plan.source.isPortable
  return inputsOf(plan).every(input => isPortablePlan(input, hasModule))
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

/** Right sides of joins whose sources are smaller go to every task, bytes. */
const broadcastBytesMax = 8 << 20

/** The plan with hints where joins have none and the right side is known to be small. Only where the plan goes to other threads as data: there it is cut as it is here. */
export function withHints(plan: PlanNode): PlanNode {
  switch (plan.op) {
    case 'source':
    case 'input':
      return plan
    case 'union':
      return { ...plan, inputs: plan.inputs.map(withHints) }
    case 'cogroup':
      return { ...plan, left: withHints(plan.left), right: withHints(plan.right) }
    case 'join': {
      const isSmall = (inputBytes(plan.right) ?? Number.POSITIVE_INFINITY) <= broadcastBytesMax
      return { ...plan, left: withHints(plan.left), right: withHints(plan.right), hint: plan.hint ?? (isSmall ? 'broadcast' : 'shuffle') }
    }
    default:
      return { ...plan, input: withHints(plan.input) }
  }
}
