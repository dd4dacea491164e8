/**
 * `npm run bench:jobs -- [--only name,…] [--products name,…] [--contestants name,…] [--rounds n] [--short] [--small] [--json] [--update] [--data folder] [--inputs] [--dir folder]`
 *
 * Runs the workloads of `workloads.ts` on every product that is installed and prints what they reached. A whole run also writes `bench/jobs/results.json` and, made from it,
 * `bench/JOBS.md` and the overview. `--update` puts the workloads of a partial run in place of those stored, if machine, size and products are the same. `--data` keeps the inputs in a folder, for the next
 * run; `--inputs` makes them and runs nothing. Exit code 1: a run failed. A missed target is printed and is no failure: machines differ.
 */
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { namesOf, roundsOf } from '../area.ts'
import { resultsFolder, storeArea } from '../overview.ts'
import { startProgress } from '../report/progress.ts'
import { checkAlike, mergeWorkloads, storedResults } from '../stored-results.ts'
import { findProducts, jobRounds, jobsArea, runJobs, selectJobs } from './area.ts'
import type { JobResults } from './report/summary.ts'
import { countJobRuns, makeInputs } from './run.ts'
import { findJobWorkload, jobWorkloads } from './workloads.ts'

const resultsFile = join(resultsFolder, jobsArea.resultsFile)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      products: { type: 'string', multiple: true, default: [] },
      contestants: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      small: { type: 'boolean', default: false },
      short: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      update: { type: 'boolean', default: false },
      data: { type: 'string' },
      inputs: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const rounds = roundsOf(values.rounds) ?? jobRounds
  const size = values.small ? 'small' : values.short ? 'short' : 'large'
  const only = namesOf(values.only).map(name => findJobWorkload(name))
  const workloads = jobWorkloads.filter(workload => (only.length === 0 ? workload.onlyByName !== true : only.includes(workload)))
  const found = findProducts(namesOf(values.products))
  const names = namesOf(values.contestants)
  const selected = selectJobs(workloads, found, names)

  const progress = startProgress(countJobRuns(selected, rounds))
  try {
    if (values.inputs) {
      if (values.data === undefined) throw new RangeError('--inputs needs --data, a folder to keep them in')
      await makeInputs({ selected, size, data: resolve(values.data) }, what => progress.update(0, what))
      return
    }
    const stored = values.update ? storedResults<JobResults>(resultsFile) : undefined
    const { results, failures } = await runJobs(
      {
        selected,
        found,
        size,
        rounds,
        dir: values.dir,
        data: values.data,
        check: header => {
          if (stored !== undefined) checkAlike(resultsFile, stored, header, 'machine', 'size', 'products')
        },
      },
      (what, done) => progress.update(done, what),
    )
    progress.stop()
    const whole = size === 'large' && only.length === 0 && values.products.length === 0 && names.length === 0
    if (stored !== undefined) {
      const merged = mergeWorkloads(stored.workloads, results.workloads, jobWorkloads)
      await storeArea(resultsFolder, jobsArea, { ...results, workloads: merged })
    } else if (values.update || whole) await storeArea(resultsFolder, jobsArea, results)
    console.log(values.json ? JSON.stringify(results, undefined, 2) : jobsArea.terminal(results))
    for (const failure of failures) console.error(`FAILED: ${failure}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    progress.stop()
  }
}

await main()
