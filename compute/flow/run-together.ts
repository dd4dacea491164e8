/** Several flows in one run: what they begin with in common is read and computed once. */
import { checkOptions } from '../../engine/index.ts'
import { type RunOptions, runFlowsTogether } from '../execute/run-flow.ts'
import { Collect } from '../operator/collect.ts'
import { Flow } from './flow.ts'

/** A flow of whatever rows. */
export type AnyFlow = Pick<Flow<unknown>, 'name' | 'plan' | 'toArray'>

/** What flows give, by their names. */
export type TogetherRows<Flows extends Readonly<Record<string, AnyFlow>>> = {
  -readonly [Name in keyof Flows]: Awaited<ReturnType<Flows[Name]['toArray']>>
}

/** Options of `runTogether`, as those of a run. */
export type TogetherOptions = Pick<RunOptions, 'signal' | 'memoryBytesMax'>

/**
 * Runs flows in the calling thread; resolves with the rows of each. Steps that they share, which were built once, as those before a `branch`, are done once, also what the reader of a topic or
 * store leaves out for a filter before all of them; but the right side of a join is read for each join. Worker threads run one flow at a time: where there are processors to spare, and
 * reading is not what takes the time, flows that run one after the other by `workers` may be faster.
 */
export async function runTogether<const Flows extends Readonly<Record<string, AnyFlow>>>(
  flows: Flows,
  options: TogetherOptions = {},
): Promise<TogetherRows<Flows>> {
  if (typeof flows !== 'object' || flows === null) throw new TypeError(`flows must be an object of flows, got ${String(flows)}`)
  checkOptions(options, 'runTogether', ['signal', 'memoryBytesMax'])
  const ends = Object.entries(flows).map(([name, flow]) => {
    if (!(flow instanceof Flow)) throw new TypeError(`flows.${name} must be a flow, got ${String(flow)}`)
    return { name, plan: flow.plan, end: new Collect() }
  })
  await runFlowsTogether(ends, options)
  return Object.fromEntries(ends.map(({ name, end }) => [name, end.values])) as TogetherRows<Flows>
}
