/**
 * `npm run bench:store -- [--only name,…] [--engines name,…] [--n keys] [--rounds n] [--seed n] [--values string|buffer] [--key-bytes n]
 * [--value-bytes n] [--batch n] [--window n] [--small] [--json] [--update] [--dir folder]`
 *
 * Runs the workloads of `workloads.ts` on every engine that is installed and prints what they reached. A whole run with the default parameters
 * also writes `bench/store/results.json` and, made from it, `bench/STORE.md`. `--update` puts the workloads of a partial run in place of those
 * stored, if machine, parameters and engines are the same. Exit code 1: a run failed. A missed target is printed and is no failure: machines differ.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from '../report/machine.ts'
import { startProgress } from '../report/terminal.ts'
import { checkAlike, isSame, mergeWorkloads, storedResults } from '../stored-results.ts'
import type { StoreEngine } from './engine.ts'
import { engines, findEngine } from './engines.ts'
import { checkParameters, largeParameters, type StoreParameters, smallParameters, type ValueKind } from './parameters.ts'
import { storeMarkdown } from './report/markdown.ts'
import type { StoreResults } from './report/summary.ts'
import { storeTerminalReport } from './report/terminal.ts'
import { countRuns, runAllStores } from './run.ts'
import { findStoreWorkload, storeWorkloads } from './workloads.ts'

const roundsDefault = 3
const resultsFile = 'bench/store/results.json'
const markdownFile = 'bench/STORE.md'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      engines: { type: 'string', multiple: true, default: [] },
      n: { type: 'string' },
      rounds: { type: 'string', default: String(roundsDefault) },
      seed: { type: 'string' },
      values: { type: 'string' },
      'key-bytes': { type: 'string' },
      'value-bytes': { type: 'string' },
      batch: { type: 'string' },
      window: { type: 'string' },
      small: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      update: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const size = values.small ? 'small' : 'large'
  const base = values.small ? smallParameters : largeParameters
  const parameters: StoreParameters = {
    n: number(values.n, base.n),
    keyBytes: number(values['key-bytes'], base.keyBytes),
    valueBytes: number(values['value-bytes'], base.valueBytes),
    values: (values.values ?? base.values) as ValueKind,
    batch: number(values.batch, base.batch),
    window: number(values.window, base.window),
    seed: number(values.seed, base.seed),
  }
  checkParameters(parameters)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds}: a whole number above 0`)
  const only = split(values.only).map(name => findStoreWorkload(name))
  const workloads = only.length === 0 ? storeWorkloads : storeWorkloads.filter(workload => only.includes(workload))
  const named = split(values.engines).map(name => findEngine(name))
  const { present, missing } = findEngines(named.length === 0 ? engines : engines.filter(engine => named.includes(engine)))

  const folder = mkdtempSync(join(values.dir, 'varve-bench-store-'))
  const date = new Date().toISOString()
  const progress = startProgress(countRuns({ workloads, engines: present.map(({ engine }) => engine), rounds }))
  try {
    const machine = describeMachine(folder)
    const header: Omit<StoreResults, 'workloads'> = {
      machine,
      date,
      size,
      parameters,
      engines: present.map(({ engine: { name, settings }, version }) => ({ name, version, settings })),
      missing,
    }
    const stored = values.update ? storedResults<StoreResults>(resultsFile) : undefined
    if (stored !== undefined) checkAlike(resultsFile, stored, header, 'machine', 'size', 'parameters', 'engines')
    const { results: ran, failures } = await runAllStores({
      workloads,
      engines: present.map(({ engine }) => engine),
      parameters,
      rounds,
      folder,
      onProgress: (what, done) => progress.update(done, what),
    })
    progress.stop()
    const results: StoreResults = { ...header, workloads: ran }
    const whole = size === 'large' && only.length === 0 && named.length === 0 && isSame(parameters, largeParameters)
    if (stored !== undefined) store({ ...results, workloads: mergeWorkloads(stored.workloads, ran, storeWorkloads) })
    else if (values.update || whole) store(results)
    console.log(values.json ? JSON.stringify(results, undefined, 2) : storeTerminalReport(results))
    for (const { workload, engine, round, error } of failures) console.error(`FAILED: ${workload} on ${engine}, round ${round}: ${error}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    progress.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function findEngines(wanted: readonly StoreEngine[]): {
  present: { readonly engine: StoreEngine; readonly version: string }[]
  missing: { readonly name: string; readonly reason: string }[]
} {
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

function store(results: StoreResults): void {
  writeFileSync(resultsFile, `${JSON.stringify(results, undefined, 2)}\n`)
  writeFileSync(markdownFile, storeMarkdown(results))
}

function number(given: string | undefined, fallback: number): number {
  return given === undefined ? fallback : Number(given)
}

function split(names: readonly string[]): string[] {
  return names.flatMap(name => name.split(',')).filter(name => name !== '')
}

await main()
