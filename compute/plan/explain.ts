/** A plan as text, for people: operators from the end to the sources, one a line, inputs indented. */
import { aggregateText } from '../aggregate/aggregate.ts'
import { expressionText } from '../expression/node.ts'
import { inputsOf, type NamedExpression, type PlanNode, type SortCriterion } from './node.ts'

/** The operator without its inputs. */
export function nodeText(node: PlanNode): string {
  switch (node.op) {
    case 'source':
      return `${node.source.kind} ${node.source.name}`
    case 'input':
      return `input ${node.index}`
    case 'ship':
      return node.keys.length === 0 ? 'to one task' : `to tasks by ${node.keys.map(expressionText).join(', ')}`
    case 'filter':
      return `filter ${expressionText(node.predicate)}`
    case 'filterBy':
      return 'filter by a function'
    case 'map':
    case 'flatMap':
    case 'mapBatch':
      return `${node.op} by a function`
    case 'words':
      return `words of ${expressionText(node.text)}`
    case 'mapAsync':
      return `mapAsync by a function, ${node.concurrency} at a time`
    case 'keyBy':
      return 'keyBy a function'
    case 'select':
      return `select ${node.columns.map(fieldText).join(', ')}`
    case 'aggregate': {
      const aggregates = node.aggregates.map(({ name, aggregate }) => `${name} = ${aggregateText(aggregate)}`).join(', ')
      const verb = node.step === undefined || node.step === 'whole' ? 'aggregate' : `${node.step} aggregate`
      return node.keys.length === 0 ? `${verb} ${aggregates}` : `${verb} ${aggregates} by ${node.keys.map(fieldText).join(', ')}`
    }
    case 'fold': {
      const verb = node.initial === undefined ? 'reduce' : 'fold'
      return node.keys.length === 0 ? `${verb} by a function` : `${verb} by a function, by ${node.keys.map(fieldText).join(', ')}`
    }
    case 'distinct':
      return node.by.length === 0 ? 'distinct' : `distinct by ${node.by.map(expressionText).join(', ')}`
    case 'sort':
      return `sort by ${node.by.map(criterionText).join(', ')}`
    case 'limit':
      return node.offset === 0 ? `limit ${node.count}` : `limit ${node.count} after ${node.offset}`
    case 'sample':
      return `sample ${node.fraction} with seed ${node.seed}`
    case 'union':
      return 'union'
    default:
      return node satisfies never
  }
}

export function explainPlan(plan: PlanNode): string {
  const lines: string[] = []
  const visit = (node: PlanNode, depth: number): void => {
    lines.push(`${'  '.repeat(depth)}${nodeText(node)}`)
    for (const input of inputsOf(node)) visit(input, depth + 1)
  }
  visit(plan, 0)
  return lines.join('\n')
}

function fieldText({ name, expression }: NamedExpression): string {
  const text = expressionText(expression)
  return text === name || text.startsWith('@') ? name : `${name} = ${text}`
}

function criterionText({ expression, descending, nullsFirst }: SortCriterion): string {
  return `${expressionText(expression)}${descending ? ' descending' : ''}${nullsFirst ? ', nulls first' : ''}`
}
