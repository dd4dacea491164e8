/** A plan as text, for people: operators from the end to the sources, one a line, inputs indented. */
import { aggregateText } from '../aggregate/aggregate.ts'
import { type ExpressionNode, expressionText } from '../expression/node.ts'
import type { Needs } from '../source/source.ts'
import { rangeText } from '../source/source-range.ts'
import { META } from '../vector/chunk.ts'
import { windowText } from '../window/window-function.ts'
import { inputNeeds, wholeRows } from './needs.ts'
import { inputsOf, type NamedExpression, type PlanNode, type SortCriterion } from './node.ts'
import { isOrderFree } from './order-free.ts'
import { pushDown } from './push-down.ts'

/** The operator without its inputs. */
export function nodeText(node: PlanNode): string {
  switch (node.op) {
    case 'source':
      return sourceText(node)
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
      return `sort by ${node.by.map(criterionText).join(', ')}, ${sortShareText(node)}`
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

/** How tasks share a sort. */
function sortShareText({ divideBy, first }: Extract<PlanNode, { op: 'sort' }>): string {
  if (divideBy !== undefined) return `tasks by ${divideBy.map(expressionText).join(', ')}`
  return first === undefined ? 'in ranges of keys' : `only the first ${first}`
}

function sourceText({ source, range }: Extract<PlanNode, { op: 'source' }>): string {
  const text = range === undefined ? '' : rangeText(range)
  return text === '' ? `${source.kind} ${source.name}` : `${source.kind} ${source.name}, ${text}`
}

/** What a source takes out of its rows, where it need not decode them; `own`: what of it certainly is the source's, not of the other side of a join. */
function needsText({ paths, values }: Needs, own: Needs, columns: readonly string[]): string {
  if (values) return ''
  if (paths.length === 0) return ': only counted'
  const beside: readonly string[] = [META.time, META.offset, META.partition]
  const areColumns = columns.length > 0 && paths.every(path => columns.includes(path) || beside.includes(path))
  const certain = paths.filter(path => own.paths.includes(path) || columns.includes(path))
  const others = paths.filter(path => !certain.includes(path))
  const ofEither = others.length === 0 ? '' : `${certain.length === 0 ? '' : '; '}if it has them ${others.join(', ')}`
  return `: ${areColumns ? 'columns' : 'fields'} ${certain.join(', ')}${ofEither}`
}

const nothing: Needs = { paths: [], values: false }

/** Two plans that have one text do the same. */
export function planText(plan: PlanNode): string {
  return linesOf(plan, () => '').join('\n')
}

/** As people want to see it: with what sources do of what was asked of others, what they read, and where the order of rows counts. */
export function explainPlan(plan: PlanNode): string {
  return linesOf(pushDown(plan), needsText, node => (isOrderFree(node) ? '' : '; order counts')).join('\n')
}

function linesOf(
  plan: PlanNode,
  describeNeeds: (needs: Needs, own: Needs, columns: readonly string[]) => string,
  note: (node: PlanNode) => string = () => '',
): string[] {
  const lines: string[] = []
  const visit = (node: PlanNode, depth: number, needs: Needs, own: Needs): void => {
    const source = node.op === 'source' && (node.source.kind === 'topic' || node.source.kind === 'store') ? node.source : undefined
    lines.push(
      `${'  '.repeat(depth)}${nodeText(node)}${source === undefined ? '' : describeNeeds(needs, own, source.columns ?? [])}${note(node)}`,
    )
    for (const [i, input] of inputsOf(node).entries()) {
      if (node.op === 'source' || node.op === 'input') continue
      // Which side of a join has a field that is wanted of its rows is not known; keys are of theirs.
      const isOfEither = node.op === 'join' && node.how !== 'semi' && node.how !== 'anti'
      visit(input, depth + 1, inputNeeds(node, needs, i), inputNeeds(node, isOfEither ? nothing : own, i))
    }
  }
  visit(plan, 0, wholeRows, wholeRows)
  return lines
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
