/** Key-value stores beside lmdb, LevelDB and SQLite. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Area, AreaOptions, AreaRun } from '../area.ts'
import { describeMachine } from '../report/machine.ts'
import type { Size } from '../workload.ts'
import type { StoreEngine } from './engine.ts'
import { engines } from './engines.ts'
import { largeParameters, type StoreParameters } from './parameters.ts'
import { overviewTable, targetTable } from './report/cells.ts'
import { storeCharts } from './report/charts.ts'
import { storeMarkdown } from './report/markdown.ts'
import type { StoreResults } from './report/summary.ts'
import { storeTerminalReport } from './report/terminal.ts'
import { countRuns, runAllStores } from './run.ts'
import type { StoreWorkload } from './workload.ts'
import { storeWorkloads } from './workloads.ts'

export const storeRounds = 3
const shortKeys = 100_000

export interface StoresRunOptions {
  readonly workloads: readonly StoreWorkload[]
  readonly found: FoundEngines
  readonly parameters: StoreParameters
  readonly size: Size
  readonly rounds: number
  readonly dir: string
  /** Called with what will be stored, before anything runs. */
  readonly check?: (header: Omit<StoreResults, 'workloads'>) => void
}

export async function runStores(
  { workloads, found: { present, missing }, parameters, size, rounds, dir, check }: StoresRunOptions,
  onProgress: (what: string, done: number) => void,
): Promise<AreaRun<StoreResults>> {
  const folder = mkdtempSync(join(dir, 'varve-bench-store-'))
  try {
    const header: Omit<StoreResults, 'workloads'> = {
      machine: describeMachine(folder),
      date: new Date().toISOString(),
      size,
      parameters,
      engines: present.map(({ engine: { name, settings }, version }) => ({ name, version, settings })),
      missing,
    }
    check?.(header)
    const { results, failures } = await runAllStores({
      workloads,
      engines: present.map(({ engine }) => engine),
      parameters,
      rounds,
      folder,
      onProgress,
    })
    return {
      results: { ...header, workloads: results },
      failures: failures.map(({ workload, engine, round, error }) => `${workload} on ${engine}, round ${round}: ${error}`),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface FoundEngines {
  readonly present: readonly { readonly engine: StoreEngine; readonly version: string }[]
  readonly missing: readonly { readonly name: string; readonly reason: string }[]
}

/** Those that can run here, and why others cannot. */
export function findEngines(wanted: readonly StoreEngine[]): FoundEngines {
  const present: { engine: StoreEngine; version: string }[] = []
  const missing: { name: string; reason: string }[] = []
  for (const engine of wanted) {
    const found = engine.available()
    if ('version' in found) present.push({ engine, version: found.version })
    else missing.push({ name: engine.name, reason: found.reason })
  }
  if (present.length === 0) throw new Error(`nothing to run: ${missing.map(({ name, reason }) => `${name}: ${reason}`).join('; ')}`)
  return { present, missing }
}

export const storesArea: Area<StoreResults> = {
  name: 'store',
  title: 'Stores',
  markdownFile: 'STORE.md',
  resultsFile: 'store/results.json',
  countRuns: options => countRuns({ ...usual(options), engines: findEngines(engines).present.map(({ engine }) => engine) }),
  run: (options, onProgress) => runStores({ ...usual(options), found: findEngines(engines) }, onProgress),
  markdown: storeMarkdown,
  terminal: storeTerminalReport,
  overview: overviewTable,
  targets: targetTable,
  charts: storeCharts,
}

function usual({ rounds, isShort, dir }: AreaOptions): Omit<StoresRunOptions, 'found'> {
  return {
    workloads: storeWorkloads,
    parameters: isShort ? { ...largeParameters, n: shortKeys } : largeParameters,
    size: 'large',
    rounds: rounds ?? (isShort ? 1 : storeRounds),
    dir,
  }
}
