/**
 * Cycles of dependencies between units (transactions, lone sends and polls), in the manner of Adya and of Elle.
 *
 * - ww: a unit's value lies directly before another's in the log of a partition.
 * - wr: a unit read what another wrote.
 * - rw: a unit read a partition to its end, and another's value lies next behind what it saw. A read that stopped before the end says nothing about
 *   what came later, so it makes no such edge.
 *
 * Each strongly connected component of the edges in question gives one anomaly: a shortest cycle through one of its deciding edges.
 */
import type { Analysis, Unit } from './analysis.ts'
import { type Anomaly, type AnomalyKind, nameOf } from './anomaly.ts'
import type { Partition, Value } from './history.ts'
import type { Run } from './runs.ts'

type EdgeKind = 'ww' | 'wr' | 'rw'

interface Edge {
  readonly kind: EdgeKind
  readonly from: Unit
  readonly to: Unit
  readonly partition: Partition
  readonly values: readonly Value[]
}

export function detectCycles(analysis: Analysis, runs: readonly Run[]): Anomaly[] {
  const edges = dependencies(analysis, runs)
  const found: Anomaly[] = []
  const search = (kind: AnomalyKind, kinds: readonly EdgeKind[], deciding: EdgeKind, isMixed: boolean): void => {
    const graph = edges.filter(edge => kinds.includes(edge.kind))
    for (const component of components(graph)) {
      const inside = component.filter(edge => edge.kind === deciding)
      for (const edge of inside) {
        const cycle = shortestCycle(edge, component)
        if (isMixed && cycle.every(({ kind }) => kind === deciding)) continue
        found.push(anomalyOf(kind, cycle))
        break
      }
    }
  }
  search('G0', ['ww'], 'ww', false)
  search('G1c', ['wr'], 'wr', false)
  search('G1c-ww', ['ww', 'wr'], 'wr', true)
  search('G2', ['ww', 'wr', 'rw'], 'rw', false)
  return found
}

function dependencies({ logs, writes, reads, unitOf }: Analysis, runs: readonly Run[]): Edge[] {
  const edges: Edge[] = []
  const add = (kind: EdgeKind, from: Unit | undefined, to: Unit | undefined, partition: Partition, values: readonly Value[]): void => {
    if (from?.fate === 'committed' && to?.fate === 'committed' && from !== to) edges.push({ kind, from, to, partition, values })
  }
  const order = new Map<Partition, { readonly offset: number; readonly value: Value; readonly unit: Unit }[]>()
  for (const [partition, log] of logs) {
    const known = log.flatMap(({ offset, values }) => {
      const write = values.length === 1 ? writes.get(values[0]!) : undefined
      return write?.fate === 'committed' ? [{ offset, value: write.value, unit: write.unit }] : []
    })
    order.set(partition, known)
    for (const [i, { value, unit }] of known.entries())
      if (i > 0) add('ww', known[i - 1]!.unit, unit, partition, [known[i - 1]!.value, value])
  }
  for (const { partition, value, unit } of reads) add('wr', writes.get(value)?.unit, unit, partition, [value])
  for (const { partition, from, steps, ends } of runs)
    for (const end of ends) {
      const last = steps[end.steps - 1]
      const position = last === undefined ? from : last.offset + 1
      const next = position === undefined ? undefined : order.get(partition)?.find(({ offset }) => offset >= position)
      if (next !== undefined) add('rw', unitOf.get(end.poll), next.unit, partition, [last?.value ?? 'nothing', next.value])
    }
  return edges
}

/** The edges of each strongly connected component of two units or more (Tarjan, without recursion). */
function components(edges: readonly Edge[]): Edge[][] {
  const out = new Map<Unit, Unit[]>()
  for (const { from, to } of edges) {
    const targets = out.get(from)
    if (targets === undefined) out.set(from, [to])
    else targets.push(to)
  }
  const index = new Map<Unit, number>()
  const low = new Map<Unit, number>()
  const stack: Unit[] = []
  const onStack = new Set<Unit>()
  const componentOf = new Map<Unit, number>()
  let count = 0
  for (const root of out.keys()) {
    if (index.has(root)) continue
    const work: { readonly unit: Unit; next: number }[] = [{ unit: root, next: 0 }]
    while (work.length > 0) {
      const frame = work.at(-1)!
      const { unit } = frame
      if (frame.next === 0) {
        index.set(unit, index.size)
        low.set(unit, index.get(unit)!)
        stack.push(unit)
        onStack.add(unit)
      }
      const target = out.get(unit)?.[frame.next++]
      if (target !== undefined) {
        if (!index.has(target)) work.push({ unit: target, next: 0 })
        else if (onStack.has(target)) low.set(unit, Math.min(low.get(unit)!, index.get(target)!))
        continue
      }
      work.pop()
      const parent = work.at(-1)?.unit
      if (parent !== undefined) low.set(parent, Math.min(low.get(parent)!, low.get(unit)!))
      if (low.get(unit) !== index.get(unit)) continue
      for (let member: Unit | undefined; member !== unit; ) {
        member = stack.pop()!
        onStack.delete(member)
        componentOf.set(member, count)
      }
      count++
    }
  }
  const inside = new Map<number, Edge[]>()
  for (const edge of edges) {
    const component = componentOf.get(edge.from)
    if (component === undefined || component !== componentOf.get(edge.to)) continue
    const members = inside.get(component)
    if (members === undefined) inside.set(component, [edge])
    else members.push(edge)
  }
  return [...inside.values()]
}

/** The edge and a shortest way back from its end to its start, which exists within a component. */
function shortestCycle(edge: Edge, component: readonly Edge[]): Edge[] {
  const out = new Map<Unit, Edge[]>()
  for (const other of component) out.set(other.from, [...(out.get(other.from) ?? []), other])
  const reachedBy = new Map<Unit, Edge>()
  const queue = [edge.to]
  for (const unit of queue) {
    if (unit === edge.from) break
    for (const next of out.get(unit) ?? [])
      if (next.to !== edge.to && !reachedBy.has(next.to)) {
        reachedBy.set(next.to, next)
        queue.push(next.to)
      }
  }
  const back: Edge[] = []
  for (let unit = edge.from; unit !== edge.to; ) {
    const step = reachedBy.get(unit)!
    back.unshift(step)
    unit = step.from
  }
  return [edge, ...back]
}

function anomalyOf(kind: AnomalyKind, cycle: readonly Edge[]): Anomaly {
  const words = {
    ww: ({ from, to, partition, values }: Edge) => `${from.id} wrote ${values[0]} in ${partition} before ${to.id} wrote ${values[1]}`,
    wr: ({ from, to, partition, values }: Edge) => `${from.id} wrote ${values[0]} in ${partition}, which ${to.id} read`,
    rw: ({ from, to, partition, values }: Edge) =>
      `${from.id} read ${partition} to its end at ${values[0]} before ${to.id} wrote ${values[1]}`,
  }
  const operations = [...new Set(cycle.flatMap(({ from }) => [...from.sends, ...from.polls].slice(0, 1)))]
  return {
    kind,
    partition: cycle[0]!.partition,
    values: [...new Set(cycle.flatMap(({ values }) => values))],
    operations,
    evidence: `${cycle.map(edge => words[edge.kind](edge)).join('; ')} (${operations.map(nameOf).join(', ')})`,
  }
}
