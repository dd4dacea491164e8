/**
 * What the operators of a run or task did, measured where rows go from one to the next: two readings of the clock a chunk and place, nothing a row. Time is an operator's own, without
 * those behind it; time in which it waits for a promise of its own or of a sink counts as its, time in which the thread does other work counts for nobody.
 */
import { inputsOf, type PlanNode } from '../plan/node.ts'
import type { Chunk } from '../vector/chunk.ts'
import { isPromise, type Receiver } from './receiver.ts'

/** Sums of one operator. Structured-clonable. */
export interface OperatorMeasure {
  rowsIn: number
  rowsOut: number
  /** Bytes of a source that were read, about. */
  bytesRead: number
  ms: number
}

/** The operators of a plan from the end to its leaves, each once: the same list in every thread. */
export function operatorsOf(plan: PlanNode): PlanNode[] {
  const nodes = new Set<PlanNode>()
  const visit = (node: PlanNode): void => {
    if (nodes.has(node)) return
    nodes.add(node)
    for (const input of inputsOf(node)) visit(input)
  }
  visit(plan)
  return [...nodes]
}

const nobody = (): OperatorMeasure => ({ rowsIn: 0, rowsOut: 0, bytesRead: 0, ms: 0 })

export class Meter {
  /** As `operatorsOf`, and behind them who takes the rows of the plan. */
  readonly measures: readonly OperatorMeasure[]
  readonly #ofNode = new Map<PlanNode, OperatorMeasure>()
  readonly #monotonic: () => number
  #current: OperatorMeasure | undefined
  #since = 0

  constructor(plan: PlanNode, monotonic: () => number) {
    const nodes = operatorsOf(plan)
    this.measures = [...nodes, undefined].map(nobody)
    for (const [i, node] of nodes.entries()) this.#ofNode.set(node, this.measures[i] as OperatorMeasure)
    this.#monotonic = monotonic
  }

  /** From here on time is this node's; undefined: nobody's. Returns whose it was. */
  enter(node: PlanNode | undefined): OperatorMeasure | undefined {
    return this.enterMeasure(node === undefined ? undefined : this.#ofNode.get(node))
  }

  enterMeasure(measure: OperatorMeasure | undefined): OperatorMeasure | undefined {
    const now = this.#monotonic()
    const before = this.#current
    if (before !== undefined) before.ms += now - this.#since
    this.#current = measure
    this.#since = now
    return before
  }

  read(leaf: PlanNode, bytes: number): void {
    const measure = this.#ofNode.get(leaf)
    if (measure !== undefined) measure.bytesRead += bytes
  }

  /** `receiver`, which takes the rows of `from` for `to`, or for what comes behind the plan. */
  between(from: PlanNode, to: PlanNode | undefined, receiver: Receiver): Receiver {
    const giver = this.#ofNode.get(from) ?? nobody() // rows of a cache come from a leaf that the plan does not have
    const taker = to === undefined ? (this.measures.at(-1) as OperatorMeasure) : (this.#ofNode.get(to) ?? nobody())
    return new MeteredReceiver(this, giver, taker, receiver)
  }
}

class MeteredReceiver implements Receiver {
  readonly #meter: Meter
  readonly #giver: OperatorMeasure
  readonly #taker: OperatorMeasure
  readonly #receiver: Receiver

  constructor(meter: Meter, giver: OperatorMeasure, taker: OperatorMeasure, receiver: Receiver) {
    this.#meter = meter
    this.#giver = giver
    this.#taker = taker
    this.#receiver = receiver
  }

  get isSated(): boolean {
    return this.#receiver.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    this.#giver.rowsOut += chunk.count
    this.#taker.rowsIn += chunk.count
    const before = this.#meter.enterMeasure(this.#taker)
    return this.#leave(this.#receiver.receive(chunk), before)
  }

  finish(): void | Promise<void> {
    const before = this.#meter.enterMeasure(this.#taker)
    return this.#leave(this.#receiver.finish(), before)
  }

  #leave(waits: void | Promise<void>, before: OperatorMeasure | undefined): void | Promise<void> {
    if (isPromise(waits)) return waits.finally(() => this.#meter.enterMeasure(before))
    this.#meter.enterMeasure(before)
  }
}
