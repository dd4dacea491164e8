/**
 * Runs the replication probe over many seeds: `npm run soak:replication -- --seeds 1000 [--from 1] [--twice]`. With `--twice` every seed runs twice and
 * must leave the same trace and the same bytes. Prints each failure as it comes, and `N passed, N failed` at the end.
 */
import { parseArgs } from 'node:util'
import { Cluster } from './cluster.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    twice: { type: 'boolean', default: false },
  },
})
const first = Number(values.from)
const count = Number(values.seeds)
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) throw new RangeError('--seeds and --from must be integers')

const totals = new Map<string, number>()
let passed = 0
const failed: number[] = []
for (let seed = first; seed < first + count; seed++) {
  try {
    const outcome = await new Cluster(seed).run()
    if (values.twice) {
      const again = await new Cluster(seed).run()
      if (JSON.stringify(again) !== JSON.stringify(outcome)) throw new Error(`seed ${seed}: two runs differ`)
    }
    for (const [name, value] of Object.entries(outcome.counters)) totals.set(name, (totals.get(name) ?? 0) + value)
    passed++
  } catch (error) {
    failed.push(seed)
    console.error(error instanceof Error ? error.stack : error)
  }
}
console.log([...totals].map(([name, value]) => `${name} ${value}`).join(', '))
if (failed.length > 0) console.log(`failed seeds: ${failed.join(' ')}`)
console.log(`${passed} passed, ${failed.length} failed`)
if (failed.length > 0) process.exitCode = 1
