/**
 * `npm run bench:jobs -- [--only name,…] [--products name,…] [--contestants name,…] [--rounds n] [--small] [--json] [--update] [--data folder] [--inputs] [--dir folder]`
 *
 * Runs the workloads of `workloads.ts` on every product that is installed and prints what they reached. A whole run also writes `bench/jobs/results.json` and, made from it,
 * `bench/JOBS.md`. `--update` puts the workloads of a partial run in place of those stored, if machine, size and products are the same. `--data` keeps the inputs in a folder, for the next
 * run; `--inputs` makes them and runs nothing. Exit code 1: a run failed. A missed target is printed and is no failure: machines differ.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packageVersion, peerVersion } from '../peer-packages.ts'
import { describeMachine } from '../report/machine.ts'
import { startProgress } from '../report/terminal.ts'
import { checkAlike, mergeWorkloads, storedResults } from '../stored-results.ts'
import { polarsPackage } from './products/polars.ts'
import { jobsMarkdown } from './report/markdown.ts'
import type { JobResults } from './report/summary.ts'
import { jobsTerminalReport } from './report/terminal.ts'
import { countJobRuns, makeInputs, runAllJobs, type SelectedJob } from './run.ts'
import type { Product } from './workload.ts'
import { findJobWorkload, jobWorkloads } from './workloads.ts'

const roundsDefault = 3
const resultsFile = 'bench/jobs/results.json'
const markdownFile = 'bench/JOBS.md'

const versions: { readonly [product in Product]: () => { readonly version: string } | { readonly reason: string } } = {
  varve: () => ({ version: packageVersion('.') }),
  duckdb: () => ({ version: packageVersion('node_modules/@duckdb/node-api') }),
  polars: () => peerVersion(polarsPackage),
  javascript: () => ({ version: `in Node ${process.version}` }),
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      products: { type: 'string', multiple: true, default: [] },
      contestants: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string', default: String(roundsDefault) },
      small: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      update: { type: 'boolean', default: false },
      data: { type: 'string' },
      inputs: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds}: a whole number above 0`)
  const size = values.small ? 'small' : 'large'
  const only = split(values.only).map(name => findJobWorkload(name))
  const workloads = jobWorkloads.filter(workload => (only.length === 0 ? workload.onlyByName !== true : only.includes(workload)))
  const { present, missing } = findProducts(split(values.products))
  const named = split(values.contestants)
  const selected: SelectedJob[] = workloads.map(workload => ({
    workload,
    contestants: workload.contestants.filter(
      ({ name, product }) => present.some(one => one.name === product) && (named.length === 0 || named.includes(name)),
    ),
  }))

  const folder = mkdtempSync(join(values.dir, 'varve-bench-jobs-'))
  const data = values.data === undefined ? join(folder, 'data') : resolve(values.data)
  mkdirSync(data, { recursive: true })
  const progress = startProgress(countJobRuns(selected, rounds))
  try {
    const header: Omit<JobResults, 'workloads'> = {
      machine: describeMachine(data),
      date: new Date().toISOString(),
      size,
      rounds,
      products: present,
      missing,
    }
    const stored = values.update ? storedResults<JobResults>(resultsFile) : undefined
    if (stored !== undefined) checkAlike(resultsFile, stored, header, 'machine', 'size', 'products')
    if (values.inputs) {
      await makeInputs({ selected, size, data }, what => progress.update(0, what))
      return
    }
    const { results: ran, failures } = await runAllJobs({
      selected,
      rounds,
      size,
      data,
      folder,
      onProgress: (what, done) => progress.update(done, what),
    })
    progress.stop()
    const results: JobResults = { ...header, workloads: ran }
    const whole = size === 'large' && only.length === 0 && values.products.length === 0 && named.length === 0
    if (stored !== undefined) store({ ...results, workloads: mergeWorkloads(stored.workloads, ran, jobWorkloads) })
    else if (values.update || whole) store(results)
    console.log(values.json ? JSON.stringify(results, undefined, 2) : jobsTerminalReport(results))
    for (const { workload, engine, round, error } of failures) console.error(`FAILED: ${workload} by ${engine}, round ${round}: ${error}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    progress.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function findProducts(wanted: readonly string[]): Pick<JobResults, 'missing'> & { readonly present: JobResults['products'] } {
  const names = Object.keys(versions) as Product[]
  const unknown = wanted.find(name => !names.includes(name as Product))
  if (unknown !== undefined) throw new RangeError(`no product is called '${unknown}'; there are ${names.join(', ')}`)
  const present: { name: Product; version: string }[] = []
  const missing: { name: Product; reason: string }[] = []
  for (const name of names) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const found = versions[name]()
    if ('version' in found) present.push({ name, version: found.version })
    else missing.push({ name, reason: found.reason })
  }
  return { present, missing }
}

function store(results: JobResults): void {
  writeFileSync(resultsFile, `${JSON.stringify(results, undefined, 2)}\n`)
  writeFileSync(markdownFile, jobsMarkdown(results))
}

function split(names: readonly string[]): string[] {
  return names.flatMap(name => name.split(',')).filter(name => name !== '')
}

await main()
