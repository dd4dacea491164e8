/** A plan as data for tools, and as a flow chart: operators by number, sources first, and which rows go where. A part of a plan that several use is there once. */
import { nodeText } from './explain.ts'
import { inputsOf, type PlanNode } from './node.ts'
import { isOrderFree } from './order-free.ts'

/** One operator of a flow. */
export interface DescribedOperator {
  /** Its index in `operators`. */
  readonly id: number
  /** The verb, 'source' for what the flow begins with. */
  readonly operator: string
  /** As `explain()` shows it. */
  readonly text: string
  /** Whether the rows that it gives, as a set, are the same in whatever order rows came; of rows that an order leaves equal one may come before another. */
  readonly isOrderFree: boolean
  /** Ids of the operators whose rows it takes, in order: of a join the left and the right side. */
  readonly inputs: readonly number[]
}

/** What a flow does, as data. */
export interface FlowDescription {
  /** Of the job. */
  readonly name: string
  /** Inputs come before who takes their rows; the last gives the result. */
  readonly operators: readonly DescribedOperator[]
  /** A flow chart in the language of Mermaid (mermaid.js.org). */
  readonly mermaid: string
}

export function describePlan(name: string, plan: PlanNode): FlowDescription {
  const operators: DescribedOperator[] = []
  const ids = new Map<PlanNode, number>()
  const visit = (node: PlanNode): number => {
    const known = ids.get(node)
    if (known !== undefined) return known
    const inputs = inputsOf(node).map(visit)
    const id = operators.length
    ids.set(node, id)
    operators.push({ id, operator: node.op, text: nodeText(node), isOrderFree: isOrderFree(node), inputs })
    return id
  }
  visit(plan)
  return { name, operators, mermaid: mermaidOf(operators) }
}

function mermaidOf(operators: readonly DescribedOperator[]): string {
  const lines = ['flowchart TD']
  for (const { id, operator, text } of operators) {
    const label = `"${escaped(text)}"`
    lines.push(`  n${id}${operator === 'source' ? `[(${label})]` : `[${label}]`}`)
  }
  for (const { id, operator, inputs } of operators) {
    const isPair = operator === 'join' || operator === 'cogroup'
    for (const [i, input] of inputs.entries()) lines.push(`  n${input} -->${isPair ? `|${i === 0 ? 'left' : 'right'}|` : ''} n${id}`)
  }
  return lines.join('\n')
}

/** Mermaid takes characters that would end or change a label as numbers. */
function escaped(text: string): string {
  return text.replace(/["#<>&;`\n]/g, character => `#${character.charCodeAt(0)};`)
}
