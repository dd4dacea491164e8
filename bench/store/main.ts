/**
 * `npm run bench:store -- [--only name,…] [--engines name,…] [--n keys] [--rounds n] [--seed n] [--values string|buffer] [--key-bytes n]
 * [--value-bytes n] [--batch n] [--window n] [--small] [--json] [--update] [--dir folder]`
 *
 * Runs the workloads of `workloads.ts` on every engine that is installed and prints what they reached. A whole run with the default parameters
 * also writes `bench/store/results.json` and, made from it, `bench/STORE.md` and the overview. `--update` puts the workloads of a partial run in place of those
 * stored, if machine, parameters and engines are the same. Exit code 1: a run failed. A missed target is printed and is no failure: machines differ.
 */

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { namesOf, roundsOf } from '../area.ts'
import { resultsFolder, storeArea } from '../overview.ts'
import { startProgress } from '../report/progress.ts'
import { checkAlike, isSame, mergeWorkloads, storedResults } from '../stored-results.ts'
import { findEngines, runStores, storeRounds, storesArea } from './area.ts'
import { engines, findEngine } from './engines.ts'
import { checkParameters, largeParameters, type StoreParameters, smallParameters, type ValueKind } from './parameters.ts'
import type { StoreResults } from './report/summary.ts'
import { countRuns } from './run.ts'
import { findStoreWorkload, storeWorkloads } from './workloads.ts'

const resultsFile = join(resultsFolder, storesArea.resultsFile)

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      engines: { type: 'string', multiple: true, default: [] },
      n: { type: 'string' },
      rounds: { type: 'string' },
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
  const rounds = roundsOf(values.rounds) ?? storeRounds
  const only = namesOf(values.only).map(name => findStoreWorkload(name))
  const workloads = only.length === 0 ? storeWorkloads : storeWorkloads.filter(workload => only.includes(workload))
  const named = namesOf(values.engines).map(name => findEngine(name))
  const found = findEngines(named.length === 0 ? engines : engines.filter(engine => named.includes(engine)))

  const stored = values.update ? storedResults<StoreResults>(resultsFile) : undefined
  const progress = startProgress(countRuns({ workloads, engines: found.present.map(({ engine }) => engine), rounds }))
  try {
    const { results, failures } = await runStores(
      {
        workloads,
        found,
        parameters,
        size,
        rounds,
        dir: values.dir,
        check: header => {
          if (stored !== undefined) checkAlike(resultsFile, stored, header, 'machine', 'size', 'parameters', 'engines')
        },
      },
      (what, done) => progress.update(done, what),
    )
    progress.stop()
    const whole = size === 'large' && only.length === 0 && named.length === 0 && isSame(parameters, largeParameters)
    if (stored !== undefined) {
      const merged = mergeWorkloads(stored.workloads, results.workloads, storeWorkloads)
      await storeArea(resultsFolder, storesArea, { ...results, workloads: merged })
    } else if (values.update || whole) await storeArea(resultsFolder, storesArea, results)
    console.log(values.json ? JSON.stringify(results, undefined, 2) : storesArea.terminal(results))
    for (const failure of failures) console.error(`FAILED: ${failure}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    progress.stop()
  }
}

function number(given: string | undefined, fallback: number): number {
  return given === undefined ? fallback : Number(given)
}

await main()
