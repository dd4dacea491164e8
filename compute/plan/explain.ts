/** A plan as text, for people: operators from the end to the sources, one a line, inputs indented. */
import { aggregateText } from '../aggregate/aggregate.ts'
import { type ExpressionNode, expressionText } from '../expression/node.ts'
import { windowText } from '../window/window-function.ts'
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
    case 'emit':
      return 'map to pairs by a function'
    case 'combine':
      return 'combine by a function'
    case 'reduceGroups':
      return 'reduce by a function'
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
      return `sort by ${node.by.map(criterionText).join(', ')}, ${node.divideBy === undefined ? 'in ranges of keys' : `tasks by ${node.divideBy.map(expressionText).join(', ')}`}`
    case 'limit':
      return node.offset === 0 ? `limit ${node.count}` : `limit ${node.count} after ${node.offset}`
    case 'sample':
      return `sample ${node.fraction} with seed ${node.seed}`
    case 'union':
      return 'union'
    case 'withColumns':
      return `withColumns ${node.columns.map(fieldText).join(', ')}`
    case 'join': {
      const keys = node.leftKeys.map((key, i) => equalText(key, node.rightKeys[i] as ExpressionNode)).join(' and ')
      const combined = node.combine === undefined ? '' : ', combined by a function'
      return `${node.how} join on ${keys}${node.hint === undefined ? '' : `, ${node.hint}`}${combined}`
    }
    case 'cogroup':
      return `cogroup by ${node.keys.map(({ expression }, i) => equalText(expression, node.rightKeys[i] as ExpressionNode)).join(' and ')}`
    case 'window': {
      const columns = node.columns.map(({ name, window }) => `${name} = ${windowText(window)}`).join(', ')
      const limit = node.limit === undefined ? '' : `first ${node.limit} `
      const of = `of each ${node.keys.map(fieldText).join(', ')} by ${node.by.map(criterionText).join(', ')}`
      return `window ${limit}${of}${columns === '' ? '' : `: ${columns}`}`
    }
    case 'cache':
      return node.cell.rows === undefined ? 'cache' : `cache of ${node.cell.rows.length} rows`
    case 'repartition':
      return node.by.length === 0 ? 'repartition' : `repartition by ${node.by.map(expressionText).join(', ')}`
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

/** Two keys that must be equal; one name where both have it. A key that a function computes has none. */
function equalText(left: ExpressionNode, right: ExpressionNode): string {
  const [a, b] = [left, right].map(key => expressionText(key).replace(/^@group$/, 'a function')) as [string, string]
  return a === b ? a : `${a} = ${b}`
}
