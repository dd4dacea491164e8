/**
 * `npm run bench`: runs the areas one after the other, prints what they reached, and writes results, reports and the overview of all areas: RESULTS.md and the page
 * RESULTS.html. Exit code 1: a run failed. A missed target is printed and is no failure: machines differ.
 */
import { tmpdir } from 'node:os'
import type { AreaOptions } from './area.ts'
import { areas } from './areas.ts'
import { benchCommand, namesOption, toRounds } from './command.ts'
import { resultsFolder, writeOverview } from './overview.ts'
import { startProgress } from './report/progress.ts'
import { runAreas } from './run-areas.ts'

const shortFolder = 'reports/bench'

interface Values {
  readonly areas: string[]
  readonly rounds?: number
  readonly short?: boolean
  readonly report?: boolean
  readonly out?: string
  readonly dir: string
}

async function main(): Promise<void> {
  const names = areas.map(({ name }) => name)
  const command = benchCommand(
    'bench',
    'Measures Varve beside its peers, area by area, and writes results, reports, RESULTS.md and the page RESULTS.html.',
  )
    .addOption(namesOption('--areas', `only these: ${names.join(', ')}`, names))
    .option('--rounds <count>', 'how often each workload runs; default: what each area says', toRounds)
    .option('--short', `less of everything and one round: minutes in place of hours; written to ${shortFolder}, so that usual results stay`)
    .option('--report', 'run nothing, and draw the overview from what is stored')
    .option('--out <folder>', `where results go; default: ${resultsFolder}`)
    .option('--dir <folder>', 'where databases are made for what is measured', tmpdir())
    .addHelpText(
      'after',
      '\nFor parts of an area: bench:logs, bench:store, bench:jobs. Exit code 1: a run failed; a missed target is no failure.',
    )
    .parse()
  const values = command.opts<Values>()
  const folder = values.out ?? (values.short ? shortFolder : resultsFolder)
  if (values.report) {
    await writeOverview(folder)
    return
  }
  const selected = areas.filter(({ name }) => values.areas.length === 0 || values.areas.includes(name))
  const options: AreaOptions = { rounds: values.rounds, isShort: values.short === true, dir: values.dir }

  const progress = startProgress(selected.reduce((sum, area) => sum + area.countRuns(options), 0))
  const { reports, failures } = await runAreas(selected, options, folder, (what, done) => progress.update(done, what)).finally(() =>
    progress.stop(),
  )
  for (const report of reports) console.log(report)
  console.log(`written to ${folder}: RESULTS.md, RESULTS.html${selected.map(({ markdownFile }) => `, ${markdownFile}`).join('')}`)
  for (const failure of failures) console.error(`FAILED: ${failure}`)
  if (failures.length > 0) process.exitCode = 1
}

await main()
