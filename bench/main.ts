/**
 * `npm run bench -- [--areas logs,store,jobs] [--rounds n] [--short] [--report] [--out folder] [--dir folder]`
 *
 * Runs the areas one after the other, prints what they reached, and writes results, reports and the overview of all areas: RESULTS.md and the page RESULTS.html. `--short`: less of
 * everything and one round, some ten minutes in place of some hours; written to `reports/bench`, unless `--out` says another folder, so that results of the usual size stay. `--report`
 * runs nothing and draws the overview from what is stored. For parts of an area see `bench:logs`, `bench:store`, `bench:jobs`. Exit code 1: a run failed. A missed
 * target is printed and is no failure: machines differ.
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { type AreaOptions, namesOf, roundsOf } from './area.ts'
import { areas } from './areas.ts'
import { resultsFolder, writeOverview } from './overview.ts'
import { startProgress } from './report/progress.ts'
import { runAreas } from './run-areas.ts'

const shortFolder = 'reports/bench'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      areas: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      short: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      out: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const folder = values.out ?? (values.short ? shortFolder : resultsFolder)
  if (values.report) {
    await writeOverview(folder)
    return
  }
  const names = namesOf(values.areas)
  const unknown = names.find(name => !areas.some(area => area.name === name))
  if (unknown !== undefined) throw new RangeError(`no area is called '${unknown}'; there are ${areas.map(({ name }) => name).join(', ')}`)
  const selected = areas.filter(({ name }) => names.length === 0 || names.includes(name))
  const options: AreaOptions = { rounds: roundsOf(values.rounds), isShort: values.short, dir: values.dir }

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
