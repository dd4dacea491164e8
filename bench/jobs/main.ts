/** `npm run bench:jobs`: runs workloads of jobs on every product that is installed, prints what they reached, and keeps it (`--help`). A missed target is printed and is no failure: machines differ. */
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { namesOption, type PartOptions, partCommand } from '../command.ts'
import { resultsFolder, storeArea } from '../overview.ts'
import { startProgress } from '../report/progress.ts'
import { checkAlike, mergeWorkloads, storedResults } from '../stored-results.ts'
import { findProducts, jobRounds, jobsArea, productNames, runJobs, selectJobs } from './area.ts'
import type { JobResults } from './report/summary.ts'
import { countJobRuns, makeInputs } from './run.ts'
import type { Product } from './workload.ts'
import { jobWorkloads } from './workloads.ts'

const resultsFile = join(resultsFolder, jobsArea.resultsFile)

type JobOptions = PartOptions & {
  readonly products: Product[]
  readonly contestants: string[]
  readonly short?: boolean
  readonly data?: string
  readonly inputs?: boolean
}

async function main(): Promise<void> {
  const command = jobsCommand().parse()
  const values = command.opts<JobOptions>()
  const { only, rounds } = values
  const size = values.small ? 'small' : values.short ? 'short' : 'large'
  const workloads = jobWorkloads.filter(({ name, onlyByName }) => (only.length === 0 ? onlyByName !== true : only.includes(name)))
  const found = findProducts(values.products)
  const names = values.contestants
  const selected = selectJobs(workloads, found, names)
  if (values.inputs && values.data === undefined) command.error('error: --inputs needs --data, a folder to keep them in')

  const progress = startProgress(countJobRuns(selected, rounds))
  try {
    if (values.inputs && values.data !== undefined) {
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

function jobsCommand(): Command {
  const contestants = [...new Set(jobWorkloads.flatMap(workload => workload.contestants.map(({ name }) => name)))]
  return partCommand('bench:jobs', 'Measures jobs beside DuckDB, Polars and JavaScript by hand.', {
    workloads: jobWorkloads,
    rounds: jobRounds,
    resultsFile,
  })
    .addOption(namesOption('--products', `only these: ${productNames.join(', ')}`, productNames))
    .addOption(namesOption('--contestants', 'only these of the products, such as `varve 1 thread`', contestants))
    .option('--short', 'a tenth of the usual input')
    .option('--data <folder>', 'keep inputs here, for the next run')
    .option('--inputs', 'make the inputs in --data, and run nothing')
}

await main()
