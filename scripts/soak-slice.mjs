/**
 * The bounded slice of all soaks that CI runs: each for so many seconds, one after the other, from a seed that is printed (and can be given with
 * `--seed N`), so that runs differ and every failure can be repeated. Writes reports/soak.json for the summary; ends with `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { seed: { type: 'string' }, seconds: { type: 'string', default: '45' } } })
const seed = values.seed ?? String(Math.floor(Date.now() / 1000) % 1_000_000)
const { seconds } = values

const soaks = [
  ['soak:model', '--seconds', seconds, '--start', seed],
  ['soak:store', '--seconds', seconds, '--start', seed],
  ['soak:stream', '--seconds', seconds, '--start', seed],
  ['soak:pipelines', '--seconds', seconds, '--start', seed],
  ['soak:crash', '--seconds', seconds, '--start', seed],
  ['soak:store-crash', '--seconds', seconds, '--start', seed],
  ['soak:fault', '--seconds', seconds, '--seed', seed],
  ['soak:fuzz', '--seconds', seconds, '--seed', seed],
  ['soak:kill', '--seconds', seconds, '--seed', seed],
  ['soak:replication', '--seeds', '60', '--from', seed],
]

console.log(`soak slice from seed ${seed}`)
let passed = 0
let failed = 0
for (const [script, ...args] of soaks) {
  const { stdout, stderr, status } = spawnSync('npm', ['run', '--silent', script, '--', ...args], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const counts = [...stdout.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1)
  const good = Number(counts?.[1] ?? 0)
  // A soak that died, or ran nothing, is a failure.
  const bad = Math.max(Number(counts?.[2] ?? 0), status === 0 && good > 0 ? 0 : 1)
  if (bad > 0) console.log(`${stdout.slice(-4000)}\n${stderr.slice(-2000)}`)
  console.log(`${script} ${args.join(' ')}: ${good} passed, ${bad} failed`)
  passed += good
  failed += bad
}
mkdirSync('reports', { recursive: true })
writeFileSync('reports/soak.json', JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: [] }))
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
