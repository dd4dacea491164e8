/**
 * `npm run bench:logs -- [--only name,…] [--rounds n] [--small] [--json] [--update] [--dir folder]`
 *
 * Runs the workloads of `workloads.ts` and prints what they reached. A whole run with large parameters also writes `bench/logs/results.json` and,
 * made from it, `bench/LOGS.md` and the overview. `--update` puts the workloads of a partial run in place of those stored, if machine and size are the same; those that a
 * workload is compared to have to be in the run. Exit code 1: a workload failed. A missed target is printed and is no failure: machines differ.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { namesOf, roundsOf } from '../area.ts'
import { resultsFolder, storeArea } from '../overview.ts'
import { startProgress } from '../report/progress.ts'
import { checkAlike, mergeWorkloads, storedResults } from '../stored-results.ts'
import { logRounds, logsArea, runLogs } from './area.ts'
import type { LogResults } from './report/summary.ts'
import { selectWorkloads } from './run.ts'
import { workloads } from './workloads.ts'

const resultsFile = join(resultsFolder, logsArea.resultsFile)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      small: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      update: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const rounds = roundsOf(values.rounds) ?? logRounds
  const only = namesOf(values.only)
  const size = values.small ? 'small' : 'large'
  const selected = selectWorkloads(workloads, only)
  const progress = startProgress(selected.length * rounds)
  try {
    const stored = values.update ? storedResults<LogResults>(resultsFile) : undefined
    const check = (header: Pick<LogResults, 'machine' | 'size'>): void => {
      if (stored !== undefined) checkAlike(resultsFile, stored, header, 'machine', 'size')
    }
    const results = await runLogs({ selected, rounds, size, dir: values.dir, check }, (what, done) => progress.update(done, what))
    progress.stop()
    if (stored !== undefined) {
      await storeArea(resultsFolder, logsArea, { ...results, workloads: mergeWorkloads(stored.workloads, results.workloads, workloads) })
    } else if (values.update || (size === 'large' && only.length === 0)) await storeArea(resultsFolder, logsArea, results)
    console.log(values.json ? JSON.stringify(results, undefined, 2) : logsArea.terminal(results))
  } finally {
    progress.stop()
  }
}

await main()
