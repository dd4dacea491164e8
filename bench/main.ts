/**
 * `npm run bench -- [--only name …] [--rounds n] [--small] [--json] [--dir folder]`
 *
 * Runs the workloads of `workloads.ts` and prints what they reached. A whole run with large parameters also writes `bench/results.json` and,
 * made from it, `bench/RESULTS.md`. Exit code 1: a workload failed. A missed target is printed and is no failure: machines differ.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from './report/machine.ts'
import { resultsMarkdown } from './report/markdown.ts'
import type { Results } from './report/summary.ts'
import { startProgress, terminalReport } from './report/terminal.ts'
import { runAll, selectWorkloads } from './run.ts'
import { workloads } from './workloads.ts'

const roundsDefault = 5

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string', default: String(roundsDefault) },
      small: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds}: a whole number above 0`)
  const size = values.small ? 'small' : 'large'
  const selected = selectWorkloads(workloads, values.only)
  const folder = mkdtempSync(join(values.dir, 'varve-bench-'))
  const date = new Date().toISOString()
  const progress = startProgress(selected.length * rounds)
  try {
    const machine = describeMachine(folder)
    const samples = await runAll({
      workloads: selected,
      rounds,
      size,
      folder,
      onProgress: (name, round, done) => progress.update(done, `round ${round}: ${name}`),
    })
    progress.stop()
    const results: Results = {
      machine,
      date,
      size,
      rounds,
      workloads: selected.map(({ parameters, run: _, ...facts }) => ({
        ...facts,
        used: parameters[size],
        samples: samples[facts.name] ?? [],
      })),
    }
    if (size === 'large' && values.only.length === 0) {
      writeFileSync('bench/results.json', `${JSON.stringify(results, undefined, 2)}\n`)
      writeFileSync('bench/RESULTS.md', resultsMarkdown(results))
    }
    console.log(values.json ? JSON.stringify(results, undefined, 2) : terminalReport(results))
  } finally {
    progress.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

await main()
