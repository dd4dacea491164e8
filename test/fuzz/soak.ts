/** `npm run soak:fuzz`: a million damaged folders in the simulated environment; `--count`, `--seconds`, `--seed` choose others. */
import { soak, soakOptions } from '../fault/soak-loop.ts'
import { runFuzzCase } from './fuzz-case.ts'
import { makeImages } from './images.ts'

const options = soakOptions(1_000_000)
const images = await makeImages(options.seed)
const tally = new Map<string, number>()
const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

await soak(options, Number.POSITIVE_INFINITY, async number => {
  const { what, kind, detail } = await runFuzzCase(images, options.seed * 10_000_019 + number)
  if (number % 64 === 0) await new Promise(resolve => setImmediate(resolve))
  const name = kind === 'typed error' ? `${kind} ${detail}` : kind
  tally.set(name, (tally.get(name) ?? 0) + 1)
  const problems = unhandled.splice(0).map(reason => `unhandled rejection: ${String(reason)}`)
  if (kind === 'FAILED') problems.unshift(detail)
  return { problems: problems.slice(0, 1), repeat: what }
})
console.log([...tally].map(([name, count]) => `${name}: ${count}`).join(', '))
