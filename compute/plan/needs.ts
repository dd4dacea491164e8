/** What operators need of their inputs' rows, so that sources take out these fields alone and stages send nothing else. */
import { aggregateFields } from '../aggregate/aggregate.ts'
import { type ExpressionNode, fieldsRead } from '../expression/node.ts'
import { PAIR_COLUMNS } from '../operator/emit-rows.ts'
import type { Needs } from '../source/source.ts'
import { windowFields } from '../window/window-function.ts'
import type { NamedExpression, PlanNode } from './node.ts'

/** Rows as values. */
export const wholeRows: Needs = { paths: [], values: true }

/** What `node` needs of its input, of the number in `inputsOf`, when `needs` is needed of its own rows. */
export function inputNeeds(node: Exclude<PlanNode, { op: 'source' | 'input' }>, needs: Needs, input: number = 0): Needs {
  switch (node.op) {
    case 'filter':
      return also(needs, readBy([node.predicate]))
    case 'filterBy':
    case 'keyBy':
      return { ...needs, values: true }
    case 'map':
    case 'flatMap':
    case 'mapBatch':
    case 'mapAsync':
      return wholeRows
    case 'emit':
      return wholeRows
    case 'combine':
    case 'reduceGroups':
      return { paths: [...PAIR_COLUMNS], values: false }
    case 'words':
      return fieldsOnly(readBy([node.text]))
    case 'select':
      return fieldsOnly(readBy(node.columns.map(column => column.expression)))
    case 'aggregate': {
      const read = readBy(node.keys.map(key => key.expression))
      for (const { aggregate } of node.aggregates) aggregateFields(aggregate, read)
      return fieldsOnly(read)
    }
    case 'fold':
      if (node.isMerge === true) return { paths: [...node.keys.map(key => key.name), 'value'], values: false }
      return also(wholeRows, readBy(node.keys.map(key => key.expression)))
    case 'distinct':
      return node.by.length === 0 ? also(needs, new Set([''])) : also(needs, readBy(node.by))
    case 'sort':
      return also(wholeRows, readBy(node.by.map(by => by.expression)))
    case 'ship':
      return also(node.needs, readBy(node.keys))
    case 'withColumns':
      return also(without(needs, node.columns), readBy(node.columns.map(column => column.expression)))
    case 'join': {
      const keys = readBy(input === 0 ? node.leftKeys : node.rightKeys)
      if (node.how === 'semi' || node.how === 'anti') return input === 0 ? also(needs, keys) : fieldsOnly(keys)
      // Whether the outermost field is null decides which side a path is of.
      const outermost = needs.paths.filter(path => !path.startsWith('@')).map(path => path.split('.')[0] as string)
      // What a record has beside its value is the left one's.
      const paths = input === 0 ? needs.paths : needs.paths.filter(path => !path.startsWith('@'))
      return also({ paths, values: needs.values || node.combine !== undefined }, new Set([...keys, ...outermost]))
    }
    case 'cogroup':
      return also(wholeRows, readBy(input === 0 ? node.keys.map(key => key.expression) : node.rightKeys))
    case 'window': {
      const read = readBy([...node.keys, ...node.by].map(({ expression }) => expression))
      for (const { window } of node.columns) windowFields(window, read)
      return also(wholeRows, read)
    }
    case 'cache':
      return also(wholeRows, new Set(needs.paths))
    case 'repartition':
      return also(needs, readBy(node.by))
    case 'limit':
    case 'sample':
    case 'union':
      return needs
    default:
      return node satisfies never
  }
}

function readBy(expressions: readonly ExpressionNode[]): Set<string> {
  const read = new Set<string>()
  for (const expression of expressions) fieldsRead(expression, read)
  return read
}

/** What is left to need of rows that get these fields added. */
function without(needs: Needs, added: readonly NamedExpression[]): Needs {
  const paths = needs.paths.filter(path => !added.some(({ name }) => path === name || path.startsWith(`${name}.`)))
  return { ...needs, paths }
}

function fieldsOnly(read: ReadonlySet<string>): Needs {
  return { paths: [...read], values: read.has('') }
}

function also(needs: Needs, read: ReadonlySet<string>): Needs {
  return { paths: [...new Set([...needs.paths, ...read])], values: needs.values || read.has('') }
}
