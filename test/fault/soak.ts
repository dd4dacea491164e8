/** `npm run soak:fault`: every operation of the scripted workload fails in every way; with another --seed the timing differs. */
import { SimRandom } from '../../engine/env/index.ts'
import { type FaultMode, faultModes, prepareStages, runFaultCase, type Stage } from './enumerate.ts'
import { soak, soakOptions } from './soak-loop.ts'

const options = soakOptions(Number.POSITIVE_INFINITY)
const stages = await prepareStages(options.seed)
const cases: { stage: Stage; operation: number; mode: FaultMode }[] = []
for (const mode of faultModes)
  for (const stage of stages) for (let operation = 1; operation <= stage.operationCount; operation++) cases.push({ stage, operation, mode })
// In an order of the seed's, so that a run of some seconds meets all sections and modes.
const random = new SimRandom(options.seed)
for (let i = cases.length - 1; i > 0; i--) {
  const j = random.below(i + 1)
  const moved = cases[i] as (typeof cases)[number]
  cases[i] = cases[j] as (typeof cases)[number]
  cases[j] = moved
}

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

await soak(options, cases.length, async number => {
  const { stage, operation, mode } = cases[number] as (typeof cases)[number]
  const { problems } = await runFaultCase({ stage, operation, mode, seed: options.seed })
  await new Promise(resolve => setImmediate(resolve))
  const all = [...problems, ...unhandled.splice(0).map(reason => `unhandled rejection: ${String(reason)}`)]
  return { problems: all.slice(0, 1), repeat: `seed ${options.seed}, ${stage.section.name}, operation ${operation}, ${mode}` }
})
