/** `npm run bench:logs`: runs workloads of logs and topics, prints what they reached, and keeps it (`--help`). A missed target is printed and is no failure: machines differ. */
import { join } from 'node:path'
import { type PartOptions, partCommand } from '../command.ts'
import { resultsFolder, storeArea } from '../overview.ts'
import { startProgress } from '../report/progress.ts'
import { checkAlike, mergeWorkloads, storedResults } from '../stored-results.ts'
import { logRounds, logsArea, runLogs } from './area.ts'
import type { LogResults } from './report/summary.ts'
import { selectWorkloads } from './run.ts'
import { workloads } from './workloads.ts'

const resultsFile = join(resultsFolder, logsArea.resultsFile)

async function main(): Promise<void> {
  const values = partCommand(
    'bench:logs',
    'Measures logs and topics beside their peers; a workload brings along those it is compared with.',
    {
      workloads,
      rounds: logRounds,
      resultsFile,
    },
  )
    .parse()
    .opts<PartOptions>()
  const { only, rounds } = values
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
