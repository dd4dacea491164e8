/**
 * Operators of several plans that run as one: a node that is in more than one of them, or several times in one, is built once and sends to all who take its rows.
 *
 * Sharing follows the way that rows take in one reading: from an input to the operator that takes it as its only one, as a part of a union, or as the left side of a join. What a join
 * must have read before, its right side, is built for itself, and comes first.
 */
import type { OperatorContext } from '../operator/context.ts'
import type { Receiver } from '../operator/receiver.ts'
import { Tee } from '../operator/tee.ts'
import type { Needs } from '../source/source.ts'
import { buildOperator, buildPlan, type PlanInput } from './build.ts'
import { wholeRows } from './needs.ts'
import { inputsOf, type PlanNode } from './node.ts'

/** A plan and where its rows end. */
export interface PlanEnd {
  readonly plan: PlanNode
  readonly end: Receiver
}

export function buildTogether(plans: readonly PlanEnd[], context: OperatorContext): PlanInput[] {
  return new Together(plans, context).inputs
}

/** Who takes a node's rows, as far as they are built. */
interface Taken {
  readonly receivers: Receiver[]
  needs: Needs
}

class Together {
  /** Right sides first. */
  readonly inputs: PlanInput[] = []
  readonly #leaves: PlanInput[] = []
  /** How many take a node's rows and were not built yet. */
  readonly #open = new Map<PlanNode, number>()
  readonly #taken = new Map<PlanNode, Taken>()

  readonly #context: OperatorContext

  constructor(plans: readonly PlanEnd[], context: OperatorContext) {
    this.#context = context
    for (const { plan } of plans) this.#count(plan)
    for (const { plan, end } of plans) this.#take(plan, end, wholeRows)
    this.inputs.push(...this.#leaves)
  }

  #count(node: PlanNode): void {
    const takers = this.#open.get(node) ?? 0
    this.#open.set(node, takers + 1)
    if (takers === 0) for (const input of sharedInputs(node)) this.#count(input)
  }

  /** One more takes the node's rows; the last one lets it be built. */
  #take(node: PlanNode, receiver: Receiver, needs: Needs): void {
    const taken = this.#taken.get(node) ?? { receivers: [], needs: { paths: [], values: false } }
    this.#taken.set(node, taken)
    taken.receivers.push(receiver)
    taken.needs = { paths: [...new Set([...taken.needs.paths, ...needs.paths])], values: taken.needs.values || needs.values }
    const open = (this.#open.get(node) as number) - 1
    this.#open.set(node, open)
    if (open > 0) return
    const end = taken.receivers.length === 1 ? (taken.receivers[0] as Receiver) : new Tee(taken.receivers)
    if (node.op === 'source' || node.op === 'input') {
      this.#leaves.push({ leaf: node, needs: taken.needs, receiver: end })
      return
    }
    for (const { input, receiver: operator, needs: ofInput, isBefore } of buildOperator(node, end, this.#context, taken.needs)) {
      if (isBefore) this.inputs.push(...buildPlan(input, operator, this.#context, ofInput))
      else this.#take(input, operator, ofInput)
    }
  }
}

/** The inputs of a node whose rows reach it in the reading of the leaves. */
function sharedInputs(node: PlanNode): readonly PlanNode[] {
  if (node.op === 'join' || node.op === 'cogroup') return [node.left]
  if (node.op === 'cache' && node.cell.rows !== undefined) return []
  return inputsOf(node)
}
