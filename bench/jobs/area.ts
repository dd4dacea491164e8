/** Jobs beside DuckDB, Polars and JavaScript by hand. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Area, AreaOptions, AreaRun } from '../area.ts'
import { packageVersion, peerVersion } from '../peer-packages.ts'
import { describeMachine } from '../report/machine.ts'
import { polarsPackage } from './products/polars.ts'
import { overviewTable, targetTable } from './report/cells.ts'
import { jobCharts } from './report/charts.ts'
import { jobsMarkdown } from './report/markdown.ts'
import type { JobResults } from './report/summary.ts'
import { jobsTerminalReport } from './report/terminal.ts'
import { countJobRuns, runAllJobs, type SelectedJob } from './run.ts'
import type { JobSize, JobWorkload, Product } from './workload.ts'
import { jobWorkloads } from './workloads.ts'

export const jobRounds = 3

const versions: { readonly [product in Product]: () => { readonly version: string } | { readonly reason: string } } = {
  varve: () => ({ version: packageVersion('.') }),
  duckdb: () => ({ version: packageVersion('node_modules/@duckdb/node-api') }),
  polars: () => peerVersion(polarsPackage),
  javascript: () => ({ version: `in Node ${process.version}` }),
}

export const productNames = Object.keys(versions) as readonly Product[]

export type FoundProducts = Pick<JobResults, 'products' | 'missing'>

/** Of those wanted (none: all) those that can run here, and why others cannot. */
export function findProducts(wanted: readonly Product[]): FoundProducts {
  const products: { name: Product; version: string }[] = []
  const missing: { name: Product; reason: string }[] = []
  for (const name of productNames) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const found = versions[name]()
    if ('version' in found) products.push({ name, version: found.version })
    else missing.push({ name, reason: found.reason })
  }
  return { products, missing }
}

/** Contestants of these products, and of these names where some are given. */
export function selectJobs(workloads: readonly JobWorkload[], { products }: FoundProducts, names: readonly string[] = []): SelectedJob[] {
  return workloads.map(workload => ({
    workload,
    contestants: workload.contestants.filter(
      ({ name, product }) => products.some(one => one.name === product) && (names.length === 0 || names.includes(name)),
    ),
  }))
}

export interface JobsRunOptions {
  readonly selected: readonly SelectedJob[]
  readonly found: FoundProducts
  readonly size: JobSize
  readonly rounds: number
  readonly dir: string
  /** Where inputs are kept. Default: below `dir`, until the end. */
  readonly data?: string | undefined
  /** Called with what will be stored, before anything runs. */
  readonly check?: (header: Omit<JobResults, 'workloads'>) => void
}

export async function runJobs(
  { selected, found, size, rounds, dir, data: kept, check }: JobsRunOptions,
  onProgress: (what: string, done: number) => void,
): Promise<AreaRun<JobResults>> {
  const folder = mkdtempSync(join(dir, 'varve-bench-jobs-'))
  try {
    const data = kept === undefined ? join(folder, 'data') : resolve(kept)
    mkdirSync(data, { recursive: true })
    const header: Omit<JobResults, 'workloads'> = {
      machine: describeMachine(data),
      date: new Date().toISOString(),
      size,
      rounds,
      ...found,
    }
    check?.(header)
    const { results, failures } = await runAllJobs({ selected, rounds, size, data, folder, onProgress })
    return {
      results: { ...header, workloads: results },
      failures: failures.map(({ workload, engine, round, error }) => `${workload} by ${engine}, round ${round}: ${error}`),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export const jobsArea: Area<JobResults> = {
  name: 'jobs',
  title: 'Jobs',
  markdownFile: 'JOBS.md',
  resultsFile: 'jobs/results.json',
  countRuns: options => countJobRuns(usual(options).selected, usual(options).rounds),
  run: (options, onProgress) => runJobs(usual(options), onProgress),
  markdown: jobsMarkdown,
  terminal: jobsTerminalReport,
  overview: overviewTable,
  targets: targetTable,
  charts: jobCharts,
}

function usual({ rounds, isShort, dir }: AreaOptions): JobsRunOptions {
  const found = findProducts([])
  return {
    selected: selectJobs(
      jobWorkloads.filter(({ onlyByName }) => onlyByName !== true),
      found,
    ),
    found,
    size: isShort ? 'short' : 'large',
    rounds: rounds ?? (isShort ? 1 : jobRounds),
    dir,
  }
}
