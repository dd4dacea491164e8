/**
 * Cuts a plan into stages that many tasks can run: wherever rows of one key, or all rows, must come together. Before the cut each task does what it can with its own rows
 * (partial aggregates, distinct, the first rows, sorting); behind it each task has some of the keys, or one task has all.
 *
 * A stage's leaves are *inputs*, by number: sources, of which each task reads one split, and exchanges, of which each task reads its buckets, or all of a broadcast. A plan gives the same
 * stages in every thread, so that a task is named by numbers alone.
 */

import { partialWidth } from '../operator/aggregate-rows.ts'
import { shippedColumns } from '../operator/ship-rows.ts'
import type { RunOrder } from '../shuffle/run-writer.ts'
import type { Needs, Source } from '../source/source.ts'
import type { SourceRange } from '../source/source-range.ts'
import { inputNeeds, wholeRows } from './needs.ts'
import { inputsOf, type NamedExpression, type PlanNode } from './node.ts'
import { pushDown } from './push-down.ts'

/** Where rows of a stage come from. */
export type StageInput =
  | { readonly kind: 'source'; readonly source: Source; readonly range: SourceRange | undefined }
  | {
      readonly kind: 'exchange'
      /** Number of the stage whose tasks wrote it. */
      readonly stage: number
      readonly columns: readonly string[]
      /** The first so many columns are the key; 0: one task reads all, in the order of the tasks that wrote. */
      readonly keyWidth: number
      /** Whether every task of the stage reads all of it, whatever else it reads. */
      readonly isBroadcast: boolean
      /** Whether it has sorted runs, of which each task merges a range of keys; the tasks' rows one after the other are all rows in order. */
      readonly isSorted: boolean
    }

/** What tasks write at the end of a stage. */
export interface StageOutput {
  readonly columns: readonly string[]
  readonly keyWidth: number
  /** Undefined: rows as they come, divided by the hash of their key. Else in runs in this order, the columns `#0`, `#1`, … being what they are ordered by. */
  readonly order?: RunOrder
}

export interface Stage {
  readonly plan: PlanNode
  readonly output: StageOutput
}

export interface StagedPlan {
  /** In an order in which they can be run; the last gives the result, as shipped rows without a key. */
  readonly stages: readonly Stage[]
  readonly inputs: readonly StageInput[]
}

export function cutStages(plan: PlanNode): StagedPlan {
  const cut = new Cut()
  const last = cut.node(pushDown(plan), wholeRows)
  cut.stages.push({ plan: { op: 'ship', input: last, keys: [], needs: wholeRows }, output: { columns: [''], keyWidth: 0 } })
  return { stages: cut.stages, inputs: cut.inputs }
}

class Cut {
  readonly stages: Stage[] = []
  readonly inputs: StageInput[] = []

  /** The plan with inputs in place of sources and of what other stages do. */
  node(node: PlanNode, needs: Needs): PlanNode {
    if (node.op === 'source') return this.#input({ kind: 'source', source: node.source, range: node.range })
    if (node.op === 'input') return node
    const below = inputNeeds(node, needs)
    switch (node.op) {
      case 'union':
        return { ...node, inputs: node.inputs.map(input => this.#united(this.node(input, below), below)) }
      case 'aggregate':
        return this.#aggregate(node, this.node(node.input, below))
      case 'fold':
        return this.#fold(node, this.node(node.input, below), below)
      case 'distinct': {
        const by = node.by.length === 0 ? [{ kind: 'field', path: '' } as const] : node.by
        return { ...node, input: this.#ship({ ...node, input: this.node(node.input, below) }, by, below) }
      }
      case 'sort':
        if (node.divideBy !== undefined) return { ...node, input: this.#ship(this.node(node.input, below), node.divideBy, below) }
        return this.#sort(node, this.node(node.input, below))
      case 'limit': {
        const first: PlanNode = { ...node, input: this.node(node.input, below), count: node.count + node.offset, offset: 0 }
        return { ...node, input: this.#ship(first, [], below) }
      }
      case 'window':
        return { ...node, input: this.#ship(this.node(node.input, below), node.keys.map(expressionOf), below) }
      case 'repartition':
        return node.by.length === 0 ? this.node(node.input, below) : this.#ship(this.node(node.input, below), node.by, below)
      case 'join':
      case 'cogroup': {
        if (node.op === 'join' && isBroadcast(node)) {
          const needsRight = inputNeeds(node, needs, 1)
          const right = this.#ship(this.node(node.right, needsRight), [], needsRight, true)
          return { ...node, right, left: this.node(node.left, below) }
        }
        const leftKeys = node.op === 'join' ? node.leftKeys : node.keys.map(expressionOf)
        const right = this.#ship(this.node(node.right, inputNeeds(node, needs, 1)), node.rightKeys, inputNeeds(node, needs, 1))
        return { ...node, right, left: this.#ship(this.node(node.left, below), leftKeys, below) }
      }
      default:
        return { ...node, input: this.node(node.input, below) }
    }
  }

  /** An input of a union, whose stage may have many tasks: what gives a row of no rows is done before, by one. */
  #united(input: PlanNode, needs: Needs): PlanNode {
    return givesRowOfNone(input) ? this.#ship(input, [], needs) : input
  }

  #fold(node: Extract<PlanNode, { op: 'fold' }>, input: PlanNode, needs: Needs): PlanNode {
    if (node.merge === undefined || node.keys.length === 0) return { ...node, input: this.#ship(input, node.keys.map(expressionOf), needs) }
    const columns = [...node.keys.map(key => key.name), 'value']
    this.stages.push({ plan: { ...node, input }, output: { columns, keyWidth: node.keys.length } })
    const keys = node.keys.map(({ name }): NamedExpression => ({ name, expression: { kind: 'field', path: name } }))
    return { ...node, keys, input: this.#exchange(columns, keys.length), isMerge: true }
  }

  #aggregate(node: Extract<PlanNode, { op: 'aggregate' }>, input: PlanNode): PlanNode {
    const columns = partialColumns(node)
    this.stages.push({ plan: { ...node, input, step: 'partial' }, output: { columns, keyWidth: node.keys.length } })
    return { ...node, input: this.#exchange(columns, node.keys.length), step: 'final' }
  }

  /** Each task sorts its rows into runs; the tasks of the next stage merge them, a range of keys each. */
  #sort({ by, together, first }: Extract<PlanNode, { op: 'sort' }>, input: PlanNode): PlanNode {
    const order: RunOrder = {
      by: by.map(({ descending, nullsFirst }) => ({ descending, nullsFirst })),
      together: together ?? by.length,
      first,
    }
    const keys = by.map(({ expression }) => expression)
    const columns = shippedColumns(keys.length, wholeRows)
    this.stages.push({ plan: { op: 'ship', input, keys, needs: wholeRows }, output: { columns, keyWidth: 0, order } })
    const stage = this.stages.length - 1
    return this.#input({ kind: 'exchange', stage, columns: [''], keyWidth: 0, isBroadcast: false, isSorted: true })
  }

  /** Ends a stage behind `input`; what stands in its place in the next one. */
  #ship(input: PlanNode, keys: Extract<PlanNode, { op: 'ship' }>['keys'], needs: Needs, isBroadcast: boolean = false): PlanNode {
    const columns = shippedColumns(keys.length, needs)
    this.stages.push({ plan: { op: 'ship', input, keys, needs }, output: { columns, keyWidth: keys.length } })
    return this.#exchange(columns, keys.length, isBroadcast)
  }

  #exchange(columns: readonly string[], keyWidth: number, isBroadcast: boolean = false): PlanNode {
    return this.#input({ kind: 'exchange', stage: this.stages.length - 1, columns, keyWidth, isBroadcast, isSorted: false })
  }

  #input(input: StageInput): PlanNode {
    this.inputs.push(input)
    return { op: 'input', index: this.inputs.length - 1 }
  }
}

/** Whether each task gets all right rows. Where right rows without a partner are wanted, no task alone knows which they are. */
function isBroadcast({ how, hint }: Extract<PlanNode, { op: 'join' }>): boolean {
  return hint === 'broadcast' && how !== 'right' && how !== 'full'
}

/** Whether a stage's plan has an aggregate or a fold of all rows, which has a result in every task. */
function givesRowOfNone(plan: PlanNode): boolean {
  if ((plan.op === 'aggregate' || plan.op === 'fold') && plan.keys.length === 0) return true
  return inputsOf(plan).some(givesRowOfNone)
}

function expressionOf({ expression }: NamedExpression): NamedExpression['expression'] {
  return expression
}

function partialColumns(node: Extract<PlanNode, { op: 'aggregate' }>): string[] {
  return Array.from({ length: partialWidth(node.keys.length, node.aggregates) }, (_, i) => String(i))
}
